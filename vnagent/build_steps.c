/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an operation does to routers and devices, step by step.
 *
 * Every step walks the objects of the plan in slices and asks of each: is it new (not in what was
 * committed), or does it differ, or do I look at everything (ENSURE)? PREPARE touches only what is
 * new; COMMIT what differs, and then switches: filters of existing ports are replaced in place, so no
 * frame is lost, ports come up, routes change. Order inside one batch is order of effect: a device
 * gets its closed gate before its redirect, and its redirect before it comes up. */
#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"
#include "vnagent/port.h"
#include "vnagent/segment.h"
#include "vnagent/underlay.h"
#include "vnagent/wire_tc.h"

enum { SLICE_OBJECTS = 48, SLICE_ROUTERS = 24, PROGRESS_MS = 200 };

bool build_looks_at_all(const struct job *job)
{
	return job->full || job->op == BUILD_ENSURE || job->op == BUILD_REPAIR;
}

static bool commits(const struct job *job)
{
	return job->op != BUILD_PREPARE;
}

static struct endpoint port_end(uint32_t id)
{
	return (struct endpoint){ ENDPOINT_PORT, id };
}

static struct endpoint segment_end(uint32_t vni)
{
	return (struct endpoint){ ENDPOINT_SEGMENT, vni };
}

bool build_port_is_real(const struct builder *b, const struct plan_index *index, const struct plan_port *port)
{
	const struct plan_router *r = plan_index_router(index, port->router);
	const struct open_driver *d = r ? build_driver(b, r->kind) : NULL;
	return b->real && d && d->ops->ports != ROUTER_PORTS_NONE;
}

static bool segment_is_real(const struct builder *b, const struct job *job, const struct plan_segment *s)
{
	return b->real && !hash_get_u64(job->unreal, s->vni);
}

static struct device *device_of(const struct builder *b, const struct job *job, struct endpoint e)
{
	if (e.kind == ENDPOINT_PORT)
		return inventory_port(b->inv, job->net->id, e.id);
	struct device *d = inventory_segment(b->inv, e.id);
	return d && d->net == job->net->id ? d : NULL;
}

/* ---- first: what is there ----------------------------------------------------------------- */
static int step_survey(struct builder *b, struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->want.n_crosses; i++) {
		const struct plan_cross *c = &job->want.crosses[i];
		struct endpoint ends[] = { c->a, c->b };
		for (int k = 0; k < 2; k++) {
			const struct plan_port *port = ends[k].kind == ENDPOINT_PORT ? plan_index_port(&job->now, ends[k].id) : NULL;
			if (port && ends[!k].kind == ENDPOINT_SEGMENT && !build_port_is_real(b, &job->now, port))
				hash_put_u64(job->unreal, ends[!k].id, job);
		}
	}
	for (size_t i = 0; i < job->want.n_routers; i++)
		if (!build_driver(b, job->want.routers[i].kind))
			return err_set(err, -EOPNOTSUPP, "router %s: kind %s is not offered here", job->want.routers[i].name,
			               job->want.routers[i].kind);
	for (size_t i = 0; i < job->want.n_ports; i++)
		if (!device_port_valid(job->want.ports[i].id))
			return err_set(err, -ERANGE, "port %s: its number %u is above %d", job->want.ports[i].ifname, job->want.ports[i].id,
			               PORT_ID_MAX);
	int uplinks = build_openflow_check(b, job, err);
	if (!uplinks)
		uplinks = build_uplinks_survey(b, job, err);
	if (uplinks)
		return uplinks;
	if (b->real && build_looks_at_all(job)) {
		int code = inventory_read(b->inv, b->nl, err);
		if (code)
			return code;
	}
	return STEP_NEXT;
}

/* ---- what must make room --------------------------------------------------------------------- */
bool build_port_changed(const struct plan_port *old, const struct plan_port *now)
{
	return old->router != now->router || strcmp(old->ifname, now->ifname) || memcmp(old->mac, now->mac, 6);
}

static bool segment_changed(const struct plan_segment *old, const struct plan_segment *now)
{
	return !addr_same(&old->local, &now->local) || !addr_same(&old->remote, &now->remote) ||
	       old->best_effort != now->best_effort;
}

