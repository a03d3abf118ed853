/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running networks embedded anew, against brute force: always feasible together, never dearer, never more moves than
 * allowed and those counted right; nearly always as cheap as can be. Hosts and links that are lost are left. */
#include "tests/help_joint.h"

#include <math.h>
#include <stdio.h>

#include "embed/reoptimise.h"

enum { CASES = 150 };

struct running {
	struct joint j;
	struct embedding now[JOINT_NETS];
	struct embed_network net[JOINT_NETS];
	const struct embedding *where[JOINT_NETS];
	size_t n; /* that run */
};

/* Where they happen to be: each placed when costs were others. */
static bool start_running(struct running *w, uint64_t seed)
{
	struct residual left;
	struct rng rng;

	*w = (struct running){ .n = 0 };
	joint_make(&w->j, seed);
	rng_init(&rng, seed ^ 77);
	residual_copy(&w->j.left, &left);
	int64_t cost_node[JOINT_NODES], cost_link[JOINT_LINKS];
	for (size_t a = 0; a < w->j.s.n_nodes; a++) {
		cost_node[a] = w->j.s.nodes[a].cost_micro;
		w->j.s.nodes[a].cost_micro = 1000000 * (1 + rng_below(&rng, 9));
	}
	for (size_t l = 0; l < w->j.s.n_links; l++) {
		cost_link[l] = w->j.s.links[l].cost_micro;
		w->j.s.links[l].cost_micro = 1000000 * (1 + rng_below(&rng, 9));
	}
	bool all = true;
	for (size_t i = 0; i < w->j.n && all; i++) {
		struct embed_options options = { .solver = "heuristic", .effort = 200, .seed = seed };
		struct solution answer = { 0 };
		assert_int_equal(embed_once(&w->j.s, &left, &w->j.r[i], &options, &answer, NULL), 0);
		all = answer.has_embedding;
		if (all) {
			residual_take(&left, &w->j.r[i], &answer.embedding);
			embedding_copy(&answer.embedding, &w->now[i]);
			w->net[i] = (struct embed_network){ .request = &w->j.r[i], .now = &w->now[i] };
			w->where[i] = &w->now[i];
			w->n++;
		}
		solution_done(&answer);
	}
	for (size_t a = 0; a < w->j.s.n_nodes; a++)
		w->j.s.nodes[a].cost_micro = cost_node[a];
	for (size_t l = 0; l < w->j.s.n_links; l++)
		w->j.s.links[l].cost_micro = cost_link[l];
	residual_done(&left);
	return all;
}

static void stop_running(struct running *w)
{
	for (size_t i = 0; i < JOINT_NETS; i++)
		embedding_done(&w->now[i]);
	joint_done(&w->j);
}

/* All that is answered fits together; returns the routers on other hosts. */
static size_t check_together(const struct running *w, const struct residual *all, const struct reoptimised *ret, uint64_t seed)
{
	struct residual left;
	struct err err = { 0 };
	size_t moved = 0;

	residual_copy(all, &left);
	for (size_t i = 0; i < w->n; i++) {
		if (!ret->answer[i].has_embedding)
			continue;
		const struct embedding *e = &ret->answer[i].embedding;
		if (embedding_check(&w->j.s, &left, &w->j.r[i], e, &err) != 0)
			fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
		residual_take(&left, &w->j.r[i], e);
		for (size_t u = 0; u < e->n_nodes; u++)
			moved += e->host[u] != w->now[i].host[u];
	}
	residual_done(&left);
	return moved;
}

