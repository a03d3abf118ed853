/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection to vned, used one question at a time: the loop turns until the answer has
 * ended, the connection is lost, or time is up. */
#include "tools/vnctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto/wire.h"

void client_end(struct client *c, int code)
{
	if (!c->over)
		c->code = code;
	c->over = true;
	loop_stop(c->loop);
}

void client_tell(struct client *c, const char *text)
{
	struct winsize size = { 0 };
	c->told = isatty(STDERR_FILENO);
	if (c->told) /* wider than the terminal it would not be one line */
		(void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	if (c->told)
		fprintf(stderr, "\r%.*s\033[K", size.ws_col > 1 ? size.ws_col - 1 : 79, text);
	else
		fprintf(stderr, "%s\n", text);
	fflush(stderr);
}

void client_told(struct client *c)
{
	if (c->told)
		fputs("\r\033[K", stderr);
	c->told = false;
}

static void fail(struct client *c, int code, const char *why)
{
	client_told(c);
	if (!c->over)
		fprintf(stderr, "vnctl: %s\n", why);
	client_end(c, code);
}

/* A reason of several lines carries its own places (file:line:column). */
static void print_reason(int code, const char *text)
{
	if (!text || !*text)
		return;
	size_t n = strlen(text);
	fprintf(stderr, "%s%s%s", code == 2 && strchr(text, ':') ? "" : "vnctl: ", text, text[n - 1] == '\n' ? "" : "\n");
}

struct question {
	struct client *client;
	void (*each)(void *arg, struct message *m);
	void *arg;
	bool needs_reply; /* ends with a REPLY, whatever `more` says */
};

static void answer(struct question *q, struct message *m)
{
	struct client *c = q->client;
	if (m->type == MSG_REPLY) {
		client_told(c);
		if (m->u.reply.code)
			print_reason(m->u.reply.code, m->u.reply.text);
		client_end(c, (int)m->u.reply.code);
		if (!m->u.reply.code && m->u.reply.text[0] && q->each)
			q->each(q->arg, m); /* it says what was done */
		return;
	}
	bool last = !m->more && !q->needs_reply;
	if (q->each)
		q->each(q->arg, m);
	if (last)
		client_end(c, 0);
}

static void message(void *arg, struct message *m)
{
	struct client *c = arg;
	if (c->handle)
		c->handle(c->arg, m);
}

static void state(void *arg, enum wire_state s, const char *why)
{
	struct client *c = arg;
	bool was_up = c->up;
	c->up = s == WIRE_UP;
	if (s == WIRE_UP && !was_up)
		client_end(c, 0);
	else if (s == WIRE_REFUSED)
		fail(c, 1, why);
	else if (s == WIRE_DOWN)
		fail(c, 3, why);
}

static void too_late(void *arg)
{
	struct client *c = arg;
	fail(c, 3, c->up ? "vned did not answer in time; --timeout allows more" : "vned cannot be reached in time");
}

int client_run(struct client *c, int64_t timeout_us)
{
	struct err err = { 0 };
	loop_set_timer(c->deadline, timeout_us < 0 ? -1 : (timeout_us + 999) / 1000, 0);
	if (!c->over && loop_run(c->loop, &err)) {
		fprintf(stderr, "vnctl: %s\n", err.text);
		return 70;
	}
	c->over = false;
	return c->code;
}

int client_open(struct client *c, const struct settings *s)
{
	struct err err = { 0 };
	*c = (struct client){ .settings = s };
	bool local = !strncmp(s->server, "ipc://", 6); /* who may open the socket file needs no key */
	int rc = local ? 0 : identity_load(s->key, &c->self, &err);
	if (!rc && !local)
		rc = identity_load(s->server_key, &c->server, &err);
	if (rc) {
		fprintf(stderr, "vnctl: %s\n", err.text);
		return 2;
	}
	struct wire_client_options options = { .server = s->server, .self = &c->self, .server_public = c->server.public,
		                               .message = message, .state = state, .arg = c };
	rc = loop_new(&c->loop, &err);
	if (!rc)
		rc = loop_add_timer(c->loop, -1, 0, too_late, c, &c->deadline, &err);
	if (!rc)
		rc = wire_connect(c->loop, &options, &c->wire, &err);
	if (rc) {
		fprintf(stderr, "vnctl: %s\n", err.text);
		client_close(c);
		return rc == -EINVAL ? 2 : 70;
	}
	int code = client_run(c, s->timeout_us);
	if (code)
		client_close(c);
	return code;
}

void client_close(struct client *c)
{
	wire_close(c->wire);
	loop_free(c->loop);
	c->wire = NULL;
	c->loop = NULL;
}

int client_send(struct client *c, struct message *m, uint64_t *ret_sequence)
{
	struct err err = { 0 };
	if (wire_send(c->wire, NULL, m, &err)) {
		fprintf(stderr, "vnctl: %s\n", err.text);
		return 3;
	}
	if (ret_sequence)
		*ret_sequence = m->sequence;
	return 0;
}

static void dispatch(void *arg, struct message *m)
{
	struct question *q = arg;
	if (m->reply_to == q->client->asked)
		answer(q, m);
}

int client_ask(struct client *c, struct message *m, int64_t timeout_us, void (*each)(void *arg, struct message *m),
               void *arg)
{
	struct question q = { c, each, arg, m->type == MSG_SUBMIT || m->type == MSG_PLAN || m->type == MSG_RELEASE };
	void (*handle)(void *, struct message *) = c->handle;
	void *handle_arg = c->arg;
	int code = client_send(c, m, &c->asked);
	if (code)
		return code;
	c->handle = dispatch;
	c->arg = &q;
	code = client_run(c, timeout_us);
	c->handle = handle;
	c->arg = handle_arg;
	c->asked = 0;
	return code;
}

void keep_message(void *arg, struct message *m)
{
	struct kept *kept = arg;
	message_done(&kept->m);
	kept->m = *m;
	memset(m, 0, sizeof(*m)); /* taken: nothing is left to free */
}
