/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Traffic control messages; see wire_tc.h. */
#include "vnagent/wire_tc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/gso_guard.h"
#include "vnagent/uplink_tag.h"

enum { PRIO_GUARD = 1, PRIO_REDIRECT, PRIO_GATE = 0x7f00, PROGRAM_MAX = 96 };
enum { BURST_MIN = 15140, QUEUE_MIN = 96 << 10, QUEUE_MS = 25, FRAME_EXTRA = 18 /* Ethernet header and a tag */ };
#define PEAK_BYTES_PER_S UINT64_C(125000000000) /* 1 Tbit/s: never reached, only its burst matters */

struct program {
	struct sock_filter op[PROGRAM_MAX];
	uint16_t n;
};

static void emit(struct program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (p->n == PROGRAM_MAX)
		__builtin_trap();
	p->op[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

/* ---- filters ------------------------------------------------------------------------------ */
static void begin_filter(struct nl_batch *b, uint16_t type, uint16_t flags, uint32_t ifindex, uint32_t parent,
                         uint32_t prio, const char *label)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent, .tcm_handle = 1,
		              .tcm_info = TC_H_MAKE(prio << 16, htons(ETH_P_ALL)) };
	nl_begin(b, type, flags, &head, sizeof(head));
	nl_label(b, "%s: filter %u", label, prio);
}

static void put_program(struct nl_batch *b, const struct program *p)
{
	nl_put_u16(b, TCA_BPF_OPS_LEN, p->n);
	nl_put(b, TCA_BPF_OPS, p->op, p->n * sizeof(p->op[0]));
}

static const uint32_t INGRESS = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), EGRESS = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);

void tc_put_gate(struct nl_batch *b, uint32_t ifindex, const char *label)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = TC_H_CLSACT,
		              .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0) };
	nl_begin(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	nl_label(b, "%s: clsact", label);
	nl_put_str(b, TCA_KIND, "clsact");
	nl_tolerate(b, -EEXIST);

	struct program drop = { .n = 0 };
	emit(&drop, BPF_RET | BPF_K, 0, 0, TC_ACT_SHOT);
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, INGRESS, PRIO_GATE, label);
	nl_put_str(b, TCA_KIND, "bpf");
	nl_nest(b, TCA_OPTIONS);
	put_program(b, &drop);
	nl_put_u32(b, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	nl_nest_end(b);
}

static void put_loaded(struct nl_batch *b, uint32_t ifindex, uint32_t hook, int fd, const char *label)
{
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, hook, PRIO_GUARD, label);
	nl_put_str(b, TCA_KIND, "bpf");
	nl_nest(b, TCA_OPTIONS);
	nl_put_u32(b, TCA_BPF_FD, (uint32_t)fd);
	nl_put_u32(b, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	nl_nest_end(b);
}

void tc_put_guard(struct nl_batch *b, uint32_t ifindex, const char *label)
{
	int guard = gso_guard_fd();
	if (guard >= 0)
		put_loaded(b, ifindex, INGRESS, guard, label);
}

