/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prices of links for a search as a whole: the linear program of placement and routing together,
 *
 *   x(u, a) >= 0   virtual node u stands on a;   Σ_a x(u, a) = 1;   Σ_u x(u, a) <= 1 (distinct)
 *   y(k, P) >= 0   virtual link k takes path P, from any host of its first end to any of its second
 *   Σ_(P of k from a) y = n x(u, a) and the same at the other end, n = 2 for protected links, else 1
 *   Σ bandwidth y over a link <= what is left of it; cover cuts (rows as they are violated)
 *
 * by column generation. What counts are the duals of capacities and covers: any are valid prices, so
 * neither GLPK's tolerances nor a stop half way can make them wrong, and a delay bound or that
 * a backup keeps apart may be left out. Of all rounds those are kept whose bound (Lagrange) is the best. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/lp.h"
#include "embed/pairs.h"
#include "embed/reach.h"
#include "embed/routing_pool.h"

enum { MEMORY_MIB = 1024, ROWS_MAX = 4000, ROUNDS_MAX = 400, NEAREST = 4, COLUMNS_EACH = 16, PATIENCE = 40, INSIST = 4,
       COPIED = 16 /* weights of links copied in the time of looking at an arc */ };
#define PRESENT 1e-7
#define GAP 1e-3         /* of the program's value to its bound: prices are as good as they get */
#define NO_ROW (-1)

struct global {
	struct routing_pool *pool;
	const struct problem *p;
	struct lp lp;
	struct lp_point at;
	double unit, cutoff;
	double big;            /* what it costs to stand nowhere, in the program's units */
	int insisted;
	uint64_t work, work_limit;
	bool dual;

	uint32_t **host;       /* per virtual node: what is alive of its domain … */
	uint32_t *n_hosts;
	int *x, *nowhere;      /* … and the first of their columns, and the one for none of them */
	uint32_t **place;      /* per virtual node, per substrate node: where it is in host, or UINT32_MAX */
	int *tie[2];           /* per virtual link and end: the first of its rows, one per host; NO_ROW: best effort */

	size_t first_path;     /* columns of lp from here on are paths: … */
	uint32_t *column;      /* … of the pool; at [col - first_path] */
	size_t cap_column;
	struct global_row {
		uint32_t at, cover;  /* a link (cover == NO_COVER), a cover, or a node that is wanted twice (NO_LINK, at host) */
		uint32_t host;
		int row, next;       /* row of lp; next of the same link, index */
	} *rows;
	size_t n_rows, cap_rows;
	int *row_head;         /* per substrate link: into rows */
	int *host_row;         /* per substrate node: its row of lp */

	struct tariff tariff, best;
	double best_bound;

	struct reach reach;
	uint32_t *used, *slot; /* substrate links in use, rising; per substrate link: where it is among them */
	size_t n_used;
	double *share;         /* per link in use and virtual link: how much of it crosses */
};

/* ---- layout -------------------------------------------------------------------------------- */

static int times(const struct global *g, uint32_t k)
{
	return g->p->r->links[k].protect ? 2 : 1;
}

static double bandwidth(const struct global *g, uint32_t k)
{
	return (double)g->p->r->links[k].bw_kbps;
}

static double row_value(const struct global *g, const struct global_row *row, uint32_t k)
{
	if (row->cover != NO_COVER)
		return g->pool->covers[row->cover].member[k];
	return bandwidth(g, k) / (double)g->p->left->link_kbps[row->at];
}

static void add_domain(struct global *g, const struct routing_domains *d, uint32_t u)
{
	size_t n = g->p->s->n_nodes;

	g->host[u] = mem_array(d->n[u] + 1, sizeof(**g->host));
	g->place[u] = mem_array(n + 1, sizeof(**g->place));
	memset(g->place[u], 0xff, n * sizeof(**g->place));
	for (uint32_t i = 0; i < d->n[u]; i++) {
		if (d->dead && d->dead[u][i])
			continue;
		g->place[u][d->host[u][i]] = g->n_hosts[u];
		g->host[u][g->n_hosts[u]++] = d->host[u][i];
	}
}

