/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routing one virtual link between two hosts, by what it asks: a single path, a split, a
 * protected pair, or best effort. Each writes its paths into the link's vroute and says whether
 * it found any; nothing is taken until layout_set_route(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/flow.h"
#include "embed/layout.h"

enum {
	DETOURS = 16,    /* links of a primary path that are avoided in turn where it leaves no backup */
	PRIMARIES = 4096, /* paths of fewest hops that are tried for a best-effort link with a backup */
	HOPS_MAX = 10000 /* of such a path: bounds the depth of the stack */
};

struct path_query layout_query(const struct layout *l, uint32_t k, int64_t need)
{
	const struct vlink *link = &l->p->r->links[k];

	/* Best effort: fewest hops, and of those the quickest, which settles its delay bound, too. */
	if (link->bw_kbps == 0)
		return (struct path_query){ .tie = l->p->link_delay, .max_delay = -1 };
	return (struct path_query){ .weight = l->p->link_weight, .unit = l->p->link_unit, .tie = l->p->link_tie,
	                            .cap = l->cap, .need = need, .delay = l->p->link_delay, .max_delay = link->max_delay_us };
}

static void route_begin(struct vroute *r)
{
	r->n_paths = 0;
	r->first[0] = 0;
	r->backup = false;
}

static void route_add(struct vroute *r, const uint32_t *links, size_t n, int64_t bw_kbps)
{
	uint32_t at = r->first[r->n_paths];

	if (at + n > r->cap) {
		r->cap = (uint32_t)(at + n) * 2;
		r->links = mem_grow(r->links, r->cap, sizeof(*r->links));
	}
	memcpy(r->links + at, links, n * sizeof(*links));
	r->bw_kbps[r->n_paths] = bw_kbps;
	r->first[++r->n_paths] = at + (uint32_t)n;
}

static double route_weight(const struct layout *l, const struct vroute *r)
{
	double sum = 0;

	for (uint32_t i = 0; i < r->n_paths; i++)
		for (uint32_t j = r->first[i]; j < r->first[i + 1]; j++)
			sum += (double)r->bw_kbps[i] * (double)l->p->link_weight[r->links[j]];
	return sum;
}

static int64_t path_delay(const struct layout *l, const uint32_t *links, size_t n)
{
	int64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += l->p->link_delay[links[i]];
	return sum;
}

static bool in_time(const struct layout *l, const struct vlink *link, const uint32_t *links, size_t n)
{
	return link->max_delay_us < 0 || path_delay(l, links, n) <= link->max_delay_us;
}

/* Finds one path by q and appends it. */
static bool route_one(struct layout *l, uint32_t k, const struct path_query *q, int64_t bw_kbps)
{
	const struct vlink *link = &l->p->r->links[k];
	uint32_t from = l->host[link->a], to = l->host[link->b];
	size_t n;

	if (!path_between(l->space, q, from, to, l->scratch, &n))
		return false;
	/* Of fewest hops the quickest path was found; of others the query has bounded the delay. */
	if (q->max_delay < 0 && !in_time(l, link, l->scratch, n))
		return false;
	route_add(&l->route[k], l->scratch, n, bw_kbps);
	return true;
}

/* ---- split --------------------------------------------------------------------------------- */

/* Decomposes l->flow; false where it takes too many paths or a slow one. */
static bool route_decompose(struct layout *l, uint32_t k, size_t max_paths)
{
	const struct vlink *link = &l->p->r->links[k];
	uint32_t from = l->host[link->a], to = l->host[link->b];
	struct flow_path paths[PATHS_MAX];

	for (size_t i = 0; i < PATHS_MAX; i++)
		paths[i].links = l->scratch + i * (l->p->s->n_nodes + 1);
	size_t n = flow_split(l->space, from, to, l->flow, paths, max_paths);
	if (n == SIZE_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!in_time(l, link, paths[i].links, paths[i].n))
			return false;
	for (size_t i = 0; i < n; i++)
		route_add(&l->route[k], paths[i].links, paths[i].n, paths[i].amount);
	return true;
}

static bool route_flow(struct layout *l, uint32_t k, const int64_t *room, int64_t amount, size_t max_paths)
{
	const struct vlink *link = &l->p->r->links[k];

	return flow_send(l->space, l->p->link_weight, room, l->host[link->a], l->host[link->b], amount, l->flow) &&
	       route_decompose(l, k, max_paths);
}

bool layout_route_flow(struct layout *l, uint32_t k)
{
	struct vroute *r = &l->route[k];
	int64_t sum = 0;

	route_begin(r);
	if (!route_decompose(l, k, PATHS_MAX))
		return false;
	for (uint32_t i = 0; i < r->n_paths; i++)
		sum += r->bw_kbps[i];
	if (sum != l->p->r->links[k].bw_kbps)
		return false;
	layout_set_route(l, k);
	return true;
}

bool layout_route_paths(struct layout *l, uint32_t k, const struct flow_path *paths, size_t n)
{
	const struct vlink *link = &l->p->r->links[k];
	int64_t sum = 0;

	route_begin(&l->route[k]);
	memcpy(l->room, l->cap, l->p->s->n_links * sizeof(*l->room));
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < paths[i].n; j++)
			if ((l->room[paths[i].links[j]] -= paths[i].amount) < 0)
				return false;
		if (i == PATHS_MAX || !in_time(l, link, paths[i].links, paths[i].n))
			return false;
		route_add(&l->route[k], paths[i].links, paths[i].n, paths[i].amount);
		sum += paths[i].amount;
	}
	if (sum != link->bw_kbps)
		return false;
	layout_set_route(l, k);
	return true;
}

