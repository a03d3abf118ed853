/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See xen_relay.h. One buffer a direction: while it is full that side is not read. */
#include "vnagent/xen_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { RELAY_BYTES = 16 << 10 };

struct side {
	struct relay *relay;
	int fd;
	struct loop_source *source;
	uint32_t events;
	size_t from, to; /* what was read here and waits to be written at the other side */
	bool ended;
	char data[RELAY_BYTES];
};
struct relay {
	struct relays *all;
	struct relay *next;
	struct side side[2];
};

static void end(struct relay *r)
{
	struct relay **at = &r->all->first;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->all->n--;
	for (int i = 0; i < 2; i++) {
		loop_remove(r->side[i].source);
		close(r->side[i].fd);
	}
	free(r);
}

/* Moves what can be moved from one side to the other; false: the connection is broken. */
static bool move(struct side *in, struct side *out)
{
	for (;;) {
		if (in->from == in->to && !in->ended) {
			ssize_t n = read(in->fd, in->data, sizeof(in->data));
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			in->from = 0;
			in->to = (size_t)n;
			in->ended = n == 0;
			if (in->ended && shutdown(out->fd, SHUT_WR) < 0)
				return false;
		}
		if (in->from == in->to)
			return true;
		ssize_t n = send(out->fd, in->data + in->from, in->to - in->from, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		in->from += (size_t)n;
	}
}

static void ready(void *arg, uint32_t events)
{
	struct side *s = arg;
	struct relay *r = s->relay;
	struct err err = { 0 };
	bool fine = move(&r->side[0], &r->side[1]) && move(&r->side[1], &r->side[0]);
	if (!fine || (r->side[0].ended && r->side[1].ended) || events & EPOLLERR ||
	    (events & EPOLLHUP && s->ended)) {
		end(r);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct side *here = &r->side[i], *there = &r->side[!i];
		uint32_t wanted = (!here->ended && here->from == here->to ? (uint32_t)EPOLLIN : 0) |
		                  (there->from < there->to ? (uint32_t)EPOLLOUT : 0);
		if (wanted != here->events && loop_set_events(here->source, wanted, &err)) {
			end(r);
			return;
		}
		here->events = wanted;
	}
}

int relay_start(struct relays *all, struct loop *loop, int a, int b, struct err *err)
{
	struct relay *r = mem_alloc(sizeof(*r));
	int fds[] = { a, b }, code = 0;
	*r = (struct relay){ .all = all, .next = all->first };
	all->first = r;
	all->n++;
	for (int i = 0; i < 2; i++) {
		r->side[i].relay = r;
		r->side[i].fd = fds[i];
		r->side[i].events = EPOLLIN;
		(void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
		if (!code)
			code = loop_add_fd(loop, fds[i], EPOLLIN, ready, &r->side[i], &r->side[i].source, err);
	}
	if (code)
		end(r);
	return code;
}

void relays_done(struct relays *all)
{
	while (all->first)
		end(all->first);
}