static void put_mirred(struct nl_batch *b, uint32_t ifindex)
{
	struct tc_mirred mirred = { .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = ifindex };
	nl_nest(b, TCA_BPF_ACT);
	nl_nest(b, 1);
	nl_put_str(b, TCA_ACT_KIND, "mirred");
	nl_nest(b, TCA_ACT_OPTIONS);
	nl_put(b, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	nl_nest_end(b);
	nl_nest_end(b);
	nl_nest_end(b);
}

/* X += A; A is left undefined. M[0] holds the sum. */
static void mix(struct program *p)
{
	emit(p, BPF_LDX | BPF_W | BPF_MEM, 0, 0, 0);
	emit(p, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
	emit(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, 0x9e3779b1);
	emit(p, BPF_ST, 0, 0, 0);
}

static void mix_word(struct program *p, uint16_t mode, uint32_t offset)
{
	emit(p, BPF_LD | mode, 0, 0, offset);
	mix(p);
}

/* Matches (-1) the flows whose hash, 16 bits, is below the threshold. Loads beyond the end of a frame
 * end a classic program with 0, no match; the last target has no threshold and takes those. */
static void flow_program(struct program *p, uint32_t threshold)
{
	p->n = 0;
	emit(p, BPF_LD | BPF_IMM, 0, 0, 0);
	emit(p, BPF_ST, 0, 0, 0);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	uint16_t not_v4 = p->n;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, ETH_P_IP); /* else: patched below */
	mix_word(p, BPF_W | BPF_ABS, 26);
	mix_word(p, BPF_W | BPF_ABS, 30);
	mix_word(p, BPF_B | BPF_ABS, 23);
	/* Ports of TCP and UDP, unless it is a fragment: all fragments must go one way. */
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 20);
	uint16_t fragment = p->n;
	emit(p, BPF_JMP | BPF_JSET | BPF_K, 0, 0, 0x3fff);
	emit(p, BPF_LD | BPF_B | BPF_ABS, 0, 0, 23);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, IPPROTO_TCP);
	uint16_t no_ports = p->n;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, IPPROTO_UDP);
	emit(p, BPF_LDX | BPF_B | BPF_MSH, 0, 0, 14);
	emit(p, BPF_LD | BPF_W | BPF_IND, 0, 0, 14);
	mix(p);
	uint16_t v4_done = p->n;
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);

	p->op[not_v4].jf = (uint8_t)(p->n - not_v4 - 1);
	uint16_t not_v6 = p->n;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, ETH_P_IPV6);
	for (uint32_t at = 26; at < 54; at += 8) /* of each address a word that tells networks apart, and one for hosts */
		mix_word(p, BPF_W | BPF_ABS, at);
	emit(p, BPF_LD | BPF_B | BPF_ABS, 0, 0, 20);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, IPPROTO_TCP);
	uint16_t no_ports6 = p->n;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, IPPROTO_UDP);
	mix_word(p, BPF_W | BPF_ABS, 54);

	uint16_t decide = p->n;
	p->op[v4_done].k = (uint32_t)(decide - v4_done - 1);
	p->op[fragment].jt = (uint8_t)(decide - fragment - 1);
	p->op[no_ports].jf = (uint8_t)(decide - no_ports - 1);
	p->op[not_v6].jf = (uint8_t)(decide - not_v6 - 1);
	p->op[no_ports6].jf = (uint8_t)(decide - no_ports6 - 1);
	emit(p, BPF_LD | BPF_MEM, 0, 0, 0);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, 0, 0, 16);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, threshold);
	emit(p, BPF_RET | BPF_K, 0, 0, 0);
	emit(p, BPF_RET | BPF_K, 0, 0, 0xffffffff);
}

void tc_put_redirect(struct nl_batch *b, uint32_t ifindex, const struct redirect_target *targets, size_t n,
                     const char *label)
{
	uint64_t total = 0, below = 0;
	for (size_t i = 0; i < n; i++)
		total += targets[i].weight;
	for (size_t i = 0; i < n; i++) {
		struct program p = { .n = 0 };
		below += targets[i].weight;
		if (i + 1 == n)
			emit(&p, BPF_RET | BPF_K, 0, 0, 0xffffffff);
		else
			flow_program(&p, total ? (uint32_t)((double)below / (double)total * 65536) :
			                         (uint32_t)((i + 1) * 65536 / n));
		begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, INGRESS, PRIO_REDIRECT + (uint32_t)i, label);
		nl_put_str(b, TCA_KIND, "bpf");
		nl_nest(b, TCA_OPTIONS);
		put_program(b, &p);
		put_mirred(b, targets[i].ifindex);
		nl_nest_end(b);
	}
}

void tc_put_redirect_trim(struct nl_batch *b, uint32_t ifindex, size_t n, size_t from, const char *label)
{
	for (size_t i = n; i < from; i++) {
		begin_filter(b, RTM_DELTFILTER, 0, ifindex, INGRESS, PRIO_REDIRECT + (uint32_t)i, label);
		nl_put_str(b, TCA_KIND, "bpf");
		nl_tolerate(b, -ENOENT);
		nl_tolerate(b, -EINVAL);
	}
}

/* ---- protected links ------------------------------------------------------------------------- */
static void type_program(struct program *p, uint32_t is, uint32_t is_not)
{
	p->n = 0;
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ETH_P_WATCH);
	emit(p, BPF_RET | BPF_K, 0, 0, is);
	emit(p, BPF_RET | BPF_K, 0, 0, is_not);
}

