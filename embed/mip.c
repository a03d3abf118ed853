/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The node-link formulation, handed to GLPK: the reference that other solvers are measured by.
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
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/flow.h"
#include "embed/lp.h"
#include "embed/search.h"
#include "embed/ways.h"

enum { MEMORY_MIB = 2048, INTEGER_KBPS = 1000000, PAIRS_MAX = 500000, ITERATIONS_MIN = 1000,
       WAYS_MAX = 400, WAYS_STEPS = 50000 };
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

static int *flow_of(const struct mip *m, size_t k, int role, uint32_t link)
{
	return &m->flow[((k * 2 + (size_t)role) * m->p->s->n_links + link) * 2];
}

static bool split_flow(const struct vlink *k)
{
	return k->split && k->bw_kbps > 0;
}

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

/* Of every node the delay of the quickest way to a candidate of either end. */
struct in_time {
	struct path_near *a, *b; /* NULL: no bound */
	int64_t most;
};

static struct in_time measure_delay(struct mip *m, size_t k)
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

static void in_time_done(struct in_time *t)
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
	struct in_time in_time = measure_delay(m, k);

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

static double flow_value(const double *x, int col)
{
	return col == NO_COL ? 0 : x[col];
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

/* Every path in time over the arcs that have columns. False: too many. */
static bool find_ways(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	struct in_time in_time = measure_delay(m, k);
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

static void add_shares(struct mip *m, size_t k)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	struct shares *s = &m->shares[k];
	double bw = (double)link->bw_kbps;

	if (!split_flow(link) || link->max_delay_us < 0 || (m->fixed && m->fixed->relax))
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

	if (!m->fixed || m->fixed->relax || !isfinite(m->fixed->slack))
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

static void mip_build(struct mip *m)
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
		add_shares(m, k);
	}
	add_sharing(m);
	add_capacity(m);
	add_cutoff(m);
}

/* ---- from a solution to an embedding and back ---------------------------------------------- */

/* The paths that the solution gives shares of k. */
static bool decode_shares(struct mip *m, size_t k, const double *x)
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

/* Links that the solution sends k over. False: too many paths, or one too slow. */
static bool decode_split(struct mip *m, size_t k, const double *x)
{
	for (uint32_t l = 0; l < m->p->s->n_links; l++) {
		const int *col = flow_of(m, k, 0, l);
		m->at.flow[l] = llround(flow_value(x, col[0])) - llround(flow_value(x, col[1]));
	}
	return layout_route_flow(&m->at, (uint32_t)k);
}

static bool decode_link(struct mip *m, size_t k, const double *x)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];

	if (m->at.host[link->a] == m->at.host[link->b] || vlink_best_effort(link))
		return layout_route(&m->at, (uint32_t)k);
	if (split_flow(link))
		return m->shares[k].known ? decode_shares(m, k, x) : decode_split(m, k, x);
	mem_auto uint8_t *banned = mem_array(2 * (p->s->n_links + 1), 1);
	for (uint32_t l = 0; l < p->s->n_links; l++)
		for (int role = 0; role < 2; role++) {
			const int *col = flow_of(m, k, role, l);
			banned[(size_t)role * p->s->n_links + l] = flow_value(x, col[0]) < 0.5 && flow_value(x, col[1]) < 0.5;
		}
	return layout_route_within(&m->at, (uint32_t)k, banned, banned + p->s->n_links);
}

/* Rebuilds the layout from a solution. Where a link's share does not decode, an ordinary route is
 * tried in its place: the layout may stay incomplete, or cost more than the solution. */
static void decode(struct mip *m, const double *x)
{
	const struct problem *p = m->p;

	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		if (m->at.host[u] != NO_NODE)
			layout_unplace(&m->at, u);
	m->at.cost = 0;
	for (uint32_t u = 0; u < p->r->n_nodes; u++) {
		size_t best = 0;
		for (size_t i = 1; i < p->cand[u].n; i++)
			if (x[m->x[u][i]] > x[m->x[u][best]])
				best = i;
		if (!layout_room(&m->at, u, p->cand[u].v[best]))
			return;
		layout_place(&m->at, u, p->cand[u].v[best]);
	}
	for (size_t k = 0; k < p->r->n_links; k++)
		m->decoded[k] = decode_link(m, k, x);
	for (size_t k = 0; k < p->r->n_links; k++)
		if (!m->decoded[k] && !layout_route(&m->at, (uint32_t)k))
			return;
}

