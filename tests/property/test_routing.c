/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The routing program against brute force: small random substrates with hosts given, every choice of simple
 * paths enumerated by code that shares nothing with it. Optimum, exclusion, and that no bound is ever above
 * the optimum: for all links and for some, under cutoffs, under prices, and with GLPK failing on purpose. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/help_model.h"

#include "base/buf.h"
#include "base/vec.h"
#include "embed/rng.h"
#include "embed/routing.h"

enum { NODES_MAX = 9, LINKS_MAX = 16, VLINKS_MAX = 6, WAYS_MAX = 4000 };
enum { F_DELAY = 1, F_SPLIT = 2, F_PROTECT = 4, F_RISKS = 8, F_BEST_EFFORT = 16, F_TIGHT = 32, F_PRICES = 64, F_TROUBLE = 128 };

struct choice {
	int64_t cost;
	uint8_t kbps[LINKS_MAX];
};

struct way {
	uint32_t links;
	int64_t delay;
};

struct scene {
	struct buf substrate, request;
	struct substrate s;
	struct request r;
	struct residual left;
	struct rng rng;
	unsigned features;
	uint32_t host[2 * VLINKS_MAX];
	VEC(struct choice) choices[VLINKS_MAX];
	const int64_t *weight[VLINKS_MAX]; /* what the brute force adds up */
	struct routing_prices prices;
	struct tally *tally;
};

struct tally {
	int cases, optimal, excluded, undecided, skipped, priced;
};

static uint32_t below(struct scene *c, uint32_t n)
{
	return rng_below(&c->rng, n);
}

/* ---- random cases -------------------------------------------------------------------------- */

static void write_substrate(struct scene *c, uint32_t n)
{
	uint32_t most = c->features & F_SPLIT ? n + 2 : n + 6, links = n + below(c, (most < LINKS_MAX ? most : LINKS_MAX) - n + 1);

	buf_printf(&c->substrate, "kind: substrate\nname: s\nnodes:\n");
	for (uint32_t i = 0; i < n; i++)
		buf_printf(&c->substrate, "  - {name: s%u, cpu: 10}\n", i);
	buf_printf(&c->substrate, "links:\n");
	for (uint32_t l = 0; l < links; l++) {
		uint32_t a = l + 1 < n ? l + 1 : below(c, n), b = l + 1 < n ? below(c, a) : below(c, n);
		uint32_t bandwidth = 3 + below(c, c->features & F_TIGHT ? 7 : 12), cost = 1 + below(c, 5);
		if (a == b)
			b = (a + 1) % n;
		buf_printf(&c->substrate, "  - {name: l%u, endpoints: [s%u, s%u], bandwidth: %ukbit, cost: %u", l, a, b, bandwidth, cost);
		if (c->features & F_DELAY)
			buf_printf(&c->substrate, ", delay: %ums", below(c, 5));
		if (c->features & F_RISKS && below(c, 2))
			buf_printf(&c->substrate, ", risks: [d%u]", below(c, 4));
		buf_printf(&c->substrate, "}\n");
	}
}

static void write_request(struct scene *c, uint32_t n)
{
	uint32_t links = c->features & F_SPLIT ? 1 + below(c, 3) : 2 + below(c, VLINKS_MAX - 1);

	buf_printf(&c->request, "kind: network\nname: r\nnodes:\n");
	for (uint32_t u = 0; u < n; u++)
		buf_printf(&c->request, "  - {name: v%u, cpu: 1}\n", u);
	buf_printf(&c->request, "links:\n");
	for (uint32_t k = 0; k < links; k++) {
		uint32_t a = below(c, n), b = (a + 1 + below(c, n - 1)) % n;
		bool best_effort = c->features & F_BEST_EFFORT && below(c, 3) == 0;
		bool split = c->features & F_SPLIT && below(c, 3);
		buf_printf(&c->request, "  - {name: k%u, endpoints: [v%u, v%u], bandwidth: %ukbit", k, a, b,
		           best_effort ? 0 : 1 + below(c, split ? 4 : 5));
		if (c->features & F_DELAY && below(c, 2))
			buf_printf(&c->request, ", max_delay: %ums", 3 + below(c, 9));
		if (split)
			buf_printf(&c->request, ", paths: split");
		else if (c->features & F_PROTECT && below(c, 2) && !best_effort)
			buf_printf(&c->request, ", protection: link");
		buf_printf(&c->request, "}\n");
	}
}