void tc_put_protected(struct nl_batch *b, uint32_t ifindex, uint32_t to, const char *label)
{
	struct program p;
	type_program(&p, 0, 0xffffffff);
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, INGRESS, PRIO_REDIRECT, label);
	nl_put_str(b, TCA_KIND, "bpf");
	nl_nest(b, TCA_OPTIONS);
	put_program(b, &p);
	put_mirred(b, to);
	nl_nest_end(b);
}

void tc_put_probe_exit(struct nl_batch *b, uint32_t ifindex, const char *label)
{
	struct program p;
	type_program(&p, TC_ACT_OK, (uint32_t)TC_ACT_UNSPEC);
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, INGRESS, PRIO_GUARD, label);
	nl_put_str(b, TCA_KIND, "bpf");
	nl_nest(b, TCA_OPTIONS);
	put_program(b, &p);
	nl_put_u32(b, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	nl_nest_end(b);
}

static int read_target(void *arg, const struct nlmsghdr *m)
{
	const struct tcmsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[TCA_MAX + 1] = { 0 }, *options[TCA_BPF_MAX + 1] = { 0 }, *actions[2] = { 0 },
	                    *action[TCA_ACT_MAX + 1] = { 0 }, *mirred[TCA_MIRRED_MAX + 1] = { 0 };
	const struct tc_mirred *parms;
	if (!head || m->nlmsg_type != RTM_NEWTFILTER)
		return 0;
	nl_parse(m, sizeof(*head), table, TCA_MAX);
	if (!table[TCA_OPTIONS])
		return 0;
	nl_parse_nested(table[TCA_OPTIONS], options, TCA_BPF_MAX);
	if (options[TCA_BPF_ACT])
		nl_parse_nested(options[TCA_BPF_ACT], actions, 1);
	if (actions[1])
		nl_parse_nested(actions[1], action, TCA_ACT_MAX);
	if (action[TCA_ACT_OPTIONS])
		nl_parse_nested(action[TCA_ACT_OPTIONS], mirred, TCA_MIRRED_MAX);
	parms = mirred[TCA_MIRRED_PARMS] ? nl_data(mirred[TCA_MIRRED_PARMS], sizeof(*parms)) : NULL;
	if (parms)
		*(uint32_t *)arg = parms->ifindex;
	return 0;
}

uint32_t tc_redirected_to(struct nl *nl, uint32_t ifindex)
{
	uint32_t ret = 0;
	struct nl_batch *b = nl_batch_new();
	begin_filter(b, RTM_GETTFILTER, 0, ifindex, INGRESS, PRIO_REDIRECT, "");
	nl_put_str(b, TCA_KIND, "bpf");
	(void)!nl_dump(nl, b, read_target, &ret, NULL); /* there is none */
	nl_batch_free(b);
	return ret;
}

/* ---- uplinks --------------------------------------------------------------------------------- */
enum { CONTROL_GROUPS = 0x0180c200, QINQ_OLD = 0x9100 };

static uint32_t mac_head(const uint8_t mac[6])
{
	return (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3];
}

/* Ends the program with 0, no match, unless the MAC stands there. */
static void must_be_mac(struct program *p, uint32_t offset, const uint8_t mac[6])
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, mac_head(mac));
	emit(p, BPF_RET | BPF_K, 0, 0, 0);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, offset + 4);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, (uint32_t)mac[4] << 8 | mac[5]);
	emit(p, BPF_RET | BPF_K, 0, 0, 0);
}

static void must_be_untagged(struct program *p)
{
	emit(p, BPF_LD | BPF_B | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
	emit(p, BPF_RET | BPF_K, 0, 0, 0);
}

static void may_leave_program(struct program *p, const uint8_t mac[6])
{
	static const uint16_t tags[] = { ETH_P_8021Q, ETH_P_8021AD, QINQ_OLD };
	must_be_untagged(p);
	must_be_mac(p, 6, mac);
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, 0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, CONTROL_GROUPS);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 4);
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xfff0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	emit(p, BPF_RET | BPF_K, 0, 0, 0);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, tags[i]);
		emit(p, BPF_RET | BPF_K, 0, 0, 0);
	}
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ETH_P_ARP);
	emit(p, BPF_RET | BPF_K, 0, 0, 0xffffffff);
	must_be_mac(p, 22, mac); /* whom it says it is */
	emit(p, BPF_RET | BPF_K, 0, 0, 0xffffffff);
}

