/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See dual.h. */
#include "embed/dual.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/assign.h"
#include "embed/layout.h"

static bool none(int64_t cost)
{
	return cost >= DUAL_INF / 2;
}

/* ---- shape --------------------------------------------------------------------------------- */

void dual_shape_init(struct dual_shape *shape, const struct problem *p, double unit)
{
	const struct request *r = p->r;

	*shape = (struct dual_shape){ .p = p, .unit = unit, .distinct = r->placement == PLACEMENT_DISTINCT };
	shape->edges = mem_array(r->n_links + 1, sizeof(*shape->edges));
	shape->link_edge = mem_array(r->n_links + 1, sizeof(*shape->link_edge));
	shape->first = mem_array(r->n_nodes + 2, sizeof(*shape->first));
	shape->around = mem_array(2 * r->n_links + 1, sizeof(*shape->around));
	struct hash *known = hash_new();
	for (size_t k = 0; k < r->n_links; k++) {
		uint32_t a = r->links[k].a < r->links[k].b ? r->links[k].a : r->links[k].b;
		uint32_t b = r->links[k].a < r->links[k].b ? r->links[k].b : r->links[k].a;
		uint64_t key = (uint64_t)a << 32 | b;
		uintptr_t edge = (uintptr_t)hash_get_u64(known, key); /* + 1 */
		if (edge == 0) {
			shape->edges[shape->n_edges++] = (struct dual_edge){ { a, b } };
			edge = shape->n_edges;
			hash_put_u64(known, key, (void *)edge);
		}
		shape->link_edge[k] = (uint32_t)edge - 1;
	}
	hash_free(known, NULL);
	for (size_t e = 0; e < shape->n_edges; e++)
		for (int end = 0; end < 2; end++)
			shape->first[shape->edges[e].end[end] + 2]++;
	for (size_t u = 2; u <= r->n_nodes + 1; u++)
		shape->first[u] += shape->first[u - 1];
	for (uint32_t e = 0; e < shape->n_edges; e++)
		for (int end = 0; end < 2; end++)
			shape->around[shape->first[shape->edges[e].end[end] + 1]++] = e;
	path_space_init(&shape->space, &p->graph);
}

void dual_shape_done(struct dual_shape *shape)
{
	free(shape->edges);
	free(shape->link_edge);
	free(shape->first);
	free(shape->around);
	path_space_done(&shape->space);
}

size_t dual_entries(const struct dual_shape *shape)
{
	size_t sum = 0;

	for (size_t e = 0; e < shape->n_edges; e++)
		sum += shape->p->cand[shape->edges[e].end[0]].n * shape->p->cand[shape->edges[e].end[1]].n;
	return sum;
}

/* ---- costs --------------------------------------------------------------------------------- */

/* From a to everywhere, for virtual link k; then reached() and costs are asked of the space. */
static void link_search(struct dual_shape *shape, uint32_t k, uint32_t a, uint32_t to)
{
	const struct problem *p = shape->p;
	const struct vlink *link = &p->r->links[k];
	struct path_query q = { .weight = p->link_weight, .cap = p->left->link_kbps, .need = link->split ? 1 : link->bw_kbps,
	                        .delay = p->link_delay, .max_delay = link->max_delay_us };

	if (vlink_best_effort(link))
		q = (struct path_query){ .tie = p->link_delay, .max_delay = -1 };
	path_search(&shape->space, &q, a, to);
}

static double link_cost(const struct dual_shape *shape, uint32_t k, uint32_t a, uint32_t b)
{
	const struct vlink *link = &shape->p->r->links[k];
	int64_t dist = path_dist(&shape->space, b);

	if (a == b)
		return 0;
	if (dist == DIST_NONE)
		return INFINITY;
	if (vlink_best_effort(link))
		return link->max_delay_us >= 0 && path_tie(&shape->space, b) > link->max_delay_us ? INFINITY : 0;
	return (double)dist * (double)link->bw_kbps * (link->protect ? 2 : 1);
}

double dual_link_cost(struct dual_shape *shape, uint32_t k, uint32_t a, uint32_t b)
{
	link_search(shape, k, a, b);
	return link_cost(shape, k, a, b);
}

static int64_t scaled(const struct dual_shape *shape, double cost)
{
	double value = floor(cost / shape->unit * DUAL_SCALE + 1e-9);

	return value < (double)(DUAL_INF / 64) ? (int64_t)value : DUAL_INF;
}

static bool can_share(const struct problem *p, uint32_t u, uint32_t v, uint32_t a)
{
	for (int res = 0; res < RES_COUNT; res++)
		if (p->left->node[a][res] != UNLIMITED &&
		    p->left->node[a][res] - p->r->nodes[u].demand[res] < p->r->nodes[v].demand[res])
			return false;
	return true;
}

