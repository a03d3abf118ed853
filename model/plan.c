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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/vec.h"
#include "model/plan_routes.h"

/* One tunnel to be: from snode a to snode b over the substrate links first … last of a path. */
struct run {
	uint32_t a, b, first, last;
	struct addr at_a, at_b;
	uint32_t overhead, vni;
};

struct maker {
	const struct plan_input *in;
	struct plan plan;
	size_t *slot;            /* per substrate node: its place in plan.nodes */
	uint32_t *next_eth;      /* per router */
	uint32_t *via;           /* scratch: nodes along a path */
	struct addr *loopbacks;  /* per router */
	struct addr *ends;       /* per port id */
	VEC(struct run) runs;    /* of the virtual link at hand, path after path */
	VEC(uint32_t) vnis;
};

/* Appends one zeroed element to an array that has no capacity of its own: it grows at every power of two. */
static void *append(void *array, size_t *n, size_t size)
{
	void **v = array;

	if ((*n & (*n - 1)) == 0)
		*v = mem_grow(*v, *n ? 2 * *n : 1, size);
	memset((char *)*v + *n * size, 0, size);
	return (char *)*v + (*n)++ * size;
}

static struct node_plan *node_at(struct maker *m, uint32_t snode)
{
	return &m->plan.nodes[m->slot[snode]];
}

/* ---- addresses -------------------------------------------------------------------------- */

static int number_addresses(struct maker *m, struct err *err)
{
	const struct request *r = m->in->r;
	char text[ADDR_TEXT];
	int rc = 0;

	if (r->routing == ROUTING_STATIC && r->pool_loopbacks.family != r->pool_links.family)
		return err_set(err, -EINVAL, "the pools of loopbacks and links are not of one family: no static route joins them");
	m->loopbacks = mem_array(r->n_nodes, sizeof(*m->loopbacks));
	m->ends = mem_array(2 * r->n_links, sizeof(*m->ends));
	for (size_t i = 0; !rc && i < r->n_nodes; i++)
		rc = addr_offset(&r->pool_loopbacks, i, &m->loopbacks[i], err);
	if (rc < 0)
		return err_add(err, rc, "pool of loopbacks %s is too small for %zu nodes", addr_text(&r->pool_loopbacks, text),
		               r->n_nodes);
	for (size_t i = 0; !rc && i < 2 * r->n_links; i++)
		rc = addr_offset(&r->pool_links, i, &m->ends[i], err);
	if (rc < 0)
		return err_add(err, rc, "pool of links %s is too small for %zu links", addr_text(&r->pool_links, text), r->n_links);
	return 0;
}

/* ---- which nodes have a part ------------------------------------------------------------ */

static int walk(struct maker *m, const struct vlink *l, const struct path *p, struct err *err)
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

static int mark_path(struct maker *m, const struct vlink *l, const struct path *p, struct err *err)
{
	int rc = walk(m, l, p, err);

	for (size_t h = 0; !rc && h <= p->n; h++)
		if (m->in->s->nodes[m->via[h]].agent)
			m->slot[m->via[h]] = 0;
	return rc;
}

static int mark_nodes(struct maker *m, struct err *err)
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
static void open_nodes(struct maker *m)
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

/* ---- routers and ports ------------------------------------------------------------------ */

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
		count[root[i]]++;
	}
	for (uint32_t i = 0; i < r->n_nodes; i++)
		if (root[i] != i)
			count[i] = count[root[i]];
	return count;
}

