/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a vned bears: many agents in one process, which speak the real protocol over the real wire (a key and a connection
 * each) and do at once whatever they are told, as the fake driver does; and clients that submit at a steady rate, whatever
 * has been answered so far. One line of JSON.
 *
 *     build/tests/bench/bench_agents [AGENTS [IDLE_SECONDS [REQUESTS_PER_SECOND [SECONDS]]]]
 *
 * First the agents alone, then the requests, then the agents with all those networks, then vned is killed and started anew.
 * libzmq is used directly: proto/wire has a context, with threads, of its own for each connection. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/vec.h"
#include "proto/keys.h"
#include "proto/message.h"

enum { CLIENTS = 4, TICK_MS = 10, LIMIT_MS = 120000 };

struct held {
	uint32_t net, generation, prepared;
	bool committed;
	uint64_t digest, prepared_digest;
	struct router_load *routers;
	struct port_load *ports;
	size_t n_routers, n_ports, at; /* at: place in the agent's list */
};

struct end { /* of a connection: an agent's or a client's */
	struct fleet *fleet;
	struct identity id;
	void *zmq;
	uint64_t sequence, term;
	bool agent, welcome;
	struct hash *by_net;
	VEC(struct held *) held;
};

struct fleet {
	char dir[64];
	uint16_t port;
	struct identity coordinator;
	void *context;
	int epoll;
	struct end *agents, clients[CLIENTS];
	size_t n_agents, at, welcome, ensures, given_up; /* given_up: how often vned has taken an agent for lost */
	int64_t tick_us;
	pid_t vned;
	/* requests */
	int64_t *asked_us;
	double *took_ms;
	size_t n_asked, n_answered, n_active, n_busy;
	double solve_s; /* of all of them */
	size_t listed;
	char *fault;
	bool listed_all;
};

/* However this ends, the vned that it has started ends with it. */
static pid_t running;

static void end_vned(void)
{
	if (running > 0)
		kill(running, SIGKILL);
}

static void die(const char *what)
{
	fprintf(stderr, "bench_agents: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(int r, const struct err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench_agents: %s\n", err->text);
	exit(1);
}

/* ---- connections ------------------------------------------------------------------------------ */

static void send_message(struct end *e, struct message *m)
{
	uint8_t *data;
	size_t len;
	m->term = e->term;
	m->sequence = ++e->sequence;
	message_pack(m, &data, &len);
	if (zmq_send(e->zmq, data, len, ZMQ_DONTWAIT) < 0)
		die("a message cannot be sent");
	free(data);
}

static void set_bytes(void *zmq, int option, const void *value, size_t len)
{
	if (zmq_setsockopt(zmq, option, value, len) < 0)
		die("a socket option");
}

static void hello(struct end *e)
{
	struct probe_kind kind = { .kind = "netns", .usable = true };
	struct probe_feature feature = { .name = "ospf", .present = true };
	mem_auto struct held_net *held = mem_array(e->held.n + 1, sizeof(*held));
	for (size_t i = 0; i < e->held.n; i++) {
		const struct held *h = e->held.v[i];
		held[i] = (struct held_net){ h->net, h->committed ? h->generation : h->prepared, h->committed, h->prepared, h->digest };
	}
	struct message m = { .type = MSG_HELLO, .u.hello = { .probe = { .version = "bench", .cores = 64, .kinds = &kind, .n_kinds = 1,
		                 .features = &feature, .n_features = 1 }, .term = e->term, .held = held, .n_held = e->held.n } };
	send_message(e, &m);
}

static void connect_end(struct end *e)
{
	struct fleet *f = e->fleet;
	char server[64];
	int linger = 0, again = 50, fd;
	size_t len = sizeof(fd);
	e->zmq = zmq_socket(f->context, ZMQ_DEALER);
	if (!e->zmq)
		die("a socket");
	set_bytes(e->zmq, ZMQ_LINGER, &linger, sizeof(linger));
	set_bytes(e->zmq, ZMQ_RECONNECT_IVL, &again, sizeof(again));
	set_bytes(e->zmq, ZMQ_CURVE_SERVERKEY, f->coordinator.public, 32);
	set_bytes(e->zmq, ZMQ_CURVE_PUBLICKEY, e->id.public, 32);
	set_bytes(e->zmq, ZMQ_CURVE_SECRETKEY, e->id.secret, 32);
	snprintf(server, sizeof(server), "tcp://127.0.0.1:%u", f->port);
	if (zmq_connect(e->zmq, server) < 0 || zmq_getsockopt(e->zmq, ZMQ_FD, &fd, &len) < 0)
		die(server);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = e };
	if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll");
	e->sequence = 0;
	e->welcome = false;
	if (e->agent)
		hello(e);
}

