/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The programs of uplink_tag.h, by hand. */
#include "vnagent/uplink_tag.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "base/mem.h"
#include "vnagent/bpf_insn.h"

enum { VLAN_ID = 0xfff };

static int load_push(uint16_t vlan)
{
	const struct bpf_insn program[] = {
		SET(2, htons(ETH_P_8021Q)), /* context, protocol, tag */
		SET(3, vlan),
		CALL(BPF_FUNC_skb_vlan_push),
		JUMP_IF(BPF_JEQ, 0, 0, 2),
		SET(0, TC_ACT_SHOT), /* better lost than in the wrong VLAN */
		RETURN,
		SET(0, TC_ACT_OK),
		RETURN,
	};
	return bpf_insn_load(program, ARRAY_LEN(program), "vne_tag_push");
}

static int load_pop(uint16_t vlan)
{
	const struct bpf_insn program[] = {
		/*  0 */ LOAD(2, 1, offsetof(struct __sk_buff, vlan_present)),
		/*  1 */ JUMP_IF(BPF_JEQ, 2, 0, 5),
		/*  2 */ LOAD(2, 1, offsetof(struct __sk_buff, vlan_tci)),
		/*  3 */ AND(2, VLAN_ID),
		/*  4 */ JUMP_IF(BPF_JNE, 2, vlan, 2),
		/*  5 */ CALL(BPF_FUNC_skb_vlan_pop),
		/*  6 */ JUMP_IF(BPF_JEQ, 0, 0, 2),
		/*  7 */ SET(0, TC_ACT_SHOT),
		/*  8 */ RETURN,
		/*  9 */ SET(0, TC_ACT_UNSPEC), /* on to the redirect */
		/* 10 */ RETURN,
	};
	return bpf_insn_load(program, ARRAY_LEN(program), "vne_tag_pop");
}

/* What is loaded for each VLAN: descriptor + 1. */
static int keep(int *kept, int (*load)(uint16_t vlan), uint16_t vlan)
{
	vlan &= VLAN_ID;
	if (!kept[vlan])
		kept[vlan] = load(vlan) + 1; /* -1 is tried again */
	return kept[vlan] - 1;
}

int uplink_tag_push(uint16_t vlan)
{
	static int kept[VLAN_ID + 1];
	return keep(kept, load_push, vlan);
}

int uplink_tag_pop(uint16_t vlan)
{
	static int kept[VLAN_ID + 1];
	return keep(kept, load_pop, vlan);
}

bool uplink_tag_unusable(void)
{
	return uplink_tag_pop(1) < 0;
}
