/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the node-link formulation share: its columns, and how they are found again. mip_model.c builds it,
 * mip_shares.c adds the paths of split links with a delay bound, mip.c solves it. */
#pragma once

#include "embed/flow.h"
#include "embed/lp.h"
#include "embed/search.h"
#include "embed/ways.h"

#define NO_COL (-1)

/* A split link with a delay bound: its paths, where they are few. */
struct shares {
	bool known;
	struct ways ways;
	int *share, *taken; /* columns per path; taken: NO_COL where the number of paths needs no bound */
};

struct mip {
	struct search *search;
	const struct problem *p;
	struct lp lp;
	double unit;      /* of the objective: problem's units per unit of the LP's */
	bool whole;       /* every cost is a whole number of them */
	int **x;          /* per virtual node and candidate */
	int *flow;        /* per virtual link, role (0 primary, 1 backup), link, direction; NO_COL */
	struct shares *shares; /* per virtual link */
	int *allowed;     /* scratch, per candidate */
	bool *reached, *decoded;
	struct path_space space;
	struct layout at;
	int64_t iterations;
	const struct mip_fixed *fixed; /* NULL: the whole problem */
};

static inline int *flow_of(const struct mip *m, size_t k, int role, uint32_t link)
{
	return &m->flow[((k * 2 + (size_t)role) * m->p->s->n_links + link) * 2];
}

static inline bool split_flow(const struct vlink *k)
{
	return k->split && k->bw_kbps > 0;
}

/* Of every node the delay of the quickest way to a candidate of either end. */
struct in_time {
	struct path_near *a, *b; /* NULL: no bound */
	int64_t most;
};
struct in_time mip_measure_delay(struct mip *m, size_t k);
void in_time_done(struct in_time *t);

void mip_build(struct mip *m);
/* After its flow: the shares of k's paths, if it is a split with a delay bound and they are few. */
void mip_add_shares(struct mip *m, size_t k);
/* The paths that a solution gives shares of k. */
bool mip_decode_shares(struct mip *m, size_t k, const double *x);
void mip_encode_share(const struct mip *m, size_t k, const struct path *path, double *x);
void mip_shares_done(struct mip *m);
