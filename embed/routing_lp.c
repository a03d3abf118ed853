/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See routing_lp.h. One round: solve; add the rows that the solution violates, or else the columns that its duals make
 * too dear not to have, or else cover cuts. Every round of pricing gives a bound (Lagrange); the best counts.
 *
 * Every link has an artificial column of a cost beyond reason, so that the program is never infeasible. Where it stays
 * in use, either the bound passes the cutoff, or the duals, taken with all weights at zero, prove that nothing fits
 * (Farkas), or the cost was not beyond reason yet and grows. */
#include "embed/routing_lp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MEMORY_MIB = 1024, ROUNDS_MAX = 2000, BIG_STEPS = 4, STALL_ROUNDS = 8,
       COPIED = 16 /* weights of links copied in the time of looking at an arc */ };
#define REDUCED 1e-7     /* a column must promise more than this */
#define OVERFULL 1e-7    /* a capacity, in parts of itself, or a cut must be violated by more */
#define PRESENT 1e-7     /* a column in use */
#define BIG_FIRST 8.0
#define BIG_FACTOR 50.0

/* ---- columns and rows ---------------------------------------------------------------------- */

static double multiplicity(const struct master *m, uint32_t k)
{
	return m->pool->kind[k] == ROUTE_TWICE ? 2 : 1;
}

static double bandwidth(const struct master *m, uint32_t k)
{
	return (double)m->pool->p->r->links[k].bw_kbps;
}

static bool column_shut(const struct master *m, const struct column *c, const struct master_link *link)
{
	const struct graph *g = &m->pool->p->graph;
	uint32_t at = link->from;

	for (uint32_t i = 0; link->shut && i < c->n; i++) {
		uint32_t l = m->pool->links[c->first + i], end = g->ends[l][0] == at ? 1 : 0;
		if (link->shut[l] & 1 << end)
			return true;
		at = g->ends[l][end];
	}
	return false;
}

/* What a whole unit of a column of virtual link k puts into a row. */
static double row_value(const struct master *m, const struct master_row *row, uint32_t k)
{
	if (row->cover != NO_COVER)
		return m->pool->covers[row->cover].member[k];
	return bandwidth(m, k) / (double)m->pool->p->left->link_kbps[row->at];
}

static void add_column(struct master *m, uint32_t i, uint32_t id)
{
	struct column *c = &m->pool->columns[id];
	const struct master_link *link = &m->links[i];
	double cost = (double)pool_column_dist(m->pool, id, link->base) / m->pool->scale * bandwidth(m, c->link);

	c->call = m->pool->call;
	int col = lp_add_col(&m->lp, 0, column_shut(m, c, link) ? 0 : LP_INF, cost / m->unit, false);
	if ((size_t)col >= m->cap_column) {
		m->cap_column = 2 * (size_t)col + 64;
		m->column = mem_grow(m->column, m->cap_column, sizeof(*m->column));
	}
	m->column[col] = id;
	lp_put(&m->lp, (int)i, col, 1);
	for (uint32_t j = 0; j < c->n; j++)
		for (uint32_t row = m->row_head[m->pool->links[c->first + j]]; row != NO_ROW; row = m->rows[row].next)
			lp_put(&m->lp, (int)row, col, row_value(m, &m->rows[row], c->link));
}

static void add_row(struct master *m, uint32_t at, uint32_t cover)
{
	int row = lp_add_row(&m->lp, -LP_INF, cover == NO_COVER ? 1 : m->pool->covers[cover].most);

	if ((size_t)row >= m->cap_rows) {
		m->cap_rows = 2 * (size_t)row + 64;
		m->rows = mem_grow(m->rows, m->cap_rows, sizeof(*m->rows));
	}
	m->rows[row] = (struct master_row){ at, cover, m->row_head[at] };
	m->row_head[at] = (uint32_t)row;
	for (size_t col = m->n; col < m->lp.n_cols; col++) {
		const struct column *c = &m->pool->columns[m->column[col]];
		for (uint32_t j = 0; j < c->n; j++)
			if (m->pool->links[c->first + j] == at)
				lp_put(&m->lp, row, (int)col, row_value(m, &m->rows[row], c->link));
	}
	m->dual = true;
}

static bool has_row(const struct master *m, uint32_t at, uint32_t cover)
{
	for (uint32_t row = m->row_head[at]; row != NO_ROW; row = m->rows[row].next)
		if (m->rows[row].cover == cover)
			return true;
	return false;
}

