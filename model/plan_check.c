/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an agent believes of a plan before it builds it. A plan has come over a wire, or from a file
 * of an older agent; what passes here can be built without looking again: numbers are in range
 * and unique, every reference resolves, no promise has lost its limit, no name can mean
 * anything but itself to the kernel. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/plan.h"

/* What is known by number; values are addresses within the plan. */
struct seen {
	const struct node_plan *p;
	struct hash *routers, *router_names, *ports, *vnis;
	struct hash *ifnames; /* "router/ifname" */
	struct use *port_use, *segment_use;
};
struct use {
	uint32_t primaries, backups, pairs; /* crosses, of which with another port */
	int64_t primary_kbps;
};

static int check_name(const char *name, const char *what, struct err *err)
{
	int rc = name ? name_check(name, strlen(name), err) : err_set(err, -EINVAL, "there is none");

	return rc < 0 ? err_add(err, rc, "%s", what) : 0;
}

static bool addr_valid(const struct addr *a)
{
	return (a->family == AF_INET && a->prefix <= 32) || (a->family == AF_INET6 && a->prefix <= 128);
}

static bool addr_is_host(const struct addr *a)
{
	return (a->family == AF_INET && a->prefix == 32) || (a->family == AF_INET6 && a->prefix == 128);
}

/* An interface name that the kernel takes, and that is nothing else to anybody. */
static bool ifname_valid(const char name[static IFNAME_MAX + 1])
{
	size_t len = strnlen(name, IFNAME_MAX + 1);

	return len <= IFNAME_MAX && strcmp(name, "lo") != 0 && strcmp(name, "all") != 0 &&
	       strcmp(name, "default") != 0 && name_check(name, len, NULL) == 0;
}

static bool kind_valid(const char kind[static KIND_MAX + 1])
{
	size_t len = strnlen(kind, KIND_MAX + 1);

	return len <= KIND_MAX && name_check(kind, len, NULL) == 0;
}

static bool mtu_valid(uint32_t mtu)
{
	return mtu >= PLAN_MTU_MIN_V4 && mtu <= PLAN_MTU_MAX;
}

static int check_header(const struct node_plan *p, struct err *err)
{
	int rc;

	if (!p->net || p->net > NET_ID_MAX)
		return err_set(err, -EINVAL, "network number %u is not in 1..%d", p->net, NET_ID_MAX);
	if (!p->generation)
		return err_set(err, -EINVAL, "generation 0");
	if (p->n_routers > PLAN_ROUTERS_MAX || p->n_ports > PLAN_PORTS_MAX || p->n_segments > PLAN_SEGMENTS_MAX ||
	    p->n_crosses > PLAN_CROSSES_MAX)
		return err_set(err, -EINVAL, "too large for one node: %zu routers of %d, %zu ports of %d, %zu segments of %d, "
		               "%zu crosses of %d", p->n_routers, PLAN_ROUTERS_MAX, p->n_ports, PLAN_PORTS_MAX,
		               p->n_segments, PLAN_SEGMENTS_MAX, p->n_crosses, PLAN_CROSSES_MAX);
	rc = check_name(p->owner, "owner", err);
	return rc < 0 ? rc : check_name(p->name, "network", err);
}

/* ---- routers ---------------------------------------------------------------------------- */

static int check_loopbacks(const struct plan_router *r, struct err *err)
{
	if (r->n_loopbacks > 2)
		return err_set(err, -EINVAL, "%zu loopbacks, more than one per family", r->n_loopbacks);
	for (size_t i = 0; i < r->n_loopbacks; i++)
		if (!addr_is_host(&r->loopbacks[i]))
			return err_set(err, -EINVAL, "loopback %zu is no host address", i + 1);
	if (r->n_loopbacks == 2 && r->loopbacks[0].family == r->loopbacks[1].family)
		return err_set(err, -EINVAL, "two loopbacks of one family");
	return 0;
}

static int check_plane(const struct plan_router *r, struct err *err)
{
	bool fits = r->plane == PLANE_KERNEL ? !kind_is_guest(r->kind) : plane_fits(r->plane, r->kind);
	struct addr address;
	uint16_t port;

	if (!fits) /* any that is not known, too */
		return err_set(err, -EINVAL, "a router of kind %s cannot forward by plane %d", r->kind, (int)r->plane);
	if ((r->plane == PLANE_PROGRAM) != (r->program != NULL))
		return err_set(err, -EINVAL, "plane: program and the name of one do not go together");
	if (r->program) {
		int rc = check_name(r->program, "program", err);

		if (rc < 0)
			return rc;
	}
	if (!r->controller)
		return 0;
	if (strcmp(r->kind, KIND_OPENFLOW) != 0)
		return err_set(err, -EINVAL, "a router of kind %s has no controller", r->kind);
	return controller_parse(r->controller, &address, &port, err);
}

