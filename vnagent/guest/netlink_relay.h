/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnguest --netlink`: the kernel of this router by netlink, for somebody outside who forwards for it (plane `split`) and runs
 * this inside as any command. Messages of NETLINK_ROUTE that come by standard input are handed to the kernel, and what it
 * answers, and the news of links, addresses, neighbours, routes, rules and forwarding, go to standard output: one behind the other, each
 * padded to 4 bytes. NLMSG_OVERRUN tells that news were lost. */
#pragma once

#include "base/err.h"

int netlink_relay(int in, int out, struct err *err) VNE_MUST; /* 0: the other end has gone */
