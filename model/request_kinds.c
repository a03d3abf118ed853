/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What kinds of router can have: images and guarantees, planes, controllers, uplinks. What a router asks for may leave just one
 * kind, and then is that kind. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/parts.h"
#include "model/request.h"
#include "model/request_rules.h"

const char *const plane_names[] = {"default", "kernel", "guest", "split", "program", NULL};

bool kind_is_switch(const char *kind)
{
	return kind && (!strcmp(kind, KIND_SWITCH) || !strcmp(kind, KIND_OPENFLOW));
}

bool plane_fits(enum plane plane, const char *kind)
{
	bool netns = !strcmp(kind, "netns"), guest = kind_is_guest(kind);

	switch (plane) {
	case PLANE_DEFAULT:
		return true;
	case PLANE_KERNEL:
		return netns;
	case PLANE_GUEST:
		return guest;
	case PLANE_SPLIT:
	case PLANE_PROGRAM:
		return netns || guest;
	}
	return false;
}

enum plane plane_default(const char *kind)
{
	return kind_is_guest(kind) ? PLANE_GUEST : PLANE_KERNEL;
}

/* ---- controllers -------------------------------------------------------------------------------- */

int controller_parse(const char *text, struct addr *ret, uint16_t *ret_port, struct err *err)
{
	const char *host = strncmp(text, "tcp:", 4) == 0 ? text + 4 : "", *colon = strrchr(host, ':');
	char address[ADDR_TEXT];
	struct addr a;
	int64_t port;
	size_t len = colon ? (size_t)(colon - host) : 0;
	bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';

	if (brackets) {
		host++;
		len -= 2;
	}
	if (!len || len >= sizeof(address))
		return err_set(err, -EINVAL, "controller \"%.80s\"; expected tcp:ADDRESS:PORT, such as tcp:192.0.2.1:6653", text);
	memcpy(address, host, len);
	address[len] = '\0';
	if (addr_parse(address, &a, err) < 0 || units_integer(colon + 1, 1, 65535, &port, err) < 0)
		return err_add(err, -EINVAL, "controller \"%.80s\"", text);
	if ((a.family == AF_INET6) != brackets)
		return err_set(err, -EINVAL, "controller \"%.80s\"; an IPv6 address stands in brackets, and no other: tcp:[2001:db8::1]:6653",
		               text);
	*ret = a;
	*ret_port = (uint16_t)port;
	return 0;
}

const char *controller_text(const struct addr *a, uint16_t port, char text[static CONTROLLER_TEXT])
{
	char host[ADDR_TEXT];
	bool six = a->family == AF_INET6;

	snprintf(text, CONTROLLER_TEXT, "tcp:%s%s%s:%u", six ? "[" : "", addr_host_text(a, host), six ? "]" : "", (unsigned)port);
	return text;
}

static void controller_faults(const struct request *r, const struct vnode *n, size_t i, struct faults *faults)
{
	struct err err = {0};
	struct addr address;
	uint16_t port;

	if (!n->kind || strcmp(n->kind, KIND_OPENFLOW) != 0) {
		faults_add(faults, PART_NODE, i, "\"controller\" for a router of kind %s; expected \"router: " KIND_OPENFLOW "\"",
		           n->kind ? n->kind : "any");
		return;
	}
	if (strchr(n->controller, ':')) {
		if (controller_parse(n->controller, &address, &port, &err) < 0)
			faults_add(faults, PART_NODE, i, "%s", err.text);
		return;
	}
	size_t at = hash_index(r->node_index, n->controller);

	if (at >= r->n_nodes)
		faults_add(faults, PART_NODE, i, "controller \"%.80s\" is no node of this network; expected the name of one, or "
		           "tcp:ADDRESS:PORT", n->controller);
	else if (kind_is_switch(r->nodes[at].kind))
		faults_add(faults, PART_NODE, i, "controller \"%s\" is a router of kind %s, which runs none; expected another kind",
		           n->controller, r->nodes[at].kind);
}

/* ---- uplinks ------------------------------------------------------------------------------------ */

static bool first_bytes(const struct addr *a, int family, uint8_t least, uint8_t most)
{
	return a->family == family && a->bytes[0] >= least && a->bytes[0] <= most;
}

