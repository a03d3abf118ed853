/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network address translation inside a router, for what leaves by uplinks: nftables in the router's own namespace (table `inet vne`
 * there), set by netlink so that it stands before the port comes up. The router's owner is its root and may change it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/nl.h"

/* From now on what leaves the namespace by these interfaces has their address as source; n 0: nothing has, no table is left. One
 * transaction; connections that are translated already go on. */
int nat_set(int netns_fd, const uint32_t *ifindex, size_t n, struct err *err) VNE_MUST;
int nat_probe(struct err *err) VNE_MUST; /* tried in the namespace that we are in, and taken away again */
