/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers of kind openflow: an Open vSwitch inside the router's own namespace, under the tenant's controller. It has nothing but the
 * router's ports, so nothing that it is told to do can leave them. Its daemons belong to the router, as BIRD does (ospf.h): started from
 * here, watched, and going on when the agent ends; the next agent finds them again.
 *
 * Where its controller is on the LAN that it switches, it speaks to it in-band, from an address on br0. A controller elsewhere is
 * reached through the agent, which hands on bytes between a socket inside and the controller's; only where the node's
 * operator allows it (`controllers` in vnagent.yaml). */
#pragma once

#include "base/loop.h"
#include "model/plan.h"
#include "vnagent/router.h"

int ovs_probe(struct err *err) VNE_MUST; /* whether its programs are installed */

struct ovs;
struct ovs_options {
	struct loop *loop;
	const struct addr *controllers; /* where they may be; must outlive it */
	size_t n_controllers;
	/* ovs_set has ended: 0, or what is wrong. */
	void (*configured)(void *arg, struct router_key key, int code, const char *text);
	void (*notice)(void *arg, uint32_t net, const char *object, const char *what);
	void *arg;
};
struct ovs *ovs_new(const struct ovs_options *options);
void ovs_free(struct ovs *o); /* the switches go on. NULL accepted */

/* -EACCES: the controller is where the operator allows none. Asked before anything is built. */
int ovs_controller_check(const struct ovs *o, const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports,
                         struct err *err) VNE_MUST;
/* The router has these ports and this controller from now on; what runs is told of what differs. `configured` follows. Copied. */
void ovs_set(struct ovs *o, const struct router_driver *ops, void *self, struct router_key key, const struct plan_router *r,
             const struct plan_port *const *ports, size_t n_ports);
void ovs_drop(struct ovs *o, struct router_key key); /* it is no router of ours any more, or ends */
