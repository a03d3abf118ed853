/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See exact.h. Links are routed quickly first, along cheapest paths; only if that misses the sum of their distances, by the
 * routing program. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embed/exact.h"
#include "embed/proof.h"

#define EFFORT_LAST 1e13 /* then a leaf is left open */

enum {
	ORDERS = 2,             /* orders in which links are routed quickly */
	EFFORT_RELAX = 1000000, /* arcs for the routing program of a node */
	ROUNDS = 3              /* of searches, for which the effort must suffice: else it is not begun */
};

/* Places what is fixed; false where it does not fit together. */
static bool place_fixed(struct exact *x, const struct dual *d, bool *ret_all)
{
	size_t n = x->p->r->n_nodes;

	*ret_all = true;
	for (uint32_t u = 0; u < n; u++) {
		if (x->at.host[u] != NO_NODE && x->at.host[u] != d->fixed[u])
			layout_unplace(&x->at, u);
		*ret_all = *ret_all && d->fixed[u] != NO_NODE;
	}
	for (uint32_t u = 0; u < n; u++) {
		if (d->fixed[u] == NO_NODE || x->at.host[u] == d->fixed[u])
			continue;
		if (!layout_room(&x->at, u, d->fixed[u]))
			return false;
		layout_place(&x->at, u, d->fixed[u]);
	}
	return true;
}

static bool active(const struct exact *x, uint32_t k)
{
	const struct vlink *link = &x->p->r->links[k];

	return x->at.host[link->a] != NO_NODE && x->at.host[link->b] != NO_NODE;
}

/* Lists the fixed links by falling bandwidth. */
static size_t order_links(struct exact *x)
{
	const struct request *r = x->p->r;
	size_t n = 0;

	for (uint32_t k = 0; k < r->n_links; k++) {
		size_t i = n;
		if (!active(x, k))
			continue;
		while (i > 0 && r->links[x->order[i - 1]].bw_kbps < r->links[k].bw_kbps) {
			x->order[i] = x->order[i - 1];
			i--;
		}
		x->order[i] = k;
		n++;
	}
	return n;
}

/* A cheapest way alone is enough to see that links do not get in each other's way; any other only where `all` are. */
static bool route_one(struct exact *x, uint32_t k, bool all)
{
	const struct vlink *link = &x->p->r->links[k];

	if (x->at.host[link->a] != x->at.host[link->b] && pairs_walks(&x->pairs, k)) {
		if (pairs_walk(&x->pairs, &x->at, k))
			return true;
		if (!all && !link->split)
			return false;
		if (!link->split)
			return pairs_detour(&x->pairs, &x->at, k);
	}
	return layout_route(&x->at, k);
}

/* Routes the fixed links one after the other; the cost of all, INFINITY where one finds no way, or they cost above `most` more than each alone.
 * Those that pay more than they must go first the next time. */
static double route_quickly(struct exact *x, size_t n, bool all, double most)
{
	double cost = 0, more = 0;
	size_t missed = 0;

	for (size_t i = 0; i < n && more <= most; i++) {
		uint32_t k = x->order[i];
		bool found = x->at.route[k].routed || route_one(x, k, all);
		cost += found ? x->at.route[k].cost : INFINITY;
		if (found && x->at.route[k].cost <= x->least[k])
			continue;
		more += found ? x->at.route[k].cost - x->least[k] : 0;
		memmove(&x->order[missed + 1], &x->order[missed], (i - missed) * sizeof(*x->order));
		x->order[missed++] = k;
	}
	return more > most ? INFINITY : cost;
}

static void offer(struct exact *x)
{
	struct embedding e;

	if (!layout_complete(&x->at) || x->at.cost >= x->s->objective)
		return;
	layout_embedding(&x->at, &e);
	search_offer(x->s, &e, "exact");
	embedding_done(&e);
	exact_set_limit(x);
}

