/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See routing.h. The tree: depth first, at each node the program of routing_lp.h. A fractional link is branched on
 * where its paths part: at that node of the substrate every path leaves by one arc, so that of two sets that make up
 * all arcs out of it one may be forbidden in each branch. Arcs, not links: a path that comes the other way is
 * another. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/proof.h"
#include "embed/routing_lp.h"

enum { DEPTH_MAX = 400 };
#define FRACTION 1e-6

struct tree {
	struct master m;
	struct routing_pool *pool;
	const struct routing_ask *ask;
	struct layout *at;
	struct layout best;     /* a snapshot; valid where found */
	bool found;
	double cost;            /* of best */
	double cutoff;
	double open;            /* least bound of what is left undecided */
	double cut;             /* least bound of what was cut off */
	uint32_t *order;        /* virtual links, as they are routed */
	double *certain;        /* per virtual link: the largest share among its columns; 2: it came last the last time */
	uint32_t *best_column;  /* per virtual link: that column of the program */
};

/* ---- routes from a fractional solution ----------------------------------------------------- */

static void route_use(struct vroute *r, const uint32_t *links, size_t n, int64_t bw_kbps)
{
	uint32_t first = r->n_paths > 0 ? r->first[r->n_paths] : 0;

	if (r->cap < first + n) {
		r->cap = (uint32_t)(first + n);
		r->links = mem_grow(r->links, r->cap, sizeof(*r->links));
	}
	r->first[r->n_paths] = first;
	memcpy(r->links + first, links, n * sizeof(*links));
	r->bw_kbps[r->n_paths++] = bw_kbps;
	r->first[r->n_paths] = first + (uint32_t)n;
}

static bool column_valid(const struct tree *t, const struct column *c)
{
	const uint32_t *links = t->pool->links + c->first;
	int64_t need = t->pool->p->r->links[c->link].bw_kbps;

	for (uint32_t i = 0; i < c->n; i++)
		if (t->at->cap[links[i]] < need)
			return false;
	for (uint32_t i = 0; i < c->primary; i++)
		for (uint32_t j = c->primary; j < c->n; j++)
			if (problem_shares_risk(t->pool->p, links[i], links[j]))
				return false;
	return true;
}

/* Routes virtual link k as the column says, if that has room. */
static bool route_column(struct tree *t, uint32_t k, uint32_t id)
{
	const struct column *c = &t->pool->columns[id];
	const uint32_t *links = t->pool->links + c->first;
	int64_t need = t->pool->p->r->links[k].bw_kbps;
	struct vroute *r = &t->at->route[k];

	if (!column_valid(t, c))
		return false;
	r->n_paths = 0;
	r->backup = c->primary < c->n;
	route_use(r, links, c->primary, need);
	if (r->backup)
		route_use(r, links + c->primary, c->n - c->primary, need);
	layout_set_route(t->at, k);
	return true;
}

/* A split link by its shares: whole kbit/s, and what rounding leaves to the first column with room. */
static bool route_shares(struct tree *t, uint32_t k)
{
	const struct master *m = &t->m;
	struct flow_path paths[PATHS_MAX];
	int64_t rest = t->pool->p->r->links[k].bw_kbps, bw_kbps = rest;
	size_t n = 0;

	for (size_t col = m->n; col < m->lp.n_cols; col++) {
		const struct column *c = &t->pool->columns[m->column[col]];
		int64_t amount = (int64_t)floor(m->at.x[col] * (double)bw_kbps + 1e-6);
		if (c->link != k || m->at.x[col] <= FRACTION)
			continue;
		if (n == PATHS_MAX)
			return false;
		amount = amount < rest ? amount : rest;
		rest -= amount;
		paths[n++] = (struct flow_path){ t->pool->links + c->first, c->n, amount };
	}
	if (n == 0)
		return false;
	memcpy(t->at->room, t->at->cap, t->pool->p->s->n_links * sizeof(*t->at->room));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < paths[i].n; j++)
			t->at->room[paths[i].links[j]] -= paths[i].amount;
	for (size_t i = 0; i < n && rest > 0; i++) {
		int64_t more = rest;
		for (size_t j = 0; j < paths[i].n; j++)
			more = t->at->room[paths[i].links[j]] < more ? t->at->room[paths[i].links[j]] : more;
		if (more <= 0)
			continue;
		for (size_t j = 0; j < paths[i].n; j++)
			t->at->room[paths[i].links[j]] -= more;
		paths[i].amount += more;
		rest -= more;
	}
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (paths[i].amount > 0)
			paths[kept++] = paths[i];
	t->at->route[k].n_paths = 0;
	t->at->route[k].backup = false;
	return rest == 0 && layout_route_paths(t->at, k, paths, kept);
}

