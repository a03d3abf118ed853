/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See setup.h. Words come from a plan that node_plan_check has passed: names and interface names have no blanks, no line ends. */
#include "vnagent/setup.h"

static void put_prefix(struct buf *out, const struct addr *a)
{
	char text[ADDR_TEXT];
	buf_printf(out, "%s/%d", addr_host_text(a, text), a->prefix);
}

static void put_host(struct buf *out, const struct addr *a)
{
	char text[ADDR_TEXT];
	buf_str(out, addr_host_text(a, text));
}

static const struct plan_port *port_of(const struct plan_port *const *ports, size_t n_ports, uint32_t id)
{
	for (size_t i = 0; i < n_ports; i++)
		if (ports[i]->id == id)
			return ports[i];
	return NULL;
}

static void put_route(struct buf *out, const struct plan_router *r, const struct plan_route *route, const struct plan_port *port)
{
	buf_str(out, "route ");
	put_prefix(out, &route->to);
	buf_str(out, " via ");
	put_host(out, &route->via);
	buf_printf(out, " dev %s", port->ifname);
	for (size_t i = 0; i < r->n_loopbacks; i++)
		if (r->loopbacks[i].family == route->to.family && !(route->port & PLAN_UPLINK_ID)) {
			buf_str(out, " src ");
			put_host(out, &r->loopbacks[i]);
			break;
		}
	buf_char(out, '\n');
}

/* An uplink's, where the plan has no such route of its own. */
static void put_gateway(struct buf *out, const struct plan_router *r, const struct plan_port *port)
{
	struct addr all = { .family = port->gateway.family };
	bool planned = !port->gateway.family;
	for (size_t i = 0; i < r->n_routes; i++)
		planned |= r->routes[i].to.family == all.family && r->routes[i].to.prefix == 0;
	if (planned)
		return;
	buf_str(out, "route ");
	put_prefix(out, &all);
	buf_str(out, " via ");
	put_host(out, &port->gateway);
	buf_printf(out, " dev %s\n", port->ifname);
}

void setup_write(const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, const char *bird, struct buf *out)
{
	buf_printf(out, "vne 1\nrouter %s\n", r->name);
	for (size_t i = 0; i < n_ports; i++) {
		const struct plan_port *p = ports[i];
		buf_printf(out, "port %02x:%02x:%02x:%02x:%02x:%02x %s %u", p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5],
		           p->ifname, p->mtu);
		if (p->address.family) {
			buf_char(out, ' ');
			put_prefix(out, &p->address);
		}
		buf_char(out, '\n');
	}
	for (size_t i = 0; i < r->n_loopbacks; i++) {
		buf_str(out, "loopback ");
		put_prefix(out, &r->loopbacks[i]);
		buf_char(out, '\n');
	}
	for (size_t i = 0; i < r->n_routes; i++) {
		const struct plan_port *port = port_of(ports, n_ports, r->routes[i].port);
		if (port)
			put_route(out, r, &r->routes[i], port);
	}
	for (size_t i = 0; i < n_ports; i++)
		put_gateway(out, r, ports[i]);
	if (bird)
		buf_printf(out, "bird\n%s", bird);
}
