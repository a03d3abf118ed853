/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All simple paths within a delay, where they are few: what decides a split link with a delay bound, whose
 * paths a flow cannot tell apart. Depth first, never where the target is out of reach in time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/graph.h"

struct way {
	uint32_t from, to;
	size_t first, n; /* links[first] … in order from `from` */
};

/* Zero it to begin. */
struct ways {
	struct way *v;
	uint32_t *links;
	size_t n, cap, n_links, cap_links;
};

struct ways_query {
	const struct graph *graph;
	const uint8_t *usable;  /* per link and direction (0: from ends[0] to ends[1]) */
	const uint8_t *target;  /* per node */
	const int64_t *to_go;   /* per node: delay of the quickest way to a target, INT64_MAX: none; a lower bound will do */
	const int64_t *delay;   /* per link, >= 0 */
	int64_t max_delay;
	size_t most;            /* paths, in all */
	uint64_t steps;         /* arcs looked at, per call: bounds time and depth */
};

/* Appends every simple path of at least one link from `from` to a target. False, and *w as far as it got, where
 * they are too many. *ret_steps: arcs looked at, added. */
bool ways_find(struct ways *w, const struct ways_query *q, uint32_t from, uint64_t *ret_steps);
void ways_done(struct ways *w);
