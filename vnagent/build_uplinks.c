/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports that are joined to an outside device (uplink.h): what may be joined now, its devices, its inside, and what happens when the outside
 * comes and goes.
 *
 * A new network asks for an uplink that is there and open to its owner, or PREPARE fails. What stands goes on without: where the
 * outside device vanishes, or the operator's configuration has it no more, the port is down (as a cable that is pulled), its router
 * is reported failed with the reason, and once the device is back the repair joins it again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ns.h"
#include "vnagent/build_impl.h"
#include "vnagent/nat.h"
#include "vnagent/port.h"
#include "vnagent/uplink_announce.h"
#include "vnagent/wire_tc.h"

/* ---- what may be joined now ------------------------------------------------------------------------------ */
static const struct uplink_state *state_of(const struct builder *b, const char *name)
{
	const struct uplink *u = uplink_find(b->options.uplinks, name);
	return u ? &b->uplinks[u - b->options.uplinks->v] : NULL;
}

uint32_t build_uplink_lower(const struct builder *b, const char *owner, const struct plan_port *port)
{
	if (uplink_allows(b->options.uplinks, port->uplink, owner, NULL))
		return 0;
	return state_of(b, port->uplink)->ifindex;
}

bool build_uplink_fault(const struct builder *b, const char *owner, const struct plan_port *port, char *why, size_t len)
{
	struct err err = { 0 };
	if (uplink_allows(b->options.uplinks, port->uplink, owner, &err)) {
		err_copy(why, len, err.text);
		return true;
	}
	const struct uplink_state *s = state_of(b, port->uplink);
	if (!s->why[0])
		return false;
	snprintf(why, len, "uplink %s: %s", port->uplink, s->why);
	return true;
}

bool build_outside_misplaced(const struct builder *b, const struct plan_index *plan, const struct device *d)
{
	const struct plan_port *port = plan_index_port(plan, d->id);
	return !port || !port->uplink || build_uplink_lower(b, plan->plan->owner, port) != d->link;
}

static int survey_port(struct builder *b, struct job *job, const struct plan_port *port, struct err *err)
{
	const struct plan_router *r = plan_index_router(&job->now, port->router);
	const struct plan_port *old = plan_index_port(&job->old, port->id);
	const struct open_driver *d = build_driver(b, r->kind);
	if (d->ops->ports == ROUTER_PORTS_DRIVER && !port->address.family)
		return err_set(err, -EOPNOTSUPP, "uplink %s has no address: DHCP is for routers of kind netns", port->uplink);
	if (d->ops->ports == ROUTER_PORTS_DRIVER && port->nat)
		return err_set(err, -EOPNOTSUPP, "uplink %s: nat is for routers of kind netns", port->uplink);
	if (port->nat && (r->plane == PLANE_SPLIT || r->plane == PLANE_PROGRAM))
		return err_set(err, -EOPNOTSUPP, "uplink %s: plane %s would go past its nat", port->uplink, plane_names[r->plane]);
	if (job->internal || d->ops->ports == ROUTER_PORTS_NONE)
		return 0;
	int code = uplink_allows(b->options.uplinks, port->uplink, job->want.owner, err);
	if (code)
		return code;
	const struct uplink_state *s = state_of(b, port->uplink);
	bool stands = job->op != BUILD_PREPARE || (old && old->uplink && !strcmp(old->uplink, port->uplink));
	return s->ifindex || stands ? 0 : err_set(err, -ENODEV, "uplink %s: %s", port->uplink, s->why);
}

int build_uplinks_survey(struct builder *b, struct job *job, struct err *err)
{
	const struct node_plan *old = job->old.plan;
	for (size_t i = 0; old && i < old->n_ports; i++)
		job->uplinks |= old->ports[i].uplink != NULL;
	if (b->real)
		build_uplinks_refresh(b);
	for (size_t i = 0; i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		if (!port->uplink)
			continue;
		job->uplinks = true;
		int code = survey_port(b, job, port, err);
		if (code)
			return err_add(err, code, "router %s", plan_index_router(&job->now, port->router)->name);
	}
	return 0;
}

/* ---- devices ----------------------------------------------------------------------------------------------- */
void build_outside_put(struct builder *b, struct job *job, const struct plan_port *port)
{
	uint32_t net = job->net->id, lower = port->uplink ? build_uplink_lower(b, job->want.owner, port) : 0;
	if (!lower || !inventory_port(b->inv, net, port->id) || inventory_outside(b->inv, net, port->id))
		return;
	struct device *d = inventory_add(b->inv, DEVICE_OUTSIDE, net, port->id, port->mtu);
	d->link = lower;
	uplink_put_outside(b->batch, d, port->mac);
	build_put_gate(b, d);
	job->full |= job->op != BUILD_PREPARE;
}

