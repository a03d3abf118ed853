# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams × solvers: vnsim, each run replayed by the independent program. What was asked for stands beside it.

The streams are vngen's, of the published parameters; those of VNE_DATA where it is given."""
import json
import os
import tempfile
from pathlib import Path

import replay
import yaml
from common import BUILD, Run, run, table

DATA = os.environ.get("VNE_DATA")

# name: how vngen makes it
STREAMS = {
    "virne-wx100-s1": ["virne"],
    "virne-wx100-hi-s1": ["virne", "--load", "4"],
    "vineyard50i-s1": ["vineyard"],
    "wx500-s1": ["wx500"],
    "wx1000-big-s1": ["wx1000-big"],
    "overload": ["virne", "--load", "8"],
}
# stream, solver, options, what was asked: acceptance, revenue/cost, long-term revenue, ms a request
RUNS = [
    ("virne-wx100-s1", "heuristic", [], (1.0, .96, None, None)),
    ("virne-wx100-hi-s1", "heuristic", [], (.965, .81, 22400, 10)),
    ("virne-wx100-hi-s1", "heuristic", ["--effort", "25"], (.93, .79, None, .5)),
    ("virne-wx100-hi-s1", "heuristic", ["--effort", "1"], (None, None, None, None)),
    ("vineyard50i-s1", "heuristic", [], (.999, .995, None, None)),
    ("wx500-s1", "heuristic", [], (None, None, None, None)),
    ("wx1000-big-s1", "heuristic", [], (None, .80, None, 100)),
    ("overload", "heuristic", ["--effort", "1"], (None, None, None, None)),
    ("overload", "heuristic", [], (None, None, None, None)),
    ("virne-wx100-s1", "auto", ["--time-limit", "100ms"], (None, None, None, None)),
    ("virne-wx100-hi-s1", "auto", ["--time-limit", "10ms"], (None, None, None, 10)),
]
REFUSED_MOST = 40  # requests that the heuristic refused, given to exact
REFUSED_SECONDS = 5


def files(folder, name):
    given = Path(DATA) / "workloads" if DATA else None
    if not given or not (given / f"{name}.trace.yaml").exists():
        given = Path(folder)
        if not (given / f"{name}.trace.yaml").exists():
            run(BUILD / "vngen", *STREAMS[name], "--name", name, "-d", given)
    return given / f"{name}.substrate.yaml", given / f"{name}.trace.yaml"


def simulate(folder, name, solver, options):
    """vnsim's own report, and the lines of its embeddings."""
    substrate, trace = files(folder, name)
    out = Path(folder) / "embeddings.jsonl"
    done = Run(BUILD / "vnsim", "-s", substrate, "-t", trace, "--solver", solver, *options, "-o", "json", "--embeddings", out, timeout=900)
    if done.code != 0:
        raise RuntimeError(f"vnsim on {name} ended with {done.code}")
    return json.loads(done.out), [json.loads(line) for line in out.read_text().splitlines()]


def beside(value, asked, form, less=False):
    text = form.format(value)
    if asked is None:
        return text
    return f"{text} ({'≤' if less else '≥'} {form.format(asked)}{'' if (value <= asked if less else value >= asked) else ' missed'})"


def bench():
    row = table("streams", "stream", "solver", "options", "acceptance", "revenue/cost", "long-term revenue", "ms a request", "p99", "note")
    revenue = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, solver, options, asked in RUNS:
            report, lines = simulate(folder, name, solver, options)
            truth = replay.Stream(*files(folder, name), lines)
            assert abs(truth.acceptance_ratio - report["acceptance_ratio"]) < 1e-9
            assert abs(truth.long_term_revenue / report["long_term_revenue"] - 1) < 1e-9
            revenue.setdefault(name, truth.long_term_revenue)  # of the first run, to compare with
            note = []
            if revenue[name] != truth.long_term_revenue:
                note.append(f"revenue {truth.long_term_revenue / revenue[name] - 1:+.1%} of the first")
            if "100ms" in options:
                note.append(f"{certified(lines):.1%} proven or within 2 %")
            row(name, solver, " ".join(options), beside(truth.acceptance_ratio, asked[0], "{:.3f}"), beside(truth.revenue_to_cost, asked[1], "{:.3f}"),
                beside(truth.long_term_revenue, asked[2], "{:.0f}"), beside(report["seconds"]["mean"] * 1000, asked[3], "{:.2f}", True),
                f"{report['seconds']['p99'] * 1000:.2f}", ", ".join(note))
        refused(folder)


def certified(lines):
    good = sum(l["status"] in ("optimal", "infeasible") or (l["status"] == "feasible" and l.get("gap", 1) <= .02) for l in lines)
    return good / len(lines)


def refused(folder):
    """Every request that the heuristic refuses, as it stood, is given to exact."""
    row = table("refused", "stream", "requests", "refused", "exact: feasible", "impossible", "open after %g s" % REFUSED_SECONDS,
                "of all that were refused, so many fit")
    for name in ("virne-wx100-hi-s1", "overload"):
        count = {"refused": 0, "asked": 0, "feasible": 0, "infeasible": 0, "unknown": 0}

        def each(substrate, request, result):
            if "nodes" in result:
                return
            count["refused"] += 1
            if result["status"] == "infeasible":  # proven at a glance
                count["infeasible"] += 1
            elif count["asked"] < REFUSED_MOST:
                count["asked"] += 1
                status = ask_exact(folder, substrate, request)
                count[{"infeasible": "infeasible", "unknown": "unknown"}.get(status, "feasible")] += 1

        _, lines = simulate(folder, name, "heuristic", [])
        replay.Stream(*files(folder, name), lines, each)
        tried = count["feasible"] + count["infeasible"] + count["unknown"]
        row(name, len(lines), count["refused"], count["feasible"], count["infeasible"], count["unknown"],
            f"{count['feasible'] / tried:.1%} of {tried} looked at" if tried else "none was refused")


def ask_exact(folder, substrate, request):
    """Exact on what is left: the substrate with its residuals for capacities."""
    nodes = [{**n, "cpu": float(substrate.cpu[a]), **({"memory": f"{int(substrate.memory[a] * 1024)}KiB"} if a in substrate.memory else {})}
             for a, n in substrate.nodes.items()]
    links = [{**l, "name": a, "bandwidth": f"{int(substrate.mbit[a] * 1000)}kbit"} for a, l in substrate.links.items()
             if substrate.mbit[a] > 0]
    where = Path(folder)
    (where / "left.yaml").write_text(json.dumps({"kind": "substrate", "name": "left", "nodes": nodes, "links": links}))
    (where / "asked.yaml").write_text(yaml.safe_dump({k: v for k, v in request.items() if k != "arrival"}))
    done = Run(BUILD / "vnembed", "-s", where / "left.yaml", "-r", where / "asked.yaml", "--solver", "exact", "--time-limit",
               f"{REFUSED_SECONDS}s", "-o", "json", timeout=4 * REFUSED_SECONDS)
    if not done.out:
        raise RuntimeError(f"vnembed ended with {done.code} on what is left")
    return json.loads(done.out)["results"][0]["status"]
