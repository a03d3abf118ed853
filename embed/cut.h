/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cuts of the substrate that no placement gets around: a set of nodes whose border has less bandwidth
 * left than every division of the routers between the two sides sends across. What is said is proven:
 * a set is only ever guessed (minimum cuts between candidates, components of the links that are wide enough);
 * then every division of the routers is weighed, whatever suggested it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "embed/problem.h"

/* Looks for one within `effort` arcs and adds what it took to *work. True: nothing fits p, and *why names the
 * nodes, what their border has left, what must cross it, and which virtual links. The same p and effort give the
 * same cut. Each guess costs a maximum flow (augmenting paths, O(links) each) and at most some thousand
 * divisions. */
bool cut_find(const struct problem *p, uint64_t effort, uint64_t *work, struct err *why);

/* One cut weighed: inside[a] != 0 for its nodes. */
struct cut {
	int64_t left_kbps;  /* what the links of its border have left, together */
	int64_t widest_kbps;
	size_t n_border;
	int64_t need_kbps;  /* the least that crosses, over all divisions; INT64_MAX: none is possible at all */
	bool pieces;        /* need_kbps <= left_kbps, but in no division do whole paths fit onto the single links */
	bool forced;        /* one division only: its candidates leave no other */
	size_t stuck;       /* a virtual link that must cross and cannot; SIZE_MAX: none is to blame alone */
	uint8_t *side;      /* per virtual node, in the division of need_kbps: 1 inside; NULL: none. Freed by the caller */
};
/* True: proven that no division fits. False: one may, or there are too many. */
bool cut_weigh(const struct problem *p, const uint8_t *inside, uint64_t *work, struct cut *ret);
