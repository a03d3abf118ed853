/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of vnembed. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/vec.h"
#include "embed/embed.h"
#include "tools/solver_options.h"

struct settings {
	struct solver_options solver;
	const char *substrate, *running, *proof;
	VEC(const char *) requests;
	const char *request_env;
	int64_t moves; /* -1: no limit */
	bool worker, batch, report;
};

struct work {
	struct substrate substrate;
	VEC(struct request) requests;
	int exit;
};

/* Serves jobs of proto/worker.h from stdin until it ends, having given up all that it takes no more: `solver` as vned's configuration
 * has it, so that a program of the operator's own can be read. Returns the exit code. */
int worker_run(const char *solver);
int worker_confine(const char *solver, struct err *err) VNE_MUST;

/* run.c: embeds what was read, in order, as a batch, or anew where it runs, and writes what came of it to
 * standard output. w->exit grows. */
void run_in_order(struct work *w, const struct settings *s);
void run_batch(struct work *w, const struct settings *s);
void run_again(struct work *w, const struct settings *s);

/* report.c: one answer for a person, and what all of them leave of the substrate. */
void report_solution(const struct substrate *s, const struct request *r, const struct solution *answer, struct buf *out);
void report_substrate(const struct substrate *s, const struct residual *left, struct buf *out);

/* status.c: a line on standard error that says how far the search is, where that is a terminal. */
struct status {
	bool shown, on;
	const char *name;
	int64_t told_ms;
};
void status_begin(struct status *status, const char *name, struct embed_options *options);
void status_end(struct status *status);
