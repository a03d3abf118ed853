# SPDX-License-Identifier: GPL-3.0-or-later
"""vngen and vnimport as programs: the same bytes for the same words, files that the solvers take, every
preset and format; the substrates of topologies/; and, where the Topology Zoo is at hand, all of it (VNE_ZOO
names the folder with its GML files)."""
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VNE_BUILD", ROOT / "build"))
FILES = ROOT / "tests/data/import"
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml"))
ZOO = sorted(Path(os.environ.get("VNE_ZOO", "/nonexistent")).glob("*.gml"))
TWO = """\
kind: network
name: two
nodes: [{name: a, cpu: 0.1}, {name: b, cpu: 0.1}]
links: [{endpoints: [a, b], bandwidth: 1kbit}]
"""


class Loader(yaml.CSafeLoader):
    """`on` is a word here, not a truth."""


Loader.yaml_implicit_resolvers = {k: [r for r in v if r[0] != "tag:yaml.org,2002:bool"]
                                  for k, v in yaml.CSafeLoader.yaml_implicit_resolvers.items()}


def run(program, *args, stdin="", env=None, code=0):
    done = subprocess.run([BUILD / program, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "LC_ALL": "C", **(env or {})})
    assert done.returncode == code, done.stderr
    return done


def load(text):
    return yaml.load(text, Loader)


def embeds(substrate, request=TWO, *args):
    return run("vnembed", "-s", substrate, "-o", "json", *args, stdin=request).stdout


# ---- vngen ---------------------------------------------------------------------------------

# SHA-256 of what was made on the first machine; whoever changes a generator on purpose changes these
BYTES = {
    ("waxman",):
        "85bf9bef4ea802cf4cdc785f23d9873370126f304ad6914d9659605e78effedf",
    ("gnp", "--nodes", "30", "--beta", "0.3"):
        "b8cb21175e5d1ce36162e771cefd57904bf1a90d12de1e6de92e2d9d8e633c64",
    ("ba", "--seed", "3"):
        "81ce7abd2e34c05661e5e827e27fbc5835d72c82a51f0e7977094ddfad2d2718",
    ("regular", "--nodes", "101", "--degree", "5"):
        "74d9d6950799a69b40510ea89f78d8890d86aef94d0b3bb7bff2dd1aa961d326",
    ("grid", "--nodes", "30", "--delay", "100-900"):
        "4200fc315e72ecc4628eb30e6a92ba46b0b42364ff55dc454a15cc1f1fab64b9",
    ("near", "--nodes", "300", "--degree", "4"):
        "e7fec1f38a026ec39802e383885f7c2a39d088cafa013702a11d6b98ee3649de",
    ("fat-tree", "--arity", "6", "--memory", "8"):
        "bd2961a12220d3e0ab39242ea1bf93032a45bc70a32a30c0d71133ac53ada126",
}


def without_head(text):
    return text.split("\n", 1)[1]


@pytest.mark.parametrize("words", BYTES, ids=lambda w: w[0])
def test_substrates_are_the_same_everywhere_and_taken(words, tmp_path):
    made = run("vngen", *words).stdout
    assert hashlib.sha256(without_head(made).encode()).hexdigest() == BYTES[words]
    (tmp_path / "s.yaml").write_text(made)
    embeds(tmp_path / "s.yaml")


FILES_MADE = {
    ("virne", "--load", "4", "--requests", "100"):
        "b8f53edf6248798041475cf4ef7ccacf1f545221d04f2c5d6c50fef577005dd6",
    ("vineyard", "--requests", "100", "--seed", "3"):
        "df87baa0145e7d862a9be2c943451a1a778e95d62d358187a58036c5a76663ad",
    ("wx1000-big", "--requests", "3"):
        "cfed05a1a9de3bcd978ad2f28eb43b57b835116315666da76cfa0317c3804d69",
    ("instance", "W100D", "--count", "3"):
        "120817979e8de79f2afaa895921e3ad5871d1f379050daced3cbadd83d9aafd2",
    ("instance", "I60S", "--count", "3"):
        "f3825771ad93e3e2e0dc5ba9441054617f3d79971ebfe4ba57ac8c1c8b0f73cd",
    ("scale-near", "--nodes", "500"):
        "81136b9fb567a0748e3b239d281039ca37ba49d2daca3e2604d336d7a4246052",
    ("scale", "--nodes", "500"):
        "14cabab297a83b6925ef8081fa6930c86e84659fcf57125584413e4d45f6a7e6",
}


