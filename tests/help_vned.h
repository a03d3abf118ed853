/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A coordinator, agents that only pretend, and a client, in one process and one loop: real keys,
 * real wire, real store, real solver; no kernel objects. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/mem.h"
#include "proto/wire.h"
#include "vned/vned.h"

enum { FAKES = 3, HELD_MAX = 8 };

enum fake_mode { FAKE_OBEYS, FAKE_REFUSES_PREPARE, FAKE_REFUSES, FAKE_SILENT, FAKE_HOLDS_PREPARE, FAKE_HOLDS_COMMIT };

struct fake_net {
	uint32_t net, generation, prepared;
	bool committed;
	uint64_t digest, prepared_digest;
	size_t routers;
};

struct fake { /* an agent that does what it is told, in memory */
	struct wire *wire;
	struct identity id;
	struct loop_source *beat;
	enum fake_mode mode;
	bool up, welcome, mute; /* mute: no heartbeats either */
	uint64_t term;
	struct fake_net nets[HELD_MAX];
	size_t n_nets, ensures, commits, aborts, hellos, refusals; /* refusals: replies that say that it is not taken */
	uint64_t exec_id;
	uint32_t exec_router;
	bool exec_console;
	enum message_type exec_heard;
	struct message held; /* the last PREPARE, without its plan */
	const char *feature; /* what it announces, or NULL */
	const struct probe_kind *guests; /* a kind beside netns that it offers, or NULL */
	const char *image;   /* what it has for them, or NULL */
	const struct probe_uplink *uplink; /* the one that it has, or NULL */
	const char *program; /* likewise */
};

struct world {
	struct loop *loop;
	struct loop_source *poll, *limit;
	char dir[64];
	struct identity coordinator, admin, viewer, tenant;
	char *endpoint;
	struct vned v;
	bool vned_open, ready, timed_out;
	struct fake fakes[FAKES];
	struct wire *client;
	bool client_up;
	bool replied;
	int code;
	char *text;
	size_t replies, unavailable; /* all so far, and those with code 3 */
	uint64_t aside; /* the reply to this one is counted, no more; 0: none */
	struct message answer; /* the last that is no reply */
	struct buf events;     /* what happened, a line each */
	bool (*until)(struct world *w);
};

/* ---- the loop, until something holds ---------------------------------------------------------- */

static inline void world_poll(void *arg)
{
	struct world *w = arg;
	if (w->until(w))
		loop_stop(w->loop);
}

static inline void world_limit(void *arg)
{
	struct world *w = arg;
	w->timed_out = true;
	loop_stop(w->loop);
}

static inline bool world_run(struct world *w, bool (*until)(struct world *w), int64_t limit_ms)
{
	w->until = until;
	w->timed_out = false;
	loop_set_timer(w->poll, 0, 2);
	loop_set_timer(w->limit, limit_ms, 0);
	assert_int_equal(loop_run(w->loop, NULL), 0);
	return !w->timed_out;
}

/* ---- fake agents -------------------------------------------------------------------------------- */

static inline struct fake_net *fake_find(struct fake *f, uint32_t net)
{
	for (size_t i = 0; i < f->n_nets; i++) {
		if (f->nets[i].net == net)
			return &f->nets[i];
	}
	return NULL;
}

static inline struct fake_net *fake_get(struct fake *f, uint32_t net)
{
	struct fake_net *n = fake_find(f, net);
	if (n)
		return n;
	assert_true(f->n_nets < HELD_MAX);
	f->nets[f->n_nets] = (struct fake_net){ .net = net };
	return &f->nets[f->n_nets++];
}

static inline void fake_drop(struct fake *f, uint32_t net)
{
	struct fake_net *n = fake_find(f, net);
	if (n)
		*n = f->nets[--f->n_nets];
}

static inline void fake_send(struct fake *f, struct message *m)
{
	struct err err;
	m->term = f->term;
	(void)!wire_send(f->wire, NULL, m, &err);
}

static inline void fake_done(struct fake *f, const struct message *m, int code, const char *text)
{
	struct message done = { .type = MSG_DONE, .net = m->net, .generation = m->generation, .reply_to = m->sequence,
		                    .u.reply = { code, (char *)(uintptr_t)text } };
	fake_send(f, &done);
}

