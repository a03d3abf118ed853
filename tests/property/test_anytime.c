/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any mixture of features, any effort, stopped anywhere: what a solver says on the way and at the end is
 * true all the same. Brute force knows the truth. With arguments (FIRST COUNT) it goes through as many
 * cases from that one on, which is how new bugs are looked for. */
#include "tests/help_brute.h"

static const char *const solvers[] = { "heuristic", "mip", "exact", "auto" };

/* Each feature in one case of three; split links only in few, as their brute force is the dearest. */
static unsigned mixture(struct rng *rng)
{
	unsigned f = 0;

	for (unsigned bit = 1; bit < F_ALL; bit <<= 1)
		if (below(rng, 3) == 0)
			f |= bit;
	if (f & F_PARALLEL && below(rng, 2))
		f &= ~(unsigned)F_PARALLEL;
	return f & F_ALL;
}

static void one(uint64_t seed, struct tally *tally)
{
	static const int64_t efforts[] = { 1, 2, 5, 10, 25, 60, 150, 400 };
	struct one_case c;
	struct rng rng;

	rng_init(&rng, seed ^ UINT64_C(0x616e7974696d65));
	case_make(&c, seed, mixture(&rng));
	int64_t optimum = brute_force(&c, &c.left);
	const char *solver = solvers[below(&rng, 4)];
	compare(&c, solver, efforts[below(&rng, ARRAY_LEN(efforts))], optimum, false, tally);
	compare_stopped(&c, solver, 2500, 1 + (int)below(&rng, 3), optimum, false, tally);
	for (int i = 1; i < 4; i++)
		compare(&c, solvers[i], 2500, optimum, true, tally);
	case_done(&c);
}

static void mixtures(void **state)
{
	struct tally tally = { 0 };

	for (uint64_t seed = 1; seed <= 700; seed++)
		one(seed, &tally);
	assert_true(tally.feasible * 4 > tally.cases && tally.feasible * 8 < tally.cases * 7);
	assert_true(tally.told > tally.cases / 4);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(mixtures) };
	struct tally tally = { 0 };

	if (argc < 3)
		return cmocka_run_group_tests(tests, NULL, NULL);
	for (uint64_t seed = strtoull(argv[1], NULL, 10), n = strtoull(argv[2], NULL, 10); n > 0; seed++, n--)
		one(seed, &tally);
	printf("%d answers, %d of feasible cases, %d calls of progress\n", tally.cases, tally.feasible, tally.told);
	return 0;
}
