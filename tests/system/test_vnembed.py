# SPDX-License-Identifier: GPL-3.0-or-later
"""vnembed and vnsim as programs: exit codes, output, determinism, and answers that an
independent replay accepts."""
import json
import os
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
import replay

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VNE_BUILD", ROOT / "build"))
INSTANCES = ROOT / "tests/data/instances"
OPTIMAL = dict(line.split() for line in (INSTANCES / "optimal.tsv").read_text().splitlines())
# left to `make bench`: what may take a second or more
SLOW = {"I60L_01", "I60S_00", "I60S_02", "SI60T_0", "SI60T_1", "SW100A10_1", "W100D_00", "W100H_02", "W100S_01", "W100S_02"}
QUICK_FOR_MIP = {"I75A_00", "I60L_02", "I60S_01"}

SUBSTRATE = """\
kind: substrate
name: square
nodes:
  - {name: a, cpu: 16, routers: [netns, xen]}
  - {name: b, cpu: 8, memory: 1GiB}
  - {name: c, cpu: 8}
  - {name: d, cpu: 4}
links:
  - {endpoints: [a, b], bandwidth: 100mbit, delay: 5ms}
  - {endpoints: [b, c], bandwidth: 100mbit, delay: 5ms}
  - {endpoints: [c, d], bandwidth: 100mbit, delay: 5ms}
  - {endpoints: [d, a], bandwidth: 40mbit, delay: 5ms, cost: 3}
"""


def request(name="net", nodes="{name: r1, cpu: 1}, {name: r2, cpu: 1}",
            links="{endpoints: [r1, r2], bandwidth: 20mbit}", more=""):
    return f"kind: network\nname: {name}\n{more}nodes: [{nodes}]\nlinks: [{links}]\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s.yaml").write_text(SUBSTRATE)
    return tmp_path


def run(program, *args, stdin="", env=None):
    return subprocess.run([BUILD / program, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "LC_ALL": "C", **(env or {})})


def embed(folder, text, *args, env=None, code=0):
    done = run("vnembed", "-s", folder / "s.yaml", "-o", "json", *args, stdin=text, env=env)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def one(folder, text, *args, code=0):
    return embed(folder, text, *args, code=code)["results"][0]


@pytest.mark.parametrize("solver", ["auto", "exact", "mip", "heuristic"])
def test_answer_replays(folder, solver):
    text = request(nodes="{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 2, place: {on: [c]}}",
                   links="{endpoints: [r1, r2], bandwidth: 20mbit, protection: link}")
    (folder / "r.yaml").write_text(text)
    result = one(folder, text, "--solver", solver)
    assert result["status"] in ("optimal", "feasible")
    cost = replay.Substrate(folder / "s.yaml").take(next(replay.requests(folder / "r.yaml")), result)
    assert cost == Fraction(result["cost"]) == 3 + 20 * 2 + 20 * 4
    assert result["kinds"] == {"r1": "netns", "r2": "netns"}
    assert result["revenue"] == 23 and result["bound"] <= result["cost"]
    assert result["links"][0]["paths"][0]["via"] == ["a", "b", "c"]
    assert result["links"][0]["backup"]["via"] == ["a", "d", "c"]


@pytest.mark.parametrize("solver, name", [(solver, name) for solver in ("auto", "exact", "mip") for name in OPTIMAL
                                          if name in QUICK_FOR_MIP or solver != "mip" and name not in SLOW])
def test_instances_reach_their_optimum(solver, name):
    files = INSTANCES / f"{name}.substrate.yaml", INSTANCES / f"{name}.request.yaml"
    done = run("vnembed", "-s", files[0], "-r", files[1], "-o", "json", "--solver", solver, "--time-limit", "60s")
    result = json.loads(done.stdout)["results"][0]
    assert (result["status"], result["gap"]) == ("optimal", 0)
    assert replay.Substrate(files[0]).take(next(replay.requests(files[1])), result) == Fraction(OPTIMAL[name])


def test_requests_in_order_take_from_each_other(folder):
    pair = "{name: r1, cpu: 1, place: {on: [d]}}, {name: r2, cpu: 1, place: {on: [a]}}"
    link = "{endpoints: [r1, r2], bandwidth: 90mbit, max_delay: 15ms}"
    text = "---\n".join(request(f"n{i}", pair, link) for i in range(2)) + "---\n" + request("n2")
    done = embed(folder, text, code=1)
    first, second, third = done["results"]
    assert first["status"] == "optimal" and third["status"] == "optimal"
    assert (second["status"], second["scope"]) == ("infeasible", "now")
    assert "nodes" not in second and "cost" not in second
    assert done["substrate"] == "square"


