# SPDX-License-Identifier: GPL-3.0-or-later
"""Protected links switch by themselves, whatever fails along the path in use and whoever of ours is not there; nothing else makes them."""
import re
import subprocess

import pytest

from lab import check_schema, eventually, running_lab

SUBSTRATE = """\
kind: substrate
name: two-ways
nodes:
  - {name: a, cpu: 4, memory: 1GiB}
  - {name: b, cpu: 4, memory: 1GiB}
  - {name: c, cpu: 4, memory: 1GiB}
  - {name: d, cpu: 4, memory: 1GiB}
  - {name: e, cpu: 4, memory: 1GiB}
links:
  - {endpoints: [a, b], bandwidth: 100mbit}
  - {endpoints: [b, c], bandwidth: 100mbit}
  - {endpoints: [c, d], bandwidth: 100mbit}
  - {endpoints: [a, e], bandwidth: 100mbit, cost: 9}
  - {endpoints: [e, d], bandwidth: 100mbit, cost: 9}
"""
SAFE = """\
kind: network
name: safe
defaults: {node: {cpu: 0.1, memory: 16MiB}}
nodes:
  - {name: r1, place: {on: [a]}}
  - {name: r2, place: {on: [d]}}
links:
  - {endpoints: [r1, r2], bandwidth: 10mbit, protection: link}
"""
NODES = set("abcde")


@pytest.fixture(scope="module")
def lab(root):
    with running_lab(SUBSTRATE) as lab:
        yield lab


@pytest.fixture
def net(lab):
    eventually(lambda: lab.nodes_up() == NODES)
    eventually(lambda: not any("lost" in link for link in lab.ask("links")), 60)
    lab.submit(SAFE)
    eventually(lambda: lab.state("safe") == "active")
    yield "safe"
    eventually(lambda: lab.nodes_up() == NODES)
    lab.vnctl("release", "safe")
    eventually(lambda: all(lab.bare(n) for n in NODES))


def shown(lab):
    view = lab.ask("show", "safe")
    return view["links"][0], view.get("reason") or ""


def in_use(lab):
    return shown(lab)[0]["in_use"]


def events(lab):
    """Of the network that is there now."""
    said = lab.vnctl("events").out
    return said[max(said.rfind("state planned"), 0):]


def switches(lab):
    """Both ends'."""
    return len(re.findall("on its (?:backup|primary) path at", events(lab)))


def steady(lab):
    """Both paths carry frames, both ends say so, and the primary is in use."""
    link, reason = shown(lab)
    said = events(lab)
    return link["in_use"] == "primary" and not reason and all(f"both of its paths carry at {n}" in said for n in "ad")


def drop(lab, node, link):
    lab.on_node(node, "sh", "-c", "nft add table inet cut && nft add chain inet cut in '{ type filter hook prerouting priority -500; }' && "
                f"nft add rule inet cut in iifname {link} drop")


def heal(lab, node):
    lab.on_node(node, "nft", "delete", "table", "inet", "cut")


def lost(ping):
    out, _ = ping.communicate(timeout=60)
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
    assert sent > 0, out
    return sent - received


def pings(lab, count, interval=0.005):
    """Out of r1, by no agent; it has begun when this returns."""
    before = shown(lab)[0]["frames"][0]
    ping = lab.long_ping("a", shown(lab)[0]["addresses"][1], count, interval)
    eventually(lambda: shown(lab)[0]["frames"][0] > before)
    return ping


