# SPDX-License-Identifier: GPL-3.0-or-later
"""One router between two outside ports, an end host behind each; beside it a namespace that forwards between the same two devices,
which is what a plain router of this kernel does. Medians of three, in turns."""
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

from common import BUILD, run, table
from daemons import Lab

SUBSTRATE = """kind: substrate
name: one
nodes:
  - {name: a, cpu: 4, memory: 4GiB, uplinks: [left, right]}
  - {name: b, cpu: 4, memory: 4GiB}
links:
  - {endpoints: [a, b], bandwidth: 1gbit}
"""
REQUEST = """kind: network
name: between
nodes:
  - {name: r, router: netns, cpu: 1, uplinks: [{port: left, address: 10.1.0.1/24}, {port: right, address: 10.2.0.1/24}]}
"""
ROUNDS, SECONDS = 3, 3

row = table("uplinks", "what", "measured", "plain router", "ratio", "note")


class Hosts:
    def __init__(self, lab):
        self.lab = lab
        for number, name in enumerate(("h1", "h2")):
            self.node(f"ip netns add {name}; ip link set _host{number} netns {name}; ip -n {name} link set _host{number} up;"
                      f"ip -n {name} address add 10.{number + 1}.0.9/24 dev _host{number}; ip -n {name} route add default via 10.{number + 1}.0.1")

    def node(self, script):
        return run(BUILD / "vnlab", "exec", "a", "--", "sh", "-ec", script, env=self.lab.env)

    def measure(self):
        """Gbit/s of TCP, and a round trip in microseconds."""
        self.node("for i in 1 2 3 4 5 6 7 8 9; do ip netns exec h1 ping -q -c 1 -W 1 10.2.0.9 && exit 0; done >/dev/null; exit 1")
        pings = self.node("ip netns exec h1 ping -q -c 500 -i 0.002 10.2.0.9")
        server = subprocess.Popen([BUILD / "vnlab", "exec", "a", "--", "ip", "netns", "exec", "h2", "iperf3", "-s", "-1"],
                                  env={**os.environ, **self.lab.env}, stdout=subprocess.DEVNULL)
        for _ in range(100):
            said = run(BUILD / "vnlab", "exec", "a", "--", "ip", "netns", "exec", "h1", "iperf3", "-c", "10.2.0.9", "-t", SECONDS, "-J",
                       env=self.lab.env, check=False)
            received = json.loads(said or "{}").get("end", {}).get("sum_received")
            if received:
                break
        server.wait(timeout=30)
        return received["bits_per_second"] / 1e9, float(re.search(r"= [\d.]+/([\d.]+)", pings)[1]) * 1000


def plain(hosts):
    hosts.node("ip netns add plain; ip link set _up0 netns plain; ip link set _up1 netns plain;"
               "ip -n plain address add 10.1.0.1/24 dev _up0; ip -n plain address add 10.2.0.1/24 dev _up1;"
               "ip -n plain link set _up0 up; ip -n plain link set _up1 up; ip netns exec plain sysctl -qw net.ipv4.ip_forward=1")
    measured = hosts.measure()
    hosts.node("ip -n plain link set _up0 netns 1; ip -n plain link set _up1 netns 1; ip netns del plain; ip link set _up0 up; ip link set _up1 up")
    while "uplinks" not in next(n for n in json.loads(hosts.lab.ctl("-o", "json", "nodes")) if n["name"] == "a"):
        time.sleep(0.1)  # until the agent has told that they are back
    return measured


def bench():
    ours, theirs, built = [], [], []
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as substrate:
        substrate.write(SUBSTRATE)
        substrate.flush()
        with Lab(substrate.name) as lab:
            hosts = Hosts(lab)
            request = lab.file(REQUEST)
            for _ in range(ROUNDS):
                begun = time.monotonic()
                lab.ctl("submit", request)
                built.append(time.monotonic() - begun)
                ours.append(hosts.measure())
                lab.ctl("release", "between")
                theirs.append(plain(hosts))
    for i, what in enumerate(("TCP between two outside ports, Gbit/s", "a round trip, µs")):
        mine, its = (statistics.median(m[i] for m in all) for all in (ours, theirs))
        row(what, f"{mine:.1f}", f"{its:.1f}", f"{mine / its:.2f}")
    row("submit to active, ms", f"{statistics.median(built) * 1000:.0f}", "", "", "one router, two uplinks")