static int add_routers(struct maker *m, struct err *err)
{
	const struct plan_input *in = m->in;
	struct plan_routes *routes = NULL;
	int rc = 0;

	if (in->r->routing == ROUTING_STATIC)
		rc = plan_routes_new(in->r, m->loopbacks, m->ends, &routes, err);
	mem_auto uint32_t *reachable = in->r->routing == ROUTING_OSPF ? reachable_routers(in->r) : NULL;
	for (size_t i = 0; !rc && i < in->r->n_nodes; i++) {
		const struct vnode *v = &in->r->nodes[i];
		struct node_plan *np = node_at(m, in->e->host[i]);
		const char *kind = in->e->kind[i];
		struct plan_router *router;

		if (!kind || !*kind || strlen(kind) > KIND_MAX) {
			rc = err_set(err, -EINVAL, "node '%s': router kind '%s' is not a name of at most %d letters", v->name,
			             kind ? kind : "", KIND_MAX);
			break;
		}
		router = append(&np->routers, &np->n_routers, sizeof(*router));
		router->id = (uint32_t)i;
		router->name = mem_str(v->name);
		memcpy(router->kind, kind, strlen(kind) + 1);
		router->cpu_milli = v->demand[RES_CPU_MILLI];
		router->mem_kib = v->demand[RES_MEM_KIB];
		router->routing = in->r->routing;
		router->n_reachable = reachable ? reachable[i] : 0;
		router->image = mem_str(v->image);
		router->rt_period_us = v->rt_period_us;
		router->rt_budget_us = v->rt_budget_us;
		router->loopbacks = mem_dup(&m->loopbacks[i], sizeof(*m->loopbacks));
		router->n_loopbacks = 1;
		if (routes)
			plan_routes_of(routes, (uint32_t)i, &router->routes, &router->n_routes);
	}
	plan_routes_free(routes);
	return rc;
}

static void add_port(struct maker *m, size_t link, uint32_t end, uint32_t mtu)
{
	const struct request *r = m->in->r;
	const struct vlink *l = &r->links[link];
	uint32_t router = end ? l->b : l->a, id = (uint32_t)link << 1 | end, net = m->in->net;
	struct node_plan *np = node_at(m, m->in->e->host[router]);
	struct plan_port *port = append(&np->ports, &np->n_ports, sizeof(*port));

	port->id = id;
	port->router = router;
	snprintf(port->ifname, sizeof(port->ifname), "eth%u", m->next_eth[router]++);
	/* the two ends of a link, all that ever share a wire, differ in the lowest bit */
	port->mac[0] = (uint8_t)(0x02 | (id >> 16 & 0x3f) << 2);
	port->mac[1] = (uint8_t)(net >> 16);
	port->mac[2] = (uint8_t)(net >> 8);
	port->mac[3] = (uint8_t)net;
	port->mac[4] = (uint8_t)(id >> 8);
	port->mac[5] = (uint8_t)id;
	port->mtu = mtu;
	port->address = m->ends[id];
	port->address.prefix--;
	port->peer = m->ends[id ^ 1];
	port->link = mem_str(l->name);
	port->peer_router = mem_str(r->nodes[end ? l->a : l->b].name);
	port->bw_kbps = l->bw_kbps;
}

/* ---- paths ------------------------------------------------------------------------------ */

static int underlay_address(const struct substrate *s, uint32_t snode, uint32_t slink, struct addr *ret, struct err *err)
{
	const struct slink *l = &s->links[slink];
	const struct addr *of_link = &l->underlay[l->a == snode ? 0 : 1];
	const struct addr *a = of_link->family ? of_link : &s->nodes[snode].address;

	if (!a->family)
		return err_set(err, -EINVAL, "substrate link '%s' has no underlay address at '%s', and the node has no address",
		               l->name, s->nodes[snode].name);
	*ret = *a;
	return 0;
}

static uint32_t underlay_room(const struct plan_input *in, uint32_t snode, uint32_t slink, uint32_t overhead)
{
	uint32_t mtu = in->underlay_mtu ? in->underlay_mtu(in->arg, snode, slink) : 0;

	if (!mtu)
		mtu = 1500;
	return mtu > overhead ? mtu - overhead : 0;
}

