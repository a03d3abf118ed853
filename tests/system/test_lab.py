# SPDX-License-Identifier: GPL-3.0-or-later
"""vnlab: what it makes, and that it leaves nothing behind however it ends."""
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from lab import BUILD, TRIANGLE, Lab, check_schema, eventually, request, running_lab

NOBODY = 65534


def below(pid):
    """A process and its descendants."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, rest = [], [pid]
    while rest:
        found.append(rest.pop())
        rest += children.get(found[-1], [])
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def anatomy(lab):
    """(watcher, supervisor, all pids) of a lab, from outside."""
    supervisor = parent(lab.status()["vned_pid"])
    return parent(supervisor), supervisor, below(parent(supervisor))


def groups(lab_id):
    return list(Path("/sys/fs/cgroup").glob(f"**/{lab_id}*"))


@pytest.fixture
def place(tmp_path_factory, root):
    """A directory for a lab with a short name, and a substrate in it."""
    import shutil
    import tempfile
    base = Path(tempfile.mkdtemp(prefix="vnt-", dir="/tmp"))
    (base / "s.yaml").write_text(TRIANGLE)
    lab = Lab(base / "lab")
    try:
        yield lab, base / "s.yaml"
        lab.run("vnlab", "down", code=None)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def check_gone(lab, pids, lab_id, devices):
    eventually(lambda: not any(alive(p) for p in pids))
    eventually(lambda: not lab.dir.exists())
    assert not groups(lab_id)
    assert set(os.listdir("/sys/class/net")) == devices


@pytest.mark.parametrize("end", ["down", "supervisor", "watcher"])
def test_every_end_is_a_clean_one(place, end):
    """An orderly end, and the two crashes: of the supervisor, and of the watcher."""
    lab, substrate = place
    devices = set(os.listdir("/sys/class/net"))
    lab.up(substrate)
    lab.submit(request("net"))
    watcher, supervisor, pids = anatomy(lab)
    lab_id = (lab.dir / "id").read_text().strip()
    assert len(pids) >= 2 + 1 + 3 * 2 + 3  # two of ours, vned, three nodes with agents, three routers
    if end == "down":
        lab.down()
    elif end == "supervisor":
        os.kill(supervisor, signal.SIGKILL)
    else:
        os.kill(watcher, signal.SIGKILL)
        eventually(lambda: not any(alive(p) for p in pids))
        assert lab.dir.exists()  # nobody was left to remove the files: the next `down` or `up` does
        assert "left behind" in lab.down().out
    check_gone(lab, pids, lab_id, devices)


def test_a_lab_whose_directory_is_removed_ends(place):
    """Nobody could reach it any more."""
    import shutil
    lab, substrate = place
    devices = set(os.listdir("/sys/class/net"))
    lab.up(substrate)
    _, _, pids = anatomy(lab)
    lab_id = (lab.dir / "id").read_text().strip()
    shutil.rmtree(lab.dir, ignore_errors=True)  # the watcher begins to do the same
    check_gone(lab, pids, lab_id, devices)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_up_leaves_nothing(place, how):
    lab, substrate = place
    devices = set(os.listdir("/sys/class/net"))
    up = lab.start("vnlab", "up", substrate, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    up.stdout.readline()  # it has begun
    eventually(lambda: (lab.dir / "id").exists() or up.poll() is not None)
    assert up.poll() is None, "it was up before it could be interrupted"
    pids = below(up.pid)[1:]
    up.send_signal(how)
    up.communicate(timeout=30)
    if how != signal.SIGKILL:
        assert not lab.dir.exists()  # when it returns, it is over
    eventually(lambda: not any(alive(p) for p in pids))
    eventually(lambda: not lab.dir.exists())
    assert set(os.listdir("/sys/class/net")) == devices


def test_one_lab_per_directory(place):
    lab, substrate = place
    lab.up(substrate)
    assert "vnlab down" in lab.up(substrate, code=1).err
    assert len(lab.status()["nodes"]) == 3  # the first is none the worse
    lab.down()
    assert "no lab" in lab.down().out
    assert lab.run("vnlab", "status", code=3).err


def test_bad_substrate_names_its_place(place):
    lab, substrate = place
    substrate.write_text(TRIANGLE.replace("cpu: 4", "cpu: four", 1))
    done = lab.up(substrate, code=2)
    assert f"{substrate}:4:" in done.err
    assert not lab.dir.exists()


def test_a_daemon_that_cannot_start_is_told(place, monkeypatch):
    lab, substrate = place
    lab.dir.mkdir()
    (lab.dir / "state").write_text("in the way")  # where vned keeps its state
    done = lab.up(substrate, code=70)
    assert "state" in done.err
    (lab.dir / "state").unlink(missing_ok=True)


def test_status_and_what_it_points_to(triangle):
    status = triangle.status()
    check_schema("lab", status)
    assert [n["name"] for n in status["nodes"]] == ["a", "b", "c"]
    assert all(n["agent"] == "ready" for n in status["nodes"])
    with urllib.request.urlopen(status["metrics"], timeout=10) as answer:
        text = answer.read().decode()
    assert "vned_build_info" in text
    host, port = status["server"].removeprefix("tcp://").split(":")
    assert host == "127.0.0.1" and int(port) > 0
    inode = os.stat(f"/proc/{status['nodes'][0]['pid']}/ns/net").st_ino
    assert inode != os.stat("/proc/self/ns/net").st_ino
    assert str(inode) in triangle.on_node("a", "readlink", "/proc/self/ns/net").out


def test_exec_on_a_node(triangle):
    assert triangle.on_node("b", "hostname").out == "b\n"
    assert triangle.on_node("b", "sh", "-c", "exit 7", code=7).code == 7
    assert triangle.on_node("b", "sh", "-c", "kill -9 $$", code=137)
    assert triangle.on_node("b", "nosuchprogram", code=127).err
    assert triangle.run("vnlab", "exec", "nosuch", "--", "true", code=2).err


def test_nodes_are_joined_as_the_substrate_says(triangle):
    ends = triangle.on_node("a", "ls", "/sys/class/net").out.split()
    assert sorted(ends) == ["a-b", "a-c", "lo", "mgmt"]
    assert triangle.on_node("a", "cat", "/sys/class/net/a-b/mtu").out == "1600\n"


def test_a_killed_daemon_is_reported(triangle):
    triangle.kill("b", "KILL")
    assert "signal 9" in next(n["agent"] for n in triangle.status()["nodes"] if n["name"] == "b")
    assert triangle.run("vnlab", "kill", "-9", "b", code=1).err
    triangle.restart("b")
    assert next(n["agent"] for n in triangle.status()["nodes"] if n["name"] == "b") == "ready"
    assert triangle.run("vnlab", "start", "b", code=1).err
    eventually(lambda: triangle.nodes_up() == {"a", "b", "c"})


def test_tunnels_pass_through_nodes_without_an_agent(root):
    substrate = """\
