/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See update.h. What stays is taken from what is left and out of the request: the rest, with the routers that stay pinned, is a
 * smaller request for the solvers there are. */
#include "embed/update.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/problem.h"
#include "embed/reoptimise.h"

enum {
	ONES = 24, TWOS = 60, /* choices that are tried on a rung */
	SHARE = 4             /* of the time that is left, one try gets this part */
};

struct update {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	const struct embedding *now;
	const struct embed_options *options;
	bool *keep;           /* per node: it has a host in `now` that still serves it */
	bool *stays;          /* per link: its ways in `now` serve as they are */
	bool *free_node;      /* per node of `now`: may move on this rung */
	bool *free_link;      /* per link that stays: may change its paths */
	uint32_t *near;       /* nodes of `now`, those next to what is new or lost first */
	size_t n_near;
	int64_t deadline_us;  /* INT64_MAX: none */
	uint64_t work, work_limit;
};

/* ---- what stays --------------------------------------------------------------------------------- */

static bool kept(const struct update *u, size_t node)
{
	return u->keep[node];
}

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
	return kept(u, u->r->links[link].a) && kept(u, u->r->links[link].b);
}

/* Bandwidth on the paths that there are, in the shares that they have; whole kbit/s. */
static void share(const struct vlink *l, const struct vlink_map *from, struct vlink_map *ret)
{
	int64_t sum = 0, given = 0;

	ret->n_paths = from->n_paths;
	ret->paths = mem_array(from->n_paths, sizeof(*ret->paths));
	for (size_t k = 0; k < from->n_paths; k++)
		sum += from->paths[k].bw_kbps;
	for (size_t k = 0; k < from->n_paths; k++) {
		struct path *p = &ret->paths[k];

		*p = (struct path){ mem_dup(from->paths[k].links, from->paths[k].n * sizeof(*p->links)), from->paths[k].n, 0 };
		p->bw_kbps = k + 1 == from->n_paths ? l->bw_kbps - given :
		             (int64_t)((__int128)l->bw_kbps * from->paths[k].bw_kbps / (sum ? sum : 1));
		given += p->bw_kbps;
	}
	if (from->backup.n)
		ret->backup = (struct path){ mem_dup(from->backup.links, from->backup.n * sizeof(*from->backup.links)), from->backup.n, l->bw_kbps };
}

static bool fits_delay(const struct update *u, const struct vlink *l, const struct path *p)
{
	return l->max_delay_us < 0 || path_delay_us(u->s, p) <= l->max_delay_us;
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
		if (!fits_delay(u, l, &m->paths[k]))
			return false;
	return !m->backup.n || fits_delay(u, l, &m->backup);
}

static bool link_fixed(const struct update *u, size_t link)
{
	const struct vlink *l = &u->r->links[link];

	return u->stays[link] && !u->free_link[link] && !u->free_node[l->a] && !u->free_node[l->b];
}

/* ---- one try ---------------------------------------------------------------------------------------- */

static bool go_on(const struct update *u)
{
	return u->work < u->work_limit && (u->deadline_us == INT64_MAX || clock_us() < u->deadline_us);
}

static void take_path(struct residual *left, const struct path *p)
{
	for (size_t i = 0; i < p->n; i++)
		left->link_kbps[p->links[i]] -= p->bw_kbps;
}

static bool fits(const struct residual *left)
{
	for (size_t i = 0; i < left->n_links; i++)
		if (left->link_kbps[i] < 0)
			return false;
	return true;
}

static int ask(struct update *u, const struct substrate *s, const struct residual *left, const struct request *part, struct solution *ret)
{
	struct embed_options options = *u->options;

	options.explain = false;
	options.proof = NULL;
	options.progress = NULL;
	if (u->deadline_us != INT64_MAX)
		options.time_limit_s = (double)(u->deadline_us - clock_us()) / 1e6 / SHARE + 0.001;
	if (!options.effort || options.effort > request_effort(u->s, u->r))
		options.effort = request_effort(u->s, u->r);
	*ret = (struct solution){ 0 };
	int rc = embed_once(s, left, part, &options, ret, NULL);

	u->work += ret->work + 1;
	return rc || !ret->has_embedding ? -ENOENT : 0;
}