static void offer(struct mip *m)
{
	struct embedding e;

	if (!layout_complete(&m->at) || m->at.cost >= m->search->objective)
		return;
	layout_embedding(&m->at, &e);
	search_offer(m->search, &e, "mip");
	embedding_done(&e);
}

static void encode_path(const struct mip *m, size_t k, int role, const struct path *path, double amount, double *x)
{
	uint32_t at = m->search->best.embedding.host[m->p->r->links[k].a];

	for (size_t i = 0; i < path->n; i++) {
		uint32_t l = path->links[i];
		int out = m->p->graph.ends[l][0] == at ? 0 : 1;
		x[flow_of(m, k, role, l)[out]] += amount;
		at = m->p->graph.ends[l][1 - out];
	}
}

static void encode_share(const struct mip *m, size_t k, const struct path *path, double *x)
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

/* The best embedding so far as a solution. */
static void encode(const struct mip *m, double *x)
{
	const struct problem *p = m->p;
	const struct embedding *e = &m->search->best.embedding;

	for (size_t u = 0; u < p->r->n_nodes; u++)
		for (size_t i = 0; i < p->cand[u].n; i++)
			x[m->x[u][i]] = p->cand[u].v[i] == e->host[u];
	for (size_t k = 0; k < p->r->n_links; k++) {
		const struct vlink_map *map = &e->links[k];
		bool split = split_flow(&p->r->links[k]);
		if (vlink_best_effort(&p->r->links[k]))
			continue;
		for (size_t i = 0; i < map->n_paths; i++) {
			encode_path(m, k, 0, &map->paths[i], split ? (double)map->paths[i].bw_kbps : 1, x);
			encode_share(m, k, &map->paths[i], x);
		}
		encode_path(m, k, 1, &map->backup, 1, x);
	}
}

/* ---- the run ------------------------------------------------------------------------------- */

static uint64_t iteration_arcs(const struct mip *m)
{
	return (m->lp.n_rows + m->lp.n_cols) / 4 + 100;
}

/* What a bound of GLPK's proves: its arithmetic is to within some 1e-9 of the truth, and where costs
 * are whole numbers of units, so is the optimum. */
static double proven(const struct mip *m, double bound)
{
	double safe = bound - 1e-9 * fabs(bound) - 1e-6;

	return m->whole ? ceil(safe) * m->unit : floor(safe * m->unit);
}

static bool mip_step(void *arg, const double *x, double bound, int64_t iterations)
{
	struct mip *m = arg;
	struct search *s = m->search;

	uint64_t work = (uint64_t)(iterations - m->iterations) * iteration_arcs(m) + 1000;
	m->iterations = iterations;
	if (x) {
		decode(m, x);
		offer(m);
	}
	if (isfinite(bound) && !m->fixed)
		search_raise_bound(s, proven(m, bound), "mip");
	return search_spend(s, work) && !search_over(s);
}

/* GLPK's optimum is proven; whether the best embedding in hand attains it decides what is. */
static void conclude(struct mip *m, double optimum)
{
	struct search *s = m->search;
	double value = optimum * m->unit, slack = 1e-7 * (fabs(value) + m->unit);

	s->relaxed = s->objective > value + slack;
	search_raise_bound(s, s->relaxed ? floor(value - slack) : s->objective, "mip");
}

