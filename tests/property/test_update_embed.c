/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Networks that run on random tight substrates lose a node, a link, or become another request: what comes of it fits by the
 * checker; nothing moves that could stay (by trying every choice of routers that might), and what is whole stays as it is. */
#include "tests/help_random.h"

#include "embed/update.h"

enum { CASES = 250 };

static bool embed(const struct substrate *s, const struct residual *left, const struct request *r, struct solution *ret)
{
	struct embed_options options = { .solver = "exact", .effort = 4000, .seed = 1 };

	*ret = (struct solution){ 0 };
	assert_int_equal(embed_solve(s, left, r, &options, ret, NULL), 0);
	return ret->has_embedding;
}

/* Whether r fits with these routers of `now` where they are. */
static bool fits_pinned(const struct substrate *s, const struct residual *left, const struct request *r, const struct embedding *now, uint32_t free_mask)
{
	struct request pinned = *r;
	mem_auto struct vnode *nodes = mem_array(r->n_nodes, sizeof(*nodes));
	mem_auto char **names = mem_array(r->n_nodes, sizeof(*names));
	struct solution got;

	memcpy(nodes, r->nodes, r->n_nodes * sizeof(*nodes));
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (now->host[i] == UINT32_MAX || free_mask >> i & 1)
			continue;
		names[i] = s->nodes[now->host[i]].name;
		nodes[i].place.on = (struct yaml_names){ &names[i], 1 };
		nodes[i].kind = now->kind[i];
	}
	pinned.nodes = nodes;
	bool found = embed(s, left, &pinned, &got);

	solution_done(&got);
	return found;
}

static size_t least_moves(const struct substrate *s, const struct residual *left, const struct request *r, const struct embedding *now)
{
	size_t best = SIZE_MAX;

	for (uint32_t mask = 0; mask < 1u << r->n_nodes; mask++) {
		size_t n = (size_t)__builtin_popcount(mask);
		bool real = true;

		for (size_t i = 0; i < r->n_nodes; i++)
			real &= !(mask >> i & 1) || now->host[i] != UINT32_MAX;
		if (real && n < best && fits_pinned(s, left, r, now, mask))
			best = n;
	}
	return best;
}

static size_t moves(const struct embedding *now, const struct embedding *e)
{
	size_t n = 0;

	for (size_t i = 0; i < now->n_nodes; i++)
		n += now->host[i] != UINT32_MAX && now->host[i] != e->host[i];
	return n;
}

static bool same_path(const struct path *a, const struct path *b)
{
	return a->n == b->n && a->bw_kbps == b->bw_kbps && !memcmp(a->links, b->links, a->n * sizeof(*a->links));
}

static void clear_link(struct vlink_map *m)
{
	for (size_t k = 0; k < m->n_paths; k++)
		free(m->paths[k].links);
	free(m->paths);
	free(m->backup.links);
	*m = (struct vlink_map){ 0 };
}

static bool uses(const struct path *p, uint32_t slink)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->links[i] == slink)
			return true;
	return false;
}

static void lose_link(struct embedding *now, struct residual *left, uint32_t slink)
{
	left->link_kbps[slink] = 0;
	for (size_t i = 0; i < now->n_links; i++) {
		struct vlink_map *m = &now->links[i];
		bool lost = false;

		for (size_t k = 0; k < m->n_paths; k++)
			lost |= uses(&m->paths[k], slink);
		if (m->backup.n && m->n_paths == 1 && lost != uses(&m->backup, slink)) { /* the other way stays */
			struct path stays = lost ? m->backup : m->paths[0];

			free((lost ? m->paths[0] : m->backup).links);
			m->paths[0] = stays;
			m->backup = (struct path){ 0 };
		} else if (lost || uses(&m->backup, slink)) {
			clear_link(m);
		}
	}
}

