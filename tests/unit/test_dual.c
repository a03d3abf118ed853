/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dual ascent, its pair costs and the tabu search against every placement of tiny requests: bounds never above the
 * cheapest, nothing taken away that it needs, and what is told of a placement true. */
#include "tests/help_brute.h"

#include "embed/dual.h"
#include "embed/tabu.h"

static bool always(void *arg, uint64_t arcs)
{
	return true;
}

struct all {
	const struct problem *p;
	const struct pairs *pairs;
	double unit;
	uint32_t host[MAX_V], best_host[MAX_V];
	double best; /* in parts; INFINITY: no placement */
};

/* In parts, each cost rounded down as the dual does. */
static double cost_of(const struct all *a, const uint32_t *host)
{
	const struct request *r = a->p->r;
	double sum = 0;

	for (uint32_t u = 0; u < r->n_nodes; u++)
		sum += floor((double)r->nodes[u].demand[RES_CPU_MILLI] * (double)a->p->node_weight[host[u]] / a->unit * DUAL_PARTS);
	for (uint32_t k = 0; k < r->n_links; k++)
		sum += floor(pairs_cost(a->pairs, k, host[r->links[k].a], host[r->links[k].b]) / a->unit * DUAL_PARTS);
	return sum;
}

static void place_all(struct all *a, uint32_t u)
{
	if (u == a->p->r->n_nodes) {
		double cost = cost_of(a, a->host);
		if (cost < a->best) {
			a->best = cost;
			memcpy(a->best_host, a->host, sizeof(a->host));
		}
		return;
	}
	for (size_t i = 0; i < a->p->cand[u].n; i++) {
		bool taken = false;
		a->host[u] = a->p->cand[u].v[i];
		for (uint32_t v = 0; v < u; v++)
			taken = taken || a->host[v] == a->host[u];
		if (!taken)
			place_all(a, u + 1);
	}
}

static bool can_still(const struct dual *d, uint32_t u, uint32_t host, uint32_t *ret_i)
{
	for (uint32_t i = 0; i < d->n[u]; i++)
		if (d->host[d->at[u] + i] == host && d->unary[d->at[u] + i] < DUAL_NONE) {
			*ret_i = i;
			return true;
		}
	return d->n[u] == 0 && d->fixed[u] == host;
}

struct seen {
	const struct all *a;
	int found;
	double least;
};

static int64_t see(void *arg, const uint32_t *host, int64_t cost)
{
	struct seen *seen = arg;

	assert_true(fabs(cost_of(seen->a, host) - (double)cost) < 0.5);
	seen->found++;
	seen->least = (double)cost < seen->least ? (double)cost : seen->least;
	return DUAL_MOST - 1;
}

/* Down the branch of the cheapest placement: it is never cut off at its own cost. */
static void descend(const struct all *a, const struct dual *d, int64_t best)
{
	struct dual child = { 0 };

	for (uint32_t u = 0; u < a->p->r->n_nodes; u++) {
		uint32_t i = 0;
		assert_true(can_still(d, u, a->best_host[u], &i));
		if (d->n[u] == 0)
			continue;
		assert_true(dual_fix(d, u, i, best, &child));
		assert_true(dual_ascend(&child, 3, 1, best, always, NULL));
		assert_true(child.bound <= best);
		descend(a, &child, best);
		break;
	}
	dual_done(&child);
}

static bool run_case(uint64_t seed, unsigned features)
{
	struct one_case c;
	struct problem p;
	struct pairs pairs = { 0 };
	struct dual_shape shape;
	struct dual root = { 0 };
	struct err why = { 0 };
	struct rng rng;
	double most;

	case_make(&c, seed, features);
	bool sound = problem_init(&p, &c.s, &c.left, &c.r, OBJECTIVE_COST, &why) == 0;
	if (sound) {
		assert_true(pairs_init(&pairs, &p, NULL, always, NULL));
		struct all a = { .p = &p, .pairs = &pairs, .unit = problem_unit(&p, &most), .best = INFINITY };
		dual_shape_init(&shape, &p);
		dual_init(&root, &shape, &pairs, a.unit, DUAL_PARTS);
		dual_sharpen(&root, &pairs, DUAL_MOST - 1, always, NULL);
		place_all(&a, 0);
		struct seen seen = { .a = &a, .least = INFINITY };
		rng_init(&rng, seed);
		struct tabu_ask ask = { .starts = 6, .steps = 30, .rng = &rng, .found = see, .go_on = always, .arg = &seen };
		tabu_search(&root, &ask, DUAL_MOST - 1);
		assert_true(seen.least >= a.best);
		sound = isfinite(a.best);
		int64_t best = sound ? (int64_t)a.best : DUAL_MOST - 1;
		bool left = dual_ascend(&root, 20, 1, best, always, NULL);
		if (sound) {
			assert_true(left);
			assert_true(root.bound <= best);
			descend(&a, &root, best);
		}
		dual_done(&root);
		dual_shape_done(&shape);
		pairs_done(&pairs);
	}
	problem_done(&p);
	case_done(&c);
	return sound;
}

static void run_all(unsigned features)
{
	int sound = 0;

	for (uint64_t seed = 0; seed < 300; seed++)
		sound += run_case(seed + features * 1000, features);
	assert_true(sound > 40);
}

static void single(void **state) { run_all(0); }
static void tight(void **state) { run_all(F_TIGHT | F_USED); }
static void delays(void **state) { run_all(F_DELAY | F_BEST_EFFORT); }
static void splits(void **state) { run_all(F_SPLIT | F_TIGHT); }
static void protection(void **state) { run_all(F_PROTECT | F_RISKS); }

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(single), cmocka_unit_test(tight), cmocka_unit_test(delays),
	                                    cmocka_unit_test(splits), cmocka_unit_test(protection) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
