# SPDX-License-Identifier: GPL-3.0-or-later
"""Same seed and effort, same answer: the whole of vnembed built by other compilers and for this very machine (where
multiplications may be contracted with additions) must write the same JSON as the build at hand, but for the seconds."""
import os
import re
import shutil

from common import BUILD, ROOT, Run, run, table
from instances import INSTANCES

OTHERS = {
    "clang -O2": ["CC=clang"],
    "clang -O3, this machine": ["CC=clang", "CFLAGS=-O3 -march=native"],
    "gcc -O3, this machine": ["CC=gcc", "CFLAGS=-O3 -march=native"],
    "gcc -O0": ["CC=gcc", "CFLAGS=-O0"],
}
RUNS = [("heuristic", 100), ("exact", 100), ("auto", 300), ("mip", 50)]


def answer(vnembed, name, solver, effort):
    done = Run(vnembed, "-s", INSTANCES / f"{name}.substrate.yaml", "-r", INSTANCES / f"{name}.request.yaml", "--solver", solver, "--effort",
               effort, "--seed", 5, "-o", "json", timeout=120)
    return re.sub(r'"seconds": [0-9.e+-]+', "", done.out)


def bench():
    names = [line.split()[0] for line in (INSTANCES / "optimal.tsv").read_text().splitlines()]
    row = table("compilers", "build", "answers", "different", "which")
    ours = {(n, *r): answer(BUILD / "vnembed", n, *r) for n in names for r in RUNS}
    again = [k for k, text in ours.items() if answer(BUILD / "vnembed", *k) != text]
    row("the same once more", len(ours), len(again), " ".join(map(str, again[:3])))
    for number, (other, variables) in enumerate(OTHERS.items()):
        if not shutil.which(variables[0].split("=")[1]):
            print(f"  ({other}: not installed)")
            continue
        where = BUILD / f"other{number}"
        run("make", "-s", f"-j{os.cpu_count()}", "-C", ROOT, f"B={where}", "WARN=", *variables, where / "vnembed", timeout=900)
        different = [k for k, text in ours.items() if answer(where / "vnembed", *k) != text]
        row(other, len(ours), len(different), " ".join(map(str, different[:3])))
