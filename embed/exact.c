/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The exact search: depth first over the hosts of virtual nodes, smallest domain first, with the
 * dual ascent of dual.h as lower bound. It prices every virtual link as if it were alone; where links get in
 * each other's way routing costs more. So at every node the links with both ends fixed are routed: first
 * quickly, along cheapest paths; only if that misses the sum of their distances, by the routing program, which bounds
 * them, and once all hosts are fixed decides.
 *
 * What a leaf leaves undecided (a limit; split paths too many to be weighed one by one, whose delay or number the program cannot bound)
 * lowers the bound that is claimed, never the truth of it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/dual.h"
#include "embed/leaf.h"
#include "embed/search.h"
#include "embed/tabu.h"

#define NO_BETTER 1e-9    /* where costs are no multiples of a unit, a saving below that part of it all does not count */
#define EFFORT_LAST 1e13 /* then a leaf is left open */

enum {
	ENTRIES_MAX = 20000000, /* of the pair matrices: 80 MB */
	ROOT_SWEEPS = 60, ROOT_CHUNK = 4, SWEEPS = 3,
	ORDERS = 2,             /* orders in which links are routed quickly */
	HEURISTIC_MORE = 300000, /* arcs for the heuristic, once the root has not settled it */
	TABU_STARTS = 8, TABU_STEPS = 60,
	SEEN = 1024,            /* placements remembered */
	/* arcs for the routing program: of a leaf at first, and how much more each time; of a node */
	EFFORT_FIRST = 2000000, EFFORT_STEP = 10, EFFORT_RELAX = 1000000,
	ROUNDS = 3,             /* of searches, for which the effort must suffice: else it is not begun */
	EFFORT_PRICES = 5000000
};

struct exact {
	struct search *s;
	const struct problem *p;
	struct pairs pairs;
	struct routing_prices prices; /* zeroed: none */
	struct pairs priced;     /* with them, what the dual counts in; without, not used */
	bool is_priced;
	uint64_t patience;       /* work at which the search begins again with prices; UINT64_MAX: never */
	struct dual_shape shape;
	struct dual *level;      /* per depth of the search: its state */
	int64_t *pending;        /* per depth: what its next branch costs at least */
	uint32_t depth;
	struct path_space space;
	struct layout at;
	struct routing_pool *pool;
	struct leaf leaf;
	bool integral;           /* every cost is a whole number of units */
	double unit, parts;      /* parts: of a unit, what the dual counts in */
	int64_t limit;           /* what a better embedding costs at most, in parts; or just below DUAL_MOST */
	double cutoff;           /* the same in the problem's units; INFINITY: anything is better */
	double ceiling;          /* no embedding costs more */
	double *least;           /* per virtual link with both ends fixed: what it costs at least */
	uint32_t *order;
	uint64_t spent;
	uint64_t seen[SEEN];     /* placements that were routed, by hash */
	double open;             /* least bound among leaves left undecided: no program decides them … */
	double postponed;        /* … or one with more effort might */
	int64_t effort;          /* for the routing program of one leaf */
};

/* ---- limits -------------------------------------------------------------------------------- */

static void set_limit(struct exact *x)
{
	double units = x->s->objective / x->unit, limit;

	if (isfinite(units) && x->integral)
		x->cutoff = (round(units) - 1) * x->unit;
	else
		x->cutoff = x->s->objective * (1 - NO_BETTER);
	x->cutoff = fmin(x->cutoff, x->ceiling);
	limit = floor(x->cutoff / x->unit * x->parts);
	x->limit = limit < DUAL_MOST - 1 ? (int64_t)limit : DUAL_MOST - 1;
}

/* The dearest host for each router, and every link full: a bound above that excludes all. */
static double ceiling_of(const struct problem *p)
{
	double sum = 0;

	for (size_t u = 0; u < p->r->n_nodes; u++) {
		double most = 0;
		for (size_t i = 0; i < p->cand[u].n; i++)
			most = fmax(most, (double)p->node_weight[p->cand[u].v[i]]);
		sum += most * (double)p->r->nodes[u].demand[RES_CPU_MILLI];
	}
	for (size_t l = 0; l < p->s->n_links; l++)
		sum += (double)p->link_weight[l] * (double)p->left->link_kbps[l];
	return sum * (1 + 1e-9);
}

