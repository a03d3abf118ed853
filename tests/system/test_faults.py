# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons killed at bad moments: a transaction ends all or none, and traffic never stops."""
import re
import subprocess

import pytest

from lab import TRIANGLE, eventually, request, running_lab


@pytest.fixture(scope="module")
def lab(root):
    with running_lab(TRIANGLE) as lab:
        yield lab


@pytest.fixture
def net(lab):
    """A network of three routers, fresh for each test."""
    lab.submit(request("net"))
    yield "net"
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    lab.vnctl("release", "net")
    eventually(lambda: all(lab.bare(n) for n in "abc"))


def lost(ping):
    out, _ = ping.communicate(timeout=60)
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
    assert sent > 0, out
    return sent - received


def test_agent_killed_and_restarted_under_traffic(lab, net):
    ping = lab.long_ping("a", lab.loopback(net, "r3"), count=250)
    lab.kill("b")
    eventually(lambda: "b" not in lab.nodes_up())
    lab.restart("b")
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    assert lost(ping) == 0
    eventually(lambda: lab.state(net) == "active")
    lab.ping(net, "r1", lab.loopback(net, "r3"))


def test_vned_killed_and_restarted_under_traffic(lab, net):
    ping = lab.long_ping("a", lab.loopback(net, "r3"), count=250)
    lab.kill("vned")
    lab.restart("vned")
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    assert lost(ping) == 0
    eventually(lambda: lab.state(net) == "active")
    lab.ping(net, "r1", lab.loopback(net, "r3"))


def test_both_killed_at_once(lab, net):
    ping = lab.long_ping("a", lab.loopback(net, "r3"), count=250)
    for name in ("b", "vned", "a"):
        lab.kill(name)
    for name in ("vned", "a", "b"):
        lab.restart(name)
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    assert lost(ping) == 0
    eventually(lambda: lab.state(net) == "active")


def test_vned_stopped_by_hand_leaves_networks_running(lab, net):
    lab.run("vnlab", "kill", "-TERM", "vned")
    ping = lab.long_ping("a", "10.255.0.2", count=20)
    assert lost(ping) == 0
    lab.restart("vned")
    eventually(lambda: lab.state(net) == "active")


def test_what_is_missing_after_a_crash_is_repaired(lab, net):
    """A router that died while its agent was away is there again after the next exchange."""
    lab.kill("b")
    (holder,) = lab.routers_on("b")
    lab.on_node("b", "kill", "-9", holder)
    eventually(lambda: not lab.routers_on("b"))
    lab.restart("b")
    eventually(lambda: lab.routers_on("b"))
    eventually(lambda: lab.in_router(net, "r1", f"ping -n -q -c 1 -W 1 {lab.loopback(net, 'r3')}", code=None).code == 0, seconds=30)


def test_dead_router_is_made_again(lab, net):
    (holder,) = lab.routers_on("b")
    lab.on_node("b", "kill", "-9", holder)
    eventually(lambda: lab.routers_on("b") not in ([], [holder]), seconds=30)
    eventually(lambda: lab.in_router(net, "r1", f"ping -n -q -c 1 -W 1 {lab.loopback(net, 'r3')}", code=None).code == 0, seconds=30)


def test_foreign_devices_are_left_alone(lab, net):
    lab.on_node("b", "ip", "link", "add", "stranger", "type", "veth", "peer", "name", "stranger2")
    try:
        lab.kill("b")
        lab.restart("b")
        eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
        assert {"stranger", "stranger2"} <= set(lab.on_node("b", "ls", "/sys/class/net").out.split())
    finally:
        lab.on_node("b", "ip", "link", "del", "stranger")


