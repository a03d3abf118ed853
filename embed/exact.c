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
#include "embed/exact.h"
#include "embed/proof.h"
#include "embed/tabu.h"

#define NO_BETTER 1e-9 /* where costs are no multiples of a unit, a saving below that part of it all does not count */

enum {
	ENTRIES_MAX = 20000000,  /* of the pair matrices: 80 MB */
	ROOT_SWEEPS = 60, ROOT_CHUNK = 4, SWEEPS = 3,
	HEURISTIC_MORE = 300000, /* arcs for the heuristic, once the root has not settled it */
	LOOK_SHARE = 4,          /* of the work so far, for the heuristic, once there are prices */
	TABU_STARTS = 8, TABU_STEPS = 60, TABU_ARCS = 1000000,
	EFFORT_FIRST = 2000000, EFFORT_STEP = 10, /* arcs for the routing program of a leaf at first, and how much more each time */
	EFFORT_PRICES = 5000000
};

/* ---- limits -------------------------------------------------------------------------------- */

void exact_set_limit(struct exact *x)
{
	double units = x->s->objective / x->unit, limit;

	if (isfinite(units) && x->integral)
		x->cutoff = (round(units) - 1) * x->unit;
	else
		x->cutoff = x->s->objective * (1 - NO_BETTER);
	x->cutoff = fmin(x->cutoff, x->ceiling);
	limit = floor(x->cutoff / x->unit * x->parts);
	x->limit = limit < DUAL_MOST - 1 ? (int64_t)limit : DUAL_MOST - 1;
	if (x->s->proof)
		x->s->proof->limit = x->limit;
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
double exact_proven(const struct exact *x, int64_t bound)
{
	double units = (double)bound / x->parts;

	if (bound <= 0)
		return 0;
	return x->unit * (x->integral ? ceil(units) : units);
}

bool exact_past_cutoff(const struct exact *x, int64_t bound)
{
	return (double)bound / x->parts * x->unit > x->cutoff;
}

static bool spend(void *arg, uint64_t arcs)
{
	return search_spend(arg, arcs);
}

/* Counts what routing has looked at since the last time. */
bool exact_go_on(struct exact *x)
{
	uint64_t now = x->space.work + x->pairs.work, work = now - x->spent;

	x->spent = now;
	return search_spend(x->s, work + 1);
}

static bool spend_x(void *arg, uint64_t arcs)
{
	struct exact *x = arg;

	return search_spend(x->s, arcs);
}

static void look_around(struct exact *x, const struct dual *d, uint32_t starts)
{
	struct tabu_ask ask = { .starts = starts, .steps = TABU_STEPS, .rng = &x->s->rng, .found = exact_try_placement, .go_on = spend_x, .arg = x };

	x->try_until = x->s->work + TABU_ARCS;
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
	search_raise_bound(x->s, fmin(exact_proven(x, least), fmin(x->open, x->postponed)), "exact");
}

static void descend(struct exact *x, int64_t more);

/* A branch, with a line for it. What routing adds above is not handed down: it has its line there. */
static void descend_proven(struct exact *x, struct dual *d, uint32_t u, uint32_t i, struct dual *child)
{
	uint32_t node = proof_child(d, u, d->host[d->at[u] + i]);

	if (!dual_fix(d, u, i, x->limit, child)) {
		proof_barren(d, node);
		return;
	}
	child->ledger->node = node;
	if (dual_ascend(child, SWEEPS, 1, x->limit, spend, x->s)) {
		x->depth++;
		descend(x, 0);
		x->depth--;
	}
}

/* d: x->level[x->depth]. `more`: what routing adds to its bound, known so far. */
static void descend(struct exact *x, int64_t more)
{
	struct dual *d = &x->level[x->depth];
	uint32_t n;

	if (!exact_go_on(x) || exact_route(x, d, &more))
		return;
	uint32_t u = choose_node(d);
	if (u == NO_NODE)
		return;
	mem_auto uint32_t *order = order_hosts(d, u, &n);
	for (uint32_t i = 0; i < n && !x->s->stopped && x->s->work < x->patience; i++) {
		int64_t unary = d->unary[d->at[u] + order[i]], bound = d->bound + more + unary;
		struct dual *child = &x->level[x->depth + 1];
		if (d->ledger && unary < DUAL_NONE && d->bound + unary <= x->limit) {
			descend_proven(x, d, u, order[i], child);
			continue;
		}
		/* All before are searched, all behind cost no less. */
		x->pending[x->depth] = bound;
		raise_bound(x);
		if (exact_past_cutoff(x, bound)) {
			if (d->ledger)
				proof_bound(d, 0, false);
			break;
		}
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
		search_raise_bound(x->s, exact_proven(x, root->bound), "exact");
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
	if (search_over(x->s) || !any_blunt(x) || root->ledger)
		return true;
	dual_sharpen(root, x->is_priced ? &x->priced : &x->pairs, x->limit, spend, x->s);
	return climb(x, root);
}

/* The proof begins (again); root: NULL, or new, with a ledger to be. */
static void begin_proof(struct exact *x, struct dual *root, const struct routing_prices *prices)
{
	if (!x->s->proof)
		return;
	if (!x->integral)
		x->s->proof->failed = "costs are no multiples of a unit";
	proof_begin(x->s->proof, x->parts, x->unit, prices);
	if (root)
		root->ledger = ledger_new(x->s->proof, &x->shape);
}

/* A root under prices, where it bounds better than the one at hand. False: nothing is left. */
static bool begin_priced(struct exact *x, struct dual *root)
{
	double before = exact_proven(x, root->bound), unit = x->unit, parts = x->parts;
	bool integral = x->integral, left = true;
	struct dual priced = { 0 };

	x->is_priced = true;
	if (pairs_init(&x->priced, x->p, &x->prices, spend, x->s)) {
		set_scale(x);
		exact_set_limit(x);
		dual_init(&priced, &x->shape, &x->priced, x->unit, x->parts);
		priced.bound = -(int64_t)ceil(x->prices.constant / x->unit * x->parts * (1 + 1e-12));
		begin_proof(x, &priced, &x->prices);
		left = dual_restrict(&priced, root) && climb_high(x, &priced);
		if (left && exact_proven(x, priced.bound) > before) {
			routing_know(x->pool, &x->pairs, &x->priced);
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
	exact_set_limit(x);
	if (left)
		begin_proof(x, NULL, NULL);
	return left;
}

/* The same, and by the heuristic, which routes as it places: where links are in each other's way that pays. */
static void look_again(struct exact *x, const struct dual *root, uint64_t arcs)
{
	if (x->is_priced) /* they know who is in whose way */
		look_around(x, root, TABU_STARTS);
	if (!search_over(x->s) && x->s->best.has_embedding) { /* without, it would refuse */
		heuristic_run(x->s, arcs);
		exact_set_limit(x);
	}
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
	if (!begin_priced(x, root))
		return false;
	look_again(x, root, x->s->work / LOOK_SHARE);
	return true;
}

/* About how much work the linear program of placement and routing together is: searches for every link, round by round, and
 * rows squared. */
static uint64_t price_of_prices(const struct dual *root)
{
	const struct dual_shape *shape = root->shape;
	uint64_t rows = 0;

	for (uint32_t e = 0; e < shape->n_edges; e++)
		rows += root->n[shape->edges[e].end[0]] + root->n[shape->edges[e].end[1]];
	rows = 3 * rows * rows + 300 * shape->p->r->n_links * 2 * shape->p->s->n_links;
	return rows < EFFORT_PRICES ? rows : EFFORT_PRICES;
}

/* Goes through the whole tree, leaves whose routing is hard last: by then there is a better limit to cut them off with.
 * Where links get in each other's way a lot, it begins again with prices on them. False: the limit came. */
static bool search(struct exact *x, struct dual *root)
{
	x->patience = x->s->work + price_of_prices(root);
	for (x->effort = EFFORT_FIRST; !x->s->stopped;) {
		x->postponed = x->open = INFINITY;
		x->depth = 0;
		if (x->s->proof)
			begin_proof(x, NULL, x->is_priced ? &x->prices : NULL);
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
		exact_set_limit(x);
	}
	if (search_over(x->s))
		return false;
	return search(x, root);
}

static void conclude(struct exact *x)
{
	struct search *s = x->s;
	struct err why = { 0 };

	s->proof = NULL; /* it has come to its end */
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
	return dual_compact(&x->level[0], x->limit) || proof_empty(&x->level[0]);
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
		routing_know(x.pool, &x.pairs, NULL);
		set_scale(&x);
		exact_set_limit(&x);
		dual_init(&x.level[0], &x.shape, &x.pairs, x.unit, x.parts);
		begin_proof(&x, &x.level[0], NULL);
		if (!search_over(s) && (!settle(&x) || ascend_root(&x, &x.level[0])) && !s->halted)
			conclude(&x);
	}
	exact_done(&x);
}
