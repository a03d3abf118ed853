/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Minimum-cost flow between two nodes by successive shortest paths with potentials (Edmonds and
 * Karp 1972), and its decomposition into simple paths: what a split virtual link and the
 * cheapest pair of link-disjoint paths (Suurballe 1974; Bhandari 1999) come down to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/path.h"

/* Sends `amount` from `from` to `to` over links with room[l] (>= 0) at weight[l] per unit, either
 * direction of a link but their difference counts. flow[l] > 0: from ends[0] to ends[1]. False, and
 * flow as far as it got, where not all of it fits. O(paths × m log m). The space's dist,
 * via and settled are used. */
bool flow_send(struct path_space *ps, const int64_t *weight, const int64_t *room, uint32_t from, uint32_t to,
               int64_t amount, int64_t *flow);

struct flow_path {
	uint32_t *links; /* in the order from `from` to `to` */
	size_t n;
	int64_t amount;
};

/* Takes simple paths, the widest first, out of flow (which is used up; cycles are dropped).
 * Returns how many, or SIZE_MAX when more than max would be needed. Each paths[i].links is room for
 * n_nodes links that the caller has made. O(paths × m log m). */
size_t flow_split(struct path_space *ps, uint32_t from, uint32_t to, int64_t *flow, struct flow_path *paths,
                  size_t max);
