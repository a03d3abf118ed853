/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random graphs, with a point on the plane for each node. Simple (no loops, no parallel links) and
 * connected; links are sorted by their ends, so that what a seed gives does not hang on the order
 * in which a method finds them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "origin/random.h"

enum { GRAPH_NODES_MAX = 200000, GRAPH_PAIRS_NODES_MAX = 5000 };

struct point {
	int64_t x, y;
};

struct edge {
	uint32_t a, b; /* a < b */
};

struct random_graph {
	uint32_t n;
	struct point *points; /* n */
	struct edge *edges;
	size_t n_edges;
};

enum graph_model { GRAPH_WAXMAN, GRAPH_GNP, GRAPH_BA, GRAPH_REGULAR, GRAPH_GRID, GRAPH_FAT_TREE, GRAPH_NEAR };
extern const char *const graph_models[]; /* their names, NULL-ended */

struct graph_spec {
	enum graph_model model;
	uint32_t nodes;          /* of a fat tree: what its arity gives */
	uint64_t alpha_micro;    /* waxman: beta exp(-d / (alpha L)), L the largest distance */
	uint64_t beta_micro;     /* waxman; gnp: the probability */
	uint32_t links;          /* waxman: exactly so many, beta is not used; 0: by chance */
	uint32_t degree;         /* regular: of each node, of an odd n one has one less; near: on average; ba: links of a new
	                          * node */
	uint32_t arity;          /* fat tree: ports of a switch, even */
	int64_t side, step;      /* points lie on multiples of step in [0, side] × [0, side] */
};

/* -EINVAL: no such graph, or none that is connected came of many tries. Random points and pairs:
 * O(nodes²) for waxman and gnp (at most GRAPH_PAIRS_NODES_MAX nodes), else linear but for the sorting. */
int random_graph_make(const struct graph_spec *spec, uint64_t seed, struct random_graph *ret, struct err *err) VNE_MUST;
void random_graph_done(struct random_graph *g);
uint64_t point_distance(struct point p, struct point q); /* rounded down */

/* The connected G(n, p) of requests: drawn until connected; after a thousand tries the last one with its
 * parts joined by links at random. */
void random_connected_gnp(struct random *r, uint32_t n, uint64_t probability_q32, struct random_graph *ret);

/* Which of a fat tree's nodes are hosts: the last arity³/4. */
uint32_t fat_tree_hosts(uint32_t arity);
uint32_t fat_tree_nodes(uint32_t arity);
