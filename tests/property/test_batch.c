/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batches against brute force: every choice of networks, every host, every path. What is called optimal is;
 * no bound excludes what there is; nearly all tiny batches are proven. */
#include "tests/help_joint.h"

#include <math.h>
#include <stdio.h>

#include "embed/batch.h"
#include "embed/reoptimise.h"

enum { CASES = 150 };

static void check_case(uint64_t seed, size_t *proven, size_t *contested)
{
	struct joint j;
	struct batched b;
	struct embed_options options = { .effort = 50000, .seed = 3 };
	struct err err = { 0 };
	double value = 0;
	int64_t cost = 0;

	joint_make(&j, seed);
	for (unsigned mask = 0; mask < 1u << j.n; mask++) {
		int64_t least = joint_best(&j, mask, NULL, SIZE_MAX);
		double sum = 0;
		for (size_t i = 0; i < j.n; i++)
			sum += mask >> i & 1 ? request_value(&j.r[i]) : 0;
		*contested += mask == (1u << j.n) - 1 && least == INT64_MAX;
		if (least != INT64_MAX && (sum > value || (sum == value && least < cost))) {
			value = sum;
			cost = least;
		}
	}
	if (embed_batch(&j.s, &j.left, j.r, j.n, &options, &b, &err) != 0)
		fail_msg("%s", err.text);
	struct residual left;
	residual_copy(&j.left, &left);
	double got = 0, paid = 0;
	for (size_t i = 0; i < j.n; i++) {
		if (!b.answer[i].has_embedding) {
			assert_true(b.answer[i].reason[0] != '\0');
			continue;
		}
		if (embedding_check(&j.s, &left, &j.r[i], &b.answer[i].embedding, &err) != 0)
			fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
		residual_take(&left, &j.r[i], &b.answer[i].embedding);
		got += request_value(&j.r[i]);
		paid += b.answer[i].cost;
	}
	bool optimal = fabs(got - value) < 1e-9 && fabs(paid - nano_to_units(cost)) < 1e-6;
	if (fabs(got - b.value) > 1e-9 || fabs(paid - b.cost) > 1e-6 || b.bound < value - 1e-9 || (b.status == SOLVE_OPTIMAL && !optimal) ||
	    (fabs(got - value) < 1e-9 && b.cost_bound > nano_to_units(cost) + 1e-6))
		fail_msg("seed %llu: %s, value %g (best %g) bound %g, cost %g (best %g) bound %g", (unsigned long long)seed,
		         solve_status_names[b.status], b.value, value, b.bound, b.cost, nano_to_units(cost), b.cost_bound);
	*proven += b.status == SOLVE_OPTIMAL;
	residual_done(&left);
	batched_done(&b);
	joint_done(&j);
}

static void test_batches(void **state)
{
	size_t proven = 0, contested = 0;

	for (uint64_t seed = 1; seed <= CASES; seed++)
		check_case(seed, &proven, &contested);
	print_message("%zu of %d proven, %zu where not all fit\n", proven, CASES, contested);
	assert_true(proven * 100 >= 98 * CASES && contested >= CASES / 4);
}

/* Many at once: never worse than taking them as they come, the same twice, and the bound holds the value. */
static void test_large(void **state)
{
	enum { MANY = 24 };
	struct substrate s;
	struct request r[MANY];
	buf_auto struct buf text = BUF_INIT;
	struct rng rng;

	rng_init(&rng, 5);
	buf_str(&text, "kind: substrate\nname: ring\nnodes:\n");
	for (int a = 0; a < 12; a++)
		buf_printf(&text, "  - {name: s%d, cpu: 6}\n", a);
	buf_str(&text, "links:\n");
	for (int a = 0; a < 12; a++)
		buf_printf(&text, "  - {endpoints: [s%d, s%d], bandwidth: 30mbit}\n  - {endpoints: [s%d, s%d], bandwidth: 20mbit}\n", a, (a + 1) % 12, a, (a + 5) % 12);
	s = help_substrate(buf_cstr(&text));
	for (int i = 0; i < MANY; i++) {
		buf_clear(&text);
		buf_printf(&text, "kind: network\nname: n%d\npriority: %u\nnodes: [{name: a, cpu: %u}, {name: b, cpu: 2}, {name: c, cpu: 1}]\n"
		           "links: [{endpoints: [a, b], bandwidth: %umbit}, {endpoints: [b, c], bandwidth: %umbit}]\n", i, 1 + rng_below(&rng, 3),
		           1 + rng_below(&rng, 3), 5 + rng_below(&rng, 10), 5 + rng_below(&rng, 10));
		r[i] = help_request(buf_cstr(&text));
	}
	struct residual left, one;
	double in_order = 0;
	residual_init(&left, &s);
	residual_copy(&left, &one);
	for (int i = 0; i < MANY; i++) {
		struct embed_options options = { .solver = "heuristic", .effort = 500, .seed = 1 };
		struct solution answer = { 0 };
		assert_int_equal(embed_once(&s, &one, &r[i], &options, &answer, NULL), 0);
		if (answer.has_embedding) {
			in_order += request_value(&r[i]);
			residual_take(&one, &r[i], &answer.embedding);
		}
		solution_done(&answer);
	}
	struct batched b, again;
	struct embed_options options = { .effort = 100000, .seed = 1 };
	assert_int_equal(embed_batch(&s, &left, r, MANY, &options, &b, NULL), 0);
	assert_int_equal(embed_batch(&s, &left, r, MANY, &options, &again, NULL), 0);
	print_message("in order %g, as a batch %g of at most %g\n", in_order, b.value, b.bound);
	assert_true(b.value > in_order && b.bound >= b.value);
	assert_true(b.value == again.value && b.cost == again.cost);
	batched_done(&b);
	batched_done(&again);
	residual_done(&left);
	residual_done(&one);
	for (int i = 0; i < MANY; i++)
		request_done(&r[i]);
	substrate_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_batches), cmocka_unit_test(test_large) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
