/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Solvers against brute force, feature by feature; and what only a case made by hand shows. */
#include "tests/help_brute.h"

static void run(unsigned features, int cases)
{
	struct tally heuristic = { 0 }, mip = { 0 }, exact = { 0 }, automatic = { 0 };

	for (int i = 0; i < cases; i++) {
		struct one_case c;
		case_make(&c, features * 100003u + (unsigned)i, features);
		int64_t optimum = brute_force(&c, &c.left);
		/* The paths of a split link in time are few here: even these are decided, each and every one. */
		compare(&c, "heuristic", 200, optimum, false, &heuristic);
		compare(&c, "mip", 2500, optimum, true, &mip);
		compare(&c, "exact", 2500, optimum, true, &exact);
		if (i % 4 == 0 || features & F_PARALLEL)
			compare(&c, "auto", 2500, optimum, true, &automatic);
		case_done(&c);
	}
	/* The cases must be worth something, and the heuristic must not live on refusals. */
	assert_true(mip.feasible * 5 > cases);
	assert_true(mip.undecided == 0 && exact.undecided == 0 && automatic.undecided == 0);
	assert_true(heuristic.found * 10 >= heuristic.feasible * 9);
}

#define FEATURE_TEST(name, features, cases) \
	static void name(void **state) { run(features, cases); }

FEATURE_TEST(plain, 0, 60)
FEATURE_TEST(tight, F_TIGHT, 80)
FEATURE_TEST(free_hosts, F_FREE | F_TIGHT, 40)
FEATURE_TEST(delay, F_DELAY, 60)
FEATURE_TEST(pack, F_PACK, 60)
FEATURE_TEST(pack_tight, F_PACK | F_TIGHT | F_PORTS, 80)
FEATURE_TEST(split, F_SPLIT, 60)
FEATURE_TEST(split_pack, F_SPLIT | F_PACK, 40)
FEATURE_TEST(split_delay, F_SPLIT | F_DELAY, 60)
FEATURE_TEST(split_delay_pack, F_SPLIT | F_DELAY | F_PACK, 60)
FEATURE_TEST(split_delay_tight, F_SPLIT | F_DELAY | F_TIGHT | F_PACK | F_BEST_EFFORT, 150)
FEATURE_TEST(split_delay_parallel, F_SPLIT | F_DELAY | F_PARALLEL | F_PACK, 150)
FEATURE_TEST(split_delay_used, F_SPLIT | F_DELAY | F_USED, 60)
FEATURE_TEST(protection, F_PROTECT, 60)
FEATURE_TEST(protection_risks, F_PROTECT | F_RISKS, 60)
FEATURE_TEST(protection_delay, F_PROTECT | F_RISKS | F_DELAY | F_PACK, 60)
FEATURE_TEST(kinds, F_KINDS, 40)
FEATURE_TEST(place, F_PLACE, 60)
FEATURE_TEST(ports_memory, F_PORTS | F_MEMORY, 60)
FEATURE_TEST(uplinks, F_UPLINKS | F_KINDS, 40)
FEATURE_TEST(balance, F_BALANCE | F_USED, 60)
FEATURE_TEST(balance_everything, F_BALANCE | F_USED | F_DELAY | F_PROTECT | F_PACK | F_BEST_EFFORT, 60)
FEATURE_TEST(balance_split, F_BALANCE | F_SPLIT | F_USED, 40)
FEATURE_TEST(best_effort, F_BEST_EFFORT, 40)
FEATURE_TEST(best_effort_delay, F_BEST_EFFORT | F_DELAY | F_TIGHT, 60)
FEATURE_TEST(best_effort_protected, F_BEST_EFFORT | F_PROTECT | F_DELAY | F_RISKS, 60)
FEATURE_TEST(used, F_USED, 50)
FEATURE_TEST(used_everything, F_USED | F_DELAY | F_PROTECT | F_BEST_EFFORT | F_PACK, 60)
FEATURE_TEST(everything, F_DELAY | F_MEMORY | F_PORTS | F_BEST_EFFORT | F_KINDS, 60)
FEATURE_TEST(everything_packed, F_DELAY | F_PROTECT | F_PLACE | F_MEMORY | F_BEST_EFFORT | F_RISKS | F_PACK, 60)

static enum solve_status solve(struct one_case *c, const char *solver, int64_t effort, double *ret_cost, char *ret_reason)
{
	struct embed_options options = { .solver = solver, .effort = effort, .seed = 7 };
	struct solution answer = { 0 };
	struct err err = { 0 };

	assert_int_equal(embed_solve(&c->s, &c->left, &c->r, &options, &answer, &err), 0);
	enum solve_status status = answer.status;
	*ret_cost = answer.has_embedding ? answer.cost : -1;
	if (ret_reason)
		snprintf(ret_reason, sizeof(answer.reason), "%s", answer.reason);
	solution_done(&answer);
	return status;
}

static const char *const provers[] = { "mip", "exact", "auto" };

