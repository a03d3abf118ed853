# SPDX-License-Identifier: GPL-3.0-or-later
"""A running network becomes another: what stays, stays, its packets too; what cannot be leaves it as it was."""
import json
import re
import subprocess

import pytest

from lab import BUILD, TOPOLOGIES, check_schema, eventually, running_lab

NODES = ["seat", "sunn", "losa", "denv", "hous", "kans", "chic", "indi", "atla", "newy"]


@pytest.fixture(scope="module")
def lab(root):
    with running_lab(TOPOLOGIES / "abilene.yaml") as lab:
        yield lab


def ring(n=10, bandwidth={}, extra_nodes="", extra_links="", gone=(), place={}):
    nodes = "".join(f"  - {{name: r{i}, place: {{on: [{place.get(i, NODES[i])}]}}}}\n" for i in range(n) if i not in gone)
    links = "".join(f"  - {{endpoints: [r{i}, r{(i + 1) % n}], bandwidth: {bandwidth.get(i, '5mbit')}}}\n"
                    for i in range(n) if not {i, (i + 1) % n} & set(gone))
    return ("kind: network\nname: ring\ndefaults: {node: {cpu: 0.1, memory: 16MiB}}\nnodes:\n" + nodes + extra_nodes +
            "links:\n" + links + extra_links)


@pytest.fixture
def net(lab):
    lab.submit(ring())
    yield "ring"
    lab.vnctl("release", "ring")
    eventually(lambda: all(lab.bare(n) for n in lab.nodes_up()))


def inside(lab, router, script):
    return [BUILD / "vnctl", "exec", "ring", router, "--", "sh", "-c", script]


class Pings:
    """One ping per link, from its first end to its second, all at once."""
    def __init__(self, lab, links, count=400, interval=0.01):
        view = lab.ask("show", "ring")
        self.running = {}
        for link in view["links"]:
            if link["name"] in links:
                script = f"ping -n -q -c {count} -i {interval} -W 2 {link['addresses'][1]}"
                self.running[link["name"]] = lab.start("vnctl", "exec", "ring", link["endpoints"][0], "--", "sh", "-c", script,
                                                       stdout=subprocess.PIPE)
        eventually(lambda: all(self.begun(lab, link) for link in view["links"] if link["name"] in links))

    @staticmethod
    def begun(lab, link):
        now = next(x for x in lab.ask("show", "ring")["links"] if x["name"] == link["name"])
        return now["frames"][0] > link["frames"][0] + 10

    def lost(self):
        ret = {}
        for name, ping in self.running.items():
            out, _ = ping.communicate(timeout=90)
            sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
            assert sent > 0, out
            ret[name] = sent - received
        return ret


def update(lab, text, *words, code=0):
    return lab.vnctl("update", "-", *words, stdin=text, code=code)


def addresses(view):
    return ({r["name"]: r["loopbacks"] for r in view["routers"]}, {k["name"]: k["addresses"] for k in view["links"]})


def objects(lab):
    return {n: (lab.routers_on(n), lab.devices_on(n)) for n in sorted(lab.nodes_up())}


def test_one_link_of_ten(lab, net):
    before = lab.ask("show", net)
    others = [k["name"] for k in before["links"] if k["name"] != "r2-r3"]
    pings = Pings(lab, others)
    planned = lab.vnctl("-o", "json", "plan", "-", stdin=ring(bandwidth={2: "12mbit"}))
    assert '"bandwidth 5mbit → 12mbit"' in planned.out
    update(lab, ring(bandwidth={2: "12mbit"}))
    after = lab.ask("show", net)
    check_schema("network", after)
    assert after["state"] == "active" and after["generation"] == before["generation"] + 1
    assert addresses(after) == addresses(before)
    assert next(k["mbit"] for k in after["links"] if k["name"] == "r2-r3") == 12
    assert [k["paths"] for k in after["links"]][0] == [k["paths"] for k in before["links"]][0]
    assert set(pings.lost().values()) == {0}