static void scene_make(struct scene *c, uint64_t seed, unsigned features, struct tally *tally)
{
	uint32_t n, v;

	*c = (struct scene){ .features = features, .tally = tally };
	rng_init(&c->rng, seed);
	n = features & F_SPLIT ? 4 + below(c, 2) : 4 + below(c, NODES_MAX - 3);
	v = 2 + below(c, n - 2);
	write_substrate(c, n);
	write_request(c, v);
	c->s = help_substrate(buf_cstr(&c->substrate));
	c->r = help_request(buf_cstr(&c->request));
	residual_init(&c->left, &c->s);
	for (uint32_t l = 0; l < c->s.n_links; l++)
		if (below(c, 4) == 0)
			c->left.link_kbps[l] = below(c, (uint32_t)c->left.link_kbps[l] + 1);
	for (uint32_t u = 0; u < v; u++) {
		bool taken = true;
		while (taken) {
			taken = false;
			c->host[u] = below(c, n);
			for (uint32_t w = 0; w < u; w++)
				taken = taken || c->host[w] == c->host[u];
		}
	}
}

static void scene_done(struct scene *c)
{
	for (size_t k = 0; k < VLINKS_MAX; k++)
		vec_done(&c->choices[k]);
	residual_done(&c->left);
	substrate_done(&c->s);
	request_done(&c->r);
	buf_done(&c->substrate);
	buf_done(&c->request);
}

static void complain(const struct scene *c, const char *what, double got, double truth)
{
	buf_auto struct buf hosts = BUF_INIT;

	for (size_t u = 0; u < c->r.n_nodes; u++)
		buf_printf(&hosts, " s%u", c->host[u]);
	for (size_t l = 0; l < c->s.n_links; l++)
		buf_printf(&hosts, "%s l%zu:%lld", l ? "" : "; left", l, (long long)c->left.link_kbps[l]);
	fail_msg("%s: %.3f, brute force says %.3f; hosts%s\n---\n%s---\n%s", what, got, truth, buf_cstr(&hosts), buf_cstr(&c->substrate),
	         buf_cstr(&c->request));
}

/* ---- brute force --------------------------------------------------------------------------- */

struct ways {
	struct way v[WAYS_MAX];
	int n;
};

static void find_ways(const struct scene *c, uint32_t at, uint32_t to, uint32_t seen, struct way way, struct ways *ret)
{
	if (at == to) {
		assert_in_range(ret->n, 0, WAYS_MAX - 1);
		ret->v[ret->n++] = way;
		return;
	}
	for (uint32_t l = 0; l < c->s.n_links; l++) {
		const struct slink *link = &c->s.links[l];
		uint32_t next = link->a == at ? link->b : link->a;
		if ((link->a == at || link->b == at) && !(seen & 1u << next))
			find_ways(c, next, to, seen | 1u << next, (struct way){ way.links | 1u << l, way.delay + link->delay_us }, ret);
	}
}

static void load(const struct scene *c, uint32_t k, struct choice *choice, const struct way *w, int64_t kbps)
{
	for (uint32_t l = 0; l < c->s.n_links; l++)
		if (w->links >> l & 1) {
			choice->kbps[l] = (uint8_t)(choice->kbps[l] + kbps);
			choice->cost += c->weight[k][l] * kbps;
		}
}

static bool apart(const struct scene *c, const struct way *w, const struct way *x)
{
	for (uint32_t i = 0; i < c->s.n_links; i++)
		for (uint32_t j = 0; j < c->s.n_links; j++) {
			const struct slink *a = &c->s.links[i], *b = &c->s.links[j];
			if (!(w->links >> i & 1) || !(x->links >> j & 1))
				continue;
			if (i == j || (a->risks.n && b->risks.n && strcmp(a->risks.v[0], b->risks.v[0]) == 0))
				return false;
		}
	return true;
}

static void share_out(struct scene *c, uint32_t k, const struct ways *ways, int i, int64_t rest, int n_paths, struct choice choice)
{
	if (rest == 0)
		*vec_add(&c->choices[k]) = choice;
	for (; rest > 0 && n_paths < PATHS_MAX && i < ways->n; i++)
		for (int64_t amount = 1; amount <= rest; amount++) {
			struct choice more = choice;
			load(c, k, &more, &ways->v[i], amount);
			share_out(c, k, ways, i + 1, rest - amount, n_paths + 1, more);
		}
}