static bool add_link(struct dual *d, struct dual_shape *shape, uint32_t k, bool (*go_on)(void *arg, uint64_t arcs), void *arg)
{
	const struct problem *p = shape->p;
	const struct dual_edge *edge = &shape->edges[shape->link_edge[k]];
	uint32_t u = edge->end[0], v = edge->end[1], near = d->n[u] <= d->n[v] ? 0 : 1;
	int64_t *pair = d->pair[shape->link_edge[k]];

	/* Paths go either way: search from the end with fewer candidates. */
	uint32_t x = edge->end[near], y = edge->end[1 - near];
	for (uint32_t i = 0; i < d->n[x]; i++) {
		uint64_t before = shape->space.work;
		link_search(shape, k, d->host[x][i], NO_NODE);
		if (!go_on(arg, shape->space.work - before + d->n[y]))
			return false;
		for (uint32_t j = 0; j < d->n[y]; j++) {
			int64_t *at = near == 0 ? &pair[(size_t)i * d->n[v] + j] : &pair[(size_t)j * d->n[v] + i];
			double cost = link_cost(shape, k, d->host[x][i], d->host[y][j]);
			if (d->host[x][i] == d->host[y][j] && (shape->distinct || !can_share(p, x, y, d->host[x][i])))
				cost = INFINITY;
			int64_t more = isfinite(cost) ? scaled(shape, cost) : DUAL_INF;
			*at = none(more) || none(*at) ? DUAL_INF : *at + more;
		}
	}
	return true;
}

/* ---- states -------------------------------------------------------------------------------- */

static void dual_alloc(struct dual *d, const struct dual_shape *shape)
{
	size_t n = shape->p->r->n_nodes;

	*d = (struct dual){ .shape = shape };
	d->host = mem_array(n + 1, sizeof(*d->host));
	d->n = mem_array(n + 1, sizeof(*d->n));
	d->unary = mem_array(n + 1, sizeof(*d->unary));
	d->dead = mem_array(n + 1, sizeof(*d->dead));
	d->alive = mem_array(n + 1, sizeof(*d->alive));
	d->pair = mem_array(shape->n_edges + 1, sizeof(*d->pair));
}

bool dual_init(struct dual *d, struct dual_shape *shape, bool (*go_on)(void *arg, uint64_t arcs), void *arg)
{
	const struct problem *p = shape->p;

	dual_alloc(d, shape);
	for (size_t u = 0; u < p->r->n_nodes; u++) {
		d->n[u] = d->alive[u] = (uint32_t)p->cand[u].n;
		d->host[u] = mem_dup(p->cand[u].v, p->cand[u].n * sizeof(**d->host));
		d->unary[u] = mem_array(d->n[u] + 1, sizeof(**d->unary));
		d->dead[u] = mem_array(d->n[u] + 1, 1);
		for (uint32_t i = 0; i < d->n[u]; i++)
			d->unary[u][i] = scaled(shape, (double)p->r->nodes[u].demand[RES_CPU_MILLI] *
			                               (double)p->node_weight[d->host[u][i]]);
	}
	for (size_t e = 0; e < shape->n_edges; e++)
		d->pair[e] = mem_array((size_t)d->n[shape->edges[e].end[0]] * d->n[shape->edges[e].end[1]] + 1, sizeof(**d->pair));
	for (uint32_t k = 0; k < p->r->n_links; k++)
		if (!add_link(d, shape, k, go_on, arg))
			return false;
	return true;
}

void dual_fix(const struct dual *from, uint32_t u, uint32_t chosen, struct dual *ret)
{
	const struct dual_shape *shape = from->shape;
	size_t n_nodes = shape->p->r->n_nodes;

	dual_alloc(ret, shape);
	ret->bound = from->bound;
	mem_auto uint32_t **kept = mem_array(n_nodes + 1, sizeof(*kept));
	for (uint32_t v = 0; v < n_nodes; v++) {
		uint32_t n = 0;
		kept[v] = mem_array(from->n[v] + 1, sizeof(**kept));
		for (uint32_t i = 0; i < from->n[v]; i++)
			if (!from->dead[v][i] && (v != u || i == chosen))
				kept[v][n++] = i;
		ret->n[v] = ret->alive[v] = n;
		ret->host[v] = mem_array(n + 1, sizeof(**ret->host));
		ret->unary[v] = mem_array(n + 1, sizeof(**ret->unary));
		ret->dead[v] = mem_array(n + 1, 1);
		for (uint32_t i = 0; i < n; i++) {
			ret->host[v][i] = from->host[v][kept[v][i]];
			ret->unary[v][i] = from->unary[v][kept[v][i]];
		}
	}
	for (size_t e = 0; e < shape->n_edges; e++) {
		uint32_t a = shape->edges[e].end[0], b = shape->edges[e].end[1];
		ret->pair[e] = mem_array((size_t)ret->n[a] * ret->n[b] + 1, sizeof(**ret->pair));
		for (uint32_t i = 0; i < ret->n[a]; i++)
			for (uint32_t j = 0; j < ret->n[b]; j++)
				ret->pair[e][(size_t)i * ret->n[b] + j] = from->pair[e][(size_t)kept[a][i] * from->n[b] + kept[b][j]];
		ret->work += (uint64_t)ret->n[a] * ret->n[b] / 4;
	}
	for (size_t v = 0; v < n_nodes; v++)
		free(kept[v]);
}

