/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to operations, results to messages; see agent.h. */
#include "vnagent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/exec.h"
#include "vnagent/proc.h"
#include "vnagent/routes.h"
#include "vnagent/underlay.h"

enum { SEQUENCE_BITS = 48, SOON_MS = 50, PERIOD_MIN_MS = 10, PERIOD_MAX_MS = 60000, NEIGHBOURS_MS = 2000 };
#define SEQUENCE_MASK ((UINT64_C(1) << SEQUENCE_BITS) - 1)

struct agent {
	struct agent_options options;
	struct builder *builder;
	struct exec_table *commands;
	struct routes *routes;
	struct wire *wire;
	enum wire_state wire_state;
	uint64_t connection; /* counts connections: an answer goes only where the question came from */
	struct node_usage usage; /* of the last report */
	bool report_failed;
	char *refused;            /* what vned has said last of why it does not take this agent; NULL: it does */
	struct node_probe known;  /* the underlay's addresses, as the hello had them */
	char **down;              /* of them, as last reported */
	size_t n_down;
	struct loop_source *soon; /* a report before its time */
	struct loop_source *neighbours;
	struct addr server; /* family 0: told by name */
	struct watch *watch;
	void (*welcome)(void *arg, uint32_t heartbeat_ms, uint32_t report_ms);
	void *welcome_arg;
};

/* ---- sending --------------------------------------------------------------------------------- */
static int send_message(void *arg, struct message *m)
{
	struct agent *a = arg;
	struct err err = { 0 };
	if (a->wire_state != WIRE_UP)
		return -EHOSTUNREACH;
	m->term = state_term(a->options.state);
	return wire_send(a->wire, NULL, m, &err);
}

static void say_done(struct agent *a, const struct message *question, int code, const char *text)
{
	struct message m = { .type = MSG_DONE, .net = question->net, .generation = question->generation,
		             .reply_to = question->sequence, .u.reply = { .code = code, .text = (char *)text } };
	if (send_message(a, &m))
		log_warn("network %u: an answer could not be sent; vned will ask again", question->net);
}

static void say_hello(struct agent *a)
{
	struct node_probe probe = *a->options.probe;
	struct load_report outside = { 0 };
	struct message m = { .type = MSG_HELLO };
	probe.mtus = NULL;
	probe.n_mtus = 0;
	underlay_mtus(&probe);
	uplinks_probe(&a->options.config->uplinks, a->options.probe, &outside.uplinks, &outside.n_uplinks);
	probe.uplinks = outside.uplinks;
	probe.n_uplinks = outside.n_uplinks;
	m.u.hello.probe = probe;
	m.u.hello.term = state_term(a->options.state);
	builder_held(a->builder, &m.u.hello.held, &m.u.hello.n_held);
	if (send_message(a, &m))
		log_warn("hello could not be sent");
	free(a->known.mtus);
	a->known.mtus = probe.mtus;
	a->known.n_mtus = probe.n_mtus;
	load_report_done(&outside);
	free(m.u.hello.held);
}

/* ---- what the builder says --------------------------------------------------------------------- */
static void built(void *arg, const struct build_result *r)
{
	struct agent *a = arg;
	static const char *const names[] = { "prepare", "commit", "abort", "ensure", "repair" };
	if (r->code)
		log_warn("network %u, generation %u: %s: %s", r->net, r->generation, names[r->op], r->text);
	else
		log_debug("network %u, generation %u: %s done", r->net, r->generation, names[r->op]);
	if (r->cookie >> SEQUENCE_BITS != (a->connection & 0xffff))
		return; /* whoever asked is not there any more, and will see what is held */
	struct message question = { .net = r->net, .generation = r->generation, .sequence = r->cookie & SEQUENCE_MASK };
	say_done(a, &question, r->code, r->text);
}

static void progressed(void *arg, uint32_t net, uint64_t cookie, uint32_t ready, uint32_t all)
{
	struct agent *a = arg;
	if (cookie >> SEQUENCE_BITS != (a->connection & 0xffff))
		return;
	struct message m = { .type = MSG_PROGRESS, .net = net, .reply_to = cookie & SEQUENCE_MASK,
		             .u.progress = { ready, all, (char *)"routers", NULL } };
	(void)send_message(a, &m); /* the next one tells more */
}

static void noticed(void *arg, uint32_t net, const char *object, const char *what)
{
	struct agent *a = arg;
	char named[128];
	log_warn("network %u: %s: %s", net, object, what);
	snprintf(named, sizeof(named), "network %u: %s", net, object);
	struct message m = { .type = MSG_NOTICE, .net = net, .u.notice = { named, (char *)what } };
	(void)send_message(a, &m);
}

static void report_soon(void *arg)
{
	agent_report(arg);
}

