/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See cut.h: the weighing of one cut. */
#include "embed/cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	DIVISIONS_MAX = 20000, /* steps of the search for a division */
	ITEMS_MAX = 12,        /* whole paths that are fitted onto single links one by one */
	BORDER_MAX = 12,
	FITS_MAX = 4000        /* steps of that */
};

struct weigh {
	const struct problem *p;
	const uint8_t *inside;
	struct cut *cut;
	uint32_t *border;     /* its links */
	uint32_t *order;      /* virtual nodes, those without a choice first, then joined ones */
	uint8_t *may;         /* per virtual node: 1 it has a candidate outside, 2 inside */
	int8_t *side;         /* -1: not yet */
	size_t hosts[2], used[2];
	int64_t cpu[2];       /* left on the candidates of each side; UNLIMITED */
	uint64_t steps;
	bool found, gave_up;
};

/* Two links of the border that the primary and the backup of k may cross by. */
static bool pair_crosses(const struct weigh *w, const struct vlink *k)
{
	const int64_t *left = w->p->left->link_kbps;

	for (size_t i = 0; i < w->cut->n_border; i++)
		for (size_t j = i + 1; j < w->cut->n_border && left[w->border[i]] >= k->bw_kbps; j++)
			if (left[w->border[j]] >= k->bw_kbps && !problem_shares_risk(w->p, w->border[i], w->border[j]))
				return true;
	return false;
}

/* What k takes of the border where its ends are on two sides; INT64_MAX: it cannot be. */
static int64_t crossing(const struct weigh *w, const struct vlink *k)
{
	if (k->protect)
		return pair_crosses(w, k) ? 2 * k->bw_kbps : INT64_MAX;
	if (k->bw_kbps == 0)
		return w->cut->n_border > 0 ? 0 : INT64_MAX;
	if (!k->split && k->bw_kbps > w->cut->widest_kbps)
		return INT64_MAX;
	return k->bw_kbps;
}

/* Whether whole paths, the largest first, fit onto the border's links. Wrongly true where there are too many. */
static bool fit_from(const int64_t *item, size_t n, size_t i, int64_t *bin, size_t bins, int *steps)
{
	if (i == n || --*steps <= 0)
		return true;
	for (size_t b = 0; b < bins; b++) {
		bool tried = bin[b] < item[i];
		for (size_t c = 0; c < b && !tried; c++)
			tried = bin[c] == bin[b];
		if (tried)
			continue;
		bin[b] -= item[i];
		bool fits = fit_from(item, n, i + 1, bin, bins, steps);
		bin[b] += item[i];
		if (fits)
			return true;
	}
	return false;
}

static bool crosses(const struct weigh *w, const struct vlink *k)
{
	return w->side[k->a] != w->side[k->b];
}

static bool pieces_fit(const struct weigh *w)
{
	int64_t item[ITEMS_MAX], bin[BORDER_MAX];
	size_t n = 0;
	int steps = FITS_MAX;

	if (w->cut->n_border > BORDER_MAX)
		return true;
	for (size_t k = 0; k < w->p->r->n_links; k++) {
		const struct vlink *link = &w->p->r->links[k];
		if (link->split || link->bw_kbps == 0 || !crosses(w, link))
			continue;
		for (int copy = 0; copy <= link->protect; copy++) {
			if (n == ITEMS_MAX)
				return true;
			size_t at = n++;
			for (; at > 0 && item[at - 1] < link->bw_kbps; at--)
				item[at] = item[at - 1];
			item[at] = link->bw_kbps;
		}
	}
	for (size_t b = 0; b < w->cut->n_border; b++)
		bin[b] = w->p->left->link_kbps[w->border[b]];
	return fit_from(item, n, 0, bin, w->cut->n_border, &steps);
}

static void note_division(struct weigh *w, int64_t across)
{
	struct cut *cut = w->cut;
	size_t n = w->p->r->n_nodes;

	if (across <= cut->left_kbps && pieces_fit(w)) {
		w->found = true;
		return;
	}
	if (across >= cut->need_kbps)
		return;
	cut->need_kbps = across;
	if (!cut->side)
		cut->side = mem_array(n + 1, 1);
	for (size_t u = 0; u < n; u++)
		cut->side[u] = (uint8_t)w->side[u];
}

/* What putting u on `side` sends across to those placed; INT64_MAX: it cannot be. */
static int64_t sends(const struct weigh *w, uint32_t u, int side)
{
	const struct problem *p = w->p;
	int64_t sum = 0;

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
		int other = w->side[p->varcs[i].to];
		if (other < 0 || other == side)
			continue;
		int64_t each = crossing(w, &p->r->links[p->varcs[i].link]);
		if (each == INT64_MAX)
			return INT64_MAX;
		sum += each;
	}
	return sum;
}

static bool has_room(const struct weigh *w, uint32_t u, int side)
{
	if (!(w->may[u] & 1 << side))
		return false;
	if (w->p->r->placement == PLACEMENT_DISTINCT && w->used[side] == w->hosts[side])
		return false;
	return w->cpu[side] >= w->p->r->nodes[u].demand[RES_CPU_MILLI];
}

