/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segments as vxlan devices, one each, with both addresses fixed: what the field notes found
 * sound, and flat up to a thousand. It learns nothing (there is one far end), and never lets
 * the underlay fragment: a tenant that raises its MTU loses its own frames only. */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "vnagent/segment.h"
#include "vnagent/wire_tc.h"

enum { VXLAN_PORT = 4789 };

static void put_create(struct nl_batch *b, const struct device *dev, const struct plan_segment *s, uint16_t share)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)dev->ifindex };
	bool v6 = s->remote.family == AF_INET6;
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	nl_label(b, "tunnel %s (%.20s)", dev->name, s->slink ? s->slink : "");
	nl_put_str(b, IFLA_IFNAME, dev->name);
	nl_put_u32(b, IFLA_GROUP, DEVICE_GROUP | dev->net);
	nl_put_u32(b, IFLA_MTU, s->mtu);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "vxlan");
	nl_nest(b, IFLA_INFO_DATA);
	nl_put_u32(b, IFLA_VXLAN_ID, s->vni);
	nl_put(b, v6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, s->local.bytes, v6 ? 16 : 4);
	nl_put(b, v6 ? IFLA_VXLAN_GROUP6 : IFLA_VXLAN_GROUP, s->remote.bytes, v6 ? 16 : 4);
	nl_put_u16(b, IFLA_VXLAN_PORT, htons(VXLAN_PORT));
	nl_put_u8(b, IFLA_VXLAN_LEARNING, 0);
	nl_put_u8(b, IFLA_VXLAN_TTL, 64);
	nl_put_u8(b, IFLA_VXLAN_TOS, s->best_effort ? TOS_BEST_EFFORT : TOS_PROMISED);
	if (s->best_effort) { /* from low to before high */
		uint16_t first = (uint16_t)(SHARE_PORT_FIRST + 4 * share);
		struct ifla_vxlan_port_range range = { .low = htons(first), .high = htons((uint16_t)(first + 3)) };
		nl_put(b, IFLA_VXLAN_PORT_RANGE, &range, sizeof(range));
	}
	if (!v6)
		nl_put_u8(b, IFLA_VXLAN_DF, VXLAN_DF_SET);
	nl_nest_end(b);
	nl_nest_end(b);
}

const struct segment_driver segment_vxlan = { .kind = "vxlan", .put_create = put_create };
