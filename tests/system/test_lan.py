# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual links that are a LAN: two switches join three routers over three nodes, a fourth router is behind one of them."""
import json
import os
import re

import pytest

from lab import ROOT, TRIANGLE, running_lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: agents build for real")

LAN = """\
kind: network
name: NAME
placement: pack
MORE
defaults: {node: {cpu: 0.1}, link: {bandwidth: 10mbit}}
nodes:
  - {name: r1, place: {on: [a]}}
  - {name: r2, place: {on: [b]}}
  - {name: r3, place: {on: [c]}}
  - {name: r4, place: {on: [c]}}
  - {name: s1, router: switch, place: {on: [a]}}
  - {name: s2, router: switch, place: {on: [b]}}
links:
  - {endpoints: [r1, s1]}
  - {endpoints: [r2, s2]}
  - {endpoints: [s1, s2]}
  - {endpoints: [r3, s1]}
  - {endpoints: [r3, r4]}
"""
ROUTERS = ["r1", "r2", "r3", "r4"]


def network(name, more=""):
    return LAN.replace("NAME", name).replace("MORE", more)


@pytest.fixture(scope="module")
def lab():
    with running_lab(TRIANGLE) as running:
        yield running


@pytest.fixture(params=["static", "ospf", "six"])
def lan(lab, request):
    more = {"static": "routing: static", "ospf": "routing: ospf",
            "six": "pools: {loopbacks: 'fd00:1::/64', links: 'fd00:2::/64'}"}[request.param]
    name = request.param
    lab.submit(network(name, more), "--timeout", "60s")
    yield name
    lab.vnctl("release", name)


def ttl(lab, name, source, target):
    out = lab.in_router(name, source, f"ping -n -c 1 -W 5 {lab.loopback(name, target)}").out
    return int(re.search(r"(?:ttl|hlim)=(\d+)", out).group(1))


def test_all_reach_all_by_fewest_hops(lab, lan):
    for source in ROUTERS:
        for target in ROUTERS:
            if source != target:
                passed = 1 if "r4" in (source, target) and "r3" not in (source, target) else 0  # by r3
                assert ttl(lab, lan, source, target) == 64 - passed, (source, target)


def test_one_subnet_and_one_mtu(lab, lan):
    ends = {}
    for router in ["r1", "r2", "r3"]:
        devices = json.loads(lab.in_router(lan, router, "ip -j address show dev eth0").out)[0]
        mine = [a for a in devices["addr_info"] if a["scope"] == "global"]
        assert len(mine) == 1
        ends[router] = (mine[0]["local"], mine[0]["prefixlen"], devices["mtu"])
    pool_end = [f"fd00:2::ffff:ffff:ffff:fff{n}" for n in "9ab"] if lan == "six" else [f"10.79.255.{n}" for n in (249, 250, 251)]
    assert [e[0] for e in ends.values()] == pool_end
    assert {e[1] for e in ends.values()} == {125 if lan == "six" else 29}
    assert len({e[2] for e in ends.values()}) == 1
    mtu = ends["r1"][2]
    fits = mtu - (48 if lan == "six" else 28)
    lab.in_router(lan, "r1", f"ping -n -c 1 -W 5 -M do -s {fits} {lab.loopback(lan, 'r2')}")
    assert lab.in_router(lan, "r1", f"ping -n -c 1 -W 5 -M do -s {fits + 1} {lab.loopback(lan, 'r2')}", code=None).code != 0


def test_what_is_shown(lab, lan):
    view = lab.ask("show", lan)
    assert view["state"] == "active"
    switches = [r for r in view["routers"] if r["kind"] == "switch"]
    assert len(switches) == 2
    assert all(not r["loopbacks"] and "plane" not in r for r in switches), switches
    assert all(r["plane"] == "kernel" for r in view["routers"] if r["kind"] == "netns")


def test_switches_have_no_routes_and_end_no_traffic(lab, lan):
    views = lab.ask("show", lan, "--routes")
    assert sorted(v["router"] for v in views) == ROUTERS
    if lan == "static":
        done = lab.vnctl("-o", "json", "audit", lan, "--probe", code=4)
        verdicts = {v["link"]: (v["verdict"], v.get("reason", "")) for v in json.loads(done.out)["links"]}
        assert verdicts.pop("r3-r4")[0] == "ok"
        assert all(v == "unknown" and "switch" in why for v, why in verdicts.values()), verdicts


def test_a_broadcast_reaches_the_lan_and_no_further(lab, lan):
    if lan == "six":
        pytest.skip("IPv6 has none")
    before = [counted(lab, lan, r) for r in ROUTERS]
    lab.in_router(lan, "r1", "ping -n -b -c 3 -i 0.2 -W 1 10.79.255.255 >/dev/null 2>&1; true")
    grown = [counted(lab, lan, r) - b for r, b in zip(ROUTERS, before)]
    assert grown[1] >= 3 and grown[2] >= 3, grown
    assert grown[3] == 0, grown


def test_the_readme(lab):
    section = (ROOT / "README.md").read_text().split("\n## LANs\n")[1].split("\n## ")[0]
    lab.submit(re.search(r"```yaml\n(.*?)```", section, re.S).group(1))
    ends = re.findall(r"(r\d) (?:is )?(10\.\S+/30)", section)
    assert len(ends) == 2
    for router, address in ends:
        assert f" {address} " in lab.in_router("office", router, "ip -4 -o address show dev eth0").out
    lab.ping("office", "r1", "10.79.255.254", count=1)
    lab.vnctl("release", "office")


def counted(lab, name, router):
    """Broadcast packets that a router's IPv4 has received."""
    lines = lab.in_router(name, router, "cat /proc/net/netstat").out.splitlines()
    head, values = (line.split() for line in lines if line.startswith("IpExt:"))
    return int(dict(zip(head, values))["InBcastPkts"])
