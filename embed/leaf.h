/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of a branch of the exact search: all hosts stand, what do the cheapest routes cost? The path program
 * (routing.h) decides; what paths cannot say (risks, delays of backups, whole kbit/s of splits), or where GLPK fails it, the
 * node-link program is asked, with only the arcs that a better embedding could use. */
#pragma once

#include "embed/routing.h"
#include "embed/search.h"

struct leaf {
	struct search *s;
	struct problem sub;     /* hosts fixed */
	uint32_t *hosts;        /* the one candidate of each virtual node */
};

void leaf_init(struct leaf *leaf, struct search *s);
void leaf_done(struct leaf *leaf);

enum leaf_verdict {
	LEAF_DONE,   /* the best there is was offered, or nothing is within the cutoff */
	LEAF_LATER,  /* more effort may tell more */
	LEAF_OPEN    /* no effort will: the models do not decide it */
};
/* All hosts stand in `at`; `least` is what each link costs at least, cutoff what a better embedding costs at most, hosts and
 * all; INFINITY: anything. Better embeddings are offered to the search. *ret_bound: of every embedding on these hosts. */
enum leaf_verdict leaf_route(struct leaf *leaf, struct routing_pool *pool, struct layout *at, const double *least, double cutoff,
                             int64_t effort, double *ret_bound);
