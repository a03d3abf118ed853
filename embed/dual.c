/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See dual.h. Rows are padded to whole vectors with DUAL_NONE; a matrix is walked in the order that it lies in, for
 * the rows of one end as for the columns of the other. */
#include "embed/dual.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/proof.h"

typedef int32_t lanes __attribute__((vector_size(16)));
enum { LANES = 4 };

static inline lanes all_lanes(int32_t x)
{
	return (lanes){ x, x, x, x };
}

static inline lanes pick(lanes mask, lanes yes, lanes no)
{
	return (yes & mask) | (no & ~mask);
}

/* ---- shape --------------------------------------------------------------------------------- */

static void find_edges(struct dual_shape *shape)
{
	const struct request *r = shape->p->r;
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
}

void dual_shape_init(struct dual_shape *shape, const struct problem *p)
{
	const struct request *r = p->r;
	uint32_t total = 0;

	*shape = (struct dual_shape){ .p = p, .n_nodes = r->n_nodes, .distinct = r->placement == PLACEMENT_DISTINCT };
	shape->edges = mem_array(r->n_links + 1, sizeof(*shape->edges));
	shape->link_edge = mem_array(r->n_links + 1, sizeof(*shape->link_edge));
	shape->first = mem_array(r->n_nodes + 2, sizeof(*shape->first));
	shape->around = mem_array(2 * r->n_links + 1, sizeof(*shape->around));
	shape->start = mem_array(r->n_nodes + 2, sizeof(*shape->start));
	find_edges(shape);
	for (size_t e = 0; e < shape->n_edges; e++)
		for (int end = 0; end < 2; end++)
			shape->first[shape->edges[e].end[end] + 2]++;
	for (size_t u = 2; u <= r->n_nodes + 1; u++)
		shape->first[u] += shape->first[u - 1];
	for (uint32_t e = 0; e < shape->n_edges; e++)
		for (int end = 0; end < 2; end++)
			shape->around[shape->first[shape->edges[e].end[end] + 1]++] = e;
	for (size_t u = 0; u < r->n_nodes; u++) {
		uint32_t degree = shape->first[u + 1] - shape->first[u];
		shape->most_around = degree > shape->most_around ? degree : shape->most_around;
		shape->row = p->cand[u].n > shape->row ? p->cand[u].n : shape->row;
		shape->start[u] = total;
		total += (uint32_t)p->cand[u].n;
	}
	shape->start[r->n_nodes] = total;
	shape->row = dual_row((uint32_t)shape->row);
	shape->least = mem_array(shape->most_around * shape->row + 4, sizeof(*shape->least));
	shape->arg = mem_array(shape->most_around * shape->row + 4, sizeof(*shape->arg));
	shape->delta = mem_array(shape->row + 4, sizeof(*shape->delta));
	shape->cut = mem_array(shape->row + 4, sizeof(*shape->cut));
	shape->kept = mem_array(total + 1, sizeof(*shape->kept));
	shape->value = mem_array(total + 1, sizeof(*shape->value));
	shape->node = mem_array(total + 1, sizeof(*shape->node));
	shape->n_kept = mem_array(r->n_nodes + 1, sizeof(*shape->n_kept));
	shape->weighed = mem_array(r->n_nodes + 1, sizeof(*shape->weighed));
	shape->queue = mem_array(r->n_nodes + 1, sizeof(*shape->queue));
	shape->joined = mem_array(shape->most_around + 1, sizeof(*shape->joined));
	shape->rows = mem_array(shape->most_around + r->n_nodes + 1, sizeof(*shape->rows));
	assign_init(&shape->as, p->s->n_nodes);
}

void dual_shape_done(struct dual_shape *shape)
{
	free(shape->edges);
	free(shape->link_edge);
	free(shape->first);
	free(shape->around);
	free(shape->least);
	free(shape->arg);
	free(shape->delta);
	free(shape->cut);
	free(shape->start);
	free(shape->kept);
	free(shape->value);
	free(shape->node);
	free(shape->n_kept);
	free(shape->weighed);
	free(shape->queue);
	free(shape->joined);
	free(shape->rows);
	dual_done(&shape->spare);
	assign_done(&shape->as);
	memset(shape, 0, sizeof(*shape));
}

size_t dual_entries(const struct dual_shape *shape)
{
	size_t sum = 0;

	for (size_t e = 0; e < shape->n_edges; e++)
		sum += shape->p->cand[shape->edges[e].end[0]].n * dual_row((uint32_t)shape->p->cand[shape->edges[e].end[1]].n);
	return sum;
}

/* ---- states -------------------------------------------------------------------------------- */

