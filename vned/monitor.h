/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The load view: the last counters of everything, and rates over the last seconds. Fed by the
 * agents' reports; time is handed in, so that tests own the clock. History is not kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/load.h"

/* A counter that only grows while its object lives; when it falls, the object was made anew. */
struct rate {
	struct { int64_t at_us; uint64_t value; } sample[4]; /* a ring over the last reports */
	unsigned int n, next;
};
void rate_add(struct rate *r, int64_t now_us, uint64_t value);
double rate_per_second(const struct rate *r, int64_t now_us); /* < 0: not known, or stale */

struct router_mon {
	bool known;
	enum router_state state;
	int64_t mem_kib;
	char reason[ROUTER_REASON_MAX];
	enum router_routing routing;
	char routing_reason[128];
	int64_t unrouted_us; /* since when it has not been converged; 0: it is, or nobody knows */
	struct rate cpu; /* µs */
};
enum { GUARD_WHY = 160 };
struct guard_mon { /* of a protected link's end, as its agent hears it */
	enum heard primary, backup;
	bool on_backup;
	char why[GUARD_WHY];
};
struct port_mon {
	bool known;
	struct port_load last;
	struct rate tx_bytes, rx_bytes;
	struct guard_mon guard;
};
struct net_load {
	struct router_mon *routers; /* by place in the request */
	struct port_mon *ports;     /* by link << 1 | end */
	struct port_mon *uplinks;   /* by place among all */
	size_t n_routers, n_ports, n_uplinks;
	uint64_t sent_bytes; /* by all ports, since somebody has set it to 0 */
};
void net_load_init(struct net_load *l, size_t n_routers, size_t n_links, size_t n_uplinks);
void net_load_done(struct net_load *l);

struct seg_mon {
	uint32_t net, vni;
	struct segment_load last;
	struct rate tx_bytes; /* on the wire, encapsulation included */
};
struct monitor; /* segments by (VNI, substrate node) */
struct monitor *monitor_new(void);
void monitor_free(struct monitor *m);
struct seg_mon *monitor_segment(const struct monitor *m, uint32_t snode, uint32_t vni); /* NULL: not known */
void monitor_set_segment(struct monitor *m, uint32_t snode, const struct segment_load *l, uint32_t overhead, int64_t now_us);
void monitor_forget_segment(struct monitor *m, uint32_t snode, uint32_t vni);

bool net_load_guard(struct net_load *l, uint32_t at, const struct guard_heard *g); /* true: it is not as before */
/* Nets' own part. at: the place in the request, of a router, or of a port as network_port_at says; beyond it: ignored. */
void net_load_router(struct net_load *l, uint32_t at, const struct router_load *r, int64_t now_us);
void net_load_port(struct net_load *l, uint32_t at, const struct port_load *p, int64_t now_us);
