/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For property tests of solvers: random tiny substrates and requests, every feature of formats.md, and a
 * brute force that enumerates every choice of hosts and paths by code that shares nothing with the
 * solvers. A case that fails is printed as YAML, to be replayed with vnembed. */
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/vec.h"
#include "embed/embed.h"
#include "embed/rng.h"

enum { MAX_NODES = 6, MAX_LINKS = 9, MAX_V = 4, MAX_VLINKS = 5, MAX_PATHS = 256 };

enum feature {
	F_DELAY = 1, F_PACK = 2, F_SPLIT = 4, F_PROTECT = 8, F_KINDS = 16, F_PLACE = 32, F_PORTS = 64,
	F_UPLINKS = 128, F_BEST_EFFORT = 256, F_RISKS = 512, F_MEMORY = 1024, F_FREE = 2048, F_TIGHT = 4096, F_USED = 8192, F_PARALLEL = 16384,
	F_BALANCE = 32768, F_ALL = 65535,
};

/* ---- random cases -------------------------------------------------------------------------- */

struct one_case {
	struct buf substrate, request;
	struct substrate s;
	struct request r;
	struct residual left;
	unsigned features;
};

static inline uint32_t below(struct rng *rng, uint32_t n)
{
	return rng_below(rng, n);
}

static inline void write_snode(struct buf *out, struct rng *rng, uint32_t i, unsigned f)
{
	buf_printf(out, "  - {name: s%u, cpu: %u, cost: %u", i, below(rng, f & F_TIGHT ? 3 : 5), f & F_FREE ? 0 : below(rng, 4));
	if (f & F_MEMORY)
		buf_printf(out, ", memory: %uMiB", below(rng, 4));
	if (f & F_KINDS && below(rng, 8) == 0)
		buf_printf(out, ", agent: false");
	else if (f & F_KINDS && below(rng, 2))
		buf_printf(out, ", routers: %s", below(rng, 3) ? "[netns]" : below(rng, 2) ? "[xen, netns]" : "[]");
	if (f & F_KINDS && below(rng, 4))
		buf_printf(out, ", guest_memory: %uMiB, max_guests: %u, max_guest_ports: %u, realtime: 0.%u", 64 * (1 + below(rng, 3)),
		           1 + below(rng, 3), 2 + below(rng, 3), 2 + below(rng, 8));
	if (f & F_KINDS && below(rng, 3) == 0)
		buf_printf(out, ", images: [p]");
	if (f & F_PORTS)
		buf_printf(out, ", max_ports: %u, max_routers: %u", below(rng, 7), below(rng, 4));
	if (f & F_UPLINKS && below(rng, 3))
		buf_printf(out, ", uplinks: %s", below(rng, 2) ? "[p]" : "[p, q]");
	if (f & F_PLACE)
		buf_printf(out, ", labels: {site: %c}, position: [%u, %u]", "xy"[below(rng, 2)], below(rng, 10), below(rng, 10));
	buf_printf(out, "}\n");
}

static inline void write_slinks(struct buf *out, struct rng *rng, uint32_t n, unsigned f)
{
	uint32_t most = f & F_SPLIT ? 6 : MAX_LINKS;
	uint32_t links = n - 1 + below(rng, most - (n - 1) + 1);

	for (uint32_t l = 0; l < links; l++) {
		uint32_t a = l + 1 < n ? l + 1 : below(rng, n), b = l + 1 < n ? below(rng, a) : below(rng, n);
		if (below(rng, 20) == 0) /* now and then the tree breaks */
			a = below(rng, n);
		if (a == b)
			b = (a + 1) % n;
		buf_printf(out, "  - {name: l%u, endpoints: [s%u, s%u], bandwidth: %ukbit, cost: %u", l, a, b,
		           1 + below(rng, f & F_TIGHT ? 5 : 9), below(rng, 5));
		if (f & F_DELAY)
			buf_printf(out, ", delay: %ums", below(rng, 5));
		if (f & F_RISKS && below(rng, 2))
			buf_printf(out, ", risks: [d%u]", below(rng, 3));
		buf_printf(out, "}\n");
	}
}

