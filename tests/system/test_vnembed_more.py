# SPDX-License-Identifier: GPL-3.0-or-later
"""vnembed beyond one answer: programs of one's own, what the README shows, reasons."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import replay
from test_vnembed import BUILD, ROOT, SUBSTRATE, embed, one, request, run

jsonschema = pytest.importorskip("jsonschema")
README = (ROOT / "embed/README.md").read_text()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s.yaml").write_text(SUBSTRATE)
    return tmp_path


def block(language):
    return re.search(rf"```{language}\n(.*?)```", README, re.S).group(1)


def program(folder, text):
    path = folder / "program"
    path.write_text(text)
    path.chmod(0o755)
    return f"exec:{path}"


ANSWER = {"status": "optimal", "bound": 1e9, "nodes": {"r1": "a", "r2": "b"},
          "links": [{"name": "r1-r2", "paths": [{"links": ["a-b"]}]}]}


def says(folder, *answers, more=""):
    return program(folder, "#!/bin/sh\ncat >/dev/null\n" + "".join(f"echo '{json.dumps(a)}'\n" for a in answers) + more)


def test_readme_python_example(folder):
    solver = program(folder, block("python").replace("#!/usr/bin/env python3", f"#!{sys.executable}"))
    text = request(nodes="{name: r1, cpu: 4}, {name: r2, cpu: 5, place: {not_on: [a]}}, {name: r3, cpu: 1}",
                   links="{endpoints: [r1, r2], bandwidth: 20mbit}, {endpoints: [r2, r3], bandwidth: 90mbit}")
    (folder / "r.yaml").write_text(text)
    result = one(folder, text, "--solver", solver)
    assert result["status"] in ("feasible", "optimal") and 0 < result["bound"] <= result["cost"]
    replay.Substrate(folder / "s.yaml").take(next(replay.requests(folder / "r.yaml")), result)
    refused = one(folder, request(links="{endpoints: [r1, r2], bandwidth: 20mbit}, {endpoints: [r1, r2], bandwidth: 95mbit, name: x},"
                                        "{endpoints: [r1, r2], bandwidth: 95mbit, name: y}, {endpoints: [r1, r2], bandwidth: 95mbit, name: z}",
                                  nodes="{name: r1, cpu: 1, place: {on: [b]}}, {name: r2, cpu: 1, place: {on: [c]}}")
                  .replace("bandwidth: 20mbit", "bandwidth: 20mbit, name: w"), "--solver", solver, code=1)
    assert refused["status"] == "infeasible" and "asks for 305mbit around it" in refused["reason"]


def test_readme_c_example(folder):
    """What stands in the README compiles, links with what it says, and embeds."""
    code = block("c")
    (folder / "r.yaml").write_text(request())
    (folder / "example.c").write_text(
        '#include <err.h>\n#include <stdio.h>\n#define err vne_err\n#undef err\n#include "embed/embed.h"\n'
        "int main(int argc, char **argv)\n{\n\tstruct yaml_errors errors = { .file = argv[1] };\n"
        "\tstruct substrate substrate;\n\tstruct request *requests;\n\tsize_t n;\n"
        "\tif (substrate_load(argv[1], &errors, &substrate, NULL) != 0 || request_load(argv[2], false, &errors, &requests, &n, NULL) != 0)\n"
        "\t\treturn 2;\n\tstruct request request = requests[0];\n" + code + "\treturn 0;\n}\n")
    flags = "-Wall -Werror -Wno-unused-parameter -D_GNU_SOURCE".split()
    if "san" in str(BUILD):
        flags.append("-fsanitize=address,undefined")
    libraries = [str(BUILD / f"lib{name}.a") for name in ("embed", "model", "base")]
    done = subprocess.run(["cc", "-std=gnu11", *flags, "-I", ROOT, folder / "example.c", *libraries, "-lglpk", "-lyaml", "-ljansson",
                           "-lmnl", "-lm", "-o", folder / "example"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([folder / "example", folder / "s.yaml", folder / "r.yaml"], capture_output=True, text=True, env=env)
    assert done.returncode == 0 and done.stdout == "cost 22, at least 22\n", done


def test_program_is_handed_the_whole(folder):
    solver = program(folder, f"#!/bin/sh\ncat >{folder}/seen.json\necho '{json.dumps(ANSWER)}'\n")
    text = request() + "---\n" + request(name="second", nodes="{name: r1, cpu: 1, memory: 64MiB, router: xen}, {name: r2, cpu: 1, place: {on: [c, b]}}",
                                         links="{endpoints: [r1, r2], bandwidth: 2.5mbit, max_delay: 5ms}")
    results = embed(folder, text, "--solver", solver, "--seed", "9", "--time-limit", "20s")["results"]
    assert [r["status"] for r in results] == ["optimal", "optimal"]  # its cost is our own bound
    seen = json.loads((folder / "seen.json").read_text())
    jsonschema.validate(seen, json.loads((ROOT / "docs/schema/problem.json").read_text()))
    assert seen["options"] == {"objective": "cost", "seed": 9, "time_limit": pytest.approx(19.9, abs=0.2)}
    a = seen["substrate"]["nodes"][0]
    assert a["name"] == "a" and a["capacity"]["cpu"] == 16 and a["left"]["cpu"] == 15
    assert seen["substrate"]["links"][0]["left_mbit"] == 80
    r1, r2 = seen["request"]["nodes"]
    assert r1["candidates"] == ["a", "b", "c", "d"] and r1["router"] == "xen" and r1["memory_mib"] == 64 and r2["candidates"] == ["b", "c"]
    assert seen["request"]["links"][0] == {"name": "r1-r2", "endpoints": ["r1", "r2"], "mbit": 2.5, "max_delay_ms": 5.0,
                                           "paths": "single", "protection": "none"}


def test_program_is_not_believed(folder):
    dear = {**ANSWER, "nodes": {"r1": "a", "r2": "c"}, "links": [{"name": "r1-r2", "paths": [{"via": ["a", "b", "c"]}]}]}
    result = one(folder, request(), "--solver", says(folder, dear))
    assert result["status"] == "feasible" and result["cost"] == 42 and result["bound"] == 22  # not 1e9
    result = one(folder, request(), "--solver", says(folder, {"status": "infeasible", "reason": "I say so"}), code=1)
    assert result["status"] == "refused" and result["reason"].endswith("says infeasible: I say so")
    wrong = {**ANSWER, "links": [{"name": "r1-r2", "paths": [{"links": ["b-c"]}]}]}
    result = one(folder, request(), "--solver", says(folder, wrong), code=4)
    assert result["status"] == "unknown" and "refused by the checker" in result["reason"] and "b-c" in result["reason"]


def test_program_anytime(folder):
    """Several lines: the cheapest counts; at the deadline what was written; its children are gone with it."""
    dear = {**ANSWER, "nodes": {"r1": "a", "r2": "c"}, "links": [{"name": "r1-r2", "paths": [{"via": ["a", "b", "c"]}]}]}
    assert one(folder, request(), "--solver", says(folder, dear, ANSWER, dear))["cost"] == 22
    hangs = says(folder, dear, more=f"printf '{{\"status\":'\nsleep 1000 &\necho $! >{folder}/pid\nwait\n")
    started = time.monotonic()
    result = one(folder, request(), "--solver", hangs, "--time-limit", "500ms")
    assert result["cost"] == 42 and time.monotonic() - started < 5
    child = Path(f"/proc/{(folder / 'pid').read_text().strip()}/status")
    while child.exists() and "State:\tZ" not in child.read_text():
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("text, code, reason", [
    ("#!/bin/sh\nexit 3\n", 4, "ended with code 3 and wrote no answer"),
    ("#!/bin/sh\nkill -SEGV $$\n", 4, "ended by signal 11"),
    ("#!/bin/sh\ncat >/dev/null\necho hello\n", 4, "its answer cannot be read: answer:1:1"),
    ("#!/bin/sh\ncat >/dev/null\necho '{\"statuz\": \"optimal\"}'\n", 4, 'unknown key "statuz"; did you mean "status"?'),
    ("#!/bin/sh\ncat >/dev/null\necho '{\"status\": \"optimal\", \"nodes\": {\"r1\": \"moon\"}}'\n", 4, '"moon" is no node of square'),
    ("#!/bin/sh\nexec cat /dev/zero\n", 4, "wrote more than 67108864 bytes"),
    ("#!/bin/sh\nexec sleep 1000\n", 4, "did not end within"),
])
def test_program_fails(folder, text, code, reason):
    result = one(folder, request(), "--solver", program(folder, text), "--time-limit", "2s", code=code)
    assert result["status"] == "unknown" and reason in result["reason"]


def test_program_is_missing(folder):
    result = one(folder, request(), "--solver", "exec:/nowhere/program", code=4)
    assert "cannot run /nowhere/program" in result["reason"]
    done = run("vnembed", "-s", folder / "s.yaml", "--solver", "exec:", stdin=request())
    assert done.returncode == 2 and "expected exec:PROGRAM" in done.stderr
