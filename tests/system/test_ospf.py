# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers that compute their routes: BIRD in a ring of ten on the Abilene lab; what breaks and comes back."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from lab import check_schema, eventually

N = 10
told = []  # by submit, while it waited


def ring(name, extra=""):
    nodes = "\n".join(f"  - {{name: r{i}}}" for i in range(1, N + 1))
    links = "\n".join(f"  - {{endpoints: [r{i}, r{i % N + 1}]}}" for i in range(1, N + 1))
    return (f"kind: network\nname: {name}\nrouting: ospf\n{extra}defaults: {{node: {{cpu: 0.1, memory: 64MiB, router: netns}}, "
            f"link: {{bandwidth: 10mbit}}}}\nnodes:\n{nodes}\nlinks:\n{links}\n")


@pytest.fixture(scope="module")
def network(abilene):
    told.append(abilene.submit(ring("ring"), "--timeout", "60s").err)
    return abilene


def reaches(lab, name, source, target):
    return lab.ping(name, source, lab.loopback(name, target), count=1, code=None).code == 0


def test_active_means_converged(network):
    assert network.state("ring") == "active"
    for target in range(2, N + 1):
        assert reaches(network, "ring", "r1", f"r{target}"), f"r{target}, right after submit said so"
    routes = network.in_router("ring", "r1", "ip -4 -o route show proto bird").out
    assert all(f"{network.loopback('ring', f'r{i}')} " in routes for i in range(2, N + 1)), routes
    assert "src " + network.loopback("ring", "r1") in routes
    assert all(" via " in r for r in routes.splitlines()), "its own links are the kernel's: " + routes


def test_submit_tells_how_far_it_is(network):
    """No terminal: a line per change."""
    counts = [int(n) for n in re.findall(r"^\S+/ring: routing: (\d+) of 10 routers converged$", told[0], re.M)]
    assert counts and counts == sorted(set(counts)) and counts[-1] == N, told[0]


def test_fewest_hops(network):
    out = network.ping("ring", "r1", network.loopback("ring", "r4"), count=1).out
    assert out and "0% packet loss" in out
    hops = network.in_router("ring", "r1", f"ping -n -c 1 {network.loopback('ring', 'r4')}").out
    assert "ttl=62" in hops, hops


def test_tables_and_neighbours_are_shown(network):
    shown = network.ask("show", "ring", "--routes")
    check_schema("routes", shown, many=True)
    assert [r["router"] for r in shown] == [f"r{i}" for i in range(1, N + 1)]
    for i, router in enumerate(shown):
        near = {f"r{(i + 1) % N + 1}", f"r{(i - 1) % N + 1}"}
        assert {n["router"] for n in router["neighbours"]} == near
        assert all(n["state"].startswith("Full") for n in router["neighbours"]), router
        learnt = {r["to"] for r in router["routes"] if r.get("protocol") == "bird"}
        assert learnt >= {network.loopback("ring", f"r{k + 1}") for k in range(N) if k != i}, router
        assert all(r["via"] and r["device"] for r in router["routes"] if "." in r["to"] and "/" not in r["to"])
    text = network.vnctl("show", "ring", "--routes").out
    assert "Full/PtP" in text and "neighbours" in text and network.loopback("ring", "r7") in text


def test_a_table_without_end_is_cut(network):
    """Whoever is root in a router decides what `ip` says there."""
    script = "#!/bin/sh\nexec yes '10.1.2.3 via 10.0.0.1 dev \x1b[2J proto own metric 7'\n"
    network.in_router("ring", "r3", f"printf '%s' \"{script}\" >/run/ip && chmod +x /run/ip && mount --bind /run/ip $(readlink -f $(command -v ip))")
    try:
        endless, *_ = [r for r in network.ask("show", "ring", "--routes") if r["router"] == "r3"]
    finally:
        network.in_router("ring", "r3", "umount $(readlink -f $(command -v ip))")
    assert len(endless["routes"]) == 4096 and endless["left_out"] > 4096, endless["left_out"]
    assert all(r["to"] == "10.1.2.3" and r["metric"] == 7 for r in endless["routes"]), "half a line is none"
    assert {r["device"] for r in endless["routes"]} == {"?[2J"}
    routes = [r for r in network.ask("show", "ring", "--routes") if r["router"] == "r3"][0]["routes"]
    assert network.loopback("ring", "r7") in {r["to"] for r in routes}


