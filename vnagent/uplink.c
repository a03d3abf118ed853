/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Uplinks: what is configured, what of it is there, and the device on the outside; see uplink.h. */
#include "vnagent/uplink.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/plan.h"
#include "vnagent/uplink_tag.h"
#include "vnagent/wire_tc.h"

/* ---- what is configured -------------------------------------------------------------------------------- */
void uplink_list_done(struct uplink_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].name);
		free(list->v[i].device);
		yaml_names_done(&list->v[i].users);
	}
	free(list->v);
	*list = (struct uplink_list){ 0 };
}

const struct uplink *uplink_find(const struct uplink_list *list, const char *name)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (!strcmp(list->v[i].name, name))
			return &list->v[i];
	return NULL;
}

int uplink_allows(const struct uplink_list *list, const char *name, const char *owner, struct err *err)
{
	const struct uplink *u = uplink_find(list, name);
	if (!u)
		return err_set(err, -ENOENT, "uplink \"%s\" is not one of this node's; see uplinks in its vnagent.yaml", name);
	for (size_t i = 0; i < u->users.n; i++)
		if (!strcmp(u->users.v[i], owner))
			return 0;
	return u->users.n ? err_set(err, -EACCES, "uplink \"%s\" is not open to \"%s\"; ask the node's operator", name, owner) : 0;
}

/* ---- what is there --------------------------------------------------------------------------------------- */
struct look {
	const struct uplink *u;
	struct uplink_state *ret;
};

static int read_device(void *arg, const struct nlmsghdr *m)
{
	const struct look *look = arg;
	struct uplink_state *s = look->ret;
	const char *name = look->u->device;
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[IFLA_MAX + 1] = { 0 };
	if (!head || m->nlmsg_type != RTM_NEWLINK)
		return 0;
	nl_parse(m, sizeof(*head), table, IFLA_MAX);
	uint32_t group = nl_u32(table[IFLA_GROUP]), mtu = nl_u32(table[IFLA_MTU]);
	s->why[0] = 0;
	if (head->ifi_type != ARPHRD_ETHER)
		snprintf(s->why, sizeof(s->why), "its device %s is no Ethernet device", name);
	else if (group == DEVICE_DOOMED || (group & 0xff000000u) == DEVICE_GROUP)
		snprintf(s->why, sizeof(s->why), "its device %s is one of vnagent's own", name);
	else if (table[IFLA_MASTER])
		snprintf(s->why, sizeof(s->why), "its device %s belongs to a bridge or bond: name that one", name);
	else if (mtu < PLAN_MTU_MAX)
		snprintf(s->why, sizeof(s->why), "its device %s has MTU %u; routers need %d", name, mtu, PLAN_MTU_MAX);
	if (s->why[0])
		return 0;
	s->ifindex = (uint32_t)head->ifi_index;
	if (!(head->ifi_flags & IFF_UP))
		snprintf(s->why, sizeof(s->why), "its device %s is down", name);
	else if (!(head->ifi_flags & IFF_LOWER_UP))
		snprintf(s->why, sizeof(s->why), "its device %s has no carrier", name);
	return 0;
}

void uplink_look(const struct uplink *u, struct nl *nl, struct uplink_state *ret)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct look look = { u, ret };
	*ret = (struct uplink_state){ 0 };
	if (u->vlan && uplink_tag_unusable()) {
		snprintf(ret->why, sizeof(ret->why), "its VLAN %d needs eBPF, which cannot be used here", (int)u->vlan);
		return;
	}
	snprintf(ret->why, sizeof(ret->why), "its device %s is not there", u->device);
	struct nl_batch *b = nl_batch_new();
	nl_begin(b, RTM_GETLINK, 0, &head, sizeof(head));
	nl_put_str(b, IFLA_IFNAME, u->device);
	nl_put_u32(b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	(void)!nl_dump(nl, b, read_device, &look, NULL); /* no such device: that is what `why` says */
	nl_batch_free(b);
}

/* Where no kind of router needs devices, nothing was asked. */
static bool lacks_macvlan(const struct node_probe *machine)
{
	for (size_t i = 0; i < machine->n_features; i++)
		if (!strcmp(machine->features[i].name, "uplinks"))
			return !machine->features[i].present;
	return false;
}

void uplinks_probe(const struct uplink_list *list, const struct node_probe *machine, struct probe_uplink **ret, size_t *ret_n)
{
	struct nl *nl;
	struct err err = { 0 };
	*ret = NULL;
	*ret_n = 0;
	if (!list->n)
		return;
	int code = nl_open(NETLINK_ROUTE, -1, &nl, &err);
	*ret = mem_array(list->n, sizeof(**ret));
	for (size_t i = 0; i < list->n; i++) {
		const struct uplink *u = &list->v[i];
		struct uplink_state state = { 0 };
		struct probe_uplink *p = &(*ret)[(*ret_n)++];
		if (code)
			err_copy(state.why, sizeof(state.why), err.text);
		else if (lacks_macvlan(machine))
			snprintf(state.why, sizeof(state.why), "this kernel has no macvlan devices");
		else
			uplink_look(u, nl, &state);
		*p = (struct probe_uplink){ .name = mem_str(u->name), .usable = state.ifindex != 0, .n_users = u->users.n };
		snprintf(p->why, sizeof(p->why), "%s", state.why);
		p->users = mem_array(u->users.n + 1, sizeof(*p->users));
		for (size_t k = 0; k < u->users.n; k++)
			p->users[k] = mem_str(u->users.v[k]);
	}
	if (!code)
		nl_close(nl);
}

/* ---- messages --------------------------------------------------------------------------------------------- */
void uplink_put_outside(struct nl_batch *b, const struct device *d, const uint8_t mac[6])
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)d->ifindex };
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	nl_label(b, "%s on the outside device", d->name);
	nl_put_str(b, IFLA_IFNAME, d->name);
	nl_put_u32(b, IFLA_GROUP, DEVICE_GROUP | d->net);
	nl_put_u32(b, IFLA_LINK, d->link);
	nl_put_u32(b, IFLA_MTU, d->mtu);
	nl_put(b, IFLA_ADDRESS, mac, 6);
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "macvlan");
	nl_nest(b, IFLA_INFO_DATA);
	nl_put_u32(b, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	nl_nest_end(b);
	nl_nest_end(b);
}

void uplink_put_wires(struct nl_batch *b, const struct uplink *u, const struct device *port, const struct device *outside,
                      const uint8_t mac[6])
{
	if (u->vlan)
		tc_put_tags(b, outside->ifindex, (uint16_t)u->vlan, outside->name);
	else
		tc_put_untagged(b, outside->ifindex, outside->name);
	tc_put_uplink(b, port->ifindex, outside->ifindex, mac, port->name);
}
