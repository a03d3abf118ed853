/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent's connection: one at a time, the newest. What cannot be told because the agent does not read is told to the next one: it gets
 * all that is known when it comes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/watch/impl.h"

enum { ITEM_MAX = sizeof(struct watch_guard) > sizeof(struct watch_link) ? sizeof(struct watch_guard) : sizeof(struct watch_link) };
enum { PACKET_MAX = sizeof(struct watch_message) + WATCH_ITEMS_MAX * ITEM_MAX, LIST_MAX = 1 << 18 };

struct control {
	struct watcher *w;
	int listener, fd;
	struct loop_source *listening, *source;
	VEC(struct watch_guard) guards; /* of a list that is not complete yet */
	VEC(struct watch_link) links;
	_Alignas(8) uint8_t packet[PACKET_MAX];
};

static void hang_up(struct control *c)
{
	loop_remove(c->source);
	c->source = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->guards.n = c->links.n = 0;
}

/* Without anything to watch and without an agent there is no reason to be. */
static void end_if_idle(struct control *c)
{
	if (c->fd < 0 && !guards_count(c->w) && !links_count(c->w))
		loop_stop(c->w->loop);
}

static void tell(struct watcher *w, uint32_t type, uint32_t net, const void *item, size_t len)
{
	struct control *c = w->control;
	struct watch_message m = { .type = type, .net = net, .n = type == WATCH_HELLO ? WATCH_VERSION : 1 };
	struct iovec iov[] = { { &m, sizeof(m) }, { (void *)item, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	if (c && c->fd >= 0 && sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		hang_up(c); /* it comes again, and is told all */
}

void control_tell_link(struct watcher *w, const struct watch_link_state *state)
{
	tell(w, WATCH_LINK_STATE, 0, state, sizeof(*state));
}

void control_tell_guard(struct watcher *w, const struct watch_guard_state *state)
{
	tell(w, WATCH_GUARD_STATE, state->net, state, sizeof(*state));
}

static void take(struct control *c, const struct watch_message *m, const uint8_t *items)
{
	switch (m->type) {
	case WATCH_NET:
		for (uint32_t i = 0; i < m->n && c->guards.n < LIST_MAX; i++)
			memcpy(vec_add(&c->guards), items + i * sizeof(struct watch_guard), sizeof(struct watch_guard));
		if (m->more)
			return;
		guards_set(c->w, m->net, c->guards.v, c->guards.n);
		c->guards.n = 0;
		return;
	case WATCH_LINKS:
		for (uint32_t i = 0; i < m->n && c->links.n < LIST_MAX; i++)
			memcpy(vec_add(&c->links), items + i * sizeof(struct watch_link), sizeof(struct watch_link));
		if (m->more)
			return;
		links_set(c->w, c->links.v, c->links.n);
		c->links.n = 0;
		return;
	default: /* WATCH_QUIT, or an agent of another build */
		loop_stop(c->w->loop);
	}
}

static void received(void *arg, uint32_t events)
{
	struct control *c = arg;
	struct watch_message m;
	ssize_t n = recv(c->fd, c->packet, sizeof(c->packet), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)sizeof(m)) {
		hang_up(c);
		end_if_idle(c);
		return;
	}
	memcpy(&m, c->packet, sizeof(m));
	size_t item = m.type == WATCH_NET ? sizeof(struct watch_guard) : m.type == WATCH_LINKS ? sizeof(struct watch_link) : 0;
	if (m.n > WATCH_ITEMS_MAX || (size_t)n != sizeof(m) + m.n * item) {
		log_error("a message of the agent is not understood");
		hang_up(c);
		return;
	}
	take(c, &m, c->packet + sizeof(m));
}

static void knocked(void *arg, uint32_t events)
{
	struct control *c = arg;
	struct err err = { 0 };
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	hang_up(c);
	c->fd = fd;
	if (loop_add_fd(c->w->loop, fd, EPOLLIN, received, c, &c->source, &err)) {
		log_error("%s", err.text);
		hang_up(c);
		return;
	}
	tell(c->w, WATCH_HELLO, 0, NULL, 0);
	links_tell_all(c->w);
	guards_tell_all(c->w);
}

int control_open(struct watcher *w, int listener, struct err *err)
{
	struct control *c = mem_alloc(sizeof(*c));
	w->control = c;
	c->w = w;
	c->fd = -1;
	c->listener = listener;
	return loop_add_fd(w->loop, listener, EPOLLIN, knocked, c, &c->listening, err);
}

void control_close(struct watcher *w)
{
	struct control *c = w->control;
	if (!c)
		return;
	w->control = NULL;
	hang_up(c);
	loop_remove(c->listening);
	close(c->listener);
	vec_done(&c->guards);
	vec_done(&c->links);
	free(c);
}
