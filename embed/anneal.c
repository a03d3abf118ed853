/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See anneal.h. Most moves are to the neighbourhood of somebody that the virtual node is joined to, onto a free
 * node or in exchange with who stands there. */
#include "embed/anneal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { NEVER = 0, SHARE = 1024, AFAR = 16 /* one move in so many goes anywhere */ };
#define BARRED INT64_MAX

struct state {
	struct anneal *a;
	const struct problem *p;
	const uint32_t **row;   /* per virtual link and end: from the host of that end */
	uint32_t *guest;        /* per substrate node: virtual node + 1 */
	uint32_t *best;
	int64_t cost, least;    /* against the beginning */
};

bool anneal_can(const struct rows *rows)
{
	return rows->p->r->placement == PLACEMENT_DISTINCT && rows->max_rows >= rows->n_classes * rows->n_spots;
}

/* What u costs on node `at`, links to `except` left out; BARRED: it cannot be reached there. */
static int64_t price(const struct state *s, uint32_t u, uint32_t at, uint32_t except)
{
	const struct problem *p = s->p;
	const struct rows *rows = s->a->rows;
	double node = (double)p->r->nodes[u].demand[RES_CPU_MILLI] * s->a->node_price[at];
	int64_t sum = node < 0x1p60 ? (int64_t)node : INT64_C(1) << 60;

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
		struct varc arc = p->varcs[i];
		if (arc.to == except)
			continue;
		uint32_t dist = s->row[2 * arc.link + (p->r->links[arc.link].a == u ? 1 : 0)][rows->spot_of[at]];
		if (dist == ROW_NONE)
			return BARRED;
		sum += s->a->bw[arc.link] * dist;
	}
	return sum;
}

static void stand(struct state *s, uint32_t u, uint32_t at)
{
	const struct problem *p = s->p;

	s->a->host[u] = at;
	s->guest[at] = u + 1;
	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
		uint32_t k = p->varcs[i].link;
		s->row[2 * k + (p->r->links[k].a == u ? 0 : 1)] = rows_get(s->a->rows, k, at);
	}
}

/* Somewhere that u may go: beside the host of someone it is joined to, on it, or anywhere. */
static uint32_t draw_place(const struct state *s, uint32_t u)
{
	const struct problem *p = s->p;
	const struct graph *g = &p->graph;
	uint32_t degree = p->vfirst[u + 1] - p->vfirst[u];

	if (degree == 0 || rng_below(s->a->rng, AFAR) == 0)
		return p->cand[u].v[rng_below(s->a->rng, (uint32_t)p->cand[u].n)];
	uint32_t at = s->a->host[p->varcs[p->vfirst[u] + rng_below(s->a->rng, degree)].to];
	uint32_t arcs = g->first[at + 1] - g->first[at];
	return arcs > 0 ? g->arcs[g->first[at] + rng_below(s->a->rng, arcs)].to : at;
}

static void try_move(struct state *s, int64_t threshold)
{
	const struct problem *p = s->p;
	uint32_t *host = s->a->host, u = rng_below(s->a->rng, (uint32_t)p->r->n_nodes), to = draw_place(s, u), from = host[u];
	uint32_t other = s->guest[to] != NEVER ? s->guest[to] - 1 : NO_NODE;

	if (to == from || !p->is_cand[u][to] || (other != NO_NODE && !p->is_cand[other][from]))
		return;
	int64_t now = price(s, u, from, other), then = price(s, u, to, other);
	if (then == BARRED)
		return;
	if (other != NO_NODE) {
		int64_t back = price(s, other, from, u);
		if (back == BARRED)
			return;
		now += price(s, other, to, u);
		then += back;
	}
	if (then - now > threshold)
		return;
	s->guest[from] = NEVER;
	stand(s, u, to);
	if (other != NO_NODE)
		stand(s, other, from);
	s->cost += then - now;
	if (s->cost < s->least) {
		s->least = s->cost;
		memcpy(s->best, host, p->r->n_nodes * sizeof(*host));
	}
}

uint64_t anneal_run(struct anneal *a, uint64_t moves)
{
	const struct problem *p = a->rows->p;
	struct state s = { .a = a, .p = p };
	int64_t hot = 0;

	s.row = mem_array(2 * p->r->n_links + 1, sizeof(*s.row));
	s.guest = mem_array(p->s->n_nodes + 1, sizeof(*s.guest));
	s.best = mem_dup(a->host, (p->r->n_nodes + 1) * sizeof(*s.best));
	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		stand(&s, u, a->host[u]);
	/* Hot: at first three average links may become longer by one. */
	for (uint32_t k = 0; k < p->r->n_links; k++)
		hot += a->bw[k] / (int64_t)p->r->n_links;
	hot *= p->link_unit > 0 ? 3 : INT64_C(3) << 10;
	for (uint64_t i = 0; i < moves; i++) {
		int64_t heat = (int64_t)((double)hot * (double)(moves - i) / (double)moves);
		try_move(&s, heat / SHARE * rng_below(a->rng, SHARE));
	}
	memcpy(a->host, s.best, p->r->n_nodes * sizeof(*s.best));
	free(s.row);
	free(s.guest);
	free(s.best);
	return moves * (2 + 4 * p->r->n_links / (p->r->n_nodes + 1)) / 2;
}
