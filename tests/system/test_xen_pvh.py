# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests where the hardware has virtualization (QEMU emulates that, too): they are PVH. One node, a lab of its own."""
import json
import sys

import pytest

from lab import BUILD, ROOT
from test_xen import domains, loopback, needs_xen

sys.path.insert(0, str(ROOT / "tests/xenlab"))
import xenlab  # noqa: E402
import xensuite  # noqa: E402

REQUEST = """\
kind: network
name: demo
routing: ospf
defaults: {node: {cpu: 0.3, memory: 64MiB}, link: {bandwidth: 1mbit}}
nodes:
  - {name: r, router: xen}
  - {name: m, router: netns}
links:
  - {endpoints: [r, m]}
"""


@pytest.fixture(scope="module")
def suite():
    needs_xen()
    made = xensuite.Suite(BUILD, hosts=(xensuite.Host("xen1", 1, hvm=True),))
    try:
        try:
            made.up()
        except xenlab.Unavailable as why:
            pytest.skip(str(why))
        yield made
    finally:
        made.end()


def test_a_guest_is_pvh_and_routes(suite):
    suite.submit(REQUEST)
    (name,) = domains(suite, "xen1")
    config = next(d["config"] for d in json.loads(suite.nodes["xen1"].run("xl list -l").out) if d["config"]["c_info"].get("name") == name)
    assert config["c_info"]["type"] == "pvh", config
    assert "ttl=64" in suite.in_router("demo", "r", f"ping -c 3 -W 10 {loopback(suite, 'm')}").out
    def routes():  # an emulated guest may take longer to answer than is waited for
        done = suite.vnctl("-o", "json", "show", "demo", "--routes", code=None)
        return {r["router"]: r for r in json.loads(done.out)} if done.code == 0 else None
    shown = xensuite.eventually(routes, 60)
    assert all(n["state"].startswith("Full") for r in shown.values() for n in r["neighbours"]) and shown["r"]["neighbours"], shown
    assert any(r["to"] == loopback(suite, "m") and r.get("via") for r in shown["r"]["routes"]), shown
    suite.vnctl("release", "demo")
    xensuite.eventually(lambda: not domains(suite, "xen1"), 60)
