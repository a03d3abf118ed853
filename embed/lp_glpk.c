/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GLPK behind lp.h. What is known of GLPK 5.0 and guarded against here:
 * - glp_error() prints whatever it was told, then aborts the process: a hook keeps it quiet, another jumps out, and
 *   the thread's environment is freed.
 * - The simplex method can cycle for ever: always an iteration limit; then once more from a standard basis
 *   with textbook pricing and ratio test; then scaled, from an advanced basis, by the other method; then we give up.
 * - Nothing stops a presolve that runs: it is never used.
 * - GLP_IBINGO is not raised for incumbents of heuristics: every callback looks for itself. */
#include <errno.h>
#include <float.h>
#include <glpk.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/lp.h"

struct run {
	jmp_buf out;
	const struct lp *lp;
	const struct lp_options *options; /* lp_solve */
	const struct lp_faults *faults;
	int64_t deadline_us;
	glp_prob *prob;
	double bound;      /* proven so far */
	double incumbent;  /* objective of the last that was given away */
	double *x;         /* from 0 */
	bool started;      /* the start solution was handed over */
	bool stopped;
};

static int run_quiet(void *info, const char *text)
{
	return 1;
}

static void run_abort(void *info)
{
	struct run *run = info;
	longjmp(run->out, 1);
}

static int bound_type(double lower, double upper)
{
	if (lower == upper)
		return GLP_FX;
	if (lower <= -LP_INF)
		return upper >= LP_INF ? GLP_FR : GLP_UP;
	return upper >= LP_INF ? GLP_LO : GLP_DB;
}

/* GLPK counts from 1. */
static void run_load(struct run *run, int *row, int *col, double *value)
{
	const struct lp *lp = run->lp;

	run->prob = glp_create_prob();
	glp_set_obj_dir(run->prob, GLP_MIN);
	if (lp->n_rows > 0)
		glp_add_rows(run->prob, (int)lp->n_rows);
	if (lp->n_cols > 0)
		glp_add_cols(run->prob, (int)lp->n_cols);
	for (size_t i = 0; i < lp->n_rows; i++)
		glp_set_row_bnds(run->prob, (int)i + 1, bound_type(lp->rows[i].lower, lp->rows[i].upper), lp->rows[i].lower,
		                 lp->rows[i].upper);
	for (size_t j = 0; j < lp->n_cols; j++) {
		const struct lp_col *c = &lp->cols[j];
		glp_set_col_kind(run->prob, (int)j + 1, c->integer ? GLP_IV : GLP_CV);
		glp_set_col_bnds(run->prob, (int)j + 1, bound_type(c->lower, c->upper), c->lower, c->upper);
		glp_set_obj_coef(run->prob, (int)j + 1, c->cost);
	}
	for (size_t i = 0; i < lp->n_puts; i++) {
		row[i + 1] = lp->put_row[i] + 1;
		col[i + 1] = lp->put_col[i] + 1;
		value[i + 1] = lp->put_value[i];
	}
	glp_load_matrix(run->prob, (int)lp->n_puts, row, col, value);
}

static void run_begin(struct run *run, int memory_mib, int *row, int *col, double *value)
{
	glp_term_out(GLP_OFF);
	glp_term_hook(run_quiet, NULL);
	glp_error_hook(run_abort, run);
	if (memory_mib > 0)
		glp_mem_limit(memory_mib);
	run_load(run, row, col, value);
}

static int milliseconds_left(const struct run *run)
{
	if (run->deadline_us == INT64_MAX)
		return INT_MAX;
	int64_t left = (run->deadline_us - clock_us()) / 1000;
	return left < 1 ? 1 : left > INT_MAX ? INT_MAX : (int)left;
}

static int64_t iterations_left(const struct run *run)
{
	int64_t used = glp_get_it_cnt(run->prob);
	return run->options->iterations > used ? run->options->iterations - used : 1;
}

static int run_simplex(struct run *run, const glp_smcp *how, int attempt)
{
	switch (run->faults ? run->faults->next(run->faults->arg, attempt) : LP_NO_TROUBLE) {
	case LP_ABORT:
		glp_error("made by a test");
		break;
	case LP_CYCLE:
		return GLP_EITLIM;
	case LP_SINGULAR:
		return GLP_ESING;
	case LP_NO_TROUBLE:
		break;
	}
	return glp_simplex(run->prob, how);
}

