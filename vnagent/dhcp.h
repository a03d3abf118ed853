/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DHCP clients of uplinks without an address, in routers that are namespaces: busybox' udhcpc, started inside, watched, started
 * again where it ends. The client belongs to the router: it renews its lease while no agent lives, and is found again by the next one. What it
 * is told it puts into the router by a script of ours: address and default route (metric 100, behind those of the plan); what a
 * server says besides is not used. */
#pragma once

#include "base/loop.h"
#include "vnagent/router.h"

bool dhcp_available(void); /* there is a client on this machine */

struct dhcp;
struct dhcp_options {
	struct loop *loop;
	void (*notice)(void *arg, uint32_t net, const char *object, const char *what);
	void *arg;
};
struct dhcp *dhcp_new(const struct dhcp_options *options);
void dhcp_free(struct dhcp *d); /* clients go on. NULL accepted */

/* From now on clients run in the router for just these interfaces; one that is no longer among them takes its address along. */
void dhcp_set(struct dhcp *d, const struct router_driver *ops, void *self, struct router_key key, const char *router,
              const char *const *ifnames, size_t n);
bool dhcp_any(const struct dhcp *d, uint32_t net); /* some router of the network has a client */
void dhcp_forget(struct dhcp *d, struct router_key key); /* the router ends, and its clients with it */
