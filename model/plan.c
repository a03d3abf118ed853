/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From request and embedding to what each substrate node builds.
 *
 * Per virtual link: its paths are cut into runs, one per substrate link (or per row of links
 * through nodes without an agent: a tunnel passes those by); the runs give the link's MTU; then
 * ports, segments and crosses are written to the nodes they stand on. Everything is visited in
 * the order of the request, and numbers come from that order, so the same request is planned
 * the same way twice. */
#include "model/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/plan_impl.h"
#include "model/plan_routes.h"

/* Appends one zeroed element to an array that has no capacity of its own: it grows at every power of two. */
void *plan_append(void *array, size_t *n, size_t size)
{
	void **v = array;

	if ((*n & (*n - 1)) == 0)
		*v = mem_grow(*v, *n ? 2 * *n : 1, size);
	memset((char *)*v + *n * size, 0, size);
	return (char *)*v + (*n)++ * size;
}

struct node_plan *plan_node_at(struct plan_maker *m, uint32_t snode)
{
	return &m->plan.nodes[m->slot[snode]];
}

/* ---- which nodes have a part ------------------------------------------------------------ */

int plan_walk(struct plan_maker *m, const struct vlink *l, const struct path *p, struct err *err)
{
	const struct plan_input *in = m->in;
	int rc;

	if (p->n >= in->s->n_nodes)
		return err_set(err, -EINVAL, "link '%s': a path of %zu hops is not simple", l->name, p->n);
	rc = path_via(in->s, in->e->host[l->a], p, m->via, err);
	if (!rc && m->via[p->n] != in->e->host[l->b])
		rc = err_set(err, -EINVAL, "a path ends at '%s'", in->s->nodes[m->via[p->n]].name);
	return rc < 0 ? err_add(err, rc, "link '%s'", l->name) : 0;
}

static int mark_path(struct plan_maker *m, const struct vlink *l, const struct path *p, struct err *err)
{
	int rc = plan_walk(m, l, p, err);

	for (size_t h = 0; !rc && h <= p->n; h++)
		if (m->in->s->nodes[m->via[h]].agent)
			m->slot[m->via[h]] = 0;
	return rc;
}

