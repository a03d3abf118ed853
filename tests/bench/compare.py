#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make compare`: the same small network with a middle router of each kind and plane, side by side.

    host a ── r ── host b        all on one node, links best effort, so that nothing but the router is in the way

Time to build, memory of the router, packets of 64 bytes a second and what each costs, and what is left to a victim while
another network's router of the same kind is flooded. `wire` is the same without a router: what hosts and links cost alone.

Then the same in a machine that QEMU emulates with its clock counting instructions (tests/xenlab): one core with Xen, on which
all of it runs. There a packet's cost is a number of instructions, the same on every machine and in every run. Time to build
is emulation's, and no measure of anything. `compare.py BUILD [host] [xen]`"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import BUILD, ROOT, finish, table
from daemons import Lab

sys.path.insert(0, str(ROOT / "tests/xenlab"))
KINDS = {  # router's line in the request, what makes it forward once it is built
    "wire": (None, None),
    "netns/kernel": ("router: netns", None),
    "netns/split": ("router: netns, plane: split", None),
    "switch": ("router: switch", None),
    "openflow": ("router: openflow", "ovs-ofctl add-flow br0 actions=normal"),
    "xen/guest": ("router: xen", None),
    "xen/split": ("router: xen, plane: split", None),
}
ONE = "kind: substrate\nname: one\nnodes:\n  - {name: n, cpu: 64, memory: 16GiB}\n"
PORT = 9
PROMISE = 20e6  # bit/s, of the victim
BIG, SMALL = 1400, 22  # bytes of payload: 22 are 64 on the wire


def request(name, node, line, bandwidth):
    host = f"router: netns, cpu: 0, place: {{on: [{node}]}}"
    middle = f"  - {{name: r, cpu: 0.4, memory: 64MiB, place: {{on: [{node}]}}, {line}}}\n" if line else ""
    links = ("[a, r]", "[r, b]") if line else ("[a, b]",)
    ends = "".join(f"  - {{endpoints: {pair}, bandwidth: {bandwidth}}}\n" for pair in links)
    return (f"kind: network\nname: {name}\nplacement: pack\nnodes:\n  - {{name: a, {host}}}\n{middle}"
            f"  - {{name: b, {host}}}\nlinks:\n{ends}")


class Host:
    """A lab of namespaces on this machine."""
    node = "n"

    def __init__(self, lab):
        self.lab = lab

    def command(self, *words):
        return ["env", *(f"{k}={v}" for k, v in self.lab.env.items()), BUILD / "vnctl", *words]


class Xen:
    """One node with Xen in a machine that counts."""
    node = "xen1"

    def __init__(self, suite):
        self.suite = suite

    def command(self, *words):
        return self.suite.world.command(BUILD / "vnctl", "--config", self.suite.dir / "client.yaml", *words)


