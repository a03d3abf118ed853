/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See routes.h. Commands go through a table of our own (exec.h), whose messages come back to us instead of the wire. */
#include "vnagent/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/exec.h"

enum { AT_ONCE = 16, TEXT_BYTES = 1 << 20, JOBS_MAX = 1 << 16, WORDS_MAX = 64, WORD_BYTES = 80 };

struct job { /* one router's answer to one question */
	uint64_t id, reply_to;
	struct router_key key;
	bool started;
	int64_t until_ms;
	struct buf out;
	bool cut;
	char why[SPAWN_TEXT_MAX]; /* "": its output tells */
};

struct routes {
	struct loop *loop;
	int (*send)(void *arg, struct message *m);
	void *arg;
	const struct builder *builder;
	struct exec_table *commands;
	struct loop_source *timer; /* goes on with what has ended, waits, or is late */
	VEC(struct job *) jobs; /* in order of asking */
	VEC(uint64_t) ended;
	uint64_t last;
};

/* ---- reading ------------------------------------------------------------------------------------------- */
static bool is_type(const char *word)
{
	static const char *const types[] = { "unicast", "unreachable", "blackhole", "prohibit", "throw" };
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(word, types[i]))
			return true;
	return false;
}

static void add(struct routes_view *ret, const char *to, const char *via, const char *device, const char *protocol, uint32_t metric)
{
	if (ret->n_routes >= ROUTES_SHOWN_MAX) {
		ret->left_out++;
		return;
	}
	ret->routes = mem_grow(ret->routes, ret->n_routes + 1, sizeof(*ret->routes));
	ret->routes[ret->n_routes++] = (struct route_view){ mem_str(to), mem_str(via), mem_str(device), mem_str(protocol), metric };
}

/* One line; written over. `nexthop` begins another way to the same. */
static void read_line(char *line, bool v6, struct routes_view *ret)
{
	char *words[WORDS_MAX], *save = NULL;
	const char *via = "", *device = "", *protocol = "";
	uint32_t metric = 0;
	size_t n = 0, at = 0, ways = 0;
	for (char *w = strtok_r(line, " \t\\\r", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " \t\\\r", &save))
		if (strlen(w) < WORD_BYTES)
			words[n++] = w;
	if (n && is_type(words[0])) {
		via = strcmp(words[0], "unicast") ? words[0] : "";
		at = 1;
	}
	if (at >= n || (strcmp(words[at], "default") && !strpbrk(words[at], ".:")))
		return; /* also what is not a way to others: local, broadcast, multicast, anycast */
	const char *to = strcmp(words[at], "default") ? words[at] : v6 ? "::/0" : "0.0.0.0/0";
	for (at++; at < n; at++) {
		if (!strcmp(words[at], "nexthop")) {
			if (ways++)
				add(ret, to, via, device, protocol, metric);
			via = device = "";
		}
		if (at + 1 >= n)
			break;
		if (!strcmp(words[at], "via"))
			via = words[++at];
		else if (!strcmp(words[at], "inet6") || !strcmp(words[at], "inet"))
			via = words[++at]; /* a next hop of the other family */
		else if (!strcmp(words[at], "dev"))
			device = words[++at];
		else if (!strcmp(words[at], "proto"))
			protocol = words[++at];
		else if (!strcmp(words[at], "metric"))
			metric = (uint32_t)strtoul(words[++at], NULL, 10);
		if (!strcmp(via, "inet6") || !strcmp(via, "inet"))
			via = at + 1 < n ? words[++at] : "";
	}
	add(ret, to, via, device, protocol, metric);
}

/* A tenant's word: what is not ASCII would not be text on the wire, and vned would refuse the whole answer. */
static void clean(char *text)
{
	for (char *c = text; *c; c++)
		if (!strchr("\n\t\r", *c) && (*c < ' ' || *c > '~'))
			*c = '?';
}

void routes_read(const char *text, struct routes_view *ret)
{
	char *copy = mem_str(text), *rest = copy, *line;
	bool v6 = false;
	clean(copy);
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			v6 = true;
		else
			read_line(line, v6, ret);
	}
	free(copy);
}

/* ---- answers -------------------------------------------------------------------------------------------- */
static void free_job(struct job *j)
{
	buf_done(&j->out);
	free(j);
}

static struct job *find(struct routes *r, uint64_t id, size_t *ret_at)
{
	for (size_t i = 0; i < r->jobs.n; i++)
		if (r->jobs.v[i]->id == id) {
			*ret_at = i;
			return r->jobs.v[i];
		}
	return NULL;
}

/* Tells what is known, and forgets the job. why NULL: its output is the answer. */
static void tell(struct routes *r, size_t at, const char *why)
{
	struct job *j = r->jobs.v[at];
	struct routes_view v = { .id = j->key.router, .router = mem_str(""), .node = mem_str(""), .why = mem_str(why ? why : "") };
	struct message m = { .type = MSG_ROUTE_LIST, .net = j->key.net, .reply_to = j->reply_to, .u.routes = { &v, 1 } };
	builder_neighbours(r->builder, j->key, &v.neighbours, &v.n_neighbours);
	if (!why)
		routes_read(buf_cstr(&j->out), &v);
	v.left_out += j->cut; /* how many, nobody knows */
	(void)r->send(r->arg, &m);
	routes_view_done(&v);
	if (j->started)
		exec_end(r->commands, j->id);
	free_job(j);
	memmove(&r->jobs.v[at], &r->jobs.v[at + 1], (--r->jobs.n - at) * sizeof(*r->jobs.v));
}