static void weigh_columns(struct tree *t)
{
	const struct master *m = &t->m;

	for (size_t k = 0; k < t->pool->p->r->n_links; k++) {
		t->certain[k] = 0;
		t->best_column[k] = NO_COLUMN;
	}
	for (size_t col = m->n; col < m->lp.n_cols && col < m->at.n_cols; col++) {
		uint32_t k = t->pool->columns[m->column[col]].link;
		if (m->at.x[col] <= t->certain[k])
			continue;
		t->certain[k] = m->at.x[col];
		t->best_column[k] = m->column[col];
	}
}

/* 2: it must come first this time; 1: all of it takes one path. */
static int certainty(const struct tree *t, uint32_t k)
{
	return t->certain[k] > 1.5 ? 2 : t->certain[k] > 1 - FRACTION;
}

/* What is certain first, splits last of those with a bandwidth: they take what is left. */
static bool goes_before(const struct tree *t, uint32_t a, uint32_t b)
{
	const struct vlink *x = &t->pool->p->r->links[a], *y = &t->pool->p->r->links[b];
	bool x_split = t->pool->kind[a] == ROUTE_SPLIT, y_split = t->pool->kind[b] == ROUTE_SPLIT;
	int x_sure = certainty(t, a), y_sure = certainty(t, b);

	if (x_split != y_split)
		return y_split;
	if (x_sure != y_sure)
		return x_sure > y_sure;
	return x->bw_kbps > y->bw_kbps;
}

static void order_links(struct tree *t)
{
	size_t n = t->pool->p->r->n_links;

	for (uint32_t k = 0; k < n; k++) {
		size_t i = k;
		while (i > 0 && goes_before(t, k, t->order[i - 1])) {
			t->order[i] = t->order[i - 1];
			i--;
		}
		t->order[i] = k;
	}
}

static bool route_one(struct tree *t, uint32_t k)
{
	uint8_t kind = t->pool->kind[k];

	if (kind == ROUTE_SPLIT && t->best_column[k] != NO_COLUMN && route_shares(t, k))
		return true;
	if ((kind == ROUTE_PATH || kind == ROUTE_PAIR) && t->best_column[k] != NO_COLUMN && t->certain[k] > 0.5 - FRACTION &&
	    route_column(t, k, t->best_column[k]))
		return true;
	return layout_route(t->at, k);
}

/* Routes all links along the last solution of the program; keeps what is better than the best. Links that find no way go
 * first the next time. */
static void realise(struct tree *t, int tries)
{
	size_t n = t->pool->p->r->n_links;

	weigh_columns(t);
	for (bool done = false; tries > 0 && !done; tries--) {
		double cost = 0;
		done = true;
		order_links(t);
		for (uint32_t k = 0; k < n; k++)
			layout_unroute(t->at, k);
		for (size_t i = 0; i < n; i++) {
			uint32_t k = t->order[i];
			if (!route_one(t, k)) {
				t->certain[k] = 2;
				done = false;
			} else {
				cost += t->at->route[k].cost;
			}
		}
		if (!done || cost > t->cutoff)
			continue;
		layout_save(t->at, &t->best);
		t->found = true;
		t->cost = cost;
		t->cutoff = cost - t->pool->unit;
	}
}

/* ---- branching ----------------------------------------------------------------------------- */

/* How far a link's columns are from being one path: bandwidth times what the largest leaves. */
static size_t most_fractional(const struct tree *t)
{
	const struct master *m = &t->m;
	size_t best = SIZE_MAX;
	double most = 0;

	for (size_t i = 0; i < m->n; i++) {
		uint32_t k = m->links[i].link;
		double left = 1 - t->certain[k], weight = left * (double)t->pool->p->r->links[k].bw_kbps;
		if (t->pool->kind[k] != ROUTE_PATH || left < FRACTION || weight <= most)
			continue;
		best = i;
		most = weight;
	}
	return best;
}

