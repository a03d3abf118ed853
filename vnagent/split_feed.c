/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a router's kernel tells, and what it means for its plane; see split_impl.h. It is a tenant's word (they are root inside):
 * bounded, and whatever is not understood makes the router forward by itself, never somebody else's packets go astray. */
#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/split_impl.h"

enum { KEY = 48, LOWER_UP = 1 << 16, RULE_LOCAL = 0, RULE_MAIN = 32766, RULE_DEFAULT = 32767 };

void split_feed_lost(struct split_router *r)
{
	r->doubt = true;
	r->doubt_again |= r->telling;
	split_source_ask(r->source);
	split_router_update(r);
}

/* ---- neighbours -------------------------------------------------------------------------------- */
static const char *neighbour_key(uint32_t inner, const struct addr *a, char key[static KEY])
{
	size_t n = (size_t)snprintf(key, KEY, "%x.", inner), len = a->family == AF_INET6 ? 16 : 4;
	for (size_t i = 0; i < len; i++)
		n += (size_t)snprintf(key + n, KEY - n, "%02x", a->bytes[i]);
	return key;
}

static void forget_neighbour(struct split_router *r, struct split_neighbour *n)
{
	char key[KEY];
	if (n->slot)
		split_bpf_forget_neighbour(r->split->bpf, n->slot, &n->address);
	(void)hash_del(r->neighbours, neighbour_key(n->inner, &n->address, key));
	free(n);
}

static void put_neighbour(struct split_router *r, uint32_t inner, const struct addr *a, const uint8_t *mac, bool stale)
{
	char key[KEY];
	struct split_neighbour *n = hash_get(r->neighbours, neighbour_key(inner, a, key));
	const struct split_port_state *port = split_port_inside(r, inner);
	if (!n) {
		if (!port || hash_count(r->neighbours) >= SPLIT_ROUTER_NEIGHBOURS)
			return; /* packets to it enter the router */
		n = mem_alloc(sizeof(*n));
		*n = (struct split_neighbour){ .inner = inner, .address = *a };
		(void)hash_put(r->neighbours, key, n);
	}
	n->epoch = r->epoch;
	n->stale = stale;
	if (port && (n->slot != port->slot || memcmp(n->mac, mac, sizeof(n->mac)))) {
		n->slot = split_bpf_neighbour(r->split->bpf, port->slot, a, mac) ? 0 : port->slot;
		memcpy(n->mac, mac, sizeof(n->mac));
	}
}

static void feed_neighbour(struct split_router *r, const struct nlmsghdr *m)
{
	enum { KNOWN = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT };
	const struct ndmsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[NDA_MAX + 1] = { 0 };
	struct addr a = { 0 };
	char key[KEY];
	if (!head || (head->ndm_family != AF_INET && head->ndm_family != AF_INET6) || (head->ndm_flags & NTF_PROXY))
		return;
	nl_parse(m, sizeof(*head), table, NDA_MAX);
	size_t len = head->ndm_family == AF_INET6 ? 16 : 4;
	const void *to = nl_data(table[NDA_DST], len), *mac = nl_data(table[NDA_LLADDR], 6);
	if (!to)
		return;
	a.family = head->ndm_family;
	a.prefix = (uint8_t)(len * 8);
	memcpy(a.bytes, to, len);
	if (m->nlmsg_type == RTM_NEWNEIGH && (head->ndm_state & KNOWN) && mac && !(*(const uint8_t *)mac & 1)) {
		put_neighbour(r, (uint32_t)head->ndm_ifindex, &a, mac, head->ndm_state & NUD_STALE);
		return;
	}
	struct split_neighbour *n = hash_get(r->neighbours, neighbour_key((uint32_t)head->ndm_ifindex, &a, key));
	if (n)
		forget_neighbour(r, n);
}

/* The interface of a port that is known by its MAC address only. */
static void know_inner(struct split_router *r, const struct nlmsghdr *m, uint32_t inner, const void *mac)
{
	for (size_t i = 0; i < r->ports.n; i++) {
		struct split_port_state *p = &r->ports.v[i];
		if (p->spec.inner)
			continue;
		if (m->nlmsg_type == RTM_DELLINK && p->inner == inner) {
			p->up = false;
			p->inner = 0;
			split_feed_lost(r);
		} else if (m->nlmsg_type == RTM_NEWLINK && mac && p->inner != inner && !memcmp(p->spec.mac, mac, sizeof(p->spec.mac))) {
			p->inner = inner;
			r->anew = true; /* routes by it were laid down as leading into the router */
			if (!r->telling)
				split_source_ask(r->source);
		}
	}
}

