# SPDX-License-Identifier: GPL-3.0-or-later
"""vnguest, not as pid 1 but in a network namespace: the same code with a veth pair for its control interface,
real interfaces, a real BIRD."""
import contextlib
import itertools
import json
import re
import select
import socket
import struct
import subprocess
import threading

import pytest

from guest_client import Connection, Guest
from lab import BUILD, eventually

A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
BIRD = "router id {0};\nprotocol device {{ scan time 10; }}\nprotocol kernel {{ ipv4 {{ export all; }}; }}\n"


@pytest.fixture
def guest(root, tmp_path):
    g = Guest(tmp_path)
    try:
        yield g
    finally:
        g.stop()


def interfaces(guest):
    return {i["ifname"]: i for i in json.loads(guest.run("ip", "-j", "address"))}


def addresses(guest, name):
    return {f'{a["local"]}/{a["prefixlen"]}' for a in interfaces(guest).get(name, {"addr_info": []})["addr_info"]
            if a["scope"] != "link" and a["local"] not in ("127.0.0.1", "::1")}


def routes(guest):
    return {(r["dst"], r.get("gateway"), r["dev"], r.get("prefsrc")) for family in ("-4", "-6")
            for r in json.loads(guest.run("ip", "-j", family, "route", "show", "proto", "static"))}


def test_version_and_where_it_listens(guest):
    guest.wire("h0", A)
    guest.start(f"vne 1\nrouter r1\nport {A} eth0 1500 10.1.0.1/31\n")
    code, text = guest.version()
    assert code == 0 and re.fullmatch(r"vnguest \d+\.\d+\.\d+ r1", text)
    control = interfaces(guest)["ctl"]
    assert [a["local"] for a in control["addr_info"]] == ["fe80::2"]
    assert guest.run("sh", "-c", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding "
                     "/proc/sys/net/ipv6/conf/ctl/forwarding").split() == ["1", "1", "0"]
    listening = guest.run("ss", "-Htuln").split("\n")[:-1]
    assert len(listening) == 1 and "[fe80::2]%ctl:7411" in listening[0]
    # and not from another interface, whatever address is asked for
    guest.host.run("ip", "address", "add", "fe80::1/64", "dev", "h0", "nodad")
    guest.host.run("ip", "address", "add", "10.1.0.0/31", "dev", "h0")
    assert "1 received" in guest.host.run("ping", "-c", "1", "-W", "5", "10.1.0.1")
    with pytest.raises(OSError):
        Connection(guest.host.pid, interface="h0", timeout=2)


def test_exec(guest):
    guest.start()
    assert guest.execute("sh", "-c", "echo out; echo error >&2; exit 3") == (3, "", "out\n", "error\n")
    assert guest.execute("sh", "-c", "kill -9 $$")[0] == 137
    code, text, _, _ = guest.execute("no-such-program")
    assert code == 127 and "no-such-program" in text
    assert guest.execute("cat", stdin=b"0123456789" * 50000)[2] == "0123456789" * 50000
    assert len(guest.execute("head", "-c", "3000000", "/dev/zero")[2]) == 3000000
    # what a command leaves in the background neither lives on nor holds up its end
    code, _, out, _ = guest.execute("sh", "-c", "sleep 1000 & echo $!")
    assert code == 0
    eventually(lambda: not is_alive(guest, out.strip()))


def is_alive(guest, pid):
    done = subprocess.run(guest.command("sh", "-c", f"read -r _ _ state _ < /proc/{pid}/stat && echo $state"), capture_output=True, text=True)
    return done.stdout.strip() not in ("", "Z")


def test_a_command_ends_with_its_connection(guest):
    guest.start()
    c = guest.connect()
    c.frame("e", b"sh\0-c\0echo $$; exec sleep 1000\0")
    kind, data = c.next()
    assert kind == "o"
    pid = data.decode().strip()
    assert is_alive(guest, pid)
    c.close()
    eventually(lambda: not is_alive(guest, pid))


