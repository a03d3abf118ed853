# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tenant with root in its router tries: each wall from the inside. Another network's routers, on the same nodes, go on working all the
while, and the agents answer."""
import contextlib
import re
import time

import pytest

from lab import eventually

PAIR = """\
kind: network
name: {name}
defaults: {{node: {{cpu: 0.5, memory: 96MiB, router: netns}}, link: {{bandwidth: 10mbit}}}}
nodes:
  - {{name: r1, place: {{on: [a]}}{more}}}
  - {{name: r2, place: {{on: [b]}}}}
links:
  - {{endpoints: [r1, r2]}}
"""


class Walls:
    def __init__(self, lab):
        self.lab = lab

    def evil(self, script, code=0, router="r1"):
        return self.lab.in_router("evil", router, script, code=code)

    def python(self, program, code=0, router="r1"):
        return self.lab.vnctl("exec", "evil", router, "--", "/usr/bin/python3", "-c", program, code=code).out

    def start(self, program):
        """A second root process in the router, at work while the test looks around."""
        return self.lab.start("vnctl", "exec", "evil", "r1", "--", "/usr/bin/python3", "-c", program)

    def unharmed(self):
        """The other network carries packets, and both agents answer."""
        lab = self.lab
        lab.ping("good", "r1", lab.loopback("good", "r2"), count=2)
        lab.in_router("good", "r2", "true")
        assert lab.nodes_up() >= {"a", "b"}
        return True


@pytest.fixture(scope="module")
def walls(triangle, request):
    eventually(lambda: triangle.nodes_up() >= {"a", "b", "c"})
    triangle.submit(PAIR.format(name="good", more=""))
    triangle.submit(PAIR.format(name="evil", more=", plane: split" if request.param == "split" else ""))
    w = Walls(triangle)
    yield w
    for name in ("evil", "good"):
        triangle.vnctl("release", name)
    eventually(lambda: all(triangle.bare(n) for n in "ab"))


EITHER = pytest.mark.parametrize("walls", ["kernel", "split"], indirect=True)
ONCE = pytest.mark.parametrize("walls", ["kernel"], indirect=True)  # what does not depend on who forwards


# ---- seeing others ---------------------------------------------------------------------------------------------

@ONCE
def test_sees_no_other_process(walls):
    names = walls.evil("cat /proc/[0-9]*/comm").out.split()
    assert len(names) <= 4 and not [n for n in names if n.startswith(("vned", "vnagent", "vne-"))], names
    assert walls.evil("ls /proc/1/fd /proc/1/cwd; cat /proc/1/environ /proc/1/mem", code=None).out == ""
    # nothing to signal either: 1 is its own, and out of reach
    walls.evil("kill -9 1; kill -9 -1 || true; true", code=None)
    assert walls.unharmed()


@ONCE
def test_sees_no_other_device_socket_or_key(walls):
    assert set(walls.evil("ls /sys/class/net").out.split()) == {"lo", "eth0"}
    assert walls.evil("tail -n +2 /proc/net/unix; cat /proc/keys").out == ""
    assert walls.evil("tail -qn +2 /proc/net/tcp /proc/net/udp /proc/net/raw /proc/net/packet").out == ""
    assert walls.evil("ip netns; ipcs | grep -c 0x", code=None).out.split() == ["0"]
    assert not re.search(r"vp|vt[0-9a-f]|mgmt", walls.evil("ip -d link; tc qdisc; nft list ruleset; ip neigh").out)


@ONCE
def test_sees_no_file_of_the_host_that_is_not_everybodys(walls):
    lab = walls.lab.dir
    assert walls.evil(f"cat {lab}/vned.key {lab}/admin.key {lab}/state/* /etc/shadow", code=None).out == ""
    assert walls.evil("ls -A /run /tmp /var/tmp").out.split() == ["/run:", "/tmp:", "/var/tmp:"]


@ONCE
def test_mounts_uncover_nothing(walls):
    """In a mount namespace of its own, so that its own /proc and /tmp stay for the other tests."""
    done = walls.evil(rf"""unshare -m sh -c '
        for i in 1 2 3 4; do for m in /proc /sys /tmp /run /dev/shm /dev/net /dev /var/tmp; do umount -l $m; umount $m; done; done
        mount -o remount,rw /; mount -o remount,bind,rw,dev,suid /; touch /wall /etc/wall /usr/wall
        mkdir -p /tmp/b; mount --bind / /tmp/b; mount -o remount,bind,rw,dev /tmp/b; touch /tmp/b/wall
        for t in devtmpfs debugfs tracefs securityfs bpf configfs pstore ext4; do mount -t $t x /tmp && echo mounted $t; done
        cat /proc/[0-9]*/comm | grep -v -e sh -e cat -e ls; ls -d {walls.lab.dir} && echo saw the lab
        mkdir /tmp/n /tmp/n/o; pivot_root /tmp/n /tmp/n/o && touch /tmp/n/o/wall && echo pivoted
        true' 2>/dev/null""", code=None).out
    assert "mounted" not in done and "saw" not in done and "pivoted" not in done and "vn" not in done, done
    assert walls.lab.on_node("a", "sh", "-c", "ls /wall /etc/wall /usr/wall 2>/dev/null", code=None).out == ""


