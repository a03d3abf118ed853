# SPDX-License-Identifier: GPL-3.0-or-later
"""Uplinks: end hosts behind outside ports of two nodes, with the programs that end hosts run, talk across virtual networks."""
import json
import os
import re
import shlex
import subprocess
import tempfile

import pytest

from lab import BUILD, ROOT, eventually, running_lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: agents build for real")

SUBSTRATE = """\
kind: substrate
name: two
nodes:
  - {name: a, cpu: 4, memory: 4GiB, uplinks: [campus, lab]}
  - {name: b, cpu: 4, memory: 4GiB, uplinks: [lab]}
links:
  - {endpoints: [a, b], bandwidth: 1gbit}
"""

# What stands at the end hosts' side: node, device (as vnlab makes them), addresses, routers.
HOSTS = {"h1": ("a", "_host0", ["192.0.2.9/24", "2001:db8:a::9/64"], ["192.0.2.1", "2001:db8:a::1"]),
         "h2": ("b", "_host0", ["198.51.100.9/24", "2001:db8:b::9/64"], ["198.51.100.1", "2001:db8:b::1"])}


def plug(lab, name):
    node, device, addresses, gateways = HOSTS[name]
    steps = [f"ip netns add {name}", f"ip link set {device} netns {name}", f"ip -n {name} link set lo up",
             f"ip -n {name} link set {device} up"]
    steps += [f"ip -n {name} address add {a} dev {device}" + (" nodad" if ":" in a else "") for a in addresses]
    steps += [f"ip -n {name} route add default via {g}" for g in gateways]
    lab.on_node(node, "sh", "-ec", "; ".join(steps))


def on_host(lab, name, *command, code=0):
    return lab.on_node(HOSTS[name][0], "ip", "netns", "exec", name, *command, code=code)


def start_on_host(lab, name, *command):
    return lab.start("vnlab", "exec", HOSTS[name][0], "--", "ip", "netns", "exec", name, *command, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)


def pings(lab, name, address):
    return on_host(lab, name, "ping", "-n", "-q", "-c", "1", "-W", "1", address, code=None).code == 0


@pytest.fixture(scope="module")
def two():
    with running_lab(SUBSTRATE) as lab:
        for name in HOSTS:
            plug(lab, name)
        yield lab


@pytest.fixture
def released(two):
    yield two
    for view in two.ask("list"):
        two.vnctl("release", view["name"])
    for node in "ab":
        assert not two.routers_on(node) and not [d for d in two.devices_on(node) if not d.startswith("_")]


def request(family=4, routing="static", first="", second=""):
    pools = "pools: {loopbacks: 'fd00:1::/112', links: 'fd00:2::/112'}\n" if family == 6 else ""
    one, other = ("'2001:db8:a::1/64'", "'2001:db8:b::1/64'") if family == 6 else ("192.0.2.1/24", "198.51.100.1/24")
    return (f"kind: network\nname: crossing\nrouting: {routing}\n{pools}defaults: {{node: {{cpu: 0.1, memory: 32MiB, router: netns}}, "
            "link: {bandwidth: 100mbit}}\nnodes:\n"
            f"  - {{name: r1, uplinks: [{{port: campus, address: {one}{first}}}]}}\n"
            "  - {name: r2}\n"
            f"  - {{name: r3, uplinks: [{{port: lab, address: {other}{second}}}], place: {{not_on: [a]}}}}\n"
            "placement: pack\nlinks: [{endpoints: [r1, r2]}, {endpoints: [r2, r3]}]\n")


def test_iperf_and_a_web_server(released, tmp_path):
    lab = released
    lab.submit(request())
    assert {r["name"]: r["node"] for r in lab.ask("show", "crossing")["routers"]}["r1"] == "a"  # where the port is
    eventually(lambda: pings(lab, "h1", "198.51.100.9"))
    eventually(lambda: pings(lab, "h2", "192.0.2.9"))
    server = start_on_host(lab, "h2", "iperf3", "-s", "-1")
    try:
        def measured():
            done = on_host(lab, "h1", "iperf3", "-c", "198.51.100.9", "-t", "2", "-J", code=None)
            return json.loads(done.out or "{}").get("end", {}).get("sum_received")
        assert 50e6 < eventually(measured)["bits_per_second"] < 100e6  # the link's promise
    finally:
        server.kill()
        server.wait()
    (tmp_path / "page").write_text("behind the uplink\n" * 10000)
    server = start_on_host(lab, "h2", "python3", "-m", "http.server", "8000", "--directory", str(tmp_path))
    try:
        page = eventually(lambda: on_host(lab, "h1", "curl", "-sf", "http://198.51.100.9:8000/page", code=None).out)
        assert page == "behind the uplink\n" * 10000
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("routing", ["static", "ospf"])
def test_ipv6(released, routing):
    released.submit(request(family=6, routing=routing), "--timeout", "60s")
    eventually(lambda: pings(released, "h1", "2001:db8:b::9"))
    eventually(lambda: pings(released, "h2", "2001:db8:a::9"))


