/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a router's kernel is heard: by a netlink socket opened inside of a namespace, or handed through by a guest. News and answers come by one socket, so in order.
 * What was asked is asked one question after the other, each answered in pieces between which the loop serves others. A tenant
 * who makes us ask all the time (by interfaces that flap) finds that it costs a tenth of our time at most. */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/split_impl.h"

enum { SLICE = 256, RARER = 10, PAUSE_MS = 10, RETRY_MS = 1000 };

struct split_source {
	struct split_router *router;
	struct nl *nl;      /* NULL: the guest is not connected now */
	bool guest;
	struct nl_batch *batch;
	struct loop_source *events, *timer;
	size_t question;    /* that is being answered */
	uint32_t sequence;
	bool asking, again; /* everything is being told; and shall be once more */
	bool interrupted;   /* this answer is no picture of one moment */
	int64_t began_us, not_before_ms;
};

/* Links first: routes and neighbours mean them. */
static const struct {
	uint16_t type;
	uint8_t family, head;
} questions[] = {
	{ RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg) }, { RTM_GETNETCONF, AF_INET, sizeof(struct netconfmsg) },
	{ RTM_GETNETCONF, AF_INET6, sizeof(struct netconfmsg) }, { RTM_GETRULE, AF_INET, sizeof(struct fib_rule_hdr) },
	{ RTM_GETRULE, AF_INET6, sizeof(struct fib_rule_hdr) }, { RTM_GETNEIGH, AF_INET, sizeof(struct ndmsg) },
	{ RTM_GETNEIGH, AF_INET6, sizeof(struct ndmsg) }, { RTM_GETROUTE, AF_INET, sizeof(struct rtmsg) },
	{ RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg) },
};

static void retry(struct split_source *s, int64_t in_ms)
{
	s->asking = false;
	s->again = true;
	s->router->telling = false;
	loop_set_timer(s->timer, in_ms, 0);
}

static void ask(struct split_source *s)
{
	char head[sizeof(struct ifinfomsg)] = { (char)questions[s->question].family }; /* the longest; the family comes first in all */
	struct err err = { 0 };
	s->interrupted = false;
	if (!s->nl) {
		retry(s, RETRY_MS);
		return;
	}
	nl_begin(s->batch, questions[s->question].type, NLM_F_DUMP, head, questions[s->question].head);
	if (nl_ask(s->nl, s->batch, &s->sequence, &err))
		retry(s, RETRY_MS);
}

static void begin(struct split_source *s)
{
	s->asking = true;
	s->again = false;
	s->question = 0;
	s->began_us = clock_us();
	split_feed_begin(s->router);
	ask(s);
}

static void end(struct split_source *s)
{
	int64_t took_ms = (clock_us() - s->began_us) / 1000;
	s->asking = false;
	s->not_before_ms = clock_ms() + PAUSE_MS + RARER * took_ms;
	split_feed_end(s->router);
	if (s->again)
		loop_set_timer(s->timer, s->not_before_ms - clock_ms(), 0);
}

static int connect_guest(struct split_source *s, struct err *err);

static void due(void *arg)
{
	struct split_source *s = arg;
	struct err err = { 0 };
	if (!s->nl && connect_guest(s, &err))
		loop_set_timer(s->timer, RETRY_MS, 0);
	else if (!s->asking && s->again)
		begin(s);
}

void split_source_ask(struct split_source *s)
{
	int64_t now = clock_ms();
	if (s->again)
		return;
	s->again = true;
	if (!s->asking)
		loop_set_timer(s->timer, s->not_before_ms > now ? s->not_before_ms - now : 0, 0);
}

/* An answer's end. What has no IPv6 has nothing to say of it. */
static void answered(struct split_source *s, int code)
{
	if (code && (questions[s->question].family != AF_INET6 || (code != -EAFNOSUPPORT && code != -EOPNOTSUPP))) {
		retry(s, RETRY_MS);
		return;
	}
	if (s->interrupted)
		split_feed_lost(s->router); /* asked again once this is over: by then it may be calmer */
	if (++s->question < ARRAY_LEN(questions))
		ask(s);
	else
		end(s);
}