struct parting {
	size_t i;        /* of the program's links */
	uint32_t node;
	uint32_t *arcs;  /* links out of it: the busiest first, then all others */
	size_t n;
};

/* Follows the columns in use from the first host to where they part. */
static bool find_parting(const struct tree *t, struct parting *ret)
{
	const struct master *m = &t->m;
	const struct graph *g = &t->pool->p->graph;
	uint32_t k, depth = 0, busiest;

	ret->i = most_fractional(t);
	if (ret->i == SIZE_MAX)
		return false;
	k = m->links[ret->i].link;
	ret->node = m->links[ret->i].from;
	mem_auto double *share = mem_array(t->pool->p->s->n_links + 1, sizeof(*share));
	for (;; depth++) {
		uint32_t first = NO_LINK;
		bool parted = false;
		for (size_t col = m->n; col < m->lp.n_cols; col++) {
			const struct column *c = &t->pool->columns[m->column[col]];
			if (c->link != k || m->at.x[col] <= FRACTION)
				continue;
			if (depth >= c->n)
				return false; /* cannot be: all would be the same path */
			uint32_t l = t->pool->links[c->first + depth];
			share[l] += m->at.x[col];
			parted = parted || (first != NO_LINK && first != l);
			first = l;
		}
		if (first == NO_LINK)
			return false;
		if (parted)
			break;
		share[first] = 0;
		ret->node = g->ends[first][0] == ret->node ? g->ends[first][1] : g->ends[first][0];
	}
	ret->arcs = mem_array(g->first[ret->node + 1] - g->first[ret->node] + 1, sizeof(*ret->arcs));
	ret->n = 0;
	for (uint32_t i = g->first[ret->node]; i < g->first[ret->node + 1]; i++) {
		ret->arcs[ret->n++] = g->arcs[i].link;
		busiest = ret->arcs[0];
		if (share[g->arcs[i].link] > share[busiest]) {
			ret->arcs[0] = g->arcs[i].link;
			ret->arcs[ret->n - 1] = busiest;
		}
	}
	return true;
}

static bool may_matter(const struct tree *t, double bound)
{
	return isfinite(bound) && bound <= t->cutoff;
}

static void leave_open(struct tree *t, double bound)
{
	t->open = bound < t->open ? bound : t->open;
}

/* A branch ends with the bound of m's last prices. */
static void close_branch(struct tree *t, double bound)
{
	t->cut = bound < t->cut ? bound : t->cut;
	if (t->pool->s->proof)
		proof_route_tariff(t->pool->s->proof, t->pool, &t->m.best, t->m.ray);
}

/* Arcs that earlier branching has shut must stay so: only those that were open are shut, and opened again. */
static void branch_without(struct tree *t, const struct parting *part, size_t first, size_t n, double bound, int depth);

static void descend(struct tree *t, double above, int depth)
{
	struct parting part = { 0 };
	double bound;
	enum master_verdict verdict = master_solve(&t->m, t->cutoff, true, &bound);

	bound = bound > above ? bound : above;
	if (verdict == MASTER_CUT) {
		close_branch(t, bound);
		return;
	}
	if (verdict == MASTER_LOST || depth == DEPTH_MAX) {
		leave_open(t, bound);
		return;
	}
	realise(t, depth == 0 ? 3 : 1);
	if (!may_matter(t, bound)) {
		close_branch(t, bound);
		return;
	}
	weigh_columns(t);
	if (!find_parting(t, &part)) {
		leave_open(t, bound); /* it looks decided, and yet is no routing of this cost */
		return;
	}
	struct proof *proof = t->pool->s->proof;
	if (proof)
		proof_route_branch(proof, t->m.links[part.i].link, part.node, part.arcs, part.n);
	branch_without(t, &part, 1, part.n - 1, bound, depth);
	if (proof)
		proof_route_next(proof);
	branch_without(t, &part, 0, 1, bound, depth);
	if (proof)
		proof_route_end(proof);
	free(part.arcs);
}