class Network:
    """One that is up: a's blast reaches b."""

    def __init__(self, where, name, kind, bandwidth="0mbit"):
        self.where, self.name = where, name
        line, prepare = KINDS[kind]
        begun = time.monotonic()
        self.ctl("submit", "-", "--timeout", "100s", data=request(name, where.node, line, bandwidth).encode())
        self.build_ms = (time.monotonic() - begun) * 1000
        if prepare:
            self.inside("r", prepare)
        self.ctl("exec", name, "a", "--", "sh", "-c", "cat > /run/blast && chmod 755 /run/blast", data=(BUILD / "tests/bench/blast").read_bytes())
        self.target = self.inside("b", "ip -4 -o address show dev eth0").split("inet ")[1].split("/")[0]
        self.inside("a", f"for i in 1 2 3 4 5; do ping -c 1 -W 5 {self.target} >/dev/null && exit 0; done; exit 1")

    def ctl(self, *words, data=b""):
        done = subprocess.run([str(w) for w in self.where.command(*words)], input=data, capture_output=True, timeout=200)
        if done.returncode:
            raise RuntimeError(f"vnctl {' '.join(map(str, words[:3]))}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def inside(self, router, script):
        return self.ctl("exec", self.name, router, "--", "sh", "-c", script)

    def received(self):
        return int(self.inside("b", "cat /sys/class/net/eth0/statistics/rx_packets"))

    def blast(self, size, seconds, rate=""):
        """Packets that arrive, and nanoseconds of the sender's clock."""
        before = self.received()
        _, ns = map(int, self.inside("a", f"$(command -v taskset >/dev/null && echo taskset -c 0) /run/blast {self.target} {PORT} {size} {seconds} {rate}").split())
        return self.received() - before, ns

    def memory(self):
        for _ in range(30):  # until a report tells
            r = next((r for r in json.loads(self.ctl("-o", "json", "show", self.name))["routers"] if r["name"] == "r"), {})
            if "memory_used_kib" in r:
                return r["memory_used_kib"]
            time.sleep(0.2)
        return ""

    def release(self):
        self.ctl("release", self.name)


def victim(where, kind, promise, seconds):
    """Share of a promise that arrives, in packets of 1400 bytes offered at that rate: alone, and beside a flood of small ones."""
    mine = Network(where, "victim", kind, f"{promise / 1e6:g}mbit")
    other = Network(where, "flood", kind, f"{promise / 1e6:g}mbit")
    offered = promise / 8 / (BIG + 42)

    def share():
        got, ns = mine.blast(BIG, seconds, int(offered))
        return min(1, got / (ns / 1e9) / offered)
    alone = share()
    flood = subprocess.Popen([str(w) for w in where.command("exec", "flood", "a", "--", "/run/blast", other.target, PORT, SMALL, seconds * 4)],
                             stdout=subprocess.DEVNULL)
    flooded = share()
    flood.wait(120)
    mine.release()
    other.release()
    return alone, flooded


def one(where, kind, builds, seconds):
    """Time to build, memory, packets a second, nanoseconds each."""
    took, network = [], None
    for _ in range(builds):
        if network:
            network.release()
        network = Network(where, "compare", kind)
        took.append(network.build_ms)
    network.blast(SMALL, seconds / 4)
    got, ns = max((network.blast(SMALL, seconds) for _ in range(3)), key=lambda r: r[0] / r[1])
    memory = network.memory() if kind != "wire" else ""
    network.release()
    return statistics.median(took), memory, ns / max(got, 1)


def fill(where, row, kinds, builds, seconds, promise, shown):
    wire = base = None
    for kind in kinds:
        try:
            build_ms, memory, ns = one(where, kind, builds, seconds)
            alone, flooded = victim(where, kind, promise, seconds) if kind != "wire" else (None, None)
        except (RuntimeError, subprocess.TimeoutExpired) as why:
            row(kind, "-")
            print(f"  {kind}: {str(why).strip().splitlines()[-1]}", file=sys.stderr)
            continue
        wire = ns if kind == "wire" else wire
        beyond = ns - wire if wire else 0
        base = beyond if kind == shown else base
        row(kind, f"{build_ms:.0f}", memory, f"{1e6 / ns:.0f}", f"{ns:.0f}", f"{beyond:.0f}" if kind != "wire" else "",
            f"{beyond / base:.2f}" if base else "", "" if alone is None else f"{alone:.3f}", "" if flooded is None else f"{flooded:.3f}")


def host():
    row = table("compare", "router", "build ms", "memory KiB", "kpackets/s", "ns each", "beyond wire", "of kernel's", "victim alone", "flooded")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(ONE)
        f.flush()
        with Lab(f.name) as lab:
            fill(Host(lab), row, ("wire", "netns/kernel", "netns/split", "switch", "openflow"), 3, 2, PROMISE, "netns/kernel")


def xen():
    row = table("compare_xen", "router", "build ms", "memory KiB", "per M instr.", "instr. each", "beyond wire", "of guest's", "victim alone", "flooded")
    import xenlab
    import xensuite
    try:
        suite = xensuite.Suite(BUILD, say=lambda text: print(f"  {text}"), hosts=(xensuite.Host("xen1", 1, counting=True, kinds=("xen", "netns")),))
    except xenlab.Unavailable as why:
        print(f"  xen: {why}", file=sys.stderr)
        return
    try:
        suite.up()
        fill(Xen(suite), row, ("wire", "xen/guest", "xen/split", "netns/kernel", "netns/split"), 1, 1, 1e6, "xen/guest")
    finally:
        suite.end()


def bench():
    for part in (host, xen):
        if os.geteuid() == 0 and (not sys.argv[2:] or sys.argv[0].endswith("run.py") or part.__name__ in sys.argv[2:]):
            part()


if __name__ == "__main__":
    bench()
    finish()
