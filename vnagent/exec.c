/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands inside routers; see exec.h. The command itself is the spawner's child; here are our
 * ends of its pipes. */
#include "vnagent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

enum { COMMANDS_MAX = 64, CHUNK = 32 << 10, INPUT_MAX = 8 << 20, RETRY_MS = 20, LINGER_MS = 300 };

struct stream { /* an output of the command */
	struct command *command;
	int number; /* 1 out, 2 error */
	int fd;     /* -1: ended */
	struct loop_source *source;
	size_t waiting; /* bytes in data that the wire has not taken */
	bool end_waits; /* the end of the stream has still to be told */
	uint8_t data[CHUNK];
};

struct command {
	struct exec_table *table;
	uint64_t id;
	int in, control;
	struct loop_source *in_source, *control_source, *timer;
	struct buf input;
	size_t input_done;
	bool input_ends;
	bool exited, told_lingering;
	struct spawn_exit exit;
	struct stream streams[2];
};

struct exec_table {
	struct loop *loop;
	int (*send)(void *arg, struct message *m);
	void *arg;
	struct hash *commands; /* by id */
};

struct exec_table *exec_table_new(struct loop *loop, int (*send)(void *arg, struct message *m), void *arg)
{
	struct exec_table *t = mem_alloc(sizeof(*t));
	*t = (struct exec_table){ loop, send, arg, hash_new() };
	return t;
}

static void close_fd(int *fd, struct loop_source **source)
{
	loop_remove(*source);
	*source = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Closing the control end ends a command that still runs. */
static void command_free(void *value)
{
	struct command *c = value;
	for (int i = 0; i < 2; i++)
		close_fd(&c->streams[i].fd, &c->streams[i].source);
	close_fd(&c->in, &c->in_source);
	close_fd(&c->control, &c->control_source);
	loop_remove(c->timer);
	buf_done(&c->input);
	free(c);
}

static void drop(struct command *c)
{
	hash_del_u64(c->table->commands, c->id);
	command_free(c);
}

void exec_table_free(struct exec_table *t)
{
	if (!t)
		return;
	hash_free(t->commands, command_free);
	free(t);
}

void exec_end(struct exec_table *t, uint64_t id)
{
	struct command *c = hash_get_u64(t->commands, id);
	if (c)
		drop(c);
}

void exec_end_all(struct exec_table *t)
{
	hash_free(t->commands, command_free);
	t->commands = hash_new();
}

static int tell_exit(struct exec_table *t, uint64_t id, int code, const char *reason)
{
	struct message m = { .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = id, .code = code, .reason = (char *)reason } };
	return t->send(t->arg, &m);
}

/* ---- output ------------------------------------------------------------------------------------ */
/* False: the wire is full; the timer comes back to it. */
static bool pass_on(struct stream *s)
{
	struct command *c = s->command;
	while (s->waiting || s->end_waits) {
		struct message m = { .type = MSG_EXEC_OUTPUT,
			             .u.exec_data = { .id = c->id, .stream = s->number, .data = s->data, .len = s->waiting } };
		if (c->table->send(c->table->arg, &m)) {
			/* Removed, not masked: a hang-up would be reported all the same. */
			loop_remove(s->source);
			s->source = NULL;
			loop_set_timer(c->timer, RETRY_MS, 0);
			return false;
		}
		if (!s->waiting)
			s->end_waits = false;
		s->waiting = 0;
	}
	return true;
}

static bool streams_ended(const struct command *c)
{
	for (int i = 0; i < 2; i++)
		if (c->streams[i].fd >= 0 || c->streams[i].waiting || c->streams[i].end_waits)
			return false;
	return true;
}

/* The exit code is told last, when all output has been. */
static void finish(struct command *c)
{
	if (!c->exited)
		return;
	if (!streams_ended(c)) {
		/* What the command left in the background may hold the pipes for ever. */
		loop_set_timer(c->timer, LINGER_MS, 0);
		return;
	}
	if (tell_exit(c->table, c->id, c->exit.code, c->exit.text))
		loop_set_timer(c->timer, RETRY_MS, 0);
	else
		drop(c);
}

static void end_stream(struct stream *s)
{
	if (s->fd < 0)
		return;
	close_fd(&s->fd, &s->source);
	s->end_waits = true;
}

static void output_ready(void *arg, uint32_t events)
{
	struct stream *s = arg;
	ssize_t n = read(s->fd, s->data, sizeof(s->data));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		s->waiting = (size_t)n;
	else
		end_stream(s);
	struct command *c = s->command;
	if (pass_on(s))
		finish(c);
}

static void listen_to(struct stream *s)
{
	struct err err = { 0 };
	if (loop_add_fd(s->command->table->loop, s->fd, EPOLLIN, output_ready, s, &s->source, &err))
		end_stream(s);
}

static void timer_due(void *arg)
{
	struct command *c = arg;
	bool flows = true;
	for (int i = 0; i < 2; i++) {
		struct stream *s = &c->streams[i];
		if (!s->waiting && !s->end_waits && c->exited && c->told_lingering)
			end_stream(s);
		flows &= pass_on(s);
		if (!s->waiting && !s->source && s->fd >= 0)
			listen_to(s);
	}
	c->told_lingering |= c->exited && flows;
	if (flows)
		finish(c);
}

