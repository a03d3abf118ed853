/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bird.h. The conversation with BIRD: it greets ("0001 …"), we say "configure", it answers with lines that begin with a code of four
 * digits; a blank behind the code ends the answer. 0003, 0004 and 0018: taken; 8xxx, 9xxx: refused. */
#include "vnagent/guest/bird.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"

enum { AGAIN_MIN_MS = 100, AGAIN_MAX_MS = 10000, STEADY_MS = 30000, TALK_MS = 10000, ANSWER_MAX = 4096 };

struct bird {
	struct loop *loop;
	struct reaper *reaper;
	char *config;   /* that it should run with; NULL: it should not run */
	pid_t pid;      /* 0: does not run */
	bool stopping;  /* it was told to end */
	int64_t started_ms;
	int again_ms;
	struct loop_source *timer; /* its next start */

	/* The conversation, while one is under way. */
	int fd;
	struct loop_source *source, *limit;
	struct buf answer;
	bool asked;
	char *before; /* the configuration that is taken back where the new one is refused */
	void (*done)(void *arg, int code, const char *text);
	void *arg;
};

static int write_config(const char *text, struct err *err)
{
	static const char path[] = BIRD_CONFIG ".new";
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), code = fd < 0 ? -errno : 0;
	for (size_t len = strlen(text), at = 0; !code && at < len;) {
		ssize_t n = write(fd, text + at, len - at);
		if (n < 0 && errno != EINTR)
			code = -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (!code && rename(path, BIRD_CONFIG) < 0)
		code = -errno;
	return code ? err_sys(err, code, BIRD_CONFIG) : 0;
}

/* ---- its life -------------------------------------------------------------------------- */
static void start_later(struct bird *b)
{
	if (clock_ms() - b->started_ms > STEADY_MS)
		b->again_ms = AGAIN_MIN_MS;
	loop_set_timer(b->timer, b->again_ms, 0);
	b->again_ms = b->again_ms * 2 < AGAIN_MAX_MS ? b->again_ms * 2 : AGAIN_MAX_MS;
}

static void died(void *arg, int status)
{
	struct bird *b = arg;
	b->pid = 0;
	if (!b->config)
		return;
	if (b->stopping) { /* and is wanted again since */
		b->again_ms = AGAIN_MIN_MS;
		loop_set_timer(b->timer, 0, 0);
		return;
	}
	log_warn("bird ended with code %d; it is started again in %d ms", reaper_exit_code(status), b->again_ms);
	start_later(b);
}

static void start(void *arg)
{
	static const char *const argv[] = { "bird", "-f", "-c", BIRD_CONFIG, "-s", BIRD_SOCKET, NULL };
	struct bird *b = arg;
	struct child child;
	struct err err = { 0 };
	if (!b->config || b->pid)
		return;
	b->started_ms = clock_ms();
	int code = write_config(b->config, &err);
	if (!code)
		code = child_spawn(&child, argv, NULL, 0, &err);
	if (code) {
		log_error("bird: %s", err.text);
		start_later(b);
		return;
	}
	b->pid = child.pid;
	b->stopping = false;
	reaper_watch(b->reaper, b->pid, died, b);
}

int bird_open(struct loop *loop, struct reaper *reaper, struct bird **ret, struct err *err)
{
	struct bird *b = mem_alloc(sizeof(*b));
	*b = (struct bird){ .loop = loop, .reaper = reaper, .fd = -1, .again_ms = AGAIN_MIN_MS };
	int code = loop_add_timer(loop, -1, 0, start, b, &b->timer, err);
	if (code)
		free(b);
	else
		*ret = b;
	return code;
}

static void stop(struct bird *b)
{
	loop_set_timer(b->timer, -1, 0);
	b->stopping = true;
	if (b->pid)
		kill(b->pid, SIGTERM);
}

/* ---- another configuration ------------------------------------------------------------------ */
static void hang_up(struct bird *b)
{
	loop_remove(b->source);
	loop_remove(b->limit);
	b->source = b->limit = NULL;
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	buf_done(&b->answer);
}

