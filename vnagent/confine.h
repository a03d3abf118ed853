/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the agent and its processes keep, and what they give up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/confine.h"

/* The agent: of capabilities those of agent_caps, for itself and all that it starts. `toolstack`: those too that Xen's toolstack
 * wants. Before anything else is tried, so that what is probed is what will be. */
int agent_confine_caps(bool toolstack, struct err *err) VNE_MUST;
extern const struct confine_cap agent_caps[];
extern const size_t agent_caps_n;

/* The agent: never again what loads code into the kernel or changes the machine. After the spawner was started (which has a filter of its
 * own), before the first thread. */
int agent_confine_calls(struct err *err) VNE_MUST;

/* The spawner, and with it routers: their holders and every command in them. */
int router_confine_calls(struct err *err) VNE_MUST;
/* Limits that routers' processes cannot raise. In a router's holder, and in what enters a router. */
void router_confine_limits(void);
enum { ROUTER_PROCESSES_MAX = 512 };
