/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages for what is inside; see inside.h. Interfaces are found by their MAC address in a list of all, which is asked for anew each time:
 * there are few, and nothing that somebody did behind our back can mislead us. */
#include "vnagent/guest/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/nl.h"
#include "base/vec.h"
#include "vnagent/guest_wire.h"

enum { LOOPBACK = 1, SETTLE_MS = 10, AGAIN_MS = 200, LINKS_MAX = 1024 };
#define CONTROL_NAME "ctl"

struct link {
	uint32_t ifindex, mtu, flags;
	uint8_t mac[6];
	char name[IFNAMSIZ];
	const char *want; /* name that it should have; NULL: not ours */
	uint32_t want_mtu;
};
struct links {
	VEC(struct link) list;
};

struct inside {
	struct loop *loop;
	struct nl *nl, *events;
	struct nl_batch *batch;
	struct loop_source *source, *timer;
	void (*control)(void *arg, uint32_t ifindex);
	void *arg;
	struct guest_setup setup;
	struct links known; /* as of the last look; a link that is not in it is news */
	uint32_t control_ifindex;
};

/* ---- links ----------------------------------------------------------------------------- */
static int each_link(void *arg, const struct nlmsghdr *m)
{
	struct links *links = arg;
	const struct nlattr *table[IFLA_MAX + 1] = { 0 };
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	if (!head || m->nlmsg_type != RTM_NEWLINK || links->list.n == LINKS_MAX)
		return 0;
	nl_parse(m, sizeof(*head), table, IFLA_MAX);
	const void *mac = nl_data(table[IFLA_ADDRESS], 6);
	struct link link = { .ifindex = (uint32_t)head->ifi_index, .mtu = nl_u32(table[IFLA_MTU]), .flags = head->ifi_flags };
	if (mac)
		memcpy(link.mac, mac, 6);
	snprintf(link.name, sizeof(link.name), "%s", nl_str(table[IFLA_IFNAME]));
	*vec_add(&links->list) = link;
	return 0;
}

static int list_links(struct inside *in, struct err *err)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	int code = -EINTR;
	for (int attempt = 0; code == -EINTR && attempt < 8; attempt++) {
		in->known.list.n = 0;
		nl_begin(in->batch, RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head));
		code = nl_dump(in->nl, in->batch, each_link, &in->known, err);
	}
	return code ? err_add(err, code, "interfaces") : 0;
}

static struct link *link_named(struct inside *in, const char *name)
{
	for (size_t i = 0; i < in->known.list.n; i++)
		if (!strcmp(in->known.list.v[i].name, name))
			return &in->known.list.v[i];
	return NULL;
}

static struct link *link_of_port(struct inside *in, const struct guest_port *port)
{
	for (size_t i = 0; i < in->known.list.n; i++)
		if (in->known.list.v[i].ifindex != LOOPBACK && !memcmp(in->known.list.v[i].mac, port->mac, 6))
			return &in->known.list.v[i];
	return NULL;
}

/* Which links are ours, and their names. */
static void want_names(struct inside *in, const struct guest_setup *now)
{
	for (size_t i = 0; i < in->known.list.n; i++) {
		struct link *link = &in->known.list.v[i];
		link->want = NULL;
		if (link->ifindex != LOOPBACK && !memcmp(link->mac, GUEST_CONTROL_MAC, 6))
			link->want = CONTROL_NAME;
	}
	for (size_t i = 0; i < now->n_ports; i++) {
		struct link *link = link_of_port(in, &now->ports[i]);
		if (link) {
			link->want = now->ports[i].ifname;
			link->want_mtu = now->ports[i].mtu;
		}
	}
}

static void put_flags(struct inside *in, uint32_t ifindex, unsigned flags, const char *what)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_flags = flags, .ifi_change = IFF_UP };
	nl_begin(in->batch, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(in->batch, "%s", what);
}