/* ---- links, addresses, forwarding ------------------------------------------------------------- */
static void feed_link(struct split_router *r, const struct nlmsghdr *m)
{
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[IFLA_MAX + 1] = { 0 };
	if (!head || head->ifi_family != AF_UNSPEC)
		return;
	nl_parse(m, sizeof(*head), table, IFLA_MAX);
	const void *mac = nl_data(table[IFLA_ADDRESS], 6);
	know_inner(r, m, (uint32_t)head->ifi_index, mac);
	struct split_port_state *p = split_port_inside(r, (uint32_t)head->ifi_index);
	bool up = m->nlmsg_type == RTM_NEWLINK && (head->ifi_flags & IFF_UP) && (head->ifi_flags & LOWER_UP);
	if (!p) {
		if (!r->telling && !up)
			split_source_ask(r->source); /* what went with it leads into the router, which is no harm */
		return;
	}
	bool was_up = p->told && p->up;
	p->told = true;
	p->up = up && mac;
	p->enslaved = nl_u32(table[IFLA_MASTER]);
	p->mtu = nl_u32(table[IFLA_MTU]);
	if (mac)
		memcpy(p->mac, mac, sizeof(p->mac));
	if (was_up && !p->up)
		split_feed_lost(r); /* its routes of IPv4 go in silence */
	else
		split_router_update(r);
}

static void feed_address(struct split_router *r, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *head = nl_head(m, sizeof(*head));
	if (head && head->ifa_family == AF_INET)
		split_feed_lost(r); /* routes that had it as source go in silence */
}

static void feed_netconf(struct split_router *r, const struct nlmsghdr *m)
{
	const struct netconfmsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[NETCONFA_MAX + 1] = { 0 };
	if (!head)
		return;
	nl_parse(m, NLMSG_ALIGN(sizeof(*head)), table, NETCONFA_MAX);
	if (!nl_data(table[NETCONFA_FORWARDING], 4) || !nl_data(table[NETCONFA_IFINDEX], 4))
		return;
	bool forwards = nl_u32(table[NETCONFA_FORWARDING]);
	int32_t device = (int32_t)nl_u32(table[NETCONFA_IFINDEX]);
	struct split_port_state *p = head->ncm_family == AF_INET ? split_port_inside(r, (uint32_t)device) : NULL;
	if (p)
		p->forwards4 = forwards;
	else if (head->ncm_family == AF_INET6 && device == NETCONFA_IFINDEX_ALL)
		r->forwards6 = forwards;
	else
		return;
	split_router_update(r);
}

/* Any rule but those that every kernel has: which table counts depends on more than the destination. */
static void feed_rule(struct split_router *r, const struct nlmsghdr *m)
{
	const struct fib_rule_hdr *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[FRA_MAX + 1] = { 0 };
	if (!head || (head->family != AF_INET && head->family != AF_INET6))
		return;
	if (!(m->nlmsg_flags & NLM_F_MULTI)) {
		split_feed_lost(r);
		return;
	}
	nl_parse(m, sizeof(*head), table, FRA_MAX);
	uint32_t priority = nl_u32(table[FRA_PRIORITY]), to = table[FRA_TABLE] ? nl_u32(table[FRA_TABLE]) : head->table;
	bool plain = head->action == FR_ACT_TO_TBL && !head->src_len && !head->dst_len && !head->tos && !head->flags && !table[FRA_FWMARK] &&
	             !table[FRA_IIFNAME] && !table[FRA_OIFNAME] && !table[FRA_TUN_ID] && !table[FRA_L3MDEV] && !table[FRA_UID_RANGE] &&
	             !table[FRA_IP_PROTO] && !table[FRA_SPORT_RANGE] && !table[FRA_DPORT_RANGE];
	bool usual = plain && ((priority == RULE_LOCAL && to == RT_TABLE_LOCAL) || (priority == RULE_MAIN && to == RT_TABLE_MAIN));
	if (usual)
		r->plain_rules_now[head->family == AF_INET6]++;
	else if (!plain || priority != RULE_DEFAULT || to != RT_TABLE_DEFAULT)
		r->odd_rules_now[head->family == AF_INET6]++;
}

/* ---- routes ------------------------------------------------------------------------------------ */
/* One way for all, as far as the kernel would say so. */
static bool is_plain(const struct rtmsg *head, const struct nlattr *const *table)
{
	const struct nlattr *metrics[RTAX_MAX + 1] = { 0 };
	if (head->rtm_type != RTN_UNICAST || head->rtm_src_len || (head->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) ||
	    !nl_data(table[RTA_OIF], 4) || table[RTA_MULTIPATH] || table[RTA_ENCAP] || table[RTA_NH_ID] || table[RTA_VIA])
		return false;
	nl_parse_nested(table[RTA_METRICS], metrics, RTAX_MAX);
	return !metrics[RTAX_MTU];
}

