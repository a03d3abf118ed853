/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The node-link formulation (mip_model.c), handed to GLPK: the reference that other solvers are measured by. What it excludes
 * is excluded and what it bounds is bounded; an optimum counts as one only when its paths pass. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/mip.h"

enum { MEMORY_MIB = 2048, PAIRS_MAX = 500000, ITERATIONS_MIN = 1000 };

/* ---- from a solution to an embedding and back ---------------------------------------------- */

static double flow_value(const double *x, int col)
{
	return col == NO_COL ? 0 : x[col];
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
		return m->shares[k].known ? mip_decode_shares(m, k, x) : decode_split(m, k, x);
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
			mip_encode_share(m, k, &map->paths[i], x);
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
	mip_shares_done(m);
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
	options.cuts = true;
	enum lp_status status = lp_solve(&m.lp, &options, &bound, &err);
	search_spend(s, iteration_arcs(&m) * 10);
	*ret_bound = isfinite(bound) ? proven(&m, bound) : 0;
	mip_free(&m);
	return status == LP_INFEASIBLE ? MIP_EXCLUDED : status == LP_OPTIMAL ? MIP_OPTIMAL : MIP_UNDECIDED;
}
