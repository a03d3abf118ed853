# SPDX-License-Identifier: GPL-3.0-or-later
"""Isolation and fairness: a victim with a promise beside attackers on a wire that is booked out, each way to attack and all at once; and twenty tenants
of best effort. Throughput in bytes on the wire against what was promised; delays as round trips of the victim's routers, against those it has
alone. FAIRNESS_SECONDS: of each measurement."""
import contextlib
import os
import re
import tempfile
import time
from pathlib import Path

from common import ROOT, table

import test_fairness as fair  # noqa: E402
from lab import eventually, running_lab  # noqa: E402

SECONDS = int(os.environ.get("FAIRNESS_SECONDS", "5"))
fair.SECONDS = SECONDS
row = table("fairness", "what", "measured", "asked", "ratio", "note")


def still(lab, network):
    """Nothing arrives: whoever sent before has been ended."""
    before = fair.arrived(lab, network)[1]
    time.sleep(0.3)
    return fair.arrived(lab, network)[1] - before < 3


def p99_us(lab):
    """Round trips between the victim's routers, every 5 ms, which send nothing else."""
    eventually(lambda: still(lab, "admin/victim"))
    out = lab.in_router("admin/victim", "r1", f"ping -n -i 0.005 -c {200 * SECONDS} {lab.far['admin/victim']}", code=None).out
    times = sorted(float(t) * 1000 for t in re.findall(r"time=([0-9.]+) ms", out))
    return times[int(len(times) * 0.99)], len(times)


def burning(lab):
    return lab.start("vnctl", "exec", "admin/attacker", "r1", "--", "sh", "-c", "while :; do :; done")


def attacks(lab):
    for name, mbit in (("victim", 20), ("attacker", 20), ("rest", 0)):
        fair.stands(lab, fair.link(name, mbit, "1"), f"admin/{name}")
    alone, n = p99_us(lab)
    row("p99 of the victim alone, us", f"{alone:.0f}", "", "", f"{n} round trips")
    kinds = {"64-byte packets": [(64, 100e6, 1)], "large packets": [(1300, 100e6, 1)], "64 flows": [(200, 100e6, 64)], "burning cpu": [],
             "all at once": [(64, 50e6, 1), (1300, 100e6, 1), (200, 50e6, 64)]}
    for kind, floods in kinds.items():
        with contextlib.ExitStack() as all_of_it:
            for size, rate, flows in floods:
                all_of_it.enter_context(fair.sending(lab, "admin/attacker", size, rate, flows, seconds=3 * SECONDS + 10))
            if floods:
                all_of_it.enter_context(fair.sending(lab, "admin/rest", 600, 40e6, seconds=3 * SECONDS + 10))
            if kind in ("burning cpu", "all at once"):
                burner = burning(lab)
                all_of_it.callback(lambda p=burner: (p.kill(), p.wait()))
            if floods:
                eventually(lambda: fair.arrived(lab, "admin/attacker")[1] > 100)
            p99, _ = p99_us(lab)
            row(f"{kind}: p99 of the victim, us", f"{p99:.0f}", f"{2 * alone:.0f}", f"{p99 / alone:.2f}", "to alone; at most 2")
            all_of_it.enter_context(fair.sending(lab, "admin/victim", 1000, 22e6, seconds=SECONDS + 5))
            eventually(lambda: fair.arrived(lab, "admin/victim")[1] > 100)
            got = fair.rates(lab, ["admin/victim", "admin/attacker", "admin/rest"])
        row(f"{kind}: the victim gets, mbit", f"{got['admin/victim'] / 1e6:.2f}", "19.6", f"{got['admin/victim'] / 20e6:.4f}",
            f"of its 20; attacker {got['admin/attacker'] / 1e6:.2f}, best effort {got['admin/rest'] / 1e6:.2f}, all {sum(got.values()) / 1e6:.2f} of 40")
    for name in ("victim", "attacker", "rest"):
        lab.vnctl("release", f"admin/{name}")


def shares(lab, folder):
    by_tenant = fair.best_effort(lab, folder)
    got = list(by_tenant.values())
    row("20 tenants of best effort, Jain's index", f"{fair.jain(got):.4f}", "0.98", f"{fair.jain(got) / 0.98:.3f}",
        f"frames of {fair.SIZES} bytes, one tenant with three networks; least {min(got) / 1e6:.2f}, most {max(got) / 1e6:.2f} mbit")
    row("... together, mbit", f"{sum(got) / 1e6:.2f}", f"{0.95 * fair.WIRE / 1e6:.0f}", f"{sum(got) / fair.WIRE:.3f}", "of 40")


def bench():
    print(f"two nodes, a wire of 40 Mbit/s: 20 promised to a victim, 20 to an attacker, best effort beside; {SECONDS} s each; netns (xen: not measured here)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wire.yaml"
        path.write_text(fair.SUBSTRATE)
        with running_lab(path) as lab:
            attacks(lab)
            shares(lab, Path(folder))
