# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's section "Two real hosts", followed to the letter: its commands and its files, on
two hosts that share nothing but a wire."""
import json
import os
import re
import subprocess

import pytest
import yaml

from lab import BUILD, ROOT, check_schema, eventually


def readme():
    """The step that sets up a coordinator, the substrate that it begins with, and the agent's underlay."""
    section = (ROOT / "README.md").read_text().split("\n## Two real hosts\n")[1].split("\n## ")[0]
    init = re.search(r"^    (vned init .*)$", section, re.M)[1]
    substrate, underlay = re.findall(r"```yaml\n(.*?)```", section, re.S)
    return init, substrate, underlay


class Host:
    """A network and mount namespace with an /etc/vne, /run and /var/lib of its own."""

    def __init__(self, name, tmp):
        self.etc = tmp / name
        self.etc.mkdir()
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "sh", "-c",
                                        "mount --bind $0 /etc/vne && mount -t tmpfs x /run && mount -t tmpfs x /var/lib "
                                        "&& echo up && exec cat", self.etc],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "up\n"
        self.daemons = []

    def command(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", f"--wd={self.etc}",
                *map(str, words)]

    def run(self, *words, check=True, timeout=60):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "VNE_LAB_DIR": "/run/none"})
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, program):
        log = open(self.etc / f"{program}.log", "w")
        self.daemons.append(subprocess.Popen(self.command(BUILD / program), stdout=log, stderr=log))

    def stop(self):
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait(20)
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def hosts(root, tmp_path):
    made = not os.path.isdir("/etc/vne")
    os.makedirs("/etc/vne", exist_ok=True)
    pair = [Host(name, tmp_path) for name in ("alpha", "beta")]
    yield pair
    for host in reversed(pair):
        host.stop()
    if made:
        os.rmdir("/etc/vne")


def states(host):
    return {n["name"]: n["state"] for n in json.loads(host.run("vnctl", "-o", "json", "nodes").stdout)}


