# SPDX-License-Identifier: GPL-3.0-or-later
"""The substrate's file changes while networks run on it: what is new counts, what goes is left first, what was promised holds."""
import re

import pytest

from lab import TOPOLOGIES, check_schema, eventually, running_lab

NETS = """\
kind: network
name: pair
nodes:
  - {name: a, cpu: 1, place: {on: [seat]}}
  - {name: b, cpu: 1, place: {on: [sunn, losa]}}
links:
  - {endpoints: [a, b], bandwidth: 10mbit}
---
kind: network
name: loose
nodes:
  - {name: x, cpu: 0.1, place: {on: [seat]}}
  - {name: y, cpu: 0.1, place: {on: [denv]}}
links:
  - {endpoints: [x, y], bandwidth: 0mbit}
"""


@pytest.fixture(scope="module")
def lab(root):
    with running_lab(TOPOLOGIES / "abilene.yaml") as lab:
        yield lab


class File:
    """The substrate's file of a lab, a line per node and link."""

    def __init__(self, lab):
        self.lab, self.path = lab, lab.dir / "substrate.yaml"
        self.whole = self.path.read_text()

    def without(self, *names):
        """Nodes with their links, or links, by name."""
        def gone(line):
            about = re.findall(r"name: ([^,}]+)", line) + [n for ends in re.findall(r"endpoints: \[(.*?)\]", line) for n in ends.split(", ")]
            about += ["-".join(ends.split(", ")) for ends in re.findall(r"endpoints: \[(.*?)\]", line)]
            return any(name in about for name in names)
        kept = [line for line in self.whole.splitlines() if not gone(line)]
        assert len(kept) < len(self.whole.splitlines())
        self.path.write_text("\n".join(kept) + "\n")

    def replace(self, old, new):
        assert old in self.whole
        self.path.write_text(self.whole.replace(old, new, 1))

    def again(self):
        self.path.write_text(self.whole)
        return self.lab.vnctl("reload").out


@pytest.fixture
def file(lab):
    file = File(lab)
    yield file
    file.again()
    eventually(lambda: len(lab.nodes_up()) == 11)
    for net in lab.ask("list"):
        lab.vnctl("release", net["name"])
    eventually(lambda: lab.ask("list") == [])


def names(lab, what):
    return {v["name"] for v in lab.ask(what)}


def host(lab, net, router):
    return next(r["node"] for r in lab.ask("show", net)["routers"] if r["name"] == router)


def way(lab, net):
    return lab.ask("show", net)["links"][0]["paths"][0]["via"]


def works(lab, net, a, b):
    lab.in_router(net, a, f"ping -n -q -c 3 -W 2 {lab.loopback(net, b)}")
    return True


def test_a_node_goes_and_comes(lab, file):
    lab.submit(NETS)
    left = host(lab, "pair", "b")
    other = ({"sunn", "losa"} - {left}).pop()
    file.without(left)
    said = lab.vnctl("reload").out
    assert "gone from the file: 1 and " in said and f"node {left} goes once no network is on it" in said, said
    leaving = next((n for n in lab.ask("nodes") if n["name"] == left), None)
    assert leaving is None or leaving["leaves"] is True
    eventually(lambda: host(lab, "pair", "b") == other and lab.state("pair") == "active")
    assert works(lab, "pair", "a", "b") and left not in way(lab, "pair")
    eventually(lambda: left not in names(lab, "nodes"))
    assert not any(left in k["endpoints"] for k in lab.ask("links"))
    assert not lab.routers_on(left)
    assert "no node" in lab.vnctl("drain", left, code=1).err
    lab.kill("vned")
    lab.restart("vned")
    eventually(lambda: len(lab.nodes_up()) == 10)
    assert works(lab, "pair", "a", "b") and works(lab, "loose", "x", "y")
    file.again()
    eventually(lambda: left in lab.nodes_up())
    lab.submit(f"kind: network\nname: there\nnodes: [{{name: z, cpu: 1, place: {{on: [{left}]}}}}]\n")
    assert host(lab, "there", "z") == left
    for view in lab.ask("nodes"):
        check_schema("node", view)


