#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node-link MIP of an embedding problem in CPLEX's LP format, for other people's solvers:
`nodelink.py SUBSTRATE REQUEST [strong] >model.lp`. Written from the YAML, without any code of ours.

x(u,a): virtual node u is on a; f(k,arc): virtual link k crosses the arc (a share of it, where it may be split).
`strong` adds "flow out of a ≥ x(u,a), flow into a ≥ x(v,a)", true as hosts are distinct. What these instances
do not ask for (protection, kinds, places by distance) is refused rather than left out.
"""
import sys
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import replay  # noqa: E402


def number(x):
    x = Fraction(x)
    return str(x.numerator) if x.denominator == 1 else repr(float(x))


def total(terms):
    """Terms (coefficient, variable) as LP format wants them: lines of bounded length."""
    words = [f"{'+' if c >= 0 else '-'} {number(abs(c))} {v}" for c, v in terms if c]
    return "\n ".join(" ".join(words[i:i + 8]) for i in range(0, len(words), 8)) or "0 zero"


class Model:
    def __init__(self, substrate_path, request, strong):
        self.s = replay.Substrate(substrate_path)
        self.strong = strong
        self.virtual = {n["name"]: n for n in request["nodes"]}
        self.wires = request["links"]
        assert request.get("placement", "distinct") == "distinct"
        assert all("protection" not in w and w["bandwidth"] != "0mbit" for w in self.wires)
        assert all(set(n.get("place", {})) <= {"on"} and "router" not in n for n in self.virtual.values())
        self.number = {n: i for i, n in enumerate(self.s.nodes)}
        self.order = {u: i for i, u in enumerate(self.virtual)}
        self.candidates = {u: [a for a in self.s.nodes if self.can_host(u, a)] for u in self.virtual}
        self.arcs = [(l, *ends) for l, d in self.s.links.items() for ends in (d["endpoints"], d["endpoints"][::-1])]
        self.rows, self.costs = [], []

    def can_host(self, u, a):
        node = self.virtual[u]
        on = node.get("place", {}).get("on")
        return ((not on or a in on) and self.s.cpu[a] >= Fraction(str(node["cpu"]))
                and self.s.memory.get(a, Fraction(10**18)) >= replay.memory(node.get("memory", 0)))

    def x(self, u, a):
        return f"x_{self.order[u]}_{self.number[a]}"

    def row(self, terms, sense, right):
        if any(c for c, _ in terms):
            self.rows.append(f" r{len(self.rows)}: {total(terms)} {sense} {number(right)}")
        elif (sense == "=" and right) or (sense == ">=" and right > 0):
            self.rows.append(f" r{len(self.rows)}: zero {sense} {number(right)}")  # nothing fits

    def place(self):
        for u, where in self.candidates.items():
            self.row([(1, self.x(u, a)) for a in where], "=", 1)
            self.costs += [(Fraction(str(self.virtual[u]["cpu"])) * Fraction(str(self.s.nodes[a].get("cost", 1))), self.x(u, a))
                           for a in where]
        for a in self.s.nodes:
            self.row([(1, self.x(u, a)) for u in self.virtual if a in self.candidates[u]], "<=", 1)

    def route(self, k, wire):
        """Variables on the arcs wide enough; conservation; the delay."""
        width = replay.mbit(wire["bandwidth"])
        need = Fraction(1, 1000) if wire.get("paths") == "split" else width
        flow = {(l, a, b): f"f_{k}_{i}" for i, (l, a, b) in enumerate(self.arcs) if self.s.mbit[l] >= need}
        ends = wire["endpoints"]
        outof = {a: [] for a in self.s.nodes}
        into = {a: [] for a in self.s.nodes}
        for (_, a, b), f in flow.items():
            outof[a].append((1, f))
            into[b].append((1, f))
        for a in self.s.nodes:
            here = [[(1, self.x(u, a))] if a in self.candidates[u] else [] for u in ends]
            self.row(outof[a] + [(-c, f) for c, f in into[a] + here[0]] + here[1], "=", 0)
            if self.strong and here[0]:
                self.row(outof[a] + [(-1, here[0][0][1])], ">=", 0)
            if self.strong and here[1]:
                self.row(into[a] + [(-1, here[1][0][1])], ">=", 0)
        if "max_delay" in wire:
            self.row([(replay.seconds(self.s.links[l].get("delay", "0us")) * 10**6, f) for (l, _, _), f in flow.items()],
                     "<=", replay.seconds(wire["max_delay"]) * 10**6)
        self.costs += [(width * Fraction(str(self.s.links[l].get("cost", 1))), f) for (l, _, _), f in flow.items()]
        return width, flow, wire.get("paths") == "split"

    def write(self, out):
        self.place()
        flows = [self.route(k, wire) for k, wire in enumerate(self.wires)]
        for l, d in self.s.links.items():
            a, b = d["endpoints"]
            self.row([(width, flow[arc]) for width, flow, _ in flows for arc in ((l, a, b), (l, b, a)) if arc in flow],
                     "<=", self.s.mbit[l])
        binary = [self.x(u, a) for u, where in self.candidates.items() for a in where]
        shares = [f for _, flow, split in flows if split for f in flow.values()]
        binary += [f for _, flow, split in flows if not split for f in flow.values()]
        out.write(f"Minimize\n cost: {total(self.costs)}\nSubject To\n" + "\n".join(self.rows) + "\nBounds\n zero = 0\n")
        out.writelines(f" 0 <= {f} <= 1\n" for f in shares)
        out.write("Binary\n" + "\n".join(f" {v}" for v in binary) + "\nEnd\n")


def write(substrate_path, request_path, strong, out):
    Model(substrate_path, next(replay.requests(request_path)), strong).write(out)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], "strong" in sys.argv[3:], sys.stdout)