/* A device that cannot become what it shall be, or that lost its router. */
static bool must_go(const struct device *d, void *arg)
{
	struct job *job = arg;
	if (d->kind == DEVICE_SEGMENT) {
		const struct plan_segment *now = plan_index_segment(&job->now, d->id), *old = plan_index_segment(&job->old, d->id);
		return now && old && segment_changed(old, now);
	}
	if (d->kind == DEVICE_OUTSIDE && build_outside_misplaced(job->net->b, &job->now, d))
		return plan_index_port(&job->now, d->id) != NULL;
	const struct plan_port *now = plan_index_port(&job->now, d->id), *old = plan_index_port(&job->old, d->id);
	return now && ((old && build_port_changed(old, now)) || hash_get_u64(job->remade, (uint64_t)now->router + 1));
}

static int step_make_room(struct builder *b, struct job *job, struct err *err)
{
	bool any = false;
	for (size_t i = 0; i < job->want.n_routers; i++) {
		const struct plan_router *r = &job->want.routers[i];
		const struct open_driver *d = build_driver(b, r->kind);
		struct router_key key = { job->net->id, r->id };
		if (d->ops->running(d->self, key))
			continue;
		hash_put_u64(job->remade, (uint64_t)r->id + 1, job);
		any = true;
	}
	for (size_t i = 0; commits(job) && i < job->want.n_ports; i++) {
		const struct plan_port *old = plan_index_port(&job->old, job->want.ports[i].id);
		any |= old && build_port_changed(old, &job->want.ports[i]);
		const struct device *outside = job->want.ports[i].uplink ? inventory_outside(b->inv, job->net->id, job->want.ports[i].id) : NULL;
		any |= outside && build_outside_misplaced(b, &job->now, outside);
	}
	for (size_t i = 0; commits(job) && i < job->want.n_segments; i++) {
		const struct plan_segment *old = plan_index_segment(&job->old, job->want.segments[i].vni);
		any |= old && segment_changed(old, &job->want.segments[i]);
	}
	if (!any || !b->real || !commits(job))
		return STEP_NEXT;
	build_detach_changed(b, job);
	job->full = true; /* what pointed at them must point at what takes their place */
	int code = inventory_remove(b->inv, b->nl, job->net->id, must_go, job, NULL, err);
	return code ? code : STEP_NEXT;
}

/* ---- routers ---------------------------------------------------------------------------------- */
static int step_routers(struct builder *b, struct job *job, struct err *err)
{
	size_t end = job->cursor + SLICE_ROUTERS;
	for (; job->cursor < job->want.n_routers && job->cursor < end; job->cursor++) {
		const struct plan_router *r = &job->want.routers[job->cursor];
		const struct open_driver *d = build_driver(b, r->kind);
		struct router_spec spec = { .key = { job->net->id, r->id }, .name = r->name, .cpu_milli = r->cpu_milli,
			                    .mem_kib = r->mem_kib, .image = r->image, .rt_period_us = r->rt_period_us,
			                    .rt_budget_us = r->rt_budget_us };
		const struct plan_router *old = plan_index_router(&job->old, r->id);
		bool runs = d->ops->running(d->self, spec.key);
		if (runs) {
			bool resized = !old || old->cpu_milli != r->cpu_milli || old->mem_kib != r->mem_kib ||
			               old->rt_period_us != r->rt_period_us || old->rt_budget_us != r->rt_budget_us;
			int code = commits(job) && (resized || build_looks_at_all(job)) ? d->ops->resize(d->self, &spec, err) : 0;
			if (code)
				return err_add(err, code, "router %s", r->name);
		} else {
			hash_put_u64(job->remade, (uint64_t)r->id + 1, job);
		}
		if (d->ops->ports == ROUTER_PORTS_DRIVER) {
			build_create_with_ports(b, job, d, &spec, r, runs);
		} else if (!runs) {
			build_await(job, r->id);
			d->ops->create(d->self, &spec);
		}
	}
	return job->cursor < job->want.n_routers ? STEP_AGAIN : STEP_NEXT;
}

/* Events take routers out of `pending`, or put the failure into `code`. */
static int step_wait(struct builder *b, struct job *job, struct err *err)
{
	uint32_t left = (uint32_t)hash_count(job->pending);
	int64_t now = clock_ms();
	if (job->n_pending_at_first && b->options.progress && !job->internal && job->code == 0 &&
	    now - job->told_ms >= PROGRESS_MS) {
		job->told_ms = now;
		b->options.progress(b->options.arg, job->net->id, job->cookie, job->n_pending_at_first - left,
		                    job->n_pending_at_first);
	}
	return left ? STEP_WAIT : STEP_NEXT;
}

