/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conversations with vnguest; see talk.h. */
#include "vnagent/xen/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "vnagent/guest_wire.h"
#include "vnagent/spawner.h"

enum { CHUNK = 16 << 10, QUEUE_MAX = 256 << 10, TEXT_MAX = 512 };

static int wait_for(int fd, short events, int64_t deadline_ms, struct err *err)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = deadline_ms - clock_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n > 0)
			return 0;
		if (n == 0)
			return err_set(err, -ETIMEDOUT, "the guest does not answer");
		if (errno != EINTR)
			return err_sys(err, -errno, "the guest's control connection");
	}
}

static int send_all(int fd, const void *data, size_t len, int64_t deadline_ms, struct err *err)
{
	const char *at = data;
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, -errno, "the guest's control connection");
		int code = wait_for(fd, POLLOUT, deadline_ms, err);
		if (code)
			return code;
	}
	return 0;
}

/* Exactly so many: what follows may be somebody else's. */
static int receive_all(int fd, void *data, size_t len, int64_t deadline_ms, struct err *err)
{
	char *at = data;
	while (len) {
		ssize_t n = recv(fd, at, len, MSG_DONTWAIT);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0)
			return err_set(err, -ECONNRESET, "the guest has closed its control connection");
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, -errno, "the guest's control connection");
		int code = wait_for(fd, POLLIN, deadline_ms, err);
		if (code)
			return code;
	}
	return 0;
}

static size_t frame_head(uint8_t head[GUEST_HEAD], char type, size_t len)
{
	head[0] = (uint8_t)type;
	head[1] = (uint8_t)(len >> 16);
	head[2] = (uint8_t)(len >> 8);
	head[3] = (uint8_t)len;
	return GUEST_HEAD;
}

static size_t frame_len(const uint8_t head[GUEST_HEAD])
{
	return (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
}

static int send_frame(int fd, char type, const void *data, size_t len, int64_t deadline_ms, struct err *err)
{
	uint8_t head[GUEST_HEAD];
	int code = send_all(fd, head, frame_head(head, type, len), deadline_ms, err);
	return code ? code : send_all(fd, data, len, deadline_ms, err);
}

void talk_clean(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++)
		if ((*at < 0x20 && *at != '\n') || *at >= 0x7f)
			*at = *at == '\t' || *at == '\r' ? ' ' : '?';
}

static int receive_end(int fd, int64_t deadline_ms, struct err *err)
{
	uint8_t head[GUEST_HEAD];
	char data[4 + TEXT_MAX + 1] = { 0 };
	uint32_t number;
	int code = receive_all(fd, head, sizeof(head), deadline_ms, err);
	if (code)
		return code;
	size_t len = frame_len(head), rest;
	if (head[0] != 'x' || len < 4 || len > GUEST_FRAME_MAX)
		return err_set(err, -EPROTO, "the guest answers with what is no answer");
	rest = len > 4 + TEXT_MAX ? len - 4 - TEXT_MAX : 0;
	if ((code = receive_all(fd, data, len - rest, deadline_ms, err)))
		return code;
	for (char skip[512]; !code && rest;) {
		size_t n = rest < sizeof(skip) ? rest : sizeof(skip);
		code = receive_all(fd, skip, n, deadline_ms, err);
		rest -= n;
	}
	memcpy(&number, data, 4);
	number = ntohl(number);
	if (code || !number)
		return code;
	talk_clean(data + 4);
	return err_set(err, number < 4096 ? -(int)number : -EPROTO, "%s", data[4] ? data + 4 : "the guest says no, without a reason");
}

int talk_ask(int fd, char type, const void *data, size_t len, int64_t deadline_ms, struct err *err)
{
	int code = send_frame(fd, type, data, len, deadline_ms, err);
	return code ? code : receive_end(fd, deadline_ms, err);
}

int talk_apply(int fd, const char *setup, size_t len, int64_t deadline_ms, struct err *err)
{
	int code = 0;
	for (size_t at = 0; !code && at < len; at += CHUNK)
		code = send_frame(fd, 'a', setup + at, len - at < CHUNK ? len - at : CHUNK, deadline_ms, err);
	return code ? code : talk_ask(fd, 'a', "", 0, deadline_ms, err);
}

/* ---- exec ---------------------------------------------------------------------------------------------- */
void talk_end(int control, int code, const char *text)
{
	struct spawn_exit e = { .code = code };
	snprintf(e.text, sizeof(e.text), "%s", text);
	talk_clean(e.text);
	(void)!send(control, &e, sizeof(e), MSG_NOSIGNAL);
}

