# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON that programs print is the JSON that docs/schema describes: samples of every kind of
object from the unit test of the writer, and vnembed's own output on real input."""
import copy
import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VNE_BUILD", ROOT / "build"))
SCHEMAS = {p.stem: json.loads(p.read_text()) for p in (ROOT / "docs/schema").glob("*.json")}
# sample → (schema, whether it is a list of what the schema describes)
SAMPLES = {"vnembed": ("vnembed", False), "network": ("network", False), "planned": ("network", False), "networks": ("network", True),
           "nodes": ("node", True), "slinks": ("slink", True), "events": ("event", True),
           "keys": ("key", True), "log": ("log", True), "usage": ("usage", True), "quotas": ("quota", True), "series": ("series", False)}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([BUILD / "tests/unit/test_writer"], check=True, capture_output=True, timeout=60,
                   env={**os.environ, "VNE_SAMPLES": str(folder)})
    return {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}


def objects(sample, name):
    return sample[name] if SAMPLES[name][1] else [sample[name]]


def validate(instance, schema):
    jsonschema.Draft7Validator(SCHEMAS[schema]).validate(instance)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_one(name):
    jsonschema.Draft7Validator.check_schema(SCHEMAS[name])


def test_every_schema_has_a_sample(samples):
    assert set(samples) == set(SAMPLES)
    # an audit and the state of a lab exist only while there is a lab: test_lab.py, test_networks.py and test_store.py validate those;
    # what a solver of one's own is handed, test_vnembed_more.py; what vnsim prints, test_sweep.py
    assert {schema for schema, _ in SAMPLES.values()} == set(SCHEMAS) - {"audit", "history", "lab", "plane", "problem", "routes", "sweep", "vnsim"}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_sample(samples, name):
    found = objects(samples, name)
    assert found
    for instance in found:
        validate(instance, SAMPLES[name][0])


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_schema_refuses(samples, name):
    """A schema that accepts anything would prove nothing."""
    schema = SAMPLES[name][0]
    for instance in objects(samples, name):
        for key in SCHEMAS[schema]["required"]:
            broken = copy.deepcopy(instance)
            del broken[key]
            with pytest.raises(jsonschema.ValidationError):
                validate(broken, schema)
        with pytest.raises(jsonschema.ValidationError):
            validate({**instance, "more": 1}, schema)


def test_vnembed_on_abilene():
    requests = sorted((ROOT / "topologies/requests").glob("*.yaml"))
    assert requests
    command = [BUILD / "vnembed", "-s", ROOT / "topologies/abilene.yaml", "--solver", "heuristic", "-o", "json"]
    for path in requests:
        command += ["-r", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    answer = json.loads(done.stdout)
    validate(answer, "vnembed")
    assert answer["substrate"] == "abilene"
    assert [r["request"] for r in answer["results"]]
    for result in answer["results"]:
        assert ("nodes" in result) == (result["status"] in ("optimal", "feasible"))
