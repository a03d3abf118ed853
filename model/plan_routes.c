/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One breadth-first search per router over the virtual links, which scans a router's links in the
 * order of the file. Every router on a route is one hop nearer to its end than the one before,
 * so routes made router by router never loop. A link's subnet is as near as its nearer end (the
 * first one where both are), for the same reason. */
#include "model/plan_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/mem.h"

struct plan_routes {
	const struct request *r;
	const struct addr *loopbacks, *ends;
	const struct lans *lans;
	const uint32_t *uplinks;
	uint32_t *first, *around; /* links around router i: around[first[i]] … around[first[i + 1] - 1] */
	uint32_t *hops, *queue;
	uint32_t *port, *far;     /* that leads to a router by fewest hops, and the next router's on that link or LAN */
	bool *seen;               /* LANs */
	struct addr *outside;     /* subnets behind uplinks with an address of the pools' family, each once */
	size_t n_outside;
	uint32_t *behind;         /* per uplink: its subnet, or UINT32_MAX */
	uint32_t *nearest;        /* per subnet: the nearest router that is on it */
};

static void number_outside(struct plan_routes *p)
{
	const struct request *r = p->r;
	struct hash *seen = hash_new();
	size_t n = request_uplinks(r);

	p->outside = mem_array(n, sizeof(*p->outside));
	p->behind = mem_array(n, sizeof(*p->behind));
	p->nearest = mem_array(n, sizeof(*p->nearest));
	for (uint32_t i = 0; i < r->n_nodes; i++) {
		for (uint32_t k = 0; k < r->nodes[i].n_uplinks; k++) {
			uint32_t *behind = &p->behind[p->uplinks[i] + k];
			struct addr subnet;
			char text[ADDR_TEXT];

			*behind = UINT32_MAX;
			if (r->nodes[i].uplinks[k].address.family != r->pool_links.family)
				continue;
			addr_network(&r->nodes[i].uplinks[k].address, &subnet);
			addr_text(&subnet, text);
			if (hash_index_put(seen, text, p->n_outside))
				p->outside[p->n_outside++] = subnet;
			*behind = (uint32_t)hash_index(seen, text);
		}
	}
	hash_free(seen, NULL);
}

int plan_routes_new(const struct request *r, const struct addr *loopbacks, const struct addr *ends,
                    const struct lans *lans, const uint32_t *uplinks, struct plan_routes **ret, struct err *err)
{
	mem_auto uint32_t *fill = mem_array(r->n_nodes + 1, sizeof(*fill));
	struct plan_routes *p;
	uint64_t routes;

	if (__builtin_mul_overflow((uint64_t)r->n_nodes, (uint64_t)r->n_nodes + r->n_links + request_uplinks(r), &routes) ||
	    routes > PLAN_NETWORK_ROUTES_MAX)
		return err_set(err, -ERANGE,
		               "routing: static would take about %llu routes for %zu nodes and %zu links, more than %d; "
		               "ospf or none do without",
		               (unsigned long long)routes, r->n_nodes, r->n_links, PLAN_NETWORK_ROUTES_MAX);
	p = mem_alloc(sizeof(*p));
	*p = (struct plan_routes){
		.r = r, .loopbacks = loopbacks, .ends = ends, .lans = lans, .uplinks = uplinks,
		.seen = mem_array(lans->n, sizeof(*p->seen)),
		.far = mem_array(r->n_nodes, sizeof(*p->far)),
		.first = mem_array(r->n_nodes + 1, sizeof(*p->first)),
		.around = mem_array(2 * r->n_links, sizeof(*p->around)),
		.hops = mem_array(r->n_nodes, sizeof(*p->hops)),
		.queue = mem_array(r->n_nodes, sizeof(*p->queue)),
		.port = mem_array(r->n_nodes, sizeof(*p->port)),
	};
	number_outside(p);
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
	free(p->far);
	free(p->seen);
	free(p->outside);
	free(p->behind);
	free(p->nearest);
	free(p);
}

static uint32_t node_of(const struct plan_routes *p, uint32_t port)
{
	const struct vlink *l = &p->r->links[port >> 1];

	return port & 1 ? l->b : l->a;
}

/* Router `at` reaches by `port` the port `far` of a neighbour. */
static void reach(struct plan_routes *p, uint32_t from, uint32_t at, uint32_t port, uint32_t far, size_t *tail)
{
	uint32_t next = node_of(p, far);

	if (p->hops[next] != UINT32_MAX)
		return;
	p->hops[next] = p->hops[at] + 1;
	p->port[next] = at == from ? port : p->port[at];
	p->far[next] = at == from ? far : p->far[at];
	p->queue[(*tail)++] = next;
}

/* Fills hops[], port[] and far[] for every router that can be reached. Whoever comes to a LAN first, comes to all on it. */
static void search(struct plan_routes *p, uint32_t from)
{
	size_t head = 0, tail = 0;

	memset(p->seen, 0, p->lans->n * sizeof(*p->seen));
	memset(p->hops, 0xff, p->r->n_nodes * sizeof(*p->hops));
	p->hops[from] = 0;
	p->queue[tail++] = from;
	while (head < tail) {
		uint32_t at = p->queue[head++];

		for (uint32_t k = p->first[at]; k < p->first[at + 1]; k++) {
			uint32_t link = p->around[k], port = link << 1 | (p->r->links[link].a == at ? 0 : 1);
			uint32_t i = lans_of_link(p->lans, &p->r->links[link]);

			if (i == LAN_NONE) {
				reach(p, from, at, port, port ^ 1, &tail);
				continue;
			}
			for (size_t n = 0; !p->seen[i] && n < p->lans->v[i].n_ports; n++)
				reach(p, from, at, port, p->lans->v[i].ports[n], &tail);
			p->seen[i] = true;
		}
	}
}

