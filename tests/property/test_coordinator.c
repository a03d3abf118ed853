/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A coordinator to which everything happens at once, in any order: requests, updates, releases, drains, substrates that change, agents that
 * come, go and refuse. At every moment what is left is the substrate without what its networks take, of one that changes the larger of
 * both; in the end, when all may go as it should, everything is where it is said to be, and nothing is left behind. */
#include "tests/help_random.h"
#include "tests/help_vned.h"

enum { CASES = 6, STEPS = 200, NAMES = 4 };

#define HEAD "kind: substrate\nname: triangle\nnodes:\n"
#define NODE(i, at, cpu) "  - {name: n" #i ", cpu: " #cpu ", address: 192.0.2." #at "}\n"
#define SPARE "  - {name: x, cpu: 1, agent: false}\n  - {name: y, cpu: 1, agent: false}\n"
#define LINK(a, b, bw) "  - {endpoints: [n" #a ", n" #b "], bandwidth: " #bw "mbit}\n"
static const char whole[] = HEAD NODE(0, 1, 4) NODE(1, 2, 4) NODE(2, 3, 4) "links:\n" LINK(0, 1, 100) LINK(1, 2, 100) LINK(2, 0, 100);
static const char *const files[] = {
	whole,
	HEAD SPARE NODE(0, 1, 4) NODE(1, 2, 4) NODE(2, 3, 4) "links:\n" LINK(0, 1, 100) LINK(1, 2, 100) LINK(2, 0, 100),
	HEAD NODE(0, 1, 4) NODE(1, 2, 4) "links:\n" LINK(0, 1, 100),
	HEAD NODE(1, 2, 5) NODE(2, 3, 3) NODE(0, 1, 4) "links:\n" LINK(2, 1, 90) LINK(2, 0, 100),
	HEAD NODE(2, 3, 4) NODE(0, 1, 4) "links:\n" LINK(0, 2, 120),
};

/* ---- what is taken --------------------------------------------------------------------------------------- */

static int64_t node_use(const struct network *net, uint32_t snode)
{
	int64_t sum = 0;
	for (size_t i = 0; i < net->request.n_nodes; i++)
		sum += net->embedding.host[i] == snode ? net->request.nodes[i].demand[RES_CPU_MILLI] : 0;
	return sum;
}

static int64_t path_use(const struct path *p, uint32_t slink)
{
	int64_t sum = 0;
	for (size_t i = 0; i < p->n; i++)
		sum += p->links[i] == slink ? p->bw_kbps : 0;
	return sum;
}

static int64_t link_use(const struct network *net, uint32_t slink)
{
	int64_t sum = 0;
	for (size_t k = 0; k < net->request.n_links; k++) {
		const struct vlink_map *m = &net->embedding.links[k];
		for (size_t p = 0; p < m->n_paths; p++)
			sum += path_use(&m->paths[p], slink);
		sum += m->backup.n ? path_use(&m->backup, slink) : 0;
	}
	return sum;
}

static int64_t larger(const struct network *net, int64_t (*use)(const struct network *, uint32_t), uint32_t at)
{
	int64_t a = use(net, at), b = net->next ? use(net->next, at) : 0;
	return a > b ? a : b;
}

static void assert_counted(const struct vned *v)
{
	assert_int_equal(v->left.n_nodes, v->substrate.n_nodes);
	assert_int_equal(v->left.n_links, v->substrate.n_links);
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++) {
		int64_t all = v->substrate.nodes[i].cap[RES_CPU_MILLI];
		for (size_t k = 0; k < v->n_networks; k++)
			all -= larger(v->networks[k], node_use, i);
		assert_int_equal(v->left.node[i][RES_CPU_MILLI], all);
	}
	for (uint32_t i = 0; i < v->substrate.n_links; i++) {
		int64_t all = v->substrate.links[i].bw_kbps;
		for (size_t k = 0; k < v->n_networks; k++)
			all -= larger(v->networks[k], link_use, i);
		assert_int_equal(v->left.link_kbps[i], all);
	}
	for (size_t k = 0; k < v->n_networks; k++)
		for (size_t i = 1; i < v->networks[k]->plan.n_nodes; i++)
			assert_true(v->networks[k]->plan.snode[i - 1] < v->networks[k]->plan.snode[i]);
}

/* ---- what happens ---------------------------------------------------------------------------------------- */

static bool never(struct world *w)
{
	assert_counted(&w->v);
	return false;
}

static char *random_text(uint32_t name)
{
	static const char *const places[] = { "n0", "n1", "n2", "n0, n1", "n1, n2", "n0, n1, n2" };
	static const char *const more[] = { "", "", ", protection: link", ", paths: split" };
	buf_auto struct buf text = BUF_INIT;
	uint32_t n = 2 + pick(2);
	buf_printf(&text, "kind: network\nname: w%u\nnodes:\n", name);
	for (uint32_t i = 0; i < n; i++)
		buf_printf(&text, "  - {name: r%u, cpu: %g, place: {on: [%s]}}\n", i, (double)(1 + pick(4)) / 4, places[pick(ARRAY_LEN(places))]);
	buf_str(&text, "links:\n");
	for (uint32_t i = 1; i < n; i++) {
		uint32_t mbit = 10 * pick(4);
		buf_printf(&text, "  - {endpoints: [r%u, r%u], bandwidth: %umbit%s}\n", i - 1, i, mbit, mbit ? more[pick(ARRAY_LEN(more))] : "");
	}
	return buf_take(&text);
}

static void agent_comes_or_goes(struct world *w, size_t i)
{
	if (!w->fakes[i].wire)
		fake_start(w, i);
	else if (!pick(3))
		fake_stop(&w->fakes[i]);
}

