/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The assignment problem against all permutations, and its dual solution against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "embed/assign.h"
#include "embed/rng.h"

enum { ROWS = 5, COLS = 7, ROUNDS = 2000 };
#define NONE INT64_C(1000000)

static int64_t cheapest(const int64_t cost[ROWS][COLS], int rows, int cols, int row, unsigned used)
{
	int64_t best = NONE;

	if (row == rows)
		return 0;
	for (int j = 0; j < cols; j++) {
		if (used >> j & 1 || cost[row][j] >= NONE)
			continue;
		int64_t rest = cheapest(cost, rows, cols, row + 1, used | 1u << j);
		if (rest < NONE && cost[row][j] + rest < best)
			best = cost[row][j] + rest;
	}
	return best;
}

static void assignments(void **state)
{
	struct assign as;
	struct rng rng;
	int solved = 0;

	rng_init(&rng, 3);
	assign_init(&as, 100);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t cost[ROWS][COLS];
		int rows = 1 + (int)rng_below(&rng, ROWS), cols = 1 + (int)rng_below(&rng, COLS);
		assign_begin(&as, (uint32_t)rows);
		for (int i = 0; i < rows; i++)
			for (int j = 0; j < cols; j++) {
				cost[i][j] = rng_below(&rng, 4) == 0 ? NONE : rng_below(&rng, 20);
				if (cost[i][j] < NONE)
					assign_cost(&as, (uint32_t)i, (uint32_t)(j * 13 + 5), cost[i][j]);
			}
		int64_t best = cheapest(cost, rows, cols, 0, 0);
		assert_int_equal(assign_solve(&as), best < NONE);
		if (best >= NONE)
			continue;
		solved++;
		assert_int_equal(as.value, best);
		int64_t dual = 0;
		for (int i = 0; i < rows; i++)
			dual += assign_row_dual(&as, (uint32_t)i);
		for (int j = 0; j < cols; j++) {
			int64_t col = assign_col_dual(&as, (uint32_t)(j * 13 + 5));
			assert_true(col <= 0);
			dual += col;
			for (int i = 0; i < rows; i++)
				assert_true(cost[i][j] >= NONE || assign_row_dual(&as, (uint32_t)i) + col <= cost[i][j]);
		}
		assert_int_equal(dual, best);
	}
	assert_true(solved > ROUNDS / 3);
	assign_done(&as);
}

static void marks(void **state)
{
	struct assign as;

	assign_init(&as, 10);
	for (int round = 0; round < 3; round++) {
		assign_begin(&as, 0);
		assert_true(assign_mark(&as, 4));
		assert_false(assign_mark(&as, 4));
		assert_true(assign_mark(&as, 5));
	}
	assign_done(&as);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(assignments), cmocka_unit_test(marks) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
