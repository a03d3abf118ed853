/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The node-link formulation: columns and rows.
 *
 *   x(u, a)   virtual node u stands on a                        binary
 *   f(k, i→j) virtual link k crosses a link in that direction   binary; split: kbit/s
 *   g(k, i→j) its backup does
 *
 *   Σ_a x(u, a) = 1;  Σ_u x(u, a) <= 1 (distinct) or Σ_u demand(u) x(u, a) <= left(a) (pack)
 *   Σ_j f(k, a→j) − Σ_j f(k, j→a) = x(u, a) − x(v, a), the same for g
 *   Σ_k bandwidth(k) (f + g, both directions) <= left(link)
 *   Σ delay f <= max_delay(k), the same for g
 *   f + g <= 1 on a link (both directions); with one z(k, risk): f <= z, g <= 1 − z
 *
 * A best-effort link takes nothing: it only forbids pairs of hosts that no path of fewest hops joins in
 * time. For a split link with a delay bound the row bounds the mean delay of its paths only. Where those in time are
 * few, each has a share y(k, path) in kbit/s, and all is exact:
 *
 *   f(k, i→j) = Σ_(paths over i→j) y;  Σ_(paths from a) y <= bandwidth(k) x(u, a), the same at the other end
 *   y <= bandwidth(k) t(k, path), Σ t <= 8 where more than eight join one pair of hosts
 *
 * Where they are many, and for the number of paths of a split link without a bound, it is a relaxation: what it
 * excludes is excluded and what it bounds is bounded, and an optimum counts as one only when its paths pass. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "embed/mip.h"

enum { INTEGER_KBPS = 1000000 };

/* ---- columns ------------------------------------------------------------------------------- */

/* Divided by their greatest common divisor costs are small integers, which GLPK rounds bounds
 * up for; where that leaves large numbers, plain scaling. */
static double objective_unit(const struct problem *p, bool *ret_whole)
{
	double most, gcd = problem_unit(p, &most);

	*ret_whole = most / gcd < 1e6;
	return *ret_whole ? gcd : most / 1000;
}

static double column_cost(const struct mip *m, double cost)
{
	return cost / m->unit;
}