def check_identities(alpha, beta, used, nodes_up):
    """A token is good for once; a revoked agent is cut off, told why in its own log, and comes back by a new token; the network on it
    goes on meanwhile. Keys of people: allowed, listed, revoked while connected."""
    keys = json.loads(alpha.run("vnctl", "-o", "json", "keys", "list").stdout)
    check_schema("key", keys, many=True)
    assert {k["name"]: k["role"] for k in keys} == {"admin": "admin", "alpha": "agent", "beta": "agent"}, "tokens are used up"
    (beta.etc / "elsewhere").mkdir()
    late = beta.run(*used[1].split(), "--dir", beta.etc / "elsewhere", check=False)
    assert late.returncode == 1 and "used up" in late.stderr, late
    assert not list((beta.etc / "elsewhere").iterdir())

    alpha.run("vnctl", "keys", "revoke", "beta")
    eventually(lambda: states(alpha)["beta"] == "down", 3)
    eventually(lambda: "was never allowed there, or was revoked" in (beta.etc / "vnagent.log").read_text())
    alpha.run("vnctl", "exec", "net", "a", "--", "ping", "-c", "2", "-i", "0.1", "10.255.0.1")
    line = alpha.run("vnctl", "join", "beta", "--expires", "5m").stdout
    assert line.split()[3].split(".")[1] not in alpha.run("vnctl", "log").stdout, "what opens a door is in no log"
    beta.run(*line.split())  # beside the configuration that is there, which stays
    entries = [(e["what"], e["object"], e["code"]) for e in json.loads(alpha.run("vnctl", "-o", "json", "log").stdout)]
    assert entries.count(("join", "beta", 0)) == 2 and ("keys", "invite beta", 0) in entries and ("keys", "revoke beta", 0) in entries
    agent = beta.daemons.pop()
    agent.terminate()
    agent.wait(20)
    beta.start("vnagent")
    eventually(nodes_up)

    alpha.run("vnctl", "keys", "new", "alice", "tenant")
    as_alice = ("vnctl", "-k", "alice.key", "-S", "vned.pub", "-s", "tcp://192.0.2.1:7410")
    refused = alpha.run(*as_alice, "list", check=False)
    assert refused.returncode == 1 and "vnctl keys allow alice.pub" in refused.stderr, refused
    alpha.run("vnctl", "keys", "allow", "alice.pub")
    follower = subprocess.Popen(alpha.command(BUILD / as_alice[0], *as_alice[1:], "events", "--follow"), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
    try:
        alpha.run(*as_alice, "list")
        assert alpha.run(*as_alice, "keys", "list", check=False).returncode == 1
        (alpha.etc / "allowed" / "alice.pub").unlink()  # by hand: the folder is watched
        assert follower.wait(5) in (1, 3), "cut off while it only listens"
    finally:
        follower.kill()
        follower.wait()
    assert alpha.run("vnctl", "keys", "revoke", "admin", check=False).returncode == 1, "not one's own"
    assert alpha.run("vnctl", "-s", "ipc:///run/vned/vned.sock", "-o", "json", "list").returncode == 0


def test_the_readme_joins_two_hosts(hosts):
    alpha, beta = hosts
    init, substrate, underlay = readme()
    alpha.run("ip", "link", "add", "eth0", "mtu", "1500", "type", "veth", "peer", "name", "eth0",
              "netns", str(beta.holder.pid))
    for i, host in enumerate(hosts, 1):
        host.run("ip", "address", "add", f"192.0.2.{i}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "link", "set", "lo", "up")

    lines = re.findall(r"^# (\w+):\n(vnagent join \S+ (\S+))$", alpha.run(*init.split()).stdout, re.M)
    assert [node for node, _, _ in lines] == ["alpha", "beta"]
    assert yaml.safe_load((alpha.etc / "substrate.yaml").read_text()) == yaml.safe_load(substrate)
    for secret in ("vned.key", "admin.key"):
        assert (alpha.etc / secret).stat().st_mode & 0o777 == 0o600
    again = alpha.run(*init.split(), check=False)
    assert again.returncode == 2 and "nothing was changed" in again.stderr
    alpha.start("vned")
    eventually(lambda: alpha.run("vnctl", "keys", "list", check=False).returncode == 0)
    for host, (_, line, _) in zip(hosts, lines):
        host.run(*line.split())
        with open(host.etc / "vnagent.yaml", "a") as f:
            f.write(underlay)
        host.start("vnagent")

    def nodes_up():
        done = alpha.run("vnctl", "-o", "json", "nodes", check=False)
        return done.returncode == 0 and [n["state"] for n in json.loads(done.stdout)] == ["up", "up"]
    eventually(nodes_up)

    (alpha.etc / "net.yaml").write_text(
        "kind: network\nname: net\nnodes:\n  - {name: a, cpu: 0.5, place: {on: [alpha]}}\n  - {name: b, cpu: 0.5}\n"
        "links:\n  - {endpoints: [a, b], bandwidth: 10mbit}\n")
    alpha.run("vnctl", "submit", "net.yaml")
    out = json.loads(alpha.run("vnctl", "-o", "json", "show", "net").stdout)
    assert out["state"] == "active"
    assert {r["name"]: r["node"] for r in out["routers"]} == {"a": "alpha", "b": "beta"}
    assert out["links"][0]["mtu"] == 1450, "1500 of the underlay less 50 of VXLAN"
    alpha.run("vnctl", "exec", "net", "a", "--", "ping", "-c", "3", "-i", "0.1", "-s", "1422", "-M", "do", "10.255.0.1")
    alpha.daemons[1].terminate()  # its agent ends while the network stands: all that guards it stays
    alpha.daemons[1].wait(20)
    assert "htb" in alpha.run("tc", "qdisc", "show", "dev", "eth0").stdout
    alpha.run("ping", "-c", "1", "-W", "2", "192.0.2.2")
    eventually(lambda: not nodes_up())
    alpha.start("vnagent")
    eventually(nodes_up)
    check_identities(alpha, beta, lines[1], nodes_up)
    alpha.run("vnctl", "release", "net")
    left = alpha.run("ip", "-br", "link").stdout
    assert not re.search(r"\bv[pt]", left), left
    for host in hosts:  # and with nothing left to guard, an agent that ends leaves the host as it was
        agent = host.daemons.pop()
        agent.terminate()
        assert agent.wait(20) == 0
        assert "htb" not in host.run("tc", "qdisc", "show", "dev", "eth0").stdout
        assert "vne" not in host.run("nft", "list", "tables").stdout
        eventually(lambda: not host.run("pgrep", "-x", "--ns", host.holder.pid, "--nslist", "net", "vnagent-watch", check=False).stdout)
