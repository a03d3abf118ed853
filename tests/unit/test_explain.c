/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reasons and relaxations where the right ones are known: two triangles joined by one narrow, slow link. */
#include "tests/help_model.h"

#include <stdio.h>

#include "embed/embed.h"

static const char two_cities[] =
	"kind: substrate\nname: two\nnodes:\n"
	"  - {name: a, cpu: 16, memory: 4GiB, routers: [netns]}\n  - {name: b, cpu: 16, memory: 4GiB}\n"
	"  - {name: c, cpu: 8, memory: 4GiB}\n  - {name: d, cpu: 16, memory: 4GiB}\n"
	"  - {name: e, cpu: 16, memory: 4GiB}\n  - {name: f, cpu: 16, memory: 4GiB}\n"
	"links:\n"
	"  - {endpoints: [a, b], bandwidth: 1gbit, delay: 1ms}\n  - {endpoints: [b, c], bandwidth: 1gbit, delay: 1ms}\n"
	"  - {endpoints: [a, c], bandwidth: 1gbit, delay: 1ms}\n  - {endpoints: [d, e], bandwidth: 1gbit, delay: 1ms}\n"
	"  - {endpoints: [e, f], bandwidth: 1gbit, delay: 1ms}\n  - {endpoints: [d, f], bandwidth: 1gbit, delay: 1ms}\n"
	"  - {endpoints: [c, d], bandwidth: 300mbit, delay: 9ms}\n";

struct known {
	const char *nodes, *links;
	const char *reason; /* part of it */
	const char *relax;
};

static const struct known all[] = {
	{ "{name: r1, cpu: 64}, {name: r2, cpu: 1}", "{endpoints: [r1, r2], bandwidth: 10mbit}",
	  "r1 needs cpu 64; the largest of its 6 candidates has 16", "r1: cpu 64 → 16" },
	{ "{name: r1, cpu: 1, memory: 16GiB}, {name: r2, cpu: 1}", "{endpoints: [r1, r2], bandwidth: 10mbit}",
	  "r1 needs memory 16GiB", "r1: memory 16GiB → 4GiB" },
	{ "{name: r1, cpu: 1, place: {on: [a, b]}}, {name: r2, cpu: 1, place: {on: [d, e]}}, {name: r3, cpu: 1, place: {on: [a, b, c]}}, "
	  "{name: r4, cpu: 1, place: {on: [f, e]}}",
	  "{endpoints: [r1, r2], bandwidth: 200mbit}, {endpoints: [r3, r4], bandwidth: 220mbit}",
	  "the cut {a, b, c} | rest has 300mbit left, 420mbit must cross: r1-r2, r3-r4", "r3-r4: 220mbit → 100mbit" },
	{ "{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [d]}}", "{endpoints: [r1, r2], bandwidth: 10mbit, max_delay: 5ms}",
	  "the quickest path with enough bandwidth left between candidates of its ends takes 10ms", "r1-r2: max_delay 5ms → 10ms" },
	{ "{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [d]}}", "{endpoints: [r1, r2], bandwidth: 10mbit, protection: link}",
	  "r1-r2 is protected and must cross the cut {a, b, c} | rest", "r1-r2: protection dropped" },
	{ "{name: r1, cpu: 1}, {name: r2, cpu: 1}, {name: r3, cpu: 1}, {name: r4, cpu: 1}, {name: r5, cpu: 1}, {name: r6, cpu: 1}",
	  "{endpoints: [r1, r2], bandwidth: 200mbit}, {endpoints: [r2, r3], bandwidth: 200mbit}, {endpoints: [r3, r4], bandwidth: 200mbit}, "
	  "{endpoints: [r4, r5], bandwidth: 200mbit}, {endpoints: [r5, r6], bandwidth: 200mbit}, {endpoints: [r6, r1], bandwidth: 200mbit}",
	  "rest has 300mbit left, 400mbit must cross however the routers are divided", "200mbit → 100mbit" },
	{ "{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [b]}}, {name: r3, cpu: 1, place: {on: [c]}}",
	  "{endpoints: [r1, r2], bandwidth: 700mbit, name: x}, {endpoints: [r1, r3], bandwidth: 600mbit, name: y}, "
	  "{endpoints: [r1, r3], bandwidth: 650mbit, name: z}",
	  "the cut {a} | rest has 2gbit left on 2 links, the widest 1gbit: not in pieces that carry what must cross: x, y, z", "z: 650mbit → 400mbit" },
	{ "{name: r1, cpu: 1, router: xen, place: {on: [a]}}, {name: r2, cpu: 1}", "{endpoints: [r1, r2], bandwidth: 10mbit}",
	  "r1 has no candidate", "r1: any kind of router" },
	{ "{name: r1, cpu: 1, realtime: {period: 10ms, budget: 2ms}, place: {on: [b]}}, {name: r2, cpu: 1}",
	  "{endpoints: [r1, r2], bandwidth: 10mbit}", "r1 needs realtime 0.2; b has no real-time scheduler", "" },
	{ "{name: r1, cpu: 1, place: {labels: {site: moon}}}, {name: r2, cpu: 1}", "{endpoints: [r1, r2], bandwidth: 10mbit}",
	  "r1 has no candidate", "r1: place dropped" },
	{ "{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [a]}}", "{endpoints: [r1, r2], bandwidth: 10mbit}",
	  "r1 and r2 need 2 distinct nodes; only 1 can host them: a", "placement: distinct → pack" },
};