/* The relaxation at the root. 0: solved, look at glp_get_status(). */
static int run_root(struct run *run)
{
	glp_smcp how;
	int64_t sane = 1000 + 20 * (int64_t)run->lp->n_rows, left = iterations_left(run);
	int ret = 0;

	glp_init_smcp(&how);
	how.msg_lev = GLP_MSG_OFF;
	how.meth = GLP_PRIMAL;
	glp_scale_prob(run->prob, GLP_SF_AUTO);
	glp_adv_basis(run->prob, 0);
	for (int attempt = 0; attempt < 2; attempt++) {
		how.tm_lim = milliseconds_left(run);
		how.it_lim = (int)(left < sane ? left : sane);
		ret = run_simplex(run, &how, attempt);
		if (ret == 0 || ret == GLP_ETMLIM || left <= sane)
			break;
		how.pricing = GLP_PT_STD;
		how.r_test = GLP_RT_STD;
		glp_std_basis(run->prob);
		left = iterations_left(run);
	}
	return ret;
}

static void give_incumbent(struct run *run)
{
	double objective = glp_mip_obj_val(run->prob);

	if (glp_mip_status(run->prob) != GLP_FEAS && glp_mip_status(run->prob) != GLP_OPT)
		return;
	if (objective >= run->incumbent)
		return;
	run->incumbent = objective;
	for (size_t j = 0; j < run->lp->n_cols; j++)
		run->x[j] = glp_mip_col_val(run->prob, (int)j + 1);
	if (run->options->step && !run->options->step(run->options->arg, run->x, run->bound, glp_get_it_cnt(run->prob)))
		run->stopped = true;
}

static void run_step(glp_tree *tree, void *info)
{
	struct run *run = info;
	int best = glp_ios_best_node(tree);

	if (best > 0) {
		double bound = glp_ios_node_bound(tree, best);
		if (bound > run->bound && bound < DBL_MAX)
			run->bound = bound;
	}
	if (glp_ios_reason(tree) == GLP_IHEUR && !run->started && run->options->start) {
		run->started = true;
		double *x = mem_array(run->lp->n_cols + 1, sizeof(*x));
		double objective = 0;
		for (size_t j = 0; j < run->lp->n_cols; j++) {
			x[j + 1] = run->options->start[j];
			objective += x[j + 1] * run->lp->cols[j].cost;
		}
		run->incumbent = objective; /* the caller knows it */
		glp_ios_heur_sol(tree, x);
		free(x);
	}
	give_incumbent(run);
	if (run->options->step && !run->options->step(run->options->arg, NULL, run->bound, glp_get_it_cnt(run->prob)))
		run->stopped = true;
	if (run->stopped || glp_get_it_cnt(run->prob) >= run->options->iterations)
		glp_ios_terminate(tree);
}

static enum lp_status run_integer(struct run *run, struct err *err)
{
	glp_iocp how;

	glp_init_iocp(&how);
	how.msg_lev = GLP_MSG_OFF;
	how.tm_lim = milliseconds_left(run);
	how.cb_func = run_step;
	how.cb_info = run;
	how.cov_cuts = how.mir_cuts = run->options->cuts ? GLP_ON : GLP_OFF;
	int ret = glp_intopt(run->prob, &how);
	give_incumbent(run);
	if (ret == 0 && glp_mip_status(run->prob) == GLP_OPT) {
		run->bound = glp_mip_obj_val(run->prob);
		return LP_OPTIMAL;
	}
	if (ret == 0 && glp_mip_status(run->prob) == GLP_NOFEAS)
		return LP_INFEASIBLE;
	if (ret == GLP_ETMLIM || ret == GLP_ESTOP || ret == GLP_EMIPGAP)
		return LP_LIMIT;
	err_set(err, -EIO, "GLPK's branch and bound gave up (code %d)", ret);
	return LP_FAILED;
}