size_t master_column(const struct master *m, uint32_t lp_col)
{
	uint32_t k = m->pool->columns[m->column[lp_col]].link;
	size_t i = 0;

	while (m->links[i].link != k)
		i++;
	return i;
}

/* ---- layout -------------------------------------------------------------------------------- */

/* The cheapest column of a link between its hosts, by search, or as an earlier call has found it. */
static bool find_first(struct master *m, struct master_link *link, uint32_t serial)
{
	struct routing_pool *pool = m->pool;
	struct tariff none = { 0 };
	struct found found;
	int priced = link->base != pool->base;

	for (uint32_t id = pool_column_head(pool, link->link, link->from, link->to); id != NO_COLUMN; id = pool->columns[id].next)
		if (serial != 0 && pool->columns[id].serial[priced] == serial) {
			link->first = id;
			link->least = pool->columns[id].least[priced];
			return true;
		}
	pool_weigh(pool, link->link, link->base, &none);
	if (!pool_search(pool, link->link, link->from, link->to, NULL, &found))
		return false;
	link->first = pool_column_put(pool, link->link, link->from, link->to, &found, false);
	link->least = found.dist;
	pool->columns[link->first].serial[priced] = serial;
	pool->columns[link->first].least[priced] = found.dist;
	return true;
}

static bool add_link(struct master *m, const struct routing_ask *ask, uint32_t k)
{
	const struct vlink *v = &m->pool->p->r->links[k];
	struct master_link *link = &m->links[m->n];

	*link = (struct master_link){ .link = k, .from = ask->host[v->a], .to = ask->host[v->b], .base = m->pool->base };
	if (ask->prices)
		link->base = ask->prices->weight[k];
	if (!find_first(m, link, ask->prices ? ask->prices->serial : 1))
		return false;
	m->n++;
	return true;
}

double master_least(const struct master *m)
{
	__int128 sum = 0;

	for (size_t i = 0; i < m->n; i++)
		sum += (__int128)m->links[i].least * m->pool->p->r->links[m->links[i].link].bw_kbps *
		       (int)multiplicity(m, m->links[i].link);
	return pool_value(m->pool, sum);
}

void master_done(struct master *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->links[i].shut);
	free(m->links);
	lp_done(&m->lp);
	lp_point_done(&m->at);
	free(m->column);
	free(m->rows);
	free(m->row_head);
	free(m->best.links);
	free(m->best.covers);
	free(m->tariff.links);
	free(m->tariff.covers);
	free(m->charged);
	free(m->uses);
	free(m->use_head);
	free(m->used);
}

void master_shut(struct master *m, size_t i, uint32_t v, const uint32_t *arcs, size_t n, bool add)
{
	const struct graph *g = &m->pool->p->graph;
	struct master_link *link = &m->links[i];

	if (!link->shut)
		link->shut = mem_array(m->pool->p->s->n_links + 1, 1);
	for (size_t j = 0; j < n; j++) {
		uint8_t bit = (uint8_t)(1 << (g->ends[arcs[j]][0] == v ? 1 : 0));
		link->shut[arcs[j]] = (uint8_t)(add ? link->shut[arcs[j]] | bit : link->shut[arcs[j]] & ~bit);
	}
	for (size_t col = m->n; col < m->lp.n_cols; col++) {
		const struct column *c = &m->pool->columns[m->column[col]];
		if (c->link == link->link)
			m->lp.cols[col].upper = column_shut(m, c, link) ? 0 : LP_INF;
	}
	m->dual = true;
}

/* ---- prices -------------------------------------------------------------------------------- */

/* From the duals, times `factor`. */
static void set_tariff(struct master *m, double factor)
{
	struct tariff *t = &m->tariff;

	for (size_t i = 0; i < t->n_links; i++)
		m->charged[t->links[i].at] = 0;
	for (size_t i = 0; i < t->n_covers; i++)
		m->charged[m->pool->covers[t->covers[i].cover].at] = 0;
	t->links = mem_grow(t->links, m->lp.n_rows + 1, sizeof(*t->links));
	t->covers = mem_grow(t->covers, m->lp.n_rows + 1, sizeof(*t->covers));
	t->n_links = t->n_covers = 0;
	for (size_t i = m->n; i < m->lp.n_rows; i++) {
		const struct master_row *row = &m->rows[i];
		double dual = -m->at.price[i] * m->unit * factor;
		int64_t price = row->cover == NO_COVER
		                        ? pool_price(m->pool, dual * m->pool->scale / (double)m->pool->p->left->link_kbps[row->at])
		                        : pool_price(m->pool, dual);
		if (price == 0)
			continue;
		m->charged[row->at] = 1;
		if (row->cover == NO_COVER)
			t->links[t->n_links++] = (struct tariff_link){ row->at, price };
		else
			t->covers[t->n_covers++] = (struct tariff_cover){ row->cover, price };
	}
}

