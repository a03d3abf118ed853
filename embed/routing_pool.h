/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the routing program share: columns, cover cuts, prices, and the search for the cheapest
 * column under prices. Nothing here knows of a linear program. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "embed/flow.h"
#include "embed/routing.h"

#define NO_COLUMN UINT32_MAX
#define NO_COVER UINT32_MAX

/* What a column of a virtual link is, and whether choosing one of them is choosing its route. */
enum route_kind {
	ROUTE_NOTHING, /* best effort: takes nothing */
	ROUTE_PATH,    /* one path: exact */
	ROUTE_SPLIT,   /* paths, in any shares: exact but for whole kbit/s and their number */
	ROUTE_PAIR,    /* protected, no delay bound: two paths without a common link; exact where no risks are */
	ROUTE_TWICE    /* protected, in time: two units of paths, which need not be disjoint: a relaxation */
};

struct column {
	uint32_t link;        /* virtual */
	uint32_t first, n;    /* pool->links[first] …, in order from the host of its first end … */
	uint32_t primary;     /* … of which so many are the first path; == n but for pairs */
	uint32_t next;        /* of the same virtual link and hosts */
	uint32_t call;        /* the last call of routing_solve() that has it in its program */
	bool rough;           /* of the global program only, and maybe no route: one path of a pair, or one out of time */
	uint32_t serial[2];   /* [0] != 0: the cheapest of its hosts without prices; [1]: with the prices of this serial */
	int64_t least[2];     /* what it then weighs, × scale */
};

/* Σ_(k a member) whether k crosses `at` <= most. */
struct cover {
	uint32_t at;
	uint32_t most;
	uint8_t *member;      /* per virtual link */
	uint32_t next;        /* of the same substrate link */
};

struct routing_pool {
	struct search *s;
	const struct problem *p;
	uint8_t *kind;        /* enum route_kind, per virtual link */
	double unit;          /* what every routing costs is a multiple of it, >= 1 */
	double scale;         /* of weights with prices: a power of two */
	int64_t *base;        /* per link: its weight × scale */
	int64_t price_max;    /* of a link, weight and prices together, × scale */

	struct column *columns;
	uint32_t *links;      /* of all columns */
	size_t n_columns, cap_columns, n_links, cap_links;
	struct hash *heads;   /* virtual link and hosts → first column, + 1 */
	struct cover *covers;
	uint32_t *cover_head; /* per substrate link */
	size_t n_covers, cap_covers;
	uint32_t call, serial; /* the last of each */
	const struct lp_faults *faults; /* borrowed */

	/* Scratch of searches. */
	struct path_space space;
	int64_t *weight, *flow, *room;
	uint32_t *trace;      /* room for two paths */
	uint64_t space_work;  /* of space.work, spent */
	const struct pairs *near[2]; /* distances with the problem's weights, and with prices: routing_know(); NULL: none */
	const struct pairs *ahead;   /* which of them goes with `weight`; NULL: neither */
	uint32_t *changed;    /* links where `weight` is not what it was copied from, … */
	size_t n_changed;     /* … SIZE_MAX: any */
};

/* Prices on top of the weights, all >= 0. */
struct tariff {
	struct tariff_link {
		uint32_t at;
		int64_t price;     /* per kbit/s, × scale */
	} *links;
	struct tariff_cover {
		uint32_t cover;
		int64_t price;     /* per virtual link that crosses, in objective units */
	} *covers;
	size_t n_links, n_covers;
};

/* A column that was found: links lie in pool->trace until the next search. */
struct found {
	int64_t dist;         /* under the prices, × scale, per kbit/s */
	size_t n, primary;
};

uint32_t pool_column_head(const struct routing_pool *pool, uint32_t link, uint32_t from, uint32_t to); /* NO_COLUMN: none */
/* The column of pool->trace; an equal one is not doubled. rough: it may be no route of the link, and is left out of programs
 * that decide about routes. */
uint32_t pool_column_put(struct routing_pool *pool, uint32_t link, uint32_t from, uint32_t to, const struct found *found,
                         bool rough);
/* Σ weight over its links. */
int64_t pool_column_dist(const struct routing_pool *pool, uint32_t column, const int64_t *weight);
/* member is owned. NO_COVER: known already (member is freed). */
uint32_t pool_cover_put(struct routing_pool *pool, uint32_t at, uint32_t most, uint8_t *member);

/* pool->weight: what a kbit/s of virtual link k pays: `from` (NULL: nothing) and the tariff. */
void pool_weigh(struct routing_pool *pool, uint32_t k, const int64_t *from, const struct tariff *tariff);
/* The cheapest column of k under pool->weight, over arcs not in `shut` (as in a path_query; pairs: not looked at). */
bool pool_search(struct routing_pool *pool, uint32_t k, uint32_t from, uint32_t to, const uint8_t *shut, struct found *ret);
/* Always one path, also of a pair. */
bool pool_search_path(struct routing_pool *pool, uint32_t k, uint32_t from, uint32_t to, const uint8_t *shut, struct found *ret);
/* What all capacities and covers of the tariff charge, × scale: what a bound by Lagrange takes off. */
__int128 pool_charge(const struct routing_pool *pool, const struct tariff *tariff);
/* A dual value of a linear program as a price; never negative, never large enough to overflow sums. */
int64_t pool_price(const struct routing_pool *pool, double value);
/* The largest double <= value / scale; and the least multiple of the unit that is no less, up to rounding down. */
double pool_value(const struct routing_pool *pool, __int128 value);
double pool_round_up(const struct routing_pool *pool, double value);
/* Counts what was searched, and `arcs`. False: stop. */
bool pool_spend(struct routing_pool *pool, uint64_t arcs);

/* routing_cover.c: who crosses a link in a fractional solution. */
struct crossing {
	uint32_t link;        /* virtual, ROUTE_PATH or ROUTE_PAIR */
	double share;         /* in 0 … 1 */
};
/* The cover cut of link `at` that the shares violate most, extended: an exact knapsack, by dynamic programming over
 * undominated sets. False: none is violated (or, above a bound on the sets, none was found). */
bool cover_separate(const struct routing_pool *pool, uint32_t at, const struct crossing *crossings, size_t n,
                    uint32_t *ret_most, uint8_t **ret_member);
