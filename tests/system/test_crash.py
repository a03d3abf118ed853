# SPDX-License-Identifier: GPL-3.0-or-later
"""Crashes at every step: a daemon is killed at each of its points of writing and sending in turn, while a network is submitted,
updated or released. Afterwards the network is as was acknowledged, or as before, and whole; capacity adds up; what stands on the
nodes is exactly the plan's; nothing went backwards.

The points come in an order that a seed shuffles, until the time is over: SWEEP_SECONDS for all sweeps (`make soak` gives enough
for every point), SWEEP_SEED."""
import json
import os
import random
import subprocess
import time

import pytest

from lab import TRIANGLE, eventually, request, running_lab
from points import FAULTS, bare, open_points, reserved, running, settled, store_rows, terms, things

NODES = "abc"
SEED = int(os.environ.get("SWEEP_SEED", "1"))
SECONDS = float(os.environ.get("SWEEP_SECONDS", "72"))
BEFORE, AFTER = "10mbit", "20mbit"


class Step:
    """What a client asks for. `before`, `after`: bandwidth of the network's links, None: there is none."""

    def __init__(self, name, words, stdin, before, after):
        self.name, self.words, self.stdin, self.before, self.after = name, words, stdin, before, after


STEPS = [
    Step("submit", ("submit", "-"), request("net", bandwidth=BEFORE), None, BEFORE),
    Step("accept", ("submit", "-", "--wait", "accepted"), request("net", bandwidth=BEFORE), None, BEFORE),
    Step("update", ("update", "net", "-"), request("net", bandwidth=AFTER), BEFORE, AFTER),
    Step("move", ("update", "net", "-"), request("net", places=("a", "c", "b"), bandwidth=AFTER), BEFORE, AFTER),
    Step("release", ("release", "net"), "", BEFORE, None),
]


class Sweep:
    def __init__(self, lab, points):
        self.lab, self.points = lab, points
        self.clean = {}   # what stands where nothing went wrong, per state
        self.terms = [0] * len(NODES)
        self.swept = 0

    # ---- states
    def state(self, view=None):
        """The bandwidth of the network's links and where its routers are; None: there is none."""
        if self.lab.state("net") in (None, "released"):
            return None
        view = self.lab.ask("show", "net")
        return (f"{view['links'][0]['mbit']:g}mbit", tuple(r["node"] for r in view["routers"]))

    def reach(self, bandwidth):
        """The state before the step."""
        if self.lab.state("net") not in (None, "released"):
            self.lab.vnctl("release", "net")
        eventually(lambda: bare(self.lab, NODES), pause=0.01)
        if bandwidth:
            self.lab.submit(request("net", bandwidth=bandwidth))

    def learn(self, step):
        """Once without faults: how many points there are, and what stands before and afterwards."""
        self.reach(step.before)
        self.clean[step.name] = [(self.state(), things(self.lab, NODES)[0])]
        for p in self.points.values():
            p.reset()
        self.lab.vnctl(*step.words, stdin=step.stdin)
        settled(self.lab, NODES, ("active",))
        if step.after is None:
            eventually(lambda: bare(self.lab, NODES), pause=0.01)
        counts = {name: p.passed for name, p in self.points.items()}
        self.clean[step.name].append((self.state(), things(self.lab, NODES)[0]))
        return counts

    # ---- one crash
    def crash(self, who, step, k):
        """Whether the point was reached."""
        self.reach(step.before)
        point = self.points[who]
        generation = self.lab.ask("show", "net")["generation"] if step.before else 0
        point.arm(k)
        client = subprocess.Popen(self.lab.command("vnctl", "--timeout", "20s", *step.words), env=self.lab.env, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        client.stdin.write(step.stdin)
        client.stdin.close()
        client.stdin = None
        eventually(lambda: point.at or (client.poll() is not None and self.over()), pause=0.002)
        if who == "vned" or not point.at:
            client.communicate(timeout=60)
        hit = bool(point.at)
        if hit:
            eventually(lambda: not running(self.lab, who), pause=0.01)
        where = f"{step.name}, {who} killed at point {k} ({point.at})"
        point.reset()
        try:
            if hit and who == "vned":
                store_rows(self.lab)
            if hit:
                self.lab.restart(who)
            out, err = client.communicate(timeout=60)
            self.check(step, who, client.returncode, generation)
        except BaseException:
            print(f"{where}; the client ended with {client.returncode}")
            raise
        self.swept += hit
        return hit

    def check(self, step, who, code, generation):
        settled(self.lab, NODES, ("active", "released"))
        (old, old_things), (new, new_things) = self.clean[step.name]
        state = eventually(lambda: [s] if (s := self.state()) in (old, new) else None)[0]
        if code == 0 and state != new:
            # what is only accepted may still fail with an agent that is lost while it prepares, and says so
            last = self.lab.ask("show", "net", "--history")[-1]
            assert step.name == "accept" and who != "vned" and who in last["why"], f"acknowledged, and now {state}: {last}"
        wanted = new_things if state == new else old_things
        self.stands(wanted)
        said, sums = reserved(self.lab)
        assert said == sums
        nets = things(self.lab, NODES)[1]
        if state:
            view = self.lab.ask("show", "net")
            assert nets == {view["id"]}
            assert view["generation"] >= generation
            last = view["routers"][2]["loopbacks"][0]
            eventually(lambda: self.lab.in_router("net", "r1", f"ping -n -q -c 1 -W 1 {last}", code=None).code == 0)
        else:
            assert not nets
        now = terms(self.lab, NODES)
        assert all(a >= b for a, b in zip(now, self.terms)), (self.terms, now)
        self.terms = now

    def over(self):
        """Whether nothing is under way. Asking vned may be what brings it to its point."""
        done = self.lab.vnctl("-o", "json", "list", code=None)
        return done.code or all(v["state"] in ("active", "released") for v in json.loads(done.out))

    def stands(self, wanted, seconds=10):
        """Exactly what is wanted stands, if not at once then soon."""
        end = time.monotonic() + seconds
        while (seen := things(self.lab, NODES)[0]) != wanted:
            assert time.monotonic() < end, "; ".join(
                f"{n}: {dict(seen[n])}, not {dict(wanted[n])}" for n in NODES if seen[n] != wanted[n])
            time.sleep(0.02)


@pytest.fixture
def sweep(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    points = open_points(folder, ["vned", *NODES])
    with running_lab(TRIANGLE, build=FAULTS, env={"VNE_FAKE_POINTS": str(folder)}) as lab:
        yield Sweep(lab, points)


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
@pytest.mark.parametrize("who", ["vned", "b"])
def test_killed_at_every_point(sweep, who, step, record_property):
    counts = sweep.learn(step)
    points = list(range(1, counts[who] + 1))
    assert len(points) >= 8, counts
    random.Random(f"{SEED} {who} {step.name}").shuffle(points)
    end = time.monotonic() + SECONDS / (2 * len(STEPS))
    tried = hit = 0
    for k in points:
        tried += 1
        hit += sweep.crash(who, step, k)
        if time.monotonic() > end:
            break
    record_property("points", f"{hit} of {len(points)}")
    print(f"{step.name}: {who} killed at {hit} points; {tried} of {len(points)} tried")
    assert hit
