#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a proof that `vnembed --proof FILE` has written: that no embedding costs less than the
bound, or that there is none at all. Written from the formats and the theory alone, in integers of
unbounded size; it shares nothing with the solvers but the file.

    certificate.py SUBSTRATE.yaml REQUEST.yaml PROOF

The proof is a search tree, one JSON object a line. Messages and duals stand in parts: `parts` of them are one
unit of cost; prices in units of cost per kbit/s. A node of the tree narrows the domains of virtual nodes (`fix`) and ends closed: by a
bound above the limit, by an empty domain, or because the children of a `branch` cover the domain of a
virtual node and are closed. Bounds are by weak duality and need no trust in who found the numbers:

- prices λ ≥ 0 of links: an embedding's cost is at least its cost under the link costs w + λ, less Σ λ × capacity
  (`begin`; `route`: more of them, for the links whose hosts are known); the same with cover inequalities, at most so
  many of some virtual links across a link, if one more does not fit;
- messages m: each pair cost θ_e(a, b) is at least m_e,u(a) + m_e,v(b) + col_u,a(b) + col_v,b(a), where
  col ≤ 0 is counted once per host b, as neighbours stand on distinct hosts;
- p_u + q_a (q ≤ 0) is at most c_u(a) + Σ m + Σ col: the bound is Σ p + Σ q − Σ λ × capacity.
"""
import heapq
import json
import math
import sys
from fractions import Fraction
from math import gcd, lcm

import replay

INF = None


def greater(a, b):
    """a > b where None is infinite."""
    return b is not INF and (a is INF or a > b)


class Link:
    def __init__(self, number, document, index):
        self.number = number
        self.ends = [index[name] for name in document["endpoints"]]
        self.kbit = int(replay.mbit(document["bandwidth"]) * 1000)
        self.delay = document.get("max_delay")
        self.delay = self.delay and int(replay.seconds(self.delay) * 10**6)
        self.split = document.get("paths") == "split"
        self.protected = document.get("protection") == "link"


class Certificate:
    def __init__(self, substrate, request):
        self.read_substrate(substrate)
        self.read_request(request)

    def begin(self, line, claim):
        """Scales everything to whole numbers: `parts` to a unit of cost, and what the prices are fractions of."""
        parts = Fraction(line["parts"])
        weights = [parts * cost / 1000 for cost in self.cost]
        prices = [(l, Fraction(value) * parts) for l, value in line.get("prices", [])]
        covers = [(l, members, most, Fraction(value) * parts) for l, members, most, value in line.get("covers", [])]
        costs = [parts * cpu * cost for cpu in set(self.cpu) for cost in set(self.node_cost)]
        self.scale = lcm(*(x.denominator for x in weights + costs + [p for _, p in prices] + [c[3] for c in covers]))
        self.parts = parts * self.scale
        self.vcost = [[int(self.parts * cpu * cost) for cost in self.node_cost] for cpu in self.cpu]
        base = [int(w * self.scale) for w in weights]
        self.constant = 0
        self.plain = {k.number: [w * k.kbit for w in base] for k in self.links}
        self.priced = {}
        for l, price in prices:
            base[l] += self.charge(price, self.capacity[l])
        for k in self.links:
            self.priced[k.number] = [w * k.kbit for w in base]
        for l, members, most, value in covers:
            self.check_cover(l, members, most)
            price = self.charge(value, most)
            for k in members:
                self.priced[k][l] += price
        self.limit = self.set_limit(claim)
        self.known = {}
        root = self.tree.setdefault(0, {"domain": [set(d) for d in self.domain], "closed": False})
        root.update(branch=None, children={})

    def charge(self, price, amount):
        """The price in whole numbers; what it charges for all there is goes off every bound."""
        if price < 0:
            raise ValueError("a price is negative")
        price = int(price * self.scale)
        self.constant += price * amount
        return price

    # ---- the problem, as the formats define it -------------------------------------------------
    def read_substrate(self, path):
        s = replay.Substrate(path)
        self.names = list(s.nodes)
        index = {name: i for i, name in enumerate(self.names)}
        self.nodes = range(len(self.names))
        self.documents = [s.nodes[n] for n in self.names]
        self.has_cpu = [s.cpu[n] for n in self.names]
        self.has_memory = [s.memory.get(n) for n in self.names]
        self.node_cost = [Fraction(str(s.nodes[n].get("cost", 1))) for n in self.names]
        links = list(s.links.values())
        self.ends = [[index[e] for e in l["endpoints"]] for l in links]
        self.capacity = [int(replay.mbit(l["bandwidth"]) * 1000) for l in links]
        self.cost = [Fraction(str(l.get("cost", 1))) for l in links]
        self.delay = [int(replay.seconds(l.get("delay", "0us")) * 10**6) for l in links]
        self.around = [[] for _ in self.nodes]
        for l, (a, b) in enumerate(self.ends):
            self.around[a].append((b, l))
            self.around[b].append((a, l))

    def read_request(self, path):
        request = next(replay.requests(path))
        if request.get("placement", "distinct") != "distinct":
            raise ValueError("only distinct placement can be checked")
        nodes = request["nodes"]
        number = {n["name"]: i for i, n in enumerate(nodes)}
        self.cpu = [Fraction(str(n["cpu"])) for n in nodes]
        self.links = [Link(k, l, number) for k, l in enumerate(request["links"])]
        self.edges = {}
        for k in self.links:
            self.edges.setdefault(tuple(sorted(k.ends)), []).append(k)
        self.beside = [[] for _ in nodes]
        for u, v in self.edges:
            self.beside[u].append(v)
            self.beside[v].append(u)
        self.domain = []
        for n in nodes:
            if "router" in n or "uplinks" in n:
                raise ValueError("kinds and uplinks cannot be checked")
            place, need = n.get("place", {}), replay.memory(n.get("memory", 0))
            self.domain.append({a for a in self.nodes if self.has_cpu[a] >= Fraction(str(n["cpu"]))
                                and (self.has_memory[a] is None or self.has_memory[a] >= need)
                                and (not place.get("on") or self.names[a] in place["on"])
                                and self.names[a] not in place.get("not_on", [])
                                and set(place.get("labels", {}).items()) <= set(self.documents[a].get("labels", {}).items())
                                and ("near" not in place or is_near(place["near"], self.documents[a]))})

    def set_limit(self, claim):
        """What a bound must exceed. Costs are multiples of a unit: above one unit less, none is below the claim."""
        step = Fraction(0)
        for value in ([Fraction(k.kbit, 1000) * c for k in self.links for c in set(self.cost)]
                      + [cpu * c for cpu in set(self.cpu) for c in set(self.node_cost)]):
            step = Fraction(gcd(step.numerator * value.denominator, value.numerator * step.denominator),
                            step.denominator * value.denominator)
        if claim is not None:
            return (Fraction(claim) - step) * self.parts
        # with every link full and every router on the dearest host
        most = sum(cpu * max(self.node_cost[a] for a in d) for cpu, d in zip(self.cpu, self.domain) if d)
        most += sum(Fraction(kbit, 1000) * c for kbit, c in zip(self.capacity, self.cost))
        return most * self.parts

    # ---- distances -----------------------------------------------------------------------------
    def distances(self, k, source, weight, forbidden=frozenset()):
        """What one path of k from source costs at least, to every node within bandwidth and delay."""
        need = 1 if k.split else k.kbit
        best, done = {}, [[] for _ in self.nodes]
        heap = [(0, 0, source)]
        while heap:
            cost, delay, v = heapq.heappop(heap)
            if any(d <= delay for d in done[v]) or (k.delay is None and done[v]):
                continue
            done[v].append(delay)
            best.setdefault(v, cost)
            for w, l in self.around[v]:
                late = k.delay is not None and delay + self.delay[l] > k.delay
                if self.capacity[l] >= need and not late and (v, l) not in forbidden:
                    heapq.heappush(heap, (cost + weight[l], delay + self.delay[l], w))
        return best

    def pair(self, k, source, target, weight):
        """What two paths without a common link cost at least, delays and risks left out: minimum-cost flow of 2."""
        flow, total = {}, 0
        for _ in range(2):
            dist, come = {source: 0}, {}
            for _ in self.nodes:
                changed = False
                for l, (a, b) in enumerate(self.ends):
                    if self.capacity[l] < k.kbit:
                        continue
                    for x, y in ((a, b), (b, a)):
                        step = -weight[l] if flow.get(l) == (y, x) else weight[l] if l not in flow else None
                        if step is not None and x in dist and dist[x] + step < dist.get(y, dist[x] + step + 1):
                            dist[y], come[y], changed = dist[x] + step, (x, l), True
                if not changed:
                    break
            if target not in dist:
                return INF
            total += dist[target]
            at = target
            while at != source:
                x, l = come[at]
                if l in flow:
                    del flow[l]
                else:
                    flow[l] = (x, at)
                at = x
        return total

    def link_cost(self, k, a, b):
        """Of virtual link k between two hosts, under the prices of the moment."""
        if k.kbit == 0:
            return 0
        key = k.number, a
        if key not in self.known:
            self.known[key] = self.distances(k, a, self.priced[k.number])
        dist = self.known[key].get(b)
        return dist * 2 if k.protected and dist is not INF else dist

    def pair_cost(self, k, a, b, weight, dist):
        """Two paths cost no less than twice the cheapest, nor than the cheapest two without a common link."""
        pair = self.pair(k, a, b, weight)
        return INF if pair is INF else max(pair, 2 * dist)

    def theta(self, edge, a, b):
        if a == b:
            return INF
        total = 0
        for k in self.edges[edge]:
            x, y = (a, b) if k.ends[0] == edge[0] else (b, a)
            cost = self.link_cost(k, x, y)
            if cost is INF:
                return INF
            total += cost
        return total

    # ---- the tree ------------------------------------------------------------------------------
    def check(self, lines):
        """Goes through the proof; what it proves: the least cost, or None: nothing fits."""
        if not lines or lines[-1]["event"] != "claim":
            raise ValueError("the proof has no end")
        claim = lines[-1]["cost"]
        self.tree = {}
        for line in lines[:-1]:
            if line["event"] == "begin":
                self.begin(line, claim)
            else:
                getattr(self, "on_" + line["event"])(line)
        if self.open_node() is not None:
            raise ValueError(f"node {self.open_node()} is left open")
        return claim if claim is None else Fraction(claim)

    def on_failed(self, line):
        raise ValueError(line["why"])

    def open_node(self):
        """One that nothing closes; None: all are."""
        stack = [0]
        while stack:
            number = stack.pop()
            node = self.tree[number]
            if node["closed"] or not all(node["domain"]):
                continue
            if node["branch"] is None:
                return number
            want = [d if u != node["branch"] else d & set(node["children"]) for u, d in enumerate(node["domain"])]
            self.narrow(node["domain"], want)
            if node["domain"] != want and all(node["domain"]):
                return number
            stack.extend(node["children"][host] for host in want[node["branch"]])
        return None

    def on_node(self, line):
        parent = self.tree[line["parent"]]
        u, host = line["fix"]
        domain = [set(d) for d in parent["domain"]]
        domain[u] &= {host}
        if parent["branch"] not in (None, u):
            raise ValueError("children of one node must fix the same virtual node")
        parent["branch"] = u
        parent["children"][host] = line["id"]
        self.tree[line["id"]] = {"domain": domain, "closed": False, "branch": None, "children": {}}

    def on_empty(self, line):
        domain = self.tree[line["node"]]["domain"]
        while all(domain):
            before = [len(d) for d in domain]
            self.narrow(domain, [set() for _ in domain])
            if before == [len(d) for d in domain]:
                raise ValueError(f"node {line['node']}: everybody has somewhere to go")

    def structural(self, domain, u, a):
        """Why a cannot host u, whatever the cost."""
        if any(v != u and d == {a} for v, d in enumerate(domain)):
            return True
        options = []
        for v in self.beside[u]:
            edge = (u, v) if u < v else (v, u)
            reach = [b for b in domain[v] if (self.theta(edge, a, b) if u < v else self.theta(edge, b, a)) is not INF]
            if not reach:
                return True
            options.append(reach)
        return not matching(options) or not self.fits_around(u, a)

    def fits_around(self, u, a):
        """Whether the links of u can leave a: an exact packing of them onto the links there."""
        items = sorted((k.kbit for k in self.links if u in k.ends and not k.split and not k.protected), reverse=True)
        total = sum(k.kbit * (2 if k.protected else 1) for k in self.links if u in k.ends)
        bins = [self.capacity[l] for _, l in self.around[a]]
        if total > sum(bins):
            return False
        if any(sum(b >= k.kbit for b in bins) < 2 for k in self.links if u in k.ends and k.protected):
            return False
        seen = set()

        def pack(i, room):
            if i == len(items):
                return True
            key = i, tuple(sorted(room))
            if key in seen:
                return False
            seen.add(key)
            for j in range(len(room)):
                if room[j] >= items[i] and room[j] not in room[:j] and pack(i + 1, room[:j] + [room[j] - items[i]] + room[j + 1:]):
                    return True
            return False
        return pack(0, bins)

    def narrow(self, domain, want):
        """Drops what `want` leaves out, where there is a reason; repeated, as one reason leads to the next."""
        again = True
        while again and all(domain):
            again = False
            for u, hosts in enumerate(domain):
                for a in sorted(hosts - set(want[u])):
                    if self.structural(domain, u, a):
                        hosts.discard(a)
                        again = True

    def on_bound(self, line):
        node = self.tree[line["node"]]
        want, domain, scale = line["domain"], node["domain"], self.scale
        self.narrow(domain, want)
        if not all(domain):
            return
        for u, hosts in enumerate(domain):
            if hosts - set(want[u]):
                raise ValueError(f"node {line['node']}: virtual node {u} lost {sorted(hosts - set(want[u]))} for no reason")
        at = [{a: i for i, a in enumerate(hosts)} for hosts in want]
        column = {}
        for u, a, b, value in line["columns"]:
            if value > 0:
                raise ValueError("a dual of distinct neighbours is positive")
            column.setdefault((u, a), {})[b] = value * scale
        unary = [{a: self.vcost[u][a] + sum(column.get((u, a), {}).values()) for a in domain[u]} for u in range(len(domain))]
        for edge, messages in zip(self.edges, line["messages"]):
            self.check_messages(edge, messages, domain, at, column)
            for end, w in enumerate(edge):
                for a in domain[w]:
                    unary[w][a] += messages[end][at[w][a]] * scale
        q = {a: value * scale for a, value in line["hosts"]}
        if any(value > 0 for value in q.values()):
            raise ValueError("a dual of distinct hosts is positive")
        p = [min(unary[u][a] - q.get(a, 0) for a in domain[u]) for u in range(len(domain))]
        bound = sum(p) + sum(q.values()) - self.constant
        if "route" in line:
            better = self.routing(domain, line["route"], bound)
            if better is INF:
                node["closed"] = True
                return
            bound = max(bound, better)
        for u, a in line["drop"]:
            if a in domain[u]:
                if bound + unary[u][a] - q.get(a, 0) - p[u] <= self.limit:
                    raise ValueError(f"node {line['node']}: virtual node {u} on {a} costs too little to be dropped")
                domain[u].discard(a)
        if line["close"]:
            if bound <= self.limit:
                raise ValueError(f"node {line['node']}: a bound of {float(bound / self.parts)} does not close it")
            node["closed"] = True

    def check_messages(self, edge, messages, domain, at, column):
        u, v = edge
        for a in domain[u]:
            mine, from_a = messages[0][at[u][a]] * self.scale, column.get((u, a), {})
            for b in domain[v]:
                theta = self.theta(edge, a, b)
                sum_of = (mine + messages[1][at[v][b]] * self.scale + from_a.get(b, 0) + column.get((v, b), {}).get(a, 0))
                if theta is not INF and sum_of > theta:
                    raise ValueError(f"edge {edge}: the messages exceed what hosts {a} and {b} cost")

    # ---- links that get in each other's way ----------------------------------------------------
    def routing(self, domain, proof, bound):
        """The bound with what some links, both of whose hosts are known, cost more together than each alone. If it is of the
        `whole` request, what that costs without the prices of the moment. Infinite if they do not fit."""
        links = [self.links[k] for k in proof["links"]]
        weights = self.plain if proof["whole"] else self.priced
        hosts = {}
        for k in links:
            for u in k.ends:
                if len(domain[u]) != 1:
                    raise ValueError("a routed link has an end without a host")
                hosts[u] = next(iter(domain[u]))
        least = INF
        stack = [(proof["tree"], {k.number: frozenset() for k in links})]
        while stack:
            tree, forbidden = stack.pop()
            if "children" in tree:
                if set(tree["arcs"][0]) & set(tree["arcs"][1]):
                    raise ValueError("a path could be lost between two branches")
                if self.links[tree["link"]].split or self.links[tree["link"]].protected:
                    raise ValueError("only single paths leave a node by one arc")
                for arcs, child in zip(tree["arcs"], tree["children"], strict=True):
                    less = forbidden[tree["link"]] | {(tree["node"], l) for l in arcs}
                    stack.append((child, {**forbidden, tree["link"]: less}))
                continue
            value = self.routing_bound([k for k in links if k.kbit > 0], hosts, tree, forbidden, weights)
            if greater(least, value):
                least = value
        if least is INF:
            return INF
        if proof["whole"]:
            if not all(len(d) == 1 for d in domain) or {k.number for k in links} < {k.number for k in self.links if k.kbit > 0}:
                raise ValueError("not the whole request is routed")
            return least + sum(self.vcost[u][next(iter(d))] for u, d in enumerate(domain))
        return bound + least - sum(self.link_cost(k, hosts[k.ends[0]], hosts[k.ends[1]]) for k in links)

    def routing_bound(self, links, hosts, tree, forbidden, weights):
        """By prices on top of those of the moment. As a `ray`, without any other costs: above 0 nothing fits, as prices
        may be multiplied."""
        extra = {k.number: {} for k in links}
        charged = 0
        for l, value in tree["prices"]:
            price = Fraction(value) * self.parts
            charged += self.not_negative(price) * self.capacity[l]
            for k in links:
                extra[k.number][l] = extra[k.number].get(l, 0) + price * k.kbit
        for l, members, most, value in tree["covers"]:
            self.check_cover(l, members, most)
            price = Fraction(value) * self.parts
            charged += self.not_negative(price) * most
            for k in set(members) & set(extra):
                extra[k][l] = extra[k].get(l, 0) + price
        total = -charged
        for k in links:
            weight = [0] * len(self.capacity) if tree["ray"] else list(weights[k.number])
            for l, price in extra[k.number].items():
                weight[l] += price
            dist = self.distances(k, hosts[k.ends[0]], weight, forbidden[k.number]).get(hosts[k.ends[1]])
            if dist is None:
                return INF
            if k.protected:
                dist = self.pair_cost(k, hosts[k.ends[0]], hosts[k.ends[1]], weight, dist)
                if dist is INF:
                    return INF
            total += dist
        if tree["ray"]:
            if total <= 0:
                raise ValueError("a ray that proves nothing")
            return INF
        return total

    @staticmethod
    def not_negative(price):
        if price < 0:
            raise ValueError("a price is negative")
        return price

    def check_cover(self, l, members, most):
        """At most so many of the members cross link l: no more fit, of those that are not split (a knapsack of ones)."""
        need = sorted(self.links[k].kbit for k in members)
        if len(set(members)) != len(members) or any(self.links[k].split for k in members):
            raise ValueError("a cover counts paths that are not split, each once")
        if most < len(need) and sum(need[:most + 1]) <= self.capacity[l]:
            raise ValueError("a cover inequality is not valid")


def is_near(near, node):
    """Great circle between locations, R = 6371 km; a plane between positions."""
    if "location" in near and "location" in node:
        (p, l), (q, m) = ([math.radians(x) for x in place] for place in (near["location"], node["location"]))
        h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin((m - l) / 2) ** 2
        return 2 * 6371 * math.asin(math.sqrt(h)) <= float(str(near["within"]).removesuffix("km"))
    return "position" in near and "position" in node and math.dist(near["position"], node["position"]) <= float(near["within"])


def matching(options):
    """Whether each list has an element of its own."""
    taken = {}

    def augment(i, seen):
        for b in options[i]:
            if b not in seen:
                seen.add(b)
                if b not in taken or augment(taken[b], seen):
                    taken[b] = i
                    return True
        return False
    return all(augment(i, set()) for i in range(len(options)))


def check(substrate, request, proof):
    """The least cost that the proof proves, None where nothing fits; ValueError where it proves neither."""
    with open(proof, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return Certificate(substrate, request).check(lines)


if __name__ == "__main__":
    cost = check(*sys.argv[1:])
    print("nothing fits" if cost is None else f"no embedding costs less than {cost}")