static void put_limits(struct nl_batch *b, const struct device *d, const struct plan_port *port, const struct plan_port *old)
{
	if (port->bw_kbps)
		tc_put_limit(b, d->ifindex, port->bw_kbps, 0, port->mtu, d->name);
	else if (old && old->bw_kbps)
		tc_put_unlimited(b, d->ifindex, d->name);
}

static bool wires_are_due(const struct job *job, const struct plan_port *port, const struct plan_port *old)
{
	if (build_looks_at_all(job))
		return true;
	if (job->op == BUILD_PREPARE)
		return !old;
	return old && (!old->uplink || strcmp(old->uplink, port->uplink) || old->bw_kbps != port->bw_kbps || old->mtu != port->mtu);
}

void build_uplink_wires(struct builder *b, struct job *job, const struct plan_port *port)
{
	const struct plan_port *old = plan_index_port(&job->old, port->id);
	struct device *d = inventory_port(b->inv, job->net->id, port->id), *o = inventory_outside(b->inv, job->net->id, port->id);
	struct device *both[] = { d, o };
	if (!d || !wires_are_due(job, port, old))
		return;
	for (size_t i = 0; i < ARRAY_LEN(both) && both[i]; i++) {
		if (both[i]->mtu != port->mtu)
			device_put_mtu(b->batch, both[i]->ifindex, port->mtu, both[i]->name);
		both[i]->mtu = port->mtu;
		if (build_looks_at_all(job))
			build_put_gate(b, both[i]);
		put_limits(b->batch, both[i], port, old);
	}
	if (o)
		uplink_put_wires(b->batch, uplink_find(b->options.uplinks, port->uplink), d, o, port->mac);
	else
		tc_put_redirect_trim(b->batch, d->ifindex, 0, 1, d->name);
}

static bool outside_changed(const struct job *job, const struct plan_port *port)
{
	const struct plan_port *old = plan_index_port(&job->old, port->id);
	return old && (!addr_same(&old->address, &port->address) || !old->uplink || strcmp(old->uplink, port->uplink));
}

/* Carrying traffic comes last, once the inside is set: the outside first, then the port, whose router then hears of a carrier. */
int build_step_outside(struct builder *b, struct job *job, struct err *err)
{
	VEC(const struct plan_port *) risen = { 0 };
	for (size_t i = 0; b->real && i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		struct device *d = inventory_port(b->inv, job->net->id, port->id), *o = inventory_outside(b->inv, job->net->id, port->id);
		if (!port->uplink || !d)
			continue;
		const struct uplink *u = uplink_find(b->options.uplinks, port->uplink);
		unsigned flags = IFF_UP | IFF_NOARP | IFF_ALLMULTI | (u && u->vlan ? IFF_PROMISC : 0); /* cards filter VLANs */
		bool changed = outside_changed(job, port);
		if (o && (!o->up || changed || build_looks_at_all(job)))
			device_put_flags(b->batch, o->ifindex, flags, flags | IFF_PROMISC, o->name);
		if ((o != NULL) != d->up)
			device_put_flags(b->batch, d->ifindex, o ? IFF_UP | IFF_NOARP : 0, IFF_UP | (o ? IFF_NOARP : 0), d->name);
		if (o && (!d->up || !o->up || changed))
			*vec_add(&risen) = port;
		d->up = o != NULL;
		if (o)
			o->up = true;
	}
	int code = b->real ? nl_send(b->nl, b->batch, NULL, err) : 0;
	for (size_t i = 0; !code && i < risen.n; i++)
		uplink_announce(inventory_outside(b->inv, job->net->id, risen.v[i]->id)->ifindex, risen.v[i]);
	vec_done(&risen);
	return code ? code : STEP_NEXT;
}

/* ---- inside --------------------------------------------------------------------------------------------------- */
static int write_setting(const char *family, const char *ifname, const char *setting, const char *value, struct err *err)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, ifname, setting);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", path); /* a kernel without IPv6 */
	int code = write(fd, value, strlen(value)) < 0 ? err_sys(err, -errno, "%s", path) : 0;
	close(fd);
	return code;
}

/* An interface without an address listens to router advertisements although it forwards, and asks for them. One address that goes
 * does not take others of its subnet along. */
static int set_interface(void *arg, struct err *err)
{
	const struct plan_port *port = arg;
	bool listens = !port->address.family;
	int code = write_setting("ipv4", port->ifname, "promote_secondaries", "1", err);
	if (!code)
		code = write_setting("ipv6", port->ifname, "accept_ra", listens ? "2" : "1", err);
	return code ? code : write_setting("ipv6", port->ifname, "router_solicitations", listens ? "-1" : "0", err);
}

struct interfaces {
	VEC(uint32_t) v; /* numbers inside the router */
};

