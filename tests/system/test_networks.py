# SPDX-License-Identifier: GPL-3.0-or-later
"""A request's whole way over the real Abilene: file, embedding, kernel, traffic, load, release."""
import json

import pytest

from lab import TOPOLOGIES, check_schema, eventually

REQUESTS = TOPOLOGIES / "requests"


@pytest.fixture(scope="module")
def networks(abilene):
    views = {}
    for name in ("ring", "chain"):
        abilene.vnctl("submit", REQUESTS / f"{name}.yaml", "--wait", "active")
        views[name] = abilene.ask("show", name)
    return views


def loopback(router):
    return router["loopbacks"][0].split("/")[0]


def test_submitted_networks_are_active(abilene, networks):
    for name, view in networks.items():
        assert view["state"] == "active"
        # each router's own state comes with its agent's next report
        eventually(lambda: all(r.get("state") == "running" for r in abilene.ask("show", name)["routers"]))


def test_routers_are_where_they_were_wanted(networks):
    ring = {r["name"]: r["node"] for r in networks["ring"]["routers"]}
    assert ring["west"] == "seat" and ring["gulf"] == "hous"
    assert ring["lakes"] in ("chic", "indi") and ring["capital"] in ("wash", "newy") and ring["angeles"] in ("losa", "sunn")
    chain = {r["name"]: r["node"] for r in networks["chain"]["routers"]}
    assert chain == {"east": "newy", "m1": "kans", "m2": "sunn", "coast": "losa"}  # the delay bounds leave nothing else


def test_costs_are_the_optimal_ones(networks):
    assert networks["ring"]["cost"] == pytest.approx(202.5)  # 10 links × 20 mbit + 5 × 0.5 cores
    assert networks["chain"]["cost"] == pytest.approx(61)    # 6 links × 10 mbit + 4 × 0.25 cores
    for view in networks.values():
        assert view["bound"] <= view["cost"] + 1e-6


def test_delays_are_within_their_bounds(networks):
    for link in networks["chain"]["links"]:
        assert 0 < link["delay_us"] <= link["max_delay_us"]


def test_graph(abilene, networks):
    """Text that Graphviz takes, and pictures by it; a network's routers and paths stand in it."""
    name, view = sorted(networks.items())[0]
    text = abilene.vnctl("graph", name).out
    assert all(f'"router {r["name"]}" [shape=box' in text for r in view["routers"])
    assert all(f'label="{link["name"]} ' in text for link in view["links"] if link["paths"])
    svg = abilene.vnctl("-o", "svg", "graph", name).out
    assert svg.count("<svg") == 1 and all(f">{n['name']} (" in svg for n in abilene.ask("nodes"))
    assert abilene.vnctl("graph").out.count(" -- ") == len(abilene.ask("links"))
    assert "no network is named" in abilene.vnctl("graph", "nothing", code=1).err
    assert "only a graph" in abilene.vnctl("-o", "svg", "list", code=2).err


@pytest.mark.parametrize("name", ["ring", "chain"])
def test_every_router_reaches_every_other(abilene, networks, name):
    routers = networks[name]["routers"]
    for router in routers:
        others = " ".join(loopback(r) for r in routers if r is not router)
        abilene.in_router(name, router["name"], f"for a in {others}; do ping -n -q -c 1 -W 3 $a || exit 1; done")


def test_large_packets_pass_unfragmented(abilene, networks):
    peer = loopback(networks["ring"]["routers"][2])
    abilene.in_router("ring", "west", f"ping -n -q -M do -s 1472 -c 2 -i 0.1 -W 3 {peer}")  # 1500 bytes of IP


def echos(lab, network, router):
    out = lab.in_router(network, router, "grep ^Icmp: /proc/net/snmp").out
    names, values = (line.split() for line in out.splitlines()[:2])
    return int(values[names.index("InEchos")])


