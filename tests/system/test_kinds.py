# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers that are switches, a kernel's bridge or an Open vSwitch under a controller; and what else than IP passes a virtual link."""
import contextlib
import re
import subprocess

import pytest

from lab import eventually

LAN = """\
kind: network
name: {name}
defaults: {{node: {{cpu: 0.1, router: netns}}, link: {{bandwidth: 20mbit}}}}
placement: pack
nodes:
  - {{name: r1, place: {{on: [a]}}}}
  - {{name: r2, place: {{on: [b]}}}}
  - {{name: r3, place: {{on: [c]}}}}
  - {{name: s1, cpu: 0.5, router: {kind}, place: {{on: [a]}}{more}}}
  - {{name: s2, cpu: 0.5, router: {kind}, place: {{on: [b]}}{more}}}
links:
  - {{endpoints: [r1, s1]}}
  - {{endpoints: [r2, s1]}}
  - {{endpoints: [s1, s2]}}
  - {{endpoints: [r3, s2]}}
"""


def reaches(lab, name, source, target, code=0):
    return lab.ping(name, source, lab.loopback(name, target), count=1, code=None).code == code


@contextlib.contextmanager
def program(lab, *words):
    process = lab.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def network(lab, text):
    lab.submit(text)
    name = re.search(r"^name: (\S+)", text, re.M)[1]
    try:
        yield name
    finally:
        lab.vnctl("release", name)


def test_a_lan_of_two_switches(triangle):
    with network(triangle, LAN.format(name="lan", kind="switch", more="")) as name:
        for source in ("r1", "r2", "r3"):
            for target in ("r1", "r2", "r3"):
                assert source == target or reaches(triangle, name, source, target)
        ends = {r: triangle.in_router(name, r, "ip -4 -o address show dev eth0").out.split("inet ")[1].split()[0] for r in ("r1", "r2", "r3")}
        assert len({e.split("/")[1] for e in ends.values()}) == 1 and len(set(ends.values())) == 3, ends
        table = triangle.in_router(name, "s1", "bridge fdb show br br0 state reachable; bridge fdb show br br0").out
        for r in ("r1", "r2", "r3"):  # it has learnt where each is
            mac = triangle.in_router(name, r, "cat /sys/class/net/eth0/address").out.strip()
            assert mac in table, (mac, table)
        assert triangle.in_router(name, "s1", "ip -o address show dev br0").out == ""
        triangle.kill("a")
        assert reaches(triangle, name, "r2", "r3")
        eventually(lambda: "a" not in triangle.nodes_up())  # else what is up may be the one that was
        triangle.restart("a")
        eventually(lambda: "a" in triangle.nodes_up() and triangle.state(name) == "active")
        assert reaches(triangle, name, "r1", "r3")
    eventually(lambda: all(triangle.bare(node) for node in "abc"))


def test_openflow_does_what_it_is_told_and_nothing_else(triangle):
    """Without a controller and flows nothing passes; with flows what they say."""
    with network(triangle, LAN.format(name="of", kind="openflow", more="")) as name:
        assert not reaches(triangle, name, "r1", "r2")
        shown = triangle.in_router(name, "s1", "ovs-vsctl show; ovs-ofctl show br0").out
        assert "fail_mode: secure" in shown and all(f"({p})" in shown for p in ("eth0", "eth1", "eth2")), shown
        for s in ("s1", "s2"):
            triangle.in_router(name, s, "ovs-ofctl add-flow br0 actions=normal")
        eventually(lambda: reaches(triangle, name, "r1", "r3") and reaches(triangle, name, "r2", "r1"))
        triangle.in_router(name, "s2", "ovs-ofctl add-flow br0 priority=40000,icmp,actions=drop")
        eventually(lambda: not reaches(triangle, name, "r1", "r3"))
        assert reaches(triangle, name, "r1", "r2")
        # TCP, whose checksums a switch in user space takes as they are
        target = triangle.loopback(name, "r2")
        with program(triangle, "vnctl", "exec", name, "r2", "--", "iperf3", "-s"):
            eventually(lambda: target and "LISTEN" in triangle.in_router(name, "r2", "ss -Hltn sport = :5201").out)
            out = triangle.in_router(name, "r1", f"iperf3 -c {target} -n 200K").out
            assert "receiver" in out, out


