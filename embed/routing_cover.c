/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cover cuts: of virtual links that together need more than a link has, not all cross it. The one that a
 * fractional solution violates most is a knapsack: the least Σ (1 − share) whose bandwidths exceed the
 * link. Few cross one link, so sets are kept one by one, but only those that no other beats in both. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/routing_pool.h"

enum { SETS_MAX = 4096, ITEMS_MAX = 64 };
#define VIOLATED 1e-4

struct set {
	int64_t need;
	double miss;      /* Σ (1 − share) */
	uint64_t members; /* by position in the list of items */
};

struct item {
	uint32_t link;
	int64_t need;
	double miss;
};

static int item_order(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->miss != y->miss)
		return x->miss < y->miss ? -1 : 1;
	if (x->need != y->need)
		return x->need > y->need ? -1 : 1;
	return x->link < y->link ? -1 : 1;
}

/* Sets by rising need and rising miss, with and without the item, in one merge. */
static size_t sets_extend(const struct set *old, size_t n, struct item item, uint32_t position, struct set *ret)
{
	size_t i = 0, j = 0, kept = 0;

	/* From the largest need down: a set stays only if it misses less than all that need more. */
	while (i < n || j < n) {
		struct set with = { 0 }, next;
		if (j < n)
			with = (struct set){ old[n - 1 - j].need + item.need, old[n - 1 - j].miss + item.miss,
			                     old[n - 1 - j].members | UINT64_C(1) << position };
		if (j < n && (i == n || with.need > old[n - 1 - i].need ||
		              (with.need == old[n - 1 - i].need && with.miss <= old[n - 1 - i].miss))) {
			next = with;
			j++;
		} else {
			next = old[n - 1 - i++];
		}
		if (kept > 0 && ret[kept - 1].miss <= next.miss)
			continue;
		if (next.miss < 1 - VIOLATED && kept < SETS_MAX)
			ret[kept++] = next;
	}
	for (size_t a = 0; a < kept / 2; a++) {
		struct set swap = ret[a];
		ret[a] = ret[kept - 1 - a];
		ret[kept - 1 - a] = swap;
	}
	return kept;
}

/* Of all sets above cap the one that misses least: the first such, as they are sorted. */
static bool best_cover(const struct item *items, size_t n, int64_t cap, uint64_t *ret)
{
	mem_auto struct set *sets = mem_array(SETS_MAX + 1, sizeof(*sets)), *next = mem_array(SETS_MAX + 1, sizeof(*next));
	size_t n_sets = 1;

	sets[0] = (struct set){ 0 };
	for (uint32_t i = 0; i < n; i++) {
		size_t more = sets_extend(sets, n_sets, items[i], i, next);
		/* Of those above the cap only the best is of use. */
		size_t above = 0;
		while (above < more && next[above].need <= cap)
			above++;
		n_sets = above < more ? above + 1 : more;
		memcpy(sets, next, n_sets * sizeof(*sets));
	}
	*ret = n_sets > 0 ? sets[n_sets - 1].members : 0;
	return n_sets > 0 && sets[n_sets - 1].need > cap;
}

bool cover_separate(const struct routing_pool *pool, uint32_t at, const struct crossing *crossings, size_t n,
                    uint32_t *ret_most, uint8_t **ret_member)
{
	const struct request *r = pool->p->r;
	int64_t cap = pool->p->left->link_kbps[at], sum = 0, largest = 0;
	struct item items[ITEMS_MAX];
	size_t n_items = 0;
	uint64_t members;

	for (size_t i = 0; i < n && n_items < ITEMS_MAX; i++) {
		double miss = crossings[i].share < 1 ? 1 - crossings[i].share : 0;
		if (miss < 1 - VIOLATED)
			items[n_items++] = (struct item){ crossings[i].link, r->links[crossings[i].link].bw_kbps, miss };
		sum += r->links[crossings[i].link].bw_kbps;
	}
	if (sum <= cap)
		return false;
	qsort(items, n_items, sizeof(*items), item_order);
	if (!best_cover(items, n_items, cap, &members))
		return false;
	/* Minimal: without those it does not need, what misses most first. */
	sum = 0;
	for (uint32_t i = 0; i < n_items; i++)
		sum += members >> i & 1 ? items[i].need : 0;
	uint32_t size = 0;
	for (size_t i = n_items; i-- > 0;) {
		if (!(members >> i & 1))
			continue;
		if (sum - items[i].need > cap) {
			sum -= items[i].need;
			members &= ~(UINT64_C(1) << i);
			continue;
		}
		size++;
		largest = items[i].need > largest ? items[i].need : largest;
	}
	/* Extended: whoever needs no less than the largest of it can stand for any of them. */
	uint8_t *member = mem_array(r->n_links + 1, 1);
	for (size_t k = 0; k < r->n_links; k++)
		member[k] = (pool->kind[k] == ROUTE_PATH || pool->kind[k] == ROUTE_PAIR) && r->links[k].bw_kbps >= largest;
	for (uint32_t i = 0; i < n_items; i++)
		if (members >> i & 1)
			member[items[i].link] = 1;
	*ret_most = size - 1;
	*ret_member = member;
	return true;
}
