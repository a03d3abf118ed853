/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lab's devices, in a few large batches of netlink messages.
 *
 * A substrate link is a veth pair made directly in the two nodes' namespaces (moving a device
 * costs a grace period of RCU each). Its capacity is kept by the agents at its ends, which shape
 * what they send into it; at a node without an agent the lab does it. Where the kernel has netem,
 * a link with a delay runs through a bridge in the supervisor's namespace whose two ports hold
 * every frame back. An uplink of a node is a veth pair within it, for whoever puts an end host behind it. Interface indices are chosen here, so that nothing has to be asked for. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nl.h"
#include "tools/vnlab/lab.h"

enum {
	INDEX_LO = 1,
	INDEX_MGMT = 1000,   /* the bridge in the lab's namespace; the node's end in a node's */
	INDEX_PORT = 2000,   /* + node: the bridge's port of a node */
	INDEX_UPLINK = 5000, /* + 2 * number: the agent's end of an uplink in its node; + 1 the outer one */
	INDEX_LINK = 10000,  /* + link: its device in each of its nodes */
	INDEX_WIRE = 100000, /* + 4 * link: the bridge that delays it, + 1, + 2 its ports */
	BATCH = 256
};

static void put_up(struct nl_batch *b, int index)
{
	struct ifinfomsg ifi = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	nl_begin(b, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	nl_label(b, "device %d up", index);
}

static void put_address(struct nl_batch *b, int index, const struct addr *a, uint8_t prefix)
{
	struct ifaddrmsg ifa = { .ifa_family = AF_INET, .ifa_prefixlen = prefix, .ifa_index = (unsigned)index };
	char text[ADDR_TEXT];
	nl_begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &ifa, sizeof(ifa));
	nl_label(b, "address %s", addr_host_text(a, text));
	nl_put(b, IFA_LOCAL, a->bytes, 4);
	nl_put(b, IFA_ADDRESS, a->bytes, 4);
}

static void put_route(struct nl_batch *b, const struct addr *to, const struct addr *via)
{
	struct rtmsg rt = { .rtm_family = AF_INET, .rtm_dst_len = to->prefix, .rtm_table = RT_TABLE_MAIN,
	                    .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	char text[ADDR_TEXT];
	nl_begin(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &rt, sizeof(rt));
	nl_label(b, "route to %s", addr_text(to, text));
	nl_put(b, RTA_DST, to->bytes, 4);
	nl_put(b, RTA_GATEWAY, via->bytes, 4);
}

static void put_bridge(struct nl_batch *b, const char *name, int index, uint32_t mtu)
{
	struct ifinfomsg ifi = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	nl_label(b, "bridge %s", name);
	nl_put_str(b, IFLA_IFNAME, name);
	if (mtu)
		nl_put_u32(b, IFLA_MTU, mtu);
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "bridge");
	nl_nest_end(b);
}

struct end {
	const char *name;
	int index, netns; /* netns -1: the lab's own */
	int master;       /* 0: none */
};

/* The first end may be enslaved and comes up at once where it is the lab's own. */
static void put_veth(struct nl_batch *b, const struct end *a, const struct end *z, uint32_t mtu)
{
	unsigned up = a->netns < 0 ? IFF_UP : 0;
	struct ifinfomsg ifi = { .ifi_index = a->index, .ifi_flags = up, .ifi_change = up };
	struct ifinfomsg peer = { .ifi_index = z->index };
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	nl_label(b, "link %s", a->name);
	nl_put_str(b, IFLA_IFNAME, a->name);
	nl_put_u32(b, IFLA_MTU, mtu);
	if (a->netns >= 0)
		nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)a->netns);
	if (a->master)
		nl_put_u32(b, IFLA_MASTER, (uint32_t)a->master);
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	nl_nest(b, IFLA_INFO_DATA);
	nl_nest(b, VETH_INFO_PEER);
	nl_put_raw(b, &peer, sizeof(peer));
	nl_put_str(b, IFLA_IFNAME, z->name);
	nl_put_u32(b, IFLA_MTU, mtu);
	nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)z->netns);
	nl_nest_end(b);
	nl_nest_end(b);
	nl_nest_end(b);
}

