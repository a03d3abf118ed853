# SPDX-License-Identifier: GPL-3.0-or-later
"""A ring of ten routers on the Abilene lab while it changes (as root): packets that an update of one link costs the other nine, how long a
virtual link carries nothing when what it goes over is cut, and what draining a node takes. Pings are 10 ms apart. Then 200 networks, a ping
in each, while vned is killed and comes back. By the environment: CHANGES (5) of each."""
import json
import os
import re
import statistics
import subprocess
import threading
import time

from common import BUILD, OUT, ROOT, run, table
from daemons import Lab

ROUNDS = int(os.environ.get("CHANGES", 5))
PLACES = ["seat", "sunn", "losa", "denv", "hous", "kans", "chic", "indi", "atla", "newy"]
row = table("changes", "what", "n", "median", "worst", "asked", "note")


def ring(changed=None, mbit=5):
    nodes = "".join(f"  - {{name: r{i}, place: {{on: [{p}{', wash' if i == 9 else ''}]}}}}\n" for i, p in enumerate(PLACES))
    links = "".join(f"  - {{endpoints: [r{i}, r{(i + 1) % 10}], bandwidth: {mbit if i == changed else 5}mbit}}\n" for i in range(10))
    return f"kind: network\nname: ring\ndefaults: {{node: {{cpu: 0.1, memory: 16MiB}}}}\nnodes:\n{nodes}links:\n{links}"


