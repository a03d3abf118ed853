/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Address translation; see nat.h. */
#include "vnagent/nat.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "vnagent/nft.h"

enum { PRIORITY_SOURCE_NAT = 100 };

static void put_masquerade(struct nl_batch *b, uint32_t ifindex)
{
	nft_rule_begin(b, "uplinks");
	nft_load_meta(b, NFT_META_OIF);
	nft_must_equal(b, &ifindex, sizeof(ifindex));
	nft_expr_begin(b, "masq");
	nft_expr_end(b);
	nl_nest_end(b);
}

int nat_set(int netns_fd, const uint32_t *ifindex, size_t n, struct err *err)
{
	struct nl *nl;
	int code = nl_open(NETLINK_NETFILTER, netns_fd, &nl, err);
	if (code)
		return err_add(err, code, "address translation");
	struct nl_batch *b = nl_batch_new();
	nft_frame(b, NFNL_MSG_BATCH_BEGIN);
	nft_put_table(b, NFT_MSG_NEWTABLE); /* so that there is one to take away */
	if (n)
		nft_put_chain(b, "uplinks", "nat", NF_INET_POST_ROUTING, PRIORITY_SOURCE_NAT);
	else
		nft_put_table(b, NFT_MSG_DELTABLE);
	for (size_t i = 0; i < n; i++)
		put_masquerade(b, ifindex[i]);
	nft_frame(b, NFNL_MSG_BATCH_END);
	code = nl_send_transaction(nl, b, err);
	nl_batch_free(b);
	nl_close(nl);
	return code ? err_add(err, code, "address translation") : 0;
}

int nat_probe(struct err *err)
{
	uint32_t some = 1;
	int code = nat_set(-1, &some, 1, err);
	return code ? code : nat_set(-1, NULL, 0, err);
}
