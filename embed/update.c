/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See update.h. What can stay, and the ladder of what may move. */
#include "embed/update_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/problem.h"

enum { ONES = 24, TWOS = 60 }; /* choices that are tried on a rung */

/* ---- what stays --------------------------------------------------------------------------------- */

/* Not where it may not be any more, nor as another kind than it is to have. */
static bool host_serves(const struct update *u, size_t node)
{
	uint32_t host = u->now->host[node];
	const struct vnode *n = &u->r->nodes[node];
	struct err why;

	return host < u->s->n_nodes && u->now->kind[node] && (!n->kind || !strcmp(n->kind, u->now->kind[node])) &&
	       snode_hosts(&u->s->nodes[host], u->now->kind[node]) && place_fits(n, u->s, host, &why);
}

static bool both_kept(const struct update *u, size_t link)
{
	return u->keep[u->r->links[link].a] && u->keep[u->r->links[link].b];
}

static bool path_serves(const struct update *u, const struct vlink *l, const struct path *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (u->s->links[p->links[i]].closed)
			return false;
	return l->max_delay_us < 0 || path_delay_us(u->s, p) <= l->max_delay_us;
}

static size_t fewest_hops(const struct update *u, uint32_t from, uint32_t to)
{
	const struct graph *g = &u->graph;
	mem_auto uint32_t *queue = mem_array(g->n_nodes + 1, sizeof(*queue)), *hops = mem_array(g->n_nodes + 1, sizeof(*hops)); /* + 1; 0: not seen */
	size_t n = 0;

	hops[from] = 1;
	queue[n++] = from;
	for (size_t i = 0; i < n && !hops[to]; i++)
		for (uint32_t k = g->first[queue[i]]; k < g->first[queue[i] + 1]; k++)
			if (!hops[g->arcs[k].to]) {
				hops[g->arcs[k].to] = hops[queue[i]] + 1;
				queue[n++] = g->arcs[k].to;
			}
	return (size_t)hops[to] - 1;
}

/* Best effort takes the fewest hops there are; it may stand on more, from when a link was down. */
static bool primary_serves(const struct update *u, const struct vlink *l, const struct path *p)
{
	return path_serves(u, l, p) && (l->bw_kbps || p->n == fewest_hops(u, u->now->host[l->a], u->now->host[l->b]));
}

/* Whether the ways that a link has now are ways for what it asks. */
static bool ways_serve(const struct update *u, size_t link)
{
	const struct vlink *l = &u->r->links[link];
	const struct vlink_map *m = &u->now->links[link];

	if (!both_kept(u, link))
		return false;
	if (u->now->host[l->a] == u->now->host[l->b])
		return true;
	if (!m->n_paths || (m->n_paths > 1 && (!l->split || l->bw_kbps < (int64_t)m->n_paths)) || l->protect != (m->backup.n > 0))
		return false;
	for (size_t k = 0; k < m->n_paths; k++)
		if (!primary_serves(u, l, &m->paths[k]))
			return false;
	return !m->backup.n || path_serves(u, l, &m->backup);
}

/* Of a protected link one way was lost, and the other serves as its first. */
static bool half_serves(const struct update *u, size_t link)
{
	const struct vlink *l = &u->r->links[link];
	const struct vlink_map *m = &u->now->links[link];

	return l->protect && both_kept(u, link) && u->now->host[l->a] != u->now->host[l->b] && m->n_paths == 1 && !m->backup.n &&
	       primary_serves(u, l, &m->paths[0]);
}

/* ---- the ladder ----------------------------------------------------------------------------------------- */

struct best {
	struct embedding e;
	int64_t cost; /* INT64_MAX: none yet */
};

static void offer(struct update *u, struct best *best)
{
	struct embedding e;

	if (update_try(u, true, &e) && update_try(u, false, &e))
		return;
	int64_t cost = embedding_cost_nano(u->s, u->r, &e);

	if (cost >= best->cost) {
		embedding_done(&e);
		return;
	}
	if (best->cost != INT64_MAX)
		embedding_done(&best->e);
	*best = (struct best){ e, cost };
}

/* Nodes of `now` in the order in which they are freed: by hops over the virtual links from what is new or lost. */
static void order_nodes(struct update *u)
{
	const struct request *r = u->r;
	mem_auto bool *seen = mem_array(r->n_nodes + 1, sizeof(*seen));

	for (size_t k = 0; k < r->n_links; k++)
		if (!u->stays[k])
			seen[r->links[k].a] = seen[r->links[k].b] = true;
	for (size_t i = 0; i < r->n_nodes; i++)
		seen[i] |= !u->keep[i];
	for (size_t i = 0; i < r->n_nodes; i++)
		if (seen[i] && u->keep[i])
			u->near[u->n_near++] = (uint32_t)i;
	for (bool more = true; more;) {
		more = false;
		for (size_t k = 0; k < r->n_links; k++) {
			const struct vlink *l = &r->links[k];
			uint32_t next = seen[l->a] ? l->b : l->a;

			if (seen[l->a] == seen[l->b])
				continue;
			seen[next] = more = true;
			if (u->keep[next])
				u->near[u->n_near++] = next;
		}
	}
	for (size_t i = 0; i < r->n_nodes; i++)
		if (!seen[i] && u->keep[i])
			u->near[u->n_near++] = (uint32_t)i;
}