def test_routers_come_and_go(lab, net):
    before = lab.ask("show", net)
    pings = Pings(lab, [f"r{i}-r{i + 1}" for i in range(8)])
    more = ring(extra_nodes="  - {name: new}\n", extra_links="  - {endpoints: [r0, new], bandwidth: 2mbit}\n  - {endpoints: [new, r5], bandwidth: 2mbit}\n")
    update(lab, more)
    grown = lab.ask("show", net)
    assert grown["router_count"] == 11 and addresses(grown)[0].items() >= addresses(before)[0].items()
    new = next(r["loopbacks"][0] for r in grown["routers"] if r["name"] == "new").split("/")[0]
    assert "0% packet loss" in lab.in_router(net, "r9", f"ping -n -q -c 3 {new}").out
    update(lab, ring(gone=(9,)))
    shrunk = lab.ask("show", net)
    assert shrunk["router_count"] == 9 and addresses(shrunk)[0].items() <= addresses(before)[0].items()
    assert all(n == 0 for name, n in pings.lost().items()), pings
    assert "newy" not in {r["node"] for r in shrunk["routers"]}
    update(lab, ring())
    again = lab.ask("show", net)
    assert again["router_count"] == 10
    loopback = next(r["loopbacks"][0] for r in again["routers"] if r["name"] == "r9").split("/")[0]
    assert "0% packet loss" in lab.in_router(net, "r4", f"ping -n -q -c 3 {loopback}").out


def test_a_router_moves(lab, net):
    before = lab.ask("show", net)
    pings = Pings(lab, [f"r{i}-r{i + 1}" for i in range(8)])
    moved = ring(place={9: "wash"})
    plan = json.loads(lab.vnctl("-o", "json", "plan", "-", stdin=moved).out)[0]
    check_schema("network", plan)
    assert {"of": "router", "name": "r9", "change": "moves from newy to wash", "interrupted": True} in plan["changes"]
    assert {c["name"] for c in plan["changes"]} == {"r9", "r8-r9", "r9-r0"}
    assert lab.ask("show", net)["generation"] == before["generation"]
    update(lab, moved)
    after = lab.ask("show", net)
    assert next(r["node"] for r in after["routers"] if r["name"] == "r9") == "wash"
    assert addresses(after) == addresses(before)
    assert set(pings.lost().values()) == {0}
    assert lab.bare("newy") or "ring" not in str(lab.routers_on("newy"))
    loopback = next(r["loopbacks"][0] for r in after["routers"] if r["name"] == "r9").split("/")[0]
    eventually(lambda: lab.vnctl("exec", "ring", "r4", "--", "ping", "-n", "-q", "-c", "1", "-W", "1", loopback, code=None).code == 0)


def test_what_cannot_be_leaves_it_as_it_was(lab, net):
    before, things = lab.ask("show", net), objects(lab)
    pings = Pings(lab, [f"r{i}-r{i + 1}" for i in range(9)], count=200)
    refused = update(lab, ring(bandwidth={2: "2000mbit"}), code=1)
    assert refused.err, refused
    wrong = update(lab, ring().replace("name: ring", "name: gnir"), code=1)
    assert "no network is named gnir" in wrong.err
    named = lab.vnctl("update", "ring", "-", stdin=ring().replace("name: ring", "name: gnir"), code=1)
    assert "a network keeps its name" in named.err
    bad = update(lab, ring() + "nonsense: 1\n", code=2)
    assert "<stdin>:" in bad.err
    after = lab.ask("show", net)
    assert after["generation"] == before["generation"] and after["state"] == "active" and addresses(after) == addresses(before)
    assert objects(lab) == things
    assert set(pings.lost().values()) == {0}


def test_an_agent_that_dies_while_preparing(lab, net):
    """All or none: the old network goes on, and nothing of the new one is left anywhere."""
    before = lab.ask("show", net)
    lab.kill("denv", "STOP")
    try:
        refused = update(lab, ring(bandwidth={3: "9mbit"}), code=3)
        assert "denv" in refused.err, refused
    finally:
        lab.kill("denv", "CONT")
    eventually(lambda: len(lab.nodes_up()) == 11 and lab.state(net) == "active")
    after = lab.ask("show", net)
    assert addresses(after) == addresses(before) and next(k["mbit"] for k in after["links"] if k["name"] == "r3-r4") == 5
    update(lab, ring(bandwidth={3: "9mbit"}))
    assert next(k["mbit"] for k in lab.ask("show", net)["links"] if k["name"] == "r3-r4") == 9


def test_vned_killed_after_an_update(lab, net):
    update(lab, ring(bandwidth={1: "7mbit"}), "--wait", "accepted")
    lab.kill("vned")
    lab.restart("vned")
    eventually(lambda: len(lab.nodes_up()) == 11 and lab.state(net) == "active")
    assert next(k["mbit"] for k in lab.ask("show", net)["links"] if k["name"] == "r1-r2") == 7  # acknowledged
    update(lab, ring(place={9: "wash"}))
    history = lab.ask("show", net, "--history")
    assert any(step["state"] == "updating" for step in history), history
