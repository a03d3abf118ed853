/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See stats.h. */
#include "tools/vnsim/stats.h"

#include <math.h>

#define NORMAL_975 1.959963984540054

/* The probability of |T| <= t, exact for whole df (Abramowitz and Stegun 26.7.3 and 26.7.4). */
static double between(double t, size_t df)
{
	double theta = atan(t / sqrt((double)df)), c = cos(theta), s = sin(theta);
	double term = df % 2 ? c : 1, sum = df == 1 ? 0 : term;

	for (size_t k = df % 2 ? 3 : 2; k + 1 < df; k += 2) {
		term *= c * c * (double)(k - 1) / (double)k;
		sum += term;
	}
	return df % 2 ? M_2_PI * (theta + s * sum) : s * sum;
}

double student_t(size_t df)
{
	const double z = NORMAL_975, n = (double)df;
	double low = 0, high = 20;

	if (df > 2000)
		return z + (z * z * z + z) / (4 * n) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
	while (high - low > 1e-11) {
		double middle = (low + high) / 2;
		if (between(middle, df) < 0.95)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

struct interval interval_of(const double *x, size_t n)
{
	struct interval r = { .mean = NAN, .low = NAN, .high = NAN };
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		if (isfinite(x[i])) {
			sum += x[i];
			r.n++;
		}
	if (r.n == 0)
		return r;
	r.mean = sum / (double)r.n;
	if (r.n == 1)
		return r;
	for (size_t i = 0; i < n; i++)
		if (isfinite(x[i]))
			squares += (x[i] - r.mean) * (x[i] - r.mean);
	double half = student_t(r.n - 1) * sqrt(squares / (double)(r.n - 1) / (double)r.n);
	r.low = r.mean - half;
	r.high = r.mean + half;
	return r;
}
