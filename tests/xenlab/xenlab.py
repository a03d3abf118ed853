# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Xen on a machine that has none: nodes that are QEMU, software emulation, with Debian's Xen, kernel and tools.

All packages are downloaded and unpacked in the cache (the one of vnimage), never installed. A node is two files: a base
archive (Debian's part, kept in the cache) and, appended, what differs: the build's programs, the guest image, the node's name.
Nothing is written by a shell in between: the archive is newc, made here, so it takes a second or two.

A `World` is a network namespace with a bridge; each node has a tap on it, its dom0 an address. A small server there runs what
it is sent (bash): a connection a command. Whoever made world and nodes may die in any way: they end with it."""
import ctypes
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
XEN = "4.17"  # what libxen-dev of Debian 12 goes with
PORT = 9000
NET = "10.77.0"
HVM_CPU = "qemu64,+svm,+npt,+nrip-save,+flushbyasid,+decodeassists"  # QEMU emulates virtualization, too
HOST_ADDRESS = f"{NET}.254"
BOOT_SECONDS = 150
MODULES = """xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs xen-netback virtio_net virtio_pci veth vxlan dummy ifb tun bridge macvlan
    sch_tbf sch_htb sch_ingress cls_bpf cls_u32 cls_matchall act_mirred act_gact sch_fq_codel sch_prio nf_tables crc32c_generic""".split()
HOST_PROGRAMS = "bash env ip tc bridge nft ping tcpdump bird birdc nsenter unshare setpriv strace".split()
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """What is needed cannot be had here; not a fault of what is tested."""


class NodeError(Exception):
    """A node did not do as told."""


# ---- packages ------------------------------------------------------------------------------------------------------

def cache():
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vne"
    path.mkdir(parents=True, exist_ok=True)
    return path


def fetch(packages, say=lambda text: None):
    """The directories that today's versions of packages are unpacked in, in their order."""
    def uris():
        done = subprocess.run(["apt-get", "download", "--print-uris", *packages], capture_output=True, text=True)
        names = [line.split()[1].removesuffix(".deb") for line in done.stdout.splitlines() if line.startswith("'")]
        by_name = {name.split("_")[0]: cache() / name for name in names}
        return [by_name[p] for p in packages] if all(p in by_name for p in packages) else None
    try:
        folders = uris()
        if not folders:
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
            folders = uris()
    except FileNotFoundError as why:
        raise Unavailable("no apt-get: Debian packages cannot be had") from why
    if not folders:
        raise Unavailable(f"of these packages some cannot be had (apt-get download): {' '.join(packages)}")
    for package, unpacked in zip(packages, folders):
        if not unpacked.is_dir():
            say(f"downloading {package} from Debian, to {cache()}")
            unpack(package, unpacked)
    return folders


def unpack(package, unpacked):
    work = cache() / f".{package}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        done = subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package], cwd=work,
                              capture_output=True, text=True)
        debs = list(work.glob("*.deb"))
        if done.returncode or not debs:
            raise Unavailable(f"the package {package} cannot be downloaded: {done.stderr.strip()[-200:]}")
        subprocess.run(["dpkg", "-x", debs[0], work / "root"], check=True)
        try:
            (work / "root").rename(unpacked)
        except OSError:  # somebody else was faster
            if not unpacked.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def kernel_package():
    out = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True).stdout
    found = re.search(r"Depends: (linux-image-[0-9]\S*-amd64)", out)
    if not found:
        raise Unavailable("the package linux-image-amd64 cannot be had (apt-cache depends)")
    return found[1]


# ---- archives ------------------------------------------------------------------------------------------------------

