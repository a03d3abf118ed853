# SPDX-License-Identifier: GPL-3.0-or-later
"""The suite on real Xen: two nodes that are QEMU with Xen 4.17, an agent in each dom0, a third node of namespaces between, vned
outside, joined over a network as hosts are. One lab for the whole module, one network for most of it; the tests go on from
one another's end, in the order of the file. Asserted are results, never times: everything here is emulated and slow."""
import os
import re
import subprocess
import sys
import time

import pytest

from lab import BUILD, ROOT, check_schema

sys.path.insert(0, str(ROOT / "tests/xenlab"))
import xenlab  # noqa: E402
import xensuite  # noqa: E402
from xensuite import eventually  # noqa: E402

LIMIT_KBIT = 400  # a guest in an emulated machine sends about 1 Mbit/s
REQUEST = f"""\
kind: network
name: demo
routing: ospf
defaults:
  node: {{cpu: 0.3, memory: 64MiB}}
  link: {{bandwidth: {LIMIT_KBIT}kbit}}
nodes:
  - {{name: r1, router: xen, place: {{on: [xen1]}}}}
  - {{name: m, router: netns, place: {{on: [mid]}}}}
  - {{name: r2, router: xen, place: {{on: [xen2]}}}}
links:
  - {{endpoints: [r1, m]}}
  - {{endpoints: [m, r2]}}
"""


def needs_xen():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if "/san" in f"{BUILD}/":
        pytest.skip("not instrumented: emulation is slow enough")
    if not (BUILD / "vnagent-xen").exists():
        pytest.skip("this build has no vnagent-xen: libxen-dev is missing")


@pytest.fixture(scope="module")
def suite():
    needs_xen()
    made = xensuite.Suite(BUILD)
    try:
        try:
            made.up()
        except xenlab.Unavailable as why:
            pytest.skip(str(why))
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def demo(suite):
    suite.submit(REQUEST)
    return suite


def domains(suite, node):
    return [line.split()[0] for line in suite.nodes[node].run("xl list").out.splitlines()[2:]]


def loopback(suite, name):
    return suite.router("demo", name)["loopbacks"][0].split("/")[0]


class Traffic:
    """Pings from a guest to another for twenty seconds, run by the guest beside everything else."""

    def __init__(self, suite, source, target):
        self.suite, self.source = suite, source
        suite.in_router("demo", source, f"rm -f /tmp/pings; setsid ping -c 40 -i 0.5 {loopback(suite, target)} </dev/null >/tmp/pings 2>&1 &"
                        " until grep -q seq=1 /tmp/pings; do :; done")

    def end(self):
        def summary():
            return re.search(r"(\d+) packets transmitted, (\d+) packets received", self.suite.in_router("demo", self.source, "cat /tmp/pings").out)
        return map(int, eventually(summary, 120, 1).groups())


def test_nodes_say_what_they_can_host(suite):
    nodes = {n["name"]: n for n in suite.ask("nodes")}
    check_schema("node", list(nodes.values()), many=True)
    assert nodes["xen1"]["kinds"] == ["xen"] and nodes["mid"]["kinds"] == ["netns"]
    guests = nodes["xen1"]["guests"]
    assert 128 << 10 <= guests["memory_kib"] <= 1 << 20, "what Xen has left beside dom0"
    assert guests["images"] == ["default"] and guests["count"] == 0


def test_more_than_a_node_has_is_refused(suite):
    refused = suite.submit("kind: network\nname: big\nnodes:\n  - {name: r, router: xen, cpu: 0.1, memory: 2GiB}\n", code=1)
    assert "memory" in refused.err, refused


def test_realtime_needs_rtds(suite):
    refused = suite.submit("kind: network\nname: rt\nnodes:\n  - {name: r, router: xen, cpu: 0.1, realtime: {period: 10ms, budget: 2ms}}\n", code=1)
    assert "real-time" in refused.err or "realtime" in refused.err, refused


def test_network_over_guests_and_a_namespace(demo):
    view = demo.ask("show", "demo")
    check_schema("network", view)
    assert view["state"] == "active"
    assert {r["name"]: r["kind"] for r in view["routers"]} == {"r1": "xen", "m": "netns", "r2": "xen"}
    assert len(domains(demo, "xen1")) == 1 and len(domains(demo, "xen2")) == 1
    out = demo.in_router("demo", "r1", f"ping -c 5 -i 0.2 {loopback(demo, 'r2')}").out
    assert " 0% packet loss" in out
    assert "ttl=63" in out, "one router between"
    hops = demo.in_router("demo", "r1", f"traceroute -n -q 1 -w 5 {loopback(demo, 'r2')}").out.splitlines()[1:]
    assert len(hops) == 2 and loopback(demo, "r2") in hops[1], hops
    assert "uid=0" in demo.in_router("demo", "r2", "id").out
    kernel = demo.in_router("demo", "r2", "uname -r; cat /sys/hypervisor/type").out
    assert "xen" in kernel and kernel.split()[0] != os.uname().release, kernel