def test_split_plane(released):
    """What the host forwards for its routers comes and goes by outside ports, too."""
    if any("plane-split" in n.get("lacks", []) for n in released.ask("nodes")):
        pytest.skip("this kernel takes no BPF of ours")
    released.submit(request().replace("router: netns}", "router: netns, plane: split}"))
    eventually(lambda: pings(released, "h1", "198.51.100.9"))

    def entered():
        return int(released.in_router("crossing", "r1", "cat /sys/class/net/up0/statistics/rx_packets").out)

    def passes_by():
        before = entered()
        assert on_host(released, "h1", "ping", "-n", "-q", "-c", "50", "-i", "0.01", "198.51.100.9").code == 0
        return entered() - before < 10
    eventually(passes_by)


def test_ospf_tells_what_is_outside(released):
    lab = released
    lab.submit(request(routing="ospf", first=", gateway: 192.0.2.9"), "--timeout", "60s")
    eventually(lambda: pings(lab, "h1", "198.51.100.9"))
    on_host(lab, "h1", "ip", "address", "replace", "203.0.113.5/32", "dev", "lo")  # behind the gateway
    eventually(lambda: lab.in_router("crossing", "r3", "ip route show default").out)
    eventually(lambda: pings(lab, "h2", "203.0.113.5"))


def test_nat(released):
    """Who is asked knows no way back to the virtual network."""
    lab = released
    lab.submit(request(first=", gateway: 192.0.2.9, nat: true"))
    on_host(lab, "h1", "ip", "route", "del", "default", "via", "192.0.2.1")
    try:
        on_host(lab, "h1", "ip", "address", "replace", "203.0.113.5/32", "dev", "lo")
        server = start_on_host(lab, "h1", "python3", "-c", "import socket; s = socket.create_server(('203.0.113.5', 7000))\n"
                               "while True: c, a = s.accept(); c.sendall(a[0].encode()); c.close()")
        try:
            ask = "import socket; print(socket.create_connection(('203.0.113.5', 7000), 2).recv(99).decode())"
            seen = eventually(lambda: on_host(lab, "h2", "python3", "-c", ask, code=None).out.strip())
            assert seen == "192.0.2.1"  # by the router's own address
            assert lab.in_router("crossing", "r2", f"python3 -c {shlex.quote(ask)}").out.strip() == "192.0.2.1"
        finally:
            server.kill()
            server.wait()
    finally:
        on_host(lab, "h1", "ip", "route", "replace", "default", "via", "192.0.2.1", "dev", "_host0", "onlink")


def test_dhcp(released, tmp_path):
    lab = released
    (tmp_path / "conf").write_text("start 192.0.2.100\nend 192.0.2.100\nmax_leases 1\ninterface _host0\n"
                                   f"lease_file /dev/null\npidfile {tmp_path}/pid\nopt router 192.0.2.9\nopt subnet 255.255.255.0\n")
    server = start_on_host(lab, "h1", "busybox", "udhcpd", "-f", str(tmp_path / "conf"))
    try:
        on_host(lab, "h1", "ip", "address", "replace", "203.0.113.5/32", "dev", "lo")  # behind the gateway that the server tells
        lab.submit(request().replace("port: campus, address: 192.0.2.1/24", "port: campus, nat: true"))
        eventually(lambda: "192.0.2.100/24" in lab.in_router("crossing", "r1", "ip -4 address show dev up0").out)
        eventually(lambda: "default via 192.0.2.9" in lab.in_router("crossing", "r1", "ip route").out)
        eventually(lambda: pings(lab, "h1", "192.0.2.100"))
        eventually(lambda: lab.in_router("crossing", "r2", "ping -q -c 1 -W 1 203.0.113.5", code=None).code == 0)
        eventually(lambda: pings(lab, "h2", "203.0.113.5"))
        lab.kill("a")
        lab.restart("a")
        eventually(lambda: lab.state("crossing") == "active")
        assert pings(lab, "h1", "192.0.2.100")
    finally:
        server.kill()
        server.wait()


def test_agents_that_are_killed_leave_it_alone(released):
    lab = released
    lab.submit(request())
    eventually(lambda: pings(lab, "h1", "198.51.100.9"))
    going = lab.start("vnlab", "exec", "a", "--", "ip", "netns", "exec", "h1", "ping", "-n", "-q", "-c", "150", "-i", "0.02",
                      "198.51.100.9", stdout=subprocess.PIPE)
    for node in "ab":
        lab.kill(node)
    for node in "ab":
        lab.restart(node)
    out = going.communicate(timeout=60)[0]
    assert " 0% packet loss" in out, out
    eventually(lambda: lab.state("crossing") == "active")
    assert pings(lab, "h2", "192.0.2.9")


