/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Solvers against brute force: random tiny substrates and requests, every feature of formats.md,
 * every choice of hosts and paths enumerated by code that shares nothing with the solvers. A
 * case that fails is printed as YAML, to be replayed with vnembed. */
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
	F_BEST_EFFORT = 256, F_RISKS = 512, F_MEMORY = 1024, F_FREE = 2048, F_TIGHT = 4096, F_USED = 8192, F_PARALLEL = 16384,
};

/* ---- random cases -------------------------------------------------------------------------- */

struct one_case {
	struct buf substrate, request;
	struct substrate s;
	struct request r;
	struct residual left;
	unsigned features;
};

static uint32_t below(struct rng *rng, uint32_t n)
{
	return rng_below(rng, n);
}

static void write_snode(struct buf *out, struct rng *rng, uint32_t i, unsigned f)
{
	buf_printf(out, "  - {name: s%u, cpu: %u, cost: %u", i, below(rng, f & F_TIGHT ? 3 : 5), f & F_FREE ? 0 : below(rng, 4));
	if (f & F_MEMORY)
		buf_printf(out, ", memory: %uMiB", below(rng, 4));
	if (f & F_KINDS && below(rng, 8) == 0)
		buf_printf(out, ", agent: false");
	else if (f & F_KINDS && below(rng, 2))
		buf_printf(out, ", routers: %s", below(rng, 3) ? "[netns]" : below(rng, 2) ? "[xen, netns]" : "[]");
	if (f & F_PORTS)
		buf_printf(out, ", max_ports: %u, max_routers: %u", below(rng, 7), below(rng, 4));
	if (f & F_PLACE)
		buf_printf(out, ", labels: {site: %c}, position: [%u, %u]", "xy"[below(rng, 2)], below(rng, 10), below(rng, 10));
	buf_printf(out, "}\n");
}

static void write_slinks(struct buf *out, struct rng *rng, uint32_t n, unsigned f)
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

static void write_vnode(struct buf *out, struct rng *rng, uint32_t u, uint32_t n, unsigned f)
{
	buf_printf(out, "  - {name: v%u, cpu: %s", u, (const char *[]){ "0", "0.5", "1", "2" }[below(rng, 4)]);
	if (f & F_MEMORY)
		buf_printf(out, ", memory: %uMiB", below(rng, 3));
	if (f & F_KINDS && below(rng, 2))
		buf_printf(out, ", router: %s", below(rng, 2) ? "netns" : "xen");
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

static void write_vlinks(struct buf *out, struct rng *rng, uint32_t n, unsigned f)
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

static void case_done(struct one_case *c)
{
	residual_done(&c->left);
	substrate_done(&c->s);
	request_done(&c->r);
	buf_done(&c->substrate);
	buf_done(&c->request);
}

static void case_parse(struct one_case *c)
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

static void case_make(struct one_case *c, uint64_t seed, unsigned features)
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
	struct way ways[MAX_NODES][MAX_NODES][MAX_PATHS];
	int n_ways[MAX_NODES][MAX_NODES];
	uint32_t host[MAX_V];
	int64_t node[MAX_NODES][RES_COUNT], cap[MAX_LINKS];
	VEC(struct choice) choices[MAX_VLINKS];
	int64_t best; /* INT64_MAX: infeasible */
};

static void find_ways(struct brute *b, uint32_t from, uint32_t at, uint32_t seen, struct way way)
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
		          way.cost + link->cost_micro, way.hops + 1 });
	}
}

static bool in_time(const struct vlink *k, const struct way *w)
{
	return k->max_delay_us < 0 || w->delay <= k->max_delay_us;
}

static bool apart(const struct brute *b, const struct way *w, const struct way *x)
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

static void load(const struct brute *b, struct choice *c, const struct way *w, int64_t kbps)
{
	c->cost += w->cost * kbps;
	for (uint32_t l = 0; l < b->s->n_links; l++)
		if (w->links >> l & 1)
			c->kbps[l] = (uint8_t)(c->kbps[l] + kbps);
}

