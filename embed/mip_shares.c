/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The paths of a split link with a delay bound, one by one where they are few: its flow alone bounds only their mean
 * delay (mip_model.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/mip.h"

enum { WAYS_MAX = 400, WAYS_STEPS = 50000 };

/* Every path in time over the arcs that have columns. False: too many. */
static bool find_ways(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	struct in_time in_time = mip_measure_delay(m, k);
	mem_auto uint8_t *usable = mem_array(2 * p->s->n_links + 1, 1);
	mem_auto int64_t *to_go = mem_array(p->s->n_nodes + 1, sizeof(*to_go));
	struct ways_query q = { .graph = &p->graph, .usable = usable, .target = p->is_cand[link->b], .to_go = to_go,
	                        .delay = p->link_delay, .max_delay = link->max_delay_us, .most = WAYS_MAX };
	uint64_t steps = 0;
	bool few = true;

	for (uint32_t l = 0; l < p->s->n_links; l++)
		for (int end = 0; end < 2; end++)
			usable[2 * l + (uint32_t)end] = flow_of(m, k, 0, l)[end] != NO_COL;
	for (uint32_t v = 0; v < p->s->n_nodes; v++)
		to_go[v] = in_time.b[v].dist[0];
	for (size_t i = 0; i < p->cand[link->a].n && few; i++) {
		q.steps = WAYS_STEPS - steps;
		few = ways_find(&m->shares[k].ways, &q, p->cand[link->a].v[i], &steps) && steps < WAYS_STEPS;
	}
	search_spend(m->search, steps);
	in_time_done(&in_time);
	return few;
}

/* Whether more paths than a split may have join one pair of hosts. */
static bool many_of_one_pair(const struct ways *w)
{
	for (size_t i = 0; i < w->n; i++) {
		size_t n = 0;
		for (size_t j = i; j < w->n; j++)
			n += w->v[j].from == w->v[i].from && w->v[j].to == w->v[i].to;
		if (n > PATHS_MAX)
			return true;
	}
	return false;
}

/* Flow is what the shares say, and they go from host to host. */
static void tie_shares(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	const struct shares *s = &m->shares[k];
	mem_auto int *row = mem_array(2 * p->s->n_links + 1, sizeof(*row));
	double bw = (double)link->bw_kbps;

	for (uint32_t l = 0; l < p->s->n_links; l++)
		for (int end = 0; end < 2; end++) {
			int col = flow_of(m, k, 0, l)[end];
			if (col != NO_COL)
				lp_put(&m->lp, row[2 * l + (uint32_t)end] = lp_add_row(&m->lp, 0, 0), col, 1);
		}
	for (size_t i = 0; i < s->ways.n; i++) {
		const struct way *way = &s->ways.v[i];
		uint32_t at = way->from;
		for (size_t j = 0; j < way->n; j++) {
			uint32_t l = s->ways.links[way->first + j], out = p->graph.ends[l][0] == at ? 0 : 1;
			lp_put(&m->lp, row[2 * l + out], s->share[i], -1);
			at = p->graph.ends[l][1 - out];
		}
	}
	for (int side = 0; side < 2; side++) {
		size_t u = side ? link->b : link->a;
		for (size_t c = 0; c < p->cand[u].n; c++) {
			int host = lp_add_row(&m->lp, -LP_INF, 0);
			lp_put(&m->lp, host, m->x[u][c], -1);
			for (size_t i = 0; i < s->ways.n; i++)
				if ((side ? s->ways.v[i].to : s->ways.v[i].from) == p->cand[u].v[c])
					lp_put(&m->lp, host, s->share[i], 1 / bw);
		}
	}
}

void mip_add_shares(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	struct shares *s = &m->shares[k];
	double bw = (double)link->bw_kbps;

	if (!split_flow(link) || link->max_delay_us < 0)
		return;
	s->known = find_ways(m, k);
	if (!s->known) {
		ways_done(&s->ways);
		return;
	}
	s->share = mem_array(s->ways.n + 1, sizeof(*s->share));
	s->taken = mem_array(s->ways.n + 1, sizeof(*s->taken));
	bool many = many_of_one_pair(&s->ways);
	int number = many ? lp_add_row(&m->lp, -LP_INF, PATHS_MAX) : 0;
	for (size_t i = 0; i < s->ways.n; i++) {
		s->share[i] = lp_add_col(&m->lp, 0, bw, 0, true);
		s->taken[i] = many ? lp_add_col(&m->lp, 0, 1, 0, true) : NO_COL;
		if (!many)
			continue;
		int row = lp_add_row(&m->lp, -LP_INF, 0);
		lp_put(&m->lp, row, s->share[i], 1 / bw);
		lp_put(&m->lp, row, s->taken[i], -1);
		lp_put(&m->lp, number, s->taken[i], 1);
	}
	tie_shares(m, k);
}

/* The paths that the solution gives shares of k. */
bool mip_decode_shares(struct mip *m, size_t k, const double *x)
{
	const struct shares *s = &m->shares[k];
	struct flow_path paths[PATHS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < s->ways.n; i++) {
		int64_t amount = llround(x[s->share[i]]);
		if (amount <= 0)
			continue;
		if (n == PATHS_MAX)
			return false;
		paths[n++] = (struct flow_path){ s->ways.links + s->ways.v[i].first, s->ways.v[i].n, amount };
	}
	return layout_route_paths(&m->at, (uint32_t)k, paths, n);
}

void mip_encode_share(const struct mip *m, size_t k, const struct path *path, double *x)
{
	const struct shares *s = &m->shares[k];
	uint32_t from = m->search->best.embedding.host[m->p->r->links[k].a];

	for (size_t i = 0; i < s->ways.n; i++) {
		const struct way *w = &s->ways.v[i];
		if (w->from != from || w->n != path->n || memcmp(s->ways.links + w->first, path->links, w->n * sizeof(*path->links)) != 0)
			continue;
		x[s->share[i]] += (double)path->bw_kbps;
		if (s->taken[i] != NO_COL)
			x[s->taken[i]] = 1;
	}
}

void mip_shares_done(struct mip *m)
{
	for (size_t k = 0; k < m->p->r->n_links; k++) {
		ways_done(&m->shares[k].ways);
		free(m->shares[k].share);
		free(m->shares[k].taken);
	}
	free(m->shares);
}
