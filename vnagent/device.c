/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names, marks and the inventory of host-side devices; see device.h. */
#include "vnagent/device.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/plan.h"

_Static_assert((int)PORT_ID_UPLINK == (int)PLAN_UPLINK_ID, "the plan's numbers");

enum { IFINDEX_FIRST = 0x10000000, IFINDEX_LAST = 0x7ffffff0, INNER_FIRST = 0x1000, READ_ATTEMPTS = 5 };

struct inventory {
	struct hash *by_object, *by_ifindex;
	struct hash *crowded; /* groups of ours in which somebody else's device stands */
	uint32_t next;
};

static void object_name(char letter, uint32_t net, uint32_t id, char name[static DEVICE_NAME])
{
	snprintf(name, DEVICE_NAME, "v%c%06x.%x", letter, net & 0xffffff, id & PORT_ID_MAX);
}

void device_port_name(uint32_t net, uint32_t port, char name[static DEVICE_NAME])
{
	object_name(port & PORT_ID_UPLINK ? 'u' : 'p', net, port, name);
}

void device_outside_name(uint32_t net, uint32_t port, char name[static DEVICE_NAME])
{
	object_name('o', net, port, name);
}

bool device_port_valid(uint32_t port)
{
	return (port & ~(uint32_t)PORT_ID_UPLINK) <= PORT_ID_MAX;
}

/* v<letter><net>.<id>, as object_name writes it and no other way. */
static bool object_read(const char *name, char letter, uint32_t *ret_net, uint32_t *ret_id)
{
	char got, again[DEVICE_NAME];
	unsigned net, id;
	if (sscanf(name, "v%c%6x.%6x", &got, &net, &id) != 3 || got != letter)
		return false;
	object_name(letter, net, id, again);
	*ret_net = net;
	*ret_id = id;
	return !strcmp(again, name);
}

bool device_port_read(const char *name, uint32_t *ret_net, uint32_t *ret_port)
{
	if (object_read(name, 'p', ret_net, ret_port))
		return true;
	if (!object_read(name, 'u', ret_net, ret_port))
		return false;
	*ret_port |= PORT_ID_UPLINK;
	return true;
}

void device_segment_name(uint32_t vni, char name[static DEVICE_NAME])
{
	snprintf(name, DEVICE_NAME, "vt%06x", vni & 0xffffff);
}

uint32_t device_inner_ifindex(uint32_t port)
{
	return INNER_FIRST + port;
}

static uint64_t object_key(enum device_kind kind, uint32_t net, uint32_t id)
{
	if (kind == DEVICE_SEGMENT)
		return (uint64_t)2 << 62 | id;
	return (uint64_t)(kind == DEVICE_PORT ? 1 : 3) << 62 | (uint64_t)net << 32 | id;
}

struct inventory *inventory_new(void)
{
	struct inventory *inv = mem_alloc(sizeof(*inv));
	inv->by_object = hash_new();
	inv->by_ifindex = hash_new();
	inv->crowded = hash_new();
	inv->next = IFINDEX_FIRST;
	return inv;
}

void inventory_free(struct inventory *inv)
{
	if (!inv)
		return;
	hash_free(inv->by_object, NULL);
	hash_free(inv->by_ifindex, free);
	hash_free(inv->crowded, NULL);
	free(inv);
}

static void enter(struct inventory *inv, struct device *d)
{
	hash_put_u64(inv->by_object, object_key(d->kind, d->net, d->id), d);
	hash_put_u64(inv->by_ifindex, d->ifindex, d);
}

/* Name and group together say whose it is. */
static bool recognise(const char *name, uint32_t group, struct device *ret)
{
	uint32_t net = group & 0xffffff;
	unsigned vni;
	char again[DEVICE_NAME];
	bool doomed = group == DEVICE_DOOMED;
	if (!doomed && (group & 0xff000000u) != DEVICE_GROUP)
		return false;
	if (device_port_read(name, &net, &ret->id)) {
		ret->kind = DEVICE_PORT;
	} else if (object_read(name, 'o', &net, &ret->id)) {
		ret->kind = DEVICE_OUTSIDE;
		ret->id |= PORT_ID_UPLINK;
	} else if (sscanf(name, "vt%6x", &vni) == 1) {
		ret->kind = DEVICE_SEGMENT;
		ret->id = vni;
		device_segment_name(vni, again);
		if (strcmp(again, name))
			return false;
	} else {
		return false;
	}
	if (!doomed && net != (group & 0xffffff))
		return false;
	ret->net = net;
	ret->doomed = doomed;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return true;
}

