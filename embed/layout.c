/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See layout.h. Snapshots hold hosts and routes only; a restore undoes and redoes what differs. */
#include "embed/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void layout_init_snapshot(struct layout *l, const struct problem *p)
{
	*l = (struct layout){ .p = p };
	l->host = mem_array(p->r->n_nodes + 1, sizeof(*l->host));
	memset(l->host, 0xff, (p->r->n_nodes + 1) * sizeof(*l->host));
	l->route = mem_array(p->r->n_links + 1, sizeof(*l->route));
}

void layout_init(struct layout *l, const struct problem *p, struct path_space *space)
{
	size_t n = p->s->n_nodes, m = p->s->n_links;

	layout_init_snapshot(l, p);
	l->space = space;
	l->node = mem_array(n + 1, sizeof(*l->node));
	memcpy(l->node, p->left->node, n * sizeof(*l->node));
	l->cap = mem_array(m + 1, sizeof(*l->cap));
	memcpy(l->cap, p->left->link_kbps, m * sizeof(*l->cap));
	l->guests = mem_array(n + 1, sizeof(*l->guests));
	l->banned = mem_array(m + 1, sizeof(*l->banned));
	l->scratch = mem_array((PATHS_MAX + 1) * (n + 1), sizeof(*l->scratch));
	l->flow = mem_array(m + 1, sizeof(*l->flow));
	l->room = mem_array(m + 1, sizeof(*l->room));
}

void layout_done(struct layout *l)
{
	for (size_t k = 0; l->route && k < l->p->r->n_links; k++)
		free(l->route[k].links);
	free(l->route);
	free(l->host);
	free(l->node);
	free(l->cap);
	free(l->guests);
	free(l->banned);
	free(l->scratch);
	free(l->flow);
	free(l->room);
	memset(l, 0, sizeof(*l));
}

bool layout_room(const struct layout *l, uint32_t u, uint32_t a)
{
	const struct problem *p = l->p;

	if (!p->is_cand[u][a])
		return false;
	if (p->r->placement == PLACEMENT_DISTINCT)
		return l->guests[a] == 0; /* a candidate has room for one */
	for (uint32_t v = 0; p->r->placement == PLACEMENT_GROUPS && l->guests[a] > 0 && v < p->r->n_nodes; v++)
		if (v != u && l->host[v] == a && request_apart(p->r, u, v))
			return false;
	for (int res = 0; res < RES_COUNT; res++)
		if (l->node[a][res] < p->r->nodes[u].demand[res])
			return false;
	return true;
}

static double node_cost(const struct layout *l, uint32_t u, uint32_t a)
{
	return (double)l->p->r->nodes[u].demand[RES_CPU_MILLI] * (double)l->p->node_weight[a];
}

void layout_place(struct layout *l, uint32_t u, uint32_t a)
{
	for (int res = 0; res < RES_COUNT; res++)
		if (l->node[a][res] != UNLIMITED)
			l->node[a][res] -= l->p->r->nodes[u].demand[res];
	l->guests[a]++;
	l->host[u] = a;
	l->n_placed++;
	l->cost += node_cost(l, u, a);
}

void layout_unplace(struct layout *l, uint32_t u)
{
	const struct problem *p = l->p;
	uint32_t a = l->host[u];

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++)
		layout_unroute(l, p->varcs[i].link);
	for (int res = 0; res < RES_COUNT; res++)
		if (l->node[a][res] != UNLIMITED)
			l->node[a][res] += p->r->nodes[u].demand[res];
	l->guests[a]--;
	l->host[u] = NO_NODE;
	l->n_placed--;
	l->cost -= node_cost(l, u, a);
}

static void route_take(struct layout *l, const struct vroute *r, int sign)
{
	for (uint32_t i = 0; i < r->n_paths; i++)
		for (uint32_t j = r->first[i]; j < r->first[i + 1]; j++)
			l->cap[r->links[j]] -= sign * r->bw_kbps[i];
	l->cost += sign * r->cost;
}

