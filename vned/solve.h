/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Embedding in other processes: a pool of `vnembed --worker`, each warm between jobs.
 *
 * A solver can abort, overrun or eat memory: that costs one request. The hard deadline is kept
 * here: a worker that misses it is killed and replaced, and the best incumbent that it had sent, if
 * any, is the answer. What is answered has NOT been checked: the caller does that. */
#pragma once

#include <stddef.h>

#include "base/loop.h"
#include "proto/worker.h"

struct solve_pool;

/* solution: the callee may take its content (and zero it). failed: 0, or a negative errno where no
 * worker could say anything at all (reason in solution->reason). */
typedef void solve_answer_fn(void *arg, int failed, struct solution *solution);

struct solve_options {
	const char *program; /* "…/vnembed"; run with --worker */
	const char *solver;  /* exec:PROGRAM, where jobs ask for it: workers may run just that; NULL: none */
	size_t workers;
	int64_t grace_ms;    /* beyond a job's time limit, before the worker is killed */
	size_t queue_max;    /* jobs that wait; more are refused */
};
int solve_pool_new(struct loop *loop, const struct solve_options *options, struct solve_pool **ret, struct err *err) VNE_MUST;
void solve_pool_free(struct solve_pool *pool); /* kills its workers; answers do not come any more */

/* Queues a job (packed at once; the caller keeps its content) and sets job->id. version: of its substrate, the same for the same
 * substrate only, so that a worker is told it once; 0: none. first: before all that wait. -EBUSY: too many wait. */
int solve_submit(struct solve_pool *pool, struct worker_job *job, uint64_t version, bool first, solve_answer_fn *answer, void *arg, struct err *err) VNE_MUST;
size_t solve_waiting(const struct solve_pool *pool);   /* jobs queued or running */
uint64_t solve_killed(const struct solve_pool *pool);  /* workers replaced so far */