static int read_link(void *arg, const struct nlmsghdr *m)
{
	struct inventory *inv = arg;
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[IFLA_MAX + 1] = { 0 };
	struct device d = { 0 };
	if (!head || m->nlmsg_type != RTM_NEWLINK)
		return 0;
	nl_parse(m, sizeof(*head), table, IFLA_MAX);
	uint32_t group = nl_u32(table[IFLA_GROUP]), ifindex = (uint32_t)head->ifi_index;
	if (!recognise(nl_str(table[IFLA_IFNAME]), group, &d)) {
		if (group == DEVICE_DOOMED || (group & 0xff000000u) == DEVICE_GROUP)
			hash_put_u64(inv->crowded, group, inv);
		return 0;
	}
	d.ifindex = ifindex;
	d.mtu = nl_u32(table[IFLA_MTU]);
	d.link = d.kind == DEVICE_OUTSIDE ? nl_u32(table[IFLA_LINK]) : 0;
	d.up = head->ifi_flags & IFF_UP;
	d.drivers = !table[IFLA_LINKINFO]; /* nothing that rtnetlink could have made, such as a vif */
	enter(inv, mem_dup(&d, sizeof(d)));
	if (ifindex >= inv->next && ifindex < IFINDEX_LAST)
		inv->next = ifindex + 1;
	return 0;
}

static void clear(struct inventory *inv)
{
	hash_free(inv->by_object, NULL);
	hash_free(inv->by_ifindex, free);
	hash_free(inv->crowded, NULL);
	inv->by_object = hash_new();
	inv->by_ifindex = hash_new();
	inv->crowded = hash_new();
}

int inventory_read(struct inventory *inv, struct nl *nl, struct err *err)
{
	struct nl_batch *b = nl_batch_new();
	int code = -EINTR;
	for (int i = 0; i < READ_ATTEMPTS && code == -EINTR; i++) {
		struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
		clear(inv);
		nl_begin(b, RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head));
		nl_label(b, "listing devices");
		nl_put_u32(b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		code = nl_dump(nl, b, read_link, inv, err);
	}
	nl_batch_free(b);
	/* Still in motion after some attempts: others are busy, ours are all in it. */
	return code == -EINTR ? 0 : code;
}

struct device *inventory_port(const struct inventory *inv, uint32_t net, uint32_t port)
{
	return hash_get_u64(inv->by_object, object_key(DEVICE_PORT, net, port));
}

struct device *inventory_outside(const struct inventory *inv, uint32_t net, uint32_t port)
{
	return hash_get_u64(inv->by_object, object_key(DEVICE_OUTSIDE, net, port));
}

struct device *inventory_segment(const struct inventory *inv, uint32_t vni)
{
	return hash_get_u64(inv->by_object, object_key(DEVICE_SEGMENT, 0, vni));
}

struct device *inventory_find(const struct inventory *inv, uint32_t ifindex)
{
	return hash_get_u64(inv->by_ifindex, ifindex);
}

struct device *inventory_add(struct inventory *inv, enum device_kind kind, uint32_t net, uint32_t id, uint32_t mtu)
{
	struct device *d = mem_alloc(sizeof(*d));
	*d = (struct device){ .kind = kind, .net = net, .id = id, .mtu = mtu };
	if (kind == DEVICE_PORT)
		device_port_name(net, id, d->name);
	else if (kind == DEVICE_OUTSIDE)
		device_outside_name(net, id, d->name);
	else
		device_segment_name(id, d->name);
	while (inventory_find(inv, inv->next))
		inv->next++;
	d->ifindex = inv->next++;
	if (inv->next >= IFINDEX_LAST)
		inv->next = IFINDEX_FIRST;
	enter(inv, d);
	return d;
}

void inventory_drop(struct inventory *inv, struct device *d)
{
	if (hash_get_u64(inv->by_object, object_key(d->kind, d->net, d->id)) == d)
		hash_del_u64(inv->by_object, object_key(d->kind, d->net, d->id));
	hash_del_u64(inv->by_ifindex, d->ifindex);
	free(d);
}

struct visiting {
	void (*visit)(struct device *d, void *arg);
	void *arg;
};

static void visit_one(void *value, void *arg)
{
	struct visiting *v = arg;
	v->visit(value, v->arg);
}

void inventory_each(const struct inventory *inv, void (*visit)(struct device *d, void *arg), void *arg)
{
	struct visiting v = { visit, arg };
	hash_each(inv->by_ifindex, visit_one, &v);
}

size_t inventory_count(const struct inventory *inv)
{
	return hash_count(inv->by_ifindex);
}

/* ---- removing ---------------------------------------------------------------------------- */
struct removal {
	uint32_t net;
	bool (*doomed)(const struct device *d, void *arg);
	void *arg;
	VEC(struct device *) victims;
	size_t staying; /* devices of the network that are not removed */
};

