/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of nftables into a batch: what wall.c (the host's namespace) and nat.c (a router's) are made of. All tables are of
 * family inet and named `vne`. Numbers of nftables are big-endian; contents of registers are as in the packet, or as the machine
 * has them (meta). The batch goes out by nl_send_transaction. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/nl.h"

#define NFT_TABLE "vne"
enum { NFT_SCRATCH = 1 /* NFT_REG_1: what is loaded, and compared */ };

void nft_frame(struct nl_batch *b, uint16_t type); /* NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END */
void nft_begin(struct nl_batch *b, int type, uint16_t flags, const char *label);
void nft_put_table(struct nl_batch *b, int type); /* NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE */
/* A base chain at a hook of `type` "filter" or "nat", emptied of what it had. */
void nft_put_chain(struct nl_batch *b, const char *name, const char *type, uint32_t hook, int32_t priority);

void nft_put_be32(struct nl_batch *b, uint16_t attr, uint32_t v);
void nft_put_value(struct nl_batch *b, uint16_t attr, const void *data, size_t len);

/* A rule is nft_rule_begin, expressions, nl_nest_end. */
void nft_rule_begin(struct nl_batch *b, const char *chain);
void nft_expr_begin(struct nl_batch *b, const char *name);
void nft_expr_end(struct nl_batch *b);
void nft_load_meta(struct nl_batch *b, uint32_t key);
void nft_must_equal(struct nl_batch *b, const void *data, size_t len);
