/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The builder: networks, their operations in order, and what the kernel and the drivers report
 * of their own accord. What an operation does is in build_steps.c. */
#include "vnagent/build.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"
#include "vnagent/wall.h"

enum { REPAIR_FIRST_MS = 20, REPAIR_MAX_MS = 30000, REPAIR_CALM_MS = 60000 };

/* ---- looking up -------------------------------------------------------------------------- */
const struct open_driver *build_driver(const struct builder *b, const char *kind)
{
	for (size_t i = 0; i < b->n_drivers; i++)
		if (!strcmp(b->drivers[i].ops->kind, kind))
			return &b->drivers[i];
	return NULL;
}

struct build_net *build_net_find(const struct builder *b, uint32_t net)
{
	return hash_get_u64(b->nets, net);
}

void build_fail_router(struct build_net *net, uint32_t router, const char *reason)
{
	for (size_t i = 0; i < net->failed.n; i++)
		if (net->failed.v[i].id == router)
			net->failed.v[i--] = net->failed.v[--net->failed.n];
	if (!reason)
		return;
	struct failed_router *f = vec_add(&net->failed);
	f->id = router;
	snprintf(f->reason, sizeof(f->reason), "%s", reason);
}

static const struct plan_router *plan_router_of(const struct build_net *net, uint32_t id)
{
	const struct node_plan *plans[] = { net->has_committed ? &net->committed : NULL, net->has_prepared ? &net->prepared : NULL };
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; plans[k] && i < plans[k]->n_routers; i++)
			if (plans[k]->routers[i].id == id)
				return &plans[k]->routers[i];
	return NULL;
}

static void notice(struct builder *b, uint32_t net, const char *object, const char *what)
{
	if (b->options.notice)
		b->options.notice(b->options.arg, net, object, what);
}

static void store(struct builder *b, uint32_t net, enum build_slot slot, const struct node_plan *plan)
{
	if (b->options.store)
		b->options.store(b->options.arg, net, slot, plan);
}

/* ---- the second wall ----------------------------------------------------------------------- */
struct expected {
	VEC(const struct plan_segment *) segments;
};

static void expect_segments(struct expected *x, const struct node_plan *p)
{
	for (size_t i = 0; i < p->n_segments; i++)
		*vec_add(&x->segments) = &p->segments[i];
}

static void expect_net(void *value, void *arg)
{
	const struct build_net *net = value;
	if (net->has_committed)
		expect_segments(arg, &net->committed);
	if (net->has_prepared)
		expect_segments(arg, &net->prepared);
	if (net->first && net->first->begun)
		expect_segments(arg, &net->first->want);
}

int build_wall_update(struct builder *b, struct err *err)
{
	struct expected x = { 0 };
	if (!b->wall)
		return 0;
	hash_each(b->nets, expect_net, &x);
	int code = wall_set(b->wall, x.segments.v, x.segments.n, err);
	vec_done(&x.segments);
	return code ? err_add(err, code, "who may send into tunnels") : 0;
}

/* ---- networks and jobs ------------------------------------------------------------------- */
static struct build_net *net_get(struct builder *b, uint32_t id)
{
	struct build_net *net = build_net_find(b, id);
	if (net)
		return net;
	net = mem_alloc(sizeof(*net));
	*net = (struct build_net){ .b = b, .id = id, .repair_ms = REPAIR_FIRST_MS };
	hash_put_u64(b->nets, id, net);
	return net;
}

static void job_free(struct job *job)
{
	if (job->begun) {
		plan_index_done(&job->now);
		plan_index_done(&job->old);
		hash_free(job->pending, NULL);
		hash_free(job->remade, NULL);
		hash_free(job->unreal, NULL);
	}
	node_plan_done(&job->want);
	free(job);
}

static void net_free(void *value)
{
	struct build_net *net = value;
	while (net->first) {
		struct job *job = net->first;
		net->first = job->next;
		job_free(job);
	}
	if (net->has_committed)
		node_plan_done(&net->committed);
	if (net->has_prepared)
		node_plan_done(&net->prepared);
	vec_done(&net->failed);
	loop_remove(net->repair);
	free(net);
}

static void drop_prepared(struct build_net *net)
{
	if (!net->has_prepared)
		return;
	store(net->b, net->id, SLOT_PREPARED, NULL);
	node_plan_done(&net->prepared);
	net->has_prepared = false;
}

static void drop_committed(struct build_net *net)
{
	if (!net->has_committed)
		return;
	store(net->b, net->id, SLOT_COMMITTED, NULL);
	node_plan_done(&net->committed);
	net->has_committed = false;
}