def test_who_cannot_leave_keeps_what_it_is_on(lab, file):
    lab.submit("kind: network\nname: bound\nnodes:\n  - {name: a, cpu: 1, place: {on: [seat]}}\n  - {name: b, cpu: 1, place: {on: [hous]}}\n"
               "links:\n  - {endpoints: [a, b], bandwidth: 1mbit}\n")
    file.without("hous")
    assert "node hous goes once no network is on it" in lab.vnctl("reload").out
    assert next(n for n in lab.ask("nodes") if n["name"] == "hous")["leaves"] is True
    assert "put it back and reload" in lab.vnctl("undrain", "hous", code=1).err
    lab.submit("kind: network\nname: no\nnodes: [{name: z, cpu: 0.1, place: {on: [hous]}}]\n", code=1)
    lab.kill("vned")  # what its networks are on, vned knows without the file
    lab.restart("vned")
    eventually(lambda: len(lab.nodes_up()) == 11)
    assert works(lab, "bound", "a", "b")
    assert next(n for n in lab.ask("nodes") if n["name"] == "hous")["leaves"] is True
    lab.vnctl("release", "bound")
    eventually(lambda: "hous" not in names(lab, "nodes"))
    assert any(e["what"] == "has left the substrate" for e in lab.ask("events") if e["object"] == "hous")


def test_a_file_that_changed_while_vned_was_away(lab, file):
    lab.submit(NETS)
    left = host(lab, "pair", "b")
    lab.kill("vned")
    file.without(left)
    lab.restart("vned")
    eventually(lambda: host(lab, "pair", "b") != left and lab.state("pair") == "active")
    eventually(lambda: left not in names(lab, "nodes"))
    assert works(lab, "pair", "a", "b")


def test_links_go_and_come(lab, file):
    """Best effort goes where the fewest links are, of those that there are; what stands stays where it is."""
    lab.submit(NETS)
    assert way(lab, "loose") == ["seat", "denv"]
    file.without("seat-denv")
    lab.vnctl("reload")
    eventually(lambda: way(lab, "loose") == ["seat", "sunn", "denv"] and lab.state("loose") == "active")
    assert works(lab, "loose", "x", "y")
    eventually(lambda: "seat-denv" not in names(lab, "links"))
    file.again()
    assert "seat-denv" in names(lab, "links")
    assert way(lab, "loose") == ["seat", "sunn", "denv"]
    lab.kill("vned")
    lab.restart("vned")
    eventually(lambda: len(lab.nodes_up()) == 11)
    assert way(lab, "loose") == ["seat", "sunn", "denv"] and lab.state("loose") == "active"


def test_best_effort_goes_around_a_cut(lab, file):
    lab.submit(NETS)
    cut = next(k["name"] for k in lab.ask("links") if set(k["endpoints"]) == {"seat", "denv"})
    lab.on_node("seat", "ip", "link", "set", cut, "down")
    try:
        eventually(lambda: way(lab, "loose") == ["seat", "sunn", "denv"] and lab.state("loose") == "active")
        assert works(lab, "loose", "x", "y")
    finally:
        lab.on_node("seat", "ip", "link", "set", cut, "up")


def test_what_was_promised_holds(lab, file):
    lab.submit(NETS)
    node = host(lab, "pair", "b")
    line = next(n for n in file.whole.splitlines() if f"name: {node}," in n)
    before = lab.ask("nodes"), lab.ask("links")
    for old, new, reason in ((line, line.replace("cpu: 4", "cpu: 0.5"), "network admin/pair would no longer fit"),
                             ("kind: substrate", "kind: substrat", "kind"),
                             ("kind: substrate", "kind: substrate\nkind: [", "substrate.yaml:")):
        file.replace(old, new)
        done = lab.vnctl("reload", code=2)
        assert reason in done.err, done
    after = lab.ask("nodes"), lab.ask("links")
    assert [n["name"] for n in before[0]] == [n["name"] for n in after[0]] and [k["name"] for k in before[1]] == [k["name"] for k in after[1]]
    file.replace(line, line.replace("cpu: 4", "cpu: 1"))
    lab.vnctl("reload")
    assert next(n for n in lab.ask("nodes") if n["name"] == node)["cpu"] == 1
    assert works(lab, "pair", "a", "b")
