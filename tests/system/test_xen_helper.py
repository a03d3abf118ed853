# SPDX-License-Identifier: GPL-3.0-or-later
"""vnagent-xen where there is no Xen: it says so, survives what is no message, and ends with its agent."""
import os
import random
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from lab import BUILD

PROBE, LIST, CREATE, DESTROY, RESIZE, CONFIGURE, DETACH, EXEC, CONSOLE, DIAL = range(1, 11)
DONE, ENODEV = 64, -19
HEAD = struct.Struct("=IIIIIiI")

pytestmark = [
    pytest.mark.skipif(not (BUILD / "vnagent-xen").exists(), reason="vnagent-xen is not built: libxen-dev is missing"),
    pytest.mark.skipif(Path("/proc/xen/capabilities").exists(), reason="there is Xen here"),
]


def message(kind, number, text=b"", length=None):
    return HEAD.pack(kind, number, 1, 2, 3, 0, len(text) if length is None else length) + text


@pytest.fixture
def helper():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(20)
    fd = theirs.fileno()
    # the descriptor under the number that it expects
    become = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
    process = subprocess.Popen([sys.executable, "-c", become, str(fd), str(BUILD / "vnagent-xen")], pass_fds=[fd])
    theirs.close()
    yield ours, process
    ours.close()
    assert process.wait(timeout=20) == 0, "it ends, in order, when the agent is gone"


def answer(ours):
    packet = ours.recv(1 << 18)
    kind, number, _, _, _, code, length = HEAD.unpack(packet[:HEAD.size])
    assert length == len(packet) - HEAD.size
    return kind, number, code, packet[HEAD.size:].decode()


@pytest.mark.parametrize("kind", [PROBE, LIST, CREATE, DESTROY, RESIZE, CONFIGURE, DETACH, DIAL])
def test_without_xen_each_request_is_refused_with_the_reason(helper, kind):
    ours, _ = helper
    ours.send(message(kind, 7))
    kind, number, code, text = answer(ours)
    assert (kind, number, code) == (DONE, 7, ENODEV)
    assert "no Xen" in text


@pytest.mark.parametrize("kind", [EXEC, CONSOLE])
def test_a_command_is_told_over_its_control_end(helper, kind):
    ours, _ = helper
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.settimeout(20)
    fds = [os.open("/dev/null", os.O_RDWR) for _ in range(3)] + [theirs.fileno()]
    socket.send_fds(ours, [message(kind, 0, b"true\0")], fds)
    for fd in fds[:3]:
        os.close(fd)
    theirs.close()
    packet = control.recv(4096)
    assert struct.unpack("=i", packet[:4])[0] == 126
    assert b"no Xen" in packet
    assert control.recv(4096) == b"", "the helper holds nothing of it any more"


def test_rubbish_is_survived(helper):
    ours, process = helper
    seeded = random.Random(4)
    for packet in ([b"x", b"x" * 27, message(PROBE, 1, length=5), message(PROBE, 1, b"abc", length=1 << 31), message(EXEC, 1)]
                   + [seeded.randbytes(seeded.randrange(1, 300)) for _ in range(50)]):
        ours.send(packet)
    ours.send(message(PROBE, 99))
    while answer(ours)[1] != 99:
        pass
    assert process.poll() is None


def test_without_an_agent_it_says_what_it_is_for():
    done = subprocess.run([BUILD / "vnagent-xen"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "vnagent" in done.stderr