/* Room for domains of size n[u]; n may be d's own of before only if it is not needed any more. */
static void lay_out(struct dual *d, struct dual_shape *shape, const uint32_t *n)
{
	size_t nodes = shape->n_nodes, hosts = 0, entries = 0;

	for (size_t u = 0; u < nodes; u++)
		hosts += dual_row(n[u]);
	for (size_t e = 0; e < shape->n_edges; e++)
		entries += n[shape->edges[e].end[0]] * dual_row(n[shape->edges[e].end[1]]);
	size_t head = (shape->n_edges + 1) * sizeof(size_t) + (4 * nodes + 4) * sizeof(uint32_t);
	head = (head + 15) & ~(size_t)15;
	size_t room = head + (2 * hosts + entries + LANES) * sizeof(int32_t);
	if (room > d->room) {
		free(d->block);
		d->block = mem_grow(NULL, room, 1);
		d->room = room;
	}
	d->shape = shape;
	d->pair_at = d->block;
	d->n = (uint32_t *)(d->pair_at + shape->n_edges + 1);
	d->alive = d->n + nodes + 1;
	d->fixed = d->alive + nodes + 1;
	d->at = d->fixed + nodes + 1;
	d->pair = (int32_t *)((char *)d->block + head);
	d->unary = d->pair + entries;
	d->host = (uint32_t *)(d->unary + hosts);
	d->work = 0;
	memcpy(d->n, n, nodes * sizeof(*n));
	memcpy(d->alive, n, nodes * sizeof(*n));
	hosts = entries = 0;
	for (size_t u = 0; u < nodes; u++) {
		d->at[u] = (uint32_t)hosts;
		d->fixed[u] = NO_NODE;
		hosts += dual_row(n[u]);
	}
	for (size_t e = 0; e < shape->n_edges; e++) {
		d->pair_at[e] = entries;
		entries += n[shape->edges[e].end[0]] * dual_row(n[shape->edges[e].end[1]]);
	}
}

void dual_copy(const struct dual *from, struct dual *ret)
{
	struct dual_shape *shape = from->shape;
	size_t hosts = 0;

	lay_out(ret, shape, from->n);
	memcpy(ret->alive, from->alive, shape->n_nodes * sizeof(*ret->alive));
	memcpy(ret->fixed, from->fixed, shape->n_nodes * sizeof(*ret->fixed));
	for (size_t u = 0; u < shape->n_nodes; u++)
		hosts += dual_row(from->n[u]);
	memcpy(ret->pair, from->pair, (size_t)((const char *)(from->host + hosts) - (const char *)from->pair));
	ret->bound = from->bound;
}

void dual_done(struct dual *d)
{
	free(d->block);
	ledger_free(d->ledger);
	memset(d, 0, sizeof(*d));
}

static int32_t *row_at(const struct dual *d, uint32_t e, uint32_t i)
{
	return d->pair + d->pair_at[e] + i * dual_row(d->n[d->shape->edges[e].end[1]]);
}

/* The cost in edge e of u on its i-th host and the other end on its j-th. */
static int32_t pair_cost(const struct dual *d, uint32_t e, uint32_t u, uint32_t i, uint32_t j)
{
	return d->shape->edges[e].end[0] == u ? row_at(d, e, i)[j] : row_at(d, e, j)[i];
}

static uint32_t other_end(const struct dual_shape *shape, uint32_t e, uint32_t u)
{
	return shape->edges[e].end[0] == u ? shape->edges[e].end[1] : shape->edges[e].end[0];
}

static int32_t scaled(double cost, double parts_per_unit)
{
	double value = floor(cost * parts_per_unit);

	return value < DUAL_MOST ? (int32_t)value : DUAL_NONE;
}

static bool can_share(const struct problem *p, uint32_t u, uint32_t v, uint32_t a)
{
	for (int res = 0; res < RES_COUNT; res++)
		if (p->left->node[a][res] != UNLIMITED &&
		    p->left->node[a][res] - p->r->nodes[u].demand[res] < p->r->nodes[v].demand[res])
			return false;
	return true;
}

static void fill_edge(struct dual *d, uint32_t k, const struct pairs *pairs)
{
	const struct dual_shape *shape = d->shape;
	uint32_t e = shape->link_edge[k], u = shape->edges[e].end[0], v = shape->edges[e].end[1];
	bool swapped = shape->p->r->links[k].a != u;

	for (uint32_t i = 0; i < d->n[u]; i++) {
		int32_t *row = row_at(d, e, i);
		uint32_t a = d->host[d->at[u] + i];
		for (uint32_t j = 0; j < d->n[v]; j++) {
			uint32_t b = d->host[d->at[v] + j];
			double cost = pairs_cost(pairs, k, swapped ? b : a, swapped ? a : b);
			if (a == b && (shape->distinct || !can_share(shape->p, u, v, a)))
				cost = INFINITY;
			row[j] = row[j] >= DUAL_NONE || !isfinite(cost) ? DUAL_NONE : row[j] + scaled(cost, shape->parts_per_unit);
			row[j] = row[j] >= DUAL_MOST ? DUAL_NONE : row[j];
		}
	}
}