struct session {
	int fd, in, out, error, control;
	struct buf to_guest, from_guest;
	bool ended;
};

static void write_all(int *fd, const char *data, size_t len)
{
	while (*fd >= 0 && len) {
		ssize_t n = write(*fd, data, len);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = *fd, .events = POLLOUT };
			poll(&p, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			close(*fd);
			*fd = -1;
		}
	}
}

static void output(int *fd, const char *data, size_t len)
{
	if (len) {
		write_all(fd, data, len);
	} else if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

static void finish(struct session *s, int code, const char *text)
{
	s->ended = true;
	if (s->out >= 0)
		close(s->out);
	if (s->error >= 0)
		close(s->error);
	s->out = s->error = -1;
	talk_end(s->control, code, text);
}

static void take_frames(struct session *s)
{
	size_t at = 0;
	while (!s->ended && s->from_guest.len - at >= GUEST_HEAD) {
		const uint8_t *head = (const uint8_t *)s->from_guest.data + at;
		const char *data = (const char *)head + GUEST_HEAD;
		size_t len = frame_len(head);
		uint32_t number;
		char text[TEXT_MAX];
		if (len > GUEST_FRAME_MAX || !strchr("orx", head[0]) || !head[0] || (head[0] == 'x' && len < 4)) {
			finish(s, 126, "the guest answers with what is no answer");
			return;
		}
		if (s->from_guest.len - at < GUEST_HEAD + len)
			break;
		if (head[0] == 'x') {
			memcpy(&number, data, 4);
			number = ntohl(number);
			snprintf(text, sizeof(text), "%.*s", (int)(len - 4), data + 4);
			finish(s, number > 255 ? 126 : (int)number, text);
			return;
		}
		output(head[0] == 'o' ? &s->out : &s->error, data, len);
		at += GUEST_HEAD + len;
	}
	if (at) {
		memmove(s->from_guest.data, s->from_guest.data + at, s->from_guest.len - at);
		s->from_guest.len -= at;
	}
}

static void add_frame(struct session *s, char type, const void *data, size_t len)
{
	uint8_t head[GUEST_HEAD];
	buf_add(&s->to_guest, head, frame_head(head, type, len));
	buf_add(&s->to_guest, data, len);
}

static void take_input(struct session *s)
{
	char data[CHUNK];
	ssize_t n = read(s->in, data, sizeof(data));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	add_frame(s, 'i', data, n > 0 ? (size_t)n : 0);
	if (n <= 0) {
		close(s->in);
		s->in = -1;
	}
}

static void take_guest(struct session *s)
{
	char data[CHUNK];
	ssize_t n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(s, 126, "the connection into the guest has broken");
		return;
	}
	buf_add(&s->from_guest, data, (size_t)n);
	take_frames(s);
}

static void flush(struct session *s)
{
	ssize_t n = send(s->fd, s->to_guest.data, s->to_guest.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		finish(s, 126, "the connection into the guest has broken");
	} else if (n > 0) {
		memmove(s->to_guest.data, s->to_guest.data + n, s->to_guest.len - (size_t)n);
		s->to_guest.len -= (size_t)n;
	}
}

void talk_exec(int fd, const char *words, size_t len, const int fds[4])
{
	struct session s = { .fd = fd, .in = fds[0], .out = fds[1], .error = fds[2], .control = fds[3] };
	struct linger reset = { .l_onoff = 1 };
	add_frame(&s, 'e', words, len);
	while (!s.ended) {
		bool room = s.to_guest.len < QUEUE_MAX;
		struct pollfd p[] = { { .fd = fd, .events = (short)(POLLIN | (s.to_guest.len ? POLLOUT : 0)) },
			              { .fd = room ? s.in : -1, .events = POLLIN },
			              { .fd = s.control, .events = POLLIN } };
		if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
			break;
		if (p[2].revents) { /* given up: the guest is told by a reset */
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			break;
		}
		if (p[1].revents)
			take_input(&s);
		if (p[0].revents & POLLOUT)
			flush(&s);
		if (!s.ended && p[0].revents & (POLLIN | POLLHUP | POLLERR))
			take_guest(&s);
	}
	buf_done(&s.to_guest);
	buf_done(&s.from_guest);
	close(fd);
}