/* In the problem's units, what a bound in parts proves. */
static double proven(const struct exact *x, int64_t bound)
{
	double units = (double)bound / x->parts;

	if (bound <= 0)
		return 0;
	return x->unit * (x->integral ? ceil(units) : units);
}

static bool past_cutoff(const struct exact *x, int64_t bound)
{
	return (double)bound / x->parts * x->unit > x->cutoff;
}

static bool spend(void *arg, uint64_t arcs)
{
	return search_spend(arg, arcs);
}

/* Counts what routing has looked at since the last time. */
static bool go_on(struct exact *x)
{
	uint64_t now = x->space.work + x->pairs.work, work = now - x->spent;

	x->spent = now;
	return search_spend(x->s, work + 1);
}

/* ---- routing ------------------------------------------------------------------------------- */

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
	}
	return layout_route(&x->at, k);
}

/* Routes the fixed links one after the other; the cost of all, INFINITY where one finds no way.
 * Those that pay more than they must go first the next time. */
static double route_quickly(struct exact *x, size_t n, bool all)
{
	double cost = 0;
	size_t missed = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t k = x->order[i];
		bool found = x->at.route[k].routed || route_one(x, k, all);
		cost += found ? x->at.route[k].cost : INFINITY;
		if (found && x->at.route[k].cost <= x->least[k])
			continue;
		memmove(&x->order[missed + 1], &x->order[missed], (i - missed) * sizeof(*x->order));
		x->order[missed++] = k;
	}
	return cost;
}

static void offer(struct exact *x)
{
	struct embedding e;

	if (!layout_complete(&x->at) || x->at.cost >= x->s->objective)
		return;
	layout_embedding(&x->at, &e);
	search_offer(x->s, &e, "exact");
	embedding_done(&e);
	set_limit(x);
}

/* Routes what is placed, in several orders, and offers it where that is all. True: as cheaply as each link alone. */
static bool route_placed(struct exact *x, double *ret_least)
{
	bool all = x->at.n_placed == x->p->r->n_nodes;
	size_t n = order_links(x);

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
		double cost = route_quickly(x, n, all);
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

/* Bounds by program what is fixed. True: done with this node. *ret_more: what it costs above d's bound, in parts. */
static bool bound_routes(struct exact *x, const struct dual *d, double least, int64_t *ret_more)
{
	struct routing_ask ask = { .links = x->order, .n = list_active(x), .host = x->at.host, .effort = EFFORT_RELAX,
	                           .cutoff = least + x->cutoff - (double)d->bound / x->parts * x->unit,
	                           .prices = x->is_priced ? &x->prices : NULL };
	double bound;

	if (!worth_it(x, ask.n, ask.effort))
		return false;
	enum routing_verdict verdict = routing_solve(x->pool, &ask, NULL, &bound);
	if (verdict == ROUTING_EXCLUDED)
		return true;
	double more = floor((bound - least) / x->unit * x->parts * (1 - 1e-12));
	/* On top of the dual bound, but never into it: a child's program counts the same again. */
	if (more > (double)*ret_more && isfinite(x->cutoff))
		*ret_more = more < DUAL_MOST ? (int64_t)more : DUAL_MOST;
	return past_cutoff(x, d->bound + *ret_more);
}

static bool decide_leaf(struct exact *x, const struct dual *d)
{
	double bound;

	if (past_cutoff(x, d->bound))
		return true;
	if (!worth_it(x, x->p->r->n_links, x->effort)) {
		x->postponed = fmin(proven(x, d->bound), x->postponed);
		return true;
	}
	enum leaf_verdict verdict = leaf_route(&x->leaf, x->pool, &x->at, x->least, x->cutoff, x->effort, &bound);
	set_limit(x);
	bound = fmax(bound, proven(x, d->bound));
	if (verdict == LEAF_OPEN || (verdict == LEAF_LATER && x->effort > EFFORT_LAST))
		x->open = fmin(bound, x->open);
	else if (verdict == LEAF_LATER)
		x->postponed = fmin(bound, x->postponed);
	return true;
}

/* Routes what is fixed. True: done with this node. *ret_more: by how much routing lifts d's bound. */
static bool route_fixed(struct exact *x, const struct dual *d, int64_t *ret_more)
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
		return all;
	if (!isfinite(least))
		return true;
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
static int64_t try_placement(void *arg, const uint32_t *host, int64_t cost)
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
	return search_over(x->s) || !go_on(x) ? -1 : x->limit;
}