static struct solution explained(const struct substrate *s, const struct residual *left, const struct known *k, const char *solver,
                                 bool explain)
{
	mem_auto char *text = mem_printf("kind: network\nname: n\nnodes: [%s]\nlinks: [%s]\n", k->nodes, k->links);
	struct request r = help_request(text);
	struct embed_options options = { .solver = solver, .effort = 20000, .seed = 1, .explain = explain };
	struct solution answer = { 0 };
	struct err err = { 0 };

	if (embed_solve(s, left, &r, &options, &answer, &err) != 0)
		fail_msg("%s", err.text);
	request_done(&r);
	return answer;
}

static void test_known(void **state)
{
	static const char *const solvers[] = { "heuristic", "exact", "auto" };
	struct substrate s = help_substrate(two_cities);
	struct residual left;

	residual_init(&left, &s);
	for (size_t i = 0; i < ARRAY_LEN(all) * ARRAY_LEN(solvers); i++) {
		const struct known *k = &all[i % ARRAY_LEN(all)];
		struct solution answer = explained(&s, &left, k, solvers[i / ARRAY_LEN(all)], true);
		assert_int_equal(answer.status, SOLVE_INFEASIBLE);
		assert_int_equal(answer.scope, SCOPE_NEVER);
		if (!strstr(answer.reason, k->reason) || !strstr(answer.relax, k->relax))
			fail_msg("%s: \"%s\" (expected \"%s\"), \"%s\" (expected \"%s\")", solvers[i / ARRAY_LEN(all)], answer.reason, k->reason,
			         answer.relax, k->relax);
		solution_done(&answer);
	}
	residual_done(&left);
	substrate_done(&s);
}

/* What is free today decides between "now" and "never", and the relaxation is for today. */
static void test_now(void **state)
{
	struct substrate s = help_substrate(two_cities);
	struct known one = { "{name: r1, cpu: 10}, {name: r2, cpu: 1}", "{endpoints: [r1, r2], bandwidth: 10mbit}", "", "" };
	struct residual left;

	residual_init(&left, &s);
	for (size_t a = 0; a < s.n_nodes; a++)
		left.node[a][RES_CPU_MILLI] = 6000;
	struct solution answer = explained(&s, &left, &one, "heuristic", true);
	assert_int_equal(answer.status, SOLVE_INFEASIBLE);
	assert_int_equal(answer.scope, SCOPE_NOW);
	assert_string_equal(answer.relax, "r1: cpu 10 → 6");
	solution_done(&answer);
	answer = explained(&s, &left, &one, "heuristic", false);
	assert_string_equal(answer.relax, "");
	solution_done(&answer);
	residual_done(&left);
	substrate_done(&s);
}

/* Where nothing single helps, all bandwidths together may. */
static void test_all_bandwidths(void **state)
{
	struct substrate s = help_substrate("kind: substrate\nname: s\nnodes: [{name: a, cpu: 1}, {name: b, cpu: 1}, {name: c, cpu: 1}]\n"
	                                    "links: [{endpoints: [a, b], bandwidth: 10mbit}, {endpoints: [b, c], bandwidth: 10mbit}]\n");
	struct known k = { "{name: r1, cpu: 1, place: {on: [a]}}, {name: r2, cpu: 1, place: {on: [b]}}, {name: r3, cpu: 1, place: {on: [c]}}",
	                   "{endpoints: [r1, r2], bandwidth: 20mbit}, {endpoints: [r2, r3], bandwidth: 20mbit}", "", "" };
	struct residual left;

	residual_init(&left, &s);
	struct solution answer = explained(&s, &left, &k, "exact", true);
	assert_int_equal(answer.status, SOLVE_INFEASIBLE);
	assert_non_null(strstr(answer.relax, "every bandwidth to "));
	double percent = strtod(answer.relax + strlen("every bandwidth to "), NULL);
	assert_true(percent <= 50 && percent > 45);
	solution_done(&answer);
	residual_done(&left);
	substrate_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_now),
		cmocka_unit_test(test_all_bandwidths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
