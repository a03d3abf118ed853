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
#include "embed/anneal.h"
#include "embed/rows.h"
#include "embed/search.h"

enum {
	STARTS = 16,           /* of up to so many virtual nodes; fewer of more */
	REPAIRS = 1000,
	NARROW_MAX = 100000,   /* virtual × substrate links: beyond, looking closer takes too long … */
	REASON_MAX = 1000000,  /* … even for a reason */
	SAY_EVERY = 100,       /* arcs per node and link of the substrate between two answers told */
	MOVES_MOST = 600000,   /* of annealing: about 50 ms */
	LARGE = 32,            /* virtual nodes: beyond, most of the time is for annealing */
	ATTEMPTS = 100,        /* rounds to complete a start */
	TRIED = 8              /* places tried for a virtual node, best first */
};

struct spot {
	uint32_t node;
	int64_t price;         /* when nothing is in the way */
	int64_t cost;          /* to choose by: the price with noise, or more where something was */
};

struct heur {
	struct search *search;
	const struct problem *p;
	struct path_space space;
	struct rows rows;
	struct layout at, best, current;
	bool found;            /* there is a best, of this run */
	bool unsaid;           /* which was not offered yet */
	uint64_t said_at;      /* the work when one was offered last */
	uint32_t *spots;       /* where a virtual node may go, and … */
	int64_t *price, *cost; /* … what that costs, as in struct spot */
	double *node_price;    /* per substrate node and unit of demand, in units of the above */
	int64_t *crowding;     /* per spot: falls with the bandwidth around it */
	int64_t *bw;           /* per virtual link, in units that cannot overflow a sum of costs */
	double per_bw;         /* objective units in one of those, times a row's */
	uint32_t *failed;      /* per virtual node: how often it found no place */
	uint32_t *skipped, turn; /* per virtual node: the turn in which it found no place last */
	double limit;          /* of the cost */
	uint32_t noise;        /* in 1/1024 */
	uint64_t spent;        /* space.work that was counted already */
	uint64_t priced;       /* the same work, of adding up rows */
	bool forced;           /* the first start is finished whatever the effort */
};

enum { ADDS = 16 }; /* additions along a row that take as long as an arc looked at, about */

static bool heur_go_on(struct heur *h)
{
	uint64_t work = h->space.work - h->spent + h->priced / ADDS;

	h->spent = h->space.work;
	h->priced = 0;
	bool go_on = search_spend(h->search, work + 1);
	return go_on || (h->forced && !h->search->halted);
}

/* ---- where to put one virtual node --------------------------------------------------------- */

/* Adds what link k from the placed `other` costs to every spot; drops those out of its reach. */
static size_t price_link(struct heur *h, uint32_t k, uint32_t other, size_t n)
{
	const uint32_t *row = rows_get(&h->rows, k, h->at.host[other]);
	bool best_effort = vlink_best_effort(&h->p->r->links[k]);
	int64_t bw = best_effort ? 1 : h->bw[k]; /* near is better where it costs nothing, too */
	uint32_t *spots = h->spots;
	int64_t *price = h->price;
	size_t kept = 0;

	h->priced += n;
	for (size_t i = 0; i < n; i++) {
		uint32_t spot = spots[i], dist = row[spot];
		spots[kept] = spot;
		price[kept] = price[i] + bw * dist;
		kept += dist != ROW_NONE;
	}
	return kept;
}

/* A little more, by up to noise / 1024 of it. */
static int64_t vary(struct heur *h, int64_t cost)
{
	int64_t by = (int64_t)(h->noise * (uint64_t)rng_below(&h->search->rng, 1024)); /* below 2^23, in 1 / 2^20 */

	return cost < INT64_C(1) << 40 ? cost + (cost * by >> 20) : cost + (cost >> 20) * by;
}