static bool spend_x(void *arg, uint64_t arcs)
{
	struct exact *x = arg;

	return search_spend(x->s, arcs);
}

static void look_around(struct exact *x, const struct dual *d, uint32_t starts)
{
	struct tabu_ask ask = { .starts = starts, .steps = TABU_STEPS, .rng = &x->s->rng, .found = try_placement, .go_on = spend_x, .arg = x };

	tabu_search(d, &ask, x->limit);
}

/* ---- the search ---------------------------------------------------------------------------- */

static uint32_t choose_node(const struct dual *d)
{
	const struct dual_shape *shape = d->shape;
	uint32_t best = NO_NODE;

	for (uint32_t u = 0; u < shape->n_nodes; u++) {
		if (d->alive[u] < 2)
			continue;
		if (best == NO_NODE || d->alive[u] < d->alive[best] ||
		    (d->alive[u] == d->alive[best] &&
		     shape->first[u + 1] - shape->first[u] > shape->first[best + 1] - shape->first[best]))
			best = u;
	}
	return best;
}

/* Hosts of u by rising unary cost. Caller frees. */
static uint32_t *order_hosts(const struct dual *d, uint32_t u, uint32_t *ret_n)
{
	const int32_t *unary = d->unary + d->at[u];
	uint32_t *order = mem_array(d->n[u] + 1, sizeof(*order)), n = 0;

	for (uint32_t i = 0; i < d->n[u]; i++) {
		uint32_t j = n;
		if (unary[i] >= DUAL_NONE)
			continue;
		while (j > 0 && unary[order[j - 1]] > unary[i]) {
			order[j] = order[j - 1];
			j--;
		}
		order[j] = i;
		n++;
	}
	*ret_n = n;
	return order;
}

/* What every branch that is not searched yet costs at least, and so what the search as a whole has shown. */
static void raise_bound(struct exact *x)
{
	int64_t least = INT64_MAX;

	for (uint32_t i = 0; i <= x->depth; i++)
		least = x->pending[i] < least ? x->pending[i] : least;
	search_raise_bound(x->s, fmin(proven(x, least), fmin(x->open, x->postponed)), "exact");
}

/* d: x->level[x->depth]. `more`: what routing adds to its bound, known so far. */
static void descend(struct exact *x, int64_t more)
{
	struct dual *d = &x->level[x->depth];
	uint32_t n;

	if (!go_on(x) || route_fixed(x, d, &more))
		return;
	uint32_t u = choose_node(d);
	if (u == NO_NODE)
		return;
	mem_auto uint32_t *order = order_hosts(d, u, &n);
	for (uint32_t i = 0; i < n && !x->s->stopped && x->s->work < x->patience; i++) {
		int64_t bound = d->bound + more + d->unary[d->at[u] + order[i]];
		struct dual *child = &x->level[x->depth + 1];
		/* All before are searched, all behind cost no less. */
		x->pending[x->depth] = bound;
		raise_bound(x);
		if (past_cutoff(x, bound))
			break;
		x->pending[x->depth] = i + 1 < n ? d->bound + more + d->unary[d->at[u] + order[i + 1]] : INT64_MAX;
		x->pending[x->depth + 1] = bound;
		if (dual_fix(d, u, order[i], x->limit - more, child) && dual_ascend(child, SWEEPS, 1, x->limit - more, spend, x->s)) {
			x->depth++;
			descend(x, more);
			x->depth--;
		}
	}
	x->pending[x->depth] = INT64_MAX;
}

/* The most that a placement can cost before routing gets in its way, in the problem's units. */
static double dearest(const struct exact *x)
{
	const struct request *r = x->p->r;
	double sum = 0;

	for (size_t u = 0; u < r->n_nodes; u++) {
		int64_t most = 0;
		for (size_t i = 0; i < x->p->cand[u].n; i++)
			most = x->p->node_weight[x->p->cand[u].v[i]] > most ? x->p->node_weight[x->p->cand[u].v[i]] : most;
		sum += (double)most * (double)r->nodes[u].demand[RES_CPU_MILLI];
	}
	for (uint32_t k = 0; k < r->n_links; k++)
		sum += pairs_dearest(x->is_priced ? &x->priced : &x->pairs, k);
	return sum;
}

