/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands that ask one thing and show the answer. What is sent is not judged here: vned
 * reads the file as it is, and its errors name the file as the user did. */
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/view_write.h"
#include "model/yaml.h"
#include "tools/vnctl/client.h"

int print_result(const struct settings *s, struct writer *w)
{
	buf_auto struct buf out = BUF_INIT;
	writer_finish(w, &out);
	if (fwrite(buf_cstr(&out), 1, out.len, stdout) != out.len || fflush(stdout)) {
		perror("vnctl: standard output");
		return 70;
	}
	return 0;
}

static int usage(const char *text)
{
	fprintf(stderr, "usage: vnctl %s\n", text);
	return 2;
}

/* Asks one question on a connection of its own and keeps the last answer. */
static int ask_once(const struct settings *s, struct message *m, struct kept *ret)
{
	struct client c;
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, m, s->timeout_us, keep_message, ret);
	client_close(&c);
	return code;
}

/* ---- networks ------------------------------------------------------------------------------ */

/* Map of a network, text only. Its want of nodes and links is no error: then there is no map. */
static void print_map(struct client *c, const struct network_view *v)
{
	struct message ask_nodes = { .type = MSG_NODES }, ask_links = { .type = MSG_LINKS };
	struct kept nodes = { 0 }, links = { 0 };
	buf_auto struct buf out = BUF_INIT;
	if (v->detailed && v->n_routers && !client_ask(c, &ask_nodes, c->settings->timeout_us, keep_message, &nodes) &&
	    !client_ask(c, &ask_links, c->settings->timeout_us, keep_message, &links) && nodes.m.type == MSG_NODE_LIST &&
	    links.m.type == MSG_LINK_LIST)
		map_draw(nodes.m.u.nodes.v, nodes.m.u.nodes.n, links.m.u.links.v, links.m.u.links.n, v,
		         !strcmp(nl_langinfo(CODESET), "UTF-8"), &out);
	if (out.len)
		printf("\n%s\n", buf_cstr(&out));
	message_done(&nodes.m);
	message_done(&links.m);
}

static int print_networks(struct client *c, const struct kept *answer, bool list)
{
	const struct settings *s = c->settings;
	int code = 0;
	if (answer->m.type != MSG_NETWORKS)
		return 0;
	size_t n = answer->m.u.networks.n;
	const struct network_view *v = answer->m.u.networks.v;
	if (s->json || list) {
		struct writer *w = settings_writer(s);
		if (list)
			write_network_views(w, NULL, "", v, n);
		else
			write_network_view(w, &v[0]);
		return print_result(s, w);
	}
	for (size_t i = 0; i < n && !code; i++) {
		if (v[i].state == NET_REJECTED)
			continue; /* there is nothing to see but the reason, and that stands on stderr */
		struct writer *w = settings_writer(s);
		write_network_view(w, &v[i]);
		code = print_result(s, w);
		print_map(c, &v[i]);
	}
	return code;
}

struct submitted {
	struct client *client;
	struct kept answer;
};

static void take_submitted(void *arg, struct message *m)
{
	struct submitted *s = arg;
	if (m->type != MSG_PROGRESS) {
		keep_message(&s->answer, m);
		return;
	}
	mem_auto char *text = mem_printf("%s: %s: %u of %u routers %s", m->u.progress.network, m->u.progress.stage, m->u.progress.ready,
	                                 m->u.progress.all, strcmp(m->u.progress.stage, "routing") ? "ready" : "converged");
	client_tell(s->client, text);
}

static int submit_or_plan(const struct settings *s, enum message_type type, const char *network, const char *file, bool wait_active)
{
	struct client c;
	struct err err = { 0 };
	struct submitted got = { .client = &c };
	mem_auto char *text = NULL;
	size_t len;
	if (yaml_load_file(file, &text, &len, &err)) {
		fprintf(stderr, "vnctl: %s\n", err.text);
		return 2;
	}
	struct message m = { .type = type,
		             .u.submit = { .text = text, .len = len, .wait_active = wait_active, .network = (char *)network,
		                           .file = (char *)(strcmp(file, "-") ? file : "<stdin>") } };
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, s->timeout_us, take_submitted, &got);
	if (got.answer.m.type == MSG_NETWORKS) {
		bool many = s->json || got.answer.m.u.networks.n != 1;
		int printed = print_networks(&c, &got.answer, s->json && many);
		code = code ? code : printed;
	}
	message_done(&got.answer.m);
	client_close(&c);
	return code;
}

