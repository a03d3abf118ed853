# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants beside each other: what each sees and may, quotas, the audit log, and use for billing."""
import concurrent.futures
import csv
import io
import json
import subprocess
import time

import pytest

from lab import check_schema, eventually, request

NAMES = {"alice": "tenant", "bob": "tenant", "eve": "viewer"}


@pytest.fixture(scope="module")
def keys(triangle, tmp_path_factory):
    """Identities beside the lab's admin: made, allowed, and used from a folder of their own."""
    folder = tmp_path_factory.mktemp("keys")
    for name, role in NAMES.items():
        subprocess.run([triangle.build / "vnctl", "keys", "new", name, role], cwd=folder, check=True, capture_output=True)
        triangle.vnctl("keys", "allow", folder / f"{name}.pub")
    yield folder
    for view in triangle.ask("list"):
        triangle.vnctl("release", f"{view['owner']}/{view['name']}")


def as_(lab, keys, who, *words, code=0, stdin=""):
    return lab.vnctl("-k", keys / f"{who}.key", *words, code=code, stdin=stdin)


def ask_as(lab, keys, who, *words):
    return json.loads(as_(lab, keys, who, "-o", "json", *words).out)


def demo(name="demo", **more):
    return request(name, **more)


def set_quotas(lab, text):
    (lab.dir / "tenants.yaml").write_text("kind: tenants\n" + text)
    lab.vnctl("reload")


def test_each_its_own(triangle, keys):
    for who in ("alice", "bob"):
        as_(triangle, keys, who, "submit", "-", stdin=demo())
    for who in ("alice", "bob"):
        assert [(v["owner"], v["name"]) for v in ask_as(triangle, keys, who, "list")] == [(who, "demo")]
        assert ask_as(triangle, keys, who, "show", "demo")["owner"] == who
    assert {(v["owner"], v["name"]) for v in triangle.ask("list")} >= {("alice", "demo"), ("bob", "demo")}
    assert "write alice/demo or bob/demo" in triangle.vnctl("show", "demo", code=1).err
    before = ask_as(triangle, keys, "bob", "show", "demo")
    nothing = as_(triangle, keys, "alice", "show", "bob/nothing", code=1).err.replace("nothing", "demo")
    for words in (["show", "bob/demo"], ["show", "bob/demo", "--routes"], ["release", "bob/demo"], ["plane", "bob/demo", "r1", "get"]):
        assert as_(triangle, keys, "alice", *words, code=1).err == nothing, "another's is as if it were not"
    assert "is named bob/demo" in as_(triangle, keys, "alice", "show", "bob/demo", "--history", code=1).err
    assert "is named bob/demo" in as_(triangle, keys, "alice", "exec", "bob/demo", "r1", "--", "true", code=1).err
    assert as_(triangle, keys, "alice", "update", "bob/demo", "-", stdin=demo(bandwidth="1mbit"), code=1)
    for words in (["drain", "a"], ["undrain", "a"], ["reload"], ["backup", "/tmp/never"], ["keys", "list"], ["join", "a"]):
        assert "role tenant may not ask for" in as_(triangle, keys, "alice", *words, code=1).err
    after = ask_as(triangle, keys, "bob", "show", "demo")
    assert (before["generation"], before["state"]) == (after["generation"], after["state"])
    assert {e["object"] for e in ask_as(triangle, keys, "alice", "events")} == {"alice/demo"}


def test_a_viewer_sees_and_touches_nothing(triangle, keys):
    assert {v["owner"] for v in ask_as(triangle, keys, "eve", "list")} == {"alice", "bob"}
    assert ask_as(triangle, keys, "eve", "show", "bob/demo")["state"] == "active"
    for words, stdin in ((["submit", "-"], demo("eves")), (["release", "bob/demo"], ""), (["update", "bob/demo", "-"], demo())):
        assert "role viewer may not" in as_(triangle, keys, "eve", *words, code=1, stdin=stdin).err
    assert as_(triangle, keys, "eve", "exec", "bob/demo", "r1", "--", "true", code=None).code == 1


def test_what_nodes_and_links_show_to_tenants(triangle, keys):
    whole = {n["name"]: n for n in triangle.ask("nodes")}
    assert all(n["address"] for n in whole.values())
    eventually(lambda: all("mbit_now" in link for link in triangle.ask("links")))
    for node in ask_as(triangle, keys, "alice", "nodes"):
        assert not node.get("address") and "cpu_used_ratio" not in node
        assert node["routers"] == 1 and whole[node["name"]]["routers"] == 2, "its own, not bob's"
    assert all("mbit_now" not in link for link in ask_as(triangle, keys, "alice", "links"))


def test_what_was_measured(triangle, keys):
    """History is everybody's of the own networks, and of nodes and links the operator's."""
    def history(who, of, code=0):
        return as_(triangle, keys, who, "-o", "json", "audit", of, "--history", "--since", "1h", code=code)
    eventually(lambda: any("cpu_ratio" in p for p in json.loads(history("eve", "node:a").out)["points"]))
    eventually(lambda: history("alice", "network:alice/demo", None).code == 0)
    for of in ("link:a-b", "network:alice/demo", "router:alice/demo/r1", "vlink:alice/demo/r1-r2"):
        check_schema("series", json.loads(history("eve", of).out))
    assert json.loads(history("alice", "vlink:alice/demo/r1-r2").out)["step_ms"] == 60000
    assert "admins and viewers" in history("alice", "node:a", 1).err
    assert "no history" in history("alice", "network:bob/demo", 1).err and "no history" in history("eve", "node:nowhere", 1).err
    assert "expected node:NAME" in history("eve", "a", 1).err
    triangle.vnctl("audit", "node:a", "--history", "--probe", code=2)


