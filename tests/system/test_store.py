# SPDX-License-Identifier: GPL-3.0-or-later
"""What vned remembers: history, backup and restore, and a store that cannot be used."""
import contextlib
import os
import re
import sqlite3
import subprocess

import pytest

from lab import BUILD, TRIANGLE, check_schema, eventually, request, running_lab


@pytest.fixture(scope="module")
def lab(root):
    with running_lab(TRIANGLE) as lab:
        yield lab


@pytest.fixture(autouse=True)
def empty(lab):
    yield
    for view in lab.ask("list"):
        lab.vnctl("release", view["name"], code=None)
    eventually(lambda: all(lab.bare(n) for n in "abc"))


def vned(lab, *words, code):
    """A vned of our own beside the lab's, on its configuration."""
    return lab.run("vned", "--config", lab.dir / "vned.yaml", *words, code=code, seconds=30)


def store_of(lab):
    state = re.search(r"^state: *(\S+)", (lab.dir / "vned.yaml").read_text(), re.M).group(1)
    return os.path.join(lab.dir, state, "store.db")


def term(lab):
    """vned must not be running."""
    with contextlib.closing(sqlite3.connect(store_of(lab))) as db:
        return int(db.execute("SELECT value FROM entry WHERE key = 'term'").fetchone()[0])


def restart(lab, name="vned"):
    lab.restart(name)
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})


def test_history_outlives_its_network(lab):
    lab.submit(request("net"))
    eventually(lambda: lab.state("net") == "active")
    steps = lab.ask("show", "net", "--history")
    check_schema("history", steps, many=True)
    assert [s["state"] for s in steps] == ["planned", "preparing", "committing", "active"]
    assert steps[0]["why"] == "submitted" and steps[0]["who"] == steps[0]["network"].split("/")[0]
    lab.kill("vned")
    restart(lab)
    assert lab.ask("show", "net", "--history")[:4] == steps
    lab.vnctl("release", "net")
    lab.submit(request("net"))  # another one of the same name
    lab.vnctl("release", "net")
    lab.kill("vned")
    restart(lab)
    steps = lab.ask("show", "net", "--history")
    check_schema("history", steps, many=True)
    assert [s["state"] for s in steps if s["state"] in ("planned", "released")] == ["planned", "released"] * 2
    assert len({s["id"] for s in steps}) == 2
    gone = [s for s in steps if s["state"] == "releasing"]
    assert len(gone) == 2 and all(s["who"] == steps[0]["who"] and "asked for by" in s["why"] for s in gone)
    assert "released" in lab.vnctl("show", "net", "--history").out
    refused = lab.vnctl("show", "nosuch", "--history", code=1)
    assert "nosuch" in refused.err
    assert lab.vnctl("list", "--history", code=2).err


def test_history_knows_what_broke(lab):
    lab.submit(request("net"))
    lab.kill("b")
    eventually(lambda: lab.state("net") == "degraded")
    lab.restart("b")
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"} and lab.state("net") == "active")
    states = [s["state"] for s in lab.ask("show", "net", "--history")]
    assert states[-2:] == ["degraded", "active"]


def test_backup_and_restore(lab, tmp_path):
    file = tmp_path / "backup.db"
    lab.submit(request("kept"))
    lab.submit(request("goes"))
    said = lab.ask("backup", str(file))
    assert said == {"file": str(file), "bytes": file.stat().st_size}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["backup.db"]
    lab.vnctl("release", "goes")
    lab.submit(request("later"))
    ping = lab.loopback("kept", "r3")

    refused = vned(lab, "--restore", file, code=1)  # while it runs
    assert "stop that first" in refused.err
    refused = vned(lab, code=70)  # and a second one does not start
    assert "another vned" in refused.err

    lab.kill("vned")
    before = term(lab)
    done = vned(lab, "--restore", file, code=0)
    aside = re.search(r"kept as (\S+)", done.out).group(1)
    assert os.path.exists(aside)
    assert term(lab) == before
    restart(lab)
    eventually(lambda: {v["name"]: v["state"] for v in lab.ask("list")} == {"kept": "active", "goes": "active"})
    lab.ping("kept", "r1", ping)
    lab.ping("goes", "r1", lab.loopback("goes", "r3"))
    eventually(lambda: all(len(lab.routers_on(n)) == 2 for n in "abc"))  # "later" is gone from the nodes
    lab.kill("vned")
    assert term(lab) > before
    restart(lab)


