# SPDX-License-Identifier: GPL-3.0-or-later
"""Manuals, --help and the programs say the same."""
import os
import re
import subprocess

import pytest

from lab import BUILD, ROOT

MANUALS = {p.name.rsplit(".", 2)[0]: p for p in (ROOT / "docs/man").glob("*.scd")}
PROGRAMS = sorted(p.name for p in BUILD.iterdir() if p.is_file() and os.access(p, os.X_OK))


def run(program, *args):
    return subprocess.run([BUILD / program, *args], capture_output=True, text=True, timeout=20,
                          env={**os.environ, "LC_ALL": "C"})


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))


def test_there_are_programs():
    assert {"vned", "vnagent", "vnctl", "vnembed", "vnlab"} <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_manual_have_the_same_options(program):
    manual = MANUALS[program].read_text().replace("\\", "")
    help_text = run(program, "--help").stdout
    listed = long_options(help_text)
    described = set(re.findall(r"\*--([a-z][a-z-]+)\*", manual))
    assert listed, "--help lists no option"
    assert listed == described


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program):
    done = run(program, "--version")
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_option_is_bad_usage(program):
    done = run(program, "--no-such-option")
    assert done.returncode == 2
    assert "no-such-option" in done.stderr


def test_commands_of_vnctl_are_in_its_manual():
    listed = set(re.findall(r"^  ([a-z]+)\b", run("vnctl", "--help").stdout, re.M))
    described = set(re.findall(r"^\*([a-z]+)\*", MANUALS["vnctl"].read_text().split("# COMMANDS")[1], re.M))
    assert listed and listed == described
