# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of the bench share: where things are, programs and their times, tables."""
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
OUT = BUILD / "bench"
sys.path.insert(0, str(ROOT / "tests/system"))  # replay

tables = {}


def run(*args, env=None, timeout=300, check=True):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Run:
    """A whole process: its output, exit code (None: killed after `timeout`), wall clock and peak memory."""

    def __init__(self, *args, timeout=300):
        with tempfile.TemporaryFile("w+") as out:
            started = time.monotonic()
            process = subprocess.Popen([str(a) for a in args], stdout=out, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            self.code = None
            while self.code is None and time.monotonic() - started < timeout:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    self.code = os.waitstatus_to_exitcode(status)
                else:
                    time.sleep(0.0005)
            if self.code is None:
                process.kill()
                _, _, usage = os.wait4(process.pid, 0)
            process.returncode = self.code
            self.seconds = time.monotonic() - started
            self.cpu_seconds = usage.ru_utime + usage.ru_stime
            self.peak_kib = usage.ru_maxrss
            out.seek(0)
            self.out = out.read()


def table(name, *columns):
    """A function that adds a row to the table `name` and prints it. See finish()."""
    rows = tables.setdefault(name, [columns])

    def row(*cells):
        cells = [str(c) for c in cells] + [""] * (len(columns) - len(cells))
        rows.append(cells)
        print("  " + show(cells, widths(rows)), flush=True)
    return row


def widths(rows):
    return [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]


def show(cells, width):
    return "  ".join([cells[0].ljust(width[0])] + [c.rjust(w) for c, w in zip(cells[1:-1], width[1:-1])] + [cells[-1]])


def finish():
    """Prints all tables once more, aligned, and writes each as OUT/NAME.tsv."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        if len(rows) == 1:
            continue
        print(f"\n{name}")
        for cells in rows:
            print("  " + show(cells, widths(rows)))
        (OUT / f"{name}.tsv").write_text("".join("\t".join(cells) + "\n" for cells in rows))
    print(f"\nwritten to {OUT}/*.tsv")
