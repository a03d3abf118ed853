/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routes of a kernel told one by one, in dumps amid changes, and with news that got lost: what the table decides is what that kernel
 * would do, or "into the router" where that is not plain; and after each whole telling it is exactly that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "vnagent/split_table.h"

enum { CASES = 400, STEPS = 120, PREFIXES = 5, METRICS = 3, DEVICES = 4 };

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

/* The kernel: per prefix, table and metric at most one route; device 0: none. */
static uint32_t kernel[PREFIXES][2][METRICS];
static uint32_t decided[PREFIXES]; /* device + 1; 0: no way */

static struct addr prefix(uint32_t i)
{
	return (struct addr){ .family = AF_INET, .prefix = i == 0 ? 0 : (uint8_t)(20 + i), .bytes = { i ? 10 : 0, (uint8_t)i } };
}

static int decide(void *arg, const struct addr *to, const struct split_hop *hop)
{
	decided[to->bytes[1]] = hop ? hop->device + 1 : 0;
	return 0;
}

/* What this kernel does with a packet to the prefix: device + 1. A route of `local` is "into the router". */
static uint32_t truth(uint32_t i)
{
	for (int local = 1; local >= 0; local--)
		for (uint32_t m = 0; m < METRICS; m++)
			if (kernel[i][local][m])
				return local ? 1 : kernel[i][local][m] + 1;
	return 0;
}

static struct split_told told(uint32_t i, bool local, uint32_t metric, uint32_t device)
{
	return (struct split_told){ .to = prefix(i), .local = local, .metric = metric, .hop.device = local ? 0 : device, .replaces = true };
}

static void change(struct split_table *t, bool lost, bool *clear)
{
	uint32_t i = below(PREFIXES), metric = below(METRICS), device = 1 + below(DEVICES);
	bool local = below(6) == 0;
	uint32_t *there = &kernel[i][local][metric];

	if (*there && below(2)) {
		struct split_told gone = told(i, local, metric, *there);

		gone.replaces = false;
		*there = 0;
		if (!lost && !split_table_del(t, &gone))
			*clear = false;
		return;
	}
	*there = device;
	if (!lost) {
		struct split_told news = told(i, local, metric, device);

		split_table_put(t, &news);
	}
}

/* The kernel's answer is a look at it route by route, while it goes on changing. */
static void tell_all(struct split_table *t, bool *clear)
{
	split_table_begin(t, below(3) == 0);
	for (uint32_t i = 0; i < PREFIXES; i++)
		for (int local = 0; local < 2; local++)
			for (uint32_t m = 0; m < METRICS; m++) {
				uint32_t seen = kernel[i][local][m];

				while (below(5) == 0)
					change(t, false, clear); /* told before what the dump saw earlier */
				if (!seen)
					continue;
				struct split_told dumped = told(i, local, m, seen);

				dumped.replaces = false;
				dumped.dumped = true;
				split_table_put(t, &dumped);
			}
	split_table_end(t);
}

static void check(const char *when, uint64_t which)
{
	for (uint32_t i = 0; i < PREFIXES; i++)
		if (decided[i] != truth(i) && decided[i] != 1)
			fail_msg("case %llu, %s: prefix %u goes by %d, and should by %d", (unsigned long long)which, when, i, (int)decided[i] - 1, (int)truth(i) - 1);
}

static void test_random(void **state)
{
	size_t exact = 0, all = 0;

	for (uint64_t which = 1; which <= CASES; which++) {
		struct split_table *t = split_table_new(&(struct split_table_options){ decide, NULL, 1000 });
		bool clear = true;

		seed = which * UINT64_C(0x9e3779b97f4a7c15);
		memset(kernel, 0, sizeof(kernel));
		memset(decided, 0, sizeof(decided));
		for (int step = 0; step < STEPS; step++) {
			uint32_t what = below(20);

			if (what == 0) { /* news got lost: the owner trusts nothing until all was told again */
				for (uint32_t n = 1 + below(4); n > 0; n--)
					change(t, true, &clear);
				tell_all(t, &clear);
				tell_all(t, &clear); /* the owner asks again where something was not clear meanwhile */
			} else if (what == 1) {
				tell_all(t, &clear);
			} else {
				change(t, false, &clear);
			}
			check("after a step", which);
			for (uint32_t i = 0; i < PREFIXES; i++) {
				exact += decided[i] == truth(i);
				all++;
			}
		}
		split_table_free(t);
	}
	print_message("%zu of %zu decided as the kernel does\n", exact, all);
	assert_true(exact > all * 9 / 10);
}

static void test_bounds(void **state)
{
	struct split_table *t = split_table_new(&(struct split_table_options){ decide, NULL, 2 });
	struct split_told a = told(1, false, 0, 1), b = told(2, false, 0, 2), c = told(3, false, 0, 3);

	memset(decided, 0, sizeof(decided));
	split_table_put(t, &a);
	split_table_put(t, &b);
	assert_false(split_table_full(t));
	split_table_put(t, &c);
	assert_true(split_table_full(t));
	assert_int_equal(split_table_count(t), 2);
	assert_int_equal(decided[3], 0);
	struct split_told beside = told(1, false, 0, 4); /* a second one of the same preference: which is first is not told */

	beside.replaces = false;
	split_table_put(t, &beside);
	assert_int_equal(decided[1], 1);
	assert_false(split_table_del(t, &beside));
	split_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
