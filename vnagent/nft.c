/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of nftables; see nft.h. */
#include "vnagent/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

_Static_assert((int)NFT_SCRATCH == (int)NFT_REG_1, "the register that is loaded");

void nft_frame(struct nl_batch *b, uint16_t type)
{
	struct nfgenmsg head = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };
	nl_begin(b, type, 0, &head, sizeof(head));
	nl_label(b, "nftables transaction");
}

void nft_begin(struct nl_batch *b, int type, uint16_t flags, const char *label)
{
	struct nfgenmsg head = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
	nl_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &head, sizeof(head));
	nl_label(b, "nftables %s", label);
}

void nft_put_be32(struct nl_batch *b, uint16_t attr, uint32_t v)
{
	nl_put_u32(b, attr, htonl(v));
}

void nft_put_value(struct nl_batch *b, uint16_t attr, const void *data, size_t len)
{
	nl_nest(b, attr);
	nl_put(b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(b);
}

void nft_put_table(struct nl_batch *b, int type)
{
	nft_begin(b, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, "table");
	nl_put_str(b, NFTA_TABLE_NAME, NFT_TABLE);
}

void nft_put_chain(struct nl_batch *b, const char *name, const char *type, uint32_t hook, int32_t priority)
{
	nft_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, name);
	nl_put_str(b, NFTA_CHAIN_TABLE, NFT_TABLE);
	nl_put_str(b, NFTA_CHAIN_NAME, name);
	nl_nest(b, NFTA_CHAIN_HOOK);
	nft_put_be32(b, NFTA_HOOK_HOOKNUM, hook);
	nft_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	nl_nest_end(b);
	nl_put_str(b, NFTA_CHAIN_TYPE, type);
	nft_begin(b, NFT_MSG_DELRULE, 0, name);
	nl_put_str(b, NFTA_RULE_TABLE, NFT_TABLE);
	nl_put_str(b, NFTA_RULE_CHAIN, name);
}

void nft_rule_begin(struct nl_batch *b, const char *chain)
{
	nft_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chain);
	nl_put_str(b, NFTA_RULE_TABLE, NFT_TABLE);
	nl_put_str(b, NFTA_RULE_CHAIN, chain);
	nl_nest(b, NFTA_RULE_EXPRESSIONS);
}

void nft_expr_begin(struct nl_batch *b, const char *name)
{
	nl_nest(b, NFTA_LIST_ELEM);
	nl_put_str(b, NFTA_EXPR_NAME, name);
	nl_nest(b, NFTA_EXPR_DATA);
}

void nft_expr_end(struct nl_batch *b)
{
	nl_nest_end(b);
	nl_nest_end(b);
}

void nft_load_meta(struct nl_batch *b, uint32_t key)
{
	nft_expr_begin(b, "meta");
	nft_put_be32(b, NFTA_META_KEY, key);
	nft_put_be32(b, NFTA_META_DREG, NFT_SCRATCH);
	nft_expr_end(b);
}

void nft_must_equal(struct nl_batch *b, const void *data, size_t len)
{
	nft_expr_begin(b, "cmp");
	nft_put_be32(b, NFTA_CMP_SREG, NFT_SCRATCH);
	nft_put_be32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	nft_put_value(b, NFTA_CMP_DATA, data, len);
	nft_expr_end(b);
}