@pytest.mark.parametrize("where", ["a", "c"])
def test_cut(lab, net, where):
    cut = {"a": "a-b", "c": "c-d"}[where]
    eventually(lambda: steady(lab))
    ping = pings(lab, 400)
    lab.on_node(where, "ip", "link", "set", cut, "down")
    try:
        assert lost(ping) <= 40  # of 5 ms; the figures are the bench's
        reason = eventually(lambda: in_use(lab) == "backup" and cut in shown(lab)[1] and shown(lab)[1])
        assert re.search(f"^link r1-r2: on its backup path: .*primary path; link {cut} is down at", reason), reason
        assert lab.state(net) == "degraded"
        check_schema("network", lab.ask("show", net))
        check_schema("slink", lab.ask("links"), many=True)
    finally:
        lab.on_node(where, "ip", "link", "set", cut, "up")
    ping = pings(lab, 2000)
    eventually(lambda: in_use(lab) == "primary", 30)
    assert lost(ping) == 0  # back again for nothing
    assert switches(lab) == 4


@pytest.mark.parametrize("where", [("a", "a-b"), ("b", "b-c"), ("d", "c-d")], ids=lambda w: f"{w[1]}-at-{w[0]}")
def test_silent_in_one_direction(lab, net, where):
    node, cut = where
    eventually(lambda: steady(lab))
    ping = pings(lab, 400)
    drop(lab, node, cut)
    try:
        assert lost(ping) <= 40
        assert in_use(lab) == "backup"
        link = eventually(lambda: next((k for k in lab.ask("links") if k["name"] == cut and "lost" in k), None))
        assert re.search("nothing comes from|hears nothing of", link["lost"]), link
        eventually(lambda: lab.state(net) == "degraded" and cut in shown(lab)[1])
    finally:
        heal(lab, node)
    eventually(lambda: "lost" not in next(k for k in lab.ask("links") if k["name"] == cut), 60)


def test_a_middle_node_crosses_nothing_any_more(lab, net):
    eventually(lambda: steady(lab))
    (first, *_) = [d for d in lab.devices_on("b") if d.startswith("vt")]
    ping = pings(lab, 400)
    lab.on_node("b", "tc", "filter", "del", "dev", first, "ingress", "pref", "2")
    assert lost(ping) <= 40
    assert in_use(lab) == "backup"  # which neither link's probes know of
    lab.kill("b")
    lab.restart("b")  # builds what is missing
    eventually(lambda: steady(lab), 40)


def test_daemons_gone_are_no_failure(lab, net):
    eventually(lambda: steady(lab))
    ping = pings(lab, 600)
    lab.kill("b")
    lab.on_node("c", "pkill", "-KILL", "-x", "vnagent-watch")
    lab.on_node("a", "pkill", "-KILL", "-x", "vnagent-watch")
    assert lost(ping) == 0
    assert in_use(lab) == "primary" and switches(lab) == 0
    lab.restart("b")
    eventually(lambda: lab.nodes_up() == NODES)
    eventually(lambda: steady(lab))
    assert switches(lab) == 0 and not any("lost" in link for link in lab.ask("links"))


def test_switches_without_agents_and_is_found_again(lab, net):
    eventually(lambda: steady(lab))
    for name in ("vned", "a", "d"):
        lab.kill(name)
    ping = lab.long_ping("a", "10.255.0.1", 400, 0.005)
    drop(lab, "c", "b-c")
    try:
        assert lost(ping) <= 40
        ping = lab.long_ping("a", "10.255.0.1", 400, 0.005)
        for name in ("vned", "a", "d"):
            lab.restart(name)
        eventually(lambda: lab.nodes_up() == NODES)
        eventually(lambda: in_use(lab) == "backup" and "b-c" in shown(lab)[1])
        assert lost(ping) == 0
        ping = pings(lab, 400)
        for node in "ad":  # who forgets everything but what the kernel does
            lab.on_node(node, "pkill", "-KILL", "-x", "vnagent-watch")
        assert lost(ping) == 0
        assert in_use(lab) == "backup"
    finally:
        heal(lab, "c")
    eventually(lambda: steady(lab), 40)


