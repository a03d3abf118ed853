/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The states of dual.h: their memory, what they begin with, and what is left of them in a branch. Rows are padded to whole
 * vectors with DUAL_NONE. The ascent itself is in dual_ascend.c. */
#include "embed/dual.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/proof.h"

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
	size_t room = head + (2 * hosts + entries + DUAL_LANES) * sizeof(int32_t);
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
		int32_t *row = dual_row_at(d, e, i);
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
				dual_row_at(d, e, i)[j] = j < cols ? 0 : DUAL_NONE;
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
			int32_t *row = dual_row_at(d, e, i), *unary = d->unary + d->at[v], own = d->unary[d->at[u] + i];
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
		uint32_t e = shape->around[k], w = dual_other_end(shape, e, v);
		if (shape->n_kept[w] == 1)
			sum += dual_pair_cost(from, e, v, i, shape->kept[shape->start[w]]);
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
				uint32_t e = shape->around[k], w = dual_other_end(shape, e, v);
				int32_t cost = w < v && shape->n_kept[w] == 1 ? dual_pair_cost(from, e, v, shape->kept[at], shape->kept[shape->start[w]]) : 0;
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
		const int32_t *source = dual_row_at(from, e, rows[i]);
		int32_t *row = dual_row_at(ret, e, i);
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
				               dual_pair_cost(from, e, v, at, shape->kept[shape->start[w]]));
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
				if (cols[j] != NO_NODE && dual_row_at(old, e, rows[i])[cols[j]] >= DUAL_NONE)
					dual_row_at(d, e, i)[j] = DUAL_NONE;
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