/* Routes what is placed, in several orders, and offers it where that is all. True: as cheaply as each link alone. */
static bool route_placed(struct exact *x, double *ret_least)
{
	bool all = x->at.n_placed == x->p->r->n_nodes;
	size_t n = order_links(x);
	double hosts = 0;

	for (uint32_t u = 0; u < x->p->r->n_nodes; u++)
		if (x->at.host[u] != NO_NODE)
			hosts += (double)x->p->r->nodes[u].demand[RES_CPU_MILLI] * (double)x->p->node_weight[x->at.host[u]];
	*ret_least = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t k = x->order[i];
		const struct vlink *link = &x->p->r->links[k];
		x->least[k] = pairs_cost(&x->pairs, k, x->at.host[link->a], x->at.host[link->b]);
		*ret_least += x->least[k];
		/* What a node above routed as well as can be stays. */
		if (x->at.route[k].routed && x->at.route[k].cost > x->least[k])
			layout_unroute(&x->at, k);
	}
	if (!isfinite(*ret_least))
		return false;
	for (int i = 0; i < ORDERS; i++) {
		double cost = route_quickly(x, n, all, x->cutoff - hosts - *ret_least);
		offer(x);
		if (cost <= *ret_least)
			return true;
		for (size_t j = 0; j < n && i + 1 < ORDERS; j++)
			layout_unroute(&x->at, x->order[j]);
	}
	return false;
}

/* Fixed links that cost something: what a program has to bound. */
static size_t list_active(struct exact *x)
{
	size_t n = 0;

	for (uint32_t k = 0; k < x->p->r->n_links; k++)
		if (active(x, k) && !vlink_best_effort(&x->p->r->links[k]))
			x->order[n++] = k;
	return n;
}

/* Under prices: whether all fixed links find their cheapest ways side by side. *ret_least: what those cost. */
static bool route_priced(struct exact *x, double *ret_least)
{
	size_t n = list_active(x);
	bool all = true;

	*ret_least = 0;
	for (size_t i = 0; i < n; i++) {
		const struct vlink *link = &x->p->r->links[x->order[i]];
		*ret_least += pairs_cost(&x->priced, x->order[i], x->at.host[link->a], x->at.host[link->b]);
		layout_unroute(&x->at, x->order[i]);
	}
	for (size_t i = 0; i < n && isfinite(*ret_least); i++) {
		uint32_t k = x->order[i];
		const struct vlink *link = &x->p->r->links[k];
		all = all && (x->at.host[link->a] == x->at.host[link->b] ||
		              (pairs_walks(&x->priced, k) && pairs_walk(&x->priced, &x->at, k)));
	}
	return all;
}

/* Whether so much effort does for some rounds of searches, one per link. */
static bool worth_it(const struct exact *x, size_t links, int64_t effort)
{
	return (double)links * (double)x->p->s->n_links * 2 * ROUNDS <= (double)effort;
}

/* With a proof, what routing excludes is dropped at once, with a line for it; who is fixed by that is routed, too. */
static bool drop_by_routes(struct exact *x, struct dual *d, int64_t *ret_more)
{
	size_t before = x->at.n_placed, after = 0;

	if (!proof_bound(d, *ret_more, true))
		return true;
	if (!dual_compact(d, x->limit))
		return !proof_empty(d);
	for (uint32_t u = 0; u < x->p->r->n_nodes; u++)
		after += d->fixed[u] != NO_NODE;
	*ret_more = 0;
	return after > before && exact_route(x, d, ret_more);
}

/* Bounds by program what is fixed. True: done with this node. *ret_more: what it costs above d's bound, in parts. */
static bool bound_routes(struct exact *x, struct dual *d, double least, int64_t *ret_more)
{
	struct routing_ask ask = { .links = x->order, .n = list_active(x), .host = x->at.host, .effort = EFFORT_RELAX,
	                           .cutoff = least + x->cutoff - (double)d->bound / x->parts * x->unit,
	                           .prices = x->is_priced ? &x->prices : NULL };
	double bound;

	if (!worth_it(x, ask.n, ask.effort))
		return false;
	enum routing_verdict verdict = routing_solve(x->pool, &ask, NULL, &bound);
	if (verdict == ROUTING_EXCLUDED)
		return !d->ledger || !proof_bound(d, DUAL_MOST, true);
	double more = floor((bound - least) / x->unit * x->parts * (1 - 1e-12));
	/* On top of the dual bound, but never into it: a child's program counts the same again. */
	if (more > (double)*ret_more && isfinite(x->cutoff))
		*ret_more = more < DUAL_MOST ? (int64_t)more : DUAL_MOST;
	if (d->ledger && *ret_more > 0)
		return drop_by_routes(x, d, ret_more);
	return exact_past_cutoff(x, d->bound + *ret_more);
}

