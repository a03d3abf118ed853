/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports and the inside of routers; see port.h. */
#include "vnagent/port.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>

#include "vnagent/neighbours.h"

enum { LOOPBACK_IFINDEX = 1, BRIDGE_IFINDEX = 2 };

static uint8_t addr_len(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

void port_put_create(struct nl_batch *b, const struct device *dev, const struct plan_port *port, int router_netns)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)dev->ifindex, .ifi_flags = IFF_NOARP,
		                  .ifi_change = IFF_NOARP };
	struct ifinfomsg peer = { .ifi_family = AF_UNSPEC, .ifi_index = (int)device_inner_ifindex(port->id) };
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	nl_label(b, "port %s (%.16s)", dev->name, port->link ? port->link : port->uplink ? port->uplink : "");
	nl_put_str(b, IFLA_IFNAME, dev->name);
	nl_put_u32(b, IFLA_GROUP, DEVICE_GROUP | dev->net);
	nl_put_u32(b, IFLA_MTU, port->mtu);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nl_put_u32(b, IFLA_NUM_RX_QUEUES, 1);
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	nl_nest(b, IFLA_INFO_DATA);
	nl_nest(b, VETH_INFO_PEER);
	nl_put_raw(b, &peer, sizeof(peer));
	nl_put_str(b, IFLA_IFNAME, port->ifname);
	nl_put(b, IFLA_ADDRESS, port->mac, sizeof(port->mac));
	nl_put_u32(b, IFLA_MTU, port->mtu);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nl_put_u32(b, IFLA_NUM_RX_QUEUES, 1);
	nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)router_netns);
	nl_nest_end(b);
	nl_nest_end(b);
	nl_nest_end(b);
}

static void put_address(struct nl_batch *b, uint16_t type, uint16_t flags, uint32_t ifindex, const struct addr *a)
{
	char text[ADDR_TEXT];
	struct ifaddrmsg head = { .ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_index = ifindex,
		                  .ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0 };
	nl_begin(b, type, flags, &head, sizeof(head));
	nl_label(b, "address %s", addr_text(a, text));
	nl_put(b, IFA_LOCAL, a->bytes, addr_len(a));
	nl_put(b, IFA_ADDRESS, a->bytes, addr_len(a));
	if (a->family == AF_INET6)
		nl_put_u32(b, IFA_FLAGS, IFA_F_NODAD);
}

static void put_stale_address(struct nl_batch *b, uint32_t ifindex, const struct addr *a)
{
	put_address(b, RTM_DELADDR, 0, ifindex, a);
	nl_tolerate(b, -EADDRNOTAVAIL);
	nl_tolerate(b, -ENODEV);
}

void port_put_router(struct nl_batch *b, const struct plan_router *r)
{
	device_put_flags(b, LOOPBACK_IFINDEX, IFF_UP, IFF_UP, "lo");
	for (size_t i = 0; i < r->n_loopbacks; i++)
		put_address(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, LOOPBACK_IFINDEX, &r->loopbacks[i]);
}

