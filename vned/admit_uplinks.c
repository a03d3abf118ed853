/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Outside ports: a router may have one where the substrate's operator has declared it, the node's agent has it, and its
 * operator lets the network's owner use it. Whose it is not, for him the node has none of that name. */
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

enum { TOLD_MAX = 8 };

static const struct probe_uplink *probed(const struct vned *v, uint32_t snode, const char *name)
{
	const struct node_probe *p = &v->agents[snode].probe;
	for (size_t i = 0; i < p->n_uplinks; i++)
		if (strcmp(p->uplinks[i].name, name) == 0)
			return &p->uplinks[i];
	return NULL;
}

static bool open_to(const struct probe_uplink *u, const char *owner)
{
	for (size_t i = 0; i < u->n_users; i++)
		if (strcmp(u->users[i], owner) == 0)
			return true;
	return u->n_users == 0;
}

void admit_uplinks(const struct vned *v, const char *owner, uint32_t snode, struct snode *n)
{
	struct yaml_names open = { mem_array(n->uplinks.n ? n->uplinks.n : 1, sizeof(char *)), 0 };
	for (size_t i = 0; i < n->uplinks.n; i++) {
		const struct probe_uplink *u = probed(v, snode, n->uplinks.v[i]);
		if (u && open_to(u, owner))
			open.v[open.n++] = n->uplinks.v[i];
	}
	n->uplinks = open;
}

static void explain(const struct vned *v, uint32_t snode, const struct vuplink *asked, const char *owner, size_t *told, struct buf *out)
{
	const char *name = asked->port;
	const struct snode *declared = &v->substrate.nodes[snode];
	const struct probe_uplink *u = probed(v, snode, name);
	bool listed = false;
	for (size_t i = 0; i < declared->uplinks.n; i++)
		listed |= strcmp(declared->uplinks.v[i], name) == 0;
	if (*told >= TOLD_MAX || !agents_reachable(v, snode) || !(listed || u))
		return;
	if (!u)
		buf_printf(out, "; the agent of node \"%s\" has no uplink \"%s\", though the substrate declares it", declared->name, name);
	else if (!listed)
		buf_printf(out, "; the agent of node \"%s\" has an uplink \"%s\", but the substrate does not declare it", declared->name, name);
	else if (!open_to(u, owner))
		buf_printf(out, "; uplink \"%s\" of node \"%s\" is not open to \"%s\"; ask its operator", name, declared->name, owner);
	else if (!u->usable)
		buf_printf(out, "; uplink \"%s\" of node \"%s\" is not usable now: %s", name, declared->name, u->why);
	else if (!asked->address.family && !v->usable.nodes[snode].dhcp)
		buf_printf(out, "; uplink \"%s\" of node \"%s\" needs an address: no DHCP client (udhcpc) is installed there", name, declared->name);
	else if (asked->nat && !v->usable.nodes[snode].nat)
		buf_printf(out, "; uplink \"%s\" of node \"%s\" cannot have nat: its kernel translates no addresses", name, declared->name);
	else
		return;
	++*told;
}

void admit_uplinks_explain(const struct vned *v, const struct request *r, const char *owner, struct buf *out)
{
	struct hash *names = hash_new();
	size_t told = 0;
	for (size_t i = 0; i < r->n_nodes; i++)
		for (size_t k = 0; k < r->nodes[i].n_uplinks; k++) {
			if (!hash_index_put(names, r->nodes[i].uplinks[k].port, k))
				continue;
			for (uint32_t n = 0; n < v->substrate.n_nodes; n++)
				explain(v, n, &r->nodes[i].uplinks[k], owner, &told, out);
		}
	hash_free(names, NULL);
}