static void disconnect(struct end *e)
{
	zmq_close(e->zmq); /* its descriptor leaves epoll by itself */
	e->zmq = NULL;
}

/* ---- an agent ----------------------------------------------------------------------------------- */

static void drop(struct end *e, struct held *h)
{
	hash_del_u64(e->by_net, h->net);
	e->held.v[h->at] = e->held.v[--e->held.n];
	e->held.v[h->at]->at = h->at;
	free(h->routers);
	free(h->ports);
	free(h);
}

static struct held *take_plan(struct end *e, const struct node_plan *p)
{
	struct err err = { 0 };
	check(node_plan_check(p, &err), &err);
	struct held *h = hash_get_u64(e->by_net, p->net);
	if (!h) {
		h = mem_alloc(sizeof(*h));
		h->net = p->net;
		h->at = e->held.n;
		*vec_add(&e->held) = h;
		hash_put_u64(e->by_net, p->net, h);
	}
	free(h->routers);
	free(h->ports);
	h->n_routers = p->n_routers;
	h->n_ports = p->n_ports;
	h->routers = mem_array(p->n_routers + 1, sizeof(*h->routers));
	h->ports = mem_array(p->n_ports + 1, sizeof(*h->ports));
	for (size_t i = 0; i < p->n_routers; i++)
		h->routers[i] = (struct router_load){ .net = p->net, .router = p->routers[i].id, .state = ROUTER_RUNNING, .mem_kib = 4096 };
	for (size_t i = 0; i < p->n_ports; i++)
		h->ports[i] = (struct port_load){ .net = p->net, .port = p->ports[i].id };
	return h;
}

static void done(struct end *e, const struct message *m)
{
	struct message answer = { .type = MSG_DONE, .net = m->net, .generation = m->generation, .reply_to = m->sequence,
		                      .u.reply = { 0, (char *)(uintptr_t)"" } };
	send_message(e, &answer);
}

static void obey(struct end *e, const struct message *m)
{
	struct held *h = hash_get_u64(e->by_net, m->net);
	if (m->type == MSG_PREPARE) {
		h = take_plan(e, &m->u.plan);
		h->prepared = m->generation;
		h->prepared_digest = node_plan_digest(&m->u.plan);
	} else if (m->type == MSG_COMMIT && h && h->prepared == m->generation) {
		h->committed = true;
		h->generation = h->prepared;
		h->digest = h->prepared_digest;
		h->prepared = 0;
	} else if (m->type == MSG_ENSURE && !node_plan_empty(&m->u.plan)) {
		h = take_plan(e, &m->u.plan);
		h->committed = true;
		h->generation = m->generation;
		h->digest = node_plan_digest(&m->u.plan);
		h->prepared = 0;
		e->fleet->ensures++;
	} else if (h && (m->type == MSG_ENSURE || (m->type == MSG_ABORT && !h->committed))) {
		drop(e, h);
	} else if (h && m->type == MSG_ABORT) {
		h->prepared = 0;
	}
	done(e, m);
}

static void agent_message(struct end *e, const struct message *m)
{
	e->term = m->term > e->term ? m->term : e->term;
	switch (m->type) {
	case MSG_WELCOME:
		e->fleet->welcome += !e->welcome;
		e->welcome = true;
		break;
	case MSG_PREPARE:
	case MSG_COMMIT:
	case MSG_ABORT:
	case MSG_ENSURE:
		obey(e, m);
		break;
	case MSG_REPLY:
		if (!e->fleet->given_up++)
			fprintf(stderr, "bench_agents: %s is told: %s\n", e->id.name, m->u.reply.text);
		if (m->u.reply.code == 3)
			hello(e);
		break;
	default:
		break;
	}
}