def test_a_command_that_does_not_read_ends_too(guest):
    guest.start()
    c = guest.connect()
    c.frame("e", b"sh\0-c\0echo $$; exec sleep 1000\0")
    pid = c.next()[1].decode().strip()
    c.socket.settimeout(2)
    with pytest.raises(TimeoutError):
        while True:
            c.frame("i", bytes(60000))  # until nobody takes it any more
    assert guest.version()[0] == 0      # others are served meanwhile
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    eventually(lambda: not is_alive(guest, pid))


def test_a_slow_reader_gets_everything(guest):
    guest.start()
    c = guest.connect()
    c.frame("e", b"head\0-c\x004000000\0/dev/zero\0")
    assert guest.execute("true")[0] == 0
    code, _, out, _ = c.end()
    assert code == 0 and len(out) == 4000000


@contextlib.contextmanager
def changes_of(guest):
    """A list that has, behind the block, the lines of `ip monitor` about what went on in it."""
    lines = []
    watch = subprocess.Popen(guest.command("ip", "-o", "monitor", "link", "address", "route"), stdout=subprocess.PIPE, text=True)
    try:
        # it listens from some moment on: marks are made until one is seen
        for i in itertools.count():
            guest.run("ip", "link", "add", f"a{i}", "type", "bridge")
            if select.select([watch.stdout], [], [], 0.2)[0]:
                break
        yield lines
        guest.run("ip", "link", "add", "last", "type", "bridge")
        for line in watch.stdout:
            if "last" in line:
                break
            lines.append(line)
    finally:
        watch.kill()
        watch.wait()


def test_apply_is_declarative(guest):
    for name, mac in (("h0", A), ("h1", B)):
        guest.wire(name, mac)
    guest.start("vne 1\nrouter r1\n"
                f"port {A} eth0 1400 10.1.0.0/31\nport {B} eth1 1500 fd00::2/127\nloopback 10.0.0.1/32\nloopback fd00:1::1/128\n"
                "route 10.0.0.2/32 via 10.1.0.1 dev eth0 src 10.0.0.1\nroute fd00:1::2/128 via fd00::3 dev eth1\n")
    eventually(lambda: len(routes(guest)) == 2)
    assert addresses(guest, "eth0") == {"10.1.0.0/31"} and addresses(guest, "eth1") == {"fd00::2/127"}
    assert addresses(guest, "lo") == {"10.0.0.1/32", "fd00:1::1/128"}
    assert interfaces(guest)["eth0"]["mtu"] == 1400
    assert routes(guest) == {("10.0.0.2", "10.1.0.1", "eth0", "10.0.0.1"), ("fd00:1::2", "fd00::3", "eth1", None)}

    with changes_of(guest) as changes:
        code, text = guest.apply("vne 1\nrouter r1\n"
                                 f"port {A} eth0 1400 10.1.0.0/31\nport {B} eth1 1500 fd00::4/127\nloopback 10.0.0.1/32\n"
                                 "route 10.0.0.2/32 via 10.1.0.1 dev eth0 src 10.0.0.1\nroute 10.0.0.3/32 via 10.1.0.1 dev eth0\n", size=7)
        assert (code, text) == (0, "")
    deleted = "".join(c for c in changes if "Deleted" in c)
    assert "eth0" not in deleted and "10.0.0.1" not in deleted, "what stays was touched"
    assert addresses(guest, "eth1") == {"fd00::4/127"} and addresses(guest, "lo") == {"10.0.0.1/32"}
    assert routes(guest) == {("10.0.0.2", "10.1.0.1", "eth0", "10.0.0.1"), ("10.0.0.3", "10.1.0.1", "eth0", None)}

    # a next hop that is another, a port that is gone
    code, text = guest.apply(f"vne 1\nrouter r1\nport {B} eth1 1500 10.1.0.2/31\nroute 10.0.0.2/32 via 10.1.0.3 dev eth1\n")
    assert (code, text) == (0, "")
    assert routes(guest) == {("10.0.0.2", "10.1.0.3", "eth1", None)}
    assert not addresses(guest, "eth0") and "UP" not in interfaces(guest)["eth0"]["flags"]


