/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a virtual link costs at least from one host to every other, when nothing else of the request is routed: one row
 * for each host and kind of link, searched when first asked for and kept, so that trying another place
 * for a virtual node costs an addition for each of its links instead of a search.
 *
 * Columns are spots: the nodes that are a candidate of any virtual node. Distances are whole numbers of `unit`, rounded where
 * costs are so odd that they have no large common divisor: a guide for a search that routes for real
 * afterwards, exact with ordinary costs. Memory: a hash of at most ROWS_BYTES of rows, or a few rows where one is larger
 * than that; forgotten as a whole when full. Where rows for all bandwidths would be more than that, those of similar bandwidths
 * share rows, which then promise too much rather than too little. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/problem.h"

#define ROW_NONE UINT32_MAX /* no path */
#define ROW_FAR (UINT32_MAX >> 1) /* this or more */

struct row_class { /* virtual links that may use the same substrate links */
	int64_t need, max_delay;
	bool best_effort;
	uint64_t *beside;  /* where all links weigh the same and nodes are few: per node a set of its neighbours */
};

struct row_slot {
	uint32_t class, spot, row; /* row + 1; 0: free */
};

struct rows {
	const struct problem *p;
	struct path_space *space;      /* borrowed */
	double unit;                   /* objective units per (kbit/s × distance) */
	uint32_t n_spots;
	uint32_t *spot_of, *node_of;   /* NO_NODE: not a spot */
	uint8_t *wanted;               /* per node: is a spot */
	struct row_class *classes;
	size_t n_classes;
	uint32_t *class_of;            /* per virtual link */
	uint32_t words;                /* of a set of nodes; 0: too many for sets */
	uint64_t *seen, *at, *next;    /* such sets */
	uint32_t **row;                /* each n_spots */
	uint32_t n_rows, n_made, max_rows;
	struct row_slot *slots;
	uint32_t n_slots;              /* a power of two */
};

/* O(candidates + substrate links × log classes). p is narrowed first or never. */
void rows_init(struct rows *rows, const struct problem *p, struct path_space *space);
void rows_done(struct rows *rows);
/* Distances for virtual link k from `node`, which is a spot, per spot; good until the next call. At worst one search. */
const uint32_t *rows_get(struct rows *rows, uint32_t k, uint32_t node);
