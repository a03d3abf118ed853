/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a request may be placed on: what the substrate has left, without what no agent can serve now. What an agent lacks for
 * this request alone is taken out of its node's kinds, so that solver and checker see one more limit of placement and need
 * not know why. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

/* ---- nodes without a routing daemon: they host guests, which bring their own ------------------- */

/* ... or needs none: switches route nothing. */
static bool brings_daemon(const char *kind)
{
	return kind_is_guest(kind) || kind_is_switch(kind);
}

static bool hosts_others(const struct snode *n)
{
	bool any = false;
	for (size_t i = 0; i < n->kinds.n; i++)
		any |= !brings_daemon(n->kinds.v[i]);
	return any;
}

static bool lacks_daemon(const struct vned *v, uint32_t snode)
{
	return agents_reachable(v, snode) && !agent_offers(&v->agents[snode], "ospf") && hosts_others(&v->usable.nodes[snode]);
}

static void only_guests(struct snode *n, int64_t left[RES_COUNT])
{
	struct yaml_names kinds = { mem_array(n->kinds.n, sizeof(char *)), 0 };
	for (size_t i = 0; i < n->kinds.n; i++)
		if (brings_daemon(n->kinds.v[i]))
			kinds.v[kinds.n++] = n->kinds.v[i];
	n->kinds = kinds;
	/* whatever is placed there becomes a guest, so what is left for guests is all that is left */
	struct snode rest = *n;
	memcpy(rest.cap, left, sizeof(rest.cap));
	residual_node(&rest, left);
}

static bool lacks_split(const struct vned *v, uint32_t snode)
{
	return agents_reachable(v, snode) && !v->usable.nodes[snode].split;
}

static bool wants_uplinks(const struct request *r)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		if (r->nodes[i].n_uplinks)
			return true;
	return false;
}

/* ---- what is offered ----------------------------------------------------------------------------- */

static void offer_left(const struct vned *v, const struct residual *left, struct residual *ret)
{
	residual_copy(left, ret);
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		bool down = agents_down(v, (uint32_t)i) || failures_drained(v, (uint32_t)i);
		for (size_t k = 0; k < RES_COUNT; k++) {
			if (down || ret->node[i][k] < 0) /* below: the machine has less than when it was promised */
				ret->node[i][k] = 0;
		}
	}
	for (size_t i = 0; i < v->usable.n_links; i++)
		if (v->usable.links[i].closed)
			ret->link_kbps[i] = 0;
}

static bool is_closed(const struct vned *v, uint32_t slink)
{
	const struct slink *l = &v->usable.links[slink];
	return failures_link(v, slink, NULL) || failures_link_leaves(v, slink) || agents_down(v, l->a) || agents_down(v, l->b) ||
	       failures_drained(v, l->a) || failures_drained(v, l->b);
}

static void close_links(struct vned *v)
{
	bool same = true;
	for (uint32_t i = 0; i < v->usable.n_links; i++) {
		bool closed = is_closed(v, i);
		same = same && closed == v->usable.links[i].closed;
		v->usable.links[i].closed = closed;
	}
	if (!same)
		v->usable_version++;
}

void offer_make(struct vned *v, const struct request *r, const char *owner, const struct residual *left, struct offer *ret)
{
	size_t n = v->usable.n_nodes;
	close_links(v);
	*ret = (struct offer){ .substrate = v->usable, .version = wants_uplinks(r) ? 0 : v->usable_version };
	ret->substrate.nodes = mem_array(n ? n : 1, sizeof(*ret->substrate.nodes));
	if (n)
		memcpy(ret->substrate.nodes, v->usable.nodes, n * sizeof(*ret->substrate.nodes));
	offer_left(v, left, &ret->left);
	for (size_t i = 0; i < n && r->routing == ROUTING_OSPF; i++)
		if (lacks_daemon(v, (uint32_t)i)) {
			only_guests(&ret->substrate.nodes[i], ret->left.node[i]);
			ret->version = 0;
		}
	for (size_t i = 0; i < n && wants_uplinks(r); i++)
		admit_uplinks(v, owner, (uint32_t)i, &ret->substrate.nodes[i]);
	ret->borrowed = v->usable.nodes;
}