/* The cheapest path that leaves no more than the paths still allowed can carry, then the next. */
static bool route_greedy(struct layout *l, uint32_t k, int64_t bw_kbps)
{
	struct vroute *r = &l->route[k];
	int64_t rest = bw_kbps;
	bool found = true;

	memcpy(l->room, l->cap, l->p->s->n_links * sizeof(*l->room));
	for (int i = 0; rest > 0 && found; i++) {
		struct path_query q = layout_query(l, k, (rest + PATHS_MAX - i - 1) / (PATHS_MAX - i));
		q.cap = l->room;
		found = route_one(l, k, &q, 0);
		if (!found)
			break;
		int64_t width = rest;
		for (uint32_t j = r->first[i]; j < r->first[i + 1]; j++)
			if (l->room[r->links[j]] < width)
				width = l->room[r->links[j]];
		for (uint32_t j = r->first[i]; j < r->first[i + 1]; j++)
			l->room[r->links[j]] -= width;
		r->bw_kbps[i] = width;
		rest -= width;
	}
	return found;
}

static bool route_split(struct layout *l, uint32_t k)
{
	const struct vlink *link = &l->p->r->links[k];
	struct vroute *r = &l->route[k];
	struct path_query q = layout_query(l, k, link->bw_kbps);
	double whole = -1;

	if (route_one(l, k, &q, link->bw_kbps)) {
		whole = route_weight(l, r);
		q.need = 1;
		/* No flow is cheaper than the cheapest path; often that one is wide enough. */
		if (path_search(l->space, &q, l->host[link->a], l->host[link->b]) &&
		    (double)path_dist(l->space, l->host[link->b]) * (double)link->bw_kbps >= whole)
			return true;
		route_begin(r);
	}
	if (route_flow(l, k, l->cap, link->bw_kbps, PATHS_MAX))
		return true;
	route_begin(r);
	if (route_greedy(l, k, link->bw_kbps) && (whole < 0 || route_weight(l, r) < whole))
		return true;
	route_begin(r);
	q.need = link->bw_kbps;
	return whole >= 0 && route_one(l, k, &q, link->bw_kbps);
}

/* ---- protection ---------------------------------------------------------------------------- */

static bool risks_apart(const struct problem *p, const struct vroute *r)
{
	for (uint32_t i = r->first[0]; p->n_risks > 0 && i < r->first[1]; i++)
		for (uint32_t j = r->first[1]; j < r->first[2]; j++)
			if (problem_shares_risk(p, r->links[i], r->links[j]))
				return false;
	return true;
}

/* Marks (or clears) every link that a backup of r's only path must not use. */
static void ban_around(struct layout *l, const struct vroute *r, bool ban)
{
	const struct problem *p = l->p;

	for (uint32_t j = r->first[0]; j < r->first[1]; j++)
		l->banned[r->links[j]] = ban;
	if (p->n_risks == 0)
		return;
	mem_auto uint8_t *mark = mem_array(p->n_risks, 1);
	for (uint32_t j = r->first[0]; j < r->first[1]; j++)
		for (uint32_t i = p->risk_first[r->links[j]]; i < p->risk_first[r->links[j] + 1]; i++)
			mark[p->risks[i]] = 1;
	for (size_t m = 0; m < p->s->n_links; m++)
		for (uint32_t i = p->risk_first[m]; i < p->risk_first[m + 1]; i++)
			if (mark[p->risks[i]])
				l->banned[m] = ban;
}

/* The cheapest backup beside the path that r has. */
static bool route_backup(struct layout *l, uint32_t k)
{
	const struct vlink *link = &l->p->r->links[k];
	struct vroute *r = &l->route[k];
	struct path_query beside = { .weight = l->p->link_weight, .unit = l->p->link_unit, .tie = l->p->link_tie, .cap = l->cap, .need = link->bw_kbps,
	                             .banned = l->banned, .delay = l->p->link_delay, .max_delay = link->max_delay_us };

	ban_around(l, r, true);
	r->backup = route_one(l, k, &beside, link->bw_kbps);
	ban_around(l, r, false);
	return r->backup;
}

/* A primary path that avoids `detour`, then a backup. */
static bool route_pair(struct layout *l, uint32_t k, uint32_t detour)
{
	const struct vlink *link = &l->p->r->links[k];
	struct path_query q = layout_query(l, k, link->bw_kbps);

	route_begin(&l->route[k]);
	q.banned = l->banned;
	if (detour != NO_LINK)
		l->banned[detour] = 1;
	bool found = route_one(l, k, &q, link->bw_kbps);
	if (detour != NO_LINK)
		l->banned[detour] = 0;
	return found && route_backup(l, k);
}