@ONCE
def test_opens_no_device_of_the_host(walls):
    found = walls.evil("find /dev -type b -o -type c | sort").out.split()
    harmless = {f"/dev/{d}" for d in ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "pts/ptmx", "ptmx")}
    assert set(found) <= harmless, found
    assert walls.evil("for d in 'b 8 0' 'b 254 0' 'c 1 1' 'c 1 11' 'c 10 237'; do mknod /tmp/d $d 2>/dev/null && cat /tmp/d; done; true").out == ""
    assert walls.evil("cat /proc/kmsg /proc/kcore /sys/kernel/debug/* 2>/dev/null | head -c 9", code=None).out == ""


SETTINGS = """kernel/core_pattern kernel/modprobe kernel/sysrq kernel/pid_max kernel/hostname kernel/shmmax vm/drop_caches vm/overcommit_memory fs/file-max
user/max_net_namespaces net/netfilter/nf_conntrack_max net/core/rmem_max net/ipv4/tcp_mem net/ipv4/ip_forward"""


@ONCE
def test_changes_no_setting_of_the_host(walls):
    """Some are its own to set: then the host's stay as they were."""
    read = "cd /proc/sys && grep -H . " + " ".join(SETTINGS.split()) + " 2>/dev/null; true"
    before = walls.lab.on_node("a", "sh", "-c", read).out
    assert before.count("\n") > 8
    done = walls.evil(f"for f in {' '.join(SETTINGS.split())}; do (echo 3 > /proc/sys/$f) 2>/dev/null; done; "
                      "(echo c > /proc/sysrq-trigger) 2>/dev/null && echo sysrq; umount /sys; "
                      "find /sys -xdev -type f -writable ! -path '*/net/*' 2>/dev/null | head -3; mount -t sysfs x /sys; "
                      "find /sys -xdev -type f -writable ! -path '*/net/*' 2>/dev/null | head -3; "
                      "for f in ip_forward; do echo 1 > /proc/sys/net/ipv4/$f; done; hostname r1; echo 1000 > /proc/sys/user/max_net_namespaces; true").out
    assert done == "", done
    assert walls.lab.on_node("a", "sh", "-c", read).out == before


# ---- system calls ----------------------------------------------------------------------------------------------

REFUSED = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(4096)
calls = dict(init_module=175, finit_module=313, delete_module=176, kexec_load=246, kexec_file_load=320, reboot=169, bpf=321,
             perf_event_open=298, add_key=248, request_key=249, keyctl=250, io_uring_setup=425, userfaultfd=323, open_by_handle_at=304,
             syslog=103, settimeofday=164, clock_settime=227, swapon=167, acct=163, iopl=172, ioperm=173, quotactl=179, fanotify_init=300)