def test_same_addresses_but_apart(abilene, networks):
    chain, ring = networks["chain"]["routers"], networks["ring"]["routers"]
    assert [loopback(r) for r in chain] == [loopback(r) for r in ring[:4]]
    before = echos(abilene, "chain", "m1"), echos(abilene, "ring", "angeles")
    abilene.ping("chain", "east", loopback(chain[1]), count=4)
    assert (echos(abilene, "chain", "m1"), echos(abilene, "ring", "angeles")) == (before[0] + 4, before[1])
    # the ring's fifth router has an address that the chain lacks
    alone = f"ping -n -q -c 2 -i 0.05 -W 1 {loopback(ring[4])}"
    assert abilene.in_router("chain", "east", alone, code=None).code != 0


def frames(lab):
    links = lab.ask("links")
    found = {}
    for node in {n for link in links for n in link["endpoints"]}:
        names = [link["name"] for link in links if node in link["endpoints"]]
        out = lab.on_node(node, "cat", *(f"/sys/class/net/{n}/statistics/tx_packets" for n in names)).out
        found.update({(node, n): int(v) for n, v in zip(names, out.split())})
    return found


def test_traffic_takes_the_pinned_path_and_no_other(abilene, networks):
    for link in networks["ring"]["links"] + networks["chain"]["links"]:
        view = networks["ring"] if link in networks["ring"]["links"] else networks["chain"]
        (path,) = link["paths"]
        before = frames(abilene)
        abilene.in_router(view["name"], link["endpoints"][0],
                          f"ping -n -q -c 100 -i 0.002 -W 2 {link['addresses'][1].split('/')[0]}")
        sent = {end: n - before[end] for end, n in frames(abilene).items()}  # agents probe each link ten times a second
        assert all(n >= 100 for (_, name), n in sent.items() if name in path["links"]), (link["name"], sent)
        assert all(n < 50 for (_, name), n in sent.items() if name not in path["links"]), (link["name"], sent)


def test_loads_arrive(abilene, networks):
    eventually(lambda: all("cpu_used_ratio" in n for n in abilene.ask("nodes")))
    before = sum(abilene.ask("show", "ring")["links"][0]["bytes"])
    ring = networks["ring"]
    abilene.ping("ring", ring["links"][0]["endpoints"][0], ring["links"][0]["addresses"][1].split("/")[0], count=20)
    # 20 echoes and answers of 84 bytes of IP, 14 of Ethernet, 50 of encapsulation
    eventually(lambda: sum(abilene.ask("show", "ring")["links"][0]["bytes"]) >= before + 40 * 148)


def test_json_is_as_its_schema_says(abilene, networks):
    check_schema("network", abilene.ask("show", "ring"))
    for command, schema in (("list", "network"), ("nodes", "node"), ("links", "slink"), ("events", "event")):
        answer = abilene.ask(command)
        assert answer
        check_schema(schema, answer, many=True)
    check_schema("audit", abilene.ask("audit"))


def test_exec_passes_streams_and_code(abilene, networks):
    done = abilene.vnctl("exec", "ring", "west", "--", "sh", "-c", "cat; echo oops >&2; exit 7", stdin="hello\n" * 2000, code=7)
    assert done.out == "hello\n" * 2000 and done.err == "oops\n"
    assert abilene.in_router("ring", "west", "hostname").out.strip() == "west"


def test_too_big_is_refused_with_the_reason(abilene, networks):
    done = abilene.vnctl("submit", REQUESTS / "toobig.yaml", code=1)
    assert "r3" in done.err and "64" in done.err
    assert "; it would fit with r3: cpu 64 → " in done.err
    assert {n["name"] for n in abilene.ask("list") if n["state"] == "active"} == {"ring", "chain"}


def test_what_was_refused_is_told_in_json_too(abilene, networks):
    done = abilene.vnctl("-o", "json", "submit", REQUESTS / "toobig.yaml", code=1)
    (view,) = json.loads(done.out)
    check_schema("network", view)
    assert view["state"] == "rejected" and "r3" in view["reason"]