class Tree:
    """Files of an archive by their path; /bin and such are what Debian has them be: links into /usr."""

    def __init__(self):
        self.files = {}

    @staticmethod
    def path(path):
        path = str(path).strip("/")
        return f"usr/{path}" if path.split("/")[0] in ("bin", "sbin", "lib", "lib64") and "/" in path else path

    def folder(self, path, mode=0o755):
        path = self.path(path)
        parent = path.rpartition("/")[0]
        if parent:
            self.folder(parent)
        self.files.setdefault(path, (stat.S_IFDIR | mode, b""))

    def put(self, path, data, mode=0o644):
        path = self.path(path)
        if "/" in path:
            self.folder(path.rpartition("/")[0])
        self.files[path] = (stat.S_IFREG | mode, data if isinstance(data, bytes) else data.encode())

    def link(self, path, target):
        path = str(path).strip("/") if "/" not in str(path).strip("/") else self.path(path)
        if "/" in path:
            self.folder(path.rpartition("/")[0])
        self.files[path] = (stat.S_IFLNK | 0o777, str(target).encode())

    def copy(self, path, source):
        source = Path(source)
        self.put(path, source.read_bytes(), source.stat().st_mode & 0o777)

    def program(self, path, source, stripped=False):
        """A program with the libraries of this machine that it is linked with."""
        if stripped:
            with tempfile.NamedTemporaryFile() as out:
                subprocess.run(["strip", "-o", out.name, source], check=True)
                self.put(path, Path(out.name).read_bytes(), 0o755)
        else:
            self.put(path, Path(source).read_bytes(), 0o755)
        listed = subprocess.run(["ldd", source], capture_output=True, text=True).stdout
        if "not found" in listed:
            missing = ", ".join(re.findall(r"(\S+) => not found", listed))
            raise Unavailable(f"{source} needs {missing}, which is not installed here")
        for library in re.findall(r"(/\S+) \(0x", listed):
            if self.path(library) not in self.files:
                self.put(library, Path(library).read_bytes(), 0o755)

    def newc(self):
        out = []
        entries = sorted(self.files.items()) + [("TRAILER!!!", (0, b""))]
        for number, (path, (mode, data)) in enumerate(entries, 1):
            name = path.encode() + b"\0"
            head = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
            out.append(b"070701" + b"".join(b"%08x" % field for field in head) + name)
            out.append(b"\0" * (-(110 + len(name)) % 4) + data + b"\0" * (-len(data) % 4))
        return b"".join(out)


INIT = r"""#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts pts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
for module in $(cat /etc/modules); do modprobe $module; done
. /etc/node
hostname $NAME
mount -t xenfs xen /proc/xen; mkdir -p /run/xen /run/xenstored /run/lock /run/vne
xenstored && xen-init-dom0 && xenconsoled --log=guest
ip link set lo up; ip link set eth0 mtu $MTU up; ip address add $ADDRESS/24 dev eth0
nc -ll -p 9000 -e /usr/sbin/serve &
echo XENLAB-READY
while :; do sleep 1000; done
"""

# A connection: the script's length in a line, the script, then its input. Back: its output, its error output, and a last part of
# fixed length: exit code and length of the error output. (nc ignores the end of its children, and what it starts inherits that.)
SERVE = r"""#!/usr/bin/bash
export PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C
IFS= read -r n; IFS= read -r -N "$n" script
exec 4>/run/error.$$
env --default-signal=CHLD bash -c "$script" 2>&4
code=$?
bytes=$(busybox stat -c %s /run/error.$$)
busybox cat /run/error.$$; busybox rm -f /run/error.$$
printf '%10d %10d\n' $code $bytes
"""


def module_files(kernel, tree):
    """Modules with what they need, and the tables that busybox' modprobe reads, as depmod would write them."""
    root = next((kernel / "lib/modules").iterdir())
    by_name = {path.stem.replace("-", "_"): path for path in root.rglob("*.ko")}
    wanted, todo, aliases = {}, [m.replace("-", "_") for m in MODULES], []
    while todo:
        name = todo.pop()
        if name in wanted or name not in by_name:  # or it is part of the kernel
            continue
        data = by_name[name].read_bytes()
        info = dict.fromkeys(re.findall(rb"\0?(depends|alias)=([^\0]*)\0", data))
        needs = [n.replace("-", "_") for key, value in info if key == b"depends" for n in value.decode().split(",") if n]
        aliases += [f"alias {value.decode()} {name}\n" for key, value in info if key == b"alias"]
        wanted[name] = needs
        todo += needs
        tree.put(f"lib/modules/{root.name}/{by_name[name].relative_to(root)}", data)

    def place(name):
        return str(by_name[name].relative_to(root))

    def all_needs(name):  # modprobe loads the last first
        found = []
        for need in wanted[name]:
            if need in wanted:
                found += [n for n in [*reversed(all_needs(need)), need] if n not in found]
        return found[::-1]
    tree.put(f"lib/modules/{root.name}/modules.dep",
             "".join(f"{place(n)}: {' '.join(map(place, all_needs(n)))}\n" for n in sorted(wanted)))
    tree.put(f"lib/modules/{root.name}/modules.alias", "".join(aliases))
    for table in ("modules.builtin", "modules.order"):
        if (root / table).exists():
            tree.copy(f"lib/modules/{root.name}/{table}", root / table)
    tree.put("etc/modules", "\n".join(m for m in MODULES if m.startswith(("xen", "virtio"))) + "\n")