def check_all_or_none(lab, name):
    """Once everybody is back: the whole network, or nothing of it; and nothing after a release."""
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    state = eventually(lambda: (lab.state(name) or "none") if lab.state(name) not in ("preparing", "committing", "updating", "degraded")
                       else None)
    if state == "active":
        lab.ping(name, "r1", lab.loopback(name, "r3"))
        lab.vnctl("release", name)
    else:
        assert state in ("none", "rejected", "failed", "released")
    eventually(lambda: all(lab.bare(n) for n in "abc"))
    assert all(link["reserved_mbit"] == 0 for link in lab.ask("links"))


@pytest.mark.parametrize("signal", ["STOP", "KILL"])
def test_agent_silent_between_prepare_and_commit(lab, signal):
    """An agent that stops answering in the middle: the others undo what they have prepared, and
    nothing is promised to anybody."""
    lab.kill("c", "STOP")  # it cannot answer PREPARE any more, and vned does not know it yet
    submit = subprocess.Popen(lab.command("vnctl", "--timeout", "90s", "submit", "-"), env=lab.env, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    submit.stdin.write(request("half"))
    submit.stdin.close()
    submit.stdin = None
    if signal == "KILL":
        # prepared somewhere, or already given up again: both are fine, as long as it ends with nothing
        eventually(lambda: lab.routers_on("a") or submit.poll() is not None)
        lab.kill("c", "KILL")
    out, err = submit.communicate(timeout=100)
    assert submit.returncode in (1, 3), (submit.returncode, out, err)
    assert "c" in err
    assert lab.state("half") in (None, "rejected", "failed", "released")
    eventually(lambda: lab.bare("a") and lab.bare("b"))
    assert all(link["reserved_mbit"] == 0 for link in lab.ask("links"))
    if signal == "KILL":
        lab.restart("c")
    else:
        lab.kill("c", "CONT")
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    eventually(lambda: lab.bare("c"))
    # and now it can be had
    lab.submit(request("half"))
    assert lab.state("half") == "active"
    lab.vnctl("release", "half")


def test_agent_killed_after_it_has_prepared_and_before_commit(lab):
    """b sleeps, so that the transaction waits; c has built its part and dies before it hears more."""
    def told_of_links():
        return [e for e in lab.ask("events") if e["kind"] == "link"]
    before = len(told_of_links())
    lab.kill("b", "STOP")
    submit = subprocess.Popen(lab.command("vnctl", "--timeout", "90s", "submit", "-"), env=lab.env, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    submit.stdin.write(request("torn"))
    submit.stdin.close()
    submit.stdin = None
    eventually(lambda: lab.routers_on("c"), pause=0.01)  # it has prepared
    lab.kill("c", "KILL")
    lab.kill("b", "CONT")
    submit.communicate(timeout=100)
    lab.restart("c")
    # It was noticed in time, or everybody had agreed already and c catches up.
    assert len(told_of_links()) == before  # that nobody listens at c any more is no loss of a link
    check_all_or_none(lab, "torn")


def test_vned_killed_while_preparing(lab):
    """What was accepted but not decided when vned died is taken up again when it is back, or undone."""
    lab.kill("b", "STOP")
    submit = subprocess.Popen(lab.command("vnctl", "--timeout", "90s", "submit", "-"), env=lab.env, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    submit.stdin.write(request("undecided"))
    submit.stdin.close()
    submit.stdin = None
    eventually(lambda: lab.routers_on("a") and lab.routers_on("c"), pause=0.01)
    lab.kill("vned", "KILL")
    out, err = submit.communicate(timeout=60)
    assert submit.returncode == 3, (submit.returncode, out, err)
    lab.kill("b", "CONT")
    lab.restart("vned")
    check_all_or_none(lab, "undecided")


def test_release_while_an_agent_is_away_is_made_good(lab):
    lab.submit(request("gone"))
    lab.kill("c")
    lab.vnctl("--timeout", "60s", "release", "gone", code=None)
    lab.restart("c")
    eventually(lambda: lab.nodes_up() == {"a", "b", "c"})
    eventually(lambda: all(lab.bare(n) for n in "abc"), seconds=40)
    eventually(lambda: lab.state("gone") in (None, "released"))
