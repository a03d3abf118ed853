/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The solvers' own random numbers (SplitMix64, Steele, Lea and Flood 2014): the same sequence
 * for the same seed on every machine, which the C library does not promise. */
#pragma once

#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline void rng_init(struct rng *r, uint64_t seed)
{
	r->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Below n, n > 0; the bias of the product method is under n / 2^32. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}
