/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routes through nodes without an agent. A tunnel passes through a run of them from an agent's
 * underlay address on the first link to another agent's on the last; in between stand plain IPv4
 * routers. Each agent's end of a link into a switch is a destination (/32), reached from
 * everywhere around by the fewest switches. As with real switches, the way between two agents
 * is the switches' own: a route knows its destination only. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "tools/vnlab/lab.h"

struct adjacency {
	size_t *first; /* n_nodes + 1 */
	uint32_t *link;
};

static struct adjacency adjacency_make(const struct substrate *s)
{
	struct adjacency a = { mem_array(s->n_nodes + 2, sizeof(size_t)), mem_array(2 * s->n_links + 1, sizeof(uint32_t)) };
	for (size_t i = 0; i < s->n_links; i++) {
		a.first[s->links[i].a + 2]++;
		a.first[s->links[i].b + 2]++;
	}
	for (size_t i = 2; i < s->n_nodes + 2; i++)
		a.first[i] += a.first[i - 1];
	for (size_t i = 0; i < s->n_links; i++) {
		a.link[a.first[s->links[i].a + 1]++] = (uint32_t)i;
		a.link[a.first[s->links[i].b + 1]++] = (uint32_t)i;
	}
	return a;
}

void switches_routes(const struct lab *lab, struct lab_route **ret, size_t *ret_n)
{
	const struct substrate *s = &lab->s;
	VEC(struct lab_route) routes = { 0 };
	struct adjacency adjacency = adjacency_make(s);
	uint32_t *seen = mem_array(s->n_nodes + 1, sizeof(uint32_t)), *queue = mem_array(s->n_nodes + 1, sizeof(uint32_t));
	uint32_t round = 0;

	for (size_t l = 0; l < s->n_links; l++) {
		for (int end = 0; end < 2; end++) {
			uint32_t target = end ? s->links[l].b : s->links[l].a, first = end ? s->links[l].a : s->links[l].b;
			if (!s->nodes[target].agent || s->nodes[first].agent)
				continue;
			size_t head = 0, tail = 0;
			seen[target] = seen[first] = ++round;
			queue[tail++] = first;
			while (head < tail) {
				uint32_t at = queue[head++];
				for (size_t k = adjacency.first[at]; k < adjacency.first[at + 1]; k++) {
					const struct slink *link = &s->links[adjacency.link[k]];
					uint32_t next = link->a == at ? link->b : link->a;
					if (seen[next] == round)
						continue;
					seen[next] = round;
					*vec_add(&routes) = (struct lab_route){ next, s->links[l].underlay[end],
						                                link->underlay[link->b == at] };
					if (!s->nodes[next].agent)
						queue[tail++] = next;
				}
			}
		}
	}
	free(adjacency.first);
	free(adjacency.link);
	free(seen);
	free(queue);
	*ret = routes.v;
	*ret_n = routes.n;
}