void dual_done(struct dual *d)
{
	for (size_t u = 0; d->shape && u < d->shape->p->r->n_nodes; u++) {
		free(d->host[u]);
		free(d->unary[u]);
		free(d->dead[u]);
	}
	for (size_t e = 0; d->shape && e < d->shape->n_edges; e++)
		free(d->pair[e]);
	free(d->host);
	free(d->n);
	free(d->unary);
	free(d->dead);
	free(d->alive);
	free(d->pair);
	memset(d, 0, sizeof(*d));
}

/* ---- ascent -------------------------------------------------------------------------------- */

/* Row i of u in edge e: entries lie `step` apart. */
struct row {
	int64_t *at;
	size_t step;
	uint32_t other, n;
};

static struct row row_of(const struct dual *d, uint32_t e, uint32_t u, uint32_t i)
{
	const struct dual_edge *edge = &d->shape->edges[e];
	uint32_t cols = d->n[edge->end[1]];

	if (edge->end[0] == u)
		return (struct row){ d->pair[e] + (size_t)i * cols, 1, edge->end[1], cols };
	return (struct row){ d->pair[e] + i, cols, edge->end[0], d->n[edge->end[0]] };
}

static void kill_host(struct dual *d, uint32_t u, uint32_t i)
{
	d->dead[u][i] = 1;
	if (--d->alive[u] == 0)
		d->bound = DUAL_INF;
}

static int64_t row_least(const struct dual *d, const struct row *row, uint32_t *ret_j)
{
	int64_t least = DUAL_INF;

	for (uint32_t j = 0; j < row->n; j++)
		if (!d->dead[row->other][j] && row->at[j * row->step] < least) {
			least = row->at[j * row->step];
			*ret_j = j;
		}
	return least;
}

static void row_add(const struct dual *d, const struct row *row, int64_t amount)
{
	for (uint32_t j = 0; j < row->n; j++)
		if (!none(row->at[j * row->step]))
			row->at[j * row->step] += amount;
}

/* The neighbours of u on i want distinct hosts: the cheapest assignment, whose duals move
 * from the rows into the unary cost. -1: there is none. */
static int64_t take_assignment(struct dual *d, uint32_t u, uint32_t i, struct assign *as)
{
	const struct dual_shape *shape = d->shape;
	uint32_t degree = shape->first[u + 1] - shape->first[u];

	assign_begin(as, degree);
	for (uint32_t k = 0; k < degree; k++) {
		struct row row = row_of(d, shape->around[shape->first[u] + k], u, i);
		for (uint32_t j = 0; j < row.n; j++)
			if (!d->dead[row.other][j] && !none(row.at[j * row.step]))
				assign_cost(as, k, d->host[row.other][j], row.at[j * row.step]);
	}
	d->work += (uint64_t)degree * as->n_cols;
	if (!assign_solve(as))
		return -1;
	for (uint32_t k = 0; k < degree; k++) {
		struct row row = row_of(d, shape->around[shape->first[u] + k], u, i);
		for (uint32_t j = 0; j < row.n; j++)
			if (!d->dead[row.other][j] && !none(row.at[j * row.step]))
				row.at[j * row.step] -= assign_row_dual(as, k) + assign_col_dual(as, d->host[row.other][j]);
	}
	return as->value;
}

/* What all links of u cost at least when it is on i: moved from the rows into the unary cost. */
static bool gather(struct dual *d, uint32_t u, uint32_t i, struct assign *as)
{
	const struct dual_shape *shape = d->shape;
	uint32_t degree = shape->first[u + 1] - shape->first[u];
	bool clash = false;
	int64_t sum = 0;

	assign_begin(as, 0);
	for (uint32_t k = 0; k < degree; k++) {
		struct row row = row_of(d, shape->around[shape->first[u] + k], u, i);
		uint32_t j = 0;
		int64_t least = row_least(d, &row, &j);
		d->work += row.n / 4 + 1;
		if (none(least))
			return false;
		row_add(d, &row, -least);
		sum += least;
		clash = clash || (shape->distinct && !assign_mark(as, d->host[row.other][j]));
	}
	if (clash) {
		int64_t more = take_assignment(d, u, i, as);
		if (more < 0)
			return false;
		sum += more;
	}
	d->unary[u][i] += sum;
	return true;
}