void offer_done(struct offer *o)
{
	for (size_t i = 0; i < o->substrate.n_nodes; i++) { /* their names are not ours */
		if (o->substrate.nodes[i].kinds.v != o->borrowed[i].kinds.v)
			free(o->substrate.nodes[i].kinds.v);
		if (o->substrate.nodes[i].uplinks.v != o->borrowed[i].uplinks.v)
			free(o->substrate.nodes[i].uplinks.v);
	}
	free(o->substrate.nodes);
	residual_done(&o->left);
	*o = (struct offer){ 0 };
}

/* ---- reasons -------------------------------------------------------------------------------------- */

/* Of this kind (NULL: any) connected nodes host routers, but none such a router that computes its routes. */
static bool needs_daemon(const struct vned *v, const char *kind)
{
	bool lacking = false;
	for (uint32_t i = 0; i < v->usable.n_nodes; i++) {
		if (!agents_reachable(v, i) || !snode_hosts(&v->usable.nodes[i], kind))
			continue;
		if (!lacks_daemon(v, i) || ((!kind || kind_is_guest(kind)) && snode_hosts(&v->usable.nodes[i], KIND_GUEST)))
			return false;
		lacking = true;
	}
	return lacking;
}

int admit_features(const struct vned *v, const struct request *r, struct err *err)
{
	for (size_t i = 0; i < r->n_nodes && r->routing == ROUTING_OSPF; i++) {
		if (!kind_is_switch(r->nodes[i].kind) && needs_daemon(v, r->nodes[i].kind))
			return err_set(err, -ENOTSUP, "routing: ospf: no agent connected offers ospf, a routing daemon in its routers; "
			               "use static or none");
	}
	return 0;
}

/* Why its agent cannot host a kind that a node is to have; NULL: it can, or nothing is known. */
static const char *kind_fault(const struct vned *v, uint32_t snode, const char *kind)
{
	const struct node_probe *p = &v->agents[snode].probe;
	for (size_t i = 0; agents_reachable(v, snode) && snode_hosts(&v->substrate.nodes[snode], kind) && i < p->n_kinds; i++)
		if (!p->kinds[i].usable && strcmp(p->kinds[i].kind, kind) == 0)
			return p->kinds[i].why;
	return NULL;
}

static void explain_kind(const struct vned *v, const char *kind, struct buf *out)
{
	uint32_t first = 0, n = 0;
	for (uint32_t i = 0; i < v->usable.n_nodes; i++)
		if (kind_fault(v, i, kind) && !n++)
			first = i;
	if (!n)
		return;
	buf_printf(out, "; not usable for routers of kind %s: %s", kind, v->substrate.nodes[first].name);
	if (n > 1)
		buf_printf(out, " and %u more", n - 1);
	buf_printf(out, ", because: %s", kind_fault(v, first, kind));
}

void admit_explain(const struct vned *v, const struct request *r, const char *owner, struct buf *out)
{
	buf_auto struct buf down = BUF_INIT, lacking = BUF_INIT, whole = BUF_INIT;
	agents_names(v, agents_down, &down);
	if (down.len)
		buf_printf(out, "; not usable, because no agent is connected: %s", buf_cstr(&down));
	if (r->routing == ROUTING_OSPF)
		agents_names(v, lacks_daemon, &lacking);
	if (lacking.len)
		buf_printf(out, "; not usable for routing: ospf but by guests, because BIRD is not installed: %s", buf_cstr(&lacking));
	struct hash *kinds = hash_new();
	for (size_t i = 0; i < r->n_nodes; i++)
		if (r->nodes[i].kind && hash_index_put(kinds, r->nodes[i].kind, i))
			explain_kind(v, r->nodes[i].kind, out);
	hash_free(kinds, NULL);
	for (size_t i = 0; i < r->n_nodes; i++)
		if (r->nodes[i].plane == PLANE_SPLIT) {
			agents_names(v, lacks_split, &whole);
			break;
		}
	if (whole.len)
		buf_printf(out, "; not usable for plane: split, because no BPF can be loaded there: %s", buf_cstr(&whole));
	admit_uplinks_explain(v, r, owner, out);
}
