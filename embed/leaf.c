/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See leaf.h. */
#include "embed/leaf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/proof.h"

/* Iterations × (rows + columns) of the node-link program for each arc that the path program may look at. */
enum { PROGRAM_SHARE = 50 };

void leaf_init(struct leaf *leaf, struct search *s)
{
	const struct request *r = s->problem.r;

	*leaf = (struct leaf){ .s = s };
	leaf->sub = s->problem;
	leaf->hosts = mem_array(r->n_nodes + 1, sizeof(*leaf->hosts));
	leaf->sub.cand = mem_array(r->n_nodes + 1, sizeof(*leaf->sub.cand));
	leaf->sub.is_cand = mem_array(r->n_nodes + 1, sizeof(*leaf->sub.is_cand));
}

void leaf_done(struct leaf *leaf)
{
	for (size_t u = 0; u < leaf->sub.r->n_nodes; u++)
		free(leaf->sub.is_cand[u]);
	free(leaf->sub.is_cand);
	free(leaf->sub.cand);
	free(leaf->hosts);
}

static void offer(struct leaf *leaf, const struct layout *at)
{
	struct embedding e;

	if (!layout_complete(at) || at->cost >= leaf->s->objective)
		return;
	layout_embedding(at, &e);
	search_offer(leaf->s, &e, "exact");
	embedding_done(&e);
}

static double host_costs(const struct problem *p, const struct layout *at)
{
	double sum = 0;

	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		sum += (double)p->r->nodes[u].demand[RES_CPU_MILLI] * (double)p->node_weight[at->host[u]];
	return sum;
}

/* The node-link program, offered what it finds by itself. */
static enum leaf_verdict by_arcs(struct leaf *leaf, const struct layout *at, const double *least, double slack, int64_t effort,
                                 double *ret_bound)
{
	struct mip_fixed fixed = { .effort = effort < INT64_MAX / PROGRAM_SHARE ? effort * PROGRAM_SHARE : INT64_MAX,
	                           .least = least, .slack = slack };
	struct search *s = leaf->s;

	for (uint32_t u = 0; u < leaf->sub.r->n_nodes; u++) {
		leaf->hosts[u] = at->host[u];
		if (!leaf->sub.is_cand[u])
			leaf->sub.is_cand[u] = mem_array(leaf->sub.s->n_nodes + 1, 1);
		memset(leaf->sub.is_cand[u], 0, leaf->sub.s->n_nodes);
		leaf->sub.is_cand[u][at->host[u]] = 1;
		leaf->sub.cand[u] = (struct node_list){ &leaf->hosts[u], 1 };
	}
	enum mip_verdict verdict = mip_route(s, &leaf->sub, &fixed, ret_bound);
	if (verdict == MIP_EXCLUDED || (verdict == MIP_OPTIMAL && s->objective <= *ret_bound + 1e-6 * fabs(*ret_bound)))
		return LEAF_DONE;
	return verdict == MIP_OPTIMAL ? LEAF_OPEN : LEAF_LATER;
}

enum leaf_verdict leaf_route(struct leaf *leaf, struct routing_pool *pool, struct layout *at, const double *least, double cutoff,
                             int64_t effort, double *ret_bound)
{
	const struct request *r = leaf->s->problem.r;
	mem_auto uint32_t *links = mem_array(r->n_links + 1, sizeof(*links));
	double hosts = host_costs(&leaf->s->problem, at), sum = hosts, other;
	uint64_t before = leaf->s->work;

	for (uint32_t k = 0; k < r->n_links; k++) {
		links[k] = k;
		sum += least[k];
	}
	if (sum > cutoff) { /* the dual bound forgets what hosts in demand cost those who do not take them */
		if (leaf->s->proof)
			proof_route_begin(leaf->s->proof, links, r->n_links, true);
		*ret_bound = sum;
		return LEAF_DONE;
	}
	struct routing_ask ask = { .links = links, .n = r->n_links, .host = at->host, .cutoff = cutoff - hosts, .whole = true,
	                           .effort = effort };
	enum routing_verdict verdict = routing_solve(pool, &ask, at, ret_bound);
	*ret_bound += hosts;
	offer(leaf, at);
	if (verdict != ROUTING_UNDECIDED)
		return LEAF_DONE;
	if (leaf->s->stopped || leaf->s->work - before >= (uint64_t)effort / 2)
		return LEAF_LATER;
	/* It gave up before its effort was spent: more of that is no use. */
	if (leaf->s->proof)
		leaf->s->proof->failed = "a leaf was decided by the node-link program, whose bounds nobody can check";
	cutoff = fmin(cutoff, leaf->s->objective);
	enum leaf_verdict of = by_arcs(leaf, at, least, cutoff - sum, effort, &other);
	*ret_bound = fmax(*ret_bound, other);
	return of;
}
