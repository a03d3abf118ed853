/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The second wall; see wall.h. The rules are the same for ever and only look things up in three sets:
 *
 *     vnis    VNI                  of our tunnels: other people's vxlan on this host is not our business
 *     peers4  VNI . source address
 *     peers6  VNI . source address
 *
 * The tunnels' chain hangs at `input`, behind the reassembly of fragments, so that nobody gets a VNI
 * past it in a second fragment. */
#include "vnagent/wall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "vnagent/device.h"
#include "vnagent/nft.h"

enum { PRIORITY = -450, PRIORITY_RAW = -300, VXLAN_PORT = 4789, ELEMENTS_PER_MESSAGE = 120 };
enum { REG = NFT_SCRATCH, REG_VNI = NFT_REG32_00, REG_SOURCE = NFT_REG32_01 };

/* ---- expressions ----------------------------------------------------------------------------------- */
static void load_packet(struct nl_batch *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	nft_expr_begin(b, "payload");
	nft_put_be32(b, NFTA_PAYLOAD_DREG, reg);
	nft_put_be32(b, NFTA_PAYLOAD_BASE, base);
	nft_put_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_be32(b, NFTA_PAYLOAD_LEN, len);
	nft_expr_end(b);
}

static void mask_with(struct nl_batch *b, uint32_t mask)
{
	uint32_t zero = 0;
	nft_expr_begin(b, "bitwise");
	nft_put_be32(b, NFTA_BITWISE_SREG, REG);
	nft_put_be32(b, NFTA_BITWISE_DREG, REG);
	nft_put_be32(b, NFTA_BITWISE_LEN, sizeof(mask));
	nft_put_value(b, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	nft_put_value(b, NFTA_BITWISE_XOR, &zero, sizeof(zero));
	nft_expr_end(b);
}

static void must_be_in(struct nl_batch *b, const char *set, bool inverted)
{
	nft_expr_begin(b, "lookup");
	nl_put_str(b, NFTA_LOOKUP_SET, set);
	nft_put_be32(b, NFTA_LOOKUP_SREG, REG_VNI);
	if (inverted)
		nft_put_be32(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	nft_expr_end(b);
}

static void drop(struct nl_batch *b)
{
	nft_expr_begin(b, "immediate");
	nft_put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	nl_nest(b, NFTA_IMMEDIATE_DATA);
	nl_nest(b, NFTA_DATA_VERDICT);
	nft_put_be32(b, NFTA_VERDICT_CODE, NF_DROP);
	nl_nest_end(b);
	nl_nest_end(b);
	nft_expr_end(b);
}

/* ---- table, chains, sets, rules ------------------------------------------------------------------------ */
static void put_set(struct nl_batch *b, const char *name, uint32_t id, uint32_t key_len)
{
	nft_begin(b, NFT_MSG_NEWSET, NLM_F_CREATE, name);
	nl_put_str(b, NFTA_SET_TABLE, NFT_TABLE);
	nl_put_str(b, NFTA_SET_NAME, name);
	nft_put_be32(b, NFTA_SET_ID, id);
	nft_put_be32(b, NFTA_SET_FLAGS, 0);
	nft_put_be32(b, NFTA_SET_KEY_TYPE, 0);
	nft_put_be32(b, NFTA_SET_KEY_LEN, key_len);
}

static void put_tunnel_rule(struct nl_batch *b, uint8_t family, uint32_t source_offset, uint32_t source_len, const char *peers)
{
	uint8_t udp = IPPROTO_UDP;
	uint16_t port = htons(VXLAN_PORT);
	nft_rule_begin(b, "tunnels");
	nft_load_meta(b, NFT_META_NFPROTO);
	nft_must_equal(b, &family, sizeof(family));
	nft_load_meta(b, NFT_META_L4PROTO);
	nft_must_equal(b, &udp, sizeof(udp));
	load_packet(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, REG);
	nft_must_equal(b, &port, sizeof(port));
	load_packet(b, NFT_PAYLOAD_TRANSPORT_HEADER, 12, 4, REG_VNI); /* a set reserved byte the vxlan device refuses itself */
	must_be_in(b, "vnis", false);
	load_packet(b, NFT_PAYLOAD_NETWORK_HEADER, source_offset, source_len, REG_SOURCE);
	must_be_in(b, peers, true);
	drop(b);
	nl_nest_end(b);
}

void wall_put_table(struct nl_batch *b)
{
	uint32_t ours = DEVICE_GROUP; /* and, one bit up, the doomed */
	nft_frame(b, NFNL_MSG_BATCH_BEGIN);
	nft_put_table(b, NFT_MSG_NEWTABLE);
	put_set(b, "vnis", 1, 4);
	put_set(b, "peers4", 2, 8);
	put_set(b, "peers6", 3, 20);
	nft_put_chain(b, "ports", "filter", NF_INET_PRE_ROUTING, PRIORITY);
	nft_rule_begin(b, "ports");
	nft_load_meta(b, NFT_META_IIFGROUP);
	mask_with(b, 0xfe000000u);
	nft_must_equal(b, &ours, sizeof(ours));
	drop(b);
	nl_nest_end(b);
	nft_put_chain(b, "tunnels", "filter", NF_INET_LOCAL_IN, PRIORITY);
	put_tunnel_rule(b, NFPROTO_IPV4, 12, 4, "peers4");
	put_tunnel_rule(b, NFPROTO_IPV6, 8, 16, "peers6");
	nft_frame(b, NFNL_MSG_BATCH_END);
}

/* Each flow inside a tunnel has an outer source port of its own (for load balancing): where the host tracks connections, a tenant with many
 * flows would fill its table. Of tunnels it tracks none. */
static void put_untracked(struct nl_batch *b, const char *chain, uint32_t hook)
{
	uint8_t udp = IPPROTO_UDP;
	uint16_t port = htons(VXLAN_PORT);
	nft_put_chain(b, chain, "filter", hook, PRIORITY_RAW);
	nft_rule_begin(b, chain);
	nft_load_meta(b, NFT_META_L4PROTO);
	nft_must_equal(b, &udp, sizeof(udp));
	load_packet(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, REG);
	nft_must_equal(b, &port, sizeof(port));
	nft_expr_begin(b, "notrack");
	nft_expr_end(b);
	nl_nest_end(b);
}

/* By itself: a kernel without it has no table to fill, and the wall stands all the same. */
static void leave_untracked(struct nl *nl)
{
	struct nl_batch *b = nl_batch_new();
	nft_frame(b, NFNL_MSG_BATCH_BEGIN);
	put_untracked(b, "untracked-in", NF_INET_PRE_ROUTING);
	put_untracked(b, "untracked-out", NF_INET_LOCAL_OUT);
	nft_frame(b, NFNL_MSG_BATCH_END);
	(void)!nl_send_transaction(nl, b, NULL);
	nl_batch_free(b);
}

int wall_open(struct nl **ret, struct err *err)
{
	struct nl *nl;
	int code = nl_open(NETLINK_NETFILTER, -1, &nl, err);
	if (code)
		return code;
	struct nl_batch *b = nl_batch_new();
	wall_put_table(b);
	code = nl_send_transaction(nl, b, err);
	nl_batch_free(b);
	if (code) {
		nl_close(nl);
		return code;
	}
	leave_untracked(nl);
	*ret = nl;
	return 0;
}

/* ---- elements ------------------------------------------------------------------------------------------- */
static void put_flush(struct nl_batch *b, const char *set)
{
	nft_begin(b, NFT_MSG_DELSETELEM, 0, set);
	nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
	nl_put_str(b, NFTA_SET_ELEM_LIST_SET, set);
}

/* Elements of one set, as many messages as that takes. family 0: the VNIs alone. */
static void put_elements(struct nl_batch *b, const char *set, uint8_t family, const struct plan_segment *const *segments, size_t n)
{
	size_t in_message = 0;
	for (size_t i = 0; i < n; i++) {
		const struct plan_segment *s = segments[i];
		uint8_t key[20];
		uint32_t vni = htonl(s->vni << 8);
		size_t source = !family ? 0 : family == AF_INET6 ? 16 : 4;
		if (family && s->remote.family != family)
			continue;
		if (in_message == 0) {
			nft_begin(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, set);
			nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
			nl_put_str(b, NFTA_SET_ELEM_LIST_SET, set);
			nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
		}
		memcpy(key, &vni, sizeof(vni));
		memcpy(key + sizeof(vni), s->remote.bytes, source);
		nl_nest(b, NFTA_LIST_ELEM);
		nft_put_value(b, NFTA_SET_ELEM_KEY, key, sizeof(vni) + source);
		nl_nest_end(b);
		in_message = (in_message + 1) % ELEMENTS_PER_MESSAGE;
		if (in_message == 0)
			nl_nest_end(b);
	}
	if (in_message)
		nl_nest_end(b);
}

int wall_set(struct nl *nl, const struct plan_segment *const *segments, size_t n, struct err *err)
{
	struct nl_batch *b = nl_batch_new();
	nft_frame(b, NFNL_MSG_BATCH_BEGIN);
	put_flush(b, "vnis");
	put_flush(b, "peers4");
	put_flush(b, "peers6");
	put_elements(b, "vnis", 0, segments, n);
	put_elements(b, "peers4", AF_INET, segments, n);
	put_elements(b, "peers6", AF_INET6, segments, n);
	nft_frame(b, NFNL_MSG_BATCH_END);
	int code = nl_send_transaction(nl, b, err);
	nl_batch_free(b);
	return code;
}

void wall_remove(struct nl *nl)
{
	struct nl_batch *b = nl_batch_new();
	nft_frame(b, NFNL_MSG_BATCH_BEGIN);
	nft_put_table(b, NFT_MSG_DELTABLE);
	nft_frame(b, NFNL_MSG_BATCH_END);
	(void)!nl_send_transaction(nl, b, NULL); /* somebody has removed it already */
	nl_batch_free(b);
}