/* Every place for u with its price, all that is joined to it where it stands. */
static size_t price_spots(struct heur *h, uint32_t u)
{
	const struct problem *p = h->p;
	double demand = (double)p->r->nodes[u].demand[RES_CPU_MILLI];
	size_t n = 0;

	for (size_t i = 0; i < p->cand[u].n; i++) {
		uint32_t a = p->cand[u].v[i];
		if (!layout_room(&h->at, u, a))
			continue;
		double cost = demand * h->node_price[a];
		h->price[n] = cost < 0x1p60 ? (int64_t)cost : INT64_C(1) << 60;
		h->spots[n++] = h->rows.spot_of[a];
	}
	h->priced += n;
	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1] && n > 0; i++)
		if (h->at.host[p->varcs[i].to] != NO_NODE)
			n = price_link(h, p->varcs[i].link, p->varcs[i].to, n);
	for (size_t i = 0; i < n; i++)
		h->cost[i] = h->noise > 0 ? vary(h, h->price[i]) : h->price[i];
	return n;
}

/* Whether the links around a have left what u's links to those not placed yet will ask. */
static bool reaches_out(const struct heur *h, uint32_t u, uint32_t a)
{
	const struct problem *p = h->p;
	const struct graph *g = &p->graph;
	int64_t beyond = 0;

	if (p->r->placement != PLACEMENT_DISTINCT)
		return true;
	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++)
		if (!h->at.route[p->varcs[i].link].routed)
			beyond += p->r->links[p->varcs[i].link].bw_kbps;
	for (uint32_t i = g->first[a]; i < g->first[a + 1] && beyond > 0; i++)
		beyond -= h->at.cap[g->arcs[i].link];
	return beyond <= 0;
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

/* The cheapest of those that are left, among equals the one with most bandwidth around it; it leaves the list. */
static struct spot pull_best(struct heur *h, size_t *n)
{
	size_t best = 0;

	for (size_t i = 1; i < *n; i++)
		if (h->cost[i] < h->cost[best] ||
		    (h->cost[i] == h->cost[best] && h->crowding[h->spots[i]] < h->crowding[h->spots[best]]))
			best = i;
	struct spot spot = { h->rows.node_of[h->spots[best]], h->price[best], h->cost[best] };
	--*n;
	h->spots[best] = h->spots[*n];
	h->price[best] = h->price[*n];
	h->cost[best] = h->cost[*n];
	return spot;
}

/* Places u and routes its links to what is placed; false: not there, nothing changed. *ret_cost: what its spot really costs. */
static bool try_spot(struct heur *h, uint32_t u, const struct spot *spot, int64_t *ret_cost)
{
	double before = h->at.cost;

	layout_place(&h->at, u, spot->node);
	if (!route_around(h, u) || !reaches_out(h, u, spot->node)) {
		layout_unplace(&h->at, u);
		return false;
	}
	double excess = (h->at.cost - before) / h->per_bw - (double)spot->price;
	*ret_cost = spot->cost + (excess < 1 ? 0 : excess < 0x1p61 ? (int64_t)excess : INT64_C(1) << 61);
	return true;
}

/* Places u where that and its links to what is placed cost least. Its own links may be in each other's way, so that a
 * place costs more than its price: others are tried while they promise less. False: nowhere, nothing changed. */
static bool place_best(struct heur *h, uint32_t u)
{
	size_t n = price_spots(h, u);
	struct spot best = { .node = NO_NODE };

	for (int tried = 0; n > 0 && tried < TRIED; tried++) {
		struct spot spot = pull_best(h, &n);
		int64_t cost;
		if (best.node != NO_NODE && spot.cost >= best.cost)
			break;
		if (h->at.cost + (double)spot.price * h->per_bw > h->limit)
			continue;
		if (!try_spot(h, u, &spot, &cost))
			continue;
		if (cost <= spot.cost)
			return true;
		layout_unplace(&h->at, u);
		if (best.node == NO_NODE || cost < best.cost) {
			best = spot;
			best.cost = cost;
		}
		if (!heur_go_on(h))
			break;
	}
	int64_t unused;
	return best.node != NO_NODE && try_spot(h, u, &best, &unused);
}

/* ---- all that is missing ------------------------------------------------------------------- */

/* The next virtual node: the one with most bandwidth to what is placed; where nothing is near,
 * the one that asks for most; those that failed before come first. */
