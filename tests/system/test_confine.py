# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemons have given up: as the kernel tells it, and as a program tries it that vned's solver runs."""
import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab import BUILD, eventually, request

NOBODY = pwd.getpwnam("nobody")


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def caps(pid, which="CapEff"):
    return int(status(pid)[which], 16)


def vned_of(lab):
    return int(re.search(r"vned pid\s+(\d+)", lab.run("vnlab", "status").out)[1])


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kept():
    """Of vnagent, as its manual has them."""
    numbers = {name: i for i, name in enumerate(subprocess.run(["capsh", "--decode=1ffffffffff"], capture_output=True, text=True).stdout.strip()
                                                .split("=")[1].upper().replace("CAP_", "").split(","))} if shutil.which("capsh") else None
    text = (Path(__file__).parents[2] / "docs/man/vnagent.8.scd").read_text().split("# PRIVILEGES")[1].split("Where the machine")[0]
    names = re.findall(r"\*([A-Z_]+)\*", text)
    assert len(names) > 10
    return names, numbers


def test_in_a_lab(triangle):
    known = triangle.status()
    vned = vned_of(triangle)
    worker = children(vned)
    assert worker
    for pid, filters in ((vned, 1), *((w, 2) for w in worker)):
        s = status(pid)
        assert all(caps(pid, which) == 0 for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), s
        assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2" and int(s["Seccomp_filters"]) >= filters
    # SYS_MODULE 16, SYS_RAWIO 17, SYS_BOOT 22, SYS_TIME 25, MAC_ADMIN 33, SYSLOG 34
    never = sum(1 << n for n in (16, 17, 22, 25, 33, 34))
    for node in known["nodes"]:
        s = status(node["agent_pid"])
        assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2"
        assert not (caps(node["agent_pid"], "CapBnd") | caps(node["agent_pid"], "CapPrm")) & never or os.path.exists("/dev/xen/privcmd")


def test_the_manual_lists_what_the_agent_keeps(triangle):
    names, numbers = kept()
    printed = subprocess.run([BUILD / "vnagent", "--check"], capture_output=True, text=True).stdout.split("capabilities", 1)[1]
    assert re.findall(r"^  ([A-Z_]+) ", printed, re.M) == names or set(re.findall(r"^  ([A-Z_]+) ", printed, re.M)) == set(names)
    if numbers and not os.path.exists("/dev/xen/privcmd"):
        allowed = sum(1 << numbers[n] for n in names)
        assert all(caps(n["agent_pid"], "CapBnd") & ~allowed == 0 for n in triangle.status()["nodes"])


# ---- the solver -------------------------------------------------------------------------------------------------

TRIES = """#!/usr/bin/python3
import json, os, socket, sys
sys.stdin.read()
done = []
def attempt(name, what):
    try:
        what()
        done.append(name)
    except OSError:
        pass
attempt("key", lambda: open("{dir}/vned.key").read())
attempt("passwd", lambda: open("/etc/passwd").read())
attempt("store", lambda: os.listdir("{dir}/state"))
attempt("write", lambda: open("{dir}/state/wall", "w"))
attempt("tmp", lambda: open("/tmp/wall-{port}", "w"))
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", {port})))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("kill", lambda: os.kill({pid}, 0)) if {signals} else None
attempt("namespace", lambda: os.unshare(0x10000000) if hasattr(os, "unshare") else (_ for _ in ()).throw(OSError()))
print(json.dumps({{"status": "refused", "reason": "could " + " ".join(done) + "."}}))
"""


def test_the_solver_reaches_nothing(triangle, tmp_path):
    """A program in its place, which tries: what it could do is the reason that it gives for its refusal."""
    program, config = tmp_path / "tries", triangle.dir / "vned.yaml"
    before = config.read_text()
    port = int(triangle.status()["server"].rsplit(":", 1)[1])
    release = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))
    vned = vned_of(triangle)
    program.write_text(TRIES.format(dir=triangle.dir, port=port, pid=vned, signals=release >= (6, 12)))
    program.chmod(0o755)
    try:
        config.write_text(before + f"solver: exec:{program}\n")
        triangle.kill("vned")
        triangle.restart("vned")
        eventually(lambda: triangle.nodes_up() >= {"a", "b", "c"})
        said = triangle.vnctl("plan", "-", stdin=request("tries"), code=None)
        # without Landlock files are guarded by their owners only, and vned says so
        tolerated = "[a-z ]*" if "guarded by their owners" in (triangle.dir / "log/vned.log").read_text() else ""
        assert re.search(rf"could {tolerated}\.", said.err), said
        assert not re.search(r"could.*(tcp|unix|kill|namespace)", said.err), said
    finally:
        Path(f"/tmp/wall-{port}").unlink(missing_ok=True)
        config.write_text(before)
        triangle.kill("vned")
        triangle.restart("vned")


# ---- started by hand as root ------------------------------------------------------------------------------------

@contextlib.contextmanager
def by_hand(*options, give=True):
    seen = subprocess.run(["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", "test", "-x", str(BUILD / "vnembed")])
    if seen.returncode:
        pytest.skip(f"user nobody cannot run what is in {BUILD}")
    base = Path(tempfile.mkdtemp(prefix="vnt-", dir="/tmp"))
    base.chmod(0o755)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if not k.startswith("VNE_")}
    try:
        subprocess.run([BUILD / "vned", "init", f"tcp://127.0.0.1:{port}", "--dir", base, "a=192.0.2.1", "b=192.0.2.2"], check=True, capture_output=True, env=env)
        config = (base / "vned.yaml").read_text().replace("/var/lib/vned", f"{base}/state").replace("/run/vned/vned.sock", f"{base}/run/vned.sock")
        config = re.sub("^(user|metrics):.*\n", "", config, flags=re.M)
        (base / "vned.yaml").write_text(config)
        if give:
            for path in (base / "vned.key", base / "allowed", *(base / "allowed").iterdir()):
                os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        process = subprocess.Popen([BUILD / "vned", "--config", base / "vned.yaml", *options], env=env, stderr=subprocess.PIPE, text=True)
        try:
            yield base, port, process
        finally:
            process.terminate()
            process.wait(20)
            process.stderr.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def test_root_becomes_the_user_that_is_named(root):
    with by_hand("--user", "nobody") as (base, port, process):
        def vnctl(*words, **more):
            return subprocess.run([BUILD / "vnctl", "--config", base / "vnctl.yaml", *words], capture_output=True, text=True, timeout=60,
                                  env={k: v for k, v in os.environ.items() if not k.startswith("VNE_")}, **more)
        eventually(lambda: process.poll() is not None or vnctl("list").returncode == 0)
        assert process.poll() is None, process.stderr.read()
        s = status(process.pid)
        assert set(s["Uid"].split()) == {str(NOBODY.pw_uid)} and set(s["Gid"].split()) == {str(NOBODY.pw_gid)} and "0" not in s["Groups"].split()
        assert caps(process.pid, "CapBnd") == caps(process.pid, "CapPrm") == 0
        assert (base / "state").stat().st_uid == NOBODY.pw_uid and (base / "state").stat().st_mode & 0o77 == 0


def test_what_the_user_cannot_read_is_told(root):
    with by_hand("--user", "nobody", give=False) as (base, _, process):
        assert process.wait(20) == 2
        said = process.stderr.read()
        assert f"key: {base}/vned.key" in said and "nobody" in said and "chown" in said, said


def test_a_user_that_is_not_there_is_told(root):
    with by_hand("--user", "no-such-user") as (_, _, process):
        assert process.wait(20) == 2
        assert "there is no user no-such-user" in process.stderr.read()