static int mark_nodes(struct plan_maker *m, struct err *err)
{
	const struct plan_input *in = m->in;
	int rc = 0;

	for (size_t i = 0; i < in->r->n_nodes; i++) {
		uint32_t host = in->e->host[i];

		if (host >= in->s->n_nodes || !in->s->nodes[host].agent)
			return err_set(err, -EINVAL, "node '%s' is on no substrate node with an agent", in->r->nodes[i].name);
		m->slot[host] = 0;
	}
	for (size_t i = 0; i < in->r->n_links; i++) {
		const struct vlink_map *map = &in->e->links[i];

		for (size_t k = 0; !rc && k < map->n_paths; k++)
			rc = mark_path(m, &in->r->links[i], &map->paths[k], err);
		if (!rc && map->backup.n)
			rc = mark_path(m, &in->r->links[i], &map->backup, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Gives every node with a part in it an empty plan, ascending. */
static void open_nodes(struct plan_maker *m)
{
	struct plan *p = &m->plan;
	size_t n = 0;

	for (size_t i = 0; i < m->in->s->n_nodes; i++)
		n += m->slot[i] != SIZE_MAX;
	p->nodes = mem_array(n, sizeof(*p->nodes));
	p->snode = mem_array(n, sizeof(*p->snode));
	for (size_t i = 0; i < m->in->s->n_nodes; i++) {
		if (m->slot[i] == SIZE_MAX)
			continue;
		m->slot[i] = p->n_nodes;
		p->snode[p->n_nodes] = (uint32_t)i;
		p->nodes[p->n_nodes++] = (struct node_plan){
			.net = m->in->net, .generation = m->in->generation,
			.owner = mem_str(m->in->owner), .name = mem_str(m->in->r->name),
		};
	}
}

/* ---- routers ---------------------------------------------------------------------------- */

/* For each router how many its links lead to, itself included: union by links. Caller frees. */
static uint32_t *reachable_routers(const struct request *r)
{
	mem_auto uint32_t *root = mem_array(r->n_nodes, sizeof(*root));
	uint32_t *count = mem_array(r->n_nodes, sizeof(*count));

	for (uint32_t i = 0; i < r->n_nodes; i++)
		root[i] = i;
	for (size_t k = 0; k < r->n_links; k++) {
		uint32_t a = r->links[k].a, b = r->links[k].b;

		while (root[a] != a)
			a = root[a] = root[root[a]];
		while (root[b] != b)
			b = root[b] = root[root[b]];
		root[a > b ? a : b] = a > b ? b : a;
	}
	for (uint32_t i = 0; i < r->n_nodes; i++) { /* roots are never above what they are the root of */
		root[i] = root[root[i]];
		count[root[i]] += !kind_is_switch(r->nodes[i].kind);
	}
	for (uint32_t i = 0; i < r->n_nodes; i++)
		if (root[i] != i)
			count[i] = count[root[i]];
	return count;
}

/* Where the controller is: its address on the switch's LAN, where it is a node of this network. */
static char *controller_of(const struct plan_maker *m, uint32_t node)
{
	const struct request *r = m->in->r;
	const char *name = r->nodes[node].controller;
	char text[CONTROLLER_TEXT];

	if (strchr(name, ':'))
		return mem_str(name);
	uint32_t port = lans_port_of(&m->lans, m->lans.of_node[node], hash_index(r->node_index, name));

	return mem_str(controller_text(&m->ends[port], CONTROLLER_PORT, text));
}

static int add_routers(struct plan_maker *m, struct err *err)
{
	const struct plan_input *in = m->in;
	struct plan_routes *routes = NULL;
	int rc = 0;

	if (in->r->routing == ROUTING_STATIC)
		rc = plan_routes_new(in->r, m->loopbacks, m->ends, &m->lans, m->uplinks, &routes, err);
	mem_auto uint32_t *reachable = in->r->routing == ROUTING_OSPF ? reachable_routers(in->r) : NULL;
	for (size_t i = 0; !rc && i < in->r->n_nodes; i++) {
		const struct vnode *v = &in->r->nodes[i];
		struct node_plan *np = plan_node_at(m, in->e->host[i]);
		const char *kind = in->e->kind[i];
		struct plan_router *router;

		if (!kind || !*kind || strlen(kind) > KIND_MAX) {
			rc = err_set(err, -EINVAL, "node '%s': router kind '%s' is not a name of at most %d letters", v->name,
			             kind ? kind : "", KIND_MAX);
			break;
		}
		router = plan_append(&np->routers, &np->n_routers, sizeof(*router));
		router->plane = v->plane ? v->plane : plane_default(kind);
		router->program = mem_str(v->program);
		if (v->controller)
			router->controller = controller_of(m, (uint32_t)i);
		router->id = m->numbers.router[i];
		router->name = mem_str(v->name);
		memcpy(router->kind, kind, strlen(kind) + 1);
		router->image = mem_str(v->image);
		router->rt_period_us = v->rt_period_us;
		router->rt_budget_us = v->rt_budget_us;
		router->cpu_milli = v->demand[RES_CPU_MILLI];
		router->mem_kib = v->demand[RES_MEM_KIB];
		router->routing = ROUTING_NONE;
		if (kind_is_switch(kind))
			continue;
		router->routing = in->r->routing;
		router->n_reachable = reachable ? reachable[i] : 0;
		router->loopbacks = mem_dup(&m->loopbacks[i], sizeof(*m->loopbacks));
		router->n_loopbacks = 1;
		if (routes)
			plan_routes_of(routes, (uint32_t)i, &router->routes, &router->n_routes);
		for (size_t k = 0; k < router->n_routes; k++)
			router->routes[k].port = plan_port_id(m, router->routes[k].port);
	}
	plan_routes_free(routes);
	return rc;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int vni_order(const void *p, const void *q)
{
	uint32_t a = *(const uint32_t *)p, b = *(const uint32_t *)q;

	return a < b ? -1 : a > b;
}

/* Sorts the VNIs into the plan, and looks at it once as an agent will. */
static int close_plan(struct plan_maker *m, struct err *err)
{
	struct plan *p = &m->plan;

	if (m->vnis.n)
		qsort(m->vnis.v, m->vnis.n, sizeof(*m->vnis.v), vni_order);
	for (size_t i = 1; i < m->vnis.n; i++)
		if (m->vnis.v[i] == m->vnis.v[i - 1])
			return err_set(err, -EINVAL, "VNI %u was handed out twice", m->vnis.v[i]);
	for (size_t i = 0; i < p->n_nodes; i++) {
		int rc = node_plan_check(&p->nodes[i], err);

		if (rc < 0)
			return err_add(err, rc, "plan of node '%s'", m->in->s->nodes[p->snode[i]].name);
	}
	p->vnis = m->vnis.v;
	p->n_vnis = m->vnis.n;
	m->vnis.v = NULL;
	return 0;
}

static int make(struct plan_maker *m, struct err *err)
{
	const struct plan_input *in = m->in;
	int rc;

	if (in->e->n_nodes != in->r->n_nodes || in->e->n_links != in->r->n_links || in->r->n_links > INT32_MAX)
		return err_set(err, -EINVAL, "the embedding is not one of request '%s'", in->r->name);
	rc = plan_number(m, err);
	if (!rc)
		rc = plan_number_addresses(m, err);
	if (!rc)
		rc = mark_nodes(m, err);
	if (rc < 0)
		return rc;
	open_nodes(m);
	rc = add_routers(m, err);
	for (size_t i = 0; !rc && i < in->r->n_links; i++)
		rc = plan_add_link(m, i, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < in->r->n_nodes; i++)
		plan_add_uplinks(m, i);
	plan_level_lans(m);
	return close_plan(m, err);
}

int plan_make(const struct plan_input *in, struct plan *ret, struct err *err)
{
	struct plan_maker m = {
		.in = in,
		.plan = { .net = in->net, .generation = in->generation },
		.slot = mem_array(in->s->n_nodes, sizeof(*m.slot)),
		.standing = in->before ? plan_standing_new(in->before) : NULL,
		.via = mem_array(in->s->n_nodes, sizeof(*m.via)),
	};
	int rc;

	memset(m.slot, 0xff, in->s->n_nodes * sizeof(*m.slot));
	rc = make(&m, err);
	if (rc < 0)
		plan_done(&m.plan);
	else
		*ret = m.plan;
	free(m.slot);
	plan_standing_free(m.standing);
	plan_numbers_done(&m.numbers);
	free(m.eth);
	free(m.up);
	free(m.via);
	free(m.loopbacks);
	free(m.ends);
	free(m.uplinks);
	lans_done(&m.lans);
	vec_done(&m.runs);
	vec_done(&m.vnis);
	return rc;
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		node_plan_done(&p->nodes[i]);
	free(p->nodes);
	free(p->snode);
	free(p->vnis);
	*p = (struct plan){ 0 };
}

static struct node_plan part_or_nothing(struct plan *p, const struct plan *other, uint32_t snode, size_t *at)
{
	if (*at < p->n_nodes && p->snode[*at] == snode)
		return p->nodes[(*at)++];
	const struct node_plan *any = p->n_nodes ? p->nodes : other->nodes;

	return (struct node_plan){ .net = p->net, .generation = p->generation, .owner = mem_str(any->owner), .name = mem_str(any->name) };
}

void plan_align(struct plan *a, struct plan *b)
{
	struct plan *plans[] = { a, b };
	size_t max = a->n_nodes + b->n_nodes, n = 0;
	mem_auto uint32_t *snodes = mem_array(max, sizeof(*snodes));

	for (size_t i = 0, k = 0; i < a->n_nodes || k < b->n_nodes; n++) {
		uint32_t x = i < a->n_nodes ? a->snode[i] : UINT32_MAX, y = k < b->n_nodes ? b->snode[k] : UINT32_MAX;

		snodes[n] = x < y ? x : y;
		i += x <= y;
		k += y <= x;
	}
	struct node_plan *nodes[2];

	for (size_t k = 0; k < 2; k++) {
		size_t at = 0;

		nodes[k] = mem_array(n, sizeof(**nodes));
		for (size_t i = 0; i < n; i++)
			nodes[k][i] = part_or_nothing(plans[k], plans[!k], snodes[i], &at);
	}
	for (size_t k = 0; k < 2; k++) {
		free(plans[k]->nodes);
		free(plans[k]->snode);
		plans[k]->nodes = nodes[k];
		plans[k]->snode = mem_dup(snodes, n * sizeof(*snodes));
		plans[k]->n_nodes = n;
	}
}
