/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fence around GLPK: linear programs with integer variables, minimised. The only file that
 * knows glpk.h is lp_glpk.c. A problem is gathered here and handed over in one piece, so that
 * nothing of GLPK's outlives lp_solve(): when GLPK aborts, its whole environment (one per
 * thread) is thrown away and the caller gets LP_FAILED. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LP_INF 1e300

struct lp_col {
	double lower, upper, cost;
	bool integer;
};
struct lp_row {
	double lower, upper;
};

/* Zero it to begin. Indices are from 0, in order of adding. */
struct lp {
	struct lp_col *cols;
	struct lp_row *rows;
	int *put_row, *put_col; /* one coefficient each */
	double *put_value;
	size_t n_cols, cap_cols, n_rows, cap_rows, n_puts, cap_puts;
};
void lp_done(struct lp *lp);
int lp_add_col(struct lp *lp, double lower, double upper, double cost, bool integer);
int lp_add_row(struct lp *lp, double lower, double upper);
void lp_put(struct lp *lp, int row, int col, double value); /* at most once per row and column; zero is left out */

struct lp_options {
	double time_limit_s;   /* INFINITY: none. GLPK may overrun it within one LP. */
	int64_t iterations;    /* of the simplex method, in all; INT64_MAX: no bound */
	int memory_mib;        /* GLPK gives up above */
	bool relax;            /* only the linear relaxation: LP_OPTIMAL with its value as bound, or LP_INFEASIBLE */
	bool cuts;             /* let GLPK add cover and mixed-integer rounding cuts */
	const double *start;   /* a feasible solution, one value per column; NULL: none */
	/* Called with each better integer solution and now and then with NULL; bound: proven so far.
	 * False stops. Must not use GLPK. */
	bool (*step)(void *arg, const double *x, double bound, int64_t iterations);
	void *arg;
};

enum lp_status {
	LP_OPTIMAL,    /* the best solution was given to step(), or is start */
	LP_INFEASIBLE,
	LP_LIMIT,      /* of time, iterations or by step(); *ret_bound is valid */
	LP_FAILED      /* GLPK gave up; err says how; *ret_bound is valid */
};
/* *ret_bound: a lower bound of the optimum, -INFINITY if there is none. Blocks. */
enum lp_status lp_solve(const struct lp *lp, const struct lp_options *options, double *ret_bound, struct err *err);
