# SPDX-License-Identifier: GPL-3.0-or-later
"""Growth: a request of 10 nodes with 15 candidates each, on substrates of degree 5. Reading the files is counted neither
in time nor in memory (bench_embed)."""
import json
import math
import tempfile
from pathlib import Path

from common import BUILD, run, table

SIZES = [1000, 2000, 5000, 10000, 20000, 50000]
ASKED = {1000: (5, .01), 10000: (50, .03), 50000: (300, .08)}
SEEDS = (1, 2, 3)


def one(folder, nodes, seed):
    name = f"scale{nodes}_{seed}"
    run(BUILD / "vngen", "scale", "--nodes", nodes, "--seed", seed, "--name", name, "-d", folder)
    substrate, request = Path(folder) / f"{name}.substrate.yaml", Path(folder) / f"{name}.request.yaml"
    answer = json.loads(run(BUILD / "tests/bench/bench_embed", substrate, request, "auto", 2))
    assert answer["first_ms"] >= 0, f"no answer on {name}"
    substrate.unlink()
    return answer["first_ms"], answer["gap"], answer["ms"] / 1000, answer["kib"] / answer["items"]


def bench():
    row = table("scaling", "nodes", "first answer, ms", "asked", "gap at 2 s", "asked", "seconds", "KiB a node or link", "asked")
    firsts = {}
    with tempfile.TemporaryDirectory() as folder:
        for nodes in SIZES:
            values = [sum(v) / len(SEEDS) for v in zip(*(one(folder, nodes, seed) for seed in SEEDS))]
            asked = ASKED.get(nodes, ("", None))
            firsts[nodes] = values[0]
            row(nodes, f"{values[0]:.2f}", asked[0], f"{values[1]:.2%}", "" if asked[1] is None else f"{asked[1]:.0%}", f"{values[2]:.2f}",
                f"{values[3]:.2f}", "1")
    at = [(math.log(n), math.log(t)) for n, t in firsts.items()]
    mean = [sum(v) / len(at) for v in zip(*at)]
    slope = sum((x - mean[0]) * (y - mean[1]) for x, y in at) / sum((x - mean[0]) ** 2 for x, _ in at)
    row("growth", f"n^{slope:.2f}", "", "", "", "", "", "of the first answer, by least squares over all sizes")