for name, number in calls.items():
    ctypes.set_errno(0)
    if libc.syscall(number, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM:
        print(name, errno.errorcode.get(ctypes.get_errno()))
for family in (socket.AF_VSOCK, socket.AF_ALG, socket.AF_CAN, 30, 44, 16 + 64):  # 30 TIPC, 44 XDP
    try:
        socket.socket(family, socket.SOCK_STREAM if family != 38 else socket.SOCK_SEQPACKET, 0)
        print("family", family)
    except OSError as e:
        if e.errno != errno.EAFNOSUPPORT:
            print("family", family, e)
"""


@ONCE
def test_system_calls_for_the_machine_are_refused(walls):
    if walls.evil("uname -m").out.strip() != "x86_64":
        pytest.skip("the numbers are those of x86_64")
    assert walls.python(REFUSED) == ""


# ---- speaking where it should not -------------------------------------------------------------------------------

@EITHER
def test_reaches_neither_management_nor_host(walls):
    lab = walls.lab
    heard_of = ("sh", "-c", "grep -E '^(Udp6InDatagrams|Icmp6InEchos|Icmp6InNeighbor|Ip6InMcast)' /proc/net/snmp6; tail -n +2 /proc/net/arp | grep -v -e mgmt -e ' eth' -e '-'; true")
    before = lab.on_node("a", *heard_of).out
    macs = {lab.on_node(n, "sh", "-c", "cat /sys/class/net/*/address").out for n in "ab"}
    addresses = [w.split("/")[0] for n in "ab" for w in re.findall(r"inet6? (\S+)", lab.on_node(n, "ip", "address", "show", "scope", "global").out)]
    assert len(addresses) >= 4
    answered = walls.python(f"""
import socket, os
os.system("ip route replace default dev eth0; ip -6 route replace default dev eth0")
for address in {addresses + ["198.18.0.1"]!r}:
    for port in (7410, 7413, 4789, 22):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.settimeout(0.05)
        try:
            s.connect((address, port)); print(address, port)
        except ConnectionRefusedError: print(address, port, "refused")
        except OSError: pass
os.system("ip route del default dev eth0; ip -6 route del default dev eth0")
""")
    assert answered == "", answered
    # Whoever hears multicast and broadcast is a router of this network, and no other
    heard = walls.evil("ping -6 -n -c 2 -i 0.1 -W 1 ff02::1%eth0; ping -6 -n -c 2 -i 0.1 -W 1 ff02::2%eth0; ip -6 neigh; ip neigh", code=None).out
    answers = set(re.findall(r"from (fe80\S+?)%", heard))
    own = {walls.evil("ip -6 -o address show dev eth0 scope link", router=r).out.split()[3].split("/")[0] for r in ("r1", "r2")}
    assert answers <= own, (answers, own)
    for text in macs:
        assert not [m for m in text.split() if m in heard and m not in ("00:00:00:00:00:00",)
                    and m not in walls.evil("cat /sys/class/net/*/address", router="r2").out], heard
    after = lab.on_node("a", *heard_of).out
    assert after == before


SPOOF = """
import socket, struct, time
def checksum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b)); s = (s >> 16) + (s & 0xffff); return ~(s + (s >> 16)) & 0xffff
def tunnelled(source, target, vni, inner):
    vxlan = struct.pack("!II", 0x08000000, vni << 8) + inner
    udp = struct.pack("!HHHH", 40000, 4789, 8 + len(vxlan), 0) + vxlan
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target))
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + udp
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
own = open("/sys/class/net/eth0/address").read().strip()
inner = bytes.fromhex("ff" * 6 + own.replace(":", "") + "88b5") + b"spoofed" * 20
for source, target in PAIRS:
    for vni in VNIS:
        for mac in MACS:
            s.send(bytes.fromhex(mac.replace(":", "") + own.replace(":", "") + "0800") + tunnelled(source, target, vni, inner))
