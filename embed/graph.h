/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate as the searches walk it: one array of arcs, sorted by the node they leave
 * (compressed sparse rows), built once per solve. What is left of a link lies beside it in
 * an array of the caller's, so that a search filters instead of copying. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/substrate.h"

#define NO_NODE UINT32_MAX
#define NO_LINK UINT32_MAX

struct arc {
	uint32_t to, link;
};

struct graph {
	size_t n_nodes, n_links;
	uint32_t *first;      /* arcs of node v: arcs[first[v]] … arcs[first[v + 1] - 1], in order of links */
	struct arc *arcs;     /* 2 × n_links */
	uint32_t (*ends)[2];  /* per link */
};

/* O(nodes + links); the substrate has passed substrate_check. */
void graph_init(struct graph *g, const struct substrate *s);
void graph_done(struct graph *g);
