/* SPDX-License-Identifier: GPL-3.0-or-later */
/* History of what is measured of one thing (a node, a link, a router …), in bounded space: rings of buckets at growing
 * steps, each with mean and maximum of the samples that fell into it. Every sample goes into all levels, so a mean over an
 * hour is that of its samples, however they were spread. Kept as 16 bits each, a float's upper half: at most 0.4 % off.
 *
 * A pure structure: the clock is handed in, and must not run backwards (a sample from before the last one is dropped). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/view.h"

enum { SERIES_LEVELS = 4 };
/* What a level keeps: `buckets` of step_ms each, the one under way included. */
struct series_level { int64_t step_ms; uint32_t buckets; };
extern const struct series_level series_levels[SERIES_LEVELS];

struct series;
struct series *series_new(size_t n_columns); /* 1 … SERIES_COLUMNS */
void series_free(struct series *s);          /* NULL accepted */
/* values: one per column, >= 0; below: not known. */
void series_add(struct series *s, int64_t now_ms, const double values[]);
/* The last span_ms up to now, at the finest level that reaches so far back, else at the last one: a point for each bucket since
 * the first sample, the oldest first; at_ms is the start of a bucket on the clock handed in. The caller frees *ret. */
void series_read(const struct series *s, int64_t now_ms, int64_t span_ms, struct series_point **ret, size_t *ret_n, uint32_t *ret_step_ms);
size_t series_bytes(const struct series *s); /* that it occupies */