void layout_unroute(struct layout *l, uint32_t k)
{
	if (!l->route[k].routed)
		return;
	route_take(l, &l->route[k], -1);
	l->route[k].routed = false;
	l->n_routed--;
}

void layout_set_route(struct layout *l, uint32_t k)
{
	struct vroute *r = &l->route[k];

	r->cost = 0;
	for (uint32_t i = 0; i < r->n_paths; i++)
		for (uint32_t j = r->first[i]; j < r->first[i + 1]; j++)
			r->cost += (double)r->bw_kbps[i] * (double)l->p->link_weight[r->links[j]];
	r->routed = true;
	r->version = ++l->version;
	l->n_routed++;
	route_take(l, r, 1);
}

static void route_copy(const struct vroute *from, struct vroute *to)
{
	uint32_t *links = to->links;
	uint32_t cap = to->cap, n = from->routed ? from->first[from->n_paths] : 0;

	if (n > cap) {
		cap = n;
		links = mem_grow(links, cap, sizeof(*links));
	}
	*to = *from;
	to->links = links;
	to->cap = cap;
	if (n > 0)
		memcpy(links, from->links, n * sizeof(*links));
}

void layout_save(const struct layout *l, struct layout *snapshot)
{
	memcpy(snapshot->host, l->host, l->p->r->n_nodes * sizeof(*l->host));
	for (size_t k = 0; k < l->p->r->n_links; k++)
		if (snapshot->route[k].version != l->route[k].version || snapshot->route[k].routed != l->route[k].routed)
			route_copy(&l->route[k], &snapshot->route[k]);
	snapshot->n_placed = l->n_placed;
	snapshot->n_routed = l->n_routed;
	snapshot->cost = l->cost;
}

void layout_restore(struct layout *l, const struct layout *snapshot)
{
	const struct problem *p = l->p;

	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		if (l->host[u] != NO_NODE && l->host[u] != snapshot->host[u])
			layout_unplace(l, u);
	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		if (l->host[u] == NO_NODE && snapshot->host[u] != NO_NODE)
			layout_place(l, u, snapshot->host[u]);
	for (uint32_t k = 0; k < p->r->n_links; k++)
		if (l->route[k].routed && (!snapshot->route[k].routed || snapshot->route[k].version != l->route[k].version))
			layout_unroute(l, k);
	for (uint32_t k = 0; k < p->r->n_links; k++) {
		if (l->route[k].routed || !snapshot->route[k].routed)
			continue;
		route_copy(&snapshot->route[k], &l->route[k]);
		l->n_routed++;
		route_take(l, &l->route[k], 1);
	}
	l->cost = snapshot->cost; /* what rounding left behind goes */
}

bool layout_complete(const struct layout *l)
{
	return l->n_placed == l->p->r->n_nodes && l->n_routed == l->p->r->n_links;
}

void layout_embedding(const struct layout *l, struct embedding *ret)
{
	const struct request *request = l->p->r;

	embedding_init(ret, request->n_nodes, request->n_links);
	memcpy(ret->host, l->host, request->n_nodes * sizeof(*ret->host));
	for (size_t k = 0; k < request->n_links; k++) {
		const struct vroute *r = &l->route[k];
		struct vlink_map *map = &ret->links[k];
		size_t n = r->n_paths - (r->backup ? 1 : 0);
		map->paths = n > 0 ? mem_array(n, sizeof(*map->paths)) : NULL;
		map->n_paths = n;
		for (uint32_t i = 0; i < r->n_paths; i++) {
			struct path *path = i < n ? &map->paths[i] : &map->backup;
			path->n = r->first[i + 1] - r->first[i];
			path->bw_kbps = r->bw_kbps[i];
			path->links = mem_dup(&r->links[r->first[i]], path->n * sizeof(*path->links));
		}
	}
	embedding_choose_kinds(ret, l->p->s, request);
}
