# SPDX-License-Identifier: GPL-3.0-or-later
"""The strings of daemons built with FAULTS=1 (base/fault.h), and what must hold after any crash."""
import contextlib
import json
import mmap
import re
import sqlite3
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from lab import BUILD, eventually

FAULTS = BUILD / "faults"
WORDS = ("passed", "die_at", "messages", "reserved", "wall_ms", "write_code", "seed", "lose", "twice", "hold")
SIZE = 8 * len(WORDS) + 48


class Points:
    """One process's file: its words are attributes."""

    def __init__(self, folder, name):
        path = folder / name
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as f:
            self.__dict__["map"] = mmap.mmap(f.fileno(), SIZE)

    def __getattr__(self, word):
        if word not in WORDS:
            raise AttributeError(word)
        return struct.unpack_from("q", self.map, 8 * WORDS.index(word))[0]

    def __setattr__(self, word, value):
        struct.pack_into("q", self.map, 8 * WORDS.index(word), value)

    @property
    def at(self):
        """Where the process has killed itself; "" while it lives."""
        return self.map[8 * len(WORDS):].rstrip(b"\0").decode()

    def reset(self):
        self.map[:] = bytes(SIZE)

    def arm(self, k):
        """It dies at the k-th point from here."""
        self.reset()
        self.die_at = k


def open_points(folder, names):
    assert (FAULTS / "vned").exists(), f"no daemons with faults on demand: make B={FAULTS} FAULTS=1"
    folder.mkdir(exist_ok=True)
    return {name: Points(folder, name) for name in names}


# ---- what must hold ------------------------------------------------------------------------

def running(lab, name):
    """The pid of a daemon; 0: it has ended."""
    status = lab.status()
    node = next((n for n in status["nodes"] if n["name"] == name), {})
    return status.get("vned_pid", 0) if name == "vned" else node.get("agent_pid", 0)


def reserved(lab):
    """(what vned says is promised, what its networks add up to), of nodes and links."""
    said, sums = Counter(), Counter()
    for node in lab.ask("nodes"):
        said["cpu", node["name"]] = round(node["cpu_reserved"] * 1000)
        said["memory", node["name"]] = node["memory_reserved_kib"]
    for link in lab.ask("links"):
        said["mbit", link["name"]] = round(link["reserved_mbit"] * 1000)
    for net in lab.ask("list"):
        if net["state"] in ("released", "failed", "rejected"):
            continue
        view = lab.ask("show", net["name"])
        for r in view["routers"]:
            sums["cpu", r["node"]] += round(r["cpu"] * 1000)
            sums["memory", r["node"]] += r["memory_kib"]
        for k in view["links"]:
            for path in k["paths"]:
                for link in path["links"]:
                    sums["mbit", link] += round(path["mbit"] * 1000)
    return +said, +sums


def store_rows(lab):
    """What is on disk, seen by SQLite itself; vned must not be running."""
    state = re.search(r"^state: *(\S+)", (lab.dir / "vned.yaml").read_text(), re.M).group(1)
    with contextlib.closing(sqlite3.connect(f"file:{lab.dir / state / 'store.db'}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(db.execute("SELECT key, value FROM entry"))


def terms(lab, nodes):
    return [int((lab.dir / "nodes" / n / "state/term").read_text()) for n in nodes]


def plan_files(lab, node):
    return sorted(f.name for f in (lab.dir / "nodes" / node / "state").iterdir() if f.name not in ("lock", "term") and not f.name.startswith("watch"))


LOOK = """pgrep -f ^vne-router; echo ==; ls /sys/class/net; echo ==; tc qdisc show
for d in $(ls /sys/class/net | grep ^v[pt]); do tc filter show dev $d ingress; done; echo ==; nft -j list ruleset"""


def things_on(lab, node):
    """What stands on a node, by kind: routers, devices with what hangs on them, what the second wall lets in, files of state; and the
    numbers of the networks that it belongs to."""
    pids, devices, rules, wall = lab.on_node(node, "sh", "-c", LOOK).out.split("==\n")
    devices = [d for d in devices.split() if d.startswith("v")]
    files = plan_files(lab, node)
    sets = [s["set"] for s in json.loads(wall)["nftables"] if "set" in s]
    count = Counter({
        "routers": len(pids.split()), "queues": len(re.findall(r"^qdisc \S+ \S+ dev v[pt]", rules, re.M)),
        "redirects": rules.count("Redirect to device"), "let in": sum(len(s.get("elem", [])) for s in sets),
        **Counter(d[:2] for d in devices), **Counter(f.split(".", 1)[1] for f in files)})
    nets = {int(m[1], 16) for d in devices if (m := re.match(r"vp([0-9a-f]{6})\.", d))} | {int(f[:6], 16) for f in files}
    return +count, nets


def things(lab, nodes):
    with ThreadPoolExecutor(len(nodes)) as pool:
        found = dict(zip(nodes, pool.map(lambda n: things_on(lab, n), nodes)))
    return {n: f[0] for n, f in found.items()}, set().union(*(f[1] for f in found.values()))


def bare(lab, nodes):
    return not any(things(lab, nodes)[0].values())


def settled(lab, nodes, states):
    """Everybody is there, and every network in one of the states."""
    def so():
        if lab.nodes_up() != set(nodes):
            return None
        now = {v["name"]: v["state"] for v in lab.ask("list")}
        return [now] if all(s in states for s in now.values()) else None
    return eventually(so, seconds=40, pause=0.02)[0]
