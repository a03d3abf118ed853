/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What /proc tells: of the node, and of routers where no control group accounts for them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Jiffies of all cores since boot; cores that are online; memory. 0 where /proc does not tell. */
struct node_usage {
	uint64_t busy, total;
	uint32_t cores;
	int64_t mem_total_kib, mem_used_kib;
};
void proc_node_usage(struct node_usage *ret);

/* Sums over the processes that live in the router now (what ended is not in it any more). */
void proc_router_load(pid_t holder, uint64_t *ret_cpu_us, int64_t *ret_mem_kib);

/* Makes the namespaces of a router in a child process that ends at once. */
int proc_try_namespaces(struct err *err) VNE_MUST;