class Ping:
    """Along one virtual link; when each answer came."""
    def __init__(self, lab, link, count=600):
        self.heard, self.sent = [], 0
        self.process = subprocess.Popen([BUILD / "vnctl", "exec", "ring", link["endpoints"][0], "--", "ping", "-D", "-n", "-i", "0.01", "-c", str(count), "-W", "1",
                                         link["addresses"][1]], env={**os.environ, **lab.env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        while len(self.heard) < 50 and self.process.poll() is None:
            time.sleep(0.01)

    def read(self):
        for line in self.process.stdout:
            m = re.match(r"\[([\d.]+)\] .*icmp_seq", line)
            if m:
                self.heard.append(float(m[1]))
            m = re.search(r"(\d+) packets transmitted, (\d+) received", line)
            if m:
                self.lost = int(m[1]) - int(m[2])

    def end(self):
        self.reader.join()
        self.process.wait()
        return self


def show(lab):
    return json.loads(lab.ctl("-o", "json", "show", "ring"))


def updates(lab):
    took, lost = [], []
    for i in range(ROUNDS):
        pings = [Ping(lab, k, 300) for n, k in enumerate(show(lab)["links"]) if n != i]
        begun = time.monotonic()
        lab.ctl("update", lab.file(ring(i, 8)))
        took.append(time.monotonic() - begun)
        lost.append(sum(p.end().lost for p in pings))
    row("update of one link of ten, ms", ROUNDS, f"{1e3 * statistics.median(took):.0f}", f"{1e3 * max(took):.0f}", "", "")
    row("packets lost meanwhile on the other nine", ROUNDS, statistics.median(lost), max(lost), 0, f"{300 * 9} sent each time")


def cuts(lab):
    """A cable of the first virtual link that goes over it is set down; from then, and from when vned has told so, to its next answer."""
    gaps, after = [], []
    for i in range(ROUNDS):
        link = show(lab)["links"][2 + i % 6]  # another cable each time: one that falls again is not relied on at once
        cable, node = link["paths"][0]["links"][0], link["paths"][0]["via"][0]
        ping = Ping(lab, link)
        subprocess.run([BUILD / "vnlab", "exec", node, "--", "ip", "link", "set", cable, "down"], env={**os.environ, **lab.env}, check=True)
        cut = time.time()
        ping.end()
        events = json.loads(lab.ctl("-o", "json", "events"))
        told = max(e["wall_ms"] for e in events if e["kind"] == "link" and e["object"] == cable and "down" in e["what"]) / 1e3
        back = min(t for t in ping.heard if t > cut)
        gaps.append(back - max(t for t in ping.heard if t <= cut + 0.01))
        after.append(max(back - told, 0))
        subprocess.run([BUILD / "vnlab", "exec", node, "--", "ip", "link", "set", cable, "up"], env={**os.environ, **lab.env}, check=True)
        lab.ctl("release", "ring")
        while any("lost" in k for k in json.loads(lab.ctl("-o", "json", "links"))):
            time.sleep(0.2)
        lab.ctl("submit", lab.file(ring()))
    row("a cable cut to traffic around it, ms", ROUNDS, f"{1e3 * statistics.median(gaps):.0f}", f"{1e3 * max(gaps):.0f}", "", "carrier gone at one end")
    row("of that, from when it is told, ms", ROUNDS, f"{1e3 * statistics.median(after):.0f}", f"{1e3 * max(after):.0f}", 1000, "")


def drains(lab):
    took = []
    for _ in range(ROUNDS):
        node = next(r["node"] for r in show(lab)["routers"] if r["name"] == "r9")
        begun = time.monotonic()
        lab.ctl("drain", node)
        took.append(time.monotonic() - begun)
        lab.ctl("undrain", node)
    row("drain of a node with one router of ten, ms", ROUNDS, f"{1e3 * statistics.median(took):.0f}", f"{1e3 * max(took):.0f}", "", "")


# ---- vned is killed under 200 networks ------------------------------------------------------------------------

NETWORKS, PINGS = 200, 200
MESH = "kind: substrate\nname: mesh\nnodes:\n" + "".join(f"  - {{name: n{i}, cpu: 64}}\n" for i in range(4)) + "links:\n" + "".join(
    f"  - {{endpoints: [n{a}, n{b}], bandwidth: 10gbit}}\n" for a in range(4) for b in range(a))


def pair(i):
    ends = f"  - {{name: a{i}, place: {{on: [n{i % 4}]}}}}\n  - {{name: b{i}, place: {{on: [n{(i + 1) % 4}]}}}}\n"
    return (f"kind: network\nname: p{i}\ndefaults: {{node: {{cpu: 0.1, memory: 4MiB}}}}\nnodes:\n{ends}"
            f"links:\n  - {{endpoints: [a{i}, b{i}], bandwidth: 1mbit}}\n")


def start_pings(lab):
    """In every network, not through any daemon: on each node one shell that runs a ping in each router whose name begins with a."""
    peer = {f"a{i}": json.loads(lab.ctl("-o", "json", "show", f"p{i}"))["links"][0]["addresses"][1] for i in range(NETWORKS)}
    shells = []
    for node in range(4):
        script = "".join(f"peer_{a}={address.split('/')[0]}\n" for a, address in peer.items()) + (
            "for pid in $(pgrep -f ^vne-router); do name=$(nsenter -t $pid -u hostname); case $name in a*) eval to=\\$peer_$name;"
            f" nsenter -t $pid -n ping -q -n -i 0.1 -c {PINGS} -W 2 $to & esac; done; echo begun; wait")
        shells.append(subprocess.Popen([BUILD / "vnlab", "exec", f"n{node}", "--", "sh", "-c", script], env={**os.environ, **lab.env},
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    return shells


def whole(lab):
    up = [n["state"] for n in json.loads(lab.ctl("-o", "json", "nodes"))]
    return up == ["up"] * 4 and [v["state"] for v in json.loads(lab.ctl("-o", "json", "list"))] == ["active"] * NETWORKS


def restarts():
    with Lab(write_mesh()) as lab:
        lab.ctl("submit", lab.file("---\n".join(map(pair, range(NETWORKS)))))
        shells = start_pings(lab)
        time.sleep(3)  # all of them ping by now
        run(BUILD / "vnlab", "kill", "-KILL", "vned", env=lab.env)
        begun = time.monotonic()
        run(BUILD / "vnlab", "start", "vned", env=lab.env)
        while not whole(lab):
            time.sleep(0.01)
        took = time.monotonic() - begun
        found = [(int(sent), int(got)) for s in shells for sent, got in re.findall(r"(\d+) packets transmitted, (\d+) received", s.communicate()[0])]
        row("vned killed, back, 200 networks active again, ms", 1, f"{1e3 * took:.0f}", f"{1e3 * took:.0f}", 2000, "start of the process included")
        row("packets lost by 200 networks meanwhile", len(found), sum(a - b for a, b in found), max(a - b for a, b in found), 0,
            f"{sum(a for a, _ in found)} sent")


def write_mesh():
    path = OUT / "mesh.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MESH)
    return path


def bench():
    print("a ring of ten routers on Abilene, while it changes")
    with Lab(ROOT / "topologies/abilene.yaml") as lab:
        lab.ctl("submit", lab.file(ring()))
        updates(lab)
        drains(lab)
        cuts(lab)
    restarts()
