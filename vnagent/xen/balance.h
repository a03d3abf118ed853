/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spreading the guests' vcpus over a node's cores by what they were measured to use (`--balance load`). Pure: loads and
 * places in, one move or none out. Each move lowers the sum of squares of the cores' loads by a margin, so with steady
 * loads it comes to rest; what a margin does not pay for stays where its cache is warm. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BALANCE_MARGIN = 100 }; /* thousandths of a core that a move has to take from the busier one of two */

struct balance_vcpu {
	uint32_t core;     /* where it is placed; below n_cores */
	int64_t load_milli; /* thousandths of a core that it used lately */
};

/* true: v[*which] should go to core *to. Expected O(n + cores). */
bool balance_move(const struct balance_vcpu *v, size_t n, uint32_t n_cores, size_t *which, uint32_t *to);
