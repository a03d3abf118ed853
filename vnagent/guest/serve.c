/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections and frames; see serve.h. What comes is read only while there is room for it, both ways: who does not take what we say is
 * not listened to. */
#include "vnagent/guest/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "vnagent/guest/frame.h"
#include "vnagent/guest/serve_impl.h"

/* ---- the ends of a connection --------------------------------------------------------------- */
static void connection_free(struct connection *c)
{
	struct serve *s = c->s;
	for (struct connection **at = &s->connections; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			s->n_connections--;
			break;
		}
	loop_remove(c->timer);
	buf_done(&c->in);
	buf_done(&c->out);
	buf_done(&c->setup);
	buf_done(&c->feed_queue);
	free(c);
}

/* Freed when its timer comes, or, where BIRD is being asked for it, when that is answered. */
static void free_later(struct connection *c)
{
	if (!c->applying)
		loop_set_timer(c->timer, 0, 0);
}

void connection_drop(struct connection *c)
{
	if (c->dead)
		return;
	c->dead = true;
	exec_drop(c);
	feed_close(c);
	loop_remove(c->source);
	c->source = NULL;
	close(c->fd);
	c->fd = -1;
	free_later(c);
}

static void timer_due(void *arg)
{
	struct connection *c = arg;
	if (c->dead)
		connection_free(c);
	else if (c->work == WORK_EXEC && c->exited && !c->lingered) {
		c->lingered = true; /* what the command left in the background holds its pipes: no more is waited for */
		exec_flows(c);
	} else if (c->work == WORK_DONE && connection_waiting(c)) {
		loop_set_timer(c->timer, LAST_MS, 0); /* whoever reads slowly is given time: a host that is gone, TCP notices */
	} else if (c->work == WORK_NONE || c->work == WORK_DONE || (c->work == WORK_APPLY && !c->applying)) {
		connection_drop(c);
	}
}

/* ---- what goes out ---------------------------------------------------------------------------- */
size_t connection_waiting(const struct connection *c)
{
	return c->out.len - c->out_done;
}

/* Reading goes on while what is read has somewhere to go. */
static void watch(struct connection *c)
{
	struct err err = { 0 };
	bool room = c->work == WORK_DONE || (feed_waiting(c) < QUEUE_MAX && !c->applying);
	uint32_t events = connection_waiting(c) ? (uint32_t)EPOLLOUT : 0;
	if (room && !c->input_ends)
		events |= (uint32_t)EPOLLIN;
	else if (c->work == WORK_EXEC) /* that the host is gone has to be noticed also while it is not listened to */
		events |= (uint32_t)EPOLLRDHUP;
	if (!c->dead && loop_set_events(c->source, events, &err))
		connection_drop(c);
}

void connection_flush(struct connection *c)
{
	while (!c->dead && connection_waiting(c)) {
		ssize_t n = send(c->fd, c->out.data + c->out_done, connection_waiting(c), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			connection_drop(c);
			return;
		}
		c->out_done += (size_t)n;
	}
	if (c->dead)
		return;
	if (!connection_waiting(c)) {
		buf_clear(&c->out);
		c->out_done = 0;
		/* A close now would throw away what the host has not read yet, if it still sends: it hangs up first. */
		if (c->work == WORK_DONE)
			shutdown(c->fd, SHUT_WR);
		if (c->work == WORK_DONE && c->input_ends) {
			connection_drop(c);
			return;
		}
	}
	watch(c);
}

void connection_bytes(struct connection *c, const void *data, size_t len)
{
	if (c->dead || c->work == WORK_DONE)
		return;
	if (c->out_done) {
		memmove(c->out.data, c->out.data + c->out_done, connection_waiting(c) + 1);
		c->out.len -= c->out_done;
		c->out_done = 0;
	}
	buf_add(&c->out, data, len);
}

