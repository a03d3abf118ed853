/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports of a plan: their numbers, addresses and names. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/plan_impl.h"

/* ---- addresses -------------------------------------------------------------------------- */

static struct addr lan_host(const struct lan *l, size_t k)
{
	struct addr a = lan_address(l, k);

	a.prefix = lan_full_length(&a);
	return a;
}

/* The ends on LANs have the LANs' addresses, those of switches none. */
static int number_lans(struct plan_maker *m, struct err *err)
{
	const struct request *r = m->in->r;
	int rc = lans_make(r, &m->lans, err);

	if (rc < 0)
		return rc;
	for (size_t k = 0; k < r->n_links; k++)
		if (lans_of_link(&m->lans, &r->links[k]) != LAN_NONE)
			m->ends[2 * k] = m->ends[2 * k + 1] = (struct addr){ 0 };
	for (size_t i = 0; i < m->lans.n; i++)
		for (size_t k = 0; k < m->lans.v[i].n_ports; k++)
			m->ends[m->lans.v[i].ports[k]] = lan_host(&m->lans.v[i], k);
	mem_auto bool *borne = mem_array(r->n_nodes, sizeof(*borne));

	for (size_t i = 0; i < 2 * r->n_links; i++) { /* the first port of a switch bears what is the switch's own */
		const struct vlink *l = &r->links[i / 2];
		uint32_t node = i & 1 ? l->b : l->a, inside = m->lans.inside[node];
		const struct lan *lan = inside == LAN_NONE ? NULL : &m->lans.v[m->lans.of_node[node]];

		if (!lan || borne[node])
			continue;
		borne[node] = true;
		m->ends[i] = lan_host(lan, lan->n_ports + inside);
	}
	return m->standing ? plan_standing_lans(m, err) : 0;
}

/* Beside what stands, what is new has the first address that nobody has. */
static int number_loopbacks(struct plan_maker *m, struct err *err)
{
	const struct request *r = m->in->r;
	struct hash *taken = hash_new();
	char text[ADDR_TEXT];
	uint64_t next = 0;
	int rc = 0;

	for (size_t i = 0; i < r->n_nodes; i++) {
		const struct addr *had = plan_standing_loopback(m, i);
		struct addr network, pool;

		if (!had || had->family != r->pool_loopbacks.family)
			continue;
		network = *had;
		network.prefix = r->pool_loopbacks.prefix;
		addr_network(&network, &network);
		addr_network(&r->pool_loopbacks, &pool);
		if (!addr_same(&network, &pool))
			continue;
		m->loopbacks[i] = *had;
		hash_put(taken, addr_host_text(had, text), m);
	}
	for (size_t i = 0; !rc && i < r->n_nodes; i++)
		while (!rc && !m->loopbacks[i].family) {
			struct addr a;

			rc = addr_offset(&r->pool_loopbacks, next++, &a, err);
			if (!rc && !hash_get(taken, addr_host_text(&a, text)))
				m->loopbacks[i] = a;
		}
	hash_free(taken, NULL);
	return rc < 0 ? err_add(err, rc, "pool of loopbacks %s is too small for %zu nodes", addr_text(&r->pool_loopbacks, text),
	                        r->n_nodes) : 0;
}

int plan_number_addresses(struct plan_maker *m, struct err *err)
{
	const struct request *r = m->in->r;
	char text[ADDR_TEXT];
	uint32_t uplinks = 0;
	int rc = 0;

	if (r->routing == ROUTING_STATIC && r->pool_loopbacks.family != r->pool_links.family)
		return err_set(err, -EINVAL, "the pools of loopbacks and links are not of one family: no static route joins them");
	m->loopbacks = mem_array(r->n_nodes, sizeof(*m->loopbacks));
	m->ends = mem_array(2 * r->n_links, sizeof(*m->ends));
	m->uplinks = mem_array(r->n_nodes, sizeof(*m->uplinks));
	for (size_t i = 0; i < r->n_nodes; i++) {
		m->uplinks[i] = uplinks;
		uplinks += (uint32_t)r->nodes[i].n_uplinks;
	}
	rc = number_loopbacks(m, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; !rc && i < 2 * r->n_links; i++)
		rc = addr_offset(&r->pool_links, 2 * (uint64_t)m->numbers.link[i / 2] + (i & 1), &m->ends[i], err);
	if (rc < 0)
		return err_add(err, rc, "pool of links %s is too small for %zu links", addr_text(&r->pool_links, text), r->n_links);
	return number_lans(m, err);
}

/* ---- ports ------------------------------------------------------------------------------ */

