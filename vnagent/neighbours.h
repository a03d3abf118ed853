/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel has one table of neighbours (ARP, ND) for all network namespaces of a machine, with 1024 places that are collected as they get
 * scarce: a router that asks for addresses nobody has fills it, and nobody's neighbours are found any more. Entries that are marked as learnt from
 * outside neither take a place nor are collected, while the kernel resolves and checks them as ever. So marked are the next hops of this
 * node's tunnels and of its connection to vned, and in routers the other ends of their links. */
#pragma once

#include "base/nl.h"
#include "model/units.h"

/* Marks the next hops to these addresses, in the namespace of nl; makes those that are not known yet, and has them resolved. Entries go when
 * their device goes down: to be said again every now and then. What has no next hop is passed over. */
void neighbours_keep(struct nl *nl, const struct addr *to, size_t n);

/* A neighbour that is known from the plan. */
void neighbour_put(struct nl_batch *b, uint32_t ifindex, const struct addr *address, const uint8_t mac[6]);