def test_a_port_that_vanishes_comes_back(released):
    lab = released
    lab.submit(request())
    eventually(lambda: pings(lab, "h1", "198.51.100.9"))
    lab.on_node("a", "ip", "link", "del", "_up0")
    eventually(lambda: lab.state("crossing") == "degraded")
    why = next(v for v in lab.ask("list") if v["name"] == "crossing")
    assert "uplink campus: its device _up0 is not there" in json.dumps(lab.ask("show", "crossing")), why
    assert lab.ping("crossing", "r1", lab.loopback("crossing", "r3")).code == 0  # the rest goes on
    lab.on_node("a", "ip", "netns", "del", "h1")
    lab.on_node("a", "ip", "link", "add", "_up0", "type", "veth", "peer", "name", "_host0")
    lab.on_node("a", "ip", "link", "set", "_up0", "up")
    plug(lab, "h1")
    eventually(lambda: lab.state("crossing") == "active", seconds=40)
    eventually(lambda: pings(lab, "h1", "198.51.100.9"))


def test_placement_knows_what_is_there_now(released):
    lab = released

    def uplinks():
        return next(n["uplinks"] for n in lab.ask("nodes") if n["name"] == "a")
    alone = ("kind: network\nname: alone\nnodes: [{name: r1, router: netns, cpu: 0.1, uplinks: [{port: lab, address: 10.9.0.1/24}], "
             "place: {on: [a]}}]\n")
    eventually(lambda: uplinks() == ["campus", "lab"])
    lab.on_node("a", "ip", "link", "del", "_up1")
    eventually(lambda: uplinks() == ["campus"])
    refused = lab.submit(alone, code=None)
    assert refused.code != 0 and "its device _up1 is not there" in refused.err, refused
    lab.on_node("a", "ip", "link", "add", "_up1", "type", "veth", "peer", "name", "_host1")
    lab.on_node("a", "ip", "link", "set", "_up1", "up")
    eventually(lambda: uplinks() == ["campus", "lab"])
    lab.submit(alone)


def users_of_campus(lab, users):
    config = lab.dir / "nodes/a/vnagent.yaml"
    text = config.read_text()
    config.write_text(re.sub(r"campus: \{device: _up0[^}]*\}", "campus: {device: _up0" + users + "}", text))
    lab.kill("a")
    eventually(lambda: "a" not in lab.nodes_up())  # else what is up may be the one that was
    lab.restart("a")
    eventually(lambda: "a" in lab.nodes_up())


def test_a_strangers_uplink(released):
    lab = released
    users_of_campus(lab, ", users: [alice]")
    try:
        refused = lab.submit(request(), code=None)
        assert refused.code != 0 and 'is not open to "admin"' in refused.err, refused
        assert lab.state("crossing") in (None, "failed", "refused")
        assert not lab.routers_on("a")
        assert json.loads(lab.run("vnlab", "exec", "a", "--", BUILD / "vnagent", "--check", "-o", "json", "-c",
                                  lab.dir / "nodes/a/vnagent.yaml").out)["uplinks"] == [
            {"name": "campus", "usable": True, "why": "", "users": ["alice"]},
            {"name": "lab", "usable": True, "why": "its device _up1 has no carrier", "users": []}]
    finally:
        users_of_campus(lab, "")


def test_nobody_else_is_on_the_outside_port(released):
    """What routers send out as somebody else is lost; another network on the same port is a host of that LAN."""
    lab = released
    lab.submit(request())
    lab.submit(request().replace("name: crossing", "name: second").replace("192.0.2.1/24", "192.0.2.2/24")
               .replace("198.51.100.1/24", "198.51.100.2/24"))
    eventually(lambda: pings(lab, "h1", "192.0.2.2") and pings(lab, "h1", "192.0.2.1"))
    eventually(lambda: lab.in_router("second", "r1", "ping -n -q -c 1 -W 1 192.0.2.1", code=None).code == 0)
    lab.in_router("second", "r1", "ip link set up0 down; ip link set up0 address 02:aa:aa:aa:aa:aa; ip link set up0 up")
    assert lab.in_router("second", "r1", "ping -n -q -c 2 -W 1 192.0.2.9", code=None).code != 0
    assert pings(lab, "h1", "192.0.2.1")
    neighbours = on_host(lab, "h1", "ip", "neighbour").out
    assert "02:aa:aa:aa:aa:aa" not in neighbours


def test_the_readme(tmp_path):
    """Its files and commands, as they stand there."""
    section = (ROOT / "README.md").read_text().split("## Real traffic: uplinks\n")[1].split("\n## ")[0]
    for name, text in re.findall(r"`(\w+\.yaml)`[^`]*```yaml\n(.*?)```", section, re.S):
        (tmp_path / name).write_text(text)
    commands = [line[4:] for line in section.splitlines() if line.startswith("    build/")]
    assert len(commands) == 6 and commands[0] == "build/vnlab up campus.yaml"
    (tmp_path / "build").symlink_to(BUILD)
    with tempfile.TemporaryDirectory(prefix="vnt-", dir="/tmp") as base:
        env = {**os.environ, "VNE_LAB_DIR": f"{base}/lab"}
        try:
            for command in commands:
                done = subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
                assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        finally:
            subprocess.run([BUILD / "vnlab", "down"], env=env, capture_output=True, timeout=60)