/* For a proof. */
static void keep_tariff(struct master *m, bool ray)
{
	const struct tariff *t = &m->tariff;

	m->ray = ray;
	m->best.links = mem_grow(m->best.links, t->n_links + 1, sizeof(*t->links));
	m->best.covers = mem_grow(m->best.covers, t->n_covers + 1, sizeof(*t->covers));
	memcpy(m->best.links, t->links, t->n_links * sizeof(*t->links));
	memcpy(m->best.covers, t->covers, t->n_covers * sizeof(*t->covers));
	m->best.n_links = t->n_links;
	m->best.n_covers = t->n_covers;
}

/* The cheapest column of links[i] at base costs no more where nothing of it is charged for, and is it still. */
static bool still_cheapest(const struct master *m, const struct master_link *link)
{
	const struct column *c = &m->pool->columns[link->first];

	for (uint32_t j = 0; j < c->n; j++)
		if (m->charged[m->pool->links[c->first + j]])
			return false;
	return !column_shut(m, c, link);
}

/* Counts what searches have looked at since the last time, and `more`. False: enough. */
static bool spend(struct master *m, uint64_t more)
{
	m->work += more + m->pool->space.work - m->pool->space_work;
	return pool_spend(m->pool, more) && m->work < m->work_limit;
}

/* Prices all links, adds the columns that are missing, and raises *bound unless the search is stopped. False: some link has no
 * path left. */
static bool price(struct master *m, __int128 *bound, size_t *ret_added)
{
	struct routing_pool *pool = m->pool;
	__int128 sum = -pool_charge(pool, &m->tariff);

	*ret_added = 0;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct master_link *link = &m->links[i];
		int64_t amount = pool->p->r->links[link->link].bw_kbps;
		struct found found = { .dist = link->least };
		if (!still_cheapest(m, link)) {
			pool_weigh(pool, link->link, link->base, &m->tariff);
			if (!pool_search(pool, link->link, link->from, link->to, link->shut, &found))
				return false;
			double value = (double)found.dist / pool->scale * (double)amount / m->unit;
			if (value < m->at.price[i] - REDUCED) {
				uint32_t id = pool_column_put(pool, link->link, link->from, link->to, &found, false);
				if (pool->columns[id].call != pool->call) {
					add_column(m, i, id);
					++*ret_added;
				}
			}
			spend(m, pool->p->s->n_links / COPIED);
			if (pool->s->stopped)
				return true;
		}
		sum += (__int128)found.dist * amount * (int)multiplicity(m, link->link);
	}
	if (sum > *bound && pool->s->proof)
		keep_tariff(m, false);
	*bound = sum > *bound ? sum : *bound;
	return true;
}

/* Whether the prices, were all links free but for them, prove that nothing fits. */
static bool nothing_fits(struct master *m)
{
	struct routing_pool *pool = m->pool;
	double most = 0;

	/* Without weights their scale is free: as fine as may be, and nothing cut down. */
	for (size_t i = m->n; i < m->lp.n_rows; i++) {
		double width = m->rows[i].cover == NO_COVER ? (double)pool->p->left->link_kbps[m->rows[i].at] : 1;
		most = fmax(most, -m->at.price[i] / width);
	}
	set_tariff(m, 0x1p40 / (most * m->unit * pool->scale));
	__int128 sum = -pool_charge(pool, &m->tariff);

	for (uint32_t i = 0; i < m->n; i++) {
		const struct master_link *link = &m->links[i];
		struct found found;
		if (still_cheapest(m, link)) /* and free */
			continue;
		pool_weigh(pool, link->link, NULL, &m->tariff);
		if (!pool_search(pool, link->link, link->from, link->to, link->shut, &found))
			return true;
		sum += (__int128)found.dist * pool->p->r->links[link->link].bw_kbps * (int)multiplicity(m, link->link);
	}
	return sum > 0;
}

/* ---- rows that are violated ---------------------------------------------------------------- */