uint32_t plan_port_id(const struct plan_maker *m, uint32_t end)
{
	if (end >= PLAN_UPLINK_ID)
		return PLAN_UPLINK_ID + m->numbers.uplink[end - PLAN_UPLINK_ID];
	return m->numbers.link[end >> 1] << 1 | (end & 1);
}

static struct plan_port *new_port(struct plan_maker *m, uint32_t router, uint32_t id)
{
	struct node_plan *np = plan_node_at(m, m->in->e->host[router]);
	struct plan_port *port = plan_append(&np->ports, &np->n_ports, sizeof(*port));
	uint32_t net = m->in->net, high = (id >> 16 & 0x3f) | (id & PLAN_UPLINK_ID ? 0x20 : 0);

	port->id = id;
	port->router = m->numbers.router[router];
	/* the two ends of a link differ in the lowest bit; on a LAN, and outside, all have a number of their own */
	port->mac[0] = (uint8_t)(0x02 | high << 2);
	port->mac[1] = (uint8_t)(net >> 16);
	port->mac[2] = (uint8_t)(net >> 8);
	port->mac[3] = (uint8_t)net;
	port->mac[4] = (uint8_t)(id >> 8);
	port->mac[5] = (uint8_t)id;
	return port;
}

void plan_add_port(struct plan_maker *m, size_t link, uint32_t end, uint32_t mtu)
{
	const struct request *r = m->in->r;
	const struct vlink *l = &r->links[link];
	uint32_t router = end ? l->b : l->a, at = (uint32_t)link << 1 | end, lan = lans_of_link(&m->lans, l);
	struct plan_port *port = new_port(m, router, plan_port_id(m, at));

	snprintf(port->ifname, sizeof(port->ifname), "eth%u", m->eth[at]);
	port->mtu = mtu;
	port->address = m->ends[at];
	port->link = mem_str(l->name);
	port->bw_kbps = l->bw_kbps;
	if (lan != LAN_NONE && port->address.family) {
		port->lan = true;
		port->address.prefix = m->lans.v[lan].subnet.prefix;
		return;
	}
	port->peer_router = mem_str(r->nodes[end ? l->a : l->b].name);
	if (lan != LAN_NONE)
		return;
	port->address.prefix--;
	port->peer = m->ends[at ^ 1];
}

void plan_add_uplinks(struct plan_maker *m, uint32_t router)
{
	const struct vnode *v = &m->in->r->nodes[router];

	for (uint32_t i = 0; i < v->n_uplinks; i++) {
		struct plan_port *port = new_port(m, router, plan_port_id(m, PLAN_UPLINK_ID + m->uplinks[router] + i));

		snprintf(port->ifname, sizeof(port->ifname), "up%u", m->up[m->uplinks[router] + i]);
		port->mtu = PLAN_MTU_MAX;
		port->uplink = mem_str(v->uplinks[i].port);
		port->address = v->uplinks[i].address;
		port->gateway = v->uplinks[i].gateway;
		port->nat = v->uplinks[i].nat;
	}
}

/* ---- LANs ------------------------------------------------------------------------------- */

/* The MTU of a virtual link's LAN; NULL: it is of none. `lans`: by the link's number. */
static uint32_t *lan_mtu(const uint32_t *lans, uint32_t *least, uint32_t link)
{
	return lans[link] == LAN_NONE ? NULL : &least[lans[link]];
}

void plan_level_lans(struct plan_maker *m)
{
	mem_auto uint32_t *least = mem_array(m->lans.n, sizeof(*least));
	uint32_t *mtu, numbers = 0;

	for (size_t k = 0; k < m->in->r->n_links; k++)
		numbers = m->numbers.link[k] >= numbers ? m->numbers.link[k] + 1 : numbers;
	mem_auto uint32_t *lans = mem_array(numbers, sizeof(*lans));

	for (size_t k = 0; k < m->in->r->n_links; k++)
		lans[m->numbers.link[k]] = lans_of_link(&m->lans, &m->in->r->links[k]);
	memset(least, 0xff, m->lans.n * sizeof(*least));
	for (int set = 0; set < 2 && m->lans.n; set++)
		for (size_t i = 0; i < m->plan.n_nodes; i++) {
			struct node_plan *np = &m->plan.nodes[i];

			for (size_t k = 0; k < np->n_ports; k++) {
				struct plan_port *port = &np->ports[k];

				if (port->uplink || !(mtu = lan_mtu(lans, least, port->id >> 1)))
					continue;
				if (set)
					port->mtu = *mtu;
				else if (port->mtu < *mtu)
					*mtu = port->mtu;
			}
			for (size_t k = 0; k < np->n_segments && set; k++)
				if ((mtu = lan_mtu(lans, least, np->segments[k].link)))
					np->segments[k].mtu = *mtu;
		}
}