static void share_out(struct brute *b, uint32_t k, const struct way *ways, int n, int i, int64_t rest, struct choice c)
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

static void find_choices(struct brute *b, uint32_t k)
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

static void carry(struct brute *b, uint32_t k, int64_t cost)
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

static void settle(struct brute *b, uint32_t u, uint32_t used, int64_t cost)
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
		settle(b, u + 1, used | 1u << a, cost + v->demand[RES_CPU_MILLI] * b->s->nodes[a].cost_micro);
		for (int res = 0; res < RES_COUNT; res++)
			b->node[a][res] += b->node[a][res] == UNLIMITED ? 0 : v->demand[res];
	}
}

/* The optimum in nano-units on what is left; INT64_MAX: infeasible. */
static int64_t brute_force(const struct one_case *c, const struct residual *left)
{
	struct brute *b = mem_alloc(sizeof(*b));

	b->s = &c->s;
	b->r = &c->r;
	b->best = INT64_MAX;
	for (uint32_t a = 0; a < c->s.n_nodes; a++) {
		memcpy(b->node[a], left->node[a], sizeof(b->node[a]));
		find_ways(b, a, a, 1u << a, (struct way){ 0 });
	}
	for (uint32_t l = 0; l < c->s.n_links; l++)
		b->cap[l] = left->link_kbps[l];
	settle(b, 0, 0, 0);
	for (uint32_t k = 0; k < MAX_VLINKS; k++)
		vec_done(&b->choices[k]);
	int64_t best = b->best;
	free(b);
	return best;
}

/* ---- the comparison ------------------------------------------------------------------------ */

struct tally {
	int cases, feasible, undecided, refused, found;
};

static void complain(const struct one_case *c, const char *solver, const struct solution *answer, int64_t optimum,
                     const char *what)
{
	fail_msg("%s: %s: %s, cost %.9f, bound %.9f, reason %s; brute force says %.9f\n---\n%s---\n%s", solver, what,
	         solve_status_names[answer->status], answer->cost, answer->bound, answer->reason,
	         optimum == INT64_MAX ? -1.0 : (double)optimum / 1e9, buf_cstr(&c->substrate), buf_cstr(&c->request));
}

/* "now" if it would fit the empty substrate, else "never"; only who decides nothing may leave it unsaid. */
static void check_scope(const struct one_case *c, const char *solver, const struct solution *answer, int64_t optimum,
                        bool decides)
{
	struct residual all;

	residual_init(&all, &c->s);
	enum solve_scope truth = brute_force(c, &all) == INT64_MAX ? SCOPE_NEVER : SCOPE_NOW;
	residual_done(&all);
	if (answer->scope != truth && (decides || answer->scope != SCOPE_UNSAID))
		complain(c, solver, answer, optimum, "the wrong scope");
}

static void compare(const struct one_case *c, const char *solver, int64_t effort, int64_t optimum, bool decides,
                    struct tally *tally)
{
	struct embed_options options = { .solver = solver, .effort = effort, .seed = 7 };
	struct solution answer = { 0 };
	struct err err = { 0 };

	if (embed_solve(&c->s, &c->left, &c->r, &options, &answer, &err) != 0)
		fail_msg("%s: %s", solver, err.text);
	int64_t cost = answer.has_embedding ? embedding_cost_nano(&c->s, &c->r, &answer.embedding) : 0;
	double truth = (double)optimum / 1e9;
	if (answer.has_embedding && embedding_check(&c->s, &c->left, &c->r, &answer.embedding, &err) != 0)
		complain(c, solver, &answer, optimum, err.text);
	if (answer.has_embedding != (answer.status == SOLVE_OPTIMAL || answer.status == SOLVE_FEASIBLE))
		complain(c, solver, &answer, optimum, "status and embedding differ");
	if (answer.has_embedding && (optimum == INT64_MAX || cost < optimum))
		complain(c, solver, &answer, optimum, "better than possible");
	if (answer.status == SOLVE_OPTIMAL && cost != optimum)
		complain(c, solver, &answer, optimum, "not optimal");
	if (answer.status == SOLVE_INFEASIBLE && (optimum != INT64_MAX || !answer.reason[0]))
		complain(c, solver, &answer, optimum, "not infeasible, or no reason");
	if (answer.status == SOLVE_INFEASIBLE)
		check_scope(c, solver, &answer, optimum, decides);
	if (optimum != INT64_MAX && answer.has_bound && answer.bound > truth * (1 + 1e-12))
		complain(c, solver, &answer, optimum, "bound above the optimum");
	if (decides && answer.status != SOLVE_OPTIMAL && answer.status != SOLVE_INFEASIBLE)
		complain(c, solver, &answer, optimum, "undecided");
	tally->cases++;
	tally->feasible += optimum != INT64_MAX;
	tally->found += answer.has_embedding;
	tally->refused += answer.status == SOLVE_REFUSED;
	tally->undecided += answer.status == SOLVE_UNKNOWN || answer.status == SOLVE_FEASIBLE;
	solution_done(&answer);
}