/* ---- devices ---------------------------------------------------------------------------------- */
void build_put_gate(struct builder *b, const struct device *d)
{
	device_put_silent(b->batch, d->ifindex, d->name);
	tc_put_gate(b->batch, d->ifindex, d->name);
	if (d->kind == DEVICE_PORT)
		tc_put_guard(b->batch, d->ifindex, d->name);
}

static int put_port(struct builder *b, struct job *job, const struct plan_port *port, struct err *err)
{
	struct device *there = hash_get_u64(job->arrived, (uint64_t)port->id + 1) ? inventory_port(b->inv, job->net->id, port->id) : NULL;
	if (there) {
		build_put_gate(b, there);
		device_put_mtu(b->batch, there->ifindex, port->mtu, there->name);
		there->mtu = port->mtu;
		job->full |= commits(job);
		return 0;
	}
	if (!build_port_is_real(b, &job->now, port) || inventory_port(b->inv, job->net->id, port->id))
		return 0;
	const struct plan_router *r = plan_index_router(&job->now, port->router);
	const struct open_driver *driver = build_driver(b, r->kind);
	if (driver->ops->ports == ROUTER_PORTS_DRIVER)
		return err_set(err, -ENODEV, "router %s runs, but its port %s is not there", r->name, port->ifname);
	int netns = driver->ops->netns(driver->self, (struct router_key){ job->net->id, r->id });
	if (netns < 0)
		return err_set(err, -ENOENT, "router %s ended while its ports were made", r->name);
	struct device *d = inventory_add(b->inv, DEVICE_PORT, job->net->id, port->id, port->mtu);
	port_put_create(b->batch, d, port, netns);
	build_put_gate(b, d);
	job->full |= commits(job); /* it has vanished since it was prepared */
	return 0;
}

static void put_segment(struct builder *b, struct job *job, const struct plan_segment *s)
{
	if (!segment_is_real(b, job, s) || device_of(b, job, segment_end(s->vni)))
		return;
	struct device *d = inventory_add(b->inv, DEVICE_SEGMENT, job->net->id, s->vni, s->mtu);
	uint16_t share = tc_share_of(job->want.owner);
	if (s->best_effort)
		underlay_put_share(b->batch, b->options.underlay, b->options.n_underlay, share);
	segment_vxlan.put_create(b->batch, d, s, share);
	build_put_gate(b, d);
	job->full |= commits(job);
}

static int step_devices(struct builder *b, struct job *job, struct err *err)
{
	size_t all = job->want.n_ports + job->want.n_segments, end = job->cursor + SLICE_OBJECTS;
	if (!b->real)
		return STEP_NEXT;
	if (job->cursor == 0 && hash_count(job->arrived)) {
		int seen = inventory_read(b->inv, b->nl, err);
		if (seen)
			return seen;
	}
	for (; job->cursor < all && job->cursor < end; job->cursor++) {
		size_t i = job->cursor;
		if (i >= job->want.n_ports) {
			put_segment(b, job, &job->want.segments[i - job->want.n_ports]);
			continue;
		}
		int code = put_port(b, job, &job->want.ports[i], err);
		if (code) {
			nl_batch_clear(b->batch);
			return code;
		}
		build_outside_put(b, job, &job->want.ports[i]);
	}
	int code = nl_send(b->nl, b->batch, NULL, err);
	if (code)
		return code;
	return job->cursor < all ? STEP_AGAIN : STEP_NEXT;
}

/* ---- inside the routers ------------------------------------------------------------------------- */
static bool same_routes(const struct plan_router *a, const struct plan_router *b)
{
	if (a->n_routes != b->n_routes || a->n_loopbacks != b->n_loopbacks)
		return false;
	for (size_t i = 0; i < a->n_loopbacks; i++)
		if (!addr_same(&a->loopbacks[i], &b->loopbacks[i]))
			return false;
	for (size_t i = 0; i < a->n_routes; i++)
		if (!addr_same(&a->routes[i].to, &b->routes[i].to) || !addr_same(&a->routes[i].via, &b->routes[i].via) ||
		    a->routes[i].port != b->routes[i].port)
			return false;
	return true;
}

