/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The exact search: depth first over the hosts of virtual nodes, smallest domain first, with the
 * dual ascent of dual.h as lower bound. It prices every virtual link as if it were alone; where links get in
 * each other's way routing costs more. So at every node the links with both ends fixed are routed: first
 * quickly, one after the other; only if that misses the sum of their distances, by the relaxation of
 * the node-link program over the few arcs that still matter, and once all hosts are fixed by the program itself.
 *
 * What a leaf leaves undecided (a limit; split paths too many to be weighed one by one, whose delay or number the program cannot bound)
 * lowers the bound that is claimed, never the truth of it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/dual.h"
#include "embed/search.h"

enum {
	ENTRIES_MAX = 20000000, /* of the pair matrices: 160 MB */
	NARROW_MAX = 200000,    /* virtual × substrate links */
	ROOT_SWEEPS = 60, ROOT_CHUNK = 4, SWEEPS = 3,
	ORDERS = 4,             /* orders in which links are routed quickly */
	EFFORT_FIRST = 100000000, EFFORT_STEP = 10, EFFORT_RELAX = 30000000
};

struct exact {
	struct search *s;
	const struct problem *p;
	struct dual_shape shape;
	struct path_space space;
	struct layout at;
	struct problem sub;      /* hosts fixed, for the routing program */
	struct request sub_r;    /* its virtual nodes and links: some of the request's, shallow */
	uint32_t *sub_hosts;     /* one candidate per virtual node of it */
	bool integral;           /* every cost is a whole number of units */
	double unit;
	int64_t limit;           /* what a better embedding costs at most, in parts */
	double *least;           /* per virtual link with both ends fixed */
	double *sub_least;
	uint32_t *order, *number;
	uint64_t spent;
	double open;             /* least bound among leaves left undecided: no program decides them … */
	double postponed;        /* … or one with more effort might */
	int64_t effort;          /* for the routing program of one leaf */
};

/* ---- limits -------------------------------------------------------------------------------- */

static void set_limit(struct exact *x)
{
	double objective = x->s->objective / x->unit;

	if (!isfinite(objective))
		x->limit = DUAL_INF / 4;
	else if (x->integral)
		x->limit = (int64_t)(llround(objective) - 1) * DUAL_SCALE;
	else
		x->limit = (int64_t)floor(objective * DUAL_SCALE);
}

/* In the problem's units, what a bound in parts proves. */
static double proven(const struct exact *x, int64_t bound)
{
	if (x->integral)
		return x->unit * (double)((bound + DUAL_SCALE - 1) / DUAL_SCALE);
	return x->unit * (double)bound / DUAL_SCALE;
}

static bool spend(void *arg, uint64_t arcs)
{
	return search_spend(arg, arcs);
}

static bool go_on(struct exact *x, struct dual *d)
{
	uint64_t work = d->work + x->space.work + x->shape.space.work - x->spent;

	x->spent = x->space.work + x->shape.space.work;
	d->work = 0;
	return search_spend(x->s, work + 1);
}

/* ---- routing ------------------------------------------------------------------------------- */

static uint32_t fixed_host(const struct dual *d, uint32_t u)
{
	if (d->alive[u] != 1)
		return NO_NODE;
	for (uint32_t i = 0; i < d->n[u]; i++)
		if (!d->dead[u][i])
			return d->host[u][i];
	return NO_NODE;
}

/* Places what is fixed; false where it does not fit together. */
static bool place_fixed(struct exact *x, const struct dual *d, bool *ret_all)
{
	size_t n = x->p->r->n_nodes;

	*ret_all = true;
	for (uint32_t u = 0; u < n; u++) {
		uint32_t host = fixed_host(d, u);
		if (x->at.host[u] != NO_NODE && x->at.host[u] != host)
			layout_unplace(&x->at, u);
		*ret_all = *ret_all && host != NO_NODE;
	}
	for (uint32_t u = 0; u < n; u++) {
		uint32_t host = fixed_host(d, u);
		if (host == NO_NODE || x->at.host[u] == host)
			continue;
		if (!layout_room(&x->at, u, host))
			return false;
		layout_place(&x->at, u, host);
	}
	return true;
}

static bool active(const struct exact *x, uint32_t k)
{
	const struct vlink *link = &x->p->r->links[k];

	return x->at.host[link->a] != NO_NODE && x->at.host[link->b] != NO_NODE;
}

/* Routes the fixed links one after the other; the cost of all, INFINITY where one finds no way.
 * Those that pay more than they must go first the next time. */
static double route_quickly(struct exact *x, size_t n)
{
	double cost = 0;
	size_t missed = 0;

	for (size_t i = 0; i < n; i++)
		layout_unroute(&x->at, x->order[i]);
	for (size_t i = 0; i < n; i++) {
		uint32_t k = x->order[i];
		bool found = layout_route(&x->at, k);
		cost += found ? x->at.route[k].cost : INFINITY;
		if (found && x->at.route[k].cost <= x->least[k])
			continue;
		memmove(&x->order[missed + 1], &x->order[missed], (i - missed) * sizeof(*x->order));
		x->order[missed++] = k;
	}
	return cost;
}

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

