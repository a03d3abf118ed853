# SPDX-License-Identifier: GPL-3.0-or-later
"""Scale: what one vned bears of agents, requests and networks, with the limits beside. See bench_agents.c."""
import json

from common import BUILD, run, table

row = table("scale", "what", "measured", "asked", "ratio", "note")


def figures(agents, idle, rate, seconds):
    return json.loads(run(BUILD / "tests/bench/bench_agents", agents, idle, rate, seconds, timeout=600))


def limit(what, at, asked, note="", digits=1):
    row(what, f"{at:.{digits}f}", asked, f"{at / asked:.2f}", note)


def bench():
    print("agents that do at once what they are told, a report and a heartbeat a second each, CURVE on; requests of 2 to 5 routers")
    one = figures(1000, 10, 100, 30)
    limit("1000 agents: of one core, %", one["idle_cpu_percent"], 15)
    limit("1000 agents: memory, MiB", one["idle_rss_mib"], 150, f"with {one['active']} networks: {one['after_rss_mib']}, at most {one['peak_rss_mib']}")
    row(f"the same with {one['active']} networks: of one core, %", f"{one['after_cpu_percent']:.1f}", "", "", "every router and port in the reports")
    limit("requests active over 1000 nodes, a second", one["active_per_s"], 100,
          f"{one['active']} of {one['requests']}; p50 {one['p50_ms']:.0f} ms, p95 {one['p95_ms']:.0f} ms, of it solving {one['solve_mean_ms']:.1f} ms; "
          f"vned {one['load_cpu_percent']:.0f} % of a core")
    few = figures(20, 3, 100, 2)
    limit("vned killed, back, 200 networks on 20 nodes reconciled, s", few["restart_s"], 2,
          f"{few['restart_active']} active, {few['restart_ensures']} sent anew", 3)
    row(f"the same with {one['active']} networks on 1000 nodes, s", f"{one['restart_s']:.2f}", "", "", f"{one['restart_ensures']} sent anew")
    many = figures(4000, 5, 0, 0)
    for what, key in (("of one core, %", "idle_cpu_percent"), ("memory, MiB", "idle_rss_mib"), ("all connected, s", "connect_s")):
        row(f"4000 agents: {what}", many[key], "", f"{many[key] / one[key]:.1f}", "to 1000")
