# SPDX-License-Identifier: GPL-3.0-or-later
"""Who shares links: a promise beside attackers that flood, every link booked out; twenty tenants of best effort beside each other. Asserted is what
limits promise, counted in bytes on the wire; `make bench` has the times."""
import contextlib
import subprocess
import time

import pytest

from lab import eventually, running_lab

# Two nodes, one wire of 40 Mbit/s between them.
SUBSTRATE = """\
kind: substrate
name: wire
nodes:
  - {name: a, cpu: 64}
  - {name: b, cpu: 64}
links:
  - {endpoints: [a, b], bandwidth: 40mbit}
"""
WIRE = 40e6
VXLAN = 50  # and the inner Ethernet header, which the kernel's counters of the router have
TENANTS = 20
SECONDS = 5
SIZES = [64, 200, 600, 1300]  # of payload, over UDP

SENDER = """
import socket, sys, time
address, size, rate, seconds, flows = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
for i, s in enumerate(sockets):
    s.connect((address, 9000 + i))
data, wire = b"x" * size, size + 28 + 14 + 50
begin = time.monotonic()
sent = 0
while (now := time.monotonic() - begin) < seconds:
    while sent * wire * 8 < now * rate:
        try:
            sockets[sent % flows].send(data)
        except OSError:
            pass
        sent += 1
    time.sleep(0.002)
"""


def link(name, mbit, cpu="0.1"):
    return (f"kind: network\nname: {name}\nnodes:\n  - {{name: r1, cpu: {cpu}, place: {{on: [a]}}}}\n  - {{name: r2, cpu: {cpu}, place: {{on: [b]}}}}\n"
            f"links:\n  - {{endpoints: [r1, r2], bandwidth: {mbit}mbit}}\n")


@pytest.fixture(scope="module")
def wire(root, tmp_path_factory):
    path = tmp_path_factory.mktemp("wire") / "wire.yaml"
    path.write_text(SUBSTRATE)
    with running_lab(path) as lab:
        yield lab


@contextlib.contextmanager
def sending(lab, network, size, rate, flows=1, seconds=SECONDS + 3, key=()):
    process = lab.start("vnctl", *key, "exec", network, "r1", "--", "/usr/bin/python3", "-c", SENDER, lab.far[network], str(size), str(rate), str(seconds),
                        str(flows), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def arrived(lab, network):
    """Frames and bytes that the far router has had, and when, by its own kernel's clock."""
    out = lab.in_router(network, "r2", "cat /proc/uptime; cat /sys/class/net/eth0/statistics/rx_packets /sys/class/net/eth0/statistics/rx_bytes").out.split()
    return float(out[0]), int(out[2]), int(out[3])


def rates(lab, networks):
    """Bit/s on the wire of each, at the same time or nearly."""
    before = {n: arrived(lab, n) for n in networks}
    time.sleep(SECONDS)  # the window that is measured
    after = {n: arrived(lab, n) for n in networks}
    return {n: 8 * (after[n][2] - before[n][2] + VXLAN * (after[n][1] - before[n][1])) / (after[n][0] - before[n][0]) for n in networks}


def stands(lab, text, name, key=()):
    lab.vnctl(*key, "submit", "-", stdin=text)
    view = lab.ask("show", name)
    lab.far = getattr(lab, "far", {})
    lab.far[name] = view["links"][0]["addresses"][1].split("/")[0]


def jain(shares):
    return sum(shares) ** 2 / (len(shares) * sum(s * s for s in shares))


@pytest.mark.parametrize("attack", ["small", "large", "flows"])
def test_a_promise_beside_a_flood(wire, attack):
    """Half of the wire is promised to the victim, half to the attacker, who sends five times as much, beside a third that floods by best effort."""
    size, flows = {"small": (64, 1), "large": (1300, 1), "flows": (200, 64)}[attack]
    for name, mbit in (("victim", 20), ("attacker", 20), ("rest", 0)):
        stands(wire, link(name, mbit), f"admin/{name}")
    with contextlib.ExitStack() as all_of_it:
        for name, times in (("attacker", 5), ("rest", 1)):
            all_of_it.enter_context(sending(wire, f"admin/{name}", size, times * 20e6 if attack != "small" else times * 10e6, flows))
        all_of_it.enter_context(sending(wire, "admin/victim", 1000, 22e6))
        eventually(lambda: arrived(wire, "admin/victim")[1] > 100 and arrived(wire, "admin/attacker")[1] > 100)
        got = rates(wire, ["admin/victim", "admin/attacker", "admin/rest"])
    for name in ("victim", "attacker", "rest"):
        wire.vnctl("release", f"admin/{name}")
    assert got["admin/victim"] > 0.95 * 20e6, got
    assert got["admin/attacker"] < 1.03 * 20e6, got
    assert sum(got.values()) < 1.03 * WIRE, got


def best_effort(lab, folder):
    """Bit/s by tenant: twenty, the first of them with three networks, with frames of all sizes, each offering more than its share."""
    keys = {}
    names = []
    for i in range(TENANTS):
        who = f"tenant{i}"
        subprocess.run([lab.build / "vnctl", "keys", "new", who, "tenant"], cwd=folder, check=True, capture_output=True)
        lab.vnctl("keys", "allow", folder / f"{who}.pub")
        keys[who] = ("-k", folder / f"{who}.key")
        for k in range(3 if i == 0 else 1):
            stands(lab, link(f"n{k}", 0), f"{who}/n{k}", keys[who])
            names.append(f"{who}/n{k}")
    with contextlib.ExitStack() as all_of_it:
        for i, name in enumerate(names):
            all_of_it.enter_context(sending(lab, name, SIZES[i % len(SIZES)], 2 * WIRE / TENANTS, seconds=SECONDS + 10))
        for name in names:
            eventually(lambda: arrived(lab, name)[1] > 50)
        got = rates(lab, names)
    for name in names:
        lab.vnctl("release", name)
    shares = {}
    for name, rate in got.items():
        shares[name.split("/")[0]] = shares.get(name.split("/")[0], 0) + rate
    return shares


def test_best_effort_is_shared_by_tenant(wire, tmp_path):
    shares = best_effort(wire, tmp_path)
    assert jain(list(shares.values())) >= 0.98, shares
    assert 0.95 * WIRE <= sum(shares.values()) <= 1.03 * WIRE, sum(shares.values())