static void gather_uses(struct master *m)
{
	for (size_t j = 0; j < m->n_used; j++)
		m->use_head[m->used[j]] = UINT32_MAX;
	m->n_used = m->n_uses = 0;
	for (uint32_t col = (uint32_t)m->n; col < m->lp.n_cols; col++) {
		const struct column *c = &m->pool->columns[m->column[col]];
		if (m->at.x[col] < PRESENT)
			continue;
		uint32_t i = (uint32_t)master_column(m, col);
		if (m->n_uses + c->n > m->cap_uses) {
			m->cap_uses = 2 * m->cap_uses + c->n + 256;
			m->uses = mem_grow(m->uses, m->cap_uses, sizeof(*m->uses));
		}
		for (uint32_t j = 0; j < c->n; j++) {
			uint32_t l = m->pool->links[c->first + j], u = m->use_head[l];
			if (u == UINT32_MAX)
				m->used[m->n_used++] = l;
			while (u != UINT32_MAX && m->uses[u].i != i)
				u = m->uses[u].next;
			if (u == UINT32_MAX) {
				u = (uint32_t)m->n_uses++;
				m->uses[u] = (struct use){ i, m->use_head[l], 0 };
				m->use_head[l] = u;
			}
			m->uses[u].share += m->at.x[col];
		}
	}
}

static size_t add_capacities(struct master *m)
{
	size_t added = 0;

	for (size_t j = 0; j < m->n_used; j++) {
		uint32_t l = m->used[j];
		double sum = 0;
		for (uint32_t u = m->use_head[l]; u != UINT32_MAX; u = m->uses[u].next)
			sum += m->uses[u].share * bandwidth(m, m->links[m->uses[u].i].link);
		if (sum <= (double)m->pool->p->left->link_kbps[l] * (1 + OVERFULL) || has_row(m, l, NO_COVER))
			continue;
		add_row(m, l, NO_COVER);
		added++;
	}
	return added;
}

static size_t crossings_of(const struct master *m, uint32_t l, struct crossing *ret)
{
	size_t n = 0;

	for (uint32_t u = m->use_head[l]; u != UINT32_MAX; u = m->uses[u].next) {
		uint32_t k = m->links[m->uses[u].i].link;
		if (m->pool->kind[k] == ROUTE_PATH || m->pool->kind[k] == ROUTE_PAIR)
			ret[n++] = (struct crossing){ k, m->uses[u].share };
	}
	return n;
}

/* Known covers of a link that are violated; else a new one. */
static size_t add_covers_of(struct master *m, uint32_t l, const struct crossing *crossings, size_t n)
{
	size_t added = 0;
	uint8_t *member;
	uint32_t most;

	for (uint32_t id = m->pool->cover_head[l]; id != NO_COVER; id = m->pool->covers[id].next) {
		const struct cover *c = &m->pool->covers[id];
		double sum = 0;
		for (size_t i = 0; i < n; i++)
			sum += c->member[crossings[i].link] ? crossings[i].share : 0;
		if (sum > c->most + 1e-4 && !has_row(m, l, id)) {
			add_row(m, l, id);
			added++;
		}
	}
	if (added > 0 || !cover_separate(m->pool, l, crossings, n, &most, &member))
		return added;
	uint32_t id = pool_cover_put(m->pool, l, most, member);
	if (id == NO_COVER)
		return 0;
	add_row(m, l, id);
	return 1;
}

static size_t add_covers(struct master *m)
{
	mem_auto struct crossing *crossings = mem_array(m->n + 1, sizeof(*crossings));
	size_t added = 0;

	for (size_t j = 0; j < m->n_used; j++) {
		size_t n = crossings_of(m, m->used[j], crossings);
		if (n > 1)
			added += add_covers_of(m, m->used[j], crossings, n);
	}
	return added;
}