/* Enough is enough: then it is told what there is, up to the last whole line. */
static void add_output(struct routes *r, struct job *j, const char *data, size_t len)
{
	size_t room = TEXT_BYTES - j->out.len;
	if (!len || j->cut || memchr(data, 0, len))
		return;
	if (len <= room) {
		buf_add(&j->out, data, len);
		return;
	}
	buf_add(&j->out, data, room);
	while (j->out.len && j->out.data[j->out.len - 1] != '\n')
		j->out.len--;
	j->out.data[j->out.len] = 0;
	j->cut = true;
	*vec_add(&r->ended) = j->id;
	loop_set_timer(r->timer, 0, 0);
}

/* What the table of commands would send to vned. It is in the middle of its own work: jobs end later. */
static int caught(void *arg, struct message *m)
{
	struct routes *r = arg;
	size_t at;
	struct job *j = find(r, m->type == MSG_EXEC_OUTPUT ? m->u.exec_data.id : m->u.exec_exit.id, &at);
	if (!j)
		return 0;
	if (m->type == MSG_EXEC_OUTPUT) {
		if (m->u.exec_data.stream == 1)
			add_output(r, j, (const char *)m->u.exec_data.data, m->u.exec_data.len);
		return 0;
	}
	*vec_add(&r->ended) = j->id;
	if (m->u.exec_exit.reason && *m->u.exec_exit.reason)
		snprintf(j->why, sizeof(j->why), "%s", m->u.exec_exit.reason);
	else if (m->u.exec_exit.code && !j->out.len)
		snprintf(j->why, sizeof(j->why), "`ip route` inside it ended with code %d", m->u.exec_exit.code);
	loop_set_timer(r->timer, 0, 0);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------------------- */
static void start(struct routes *r, struct job *j)
{
	static char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"ip -4 -o route; echo; ip -6 -o route" };
	struct message m = { .type = MSG_EXEC, .net = j->key.net,
		             .u.exec = { .id = j->id, .router_id = j->key.router, .argv = (char **)argv, .argc = 3 } };
	struct message no_input = { .type = MSG_EXEC_INPUT, .u.exec_data = { .id = j->id } };
	j->started = true;
	exec_start(r->commands, r->builder, &m);
	exec_input(r->commands, &no_input);
}

static void go_on(void *arg)
{
	struct routes *r = arg;
	size_t running = 0, at;
	int64_t now = clock_ms(), next = -1;
	for (size_t i = 0; i < r->ended.n; i++) {
		struct job *j = find(r, r->ended.v[i], &at);
		if (j)
			tell(r, at, j->why[0] ? j->why : NULL);
	}
	r->ended.n = 0;
	for (size_t i = 0; i < r->jobs.n;)
		if (r->jobs.v[i]->until_ms <= now)
			tell(r, i, "it has not answered in time");
		else
			i++;
	for (size_t i = 0; i < r->jobs.n; i++)
		running += r->jobs.v[i]->started;
	for (size_t i = 0; i < r->jobs.n; i++) {
		struct job *j = r->jobs.v[i];
		if (!j->started && running < AT_ONCE) {
			start(r, j);
			running++;
		}
		if (next < 0 || j->until_ms - now < next)
			next = j->until_ms - now;
	}
	loop_set_timer(r->timer, r->ended.n ? 0 : next, 0);
}

struct routes *routes_new(struct loop *loop, int (*send)(void *arg, struct message *m), void *arg)
{
	struct routes *r = mem_alloc(sizeof(*r));
	struct err err = { 0 };
	*r = (struct routes){ .loop = loop, .send = send, .arg = arg };
	r->commands = exec_table_new(loop, caught, r);
	if (loop_add_timer(loop, -1, 0, go_on, r, &r->timer, &err))
		r->timer = NULL; /* then nobody is answered, and vned says so */
	return r;
}

static int64_t limit_ms(const struct builder *b, uint32_t net, uint32_t router)
{
	const struct router_driver *driver;
	struct err err;
	void *self;
	bool found = builder_find_router(b, (struct router_key){ net, router }, &driver, &self, &err) == 0;
	return found && kind_is_guest(driver->kind) ? ROUTES_GUEST_MS : ROUTES_MS;
}

void routes_ask(struct routes *r, const struct builder *b, const struct message *m)
{
	mem_auto uint32_t *routers = NULL;
	size_t n;
	if (!r->timer)
		return;
	r->builder = b;
	builder_routers(b, m->net, &routers, &n);
	for (size_t i = 0; i < n && r->jobs.n < JOBS_MAX; i++) {
		struct job *j = mem_alloc(sizeof(*j));
		*j = (struct job){ .id = ++r->last, .reply_to = m->sequence, .key = { m->net, routers[i] }, .until_ms = clock_ms() + limit_ms(b, m->net, routers[i]) };
		*vec_add(&r->jobs) = j;
	}
	loop_set_timer(r->timer, 0, 0);
}

void routes_end_all(struct routes *r)
{
	if (!r)
		return;
	exec_end_all(r->commands);
	for (size_t i = 0; i < r->jobs.n; i++)
		free_job(r->jobs.v[i]);
	r->jobs.n = r->ended.n = 0;
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	routes_end_all(r);
	exec_table_free(r->commands);
	loop_remove(r->timer);
	vec_done(&r->jobs);
	vec_done(&r->ended);
	free(r);
}
