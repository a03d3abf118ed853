/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See plane_filter.h. */
#include "vnagent/plane_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PRIO = 1, HANDLE = 1 };

static void begin_filter(struct nl_batch *b, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_handle = HANDLE,
		              .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
		              .tcm_info = TC_H_MAKE(PRIO << 16, htons(ETH_P_ALL)) };
	nl_begin(b, type, flags, &head, sizeof(head));
	nl_label(b, "plane of device %u", ifindex);
	nl_put_str(b, TCA_KIND, "bpf");
}

void plane_put(struct nl_batch *b, uint32_t ifindex, int program, const char *name, uint32_t classid)
{
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	nl_nest(b, TCA_OPTIONS);
	nl_put_u32(b, TCA_BPF_CLASSID, classid);
	nl_put_u32(b, TCA_BPF_FD, (uint32_t)program);
	nl_put_str(b, TCA_BPF_NAME, name);
	nl_put_u32(b, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	nl_nest_end(b);
}

void plane_put_none(struct nl_batch *b, uint32_t ifindex)
{
	begin_filter(b, RTM_DELTFILTER, 0, ifindex);
	nl_tolerate(b, -ENOENT);
	nl_tolerate(b, -EINVAL); /* it has no place for filters yet */
}

static int read_filter(void *arg, const struct nlmsghdr *m)
{
	struct plane_standing *ret = arg;
	const struct tcmsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[TCA_MAX + 1] = { 0 }, *options[TCA_BPF_MAX + 1] = { 0 };
	if (!head || m->nlmsg_type != RTM_NEWTFILTER)
		return 0;
	nl_parse(m, sizeof(*head), table, TCA_MAX);
	nl_parse_nested(table[TCA_OPTIONS], options, TCA_BPF_MAX);
	ret->program = nl_u32(options[TCA_BPF_ID]);
	ret->classid = nl_u32(options[TCA_BPF_CLASSID]);
	snprintf(ret->name, sizeof(ret->name), "%s", nl_str(options[TCA_BPF_NAME]));
	return 0;
}

void plane_standing(struct nl *nl, struct nl_batch *b, uint32_t ifindex, struct plane_standing *ret)
{
	*ret = (struct plane_standing){ 0 };
	begin_filter(b, RTM_GETTFILTER, 0, ifindex);
	(void)!nl_dump(nl, b, read_filter, ret, NULL); /* mostly there is none */
}