static struct plan_route route_to(const struct plan_routes *p, const struct addr *to, uint32_t router)
{
	return (struct plan_route){ .to = *to, .via = p->ends[p->far[router]], .port = p->port[router] };
}

/* The nearest router on a LAN, the first of them; UINT32_MAX: none that can be reached. */
static uint32_t nearest_on(const struct plan_routes *p, const struct lan *l)
{
	uint32_t best = UINT32_MAX;

	for (size_t i = 0; i < l->n_ports; i++) {
		uint32_t at = node_of(p, l->ports[i]);

		if (p->hops[at] != UINT32_MAX && (best == UINT32_MAX || p->hops[at] < p->hops[best]))
			best = at;
	}
	return best;
}

/* To what is behind others' uplinks, but not behind its own. */
static size_t outside_routes(const struct plan_routes *p, uint32_t router, struct plan_route *ret)
{
	const struct request *r = p->r;
	size_t n = 0;

	memset(p->nearest, 0xff, p->n_outside * sizeof(*p->nearest));
	for (uint32_t i = 0; i < r->n_nodes; i++)
		for (uint32_t k = 0; k < r->nodes[i].n_uplinks; k++) {
			uint32_t behind = p->behind[p->uplinks[i] + k];
			uint32_t *best = behind == UINT32_MAX ? NULL : &p->nearest[behind];

			if (best && p->hops[i] != UINT32_MAX && (*best == UINT32_MAX || p->hops[i] < p->hops[*best]))
				*best = i;
		}
	for (size_t k = 0; k < p->n_outside; k++)
		if (p->nearest[k] != UINT32_MAX && p->nearest[k] != router)
			ret[n++] = route_to(p, &p->outside[k], p->nearest[k]);
	return n;
}

/* An uplink with a gateway of the family, or one that is told it by DHCP or router advertisements. */
static bool leads_out(const struct vuplink *u, uint8_t family)
{
	return u->gateway.family ? u->gateway.family == family : !u->address.family;
}

static bool node_leads_out(const struct vnode *v, uint8_t family)
{
	for (size_t i = 0; i < v->n_uplinks; i++)
		if (leads_out(&v->uplinks[i], family))
			return true;
	return false;
}

static size_t own_defaults(const struct plan_routes *p, uint32_t router, struct plan_route *ret)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	const struct vnode *v = &p->r->nodes[router];
	size_t n = 0;

	for (size_t f = 0; f < 2; f++)
		for (uint32_t i = 0; i < v->n_uplinks; i++)
			if (v->uplinks[i].gateway.family == families[f]) {
				ret[n++] = (struct plan_route){ .to = { .family = families[f] }, .via = v->uplinks[i].gateway,
				                                .port = PLAN_UPLINK_ID + p->uplinks[router] + i };
				break;
			}
	return n;
}

static size_t default_routes(const struct plan_routes *p, uint32_t router, struct plan_route *ret)
{
	const struct request *r = p->r;
	struct addr all = { .family = r->pool_links.family };
	size_t n = own_defaults(p, router, ret);
	uint32_t best = UINT32_MAX;

	if (node_leads_out(&r->nodes[router], all.family))
		return n;
	for (uint32_t i = 0; i < r->n_nodes; i++)
		if (p->hops[i] != UINT32_MAX && node_leads_out(&r->nodes[i], all.family) &&
		    (best == UINT32_MAX || p->hops[i] < p->hops[best]))
			best = i;
	if (best != UINT32_MAX)
		ret[n++] = route_to(p, &all, best);
	return n;
}

void plan_routes_of(struct plan_routes *p, uint32_t router, struct plan_route **ret, size_t *ret_n)
{
	const struct request *r = p->r;
	struct plan_route *routes = mem_array(r->n_nodes + r->n_links + p->lans->n + p->n_outside + 2, sizeof(*routes));
	size_t n = 0;

	search(p, router);
	for (uint32_t i = 0; i < r->n_nodes; i++)
		if (i != router && p->hops[i] != UINT32_MAX)
			routes[n++] = route_to(p, &p->loopbacks[i], i);
	for (size_t k = 0; k < r->n_links; k++) {
		const struct vlink *l = &r->links[k];
		struct addr subnet = p->ends[2 * k];
		uint32_t nearer = p->hops[l->b] < p->hops[l->a] ? l->b : l->a;

		if (lans_of_link(p->lans, l) != LAN_NONE || l->a == router || l->b == router || p->hops[nearer] == UINT32_MAX)
			continue;
		subnet.prefix--;
		routes[n++] = route_to(p, &subnet, nearer);
	}
	for (size_t k = 0; k < p->lans->n; k++) {
		uint32_t nearest = nearest_on(p, &p->lans->v[k]);

		if (nearest != UINT32_MAX && nearest != router)
			routes[n++] = route_to(p, &p->lans->v[k].subnet, nearest);
	}
	n += outside_routes(p, router, routes + n);
	n += default_routes(p, router, routes + n);
	*ret = mem_grow(routes, n, sizeof(*routes));
	*ret_n = n;
}
