/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate as plain data: its rules, whichever way it came, and its copies. */
#include "model/substrate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/parts.h"
#include "model/plan.h"
#include "model/request.h"
#include "model/substrate_rules.h"

const char *const resource_names[RES_COUNT] = {
	"cpu", "memory", "max_routers", "max_ports", "guest_memory", "max_guests", "realtime",
};

static const int64_t resource_max[RES_COUNT] = {
	CPU_MAX_MILLI, MEM_MAX_KIB, COUNT_MAX, COUNT_MAX, MEM_MAX_KIB, COUNT_MAX, CPU_MAX_MILLI,
};

double coords_distance(const struct coords *p, const struct coords *q)
{
	static const double earth_km = 6371, degree = M_PI / 180;

	if (p->kind != q->kind || p->kind == COORDS_NONE)
		return INFINITY;
	if (p->kind == COORDS_POSITION)
		return hypot(p->a - q->a, p->b - q->b);
	double south = sin((q->a - p->a) * degree / 2), east = sin((q->b - p->b) * degree / 2);
	double h = south * south + cos(p->a * degree) * cos(q->a * degree) * east * east;

	return 2 * earth_km * asin(sqrt(h < 1 ? h : 1));
}

static void snode_done(struct snode *n)
{
	free(n->name);
	yaml_names_done(&n->kinds);
	yaml_names_done(&n->images);
	yaml_names_done(&n->programs);
	yaml_names_done(&n->uplinks);
	labels_done(n->labels, n->n_labels);
}

void substrate_done(struct substrate *s)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		snode_done(&s->nodes[i]);
	for (size_t i = 0; i < s->n_links; i++) {
		free(s->links[i].name);
		yaml_names_done(&s->links[i].risks);
	}
	free(s->nodes);
	free(s->links);
	free(s->name);
	hash_free(s->node_index, NULL);
	hash_free(s->link_index, NULL);
	*s = (struct substrate){0};
}

int substrate_copy(const struct substrate *from, struct substrate *ret, struct err *err)
{
	struct substrate to = {
		.name = mem_str(from->name),
		.nodes = mem_array(from->n_nodes, sizeof(*to.nodes)),
		.n_nodes = from->n_nodes,
		.links = mem_array(from->n_links, sizeof(*to.links)),
		.n_links = from->n_links,
	};

	for (size_t i = 0; i < to.n_nodes; i++) {
		const struct snode *n = &from->nodes[i];

		to.nodes[i] = *n;
		to.nodes[i].name = mem_str(n->name);
		to.nodes[i].kinds = names_copy(&n->kinds);
		to.nodes[i].images = names_copy(&n->images);
		to.nodes[i].programs = names_copy(&n->programs);
		to.nodes[i].uplinks = names_copy(&n->uplinks);
		to.nodes[i].labels = labels_copy(n->labels, n->n_labels);
	}
	for (size_t i = 0; i < to.n_links; i++) {
		to.links[i] = from->links[i];
		to.links[i].name = mem_str(from->links[i].name);
		to.links[i].risks = names_copy(&from->links[i].risks);
	}
	int r = substrate_check(&to, err);

	if (r < 0) {
		substrate_done(&to);
		return r;
	}
	*ret = to;
	return 0;
}

bool snode_hosts(const struct snode *node, const char *kind)
{
	if (!node->agent)
		return false;
	if (node->any_kind)
		return true;
	for (size_t i = 0; i < node->kinds.n; i++)
		if (kind ? strcmp(node->kinds.v[i], kind) == 0 : !kind_is_switch(node->kinds.v[i]))
			return true;
	return false;
}

bool snode_only_guests(const struct snode *node)
{
	size_t guests = 0, others = 0;

	for (size_t i = 0; node->agent && !node->any_kind && i < node->kinds.n; i++)
		*(kind_is_guest(node->kinds.v[i]) ? &guests : &others) += !kind_is_switch(node->kinds.v[i]);
	return guests && !others;
}

const char *snode_label(const struct snode *node, const char *key)
{
	for (size_t i = 0; i < node->n_labels; i++)
		if (strcmp(node->labels[i].key, key) == 0)
			return node->labels[i].value;
	return NULL;
}

/* ---- rules ---- */

static const char *snode_name_at(const void *owner, size_t i)
{
	return ((const struct substrate *)owner)->nodes[i].name;
}

static struct link_ends slink_at(const void *owner, size_t i)
{
	const struct slink *l = &((const struct substrate *)owner)->links[i];

	return (struct link_ends){l->name, l->a, l->b};
}

/* Both ends or none, one family, two addresses. */
static void slink_underlay_faults(const struct substrate *s, size_t i, struct faults *faults)
{
	const struct slink *l = &s->links[i];
	const struct addr *at = l->underlay;

	if (l->a >= s->n_nodes || l->b >= s->n_nodes || !s->nodes[l->a].name || !s->nodes[l->b].name)
		return;
	if (!at[0].family && !at[1].family)
		return;
	if (!at[0].family || !at[1].family)
		faults_add(faults, PART_LINK, i, "\"underlay\" has an address at one end only; expected one at \"%s\" too",
		           s->nodes[at[0].family ? l->b : l->a].name);
	else if (at[0].family != at[1].family)
		faults_add(faults, PART_LINK, i, "\"underlay\" mixes IPv4 and IPv6; expected both of one kind");
	else if (memcmp(at[0].bytes, at[1].bytes, sizeof(at[0].bytes)) == 0)
		faults_add(faults, PART_LINK, i, "\"underlay\" has the same address at both ends");
}