def test_an_agent_that_does_not_answer_is_named(network):
    """One agent is stopped: what its router knows is not known, the others' tables come all the same."""
    node = node_of(network, "r3")
    network.kill(node, "STOP")
    try:
        r = network.vnctl("-o", "json", "show", "ring", "--routes", code=3)
        shown = {x["router"]: x for x in json.loads(r.out)}
        assert node in shown["r3"]["why"] and shown["r3"]["routes"] == []
        assert all(shown[f"r{i}"]["routes"] for i in range(1, N + 1) if i != 3)
        assert "r3" in r.err
    finally:
        network.kill(node, "CONT")
    eventually(lambda: network.state("ring") == "active", 30)


def bird_pid(lab, router):
    return lab.in_router("ring", router, "cat /run/bird.pid").out.strip()


def node_of(lab, router):
    return next(r["node"] for r in lab.ask("show", "ring")["routers"] if r["name"] == router)


def test_a_link_that_is_cut_is_gone_round(network):
    """One end's device is set down by hand on its node: BFD notices, the others find the way round."""
    node = node_of(network, "r1")
    device = next(d for d in network.devices_on(node) if d.startswith("vt"))
    before = network.in_router("ring", "r1", "ip -4 route show proto bird").out
    network.on_node(node, "ip", "link", "set", device, "down")
    eventually(lambda: network.in_router("ring", "r1", "ip -4 route show proto bird").out != before, 30)
    for target in ("r2", "r5", "r10"):
        eventually(lambda target=target: reaches(network, "ring", "r1", target), 30)
    eventually(lambda: network.state("ring") == "degraded", 30)
    reason = network.ask("show", "ring")["reason"]
    assert re.search(r"routing: r\d+: .*neighbour r\d+", reason), reason
    network.on_node(node, "ip", "link", "set", device, "up")
    eventually(lambda: network.state("ring") == "active", 60)


def test_bird_that_dies_is_started_again(network):
    pid = bird_pid(network, "r3")
    network.in_router("ring", "r3", f"kill -9 {pid}")
    eventually(lambda: bird_pid(network, "r3") != pid, 30)
    eventually(lambda: reaches(network, "ring", "r1", "r3") and reaches(network, "ring", "r3", "r6"), 60)
    assert any("router r3: BIRD has ended" in e["what"] for e in network.ask("events"))
    eventually(lambda: network.state("ring") == "active", 60)


def test_agents_that_are_killed_leave_routing_alone(network):
    pids = {r: bird_pid(network, r) for r in ("r1", "r2", "r5")}
    ping = network.long_ping(node_of(network, "r1"), network.loopback("ring", "r5"), 250)
    for router in pids:
        network.kill(node_of(network, router))
        network.restart(node_of(network, router))
    eventually(lambda: len(network.nodes_up()) == 11)
    out = ping.communicate(timeout=60)[0]
    assert "250 packets transmitted, 250 received" in out, out
    assert {r: bird_pid(network, r) for r in pids} == pids, "found again, not started anew"
    eventually(lambda: network.state("ring") == "active", 30)


def submit_on_a_terminal(lab, text):
    """What stands there in the end, and what was written on the way."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 25, 32, 0, 0))
    subprocess.run(lab.command("vnctl", "submit", "-", "--timeout", "60s"), env=lab.env, input=text, text=True, check=True,
                   stdout=subprocess.DEVNULL, stderr=theirs, timeout=90)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    return said


def test_ipv6(abilene, network):
    said = submit_on_a_terminal(abilene, ring("six", "pools: {loopbacks: 'fd00:1::/64', links: 'fd00:2::/64'}\n"))
    lines = said.split("\r")
    assert "\n" not in said and lines[-1] == "\x1b[K", said
    assert all(0 < len(line) <= 31 + len("\x1b[K") and line.endswith("\x1b[K") for line in lines[1:]), said
    assert any("/six: routing: " in line for line in lines), said
    assert abilene.state("six") == "active"
    assert reaches(abilene, "six", "r1", "r6")
    routes = abilene.in_router("six", "r1", "ip -6 -o route show proto bird").out.splitlines()
    assert routes and all(" via " in r for r in routes), routes
    abilene.vnctl("release", "six")


def test_memory_of_bird(network):
    """What BIRD adds to a router, without what it shares with the other nine."""
    for router in ("r1", "r7"):
        rollup = network.in_router("ring", router, f"cat /proc/{bird_pid(network, router)}/smaps_rollup").out
        own = int(re.search(r"^Pss_Anon: +(\d+)", rollup, re.M)[1])
        assert own <= 1000, f"{own} kB"


def test_release_leaves_nothing(network):
    node = node_of(network, "r1")
    assert network.on_node(node, "pgrep", "-f", "bird -c /run/bird.conf").out
    network.vnctl("release", "ring")
    assert not network.on_node(node, "pgrep", "-f", "bird -c /run/bird.conf", code=None).out
    for node in network.nodes_up():
        assert network.bare(node)