static int check_router(struct seen *seen, const struct plan_router *r, struct err *err)
{
	int rc = check_name(r->name, "name", err);

	if (rc < 0)
		return rc;
	if (hash_get_u64(seen->routers, r->id))
		return err_set(err, -EINVAL, "its number is another's, too");
	if (hash_put(seen->router_names, r->name, (void *)r))
		return err_set(err, -EINVAL, "its name '%s' is another's, too", r->name);
	hash_put_u64(seen->routers, r->id, (void *)r);
	if (!kind_valid(r->kind))
		return err_set(err, -EINVAL, "its kind is no name of at most %d letters", KIND_MAX);
	if (r->cpu_milli < 0 || r->cpu_milli > CPU_MAX_MILLI || r->mem_kib < 0 || r->mem_kib > MEM_MAX_KIB)
		return err_set(err, -EINVAL, "cpu %lld milli-cores or memory %lld KiB is out of range", (long long)r->cpu_milli,
		               (long long)r->mem_kib);
	if (r->routing != ROUTING_STATIC && r->routing != ROUTING_OSPF && r->routing != ROUTING_NONE)
		return err_set(err, -EINVAL, "routing %d is not known", (int)r->routing);
	if (r->image && (rc = check_name(r->image, "image", err)) < 0)
		return rc;
	if ((rc = rt_check(r->rt_period_us, r->rt_budget_us, err)) < 0)
		return rc;
	if ((rc = check_plane(r, err)) < 0)
		return rc;
	return check_loopbacks(r, err);
}

static int check_routes(const struct seen *seen, const struct plan_router *r, struct err *err)
{
	for (size_t i = 0; i < r->n_routes; i++) {
		const struct plan_route *route = &r->routes[i];
		const struct plan_port *port = hash_get_u64(seen->ports, route->port);

		if (!addr_valid(&route->to) || !addr_is_host(&route->via) || route->to.family != route->via.family)
			return err_set(err, -EINVAL, "route %zu: no valid address", i);
		if (!port || port->router != r->id)
			return err_set(err, -EINVAL, "route %zu: port %u is not one of the router's", i, route->port);
	}
	return 0;
}

static int check_routers(struct seen *seen, struct err *err)
{
	const struct node_plan *p = seen->p;
	size_t routes = 0;

	for (size_t i = 0; i < p->n_routers; i++) {
		int rc = check_router(seen, &p->routers[i], err);

		if (rc < 0)
			return err_add(err, rc, "router %u", p->routers[i].id);
		if (p->routers[i].n_routes > PLAN_ROUTES_MAX - routes)
			return err_set(err, -EINVAL, "more than %d routes on one node", PLAN_ROUTES_MAX);
		routes += p->routers[i].n_routes;
	}
	return 0;
}

/* ---- ports and segments ----------------------------------------------------------------- */

static int check_uplink(const struct plan_port *port, struct err *err)
{
	int rc = check_name(port->uplink, "uplink", err);

	if (rc < 0)
		return rc;
	if (port->id < PLAN_UPLINK_ID || port->link || port->peer_router || port->peer.family || port->lan)
		return err_set(err, -EINVAL, "it is an uplink and a virtual link's end");
	if (port->address.family && !addr_valid(&port->address))
		return err_set(err, -EINVAL, "its address is not valid");
	if (port->gateway.family && (!addr_is_host(&port->gateway) || port->gateway.family != port->address.family))
		return err_set(err, -EINVAL, "its gateway is no host of its address's family");
	return 0;
}

/* Of a virtual link: a router's towards one other, a router's on a LAN, a switch's. */
static int check_end(const struct plan_port *port, const struct plan_router *router, struct err *err)
{
	int rc = check_name(port->link, "link", err);

	if (rc < 0)
		return rc;
	if (port->id >= PLAN_UPLINK_ID || port->gateway.family || port->nat)
		return err_set(err, -EINVAL, "it is a virtual link's end and an uplink");
	if (port->lan) {
		if (!addr_valid(&port->address) || port->peer.family || port->peer_router)
			return err_set(err, -EINVAL, "it is on a LAN, and its address is not valid or it has a peer");
		return 0;
	}
	if (kind_is_switch(router->kind)) {
		if (port->address.family || port->peer.family)
			return err_set(err, -EINVAL, "it is a switch's, and has an address");
		return port->peer_router ? check_name(port->peer_router, "router at the other end", err) : 0;
	}
	if (!addr_valid(&port->address) || !addr_is_host(&port->peer) || port->address.family != port->peer.family)
		return err_set(err, -EINVAL, "its address or its peer's is not valid");
	return check_name(port->peer_router, "router at the other end", err);
}

