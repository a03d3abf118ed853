/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See anneal.h. Most moves are to the neighbourhood of somebody that the virtual node is joined to, onto a free
 * node or in exchange with who stands there. Distances are the same both ways, so what a virtual node would cost
 * somewhere is read from the one row of that place; what everyone costs where they stand is kept, and most moves
 * are given up after a few links, when they already cost more than they may. */
#include "embed/anneal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	NOBODY = 0,
	AFAR = 16,            /* one move in so many, and one per spot, goes anywhere */
	BETWEEN = 8,          /* all but one of so many of the others go beside two neighbours' hosts, not one */
	SURE = 1 << 10,       /* parts that the threshold is drawn in */
	ADDS = 4,             /* links priced that take as long as an arc looked at */
	SETS_MOST = 2048,     /* nodes, for sets of them */
	NO_WAY = UINT16_MAX,
	LINK_BITS = 12        /* of what a link weighs, at most; 16 of a whole path */
};
#define BARRED (INT64_C(1) << 61)

struct state {
	struct anneal *a;
	const struct problem *p;
	uint16_t **row;         /* per class and spot, small and so near at hand; NULL: not asked for yet */
	int shift;              /* of its distances */
	uint32_t *spot;         /* per virtual node */
	uint32_t *guest;        /* per spot: virtual node + 1 */
	uint32_t *best;         /* spots */
	int64_t *here;          /* per virtual node: what it and its links cost */
	int64_t cost, least;    /* against the beginning */
	uint64_t *beside;       /* per node: the set of its neighbours; NULL where there are too many */
	uint32_t words;         /* of a set */
	uint64_t added;
};

bool anneal_can(const struct rows *rows)
{
	return rows->p->r->placement == PLACEMENT_DISTINCT && rows->max_rows >= rows->n_classes * rows->n_spots;
}

static const uint16_t *row_from(struct state *s, uint32_t k, uint32_t spot)
{
	struct rows *rows = s->a->rows;
	uint16_t **row = &s->row[(size_t)rows->class_of[k] * rows->n_spots + spot];

	if (*row)
		return *row;
	const uint32_t *dist = rows_get(rows, k, rows->node_of[spot]);
	*row = mem_array(rows->n_spots + 1, sizeof(**row));
	for (uint32_t i = 0; i < rows->n_spots; i++)
		(*row)[i] = dist[i] == ROW_NONE           ? NO_WAY
		            : dist[i] >> s->shift < NO_WAY ? (uint16_t)(dist[i] >> s->shift)
		                                           : NO_WAY - 1;
	return *row;
}

/* What u costs at `spot`; more than `most`: that much at least, or it cannot be reached there. */
static int64_t price(struct state *s, uint32_t u, uint32_t spot, int64_t most)
{
	const struct problem *p = s->p;
	double node = (double)p->r->nodes[u].demand[RES_CPU_MILLI] * s->a->node_price[s->a->rows->node_of[spot]];
	int64_t sum = node < 0x1p60 ? (int64_t)node >> s->shift : INT64_C(1) << 60;
	uint32_t i = p->vfirst[u];

	for (; i < p->vfirst[u + 1] && sum <= most; i++) {
		struct varc arc = p->varcs[i];
		if (s->a->bw[arc.link] == 0)
			continue;
		uint16_t dist = row_from(s, arc.link, spot)[s->spot[arc.to]];
		if (dist == NO_WAY)
			return BARRED;
		sum += s->a->bw[arc.link] * dist;
	}
	s->added += i - p->vfirst[u];
	return sum;
}

/* The neighbours of u cost something else now that it went. */
static void tell_others(struct state *s, uint32_t u, uint32_t from, uint32_t to)
{
	const struct problem *p = s->p;

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
		struct varc arc = p->varcs[i];
		if (s->a->bw[arc.link] == 0)
			continue;
		int64_t before = row_from(s, arc.link, from)[s->spot[arc.to]], now = row_from(s, arc.link, to)[s->spot[arc.to]];
		s->here[arc.to] += s->a->bw[arc.link] * (now - before);
	}
	s->added += 2 * (p->vfirst[u + 1] - p->vfirst[u]);
}

/* The host of someone that u is joined to. */
static uint32_t draw_neighbour(const struct state *s, uint32_t u)
{
	const struct problem *p = s->p;
	uint32_t degree = p->vfirst[u + 1] - p->vfirst[u], other = p->varcs[p->vfirst[u] + rng_below(s->a->rng, degree)].to;

	return s->a->rows->node_of[s->spot[other]];
}

/* Beside both nodes; NO_NODE where nothing is. */
static uint32_t draw_between(struct state *s, uint32_t a, uint32_t b)
{
	const uint64_t *x = &s->beside[(size_t)a * s->words], *y = &s->beside[(size_t)b * s->words];
	uint32_t turn = rng_below(s->a->rng, 64 * s->words), by = turn % 64, w = turn / 64;

	for (uint32_t i = 0; i < s->words; i++, w = w + 1 < s->words ? w + 1 : 0) {
		uint64_t both = x[w] & y[w];
		if (both == 0)
			continue;
		both = both >> by | both << (64 - by) % 64;
		return w * 64 + ((uint32_t)__builtin_ctzll(both) + by) % 64;
	}
	return NO_NODE;
}

