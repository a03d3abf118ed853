/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A network and the request that it is to fulfil from now on: what of its embedding can stay, and what it means for routers and
 * links if it becomes another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

enum { AWAITED_MS = 30000 }; /* a restart takes no longer, however long it takes until a node counts as lost */

/* ---- what can stay --------------------------------------------------------------------------------- */

/* Nothing is to be on it. */
static bool node_lost(const struct vned *v, uint32_t snode, struct buf *why)
{
	return failures_node(v, snode, why) || failures_drained(v, snode);
}

/* Not even to pass through a node that is lost or drained. */
static bool path_lost(const struct vned *v, uint32_t from, const struct path *p, struct buf *why)
{
	mem_auto uint32_t *via = mem_array(p->n + 1, sizeof(*via));
	struct err ignored;
	for (size_t i = 0; i < p->n; i++)
		if (failures_link(v, p->links[i], why) || failures_link_leaves(v, p->links[i]))
			return true;
	if (path_via(&v->substrate, from, p, via, &ignored) < 0)
		return true;
	for (size_t i = 0; i <= p->n; i++)
		if (node_lost(v, via[i], why))
			return true;
	return false;
}

static struct path copy_of(const struct path *p)
{
	return (struct path){ mem_dup(p->links, p->n * sizeof(*p->links)), p->n, p->bw_kbps };
}

/* Of a protected link that has lost one way, the other is its only one: embed_update finds it a second. */
static void link_stays(const struct vned *v, const struct network *net, size_t link, struct vlink_map *ret)
{
	const struct vlink_map *m = &net->embedding.links[link];
	uint32_t from = net->embedding.host[net->request.links[link].a];
	size_t n = 0;
	for (size_t k = 0; k < m->n_paths; k++)
		n += !path_lost(v, from, &m->paths[k], NULL);
	bool backup = m->backup.n && !path_lost(v, from, &m->backup, NULL);
	if (m->backup.n ? n + backup == 0 : n < m->n_paths)
		return;
	ret->paths = mem_array(m->n_paths + 1, sizeof(*ret->paths));
	for (size_t k = 0; k < m->n_paths; k++)
		if (!path_lost(v, from, &m->paths[k], NULL))
			ret->paths[ret->n_paths++] = copy_of(&m->paths[k]);
	if (backup && ret->n_paths)
		ret->backup = copy_of(&m->backup);
	else if (backup)
		ret->paths[ret->n_paths++] = copy_of(&m->backup);
}

void update_now(const struct vned *v, const struct network *net, const struct request *r, struct embedding *ret)
{
	embedding_init(ret, r->n_nodes, r->n_links);
	for (size_t i = 0; i < r->n_nodes; i++) {
		size_t old = hash_index(net->request.node_index, r->nodes[i].name);
		if (old == SIZE_MAX || node_lost(v, net->embedding.host[old], NULL))
			continue;
		ret->host[i] = net->embedding.host[old];
		ret->kind[i] = mem_str(net->embedding.kind[old]);
	}
	for (size_t k = 0; k < r->n_links; k++) {
		const struct vlink *l = &r->links[k];
		size_t old = hash_index(net->request.link_index, l->name);
		const struct vlink *was = old == SIZE_MAX ? NULL : &net->request.links[old];
		if (was && !strcmp(net->request.nodes[was->a].name, r->nodes[l->a].name) && !strcmp(net->request.nodes[was->b].name, r->nodes[l->b].name))
			link_stays(v, net, old, &ret->links[k]);
	}
}