def test_several_requests_in_one_file(abilene, networks):
    """Each has its result; the worst code is the file's."""
    good = (REQUESTS / "chain.yaml").read_text().replace("name: chain", "name: second")
    done = abilene.vnctl("-o", "json", "submit", "-", stdin=good + "---\n" + (REQUESTS / "toobig.yaml").read_text(), code=1)
    assert [v["state"] for v in json.loads(done.out)] == ["active", "rejected"]
    abilene.vnctl("release", "second")


def test_same_name_again_is_refused(abilene, networks):
    assert "chain" in abilene.vnctl("submit", REQUESTS / "chain.yaml", code=1).err


def test_bad_yaml_names_its_places(abilene, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("kind: network\nname: bad\nnodes:\n  - {name: r1, cpu: 1}\n  - {name: r2, cpuu: 1}\n"
                    "links:\n  - {endpoints: [r1, r3], bandwidth: 10}\n")
    done = abilene.vnctl("submit", file, code=2)
    lines = done.err.splitlines()
    assert any(line.startswith(f"{file}:5:") and "cpu" in line for line in lines), done
    assert any(line.startswith(f"{file}:7:") and "r3" in line for line in lines), done
    assert any(line.startswith(f"{file}:7:") and "10" in line for line in lines), done
    assert abilene.vnctl("submit", tmp_path / "none.yaml", code=2).err


def test_plan_changes_nothing(abilene, networks):
    before = abilene.ask("links")
    text = (REQUESTS / "chain.yaml").read_text().replace("name: chain", "name: other")
    done = abilene.vnctl("-o", "json", "plan", "-", stdin=text)
    (view,) = json.loads(done.out)
    assert view["cost"] == pytest.approx(61)
    assert abilene.state("other") is None
    assert [link["reserved_mbit"] for link in abilene.ask("links")] == [link["reserved_mbit"] for link in before]


def test_unknown_names_are_refused(abilene):
    assert "nosuch" in abilene.vnctl("show", "nosuch", code=1).err
    assert "nosuch" in abilene.vnctl("release", "nosuch", code=1).err


def test_the_map_shows_the_routers(abilene, networks):
    out = abilene.vnctl("show", "chain").out
    for where in ("newy[east]", "kans[m1]", "sunn[m2]", "losa[coast]", "seat", "•"):
        assert where in out
    assert all(len(line) <= 200 for line in out.splitlines())


def test_events_tell_the_story(abilene, networks):
    told = [(e["object"].split("/")[-1], e["what"]) for e in abilene.ask("events")]
    assert any(o == "ring" and "active" in what for o, what in told)
    assert any(o == "toobig" for o, what in told)


def test_promises_hold_under_probe(abilene, networks):
    done = abilene.vnctl("-o", "json", "audit", "--probe", "chain", seconds=120)
    check_schema("audit", json.loads(done.out))
    links = json.loads(done.out)["links"]
    assert len(links) == 6
    for link in links:
        assert link["verdict"] == "ok" and link["delay"] == "not measured"
        assert 0.98 * 10 <= link["tcp_mbit"] <= 1.02 * 10
        assert link["udp_mbit"] <= 1.02 * 10 and link["udp_drops"] > 0
        assert link["tcp_payload_mbit"] < link["tcp_mbit"]


def test_release_leaves_the_other_alone_and_nothing_behind(abilene, networks):
    used = {n for link in networks["chain"]["links"] for p in link["paths"] for n in p["via"]}
    abilene.vnctl("release", "ring")
    for node in {n["name"] for n in abilene.ask("nodes")} - used:
        assert abilene.bare(node), (node, abilene.devices_on(node))
    abilene.ping("chain", "east", loopback(networks["chain"]["routers"][3]))
    abilene.vnctl("release", "chain")
    for node in used:
        assert abilene.bare(node), (node, abilene.devices_on(node))
    assert all(link["reserved_mbit"] == 0 for link in abilene.ask("links"))
    assert all(n["cpu_reserved"] == 0 for n in abilene.ask("nodes"))