def test_a_switch_that_is_killed_comes_back(triangle):
    with network(triangle, LAN.format(name="of", kind="openflow", more="")) as name:
        for daemon in ("ovs-vswitchd", "ovsdb-server"):
            before = triangle.in_router(name, "s1", f"cat /run/openvswitch/{daemon}.pid").out
            triangle.in_router(name, "s1", f"kill -9 $(cat /run/openvswitch/{daemon}.pid)")
            eventually(lambda: triangle.in_router(name, "s1", f"cat /run/openvswitch/{daemon}.pid", code=None).out not in ("", before))
        eventually(lambda: any("router s1: ovs-vswitchd has ended" in e["what"] for e in triangle.ask("events")))
        eventually(lambda: triangle.in_router(name, "s1", "ovs-ofctl show br0", code=None).out.count("eth") >= 3)
        for s in ("s1", "s2"):
            triangle.in_router(name, s, "ovs-ofctl add-flow br0 actions=normal")
        eventually(lambda: reaches(triangle, name, "r1", "r3"))
        pid = triangle.in_router(name, "s1", "cat /run/openvswitch/ovs-vswitchd.pid").out
        triangle.kill("a")  # the agent
        assert reaches(triangle, name, "r2", "r3")
        eventually(lambda: "a" not in triangle.nodes_up())  # else what is up may be the one that was
        triangle.restart("a")
        eventually(lambda: "a" in triangle.nodes_up() and triangle.state(name) == "active")
        assert triangle.in_router(name, "s1", "cat /run/openvswitch/ovs-vswitchd.pid").out == pid
        assert reaches(triangle, name, "r1", "r3")


def test_a_controller_outside(triangle):
    """A learning controller of Debian's on each node, which the switches reach through the agent."""
    with contextlib.ExitStack() as all_of_it:
        for node in "ab":
            all_of_it.enter_context(program(triangle, "vnlab", "exec", node, "--", "ovs-testcontroller", "--unixctl=none", "ptcp:6690:127.0.0.1"))
        name = all_of_it.enter_context(network(triangle, LAN.format(name="of", kind="openflow", more=', controller: "tcp:127.0.0.1:6690"')))
        eventually(lambda: reaches(triangle, name, "r1", "r3"), 30)
        eventually(lambda: "is_connected: true" in triangle.in_router(name, "s1", "ovs-vsctl show").out)


def test_a_controller_that_is_a_virtual_node(triangle):
    """In-band: the switches speak to it over the LAN that they make."""
    with network(triangle, LAN.format(name="of", kind="openflow", more=", controller: r1")) as name:
        with program(triangle, "vnctl", "exec", name, "r1", "--", "ovs-testcontroller", "--unixctl=none", "ptcp:6653"):
            eventually(lambda: "is_connected: true" in triangle.in_router(name, "s2", "ovs-vsctl show").out, 60)
            eventually(lambda: reaches(triangle, name, "r2", "r3"), 30)


