/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the router: interfaces, addresses and routes, by netlink. Holds the setup that was applied last and takes it up
 * again when an interface comes later. */
#pragma once

#include "base/loop.h"
#include "vnagent/guest/setup_read.h"

struct inside;
/* control: called with the number of the control interface when it is ready (its name and address set); again when it is another.
 * Takes over the network namespace it is opened in: forwarding on, sane defaults. */
int inside_open(struct loop *loop, void (*control)(void *arg, uint32_t ifindex), void *arg, struct inside **ret, struct err *err) VNE_MUST;
void inside_close(struct inside *in); /* what was set stays. NULL accepted */

/* Makes the inside what the setup says; ports that are not there yet follow when they come. Takes the setup's contents over. Where the
 * kernel refuses something, the one before is applied again and the reason returned. */
int inside_apply(struct inside *in, struct guest_setup *setup, struct err *err) VNE_MUST;
const char *inside_name(const struct inside *in); /* of the router; "" before the first setup */
const char *inside_bird(const struct inside *in); /* the configuration of the setup applied last; NULL: none */
