# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole suite over real Xen: vned and vnctl beside a bridge, two nodes that are QEMU with Xen (an agent in each dom0), and
between them a third, an agent for namespaces on this machine's kernel. They are joined as hosts are: by addresses, keys, files.

    xen1 (10.77.0.1) ──── mid (10.77.0.3) ──── xen2 (10.77.0.2)         all on one bridge, vned at 10.77.0.254
"""
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import xenlab

SERVER = f"tcp://{xenlab.HOST_ADDRESS}:7410"
SUBSTRATE = f"""\
kind: substrate
name: xenlab
nodes:
  - {{name: xen1, cpu: 1, address: {xenlab.NET}.1, routers: [xen]}}
  - {{name: mid, cpu: 2, memory: 1GiB, address: {xenlab.NET}.3, routers: [netns]}}
  - {{name: xen2, cpu: 1, address: {xenlab.NET}.2, routers: [xen]}}
links:
  - {{endpoints: [xen1, mid], bandwidth: 50mbit}}
  - {{endpoints: [mid, xen2], bandwidth: 50mbit}}
"""
MID_ADDRESS = f"{xenlab.NET}.3"
MTU = 1600


def agent_yaml(name, device):
    xen = "xen:\n  images: {default: /var/lib/vne/image}\n" if device == "eth0" and name != "mid" else ""
    return (f"kind: vnagent\nserver: {SERVER}\nserver_key: vned.pub\nkey: {name}.key\nstate: /run/vnagent\n"
            f"underlay:\n  - {{device: {device}, bandwidth: 100mbit}}\n{xen}")


class Failed(Exception):
    pass


class Done:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}{self.err}"


def eventually(what, seconds=60, pause=0.2):
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s; last answer: {value!r}")
        time.sleep(pause)


class Suite:
    def __init__(self, build, say=lambda text: None, hypervisor=None, hypervisor_args=""):
        self.build, self.say = Path(build), say
        self.hypervisor, self.hypervisor_args = hypervisor, hypervisor_args
        self.folder = tempfile.TemporaryDirectory(prefix="xen-", dir="/tmp")
        self.dir = Path(self.folder.name)
        self.daemons = {}
        self.world = self.mid = None
        self.nodes = {}

    # ---- up and down
    def up(self):
        self.world = xenlab.World()
        self.write_files()
        self.nodes = {name: xenlab.Node(self.world, self.dir / name, number, name) for name, number in (("xen1", 1), ("xen2", 2))}
        self.say("booting two Xen nodes in QEMU")
        for node in self.nodes.values():
            self.boot(node)
        self.start_mid()
        self.start("vned", "--config", self.dir / "vned.yaml")
        for name, node in self.nodes.items():
            try:
                node.await_up()
            except xenlab.NodeError:  # once, and of the boot alone
                self.say(f"{name} did not come up; once more")
                node.end()
                self.boot(node)
                node.await_up()
        self.say("starting the agents")
        for name in self.nodes:
            self.start_agent(name)
        self.await_nodes()

    def boot(self, node):
        etc = self.dir / "etc"
        files = [(f"etc/vne/{name}", etc / name) for name in ("vned.pub", f"{node.name}.key")]
        config = self.dir / f"{node.name}.yaml"
        config.write_text(agent_yaml(node.name, "eth0"))
        node.boot(build=self.build, files=[*files, ("etc/vne/vnagent.yaml", config)], hypervisor=self.hypervisor,
                  hypervisor_args=self.hypervisor_args, mtu=MTU)

    def write_files(self):
        etc = self.dir / "etc"
        (etc / "allowed").mkdir(parents=True)
        for words in (("vned", "coordinator"), ("xen1", "agent", "xen1"), ("xen2", "agent", "xen2"), ("mid", "agent", "mid"), ("me", "admin")):
            subprocess.run([self.build / "vnctl", "keys", "new", *words], cwd=etc, check=True, capture_output=True)
        for name in ("xen1", "xen2", "mid", "me"):
            (etc / f"{name}.pub").rename(etc / "allowed" / f"{name}.pub")
        (self.dir / "substrate.yaml").write_text(SUBSTRATE)
        (self.dir / "vned.yaml").write_text(
            f"kind: vned\nsubstrate: substrate.yaml\nlisten: [{SERVER}]\nkey: etc/vned.key\nallow: etc/allowed\nstate: {self.dir}/vned\n"
            "guest_timeout: 120s\n")
        (self.dir / "client.yaml").write_text(f"kind: vnctl\nserver: {SERVER}\nserver_key: etc/vned.pub\nkey: etc/me.key\n")
        (self.dir / "mid.yaml").write_text(agent_yaml("mid", "eth0").replace("server_key: ", "server_key: etc/").replace("key: mid", "key: etc/mid")
                                           .replace("/run/vnagent", f"{self.dir}/mid.state"))

    def start_mid(self):
        """The third node: a network namespace with a veth into the bridge."""
        self.mid = subprocess.Popen(["unshare", "-n", *xenlab.ending_with_us(["sleep", "infinity"])], stdin=subprocess.DEVNULL)
        ours = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(f"/proc/{self.mid.pid}/ns/net") != ours, 10)
        self.world.run("ip", "link", "add", "mid0", "mtu", MTU, "type", "veth", "peer", "name", "eth0", "mtu", MTU, "netns", self.mid.pid)
        self.world.run("ip", "link", "set", "mid0", "master", "br0", "up")
        self.world.run("ip", "link", "set", "br0", "mtu", MTU)
        for words in (("ip", "link", "set", "lo", "up"), ("ip", "address", "add", f"{MID_ADDRESS}/24", "dev", "eth0"), ("ip", "link", "set", "eth0", "up")):
            subprocess.run(self.in_mid(*words), check=True)
        self.start("vnagent", "--config", self.dir / "mid.yaml", inside=self.in_mid)

    def in_mid(self, *words):
        return ["nsenter", "-t", str(self.mid.pid), "-n", *map(str, words)]

    def start(self, program, *words, inside=None):
        """A daemon on this machine, in the bridge's namespace or the third node's."""
        command = (inside or self.world.command)(*xenlab.ending_with_us([self.build / program, *words]))
        with open(self.dir / f"{program}.log", "a") as log:
            self.daemons[program] = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start_agent(self, name):
        self.nodes[name].run("setsid vnagent --config /etc/vne/vnagent.yaml </dev/null >>/var/log/vnagent.log 2>&1 & echo $! > /run/vnagent.pid")

    def await_nodes(self, seconds=120):
        def up():
            done = self.vnctl("-o", "json", "nodes", code=None)
            return done.code == 0 and all(node["state"] == "up" for node in json.loads(done.out))
        eventually(up, seconds)

    def end(self):
        for daemon in self.daemons.values():
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for node in self.nodes.values():
            node.end()
        if self.mid:
            self.mid.kill()
            self.mid.wait()
        if self.world:
            self.world.end()
        self.folder.cleanup()

    # ---- the suite's own
    def vnctl(self, *words, code=0, stdin="", seconds=300):
        env = {**{k: v for k, v in os.environ.items() if not k.startswith("VNE_")}, "LC_ALL": "C.UTF-8", "VNE_LAB_DIR": "/nonexistent"}
        done = Done(subprocess.run(self.world.command(self.build / "vnctl", "--config", self.dir / "client.yaml", *words), env=env, input=stdin,
                                   capture_output=True, text=True, errors="replace", timeout=seconds))
        if code is not None and done.code != code:
            raise Failed(f"vnctl {' '.join(map(str, words))}: {done}\n{self.logs()}")
        return done

    def ask(self, *words):
        return json.loads(self.vnctl("-o", "json", *words).out)

    def submit(self, text, code=0):
        return self.vnctl("submit", "-", "--timeout", "280s", stdin=text, code=code)

    def in_router(self, network, router, script, code=0):
        return self.vnctl("exec", network, router, "--", "sh", "-c", script, code=code)

    def router(self, network, name):
        return next(r for r in self.ask("show", network)["routers"] if r["name"] == name)

    def logs(self):
        parts = [f"---- {log.name}\n{log.read_text(errors='replace')[-2500:]}" for log in sorted(self.dir.glob("*.log"))]
        for name, node in self.nodes.items():
            try:
                parts.append(f"---- vnagent of {name}\n{node.run('tail -c 2500 /var/log/vnagent.log', code=None, seconds=10).out}")
            except (xenlab.NodeError, OSError) as why:
                parts.append(f"---- {name}: {why}")
        return "\n".join(parts)
