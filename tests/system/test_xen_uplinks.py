# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest on real Xen that is joined to an outside port of its node, whose end host is dom0 at a veth's other end."""
import pytest

from test_xen import BUILD, eventually, needs_xen, xenlab, xensuite

REQUEST = ("kind: network\nname: out\nnodes: [{name: g, router: xen, cpu: 0.1, uplinks: [{port: campus, address: 192.0.2.1/24, "
           "gateway: 192.0.2.9}]}]\n")
PLUG = ("ip link add out0 type veth peer name h0; ip link set out0 up; ip link set h0 up; ip address add 192.0.2.9/24 dev h0")


@pytest.fixture(scope="module")
def suite():
    needs_xen()
    made = xensuite.Suite(BUILD, hosts=(xensuite.Host("xen1", 1, uplinks=("campus",)),))
    try:
        try:
            made.up()
        except xenlab.Unavailable as why:
            pytest.skip(str(why))
        yield made
    finally:
        made.end()


def uplinks(suite):
    return next(n.get("uplinks") for n in suite.ask("nodes") if n["name"] == "xen1")


def test_a_guest_outside(suite):
    node = suite.nodes["xen1"]
    refused = suite.submit(REQUEST, code=None)
    assert refused.code != 0 and "its device out0 is not there" in refused.err, refused
    node.run(PLUG)
    eventually(lambda: uplinks(suite) == ["campus"])
    asks = suite.submit(REQUEST.replace("address: 192.0.2.1/24, gateway: 192.0.2.9", "nat: true"), code=None)
    assert asks.code != 0 and 'uplink "campus" with "nat"' in asks.err, asks
    suite.submit(REQUEST)
    assert "default via 192.0.2.9 dev up0" in suite.in_router("out", "g", "ip route").out
    suite.in_router("out", "g", "ping -c 1 -w 30 192.0.2.9")
    node.run("ping -c 1 -w 30 192.0.2.1")


def test_what_vanishes_is_joined_again(suite):
    node = suite.nodes["xen1"]
    node.run("ip link del out0")
    eventually(lambda: "its device out0 is not there" in suite.ask("show", "out").get("reason", ""))
    node.run(PLUG)
    eventually(lambda: suite.ask("show", "out")["state"] == "active")
    node.run("ping -c 1 -w 30 192.0.2.1")
    suite.vnctl("release", "out")
    eventually(lambda: "000001." not in node.run("ip link").out)  # neither port nor macvlan