@pytest.mark.parametrize("nodes, links, more, reason", [
    ("{name: r1, cpu: 1}, {name: r3, cpu: 64, place: {on: [a, b]}}", "", "", "r3 needs cpu 64; the largest of its 2 candidates has 16"),
    ("{name: r1, cpu: 1, place: {on: [bb]}}", "", "", 'r1 has no candidate: "on" names no node of the substrate: bb'),
    ("{name: r1, cpu: 1, place: {labels: {site: moon}}}", "", "", "r1 has no candidate: every node lacks the label site: moon"),
    ("{name: r1, cpu: 12, place: {on: [b]}}, {name: r2, cpu: 1}", "", "", "r1 needs cpu 12; its only candidate, b, has 8"),
    ("{name: r1, cpu: 1, memory: 2GiB, place: {on: [b]}}, {name: r2, cpu: 1}", "", "", "r1 needs memory 2GiB; its only candidate, b, has 1GiB"),
    ("{name: r1, cpu: 10}, {name: r2, cpu: 10}", "", "", "r1 and r2 need 2 distinct nodes; only 1 can host them: a"),
    ("{name: r1, cpu: 20}, {name: r2, cpu: 20}", "", "placement: pack\n", "r1 needs cpu 20; the largest of its 4 candidates has 16"),
    ("{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [c]}}",
     "{endpoints: [r1, r2], bandwidth: 10mbit, max_delay: 3ms}", "", "r1-r2 allows 3ms; the quickest path"),
    ("{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [c]}}",
     "{endpoints: [r1, r2], bandwidth: 10mbit, max_delay: 3ms}", "", "takes 10ms"),
    ("{name: r1, cpu: 1}, {name: r2, cpu: 1}", "{endpoints: [r1, r2], bandwidth: 120mbit}", "", "120mbit"),
])
def test_reasons(folder, nodes, links, more, reason):
    result = one(folder, request("net", nodes, links, more), code=1)
    assert (result["status"], result["scope"]) == ("infeasible", "never")
    assert reason in result["reason"]
    done = run("vnembed", "-s", folder / "s.yaml", stdin=request("net", nodes, links, more))
    assert done.returncode == 1 and reason in done.stderr


def test_every_error_of_every_file(folder):
    (folder / "bad1.yaml").write_text(request(nodes="{name: r1, cpu: 1, colour: red}, {name: r2, cpu: 2GiB}"))
    (folder / "bad2.yaml").write_text(request(links="{endpoints: [r1, r9], bandwidth: 10}"))
    done = run("vnembed", "-s", folder / "s.yaml", "-r", folder / "bad1.yaml", "-r", folder / "bad2.yaml")
    assert done.returncode == 2 and done.stdout == ""
    for expected in ("bad1.yaml:3:", "colour", "2GiB", "bad2.yaml:4:", "r9"):
        assert expected in done.stderr


@pytest.mark.parametrize("args", [["--solver", "magic"], ["--effort", "0"], ["--effort", "lots"], ["--time-limit", "10"],
                                  ["--objective", "speed"], ["-o", "xml"], ["stray"], ["-s", "/nonexistent"], ["-r", "-", "-r", "-"]])
def test_bad_usage(folder, args):
    done = run("vnembed", "-s", folder / "s.yaml", *args, stdin=request())
    assert done.returncode == 2 and done.stderr


def test_no_substrate():
    assert run("vnembed", stdin=request()).returncode == 2


def test_environment_gives_options_and_flags_win(folder):
    env = {"VNE_SOLVER": "heuristic", "VNE_OUTPUT": "json", "VNE_SUBSTRATE": str(folder / "s.yaml")}
    assert json.loads(run("vnembed", stdin=request(), env=env).stdout)["results"][0]["solver"] == "heuristic"
    assert "solver" not in run("vnembed", "-o", "text", stdin=request(), env=env).stdout
    bad = run("vnembed", stdin=request(), env={**env, "VNE_SOLVER": "magic"})
    assert bad.returncode == 2 and "VNE_SOLVER" in bad.stderr