static void happen(struct world *w)
{
	char name[8], node[8];
	uint32_t which = pick(NAMES);
	snprintf(name, sizeof(name), "w%u", which);
	snprintf(node, sizeof(node), "n%u", pick(FAKES));
	mem_auto char *text = random_text(which);
	mem_auto char *full = mem_printf("alice/%s", name);
	bool stands = hash_get(w->v.by_name, full) != NULL;
	struct message m = { 0 };
	uint32_t what = pick(20);
	if (what < 10 && !stands) {
		m = submission(text, MSG_SUBMIT);
		m.u.submit.wait_active = pick(2);
	} else if (what < 8) {
		m = submission(text, MSG_UPDATE);
	} else if (what < 10) {
		m = submission(text, MSG_PLAN);
	} else if (what < 12) {
		m = (struct message){ .type = MSG_RELEASE, .u.name = { name } };
	} else if (what < 14) {
		m = (struct message){ .type = MSG_DRAIN, .u.drain = { node, pick(3) > 0 } };
	} else if (what < 16) {
		m = (struct message){ .type = MSG_RELOAD };
		write_text(w->dir, "substrate.yaml", files[pick(2) ? pick(2) : pick(ARRAY_LEN(files))]);
	} else if (what < 18) {
		agent_comes_or_goes(w, pick(FAKES));
		return;
	} else {
		w->fakes[pick(FAKES)].mode = pick(4) ? FAKE_OBEYS : pick(2) ? FAKE_REFUSES : FAKE_REFUSES_PREPARE;
		return;
	}
	ask_no_wait(w, &m);
}

/* ---- in the end ---------------------------------------------------------------------------------------------- */

/* Agents hold what is planned, and nothing else. */
static bool is_built(struct world *w)
{
	for (size_t i = 0; i < FAKES; i++) {
		char name[8];
		size_t held = 0;
		snprintf(name, sizeof(name), "n%zu", i);
		uint32_t snode = (uint32_t)hash_index(w->v.substrate.node_index, name);
		for (size_t k = 0; k < w->v.n_networks; k++) {
			const struct network *net = w->v.networks[k];
			size_t part = network_part(net, snode);
			const struct fake_net *n = fake_find(&w->fakes[i], net->id);
			if (part == SIZE_MAX)
				continue;
			if (!n || !n->committed || n->prepared || n->generation != net->generation || n->digest != node_plan_digest(&net->plan.nodes[part]))
				return false;
			held++;
		}
		if (w->fakes[i].n_nets != held)
			return false;
	}
	return true;
}

static bool is_whole(struct world *w)
{
	struct err ignored;
	assert_counted(&w->v);
	for (uint32_t i = 0; i < w->v.substrate.n_nodes; i++)
		if (agents_down(&w->v, i))
			return false;
	for (size_t i = 0; i < w->v.n_networks; i++)
		if (flow_settled(&w->v, w->v.networks[i], &ignored) < 0 || update_is_due(&w->v, w->v.networks[i], NULL))
			return false;
	return w->v.substrate.n_nodes == 3 && !w->v.submissions && is_built(w);
}

static bool is_empty(struct world *w)
{
	size_t held = 0;
	for (size_t i = 0; i < FAKES; i++)
		held += w->fakes[i].n_nets;
	return w->v.n_networks == 0 && held == 0;
}

static void end(struct world *w)
{
	for (size_t i = 0; i < FAKES; i++) {
		w->fakes[i].mode = FAKE_OBEYS;
		if (!w->fakes[i].wire)
			fake_start(w, i);
	}
	struct message m = { .type = MSG_RELOAD };
	write_text(w->dir, "substrate.yaml", whole);
	ask_no_wait(w, &m);
	for (size_t i = 0; i < FAKES; i++) {
		char node[8];
		snprintf(node, sizeof(node), "n%zu", i);
		m = (struct message){ .type = MSG_DRAIN, .u.drain = { node, true } };
		ask_no_wait(w, &m);
	}
	if (!world_run(w, is_whole, 60000)) {
		for (size_t i = 0; i < w->v.n_networks; i++)
			print_message("%s (%u): %s %s, %s\n", w->v.networks[i]->full, w->v.networks[i]->id, net_state_names[w->v.networks[i]->state],
			              w->v.networks[i]->reason ? w->v.networks[i]->reason : "", w->v.networks[i]->stuck ? w->v.networks[i]->stuck : "");
		for (size_t i = 0; i < FAKES; i++)
			for (size_t k = 0; k < w->fakes[i].n_nets; k++)
				print_message("n%zu: network %u generation %u\n", i, w->fakes[i].nets[k].net, w->fakes[i].nets[k].generation);
		fail_msg("it does not come to rest");
	}
	print_message("%zu networks in the end, %llu accepted, %llu rejected\n", w->v.n_networks, (unsigned long long)w->v.counters.accepted,
	              (unsigned long long)w->v.counters.rejected);
	for (size_t i = 0; i < NAMES; i++) {
		char name[8];
		snprintf(name, sizeof(name), "w%zu", i);
		m = (struct message){ .type = MSG_RELEASE, .u.name = { name } };
		ask_no_wait(w, &m);
	}
	assert_true(world_run(w, is_empty, 30000));
	assert_counted(&w->v);
}

static void test_everything_at_once(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= CASES; i++) {
		void *world;
		world_setup(&world);
		struct world *w = world;
		random_seed(i);
		print_message("case %llu\n", (unsigned long long)i);
		for (size_t step = 0; step < STEPS; step++) {
			happen(w);
			(void)world_run(w, never, 1 + pick(60));
			assert_false(w->v.exit_code);
		}
		end(w);
		world_teardown(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_everything_at_once) };
	return cmocka_run_group_tests_name("coordinator", tests, NULL, NULL);
}
