/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See random.h. */
#include "origin/random.h"

#define LN2_Q32 UINT64_C(2977044472)

void random_init(struct random *r, uint64_t seed, uint64_t stream)
{
	struct random first = { seed };

	r->state = random_next(&first) ^ stream * UINT64_C(0xd1342543de82ef95);
	random_next(r);
}

uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t random_below(struct random *r, uint64_t n)
{
	if (n <= 1)
		return 0;
	uint64_t most = UINT64_MAX - UINT64_MAX % n, x; /* a multiple of n */
	do {
		x = random_next(r);
	} while (x >= most);
	return x % n;
}

int64_t random_in(struct random *r, struct range range)
{
	return range.high <= range.low ? range.low : range.low + (int64_t)random_below(r, (uint64_t)(range.high - range.low) + 1);
}

bool random_chance(struct random *r, uint64_t probability_q32)
{
	return (random_next(r) >> 32) < probability_q32;
}

/* log2 of u / 2^32 for 0 < u < 2^32, negated, in 1/2^24: whole part by shifting, then a bit for each
 * squaring. */
static uint64_t minus_log2_q24(uint32_t u)
{
	uint64_t x = u, bits = 0;
	int shift = 0;

	while (x < ONE_Q32 / 2) {
		x <<= 1;
		shift++;
	}
	x <<= 1; /* now in [1, 2), as Q32 */
	for (int i = 0; i < 24; i++) {
		uint64_t y = x >> 1; /* Q31, so that the square fits */
		x = (y * y) >> 30;
		bits <<= 1;
		if (x >= 2 * ONE_Q32) {
			x >>= 1;
			bits |= 1;
		}
	}
	return ((uint64_t)(shift + 1) << 24) - bits;
}

uint64_t random_exponential(struct random *r, uint64_t mean)
{
	uint32_t u = (uint32_t)(random_next(r) >> 32);
	uint64_t ln_q24 = (minus_log2_q24(u ? u : 1) * (LN2_Q32 >> 8)) >> 24;

	return (uint64_t)(((unsigned __int128)mean * ln_q24) >> 24);
}

/* Arrivals of rate 1 within the mean (Knuth's method, on exponential gaps). */
uint64_t random_poisson(struct random *r, uint64_t mean_micro)
{
	uint64_t n = 0, at = random_exponential(r, 1 << 20);
	uint64_t end = (uint64_t)(((unsigned __int128)mean_micro << 20) / 1000000);

	while (at < end) {
		n++;
		at += random_exponential(r, 1 << 20);
	}
	return n;
}

uint64_t exp_minus_q32(uint64_t x_q16)
{
	/* e^-(2^-16), e^-(2^-15), … e^-1 … e^-16 as Q32 */
	static const uint64_t factors[] = {
		4294901760, 4294836226, 4294705160, 4294443040, 4293918848, 4292870656, 4290775039, 4286586875,
		4278222805, 4261543595, 4228380000, 4162825044, 4034748382, 3790295335, 3344923893, 2605029347,
		1580030169, 581260615, 78665070, 1440801, 483,
	};
	uint64_t e = ONE_Q32;

	if (x_q16 >> 21)
		return 0;
	for (unsigned i = 0; i < sizeof(factors) / sizeof(*factors); i++)
		if (x_q16 >> i & 1)
			e = (e * factors[i] + ONE_Q32 / 2) >> 32;
	return e;
}

uint64_t root_floor(uint64_t x)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
		uint64_t more = root + bit;
		if (more <= x / more)
			root = more;
	}
	return root;
}
