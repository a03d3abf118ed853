/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans made one beside the other, through rows of random changes: what stays keeps numbers, names, addresses and, where its path
 * is the same, tunnels; what is new never gets one that is in use; frames walk exactly the new embedding's paths. */
#include "tests/help_plan.h"
#include "tests/help_random.h"

#include <stdio.h>

enum { CASES = 120, STEPS = 5, ROUTERS = 8, LINKS = 12 };

struct world { /* what requests are drawn from: links of fixed ends, switches among the routers */
	uint32_t a[LINKS], b[LINKS];
	bool is_switch[ROUTERS], image[ROUTERS];
};

struct made {
	struct request r;
	struct embedding e;
	struct plan p;
	struct plan_numbers numbers;
};

static struct world random_world(void)
{
	struct world w = { 0 };

	for (uint32_t i = 0; i < ROUTERS; i++)
		w.is_switch[i] = pick(5) == 0;
	for (uint32_t k = 0; k < LINKS; k++) {
		w.a[k] = pick(ROUTERS);
		w.b[k] = (w.a[k] + 1 + pick(ROUTERS - 1)) % ROUTERS;
	}
	return w;
}

/* Routers and links in a random order, some of each left out, some renamed. */
static struct request draw(const struct world *w)
{
	buf_auto struct buf text = BUF_INIT;
	bool in[ROUTERS] = { false };
	uint32_t shift = pick(ROUTERS), turn = pick(LINKS);
	const char *links = "links:\n";

	buf_str(&text, "kind: network\nname: r\nplacement: pack\ndefaults: {node: {cpu: 1, memory: 64MiB}, link: {bandwidth: 12mbit}}\nnodes:\n");
	for (uint32_t k = 0; k < ROUTERS; k++) {
		uint32_t i = (k + shift) % ROUTERS;

		in[i] = pick(6) != 0;
		if (!in[i])
			continue;
		buf_printf(&text, "  - {name: n%u%s", i, w->is_switch[i] ? ", router: openflow" : ", router: netns");
		if (!w->is_switch[i] && pick(3) == 0)
			buf_printf(&text, ", uplinks: [{port: out, address: 192.0.2.%u/24}%s]", i + 1, pick(2) ? ", {port: up, address: 198.51.100.9/24}" : "");
		buf_str(&text, "}\n");
	}
	for (uint32_t n = 0; n < LINKS; n++) {
		uint32_t k = (n + turn) % LINKS;

		if (!in[w->a[k]] || !in[w->b[k]] || pick(5) == 0)
			continue;
		buf_printf(&text, "%s  - {endpoints: [n%u, n%u], name: v%u%s}\n", links, w->a[k], w->b[k], k, pick(6) ? "" : ", protection: link");
		links = "";
	}
	return help_request(buf_cstr(&text));
}

/* Most of what stays stays where it is. */
static struct embedding embed_beside(const struct substrate *s, struct request *r, const struct made *before)
{
	struct embedding e = random_embedding(s, r);

	for (size_t i = 0; before && i < r->n_nodes; i++) {
		size_t old = hash_index(before->r.node_index, r->nodes[i].name);

		if (old != SIZE_MAX && pick(4))
			e.host[i] = before->e.host[old];
	}
	for (size_t k = 0; before && k < r->n_links; k++) {
		size_t old = hash_index(before->r.link_index, r->links[k].name);
		struct vlink_map *m = &e.links[k];

		free(m->backup.links);
		for (size_t i = 0; i < m->n_paths; i++)
			free(m->paths[i].links);
		free(m->paths);
		*m = (struct vlink_map){ 0 };
		if (old != SIZE_MAX && pick(4) && r->links[k].protect == before->r.links[old].protect &&
		    e.host[r->links[k].a] == before->e.host[before->r.links[old].a] &&
		    e.host[r->links[k].b] == before->e.host[before->r.links[old].b]) {
			struct embedding copy;

			embedding_copy(&before->e, &copy);
			*m = copy.links[old];
			copy.links[old] = (struct vlink_map){ 0 };
			embedding_done(&copy);
		} else {
			random_link(s, r, &e, k);
		}
	}
	return e;
}

