# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings of routers that compute their routes, half of each on either of two nodes: how long until they have converged,
how long until traffic goes the other way round once a virtual link carries nothing, and what BIRD takes of memory.

The link is cut where it hurts most: its tunnel's device is set down on the node, so that no router sees a carrier go
and only BFD can tell. Five packets of BFD must be missing, at one each 200 ms: that second is what we compare with. BIRD computes routes
once a second, each router by its own clock: up to another second, in which neighbours may send packets in circles, as they
may when the link comes back.
"""
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time

from common import BUILD, run, table
from daemons import Lab

DETECTION, MEMORY = 5 * 0.2, 1000  # s, kB
PAIR = """kind: substrate
name: pair
nodes:
  - {name: a, cpu: 64, memory: 16GiB}
  - {name: b, cpu: 64, memory: 16GiB}
links:
  - {endpoints: [a, b], bandwidth: 10gbit}
"""

row = table("ospf", "what", "measured", "asked", "ratio", "note")


def ring(n):
    nodes = "".join(f"  - {{name: r{i}, place: {{on: [{'a' if i < n // 2 else 'b'}]}}}}\n" for i in range(n))
    links = "".join(f"  - {{endpoints: [r{i}, r{(i + 1) % n}]}}\n" for i in range(n))
    return ("kind: network\nname: ring\nrouting: ospf\nplacement: pack\n"
            f"defaults: {{node: {{cpu: 0.1, memory: 16MiB, router: netns}}, link: {{bandwidth: 10mbit}}}}\nnodes:\n{nodes}links:\n{links}")


class Ring:
    def __init__(self, lab, n):
        self.lab, self.n, self.last = lab, n, f"r{n - 1}"
        begun = time.monotonic()
        lab.ctl("submit", "--timeout", "240s", lab.file(ring(n)))
        self.active_s = time.monotonic() - begun
        # Round the other way it is further than 64 hops.
        for router in ("r0", self.last):
            self.inside(router, "echo 255 >/proc/sys/net/ipv4/ip_default_ttl")
        shown = json.loads(lab.ctl("-o", "json", "show", "ring"))
        self.target = next(r["loopbacks"][0].split("/")[0] for r in shown["routers"] if r["name"] == self.last)

    def inside(self, router, script):
        return self.lab.ctl("exec", "ring", router, "--", "sh", "-c", script)

    def on_a(self, *command):
        return run(BUILD / "vnlab", "exec", "a", "--", *command, env=self.lab.env)

    def tunnel(self):
        """Node a's device that carries what r0 and its neighbour on node b say to each other."""
        def sent():
            return {d: int(self.on_a("cat", f"/sys/class/net/{d}/statistics/tx_packets"))
                    for d in self.on_a("ls", "/sys/class/net").split() if d.startswith("vt")}
        before = sent()
        self.inside("r0", f"ping -n -q -c 200 -i 0.005 {self.target}")
        after = sent()
        return max(after, key=lambda d: after[d] - before.get(d, 0))

    def outage(self, state):
        """Seconds between two answers while the tunnel goes into that state: pings are 10 ms apart."""
        ping = subprocess.Popen([BUILD / "vnctl", "exec", "ring", "r0", "--", "ping", "-D", "-n", "-i", "0.01", self.target],
                                env={**os.environ, **self.lab.env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        watchdog = threading.Timer(30, ping.terminate)
        watchdog.start()
        heard, cut_at = [], None
        for line in ping.stdout:
            m = re.match(r"\[([\d.]+)\] .*icmp_seq=\d+ ttl=(\d+)", line)
            if not m:
                continue
            heard.append(float(m[1]))
            if not cut_at and heard[-1] > heard[0] + 1:
                self.on_a("ip", "link", "set", self.device, state)
                cut_at = time.time()
            elif cut_at and heard[-1] > cut_at + 8 and (m[2] == "255") == (state == "up"):
                break
        watchdog.cancel()
        ping.terminate()
        ping.wait()
        if not cut_at or heard[-1] <= cut_at + 8:
            raise RuntimeError(f"{self.target} does not answer after {self.device} went {state}")
        return max(b - a for a, b in zip(heard, heard[1:]) if b > cut_at)

    def cut_and_mend(self, rounds):
        self.device = self.tunnel()
        down, up = [], []
        for _ in range(rounds):
            down.append(self.outage("down"))
            up.append(self.outage("up"))
        return down, up

    def memory_kb(self):
        script = "for p in $(pgrep -f '^bird -c /run/bird.conf'); do grep ^Pss_Anon /proc/$p/smaps_rollup; done"
        found = re.findall(r"(\d+) kB", "".join(run(BUILD / "vnlab", "exec", node, "--", "sh", "-c", script, env=self.lab.env) for node in "ab"))
        if len(found) != self.n:
            raise RuntimeError(f"{len(found)} BIRDs for {self.n} routers")
        return [int(kb) for kb in found]

    def release(self):
        self.lab.ctl("release", "ring")


def measure(lab, n, rounds):
    r = Ring(lab, n)
    active = [r.active_s]
    memory = r.memory_kb()
    down, up = r.cut_and_mend(rounds)
    r.release()
    for _ in range(rounds - 1):
        again = Ring(lab, n)
        active.append(again.active_s)
        again.release()
    return {"active": statistics.median(active), "down": statistics.median(down), "worst": max(down), "up": statistics.median(up),
            "memory": statistics.median(memory), "most": max(memory)}


def bench():
    print("rings of routers with OSPF, ten and a hundred")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(PAIR)
        f.flush()
        with Lab(f.name) as lab:
            ten = measure(lab, 10, 3)
            hundred = measure(lab, 100, 1)
    row("submit to converged, a ring of 10, s", f"{ten['active']:.2f}", "", "", f"100: {hundred['active']:.2f}")
    row("a link cut to traffic, a ring of 10, s", f"{ten['down']:.2f}", f"{DETECTION:.1f}", f"{ten['down'] / DETECTION:.2f}",
        f"worst {ten['worst']:.2f}  100: {hundred['down']:.2f}")
    row("the link back, traffic lost meanwhile, s", f"{ten['up']:.2f}", "0", "", f"100: {hundred['up']:.2f}")
    row("memory of BIRD's own in a ring of 10, kB", f"{ten['memory']:.0f}", MEMORY, f"{ten['memory'] / MEMORY:.2f}",
        f"most {ten['most']}  100: {hundred['memory']:.0f}, most {hundred['most']}")
