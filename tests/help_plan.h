/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For tests: plans made with a counter for VNIs, and a frame's walk through them. */
#pragma once

#include "tests/help_model.h"

#include <errno.h>

#include "base/err.h"
#include "model/plan.h"

struct help_vnis {
	uint32_t next, last; /* none beyond it */
};

static inline int help_take_vni(void *arg, uint32_t *ret, struct err *err)
{
	struct help_vnis *v = arg;

	if (v->next > v->last)
		return err_set(err, -ENOSPC, "no VNI left");
	*ret = v->next++;
	return 0;
}

static inline int help_plan(const struct substrate *s, const struct request *r, const struct embedding *e,
                            uint32_t (*mtu)(void *, uint32_t, uint32_t), struct plan *ret, struct err *err)
{
	struct help_vnis vnis = { 1000, VNI_MAX };
	struct plan_input in = {
		.s = s, .r = r, .e = e, .net = 7, .generation = 1, .owner = "alice",
		.underlay_mtu = mtu, .vnis = { help_take_vni, &vnis },
	};

	return plan_make(&in, ret, err);
}

static inline const struct plan_port *help_port(const struct plan *p, uint32_t id, size_t *ret_node)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		for (size_t k = 0; k < p->nodes[i].n_ports; k++)
			if (p->nodes[i].ports[k].id == id) {
				*ret_node = i;
				return &p->nodes[i].ports[k];
			}
	fail_msg("no port %u", id);
	return NULL;
}

/* The other end of a segment: the one node that has it, too. */
static inline size_t help_far_end(const struct plan *p, size_t node, uint32_t vni)
{
	const struct plan_segment *here = NULL, *there = NULL;
	size_t far = SIZE_MAX, n = 0;

	for (size_t i = 0; i < p->n_nodes; i++)
		for (size_t k = 0; k < p->nodes[i].n_segments; k++) {
			if (p->nodes[i].segments[k].vni != vni)
				continue;
			n++;
			if (i == node)
				here = &p->nodes[i].segments[k];
			else
				there = &p->nodes[far = i].segments[k];
		}
	if (n != 2 || !here || !there)
		fail_msg("segment %u has %zu ends", vni, n);
	assert_memory_equal(&here->local, &there->remote, sizeof(here->local));
	assert_memory_equal(&here->remote, &there->local, sizeof(here->local));
	assert_int_equal(here->mtu, there->mtu);
	assert_int_equal(here->link, there->link);
	assert_int_equal(here->best_effort, there->best_effort);
	assert_string_equal(here->slink, there->slink);
	return far;
}

/* Follows the crosses from one end of path `number` of a virtual link to the other: the substrate
 * nodes that a frame comes by, at most `max`. Fails the test where it gets lost. */
static inline size_t help_walk(const struct plan *p, uint32_t link, uint32_t end, uint32_t number,
                               enum cross_role role, int64_t bw_kbps, uint32_t *ret, size_t max)
{
	struct endpoint at = { ENDPOINT_PORT, link << 1 | end };
	size_t node = 0, n = 0;

	help_port(p, at.id, &node);
	for (;;) {
		const struct plan_cross *found = NULL;

		if (n == max)
			fail_msg("link %u: the walk does not end", link);
		ret[n++] = p->snode[node];
		for (size_t i = 0; i < p->nodes[node].n_crosses; i++) {
			const struct plan_cross *x = &p->nodes[node].crosses[i];
			bool a = x->a.kind == at.kind && x->a.id == at.id, b = x->b.kind == at.kind && x->b.id == at.id;

			if ((!a && !b) || x->path != number || x->role != role)
				continue;
			if (found)
				fail_msg("link %u: two ways from one endpoint", link);
			found = x;
		}
		if (!found)
			fail_msg("link %u: the walk ends on snode %u", link, p->snode[node]);
		at = found->a.kind == at.kind && found->a.id == at.id ? found->b : found->a;
		/* limited where traffic enters, and only there */
		assert_int_equal(found->bw_kbps, n == 1 || at.kind == ENDPOINT_PORT ? bw_kbps : 0);
		if (at.kind == ENDPOINT_PORT)
			break;
		node = help_far_end(p, node, at.id);
	}
	assert_int_equal(at.id, link << 1 | !end);
	return n;
}

/* Every path of every link is walked from both ends, and comes by the nodes of the embedding (those
 * with an agent) and no other; every node's plan passes its check; no cross is left over. */
static inline void help_check_walks(const struct plan *p, const struct substrate *s, const struct request *r,
                                    const struct embedding *e)
{
	uint32_t *want = mem_array(s->n_nodes + 1, sizeof(*want)), *got = mem_array(s->n_nodes + 1, sizeof(*got));
	size_t crosses = 0, walked = 0;
	struct plan_numbers numbers;

	plan_numbers_of(p, r, &numbers);
	for (uint32_t i = 0; i < r->n_links; i++) {
		const struct vlink_map *m = &e->links[i];
		uint32_t number = numbers.link[i];

		for (uint32_t k = 0; k < m->n_paths + (m->backup.n > 0) || (k == 0 && !m->n_paths); k++) {
			const struct path none = { .bw_kbps = r->links[i].bw_kbps };
			const struct path *path = k < m->n_paths ? &m->paths[k] : m->backup.n ? &m->backup : &none;
			enum cross_role role = k < m->n_paths || !m->n_paths ? CROSS_PRIMARY : CROSS_BACKUP;
			size_t n = 0, n_got;

			assert_int_equal(path_via(s, e->host[r->links[i].a], path, want, NULL), 0);
			for (size_t h = 0; h <= path->n; h++)
				if (s->nodes[want[h]].agent)
					want[n++] = want[h];
			n_got = help_walk(p, number, 0, k, role, path->bw_kbps, got, s->n_nodes + 1);
			assert_int_equal(n_got, n);
			assert_memory_equal(got, want, n * sizeof(*got));
			n_got = help_walk(p, number, 1, k, role, path->bw_kbps, got, s->n_nodes + 1);
			assert_int_equal(n_got, n);
			for (size_t h = 0; h < n; h++)
				assert_int_equal(got[h], want[n - 1 - h]);
			walked += n;
		}
	}
	for (size_t i = 0; i < p->n_nodes; i++) {
		struct err err = { 0 };

		crosses += p->nodes[i].n_crosses;
		if (node_plan_check(&p->nodes[i], &err) != 0)
			fail_msg("node %zu: %s", i, err.text);
		if (i)
			assert_true(p->snode[i] > p->snode[i - 1]);
	}
	assert_int_equal(crosses, walked);
	plan_numbers_done(&numbers);
	free(want);
	free(got);
}
