/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Substrate, what is left of it, and a request as one JSON object for somebody's own solver
 * (docs/schema/problem.json). Numbers in the units of the formats: cores, MiB, Mbit/s, ms; names instead of indices; and
 * for each router the nodes that its kind, uplinks and place allow, so that a program need not know those rules. */
#include "model/embedding.h"
#include "model/request.h"
#include "model/substrate.h"
#include "model/writer.h"

static void write_names(struct writer *w, const char *key, const struct yaml_names *names)
{
	write_list(w, key, NULL);
	for (size_t i = 0; i < names->n; i++)
		write_string(w, NULL, NULL, names->v[i]);
	write_end(w);
}

static void write_amounts(struct writer *w, const int64_t amount[RES_COUNT])
{
	write_number(w, "cpu", NULL, (double)amount[RES_CPU_MILLI] / 1000, 3);
	if (amount[RES_MEM_KIB] != UNLIMITED)
		write_number(w, "memory_mib", NULL, (double)amount[RES_MEM_KIB] / 1024, 3);
	if (amount[RES_ROUTERS] != UNLIMITED)
		write_int(w, "routers", NULL, amount[RES_ROUTERS]);
	if (amount[RES_PORTS] != UNLIMITED)
		write_int(w, "ports", NULL, amount[RES_PORTS]);
	if (amount[RES_GUEST_KIB] != UNLIMITED)
		write_number(w, "guest_memory_mib", NULL, (double)amount[RES_GUEST_KIB] / 1024, 3);
	if (amount[RES_GUESTS] != UNLIMITED)
		write_int(w, "guests", NULL, amount[RES_GUESTS]);
	if (amount[RES_REALTIME_MILLI] != UNLIMITED)
		write_number(w, "realtime", NULL, (double)amount[RES_REALTIME_MILLI] / 1000, 3);
}

static void write_coords(struct writer *w, const struct coords *c)
{
	if (c->kind == COORDS_NONE)
		return;
	write_list(w, c->kind == COORDS_LOCATION ? "location" : "position", NULL);
	write_number(w, NULL, NULL, c->a, 6);
	write_number(w, NULL, NULL, c->b, 6);
	write_end(w);
}

static void write_snode(struct writer *w, const struct snode *node, const int64_t left[RES_COUNT])
{
	write_object(w, NULL, NULL);
	write_string(w, "name", NULL, node->name);
	write_object(w, "capacity", NULL);
	write_amounts(w, node->cap);
	write_end(w);
	write_object(w, "left", NULL);
	write_amounts(w, left);
	write_end(w);
	write_number(w, "cost", NULL, (double)node->cost_micro / 1e6, 6);
	write_coords(w, &node->coords);
	write_end(w);
}

static void write_slink(struct writer *w, const struct substrate *s, const struct slink *link, int64_t left_kbps)
{
	write_object(w, NULL, NULL);
	write_string(w, "name", NULL, link->name);
	write_list(w, "endpoints", NULL);
	write_string(w, NULL, NULL, s->nodes[link->a].name);
	write_string(w, NULL, NULL, s->nodes[link->b].name);
	write_end(w);
	write_number(w, "mbit", NULL, (double)link->bw_kbps / 1000, 3);
	write_number(w, "left_mbit", NULL, (double)left_kbps / 1000, 3);
	write_number(w, "delay_ms", NULL, (double)link->delay_us / 1000, 3);
	write_number(w, "cost", NULL, (double)link->cost_micro / 1e6, 6);
	write_names(w, "risks", &link->risks);
	write_end(w);
}

static void write_vnode(struct writer *w, const struct substrate *s, const struct residual *left, const struct vnode *node)
{
	write_object(w, NULL, NULL);
	write_string(w, "name", NULL, node->name);
	write_amounts(w, node->demand);
	write_string(w, "router", NULL, node->kind);
	write_list(w, "candidates", NULL);
	for (size_t a = 0; a < s->n_nodes; a++) {
		bool fits = place_fits(node, s, a, NULL);
		for (size_t res = 0; fits && res < RES_COUNT; res++)
			fits = left->node[a][res] >= node->demand[res];
		if (fits)
			write_string(w, NULL, NULL, s->nodes[a].name);
	}
	write_end(w);
	write_end(w);
}

static void write_vlink(struct writer *w, const struct request *r, const struct vlink *link)
{
	write_object(w, NULL, NULL);
	write_string(w, "name", NULL, link->name);
	write_list(w, "endpoints", NULL);
	write_string(w, NULL, NULL, r->nodes[link->a].name);
	write_string(w, NULL, NULL, r->nodes[link->b].name);
	write_end(w);
	write_number(w, "mbit", NULL, (double)link->bw_kbps / 1000, 3);
	if (link->max_delay_us >= 0)
		write_number(w, "max_delay_ms", NULL, (double)link->max_delay_us / 1000, 3);
	write_string(w, "paths", NULL, link->split ? "split" : "single");
	write_string(w, "protection", NULL, link->protect ? "link" : "none");
	write_end(w);
}

void write_problem(struct writer *w, const struct substrate *s, const struct residual *left, const struct request *r)
{
	write_object(w, "substrate", NULL);
	write_string(w, "name", NULL, s->name);
	write_list(w, "nodes", NULL);
	for (size_t a = 0; a < s->n_nodes; a++)
		write_snode(w, &s->nodes[a], left->node[a]);
	write_end(w);
	write_list(w, "links", NULL);
	for (size_t l = 0; l < s->n_links; l++)
		if (!s->links[l].closed)
			write_slink(w, s, &s->links[l], left->link_kbps[l]);
	write_end(w);
	write_end(w);
	write_object(w, "request", NULL);
	write_string(w, "name", NULL, r->name);
	write_string(w, "placement", NULL, r->placement == PLACEMENT_DISTINCT ? "distinct" : "pack");
	write_list(w, "nodes", NULL);
	for (size_t u = 0; u < r->n_nodes; u++)
		write_vnode(w, s, left, &r->nodes[u]);
	write_end(w);
	write_list(w, "links", NULL);
	for (size_t k = 0; k < r->n_links; k++)
		write_vlink(w, r, &r->links[k]);
	write_end(w);
	write_end(w);
}
