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
	static int32_t costs[ROWS][2 * COLS]; /* every other one is read */
	static uint32_t nodes[ROWS][COLS];
	struct assign as;
	struct rng rng;
	int solved = 0;

	rng_init(&rng, 3);
	assign_init(&as, 100);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t cost[ROWS][COLS];
		struct assign_row row[ROWS];
		int rows = 1 + (int)rng_below(&rng, ROWS), cols = 1 + (int)rng_below(&rng, COLS);
		if (round == ROUNDS / 2)
			as.base = UINT32_MAX - 20; /* the marks wrap */
		for (int i = 0; i < rows; i++) {
			row[i] = (struct assign_row){ .cost = costs[i], .step = 2, .node = nodes[i] };
			for (int j = 0; j < cols; j++) {
				uint32_t kind = rng_below(&rng, 4);
				cost[i][j] = kind == 0 ? NONE : rng_below(&rng, 20);
				if (kind == 0 && rng_below(&rng, 2))
					continue; /* not even mentioned */
				costs[i][2 * row[i].n] = kind == 0 ? ASSIGN_NONE + 7 : (int32_t)cost[i][j];
				nodes[i][row[i].n++] = (uint32_t)(j * 13 + 5);
			}
			assign_least(&row[i]);
		}
		int64_t best = cheapest(cost, rows, cols, 0, 0);
		assert_int_equal(assign_solve(&as, row, (uint32_t)rows), best < NONE);
		if (best >= NONE)
			continue;
		solved++;
		assert_int_equal(as.value, best);
		int64_t dual = 0;
		for (int i = 0; i < rows; i++)
			dual += row[i].dual;
		for (int j = 0; j < cols; j++) {
			int64_t col = assign_col_dual(&as, (uint32_t)(j * 13 + 5));
			assert_true(col <= 0);
			dual += col;
			for (int i = 0; i < rows; i++)
				assert_true(cost[i][j] >= NONE || row[i].dual + col <= cost[i][j]);
		}
		assert_int_equal(dual, best);
	}
	assert_true(solved > ROUNDS / 3);
	assign_done(&as);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(assignments) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
