/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The network namespace of the guests' control interfaces: nothing else is in it, nothing listens, nothing is forwarded. It
 * stays when the helper ends (a file holds it), so the interfaces of guests that run stay, too. */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define CTLNET_PATH "/run/vne/xen-control"
#define CTLNET_HOST "fe80::1"  /* the same on each interface: links do not know of each other */
#define CTLNET_GUEST "fe80::2"

/* A descriptor of it; made where it is missing. One thread only. */
int ctlnet_open(int *ret_fd, struct err *err) VNE_MUST;
void ctlnet_ifname(uint32_t domid, char name[static 16]);
/* For a process that does nothing else: enters the namespace for good and connects to the guest's vnguest. Blocks until
 * deadline_ms (clock_ms) at most: waits for the guest to come up. -ETIMEDOUT: it has not. The descriptor is non-blocking. */
int ctlnet_connect(uint32_t domid, int64_t deadline_ms, int *ret_fd, struct err *err) VNE_MUST;
