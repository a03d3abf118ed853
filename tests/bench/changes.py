# SPDX-License-Identifier: GPL-3.0-or-later
"""A ring of ten routers on the Abilene lab while it changes (as root): packets that an update of one link costs the other nine, how long a
virtual link carries nothing when what it goes over is cut, and what draining a node takes. Pings are 10 ms apart. By the
environment: CHANGES (5) of each."""
import json
import os
import re
import statistics
import subprocess
import threading
import time

from common import BUILD, ROOT, table
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


def bench():
    print("a ring of ten routers on Abilene, while it changes")
    with Lab(ROOT / "topologies/abilene.yaml") as lab:
        lab.ctl("submit", lab.file(ring()))
        updates(lab)
        drains(lab)
        cuts(lab)
