/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One search from many hosts at once, each ahead by an amount of its own: for every node the two cheapest arrivals from
 * two different hosts, so that whoever must not share a host with the source has one. Like path_nearest(), with
 * offsets, and with the paths. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/path.h"

/* Zero it, but for the space: borrowed, its heap and its count of work are used. */
struct reach {
	struct path_space *space;
	struct reach_label {
		int64_t dist;
		uint32_t node, link, parent, source; /* parent: of labels; source: which of the sources */
	} *labels;
	size_t n_labels, cap_labels;
	uint32_t (*settled)[2]; /* per node: its labels, + 1; 0: none */
};
void reach_done(struct reach *r);

#define NO_LABEL UINT32_MAX

/* A node that is searched for, and from which distance on it is not. */
struct reach_goal {
	const int64_t *ahead; /* per node, × scale: no more than its distance to the goal; DIST_NONE: none */
	int64_t scale, most;
};

/* weight per link, >= 0; links with cap < need are not used; offset >= 0 per source. With goals, arrivals that are below no goal's
 * `most` may be missing, and only the corridors to the others are looked at. O(2 (n + m) log m). */
void reach_search(struct reach *r, const int64_t *weight, const int64_t *cap, int64_t need, const uint32_t *sources,
                  const int64_t *offset, size_t n, const struct reach_goal *goals, size_t n_goals);
/* The cheapest label that arrives at `node`; with `elsewhere`, from a source that is not `node` itself. NO_LABEL: none. */
uint32_t reach_arrival(const struct reach *r, const uint32_t *sources, uint32_t node, bool elsewhere);
/* Its links in order from the source, at most n_nodes of them; returns how many. False of reach_simple(): on its way it
 * comes by where it ends, which a second arrival may. */
size_t reach_trace(const struct reach *r, uint32_t label, uint32_t *links);
bool reach_simple(const struct reach *r, uint32_t label);