static bool share_risk(const struct slink *a, const struct slink *b)
{
	for (size_t i = 0; i < a->risks.n; i++)
		for (size_t k = 0; k < b->risks.n; k++)
			if (!strcmp(a->risks.v[i], b->risks.v[k]))
				return true;
	return false;
}

/* Of a protected link one way was lost: another one beside the one that it has. */
static bool second_way(struct update *u, struct residual *left, size_t link, struct embedding *e)
{
	const struct vlink *l = &u->r->links[link];
	struct vlink_map *m = &e->links[link];
	struct substrate without = *u->s;
	struct residual apart;
	struct vlink alone = *l;
	struct request part = *u->r;
	mem_auto struct vnode *nodes = mem_array(2, sizeof(*nodes));
	char *names[2] = { u->s->nodes[e->host[l->a]].name, u->s->nodes[e->host[l->b]].name };
	struct solution got;

	residual_copy(left, &apart);
	without.links = mem_dup(u->s->links, u->s->n_links * sizeof(*without.links));
	for (size_t i = 0; i < u->s->n_links; i++)
		for (size_t h = 0; h < m->paths[0].n; h++)
			if (m->paths[0].links[h] == i || share_risk(&u->s->links[i], &u->s->links[m->paths[0].links[h]])) {
				without.links[i].closed = true;
				apart.link_kbps[i] = 0;
			}
	for (size_t k = 0; k < 2; k++) { /* two routers that take nothing */
		nodes[k] = (struct vnode){ .name = names[k], .kind = e->kind[k ? l->b : l->a], .place.on = { &names[k], 1 } };
		nodes[k].group = (uint32_t)k;
	}
	alone.a = 0;
	alone.b = 1;
	alone.protect = false;
	part.nodes = nodes;
	part.n_nodes = 2;
	part.links = &alone;
	part.n_links = 1;
	bool found = ask(u, &without, &apart, &part, &got) == 0 && got.embedding.links[0].n_paths == 1;

	if (found) {
		m->backup = got.embedding.links[0].paths[0];
		got.embedding.links[0].paths[0].links = NULL;
		got.embedding.links[0].paths[0].n = 0;
		take_path(left, &m->backup);
	}
	solution_done(&got);
	residual_done(&apart);
	free(without.links);
	return found;
}

/* The link has one way, and is to have a second beside it. */
static bool halved(const struct update *u, size_t link)
{
	const struct vlink *l = &u->r->links[link];
	const struct vlink_map *m = &u->now->links[link];

	return l->protect && both_kept(u, link) && u->now->host[l->a] != u->now->host[l->b] && m->n_paths == 1 && !m->backup.n &&
	       !u->free_link[link] && !u->free_node[l->a] && !u->free_node[l->b] && fits_delay(u, l, &m->paths[0]);
}

