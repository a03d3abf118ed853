/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the halves of the exact search share: exact.c goes through the tree, exact_route.c routes what a node of it has
 * fixed. For nobody else; the rest of the library calls exact_run(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/dual.h"
#include "embed/leaf.h"
#include "embed/search.h"

enum { SEEN = 1024 }; /* placements remembered */

struct exact {
	struct search *s;
	const struct problem *p;
	struct pairs pairs;
	struct routing_prices prices; /* zeroed: none */
	struct pairs priced;     /* with them, what the dual counts in; without, not used */
	bool is_priced;
	uint64_t patience;       /* work at which the search begins again with prices; UINT64_MAX: never */
	struct dual_shape shape;
	struct dual *level;      /* per depth of the search: its state */
	int64_t *pending;        /* per depth: what its next branch costs at least */
	uint32_t depth;
	struct path_space space;
	struct layout at;
	struct routing_pool *pool;
	struct leaf leaf;
	bool integral;           /* every cost is a whole number of units */
	double unit, parts;      /* parts: of a unit, what the dual counts in */
	int64_t limit;           /* what a better embedding costs at most, in parts; or just below DUAL_MOST */
	double cutoff;           /* the same in the problem's units; INFINITY: anything is better */
	double ceiling;          /* no embedding costs more */
	double *least;           /* per virtual link with both ends fixed: what it costs at least */
	uint32_t *order;
	uint64_t spent;
	uint64_t try_until;      /* work at which tabu search ends */
	uint64_t seen[SEEN];     /* placements that were routed, by hash */
	double open;             /* least bound among leaves left undecided: no program decides them … */
	double postponed;        /* … or one with more effort might */
	int64_t effort;          /* for the routing program of one leaf */
};

/* exact.c: the limit anew from the search's incumbent; what a bound in parts proves, in the problem's units; whether it excludes
 * anything better; counts what routing has looked at, false: stop. */
void exact_set_limit(struct exact *x);
double exact_proven(const struct exact *x, int64_t bound);
bool exact_past_cutoff(const struct exact *x, int64_t bound);
bool exact_go_on(struct exact *x);

/* exact_route.c: routes what d has fixed. True: this node is done with, as its best is offered or it is too dear. *ret_more: raised
 * to what routing adds to d's bound, in parts. */
bool exact_route(struct exact *x, struct dual *d, int64_t *ret_more);
/* Routes a placement that tabu_search() has found; as struct tabu_ask says of found(). */
int64_t exact_try_placement(void *arg, const uint32_t *host, int64_t cost);
