# SPDX-License-Identifier: GPL-3.0-or-later
"""vnctl without a vned: settings, usage, exit codes."""
import os
import socket
import subprocess

import pytest

from lab import BUILD


@pytest.fixture
def vnctl(tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("VNE_")}
    env.update(VNE_LAB_DIR=str(tmp_path / "nolab"), HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "config"))

    def run(*words, **more):
        return subprocess.run([BUILD / "vnctl", *words], env={**env, **more}, capture_output=True, text=True, timeout=60)
    return run


def write_key(path, name, role, secret):
    lines = ["kind: key", f"name: {name}", f"role: {role}", f"public: {'5a' * 32}"]
    path.write_text("\n".join(lines + ([f"secret: {'a5' * 32}"] if secret else [])) + "\n")
    path.chmod(0o600)
    return path


def test_without_any_settings(vnctl):
    done = vnctl("list")
    assert done.returncode == 2 and "vnlab up" in done.stderr


def test_bad_settings_name_their_place(vnctl, tmp_path):
    file = tmp_path / "client.yaml"
    file.write_text("kind: vnctl\nserver: tcp://127.0.0.1:1\nserver_keyy: a\nkey: b\n")
    done = vnctl("--config", str(file), "list")
    assert done.returncode == 2
    assert f"{file}:3:1: " in done.stderr and "server_key" in done.stderr


def test_settings_are_found_at_home(vnctl, tmp_path):
    (tmp_path / "config/vne").mkdir(parents=True)
    (tmp_path / "config/vne/vnctl.yaml").write_text("kind: vnctl\nserver: tcp://127.0.0.1:1\nserver_key: v.pub\nkey: me.key\n")
    done = vnctl("list")
    assert done.returncode == 2 and str(tmp_path / "config/vne/me.key") in done.stderr


def test_nobody_there(vnctl, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key, pub = write_key(tmp_path / "me.key", "me", "admin", True), write_key(tmp_path / "v.pub", "vned", "coordinator", False)
    words = ("--server", f"tcp://127.0.0.1:{port}", "--server-key", str(pub), "--key", str(key))
    done = vnctl(*words, "--timeout", "2s", "list")
    assert done.returncode == 3 and str(port) in done.stderr
    done = vnctl("list", VNE_SERVER=words[1], VNE_SERVER_KEY=words[3], VNE_KEY=words[5], VNE_TIMEOUT="2s")
    assert done.returncode == 3


@pytest.mark.parametrize("words", [
    ("submit",), ("submit", "a", "b"), ("plan",), ("release",), ("show",), ("list", "x"), ("exec", "net", "r1"), ("console", "net"),
    ("list", "--probe"), ("nodes", "--wait", "active"), ("-o", "xml", "list"), ("--timeout", "5", "list"), (),
    ("submitt", "a"), ("--nosuch",), ("audit", "a", "b"),
])
def test_bad_usage(vnctl, tmp_path, words):
    key, pub = write_key(tmp_path / "me.key", "me", "admin", True), write_key(tmp_path / "v.pub", "vned", "coordinator", False)
    done = vnctl(*words, VNE_SERVER="tcp://127.0.0.1:1", VNE_SERVER_KEY=str(pub), VNE_KEY=str(key))
    assert done.returncode == 2 and done.stderr


@pytest.mark.parametrize("command", ["top", "capture"])
def test_what_is_not_there_yet_is_not_pretended(vnctl, command):
    done = vnctl(command, "x")
    assert done.returncode == 2 and "no command" in done.stderr


def test_nearest_command_is_offered(vnctl):
    assert "did you mean submit?" in vnctl("sumbit", "x").stderr