static void choose(struct device *d, void *arg)
{
	struct removal *r = arg;
	if (!d->drivers && (d->doomed || (d->net == r->net && r->doomed(d, r->arg))))
		*vec_add(&r->victims) = d;
	else if (d->net == r->net)
		r->staying++;
}

static void put_delete_group(struct nl_batch *b, uint32_t group)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	nl_begin(b, RTM_DELLINK, 0, &head, sizeof(head));
	nl_label(b, "removing device group %#x", group);
	nl_put_u32(b, IFLA_GROUP, group);
	nl_tolerate(b, -ENODEV); /* all of them have vanished on their own */
}

static int remove_singly(const struct removal *r, struct nl *nl, struct nl_batch *b, struct err *err)
{
	for (size_t i = 0; i < r->victims.n; i++) {
		struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)r->victims.v[i]->ifindex };
		nl_begin(b, RTM_DELLINK, 0, &head, sizeof(head));
		nl_label(b, "removing %s", r->victims.v[i]->name);
		nl_tolerate(b, -ENODEV);
	}
	return nl_send(nl, b, NULL, err);
}

static int remove_as_group(const struct removal *r, struct nl *nl, struct nl_batch *b, bool whole, struct err *err)
{
	if (whole) {
		put_delete_group(b, DEVICE_GROUP | r->net);
		return nl_send(nl, b, NULL, err);
	}
	for (size_t i = 0; i < r->victims.n; i++) {
		struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)r->victims.v[i]->ifindex };
		nl_begin(b, RTM_SETLINK, 0, &head, sizeof(head));
		nl_label(b, "marking %s for removal", r->victims.v[i]->name);
		nl_put_u32(b, IFLA_GROUP, DEVICE_DOOMED);
		nl_tolerate(b, -ENODEV);
	}
	put_delete_group(b, DEVICE_DOOMED);
	return nl_send(nl, b, NULL, err);
}

int inventory_remove(struct inventory *inv, struct nl *nl, uint32_t net,
                     bool (*doomed)(const struct device *d, void *arg), void *arg, size_t *ret_n, struct err *err)
{
	struct removal r = { .net = net, .doomed = doomed, .arg = arg };
	int code = inventory_read(inv, nl, err);
	if (code)
		return code;
	inventory_each(inv, choose, &r);
	bool any_doomed = false;
	for (size_t i = 0; i < r.victims.n; i++)
		any_doomed |= r.victims.v[i]->doomed;
	bool whole = !r.staying && !any_doomed;
	uint32_t group = whole ? DEVICE_GROUP | net : DEVICE_DOOMED;
	struct nl_batch *b = nl_batch_new();
	if (r.victims.n == 1 || hash_get_u64(inv->crowded, group))
		code = remove_singly(&r, nl, b, err);
	else if (r.victims.n)
		code = remove_as_group(&r, nl, b, whole, err);
	nl_batch_free(b);
	for (size_t i = 0; !code && i < r.victims.n; i++)
		inventory_drop(inv, r.victims.v[i]);
	if (ret_n)
		*ret_n = r.victims.n;
	vec_done(&r.victims);
	return code;
}

/* ---- messages ----------------------------------------------------------------------------- */
void device_put_flags(struct nl_batch *b, uint32_t ifindex, unsigned flags, unsigned change, const char *label)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_flags = flags, .ifi_change = change };
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s %s", label, flags & IFF_UP ? "up" : "flags");
}

void device_put_mtu(struct nl_batch *b, uint32_t ifindex, uint32_t mtu, const char *label)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s mtu %u", label, mtu);
	nl_put_u32(b, IFLA_MTU, mtu);
}

void device_put_silent(struct nl_batch *b, uint32_t ifindex, const char *label)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	nl_begin(b, RTM_SETLINK, 0, &head, sizeof(head));
	nl_label(b, "%s without IPv6 addresses", label);
	nl_nest(b, IFLA_AF_SPEC);
	nl_nest(b, AF_INET6);
	nl_put_u8(b, IFLA_INET6_ADDR_GEN_MODE, 1 /* IN6_ADDR_GEN_MODE_NONE */);
	nl_nest_end(b);
	nl_nest_end(b);
	nl_tolerate(b, -EAFNOSUPPORT); /* a kernel without IPv6 */
	nl_tolerate(b, -EOPNOTSUPP);
}

int device_make_whole(const char *name, struct err *err)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq r = { .ifr_data = (void *)&off };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	int code = fd < 0 || ioctl(fd, SIOCETHTOOL, &r) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return code ? err_sys(err, code, "checksums of %s", name) : 0;
}
