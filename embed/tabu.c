/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See tabu.h. For each virtual node and host `price` says what standing there would cost with all others where they are;
 * whoever moves mends the prices of its neighbours. */
#include "embed/tabu.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FAR (INT64_C(1) << 40) /* a price beyond all that is possible */

struct tabu {
	const struct dual *d;
	const struct dual_shape *shape;
	const struct tabu_ask *ask;
	int64_t *price;       /* as d->unary */
	uint32_t *until;      /* as d->unary: not to be moved to before this step */
	uint32_t *now;        /* per virtual node: index of its host, NO_NODE: not placed */
	uint32_t *guest;      /* per substrate node: who stands there, or NO_NODE; with distinct hosts only */
	int64_t (*left)[RES_COUNT]; /* per substrate node, where hosts may be shared; NULL otherwise */
	uint32_t *place;      /* the placement, as offered */
	int64_t cost;
	uint32_t step;
};

struct move {
	uint32_t u, i, with; /* with: who goes to where u was; NO_NODE: nobody */
	uint32_t j;
	int64_t delta;
};

static uint32_t node_of(const struct tabu *t, uint32_t u, uint32_t i)
{
	return t->d->host[t->d->at[u] + i];
}

static int64_t price_at(const struct tabu *t, uint32_t u, uint32_t i)
{
	return t->price[t->d->at[u] + i];
}

static int32_t pair_at(const struct dual *d, uint32_t e, uint32_t u, uint32_t i, uint32_t j)
{
	const struct dual_edge *edge = &d->shape->edges[e];
	size_t row = dual_row(d->n[edge->end[1]]);

	return edge->end[0] == u ? d->pair[d->pair_at[e] + i * row + j] : d->pair[d->pair_at[e] + j * row + i];
}

/* What it costs the neighbours of u that it stands on its i-th host comes (sign 1) or goes (-1). */
static void mend(struct tabu *t, uint32_t u, uint32_t i, int sign)
{
	const struct dual_shape *shape = t->shape;

	for (uint32_t k = shape->first[u]; k < shape->first[u + 1]; k++) {
		uint32_t e = shape->around[k], v = shape->edges[e].end[0] == u ? shape->edges[e].end[1] : shape->edges[e].end[0];
		int64_t *price = t->price + t->d->at[v];
		for (uint32_t j = 0; j < t->d->n[v]; j++) {
			int32_t cost = pair_at(t->d, e, u, i, j);
			price[j] += sign * (cost < DUAL_NONE ? cost : FAR);
		}
	}
}

static void take(struct tabu *t, uint32_t u, uint32_t i, int sign)
{
	uint32_t a = node_of(t, u, i);

	for (int res = 0; t->left && res < RES_COUNT; res++)
		if (t->left[a][res] != UNLIMITED)
			t->left[a][res] -= sign * t->shape->p->r->nodes[u].demand[res];
	if (!t->left)
		t->guest[a] = sign > 0 ? u : NO_NODE;
}

static bool has_room(const struct tabu *t, uint32_t u, uint32_t i)
{
	uint32_t a = node_of(t, u, i);

	if (!t->left)
		return t->guest[a] == NO_NODE;
	for (int res = 0; res < RES_COUNT; res++)
		if (t->left[a][res] < t->shape->p->r->nodes[u].demand[res])
			return false;
	return true;
}

static void put(struct tabu *t, uint32_t u, uint32_t i)
{
	t->cost += price_at(t, u, i);
	t->now[u] = i;
	take(t, u, i, 1);
	mend(t, u, i, 1);
}

static void lift(struct tabu *t, uint32_t u)
{
	mend(t, u, t->now[u], -1);
	take(t, u, t->now[u], -1);
	t->cost -= price_at(t, u, t->now[u]);
	t->now[u] = NO_NODE;
}

/* ---- a first placement --------------------------------------------------------------------- */

/* Who has most links to those placed. */
static uint32_t choose(const struct tabu *t)
{
	const struct dual_shape *shape = t->shape;
	uint32_t best = NO_NODE, most = 0;

	for (uint32_t u = 0; u < shape->n_nodes; u++) {
		uint32_t score = 1;
		if (t->d->n[u] == 0 || t->now[u] != NO_NODE)
			continue;
		for (uint32_t k = shape->first[u]; k < shape->first[u + 1]; k++) {
			const struct dual_edge *edge = &shape->edges[shape->around[k]];
			score += t->now[edge->end[0] == u ? edge->end[1] : edge->end[0]] != NO_NODE ? 1000 : 1;
		}
		if (score > most) {
			most = score;
			best = u;
		}
	}
	return best;
}

