/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that are switches: a namespace as any (router_netns.c) with something in it that forwards frames and knows no addresses;
 * what it joins is a LAN. Kind switch: a bridge of the kernel, which learns (port.h); kind openflow: an Open vSwitch that
 * does what its controller says (ovs.h). */
#include "vnagent/ovs.h"
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

static int openflow_probe(struct err *err)
{
	int code = router_netns.probe(err);
	return code ? code : ovs_probe(err);
}

const struct router_driver router_openflow = {
	.kind = KIND_OPENFLOW,
	.ports = ROUTER_PORTS_VETH,
	.base = &router_netns,
	.probe = openflow_probe,
};