static void find_choices(struct scene *c, uint32_t k)
{
	const struct vlink *link = &c->r.links[k];
	mem_auto struct ways *all = mem_alloc(sizeof(*all));
	int n = 0;

	c->choices[k].n = 0;
	if (link->bw_kbps == 0) {
		*vec_add(&c->choices[k]) = (struct choice){ 0 };
		return;
	}
	find_ways(c, c->host[link->a], c->host[link->b], 1u << c->host[link->a], (struct way){ 0 }, all);
	for (int i = 0; i < all->n; i++)
		if (link->max_delay_us < 0 || all->v[i].delay <= link->max_delay_us)
			all->v[n++] = all->v[i];
	all->n = n;
	if (link->split) {
		share_out(c, k, all, 0, link->bw_kbps, 0, (struct choice){ 0 });
		return;
	}
	for (int i = 0; i < all->n; i++)
		for (int j = 0; j < (link->protect ? all->n : 1); j++) {
			struct choice choice = { 0 };
			if (link->protect && !apart(c, &all->v[i], &all->v[j]))
				continue;
			load(c, k, &choice, &all->v[i], link->bw_kbps);
			if (link->protect)
				load(c, k, &choice, &all->v[j], link->bw_kbps);
			*vec_add(&c->choices[k]) = choice;
		}
}

static int by_cost(const void *a, const void *b)
{
	const struct choice *x = a, *y = b;

	return x->cost < y->cost ? -1 : x->cost > y->cost;
}

/* Choices sorted by cost: what the rest costs at least is known. */
static void carry(const struct scene *c, const uint32_t *links, size_t n, int64_t *cap, int64_t cost, int64_t *best)
{
	int64_t rest = 0;

	for (size_t i = 0; i < n; i++)
		rest += c->choices[links[i]].n ? c->choices[links[i]].v[0].cost : 0;
	if (n == 0 && cost < *best)
		*best = cost;
	for (size_t i = 0; n > 0 && i < c->choices[links[0]].n; i++) {
		const struct choice *choice = &c->choices[links[0]].v[i];
		bool fits = true;
		if (cost + rest - c->choices[links[0]].v[0].cost + choice->cost >= *best)
			return;
		for (uint32_t l = 0; l < c->s.n_links; l++)
			fits = (cap[l] -= choice->kbps[l]) >= 0 && fits;
		if (fits)
			carry(c, links + 1, n - 1, cap, cost + choice->cost, best);
		for (uint32_t l = 0; l < c->s.n_links; l++)
			cap[l] += choice->kbps[l];
	}
}

static double brute_force(struct scene *c, const uint32_t *links, size_t n)
{
	int64_t best = INT64_MAX, cap[LINKS_MAX];

	for (size_t i = 0; i < n; i++) {
		find_choices(c, links[i]);
		if (c->choices[links[i]].n)
			qsort(c->choices[links[i]].v, c->choices[links[i]].n, sizeof(struct choice), by_cost);
	}
	memcpy(cap, c->left.link_kbps, c->s.n_links * sizeof(*cap));
	carry(c, links, n, cap, 0, &best);
	return best == INT64_MAX ? INFINITY : (double)best;
}

/* ---- comparisons --------------------------------------------------------------------------- */

static struct scene *scene; /* what search_run() cannot hand through */

static enum lp_trouble trouble(void *arg, int attempt)
{
	return (enum lp_trouble)(rng_next(arg) >> 20 & 3);
}

static struct lp_faults faults_of(struct rng *rng)
{
	return (struct lp_faults){ trouble, rng };
}

static void check(struct scene *c, enum routing_verdict verdict, double bound, double cutoff, double truth)
{
	if (bound > truth * (1 + 1e-12))
		if (!(isfinite(truth) && truth > cutoff && bound > cutoff)) /* above the cutoff it may say anything above it */
			complain(c, "bound above the optimum", bound, truth);
	if (verdict == ROUTING_EXCLUDED && isfinite(truth) && truth <= cutoff)
		complain(c, "excluded", cutoff, truth);
	if (verdict == ROUTING_EXCLUDED && bound <= cutoff && isfinite(cutoff))
		complain(c, "excluded without a bound above the cutoff", bound, cutoff);
	if (verdict == ROUTING_EXCLUDED && isfinite(bound) && !isfinite(cutoff))
		complain(c, "excluded for good with a finite bound", bound, truth);
}

