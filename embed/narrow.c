/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A closer look at a problem before a search begins: a candidate that no path within
 * bandwidth and delay joins to any candidate at the other end of a virtual link goes, and what
 * the shortest of those paths weighs is a bound. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "embed/problem.h"

struct narrow {
	struct problem *p;
	struct path_space space;
	struct path_near *near;
	uint32_t *gone;
	size_t dropped;
};

enum {
	ROUNDS = 4,    /* a candidate that goes may take others along */
	LARGE = 100000 /* virtual × substrate links: one round takes long enough */
};

static int no_path(struct narrow *n, uint32_t k, int64_t quickest, struct err *why)
{
	const struct problem *p = n->p;
	const struct vlink *link = &p->r->links[k];
	const struct node_list *a = &p->cand[link->a], *b = &p->cand[link->b];
	char ask[UNITS_TEXT], have[UNITS_TEXT];

	if (quickest != DIST_NONE)
		return err_set(why, -ENOENT, "%s allows %s; the quickest path with %s left between candidates of its ends takes %s",
		               link->name, units_delay_text(link->max_delay_us, ask),
		               link->split ? "anything" : "enough bandwidth", units_delay_text(quickest, have));
	int64_t widest = path_widest(&n->space, p->left->link_kbps, a->v, a->n, b->v, b->n);
	if (widest < link->bw_kbps && !link->split)
		return err_set(why, -ENOENT, "%s asks for %s; the widest path between candidates of its ends has %s left",
		               link->name, units_bandwidth_text(link->bw_kbps, ask),
		               widest > 0 ? units_bandwidth_text(widest, have) : "nothing");
	return err_set(why, -ENOENT, "%s: no path joins any candidates of its ends", link->name);
}

/* Drops from the candidates of `to` those too far from every one of `from`. *ret_least: the least distance. */
static int narrow_side(struct narrow *n, uint32_t k, const struct path_query *q, int64_t limit, uint32_t from, uint32_t to,
                       int64_t *ret_least, struct err *why)
{
	struct problem *p = n->p;
	bool distinct = p->r->placement == PLACEMENT_DISTINCT;
	int64_t least = DIST_NONE;
	size_t gone = 0;

	path_nearest(&n->space, q, p->cand[from].v, p->cand[from].n, n->near);
	for (size_t i = 0; i < p->cand[to].n; i++) {
		uint32_t a = p->cand[to].v[i];
		const struct path_near *near = &n->near[a];
		int64_t dist = near->dist[distinct && near->source[0] == a ? 1 : 0];
		if (dist < least)
			least = dist;
		if (dist == DIST_NONE || dist > limit)
			n->gone[gone++] = a;
	}
	if (gone == p->cand[to].n)
		return no_path(n, k, least, why);
	for (size_t i = 0; i < gone; i++)
		problem_drop_candidate(p, to, n->gone[i]);
	n->dropped += gone;
	*ret_least = least;
	return 0;
}

static int narrow_link(struct narrow *n, uint32_t k, int64_t *ret_least, struct err *why)
{
	const struct problem *p = n->p;
	const struct vlink *link = &p->r->links[k];
	struct path_query q = { .weight = p->link_delay, .cap = p->left->link_kbps, .max_delay = -1,
	                        .need = link->split && link->bw_kbps > 0 ? 1 : link->bw_kbps };
	int64_t unused;
	int ret = 0;

	if (link->max_delay_us >= 0)
		ret = narrow_side(n, k, &q, link->max_delay_us, link->a, link->b, &unused, why);
	if (ret == 0 && link->max_delay_us >= 0)
		ret = narrow_side(n, k, &q, link->max_delay_us, link->b, link->a, &unused, why);
	q.weight = p->link_weight;
	q.unit = p->link_unit;
	if (ret == 0)
		ret = narrow_side(n, k, &q, INT64_MAX, link->a, link->b, ret_least, why);
	if (ret == 0)
		ret = narrow_side(n, k, &q, INT64_MAX, link->b, link->a, ret_least, why);
	return ret;
}

int problem_narrow(struct problem *p, struct err *why)
{
	const struct request *r = p->r;
	struct narrow n = { .p = p };
	mem_auto int64_t *least = mem_array(r->n_links + 1, sizeof(*least));
	int ret = 0;

	if (p->narrowed)
		return 0;
	path_space_init(&n.space, &p->graph);
	n.near = mem_array(p->s->n_nodes + 1, sizeof(*n.near));
	n.gone = mem_array(p->s->n_nodes + 1, sizeof(*n.gone));
	int rounds = r->n_links * p->s->n_links > LARGE ? 1 : ROUNDS;
	for (int round = 0; ret == 0 && round < rounds && (round == 0 || n.dropped > 0); round++) {
		n.dropped = 0;
		for (uint32_t k = 0; ret == 0 && k < r->n_links; k++)
			ret = narrow_link(&n, k, &least[k], why);
	}
	if (ret == 0)
		ret = problem_suffices(p, why);
	if (ret == 0) {
		problem_set_bound(p, least);
		p->narrowed = true;
	}
	path_space_done(&n.space);
	free(n.near);
	free(n.gone);
	return ret;
}