static enum lp_status run_all(struct run *run, int *row, int *col, double *value, struct err *err)
{
	run_begin(run, run->options->memory_mib, row, col, value);
	int ret = run_root(run);
	if (ret == GLP_ETMLIM || (ret == GLP_EITLIM && iterations_left(run) <= 1))
		return LP_LIMIT;
	if (ret != 0) {
		err_set(err, -EIO, "GLPK could not solve the relaxation (code %d)", ret);
		return LP_FAILED;
	}
	if (glp_get_status(run->prob) == GLP_NOFEAS)
		return LP_INFEASIBLE;
	if (glp_get_status(run->prob) != GLP_OPT) {
		err_set(err, -EIO, "GLPK left the relaxation undecided (status %d)", glp_get_status(run->prob));
		return LP_FAILED;
	}
	run->bound = glp_get_obj_val(run->prob);
	if (run->options->step && !run->options->step(run->options->arg, NULL, run->bound, glp_get_it_cnt(run->prob)))
		return LP_LIMIT;
	return run_integer(run, err);
}

enum lp_status lp_solve(const struct lp *lp, const struct lp_options *options, double *ret_bound, struct err *err)
{
	mem_auto struct run *run = mem_alloc(sizeof(*run)); /* survives the jump */
	mem_auto int *row = mem_array(lp->n_puts + 1, sizeof(*row)), *col = mem_array(lp->n_puts + 1, sizeof(*col));
	mem_auto double *value = mem_array(lp->n_puts + 1, sizeof(*value)), *x = mem_array(lp->n_cols + 1, sizeof(*x));
	enum lp_status status;

	*run = (struct run){ .lp = lp, .options = options, .faults = options->faults, .deadline_us = INT64_MAX, .bound = -INFINITY,
	                     .incumbent = INFINITY, .x = x };
	*ret_bound = -INFINITY;
	if (lp->n_puts > INT_MAX / 2 || lp->n_cols > INT_MAX / 2 || lp->n_rows > INT_MAX / 2) {
		err_set(err, -E2BIG, "%zu coefficients are too many for GLPK", lp->n_puts);
		return LP_FAILED;
	}
	if (options->time_limit_s < 1e9)
		run->deadline_us = clock_us() + (int64_t)(options->time_limit_s * 1e6);
	if (setjmp(run->out) == 0) {
		status = run_all(run, row, col, value, err);
		glp_delete_prob(run->prob);
	} else {
		err_set(err, -EIO, "GLPK gave up: out of its %d MiB of memory, or a fault of its own", options->memory_mib);
		status = LP_FAILED;
	}
	*ret_bound = run->bound;
	glp_free_env();
	return status;
}

/* ---- a relaxation solved again and again --------------------------------------------------- */

static void point_grow(struct lp_point *at, const struct lp *lp)
{
	if (at->cap_cols < lp->n_cols + 1) {
		at->cap_cols = 2 * lp->n_cols + 64;
		at->col_place = mem_grow(at->col_place, at->cap_cols, sizeof(*at->col_place));
		at->x = mem_grow(at->x, at->cap_cols, sizeof(*at->x));
	}
	if (at->cap_rows < lp->n_rows + 1) {
		at->cap_rows = 2 * lp->n_rows + 64;
		at->row_place = mem_grow(at->row_place, at->cap_rows, sizeof(*at->row_place));
		at->price = mem_grow(at->price, at->cap_rows, sizeof(*at->price));
	}
	for (size_t j = at->n_cols; j < lp->n_cols; j++) {
		at->col_place[j] = GLP_NL;
		at->x[j] = 0;
	}
	for (size_t i = at->n_rows; i < lp->n_rows; i++) {
		at->row_place[i] = GLP_BS;
		at->price[i] = 0;
	}
	at->n_cols = lp->n_cols;
	at->n_rows = lp->n_rows;
}

void lp_point_begin(struct lp_point *at, const struct lp *lp, const int *cols, size_t n)
{
	at->n_cols = at->n_rows = 0;
	point_grow(at, lp);
	for (size_t i = 0; i < n; i++) {
		at->row_place[i] = GLP_NS;
		at->col_place[cols[i]] = GLP_BS;
	}
}

