/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random networks of routers, switches and uplinks: LANs by another way of finding them; no address twice and no subnet in
 * another; packets that follow the static routes come by fewest hops to every router, and out by the nearest gateway. */
#include <sys/socket.h>

#include "model/lan.h"
#include "tests/help_plan.h"

enum { CASES = 400, NODES = 12, LINKS = 20, FAR = 1000 };

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % n;
}

/* Some with a pool that just about is enough, or not. */
static char *random_text(void)
{
	static const char *const uplinks[] = {
		"", "", "", ", uplinks: [{port: u}]", ", uplinks: [{port: u, address: 192.0.2.7/24, gateway: 192.0.2.1}]",
		", uplinks: [{port: u, address: 'fd00::7/64', gateway: 'fd00::1'}]", ", uplinks: [{port: u, address: 198.51.100.9/24}]",
	};
	struct buf text = BUF_INIT;
	uint32_t n = 2 + below(NODES - 1), links = below(LINKS), switches = 1 + below(4);

	buf_printf(&text, "kind: network\nname: n\nplacement: pack\npools: {links: %s}\ndefaults: {node: {cpu: 0.01}, link: {bandwidth: 1mbit}}\nnodes:\n",
	           below(3) ? "10.0.0.0/16" : below(2) ? "10.0.0.0/26" : "10.0.0.0/27");
	for (uint32_t i = 0; i < n; i++) {
		bool is_switch = below(switches + 1) == 0;

		buf_printf(&text, "  - {name: n%u%s}\n", i, is_switch ? ", router: openflow" : uplinks[below(ARRAY_LEN(uplinks))]);
	}
	buf_printf(&text, "links:%s\n", links ? "" : " []");
	for (uint32_t k = 0; k < links; k++) {
		uint32_t a = below(n), b = (a + 1 + below(n - 1)) % n;

		buf_printf(&text, "  - {endpoints: [n%u, n%u], name: l%u}\n", a, b, k);
	}
	return buf_take(&text);
}

struct net {
	struct request r;
	struct plan p;
	uint32_t segment[LINKS];    /* what a frame sent into a link may come to: one number per LAN or link */
	uint32_t hops[NODES][NODES];
};

static bool is_switch(const struct net *n, uint32_t node)
{
	return kind_is_switch(n->r.nodes[node].kind);
}

/* Links that meet at a switch are one; again and again, until nothing changes. */
static void find_segments(struct net *n)
{
	for (uint32_t k = 0; k < n->r.n_links; k++)
		n->segment[k] = k;
	for (bool changed = true; changed;) {
		changed = false;
		for (uint32_t k = 0; k < n->r.n_links; k++)
			for (uint32_t j = 0; j < n->r.n_links; j++) {
				const struct vlink *a = &n->r.links[k], *b = &n->r.links[j];
				bool meet = (is_switch(n, a->a) && (a->a == b->a || a->a == b->b)) || (is_switch(n, a->b) && (a->b == b->a || a->b == b->b));

				if (meet && n->segment[j] < n->segment[k]) {
					n->segment[k] = n->segment[j];
					changed = true;
				}
			}
	}
}

static uint32_t end_of(const struct net *n, uint32_t port)
{
	return port & 1 ? n->r.links[port >> 1].b : n->r.links[port >> 1].a;
}

static void find_hops(struct net *n)
{
	uint32_t size = (uint32_t)n->r.n_nodes;

	for (uint32_t i = 0; i < size; i++)
		for (uint32_t k = 0; k < size; k++)
			n->hops[i][k] = i == k ? 0 : FAR;
	for (uint32_t p = 0; p < 2 * n->r.n_links; p++)
		for (uint32_t q = 0; q < 2 * n->r.n_links; q++) {
			uint32_t a = end_of(n, p), b = end_of(n, q);

			if (a != b && n->segment[p >> 1] == n->segment[q >> 1] && !is_switch(n, a) && !is_switch(n, b))
				n->hops[a][b] = 1;
		}
	for (uint32_t m = 0; m < size; m++)
		for (uint32_t i = 0; i < size; i++)
			for (uint32_t k = 0; k < size; k++)
				if (n->hops[i][m] + n->hops[m][k] < n->hops[i][k])
					n->hops[i][k] = n->hops[i][m] + n->hops[m][k];
}

/* ---- addresses -------------------------------------------------------------------------- */