/* Somewhere that u may go: beside the hosts of two that it is joined to, of one, or anywhere. */
static uint32_t draw_place(struct state *s, uint32_t u)
{
	const struct problem *p = s->p;
	const struct graph *g = &p->graph;

	if (p->vfirst[u + 1] == p->vfirst[u] || rng_below(s->a->rng, AFAR + s->a->rows->n_spots) == 0)
		return p->cand[u].v[rng_below(s->a->rng, (uint32_t)p->cand[u].n)];
	uint32_t at = draw_neighbour(s, u);
	if (s->words > 0 && rng_below(s->a->rng, BETWEEN) > 0) {
		uint32_t to = draw_between(s, at, draw_neighbour(s, u));
		if (to != NO_NODE)
			return to;
	}
	uint32_t arcs = g->first[at + 1] - g->first[at];
	return arcs > 0 ? g->arcs[g->first[at] + rng_below(s->a->rng, arcs)].to : at;
}

static void find_beside(struct state *s)
{
	const struct graph *g = &s->p->graph;
	uint32_t words = (uint32_t)(g->n_nodes + 63) / 64;

	if (g->n_nodes > SETS_MOST)
		return;
	s->words = words;
	s->beside = mem_array(g->n_nodes * words + 1, sizeof(*s->beside));
	for (size_t l = 0; l < g->n_links; l++) {
		uint32_t a = g->ends[l][0], b = g->ends[l][1];
		s->beside[(size_t)a * words + b / 64] |= UINT64_C(1) << b % 64;
		s->beside[(size_t)b * words + a / 64] |= UINT64_C(1) << a % 64;
	}
}

/* Takes the move if it costs no more than `threshold` more. */
static void try_move(struct state *s, uint32_t u, uint32_t node, int64_t threshold)
{
	const struct problem *p = s->p;
	const struct rows *rows = s->a->rows;
	uint32_t from = s->spot[u], to = rows->spot_of[node], other = NO_NODE;

	if (!p->is_cand[u][node] || to == from)
		return;
	if (s->guest[to] != NOBODY) {
		other = s->guest[to] - 1;
		if (!p->is_cand[other][rows->node_of[from]])
			return;
	}
	int64_t now = s->here[u] + (other != NO_NODE ? s->here[other] : 0), back = 0;
	s->spot[u] = to;
	if (other != NO_NODE)
		s->spot[other] = from;
	int64_t then = price(s, u, to, now + threshold);
	if (other != NO_NODE && then <= now + threshold)
		back = price(s, other, from, now + threshold - then);
	if (then > now + threshold || back > now + threshold - then) {
		s->spot[u] = from;
		if (other != NO_NODE)
			s->spot[other] = to;
		return;
	}
	s->guest[from] = other != NO_NODE ? other + 1 : NOBODY;
	s->guest[to] = u + 1;
	tell_others(s, u, from, to);
	s->here[u] = then;
	if (other != NO_NODE) {
		tell_others(s, other, to, from);
		s->here[u] = price(s, u, to, INT64_MAX);
		s->here[other] = back;
	}
	s->cost += then + back - now;
	if (s->cost < s->least) {
		s->least = s->cost;
		memcpy(s->best, s->spot, p->r->n_nodes * sizeof(*s->best));
	}
}

/* How far a link goes on average, at least 1; finds how many bits of distances fit in a row. */
static int64_t weigh_links(struct state *s)
{
	const struct problem *p = s->p;
	int64_t most = 0, sum = 0, n = (int64_t)p->s->n_links;

	if (p->link_unit > 0 || n == 0)
		return 1;
	for (size_t l = 0; l < p->s->n_links; l++) {
		int64_t weight = p->link_weight[l] / (int64_t)s->a->rows->unit;
		sum += weight / n;
		most = weight > most ? weight : most;
	}
	while (most >> s->shift >> LINK_BITS != 0)
		s->shift++;
	return (sum >> s->shift) + 1;
}

uint64_t anneal_run(struct anneal *a, uint64_t moves)
{
	const struct problem *p = a->rows->p;
	struct state s = { .a = a, .p = p };
	uint32_t n = (uint32_t)p->r->n_nodes;
	int64_t hot = 0, link = weigh_links(&s);

	find_beside(&s);

	s.row = mem_array(a->rows->n_classes * a->rows->n_spots + 1, sizeof(*s.row));
	s.guest = mem_array(a->rows->n_spots + 1, sizeof(*s.guest));
	s.spot = mem_array(n + 1, sizeof(*s.spot));
	s.here = mem_array(n + 1, sizeof(*s.here));
	for (uint32_t u = 0; u < n; u++) {
		s.spot[u] = a->rows->spot_of[a->host[u]];
		s.guest[s.spot[u]] = u + 1;
	}
	for (uint32_t u = 0; u < n; u++)
		s.here[u] = price(&s, u, s.spot[u], INT64_MAX);
	s.best = mem_dup(s.spot, (n + 1) * sizeof(*s.best));
	/* Hot: at first some four and a half average links may become longer by one. */
	for (uint32_t k = 0; k < p->r->n_links; k++)
		hot += a->bw[k] / (int64_t)p->r->n_links;
	hot = hot * 9 / 2 * link;
	for (uint64_t i = 0; i < moves; i++) {
		int64_t heat = (int64_t)((double)hot * (double)(moves - i) / (double)moves);
		uint32_t u = rng_below(a->rng, n), to = draw_place(&s, u);
		int64_t threshold = heat / SURE * rng_below(a->rng, SURE);
		try_move(&s, u, to, threshold);
	}
	for (uint32_t u = 0; u < n; u++)
		a->host[u] = a->rows->node_of[s.best[u]];
	free(s.beside);
	for (size_t i = 0; i < a->rows->n_classes * a->rows->n_spots; i++)
		free(s.row[i]);
	free(s.row);
	free(s.guest);
	free(s.spot);
	free(s.here);
	free(s.best);
	return moves + s.added / ADDS;
}