static inline void write_vnode(struct buf *out, struct rng *rng, uint32_t u, uint32_t n, unsigned f)
{
	buf_printf(out, "  - {name: v%u, cpu: %s", u, (const char *[]){ "0", "0.5", "1", "2" }[below(rng, 4)]);
	if (f & F_MEMORY)
		buf_printf(out, ", memory: %uMiB", below(rng, 3));
	if (f & F_KINDS && below(rng, 2))
		buf_printf(out, ", router: %s", (const char *[]){ "netns", "netns", "xen", "xen, image: p", "xen, image: q",
			"xen, realtime: {period: 10ms, budget: 3ms}" }[below(rng, 6)]);
	if (f & F_UPLINKS && below(rng, 3) == 0)
		buf_printf(out, ", uplinks: [{port: %c, address: 192.0.2.1/24}]", "pq"[below(rng, 2)]);
	if (f & F_PLACE && below(rng, 2)) {
		switch (below(rng, 4)) {
		case 0:
			buf_printf(out, ", place: {on: [s%u, s%u]}", below(rng, n / 2), n / 2 + below(rng, n - n / 2));
			break;
		case 1:
			buf_printf(out, ", place: {not_on: [s%u]}", below(rng, n));
			break;
		case 2:
			buf_printf(out, ", place: {near: {position: [%u, %u], within: 6}}", below(rng, 10), below(rng, 10));
			break;
		default:
			buf_printf(out, ", place: {labels: {site: x}}");
			break;
		}
	}
	buf_printf(out, "}\n");
}

static inline void write_vlinks(struct buf *out, struct rng *rng, uint32_t n, unsigned f)
{
	uint32_t links = 1 + below(rng, f & F_SPLIT ? 2 : MAX_VLINKS - 1);

	for (uint32_t k = 0; k < links; k++) {
		uint32_t a = below(rng, n), b = (a + 1 + below(rng, n - 1)) % n;
		bool split = f & F_SPLIT && below(rng, 3);
		uint32_t bw = f & F_BEST_EFFORT && below(rng, 2) ? 0 : 1 + below(rng, 4);
		buf_printf(out, "  - {name: k%u, endpoints: [v%u, v%u], bandwidth: %u%s", k, a, b, bw, bw ? "kbit" : "mbit");
		if (f & F_DELAY && below(rng, 2))
			buf_printf(out, ", max_delay: %ums", 1 + below(rng, 8));
		if (split)
			buf_printf(out, ", paths: split");
		else if (f & F_PROTECT && below(rng, 2))
			buf_printf(out, ", protection: link");
		buf_printf(out, "}\n");
	}
}

static inline void case_done(struct one_case *c)
{
	residual_done(&c->left);
	substrate_done(&c->s);
	request_done(&c->r);
	buf_done(&c->substrate);
	buf_done(&c->request);
}

static inline void case_parse(struct one_case *c)
{
	struct yaml_errors errors = { .file = "case" };
	struct yaml_doc **docs;
	struct request *requests = NULL;
	size_t n;
	struct err err = { 0 };

	yaml_parse(c->substrate.data, c->substrate.len, &errors, &docs, &n);
	if (n != 1 || substrate_read(docs[0], &errors, &c->s) != 0)
		fail_msg("%s\n%s", buf_cstr(&errors.text), buf_cstr(&c->substrate));
	yaml_free_docs(docs, n);
	if (request_parse(c->request.data, c->request.len, false, &errors, &requests, &n, &err) != 0 || n != 1)
		fail_msg("%s %s\n%s", err.text, buf_cstr(&errors.text), buf_cstr(&c->request));
	c->r = requests[0];
	free(requests);
	yaml_errors_done(&errors);
}

