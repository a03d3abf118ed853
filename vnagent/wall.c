/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The second wall; see wall.h. The rules are the same for ever and only look things up in three sets:
 *
 *     vnis    VNI                  of our tunnels: other people's vxlan on this host is not our business
 *     peers4  VNI . source address
 *     peers6  VNI . source address
 *
 * The tunnels' chain hangs at `input`, behind the reassembly of fragments, so that nobody gets a VNI
 * past it in a second fragment. Numbers of nftables are big-endian; contents of registers are as in the
 * packet, or as the machine has them (meta). */
#include "vnagent/wall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "vnagent/device.h"

enum { PRIORITY = -450, VXLAN_PORT = 4789, ELEMENTS_PER_MESSAGE = 120 };
enum { REG = NFT_REG_1, REG_VNI = NFT_REG32_00, REG_SOURCE = NFT_REG32_01 };
static const char TABLE[] = "vne";

static void begin(struct nl_batch *b, int type, uint16_t flags, const char *label)
{
	struct nfgenmsg head = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
	nl_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &head, sizeof(head));
	nl_label(b, "nftables %s", label);
}

static void frame(struct nl_batch *b, uint16_t type)
{
	struct nfgenmsg head = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };
	nl_begin(b, type, 0, &head, sizeof(head));
	nl_label(b, "nftables transaction");
}

static void put_be32(struct nl_batch *b, uint16_t attr, uint32_t v)
{
	nl_put_u32(b, attr, htonl(v));
}

static void put_value(struct nl_batch *b, uint16_t attr, const void *data, size_t len)
{
	nl_nest(b, attr);
	nl_put(b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(b);
}

/* ---- expressions ----------------------------------------------------------------------------------- */
static void expr_begin(struct nl_batch *b, const char *name)
{
	nl_nest(b, NFTA_LIST_ELEM);
	nl_put_str(b, NFTA_EXPR_NAME, name);
	nl_nest(b, NFTA_EXPR_DATA);
}

static void expr_end(struct nl_batch *b)
{
	nl_nest_end(b);
	nl_nest_end(b);
}

static void load_meta(struct nl_batch *b, uint32_t key)
{
	expr_begin(b, "meta");
	put_be32(b, NFTA_META_KEY, key);
	put_be32(b, NFTA_META_DREG, REG);
	expr_end(b);
}

static void load_packet(struct nl_batch *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	expr_begin(b, "payload");
	put_be32(b, NFTA_PAYLOAD_DREG, reg);
	put_be32(b, NFTA_PAYLOAD_BASE, base);
	put_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(b, NFTA_PAYLOAD_LEN, len);
	expr_end(b);
}

static void must_equal(struct nl_batch *b, const void *data, size_t len)
{
	expr_begin(b, "cmp");
	put_be32(b, NFTA_CMP_SREG, REG);
	put_be32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	put_value(b, NFTA_CMP_DATA, data, len);
	expr_end(b);
}

static void mask_with(struct nl_batch *b, uint32_t mask)
{
	uint32_t zero = 0;
	expr_begin(b, "bitwise");
	put_be32(b, NFTA_BITWISE_SREG, REG);
	put_be32(b, NFTA_BITWISE_DREG, REG);
	put_be32(b, NFTA_BITWISE_LEN, sizeof(mask));
	put_value(b, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	put_value(b, NFTA_BITWISE_XOR, &zero, sizeof(zero));
	expr_end(b);
}

static void must_be_in(struct nl_batch *b, const char *set, bool inverted)
{
	expr_begin(b, "lookup");
	nl_put_str(b, NFTA_LOOKUP_SET, set);
	put_be32(b, NFTA_LOOKUP_SREG, REG_VNI);
	if (inverted)
		put_be32(b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	expr_end(b);
}

static void drop(struct nl_batch *b)
{
	expr_begin(b, "immediate");
	put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	nl_nest(b, NFTA_IMMEDIATE_DATA);
	nl_nest(b, NFTA_DATA_VERDICT);
	put_be32(b, NFTA_VERDICT_CODE, NF_DROP);
	nl_nest_end(b);
	nl_nest_end(b);
	expr_end(b);
}

/* ---- table, chains, sets, rules ------------------------------------------------------------------------ */
static void put_set(struct nl_batch *b, const char *name, uint32_t id, uint32_t key_len)
{
	begin(b, NFT_MSG_NEWSET, NLM_F_CREATE, name);
	nl_put_str(b, NFTA_SET_TABLE, TABLE);
	nl_put_str(b, NFTA_SET_NAME, name);
	put_be32(b, NFTA_SET_ID, id);
	put_be32(b, NFTA_SET_FLAGS, 0);
	put_be32(b, NFTA_SET_KEY_TYPE, 0);
	put_be32(b, NFTA_SET_KEY_LEN, key_len);
}

/* The chain, emptied of what an earlier agent had put into it. */
static void put_chain(struct nl_batch *b, const char *name, uint32_t hook)
{
	begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, name);
	nl_put_str(b, NFTA_CHAIN_TABLE, TABLE);
	nl_put_str(b, NFTA_CHAIN_NAME, name);
	nl_nest(b, NFTA_CHAIN_HOOK);
	put_be32(b, NFTA_HOOK_HOOKNUM, hook);
	put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	nl_nest_end(b);
	nl_put_str(b, NFTA_CHAIN_TYPE, "filter");
	begin(b, NFT_MSG_DELRULE, 0, name);
	nl_put_str(b, NFTA_RULE_TABLE, TABLE);
	nl_put_str(b, NFTA_RULE_CHAIN, name);
}

static void rule_begin(struct nl_batch *b, const char *chain)
{
	begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chain);
	nl_put_str(b, NFTA_RULE_TABLE, TABLE);
	nl_put_str(b, NFTA_RULE_CHAIN, chain);
	nl_nest(b, NFTA_RULE_EXPRESSIONS);
}

static void put_tunnel_rule(struct nl_batch *b, uint8_t family, uint32_t source_offset, uint32_t source_len, const char *peers)
{
	uint8_t udp = IPPROTO_UDP;
	uint16_t port = htons(VXLAN_PORT);
	rule_begin(b, "tunnels");
	load_meta(b, NFT_META_NFPROTO);
	must_equal(b, &family, sizeof(family));
	load_meta(b, NFT_META_L4PROTO);
	must_equal(b, &udp, sizeof(udp));
	load_packet(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, REG);
	must_equal(b, &port, sizeof(port));
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
	frame(b, NFNL_MSG_BATCH_BEGIN);
	begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, "table");
	nl_put_str(b, NFTA_TABLE_NAME, TABLE);
	put_set(b, "vnis", 1, 4);
	put_set(b, "peers4", 2, 8);
	put_set(b, "peers6", 3, 20);
	put_chain(b, "ports", NF_INET_PRE_ROUTING);
	rule_begin(b, "ports");
	load_meta(b, NFT_META_IIFGROUP);
	mask_with(b, 0xfe000000u);
	must_equal(b, &ours, sizeof(ours));
	drop(b);
	nl_nest_end(b);
	put_chain(b, "tunnels", NF_INET_LOCAL_IN);
	put_tunnel_rule(b, NFPROTO_IPV4, 12, 4, "peers4");
	put_tunnel_rule(b, NFPROTO_IPV6, 8, 16, "peers6");
	frame(b, NFNL_MSG_BATCH_END);
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
	*ret = nl;
	return 0;
}

