/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lower bounds for placing virtual nodes, by dual ascent on the level-1 reformulation of a
 * quadratic assignment problem (Adams and Johnson 1994; Hahn and Grant 1998), swept like sequential
 * tree-reweighted message passing (Kolmogorov 2006).
 *
 * Every virtual node has a domain of hosts and a cost for each; every pair of joined virtual nodes a matrix of
 * costs, what the cheapest paths between two hosts cost on all that is left. Ascent moves costs
 * between them, never changing what a placement costs in all, so that `bound`, the part that
 * every placement pays, grows. All in 64-bit integers, DUAL_SCALE parts of the objective's unit: exact. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/problem.h"

enum { DUAL_SCALE = 64 };
#define DUAL_INF (INT64_MAX / 8) /* a pair that cannot be; anything from half of it on counts as such */

/* Two joined virtual nodes, a < b, all virtual links between them. */
struct dual_edge {
	uint32_t end[2];
};

/* What does not change: which virtual nodes are joined. */
struct dual_shape {
	const struct problem *p;
	size_t n_edges;
	struct dual_edge *edges;
	uint32_t *link_edge;       /* per virtual link: its edge */
	uint32_t *first, *around;  /* edges of virtual node u: around[first[u]] … */
	bool distinct;
	double unit;               /* objective units per unit here (before DUAL_SCALE) */
	struct path_space space;
};

/* One state of a search. */
struct dual {
	const struct dual_shape *shape;
	uint32_t **host;      /* per virtual node: its domain */
	uint32_t *n;
	int64_t **unary;
	uint8_t **dead;
	uint32_t *alive;      /* how many are not dead */
	int64_t **pair;       /* per edge: n[end 0] × n[end 1] */
	int64_t bound;        /* DUAL_INF: nothing is left */
	uint64_t work;
};

/* Joins and costs, from p narrowed. `cost` of one virtual link between two hosts at least, in objective units. */
void dual_shape_init(struct dual_shape *shape, const struct problem *p, double unit);
void dual_shape_done(struct dual_shape *shape);
size_t dual_entries(const struct dual_shape *shape); /* of all matrices together: what dual_init allocates */

/* The root. O(candidates × search + entries). `go_on` is asked after each search, with the arcs it looked
 * at; where it says no, false: d is only good for dual_done(). */
bool dual_init(struct dual *d, struct dual_shape *shape, bool (*go_on)(void *arg, uint64_t arcs), void *arg);
/* A copy without what is dead, where u must be on its i-th host (alive) if u != NO_NODE. */
void dual_fix(const struct dual *from, uint32_t u, uint32_t i, struct dual *ret);
void dual_done(struct dual *d);

/* Up to `sweeps` sweeps forward and backward; kills what would cost more than `limit`. False: nothing is left within it. */
bool dual_ascend(struct dual *d, int sweeps, int64_t limit);

/* What virtual link k costs at least between hosts a and b, in objective units; INFINITY where no path
 * is. One search; for the routing of a placement. */
double dual_link_cost(struct dual_shape *shape, uint32_t k, uint32_t a, uint32_t b);
