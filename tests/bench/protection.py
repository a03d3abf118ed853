# SPDX-License-Identifier: GPL-3.0-or-later
"""Protected links (as root): what a switch costs, counted by datagrams at 1 ms in both directions, with the path in use failing in each way that
it can; whether a busy machine switches for nothing; what probing costs. By the environment: PROTECTION_SWITCHES (42),
PROTECTION_MINUTES of all processors busy (1)."""
import json
import os
import re
import statistics
import subprocess
import time

from common import BUILD, ROOT, run, table

os.environ["VNE_BUILD"] = str(BUILD)
from lab import eventually, running_lab  # noqa: E402

SWITCHES, MINUTES = int(os.environ.get("PROTECTION_SWITCHES", 42)), float(os.environ.get("PROTECTION_MINUTES", 1))
SUBSTRATE = """kind: substrate
name: two-ways
nodes:
""" + "".join(f"  - {{name: {n}, cpu: 8, memory: 4GiB}}\n" for n in "abcdef") + """links:
  - {endpoints: [a, b], bandwidth: 100mbit}
  - {endpoints: [b, c], bandwidth: 100mbit}
  - {endpoints: [c, d], bandwidth: 100mbit}
  - {endpoints: [a, e], bandwidth: 100mbit}
  - {endpoints: [e, f], bandwidth: 100mbit}
  - {endpoints: [f, d], bandwidth: 100mbit}
"""
SAFE = """kind: network
name: safe
defaults: {node: {cpu: 0.1, memory: 16MiB}}
nodes:
  - {name: r1, place: {on: [a]}}
  - {name: r2, place: {on: [d]}}
links:
  - {endpoints: [r1, r2], bandwidth: 10mbit, protection: link}
"""
row = table("protection", "what", "n", "p50 ms", "p95 ms", "max ms", "asked", "note")


def pacer():
    program = BUILD / "tests/bench/pacer"
    program.parent.mkdir(parents=True, exist_ok=True)
    run("cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", ROOT / "tests/bench/pacer.c", "-o", program)
    return program


class Measured:
    """A lab with one protected link, and datagrams over it."""

    def __init__(self, lab, program):
        self.lab, self.program = lab, program
        lab.submit(SAFE)
        eventually(lambda: all(f"both of its paths carry at {n}" in lab.vnctl("events").out for n in "ad"))

    def link(self):
        return self.lab.ask("show", "safe")["links"][0]

    def pace(self, seconds):
        addresses = self.link()["addresses"]
        return [self.lab.start("vnlab", "exec", node, "--", "nsenter", "-t", self.lab.routers_on(node)[0], "-n", self.program, far, 7, seconds,
                               stdout=subprocess.PIPE) for node, far in (("a", addresses[1]), ("d", addresses[0]))]

    @staticmethod
    def read(paces):
        """Interruptions of both directions, (at, lost, gap); and all that was lost and received."""
        cuts, lost, received = [], 0, 0
        for pace in paces:
            out, _ = pace.communicate(timeout=900)
            for line in out.splitlines():
                words = line.split()
                if words[0] == "all":
                    received, lost = received + int(words[1]), lost + int(words[2])
                else:
                    cuts.append(tuple(map(int, words)))
        return cuts, lost, received

    def both_good(self):
        view = self.lab.ask("show", "safe")
        return view["links"][0]["in_use"] if not re.search("carries|is down", view.get("reason") or "") else None

    def switches(self):
        return len(re.findall("on its (?:backup|primary) path at", self.lab.vnctl("events").out))


    def falls(self):
        return len(re.findall("  down at ", self.lab.vnctl("events").out))


def down(side):
    return lambda lab, path, k: (lab.on_node(path["via"][k + side], "ip", "link", "set", path["links"][k], "down"),
                                 lambda: lab.on_node(path["via"][k + side], "ip", "link", "set", path["links"][k], "up"))[1]


def silent(sides):
    """All that enters from the link is dropped, carrier and all stay."""
    def cut(lab, path, k):
        nodes = [path["via"][k + side] for side in sides]
        for node in nodes:
            lab.on_node(node, "sh", "-c", "nft add table inet cut && nft add chain inet cut in '{ type filter hook prerouting priority -500; }' && "
                        f"nft add rule inet cut in iifname {path['links'][k]} drop")
        return lambda: [lab.on_node(node, "nft", "delete", "table", "inet", "cut") for node in nodes]
    return cut