static inline void fake_hello(struct fake *f)
{
	struct probe_kind kinds[2] = { { .kind = "netns", .usable = true } };
	if (f->guests)
		kinds[1] = *f->guests;
	struct probe_feature feature = { .present = true };
	snprintf(feature.name, sizeof(feature.name), "%s", f->feature ? f->feature : "");
	struct held_net held[HELD_MAX];
	for (size_t i = 0; i < f->n_nets; i++)
		held[i] = (struct held_net){ f->nets[i].net, f->nets[i].committed ? f->nets[i].generation : f->nets[i].prepared,
			                         f->nets[i].committed, f->nets[i].prepared, f->nets[i].digest };
	struct message m = { .type = MSG_HELLO, .u.hello = { .probe = { .version = "fake", .cores = 4, .kinds = kinds,
		                 .n_kinds = f->guests ? 2 : 1, .images = (char **)(uintptr_t)&f->image, 
		                 .n_images = f->image != NULL, .uplinks = (struct probe_uplink *)(uintptr_t)f->uplink, .n_uplinks = f->uplink != NULL,
		                 .programs = (char **)(uintptr_t)&f->program, .n_programs = f->program != NULL, .features = &feature, .n_features = f->feature != NULL }, .term = f->term, .held = held, .n_held = f->n_nets } };
	f->hellos++;
	fake_send(f, &m);
}

static inline void fake_prepare(struct fake *f, const struct message *m)
{
	if (f->mode == FAKE_SILENT)
		return;
	if (f->mode == FAKE_REFUSES_PREPARE || f->mode == FAKE_REFUSES) {
		fake_done(f, m, -ENOSPC, "no room here");
		return;
	}
	struct err err = { 0 };
	if (node_plan_check(&m->u.plan, &err) < 0)
		fail_msg("plan: %s", err.text);
	struct fake_net *n = fake_get(f, m->net);
	n->prepared = m->generation;
	n->prepared_digest = node_plan_digest(&m->u.plan);
	n->routers = m->u.plan.n_routers;
	f->held = (struct message){ .net = m->net, .generation = m->generation, .sequence = m->sequence };
	if (f->mode != FAKE_HOLDS_PREPARE)
		fake_done(f, m, 0, "");
}

static inline void fake_message(void *arg, struct message *m)
{
	struct fake *f = arg;
	if (m->term > f->term)
		f->term = m->term;
	switch (m->type) {
	case MSG_WELCOME:
		f->welcome = true;
		break;
	case MSG_PREPARE:
		fake_prepare(f, m);
		break;
	case MSG_COMMIT: {
		if (f->mode == FAKE_HOLDS_COMMIT)
			break;
		struct fake_net *n = fake_find(f, m->net);
		f->commits++;
		if (!n || n->prepared != m->generation)
			fail_msg("commit of what was not prepared");
		n->committed = true;
		n->generation = n->prepared;
		n->digest = n->prepared_digest;
		n->prepared = 0;
		fake_done(f, m, 0, "");
		break;
	}
	case MSG_ABORT: {
		struct fake_net *n = fake_find(f, m->net);
		f->aborts++;
		if (n && !n->committed)
			fake_drop(f, m->net);
		else if (n)
			n->prepared = 0;
		fake_done(f, m, 0, "");
		break;
	}
	case MSG_ENSURE:
		f->ensures++;
		if (f->mode == FAKE_SILENT)
			break;
		if (node_plan_empty(&m->u.plan)) {
			fake_drop(f, m->net);
		} else if (f->mode == FAKE_REFUSES) {
			fake_done(f, m, -ENOSPC, "no room here");
			break;
		} else {
			struct fake_net *n = fake_get(f, m->net);
			*n = (struct fake_net){ .net = m->net, .generation = m->generation, .committed = true,
				                    .digest = node_plan_digest(&m->u.plan), .routers = m->u.plan.n_routers };
		}
		fake_done(f, m, 0, "");
		break;
	case MSG_EXEC:
		f->exec_id = m->u.exec.id;
		f->exec_router = m->u.exec.router_id;
		f->exec_console = m->u.exec.console;
		break;
	case MSG_EXEC_INPUT:
	case MSG_EXEC_EXIT:
		f->exec_heard = m->type;
		break;
	case MSG_REPLY:
		f->refusals += m->u.reply.code == 1;
		if (m->u.reply.code == 3)
			fake_hello(f);
		break;
	default:
		break;
	}
}

static inline void fake_state(void *arg, enum wire_state state, const char *why)
{
	struct fake *f = arg;
	f->up = state == WIRE_UP;
	f->welcome = false;
	if (f->up)
		fake_hello(f);
}

static inline void fake_beat(void *arg)
{
	struct fake *f = arg;
	struct message m = { .type = MSG_HEARTBEAT };
	if (f->up && !f->mute)
		fake_send(f, &m);
}

static inline void fake_start(struct world *w, size_t i)
{
	struct fake *f = &w->fakes[i];
	struct wire_client_options o = { .server = w->endpoint, .self = &f->id, .server_public = w->coordinator.public,
		                             .message = fake_message, .state = fake_state, .arg = f };
	assert_int_equal(wire_connect(w->loop, &o, &f->wire, NULL), 0);
	assert_int_equal(loop_add_timer(w->loop, 50, 50, fake_beat, f, &f->beat, NULL), 0);
}