def timeless(answer):
    if isinstance(answer, dict):
        return {k: timeless(v) for k, v in answer.items() if k != "seconds"}
    return [timeless(v) for v in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("solver", ["heuristic", "mip", "exact", "auto"])
def test_same_seed_and_effort_same_answer(solver):
    files = "-s", INSTANCES / "I60L_02.substrate.yaml", "-r", INSTANCES / "I60L_02.request.yaml"
    args = *files, "-o", "json", "--solver", solver, "--effort", "300", "--seed", "5"
    first, second = (timeless(json.loads(run("vnembed", *args).stdout)) for _ in range(2))
    assert first == second
    assert first["results"][0]["nodes"]


def test_balance_spreads(folder):
    text = request(nodes="{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [d]}}",
                   links="{endpoints: [r1, r2], bandwidth: 20mbit}")
    result = one(folder, text, "--objective", "balance")
    # 20 × 3 × 1/(100 + 1) along a-b-c-d is less than 20 × 3 / (40 + 1) on d-a
    assert result["links"][0]["paths"][0]["via"] == ["a", "b", "c", "d"]
    assert result["objective"] == pytest.approx(1 / 17 + 1 / 5 + 60 / 101, rel=1e-9)
    assert result["cost"] == 62 and result["status"] == "optimal"


def test_text_is_for_people(folder):
    done = run("vnembed", "-s", folder / "s.yaml", stdin=request())
    assert done.returncode == 0
    assert "net: optimal, cost 22" in done.stdout and "r1-r2" in done.stdout


def test_limit_without_an_answer(folder):
    # Bin packing: 25 routers, of which two fit a node, on 12 nodes. Too symmetric for anybody to refute soon.
    nodes = "".join(f"  - {{name: n{i}, cpu: 10}}\n" for i in range(12))
    (folder / "s.yaml").write_text(f"kind: substrate\nname: bins\nnodes:\n{nodes}links:\n"
                                   "  - {endpoints: [n0, n1], bandwidth: 1mbit}\n")
    text = request(nodes=", ".join(f"{{name: r{i}, cpu: 3.4}}" for i in range(25)), links="", more="placement: pack\n")
    for limit in (["--effort", "100"], ["--time-limit", "0.2s"]):
        result = one(folder, text, *limit, code=4)
        assert result["status"] == "unknown" and result["reason"] and "nodes" not in result
    assert one(folder, text, "--solver", "heuristic", code=1)["status"] == "refused"


def test_bin_packing_is_refuted(folder):
    text = request(nodes=", ".join(f"{{name: r{i}, cpu: 5.5}}" for i in range(5)), links="", more="placement: pack\n")
    for solver in ("exact", "mip"):
        result = one(folder, text, "--solver", solver, code=1)
        assert (result["status"], result["scope"]) == ("infeasible", "never")


# ---- vnsim ----------------------------------------------------------------------------------

def trace(folder):
    heavy = "{endpoints: [r1, r2], bandwidth: 90mbit}"
    documents = [("n0", 0, "lifetime: 10s\n", heavy), ("n1", 1, "lifetime: 20s\n", heavy), ("n2", 2, "lifetime: 30s\n", heavy),
                 ("n3", 3, "lifetime: 10s\n", heavy), ("n4", 10, "lifetime: 10s\n", heavy), ("n5", 100, "lifetime: 5s\n", heavy)]
    (folder / "t.yaml").write_text("---\n".join(request(name, links=link, more=f"arrival: {at}s\n{more}")
                                              for name, at, more, link in documents))
    return documents


def test_simulation_adds_up(folder):
    documents = trace(folder)
    done = run("vnsim", "-s", folder / "s.yaml", "-t", folder / "t.yaml", "-o", "json", "--csv", folder / "o.csv",
               "--embeddings", folder / "o.jsonl")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    lines = [json.loads(line) for line in (folder / "o.jsonl").read_text().splitlines()]
    substrate, ends = replay.Substrate(folder / "s.yaml"), {}
    accepted, revenue, cost, revenue_time, cost_time = 0, 0, 0, 0, 0
    for (name, at, _, _), document, line in zip(documents, replay.requests(folder / "t.yaml"), lines, strict=True):
        assert line["request"] == name
        for gone in [n for n, end in ends.items() if end <= at]:
            substrate.give(gone)
            del ends[gone]
        if "nodes" not in line:
            continue
        life = replay.seconds(document["lifetime"])
        spent = substrate.take(document, line)
        ends[name] = at + life
        accepted += 1
        revenue, cost = revenue + replay.revenue(document), cost + spent
        revenue_time, cost_time = revenue_time + replay.revenue(document) * life, cost_time + spent * life
    assert [l["status"] for l in lines] == ["optimal"] * 3 + ["infeasible"] + ["optimal"] * 2
    assert (result["requests"], result["accepted"]) == (6, accepted)
    assert result["acceptance_ratio"] == pytest.approx(accepted / 6)
    assert result["revenue_to_cost"] == pytest.approx(float(revenue / cost))
    assert result["revenue_to_cost_time"] == pytest.approx(float(revenue_time / cost_time))
    assert result["long_term_revenue"] == pytest.approx(float(revenue_time / 100))
    assert set(result["seconds"]) == {"mean", "p50", "p90", "p99", "max", "total"}
    assert result["peak_utilisation"] == {"cpu": pytest.approx(6 / 36), "bandwidth": pytest.approx(270 / 340)}
    rows = [row.split(",") for row in (folder / "o.csv").read_text().splitlines()]
    assert rows[0] == "time,event,request,status,revenue,cost,seconds,cpu_utilisation,bandwidth_utilisation".split(",")
    # what leaves at 10 s frees its share before what arrives then
    assert [(r[1], r[2]) for r in rows[1:7]] == [("arrival", "n0"), ("arrival", "n1"), ("arrival", "n2"), ("arrival", "n3"),
                                                 ("departure", "n0"), ("arrival", "n4")]
    assert len(rows) == 1 + 6 + accepted and float(rows[-1][8]) == 0


def test_trace_needs_arrivals(folder):
    (folder / "t.yaml").write_text(request())
    done = run("vnsim", "-s", folder / "s.yaml", "-t", folder / "t.yaml")
    assert done.returncode == 2 and "arrival" in done.stderr


def test_trace_is_no_request(folder):
    trace(folder)
    assert run("vnembed", "-s", folder / "s.yaml", "-r", folder / "t.yaml").returncode == 2