static void run(unsigned features, int cases)
{
	struct tally heuristic = { 0 }, mip = { 0 }, exact = { 0 }, automatic = { 0 };

	for (int i = 0; i < cases; i++) {
		struct one_case c;
		case_make(&c, features * 100003u + (unsigned)i, features);
		int64_t optimum = brute_force(&c, &c.left);
		/* The paths of a split link in time are few here: even these are decided, each and every one. */
		compare(&c, "heuristic", 200, optimum, false, &heuristic);
		compare(&c, "mip", 2500, optimum, true, &mip);
		compare(&c, "exact", 2500, optimum, true, &exact);
		if (i % 4 == 0 || features & F_PARALLEL)
			compare(&c, "auto", 2500, optimum, true, &automatic);
		case_done(&c);
	}
	/* The cases must be worth something, and the heuristic must not live on refusals. */
	assert_true(mip.feasible * 5 > cases);
	assert_true(mip.undecided == 0 && exact.undecided == 0 && automatic.undecided == 0);
	assert_true(heuristic.found * 10 >= heuristic.feasible * 9);
}

#define FEATURE_TEST(name, features, cases) \
	static void name(void **state) { run(features, cases); }

FEATURE_TEST(plain, 0, 60)
FEATURE_TEST(tight, F_TIGHT, 80)
FEATURE_TEST(free_hosts, F_FREE | F_TIGHT, 40)
FEATURE_TEST(delay, F_DELAY, 60)
FEATURE_TEST(pack, F_PACK, 60)
FEATURE_TEST(pack_tight, F_PACK | F_TIGHT | F_PORTS, 80)
FEATURE_TEST(split, F_SPLIT, 60)
FEATURE_TEST(split_pack, F_SPLIT | F_PACK, 40)
FEATURE_TEST(split_delay, F_SPLIT | F_DELAY, 60)
FEATURE_TEST(split_delay_pack, F_SPLIT | F_DELAY | F_PACK, 60)
FEATURE_TEST(split_delay_tight, F_SPLIT | F_DELAY | F_TIGHT | F_PACK | F_BEST_EFFORT, 150)
FEATURE_TEST(split_delay_parallel, F_SPLIT | F_DELAY | F_PARALLEL | F_PACK, 150)
FEATURE_TEST(split_delay_used, F_SPLIT | F_DELAY | F_USED, 60)
FEATURE_TEST(protection, F_PROTECT, 60)
FEATURE_TEST(protection_risks, F_PROTECT | F_RISKS, 60)
FEATURE_TEST(protection_delay, F_PROTECT | F_RISKS | F_DELAY | F_PACK, 60)
FEATURE_TEST(kinds, F_KINDS, 40)
FEATURE_TEST(place, F_PLACE, 60)
FEATURE_TEST(ports_memory, F_PORTS | F_MEMORY, 60)
FEATURE_TEST(best_effort, F_BEST_EFFORT, 40)
FEATURE_TEST(best_effort_delay, F_BEST_EFFORT | F_DELAY | F_TIGHT, 60)
FEATURE_TEST(best_effort_protected, F_BEST_EFFORT | F_PROTECT | F_DELAY | F_RISKS, 60)
FEATURE_TEST(used, F_USED, 50)
FEATURE_TEST(used_everything, F_USED | F_DELAY | F_PROTECT | F_BEST_EFFORT | F_PACK, 60)
FEATURE_TEST(everything, F_DELAY | F_MEMORY | F_PORTS | F_BEST_EFFORT | F_KINDS, 60)
FEATURE_TEST(everything_packed, F_DELAY | F_PROTECT | F_PLACE | F_MEMORY | F_BEST_EFFORT | F_RISKS | F_PACK, 60)

