/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See explain.h. What candidates.c and narrow.c find wrong is said first, as it names one router or
 * link; then a cut; then what the solver itself had to say. */
#include "embed/explain.h"

#include <stdio.h>

#include "base/loop.h"
#include "embed/cut.h"
#include "embed/relax.h"

enum {
	LARGE = 1000000,         /* virtual × substrate links: looking closer takes too long */
	CUT_ARCS = 5000000,      /* a quarter of EXPLAIN_EFFORT */
	EFFORT_ARCS_EACH = 1000
};

/* What is proven without a search; false: nothing is. */
static bool proof(const struct substrate *s, const struct residual *left, const struct request *r, uint64_t *work, struct err *why)
{
	struct problem p;
	int ret = problem_init(&p, s, left, r, OBJECTIVE_COST, why);
	bool found = ret != 0;

	if (!found && r->n_links * s->n_links <= LARGE)
		found = problem_narrow(&p, why) != 0;
	*work += 4 * r->n_links * (s->n_links + s->n_nodes);
	if (!found)
		found = cut_find(&p, CUT_ARCS, work, why);
	problem_done(&p);
	return found;
}

void explain(const struct substrate *s, const struct residual *left, const struct request *r,
             const struct embed_options *options, int64_t deadline_us, struct solution *answer)
{
	struct err why = { 0 };
	struct relaxation x;
	uint64_t work = 0;

	if (proof(s, left, r, &work, &why)) {
		answer->status = SOLVE_INFEASIBLE;
		answer->has_bound = false;
		snprintf(answer->reason, sizeof(answer->reason), "%s", why.text);
	}
	int64_t effort = EXPLAIN_EFFORT - (int64_t)(work / EFFORT_ARCS_EACH);
	/* No change at all: the solver gave up too soon, and nothing of the request is to blame. */
	if (relax_find(s, left, r, options, answer->reason, effort, deadline_us, &x) && x.change > 0)
		relax_text(r, &x, answer->relax, sizeof(answer->relax));
}