static void put_rename(struct inside *in, struct link *link, const char *name)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)link->ifindex };
	if (link->flags & IFF_UP)
		put_flags(in, link->ifindex, 0, link->name);
	link->flags &= ~(unsigned)IFF_UP;
	nl_begin(in->batch, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(in->batch, "%s: renaming to %s", link->name, name);
	nl_put_str(in->batch, IFLA_IFNAME, name);
	snprintf(link->name, sizeof(link->name), "%.15s", name);
}

/* Names may go round in a circle (the kernel counts eth0, eth1 … in the order of devices), so whoever stands where another should be
 * steps aside first. */
static void put_names(struct inside *in)
{
	char aside[IFNAMSIZ];
	for (size_t i = 0; i < in->known.list.n; i++) {
		struct link *link = &in->known.list.v[i];
		struct link *other = link->want && strcmp(link->want, link->name) ? link_named(in, link->want) : NULL;
		if (!other)
			continue;
		snprintf(aside, sizeof(aside), "aside%u", other->ifindex);
		put_rename(in, other, aside);
	}
	for (size_t i = 0; i < in->known.list.n; i++) {
		struct link *link = &in->known.list.v[i];
		if (link->want && strcmp(link->want, link->name))
			put_rename(in, link, link->want);
	}
}

/* ---- addresses and routes ------------------------------------------------------------------ */
static uint8_t bytes_of(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

static bool same(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->prefix == b->prefix && !memcmp(a->bytes, b->bytes, bytes_of(a));
}

static void put_address(struct inside *in, bool add, uint32_t ifindex, const struct addr *a)
{
	char text[ADDR_TEXT];
	struct ifaddrmsg head = { .ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_index = ifindex };
	if (!a->family)
		return;
	if (a->family == AF_INET6)
		head.ifa_flags = IFA_F_NODAD;
	nl_begin(in->batch, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &head, sizeof(head));
	nl_label(in->batch, "address %s", addr_text(a, text));
	nl_put(in->batch, IFA_LOCAL, a->bytes, bytes_of(a));
	nl_put(in->batch, IFA_ADDRESS, a->bytes, bytes_of(a));
	if (add)
		return;
	nl_tolerate(in->batch, -EADDRNOTAVAIL);
	nl_tolerate(in->batch, -ENODEV);
}

static void put_route(struct inside *in, bool add, const struct guest_route *route)
{
	char text[ADDR_TEXT];
	struct link *link = link_named(in, route->ifname);
	struct addr to;
	if (!link) /* not there yet, or not any more: then its routes are gone, too */
		return;
	addr_network(&route->to, &to);
	struct rtmsg head = { .rtm_family = to.family, .rtm_dst_len = to.prefix, .rtm_table = RT_TABLE_MAIN,
		              .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	nl_begin(in->batch, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &head, sizeof(head));
	nl_label(in->batch, "route to %s", addr_text(&to, text));
	nl_put(in->batch, RTA_DST, to.bytes, bytes_of(&to));
	nl_put_u32(in->batch, RTA_OIF, link->ifindex);
	nl_put(in->batch, RTA_GATEWAY, route->via.bytes, bytes_of(&route->via));
	if (add && route->source.family)
		nl_put(in->batch, RTA_PREFSRC, route->source.bytes, bytes_of(&route->source));
	if (add)
		return;
	nl_tolerate(in->batch, -ESRCH);
	nl_tolerate(in->batch, -ENODEV);
}

/* Takes back what `old` set and `now` has not. IPv6 would take a second route to the same place for a further path: one whose next hop
 * or interface is another goes first. Both lists come in one order from one writer, so the search begins where the last ended. */
static void put_stale(struct inside *in, const struct guest_setup *old, const struct guest_setup *now)
{
	size_t at = 0;
	for (size_t i = 0; i < old->n_routes; i++) {
		const struct guest_route *was = &old->routes[i];
		bool stays = false;
		for (size_t n = 0; n < now->n_routes && !stays; n++, at++) {
			const struct guest_route *is = &now->routes[at % now->n_routes];
			stays = same(&was->to, &is->to) && (was->to.family == AF_INET || (same(&was->via, &is->via) && !strcmp(was->ifname, is->ifname)));
		}
		if (!stays)
			put_route(in, false, was);
	}
	for (size_t i = 0; i < old->n_loopbacks; i++) {
		bool stays = false;
		for (size_t j = 0; j < now->n_loopbacks && !stays; j++)
			stays = same(&old->loopbacks[i], &now->loopbacks[j]);
		if (!stays)
			put_address(in, false, LOOPBACK, &old->loopbacks[i]);
	}
	for (size_t i = 0; i < old->n_ports; i++) {
		const struct guest_port *was = &old->ports[i], *is = NULL;
		struct link *link = link_of_port(in, was);
		for (size_t j = 0; j < now->n_ports && !is; j++)
			if (!memcmp(now->ports[j].mac, was->mac, 6))
				is = &now->ports[j];
		if (!link || (is && same(&is->address, &was->address)))
			continue;
		put_address(in, false, link->ifindex, &was->address);
		if (!is)
			put_flags(in, link->ifindex, 0, link->name);
	}
}

static void put_ports(struct inside *in, const struct guest_setup *now)
{
	for (size_t i = 0; i < now->n_ports; i++) {
		struct link *link = link_of_port(in, &now->ports[i]);
		if (!link)
			continue;
		struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)link->ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
		nl_begin(in->batch, RTM_NEWLINK, 0, &head, sizeof(head));
		nl_label(in->batch, "%s", link->name);
		if (link->mtu != link->want_mtu)
			nl_put_u32(in->batch, IFLA_MTU, link->want_mtu);
		put_address(in, true, link->ifindex, &now->ports[i].address);
	}
}

/* ---- the control interface ---------------------------------------------------------------------- */
static int write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));
	int code = n < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