static int complete_run(struct maker *m, struct run *run, uint32_t *mtu, struct err *err)
{
	const struct plan_input *in = m->in;
	uint32_t room[2], least = in->r->pool_links.family == AF_INET6 ? PLAN_MTU_MIN_V6 : PLAN_MTU_MIN_V4;
	int rc = underlay_address(in->s, run->a, run->first, &run->at_a, err);

	if (!rc)
		rc = underlay_address(in->s, run->b, run->last, &run->at_b, err);
	if (rc < 0)
		return rc;
	if (run->at_a.family != run->at_b.family)
		return err_set(err, -EINVAL, "the underlay addresses of '%s' and '%s' on substrate link '%s' are not of one family",
		               in->s->nodes[run->a].name, in->s->nodes[run->b].name, in->s->links[run->first].name);
	run->overhead = run->at_a.family == AF_INET6 ? VXLAN_OVERHEAD_V6 : VXLAN_OVERHEAD_V4;
	room[0] = underlay_room(in, run->a, run->first, run->overhead);
	room[1] = underlay_room(in, run->b, run->last, run->overhead);
	for (size_t i = 0; i < 2; i++) {
		if (room[i] < least)
			return err_set(err, -EINVAL, "the underlay of '%s' on substrate link '%s' leaves room for packets of %u bytes; "
			               "a virtual link needs %u", in->s->nodes[i ? run->b : run->a].name,
			               in->s->links[i ? run->last : run->first].name, room[i], least);
		if (room[i] < *mtu)
			*mtu = room[i];
	}
	return 0;
}

/* Cuts a path into runs, behind those that are there. */
static int cut_path(struct maker *m, const struct vlink *l, const struct path *p, uint32_t *mtu, struct err *err)
{
	int rc = walk(m, l, p, err);

	for (size_t h = 0, begin = 0; !rc && h < p->n; h++) {
		struct run *run;

		if (!m->in->s->nodes[m->via[h + 1]].agent)
			continue;
		run = vec_add(&m->runs);
		*run = (struct run){ .a = m->via[begin], .b = m->via[h + 1], .first = p->links[begin], .last = p->links[h] };
		begin = h + 1;
		rc = complete_run(m, run, mtu, err);
		if (!rc)
			rc = m->in->vnis.take(m->in->vnis.arg, &run->vni, err);
		if (!rc)
			*vec_add(&m->vnis) = run->vni;
		if (rc < 0)
			return err_add(err, rc, "link '%s'", l->name);
	}
	return rc;
}

static void add_segment(struct maker *m, size_t link, const struct run *run, bool at_b, uint32_t mtu)
{
	struct node_plan *np = node_at(m, at_b ? run->b : run->a);
	struct plan_segment *seg = append(&np->segments, &np->n_segments, sizeof(*seg));

	seg->vni = run->vni;
	seg->link = (uint32_t)link;
	seg->local = at_b ? run->at_b : run->at_a;
	seg->remote = at_b ? run->at_a : run->at_b;
	seg->slink = mem_str(m->in->s->links[run->first].name);
	seg->mtu = mtu;
	seg->best_effort = !m->in->r->links[link].bw_kbps;
}

static void add_cross(struct maker *m, uint32_t snode, const struct plan_cross *x)
{
	struct node_plan *np = node_at(m, snode);

	*(struct plan_cross *)append(&np->crosses, &np->n_crosses, sizeof(*x)) = *x;
}

/* Writes the segments and crosses of one path, whose runs are run[0 … n - 1]. */
static void add_path(struct maker *m, size_t link, uint32_t number, enum cross_role role, int64_t bw_kbps,
                     const struct run *run, size_t n, uint32_t mtu)
{
	struct endpoint port[2] = { { ENDPOINT_PORT, (uint32_t)link << 1 }, { ENDPOINT_PORT, (uint32_t)link << 1 | 1 } };
	struct plan_cross x = { .role = role, .path = number };

	for (size_t i = 0; i < n; i++) {
		add_segment(m, link, &run[i], false, mtu);
		add_segment(m, link, &run[i], true, mtu);
		if (run[i].overhead > x.overhead)
			x.overhead = run[i].overhead;
	}
	for (size_t i = 0; i <= n; i++) {
		struct endpoint to = { ENDPOINT_SEGMENT, i < n ? run[i].vni : 0 };
		struct endpoint from = { ENDPOINT_SEGMENT, i ? run[i - 1].vni : 0 };
		bool end = i == 0 || i == n;

		x.a = i == 0 ? port[0] : i == n ? port[1] : from;
		x.b = i == n ? from : to;
		x.bw_kbps = end ? bw_kbps : 0;
		add_cross(m, i < n ? run[i].a : run[n - 1].b, &x);
	}
}