/* What a second brings: a heartbeat and a report of everything that it holds. */
static void beat(struct end *e)
{
	struct message m = { .type = MSG_HEARTBEAT };
	size_t n_routers = 0, n_ports = 0;
	if (!e->welcome)
		return;
	send_message(e, &m);
	for (size_t i = 0; i < e->held.n; i++) {
		n_routers += e->held.v[i]->n_routers;
		n_ports += e->held.v[i]->n_ports;
	}
	struct load_report r = { .wall_ms = (uint64_t)clock_wall_ms(), .cpu_permille = 10, .cores = 64, .mem_total_kib = 1 << 26,
		                     .mem_used_kib = 1 << 20 };
	mem_auto struct router_load *routers = r.routers = mem_array(n_routers + 1, sizeof(*routers));
	mem_auto struct port_load *ports = r.ports = mem_array(n_ports + 1, sizeof(*ports));
	for (size_t i = 0; i < e->held.n; i++) {
		const struct held *h = e->held.v[i];
		memcpy(&routers[r.n_routers], h->routers, h->n_routers * sizeof(*routers));
		memcpy(&ports[r.n_ports], h->ports, h->n_ports * sizeof(*ports));
		r.n_routers += h->n_routers;
		r.n_ports += h->n_ports;
	}
	m = (struct message){ .type = MSG_REPORT, .u.report = r };
	send_message(e, &m);
}

/* ---- a client ------------------------------------------------------------------------------------- */

static void client_message(struct end *e, const struct message *m)
{
	struct fleet *f = e->fleet;
	for (size_t i = 0; m->type == MSG_NETWORKS && i < m->u.networks.n; i++) {
		if (!f->asked_us)
			f->listed += m->u.networks.v[i].state == NET_ACTIVE;
		else
			f->solve_s += m->u.networks.v[i].solve_seconds;
	}
	if (m->type != MSG_REPLY)
		return;
	if (!f->asked_us) {
		f->listed_all = true;
		return;
	}
	/* requests go round the clients: the sequence says which it was */
	size_t i = (size_t)(m->reply_to - 1) * CLIENTS + (size_t)(e - f->clients);
	f->took_ms[f->n_answered++] = (double)(clock_us() - f->asked_us[i]) / 1000;
	f->n_active += m->u.reply.code == 0;
	f->n_busy += m->u.reply.code == 3;
	if (m->u.reply.code && !f->fault)
		f->fault = mem_str(m->u.reply.text);
}

/* A chain or a ring of two to five routers, small enough for many to fit. */
static void submit(struct fleet *f)
{
	static unsigned int serial;
	buf_auto struct buf text = BUF_INIT;
	size_t n = 2 + (size_t)(rand() % 4), links = n - (n < 3 || rand() % 2);
	buf_printf(&text, "kind: network\nname: n%u\nnodes:\n", serial++);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "  - {name: r%zu, cpu: 0.%d, memory: 16MiB}\n", i, 1 + rand() % 4);
	buf_str(&text, "links:\n");
	for (size_t i = 0; i < links; i++)
		buf_printf(&text, "  - {endpoints: [r%zu, r%zu], bandwidth: %dmbit}\n", i, (i + 1) % n, 1 + rand() % 10);
	struct message m = { .type = MSG_SUBMIT, .u.submit = { .text = buf_take(&text), .wait_active = true, .file = (char *)(uintptr_t)"n.yaml" } };
	m.u.submit.len = strlen(m.u.submit.text);
	f->asked_us[f->n_asked] = clock_us();
	send_message(&f->clients[f->n_asked++ % CLIENTS], &m);
	free(m.u.submit.text);
}

/* ---- time passes ------------------------------------------------------------------------------------ */

/* Also after each send: that may have taken note of what has come, and its descriptor then tells no more. */
static void work(struct end *e)
{
	for (;;) {
		zmq_msg_t msg;
		struct message m;
		struct err err = { 0 };
		zmq_msg_init(&msg);
		if (!e->zmq || zmq_msg_recv(&msg, e->zmq, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&msg);
			return;
		}
		check(message_unpack(zmq_msg_data(&msg), zmq_msg_size(&msg), &m, &err), &err);
		zmq_msg_close(&msg);
		if (e->agent)
			agent_message(e, &m);
		else
			client_message(e, &m);
		message_done(&m);
	}
}