static void test_against_brute_force(void **state)
{
	size_t cases = 0, best = 0, saved = 0;

	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct running w;
		for (size_t moves = 0; start_running(&w, seed) && moves <= 4; moves += 1 + (moves == 2)) {
			struct embed_options options = { .effort = 20000, .seed = 1 };
			struct reoptimised ret;
			struct err err = { 0 };
			if (embed_reoptimise(&w.j.s, &w.j.left, w.net, w.n, moves, &options, &ret, &err) != 0)
				fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
			size_t moved = check_together(&w, &w.j.left, &ret, seed);
			double least = nano_to_units(joint_best(&w.j, (1u << w.n) - 1, w.where, moves));
			if (ret.lost || moved != ret.moves || moved > moves || ret.cost_after > ret.cost_before + 1e-9 || ret.cost_after < least - 1e-6)
				fail_msg("seed %llu, %zu moves: %zu lost, %zu moved (%zu told), cost %g before, %g after, %g at least",
				         (unsigned long long)seed, moves, ret.lost, moved, ret.moves, ret.cost_before, ret.cost_after, least);
			cases++;
			best += ret.cost_after < least + 1e-6;
			saved += ret.cost_after < ret.cost_before - 1e-9;
			reoptimised_done(&ret);
			stop_running(&w);
		}
		stop_running(&w);
	}
	print_message("%zu of %zu as cheap as can be, %zu cheaper than before\n", best, cases, saved);
	assert_true(cases >= CASES / 2 && best * 100 >= 95 * cases && saved * 4 >= cases);
}

/* A link or a host is lost: what stands still stands, what can be repaired is, and nothing uses what is gone. */
static void test_losses(void **state)
{
	size_t cases = 0, repaired = 0, damaged = 0;

	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct running w;
		if (start_running(&w, seed)) {
			struct embed_options options = { .effort = 20000, .seed = 1 };
			struct reoptimised ret;
			bool broken[JOINT_NETS] = { false };
			uint32_t dead = (uint32_t)(seed % w.j.s.n_links);
			w.j.left.link_kbps[dead] = 0;
			for (size_t i = 0; i < w.n; i++) {
				for (size_t k = 0; k < w.now[i].n_links; k++)
					for (size_t p = 0; p < w.now[i].links[k].n_paths; p++)
						for (size_t h = 0; h < w.now[i].links[k].paths[p].n; h++)
							broken[i] = broken[i] || w.now[i].links[k].paths[p].links[h] == dead;
				damaged += broken[i];
			}
			assert_int_equal(embed_reoptimise(&w.j.s, &w.j.left, w.net, w.n, SIZE_MAX, &options, &ret, NULL), 0);
			check_together(&w, &w.j.left, &ret, seed);
			for (size_t i = 0; i < w.n; i++) {
				if (!broken[i])
					assert_true(ret.answer[i].has_embedding);
				repaired += broken[i] && ret.answer[i].has_embedding;
			}
			/* where all fit together still, hardly any may be lost */
			if (joint_best(&w.j, (1u << w.n) - 1, NULL, SIZE_MAX) != INT64_MAX)
				cases += ret.lost > 0;
			reoptimised_done(&ret);
		}
		stop_running(&w);
	}
	print_message("%zu of %zu repaired; %zu times one was lost though all would fit\n", repaired, damaged, cases);
	assert_true(damaged >= CASES / 8 && repaired * 3 >= damaged && cases <= CASES / 50);
}

static void test_fixed(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct running w;
		if (start_running(&w, seed)) {
			struct embed_options options = { .effort = 5000, .seed = 1 };
			struct reoptimised ret;
			struct err err = { 0 };
			w.net[0].fixed = true;
			assert_int_equal(embed_reoptimise(&w.j.s, &w.j.left, w.net, w.n, SIZE_MAX, &options, &ret, NULL), 0);
			check_together(&w, &w.j.left, &ret, seed);
			assert_memory_equal(ret.answer[0].embedding.host, w.now[0].host, w.now[0].n_nodes * sizeof(uint32_t));
			assert_int_equal(ret.moved[0], 0);
			reoptimised_done(&ret);
			w.j.left.node[w.now[0].host[0]][RES_CPU_MILLI] = 0;
			assert_int_equal(embed_reoptimise(&w.j.s, &w.j.left, w.net, w.n, SIZE_MAX, &options, &ret, &err), -22);
			assert_non_null(strstr(err.text, "is to stay as it is, but does not fit"));
		}
		stop_running(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_brute_force),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_fixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
