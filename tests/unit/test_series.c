/* SPDX-License-Identifier: GPL-3.0-or-later */
/* History in bounded space, against all samples kept: means and maxima of each bucket, gaps, a clock that jumps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "vned/series.h"

enum { SAMPLES = 60000 };

static uint64_t seed = 11;

static uint32_t pick(uint32_t n) /* 0 … n - 1 */
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

static struct sample { int64_t at_ms; double value; } samples[SAMPLES];

/* Mean and maximum of what fell into a bucket; < 0: nothing did. */
static void expect(size_t n, int64_t from, int64_t step, double *mean, double *max)
{
	double sum = 0;
	size_t count = 0;
	*max = -1;
	for (size_t i = 0; i < n; i++) {
		if (samples[i].at_ms < from || samples[i].at_ms >= from + step || samples[i].value < 0)
			continue;
		sum += samples[i].value;
		*max = fmax(*max, samples[i].value);
		count++;
	}
	*mean = count ? sum / (double)count : -1;
}

static void near(double got, double wanted)
{
	if (wanted < 0)
		assert_true(got < 0);
	else
		assert_true(fabs(got - wanted) <= wanted * 0.005 + 1e-6);
}

static void compare(const struct series *s, size_t n, int64_t span_ms)
{
	struct series_point *points;
	size_t n_points;
	uint32_t step;
	int64_t now = samples[n - 1].at_ms;
	series_read(s, now, span_ms, &points, &n_points, &step);
	assert_true(n_points > 0);
	assert_true(points[n_points - 1].at_ms == (uint64_t)(now / step * step)); /* the one under way is there */
	for (size_t i = 0; i < n_points; i++) {
		double mean, max;
		assert_true(i == 0 || points[i].at_ms == points[i - 1].at_ms + step);
		expect(n, (int64_t)points[i].at_ms, step, &mean, &max);
		near(points[i].mean[0], mean);
		near(points[i].max[0], max);
		assert_true(points[i].mean[1] < 0); /* a column that is never known */
	}
	/* as far back as asked, or as the level or the samples reach */
	size_t level = 0;
	while (series_levels[level].step_ms != step)
		level++;
	int64_t first = (int64_t)points[0].at_ms;
	assert_true(first <= now - span_ms || first / step == samples[0].at_ms / step || n_points == series_levels[level].buckets);
	assert_true(n_points <= series_levels[level].buckets);
	free(points);
}

static void test_means(void **state)
{
	struct series *s = series_new(2);
	int64_t now = 123456;
	for (size_t i = 0; i < SAMPLES; i++) {
		/* mostly every five seconds, now and then a gap of minutes or hours */
		now += pick(5000) == 0 ? (int64_t)pick(4 * 3600 * 1000) : pick(400) == 0 ? 700000 : 5000;
		double value = pick(10) ? (double)pick(1000000) / 7 : -1;
		samples[i] = (struct sample){ now, value };
		series_add(s, now, (double[]){ value, -1 });
		if (i % 7001 == 7000 || i + 1 == SAMPLES)
			for (size_t k = 0; k < SERIES_LEVELS; k++)
				compare(s, i + 1, series_levels[k].step_ms * (series_levels[k].buckets - 2));
	}
	assert_true(series_bytes(s) < 4096); /* two columns, whatever came */
	series_free(s);
}

static void test_nothing_yet(void **state)
{
	struct series *s = series_new(1);
	struct series_point *points;
	size_t n;
	uint32_t step;
	series_read(s, 1000, 600000, &points, &n, &step);
	assert_int_equal(n, 0);
	free(points);
	series_add(s, 100000, (double[]){ 5 });
	series_add(s, 90000, (double[]){ 9 }); /* from before: dropped */
	series_read(s, 100000, INT64_MAX / 2, &points, &n, &step);
	assert_int_equal(n, 1);
	assert_true(points[0].mean[0] == 5 && points[0].max[0] == 5);
	free(points);
	series_free(s);
}

/* What is long over is not taken for what is now. */
static void test_silence(void **state)
{
	struct series *s = series_new(1);
	struct series_point *points;
	size_t n;
	uint32_t step;
	for (int64_t t = 0; t < 1200000; t += 5000)
		series_add(s, t, (double[]){ 1 });
	int64_t later = 1200000 + 300000;
	series_read(s, later, 590000, &points, &n, &step);
	assert_int_equal(step, 10000);
	for (size_t i = 0; i < n; i++)
		assert_true(points[i].at_ms >= 1200000 ? points[i].mean[0] < 0 : points[i].mean[0] == 1);
	free(points);
	series_read(s, later + (int64_t)30 * 24 * 3600 * 1000, 590000, &points, &n, &step);
	for (size_t i = 0; i < n; i++)
		assert_true(points[i].mean[0] < 0);
	free(points);
	series_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_means),
		cmocka_unit_test(test_nothing_yet),
		cmocka_unit_test(test_silence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