def test_ospf_is_full(demo):
    out = demo.in_router("demo", "r1", "birdc show ospf neighbors; birdc show route").out
    assert "Full" in out
    assert loopback(demo, "r2") in demo.in_router("demo", "r1", "ip route show proto bird").out


def test_a_limit_holds_for_a_guest(demo):
    """A guest floods its neighbour: what arrives there is not more than was promised."""
    link = next(k for k in demo.ask("show", "demo")["links"] if k["endpoints"] == ["r1", "m"])
    target = link["addresses"][1].split("/")[0]  # no route is needed, which a flood would let age

    def arrived():
        octets = demo.in_router("demo", "m", "cat /sys/class/net/eth0/statistics/rx_bytes").out
        return time.monotonic(), int(octets)

    def offered():
        return sum(map(int, demo.nodes["xen1"].run("cat /sys/class/net/vp*/statistics/rx_bytes").out.split()))

    start, sent = arrived(), offered()
    pings = " ".join(f"ping -q -s 1400 -i 0.01 -c 900 -W 2 {target} >/dev/null &" for _ in range(5))
    demo.in_router("demo", "r1", f"{pings} wait")
    end, sent = arrived(), offered() - sent
    seconds = end[0] - start[0]
    kbit = (end[1] - start[1]) * 8e-3 / seconds
    assert seconds > 5
    assert sent * 8e-3 / seconds > 1.2 * LIMIT_KBIT, "the guest sends more than it may"
    assert LIMIT_KBIT * 0.6 <= kbit <= LIMIT_KBIT * 1.05, f"{kbit:.0f} kbit/s of {LIMIT_KBIT} arrive"


def test_load_reports(demo):
    def known():
        r = demo.router("demo", "r1")
        return r if r.get("memory_used_kib") and r.get("cpu_used") is not None else None
    router = eventually(known, 30)
    assert 60 << 10 <= router["memory_used_kib"] <= 66 << 10, "64 MiB, whatever it took to boot"


def test_console(demo):
    done = demo.vnctl("console", "demo", "r1", stdin="echo con$((40+2))sole; exit\n")
    assert "con42sole" in done.out, done
    refused = demo.vnctl("console", "demo", "m", code=None)
    assert refused.code != 0 and "exec" in refused.err, refused


def test_busy_guests_are_spread_over_the_cores(demo):
    """`balance: load` on xen1: two that compute all the time, both put on core 0, end on a core each."""
    guest = "router: xen, place: {on: [xen1]}"
    before = domains(demo, "xen1")
    demo.submit(f"kind: network\nname: busy\nplacement: pack\nnodes:\n  - {{name: a, cpu: 0.5, memory: 64MiB, {guest}}}\n"
                f"  - {{name: b, cpu: 0.5, memory: 64MiB, {guest}}}\n")
    node = demo.nodes["xen1"]
    both = sorted(set(domains(demo, "xen1")) - set(before))
    assert len(both) == 2
    node.run("; ".join(f"xl vcpu-pin {name} 0 - 0" for name in both))

    def cores():
        """The core that each is placed on: the last column of xl's list is hard / soft affinity."""
        return [node.run(f"xl vcpu-list {name}").out.split()[-1] for name in both]
    for name in ("a", "b"):
        demo.in_router("busy", name, "setsid sh -c 'touch /tmp/busy; while :; do :; done' </dev/null >/dev/null 2>&1 &"
                       " until [ -e /tmp/busy ]; do :; done")
    eventually(lambda: sorted(cores()) == ["0", "1"], 60, 1)
    assert "goes from core 0 to 1" in node.run("cat /var/log/vnagent.log").out
    assert demo.ask("show", "busy")["state"] == "active"
    demo.vnctl("release", "busy")
    eventually(lambda: domains(demo, "xen1") == before, 30)


@pytest.mark.parametrize("what", ["vnagent", "vnagent-xen"])
def test_killed_agent_costs_no_packet(demo, what):
    traffic = Traffic(demo, "r1", "r2")
    before = domains(demo, "xen1")
    for name in ("xen1", "xen2"):
        demo.nodes[name].run(f"kill -9 $(pidof {what})")
        if what == "vnagent":
            demo.start_agent(name)
    demo.await_nodes()
    eventually(lambda: demo.in_router("demo", "r2", "echo there", code=None).out == "there\n", 60)
    sent, received = traffic.end()
    assert received == sent == 40
    assert domains(demo, "xen1") == before, "adopted, not made anew"
    assert demo.ask("show", "demo")["state"] == "active"