void connection_frame(struct connection *c, char type, const void *data, size_t len)
{
	const uint8_t head[GUEST_HEAD] = { (uint8_t)type, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
	connection_bytes(c, head, sizeof(head));
	connection_bytes(c, data, len);
}

void connection_end(struct connection *c, int code, const char *text)
{
	uint8_t data[4 + ERR_TEXT_MAX];
	size_t len = strlen(text);
	if (c->dead || c->work == WORK_DONE)
		return;
	if (len > ERR_TEXT_MAX)
		len = ERR_TEXT_MAX;
	uint32_t number = htonl((uint32_t)code);
	memcpy(data, &number, 4);
	memcpy(data + 4, text, len);
	connection_frame(c, 'x', data, 4 + len);
	exec_drop(c);
	feed_close(c);
	c->work = WORK_DONE;
	loop_set_timer(c->timer, LAST_MS, 0);
	connection_flush(c);
}

/* ---- applying ------------------------------------------------------------------------------------ */
static void bird_is_back(void *arg, int code, const char *text)
{
	if (code)
		log_warn("bird does not take its configuration of before back: %s", text);
}

/* BIRD was asked first, since what it says does not come at once; now the kernel. */
static void bird_answered(void *arg, int code, const char *text)
{
	struct serve *s = arg;
	struct err err = { 0 };
	void (*done)(void *arg, int code, const char *text) = s->done;
	s->done = NULL;
	if (!code && (code = inside_apply(s->inside, &s->pending, &err))) {
		text = err.text;
		bird_set(s->bird, inside_bird(s->inside), bird_is_back, s);
	}
	guest_setup_done(&s->pending);
	done(s->arg, code, text);
}

void serve_apply(struct serve *s, const char *text, size_t len, void (*done)(void *arg, int code, const char *text), void *arg)
{
	struct err err = { 0 };
	struct guest_setup setup;
	int code = s->done ? err_set(&err, -EBUSY, "another setup is being applied") : guest_setup_read(text, len, &setup, &err);
	if (code) {
		done(arg, code, err.text);
		return;
	}
	s->pending = setup;
	s->done = done;
	s->arg = arg;
	bird_set(s->bird, setup.bird, bird_answered, s);
}

static void applied(void *arg, int code, const char *text)
{
	struct connection *c = arg;
	c->applying = false;
	if (c->dead)
		free_later(c);
	else
		connection_end(c, code < 0 ? -code : code, text);
}

static void apply_more(struct connection *c, const char *data, size_t len)
{
	if (c->setup.len + len > GUEST_SETUP_MAX) {
		connection_end(c, E2BIG, "the setup is too long");
		return;
	}
	c->work = WORK_APPLY;
	if (len) {
		buf_add(&c->setup, data, len);
		return;
	}
	c->applying = true;
	serve_apply(c->s, buf_cstr(&c->setup), c->setup.len, applied, c);
	buf_done(&c->setup);
}

/* ---- what comes in -------------------------------------------------------------------------------- */
static void tell_version(struct connection *c)
{
	char text[128];
	snprintf(text, sizeof(text), "vnguest %s %s", VNE_VERSION, inside_name(c->s->inside));
	connection_end(c, 0, text);
}

static void obey(struct connection *c, char type, const char *data, size_t len)
{
	if (c->work == WORK_EXEC && type == 'i')
		feed_add(c, data, len, len == 0);
	else if ((c->work == WORK_NONE || c->work == WORK_APPLY) && type == 'a')
		apply_more(c, data, len);
	else if (c->work == WORK_NONE && type == 'e')
		exec_begin(c, data, len);
	else if (c->work == WORK_NONE && type == 'd')
		dial_begin(c, data, len);
	else if (c->work == WORK_NONE && type == 'v')
		tell_version(c);
	else
		connection_end(c, EPROTO, "a frame that does not belong here");
}

/* Takes whole frames from c->in, while their contents have somewhere to go. */
static void frames(struct connection *c)
{
	size_t at = 0;
	while (!c->dead && c->work != WORK_DIAL && c->work != WORK_DONE && !c->applying && feed_waiting(c) < QUEUE_MAX) {
		struct frame f;
		long len = frame_take(c->in.data + at, c->in.len - at, &f);
		if (!len)
			break;
		if (len < 0) {
			connection_end(c, EPROTO, "a frame that is too long");
			break;
		}
		at += (size_t)len;
		obey(c, f.type, f.data, f.len);
	}
	if (c->dead || c->work == WORK_DONE || !c->in.data) {
		buf_clear(&c->in);
		return;
	}
	memmove(c->in.data, c->in.data + at, c->in.len - at + 1);
	c->in.len -= at;
	if (c->work == WORK_DIAL && c->in.len) { /* bytes right behind the frame */
		feed_add(c, c->in.data, c->in.len, false);
		buf_clear(&c->in);
	}
}

static void host_hung_up(struct connection *c)
{
	c->input_ends = true;
	if (c->work == WORK_DIAL) {
		feed_add(c, NULL, 0, true);
		connection_flush(c);
	} else if (c->work == WORK_DONE && connection_waiting(c)) {
		connection_flush(c);
	} else {
		connection_drop(c);
	}
}

static void take(struct connection *c)
{
	char data[CHUNK];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		connection_drop(c);
	else if (n == 0)
		host_hung_up(c);
	else if (c->work == WORK_DIAL)
		feed_add(c, data, (size_t)n, false);
	else if (c->work != WORK_DONE) {
		buf_add(&c->in, data, (size_t)n);
		frames(c);
	}
}

static void connection_ready(void *arg, uint32_t events)
{
	struct connection *c = arg;
	if (events & (EPOLLERR | EPOLLRDHUP) || (events & EPOLLHUP && !(events & EPOLLIN))) {
		connection_drop(c);
		return;
	}
	if (events & EPOLLIN && !c->input_ends)
		take(c);
	if (events & EPOLLOUT) {
		connection_flush(c);
		if (!c->dead && c->work == WORK_EXEC)
			exec_flows(c);
		else if (!c->dead && c->work == WORK_DIAL)
			dial_flows(c);
	}
	if (!c->dead)
		watch(c);
}

/* ---- what goes to a command, or to a dialled socket -------------------------------------------------- */
size_t feed_waiting(const struct connection *c)
{
	return c->feed_queue.len - c->feed_done;
}

void feed_close(struct connection *c)
{
	loop_remove(c->feed_source);
	c->feed_source = NULL;
	if (c->feed >= 0)
		close(c->feed);
	c->feed = -1;
	buf_clear(&c->feed_queue);
	c->feed_done = 0;
}

static void feed_writable(void *arg, uint32_t events);

static void feed_flush(struct connection *c)
{
	struct err err = { 0 };
	while (c->feed >= 0 && feed_waiting(c)) {
		ssize_t n = write(c->feed, c->feed_queue.data + c->feed_done, feed_waiting(c));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (c->work == WORK_DIAL)
				dial_flows(c); /* one source for both ways: it watches */
			else if (!c->feed_source && loop_add_fd(c->s->loop, c->feed, EPOLLOUT, feed_writable, c, &c->feed_source, &err))
				feed_close(c);
			return;
		}
		if (n < 0) { /* it reads no more */
			if (c->work == WORK_DIAL)
				connection_drop(c);
			else
				feed_close(c);
			return;
		}
		c->feed_done += (size_t)n;
	}
	buf_clear(&c->feed_queue);
	c->feed_done = 0;
	if (c->work == WORK_DIAL) {
		if (c->feed_ends && c->feed >= 0)
			shutdown(c->feed, SHUT_WR);
		return;
	}
	loop_remove(c->feed_source);
	c->feed_source = NULL;
	if (c->feed_ends)
		feed_close(c);
}