static void add_places(struct global *g)
{
	const struct request *r = g->p->r;

	for (uint32_t u = 0; u < r->n_nodes; u++) {
		int row = lp_add_row(&g->lp, 1, 1);
		g->nowhere[u] = lp_add_col(&g->lp, 0, LP_INF, g->big, false);
		lp_put(&g->lp, row, g->nowhere[u], 1);
		for (uint32_t i = 0; i < g->n_hosts[u]; i++) {
			double cost = (double)r->nodes[u].demand[RES_CPU_MILLI] * (double)g->p->node_weight[g->host[u][i]];
			int col = lp_add_col(&g->lp, 0, LP_INF, cost / g->unit, false);
			lp_put(&g->lp, row, col, 1);
			if (i == 0)
				g->x[u] = col;
		}
	}
	for (uint32_t k = 0; k < r->n_links; k++)
		for (int end = 0; end < 2; end++) {
			uint32_t u = end == 0 ? r->links[k].a : r->links[k].b;
			g->tie[end][k] = NO_ROW;
			if (g->pool->kind[k] == ROUTE_NOTHING)
				continue;
			for (uint32_t i = 0; i < g->n_hosts[u]; i++) {
				int row = lp_add_row(&g->lp, 0, 0);
				lp_put(&g->lp, row, g->x[u] + (int)i, -times(g, k));
				if (i == 0)
					g->tie[end][k] = row;
			}
		}
	g->first_path = g->lp.n_cols;
}

/* The path in pool->trace, of k from its host to its host. False: it is in the program. */
static bool add_path(struct global *g, uint32_t k, uint32_t from, uint32_t to, const struct found *found)
{
	struct routing_pool *pool = g->pool;
	const struct vlink *link = &g->p->r->links[k];
	uint32_t id = pool_column_put(pool, k, g->host[link->a][from], g->host[link->b][to], found,
	                              pool->kind[k] == ROUTE_PAIR || link->max_delay_us >= 0);
	struct column *c = &pool->columns[id];

	if (c->call == pool->call)
		return false;
	c->call = pool->call;
	double cost = (double)pool_column_dist(pool, id, pool->base) / pool->scale * bandwidth(g, k);
	int col = lp_add_col(&g->lp, 0, LP_INF, cost / g->unit, false);
	size_t i = (size_t)col - g->first_path;
	if (i >= g->cap_column) {
		g->cap_column = 2 * i + 256;
		g->column = mem_grow(g->column, g->cap_column, sizeof(*g->column));
	}
	g->column[i] = id;
	lp_put(&g->lp, g->tie[0][k] + (int)from, col, 1);
	lp_put(&g->lp, g->tie[1][k] + (int)to, col, 1);
	for (uint32_t j = 0; j < c->n; j++)
		for (int row = g->row_head[pool->links[c->first + j]]; row != NO_ROW; row = g->rows[row].next)
			lp_put(&g->lp, g->rows[row].row, col, row_value(g, &g->rows[row], k));
	return true;
}

static struct global_row *new_row(struct global *g, double most)
{
	if (g->n_rows == g->cap_rows) {
		g->cap_rows = 2 * g->cap_rows + 64;
		g->rows = mem_grow(g->rows, g->cap_rows, sizeof(*g->rows));
	}
	struct global_row *row = &g->rows[g->n_rows++];
	*row = (struct global_row){ NO_LINK, NO_COVER, NO_NODE, lp_add_row(&g->lp, -LP_INF, most), NO_ROW };
	g->dual = true;
	return row;
}

