/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See problem.h. The objective is kept in integers held by doubles: sums are exact up to
 * 2^53, the same with every compiler, and beyond that they lose digits instead of wrapping. */
#include "embed/problem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Weights of `balance` are cost / (residual + 1), cores and Mbit/s, in this many parts. */
#define BALANCE_SCALE 1e15
#define COST_SCALE 1e9
#define WEIGHT_MAX 1e13

static int64_t weight_of(int64_t cost_micro, int64_t left_milli, enum embed_objective objective)
{
	if (objective == OBJECTIVE_COST)
		return cost_micro;
	/* micro-cost per milli-unit = 1e-9 units; × scale / (left / 1000 + 1) */
	double w = (double)cost_micro * (BALANCE_SCALE / COST_SCALE) / ((double)left_milli / 1000.0 + 1.0);
	return llround(w < WEIGHT_MAX ? w : WEIGHT_MAX);
}

static void problem_weights(struct problem *p, enum embed_objective objective)
{
	const struct substrate *s = p->s;

	p->scale = objective == OBJECTIVE_COST ? COST_SCALE : BALANCE_SCALE;
	p->node_weight = mem_array(s->n_nodes + 1, sizeof(*p->node_weight));
	for (size_t a = 0; a < s->n_nodes; a++)
		p->node_weight[a] = weight_of(s->nodes[a].cost_micro, p->left->node[a][RES_CPU_MILLI], objective);
	p->link_weight = mem_array(s->n_links + 1, sizeof(*p->link_weight));
	p->link_tie = mem_array(s->n_links + 1, sizeof(*p->link_tie));
	p->link_delay = mem_array(s->n_links + 1, sizeof(*p->link_delay));
	for (size_t l = 0; l < s->n_links; l++) {
		p->link_weight[l] = weight_of(s->links[l].cost_micro, p->left->link_kbps[l], objective);
		p->link_tie[l] = INT64_C(1000000000) / (p->left->link_kbps[l] / 1000 + 1) + 1;
		p->link_delay[l] = s->links[l].delay_us;
	}
	p->link_unit = s->n_links > 0 ? p->link_weight[0] : 0;
	for (size_t l = 1; l < s->n_links && p->link_unit > 0; l++)
		if (p->link_weight[l] != p->link_unit)
			p->link_unit = 0;
}

void problem_virtual_arcs(struct problem *p)
{
	const struct request *r = p->r;

	free(p->vfirst);
	free(p->varcs);
	p->vfirst = mem_array(r->n_nodes + 2, sizeof(*p->vfirst));
	p->varcs = mem_array(2 * r->n_links + 1, sizeof(*p->varcs));
	for (size_t k = 0; k < r->n_links; k++) {
		p->vfirst[r->links[k].a + 2]++;
		p->vfirst[r->links[k].b + 2]++;
	}
	for (size_t u = 2; u <= r->n_nodes + 1; u++)
		p->vfirst[u] += p->vfirst[u - 1];
	for (uint32_t k = 0; k < r->n_links; k++) {
		p->varcs[p->vfirst[r->links[k].a + 1]++] = (struct varc){ r->links[k].b, k };
		p->varcs[p->vfirst[r->links[k].b + 1]++] = (struct varc){ r->links[k].a, k };
	}
}

static void problem_risks(struct problem *p)
{
	const struct substrate *s = p->s;
	struct hash *names = hash_new();
	size_t total = 0;

	for (size_t l = 0; l < s->n_links; l++)
		total += s->links[l].risks.n;
	p->risk_first = mem_array(s->n_links + 1, sizeof(*p->risk_first));
	p->risks = mem_array(total + 1, sizeof(*p->risks));
	total = 0;
	for (size_t l = 0; l < s->n_links; l++) {
		p->risk_first[l] = (uint32_t)total;
		for (size_t i = 0; i < s->links[l].risks.n; i++) {
			const char *name = s->links[l].risks.v[i];
			if (hash_index_put(names, name, p->n_risks))
				p->n_risks++;
			p->risks[total++] = (uint32_t)hash_index(names, name);
		}
	}
	p->risk_first[s->n_links] = (uint32_t)total;
	hash_free(names, NULL);
}

bool problem_shares_risk(const struct problem *p, uint32_t link, uint32_t other)
{
	for (uint32_t i = p->risk_first[link]; i < p->risk_first[link + 1]; i++)
		for (uint32_t j = p->risk_first[other]; j < p->risk_first[other + 1]; j++)
			if (p->risks[i] == p->risks[j])
				return true;
	return false;
}