static inline void case_make(struct one_case *c, uint64_t seed, unsigned features)
{
	struct rng rng;
	uint32_t n, v;

	*c = (struct one_case){ .features = features };
	rng_init(&rng, seed);
	n = features & F_PARALLEL ? 2 : 3 + below(&rng, features & F_SPLIT ? 2 : MAX_NODES - 2);
	v = 2 + below(&rng, features & F_SPLIT ? 2 : MAX_V - 1);
	buf_printf(&c->substrate, "kind: substrate\nname: tiny\nnodes:\n");
	for (uint32_t i = 0; i < n; i++)
		write_snode(&c->substrate, &rng, i, features);
	buf_printf(&c->substrate, "links:\n");
	write_slinks(&c->substrate, &rng, n, features);
	buf_printf(&c->request, "kind: network\nname: tiny%s\nnodes:\n", features & F_PACK ? "\nplacement: pack" : "");
	for (uint32_t u = 0; u < v; u++)
		write_vnode(&c->request, &rng, u, n, features);
	buf_printf(&c->request, "links:\n");
	write_vlinks(&c->request, &rng, v, features);
	case_parse(c);
	residual_init(&c->left, &c->s);
	for (uint32_t a = 0; features & F_USED && a < c->s.n_nodes; a++)
		for (int res = 0; res < RES_COUNT; res++)
			if (c->left.node[a][res] != UNLIMITED && below(&rng, 3) == 0)
				c->left.node[a][res] = c->left.node[a][res] * below(&rng, 4) / 4;
	for (uint32_t l = 0; features & F_USED && l < c->s.n_links; l++)
		if (below(&rng, 3) == 0)
			c->left.link_kbps[l] = below(&rng, (uint32_t)c->left.link_kbps[l] + 1);
}

/* ---- brute force --------------------------------------------------------------------------- */

struct way { /* one simple path */
	uint32_t links; /* bit mask */
	int64_t delay, cost; /* cost per kbit/s */
	int hops;
};

struct choice { /* one way to carry a virtual link */
	int64_t cost;
	uint8_t kbps[MAX_LINKS];
};

struct brute {
	const struct substrate *s;
	const struct request *r;
	int64_t node_weight[MAX_NODES], link_weight[MAX_LINKS]; /* of the objective, per milli-core and kbit/s */
	struct way ways[MAX_NODES][MAX_NODES][MAX_PATHS];
	int n_ways[MAX_NODES][MAX_NODES];
	uint32_t host[MAX_V];
	int64_t node[MAX_NODES][RES_COUNT], cap[MAX_LINKS];
	VEC(struct choice) choices[MAX_VLINKS];
	int64_t best; /* INT64_MAX: infeasible */
};

static inline void find_ways(struct brute *b, uint32_t from, uint32_t at, uint32_t seen, struct way way)
{
	if (at != from) {
		assert_in_range(b->n_ways[from][at], 0, MAX_PATHS - 1);
		b->ways[from][at][b->n_ways[from][at]++] = way;
	}
	for (uint32_t l = 0; l < b->s->n_links; l++) {
		const struct slink *link = &b->s->links[l];
		if (link->a != at && link->b != at)
			continue;
		uint32_t next = link->a == at ? link->b : link->a;
		if (seen & 1u << next)
			continue;
		find_ways(b, from, next, seen | 1u << next, (struct way){ way.links | 1u << l, way.delay + link->delay_us,
		          way.cost + b->link_weight[l], way.hops + 1 });
	}
}

static inline bool in_time(const struct vlink *k, const struct way *w)
{
	return k->max_delay_us < 0 || w->delay <= k->max_delay_us;
}

static inline bool apart(const struct brute *b, const struct way *w, const struct way *x)
{
	if (w->links & x->links)
		return false;
	for (uint32_t i = 0; i < b->s->n_links; i++)
		for (uint32_t j = 0; j < b->s->n_links; j++)
			if (w->links >> i & 1 && x->links >> j & 1)
				for (size_t p = 0; p < b->s->links[i].risks.n; p++)
					for (size_t q = 0; q < b->s->links[j].risks.n; q++)
						if (strcmp(b->s->links[i].risks.v[p], b->s->links[j].risks.v[q]) == 0)
							return false;
	return true;
}

static inline void load(const struct brute *b, struct choice *c, const struct way *w, int64_t kbps)
{
	c->cost += w->cost * kbps;
	for (uint32_t l = 0; l < b->s->n_links; l++)
		if (w->links >> l & 1)
			c->kbps[l] = (uint8_t)(c->kbps[l] + kbps);
}