s.send(inner)
"""
LISTEN = "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)); s.settimeout(3)\nprint('ready', flush=True)\nwhile True:\n    f = s.recv(2000)\n    print('heard' if b'spoofed' in f else 'other', flush=True)"


@EITHER
def test_spoofs_no_tunnel_and_no_underlay_address(walls):
    lab = walls.lab
    vnis = sorted({int(d[2:], 16) for n in "ab" for d in lab.devices_on(n) if re.fullmatch("vt[0-9a-f]+", d)})
    underlay = {n: re.findall(r"inet (\S+?)/", lab.on_node(n, "ip", "-4", "address", "show", "scope", "global").out) for n in "abc"}
    macs = ["ff:ff:ff:ff:ff:ff"] + lab.on_node("a", "sh", "-c", "cat /sys/class/net/*/address").out.split()
    assert len(vnis) >= 2 and all(underlay.values())
    pairs = [(s, t) for s in underlay["c"] + underlay["b"] + underlay["a"] for t in underlay["a"] + underlay["b"]]
    with contextlib.ExitStack() as stack:
        ears = {name: lab.start("vnctl", "exec", name, "r2", "--", "/usr/bin/python3", "-c", LISTEN, stdout=-1, stderr=-3) for name in ("good", "evil")}
        for ear in ears.values():
            stack.callback(ear.wait, 30)
            stack.callback(ear.kill)
            assert ear.stdout.readline() == "ready\n"
        for address in underlay["b"]:
            walls.evil(f"ip address add {address}/32 dev eth0; arping -c 1 -U -I eth0 {address} 2>/dev/null || true", code=None)
        walls.python(SPOOF.replace("PAIRS", repr(pairs)).replace("VNIS", repr(vnis)).replace("MACS", repr(macs)))
        assert ears["evil"].stdout.readline() == "heard\n"  # the last one, on its own link: so all before it have been through
        assert "heard" not in ears["good"].communicate(timeout=30)[0]
        ears["evil"].kill()
    # A tunnel of its own making, with the other network's VNI: there is nothing under it
    for vni in vnis:
        walls.evil(f"ip link add vx{vni} type vxlan id {vni} remote {underlay['b'][0]} dstport 4789 dev eth0 && ip link set vx{vni} up; "
                   f"ip link del vx{vni}; true", code=None)
    for address in underlay["b"]:
        walls.evil(f"ip address del {address}/32 dev eth0", code=None)
    assert walls.unharmed()


@EITHER
def test_sends_no_more_than_promised(walls):
    """Whatever it does to its own end of the port."""
    lab = walls.lab

    def carried():
        return int(lab.on_node("a", "sh", "-c", "cat /sys/class/net/vt*/statistics/tx_bytes | sort -n | tail -1").out)
    walls.evil("tc qdisc del dev eth0 root; tc qdisc replace dev eth0 root pfifo limit 10000; ip link set eth0 mtu 9000 txqueuelen 10000; ip link set eth0 "
               "gso_max_size 65536; true", code=None)
    flood = """
import socket, time
target = ("TARGET", 9)
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
end = time.time() + 3
while time.time() < end:
    for x in s:
        for size in (1, 1400, 8000, 60000):
            try: x.sendto(bytes(size), target)
            except OSError: pass
""".replace("TARGET", lab.loopback("evil", "r2"))
    before, started = carried(), time.monotonic()
    walls.python(flood)
    sent, seconds = carried() - before, time.monotonic() - started
    assert 0 < sent * 8 / seconds < 10.5e6, (sent, seconds)
    walls.evil("ip link set eth0 mtu 1500; tc qdisc del dev eth0 root; true", code=None)
    assert walls.unharmed()


# ---- limits ----------------------------------------------------------------------------------------------------

@ONCE
def test_raises_no_limit_of_its_own(walls):
    done = walls.evil("""unshare -C -m sh -c '
        for c in cpu memory pids; do mount -t cgroup -o $c x /tmp 2>/dev/null && {
            for f in cpu.cfs_quota_us memory.limit_in_bytes pids.max; do test -e /tmp/$f && (echo -1 > /tmp/$f) 2>/dev/null && echo raised $f; done
            mkdir /tmp/more 2>/dev/null && echo made a group; (echo $$ > /tmp/../cgroup.procs) 2>/dev/null; umount /tmp; }; done
        mount -t cgroup2 x /tmp 2>/dev/null && {
            for f in cpu.max memory.max pids.max; do test -e /tmp/$f && (echo max > /tmp/$f) 2>/dev/null && echo raised $f; done; }
        true'; ulimit -Hn 100000 2>/dev/null && echo raised files; prlimit --nproc=100000:100000 true 2>/dev/null && echo raised processes
        nice -n -20 true 2>/dev/null; chrt -f 50 true 2>/dev/null && echo real time; true""").out
    assert done == "", done


FORKS = """
import os, time
for uid in range(1000, 1004):
    if os.fork() == 0:
        os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
        n = 0
        try:
            while True:
                if os.fork() == 0: time.sleep(2); os._exit(0)
                n += 1
        except OSError: os._exit(0)
time.sleep(2)
"""
UNTIL_REFUSED = """
import ctypes, os, resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
libc, n, held = ctypes.CDLL(None, use_errno=True), 0, []
def one(): {one}
try:
    while n < {most} and one() is not False: n += 1
