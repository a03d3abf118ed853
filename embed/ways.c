/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See ways.h. The walk keeps its own stack, so that a long path costs memory, not the thread's stack. */
#include "embed/ways.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct step {
	uint32_t node, next; /* next: index of the arc to try */
	int64_t delay;
};

struct walk {
	const struct ways_query *q;
	struct step *at;
	uint32_t *links;   /* taken so far: one less than steps */
	uint8_t *seen;
	size_t depth;
};

static void append(struct ways *w, const struct walk *walk)
{
	size_t n = walk->depth - 1;

	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 16;
		w->v = mem_grow(w->v, w->cap, sizeof(*w->v));
	}
	if (w->n_links + n > w->cap_links) {
		w->cap_links = 2 * (w->n_links + n);
		w->links = mem_grow(w->links, w->cap_links, sizeof(*w->links));
	}
	memcpy(w->links + w->n_links, walk->links, n * sizeof(*w->links));
	w->v[w->n++] = (struct way){ walk->at[0].node, walk->at[walk->depth - 1].node, w->n_links, n };
	w->n_links += n;
}

static void enter(struct walk *walk, uint32_t node, int64_t delay)
{
	walk->at[walk->depth++] = (struct step){ node, walk->q->graph->first[node], delay };
	walk->seen[node] = 1;
}

/* Whether the arc leads on: usable, to a node not on the path, from where a target is in reach in time. */
static bool leads_on(const struct walk *walk, const struct step *at, const struct arc *arc)
{
	const struct ways_query *q = walk->q;
	int64_t rest = q->max_delay - at->delay - q->delay[arc->link];
	int way = q->graph->ends[arc->link][0] == at->node ? 0 : 1;

	return q->usable[2 * (size_t)arc->link + (size_t)way] && !walk->seen[arc->to] && q->to_go[arc->to] <= rest;
}

bool ways_find(struct ways *w, const struct ways_query *q, uint32_t from, uint64_t *ret_steps)
{
	const struct graph *g = q->graph;
	struct walk walk = { .q = q };
	uint64_t steps = 0;
	bool few = true;

	walk.at = mem_array(g->n_nodes + 1, sizeof(*walk.at));
	walk.links = mem_array(g->n_nodes + 1, sizeof(*walk.links));
	walk.seen = mem_array(g->n_nodes + 1, 1);
	enter(&walk, from, 0);
	while (walk.depth > 0 && few) {
		struct step *at = &walk.at[walk.depth - 1];
		if (at->next == g->first[at->node + 1]) {
			walk.seen[at->node] = 0;
			walk.depth--;
			continue;
		}
		const struct arc *arc = &g->arcs[at->next++];
		few = ++steps <= q->steps;
		if (!leads_on(&walk, at, arc))
			continue;
		walk.links[walk.depth - 1] = arc->link;
		enter(&walk, arc->to, at->delay + q->delay[arc->link]);
		if (!q->target[arc->to])
			continue;
		few = few && w->n < q->most;
		if (few)
			append(w, &walk);
	}
	*ret_steps += steps;
	free(walk.at);
	free(walk.links);
	free(walk.seen);
	return few;
}

void ways_done(struct ways *w)
{
	free(w->v);
	free(w->links);
	*w = (struct ways){ 0 };
}
