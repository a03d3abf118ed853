/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lower bounds for placing virtual nodes, by dual ascent on the level-1 reformulation of a
 * quadratic assignment problem (Adams and Johnson 1994; Hahn and Grant 1998), swept like sequential
 * tree-reweighted message passing (Kolmogorov 2006).
 *
 * Every virtual node has a domain of hosts and a cost for each; every pair of joined virtual nodes a matrix of
 * costs. Ascent moves costs between them, never changing what a placement costs in all, so that `bound`,
 * the part that every placement pays, grows; all costs stay >= 0. So whatever alone would lift the
 * bound above the limit goes: a host, or a pair of hosts.
 *
 * Costs are 32-bit integers, parts of the objective's unit, rounded down: bounds are exact. Their scale is chosen so
 * that no placement costs DUAL_MOST or more. A virtual node with one host left is fixed: what its links cost
 * moves to the other end, and its matrices go. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/assign.h"
#include "embed/pairs.h"

enum {
	DUAL_NONE = 1 << 29,  /* a pair that cannot be; anything above too */
	DUAL_MOST = 1 << 28,
	DUAL_LANES = 4,       /* rows are padded to a multiple of */
	DUAL_PARTS = 128,     /* of a unit, where there is room for as many */
	DUAL_PARTS_LEAST = 8  /* below, costs are no longer seen as whole units */
};

struct ledger;

/* Two joined virtual nodes, end[0] < end[1], and all virtual links between them. */
struct dual_edge {
	uint32_t end[2];
};

/* One state of a search. All arrays lie in one block. */
struct dual {
	struct dual_shape *shape;
	int64_t bound;
	uint32_t *n;          /* per virtual node: its hosts; 0: fixed */
	uint32_t *alive;      /* of them */
	uint32_t *fixed;      /* per virtual node: its host, or NO_NODE */
	uint32_t *at;         /* per virtual node: where its hosts begin in host and unary */
	size_t *pair_at;      /* per edge: where its matrix begins; end 0's hosts × end 1's, rows of dual_row() */
	uint32_t *host;       /* nodes of the substrate */
	int32_t *unary;       /* >= DUAL_NONE: dead */
	int32_t *pair;
	void *block;
	size_t room;          /* of the block, in bytes */
	struct ledger *ledger; /* of a proof: where costs have moved; NULL: not kept */
	uint64_t work;        /* counted since the caller last took it */
};

/* What does not change within a search. */
struct dual_shape {
	const struct problem *p;
	size_t n_nodes, n_edges;
	struct dual_edge *edges;
	uint32_t *link_edge;       /* per virtual link: its edge */
	uint32_t *first, *around;  /* edges of virtual node u: around[first[u]] … */
	uint32_t most_around;
	bool distinct;
	/* scratch of an ascent */
	struct assign as;
	struct assign_row *rows;
	uint32_t *joined;          /* edges to neighbours that are not fixed */
	int32_t *least, *delta, *cut;   /* least: most_around × row */
	uint32_t *arg;
	size_t row;                /* room for the largest domain */
	double parts_per_unit;
	uint32_t *start;           /* per virtual node: where the root's hosts of it begin in kept */
	uint32_t *kept, *node, *n_kept, *weighed, *queue;
	int32_t *value;
	struct dual spare;
};

static inline size_t dual_row(uint32_t n)
{
	return ((size_t)n + 3) & ~(size_t)3;
}

static inline int32_t *dual_row_at(const struct dual *d, uint32_t e, uint32_t i)
{
	return d->pair + d->pair_at[e] + i * dual_row(d->n[d->shape->edges[e].end[1]]);
}

/* The cost in edge e of u on its i-th host and the other end on its j-th. */
static inline int32_t dual_pair_cost(const struct dual *d, uint32_t e, uint32_t u, uint32_t i, uint32_t j)
{
	return d->shape->edges[e].end[0] == u ? dual_row_at(d, e, i)[j] : dual_row_at(d, e, j)[i];
}

static inline uint32_t dual_other_end(const struct dual_shape *shape, uint32_t e, uint32_t u)
{
	return shape->edges[e].end[0] == u ? shape->edges[e].end[1] : shape->edges[e].end[0];
}

void dual_shape_init(struct dual_shape *shape, const struct problem *p);
void dual_shape_done(struct dual_shape *shape);
size_t dual_entries(const struct dual_shape *shape); /* of all matrices of the root */

/* The root: `parts` of DUAL_PARTS and the like per objective unit `unit`; costs from pairs. Every placement costs less than
 * DUAL_MOST. O(entries × virtual links per edge). */
void dual_init(struct dual *d, struct dual_shape *shape, const struct pairs *pairs, double unit, double parts);
/* Looks closer at the pairs still there whose links may split or are protected, as long as `go_on` says yes: their
 * costs rise, and some pairs go. d: the root. */
void dual_sharpen(struct dual *d, struct pairs *pairs, int64_t limit, bool (*go_on)(void *arg, uint64_t arcs), void *arg);
/* Takes from d, a root as dual_init() left it, the hosts and pairs that `old`, another of the same shape, has lost. False: nothing
 * is left. */
bool dual_restrict(struct dual *d, const struct dual *old);
/* A copy without what is dead, where u must be on its i-th host (alive) if u != NO_NODE, and without what is above the limit by
 * unary costs alone. ret: zeroed, or a state of the same shape whose memory is used again. False: nothing is left; *ret
 * is as it was. */
bool dual_fix(const struct dual *from, uint32_t u, uint32_t i, int64_t limit, struct dual *ret);
void dual_copy(const struct dual *from, struct dual *ret);
void dual_done(struct dual *d);
/* Takes host i from u, whose matrix entries an ascent forgets as it comes by; false: it was the last. */
bool dual_kill(struct dual *d, uint32_t u, uint32_t i);

/* Up to `sweeps` sweeps forward and backward, fewer where they bring less than `gain` parts each; takes away what
 * would cost more than `limit` (< DUAL_MOST). False: nothing is left within it. `go_on` is asked with work as
 * it is done; where it says no, the ascent ends where it is, with true. */
bool dual_ascend(struct dual *d, int sweeps, int64_t gain, int64_t limit, bool (*go_on)(void *arg, uint64_t arcs), void *arg);
/* Leaves out what is dead and fixes whom one host is left; false: nothing is left. */
bool dual_compact(struct dual *d, int64_t limit);
