/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells the outside whose address it is now. Hosts remember the MAC that an address had for half a minute and longer; a router that
 * takes the place of another (a new network with the addresses of the old one) would not be heard until they ask again. */
#pragma once

#include "model/plan.h"

/* Sends one frame out by the device: a gratuitous ARP for an IPv4 address, an unsolicited neighbour advertisement for an IPv6 one; none for
 * a port without address. Where it cannot be sent nothing is said: hosts find out by themselves. */
void uplink_announce(uint32_t ifindex, const struct plan_port *port);

enum { ANNOUNCEMENT_MAX = 86 };
size_t uplink_announcement(const struct plan_port *port, uint8_t frame[static ANNOUNCEMENT_MAX]); /* its length; 0: none */
