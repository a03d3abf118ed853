#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain of N routers built and removed by Mininet: the peer that `make bench` times us against.

Prints "build S remove S" in seconds. Same work as ours: N namespaces, N - 1 veth links, an
address on each end, forwarding on. As root, in a network namespace of its own.
"""
import sys
import time

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Node
from mininet.topo import Topo


class Router(Node):
    def config(self, **params):
        super().config(**params)
        self.cmd("sysctl -q -w net.ipv4.ip_forward=1")


class Chain(Topo):
    def build(self, n=100):
        names = [self.addHost(f"r{i}", cls=Router, ip=None) for i in range(n)]
        for i in range(n - 1):
            self.addLink(
                names[i], names[i + 1], intfName1=f"r{i}-e1", intfName2=f"r{i + 1}-e0",
                params1={"ip": f"10.64.{i // 64}.{i % 64 * 4 + 1}/30"},
                params2={"ip": f"10.64.{i // 64}.{i % 64 * 4 + 2}/30"})


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    setLogLevel("error")
    start = time.monotonic()
    net = Mininet(topo=Chain(n=n), controller=None, switch=None)
    net.start()
    built = time.monotonic()
    net.stop()
    print(f"build {built - start:.3f} remove {time.monotonic() - built:.3f}")


if __name__ == "__main__":
    main()