static void put_netem(struct nl_batch *b, int index, int64_t delay_us, int64_t bw_kbps)
{
	/* Room for what is on the way: bandwidth × delay in frames of 64 bytes, and some for bursts. */
	int64_t frames = bw_kbps * delay_us / (64 * 8 * 1000) + 1000;
	struct tcmsg tc = { .tcm_family = AF_UNSPEC, .tcm_ifindex = index, .tcm_parent = TC_H_ROOT };
	struct tc_netem_qopt opt = { .limit = frames > 1000000 ? 1000000 : (uint32_t)frames };
	int64_t delay_ns = delay_us * 1000;
	nl_begin(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &tc, sizeof(tc));
	nl_label(b, "netem");
	nl_put_str(b, TCA_KIND, "netem");
	struct {
		struct tc_netem_qopt opt;
		struct nlattr head;
		int64_t ns;
	} __attribute__((packed)) options = { opt, { .nla_len = sizeof(struct nlattr) + 8, .nla_type = TCA_NETEM_LATENCY64 },
	                                      delay_ns };
	nl_put(b, TCA_OPTIONS, &options, sizeof(options));
}

/* What an agent would do at its end of a link: never more than the link carries. */
static void put_tbf(struct nl_batch *b, int index, int64_t bw_kbps)
{
	uint64_t rate = (uint64_t)bw_kbps * 125;
	uint64_t burst = rate / 500 > 15140 ? rate / 500 : 15140; /* 2 ms, or ten frames */
	struct tcmsg tc = { .tcm_family = AF_UNSPEC, .tcm_ifindex = index, .tcm_parent = TC_H_ROOT };
	struct tc_tbf_qopt opt = {
		.rate = { .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate, .linklayer = TC_LINKLAYER_ETHERNET },
		.limit = (uint32_t)(burst + (rate / 20 > 100000000 ? 100000000 : rate / 20)) /* 50 ms of queue */
	};
	nl_begin(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &tc, sizeof(tc));
	nl_label(b, "tbf");
	nl_put_str(b, TCA_KIND, "tbf");
	nl_nest(b, TCA_OPTIONS);
	nl_put(b, TCA_TBF_PARMS, &opt, sizeof(opt));
	nl_put_u64(b, TCA_TBF_RATE64, rate);
	nl_put_u32(b, TCA_TBF_BURST, burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst);
	nl_nest_end(b);
}

bool net_can_delay(void)
{
	struct nl *nl;
	struct err err = { 0 };
	struct tcmsg tc = { .tcm_family = AF_UNSPEC, .tcm_ifindex = INDEX_LO, .tcm_parent = TC_H_ROOT };
	if (nl_open(NETLINK_ROUTE, -1, &nl, &err))
		return false;
	struct nl_batch *b = nl_batch_new();
	put_netem(b, INDEX_LO, 1000, 1000);
	bool can = nl_send(nl, b, NULL, &err) == 0;
	if (can) {
		nl_begin(b, RTM_DELQDISC, 0, &tc, sizeof(tc));
		can = nl_send(nl, b, NULL, &err) == 0;
	}
	nl_batch_free(b);
	nl_close(nl);
	return can;
}

static int send_some(struct nl *nl, struct nl_batch *b, bool all, struct err *err)
{
	if (!nl_batch_count(b) || (!all && nl_batch_count(b) < BATCH))
		return 0;
	return nl_send(nl, b, NULL, err);
}

static int build_mgmt(const struct lab *lab, const int *netns, struct nl *nl, struct nl_batch *b, struct err *err)
{
	struct addr vned = lab->nodes[0].mgmt;
	static const uint8_t first[4] = { 198, 18, 0, 1 };
	memcpy(vned.bytes, first, sizeof(first));
	put_up(b, INDEX_LO);
	put_bridge(b, "mgmt", INDEX_MGMT, 0);
	put_address(b, INDEX_MGMT, &vned, 16);
	int rc = 0;
	for (size_t i = 0; i < lab->s.n_nodes && !rc; i++) {
		char name[IFNAME_MAX + 1];
		snprintf(name, sizeof(name), "node%u", (unsigned)i & 0xffff);
		put_veth(b, &(struct end){ name, INDEX_PORT + (int)i, -1, INDEX_MGMT },
		         &(struct end){ "mgmt", INDEX_MGMT, netns[i], 0 }, 1500);
		rc = send_some(nl, b, false, err);
	}
	return rc ? rc : send_some(nl, b, true, err);
}

/* A link through a bridge that delays it. */
static void put_wire(const struct lab *lab, size_t i, const int *netns, struct nl_batch *b)
{
	const struct slink *link = &lab->s.links[i];
	char bridge[IFNAME_MAX + 1], port[2][IFNAME_MAX + 1];
	int index = INDEX_WIRE + 4 * (int)i;
	snprintf(bridge, sizeof(bridge), "wire%u", (unsigned)i & 0xffff);
	put_bridge(b, bridge, index, LAB_UNDERLAY_MTU);
	for (int end = 0; end < 2; end++) {
		snprintf(port[end], sizeof(port[end]), "wire%u%c", (unsigned)i & 0xffff, "ab"[end]);
		put_veth(b, &(struct end){ port[end], index + 1 + end, -1, index },
		         &(struct end){ lab->links[i].device[end], INDEX_LINK + (int)i, netns[end ? link->b : link->a], 0 },
		         LAB_UNDERLAY_MTU);
		put_netem(b, index + 1 + end, link->delay_us, link->bw_kbps);
	}
}