static inline void fake_stop(struct fake *f) /* what it holds stays, as kernel objects would */
{
	wire_close(f->wire);
	loop_remove(f->beat);
	f->wire = NULL;
	f->beat = NULL;
	f->up = f->welcome = false;
}

/* ---- the client ----------------------------------------------------------------------------------- */

static inline void client_message(void *arg, struct message *m)
{
	struct world *w = arg;
	if (m->type == MSG_REPLY) {
		w->replied = true;
		w->replies++;
		if (w->aside && m->reply_to == w->aside)
			return;
		w->unavailable += m->u.reply.code == 3;
		w->code = m->u.reply.code;
		free(w->text);
		w->text = mem_str(m->u.reply.text);
		return;
	}
	if (m->type == MSG_EVENT_LIST) {
		for (size_t i = 0; i < m->u.events_list.n; i++)
			buf_printf(&w->events, "%s %s\n", m->u.events_list.v[i].object, m->u.events_list.v[i].what);
		return;
	}
	if (m->type == MSG_PROGRESS) {
		buf_printf(&w->events, "%s %s: %u of %u\n", m->u.progress.network, m->u.progress.stage, m->u.progress.ready,
		           m->u.progress.all);
		return;
	}
	message_done(&w->answer);
	w->answer = *m;
	m->type = 0;
}

static inline void client_state(void *arg, enum wire_state state, const char *why)
{
	((struct world *)arg)->client_up = state == WIRE_UP;
}

static inline bool is_client_up(struct world *w) { return w->client_up; }
static inline bool is_replied(struct world *w) { return w->replied; }

static inline void client_start(struct world *w, const struct identity *id)
{
	struct wire_client_options o = { .server = w->endpoint, .self = id, .server_public = w->coordinator.public,
		                             .message = client_message, .state = client_state, .arg = w };
	wire_close(w->client);
	w->client_up = false;
	assert_int_equal(wire_connect(w->loop, &o, &w->client, NULL), 0);
	assert_true(world_run(w, is_client_up, 5000));
}

static inline void ask_no_wait(struct world *w, struct message *m)
{
	struct err err = { 0 };
	w->replied = false;
	message_done(&w->answer);
	if (wire_send(w->client, NULL, m, &err) < 0)
		fail_msg("%s", err.text);
}

static inline int ask(struct world *w, struct message *m) /* the exit code */
{
	ask_no_wait(w, m);
	assert_true(world_run(w, is_replied, 20000));
	return w->code;
}

static inline struct message submission(const char *yaml, enum message_type type)
{
	return (struct message){ .type = type, .u.submit = { .text = (char *)(uintptr_t)yaml, .len = strlen(yaml),
		                     .wait_active = true, .file = (char *)"r.yaml" } };
}

static inline int submit(struct world *w, const char *yaml)
{
	struct message m = submission(yaml, MSG_SUBMIT);
	return ask(w, &m);
}

static inline int release(struct world *w, const char *name)
{
	struct message m = { .type = MSG_RELEASE, .u.name = { (char *)(uintptr_t)name } };
	return ask(w, &m);
}