static bool route_protected(struct layout *l, uint32_t k)
{
	const struct vlink *link = &l->p->r->links[k];
	struct vroute *r = &l->route[k];

	for (size_t m = 0; m < l->p->s->n_links; m++)
		l->room[m] = l->cap[m] >= link->bw_kbps;
	if (route_flow(l, k, l->room, 2, 2) && r->n_paths == 2 && risks_apart(l->p, r)) {
		r->bw_kbps[0] = r->bw_kbps[1] = link->bw_kbps;
		return r->backup = true;
	}
	/* Risks or delays: a primary first, and detours around each of its links while none leaves a backup. */
	if (route_pair(l, k, NO_LINK))
		return true;
	if (r->n_paths == 0)
		return false;
	uint32_t avoid[DETOURS], n = 0;
	for (uint32_t j = 0; j < r->first[1] && n < DETOURS; j++)
		avoid[n++] = r->links[j];
	for (uint32_t j = 0; j < n; j++)
		if (route_pair(l, k, avoid[j]))
			return true;
	return false;
}

/* All paths of fewest hops, depth first, until one leaves a backup. `hops`: to the far end, per node. */
static bool route_fewest(struct layout *l, uint32_t k, const int64_t *hops, uint32_t at, size_t depth, int64_t delay,
                         uint32_t *path, int *tries)
{
	const struct problem *p = l->p;
	const struct vlink *link = &p->r->links[k];

	if (link->max_delay_us >= 0 && delay > link->max_delay_us)
		return false;
	if (hops[at] == 0) {
		--*tries;
		route_begin(&l->route[k]);
		route_add(&l->route[k], path, depth, 0);
		return route_backup(l, k);
	}
	for (uint32_t i = p->graph.first[at]; i < p->graph.first[at + 1] && *tries > 0; i++) {
		struct arc arc = p->graph.arcs[i];
		if (hops[arc.to] != hops[at] - 1)
			continue;
		path[depth] = arc.link;
		if (route_fewest(l, k, hops, arc.to, depth + 1, delay + p->link_delay[arc.link], path, tries))
			return true;
	}
	return false;
}

/* *ret_tries: 0 where there are more primaries than were looked at. */
static bool route_best_effort_pair(struct layout *l, uint32_t k, uint32_t from, uint32_t to, int *ret_tries)
{
	size_t n = l->p->s->n_nodes;
	mem_auto int64_t *hops = mem_array(n + 1, sizeof(*hops));
	mem_auto uint32_t *path = mem_array(n + 1, sizeof(*path));
	struct path_query q = { .max_delay = -1 };

	*ret_tries = PRIMARIES;
	path_search(l->space, &q, to, NO_NODE);
	for (uint32_t v = 0; v < n; v++)
		hops[v] = path_dist(l->space, v);
	if (hops[from] == DIST_NONE)
		return false;
	if (hops[from] > HOPS_MAX) {
		*ret_tries = 0;
		return false;
	}
	return route_fewest(l, k, hops, from, 0, 0, path, ret_tries);
}

bool layout_best_effort_pair(struct layout *l, uint32_t k, uint32_t a, uint32_t b)
{
	const struct vlink *link = &l->p->r->links[k];
	int tries;

	if (a == b)
		return true;
	l->host[link->a] = a; /* where route_one() looks; nothing is placed */
	l->host[link->b] = b;
	bool found = route_best_effort_pair(l, k, a, b, &tries) || tries == 0;
	l->host[link->a] = l->host[link->b] = NO_NODE;
	return found;
}

bool layout_route_within(struct layout *l, uint32_t k, const uint8_t *banned, const uint8_t *banned_backup)
{
	const struct vlink *link = &l->p->r->links[k];
	struct vroute *r = &l->route[k];
	struct path_query q = layout_query(l, k, link->bw_kbps);

	route_begin(r);
	q.banned = banned;
	if (!route_one(l, k, &q, link->bw_kbps))
		return false;
	q.banned = banned_backup;
	if (link->protect) {
		r->backup = route_one(l, k, &q, link->bw_kbps);
		if (!r->backup || !risks_apart(l->p, r))
			return false;
	}
	layout_set_route(l, k);
	return true;
}

/* -------------------------------------------------------------------------------------------- */

bool layout_route(struct layout *l, uint32_t k)
{
	const struct vlink *link = &l->p->r->links[k];
	struct vroute *r = &l->route[k];
	bool found;

	route_begin(r);
	if (l->host[link->a] == l->host[link->b]) {
		found = true;
	} else if (link->protect && link->bw_kbps == 0) {
		int tries;
		found = route_best_effort_pair(l, k, l->host[link->a], l->host[link->b], &tries);
	} else if (link->protect) {
		found = route_protected(l, k);
	} else if (link->split && link->bw_kbps > 0) {
		found = route_split(l, k);
	} else {
		struct path_query q = layout_query(l, k, link->bw_kbps);
		found = route_one(l, k, &q, link->bw_kbps);
	}
	if (found)
		layout_set_route(l, k);
	return found;
}