static uint32_t choose_next(struct heur *h)
{
	const struct problem *p = h->p;
	uint32_t next = NO_NODE;
	uint64_t best = 0;

	for (uint32_t u = 0; u < p->r->n_nodes; u++) {
		if (h->at.host[u] != NO_NODE || h->skipped[u] == h->turn)
			continue;
		uint64_t pull = 0, all = 1;
		for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
			uint64_t bw = (uint64_t)h->bw[p->varcs[i].link] + 1;
			all += bw;
			if (h->at.host[p->varcs[i].to] != NO_NODE)
				pull += bw;
		}
		uint64_t score = (pull > 0 ? (UINT64_C(1) << 40) + pull : all) * (1 + (h->failed[u] < 1000 ? h->failed[u] : 1000));
		if (h->noise > 0)
			score = (score >> 10) * (205 + rng_below(&h->search->rng, 1024));
		if (score >= best) {
			best = score;
			next = u;
		}
	}
	return next;
}

/* Puts back all that finds a place; true where that is everything. Gives up where `whole` is asked for and one finds none,
 * or where it would cost more than `limit`. */
static bool recreate(struct heur *h, bool whole, double limit)
{
	const struct problem *p = h->p;

	h->turn++;
	h->limit = limit;
	for (uint32_t u; (u = choose_next(h)) != NO_NODE;) {
		if (!heur_go_on(h))
			return false;
		if (place_best(h, u))
			continue;
		h->skipped[u] = h->turn;
		if (whole)
			return false;
	}
	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		h->failed[u] += h->at.host[u] == NO_NODE;
	return layout_complete(&h->at);
}

static double best_cost(const struct heur *h)
{
	return h->found ? h->best.cost : INFINITY;
}

/* Tells of the best so far: the checker looks at the whole substrate, which is not done for every small step. */
static void say(struct heur *h)
{
	struct embedding e;

	if (!h->unsaid)
		return;
	h->unsaid = false;
	h->said_at = h->search->work;
	layout_embedding(&h->best, &e);
	search_offer(h->search, &e, "heuristic");
	embedding_done(&e);
}

static void keep(struct heur *h)
{
	const struct problem *p = h->p;
	bool first = !h->found;

	layout_save(&h->at, &h->best);
	h->found = h->unsaid = true;
	if (first || h->best.cost <= h->search->bound ||
	    h->search->work - h->said_at > SAY_EVERY * (p->s->n_nodes + p->s->n_links))
		say(h);
}

static void take_out(struct heur *h, uint32_t u)
{
	if (h->at.host[u] != NO_NODE)
		layout_unplace(&h->at, u);
}

static bool start(struct heur *h, int i)
{
	const struct problem *p = h->p;

	for (uint32_t u = 0; u < p->r->n_nodes; u++) {
		take_out(h, u);
		h->failed[u] = 0;
	}
	h->at.cost = 0;
	h->noise = 0;
	/* A different place for the first: everything else follows from it. */
	if (i > 0) {
		uint32_t u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
		uint32_t a = p->cand[u].v[rng_below(&h->search->rng, (uint32_t)p->cand[u].n)];
		layout_place(&h->at, u, a);
		h->noise = i % 2 ? 0 : 307;
	}
	bool complete = recreate(h, false, INFINITY);
	if (complete && h->at.cost < best_cost(h))
		keep(h);
	return complete;
}

static int by_bandwidth(const void *x, const void *y, void *arg)
{
	const struct vlink *links = arg;
	uint32_t j = *(const uint32_t *)x, k = *(const uint32_t *)y;

	if (links[j].bw_kbps != links[k].bw_kbps)
		return links[j].bw_kbps > links[k].bw_kbps ? -1 : 1;
	return (j > k) - (j < k);
}

/* Has all of `host` where it says, and routes links by falling bandwidth; who has one that finds no way is placed anew. */
static bool take_hosts(struct heur *h, const uint32_t *host)
{
	const struct problem *p = h->p;
	mem_auto uint32_t *order = mem_array(p->r->n_links + 1, sizeof(*order));

	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		take_out(h, u);
	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		layout_place(&h->at, u, host[u]);
	for (uint32_t k = 0; k < p->r->n_links; k++)
		order[k] = k;
	qsort_r(order, p->r->n_links, sizeof(*order), by_bandwidth, p->r->links);
	for (uint32_t i = 0; i < p->r->n_links; i++) {
		const struct vlink *link = &p->r->links[order[i]];
		if (h->at.host[link->a] != NO_NODE && h->at.host[link->b] != NO_NODE && !layout_route(&h->at, order[i]))
			take_out(h, rng_below(&h->search->rng, 2) ? link->a : link->b);
	}
	h->noise = 0;
	return recreate(h, false, INFINITY);
}