static struct job *queue(struct build_net *net, enum build_op op, uint32_t generation, const struct node_plan *plan,
                         uint64_t cookie, bool internal)
{
	struct job *job = mem_alloc(sizeof(*job));
	*job = (struct job){ .net = net, .op = op, .generation = generation, .cookie = cookie, .internal = internal };
	if (plan)
		node_plan_copy(plan, &job->want);
	if (net->last)
		net->last->next = job;
	else
		net->first = job;
	net->last = job;
	net->n_jobs++;
	net->b->n_jobs++;
	return job;
}

static void tell(struct builder *b, const struct job *job, int code, const char *text)
{
	struct build_result result = { job->op, job->net->id, job->generation, job->cookie, code, code ? text : "" };
	if (!job->internal)
		b->options.result(b->options.arg, &result);
	else if (code)
		notice(b, job->net->id, "network", text);
}

static bool net_is_nothing(const struct build_net *net)
{
	return !net->first && !net->has_committed && !net->has_prepared;
}

/* ---- beginning and ending a job ------------------------------------------------------------- */
/* What needs no work: 1, with the answer in *ret_code and err. */
static int answer_at_once(struct build_net *net, struct job *job, int *ret_code, struct err *err)
{
	uint32_t committed = net->has_committed ? net->committed.generation : 0;
	uint32_t prepared = net->has_prepared ? net->prepared.generation : 0;
	uint64_t released = (uintptr_t)hash_get_u64(net->b->released, net->id); /* generation + 1 */
	*ret_code = 0;
	switch (job->op) {
	case BUILD_PREPARE:
		if (job->internal)
			return 0;
		if (prepared == job->generation && node_plan_digest(&net->prepared) == node_plan_digest(&job->want))
			return 1;
		if (committed == job->generation && net->digest == node_plan_digest(&job->want))
			return 1;
		if (committed < job->generation)
			return 0;
		*ret_code = err_set(err, -ESTALE, "generation %u is not newer than %u, which is built", job->generation, committed);
		return 1;
	case BUILD_COMMIT:
		if (prepared == job->generation)
			return 0;
		if (committed != job->generation && released != (uint64_t)job->generation + 1)
			*ret_code = err_set(err, -ENOENT, "generation %u is not prepared here", job->generation);
		return 1;
	case BUILD_ABORT:
		return !net->has_prepared || (job->generation && prepared != job->generation);
	case BUILD_ENSURE:
		if (committed <= job->generation)
			return 0;
		*ret_code = err_set(err, -ESTALE, "generation %u is older than %u, which is built", job->generation, committed);
		return 1;
	case BUILD_REPAIR:
		return 0;
	}
	return 0;
}

static void job_begin(struct builder *b, struct job *job)
{
	struct build_net *net = job->net;
	if (job->op == BUILD_COMMIT)
		node_plan_copy(&net->prepared, &job->want);
	if (job->op == BUILD_REPAIR && net->has_committed) {
		node_plan_copy(&net->committed, &job->want);
		job->generation = job->want.generation;
	}
	if (job->op == BUILD_REPAIR)
		net->repaired_at_ms = clock_ms();
	plan_index_init(&job->now, &job->want);
	plan_index_init(&job->old, net->has_committed ? &net->committed : NULL);
	job->pending = hash_new();
	job->remade = hash_new();
	job->unreal = hash_new();
	job->steps = build_steps(job->op);
	job->told_ms = clock_ms();
	job->begun = true;
}

static void keep_committed(struct build_net *net, struct job *job)
{
	if (net->has_committed)
		node_plan_done(&net->committed);
	node_plan_copy(&job->want, &net->committed);
	net->has_committed = true;
	net->digest = node_plan_digest(&job->want);
}

/* The network's state follows what the operation has reached. */
static void settle(struct builder *b, struct job *job, int code)
{
	struct build_net *net = job->net;
	switch (job->op) {
	case BUILD_PREPARE:
		drop_prepared(net);
		if (code)
			break;
		node_plan_copy(&job->want, &net->prepared);
		net->has_prepared = true;
		store(b, net->id, SLOT_PREPARED, &net->prepared);
		break;
	case BUILD_ABORT:
		drop_prepared(net);
		break;
	case BUILD_COMMIT:
	case BUILD_ENSURE:
		if (code)
			break; /* a prepared plan stays, so that the commit can be repeated */
		drop_prepared(net);
		if (!node_plan_empty(&job->want)) {
			keep_committed(net, job);
			hash_del_u64(b->released, net->id);
			break;
		}
		drop_committed(net);
		hash_put_u64(b->released, net->id, (void *)(uintptr_t)((uint64_t)job->generation + 1));
		break;
	case BUILD_REPAIR:
		break;
	}
}

