# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest image: built twice, the same; small; and it boots, in QEMU without Xen, in the memory that it says."""
import hashlib
import os
import re
import shutil
import subprocess

import pytest

from lab import BUILD, ROOT

PV_LEAST = 64  # MiB


def vnimage(*words, **env):
    return subprocess.run([BUILD / "vnimage", *map(str, words)], capture_output=True, text=True, timeout=600,
                          env={**os.environ, **env})


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get: images are built from Debian's packages")
    if "libasan" in subprocess.run(["ldd", BUILD / "vnguest"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("vnguest is instrumented: images are of plain builds")
    where = tmp_path_factory.mktemp("image") / "a"
    done = vnimage("build", where)
    if done.returncode == 70 and "cannot be downloaded" in done.stderr:
        pytest.skip(f"Debian's packages cannot be had: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\[1/8\] ", done.stderr) and "[8/8]" in done.stderr, "progress is one line per stage"
    return where


def sums(where):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(where.iterdir())}


def test_two_builds_are_the_same(image, tmp_path):
    assert vnimage("build", tmp_path / "b").returncode == 0
    assert sums(image) == sums(tmp_path / "b")
    assert set(sums(image)) == {"vmlinuz", "initrd", "about"}


def test_it_is_small_and_says_what_it_is(image):
    assert sum(p.stat().st_size for p in image.iterdir()) <= 16_000_000
    assert (image / "initrd").stat().st_size % 4 == 0
    assert (image / "initrd").read_bytes()[:6] == b"\xfd7zXZ\0"
    shown = vnimage("show", image).stdout
    for line in (rf"memory {PV_LEAST}MiB", r"cmdline .+", r"kernel \d.*cloud-amd64", r"package bird2_.*",
                 rf"size initrd {(image / 'initrd').stat().st_size}"):
        assert re.search(f"^{line}$", shown, re.M), line


def cpio(files):
    """A newc archive of text files, as the helper appends one."""
    out, number = b"", 1
    for name, text in [*files, ("TRAILER!!!", "")]:
        data, path = text.encode(), name.encode() + b"\0"
        fields = [number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0]
        out += b"070701" + b"".join(b"%08x" % f for f in fields) + path
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
        number += 1
    return out


def test_it_boots_in_its_memory(image, tmp_path):
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("no qemu-system-x86_64")
    subprocess.run(["sh", "-c", f"gzip -dc {image}/vmlinuz > {tmp_path}/vmlinux"], check=True)
    # a console that says what the shell was told to: the setup's BIRD is up, and how much memory is left
    setup = "vne 1\nrouter r-one\nloopback 10.9.0.1/32\nbird\nrouter id 10.9.0.1;\nprotocol device {}\n"
    profile = ("export PS1=\n. /etc/profile.test\n"
               "until birdcl -s /run/bird.ctl show status >/tmp/bird 2>&1; do usleep 100000; done\n")
    test = "echo host $(hostname); ip -4 address show lo | grep -o 10.9.0.1; grep MemAvailable /proc/meminfo\n"
    end = "grep Router /tmp/bird; ls /etc/vne; poweroff\n"
    (tmp_path / "initrd").write_bytes((image / "initrd").read_bytes() + cpio(
        [("etc/vne/setup", setup), ("etc/profile", profile + end), ("etc/profile.test", test)]))
    about = (image / "about").read_text()
    cmdline = re.search("^cmdline (.*)$", about, re.M)[1]
    done = subprocess.run(["timeout", "120", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-m", str(PV_LEAST), "-no-reboot",
                           "-nodefaults", "-display", "none", "-kernel", tmp_path / "vmlinux", "-initrd", tmp_path / "initrd",
                           "-append", f"console=ttyS0 {cmdline}", "-serial", "stdio"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, errors="replace")
    out = done.stdout
    assert done.returncode == 0, out[-3000:]
    assert "router r-one is set up" in out and "host r-one" in out and "10.9.0.1" in out, out[-3000:]
    assert "Router ID is 10.9.0.1" in out, out[-3000:]
    assert int(re.search(r"MemAvailable: +(\d+) kB", out)[1]) > 6000, out[-3000:]
    assert "warning: " not in out and "error: " not in out, out[-3000:]


def test_clear_errors(tmp_path):
    done = vnimage("show", tmp_path)
    assert done.returncode == 1 and "is no image: it has no vmlinuz" in done.stderr
    assert vnimage("burn", tmp_path).returncode == 2
    assert vnimage("build").returncode == 2
    assert vnimage("build", "a", "b").returncode == 2
    (tmp_path / "file").write_text("")
    done = vnimage("build", tmp_path / "image", VNE_CACHE=str(tmp_path / "file"))
    assert done.returncode == 70 and "cannot be made" in done.stderr


def fake(tmp_path, name, text):
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    (tools / name).write_text(f"#!/bin/sh\n{text}\n")
    (tools / name).chmod(0o755)
    return f"{tools}:{os.environ['PATH']}"


def test_no_network_and_no_lists(tmp_path):
    """An apt without lists, without network: update is tried once, and what it says is passed on."""
    calls = tmp_path / "calls"
    path = fake(tmp_path, "apt-cache", "exit 0")
    path = fake(tmp_path, "apt-get", f'echo "$@" >> {calls}; case $* in *update*) echo "E: no way out" >&2; exit 100;; esac; exit 100')
    done = vnimage("build", tmp_path / "image", VNE_CACHE=str(tmp_path / "cache"), PATH=path)
    assert done.returncode == 70 and "apt-get update: E: no way out" in done.stderr
    assert calls.read_text().count("update") == 1
    assert not (tmp_path / "image").exists() and not list((tmp_path / "cache").iterdir()), "something was left behind"


def test_shell_is_clean():
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck")
    done = subprocess.run(["shellcheck", ROOT / "tools/vnimage"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
