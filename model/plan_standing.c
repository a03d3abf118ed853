/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stays when a plan is made beside one that stands: numbers, interface names, LANs, tunnels.
 *
 * What is new never gets a number or name that the standing plan uses, even for what goes: on the nodes both stand
 * side by side until the old is removed. Only a path that is the very same keeps its tunnels; one that shares a part of
 * its way gets tunnels of its own there, so that old and new carry frames at once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/plan_impl.h"

struct joint { uint32_t vni[2]; }; /* of one path on one node: towards both sides; 0: none */

struct plan_standing {
	const struct plan_before *before;
	struct plan_numbers numbers;
	struct hash *routers; /* id + 1 → struct plan_router */
	struct hash *ports;   /* id + 1 → struct plan_port */
	struct hash *joints;  /* (link, path, snode) → struct joint */
};

/* ---- numbers of a plan --------------------------------------------------------------------- */

static void blank(uint32_t **array, size_t n)
{
	*array = mem_array(n, sizeof(**array));
	memset(*array, 0xff, n * sizeof(**array));
}

/* Which uplink of its router a port is: those of one name are in the order of their interfaces. */
static size_t uplink_place(const struct vnode *v, const struct plan_port *port, const uint32_t *taken)
{
	for (size_t i = 0; i < v->n_uplinks; i++)
		if (taken[i] == UINT32_MAX && !strcmp(v->uplinks[i].port, port->uplink))
			return i;
	return SIZE_MAX;
}

void plan_numbers_of(const struct plan *p, const struct request *r, struct plan_numbers *ret)
{
	mem_auto size_t *first = mem_array(r->n_nodes + 1, sizeof(*first));
	struct plan_numbers n = { .n_routers = r->n_nodes, .n_links = r->n_links };

	for (size_t i = 0; i < r->n_nodes; i++) {
		first[i] = n.n_uplinks;
		n.n_uplinks += r->nodes[i].n_uplinks;
	}
	blank(&n.router, n.n_routers);
	blank(&n.link, n.n_links);
	blank(&n.uplink, n.n_uplinks);
	for (size_t i = 0; i < p->n_nodes; i++) {
		const struct node_plan *np = &p->nodes[i];
		struct hash *names = hash_new(); /* of routers here */

		for (size_t k = 0; k < np->n_routers; k++) {
			size_t at = hash_index(r->node_index, np->routers[k].name);

			if (at != SIZE_MAX)
				n.router[at] = np->routers[k].id;
			hash_put_u64(names, (uint64_t)np->routers[k].id + 1, np->routers[k].name);
		}
		for (size_t k = 0; k < np->n_ports; k++) {
			const struct plan_port *port = &np->ports[k];
			const char *name = hash_get_u64(names, (uint64_t)port->router + 1);
			size_t at = port->uplink ? name ? hash_index(r->node_index, name) : SIZE_MAX : hash_index(r->link_index, port->link);

			if (at != SIZE_MAX && !port->uplink)
				n.link[at] = port->id >> 1;
			if (at == SIZE_MAX || !port->uplink)
				continue;
			size_t place = uplink_place(&r->nodes[at], port, n.uplink + first[at]);

			if (place != SIZE_MAX)
				n.uplink[first[at] + place] = port->id - PLAN_UPLINK_ID;
		}
		hash_free(names, NULL);
	}
	*ret = n;
}

void plan_numbers_done(struct plan_numbers *n)
{
	free(n->router);
	free(n->link);
	free(n->uplink);
	*n = (struct plan_numbers){ 0 };
}

/* ---- what stands ------------------------------------------------------------------------------ */

static uint64_t joint_key(uint32_t link, uint32_t path, uint32_t snode)
{
	return ((uint64_t)link << 33 | (uint64_t)path << 29 | snode) + 1; /* a substrate has far fewer than 2^29 nodes, a link 9 paths */
}

static void join(struct plan_standing *s, uint32_t link, uint32_t path, uint32_t snode, uint32_t vni)
{
	struct joint *j = hash_get_u64(s->joints, joint_key(link, path, snode));

	if (!j) {
		j = mem_alloc(sizeof(*j));
		hash_put_u64(s->joints, joint_key(link, path, snode), j);
	}
	j->vni[j->vni[0] ? 1 : 0] = vni;
}

