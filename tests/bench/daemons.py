# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemons: what was asked for beside what this machine does, as ratios to a peer or a limit.

Everything runs in network namespaces of its own and is removed at the end.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import BUILD, HERE, ROOT, run, table

row = table("daemons", "what", "measured", "asked", "ratio", "note")


# ---- one agent ---------------------------------------------------------------------------

def agent_numbers(routers, rounds=5):
    """Medians over the rounds of bench_agent, in milliseconds."""
    lines = [json.loads(line) for line in run(BUILD / "tests/bench/bench_agent", routers, rounds).splitlines()]
    build = [line["prepare_ms"] + line["commit_ms"] for line in lines]
    return {"build": statistics.median(build) / 1000,
            "remove": statistics.median(line["remove_ms"] for line in lines) / 1000,
            "load": statistics.median(line["load_ms"] for line in lines)}


def bench_agent():
    print("one agent: a chain of routers, holders included (medians)")
    ours = {n: agent_numbers(n, 2 if n == 1000 else 5) for n in (10, 100, 1000)}
    for what, limit in (("build", 0.6), ("remove", 0.4)):
        at = ours[100][what]
        row(f"{what} a chain of 100 routers, s", f"{at:.3f}", f"{limit}", f"{at / limit:.2f}",
            f"10: {ours[10][what]:.3f}  1000: {ours[1000][what]:.3f}")
    at = agent_numbers(501, 3)["load"]
    row("read the load of 1000 ends of virtual links, ms", f"{at:.2f}", "10", f"{at / 10:.2f}",
        f"200: {ours[100]['load']:.2f}  2000: {ours[1000]['load']:.2f}")
    if os.geteuid() == 0 and Path("/usr/bin/mnexec").exists():
        out = run("unshare", "-n", "/usr/bin/python3", HERE / "peer_mininet.py", 100)
        build, remove = (float(x) for x in re.search(r"build (\S+) remove (\S+)", out).groups())
        row("  the same by Mininet: build, s", f"{build:.2f}", "", f"{build / ours[100]['build']:.1f} x", "ours is faster by")
        row("  the same by Mininet: remove, s", f"{remove:.2f}", "", f"{remove / ours[100]['remove']:.1f} x", "ours is faster by")
    else:
        print("  (Mininet is not installed: apt-get install mininet, and run as root)")


# ---- a lab -------------------------------------------------------------------------------

