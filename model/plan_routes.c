/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One breadth-first search per router over the virtual links, which scans a router's links in the
 * order of the file. Every router on a route is one hop nearer to its end than the one before,
 * so routes made router by router never loop. A link's subnet is as near as its nearer end (the
 * first one where both are), for the same reason. */
#include "model/plan_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct plan_routes {
	const struct request *r;
	const struct addr *loopbacks, *ends;
	uint32_t *first, *around; /* links around router i: around[first[i]] … around[first[i + 1] - 1] */
	uint32_t *hops, *queue;
	uint32_t *port;           /* that leads to a router by fewest hops */
};

int plan_routes_new(const struct request *r, const struct addr *loopbacks, const struct addr *ends,
                    struct plan_routes **ret, struct err *err)
{
	mem_auto uint32_t *fill = mem_array(r->n_nodes + 1, sizeof(*fill));
	struct plan_routes *p;
	uint64_t routes;

	if (__builtin_mul_overflow((uint64_t)r->n_nodes, (uint64_t)r->n_nodes + r->n_links, &routes) ||
	    routes > PLAN_NETWORK_ROUTES_MAX)
		return err_set(err, -ERANGE,
		               "routing: static would take about %llu routes for %zu nodes and %zu links, more than %d; "
		               "ospf or none do without",
		               (unsigned long long)routes, r->n_nodes, r->n_links, PLAN_NETWORK_ROUTES_MAX);
	p = mem_alloc(sizeof(*p));
	*p = (struct plan_routes){
		.r = r, .loopbacks = loopbacks, .ends = ends,
		.first = mem_array(r->n_nodes + 1, sizeof(*p->first)),
		.around = mem_array(2 * r->n_links, sizeof(*p->around)),
		.hops = mem_array(r->n_nodes, sizeof(*p->hops)),
		.queue = mem_array(r->n_nodes, sizeof(*p->queue)),
		.port = mem_array(r->n_nodes, sizeof(*p->port)),
	};
	for (size_t k = 0; k < r->n_links; k++) {
		p->first[r->links[k].a + 1]++;
		p->first[r->links[k].b + 1]++;
	}
	for (size_t i = 0; i < r->n_nodes; i++) {
		p->first[i + 1] += p->first[i];
		fill[i] = p->first[i];
	}
	for (size_t k = 0; k < r->n_links; k++) {
		p->around[fill[r->links[k].a]++] = (uint32_t)k;
		p->around[fill[r->links[k].b]++] = (uint32_t)k;
	}
	*ret = p;
	return 0;
}

void plan_routes_free(struct plan_routes *p)
{
	if (!p)
		return;
	free(p->first);
	free(p->around);
	free(p->hops);
	free(p->queue);
	free(p->port);
	free(p);
}

/* Fills hops[] and port[] for every router that can be reached. */
static void search(struct plan_routes *p, uint32_t from)
{
	size_t head = 0, tail = 0;

	memset(p->hops, 0xff, p->r->n_nodes * sizeof(*p->hops));
	p->hops[from] = 0;
	p->queue[tail++] = from;
	while (head < tail) {
		uint32_t at = p->queue[head++];

		for (uint32_t k = p->first[at]; k < p->first[at + 1]; k++) {
			uint32_t link = p->around[k];
			uint32_t end = p->r->links[link].a == at ? 0 : 1;
			uint32_t next = end ? p->r->links[link].a : p->r->links[link].b;

			if (p->hops[next] != UINT32_MAX)
				continue;
			p->hops[next] = p->hops[at] + 1;
			p->port[next] = at == from ? link << 1 | end : p->port[at];
			p->queue[tail++] = next;
		}
	}
}

static struct plan_route route_to(const struct plan_routes *p, const struct addr *to, uint32_t router)
{
	uint32_t port = p->port[router];

	return (struct plan_route){ .to = *to, .via = p->ends[port ^ 1], .port = port };
}

void plan_routes_of(struct plan_routes *p, uint32_t router, struct plan_route **ret, size_t *ret_n)
{
	const struct request *r = p->r;
	struct plan_route *routes = mem_array(r->n_nodes + r->n_links, sizeof(*routes));
	size_t n = 0;

	search(p, router);
	for (uint32_t i = 0; i < r->n_nodes; i++)
		if (i != router && p->hops[i] != UINT32_MAX)
			routes[n++] = route_to(p, &p->loopbacks[i], i);
	for (size_t k = 0; k < r->n_links; k++) {
		const struct vlink *l = &r->links[k];
		struct addr subnet = p->ends[2 * k];
		uint32_t nearer = p->hops[l->b] < p->hops[l->a] ? l->b : l->a;

		if (l->a == router || l->b == router || p->hops[nearer] == UINT32_MAX)
			continue;
		subnet.prefix--;
		routes[n++] = route_to(p, &subnet, nearer);
	}
	*ret = mem_grow(routes, n, sizeof(*routes));
	*ret_n = n;
}
