/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The path searches against plain, slow ones on random graphs: enumeration of all simple paths,
 * widths and pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "embed/flow.h"
#include "embed/path.h"
#include "embed/rng.h"

enum { N = 7, M = 13, ROUNDS = 300 };

struct fixture {
	struct slink links[M];
	struct substrate s;
	struct graph g;
	struct path_space ps;
	int64_t weight[M], delay[M], cap[M];
};

static void make(struct fixture *f, uint64_t seed)
{
	struct rng rng;

	memset(f, 0, sizeof(*f));
	rng_init(&rng, seed);
	f->s.n_nodes = N;
	f->s.n_links = M;
	f->s.links = f->links;
	for (int l = 0; l < M; l++) {
		f->links[l].a = rng_below(&rng, N);
		f->links[l].b = (f->links[l].a + 1 + rng_below(&rng, N - 1)) % N;
		f->weight[l] = rng_below(&rng, 5);
		f->delay[l] = rng_below(&rng, 5);
		f->cap[l] = rng_below(&rng, 6);
	}
	graph_init(&f->g, &f->s);
	path_space_init(&f->ps, &f->g);
}

static void done(struct fixture *f)
{
	path_space_done(&f->ps);
	graph_done(&f->g);
}

/* ---- all simple paths ---------------------------------------------------------------------- */

struct simple {
	uint32_t links[N];
	int n;
	int64_t weight, delay;
	uint32_t mask;
};
struct simples {
	struct simple v[4096];
	int n;
};

static void enumerate(const struct fixture *f, uint32_t at, uint32_t to, uint32_t seen, struct simple p, int64_t need,
                      struct simples *out)
{
	if (at == to) {
		assert_in_range(out->n, 0, 4095);
		out->v[out->n++] = p;
		return;
	}
	for (uint32_t l = 0; l < M; l++) {
		if ((f->links[l].a != at && f->links[l].b != at) || f->cap[l] < need)
			continue;
		uint32_t next = f->links[l].a == at ? f->links[l].b : f->links[l].a;
		if (seen >> next & 1)
			continue;
		struct simple q = p;
		q.links[q.n++] = l;
		q.weight += f->weight[l];
		q.delay += f->delay[l];
		q.mask |= 1u << l;
		enumerate(f, next, to, seen | 1u << next, q, need, out);
	}
}

static struct simples *all_paths(const struct fixture *f, uint32_t from, uint32_t to, int64_t need)
{
	struct simples *out = mem_alloc(sizeof(*out));

	enumerate(f, from, to, 1u << from, (struct simple){ 0 }, need, out);
	return out;
}

static void assert_path(const struct fixture *f, const uint32_t *links, size_t n, uint32_t from, uint32_t to)
{
	uint32_t at = from, seen = 1u << from;

	for (size_t i = 0; i < n; i++) {
		const struct slink *l = &f->links[links[i]];
		assert_true(l->a == at || l->b == at);
		at = l->a == at ? l->b : l->a;
		assert_false(seen >> at & 1);
		seen |= 1u << at;
	}
	assert_int_equal(at, to);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void arcs_lie_in_rows(void **state)
{
	struct fixture f;

	make(&f, 1);
	assert_int_equal(f.g.first[N], 2 * M);
	for (uint32_t v = 0; v < N; v++)
		for (uint32_t i = f.g.first[v]; i < f.g.first[v + 1]; i++) {
			const struct slink *l = &f.links[f.g.arcs[i].link];
			assert_true((l->a == v && l->b == f.g.arcs[i].to) || (l->b == v && l->a == f.g.arcs[i].to));
		}
	done(&f);
}

static void check_search(struct fixture *f, int64_t need, int64_t max_delay)
{
	struct path_query q = { .weight = f->weight, .cap = f->cap, .need = need, .delay = f->delay, .max_delay = max_delay };
	uint32_t links[N];

	for (uint32_t to = 1; to < N; to++) {
		struct simples *all = all_paths(f, 0, to, need);
		int64_t best = DIST_NONE;
		for (int i = 0; i < all->n; i++)
			if ((max_delay < 0 || all->v[i].delay <= max_delay) && all->v[i].weight < best)
				best = all->v[i].weight;
		free(all);
		assert_int_equal(path_search(&f->ps, &q, 0, to), best != DIST_NONE);
		if (best == DIST_NONE)
			continue;
		assert_int_equal(path_dist(&f->ps, to), best);
		size_t n = path_trace(&f->ps, to, links);
		assert_path(f, links, n, 0, to);
		int64_t weight = 0, delay = 0;
		for (size_t i = 0; i < n; i++) {
			weight += f->weight[links[i]];
			delay += f->delay[links[i]];
			assert_true(f->cap[links[i]] >= need);
		}
		assert_int_equal(weight, best);
		assert_true(max_delay < 0 || delay <= max_delay);
		/* The search without a target agrees. */
		assert_true(path_search(&f->ps, &q, 0, NO_NODE));
		assert_int_equal(path_dist(&f->ps, to), best);
	}
}

static void cheapest_paths(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct fixture f;
		make(&f, (uint64_t)i);
		check_search(&f, i % 4, -1);
		check_search(&f, i % 3, i % 9);
		done(&f);
	}
}

