/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An embedding in the making: where each virtual node stands so far, how each virtual link is
 * routed, and what that leaves. Heuristics place, route, take back and try again in it; every
 * step costs what it changes, not the size of the substrate. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/path.h"
#include "embed/problem.h"

/* How one virtual link is routed: its paths, and last, where there is one, the backup. */
struct vroute {
	uint32_t *links;               /* all paths, one behind the other */
	uint32_t cap;
	uint32_t first[PATHS_MAX + 2]; /* path i: links[first[i]] … links[first[i + 1] - 1] */
	int64_t bw_kbps[PATHS_MAX + 1];
	uint32_t n_paths;              /* 0: inside one node */
	bool routed, backup;           /* backup: the last of n_paths */
	uint64_t version;              /* equal: the same route (only compared within a layout and its copies) */
	double cost;
};

struct layout {
	const struct problem *p;
	struct path_space *space;      /* shared, borrowed */
	uint32_t *host;                /* NO_NODE: not placed */
	struct vroute *route;
	size_t n_placed, n_routed;
	double cost;                   /* of what is placed and routed, in the problem's units */
	uint64_t version;

	int64_t (*node)[RES_COUNT];    /* what is left; NULL in a snapshot */
	int64_t *cap;
	uint32_t *guests;              /* virtual nodes of ours per substrate node */
	uint8_t *banned;               /* scratch, all zero between calls */
	uint32_t *scratch;             /* room for PATHS_MAX + 1 paths */
	int64_t *flow, *room;
};

void layout_init(struct layout *l, const struct problem *p, struct path_space *space);
void layout_init_snapshot(struct layout *l, const struct problem *p);
void layout_done(struct layout *l);

bool layout_room(const struct layout *l, uint32_t u, uint32_t a); /* a is u's candidate, with enough left */
void layout_place(struct layout *l, uint32_t u, uint32_t a);      /* which has room */
void layout_unplace(struct layout *l, uint32_t u);                /* and unroutes its links */
void layout_unroute(struct layout *l, uint32_t k);

/* route.c: routes virtual link k, both ends placed, by what formats.md asks of it. The cheapest
 * way for a single path and for a split or protected one without delay and risks (there the
 * minimum-cost flow, if eight paths carry it); else a good one. False: none found, nothing changed. */
bool layout_route(struct layout *l, uint32_t k);
/* Routes k over what l->flow sends (signed kbit/s per link; used up). False: it takes too many paths, or one
 * too slow, or not all of its bandwidth. */
bool layout_route_flow(struct layout *l, uint32_t k);
struct flow_path;
/* Routes k, split, over just these paths. False: one is too slow, a link has not enough left, or they do not sum up. */
bool layout_route_paths(struct layout *l, uint32_t k, const struct flow_path *paths, size_t n);
/* Routes k by a path over links not in `banned` and, if protected, a backup over links not in `banned_backup`. */
bool layout_route_within(struct layout *l, uint32_t k, const uint8_t *banned, const uint8_t *banned_backup);
/* Whether a protected best-effort link has a path of fewest hops from a to b, in time, and a backup beside
 * it. Wrongly true only where the first some thousand such paths have none. */
bool layout_best_effort_pair(struct layout *l, uint32_t k, uint32_t a, uint32_t b);
/* Notes the paths in r (links, first, bw_kbps, n_paths, backup set) and takes their bandwidth. */
void layout_set_route(struct layout *l, uint32_t k);
/* The query that finds single paths for k with `need` of bandwidth. */
struct path_query layout_query(const struct layout *l, uint32_t k, int64_t need);

void layout_save(const struct layout *l, struct layout *snapshot);
void layout_restore(struct layout *l, const struct layout *snapshot);
bool layout_complete(const struct layout *l);
void layout_embedding(const struct layout *l, struct embedding *ret); /* of a complete one; caller frees */
