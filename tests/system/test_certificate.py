# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs that the exact search writes, checked by a program that shares nothing with it (certificate.py); and that
checker, tried with proofs that prove nothing."""
import json
import random
from fractions import Fraction

import certificate
import pytest
import replay
from test_vnembed import INSTANCES, OPTIMAL, run

# of every class one that its search tree, prices, splits or delays make worth checking
CHECKED = ["I75A_01", "I60L_00", "I60L_01", "I60L_02", "I60S_01", "I100H_01", "R50A_02", "SI60T_0", "W100A_01", "W100D_00", "W100L_01"]

PROTECTED = """\
kind: network
name: pair
nodes: [{name: r1, cpu: 1}, {name: r2, cpu: 2}, {name: r3, cpu: 1}]
links:
  - {endpoints: [r1, r2], bandwidth: 30mbit, protection: link}
  - {endpoints: [r2, r3], bandwidth: 20mbit}
"""
RING = """\
kind: substrate
name: ring
nodes: [{name: a, cpu: 4, cost: 2}, {name: b, cpu: 4}, {name: c, cpu: 1}, {name: d, cpu: 4, cost: 3}, {name: e, cpu: 1}]
links:
  - {endpoints: [a, b], bandwidth: 60mbit}
  - {endpoints: [b, c], bandwidth: 60mbit, cost: 2}
  - {endpoints: [c, d], bandwidth: 60mbit}
  - {endpoints: [d, e], bandwidth: %s}
  - {endpoints: [e, a], bandwidth: 60mbit}
"""


def prove(substrate, request, proof):
    done = run("vnembed", "-s", substrate, "-r", request, "-o", "json", "--proof", proof, "--time-limit", "100s")
    return json.loads(done.stdout)["results"][0]


@pytest.mark.parametrize("name", CHECKED)
def test_optimum_is_certified(tmp_path, name):
    files = INSTANCES / f"{name}.substrate.yaml", INSTANCES / f"{name}.request.yaml"
    result = prove(*files, tmp_path / "proof")
    assert replay.Substrate(files[0]).take(next(replay.requests(files[1])), result) == Fraction(OPTIMAL[name])
    assert certificate.check(*files, tmp_path / "proof") == Fraction(OPTIMAL[name])


@pytest.mark.parametrize("narrowest, fits", [("60mbit", True), ("40mbit", True), ("20mbit", False)])
def test_protected_and_impossible(tmp_path, narrowest, fits):
    files = tmp_path / "s.yaml", tmp_path / "r.yaml"
    files[0].write_text(RING % narrowest)
    files[1].write_text(PROTECTED)
    result = prove(*files, tmp_path / "proof")
    assert result["status"] == ("optimal" if fits else "infeasible")
    cost = replay.Substrate(files[0]).take(next(replay.requests(files[1])), result) if fits else None
    assert certificate.check(*files, tmp_path / "proof") == cost


def spoil(lines, rng):
    """One change that a proof must not survive, or that it may; None where there is nothing to change."""
    line = rng.choice(lines)
    if line["event"] == "claim":
        line["cost"] = str(Fraction(line["cost"]) + 1)
    elif line["event"] == "node":
        lines.remove(line)
        lines[:] = [l for l in lines if l.get("node") != line["id"] and l.get("parent") != line["id"]]
    elif line["event"] == "bound" and line["close"]:
        return None
    elif line["event"] == "bound":
        u = rng.randrange(len(line["domain"]))
        rest = [a for a in line["domain"][u] if [u, a] not in line["drop"]]
        line["drop"].append([u, rng.choice(rest or line["domain"][u])])
    else:
        return None
    return line["event"]


def test_spoiled_proofs_are_refused(tmp_path):
    files = INSTANCES / "I60L_00.substrate.yaml", INSTANCES / "I60L_00.request.yaml"
    prove(*files, tmp_path / "proof")
    whole = (tmp_path / "proof").read_text().splitlines()
    optimal = Fraction(OPTIMAL["I60L_00"])
    rng, tried = random.Random(1), 0
    while tried < 30:
        lines = [json.loads(line) for line in whole]
        if spoil(lines, rng) is None:
            continue
        tried += 1
        try:
            proven = certificate.Certificate(*files).check(lines)
        except (ValueError, KeyError):
            continue
        assert proven == optimal, "a spoiled proof of more than the truth"
    lines = [json.loads(line) for line in whole]
    lines[-1]["cost"] = str(optimal + 1)
    with pytest.raises(ValueError):
        certificate.Certificate(*files).check(lines)
    with pytest.raises(ValueError, match="no end"):
        certificate.Certificate(*files).check(lines[:-1])


def test_a_proof_is_of_one_request(tmp_path):
    files = INSTANCES / "I60L_00.substrate.yaml", INSTANCES / "I60L_00.request.yaml"
    twice = run("vnembed", "-s", files[0], "-r", files[1], "-r", files[1], "--proof", tmp_path / "proof")
    assert twice.returncode == 2 and "one request" in twice.stderr
    other = run("vnembed", "-s", files[0], "-r", files[1], "--solver", "mip", "--proof", tmp_path / "proof")
    assert other.returncode == 2 and "--solver exact" in other.stderr