def find(folders, name):
    for folder in folders:
        for place, _, files in os.walk(folder):  # passes over what may not be read
            path = Path(place) / name
            if name in files and not path.is_symlink() and os.access(path, os.X_OK):
                return path
    raise Unavailable(f"{name} is in none of {', '.join(f.name for f in folders)}")


def base(say=lambda text: None):
    """(hypervisor, kernel, archive): Debian's part, made once for each set of versions."""
    names = [f"xen-hypervisor-{XEN}-amd64", f"xen-utils-{XEN}", "xen-utils-common", "xenstore-utils", kernel_package(),
             "busybox-static"]
    packages = fetch(names, say)
    hypervisor, utils, common, store, kernel, busybox = packages
    key = hashlib.sha256()
    for part in (*packages, Path(__file__).read_text()):
        key.update(str(part).encode())
    out = cache() / f"xenlab-{key.hexdigest()[:16]}"
    if not out.is_dir():
        say("building dom0's archive")
        for old in cache().glob("xenlab-*"):
            shutil.rmtree(old, ignore_errors=True)
        tree = Tree()
        for folder in "proc sys dev run tmp root mnt etc/xen var/log/xen/console var/lib/xen var/lib/xenstored var/lib/vne usr/bin " \
                      "usr/sbin usr/lib usr/lib64 var/log".split():
            tree.folder(folder)
        for name in ("bin", "sbin", "lib", "lib64"):
            tree.link(name, f"usr/{name}")
        tree.link("var/run", "/run")
        tree.copy("usr/bin/busybox", find([busybox], "busybox"))
        applets = subprocess.run([find([busybox], "busybox"), "--list"], capture_output=True, text=True).stdout.split()
        for applet in set(applets) - {"busybox"}:
            folder = "sbin" if applet in ("modprobe", "poweroff", "reboot") else "bin"  # where the kernel looks for them
            tree.link(f"usr/{folder}/{applet}", "/usr/bin/busybox")
        for name in HOST_PROGRAMS:
            path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
            tree.files.pop(f"usr/bin/{name}", None)
            if path:
                tree.program(f"usr/bin/{name}", os.path.realpath(path))
        for name in ("xl", "xenstored", "xenconsoled", "xen-init-dom0", "xenpm"):
            try:
                tree.program(f"usr/sbin/{name}", find([utils / f"usr/lib/xen-{XEN}/bin", utils, common], name))
            except Unavailable:
                if name != "xenpm":
                    raise
        tree.program(f"usr/lib/xen-{XEN}/bin/libxl-save-helper", find([utils], "libxl-save-helper"))
        tree.program("usr/bin/xenstore", find([store], "xenstore"))
        for name in "read write ls list rm exists".split():
            tree.link(f"usr/bin/xenstore-{name}", "xenstore")
        tree.copy("lib/x86_64-linux-gnu/libgcc_s.so.1", os.path.realpath("/lib/x86_64-linux-gnu/libgcc_s.so.1"))
        module_files(kernel, tree)
        tree.put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbird:x:101:101::/run:/bin/false\n")
        tree.put("etc/group", "root:x:0:\nbird:x:101:\n")
        tree.put("etc/xen/xl.conf", "")
        tree.put("etc/hosts", "127.0.0.1 localhost\n")
        tree.put("init", INIT, 0o755)
        tree.put("usr/sbin/serve", SERVE, 0o755)
        new = cache() / f".{out.name}.{os.getpid()}"
        new.mkdir()
        (new / "dom0.cpio").write_bytes(tree.newc())
        packed = next((hypervisor / "boot").glob(f"xen-{XEN}*.gz"))
        with open(new / "xen", "wb") as file:
            subprocess.run(["gzip", "-dc", packed], stdout=file, check=True)
        shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), new / "vmlinuz")
        try:
            new.rename(out)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
    return out / "xen", out / "vmlinuz", out / "dom0.cpio"


