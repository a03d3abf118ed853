/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rectangular assignment problem: every row its own column, at least cost (Kuhn 1955, by shortest
 * augmenting paths: Jonker and Volgenant 1987), with its dual solution. Columns are substrate
 * nodes and only those mentioned take part. O(rows² × columns). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct assign {
	uint32_t n_rows, n_cols, n_nodes;
	int64_t value;        /* of the last solution */
	uint32_t *col_of;     /* per substrate node: its column, valid where stamp == round */
	uint32_t *stamp, round;
	int64_t *cost;        /* n_rows × cap_cols */
	size_t cap_cols, cap_cost;
	int64_t *row_dual, *col_dual, *dist;
	uint32_t *row_at, *from;  /* per column: the row assigned, + 1; the column before on the path */
	uint8_t *done;
	size_t cap_rows;
};

void assign_init(struct assign *as, size_t n_nodes);
void assign_done(struct assign *as);
/* Forgets everything; with rows = 0 it serves assign_mark() only. */
void assign_begin(struct assign *as, uint32_t rows);
bool assign_mark(struct assign *as, uint32_t node); /* false: was marked (or has a cost) already */
void assign_cost(struct assign *as, uint32_t row, uint32_t node, int64_t cost); /* cost >= 0; pairs not mentioned cannot be */
/* False: no assignment. Then row_dual + col_dual <= cost everywhere, col_dual <= 0, and their sum over what is assigned
 * is the value. */
bool assign_solve(struct assign *as);
int64_t assign_row_dual(const struct assign *as, uint32_t row);
int64_t assign_col_dual(const struct assign *as, uint32_t node); /* 0 for nodes not mentioned */
