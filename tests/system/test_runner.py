# SPDX-License-Identifier: GPL-3.0-or-later
"""The test runner itself: what it must never count as passed."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path, script):
    binary = tmp_path / "tests/unit/test_base"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n" + script)
    binary.chmod(0o755)
    return subprocess.run([ROOT / "tests/run", tmp_path, "test_base"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script, last, code", [
    ("echo 1..2; echo 'ok 1 - a'; echo 'ok 2 - b'", "2 passed, 0 failed, 0 skipped", 0),
    ("echo 1..2; echo 'ok 1 - a'; echo 'not ok 2 - b'; exit 1", "1 passed, 1 failed, 0 skipped", 1),
    ("echo 1..2; echo 'ok 1 - a'; echo '# no root'; echo 'not ok 2 # SKIP b'", "1 passed, 0 failed, 1 skipped", 0),
    ("echo 1..2; echo 'ok 1 - a'; kill -SEGV $$", "1 passed, 1 failed, 0 skipped", 1),
    ("echo 1..2; echo 'ok 1 - a'", "1 passed, 1 failed, 0 skipped", 1),
    ("echo 1..1; echo 'ok 1 - a'; echo leak >&2; exit 99", "1 passed, 1 failed, 0 skipped", 1),
    ("exit 0", "0 passed, 1 failed, 0 skipped", 1),
])
def test_counts(tmp_path, script, last, code):
    result = run(tmp_path, script)
    assert result.stdout.splitlines()[-1] == last
    assert result.returncode == code


def test_shows_what_failed_and_what_was_skipped(tmp_path):
    result = run(tmp_path, "echo 1..2; echo 'line 7: 1 != 2'; echo 'not ok 1 - a'; echo '# no root'; echo 'not ok 2 # SKIP b'")
    assert "line 7: 1 != 2" in result.stdout
    assert "skipped unit/test_base: b: no root" in result.stdout


def test_nothing_to_run_is_no_success(tmp_path):
    result = subprocess.run([ROOT / "tests/run", tmp_path, "no-test-is-called-so"], capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[-1] == "0 passed, 0 failed, 0 skipped"
    assert result.returncode == 1
