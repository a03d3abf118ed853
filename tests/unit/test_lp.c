/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fence around GLPK: relaxations that grow column by column and row by row against ones solved at once, and
 * every kind of failure at every attempt. */
#include <math.h>
#include <string.h>

#include "tests/help_model.h"

#include "embed/lp.h"
#include "embed/rng.h"

static const struct lp_relax plain = { .time_limit_s = INFINITY, .memory_mib = 256 };

/* A random program that is feasible (x = 0) and bounded (x <= 5): maximise, so costs are negative. */
static void random_cols(struct lp *lp, struct rng *rng, int n)
{
	while (n-- > 0)
		lp_add_col(lp, 0, 5, -(double)rng_below(rng, 20), false);
}

static void random_row(struct lp *lp, struct rng *rng)
{
	int row = lp_add_row(lp, -LP_INF, 3 + rng_below(rng, 20));

	for (int col = 0; col < (int)lp->n_cols; col++)
		lp_put(lp, row, col, rng_below(rng, 2) ? 1 + rng_below(rng, 5) : 0);
}

static double at_once(const struct lp *lp)
{
	struct lp_point fresh = { 0 };
	struct err err = { 0 };

	assert_int_equal(lp_relax(lp, &plain, &fresh, &err), LP_OPTIMAL);
	double value = fresh.value;
	lp_point_done(&fresh);
	return value;
}

static void prices_fit_the_value(const struct lp *lp, const struct lp_point *at)
{
	double cost = 0;

	for (size_t j = 0; j < lp->n_cols; j++) {
		cost += at->x[j] * lp->cols[j].cost;
		assert_true(at->x[j] > -1e-6 && at->x[j] < 5 + 1e-6);
	}
	assert_true(fabs(cost - at->value) < 1e-6 * (1 + fabs(cost)));
	for (size_t i = 0; i < lp->n_rows; i++)
		assert_true(at->price[i] < 1e-6);
}

static void what_grows_ends_where_the_whole_does(void **state)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct lp lp = { 0 };
		struct lp_point at = { 0 };
		struct lp_relax how = plain;
		struct err err = { 0 };
		struct rng rng;
		rng_init(&rng, seed);
		random_cols(&lp, &rng, 3);
		for (int step = 0; step < 12; step++) {
			how.dual = rng_below(&rng, 2);
			if (how.dual)
				random_row(&lp, &rng);
			else
				random_cols(&lp, &rng, 2);
			for (size_t i = 0; !how.dual && i < lp.n_rows; i++)
				lp_put(&lp, (int)i, (int)lp.n_cols - 1, 1 + rng_below(&rng, 4));
			if (rng_below(&rng, 4) == 0) { /* as branching does */
				lp.cols[0].upper = lp.cols[0].upper > 0 ? 0 : 5;
				how.dual = true;
			}
			assert_int_equal(lp_relax(&lp, &how, &at, &err), LP_OPTIMAL);
			assert_true(fabs(at.value - at_once(&lp)) < 1e-6);
			prices_fit_the_value(&lp, &at);
		}
		lp_point_done(&at);
		lp_done(&lp);
	}
}

static void what_cannot_be_is_said(void **state)
{
	struct lp lp = { 0 };
	struct lp_point at = { 0 };
	struct err err = { 0 };

	lp_put(&lp, lp_add_row(&lp, 3, 3), lp_add_col(&lp, 0, 1, 1, false), 1);
	assert_int_equal(lp_relax(&lp, &plain, &at, &err), LP_INFEASIBLE);
	lp.cols[0].upper = 4;
	assert_int_equal(lp_relax(&lp, &plain, &at, &err), LP_OPTIMAL);
	assert_true(fabs(at.value - 3) < 1e-9);
	lp_point_done(&at);
	lp_done(&lp);
}

/* Trouble in the first `until` attempts at each relaxation. */
struct plan {
	enum lp_trouble what;
	int until, asked;
};

static enum lp_trouble next(void *arg, int attempt)
{
	struct plan *plan = arg;

	plan->asked++;
	return attempt < plan->until ? plan->what : LP_NO_TROUBLE;
}

static void trouble_is_recovered_from_or_reported(void **state)
{
	static const enum lp_trouble kinds[] = { LP_CYCLE, LP_SINGULAR, LP_ABORT };

	for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++)
		for (int until = 0; until <= 3; until++) {
			struct plan plan = { kinds[kind], until, 0 };
			struct lp_faults faults = { next, &plan };
			struct lp_relax how = plain;
			struct lp lp = { 0 };
			struct lp_point at = { 0 };
			struct err err = { 0 };
			struct rng rng;
			rng_init(&rng, 5);
			random_cols(&lp, &rng, 6);
			for (int i = 0; i < 4; i++)
				random_row(&lp, &rng);
			double value = at_once(&lp);
			how.faults = &faults;
			enum lp_status status = lp_relax(&lp, &how, &at, &err);
			/* An abort ends it; all else is tried three times. */
			bool lost = until > 0 && (kinds[kind] == LP_ABORT || until == 3);
			assert_int_equal(status, lost ? LP_FAILED : LP_OPTIMAL);
			assert_int_equal(plan.asked, kinds[kind] == LP_ABORT && until > 0 ? 1 : until < 3 ? until + 1 : 3);
			if (lost)
				assert_true(err.text[0] != '\0');
			/* Afterwards all is well, from the same point. */
			how.faults = NULL;
			assert_int_equal(lp_relax(&lp, &how, &at, &err), LP_OPTIMAL);
			assert_true(fabs(at.value - value) < 1e-6);
			lp_point_done(&at);
			lp_done(&lp);
		}
}

static void an_integer_program_survives_it_too(void **state)
{
	struct plan plan = { LP_CYCLE, 1, 0 };
	struct lp_faults faults = { next, &plan };
	struct lp_options options = { .time_limit_s = INFINITY, .iterations = INT64_MAX, .memory_mib = 256, .faults = &faults };
	struct lp lp = { 0 };
	struct err err = { 0 };
	double bound;

	for (int i = 0; i < 3; i++)
		lp_add_col(&lp, 0, 1, -1, true);
	for (int i = 0; i < 3; i++) {
		int row = lp_add_row(&lp, -LP_INF, 1);
		lp_put(&lp, row, i, 1);
		lp_put(&lp, row, (i + 1) % 3, 1);
	}
	assert_int_equal(lp_solve(&lp, &options, &bound, &err), LP_OPTIMAL);
	assert_true(fabs(bound + 1) < 1e-6);
	plan = (struct plan){ LP_ABORT, 1, 0 };
	assert_int_equal(lp_solve(&lp, &options, &bound, &err), LP_FAILED);
	lp_done(&lp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_grows_ends_where_the_whole_does),
		cmocka_unit_test(what_cannot_be_is_said),
		cmocka_unit_test(trouble_is_recovered_from_or_reported),
		cmocka_unit_test(an_integer_program_survives_it_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