/* All hosts stand, and nothing more is to be found: a line for it, by the last routing program's proof, or (alone) by what each link
 * costs alone. */
static bool close_leaf(struct exact *x, struct dual *d, bool alone)
{
	if (d->ledger && alone)
		proof_route_begin(x->s->proof, x->order, list_active(x), true);
	if (d->ledger)
		proof_bound(d, DUAL_MOST, true);
	return true;
}

static bool decide_leaf(struct exact *x, struct dual *d)
{
	double bound;

	if (exact_past_cutoff(x, d->bound))
		return !d->ledger || !proof_bound(d, 0, false);
	if (!worth_it(x, x->p->r->n_links, x->effort)) {
		x->postponed = fmin(exact_proven(x, d->bound), x->postponed);
		return true;
	}
	enum leaf_verdict verdict = leaf_route(&x->leaf, x->pool, &x->at, x->least, x->cutoff, x->effort, &bound);
	exact_set_limit(x);
	bound = fmax(bound, exact_proven(x, d->bound));
	if (verdict == LEAF_OPEN || (verdict == LEAF_LATER && x->effort > EFFORT_LAST))
		x->open = fmin(bound, x->open);
	else if (verdict == LEAF_LATER)
		x->postponed = fmin(bound, x->postponed);
	else
		close_leaf(x, d, false);
	return true;
}

/* Routes what is fixed. True: done with this node. *ret_more: by how much routing lifts d's bound. */
bool exact_route(struct exact *x, struct dual *d, int64_t *ret_more)
{
	double least;
	bool all;

	if (!place_fixed(x, d, &all))
		return true;
	if (x->is_priced && !all) {
		bool easy = route_priced(x, &least);
		return !isfinite(least) || (!easy && bound_routes(x, d, least, ret_more));
	}
	if (route_placed(x, &least))
		return all && close_leaf(x, d, true);
	if (!isfinite(least))
		return close_leaf(x, d, true);
	return all ? decide_leaf(x, d) : bound_routes(x, d, least, ret_more);
}

/* ---- a first answer ------------------------------------------------------------------------ */

static bool is_new(struct exact *x, const uint32_t *host)
{
	uint64_t hash = 0x9e3779b97f4a7c15;

	for (uint32_t u = 0; u < x->p->r->n_nodes; u++)
		hash = (hash ^ host[u]) * UINT64_C(0xbf58476d1ce4e5b9) ^ hash >> 29;
	uint64_t *slot = &x->seen[hash % SEEN];
	bool new = *slot != hash;
	*slot = hash;
	return new;
}

/* A cheap placement: routed, it may be a better embedding. */
int64_t exact_try_placement(void *arg, const uint32_t *host, int64_t cost)
{
	struct exact *x = arg;
	double least;
	uint32_t u;

	if (!is_new(x, host))
		return x->limit;
	for (u = 0; u < x->p->r->n_nodes; u++)
		if (x->at.host[u] != NO_NODE && x->at.host[u] != host[u])
			layout_unplace(&x->at, u);
	for (u = 0; u < x->p->r->n_nodes; u++) {
		if (x->at.host[u] == host[u])
			continue;
		if (!layout_room(&x->at, u, host[u]))
			return x->limit;
		layout_place(&x->at, u, host[u]);
	}
	route_placed(x, &least);
	return search_over(x->s) || !exact_go_on(x) || x->s->work >= x->try_until ? -1 : x->limit;
}