def test_quotas(triangle, keys):
    set_quotas(triangle, "default: {networks: 2}\ntenants:\n  - {name: alice, networks: 5, routers: 5, bandwidth: 100mbit}\n")
    err = as_(triangle, keys, "alice", "submit", "-", stdin=demo("second"), code=1).err
    assert "quota of alice: routers: 3 in use, 3 asked for, 5 allowed" in err, err
    quotas = {q["tenant"]: q for q in ask_as(triangle, keys, "eve", "quota")}
    check_schema("quota", list(quotas.values()), many=True)
    assert quotas["alice"]["routers"] == 3 and quotas["alice"]["routers_allowed"] == 5
    assert [q["tenant"] for q in ask_as(triangle, keys, "bob", "quota")] == ["bob"]
    # ten at once: what is still being embedded holds nothing yet, and yet no more than allowed are taken
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda i: as_(triangle, keys, "bob", "submit", "-", "--wait", "accepted", stdin=demo(f"n{i}"), code=None), range(10)))
    assert sorted(d.code for d in done) == [0] + [1] * 9, done
    assert all("quota of bob: networks: 2 in use" in d.err for d in done if d.code)
    # larger by update is no way around; smaller is welcome even where a quota was lowered below what is held
    grown = as_(triangle, keys, "alice", "update", "-", stdin=demo(bandwidth="60mbit"), code=1).err
    assert "quota of alice: bandwidth" in grown, grown
    set_quotas(triangle, "tenants:\n  - {name: alice, bandwidth: 1mbit}\n")
    as_(triangle, keys, "alice", "update", "-", stdin=demo(bandwidth="5mbit"))
    (triangle.dir / "tenants.yaml").write_text("kind: tenants\ndefault: {core: 1}\n")
    assert "tenants.yaml:2:11" in triangle.vnctl("reload", code=2).err
    assert "1mbit" in as_(triangle, keys, "alice", "quota").out, "what was wrong has changed nothing"
    set_quotas(triangle, "")
    as_(triangle, keys, "alice", "update", "-", stdin=demo())


def test_the_audit_log(triangle, keys):
    as_(triangle, keys, "alice", "exec", "demo", "r1", "--", "echo", "tab\there", "\033[31m")
    entries = triangle.ask("log")
    check_schema("log", entries, many=True)
    assert [e["sequence"] for e in entries] == list(range(entries[0]["sequence"], entries[0]["sequence"] + len(entries)))
    found = {(e["who"], e["what"], e["code"]) for e in entries}
    assert found >= {("alice", "submit", 0), ("alice", "submit", 1), ("bob", "submit", 0), ("alice", "release", 1), ("alice", "drain", 1),
                     ("eve", "release", 1), ("admin", "keys", 0), ("admin", "reload", 0), ("admin", "reload", 2), ("alice", "update", 0)}
    assert any(e["what"] == "submit" and e["object"] == "alice/demo" and e["from"] for e in entries)
    assert {e["who"] for e in ask_as(triangle, keys, "alice", "log")} == {"alice"}
    assert {e["who"] for e in triangle.ask("log", "bob")} == {"bob"}
    assert "\033" not in triangle.vnctl("log").out
    triangle.kill("vned")
    triangle.restart("vned")
    eventually(lambda: triangle.vnctl("list", code=None).code == 0)
    again = triangle.ask("log")
    assert again[:len(entries)] == entries, "it only grows"
    eventually(lambda: triangle.nodes_up() == {"a", "b", "c"})
    as_(triangle, keys, "alice", "release", "demo")
    assert triangle.ask("log")[-1]["sequence"] == again[-1]["sequence"] + 1
    assert triangle.ask("log", "--until", "2020-01-01") == []
    assert "expected a date" in triangle.vnctl("log", "--since", "yesterday", code=2).err


def test_use_for_billing(triangle, keys):
    """Bob's network has stood all the while: what he is charged is the time since, through a crash of vned, and not twice."""
    def charged():
        rows = list(csv.DictReader(io.StringIO(as_(triangle, keys, "bob", "-o", "csv", "usage").out)))
        return sum(float(r["core_hours"]) for r in rows), rows

    def due():
        """Cores times hours of what stands, since it was asked for."""
        views = [ask_as(triangle, keys, "bob", "show", v["name"]) for v in ask_as(triangle, keys, "bob", "list")]
        return sum(sum(r["cpu"] for r in v["routers"]) * (time.time() - v["submitted_ms"] / 1000) / 3600 for v in views)
    eventually(lambda: 0.8 * due() < charged()[0] < 1.1 * due())
    rows = charged()[1]
    check_schema("usage", ask_as(triangle, keys, "bob", "usage"), many=True)
    assert {r["owner"] for r in rows} == {"bob"} and float(rows[0]["mbit_hours"]) > 0 and float(rows[0]["memory_gib_hours"]) >= 0
    assert {v["owner"] for v in triangle.ask("usage", "--by", "hour")} == {"alice", "bob"}, "alice's has ended"
    triangle.kill("vned")
    triangle.restart("vned")
    eventually(lambda: triangle.vnctl("list", code=None).code == 0)
    eventually(lambda: 0.8 * due() < charged()[0] < 1.1 * due())
    assert "only usage" in triangle.vnctl("-o", "csv", "list", code=2).err