static void control_ready(void *arg, uint32_t events)
{
	struct command *c = arg;
	struct spawn_exit e;
	ssize_t n = recv(c->control, &e, sizeof(e), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == sizeof(e))
		c->exit = e;
	else
		c->exit = (struct spawn_exit){ .code = 126, .text = "the command could not be started" };
	c->exit.text[SPAWN_TEXT_MAX - 1] = 0;
	c->exited = true;
	close_fd(&c->control, &c->control_source);
	finish(c);
}

/* ---- input ---------------------------------------------------------------------------------------- */
static void input_writable(void *arg, uint32_t events);

static bool wait_to_write(struct command *c)
{
	struct err err = { 0 };
	return c->in_source || !loop_add_fd(c->table->loop, c->in, EPOLLOUT, input_writable, c, &c->in_source, &err);
}

static void input_writable(void *arg, uint32_t events)
{
	struct command *c = arg;
	while (c->in >= 0 && c->input_done < c->input.len) {
		ssize_t n = write(c->in, c->input.data + c->input_done, c->input.len - c->input_done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && wait_to_write(c))
			return;
		if (n < 0) { /* it reads no more */
			close_fd(&c->in, &c->in_source);
			break;
		}
		c->input_done += (size_t)n;
	}
	buf_clear(&c->input);
	c->input_done = 0;
	loop_remove(c->in_source);
	c->in_source = NULL;
	if (c->input_ends)
		close_fd(&c->in, &c->in_source);
}

void exec_input(struct exec_table *t, const struct message *m)
{
	struct command *c = hash_get_u64(t->commands, m->u.exec_data.id);
	if (!c || c->in < 0 || c->input_ends)
		return;
	if (c->input.len - c->input_done + m->u.exec_data.len > INPUT_MAX) {
		(void)tell_exit(t, c->id, 126, "input comes faster than the command reads it; it was ended");
		drop(c);
		return;
	}
	if (m->u.exec_data.len)
		buf_add(&c->input, m->u.exec_data.data, m->u.exec_data.len);
	else
		c->input_ends = true;
	input_writable(c, EPOLLOUT);
}

/* ---- starting --------------------------------------------------------------------------------------- */
static void set_nonblocking(int fd)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* ours[i], theirs[i]: stdin, stdout, stderr, control. */
static int open_pipes(int ours[4], int theirs[4], struct err *err)
{
	for (int i = 0; i < 4; i++)
		ours[i] = theirs[i] = -1;
	for (int i = 0; i < 4; i++) {
		int pair[2];
		int r = i == 3 ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) : pipe2(pair, O_CLOEXEC);
		if (r < 0)
			return err_sys(err, -errno, "pipes for a command");
		ours[i] = pair[i == 0];
		theirs[i] = pair[i != 0];
		set_nonblocking(ours[i]);
	}
	return 0;
}

static int watch(struct command *c, struct err *err)
{
	struct loop *loop = c->table->loop;
	int code = 0;
	for (int i = 0; !code && i < 2; i++)
		code = loop_add_fd(loop, c->streams[i].fd, EPOLLIN, output_ready, &c->streams[i], &c->streams[i].source, err);
	if (!code)
		code = loop_add_fd(loop, c->control, EPOLLIN, control_ready, c, &c->control_source, err);
	if (!code)
		code = loop_add_timer(loop, -1, 0, timer_due, c, &c->timer, err);
	return code;
}

static int start(struct exec_table *t, const struct builder *b, const struct message *m, struct err *err)
{
	const struct router_driver *driver;
	void *self;
	int ours[4], theirs[4];
	struct router_key key = { m->net, m->u.exec.router_id };
	if (hash_count(t->commands) >= COMMANDS_MAX)
		return err_set(err, -EBUSY, "%d commands run on this node already", COMMANDS_MAX);
	if (hash_get_u64(t->commands, m->u.exec.id))
		return err_set(err, -EEXIST, "command %llu runs already", (unsigned long long)m->u.exec.id);
	int code = builder_find_router(b, key, &driver, &self, err);
	if (code)
		return code;
	code = open_pipes(ours, theirs, err);
	struct command *c = mem_alloc(sizeof(*c));
	*c = (struct command){ .table = t, .id = m->u.exec.id, .in = ours[0], .control = ours[3] };
	for (int i = 0; i < 2; i++) {
		c->streams[i].command = c;
		c->streams[i].number = i + 1;
		c->streams[i].fd = ours[i + 1];
	}
	struct router_command command = { .argv = (const char *const *)m->u.exec.argv, .argc = m->u.exec.argc, .in = theirs[0],
		                          .out = theirs[1], .error = theirs[2], .control = theirs[3] };
	if (!code)
		code = !m->u.exec.console ? driver->exec(self, key, &command, err) :
		       driver->console    ? driver->console(self, key, &command, err) :
		                            err_set(err, -EOPNOTSUPP, "%s routers have no console; use exec -- sh", driver->kind);
	if (!code)
		code = watch(c, err);
	for (int i = 0; i < 4; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (code)
		command_free(c);
	else
		hash_put_u64(t->commands, c->id, c);
	return code;
}

void exec_start(struct exec_table *t, const struct builder *b, const struct message *m)
{
	struct err err = { 0 };
	if (start(t, b, m, &err))
		(void)tell_exit(t, m->u.exec.id, 126, err.text);
}
