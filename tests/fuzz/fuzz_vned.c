/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole coordinator to which anything is said in any order: by an admin, two tenants, a viewer, agents, by whoever has a token; messages of any
 * bytes, replayed, out of order, with numbers of others' commands; answers of the solver that are wrong, and agents that come and go. Nothing may
 * crash or leak; and at every moment what is left of the substrate is what its networks do not hold.
 *
 * The wire, the solver and the disk are stand-ins below: what is sent is thrown away but for what an agent has to answer. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "embed/embed.h"
#include "vned/vned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 3, STEPS_MAX = 64, SENT_MAX = 16 };

static const char text[] = "kind: substrate\nname: s\nnodes:\n  - {name: n0, cpu: 4, address: 192.0.2.1}\n  - {name: n1, cpu: 4, address: 192.0.2.2}\n"
                           "  - {name: n2, cpu: 4, address: 192.0.2.3}\nlinks:\n  - {endpoints: [n0, n1], bandwidth: 100mbit}\n"
                           "  - {endpoints: [n1, n2], bandwidth: 100mbit}\n";

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the wire ------------------------------------------------------------------------------------- */

struct wire { int nothing; };
static struct wire the_wire;
static uint64_t sequence;
static struct { uint64_t sequence; uint32_t net, generation; uint8_t node; } sent[SENT_MAX]; /* commands, a ring */
static size_t n_sent;

int wire_send(struct wire *wire, const struct peer *to, struct message *m, struct err *err)
{
	uint8_t *data;
	size_t len;
	(void)wire, (void)err;
	m->sequence = ++sequence;
	message_pack(m, &data, &len); /* as it would be: what cannot be packed shows */
	free(data);
	if (to->role == ROLE_AGENT && (m->type == MSG_PREPARE || m->type == MSG_COMMIT || m->type == MSG_ABORT || m->type == MSG_ENSURE)) {
		sent[n_sent % SENT_MAX].sequence = m->sequence;
		sent[n_sent % SENT_MAX].net = m->net;
		sent[n_sent % SENT_MAX].generation = m->generation;
		sent[n_sent++ % SENT_MAX].node = (uint8_t)(to->node[1] - '0');
	}
	return 0;
}