static enum solve_status solve(struct one_case *c, const char *solver, int64_t effort, double *ret_cost, char *ret_reason)
{
	struct embed_options options = { .solver = solver, .effort = effort, .seed = 7 };
	struct solution answer = { 0 };
	struct err err = { 0 };

	assert_int_equal(embed_solve(&c->s, &c->left, &c->r, &options, &answer, &err), 0);
	enum solve_status status = answer.status;
	*ret_cost = answer.has_embedding ? answer.cost : -1;
	if (ret_reason)
		snprintf(ret_reason, sizeof(answer.reason), "%s", answer.reason);
	solution_done(&answer);
	return status;
}

static const char *const provers[] = { "mip", "exact", "auto" };

/* The quick link is too narrow, both together are slow only in the mean. */
static void split_delay_by_hand(void **state)
{
	struct one_case c = { 0 };
	double cost;

	buf_printf(&c.substrate, "kind: substrate\nname: tiny\nnodes:\n  - {name: n0, cpu: 1}\n  - {name: n1, cpu: 2, routers: [netns]}\n"
	           "links:\n  - {name: l0, endpoints: [n0, n1], bandwidth: 10mbit, delay: 8ms}\n"
	           "  - {name: l1, endpoints: [n0, n1], bandwidth: 10mbit, delay: 0ms}\n");
	buf_printf(&c.request, "kind: network\nname: tiny\nplacement: pack\nnodes:\n  - {name: r0, cpu: 2}\n  - {name: r1, cpu: 0.5}\n"
	           "links:\n  - {name: v0, endpoints: [r1, r0], bandwidth: 8mbit}\n"
	           "  - {name: v1, endpoints: [r0, r1], bandwidth: 0mbit, paths: split}\n"
	           "  - {name: v2, endpoints: [r0, r1], bandwidth: 12mbit, max_delay: 3ms, paths: split}\n");
	case_parse(&c);
	residual_init(&c.left, &c.s);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(solve(&c, provers[i], 2500, &cost, NULL), SOLVE_INFEASIBLE);
	case_done(&c);
}

/* n links of 10mbit side by side, the k-th for k each, one of them too slow; a split of `mbit` over them. */
static void make_parallel(struct one_case *c, int n, int mbit)
{
	*c = (struct one_case){ 0 };
	buf_printf(&c->substrate, "kind: substrate\nname: tiny\nnodes:\n  - {name: n0, cpu: 1}\n  - {name: n1, cpu: 1}\nlinks:\n");
	for (int k = 1; k <= n; k++)
		buf_printf(&c->substrate, "  - {name: l%d, endpoints: [n0, n1], bandwidth: 10mbit, delay: %dms, cost: %d}\n", k, k == 1 ? 9 : 1, k);
	buf_printf(&c->request, "kind: network\nname: tiny\nnodes:\n  - {name: r0, cpu: 1}\n  - {name: r1, cpu: 1}\n"
	           "links:\n  - {endpoints: [r0, r1], bandwidth: %dmbit, max_delay: 3ms, paths: split}\n", mbit);
	case_parse(c);
	residual_init(&c->left, &c->s);
}

