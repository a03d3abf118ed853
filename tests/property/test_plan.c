/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random embeddings on random substrates: frames walk exactly the embedding's paths and no other,
 * and static routes lead from every router to everything that can be reached, by fewest hops. */
#include "tests/help_plan.h"
#include "tests/help_random.h"

#include <stdio.h>

enum { CASES = 300 };

/* ---- routes ----------------------------------------------------------------------------- */

/* Hops between all routers, by Floyd and Warshall. */
static void all_hops(const struct request *r, uint32_t hops[16][16])
{
	for (size_t i = 0; i < r->n_nodes; i++)
		for (size_t k = 0; k < r->n_nodes; k++)
			hops[i][k] = i == k ? 0 : 1000;
	for (size_t i = 0; i < r->n_links; i++)
		hops[r->links[i].a][r->links[i].b] = hops[r->links[i].b][r->links[i].a] = 1;
	for (size_t m = 0; m < r->n_nodes; m++)
		for (size_t i = 0; i < r->n_nodes; i++)
			for (size_t k = 0; k < r->n_nodes; k++)
				if (hops[i][m] + hops[m][k] < hops[i][k])
					hops[i][k] = hops[i][m] + hops[m][k];
}

static const struct plan_router *router(const struct plan *p, uint32_t id)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		for (size_t k = 0; k < p->nodes[i].n_routers; k++)
			if (p->nodes[i].routers[k].id == id)
				return &p->nodes[i].routers[k];
	fail_msg("no router %u", id);
	return NULL;
}

static const struct plan_route *route(const struct plan_router *r, const struct addr *to)
{
	const struct plan_route *found = NULL;

	for (size_t i = 0; i < r->n_routes; i++) {
		if (memcmp(&r->routes[i].to, to, sizeof(*to)) != 0)
			continue;
		assert_null(found); /* never two to one end */
		found = &r->routes[i];
	}
	return found;
}

/* Follows next hops from router `at` until none has a route; returns the hops, *ret_at where it ended. */
static uint32_t follow(const struct plan *p, const struct request *req, uint32_t at, const struct addr *to, uint32_t *ret_at)
{
	uint32_t n = 0;
	const struct plan_route *hop;

	while ((hop = route(router(p, at), to))) {
		const struct vlink *l = &req->links[hop->port >> 1];
		size_t node;

		assert_int_equal(hop->port & 1 ? l->b : l->a, at);
		assert_memory_equal(&help_port(p, hop->port, &node)->peer, &hop->via, sizeof(hop->via));
		at = hop->port & 1 ? l->a : l->b;
		assert_true(++n <= req->n_nodes);
	}
	*ret_at = at;
	return n;
}

static void check_routes(const struct plan *p, const struct request *r)
{
	uint32_t hops[16][16], end;

	all_hops(r, hops);
	for (uint32_t from = 0; from < r->n_nodes; from++) {
		for (uint32_t to = 0; to < r->n_nodes; to++) {
			uint32_t n = follow(p, r, from, &router(p, to)->loopbacks[0], &end);

			assert_int_equal(end, hops[from][to] < 1000 ? to : from);
			assert_int_equal(n, hops[from][to] < 1000 ? hops[from][to] : 0);
		}
		for (uint32_t k = 0; k < r->n_links; k++) {
			uint32_t a = r->links[k].a, b = r->links[k].b, n;
			size_t node;
			struct addr subnet = help_port(p, k << 1, &node)->address;

			n = follow(p, r, from, &subnet, &end);
			if (hops[from][a] >= 1000) {
				assert_int_equal(end, from);
				continue;
			}
			assert_true(end == a || end == b);
			assert_int_equal(n, hops[from][a] < hops[from][b] ? hops[from][a] : hops[from][b]);
		}
	}
}

static void test_random(void **state)
{
	size_t links = 0, backups = 0, splits = 0;

	for (uint64_t i = 1; i <= CASES; i++) {
		struct substrate s;
		struct request r;
		struct embedding e;
		struct residual left;
		struct plan p;
		struct err err = { 0 };

		random_seed(i);
		s = random_substrate(false);
		r = random_request(random_hosts(&s), false);
		e = random_embedding(&s, &r);
		residual_init(&left, &s);
		if (embedding_check(&s, &left, &r, &e, &err) < 0 || help_plan(&s, &r, &e, NULL, &p, &err) < 0)
			fail_msg("case %llu: %s", (unsigned long long)i, err.text);
		help_check_walks(&p, &s, &r, &e);
		check_routes(&p, &r);
		for (size_t k = 0; k < r.n_links; k++) {
			links++;
			backups += e.links[k].backup.n > 0;
			splits += e.links[k].n_paths > 1;
		}
		plan_done(&p);
		residual_done(&left);
		embedding_done(&e);
		request_done(&r);
		substrate_done(&s);
	}
	/* the cases are of every kind */
	assert_true(links > CASES && backups > CASES / 10 && splits > CASES / 10);
}

/* A long chain: the plan's own size is all that making it takes. */
static void test_large(void **state)
{
	enum { N = 400 };
	buf_auto struct buf text = BUF_INIT;
	struct substrate s = help_substrate("kind: substrate\nname: s\nnodes: [{name: a, cpu: 1000, address: 192.0.2.1}]\n");
	struct request r;
	struct embedding e;
	struct plan p;
	struct err err = { 0 };

	buf_str(&text, "kind: network\nname: r\nplacement: pack\ndefaults: {node: {cpu: 1}, link: {bandwidth: 1mbit}}\nnodes:\n");
	for (int i = 0; i < N; i++)
		buf_printf(&text, "  - {name: r%d}\n", i);
	buf_str(&text, "links:\n");
	for (int i = 1; i < N; i++)
		buf_printf(&text, "  - {endpoints: [r%d, r%d]}\n", i - 1, i);
	r = help_request(buf_cstr(&text));
	embedding_init(&e, r.n_nodes, r.n_links);
	memset(e.host, 0, N * sizeof(*e.host));
	embedding_choose_kinds(&e, &s, &r);
	assert_int_equal(help_plan(&s, &r, &e, NULL, &p, &err), 0);
	for (int i = 0; i < N; i++) /* all loopbacks but its own, all links but its one or two */
		assert_int_equal(p.nodes[0].routers[i].n_routes, 2 * N - 2 - (i == 0 || i == N - 1 ? 1 : 2));
	plan_done(&p);
	embedding_done(&e);
	request_done(&r);
	substrate_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_large) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