static void add_places(struct mip *m)
{
	const struct problem *p = m->p;

	m->x = mem_array(p->r->n_nodes + 1, sizeof(*m->x));
	for (size_t u = 0; u < p->r->n_nodes; u++) {
		m->x[u] = mem_array(p->cand[u].n + 1, sizeof(**m->x));
		int one = lp_add_row(&m->lp, 1, 1);
		for (size_t i = 0; i < p->cand[u].n; i++) {
			double cost = (double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[p->cand[u].v[i]];
			m->x[u][i] = lp_add_col(&m->lp, 0, 1, column_cost(m, cost), true);
			lp_put(&m->lp, one, m->x[u][i], 1);
		}
	}
}

/* With both hosts fixed: distances from one and to the other, and how much longer than the shortest a
 * path may be that still leaves the whole below the limit. */
struct detour {
	int64_t *from, *to;
	int64_t shortest;
	double most; /* longer than the shortest, per kbit/s; INFINITY: anything goes */
};

static void measure(struct mip *m, uint32_t source, const struct path_query *q, int64_t *dist)
{
	path_search(&m->space, q, source, NO_NODE);
	for (uint32_t v = 0; v < m->p->s->n_nodes; v++)
		dist[v] = path_dist(&m->space, v);
}

static struct detour allow_detour(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	struct detour d = { .most = INFINITY };
	struct path_query q = { .weight = p->link_weight, .cap = p->left->link_kbps, .max_delay = -1,
	                        .need = split_flow(link) ? 1 : link->bw_kbps };

	if (!m->fixed || !isfinite(m->fixed->slack))
		return d;
	d.from = mem_array(p->s->n_nodes + 1, sizeof(*d.from));
	d.to = mem_array(p->s->n_nodes + 1, sizeof(*d.to));
	measure(m, p->cand[link->a].v[0], &q, d.from);
	measure(m, p->cand[link->b].v[0], &q, d.to);
	d.shortest = d.from[p->cand[link->b].v[0]];
	double all = (double)d.shortest * (double)link->bw_kbps * (link->protect ? 2 : 1);
	d.most = (m->fixed->least[k] + m->fixed->slack - all) / (split_flow(link) ? 1 : (double)link->bw_kbps);
	return d;
}

static bool within_detour(const struct detour *d, uint32_t i, uint32_t j, int64_t weight)
{
	if (!isfinite(d->most))
		return true;
	if (d->from[i] == DIST_NONE || d->to[j] == DIST_NONE)
		return false;
	return (double)(d->from[i] + weight + d->to[j] - d->shortest) <= d->most * (1 + 1e-12);
}

struct in_time mip_measure_delay(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	const struct node_list *a = &p->cand[link->a], *b = &p->cand[link->b];
	struct in_time t = { .most = link->max_delay_us };
	struct path_query q = { .weight = p->link_delay, .cap = p->left->link_kbps, .max_delay = -1,
	                        .need = split_flow(link) ? 1 : link->bw_kbps };

	if (link->max_delay_us < 0)
		return t;
	t.a = mem_array(p->s->n_nodes + 1, sizeof(*t.a));
	t.b = mem_array(p->s->n_nodes + 1, sizeof(*t.b));
	path_nearest(&m->space, &q, a->v, a->n, t.a);
	path_nearest(&m->space, &q, b->v, b->n, t.b);
	return t;
}

void in_time_done(struct in_time *t)
{
	free(t->a);
	free(t->b);
}

/* Whether any path over this arc, from a candidate to a candidate, is in time. */
static bool within_time(const struct in_time *t, uint32_t i, uint32_t j, int64_t delay)
{
	if (!t->a)
		return true;
	return t->a[i].dist[0] <= t->most && t->b[j].dist[0] <= t->most && t->a[i].dist[0] + delay + t->b[j].dist[0] <= t->most;
}

static void add_flow(struct mip *m, size_t k, int role)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	bool split = split_flow(link);
	struct detour detour = allow_detour(m, k);
	struct in_time in_time = mip_measure_delay(m, k);

	for (uint32_t l = 0; l < p->s->n_links; l++) {
		int *col = flow_of(m, k, role, l);
		int64_t left = p->left->link_kbps[l];
		col[0] = col[1] = NO_COL;
		if (left < (split ? 1 : link->bw_kbps))
			continue;
		for (int end = 0; end < 2; end++) {
			double weight = (double)p->link_weight[l];
			if (!within_detour(&detour, p->graph.ends[l][end], p->graph.ends[l][1 - end], p->link_weight[l]) ||
			    !within_time(&in_time, p->graph.ends[l][end], p->graph.ends[l][1 - end], p->link_delay[l]))
				continue;
			if (split)
				col[end] = lp_add_col(&m->lp, 0, (double)(left < link->bw_kbps ? left : link->bw_kbps),
				                      column_cost(m, weight), link->bw_kbps <= INTEGER_KBPS);
			else
				col[end] = lp_add_col(&m->lp, 0, 1, column_cost(m, weight * (double)link->bw_kbps), true);
		}
	}
	free(detour.from);
	free(detour.to);
	in_time_done(&in_time);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void put_flow(struct mip *m, int row, int col, double value)
{
	if (col != NO_COL)
		lp_put(&m->lp, row, col, value);
}

static void put_place(struct mip *m, int row, size_t u, uint32_t a, double value)
{
	const struct node_list *list = &m->p->cand[u];

	if (!m->p->is_cand[u][a])
		return;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i] == a)
			lp_put(&m->lp, row, m->x[u][i], value);
}

/* Whether k may cross or end at a: other rows would be empty. */
static bool touched(const struct mip *m, size_t k, int role, uint32_t a)
{
	const struct problem *p = m->p;

	if (p->is_cand[p->r->links[k].a][a] || p->is_cand[p->r->links[k].b][a])
		return true;
	for (uint32_t i = p->graph.first[a]; i < p->graph.first[a + 1]; i++) {
		const int *col = flow_of(m, k, role, p->graph.arcs[i].link);
		if (col[0] != NO_COL || col[1] != NO_COL)
			return true;
	}
	return false;
}

