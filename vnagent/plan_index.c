/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plan by number; see plan_index.h. */
#include "vnagent/plan_index.h"

#include <stdlib.h>

#include "base/mem.h"

static const struct node_plan no_plan;

static int compare_endpoints(struct endpoint a, struct endpoint b)
{
	if (a.kind != b.kind)
		return a.kind < b.kind ? -1 : 1;
	return (a.id > b.id) - (a.id < b.id);
}

static int compare_joins(const void *pa, const void *pb)
{
	const struct join *a = pa, *b = pb;
	int order = compare_endpoints(a->here, b->here);
	if (order)
		return order;
	if (a->cross->path != b->cross->path)
		return a->cross->path < b->cross->path ? -1 : 1;
	return compare_endpoints(a->there, b->there);
}

void plan_index_init(struct plan_index *index, const struct node_plan *plan)
{
	const struct node_plan *p = plan ? plan : &no_plan;
	*index = (struct plan_index){ .plan = p, .routers = hash_new(), .ports = hash_new(), .segments = hash_new() };
	for (size_t i = 0; i < p->n_routers; i++)
		hash_put_u64(index->routers, p->routers[i].id, &p->routers[i]);
	for (size_t i = 0; i < p->n_ports; i++)
		hash_put_u64(index->ports, p->ports[i].id, &p->ports[i]);
	for (size_t i = 0; i < p->n_segments; i++)
		hash_put_u64(index->segments, p->segments[i].vni, &p->segments[i]);
	index->joins = mem_array(2 * p->n_crosses + 1, sizeof(*index->joins));
	for (size_t i = 0; i < p->n_crosses; i++) {
		const struct plan_cross *c = &p->crosses[i];
		index->joins[index->n_joins++] = (struct join){ c->a, c->b, c };
		index->joins[index->n_joins++] = (struct join){ c->b, c->a, c };
	}
	qsort(index->joins, index->n_joins, sizeof(*index->joins), compare_joins);
}

void plan_index_done(struct plan_index *index)
{
	hash_free(index->routers, NULL);
	hash_free(index->ports, NULL);
	hash_free(index->segments, NULL);
	free(index->joins);
	*index = (struct plan_index){ 0 };
}

const struct plan_router *plan_index_router(const struct plan_index *index, uint32_t id)
{
	return hash_get_u64(index->routers, id);
}

const struct plan_port *plan_index_port(const struct plan_index *index, uint32_t id)
{
	return hash_get_u64(index->ports, id);
}

const struct plan_segment *plan_index_segment(const struct plan_index *index, uint32_t vni)
{
	return hash_get_u64(index->segments, vni);
}

const struct join *plan_index_joins(const struct plan_index *index, struct endpoint here, size_t *ret_n)
{
	size_t low = 0, high = index->n_joins, n = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_endpoints(index->joins[middle].here, here) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < index->n_joins && !compare_endpoints(index->joins[low + n].here, here))
		n++;
	*ret_n = n;
	return &index->joins[low];
}

bool plan_index_same_joins(const struct plan_index *a, const struct plan_index *b, struct endpoint here)
{
	size_t n, m;
	const struct join *x = plan_index_joins(a, here, &n), *y = plan_index_joins(b, here, &m);
	if (n != m)
		return false;
	for (size_t i = 0; i < n; i++)
		if (compare_endpoints(x[i].there, y[i].there) || x[i].cross->bw_kbps != y[i].cross->bw_kbps ||
		    x[i].cross->overhead != y[i].cross->overhead || x[i].cross->role != y[i].cross->role)
			return false;
	return true;
}
