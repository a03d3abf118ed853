/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that are switches: a namespace as any (router_netns.c) with a bridge of the kernel in it (port.h). It learns, floods what
 * it has not learnt, and knows no addresses; what it joins is a LAN. */
#include "vnagent/router.h"

static int switch_probe(struct err *err)
{
	return router_netns.probe(err);
}

const struct router_driver router_switch = {
	.kind = KIND_SWITCH,
	.ports = ROUTER_PORTS_VETH,
	.base = &router_netns,
	.needs = "bridge",
	.probe = switch_probe,
};