def crossed(lab, path, k):
    """A middle node's tunnel takes nothing any more: what arrives for the crossing is lost, in one direction."""
    node = path["via"][k or 1]
    vni = next(d for d in lab.devices_on(node) if d.startswith("vt"))
    lab.on_node(node, "ip", "link", "set", vni, "down")
    return lambda: lab.on_node(node, "ip", "link", "set", vni, "up")


WAYS = {"link down at its near side": down(0), "link down at its far side": down(1), "silent, both directions": silent((0, 1)),
        "silent, one direction": silent((1,)), "silent, the other direction": silent((0,)), "a middle node's crossing": crossed}


def interruptions(lab, measured):
    gaps = {way: [] for way in WAYS}
    for i in range(SWITCHES):
        way = list(WAYS)[i % len(WAYS)]
        used = eventually(measured.both_good, 60)
        link = measured.link()
        path = link["paths"][0] if used == "primary" else link["backup"]
        paces = measured.pace(2.5)
        time.sleep(0.7 + 0.0037 * i % 0.01)  # anywhere between two probes
        heal = WAYS[way](lab, path, i // len(WAYS) % len(path["links"]))
        try:
            cuts, lost, _ = measured.read(paces)
            eventually(lambda: measured.link()["in_use"] != used, 20)
        finally:
            heal()
        gaps[way].append(max([c[1] for c in cuts] or [0]))
    return gaps


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def busy(lab, measured):
    before, falls = measured.switches(), measured.falls()
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2 * os.cpu_count())]
    try:
        paces = measured.pace(MINUTES * 60)
        _, lost, received = measured.read(paces)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    return measured.switches() - before, measured.falls() - falls, lost, received


def cpu_of(lab, nodes):
    ticks = 0
    for node in nodes:
        for pid in lab.on_node(node, "pgrep", "-x", "vnagent-watch", code=None).out.split():
            stat = lab.on_node(node, "cat", f"/proc/{pid}/stat").out.rsplit(")", 1)[1].split()
            ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cost(lab):
    """A hundred protected links between two nodes: what the two ends' processes take, the way of the probes through all kernels included."""
    nodes = "".join(f"  - {{name: x{i}, place: {{on: [a]}}}}\n  - {{name: y{i}, place: {{on: [d]}}}}\n" for i in range(10))
    links = "".join(f"  - {{endpoints: [x{i}, y{k}], bandwidth: 10kbit, protection: link}}\n" for i in range(10) for k in range(10))
    lab.submit("kind: network\nname: many\nplacement: pack\ndefaults: {node: {cpu: 0.01, memory: 16MiB}}\nnodes:\n" + nodes + "links:\n" + links)
    eventually(lambda: lab.state("many") == "active")
    begun, at = cpu_of(lab, "ad"), time.monotonic()
    time.sleep(10)  # the length of a measurement
    used = (cpu_of(lab, "ad") - begun) / (time.monotonic() - at)
    lab.vnctl("release", "many")
    return used / 2


def bench():
    with running_lab(SUBSTRATE) as lab:
        measured = Measured(lab, pacer())
        gaps = interruptions(lab, measured)
        for way, values in gaps.items():
            if values:
                row(way, len(values), statistics.median(values), quantile(values, 0.95), max(values), "", "datagrams lost in the worse direction, 1 ms each")
        every = [v for values in gaps.values() for v in values]
        row("all", len(every), statistics.median(every), quantile(every, 0.95), max(every), "p95 <= 50", "")
        eventually(lambda: measured.both_good() == "primary", 400)
        switches, falls, lost, received = busy(lab, measured)
        row(f"false switches, {MINUTES:g} min of all processors busy", switches, "", "", "", "0", f"{lost} of {lost + received} datagrams lost meanwhile; links taken for down: {falls}")
    with running_lab(SUBSTRATE) as lab:  # whose links have never been down
        row("probing 100 protected links, share of a core at each end", f"{cost(lab):.3f}", "", "", "", "", "every 10 ms on both paths, both directions; with what the kernels of all nodes on the way take")
