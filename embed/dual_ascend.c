/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ascent of dual.h: costs move from links to their ends and on, and the bound grows. Rows are padded to whole vectors with
 * DUAL_NONE; a matrix is walked in the order that it lies in, for the rows of one end as for the columns of the other. */
#include "embed/dual.h"

#include <string.h>

#include "embed/proof.h"

typedef int32_t lanes __attribute__((vector_size(16)));
enum { LANES = DUAL_LANES };

static inline lanes all_lanes(int32_t x)
{
	return (lanes){ x, x, x, x };
}

static inline lanes pick(lanes mask, lanes yes, lanes no)
{
	return (yes & mask) | (no & ~mask);
}

/* ---- one virtual node ---------------------------------------------------------------------- */

/* The least of each row, and where. */
static void row_minima(const struct dual *d, uint32_t e, uint32_t u, uint32_t v, int32_t *least, uint32_t *arg)
{
	size_t m = dual_row(d->n[v]);

	for (uint32_t i = 0; i < d->n[u]; i++) {
		const int32_t *row = dual_row_at(d, e, i);
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
		const int32_t *column = dual_row_at(d, e, 0) + i;
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
	uint32_t v = dual_other_end(d->shape, e, u);

	if (d->shape->edges[e].end[0] == u) {
		size_t m = dual_row(d->n[v]);
		for (uint32_t i = 0; i < d->n[u]; i++) {
			int32_t *row = dual_row_at(d, e, i);
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
		int32_t *row = dual_row_at(d, e, 0);
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
		uint32_t v = dual_other_end(shape, e, u);
		bool across = shape->edges[e].end[0] == u;
		shape->rows[k] = (struct assign_row){ .cost = across ? dual_row_at(d, e, i) : dual_row_at(d, e, 0) + i,
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
			uint32_t e = shape->joined[k], v = dual_other_end(shape, e, u), j = index_of(d, v, as->cols[m].node);
			if (j == d->n[v])
				continue;
			int32_t *cost = shape->edges[e].end[0] == u ? &dual_row_at(d, e, i)[j] : &dual_row_at(d, e, j)[i];
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
		uint32_t e = shape->around[k], v = dual_other_end(shape, e, u);
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
		bool changed = false, heir = (dual_other_end(shape, e, u) > u) == forward;
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
