/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See series.h. A level's ring is allocated once its first bucket is complete: what lives for ten minutes pays for ten minutes. */
#include "vned/series.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Ten minutes, two hours, a day, a week. */
const struct series_level series_levels[SERIES_LEVELS] = {
	{ 10 * 1000, 60 }, { 60 * 1000, 120 }, { 15 * 60 * 1000, 96 }, { 3 * 60 * 60 * 1000, 56 }
};

enum { UNKNOWN = 0xffff }; /* a NaN's upper half: no sample has it */

struct level {
	int64_t first, bucket; /* of all, under way; in steps since the clock's 0 */
	struct sum { float sum, max; uint32_t n; } sums[SERIES_COLUMNS];
	uint16_t *ring; /* [(bucket % buckets) * columns + column][2]; NULL: none is complete */
};

struct series {
	size_t columns;
	int64_t last_ms;
	bool begun;
	struct level levels[SERIES_LEVELS];
};

static uint16_t halve(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof(bits));
	return (uint16_t)((bits + 0x8000) >> 16);
}

static double widen(uint16_t half)
{
	uint32_t bits = (uint32_t)half << 16;
	float f;
	memcpy(&f, &bits, sizeof(f));
	return half == UNKNOWN ? -1 : (double)f;
}

struct series *series_new(size_t n_columns)
{
	struct series *s = mem_alloc(sizeof(*s));
	*s = (struct series){ .columns = n_columns < SERIES_COLUMNS ? n_columns : SERIES_COLUMNS };
	return s;
}

void series_free(struct series *s)
{
	for (size_t i = 0; s && i < SERIES_LEVELS; i++)
		free(s->levels[i].ring);
	free(s);
}

static size_t ring_bytes(const struct series *s, size_t level)
{
	return series_levels[level].buckets * s->columns * 2 * sizeof(uint16_t);
}

size_t series_bytes(const struct series *s)
{
	size_t bytes = sizeof(*s);
	for (size_t i = 0; i < SERIES_LEVELS; i++)
		bytes += s->levels[i].ring ? ring_bytes(s, i) : 0;
	return bytes;
}

static uint16_t *cell(const struct series *s, size_t level, int64_t bucket, size_t column)
{
	return &s->levels[level].ring[((size_t)(bucket % series_levels[level].buckets) * s->columns + column) * 2];
}

/* The bucket under way is complete; those up to `next` had no samples. */
static void turn(struct series *s, size_t level, int64_t next)
{
	struct level *l = &s->levels[level];
	uint32_t buckets = series_levels[level].buckets;
	if (!l->ring) {
		l->ring = mem_alloc(ring_bytes(s, level));
		memset(l->ring, 0xff, ring_bytes(s, level));
	}
	for (size_t c = 0; c < s->columns; c++) {
		uint16_t *at = cell(s, level, l->bucket, c);
		at[0] = l->sums[c].n ? halve(l->sums[c].sum / (float)l->sums[c].n) : UNKNOWN;
		at[1] = l->sums[c].n ? halve(l->sums[c].max) : UNKNOWN;
	}
	if (next - l->bucket > buckets)
		memset(l->ring, 0xff, ring_bytes(s, level));
	else
		for (int64_t b = l->bucket + 1; b < next; b++)
			memset(cell(s, level, b, 0), 0xff, s->columns * 2 * sizeof(uint16_t));
	memset(l->sums, 0, sizeof(l->sums));
	l->bucket = next;
}

void series_add(struct series *s, int64_t now_ms, const double values[])
{
	if (now_ms < 0 || (s->begun && now_ms < s->last_ms))
		return;
	for (size_t i = 0; i < SERIES_LEVELS; i++) {
		struct level *l = &s->levels[i];
		int64_t bucket = now_ms / series_levels[i].step_ms;
		if (!s->begun)
			l->first = l->bucket = bucket;
		else if (bucket != l->bucket)
			turn(s, i, bucket);
		for (size_t c = 0; c < s->columns; c++) {
			if (!(values[c] >= 0) || values[c] > 1e30)
				continue;
			float v = (float)values[c];
			l->sums[c].sum += v;
			l->sums[c].max = v > l->sums[c].max ? v : l->sums[c].max;
			l->sums[c].n++;
		}
	}
	s->last_ms = now_ms;
	s->begun = true;
}

static void read_bucket(const struct series *s, size_t level, int64_t bucket, struct series_point *ret)
{
	const struct level *l = &s->levels[level];
	for (size_t c = 0; c < SERIES_COLUMNS; c++) {
		ret->mean[c] = ret->max[c] = -1;
		if (c >= s->columns)
			continue;
		if (bucket == l->bucket && l->sums[c].n) {
			ret->mean[c] = (double)(l->sums[c].sum / (float)l->sums[c].n);
			ret->max[c] = (double)l->sums[c].max;
		} else if (bucket < l->bucket) {
			ret->mean[c] = widen(cell(s, level, bucket, c)[0]);
			ret->max[c] = widen(cell(s, level, bucket, c)[1]);
		}
	}
}

void series_read(const struct series *s, int64_t now_ms, int64_t span_ms, struct series_point **ret, size_t *ret_n, uint32_t *ret_step_ms)
{
	size_t level = 0;
	while (level + 1 < SERIES_LEVELS && span_ms > series_levels[level].step_ms * (series_levels[level].buckets - 1))
		level++;
	const struct level *l = &s->levels[level];
	int64_t step = series_levels[level].step_ms, last = now_ms / step, oldest = last - (int64_t)series_levels[level].buckets + 1;
	int64_t from = span_ms < 0 || now_ms - span_ms < 0 ? 0 : (now_ms - span_ms) / step;
	from = from < oldest ? oldest : from;
	/* a bucket's slot may be another's by now: what is kept ends `buckets` before the one under way */
	from = from <= l->bucket - (int64_t)series_levels[level].buckets ? l->bucket - (int64_t)series_levels[level].buckets + 1 : from;
	from = from < l->first ? l->first : from;
	*ret_step_ms = (uint32_t)step;
	*ret_n = s->begun && last >= from ? (size_t)(last - from + 1) : 0;
	*ret = mem_array(*ret_n ? *ret_n : 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++) {
		(*ret)[i].at_ms = (uint64_t)((from + (int64_t)i) * step);
		read_bucket(s, level, from + (int64_t)i, &(*ret)[i]);
	}
}