static void free_paths(struct update *u, struct best *best)
{
	size_t tries = 0;

	for (size_t k = 0; k < u->r->n_links && tries < ONES; k++) {
		if (!u->stays[k])
			continue;
		u->free_link[k] = true;
		offer(u, best);
		u->free_link[k] = false;
		tries++;
	}
	if (best->cost != INT64_MAX)
		return;
	memset(u->free_link, true, u->r->n_links * sizeof(*u->free_link));
	offer(u, best);
	memset(u->free_link, false, u->r->n_links * sizeof(*u->free_link));
}

/* With paths as they are where possible, else free. */
static void offer_nodes(struct update *u, struct best *best)
{
	int64_t before = best->cost;

	offer(u, best);
	if (best->cost != before)
		return;
	memset(u->free_link, true, u->r->n_links * sizeof(*u->free_link));
	offer(u, best);
	memset(u->free_link, false, u->r->n_links * sizeof(*u->free_link));
}

static void free_one(struct update *u, struct best *best)
{
	for (size_t i = 0; i < u->n_near && i < ONES; i++) {
		u->free_node[u->near[i]] = true;
		offer_nodes(u, best);
		u->free_node[u->near[i]] = false;
	}
}

static void free_two(struct update *u, struct best *best)
{
	size_t tries = 0;

	for (size_t sum = 1; sum < 2 * u->n_near && tries < TWOS; sum++) /* the nearest pairs first */
		for (size_t i = 0; 2 * i < sum && tries < TWOS; i++) {
			if (sum - i >= u->n_near)
				continue;
			u->free_node[u->near[i]] = u->free_node[u->near[sum - i]] = true;
			offer_nodes(u, best);
			u->free_node[u->near[i]] = u->free_node[u->near[sum - i]] = false;
			tries++;
		}
}

static bool climb(struct update *u, struct best *best)
{
	static void (*const rungs[])(struct update *, struct best *) = { offer, free_paths, free_one, free_two };

	for (size_t i = 0; i < ARRAY_LEN(rungs) && best->cost == INT64_MAX && update_goes_on(u); i++)
		rungs[i](u, best);
	return best->cost != INT64_MAX;
}

static double objective_of(const struct update *u, const struct embedding *e)
{
	struct problem p;
	struct err why;
	double ret = nano_to_units(embedding_cost_nano(u->s, u->r, e));

	if (problem_init(&p, u->s, u->left, u->r, u->options->objective, &why) == 0)
		ret = problem_objective(&p, e) / p.scale;
	problem_done(&p);
	return ret;
}

int embed_update(const struct substrate *s, const struct residual *left, const struct request *r, const struct embedding *now,
                 const struct embed_options *options, struct solution *ret, struct err *err)
{
	int64_t begun_us = clock_us();
	struct update u = {
		.s = s, .left = left, .r = r, .now = now, .options = options, .deadline_us = INT64_MAX,
		.keep = mem_array(r->n_nodes + 1, sizeof(*u.keep)), .stays = mem_array(r->n_links + 1, sizeof(*u.stays)),
		.halved = mem_array(r->n_links + 1, sizeof(*u.halved)),
		.free_node = mem_array(r->n_nodes + 1, sizeof(*u.free_node)),
		.free_link = mem_array(r->n_links + 1, sizeof(*u.free_link)), .near = mem_array(r->n_nodes + 1, sizeof(*u.near)),
		.work_limit = options->effort > 0 ? (uint64_t)options->effort * 1000 : UINT64_MAX,
	};
	struct best best = { .cost = INT64_MAX };
	int rc = 0;

	graph_init(&u.graph, s);
	if (options->time_limit_s > 0) /* the last rung gets a half */
		u.deadline_us = begun_us + (int64_t)(options->time_limit_s * 5e5);
	for (size_t i = 0; i < r->n_nodes; i++)
		u.keep[i] = host_serves(&u, i);
	for (size_t k = 0; k < r->n_links; k++) {
		u.stays[k] = ways_serve(&u, k);
		u.halved[k] = half_serves(&u, k);
	}
	order_nodes(&u);
	if (u.n_near && climb(&u, &best)) {
		*ret = (struct solution){ .status = SOLVE_FEASIBLE, .has_embedding = true, .embedding = best.e, .work = u.work };
		ret->cost = nano_to_units(best.cost);
		ret->objective = options->objective == OBJECTIVE_COST ? ret->cost : objective_of(&u, &best.e);
		snprintf(ret->solver, sizeof(ret->solver), "update");
		ret->seconds = (double)(clock_us() - begun_us) / 1e6;
	} else {
		rc = embed_solve(s, left, r, options, ret, err);
	}
	graph_done(&u.graph);
	free(u.keep);
	free(u.stays);
	free(u.halved);
	free(u.free_node);
	free(u.free_link);
	free(u.near);
	return rc;
}
