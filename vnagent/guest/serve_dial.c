/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stream to a socket file of the guest: bytes both ways, each end's end told to the other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vnagent/guest/serve_impl.h"

static void feed_ready(void *arg, uint32_t events)
{
	struct connection *c = arg;
	char data[CHUNK];
	if (events & EPOLLOUT)
		feed_add(c, NULL, 0, c->feed_ends);
	if (c->dead || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || connection_waiting(c) >= QUEUE_MAX)
		goto out;
	ssize_t n = read(c->feed, data, sizeof(data));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		goto out;
	if (n > 0) {
		connection_bytes(c, data, (size_t)n);
	} else { /* nothing follows; what the host still says, nobody would hear */
		feed_close(c);
		c->work = WORK_DONE;
		loop_set_timer(c->timer, LAST_MS, 0);
	}
	connection_flush(c);
out:
	if (!c->dead)
		dial_flows(c);
}

void dial_flows(struct connection *c)
{
	struct err err = { 0 };
	if (c->feed < 0 || c->work != WORK_DIAL)
		return;
	/* Removed while the host takes nothing: a hang-up would be reported all the same. */
	uint32_t events = (connection_waiting(c) < QUEUE_MAX ? (uint32_t)EPOLLIN : 0) | (feed_waiting(c) ? (uint32_t)EPOLLOUT : 0);
	if (!events) {
		loop_remove(c->feed_source);
		c->feed_source = NULL;
	} else if (c->feed_source ? loop_set_events(c->feed_source, events, &err)
	                          : loop_add_fd(c->s->loop, c->feed, events, feed_ready, c, &c->feed_source, &err)) {
		connection_drop(c);
	}
}

void dial_begin(struct connection *c, const char *path, size_t len)
{
	static const uint8_t good[4] = { 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct err err = { 0 };
	if (!len || len >= sizeof(address.sun_path) || path[0] != '/' || memchr(path, 0, len)) {
		connection_end(c, EINVAL, "no path of a socket");
		return;
	}
	memcpy(address.sun_path, path, len);
	c->feed = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->feed < 0 || connect(c->feed, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = errno;
		err_sys(&err, -code, "%s", address.sun_path);
		connection_end(c, code == ENOTDIR ? ENOENT : code, err.text);
		return;
	}
	connection_frame(c, 'x', good, sizeof(good));
	c->work = WORK_DIAL;
	loop_set_timer(c->timer, -1, 0);
	dial_flows(c);
	connection_flush(c);
}
