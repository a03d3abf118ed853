#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make compare`: the same small network with a middle router of each kind and plane, side by side.

    host a ── r ── host b        all on one node, links best effort, so that nothing but the router is in the way

Time to build, memory of the router, packets of 64 bytes a second and what each costs, and what is left to a victim while
another network's router of the same kind is flooded. `wire` is the same without a router: what hosts and links cost alone.
Xen's rows are measured in a lab of QEMU (tests/xenlab) that counts instructions: there time means nothing, instructions do."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import BUILD, finish, table
from daemons import Lab

KINDS = [  # name, router's line in the request, what makes it forward once it is built
    ("netns/kernel", "router: netns", None),
    ("netns/split", "router: netns, plane: split", None),
    ("openflow", "router: openflow", "ovs-ofctl add-flow br0 actions=normal"),
    ("switch", "router: switch", None),
]
ONE = "kind: substrate\nname: one\nnodes:\n  - {name: n, cpu: 64, memory: 16GiB}\n"
PORT, SECONDS = 9, 2

row = table("compare", "router", "build ms", "memory KiB", "kpackets/s", "µs each", "beyond wire", "victim alone", "flooded")


def request(name, line, bandwidth):
    middle = f"  - {{name: r, cpu: 0.5, memory: 64MiB, {line}}}\n" if line else ""
    links = ("[a, r]", "[r, b]") if line else ("[a, b]",)
    ends = "".join(f"  - {{endpoints: {pair}, bandwidth: {bandwidth}}}\n" for pair in links)
    return (f"kind: network\nname: {name}\nplacement: pack\nnodes:\n  - {{name: a, cpu: 0.5, router: netns}}\n{middle}"
            f"  - {{name: b, cpu: 0.5, router: netns}}\nlinks:\n{ends}")


class Network:
    """One that is up: a's blast reaches b."""

    def __init__(self, lab, name, line, prepare, bandwidth="0mbit"):
        self.lab, self.name = lab, name
        begun = time.monotonic()
        lab.ctl("submit", lab.file(request(name, line, bandwidth)))
        self.build_ms = (time.monotonic() - begun) * 1000
        if prepare and line:
            self.inside("r", prepare)
        with open(BUILD / "tests/bench/blast", "rb") as f:
            for host in ("a", "b"):
                run_with(lab, f.read(), "exec", name, host, "--", "sh", "-c", "cat > /run/blast && chmod 755 /run/blast")
                f.seek(0)
        self.target = self.inside("b", "ip -4 -o address show dev eth0").split("inet ")[1].split("/")[0]
        self.inside("a", f"ping -c 1 -W 5 {self.target} >/dev/null")

    def inside(self, router, script):
        return self.lab.ctl("exec", self.name, router, "--", "sh", "-c", script)

    def received(self):
        return int(self.inside("b", "cat /sys/class/net/eth0/statistics/rx_packets"))

    def blast(self, size=22, seconds=SECONDS, rate=""):
        """Packets that arrive, and nanoseconds. 22 bytes of payload: 64 on the wire."""
        before = self.received()
        sent, ns = map(int, self.inside("a", f"taskset -c 0 /run/blast {self.target} {PORT} {size} {seconds} {rate}").split())
        return self.received() - before, ns, sent

    def memory(self):
        r = next((r for r in json.loads(self.lab.ctl("-o", "json", "show", self.name))["routers"] if r["name"] == "r"), {})
        return r.get("memory_used_kib", "")

    def release(self):
        self.lab.ctl("release", self.name)


def run_with(lab, data, *words):
    subprocess.run([BUILD / "vnctl", *map(str, words)], input=data, check=True, env={**os.environ, **lab.env}, capture_output=True, timeout=60)


def victim(lab, line, prepare):
    """Share of a promise of 20 mbit that arrives, in packets of 1400 bytes offered at that rate: alone, and beside a flood."""
    mine = Network(lab, "victim", line, prepare, "20mbit")
    other = Network(lab, "flood", line, prepare, "20mbit")
    offered = 20e6 / 8 / 1450

    def share():
        got, ns, sent = mine.blast(1400, SECONDS, int(offered))
        return got / (ns / 1e9) / offered
    alone = share()
    flood = subprocess.Popen([BUILD / "vnctl", "exec", "flood", "a", "--", "/run/blast", other.target, str(PORT), "22", str(SECONDS * 4)],
                             env={**os.environ, **lab.env}, stdout=subprocess.DEVNULL)
    flooded = share()
    flood.wait(60)
    mine.release()
    other.release()
    return alone, flooded


def one(lab, name, line, prepare, wire_us):
    builds, network = [], None
    for _ in range(3):
        if network:
            network.release()
        network = Network(lab, "compare", line, prepare)
        builds.append(network.build_ms)
    network.blast(seconds=0.2)
    best = max((network.blast() for _ in range(3)), key=lambda r: r[0] / r[1])
    us = best[1] / 1000 / best[0]
    memory = network.memory() if line else ""
    network.release()
    alone, flooded = victim(lab, line, prepare) if line else ("", "")
    row(name, f"{statistics.median(builds):.0f}", memory, f"{1000 / us:.0f}", f"{us:.2f}", f"{us - wire_us:.2f}" if wire_us else "",
        f"{alone:.3f}" if line else "", f"{flooded:.3f}" if line else "")
    return us


def bench():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(ONE)
        f.flush()
        with Lab(f.name) as lab:
            wire = one(lab, "wire", None, None, 0)
            for name, line, prepare in KINDS:
                try:
                    one(lab, name, line, prepare, wire)
                except RuntimeError as why:
                    row(name, "-")
                    print(f"  {name}: {str(why).strip().splitlines()[-1]}", file=sys.stderr)


if __name__ == "__main__":
    bench()
    finish()
