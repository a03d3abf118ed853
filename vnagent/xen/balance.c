/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which vcpu goes where; see balance.h. */
#include "vnagent/xen/balance.h"

#include <stdlib.h>

#include "base/mem.h"

bool balance_move(const struct balance_vcpu *v, size_t n, uint32_t n_cores, size_t *which, uint32_t *to)
{
	int64_t best = BALANCE_MARGIN - 1;
	uint32_t busy = 0, idle = 0;
	if (n_cores < 2)
		return false;
	mem_auto int64_t *load = mem_array(n_cores, sizeof(*load));
	for (size_t i = 0; i < n; i++)
		if (v[i].core < n_cores)
			load[v[i].core] += v[i].load_milli;
	for (uint32_t c = 1; c < n_cores; c++) {
		if (load[c] > load[busy])
			busy = c;
		if (load[c] < load[idle])
			idle = c;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t there = load[idle] + v[i].load_milli, left = load[busy] - v[i].load_milli;
		int64_t gain = load[busy] - (there > left ? there : left);
		if (v[i].core != busy || gain <= best)
			continue;
		best = gain;
		*which = i;
		*to = idle;
	}
	return best >= BALANCE_MARGIN;
}