static void ties_prefer_room(void **state)
{
	struct fixture f;
	int64_t tie[M];

	for (int i = 0; i < ROUNDS; i++) {
		make(&f, (uint64_t)i);
		for (int l = 0; l < M; l++)
			tie[l] = 10 - f.cap[l];
		struct path_query q = { .weight = f.weight, .tie = tie, .max_delay = -1 };
		struct simples *all = all_paths(&f, 0, N - 1, 0);
		if (path_search(&f.ps, &q, 0, N - 1))
			for (int p = 0; p < all->n; p++) {
				int64_t sum = 0;
				for (int l = 0; l < all->v[p].n; l++)
					sum += tie[all->v[p].links[l]];
				assert_true(all->v[p].weight > path_dist(&f.ps, N - 1) || sum >= path_tie(&f.ps, N - 1));
			}
		free(all);
		done(&f);
	}
}

/* Where links weigh the same there are shorter ways to search: they find what the general one does. */
static void equal_weights(void **state)
{
	int64_t tie[M], fives[M];
	uint8_t wanted[N] = { 0 };
	uint32_t links[N];
	size_t n;

	wanted[1] = wanted[N - 2] = 1;
	for (int i = 0; i < ROUNDS; i++) {
		struct fixture f;
		struct path_space other;
		make(&f, (uint64_t)i);
		path_space_init(&other, &f.g);
		for (int l = 0; l < M; l++) {
			tie[l] = 10 - f.cap[l];
			fives[l] = 5;
		}
		struct path_query slow = { .weight = fives, .tie = tie, .cap = f.cap, .need = i % 4, .max_delay = -1 };
		struct path_query quick = slow, few = slow, few_of_any = slow;
		quick.unit = few.unit = 5;
		few.wanted = few_of_any.wanted = wanted;
		few.n_wanted = few_of_any.n_wanted = 2;
		path_search(&f.ps, &slow, 0, NO_NODE);
		path_search(&other, &quick, 0, NO_NODE);
		for (uint32_t v = 0; v < N; v++) {
			assert_int_equal(path_dist(&other, v), path_dist(&f.ps, v));
			if (path_dist(&f.ps, v) != DIST_NONE)
				assert_int_equal(path_tie(&other, v), path_tie(&f.ps, v));
		}
		for (uint32_t v = 1; v < N; v++) {
			bool found = path_between(&other, &quick, 0, v, links, &n);
			assert_int_equal(found, path_dist(&f.ps, v) != DIST_NONE);
			if (!found)
				continue;
			assert_path(&f, links, n, 0, v);
			int64_t sum = 0;
			for (size_t j = 0; j < n; j++)
				sum += tie[links[j]];
			assert_int_equal(sum, path_tie(&f.ps, v));
			assert_int_equal(5 * n, path_dist(&f.ps, v));
		}
		for (int which = 0; which < 2; which++) {
			path_search(&other, which ? &few_of_any : &few, 0, NO_NODE);
			for (uint32_t v = 0; v < N; v++)
				if (wanted[v])
					assert_int_equal(path_dist(&other, v), path_dist(&f.ps, v));
		}
		path_space_done(&other);
		done(&f);
	}
}

