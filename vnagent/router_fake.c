/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that are nothing but an entry in a table: hundreds of agents run in one test, without
 * privileges. No kernel object is made, neither for them nor for their links.
 *
 * Faults on demand: VNE_FAKE_FAULTS is a comma-separated list of ROUTER=FAULT, where ROUTER is
 * a router's name or `*`:
 *     fail   create ends badly
 *     hang   create ends badly, but only after the driver's time limit (3 s)
 *     slow   create takes 300 ms
 *     die    it ends by itself, once, 50 ms after it was ready */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/router.h"

enum { SLOW_MS = 300, HANG_MS = 3000, DIE_MS = 50 };
enum fault { FAULT_NONE, FAULT_FAIL, FAULT_HANG, FAULT_SLOW, FAULT_DIE };
static const char *const fault_names[] = { "", "fail", "hang", "slow", "die" };

struct fake_router {
	struct fake *self;
	struct router_key key;
	bool ready;
	enum fault fault;
	struct loop_source *timer;
};

struct fake {
	struct router_options options;
	struct hash *routers;
	struct hash *died; /* keys that have had their fault `die` */
	VEC(struct router_event) events;
	struct loop_source *prepare;
};

static enum fault fault_of(const char *name)
{
	const char *at = getenv("VNE_FAKE_FAULTS");
	while (at && *at) {
		char router[SPAWN_NAME_MAX], fault[16];
		if (sscanf(at, "%63[^=,]=%15[^,]", router, fault) == 2 && (!strcmp(router, "*") || !strcmp(router, name)))
			for (size_t f = 1; f < ARRAY_LEN(fault_names); f++)
				if (!strcmp(fault, fault_names[f]))
					return f;
		at = strchr(at, ',');
		at += at != NULL;
	}
	return FAULT_NONE;
}

static void tell(struct fake *self, enum router_event_type type, struct router_key key, int code, const char *text)
{
	*vec_add(&self->events) = (struct router_event){ type, key, code, text };
}

static bool tell_all(void *arg)
{
	struct fake *self = arg;
	for (size_t i = 0; i < self->events.n; i++) {
		struct router_event e = self->events.v[i];
		self->options.event(self->options.arg, &e);
	}
	self->events.n = 0;
	return false;
}

static void drop(struct fake_router *r)
{
	hash_del_u64(r->self->routers, router_key_u64(r->key));
	loop_remove(r->timer);
	free(r);
}

static void due(void *arg)
{
	struct fake_router *r = arg;
	struct fake *self = r->self;
	if (r->ready) {
		hash_put_u64(self->died, router_key_u64(r->key), self);
		tell(self, ROUTER_EVENT_DIED, r->key, 0, "it was told to end");
		drop(r);
	} else if (r->fault == FAULT_HANG) {
		tell(self, ROUTER_EVENT_FAILED, r->key, -ETIMEDOUT, "no router within 3 s");
		drop(r);
	} else {
		r->ready = true;
		tell(self, ROUTER_EVENT_READY, r->key, 0, NULL);
	}
}

static int fake_probe(struct err *err)
{
	return 0;
}

static void free_router(void *value)
{
	struct fake_router *r = value;
	loop_remove(r->timer);
	free(r);
}

static void fake_close(void *arg)
{
	struct fake *self = arg;
	hash_free(self->routers, free_router);
	hash_free(self->died, NULL);
	vec_done(&self->events);
	loop_remove(self->prepare);
	free(self);
}

static int fake_open(const struct router_options *options, void **ret_self, struct err *err)
{
	struct fake *self = mem_alloc(sizeof(*self));
	self->options = *options;
	self->routers = hash_new();
	self->died = hash_new();
	int code = loop_add_prepare(options->loop, tell_all, self, &self->prepare, err);
	if (code) {
		fake_close(self);
		return code;
	}
	*ret_self = self;
	return 0;
}

struct listing {
	VEC(struct router_key) keys;
};

static void list_one(void *value, void *arg)
{
	*vec_add(&((struct listing *)arg)->keys) = ((struct fake_router *)value)->key;
}