kind: substrate
name: switched
nodes:
  - {name: a, cpu: 4}
  - {name: s1, cpu: 0, agent: false}
  - {name: s2, cpu: 0, agent: false}
  - {name: b, cpu: 4}
links:
  - {endpoints: [a, s1], bandwidth: 100mbit}
  - {endpoints: [s1, s2], bandwidth: 100mbit}
  - {endpoints: [s2, b], bandwidth: 100mbit}
"""
    with running_lab(substrate) as lab:
        lab.submit(request("net", places=("a", "b")))
        view = lab.ask("show", "net")
        assert view["links"][0]["paths"][0]["via"] == ["a", "s1", "s2", "b"]
        lab.ping("net", "r1", lab.loopback("net", "r2"))
        states = {n["name"]: n["agent"] for n in lab.status()["nodes"]}
        assert states == {"a": "ready", "b": "ready", "s1": "none", "s2": "none"}


# ---- without root -------------------------------------------------------------------------------

def rootless_prefix():
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]


def require_user_namespaces():
    probe = subprocess.run([*rootless_prefix(), "unshare", "--user", "--net", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"this machine does not let users make user namespaces: {probe.stderr.strip()}")
    seen = subprocess.run([*rootless_prefix(), "test", "-x", str(BUILD / "vnlab")])
    if seen.returncode:
        pytest.skip(f"an unprivileged user cannot read {BUILD}")


def test_rootless_lab():
    require_user_namespaces()
    owner = NOBODY if os.geteuid() == 0 else None
    with running_lab(TRIANGLE, rootless_prefix(), owner) as lab:
        lab.submit(request("net", ring=True))
        assert lab.state("net") == "active"
        for router in ("r2", "r3"):
            lab.ping("net", "r1", lab.loopback("net", router))
        assert lab.on_node("a", "id", "-u").out == "0\n"  # of its own world only
        owners = {os.stat(f"/proc/{p}").st_uid for p in anatomy(lab)[2]}
        assert 0 not in owners or os.geteuid() == 0 and owners == {NOBODY}
        lab.vnctl("release", "net")
        assert all(not lab.routers_on(n) for n in "abc")
