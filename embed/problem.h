/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request on one substrate, laid out for the solvers: the graph, what each unit of a resource
 * weighs in the objective, which nodes each virtual node may go to, and a first valid bound.
 * Built once per solve, then read only, so that searches can share it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/embed.h"
#include "embed/graph.h"
#include "embed/path.h"
#include "embed/rng.h"

/* A virtual link as seen from one of its ends. */
struct varc {
	uint32_t to, link;
};

struct node_list {
	uint32_t *v;
	size_t n;
};

struct problem {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	struct graph graph;

	/* The objective in integers: Σ milli-cores × node_weight + Σ kbit/s × link_weight, over `scale`. */
	int64_t *node_weight, *link_weight;
	double scale;
	int64_t link_unit;   /* > 0: what every link weighs; 0: they differ */
	int64_t *link_tie;   /* grows as what is left of a link shrinks */
	int64_t *link_delay;

	uint32_t *vfirst;    /* arcs of virtual node u: varcs[vfirst[u]] … */
	struct varc *varcs;
	struct node_list *cand;   /* per virtual node, ascending */
	uint8_t **is_cand;        /* per virtual node and substrate node */

	uint32_t *risk_first, *risks; /* per link: numbers of the risks it shares */
	size_t n_risks;

	double bound;        /* of the objective, in its integer units; valid for every embedding */
	bool narrowed;
};

/* Lays the problem out and finds what excludes it at a glance. 0: go on; -ENOENT: proven
 * that nothing fits, *why says what is missing; p is to be freed in either case. O(virtual nodes ×
 * nodes + links). */
int problem_init(struct problem *p, const struct substrate *s, const struct residual *left, const struct request *r,
                 enum embed_objective objective, struct err *why) VNE_MUST;
/* Looks closer: drops candidates that no path within bandwidth and delay joins to any candidate of a
 * neighbour, and raises the bound. Two searches per virtual link and direction. -ENOENT like above. */
int problem_narrow(struct problem *p, struct err *why) VNE_MUST;
void problem_done(struct problem *p);

/* The objective of an embedding, in the problem's integer units (exact below 2^53). */
double problem_objective(const struct problem *p, const struct embedding *e);
/* What every cost of one router or virtual link is a multiple of, at least 1; *ret_most: the largest of them. */
double problem_unit(const struct problem *p, double *ret_most);
bool problem_shares_risk(const struct problem *p, uint32_t link, uint32_t other);
static inline bool vlink_best_effort(const struct vlink *k)
{
	return k->bw_kbps == 0;
}

/* Lays out vfirst and varcs anew from p->r. */
void problem_virtual_arcs(struct problem *p);
/* Raises the bound to what the cheapest candidates and `least` weight per kbit/s of each virtual link cost. */
void problem_set_bound(struct problem *p, const int64_t *least);
/* candidates.c: fills cand and is_cand; -ENOENT with the reason where a virtual node has none. */
int problem_candidates(struct problem *p, struct err *why) VNE_MUST;
/* candidates.c: whether the candidates suffice for all routers together: distinct hosts (Hall's
 * theorem, by augmenting paths), or the sum of what they have left. */
int problem_suffices(const struct problem *p, struct err *why) VNE_MUST;
void problem_drop_candidate(struct problem *p, uint32_t u, uint32_t a);