/* The routing program of what is fixed: the request's fixed virtual nodes and the links between them. Best
 * effort takes nothing and is left out unless all is fixed. */
static double make_sub(struct exact *x, bool all)
{
	const struct request *r = x->p->r;
	struct request *sub = &x->sub_r;
	double sum = 0;

	sub->n_nodes = sub->n_links = 0;
	for (uint32_t u = 0; u < r->n_nodes; u++) {
		uint32_t host = x->at.host[u];
		if (host == NO_NODE)
			continue;
		size_t v = sub->n_nodes++;
		x->number[u] = (uint32_t)v;
		sub->nodes[v] = r->nodes[u];
		memset(x->sub.is_cand[v], 0, x->p->s->n_nodes);
		x->sub.is_cand[v][host] = 1;
		x->sub_hosts[v] = host;
		x->sub.cand[v] = (struct node_list){ &x->sub_hosts[v], 1 };
		sum += (double)r->nodes[u].demand[RES_CPU_MILLI] * (double)x->p->node_weight[host];
	}
	for (uint32_t k = 0; k < r->n_links; k++) {
		if (!active(x, k) || (!all && vlink_best_effort(&r->links[k])))
			continue;
		x->sub_least[sub->n_links] = x->least[k];
		struct vlink *link = &sub->links[sub->n_links++];
		*link = r->links[k];
		link->a = x->number[link->a];
		link->b = x->number[link->b];
		sum += x->least[k];
	}
	problem_virtual_arcs(&x->sub);
	return sum;
}

/* True where the node that d stands for is done with: routed as well as can be, or too dear. */
static bool route_by_program(struct exact *x, struct dual *d, bool all)
{
	double bound, sum = make_sub(x, all), most = (double)x->limit / DUAL_SCALE * x->unit;
	struct mip_fixed fixed = { .relax = !all, .effort = all ? x->effort : EFFORT_RELAX, .least = x->sub_least, .slack = INFINITY };

	if (isfinite(x->s->objective))
		fixed.slack = most - (all ? sum : (double)d->bound / DUAL_SCALE * x->unit);
	if (fixed.slack < 0)
		return true;
	enum mip_verdict verdict = mip_route(x->s, &x->sub, &fixed, &bound);
	set_limit(x);
	if (verdict == MIP_EXCLUDED)
		return true;
	if (!all) {
		/* On top of the dual bound, but never into it: a child's program counts the same again. */
		double more = floor((bound - sum) / x->unit * DUAL_SCALE);
		return more > 0 && (double)d->bound + more > (double)x->limit;
	}
	if (verdict == MIP_OPTIMAL && x->s->objective <= bound + 1e-6 * (fabs(bound) + x->unit))
		return true;
	bound = bound > proven(x, d->bound) ? bound : proven(x, d->bound);
	if (verdict == MIP_OPTIMAL)
		x->open = bound < x->open ? bound : x->open;
	else
		x->postponed = bound < x->postponed ? bound : x->postponed;
	return true;
}

/* Routes what is fixed. True: done with this node. */
static bool route_fixed(struct exact *x, struct dual *d)
{
	double least = 0;
	bool all;

	if (!place_fixed(x, d, &all))
		return true;
	size_t n = order_links(x);
	for (size_t i = 0; i < n; i++) {
		uint32_t k = x->order[i];
		const struct vlink *link = &x->p->r->links[k];
		x->least[k] = dual_link_cost(&x->shape, k, x->at.host[link->a], x->at.host[link->b]);
		if (!isfinite(x->least[k]))
			return true;
		least += x->least[k];
	}
	for (int i = 0; i < ORDERS; i++) {
		double cost = route_quickly(x, n);
		offer(x);
		if (cost <= least)
			return all;
	}
	return route_by_program(x, d, all);
}

/* ---- the search ---------------------------------------------------------------------------- */

