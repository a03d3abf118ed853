/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether a substrate node may host a virtual one at all: what candidates are filtered by, and
 * what the checker asks again. */
#include <errno.h>
#include <string.h>

#include "model/request.h"

static bool listed(const struct yaml_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], name) == 0)
			return true;
	return false;
}

static bool near_fits(const struct place *p, const struct snode *n, struct err *why)
{
	static const char *const kinds[] = {"coordinates", "location", "position"};
	const char *unit = p->near.kind == COORDS_LOCATION ? " km" : "";
	char limit[UNITS_TEXT];

	if (n->coords.kind != p->near.kind) {
		err_set(why, -EINVAL, "\"%s\" has no %s to be near by", n->name, kinds[p->near.kind]);
		return false;
	}
	double distance = coords_distance(&n->coords, &p->near);

	if (distance <= p->within)
		return true;
	if (why) /* the solvers ask without, a thousand times */
		err_set(why, -EINVAL, "\"%s\" is %.6g%s away, beyond %s%s", n->name, distance, unit,
		        units_number_text(p->within, limit), unit);
	return false;
}

static bool uplink_fits(const struct vuplink *u, const struct snode *n, struct err *why)
{
	if (!listed(&n->uplinks, u->port))
		err_set(why, -EINVAL, "\"%s\" has no uplink \"%s\"", n->name, u->port);
	else if (n->probed && u->nat && !n->nat)
		err_set(why, -EINVAL, "\"%s\" translates no addresses (nat)", n->name);
	else if (n->probed && !u->address.family && !n->dhcp)
		err_set(why, -EINVAL, "\"%s\" has no DHCP client for uplinks without an address", n->name);
	else
		return true;
	return false;
}

const char *vnode_kind_on(const struct vnode *vnode, const struct snode *node)
{
	if (vnode->kind)
		return snode_hosts(node, vnode->kind) ? vnode->kind : NULL;
	if (snode_hosts(node, "netns") && plane_fits(vnode->plane, "netns"))
		return "netns";
	for (size_t i = 0; node->agent && i < node->kinds.n; i++)
		if (!kind_is_switch(node->kinds.v[i]) && plane_fits(vnode->plane, node->kinds.v[i]))
			return node->kinds.v[i];
	return NULL;
}

bool place_fits(const struct vnode *vnode, const struct substrate *s, size_t node, struct err *why)
{
	const struct snode *n = &s->nodes[node];
	const struct place *p = &vnode->place;
	int64_t ports = vnode->demand[RES_PORTS] + (int64_t)vnode->n_uplinks;

	const char *kind = vnode_kind_on(vnode, n);

	if (!kind) {
		if (!n->agent)
			err_set(why, -EINVAL, "\"%s\" has no agent, so it hosts no routers", n->name);
		else if (!vnode->kind && vnode->plane && snode_hosts(n, NULL))
			err_set(why, -EINVAL, "\"%s\" hosts no routers of a kind that has plane %s", n->name, plane_names[vnode->plane]);
		else
			err_set(why, -EINVAL, "\"%s\" hosts no routers%s%s", n->name, vnode->kind ? " of kind " : "",
			        vnode->kind ? vnode->kind : "");
		return false;
	}
	if (vnode->image && !n->any_image && !listed(&n->images, vnode->image)) {
		err_set(why, -EINVAL, "\"%s\" has no image \"%s\"", n->name, vnode->image);
		return false;
	}
	if (n->probed && vnode->plane == PLANE_SPLIT && !n->split) {
		err_set(why, -EINVAL, "\"%s\" forwards for no router (plane: split)", n->name);
		return false;
	}
	if (n->probed && vnode->program && !listed(&n->programs, vnode->program)) {
		err_set(why, -EINVAL, "\"%s\" has no forwarding program \"%s\"", n->name, vnode->program);
		return false;
	}
	if (kind_is_guest(kind) && ports > n->max_guest_ports) {
		err_set(why, -EINVAL, "\"%s\" gives a guest %lld ports at most, not %lld", n->name, (long long)n->max_guest_ports,
		        (long long)ports);
		return false;
	}
	for (size_t i = 0; i < vnode->n_uplinks; i++)
		if (!uplink_fits(&vnode->uplinks[i], n, why))
			return false;
	if ((p->on.n && !listed(&p->on, n->name)) || listed(&p->not_on, n->name)) {
		err_set(why, -EINVAL, "\"%s\" is excluded by \"%s\"", n->name, listed(&p->not_on, n->name) ? "not_on" : "on");
		return false;
	}
	for (size_t i = 0; i < p->n_labels; i++) {
		const char *value = snode_label(n, p->labels[i].key);

		if (!value || strcmp(value, p->labels[i].value) != 0) {
			err_set(why, -EINVAL, "\"%s\" lacks the label %s: %s", n->name, p->labels[i].key, p->labels[i].value);
			return false;
		}
	}
	return !p->has_near || near_fits(p, n, why);
}
