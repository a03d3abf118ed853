/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Kept distances against relaxation to the end (Bellman and Ford), and annealing against every placement. */
#include "tests/help_model.h"

#include "base/buf.h"
#include "base/mem.h"
#include "embed/anneal.h"
#include "embed/rng.h"
#include "embed/rows.h"

enum { N = 8, V = 4, CASES = 300 };

struct fixture {
	struct substrate s;
	struct residual left;
	struct request r;
	struct problem p;
	struct path_space space;
	struct rows rows;
	int64_t bw[V * V];
	double node_price[N];
	struct rng rng;
};

/* A ring with chords; wide and narrow links; `odd`: they cost different things. */
static void make(struct fixture *f, uint64_t seed, bool odd)
{
	struct buf s = { 0 }, r = { 0 };
	struct err why = { 0 };

	*f = (struct fixture){ 0 };
	rng_init(&f->rng, seed);
	buf_printf(&s, "kind: substrate\nname: s\nnodes:\n");
	for (int a = 0; a < N; a++)
		buf_printf(&s, "- {name: a%d, cpu: %u}\n", a, 2 + rng_below(&f->rng, 6));
	buf_printf(&s, "links:\n");
	for (int l = 0; l < N + 4; l++) {
		uint32_t a = l < N ? (uint32_t)l : rng_below(&f->rng, N), b = l < N ? (a + 1) % N : (a + 2 + rng_below(&f->rng, N - 3)) % N;
		uint32_t cost = odd ? 1 + rng_below(&f->rng, 9) : 1;
		buf_printf(&s, "- {name: l%d, endpoints: [a%u, a%u], bandwidth: %umbit, cost: %u}\n", l, a, b, rng_below(&f->rng, 12) ? 90 : 4, cost);
	}
	buf_printf(&r, "kind: network\nname: r\nnodes:\n");
	for (int u = 0; u < V; u++)
		buf_printf(&r, "- {name: r%d, cpu: %u}\n", u, 1 + rng_below(&f->rng, 3));
	buf_printf(&r, "links:\n");
	for (int u = 1; u < V + 1; u++) /* a cycle: best effort, narrow and wide */
		buf_printf(&r, "- {endpoints: [r%d, r%d], bandwidth: %umbit}\n", u - 1, u % V, rng_below(&f->rng, 10));
	f->s = help_substrate(buf_cstr(&s));
	f->r = help_request(buf_cstr(&r));
	buf_done(&s);
	buf_done(&r);
	residual_init(&f->left, &f->s);
	assert_int_equal(problem_init(&f->p, &f->s, &f->left, &f->r, OBJECTIVE_COST, &why), 0);
	path_space_init(&f->space, &f->p.graph);
	rows_init(&f->rows, &f->p, &f->space);
	for (size_t k = 0; k < f->r.n_links; k++)
		f->bw[k] = f->r.links[k].bw_kbps;
	for (int a = 0; a < N; a++)
		f->node_price[a] = rng_below(&f->rng, 3);
}

static void done(struct fixture *f)
{
	rows_done(&f->rows);
	path_space_done(&f->space);
	problem_done(&f->p);
	request_done(&f->r);
	residual_done(&f->left);
	substrate_done(&f->s);
}

static int64_t far(const struct fixture *f, size_t k, uint32_t from, uint32_t to)
{
	int64_t dist[N], need = f->r.links[k].bw_kbps;

	for (int a = 0; a < N; a++)
		dist[a] = a == (int)from ? 0 : INT64_MAX / 2;
	for (int round = 0; round < N; round++)
		for (size_t l = 0; l < f->s.n_links; l++) {
			int64_t w = need == 0 ? 1 : f->p.link_weight[l];
			int64_t *a = &dist[f->s.links[l].a], *b = &dist[f->s.links[l].b];
			if (f->left.link_kbps[l] < need)
				continue;
			*a = *b + w < *a ? *b + w : *a;
			*b = *a + w < *b ? *a + w : *b;
		}
	return dist[to];
}

static void test_rows(void **state)
{
	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct fixture f;
		make(&f, seed, seed % 2);
		for (uint32_t k = 0; k < f.r.n_links; k++)
			for (uint32_t i = 0; i < f.rows.n_spots; i++) {
				const uint32_t *row = rows_get(&f.rows, k, f.rows.node_of[i]);
				for (uint32_t j = 0; j < f.rows.n_spots; j++) {
					int64_t dist = far(&f, k, f.rows.node_of[i], f.rows.node_of[j]);
					int64_t unit = f.bw[k] == 0 ? 1 : (int64_t)f.rows.unit;
					assert_int_equal(row[j] == ROW_NONE ? INT64_MAX / 2 : row[j] * unit, dist);
				}
			}
		done(&f);
	}
	(void)state;
}

static int64_t price(struct fixture *f, const uint32_t *host)
{
	int64_t sum = 0;

	for (uint32_t u = 0; u < V; u++)
		sum += (int64_t)((double)f->r.nodes[u].demand[RES_CPU_MILLI] * f->node_price[host[u]]);
	for (uint32_t k = 0; k < f->r.n_links; k++) {
		uint32_t dist = rows_get(&f->rows, k, host[f->r.links[k].a])[f->rows.spot_of[host[f->r.links[k].b]]];
		if (dist == ROW_NONE && f->bw[k] > 0)
			return INT64_MAX / 2;
		sum += f->bw[k] == 0 ? 0 : f->bw[k] * dist;
	}
	return sum;
}

/* The cheapest and any of all placements on distinct candidates. */
static void every(struct fixture *f, uint32_t u, uint32_t *host, int64_t *least, uint32_t *first)
{
	if (u == V) {
		int64_t cost = price(f, host);
		if (*least == INT64_MAX && cost < INT64_MAX / 2)
			memcpy(first, host, V * sizeof(*host));
		if (cost < INT64_MAX / 2 && cost < *least)
			*least = cost;
		return;
	}
	for (uint32_t a = 0; a < N; a++) {
		bool taken = !f->p.is_cand[u][a];
		for (uint32_t v = 0; v < u; v++)
			taken = taken || host[v] == a;
		host[u] = a;
		if (!taken)
			every(f, u + 1, host, least, first);
	}
}

static void test_anneal(void **state)
{
	int best = 0, asked = 0;

	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct fixture f;
		uint32_t scratch[V], from[V] = { 0 }, host[V], again[V];
		int64_t least = INT64_MAX;
		make(&f, seed, seed % 2);
		assert_true(anneal_can(&f.rows));
		every(&f, 0, scratch, &least, from);
		if (least < INT64_MAX) {
			struct rng rng = f.rng;
			struct anneal a = { &f.rows, f.bw, f.node_price, &f.rng, host };
			memcpy(host, from, sizeof(host));
			assert_true(anneal_run(&a, 2000) >= 2000);
			for (uint32_t u = 0; u < V; u++) {
				assert_true(f.p.is_cand[u][host[u]]);
				for (uint32_t v = 0; v < u; v++)
					assert_int_not_equal(host[u], host[v]);
			}
			assert_in_range(price(&f, host), least, price(&f, from));
			best += price(&f, host) == least;
			asked++;
			memcpy(again, from, sizeof(again));
			a.rng = &rng;
			a.host = again;
			anneal_run(&a, 2000);
			assert_memory_equal(host, again, sizeof(host));
		}
		done(&f);
	}
	assert_in_range(asked, CASES / 2, CASES);
	assert_in_range(best, asked * 3 / 4, asked); /* it is a heuristic, and its moves are few */
	printf("# %d of %d at the least price\n", best, asked);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_anneal) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