/* Each agent has its own moment of the second. */
static void beats(struct fleet *f, int64_t now)
{
	if (f->tick_us < now - 1000000)
		f->tick_us = now;
	for (; f->tick_us <= now; f->tick_us += TICK_MS * 1000) {
		for (size_t i = 0; i < (f->n_agents * TICK_MS + 999) / 1000; i++) {
			struct end *e = &f->agents[f->at++ % f->n_agents];
			beat(e);
			work(e);
		}
	}
}

static void step(struct fleet *f)
{
	struct epoll_event events[256];
	int n = epoll_wait(f->epoll, events, 256, 2);
	for (int i = 0; i < n; i++)
		work(events[i].data.ptr);
	beats(f, clock_us());
}

static void run_for(struct fleet *f, double seconds)
{
	for (int64_t until = clock_us() + (int64_t)(seconds * 1e6); clock_us() < until;)
		step(f);
}

static void run_until(struct fleet *f, const size_t *what, size_t enough, const char *name)
{
	for (int64_t until = clock_ms() + LIMIT_MS; *what < enough && clock_ms() < until && waitpid(f->vned, NULL, WNOHANG) == 0;)
		step(f);
	if (*what >= enough)
		return;
	fprintf(stderr, "bench_agents: %s: %zu of %zu; see %s/log\n", name, *what, enough, f->dir);
	exit(1);
}

/* ---- vned ------------------------------------------------------------------------------------------- */

static void write_text(const struct fleet *f, const char *name, const char *text)
{
	mem_auto char *path = mem_printf("%s/%s", f->dir, name);
	FILE *file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		die(path);
}

static void make_identity(const struct fleet *f, const char *name, enum role role, const char *node, struct identity *id)
{
	struct err err = { 0 };
	mem_auto char *path = mem_printf("%s/allowed/%s.pub", f->dir, name);
	check(identity_make(name, role, node, id, &err), &err);
	check(identity_save(id, path, false, &err), &err);
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("a port");
	close(fd);
	return ntohs(a.sin_port);
}

