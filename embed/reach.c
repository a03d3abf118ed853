/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See reach.h. */
#include "embed/reach.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void reach_done(struct reach *r)
{
	free(r->labels);
	free(r->settled);
	memset(r, 0, sizeof(*r));
}

static bool hopeless(const struct reach_label *label, const struct reach_goal *goals, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t ahead = goals[i].ahead[label->node];
		if (ahead != DIST_NONE && label->dist + ahead * goals[i].scale < goals[i].most)
			return false;
	}
	return n > 0;
}

static void push(struct reach *r, struct reach_label label, const struct reach_goal *goals, size_t n_goals)
{
	if (hopeless(&label, goals, n_goals))
		return;
	if (r->n_labels == r->cap_labels) {
		r->cap_labels = 2 * r->cap_labels + 256;
		r->labels = mem_grow(r->labels, r->cap_labels, sizeof(*r->labels));
	}
	r->labels[r->n_labels] = label;
	heap_push(&r->space->heap, label.dist, 0, (uint32_t)r->n_labels++);
}

/* Whether `node` has no use for one more arrival from the source. */
static bool settled(const struct reach *r, uint32_t node, uint32_t source)
{
	const uint32_t *at = r->settled[node];

	return at[1] != 0 || (at[0] != 0 && r->labels[at[0] - 1].source == source);
}

void reach_search(struct reach *r, const int64_t *weight, const int64_t *cap, int64_t need, const uint32_t *sources,
                  const int64_t *offset, size_t n, const struct reach_goal *goals, size_t n_goals)
{
	const struct graph *g = r->space->graph;
	struct heap *heap = &r->space->heap;

	if (!r->settled)
		r->settled = mem_array(g->n_nodes + 1, sizeof(*r->settled));
	memset(r->settled, 0, g->n_nodes * sizeof(*r->settled));
	heap->n = r->n_labels = 0;
	for (uint32_t i = 0; i < n; i++)
		push(r, (struct reach_label){ offset[i], sources[i], NO_LINK, NO_LABEL, i }, goals, n_goals);
	while (heap->n > 0) {
		uint32_t id = heap_pop(heap).id;
		struct reach_label at = r->labels[id];
		if (settled(r, at.node, at.source))
			continue;
		r->settled[at.node][r->settled[at.node][0] ? 1 : 0] = id + 1;
		r->space->work += g->first[at.node + 1] - g->first[at.node] + 1;
		for (uint32_t i = g->first[at.node]; i < g->first[at.node + 1]; i++) {
			struct arc arc = g->arcs[i];
			if (cap[arc.link] >= need && !settled(r, arc.to, at.source))
				push(r, (struct reach_label){ at.dist + weight[arc.link], arc.to, arc.link, id, at.source }, goals, n_goals);
		}
	}
}

uint32_t reach_arrival(const struct reach *r, const uint32_t *sources, uint32_t node, bool elsewhere)
{
	for (int i = 0; i < 2; i++) {
		uint32_t id = r->settled[node][i];
		if (id != 0 && (!elsewhere || sources[r->labels[id - 1].source] != node))
			return id - 1;
	}
	return NO_LABEL;
}

size_t reach_trace(const struct reach *r, uint32_t label, uint32_t *links)
{
	size_t n = 0;

	for (; r->labels[label].link != NO_LINK; label = r->labels[label].parent)
		links[n++] = r->labels[label].link;
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t swap = links[i];
		links[i] = links[n - 1 - i];
		links[n - 1 - i] = swap;
	}
	return n;
}

bool reach_simple(const struct reach *r, uint32_t label)
{
	uint32_t end = r->labels[label].node;

	for (label = r->labels[label].parent; label != NO_LABEL; label = r->labels[label].parent)
		if (r->labels[label].node == end)
			return false;
	return true;
}
