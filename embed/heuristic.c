/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Joint place-and-route: a virtual node goes where its routers' links to the neighbours that are
 * placed already cost least, and those links are routed at once, so that no place is chosen that
 * its links cannot reach. Several starts from different seeds, then ruin and recreate (Schrimpf et
 * al. 2000): a few neighbouring virtual nodes are taken out and placed again, and what is not worse
 * (at first: not much worse) is kept. A virtual node that finds no place throws out some that
 * are in its way. All work is counted, so a budget of effort gives the same answer anywhere. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/search.h"

enum {
	STARTS = 16,
	REPAIRS = 300,
	NARROW_MAX = 100000,   /* virtual × substrate links: beyond, looking closer takes too long … */
	REASON_MAX = 1000000,  /* … even for a reason */
	TRIED = 8              /* places tried for a virtual node, best first */
};

struct spot {
	uint32_t node;
	double cost, tie;
};

struct heur {
	struct search *search;
	const struct problem *p;
	struct path_space space;
	struct layout at, best, current;
	struct spot *spots;
	double *pull;          /* per virtual node: bandwidth to placed neighbours, in recreate() */
	uint32_t *failed;      /* per virtual node: how often it found no place */
	uint32_t *list;        /* virtual nodes to take out */
	double noise;
	uint64_t spent;        /* space.work that was counted already */
	bool forced;           /* the first start is finished whatever the effort */
};

static bool heur_go_on(struct heur *h)
{
	uint64_t work = h->space.work - h->spent;

	h->spent = h->space.work;
	bool go_on = search_spend(h->search, work + 1);
	return go_on || (h->forced && !h->search->halted);
}

static double heur_random(struct heur *h)
{
	return (double)(rng_next(&h->search->rng) >> 11) * 0x1p-53;
}

/* ---- where to put one virtual node --------------------------------------------------------- */

/* Adds what link k from the placed `other` costs to every spot; drops those out of its reach. */
static size_t price_link(struct heur *h, uint32_t k, uint32_t other, size_t n)
{
	const struct problem *p = h->p;
	const struct vlink *link = &p->r->links[k];
	int64_t need = link->split && link->bw_kbps > 0 ? (link->bw_kbps + PATHS_MAX - 1) / PATHS_MAX : link->bw_kbps;
	struct path_query q = layout_query(&h->at, k, need);
	double per_unit = (double)link->bw_kbps * (link->protect ? 2 : 1);
	bool best_effort = link->bw_kbps == 0;
	size_t kept = 0;

	path_search(&h->space, &q, h->at.host[other], NO_NODE);
	for (size_t i = 0; i < n; i++) {
		int64_t dist = path_dist(&h->space, h->spots[i].node);
		if (dist == DIST_NONE)
			continue;
		double tie = (double)path_tie(&h->space, h->spots[i].node);
		if (best_effort && link->max_delay_us >= 0 && tie > (double)link->max_delay_us)
			continue;
		h->spots[i].cost += best_effort ? 0 : per_unit * (double)dist;
		h->spots[i].tie += best_effort ? (double)dist : tie;
		h->spots[kept++] = h->spots[i];
	}
	return kept;
}

/* Bandwidth that the links around a node have left, up to what is asked. */
static bool reaches_out(const struct heur *h, uint32_t a, int64_t kbps, double *ret_left)
{
	const struct graph *g = &h->p->graph;
	int64_t left = 0;

	for (uint32_t i = g->first[a]; i < g->first[a + 1]; i++)
		left += h->at.cap[g->arcs[i].link];
	*ret_left = (double)left;
	return left >= kbps;
}

static size_t price_spots(struct heur *h, uint32_t u)
{
	const struct problem *p = h->p;
	bool distinct = p->r->placement == PLACEMENT_DISTINCT;
	int64_t beyond_kbps = 0;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < p->cand[u].n; i++) {
		uint32_t a = p->cand[u].v[i];
		if (layout_room(&h->at, u, a))
			h->spots[n++] = (struct spot){ a, (double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[a], 0 };
	}
	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1] && n > 0; i++) {
		const struct varc *arc = &p->varcs[i];
		if (h->at.host[arc->to] != NO_NODE)
			n = price_link(h, arc->link, arc->to, n);
		else if (distinct)
			beyond_kbps += p->r->links[arc->link].bw_kbps;
	}
	/* Among equals the node with much bandwidth around it; never one with less than is still to come. */
	for (size_t i = 0; i < n; i++) {
		double left;
		if (!reaches_out(h, h->spots[i].node, beyond_kbps, &left))
			continue;
		h->spots[i].tie += 1e9 / (left / 1000 + 1);
		if (h->noise > 0)
			h->spots[i].cost *= 1 + h->noise * heur_random(h);
		h->spots[kept++] = h->spots[i];
	}
	return kept;
}

