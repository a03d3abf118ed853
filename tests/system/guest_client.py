# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's end of vnagent/guest_wire.h, and a network namespace that stands for a guest."""
import ctypes
import os
import socket
import struct
import subprocess
import time

from lab import BUILD

CONTROL_MAC = "0a:56:4e:45:00:00"
PORT = 7411
LIBC = ctypes.CDLL(None, use_errno=True)


def in_netns(pid, what):
    """what() with this thread in the network namespace of a process."""
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        assert LIBC.setns(there, 0) == 0
        try:
            return what()
        finally:
            assert LIBC.setns(back, 0) == 0
    finally:
        os.close(back)
        os.close(there)


class Connection:
    def __init__(self, host_pid, interface="ctl0", address="fe80::2", timeout=20):
        def connect():
            s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            s.settimeout(timeout)
            s.connect((address, PORT, 0, socket.if_nametoindex(interface)))
            return s
        self.socket = in_netns(host_pid, connect)

    def frame(self, kind, data=b""):
        self.socket.sendall(kind.encode() + len(data).to_bytes(3, "big") + data)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError(f"{len(data)} of {n} bytes")
            data += more
        return data

    def next(self):
        head = self.read(4)
        return chr(head[0]), self.read(int.from_bytes(head[1:], "big"))

    def end(self):
        """Outputs, code and text up to 'x', behind which nothing comes."""
        streams = {"o": b"", "r": b""}
        while True:
            kind, data = self.next()
            if kind == "x":
                code, text = struct.unpack("!i", data[:4])[0], data[4:].decode()
                assert self.socket.recv(1) == b""
                self.socket.close()
                return code, text, streams["o"].decode(), streams["r"].decode()
            streams[kind] += data

    def close(self):
        self.socket.close()


class Namespace:
    """A process that holds a network namespace, and a mount namespace with a /run of its own."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "sh", "-c",
                                        "mount -t tmpfs x /run && echo up && exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "up\n"
        self.pid = self.holder.pid
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *words):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", *map(str, words)]

    def run(self, *words, check=True):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self):
        self.holder.kill()
        self.holder.wait()


class Guest(Namespace):
    """vnguest in a namespace, and another one that is its host."""

    def __init__(self, tmp):
        super().__init__()
        self.host = Namespace()
        self.setup = tmp / "setup"
        self.log = tmp / "vnguest.log"
        self.process = None
        self.wire("ctl0", CONTROL_MAC)
        self.host.run("ip", "address", "add", "fe80::1/64", "dev", "ctl0", "nodad")

    def wire(self, host_name, mac, inside_name=None):
        """A pair: host_name outside, up; inside with this address and a name that the kernel chooses."""
        name = inside_name or "veth%d"
        self.host.run("ip", "link", "add", host_name, "type", "veth", "peer", "name", name, "address", mac,
                      "netns", str(self.pid))
        self.host.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{host_name}/addr_gen_mode; ip link set {host_name} up")

    def start(self, setup=None):
        self.setup.write_text(setup or "vne 1\nrouter r1\n")
        with open(self.log, "a") as log:
            # a UTS namespace of its own: it sets the host name
            self.process = subprocess.Popen(self.command("unshare", "-u", BUILD / "vnguest", "--no-init", f"--setup={self.setup}"),
                                            stdout=log, stderr=log)
        self.await_up()

    def await_up(self, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                return self.version()
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                self.process_tick()

    def process_tick(self):
        """Until something of the guest's namespace changes, a moment at most."""
        subprocess.run(self.command("timeout", "0.05", "ip", "monitor", "all"), capture_output=True)

    def connect(self, **words):
        return Connection(self.host.pid, **words)

    def version(self):
        c = self.connect()
        c.frame("v")
        return c.end()[:2]

    def execute(self, *words, stdin=b""):
        c = self.connect()
        c.frame("e", b"".join(w.encode() + b"\0" for w in words))
        for at in range(0, len(stdin), 60000):
            c.frame("i", stdin[at:at + 60000])
        c.frame("i")
        return c.end()

    def apply(self, setup, size=65536):
        c = self.connect()
        data = setup.encode()
        for at in range(0, len(data), size):
            c.frame("a", data[at:at + size])
        c.frame("a")
        return c.end()[:2]

    def dial(self, path):
        c = self.connect()
        c.frame("d", path.encode())
        kind, data = c.next()
        assert kind == "x"
        return c, struct.unpack("!i", data[:4])[0], data[4:].decode()

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.process.kill()
        self.host.stop()
        super().stop()