static void put_joined(struct nl_batch *b, uint32_t from, uint32_t to, const struct program *p, const char *label)
{
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, from, INGRESS, PRIO_REDIRECT, label);
	nl_put_str(b, TCA_KIND, "bpf");
	nl_nest(b, TCA_OPTIONS);
	put_program(b, p);
	put_mirred(b, to);
	nl_nest_end(b);
}

void tc_put_uplink(struct nl_batch *b, uint32_t port, uint32_t outside, const uint8_t mac[6], const char *label)
{
	struct program leaves = { .n = 0 }, arrives = { .n = 0 };
	must_be_untagged(&arrives);
	emit(&arrives, BPF_RET | BPF_K, 0, 0, 0xffffffff);
	put_joined(b, outside, port, &arrives, label);
	may_leave_program(&leaves, mac);
	put_joined(b, port, outside, &leaves, label);
}

void tc_put_tags(struct nl_batch *b, uint32_t outside, uint16_t vlan, const char *label)
{
	put_loaded(b, outside, INGRESS, uplink_tag_pop(vlan), label);
	put_loaded(b, outside, EGRESS, uplink_tag_push(vlan), label);
}

void tc_put_untagged(struct nl_batch *b, uint32_t outside, const char *label)
{
	const uint32_t hooks[] = { INGRESS, EGRESS };
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		begin_filter(b, RTM_DELTFILTER, 0, outside, hooks[i], PRIO_GUARD, label);
		nl_put_str(b, TCA_KIND, "bpf");
		nl_tolerate(b, -ENOENT);
		nl_tolerate(b, -EINVAL);
	}
}

/* ---- rates ---------------------------------------------------------------------------------- */
static uint64_t bytes_per_s(int64_t bw_kbps)
{
	return (uint64_t)bw_kbps * 125;
}

static uint32_t burst_bytes(int64_t bw_kbps)
{
	uint64_t two_ms = bytes_per_s(bw_kbps) / 500;
	return two_ms < BURST_MIN ? BURST_MIN : two_ms > INT32_MAX ? INT32_MAX : (uint32_t)two_ms;
}

static void fill_rate(struct tc_ratespec *r, uint64_t rate, uint32_t overhead)
{
	r->rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
	r->overhead = (uint16_t)overhead;
	r->linklayer = 1; /* TC_LINKLAYER_ETHERNET: the kernel needs no rate table then */
}

static void begin_qdisc(struct nl_batch *b, uint16_t type, uint16_t flags, uint32_t ifindex, uint32_t handle,
                        const char *label)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = TC_H_ROOT, .tcm_handle = handle };
	nl_begin(b, type, flags, &head, sizeof(head));
	nl_label(b, "%s: limit", label);
}

void tc_put_limit(struct nl_batch *b, uint32_t ifindex, int64_t bw_kbps, uint32_t overhead, uint32_t mtu,
                  const char *label)
{
	uint64_t rate = bytes_per_s(bw_kbps), queue = rate * QUEUE_MS / 1000;
	struct tc_tbf_qopt q = { 0 };
	fill_rate(&q.rate, rate, overhead);
	fill_rate(&q.peakrate, PEAK_BYTES_PER_S, overhead);
	q.limit = queue < QUEUE_MIN ? QUEUE_MIN : queue > INT32_MAX ? INT32_MAX : (uint32_t)queue;
	begin_qdisc(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex, TC_H_MAKE(1 << 16, 0), label);
	nl_put_str(b, TCA_KIND, "tbf");
	nl_nest(b, TCA_OPTIONS);
	nl_put(b, TCA_TBF_PARMS, &q, sizeof(q));
	if (rate > UINT32_MAX)
		nl_put_u64(b, TCA_TBF_RATE64, rate);
	nl_put_u64(b, TCA_TBF_PRATE64, PEAK_BYTES_PER_S);
	nl_put_u32(b, TCA_TBF_BURST, burst_bytes(bw_kbps));
	nl_put_u32(b, TCA_TBF_PBURST, mtu + FRAME_EXTRA);
	nl_nest_end(b);
}

