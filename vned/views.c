/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From state to what is shown. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vned/vned.h"

static double mbit(int64_t kbps)
{
	return (double)kbps / 1000;
}

static double mbit_of(double bytes_per_second)
{
	return bytes_per_second < 0 ? -1 : bytes_per_second * 8 / 1e6;
}

/* ---- networks ------------------------------------------------------------------------------ */

enum net_state network_shown_state(const struct network *net)
{
	if (net->txn && net->txn->kind == TXN_UPDATE)
		return NET_UPDATING;
	if (net->state != NET_ACTIVE)
		return net->state;
	return net->degraded ? NET_DEGRADED : net->settle_ms ? NET_COMMITTING : NET_ACTIVE;
}

struct source { /* what a detailed view is made from; all but r may be NULL */
	const struct vned *v;
	const struct request *r;
	const struct embedding *e;
	const struct network *net; /* its plan and loads */
	const struct net_load *load;
};

static const struct node_plan *plan_at(const struct source *src, uint32_t snode)
{
	for (size_t i = 0; src->net && i < src->net->plan.n_nodes; i++) {
		if (src->net->plan.snode[i] == snode)
			return &src->net->plan.nodes[i];
	}
	return NULL;
}

static char *loopbacks(const struct source *src, size_t router)
{
	buf_auto struct buf out = BUF_INIT;
	char text[ADDR_TEXT];
	const struct node_plan *np = src->e ? plan_at(src, src->e->host[router]) : NULL;
	for (size_t i = 0; np && i < np->n_routers; i++) {
		const struct plan_router *p = &np->routers[i];
		for (size_t k = 0; p->id == src->net->numbers.router[router] && k < p->n_loopbacks; k++)
			buf_printf(&out, "%s%s", out.len ? " " : "", addr_host_text(&p->loopbacks[k], text));
	}
	return buf_take(&out);
}

/* How it forwards, and what it is joined to outside. */
static void view_ways(const struct source *src, size_t router, const char *kind, struct router_view *ret)
{
	const struct vnode *n = &src->r->nodes[router];
	buf_auto struct buf uplinks = BUF_INIT;
	enum plane plane = n->plane ? n->plane : kind && !kind_is_switch(kind) ? plane_default(kind) : PLANE_DEFAULT;
	for (size_t i = 0; i < n->n_uplinks; i++)
		buf_printf(&uplinks, "%s%s", i ? " " : "", n->uplinks[i].port);
	ret->plane = plane ? mem_str(plane_names[plane]) : NULL;
	ret->program = mem_str(n->program);
	ret->controller = mem_str(n->controller);
	ret->uplinks = buf_take(&uplinks);
}

static void view_router(const struct source *src, size_t i, struct router_view *ret)
{
	const struct vnode *n = &src->r->nodes[i];
	const struct router_mon *m = src->load ? &src->load->routers[i] : NULL;
	const char *kind = src->e && src->e->kind[i] ? src->e->kind[i] : n->kind;
	*ret = (struct router_view){ .name = mem_str(n->name), .kind = mem_str(kind ? kind : ""),
		                         .node = mem_str(src->e ? src->v->substrate.nodes[src->e->host[i]].name : ""),
		                         .state = mem_str(m && m->known ? router_state_names[m->state] : ""),
		                         .loopback = loopbacks(src, i), .cpu_milli = n->demand[RES_CPU_MILLI],
		                         .mem_kib = n->demand[RES_MEM_KIB], .cpu_used = -1, .mem_used_kib = -1,
		                         .image = mem_str(n->image), .rt_period_us = n->rt_period_us, .rt_budget_us = n->rt_budget_us };
	view_ways(src, i, kind, ret);
	if (!m || !m->known)
		return;
	double us = rate_per_second(&m->cpu, clock_us());
	ret->cpu_used = us < 0 ? -1 : us / 1e6;
	ret->mem_used_kib = m->mem_kib;
	if (m->state == ROUTER_FAILED)
		ret->reason = mem_str(m->reason);
}

static void view_path(const struct source *src, uint32_t from, const struct path *p, bool backup, struct path_view *ret)
{
	const struct substrate *s = &src->v->substrate;
	buf_auto struct buf via = BUF_INIT, links = BUF_INIT;
	uint32_t *nodes = mem_array(p->n + 1, sizeof(*nodes));
	struct err ignored;
	if (path_via(s, from, p, nodes, &ignored) == 0) {
		for (size_t i = 0; i <= p->n; i++)
			buf_printf(&via, "%s%s", i ? " " : "", s->nodes[nodes[i]].name);
	}
	for (size_t i = 0; i < p->n; i++)
		buf_printf(&links, "%s%s", i ? " " : "", s->links[p->links[i]].name);
	free(nodes);
	*ret = (struct path_view){ .via = buf_take(&via), .links = buf_take(&links), .mbit = mbit(p->bw_kbps), .backup = backup };
}