/* Whether this operation has to write a port's inside. */
static bool port_is_due(const struct job *job, const struct plan_port *port)
{
	const struct plan_port *old = plan_index_port(&job->old, port->id);
	if (build_looks_at_all(job) || hash_get_u64(job->remade, (uint64_t)port->router + 1))
		return true;
	if (!commits(job))
		return !old;
	return old && (port->mtu != old->mtu || !addr_same(&port->address, &old->address) || !addr_same(&port->gateway, &old->gateway) ||
	               port->nat != old->nat);
}

static void put_inside(struct nl_batch *b, const struct job *job, const struct plan_router *r, const size_t *ports,
                       size_t n_ports)
{
	const struct plan_router *old = plan_index_router(&job->old, r->id);
	bool fresh = hash_get_u64(job->remade, (uint64_t)r->id + 1) != NULL, all = fresh || build_looks_at_all(job);
	bool whole = all || (commits(job) ? old && !same_routes(old, r) : !old);
	bool is_switch = kind_is_switch(r->kind), bridged = !strcmp(r->kind, KIND_SWITCH);
	if (whole)
		port_put_router(b, r);
	if (whole && bridged)
		port_put_bridge(b);
	for (size_t i = 0; i < n_ports; i++) {
		const struct plan_port *port = &job->want.ports[ports[i]], *was = plan_index_port(&job->old, port->id);
		bool due = port_is_due(job, port);
		if (due && was && commits(job) && !fresh)
			port_put_stale_address(b, was, port);
		if (due && is_switch)
			port_put_switched(b, port, bridged);
		else if (due)
			port_put_inside(b, port);
		if (commits(job) && !is_switch)
			port_put_peer(b, port);
	}
	for (size_t i = 0; whole && i < r->n_routes; i++)
		port_put_route(b, r, &r->routes[i]);
	if (whole && commits(job) && old && !fresh) {
		port_put_stale_routes(b, old, r);
		port_put_stale_loopbacks(b, old, r);
	}
}

static int configure(struct builder *b, struct job *job, const struct plan_router *r, const size_t *ports,
                     size_t n_ports, struct err *err)
{
	const struct open_driver *d = build_driver(b, r->kind);
	struct nl *inside;
	if (d->ops->ports == ROUTER_PORTS_DRIVER)
		build_configure(b, job, d, r);
	if (d->ops->ports != ROUTER_PORTS_VETH)
		return 0;
	put_inside(b->batch, job, r, ports, n_ports);
	if (!strcmp(r->kind, KIND_OPENFLOW))
		build_openflow_set(b, job, d, r);
	if (!nl_batch_count(b->batch))
		return 0;
	int netns = d->ops->netns(d->self, (struct router_key){ job->net->id, r->id });
	int code = netns < 0 ? err_set(err, -ENOENT, "it has ended") : nl_open(NETLINK_ROUTE, netns, &inside, err);
	if (code) {
		nl_batch_clear(b->batch);
		return err_add(err, code, "router %s", r->name);
	}
	code = nl_send(inside, b->batch, NULL, err);
	nl_close(inside);
	if (!code)
		code = build_uplinks_inside(b, job, r, ports, n_ports, netns, err);
	return code ? err_add(err, code, "router %s", r->name) : 0;
}

/* Ports by router: a slice of the plan's ports for each router, by counting. */
static int step_inside(struct builder *b, struct job *job, struct err *err)
{
	const struct node_plan *p = &job->want;
	size_t end = job->cursor + SLICE_ROUTERS;
	if (!b->real || !p->n_routers)
		return STEP_NEXT;
	struct hash *slots = hash_new();
	size_t *first = mem_array(p->n_routers + 2, sizeof(*first)), *order = mem_array(p->n_ports + 1, sizeof(*order));
	for (size_t i = 0; i < p->n_routers; i++)
		hash_put_u64(slots, p->routers[i].id, &first[i + 1]);
	for (size_t i = 0; i < p->n_ports; i++)
		++*(size_t *)hash_get_u64(slots, p->ports[i].router);
	for (size_t i = 1; i <= p->n_routers; i++)
		first[i] += first[i - 1];
	for (size_t i = p->n_ports; i-- > 0;)
		order[--*(size_t *)hash_get_u64(slots, p->ports[i].router)] = i;
	/* first[i + 1] is now where router i's ports begin; the next one's, or the end, is where they end. */
	first[p->n_routers + 1] = p->n_ports;
	int code = 0;
	for (; !code && job->cursor < p->n_routers && job->cursor < end; job->cursor++) {
		size_t from = first[job->cursor + 1], to = first[job->cursor + 2];
		code = configure(b, job, &p->routers[job->cursor], order + from, to - from, err);
	}
	hash_free(slots, NULL);
	free(first);
	free(order);
	return code ? code : job->cursor < p->n_routers ? STEP_AGAIN : STEP_NEXT;
}