static void lose_node(const struct substrate *s, const struct request *r, struct embedding *now, struct residual *left, uint32_t snode)
{
	memset(left->node[snode], 0, sizeof(left->node[snode]));
	for (uint32_t k = 0; k < s->n_links; k++)
		if (s->links[k].a == snode || s->links[k].b == snode)
			lose_link(now, left, k);
	for (size_t i = 0; i < now->n_nodes; i++) {
		if (now->host[i] != snode)
			continue;
		now->host[i] = UINT32_MAX;
		free(now->kind[i]);
		now->kind[i] = NULL;
		for (size_t k = 0; k < r->n_links; k++)
			if (r->links[k].a == i || r->links[k].b == i)
				clear_link(&now->links[k]);
	}
}

static void test_losses(void **state)
{
	size_t found = 0, moved = 0, whole = 0, kept_paths = 0;

	for (uint64_t i = 1; i <= CASES; i++) {
		struct embed_options options = { .solver = "exact", .effort = 20000, .seed = 1 };
		struct solution before, after = { 0 };
		struct residual left;
		struct embedding now;
		struct err err = { 0 };

		random_seed(i);
		struct substrate s = random_substrate(true);
		struct request r = random_request(random_hosts(&s), true);

		residual_init(&left, &s);
		if (r.n_nodes > 5 || !embed(&s, &left, &r, &before)) {
			if (r.n_nodes <= 5)
				solution_done(&before);
			residual_done(&left);
			request_done(&r);
			substrate_done(&s);
			continue;
		}
		embedding_copy(&before.embedding, &now);
		uint32_t what = pick(3);

		if (what == 1 && s.n_links)
			lose_link(&now, &left, pick((uint32_t)s.n_links));
		else if (what == 2)
			lose_node(&s, &r, &now, &left, before.embedding.host[pick((uint32_t)r.n_nodes)]);
		assert_int_equal(embed_update(&s, &left, &r, &now, &options, &after, &err), 0);
		size_t least = least_moves(&s, &left, &r, &now);

		if (after.has_embedding) {
			if (embedding_check(&s, &left, &r, &after.embedding, &err) < 0)
				fail_msg("case %llu: %s", (unsigned long long)i, err.text);
			size_t n = moves(&now, &after.embedding);

			found++;
			moved += n;
			if (least <= 2 && n != least)
				fail_msg("case %llu: %zu routers moved, %zu would do", (unsigned long long)i, n, least);
			for (size_t k = 0; !what && k < r.n_links; k++)
				for (size_t p = 0; p < now.links[k].n_paths; p++)
					assert_true(same_path(&now.links[k].paths[p], &after.embedding.links[k].paths[p]));
			whole += !what;
			for (size_t k = 0; what == 1 && n == 0 && k < r.n_links; k++) /* of a protected link, one of its ways */
				if (now.links[k].n_paths == 1 && after.embedding.links[k].n_paths == 1)
					kept_paths += same_path(&now.links[k].paths[0], &after.embedding.links[k].paths[0]);
		} else if (least != SIZE_MAX) {
			fail_msg("case %llu: not found, but it fits with %zu moved", (unsigned long long)i, least);
		}
		solution_done(&after);
		solution_done(&before);
		embedding_done(&now);
		residual_done(&left);
		request_done(&r);
		substrate_done(&s);
	}
	print_message("%zu found, %zu routers moved\n", found, moved);
	assert_true(found > CASES / 8 && moved > 0 && whole > CASES / 40 && kept_paths > CASES / 40);
}