/* The quick link is too narrow, both together are slow only in the mean. */
static void split_delay_by_hand(void **state)
{
	struct one_case c = { 0 };
	double cost;

	buf_printf(&c.substrate, "kind: substrate\nname: tiny\nnodes:\n  - {name: n0, cpu: 1}\n  - {name: n1, cpu: 2, routers: [netns]}\n"
	           "links:\n  - {name: l0, endpoints: [n0, n1], bandwidth: 10mbit, delay: 8ms}\n"
	           "  - {name: l1, endpoints: [n0, n1], bandwidth: 10mbit, delay: 0ms}\n");
	buf_printf(&c.request, "kind: network\nname: tiny\nplacement: pack\nnodes:\n  - {name: r0, cpu: 2}\n  - {name: r1, cpu: 0.5}\n"
	           "links:\n  - {name: v0, endpoints: [r1, r0], bandwidth: 8mbit}\n"
	           "  - {name: v1, endpoints: [r0, r1], bandwidth: 0mbit, paths: split}\n"
	           "  - {name: v2, endpoints: [r0, r1], bandwidth: 12mbit, max_delay: 3ms, paths: split}\n");
	case_parse(&c);
	residual_init(&c.left, &c.s);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(solve(&c, provers[i], 2500, &cost, NULL), SOLVE_INFEASIBLE);
	case_done(&c);
}

/* n links of 10mbit side by side, the k-th for k each, one of them too slow; a split of `mbit` over them. */
static void make_parallel(struct one_case *c, int n, int mbit)
{
	*c = (struct one_case){ 0 };
	buf_printf(&c->substrate, "kind: substrate\nname: tiny\nnodes:\n  - {name: n0, cpu: 1}\n  - {name: n1, cpu: 1}\nlinks:\n");
	for (int k = 1; k <= n; k++)
		buf_printf(&c->substrate, "  - {name: l%d, endpoints: [n0, n1], bandwidth: 10mbit, delay: %dms, cost: %d}\n", k, k == 1 ? 9 : 1, k);
	buf_printf(&c->request, "kind: network\nname: tiny\nnodes:\n  - {name: r0, cpu: 1}\n  - {name: r1, cpu: 1}\n"
	           "links:\n  - {endpoints: [r0, r1], bandwidth: %dmbit, max_delay: 3ms, paths: split}\n", mbit);
	case_parse(c);
	residual_init(&c->left, &c->s);
}

/* Eight paths carry 80 Mbit/s and no more, though eleven are in time. */
static void split_more_than_eight(void **state)
{
	struct one_case c;
	double cost;

	for (size_t i = 0; i < 3; i++) {
		make_parallel(&c, 12, 75);
		assert_int_equal(solve(&c, provers[i], 20000, &cost, NULL), SOLVE_OPTIMAL);
		assert_true(fabs(cost - (2 + 10 * (2 + 3 + 4 + 5 + 6 + 7 + 8) + 5 * 9)) < 1e-6);
		case_done(&c);
		make_parallel(&c, 12, 81);
		assert_int_equal(solve(&c, provers[i], 20000, &cost, NULL), SOLVE_INFEASIBLE);
		case_done(&c);
	}
}

/* More paths than are weighed one by one, and none of the eight widest is wide enough: no limit is near, and
 * none is blamed. */
static void undecided_says_why(void **state)
{
	struct one_case c;
	char reason[sizeof(((struct solution *)NULL)->reason)];
	double cost;

	for (size_t i = 0; i < 3; i++) {
		make_parallel(&c, 450, 81);
		assert_int_equal(solve(&c, provers[i], 1000000, &cost, reason), SOLVE_UNKNOWN);
		assert_non_null(strstr(reason, "undecided, though no limit came"));
		case_done(&c);
	}
	/* An embedding in hand goes into such a model all the same. */
	for (size_t i = 0; i < 3; i++) {
		make_parallel(&c, 450, 75);
		enum solve_status status = solve(&c, provers[i], 100000, &cost, NULL);
		assert_true(status == SOLVE_OPTIMAL || status == SOLVE_FEASIBLE);
		case_done(&c);
	}
	make_parallel(&c, 450, 81);
	assert_int_equal(solve(&c, "mip", 1, &cost, reason), SOLVE_UNKNOWN);
	assert_non_null(strstr(reason, "the limit came before"));
	case_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain), cmocka_unit_test(tight), cmocka_unit_test(free_hosts), cmocka_unit_test(delay),
		cmocka_unit_test(pack), cmocka_unit_test(pack_tight), cmocka_unit_test(split), cmocka_unit_test(split_pack),
		cmocka_unit_test(split_delay), cmocka_unit_test(split_delay_pack), cmocka_unit_test(split_delay_tight),
		cmocka_unit_test(split_delay_parallel), cmocka_unit_test(split_delay_used), cmocka_unit_test(split_delay_by_hand),
		cmocka_unit_test(split_more_than_eight), cmocka_unit_test(undecided_says_why),
		cmocka_unit_test(protection), cmocka_unit_test(protection_risks),
		cmocka_unit_test(protection_delay), cmocka_unit_test(kinds), cmocka_unit_test(place),
		cmocka_unit_test(ports_memory), cmocka_unit_test(best_effort), cmocka_unit_test(best_effort_delay),
		cmocka_unit_test(best_effort_protected), cmocka_unit_test(used), cmocka_unit_test(used_everything), cmocka_unit_test(everything), cmocka_unit_test(everything_packed),
		cmocka_unit_test(uplinks), cmocka_unit_test(balance), cmocka_unit_test(balance_everything), cmocka_unit_test(balance_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