except (OSError, MemoryError): pass
time.sleep(1)
print(n)
"""
ATTACKS = {
    "processes": FORKS,
    "memory": "x = []\nwhile True: x.append(bytearray(b'x') * (1 << 20))",
    "descriptors": UNTIL_REFUSED.format(one="held.append(os.pipe())", most=1000000),
    "sockets": UNTIL_REFUSED.format(one="held.append(socket.socketpair()); [held[-1][0].send(bytes(4096)) for _ in range(40)]", most=1000000),
    "inotify": UNTIL_REFUSED.format(one="return libc.inotify_init1(0) >= 0", most=100000),
    "network namespaces": UNTIL_REFUSED.format(one="return libc.unshare(0x40000000) == 0 and held.append(os.open('/proc/self/ns/net', 0)) is None", most=20000),
    "nested namespaces": "import os\nos.execvp('sh', ['sh', '-c', 'i=0; f() { unshare -U -r -n -m -p -f sh -c \"$1\"; }; "
                         "for i in $(seq 200); do (unshare -U -r -n -m -p -f sleep 1 &) ; done; sleep 1'])",
    "files in memory": "import os\nfor d in ('/tmp', '/run', '/dev/shm'):\n    try:\n        f = open(d + '/fill', 'wb')\n        while True: f.write(bytes(1 << 20)); f.flush()\n"
                       "    except OSError as e: print(d, e)\n    finally: os.unlink(d + '/fill')",
    "routes": "import os\nos.execvp('sh', ['sh', '-c', 'seq 0 1500000 | while read i; do echo route add 11.$((i >> 16 & 255)).$((i >> 8 & 255)).$((i & 255)) dev lo; "
              "done > /dev/null & python3 - <<X | timeout 4 ip -force -batch - 2>/dev/null\\nfor i in range(1500000): print(\"route add 11.%d.%d.%d dev lo\" % (i >> 16, i >> 8 & 255, i & 255))\\nX\\nip route flush dev lo'])",
    "devices": "import os\nos.execvp('sh', ['sh', '-c', '(for i in $(seq 3000); do echo link add v$i type veth; echo address add 11.0.$((i / 256)).$((i % 256)) dev lo; done) | "
               "timeout 4 ip -force -batch - 2>/dev/null; true'])",
    "connections tracked": """