static void ask_whole(struct scene *c, struct search *s, struct routing_pool *pool, double cutoff, double truth)
{
	uint32_t links[VLINKS_MAX];
	struct routing_ask ask = { .links = links, .n = c->r.n_links, .host = c->host, .cutoff = cutoff, .whole = true };
	struct path_space space;
	struct layout at;
	double bound;

	for (uint32_t k = 0; k < c->r.n_links; k++)
		links[k] = k;
	path_space_init(&space, &s->problem.graph);
	layout_init(&at, &s->problem, &space);
	for (uint32_t u = 0; u < c->r.n_nodes; u++)
		layout_place(&at, u, c->host[u]);
	enum routing_verdict verdict = routing_solve(pool, &ask, &at, &bound);
	check(c, verdict, bound, cutoff, truth);
	c->tally->cases++;
	c->tally->optimal += verdict == ROUTING_OPTIMAL;
	c->tally->excluded += verdict == ROUTING_EXCLUDED;
	c->tally->undecided += verdict == ROUTING_UNDECIDED;
	if (verdict == ROUTING_OPTIMAL && !layout_complete(&at))
		complain(c, "optimal without routes", bound, truth);
	if (layout_complete(&at)) {
		double cost = 0;
		struct embedding e;
		struct err err = { 0 };
		for (uint32_t k = 0; k < c->r.n_links; k++)
			cost += at.route[k].cost;
		layout_embedding(&at, &e);
		if (embedding_check(&c->s, &c->left, &c->r, &e, &err) != 0)
			complain(c, err.text, cost, truth);
		embedding_done(&e);
		if (cost > cutoff || (verdict == ROUTING_OPTIMAL && (cost != truth || bound != truth)) || cost < truth)
			complain(c, "routes of another cost", cost, truth);
	}
	layout_done(&at);
	path_space_done(&space);
}

static void ask_some(struct scene *c, struct search *s, struct routing_pool *pool, double part)
{
	uint32_t links[VLINKS_MAX];
	struct routing_ask ask = { .links = links, .host = c->host, .prices = c->features & F_PRICES ? &c->prices : NULL };
	double bound, truth;

	for (uint32_t k = 0; k < c->r.n_links; k++)
		if (below(c, 3))
			links[ask.n++] = k;
	truth = brute_force(c, links, ask.n) / (ask.prices ? ask.prices->scale : 1);
	ask.cutoff = isfinite(truth) && part > 0 ? truth * part : INFINITY;
	enum routing_verdict verdict = routing_solve(pool, &ask, NULL, &bound);
	check(c, verdict, bound, ask.cutoff, truth);
}

/* Prices of random links, on top of the weights. */
static void make_prices(struct scene *c, const struct problem *p, double scale)
{
	c->prices = (struct routing_prices){ .scale = scale, .weight = mem_array(c->r.n_links + 1, sizeof(int64_t *)) };
	for (uint32_t k = 0; k < c->r.n_links; k++) {
		c->prices.weight[k] = mem_array(c->s.n_links + 1, sizeof(int64_t));
		for (uint32_t l = 0; l < c->s.n_links; l++) {
			int64_t price = below(c, 2) ? below(c, 1000000) : 0, part = below(c, 2);
			c->prices.weight[k][l] = (p->link_weight[l] + price) * (int64_t)scale + part;
		}
	}
}

/* Prices for any hosts: here each may go where it stands or to two others. */
static void check_global(struct scene *c, struct search *s, struct routing_pool *pool, double truth)
{
	uint32_t hosts[2 * VLINKS_MAX][3], *host[2 * VLINKS_MAX], n[2 * VLINKS_MAX], all[VLINKS_MAX];
	struct routing_domains domains = { .host = host, .n = n };
	struct routing_prices prices;

	for (uint32_t u = 0; u < c->r.n_nodes; u++) {
		host[u] = hosts[u];
		n[u] = 3;
		for (uint32_t i = 0; i < 3; i++)
			hosts[u][i] = (c->host[u] + i) % (uint32_t)c->s.n_nodes;
	}
	if (!routing_global_prices(pool, &domains, INFINITY, -1, &prices))
		return;
	c->tally->priced++;
	for (uint32_t k = 0; k < c->r.n_links; k++) {
		all[k] = k;
		c->weight[k] = prices.weight[k];
	}
	double priced = brute_force(c, all, c->r.n_links) / prices.scale - prices.constant;
	if (isfinite(truth) && priced > truth * (1 + 1e-12))
		complain(c, "with prices more than the truth", priced, truth);
	routing_prices_done(&prices);
	for (uint32_t k = 0; k < c->r.n_links; k++)
		c->weight[k] = s->problem.link_weight;
}