static void fake_list(void *arg, struct router_key **ret, size_t *ret_n)
{
	struct listing l = { 0 };
	hash_each(((struct fake *)arg)->routers, list_one, &l);
	*ret = l.keys.v;
	*ret_n = l.keys.n;
}

static struct fake_router *find(struct fake *self, struct router_key key)
{
	return hash_get_u64(self->routers, router_key_u64(key));
}

static bool fake_running(void *self, struct router_key key)
{
	struct fake_router *r = find(self, key);
	return r && r->ready;
}

static void fake_create(void *arg, const struct router_spec *spec)
{
	struct fake *self = arg;
	struct fake_router *r = find(self, spec->key);
	struct err err = { 0 };
	if (r) {
		if (r->ready)
			tell(self, ROUTER_EVENT_READY, r->key, 0, NULL);
		return;
	}
	enum fault fault = fault_of(spec->name);
	if (fault == FAULT_FAIL) {
		tell(self, ROUTER_EVENT_FAILED, spec->key, -EIO, "it was told to fail");
		return;
	}
	if (fault == FAULT_DIE && hash_get_u64(self->died, router_key_u64(spec->key)))
		fault = FAULT_NONE;
	r = mem_alloc(sizeof(*r));
	*r = (struct fake_router){ .self = self, .key = spec->key, .fault = fault };
	r->ready = fault != FAULT_HANG && fault != FAULT_SLOW;
	hash_put_u64(self->routers, router_key_u64(r->key), r);
	if (r->ready)
		tell(self, ROUTER_EVENT_READY, r->key, 0, NULL);
	int64_t delay = fault == FAULT_HANG ? HANG_MS : fault == FAULT_SLOW ? SLOW_MS : DIE_MS;
	if (fault != FAULT_NONE && loop_add_timer(self->options.loop, delay, 0, due, r, &r->timer, &err)) {
		tell(self, ROUTER_EVENT_FAILED, r->key, err.code, "no timer left");
		drop(r);
	}
}

static void fake_destroy(void *arg, struct router_key key)
{
	struct fake *self = arg;
	struct fake_router *r = find(self, key);
	if (r)
		drop(r);
	tell(self, ROUTER_EVENT_GONE, key, 0, NULL);
}

static int fake_resize(void *self, const struct router_spec *spec, struct err *err)
{
	return 0;
}

static int fake_netns(void *self, struct router_key key)
{
	return -1;
}

/* `echo` is the one command that a fake router knows: enough to test the way to it and back. */
static int fake_exec(void *self, struct router_key key, const struct router_command *command, struct err *err)
{
	if (!fake_running(self, key))
		return err_set(err, -ENOENT, "the router does not run");
	struct spawn_exit e = { .code = 127 };
	if (command->argc && !strcmp(command->argv[0], "echo")) {
		for (size_t i = 1; i < command->argc; i++)
			dprintf(command->out, "%s%s", i > 1 ? " " : "", command->argv[i]);
		dprintf(command->out, "\n");
		e.code = 0;
	} else {
		char shown[64];
		err_copy(shown, sizeof(shown), command->argc ? command->argv[0] : "");
		snprintf(e.text, sizeof(e.text), "%s: a fake router only knows echo", shown);
	}
	(void)!write(command->control, &e, sizeof(e));
	return 0;
}

static void fake_load(void *self, struct router_key key, uint64_t *ret_cpu_us, int64_t *ret_mem_kib)
{
	*ret_cpu_us = 0;
	*ret_mem_kib = -1;
}

const struct router_driver router_fake = {
	.kind = "fake",
	.ports = ROUTER_PORTS_NONE,
	.probe = fake_probe,
	.open = fake_open,
	.close = fake_close,
	.list = fake_list,
	.running = fake_running,
	.create = fake_create,
	.destroy = fake_destroy,
	.resize = fake_resize,
	.netns = fake_netns,
	.exec = fake_exec,
	.load = fake_load,
};
