/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A command for a connection: its outputs become frames, and it lives no longer than who asked for it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/child.h"
#include "vnagent/guest/frame.h"
#include "vnagent/guest/serve_impl.h"

static void end_stream(struct stream *st)
{
	loop_remove(st->source);
	st->source = NULL;
	if (st->fd >= 0)
		close(st->fd);
	st->fd = -1;
}

/* The whole process group goes: what it left in the background would hold pipes that somebody waits for. */
void exec_drop(struct connection *c)
{
	for (int i = 0; i < 2; i++)
		end_stream(&c->streams[i]);
	if (!c->pid)
		return;
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL);
	reaper_forget(c->s->reaper, c->pid);
	c->pid = 0;
}

static void finish(struct connection *c)
{
	if (c->dead || c->work != WORK_EXEC || !c->exited)
		return;
	if (!c->lingered && (c->streams[0].fd >= 0 || c->streams[1].fd >= 0)) {
		loop_set_timer(c->timer, LINGER_MS, 0);
		return;
	}
	connection_end(c, c->exit_code, "");
}

static void stream_ready(void *arg, uint32_t events)
{
	struct stream *st = arg;
	struct connection *c = st->c;
	char data[CHUNK];
	ssize_t n = read(st->fd, data, sizeof(data));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	connection_frame(c, st->type, data, n > 0 ? (size_t)n : 0);
	if (n <= 0)
		end_stream(st);
	if (c->exited && n > 0 && !c->lingered)
		loop_set_timer(c->timer, LINGER_MS, 0); /* it still flows */
	connection_flush(c);
	/* Removed, not masked: a hang-up would be reported all the same. */
	if (!c->dead && connection_waiting(c) >= QUEUE_MAX)
		for (int i = 0; i < 2; i++) {
			loop_remove(c->streams[i].source);
			c->streams[i].source = NULL;
		}
	finish(c);
}

void exec_flows(struct connection *c)
{
	struct err err = { 0 };
	if (c->work != WORK_EXEC)
		return;
	if (connection_waiting(c) < QUEUE_MAX / 2)
		for (int i = 0; i < 2; i++) {
			struct stream *st = &c->streams[i];
			if (st->fd >= 0 && !st->source && loop_add_fd(c->s->loop, st->fd, EPOLLIN, stream_ready, st, &st->source, &err))
				end_stream(st);
		}
	finish(c);
}

static void ended(void *arg, int status)
{
	struct connection *c = arg;
	pid_t pid = c->pid;
	c->pid = 0;
	c->exited = true;
	c->exit_code = reaper_exit_code(status);
	kill(-pid, SIGKILL);
	feed_close(c);
	finish(c);
}

static char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=xterm",
	                             "USER=root", "LANG=C.UTF-8", NULL };

void exec_begin(struct connection *c, const char *words, size_t len)
{
	const char *argv[FRAME_WORDS_MAX + 1];
	struct child child;
	struct err err = { 0 };
	if (frame_words(words, len, argv) < 0) {
		connection_end(c, 126, "no command, or too many words");
		return;
	}
	int code = child_spawn(&child, argv, environment, CHILD_IN | CHILD_OUT | CHILD_ERR | CHILD_GROUP, &err);
	if (code) {
		connection_end(c, code == -ENOENT ? 127 : 126, err.text);
		return;
	}
	c->work = WORK_EXEC;
	c->pid = child.pid;
	c->feed = child.in;
	c->streams[0].fd = child.out;
	c->streams[1].fd = child.err;
	loop_set_timer(c->timer, -1, 0);
	reaper_watch(c->s->reaper, child.pid, ended, c);
	exec_flows(c);
}