static void view_paths(const struct source *src, size_t i, struct vlink_view *ret)
{
	const struct vlink_map *map = &src->e->links[i];
	uint32_t from = src->e->host[src->r->links[i].a];
	ret->paths = mem_array(map->n_paths + 1, sizeof(*ret->paths));
	ret->delay_us = 0;
	for (size_t k = 0; k < map->n_paths; k++) {
		int64_t delay = path_delay_us(&src->v->substrate, &map->paths[k]);
		ret->delay_us = delay > ret->delay_us ? delay : ret->delay_us;
		view_path(src, from, &map->paths[k], false, &ret->paths[ret->n_paths++]);
	}
	if (map->backup.n)
		view_path(src, from, &map->backup, true, &ret->paths[ret->n_paths++]);
}

static const struct plan_port *find_port(const struct source *src, uint32_t snode, uint32_t id)
{
	const struct node_plan *np = plan_at(src, snode);
	for (size_t i = 0; np && i < np->n_ports; i++) {
		if (np->ports[i].id == id)
			return &np->ports[i];
	}
	return NULL;
}

static void view_vlink(const struct source *src, size_t i, struct vlink_view *ret)
{
	const struct vlink *l = &src->r->links[i];
	uint32_t ends[2] = { l->a, l->b };
	char *addresses[2];
	*ret = (struct vlink_view){ .name = mem_str(l->name), .a = mem_str(src->r->nodes[l->a].name),
		                        .b = mem_str(src->r->nodes[l->b].name), .mbit = mbit(l->bw_kbps),
		                        .max_delay_us = l->max_delay_us, .delay_us = -1, .mbit_now = { -1, -1 } };
	if (src->e)
		view_paths(src, i, ret);
	for (uint32_t end = 0; end < 2; end++) {
		uint32_t id = (uint32_t)i << 1 | end;
		char text[ADDR_TEXT];
		const struct plan_port *port = src->e && src->net ? find_port(src, src->e->host[ends[end]], network_port_number(src->net, id)) : NULL;
		addresses[end] = mem_str(port && port->address.family ? addr_host_text(&port->address, text) : "");
		if (port)
			ret->mtu = port->mtu;
		const struct port_mon *m = src->load ? &src->load->ports[id] : NULL;
		if (!m || !m->known)
			continue;
		ret->mbit_now[end] = mbit_of(rate_per_second(&m->tx_bytes, clock_us()));
		ret->frames[end] = m->last.tx_frames;
		ret->bytes[end] = m->last.tx_bytes;
		ret->drops[end] = m->last.tx_drops;
	}
	if (src->load && src->e && src->e->links[i].backup.n)
		ret->in_use = mem_str(src->load->ports[i << 1].guard.on_backup || src->load->ports[i << 1 | 1].guard.on_backup ? "backup" : "primary");
	ret->address_a = addresses[0];
	ret->address_b = addresses[1];
}

static void view_uplink(const struct source *src, const struct vuplink *u, size_t number, struct uplink_view *ret)
{
	const struct port_mon *m = src->load ? &src->load->uplinks[number] : NULL;
	char address[ADDR_TEXT], gateway[ADDR_TEXT];
	ret->port = mem_str(u->port);
	ret->address = mem_str(u->address.family ? addr_text(&u->address, address) : "");
	ret->gateway = mem_str(u->gateway.family ? addr_host_text(&u->gateway, gateway) : "");
	ret->nat = u->nat;
	ret->mbit_now[0] = ret->mbit_now[1] = -1;
	if (!m || !m->known)
		return;
	ret->mbit_now[0] = mbit_of(rate_per_second(&m->tx_bytes, clock_us()));
	ret->mbit_now[1] = mbit_of(rate_per_second(&m->rx_bytes, clock_us()));
	ret->frames[0] = m->last.tx_frames;
	ret->frames[1] = m->last.rx_frames;
	ret->bytes[0] = m->last.tx_bytes;
	ret->bytes[1] = m->last.rx_bytes;
	ret->drops[0] = m->last.tx_drops;
	ret->drops[1] = m->last.rx_drops;
}