/* Nothing on it but our address: no automatic one, no advertised routes, nothing forwarded. */
static int set_control(struct inside *in, struct err *err)
{
	static const struct addr ours = { .family = AF_INET6, .prefix = 64, .bytes = { 0xfe, 0x80, [15] = 2 } };
	struct link *link = link_named(in, CONTROL_NAME);
	if (!link || link->ifindex == in->control_ifindex || memcmp(link->mac, GUEST_CONTROL_MAC, 6))
		return 0;
	(void)write_sysctl("/proc/sys/net/ipv6/conf/" CONTROL_NAME "/addr_gen_mode", "1");
	(void)write_sysctl("/proc/sys/net/ipv6/conf/" CONTROL_NAME "/accept_ra", "0");
	(void)write_sysctl("/proc/sys/net/ipv6/conf/" CONTROL_NAME "/forwarding", "0");
	put_flags(in, link->ifindex, IFF_UP, CONTROL_NAME);
	put_address(in, true, link->ifindex, &ours);
	int code = nl_send(in->nl, in->batch, NULL, err);
	if (code)
		return err_add(err, code, "control interface");
	in->control_ifindex = link->ifindex;
	in->control(in->arg, link->ifindex);
	return 0;
}

/* ---- applying ---------------------------------------------------------------------------------- */
static int change(struct inside *in, const struct guest_setup *old, const struct guest_setup *now, struct err *err)
{
	int code = list_links(in, err);
	if (code)
		return code;
	want_names(in, now);
	put_stale(in, old, now);
	put_names(in);
	code = nl_send(in->nl, in->batch, NULL, err);
	if (code)
		return code;
	code = set_control(in, err);
	if (code)
		return code;
	put_flags(in, LOOPBACK, IFF_UP, "lo");
	for (size_t i = 0; i < now->n_loopbacks; i++)
		put_address(in, true, LOOPBACK, &now->loopbacks[i]);
	put_ports(in, now);
	for (size_t i = 0; i < now->n_routes; i++)
		put_route(in, true, &now->routes[i]);
	return nl_send(in->nl, in->batch, NULL, err);
}

int inside_apply(struct inside *in, struct guest_setup *setup, struct err *err)
{
	struct guest_setup now = *setup;
	*setup = (struct guest_setup){ 0 };
	int code = change(in, &in->setup, &now, err);
	if (code) {
		struct err again = { 0 };
		if (change(in, &now, &in->setup, &again))
			log_warn("going back to the setup before: %s", again.text);
		guest_setup_done(&now);
		return code;
	}
	if (now.name[0] && strcmp(now.name, in->setup.name) && sethostname(now.name, strlen(now.name)) < 0)
		log_warn("host name: %s", strerror(errno));
	guest_setup_done(&in->setup);
	in->setup = now;
	return 0;
}

