/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Substrate links, between the two underlay addresses that tunnels over them use. Both ends send a small datagram every ROUND_MS that says
 * whether the other is heard; so both know of loss in either direction. A link is down when nothing was heard for DEAD_MS (time in which
 * this process itself did not run is not counted), when the far end says so of us, or at once when the device that has
 * the local address loses its carrier. That nobody listens at the far end (it answers so) is no loss: the link carries. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/nl.h"
#include "base/vec.h"
#include "vnagent/watch/impl.h"

enum {
	ROUND_MS = 100, DEAD_US = 500000, FIRST_US = 3000000 /* until the far end is there at all */, STALL_US = 50000,
	REFUSED_US = 3000000, /* kernels answer so once a second at most */
	RESOLVE_US = 1000000, PORT = 7413, DATAGRAMS_MAX = 16
};
enum { LINK_MAGIC = 0x564e454c, LINK_VERSION = 1, SAYS_HEARD = 1, SAYS_BYE = 2 };

struct datagram {
	uint32_t magic;
	uint8_t version, says;
	uint16_t reserved;
	uint32_t round;
} __attribute__((packed));

struct link {
	struct links *all;
	struct watch_link is;
	int fd;
	struct loop_source *source;
	uint32_t round, device;
	bool carrier;
	int64_t heard_us, far_heard_us;
	bool ever, bye, refused, stays, lingers; /* refused: the last that came says that nobody listens there */
	enum watch_state state;
	char why[WATCH_WHY];
};

struct links {
	struct watcher *w;
	VEC(struct link *) v;
	struct nl *events;
	struct loop_source *tick, *source;
	int64_t ticked_us, resolved_us;
	bool stale; /* which device has which address */
};

/* ---- what it comes to -------------------------------------------------------------------------------------- */
static void tell(struct link *l, bool gone)
{
	struct watch_link_state s = { .state = l->state, .gone = gone };
	err_copy(s.slink, sizeof(s.slink), l->is.slink);
	err_copy(s.why, sizeof(s.why), l->why);
	control_tell_link(l->all->w, &s);
}

static void become(struct link *l, enum watch_state state, const char *why)
{
	if (state == l->state)
		return;
	l->state = state;
	err_copy(l->why, sizeof(l->why), why);
	log_info("link %s: %s%s%s", l->is.slink, state == WATCH_UP ? "up" : "down", *why ? ": " : "", why);
	tell(l, false);
}

static void judge(struct link *l, int64_t now)
{
	char far[ADDR_TEXT], near[ADDR_TEXT], why[WATCH_WHY];
	int64_t limit = l->refused ? REFUSED_US : l->ever ? DEAD_US : FIRST_US;
	addr_host_text(&l->is.remote, far);
	addr_host_text(&l->is.local, near);
	if (!l->carrier) {
		snprintf(why, sizeof(why), l->device ? "the device that has %s has no carrier" : "no device has %s", near);
		become(l, WATCH_DOWN, why);
	} else if (l->bye) {
		return; /* it went on purpose; what the link does nobody knows now */
	} else if (now - l->heard_us >= limit) {
		snprintf(why, sizeof(why), "nothing comes from %s", far);
		become(l, WATCH_DOWN, why);
	} else if (now - l->far_heard_us >= limit) {
		snprintf(why, sizeof(why), "%s hears nothing of what is sent", far);
		become(l, WATCH_DOWN, why);
	} else if (l->ever) {
		become(l, WATCH_UP, "");
	}
}

/* ---- datagrams ----------------------------------------------------------------------------------------------- */
static void say(struct link *l, uint8_t more, int64_t now)
{
	struct datagram d = { .magic = htonl(LINK_MAGIC), .version = LINK_VERSION, .round = htonl(++l->round),
		              .says = (uint8_t)(more | (l->heard_us > 0 && now - l->heard_us < DEAD_US ? SAYS_HEARD : 0)) };
	(void)!send(l->fd, &d, sizeof(d), MSG_DONTWAIT); /* what cannot be sent is not heard */
}

static void heard(struct link *l, bool far_hears, bool bye)
{
	l->heard_us = clock_us();
	if (far_hears) {
		l->far_heard_us = l->heard_us;
		l->ever = true;
	}
	l->bye = bye;
	if (l->state != WATCH_UP)
		judge(l, l->heard_us);
}

