/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See assign.h. */
#include "embed/assign.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NEVER (INT64_MAX / 4)

void assign_init(struct assign *as, size_t n_nodes)
{
	*as = (struct assign){ .n_nodes = (uint32_t)n_nodes };
	as->col_of = mem_array(n_nodes + 1, sizeof(*as->col_of));
	as->stamp = mem_array(n_nodes + 1, sizeof(*as->stamp));
	as->cap_cols = n_nodes + 1;
	as->col_dual = mem_array(n_nodes + 1, sizeof(*as->col_dual));
	as->dist = mem_array(n_nodes + 1, sizeof(*as->dist));
	as->row_at = mem_array(n_nodes + 1, sizeof(*as->row_at));
	as->from = mem_array(n_nodes + 1, sizeof(*as->from));
	as->done = mem_array(n_nodes + 1, 1);
}

void assign_done(struct assign *as)
{
	free(as->col_of);
	free(as->stamp);
	free(as->cost);
	free(as->row_dual);
	free(as->col_dual);
	free(as->dist);
	free(as->row_at);
	free(as->from);
	free(as->done);
	memset(as, 0, sizeof(*as));
}

void assign_begin(struct assign *as, uint32_t rows)
{
	as->round++;
	as->n_rows = rows;
	as->n_cols = 0;
	as->value = 0;
	if (rows > as->cap_rows) {
		as->cap_rows = rows;
		as->row_dual = mem_grow(as->row_dual, rows, sizeof(*as->row_dual));
	}
	if (rows * as->cap_cols > as->cap_cost) {
		as->cap_cost = rows * as->cap_cols;
		as->cost = mem_grow(as->cost, as->cap_cost, sizeof(*as->cost));
	}
}

bool assign_mark(struct assign *as, uint32_t node)
{
	if (as->stamp[node] == as->round)
		return false;
	as->stamp[node] = as->round;
	as->col_of[node] = as->n_cols++;
	for (uint32_t row = 0; row < as->n_rows; row++)
		as->cost[row * as->cap_cols + as->col_of[node]] = NEVER;
	return true;
}

void assign_cost(struct assign *as, uint32_t row, uint32_t node, int64_t cost)
{
	assign_mark(as, node);
	as->cost[row * as->cap_cols + as->col_of[node]] = cost;
}

/* Assigns `row` along the cheapest augmenting path. */
static bool assign_row(struct assign *as, uint32_t row)
{
	uint32_t m = as->n_cols, at = UINT32_MAX; /* column whose row is looked at; UINT32_MAX: the new row */
	int64_t far = 0;

	for (uint32_t j = 0; j < m; j++) {
		as->dist[j] = NEVER;
		as->done[j] = 0;
	}
	for (;;) {
		uint32_t i = at == UINT32_MAX ? row : as->row_at[at] - 1, next = UINT32_MAX;
		for (uint32_t j = 0; j < m; j++) {
			int64_t cost = as->cost[i * as->cap_cols + j];
			if (as->done[j])
				continue;
			if (cost < NEVER && far + cost - as->row_dual[i] - as->col_dual[j] < as->dist[j]) {
				as->dist[j] = far + cost - as->row_dual[i] - as->col_dual[j];
				as->from[j] = at;
			}
			if (as->dist[j] < NEVER && (next == UINT32_MAX || as->dist[j] < as->dist[next]))
				next = j;
		}
		if (next == UINT32_MAX)
			return false;
		far = as->dist[next];
		as->done[next] = 1;
		at = next;
		if (as->row_at[next] == 0)
			break;
	}
	as->row_dual[row] += far;
	for (uint32_t j = 0; j < m; j++)
		if (as->done[j] && j != at) {
			as->row_dual[as->row_at[j] - 1] += far - as->dist[j];
			as->col_dual[j] -= far - as->dist[j];
		}
	while (at != UINT32_MAX) {
		uint32_t before = as->from[at];
		as->row_at[at] = before == UINT32_MAX ? row + 1 : as->row_at[before];
		at = before;
	}
	return true;
}

bool assign_solve(struct assign *as)
{
	if (as->n_cols < as->n_rows)
		return false;
	memset(as->col_dual, 0, as->n_cols * sizeof(*as->col_dual));
	memset(as->row_at, 0, as->n_cols * sizeof(*as->row_at));
	for (uint32_t i = 0; i < as->n_rows; i++)
		as->row_dual[i] = 0;
	for (uint32_t i = 0; i < as->n_rows; i++)
		if (!assign_row(as, i))
			return false;
	as->value = 0;
	for (uint32_t j = 0; j < as->n_cols; j++)
		if (as->row_at[j])
			as->value += as->cost[(as->row_at[j] - 1) * as->cap_cols + j];
	return true;
}

int64_t assign_row_dual(const struct assign *as, uint32_t row)
{
	return as->row_dual[row];
}

int64_t assign_col_dual(const struct assign *as, uint32_t node)
{
	return as->stamp[node] == as->round ? as->col_dual[as->col_of[node]] : 0;
}
