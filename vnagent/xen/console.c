/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Consoles; see console.h. */
#include "vnagent/xen/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "vnagent/xen/talk.h"

enum { CHUNK = 2 << 10, CHUNKS_PER_TICK = 8, CONSOLE_PANIC = 120 };
#define PANIC "Kernel panic - "

struct joined {
	struct console *c;
	int fds[4]; /* in, out, error, control; -1: closed; fds[0] -1: no place in use when fds[3] is -1, too */
	struct loop_source *in_source, *control_source;
	bool used;
};

struct console {
	struct loop *loop;
	int fd;
	struct loop_source *source; /* while somebody listens */
	char ring[CONSOLE_RING];
	size_t len;
	struct joined sessions[CONSOLE_SESSIONS_MAX];
};

int console_open(struct loop *loop, const char *path, struct console **ret, struct err *err)
{
	struct termios raw;
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "console %s", path);
	if (!isatty(fd)) {
		close(fd);
		return err_set(err, -ENOTTY, "console %s: no terminal", path);
	}
	if (!tcgetattr(fd, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(fd, TCSANOW, &raw);
	}
	*ret = mem_alloc(sizeof(**ret));
	(*ret)->loop = loop;
	(*ret)->fd = fd;
	return 0;
}

static void leave(struct joined *s, int code, const char *text)
{
	struct console *c = s->c;
	bool anybody = false;
	if (!s->used)
		return;
	if (text)
		talk_end(s->fds[3], code, text);
	loop_remove(s->in_source);
	loop_remove(s->control_source);
	for (int i = 0; i < 4; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	*s = (struct joined){ 0 };
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		anybody |= c->sessions[i].used;
	if (!anybody) {
		loop_remove(c->source);
		c->source = NULL;
	}
}

void console_close(struct console *c)
{
	if (!c)
		return;
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		leave(&c->sessions[i], 255, "the router has ended");
	close(c->fd);
	free(c);
}

static void keep(struct console *c, const char *data, size_t n)
{
	if (c->len + n > sizeof(c->ring)) {
		size_t drop = c->len + n - sizeof(c->ring);
		memmove(c->ring, c->ring + drop, c->len - drop);
		c->len -= drop;
	}
	memcpy(c->ring + c->len, data, n);
	c->len += n;
}

/* One chunk; false: nothing more now. Whoever does not take what a console says misses it, as at any terminal. */
static bool take(struct console *c)
{
	char data[CHUNK];
	ssize_t n = read(c->fd, data, sizeof(data));
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) { /* xenconsoled has let go of it */
			loop_remove(c->source);
			c->source = NULL;
		}
		return false;
	}
	keep(c, data, (size_t)n);
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		if (c->sessions[i].used)
			(void)!write(c->sessions[i].fds[1], data, (size_t)n);
	return (size_t)n == sizeof(data);
}

void console_tick(struct console *c)
{
	for (int i = 0; c && i < CHUNKS_PER_TICK && take(c); i++)
		;
}

static void says(void *arg, uint32_t events)
{
	take(arg);
}

static void typed(void *arg, uint32_t events)
{
	struct joined *s = arg;
	char data[256]; /* what the terminal does not take is lost: it is a serial line */
	ssize_t n = read(s->fds[0], data, sizeof(data));
	if (n > 0)
		(void)!write(s->c->fd, data, (size_t)n);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	loop_remove(s->in_source); /* its input has ended; it goes on listening */
	s->in_source = NULL;
}

static void given_up(void *arg, uint32_t events)
{
	leave(arg, 0, NULL);
}

void console_join(struct console *c, const int fds[4])
{
	struct err err = { 0 };
	struct joined *s = NULL;
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		if (!c->sessions[i].used)
			s = &c->sessions[i];
	if (!s) {
		talk_end(fds[3], 126, "so many are at this console that no other fits");
		for (int i = 0; i < 4; i++)
			close(fds[i]);
		return;
	}
	*s = (struct joined){ .c = c, .used = true };
	for (int i = 0; i < 4; i++) {
		s->fds[i] = fds[i];
		fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
	}
	if (loop_add_fd(c->loop, fds[3], EPOLLIN, given_up, s, &s->control_source, &err) ||
	    loop_add_fd(c->loop, fds[0], EPOLLIN, typed, s, &s->in_source, &err) ||
	    (!c->source && loop_add_fd(c->loop, c->fd, EPOLLIN, says, c, &c->source, &err)))
		leave(s, 126, err.text);
}

void console_tail_of(const char *data, size_t len, struct buf *out)
{
	char text[CONSOLE_TAIL + 1];
	while (len && strchr(" \r\n\t", data[len - 1]) && data[len - 1])
		len--;
	size_t begin = len;
	for (int lines = 0; begin && len - begin < CONSOLE_TAIL; begin--)
		if (data[begin - 1] == '\n' && ++lines == CONSOLE_TAIL_LINES)
			break;
	memcpy(text, data + begin, len - begin);
	text[len - begin] = 0;
	for (size_t i = 0; i < len - begin; i++)
		if (!text[i])
			text[i] = '?';
	talk_clean(text);
	const char *between = "; its console: ";
	const char *panic = memmem(data, len, PANIC, sizeof(PANIC) - 1);
	if (panic && panic < data + begin) { /* what follows it is registers */
		char line[CONSOLE_PANIC + 1];
		size_t n = 0;
		while (n < CONSOLE_PANIC && panic + n < data + begin && panic[n] != '\r' && panic[n] != '\n' && panic[n])
			n++;
		memcpy(line, panic, n);
		line[n] = 0;
		talk_clean(line);
		buf_printf(out, "%s%s", between, line);
		between = " … ";
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t n = strlen(line);
		while (n && line[n - 1] == ' ')
			n--;
		if (!n)
			continue;
		buf_printf(out, "%s%.*s", between, (int)n, line);
		between = " | ";
	}
}

void console_tail(struct console *c, struct buf *out)
{
	if (!c)
		return;
	console_tick(c);
	console_tail_of(c->ring, c->len, out);
}