/* Those of the router's uplinks that translate in this plan, into a list that may have some. */
static void add_translating(const struct node_plan *p, uint32_t router, struct interfaces *ret)
{
	for (size_t i = 0; p && i < p->n_ports; i++) {
		uint32_t ifindex = device_inner_ifindex(p->ports[i].id);
		bool known = p->ports[i].router != router || !p->ports[i].nat;
		for (size_t k = 0; k < ret->v.n && !known; k++)
			known = ret->v.v[k] == ifindex;
		if (!known)
			*vec_add(&ret->v) = ifindex;
	}
}

/* PREPARE leaves what stands as it is: what translates goes on, and what listens. */
int build_uplinks_inside(struct builder *b, struct job *job, const struct plan_router *r, const size_t *ports, size_t n_ports, int netns,
                         struct err *err)
{
	struct interfaces translating = { 0 }, were = { 0 };
	bool prepares = job->op == BUILD_PREPARE;
	int code = 0;
	for (size_t i = 0; job->uplinks && i < n_ports; i++) {
		struct plan_port *port = &job->want.ports[ports[i]];
		struct err why = { 0 };
		if (!port->uplink || (prepares && plan_index_port(&job->old, port->id)))
			continue;
		if (ns_visit_net(netns, set_interface, port, &why))
			build_notice(b, job->net->id, r->name, why.text);
	}
	if (!job->uplinks)
		return 0;
	add_translating(job->old.plan, r->id, &were);
	if (prepares)
		add_translating(job->old.plan, r->id, &translating);
	add_translating(&job->want, r->id, &translating);
	if (translating.v.n || were.v.n)
		code = nat_set(netns, translating.v.v, translating.v.n, err);
	vec_done(&translating.v);
	vec_done(&were.v);
	return code;
}

static void set_clients(struct builder *b, struct job *job, const struct open_driver *d, const struct plan_router *r)
{
	VEC(const char *) ifnames = { 0 };
	for (size_t i = 0; i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		if (port->router == r->id && port->uplink && !port->address.family)
			*vec_add(&ifnames) = port->ifname;
	}
	dhcp_set(b->dhcp, d->ops, d->self, (struct router_key){ job->net->id, r->id }, r->name, ifnames.v, ifnames.n);
	vec_done(&ifnames);
}

void build_uplinks_dhcp(struct builder *b, struct job *job)
{
	bool any = dhcp_any(b->dhcp, job->net->id);
	for (size_t i = 0; i < job->want.n_ports && !any; i++)
		any = job->want.ports[i].uplink && !job->want.ports[i].address.family;
	for (size_t i = 0; any && i < job->want.n_routers; i++) {
		const struct open_driver *d = build_driver(b, job->want.routers[i].kind);
		if (d->ops->ports == ROUTER_PORTS_VETH)
			set_clients(b, job, d, &job->want.routers[i]);
	}
}

/* ---- what happens outside ------------------------------------------------------------------------------------- */
struct change {
	struct builder *b;
	const struct uplink *u;
	const struct uplink_state *now;
	bool joins; /* it can be joined that could not, or the other way round */
};

static void tell_net(void *value, void *arg)
{
	struct build_net *net = value;
	const struct change *c = arg;
	char object[96], text[160];
	bool any = false;
	for (size_t i = 0; net->has_committed && i < net->committed.n_ports; i++)
		any |= net->committed.ports[i].uplink && !strcmp(net->committed.ports[i].uplink, c->u->name);
	if (!any)
		return;
	snprintf(object, sizeof(object), "uplink %s", c->u->name);
	snprintf(text, sizeof(text), "%s", c->now->why[0] ? c->now->why : "its device is back");
	build_notice(c->b, net->id, object, text);
	if (c->joins)
		build_schedule_repair(net);
}

void build_uplinks_refresh(struct builder *b)
{
	for (size_t i = 0; b->options.uplinks && i < b->options.uplinks->n; i++) {
		struct uplink_state was = b->uplinks[i];
		uplink_look(&b->options.uplinks->v[i], b->nl, &b->uplinks[i]);
		struct change c = { b, &b->options.uplinks->v[i], &b->uplinks[i], was.ifindex != b->uplinks[i].ifindex };
		if (c.joins || strcmp(was.why, b->uplinks[i].why))
			hash_each(b->nets, tell_net, &c);
	}
	b->uplinks_stale = false;
}

void build_uplinks_event(struct builder *b, uint32_t ifindex, const char *name)
{
	for (size_t i = 0; b->options.uplinks && i < b->options.uplinks->n; i++)
		b->uplinks_stale |= b->uplinks[i].ifindex == ifindex || !strcmp(b->options.uplinks->v[i].device, name);
}

void build_uplinks_open(struct builder *b)
{
	b->uplinks = mem_array((b->options.uplinks ? b->options.uplinks->n : 0) + 1, sizeof(*b->uplinks));
	for (size_t i = 0; b->options.uplinks && i < b->options.uplinks->n; i++)
		uplink_look(&b->options.uplinks->v[i], b->nl, &b->uplinks[i]);
}