static void branch_without(struct tree *t, const struct parting *part, size_t first, size_t n, double bound, int depth)
{
	const struct master_link *link = &t->m.links[part->i];
	const struct graph *g = &t->pool->p->graph;
	mem_auto uint32_t *open = mem_array(n + 1, sizeof(*open));
	size_t n_open = 0;

	if (!may_matter(t, bound) && !t->pool->s->proof) { /* a proof needs this branch's own prices */
		t->cut = bound < t->cut ? bound : t->cut;
		return;
	}
	if (t->m.work >= t->m.work_limit || t->pool->s->stopped) {
		leave_open(t, bound);
		return;
	}
	for (size_t j = first; j < first + n; j++) {
		uint32_t l = part->arcs[j];
		if (!link->shut || !(link->shut[l] & 1 << (g->ends[l][0] == part->node ? 1 : 0)))
			open[n_open++] = l;
	}
	master_shut(&t->m, part->i, part->node, open, n_open, true);
	descend(t, bound, depth + 1);
	master_shut(&t->m, part->i, part->node, open, n_open, false);
}

/* ---- the question -------------------------------------------------------------------------- */

static enum routing_verdict solve_bound(struct routing_pool *pool, const struct routing_ask *ask, double *ret_bound)
{
	struct master m;
	enum routing_verdict verdict = ROUTING_UNDECIDED;
	bool lost;

	*ret_bound = 0;
	if (pool->s->proof)
		proof_route_begin(pool->s->proof, ask->links, ask->n, false);
	if (!master_init(&m, pool, ask, &lost)) {
		verdict = lost ? ROUTING_UNDECIDED : ROUTING_EXCLUDED;
		*ret_bound = lost ? 0 : INFINITY;
	} else if (m.n == 0) {
		verdict = ask->cutoff < 0 ? ROUTING_EXCLUDED : ROUTING_OPTIMAL;
	} else {
		enum master_verdict of = master_solve(&m, ask->cutoff, ask->prices == NULL, ret_bound);
		verdict = of == MASTER_CUT ? ROUTING_EXCLUDED : of == MASTER_SOLVED ? ROUTING_OPTIMAL : ROUTING_UNDECIDED;
		if (pool->s->proof)
			proof_route_tariff(pool->s->proof, pool, &m.best, m.ray);
	}
	master_done(&m);
	return verdict;
}

static enum routing_verdict tree_verdict(struct tree *t, double *ret_bound)
{
	*ret_bound = fmin(t->open, t->cut);
	if (t->found) {
		layout_restore(t->at, &t->best);
		if (!may_matter(t, t->open)) {
			*ret_bound = t->cost;
			return ROUTING_OPTIMAL;
		}
		*ret_bound = fmin(*ret_bound, t->cost);
		return ROUTING_UNDECIDED;
	}
	for (uint32_t k = 0; k < t->pool->p->r->n_links; k++)
		layout_unroute(t->at, k);
	return may_matter(t, t->open) ? ROUTING_UNDECIDED : ROUTING_EXCLUDED;
}

static enum routing_verdict solve_whole(struct routing_pool *pool, const struct routing_ask *ask, struct layout *at,
                                        double *ret_bound)
{
	struct tree t = { .pool = pool, .ask = ask, .at = at, .cutoff = ask->cutoff, .open = INFINITY, .cut = INFINITY };
	const struct request *r = pool->p->r;
	enum routing_verdict verdict = ROUTING_UNDECIDED;
	bool lost;

	layout_init_snapshot(&t.best, pool->p);
	t.order = mem_array(r->n_links + 1, sizeof(*t.order));
	t.certain = mem_array(r->n_links + 1, sizeof(*t.certain));
	t.best_column = mem_array(r->n_links + 1, sizeof(*t.best_column));
	if (pool->s->proof)
		proof_route_begin(pool->s->proof, ask->links, ask->n, true);
	if (master_init(&t.m, pool, ask, &lost)) {
		descend(&t, master_least(&t.m), 0);
		verdict = tree_verdict(&t, ret_bound);
	} else {
		verdict = lost ? ROUTING_UNDECIDED : ROUTING_EXCLUDED;
		*ret_bound = lost ? 0 : INFINITY;
	}
	master_done(&t.m);
	free(t.order);
	free(t.certain);
	free(t.best_column);
	layout_done(&t.best);
	return verdict;
}

enum routing_verdict routing_solve(struct routing_pool *pool, const struct routing_ask *ask, struct layout *at, double *ret_bound)
{
	if (ask->whole)
		return solve_whole(pool, ask, at, ret_bound);
	return solve_bound(pool, ask, ret_bound);
}
