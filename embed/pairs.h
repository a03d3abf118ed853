/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each virtual link costs at least between any two hosts that its ends may take, when nothing else is
 * routed: the matrices that the dual ascent begins with. Virtual links that may use the same substrate links share
 * one table of distances, whatever their bandwidths; a search stops when all hosts that matter are settled.
 *
 * The rows are kept: along them a cheapest path is walked, not searched, as long as others leave it room. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/layout.h"
#include "embed/problem.h"
#include "embed/routing.h"

/* Virtual links that share their distances. */
struct pair_class {
	int64_t need, max_delay; /* need: the least capacity of a link that will do; max_delay < 0: none */
	bool best_effort;        /* distances are 0 */
	const int64_t *weight;   /* per link */
	int64_t **row;           /* per host number: distances to all nodes, DIST_NONE: none; beyond what was searched, the distance
	                          * that was reached; NULL: not searched */
};

struct pairs {
	const struct problem *p;
	double scale;            /* objective units are bandwidth × distance over this */
	uint32_t n_hosts;
	uint32_t *number;        /* per node: which host it is, or NO_NODE where nothing may stand */
	uint32_t *host;          /* per number */
	struct pair_class *classes;
	size_t n_classes;
	uint32_t *link_class;    /* per virtual link */
	double **sharp;          /* per virtual link: what pairs_sharpen() found, by candidates of its ends; NaN: nothing; NULL: none yet */
	int64_t *room, *flow;
	uint32_t *links;         /* of one path */
	struct path_space space;
	uint64_t work;           /* arcs looked at */
	uint32_t *stamp, round;  /* of pairs_walk() */
};

/* Everything is searched here: one search per class and host of a vertex cover (about) of its virtual links,
 * each O(m + D) with small weights, D the distance, else O(m log m). Memory: 8 bytes per search and node. `prices`:
 * weights in place of the problem's, or NULL; borrowed. `go_on` is asked after each search; where it says no,
 * false: good only for pairs_done(). */
bool pairs_init(struct pairs *pairs, const struct problem *p, const struct routing_prices *prices,
                bool (*go_on)(void *arg, uint64_t arcs), void *arg);
void pairs_done(struct pairs *pairs);

/* What virtual link k costs at least from a to b, candidates of its ends in this order, in objective units; INFINITY:
 * no path. */
double pairs_cost(const struct pairs *pairs, uint32_t k, uint32_t a, uint32_t b);
/* Per node, no more than the distance of `host` over links that k may use, nowhere more than a link and what is behind it: the
 * `ahead` of a path_query. DIST_NONE: none. NULL: not known, or k is bounded in delay. */
const int64_t *pairs_row(const struct pairs *pairs, uint32_t k, uint32_t host);
/* Whether k's cheapest ways take more than one path, so that a flow tells better than a distance what it costs. */
bool pairs_blunt(const struct pairs *pairs, uint32_t k);
/* Looks closer at such a pair, by minimum-cost flow: pairs_cost() is never less afterwards. O(paths × m log m). */
void pairs_sharpen(struct pairs *pairs, uint32_t k, uint32_t a, uint32_t b);
/* The most that pairs_cost() says of k between any two candidates that a path joins. */
double pairs_dearest(const struct pairs *pairs, uint32_t k);
/* Whether distances alone tell k's cheapest paths (no delay bound, no protection, not best effort); a split's, too, where
 * one path carries all of it. */
bool pairs_walks(const struct pairs *pairs, uint32_t k);
/* Routes such a k, both ends placed on different nodes, along a cheapest path with enough left in `at`; false: none. Nothing
 * is searched: O(arcs of cheapest paths). */
bool pairs_walk(struct pairs *pairs, struct layout *at, uint32_t k);
/* The same by the cheapest way there is in `at`, whole; the known distances show the search the way. Costs it as pairs count it: not
 * where they are of prices. */
bool pairs_detour(struct pairs *pairs, struct layout *at, uint32_t k);