@pytest.mark.parametrize("words", FILES_MADE, ids="-".join)
def test_files_are_the_same_everywhere(words, tmp_path):
    run("vngen", *words, "-d", tmp_path)
    made = hashlib.sha256()
    for path in sorted(tmp_path.iterdir()):
        made.update(without_head(path.read_text()).encode())
    assert made.hexdigest() == FILES_MADE[words]


def test_fat_tree_switches_host_nothing():
    made = load(run("vngen", "fat-tree", "--arity", "4").stdout)
    switches = [n for n in made["nodes"] if n["name"].startswith("switch")]
    assert len(made["nodes"]) == 36 and len(switches) == 20
    assert all(n["routers"] == [] for n in switches)


@pytest.mark.parametrize("preset", ["virne", "vineyard", "wx500", "wx1000-big"])
def test_presets_make_streams_that_vnsim_takes(preset, tmp_path):
    run("vngen", preset, "--requests", 30, "--seed", 5, "-d", tmp_path)
    substrate, trace = tmp_path / f"{preset}-s5.substrate.yaml", tmp_path / f"{preset}-s5.trace.yaml"
    assert len(list(yaml.load_all(trace.read_text(), Loader))) == 30
    run("vnsim", "-s", substrate, "-t", trace, "--solver", "heuristic", "--effort", 1)


@pytest.mark.parametrize("name", ["R50L", "R50A", "W100L", "W100A", "W100D", "W100H", "W100S", "I60L", "I60S", "I75A", "I100H",
                                  "SI60A8", "SI60T", "SR50A15", "SW100A10", "SW100L20"])
def test_classes_make_instances_that_vnembed_takes(name, tmp_path):
    run("vngen", "instance", name, "--count", 2, "--seed", 7, "-d", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}_{s}.{k}.yaml" for s in ("07", "08")
                                                          for k in ("request", "substrate")]
    for seed in ("07", "08"):
        done = subprocess.run([BUILD / "vnembed", "-s", tmp_path / f"{name}_{seed}.substrate.yaml", "-r",
                               tmp_path / f"{name}_{seed}.request.yaml", "--solver", "heuristic", "--effort", "100"],
                              capture_output=True, timeout=120)
        assert done.returncode in (0, 1), done.stderr


def test_scale(tmp_path):
    run("vngen", "scale", "--nodes", 1000, "-d", tmp_path)
    substrate = load((tmp_path / "scale1000_1.substrate.yaml").read_text())
    degrees = {}
    for link in substrate["links"]:
        for end in link["endpoints"]:
            degrees[end] = degrees.get(end, 0) + 1
    assert set(degrees.values()) == {5} and len(degrees) == 1000
    request = load((tmp_path / "scale1000_1.request.yaml").read_text())
    assert [len(n["place"]["on"]) for n in request["nodes"]] == [15] * 10


def test_seeds_differ_and_repeat(tmp_path):
    one, two, again = (run("vngen", "waxman", "--seed", s).stdout for s in (1, 2, 1))
    assert one == again and without_head(one) != without_head(two)
    assert run("vngen", "waxman", env={"VNE_SEED": "1"}).stdout == one


@pytest.mark.parametrize("words, why", [
    (["nothing"], "'nothing' is unknown"), (["instance", "Q7"], "class 'Q7' is unknown"), (["instance"], "which class"),
    (["fat-tree", "--arity", "5"], "fat tree"), (["gnp", "--beta", "2"], "at most 1"), (["virne", "--load", "0"], "load"),
    (["waxman", "--cpu", "9-3"], "below"), (["gnp", "--nodes", "90", "--beta", "0.001"], "no connected graph"), ([], "what is to be made"),
    (["waxman", "extra"], "one word too many"), (["waxman", "--name", "a b"], "name"), (["waxman", "-d", "/no/such"], "/no/such"),
])
def test_wrong_words_of_vngen(words, why):
    assert why in run("vngen", *words, code=2).stderr


# ---- vnimport ------------------------------------------------------------------------------