static int check_port(struct seen *seen, const struct plan_port *port, struct err *err)
{
	const struct plan_router *router = hash_get_u64(seen->routers, port->router);
	mem_auto char *full = NULL;

	if (hash_put_u64(seen->ports, port->id, (void *)port))
		return err_set(err, -EINVAL, "its number is another's, too");
	if (!router)
		return err_set(err, -EINVAL, "there is no router %u", port->router);
	if (!ifname_valid(port->ifname))
		return err_set(err, -EINVAL, "its interface name is not valid");
	full = mem_printf("%u/%s", port->router, port->ifname);
	if (hash_put(seen->ifnames, full, (void *)port))
		return err_set(err, -EINVAL, "its router has another '%s'", port->ifname);
	if ((port->mac[0] & 3) != 2)
		return err_set(err, -EINVAL, "its MAC is not a locally administered one of a single station");
	if (!mtu_valid(port->mtu) || (port->address.family == AF_INET6 && port->mtu < PLAN_MTU_MIN_V6))
		return err_set(err, -EINVAL, "MTU %u is out of range", port->mtu);
	if (port->bw_kbps < 0 || port->bw_kbps > BW_MAX_KBPS)
		return err_set(err, -EINVAL, "%lld kbit/s is out of range", (long long)port->bw_kbps);
	return port->uplink ? check_uplink(port, err) : check_end(port, router, err);
}

static int check_segment(struct seen *seen, const struct plan_segment *s, struct err *err)
{
	size_t bytes = s->local.family == AF_INET6 ? 16 : 4;

	if (!s->vni || s->vni > VNI_MAX)
		return err_set(err, -EINVAL, "its VNI is not in 1..%d", VNI_MAX);
	if (hash_put_u64(seen->vnis, s->vni, (void *)s))
		return err_set(err, -EINVAL, "its VNI is another's, too");
	if (s->link > UINT32_MAX >> 1)
		return err_set(err, -EINVAL, "its link's number %u is out of range", s->link);
	if (!addr_is_host(&s->local) || !addr_is_host(&s->remote) || s->local.family != s->remote.family)
		return err_set(err, -EINVAL, "its underlay addresses are not two hosts of one family");
	if (memcmp(s->local.bytes, s->remote.bytes, bytes) == 0)
		return err_set(err, -EINVAL, "both its ends have one underlay address");
	if (!mtu_valid(s->mtu))
		return err_set(err, -EINVAL, "MTU %u is out of range", s->mtu);
	return check_name(s->slink, "substrate link", err);
}

/* ---- crosses ---------------------------------------------------------------------------- */

/* The virtual link of an endpoint, or -EINVAL where there is no such endpoint. */
static int64_t endpoint_link(const struct seen *seen, const struct endpoint *e)
{
	const struct plan_segment *s;

	if (e->kind == ENDPOINT_PORT)
		return hash_get_u64(seen->ports, e->id) ? (int64_t)(e->id >> 1) : -EINVAL;
	if (e->kind != ENDPOINT_SEGMENT)
		return -EINVAL;
	s = hash_get_u64(seen->vnis, e->id);
	return s ? (int64_t)s->link : -EINVAL;
}

static struct use *endpoint_use(const struct seen *seen, const struct endpoint *e)
{
	const struct node_plan *p = seen->p;

	if (e->kind == ENDPOINT_PORT)
		return &seen->port_use[(const struct plan_port *)hash_get_u64(seen->ports, e->id) - p->ports];
	return &seen->segment_use[(const struct plan_segment *)hash_get_u64(seen->vnis, e->id) - p->segments];
}

