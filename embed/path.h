/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Path search: cheapest paths over links with enough left, with and without a delay bound.
 *
 * Without a bound: Dijkstra with a lazy binary heap, O((n + m) log m); where all links weigh the same, level by
 * level, O(n + m), and between two nodes from both ends at once, which on a random network of n nodes
 * looks at about the square root of its arcs (Pohl 1971). With one: label setting
 * with dominance in (weight, delay), exact, O(L log L) for L labels, where L is at most the
 * number of Pareto-optimal (weight, delay) pairs over all nodes times the degree (Desrochers and
 * Soumis 1988). Weights are never negative, and a label equal to an earlier one is dominated, so
 * every path is simple. Ties in weight go to the smaller sum of `tie`, then to the smaller
 * index: the same answer everywhere. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/graph.h"

#define DIST_NONE INT64_MAX

struct path_query {
	const int64_t *weight; /* per link, >= 0; NULL: every link counts 1 */
	int64_t unit;          /* > 0: every link weighs this, and weight is not looked at */
	const int64_t *tie;    /* per link, >= 0; NULL: none */
	const int64_t *cap;    /* per link: a link with cap < need is not used; NULL: all are */
	int64_t need;
	const uint8_t *banned; /* per link, nonzero: not used; NULL: none is */
	const uint8_t *shut;   /* per link, 1 << e: not towards its ends[e]; NULL: none is. Not looked at by path_nearest */
	const int64_t *delay;  /* per link, with max_delay >= 0 */
	int64_t max_delay;     /* along the path; < 0: no bound */
	/* Per node: × ahead_scale, no more than a path from it to the search's end weighs, and nowhere more than a link and what is
	 * ahead behind it (A*, Hart, Nilsson and Raphael 1968); DIST_NONE: it leads nowhere. NULL: unknown. Not looked at with a
	 * delay bound, nor where all links weigh the same. */
	const int64_t *ahead;
	int64_t ahead_scale;
	bool backwards;        /* what is searched for leads from `to` to `from`: so `shut` is read */
	const uint8_t *wanted; /* per node; without a delay bound, a search to NO_NODE may stop once n_wanted nodes … */
	size_t n_wanted;       /* … marked here are settled; 0: it does not */
};

struct heap_item {
	int64_t key, tie;
	uint32_t id;
};
struct heap {
	struct heap_item *v;
	size_t n, cap;
};
void heap_push(struct heap *h, int64_t key, int64_t tie, uint32_t id);
struct heap_item heap_pop(struct heap *h); /* the heap is not empty */

struct path_label {
	int64_t dist, tie, delay;
	uint32_t node, link, parent; /* parent: index of a label */
};

/* Where a search works and leaves its result, valid until the next one. */
struct path_space {
	const struct graph *graph;
	int64_t *dist, *tie, *delay; /* delay: the least among the settled labels of a node */
	uint32_t *via;        /* link that a node is reached by; with a delay bound: its first label */
	uint32_t *stamp;      /* == round: the above are of this search */
	uint8_t *settled;
	uint32_t *queue;      /* of a search by levels */
	struct path_half {    /* of a search from both ends; made when first needed */
		uint32_t *stamp, *level, *via, *queue;
		int64_t *tie;
	} half[2];
	uint32_t half_round;
	uint32_t round;
	bool labelled;
	struct heap heap;
	struct path_label *labels;
	size_t n_labels, cap_labels;
	uint64_t work;        /* arcs looked at since path_space_init: what effort is counted in */
};
void path_space_init(struct path_space *ps, const struct graph *g);
void path_space_done(struct path_space *ps);

/* Searches from `from` until `to` is settled, or everything reachable where `to` is NO_NODE.
 * True where `to` was reached (NO_NODE: always). */
bool path_search(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to);
/* Weight of the cheapest path found to `node`; DIST_NONE where there is none. */
int64_t path_dist(const struct path_space *ps, uint32_t node);
int64_t path_tie(const struct path_space *ps, uint32_t node); /* of a node that was reached */
/* Its links in order from the source, at most n_nodes - 1 of them; returns how many. */
size_t path_trace(const struct path_space *ps, uint32_t node, uint32_t *links);

/* A cheapest path from `from` to another node `to`: its links in order, *ret_n of them (at most n_nodes - 1). The same
 * weight and tie as path_search() finds, maybe another path; what that left is no longer valid. False: none. */
bool path_between(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to, uint32_t *links,
                  size_t *ret_n);

/* For every node the two least distances from two *different* sources: what a router on that
 * node has to another that must not share it. O(2 (n + m) log m). */
struct path_near {
	int64_t dist[2];    /* DIST_NONE: none */
	uint32_t source[2];
};
void path_nearest(struct path_space *ps, const struct path_query *q, const uint32_t *sources, size_t n,
                  struct path_near *ret);

/* The most bandwidth that one path from any of the sources to any of the targets can carry (a path has
 * at least one link). 0: not connected. */
int64_t path_widest(struct path_space *ps, const int64_t *cap, const uint32_t *sources, size_t n_sources,
                    const uint32_t *targets, size_t n_targets);
