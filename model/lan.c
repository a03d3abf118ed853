/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/lan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

static bool inside(const struct request *r, size_t node)
{
	const char *controller = r->nodes[node].controller;

	return controller && kind_is_switch(r->nodes[node].kind) && !strchr(controller, ':');
}

static uint32_t root_of(uint32_t *root, uint32_t i)
{
	while (root[i] != i)
		i = root[i] = root[root[i]];
	return i;
}

static bool ends_known(const struct request *r, size_t k)
{
	return r->links[k].a < r->n_nodes && r->links[k].b < r->n_nodes;
}

static void number(const struct request *r, struct lans *l)
{
	mem_auto uint32_t *root = mem_array(r->n_nodes, sizeof(*root));
	mem_auto uint32_t *of_root = mem_array(r->n_nodes, sizeof(*of_root));

	for (uint32_t i = 0; i < r->n_nodes; i++) {
		root[i] = i;
		of_root[i] = LAN_NONE;
	}
	for (size_t k = 0; k < r->n_links; k++)
		if (ends_known(r, k) && kind_is_switch(r->nodes[r->links[k].a].kind) && kind_is_switch(r->nodes[r->links[k].b].kind))
			root[root_of(root, r->links[k].a)] = root_of(root, r->links[k].b);
	for (uint32_t i = 0; i < r->n_nodes; i++) {
		uint32_t *lan = &of_root[root_of(root, i)];

		l->of_node[i] = l->inside[i] = LAN_NONE;
		if (!kind_is_switch(r->nodes[i].kind))
			continue;
		if (*lan == LAN_NONE)
			*lan = (uint32_t)l->n++;
		l->of_node[i] = *lan;
	}
}

static void attach(const struct request *r, struct lans *l)
{
	mem_auto size_t *cap = mem_array(l->n, sizeof(*cap));

	for (uint32_t i = 0; i < r->n_nodes; i++)
		if (inside(r, i))
			l->inside[i] = (uint32_t)l->v[l->of_node[i]].n_inside++;
	for (size_t k = 0; k < r->n_links; k++) {
		if (!ends_known(r, k))
			continue;
		for (uint32_t end = 0; end < 2; end++) {
			uint32_t here = end ? r->links[k].b : r->links[k].a, there = end ? r->links[k].a : r->links[k].b;
			uint32_t at = l->of_node[there];

			if (at == LAN_NONE || l->of_node[here] != LAN_NONE)
				continue;
			struct lan *lan = &l->v[at];

			if (lan->n_ports == cap[at]) {
				cap[at] = cap[at] ? 2 * cap[at] : 4;
				lan->ports = mem_grow(lan->ports, cap[at], sizeof(*lan->ports));
			}
			lan->ports[lan->n_ports++] = (uint32_t)k << 1 | end;
		}
	}
}

static void note_first(const struct request *r, struct lans *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		for (size_t k = l->v[i].n_ports; k--;) {
			uint32_t *port = &l->v[i].ports[k];
			const struct vlink *link = &r->links[*port >> 1];

			hash_put_u64(l->first, (uint64_t)i << 32 | (*port & 1 ? link->b : link->a), port);
		}
}

uint8_t lan_full_length(const struct addr *a)
{
	return a->family == AF_INET ? 32 : 128;
}

struct addr lan_block(const struct addr *pool, uint64_t used, uint8_t prefix)
{
	struct addr a = *pool;
	uint8_t full = lan_full_length(pool);
	uint64_t borrow = used - 1;

	for (uint8_t bit = a.prefix; bit < full; bit++)
		a.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	for (int i = full / 8 - 1; i >= 0 && borrow; i--) {
		uint64_t less = (borrow & 0xff) > a.bytes[i];

		a.bytes[i] = (uint8_t)(a.bytes[i] - (borrow & 0xff));
		borrow = (borrow >> 8) + less;
	}
	a.prefix = prefix;
	return a;
}

static int give_subnets(const struct request *r, struct lans *l, struct err *err)
{
	const struct addr *pool = &r->pool_links;
	uint8_t full = lan_full_length(pool), bits = (uint8_t)(full - pool->prefix);
	uint64_t room = bits < 63 ? UINT64_C(1) << bits : UINT64_C(1) << 63, used = 0, links = 2 * (uint64_t)r->n_links;
	char text[ADDR_TEXT];

	for (size_t i = 0; i < l->n; i++) {
		struct lan *lan = &l->v[i];
		uint64_t need = (uint64_t)lan->n_ports + lan->n_inside + 2, size = 1;
		uint8_t shift = 0;

		if (!lan->n_ports)
			continue;
		while (size < need) {
			size <<= 1;
			shift++;
		}
		used = (used + size - 1) / size * size + size;
		if (used > room || room - used < links)
			return err_set(err, -ERANGE, "pool \"links\" %s is too small; expected room for %zu links of two addresses each, and "
			               "behind them for %zu LAN%s, one of them of %llu addresses", addr_text(pool, text), r->n_links, l->n,
			               l->n == 1 ? "" : "s", (unsigned long long)size);
		lan->subnet = lan_block(pool, used, (uint8_t)(full - shift));
	}
	return 0;
}

int lans_make(const struct request *r, struct lans *ret, struct err *err)
{
	struct lans l = { .of_node = mem_array(r->n_nodes, sizeof(*l.of_node)), .inside = mem_array(r->n_nodes, sizeof(*l.inside)),
	                  .first = hash_new() };

	number(r, &l);
	l.v = mem_array(l.n, sizeof(*l.v));
	attach(r, &l);
	note_first(r, &l);
	int rc = give_subnets(r, &l, err);

	if (rc < 0)
		lans_done(&l);
	else
		*ret = l;
	return rc;
}

void lans_done(struct lans *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].ports);
	free(l->v);
	free(l->of_node);
	free(l->inside);
	hash_free(l->first, NULL);
	*l = (struct lans){ 0 };
}

uint32_t lans_of_link(const struct lans *l, const struct vlink *link)
{
	return l->of_node[link->a] != LAN_NONE ? l->of_node[link->a] : l->of_node[link->b];
}

struct addr lan_address(const struct lan *l, size_t k)
{
	struct addr a = l->subnet;
	uint64_t add = k + 1;

	for (int i = a.family == AF_INET ? 3 : 15; i >= 0 && add; i--) {
		add += a.bytes[i];
		a.bytes[i] = (uint8_t)add;
		add >>= 8;
	}
	return a;
}

uint32_t lans_port_of(const struct lans *l, uint32_t lan, size_t node)
{
	const uint32_t *port = hash_get_u64(l->first, (uint64_t)lan << 32 | node);

	return port ? *port : UINT32_MAX;
}
