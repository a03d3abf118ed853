/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `routing: static`: the routes of each router, by fewest hops over the virtual links, ties in
 * the order of the file. For plan.c. */
#pragma once

#include "model/plan.h"
#include "model/request.h"

struct plan_routes;

/* loopbacks: one host address per node; ends: two host addresses per link, at its first and its
 * second endpoint, the lower one first. All borrowed while it lives. -ERANGE where the whole
 * network would have more than PLAN_NETWORK_ROUTES_MAX routes. */
int plan_routes_new(const struct request *r, const struct addr *loopbacks, const struct addr *ends,
                    struct plan_routes **ret, struct err *err) VNE_MUST;
void plan_routes_free(struct plan_routes *p); /* NULL accepted */

/* Routes of one router: to every loopback but its own, then to every link's subnet that it is not
 * attached to, each in the order of the file; none to what it cannot reach. Caller frees *ret.
 * O(nodes + links). */
void plan_routes_of(struct plan_routes *p, uint32_t router, struct plan_route **ret, size_t *ret_n);