import os, socket, time
os.system("nft add table inet t; nft add chain inet t c '{ type filter hook output priority 0; }'; nft add rule inet t c ct state new counter")
end, n = time.time() + 2, 0
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
while time.time() < end:
    n += 1
    try: s[n % 8].sendto(b'', ('127.0.0.2', 1 + n // 8 % 65000))
    except OSError: pass
os.system("nft delete table inet t")
""",
    "echoes and ARP": "import os\nos.execvp('sh', ['sh', '-c', 'ip address add 11.0.0.1/8 dev eth0; timeout 2 ping -f -b -s 1 11.255.255.255 >/dev/null 2>&1 & "
                      "timeout 2 ping -6 -f ff02::1%eth0 >/dev/null 2>&1; ip address del 11.0.0.1/8 dev eth0'])",
}


@ONCE
@pytest.mark.parametrize("attack", ATTACKS)
def test_exhausts_nobody_but_itself(walls, attack):
    process = walls.start(ATTACKS[attack])
    try:
        deadline, rounds = time.monotonic() + 6, 0
        while process.poll() is None and time.monotonic() < deadline:
            assert walls.unharmed()
            rounds += 1
        assert rounds or process.poll() is not None
    finally:
        process.kill()
        process.wait(20)
    assert walls.unharmed()
    eventually(lambda: walls.evil("echo back", code=None).out == "back\n")  # and the attacker's own router is there still, or again


NEIGHBOURS = """
import os, socket, sys, time
os.system("ip address add 11.0.0.1/8 dev eth0")
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(400)]
for x in s: x.setblocking(False)
end, n = time.time() + 30, 0
while time.time() < end:
    n += 1
    try: s[n % 400].sendto(b'', ('11.%d.%d.%d' % (n >> 16 & 255, n >> 8 & 255, n & 255), 9))
    except OSError: pass
    if n == 200000: print('full', flush=True)
"""


@ONCE
def test_a_full_table_of_neighbours_cuts_nobody_off(walls):
    """The kernel has one for all namespaces. What a node and routers need in it is exempt: it stays when all else is collected."""
    def kept():
        tables = [walls.lab.on_node("a", "ip", "neigh").out, walls.lab.in_router("good", "r1", "ip neigh").out]
        return all("extern_learn" in t for t in tables) and "198.18.0.1 dev mgmt" in tables[0]
    eventually(kept)
    process = walls.lab.start("vnctl", "exec", "evil", "r1", "--", "/usr/bin/python3", "-c", NEIGHBOURS, stdout=-1)
    try:
        assert process.stdout.readline() == "full\n"
        fresh = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'', ('198.18.0.1', 9))"
        until = time.monotonic() + 6  # what was not heard of for 5 s is what the kernel collects first
        while time.monotonic() < until:
            assert walls.unharmed() and kept()
            walls.lab.on_node("a", "/usr/bin/python3", "-c", fresh)
    finally:
        process.kill()
        process.wait(20)
    walls.evil("ip address del 11.0.0.1/8 dev eth0", code=None)
    assert walls.unharmed()


@ONCE
def test_fills_no_table_of_connections_of_the_host(walls):
    """A node that tracks connections, for a firewall of its own: flows in tunnels, each with an outer port of its own, are none of them."""
    lab = walls.lab
    lab.on_node("a", "nft", "add table inet own; add chain inet own c { type filter hook output priority 0; }; add rule inet own c ct state new counter")
    try:
        lab.on_node("a", "ping", "-c", "1", "-W", "2", "198.18.0.1")
        before = int(lab.on_node("a", "cat", "/proc/sys/net/netfilter/nf_conntrack_count").out)
        assert before > 0  # it does track
        walls.python(f"""
import socket
for port in range(30000, 32000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', port)); s.sendto(b'', ('{lab.loopback("evil", "r2")}', 9)); s.close()
""")
        assert int(lab.on_node("a", "cat", "/proc/sys/net/netfilter/nf_conntrack_count").out) < before + 100
    finally:
        lab.on_node("a", "nft", "delete", "table", "inet", "own")


@ONCE
def test_what_the_kernel_counts_by_user_is_not_shared(walls):
    """As many inotify instances as a user may have, in one router: another router's user, and the host's root, have theirs."""
    hold = "import ctypes, time\nlibc = ctypes.CDLL(None)\nn = 0\nwhile n < 100000 and libc.inotify_init1(0) >= 0: n += 1\nprint(n, flush=True)\ntime.sleep(30)"
    some = "import ctypes; print(ctypes.CDLL(None).inotify_init1(0) >= 0)"
    process = walls.lab.start("vnctl", "exec", "evil", "r1", "--", "/usr/bin/python3", "-c", hold, stdout=-1)
    try:
        assert 0 < int(process.stdout.readline()) < 100000
        assert walls.lab.vnctl("exec", "good", "r1", "--", "/usr/bin/python3", "-c", some).out == "True\n"
        assert walls.lab.on_node("a", "/usr/bin/python3", "-c", some).out == "True\n"
    finally:
        process.kill()
        process.wait(20)


# ---- and what it may ---------------------------------------------------------------------------------------------

@EITHER
def test_does_what_root_of_a_network_does(walls):
    walls.evil("""set -e
        ip link add d0 type bridge; ip link set d0 up; ip address add 172.16.0.1/24 dev d0; ip route add 172.17.0.0/16 via 172.16.0.2
        tc qdisc add dev d0 root tbf rate 1mbit burst 10k latency 10ms; nft add table inet mine; nft list ruleset | grep -q mine; nft delete table inet mine
        ip tuntap add t0 mode tap; ip link del t0; ip link del d0
        sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
        mkdir -p /run/netns; ip netns add inner; ip netns exec inner ip link set lo up; ip netns exec inner ping -c 1 127.0.0.1 >/dev/null; ip netns del inner
        ping -c 1 127.0.0.1 >/dev/null; echo x > /tmp/x; rm /tmp/x; python3 -c 'import socket; s = socket.socket(); s.bind(("", 80)); s.listen()'
        """.replace("python3", "/usr/bin/python3"))
    assert walls.unharmed()