static inline void share_out(struct brute *b, uint32_t k, const struct way *ways, int n, int i, int64_t rest, struct choice c)
{
	if (rest == 0) {
		*vec_add(&b->choices[k]) = c;
		return;
	}
	for (; i < n; i++) {
		if (!in_time(&b->r->links[k], &ways[i]))
			continue;
		for (int64_t amount = 1; amount <= rest; amount++) {
			struct choice more = c;
			load(b, &more, &ways[i], amount);
			share_out(b, k, ways, n, i + 1, rest - amount, more);
		}
	}
}

static inline void find_choices(struct brute *b, uint32_t k)
{
	const struct vlink *link = &b->r->links[k];
	uint32_t from = b->host[link->a], to = b->host[link->b];
	const struct way *ways = b->ways[from][to];
	int n = b->n_ways[from][to], fewest = 1000;

	b->choices[k].n = 0;
	if (from == to) {
		*vec_add(&b->choices[k]) = (struct choice){ 0 };
		return;
	}
	if (link->split && link->bw_kbps > 0) {
		share_out(b, k, ways, n, 0, link->bw_kbps, (struct choice){ 0 });
		return;
	}
	for (int i = 0; i < n; i++)
		fewest = ways[i].hops < fewest ? ways[i].hops : fewest;
	for (int i = 0; i < n; i++) {
		if (!in_time(link, &ways[i]) || (link->bw_kbps == 0 && ways[i].hops != fewest))
			continue;
		for (int j = 0; j < (link->protect ? n : 1); j++) {
			struct choice c = { 0 };
			load(b, &c, &ways[i], link->bw_kbps);
			if (link->protect && (!in_time(link, &ways[j]) || !apart(b, &ways[i], &ways[j])))
				continue;
			if (link->protect)
				load(b, &c, &ways[j], link->bw_kbps);
			*vec_add(&b->choices[k]) = c;
		}
	}
}

static inline void carry(struct brute *b, uint32_t k, int64_t cost)
{
	if (cost >= b->best)
		return;
	if (k == b->r->n_links) {
		b->best = cost;
		return;
	}
	for (size_t i = 0; i < b->choices[k].n; i++) {
		const struct choice *c = &b->choices[k].v[i];
		bool fits = true;
		for (uint32_t l = 0; l < b->s->n_links; l++)
			fits = (b->cap[l] -= c->kbps[l]) >= 0 && fits;
		if (fits)
			carry(b, k + 1, cost + c->cost);
		for (uint32_t l = 0; l < b->s->n_links; l++)
			b->cap[l] += c->kbps[l];
	}
}

static inline void settle(struct brute *b, uint32_t u, uint32_t used, int64_t cost)
{
	if (u == b->r->n_nodes) {
		for (uint32_t k = 0; k < b->r->n_links; k++)
			find_choices(b, k);
		carry(b, 0, cost);
		return;
	}
	for (uint32_t a = 0; a < b->s->n_nodes; a++) {
		const struct vnode *v = &b->r->nodes[u];
		bool fits = place_fits(v, b->s, a, NULL) && (b->r->placement == PLACEMENT_PACK || !(used & 1u << a));
		for (int res = 0; res < RES_COUNT; res++)
			fits = fits && b->node[a][res] >= v->demand[res];
		if (!fits)
			continue;
		for (int res = 0; res < RES_COUNT; res++)
			b->node[a][res] -= b->node[a][res] == UNLIMITED ? 0 : v->demand[res];
		b->host[u] = a;
		settle(b, u + 1, used | 1u << a, cost + v->demand[RES_CPU_MILLI] * b->node_weight[a]);
		for (int res = 0; res < RES_COUNT; res++)
			b->node[a][res] += b->node[a][res] == UNLIMITED ? 0 : v->demand[res];
	}
}

/* What a milli-core or kbit/s costs: in 10^-9, or under `balance` divided by (residual + 1) and in 10^-15. */
static inline int64_t weigh(const struct one_case *c, int64_t cost_micro, int64_t left_milli)
{
	if (!(c->features & F_BALANCE))
		return cost_micro;
	int64_t parts = cost_micro * 1000000000, by = left_milli + 1000;
	return (parts + by / 2) / by;
}