static void put_route(struct nl_batch *b, uint16_t type, uint16_t flags, const struct plan_route *route,
                      const struct addr *source)
{
	char text[ADDR_TEXT];
	struct rtmsg head = { .rtm_family = route->to.family, .rtm_dst_len = route->to.prefix, .rtm_table = RT_TABLE_MAIN,
		              .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	nl_begin(b, type, flags, &head, sizeof(head));
	nl_label(b, "route to %s", addr_text(&route->to, text));
	nl_put(b, RTA_DST, route->to.bytes, addr_len(&route->to));
	nl_put_u32(b, RTA_OIF, device_inner_ifindex(route->port));
	if (route->via.family == route->to.family)
		nl_put(b, RTA_GATEWAY, route->via.bytes, addr_len(&route->via));
	if (source)
		nl_put(b, RTA_PREFSRC, source->bytes, addr_len(source));
}

/* By the uplink's gateway; its own address as source. */
static void put_default(struct nl_batch *b, uint16_t type, uint16_t flags, const struct plan_port *port)
{
	const struct plan_route route = { .to = { .family = port->gateway.family }, .via = port->gateway, .port = port->id };
	put_route(b, type, flags, &route, NULL);
}

void port_put_inside(struct nl_batch *b, const struct plan_port *port)
{
	uint32_t ifindex = device_inner_ifindex(port->id);
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s", port->ifname);
	nl_put_u32(b, IFLA_MTU, port->mtu);
	if (port->address.family)
		put_address(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, &port->address);
	if (port->gateway.family)
		put_default(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, port);
}

void port_put_peer(struct nl_batch *b, const struct plan_port *port)
{
	uint8_t mac[6];
	if (!port->peer.family || port->lan || port->uplink)
		return;
	port_peer_mac(port, mac);
	neighbour_put(b, device_inner_ifindex(port->id), &port->peer, mac);
	nl_label(b, "neighbour of %s", port->ifname);
	nl_tolerate(b, -ENODEV); /* its root has taken it away, or down */
	nl_tolerate(b, -ENETDOWN);
}

void port_peer_mac(const struct plan_port *port, uint8_t ret[6])
{
	memcpy(ret, port->mac, 6);
	ret[5] ^= 1; /* the other end of the same link */
}

/* No address of its own making: nothing here speaks IPv6. */
static void put_silent(struct nl_batch *b)
{
	nl_nest(b, IFLA_AF_SPEC);
	nl_nest(b, AF_INET6);
	nl_put_u8(b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nl_nest_end(b);
	nl_nest_end(b);
}

void port_put_bridge(struct nl_batch *b)
{
	enum { FORWARDED_GROUPS = 0xfff8 };
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = BRIDGE_IFINDEX };
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE, &head, sizeof(head));
	nl_label(b, "bridge br0");
	nl_put_str(b, IFLA_IFNAME, "br0");
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "bridge");
	nl_nest(b, IFLA_INFO_DATA);
	nl_put_u32(b, IFLA_BR_STP_STATE, 0);
	nl_put_u8(b, IFLA_BR_MCAST_SNOOPING, 0);
	nl_put_u16(b, IFLA_BR_GROUP_FWD_MASK, FORWARDED_GROUPS);
	nl_nest_end(b);
	nl_nest_end(b);
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "bridge br0");
	put_silent(b);
	head.ifi_flags = head.ifi_change = IFF_UP; /* once it is silent */
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "bridge br0");
}

void port_put_switched(struct nl_batch *b, const struct plan_port *port, bool bridged)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)device_inner_ifindex(port->id) };
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s of br0", port->ifname);
	nl_put_u32(b, IFLA_MTU, port->mtu);
	if (bridged)
		nl_put_u32(b, IFLA_MASTER, BRIDGE_IFINDEX);
	put_silent(b);
	head.ifi_flags = head.ifi_change = IFF_UP;
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s of br0", port->ifname);
}

static const struct addr *loopback_of(const struct plan_router *r, uint8_t family)
{
	for (size_t i = 0; i < r->n_loopbacks; i++)
		if (r->loopbacks[i].family == family)
			return &r->loopbacks[i];
	return NULL;
}

/* The loopback address as source: it is reachable from everywhere in the network, whichever way an answer takes; but not from
 * what is behind an uplink. */
void port_put_route(struct nl_batch *b, const struct plan_router *r, const struct plan_route *route)
{
	put_route(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route,
	          route->port & PLAN_UPLINK_ID ? NULL : loopback_of(r, route->to.family));
}

void port_put_stale_routes(struct nl_batch *b, const struct plan_router *old, const struct plan_router *now)
{
	for (size_t i = 0; i < old->n_routes; i++) {
		bool stays = false;
		for (size_t j = 0; j < now->n_routes && !stays; j++)
			stays = addr_same(&old->routes[i].to, &now->routes[j].to);
		if (stays)
			continue;
		put_route(b, RTM_DELROUTE, 0, &old->routes[i], NULL);
		nl_tolerate(b, -ESRCH);
		nl_tolerate(b, -ENODEV);
	}
}

void port_put_stale_loopbacks(struct nl_batch *b, const struct plan_router *old, const struct plan_router *now)
{
	for (size_t i = 0; i < old->n_loopbacks; i++) {
		bool stays = false;
		for (size_t j = 0; j < now->n_loopbacks && !stays; j++)
			stays = addr_same(&old->loopbacks[i], &now->loopbacks[j]);
		if (!stays)
			put_stale_address(b, LOOPBACK_IFINDEX, &old->loopbacks[i]);
	}
}

void port_put_stale_address(struct nl_batch *b, const struct plan_port *old, const struct plan_port *now)
{
	if (old->gateway.family && !addr_same(&old->gateway, &now->gateway)) {
		put_default(b, RTM_DELROUTE, 0, old);
		nl_tolerate(b, -ESRCH);
		nl_tolerate(b, -ENODEV);
	}
	if (old->address.family && !addr_same(&old->address, &now->address))
		put_stale_address(b, device_inner_ifindex(old->id), &old->address);
}
