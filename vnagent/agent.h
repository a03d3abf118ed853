/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent proper: what the coordinator says, and what it is told. Everything the builder does
 * comes through here, in the order in which it was asked for; what is older than what has been obeyed
 * (term, generation) is refused. */
#pragma once

#include "base/loop.h"
#include "proto/wire.h"
#include "vnagent/build.h"
#include "vnagent/config.h"
#include "vnagent/state.h"

struct agent_options {
	struct loop *loop;
	const struct agent_config *config;
	struct spawner *spawner;
	struct state *state;
	const struct node_probe *probe; /* borrowed; mtus are looked up anew at every hello */
	const char *const *kinds;       /* offered, NULL-ended */
	const char *cgroup;             /* "": there is none here */
	const struct identity *self;
	const uint8_t *server_public;
};

struct agent;
/* Restores what was held and begins to repair it. */
int agent_new(const struct agent_options *options, struct agent **ret, struct err *err) VNE_MUST;
int agent_connect(struct agent *a, struct err *err) VNE_MUST;
/* Before an agent ends for good: true where it leaves no network behind, and nothing that guards one. */
bool agent_leave(struct agent *a);
void agent_free(struct agent *a); /* networks go on. NULL accepted */

/* Timers of main's loop. */
void agent_heartbeat(void *agent);
void agent_report(void *agent);
/* So that main can see the periods that vned wishes. */
void agent_on_welcome(struct agent *a, void (*welcome)(void *arg, uint32_t heartbeat_ms, uint32_t report_ms), void *arg);
