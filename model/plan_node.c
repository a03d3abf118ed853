/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of one node's plan in memory. */
#include <stdlib.h>

#include "base/mem.h"
#include "model/plan.h"

void node_plan_done(struct node_plan *p)
{
	for (size_t i = 0; i < p->n_routers; i++) {
		free(p->routers[i].name);
		free(p->routers[i].image);
		free(p->routers[i].program);
		free(p->routers[i].controller);
		free(p->routers[i].loopbacks);
		free(p->routers[i].routes);
	}
	for (size_t i = 0; i < p->n_ports; i++) {
		free(p->ports[i].link);
		free(p->ports[i].peer_router);
		free(p->ports[i].uplink);
	}
	for (size_t i = 0; i < p->n_segments; i++)
		free(p->segments[i].slink);
	free(p->routers);
	free(p->ports);
	free(p->segments);
	free(p->crosses);
	free(p->owner);
	free(p->name);
	*p = (struct node_plan){ 0 };
}

static void *copy_array(const void *v, size_t n, size_t size)
{
	return n ? mem_dup(v, n * size) : NULL;
}

void node_plan_copy(const struct node_plan *from, struct node_plan *ret)
{
	*ret = *from;
	ret->owner = mem_str(from->owner);
	ret->name = mem_str(from->name);
	ret->routers = copy_array(from->routers, from->n_routers, sizeof(*from->routers));
	ret->ports = copy_array(from->ports, from->n_ports, sizeof(*from->ports));
	ret->segments = copy_array(from->segments, from->n_segments, sizeof(*from->segments));
	ret->crosses = copy_array(from->crosses, from->n_crosses, sizeof(*from->crosses));
	for (size_t i = 0; i < from->n_routers; i++) {
		struct plan_router *router = &ret->routers[i];

		router->name = mem_str(router->name);
		router->image = mem_str(router->image);
		router->program = mem_str(router->program);
		router->controller = mem_str(router->controller);
		router->loopbacks = copy_array(router->loopbacks, router->n_loopbacks, sizeof(*router->loopbacks));
		router->routes = copy_array(router->routes, router->n_routes, sizeof(*router->routes));
	}
	for (size_t i = 0; i < from->n_ports; i++) {
		ret->ports[i].link = mem_str(ret->ports[i].link);
		ret->ports[i].peer_router = mem_str(ret->ports[i].peer_router);
		ret->ports[i].uplink = mem_str(ret->ports[i].uplink);
	}
	for (size_t i = 0; i < from->n_segments; i++)
		ret->segments[i].slink = mem_str(ret->segments[i].slink);
}

bool node_plan_empty(const struct node_plan *p)
{
	return !p->n_routers && !p->n_ports && !p->n_segments && !p->n_crosses;
}
