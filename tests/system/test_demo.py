# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` as people see it: it holds, it fits into a minute, and it cleans up when interrupted."""
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab import BUILD, ROOT, eventually


def start(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("VNE_")}
    env.update(VNE_BUILD=str(BUILD), **more)
    env.pop("KEEP", None)
    return subprocess.Popen([ROOT / "tools/demo"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def lab_of(demo):
    """The directory of a demo's lab, from its children's environment."""
    for task in Path("/proc").glob("[0-9]*"):
        try:
            if task.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1] == str(demo.pid):
                for word in task.joinpath("environ").read_bytes().split(b"\0"):
                    if word.startswith(b"VNE_LAB_DIR="):
                        return Path(os.fsdecode(word.split(b"=", 1)[1]))
        except OSError:
            pass
    return None


def test_the_demo_holds(root):
    began = time.monotonic()
    demo = start()
    out, _ = demo.communicate(timeout=180)
    assert demo.returncode == 0, out[-4000:]
    assert "All of it held" in out and "refused" in out and "pinned path" in out
    assert time.monotonic() - began < 60


def demo_until(until):
    """A demo that has said so, its lab's directory, and nothing waited for."""
    demo = start()
    lab_dir, told = None, []
    for line in demo.stdout:
        told.append(line)
        lab_dir = lab_dir or lab_of(demo)
        if until in line:
            break
    else:
        pytest.fail(f"it ended before that: {''.join(told)[-4000:]}")
    return demo, lab_dir or eventually(lambda: lab_of(demo), seconds=5)


def is_gone(lab_dir):
    return not lab_dir.parent.exists() and \
        not any(str(lab_dir).encode() in p.joinpath("environ").read_bytes() for p in readable_processes())


@pytest.mark.parametrize("until", ["vnlab up", "ring.yaml", "pings:", "UDP at twice", "vnctl nodes"])
def test_interrupted_demo_leaves_nothing(root, until):
    demo, lab_dir = demo_until(until)
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does it
    out, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, out
    assert is_gone(lab_dir)


@pytest.mark.parametrize("until", ["vnlab up", "pings:"])
def test_killed_demo_leaves_nothing(root, until):
    demo, lab_dir = demo_until(until)
    demo.kill()
    demo.communicate(timeout=60)
    assert eventually(lambda: is_gone(lab_dir))


def readable_processes():
    for task in Path("/proc").glob("[0-9]*"):
        try:
            task.joinpath("environ").read_bytes()
        except OSError:
            continue
        yield task