static void divide(struct weigh *w, size_t depth, int64_t across)
{
	if (w->found || w->gave_up)
		return;
	if (++w->steps > DIVISIONS_MAX) {
		w->gave_up = true;
		return;
	}
	if (depth == w->p->r->n_nodes) {
		note_division(w, across);
		return;
	}
	uint32_t u = w->order[depth];
	int64_t cost[2] = { sends(w, u, 0), sends(w, u, 1) }, cpu = w->p->r->nodes[u].demand[RES_CPU_MILLI];
	int first = cost[1] < cost[0];
	for (int i = 0; i < 2; i++) {
		int side = i == 0 ? first : !first;
		/* One that fits ends the search; of others only the least counts. */
		if (!has_room(w, u, side) || cost[side] == INT64_MAX ||
		    (across + cost[side] > w->cut->left_kbps && across + cost[side] >= w->cut->need_kbps))
			continue;
		bool limited = w->cpu[side] != UNLIMITED;
		w->side[u] = (int8_t)side;
		w->used[side]++;
		w->cpu[side] -= limited ? cpu : 0;
		divide(w, depth + 1, across + cost[side]);
		w->cpu[side] += limited ? cpu : 0;
		w->used[side]--;
		w->side[u] = -1;
	}
}

/* Those without a choice, then always the one with most links to those before it. */
static void make_order(struct weigh *w)
{
	const struct problem *p = w->p;
	size_t n = p->r->n_nodes;
	mem_auto uint32_t *score = mem_array(n + 1, sizeof(*score));

	for (size_t u = 0; u < n; u++)
		score[u] = w->may[u] == 3 ? 1 : UINT32_MAX / 2;
	for (size_t i = 0; i < n; i++) {
		uint32_t best = 0;
		for (uint32_t u = 1; u < n; u++)
			if (score[u] > score[best])
				best = u;
		w->order[i] = best;
		score[best] = 0;
		for (uint32_t j = p->vfirst[best]; j < p->vfirst[best + 1]; j++)
			if (score[p->varcs[j].to] > 0)
				score[p->varcs[j].to]++;
	}
}

static void sum_sides(struct weigh *w)
{
	const struct problem *p = w->p;
	mem_auto uint8_t *seen = mem_array(p->s->n_nodes + 1, 1);

	for (size_t u = 0; u < p->r->n_nodes; u++) {
		w->side[u] = -1;
		for (size_t i = 0; i < p->cand[u].n; i++) {
			uint32_t a = p->cand[u].v[i];
			int side = w->inside[a] ? 1 : 0;
			int64_t cpu = p->left->node[a][RES_CPU_MILLI];
			w->may[u] |= (uint8_t)(1 << side);
			if (seen[a]++ > 0) {
				seen[a] = 1;
				continue;
			}
			w->hosts[side]++;
			if (__builtin_add_overflow(w->cpu[side], cpu, &w->cpu[side]))
				w->cpu[side] = UNLIMITED;
		}
	}
}

static void find_border(struct weigh *w)
{
	const struct problem *p = w->p;

	for (uint32_t l = 0; l < p->s->n_links; l++) {
		int64_t left = p->left->link_kbps[l];
		if (!w->inside[p->graph.ends[l][0]] == !w->inside[p->graph.ends[l][1]])
			continue;
		w->border[w->cut->n_border++] = l;
		w->cut->left_kbps += left;
		if (left > w->cut->widest_kbps)
			w->cut->widest_kbps = left;
	}
}

/* A virtual link whose ends have no choice, and that its own width or protection keeps from crossing. */
static size_t find_stuck(const struct weigh *w)
{
	const struct request *r = w->p->r;

	for (size_t k = 0; k < r->n_links; k++) {
		uint8_t a = w->may[r->links[k].a], b = w->may[r->links[k].b];
		if (a != 3 && b != 3 && a != b && crossing(w, &r->links[k]) == INT64_MAX)
			return k;
	}
	return SIZE_MAX;
}

bool cut_weigh(const struct problem *p, const uint8_t *inside, uint64_t *work, struct cut *ret)
{
	size_t n = p->r->n_nodes;
	mem_auto uint32_t *border = mem_array(p->s->n_links + 1, sizeof(*border)), *order = mem_array(n + 1, sizeof(*order));
	mem_auto uint8_t *may = mem_array(n + 1, 1);
	mem_auto int8_t *side = mem_array(n + 1, 1);
	struct weigh w = { .p = p, .inside = inside, .cut = ret, .border = border, .order = order, .may = may, .side = side };

	*ret = (struct cut){ .need_kbps = INT64_MAX, .forced = true };
	find_border(&w);
	sum_sides(&w);
	make_order(&w);
	for (size_t u = 0; u < n; u++)
		ret->forced = ret->forced && w.may[u] != 3;
	divide(&w, 0, 0);
	*work += p->s->n_links + p->s->n_nodes + w.steps * 4;
	ret->stuck = find_stuck(&w);
	ret->pieces = ret->need_kbps <= ret->left_kbps;
	if (!w.found && !w.gave_up)
		return true;
	free(ret->side);
	ret->side = NULL;
	return false;
}
