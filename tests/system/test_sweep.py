# SPDX-License-Identifier: GPL-3.0-or-later
"""Sweeps of vnsim: runs are those of vnsim itself on vngen's files, means, intervals and differences are what
Python makes of the runs, and what is done is not done again."""
import csv
import json
import os
import shutil
import signal
import statistics
import subprocess
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VNE_BUILD", ROOT / "build"))
STUDENT = {1: 12.7062047364, 2: 4.3026527299, 3: 3.1824463053, 4: 2.7764451052}
SEEDS = [1, 2, 3, 9]
SWEEP = """\
kind: sweep
name: small
workloads: [virne, vineyard]
loads: [1, 6]
seeds: [1-3, 9]
requests: 60
solvers:
  - {name: one, solver: heuristic, effort: 1}
  - {name: long, solver: heuristic, effort: 300}
"""
METRICS = ["acceptance_ratio", "revenue_to_cost", "revenue_to_cost_time", "long_term_revenue", "seconds_mean", "seconds_p50",
           "seconds_p90", "seconds_p99", "seconds_max", "seconds_total", "peak_cpu", "peak_bandwidth"]
FIXED = ["acceptance_ratio", "revenue_to_cost", "revenue_to_cost_time", "long_term_revenue", "peak_cpu", "peak_bandwidth"]


