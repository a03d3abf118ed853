/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every solver works with: the problem, the budget, the best answer and bound so far. A
 * solver offers embeddings and bounds; only what embedding_check() accepts becomes the answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "embed/layout.h"
#include "embed/problem.h"

/* One unit of effort, in arcs looked at: some microseconds. */
enum { EFFORT_ARCS = 1000 };
/* What the heuristic does at most where effort is not bounded: some 100 ms; mostly it ends before. */
enum { HEURISTIC_ARCS = 20000000 };

struct proof;

struct search {
	struct problem problem;
	const struct embed_options *options;
	struct rng rng;
	int64_t started_us, deadline_us; /* INT64_MAX: none */
	uint64_t work, work_limit;       /* in arcs; UINT64_MAX: none */
	uint64_t work_checked;           /* when the clock was read last */
	bool halted;                     /* out of time, or the caller said stop */
	bool quit;                       /* the caller said stop */
	bool stopped;                    /* halted, or out of work */
	double objective;                /* of best, in the problem's units; INFINITY: none yet */
	double bound;
	bool relaxed;                    /* a solver came to its end and left open what its model cannot say */
	struct proof *proof;             /* being written: no bound is believed but the one it ends with; NULL: none */
	struct solution best;
	struct err fault;                /* an answer that the checker refused */
};

/* Counts work; false once a limit is reached, and from then on. Reads the clock now and then, never
 * where only effort is bounded. */
bool search_spend(struct search *s, uint64_t arcs);
/* Seconds until the deadline; INFINITY without one. */
double search_seconds_left(const struct search *s);
/* An embedding of the solver `name`; copied if it is the best so far and passes the checker. *e is not kept. */
void search_offer(struct search *s, const struct embedding *e, const char *name);
/* A bound that the solver `name` has proven. */
void search_raise_bound(struct search *s, double bound, const char *name);
/* Proven: nothing fits. The reason is for people. */
void search_exclude(struct search *s, const char *name, const struct err *why);
/* The same where the search as a whole has proven it, and no single part is to blame. */
void search_exclude_whole(struct search *s, const char *name);
/* What a heuristic refused is open again. */
void search_undecide(struct search *s);
/* Runs a part within 1/n of what is left of time and work, unless all is over. */
void search_divide(struct search *s, int n, void (*run)(struct search *s));
/* Whether there is nothing more to find: best equals bound, excluded, or stopped. */
bool search_over(const struct search *s);

/* Sets a problem up, runs the solver unless nothing fits at a glance, and writes the answer. */
int search_run(const struct substrate *s, const struct residual *left, const struct request *r,
               const struct embed_options *options, const char *name, void (*run)(struct search *),
               struct solution *ret, struct err *err) VNE_MUST;

/* The parts that solvers are made of. */
/* max_arcs: of its own, beside the search's limit. The first start is finished whatever the effort. */
void heuristic_run(struct search *s, uint64_t max_arcs);
void mip_run(struct search *s);
void exact_run(struct search *s);

/* Routing with every host fixed (one candidate each), in the node-link formulation. */
struct mip_fixed {
	double slack;        /* paths that cost more than this above `least` do not matter; INFINITY: all do */
	int64_t effort;      /* bound of iterations × (rows + columns) */
	const double *least; /* per virtual link: what it costs at least, in the problem's units */
};
enum mip_verdict { MIP_OPTIMAL, MIP_EXCLUDED, MIP_UNDECIDED };
/* *ret_bound: a lower bound of hosts and routes together. p has all of the search's virtual nodes
 * and links; better embeddings are offered. MIP_EXCLUDED: nothing within the slack. */
enum mip_verdict mip_route(struct search *s, const struct problem *p, const struct mip_fixed *fixed, double *ret_bound);
