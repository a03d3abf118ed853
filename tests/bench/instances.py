# SPDX-License-Identifier: GPL-3.0-or-later
"""Certified instances × solvers, ours and other people's on the node-link MIP. Wall clock of whole processes,
reading the file included; what is not proven within its limit counts as the limit in geometric means."""
import json
import math
import os
import re
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

import nodelink
import replay
from common import BUILD, ROOT, Run, table

INSTANCES = ROOT / "tests/data/instances"
OUR_SECONDS = 10
PEER_SECONDS = float(os.environ.get("PEER_SECONDS", 10))
ALL = os.environ.get("PEERS") == "all"


class Answer:
    """proven: the optimum, or that nothing fits; value: the cost, None where there is none."""

    def __init__(self, seconds, proven, value, bound=None):
        self.seconds, self.proven, self.value, self.bound = seconds, proven, value, bound


def ours(solver, seconds):
    def solve(name, folder):
        files = INSTANCES / f"{name}.substrate.yaml", INSTANCES / f"{name}.request.yaml"
        done = Run(BUILD / "vnembed", "-s", files[0], "-r", files[1], "--solver", solver, "--time-limit", f"{seconds:g}s", "-o", "json",
                   timeout=3 * seconds + 5)
        result = json.loads(done.out)["results"][0] if done.out else {"status": "killed"}
        value = None
        if "nodes" in result:
            value = replay.Substrate(files[0]).take(next(replay.requests(files[1])), result)
            assert value == Fraction(str(result["cost"]))
        return Answer(done.seconds, result["status"] in ("optimal", "infeasible"), value, result.get("bound"))
    return solve


def model(name, folder, strong):
    path = Path(folder) / f"{name}{'+' if strong else ''}.lp"
    if not path.exists():
        with open(path, "w") as out:
            nodelink.write(INSTANCES / f"{name}.substrate.yaml", INSTANCES / f"{name}.request.yaml", strong, out)
    return path


def cbc(strong):
    def solve(name, folder):
        done = Run("cbc", model(name, folder, strong), "sec", PEER_SECONDS, "solve", timeout=PEER_SECONDS + 5)
        value = re.search(r"^Objective value:\s+(\S+)", done.out, re.M)
        proven = "Result - Optimal solution found" in done.out or "Result - Problem proven infeasible" in done.out
        return Answer(done.seconds, proven, float(value[1]) if value else None)
    return solve


def glpsol(strong):
    def solve(name, folder):
        out = Path(folder) / "glpsol.txt"
        out.unlink(missing_ok=True)
        done = Run("glpsol", "--lp", model(name, folder, strong), "--tmlim", math.ceil(PEER_SECONDS), "-o", out, timeout=PEER_SECONDS + 5)
        text = out.read_text() if out.exists() else ""
        value = re.search(r"^Objective:\s+\S+ = (\S+)", text, re.M)
        status = re.search(r"^Status:\s+(.*)", text, re.M)
        found = status and status[1] in ("INTEGER OPTIMAL", "INTEGER NON-OPTIMAL")
        proven = "NO INTEGER FEASIBLE" in done.out or "NO PRIMAL FEASIBLE" in done.out or bool(status and status[1] == "INTEGER OPTIMAL")
        return Answer(done.seconds, proven, float(value[1]) if found and value else None)
    return solve


def check(name, solver, answer, optimum):
    """Nobody may be better than the optimum, or prove another."""
    if optimum == "infeasible":
        assert answer.value is None, f"{name}: {solver} found what cannot be"
        return
    best = float(optimum)
    assert answer.value is None or answer.value >= best - 1e-6, f"{name}: {solver} has {answer.value}, better than {best}"
    assert not answer.proven or (answer.value is not None and abs(answer.value - best) < 1e-6), f"{name}: {solver} proves {answer.value}, not {best}"
    assert answer.bound is None or answer.bound <= best + 1e-6, f"{name}: {solver}'s bound {answer.bound} is above {best}"


def geometric(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def bench():
    optimal = dict(line.split() for line in (INSTANCES / "optimal.tsv").read_text().splitlines())
    few = {re.sub(r"_.*", "", n): n for n in optimal}.values()  # the last of each class
    solvers = {"auto": (ours("auto", OUR_SECONDS), optimal, OUR_SECONDS), "exact": (ours("exact", OUR_SECONDS), optimal, OUR_SECONDS),
               "heuristic": (ours("heuristic", OUR_SECONDS), optimal, OUR_SECONDS)}
    names = optimal if ALL else few
    solvers["mip"] = (ours("mip", PEER_SECONDS), names, PEER_SECONDS)
    for program, make in (("cbc", cbc), ("glpsol", glpsol)):
        if shutil.which(program):
            solvers[program] = (make(False), names, PEER_SECONDS)
            solvers[program + "+"] = (make(True), names, PEER_SECONDS)
        else:
            print(f"  ({program} is not installed: tools/deps.sh bench, as root)")
    row = table("instances", "instance", "optimum", *[f"{s}, ms" for s in solvers], "not proven")
    taken = {s: {} for s in solvers}
    with tempfile.TemporaryDirectory() as folder:
        for name, optimum in optimal.items():
            cells, notes = [], []
            for solver, (solve, which, limit) in solvers.items():
                if name not in which:
                    cells.append("")
                    continue
                answer = solve(name, folder)
                check(name, solver, answer, optimum)
                taken[solver][name] = answer.seconds if answer.proven else max(limit, answer.seconds)
                cells.append(f"{answer.seconds * 1000:.1f}" + ("" if answer.proven else "*"))
                if not answer.proven and answer.value is not None:
                    best = float(optimum) if optimum != "infeasible" else math.nan
                    notes.append(f"{solver} {float(answer.value):g} (+{float(answer.value) / best * 100 - 100:.1f} %)")
            row(name, optimum, *cells, ", ".join(notes))
    summary(taken, solvers)


def summary(taken, solvers):
    row = table("solvers", "solver", "instances", "proven in 0.1 s", "1 s", "10 s", "geometric mean, ms", "auto is faster by", "exact is faster by",
                "before auto on")
    for solver, times in taken.items():
        limit = solvers[solver][2]
        share = [f"{sum(t < s and t < limit for t in times.values()) / len(times):.1%}" if s <= limit else "" for s in (0.1, 1, 10)]
        faster = [geometric([times[n] / taken[our][n] for n in times]) for our in ("auto", "exact")]
        ahead = sum(times[n] >= taken["auto"][n] or solver == "auto" for n in times)
        row(solver, len(times), *share, f"{geometric(times.values()) * 1000:.1f}", *[f"{f:.1f} x" for f in faster], "" if solver == "auto" else f"{len(times) - ahead} of {len(times)}")