class Lab:
    def __init__(self, substrate):
        self.dir = tempfile.mkdtemp(prefix="vne-bench-")
        self.env = {"VNE_LAB_DIR": self.dir + "/lab"}
        self.substrate = substrate

    def __enter__(self):
        run(BUILD / "vnlab", "up", self.substrate, env=self.env)
        return self

    def __exit__(self, *_):
        run(BUILD / "vnlab", "down", env=self.env, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def file(self, text):
        with tempfile.NamedTemporaryFile("w", dir=self.dir, suffix=".yaml", delete=False) as f:
            f.write(text)
        return f.name

    def ctl(self, *args, check=True):
        return run(BUILD / "vnctl", *args, env=self.env, check=check)


def ring(name, n, mbit=5):
    nodes = "".join(f"  - {{name: r{i}, cpu: 0.1}}\n" for i in range(n))
    links = "".join(f"  - {{endpoints: [r{i}, r{(i + 1) % n}], bandwidth: {mbit}mbit}}\n" for i in range(n))
    return f"kind: network\nname: {name}\nnodes:\n{nodes}links:\n{links}"


def bench_submit():
    print("submit to active over the Abilene lab (whole vnctl process, median of 5)")
    with Lab(ROOT / "topologies/abilene.yaml") as lab:
        for n, limit in ((3, None), (10, 250)):
            took, solved = [], []
            path = lab.file(ring("bench", n))
            for _ in range(5):
                start = time.monotonic()
                lab.ctl("submit", path)
                took.append(time.monotonic() - start)
                solved.append(json.loads(lab.ctl("-o", "json", "show", "bench"))["solve_seconds"])
                lab.ctl("release", "bench")
            at = statistics.median(took) * 1000
            row(f"a ring of {n} routers, ms", f"{at:.0f}", f"{limit or ''}", f"{at / limit:.2f}" if limit else "",
                f"of it solving {statistics.median(solved) * 1000:.0f}")


PAIR = """kind: substrate
name: pair
nodes:
  - {name: a, cpu: 4}
  - {name: b, cpu: 4}
links:
  - {endpoints: [a, b], bandwidth: 10gbit}
"""


def bench_rates():
    print("limits under TCP, in bytes on the wire (vnctl audit --probe, one virtual link at a time, both ways at once)")
    tmp = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    tmp.write(PAIR)
    tmp.flush()
    with Lab(tmp.name) as lab:
        for mbit in (10, 100, 1000):
            lab.ctl("submit", lab.file(
                f"kind: network\nname: rate{mbit}\nnodes:\n  - {{name: x, cpu: 1}}\n  - {{name: y, cpu: 1}}\n"
                f"links:\n  - {{endpoints: [x, y], bandwidth: {mbit}mbit}}\n"))
            out = json.loads(lab.ctl("-o", "json", "audit", f"rate{mbit}", "--probe", check=False))
            for d in out["links"]:
                got = d.get("tcp_mbit", 0)
                row(f"{mbit} mbit, {d['from']} to {d['to']}, mbit", f"{got:.2f}", f"{mbit} ± 2 %", f"{got / mbit:.4f}",
                    f"payload {d.get('tcp_payload_mbit', 0):.2f}")
            row(f"{mbit} mbit, one way alone, mbit", f"{one_way(lab, mbit):.2f}", f"{mbit} ± 2 %", f"{one_way.last / mbit:.4f}")
            lab.ctl("release", f"rate{mbit}")
    tmp.close()


def one_way(lab, mbit):
    """What the agent counts behind the limit in the last seconds of ten seconds of TCP from x to y."""
    name = f"rate{mbit}"
    link = json.loads(lab.ctl("-o", "json", "show", name))["links"][0]
    command = [str(BUILD / "vnctl"), "exec", name]
    env = {**os.environ, **lab.env}
    server = subprocess.Popen([*command, "y", "--", "iperf3", "-s", "-1", "--forceflush"], env=env, stdout=subprocess.PIPE, text=True)
    while "listening" not in server.stdout.readline():
        pass
    client = subprocess.Popen([*command, "x", "--", "iperf3", "-c", link["addresses"][1].split("/")[0], "-t", "10", "-P", "4",
                               "--forceflush"], env=env, stdout=subprocess.PIPE, text=True)
    for line in client.stdout:
        if re.search(r"\[SUM\]\s+8\.0", line):
            one_way.last = json.loads(lab.ctl("-o", "json", "show", name))["links"][0]["mbit_now"][0]
    client.wait()
    server.wait()
    return one_way.last


def bench_store():
    print("the store on the disk of /var/tmp: batches of 6000 bytes; vned's start with 10,000 networks in it")
    store = json.loads(run(BUILD / "tests/bench/bench_store", "/var/tmp"))
    bare = store["syncs_per_s"]
    row("batches made durable one after the other, a second", store["alone_per_s"], "", f"{store['alone_per_s'] / bare:.2f}",
        f"of {bare} bare write and fdatasync")
    row("the same, up to 1000 on their way at once", store["together_per_s"], "", f"{store['together_per_s'] / bare:.2f}", "group commit")
    row(f"open with a full check, {store['bytes'] >> 20} MB, s", f"{store['open_s']:.2f}", "", "", f"a copy of it: {store['copy_s']:.2f}")
    start = json.loads(run(BUILD / "tests/bench/bench_start", 10000).splitlines()[-1])
    row("vned ready with 10,000 networks, s", f"{start['start_s']:.2f}", "", "", "")


def bench():
    bench_agent()
    bench_store()
    bench_submit()
    bench_rates()
