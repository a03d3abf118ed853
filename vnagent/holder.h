/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The process that a netns router lives in: pid 1 of the router. Internal to the spawner. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "vnagent/spawner.h"

/* Where processes may write a title over their own arguments. */
struct title {
	char *at;
	size_t room;
};
void title_find(int argc, char **argv, struct title *ret);

/* Makes a holder: 0 with pid, pidfd, netns_fd, or a negative errno. Blocks until the router is
 * usable, for at most ten seconds. */
int holder_make(const struct spawn_router *r, const struct title *title, struct spawn_answer *ret);
