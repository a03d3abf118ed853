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


# ---- batches, networks that run, reports -------------------------------------------------------

CITIES = """\
kind: substrate
name: cities
nodes: [{name: a, cpu: 4}, {name: b, cpu: 4}, {name: c, cpu: 4}, {name: d, cpu: 4}]
links:
  - {endpoints: [a, b], bandwidth: 100mbit, delay: 1ms}
  - {endpoints: [b, c], bandwidth: 100mbit, delay: 1ms}
  - {endpoints: [c, d], bandwidth: 100mbit, delay: 1ms}
  - {endpoints: [d, a], bandwidth: 100mbit, delay: 1ms}
"""


@pytest.fixture
def cities(tmp_path):
    (tmp_path / "s.yaml").write_text(CITIES)
    return tmp_path


def pair(name, mbit, more="", hosts=("a", "b")):
    places = [f", place: {{on: [{h}]}}" if h else "" for h in hosts]
    return request(name, f"{{name: r1, cpu: 1{places[0]}}}, {{name: r2, cpu: 1{places[1]}}}",
                   f"{{endpoints: [r1, r2], bandwidth: {mbit}mbit}}", more)


def valid(data):
    jsonschema.validate(data, json.loads((ROOT / "docs/schema/vnembed.json").read_text()))
    return data


def replays(folder, text, results):
    (folder / "r.yaml").write_text(text)
    left = replay.Substrate(folder / "s.yaml")
    return [left.take(r, a) for r, a in zip(replay.requests(folder / "r.yaml"), results) if "nodes" in a]


def test_batch_chooses(cities):
    """In order the first two block the links for the third, which is worth more."""
    text = "---\n".join([pair("small", 60), pair("other", 60, hosts=("a", "d")), pair("big", 90, "priority: 3\n", hosts=("a", "c"))])
    in_order = embed(cities, text, code=1)
    assert [r["status"] for r in in_order["results"]] == ["optimal", "optimal", "infeasible"]
    data = valid(embed(cities, text, "--batch", code=1))
    statuses = [r["status"] for r in data["results"]]
    assert statuses[2] in ("optimal", "feasible") and statuses.count("refused") == 1
    assert data["batch"] == {"status": "optimal", "value": 92 * 3 + 62, "bound": 92 * 3 + 62, "cost": 2 + 180 + 62, "cost_bound": 244}
    assert sum(replays(cities, text, data["results"])) == 244


def test_batch_of_what_fits_is_proven(cities):
    text = "---\n".join(pair(f"n{i}", 10 + i, hosts=(None, None)) for i in range(4))
    data = valid(embed(cities, text, "--batch"))
    assert data["batch"]["status"] == "optimal" and data["batch"]["cost"] == sum(12 + i for i in range(4))


def test_running_is_improved_within_its_moves(cities):
    """Two networks that took each other's ways."""
    text = pair("one", 50, hosts=(None, None)) + "---\n" + pair("two", 50, hosts=("a", None))
    far = {"results": [
        {"request": "one", "status": "feasible", "nodes": {"r1": "a", "r2": "c"},
         "links": [{"name": "r1-r2", "paths": [{"via": ["a", "b", "c"]}]}]},
        {"request": "two", "status": "feasible", "nodes": {"r1": "a", "r2": "b"},
         "links": [{"name": "r1-r2", "paths": [{"via": ["a", "d", "c", "b"]}]}]}]}
    (cities / "running.json").write_text(json.dumps(far))
    for moves, cost, moved in [(0, 2 + 100 + 2 + 50, 0), (1, 2 + 50 + 2 + 50, 1), (4, 104, 1)]:
        data = valid(embed(cities, text, "--running", cities / "running.json", "--moves", moves))
        again = data["reoptimised"]
        assert (again["cost_before"], again["cost_after"], again["moves"], again["lost"]) == (102 + 152, cost, moved, 0)
        assert sum(replays(cities, text, data["results"])) == cost
        hosts = [r["nodes"] for r in data["results"]]
        for before, after, told in zip(far["results"], hosts, again["networks"]):
            assert told["moved"] == [r for r in after if after[r] != before["nodes"][r]]
    # what it wrote is read again, and there is nothing more to gain
    (cities / "again.json").write_text(json.dumps(data))
    assert embed(cities, text, "--running", cities / "again.json")["reoptimised"]["cost_after"] == 104


def test_running_is_repaired(cities):
    text = pair("one", 50, hosts=("a", "b"))
    (cities / "running.json").write_text(json.dumps(embed(cities, text)))
    (cities / "s.yaml").write_text(CITIES.replace("[a, b], bandwidth: 100mbit", "[a, b], bandwidth: 10mbit"))
    data = valid(embed(cities, text, "--running", cities / "running.json", "--moves", "0"))
    assert data["results"][0]["links"][0]["paths"][0]["via"] == ["a", "d", "c", "b"]
    (cities / "s.yaml").write_text(CITIES.replace("[a, b], bandwidth: 100mbit", "[a, b], bandwidth: 10mbit")
                                   .replace("[d, a], bandwidth: 100mbit", "[d, a], bandwidth: 10mbit"))
    data = valid(embed(cities, text, "--running", cities / "running.json", code=1))
    assert data["reoptimised"]["lost"] == 1 and "does not fit any more" in data["results"][0]["reason"]


