/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routing virtual links between hosts that stand, all together and exactly: a linear program over paths, not
 * arcs, whose columns are found as they are needed (Gilmore and Gomory 1961; for unsplittable flow Barnhart, Hane
 * and Vance 2000), with extended cover cuts for every substrate link (Balas 1975; Crowder, Johnson and Padberg 1983)
 * and branching on the node where fractional paths part.
 *
 * No bound rests on GLPK's arithmetic. Its duals, rounded to integers, become prices of links, and any prices
 * >= 0 give a bound (Lagrange): what the cheapest paths cost under them, less what they charge for all there is. That is
 * worked out in integers. A wrong dual makes a bound weak, never false.
 *
 * Units: objectives, cutoffs and bounds are in the problem's integer units, sums over the links asked about, without
 * hosts; exact below 2^53. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/lp.h"
#include "embed/search.h"

/* Paths and cuts found so far, kept between the calls of one search: whatever the hosts, a cut stays
 * valid, and a pair of hosts that comes again finds its paths. One per search and thread. */
struct routing_pool;
struct tariff;

/* s outlives the pool; s->problem must not change but for candidates. */
struct routing_pool *routing_new(struct search *s);
void routing_free(struct routing_pool *pool); /* NULL: nothing */
struct pairs;
/* Distances that are known, with the problem's own weights and with prices, show searches the way; either NULL: none. Borrowed until
 * the next call. */
void routing_know(struct routing_pool *pool, const struct pairs *plain, const struct pairs *priced);
/* Tests only: troubles of GLPK from here on; NULL: none. Not copied. */
void routing_inject(struct routing_pool *pool, const struct lp_faults *faults);

/* Prices of links: whoever plans with `weight` in place of the problem's link_weight and takes `constant` off the sum never
 * gets more than the truth. For every embedding (on hosts of any kind)
 *
 *   objective >= hosts + Σ_k Σ_(paths of k) bandwidth × weight[k](path) / scale − constant. */
struct routing_prices {
	double scale;          /* routing_scale() of the pool */
	int64_t **weight;      /* per virtual link, per substrate link: >= scale × link_weight. NULL for best effort; virtual links may share one */
	double constant;       /* in objective units, >= 0 */
	double expected;       /* the value of the linear program they come from, hosts included: unproven, about what bound to hope for */
	uint32_t serial;       /* of the pool that they come from, so that it knows them again; 0: none */
	const struct routing_pool *pool; /* whose covers the tariff speaks of */
	struct tariff *tariff; /* what they are made of; owned */
	int64_t **owned;       /* the arrays behind weight */
	size_t n_owned;
};
void routing_prices_done(struct routing_prices *prices); /* zeroed: nothing */
double routing_scale(const struct routing_pool *pool); /* a power of two, the same for one problem */

struct routing_ask {
	const uint32_t *links; /* virtual links with both ends placed, each once; best effort and those with both ends on one node cost
	                        * nothing and may be among them */
	size_t n;
	const uint32_t *host;  /* per virtual node; only the ends of `links` are looked at */
	double cutoff;         /* routings that cost more do not matter; INFINITY: all do */
	bool whole;            /* decide, and hand back routes; needs all links of the request, and no prices. Else: only a bound */
	int64_t effort;        /* arcs of work at most, as counted by search_spend(); <= 0: the search's own limit */
	const struct routing_prices *prices; /* sums are with their weights, nothing is taken off; NULL: the problem's own */
};

enum routing_verdict {
	ROUTING_OPTIMAL,   /* whole: *at is routed as cheaply as can be, *ret_bound is what it costs. Else: the bound is the value of the relaxation */
	ROUTING_EXCLUDED,  /* proven: no routing within the cutoff. *ret_bound > cutoff, INFINITY: none at all */
	ROUTING_UNDECIDED  /* effort, time, GLPK, or what paths cannot say (risks, delays of backups, odd kbit/s of splits). The bound is valid.
	                    * whole: where some routing within the cutoff was found, *at has the best and layout_complete(at). Without
	                    * one, whatever the verdict, *at is left without routes. */
};

/* at: NULL unless `whole`; then every virtual node stands in it, where ask->host says, and routes of any kind it has are
 * lost. Work is spent on the search as it is done (search_spend). Time: one path search per link and round; rounds and
 * nodes as many as it takes, within effort. */
enum routing_verdict routing_solve(struct routing_pool *pool, const struct routing_ask *ask, struct layout *at, double *ret_bound);

/* Which hosts each virtual node may still have: what a struct dual has at hand. */
struct routing_domains {
	uint32_t *const *host;      /* per virtual node: its hosts … */
	const uint32_t *n;          /* … how many, dead ones included */
	uint8_t *const *dead;       /* nonzero: not any more; NULL: all live */
};
/* Prices for the search as a whole, from the linear program of placement and routing together over these domains
 * (assignment variables, each virtual link's paths tied to the hosts at both of its ends, distinct hosts, capacities and
 * cover cuts as they are violated). False: there are none worth having (no link is contended for, the program is too
 * large, or effort ran out before the first good ones); *ret is zeroed. effort as above. */
bool routing_global_prices(struct routing_pool *pool, const struct routing_domains *domains, double cutoff, int64_t effort,
                           struct routing_prices *ret);