static void add_link_row(struct global *g, uint32_t at, uint32_t cover)
{
	struct global_row *row = new_row(g, cover == NO_COVER ? 1 : g->pool->covers[cover].most);

	row->at = at;
	row->cover = cover;
	row->next = g->row_head[at];
	g->row_head[at] = (int)(g->n_rows - 1);
	for (size_t col = g->first_path; col < g->lp.n_cols; col++) {
		const struct column *c = &g->pool->columns[g->column[col - g->first_path]];
		for (uint32_t j = 0; j < c->n; j++)
			if (g->pool->links[c->first + j] == at)
				lp_put(&g->lp, row->row, (int)col, row_value(g, row, c->link));
	}
}

static void add_host_row(struct global *g, uint32_t a)
{
	struct global_row *row = new_row(g, 1);

	row->host = a;
	g->host_row[a] = row->row;
	for (size_t u = 0; u < g->p->r->n_nodes; u++)
		if (g->place[u][a] != UINT32_MAX)
			lp_put(&g->lp, row->row, g->x[u] + (int)g->place[u][a], 1);
}

/* ---- paths --------------------------------------------------------------------------------- */

struct offer {
	double reduced;
	uint32_t to, label;
};

static int offer_order(const void *a, const void *b)
{
	const struct offer *x = a, *y = b;

	if (x->reduced != y->reduced)
		return x->reduced < y->reduced ? -1 : 1;
	return x->to < y->to ? -1 : 1;
}

/* The end of k from whose hosts to search: that whose other end's hosts all have known distances, which then show the way. */
static int near_end(const struct global *g, uint32_t k, bool *ret_known)
{
	const struct vlink *link = &g->p->r->links[k];
	const struct pairs *near = g->pool->near[0];

	for (int end = 0; near && end < 2; end++) {
		uint32_t u = end == 0 ? link->b : link->a, i = 0;
		while (i < g->n_hosts[u] && pairs_row(near, k, g->host[u][i]))
			i++;
		*ret_known = i == g->n_hosts[u];
		if (*ret_known)
			return end;
	}
	*ret_known = false;
	return 0;
}

static void turn_round(uint32_t *links, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t swap = links[i];
		links[i] = links[n - 1 - i];
		links[n - 1 - i] = swap;
	}
}

/* Adds k's best columns; *ret_least is the least reduced cost of any, or 0. */
static size_t price_link(struct global *g, uint32_t k, double *ret_least)
{
	const struct vlink *link = &g->p->r->links[k];
	bool known;
	int end = near_end(g, k, &known);
	uint32_t u = end == 0 ? link->a : link->b, v = end == 0 ? link->b : link->a;
	uint32_t n_from = g->n_hosts[u], n_to = g->n_hosts[v];
	double per_kbps = bandwidth(g, k) / (g->pool->scale * g->unit);
	mem_auto int64_t *offset = mem_array(n_from + 1, sizeof(*offset));
	mem_auto struct offer *offers = mem_array(n_to + 1, sizeof(*offers));
	mem_auto struct reach_goal *goals = mem_array(n_to + 1, sizeof(*goals));
	bool distinct = g->p->r->placement == PLACEMENT_DISTINCT;
	size_t n = 0, added = 0;
	double lowest = INFINITY;

	*ret_least = 0;
	for (uint32_t i = 0; i < n_from; i++)
		lowest = fmin(lowest, -g->at.price[g->tie[end][k] + (int)i]);
	for (uint32_t i = 0; i < n_from; i++)
		offset[i] = pool_price(g->pool, (-g->at.price[g->tie[end][k] + (int)i] - lowest) / per_kbps);
	for (uint32_t j = 0; j < n_to && known; j++)
		goals[j] = (struct reach_goal){ pairs_row(g->pool->near[0], k, g->host[v][j]), (int64_t)g->pool->scale,
		                                pool_price(g->pool, (g->at.price[g->tie[1 - end][k] + (int)j] - lowest) / per_kbps) + 1 };
	pool_weigh(g->pool, k, g->pool->base, &g->tariff);
	reach_search(&g->reach, g->pool->weight, g->p->left->link_kbps, g->pool->kind[k] == ROUTE_SPLIT ? 1 : link->bw_kbps,
	             g->host[u], offset, n_from, goals, known ? n_to : 0);
	for (uint32_t j = 0; j < n_to; j++) {
		uint32_t id = reach_arrival(&g->reach, g->host[u], g->host[v][j], distinct);
		if (id == NO_LABEL)
			continue;
		double reduced = (double)g->reach.labels[id].dist * per_kbps + lowest - g->at.price[g->tie[1 - end][k] + (int)j];
		*ret_least = fmin(*ret_least, reduced);
		if (reduced < -1e-7 && reach_simple(&g->reach, id))
			offers[n++] = (struct offer){ reduced, j, id };
	}
	qsort(offers, n, sizeof(*offers), offer_order);
	for (size_t i = 0; i < n && added < COLUMNS_EACH; i++) {
		struct found found;
		found.n = found.primary = reach_trace(&g->reach, offers[i].label, g->pool->trace);
		uint32_t from = g->reach.labels[offers[i].label].source;
		if (end == 1)
			turn_round(g->pool->trace, found.n);
		added += end == 0 ? add_path(g, k, from, offers[i].to, &found) : add_path(g, k, offers[i].to, from, &found);
	}
	return added;
}