/* ---- protected links ---------------------------------------------------------------------------- */
bool build_port_is_protected(const struct plan_index *index, uint32_t port)
{
	size_t n;
	const struct join *joins = plan_index_joins(index, port_end(port), &n);
	for (size_t i = 0; i < n; i++)
		if (joins[i].cross->role == CROSS_BACKUP)
			return true;
	return false;
}

static bool leads_to_protected(const struct plan_index *index, uint32_t vni)
{
	size_t n;
	const struct join *joins = plan_index_joins(index, segment_end(vni), &n);
	return n && joins[0].there.kind == ENDPOINT_PORT && build_port_is_protected(index, joins[0].there.id);
}

/* ---- redirects and limits ---------------------------------------------------------------------- */
bool build_join_is_limited(const struct join *j)
{
	return j->there.kind == ENDPOINT_PORT && j->cross->bw_kbps > 0;
}

static void put_limits(struct builder *b, const struct job *job, const struct device *d, const struct join *joins,
                       size_t n, uint32_t mtu)
{
	for (size_t i = 0; i < n; i++)
		if (build_join_is_limited(&joins[i])) {
			tc_put_limit(b->batch, d->ifindex, joins[i].cross->bw_kbps, joins[i].cross->overhead, mtu, d->name);
			return;
		}
	size_t m;
	struct endpoint here = d->kind == DEVICE_PORT ? port_end(d->id) : segment_end(d->id);
	const struct join *were = plan_index_joins(&job->old, here, &m);
	for (size_t i = 0; i < m; i++)
		if (build_join_is_limited(&were[i])) {
			tc_put_unlimited(b->batch, d->ifindex, d->name);
			return;
		}
}

/* A protected link's port keeps the path that it was switched to; the kernel knows which. */
static void put_protected(struct builder *b, struct job *job, const struct device *d, const struct join *joins, size_t n)
{
	uint32_t now = build_looks_at_all(job) || commits(job) ? tc_redirected_to(b->nl, d->ifindex) : 0, primary = 0, to = 0;
	for (size_t i = 0; i < n; i++) {
		const struct device *there = device_of(b, job, joins[i].there);
		if (there && joins[i].cross->role == CROSS_PRIMARY)
			primary = there->ifindex;
		if (there && there->ifindex == now)
			to = now;
	}
	if (to || primary)
		tc_put_protected(b->batch, d->ifindex, to ? to : primary, d->name);
}

static void put_wires(struct builder *b, struct job *job, struct device *d, struct endpoint here, uint32_t mtu)
{
	struct redirect_target targets[TARGETS_MAX];
	size_t n, n_targets = 0, m;
	const struct join *joins = plan_index_joins(&job->now, here, &n);
	for (size_t i = 0; i < n && n_targets < TARGETS_MAX; i++) {
		struct device *to = device_of(b, job, joins[i].there);
		bool idle = here.kind == ENDPOINT_PORT && joins[i].cross->role == CROSS_BACKUP;
		if (to && !idle)
			targets[n_targets++] = (struct redirect_target){ to->ifindex, (uint64_t)joins[i].cross->bw_kbps };
	}
	if (d->mtu != mtu && commits(job)) {
		device_put_mtu(b->batch, d->ifindex, mtu, d->name);
		d->mtu = mtu;
	}
	if (build_looks_at_all(job))
		build_put_gate(b, d); /* what somebody may have taken away */
	put_limits(b, job, d, joins, n, mtu);
	if (here.kind == ENDPOINT_PORT && build_port_is_protected(&job->now, here.id))
		put_protected(b, job, d, joins, n);
	else
		tc_put_redirect(b->batch, d->ifindex, targets, n_targets, d->name);
	if (here.kind == ENDPOINT_SEGMENT && leads_to_protected(&job->now, here.id))
		tc_put_probe_exit(b->batch, d->ifindex, d->name);
	(void)plan_index_joins(&job->old, here, &m);
	if (m > n_targets)
		tc_put_redirect_trim(b->batch, d->ifindex, n_targets, m < TARGETS_MAX ? m : TARGETS_MAX, d->name);
}