/* From the best so far, by prices alone. */
static void settle(struct heur *h, uint64_t moves)
{
	const struct problem *p = h->p;
	mem_auto uint32_t *host = mem_dup(h->best.host, (p->r->n_nodes + 1) * sizeof(*host));
	struct anneal a = { &h->rows, h->bw, h->node_price, &h->search->rng, host };
	/* No more than what is left of the budget, nor so many that no clock is looked at for long. */
	uint64_t left = (h->search->work_limit - h->search->work) / (2 + 2 * p->r->n_links / p->r->n_nodes);

	moves = moves < left ? moves : left;
	moves = moves < MOVES_MOST ? moves : MOVES_MOST;
	search_spend(h->search, anneal_run(&a, moves));
	heur_go_on(h);
	if (take_hosts(h, host) && h->at.cost < best_cost(h))
		keep(h);
}

/* ---- ruin and recreate --------------------------------------------------------------------- */

/* Takes out u and some that it is joined to, or others. */
static void ruin(struct heur *h, uint32_t u, uint32_t n)
{
	const struct problem *p = h->p;

	for (; n > 0; n--) {
		take_out(h, u);
		uint32_t degree = p->vfirst[u + 1] - p->vfirst[u];
		if (degree > 0 && rng_below(&h->search->rng, 5) != 0)
			u = p->varcs[p->vfirst[u] + rng_below(&h->search->rng, degree)].to;
		else
			u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
	}
}

/* How hard it was to place those that are not. */
static uint64_t missing(const struct heur *h, const struct layout *l)
{
	uint64_t sum = 0;

	for (uint32_t u = 0; u < h->p->r->n_nodes; u++)
		if (l->host[u] == NO_NODE)
			sum += h->failed[u];
	return sum;
}

/* From a start that is not complete: takes some out, puts back what it can, and keeps what misses less, where a virtual
 * node counts as often as it was missing before (as Christiaens and Vanden Berghe 2020 save vehicles). */
static bool complete(struct heur *h, uint32_t rounds)
{
	const struct problem *p = h->p;

	layout_save(&h->at, &h->current);
	for (uint32_t i = 0; i < rounds && !search_over(h->search); i++) {
		uint32_t u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes), m = 0;
		for (uint32_t v = 0; v < p->r->n_nodes; v++)
			if (h->at.host[v] == NO_NODE && rng_below(&h->search->rng, ++m) == 0)
				u = v;
		h->noise = rng_below(&h->search->rng, 1024);
		ruin(h, u, 2 + rng_below(&h->search->rng, p->r->n_nodes < 4 ? (uint32_t)p->r->n_nodes : 4));
		if (recreate(h, false, INFINITY)) {
			keep(h);
			return true;
		}
		if (missing(h, &h->at) <= missing(h, &h->current))
			layout_save(&h->at, &h->current);
		else
			layout_restore(&h->at, &h->current);
	}
	return false;
}