def test_a_full_link_is_not_a_dead_one(lab, net):
    eventually(lambda: steady(lab))
    far = shown(lab)[0]["addresses"][1]
    flood = ("import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nend=time.monotonic()+3\n"
             f"while time.monotonic()<end:\n for i in range(50): s.sendto(bytes(1200),('{far}',9))\n")
    lab.in_router(net, "r1", f'/usr/bin/python3 -c "{flood}"')
    assert shown(lab)[0]["drops"][0] > 1000
    assert in_use(lab) == "primary" and switches(lab) == 0


HEAR = """import socket,time
s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))
s.settimeout(0.2)
print('ready',flush=True)
seen=0; forged=0; marks=0; end=time.monotonic()+3
while time.monotonic()<end:
 try: f=s.recv(2000)
 except socket.timeout: continue
 seen+=f[12:14]==bytes.fromhex('88b6'); marks+=f[12:14]==bytes.fromhex('88b5')
print(seen,marks)
"""
FORGE = """import socket,time
s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)
s.bind(('eth0',0))
for i in range(200):
 for p in (0,1):
  s.send(bytes.fromhex('02766e650002'+'02766e650001'+'88b6'+'01%02x'%p+'564e4577'+'0103'+'0000'+'%08x'%(2**31-1+i)+'11'*8+'22'*8))
 s.send(bytes.fromhex('ffffffffffff'+'02766e650001'+'88b5')+bytes(46))
 time.sleep(0.005)
"""


def test_tenants_neither_see_nor_forge_probes(lab, net):
    eventually(lambda: steady(lab))
    hearing = lab.start("vnctl", "exec", net, "r2", "--", "/usr/bin/python3", "-c", HEAR, stdout=subprocess.PIPE)
    assert hearing.stdout.readline() == "ready\n"
    lab.in_router(net, "r1", f'/usr/bin/python3 -c "{FORGE}"')
    seen, marks = map(int, hearing.communicate(timeout=30)[0].split())
    assert marks == 200  # another type passes
    assert seen == 0
    assert in_use(lab) == "primary" and switches(lab) == 0


def test_flapping_is_damped(lab, net):
    link = lambda: next(k for k in lab.ask("links") if k["name"] == "e-d")  # noqa: E731
    eventually(lambda: steady(lab))
    for _ in range(3):
        drop(lab, "e", "e-d")
        eventually(lambda: "lost" in link())
        heal(lab, "e")
        eventually(lambda: "is down" not in link().get("lost", ""))
    assert re.search("has gone down . times; it is not relied on", link()["lost"]), link()
    assert in_use(lab) == "primary"


def test_a_new_backup_is_found_beside_the_one_in_use(root):
    """With a third way the network is whole again while the primary is still cut; what carries frames meanwhile is not touched."""
    more = SUBSTRATE.replace("links:\n", "  - {name: f, cpu: 4, memory: 1GiB}\nlinks:\n") + (
        "  - {endpoints: [a, f], bandwidth: 100mbit, cost: 99}\n  - {endpoints: [f, d], bandwidth: 100mbit, cost: 99}\n")
    with running_lab(more) as lab:
        lab.submit(SAFE)
        eventually(lambda: steady(lab))
        first = shown(lab)[0]
        ping = pings(lab, 1200)
        lab.on_node("b", "ip", "link", "set", "b-c", "down")
        eventually(lambda: lab.state("safe") == "active" and shown(lab)[0]["in_use"] == "primary" and shown(lab)[0]["paths"] != first["paths"], 30)
        now = shown(lab)[0]
        assert now["paths"][0]["via"] == first["backup"]["via"] and now["backup"]["via"] == ["a", "f", "d"]
        assert lost(ping) <= 40
        eventually(lambda: steady(lab))
        ping = pings(lab, 400)
        lab.on_node("e", "ip", "link", "set", "e-d", "down")
        assert lost(ping) <= 40
        # there, then the same path by its new name, then on: of each end, which tells the last at least
        assert in_use(lab) == "backup" and switches(lab) in (2, 4, 6)
