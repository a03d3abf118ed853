/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The builder's interface: what it is made of, and who is where. Operations are in build_jobs.c and
 * build_steps.c, what happens by itself in build_events.c. */
#include "vnagent/build.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "vnagent/build_impl.h"
#include "vnagent/wall.h"

/* ---- looking up -------------------------------------------------------------------------- */
const struct open_driver *build_driver(const struct builder *b, const char *kind)
{
	for (size_t i = 0; i < b->n_drivers; i++)
		if (!strcmp(b->drivers[i].kind, kind))
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
	err_copy(f->reason, sizeof(f->reason), reason);
}

const struct plan_router *build_plan_router(const struct build_net *net, uint32_t id)
{
	const struct node_plan *plans[] = { net->has_committed ? &net->committed : NULL, net->has_prepared ? &net->prepared : NULL };
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; plans[k] && i < plans[k]->n_routers; i++)
			if (plans[k]->routers[i].id == id)
				return &plans[k]->routers[i];
	return NULL;
}

void build_notice(struct builder *b, uint32_t net, const char *object, const char *what)
{
	if (b->options.notice)
		b->options.notice(b->options.arg, net, object, what);
}

void build_store(struct builder *b, uint32_t net, enum build_slot slot, const struct node_plan *plan)
{
	if (b->options.store)
		b->options.store(b->options.arg, net, slot, plan);
}

/* ---- the interface ------------------------------------------------------------------------------ */
static int open_driver(struct builder *b, const char *kind, struct err *err)
{
	const struct router_driver *ops = router_driver_find(kind);
	if (!ops)
		return err_set(err, -ENOENT, "there is no driver for routers of kind %s", kind);
	if (b->n_drivers + (ops->base ? 1 : 0) >= DRIVERS_MAX)
		return err_set(err, -E2BIG, "more than %d kinds of routers", DRIVERS_MAX);
	if (build_driver(b, kind))
		return 0; /* another kind has needed it */
	if (ops->base) {
		int code = open_driver(b, ops->base->kind, err);
		const struct open_driver *base = build_driver(b, ops->base->kind);
		if (!code)
			b->drivers[b->n_drivers++] = (struct open_driver){ kind, base->ops, base->self, true };
		return code;
	}
	struct router_options options = { b->options.loop, b->options.spawner, b->options.cgroup ? b->options.cgroup : "",
		                          build_router_event, b };
	void *self = NULL;
	int code = ops->open(&options, &self, err);
	if (code)
		return err_add(err, code, "router kind %s", kind);
	b->drivers[b->n_drivers++] = (struct open_driver){ ops->kind, ops, self, false };
	b->real |= ops->ports != ROUTER_PORTS_NONE;
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
		code = loop_add_fd(b->options.loop, nl_fd(b->events), EPOLLIN, build_events_ready, b, &b->event_source, err);
	if (!code)
		(void)!wall_open(&b->wall, NULL); /* the probe tells where there is none */
	if (!code)
		build_uplinks_open(b);
	return code ? code : inventory_read(b->inv, b->nl, err);
}

static void routed(void *arg)
{
	struct builder *b = arg;
	if (b->options.routed)
		b->options.routed(b->options.arg);
}

static void build_routing_notice(void *arg, uint32_t net, const char *object, const char *what)
{
	build_notice(arg, net, object, what);
}

int builder_new(const struct build_options *options, struct builder **ret, struct err *err)
{
	struct builder *b = mem_alloc(sizeof(*b));
	b->options = *options;
	b->inv = inventory_new();
	b->batch = nl_batch_new();
	b->nets = hash_new();
	b->released = hash_new();
	b->ospf = ospf_new(&(struct ospf_options){ options->loop, routed, build_routing_notice, b });
	b->plane_commands = hash_new();
	b->programs = hash_new();
	b->ovs = ovs_new(&(struct ovs_options){ options->loop, options->controllers, options->n_controllers, build_openflow_told,
	                                       build_routing_notice, b });
	b->dhcp = dhcp_new(&(struct dhcp_options){ options->loop, build_routing_notice, b });
	int code = loop_add_prepare(options->loop, build_work, b, &b->prepare, err);
	if (!code)
		code = build_watch_open(b, err);
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
	loop_remove(b->watch_links);
	hash_free(b->nets, build_net_free);
	hash_free(b->released, NULL);
	ospf_free(b->ospf);
	ovs_free(b->ovs);
	build_planes_close(b);
	dhcp_free(b->dhcp);
	free(b->uplinks);
	for (size_t i = 0; i < b->n_drivers; i++)
		if (!b->drivers[i].shared)
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
	struct build_net *net = build_net_get(b, any->net);
	if (committed && prepared && prepared->generation <= committed->generation) {
		/* The commit got as far as being remembered; what the older plan had more goes now. */
		build_store(b, net->id, SLOT_PREPARED, NULL);
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
	build_queue(net, BUILD_REPAIR, 0, NULL, 0, true);
	if (prepared)
		build_queue(net, BUILD_PREPARE, prepared->generation, prepared, 0, true);
}

static void sweep_net(struct builder *b, uint32_t id)
{
	if (!build_net_find(b, id))
		build_queue(build_net_get(b, id), BUILD_REPAIR, 0, NULL, 0, true);
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
		if (b->drivers[i].shared)
			continue;
		b->drivers[i].ops->list(b->drivers[i].self, &keys, &n);
		for (size_t k = 0; k < n; k++)
			sweep_net(b, keys[k].net);
		free(keys);
	}
	inventory_each(b->inv, sweep_device, b);
	struct err err = { 0 };
	if (build_wall_update(b, &err)) /* an agent that died may have let in more than is left */
		log_warn("nftables: %s", err.text);
}

void builder_start(struct builder *b, enum build_op op, uint32_t net, uint32_t generation,
                   const struct node_plan *plan, uint64_t cookie)
{
	struct build_net *n = build_net_get(b, net);
	if (n->n_jobs >= JOBS_MAX) {
		struct build_result result = { op, net, generation, cookie, -EBUSY, "too many operations wait for this network" };
		b->options.result(b->options.arg, &result);
		return;
	}
	build_queue(n, op, generation, plan, cookie, false);
}

bool builder_idle(const struct builder *b)
{
	return b->n_jobs == 0;
}

bool builder_leave(struct builder *b)
{
	if (!b->real || !builder_idle(b) || hash_count(b->nets) || inventory_read(b->inv, b->nl, NULL) || inventory_count(b->inv))
		return false;
	if (b->wall)
		wall_remove(b->wall);
	return true;
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
	if (net->has_committed)
		held->prepared = net->has_prepared ? net->prepared.generation : net->has_replaced ? net->replaced.generation : 0;
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
	const struct plan_router *r = net ? build_plan_router(net, key.router) : NULL;
	const struct open_driver *d = r ? build_driver(b, r->kind) : NULL;
	if (!d)
		return err_set(err, -ENOENT, "network %u has no router %u on this node", key.net, key.router);
	*ret_driver = d->ops;
	*ret_self = d->self;
	return 0;
}

void builder_routers(const struct builder *b, uint32_t net, uint32_t **ret, size_t *ret_n)
{
	const struct build_net *found = build_net_find(b, net);
	const struct node_plan *plan = found && found->has_committed ? &found->committed : NULL;
	*ret_n = plan ? plan->n_routers : 0;
	*ret = mem_array(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] = plan->routers[i].id;
}

void builder_neighbours(const struct builder *b, struct router_key key, struct neighbour_view **ret, size_t *ret_n)
{
	ospf_neighbours(b->ospf, key, ret, ret_n);
}