static void schedule_repair(struct build_net *net);

static void job_end(struct builder *b, struct job *job, int code, const char *text)
{
	struct build_net *net = job->net;
	struct err err = { 0 };
	bool tunnels = job->begun && (job->now.plan->n_segments || job->old.plan->n_segments);
	if (job->begun)
		settle(b, job, code);
	if (code && job->op == BUILD_REPAIR)
		schedule_repair(net); /* what others asked for, they ask for again */
	net->first = job->next;
	if (!net->first)
		net->last = NULL;
	net->n_jobs--;
	b->n_jobs--;
	if (tunnels && build_wall_update(b, &err)) /* too many may send for a while: no reason to undo anything */
		notice(b, net->id, "nftables", err.text);
	tell(b, job, code, text);
	job_free(job);
}

/* One slice of the network's first job. True: there is more to do at once. */
static bool job_run(struct builder *b, struct build_net *net)
{
	struct job *job = net->first;
	struct err err = { 0 };
	int code = 0;
	if (!job->begun) {
		if (answer_at_once(net, job, &code, &err)) {
			job_end(b, job, code, err.text);
			return net->first;
		}
		job_begin(b, job);
	}
	if (job->code && job->steps != build_undo_steps()) {
		/* It has failed. A preparation leaves nothing behind; everything else can be repeated. */
		if (job->op != BUILD_PREPARE) {
			job_end(b, job, job->code, job->err.text);
			return net->first;
		}
		job->steps = build_undo_steps();
		job->step = job->cursor = 0;
		hash_free(job->pending, NULL);
		job->pending = hash_new();
	}
	if (!job->steps[job->step]) {
		char text[ERR_TEXT_MAX];
		snprintf(text, sizeof(text), "%s", job->err.text);
		job_end(b, job, job->code, text);
		return net->first;
	}
	code = job->steps[job->step](b, job, &err);
	if (code == STEP_NEXT) {
		job->step++;
		job->cursor = 0;
	} else if (code < 0 && job->code) {
		job->step++; /* undoing failed too: the first reason counts, the rest is undone as far as it goes */
	} else if (code < 0) {
		job->code = code;
		job->err = err;
	}
	return code != STEP_WAIT;
}

struct running {
	struct builder *b;
	bool more;
	VEC(uint64_t) nothing; /* networks of which nothing is left */
};

static void run_net(void *value, void *arg)
{
	struct build_net *net = value;
	struct running *r = arg;
	if (net->first)
		r->more |= job_run(r->b, net);
	if (net_is_nothing(net))
		*vec_add(&r->nothing) = net->id;
}

static bool work(void *arg)
{
	struct builder *b = arg;
	struct running r = { .b = b };
	if (!b->n_jobs)
		return false;
	hash_each(b->nets, run_net, &r);
	for (size_t i = 0; i < r.nothing.n; i++)
		if (net_is_nothing(build_net_find(b, (uint32_t)r.nothing.v[i])))
			net_free(hash_del_u64(b->nets, r.nothing.v[i]));
	vec_done(&r.nothing);
	return r.more;
}

/* ---- what happens on its own ------------------------------------------------------------------ */
static void repair_due(void *arg)
{
	struct build_net *net = arg;
	if (net->has_committed)
		queue(net, BUILD_REPAIR, 0, NULL, 0, true);
}

/* Damped: what keeps breaking is repaired ever more rarely, up to twice a minute. */
static void schedule_repair(struct build_net *net)
{
	struct err err = { 0 };
	int64_t now = clock_ms();
	if (net->repaired_at_ms && now - net->repaired_at_ms < REPAIR_CALM_MS)
		net->repair_ms = net->repair_ms * 2 < REPAIR_MAX_MS ? net->repair_ms * 2 : REPAIR_MAX_MS;
	else
		net->repair_ms = REPAIR_FIRST_MS;
	if (net->repair)
		loop_set_timer(net->repair, net->repair_ms, 0);
	else if (loop_add_timer(net->b->options.loop, net->repair_ms, 0, repair_due, net, &net->repair, &err))
		notice(net->b, net->id, "network", "no timer left for a repair");
}