@pytest.mark.parametrize("content, fault", [
    ("{}", 'no "results"'),
    ('{"results": [{"status": "feasible"}]}', 'names no "request"'),
    ('{"results": [{"request": "two", "status": "feasible"}]}', '"two" is none of the requests'),
    ('{"results": [{"request": "one", "status": "feasible", "nodes": {"r1": "a", "r2": "x"}}]}', '"x" is no node of cities'),
    ('{"results": [{"request": "one", "status": "feasible", "nodes": {"r1": "a"}}]}', 'router "r2" is on no node'),
    ('{"results": [{"request": "one", "status": "fesible"}]}', "fesible"),
    ('{"results": [', ""),
])
def test_running_file_is_wrong(cities, content, fault):
    (cities / "running.json").write_text(content)
    done = run("vnembed", "-s", cities / "s.yaml", "--running", cities / "running.json", stdin=pair("one", 5))
    assert done.returncode == 2 and "running.json:" in done.stderr and fault in done.stderr


def test_options_that_exclude_each_other(cities):
    for args, fault in [(["--batch", "--running", "x"], "exclude each other"), (["--moves", "1"], "--moves is of --running"),
                        (["--report", "-o", "json"], "--report is for people"), (["--batch", "--solver", "mip"], "choose their own")]:
        done = run("vnembed", "-s", cities / "s.yaml", *args, stdin=pair("one", 5))
        assert done.returncode == 2 and fault in done.stderr
    assert run("vnembed", "-s", cities / "s.yaml", "--batch", stdin=pair("one", 5), env={"VNE_SOLVER": "mip"}).returncode == 0


def test_report(cities):
    text = pair("one", 50, hosts=("a", "c")) + "---\n" + pair("big", 500)
    done = run("vnembed", "-s", cities / "s.yaml", "--report", stdin=text)
    assert done.returncode == 1
    assert re.sub(r"\([a-z]+, [0-9.e-]+ s\)", "(solver, time)", done.stdout) == """\
one: optimal (solver, time)
  cost 102: routers 2, links 100; at least 102 is needed, gap 0 %; revenue 52, 0.51 of the cost
  r1  on a, netns, cpu 1
  r2  on c, netns, cpu 1
  r1-r2: r1 – r2
    by a → b → c, 50mbit, 2ms

big: infeasible, never (solver, time)
  why: r1 asks for 500mbit around it; the best of its 1 candidates has 150mbit left on its links
  it would fit with r1-r2: 500mbit → 50mbit

cpu of nodes: 12.5 % used, 2 of 4 at all
  a  █████···············   25.0 %  1 of 4
  c  █████···············   25.0 %  1 of 4
bandwidth of links: 25 % used, 2 of 4 at all
  a-b  ██████████··········   50.0 %  50mbit of 100mbit
  b-c  ██████████··········   50.0 %  50mbit of 100mbit
""".replace("   25", "  25").replace("   50", "  50")


def test_status_line_on_a_terminal():
    """Slow enough an instance shows how far the search is; the line is wiped in the end."""
    import pty
    parent, child = pty.openpty()
    files = [ROOT / f"tests/data/instances/{name}" for name in sorted(os.listdir(ROOT / "tests/data/instances")) if name.endswith(".yaml")]
    substrate = [f for f in files if "substrate" in f.name][0]
    process = subprocess.Popen([BUILD / "vnembed", "-s", substrate, "-r", str(substrate).replace("substrate.yaml", "request.yaml"),
                                "--solver", "mip", "--time-limit", "3s"], stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    seen = b""
    try:
        while chunk := os.read(parent, 4096):
            seen += chunk
    except OSError:
        pass
    os.close(parent)
    assert process.wait() in (0, 4)
    if b"at least" in seen:
        assert seen.rstrip(b"\n").endswith(b"\r\x1b[K") or b"\r\x1b[K" in seen


def test_no_change_is_named_where_none_is_needed(tmp_path):
    """A program that answers nonsense for a request that fits leaves nothing to relax."""
    instance = ROOT / "tests/data/instances/W100A_01"
    (tmp_path / "p").write_text("#!/bin/sh\ncat >/dev/null\necho '{\"status\":\"refused\"}'\n")
    (tmp_path / "p").chmod(0o755)
    done = run("vnembed", "-s", f"{instance}.substrate.yaml", "-r", f"{instance}.request.yaml", "-o", "json",
               "--solver", f"exec:{tmp_path}/p")
    assert json.loads(done.stdout)["results"][0].get("relax") is None
