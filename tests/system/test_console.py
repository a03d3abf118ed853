# SPDX-License-Identifier: GPL-3.0-or-later
"""`vnctl console`: our terminal is the router's meanwhile, and ours again afterwards, however it ended."""
import os
import pty
import signal
import subprocess
import termios

import pytest

from lab import eventually

PAIR = """
kind: network
name: pair
nodes:
  - {name: a, cpu: 0.1}
  - {name: b, cpu: 0.1}
links:
  - {endpoints: [a, b], bandwidth: 1mbit}
"""


class Terminal:
    def __init__(self, lab, *words):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen(lab.command("vnctl", *words), env=lab.env, stdin=theirs, stdout=theirs, stderr=theirs,
                                        start_new_session=True)

    def raw(self):
        return not termios.tcgetattr(self.theirs)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def type(self, data):
        os.write(self.ours, data)

    def end(self):
        code = self.process.wait(timeout=30)
        os.set_blocking(self.ours, False)
        said = b""
        while True:
            try:
                said += os.read(self.ours, 4096)
            except (BlockingIOError, OSError):
                break
        restored = termios.tcgetattr(self.theirs) == self.before
        os.close(self.ours)
        os.close(self.theirs)
        return code, said.decode(), restored


@pytest.fixture
def stopped_pair(triangle):
    """A network whose agents do not answer: a console that is open and silent."""
    triangle.submit(PAIR)
    nodes = sorted({r["node"] for r in triangle.ask("show", "pair")["routers"]})
    for node in nodes:
        triangle.kill(node, "STOP")
    yield triangle
    for node in nodes:
        triangle.kill(node, "CONT")
    eventually(lambda: set(nodes) <= triangle.nodes_up())
    triangle.vnctl("release", "pair")


def test_escape_leaves_and_restores(stopped_pair):
    terminal = Terminal(stopped_pair, "console", "pair", "a")
    eventually(terminal.raw)
    terminal.type(b"ls\x03\x1d")  # an interrupt is the router's, the escape ours
    code, said, restored = terminal.end()
    assert code == 0 and restored
    assert "console of a in pair; Ctrl-] ends it" in said and "console left" in said


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_signal_restores(stopped_pair, sent):
    terminal = Terminal(stopped_pair, "console", "pair", "a")
    eventually(terminal.raw)
    terminal.process.send_signal(sent)
    code, _, restored = terminal.end()
    assert code == 130 and restored


def test_pipe_ends_when_it_is_quiet(stopped_pair):
    done = stopped_pair.vnctl("console", "pair", "a", stdin="hello\n", seconds=30)
    assert done.out == "" and "Ctrl-]" not in done.err


def test_refusal_restores(triangle):
    terminal = Terminal(triangle, "console", "nosuch", "a")
    code, said, restored = terminal.end()
    assert code == 1 and "nosuch" in said and restored