/* What a port may send, and how often an endpoint may be used. */
static int check_endpoint(const struct seen *seen, const struct plan_cross *x, const struct endpoint *e,
                          const struct endpoint *other, struct err *err)
{
	struct use *use = endpoint_use(seen, e);
	const struct plan_port *port;

	*(x->role == CROSS_BACKUP ? &use->backups : &use->primaries) += 1;
	if (e->kind == ENDPOINT_SEGMENT)
		return use->primaries + use->backups > 1 ?
			err_set(err, -EINVAL, "segment %u is in another cross, too", e->id) : 0;
	port = hash_get_u64(seen->ports, e->id);
	if (port->uplink)
		return err_set(err, -EINVAL, "port %u is an uplink, which no cross joins", e->id);
	use->pairs += other->kind == ENDPOINT_PORT;
	if (use->primaries > PATHS_MAX || use->backups > 1 || (use->pairs && use->primaries + use->backups > 1))
		return err_set(err, -EINVAL, "port %u is in too many crosses", e->id);
	if ((port->bw_kbps == 0) != (x->bw_kbps == 0))
		return err_set(err, -EINVAL, "port %u is promised %lld kbit/s, the cross limits it to %lld", e->id,
		               (long long)port->bw_kbps, (long long)x->bw_kbps);
	if (x->role == CROSS_PRIMARY)
		use->primary_kbps += x->bw_kbps;
	if (x->bw_kbps > port->bw_kbps || use->primary_kbps > port->bw_kbps)
		return err_set(err, -EINVAL, "port %u would carry more than its %lld kbit/s", e->id, (long long)port->bw_kbps);
	return 0;
}

static int check_cross(const struct seen *seen, const struct plan_cross *x, struct err *err)
{
	int64_t link = endpoint_link(seen, &x->a);
	int rc;

	if (link < 0 || endpoint_link(seen, &x->b) < 0)
		return err_set(err, -EINVAL, "an endpoint is not there");
	if (link != endpoint_link(seen, &x->b))
		return err_set(err, -EINVAL, "it would join two virtual links");
	if (x->a.kind == x->b.kind && x->a.id == x->b.id)
		return err_set(err, -EINVAL, "it joins an endpoint to itself");
	if (x->role != CROSS_PRIMARY && x->role != CROSS_BACKUP)
		return err_set(err, -EINVAL, "role %d is not known", (int)x->role);
	if (x->bw_kbps < 0 || x->bw_kbps > BW_MAX_KBPS || x->overhead > VXLAN_OVERHEAD_V6 || x->path > PATHS_MAX)
		return err_set(err, -EINVAL, "%lld kbit/s, %u bytes of overhead or path %u is out of range",
		               (long long)x->bw_kbps, x->overhead, x->path);
	rc = check_endpoint(seen, x, &x->a, &x->b, err);
	return rc < 0 ? rc : check_endpoint(seen, x, &x->b, &x->a, err);
}

/* ---- the whole -------------------------------------------------------------------------- */

static int check_all(struct seen *seen, struct err *err)
{
	const struct node_plan *p = seen->p;
	int rc = check_routers(seen, err);

	for (size_t i = 0; !rc && i < p->n_ports; i++)
		if ((rc = check_port(seen, &p->ports[i], err)) < 0)
			return err_add(err, rc, "port %u", p->ports[i].id);
	for (size_t i = 0; !rc && i < p->n_routers; i++)
		if ((rc = check_routes(seen, &p->routers[i], err)) < 0)
			return err_add(err, rc, "router %u", p->routers[i].id);
	for (size_t i = 0; !rc && i < p->n_segments; i++)
		if ((rc = check_segment(seen, &p->segments[i], err)) < 0)
			return err_add(err, rc, "segment %u", p->segments[i].vni);
	for (size_t i = 0; !rc && i < p->n_crosses; i++)
		if ((rc = check_cross(seen, &p->crosses[i], err)) < 0)
			return err_add(err, rc, "cross %zu", i);
	for (size_t i = 0; !rc && i < p->n_ports; i++)
		if (!p->ports[i].uplink && !seen->port_use[i].primaries)
			return err_set(err, -EINVAL, "port %u: nothing joins it", p->ports[i].id);
	return rc;
}

int node_plan_check(const struct node_plan *p, struct err *err)
{
	struct seen seen = { .p = p };
	int rc = check_header(p, err);

	if (rc < 0)
		return rc;
	seen.routers = hash_new();
	seen.router_names = hash_new();
	seen.ports = hash_new();
	seen.vnis = hash_new();
	seen.ifnames = hash_new();
	seen.port_use = mem_array(p->n_ports, sizeof(*seen.port_use));
	seen.segment_use = mem_array(p->n_segments, sizeof(*seen.segment_use));
	rc = check_all(&seen, err);
	hash_free(seen.routers, NULL);
	hash_free(seen.router_names, NULL);
	hash_free(seen.ports, NULL);
	hash_free(seen.vnis, NULL);
	hash_free(seen.ifnames, NULL);
	mem_free_at(&seen.port_use);
	mem_free_at(&seen.segment_use);
	return rc;
}