void problem_set_bound(struct problem *p, const int64_t *least)
{
	const struct request *r = p->r;
	double bound = 0;

	for (size_t u = 0; u < r->n_nodes; u++) {
		int64_t lightest = INT64_MAX;
		for (size_t i = 0; i < p->cand[u].n; i++)
			if (p->node_weight[p->cand[u].v[i]] < lightest)
				lightest = p->node_weight[p->cand[u].v[i]];
		bound += (double)lightest * (double)r->nodes[u].demand[RES_CPU_MILLI];
	}
	for (size_t k = 0; k < r->n_links; k++)
		bound += (double)least[k] * (double)r->links[k].bw_kbps * (r->links[k].protect ? 2 : 1);
	if (bound > p->bound)
		p->bound = bound;
}

int problem_init(struct problem *p, const struct substrate *s, const struct residual *left, const struct request *r,
                 enum embed_objective objective, struct err *why)
{
	int ret;

	*p = (struct problem){ .s = s, .left = left, .r = r };
	graph_init(&p->graph, s);
	problem_weights(p, objective);
	problem_virtual_arcs(p);
	problem_risks(p);
	p->cand = mem_array(r->n_nodes + 1, sizeof(*p->cand));
	p->is_cand = mem_array(r->n_nodes + 1, sizeof(*p->is_cand));
	ret = problem_candidates(p, why);
	if (ret == 0)
		ret = problem_suffices(p, why);
	if (ret != 0)
		return ret;

	/* Every virtual link between distinct hosts crosses at least one link. */
	mem_auto int64_t *least = mem_array(r->n_links + 1, sizeof(*least));
	int64_t lightest = INT64_MAX;
	for (size_t l = 0; l < s->n_links; l++)
		if (p->link_weight[l] < lightest)
			lightest = p->link_weight[l];
	for (size_t k = 0; k < r->n_links; k++)
		least[k] = request_apart(r, r->links[k].a, r->links[k].b) && s->n_links > 0 ? lightest : 0;
	problem_set_bound(p, least);
	return 0;
}

void problem_done(struct problem *p)
{
	for (size_t u = 0; p->r && u < p->r->n_nodes; u++) {
		free(p->cand[u].v);
		free(p->is_cand[u]);
	}
	free(p->cand);
	free(p->is_cand);
	free(p->node_weight);
	free(p->link_weight);
	free(p->link_tie);
	free(p->link_delay);
	free(p->vfirst);
	free(p->varcs);
	free(p->risk_first);
	free(p->risks);
	graph_done(&p->graph);
	memset(p, 0, sizeof(*p));
}

static double path_weight(const struct problem *p, const struct path *path)
{
	double sum = 0;

	for (size_t i = 0; i < path->n; i++)
		sum += (double)path->bw_kbps * (double)p->link_weight[path->links[i]];
	return sum;
}

double problem_objective(const struct problem *p, const struct embedding *e)
{
	double sum = 0;

	for (size_t u = 0; u < e->n_nodes; u++)
		sum += (double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[e->host[u]];
	for (size_t k = 0; k < e->n_links; k++) {
		for (size_t i = 0; i < e->links[k].n_paths; i++)
			sum += path_weight(p, &e->links[k].paths[i]);
		if (e->links[k].backup.n > 0)
			sum += path_weight(p, &e->links[k].backup);
	}
	return sum;
}

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

double problem_unit(const struct problem *p, double *ret_most)
{
	struct costs c = { 0, 1 };

	for (size_t u = 0; u < p->r->n_nodes; u++)
		for (size_t i = 0; i < p->cand[u].n; i++)
			costs_add(&c, (double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[p->cand[u].v[i]]);
	/* Of products the divisor is the product of divisors. */
	struct costs w = { 0, 0 };
	for (size_t l = 0; l < p->s->n_links; l++)
		costs_add(&w, (double)p->link_weight[l]);
	for (size_t k = 0; k < p->r->n_links; k++) {
		double each = p->r->links[k].split ? 1 : (double)p->r->links[k].bw_kbps;
		if (each * w.most > c.most)
			c.most = each * w.most;
		costs_add(&c, each * w.most < 0x1p53 ? each * (double)w.gcd : 1);
	}
	*ret_most = c.most;
	return c.gcd > 0 ? (double)c.gcd : 1;
}
