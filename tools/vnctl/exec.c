/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnctl exec NAME ROUTER -- COMMAND …`: a command inside a router, its standard streams here, its
 * exit code ours. Input is read only as fast as it is sent. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnctl/client.h"

enum { CHUNK = 32768 };

struct exec {
	struct client *client;
	struct loop_source *input;
	bool polled; /* stdin can be waited for; a plain file cannot, and is always ready */
	uint64_t id;
};

static void write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno != EINTR)
			return; /* nobody reads our output any more */
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static void handle(void *arg, struct message *m)
{
	struct exec *e = arg;
	if (m->type == MSG_EXEC_OUTPUT && m->u.exec_data.id == e->id) {
		if (m->u.exec_data.len)
			write_all(m->u.exec_data.stream == 2 ? STDERR_FILENO : STDOUT_FILENO, m->u.exec_data.data, m->u.exec_data.len);
	} else if (m->type == MSG_EXEC_EXIT && m->u.exec_exit.id == e->id) {
		if (m->u.exec_exit.reason && *m->u.exec_exit.reason)
			fprintf(stderr, "vnctl: %s\n", m->u.exec_exit.reason);
		client_end(e->client, m->u.exec_exit.code & 0xff);
	} else if (m->type == MSG_REPLY) {
		if (m->u.reply.text && *m->u.reply.text)
			fprintf(stderr, "vnctl: %s\n", m->u.reply.text);
		if (m->u.reply.code)
			client_end(e->client, m->u.reply.code);
	}
}

static void send_input(struct exec *e, uint8_t *data, size_t len)
{
	struct message m = { .type = MSG_EXEC_INPUT, .u.exec_data = { .id = e->id, .data = data, .len = len } };
	if (client_send(e->client, &m, NULL))
		client_end(e->client, 3);
}

static void input_ready(void *arg, uint32_t events)
{
	struct exec *e = arg;
	uint8_t data[CHUNK];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	send_input(e, data, n > 0 ? (size_t)n : 0);
	if (n <= 0) {
		loop_remove(e->input);
		e->input = NULL;
	}
}

/* A plain file cannot be waited for with epoll: it is read in turns of the loop. */
static void input_turn(void *arg)
{
	input_ready(arg, EPOLLIN);
}

static void interrupted(void *arg)
{
	struct exec *e = arg;
	struct message m = { .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = e->id, .code = -1 } };
	if (!client_send(e->client, &m, NULL))
		client_end(e->client, 130);
}

static int watch(struct exec *e, struct err *err)
{
	struct loop *loop = e->client->loop;
	struct loop_source *source;
	int rc = loop_add_signal(loop, SIGINT, interrupted, e, &source, err);
	if (!rc)
		rc = loop_add_signal(loop, SIGTERM, interrupted, e, &source, err);
	if (rc)
		return rc;
	struct err ignored = { 0 };
	rc = loop_add_fd(loop, STDIN_FILENO, EPOLLIN, input_ready, e, &e->input, &ignored);
	return rc == -EPERM ? loop_add_timer(loop, 0, 1, input_turn, e, &e->input, err) :
	       rc           ? err_set(err, rc, "%s", ignored.text) : 0;
}

int command_exec(const struct settings *s, int argc, char **argv)
{
	struct client c;
	struct err err = { 0 };
	int at = argc > 3 && !strcmp(argv[3], "--") ? 4 : 3;
	if (argc <= at) {
		fprintf(stderr, "usage: vnctl exec NAME ROUTER -- COMMAND ...\n");
		return 2;
	}
	int code = client_open(&c, s);
	if (code)
		return code;
	struct exec e = { .client = &c, .id = 1 };
	struct message m = { .type = MSG_EXEC,
		             .u.exec = { .id = e.id, .network = argv[1], .router = argv[2], .argv = &argv[at],
		                         .argc = (size_t)(argc - at) } };
	c.handle = handle;
	c.arg = &e;
	signal(SIGPIPE, SIG_IGN);
	code = client_send(&c, &m, NULL);
	if (!code && watch(&e, &err)) {
		fprintf(stderr, "vnctl: standard input: %s\n", err.text);
		code = 70;
	}
	if (!code)
		code = client_run(&c, -1);
	client_close(&c);
	return code;
}
