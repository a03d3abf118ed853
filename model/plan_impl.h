/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between plan.c, plan_ports.c and plan_paths.c. */
#pragma once

#include "base/vec.h"
#include "model/lan.h"
#include "model/plan.h"

/* One tunnel to be: from snode a to snode b over the substrate links first … last of a path. */
struct run {
	uint32_t a, b, first, last;
	struct addr at_a, at_b;
	uint32_t overhead, vni;
};

struct plan_maker {
	const struct plan_input *in;
	struct plan plan;
	size_t *slot;            /* per substrate node: its place in plan.nodes */
	uint32_t *via;           /* scratch: nodes along a path */
	struct lans lans;
	struct plan_numbers numbers;
	uint32_t *eth;           /* per end (link << 1 | end, by place in the request): of its interface's name */
	uint32_t *up;            /* per uplink: of its interface's name */
	struct addr *loopbacks;  /* per router */
	struct addr *ends;       /* per end, hosts; a switch's: family 0, or its own on its LAN */
	uint32_t *uplinks;       /* per router: the place of its first uplink among all */
	struct plan_standing *standing; /* NULL: from nothing */
	VEC(struct run) runs;    /* of the virtual link at hand, path after path */
	VEC(uint32_t) vnis;
};

void *plan_append(void *array, size_t *n, size_t size);
struct node_plan *plan_node_at(struct plan_maker *m, uint32_t snode);
/* The nodes along a path, into m->via. */
int plan_walk(struct plan_maker *m, const struct vlink *l, const struct path *p, struct err *err) VNE_MUST;

/* plan_standing.c: what stays of what stands. */
struct plan_standing *plan_standing_new(const struct plan_before *before);
void plan_standing_free(struct plan_standing *s); /* NULL accepted */
int plan_number(struct plan_maker *m, struct err *err) VNE_MUST; /* numbers, eth */
/* The addresses that a router, or an end, had; NULL: it is new. */
const struct addr *plan_standing_loopback(const struct plan_maker *m, size_t node);
const struct plan_port *plan_standing_end(const struct plan_maker *m, uint32_t end);
/* LANs keep their subnets and ends their addresses on them, where there is room; into m->lans and m->ends. */
int plan_standing_lans(struct plan_maker *m, struct err *err) VNE_MUST;
/* The VNI of a path's run between two nodes; 0: the path did not stand. `path` is of virtual link `link`. */
uint32_t plan_standing_vni(const struct plan_maker *m, size_t link, const struct path *path, uint32_t a, uint32_t b);

/* plan_ports.c */
int plan_number_addresses(struct plan_maker *m, struct err *err) VNE_MUST;
uint32_t plan_port_id(const struct plan_maker *m, uint32_t end); /* of an end, or of PLAN_UPLINK_ID + an uplink's place */
void plan_add_port(struct plan_maker *m, size_t link, uint32_t end, uint32_t mtu);
void plan_add_uplinks(struct plan_maker *m, uint32_t router);
void plan_level_lans(struct plan_maker *m); /* one MTU for all of a LAN: the least of its links */

/* plan_paths.c */
int plan_add_link(struct plan_maker *m, size_t link, struct err *err) VNE_MUST;