def run(program, *args, cwd=None, code=0):
    done = subprocess.run([BUILD / program, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == code, done.stderr
    return done


def validate(instance, schema):
    jsonschema.Draft7Validator(json.loads((ROOT / f"docs/schema/{schema}.json").read_text())).validate(instance)


def table(path):
    return list(csv.DictReader(path.open()))


def by_run(rows, metrics=METRICS):
    return {(r["workload"], r["load"], r["seed"], r["solver"]): [r[m] for m in metrics] for r in rows}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "sweep.yaml").write_text(SWEEP)
    printed = run("vnsim", "--sweep", "sweep.yaml", "-d", "out", "-o", "json", cwd=folder).stdout
    return folder, folder / "out", json.loads(printed)


def test_a_row_for_each_run(swept):
    rows = table(swept[1] / "runs.csv")
    assert len(rows) == 2 * 2 * 4 * 2 == len(by_run(rows))
    assert all(list(r)[7:] == METRICS for r in rows)


def test_a_run_is_vnsims_on_vngens_files(swept, tmp_path):
    run("vngen", "virne", "--load", 6, "--seed", 9, "--requests", 60, "--name", "same", "-d", tmp_path)
    alone = json.loads(run("vnsim", "-s", tmp_path / "same.substrate.yaml", "-t", tmp_path / "same.trace.yaml", "--solver",
                           "heuristic", "--effort", 300, "-o", "json").stdout)
    validate(alone, "vnsim")
    row = by_run(table(swept[1] / "runs.csv"), FIXED)["virne", "6", "9", "long"]
    alone.update(peak_cpu=alone["peak_utilisation"]["cpu"], peak_bandwidth=alone["peak_utilisation"]["bandwidth"])
    assert [float(x) for x in row] == pytest.approx([alone[m] for m in FIXED], rel=1e-12)


def expected(values):
    """n, mean, and the ends of the interval."""
    mean = statistics.fmean(values)
    half = STUDENT[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return [len(values), mean, mean - half, mean + half]


def close(row, values):
    return [float(row[k]) for k in ("n", "mean", "low", "high")] == pytest.approx(expected(values), rel=1e-6, abs=1e-9)


def test_means_and_intervals(swept):
    runs = {k: dict(zip(METRICS, v)) for k, v in by_run(table(swept[1] / "runs.csv")).items()}
    rows = table(swept[1] / "summary.csv")
    assert len(rows) == 2 * 2 * 2 * len(METRICS)
    for r in rows:
        assert close(r, [float(runs[r["workload"], r["load"], str(s), r["solver"]][r["metric"]]) for s in SEEDS])


def test_paired_differences(swept):
    runs = {k: dict(zip(METRICS, v)) for k, v in by_run(table(swept[1] / "runs.csv")).items()}
    rows = table(swept[1] / "paired.csv")
    assert len(rows) == 2 * 2 * len(METRICS)
    for r in rows:
        assert (r["solver"], r["against"]) == ("long", "one")
        both = [[float(runs[r["workload"], r["load"], str(s), solver][r["metric"]]) for s in SEEDS] for solver in ("long", "one")]
        assert close(r, [x - y for x, y in zip(*both)])
    # the point of pairs: what the traces have in common does not blur what the solvers differ in
    key = ("virne", "6", "long", "long_term_revenue")
    width = {name: next(float(r["high"]) - float(r["low"]) for r in table(swept[1] / f"{name}.csv")
                        if (r["workload"], r["load"], r["solver"], r["metric"]) == key) for name in ("summary", "paired")}
    assert width["paired"] < width["summary"]


def test_printed(swept):
    validate(swept[2], "sweep")
    with pytest.raises(jsonschema.ValidationError):  # one that takes anything would prove nothing
        validate({**swept[2], "results": [{}]}, "sweep")
    results = swept[2]["results"]
    assert [(r["workload"], r["load"], r["solver"]) for r in results][:3] == [("virne", 1, "one"), ("virne", 1, "long"), ("virne", 6, "one")]
    rows = {(r["workload"], float(r["load"]), r["solver"], r["metric"]): r for r in table(swept[1] / "summary.csv")}
    for r in results:
        for m in METRICS:
            row = rows[r["workload"], r["load"], r["solver"], m]
            assert r[m]["mean"] == pytest.approx(float(row["mean"]), rel=1e-8)


def test_record_and_plot(swept):
    record = json.loads((swept[1] / "record.json").read_text())
    assert record["seeds"] == SEEDS and record["sweep"] == SWEEP and record["runs"] == 32 and record["reused"] == 0
    assert record["commit"] and record["machine"]["cores"] >= 1
    assert [s["settings"] for s in record["solvers"]] == ["heuristic objective=cost seed=1 effort=1",
                                                          "heuristic objective=cost seed=1 effort=300"]
    if shutil.which("gnuplot"):
        assert xml.parse(swept[1] / "sweep.svg").getroot().tag.endswith("svg")
    assert "virne: acceptance" in (swept[1] / "sweep.gp").read_text()


def test_what_is_done_is_not_done_again(swept, tmp_path):
    folder, out, _ = swept
    shutil.copytree(out, tmp_path / "out")
    before = by_run(table(out / "runs.csv"))
    lines = (out / "runs.csv").read_text().splitlines(keepends=True)
    # seven rows, one that was torn, and one of a program that was another
    torn, other = lines[8][:-10], lines[9].replace(lines[9].split(",")[6], "0" * 16)
    (tmp_path / "out/runs.csv").write_text("".join(lines[:8]) + other + torn)
    run("vnsim", "--sweep", folder / "sweep.yaml", "-d", tmp_path / "out", "-j", 1)
    rows = table(tmp_path / "out/runs.csv")
    after = by_run(rows)
    assert json.loads((tmp_path / "out/record.json").read_text())["reused"] == 7
    assert len(rows) == 32
    kept = [k for k in before if before[k] == after[k]]  # to the microsecond: not run again
    assert {tuple(line.split(",")[i] for i in (0, 1, 2, 4)) for line in lines[1:8]} <= set(kept)
    assert len(kept) < 32
    assert by_run(rows, FIXED) == by_run(table(out / "runs.csv"), FIXED)


def children(pid):
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_killed_it_leaves_nobody_and_goes_on(tmp_path):
    (tmp_path / "s.yaml").write_text("kind: sweep\nworkloads: [virne]\nloads: [1]\nseeds: [1-6]\nrequests: 100\n"
                                     "solvers: [{solver: heuristic, effort: 1000}]\n")
    sweep = subprocess.Popen([BUILD / "vnsim", "--sweep", tmp_path / "s.yaml", "-d", tmp_path / "out", "-j", "2"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    rows = []
    while time.monotonic() < deadline and sweep.poll() is None:
        workers = children(sweep.pid)
        rows = (tmp_path / "out/runs.csv").read_text().splitlines() if (tmp_path / "out/runs.csv").exists() else []
        if workers and len(rows) > 1:
            break
    assert workers and len(rows) > 1
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    while any(Path(f"/proc/{w}").exists() for w in workers):
        assert time.monotonic() < deadline, "a worker outlived the sweep"
    run("vnsim", "--sweep", tmp_path / "s.yaml", "-d", tmp_path / "out")
    assert json.loads((tmp_path / "out/record.json").read_text())["reused"] >= 1
    assert len(table(tmp_path / "out/runs.csv")) == 6


def test_files_as_workload(tmp_path):
    run("vngen", "virne", "--requests", 20, "--name", "mine", "-d", tmp_path)
    (tmp_path / "s.yaml").write_text("kind: sweep\nname: files\nworkloads: [{name: mine, substrate: mine.substrate.yaml, "
                                     "trace: mine.trace.yaml}]\nloads: [1, 2]\nseeds: 1-5\nsolvers: [heuristic]\n")
    printed = run("vnsim", "--sweep", "s.yaml", "--effort", 2, cwd=tmp_path).stdout
    assert "mine" in printed
    rows = table(tmp_path / "sweep-files/runs.csv")
    assert [(r["load"], r["seed"], r["settings"]) for r in rows] == [("1", "0", "heuristic objective=cost seed=1 effort=2")]
    summary = table(tmp_path / "sweep-files/summary.csv")
    assert summary[0]["n"] == "1" and summary[0]["low"] == ""


@pytest.mark.parametrize("text, why", [
    ("kind: sweep\nworkloads: [virne]\n", "solvers"),
    ("kind: network\n", "expected sweep"),
    ("kind: sweep\nworkloads: [unknown]\nsolvers: [auto]\n", "s.yaml:2:13: 'unknown' is no preset"),
    ("kind: sweep\nworkloads: [virne]\nsolvers: [fastest]\n", "s.yaml:3:11: solver: 'fastest' is unknown"),
    ("kind: sweep\nworkloads: [virne]\nsolvers: [auto, auto]\n", "two solvers are called 'auto'"),
    ("kind: sweep\nworkloads: [virne]\nsolvers: [{solver: auto, effrt: 3}]\n", "'effrt'"),
    ("kind: sweep\nworkloads: [virne]\nloads: [0]\nsolvers: [auto]\n", "loads"),
    ("kind: sweep\nworkloads: [virne]\nseeds: [9-3]\nsolvers: [auto]\n", "seeds"),
    ("kind: sweep\nworkloads: [virne]\nseeds: [1-5000]\nloads: [1, 2, 3]\nsolvers: [auto, exact, heuristic, mip, {name: x, solver: auto},"
     " {name: y, solver: auto}, {name: z, solver: auto}]\n", "at most 100000"),
    ("kind: sweep\nworkloads: []\nsolvers: [auto]\n", "an empty list"),
    ("kind: sweep\nworkloads: [{name: gone, substrate: no.yaml, trace: no.yaml}]\nsolvers: [auto]\n", "no.yaml"),
    ("[", "s.yaml:1:"),
])
def test_wrong_files(tmp_path, text, why):
    (tmp_path / "s.yaml").write_text(text)
    assert why in run("vnsim", "--sweep", "s.yaml", cwd=tmp_path, code=2).stderr


def test_not_together_with_a_stream(tmp_path):
    assert "--sweep" in run("vnsim", "--sweep", "s.yaml", "-s", "x", cwd=tmp_path, code=2).stderr