static void ready(void *arg, uint32_t events)
{
	struct link *l = arg;
	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		struct datagram d;
		ssize_t n = recv(l->fd, &d, sizeof(d), MSG_DONTWAIT);
		if (n < 0 && errno == ECONNREFUSED) {
			l->refused = true;
			heard(l, true, false); /* it got ours, and we its answer that nobody listens */
		} else if (n < 0 && errno != EINTR) {
			return; /* nothing more, or what its absence will tell */
		} else if (n == sizeof(d) && d.magic == htonl(LINK_MAGIC) && d.version == LINK_VERSION) {
			if (l->refused)
				l->far_heard_us = clock_us(); /* it has just begun: from now on it has the usual time */
			l->refused = false;
			heard(l, d.says & SAYS_HEARD, d.says & SAYS_BYE);
		}
	}
}

static socklen_t address_of(const struct addr *a, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->ss_family = a->family;
	if (a->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
		in6->sin6_port = htons(PORT);
		memcpy(&in6->sin6_addr, a->bytes, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	in->sin_port = htons(PORT);
	memcpy(&in->sin_addr, a->bytes, 4);
	return sizeof(*in);
}

static int open_link(struct link *l, struct err *err)
{
	struct sockaddr_storage local, remote;
	socklen_t local_len = address_of(&l->is.local, &local), remote_len = address_of(&l->is.remote, &remote);
	int on = 1, tos = 0xc0 /* CS6: as routing has it */;
	bool v6 = l->is.local.family == AF_INET6;
	l->fd = socket(l->is.local.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_sys(err, -errno, "link %s: a socket", l->is.slink);
	(void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* several links from one address */
	(void)setsockopt(l->fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)); /* the address may come later, or again */
	(void)setsockopt(l->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos));
	if (bind(l->fd, (struct sockaddr *)&local, local_len) < 0 || connect(l->fd, (struct sockaddr *)&remote, remote_len) < 0)
		return err_sys(err, -errno, "link %s: UDP port %d", l->is.slink, PORT);
	return loop_add_fd(l->all->w->loop, l->fd, EPOLLIN, ready, l, &l->source, err);
}

static void close_link(struct link *l)
{
	loop_remove(l->source);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

/* ---- devices ------------------------------------------------------------------------------------------------ */
static bool has_address(const struct ifaddrs *a, const struct addr *is)
{
	if (!a->ifa_addr || a->ifa_addr->sa_family != is->family)
		return false;
	if (is->family == AF_INET6)
		return !memcmp(&((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr, is->bytes, 16);
	return !memcmp(&((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr, is->bytes, 4);
}

static bool carries(unsigned flags)
{
	return (flags & IFF_UP) && (flags & IFF_RUNNING);
}

static void resolve(struct links *all, int64_t now)
{
	struct ifaddrs *list = NULL;
	all->resolved_us = now;
	if (getifaddrs(&list) < 0)
		return;
	all->stale = false;
	for (size_t i = 0; i < all->v.n; i++) {
		struct link *l = all->v.v[i];
		l->device = 0;
		l->carrier = false;
		for (struct ifaddrs *a = list; a; a = a->ifa_next)
			if (has_address(a, &l->is.local)) {
				l->device = if_nametoindex(a->ifa_name);
				l->carrier = carries(a->ifa_flags);
				break;
			}
	}
	freeifaddrs(list);
}

static int link_event(void *arg, const struct nlmsghdr *m)
{
	struct links *all = arg;
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	if (!head || (m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK) || head->ifi_family != AF_UNSPEC)
		return 0;
	for (size_t i = 0; i < all->v.n; i++) {
		struct link *l = all->v.v[i];
		if (l->device != (uint32_t)head->ifi_index)
			continue;
		l->carrier = m->nlmsg_type == RTM_NEWLINK && carries(head->ifi_flags);
		if (m->nlmsg_type == RTM_DELLINK)
			l->device = 0;
		judge(l, clock_us());
	}
	return 0;
}

static void events_ready(void *arg, uint32_t events)
{
	struct links *all = arg;
	if (nl_events_some(all->events, 256, link_event, all, NULL))
		all->stale = true; /* some were lost */
}

/* ---- by the clock ------------------------------------------------------------------------------------------- */
static void forget_at(struct links *all, size_t i)
{
	tell(all->v.v[i], true);
	close_link(all->v.v[i]);
	all->v.v[i] = all->v.v[--all->v.n];
}

static void tick(void *arg)
{
	struct links *all = arg;
	int64_t now = clock_us(), late = all->ticked_us ? now - all->ticked_us - ROUND_MS * 1000 : 0;
	all->ticked_us = now;
	for (size_t i = 0; i < all->v.n && now - all->resolved_us >= RESOLVE_US; i++)
		all->stale |= !all->v.v[i]->device; /* its address may have come */
	if (all->stale)
		resolve(all, now);
	for (size_t i = 0; i < all->v.n; i++) {
		struct link *l = all->v.v[i];
		ready(l, 0); /* what has come while we were late */
		if (late > STALL_US) {
			l->heard_us += late;
			l->far_heard_us += late;
		}
		judge(l, now);
		say(l, 0, now);
	}
	for (size_t i = all->v.n; i-- > 0;)
		if (all->v.v[i]->lingers && all->v.v[i]->state == WATCH_UP)
			forget_at(all, i);
}

/* ---- what is watched ------------------------------------------------------------------------------------------ */
static void set_one(struct links *all, const struct watch_link *is)
{
	struct err err = { 0 };
	for (size_t i = 0; i < all->v.n; i++)
		if (!strcmp(all->v.v[i]->is.slink, is->slink) && addr_same(&all->v.v[i]->is.local, &is->local) &&
		    addr_same(&all->v.v[i]->is.remote, &is->remote)) {
			all->v.v[i]->stays = true;
			all->v.v[i]->lingers = false;
			return;
		}
	struct link *l = mem_alloc(sizeof(*l));
	l->all = all;
	l->is = *is;
	l->is.slink[sizeof(l->is.slink) - 1] = 0;
	l->stays = l->carrier = true;
	l->heard_us = l->far_heard_us = clock_us();
	if (open_link(l, &err)) {
		log_error("%s", err.text); /* asked for again with the next list */
		close_link(l);
		return;
	}
	*vec_add(&all->v) = l;
	all->stale = true;
	say(l, 0, l->heard_us);
}

void links_set(struct watcher *w, const struct watch_link *v, size_t n)
{
	struct links *all = w->links;
	for (size_t i = 0; i < all->v.n; i++)
		all->v.v[i]->stays = false;
	for (size_t i = 0; i < n; i++)
		set_one(all, &v[i]);
	for (size_t i = all->v.n; i-- > 0;) {
		struct link *l = all->v.v[i];
		if (l->stays)
			continue;
		l->lingers = l->state == WATCH_DOWN; /* somebody wants to know when it can be used again */
		if (!l->lingers) {
			say(l, SAYS_BYE, clock_us());
			forget_at(all, i);
		}
	}
	loop_set_timer(all->tick, all->v.n ? 0 : -1, ROUND_MS);
	all->ticked_us = 0;
}

void links_tell_all(struct watcher *w)
{
	for (size_t i = 0; i < w->links->v.n; i++)
		if (w->links->v.v[i]->state != WATCH_UNKNOWN)
			tell(w->links->v.v[i], false);
}

size_t links_count(const struct watcher *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->links->v.n; i++)
		n += !w->links->v.v[i]->lingers;
	return n;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */
int links_open(struct watcher *w, struct err *err)
{
	struct links *all = mem_alloc(sizeof(*all));
	w->links = all;
	all->w = w;
	int code = nl_open(NETLINK_ROUTE, -1, &all->events, err);
	if (!code)
		code = nl_join(all->events, RTNLGRP_LINK, err);
	if (!code)
		code = loop_add_fd(w->loop, nl_fd(all->events), EPOLLIN, events_ready, all, &all->source, err);
	if (!code)
		code = loop_add_timer(w->loop, -1, ROUND_MS, tick, all, &all->tick, err);
	return code;
}

void links_close(struct watcher *w)
{
	struct links *all = w->links;
	if (!all)
		return;
	for (size_t i = 0; i < all->v.n; i++) {
		say(all->v.v[i], SAYS_BYE, clock_us());
		close_link(all->v.v[i]);
	}
	vec_done(&all->v);
	loop_remove(all->source);
	loop_remove(all->tick);
	nl_close(all->events);
	free(all);
}
