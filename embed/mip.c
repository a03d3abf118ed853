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
 * time. For a split link with a delay bound the rows bound the mean delay of its paths, and nothing bounds
 * their number: a relaxation, so what it excludes is excluded and what it bounds is bounded, and an
 * optimum counts as one only when its paths pass. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/lp.h"
#include "embed/search.h"

enum { MEMORY_MIB = 2048, INTEGER_KBPS = 1000000, PAIRS_MAX = 500000 };
#define NO_COL (-1)

struct mip {
	struct search *search;
	const struct problem *p;
	struct lp lp;
	double unit;      /* of the objective: problem's units per unit of the LP's */
	int **x;          /* per virtual node and candidate */
	int *flow;        /* per virtual link, role (0 primary, 1 backup), link, direction; NO_COL */
	int *allowed;     /* scratch, per candidate */
	bool *reached, *decoded;
	struct path_space space;
	struct layout at;
	int64_t iterations;
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

/* What all costs are multiples of. */
struct costs {
	int64_t gcd;
	double most;
};

static void costs_add(struct costs *c, double cost)
{
	int64_t a = cost < 0x1p53 ? (int64_t)cost : 1, b = c->gcd;

	if (cost > c->most)
		c->most = cost;
	while (a != 0) {
		int64_t rest = b % a;
		b = a;
		a = rest;
	}
	c->gcd = b;
}

/* Divided by their greatest common divisor costs are small integers, which GLPK rounds bounds
 * up for; where that leaves large numbers, plain scaling. */
static double objective_unit(const struct problem *p)
{
	struct costs c = { 0, 1 };

	for (size_t u = 0; u < p->r->n_nodes; u++)
		for (size_t i = 0; i < p->cand[u].n; i++)
			costs_add(&c, (double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[p->cand[u].v[i]]);
	for (size_t k = 0; k < p->r->n_links; k++) {
		double each = split_flow(&p->r->links[k]) ? 1 : (double)p->r->links[k].bw_kbps;
		for (size_t l = 0; l < p->s->n_links; l++)
			costs_add(&c, each * (double)p->link_weight[l]);
	}
	if (c.gcd > 0 && c.most / (double)c.gcd < 1e6)
		return (double)c.gcd;
	return c.most / 1000;
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

static void add_flow(struct mip *m, size_t k, int role)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	bool split = split_flow(link);

	for (uint32_t l = 0; l < p->s->n_links; l++) {
		int *col = flow_of(m, k, role, l);
		int64_t left = p->left->link_kbps[l];
		col[0] = col[1] = NO_COL;
		if (left < (split ? 1 : link->bw_kbps))
			continue;
		for (int end = 0; end < 2; end++) {
			double weight = (double)p->link_weight[l];
			if (split)
				col[end] = lp_add_col(&m->lp, 0, (double)(left < link->bw_kbps ? left : link->bw_kbps),
				                      column_cost(m, weight), link->bw_kbps <= INTEGER_KBPS);
			else
				col[end] = lp_add_col(&m->lp, 0, 1, column_cost(m, weight * (double)link->bw_kbps), true);
		}
	}
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void put_place(struct mip *m, int row, size_t u, uint32_t a, double value)
{
	const struct node_list *list = &m->p->cand[u];

	if (!m->p->is_cand[u][a])
		return;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i] == a)
			lp_put(&m->lp, row, m->x[u][i], value);
}

static void add_conservation(struct mip *m, size_t k, int role)
{
	const struct problem *p = m->p;
	const struct vlink *link = &p->r->links[k];
	double amount = split_flow(link) ? (double)link->bw_kbps : 1;

	for (uint32_t a = 0; a < p->s->n_nodes; a++) {
		int row = lp_add_row(&m->lp, 0, 0);
		for (uint32_t i = p->graph.first[a]; i < p->graph.first[a + 1]; i++) {
			uint32_t l = p->graph.arcs[i].link;
			const int *col = flow_of(m, k, role, l);
			int out = p->graph.ends[l][0] == a ? 0 : 1; /* direction 0: from ends[0] to ends[1] */
			if (col[0] == NO_COL)
				continue;
			lp_put(&m->lp, row, col[out], 1);
			lp_put(&m->lp, row, col[1 - out], -1);
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
		for (int end = 0; col[0] != NO_COL && end < 2; end++)
			lp_put(&m->lp, row, col[end], (double)p->link_delay[l] / scale);
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
		if (f[0] == NO_COL)
			continue;
		int row = lp_add_row(&m->lp, -LP_INF, 1);
		for (int end = 0; end < 2; end++) {
			lp_put(&m->lp, row, f[end], 1);
			lp_put(&m->lp, row, g[end], 1);
		}
		for (uint32_t i = p->risk_first[l]; i < p->risk_first[l + 1]; i++) {
			int with = lp_add_row(&m->lp, -LP_INF, 0), without = lp_add_row(&m->lp, -LP_INF, 1);
			for (int end = 0; end < 2; end++) {
				lp_put(&m->lp, with, f[end], 1);
				lp_put(&m->lp, without, g[end], 1);
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

static void add_sharing(struct mip *m)
{
	const struct problem *p = m->p;

	for (uint32_t a = 0; a < p->s->n_nodes; a++) {
		if (p->r->placement == PLACEMENT_DISTINCT) {
			int row = lp_add_row(&m->lp, -LP_INF, 1);
			for (size_t u = 0; u < p->r->n_nodes; u++)
				put_place(m, row, u, a, 1);
			continue;
		}
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

static void add_capacity(struct mip *m)
{
	const struct problem *p = m->p;

	for (uint32_t l = 0; l < p->s->n_links; l++) {
		double left = (double)p->left->link_kbps[l], scale = left > 1 ? left : 1;
		int row = lp_add_row(&m->lp, -LP_INF, left / scale);
		for (size_t k = 0; k < p->r->n_links; k++)
			for (int role = 0; role < 2; role++) {
				const int *col = flow_of(m, k, role, l);
				double each = split_flow(&p->r->links[k]) ? 1 : (double)p->r->links[k].bw_kbps;
				for (int end = 0; col[end] != NO_COL && end < 2; end++)
					lp_put(&m->lp, row, col[end], each / scale);
			}
	}
}

static void mip_build(struct mip *m)
{
	const struct problem *p = m->p;

	m->unit = objective_unit(p);
	add_places(m);
	m->flow = mem_array(p->r->n_links * p->s->n_links * 4 + 1, sizeof(*m->flow));
	for (size_t i = 0; i < p->r->n_links * p->s->n_links * 4; i++)
		m->flow[i] = NO_COL;
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
	}
	add_sharing(m);
	add_capacity(m);
}

/* ---- from a solution to an embedding and back ---------------------------------------------- */

/* Links that the solution sends k over. False: too many paths, or one too slow. */
static bool decode_split(struct mip *m, size_t k, const double *x)
{
	for (uint32_t l = 0; l < m->p->s->n_links; l++) {
		const int *col = flow_of(m, k, 0, l);
		m->at.flow[l] = col[0] == NO_COL ? 0 : llround(x[col[0]]) - llround(x[col[1]]);
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
		return decode_split(m, k, x);
	mem_auto uint8_t *banned = mem_array(2 * (p->s->n_links + 1), 1);
	for (uint32_t l = 0; l < p->s->n_links; l++)
		for (int role = 0; role < 2; role++) {
			const int *col = flow_of(m, k, role, l);
			banned[(size_t)role * p->s->n_links + l] = col[0] == NO_COL || (x[col[0]] < 0.5 && x[col[1]] < 0.5);
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
		for (size_t i = 0; i < map->n_paths; i++)
			encode_path(m, k, 0, &map->paths[i], split ? (double)map->paths[i].bw_kbps : 1, x);
		encode_path(m, k, 1, &map->backup, 1, x);
	}
}

/* ---- the run ------------------------------------------------------------------------------- */

static uint64_t iteration_arcs(const struct mip *m)
{
	return (m->lp.n_rows + m->lp.n_cols) / 4 + 100;
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
	/* GLPK's arithmetic is to within some 1e-9 of the truth. */
	if (isfinite(bound))
		search_raise_bound(s, floor(bound * m->unit * (1 - 1e-9) - 1e-6 * m->unit), "mip");
	return search_spend(s, work) && !search_over(s);
}

/* GLPK's optimum is proven; whether the best embedding in hand attains it decides what is. */
static void conclude(struct mip *m, double optimum)
{
	struct search *s = m->search;
	double value = optimum * m->unit, slack = 1e-7 * (fabs(value) + m->unit);

	search_raise_bound(s, s->objective <= value + slack ? s->objective : floor(value - slack), "mip");
}

static void mip_free(struct mip *m)
{
	for (size_t u = 0; u < m->p->r->n_nodes; u++)
		free(m->x[u]);
	free(m->x);
	free(m->flow);
	free(m->allowed);
	free(m->reached);
	free(m->decoded);
	lp_done(&m->lp);
	layout_done(&m->at);
	path_space_done(&m->space);
}

static void mip_solve(struct mip *m)
{
	struct search *s = m->search;
	mem_auto double *start = mem_array(m->lp.n_cols + 1, sizeof(*start));
	struct err err = { 0 };
	double bound;

	if (s->best.has_embedding)
		encode(m, start);
	int64_t iterations = s->work_limit == UINT64_MAX ? INT64_MAX
	                     : (int64_t)((s->work_limit - s->work) / iteration_arcs(m)) + 1;
	struct lp_options options = { .time_limit_s = search_seconds_left(s), .iterations = iterations,
	                              .memory_mib = MEMORY_MIB, .start = s->best.has_embedding ? start : NULL,
	                              .step = mip_step, .arg = m };
	switch (lp_solve(&m->lp, &options, &bound, &err)) {
	case LP_OPTIMAL:
		conclude(m, bound);
		break;
	case LP_INFEASIBLE:
		err_set(&err, -ENOENT, "no choice of hosts and paths fits what is left: every router and every link fits alone, not all together");
		search_exclude(s, "mip", &err);
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
	struct mip m = { .search = s, .p = &s->problem };
	struct err why = { 0 };
	size_t most = 0;

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
	for (size_t u = 0; u < s->problem.r->n_nodes; u++)
		most = s->problem.cand[u].n > most ? s->problem.cand[u].n : most;
	m.allowed = mem_array(most + 1, sizeof(*m.allowed));
	m.decoded = mem_array(s->problem.r->n_links + 1, sizeof(*m.decoded));
	m.reached = mem_array(most + 1, sizeof(*m.reached));
	path_space_init(&m.space, &s->problem.graph);
	layout_init(&m.at, &s->problem, &m.space);
	if (s->best.status == SOLVE_REFUSED) {
		s->best.status = SOLVE_UNKNOWN;
		s->best.reason[0] = '\0';
	}
	mip_build(&m);
	mip_solve(&m);
	mip_free(&m);
}