def test_names_may_change_places(guest):
    guest.wire("h0", A, "eth1")
    guest.wire("h1", B, "eth2")
    guest.wire("h2", C, "eth0")
    guest.start("vne 1\nrouter r1\n" + "".join(f"port {m} eth{i} 1500 10.1.{i}.0/31\n" for i, m in enumerate((A, B, C))))
    eventually(lambda: addresses(guest, "eth2") == {"10.1.2.0/31"})
    for i, mac in enumerate((A, B, C)):
        assert interfaces(guest)[f"eth{i}"]["address"] == mac
        assert addresses(guest, f"eth{i}") == {f"10.1.{i}.0/31"}


def test_interfaces_that_come_later(guest):
    guest.wire("h0", A)
    guest.start(f"vne 1\nrouter r1\nport {A} eth0 1500 10.1.0.0/31\nport {B} eth1 1500 10.1.1.0/31\n"
                "route 10.0.0.3/32 via 10.1.1.1 dev eth1\nroute 10.0.0.2/32 via 10.1.0.1 dev eth0\n")
    eventually(lambda: len(routes(guest)) == 1)
    guest.wire("h1", B)
    eventually(lambda: addresses(guest, "eth1") == {"10.1.1.0/31"} and len(routes(guest)) == 2)
    # one that is exchanged for another with the same address
    guest.host.run("ip", "link", "delete", "h1")
    eventually(lambda: len(routes(guest)) == 1)
    guest.wire("h1", B)
    eventually(lambda: addresses(guest, "eth1") == {"10.1.1.0/31"} and len(routes(guest)) == 2)
    # the control interface, too
    guest.host.run("ip", "link", "delete", "ctl0")
    guest.wire("ctl0", "0a:56:4e:45:00:00")
    guest.host.run("ip", "address", "add", "fe80::1/64", "dev", "ctl0", "nodad")
    assert guest.await_up()[0] == 0


@pytest.mark.parametrize("text, words", [
    ("vne 2\n", "line 1: expected 'vne 1'"),
    ("vne 1\nport 02:00:00:00:00:0a eth0 1500 10.1.0.9/31", "line 2 has no end"),
    (f"vne 1\nport {A} ../x 1500\n", "line 2: '../x' is no name"),
    (f"vne 1\nport {A} eth0 1500\nroute 10.9.0.0/24 via 10.1.0.1 dev eth7\n", "goes by eth7, which is no port"),
    ("vne 1\nport 0a:56:4e:45:00:00 eth0 1500\n", "is no MAC address for a port"),
])
def test_a_setup_is_refused_whole(guest, text, words):
    guest.wire("h0", A)
    good = f"vne 1\nrouter r1\nport {A} eth0 1500 10.1.0.0/31\n"
    guest.start(good)
    code, reason = guest.apply(text)
    assert code == 22 and words in reason
    assert addresses(guest, "eth0") == {"10.1.0.0/31"}


def test_what_the_kernel_refuses_leaves_what_was(guest):
    guest.wire("h0", A)
    guest.start(f"vne 1\nrouter r1\nport {A} eth0 1500 10.1.0.0/31\nroute 10.0.0.2/32 via 10.1.0.1 dev eth0\n")
    eventually(lambda: len(routes(guest)) == 1)
    code, reason = guest.apply(f"vne 1\nrouter r1\nport {A} eth0 1500 10.2.0.0/31\nroute 10.0.0.9/32 via 192.0.2.1 dev eth0\n")
    assert code != 0 and "route to 10.0.0.9" in reason
    assert addresses(guest, "eth0") == {"10.1.0.0/31"}
    assert routes(guest) == {("10.0.0.2", "10.1.0.1", "eth0", None)}


def bird_pid(guest):
    # by its socket, which only one process of this namespace's /run listens on
    found = re.search(r"pid=(\d+)", guest.run("ss", "-Hxlp", "src", "/run/bird.ctl", check=False))
    return int(found[1]) if found else None


def ask_bird(guest, question):
    c, code, text = guest.dial("/run/bird.ctl")
    assert code == 0, text
    answer = b""
    while not re.search(rb"^0001 .*\n", answer):
        answer += c.socket.recv(4096)
    c.socket.sendall(question.encode() + b"\n")
    while not re.search(rb"^0013 ", answer, re.M):
        more = c.socket.recv(4096)
        assert more, answer
        answer += more
    c.close()
    return answer.decode()


