/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sweep: every workload at every load with every seed, given to every solver; means and differences of what is
 * measured. Its files stand in a directory: runs.csv has a row per run and is written as they end, so that what was
 * interrupted goes on where it was; summary.csv, paired.csv, sweep.svg (where gnuplot is) and record.json are made of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "model/yaml.h"
#include "tools/solver_options.h"
#include "tools/vnsim/sim.h"

enum { METRICS = 12, SWEEP_RUNS_MAX = 100000, SWEEP_JOBS_MAX = 1024 };
extern const struct metric {
	const char *name, *title;
} metrics[METRICS];
void metrics_of(const struct sim_result *r, double v[METRICS]); /* NaN where undefined */

struct sweep_workload {
	char *name;
	char *substrate, *trace; /* files; NULL: name is that of a preset */
};

struct sweep_solver {
	char *name, *program; /* program: what options point to where the solver is one's own */
	struct solver_options options;
	char *settings; /* "heuristic effort=50": all that makes its answers what they are */
};

struct sweep {
	char *name, *text; /* the file */
	uint64_t program;  /* set by sweep_run */
	VEC(struct sweep_workload) workloads;
	VEC(int64_t) loads_micro;
	VEC(uint64_t) seeds;
	int64_t requests; /* of a preset; 0: its own number */
	VEC(struct sweep_solver) solvers;
};

/* One run; the traces of runs that differ in the solver alone are the same. Files have one load and one seed. */
struct run {
	const struct sweep_workload *workload;
	int64_t load_micro;
	uint64_t seed;
	const struct sweep_solver *solver;
	bool done;
	double v[METRICS];
};

/* `base`: what solvers leave out. */
int sweep_read(const char *path, const struct solver_options *base, struct yaml_errors *errors, struct sweep *ret,
               struct err *err) VNE_MUST;
void sweep_done(struct sweep *s);

/* Returns an exit code; errors are on stderr. */
int sweep_run(struct sweep *s, const char *directory, int64_t jobs, bool json);

/* Of sweep_report.c: the files behind runs.csv, and what is printed. Runs stand solver by solver within a trace. */
struct record {
	int64_t jobs;
	size_t reused;
	double seconds;
};
int sweep_report(const struct sweep *s, const struct run *runs, size_t n, const char *directory, const struct record *record,
                 bool json, struct err *err) VNE_MUST;
const char *load_text(int64_t load_micro, char text[static UNITS_TEXT]);