static void view_uplinks(const struct source *src, struct network_view *ret)
{
	size_t n = request_uplinks(src->r);
	ret->uplinks = mem_array(n ? n : 1, sizeof(*ret->uplinks));
	for (size_t i = 0; i < src->r->n_nodes; i++) {
		const struct vnode *v = &src->r->nodes[i];
		for (size_t k = 0; k < v->n_uplinks; k++) {
			struct uplink_view *u = &ret->uplinks[ret->n_uplinks];
			u->router = mem_str(v->name);
			view_uplink(src, &v->uplinks[k], ret->n_uplinks++, u);
		}
	}
}

static void view_details(const struct source *src, struct network_view *ret)
{
	ret->detailed = true;
	ret->routers = mem_array(ret->n_routers ? ret->n_routers : 1, sizeof(*ret->routers));
	ret->links = mem_array(ret->n_links ? ret->n_links : 1, sizeof(*ret->links));
	for (size_t i = 0; i < ret->n_routers; i++)
		view_router(src, i, &ret->routers[i]);
	for (size_t i = 0; i < ret->n_links; i++)
		view_vlink(src, i, &ret->links[i]);
	view_uplinks(src, ret);
}

void view_network(const struct vned *v, const struct network *net, bool detailed, struct network_view *ret)
{
	*ret = (struct network_view){ .owner = mem_str(net->owner), .name = mem_str(net->name), .id = net->id,
		                          .generation = net->generation, .state = network_shown_state(net),
		                          .submitted_ms = net->submitted_ms, .changed_ms = net->changed_ms,
		                          .lifetime_us = net->request.lifetime_us, .cost = net->cost, .bound = net->bound,
		                          .revenue = net->revenue, .solve_seconds = net->solve_seconds,
		                          .solver = mem_str(net->solver), .status = mem_str(net->status),
		                          .n_routers = net->request.n_nodes, .n_links = net->request.n_links };
	const char *reason = net->txn && net->txn->reason[0] ? net->txn->reason : net->reason;
	ret->reason = reason ? mem_str(reason) : NULL;
	struct source src = { v, &net->request, &net->embedding, net, &net->load };
	if (detailed)
		view_details(&src, ret);
}

void view_request(const struct vned *v, const char *owner, const struct request *r, const struct embedding *e,
                  const struct solution *s, struct network_view *ret)
{
	*ret = (struct network_view){ .owner = mem_str(owner), .name = mem_str(r->name), .state = NET_PLANNED,
		                          .submitted_ms = (uint64_t)clock_wall_ms(), .changed_ms = (uint64_t)clock_wall_ms(),
		                          .lifetime_us = r->lifetime_us, .bound = -1,
		                          .revenue = nano_to_units(request_revenue_nano(r)), .solver = mem_str(s ? s->solver : ""),
		                          .status = mem_str(s ? solve_status_names[s->status] : ""),
		                          .n_routers = r->n_nodes, .n_links = r->n_links };
	if (s) {
		ret->cost = s->cost;
		ret->bound = s->has_bound ? s->bound : -1;
		ret->solve_seconds = s->seconds;
	}
	struct source src = { v, r, e, NULL, NULL };
	view_details(&src, ret);
}

/* ---- nodes and links ------------------------------------------------------------------------ */

static char *names_text(const struct yaml_names *names)
{
	buf_auto struct buf out = BUF_INIT;
	for (size_t i = 0; i < names->n && out.len < 3000; i++)
		buf_printf(&out, "%s%s", i ? " " : "", names->v[i]);
	return buf_take(&out);
}

static char *kinds_text(const struct vned *v, const struct agent *a)
{
	return names_text(a->seen ? &v->usable.nodes[a->snode].kinds : &v->substrate.nodes[a->snode].kinds);
}

static char *lacks_text(const struct agent *a)
{
	buf_auto struct buf out = BUF_INIT;
	for (size_t i = 0; i < a->probe.n_features; i++) {
		if (!a->probe.features[i].present)
			buf_printf(&out, "%s%s", out.len ? ", " : "", a->probe.features[i].name);
	}
	return buf_take(&out);
}