static void router_died(struct builder *b, struct build_net *net, const struct router_event *e)
{
	const struct plan_router *r = net ? plan_router_of(net, e->key.router) : NULL;
	char object[96];
	if (!r)
		return;
	snprintf(object, sizeof(object), "router %s", r->name);
	build_fail_router(net, e->key.router, e->text);
	notice(b, net->id, object, e->text);
	schedule_repair(net);
}

static void router_event(void *arg, const struct router_event *e)
{
	struct builder *b = arg;
	struct build_net *net = build_net_find(b, e->key.net);
	struct job *job = net && net->first && net->first->begun ? net->first : NULL;
	if (e->type == ROUTER_EVENT_DIED) {
		router_died(b, net, e);
		return;
	}
	if (!job || !hash_del_u64(job->pending, (uint64_t)e->key.router + 1))
		return;
	if (e->type == ROUTER_EVENT_READY)
		build_fail_router(net, e->key.router, NULL);
	if (e->type != ROUTER_EVENT_FAILED)
		return;
	const struct plan_router *r = plan_index_router(&job->now, e->key.router);
	build_fail_router(net, e->key.router, e->text);
	if (!job->code)
		job->code = err_set(&job->err, e->code, "router %s: %s", r ? r->name : "?", e->text);
}

static bool still_wanted(const struct build_net *net, const struct device *d)
{
	const struct node_plan *p = &net->committed;
	if (!net->has_committed)
		return false;
	for (size_t i = 0; d->kind == DEVICE_PORT && i < p->n_ports; i++)
		if (p->ports[i].id == d->id)
			return true;
	for (size_t i = 0; d->kind == DEVICE_SEGMENT && i < p->n_segments; i++)
		if (p->segments[i].vni == d->id)
			return true;
	return false;
}

/* A device of ours is gone that we did not remove: its router has ended, or somebody's hand. */
static int device_event(void *arg, const struct nlmsghdr *m)
{
	struct builder *b = arg;
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	if (!head || m->nlmsg_type != RTM_DELLINK || head->ifi_family != AF_UNSPEC)
		return 0;
	struct device *d = inventory_find(b->inv, (uint32_t)head->ifi_index);
	if (!d)
		return 0;
	struct build_net *net = build_net_find(b, d->net);
	if (net && still_wanted(net, d)) {
		if (!net->failed.n) /* else it went with its router, which has been told */
			notice(b, net->id, d->name, "the device has vanished; it is built again");
		schedule_repair(net);
	}
	inventory_drop(b->inv, d);
	return 0;
}

static void repair_all(void *value, void *arg)
{
	schedule_repair(value);
}

static void events_ready(void *arg, uint32_t events)
{
	struct builder *b = arg;
	struct err err = { 0 };
	if (nl_events(b->events, device_event, b, &err))
		hash_each(b->nets, repair_all, NULL); /* some were lost: look at everything again */
}

/* ---- the interface ------------------------------------------------------------------------------ */
static int open_driver(struct builder *b, const char *kind, struct err *err)
{
	const struct router_driver *ops = router_driver_find(kind);
	if (!ops)
		return err_set(err, -ENOENT, "there is no driver for routers of kind %s", kind);
	if (b->n_drivers == DRIVERS_MAX)
		return err_set(err, -E2BIG, "more than %d kinds of routers", DRIVERS_MAX);
	struct router_options options = { b->options.loop, b->options.spawner, b->options.cgroup ? b->options.cgroup : "",
		                          router_event, b };
	void *self = NULL;
	int code = ops->open(&options, &self, err);
	if (code)
		return err_add(err, code, "router kind %s", kind);
	b->drivers[b->n_drivers++] = (struct open_driver){ ops, self };
	b->real |= ops->ports == ROUTER_PORTS_VETH;
	return 0;
}

static int open_kernel(struct builder *b, struct err *err)
{
	int code = nl_open(NETLINK_ROUTE, -1, &b->nl, err);
	if (!code)
		code = nl_open(NETLINK_ROUTE, -1, &b->events, err);
	if (!code)
		code = nl_join(b->events, RTNLGRP_LINK, err);
	if (!code)
		code = loop_add_fd(b->options.loop, nl_fd(b->events), EPOLLIN, events_ready, b, &b->event_source, err);
	if (!code)
		(void)!wall_open(&b->wall, NULL); /* the probe tells where there is none */
	return code ? code : inventory_read(b->inv, b->nl, err);
}