HOSTILE = r"""
import os, random, socket, struct
server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 6691)); server.listen(8)
random.seed(1)
def message(kind, body, version=4, length=None):
    return struct.pack("!BBHI", version, kind, length or 8 + len(body), random.getrandbits(32)) + body
def flow_mod(port):
    # what comes in anywhere leaves by a port that it may not name: LOCAL, CONTROLLER, one that there is not
    match = struct.pack("!HH4x", 1, 4)
    output = struct.pack("!HHIH6x", 0, 16, port, 0xffff)
    apply = struct.pack("!HH4x", 4, 8 + len(output)) + output
    return message(14, struct.pack("!QQBBHHHIIIH2x", 0, 0, 0, 0, 0, 0, random.getrandbits(15), 0xffffffff, 0xffffffff, 0xffffffff, 0) + match + apply)
served = 0
while True:
    peer, _ = server.accept()
    peer.settimeout(0.3)
    try:
        served += 1
        how = (served - 1) % 5
        if how == 0:
            peer.sendall(os.urandom(65536))
        elif how == 1:
            peer.sendall(message(0, b"") + message(14, b"", length=65535) + os.urandom(3000))
        elif how == 2:
            peer.sendall(message(0, b"")[:5])
            peer.recv(100)
        else:
            peer.sendall(message(0, b"") + message(5, b""))
            for port in (0xfffffffe, 0xfffffffd, 0xfffffffb, 77, 0xffffff00):
                peer.sendall(flow_mod(port))
            for n in range(3000):
                peer.sendall(flow_mod(random.getrandbits(16)))
            while True:
                if not peer.recv(65536):
                    break
    except OSError:
        pass
    peer.close()
    open("/tmp/served", "w").write(str(served))
"""


def test_a_hostile_controller(triangle, tmp_path):
    """It says anything, floods, hangs and hangs up: others notice nothing, and a good one in its place finds a switch that works."""
    script = tmp_path / "hostile.py"
    script.write_text(HOSTILE.replace("/tmp/served", str(tmp_path / "served")))
    with network(triangle, LAN.format(name="other", kind="switch", more="")):
        with network(triangle, LAN.format(name="of", kind="openflow", more=', controller: "tcp:127.0.0.1:6691"')) as name:
            with program(triangle, "vnlab", "exec", "a", "--", "/usr/bin/python3", str(script)):
                eventually(lambda: (tmp_path / "served").exists() and int((tmp_path / "served").read_text() or 0) >= 4, 60)
                assert reaches(triangle, "other", "r1", "r3") and reaches(triangle, "other", "r2", "r1")
                assert triangle.nodes_up() == {"a", "b", "c"}
            with contextlib.ExitStack() as all_of_it:
                for node in "ab":
                    all_of_it.enter_context(program(triangle, "vnlab", "exec", node, "--", "ovs-testcontroller", "--unixctl=none", "ptcp:6691:127.0.0.1"))
                for s in ("s1", "s2"):
                    eventually(lambda: "is_connected: true" in triangle.in_router(name, s, "ovs-vsctl show").out, 60)
                    triangle.in_router(name, s, "ovs-ofctl del-flows br0; ovs-ofctl add-flow br0 priority=65535,actions=normal")
                eventually(lambda: reaches(triangle, name, "r1", "r3"))
        assert triangle.state("other") == "active"


def test_a_hostile_switch_stays_within_its_ports(triangle):
    """Its owner is root inside, and tells it everything: another network on the same nodes sees no frame of it."""
    other = LAN.format(name="other", kind="switch", more="")
    with network(triangle, other), network(triangle, LAN.format(name="of", kind="openflow", more="")) as name:
        def counted(r):
            return int(triangle.in_router("other", r, "cat /sys/class/net/eth0/statistics/rx_bytes").out)
        before = {r: counted(r) for r in ("r1", "r2", "r3")}
        foreign = triangle.devices_on("a")
        triangle.in_router(name, "s1", "ovs-ofctl add-flow br0 actions=" + ",".join(f"output:{p}" for p in range(1, 60)) + ",all,in_port,local,flood")
        for device in [*foreign, "lo", "mgmt"]:
            triangle.in_router(name, "s1", f"timeout 5 ovs-vsctl --no-wait add-port br0 {device}", code=None)
        triangle.in_router(name, "s1", "ovs-vsctl --no-wait add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=198.18.0.1 options:key=1")
        triangle.in_router(name, "r1", f"ping -f -c 2000 -s 1000 {triangle.loopback(name, 'r2')}", code=None)
        after = {r: counted(r) for r in before}  # what its routers' own IPv6 says from time to time is all there may be
        assert all(after[r] - before[r] < 20000 for r in before), (before, after)
        assert reaches(triangle, "other", "r1", "r3")