int command_submit(const struct settings *s, int argc, char **argv)
{
	if (argc != 2)
		return usage("submit FILE [--wait accepted|active] [--timeout 30s]");
	return submit_or_plan(s, MSG_SUBMIT, NULL, argv[1], !s->wait_accepted);
}

int command_update(const struct settings *s, int argc, char **argv)
{
	if (argc != 2 && argc != 3)
		return usage("update [NAME] FILE [--wait accepted|active] [--timeout 30s]");
	return submit_or_plan(s, MSG_UPDATE, argc == 3 ? argv[1] : NULL, argv[argc - 1], !s->wait_accepted);
}

int command_plan(const struct settings *s, int argc, char **argv)
{
	if (argc != 2)
		return usage("plan FILE");
	return submit_or_plan(s, MSG_PLAN, NULL, argv[1], false);
}

int command_release(const struct settings *s, int argc, char **argv)
{
	struct kept answer = { 0 };
	if (argc != 2)
		return usage("release NAME");
	struct message m = { .type = MSG_RELEASE, .u.name = { .name = argv[1] } };
	int code = ask_once(s, &m, &answer);
	message_done(&answer.m);
	if (!code && s->json) {
		struct writer *w = settings_writer(s);
		write_object(w, NULL, NULL);
		write_string(w, "name", NULL, argv[1]);
		write_string(w, "state", NULL, net_state_names[NET_RELEASED]);
		write_end(w);
		code = print_result(s, w);
	} else if (!code) {
		printf("%s is released\n", argv[1]);
	}
	return code;
}

static int drain_or_undrain(const struct settings *s, int argc, char **argv, bool undrain)
{
	struct kept answer = { 0 };
	if (argc != 2)
		return usage(undrain ? "undrain NODE" : "drain NODE [--timeout 30s]");
	struct message m = { .type = MSG_DRAIN, .u.drain = { .node = argv[1], .undrain = undrain } };
	int code = ask_once(s, &m, &answer);
	message_done(&answer.m);
	if (!code && s->json) {
		struct writer *w = settings_writer(s);
		write_object(w, NULL, NULL);
		write_string(w, "name", NULL, argv[1]);
		write_bool(w, "drained", NULL, !undrain);
		write_end(w);
		code = print_result(s, w);
	} else if (!code) {
		printf(undrain ? "%s takes routers again\n" : "%s is empty, and nothing is placed there\n", argv[1]);
	}
	return code;
}

int command_drain(const struct settings *s, int argc, char **argv)
{
	return drain_or_undrain(s, argc, argv, false);
}

int command_undrain(const struct settings *s, int argc, char **argv)
{
	return drain_or_undrain(s, argc, argv, true);
}

int command_reload(const struct settings *s, int argc, char **argv)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_RELOAD };
	(void)argv;
	if (argc != 1)
		return usage("reload");
	int code = ask_once(s, &m, &answer);
	if (!code && answer.m.type == MSG_REPLY)
		printf("%s\n", answer.m.u.reply.text);
	message_done(&answer.m);
	return code;
}

int command_list(const struct settings *s, int argc, char **argv)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_LIST };
	if (argc != 1)
		return usage("list");
	int code = ask_once(s, &m, &answer);
	if (!code && answer.m.type == MSG_NETWORKS) {
		struct writer *w = settings_writer(s);
		write_network_views(w, NULL, "", answer.m.u.networks.v, answer.m.u.networks.n);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	return code;
}

static int show_history(const struct settings *s, const char *name)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_HISTORY, .u.name = { .name = (char *)(uintptr_t)name } };
	int code = ask_once(s, &m, &answer);
	if (!code && answer.m.type == MSG_HISTORY_LIST) {
		struct writer *w = settings_writer(s);
		write_history_views(w, NULL, "", answer.m.u.history.v, answer.m.u.history.n);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	return code;
}