static const struct plan_router *find_router(const struct plan *p, uint32_t id)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		for (size_t k = 0; k < p->nodes[i].n_routers; k++)
			if (p->nodes[i].routers[k].id == id)
				return &p->nodes[i].routers[k];
	fail_msg("no router %u", id);
	return NULL;
}

static void check_unique(const uint32_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_not_equal(v[i], UINT32_MAX);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(v[i], v[k]);
	}
}

/* No address twice in the network, nor in a LAN's subnet what is not on it. */
static void check_addresses(const struct made *m)
{
	for (size_t i = 0; i < 2 * m->r.n_links; i++) {
		size_t node;
		const struct plan_port *a = help_port(&m->p, m->numbers.link[i / 2] << 1 | (i & 1), &node);

		for (size_t k = 0; k < i; k++) {
			const struct plan_port *b = help_port(&m->p, m->numbers.link[k / 2] << 1 | (k & 1), &node);

			if (a->address.family && b->address.family)
				assert_memory_not_equal(a->address.bytes, b->address.bytes, 4);
			if (a->router == b->router)
				assert_string_not_equal(a->ifname, b->ifname);
		}
	}
	for (size_t i = 0; i < m->r.n_nodes; i++)
		for (size_t k = 0; k < i; k++) {
			const struct plan_router *a = find_router(&m->p, m->numbers.router[i]), *b = find_router(&m->p, m->numbers.router[k]);

			if (a->n_loopbacks && b->n_loopbacks)
				assert_false(addr_same(&a->loopbacks[0], &b->loopbacks[0]));
		}
}

static size_t kept_lans;

static void check_beside(const struct made *was, const struct made *now, size_t *kept_vnis)
{
	for (size_t i = 0; i < now->r.n_nodes; i++) {
		size_t old = hash_index(was->r.node_index, now->r.nodes[i].name);

		for (size_t k = 0; k < was->r.n_nodes; k++)
			assert_int_equal(now->numbers.router[i] == was->numbers.router[k], k == old);
		if (old == SIZE_MAX)
			continue;
		const struct plan_router *a = find_router(&was->p, was->numbers.router[old]), *b = find_router(&now->p, now->numbers.router[i]);

		assert_int_equal(a->n_loopbacks, b->n_loopbacks);
		if (a->n_loopbacks)
			assert_true(addr_same(&a->loopbacks[0], &b->loopbacks[0]));
	}
	for (size_t i = 0; i < now->r.n_links; i++) {
		size_t old = hash_index(was->r.link_index, now->r.links[i].name), node;

		for (size_t k = 0; k < was->r.n_links; k++)
			assert_int_equal(now->numbers.link[i] == was->numbers.link[k], k == old);
		for (uint32_t end = 0; old != SIZE_MAX && end < 2; end++) {
			const struct plan_port *a = help_port(&was->p, was->numbers.link[old] << 1 | end, &node);
			const struct plan_port *b = help_port(&now->p, now->numbers.link[i] << 1 | end, &node);

			assert_string_equal(a->ifname, b->ifname);
			assert_memory_equal(a->mac, b->mac, 6);
			struct addr from, to;

			addr_network(&a->address, &from);
			addr_network(&b->address, &to);
			if (!a->lan || addr_same(&from, &to)) /* a LAN may have outgrown its subnet */
				assert_memory_equal(&a->address, &b->address, sizeof(a->address));
			kept_lans += a->lan && addr_same(&from, &to);
		}
		bool same = old != SIZE_MAX && now->e.links[i].n_paths && was->e.links[old].n_paths &&
		            now->e.links[i].paths[0].n == was->e.links[old].paths[0].n &&
		            now->e.host[now->r.links[i].a] == was->e.host[was->r.links[old].a] &&
		            memcmp(now->e.links[i].paths[0].links, was->e.links[old].paths[0].links,
		                   now->e.links[i].paths[0].n * sizeof(uint32_t)) == 0;

		for (size_t n = 0; same && n < now->p.n_nodes; n++)
			for (size_t k = 0; k < now->p.nodes[n].n_crosses; k++) {
				const struct plan_cross *x = &now->p.nodes[n].crosses[k];
				bool ours = x->path == 0 && x->a.kind == ENDPOINT_PORT && x->a.id >> 1 == now->numbers.link[i] && x->b.kind == ENDPOINT_SEGMENT;
				bool found = !ours;

				for (size_t j = 0; !found && j < was->p.n_vnis; j++)
					found = was->p.vnis[j] == x->b.id;
				assert_true(found);
				*kept_vnis += ours;
			}
	}
}