def guest_image(build):
    """The guest image that the build's vnimage makes; anew where its vnguest is newer."""
    image = build / "xenlab-image"
    parts = [build / name for name in ("vnguest", "vnimage", "vnguest-libssh.so")]
    if not (image / "about").exists() or any(p.stat().st_mtime > (image / "about").stat().st_mtime for p in parts if p.exists()):
        shutil.rmtree(image, ignore_errors=True)
        done = subprocess.run([build / "vnimage", "build", image], capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(image, ignore_errors=True)
            raise (Unavailable if done.returncode == 70 else NodeError)(f"vnimage: {done.stderr.strip()[-300:]}")
        os.utime(image / "about")
    return image


# ---- network -------------------------------------------------------------------------------------------------------

def ending_with_us(command, detach=False):
    """What is started is killed when the thread that starts it ends; `detach`: it stays, for an hour at most."""
    return ["setsid", "timeout", "3600", *command] if detach else ["setpriv", "--pdeathsig", "KILL", *command]


class World:
    """A network namespace with a bridge br0, held by a process."""

    def __init__(self, pid=None, detach=False):
        self.holder = None
        if pid:
            self.pid = pid
            return
        self.holder = subprocess.Popen(["unshare", "-n", *ending_with_us(["sleep", "infinity"])] if not detach else
                                       ["setsid", "unshare", "-n", "sleep", "3600"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.holder.pid
        ours = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + 10
        while os.readlink(f"/proc/{self.pid}/ns/net") == ours:
            if time.monotonic() > deadline or self.holder.poll() is not None:
                raise NodeError("no network namespace could be made")
            time.sleep(0.01)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.run("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", "br0")
        self.run("ip", "link", "set", "br0", "up")

    def command(self, *words):
        return ["nsenter", "-t", str(self.pid), "-n", *map(str, words)]

    def run(self, *words, check=True, timeout=60, **more):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, **more)
        if check and done.returncode:
            raise NodeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
        return done

    def connect(self, address, port, timeout):
        """A socket of that namespace; only the socket, we stay where we are."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self.pid}/ns/net") as theirs:
            if libc.setns(theirs.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                one = socket.socket()
            finally:
                if libc.setns(ours.fileno(), CLONE_NEWNET):
                    os._exit(70)
        one.settimeout(timeout)
        one.connect((address, port))
        return one

    def end(self):
        if self.holder:
            self.holder.kill()
            self.holder.wait()
        else:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


# ---- nodes ---------------------------------------------------------------------------------------------------------

class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}{self.err}"


class Node:
    """One QEMU with Xen; number 1 … 99."""

    def __init__(self, world, folder, number=1, name=None):
        self.world, self.dir, self.number = world, Path(folder), number
        self.name = name or f"xen{number}"
        self.address = f"{NET}.{number}"
        self.qemu = None

    def boot(self, build=None, files=(), hypervisor=None, hypervisor_args="", memory_mib=1024, mtu=1600, detach=False, cpus=1, hvm=False, counting=False):
        """Starts it; `files`: (path in dom0, path here). `await_up` says when it is there."""
        if not shutil.which("qemu-system-x86_64"):
            raise Unavailable("qemu-system-x86_64 is not installed (package qemu-system-x86)")
        xen, kernel, archive = base()
        self.dir.mkdir(parents=True, exist_ok=True)
        tree = Tree()
        tree.put("etc/node", f"NAME={self.name}\nADDRESS={self.address}\nMTU={mtu}\n")
        if build:
            self.add_build(tree, Path(build))
        for path, source in files:
            tree.copy(path, source)
        with open(self.dir / "dom0.cpio", "wb") as out:
            out.write(archive.read_bytes())
            out.write(tree.newc())
        if hypervisor:  # gzip'ed
            xen = self.dir / "xen"
            with open(xen, "wb") as out:
                subprocess.run(["gzip", "-dc", hypervisor], stdout=out, check=True)
        tap = f"tap{self.number}"
        self.world.run("ip", "link", "delete", tap, check=False)
        self.world.run("ip", "tuntap", "add", tap, "mode", "tap")
        self.world.run("ip", "link", "set", tap, "mtu", str(mtu), "master", "br0", "up")
        log = self.dir / "console.log"
        log.unlink(missing_ok=True)
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=single" if counting else "tcg,thread=multi", "-cpu", HVM_CPU if hvm else "qemu64", "-smp", str(cpus), "-m", str(memory_mib), "-no-reboot",
                   "-nodefaults", "-display", "none", "-monitor", "none", "-kernel", xen, "-append",
                   f"console=com1 com1=115200,8n1 dom0_mem=448M,max:448M dom0_max_vcpus=1 {hypervisor_args}",
                   "-initrd", f"{kernel} console=hvc0 quiet panic=1,{self.dir / 'dom0.cpio'}",
                   "-chardev", f"file,id=c,path={log}", "-serial", "chardev:c",
                   "-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no",
                   "-device", f"virtio-net-pci,netdev=n,mac=52:54:00:56:4e:{self.number:02x},host_mtu={mtu}"]
        if counting:  # its clock is the number of instructions: one takes a nanosecond, whatever the machine is doing
            command += ["-icount", "shift=0,sleep=off"]
        with open(self.dir / "qemu.log", "wb") as out:
            self.qemu = subprocess.Popen(self.world.command(*ending_with_us(command, detach)), stdin=subprocess.DEVNULL,
                                         stdout=out, stderr=out)
        for what, number in (("pid", self.qemu.pid), ("world", self.world.pid), ("number", self.number)):  # for `node`
            (self.dir / what).write_text(str(number))

    @staticmethod
    def add_build(tree, build):
        for name in ("vnagent", "vnagent-watch", "vnagent-xen", "tests/conformance/test_router"):
            if (build / name).exists():
                tree.program(f"usr/bin/{Path(name).name}", build / name, stripped=True)
        if (build / "vnagent-xen").exists():
            image = guest_image(build)
            for name in ("vmlinuz", "initrd", "about"):
                tree.copy(f"var/lib/vne/image/{name}", image / name)

    def console(self):
        try:
            return (self.dir / "console.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def await_up(self, seconds=BOOT_SECONDS):
        deadline = time.monotonic() + seconds
        while "XENLAB-READY" not in self.console():
            ended = self.qemu and self.qemu.poll() is not None
            if ended or time.monotonic() > deadline:
                why = (self.dir / "qemu.log").read_text() if ended else f"not within {seconds} s"
                raise NodeError(f"{self.name} has not come up: {why}\n{self.console()[-1500:]}")
            time.sleep(0.2)
        self.run("true", seconds=60)

    def run(self, script, code=0, stdin=b"", seconds=120):
        """A shell line in dom0; code None: any."""
        script = script.encode()
        last = time.monotonic() + seconds
        while True:
            try:
                one = self.world.connect(self.address, PORT, seconds)
                break
            except OSError as why:
                if time.monotonic() > last:
                    raise NodeError(f"{self.name} does not answer: {why}") from why
                time.sleep(0.2)
        with one:
            one.sendall(b"%d\n%s" % (len(script), script) + (stdin if isinstance(stdin, bytes) else stdin.encode()))
            one.shutdown(socket.SHUT_WR)
            parts = []
            try:
                while part := one.recv(1 << 16):
                    parts.append(part)
            except (TimeoutError, ConnectionError) as why:
                raise NodeError(f"{self.name}: {script.decode()}: {why} after {b''.join(parts)[-300:]!r}") from why
        data = b"".join(parts)
        end = re.search(rb"([ \d]{10}) ([ \d]{10})\n$", data)
        if not end:
            raise NodeError(f"{self.name}: {script.decode()}: cut off after {data[-300:]!r}")
        rest = len(data) - 22
        split = rest - int(end[2])
        done = Done(int(end[1]), data[:split].decode(errors="replace"), data[split:rest].decode(errors="replace"))
        if code is not None and done.code != code:
            raise NodeError(f"{self.name}: {script.decode()}: {done}")
        return done

    def put(self, path, data, mode=0o644):
        self.run(f"mkdir -p {os.path.dirname(path)} && cat > {path}.new && chmod {mode:o} {path}.new && mv {path}.new {path}", stdin=data)

    def end(self):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
            self.qemu = None