static void mip_init(struct mip *m, struct search *s, const struct problem *p, const struct mip_fixed *fixed)
{
	size_t most = 0;

	*m = (struct mip){ .search = s, .p = p, .fixed = fixed };
	for (size_t u = 0; u < p->r->n_nodes; u++)
		most = p->cand[u].n > most ? p->cand[u].n : most;
	m->allowed = mem_array(most + 1, sizeof(*m->allowed));
	m->reached = mem_array(most + 1, sizeof(*m->reached));
	m->decoded = mem_array(p->r->n_links + 1, sizeof(*m->decoded));
	path_space_init(&m->space, &p->graph);
	layout_init(&m->at, p, &m->space);
	mip_build(m);
}

static void mip_free(struct mip *m)
{
	for (size_t u = 0; u < m->p->r->n_nodes; u++)
		free(m->x[u]);
	for (size_t k = 0; k < m->p->r->n_links; k++) {
		ways_done(&m->shares[k].ways);
		free(m->shares[k].share);
		free(m->shares[k].taken);
	}
	free(m->shares);
	free(m->x);
	free(m->flow);
	free(m->allowed);
	free(m->reached);
	free(m->decoded);
	lp_done(&m->lp);
	layout_done(&m->at);
	path_space_done(&m->space);
}

static struct lp_options mip_options(struct mip *m)
{
	struct search *s = m->search;
	int64_t iterations = s->work_limit == UINT64_MAX ? INT64_MAX
	                     : (int64_t)((s->work_limit - s->work) / iteration_arcs(m)) + 1;

	return (struct lp_options){ .time_limit_s = search_seconds_left(s), .iterations = iterations,
	                            .memory_mib = MEMORY_MIB, .step = mip_step, .arg = m };
}

static void mip_solve(struct mip *m)
{
	struct search *s = m->search;
	mem_auto double *start = mem_array(m->lp.n_cols + 1, sizeof(*start));
	struct lp_options options = mip_options(m);
	struct err err = { 0 };
	double bound;

	if (s->best.has_embedding) {
		encode(m, start);
		options.start = start;
	}
	switch (lp_solve(&m->lp, &options, &bound, &err)) {
	case LP_OPTIMAL:
		conclude(m, bound);
		break;
	case LP_INFEASIBLE:
		search_exclude_whole(s, "mip");
		break;
	case LP_FAILED:
		s->fault = err;
		break;
	case LP_LIMIT:
		break;
	}
}

void mip_run(struct search *s)
{
	struct mip m;
	struct err why = { 0 };

	if (problem_narrow(&s->problem, &why) != 0) {
		search_exclude(s, "mip", &why);
		return;
	}
	search_raise_bound(s, s->problem.bound, "mip");
	if (s->problem.r->n_links * s->problem.s->n_links > PAIRS_MAX) {
		err_set(&s->fault, -E2BIG, "too large for the node-link formulation: %zu virtual and %zu substrate links",
		        s->problem.r->n_links, s->problem.s->n_links);
		return;
	}
	if (search_over(s))
		return;
	mip_init(&m, s, &s->problem, NULL);
	mip_solve(&m);
	mip_free(&m);
}

enum mip_verdict mip_route(struct search *s, const struct problem *p, const struct mip_fixed *fixed, double *ret_bound)
{
	struct mip m;
	struct err err = { 0 };
	double bound;

	mip_init(&m, s, p, fixed);
	int64_t iterations = fixed->effort / (int64_t)(m.lp.n_rows + m.lp.n_cols + 1);
	if (iterations < ITERATIONS_MIN) {
		mip_free(&m);
		*ret_bound = 0;
		return MIP_UNDECIDED;
	}
	struct lp_options options = mip_options(&m);
	if (iterations < options.iterations)
		options.iterations = iterations;
	options.relax = fixed->relax;
	options.cuts = true;
	enum lp_status status = lp_solve(&m.lp, &options, &bound, &err);
	search_spend(s, iteration_arcs(&m) * 10);
	*ret_bound = isfinite(bound) ? proven(&m, bound) : 0;
	mip_free(&m);
	return status == LP_INFEASIBLE ? MIP_EXCLUDED : status == LP_OPTIMAL ? MIP_OPTIMAL : MIP_UNDECIDED;
}