int builder_new(const struct build_options *options, struct builder **ret, struct err *err)
{
	struct builder *b = mem_alloc(sizeof(*b));
	b->options = *options;
	b->inv = inventory_new();
	b->batch = nl_batch_new();
	b->nets = hash_new();
	b->released = hash_new();
	int code = loop_add_prepare(options->loop, work, b, &b->prepare, err);
	for (const char *const *kind = options->kinds; !code && *kind; kind++)
		code = open_driver(b, *kind, err);
	if (!code && b->real)
		code = open_kernel(b, err);
	if (code) {
		builder_free(b);
		return code;
	}
	*ret = b;
	return 0;
}

void builder_free(struct builder *b)
{
	if (!b)
		return;
	loop_remove(b->prepare);
	loop_remove(b->event_source);
	hash_free(b->nets, net_free);
	hash_free(b->released, NULL);
	for (size_t i = 0; i < b->n_drivers; i++)
		b->drivers[i].ops->close(b->drivers[i].self);
	nl_close(b->nl);
	nl_close(b->events);
	nl_close(b->wall);
	nl_batch_free(b->batch);
	inventory_free(b->inv);
	build_counters_free(b->counters);
	free(b);
}

void builder_restore(struct builder *b, const struct node_plan *committed, const struct node_plan *prepared)
{
	const struct node_plan *any = committed ? committed : prepared;
	if (!any)
		return;
	struct build_net *net = net_get(b, any->net);
	if (committed && prepared && prepared->generation <= committed->generation) {
		/* The commit got as far as being remembered; what the older plan had more goes now. */
		store(b, net->id, SLOT_PREPARED, NULL);
		prepared = NULL;
	}
	if (committed) {
		node_plan_copy(committed, &net->committed);
		net->has_committed = true;
		net->digest = node_plan_digest(committed);
	}
	if (prepared) {
		node_plan_copy(prepared, &net->prepared);
		net->has_prepared = true;
	}
	queue(net, BUILD_REPAIR, 0, NULL, 0, true);
	if (prepared)
		queue(net, BUILD_PREPARE, prepared->generation, prepared, 0, true);
}

static void sweep_net(struct builder *b, uint32_t id)
{
	if (!build_net_find(b, id))
		queue(net_get(b, id), BUILD_REPAIR, 0, NULL, 0, true);
}

static void sweep_device(struct device *d, void *arg)
{
	sweep_net(arg, d->net);
}

void builder_sweep(struct builder *b)
{
	for (size_t i = 0; i < b->n_drivers; i++) {
		struct router_key *keys = NULL;
		size_t n = 0;
		b->drivers[i].ops->list(b->drivers[i].self, &keys, &n);
		for (size_t k = 0; k < n; k++)
			sweep_net(b, keys[k].net);
		free(keys);
	}
	inventory_each(b->inv, sweep_device, b);
}

void builder_start(struct builder *b, enum build_op op, uint32_t net, uint32_t generation,
                   const struct node_plan *plan, uint64_t cookie)
{
	struct build_net *n = net_get(b, net);
	if (n->n_jobs >= JOBS_MAX) {
		struct build_result result = { op, net, generation, cookie, -EBUSY, "too many operations wait for this network" };
		b->options.result(b->options.arg, &result);
		return;
	}
	queue(n, op, generation, plan, cookie, false);
}

bool builder_idle(const struct builder *b)
{
	return b->n_jobs == 0;
}

struct holding {
	VEC(struct held_net) held;
};

static void hold_one(void *value, void *arg)
{
	const struct build_net *net = value;
	struct holding *h = arg;
	if (!net->has_committed && !net->has_prepared)
		return;
	struct held_net *held = vec_add(&h->held);
	held->net = net->id;
	held->committed = net->has_committed;
	held->generation = net->has_committed ? net->committed.generation : net->prepared.generation;
	held->prepared = net->has_prepared && net->has_committed ? net->prepared.generation : 0;
	held->digest = net->has_committed ? net->digest : 0;
}

void builder_held(const struct builder *b, struct held_net **ret, size_t *ret_n)
{
	struct holding h = { 0 };
	hash_each(b->nets, hold_one, &h);
	*ret = h.held.v;
	*ret_n = h.held.n;
}

int builder_find_router(const struct builder *b, struct router_key key, const struct router_driver **ret_driver,
                        void **ret_self, struct err *err)
{
	const struct build_net *net = build_net_find(b, key.net);
	const struct plan_router *r = net ? plan_router_of(net, key.router) : NULL;
	const struct open_driver *d = r ? build_driver(b, r->kind) : NULL;
	if (!d)
		return err_set(err, -ENOENT, "network %u has no router %u on this node", key.net, key.router);
	*ret_driver = d->ops;
	*ret_self = d->self;
	return 0;
}