/* Puts u where it costs least; with `bold` in 16 cases it passes such a place over. False: nowhere. */
static bool put_best(struct tabu *t, uint32_t u, uint32_t bold)
{
	uint32_t best = NO_NODE;

	for (uint32_t i = 0; i < t->d->n[u]; i++) {
		if (t->d->unary[t->d->at[u] + i] >= DUAL_NONE || !has_room(t, u, i))
			continue;
		if (best != NO_NODE && (price_at(t, u, i) >= price_at(t, u, best) || rng_below(t->ask->rng, 16) < bold))
			continue;
		best = i;
	}
	if (best != NO_NODE)
		put(t, u, best);
	return best != NO_NODE;
}

static bool begin(struct tabu *t, uint32_t start)
{
	const struct dual *d = t->d;
	bool placed = true;
	uint32_t u;

	for (u = 0; u < t->shape->n_nodes; u++)
		if (t->now[u] != NO_NODE)
			lift(t, u);
	t->cost = d->bound;
	if (start > 0) {
		u = rng_below(t->ask->rng, (uint32_t)t->shape->n_nodes);
		uint32_t i = d->n[u] > 0 ? rng_below(t->ask->rng, d->n[u]) : 0;
		if (d->n[u] > 0 && d->unary[d->at[u] + i] < DUAL_NONE && has_room(t, u, i))
			put(t, u, i);
	}
	while (placed && (u = choose(t)) != NO_NODE)
		placed = put_best(t, u, start > 1 ? 4 : 0);
	return placed;
}

/* ---- steps --------------------------------------------------------------------------------- */

/* What the swap of u and v costs, beside the two prices: each was priced as if the other stayed. */
static int64_t between(const struct tabu *t, uint32_t u, uint32_t i, uint32_t v, uint32_t j)
{
	const struct dual_shape *shape = t->shape;

	for (uint32_t k = shape->first[u]; k < shape->first[u + 1]; k++) {
		uint32_t e = shape->around[k];
		if (shape->edges[e].end[0] != v && shape->edges[e].end[1] != v)
			continue;
		int64_t sum = 0;
		const uint32_t at[4][2] = { { i, j }, { t->now[u], t->now[v] }, { i, t->now[v] }, { t->now[u], j } };
		for (int c = 0; c < 4; c++) {
			int32_t cost = pair_at(t->d, e, u, at[c][0], at[c][1]);
			sum += (c < 2 ? 1 : -1) * (cost < DUAL_NONE ? cost : FAR);
		}
		return sum;
	}
	return 0;
}

static uint32_t index_of(const struct tabu *t, uint32_t v, uint32_t a)
{
	for (uint32_t j = 0; j < t->d->n[v]; j++)
		if (node_of(t, v, j) == a)
			return t->d->unary[t->d->at[v] + j] < DUAL_NONE ? j : NO_NODE;
	return NO_NODE;
}

static bool is_tabu(const struct tabu *t, uint32_t u, uint32_t i)
{
	return t->until[t->d->at[u] + i] > t->step;
}

/* The best move that is not tabu, or that leads below `best`. False: there is none. */
static bool find_move(struct tabu *t, int64_t best, struct move *ret)
{
	const struct dual *d = t->d;

	*ret = (struct move){ .u = NO_NODE, .delta = FAR / 2 };
	for (uint32_t u = 0; u < t->shape->n_nodes; u++) {
		for (uint32_t i = 0; i < d->n[u]; i++) {
			struct move move = { u, i, NO_NODE, 0, price_at(t, u, i) - price_at(t, u, t->now[u]) };
			if (i == t->now[u] || d->unary[d->at[u] + i] >= DUAL_NONE)
				continue;
			bool banned = is_tabu(t, u, i);
			if (has_room(t, u, i)) {
				if (move.delta >= ret->delta || (banned && t->cost + move.delta >= best))
					continue;
				*ret = move;
				continue;
			}
			if (t->left) /* where hosts are shared, who is in the way leaves by itself */
				continue;
			move.with = t->guest[node_of(t, u, i)];
			if (move.with < u || (move.j = index_of(t, move.with, node_of(t, u, t->now[u]))) == NO_NODE)
				continue;
			move.delta += price_at(t, move.with, move.j) - price_at(t, move.with, t->now[move.with]) +
			              between(t, u, i, move.with, move.j);
			if (move.delta < ret->delta && (!(banned || is_tabu(t, move.with, move.j)) || t->cost + move.delta < best))
				*ret = move;
		}
	}
	return ret->u != NO_NODE;
}