static void finish(struct bird *b, int code, const char *text)
{
	void (*done)(void *arg, int code, const char *text) = b->done;
	mem_auto char *keep = mem_str(text); /* it may stand in what hanging up frees */
	hang_up(b);
	if (code) {
		char *refused = b->config;
		struct err err = { 0 };
		b->config = b->before;
		b->before = refused;
		if (b->config && write_config(b->config, &err))
			log_warn("%s", err.text);
	}
	free(b->before);
	b->before = NULL;
	b->done = NULL;
	if (done)
		done(b->arg, code, keep);
}

static void took_too_long(void *arg)
{
	finish(arg, -ETIMEDOUT, "bird does not answer");
}

/* Complete lines of the answer; true: the conversation has ended. */
static bool read_answer(struct bird *b)
{
	char *line = b->answer.data, *end, *why = NULL;
	for (; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		bool last = strspn(line, "0123456789") == 4 && line[4] == ' ';
		int number = strspn(line, "0123456789") == 4 ? atoi(line) : 0;
		if (number >= 8000 && !why)
			why = line + 5;
		if (!last || number == 1)
			continue;
		if (number >= 8000)
			finish(b, -EINVAL, why);
		else
			finish(b, 0, "");
		return true;
	}
	/* What is left is half a line; lines that have been read are not needed again, but for the first reason. */
	if (line && !why) {
		size_t rest = b->answer.len - (size_t)(line - b->answer.data);
		memmove(b->answer.data, line, rest + 1);
		b->answer.len = rest;
	} else if (why) {
		finish(b, -EINVAL, why);
		return true;
	}
	return false;
}

static void talk(void *arg, uint32_t events)
{
	static const char question[] = "configure\n";
	struct bird *b = arg;
	char data[1024];
	ssize_t n = read(b->fd, data, sizeof(data));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || b->answer.len + (size_t)n > ANSWER_MAX) {
		finish(b, -EIO, n <= 0 ? "bird hung up" : "bird talks without end");
		return;
	}
	buf_add(&b->answer, data, (size_t)n);
	if (read_answer(b) || b->asked)
		return;
	if (send(b->fd, question, sizeof(question) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(question) - 1)
		finish(b, -EIO, "bird hung up");
	else
		b->asked = true;
}

static int call(struct bird *b, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = BIRD_SOCKET };
	b->asked = false;
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, -errno, BIRD_SOCKET);
	int code = loop_add_fd(b->loop, b->fd, EPOLLIN, talk, b, &b->source, err);
	return code ? code : loop_add_timer(b->loop, TALK_MS, 0, took_too_long, b, &b->limit, err);
}

void bird_set(struct bird *b, const char *config, void (*done)(void *arg, int code, const char *text), void *arg)
{
	struct err err = { 0 };
	if (b->done) {
		done(arg, -EBUSY, "bird is being told another configuration");
		return;
	}
	if (b->config == config || (b->config && config && !strcmp(b->config, config))) {
		done(arg, 0, "");
		return;
	}
	b->before = b->config;
	b->config = mem_str(config);
	b->done = done;
	b->arg = arg;
	int code = 0;
	if (!config) {
		stop(b);
	} else if (!b->pid) {
		b->again_ms = AGAIN_MIN_MS;
		loop_set_timer(b->timer, 0, 0);
	} else if (b->stopping) {
		; /* its end starts the next */
	} else if (!(code = write_config(config, &err))) {
		if (call(b, &err) == 0)
			return; /* the answer ends it */
		/* It is just starting, and reads the file in any case; or it is dying, and the next one will. */
		kill(b->pid, SIGHUP);
	}
	finish(b, code, err.text);
}

void bird_close(struct bird *b)
{
	if (!b)
		return;
	stop(b);
	if (b->pid)
		reaper_forget(b->reaper, b->pid);
	hang_up(b);
	loop_remove(b->timer);
	free(b->before);
	free(b->config);
	free(b);
}