def test_bird(guest):
    guest.wire("h0", A)
    guest.start("vne 1\nrouter r1\nbird\n" + BIRD.format("10.0.0.1"))
    eventually(lambda: bird_pid(guest))
    assert "Router ID is 10.0.0.1" in ask_bird(guest, "show status")
    first = bird_pid(guest)

    assert guest.apply("vne 1\nrouter r1\nbird\n" + BIRD.format("10.0.0.7")) == (0, "")
    eventually(lambda: "Router ID is 10.0.0.7" in ask_bird(guest, "show status"))
    assert bird_pid(guest) == first, "it was restarted for another configuration"

    code, reason = guest.apply("vne 1\nrouter r1\nloopback 10.0.0.1/32\nbird\nrouter id nonsense;\n")
    assert code == 22 and "bird.conf" in reason
    assert not addresses(guest, "lo"), "a setup was applied by halves"
    assert "nonsense" not in guest.run("cat", "/run/bird.conf")
    assert guest.apply("vne 1\nrouter r1\nbird\n" + BIRD.format("10.0.0.8")) == (0, "")

    # what BIRD takes and the kernel does not: it goes back, too
    code, reason = guest.apply("vne 1\nrouter r1\nport 02:00:00:00:00:0a eth0 1500 10.1.0.0/31\nroute 10.0.0.9/32 via 192.0.2.1 dev eth0\n"
                               "bird\n" + BIRD.format("10.0.0.9"))
    assert code != 0 and "route to 10.0.0.9" in reason
    eventually(lambda: "Router ID is 10.0.0.8" in ask_bird(guest, "show status"))

    guest.run("kill", "-9", str(first))
    eventually(lambda: bird_pid(guest) not in (None, first))
    eventually(lambda: "Router ID is 10.0.0.8" in ask_bird(guest, "show status"))

    assert guest.apply("vne 1\nrouter r1\n") == (0, "")
    eventually(lambda: bird_pid(guest) is None)
    # and again, at once
    assert guest.apply("vne 1\nrouter r1\nbird\n" + BIRD.format("10.0.0.1")) == (0, "")
    eventually(lambda: bird_pid(guest))
    assert guest.apply("vne 1\nrouter r1\n") == (0, "")
    assert guest.apply("vne 1\nrouter r1\nbird\n" + BIRD.format("10.0.0.2")) == (0, "")
    eventually(lambda: bird_pid(guest) and "Router ID is 10.0.0.2" in ask_bird(guest, "show status"))


def test_dial(guest):
    guest.start()
    c, code, text = guest.dial("/run/nothing.here")
    assert code == 2 and "/run/nothing.here" in text
    for path in ("relative", "/" + "x" * 200, "/a\0b", ""):
        assert guest.dial(path)[1] == 22


ECHO = """
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("/run/echo.sock")
s.listen()
print("up", flush=True)
while True:
    c, _ = s.accept()
    while data := c.recv(65536):
        c.sendall(data)
    c.sendall(b"the end")
    c.close()
"""