@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda p: p.name)
def test_every_format_becomes_substrate_and_request(path, tmp_path):
    (tmp_path / "s.yaml").write_text(run("vnimport", path).stdout)
    embeds(tmp_path / "s.yaml")
    request = run("vnimport", "--as", "request", "--bandwidth", "1mbit", path).stdout
    assert load(request)["kind"] == "network"
    big = run("vngen", "gnp", "--nodes", 30, "--cpu", "1000", "--bandwidth", "100000", "--memory", "99999").stdout
    (tmp_path / "big.yaml").write_text(big)
    embeds(tmp_path / "big.yaml", request)


def test_zoo_file():
    done = run("vnimport", FILES / "zoo.gml", "--cpu", 4, "--scale", "0.01")
    made = load(done.stdout)
    assert made["name"] == "Smaland-Net"
    assert [n["name"] for n in made["nodes"]] == ["Vaxjo", "Vaxjo-2", "hub", "node"]
    assert made["nodes"][2]["routers"] == [] and made["nodes"][0]["location"] == [56.87767, 14.80906]
    assert [x["bandwidth"] for x in made["links"]] == ["25mbit", "1555kbit", "6221kbit", "340kbit"]
    assert made["links"][0]["delay"] == "538us"  # 107.6 km by the haversine formula
    assert "from a node to itself" in done.stderr
    assert "delay" not in load(run("vnimport", FILES / "zoo.gml", "--no-distance").stdout)["links"][0]


def test_virne_requests_become_a_trace(tmp_path):
    (tmp_path / "s.yaml").write_text(run("vngen", "waxman").stdout)
    later = tmp_path / "later.gml"
    later.write_text((FILES / "virne.gml").read_text().replace("arrival_time 27", "arrival_time 28.5"))
    trace = run("vnimport", "--as", "trace", FILES / "virne.gml", later).stdout
    assert [r["arrival"] for r in yaml.load_all(trace, Loader)] == ["27s", "28.5s"]
    assert '"accepted": 2' in run("vnsim", "-s", tmp_path / "s.yaml", "-t", "-", "-o", "json", stdin=trace).stdout


def test_rspec_links():
    made = load(run("vnimport", FILES / "request.rspec").stdout)
    assert made["links"][0] == {"endpoints": ["alpha", "beta"], "name": "direct", "bandwidth": "100mbit", "delay": "12.5ms"}
    assert [sorted(x["endpoints"])[-1] for x in made["links"][1:]] == ["lan0", "lan0", "lan0"]


def test_standard_input_and_format():
    text = (FILES / "isp.weights").read_text()
    assert load(run("vnimport", "--from", "weights", "-", stdin=text).stdout)["links"][1]["cost"] == 2.5
    assert load(run("vnimport", "-", stdin=text).stdout)["links"][1]["delay"] == "2.5ms"


@pytest.mark.parametrize("args, stdin, why", [
    (["-"], "nonsense", "<stdin>:1:1: not recognised"), (["/no/such/file"], "", "/no/such/file"),
    (["--from", "what", "-"], "", "'what' is unknown"), (["--as", "what", "-"], "", "'what' is unknown"), ([], "", "which file"),
    (["--bandwidth", "7", "-"], "", "--bandwidth"), (["--scale", "0", "-"], "", "--scale"), (["-", "-"], "", "a substrate is made of one"),
])
def test_wrong_words_of_vnimport(args, stdin, why):
    assert why in run("vnimport", *args, stdin=stdin, code=2).stderr


# ---- real substrates -----------------------------------------------------------------------

def test_there_are_a_dozen_topologies():
    assert len(TOPOLOGIES) >= 12


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda p: p.stem)
def test_topology_embeds_and_tells_its_origin(path):
    head = path.read_text().split("kind:", 1)[0]
    assert "Topology Zoo" in head and "CC-BY-4.0" in head
    assert '"status": "optimal"' in embeds(path)
    assert f"`{path.name}`" in (ROOT / "topologies/README.md").read_text()


@pytest.mark.skipif(not ZOO, reason="VNE_ZOO is not set: the whole Topology Zoo is not at hand")
def test_whole_zoo(tmp_path):
    for path in ZOO:
        (tmp_path / "s.yaml").write_text(run("vnimport", path).stdout)
        embeds(tmp_path / "s.yaml")