void tc_put_unlimited(struct nl_batch *b, uint32_t ifindex, const char *label)
{
	begin_qdisc(b, RTM_DELQDISC, 0, ifindex, 0, label);
	nl_tolerate(b, -ENOENT);
	nl_tolerate(b, -EINVAL);
}

/* ---- underlay --------------------------------------------------------------------------------- */
enum { CLASS_ALL = 0x10001, CLASS_PROBES = 0x10008, CLASS_PROMISED = 0x10010, CLASS_BEST_EFFORT = 0x10020, CLASS_REST = 0x10021, CLASS_SHARES = 0x14000,
       BEST_EFFORT_KBPS = 8, PROBES_SHARE = 100, PROBES_KBPS = 1000 };
enum { PRIO_PROMISED = 1, PRIO_BEST_EFFORT = 7 };

static void put_class(struct nl_batch *b, uint32_t ifindex, uint32_t id, uint32_t parent, int64_t rate_kbps,
                      int64_t ceil_kbps, uint32_t prio, const char *label)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent, .tcm_handle = id };
	struct tc_htb_opt opt = { .prio = prio, .quantum = 15140 };
	uint64_t rate = bytes_per_s(rate_kbps), ceil = bytes_per_s(ceil_kbps);
	fill_rate(&opt.rate, rate, 0);
	fill_rate(&opt.ceil, ceil, 0);
	/* HTB takes its bursts as times, in ticks of 64 ns. */
	opt.buffer = (uint32_t)((double)burst_bytes(rate_kbps) * 1e9 / (double)rate / 64);
	opt.cbuffer = (uint32_t)((double)burst_bytes(ceil_kbps) * 1e9 / (double)ceil / 64);
	nl_begin(b, RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	nl_label(b, "%s: class %x", label, id & 0xffff);
	nl_put_str(b, TCA_KIND, "htb");
	nl_nest(b, TCA_OPTIONS);
	nl_put(b, TCA_HTB_PARMS, &opt, sizeof(opt));
	if (rate > UINT32_MAX)
		nl_put_u64(b, TCA_HTB_RATE64, rate);
	if (ceil > UINT32_MAX)
		nl_put_u64(b, TCA_HTB_CEIL64, ceil);
	nl_nest_end(b);
}

enum { TOS_CONTROL = 0xc0 /* CS6 */, VXLAN_UDP_PORT = 4789, INNER_TYPE = 28 /* behind the outer network header: UDP, VXLAN, two addresses */ };

/* Ends with the class of probes where a tunnel's frame has one inside; else goes on behind. */
static void put_probe_inside(struct program *p, uint32_t protocol_at, uint32_t header)
{
	emit(p, BPF_LD | BPF_B | BPF_ABS, 0, 0, protocol_at);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, IPPROTO_UDP);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, ETH_HLEN + header + 2);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, VXLAN_UDP_PORT);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, ETH_HLEN + header + INNER_TYPE);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ETH_P_WATCH);
	emit(p, BPF_RET | BPF_K, 0, 0, CLASS_PROBES);
}

/* A best-effort tunnel's frame: its source port says whose it is. header: of the outer network header. Ends with the class of the share. */
static void put_share(struct program *p, uint32_t protocol_at, uint32_t header)
{
	emit(p, BPF_LD | BPF_B | BPF_ABS, 0, 0, protocol_at);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 9, IPPROTO_UDP);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, ETH_HLEN + header + 2);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 7, VXLAN_UDP_PORT);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, ETH_HLEN + header);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 5, SHARE_PORT_FIRST);
	emit(p, BPF_ALU | BPF_SUB | BPF_K, 0, 0, SHARE_PORT_FIRST);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, 0, 0, 2);
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, SHARES - 1);
	emit(p, BPF_ALU | BPF_OR | BPF_K, 0, 0, CLASS_SHARES);
	emit(p, BPF_RET | BPF_A, 0, 0, 0);
	emit(p, BPF_RET | BPF_K, 0, 0, CLASS_REST);
}