static void improve(struct heur *h, uint32_t rounds)
{
	const struct problem *p = h->p;
	double hot = p->r->n_nodes > 6 ? 0.36 / (double)p->r->n_nodes : 0.06; /* what one virtual node changes */

	layout_restore(&h->at, &h->best);
	layout_save(&h->at, &h->current);
	for (uint32_t i = 0; i < rounds && !search_over(h->search); i++) {
		double heat = hot * (1 - (double)(i + 1) / rounds);
		h->noise = rng_below(&h->search->rng, 3) == 0 ? 0 : rng_below(&h->search->rng, 400);
		/* drawn one after the other: of arguments, each compiler draws another one first */
		uint32_t u = rng_below(&h->search->rng, (uint32_t)p->r->n_nodes);
		ruin(h, u, 2 + rng_below(&h->search->rng, p->r->n_nodes < 4 ? (uint32_t)p->r->n_nodes : 4));
		if (recreate(h, true, h->current.cost + heat * h->best.cost)) {
			layout_save(&h->at, &h->current);
			if (h->at.cost < best_cost(h))
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

/* Bandwidths that with the farthest distance add up to less than 2^61. */
static void scale_bandwidths(struct heur *h)
{
	const struct problem *p = h->p;
	uint64_t sum = 0;
	int shift = 0;

	for (size_t k = 0; k < p->r->n_links; k++)
		sum += (uint64_t)p->r->links[k].bw_kbps * 2;
	while (sum >> shift >> 28 != 0)
		shift++;
	h->bw = mem_array(p->r->n_links + 1, sizeof(*h->bw));
	for (size_t k = 0; k < p->r->n_links; k++)
		h->bw[k] = (p->r->links[k].bw_kbps * (p->r->links[k].protect ? 2 : 1)) >> shift;
	h->per_bw = h->rows.unit * (double)(UINT64_C(1) << shift);
}

static void weigh_spots(struct heur *h)
{
	const struct problem *p = h->p;

	h->crowding = mem_array(h->rows.n_spots + 1, sizeof(*h->crowding));
	h->node_price = mem_array(p->s->n_nodes + 1, sizeof(*h->node_price));
	for (uint32_t i = 0; i < h->rows.n_spots; i++) {
		uint32_t a = h->rows.node_of[i];
		int64_t left = 0;
		h->node_price[a] = (double)p->node_weight[a] / h->per_bw;
		for (uint32_t j = p->graph.first[a]; j < p->graph.first[a + 1]; j++)
			left += p->left->link_kbps[p->graph.arcs[j].link];
		h->crowding[i] = INT64_C(1000000000) / (left / 1000 + 1);
	}
}

static void heur_init(struct heur *h, struct search *s)
{
	const struct problem *p = &s->problem;

	*h = (struct heur){ .search = s, .p = p, .forced = true };
	path_space_init(&h->space, &p->graph);
	rows_init(&h->rows, p, &h->space);
	layout_init(&h->at, p, &h->space);
	layout_init_snapshot(&h->best, p);
	layout_init_snapshot(&h->current, p);
	scale_bandwidths(h);
	weigh_spots(h);
	h->spots = mem_array(h->rows.n_spots + 1, sizeof(*h->spots));
	h->price = mem_array(h->rows.n_spots + 1, sizeof(*h->price));
	h->cost = mem_array(h->rows.n_spots + 1, sizeof(*h->cost));
	h->failed = mem_array(p->r->n_nodes + 1, sizeof(*h->failed));
	h->skipped = mem_array(p->r->n_nodes + 1, sizeof(*h->skipped));
}

static void heur_done(struct heur *h)
{
	rows_done(&h->rows);
	free(h->crowding);
	free(h->bw);
	layout_done(&h->at);
	layout_done(&h->best);
	layout_done(&h->current);
	path_space_done(&h->space);
	free(h->spots);
	free(h->price);
	free(h->cost);
	free(h->node_price);
	free(h->failed);
	free(h->skipped);
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
	uint64_t n = s->problem.r->n_nodes, moves = n > LARGE ? 8000 : 50 * n;
	uint32_t rounds = n > LARGE ? REPAIRS / 10 : REPAIRS;
	int starts = n <= STARTS ? STARTS : n <= 4 * STARTS ? (int)(STARTS * STARTS / n) : 1;

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
	for (int i = 0; i == 0 || (i < starts && !search_over(s)); i++) {
		bool done = start(&h, i);
		h.forced = false;
		if (!done && !h.found)
			complete(&h, ATTEMPTS);
	}
	/* While there is none, every further start is another chance. */
	for (int i = starts; !h.found && !search_over(s) && (bounded || i < 4 * STARTS); i++)
		if (!start(&h, i))
			complete(&h, ATTEMPTS);
	if (h.found && anneal_can(&h.rows) && !search_over(s) && s->problem.r->n_links > 0)
		settle(&h, moves * n);
	do {
		if (h.found)
			improve(&h, rounds);
	} while (bounded && h.found && !search_over(s));
	say(&h);
	if (!s->best.has_embedding)
		refuse(&h);
	heur_done(&h);
	/* Its own limit is not the search's. */
	s->work_limit = limit;
	s->stopped = s->halted || s->work >= s->work_limit;
}
