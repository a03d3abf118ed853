/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BIRD's configuration, brought into a router that is a namespace; and BIRD, started there. */
#pragma once

#include "vnagent/router.h"

/* A command inside the router: writes the configuration, and with `start` becomes BIRD. It has begun when this returns 0; its end
 * comes as one struct spawn_exit over *ret_control (the caller's; closed: nobody waits for it), with 0 once BIRD is in the background. */
int bird_start(const struct router_driver *ops, void *self, struct router_key key, const char *config, bool start,
               int *ret_control, struct err *err) VNE_MUST;
