/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tabu search (Glover 1989) for a cheap placement by the costs of a struct dual, routing left aside: moves of one virtual
 * node and swaps of two, each priced in the order of its virtual links. Near-optimal placements in less
 * time than one linear program takes; whoever calls routes them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "embed/dual.h"
#include "embed/rng.h"

struct tabu_ask {
	uint32_t starts, steps;   /* starts: greedy placements, with ever different first choices; steps: of each, without a new best */
	struct rng *rng;
	/* A placement no move of which is cheaper, with its cost in d's parts: the node of every virtual node. Returns the cost from
	 * which on placements are of no more interest; below 0: stop. */
	int64_t (*found)(void *arg, const uint32_t *host, int64_t cost);
	bool (*go_on)(void *arg, uint64_t arcs);
	void *arg;
};

/* Offers what costs at most `limit`. Deterministic in the state of rng. O(hosts) per step, as a virtual node's move
 * touches its neighbours only. */
void tabu_search(const struct dual *d, const struct tabu_ask *ask, int64_t limit);
