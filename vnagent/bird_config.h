/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration of BIRD 2 in a router with `routing: ospf`, of either kind: OSPF on all its links, point-to-point ones and LANs, its
 * loopbacks announced, BFD to notice a link that carries nothing, routes into the kernel with the loopback as source (it is
 * reachable whichever way an answer takes). Of a router with uplinks the others learn the subnets outside, and its default route, as
 * long as its kernel has one. OSPFv2 where there are IPv4 addresses, OSPFv3 where there are IPv6 ones. */
#pragma once

#include "base/buf.h"
#include "model/plan.h"

#define BIRD_CONFIG "/run/bird.conf" /* inside the router */
#define BIRD_SOCKET "/run/bird.ctl"
#define BIRD_PIDFILE "/run/bird.pid"

/* The same for the same router: nothing else goes in. ports: those of r. O(ports) */
void bird_config_write(const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, struct buf *out);