/* A tunnel that both plans have joins the same nodes for the same link. */
static void check_tunnels(const struct made *was, const struct made *now)
{
	for (size_t n = 0; n < now->p.n_nodes; n++)
		for (size_t k = 0; k < now->p.nodes[n].n_segments; k++)
			for (size_t j = 0; j < was->p.n_nodes; j++)
				for (size_t i = 0; i < was->p.nodes[j].n_segments; i++) {
					const struct plan_segment *a = &was->p.nodes[j].segments[i], *b = &now->p.nodes[n].segments[k];

					if (a->vni != b->vni || was->p.snode[j] != now->p.snode[n])
						continue;
					assert_int_equal(a->link, b->link);
					assert_true(addr_same(&a->remote, &b->remote) && addr_same(&a->local, &b->local));
				}
}

static void made_done(struct made *m)
{
	plan_numbers_done(&m->numbers);
	plan_done(&m->p);
	embedding_done(&m->e);
	request_done(&m->r);
}

static struct made make(const struct substrate *s, const struct world *w, const struct made *before, struct help_vnis *vnis)
{
	struct made m = { .r = draw(w) };
	struct err err = { 0 };
	struct plan_before standing;
	struct plan_input in = { .s = s, .r = &m.r, .e = &m.e, .net = 7, .generation = 1, .owner = "alice", .vnis = { help_take_vni, vnis } };

	if (before)
		standing = (struct plan_before){ &before->r, &before->e, &before->p };
	in.before = before ? &standing : NULL;
	m.e = embed_beside(s, &m.r, before);
	if (plan_make(&in, &m.p, &err) < 0)
		fail_msg("%s", err.text);
	plan_numbers_of(&m.p, &m.r, &m.numbers);
	return m;
}

static void test_rows(void **state)
{
	size_t kept_vnis = 0;

	for (uint64_t i = 1; i <= CASES; i++) {
		struct help_vnis vnis = { 1000, VNI_MAX };
		struct substrate s;

		random_seed(i);
		s = random_substrate(false);
		for (uint32_t n = 0; n < s.n_nodes; n++)
			if (s.nodes[n].agent)
				s.nodes[n].kinds = (struct yaml_names){ 0 };
		struct world w = random_world();
		struct made was = make(&s, &w, NULL, &vnis);

		for (int step = 0; step < STEPS; step++) {
			struct made now = make(&s, &w, &was, &vnis);

			help_check_walks(&now.p, &s, &now.r, &now.e);
			check_unique(now.numbers.router, now.numbers.n_routers);
			check_unique(now.numbers.link, now.numbers.n_links);
			check_unique(now.numbers.uplink, now.numbers.n_uplinks);
			check_addresses(&now);
			check_beside(&was, &now, &kept_vnis);
			check_tunnels(&was, &now);
			made_done(&was);
			was = now;
		}
		made_done(&was);
		substrate_done(&s);
	}
	assert_true(kept_vnis > CASES && kept_lans > CASES); /* it was not all new */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
