/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See assign.h. */
#include "embed/assign.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void assign_init(struct assign *as, size_t n_nodes)
{
	*as = (struct assign){ .n_nodes = n_nodes, .base = 1 };
	as->mark = mem_array(n_nodes + 1, sizeof(*as->mark));
}

void assign_done(struct assign *as)
{
	free(as->mark);
	free(as->cols);
	memset(as, 0, sizeof(*as));
}

void assign_least(struct assign_row *row)
{
	row->least = ASSIGN_NONE;
	row->arg = 0;
	for (uint32_t j = 0; j < row->n; j++)
		if (row->cost[j * row->step] < row->least) {
			row->least = row->cost[j * row->step];
			row->arg = j;
		}
}

/* All columns are free again. */
static void assign_begin(struct assign *as, uint32_t rows)
{
	if (as->base > UINT32_MAX - as->n_cols - rows) {
		memset(as->mark, 0, (as->n_nodes + 1) * sizeof(*as->mark));
		as->base = 1;
		as->n_cols = 0;
	}
	as->base += as->n_cols;
	as->n_cols = 0;
	as->value = 0;
	if (rows > as->cap_cols) {
		as->cap_cols = 2 * rows;
		as->cols = mem_grow(as->cols, as->cap_cols, sizeof(*as->cols));
	}
}

static void add_col(struct assign *as, uint32_t node, uint32_t owner)
{
	as->mark[node] = as->base + as->n_cols;
	as->cols[as->n_cols++] = (struct assign_col){ .node = node, .owner = owner };
}

/* The cheapest free column that was seen on the way. */
struct sink {
	int32_t dist;
	uint32_t row, node;
};

/* Looks from row r, `far` away, at all columns. */
static void scan(struct assign *as, const struct assign_row *rows, uint32_t r, int32_t far, struct sink *sink)
{
	const struct assign_row *row = &rows[r];
	int32_t add = far - row->dual;

	as->work += row->n;
	for (uint32_t j = 0; j < row->n; j++) {
		int32_t cost = row->cost[j * row->step];
		if (cost >= ASSIGN_NONE || cost + add >= sink->dist) /* column duals are <= 0: no nearer, whoever has it */
			continue;
		uint32_t col = as->mark[row->node[j]] - as->base;
		if (col >= as->n_cols) {
			*sink = (struct sink){ cost + add, r, row->node[j] };
			if (sink->dist == far) /* nothing is nearer */
				return;
		} else if (!as->cols[col].done && cost + add - as->cols[col].dual < as->cols[col].dist) {
			as->cols[col].dist = cost + add - as->cols[col].dual;
			as->cols[col].from = r;
		}
	}
}

/* Makes room for row k, whose column is taken, along the cheapest path. */
static bool make_room(struct assign *as, struct assign_row *rows, uint32_t k)
{
	struct sink sink = { INT32_MAX, 0, 0 };
	uint32_t r = k;
	int32_t far = 0;

	for (uint32_t m = 0; m < as->n_cols; m++) {
		as->cols[m].dist = INT32_MAX;
		as->cols[m].done = false;
	}
	for (;;) {
		uint32_t next = UINT32_MAX;
		scan(as, rows, r, far, &sink);
		for (uint32_t m = 0; m < as->n_cols; m++)
			if (!as->cols[m].done && as->cols[m].dist < INT32_MAX &&
			    (next == UINT32_MAX || as->cols[m].dist < as->cols[next].dist))
				next = m;
		if (next == UINT32_MAX || as->cols[next].dist >= sink.dist)
			break;
		as->cols[next].done = true;
		far = as->cols[next].dist;
		r = as->cols[next].owner;
	}
	if (sink.dist == INT32_MAX)
		return false;
	rows[k].dual += sink.dist;
	for (uint32_t m = 0; m < as->n_cols; m++)
		if (as->cols[m].done) {
			rows[as->cols[m].owner].dual += sink.dist - as->cols[m].dist;
			as->cols[m].dual -= sink.dist - as->cols[m].dist;
		}
	/* Each row on the path leaves its column to the row before. */
	add_col(as, sink.node, sink.row);
	for (uint32_t given = as->n_cols - 1, m; sink.row != k; given = m) {
		for (m = 0; as->cols[m].owner != sink.row || m == given;)
			m++;
		as->cols[m].owner = sink.row = as->cols[m].from;
	}
	return true;
}

bool assign_solve(struct assign *as, struct assign_row *rows, uint32_t n)
{
	assign_begin(as, n);
	for (uint32_t k = 0; k < n; k++) {
		if (rows[k].least >= ASSIGN_NONE)
			return false;
		rows[k].dual = rows[k].least;
		uint32_t node = rows[k].node[rows[k].arg];
		if (as->mark[node] - as->base >= as->n_cols)
			add_col(as, node, k);
		else if (!make_room(as, rows, k))
			return false;
	}
	for (uint32_t k = 0; k < n; k++)
		as->value += rows[k].dual + (int64_t)as->cols[k].dual;
	return true;
}