/* The objective of an embedding, in the same parts. */
static inline int64_t objective_of(const struct one_case *c, const struct embedding *e)
{
	int64_t sum = 0;

	for (size_t u = 0; u < e->n_nodes; u++)
		sum += c->r.nodes[u].demand[RES_CPU_MILLI]
		       * weigh(c, c->s.nodes[e->host[u]].cost_micro, c->left.node[e->host[u]][RES_CPU_MILLI]);
	for (size_t k = 0; k < e->n_links; k++)
		for (size_t i = 0; i <= e->links[k].n_paths; i++) {
			const struct path *p = i < e->links[k].n_paths ? &e->links[k].paths[i] : &e->links[k].backup;
			for (size_t j = 0; j < p->n; j++)
				sum += p->bw_kbps * weigh(c, c->s.links[p->links[j]].cost_micro, c->left.link_kbps[p->links[j]]);
		}
	return sum;
}

/* The optimum on what is left, in the parts of the objective; INT64_MAX: infeasible. */
static inline int64_t brute_force(const struct one_case *c, const struct residual *left)
{
	struct brute *b = mem_alloc(sizeof(*b));

	b->s = &c->s;
	b->r = &c->r;
	b->best = INT64_MAX;
	for (uint32_t l = 0; l < c->s.n_links; l++) {
		b->cap[l] = left->link_kbps[l];
		b->link_weight[l] = weigh(c, c->s.links[l].cost_micro, left->link_kbps[l]);
	}
	for (uint32_t a = 0; a < c->s.n_nodes; a++) {
		memcpy(b->node[a], left->node[a], sizeof(b->node[a]));
		b->node_weight[a] = weigh(c, c->s.nodes[a].cost_micro, left->node[a][RES_CPU_MILLI]);
		find_ways(b, a, a, 1u << a, (struct way){ 0 });
	}
	settle(b, 0, 0, 0);
	for (uint32_t k = 0; k < MAX_VLINKS; k++)
		vec_done(&b->choices[k]);
	int64_t best = b->best;
	free(b);
	return best;
}

/* ---- the comparison ------------------------------------------------------------------------ */

struct tally {
	int cases, feasible, undecided, refused, found, told; /* told: calls of progress() */
};

/* One answer under way. */
struct watch {
	const struct one_case *c;
	const char *solver;
	int64_t optimum, effort;
	double scale, slack; /* parts in a unit; what rounding may make, in units */
	double bound, objective; /* told last */
	int told, stop_at; /* stops at this call of progress(); 0: never */
};

static inline void complain(const struct watch *w, const struct solution *answer, const char *what)
{
	fail_msg("%s, effort %lld: %s: %s, objective %.12f, bound %.12f, reason %s; brute force says %.12f\nfeatures %#x%s\n---\n%s---\n%s",
	         w->solver, (long long)w->effort, what, solve_status_names[answer->status], answer->objective,
	         answer->has_bound ? answer->bound : -1.0, answer->reason,
	         w->optimum == INT64_MAX ? -1.0 : (double)w->optimum / w->scale, w->c->features,
	         w->c->features & F_USED ? " (partly used: what is left is not shown)" : "",
	         buf_cstr(&w->c->substrate), buf_cstr(&w->c->request));
}

/* What holds of every answer at any time, finished or not. */
static inline void check_answer(const struct watch *w, const struct solution *answer)
{
	const struct one_case *c = w->c;
	double truth = (double)w->optimum / w->scale;
	struct err err = { 0 };

	if (answer->has_embedding && embedding_check(&c->s, &c->left, &c->r, &answer->embedding, &err) != 0)
		complain(w, answer, err.text);
	if (answer->has_embedding && w->optimum == INT64_MAX)
		complain(w, answer, "feasible though impossible");
	if (answer->has_embedding) {
		double value = (double)objective_of(c, &answer->embedding) / w->scale;
		if (value < truth - w->slack)
			complain(w, answer, "better than possible");
		if (fabs(value - answer->objective) > value * 1e-12 + w->slack)
			complain(w, answer, "the objective is not the embedding's");
	}
	if (w->optimum != INT64_MAX && answer->has_bound && answer->bound > truth * (1 + 1e-12) + w->slack)
		complain(w, answer, "bound above the optimum");
}

