# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarding planes: one suite over routers that forward by themselves and those that the host forwards for, under traffic; then
programs of the operator that the tenant fills."""
import json
import re
import subprocess

import pytest

from lab import check_schema, eventually

PLANES = ("kernel", "split")
ROWS = """\
kind: network
name: {plane}
routing: none
defaults: {{node: {{cpu: 0.1, router: netns}}, link: {{bandwidth: 50mbit}}}}
nodes:
  - {{name: h1, place: {{on: [a]}}}}
  - {{name: r, cpu: 2, memory: 900MiB, plane: {plane}, place: {{on: [b]}}}}
  - {{name: h2, place: {{on: [c]}}}}
links:
  - {{endpoints: [h1, r]}}
  - {{endpoints: [r, h2]}}
"""


class Row:
    """h1 ── r ── h2 over three nodes, IPv4 and IPv6; the hosts have default routes, r only what it is joined to."""

    def __init__(self, lab, plane):
        self.lab, self.name = lab, plane
        lab.submit(ROWS.format(plane=plane))
        for host, near, far in (("h1", "10.64.0.1", "fd00:1::1"), ("h2", "10.64.0.2", "fd00:2::1")):
            self.inside(host, f"ip route add default via {near}; ip address add {far[:-1]}2/64 dev eth0 nodad; ip -6 route add default via {far}")
        self.inside("r", "sysctl -q net.ipv6.conf.all.forwarding=1; ip address add fd00:1::1/64 dev eth0 nodad; ip address add fd00:2::1/64 dev eth1 nodad")
        eventually(lambda: self.pings("10.64.0.3") and self.pings("fd00:2::2"))

    def inside(self, router, script, code=0):
        return self.lab.in_router(self.name, router, script, code=code)

    def pings(self, target, options="-c 1 -W 1"):
        return self.inside("h1", f"ping -n {options} {target}", code=None).code == 0

    def entered(self):
        """Packets that the router itself has seen, by its own counters."""
        return sum(int(n) for n in self.inside("r", "cat /sys/class/net/eth[01]/statistics/rx_packets").out.split())

    def carried(self, link):
        return next(x for x in self.lab.ask("show", self.name)["links"] if x["name"] == link)["frames"]


@pytest.fixture(scope="module", params=PLANES)
def row(triangle, request):
    eventually(lambda: triangle.nodes_up() >= {"a", "b", "c"})
    r = Row(triangle, request.param)
    yield r
    triangle.vnctl("release", r.name, code=None)


def test_who_forwards(row):
    before = row.entered()
    assert row.pings("10.64.0.3", "-c 300 -i 0.002 -q")
    through = row.entered() - before
    assert through < 100 if row.name == "split" else through >= 600, through


def test_counters_are_what_was_sent(row):
    before = [row.carried(link) for link in ("h1-r", "r-h2")]
    assert row.pings("10.64.0.3", "-c 400 -i 0.002 -q")
    for i, link in enumerate(("h1-r", "r-h2")):
        eventually(lambda: all(now - then >= 400 for now, then in zip(row.carried(link), before[i])))
        assert all(now - then < 450 for now, then in zip(row.carried(link), before[i])), row.carried(link)


def test_hop_limits_end_with_an_answer(row):
    out = row.inside("h1", "ping -n -c 1 -t 1 -W 2 10.64.0.3; ping -n -c 1 -t 1 -W 2 fd00:2::2", code=None).out
    assert "From 10.64.0.1 icmp_seq=1 Time to live exceeded" in out and "From fd00:1::1 icmp_seq=1 Time exceeded" in out, out
    assert "ttl=63" in row.inside("h1", "ping -n -c 1 10.64.0.3").out and "ttl=63" in row.inside("h1", "ping -n -c 1 fd00:2::2").out


def test_errors_come_from_the_router(row):
    def says(target, what):
        return what in row.inside("h1", f"ping -n -c 1 -W 2 {target}", code=None).out
    eventually(lambda: says("10.99.0.1", "From 10.64.0.1 icmp_seq=1 Destination Net Unreachable"))
    row.inside("r", "ip route add unreachable 10.98.0.0/16")
    eventually(lambda: says("10.98.0.1", "From 10.64.0.1 icmp_seq=1 Destination Host Unreachable"))


def test_mtu(row):
    row.inside("r", "ip link set eth1 mtu 1300")
    row.inside("h2", "ip link set eth0 mtu 1300")
    try:
        out = row.inside("h1", "ip route flush cache; ping -n -M do -s 1400 -c 2 -i 0.2 -W 1 10.64.0.3", code=None).out
        assert re.search(r"Frag needed|message too long, mtu=1300", out), out
        row.inside("h1", "ip route flush cache")
        assert row.pings("10.64.0.3", "-M dont -s 1400 -c 2 -W 2")  # in fragments
    finally:
        row.inside("r", "ip link set eth1 mtu 1500")
        row.inside("h2", "ip link set eth0 mtu 1500; ip route replace default via 10.64.0.2; ip address replace fd00:2::2/64 dev eth0 nodad; ip -6 route replace default via fd00:2::1")
    row.inside("h1", "ip route flush cache")
    eventually(lambda: row.pings("10.64.0.3", "-M do -s 1400 -c 1 -W 1"))


def test_routes_appear_change_and_vanish(row):
    """A host behind the others, by a route that comes, leads elsewhere, and goes: never to where it should not."""
    row.inside("h2", "ip address add 10.200.0.1/32 dev lo")
    assert not row.pings("10.200.0.1")
    row.inside("r", "ip route add 10.200.0.0/24 via 10.64.0.3")
    eventually(lambda: row.pings("10.200.0.1"), 5)
    row.inside("r", "ip route add blackhole 10.200.0.1/32")
    eventually(lambda: not row.pings("10.200.0.1"), 5)
    row.inside("r", "ip route del blackhole 10.200.0.1/32")
    eventually(lambda: row.pings("10.200.0.1"), 5)
    row.inside("r", "ip route del 10.200.0.0/24")
    eventually(lambda: not row.pings("10.200.0.1"), 5)
    eventually(lambda: "Destination Net Unreachable" in row.inside("h1", "ping -n -c 1 -W 2 10.200.0.1", code=None).out)  # it says so once a second


@pytest.mark.parametrize("lay, clear, options, passes", [
    ("route add 22.0.0.1 via 10.64.0.3", "route del 22.0.0.1", "", True),
    ("route add blackhole 22.0.0.1", "route del blackhole 22.0.0.1", "", False),
    ("route add prohibit 22.0.0.1", "route del prohibit 22.0.0.1", "", False),
    ("route add 22.0.0.1 nexthop via 10.64.0.3 weight 3 nexthop via 10.64.0.3 dev eth1 onlink", "route del 22.0.0.1", "", True),
    ("nexthop add id 7 via 10.64.0.3 dev eth1; ip route add 22.0.0.1 nhid 7", "nexthop del id 7", "", True),
    ("nexthop add id 7 via 10.64.0.3 dev eth1; ip route add 22.0.0.1 nhid 7; ip nexthop replace id 7 blackhole", "nexthop del id 7", "", False),
    ("route add 22.0.0.1 via inet6 fd00:2::2", "route del 22.0.0.1", "", True),
    ("route add 22.0.0.1 via 10.64.0.3 mtu lock 600", "route del 22.0.0.1", "-s 900 -M do", False),
    ("route add 22.0.0.1 via 10.64.0.3 metric 20; ip route add blackhole 22.0.0.1 metric 10",
     "route del blackhole 22.0.0.1; ip route del 22.0.0.1", "", False),
    ("route add blackhole 22.0.0.1; ip route add 22.0.0.1 tos 0x10 via 10.64.0.3", "route flush root 22.0.0.1", "-Q 16", True),
    ("route add blackhole 22.0.0.1; ip route add 22.0.0.1 tos 0x10 via 10.64.0.3", "route flush root 22.0.0.1", "", False),
    ("route add 22.0.0.1 via 10.64.0.3; ip route add blackhole 22.0.0.1 table 77; ip rule add to 22.0.0.1 lookup 77",
     "rule del to 22.0.0.1 lookup 77; ip route flush table 77; ip route del 22.0.0.1", "", False),
])
def test_odd_routes(row, lay, clear, options, passes):
    """Whatever the tenant lays down inside, the plane does what the router's kernel would do."""
    row.inside("h2", "ip address replace 22.0.0.1/32 dev lo")
    try:
        row.inside("r", f"ip {lay}")
        eventually(lambda: row.pings("22.0.0.1", f"-c 1 -W 1 {options}") == passes, 20)
        assert row.pings("22.0.0.1", f"-c 3 -i 0.1 -W 1 {options}") == passes
    finally:
        row.inside("r", f"ip {clear}", code=None)
    eventually(lambda: row.pings("10.64.0.3"))
    eventually(lambda: not row.pings("22.0.0.1"))