static int heard(void *arg, const struct nlmsghdr *m)
{
	struct split_source *s = arg;
	bool ours = s->asking && m->nlmsg_seq == s->sequence;
	if (ours && (m->nlmsg_flags & NLM_F_DUMP_INTR))
		s->interrupted = true;
	if (m->nlmsg_type == NLMSG_OVERRUN) {
		split_feed_lost(s->router); /* the guest could not hand on all news */
	} else if (m->nlmsg_type == NLMSG_DONE && ours) {
		answered(s, 0);
	} else if (m->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = nl_head(m, sizeof(*e));
		if (e && ours)
			answered(s, e->error);
	} else {
		split_feed(s->router, m);
	}
	return 0;
}

static void ready(void *arg, uint32_t events)
{
	struct split_source *s = arg;
	struct err err = { 0 };
	int code = nl_events_some(s->nl, SLICE, heard, s, &err);
	if (code && s->guest) { /* gone, for now or for ever: out of the plane until it is heard again */
		loop_remove(s->events);
		s->events = NULL;
		nl_close(s->nl);
		s->nl = NULL;
		s->asking = s->again = s->router->telling = false;
	}
	if (code)
		split_feed_lost(s->router); /* -ENOBUFS: news came faster than we read them */
}

static int connect_guest(struct split_source *s, struct err *err)
{
	const struct split_options *o = &s->router->split->options;
	int fd, code = o->connect ? o->connect(o->arg, s->router->key, &fd, err) : err_set(err, -EOPNOTSUPP, "there are no guests here");
	if (code)
		return code;
	s->nl = nl_open_stream(fd);
	code = loop_add_fd(o->loop, fd, EPOLLIN, ready, s, &s->events, err);
	if (code) {
		nl_close(s->nl);
		s->nl = NULL;
	}
	return code;
}

static int open_netns(struct split_source *s, int netns, struct err *err)
{
	static const unsigned groups[] = { RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		                           RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE };
	int code = nl_open(NETLINK_ROUTE, netns, &s->nl, err);
	for (size_t i = 0; !code && i < ARRAY_LEN(groups); i++)
		code = nl_join(s->nl, groups[i], err);
	return code ? code : loop_add_fd(s->router->split->options.loop, nl_fd(s->nl), EPOLLIN, ready, s, &s->events, err);
}

void split_source_probe(struct split_source *s, const struct split_neighbour *n)
{
	if (!s->nl)
		return;
	struct ndmsg head = { .ndm_family = n->address.family, .ndm_ifindex = (int)n->inner, .ndm_flags = NTF_USE };
	struct err err = { 0 };
	nl_begin(s->batch, RTM_NEWNEIGH, 0, &head, sizeof(head));
	nl_put(s->batch, NDA_DST, n->address.bytes, n->address.family == AF_INET6 ? 16 : 4);
	(void)!nl_ask(s->nl, s->batch, NULL, &err); /* its kernel will notice by itself in time */
}

int split_source_open(struct split_router *r, int netns, struct err *err)
{
	struct split_source *s = mem_alloc(sizeof(*s));
	s->router = r;
	s->guest = netns < 0;
	s->batch = nl_batch_new();
	int code = loop_add_timer(r->split->options.loop, s->guest ? 0 : -1, 0, due, s, &s->timer, err);
	if (!code && !s->guest)
		code = open_netns(s, netns, err);
	if (code) {
		split_source_close(s);
		return err_add(err, code, "listening to a router's routes");
	}
	r->source = s;
	if (s->guest)
		s->again = true; /* as soon as it is connected */
	else
		begin(s);
	return 0;
}

void split_source_close(struct split_source *s)
{
	if (!s)
		return;
	loop_remove(s->events);
	loop_remove(s->timer);
	nl_close(s->nl);
	nl_batch_free(s->batch);
	free(s);
}
