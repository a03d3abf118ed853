# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays embeddings against substrate and requests, read by another YAML library: what a user who
does not trust us would write. It knows cpu, memory, bandwidth, delay, cost and disjoint backups."""
import re
from fractions import Fraction

import yaml


class LOADER(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Without the booleans of YAML 1.1: `on` is a word here."""
    yaml_implicit_resolvers = {first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:bool"]
                               for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()}


LOADER.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def quantity(text, units):
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return Fraction(number) * units[unit.lower()]


def mbit(text):
    return quantity(text, {"kbit": Fraction(1, 1000), "mbit": 1, "gbit": 1000})


def seconds(text):
    return quantity(text, {"us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": 1, "m": 60, "h": 3600, "d": 86400})


def memory(text):
    return quantity(text, {"kib": 1, "mib": 1024, "gib": 1024**2, "": 1})


class Substrate:
    def __init__(self, path):
        data = yaml.load(open(path), LOADER)
        self.nodes = {n["name"]: n for n in data["nodes"]}
        self.links = {l.get("name", "-".join(l["endpoints"])): l for l in data["links"]}
        self.cpu = {n: Fraction(str(d["cpu"])) for n, d in self.nodes.items()}
        self.memory = {n: memory(d["memory"]) for n, d in self.nodes.items() if "memory" in d}
        self.mbit = {n: mbit(d["bandwidth"]) for n, d in self.links.items()}
        self.running = {}

    def walk(self, path):
        """Asserts that via and links are one simple path; returns its delay."""
        via, links = path["via"], path["links"]
        assert len(via) == len(links) + 1 == len(set(via))
        for here, link, there in zip(via, links, via[1:]):
            assert {here, there} == set(self.links[link]["endpoints"])
        return sum(seconds(self.links[l].get("delay", "0us")) for l in links)

    def take(self, request, result):
        """Asserts that the result embeds the request onto what is left, and takes it; returns its cost."""
        nodes = {n["name"]: n for n in request["nodes"]}
        links = {l.get("name", "-".join(l["endpoints"])): l for l in request["links"]}
        hosts, cost, taken = result["nodes"], Fraction(0), []
        assert set(hosts) == set(nodes) and [l["name"] for l in result["links"]] == list(links)
        if request.get("placement", "distinct") == "distinct":
            assert len(set(hosts.values())) == len(hosts)
        for name, node in nodes.items():
            host = self.nodes[hosts[name]]
            on = node.get("place", {}).get("on")
            assert not on or host["name"] in on
            assert host.get("agent", True) and host["name"] not in node.get("place", {}).get("not_on", [])
            taken.append((self.cpu, host["name"], Fraction(str(node["cpu"]))))
            if host["name"] in self.memory:
                taken.append((self.memory, host["name"], memory(node.get("memory", 0))))
            cost += Fraction(str(node["cpu"])) * Fraction(str(host.get("cost", 1)))
        for link in result["links"]:
            asked = links[link["name"]]
            ends = [hosts[e] for e in asked["endpoints"]]
            paths = link["paths"] + ([link["backup"]] if "backup" in link else [])
            if ends[0] == ends[1]:
                assert paths == []
                continue
            assert sum(Fraction(str(p["mbit"])) for p in link["paths"]) == mbit(asked["bandwidth"])
            assert len(link["paths"]) <= (8 if asked.get("paths") == "split" else 1)
            if asked.get("protection") == "link":
                assert not set(link["paths"][0]["links"]) & set(link["backup"]["links"])
            for path in paths:
                assert [path["via"][0], path["via"][-1]] == ends
                delay = self.walk(path)
                assert "max_delay" not in asked or delay <= seconds(asked["max_delay"])
                for l in path["links"]:
                    taken.append((self.mbit, l, Fraction(str(path["mbit"]))))
                    cost += Fraction(str(path["mbit"])) * Fraction(str(self.links[l].get("cost", 1)))
        for left, name, amount in taken:
            left[name] -= amount
            assert left[name] >= 0, f"{name} is overloaded"
        self.running[request["name"]] = taken
        return cost

    def give(self, name):
        for left, where, amount in self.running.pop(name):
            left[where] += amount


def revenue(request):
    return (sum(Fraction(str(n["cpu"])) for n in request["nodes"])
            + sum(mbit(l["bandwidth"]) for l in request["links"]))


def requests(path):
    """The documents of a file, with `defaults` filled in."""
    for document in yaml.load_all(open(path), LOADER):
        defaults = document.get("defaults", {})
        document["nodes"] = [{**defaults.get("node", {}), **n} for n in document["nodes"]]
        document["links"] = [{**defaults.get("link", {}), **l} for l in document.get("links", [])]
        yield document


class Stream:
    """A run of vnsim, replayed from its --embeddings: asserts that each embedding fits what is left at its time,
    those that leave first, and adds up what is reported. `each` is called with every request before its answer
    is taken: (substrate as it is then, request, result)."""

    def __init__(self, substrate_path, trace_path, lines, each=None):
        substrate, ends = Substrate(substrate_path), {}
        self.requests = self.accepted = 0
        self.revenue, self.cost, self.revenue_time = Fraction(0), Fraction(0), Fraction(0)
        for request, result in zip(requests(trace_path), lines, strict=True):
            assert result["request"] == request["name"]
            at = seconds(request["arrival"])
            for gone in [n for n, end in ends.items() if end <= at]:
                substrate.give(gone)
                del ends[gone]
            self.requests += 1
            if each:
                each(substrate, request, result)
            if "nodes" not in result:
                continue
            cost = substrate.take(request, result)
            assert abs(cost - Fraction(str(result["cost"]))) <= cost / 10**9
            if "lifetime" in request:
                ends[request["name"]] = at + seconds(request["lifetime"])
            self.accepted += 1
            self.cost += cost
            self.revenue += revenue(request)
            self.revenue_time += revenue(request) * seconds(request.get("lifetime", "0s"))
        self.last_arrival = at
        self.acceptance_ratio = self.accepted / self.requests
        self.revenue_to_cost = float(self.revenue / self.cost) if self.cost else 0.0
        self.long_term_revenue = float(self.revenue_time / at) if at else 0.0