bool peer_same(const struct peer *a, const struct peer *b)
{
	return a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

int wire_listen(struct loop *loop, const struct wire_server_options *options, struct wire **ret, struct err *err)
{
	(void)loop, (void)options, (void)err;
	*ret = &the_wire;
	return 0;
}

void wire_set_allow(struct wire *wire, const struct allow_list *allow) { (void)wire, (void)allow; }
const char *wire_endpoint(const struct wire *wire) { return wire ? "tcp://127.0.0.1:1" : ""; }
bool wire_peer_allowed(const struct wire *wire, const struct peer *peer) { return wire && peer; }
void wire_cut(struct wire *wire, const struct peer *peer) { (void)wire, (void)peer; }
void wire_close(struct wire *wire) { (void)wire; }

/* Nobody changes the keys; to end a watch takes the kernel 15 ms. */
int inotify_init1(int flags)
{
	(void)flags;
	errno = EMFILE;
	return -1;
}

/* ---- the solver -------------------------------------------------------------------------------------- */

struct job { struct job *next; solve_answer_fn *answer; void *arg; struct solution solution; };
struct solve_pool { struct job *jobs; };

int solve_pool_new(struct loop *loop, const struct solve_options *options, struct solve_pool **ret, struct err *err)
{
	(void)loop, (void)options, (void)err;
	*ret = mem_alloc(sizeof(**ret));
	return 0;
}

int solve_submit(struct solve_pool *pool, struct worker_job *job, uint64_t version, bool first, solve_answer_fn *answer, void *arg, struct err *err)
{
	(void)version, (void)first;
	struct embed_options o = { .solver = "heuristic", .effort = 3, .seed = 1 };
	struct job *j = mem_alloc(sizeof(*j));
	*j = (struct job){ .answer = answer, .arg = arg };
	int r = embed_once(&job->substrate, &job->left, &job->request, &o, &j->solution, err);
	if (r < 0) {
		free(j);
		return r;
	}
	struct job **last = &pool->jobs;
	while (*last)
		last = &(*last)->next;
	*last = j;
	return 0;
}

/* spoilt: as a broken solver might answer. */
static void solver_answers(struct solve_pool *pool, unsigned spoilt)
{
	struct job *j = pool->jobs;
	if (!j)
		return;
	pool->jobs = j->next;
	if (spoilt == 1 && j->solution.has_embedding)
		j->solution.embedding.host[0] = 0;
	if (spoilt == 2)
		j->solution.has_embedding = false;
	j->answer(j->arg, spoilt == 3 ? -EIO : 0, &j->solution);
	solution_done(&j->solution);
	free(j);
}

void solve_pool_free(struct solve_pool *pool)
{
	while (pool && pool->jobs) {
		struct job *next = pool->jobs->next;
		solution_done(&pool->jobs->solution);
		free(pool->jobs);
		pool->jobs = next;
	}
	free(pool);
}

size_t solve_waiting(const struct solve_pool *pool)
{
	size_t n = 0;
	for (const struct job *j = pool->jobs; j; j = j->next)
		n++;
	return n;
}

uint64_t solve_killed(const struct solve_pool *pool) { return pool ? 0 : 1; }

/* ---- the coordinator ---------------------------------------------------------------------------------- */

static char dir[] = "/dev/shm/fuzz-vned-XXXXXX"; /* memory: nothing here is to outlive us */
static struct loop *loop;
static struct loop_source *stop_timer;

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void write_text(const char *name, const char *content)
{
	mem_auto char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	must(f && fputs(content, f) >= 0 && fclose(f) == 0);
}

static void leave(void)
{
	static const char *const files[] = { "substrate.yaml", "vned.key", "state/audit.log", "state/usage.log", "state", "allowed" };
	loop_free(loop);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		mem_auto char *path = mem_printf("%s/%s", dir, files[i]);
		(void)remove(path);
	}
	rmdir(dir);
}

static void prepare_world(void)
{
	struct err err = { 0 };
	log_open("fuzz", LOG_LEVEL_NONE);
	must(mkdtemp(dir) != NULL);
	mem_auto char *state = mem_printf("%s/state", dir), *allowed = mem_printf("%s/allowed", dir);
	must(mkdir(state, 0700) == 0 && mkdir(allowed, 0700) == 0);
	struct identity self;
	mem_auto char *key = mem_printf("%s/vned.key", dir);
	must(identity_make("vned", ROLE_COORDINATOR, NULL, &self, &err) == 0 && identity_save(&self, key, true, &err) == 0);
	write_text("substrate.yaml", text);
	must(loop_new(&loop, &err) == 0 && loop_add_timer(loop, -1, 0, stop, NULL, &stop_timer, &err) == 0);
	atexit(leave);
}

static void turn(void)
{
	struct err err = { 0 };
	loop_set_timer(stop_timer, 0, 0);
	must(loop_run(loop, &err) == 0);
}

static void open_vned(struct vned *v)
{
	struct err err = { 0 };
	struct vned_config c = { .time_limit_us = 1000000, .heartbeat_us = 1000000, .timeout_us = 3000000, .prepare_timeout_us = 30000000,
		                     .guest_timeout_us = 60000000, .routing_timeout_us = 30000000, .repair_after_us = 0, .workers = 1 };
	c.substrate = mem_printf("%s/substrate.yaml", dir);
	c.allow = mem_printf("%s/allowed", dir);
	c.state = mem_printf("%s/state", dir);
	c.solver = mem_str("auto");
	static const char *const logs[] = { "audit.log", "usage.log" };
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		mem_auto char *log = mem_printf("%s/%s", c.state, logs[i]);
		(void)unlink(log); /* each case by itself */
	}
	c.key = mem_printf("%s/vned.key", dir);
	c.store = &store_memory;
	must(vned_open(v, loop, &c, NULL, &err) == 0);
	turn(); /* the term is stored */
	must(v->wire != NULL);
	v->started_ms -= 100000; /* nobody waits for agents that are just coming back */
}