# ---- what else passes ----------------------------------------------------------------------------------------

PAIR = """\
kind: network
name: {name}
routing: {routing}
{more}defaults: {{node: {{cpu: 0.1, router: netns}}, link: {{bandwidth: 10mbit}}}}
nodes:
  - {{name: r1, place: {{on: [a]}}}}
  - {{name: r2, place: {{on: [b]}}}}
links:
  - {{endpoints: [r1, r2]}}
"""
# FRR's daemons want a group to be a member of: one is laid over /etc/group, in a mount namespace of their own.
ISIS = r"""
mkdir -p /run/frr && cd /run/frr
printf 'root:x:0:root\nfrr:x:0:root\nfrrvty:x:0:root\n' > group && mount --bind group /etc/group
cat > isisd.conf <<X
hostname r$1
interface eth0
 ip router isis core
 isis network point-to-point
 isis hello-interval 1
interface lo
 ip router isis core
router isis core
 net 49.0001.0000.0000.000$1.00
 is-type level-2-only
X
echo "hostname r$1" > zebra.conf
for d in zebra isisd; do
	/usr/lib/frr/$d -d -u root -g root --vty_socket /run/frr -z /run/frr/zserv.api -i /run/frr/$d.pid -f /run/frr/$d.conf </dev/null >$d.log 2>&1 || { cat $d.log; exit 1; }
done
"""
RAW_TYPE = 0x88b5  # for experiments
SAY = f"import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(b'\\xff' * 6 + b'\\x02' * 6 + ({RAW_TYPE}).to_bytes(2, 'big') + b'neither IPv4 nor IPv6')"
HEAR = f"import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons({RAW_TYPE})); s.bind(('eth0', {RAW_TYPE})); print('listening', flush=True); print(s.recv(2000)[14:].decode(), flush=True)"


def test_four_architectures_side_by_side(triangle):
    """IPv4, IPv6, IS-IS and an EtherType of one's own, each in a network of its own over the same two nodes."""
    with contextlib.ExitStack() as all_of_it:
        four = all_of_it.enter_context(network(triangle, PAIR.format(name="four", routing="static", more="")))
        six = all_of_it.enter_context(network(triangle, PAIR.format(name="six", routing="static", more="pools: {loopbacks: fd01::/64, links: fd02::/64}\n")))
        isis = all_of_it.enter_context(network(triangle, PAIR.format(name="isis", routing="none", more="")))
        raw = all_of_it.enter_context(network(triangle, PAIR.format(name="raw", routing="none", more="")))
        for number in (1, 2):
            triangle.vnctl("exec", isis, f"r{number}", "--", "unshare", "-m", "sh", "-s", number, stdin=ISIS)
        ear = triangle.start("vnctl", "exec", raw, "r2", "--", "/usr/bin/python3", "-c", HEAR, stdout=subprocess.PIPE)
        assert ear.stdout.readline() == "listening\n"
        triangle.vnctl("exec", raw, "r1", "--", "/usr/bin/python3", "-c", SAY)
        assert ear.stdout.readline() == "neither IPv4 nor IPv6\n"
        assert ear.wait(20) == 0
        assert reaches(triangle, four, "r1", "r2") and reaches(triangle, six, "r1", "r2")
        far = triangle.loopback(isis, "r2")
        eventually(lambda: f"{far} " in triangle.in_router(isis, "r1", "ip route show proto isis").out, 60)
        assert "Up" in triangle.in_router(isis, "r1", "vtysh --vty_socket /run/frr -c 'show isis neighbor' 2>/dev/null").out
        assert reaches(triangle, isis, "r1", "r2")


@pytest.mark.parametrize("kind", ["switch", "openflow"])
def test_release_leaves_nothing(triangle, kind):
    with network(triangle, LAN.format(name="gone", kind=kind, more="")):
        pass
    eventually(lambda: all(triangle.bare(node) for node in "abc"))