static void nearest_of_other_sources(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct fixture f;
		struct path_near near[N];
		uint32_t sources[] = { 0, 2, 3 };
		make(&f, (uint64_t)i);
		struct path_query q = { .weight = f.weight, .max_delay = -1 };
		path_nearest(&f.ps, &q, sources, 3, near);
		for (uint32_t v = 0; v < N; v++) {
			/* least from any, and least from any but the nearest */
			int64_t best = DIST_NONE, other = DIST_NONE;
			for (int s = 0; s < 3; s++) {
				path_search(&f.ps, &q, sources[s], NO_NODE);
				int64_t d = path_dist(&f.ps, v);
				if (d < best)
					best = d;
				if (sources[s] != near[v].source[0] && d < other)
					other = d;
			}
			assert_int_equal(near[v].dist[0], best);
			assert_int_equal(near[v].dist[1], other);
		}
		done(&f);
	}
}

static void widest(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct fixture f;
		uint32_t from = 0, to = N - 1;
		int64_t best = 0;
		make(&f, (uint64_t)i);
		for (int64_t need = 1; need < 6; need++) {
			struct simples *all = all_paths(&f, from, to, need);
			best = all->n > 0 ? need : best;
			free(all);
		}
		assert_int_equal(path_widest(&f.ps, f.cap, &from, 1, &to, 1), best);
		done(&f);
	}
}

/* The cheapest two paths that share no link. */
static void disjoint_pair(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct fixture f;
		int64_t room[M], flow[M], best = DIST_NONE, sum = 0;
		uint32_t links[2][N + 1];
		struct flow_path paths[2] = { { .links = links[0] }, { .links = links[1] } };
		make(&f, (uint64_t)i);
		struct simples *all = all_paths(&f, 0, N - 1, 0);
		for (int a = 0; a < all->n; a++)
			for (int b = 0; b < a; b++)
				if (!(all->v[a].mask & all->v[b].mask) && all->v[a].weight + all->v[b].weight < best)
					best = all->v[a].weight + all->v[b].weight;
		free(all);
		for (int l = 0; l < M; l++)
			room[l] = 1;
		assert_int_equal(flow_send(&f.ps, f.weight, room, 0, N - 1, 2, flow), best != DIST_NONE);
		if (best != DIST_NONE) {
			assert_int_equal(flow_split(&f.ps, 0, N - 1, flow, paths, 2), 2);
			for (int p = 0; p < 2; p++) {
				assert_path(&f, paths[p].links, paths[p].n, 0, N - 1);
				for (size_t l = 0; l < paths[p].n; l++)
					sum += f.weight[paths[p].links[l]];
			}
			assert_int_equal(sum, best);
		}
		done(&f);
	}
}

/* A flow of k units: bounded by capacity, conserved, all of it decomposed. */
static void flows_decompose(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct fixture f;
		int64_t flow[M], used[M] = { 0 }, sent = 0;
		uint32_t links[8][N + 1];
		struct flow_path paths[8];
		make(&f, (uint64_t)i);
		int64_t amount = 1 + i % 7;
		for (int p = 0; p < 8; p++)
			paths[p].links = links[p];
		if (flow_send(&f.ps, f.weight, f.cap, 0, N - 1, amount, flow)) {
			int64_t cost = 0;
			for (int l = 0; l < M; l++) {
				assert_true(llabs(flow[l]) <= f.cap[l]);
				cost += llabs(flow[l]) * f.weight[l];
			}
			size_t n = flow_split(&f.ps, 0, N - 1, flow, paths, 8);
			assert_in_range(n, 1, 8);
			for (size_t p = 0; p < n; p++) {
				assert_path(&f, paths[p].links, paths[p].n, 0, N - 1);
				sent += paths[p].amount;
				for (size_t l = 0; l < paths[p].n; l++) {
					used[paths[p].links[l]] += paths[p].amount;
					cost -= paths[p].amount * f.weight[paths[p].links[l]];
				}
			}
			assert_int_equal(sent, amount);
			assert_int_equal(cost, 0);
			for (int l = 0; l < M; l++)
				assert_true(used[l] <= f.cap[l]);
		}
		done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arcs_lie_in_rows), cmocka_unit_test(cheapest_paths), cmocka_unit_test(ties_prefer_room),
		cmocka_unit_test(equal_weights),
		cmocka_unit_test(nearest_of_other_sources), cmocka_unit_test(widest), cmocka_unit_test(disjoint_pair),
		cmocka_unit_test(flows_decompose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
