/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the exact search has shown, written down so that somebody else can check it: its tree, one JSON object a
 * line, each node with the dual solution that bounds it. tests/system/certificate.py is such a checker, in integers of
 * unbounded size; it says what the lines mean and why they suffice.
 *
 * While a proof is kept the search is slower: nothing is dropped but between sweeps, where the reason can be written. */
#pragma once

#include <stdio.h>

#include "base/buf.h"
#include "embed/dual.h"
#include "embed/routing_pool.h"
#include "embed/search.h"

enum { PROOF_NODES_MAX = 500 }; /* of the substrate: a ledger has room for pairs of them */

struct proof {
	FILE *out;
	const struct problem *p;
	uint32_t next;        /* number of the next node of the tree; 0 is the root */
	struct buf route;     /* the last routing program's … */
	size_t route_begun;   /* … which has no tree yet */
	bool begun;
	int64_t limit;        /* what the search drops hosts for, in parts */
	const char *failed;   /* why no proof can be written; NULL */
};

void proof_init(struct proof *proof, const struct problem *p, FILE *out);
void proof_done(struct proof *proof);
/* The search has come to its end: nothing costs less than `claim`; INFINITY: there is nothing. */
void proof_claim(struct proof *proof, double claim);
/* The tree begins, or begins again with what is left of the root. parts: of the dual, per unit of cost, as a quotient; prices: NULL: none. */
void proof_begin(struct proof *proof, double parts, double unit, const struct routing_prices *prices);
/* A child of d's node, with u on `host`: its number, that the child's ledger is to have. */
uint32_t proof_child(const struct dual *d, uint32_t u, uint32_t host);
/* That child has nowhere to go. */
void proof_barren(const struct dual *d, uint32_t child);
/* d's bound, with `more` from the routing program whose proof lies in `route` (NULL: none). Drops hosts that cost more than the limit; false:
 * the bound itself does, or nobody is left for somebody. */
bool proof_bound(struct dual *d, int64_t more, bool routed);
/* d's node ends because somebody has nowhere to go, whatever it costs. Without a ledger nothing; always false. */
bool proof_empty(const struct dual *d);

/* The parts of a routing program's proof: links first, then a tree. whole: of all links, and without the prices of the moment. */
void proof_route_begin(struct proof *proof, const uint32_t *links, size_t n, bool whole);
void proof_route_tariff(struct proof *proof, const struct routing_pool *pool, const struct tariff *tariff, bool ray);
void proof_route_branch(struct proof *proof, uint32_t link, uint32_t node, const uint32_t *arcs, size_t n);
void proof_route_next(struct proof *proof); /* between two branches */
void proof_route_end(struct proof *proof);  /* after the second */

/* Where the costs of a dual state have moved since its root: what a proof says of its bound. Indexed by nodes of the
 * substrate, as numbers within domains change. */
struct ledger {
	struct proof *proof;
	uint32_t node;        /* of the tree */
	size_t n_hosts;
	int64_t *message;     /* (edge × 2 + end) × hosts */
	int64_t *column;      /* (virtual node × hosts + its host) × hosts: duals of distinct neighbours, <= 0 */
	int64_t *host;        /* duals of distinct hosts, <= 0 */
};
struct ledger *ledger_new(struct proof *proof, const struct dual_shape *shape);
void ledger_copy(const struct ledger *from, struct ledger **to, const struct dual_shape *shape); /* *to: NULL, or one to reuse */
void ledger_free(struct ledger *ledger);
static inline void ledger_message(struct ledger *ledger, uint32_t e, uint32_t end, uint32_t host, int64_t amount)
{
	if (ledger)
		ledger->message[((size_t)e * 2 + end) * ledger->n_hosts + host] += amount;
}
static inline void ledger_column(struct ledger *ledger, uint32_t u, uint32_t host, uint32_t neighbour, int64_t amount)
{
	if (ledger)
		ledger->column[((size_t)u * ledger->n_hosts + host) * ledger->n_hosts + neighbour] += amount;
}
static inline void ledger_host(struct ledger *ledger, uint32_t host, int64_t amount)
{
	if (ledger)
		ledger->host[host] += amount;
}
