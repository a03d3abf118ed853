/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens to the builder's objects of its own accord: routers that end, devices that vanish; and the damped
 * repair that follows. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"

enum { REPAIR_FIRST_MS = 20, REPAIR_MAX_MS = 30000, REPAIR_CALM_MS = 60000 };

/* ---- what happens on its own ------------------------------------------------------------------ */
static void repair_due(void *arg)
{
	struct build_net *net = arg;
	net->repair_waits = false;
	if (net->has_committed)
		build_queue(net, BUILD_REPAIR, 0, NULL, 0, true);
}

/* Damped: what keeps breaking is repaired ever more rarely, up to twice a minute. */
void build_schedule_repair(struct build_net *net)
{
	struct err err = { 0 };
	int64_t now = clock_ms();
	if (net->repair_waits)
		return;
	if (net->repair_ms && net->repaired_at_ms && now - net->repaired_at_ms < REPAIR_CALM_MS)
		net->repair_ms = net->repair_ms * 2 < REPAIR_MAX_MS ? net->repair_ms * 2 : REPAIR_MAX_MS;
	else
		net->repair_ms = REPAIR_FIRST_MS;
	if (net->repair)
		loop_set_timer(net->repair, net->repair_ms, 0);
	else if (loop_add_timer(net->b->options.loop, net->repair_ms, 0, repair_due, net, &net->repair, &err))
		build_notice(net->b, net->id, "network", "no timer left for a repair");
	net->repair_waits = net->repair != NULL;
}

/* Its devices may have gone first, and a repair that they began may be making it again: then that goes on. */
static void router_died(struct builder *b, struct build_net *net, const struct job *job, const struct router_event *e)
{
	const struct plan_router *r = net ? build_plan_router(net, e->key.router) : NULL;
	char object[96];
	if (!r)
		return;
	snprintf(object, sizeof(object), "router %s", r->name);
	build_fail_router(net, e->key.router, e->text);
	build_notice(b, net->id, object, e->text);
	if (!job || !hash_get_u64(job->pending, (uint64_t)e->key.router + 1))
		build_schedule_repair(net);
}

void build_router_event(void *arg, const struct router_event *e)
{
	struct builder *b = arg;
	struct build_net *net = build_net_find(b, e->key.net);
	struct job *job = net && net->first && net->first->begun ? net->first : NULL;
	if (e->type == ROUTER_EVENT_DIED) {
		router_died(b, net, job, e);
		return;
	}
	if (!job || !hash_del_u64(job->pending, (uint64_t)e->key.router + 1))
		return;
	if (e->type == ROUTER_EVENT_READY)
		build_fail_router(net, e->key.router, NULL);
	if (e->type != ROUTER_EVENT_FAILED && (e->type != ROUTER_EVENT_CONFIGURED || !e->code))
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
	for (size_t i = 0; d->kind != DEVICE_SEGMENT && i < p->n_ports; i++)
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
	const struct nlattr *table[IFLA_MAX + 1] = { 0 };
	if (!head || (m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK) || head->ifi_family != AF_UNSPEC)
		return 0;
	if (b->options.uplinks && b->options.uplinks->n)
		nl_parse(m, sizeof(*head), table, IFLA_MAX);
	build_uplinks_event(b, (uint32_t)head->ifi_index, nl_str(table[IFLA_IFNAME]));
	if (b->options.links && !inventory_find(b->inv, (uint32_t)head->ifi_index))
		b->options.links(b->options.arg);
	if (m->nlmsg_type != RTM_DELLINK)
		return 0;
	struct device *d = inventory_find(b->inv, (uint32_t)head->ifi_index);
	if (!d)
		return 0;
	struct build_net *net = build_net_find(b, d->net);
	if (net && still_wanted(net, d)) {
		if (!net->failed.n && d->kind != DEVICE_OUTSIDE) /* else it went with its router or outside device, which has been told */
			build_notice(b, net->id, d->name, "the device has vanished; it is built again");
		build_schedule_repair(net);
	}
	inventory_drop(b->inv, d);
	return 0;
}

static void repair_all(void *value, void *arg)
{
	build_schedule_repair(value);
}

void build_events_ready(void *arg, uint32_t events)
{
	struct builder *b = arg;
	struct err err = { 0 };
	if (nl_events(b->events, device_event, b, &err))
		hash_each(b->nets, repair_all, NULL); /* some were lost: look at everything again */
	if (b->uplinks_stale || err.code)
		build_uplinks_refresh(b);
}