static void compare(struct search *s)
{
	struct scene *c = scene;
	const struct problem *p = &s->problem;
	struct rng rng;
	struct lp_faults faults = faults_of(&rng);
	uint32_t all[VLINKS_MAX];

	c->tally->skipped--;
	rng_init(&rng, rng_next(&c->rng));
	for (uint32_t k = 0; k < c->r.n_links; k++) {
		all[k] = k;
		c->weight[k] = p->link_weight;
	}
	struct routing_pool *pool = routing_new(s);
	routing_inject(pool, c->features & F_TROUBLE ? &faults : NULL);
	double truth = brute_force(c, all, c->r.n_links);
	ask_whole(c, s, pool, INFINITY, truth);
	if (isfinite(truth)) {
		ask_whole(c, s, pool, truth, truth);
		ask_whole(c, s, pool, truth - 1, truth);
		ask_whole(c, s, pool, truth * 1.2, truth);
	}
	check_global(c, s, pool, truth);
	if (c->features & F_PRICES) {
		make_prices(c, p, routing_scale(pool));
		for (uint32_t k = 0; k < c->r.n_links; k++)
			c->weight[k] = c->prices.weight[k];
	}
	ask_some(c, s, pool, 0);
	ask_some(c, s, pool, 0.9);
	ask_some(c, s, pool, 1.1);
	for (uint32_t k = 0; c->features & F_PRICES && k < c->r.n_links; k++)
		free(c->prices.weight[k]);
	free(c->prices.weight);
	routing_free(pool);
}

static struct tally run(unsigned features, uint64_t first, int n)
{
	struct tally tally = { 0 };

	for (uint64_t seed = first; seed < first + (uint64_t)n; seed++) {
		struct scene c;
		struct embed_options options = { .solver = "mip", .seed = 1 };
		struct solution answer = { 0 };
		struct err err = { 0 };
		scene_make(&c, seed, features, &tally);
		scene = &c;
		tally.skipped++;
		assert_int_equal(search_run(&c.s, &c.left, &c.r, &options, "test", compare, &answer, &err), 0);
		solution_done(&answer);
		scene_done(&c);
	}
	if (getenv("VERBOSE"))
		fprintf(stderr, "features %u: %d asked, %d optimal, %d excluded, %d undecided; %d excluded at a glance; %d priced\n", features,
		        tally.cases, tally.optimal, tally.excluded, tally.undecided, tally.skipped, tally.priced);
	assert_true(tally.cases > n);
	return tally;
}

static void single_paths_are_decided(void **state)
{
	struct tally t = run(F_TIGHT, 1, 300);

	assert_int_equal(t.undecided, 0);
	assert_true(t.excluded > 50 && t.optimal > 50 && t.priced > 50);
	t = run(0, 1000, 200);
	assert_int_equal(t.undecided, 0);
}

static void delays_are_kept(void **state)
{
	assert_int_equal(run(F_DELAY | F_TIGHT, 2000, 300).undecided, 0);
}

static void best_effort_takes_nothing(void **state)
{
	assert_int_equal(run(F_BEST_EFFORT | F_TIGHT, 3000, 100).undecided, 0);
}

static void splits_are_bounded_and_mostly_decided(void **state)
{
	struct tally t = run(F_SPLIT | F_TIGHT, 4000, 200);

	assert_true(t.undecided < t.cases / 10);
	t = run(F_SPLIT | F_DELAY | F_TIGHT, 5000, 200);
	assert_true(t.undecided < t.cases / 10);
}

static void pairs_are_bounded_and_mostly_decided(void **state)
{
	struct tally t = run(F_PROTECT, 6000, 200);

	assert_true(t.undecided < t.cases / 10);
	run(F_PROTECT | F_DELAY, 7000, 200);
	run(F_PROTECT | F_RISKS, 8000, 200);
	run(F_PROTECT | F_RISKS | F_DELAY | F_SPLIT, 9000, 100);
}

static void prices_change_nothing_but_the_sum(void **state)
{
	run(F_PRICES | F_TIGHT, 10000, 200);
	run(F_PRICES | F_SPLIT | F_DELAY | F_TIGHT, 11000, 100);
	run(F_PRICES | F_PROTECT, 12000, 100);
}

static void trouble_in_glpk_makes_no_bound_wrong(void **state)
{
	run(F_TROUBLE | F_TIGHT, 13000, 200);
	run(F_TROUBLE | F_SPLIT | F_PROTECT | F_DELAY, 14000, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_paths_are_decided),
		cmocka_unit_test(delays_are_kept),
		cmocka_unit_test(best_effort_takes_nothing),
		cmocka_unit_test(splits_are_bounded_and_mostly_decided),
		cmocka_unit_test(pairs_are_bounded_and_mostly_decided),
		cmocka_unit_test(prices_change_nothing_but_the_sum),
		cmocka_unit_test(trouble_in_glpk_makes_no_bound_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
