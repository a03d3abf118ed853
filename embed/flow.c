/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See flow.h. An undirected link is one variable: its signed flow. Against the flow a link gives
 * weight back up to what it carries, then costs again: convex, so shortest augmenting paths
 * stay optimal. */
#include "embed/flow.h"

#include <stdlib.h>

#include "base/mem.h"

/* What one more unit over link l towards its end `to_end` costs, and how many units at that price. */
static int64_t arc_price(const int64_t *weight, const int64_t *room, const int64_t *flow, uint32_t l, int to_end,
                         int64_t *ret_units)
{
	int64_t along = to_end == 1 ? flow[l] : -flow[l];

	if (along < 0) {
		*ret_units = -along;
		return -weight[l];
	}
	*ret_units = room[l] - along;
	return weight[l];
}

static bool flow_search(struct path_space *ps, const int64_t *weight, const int64_t *room, const int64_t *flow,
                        const int64_t *potential, uint32_t from, uint32_t to)
{
	const struct graph *g = ps->graph;

	for (size_t v = 0; v < g->n_nodes; v++) {
		ps->dist[v] = DIST_NONE;
		ps->settled[v] = 0;
	}
	ps->heap.n = 0;
	ps->dist[from] = 0;
	ps->via[from] = NO_LINK;
	heap_push(&ps->heap, 0, 0, from);
	while (ps->heap.n > 0) {
		uint32_t v = heap_pop(&ps->heap).id;
		if (ps->settled[v])
			continue;
		ps->settled[v] = 1;
		ps->work += g->first[v + 1] - g->first[v] + 1;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			int64_t units, price = arc_price(weight, room, flow, l, g->ends[l][1] == w ? 1 : 0, &units);
			if (units <= 0 || ps->settled[w])
				continue;
			int64_t dist = ps->dist[v] + price + potential[v] - potential[w];
			if (dist >= ps->dist[w])
				continue;
			ps->dist[w] = dist;
			ps->via[w] = l;
			heap_push(&ps->heap, dist, 0, w);
		}
	}
	return ps->dist[to] != DIST_NONE;
}

bool flow_send(struct path_space *ps, const int64_t *weight, const int64_t *room, uint32_t from, uint32_t to,
               int64_t amount, int64_t *flow)
{
	const struct graph *g = ps->graph;
	mem_auto int64_t *potential = mem_array(g->n_nodes + 1, sizeof(*potential));

	for (size_t l = 0; l < g->n_links; l++)
		flow[l] = 0;
	ps->round++; /* what an earlier search left is no longer valid */
	while (amount > 0) {
		if (!flow_search(ps, weight, room, flow, potential, from, to))
			return false;
		int64_t units, push = amount, far = 0;
		for (uint32_t v = to; v != from;) {
			uint32_t l = ps->via[v];
			int end = g->ends[l][1] == v ? 1 : 0;
			(void)arc_price(weight, room, flow, l, end, &units);
			push = units < push ? units : push;
			v = g->ends[l][1 - end];
		}
		for (uint32_t v = to; v != from;) {
			uint32_t l = ps->via[v];
			int end = g->ends[l][1] == v ? 1 : 0;
			flow[l] += end == 1 ? push : -push;
			v = g->ends[l][1 - end];
		}
		amount -= push;
		/* What was not reached stays behind a full cut: as far away as the farthest keeps the
		 * reduced prices that matter from going below zero. */
		for (size_t v = 0; v < g->n_nodes; v++)
			if (ps->dist[v] != DIST_NONE && ps->dist[v] > far)
				far = ps->dist[v];
		for (size_t v = 0; v < g->n_nodes; v++)
			potential[v] += ps->dist[v] != DIST_NONE ? ps->dist[v] : far;
	}
	return true;
}

/* The widest path along the flow; 0 where there is none. Leaves via[] behind. */
static int64_t flow_widest(struct path_space *ps, const int64_t *flow, uint32_t from, uint32_t to)
{
	const struct graph *g = ps->graph;

	for (size_t v = 0; v < g->n_nodes; v++) {
		ps->dist[v] = 0; /* minus the width */
		ps->settled[v] = 0;
	}
	ps->heap.n = 0;
	ps->dist[from] = INT64_MIN;
	heap_push(&ps->heap, INT64_MIN, 0, from);
	while (ps->heap.n > 0) {
		uint32_t v = heap_pop(&ps->heap).id;
		if (ps->settled[v])
			continue;
		ps->settled[v] = 1;
		if (v == to)
			break;
		ps->work += g->first[v + 1] - g->first[v] + 1;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			int64_t along = g->ends[l][1] == w ? flow[l] : -flow[l];
			int64_t wide = -along > ps->dist[v] ? -along : ps->dist[v];
			if (along <= 0 || wide >= ps->dist[w])
				continue;
			ps->dist[w] = wide;
			ps->via[w] = l;
			heap_push(&ps->heap, wide, 0, w);
		}
	}
	return -ps->dist[to];
}

size_t flow_split(struct path_space *ps, uint32_t from, uint32_t to, int64_t *flow, struct flow_path *paths,
                  size_t max)
{
	const struct graph *g = ps->graph;
	size_t n = 0;

	ps->round++;
	for (int64_t wide; (wide = flow_widest(ps, flow, from, to)) > 0; n++) {
		if (n == max)
			return SIZE_MAX;
		struct flow_path *p = &paths[n];
		p->n = 0;
		p->amount = wide;
		for (uint32_t v = to; v != from;) {
			uint32_t l = ps->via[v];
			int end = g->ends[l][1] == v ? 1 : 0;
			flow[l] -= end == 1 ? wide : -wide;
			p->links[p->n++] = l;
			v = g->ends[l][1 - end];
		}
		for (size_t i = 0; i < p->n / 2; i++) {
			uint32_t swap = p->links[i];
			p->links[i] = p->links[p->n - 1 - i];
			p->links[p->n - 1 - i] = swap;
		}
	}
	return n;
}
