/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that compute their routes: BIRD in each, started, watched, asked whether it has converged.
 *
 * One entry per router with `routing: ospf` of what is committed. It keeps one connection to BIRD's control socket inside the router,
 * which tells at once when BIRD ends. BIRD itself belongs to the router: it goes on when the agent ends, and is found again by the
 * same socket. In routers that are namespaces it is started from here; guests start their own (vnguest), and are only asked.
 * Whatever comes over the connection is a tenant's word: bounded, and believed only as far as it concerns that router. */
#pragma once

#include "base/loop.h"
#include "model/view.h"
#include "vnagent/router.h"

struct ospf;
struct ospf_options {
	struct loop *loop;
	void (*changed)(void *arg); /* some router has converged, or does no more: worth a report */
	void (*notice)(void *arg, uint32_t net, const char *object, const char *what);
	void *arg;
};
struct ospf *ospf_new(const struct ospf_options *options);
void ospf_free(struct ospf *r); /* BIRDs go on. NULL accepted */

/* The router computes its routes by this plan from now on; what runs already is told of what differs. ports: its own. Copied. */
void ospf_set(struct ospf *r, const struct router_driver *ops, void *self, struct router_key key,
                 const struct plan_router *plan, const struct plan_port *const *ports, size_t n_ports);
void ospf_drop(struct ospf *r, struct router_key key); /* it computes none any more: its BIRD is ended where it still runs */
/* What it heard last of its neighbours; the caller's, each by view.h. */
void ospf_neighbours(const struct ospf *r, struct router_key key, struct neighbour_view **ret, size_t *ret_n);
/* load->routing and routing_reason. */
void ospf_load(const struct ospf *r, struct router_load *load);
