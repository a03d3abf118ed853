/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See search.h. */
#include "embed/search.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"

enum { CLOCK_EVERY = 20000 }; /* arcs between two looks at the clock: about 100 µs */

bool search_spend(struct search *s, uint64_t arcs)
{
	s->work += arcs;
	if (s->work >= s->work_limit)
		s->stopped = true;
	if (s->deadline_us != INT64_MAX && s->work - s->work_checked >= CLOCK_EVERY) {
		s->work_checked = s->work;
		if (clock_us() >= s->deadline_us)
			s->halted = s->stopped = true;
	}
	return !s->stopped;
}

double search_seconds_left(const struct search *s)
{
	if (s->deadline_us == INT64_MAX)
		return INFINITY;
	return (double)(s->deadline_us - clock_us()) / 1e6;
}

static void search_progress(struct search *s)
{
	s->best.has_bound = true;
	s->best.bound = s->bound / s->problem.scale;
	s->best.seconds = (double)(clock_us() - s->started_us) / 1e6;
	if (s->options->progress && !s->options->progress(s->options->arg, &s->best))
		s->quit = s->halted = s->stopped = true;
}

void search_offer(struct search *s, const struct embedding *e, const char *name)
{
	const struct problem *p = &s->problem;
	struct err fault = { 0 };

	if (embedding_check(p->s, p->left, p->r, e, &fault) != 0) {
		s->fault = fault;
		err_add(&s->fault, -EINVAL, "an answer of %s was refused by the checker", name);
		return;
	}
	double objective = problem_objective(p, e);
	if (objective >= s->objective)
		return;
	s->objective = objective;
	if (s->best.has_embedding)
		embedding_done(&s->best.embedding);
	embedding_copy(e, &s->best.embedding);
	s->best.has_embedding = true;
	s->best.status = objective <= s->bound ? SOLVE_OPTIMAL : SOLVE_FEASIBLE;
	s->best.objective = objective / p->scale;
	s->best.cost = s->options->objective == OBJECTIVE_COST ? s->best.objective
	                                                       : nano_to_units(embedding_cost_nano(p->s, p->r, e));
	snprintf(s->best.solver, sizeof(s->best.solver), "%s", name);
	search_progress(s);
}

void search_raise_bound(struct search *s, double bound, const char *name)
{
	if (s->proof)
		return;
	if (bound > s->objective)
		bound = s->objective;
	if (bound <= s->bound)
		return;
	s->bound = bound;
	if (s->best.has_embedding) {
		if (s->objective <= s->bound) {
			s->best.status = SOLVE_OPTIMAL;
			snprintf(s->best.solver, sizeof(s->best.solver), "%s", name);
		}
		search_progress(s);
	}
}

void search_exclude(struct search *s, const char *name, const struct err *why)
{
	if (s->best.has_embedding) { /* a solver that excludes what was found is wrong */
		err_set(&s->fault, -EINVAL, "%s excluded what was found: %s", name, why->text);
		return;
	}
	s->best.status = SOLVE_INFEASIBLE;
	snprintf(s->best.solver, sizeof(s->best.solver), "%s", name);
	snprintf(s->best.reason, sizeof(s->best.reason), "%s", why->text);
}

void search_exclude_whole(struct search *s, const char *name)
{
	struct err why = { 0 };

	/* No more than narrowing has shown: of a split or protected link it asked for less than the whole. */
	err_set(&why, -ENOENT, "no choice of hosts and paths fits what is left: each router has hosts and each link a path, "
	        "but not all that is asked for together");
	search_exclude(s, name, &why);
}

void search_undecide(struct search *s)
{
	if (s->best.status == SOLVE_REFUSED) {
		s->best.status = SOLVE_UNKNOWN;
		s->best.reason[0] = '\0';
	}
}

void search_divide(struct search *s, int n, void (*run)(struct search *s))
{
	int64_t deadline = s->deadline_us, now = clock_us();
	uint64_t limit = s->work_limit;

	if (search_over(s))
		return;
	if (deadline != INT64_MAX && deadline > now)
		s->deadline_us = now + (deadline - now) / n;
	if (limit != UINT64_MAX)
		s->work_limit = s->work + (limit - s->work) / (uint64_t)n;
	run(s);
	s->deadline_us = deadline;
	s->work_limit = limit;
	s->halted = s->quit || clock_us() >= deadline;
	s->stopped = s->halted || s->work >= limit;
}

bool search_over(const struct search *s)
{
	return s->stopped || s->best.status == SOLVE_INFEASIBLE || s->objective <= s->bound;
}

static void search_begin(struct search *s, const struct embed_options *options)
{
	*s = (struct search){ .options = options, .objective = INFINITY, .started_us = clock_us(),
	                      .deadline_us = INT64_MAX, .work_limit = UINT64_MAX };
	s->best.status = SOLVE_UNKNOWN;
	rng_init(&s->rng, options->seed);
	if (options->time_limit_s > 0 && options->time_limit_s < 1e9)
		s->deadline_us = s->started_us + (int64_t)(options->time_limit_s * 1e6);
	if (options->effort > 0)
		s->work_limit = (uint64_t)options->effort < UINT64_MAX / EFFORT_ARCS
		                        ? (uint64_t)options->effort * EFFORT_ARCS : UINT64_MAX;
}

int search_run(const struct substrate *s, const struct residual *left, const struct request *r,
               const struct embed_options *options, const char *name, void (*run)(struct search *),
               struct solution *ret, struct err *err)
{
	struct search search;
	struct err why = { 0 };

	search_begin(&search, options);
	if (problem_init(&search.problem, s, left, r, options->objective, &why) != 0) {
		search_exclude(&search, name, &why);
	} else {
		search.bound = search.problem.bound;
		run(&search);
	}
	if (!search.best.has_embedding) {
		if (search.best.status == SOLVE_UNKNOWN && search.fault.code != 0)
			snprintf(search.best.reason, sizeof(search.best.reason), "%s", search.fault.text);
		if (search.best.status == SOLVE_UNKNOWN && !search.best.reason[0])
			snprintf(search.best.reason, sizeof(search.best.reason), "%s", search.relaxed && !search.stopped
			         ? "undecided, though no limit came: a split link has more paths than are weighed one by one, and of "
			           "their flow the model bounds neither the number nor, with max_delay, each one's delay"
			         : "the limit came before an embedding was found or excluded");
	}
	/* A bound without an embedding says how little it could cost at best. */
	if (search.best.status != SOLVE_INFEASIBLE) {
		search.best.has_bound = true;
		search.best.bound = search.bound / search.problem.scale;
		if (search.best.status == SOLVE_OPTIMAL)
			search.best.bound = search.best.objective;
	}
	if (!search.best.solver[0])
		snprintf(search.best.solver, sizeof(search.best.solver), "%s", name);
	search.best.seconds = (double)(clock_us() - search.started_us) / 1e6;
	search.best.work = search.work;
	problem_done(&search.problem);
	*ret = search.best;
	return 0;
}
