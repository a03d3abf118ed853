# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network loses is put elsewhere, what it keeps stays; a drained node is empty; who has no place waits for one."""
import re

import pytest

from lab import TOPOLOGIES, eventually, running_lab
from test_update import Pings, addresses, ring


@pytest.fixture(scope="module")
def lab(root):
    with running_lab(TOPOLOGIES / "abilene.yaml") as lab:
        yield lab


@pytest.fixture
def net(lab):
    lab.submit(ring())
    yield "ring"
    lab.vnctl("release", "ring")
    eventually(lambda: lab.ask("list") == [])
    eventually(lambda: all(lab.bare(n) for n in lab.nodes_up()))


def paths(lab):
    return {k["name"]: k["paths"] for k in lab.ask("show", "ring")["links"]}


def uses(link, slink):
    return any(slink in p["links"] for p in link)


def slink(lab, a, b):
    return next(k["name"] for k in lab.ask("links") if set(k["endpoints"]) == {a, b})


def test_a_link_is_cut(lab, net):
    cut = slink(lab, "hous", "kans")  # r4-r5, r3-r4
    before, old = lab.ask("show", net), paths(lab)
    hurt = {name for name, way in old.items() if uses(way, cut)}
    assert hurt
    pings = Pings(lab, [name for name in old if name not in hurt])
    lab.on_node("hous", "ip", "link", "set", cut, "down")
    try:
        eventually(lambda: "lost" in next(k for k in lab.ask("links") if k["name"] == cut))
        eventually(lambda: not any(uses(way, cut) for way in paths(lab).values()) and lab.state(net) == "active")
        after = lab.ask("show", net)
        assert addresses(after) == addresses(before)
        assert {r["name"]: r["node"] for r in after["routers"]} == {r["name"]: r["node"] for r in before["routers"]}
        assert {n for n, way in paths(lab).items() if way != old[n]} == hurt  # touches only what was lost
        for name in hurt:
            link = next(k for k in after["links"] if k["name"] == name)
            assert " 0% packet loss" in lab.in_router(net, link["endpoints"][0], f"ping -n -q -c 3 {link['addresses'][1]}").out
        assert set(pings.lost().values()) == {0}
        history = lab.ask("show", net, "--history")
        assert any(s["state"] == "degraded" and cut in s["why"] for s in history), history
    finally:
        lab.on_node("hous", "ip", "link", "set", cut, "up")
    eventually(lambda: "lost" not in next(k for k in lab.ask("links") if k["name"] == cut))


def test_who_has_no_place_waits_for_one(lab):
    lab.submit("kind: network\nname: stuck\nnodes:\n  - {name: a, cpu: 0.1, place: {on: [seat]}}\n  - {name: b, cpu: 0.1, place: {on: [sunn]}}\n"
               "links:\n  - {endpoints: [a, b], bandwidth: 1mbit, max_delay: 6ms}\n")
    cut = slink(lab, "seat", "sunn")
    lab.on_node("sunn", "ip", "link", "set", cut, "down")
    try:
        reason = eventually(lambda: lab.ask("show", "stuck").get("reason"))
        eventually(lambda: re.search(rf"link {cut} is down at .*, which virtual link a-b goes over; it cannot be moved: ", lab.ask("show", "stuck").get("reason", "")))
        assert lab.state("stuck") == "degraded", reason
    finally:
        lab.on_node("sunn", "ip", "link", "set", cut, "up")
    eventually(lambda: lab.state("stuck") == "active")
    lab.in_router("stuck", "a", f"ping -n -q -c 3 {lab.loopback('stuck', 'b')}")
    lab.vnctl("release", "stuck")


def test_drain(lab, net):
    free = ring(place={9: "newy, wash"})
    lab.vnctl("update", "-", stdin=free)
    before = lab.ask("show", net)
    pings = Pings(lab, ["r1-r2", "r2-r3", "r3-r4"])
    node = next(r["node"] for r in before["routers"] if r["name"] == "r9")
    lab.vnctl("drain", node)
    after = lab.ask("show", net)
    assert next(r["node"] for r in after["routers"] if r["name"] == "r9") == ({"newy", "wash"} - {node}).pop()
    assert not any(node in p["via"] for k in after["links"] for p in k["paths"])
    eventually(lambda: lab.bare(node))
    assert set(pings.lost().values()) == {0} and addresses(after) == addresses(before)
    assert next(n for n in lab.ask("nodes") if n["name"] == node)["drained"] is True
    lab.kill("vned")
    lab.restart("vned")
    eventually(lambda: len(lab.nodes_up()) == 11)
    assert next(n for n in lab.ask("nodes") if n["name"] == node)["drained"] is True
    refused = lab.submit(f"kind: network\nname: there\nnodes: [{{name: x, cpu: 0.1, place: {{on: [{node}]}}}}]\n", code=1)
    assert refused.err
    cannot = lab.vnctl("drain", "seat", code=1)  # r0 may be nowhere else
    assert "admin/ring" in cannot.err and lab.state(net) == "active"
    lab.vnctl("undrain", "seat")
    lab.vnctl("undrain", node)
    assert "drained" not in next(n for n in lab.ask("nodes") if n["name"] == node)
    assert "no node nowhere" in lab.vnctl("drain", "nowhere", code=1).err


def test_a_node_is_lost_and_comes_back(lab):
    lab.submit("kind: network\nname: pair\nnodes:\n  - {name: a, cpu: 0.1, place: {on: [losa, seat]}}\n  - {name: b, cpu: 0.1, place: {on: [sunn]}}\n"
               "links:\n  - {endpoints: [a, b], bandwidth: 1mbit}\n")
    node = next(r["node"] for r in lab.ask("show", "pair")["routers"] if r["name"] == "a")
    other = ({"losa", "seat"} - {node}).pop()
    cables = [k["name"] for k in lab.ask("links") if node in k["endpoints"]]
    lab.kill(node, "STOP")
    for cable in cables:
        lab.on_node(node, "ip", "link", "set", cable, "down")
    try:
        eventually(lambda: next(r["node"] for r in lab.ask("show", "pair")["routers"] if r["name"] == "a") == other and lab.state("pair") == "active", 30)
        assert any(s["state"] == "updating" and s["why"].startswith("repair: ") for s in lab.ask("show", "pair", "--history"))
        lab.in_router("pair", "b", f"ping -n -q -c 3 {lab.loopback('pair', 'a')}")
        assert lab.routers_on(node)  # nobody could tell it
    finally:
        for cable in cables:
            lab.on_node(node, "ip", "link", "set", cable, "up")
        lab.kill(node, "CONT")
    eventually(lambda: len(lab.nodes_up()) == 11)
    eventually(lambda: lab.bare(node))
    lab.vnctl("release", "pair")