static void assert_counted(const struct vned *v)
{
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++) {
		int64_t all = v->substrate.nodes[i].cap[RES_CPU_MILLI];
		for (size_t k = 0; k < v->n_networks; k++) {
			const struct network *both[2] = { v->networks[k], v->networks[k]->next };
			int64_t most = 0;
			for (size_t b = 0; b < 2 && both[b]; b++) {
				int64_t sum = 0;
				for (size_t r = 0; r < both[b]->request.n_nodes; r++)
					sum += both[b]->embedding.host[r] == i ? both[b]->request.nodes[r].demand[RES_CPU_MILLI] : 0;
				most = sum > most ? sum : most;
			}
			all -= most;
		}
		must(v->left.node[i][RES_CPU_MILLI] == all);
	}
}

/* ---- who speaks, and what ------------------------------------------------------------------------------- */

static struct peer speaker(unsigned which)
{
	static const struct { const char *name; enum role role; const char *node; } all[] = {
		{ "admin", ROLE_ADMIN, "" }, { "alice", ROLE_TENANT, "" }, { "bob", ROLE_TENANT, "" }, { "eve", ROLE_VIEWER, "" },
		{ "n0", ROLE_AGENT, "n0" }, { "n1", ROLE_AGENT, "n1" }, { "n2", ROLE_AGENT, "n2" }, { "stray", ROLE_AGENT, "nowhere" },
	};
	struct peer p = { .id = { 1, (uint8_t)which }, .id_len = 2, .fd = -1, .role = all[which].role };
	strcpy(p.identity, all[which].name);
	strcpy(p.node, all[which].node);
	strcpy(p.address, "192.0.2.9");
	return p;
}

static void say(struct vned *v, const struct peer *peer, struct message *m)
{
	m->sequence = ++sequence;
	vned_message(v, peer, m);
	message_done(m);
}

struct input { const uint8_t *at; size_t left; };

static unsigned take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

/* Any bytes, as libzmq would hand them over: what does not unpack never gets in. */
static void say_bytes(struct vned *v, struct input *in)
{
	struct peer peer = speaker(take(in) % 8);
	size_t len = take(in) | (size_t)take(in) << 8;
	struct message m;
	len = len < in->left ? len : in->left;
	if (message_unpack(in->at, len, &m, NULL) == 0)
		say(v, &peer, &m);
	in->at += len;
	in->left -= len;
}

static void say_request(struct vned *v, struct input *in)
{
	static const enum message_type types[] = { MSG_SUBMIT, MSG_SUBMIT, MSG_UPDATE, MSG_PLAN };
	static const char *const more[] = { "", ", protection: link", ", paths: split", ", max_delay: 1ms" };
	struct peer peer = speaker(take(in) % 4);
	unsigned a = take(in), b = take(in);
	char *yaml = mem_printf("kind: network\nname: w%u\n%snodes:\n  - {name: r1, cpu: %g, place: {on: [n%u]}}\n  - {name: r2, cpu: 0.5}\n%s"
	                        "links:\n  - {endpoints: [r1, r2], bandwidth: %umbit%s}\n", a % 3, a & 64 ? "placement: pack\n" : "", (double)(1 + a / 8 % 8) / 2, b % NODES,
	                        a & 128 ? "  - {name: r3, cpu: 0.25}\n" : "", b / 4 % 16 * 10, b / 4 % 16 ? more[b / 64] : "");
	struct message m = { .type = types[a / 16 % 4], .u.submit = { .text = yaml, .len = strlen(yaml), .wait_active = b & 1, .file = mem_str("f"), .network = mem_str("") } };
	say(v, &peer, &m);
}

static void say_name(struct vned *v, struct input *in)
{
	static const enum message_type types[] = { MSG_RELEASE, MSG_SHOW, MSG_HISTORY, MSG_ROUTES };
	static const char *const owners[] = { "", "alice/", "bob/", "admin/" };
	unsigned a = take(in);
	struct peer peer = speaker(take(in) % 4);
	struct message m = { .type = types[a % 4], .u.name.name = mem_printf("%sw%u", owners[a / 4 % 4], a / 16 % 3) };
	say(v, &peer, &m);
}