/* ---- elements ------------------------------------------------------------------------------------------- */
static void put_flush(struct nl_batch *b, const char *set)
{
	begin(b, NFT_MSG_DELSETELEM, 0, set);
	nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, TABLE);
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
			begin(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, set);
			nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, TABLE);
			nl_put_str(b, NFTA_SET_ELEM_LIST_SET, set);
			nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
		}
		memcpy(key, &vni, sizeof(vni));
		memcpy(key + sizeof(vni), s->remote.bytes, source);
		nl_nest(b, NFTA_LIST_ELEM);
		put_value(b, NFTA_SET_ELEM_KEY, key, sizeof(vni) + source);
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
	frame(b, NFNL_MSG_BATCH_BEGIN);
	put_flush(b, "vnis");
	put_flush(b, "peers4");
	put_flush(b, "peers6");
	put_elements(b, "vnis", 0, segments, n);
	put_elements(b, "peers4", AF_INET, segments, n);
	put_elements(b, "peers6", AF_INET6, segments, n);
	frame(b, NFNL_MSG_BATCH_END);
	int code = nl_send_transaction(nl, b, err);
	nl_batch_free(b);
	return code;
}

void wall_remove(struct nl *nl)
{
	struct nl_batch *b = nl_batch_new();
	frame(b, NFNL_MSG_BATCH_BEGIN);
	begin(b, NFT_MSG_DELTABLE, 0, "table");
	nl_put_str(b, NFTA_TABLE_NAME, TABLE);
	frame(b, NFNL_MSG_BATCH_END);
	(void)!nl_send_transaction(nl, b, NULL); /* somebody has removed it already */
	nl_batch_free(b);
}
