# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole suite over real Xen: vned and vnctl beside a bridge, two nodes that are QEMU with Xen (an agent in each dom0), and
between them a third, an agent for namespaces on this machine's kernel. They are joined as hosts are: by addresses, keys, files.

    xen1 (10.77.0.1) ──── mid (10.77.0.3) ──── xen2 (10.77.0.2)         all on one bridge, vned at 10.77.0.254

However whoever made it ends, kill -9 included, nothing of it stays: programs die with it, and its guard, a shell that waits
for the end of a pipe, removes files and control groups."""
import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import xenlab

SERVER = f"tcp://{xenlab.HOST_ADDRESS}:7410"
MID_ADDRESS = f"{xenlab.NET}.3"
MTU = 1600


# $1 a name that is unique: of a directory below /tmp and of control groups. These are busy until the last process is reaped.
GUARD = """read -r said
n=0
while [ $((n += 1)) -le 200 ]; do
	rm -rf "/tmp/$1"
	find /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1" -depth -type d -exec rmdir {} + 2>/dev/null
	ls -d /tmp/"$1" /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1" >/dev/null 2>&1 || exit 0
	sleep 0.1
done
exit 1"""


@dataclass
class Host:
    """What a node with Xen is to be like."""
    name: str
    number: int
    cpus: int = 1
    balance: str = "none"
    hvm: bool = False  # with virtualization in (emulated) hardware: guests are PVH, else PV
    counting: bool = False  # a nanosecond of its time is an instruction
    kinds: tuple = ("xen",)
    uplinks: tuple = ()  # names; the devices, out0, out1 …, are made by who wants them


HOSTS = (Host("xen1", 1, cpus=2, balance="load"), Host("xen2", 2))


def substrate_yaml(hosts):
    def uplinks(host):
        return f", uplinks: [{', '.join(host.uplinks)}]" if host.uplinks else ""
    nodes = "".join(f"  - {{name: {h.name}, cpu: {h.cpus}, address: {xenlab.NET}.{h.number}, routers: [{', '.join(h.kinds)}]{uplinks(h)}}}\n" for h in hosts)
    links = "".join(f"  - {{endpoints: [{h.name}, mid], bandwidth: 50mbit}}\n" for h in hosts)
    return (f"kind: substrate\nname: xenlab\nnodes:\n{nodes}  - {{name: mid, cpu: 2, memory: 1GiB, address: {MID_ADDRESS}, routers: [netns]}}\n"
            f"links:\n{links}")


def agent_yaml(name, device, keys, state, more):
    return (f"kind: vnagent\nserver: {SERVER}\nserver_key: {keys}vned.pub\nkey: {keys}{name}.key\nstate: {state}\n"
            f"underlay:\n  - {{device: {device}, bandwidth: 100mbit}}\n{more}")


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
    def __init__(self, build, say=lambda text: None, hosts=HOSTS, hypervisor=None, hypervisor_args=""):
        self.build, self.say, self.hosts = Path(build), say, hosts
        self.hypervisor, self.hypervisor_args = hypervisor, hypervisor_args
        self.dir = Path(tempfile.mkdtemp(prefix="xen-", dir="/tmp"))
        self.guard = subprocess.Popen(["sh", "-c", GUARD, "sh", self.dir.name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, start_new_session=True)
        self.daemons = {}
        self.world = self.mid = self.mid_init = None
        self.nodes = {}

    # ---- up and down
    def up(self):
        xenlab.base(self.say)
        self.world = xenlab.World()
        self.write_files()
        self.say(f"booting Xen in QEMU: {', '.join(host.name for host in self.hosts)}")
        for host in self.hosts:
            self.nodes[host.name] = xenlab.Node(self.world, self.dir / host.name, host.number, host.name)
            self.boot(host)
        self.start_mid()
        self.start("vned", "--config", self.dir / "vned.yaml")
        for host in self.hosts:
            node = self.nodes[host.name]
            try:
                node.await_up()
            except xenlab.NodeError:  # once, and of the boot alone
                self.say(f"{host.name} did not come up; once more")
                node.end()
                self.boot(host)
                node.await_up()
        self.say("starting the agents")
        for name in self.nodes:
            self.start_agent(name)
        self.await_nodes()

    def boot(self, host):
        etc, config = self.dir / "etc", self.dir / f"{host.name}.yaml"
        files = [(f"etc/vne/{name}", etc / name) for name in ("vned.pub", f"{host.name}.key")]
        config.write_text(agent_yaml(host.name, "eth0", "", "/run/vnagent",
                                     f"xen:\n  images: {{default: /var/lib/vne/image}}\n  balance: {host.balance}\n" + "".join(
                                         f"{'' if i else 'uplinks:' + chr(10)}  {name}: {{device: out{i}}}\n" for i, name in enumerate(host.uplinks))))
        self.nodes[host.name].boot(build=self.build, files=[*files, ("etc/vne/vnagent.yaml", config)], hypervisor=self.hypervisor,
                                   hypervisor_args=self.hypervisor_args, mtu=MTU, cpus=host.cpus, hvm=host.hvm, counting=host.counting)

    def write_files(self):
        etc, agents = self.dir / "etc", [*(host.name for host in self.hosts), "mid"]
        (etc / "allowed").mkdir(parents=True)
        for words in (("vned", "coordinator"), ("me", "admin"), *((name, "agent", name) for name in agents)):
            subprocess.run([self.build / "vnctl", "keys", "new", *words], cwd=etc, check=True, capture_output=True)
        for name in (*agents, "me"):
            (etc / f"{name}.pub").rename(etc / "allowed" / f"{name}.pub")
        (self.dir / "substrate.yaml").write_text(substrate_yaml(self.hosts))
        (self.dir / "vned.yaml").write_text(
            f"kind: vned\nsubstrate: substrate.yaml\nlisten: [{SERVER}]\nkey: etc/vned.key\nallow: etc/allowed\nstate: {self.dir}/vned\n"
            "guest_timeout: 120s\n" + ("timeout: 60s\n" if any(h.counting for h in self.hosts) else ""))
        (self.dir / "client.yaml").write_text(f"kind: vnctl\nserver: {SERVER}\nserver_key: etc/vned.pub\nkey: etc/me.key\n")
        (self.dir / "mid.yaml").write_text(agent_yaml("mid", "eth0", "etc/", f"{self.dir}/mid.state", f"cgroup: {self.dir.name}\n"))

    def start_mid(self):
        """The third node: a network namespace with a veth into the bridge. A pid namespace, too: routers outlive their agent,
        and end with that."""
        self.mid = subprocess.Popen(xenlab.ending_with_us(["unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity"]),
                                    stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.mid_init = eventually(self.first_of_mid, 10)
        self.world.run("ip", "link", "add", "mid0", "mtu", MTU, "type", "veth", "peer", "name", "eth0", "mtu", MTU, "netns", self.mid_init)
        self.world.run("ip", "link", "set", "mid0", "master", "br0", "up")
        self.world.run("ip", "link", "set", "br0", "mtu", MTU)
        for words in (("ip", "link", "set", "lo", "up"), ("ip", "address", "add", f"{MID_ADDRESS}/24", "dev", "eth0"), ("ip", "link", "set", "eth0", "up")):
            subprocess.run(self.in_mid(*words), check=True)
        self.start("vnagent", "--config", self.dir / "mid.yaml", inside=self.in_mid)

    def first_of_mid(self):
        """Its pid 1, once that is what it will be; None before."""
        for child in Path(f"/proc/{self.mid.pid}/task/{self.mid.pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "sleep\n":
                return int(child)
        return None

    def in_mid(self, *words):
        return ["nsenter", "-t", str(self.mid_init), "-n", "-m", "-p", *map(str, words)]

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
            if self.mid_init:
                os.kill(self.mid_init, signal.SIGKILL)  # and with it all processes of that node
            else:
                self.mid.kill()
            self.mid.wait()
        if self.world:
            self.world.end()
        self.guard.communicate(b"end\n", timeout=60)
        if self.guard.returncode:
            raise Failed(f"something of {self.dir} or of the control groups of that name cannot be removed")

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