static void add_conservation(struct mip *m, size_t k, int role)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	double amount = split_flow(link) ? (double)link->bw_kbps : 1;

	for (uint32_t a = 0; a < p->s->n_nodes; a++) {
		if (m->fixed && !touched(m, k, role, a))
			continue;
		int row = lp_add_row(&m->lp, 0, 0);
		for (uint32_t i = p->graph.first[a]; i < p->graph.first[a + 1]; i++) {
			uint32_t l = p->graph.arcs[i].link;
			const int *col = flow_of(m, k, role, l);
			int out = p->graph.ends[l][0] == a ? 0 : 1; /* direction 0: from ends[0] to ends[1] */
			put_flow(m, row, col[out], 1);
			put_flow(m, row, col[1 - out], -1);
		}
		put_place(m, row, link->a, a, -amount);
		put_place(m, row, link->b, a, amount);
	}
}

static void add_delay(struct mip *m, size_t k, int role)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	double amount = split_flow(link) ? (double)link->bw_kbps : 1;
	double scale = amount * (link->max_delay_us > 0 ? (double)link->max_delay_us : 1);

	if (link->max_delay_us < 0)
		return;
	int row = lp_add_row(&m->lp, -LP_INF, amount * (double)link->max_delay_us / scale);
	for (uint32_t l = 0; l < p->s->n_links; l++) {
		const int *col = flow_of(m, k, role, l);
		for (int end = 0; end < 2; end++)
			put_flow(m, row, col[end], (double)p->link_delay[l] / scale);
	}
}

static void add_disjoint(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	mem_auto int *z = mem_array(p->n_risks + 1, sizeof(*z));

	for (size_t i = 0; i < p->n_risks; i++)
		z[i] = lp_add_col(&m->lp, 0, 1, 0, true);
	for (uint32_t l = 0; l < p->s->n_links; l++) {
		const int *f = flow_of(m, k, 0, l), *g = flow_of(m, k, 1, l);
		if (f[0] == NO_COL && f[1] == NO_COL && g[0] == NO_COL && g[1] == NO_COL)
			continue;
		int row = lp_add_row(&m->lp, -LP_INF, 1);
		for (int end = 0; end < 2; end++) {
			put_flow(m, row, f[end], 1);
			put_flow(m, row, g[end], 1);
		}
		for (uint32_t i = p->risk_first[l]; i < p->risk_first[l + 1]; i++) {
			int with = lp_add_row(&m->lp, -LP_INF, 0), without = lp_add_row(&m->lp, -LP_INF, 1);
			for (int end = 0; end < 2; end++) {
				put_flow(m, with, f[end], 1);
				put_flow(m, without, g[end], 1);
			}
			lp_put(&m->lp, with, z[p->risks[i]], -1);
			lp_put(&m->lp, without, z[p->risks[i]], 1);
		}
	}
}

/* Where a best-effort link k lets its first end stand on a, given where its second may. */
static void add_pairs(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	const struct node_list *from = &p->cand[link->a], *to = &p->cand[link->b];

	struct path_query q = layout_query(&m->at, (uint32_t)k, 0);

	for (size_t i = 0; i < from->n; i++) {
		size_t n = 0;
		path_search(&m->space, &q, from->v[i], NO_NODE);
		for (size_t j = 0; j < to->n; j++)
			m->reached[j] = path_dist(&m->space, to->v[j]) != DIST_NONE &&
			                (link->max_delay_us < 0 || path_tie(&m->space, to->v[j]) <= link->max_delay_us);
		for (size_t j = 0; j < to->n; j++)
			if (m->reached[j] && (!link->protect || layout_best_effort_pair(&m->at, (uint32_t)k, from->v[i], to->v[j])))
				m->allowed[n++] = m->x[link->b][j];
		if (n == to->n)
			continue;
		int row = lp_add_row(&m->lp, -LP_INF, 0);
		lp_put(&m->lp, row, m->x[link->a][i], 1);
		for (size_t j = 0; j < n; j++)
			lp_put(&m->lp, row, m->allowed[j], -1);
	}
}

/* One router of each group on node a. */
static void add_groups(struct mip *m, uint32_t a)
{
	const struct request *r = m->p->r;

	for (size_t u = 0; r->placement == PLACEMENT_GROUPS && u < r->n_nodes; u++) {
		bool before = false;
		for (size_t v = 0; v < u && !before; v++)
			before = request_apart(r, u, v);
		if (before)
			continue;
		int row = lp_add_row(&m->lp, -LP_INF, 1);
		for (size_t v = u; v < r->n_nodes; v++)
			if (request_apart(r, u, v))
				put_place(m, row, v, a, 1);
	}
}