void substrate_faults(struct substrate *s, struct faults *faults)
{
	hash_free(s->node_index, NULL);
	hash_free(s->link_index, NULL);
	s->node_index = hash_new();
	s->link_index = hash_new();
	if (!s->n_nodes)
		faults_add(faults, PART_WHOLE, 0, "a substrate without nodes; expected at least one");
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct snode *n = &s->nodes[i];

		if (n->name && !hash_index_put(s->node_index, n->name, i))
			faults_add(faults, PART_NODE, i, "node \"%s\" stands here again; it was node %zu; expected each name once",
			           n->name, hash_index(s->node_index, n->name) + 1);
		if (!n->agent && n->kinds.n)
			faults_add(faults, PART_NODE, i, "a node without an agent hosts no routers; expected no \"routers\", or an agent");
	}
	links_check(s->n_links, slink_at, s, snode_name_at, s->n_nodes, s->link_index, faults);
	for (size_t i = 0; i < s->n_links; i++)
		slink_underlay_faults(s, i, faults);
}

/* What the readers of a file have seen to. */

static int address_check(const struct addr *a, struct err *err)
{
	if (!a->family)
		return 0;
	if ((a->family == AF_INET && a->prefix == 32) || (a->family == AF_INET6 && a->prefix == 128))
		return 0;
	return err_set(err, -EINVAL, "an address that is not one of a host");
}

static int snode_check(const struct snode *n, struct err *err)
{
	if (!n->name)
		return err_set(err, -EINVAL, "a node without a name");
	int r = name_check(n->name, strlen(n->name), err);

	for (size_t i = 0; i < RES_COUNT && r == 0; i++)
		if (i == RES_CPU_MILLI || n->cap[i] != UNLIMITED)
			r = amount_check(resource_names[i], n->cap[i], resource_max[i], err);
	if (r == 0)
		r = names_check(&n->kinds, err);
	for (size_t i = 0; i < n->kinds.n && r == 0; i++)
		if (strlen(n->kinds.v[i]) > KIND_MAX)
			r = err_set(err, -EINVAL, "router kind \"%s\" is too long; at most %d characters", n->kinds.v[i], KIND_MAX);
	if (r == 0 && n->any_kind && n->kinds.n)
		r = err_set(err, -EINVAL, "a node of any kind that lists kinds");
	if (r == 0 && n->any_image && n->images.n)
		r = err_set(err, -EINVAL, "a node of any image that lists images");
	if (r == 0 && (r = names_check(&n->programs, err)) < 0)
		r = err_add(err, r, "programs");
	if (r == 0 && (r = names_check(&n->images, err)) < 0)
		r = err_add(err, r, "images");
	if (r == 0 && n->max_guest_ports != UNLIMITED)
		r = amount_check("max_guest_ports", n->max_guest_ports, COUNT_MAX, err);
	if (r == 0)
		r = names_check(&n->uplinks, err);
	if (r == 0)
		r = coords_check(&n->coords, err);
	if (r == 0)
		r = amount_check("cost", n->cost_micro, COST_MAX_MICRO, err);
	if (r == 0)
		r = labels_check(n->labels, n->n_labels, err);
	return r ? r : address_check(&n->address, err);
}

static int slink_check(const struct slink *l, struct err *err)
{
	if (!l->name)
		return err_set(err, -EINVAL, "a link without a name");
	int r = amount_check("bandwidth", l->bw_kbps, BW_MAX_KBPS, err);

	if (r == 0)
		r = amount_check("delay", l->delay_us, DELAY_MAX_US, err);
	if (r == 0)
		r = amount_check("cost", l->cost_micro, COST_MAX_MICRO, err);
	if (r == 0)
		r = names_check(&l->risks, err);
	if (r == 0)
		r = address_check(&l->underlay[0], err);
	return r ? r : address_check(&l->underlay[1], err);
}

int substrate_check(struct substrate *s, struct err *err)
{
	struct faults_err faults = faults_to_err(err);

	if (!s->name)
		return err_set(err, -EINVAL, "a substrate without a name");
	int r = name_check(s->name, strlen(s->name), err);

	if (r < 0)
		return err_add(err, r, "substrate");
	if (s->n_nodes > PARTS_MAX || s->n_links > PARTS_MAX)
		return err_set(err, -EINVAL, "a substrate of more than %d nodes or links", PARTS_MAX);
	for (size_t i = 0; i < s->n_nodes; i++)
		if ((r = snode_check(&s->nodes[i], err)) < 0)
			return err_add(err, r, "node %zu", i + 1);
	for (size_t i = 0; i < s->n_links; i++) {
		if (s->links[i].a >= s->n_nodes || s->links[i].b >= s->n_nodes)
			return err_set(err, -EINVAL, "link %zu: an end that is no node", i + 1);
		if ((r = slink_check(&s->links[i], err)) < 0)
			return err_add(err, r, "link %zu", i + 1);
	}
	substrate_faults(s, &faults.faults);
	return faults.code;
}
