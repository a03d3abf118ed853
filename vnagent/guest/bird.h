/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BIRD in the guest: started where a setup has a configuration, told of another one over its socket, restarted when it dies (sooner,
 * then later and later), ended when none is wanted. */
#pragma once

#include "base/loop.h"
#include "vnagent/guest/reaper.h"

#define BIRD_CONFIG "/run/bird.conf"
#define BIRD_SOCKET "/run/bird.ctl"

struct bird;
int bird_open(struct loop *loop, struct reaper *reaper, struct bird **ret, struct err *err) VNE_MUST;
void bird_close(struct bird *b); /* ends it. NULL accepted */

/* config NULL: none is to run. done, once, perhaps before this returns: 0, or BIRD's word on what is wrong (then the configuration before
 * stays). One at a time: -EBUSY while another is under way. */
void bird_set(struct bird *b, const char *config, void (*done)(void *arg, int code, const char *text), void *arg);