static void note_node(struct plan_standing *s, const struct node_plan *np, uint32_t snode)
{
	struct hash *links = hash_new(); /* VNI → its segment */

	for (size_t i = 0; i < np->n_routers; i++)
		hash_put_u64(s->routers, (uint64_t)np->routers[i].id + 1, &np->routers[i]);
	for (size_t i = 0; i < np->n_ports; i++)
		hash_put_u64(s->ports, (uint64_t)np->ports[i].id + 1, &np->ports[i]);
	for (size_t i = 0; i < np->n_segments; i++)
		hash_put_u64(links, np->segments[i].vni, &np->segments[i]);
	for (size_t i = 0; i < np->n_crosses; i++) {
		const struct endpoint ends[] = { np->crosses[i].a, np->crosses[i].b };

		for (size_t k = 0; k < 2; k++) {
			const struct plan_segment *seg = ends[k].kind == ENDPOINT_SEGMENT ? hash_get_u64(links, ends[k].id) : NULL;

			if (seg)
				join(s, seg->link, np->crosses[i].path, snode, seg->vni);
		}
	}
	hash_free(links, NULL);
}

struct plan_standing *plan_standing_new(const struct plan_before *before)
{
	struct plan_standing *s = mem_alloc(sizeof(*s));

	*s = (struct plan_standing){ .before = before, .routers = hash_new(), .ports = hash_new(), .joints = hash_new() };
	plan_numbers_of(before->plan, before->r, &s->numbers);
	for (size_t i = 0; i < before->plan->n_nodes; i++)
		note_node(s, &before->plan->nodes[i], before->plan->snode[i]);
	return s;
}

