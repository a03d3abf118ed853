/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPU shares and limits, and accounting, by control groups, v1 or v2, whichever is mounted
 * and ours to write; where there is none, routers run unlimited and the probe says so.
 *
 * A router's group is PARENT/NET.ROUTER (hex) directly under the hierarchy's root. CPU: a weight
 * from its demand, so that on a busy node each gets its share, and a cap at the demand, so that
 * one is not faster on an empty node than on a full one. Memory: a limit, the plan's or 256 MiB.
 * Processes: 512 per router. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Finds out once what is mounted (reads /proc/self/mountinfo). */
bool cgroup_has_cpu(void);
bool cgroup_has_memory(void);
bool cgroup_has_pids(void);
bool cgroup_usable(void); /* groups can be made in the cpu hierarchy: tried with one that is removed at once */

/* Makes the parent and tries whether groups can be made in it. -ENOSYS: no hierarchy here; else why not. */
int cgroup_open(const char *parent, struct err *err) VNE_MUST;
/* Makes the router's group, or sets its numbers anew. cpu_milli 0: no cap, least weight. mem_kib 0: 256 MiB. */
int cgroup_set(const char *parent, uint32_t net, uint32_t router, int64_t cpu_milli, int64_t mem_kib,
               struct err *err) VNE_MUST;
void cgroup_enter(const char *parent, uint32_t net, uint32_t router, pid_t pid); /* 0: the caller */
/* Its processes must be gone; a group that is still busy is tried again by the next sweep. */
int cgroup_remove(const char *parent, uint32_t net, uint32_t router);
/* Removes every empty group under the parent that `wanted` denies; all of them, then the parent
 * itself, where wanted is NULL. */
void cgroup_sweep(const char *parent, bool (*wanted)(void *arg, uint32_t net, uint32_t router), void *arg);

/* Reads a group's counters; kept open, since this happens every second. */
struct cgroup_meter {
	int cpu_fd, mem_fd;
};
void cgroup_meter_open(const char *parent, uint32_t net, uint32_t router, struct cgroup_meter *ret);
void cgroup_meter_close(struct cgroup_meter *m);
bool cgroup_meter_cpu(const struct cgroup_meter *m, uint64_t *ret_us);
bool cgroup_meter_mem(const struct cgroup_meter *m, int64_t *ret_kib);