static inline bool watch_progress(void *arg, const struct solution *best)
{
	struct watch *w = arg;

	w->told++;
	check_answer(w, best);
	if (best->has_bound && best->bound < w->bound)
		complain(w, best, "the bound fell");
	if (best->has_embedding && best->objective > w->objective)
		complain(w, best, "the incumbent got worse");
	w->bound = best->has_bound ? best->bound : w->bound;
	w->objective = best->has_embedding ? best->objective : w->objective;
	return w->told != w->stop_at;
}

/* "now" if it would fit the empty substrate, else "never"; only who decides nothing may leave it unsaid. */
static inline void check_scope(const struct watch *w, const struct solution *answer, bool decides)
{
	struct residual all;

	residual_init(&all, &w->c->s);
	enum solve_scope truth = brute_force(w->c, &all) == INT64_MAX ? SCOPE_NEVER : SCOPE_NOW;
	residual_done(&all);
	if (answer->scope != truth && (decides || answer->scope != SCOPE_UNSAID))
		complain(w, answer, "the wrong scope");
}

/* decides: it must come to its end within the effort. */
static inline void compare_stopped(const struct one_case *c, const char *solver, int64_t effort, int stop_at, int64_t optimum,
                                   bool decides, struct tally *tally)
{
	double scale = c->features & F_BALANCE ? 1e15 : 1e9;
	struct watch watch = { .c = c, .solver = solver, .effort = effort, .optimum = optimum, .scale = scale, .stop_at = stop_at,
	                       .slack = c->features & F_BALANCE ? 1e-10 : 0, .bound = -INFINITY, .objective = INFINITY };
	struct embed_options options = { .solver = solver, .effort = effort, .seed = 7, .progress = watch_progress, .arg = &watch,
	                                 .objective = c->features & F_BALANCE ? OBJECTIVE_BALANCE : OBJECTIVE_COST };
	struct solution answer = { 0 };
	struct err err = { 0 };

	if (embed_solve(&c->s, &c->left, &c->r, &options, &answer, &err) != 0)
		fail_msg("%s: %s", solver, err.text);
	check_answer(&watch, &answer);
	if (answer.has_embedding != (answer.status == SOLVE_OPTIMAL || answer.status == SOLVE_FEASIBLE))
		complain(&watch, &answer, "status and embedding differ");
	if (answer.status == SOLVE_OPTIMAL && answer.objective > (double)optimum / scale * (1 + 1e-12) + watch.slack)
		complain(&watch, &answer, "not optimal");
	if (answer.status == SOLVE_INFEASIBLE && optimum != INT64_MAX)
		complain(&watch, &answer, "not infeasible");
	if (!answer.has_embedding && !answer.reason[0])
		complain(&watch, &answer, "no reason");
	if (answer.status == SOLVE_INFEASIBLE)
		check_scope(&watch, &answer, decides);
	if (answer.has_embedding && answer.objective > watch.objective)
		complain(&watch, &answer, "worse than what was told");
	if (answer.has_bound && optimum != INT64_MAX && answer.bound < watch.bound)
		complain(&watch, &answer, "a bound that was told is lost");
	if (decides && answer.status != SOLVE_OPTIMAL && answer.status != SOLVE_INFEASIBLE)
		complain(&watch, &answer, "undecided");
	tally->cases++;
	tally->feasible += optimum != INT64_MAX;
	tally->found += answer.has_embedding;
	tally->refused += answer.status == SOLVE_REFUSED;
	tally->undecided += answer.status == SOLVE_UNKNOWN || answer.status == SOLVE_FEASIBLE;
	tally->told += watch.told;
	solution_done(&answer);
}

static inline void compare(const struct one_case *c, const char *solver, int64_t effort, int64_t optimum, bool decides,
                           struct tally *tally)
{
	compare_stopped(c, solver, effort, 0, optimum, decides, tally);
}