def test_term_goes_beyond_what_agents_have_seen(lab, tmp_path):
    """The store is lost whole: only the backup and the agents know of terms."""
    file = tmp_path / "backup.db"
    lab.submit(request("net"))
    lab.vnctl("backup", file)
    for _ in range(3):
        lab.kill("vned")
        restart(lab)
    lab.kill("vned")
    before = term(lab)
    os.unlink(store_of(lab))
    vned(lab, "--restore", file, code=0)
    assert term(lab) < before
    restart(lab)
    eventually(lambda: lab.state("net") == "active")
    lab.ping("net", "r1", lab.loopback("net", "r3"))
    lab.vnctl("release", "net")  # agents obey
    eventually(lambda: all(lab.bare(n) for n in "abc"))
    lab.kill("vned")
    assert term(lab) > before
    restart(lab)


def test_damaged(lab, tmp_path):
    file, bad = tmp_path / "backup.db", tmp_path / "bad.db"
    lab.submit(request("net"))
    lab.vnctl("backup", file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2:len(data) // 2 + 3000] = os.urandom(3000)
    bad.write_bytes(data)
    lab.kill("vned")
    term(lab)  # the last to close leaves one file, without a log
    whole = open(store_of(lab), "rb").read()
    for wrong in (bad, tmp_path / "nosuch.db", BUILD / "vned"):
        vned(lab, "--restore", wrong, code=2)
    assert open(store_of(lab), "rb").read() == whole
    with open(store_of(lab), "r+b") as f:
        f.seek(len(whole) // 2)
        f.write(os.urandom(3000))
    refused = vned(lab, code=70)
    assert "damaged" in refused.err and "vned --restore FILE" in refused.err
    vned(lab, "--restore", file, code=0)
    restart(lab)
    eventually(lambda: lab.state("net") == "active")
    lab.ping("net", "r1", lab.loopback("net", "r3"))


def test_no_half_backup(lab, tmp_path):
    refused = lab.vnctl("backup", tmp_path / "no/such/place", code=2)
    assert "no/such/place" in refused.err
    assert lab.vnctl("backup", code=2).err
    full = subprocess.run(["sh", "-c", f"ulimit -f 1; trap '' XFSZ; exec {BUILD}/vnctl backup {tmp_path}/file"], env=lab.env,
                          capture_output=True, text=True, timeout=60)
    assert full.returncode == 70 and "there is no backup" in full.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moment", range(12))
def test_what_was_said_is_kept(lab, moment):
    """vned is killed while a submit or a release is under way: what the client was told holds after the restart."""
    release = moment % 2 == 1
    if release:
        lab.submit(request("net"))
    words = ("release", "net") if release else ("submit", "-")
    client = subprocess.Popen(lab.command("vnctl", *words), env=lab.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    with contextlib.suppress(subprocess.TimeoutExpired):
        client.communicate(None if release else request("net"), timeout=0.015 * (moment // 2 + 1))
    lab.kill("vned")
    restart(lab)
    code = client.poll()
    if code is None:  # it may be told yet that vned was away, or have been told before
        client.communicate(timeout=60)
        code = client.returncode
    steady = (None, "active", "degraded")
    eventually(lambda: lab.state("net") in steady)
    if code == 0:
        assert lab.state("net") == (None if release else "active")
    if lab.state("net") is None:
        eventually(lambda: all(lab.bare(n) for n in "abc"))
    else:
        eventually(lambda: lab.state("net") == "active")
        lab.ping("net", "r1", lab.loopback("net", "r3"))
