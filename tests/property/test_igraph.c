/* SPDX-License-Identifier: GPL-3.0-or-later */
/* igraph, a library of other people's, as an oracle for the searches on graphs of some hundred nodes, with links side
 * by side and parts that hang together by nothing: distances, hops, widest paths, maximum flow, disjoint paths. */
#include <igraph/igraph.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "embed/flow.h"
#include "embed/path.h"
#include "embed/rng.h"

enum { N = 150, M = 260, ROUNDS = 25 };

struct fixture {
	struct slink links[M];
	struct substrate s;
	struct graph g;
	struct path_space ps;
	int64_t weight[M], cap[M];
	igraph_t theirs;
	igraph_vector_t their_weight, their_cap;
};

static void make(struct fixture *f, uint64_t seed)
{
	igraph_vector_int_t ends;
	struct rng rng;

	*f = (struct fixture){ .s = { .n_nodes = N, .n_links = M } };
	f->s.links = f->links;
	rng_init(&rng, seed);
	igraph_vector_int_init(&ends, 2 * M);
	igraph_vector_init(&f->their_weight, M);
	igraph_vector_init(&f->their_cap, M);
	for (int l = 0; l < M; l++) {
		f->links[l].a = rng_below(&rng, N);
		f->links[l].b = (f->links[l].a + 1 + rng_below(&rng, l % 3 ? N - 1 : 9)) % N;
		f->weight[l] = seed % 5 == 0 ? 7 : 1 + rng_below(&rng, 50);
		f->cap[l] = 1 + rng_below(&rng, 40);
		VECTOR(ends)[2 * l] = f->links[l].a;
		VECTOR(ends)[2 * l + 1] = f->links[l].b;
		VECTOR(f->their_weight)[l] = (double)f->weight[l];
		VECTOR(f->their_cap)[l] = (double)f->cap[l];
	}
	graph_init(&f->g, &f->s);
	path_space_init(&f->ps, &f->g);
	assert_int_equal(igraph_create(&f->theirs, &ends, N, IGRAPH_UNDIRECTED), IGRAPH_SUCCESS);
	igraph_vector_int_destroy(&ends);
}

static void done(struct fixture *f)
{
	igraph_destroy(&f->theirs);
	igraph_vector_destroy(&f->their_weight);
	igraph_vector_destroy(&f->their_cap);
	path_space_done(&f->ps);
	graph_done(&f->g);
}

#define EACH_GRAPH(f, seed) \
	for (uint64_t seed = 0; seed < ROUNDS && (make(&(f), seed), true); done(&(f)), seed++)

static void assert_same(int64_t ours, double theirs)
{
	if (ours == DIST_NONE)
		assert_true(theirs > 1e15);
	else
		assert_true((double)ours == theirs);
}

static void distances(void **state)
{
	struct fixture f;
	uint32_t links[N];

	EACH_GRAPH(f, seed) {
		struct path_query q = { .weight = f.weight, .max_delay = -1 };
		igraph_matrix_t all;
		size_t n;
		igraph_matrix_init(&all, 0, 0);
		assert_int_equal(igraph_distances_dijkstra(&f.theirs, &all, igraph_vss_all(), igraph_vss_all(), &f.their_weight, IGRAPH_ALL), 0);
		if (seed % 5 == 0) /* all links weigh the same: the searches by levels */
			q.unit = 7;
		for (uint32_t from = 0; from < N; from += 7) {
			path_search(&f.ps, &q, from, NO_NODE);
			for (uint32_t to = 0; to < N; to++)
				assert_same(path_dist(&f.ps, to), MATRIX(all, from, to));
		}
		for (uint32_t from = 0; from < N; from += 5) {
			uint32_t to = (from + 61) % N;
			int64_t sum = 0;
			if (!path_between(&f.ps, &q, from, to, links, &n)) {
				assert_true(MATRIX(all, from, to) > 1e15);
				continue;
			}
			for (size_t i = 0; i < n; i++)
				sum += f.weight[links[i]];
			assert_same(sum, MATRIX(all, from, to));
		}
		igraph_matrix_destroy(&all);
	}
}

/* A bound that cuts nothing off, and one on hops alone, which is a distance of its own. */
static void distances_with_delays(void **state)
{
	struct fixture f;
	int64_t ones[M];

	for (int l = 0; l < M; l++)
		ones[l] = 1;
	EACH_GRAPH(f, seed) {
		igraph_matrix_t weights, hops;
		igraph_matrix_init(&weights, 0, 0);
		igraph_matrix_init(&hops, 0, 0);
		igraph_distances_dijkstra(&f.theirs, &weights, igraph_vss_all(), igraph_vss_all(), &f.their_weight, IGRAPH_ALL);
		igraph_distances(&f.theirs, &hops, igraph_vss_all(), igraph_vss_all(), IGRAPH_ALL);
		for (uint32_t from = 0; from < N; from += 15) {
			struct path_query q = { .weight = f.weight, .delay = ones, .max_delay = N };
			path_search(&f.ps, &q, from, NO_NODE);
			for (uint32_t to = 0; to < N; to++)
				assert_same(path_dist(&f.ps, to), MATRIX(weights, from, to));
			q = (struct path_query){ .weight = ones, .delay = ones, .max_delay = 4 };
			path_search(&f.ps, &q, from, NO_NODE);
			for (uint32_t to = 0; to < N; to++)
				assert_int_equal(path_dist(&f.ps, to) != DIST_NONE, MATRIX(hops, from, to) <= 4);
		}
		igraph_matrix_destroy(&weights);
		igraph_matrix_destroy(&hops);
	}
}

static void widest_paths(void **state)
{
	struct fixture f;

	EACH_GRAPH(f, seed) {
		igraph_matrix_t widths;
		igraph_matrix_init(&widths, 0, 0);
		assert_int_equal(igraph_widest_path_widths_dijkstra(&f.theirs, &widths, igraph_vss_all(), igraph_vss_all(), &f.their_cap,
		                                                    IGRAPH_ALL), 0);
		for (uint32_t from = 0; from < N; from += 11)
			for (uint32_t to = 0; to < N; to += 4)
				if (to != from) {
					double width = MATRIX(widths, from, to);
					int64_t ours = path_widest(&f.ps, f.cap, &from, 1, &to, 1);
					assert_true((double)ours == (width < 0 ? 0 : width));
				}
		igraph_matrix_destroy(&widths);
	}
}

/* As much as the maximum is sent, and not a unit more; with room for one on each link these are disjoint paths. */
static void flows(void **state)
{
	struct fixture f;
	int64_t flow[M], ones[M];

	for (int l = 0; l < M; l++)
		ones[l] = 1;
	EACH_GRAPH(f, seed)
		for (uint32_t from = 0; from < N; from += 10) {
			uint32_t to = (from + 73) % N;
			igraph_real_t most;
			igraph_integer_t disjoint;
			igraph_maxflow_value(&f.theirs, &most, from, to, &f.their_cap, NULL);
			igraph_edge_disjoint_paths(&f.theirs, &disjoint, from, to);
			if (most > 0)
				assert_true(flow_send(&f.ps, f.weight, f.cap, from, to, (int64_t)most, flow));
			assert_false(flow_send(&f.ps, f.weight, f.cap, from, to, (int64_t)most + 1, flow));
			if (disjoint > 0)
				assert_true(flow_send(&f.ps, f.weight, ones, from, to, disjoint, flow));
			assert_false(flow_send(&f.ps, f.weight, ones, from, to, disjoint + 1, flow));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances), cmocka_unit_test(distances_with_delays), cmocka_unit_test(widest_paths), cmocka_unit_test(flows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
