# SPDX-License-Identifier: GPL-3.0-or-later
"""The strings of daemons built with FAULTS=1 (base/fault.h), and what must hold after any crash."""
import contextlib
import mmap
import re
import sqlite3
import struct
from collections import Counter

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


def things(lab, nodes):
    """What stands on each node by kind: routers, ends of ports and of tunnels with what is hung on them, files of state; and every
    network number in it."""
    ret, nets = {}, set()
    for node in nodes:
        devices = lab.devices_on(node)
        nets |= {int(m[1], 16) for d in devices if (m := re.match(r"vp([0-9a-f]{6})\.", d))}
        nets |= {int(f[:6], 16) for f in plan_files(lab, node)}
        rules = lab.on_node(node, "sh", "-c", "for d in $(ls /sys/class/net); do tc qdisc show dev $d; tc filter show dev $d ingress; done").out
        sets = lab.on_node(node, "nft", "-j", "list", "ruleset").out
        ret[node] = Counter({
            "routers": len(lab.routers_on(node)), "queues": len(re.findall(r"^qdisc (?!noqueue)", rules, re.M)),
            "redirects": rules.count("Redirect to device"), "walls": len(re.findall(r'"v[pt][0-9a-f]+', sets)),
            **Counter(re.sub(r"[0-9a-f.]+$", "", d[:2]) for d in devices),
            **Counter(f"file .{f.split('.', 1)[1]}" for f in plan_files(lab, node))})
        ret[node] = +ret[node]
    return ret, nets


def settled(lab, nodes, states):
    """Everybody is there, and every network in one of the states."""
    def so():
        if lab.nodes_up() != set(nodes):
            return None
        now = {v["name"]: v["state"] for v in lab.ask("list")}
        return [now] if all(s in states for s in now.values()) else None
    return eventually(so, seconds=40, pause=0.02)[0]