def test_a_limit_holds(row):
    target = "10.64.0.3"
    server = row.lab.start("vnctl", "exec", row.name, "h2", "--", "iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    eventually(lambda: "LISTEN" in row.inside("h2", "ss -Hltn sport = :5201").out)
    done = json.loads(row.inside("h1", f"iperf3 -J -c {target} -t 3 -O 1").out)
    server.wait(20)
    mbit = done["end"]["sum_received"]["bits_per_second"] / 1e6
    assert 25 < mbit < 50, mbit  # 50 in wire bytes; less where the machine has no time


def test_the_agent_may_go_and_come_back(row):
    before = row.entered()
    ping = row.lab.long_ping("a", "10.64.0.3", 400)
    row.lab.kill("b")
    row.lab.restart("b")
    eventually(lambda: row.lab.state(row.name) == "active")
    out, _ = ping.communicate(timeout=60)
    assert " 0% packet loss" in out, out
    if row.name == "split":
        assert row.entered() - before < 400


def test_many_routes(row):
    """100,000 of them: laid down, used, and gone again."""
    def change(what):
        row.inside("r", f"/usr/bin/python3 -c 'for n in range(100000): print(f\"route {what} {{20 + n // 51200}}.{{n // 256 % 200}}.{{n % 256}}.0/24 via 10.64.0.3\")' | ip -batch -")
    change("add")
    row.inside("h2", "ip address add 21.190.159.9/32 dev lo")
    eventually(lambda: row.pings("21.190.159.9"))
    before = row.entered()
    assert row.pings("21.190.159.9", "-c 300 -i 0.002 -q")
    if row.name == "split":
        eventually(lambda: row.pings("21.190.159.9", "-c 100 -i 0.002 -q") and row.entered() - before < 2000, 30)
        before = row.entered()
        assert row.pings("21.190.159.9", "-c 300 -i 0.002 -q") and row.entered() - before < 100
    change("del")
    eventually(lambda: not row.pings("21.190.159.9"), 30)
    assert row.pings("10.64.0.3")


# ---- programs --------------------------------------------------------------------------------------------

FLOWS = """\
kind: network
name: flows
placement: pack
defaults: {node: {cpu: 0.1, router: netns}, link: {bandwidth: 20mbit}}
nodes:
  - {name: a}
  - {name: r, plane: {program: ecmp}}
  - {name: x}
  - {name: y}
  - {name: b, plane: {program: firewall}}
links:
  - {endpoints: [a, r]}
  - {endpoints: [r, x]}
  - {endpoints: [r, y]}
  - {endpoints: [x, b]}
  - {endpoints: [y, b]}
"""


@pytest.fixture(scope="module")
def flows(triangle):
    triangle.submit(FLOWS)
    yield triangle
    triangle.vnctl("release", "flows", code=None)


def test_flows_are_spread(flows):
    target = flows.loopback("flows", "b")
    flows.vnctl("plane", "flows", "r", "set", f"128,::ffff:{target}", "6")
    shown = flows.ask("plane", "flows", "r", "get")
    check_schema("plane", shown)
    assert shown["program"] == "ecmp" and [e["value"] for e in shown["entries"]] == ["0x06000000"]

    def seen():
        return [int(flows.in_router("flows", r, "cat /sys/class/net/eth0/statistics/rx_packets").out) for r in ("x", "y")]
    before = seen()
    flows.in_router("flows", "a", f"for p in $(seq 200); do bash -c \"echo x > /dev/udp/{target}/$((20000 + p))\"; done")
    share = [now - then for now, then in zip(seen(), before)]
    assert min(share) > 50, share
    flows.vnctl("plane", "flows", "r", "set", f"128,::ffff:{target}", "4")  # all by eth2
    before = seen()
    flows.in_router("flows", "a", f"for p in $(seq 100); do bash -c \"echo x > /dev/udp/{target}/$((20000 + p))\"; done")
    share = [now - then for now, then in zip(seen(), before)]
    assert share[1] >= 100 and share[0] < 20, share


def test_a_firewall_of_the_tenants(flows):
    target = flows.loopback("flows", "b")
    everything = "::,::,0/be16,0/be16,0/u8,0x000000"
    assert flows.ping("flows", "a", target, count=1)
    flows.vnctl("plane", "flows", "b", "set", everything, "0,0")
    assert flows.ping("flows", "a", target, count=1, code=None).code != 0
    flows.vnctl("plane", "flows", "b", "set", f"::,::ffff:{target},0/be16,0/be16,1/u8,0x000000", "1,0")  # ICMP to it
    assert flows.ping("flows", "a", target, count=1)
    node = next(r["node"] for r in flows.ask("show", "flows")["routers"] if r["name"] == "b")
    flows.kill(node)
    flows.restart(node)
    eventually(lambda: flows.state("flows") == "active" and flows.vnctl("plane", "flows", "b", "get", code=None).code == 0)
    entries = {e["key"]: e["value"] for e in flows.ask("plane", "flows", "b", "get")["entries"]}
    assert len(entries) == 2 and all(int.from_bytes(bytes.fromhex(v[10:]), "little") for v in entries.values()), entries  # and has counted
    flows.vnctl("plane", "flows", "b", "delete", everything)
    assert "no such entry" in flows.vnctl("plane", "flows", "b", "delete", everything, code=1).err


def test_what_is_not_there_is_refused(flows):
    assert "no forwarding program" in flows.vnctl("plane", "flows", "a", "get", code=1).err
    assert "have 40 bytes" in flows.vnctl("plane", "flows", "b", "set", "1", "1,0", code=1).err
    flows.vnctl("plane", "flows", "b", "set", "nonsense", "1", code=2)
    done = flows.submit(FLOWS.replace("flows", "other").replace("program: ecmp", "program: nothing-of-the-kind"), code=1)
    assert "nothing-of-the-kind" in done.err, done


def test_release_leaves_nothing(triangle):
    for name in ("flows", *PLANES):
        triangle.vnctl("release", name, code=None)
    eventually(lambda: all(triangle.bare(node) for node in "abc"))
