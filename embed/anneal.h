/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Placing by prices alone: simulated annealing (Kirkpatrick, Gelatt and Vecchi 1983; with a drawn threshold in place of an
 * exponential) on where virtual nodes stand, each virtual link costing what its row says and nothing routed. A
 * move costs an addition per link of the virtual node at most, which is some hundred times less than to route it; what
 * comes out is routed afterwards. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "embed/rng.h"
#include "embed/rows.h"

struct anneal {
	struct rows *rows;
	const int64_t *bw;         /* per virtual link: price of a unit of distance */
	const double *node_price;  /* per substrate node: price of a unit of demand */
	struct rng *rng;
	uint32_t *host;            /* per virtual node: in, everyone has one, all distinct; out, the best that was found */
};

/* Whether it can: distinct hosts, and memory for all rows at once. */
bool anneal_can(const struct rows *rows);
/* Tries `moves` moves, from hot to cold. Returns how many arcs that was worth, without the searches for rows. O(moves ×
 * degree). Integers only: the same everywhere. */
uint64_t anneal_run(struct anneal *a, uint64_t moves);
