# SPDX-License-Identifier: GPL-3.0-or-later
"""Real-time routers, on a hypervisor that has the scheduler for them: the one that `make xen-rtds` builds, which takes minutes,
and so is only tested where somebody has built it. One node; a lab of its own, after that of test_xen.py has ended."""
import sys

import pytest

from lab import BUILD, ROOT
from test_xen import domains, needs_xen

sys.path.insert(0, str(ROOT / "tests/xenlab"))
import xenlab  # noqa: E402
import xensuite  # noqa: E402

REQUEST = """\
kind: network
name: {name}
nodes:
  - {{name: {name}, router: xen, cpu: 0.2, memory: 64MiB, realtime: {{period: 10ms, budget: {budget}}}}}
"""


@pytest.fixture(scope="module")
def suite():
    needs_xen()
    hypervisor = xenlab.cache() / "xen-rtds.gz"
    if not hypervisor.exists():
        pytest.skip(f"{hypervisor} is not there: make xen-rtds makes it")
    made = xensuite.Suite(BUILD, hosts=(xensuite.Host("xen1", 1),), hypervisor=hypervisor, hypervisor_args="sched=rtds")
    try:
        try:
            made.up()
        except xenlab.Unavailable as why:
            pytest.skip(str(why))
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def first(suite):
    suite.submit(REQUEST.format(name="first", budget="2ms"))
    return suite


def scheduled(suite, domain):
    """Period and budget in µs of each vcpu: columns of `xl sched-rtds -d DOMAIN -v all`."""
    lines = suite.nodes["xen1"].run(f"xl sched-rtds -d {domain} -v all").out.splitlines()
    head = lines[0].split()
    assert head[:5] == ["Name", "ID", "VCPU", "Period", "Budget"], lines
    return [tuple(map(int, line.split()[3:5])) for line in lines[1:]]


def realtime(suite):
    """What the node has, and what of it is promised, in cores."""
    guests = next(n for n in suite.ask("nodes") if n["name"] == "xen1")["guests"]
    return guests["realtime"], guests["realtime_reserved"]


def test_a_node_says_that_it_has_realtime(suite):
    assert "rtds" in suite.nodes["xen1"].run("xl info xen_scheduler").out
    assert realtime(suite) == (1, 0)


def test_a_router_gets_period_and_budget(first):
    assert [scheduled(first, name) for name in domains(first, "xen1")] == [[(10000, 2000)]]
    assert first.router("first", "first")["realtime"] == {"period_us": 10000, "budget_us": 2000}
    assert first.in_router("first", "first", "echo there").out == "there\n"


def test_utilisation_is_summed(first):
    """0.2 of 1 are taken: 0.9 are refused with the reason, 0.3 are not."""
    refused = first.submit(REQUEST.format(name="toomuch", budget="9ms"), code=1)
    assert "realtime" in refused.err and "0.9" in refused.err and "0.8" in refused.err, refused
    assert len(domains(first, "xen1")) == 1
    first.submit(REQUEST.format(name="second", budget="3ms"))
    assert realtime(first) == (1, 0.5)
    assert sorted(scheduled(first, name)[0] for name in domains(first, "xen1")) == [(10000, 2000), (10000, 3000)]


def test_a_release_gives_it_back(first):
    for name in ("first", "second"):
        first.vnctl("release", name)
    xensuite.eventually(lambda: not domains(first, "xen1"), 30)
    assert realtime(first) == (1, 0)