static inline enum net_state shown_state(struct world *w, const char *name)
{
	struct message m = { .type = MSG_SHOW, .u.name = { (char *)(uintptr_t)name } };
	if (ask(w, &m) != 0)
		return NET_STATES;
	return w->answer.u.networks.v[0].state;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static const char world_substrate[] =
	"kind: substrate\nname: triangle\nnodes:\n"
	"  - {name: n0, cpu: 4, address: 192.0.2.1, uplinks: [wan]}\n  - {name: n1, cpu: 4, address: 192.0.2.2}\n"
	"  - {name: n2, cpu: 4, address: 192.0.2.3}\n"
	"links:\n  - {endpoints: [n0, n1], bandwidth: 100mbit}\n  - {endpoints: [n1, n2], bandwidth: 100mbit}\n"
	"  - {endpoints: [n2, n0], bandwidth: 100mbit}\n";
static const char world_pair[] =
	"kind: network\nname: pair\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n0]}}\n  - {name: r2, cpu: 1, place: {on: [n1]}}\n"
	"links:\n  - {endpoints: [r1, r2], bandwidth: 10mbit}\n";

static inline void write_text(const char *dir, const char *name, const char *text)
{
	mem_auto char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static inline void world_identity(struct world *w, const char *name, enum role role, const char *node, struct identity *id)
{
	mem_auto char *path = mem_printf("%s/allowed/%s.pub", w->dir, name);
	assert_int_equal(identity_make(name, role, node, id, NULL), 0);
	assert_int_equal(identity_save(id, path, false, NULL), 0);
}

static inline void world_ready(struct vned *v)
{
	struct world *w = (struct world *)((char *)v - offsetof(struct world, v));
	w->ready = true;
}

static inline bool is_ready(struct world *w) { return w->ready || w->v.exit_code; }

static inline void world_config(struct world *w, const char *timeout)
{
	mem_auto char *text = mem_printf("kind: vned\nsubstrate: substrate.yaml\nlisten: [\"%s\"]\nkey: vned.key\nallow: allowed\n"
	                                 "state: state\nheartbeat: 100ms\ntimeout: %s\nprepare_timeout: 2s\n",
	                                 w->endpoint ? w->endpoint : "tcp://127.0.0.1:*", timeout);
	write_text(w->dir, "vned.yaml", text);
}

static inline void world_open_vned(struct world *w)
{
	struct err err = { 0 };
	struct yaml_errors errors = { 0 };
	struct vned_config config;
	mem_auto char *path = mem_printf("%s/vned.yaml", w->dir);
	if (vned_config_load(path, &errors, &config, &err) < 0)
		fail_msg("%s%s", err.text, buf_cstr(&errors.text));
	w->ready = false;
	if (vned_open(&w->v, w->loop, &config, world_ready, &err) < 0)
		fail_msg("%s", err.text);
	w->vned_open = true;
	assert_true(world_run(w, is_ready, 5000));
	assert_int_equal(w->v.exit_code, 0);
	assert_true(w->ready);
	if (!w->endpoint) {
		w->endpoint = mem_str(wire_endpoint(w->v.wire));
		world_config(w, "500ms"); /* the next start takes the same port */
	}
}

/* What is on its way to disk gets there, and nothing else happens; kills are in tests/system. */
static inline void world_close_vned(struct world *w)
{
	vned_close(&w->v);
	w->vned_open = false;
}

static inline bool all_welcome(struct world *w)
{
	for (size_t i = 0; i < FAKES; i++) {
		if (w->fakes[i].wire && !w->fakes[i].welcome)
			return false;
	}
	return true;
}

static inline int world_setup(void **state)
{
	/* the solver stands two folders above the tests */
	mem_auto char *here = child_sibling("..");
	mem_auto char *path = mem_printf("%s/..:%s", here, getenv("PATH"));
	setenv("PATH", path, 1);
	struct world *w = mem_alloc(sizeof(*w));
	strcpy(w->dir, "/tmp/vned-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	mem_auto char *allowed = mem_printf("%s/allowed", w->dir), *key = mem_printf("%s/vned.key", w->dir);
	assert_int_equal(mkdir(allowed, 0700), 0);
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(loop_add_timer(w->loop, -1, 0, world_poll, w, &w->poll, NULL), 0);
	assert_int_equal(loop_add_timer(w->loop, -1, 0, world_limit, w, &w->limit, NULL), 0);
	assert_int_equal(identity_make("vned", ROLE_COORDINATOR, NULL, &w->coordinator, NULL), 0);
	assert_int_equal(identity_save(&w->coordinator, key, true, NULL), 0);
	world_identity(w, "alice", ROLE_ADMIN, NULL, &w->admin);
	world_identity(w, "bob", ROLE_TENANT, NULL, &w->tenant);
	world_identity(w, "victor", ROLE_VIEWER, NULL, &w->viewer);
	for (size_t i = 0; i < FAKES; i++) {
		char name[8], node[8];
		snprintf(name, sizeof(name), "agent%zu", i);
		snprintf(node, sizeof(node), "n%zu", i);
		world_identity(w, name, ROLE_AGENT, node, &w->fakes[i].id);
	}
	write_text(w->dir, "substrate.yaml", world_substrate);
	world_config(w, "500ms");
	world_open_vned(w);
	for (size_t i = 0; i < FAKES; i++)
		fake_start(w, i);
	assert_true(world_run(w, all_welcome, 5000));
	client_start(w, &w->admin);
	*state = w;
	return 0;
}

static inline void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		mem_auto char *inner = mem_printf("%s/%s", path, e->d_name);
		if (unlink(inner) < 0)
			remove_tree(inner);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < FAKES; i++)
		fake_stop(&w->fakes[i]);
	wire_close(w->client);
	if (w->vned_open)
		vned_close(&w->v);
	message_done(&w->answer);
	buf_done(&w->events);
	loop_free(w->loop);
	remove_tree(w->dir);
	free(w->endpoint);
	free(w->text);
	free(w);
	return 0;
}