const char *inside_name(const struct inside *in)
{
	return in->setup.name;
}

const char *inside_bird(const struct inside *in)
{
	return in->setup.bird;
}

/* ---- links that come and go ------------------------------------------------------------------------ */
static void settle(void *arg)
{
	struct inside *in = arg;
	struct err err = { 0 };
	if (change(in, &in->setup, &in->setup, &err)) {
		log_warn("%s", err.text);
		loop_set_timer(in->timer, AGAIN_MS, 0);
	}
}

static int each_event(void *arg, const struct nlmsghdr *m)
{
	struct inside *in = arg;
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	if (!head || (m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK))
		return 0;
	for (size_t i = 0; i < in->known.list.n; i++) {
		if (in->known.list.v[i].ifindex != (uint32_t)head->ifi_index)
			continue;
		if (m->nlmsg_type == RTM_DELLINK) {
			in->known.list.v[i] = in->known.list.v[--in->known.list.n];
			if (in->control_ifindex == (uint32_t)head->ifi_index)
				in->control_ifindex = 0;
		}
		return 0;
	}
	if (m->nlmsg_type == RTM_NEWLINK)
		loop_set_timer(in->timer, SETTLE_MS, 0);
	return 0;
}

static void events_ready(void *arg, uint32_t events)
{
	struct inside *in = arg;
	struct err err = { 0 };
	int code = nl_events(in->events, each_event, in, &err);
	if (code) /* some were lost: look at all */
		loop_set_timer(in->timer, SETTLE_MS, 0);
}

static void set_defaults(void)
{
	static const char *const sysctls[][2] = {
		{ "/proc/sys/net/ipv4/ip_forward", "1" },
		{ "/proc/sys/net/ipv4/conf/all/rp_filter", "0" },
		{ "/proc/sys/net/ipv4/conf/default/rp_filter", "0" },
		{ "/proc/sys/net/ipv4/conf/all/send_redirects", "0" },
		{ "/proc/sys/net/ipv4/conf/default/send_redirects", "0" },
		{ "/proc/sys/net/ipv4/ping_group_range", "0 65535" },
		{ "/proc/sys/net/ipv6/conf/default/accept_dad", "0" },
		{ "/proc/sys/net/ipv6/conf/default/router_solicitations", "0" },
		{ "/proc/sys/net/ipv6/conf/all/forwarding", "1" },
	};
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++) {
		int code = write_sysctl(sysctls[i][0], sysctls[i][1]);
		if (code)
			log_warn("%s: %s", sysctls[i][0], strerror(-code));
	}
}

int inside_open(struct loop *loop, void (*control)(void *arg, uint32_t ifindex), void *arg, struct inside **ret, struct err *err)
{
	struct inside *in = mem_alloc(sizeof(*in));
	*in = (struct inside){ .loop = loop, .control = control, .arg = arg, .batch = nl_batch_new() };
	set_defaults();
	int code = nl_open(NETLINK_ROUTE, -1, &in->nl, err);
	if (!code)
		code = nl_open(NETLINK_ROUTE, -1, &in->events, err);
	if (!code)
		code = nl_join(in->events, RTNLGRP_LINK, err);
	if (!code)
		code = loop_add_fd(loop, nl_fd(in->events), EPOLLIN, events_ready, in, &in->source, err);
	if (!code)
		code = loop_add_timer(loop, 0, 0, settle, in, &in->timer, err);
	if (code) {
		inside_close(in);
		return code;
	}
	*ret = in;
	return 0;
}

void inside_close(struct inside *in)
{
	if (!in)
		return;
	loop_remove(in->source);
	loop_remove(in->timer);
	nl_close(in->nl);
	nl_close(in->events);
	nl_batch_free(in->batch);
	free(in->known.list.v);
	guest_setup_done(&in->setup);
	free(in);
}
