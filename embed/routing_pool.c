/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See routing_pool.h. Weights with prices are integers no larger than lets a path's sum stay an int64_t; where a
 * price would be larger it is cut down, which only weakens a bound. */
#include "embed/routing_pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/pairs.h"

#define SCALE_MAX 0x1p20
#define SCALED_MAX 0x1p32 /* of weights without prices, unless they are larger as they are */

/* ---- the pool ------------------------------------------------------------------------------ */

static uint8_t kind_of(const struct vlink *link)
{
	if (vlink_best_effort(link))
		return ROUTE_NOTHING;
	if (link->protect)
		return link->max_delay_us >= 0 ? ROUTE_TWICE : ROUTE_PAIR;
	return link->split ? ROUTE_SPLIT : ROUTE_PATH;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
	while (a != 0) {
		int64_t rest = b % a;
		b = a;
		a = rest;
	}
	return b;
}

/* The products of bandwidths and weights have the product of their divisors as theirs. */
static double common_unit(const struct problem *p)
{
	int64_t bandwidth = 0, weight = 0;

	for (size_t k = 0; k < p->r->n_links; k++)
		bandwidth = common_divisor(p->r->links[k].split ? p->r->links[k].bw_kbps > 0 : p->r->links[k].bw_kbps, bandwidth);
	for (size_t l = 0; l < p->s->n_links && weight != 1; l++)
		weight = common_divisor(p->link_weight[l], weight);
	double unit = (double)bandwidth * (double)weight;
	return unit >= 1 && unit < 0x1p53 ? unit : 1;
}

static void pool_scale(struct routing_pool *pool)
{
	const struct problem *p = pool->p;
	int64_t most = 1;

	for (size_t l = 0; l < p->s->n_links; l++)
		most = p->link_weight[l] > most ? p->link_weight[l] : most;
	for (pool->scale = 1; pool->scale < SCALE_MAX && (double)most * pool->scale * 2 < SCALED_MAX; pool->scale *= 2)
		;
	pool->price_max = (INT64_C(1) << 61) / (int64_t)(p->s->n_nodes + 1);
	pool->base = mem_array(p->s->n_links + 1, sizeof(*pool->base));
	for (size_t l = 0; l < p->s->n_links; l++)
		pool->base[l] = p->link_weight[l] * (int64_t)pool->scale;
}

struct routing_pool *routing_new(struct search *s)
{
	struct routing_pool *pool = mem_alloc(sizeof(*pool));
	const struct problem *p = &s->problem;
	size_t n = p->s->n_nodes, m = p->s->n_links;

	*pool = (struct routing_pool){ .s = s, .p = p };
	pool->kind = mem_array(p->r->n_links + 1, sizeof(*pool->kind));
	for (size_t k = 0; k < p->r->n_links; k++)
		pool->kind[k] = kind_of(&p->r->links[k]);
	pool->unit = common_unit(p);
	pool_scale(pool);
	pool->heads = hash_new();
	pool->cover_head = mem_array(m + 1, sizeof(*pool->cover_head));
	memset(pool->cover_head, 0xff, m * sizeof(*pool->cover_head));
	path_space_init(&pool->space, &p->graph);
	pool->weight = mem_array(m + 1, sizeof(*pool->weight));
	pool->changed = mem_array(m + 1, sizeof(*pool->changed));
	pool->n_changed = SIZE_MAX;
	pool->flow = mem_array(m + 1, sizeof(*pool->flow));
	pool->room = mem_array(m + 1, sizeof(*pool->room));
	pool->trace = mem_array(2 * (n + 1), sizeof(*pool->trace));
	return pool;
}

void routing_free(struct routing_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->n_covers; i++)
		free(pool->covers[i].member);
	free(pool->covers);
	free(pool->cover_head);
	free(pool->columns);
	free(pool->links);
	hash_free(pool->heads, NULL);
	path_space_done(&pool->space);
	free(pool->kind);
	free(pool->base);
	free(pool->weight);
	free(pool->changed);
	free(pool->flow);
	free(pool->room);
	free(pool->trace);
	free(pool);
}

double routing_scale(const struct routing_pool *pool)
{
	return pool->scale;
}

void routing_inject(struct routing_pool *pool, const struct lp_faults *faults)
{
	pool->faults = faults;
}

void routing_know(struct routing_pool *pool, const struct pairs *plain, const struct pairs *priced)
{
	pool->near[0] = plain;
	pool->near[1] = priced;
	pool->ahead = NULL;
}

bool pool_spend(struct routing_pool *pool, uint64_t arcs)
{
	arcs += pool->space.work - pool->space_work;
	pool->space_work = pool->space.work;
	return search_spend(pool->s, arcs);
}

/* ---- columns and covers -------------------------------------------------------------------- */