def test_a_dialled_stream_carries_both_ways_and_both_ends(guest):
    guest.start()
    echo = subprocess.Popen(guest.command("/usr/bin/python3", "-c", ECHO), stdout=subprocess.PIPE, text=True)
    try:
        assert echo.stdout.readline() == "up\n"
        for size in (0, 1, 3000000):
            c, code, _ = guest.dial("/run/echo.sock")
            assert code == 0
            sent = bytes(i % 251 for i in range(1000)) * (size // 1000) or b"x" * size

            def send():
                c.socket.sendall(sent)
                c.socket.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            parts = []
            while part := c.socket.recv(65536):
                parts.append(part)
            sender.join()
            c.close()
            assert b"".join(parts) == sent + b"the end"
        # whoever hangs up in the middle keeps nobody waiting
        c, code, _ = guest.dial("/run/echo.sock")
        c.close()
        c, code, _ = guest.dial("/run/echo.sock")
        c.socket.shutdown(socket.SHUT_WR)
        assert c.read(7) == b"the end" and c.socket.recv(1) == b""
    finally:
        echo.kill()
        echo.wait()


def test_what_does_not_belong_is_refused(guest):
    guest.start()
    for frames in ([b"i\0\0\0"], [b"q\0\0\0"], [b"e\xff\xff\xff"], [b"a\0\0\x01v", b"e\0\0\x05true\0"]):
        c = guest.connect()
        for f in frames:
            c.socket.sendall(f)
        assert c.end()[0] == 71  # EPROTO
    for words in (b"", b"true", b"\0", b"a\0" * 1025):
        c = guest.connect()
        c.frame("e", words)
        assert c.end()[0] == 126
    assert guest.version()[0] == 0


def test_connections_are_bounded(guest):
    guest.start()
    held = [guest.connect() for _ in range(32)]
    eventually(lambda: refused(guest))
    for c in held:
        c.close()
    eventually(lambda: not refused(guest))


def refused(guest):
    try:
        return guest.version()[0] != 0
    except (EOFError, ConnectionError):
        return True


class Routes:
    """What `vnguest --netlink` tells: the netlink messages of the router's kernel."""
    DONE, OVERRUN, NEW, GONE, ASK = 3, 4, 24, 25, 26

    def __init__(self, guest):
        self.connection = guest.connect()
        self.connection.frame("e", f"{BUILD / 'vnguest'}\0--netlink\0".encode())
        self.data = b""

    def ask(self, family):
        """For all routes of a family: RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, struct rtmsg."""
        self.connection.frame("i", struct.pack("=IHHII", 28, self.ASK, 0x301, 7, 0) + bytes([family]) + bytes(11))

    def next(self):
        """Type, and of a route its prefix."""
        while len(self.data) < 16 or len(self.data) < self.length():
            kind, data = self.connection.next()
            assert kind == "o" and data, (kind, data)
            self.data += data
        length, kind = self.length(), struct.unpack_from("=H", self.data, 4)[0]
        message, self.data = self.data[:length], self.data[length:]
        if kind not in (self.NEW, self.GONE):
            return kind, None
        at, prefix = 28, "0.0.0.0"
        while at + 4 <= len(message):
            size, name = struct.unpack_from("=HH", message, at)
            if name == 1:
                family = message[16]
                prefix = socket.inet_ntop(family, message[at + 4:at + size])
            at += (size + 3) & ~3
        return kind, f"{prefix}/{message[17]}"

    def length(self):
        return (struct.unpack_from("=I", self.data)[0] + 3) & ~3

    def until(self, wanted, seconds=20):
        seen = []
        self.connection.socket.settimeout(seconds)
        while not seen or seen[-1] != wanted:
            seen.append(self.next())
        return seen


def test_netlink_is_handed_through(guest):
    guest.wire("h0", A)
    guest.start(f"vne 1\nrouter r1\nport {A} eth0 1500 10.1.0.1/31\n")
    routes = Routes(guest)
    routes.ask(socket.AF_INET)
    all_of_them = routes.until((Routes.DONE, None))
    assert (Routes.NEW, "10.1.0.0/31") in all_of_them and (Routes.NEW, "10.1.0.1/32") in all_of_them
    for family, prefix, via in (("-4", "10.9.0.0/16", "10.1.0.0"), ("-6", "fd09::/64", "fe80::7")):
        guest.run("ip", family, "route", "add", prefix, "via", via, "dev", "eth0")
        assert routes.until((Routes.NEW, prefix))
        guest.run("ip", family, "route", "del", prefix)
        assert routes.until((Routes.GONE, prefix))
    # more at once than fits anywhere on the way: all are told, or all is told anew
    guest.run("sh", "-c", "for a in $(seq 0 77); do for b in $(seq 0 255); do echo route add 10.$((100+a)).$b.0/24 via 10.1.0.0; done; done | "
              "ip -batch -")
    known = set()
    while len(known) < 78 * 256:
        kind, prefix = routes.next()
        if kind == Routes.OVERRUN:
            routes.ask(socket.AF_INET)
        elif kind == Routes.NEW and prefix.endswith("/24"):
            known.add(prefix)
    routes.connection.frame("i", struct.pack("=IHHII", 4, 0, 0, 0, 0))  # no message is so short
    eventually(lambda: "--netlink" not in guest.run("ps", "--ppid", guest.process.pid, "-o", "args", check=False))


def test_it_is_no_init_of_this_machine(tmp_path):
    from lab import BUILD
    done = subprocess.run([BUILD / "vnguest"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "--no-init" in done.stderr
