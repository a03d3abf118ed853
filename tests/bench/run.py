#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: what was asked for beside what this machine does. `run.py BUILD [PART …]`.

Timings are the machine's of the day: compare the ratios, not the seconds. All tables are printed at the end and
written to BUILD/bench/*.tsv. The exit code is 0 whatever they say. Settings, by the environment: PEER_SECONDS (10)
limits other solvers, PEERS=all gives them all instances instead of one of each class, VNE_DATA=DIR takes the
streams from DIR/workloads instead of vngen's of the same kind.
FAIRNESS_SECONDS (5) is how long each measurement of fairness takes.
"""
import sys

import common


def main():
    parts = sys.argv[2:] or ["instances", "streams", "scaling", "compilers", "daemons", "ospf", "uplinks", "changes", "protection", "fairness", "scale"]
    for part in parts:
        print(f"{part}:", flush=True)
        try:
            __import__(part).bench()
        except Exception as e:  # one part that fails does not cost the others' hours
            print(f"  {part} failed: {e}", file=sys.stderr)
    common.finish()


if __name__ == "__main__":
    main()
