/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For property tests: several tiny networks on one tiny substrate, and the best way to have them all, found by
 * enumerating every host and every simple path. Single paths, no delays: what is tested is that networks share. */
#pragma once

#include "tests/help_model.h"

#include "base/buf.h"
#include "embed/rng.h"

enum { JOINT_NETS = 3, JOINT_NODES = 12, JOINT_LINKS = 12 };

struct joint {
	struct substrate s;
	struct request r[JOINT_NETS];
	size_t n;
	struct residual left;
};

static inline void joint_make(struct joint *j, uint64_t seed)
{
	struct rng rng;
	buf_auto struct buf text = BUF_INIT;

	rng_init(&rng, seed);
	uint32_t nodes = 3 + rng_below(&rng, 2), links = nodes - 1 + rng_below(&rng, 3);
	buf_str(&text, "kind: substrate\nname: s\nnodes:\n");
	for (uint32_t a = 0; a < nodes; a++)
		buf_printf(&text, "  - {name: s%u, cpu: %u, cost: %u}\n", a, 1 + rng_below(&rng, 3), 1 + rng_below(&rng, 3));
	buf_str(&text, "links:\n");
	for (uint32_t l = 0; l < links; l++) {
		uint32_t a = l + 1 < nodes ? l + 1 : rng_below(&rng, nodes), b = l + 1 < nodes ? rng_below(&rng, a) : (a + 1 + rng_below(&rng, nodes - 1)) % nodes;
		buf_printf(&text, "  - {name: l%u, endpoints: [s%u, s%u], bandwidth: %umbit, cost: %u}\n", l, a, b, 2 + rng_below(&rng, 5),
		           1 + rng_below(&rng, 3));
	}
	*j = (struct joint){ .s = help_substrate(buf_cstr(&text)), .n = 2 + rng_below(&rng, JOINT_NETS - 1) };
	for (size_t i = 0; i < j->n; i++) {
		uint32_t n = 2 + (rng_below(&rng, 4) == 0), m = n - 1 + (rng_below(&rng, 3) == 0);
		buf_clear(&text);
		buf_printf(&text, "kind: network\nname: n%zu\npriority: %u\nplacement: %s\nnodes:\n", i, 1 + rng_below(&rng, 3),
		           rng_below(&rng, 4) ? "distinct" : "pack");
		for (uint32_t u = 0; u < n; u++)
			buf_printf(&text, "  - {name: r%u, cpu: %u}\n", u, 1 + rng_below(&rng, 2));
		buf_str(&text, "links:\n");
		for (uint32_t k = 0; k < m; k++)
			buf_printf(&text, "  - {name: k%u, endpoints: [r%u, r%u], bandwidth: %umbit}\n", k, k < n - 1 ? k : 0, k < n - 1 ? k + 1 : 1,
			           1 + rng_below(&rng, 3));
		j->r[i] = help_request(buf_cstr(&text));
	}
	residual_init(&j->left, &j->s);
}

static inline void joint_done(struct joint *j)
{
	for (size_t i = 0; i < j->n; i++)
		request_done(&j->r[i]);
	residual_done(&j->left);
	substrate_done(&j->s);
}

/* ---- brute force --------------------------------------------------------------------------- */

struct joint_brute {
	const struct joint *j;
	unsigned mask;                        /* which networks */
	const struct embedding *const *now;   /* NULL, or where they run */
	size_t moves_max;
	uint32_t host[JOINT_NETS][JOINT_NODES];
	int64_t cpu[JOINT_NODES], kbps[JOINT_LINKS];
	int64_t best;                         /* nano; INT64_MAX: none */
};

static inline void joint_place(struct joint_brute *b, size_t i, size_t u, size_t moves, int64_t cost);
static inline void joint_route(struct joint_brute *b, size_t i, size_t k, int64_t cost);

static inline void joint_walk(struct joint_brute *b, size_t i, size_t k, uint32_t at, uint32_t seen, int64_t cost)
{
	const struct vlink *v = &b->j->r[i].links[k];

	if (cost >= b->best)
		return;
	if (at == b->host[i][v->b]) {
		joint_route(b, i, k + 1, cost);
		return;
	}
	for (size_t l = 0; l < b->j->s.n_links; l++) {
		const struct slink *link = &b->j->s.links[l];
		if ((link->a != at && link->b != at) || b->kbps[l] < v->bw_kbps)
			continue;
		uint32_t to = link->a == at ? link->b : link->a;
		if (seen >> to & 1)
			continue;
		b->kbps[l] -= v->bw_kbps;
		joint_walk(b, i, k, to, seen | 1u << to, cost + v->bw_kbps * link->cost_micro);
		b->kbps[l] += v->bw_kbps;
	}
}

static inline void joint_route(struct joint_brute *b, size_t i, size_t k, int64_t cost)
{
	while (i < b->j->n && (!(b->mask >> i & 1) || k == b->j->r[i].n_links)) {
		i++;
		k = 0;
	}
	if (i == b->j->n) {
		b->best = cost < b->best ? cost : b->best;
		return;
	}
	uint32_t from = b->host[i][b->j->r[i].links[k].a];
	joint_walk(b, i, k, from, 1u << from, cost);
}

static inline void joint_place(struct joint_brute *b, size_t i, size_t u, size_t moves, int64_t cost)
{
	while (i < b->j->n && (!(b->mask >> i & 1) || u == b->j->r[i].n_nodes)) {
		i++;
		u = 0;
	}
	if (i == b->j->n) {
		joint_route(b, 0, 0, cost);
		return;
	}
	const struct request *r = &b->j->r[i];
	for (uint32_t a = 0; a < b->j->s.n_nodes; a++) {
		int64_t cpu = r->nodes[u].demand[RES_CPU_MILLI];
		size_t moved = b->now ? b->now[i]->host[u] != a : 0;
		bool taken = false;
		for (size_t v = 0; v < u; v++)
			taken = taken || (r->placement == PLACEMENT_DISTINCT && b->host[i][v] == a);
		if (taken || b->cpu[a] < cpu || moves + moved > b->moves_max)
			continue;
		b->cpu[a] -= cpu;
		b->host[i][u] = a;
		joint_place(b, i, u + 1, moves + moved, cost + cpu * b->j->s.nodes[a].cost_micro);
		b->cpu[a] += cpu;
	}
}

/* The least cost of all networks of the mask together; INT64_MAX where they do not fit. */
static inline int64_t joint_best(const struct joint *j, unsigned mask, const struct embedding *const *now, size_t moves_max)
{
	struct joint_brute b = { .j = j, .mask = mask, .now = now, .moves_max = moves_max, .best = INT64_MAX };

	for (size_t a = 0; a < j->s.n_nodes; a++)
		b.cpu[a] = j->left.node[a][RES_CPU_MILLI];
	for (size_t l = 0; l < j->s.n_links; l++)
		b.kbps[l] = j->left.link_kbps[l];
	joint_place(&b, 0, 0, 0, 0);
	return b.best;
}
