/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `routing: static`: the routes of each router, by fewest hops over the virtual links, ties in
 * the order of the file. For plan.c. */
#pragma once

#include "model/lan.h"
#include "model/plan.h"
#include "model/request.h"

struct plan_routes;

/* loopbacks: one host address per node; ends: two host addresses per link, at its first and its
 * second endpoint, the lower one first, or the router's own on a LAN; uplinks: the number of each node's first. All borrowed
 * while it lives. -ERANGE where the whole
 * network would have more than PLAN_NETWORK_ROUTES_MAX routes. */
int plan_routes_new(const struct request *r, const struct addr *loopbacks, const struct addr *ends,
                    const struct lans *lans, const uint32_t *uplinks, struct plan_routes **ret, struct err *err) VNE_MUST;
void plan_routes_free(struct plan_routes *p); /* NULL accepted */

/* Routes of one router: to every loopback but its own, then to every link's subnet that it is not
 * attached to, then to every LAN's, then to the subnet of every
 * uplink's address by the nearest router that has one there, each in the order of the file; none to what it cannot reach. Last
 * the default route: by its own gateways, or towards the nearest router that has one of the pools'
 * family (or an uplink that is told one), the first of the file where several are. Caller frees *ret.
 * O(nodes + links). */
void plan_routes_of(struct plan_routes *p, uint32_t router, struct plan_route **ret, size_t *ret_n);
