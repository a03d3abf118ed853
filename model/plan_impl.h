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
	uint32_t *next_eth;      /* per router */
	uint32_t *via;           /* scratch: nodes along a path */
	struct lans lans;
	struct addr *loopbacks;  /* per router */
	struct addr *ends;       /* per port id, hosts; a switch's: family 0, or its own on its LAN */
	uint32_t *uplinks;       /* per router: the number of its first uplink */
	VEC(struct run) runs;    /* of the virtual link at hand, path after path */
	VEC(uint32_t) vnis;
};

void *plan_append(void *array, size_t *n, size_t size);
struct node_plan *plan_node_at(struct plan_maker *m, uint32_t snode);
/* The nodes along a path, into m->via. */
int plan_walk(struct plan_maker *m, const struct vlink *l, const struct path *p, struct err *err) VNE_MUST;

/* plan_ports.c */
int plan_number_addresses(struct plan_maker *m, struct err *err) VNE_MUST;
void plan_add_port(struct plan_maker *m, size_t link, uint32_t end, uint32_t mtu);
void plan_add_uplinks(struct plan_maker *m, uint32_t router);
void plan_level_lans(struct plan_maker *m); /* one MTU for all of a LAN: the least of its links */

/* plan_paths.c */
int plan_add_link(struct plan_maker *m, size_t link, struct err *err) VNE_MUST;