static void free_texts(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

/* What vned should know at once: a way of the underlay is gone, or is there again. */
static void links_changed(void *arg)
{
	struct agent *a = arg;
	char **down;
	size_t n;
	underlay_down(&a->known, &down, &n);
	bool same = n == a->n_down;
	for (size_t i = 0; same && i < n; i++)
		same = !strcmp(down[i], a->down[i]);
	free_texts(down, n);
	if (!same && a->soon)
		loop_set_timer(a->soon, 0, 0);
}

/* Several at once are one report. */
static void routed(void *arg)
{
	struct agent *a = arg;
	if (a->soon)
		loop_set_timer(a->soon, SOON_MS, 0);
}

static void keep_neighbours(void *arg)
{
	struct agent *a = arg;
	builder_keep_neighbours(a->builder, a->server.family ? &a->server : NULL);
}

/* Of tcp://ADDRESS:PORT; a name is not looked up for this. */
static void find_server(struct agent *a, const char *server)
{
	char text[ADDR_TEXT];
	struct err err = { 0 };
	const char *at = server && !strncmp(server, "tcp://", 6) ? server + 6 : "", *end = strrchr(at, ':');
	if (*at == '[' && end && end[-1] == ']') {
		at++;
		end--;
	}
	if (!end || (size_t)(end - at) >= sizeof(text))
		return;
	snprintf(text, sizeof(text), "%.*s", (int)(end - at), at);
	if (addr_parse(text, &a->server, &err))
		a->server.family = 0;
}

/* ---- what is heard of links --------------------------------------------------------------------- */
static struct link_heard link_heard(const struct watch_link_state *s)
{
	return (struct link_heard){ (char *)s->slink, s->gone || s->state > WATCH_DOWN ? HEARD_UNKNOWN : (enum heard)s->state, (char *)s->why };
}

static struct guard_heard guard_heard(const struct watch_guard_state *s)
{
	enum heard good[2];
	for (int k = 0; k < 2; k++)
		good[k] = s->good[k] > WATCH_DOWN ? HEARD_UNKNOWN : (enum heard)s->good[k];
	return (struct guard_heard){ s->net, s->port, s->active == 1, good[0], good[1], s->switches, (char *)s->why };
}

static void link_changed(void *arg, const struct watch_link_state *s)
{
	struct link_heard heard = link_heard(s);
	struct message m = { .type = MSG_WATCH, .u.watch = { .links = &heard, .n_links = 1 } };
	(void)send_message(arg, &m); /* whoever connects next is told all */
}

static void guard_changed(void *arg, const struct watch_guard_state *s)
{
	struct guard_heard heard = guard_heard(s);
	struct message m = { .type = MSG_WATCH, .u.watch = { .guards = &heard, .n_guards = 1 } };
	(void)send_message(arg, &m);
}

struct hearing {
	VEC(struct link_heard) links;
	VEC(struct guard_heard) guards;
};

static void add_link(void *arg, const struct watch_link_state *s)
{
	*vec_add(&((struct hearing *)arg)->links) = link_heard(s);
}

static void add_guard(void *arg, const struct watch_guard_state *s)
{
	*vec_add(&((struct hearing *)arg)->guards) = guard_heard(s);
}

static void say_heard(struct agent *a)
{
	struct hearing h = { 0 };
	if (!a->watch)
		return;
	watch_each_link(a->watch, add_link, &h);
	watch_each_guard(a->watch, add_guard, &h);
	struct message m = { .type = MSG_WATCH,
		             .u.watch = { true, h.links.v, h.links.n, h.guards.v, h.guards.n } };
	(void)send_message(a, &m);
	vec_done(&h.links);
	vec_done(&h.guards);
}

static void keep(void *arg, uint32_t net, enum build_slot slot, const struct node_plan *plan)
{
	struct agent *a = arg;
	struct err err = { 0 };
	if (state_set_plan(a->options.state, net, slot, plan, &err))
		log_error("network %u: its plan cannot be kept, a restart would not find it: %s", net, err.text);
}

/* ---- what the coordinator says ---------------------------------------------------------------- */
/* Only the newest coordinator is obeyed. */
static int obey(struct agent *a, const struct message *m, struct err *err)
{
	uint64_t term = state_term(a->options.state);
	if (m->term < term)
		return err_set(err, -ESTALE, "term %" PRIu64 " is older than %" PRIu64 ", which this agent obeys", m->term, term);
	if (m->term > term)
		return state_set_term(a->options.state, m->term, err);
	return 0;
}

static void command(struct agent *a, struct message *m, enum build_op op)
{
	struct err err = { 0 };
	bool has_plan = op == BUILD_PREPARE || op == BUILD_ENSURE;
	int code = obey(a, m, &err);
	if (!code && m->net == 0)
		code = err_set(&err, -EINVAL, "network 0");
	if (!code && has_plan && (m->u.plan.net != m->net || m->u.plan.generation != m->generation))
		code = err_set(&err, -EINVAL, "the plan is of network %u, generation %u", m->u.plan.net, m->u.plan.generation);
	if (!code && has_plan && !node_plan_empty(&m->u.plan))
		code = node_plan_check(&m->u.plan, &err);
	if (code) {
		log_warn("network %u, generation %u: refused: %s", m->net, m->generation, err.text);
		say_done(a, m, code, err.text);
		return;
	}
	uint64_t cookie = (a->connection & 0xffff) << SEQUENCE_BITS | (m->sequence & SEQUENCE_MASK);
	builder_start(a->builder, op, m->net, m->generation, has_plan ? &m->u.plan : NULL, cookie);
}

static void welcomed(struct agent *a, const struct message *m)
{
	uint32_t heartbeat = m->u.welcome.heartbeat_ms, report = m->u.welcome.report_ms;
	struct err err = { 0 };
	if (obey(a, m, &err)) {
		log_warn("vned: %s", err.text);
		return;
	}
	if (heartbeat < PERIOD_MIN_MS || heartbeat > PERIOD_MAX_MS || report < PERIOD_MIN_MS || report > PERIOD_MAX_MS) {
		log_warn("vned wishes a heartbeat every %u ms and a report every %u ms; both must be %d to %d", heartbeat, report,
		         PERIOD_MIN_MS, PERIOD_MAX_MS);
		return;
	}
	free(a->refused);
	a->refused = NULL;
	log_info("vned takes this agent for node %s", m->u.welcome.node ? m->u.welcome.node : "?");
	if (a->welcome)
		a->welcome(a->welcome_arg, heartbeat, report);
	agent_heartbeat(a);
	say_heard(a);
	agent_report(a);
}

static void replied(struct agent *a, const struct message *m)
{
	const char *text = m->u.reply.text ? m->u.reply.text : "refused";
	if (m->u.reply.code == 0)
		return;
	if (!a->refused || strcmp(a->refused, text) != 0) /* once, not with every heartbeat */
		log_warn("vned: %s", text);
	free(a->refused);
	a->refused = mem_str(text);
	if (m->u.reply.code == 3) /* it has given this connection up */
		say_hello(a);
}

static void answer_plane(struct agent *a, const struct message *m)
{
	struct message answer;
	build_plane_answer(a->builder, m, &answer);
	(void)send_message(a, &answer); /* else vned says that it has not come */
	message_done(&answer);
}

static void received(void *arg, struct message *m)
{
	struct agent *a = arg;
	struct err err = { 0 };
	switch (m->type) {
	case MSG_WELCOME:
		welcomed(a, m);
		break;
	case MSG_PREPARE:
		command(a, m, BUILD_PREPARE);
		break;
	case MSG_COMMIT:
		command(a, m, BUILD_COMMIT);
		break;
	case MSG_ABORT:
		command(a, m, BUILD_ABORT);
		break;
	case MSG_ENSURE:
		command(a, m, BUILD_ENSURE);
		break;
	case MSG_EXEC:
		if (!obey(a, m, &err))
			exec_start(a->commands, a->builder, m);
		break;
	case MSG_EXEC_INPUT:
		exec_input(a->commands, m);
		break;
	case MSG_EXEC_EXIT:
		exec_end(a->commands, m->u.exec_exit.id);
		break;
	case MSG_ROUTES:
		if (!obey(a, m, &err))
			routes_ask(a->routes, a->builder, m);
		break;
	case MSG_PLANE:
		if (!obey(a, m, &err))
			answer_plane(a, m);
		break;
	case MSG_REPLY:
		replied(a, m);
		break;
	case MSG_HEARTBEAT:
		break;
	default:
		log_warn("vned sends %s, which no agent takes", message_type_name(m->type));
	}
}

static void wire_changed(void *arg, enum wire_state state, const char *why)
{
	struct agent *a = arg;
	if (state == a->wire_state)
		return;
	a->wire_state = state;
	if (state == WIRE_UP) {
		a->connection++;
		log_info("connected to %s", a->options.config->server);
		say_hello(a);
		return;
	}
	exec_end_all(a->commands);
	routes_end_all(a->routes);
	if (state == WIRE_REFUSED)
		log_error("%s refuses us: %s", a->options.config->server, why ? why : "is our key in its allow-list?");
	else if (state == WIRE_DOWN)
		log_warn("connection to %s lost%s%s; networks go on", a->options.config->server, why && *why ? ": " : "", why ? why : "");
}

/* ---- what goes out by the clock -------------------------------------------------------------------- */
void agent_heartbeat(void *arg)
{
	struct message m = { .type = MSG_HEARTBEAT };
	(void)send_message(arg, &m); /* silence tells, too */
}

void agent_report(void *arg)
{
	struct agent *a = arg;
	struct message m = { .type = MSG_REPORT };
	struct load_report *r = &m.u.report;
	struct node_usage now;
	struct err err = { 0 };
	if (a->wire_state != WIRE_UP)
		return;
	proc_node_usage(&now);
	uint64_t total = now.total - a->usage.total, busy = now.busy - a->usage.busy;
	r->cpu_permille = total && busy <= total ? (uint32_t)(busy * 1000 / total) : 0;
	r->cores = now.cores;
	r->mem_total_kib = now.mem_total_kib;
	r->mem_used_kib = now.mem_used_kib;
	r->wall_ms = (uint64_t)clock_wall_ms();
	a->usage = now;
	uplinks_probe(&a->options.config->uplinks, a->options.probe, &r->uplinks, &r->n_uplinks);
	underlay_down(&a->known, &r->down, &r->n_down);
	int code = builder_load(a->builder, r, &err);
	if (code && !a->report_failed)
		log_error("counters cannot be read: %s", err.text);
	a->report_failed = code != 0;
	(void)send_message(a, &m); /* where vned does not keep up, the next one has it all */
	free_texts(a->down, a->n_down);
	a->down = r->down;
	a->n_down = r->n_down;
	r->down = NULL;
	r->n_down = 0;
	load_report_done(r);
}

void agent_on_welcome(struct agent *a, void (*welcome)(void *arg, uint32_t heartbeat_ms, uint32_t report_ms), void *arg)
{
	a->welcome = welcome;
	a->welcome_arg = arg;
}

/* ---- life ---------------------------------------------------------------------------------------- */
static void restore(void *arg, const struct node_plan *committed, const struct node_plan *prepared)
{
	struct agent *a = arg;
	builder_restore(a->builder, committed, prepared);
	log_info("network %u: held from before", committed ? committed->net : prepared->net);
}

static void bad_file(void *arg, const char *file, const char *why)
{
	log_error("state file %s is left out: %s", file, why);
}

int agent_new(const struct agent_options *options, struct agent **ret, struct err *err)
{
	struct agent *a = mem_alloc(sizeof(*a));
	a->options = *options;
	a->wire_state = WIRE_DOWN;
	struct build_options build = { .loop = options->loop, .spawner = options->spawner, .cgroup = options->cgroup,
		                       .kinds = options->kinds, .uplinks = &options->config->uplinks,
		                       .controllers = options->config->controllers, .n_controllers = options->config->n_controllers, .programs = &options->config->programs,
		                       .underlay = options->config->underlay, .n_underlay = options->config->n_underlay, .result = built, .progress = progressed, .notice = noticed, .links = links_changed, .routed = routed,
		                       .store = keep, .arg = a };
	struct watch_options watch = { .loop = options->loop, .dir = options->config->state, .link = link_changed, .guard = guard_changed, .arg = a };
	if (options->spawner && options->config->state) /* else there is no data plane here */
		build.watch = a->watch = watch_new(&watch);
	a->commands = exec_table_new(options->loop, send_message, a);
	a->routes = routes_new(options->loop, send_message, a);
	proc_node_usage(&a->usage);
	int code = loop_add_timer(options->loop, PERIOD_MAX_MS, 0, report_soon, a, &a->soon, err);
	if (!code)
		code = builder_new(&build, &a->builder, err);
	find_server(a, options->config->server);
	if (!code)
		code = loop_add_timer(options->loop, NEIGHBOURS_MS, NEIGHBOURS_MS, keep_neighbours, a, &a->neighbours, err);
	if (!code)
		code = state_each(options->state, restore, bad_file, a, err);
	if (code) {
		agent_free(a);
		return code;
	}
	builder_sweep(a->builder);
	*ret = a;
	return 0;
}

int agent_connect(struct agent *a, struct err *err)
{
	struct wire_client_options wire = { .server = a->options.config->server, .self = a->options.self,
		                            .server_public = a->options.server_public, .message = received,
		                            .state = wire_changed, .arg = a };
	return wire_connect(a->options.loop, &wire, &a->wire, err);
}

bool agent_leave(struct agent *a)
{
	bool left = builder_leave(a->builder);
	if (left && a->watch)
		watch_leave(a->watch);
	return left;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	a->wire_state = WIRE_DOWN;
	loop_remove(a->soon);
	loop_remove(a->neighbours);
	a->soon = NULL;
	exec_table_free(a->commands);
	routes_free(a->routes);
	builder_free(a->builder);
	watch_free(a->watch);
	wire_close(a->wire);
	free(a->known.mtus);
	free_texts(a->down, a->n_down);
	free(a->refused);
	free(a);
}
