/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bar on a terminal that says how far a run is. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/loop.h"

enum { BAR_MS = 200, BAR_CELLS = 40 };

struct bar {
	bool on;
	int64_t begun_ms, shown_ms;
};

static inline void bar_show(struct bar *b, size_t done, size_t all, const char *what)
{
	int64_t now = clock_ms();

	if (!b->on || (done < all && now - b->shown_ms < BAR_MS))
		return;
	if (b->begun_ms == 0)
		b->begun_ms = now;
	b->shown_ms = now;
	int cells = (int)(done * BAR_CELLS / (all ? all : 1));
	int64_t left_s = done > 0 ? (now - b->begun_ms) * (int64_t)(all - done) / (int64_t)done / 1000 : 0;
	fprintf(stderr, "\r[%.*s%*s] %zu of %zu %s", cells, "########################################", BAR_CELLS - cells, "",
	        done, all, what);
	if (left_s > 0)
		fprintf(stderr, ", %lld s left", (long long)left_s);
	fputs("\033[K", stderr);
}

static inline void bar_end(const struct bar *b)
{
	if (b->on)
		fputs("\r\033[K", stderr);
}