static double distance(const double a[2], const double b[2])
{
	return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

/* Nodes anywhere on a square, in one ring so that all are joined, and each with a link to the three nearest to it. */
static void write_substrate(const struct fleet *f)
{
	enum { NEAREST = 3 };
	buf_auto struct buf text = BUF_INIT;
	double (*at)[2] = mem_array(f->n_agents, sizeof(*at));
	buf_str(&text, "kind: substrate\nname: large\nnodes:\n");
	for (size_t i = 0; i < f->n_agents; i++) {
		buf_printf(&text, "  - {name: n%zu, cpu: 64, memory: 256GiB, address: 10.%zu.%zu.%zu}\n", i, i >> 16 & 255, i >> 8 & 255, i & 255);
		at[i][0] = (double)rand();
		at[i][1] = (double)rand();
	}
	buf_str(&text, "links:\n");
	for (size_t i = 0; i < f->n_agents; i++) {
		size_t near[NEAREST + 1] = { 0 }, n = 0;
		for (size_t k = 0; k < f->n_agents; k++) {
			size_t place = n;
			while (k != i && place && distance(at[i], at[k]) < distance(at[i], at[near[place - 1]]))
				place--;
			if (k == i || place == NEAREST)
				continue;
			memmove(&near[place + 1], &near[place], (NEAREST - place) * sizeof(*near));
			near[place] = k;
			n += n < NEAREST;
		}
		buf_printf(&text, "  - {name: ring%zu, endpoints: [n%zu, n%zu], bandwidth: 10gbit, delay: 1ms}\n", i, i, (i + 1) % f->n_agents);
		for (size_t k = 0; k < NEAREST; k++)
			buf_printf(&text, "  - {name: near%zu-%zu, endpoints: [n%zu, n%zu], bandwidth: 10gbit, delay: 1ms}\n", i, k, i, near[k]);
	}
	write_text(f, "substrate.yaml", buf_cstr(&text));
	free(at);
}

static void set_up(struct fleet *f)
{
	struct err err = { 0 };
	strcpy(f->dir, "/var/tmp/vne-scale-XXXXXX");
	if (!mkdtemp(f->dir))
		die(f->dir);
	mem_auto char *allowed = mem_printf("%s/allowed", f->dir), *key = mem_printf("%s/vned.key", f->dir);
	if (mkdir(allowed, 0700) < 0)
		die(allowed);
	check(identity_make("vned", ROLE_COORDINATOR, NULL, &f->coordinator, &err), &err);
	check(identity_save(&f->coordinator, key, true, &err), &err);
	f->port = free_port();
	mem_auto char *config = mem_printf("kind: vned\nsubstrate: substrate.yaml\nlisten: [\"tcp://127.0.0.1:%u\"]\nkey: vned.key\n"
	                                   "allow: allowed\nstate: state\n", f->port);
	write_text(f, "vned.yaml", config);
	write_substrate(f);
	f->context = zmq_ctx_new();
	zmq_ctx_set(f->context, ZMQ_MAX_SOCKETS, 2 * (int)f->n_agents + 64) /* those that are closed take a moment */;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->agents = mem_array(f->n_agents, sizeof(*f->agents));
	for (size_t i = 0; i < f->n_agents; i++) {
		struct end *e = &f->agents[i];
		char node[32];
		*e = (struct end){ .fleet = f, .agent = true, .by_net = hash_new() };
		snprintf(node, sizeof(node), "n%zu", i);
		make_identity(f, node, ROLE_AGENT, node, &e->id);
	}
	struct identity admin;
	make_identity(f, "admin", ROLE_ADMIN, NULL, &admin);
	for (size_t i = 0; i < CLIENTS; i++)
		f->clients[i] = (struct end){ .fleet = f, .id = admin };
}

static void start_vned(struct fleet *f)
{
	struct err err = { 0 };
	struct child child;
	mem_auto char *here = child_sibling("../.."), *config = mem_printf("%s/vned.yaml", f->dir);
	mem_auto char *command = mem_printf("exec %s/vned --config %s 2>>%s/log", here, config, f->dir);
	const char *argv[] = { "/bin/sh", "-c", command, NULL };
	check(child_spawn(&child, argv, NULL, 0, &err), &err);
	running = f->vned = child.pid;
	for (size_t i = 0; i < f->n_agents; i++)
		connect_end(&f->agents[i]);
	for (size_t i = 0; i < CLIENTS; i++)
		connect_end(&f->clients[i]);
}

static void kill_vned(struct fleet *f)
{
	end_vned();
	running = 0;
	waitpid(f->vned, NULL, 0);
	for (size_t i = 0; i < f->n_agents; i++)
		disconnect(&f->agents[i]);
	for (size_t i = 0; i < CLIENTS; i++)
		disconnect(&f->clients[i]);
	f->welcome = f->ensures = 0;
}

static void tear_down(struct fleet *f)
{
	struct err err = { 0 };
	int status;
	char *out = NULL;
	kill_vned(f);
	zmq_ctx_term(f->context);
	const char *argv[] = { "rm", "-rf", f->dir, NULL };
	check(child_run(argv, NULL, 10000, 4096, &out, &status, &err), &err);
	free(out);
}

/* ---- figures ------------------------------------------------------------------------------------------ */

/* What vned (without its solvers) has used of the processor, in seconds. */
static double cpu_of(const struct fleet *f)
{
	char line[1024];
	unsigned long user = 0, system = 0;
	mem_auto char *path = mem_printf("/proc/%d/stat", (int)f->vned);
	FILE *file = fopen(path, "r");
	if (!file || !fgets(line, sizeof(line), file) ||
	    sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		die(path);
	fclose(file);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static unsigned long status_of(const struct fleet *f, const char *key)
{
	char line[256];
	unsigned long value = 0;
	mem_auto char *path = mem_printf("/proc/%d/status", (int)f->vned);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoul(line + strlen(key) + 1, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static double idle_percent(struct fleet *f, double seconds)
{
	int64_t start = clock_us();
	double before = cpu_of(f);
	run_for(f, seconds);
	return 100 * (cpu_of(f) - before) / ((double)(clock_us() - start) / 1e6);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void requests(struct fleet *f, double rate, double seconds)
{
	size_t n = (size_t)(rate * seconds);
	f->asked_us = mem_array(n + 1, sizeof(*f->asked_us));
	f->took_ms = mem_array(n + 1, sizeof(*f->took_ms));
	int64_t start = clock_us();
	double before = cpu_of(f);
	while (f->n_asked < n) {
		while (f->n_asked < n && f->n_asked < (size_t)((double)(clock_us() - start) * rate / 1e6))
			submit(f);
		for (size_t i = 0; i < CLIENTS; i++)
			work(&f->clients[i]);
		step(f);
	}
	run_until(f, &f->n_answered, n, "answers to requests");
	double took = (double)(clock_us() - start) / 1e6;
	qsort(f->took_ms, f->n_answered, sizeof(*f->took_ms), by_size);
	size_t last = f->n_answered ? f->n_answered - 1 : 0;
	printf("\"requests\": %zu, \"active\": %zu, \"busy\": %zu, \"seconds\": %.2f, \"active_per_s\": %.1f, \"p50_ms\": %.1f, "
	       "\"p95_ms\": %.1f, \"max_ms\": %.1f, \"solve_mean_ms\": %.2f, \"load_cpu_percent\": %.1f, ", f->n_asked, f->n_active, f->n_busy, took,
	       (double)f->n_active / took, f->took_ms[last / 2], f->took_ms[last * 95 / 100], f->took_ms[last],
	       1000 * f->solve_s / (double)(f->n_active + !f->n_active), 100 * (cpu_of(f) - before) / took);
	if (f->fault)
		fprintf(stderr, "bench_agents: the first request that failed: %s\n", f->fault);
	free(f->asked_us);
	free(f->took_ms);
	f->asked_us = NULL;
}

/* From the kill to an answer that comes after every agent was heard and brought to what should be. */
static void restart(struct fleet *f)
{
	struct message list = { .type = MSG_LIST };
	kill_vned(f);
	int64_t start = clock_us();
	start_vned(f);
	run_until(f, &f->welcome, f->n_agents, "agents that are welcome again");
	send_message(&f->clients[0], &list);
	while (!f->listed_all) {
		work(&f->clients[0]);
		step(f);
	}
	printf("\"restart_s\": %.3f, \"restart_active\": %zu, \"restart_ensures\": %zu}\n", (double)(clock_us() - start) / 1e6, f->listed,
	       f->ensures);
}

int main(int argc, char **argv)
{
	struct fleet f = { .n_agents = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000 };
	double idle = argc > 2 ? atof(argv[2]) : 10, rate = argc > 3 ? atof(argv[3]) : 100, seconds = argc > 4 ? atof(argv[4]) : 30;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	if (f.n_agents < 8 || 2 * f.n_agents + 1024 > files.rlim_max || setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("expected 8 agents, and no more than half as many as the hard limit of open files");
	srand(1);
	atexit(end_vned);
	set_up(&f);
	int64_t start = clock_us();
	start_vned(&f);
	run_until(&f, &f.welcome, f.n_agents, "agents that are welcome");
	printf("{\"agents\": %zu, \"connect_s\": %.2f, ", f.n_agents, (double)(clock_us() - start) / 1e6);
	run_for(&f, 2);
	printf("\"idle_cpu_percent\": %.1f, ", idle_percent(&f, idle));
	printf("\"idle_rss_mib\": %lu, \"given_up\": %zu, ", status_of(&f, "VmRSS") >> 10, f.given_up);
	fflush(stdout);
	if (rate > 0)
		requests(&f, rate, seconds);
	fflush(stdout);
	run_for(&f, 2);
	printf("\"after_cpu_percent\": %.1f, ", idle_percent(&f, idle));
	printf("\"after_rss_mib\": %lu, \"peak_rss_mib\": %lu, ", status_of(&f, "VmRSS") >> 10, status_of(&f, "VmHWM") >> 10);
	fflush(stdout);
	restart(&f);
	tear_down(&f);
	return 0;
}
