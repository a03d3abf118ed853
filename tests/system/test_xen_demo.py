# SPDX-License-Identifier: GPL-3.0-or-later
"""`make xen-demo` leaves nothing, however it ends. That what it claims holds is what test_xen.py tests, in the same lab."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab import BUILD, ROOT, eventually
from test_xen import needs_xen


def descendants(pid):
    found, rest = [], [pid]
    while rest:
        try:
            children = Path(f"/proc/{rest[-1]}/task/{rest.pop()}/children").read_text().split()
        except OSError:
            continue
        found += children
        rest += children
    return found


def namespaces(pids):
    found = set()
    for pid in pids:
        for kind in ("net", "pid"):
            try:
                found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
            except OSError:
                pass
    return found


def everybody():
    return [p.name for p in Path("/proc").glob("[0-9]*")]


def folder_of(demo):
    """The lab's directory: the last word of the guard's command."""
    for pid in descendants(demo.pid):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if words[:2] == ["sh", "-c"] and words[-2].startswith("xen-"):
            return Path("/tmp") / words[-2]
    raise AssertionError("it has no guard")


@pytest.fixture
def demo_until():
    needs_xen()
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("VNE_") and k != "KEEP"}, "VNE_BUILD": str(BUILD)}
    demo = subprocess.Popen([ROOT / "tools/xen-demo"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, start_new_session=True)

    def until(words):
        told = []
        for line in demo.stdout:
            told.append(line)
            if words in line:
                return demo
        if demo.wait(60) == 70:
            pytest.skip(told[-1].strip())
        return pytest.fail(f"it ended before that: {''.join(told)[-4000:]}")
    yield until
    demo.kill()
    demo.communicate(timeout=60)


@pytest.mark.parametrize("words, signo", [("booting", signal.SIGINT), ("Does it forward", signal.SIGKILL)])
def test_ended_it_leaves_nothing(demo_until, words, signo):
    demo = demo_until(words)
    folder = folder_of(demo)
    spaces = namespaces(descendants(demo.pid)) - namespaces([os.getpid()])
    assert spaces
    if signo == signal.SIGKILL:
        demo.kill()
        assert demo.wait(60) == -signo
    else:
        os.killpg(demo.pid, signo)  # as a terminal does it
        assert demo.wait(60) == 130
    eventually(lambda: not folder.exists() and not namespaces(everybody()) & spaces, seconds=60)
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{folder.name}"))
