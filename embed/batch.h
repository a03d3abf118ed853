/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several requests at once: which to admit, and where. First the most revenue × priority, then the least cost. */
#pragma once

#include <stddef.h>

#include "embed/embed.h"

enum { BATCH_EXACT_MAX = 10 }; /* requests that may fit by themselves, beyond which no choice is proven but by luck */

struct batched {
	struct solution *answer; /* per request */
	size_t n;
	enum solve_status status; /* OPTIMAL: value and cost are both proven; else FEASIBLE */
	double value, bound;      /* of what is admitted; no choice has more than bound */
	double cost, cost_bound;  /* of what is admitted; no choice of that value costs less (bound 0: not known) */
};
void batched_done(struct batched *b);

/* The embeddings answered fit `left` together. An answer is OPTIMAL where it costs what it would alone; INFEASIBLE
 * where it is excluded alone, with the reason; REFUSED where it had to stand back. effort and time_limit_s are of the whole
 * batch; objective is cost; explain as in embed_solve, of those that do not fit alone. Thread safe as embed_solve.
 *
 * Taken as they come, by value for what each takes, and by value; the best of these is improved by exchanging some, and the
 * networks admitted are embedded anew together (embed_reoptimise): never worse than in order by the heuristic while the
 * limit lasts. Up to BATCH_EXACT_MAX requests: the choices in falling order of value, each decided by the
 * node-link program over its disjoint union (bundle.h) until one fits, supersets of what is excluded left out; then the
 * same program bounds its cost. Exponential in the number of requests; each step is a MIP with its share of the limit. Beyond,
 * the bound of the value is a fractional knapsack over cpu and over bandwidth. */
int embed_batch(const struct substrate *s, const struct residual *left, const struct request *requests, size_t n,
                const struct embed_options *options, struct batched *ret, struct err *err) VNE_MUST;