bool update_is_due(const struct vned *v, const struct network *net, struct buf *why)
{
	for (size_t i = 0; i < net->embedding.n_nodes; i++)
		if (node_lost(v, net->embedding.host[i], why))
			return true;
	for (size_t k = 0; k < net->embedding.n_links; k++) {
		const struct vlink_map *m = &net->embedding.links[k];
		uint32_t from = net->embedding.host[net->request.links[k].a];
		for (size_t p = 0; p <= m->n_paths; p++) {
			const struct path *path = p < m->n_paths ? &m->paths[p] : m->backup.n ? &m->backup : NULL;
			size_t len = why ? why->len : 0;
			if (!path || !path_lost(v, from, path, why))
				continue;
			if (why && why->len > len)
				buf_printf(why, ", which virtual link %s %s", net->request.links[k].name, path == &m->backup ? "has its backup path over" : "goes over");
			return true;
		}
	}
	return false;
}

bool update_awaits_agent(const struct vned *v, const struct network *net)
{
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		const struct agent *a = &v->agents[net->plan.snode[i]];
		int64_t since = a->heard_ms > v->started_ms ? a->heard_ms : v->started_ms;
		if (agents_down(v, a->snode) && !failures_node(v, a->snode, NULL) && clock_ms() - since < AWAITED_MS)
			return true;
	}
	return false;
}

/* ---- what it becomes ---------------------------------------------------------------------------------- */

static void change(struct network_view *view, bool of_link, const char *name, bool interrupted, char *what)
{
	view->changes = mem_grow(view->changes, view->n_changes + 1, sizeof(*view->changes));
	view->changes[view->n_changes++] = (struct change_view){ of_link, mem_str(name), what, interrupted };
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void router_changes(const struct vned *v, const struct network *net, const struct network *to, size_t i, size_t old,
                           struct network_view *view)
{
	const struct vnode *n = &to->request.nodes[i], *was = &net->request.nodes[old];
	const char *here = v->substrate.nodes[to->embedding.host[i]].name, *there = v->substrate.nodes[net->embedding.host[old]].name;
	char a[UNITS_TEXT], b[UNITS_TEXT];
	bool replaced = to->numbers.router[i] != net->numbers.router[old];
	if (to->embedding.host[i] != net->embedding.host[old])
		change(view, false, n->name, true, mem_printf("moves from %s to %s%s", there, here, replaced ? ", made anew" : ""));
	else if (replaced)
		change(view, false, n->name, true, mem_printf("made anew on %s: kind %s, image %s", here, to->embedding.kind[i], n->image ? n->image : "default"));
	if (n->demand[RES_CPU_MILLI] != was->demand[RES_CPU_MILLI])
		change(view, false, n->name, false, mem_printf("cpu %s → %s", units_cpu_text(was->demand[RES_CPU_MILLI], a), units_cpu_text(n->demand[RES_CPU_MILLI], b)));
	if (n->demand[RES_MEM_KIB] != was->demand[RES_MEM_KIB])
		change(view, false, n->name, false, mem_printf("memory %s → %s", units_memory_text(was->demand[RES_MEM_KIB], a), units_memory_text(n->demand[RES_MEM_KIB], b)));
	if (n->plane != was->plane || !same_text(n->program, was->program))
		change(view, false, n->name, false, mem_printf("plane %s", plane_names[n->plane ? n->plane : plane_default(to->embedding.kind[i])]));
	if (!same_text(n->controller, was->controller))
		change(view, false, n->name, false, mem_printf("controller %s", n->controller ? n->controller : "none"));
}

static bool same_path(const struct path *a, const struct path *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->links, b->links, a->n * sizeof(*a->links)));
}

static bool same_ways(const struct vlink_map *a, const struct vlink_map *b)
{
	if (a->n_paths != b->n_paths || !same_path(&a->backup, &b->backup))
		return false;
	for (size_t k = 0; k < a->n_paths; k++)
		if (!same_path(&a->paths[k], &b->paths[k]))
			return false;
	return true;
}

static bool end_changes(const struct network *net, const struct network *to, uint32_t node)
{
	size_t old = hash_index(net->request.node_index, to->request.nodes[node].name);
	return old == SIZE_MAX || net->embedding.host[old] != to->embedding.host[node] || net->numbers.router[old] != to->numbers.router[node];
}

