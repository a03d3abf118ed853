/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rectangular assignment problem: every row a column of its own, at least cost (Kuhn 1955, by shortest
 * augmenting paths: Jonker and Volgenant 1987), with its dual solution. Columns are nodes of the substrate.
 *
 * Rows are few, and their least entries mostly lie in different columns: only a row that finds its column taken is
 * looked at again, and only columns that are taken take part in the search, beside the best free one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASSIGN_NONE (1 << 29) /* from here on: a pair that cannot be */

struct assign_row {
	const int32_t *cost;   /* >= 0, n of them, `step` apart */
	size_t step;
	const uint32_t *node;  /* their columns, all different */
	uint32_t n;
	uint32_t arg;          /* where the least is, */
	int32_t least;         /* and the least: assign_least() */
	int32_t dual;          /* of the solution */
};

/* A column that is taken. */
struct assign_col {
	uint32_t node, owner;  /* owner: a row */
	int32_t dual;          /* <= 0 */
	int32_t dist;
	uint32_t from;         /* the row before on the path */
	bool done;
};

struct assign {
	size_t n_nodes;
	uint32_t *mark;        /* per node: base + its column */
	uint32_t base;
	struct assign_col *cols;
	uint32_t n_cols, cap_cols;
	int64_t value;
	uint64_t work;         /* entries looked at, in all */
};

void assign_init(struct assign *as, size_t n_nodes);
void assign_done(struct assign *as);
void assign_least(struct assign_row *row); /* sets least (ASSIGN_NONE: no entry) and arg */
/* False: there is none. Then dual of the row + dual of the column <= cost everywhere; columns not in cols have dual 0;
 * value is the sum of all duals and the cost. O(rows × entries of those in each other's way). */
bool assign_solve(struct assign *as, struct assign_row *rows, uint32_t n);
/* The column dual of a node. */
static inline int32_t assign_col_dual(const struct assign *as, uint32_t node)
{
	uint32_t col = as->mark[node] - as->base;

	return col < as->n_cols ? as->cols[col].dual : 0;
}