static bool addr_zero(const struct addr *a)
{
	static const uint8_t zero[sizeof(a->bytes)];

	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

/* One that a host can have and others can send to. */
static bool addr_of_host(const struct addr *a)
{
	struct addr network, all = *a;
	uint8_t full = a->family == AF_INET ? 32 : 128;

	if (addr_zero(a) || first_bytes(a, AF_INET, 0, 0) || first_bytes(a, AF_INET, 127, 127) || first_bytes(a, AF_INET, 224, 255) ||
	    first_bytes(a, AF_INET6, 0xff, 0xff) || !a->prefix)
		return false;
	if (a->family == AF_INET6 || a->prefix >= full - 1)
		return true;
	addr_network(a, &network);
	for (uint8_t bit = a->prefix; bit < full; bit++)
		all.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return memcmp(network.bytes, a->bytes, sizeof(a->bytes)) != 0 && memcmp(all.bytes, a->bytes, sizeof(a->bytes)) != 0;
}

static bool link_local(const struct addr *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

int uplink_check(const struct vuplink *u, struct err *err)
{
	const struct addr *a = &u->address, *g = &u->gateway;
	char text[ADDR_TEXT], near[ADDR_TEXT];
	struct addr mine, its;

	if (a->family && ((a->family != AF_INET && a->family != AF_INET6) || a->prefix > (a->family == AF_INET ? 32 : 128)))
		return err_set(err, -EINVAL, "an address that is none");
	if (a->family && !addr_of_host(a))
		return err_set(err, -EINVAL, "uplink \"%s\": %s is no address that a router can have there", u->port,
		               addr_text(a, text));
	if (!g->family)
		return 0;
	if (!a->family)
		return err_set(err, -EINVAL, "uplink \"%s\": a \"gateway\" without an \"address\"; expected both, or neither where "
		               "DHCP or router advertisements tell them", u->port);
	its = *g;
	its.prefix = a->prefix;
	if (g->prefix != (g->family == AF_INET ? 32 : 128))
		return err_set(err, -EINVAL, "uplink \"%s\": a gateway that is no host", u->port);
	if (g->family != a->family)
		return err_set(err, -EINVAL, "uplink \"%s\": gateway %s and address %s are of different families", u->port,
		               addr_host_text(g, text), addr_text(a, near));
	if (!addr_of_host(&its) || memcmp(g->bytes, a->bytes, sizeof(g->bytes)) == 0)
		return err_set(err, -EINVAL, "uplink \"%s\": gateway %s is not another host's address", u->port,
		               addr_host_text(g, text));
	addr_network(&its, &its);
	addr_network(a, &mine);
	if (!link_local(g) && memcmp(mine.bytes, its.bytes, sizeof(mine.bytes)) != 0)
		return err_set(err, -EINVAL, "uplink \"%s\": gateway %s is not in the subnet of %s", u->port, addr_host_text(g, text),
		               addr_text(a, near));
	return 0;
}

/* Translation is the kernel's of a router that is a namespace; what goes past that kernel is not translated. */
static const struct vuplink *translating(const struct vnode *n)
{
	for (size_t i = 0; i < n->n_uplinks; i++)
		if (n->uplinks[i].nat)
			return &n->uplinks[i];
	return NULL;
}

/* Asking for an address is the node's part, in a namespace. */
static const struct vuplink *asking(const struct vnode *n)
{
	for (size_t i = 0; i < n->n_uplinks; i++)
		if (!n->uplinks[i].address.family)
			return &n->uplinks[i];
	return NULL;
}

static void uplink_faults(const struct vnode *n, size_t i, struct faults *faults)
{
	const struct vuplink *u = translating(n);

	if (u && kind_is_guest(n->kind))
		faults_add(faults, PART_NODE, i, "uplink \"%s\" with \"nat\" for a router of kind %s; expected \"router: netns\", or none of it",
		           u->port, n->kind);
	else if (asking(n) && kind_is_guest(n->kind))
		faults_add(faults, PART_NODE, i, "uplink \"%s\" without an \"address\" for a router of kind %s; expected one, or \"router: netns\"",
		           asking(n)->port, n->kind);
	else if (u && (n->plane == PLANE_SPLIT || n->plane == PLANE_PROGRAM))
		faults_add(faults, PART_NODE, i, "uplink \"%s\" with \"nat\", which \"plane: %s\" would go past; expected \"plane: kernel\"",
		           u->port, plane_names[n->plane]);
}

/* ---- together ----------------------------------------------------------------------------------- */

const char *vnode_kind_implied(const struct vnode *n)
{
	if (n->image || n->rt_period_us || n->plane == PLANE_GUEST)
		return KIND_GUEST;
	if (n->controller)
		return KIND_OPENFLOW;
	return n->plane == PLANE_KERNEL || translating(n) || asking(n) ? "netns" : NULL;
}

static void switch_faults(const struct vnode *n, size_t i, struct faults *faults)
{
	const char *key = n->plane ? "plane" : n->n_uplinks ? "uplinks" : NULL;

	if (key)
		faults_add(faults, PART_NODE, i, "\"%s\" for a router of kind %s, which forwards frames between its virtual links and "
		           "nothing else; expected another kind, or none of it", key, n->kind);
}

void vnode_kind_faults(const struct request *r, struct vnode *n, size_t i, struct faults *faults)
{
	static const char *const kinds_text[] = {"", "netns", KIND_GUEST, "netns or " KIND_GUEST, "netns or " KIND_GUEST};

	if (!n->kind)
		n->kind = mem_str(vnode_kind_implied(n));
	if ((n->image || n->rt_period_us) && !kind_is_guest(n->kind))
		faults_add(faults, PART_NODE, i, "\"%s\" for a router of kind %s, which is no guest; expected \"router: %s\"",
		           n->image ? "image" : "realtime", n->kind, KIND_GUEST);
	if (n->controller)
		controller_faults(r, n, i, faults);
	if (kind_is_switch(n->kind))
		switch_faults(n, i, faults);
	else if (n->kind && !plane_fits(n->plane, n->kind))
		faults_add(faults, PART_NODE, i, "\"plane: %s\" for a router of kind %s; expected \"router: %s\"", plane_names[n->plane],
		           n->kind, kinds_text[n->plane]);
	else if (n->kind)
		uplink_faults(n, i, faults);
}