def test_destroyed_guest_is_repaired(demo):
    name = domains(demo, "xen2")[0]
    demo.nodes["xen2"].run(f"xl destroy {name}")
    eventually(lambda: [e for e in demo.ask("events") if e["kind"] == "node" and "router r2: its domain was destroyed" in e["what"]], 60)
    eventually(lambda: demo.in_router("demo", "r1", f"ping -c 1 -W 3 {loopback(demo, 'r2')}", code=None).code == 0, 150, 1)
    eventually(lambda: demo.ask("show", "demo")["state"] == "active", 60)


def test_crash_tells_the_consoles_tail(demo):
    demo.in_router("demo", "r1", "echo c > /proc/sysrq-trigger", code=None)
    notices = eventually(lambda: [e for e in demo.ask("events") if "router r1" in e["what"] and "crash" in e["what"]], 60)
    assert "Kernel panic" in notices[0]["what"] and "sysrq" in notices[0]["what"], notices
    eventually(lambda: demo.in_router("demo", "r1", f"ping -c 1 -W 3 {loopback(demo, 'r2')}", code=None).code == 0, 150, 1)


def test_an_image_of_no_operator_is_refused(suite):
    refused = suite.submit("kind: network\nname: img\nnodes:\n  - {name: r, router: xen, cpu: 0.1, image: nowhere}\n", code=1)
    assert "nowhere" in refused.err, refused


def test_release_leaves_nothing(demo):
    demo.vnctl("release", "demo")
    for name in ("xen1", "xen2"):
        node = demo.nodes[name]
        eventually(lambda: not domains(demo, name), 30)
        assert not re.search(r"\bv[pt][0-9a-f]", node.run("ip -br link").out)
        assert "vne" not in node.run("xenstore-ls /local/domain/0/backend 2>/dev/null || true").out
    assert "vp" not in subprocess.run(demo.in_mid("ip", "-br", "link"), capture_output=True, text=True).stdout


SPLIT = """\
kind: network
name: split
placement: pack
defaults: {node: {cpu: 0.1, router: netns}, link: {bandwidth: 2mbit}}
nodes:
  - {name: h1, place: {on: [mid]}}
  - {name: g, router: xen, plane: split, cpu: 0.3, memory: 64MiB, place: {on: [xen1]}}
  - {name: h2, place: {on: [mid]}}
links:
  - {endpoints: [h1, g]}
  - {endpoints: [g, h2]}
"""


def test_the_host_forwards_for_a_guest(suite):
    """Routes are computed in the guest; what passes through never enters it, until it says otherwise."""
    suite.submit(SPLIT)
    target = next(r["loopbacks"][0].split("/")[0] for r in suite.ask("show", "split")["routers"] if r["name"] == "h2")

    def entered():
        return sum(int(n) for n in suite.in_router("split", "g", "cat /sys/class/net/eth0/statistics/rx_packets /sys/class/net/eth1/statistics/rx_packets").out.split())

    def pings(count):
        return suite.in_router("split", "h1", f"ping -n -q -c {count} -i 0.02 -W 5 {target}", code=None).code == 0

    def past_the_guest():
        before = entered()
        return pings(50) and entered() - before < 20
    eventually(past_the_guest, 60)
    assert "ttl=63" in suite.in_router("split", "h1", f"ping -n -c 1 -W 10 {target}").out
    assert "Time to live exceeded" in suite.in_router("split", "h1", f"ping -n -c 1 -t 1 -W 10 {target}", code=None).out
    suite.in_router("split", "g", f"ip route add blackhole {target}/32 2>/dev/null || ip route replace blackhole {target}/32")
    eventually(lambda: not pings(1), 30)
    suite.in_router("split", "g", f"ip route del blackhole {target}/32")
    suite.in_router("split", "g", f"ip route replace {target}/32 via 10.64.0.3")
    eventually(lambda: pings(1), 30)
    suite.vnctl("release", "split")


def test_the_drivers_suite_in_dom0(suite):
    """tests/conformance/test_router over the driver `xen`, its agent away meanwhile."""
    node = suite.nodes["xen2"]
    node.run("kill $(pidof vnagent); while pidof vnagent vnagent-xen >/dev/null; do sleep 0.2; done")
    done = node.run("cd /tmp; VNE_XEN_IMAGE=/var/lib/vne/image VNE_XEN_HELPER=/usr/bin/vnagent-xen timeout 400 test_router xen", code=None,
                    seconds=420)
    assert done.code == 0, f"{done}"
    assert not domains(suite, "xen2")
