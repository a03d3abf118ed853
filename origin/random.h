/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The generators' random numbers: SplitMix64 (Steele, Lea and Flood 2014) and what is drawn from
 * it. Integers only, no libm: what a seed gives is the same to the byte with every compiler and on
 * every machine. Not the solvers' rng.h, so that instances stay what they are when that changes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ONE_Q32 (UINT64_C(1) << 32) /* probability 1 */

struct random {
	uint64_t state;
};

struct range {
	int64_t low, high; /* both included */
};

/* Streams of one seed are independent: nodes stay the same when more links are asked for. */
void random_init(struct random *r, uint64_t seed, uint64_t stream);
uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t n);               /* without bias; 0 for n <= 1 */
int64_t random_in(struct random *r, struct range range);           /* low where high is below it */
bool random_chance(struct random *r, uint64_t probability_q32);
uint64_t random_exponential(struct random *r, uint64_t mean);      /* mean < 2^40 */
uint64_t random_poisson(struct random *r, uint64_t mean_micro);    /* O(mean) */

uint64_t exp_minus_q32(uint64_t x_q16);  /* e^-x, x in 1/65536, to 2^-30 */
uint64_t root_floor(uint64_t x);         /* of the square root */