static uint64_t column_key(const struct routing_pool *pool, uint32_t link, uint32_t from, uint32_t to)
{
	return ((uint64_t)link * pool->p->s->n_nodes + from) * pool->p->s->n_nodes + to;
}

uint32_t pool_column_head(const struct routing_pool *pool, uint32_t link, uint32_t from, uint32_t to)
{
	uintptr_t head = (uintptr_t)hash_get_u64(pool->heads, column_key(pool, link, from, to));

	return head == 0 ? NO_COLUMN : (uint32_t)(head - 1);
}

uint32_t pool_column_put(struct routing_pool *pool, uint32_t link, uint32_t from, uint32_t to, const struct found *found,
                         bool rough)
{
	uint32_t head = pool_column_head(pool, link, from, to), last = NO_COLUMN;

	for (uint32_t i = head; i != NO_COLUMN; i = pool->columns[i].next) {
		struct column *c = &pool->columns[i];
		if (c->n == found->n && c->primary == found->primary &&
		    memcmp(pool->links + c->first, pool->trace, found->n * sizeof(*pool->trace)) == 0) {
			c->rough = c->rough && rough;
			return i;
		}
		last = i;
	}
	if (pool->n_columns == pool->cap_columns) {
		pool->cap_columns = pool->cap_columns ? 2 * pool->cap_columns : 256;
		pool->columns = mem_grow(pool->columns, pool->cap_columns, sizeof(*pool->columns));
	}
	if (pool->n_links + found->n > pool->cap_links) {
		pool->cap_links = 2 * pool->cap_links + found->n + 1024;
		pool->links = mem_grow(pool->links, pool->cap_links, sizeof(*pool->links));
	}
	uint32_t id = (uint32_t)pool->n_columns++;
	pool->columns[id] = (struct column){ .link = link, .first = (uint32_t)pool->n_links, .n = (uint32_t)found->n,
	                                     .primary = (uint32_t)found->primary, .next = NO_COLUMN, .rough = rough };
	if (found->n > 0)
		memcpy(pool->links + pool->n_links, pool->trace, found->n * sizeof(*pool->trace));
	pool->n_links += found->n;
	if (last == NO_COLUMN)
		hash_put_u64(pool->heads, column_key(pool, link, from, to), (void *)((uintptr_t)id + 1));
	else
		pool->columns[last].next = id;
	return id;
}

int64_t pool_column_dist(const struct routing_pool *pool, uint32_t column, const int64_t *weight)
{
	const struct column *c = &pool->columns[column];
	int64_t sum = 0;

	for (uint32_t i = 0; i < c->n; i++)
		sum += weight[pool->links[c->first + i]];
	return sum;
}

uint32_t pool_cover_put(struct routing_pool *pool, uint32_t at, uint32_t most, uint8_t *member)
{
	for (uint32_t i = pool->cover_head[at]; i != NO_COVER; i = pool->covers[i].next)
		if (pool->covers[i].most == most && memcmp(pool->covers[i].member, member, pool->p->r->n_links) == 0) {
			free(member);
			return NO_COVER;
		}
	if (pool->n_covers == pool->cap_covers) {
		pool->cap_covers = pool->cap_covers ? 2 * pool->cap_covers : 64;
		pool->covers = mem_grow(pool->covers, pool->cap_covers, sizeof(*pool->covers));
	}
	uint32_t id = (uint32_t)pool->n_covers++;
	pool->covers[id] = (struct cover){ at, most, member, pool->cover_head[at] };
	pool->cover_head[at] = id;
	return id;
}

/* ---- prices -------------------------------------------------------------------------------- */

int64_t pool_price(const struct routing_pool *pool, double value)
{
	if (!(value > 0))
		return 0;
	return value < (double)pool->price_max ? (int64_t)value : pool->price_max;
}

static void weight_add(struct routing_pool *pool, uint32_t at, int64_t price)
{
	int64_t sum = pool->weight[at] + price;

	if (pool->n_changed < pool->p->s->n_links)
		pool->changed[pool->n_changed++] = at;
	else
		pool->n_changed = SIZE_MAX;
	pool->weight[at] = sum < pool->price_max ? sum : pool->price_max;
}

/* Of the base only what has changed is copied again. */
static void copy_weights(struct routing_pool *pool, const int64_t *from)
{
	size_t bytes = pool->p->s->n_links * sizeof(*pool->weight);

	if (from == pool->base && pool->n_changed != SIZE_MAX)
		for (size_t i = 0; i < pool->n_changed; i++)
			pool->weight[pool->changed[i]] = from[pool->changed[i]];
	else if (from)
		memcpy(pool->weight, from, bytes);
	else
		memset(pool->weight, 0, bytes);
	pool->n_changed = from == pool->base ? 0 : SIZE_MAX;
}