/* GLPK itself mends a place that does not go with the bounds. */
static void point_load(struct run *run, const struct lp_point *at)
{
	for (size_t i = 0; i < at->n_rows; i++)
		glp_set_row_stat(run->prob, (int)i + 1, at->row_place[i]);
	for (size_t j = 0; j < at->n_cols; j++)
		glp_set_col_stat(run->prob, (int)j + 1, at->col_place[j]);
}

static void point_store(const struct run *run, struct lp_point *at)
{
	for (size_t i = 0; i < at->n_rows; i++) {
		at->row_place[i] = (uint8_t)glp_get_row_stat(run->prob, (int)i + 1);
		at->price[i] = glp_get_row_dual(run->prob, (int)i + 1);
	}
	for (size_t j = 0; j < at->n_cols; j++) {
		at->col_place[j] = (uint8_t)glp_get_col_stat(run->prob, (int)j + 1);
		at->x[j] = glp_get_col_prim(run->prob, (int)j + 1);
	}
	at->value = glp_get_obj_val(run->prob);
}

static int relax_once(struct run *run, const struct lp_relax *how, int attempt)
{
	glp_smcp control;

	glp_init_smcp(&control);
	control.msg_lev = GLP_MSG_OFF;
	control.meth = how->dual ? GLP_DUALP : GLP_PRIMAL;
	control.it_lim = 1000 + 20 * (int)run->lp->n_rows;
	control.tm_lim = milliseconds_left(run);
	if (attempt == 1) {
		glp_std_basis(run->prob);
		control.meth = GLP_PRIMAL;
		control.pricing = GLP_PT_STD;
		control.r_test = GLP_RT_STD;
	} else if (attempt == 2) {
		glp_scale_prob(run->prob, GLP_SF_AUTO);
		glp_adv_basis(run->prob, 0);
		control.meth = GLP_DUALP;
	}
	return run_simplex(run, &control, attempt);
}

static enum lp_status relax_all(struct run *run, const struct lp_relax *how, struct lp_point *at, struct err *err)
{
	int ret = 0, status = GLP_UNDEF;

	for (int attempt = 0; attempt < 3; attempt++) {
		int before = glp_get_it_cnt(run->prob);
		ret = relax_once(run, how, attempt);
		at->iterations += glp_get_it_cnt(run->prob) - before;
		status = glp_get_status(run->prob);
		if (ret == GLP_ETMLIM)
			return LP_LIMIT;
		if (ret == 0 && status == GLP_NOFEAS)
			return LP_INFEASIBLE;
		if (ret == 0 && status == GLP_OPT) {
			point_store(run, at);
			return LP_OPTIMAL;
		}
	}
	err_set(err, -EIO, "GLPK could not solve a relaxation (code %d, status %d)", ret, status);
	return LP_FAILED;
}

enum lp_status lp_relax(const struct lp *lp, const struct lp_relax *how, struct lp_point *at, struct err *err)
{
	mem_auto struct run *run = mem_alloc(sizeof(*run)); /* survives the jump */
	mem_auto int *row = mem_array(lp->n_puts + 1, sizeof(*row)), *col = mem_array(lp->n_puts + 1, sizeof(*col));
	mem_auto double *value = mem_array(lp->n_puts + 1, sizeof(*value));
	enum lp_status status;

	*run = (struct run){ .lp = lp, .faults = how->faults, .deadline_us = INT64_MAX };
	if (lp->n_puts > INT_MAX / 64 || lp->n_cols > INT_MAX / 64 || lp->n_rows > INT_MAX / 64) {
		err_set(err, -E2BIG, "%zu coefficients are too many for GLPK", lp->n_puts);
		return LP_FAILED;
	}
	if (how->time_limit_s < 1e9)
		run->deadline_us = clock_us() + (int64_t)(how->time_limit_s * 1e6);
	point_grow(at, lp);
	if (setjmp(run->out) == 0) {
		run_begin(run, how->memory_mib, row, col, value);
		point_load(run, at);
		status = relax_all(run, how, at, err);
		glp_delete_prob(run->prob);
	} else {
		err_set(err, -EIO, "GLPK gave up: out of its %d MiB of memory, or a fault of its own", how->memory_mib);
		status = LP_FAILED;
	}
	if (status == LP_FAILED) /* the basis may be what it stumbled over: begin anew */
		at->n_cols = at->n_rows = 0;
	glp_free_env();
	return status;
}
