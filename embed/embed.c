/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one entry of the library, its table of solvers, and what is the same for all of them: telling
 * "not now" from "never". */
#include "embed/embed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/explain.h"
#include "embed/program.h"
#include "embed/proof.h"
#include "embed/search.h"

static void run_heuristic(struct search *s)
{
	heuristic_run(s, s->options->effort > 0 ? UINT64_MAX : HEURISTIC_ARCS);
}

static int solve_heuristic(const struct substrate *s, const struct residual *left, const struct request *r,
                           const struct embed_options *options, struct solution *ret, struct err *err)
{
	return search_run(s, left, r, options, "heuristic", run_heuristic, ret, err);
}

/* The reference: GLPK with a heuristic's answer in hand. */
static void run_mip(struct search *s)
{
	heuristic_run(s, s->work_limit / 16 < HEURISTIC_ARCS ? s->work_limit / 16 : HEURISTIC_ARCS);
	search_undecide(s);
	if (!search_over(s))
		mip_run(s);
}

static int solve_mip(const struct substrate *s, const struct residual *left, const struct request *r,
                     const struct embed_options *options, struct solution *ret, struct err *err)
{
	return search_run(s, left, r, options, "mip", run_mip, ret, err);
}

/* What the heuristic is given first: the exact search finds placements of its own, and a first answer is all it needs. */
enum { EXACT_ARCS = 100000 };

/* Depth-first search with dual-ascent bounds, from the heuristic's answer. */
static void run_exact(struct search *s)
{
	heuristic_run(s, s->work_limit / 16 < EXACT_ARCS ? s->work_limit / 16 : EXACT_ARCS);
	search_undecide(s);
	if (!search_over(s))
		exact_run(s);
}

static int solve_exact(const struct substrate *s, const struct residual *left, const struct request *r,
                       const struct embed_options *options, struct solution *ret, struct err *err)
{
	return search_run(s, left, r, options, "exact", run_exact, ret, err);
}

/* The same, with every step of it written down. */
static void run_proof(struct search *s)
{
	struct proof proof;

	proof_init(&proof, &s->problem, s->options->proof);
	s->proof = &proof;
	s->bound = 0;
	run_exact(s);
	s->proof = NULL;
	if (s->best.status == SOLVE_INFEASIBLE || s->best.status == SOLVE_OPTIMAL)
		proof_claim(&proof, s->objective);
	proof_done(&proof);
}

static int solve_proof(const struct substrate *s, const struct residual *left, const struct request *r,
                       const struct embed_options *options, struct solution *ret, struct err *err)
{
	if (options->objective != OBJECTIVE_COST || r->placement != PLACEMENT_DISTINCT || s->n_nodes > PROOF_NODES_MAX)
		return err_set(err, -EINVAL, "a proof can be written for objective cost, distinct placement and at most %d substrate nodes",
		               PROOF_NODES_MAX);
	return search_run(s, left, r, options, "exact", run_proof, ret, err);
}

/* Beyond so many variables GLPK is not worth its time. */
enum { MIP_COLS_MAX = 15000 };

/* What the root of the exact search takes at least: its tables have a place for every pair of hosts of a link. */
static double root_seconds(const struct search *s)
{
	return 1e-8 * (double)s->problem.s->n_nodes * (double)s->problem.s->n_nodes * (double)s->problem.r->n_links;
}

/* The exact search proves by cost: where it finds nothing at all, branch and cut on arcs sometimes excludes
 * sooner. So that one has its turn, and the exact search what is left; the heuristic what is too large for it. */
static void run_auto(struct search *s)
{
	heuristic_run(s, s->work_limit / 16 < EXACT_ARCS ? s->work_limit / 16 : EXACT_ARCS);
	search_undecide(s);
	if (!s->best.has_embedding && 2 * s->problem.r->n_links * s->problem.s->n_links <= MIP_COLS_MAX) {
		search_divide(s, 10, exact_run);
		if (!s->best.has_embedding)
			search_divide(s, 2, mip_run);
	}
	if (!search_over(s) && search_seconds_left(s) > root_seconds(s))
		exact_run(s);
	if (!search_over(s)) {
		heuristic_run(s, HEURISTIC_ARCS);
		search_undecide(s);
	}
}

static int solve_auto(const struct substrate *s, const struct residual *left, const struct request *r,
                      const struct embed_options *options, struct solution *ret, struct err *err)
{
	return search_run(s, left, r, options, "auto", run_auto, ret, err);
}

static const struct embed_solver solver_auto = {
	.name = "auto", .about = "the best that the limits allow: heuristic, then exact (and mip where nothing is found)", .proves = true, .solve = solve_auto,
};
static const struct embed_solver solver_heuristic = {
	.name = "heuristic", .about = "fast joint place-and-route; makes no promise", .solve = solve_heuristic,
};
static const struct embed_solver solver_mip = {
	.name = "mip", .about = "the node-link formulation on GLPK; the reference", .proves = true, .solve = solve_mip,
};

static int solve_program(const struct substrate *s, const struct residual *left, const struct request *r,
                         const struct embed_options *options, struct solution *ret, struct err *err)
{
	return search_run(s, left, r, options, "exec", program_run, ret, err);
}

static const struct embed_solver solver_exact = {
	.name = "exact", .about = "depth-first search with dual-ascent bounds", .proves = true, .solve = solve_exact,
};

static const struct embed_solver solver_program = {
	.name = "exec:PROGRAM", .about = "your own: JSON in, JSON out, checked", .solve = solve_program,
};