/* Parts as fine as 32 bits allow. */
static void set_scale(struct exact *x)
{
	double most, sum = dearest(x);

	x->unit = problem_unit(x->p, &most);
	x->parts = DUAL_PARTS;
	while (x->parts > 1 && sum / x->unit * x->parts >= DUAL_MOST)
		x->parts /= 2;
	x->integral = x->parts >= DUAL_PARTS_LEAST;
	if (!x->integral) {
		x->unit = sum / (DUAL_MOST / 2);
		x->parts = 1;
	}
}

static bool any_blunt(const struct exact *x)
{
	bool any = false;

	for (uint32_t k = 0; k < x->p->r->n_links; k++)
		any = any || pairs_blunt(&x->pairs, k);
	return any;
}

/* Sweeps the root as long as it pays. False: nothing is left. */
static bool climb(struct exact *x, struct dual *root)
{
	for (int sweeps = 0; sweeps < ROOT_SWEEPS && !search_over(x->s); sweeps += ROOT_CHUNK) {
		int64_t before = root->bound;
		if (!dual_ascend(root, ROOT_CHUNK, 1, x->limit, spend, x->s))
			return false;
		search_raise_bound(x->s, proven(x, root->bound), "exact");
		if ((double)(root->bound - before) < x->parts / 4)
			break;
	}
	return true;
}

/* The same, and once more where a closer look at pairs may help. False: nothing is left. */
static bool climb_high(struct exact *x, struct dual *root)
{
	if (!climb(x, root))
		return false;
	if (search_over(x->s) || !any_blunt(x))
		return true;
	dual_sharpen(root, x->is_priced ? &x->priced : &x->pairs, x->limit, spend, x->s);
	return climb(x, root);
}

/* A root under prices, where it bounds better than the one at hand. False: nothing is left. */
static bool begin_priced(struct exact *x, struct dual *root)
{
	double before = proven(x, root->bound), unit = x->unit, parts = x->parts;
	bool integral = x->integral, left = true;
	struct dual priced = { 0 };

	x->is_priced = true;
	if (pairs_init(&x->priced, x->p, &x->prices, spend, x->s)) {
		set_scale(x);
		set_limit(x);
		dual_init(&priced, &x->shape, &x->priced, x->unit, x->parts);
		priced.bound = -(int64_t)ceil(x->prices.constant / x->unit * x->parts * (1 + 1e-12));
		left = dual_restrict(&priced, root) && climb_high(x, &priced);
		if (left && proven(x, priced.bound) > before) {
			dual_done(root);
			*root = priced;
			return true;
		}
	}
	dual_done(&priced);
	pairs_done(&x->priced);
	x->is_priced = false;
	x->unit = unit;
	x->parts = parts;
	x->integral = integral;
	set_limit(x);
	return left;
}

/* Asks for prices of links and begins anew with them. False: nothing is left. */
static bool reprice(struct exact *x, struct dual *root)
{
	const struct dual_shape *shape = &x->shape;
	mem_auto uint32_t **host = mem_array(shape->n_nodes + 1, sizeof(*host)), *n = mem_array(shape->n_nodes + 1, sizeof(*n));

	if (!dual_compact(root, x->limit))
		return false;
	for (uint32_t u = 0; u < shape->n_nodes; u++) {
		host[u] = root->n[u] > 0 ? root->host + root->at[u] : &root->fixed[u];
		n[u] = root->n[u] > 0 ? root->n[u] : 1;
	}
	struct routing_domains domains = { .host = host, .n = n };
	if (!routing_global_prices(x->pool, &domains, x->cutoff, EFFORT_PRICES, &x->prices))
		return true;
	return begin_priced(x, root);
}

/* About how much work the linear program of placement and routing together is: searches for every link, round by round, and
 * rows squared. */
static uint64_t price_of_prices(const struct dual *root)
{
	const struct dual_shape *shape = root->shape;
	uint64_t rows = 0;

	for (uint32_t e = 0; e < shape->n_edges; e++)
		rows += root->n[shape->edges[e].end[0]] + root->n[shape->edges[e].end[1]];
	return 10 * rows * rows + 30 * shape->p->r->n_links * 2 * shape->p->s->n_links;
}