static bool route_around(struct heur *h, uint32_t u)
{
	const struct problem *p = h->p;

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++)
		if (h->at.host[p->varcs[i].to] != NO_NODE && !h->at.route[p->varcs[i].link].routed &&
		    !layout_route(&h->at, p->varcs[i].link))
			return false;
	return true;
}

static bool spot_before(const struct spot *x, const struct spot *y)
{
	if (x->cost != y->cost)
		return x->cost < y->cost;
	if (x->tie != y->tie)
		return x->tie < y->tie;
	return x->node < y->node;
}

/* Places u and routes its links to what is placed. False: nowhere, nothing changed. */
static bool place_best(struct heur *h, uint32_t u)
{
	size_t n = price_spots(h, u);

	for (size_t tried = 0; tried < n && tried < TRIED; tried++) {
		size_t best = tried;
		for (size_t i = tried + 1; i < n; i++)
			if (spot_before(&h->spots[i], &h->spots[best]))
				best = i;
		struct spot spot = h->spots[best];
		h->spots[best] = h->spots[tried];
		h->spots[tried] = spot;
		layout_place(&h->at, u, spot.node);
		if (route_around(h, u))
			return true;
		layout_unplace(&h->at, u);
		if (!heur_go_on(h))
			return false;
	}
	return false;
}

/* ---- all that is missing ------------------------------------------------------------------- */

/* The next virtual node: the one with most bandwidth to what is placed; where nothing is near,
 * the one that asks for most; those that failed before come first. */
static uint32_t choose_next(struct heur *h)
{
	const struct problem *p = h->p;
	uint32_t next = NO_NODE;
	double best = -1;

	for (uint32_t u = 0; u < p->r->n_nodes; u++) {
		if (h->at.host[u] != NO_NODE)
			continue;
		double pull = 0, all = 1;
		for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
			double bw = (double)p->r->links[p->varcs[i].link].bw_kbps + 1;
			all += bw;
			if (h->at.host[p->varcs[i].to] != NO_NODE)
				pull += bw;
		}
		double score = pull > 0 ? 1e15 + pull : all;
		score *= 1 + h->failed[u];
		if (h->noise > 0)
			score *= 0.2 + heur_random(h);
		if (score > best) {
			best = score;
			next = u;
		}
	}
	return next;
}

static uint32_t guest_of(const struct heur *h, uint32_t a)
{
	uint32_t u = 0;

	while (h->at.host[u] != a)
		u++;
	return u;
}

/* Takes out up to n random virtual nodes that are placed: who sits where u could, or is joined to it. */
static void make_way(struct heur *h, uint32_t u, uint32_t n)
{
	const struct problem *p = h->p;
	uint32_t found = 0;

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++)
		if (h->at.host[p->varcs[i].to] != NO_NODE)
			h->list[found++] = p->varcs[i].to;
	for (; n > 0; n--) {
		uint32_t out, draw = rng_below(&h->search->rng, 4);
		uint32_t a = p->cand[u].v[rng_below(&h->search->rng, (uint32_t)p->cand[u].n)];
		if (draw < 2 && h->at.guests[a] > 0)
			out = guest_of(h, a);
		else if (found > 0 && draw != 3)
			out = h->list[rng_below(&h->search->rng, found)];
		else
			out = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
		if (out != u && h->at.host[out] != NO_NODE)
			layout_unplace(&h->at, out);
	}
}

static bool recreate(struct heur *h, uint32_t patience)
{
	while (h->at.n_placed < h->p->r->n_nodes) {
		uint32_t u = choose_next(h);
		if (!heur_go_on(h))
			return false;
		if (place_best(h, u))
			continue;
		if (patience-- == 0)
			return false;
		/* The same places would end the same way: ever bolder choices. */
		h->failed[u]++;
		h->noise = 0.2 + 1.3 * h->noise;
		make_way(h, u, 1 + rng_below(&h->search->rng, 3));
	}
	return layout_complete(&h->at);
}

static void keep(struct heur *h)
{
	struct embedding e;

	layout_save(&h->at, &h->best);
	layout_embedding(&h->at, &e);
	search_offer(h->search, &e, "heuristic");
	embedding_done(&e);
}

static void start(struct heur *h, int i)
{
	const struct problem *p = h->p;

	for (uint32_t u = 0; u < p->r->n_nodes; u++) {
		if (h->at.host[u] != NO_NODE)
			layout_unplace(&h->at, u);
		h->failed[u] = 0;
	}
	h->at.cost = 0;
	h->noise = i == 0 ? 0 : 0.5;
	/* A different place for the first: everything else follows from it. */
	if (i > 0) {
		uint32_t u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
		uint32_t a = p->cand[u].v[rng_below(&h->search->rng, (uint32_t)p->cand[u].n)];
		layout_place(&h->at, u, a);
		h->noise = i % 2 ? 0 : 0.3;
	}
	if (recreate(h, 2 * (uint32_t)p->r->n_nodes + 4) && h->at.cost < h->search->objective)
		keep(h);
}