const struct embed_solver *const embed_solvers[] = { &solver_auto, &solver_exact, &solver_heuristic, &solver_mip, &solver_program, NULL };

static const struct embed_solver *find_solver(const char *name)
{
	if (strncmp(name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) == 0)
		return name[strlen(PROGRAM_PREFIX)] ? &solver_program : NULL;
	for (size_t i = 0; embed_solvers[i]; i++)
		if (strcmp(embed_solvers[i]->name, name) == 0)
			return embed_solvers[i];
	return NULL;
}

static bool untouched(const struct substrate *s, const struct residual *left)
{
	for (size_t a = 0; a < s->n_nodes; a++) {
		int64_t all[RES_COUNT];

		residual_node(&s->nodes[a], all);
		if (memcmp(left->node[a], all, sizeof(all)) != 0)
			return false;
	}
	for (size_t l = 0; l < s->n_links; l++)
		if (left->link_kbps[l] != s->links[l].bw_kbps)
			return false;
	return true;
}

/* Whether the request would fit the empty substrate. What the limits leave undecided is left unsaid. */
static enum solve_scope scope_of(const struct substrate *s, const struct request *r, const struct embed_solver *solver,
                                 const struct embed_options *options)
{
	struct substrate open = *s;
	struct residual all;
	struct solution answer = { 0 };
	struct embed_options quiet = *options;
	enum solve_scope scope = SCOPE_UNSAID;
	struct err ignored = { 0 };

	quiet.progress = NULL;
	quiet.proof = NULL;
	quiet.objective = OBJECTIVE_COST;
	open.links = mem_dup(s->links, s->n_links * sizeof(*s->links));
	for (size_t l = 0; l < s->n_links; l++)
		open.links[l].closed = false;
	residual_init(&all, &open);
	int ret = solve_heuristic(&open, &all, r, &quiet, &answer, &ignored);
	if (ret == 0 && !answer.has_embedding && answer.status != SOLVE_INFEASIBLE && solver->proves) {
		solution_done(&answer);
		ret = solver->solve(&open, &all, r, &quiet, &answer, &ignored);
	}
	if (ret == 0 && answer.has_embedding)
		scope = SCOPE_NOW;
	else if (ret == 0 && answer.status == SOLVE_INFEASIBLE)
		scope = SCOPE_NEVER;
	solution_done(&answer);
	residual_done(&all);
	free(open.links);
	return scope;
}

static void set_scope(const struct substrate *s, const struct residual *left, const struct request *r,
                      const struct embed_solver *solver, const struct embed_options *options, double spent_s,
                      struct solution *answer)
{
	struct embed_options rest = *options;

	if (untouched(s, left)) {
		if (answer->status == SOLVE_INFEASIBLE)
			answer->scope = SCOPE_NEVER;
		return;
	}
	if (rest.time_limit_s > 0)
		rest.time_limit_s = rest.time_limit_s > spent_s + 0.05 ? rest.time_limit_s - spent_s : 0.05;
	answer->scope = scope_of(s, r, solver, &rest);
}

static int check_left(const struct substrate *s, const struct residual *left, struct err *err)
{
	if (left->n_nodes != s->n_nodes || left->n_links != s->n_links)
		return err_set(err, -EINVAL, "what is left is of another substrate: %zu nodes and %zu links, not %zu and %zu",
		               left->n_nodes, left->n_links, s->n_nodes, s->n_links);
	for (size_t l = 0; l < s->n_links; l++)
		if (s->links[l].closed && left->link_kbps[l])
			return err_set(err, -EINVAL, "link '%s' is closed, and has something left", s->links[l].name);
	return 0;
}

int embed_once(const struct substrate *s, const struct residual *left, const struct request *r,
               const struct embed_options *options, struct solution *ret, struct err *err)
{
	const struct embed_solver *solver = find_solver(options->solver ? options->solver : "auto");

	if (!solver)
		return err_set(err, -ENOENT, "no solver is called %s", options->solver);
	int rc = check_left(s, left, err);
	if (rc != 0)
		return rc;
	return (options->proof ? solve_proof : solver->solve)(s, left, r, options, ret, err);
}

/* What of the time limit is kept back for the explanation. */
static double explain_seconds(const struct embed_options *options)
{
	if (!options->explain || options->time_limit_s <= 0)
		return 0;
	return options->time_limit_s < 2 ? options->time_limit_s / 20 : 0.1;
}

int embed_solve(const struct substrate *s, const struct residual *left, const struct request *r,
                const struct embed_options *options, struct solution *ret, struct err *err)
{
	struct embed_options search = *options, after = *options;
	int64_t started = clock_us(), deadline = INT64_MAX;
	struct solution answer = { 0 };

	search.time_limit_s -= explain_seconds(options);
	after.proof = NULL;
	int rc = embed_once(s, left, r, &search, &answer, err);
	if (rc != 0)
		return rc;
	double spent_s = (double)(clock_us() - started) / 1e6;
	if (options->time_limit_s > 0 && options->time_limit_s < 1e9)
		deadline = clock_us() + (int64_t)(1e6 * explain_seconds(options));
	if (options->explain && !answer.has_embedding)
		explain(s, left, r, &after, deadline, &answer);
	if (answer.status == SOLVE_INFEASIBLE || (options->explain && !answer.has_embedding))
		set_scope(s, left, r, find_solver(options->solver ? options->solver : "auto"), &search, spent_s, &answer);
	answer.seconds = (double)(clock_us() - started) / 1e6;
	*ret = answer;
	return 0;
}
