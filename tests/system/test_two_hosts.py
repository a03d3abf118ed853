# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's section "Two real hosts", followed to the letter: its commands and its files, on
two hosts that share nothing but a wire."""
import json
import os
import re
import subprocess

import pytest

from lab import BUILD, ROOT, eventually


def readme():
    """The commands that make keys, and the files by name."""
    section = (ROOT / "README.md").read_text().split("\n## Two real hosts\n")[1].split("\n## ")[0]
    keys = re.search(r"((?:^    \S.*\n)+)", section, re.M)[1]
    files = dict(re.findall(r"`/etc/vne/(\w+\.yaml)`[^\n]*(?:\n[^\n]+)*?\n\n```yaml\n(.*?)```", section, re.S))
    return keys, files


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


def test_the_readme_joins_two_hosts(hosts):
    alpha, beta = hosts
    keys, files = readme()
    assert set(files) == {"substrate.yaml", "vned.yaml", "vnagent.yaml", "vnctl.yaml"}
    alpha.run("ip", "link", "add", "eth0", "mtu", "1500", "type", "veth", "peer", "name", "eth0",
              "netns", str(beta.holder.pid))
    for i, host in enumerate(hosts, 1):
        host.run("ip", "address", "add", f"192.0.2.{i}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "link", "set", "lo", "up")

    alpha.run("sh", "-ec", keys)
    for name, text in files.items():
        (alpha.etc / name).write_text(text)
    for name in ("beta.key", "vned.pub"):  # "which you copy there"
        (alpha.etc / name).chmod(0o600 if name.endswith("key") else 0o644)
        data = (alpha.etc / name).read_bytes()
        (beta.etc / name).touch(mode=0o600)
        (beta.etc / name).write_bytes(data)
    (beta.etc / "vnagent.yaml").write_text(files["vnagent.yaml"].replace("alpha.key", "beta.key"))
    alpha.start("vned")
    alpha.start("vnagent")
    beta.start("vnagent")

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