/* ---- ruin and recreate --------------------------------------------------------------------- */

static void ruin(struct heur *h)
{
	const struct problem *p = h->p;
	uint32_t u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
	uint32_t n = 1 + rng_below(&h->search->rng, p->r->n_nodes < 4 ? (uint32_t)p->r->n_nodes : 4);

	for (; n > 0; n--) {
		if (h->at.host[u] != NO_NODE)
			layout_unplace(&h->at, u);
		uint32_t degree = p->vfirst[u + 1] - p->vfirst[u];
		if (degree > 0 && rng_below(&h->search->rng, 5) != 0)
			u = p->varcs[p->vfirst[u] + rng_below(&h->search->rng, degree)].to;
		else
			u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
	}
}

static void improve(struct heur *h, uint32_t rounds)
{
	layout_restore(&h->at, &h->best);
	layout_save(&h->at, &h->current);
	for (uint32_t i = 0; i < rounds && !search_over(h->search); i++) {
		double heat = 0.03 * (1 - (double)(i + 1) / rounds);
		h->noise = rng_below(&h->search->rng, 2) ? 0 : 0.2 * heur_random(h);
		ruin(h);
		if (recreate(h, 2) && h->at.cost <= h->current.cost + heat * h->search->objective) {
			layout_save(&h->at, &h->current);
			if (h->at.cost < h->search->objective)
				keep(h);
		} else {
			layout_restore(&h->at, &h->current);
		}
	}
}

static void refuse(struct heur *h)
{
	struct search *s = h->search;
	struct err why = { 0 };
	uint32_t worst = 0;

	if (s->halted) /* that is the limit's doing */
		return;
	if (h->p->r->n_links * h->p->s->n_links <= REASON_MAX && problem_narrow(&s->problem, &why) != 0) {
		search_exclude(s, "heuristic", &why);
		return;
	}
	for (uint32_t u = 1; u < h->p->r->n_nodes; u++)
		if (h->failed[u] > h->failed[worst])
			worst = u;
	s->best.status = SOLVE_REFUSED;
	snprintf(s->best.reason, sizeof(s->best.reason),
	         "no embedding was found in a limited search; %s was the hardest to place", h->p->r->nodes[worst].name);
}

static void heur_init(struct heur *h, struct search *s)
{
	const struct problem *p = &s->problem;

	*h = (struct heur){ .search = s, .p = p, .forced = true };
	path_space_init(&h->space, &p->graph);
	layout_init(&h->at, p, &h->space);
	layout_init_snapshot(&h->best, p);
	layout_init_snapshot(&h->current, p);
	h->spots = mem_array(p->s->n_nodes + 1, sizeof(*h->spots));
	h->failed = mem_array(p->r->n_nodes + 1, sizeof(*h->failed));
	h->list = mem_array(2 * p->r->n_links + 1, sizeof(*h->list));
}

static void heur_done(struct heur *h)
{
	layout_done(&h->at);
	layout_done(&h->best);
	layout_done(&h->current);
	path_space_done(&h->space);
	free(h->spots);
	free(h->failed);
	free(h->list);
}

/* Where candidates are few or delays bounded, looking closer first pays for itself. */
static bool worth_narrowing(const struct problem *p)
{
	size_t sum = 0;

	if (p->r->n_links * p->s->n_links > NARROW_MAX)
		return false;
	for (size_t k = 0; k < p->r->n_links; k++)
		if (p->r->links[k].max_delay_us >= 0)
			return true;
	for (size_t u = 0; u < p->r->n_nodes; u++)
		sum += p->cand[u].n;
	return sum * 3 <= p->r->n_nodes * p->s->n_nodes;
}

void heuristic_run(struct search *s, uint64_t max_arcs)
{
	struct heur h;
	struct err why = { 0 };
	uint64_t limit = s->work_limit;
	bool bounded = s->options->effort > 0;

	if (worth_narrowing(&s->problem)) {
		if (problem_narrow(&s->problem, &why) != 0) {
			search_exclude(s, "heuristic", &why);
			return;
		}
		search_raise_bound(s, s->problem.bound, "heuristic");
	}
	if (max_arcs < s->work_limit - s->work)
		s->work_limit = s->work + max_arcs;
	heur_init(&h, s);
	for (int i = 0; i == 0 || (i < STARTS && !search_over(s)); i++) {
		start(&h, i);
		h.forced = false;
	}
	do {
		if (s->best.has_embedding)
			improve(&h, REPAIRS);
	} while (bounded && s->best.has_embedding && !search_over(s));
	/* While there is none, every further start is another chance. */
	for (int i = STARTS; !s->best.has_embedding && !search_over(s) && (bounded || i < 8 * STARTS); i++)
		start(&h, i);
	if (!s->best.has_embedding)
		refuse(&h);
	heur_done(&h);
	/* Its own limit is not the search's. */
	s->work_limit = limit;
	s->stopped = s->halted || s->work >= s->work_limit;
}