static void add_sharing(struct mip *m)
{
	const struct problem *p = m->p;

	for (uint32_t a = 0; a < p->s->n_nodes; a++) {
		size_t wanted = 0;
		for (size_t u = 0; u < p->r->n_nodes; u++)
			wanted += p->is_cand[u][a];
		if (m->fixed && wanted < 2) /* a candidate has room for one */
			continue;
		if (p->r->placement == PLACEMENT_DISTINCT) {
			int row = lp_add_row(&m->lp, -LP_INF, 1);
			for (size_t u = 0; u < p->r->n_nodes; u++)
				put_place(m, row, u, a, 1);
			continue;
		}
		add_groups(m, a);
		for (int res = 0; res < RES_COUNT; res++) {
			int64_t left = p->left->node[a][res];
			if (left == UNLIMITED)
				continue;
			double scale = left > 0 ? (double)left : 1;
			int row = lp_add_row(&m->lp, -LP_INF, (double)left / scale);
			for (size_t u = 0; u < p->r->n_nodes; u++)
				put_place(m, row, u, a, (double)p->r->nodes[u].demand[res] / scale);
		}
	}
}

/* Whether all that may cross a link is more than it has left. */
static bool contested(const struct mip *m, uint32_t l)
{
	double most = 0;

	for (size_t k = 0; k < m->p->r->n_links; k++)
		for (int role = 0; role < 2; role++) {
			const int *col = flow_of(m, k, role, l);
			if (col[0] != NO_COL || col[1] != NO_COL)
				most += (double)m->p->r->links[k].bw_kbps;
		}
	return most > (double)m->p->left->link_kbps[l];
}

static void add_capacity(struct mip *m)
{
	const struct problem *p = m->p;

	for (uint32_t l = 0; l < p->s->n_links; l++) {
		double left = (double)p->left->link_kbps[l], scale = left > 1 ? left : 1;
		if (m->fixed && !contested(m, l))
			continue;
		int row = lp_add_row(&m->lp, -LP_INF, left / scale);
		for (size_t k = 0; k < p->r->n_links; k++)
			for (int role = 0; role < 2; role++) {
				const int *col = flow_of(m, k, role, l);
				double each = split_flow(&p->r->links[k]) ? 1 : (double)p->r->links[k].bw_kbps;
				for (int end = 0; end < 2; end++)
					put_flow(m, row, col[end], each / scale);
			}
	}
}

/* With fixed hosts nothing that costs more than the slack allows is wanted. */
static void add_cutoff(struct mip *m)
{
	double most = 0;

	if (!m->fixed || !isfinite(m->fixed->slack))
		return;
	for (size_t k = 0; k < m->p->r->n_links; k++)
		most += m->fixed->least[k];
	for (size_t u = 0; u < m->p->r->n_nodes; u++)
		most += (double)m->p->r->nodes[u].demand[RES_CPU_MILLI] * (double)m->p->node_weight[m->p->cand[u].v[0]];
	most = (most + m->fixed->slack) / m->unit;
	int row = lp_add_row(&m->lp, -LP_INF, most * (1 + 1e-9) + 1e-6);
	for (size_t j = 0; j < m->lp.n_cols; j++)
		lp_put(&m->lp, row, (int)j, m->lp.cols[j].cost);
}

void mip_build(struct mip *m)
{
	const struct problem *p = m->p;

	m->unit = objective_unit(p, &m->whole);
	add_places(m);
	m->flow = mem_array(p->r->n_links * p->s->n_links * 4 + 1, sizeof(*m->flow));
	for (size_t i = 0; i < p->r->n_links * p->s->n_links * 4; i++)
		m->flow[i] = NO_COL;
	m->shares = mem_array(p->r->n_links + 1, sizeof(*m->shares));
	for (size_t k = 0; k < p->r->n_links; k++) {
		const struct vlink *link = &p->r->links[k];
		if (vlink_best_effort(link)) {
			add_pairs(m, k);
			continue;
		}
		for (int role = 0; role <= (link->protect ? 1 : 0); role++) {
			add_flow(m, k, role);
			add_conservation(m, k, role);
			add_delay(m, k, role);
		}
		if (link->protect)
			add_disjoint(m, k);
		mip_add_shares(m, k);
	}
	add_sharing(m);
	add_capacity(m);
	add_cutoff(m);
}