void dual_init(struct dual *d, struct dual_shape *shape, const struct pairs *pairs, double unit, double parts)
{
	const struct problem *p = shape->p;
	mem_auto uint32_t *n = mem_array(shape->n_nodes + 1, sizeof(*n));

	for (size_t u = 0; u < shape->n_nodes; u++)
		n[u] = (uint32_t)p->cand[u].n;
	shape->parts_per_unit = parts / unit;
	lay_out(d, shape, n);
	d->bound = 0;
	for (size_t u = 0; u < shape->n_nodes; u++)
		for (uint32_t i = 0; i < d->n[u]; i++) {
			uint32_t a = p->cand[u].v[i];
			d->host[d->at[u] + i] = a;
			d->unary[d->at[u] + i] = scaled((double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[a], shape->parts_per_unit);
		}
	for (uint32_t e = 0; e < shape->n_edges; e++) {
		uint32_t cols = d->n[shape->edges[e].end[1]];
		for (uint32_t i = 0; i < d->n[shape->edges[e].end[0]]; i++)
			for (uint32_t j = 0; j < dual_row(cols); j++)
				row_at(d, e, i)[j] = j < cols ? 0 : DUAL_NONE;
	}
	for (uint32_t k = 0; k < p->r->n_links; k++)
		fill_edge(d, k, pairs);
}

/* By how much a closer look lifts what k costs from a to b; DUAL_NONE: no way. */
static int32_t sharpen(struct dual *d, struct pairs *pairs, uint32_t k, uint32_t a, uint32_t b)
{
	bool swapped = d->shape->p->r->links[k].a > d->shape->p->r->links[k].b;
	double factor = d->shape->parts_per_unit, before, after;

	if (a == b)
		return 0;
	before = pairs_cost(pairs, k, swapped ? b : a, swapped ? a : b);
	pairs_sharpen(pairs, k, swapped ? b : a, swapped ? a : b);
	after = pairs_cost(pairs, k, swapped ? b : a, swapped ? a : b);
	return isfinite(after) ? scaled(after, factor) - scaled(before, factor) : DUAL_NONE;
}

void dual_sharpen(struct dual *d, struct pairs *pairs, int64_t limit, bool (*go_on)(void *arg, uint64_t arcs), void *arg)
{
	const struct dual_shape *shape = d->shape;
	int64_t most = limit - d->bound;

	for (uint32_t k = 0; k < shape->p->r->n_links; k++) {
		uint32_t e = shape->link_edge[k], u = shape->edges[e].end[0], v = shape->edges[e].end[1];
		if (!pairs_blunt(pairs, k) || d->n[u] == 0 || d->n[v] == 0)
			continue;
		for (uint32_t i = 0; i < d->n[u]; i++) {
			int32_t *row = row_at(d, e, i), *unary = d->unary + d->at[v], own = d->unary[d->at[u] + i];
			for (uint32_t j = 0; own < DUAL_NONE && j < d->n[v]; j++) {
				uint64_t before = pairs->work;
				if (row[j] >= DUAL_NONE || unary[j] >= DUAL_NONE)
					continue;
				if ((int64_t)own + unary[j] + row[j] <= most)
					row[j] += sharpen(d, pairs, k, d->host[d->at[u] + i], d->host[d->at[v] + j]);
				if (row[j] >= DUAL_MOST || (int64_t)own + unary[j] + row[j] > most)
					row[j] = DUAL_NONE;
				if (!go_on(arg, pairs->work - before))
					return;
			}
		}
	}
}

/* ---- who is left --------------------------------------------------------------------------- */

/* Lists who is left of from, u on its i-th only. False: nobody for somebody. */
static bool keep(const struct dual *from, uint32_t u, uint32_t chosen)
{
	struct dual_shape *shape = from->shape;

	for (uint32_t v = 0; v < shape->n_nodes; v++) {
		uint32_t *kept = shape->kept + shape->start[v], n = 0;
		for (uint32_t i = 0; i < from->n[v]; i++)
			if (from->unary[from->at[v] + i] < DUAL_NONE && (v != u || i == chosen))
				kept[n++] = i;
		if (from->n[v] > 0 && n == 0)
			return false;
		shape->n_kept[v] = n;
	}
	return true;
}

/* Leaves out hosts that others must take. */
static bool leave_taken(const struct dual *from)
{
	struct dual_shape *shape = from->shape;
	uint32_t fixed = 0;

	for (uint32_t v = 0; v < shape->n_nodes; v++)
		if (shape->n_kept[v] == 1)
			shape->queue[fixed++] = v;
	for (uint32_t done = 0; done < fixed; done++) {
		uint32_t w = shape->queue[done], taken = from->host[from->at[w] + shape->kept[shape->start[w]]];
		for (uint32_t v = 0; v < shape->n_nodes; v++) {
			uint32_t *kept = shape->kept + shape->start[v], n = 0;
			for (uint32_t i = 0; v != w && i < shape->n_kept[v]; i++)
				if (from->host[from->at[v] + kept[i]] != taken)
					kept[n++] = kept[i];
			if (v == w || n == shape->n_kept[v])
				continue;
			if (n == 0)
				return false;
			if (n == 1)
				shape->queue[fixed++] = v;
			shape->n_kept[v] = n;
		}
	}
	return true;
}

/* What edges to those fixed now cost v on its i-th. */
static int64_t folded(const struct dual *from, uint32_t v, uint32_t i)
{
	const struct dual_shape *shape = from->shape;
	int64_t sum = from->unary[from->at[v] + i];

	for (uint32_t k = shape->first[v]; k < shape->first[v + 1] && sum < DUAL_MOST; k++) {
		uint32_t e = shape->around[k], w = other_end(shape, e, v);
		if (shape->n_kept[w] == 1)
			sum += pair_cost(from, e, v, i, shape->kept[shape->start[w]]);
	}
	return sum;
}

/* Costs of all kept with what is fixed now, into shape->value and the bound of the part that is fixed; who has no price
 * is left out. */
static bool weigh(const struct dual *from, int64_t *ret_bound)
{
	struct dual_shape *shape = from->shape;

	*ret_bound = from->bound;
	for (uint32_t v = 0; v < shape->n_nodes; v++) {
		uint32_t at = shape->start[v], n = 0;
		if (shape->n_kept[v] == 1) { /* of an edge between two such, the later pays */
			*ret_bound += from->unary[from->at[v] + shape->kept[at]];
			for (uint32_t k = shape->first[v]; k < shape->first[v + 1]; k++) {
				uint32_t e = shape->around[k], w = other_end(shape, e, v);
				int32_t cost = w < v && shape->n_kept[w] == 1 ? pair_cost(from, e, v, shape->kept[at], shape->kept[shape->start[w]]) : 0;
				if (cost >= DUAL_NONE)
					return false;
				*ret_bound += cost;
			}
			continue;
		}
		for (uint32_t i = 0; i < shape->n_kept[v]; i++) {
			int64_t value = folded(from, v, shape->kept[at + i]);
			if (value >= DUAL_MOST)
				continue;
			shape->value[at + n] = (int32_t)value;
			shape->node[at + n] = from->host[from->at[v] + shape->kept[at + i]];
			shape->kept[at + n++] = shape->kept[at + i];
		}
		if (shape->n_kept[v] > 0 && n == 0)
			return false;
		shape->n_kept[v] = n;
	}
	return true;
}

/* Leaves out who costs too much by these costs alone. *ret_fixed: somebody has one host left now. */
static bool leave_dear(const struct dual *from, int64_t bound, int64_t limit, bool *ret_fixed)
{
	struct dual_shape *shape = from->shape;
	struct assign *as = &shape->as;
	uint32_t rows = 0;

	*ret_fixed = false;
	for (uint32_t v = 0; v < shape->n_nodes; v++) {
		*ret_fixed = *ret_fixed || (shape->n_kept[v] == 1 && shape->weighed[v] != 1);
		if (shape->n_kept[v] < 2)
			continue;
		struct assign_row *row = &shape->rows[rows++];
		*row = (struct assign_row){ .cost = shape->value + shape->start[v], .step = 1, .node = shape->node + shape->start[v],
		                            .n = shape->n_kept[v] };
		assign_least(row);
		row->dual = row->least;
		if (!shape->distinct)
			bound += row->least;
	}
	if (shape->distinct) {
		if (!assign_solve(as, shape->rows, rows))
			return false;
		bound += as->value;
	}
	if (bound > limit)
		return false;
	rows = 0;
	for (uint32_t v = 0; v < shape->n_nodes; v++) {
		uint32_t at = shape->start[v], n = 0;
		if (shape->n_kept[v] < 2)
			continue;
		for (uint32_t i = 0; i < shape->n_kept[v]; i++) {
			int64_t more = shape->value[at + i] - shape->rows[rows].dual;
			if (shape->distinct)
				more -= assign_col_dual(as, shape->node[at + i]);
			if (bound + more > limit)
				continue;
			shape->value[at + n] = shape->value[at + i];
			shape->node[at + n] = shape->node[at + i];
			shape->kept[at + n++] = shape->kept[at + i];
		}
		rows++;
		*ret_fixed = *ret_fixed || n == 1;
		shape->n_kept[v] = n;
	}
	return true;
}

static void copy_matrix(const struct dual *from, struct dual *ret, uint32_t e, const uint32_t *rows, const uint32_t *cols)
{
	uint32_t n = ret->n[ret->shape->edges[e].end[0]], m = ret->n[ret->shape->edges[e].end[1]];
	bool whole = m == from->n[ret->shape->edges[e].end[1]];

	for (uint32_t i = 0; i < n; i++) {
		const int32_t *source = row_at(from, e, rows[i]);
		int32_t *row = row_at(ret, e, i);
		if (whole) {
			memcpy(row, source, dual_row(m) * sizeof(*row));
			continue;
		}
		for (uint32_t j = 0; j < m; j++)
			row[j] = source[cols[j]];
		for (uint32_t j = m; j < dual_row(m); j++)
			row[j] = DUAL_NONE;
	}
	ret->work += (uint64_t)n * m / 4;
}

/* Copies what was kept and weighed. */
static void copy_kept(const struct dual *from, int64_t bound, struct dual *ret)
{
	struct dual_shape *shape = from->shape;
	const uint32_t *kept = shape->kept, *start = shape->start;

	for (uint32_t v = 0; v < shape->n_nodes; v++)
		if (shape->n_kept[v] == 1)
			shape->n_kept[v] = 0;
	lay_out(ret, shape, shape->n_kept);
	ret->bound = bound;
	for (uint32_t v = 0; v < shape->n_nodes; v++) {
		ret->fixed[v] = from->n[v] > 0 && ret->n[v] == 0 ? from->host[from->at[v] + kept[start[v]]] : from->fixed[v];
		memcpy(ret->host + ret->at[v], shape->node + start[v], ret->n[v] * sizeof(*ret->host));
		memcpy(ret->unary + ret->at[v], shape->value + start[v], ret->n[v] * sizeof(*ret->unary));
	}
	for (uint32_t e = 0; e < shape->n_edges; e++) {
		uint32_t a = shape->edges[e].end[0], b = shape->edges[e].end[1];
		if (ret->n[a] > 0 && ret->n[b] > 0)
			copy_matrix(from, ret, e, kept + start[a], kept + start[b]);
	}
}

/* What folding moves, of those newly fixed; and with a proof nobody is left out for a price without a line that says so. */
static void fold_ledger(const struct dual *from, struct dual *ret)
{
	const struct dual_shape *shape = from->shape;

	ledger_copy(from->ledger, &ret->ledger, shape);
	for (uint32_t e = 0; from->ledger && e < shape->n_edges; e++)
		for (uint32_t end = 0; end < 2; end++) {
			uint32_t v = shape->edges[e].end[end], w = shape->edges[e].end[1 - end];
			if (from->n[v] == 0 || shape->n_kept[w] != 1 || (shape->n_kept[v] == 1 && w > v))
				continue;
			for (uint32_t i = 0; i < shape->n_kept[v]; i++) {
				uint32_t at = shape->kept[shape->start[v] + i];
				ledger_message(ret->ledger, e, end, from->host[from->at[v] + at],
				               pair_cost(from, e, v, at, shape->kept[shape->start[w]]));
			}
		}
}

static bool leave_single(const struct dual *from, bool *ret_fixed)
{
	*ret_fixed = false;
	for (uint32_t v = 0; v < from->shape->n_nodes; v++)
		*ret_fixed = *ret_fixed || (from->shape->n_kept[v] == 1 && from->shape->weighed[v] != 1);
	return true;
}

bool dual_fix(const struct dual *from, uint32_t u, uint32_t i, int64_t limit, struct dual *ret)
{
	struct dual_shape *shape = from->shape;
	int64_t bound;
	bool fixed;

	if (!keep(from, u, i))
		return false;
	do {
		if (shape->distinct && !leave_taken(from))
			return false;
		memcpy(shape->weighed, shape->n_kept, shape->n_nodes * sizeof(*shape->weighed));
		if (!weigh(from, &bound) || !(from->ledger ? leave_single(from, &fixed) : leave_dear(from, bound, limit, &fixed)))
			return false;
	} while (fixed);
	fold_ledger(from, ret);
	copy_kept(from, bound, ret);
	return true;
}

/* Per host of u in d: which of old's hosts of u it is; NO_NODE: none, and 0 where u is fixed in old on it. */
static void match_hosts(const struct dual *d, const struct dual *old, uint32_t u, uint32_t *ret)
{
	uint32_t j = 0;

	for (uint32_t i = 0; i < d->n[u]; i++) {
		uint32_t node = d->host[d->at[u] + i];
		ret[i] = NO_NODE;
		if (old->n[u] == 0) {
			ret[i] = old->fixed[u] == node ? 0 : NO_NODE;
			continue;
		}
		while (j < old->n[u] && old->host[old->at[u] + j] < node)
			j++;
		if (j < old->n[u] && old->host[old->at[u] + j] == node && old->unary[old->at[u] + j] < DUAL_NONE)
			ret[i] = j;
	}
}

bool dual_restrict(struct dual *d, const struct dual *old)
{
	const struct dual_shape *shape = d->shape;
	mem_auto uint32_t *match = mem_array(shape->start[shape->n_nodes] + 1, sizeof(*match));

	for (uint32_t u = 0; u < shape->n_nodes; u++) {
		match_hosts(d, old, u, match + shape->start[u]);
		for (uint32_t i = 0; i < d->n[u]; i++)
			if (match[shape->start[u] + i] == NO_NODE && !dual_kill(d, u, i))
				return false;
	}
	for (uint32_t e = 0; e < shape->n_edges; e++) {
		uint32_t u = shape->edges[e].end[0], v = shape->edges[e].end[1];
		const uint32_t *rows = match + shape->start[u], *cols = match + shape->start[v];
		for (uint32_t i = 0; i < d->n[u] && old->n[u] > 0 && old->n[v] > 0; i++)
			for (uint32_t j = 0; rows[i] != NO_NODE && j < d->n[v]; j++)
				if (cols[j] != NO_NODE && row_at(old, e, rows[i])[cols[j]] >= DUAL_NONE)
					row_at(d, e, i)[j] = DUAL_NONE;
	}
	return dual_compact(d, DUAL_MOST);
}

bool dual_compact(struct dual *d, int64_t limit)
{
	struct dual_shape *shape = d->shape;
	uint64_t work = d->work;
	bool all = true;

	for (uint32_t u = 0; u < shape->n_nodes; u++)
		all = all && d->alive[u] == d->n[u] && d->n[u] != 1;
	if (all)
		return true;
	if (!dual_fix(d, NO_NODE, 0, limit, &shape->spare))
		return false;
	struct dual swap = *d;
	*d = shape->spare;
	shape->spare = swap;
	d->work += work;
	return true;
}

bool dual_kill(struct dual *d, uint32_t u, uint32_t i)
{
	d->unary[d->at[u] + i] = DUAL_NONE;
	return --d->alive[u] > 0;
}

/* ---- one virtual node ---------------------------------------------------------------------- */

/* The least of each row, and where. */
static void row_minima(const struct dual *d, uint32_t e, uint32_t u, uint32_t v, int32_t *least, uint32_t *arg)
{
	size_t m = dual_row(d->n[v]);

	for (uint32_t i = 0; i < d->n[u]; i++) {
		const int32_t *row = row_at(d, e, i);
		lanes low = all_lanes(DUAL_NONE);
		if (d->unary[d->at[u] + i] >= DUAL_NONE)
			continue;
		for (size_t j = 0; j < m; j += LANES) {
			lanes x = *(const lanes *)(row + j);
			low = pick(x < low, x, low);
		}
		int32_t a = low[0] < low[1] ? low[0] : low[1], b = low[2] < low[3] ? low[2] : low[3];
		least[i] = a < b ? a : b;
		uint32_t j = 0;
		while (j + 1 < m && row[j] != least[i])
			j++;
		arg[i] = j;
	}
}

/* The least of each column, and where. */
static void column_minima(const struct dual *d, uint32_t e, uint32_t u, uint32_t v, int32_t *least, uint32_t *arg)
{
	size_t m = dual_row(d->n[u]);

	for (size_t i = 0; i < m; i += LANES) {
		lanes low = all_lanes(DUAL_NONE), at = all_lanes(0);
		const int32_t *column = row_at(d, e, 0) + i;
		for (uint32_t j = 0; j < d->n[v]; j++, column += m) {
			lanes x = *(const lanes *)column, less = x < low;
			low = pick(less, x, low);
			at = pick(less, all_lanes((int32_t)j), at);
		}
		memcpy(least + i, &low, sizeof(low));
		memcpy(arg + i, &at, sizeof(at));
	}
}

/* Adds delta to each row of u in e; what is above its cut then is out of the question. */
static void update(struct dual *d, uint32_t e, uint32_t u, const int32_t *delta, const int32_t *cut)
{
	uint32_t v = other_end(d->shape, e, u);

	if (d->shape->edges[e].end[0] == u) {
		size_t m = dual_row(d->n[v]);
		for (uint32_t i = 0; i < d->n[u]; i++) {
			int32_t *row = row_at(d, e, i);
			lanes add = all_lanes(delta[i]), most = all_lanes(cut[i]);
			if (delta[i] == 0 && cut[i] >= 0)
				continue;
			for (size_t j = 0; j < m; j += LANES) {
				lanes x = *(lanes *)(row + j) + add;
				*(lanes *)(row + j) = pick(x > most, all_lanes(DUAL_NONE), x);
			}
		}
	} else {
		size_t m = dual_row(d->n[u]);
		int32_t *row = row_at(d, e, 0);
		for (uint32_t j = 0; j < d->n[v]; j++, row += m)
			for (size_t i = 0; i < m; i += LANES) {
				lanes x = *(lanes *)(row + i) + *(const lanes *)(delta + i);
				*(lanes *)(row + i) = pick(x > *(const lanes *)(cut + i), all_lanes(DUAL_NONE), x);
			}
	}
}

static uint32_t index_of(const struct dual *d, uint32_t v, uint32_t node)
{
	const uint32_t *host = d->host + d->at[v];
	uint32_t j = 0;

	while (j < d->n[v] && host[j] != node)
		j++;
	return j;
}

/* The neighbours of u on i want distinct hosts: what that costs takes the place of the row minima. Costs of hosts
 * that are in demand rise. False: not enough hosts. */
static bool keep_apart(struct dual *d, uint32_t u, uint32_t i, uint32_t joined)
{
	struct dual_shape *shape = d->shape;
	struct assign *as = &shape->as;
	uint64_t before = as->work;

	for (uint32_t k = 0, e; k < joined; k++) {
		e = shape->joined[k];
		uint32_t v = other_end(shape, e, u);
		bool across = shape->edges[e].end[0] == u;
		shape->rows[k] = (struct assign_row){ .cost = across ? row_at(d, e, i) : row_at(d, e, 0) + i,
		        .step = across ? 1 : dual_row(d->n[u]), .node = d->host + d->at[v], .n = d->n[v],
		        .least = shape->least[k * shape->row + i], .arg = shape->arg[k * shape->row + i] };
	}
	if (!assign_solve(as, shape->rows, joined))
		return false;
	for (uint32_t k = 0; k < joined; k++)
		shape->least[k * shape->row + i] = shape->rows[k].dual;
	for (uint32_t m = 0; m < as->n_cols; m++) {
		ledger_column(d->ledger, u, d->host[d->at[u] + i], as->cols[m].node, as->cols[m].dual);
		for (uint32_t k = 0; k < joined && as->cols[m].dual < 0; k++) {
			uint32_t e = shape->joined[k], v = other_end(shape, e, u), j = index_of(d, v, as->cols[m].node);
			if (j == d->n[v])
				continue;
			int32_t *cost = shape->edges[e].end[0] == u ? &row_at(d, e, i)[j] : &row_at(d, e, j)[i];
			if (*cost < DUAL_NONE)
				*cost -= as->cols[m].dual;
		}
	}
	d->work += (as->work - before) / 4;
	return true;
}

/* What all links of u on i cost at least: into its unary cost. False: i cannot be. */
static bool gather(struct dual *d, uint32_t u, uint32_t i, uint32_t joined, int64_t most)
{
	struct dual_shape *shape = d->shape;
	int64_t sum = d->unary[d->at[u] + i];

	for (uint32_t k = 0; k < joined; k++) {
		int32_t least = shape->least[k * shape->row + i];
		sum += least;
		if (least >= DUAL_NONE || sum > most)
			return false;
	}
	if (joined > 1 && shape->distinct) {
		if (!keep_apart(d, u, i, joined))
			return false;
		sum = d->unary[d->at[u] + i] + shape->as.value;
		if (sum > most)
			return false;
	}
	d->unary[d->at[u] + i] = (int32_t)sum;
	return true;
}

/* Of all edges between u and somebody not fixed, listed as shape->joined; returns how many. */
static uint32_t minima(struct dual *d, uint32_t u, uint32_t *ret_later)
{
	struct dual_shape *shape = d->shape;
	uint32_t joined = 0;

	*ret_later = 0;
	for (uint32_t k = shape->first[u]; k < shape->first[u + 1]; k++) {
		uint32_t e = shape->around[k], v = other_end(shape, e, u);
		int32_t *least = shape->least + joined * shape->row;
		uint32_t *arg = shape->arg + joined * shape->row;
		if (d->n[v] == 0)
			continue;
		shape->joined[joined++] = e;
		*ret_later += v > u;
		d->work += (uint64_t)d->n[u] * d->n[v] / 4 + 1;
		if (shape->edges[e].end[0] == u)
			row_minima(d, e, u, v, least, arg);
		else
			column_minima(d, e, u, v, least, arg);
	}
	return joined;
}

/* Takes from the rows what was gathered, and hands on what their heirs get. */
static void hand_on(struct dual *d, uint32_t u, bool forward, uint32_t joined)
{
	struct dual_shape *shape = d->shape;
	const int32_t *share = shape->delta, *cut = shape->cut;

	for (uint32_t k = 0; k < joined; k++) {
		uint32_t e = shape->joined[k];
		int32_t *delta = shape->least + k * shape->row;
		bool changed = false, heir = (other_end(shape, e, u) > u) == forward;
		for (uint32_t i = 0; i < d->n[u]; i++) {
			delta[i] = cut[i] < 0 ? 0 : (heir ? share[i] : 0) - delta[i];
			changed = changed || delta[i] != 0 || cut[i] < 0;
			ledger_message(d->ledger, e, shape->edges[e].end[1] == u, d->host[d->at[u] + i], -delta[i]);
		}
		for (uint32_t i = d->n[u]; i < dual_row(d->n[u]); i++)
			delta[i] = 0;
		if (changed)
			update(d, e, u, delta, cut);
	}
}

/* Gathers at u what its links cost, and hands it on to those who come later in this sweep. */
static bool visit(struct dual *d, uint32_t u, bool forward, int64_t limit)
{
	struct dual_shape *shape = d->shape;
	uint32_t later, joined = minima(d, u, &later), earlier = joined - later;
	int32_t *unary = d->unary + d->at[u], least = DUAL_NONE;

	for (uint32_t i = 0; i < d->n[u]; i++) {
		if (unary[i] >= DUAL_NONE)
			continue;
		if (!gather(d, u, i, joined, limit - d->bound)) {
			unary[i] = DUAL_NONE;
			d->alive[u]--;
		}
		least = unary[i] < least ? unary[i] : least;
	}
	if (d->alive[u] == 0)
		return false;
	d->bound += least;
	int64_t most = limit - d->bound < DUAL_MOST ? limit - d->bound : DUAL_MOST - 1;
	int32_t parts = (int32_t)(later > earlier ? later : earlier ? earlier : 1);
	int32_t heirs = (int32_t)(forward ? later : earlier);
	for (uint32_t i = 0; i < dual_row(d->n[u]); i++) {
		shape->delta[i] = shape->cut[i] = 0;
		if (i >= d->n[u])
			continue;
		if (unary[i] < DUAL_NONE && (unary[i] -= least) > most) {
			unary[i] = DUAL_NONE;
			d->alive[u]--;
		}
		bool dead = unary[i] >= DUAL_NONE;
		shape->delta[i] = dead ? 0 : unary[i] / parts;
		unary[i] -= shape->delta[i] * heirs;
		shape->cut[i] = dead ? -1 : (int32_t)most - unary[i];
	}
	hand_on(d, u, forward, joined);
	return d->alive[u] > 0;
}

/* ---- sweeps -------------------------------------------------------------------------------- */

/* Distinct hosts for all by what is left of the unary costs. */
static bool assign_all(struct dual *d, int64_t limit)
{
	struct dual_shape *shape = d->shape;
	struct assign *as = &shape->as;
	uint64_t before = as->work;
	uint32_t rows = 0;

	if (!shape->distinct)
		return true;
	for (uint32_t u = 0; u < shape->n_nodes; u++) {
		if (d->n[u] == 0)
			continue;
		shape->rows[rows] = (struct assign_row){ .cost = d->unary + d->at[u], .step = 1, .node = d->host + d->at[u], .n = d->n[u] };
		assign_least(&shape->rows[rows++]);
	}
	if (!assign_solve(as, shape->rows, rows))
		return false;
	d->bound += as->value;
	d->work += (as->work - before) / 4;
	for (uint32_t m = 0; m < as->n_cols; m++)
		ledger_host(d->ledger, as->cols[m].node, as->cols[m].dual);
	rows = 0;
	for (uint32_t u = 0; u < shape->n_nodes; u++) {
		for (uint32_t i = 0; i < d->n[u]; i++) {
			int32_t *unary = &d->unary[d->at[u] + i];
			if (*unary >= DUAL_NONE)
				continue;
			*unary -= shape->rows[rows].dual + assign_col_dual(as, d->host[d->at[u] + i]);
			if (!d->ledger && d->bound + *unary > limit && !dual_kill(d, u, i))
				return false;
		}
		rows += d->n[u] > 0;
	}
	return d->ledger || d->bound <= limit;
}

bool dual_ascend(struct dual *d, int sweeps, int64_t gain, int64_t limit, bool (*go_on)(void *arg, uint64_t arcs), void *arg)
{
	size_t n = d->shape->n_nodes;

	if (d->bound > limit)
		return d->ledger ? proof_bound(d, 0, false) : false;
	for (int sweep = 0; sweep < sweeps; sweep++) {
		int64_t before = d->bound;
		bool forward = sweep % 2 == 0;
		for (size_t i = 0; i < n; i++) {
			uint32_t u = (uint32_t)(forward ? i : n - 1 - i);
			uint64_t work = d->work;
			if (d->n[u] == 0)
				continue;
			if (!visit(d, u, forward, d->ledger ? d->bound + DUAL_MOST - 1 : limit))
				return proof_empty(d);
			d->work = 0;
			if (!go_on(arg, work + 1))
				return true;
		}
		if (d->bound - before < gain)
			break;
	}
	if (!d->ledger)
		return assign_all(d, limit) && dual_compact(d, limit);
	if (!assign_all(d, limit))
		return proof_empty(d);
	return proof_bound(d, 0, false) && (dual_compact(d, limit) || proof_empty(d));
}