bool master_init(struct master *m, struct routing_pool *pool, const struct routing_ask *ask, bool *ret_lost)
{
	const struct problem *p = pool->p;
	double most = 1;

	*ret_lost = false;
	*m = (struct master){ .pool = pool, .work_limit = ask->effort > 0 ? (uint64_t)ask->effort : UINT64_MAX };
	pool->call++;
	m->links = mem_array(ask->n + 1, sizeof(*m->links));
	m->row_head = mem_array(p->s->n_links + 1, sizeof(*m->row_head));
	m->use_head = mem_array(p->s->n_links + 1, sizeof(*m->use_head));
	m->used = mem_array(p->s->n_links + 1, sizeof(*m->used));
	m->charged = mem_array(p->s->n_links + 1, sizeof(*m->charged));
	memset(m->row_head, 0xff, p->s->n_links * sizeof(*m->row_head));
	memset(m->use_head, 0xff, p->s->n_links * sizeof(*m->use_head));
	for (size_t i = 0; i < ask->n; i++) {
		uint32_t k = ask->links[i];
		const struct vlink *v = &p->r->links[k];
		if (pool->kind[k] == ROUTE_NOTHING || ask->host[v->a] == ask->host[v->b])
			continue;
		if (!add_link(m, ask, k))
			return false;
		double cost = (double)m->links[m->n - 1].least / pool->scale * bandwidth(m, k);
		most = cost > most ? cost : most;
	}
	m->unit = most;
	m->big = BIG_FIRST;
	for (size_t i = 0; i < m->n; i++) {
		double amount = multiplicity(m, m->links[i].link);
		lp_add_row(&m->lp, amount, amount);
		lp_put(&m->lp, (int)i, lp_add_col(&m->lp, 0, LP_INF, m->big, false), 1);
	}
	mem_auto int *first = mem_array(m->n + 1, sizeof(*first));
	for (uint32_t i = 0; i < m->n; i++) {
		const struct master_link *link = &m->links[i];
		first[i] = (int)m->lp.n_cols;
		add_column(m, i, link->first);
		for (uint32_t id = pool_column_head(pool, link->link, link->from, link->to); id != NO_COLUMN; id = pool->columns[id].next)
			if (!pool->columns[id].rough && pool->columns[id].call != pool->call)
				add_column(m, i, id);
	}
	/* The first solution is known: the cheapest columns. So are the rows that it violates. */
	lp_point_begin(&m->at, &m->lp, first, m->n);
	for (size_t i = 0; i < m->n; i++)
		m->at.x[first[i]] = multiplicity(m, m->links[i].link);
	gather_uses(m);
	add_capacities(m);
	add_covers(m);
	*ret_lost = !pool_spend(pool, 100);
	return !*ret_lost;
}

/* ---- solving ------------------------------------------------------------------------------- */

static bool solve_lp(struct master *m)
{
	struct lp_relax how = { .time_limit_s = search_seconds_left(m->pool->s), .memory_mib = MEMORY_MIB,
	                        .dual = m->dual, .faults = m->pool->faults };
	int64_t before = m->at.iterations;
	enum lp_status status = lp_relax(&m->lp, &how, &m->at, &m->fault);

	m->dual = false;
	uint64_t arcs = (uint64_t)(m->at.iterations - before) * ((m->lp.n_rows + m->lp.n_cols) / 4 + 20) + m->lp.n_puts / 2 + 500;
	return spend(m, arcs) && status == LP_OPTIMAL;
}

static bool artificial(const struct master *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->at.x[i] > PRESENT)
			return true;
	return false;
}

static void grow_big(struct master *m)
{
	m->big *= BIG_FACTOR;
	for (size_t i = 0; i < m->n; i++)
		m->lp.cols[i].cost = m->big;
}

enum master_verdict master_solve(struct master *m, double cutoff, bool whole, double *ret_bound)
{
	__int128 bound = 0;
	double stalled = -INFINITY;
	int bigger = 0, stall = 0;

	*ret_bound = 0;
	m->best.n_links = m->best.n_covers = 0;
	m->ray = false;
	for (int round = 0; round < ROUNDS_MAX; round++) {
		size_t columns;
		if (!solve_lp(m))
			return MASTER_LOST;
		gather_uses(m);
		if (add_capacities(m) > 0) {
			add_covers(m);
			continue;
		}
		set_tariff(m, 1);
		if (!price(m, &bound, &columns)) {
			*ret_bound = INFINITY;
			return MASTER_CUT;
		}
		if (m->pool->s->stopped)
			return MASTER_LOST;
		*ret_bound = whole ? pool_round_up(m->pool, pool_value(m->pool, bound)) : pool_value(m->pool, bound);
		if (*ret_bound > cutoff)
			return MASTER_CUT;
		if (columns > 0)
			continue;
		if (artificial(m)) {
			if (nothing_fits(m)) {
				if (m->pool->s->proof)
					keep_tariff(m, true);
				*ret_bound = INFINITY;
				return MASTER_CUT;
			}
			if (bigger++ == BIG_STEPS)
				return MASTER_LOST;
			grow_big(m);
			continue;
		}
		stall = m->at.value > stalled + 1e-6 * (1 + fabs(stalled)) ? 0 : stall + 1;
		stalled = m->at.value > stalled ? m->at.value : stalled;
		if (stall > STALL_ROUNDS || add_covers(m) == 0)
			return MASTER_SOLVED;
	}
	return MASTER_LOST;
}
