/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See neighbours.h. */
#include "vnagent/neighbours.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum { LOOPBACK_IFINDEX = 1 };

static size_t addr_len(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

static void put(struct nl_batch *b, uint32_t ifindex, const struct addr *a, uint16_t state, uint8_t flags, const uint8_t *mac)
{
	struct ndmsg head = { .ndm_family = a->family, .ndm_ifindex = (int)ifindex, .ndm_state = state, .ndm_flags = flags };
	nl_begin(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	nl_put(b, NDA_DST, a->bytes, addr_len(a));
	if (mac)
		nl_put(b, NDA_LLADDR, mac, 6);
}

void neighbour_put(struct nl_batch *b, uint32_t ifindex, const struct addr *address, const uint8_t mac[6])
{
	put(b, ifindex, address, NUD_STALE, NTF_EXT_LEARNED, mac);
}

struct hop {
	uint32_t ifindex;
	struct addr address;
};

static int take_route(void *arg, const struct nlmsghdr *m)
{
	struct hop *hop = arg;
	const struct nlattr *table[RTA_MAX + 1] = { 0 };
	const struct rtmsg *head = nl_head(m, sizeof(*head));
	if (m->nlmsg_type != RTM_NEWROUTE || !head || head->rtm_type != RTN_UNICAST || head->rtm_family != hop->address.family)
		return 0;
	nl_parse(m, sizeof(*head), table, RTA_MAX);
	hop->ifindex = nl_u32(table[RTA_OIF]);
	const void *gateway = table[RTA_GATEWAY] ? nl_data(table[RTA_GATEWAY], addr_len(&hop->address)) : NULL;
	if (gateway)
		memcpy(hop->address.bytes, gateway, addr_len(&hop->address));
	return 0;
}

static bool find_hop(struct nl *nl, struct nl_batch *b, const struct addr *to, struct hop *ret)
{
	struct rtmsg head = { .rtm_family = to->family, .rtm_dst_len = (uint8_t)(addr_len(to) * 8) };
	*ret = (struct hop){ 0, *to };
	nl_begin(b, RTM_GETROUTE, 0, &head, sizeof(head));
	nl_put(b, RTA_DST, to->bytes, addr_len(to));
	return nl_dump(nl, b, take_route, ret, NULL) == 0 && ret->ifindex > LOOPBACK_IFINDEX;
}

void neighbours_keep(struct nl *nl, const struct addr *to, size_t n)
{
	struct nl_batch *b = nl_batch_new(), *marks = nl_batch_new();
	for (size_t i = 0; i < n; i++) {
		struct hop hop;
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = to[k].family == to[i].family && !memcmp(to[k].bytes, to[i].bytes, addr_len(&to[i]));
		if (!seen && to[i].family && find_hop(nl, b, &to[i], &hop))
			put(marks, hop.ifindex, &hop.address, NUD_NONE, NTF_USE | NTF_EXT_LEARNED, NULL);
	}
	if (nl_batch_count(marks))
		(void)!nl_send(nl, marks, NULL, NULL); /* devices without neighbours refuse it */
	nl_batch_free(b);
	nl_batch_free(marks);
}