/* Counts what searches have looked at since the last time, and `more`. False: enough. */
static bool spend(struct global *g, uint64_t more)
{
	g->work += more + g->pool->space.work - g->pool->space_work;
	return pool_spend(g->pool, more) && g->work < g->work_limit;
}

/* As add_nearest(), where distances are known: only the paths are searched. */
static bool add_nearest_known(struct global *g, uint32_t k, struct offer *offers)
{
	const struct vlink *link = &g->p->r->links[k];

	for (uint32_t i = 0; i < g->n_hosts[link->a]; i++) {
		size_t n = 0;
		for (uint32_t j = 0; j < g->n_hosts[link->b]; j++) {
			double cost = pairs_cost(g->pool->near[0], k, g->host[link->a][i], g->host[link->b][j]);
			if (isfinite(cost) && g->host[link->a][i] != g->host[link->b][j])
				offers[n++] = (struct offer){ cost, j, 0 };
		}
		qsort(offers, n, sizeof(*offers), offer_order);
		for (size_t j = 0; j < n && j < NEAREST; j++) {
			struct found found;
			uint32_t from = g->host[link->a][i], to = g->host[link->b][offers[j].to];
			if (pool_search_path(g->pool, k, from, to, NULL, &found))
				add_path(g, k, i, offers[j].to, &found);
		}
		if (!spend(g, n))
			return false;
	}
	return true;
}

/* Something to begin with: from every host to the nearest of the other end. False: enough. */
static bool add_nearest(struct global *g, uint32_t k)
{
	const struct vlink *link = &g->p->r->links[k];
	struct tariff none = { 0 };
	mem_auto struct offer *offers = mem_array(g->n_hosts[link->b] + 1, sizeof(*offers));

	bool known;

	near_end(g, k, &known);
	pool_weigh(g->pool, k, g->pool->base, &none);
	if (known)
		return add_nearest_known(g, k, offers);
	for (uint32_t i = 0; i < g->n_hosts[link->a]; i++) {
		struct path_query q = { .weight = g->pool->weight, .tie = g->p->link_tie, .cap = g->p->left->link_kbps, .max_delay = -1,
		                        .need = g->pool->kind[k] == ROUTE_SPLIT ? 1 : link->bw_kbps };
		size_t n = 0;
		path_search(&g->pool->space, &q, g->host[link->a][i], NO_NODE);
		for (uint32_t j = 0; j < g->n_hosts[link->b]; j++) {
			int64_t dist = path_dist(&g->pool->space, g->host[link->b][j]);
			if (dist != DIST_NONE && g->host[link->a][i] != g->host[link->b][j])
				offers[n++] = (struct offer){ (double)dist, j, 0 };
		}
		qsort(offers, n, sizeof(*offers), offer_order);
		for (size_t j = 0; j < n && j < NEAREST; j++) {
			struct found found;
			found.n = found.primary = path_trace(&g->pool->space, g->host[link->b][offers[j].to], g->pool->trace);
			add_path(g, k, i, offers[j].to, &found);
		}
		if (!spend(g, n))
			return false;
	}
	return true;
}

