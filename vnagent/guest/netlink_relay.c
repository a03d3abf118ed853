/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See netlink_relay.h. It waits in poll and in write and nowhere else: there is nothing else that it does. */
#include "vnagent/guest/netlink_relay.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/nl.h"

enum { PIECE = 32 << 10 };

struct relay {
	struct nl *nl;
	int in, out;
	struct buf waiting;
	_Alignas(struct nlmsghdr) char question[NL_MESSAGE_MAX]; /* as much as is there of it */
	size_t have;
};

static int flush(struct relay *r)
{
	size_t done = 0;
	while (done < r->waiting.len) {
		ssize_t n = write(r->out, r->waiting.data + done, r->waiting.len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	buf_clear(&r->waiting);
	return 0;
}

static int tell(void *arg, const struct nlmsghdr *m)
{
	static const char padding[NLMSG_ALIGNTO];
	struct relay *r = arg;
	buf_add(&r->waiting, m, m->nlmsg_len);
	buf_add(&r->waiting, padding, NLMSG_ALIGN(m->nlmsg_len) - m->nlmsg_len);
	return r->waiting.len >= PIECE ? flush(r) : 0;
}

static int news(struct relay *r, struct err *err)
{
	int code = nl_events(r->nl, tell, r, err);
	if (code == -ENOBUFS)
		code = tell(r, &(struct nlmsghdr){ .nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = NLMSG_OVERRUN });
	return code ? code : flush(r);
}

/* One read's worth of questions. */
static int questions(struct relay *r, struct err *err)
{
	ssize_t n = read(r->in, r->question + r->have, sizeof(r->question) - r->have);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	r->have += (size_t)n;
	size_t at = 0;
	int code = 0;
	while (!code && r->have - at >= NLMSG_HDRLEN) {
		const struct nlmsghdr *m = (const void *)(r->question + at);
		size_t len = NLMSG_ALIGN((size_t)m->nlmsg_len);
		if (m->nlmsg_len < NLMSG_HDRLEN || len > sizeof(r->question))
			return err_set(err, -EPROTO, "a message of %u bytes", m->nlmsg_len);
		if (r->have - at < len)
			break;
		code = nl_pass(r->nl, m, err);
		at += len;
	}
	memmove(r->question, r->question + at, r->have - at);
	r->have -= at;
	return code;
}

static int turn(struct relay *r, struct err *err)
{
	struct pollfd fds[3] = { { .fd = nl_fd(r->nl), .events = POLLIN }, { .fd = r->in, .events = POLLIN }, { .fd = r->out } };
	if (poll(fds, 3, -1) < 0)
		return errno == EINTR ? 0 : err_sys(err, -errno, "poll");
	if (fds[2].revents & (POLLERR | POLLHUP))
		return -EPIPE;
	int code = fds[1].revents ? questions(r, err) : 0;
	return !code && fds[0].revents ? news(r, err) : code;
}

int netlink_relay(int in, int out, struct err *err)
{
	static const unsigned groups[] = { RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		                           RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE };
	struct relay r = { .in = in, .out = out };
	int code = nl_open(NETLINK_ROUTE, -1, &r.nl, err);
	for (size_t i = 0; !code && i < sizeof(groups) / sizeof(*groups); i++)
		code = nl_join(r.nl, groups[i], err);
	while (!code)
		code = turn(&r, err);
	nl_close(r.nl);
	buf_done(&r.waiting);
	return code == -EPIPE || code == -ECONNRESET ? 0 : code;
}