static bool read_route(const struct nlmsghdr *m, struct split_told *ret)
{
	const struct rtmsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[RTA_MAX + 1] = { 0 };
	*ret = (struct split_told){ 0 };
	if (!head || (head->rtm_family != AF_INET && head->rtm_family != AF_INET6) || (head->rtm_flags & RTM_F_CLONED))
		return false;
	nl_parse(m, sizeof(*head), table, RTA_MAX);
	uint32_t in = table[RTA_TABLE] ? nl_u32(table[RTA_TABLE]) : head->rtm_table;
	uint8_t len = head->rtm_family == AF_INET6 ? 16 : 4;
	const void *to = nl_data(table[RTA_DST], len), *via = nl_data(table[RTA_GATEWAY], len);
	if ((in != RT_TABLE_MAIN && in != RT_TABLE_LOCAL) || head->rtm_dst_len > len * 8 || (head->rtm_dst_len && !to))
		return false;
	struct addr a = { .family = head->rtm_family, .prefix = head->rtm_dst_len };
	if (to)
		memcpy(a.bytes, to, len);
	addr_network(&a, &ret->to);
	ret->local = in == RT_TABLE_LOCAL;
	ret->tos = head->rtm_tos;
	ret->metric = nl_u32(table[RTA_PRIORITY]);
	ret->replaces = m->nlmsg_flags & NLM_F_REPLACE;
	ret->dumped = m->nlmsg_flags & NLM_F_MULTI;
	if (ret->local || !is_plain(head, table))
		return true;
	ret->hop.device = nl_u32(table[RTA_OIF]);
	if (via)
		memcpy(ret->hop.via, via, len);
	return true;
}

static void feed_route(struct split_router *r, const struct nlmsghdr *m)
{
	struct split_told told;
	bool full = split_table_full(r->table), odd = split_table_odd(r->table);
	if (!read_route(m, &told))
		return;
	if (m->nlmsg_type == RTM_NEWROUTE)
		split_table_put(r->table, &told);
	else if (!split_table_del(r->table, &told))
		split_source_ask(r->source); /* that prefix leads into the router until then */
	if (full != split_table_full(r->table) || odd != split_table_odd(r->table))
		split_router_update(r);
}

/* ---- all of it ------------------------------------------------------------------------------------ */
void split_feed(struct split_router *r, const struct nlmsghdr *m)
{
	switch (m->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		feed_route(r, m);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		feed_neighbour(r, m);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		feed_link(r, m);
		break;
	case RTM_DELADDR:
		feed_address(r, m);
		break;
	case RTM_NEWNETCONF:
		feed_netconf(r, m);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		feed_rule(r, m);
		break;
	}
}

void split_feed_begin(struct split_router *r)
{
	r->telling = true;
	r->doubt_again = false;
	r->epoch++;
	memset(r->odd_rules_now, 0, sizeof(r->odd_rules_now));
	memset(r->plain_rules_now, 0, sizeof(r->plain_rules_now));
	split_table_begin(r->table, r->anew);
	r->anew = false;
}

struct sweeping {
	struct split_router *r;
	VEC(struct split_neighbour *) gone;
};

static void sweep_neighbour(void *value, void *arg)
{
	struct split_neighbour *n = value;
	struct sweeping *s = arg;
	if (n->epoch != s->r->epoch)
		*vec_add(&s->gone) = n;
}

void split_feed_end(struct split_router *r)
{
	struct sweeping s = { .r = r };
	hash_each(r->neighbours, sweep_neighbour, &s);
	for (size_t i = 0; i < s.gone.n; i++)
		forget_neighbour(r, s.gone.v[i]);
	vec_done(&s.gone);
	split_table_end(r->table);
	memcpy(r->odd_rules, r->odd_rules_now, sizeof(r->odd_rules));
	memcpy(r->plain_rules, r->plain_rules_now, sizeof(r->plain_rules));
	r->telling = false;
	r->doubt = r->doubt_again;
	r->synced = true;
	split_router_update(r);
}

struct forgetting {
	struct split_router *r;
	uint32_t slot;
};

static void forget_at(void *value, void *arg)
{
	struct split_neighbour *n = value;
	struct forgetting *f = arg;
	if (n->slot != f->slot)
		return;
	split_bpf_forget_neighbour(f->r->split->bpf, n->slot, &n->address);
	n->slot = 0;
}

void split_feed_forget_port(struct split_router *r, uint32_t slot)
{
	hash_each(r->neighbours, forget_at, &(struct forgetting){ r, slot });
}

static void bury_neighbour(void *value, void *arg)
{
	struct split_neighbour *n = value;
	struct split_router *r = arg;
	if (n->slot)
		*vec_add(&r->split->graves) = (struct grave){ r->number, n->slot, n->address };
}

static void bury_route(void *arg, const struct addr *to)
{
	struct split_router *r = arg;
	*vec_add(&r->split->graves) = (struct grave){ .router = r->number, .address = *to };
}

void split_feed_close(struct split_router *r)
{
	hash_each(r->neighbours, bury_neighbour, r);
	split_table_each(r->table, bury_route, r);
	hash_free(r->neighbours, free);
	split_table_free(r->table);
}