/* ---- rows that are violated ---------------------------------------------------------------- */

static size_t add_hosts(struct global *g)
{
	const struct request *r = g->p->r;
	mem_auto double *load = mem_array(g->p->s->n_nodes + 1, sizeof(*load));
	size_t added = 0;

	if (r->placement != PLACEMENT_DISTINCT)
		return 0;
	for (uint32_t u = 0; u < r->n_nodes; u++)
		for (uint32_t i = 0; i < g->n_hosts[u]; i++)
			load[g->host[u][i]] += g->at.x[g->x[u] + (int)i];
	for (uint32_t a = 0; a < g->p->s->n_nodes; a++)
		if (load[a] > 1 + 1e-6 && g->host_row[a] == NO_ROW) {
			add_host_row(g, a);
			added++;
		}
	return added;
}

static int rising(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* What crosses which link in the last solution. */
static void gather(struct global *g)
{
	size_t n = g->p->r->n_links;

	for (size_t i = 0; i < g->n_used; i++)
		g->slot[g->used[i]] = UINT32_MAX;
	g->n_used = 0;
	for (size_t col = g->first_path; col < g->lp.n_cols; col++) {
		const struct column *c = &g->pool->columns[g->column[col - g->first_path]];
		for (uint32_t j = 0; g->at.x[col] > PRESENT && j < c->n; j++) {
			uint32_t l = g->pool->links[c->first + j];
			if (g->slot[l] == UINT32_MAX)
				g->used[g->n_used++] = l;
			g->slot[l] = 0;
		}
	}
	qsort(g->used, g->n_used, sizeof(*g->used), rising);
	for (uint32_t i = 0; i < g->n_used; i++)
		g->slot[g->used[i]] = i;
	g->share = mem_grow(g->share, g->n_used * n + 1, sizeof(*g->share));
	memset(g->share, 0, g->n_used * n * sizeof(*g->share));
	for (size_t col = g->first_path; col < g->lp.n_cols; col++) {
		const struct column *c = &g->pool->columns[g->column[col - g->first_path]];
		for (uint32_t j = 0; g->at.x[col] > PRESENT && j < c->n; j++)
			g->share[g->slot[g->pool->links[c->first + j]] * n + c->link] += g->at.x[col];
	}
}

static bool has_row(const struct global *g, uint32_t at, uint32_t cover)
{
	for (int row = g->row_head[at]; row != NO_ROW; row = g->rows[row].next)
		if (g->rows[row].cover == cover)
			return true;
	return false;
}

static size_t add_capacities(struct global *g)
{
	size_t n = g->p->r->n_links, added = 0;

	for (size_t i = 0; i < g->n_used; i++) {
		uint32_t l = g->used[i];
		double sum = 0;
		for (uint32_t k = 0; k < n; k++)
			sum += g->share[i * n + k] * bandwidth(g, k);
		if (sum > (double)g->p->left->link_kbps[l] * (1 + 1e-6) && !has_row(g, l, NO_COVER)) {
			add_link_row(g, l, NO_COVER);
			added++;
		}
	}
	return added;
}

static size_t add_covers_of(struct global *g, uint32_t l, const struct crossing *crossings, size_t n)
{
	size_t added = 0;
	uint8_t *member;
	uint32_t most;

	for (uint32_t id = g->pool->cover_head[l]; id != NO_COVER; id = g->pool->covers[id].next) {
		const struct cover *c = &g->pool->covers[id];
		double sum = 0;
		for (size_t i = 0; i < n; i++)
			sum += c->member[crossings[i].link] ? crossings[i].share : 0;
		if (sum > c->most + 1e-3 && !has_row(g, l, id)) {
			add_link_row(g, l, id);
			added++;
		}
	}
	if (added > 0 || !cover_separate(g->pool, l, crossings, n, &most, &member))
		return added;
	uint32_t id = pool_cover_put(g->pool, l, most, member);
	if (id == NO_COVER)
		return 0;
	add_link_row(g, l, id);
	return 1;
}

static size_t add_covers(struct global *g)
{
	size_t n_links = g->p->r->n_links, added = 0;
	mem_auto struct crossing *crossings = mem_array(n_links + 1, sizeof(*crossings));

	for (size_t i = 0; i < g->n_used; i++) {
		const double *share = &g->share[i * n_links];
		size_t n = 0;
		for (uint32_t k = 0; k < n_links; k++)
			if ((g->pool->kind[k] == ROUTE_PATH || g->pool->kind[k] == ROUTE_PAIR) && share[k] > PRESENT)
				crossings[n++] = (struct crossing){ k, share[k] };
		if (n > 1)
			added += add_covers_of(g, g->used[i], crossings, n);
	}
	return added;
}

/* ---- rounds -------------------------------------------------------------------------------- */

static bool solve(struct global *g)
{
	struct lp_relax how = { .time_limit_s = search_seconds_left(g->pool->s), .memory_mib = MEMORY_MIB,
	                        .dual = g->dual, .faults = g->pool->faults };
	int64_t before = g->at.iterations;
	struct err err = { 0 };
	enum lp_status status = lp_relax(&g->lp, &how, &g->at, &err);

	g->dual = false;
	uint64_t arcs = (uint64_t)(g->at.iterations - before) * ((g->lp.n_rows + g->lp.n_cols) / 4 + 20) + g->lp.n_puts + 1000;
	return spend(g, arcs) && status == LP_OPTIMAL;
}

static void set_tariff(struct global *g)
{
	struct tariff *t = &g->tariff;

	t->links = mem_grow(t->links, g->n_rows + 1, sizeof(*t->links));
	t->covers = mem_grow(t->covers, g->n_rows + 1, sizeof(*t->covers));
	t->n_links = t->n_covers = 0;
	for (size_t i = 0; i < g->n_rows; i++) {
		const struct global_row *row = &g->rows[i];
		if (row->at == NO_LINK || (size_t)row->row >= g->at.n_rows)
			continue;
		double dual = -g->at.price[row->row] * g->unit;
		double width = row->cover != NO_COVER ? 1 : (double)g->p->left->link_kbps[row->at] / g->pool->scale;
		int64_t price = pool_price(g->pool, dual / width);
		if (price == 0)
			continue;
		if (row->cover == NO_COVER)
			t->links[t->n_links++] = (struct tariff_link){ row->at, price };
		else
			t->covers[t->n_covers++] = (struct tariff_cover){ row->cover, price };
	}
}

static void keep_best(struct global *g, double bound)
{
	if (bound <= g->best_bound)
		return;
	g->best_bound = bound;
	free(g->best.links);
	free(g->best.covers);
	g->best = g->tariff;
	g->best.links = mem_dup(g->tariff.links, (g->tariff.n_links + 1) * sizeof(*g->tariff.links));
	g->best.covers = mem_dup(g->tariff.covers, (g->tariff.n_covers + 1) * sizeof(*g->tariff.covers));
}

/* Each link takes its paths exactly n times, so that the program's value and n times the least reduced cost of each link
 * bound what it could still become. False: enough. */
static bool price_all(struct global *g, size_t *ret_added)
{
	double bound = g->at.value;

	*ret_added = 0;
	set_tariff(g);
	for (uint32_t k = 0; k < g->p->r->n_links; k++) {
		double least;
		if (g->pool->kind[k] == ROUTE_NOTHING)
			continue;
		*ret_added += price_link(g, k, &least);
		bound += least * times(g, k);
		if (!spend(g, g->p->s->n_links / COPIED))
			return false;
	}
	keep_best(g, bound);
	return true;
}

/* Where not even the program fits and its value does not say so yet, what a node costs that stands nowhere grows. */
static bool insist(struct global *g)
{
	bool used = false;

	for (uint32_t u = 0; u < g->p->r->n_nodes; u++)
		used = used || g->at.x[g->nowhere[u]] > 1e-6;
	if (!used || g->best_bound * g->unit > g->cutoff || g->insisted++ == INSIST)
		return false;
	g->big *= 10;
	for (uint32_t u = 0; u < g->p->r->n_nodes; u++)
		g->lp.cols[g->nowhere[u]].cost = g->big;
	return true;
}

static void run(struct global *g)
{
	double value = 0;
	int stall = 0;

	for (int round = 0; round < ROUNDS_MAX && stall < PATIENCE; round++) {
		if (!solve(g))
			return;
		gather(g);
		if (add_hosts(g) + add_capacities(g) > 0)
			continue;
		double before = g->best_bound;
		size_t added;
		if (!price_all(g, &added))
			return;
		stall = g->best_bound > before + 1e-6 * fabs(before) ? 0 : stall + 1;
		if (added > 0 && g->at.value - g->best_bound > GAP * fabs(g->at.value))
			continue;
		if (g->at.value < value + 1e-4 * fabs(value) && value > 0 && added == 0)
			stall += PATIENCE / 4;
		value = fmax(value, g->at.value);
		if (add_covers(g) == 0 && added == 0 && !insist(g))
			return;
	}
}

/* ---- the result ---------------------------------------------------------------------------- */

void routing_prices_done(struct routing_prices *prices)
{
	for (size_t i = 0; i < prices->n_owned; i++)
		free(prices->owned[i]);
	free(prices->owned);
	free(prices->weight);
	if (prices->tariff) {
		free(prices->tariff->links);
		free(prices->tariff->covers);
		free(prices->tariff);
	}
	memset(prices, 0, sizeof(*prices));
}

static bool covered(const struct global *g, uint32_t k)
{
	for (size_t i = 0; i < g->best.n_covers; i++)
		if (g->pool->covers[g->best.covers[i].cover].member[k])
			return true;
	return false;
}

/* Virtual links of no cover share one array. */
static void fill_prices(struct global *g, struct routing_prices *ret)
{
	const struct request *r = g->p->r;
	size_t m = g->p->s->n_links;
	int64_t *shared = NULL;

	ret->scale = g->pool->scale;
	ret->pool = g->pool;
	ret->serial = ++g->pool->serial;
	ret->expected = g->best_bound * g->unit;
	ret->constant = -pool_value(g->pool, -pool_charge(g->pool, &g->best));
	ret->weight = mem_array(r->n_links + 1, sizeof(*ret->weight));
	ret->owned = mem_array(r->n_links + 1, sizeof(*ret->owned));
	for (uint32_t k = 0; k < r->n_links; k++) {
		bool own = covered(g, k);
		if (g->pool->kind[k] == ROUTE_NOTHING)
			continue;
		if (!own && shared) {
			ret->weight[k] = shared;
			continue;
		}
		pool_weigh(g->pool, k, g->pool->base, &g->best);
		ret->weight[k] = ret->owned[ret->n_owned++] = mem_dup(g->pool->weight, (m + 1) * sizeof(*g->pool->weight));
		if (!own)
			shared = ret->weight[k];
	}
	/* Handed over: nothing of it is needed any more. */
	ret->tariff = mem_dup(&g->best, sizeof(g->best));
	g->best = (struct tariff){ 0 };
}

static void global_init(struct global *g, struct routing_pool *pool, const struct routing_domains *d, double cutoff,
                        int64_t effort)
{
	const struct problem *p = pool->p;
	const struct request *r = p->r;
	size_t n = p->s->n_nodes, m = p->s->n_links;

	*g = (struct global){ .pool = pool, .p = p, .best_bound = -INFINITY, .cutoff = cutoff };
	g->work_limit = effort > 0 ? (uint64_t)effort : UINT64_MAX;
	pool->call++;
	/* In this program costs are of the size of one virtual link's. */
	g->unit = fmax(1, p->bound / (double)(r->n_links + 1));
	g->big = isfinite(cutoff) && cutoff > 0 ? 2 * cutoff / g->unit : 100.0 * (double)(r->n_links + 1);
	g->host = mem_array(r->n_nodes + 1, sizeof(*g->host));
	g->n_hosts = mem_array(r->n_nodes + 1, sizeof(*g->n_hosts));
	g->place = mem_array(r->n_nodes + 1, sizeof(*g->place));
	g->x = mem_array(r->n_nodes + 1, sizeof(*g->x));
	g->nowhere = mem_array(r->n_nodes + 1, sizeof(*g->nowhere));
	for (int end = 0; end < 2; end++)
		g->tie[end] = mem_array(r->n_links + 1, sizeof(**g->tie));
	g->row_head = mem_array(m + 1, sizeof(*g->row_head));
	g->host_row = mem_array(n + 1, sizeof(*g->host_row));
	memset(g->row_head, 0xff, m * sizeof(*g->row_head));
	memset(g->host_row, 0xff, n * sizeof(*g->host_row));
	g->reach.space = &pool->space;
	g->used = mem_array(m + 1, sizeof(*g->used));
	g->slot = mem_array(m + 1, sizeof(*g->slot));
	memset(g->slot, 0xff, m * sizeof(*g->slot));
	for (uint32_t u = 0; u < r->n_nodes; u++)
		add_domain(g, d, u);
}

static void global_done(struct global *g)
{
	for (size_t u = 0; u < g->p->r->n_nodes; u++) {
		free(g->host[u]);
		free(g->place[u]);
	}
	free(g->host);
	free(g->n_hosts);
	free(g->place);
	free(g->x);
	free(g->nowhere);
	free(g->tie[0]);
	free(g->tie[1]);
	free(g->column);
	free(g->rows);
	free(g->row_head);
	free(g->host_row);
	free(g->tariff.links);
	free(g->tariff.covers);
	free(g->best.links);
	free(g->best.covers);
	reach_done(&g->reach);
	free(g->used);
	free(g->slot);
	free(g->share);
	lp_done(&g->lp);
	lp_point_done(&g->at);
}

static size_t rows_needed(const struct global *g)
{
	const struct request *r = g->p->r;
	size_t sum = r->n_nodes;

	for (size_t k = 0; k < r->n_links; k++)
		sum += g->n_hosts[r->links[k].a] + g->n_hosts[r->links[k].b];
	return sum;
}

bool routing_global_prices(struct routing_pool *pool, const struct routing_domains *domains, double cutoff, int64_t effort,
                           struct routing_prices *ret)
{
	const struct request *r = pool->p->r;
	struct global g;

	*ret = (struct routing_prices){ 0 };
	global_init(&g, pool, domains, cutoff, effort);
	if (rows_needed(&g) <= ROWS_MAX) {
		bool going = true;
		add_places(&g);
		for (uint32_t k = 0; k < r->n_links && going; k++)
			going = pool->kind[k] == ROUTE_NOTHING || add_nearest(&g, k);
		if (going)
			run(&g);
	}
	bool found = g.best.n_links + g.best.n_covers > 0;
	if (found)
		fill_prices(&g, ret);
	global_done(&g);
	return found;
}