static uint32_t choose_node(const struct dual *d)
{
	const struct dual_shape *shape = d->shape;
	uint32_t best = NO_NODE;

	for (uint32_t u = 0; u < shape->p->r->n_nodes; u++) {
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
	uint32_t *order = mem_array(d->n[u] + 1, sizeof(*order)), n = 0;

	for (uint32_t i = 0; i < d->n[u]; i++) {
		uint32_t j = n;
		if (d->dead[u][i])
			continue;
		while (j > 0 && d->unary[u][order[j - 1]] > d->unary[u][i]) {
			order[j] = order[j - 1];
			j--;
		}
		order[j] = i;
		n++;
	}
	*ret_n = n;
	return order;
}

static void descend(struct exact *x, struct dual *d, bool root)
{
	uint32_t n;

	if (!go_on(x, d) || route_fixed(x, d))
		return;
	uint32_t u = choose_node(d);
	if (u == NO_NODE)
		return;
	mem_auto uint32_t *order = order_hosts(d, u, &n);
	for (uint32_t i = 0; i < n && !x->s->stopped; i++) {
		struct dual child;
		int64_t bound = d->bound + d->unary[u][order[i]];
		/* All before are searched, all behind cost no less. */
		if (root)
			search_raise_bound(x->s, fmin(proven(x, bound), fmin(x->open, x->postponed)), "exact");
		if (bound > x->limit)
			break;
		dual_fix(d, u, order[i], &child);
		if (dual_ascend(&child, SWEEPS, x->limit))
			descend(x, &child, false);
		go_on(x, &child);
		dual_done(&child);
	}
}

static bool ascend_root(struct exact *x, struct dual *root)
{
	for (int sweeps = 0; sweeps < ROOT_SWEEPS; sweeps += ROOT_CHUNK) {
		int64_t before = root->bound;
		if (!go_on(x, root))
			return false;
		if (!dual_ascend(root, ROOT_CHUNK, x->limit))
			return true;
		search_raise_bound(x->s, proven(x, root->bound), "exact");
		if (search_over(x->s))
			return false;
		if (root->bound - before < DUAL_SCALE / 4)
			break;
	}
	/* Leaves whose routing is hard come last: by then there is a better limit to cut them off with. */
	for (x->effort = EFFORT_FIRST; !x->s->stopped; x->effort *= x->effort < INT64_MAX / EFFORT_STEP ? EFFORT_STEP : 1) {
		x->postponed = x->open = INFINITY;
		descend(x, root, true);
		if (!isfinite(x->postponed) || x->postponed >= x->s->objective)
			break;
		dual_ascend(root, ROOT_CHUNK, x->limit);
	}
	return !x->s->stopped;
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
	double most;

	*x = (struct exact){ .s = s, .p = p, .open = INFINITY };
	x->unit = problem_unit(p, &most);
	x->integral = most / x->unit < 1e9;
	if (!x->integral)
		x->unit = most / 1e9;
	dual_shape_init(&x->shape, p, x->unit);
	path_space_init(&x->space, &p->graph);
	layout_init(&x->at, p, &x->space);
	x->least = mem_array(r->n_links + 1, sizeof(*x->least));
	x->sub_least = mem_array(r->n_links + 1, sizeof(*x->sub_least));
	x->order = mem_array(r->n_links + 1, sizeof(*x->order));
	x->number = mem_array(r->n_nodes + 1, sizeof(*x->number));
	x->sub_hosts = mem_array(r->n_nodes + 1, sizeof(*x->sub_hosts));
	x->sub_r = *r;
	x->sub_r.nodes = mem_array(r->n_nodes + 1, sizeof(*r->nodes));
	x->sub_r.links = mem_array(r->n_links + 1, sizeof(*r->links));
	x->sub = *p;
	x->sub.r = &x->sub_r;
	x->sub.vfirst = NULL;
	x->sub.varcs = NULL;
	x->sub.cand = mem_array(r->n_nodes + 1, sizeof(*x->sub.cand));
	x->sub.is_cand = mem_array(r->n_nodes + 1, sizeof(*x->sub.is_cand));
	for (size_t u = 0; u < r->n_nodes; u++)
		x->sub.is_cand[u] = mem_array(p->s->n_nodes + 1, 1);
	set_limit(x);
}

static void exact_done(struct exact *x)
{
	for (size_t u = 0; u < x->p->r->n_nodes; u++)
		free(x->sub.is_cand[u]);
	free(x->sub.is_cand);
	free(x->sub.cand);
	free(x->sub.vfirst);
	free(x->sub.varcs);
	free(x->sub_r.nodes);
	free(x->sub_r.links);
	free(x->sub_hosts);
	free(x->number);
	free(x->order);
	free(x->sub_least);
	free(x->least);
	layout_done(&x->at);
	path_space_done(&x->space);
	dual_shape_done(&x->shape);
}

void exact_run(struct search *s)
{
	struct exact x;
	struct dual root;
	struct err why = { 0 };
	bool small = s->problem.r->n_links * s->problem.s->n_links <= NARROW_MAX;

	/* The pair costs see what narrowing sees; with few candidates on a large substrate it only costs time. */
	if (small && problem_narrow(&s->problem, &why) != 0) {
		search_exclude(s, "exact", &why);
		return;
	}
	search_raise_bound(s, s->problem.bound, "exact");
	if (search_over(s))
		return;
	exact_init(&x, s);
	if (dual_entries(&x.shape) > ENTRIES_MAX) {
		err_set(&s->fault, -E2BIG, "too large for the exact search: %zu pairs of hosts", dual_entries(&x.shape));
	} else {
		if (dual_init(&root, &x.shape, spend, s)) {
			x.spent = x.shape.space.work;
			if (ascend_root(&x, &root) && !s->halted)
				conclude(&x);
		}
		dual_done(&root);
	}
	exact_done(&x);
}