static void say_hello(struct vned *v, struct input *in)
{
	struct peer peer = speaker(4 + take(in) % 4);
	unsigned a = take(in);
	struct message m = { .type = MSG_HELLO };
	peer.id[2] = (uint8_t)(a & 1); /* a second connection of the same */
	peer.id_len = 3;
	m.u.hello.term = a & 2 ? v->term + a : 0;
	m.u.hello.probe.n_kinds = 1;
	m.u.hello.probe.kinds = mem_alloc(sizeof(struct probe_kind));
	*m.u.hello.probe.kinds = (struct probe_kind){ .kind = "netns", .usable = !(a & 4) };
	m.u.hello.n_held = a & 8 ? 1 : 0;
	m.u.hello.held = mem_alloc(sizeof(struct held_net));
	*m.u.hello.held = (struct held_net){ .net = 1 + a / 16 % 4, .generation = a / 64, .committed = a & 32, .prepared = a & 64 ? 2 : 0 };
	say(v, &peer, &m);
}

/* An answer to one of the last commands, by whom it was sent to or by another. */
static void say_done(struct vned *v, struct input *in)
{
	unsigned a = take(in), which = n_sent ? a % (n_sent < SENT_MAX ? n_sent : SENT_MAX) : 0;
	unsigned by = a & 64 ? take(in) % NODES : sent[which].node % NODES;
	struct peer peer = speaker(4 + by);
	peer.id_len = 3;
	struct message m = { .type = MSG_DONE, .net = sent[which].net, .generation = sent[which].generation, .reply_to = sent[which].sequence,
		                 .u.reply = { a & 128 ? -EIO : 0, mem_str(a & 128 ? "it broke" : "") } };
	say(v, &peer, &m);
}

static void say_report(struct vned *v, struct input *in)
{
	struct peer peer = speaker(4 + take(in) % 4);
	unsigned a = take(in), b = take(in);
	struct message m = { .type = MSG_REPORT };
	struct load_report *r = &m.u.report;
	peer.id_len = 3;
	r->cpu_permille = a;
	r->n_routers = r->n_ports = r->n_segments = 1;
	r->routers = mem_alloc(sizeof(*r->routers));
	r->ports = mem_alloc(sizeof(*r->ports));
	r->segments = mem_alloc(sizeof(*r->segments));
	*r->routers = (struct router_load){ .net = 1 + a % 4, .router = b % 8, .state = (enum router_state)(b / 16 % 4), .cpu_us = a * 1000u };
	*r->ports = (struct port_load){ .net = 1 + a % 4, .port = b & 128 ? UINT32_MAX - b : b, .tx_bytes = a * UINT64_C(0x10000000000) };
	*r->segments = (struct segment_load){ .net = 1 + a % 4, .vni = b };
	say(v, &peer, &m);
}

static void step(struct vned *v, struct input *in)
{
	switch (take(in) % 10) {
	case 0:
		say_bytes(v, in);
		break;
	case 1:
		say_request(v, in);
		break;
	case 2:
		say_name(v, in);
		break;
	case 3:
		say_hello(v, in);
		break;
	case 4:
	case 5:
		say_done(v, in);
		break;
	case 6:
		say_report(v, in);
		break;
	case 7:
		solver_answers(v->pool, take(in) % 16);
		break;
	case 8:
		vned_tick(v);
		break;
	default: {
		struct peer peer = speaker(0);
		unsigned a = take(in);
		struct message m = { .type = MSG_DRAIN, .u.drain = { mem_printf("n%u", a % 4), a & 4 } };
		say(v, &peer, &m);
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct vned v = { 0 };
	if (!loop)
		prepare_world();
	sequence = 0;
	n_sent = 0;
	memset(sent, 0, sizeof(sent));
	open_vned(&v);
	for (int i = 0; i < STEPS_MAX && in.left && !v.exit_code; i++) {
		step(&v, &in);
		turn();
		assert_counted(&v);
	}
	vned_close(&v);
	turn();
	return 0;
}