static void link_changes(const struct network *net, const struct network *to, size_t i, size_t old, struct network_view *view)
{
	const struct vlink *l = &to->request.links[i], *was = &net->request.links[old];
	char a[UNITS_TEXT], b[UNITS_TEXT];
	bool moves = end_changes(net, to, l->a) || end_changes(net, to, l->b);
	if (moves || !same_ways(&to->embedding.links[i], &net->embedding.links[old]))
		change(view, true, l->name, moves, mem_str(moves ? "goes with its router" : "takes another path"));
	if (l->bw_kbps != was->bw_kbps)
		change(view, true, l->name, false, mem_printf("bandwidth %s → %s", units_bandwidth_text(was->bw_kbps, a), units_bandwidth_text(l->bw_kbps, b)));
}

void update_changes(const struct vned *v, const struct network *net, const struct network *to, struct network_view *view)
{
	for (size_t i = 0; i < to->request.n_nodes; i++) {
		size_t old = hash_index(net->request.node_index, to->request.nodes[i].name);
		if (old == SIZE_MAX)
			change(view, false, to->request.nodes[i].name, false, mem_printf("new, on %s", v->substrate.nodes[to->embedding.host[i]].name));
		else
			router_changes(v, net, to, i, old, view);
	}
	for (size_t i = 0; i < net->request.n_nodes; i++)
		if (hash_index(to->request.node_index, net->request.nodes[i].name) == SIZE_MAX)
			change(view, false, net->request.nodes[i].name, true, mem_str("goes"));
	for (size_t i = 0; i < to->request.n_links; i++) {
		size_t old = hash_index(net->request.link_index, to->request.links[i].name);
		if (old == SIZE_MAX || net->numbers.link[old] != to->numbers.link[i])
			change(view, true, to->request.links[i].name, false, mem_str("new"));
		else
			link_changes(net, to, i, old, view);
	}
	for (size_t i = 0; i < net->request.n_links; i++)
		if (hash_index(to->request.link_index, net->request.links[i].name) == SIZE_MAX)
			change(view, true, net->request.links[i].name, true, mem_str("goes"));
}

/* ---- made ------------------------------------------------------------------------------------------------ */

struct network *update_make(struct vned *v, const char *owner, const struct request *r, struct solution *solution,
                            const struct network *before, struct err *err)
{
	struct network *net = network_new(owner, r, err);
	if (!net)
		return NULL;
	net->embedding = solution->embedding;
	solution->embedding = (struct embedding){ 0 };
	solution->has_embedding = false;
	net->id = before ? before->id : networks_take_id(v);
	net->generation = before ? flow_next_generation(before) : 1;
	net->submitted_ms = before ? before->submitted_ms : 0;
	if (before && r->lifetime_us >= 0)
		net->expires_ms = before->submitted_ms + (uint64_t)(r->lifetime_us / 1000);
	net->cost = solution->cost;
	net->bound = solution->has_bound ? solution->bound : -1;
	net->revenue = nano_to_units(request_revenue_nano(r));
	net->solve_seconds = solution->seconds;
	snprintf(net->solver, sizeof(net->solver), "%s", solution->solver);
	snprintf(net->status, sizeof(net->status), "%s", solve_status_names[solution->status]);
	struct plan_before standing = { 0 };
	if (before)
		standing = (struct plan_before){ &before->request, &before->embedding, &before->plan };
	struct plan_input in = { .s = &v->substrate, .r = &net->request, .e = &net->embedding, .net = net->id,
		                     .generation = net->generation, .owner = net->owner, .before = before ? &standing : NULL,
		                     .underlay_mtu = agents_underlay_mtu, .arg = v, .vnis = networks_vni_pool(v) };
	if (plan_make(&in, &net->plan, err) < 0) {
		network_free(net);
		return NULL;
	}
	network_make_parts(net);
	return net;
}
