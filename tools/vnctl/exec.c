/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnctl exec NAME ROUTER -- COMMAND …`: a command inside a router, its standard streams here, its
 * exit code ours. Input is read only as fast as it is sent.
 * `vnctl console NAME ROUTER`: the same way to a router's console, which ends with us and not by itself. Where we have a
 * terminal it is raw meanwhile: all keys are the router's but Ctrl-], which ends. Without one (a pipe) the console ends
 * when the input has ended and nothing has come for a while. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnctl/client.h"

enum { CHUNK = 32768, ESCAPE = ']' - '@', QUIET_MS = 2000 };

struct exec {
	struct client *client;
	struct loop_source *input;
	bool polled; /* stdin can be waited for; a plain file cannot, and is always ready */
	uint64_t id;
	bool console;
	struct loop_source *quiet; /* of a console whose input has ended: since when nothing has come */
};

/* ---- our terminal ---------------------------------------------------------------------------------- */

static struct termios terminal; /* as it was */
static bool raw;

/* Also at exit, whichever way that comes about. */
static void terminal_restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
	raw = false;
}

static void terminal_raw(const char *network, const char *router)
{
	struct termios t;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal) < 0)
		return;
	fprintf(stderr, "vnctl: console of %s in %s; Ctrl-] ends it\n", router, network);
	t = terminal;
	cfmakeraw(&t);
	if (atexit(terminal_restore) || tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
		return;
	raw = true;
}

/* ---- streams ---------------------------------------------------------------------------------------- */

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
		if (e->quiet)
			loop_set_timer(e->quiet, QUIET_MS, 0);
		if (m->u.exec_data.len)
			write_all(m->u.exec_data.stream == 2 ? STDERR_FILENO : STDOUT_FILENO, m->u.exec_data.data, m->u.exec_data.len);
	} else if (m->type == MSG_EXEC_EXIT && m->u.exec_exit.id == e->id) {
		terminal_restore();
		if (m->u.exec_exit.reason && *m->u.exec_exit.reason)
			fprintf(stderr, "vnctl: %s\n", m->u.exec_exit.reason);
		client_end(e->client, m->u.exec_exit.code & 0xff);
	} else if (m->type == MSG_REPLY) {
		terminal_restore();
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

/* The router's side is told; how it ends there is nobody's matter any more. */
static void hang_up(struct exec *e, int code)
{
	struct message m = { .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = e->id, .code = -1 } };
	terminal_restore();
	if (!client_send(e->client, &m, NULL))
		client_end(e->client, code);
}

static void fell_quiet(void *arg)
{
	hang_up(arg, 0);
}

static void input_ready(void *arg, uint32_t events)
{
	struct exec *e = arg;
	uint8_t data[CHUNK];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	const uint8_t *escape = raw && n > 0 ? memchr(data, ESCAPE, (size_t)n) : NULL;
	if (escape)
		n = escape - data;
	if (n > 0 || !escape)
		send_input(e, data, n > 0 ? (size_t)n : 0);
	if (escape) {
		hang_up(e, 0);
		fprintf(stderr, "\nvnctl: console left\n");
	} else if (n <= 0) {
		loop_remove(e->input);
		e->input = NULL;
		if (e->quiet)
			loop_set_timer(e->quiet, QUIET_MS, 0);
	}
}

/* A plain file cannot be waited for with epoll: it is read in turns of the loop. */
static void input_turn(void *arg)
{
	input_ready(arg, EPOLLIN);
}

static void interrupted(void *arg)
{
	hang_up(arg, 130);
}

static int watch(struct exec *e, struct err *err)
{
	struct loop *loop = e->client->loop;
	struct loop_source *source;
	int rc = loop_add_signal(loop, SIGINT, interrupted, e, &source, err);
	if (!rc)
		rc = loop_add_signal(loop, SIGTERM, interrupted, e, &source, err);
	if (!rc)
		rc = loop_add_signal(loop, SIGHUP, interrupted, e, &source, err);
	if (!rc && e->console)
		rc = loop_add_timer(loop, -1, 0, fell_quiet, e, &e->quiet, err);
	if (rc)
		return rc;
	struct err ignored = { 0 };
	rc = loop_add_fd(loop, STDIN_FILENO, EPOLLIN, input_ready, e, &e->input, &ignored);
	return rc == -EPERM ? loop_add_timer(loop, 0, 1, input_turn, e, &e->input, err) :
	       rc           ? err_set(err, rc, "%s", ignored.text) : 0;
}

static int run(const struct settings *s, struct message *m)
{
	struct client c;
	struct err err = { 0 };
	int code = client_open(&c, s);
	if (code)
		return code;
	struct exec e = { .client = &c, .id = m->u.exec.id, .console = m->u.exec.console };
	c.handle = handle;
	c.arg = &e;
	signal(SIGPIPE, SIG_IGN);
	code = client_send(&c, m, NULL);
	if (!code && watch(&e, &err)) {
		fprintf(stderr, "vnctl: standard input: %s\n", err.text);
		code = 70;
	}
	if (!code && e.console)
		terminal_raw(m->u.exec.network, m->u.exec.router);
	if (!code)
		code = client_run(&c, -1);
	terminal_restore();
	client_close(&c);
	return code;
}

int command_console(const struct settings *s, int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: vnctl console NAME ROUTER\n");
		return 2;
	}
	struct message m = { .type = MSG_EXEC,
		             .u.exec = { .id = 1, .network = argv[1], .router = argv[2], .console = true } };
	return run(s, &m);
}

int command_exec(const struct settings *s, int argc, char **argv)
{
	int at = argc > 3 && !strcmp(argv[3], "--") ? 4 : 3;
	if (argc <= at) {
		fprintf(stderr, "usage: vnctl exec NAME ROUTER -- COMMAND ...\n");
		return 2;
	}
	struct message m = { .type = MSG_EXEC,
		             .u.exec = { .id = 1, .network = argv[1], .router = argv[2], .argv = &argv[at],
		                         .argc = (size_t)(argc - at) } };
	return run(s, &m);
}
