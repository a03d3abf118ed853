/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compressed sparse rows by counting sort: two passes over the links. */
#include "embed/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void graph_init(struct graph *g, const struct substrate *s)
{
	*g = (struct graph){ .n_nodes = s->n_nodes, .n_links = s->n_links };
	g->first = mem_array(s->n_nodes + 2, sizeof(*g->first));
	g->arcs = mem_array(2 * s->n_links + 1, sizeof(*g->arcs));
	g->ends = mem_array(s->n_links + 1, sizeof(*g->ends));

	/* first[v + 2] counts the arcs of v; after the sum first[v + 1] is where v's next arc goes,
	 * and when all are laid down first[v + 1] is where they end. */
	for (size_t l = 0; l < s->n_links; l++) {
		g->ends[l][0] = s->links[l].a;
		g->ends[l][1] = s->links[l].b;
		if (s->links[l].closed)
			continue;
		g->first[s->links[l].a + 2]++;
		g->first[s->links[l].b + 2]++;
	}
	for (size_t v = 2; v <= s->n_nodes + 1; v++)
		g->first[v] += g->first[v - 1];
	for (uint32_t l = 0; l < s->n_links; l++) {
		uint32_t a = g->ends[l][0], b = g->ends[l][1];
		if (s->links[l].closed)
			continue;
		g->arcs[g->first[a + 1]++] = (struct arc){ b, l };
		g->arcs[g->first[b + 1]++] = (struct arc){ a, l };
	}
}

void graph_done(struct graph *g)
{
	free(g->first);
	free(g->arcs);
	free(g->ends);
	memset(g, 0, sizeof(*g));
}