static int by_router(const void *a, const void *b)
{
	const struct routes_view *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

struct gathered {
	struct routes_view *v;
	size_t n;
};

/* Each answer has one router, or several; they come as the routers are ready. */
static void gather_routes(void *arg, struct message *m)
{
	struct gathered *g = arg;
	if (m->type != MSG_ROUTE_LIST || !m->u.routes.n)
		return;
	g->v = mem_grow(g->v, g->n + m->u.routes.n, sizeof(*g->v));
	memcpy(&g->v[g->n], m->u.routes.v, m->u.routes.n * sizeof(*g->v));
	g->n += m->u.routes.n;
	m->u.routes.n = 0; /* they are ours */
}

static int show_routes(const struct settings *s, const char *name)
{
	struct client c;
	struct gathered g = { 0 };
	struct message m = { .type = MSG_ROUTES, .u.name = { .name = (char *)(uintptr_t)name } };
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, s->timeout_us, gather_routes, &g);
	if (g.n) {
		qsort(g.v, g.n, sizeof(*g.v), by_router);
		struct writer *w = settings_writer(s);
		write_routes_views(w, NULL, "", g.v, g.n);
		int printed = print_result(s, w);
		code = code ? code : printed;
	}
	for (size_t i = 0; i < g.n; i++)
		routes_view_done(&g.v[i]);
	free(g.v);
	client_close(&c);
	return code;
}

int command_show(const struct settings *s, int argc, char **argv)
{
	struct client c;
	struct kept answer = { 0 };
	if (argc == 2 && s->history)
		return show_history(s, argv[1]);
	if (argc == 2 && s->routes)
		return show_routes(s, argv[1]);
	if (argc != 2)
		return usage("show NAME [--history|--routes]");
	struct message m = { .type = MSG_SHOW, .u.name = { .name = argv[1] } };
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, s->timeout_us, keep_message, &answer);
	if (!code && answer.m.type == MSG_NETWORKS && answer.m.u.networks.n)
		code = print_networks(&c, &answer, false);
	message_done(&answer.m);
	client_close(&c);
	return code;
}

/* ---- the substrate ------------------------------------------------------------------------- */

int command_nodes(const struct settings *s, int argc, char **argv)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_NODES };
	if (argc != 1)
		return usage("nodes");
	int code = ask_once(s, &m, &answer);
	if (!code && answer.m.type == MSG_NODE_LIST) {
		struct writer *w = settings_writer(s);
		write_node_views(w, NULL, "", answer.m.u.nodes.v, answer.m.u.nodes.n);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	return code;
}

int command_links(const struct settings *s, int argc, char **argv)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_LINKS };
	if (argc != 1)
		return usage("links");
	int code = ask_once(s, &m, &answer);
	if (!code && answer.m.type == MSG_LINK_LIST) {
		struct writer *w = settings_writer(s);
		write_slink_views(w, NULL, "", answer.m.u.links.v, answer.m.u.links.n);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	return code;
}

/* ---- events -------------------------------------------------------------------------------- */

struct events {
	const struct settings *settings;
	bool follow;
};

/* Followed ones are written as they come, JSON as one object after another. */
static void show_events(void *arg, struct message *m)
{
	const struct events *e = arg;
	if (m->type != MSG_EVENT_LIST)
		return;
	if (!e->follow) {
		struct writer *w = settings_writer(e->settings);
		write_event_views(w, NULL, "", m->u.events_list.v, m->u.events_list.n);
		print_result(e->settings, w);
		return;
	}
	for (size_t i = 0; i < m->u.events_list.n; i++) {
		struct writer *w = settings_writer(e->settings);
		write_event_view(w, &m->u.events_list.v[i]);
		if (print_result(e->settings, w))
			exit(70); /* nobody reads on */
	}
}

int command_events(const struct settings *s, int argc, char **argv)
{
	struct client c;
	struct events e = { s, s->follow };
	if (argc != 1)
		return usage("events [--follow]");
	struct message m = { .type = MSG_EVENTS, .u.events = { .follow = e.follow } };
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, e.follow ? -1 : s->timeout_us, show_events, &e);
	client_close(&c);
	return code;
}
