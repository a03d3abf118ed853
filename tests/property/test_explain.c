/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Explanations are true: a cut that was weighed is weighed again here by trying every division of the
 * routers; a request that a cut excludes is not embedded by any solver; a relaxation that is named,
 * applied to the request, fits. */
#include "tests/help_random.h"

#include <stdio.h>

#include "embed/cut.h"
#include "embed/embed.h"
#include "embed/relax.h"

enum { CASES = 1000, EFFORT = 1000 };

struct world {
	struct substrate s;
	struct request r;
	struct residual left;
};

/* Routers with a few places each and much between them: what cuts are made of. */
static struct request torn_request(const struct substrate *s)
{
	buf_auto struct buf text = BUF_INIT;
	uint32_t n = 2 + pick(4), links = n + pick(n);

	buf_printf(&text, "kind: network\nname: r\nplacement: %s\nnodes:\n", pick(4) ? "distinct" : "pack");
	for (uint32_t u = 0; u < n; u++) {
		buf_printf(&text, "  - {name: r%u, cpu: 0.5, place: {on: [n%u", u, pick((uint32_t)s->n_nodes));
		for (uint32_t i = 0; i < 2; i++) {
			char name[16];
			snprintf(name, sizeof(name), ", n%u", pick((uint32_t)s->n_nodes));
			if (!strstr(strrchr(text.data, '['), name + 2))
				buf_str(&text, name);
		}
		buf_str(&text, "]}}\n");
	}
	buf_str(&text, "links:\n");
	for (uint32_t k = 0; k < links; k++) {
		uint32_t a = pick(n), b = (a + 1 + pick(n - 1)) % n;
		buf_printf(&text, "  - {endpoints: [r%u, r%u], name: v%u, bandwidth: %umbit%s}\n", a, b, k, 3 * (1 + pick(5)),
		           (const char *[]){ "", "", ", paths: split", ", protection: link" }[pick(4)]);
	}
	return help_request(buf_cstr(&text));
}

static void world_make(struct world *w, uint64_t seed, bool torn)
{
	random_seed(seed);
	w->s = random_substrate(true);
	w->r = torn ? torn_request(&w->s) : random_request(random_hosts(&w->s), true);
	residual_init(&w->left, &w->s);
	for (size_t l = 0; l < w->s.n_links; l++)
		if (pick(3) == 0)
			w->left.link_kbps[l] = pick((uint32_t)w->left.link_kbps[l] + 1);
	for (size_t k = 0; !torn && k < w->r.n_links; k++)
		w->r.links[k].bw_kbps *= 1 + pick(2) * pick(4);
}

static void world_done(struct world *w)
{
	residual_done(&w->left);
	request_done(&w->r);
	substrate_done(&w->s);
}

/* Of one division: what crosses; false where candidates or numbers of hosts do not allow it. */
static bool division(const struct problem *p, const uint8_t *inside, uint32_t mask, int64_t *ret_across)
{
	size_t hosts[2] = { 0, 0 }, used[2] = { 0, 0 };

	for (size_t a = 0; a < p->s->n_nodes; a++) {
		bool any = false;
		for (size_t u = 0; u < p->r->n_nodes; u++)
			any = any || p->is_cand[u][a];
		hosts[inside[a]] += any;
	}
	for (size_t u = 0; u < p->r->n_nodes; u++) {
		bool may = false;
		for (size_t i = 0; i < p->cand[u].n; i++)
			may = may || inside[p->cand[u].v[i]] == (mask >> u & 1);
		if (!may)
			return false;
		used[mask >> u & 1]++;
	}
	if (p->r->placement == PLACEMENT_DISTINCT && (used[0] > hosts[0] || used[1] > hosts[1]))
		return false;
	*ret_across = 0;
	for (size_t k = 0; k < p->r->n_links; k++) {
		const struct vlink *l = &p->r->links[k];
		if ((mask >> l->a & 1) != (mask >> l->b & 1))
			*ret_across += l->bw_kbps * (l->protect ? 2 : 1);
	}
	return true;
}

static void weigh_again(const struct world *w, const struct problem *p, uint64_t *proven)
{
	mem_auto uint8_t *inside = mem_array(w->s.n_nodes + 1, 1);
	struct cut cut;
	uint64_t work = 0;
	int64_t left = 0, least = INT64_MAX;

	for (size_t a = 0; a < w->s.n_nodes; a++)
		inside[a] = (uint8_t)pick(2);
	if (!cut_weigh(p, inside, &work, &cut))
		return;
	for (size_t l = 0; l < w->s.n_links; l++)
		left += inside[w->s.links[l].a] != inside[w->s.links[l].b] ? w->left.link_kbps[l] : 0;
	assert_int_equal(left, cut.left_kbps);
	for (uint32_t mask = 0; mask < 1u << w->r.n_nodes; mask++) {
		int64_t across;
		if (division(p, inside, mask, &across) && across < least)
			least = across;
	}
	/* It may demand more than this sum: whole paths, protection, cpu. Never less. */
	assert_true(cut.need_kbps >= least);
	if (!cut.pieces && cut.need_kbps != INT64_MAX)
		assert_true(cut.need_kbps > left);
	++*proven;
	free(cut.side);
}

static bool embeds(const struct world *w, const char *solver)
{
	struct embed_options options = { .solver = solver, .effort = EFFORT, .seed = 7 };
	struct solution answer = { 0 };
	struct err err = { 0 };

	if (embed_once(&w->s, &w->left, &w->r, &options, &answer, &err) != 0)
		fail_msg("%s", err.text);
	bool found = answer.has_embedding;
	solution_done(&answer);
	return found;
}

static void test_cuts(void **state)
{
	uint64_t weighed = 0, found = 0;

	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct world w;
		struct problem p;
		struct err why = { 0 };
		uint64_t work = 0;
		world_make(&w, seed, true);
		if (problem_init(&p, &w.s, &w.left, &w.r, OBJECTIVE_COST, &why) == 0) {
			for (int i = 0; i < 10; i++)
				weigh_again(&w, &p, &weighed);
			if (cut_find(&p, 1000000, &work, &why)) {
				found++;
				if (embeds(&w, "heuristic") || embeds(&w, "mip"))
					fail_msg("seed %llu: it fits, though %s", (unsigned long long)seed, why.text);
			}
		}
		problem_done(&p);
		world_done(&w);
	}
	print_message("%llu random cuts weighed again, %llu found\n", (unsigned long long)weighed, (unsigned long long)found);
	assert_true(weighed >= 20 && found >= 40);
}

static void test_relaxations(void **state)
{
	uint64_t refused = 0, relaxed = 0;

	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct world w;
		struct relaxation x;
		struct embed_options options = { .seed = 1 };
		char text[256];
		world_make(&w, seed, false);
		if (!embeds(&w, "heuristic")) {
			refused++;
			if (relax_find(&w.s, &w.left, &w.r, &options, "", 5000, INT64_MAX, &x)) {
				relaxed++;
				assert_true(x.change > 0 && x.change <= 1);
				relax_text(&w.r, &x, text, sizeof(text));
				request_relax(&w.r, &x);
				if (!embeds(&w, "heuristic") && !embeds(&w, "mip"))
					fail_msg("seed %llu: it does not fit with %s", (unsigned long long)seed, text);
			}
		}
		world_done(&w);
	}
	print_message("%llu relaxations for %llu refused\n", (unsigned long long)relaxed, (unsigned long long)refused);
	assert_true(refused >= 100 && relaxed * 2 >= refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_relaxations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