static void feed_writable(void *arg, uint32_t events)
{
	struct connection *c = arg;
	feed_flush(c);
	if (!c->dead && c->work == WORK_EXEC)
		frames(c); /* that waited for room */
	if (!c->dead)
		watch(c);
}

void feed_add(struct connection *c, const void *data, size_t len, bool ends)
{
	if (c->feed >= 0 && !c->feed_ends) {
		if (c->feed_done) {
			memmove(c->feed_queue.data, c->feed_queue.data + c->feed_done, feed_waiting(c) + 1);
			c->feed_queue.len -= c->feed_done;
			c->feed_done = 0;
		}
		buf_add(&c->feed_queue, data, len);
		c->feed_ends = ends;
	}
	feed_flush(c);
}

/* ---- connections that come ------------------------------------------------------------------------------ */
int serve_take(struct serve *s, int fd, struct err *err)
{
	struct connection *c = mem_alloc(sizeof(*c));
	*c = (struct connection){ .s = s, .fd = fd, .feed = -1, .streams = { { c, 'o', -1, NULL }, { c, 'r', -1, NULL } } };
	int code = loop_add_fd(s->loop, fd, EPOLLIN, connection_ready, c, &c->source, err);
	if (!code)
		code = loop_add_timer(s->loop, FIRST_MS, 0, timer_due, c, &c->timer, err);
	if (code) {
		loop_remove(c->source);
		close(fd);
		free(c);
		return code;
	}
	c->next = s->connections;
	s->connections = c;
	s->n_connections++;
	return 0;
}

static void caller(void *arg, uint32_t events)
{
	struct serve *s = arg;
	struct err err = { 0 };
	int one = 1, fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (s->n_connections >= CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)); /* a host that vanished */
	if (serve_take(s, fd, &err))
		log_warn("control connection: %s", err.text);
}

static void deaf(struct serve *s)
{
	loop_remove(s->listener_source);
	s->listener_source = NULL;
	if (s->listener >= 0)
		close(s->listener);
	s->listener = -1;
}

int serve_listen(struct serve *s, uint32_t ifindex, struct err *err)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(GUEST_PORT), .sin6_scope_id = ifindex,
		                        .sin6_addr = { { { 0xfe, 0x80, [15] = 2 } } } };
	int one = 1, index = (int)ifindex, code = 0;
	deaf(s);
	s->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 || setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(s->listener, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0 ||
	    bind(s->listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(s->listener, CONNECTIONS_MAX) < 0)
		code = err_sys(err, -errno, "control interface: port %d", GUEST_PORT);
	if (!code)
		code = loop_add_fd(s->loop, s->listener, EPOLLIN, caller, s, &s->listener_source, err);
	if (code)
		deaf(s);
	return code;
}

struct serve *serve_new(struct loop *loop, struct reaper *reaper, struct inside *inside, struct bird *bird)
{
	struct serve *s = mem_alloc(sizeof(*s));
	*s = (struct serve){ .loop = loop, .reaper = reaper, .inside = inside, .bird = bird, .listener = -1 };
	return s;
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	deaf(s);
	while (s->connections) {
		struct connection *c = s->connections;
		connection_drop(c);
		connection_free(c);
	}
	guest_setup_done(&s->pending);
	free(s);
}
