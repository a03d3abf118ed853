/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LANs of a plan that is made beside one that stands: they keep their subnets where these have room, and the ends on them their
 * addresses; what is new gets subnets from the end of the pool and addresses from the front of its LAN, never one in use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/plan_impl.h"

static bool overlap(const struct addr *a, const struct addr *b)
{
	struct addr x = *a, y = *b;

	x.prefix = y.prefix = a->prefix < b->prefix ? a->prefix : b->prefix;
	addr_network(&x, &x);
	addr_network(&y, &y);
	return addr_same(&x, &y);
}

struct lan_work {
	struct plan_maker *m;
	struct addr *claimed; /* per LAN: as kept or given; family 0: not yet */
	uint32_t *members;    /* ends with an address, LAN by LAN */
	size_t *first;        /* of LAN i: members[first[i]] … members[first[i + 1] - 1] */
	struct addr links;    /* the last address that a link's number takes; family 0: there are no links */
};

static bool is_free(const struct lan_work *w, const struct addr *subnet)
{
	struct addr start;

	addr_network(subnet, &start);
	if (w->links.family && memcmp(start.bytes, w->links.bytes, sizeof(start.bytes)) <= 0)
		return false;
	for (size_t i = 0; i < w->m->lans.n; i++)
		if (w->claimed[i].family && overlap(&w->claimed[i], subnet))
			return false;
	return true;
}

static void collect_members(struct lan_work *w)
{
	const struct plan_maker *m = w->m;
	const struct request *r = m->in->r;
	size_t n = 0;

	w->first = mem_array(m->lans.n + 1, sizeof(*w->first));
	w->members = mem_array(2 * r->n_links, sizeof(*w->members));
	for (size_t i = 0; i < m->lans.n; i++) {
		w->first[i] = n;
		for (size_t k = 0; k < m->lans.v[i].n_ports; k++)
			w->members[n++] = m->lans.v[i].ports[k];
		for (uint32_t end = 0; end < 2 * r->n_links; end++) { /* what switches bear themselves */
			uint32_t node = end & 1 ? r->links[end / 2].b : r->links[end / 2].a;

			if (m->lans.of_node[node] == i && m->ends[end].family)
				w->members[n++] = end;
		}
	}
	w->first[m->lans.n] = n;
}

/* The subnet that all ends which were on a LAN had; family 0: none, or not one, or it has no room any more. */
static struct addr kept_subnet(const struct lan_work *w, size_t lan)
{
	const struct addr *pool = &w->m->in->r->pool_links;
	struct addr ret = { 0 };
	size_t n = w->first[lan + 1] - w->first[lan];

	for (size_t i = w->first[lan]; i < w->first[lan + 1]; i++) {
		const struct plan_port *had = plan_standing_end(w->m, w->members[i]);
		struct addr subnet;

		if (!had || !had->lan || had->address.family != pool->family)
			continue;
		addr_network(&had->address, &subnet);
		if (!ret.family)
			ret = subnet;
		else if (!addr_same(&ret, &subnet))
			return (struct addr){ 0 };
	}
	uint8_t bits = ret.family ? (uint8_t)(lan_full_length(&ret) - ret.prefix) : 0;

	return ret.family && ret.prefix >= pool->prefix && overlap(&ret, pool) && (bits > 31 || n + 2 <= (size_t)1 << bits) &&
	       is_free(w, &ret) ? ret : (struct addr){ 0 };
}

/* Ends that were in the subnet keep their addresses, the others get the first free ones. */
static void address_members(struct lan_work *w, size_t lan)
{
	struct plan_maker *m = w->m;
	struct lan *l = &m->lans.v[lan];
	struct hash *taken = hash_new();
	char text[ADDR_TEXT];
	size_t k = 0;

	l->subnet = w->claimed[lan];
	for (size_t i = w->first[lan]; i < w->first[lan + 1]; i++) {
		const struct plan_port *had = plan_standing_end(m, w->members[i]);
		struct addr *a = &m->ends[w->members[i]], subnet;
		
		*a = (struct addr){ 0 };
		if (had && had->lan)
			addr_network(&had->address, &subnet);
		if (!had || !had->lan || !addr_same(&subnet, &l->subnet) || hash_get(taken, addr_host_text(&had->address, text)))
			continue;
		*a = had->address;
		a->prefix = lan_full_length(a);
		hash_put(taken, text, w);
	}
	for (size_t i = w->first[lan]; i < w->first[lan + 1]; i++) {
		struct addr *a = &m->ends[w->members[i]];

		while (!a->family) {
			struct addr next = lan_address(l, k++);

			next.prefix = lan_full_length(&next);
			if (!hash_get(taken, addr_host_text(&next, text)))
				*a = next;
		}
	}
	hash_free(taken, NULL);
}

/* A block from the end of the pool, as without anything standing. */
static int new_subnet(struct lan_work *w, size_t lan, struct err *err)
{
	const struct addr *pool = &w->m->in->r->pool_links;
	uint8_t full = lan_full_length(pool), bits = (uint8_t)(full - pool->prefix), shift = 0;
	uint64_t room = bits < 63 ? UINT64_C(1) << bits : UINT64_C(1) << 63, size = 1, need = w->first[lan + 1] - w->first[lan] + 2;
	char text[ADDR_TEXT];

	for (; size < need; size <<= 1)
		shift++;
	for (uint64_t used = size, tries = 0; used <= room && tries < (uint64_t)2 * PLAN_PORTS_MAX; used += size, tries++) {
		struct addr a = lan_block(pool, used, (uint8_t)(full - shift));

		if (!is_free(w, &a))
			continue;
		w->claimed[lan] = a;
		return 0;
	}
	return err_set(err, -ERANGE, "pool \"links\" %s is too small; expected room for one more LAN of %llu addresses", addr_text(pool, text),
	               (unsigned long long)size);
}

int plan_standing_lans(struct plan_maker *m, struct err *err)
{
	const struct request *r = m->in->r;
	struct lan_work w = { .m = m, .claimed = mem_array(m->lans.n, sizeof(*w.claimed)) };
	uint32_t last = 0;
	int rc = 0;

	for (size_t k = 0; k < r->n_links; k++)
		last = m->numbers.link[k] > last ? m->numbers.link[k] : last;
	if (r->n_links && addr_offset(&r->pool_links, 2 * (uint64_t)last + 1, &w.links, NULL) < 0)
		w.links = (struct addr){ 0 }; /* plan_number_addresses has looked at that */
	collect_members(&w);
	for (size_t i = 0; i < m->lans.n; i++)
		if (w.first[i + 1] > w.first[i])
			w.claimed[i] = kept_subnet(&w, i);
	for (size_t i = 0; !rc && i < m->lans.n; i++) {
		if (w.first[i + 1] > w.first[i] && !w.claimed[i].family)
			rc = new_subnet(&w, i, err);
		if (!rc && w.first[i + 1] > w.first[i])
			address_members(&w, i);
	}
	free(w.claimed);
	free(w.members);
	free(w.first);
	return rc;
}
