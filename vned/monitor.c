/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See monitor.h. */
#include "vned/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/plan.h"

enum { STALE_US = 10000000 };

static unsigned int newest(const struct rate *r)
{
	return (r->next + 3) % 4;
}

void rate_add(struct rate *r, int64_t now_us, uint64_t value)
{
	if (r->n > 0 && (value < r->sample[newest(r)].value || now_us < r->sample[newest(r)].at_us))
		r->n = r->next = 0;
	r->sample[r->next].at_us = now_us;
	r->sample[r->next].value = value;
	r->next = (r->next + 1) % 4;
	if (r->n < 4)
		r->n++;
}

double rate_per_second(const struct rate *r, int64_t now_us)
{
	if (r->n < 2)
		return -1;
	unsigned int last = newest(r), first = (r->next + 4 - r->n) % 4;
	int64_t span = r->sample[last].at_us - r->sample[first].at_us;
	if (span <= 0 || now_us - r->sample[last].at_us > STALE_US)
		return -1;
	return (double)(r->sample[last].value - r->sample[first].value) * 1e6 / (double)span;
}

void net_load_init(struct net_load *l, size_t n_routers, size_t n_links, size_t n_uplinks)
{
	l->n_routers = n_routers;
	l->n_ports = 2 * n_links;
	l->routers = mem_array(n_routers ? n_routers : 1, sizeof(*l->routers));
	l->ports = mem_array(n_links ? 2 * n_links : 1, sizeof(*l->ports));
	l->n_uplinks = n_uplinks;
	l->uplinks = mem_array(n_uplinks ? n_uplinks : 1, sizeof(*l->uplinks));
}

void net_load_done(struct net_load *l)
{
	free(l->routers);
	free(l->ports);
	free(l->uplinks);
	*l = (struct net_load){ 0 };
}

void net_load_router(struct net_load *l, uint32_t at, const struct router_load *r, int64_t now_us)
{
	if (at >= l->n_routers)
		return;
	struct router_mon *m = &l->routers[at];
	m->known = true;
	m->state = r->state;
	m->mem_kib = r->mem_kib;
	err_copy(m->reason, sizeof(m->reason), r->reason);
	m->routing = r->routing;
	err_copy(m->routing_reason, sizeof(m->routing_reason), r->routing_reason);
	if (r->routing == ROUTER_ROUTING_CONVERGED)
		m->unrouted_us = 0;
	else if (!m->unrouted_us)
		m->unrouted_us = now_us;
	rate_add(&m->cpu, now_us, r->cpu_us);
}

void net_load_port(struct net_load *l, uint32_t at, const struct port_load *p, int64_t now_us)
{
	bool uplink = at >= PLAN_UPLINK_ID;
	at -= uplink ? PLAN_UPLINK_ID : 0;
	if (at >= (uplink ? l->n_uplinks : l->n_ports))
		return;
	struct port_mon *m = uplink ? &l->uplinks[at] : &l->ports[at];
	if (m->known && p->tx_bytes >= m->last.tx_bytes)
		l->sent_bytes += p->tx_bytes - m->last.tx_bytes;
	m->known = true;
	m->last = *p;
	rate_add(&m->tx_bytes, now_us, p->tx_bytes);
	rate_add(&m->rx_bytes, now_us, p->rx_bytes);
}

bool net_load_guard(struct net_load *l, uint32_t at, const struct guard_heard *g)
{
	if (at >= l->n_ports)
		return false;
	struct guard_mon now = { .primary = g->primary, .backup = g->backup, .on_backup = g->on_backup }, *m = &l->ports[at].guard;
	err_copy(now.why, sizeof(now.why), g->why);
	bool same = m->primary == now.primary && m->backup == now.backup && m->on_backup == now.on_backup && !strcmp(m->why, now.why);
	*m = now;
	return !same;
}

/* ---- segments ------------------------------------------------------------------------------- */

struct monitor {
	struct hash *segments;
};

static uint64_t segment_key(uint32_t snode, uint32_t vni)
{
	return (uint64_t)snode << 32 | vni;
}

struct monitor *monitor_new(void)
{
	struct monitor *m = mem_alloc(sizeof(*m));
	m->segments = hash_new();
	return m;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	hash_free(m->segments, free);
	free(m);
}

struct seg_mon *monitor_segment(const struct monitor *m, uint32_t snode, uint32_t vni)
{
	return hash_get_u64(m->segments, segment_key(snode, vni));
}

void monitor_set_segment(struct monitor *m, uint32_t snode, const struct segment_load *l, uint32_t overhead, int64_t now_us)
{
	struct seg_mon *s = monitor_segment(m, snode, l->vni);
	if (!s) {
		s = mem_alloc(sizeof(*s));
		hash_put_u64(m->segments, segment_key(snode, l->vni), s);
	}
	s->net = l->net;
	s->vni = l->vni;
	s->last = *l;
	rate_add(&s->tx_bytes, now_us, l->tx_bytes + l->tx_frames * overhead);
}

void monitor_forget_segment(struct monitor *m, uint32_t snode, uint32_t vni)
{
	free(hash_del_u64(m->segments, segment_key(snode, vni)));
}
