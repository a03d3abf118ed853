/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Student's t against published tables, and intervals against a worked example. The tool's file is compiled in,
 * as tools are in no library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "tools/vnsim/stats.c"

static void test_quantiles(void **state)
{
	/* 0.975-quantiles to ten digits */
	static const struct {
		size_t df;
		double t;
	} table[] = {
		{ 1, 12.7062047364 }, { 2, 4.3026527299 }, { 3, 3.1824463053 }, { 4, 2.7764451052 }, { 5, 2.5705818366 },
		{ 9, 2.2621571628 }, { 10, 2.2281388520 }, { 29, 2.0452296421 }, { 30, 2.0422724563 }, { 99, 1.9842169516 },
		{ 100, 1.9839715185 }, { 1000, 1.9623390808 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (fabs(student_t(table[i].df) - table[i].t) > 1e-9)
			fail_msg("df %zu: %.12f, expected %.10f", table[i].df, student_t(table[i].df), table[i].t);
	for (size_t df = 1; df < 4000; df += 37)
		assert_true(student_t(df) > student_t(df + 1) && student_t(df) > NORMAL_975);
	assert_true(fabs(student_t(2000) - student_t(2001)) < 1e-6);
}

static void test_interval(void **state)
{
	const double x[] = { 4, 8, NAN, 6, 5, 3, INFINITY, 2, 8, 9, 2, 5 }; /* ten that count */
	struct interval i = interval_of(x, sizeof(x) / sizeof(*x));

	assert_int_equal(i.n, 10);
	assert_true(fabs(i.mean - 5.2) < 1e-12);
	/* s² = 57.6 / 9, t(9) s / √10 = 2.2621571628 × 2.5298221281 / 3.1622776602 */
	assert_true(fabs(i.high - i.mean - 1.8097257302) < 1e-8);
	assert_true(fabs(i.mean - i.low - 1.8097257302) < 1e-8);
}

static void test_few(void **state)
{
	const double one = 7, none = NAN;

	assert_true(interval_of(&one, 1).mean == 7 && isnan(interval_of(&one, 1).low));
	assert_true(isnan(interval_of(&none, 1).mean) && interval_of(&none, 1).n == 0);
	assert_int_equal(interval_of(NULL, 0).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles), cmocka_unit_test(test_interval), cmocka_unit_test(test_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