static bool is_due(const struct job *job, struct endpoint here, bool fresh, bool same_mtu)
{
	if (build_looks_at_all(job))
		return true;
	if (!commits(job))
		return fresh;
	return !fresh && (!same_mtu || !plan_index_same_joins(&job->old, &job->now, here));
}

static void wire_port(struct builder *b, struct job *job, const struct plan_port *port)
{
	struct device *d = device_of(b, job, port_end(port->id));
	const struct plan_port *old = plan_index_port(&job->old, port->id);
	if (port->uplink)
		build_uplink_wires(b, job, port);
	else if (d && build_port_is_real(b, &job->now, port) && is_due(job, port_end(port->id), !old, old && old->mtu == port->mtu))
		put_wires(b, job, d, port_end(port->id), port->mtu);
}

/* Segments come up as soon as they know where to: frames reach them only once a port is switched to
 * them, here or at the far end, and then the whole path is ready. */
static void wire_segment(struct builder *b, struct job *job, const struct plan_segment *s)
{
	struct device *d = device_of(b, job, segment_end(s->vni));
	const struct plan_segment *old = plan_index_segment(&job->old, s->vni);
	bool same = old && old->mtu == s->mtu && leads_to_protected(&job->old, s->vni) == leads_to_protected(&job->now, s->vni);
	if (!d || !is_due(job, segment_end(s->vni), !old, same))
		return;
	put_wires(b, job, d, segment_end(s->vni), s->mtu);
	if (!d->up)
		device_put_flags(b->batch, d->ifindex, IFF_UP, IFF_UP, d->name);
	d->up = true;
}

static int step_wires(struct builder *b, struct job *job, struct err *err)
{
	size_t all = job->want.n_ports + job->want.n_segments, end = job->cursor + SLICE_OBJECTS;
	if (!b->real)
		return STEP_NEXT;
	if (job->cursor == 0 && job->want.n_segments) {
		int expected = build_wall_update(b, err);
		if (expected)
			return expected;
	}
	for (; job->cursor < all && job->cursor < end; job->cursor++) {
		size_t i = job->cursor;
		if (i < job->want.n_ports)
			wire_port(b, job, &job->want.ports[i]);
		else
			wire_segment(b, job, &job->want.segments[i - job->want.n_ports]);
	}
	int code = nl_send(b->nl, b->batch, NULL, err);
	return code ? code : job->cursor < all ? STEP_AGAIN : STEP_NEXT;
}

/* ---- traffic ------------------------------------------------------------------------------------ */
static int step_up(struct builder *b, struct job *job, struct err *err)
{
	size_t end = job->cursor + 4 * SLICE_OBJECTS;
	for (; b->real && job->cursor < job->want.n_ports && job->cursor < end; job->cursor++) {
		struct device *d = inventory_port(b->inv, job->net->id, job->want.ports[job->cursor].id);
		if (!d || d->up || job->want.ports[job->cursor].uplink)
			continue;
		device_put_flags(b->batch, d->ifindex, IFF_UP | IFF_NOARP, IFF_UP | IFF_NOARP, d->name);
		d->up = true;
	}
	int code = b->real ? nl_send(b->nl, b->batch, NULL, err) : 0;
	if (code)
		return code;
	return b->real && job->cursor < job->want.n_ports ? STEP_AGAIN : STEP_NEXT;
}

/* From here on a restart finds the new plan, and removes what the old one had more. */
static int step_store(struct builder *b, struct job *job, struct err *err)
{
	if (b->options.store && !node_plan_empty(&job->want))
		b->options.store(b->options.arg, job->net->id, SLOT_COMMITTED, &job->want);
	return STEP_NEXT;
}

/* Routers that compute their routes begin once their ports carry traffic. */
static int step_routing(struct builder *b, struct job *job, struct err *err)
{
	build_uplinks_dhcp(b, job);
	for (size_t i = 0; b->real && i < job->want.n_routers; i++) {
		const struct plan_router *r = &job->want.routers[i];
		const struct open_driver *d = build_driver(b, r->kind);
		struct router_key key = { job->net->id, r->id };
		if (r->routing != ROUTING_OSPF || d->ops->ports == ROUTER_PORTS_NONE) {
			ospf_drop(b->ospf, key);
			continue;
		}
		VEC(const struct plan_port *) ports = { 0 };
		for (size_t k = 0; k < job->want.n_ports; k++)
			if (job->want.ports[k].router == r->id)
				*vec_add(&ports) = &job->want.ports[k];
		ospf_set(b->ospf, d->ops, d->self, key, r, ports.v, ports.n);
		vec_done(&ports);
	}
	return STEP_NEXT;
}

