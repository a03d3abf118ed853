/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The restricted master program of routing: which columns of each virtual link are in it, the rows of links and
 * covers that were violated, and its bound. Solved again and again as columns, rows and branching come. */
#pragma once

#include "embed/lp.h"
#include "embed/routing_pool.h"

/* Of a substrate link (cover == NO_COVER): what crosses it, over what it has, <= 1; or of a cover. */
struct master_row {
	uint32_t at, cover;
	uint32_t next;        /* row of the same substrate link; NO_ROW */
};
#define NO_ROW UINT32_MAX

struct master_link {
	uint32_t link, from, to;
	const int64_t *base;  /* its weights × scale, without what this program charges */
	uint32_t first;       /* its cheapest column at base */
	int64_t least;        /* what that costs per kbit/s, × scale */
	uint8_t *shut;        /* arcs that branching forbids, as in a path_query; NULL: none */
};

struct master {
	struct routing_pool *pool;
	struct master_link *links;
	size_t n;
	struct lp lp;
	struct lp_point at;
	uint32_t *column;     /* per column of lp from n on: the pool's; before, there is one artificial per link */
	size_t cap_column;
	struct master_row *rows; /* per row of lp from n on; before, each link's columns sum to 1 (or 2) */
	size_t cap_rows;
	uint32_t *row_head;   /* per substrate link */
	struct tariff tariff; /* the last duals, as prices */
	struct tariff best;   /* those of the bound, while a proof is written … */
	bool ray;             /* … which is that nothing fits, by prices alone */
	uint8_t *charged;     /* per substrate link: the tariff says something of it */
	double unit;          /* objective units per unit of lp's */
	double big;           /* what an artificial costs, in lp's units */
	uint64_t work, work_limit; /* arcs */
	bool dual;            /* what has changed since lp was solved asks for the dual simplex method */
	struct err fault;     /* of GLPK */

	/* Who crosses what, of the last solution: chains per substrate link. */
	struct use {
		uint32_t i, next;  /* i: of links */
		double share;      /* × 1 (paths), of the bandwidth */
	} *uses;
	size_t n_uses, cap_uses;
	uint32_t *use_head;    /* per substrate link */
	uint32_t *used;        /* substrate links that are crossed */
	size_t n_used;
};

/* Lays out the program for the links that need one. False: some link has no path at all, or (*ret_lost) effort
 * ran out; m is to be freed in either case. */
bool master_init(struct master *m, struct routing_pool *pool, const struct routing_ask *ask, bool *ret_lost);
void master_done(struct master *m);

enum master_verdict {
	MASTER_SOLVED, /* *ret_bound is the value of the relaxation, to within rounding */
	MASTER_CUT,    /* *ret_bound > cutoff */
	MASTER_LOST    /* effort, time or GLPK; *ret_bound is valid */
};
/* Columns, capacities and covers until nothing is left to add. *ret_bound: whole units of the pool, where whole. */
enum master_verdict master_solve(struct master *m, double cutoff, bool whole, double *ret_bound);

/* Shuts (add) or opens the arcs of `arcs` that lead away from node v, for links[i]; columns over them leave or come back. */
void master_shut(struct master *m, size_t i, uint32_t v, const uint32_t *arcs, size_t n, bool add);
size_t master_column(const struct master *m, uint32_t lp_col); /* its place among links */
double master_least(const struct master *m); /* Σ of the cheapest columns, in objective units; a bound */
