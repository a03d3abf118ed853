/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The second wall, in nftables (table `inet vne` of the agent's namespace), for what the first cannot stop:
 *
 * - what enters by a device of ours and was not redirected never reaches the host's own stack;
 * - a tunnel takes frames from its neighbour's address only (the kernel takes its VNI from anybody);
 * - where the host tracks connections, its tunnels are not among them: a tenant decides how many there would be.
 *
 * Where the kernel has no nftables the first wall stands alone, and the probe says so. */
#pragma once

#include "base/nl.h"
#include "model/plan.h"

/* Makes the table, or finds it. -EOPNOTSUPP and the like: there is no nftables here. */
int wall_open(struct nl **ret, struct err *err) VNE_MUST;
void wall_put_table(struct nl_batch *b); /* what wall_open sends: for the probe */

/* Takes the table away, where nothing of ours stands any more. */
void wall_remove(struct nl *nl);

/* From now on just these segments are expected; one transaction. */
int wall_set(struct nl *nl, const struct plan_segment *const *segments, size_t n, struct err *err) VNE_MUST;
