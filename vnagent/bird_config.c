/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bird_config.h. Timers: hello 1 s and dead after 5, which is what OSPF offers in whole seconds and what a router that waits
 * for its turn on a loaded node keeps; faster is BFD, every 200 ms, a link is down after five that are missing.
 *
 * Subnets of own links stay out of the kernel, which has them already: their routes have no gateway, which is `::` to BIRD in both families. */
#include "vnagent/bird_config.h"

#include <stdbool.h>
#include <sys/socket.h>

static const struct addr *loopback(const struct plan_router *r, uint8_t family)
{
	for (size_t i = 0; i < r->n_loopbacks; i++)
		if (r->loopbacks[i].family == family)
			return &r->loopbacks[i];
	return NULL;
}

static bool speaks(const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, uint8_t family)
{
	for (size_t i = 0; i < n_ports; i++)
		if (ports[i]->address.family == family && !ports[i]->uplink)
			return true;
	return loopback(r, family) != NULL;
}

/* 32 bits that no other router of the network has: its IPv4 loopback, else its number. */
static void put_router_id(const struct plan_router *r, struct buf *out)
{
	const struct addr *a = loopback(r, AF_INET);
	char text[ADDR_TEXT];
	if (a)
		buf_printf(out, "router id %s;\n", addr_host_text(a, text));
	else
		buf_printf(out, "router id 0.%u.%u.%u;\n", (r->id + 1) >> 16 & 255, (r->id + 1) >> 8 & 255, (r->id + 1) & 255);
}

/* By this uplink the router may come to a default route of the family: set by hand, or told by somebody out there. */
static bool leads_out(const struct plan_port *p, uint8_t family)
{
	return p->uplink && (p->gateway.family == family || !p->address.family);
}

static bool is_gateway(const struct plan_port *const *ports, size_t n_ports, uint8_t family)
{
	for (size_t i = 0; i < n_ports; i++)
		if (leads_out(ports[i], family))
			return true;
	return false;
}

static void put_kernel(const struct plan_router *r, uint8_t family, bool gateway, struct buf *out)
{
	const struct addr *source = loopback(r, family);
	char text[ADDR_TEXT], ip = family == AF_INET6 ? '6' : '4';
	buf_printf(out, "protocol kernel kernel%c {\n\tscan time 60;\n\tmerge paths yes;\n%s\tipv%c {\n", ip, gateway ? "\tlearn;\n" : "", ip);
	if (gateway) /* whoever has put it there; before what other gateways say, or ours would never be told */
		buf_printf(out, "\t\timport filter { if net != %s then reject; preference = 200; accept; };\n", family == AF_INET6 ? "::/0" : "0.0.0.0/0");
	else
		buf_str(out, "\t\timport none;\n");
	buf_str(out, "\t\texport filter {\n\t\t\tif source !~ [RTS_OSPF, RTS_OSPF_IA, RTS_OSPF_EXT1, RTS_OSPF_EXT2] || gw = :: then reject;\n");
	if (source)
		buf_printf(out, "\t\t\tkrt_prefsrc = %s;\n", addr_host_text(source, text));
	buf_str(out, "\t\t\taccept;\n\t\t};\n\t};\n}\n");
}

static void put_interface(const struct plan_port *p, uint8_t family, struct buf *out)
{
	if (p->uplink) { /* nobody there is one of us; behind NAT it is not to be reached either */
		if (!p->nat && (p->address.family == family || !p->address.family))
			buf_printf(out, "\t\tinterface \"%s\" { stub yes; cost 10; };\n", p->ifname);
	} else if (p->address.family == family) {
		buf_printf(out, "\t\tinterface \"%s\" { type %s; cost 10; hello 1; dead count 5; retransmit 2; wait 2; bfd yes; };\n",
		           p->ifname, p->lan ? "broadcast" : "ptp");
	}
}

static void put_ospf(const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, uint8_t family, struct buf *out)
{
	char text[ADDR_TEXT], version = family == AF_INET6 ? '3' : '2', ip = family == AF_INET6 ? '6' : '4';
	/* Of several gateways each router takes the nearest: a metric of the first type counts the way to it. */
	const char *export = is_gateway(ports, n_ports, family) ? "filter { if source != RTS_INHERIT then reject; ospf_metric1 = 10; accept; }" : "none";
	buf_printf(out, "protocol ospf v%c ospf%c {\n\tecmp yes;\n\tipv%c { import all; export %s; };\n\tarea 0 {\n", version, ip, ip, export);
	if (loopback(r, family)) /* not as a stub interface: OSPFv3 takes none without a link-local address, and lo has none */
		buf_printf(out, "\t\tstubnet %s/%d;\n", addr_host_text(loopback(r, family), text), loopback(r, family)->prefix);
	for (size_t i = 0; i < n_ports; i++)
		put_interface(ports[i], family, out);
	buf_str(out, "\t};\n}\n");
}

void bird_config_write(const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, struct buf *out)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	put_router_id(r, out);
	buf_str(out, "log stderr { warning, error, fatal, bug };\nprotocol device { scan time 10; }\n");
	buf_str(out, "protocol bfd {\n\tinterface \"eth*\" { interval 200 ms; multiplier 5; };\n}\n");
	for (size_t i = 0; i < sizeof(families); i++)
		if (speaks(r, ports, n_ports, families[i])) {
			put_kernel(r, families[i], is_gateway(ports, n_ports, families[i]), out);
			put_ospf(r, ports, n_ports, families[i], out);
		}
}