/* ---- removing -------------------------------------------------------------------------------------- */
/* What stays: for ABORT and a failed PREPARE what was committed, else what is wanted; beside a
 * repair also what is prepared. */
struct staying {
	const struct plan_index *plan;
	struct plan_index beside;
	struct builder *b;
};

static void staying_init(struct staying *s, struct job *job)
{
	s->b = job->net->b;
	bool back = job->op == BUILD_ABORT || job->op == BUILD_PREPARE;
	s->plan = back ? &job->old : &job->now;
	plan_index_init(&s->beside, job->op == BUILD_REPAIR && job->net->has_prepared ? &job->net->prepared : NULL);
}

static bool is_surplus(const struct device *d, void *arg)
{
	const struct staying *s = arg;
	if (d->kind == DEVICE_OUTSIDE)
		return build_outside_misplaced(s->b, s->plan, d) && build_outside_misplaced(s->b, &s->beside, d);
	if (d->kind == DEVICE_PORT)
		return !plan_index_port(s->plan, d->id) && !plan_index_port(&s->beside, d->id);
	return !plan_index_segment(s->plan, d->id) && !plan_index_segment(&s->beside, d->id);
}

static void end_surplus_routers(struct builder *b, struct job *job, const struct staying *s)
{
	for (size_t i = 0; i < b->n_drivers; i++) {
		const struct open_driver *d = &b->drivers[i];
		struct router_key *keys = NULL;
		size_t n = 0;
		if (d->shared)
			continue;
		d->ops->list(d->self, &keys, &n);
		for (size_t k = 0; k < n; k++) {
			if (keys[k].net != job->net->id)
				continue;
			const struct plan_router *r = plan_index_router(s->plan, keys[k].router);
			if (!r)
				r = plan_index_router(&s->beside, keys[k].router);
			if (r && build_driver(b, r->kind)->self == d->self)
				continue;
			hash_put_u64(job->pending, (uint64_t)keys[k].router + 1, job);
			ospf_drop(b->ospf, keys[k]);
			ovs_drop(b->ovs, keys[k]);
			build_plane_drop(b, keys[k]);
			dhcp_forget(b->dhcp, keys[k]);
			d->ops->destroy(d->self, keys[k]);
			build_fail_router(job->net, keys[k].router, NULL);
		}
		free(keys);
	}
}

static int step_remove(struct builder *b, struct job *job, struct err *err)
{
	struct staying s;
	job->n_pending_at_first = 0;
	staying_init(&s, job);
	int code = b->real ? inventory_remove(b->inv, b->nl, job->net->id, is_surplus, &s, NULL, err) : 0;
	if (b->real)
		build_detach_surplus(b, job, is_surplus, &s);
	end_surplus_routers(b, job, &s);
	plan_index_done(&s.beside);
	return code ? code : STEP_NEXT;
}

/* Another preparation stood beside: it goes before this one begins. */
static int step_replace_prepared(struct builder *b, struct job *job, struct err *err)
{
	return job->net->has_prepared ? step_remove(b, job, err) : STEP_NEXT;
}

static step_fn *const prepare_steps[] = { step_survey, step_replace_prepared, step_wait, step_make_room, step_routers,
	                                  step_wait, step_devices, step_inside, step_wires, step_wait, NULL };
#define SWITCH_STEPS \
	step_survey, step_make_room, step_routers, step_wait, step_devices, step_wires, step_up, step_inside, step_wait, build_step_outside, \
	step_routing, build_step_planes, step_store
static step_fn *const commit_steps[] = { SWITCH_STEPS, NULL };
static step_fn *const ensure_steps[] = { SWITCH_STEPS, step_remove, step_wait, NULL };
static step_fn *const abort_steps[] = { step_remove, step_wait, NULL };

step_fn *const *build_steps(const struct job *job)
{
	if (job->op == BUILD_COMMIT && !node_plan_empty(&job->want))
		return commit_steps;
	return job->op == BUILD_PREPARE ? prepare_steps : job->op == BUILD_ABORT ? abort_steps : ensure_steps;
}

step_fn *const *build_undo_steps(void)
{
	return abort_steps;
}
