/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See follow.h. It waits in poll and write and nowhere else: there is nothing else that it does. */
#include "vnagent/guest/follow.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/nl.h"

enum { PIECE = 32 << 10, RECEIVE_BYTES = 4 << 20, AGAIN_MAX = 16 };

struct follow {
	struct nl *events, *questions;
	int out;
	struct buf waiting;
};

static int flush(struct follow *f, struct err *err)
{
	size_t done = 0;
	while (done < f->waiting.len) {
		ssize_t n = write(f->out, f->waiting.data + done, f->waiting.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "standard output");
		done += (size_t)n;
	}
	buf_clear(&f->waiting);
	return 0;
}

static int tell(void *arg, const struct nlmsghdr *m)
{
	static const char padding[NLMSG_ALIGNTO];
	struct follow *f = arg;
	struct err err = { 0 };
	buf_add(&f->waiting, m, m->nlmsg_len);
	buf_add(&f->waiting, padding, NLMSG_ALIGN(m->nlmsg_len) - m->nlmsg_len);
	return f->waiting.len >= PIECE ? flush(f, &err) : 0;
}

static int mark(struct follow *f, uint16_t type)
{
	return tell(f, &(struct nlmsghdr){ .nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = type });
}

static int dump(struct follow *f, uint16_t type, uint8_t family, struct err *err)
{
	static const char zeroes[sizeof(struct ifinfomsg)]; /* as long as the longest head of the four; the family comes first in all */
	char head[sizeof(zeroes)] = { (char)family };
	struct nl_batch *b = nl_batch_new();
	nl_begin(b, type, NLM_F_DUMP, head, type == RTM_GETROUTE ? sizeof(struct rtmsg) : type == RTM_GETNEIGH ? sizeof(struct ndmsg) :
	                                    type == RTM_GETADDR  ? sizeof(struct ifaddrmsg) : sizeof(struct ifinfomsg));
	int code = nl_dump(f->questions, b, tell, f, err);
	nl_batch_free(b);
	return code;
}

/* All there is; anew where it changed meanwhile so that the kernel could not tell it whole. */
static int tell_all(struct follow *f, struct err *err)
{
	static const struct {
		uint16_t type;
		uint8_t family;
	} questions[] = { { RTM_GETLINK, AF_UNSPEC }, { RTM_GETADDR, AF_INET }, { RTM_GETADDR, AF_INET6 }, { RTM_GETNEIGH, AF_INET },
		          { RTM_GETNEIGH, AF_INET6 }, { RTM_GETROUTE, AF_INET }, { RTM_GETROUTE, AF_INET6 } };
	int code = -EINTR;
	for (int again = 0; code == -EINTR && again < AGAIN_MAX; again++) {
		code = mark(f, NLMSG_NOOP);
		for (size_t i = 0; !code && i < sizeof(questions) / sizeof(*questions); i++)
			code = dump(f, questions[i].type, questions[i].family, err);
	}
	if (!code)
		code = mark(f, NLMSG_DONE);
	return code ? code : flush(f, err);
}

static int wait_for_more(struct follow *f, struct err *err)
{
	struct pollfd fds[2] = { { .fd = nl_fd(f->events), .events = POLLIN }, { .fd = f->out } };
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(err, -errno, "poll");
	return fds[1].revents & (POLLERR | POLLHUP) ? err_set(err, -EPIPE, "nobody reads any more") : 0;
}

static int open_sockets(struct follow *f, struct err *err)
{
	static const unsigned groups[] = { RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		                           RTNLGRP_IPV6_ROUTE };
	int code = nl_open(NETLINK_ROUTE, -1, &f->events, err), size = RECEIVE_BYTES;
	if (!code)
		code = nl_open(NETLINK_ROUTE, -1, &f->questions, err);
	if (!code && setsockopt(nl_fd(f->events), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(nl_fd(f->events), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; !code && i < sizeof(groups) / sizeof(*groups); i++)
		code = nl_join(f->events, groups[i], err);
	return code;
}

int follow_routes(int out, struct err *err)
{
	struct follow f = { .out = out };
	int code = open_sockets(&f, err);
	if (!code)
		code = tell_all(&f, err);
	while (!code && !(code = wait_for_more(&f, err))) {
		code = nl_events(f.events, tell, &f, err);
		code = code == -ENOBUFS ? tell_all(&f, err) : code ? code : flush(&f, err);
	}
	nl_close(f.events);
	nl_close(f.questions);
	buf_done(&f.waiting);
	return code;
}
