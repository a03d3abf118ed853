/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random embeddings on random substrates: frames walk exactly the embedding's paths and no other,
 * and static routes lead from every router to everything that can be reached, by fewest hops. */
#include "tests/help_plan.h"

#include <stdio.h>

enum { CASES = 300, NODES_MAX = 12 };

static uint64_t seed;

static uint32_t pick(uint32_t n) /* 0 … n - 1 */
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

/* Connected, with links side by side, and about one node in five a switch without an agent. */
static struct substrate random_substrate(void)
{
	buf_auto struct buf text = BUF_INIT;
	uint32_t n = 3 + pick(NODES_MAX - 2), extra = pick(n + 3);

	buf_str(&text, "kind: substrate\nname: s\nnodes:\n");
	for (uint32_t i = 0; i < n; i++) {
		if (i > 1 && pick(5) == 0)
			buf_printf(&text, "  - {name: n%u, cpu: 1, agent: false}\n", i);
		else
			buf_printf(&text, "  - {name: n%u, cpu: 100, address: 192.0.2.%u}\n", i, i + 1);
	}
	buf_str(&text, "links:\n");
	for (uint32_t i = 1; i < n + extra; i++) {
		uint32_t a = i < n ? i : pick(n), b = i < n ? pick(i) : (a + 1 + pick(n - 1)) % n;

		buf_printf(&text, "  - {endpoints: [n%u, n%u], name: l%u, bandwidth: 1000gbit}\n", a, b, i);
	}
	return help_substrate(buf_cstr(&text));
}

static struct request random_request(uint32_t hosts)
{
	buf_auto struct buf text = BUF_INIT;
	bool pack = pick(2);
	uint32_t n = pack ? 2 + pick(7) : 1 + pick(hosts), links = n > 1 ? pick(2 * n) : 0;

	buf_printf(&text, "kind: network\nname: r\nplacement: %s\ndefaults: {node: {cpu: 1}, link: {bandwidth: 12mbit}}\n"
	           "nodes:\n", pack ? "pack" : "distinct");
	for (uint32_t i = 0; i < n; i++)
		buf_printf(&text, "  - {name: r%u}\n", i);
	if (links)
		buf_str(&text, "links:\n");
	for (uint32_t i = 0; i < links; i++) {
		static const char *const more[] = { "", ", paths: split", ", protection: link", "" };
		uint32_t a = pick(n), b = (a + 1 + pick(n - 1)) % n;

		buf_printf(&text, "  - {endpoints: [r%u, r%u], name: v%u%s}\n", a, b, i, more[pick(4)]);
	}
	return help_request(buf_cstr(&text));
}

/* Walks at random from `at`, never to a node twice, until it is at `to`. */
static bool wander(const struct substrate *s, uint32_t at, uint32_t to, bool *seen, struct path *p)
{
	uint32_t offset = pick((uint32_t)s->n_links);

	if (at == to)
		return true;
	seen[at] = true;
	for (uint32_t i = 0; i < s->n_links; i++) {
		uint32_t k = (i + offset) % (uint32_t)s->n_links;
		const struct slink *l = &s->links[k];
		uint32_t next = l->a == at ? l->b : l->a;

		if ((l->a != at && l->b != at) || seen[next])
			continue;
		p->links[p->n++] = k;
		if (wander(s, next, to, seen, p))
			return true;
		p->n--;
	}
	return false;
}

static struct path random_path(const struct substrate *s, uint32_t from, uint32_t to, int64_t bw_kbps)
{
	struct path p = { .links = mem_array(s->n_links, sizeof(*p.links)), .bw_kbps = bw_kbps };
	bool seen[NODES_MAX + 1] = { false };

	assert_true(wander(s, from, to, seen, &p));
	return p;
}

static bool share_link(const struct path *p, const struct path *q)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < q->n; k++)
			if (p->links[i] == q->links[k])
				return true;
	return false;
}

static void random_link(const struct substrate *s, struct request *r, struct embedding *e, size_t i)
{
	struct vlink *l = &r->links[i];
	struct vlink_map *m = &e->links[i];
	uint32_t from = e->host[l->a], to = e->host[l->b];

	if (from == to)
		return;
	m->n_paths = l->split ? 1 + pick(3) : 1;
	m->paths = mem_array(m->n_paths, sizeof(*m->paths));
	for (size_t k = 0; k < m->n_paths; k++)
		m->paths[k] = random_path(s, from, to, l->bw_kbps / (int64_t)m->n_paths);
	for (int tries = 0; l->protect && tries < 10; tries++) {
		m->backup = random_path(s, from, to, l->bw_kbps);
		if (!share_link(&m->paths[0], &m->backup))
			return;
		free(m->backup.links);
		m->backup = (struct path){ 0 };
	}
	l->protect = false; /* there was no second way */
}

static struct embedding random_embedding(const struct substrate *s, struct request *r)
{
	uint32_t hosts[NODES_MAX + 1], n = 0;
	struct embedding e;

	embedding_init(&e, r->n_nodes, r->n_links);
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].agent)
			hosts[n++] = i;
	for (uint32_t i = 0; i < r->n_nodes; i++) {
		uint32_t k = pick(n);

		e.host[i] = hosts[k];
		if (r->placement == PLACEMENT_DISTINCT)
			hosts[k] = hosts[--n];
	}
	for (size_t i = 0; i < r->n_links; i++)
		random_link(s, r, &e, i);
	embedding_choose_kinds(&e, s, r);
	return e;
}

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
		uint32_t hosts = 0;

		seed = i * UINT64_C(0x9e3779b97f4a7c15);
		s = random_substrate();
		for (size_t k = 0; k < s.n_nodes; k++)
			hosts += s.nodes[k].agent;
		r = random_request(hosts);
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