/* What is not fixed, as a request of its own onto what the fixed leaves. 0: *ret has a checked embedding of all of r. */
static int try_rung(struct update *u, bool keep_halves, struct embedding *ret)
{
	const struct request *r = u->r;
	struct request part = *r;
	mem_auto struct vnode *nodes = mem_array(r->n_nodes + 1, sizeof(*nodes));
	mem_auto struct vlink *links = mem_array(r->n_links + 1, sizeof(*links));
	mem_auto size_t *of = mem_array(r->n_links + 1, sizeof(*of));
	mem_auto char **names = mem_array(r->n_nodes + 1, sizeof(*names));
	mem_auto bool *half = mem_array(r->n_links + 1, sizeof(*half));
	struct residual left;
	struct embedding e;
	struct solution got = { 0 };

	if (!go_on(u))
		return -ETIMEDOUT;
	embedding_init(&e, r->n_nodes, r->n_links);
	residual_copy(u->left, &left);
	part.nodes = nodes;
	part.links = links;
	part.n_links = 0;
	memcpy(nodes, r->nodes, r->n_nodes * sizeof(*nodes));
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (!kept(u, i) || u->free_node[i])
			continue;
		names[i] = u->s->nodes[u->now->host[i]].name;
		nodes[i].place.on = (struct yaml_names){ &names[i], 1 };
		nodes[i].kind = u->now->kind[i];
	}
	for (size_t k = 0; k < r->n_links; k++) {
		half[k] = keep_halves && halved(u, k);
		if (!half[k] && !link_fixed(u, k)) {
			of[part.n_links] = k;
			links[part.n_links++] = r->links[k];
			continue;
		}
		share(&r->links[k], &u->now->links[k], &e.links[k]);
		for (size_t p = 0; p < e.links[k].n_paths; p++)
			take_path(&left, &e.links[k].paths[p]);
		take_path(&left, &e.links[k].backup);
	}
	int rc = fits(&left) ? ask(u, u->s, &left, &part, &got) : -ENOENT;

	if (!rc) {
		memcpy(e.host, got.embedding.host, r->n_nodes * sizeof(*e.host));
		for (size_t i = 0; i < r->n_nodes; i++)
			e.kind[i] = mem_str(kept(u, i) && e.host[i] == u->now->host[i] ? u->now->kind[i] : got.embedding.kind[i]);
		for (size_t k = 0; k < part.n_links; k++) {
			struct vlink_map *m = &e.links[of[k]];

			*m = got.embedding.links[k];
			got.embedding.links[k] = (struct vlink_map){ 0 };
			for (size_t p = 0; p < m->n_paths && r->links[of[k]].bw_kbps; p++)
				take_path(&left, &m->paths[p]);
			take_path(&left, &m->backup);
		}
		embedding_choose_kinds(&e, u->s, r);
	}
	for (size_t k = 0; !rc && k < r->n_links; k++)
		if (half[k] && !second_way(u, &left, k, &e))
			rc = -ENOENT;
	if (!rc)
		rc = embedding_check(u->s, u->left, r, &e, NULL);
	solution_done(&got);
	residual_done(&left);
	if (rc)
		embedding_done(&e);
	else
		*ret = e;
	return rc;
}

/* ---- the ladder ----------------------------------------------------------------------------------------- */

struct best {
	struct embedding e;
	int64_t cost; /* INT64_MAX: none yet */
};

static void offer(struct update *u, struct best *best)
{
	struct embedding e;

	if (try_rung(u, true, &e) && try_rung(u, false, &e))
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
		seen[i] |= !kept(u, i);
	for (size_t i = 0; i < r->n_nodes; i++)
		if (seen[i] && kept(u, i))
			u->near[u->n_near++] = (uint32_t)i;
	for (bool more = true; more;) {
		more = false;
		for (size_t k = 0; k < r->n_links; k++) {
			const struct vlink *l = &r->links[k];
			uint32_t next = seen[l->a] ? l->b : l->a;

			if (seen[l->a] == seen[l->b])
				continue;
			seen[next] = more = true;
			if (kept(u, next))
				u->near[u->n_near++] = next;
		}
	}
	for (size_t i = 0; i < r->n_nodes; i++)
		if (!seen[i] && kept(u, i))
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

	for (size_t i = 0; i < ARRAY_LEN(rungs) && best->cost == INT64_MAX && go_on(u); i++)
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
		.free_node = mem_array(r->n_nodes + 1, sizeof(*u.free_node)),
		.free_link = mem_array(r->n_links + 1, sizeof(*u.free_link)), .near = mem_array(r->n_nodes + 1, sizeof(*u.near)),
		.work_limit = options->effort > 0 ? (uint64_t)options->effort * 1000 : UINT64_MAX,
	};
	struct best best = { .cost = INT64_MAX };
	int rc = 0;

	if (options->time_limit_s > 0) /* the last rung gets a half */
		u.deadline_us = begun_us + (int64_t)(options->time_limit_s * 5e5);
	for (size_t i = 0; i < r->n_nodes; i++)
		u.keep[i] = host_serves(&u, i);
	for (size_t k = 0; k < r->n_links; k++)
		u.stays[k] = ways_serve(&u, k);
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
	free(u.keep);
	free(u.stays);
	free(u.free_node);
	free(u.free_link);
	free(u.near);
	return rc;
}