static void do_move(struct tabu *t, const struct move *move)
{
	uint32_t tenure = 3 + rng_below(t->ask->rng, 2 + (uint32_t)t->shape->n_nodes);

	t->until[t->d->at[move->u] + t->now[move->u]] = t->step + tenure;
	lift(t, move->u);
	if (move->with != NO_NODE) {
		t->until[t->d->at[move->with] + t->now[move->with]] = t->step + tenure;
		lift(t, move->with);
		put(t, move->with, move->j);
	}
	put(t, move->u, move->i);
}

static int64_t offer(struct tabu *t, int64_t limit)
{
	if (t->cost > limit)
		return limit;
	for (uint32_t u = 0; u < t->shape->n_nodes; u++)
		t->place[u] = t->d->n[u] > 0 ? node_of(t, u, t->now[u]) : t->d->fixed[u];
	return t->ask->found(t->ask->arg, t->place, t->cost);
}

/* From where it stands, as long as `steps` in a row bring something. Returns the limit; below 0: stop. */
static int64_t wander(struct tabu *t, int64_t limit)
{
	int64_t best = t->cost;
	struct move move;

	for (uint32_t idle = 0; idle < t->ask->steps; idle++, t->step++) {
		bool found = find_move(t, best, &move);
		if (!t->ask->go_on(t->ask->arg, t->shape->n_nodes * t->shape->row / 4 + 1))
			return -1;
		if (!found || move.delta >= 0) { /* nothing near is cheaper */
			limit = offer(t, limit);
			if (limit < 0 || !found)
				return limit;
		}
		do_move(t, &move);
		if (t->cost < best) {
			best = t->cost;
			idle = 0;
		}
	}
	return limit;
}

static void tabu_init(struct tabu *t, const struct dual *d, const struct tabu_ask *ask)
{
	const struct dual_shape *shape = d->shape;
	size_t hosts = 0, n = shape->p->s->n_nodes;

	*t = (struct tabu){ .d = d, .shape = shape, .ask = ask };
	for (size_t u = 0; u < shape->n_nodes; u++)
		hosts += dual_row(d->n[u]);
	t->price = mem_array(hosts + 1, sizeof(*t->price));
	t->until = mem_array(hosts + 1, sizeof(*t->until));
	t->now = mem_array(shape->n_nodes + 1, sizeof(*t->now));
	t->place = mem_array(shape->n_nodes + 1, sizeof(*t->place));
	memset(t->now, 0xff, shape->n_nodes * sizeof(*t->now));
	for (size_t i = 0; i < hosts; i++)
		t->price[i] = d->unary[i] < DUAL_NONE ? d->unary[i] : FAR;
	if (shape->distinct) {
		t->guest = mem_array(n + 1, sizeof(*t->guest));
		memset(t->guest, 0xff, n * sizeof(*t->guest));
		return;
	}
	t->left = mem_dup(shape->p->left->node, n * sizeof(*t->left));
	for (uint32_t u = 0; u < shape->n_nodes; u++)
		for (int res = 0; d->n[u] == 0 && res < RES_COUNT; res++)
			if (t->left[d->fixed[u]][res] != UNLIMITED)
				t->left[d->fixed[u]][res] -= shape->p->r->nodes[u].demand[res];
}

void tabu_search(const struct dual *d, const struct tabu_ask *ask, int64_t limit)
{
	struct tabu t;

	tabu_init(&t, d, ask);
	for (uint32_t start = 0; start < ask->starts && limit >= 0; start++)
		if (begin(&t, start))
			limit = wander(&t, limit);
	free(t.price);
	free(t.until);
	free(t.now);
	free(t.guest);
	free(t.left);
	free(t.place);
}