void plan_standing_free(struct plan_standing *s)
{
	if (!s)
		return;
	plan_numbers_done(&s->numbers);
	hash_free(s->routers, NULL);
	hash_free(s->ports, NULL);
	hash_free(s->joints, free);
	free(s);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* The place of a router in what stands; SIZE_MAX: none of this name there. */
static size_t old_node(const struct plan_maker *m, size_t node)
{
	size_t at = hash_index(m->standing->before->r->node_index, m->in->r->nodes[node].name);

	return at != SIZE_MAX && m->standing->numbers.router[at] != UINT32_MAX ? at : SIZE_MAX;
}

/* Whether the router of that name is the same one: not another kind or image. */
static bool stays(const struct plan_maker *m, size_t node, size_t old)
{
	const struct plan_before *b = m->standing->before;

	return same_text(m->in->e->kind[node], b->e->kind[old]) && same_text(m->in->r->nodes[node].image, b->r->nodes[old].image);
}

/* The link of that name between the same routers; SIZE_MAX: none. */
static size_t old_link(const struct plan_maker *m, size_t link)
{
	const struct request *now = m->in->r, *was = m->standing->before->r;
	size_t at = hash_index(was->link_index, now->links[link].name);

	if (at == SIZE_MAX || m->standing->numbers.link[at] == UINT32_MAX)
		return SIZE_MAX;
	const struct vlink *l = &now->links[link], *old = &was->links[at];

	return !strcmp(now->nodes[l->a].name, was->nodes[old->a].name) && !strcmp(now->nodes[l->b].name, was->nodes[old->b].name) ?
	       at : SIZE_MAX;
}

const struct addr *plan_standing_loopback(const struct plan_maker *m, size_t node)
{
	size_t old = m->standing ? old_node(m, node) : SIZE_MAX;
	const struct plan_router *r = old == SIZE_MAX ? NULL :
	                              hash_get_u64(m->standing->routers, (uint64_t)m->standing->numbers.router[old] + 1);

	return r && r->n_loopbacks ? &r->loopbacks[0] : NULL;
}

const struct plan_port *plan_standing_end(const struct plan_maker *m, uint32_t end)
{
	size_t old = m->standing ? old_link(m, end >> 1) : SIZE_MAX;

	if (old == SIZE_MAX)
		return NULL;
	return hash_get_u64(m->standing->ports, ((uint64_t)m->standing->numbers.link[old] << 1 | (end & 1)) + 1);
}

static const struct path *standing_path(const struct plan_maker *m, size_t link, size_t old, uint32_t k)
{
	const struct plan_before *b = m->standing->before;
	const struct vlink_map *map = &b->e->links[old];

	if (m->in->e->host[m->in->r->links[link].a] != b->e->host[b->r->links[old].a])
		return NULL;
	return k < map->n_paths ? &map->paths[k] : k == map->n_paths && map->backup.n ? &map->backup : NULL;
}

uint32_t plan_standing_vni(const struct plan_maker *m, size_t link, const struct path *path, uint32_t a, uint32_t b)
{
	size_t old = m->standing ? old_link(m, link) : SIZE_MAX;

	for (uint32_t k = 0; old != SIZE_MAX && k <= PATHS_MAX; k++) {
		const struct path *was = standing_path(m, link, old, k);

		if (!was || was->n != path->n || memcmp(was->links, path->links, path->n * sizeof(*path->links)) != 0)
			continue;
		uint32_t number = m->standing->numbers.link[old];
		const struct joint *at_a = hash_get_u64(m->standing->joints, joint_key(number, k, a));
		const struct joint *at_b = hash_get_u64(m->standing->joints, joint_key(number, k, b));

		for (size_t i = 0; at_a && at_b && i < 4; i++)
			if (at_a->vni[i / 2] && at_a->vni[i / 2] == at_b->vni[i % 2])
				return at_a->vni[i / 2];
	}
	return 0;
}

/* ---- numbers of what is made -------------------------------------------------------------------- */

/* The lowest number that nobody has, kept in `next`. */
static uint32_t lowest(struct hash *taken, uint32_t *next)
{
	while (hash_get_u64(taken, (uint64_t)*next + 1))
		++*next;
	return (*next)++;
}

static void take(struct hash *taken, uint32_t number)
{
	hash_put_u64(taken, (uint64_t)number + 1, taken);
}

static void fill(uint32_t *numbers, size_t n, struct hash *taken)
{
	uint32_t next = 0;

	for (size_t i = 0; i < n; i++)
		if (numbers[i] == UINT32_MAX)
			numbers[i] = lowest(taken, &next);
}

static struct hash *all_taken(const uint32_t *numbers, size_t n)
{
	struct hash *taken = hash_new();

	for (size_t i = 0; i < n; i++)
		take(taken, numbers[i]);
	return taken;
}

static void number_routers(struct plan_maker *m)
{
	struct hash *taken = m->standing ? all_taken(m->standing->numbers.router, m->standing->numbers.n_routers) : hash_new();

	for (size_t i = 0; i < m->in->r->n_nodes && m->standing; i++) {
		size_t old = old_node(m, i);

		if (old != SIZE_MAX && stays(m, i, old))
			m->numbers.router[i] = m->standing->numbers.router[old];
	}
	fill(m->numbers.router, m->numbers.n_routers, taken);
	hash_free(taken, NULL);
}

static void number_links(struct plan_maker *m)
{
	struct hash *taken = m->standing ? all_taken(m->standing->numbers.link, m->standing->numbers.n_links) : hash_new();

	for (size_t k = 0; k < m->in->r->n_links && m->standing; k++) {
		size_t old = old_link(m, k);

		if (old != SIZE_MAX)
			m->numbers.link[k] = m->standing->numbers.link[old];
	}
	fill(m->numbers.link, m->numbers.n_links, taken);
	hash_free(taken, NULL);
}

/* Of "eth3" or "up3": 3. */
static uint32_t name_number(const char *ifname)
{
	return (uint32_t)strtoul(ifname + strcspn(ifname, "0123456789"), NULL, 10);
}

struct named { /* interface numbers of the routers */
	struct hash *taken; /* (router number, number) */
	uint32_t *next;     /* per router, by place */
};

static uint64_t name_key(uint32_t router, uint32_t number)
{
	return ((uint64_t)router << 32 | number) + 1;
}

static uint32_t next_name(struct named *n, uint32_t router, size_t at)
{
	while (hash_get_u64(n->taken, name_key(router, n->next[at])))
		n->next[at]++;
	return n->next[at]++;
}

static void note_name(void *value, void *arg)
{
	const struct plan_port *port = value;
	struct named *n = arg; /* [0]: of links, [1]: of uplinks */

	hash_put_u64(n[port->uplink != NULL].taken, name_key(port->router, name_number(port->ifname)), n);
}

static void number_eths(struct plan_maker *m, struct named *names)
{
	const struct request *r = m->in->r;

	blank(&m->eth, 2 * r->n_links);
	for (uint32_t end = 0; end < 2 * r->n_links; end++) {
		const struct plan_port *had = plan_standing_end(m, end);
		uint32_t router = m->numbers.router[end & 1 ? r->links[end / 2].b : r->links[end / 2].a];

		if (had && had->router == router)
			m->eth[end] = name_number(had->ifname);
	}
	for (uint32_t end = 0; end < 2 * r->n_links; end++) {
		uint32_t node = end & 1 ? r->links[end / 2].b : r->links[end / 2].a;

		if (m->eth[end] == UINT32_MAX)
			m->eth[end] = next_name(&names[0], m->numbers.router[node], node);
	}
}

/* Uplinks of a router that stays, port for port in order; its others and all of new ones are new. */
static void number_uplinks(struct plan_maker *m, struct named *names)
{
	const struct request *r = m->in->r, *was = m->standing ? m->standing->before->r : NULL;
	struct hash *taken = m->standing ? all_taken(m->standing->numbers.uplink, m->standing->numbers.n_uplinks) : hash_new();
	size_t first = 0;

	blank(&m->up, m->numbers.n_uplinks);
	for (size_t i = 0; i < r->n_nodes; first += r->nodes[i++].n_uplinks) {
		size_t old = was ? old_node(m, i) : SIZE_MAX, old_first = 0;

		if (old == SIZE_MAX || !stays(m, i, old))
			continue;
		mem_auto bool *used = mem_array(was->nodes[old].n_uplinks, sizeof(*used));

		for (size_t k = 0; k < old; k++)
			old_first += was->nodes[k].n_uplinks;
		for (size_t k = 0; k < r->nodes[i].n_uplinks; k++)
			for (size_t j = 0; j < was->nodes[old].n_uplinks; j++) {
				uint32_t number = m->standing->numbers.uplink[old_first + j];

				if (used[j] || number == UINT32_MAX || strcmp(was->nodes[old].uplinks[j].port, r->nodes[i].uplinks[k].port) != 0)
					continue;
				const struct plan_port *had = hash_get_u64(m->standing->ports, (uint64_t)PLAN_UPLINK_ID + number + 1);

				used[j] = true;
				m->numbers.uplink[first + k] = number;
				m->up[first + k] = had ? name_number(had->ifname) : UINT32_MAX;
				break;
			}
	}
	fill(m->numbers.uplink, m->numbers.n_uplinks, taken);
	hash_free(taken, NULL);
	memset(names[1].next, 0, r->n_nodes * sizeof(*names[1].next));
	first = 0;
	for (size_t i = 0; i < r->n_nodes; first += r->nodes[i++].n_uplinks)
		for (size_t k = 0; k < r->nodes[i].n_uplinks; k++)
			if (m->up[first + k] == UINT32_MAX)
				m->up[first + k] = next_name(&names[1], m->numbers.router[i], i);
}

int plan_number(struct plan_maker *m, struct err *err)
{
	const struct request *r = m->in->r;
	struct named names[2] = { { hash_new(), mem_array(r->n_nodes, sizeof(uint32_t)) }, { hash_new(), mem_array(r->n_nodes, sizeof(uint32_t)) } };
	size_t uplinks = request_uplinks(r);
	int rc = 0;

	m->numbers = (struct plan_numbers){ .n_routers = r->n_nodes, .n_links = r->n_links, .n_uplinks = uplinks };
	blank(&m->numbers.router, r->n_nodes);
	blank(&m->numbers.link, r->n_links);
	blank(&m->numbers.uplink, uplinks);
	if (uplinks >= PLAN_PORTS_MAX)
		rc = err_set(err, -ERANGE, "%zu uplinks, more than %d", uplinks, PLAN_PORTS_MAX);
	if (m->standing)
		hash_each(m->standing->ports, note_name, names);
	number_routers(m);
	number_links(m);
	number_eths(m, names);
	number_uplinks(m, names);
	for (size_t i = 0; i < 2; i++) {
		hash_free(names[i].taken, NULL);
		free(names[i].next);
	}
	return rc;
}