/* Goes through the whole tree, leaves whose routing is hard last: by then there is a better limit to cut them off with.
 * Where links get in each other's way a lot, it begins again with prices on them. False: the limit came. */
static bool search(struct exact *x, struct dual *root)
{
	x->patience = x->s->work + price_of_prices(root);
	for (x->effort = EFFORT_FIRST; !x->s->stopped;) {
		x->postponed = x->open = INFINITY;
		x->depth = 0;
		descend(x, 0);
		if (x->s->work >= x->patience) {
			x->patience = UINT64_MAX;
			if (!x->s->stopped && !reprice(x, root))
				return true;
			continue;
		}
		if (!isfinite(x->postponed) || x->postponed >= x->s->objective)
			break;
		x->effort *= x->effort < INT64_MAX / EFFORT_STEP ? EFFORT_STEP : 1;
		dual_ascend(root, ROOT_CHUNK, 1, x->limit, spend, x->s);
	}
	return !x->s->stopped;
}

/* False: the limit came. */
static bool ascend_root(struct exact *x, struct dual *root)
{
	if (!climb_high(x, root))
		return true;
	if (search_over(x->s))
		return false;
	look_around(x, root, TABU_STARTS);
	if (!search_over(x->s) && x->s->best.has_embedding) {
		heuristic_run(x->s, HEURISTIC_MORE); /* it routes as it places: where links are in each other's way that pays */
		set_limit(x);
	}
	if (search_over(x->s))
		return false;
	return search(x, root);
}

static void conclude(struct exact *x)
{
	struct search *s = x->s;
	struct err why = { 0 };

	if (isfinite(x->open)) {
		s->relaxed = true;
		search_raise_bound(s, x->open, "exact");
	} else if (s->best.has_embedding) {
		search_raise_bound(s, s->objective, "exact");
	} else if (problem_narrow(&s->problem, &why) != 0) {
		search_exclude(s, "exact", &why);
	} else {
		search_exclude_whole(s, "exact");
	}
}

static void exact_init(struct exact *x, struct search *s)
{
	const struct problem *p = &s->problem;
	const struct request *r = p->r;

	*x = (struct exact){ .s = s, .p = p, .open = INFINITY, .postponed = INFINITY, .ceiling = ceiling_of(p) };
	dual_shape_init(&x->shape, p);
	path_space_init(&x->space, &p->graph);
	layout_init(&x->at, p, &x->space);
	x->level = mem_array(r->n_nodes + 2, sizeof(*x->level));
	x->pending = mem_array(r->n_nodes + 2, sizeof(*x->pending));
	x->least = mem_array(r->n_links + 1, sizeof(*x->least));
	x->order = mem_array(r->n_links + 1, sizeof(*x->order));
	x->pool = routing_new(s);
	leaf_init(&x->leaf, s);
}

static void exact_done(struct exact *x)
{
	for (size_t u = 0; u < x->p->r->n_nodes + 2; u++)
		dual_done(&x->level[u]);
	free(x->level);
	free(x->pending);
	free(x->order);
	free(x->least);
	leaf_done(&x->leaf);
	routing_free(x->pool);
	layout_done(&x->at);
	path_space_done(&x->space);
	dual_shape_done(&x->shape);
	pairs_done(&x->pairs);
	if (x->is_priced)
		pairs_done(&x->priced);
	routing_prices_done(&x->prices);
}

/* Takes out what has no price; false: nothing is left. */
static bool settle(struct exact *x)
{
	look_around(x, &x->level[0], 1);
	return dual_compact(&x->level[0], x->limit);
}

void exact_run(struct search *s)
{
	struct exact x;

	search_raise_bound(s, s->problem.bound, "exact");
	if (search_over(s))
		return;
	exact_init(&x, s);
	if (dual_entries(&x.shape) > ENTRIES_MAX) {
		err_set(&s->fault, -E2BIG, "too large for the exact search: %zu pairs of hosts", dual_entries(&x.shape));
	} else if (pairs_init(&x.pairs, x.p, NULL, spend, s)) {
		x.spent = x.pairs.work;
		set_scale(&x);
		set_limit(&x);
		dual_init(&x.level[0], &x.shape, &x.pairs, x.unit, x.parts);
		if (!search_over(s) && (!settle(&x) || ascend_root(&x, &x.level[0])) && !s->halted)
			conclude(&x);
	}
	exact_done(&x);
}
