/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Means of few measurements, and how far they may be off. */
#pragma once

#include <stddef.h>

/* The mean of those that are finite, and its 95 % confidence interval by Student's t: mean ± t(n - 1) s / √n.
 * n 0: mean NaN; n 1: the ends NaN. */
struct interval {
	size_t n;
	double mean, low, high;
};
struct interval interval_of(const double *x, size_t n);

/* The 0.975-quantile of Student's t for df >= 1, to 1e-9; for df > 2000 that of the normal distribution with its
 * first two corrections (Abramowitz and Stegun 26.7.5). O(df). */
double student_t(size_t df);
