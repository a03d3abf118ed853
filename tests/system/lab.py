# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab for tests: the real daemons in a directory of their own, and ways to look at them from
outside. Nothing here waits blindly: `eventually` asks until it is so, or until a deadline."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VNE_BUILD") or ROOT / "build")
if not BUILD.is_absolute():
    BUILD = ROOT / BUILD
TOPOLOGIES = ROOT / "topologies"

TRIANGLE = """\
kind: substrate
name: triangle
nodes:
  - {name: a, cpu: 4, memory: 1GiB}
  - {name: b, cpu: 4, memory: 1GiB}
  - {name: c, cpu: 4, memory: 1GiB}
links:
  - {endpoints: [a, b], bandwidth: 100mbit}
  - {endpoints: [b, c], bandwidth: 100mbit}
  - {endpoints: [a, c], bandwidth: 100mbit}
"""


def request(name, places=("a", "b", "c"), bandwidth="10mbit", ring=False):
    """A chain (or ring) with router r1 on places[0], r2 on places[1] …"""
    n = len(places)
    links = [(i, i + 1) for i in range(n - 1)] + ([(n - 1, 0)] if ring else [])
    lines = [f"kind: network\nname: {name}\ndefaults:\n  node: {{cpu: 0.1, memory: 32MiB, router: netns}}\n"
             f"  link: {{bandwidth: {bandwidth}}}\nnodes:\n"]
    lines += [f"  - {{name: r{i + 1}, place: {{on: [{p}]}}}}\n" for i, p in enumerate(places)]
    lines += ["links:\n"] + [f"  - {{endpoints: [r{a + 1}, r{b + 1}]}}\n" for a, b in links]
    return "".join(lines)


def eventually(what, seconds=20, pause=0.05):
    """The first true value of what(); an AssertionError where the deadline comes first."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s; last answer: {value!r}"
        time.sleep(pause)


def check_schema(name, value, many=False):
    """Against docs/schema; `many`: a list of such objects."""
    import jsonschema
    schema = json.loads((ROOT / "docs/schema" / f"{name}.json").read_text())
    for one in value if many else [value]:
        jsonschema.validate(one, schema)


class Done:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}{self.err}"


class Lab:
    """`as_user`: a prefix that drops rights, for rootless labs. `build`, `env`: of the daemons, where not the usual ones."""

    def __init__(self, directory, as_user=(), build=BUILD, env=None):
        self.dir, self.as_user, self.build = Path(directory), list(as_user), build
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VNE_") or k.startswith("VNE_FAKE_")}
        self.env["VNE_LAB_DIR"] = str(self.dir)
        self.env["LC_ALL"] = "C.UTF-8"
        self.env.update(env or {})

    def command(self, program, *words):
        return [*self.as_user, str(self.build / program), *map(str, words)]

    def run(self, program, *words, code=0, stdin="", seconds=90):
        done = Done(subprocess.run(self.command(program, *words), env=self.env, input=stdin, capture_output=True,
                                   text=True, timeout=seconds))
        if code is not None:
            assert done.code == code, f"{program} {' '.join(map(str, words))}: {done}"
        return done

    def start(self, program, *words, **more):
        return subprocess.Popen(self.command(program, *words), env=self.env, text=True, stdin=subprocess.DEVNULL, **more)

    # ---- the lab itself
    def up(self, substrate, code=0):
        return self.run("vnlab", "up", substrate, code=code, seconds=120)

    def down(self):
        return self.run("vnlab", "down")

    def status(self):
        return json.loads(self.run("vnlab", "status", "-o", "json").out)

    def on_node(self, node, *command, code=0):
        return self.run("vnlab", "exec", node, "--", *command, code=code)

    def kill(self, name, signal="KILL"):
        self.run("vnlab", "kill", f"-{signal}", name)

    def restart(self, name):
        self.run("vnlab", "start", name)

    # ---- vned
    def vnctl(self, *words, code=0, stdin="", seconds=90):
        return self.run("vnctl", *words, code=code, stdin=stdin, seconds=seconds)

    def ask(self, *words):
        return json.loads(self.vnctl("-o", "json", *words).out)

    def submit(self, text, *words, code=0):
        return self.vnctl("submit", "-", *words, code=code, stdin=text)

    def in_router(self, network, router, script, code=0):
        return self.vnctl("exec", network, router, "--", "sh", "-c", script, code=code)

    def state(self, network):
        for view in self.ask("list"):
            if view["name"] == network:
                return view["state"]
        return None

    def nodes_up(self):
        return {n["name"] for n in self.ask("nodes") if n["state"] == "up"}

    def loopback(self, network, router):
        view = self.ask("show", network)
        return next(r["loopbacks"][0].split("/")[0] for r in view["routers"] if r["name"] == router)

    def ping(self, network, router, address, count=3, code=0):
        return self.in_router(network, router, f"ping -n -q -c {count} -i 0.05 -W 2 {address}", code=code)

    # ---- what stands in a node's kernel
    def routers_on(self, node):
        """Pids, as the node sees them, of the routers' holders."""
        found = self.on_node(node, "pgrep", "-f", "^vne-router", code=None)
        return found.out.split()

    def devices_on(self, node):
        """The devices that an agent has made."""
        names = self.on_node(node, "ls", "/sys/class/net").out.split()
        links = {name for name in names if self.is_underlay(name)}
        return sorted(set(names) - links - {"lo", "mgmt"})

    def is_underlay(self, device):
        return any(device == link["name"] for link in self.ask("links"))

    def bare(self, node):
        return not self.routers_on(node) and not self.devices_on(node)

    def long_ping(self, node, target, count, interval=0.02):
        """A ping out of the first router on a node that does not go through the agent: it goes on
        whatever happens to the daemons."""
        holder = self.routers_on(node)[0]
        return self.start("vnlab", "exec", node, "--", "nsenter", "-t", holder, "-n", "ping", "-n", "-q", "-c", str(count),
                          "-i", str(interval), "-W", "2", target, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def running_lab(substrate, as_user=(), owner=None, build=BUILD, env=None):
    """A lab that is up; afterwards it is down, and gone."""
    base = Path(tempfile.mkdtemp(prefix="vnt-", dir="/tmp"))  # short: there are sockets in it
    try:
        file = base / "substrate.yaml"
        file.write_text(substrate if "\n" in str(substrate) else Path(substrate).read_text())
        if owner is not None:
            os.chown(base, owner, owner)
            os.chown(file, owner, owner)
        lab = Lab(base / "lab", as_user, build, env)
        try:
            lab.up(file)
            yield lab
        finally:
            lab.down()  # also where `up` has failed: it may have come far enough
        assert not lab.dir.exists()
    finally:
        shutil.rmtree(base, ignore_errors=True)
