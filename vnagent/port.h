/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports of routers that are namespaces: a veth pair whose far end is made inside the router at
 * once (moving one in costs a grace period of the kernel), and what a router is configured
 * with. Messages into a batch only. */
#pragma once

#include "base/nl.h"
#include "model/plan.h"
#include "vnagent/device.h"

/* Into the agent's namespace: the pair, both ends down. */
void port_put_create(struct nl_batch *b, const struct device *dev, const struct plan_port *port, int router_netns);

/* Into the router's namespace. Everything replaces what is there, so it can be repeated. */
void port_put_router(struct nl_batch *b, const struct plan_router *r); /* lo up, loopback addresses */
void port_put_inside(struct nl_batch *b, const struct plan_port *port); /* MTU, address, up; an uplink's gateway */
/* Of a router that is a switch: its bridge br0, and an end in it. All frames pass, whatever they carry, but those that are never to pass a
 * bridge (01:80:c2:00:00:00 to 02: STP, pause, LACP); it says nothing itself. */
void port_put_bridge(struct nl_batch *b);
void port_put_switched(struct nl_batch *b, const struct plan_port *port, bool bridged); /* not bridged: somebody else's to join */
/* The router at the other end, once the port has a carrier: what is known without one the kernel forgets. */
void port_put_peer(struct nl_batch *b, const struct plan_port *port);
/* The MAC at the other end of a virtual link between two routers: made from network and port as our own (model/plan.h). */
void port_peer_mac(const struct plan_port *port, uint8_t ret[6]);
void port_put_route(struct nl_batch *b, const struct plan_router *r, const struct plan_route *route);
/* Takes back what `old` had and `now` has not (each may be NULL where the other is not). */
void port_put_stale_routes(struct nl_batch *b, const struct plan_router *old, const struct plan_router *now);
void port_put_stale_loopbacks(struct nl_batch *b, const struct plan_router *old, const struct plan_router *now);
void port_put_stale_address(struct nl_batch *b, const struct plan_port *old, const struct plan_port *now);