static void spread(struct dual *d, uint32_t u, uint32_t i, bool forward)
{
	const struct dual_shape *shape = d->shape;
	uint32_t later = 0, earlier = 0;

	for (uint32_t k = shape->first[u]; k < shape->first[u + 1]; k++) {
		struct row row = row_of(d, shape->around[k], u, i);
		if ((row.other > u) == forward)
			later++;
		else
			earlier++;
	}
	int64_t share = d->unary[u][i] / (later > earlier ? later : earlier ? earlier : 1);
	for (uint32_t k = shape->first[u]; share > 0 && k < shape->first[u + 1]; k++) {
		struct row row = row_of(d, shape->around[k], u, i);
		if ((row.other > u) != forward)
			continue;
		row_add(d, &row, share);
		d->unary[u][i] -= share;
	}
}

static void visit(struct dual *d, uint32_t u, bool forward, int64_t limit, struct assign *as)
{
	int64_t least = DUAL_INF;

	for (uint32_t i = 0; i < d->n[u]; i++) {
		if (d->dead[u][i])
			continue;
		if (!gather(d, u, i, as)) {
			kill_host(d, u, i);
			continue;
		}
		if (d->unary[u][i] < least)
			least = d->unary[u][i];
	}
	if (d->alive[u] == 0)
		return;
	d->bound += least;
	for (uint32_t i = 0; i < d->n[u]; i++) {
		if (d->dead[u][i])
			continue;
		d->unary[u][i] -= least;
		if (d->bound + d->unary[u][i] > limit)
			kill_host(d, u, i);
		else
			spread(d, u, i, forward);
	}
}

/* With distinct hosts, one that a virtual node must take is nobody else's. */
static void exclude_taken(struct dual *d)
{
	size_t n = d->shape->p->r->n_nodes;

	for (uint32_t u = 0; d->shape->distinct && u < n; u++) {
		uint32_t taken = NO_NODE;
		for (uint32_t i = 0; d->alive[u] == 1 && i < d->n[u]; i++)
			if (!d->dead[u][i])
				taken = d->host[u][i];
		for (uint32_t v = 0; taken != NO_NODE && v < n; v++)
			for (uint32_t i = 0; v != u && i < d->n[v]; i++)
				if (d->host[v][i] == taken && !d->dead[v][i])
					kill_host(d, v, i);
	}
}

/* Distinct hosts for all by what is left of the unary costs. */
static void assign_all(struct dual *d, int64_t limit, struct assign *as)
{
	size_t n = d->shape->p->r->n_nodes;

	if (!d->shape->distinct || d->bound >= DUAL_INF)
		return;
	assign_begin(as, (uint32_t)n);
	for (uint32_t u = 0; u < n; u++)
		for (uint32_t i = 0; i < d->n[u]; i++)
			if (!d->dead[u][i])
				assign_cost(as, u, d->host[u][i], d->unary[u][i]);
	d->work += n * as->n_cols;
	if (!assign_solve(as)) {
		d->bound = DUAL_INF;
		return;
	}
	d->bound += as->value;
	for (uint32_t u = 0; u < n; u++)
		for (uint32_t i = 0; i < d->n[u]; i++) {
			if (d->dead[u][i])
				continue;
			d->unary[u][i] -= assign_row_dual(as, u) + assign_col_dual(as, d->host[u][i]);
			if (d->bound + d->unary[u][i] > limit)
				kill_host(d, u, i);
		}
}

bool dual_ascend(struct dual *d, int sweeps, int64_t limit)
{
	size_t n = d->shape->p->r->n_nodes;
	struct assign as;

	assign_init(&as, d->shape->p->s->n_nodes);
	for (int sweep = 0; sweep < sweeps && d->bound <= limit; sweep++) {
		int64_t before = d->bound;
		bool forward = sweep % 2 == 0;
		exclude_taken(d);
		for (size_t i = 0; i < n && d->bound <= limit; i++)
			visit(d, (uint32_t)(forward ? i : n - 1 - i), forward, limit, &as);
		if (sweep > 2 && d->bound - before < DUAL_SCALE / 16)
			break;
	}
	if (d->bound <= limit)
		assign_all(d, limit, &as);
	assign_done(&as);
	return d->bound <= limit;
}