/* Returns the class of probes for them and for control, that of its tenant's share for best effort (the outer header's DSCP), that of promises
 * else. A load beyond a frame's end returns 0: the default class, below all promises, as has a share that is not there. */
static void tos_program(struct program *p)
{
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 7, ETH_P_IP);
	put_probe_inside(p, 23, 20);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 7, ETH_P_IPV6);
	put_probe_inside(p, 20, 40);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 2, ETH_P_IP);
	emit(p, BPF_LD | BPF_B | BPF_ABS, 0, 0, 15);
	emit(p, BPF_JMP | BPF_JA, 0, 0, 3);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 6, ETH_P_IPV6);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 14);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, 0, 0, 4);
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xfc);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, TOS_CONTROL);
	emit(p, BPF_RET | BPF_K, 0, 0, CLASS_PROBES);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, TOS_BEST_EFFORT);
	emit(p, BPF_RET | BPF_K, 0, 0, CLASS_PROMISED);
	emit(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 12);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 12, ETH_P_IP);
	put_share(p, 23, 20);
	put_share(p, 20, 40);
}

uint16_t tc_share_of(const char *owner)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (; *owner; owner++)
		h = (h ^ (uint8_t)*owner) * 16777619u;
	return (uint16_t)((h ^ h >> 16) % SHARES);
}

void tc_put_share(struct nl_batch *b, uint32_t ifindex, uint16_t share, int64_t bw_kbps, const char *label)
{
	put_class(b, ifindex, CLASS_SHARES + share, CLASS_BEST_EFFORT, BEST_EFFORT_KBPS < bw_kbps ? BEST_EFFORT_KBPS : bw_kbps, bw_kbps, PRIO_BEST_EFFORT, label);
	nl_tolerate(b, -ENOENT); /* a device that could not be shaped: the log has said so */
	nl_tolerate(b, -EINVAL);
}

void tc_put_underlay(struct nl_batch *b, uint32_t ifindex, int64_t bw_kbps, const char *label)
{
	struct tc_htb_glob glob = { .version = 3, .rate2quantum = 10, .defcls = CLASS_REST & 0xffff };
	begin_qdisc(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_MAKE(1 << 16, 0), label);
	nl_put_str(b, TCA_KIND, "htb");
	nl_nest(b, TCA_OPTIONS);
	nl_put(b, TCA_HTB_INIT, &glob, sizeof(glob));
	nl_nest_end(b);
	nl_tolerate(b, -EEXIST); /* from before a restart: its classes are set anew below, without a gap */
	put_class(b, ifindex, CLASS_ALL, TC_H_MAKE(1 << 16, 0), bw_kbps, bw_kbps, 0, label);
	/* Probes are few, and come on top: a full link is not to look dead. */
	int64_t probes = bw_kbps / PROBES_SHARE > PROBES_KBPS ? bw_kbps / PROBES_SHARE : PROBES_KBPS;
	put_class(b, ifindex, CLASS_PROBES, CLASS_ALL, probes < bw_kbps ? probes : bw_kbps, bw_kbps, 0, label);
	put_class(b, ifindex, CLASS_PROMISED, CLASS_ALL, bw_kbps, bw_kbps, PRIO_PROMISED, label);
	/* HTB serves a class its own rate before any priority counts: so next to nothing. */
	int64_t little = BEST_EFFORT_KBPS < bw_kbps ? BEST_EFFORT_KBPS : bw_kbps;
	put_class(b, ifindex, CLASS_BEST_EFFORT, CLASS_ALL, little, bw_kbps, PRIO_BEST_EFFORT, label);
	put_class(b, ifindex, CLASS_REST, CLASS_BEST_EFFORT, little, bw_kbps, PRIO_BEST_EFFORT, label);
	struct program p = { .n = 0 };
	tos_program(&p);
	begin_filter(b, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, TC_H_MAKE(1 << 16, 0), PRIO_REDIRECT, label);
	nl_put_str(b, TCA_KIND, "bpf");
	nl_nest(b, TCA_OPTIONS);
	put_program(b, &p);
	nl_nest_end(b);
}
