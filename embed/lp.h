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

/* What a test can make of GLPK, to see what becomes of it; asked before the attempt-th try (from 0) at a relaxation. */
enum lp_trouble {
	LP_NO_TROUBLE,
	LP_ABORT,    /* glp_error(), as GLPK does when it runs out of memory */
	LP_CYCLE,    /* the iteration limit is reached and nothing is solved */
	LP_SINGULAR  /* the basis matrix is */
};
struct lp_faults {
	enum lp_trouble (*next)(void *arg, int attempt);
	void *arg;
};

struct lp_options {
	double time_limit_s;   /* INFINITY: none. GLPK may overrun it within one LP. */
	int64_t iterations;    /* of the simplex method, in all; INT64_MAX: no bound */
	int memory_mib;        /* GLPK gives up above */
	bool cuts;             /* let GLPK add cover and mixed-integer rounding cuts */
	const double *start;   /* a feasible solution, one value per column; NULL: none */
	/* Called with each better integer solution and now and then with NULL; bound: proven so far.
	 * False stops. Must not use GLPK. */
	bool (*step)(void *arg, const double *x, double bound, int64_t iterations);
	void *arg;
	const struct lp_faults *faults; /* tests only; NULL: none */
};

enum lp_status {
	LP_OPTIMAL,    /* the best solution was given to step(), or is start */
	LP_INFEASIBLE,
	LP_LIMIT,      /* of time, iterations or by step(); *ret_bound is valid */
	LP_FAILED      /* GLPK gave up; err says how; *ret_bound is valid */
};
/* *ret_bound: a lower bound of the optimum, -INFINITY if there is none. Blocks. */
enum lp_status lp_solve(const struct lp *lp, const struct lp_options *options, double *ret_bound, struct err *err);

/* Where the relaxation of a growing lp was solved to. Zero it to begin; the next call starts from there: columns
 * added since are at their lower bound, rows added since are basic. */
struct lp_point {
	uint8_t *col_place, *row_place; /* in the basis; the fence's own */
	double *x;             /* per column */
	double *price;         /* per row: its dual */
	double value;
	size_t n_cols, n_rows; /* what all of these are of */
	size_t cap_cols, cap_rows;
	int64_t iterations;    /* of all calls */
};
void lp_point_done(struct lp_point *at);
/* Begins anew from the basis that has column cols[i] in row i; rows from n on are basic themselves. x is zero. */
void lp_point_begin(struct lp_point *at, const struct lp *lp, const int *cols, size_t n);

struct lp_relax {
	double time_limit_s;   /* INFINITY: none */
	int memory_mib;
	bool dual;             /* rows or bounds are new: the dual simplex method first. Else (columns are) the primal. */
	const struct lp_faults *faults;
};
/* Solves the relaxation from where *at stands. LP_OPTIMAL: *at is filled; LP_INFEASIBLE; LP_LIMIT: time; LP_FAILED: GLPK
 * gave up after every way that is known to help, and *at is as it was but without a basis. */
enum lp_status lp_relax(const struct lp *lp, const struct lp_relax *how, struct lp_point *at, struct err *err);