void view_node(const struct vned *v, uint32_t snode, struct node_view *ret)
{
	const struct snode *s = &v->substrate.nodes[snode];
	const struct agent *a = &v->agents[snode];
	int64_t all[RES_COUNT];
	residual_node(&v->usable.nodes[snode], all);
	const char *state = !s->agent ? "no agent" : a->connected ? "up" : a->seen ? "down" : "never seen";
	*ret = (struct node_view){
		.name = mem_str(s->name), .state = mem_str(state), .kinds = kinds_text(v, a),
		.address = mem_str(a->connected ? a->peer.address : ""), .cpu_milli = s->cap[RES_CPU_MILLI],
		.cpu_reserved_milli = networks_reserved(v, snode, RES_CPU_MILLI), .mem_kib = all[RES_MEM_KIB],
		.mem_reserved_kib = networks_reserved(v, snode, RES_MEM_KIB), .cpu_used_ratio = -1,
		.mem_total_kib = -1, .mem_used_kib = -1, .seen_ms_ago = a->seen ? clock_ms() - a->heard_ms : -1,
		.has_location = s->coords.kind == COORDS_LOCATION, .lacks = lacks_text(a),
		.hosts_guests = a->seen && snode_hosts(&v->usable.nodes[snode], KIND_GUEST), .guests_max = all[RES_GUESTS],
		.guest_kib = all[RES_GUEST_KIB], .guest_reserved_kib = networks_reserved(v, snode, RES_GUEST_KIB),
		.realtime_milli = all[RES_REALTIME_MILLI] == UNLIMITED ? 0 : all[RES_REALTIME_MILLI],
		.realtime_reserved_milli = networks_reserved(v, snode, RES_REALTIME_MILLI),
		.images = names_text(&v->usable.nodes[snode].images), .uplinks = names_text(&v->usable.nodes[snode].uplinks),
		.programs = names_text(&v->usable.nodes[snode].programs),
		.drained = failures_drained(v, snode), .leaves = failures_node_leaves(v, snode),
	};
	if (ret->has_location) {
		ret->latitude = s->coords.a;
		ret->longitude = s->coords.b;
	}
	if (a->connected && a->has_report) {
		ret->cpu_used_ratio = a->report.cpu_permille / 1000.0;
		ret->mem_total_kib = a->report.mem_total_kib;
		ret->mem_used_kib = a->report.mem_used_kib;
	}
	for (size_t i = 0; i < v->n_networks; i++) {
		size_t part = network_part(v->networks[i], snode);
		if (part == SIZE_MAX)
			continue;
		const struct node_plan *np = &v->networks[i]->plan.nodes[part];
		ret->routers += np->n_routers;
		for (size_t k = 0; k < np->n_routers; k++)
			ret->guests += kind_is_guest(np->routers[k].kind);
		ret->segments += v->networks[i]->plan.nodes[part].n_segments;
	}
}

/* Segments over a link, seen from its end `side`: how many, and what they send now. */
static void link_side(const struct vned *v, uint32_t slink, int side, struct slink_view *ret)
{
	const struct slink *l = &v->substrate.links[slink];
	uint32_t snode = side ? l->b : l->a;
	double sum = 0;
	bool known = v->agents[snode].has_report;
	for (size_t i = 0; i < v->n_networks; i++) {
		size_t part = network_part(v->networks[i], snode);
		if (part == SIZE_MAX)
			continue;
		const struct node_plan *np = &v->networks[i]->plan.nodes[part];
		for (size_t k = 0; k < np->n_segments; k++) {
			if (strcmp(np->segments[k].slink, l->name) != 0)
				continue;
			const struct seg_mon *m = monitor_segment(v->monitor, snode, np->segments[k].vni);
			double rate = m ? rate_per_second(&m->tx_bytes, clock_us()) : -1;
			sum += rate > 0 ? rate : 0;
			ret->segments += side == 0;
		}
	}
	ret->mbit_now[side] = known ? mbit_of(sum) : -1;
}

void view_slink(const struct vned *v, uint32_t slink, struct slink_view *ret)
{
	const struct slink *l = &v->substrate.links[slink];
	*ret = (struct slink_view){ .name = mem_str(l->name), .a = mem_str(v->substrate.nodes[l->a].name),
		                        .b = mem_str(v->substrate.nodes[l->b].name), .mbit = mbit(l->bw_kbps),
		                        .reserved_mbit = mbit(l->bw_kbps - v->left.link_kbps[slink]), .delay_us = l->delay_us };
	buf_auto struct buf lost = BUF_INIT;
	if (failures_link_leaves(v, slink))
		ret->lost = mem_str("the substrate's file has it no more; it goes once no network is on it");
	else if (failures_link(v, slink, &lost))
		ret->lost = mem_str(buf_cstr(&lost));
	link_side(v, slink, 0, ret);
	link_side(v, slink, 1, ret);
}