static uint32_t number(const struct addr *a)
{
	return (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 | (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

static void check_addresses(const struct net *n)
{
	const struct node_plan *np = &n->p.nodes[0];
	uint32_t pool = number(&n->r.pool_links), pool_size = UINT32_C(1) << (32 - n->r.pool_links.prefix);

	for (size_t i = 0; i < np->n_ports; i++) {
		const struct plan_port *p = &np->ports[i];

		if (p->uplink)
			continue;
		assert_int_equal(p->address.family, is_switch(n, p->router) ? 0 : AF_INET);
		if (!p->address.family)
			continue;
		uint32_t size = UINT32_C(1) << (32 - p->address.prefix), first = number(&p->address) & ~(size - 1);

		assert_true(first - pool < pool_size && pool_size - (first - pool) >= size);
		if (p->lan) /* neither its network's nor the broadcast address */
			assert_true(number(&p->address) != first && number(&p->address) != first + size - 1);
		else
			assert_int_equal(number(&p->address) - pool, p->id); /* as without any LAN */
		for (size_t k = 0; k < np->n_ports; k++) {
			const struct plan_port *q = &np->ports[k];

			if (k == i || q->uplink || !q->address.family)
				continue;
			bool together = number(&q->address) - first < size, same = n->segment[p->id >> 1] == n->segment[q->id >> 1];

			assert_int_equal(together, same);
			assert_true(number(&p->address) != number(&q->address));
			assert_true(!same || p->address.prefix == q->address.prefix);
		}
	}
}

/* ---- routes ----------------------------------------------------------------------------- */

static const struct plan_route *route_to(const struct net *n, uint32_t router, const struct addr *to)
{
	const struct plan_router *r = &n->p.nodes[0].routers[router];

	for (size_t i = 0; i < r->n_routes; i++)
		if (memcmp(&r->routes[i].to, to, sizeof(*to)) == 0)
			return &r->routes[i];
	return NULL;
}

/* The next router: whose address the next hop is, which must be where the route's port leads. */
static uint32_t next_router(const struct net *n, uint32_t at, const struct plan_route *route)
{
	const struct node_plan *np = &n->p.nodes[0];

	assert_true(route->port < 2 * n->r.n_links);
	assert_int_equal(end_of(n, route->port), at);
	for (size_t i = 0; i < np->n_ports; i++)
		if (!np->ports[i].uplink && np->ports[i].address.family && number(&np->ports[i].address) == number(&route->via)) {
			assert_int_equal(n->segment[np->ports[i].id >> 1], n->segment[route->port >> 1]);
			return np->ports[i].router;
		}
	fail_msg("nobody has the next hop");
	return 0;
}

static void check_ways(const struct net *n, uint32_t from, uint32_t to)
{
	const struct plan_router *r = &n->p.nodes[0].routers[to];
	uint32_t at = from, hops = 0;

	for (const struct plan_route *route; (route = route_to(n, at, &r->loopbacks[0])); hops++) {
		assert_true(hops < NODES);
		at = next_router(n, at, route);
	}
	assert_int_equal(at == to, n->hops[from][to] < FAR);
	if (at == to)
		assert_int_equal(hops, n->hops[from][to]);
	else
		assert_int_equal(hops, 0);
}

static bool leads_out(const struct net *n, uint32_t node)
{
	for (size_t i = 0; i < n->r.nodes[node].n_uplinks; i++) {
		const struct vuplink *u = &n->r.nodes[node].uplinks[i];

		if (!u->address.family || u->gateway.family == AF_INET)
			return true;
	}
	return false;
}

static void check_way_out(const struct net *n, uint32_t from)
{
	const struct addr all = { .family = AF_INET };
	uint32_t at = from, hops = 0, nearest = FAR;

	for (uint32_t i = 0; i < n->r.n_nodes; i++)
		if (leads_out(n, i) && n->hops[from][i] < nearest)
			nearest = n->hops[from][i];
	for (const struct plan_route *route; (route = route_to(n, at, &all)) && route->port < PLAN_UPLINK_ID; hops++) {
		assert_true(hops < NODES);
		at = next_router(n, at, route);
	}
	assert_int_equal(leads_out(n, at), nearest < FAR);
	assert_int_equal(hops, nearest < FAR ? nearest : 0);
}

/* ---- the whole -------------------------------------------------------------------------- */

static bool fits(const struct request *r)
{
	struct lans lans;

	if (lans_make(r, &lans, NULL) < 0)
		return false;
	lans_done(&lans);
	return true;
}

static bool check_case(const struct substrate *s, const char *text)
{
	struct yaml_errors errors = { .file = "r" };
	struct request *r;
	struct err err = { 0 };
	size_t count;
	int rc = request_parse(text, strlen(text), false, &errors, &r, &count, &err);

	if (rc < 0) { /* the only fault that there can be */
		if (!strstr(buf_cstr(&errors.text), "too small"))
			fail_msg("%s", buf_cstr(&errors.text));
		yaml_errors_done(&errors);
		return false;
	}
	yaml_errors_done(&errors);
	struct net n = { .r = r[0] };
	struct embedding e;

	assert_true(fits(&n.r));
	embedding_init(&e, n.r.n_nodes, n.r.n_links);
	for (size_t i = 0; i < n.r.n_nodes; i++)
		e.host[i] = 0;
	embedding_choose_kinds(&e, s, &n.r);
	if (help_plan(s, &n.r, &e, NULL, &n.p, &err) < 0)
		fail_msg("%s", err.text);
	find_segments(&n);
	find_hops(&n);
	check_addresses(&n);
	for (uint32_t i = 0; i < n.r.n_nodes; i++) {
		if (is_switch(&n, i)) {
			assert_int_equal(n.p.nodes[0].routers[i].n_routes + n.p.nodes[0].routers[i].n_loopbacks, 0);
			continue;
		}
		for (uint32_t k = 0; k < n.r.n_nodes; k++)
			if (i != k && !is_switch(&n, k))
				check_ways(&n, i, k);
		check_way_out(&n, i);
	}
	plan_done(&n.p);
	embedding_done(&e);
	request_done(&n.r);
	free(r);
	return true;
}

static void test_random(void **state)
{
	struct substrate s = help_substrate("{kind: substrate, name: s, nodes: [{name: a, cpu: 64, address: 192.0.2.1, uplinks: [u]}], links: []}");
	size_t made = 0;

	for (uint64_t i = 1; i <= CASES; i++) {
		seed = i * 7919;
		mem_auto char *text = random_text();
		made += check_case(&s, text);
	}
	substrate_done(&s);
	assert_true(made > CASES / 2 && made < CASES);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests_name("lan", tests, NULL, NULL);
}