/* Bandwidth changes: the paths stay, in their shares. */
static void test_bandwidth(void **state)
{
	struct substrate s = help_substrate("kind: substrate\nname: s\nnodes: [{name: a, cpu: 4}, {name: b, cpu: 4}, {name: c, cpu: 4}]\n"
	                                    "links: [{endpoints: [a, b], bandwidth: 10mbit}, {endpoints: [a, c], bandwidth: 10mbit}, {endpoints: [c, b], bandwidth: 10mbit}]\n");
	struct request r = help_request("kind: network\nname: r\ndefaults: {node: {cpu: 1}}\nnodes: [{name: x, place: {on: [a]}}, {name: y, place: {on: [b]}}]\n"
	                                "links: [{endpoints: [x, y], bandwidth: 16mbit, paths: split}]\n");
	struct embed_options options = { .effort = 1000, .seed = 1 };
	struct residual left;
	struct solution before, after = { 0 };
	struct err err = { 0 };

	residual_init(&left, &s);
	assert_true(embed(&s, &left, &r, &before) && before.embedding.links[0].n_paths == 2);
	r.links[0].bw_kbps = 11001;
	assert_int_equal(embed_update(&s, &left, &r, &before.embedding, &options, &after, &err), 0);
	assert_true(after.has_embedding);
	assert_string_equal(after.solver, "update");
	assert_int_equal(after.embedding.links[0].n_paths, 2);
	assert_int_equal(after.embedding.links[0].paths[0].bw_kbps + after.embedding.links[0].paths[1].bw_kbps, 11001);
	assert_true(after.embedding.links[0].paths[0].n == before.embedding.links[0].paths[0].n);
	solution_done(&before);
	solution_done(&after);
	residual_done(&left);
	request_done(&r);
	substrate_done(&s);
}

/* Best effort that stands on more hops than there need be, or on a link that is closed, takes the fewest there are; nothing else moves for
 * that, be it dearer than need be. */
static void test_best_effort(void **state)
{
	struct substrate s = help_substrate("kind: substrate\nname: s\nnodes: [{name: a, cpu: 4}, {name: b, cpu: 4}, {name: c, cpu: 4}]\n"
	                                    "links: [{endpoints: [a, b], bandwidth: 10mbit}, {endpoints: [a, c], bandwidth: 10mbit}, {endpoints: [c, b], bandwidth: 10mbit}]\n");
	struct request r = help_request("kind: network\nname: r\ndefaults: {node: {cpu: 1}}\nnodes: [{name: x, place: {on: [a]}}, {name: y, place: {on: [b]}}]\n"
	                                "links: [{endpoints: [x, y], bandwidth: 1mbit, name: k1}, {endpoints: [x, y], name: k2, bandwidth: 0mbit}, {endpoints: [x, y], name: k3, bandwidth: 0mbit}]\n");
	struct embed_options options = { .effort = 1000, .seed = 1 };

	for (size_t turn = 0; turn < 2; turn++) {
		struct residual left;
		struct solution before, after = { 0 };
		struct err err = { 0 };

		/* first it stands around a-b, which was closed; then on a-b, which is */
		s.links[0].closed = turn == 0;
		residual_init(&left, &s);
		left.link_kbps[0] = turn == 0 ? 0 : left.link_kbps[0];
		assert_true(embed(&s, &left, &r, &before));
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(before.embedding.links[k].paths[0].n, turn == 0 ? 2 : 1);
		if (turn == 1) { /* what has bandwidth takes the other way */
			solution_done(&before);
			s.links[0].closed = true;
			left.link_kbps[0] = 0;
			assert_true(embed(&s, &left, &r, &before));
			for (size_t k = 1; k < 3; k++) {
				before.embedding.links[k].paths[0].n = 1;
				before.embedding.links[k].paths[0].links[0] = 0;
			}
		}
		s.links[0].closed = turn == 1;
		left.link_kbps[0] = turn == 1 ? 0 : 10000;
		assert_int_equal(embed_update(&s, &left, &r, &before.embedding, &options, &after, &err), 0);
		assert_true(after.has_embedding && !strcmp(after.solver, "update"));
		assert_true(same_path(&after.embedding.links[0].paths[0], &before.embedding.links[0].paths[0]));
		assert_int_equal(after.embedding.links[0].paths[0].n, 2);
		for (size_t k = 1; k < 3; k++)
			assert_int_equal(after.embedding.links[k].paths[0].n, turn == 0 ? 1 : 2);
		solution_done(&before);
		solution_done(&after);
		residual_done(&left);
	}
	request_done(&r);
	substrate_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_losses), cmocka_unit_test(test_bandwidth), cmocka_unit_test(test_best_effort) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