/* Eight paths carry 80 Mbit/s and no more, though eleven are in time. */
static void split_more_than_eight(void **state)
{
	struct one_case c;
	double cost;

	for (size_t i = 0; i < 3; i++) {
		make_parallel(&c, 12, 75);
		assert_int_equal(solve(&c, provers[i], 20000, &cost, NULL), SOLVE_OPTIMAL);
		assert_true(fabs(cost - (2 + 10 * (2 + 3 + 4 + 5 + 6 + 7 + 8) + 5 * 9)) < 1e-6);
		case_done(&c);
		make_parallel(&c, 12, 81);
		assert_int_equal(solve(&c, provers[i], 20000, &cost, NULL), SOLVE_INFEASIBLE);
		case_done(&c);
	}
}

/* More paths than are weighed one by one, and none of the eight widest is wide enough: no limit is near, and
 * none is blamed. */
static void undecided_says_why(void **state)
{
	struct one_case c;
	char reason[sizeof(((struct solution *)NULL)->reason)];
	double cost;

	for (size_t i = 0; i < 3; i++) {
		make_parallel(&c, 450, 81);
		assert_int_equal(solve(&c, provers[i], 1000000, &cost, reason), SOLVE_UNKNOWN);
		assert_non_null(strstr(reason, "undecided, though no limit came"));
		case_done(&c);
	}
	/* An embedding in hand goes into such a model all the same. */
	for (size_t i = 0; i < 3; i++) {
		make_parallel(&c, 450, 75);
		enum solve_status status = solve(&c, provers[i], 100000, &cost, NULL);
		assert_true(status == SOLVE_OPTIMAL || status == SOLVE_FEASIBLE);
		case_done(&c);
	}
	make_parallel(&c, 450, 81);
	assert_int_equal(solve(&c, "mip", 1, &cost, reason), SOLVE_UNKNOWN);
	assert_non_null(strstr(reason, "the limit came before"));
	case_done(&c);
}

/* Under `balance` there is no brute force; two solvers that share no search must find the same. */
static void solvers_agree_on_balance(void **state)
{
	for (int i = 0; i < 30; i++) {
		struct one_case c;
		struct solution answers[2] = { { 0 }, { 0 } };
		static const char *const solvers[] = { "mip", "exact" };
		case_make(&c, 777u + (unsigned)i, F_USED | (i % 2 ? F_DELAY : F_PROTECT));
		for (int k = 0; k < 2; k++) {
			struct embed_options options = { .solver = solvers[k], .effort = 2500, .objective = OBJECTIVE_BALANCE };
			struct err err = { 0 };
			assert_int_equal(embed_solve(&c.s, &c.left, &c.r, &options, &answers[k], &err), 0);
			assert_true(answers[k].status == SOLVE_OPTIMAL || answers[k].status == SOLVE_INFEASIBLE);
		}
		assert_int_equal(answers[0].status, answers[1].status);
		if (answers[0].has_embedding)
			assert_true(fabs(answers[0].objective - answers[1].objective) <= 1e-6 * answers[0].objective);
		solution_done(&answers[0]);
		solution_done(&answers[1]);
		case_done(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain), cmocka_unit_test(tight), cmocka_unit_test(free_hosts), cmocka_unit_test(delay),
		cmocka_unit_test(pack), cmocka_unit_test(pack_tight), cmocka_unit_test(split), cmocka_unit_test(split_pack),
		cmocka_unit_test(split_delay), cmocka_unit_test(split_delay_pack), cmocka_unit_test(split_delay_tight),
		cmocka_unit_test(split_delay_parallel), cmocka_unit_test(split_delay_used), cmocka_unit_test(split_delay_by_hand),
		cmocka_unit_test(split_more_than_eight), cmocka_unit_test(undecided_says_why),
		cmocka_unit_test(protection), cmocka_unit_test(protection_risks),
		cmocka_unit_test(protection_delay), cmocka_unit_test(kinds), cmocka_unit_test(place),
		cmocka_unit_test(ports_memory), cmocka_unit_test(best_effort), cmocka_unit_test(best_effort_delay),
		cmocka_unit_test(best_effort_protected), cmocka_unit_test(used), cmocka_unit_test(used_everything), cmocka_unit_test(everything), cmocka_unit_test(everything_packed),
		cmocka_unit_test(solvers_agree_on_balance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