static int build_links(const struct lab *lab, const int *netns, struct nl *nl, struct nl_batch *b, struct err *err)
{
	bool delay = net_can_delay();
	int rc = 0;
	for (size_t i = 0; i < lab->s.n_links && !rc; i++) {
		const struct slink *link = &lab->s.links[i];
		const struct lab_link *l = &lab->links[i];
		if (delay && link->delay_us > 0)
			put_wire(lab, i, netns, b);
		else
			put_veth(b, &(struct end){ l->device[0], INDEX_LINK + (int)i, netns[link->a], 0 },
			         &(struct end){ l->device[1], INDEX_LINK + (int)i, netns[link->b], 0 }, LAB_UNDERLAY_MTU);
		rc = send_some(nl, b, false, err);
	}
	return rc ? rc : send_some(nl, b, true, err);
}

static int build_uplinks(const struct lab *lab, const int *netns, struct nl *nl, struct nl_batch *b, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < lab->s.n_nodes && !rc; i++) {
		for (size_t k = 0; k < lab_uplinks(lab, i); k++) {
			char inner[IFNAME_MAX + 1], outer[IFNAME_MAX + 1];
			snprintf(inner, sizeof(inner), LAB_UPLINK_INNER, (unsigned)k);
			snprintf(outer, sizeof(outer), LAB_UPLINK_OUTER, (unsigned)k);
			put_veth(b, &(struct end){ inner, INDEX_UPLINK + 2 * (int)k, netns[i], 0 },
			         &(struct end){ outer, INDEX_UPLINK + 2 * (int)k + 1, netns[i], 0 }, LAB_OUTSIDE_MTU);
		}
		rc = send_some(nl, b, false, err);
	}
	return rc ? rc : send_some(nl, b, true, err);
}

/* What belongs into each node's namespace, gathered in one pass over the links. */
static int configure_nodes(const struct lab *lab, const int *netns, struct err *err)
{
	const struct substrate *s = &lab->s;
	struct nl_batch **batch = mem_array(s->n_nodes, sizeof(struct nl_batch *));
	struct lab_route *routes;
	size_t n_routes;
	int rc = 0;

	for (size_t i = 0; i < s->n_nodes; i++) {
		batch[i] = nl_batch_new();
		put_up(batch[i], INDEX_LO);
		put_up(batch[i], INDEX_MGMT);
		put_address(batch[i], INDEX_MGMT, &lab->nodes[i].mgmt, 16);
		for (size_t k = 0; k < lab_uplinks(lab, i); k++)
			put_up(batch[i], INDEX_UPLINK + 2 * (int)k);
	}
	for (size_t i = 0; i < s->n_links; i++) {
		for (int end = 0; end < 2; end++) {
			size_t node = end ? s->links[i].b : s->links[i].a;
			put_up(batch[node], INDEX_LINK + (int)i);
			put_address(batch[node], INDEX_LINK + (int)i, &s->links[i].underlay[end], 31);
			if (!s->nodes[node].agent)
				put_tbf(batch[node], INDEX_LINK + (int)i, s->links[i].bw_kbps);
		}
	}
	switches_routes(lab, &routes, &n_routes);
	for (size_t i = 0; i < n_routes; i++)
		put_route(batch[routes[i].node], &routes[i].to, &routes[i].via);
	free(routes);
	for (size_t i = 0; i < s->n_nodes && !rc; i++) {
		struct nl *nl;
		rc = nl_open(NETLINK_ROUTE, netns[i], &nl, err);
		if (rc)
			break;
		rc = nl_send(nl, batch[i], NULL, err);
		nl_close(nl);
		if (rc)
			rc = err_add(err, rc, "node %s", s->nodes[i].name);
	}
	for (size_t i = 0; i < s->n_nodes; i++)
		nl_batch_free(batch[i]);
	free(batch);
	return rc;
}

int net_build(const struct lab *lab, const int *netns, struct err *err)
{
	struct nl *nl;
	int rc = nl_open(NETLINK_ROUTE, -1, &nl, err);
	if (rc)
		return rc;
	struct nl_batch *b = nl_batch_new();
	rc = build_mgmt(lab, netns, nl, b, err);
	if (!rc)
		rc = build_links(lab, netns, nl, b, err);
	if (!rc)
		rc = build_uplinks(lab, netns, nl, b, err);
	nl_batch_free(b);
	nl_close(nl);
	return rc ? rc : configure_nodes(lab, netns, err);
}