void pool_weigh(struct routing_pool *pool, uint32_t k, const int64_t *from, const struct tariff *tariff)
{
	__int128 bandwidth = pool->p->r->links[k].bw_kbps;

	copy_weights(pool, from);
	pool->ahead = NULL;
	for (int i = 0; i < 2 && from; i++)
		if (pool->near[i] && (i == 0 || pool->near[i]->classes[pool->near[i]->link_class[k]].weight == from))
			pool->ahead = pool->near[i];
	for (size_t i = 0; i < tariff->n_links; i++)
		weight_add(pool, tariff->links[i].at, tariff->links[i].price);
	for (size_t i = 0; i < tariff->n_covers; i++) {
		const struct cover *c = &pool->covers[tariff->covers[i].cover];
		if (!c->member[k])
			continue;
		__int128 price = (__int128)tariff->covers[i].price * (int64_t)pool->scale / bandwidth;
		weight_add(pool, c->at, price < pool->price_max ? (int64_t)price : pool->price_max);
	}
}

__int128 pool_charge(const struct routing_pool *pool, const struct tariff *tariff)
{
	__int128 sum = 0;

	for (size_t i = 0; i < tariff->n_links; i++)
		sum += (__int128)tariff->links[i].price * pool->p->left->link_kbps[tariff->links[i].at];
	for (size_t i = 0; i < tariff->n_covers; i++)
		sum += (__int128)tariff->covers[i].price * (int64_t)pool->scale * pool->covers[tariff->covers[i].cover].most;
	return sum;
}

double pool_value(const struct routing_pool *pool, __int128 value)
{
	double d = (double)value / pool->scale; /* by a power of two: only the conversion rounds */

	return fabs(d) < 0x1p52 / pool->scale ? d : d - fabs(d) * 0x1p-51;
}

double pool_round_up(const struct routing_pool *pool, double value)
{
	double up = ceil(value / pool->unit) * pool->unit;

	return isfinite(value) && fabs(up) < 0x1p53 && fabs(value / pool->unit) < 0x1p40 ? up : value;
}

/* ---- the cheapest column ------------------------------------------------------------------- */

static bool search_pair(struct routing_pool *pool, uint32_t k, uint32_t from, uint32_t to, struct found *ret)
{
	const struct problem *p = pool->p;
	size_t n = p->s->n_nodes;
	struct flow_path paths[2] = { { .links = pool->trace }, { .links = pool->trace + n + 1 } };

	for (size_t l = 0; l < p->s->n_links; l++)
		pool->room[l] = p->left->link_kbps[l] >= p->r->links[k].bw_kbps;
	if (!flow_send(&pool->space, pool->weight, pool->room, from, to, 2, pool->flow))
		return false;
	ret->dist = 0;
	for (size_t l = 0; l < p->s->n_links; l++)
		ret->dist += pool->flow[l] != 0 ? pool->weight[l] : 0;
	if (flow_split(&pool->space, from, to, pool->flow, paths, 2) != 2)
		return false;
	memmove(pool->trace + paths[0].n, paths[1].links, paths[1].n * sizeof(*pool->trace));
	ret->primary = paths[0].n;
	ret->n = paths[0].n + paths[1].n;
	return true;
}

bool pool_search_path(struct routing_pool *pool, uint32_t k, uint32_t from, uint32_t to, const uint8_t *shut, struct found *ret)
{
	const struct problem *p = pool->p;
	const struct vlink *link = &p->r->links[k];
	struct path_query q = { .weight = pool->weight, .tie = p->link_tie, .cap = p->left->link_kbps, .shut = shut,
	                        .need = pool->kind[k] == ROUTE_SPLIT ? 1 : link->bw_kbps,
	                        .delay = p->link_delay, .max_delay = link->max_delay_us };

	q.ahead = pool->ahead ? pairs_row(pool->ahead, k, to) : NULL;
	if (pool->ahead && !q.ahead) {
		q.ahead = pairs_row(pool->ahead, k, from);
		q.backwards = q.ahead != NULL;
	}
	q.ahead_scale = pool->ahead == pool->near[0] ? (int64_t)pool->scale : 1;
	uint32_t end = q.backwards ? from : to;
	if (!path_search(&pool->space, &q, q.backwards ? to : from, end))
		return false;
	ret->dist = path_dist(&pool->space, end);
	ret->n = ret->primary = path_trace(&pool->space, end, pool->trace);
	for (size_t i = 0; q.backwards && i < ret->n / 2; i++) {
		uint32_t swap = pool->trace[i];
		pool->trace[i] = pool->trace[ret->n - 1 - i];
		pool->trace[ret->n - 1 - i] = swap;
	}
	return true;
}

bool pool_search(struct routing_pool *pool, uint32_t k, uint32_t from, uint32_t to, const uint8_t *shut, struct found *ret)
{
	if (pool->kind[k] == ROUTE_PAIR)
		return search_pair(pool, k, from, to, ret);
	return pool_search_path(pool, k, from, to, shut, ret);
}