static int add_link(struct maker *m, size_t link, struct err *err)
{
	const struct vlink *l = &m->in->r->links[link];
	const struct vlink_map *map = &m->in->e->links[link];
	size_t end[PATHS_MAX + 1] = { 0 }, begin = 0;
	uint32_t mtu = PLAN_MTU_MAX;
	int rc = 0;

	if (m->in->e->host[l->a] == m->in->e->host[l->b]) {
		struct plan_cross x = {
			.a = { ENDPOINT_PORT, (uint32_t)link << 1 },
			.b = { ENDPOINT_PORT, (uint32_t)link << 1 | 1 },
			.bw_kbps = l->bw_kbps,
		};

		add_port(m, link, 0, mtu);
		add_port(m, link, 1, mtu);
		add_cross(m, m->in->e->host[l->a], &x);
		return 0;
	}
	if (!map->n_paths || map->n_paths > PATHS_MAX)
		return err_set(err, -EINVAL, "link '%s' has %zu paths", l->name, map->n_paths);
	m->runs.n = 0;
	for (size_t k = 0; !rc && k < map->n_paths; k++) {
		rc = cut_path(m, l, &map->paths[k], &mtu, err);
		end[k] = m->runs.n;
	}
	if (!rc && map->backup.n)
		rc = cut_path(m, l, &map->backup, &mtu, err);
	if (rc < 0)
		return rc;
	add_port(m, link, 0, mtu);
	add_port(m, link, 1, mtu);
	for (size_t k = 0; k < map->n_paths; begin = end[k++])
		add_path(m, link, (uint32_t)k, CROSS_PRIMARY, map->paths[k].bw_kbps, &m->runs.v[begin], end[k] - begin, mtu);
	if (map->backup.n)
		add_path(m, link, (uint32_t)map->n_paths, CROSS_BACKUP, map->backup.bw_kbps, &m->runs.v[begin],
		         m->runs.n - begin, mtu);
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int vni_order(const void *p, const void *q)
{
	uint32_t a = *(const uint32_t *)p, b = *(const uint32_t *)q;

	return a < b ? -1 : a > b;
}

/* Sorts the VNIs into the plan, and looks at it once as an agent will. */
static int close_plan(struct maker *m, struct err *err)
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

static int make(struct maker *m, struct err *err)
{
	const struct plan_input *in = m->in;
	int rc;

	if (in->e->n_nodes != in->r->n_nodes || in->e->n_links != in->r->n_links || in->r->n_links > INT32_MAX)
		return err_set(err, -EINVAL, "the embedding is not one of request '%s'", in->r->name);
	rc = number_addresses(m, err);
	if (!rc)
		rc = mark_nodes(m, err);
	if (rc < 0)
		return rc;
	open_nodes(m);
	rc = add_routers(m, err);
	for (size_t i = 0; !rc && i < in->r->n_links; i++)
		rc = add_link(m, i, err);
	return rc < 0 ? rc : close_plan(m, err);
}

int plan_make(const struct plan_input *in, struct plan *ret, struct err *err)
{
	struct maker m = {
		.in = in,
		.plan = { .net = in->net, .generation = in->generation },
		.slot = mem_array(in->s->n_nodes, sizeof(*m.slot)),
		.next_eth = mem_array(in->r->n_nodes, sizeof(*m.next_eth)),
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
	free(m.next_eth);
	free(m.via);
	free(m.loopbacks);
	free(m.ends);
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
