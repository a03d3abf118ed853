/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of the committed plans is to be watched (watch.h): ends of protected links, network by network, as soon as an operation has ended; and
 * the links that tunnels go over, of all networks together, a moment later, since many operations end at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"

enum { LINKS_SOON_MS = 100, DEFERRED_MAX = 10 };

static bool fill_guard(const struct builder *b, const struct plan_index *index, const struct plan_port *port, struct watch_guard *ret)
{
	size_t n;
	const struct device *d = inventory_port(b->inv, index->plan->net, port->id);
	const struct join *joins = plan_index_joins(index, (struct endpoint){ ENDPOINT_PORT, port->id }, &n);
	if (!d)
		return false;
	*ret = (struct watch_guard){ .net = index->plan->net, .port = port->id, .ifindex = d->ifindex };
	memcpy(ret->name, d->name, sizeof(ret->name));
	for (size_t i = 0; i < n; i++) {
		const struct device *to = joins[i].there.kind == ENDPOINT_SEGMENT ? inventory_segment(b->inv, joins[i].there.id) : NULL;
		int k = joins[i].cross->role == CROSS_BACKUP;
		if (!to)
			continue;
		ret->path[k] = to->ifindex;
		memcpy(ret->path_name[k], to->name, sizeof(ret->path_name[k]));
	}
	return ret->path[0] && ret->path[1];
}

void build_watch_net(struct builder *b, uint32_t id)
{
	const struct build_net *net = build_net_find(b, id);
	VEC(struct watch_guard) guards = { 0 };
	struct plan_index index;
	if (!b->options.watch || !b->real)
		return;
	plan_index_init(&index, net && net->has_committed ? &net->committed : NULL);
	for (size_t i = 0; net && net->has_committed && i < net->committed.n_ports; i++) {
		struct watch_guard guard;
		const struct plan_port *port = &net->committed.ports[i];
		if (build_port_is_protected(&index, port->id) && fill_guard(b, &index, port, &guard))
			*vec_add(&guards) = guard;
	}
	watch_set_net(b->options.watch, id, guards.v, guards.n);
	vec_done(&guards);
	plan_index_done(&index);
	loop_set_timer(b->watch_links, LINKS_SOON_MS, 0);
}

/* ---- links ------------------------------------------------------------------------------------------------- */
struct linking {
	struct builder *b;
	struct hash *seen; /* by addresses */
	VEC(struct watch_link) links;
};

static void add_links(void *value, void *arg)
{
	const struct build_net *net = value;
	struct linking *l = arg;
	for (size_t i = 0; net->has_committed && i < net->committed.n_segments; i++) {
		const struct plan_segment *s = &net->committed.segments[i];
		char local[ADDR_TEXT], remote[ADDR_TEXT], key[2 * ADDR_TEXT];
		if (!s->slink || !inventory_segment(l->b->inv, s->vni))
			continue;
		snprintf(key, sizeof(key), "%s %s", addr_host_text(&s->local, local), addr_host_text(&s->remote, remote));
		if (!hash_index_put(l->seen, key, l->links.n))
			continue;
		struct watch_link *link = vec_add(&l->links);
		link->local = s->local;
		link->remote = s->remote;
		err_copy(link->slink, sizeof(link->slink), s->slink);
	}
}

static int by_name(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct watch_link));
}

static void set_links(void *arg)
{
	struct builder *b = arg;
	if (!builder_idle(b)) {
		loop_set_timer(b->watch_links, LINKS_SOON_MS, 0);
		if (b->watch_deferred++ < DEFERRED_MAX)
			return; /* it is all being built still */
	} else {
		watch_settle(b->options.watch);
	}
	b->watch_deferred = 0;
	struct linking l = { .b = b, .seen = hash_new() };
	hash_each(b->nets, add_links, &l);
	if (l.links.n)
		qsort(l.links.v, l.links.n, sizeof(*l.links.v), by_name);
	watch_set_links(b->options.watch, l.links.v, l.links.n);
	vec_done(&l.links);
	hash_free(l.seen, NULL);
}

int build_watch_open(struct builder *b, struct err *err)
{
	return b->options.watch ? loop_add_timer(b->options.loop, -1, 0, set_links, b, &b->watch_links, err) : 0;
}
