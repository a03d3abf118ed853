/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate changes under a coordinator at work: places shift under networks in every state, under plans and solvers that are at
 * it, under agents that stay connected; and what repairs make of capacity that comes and goes. */
#include <time.h>

#include "tests/help_vned.h"

#define NODE(i, at) "  - {name: n" #i ", cpu: 4, address: 192.0.2." #at "}\n"
/* None of x, y, z has an agent. They stand first, so that the others' places shift when they go. */
#define SPARE "  - {name: x, cpu: 1, agent: false}\n  - {name: y, cpu: 1, agent: false}\n  - {name: z, cpu: 1, agent: false}\n"
#define HEAD "kind: substrate\nname: triangle\nnodes:\n"
#define LINKS "links:\n  - {endpoints: [n0, n1], bandwidth: 100mbit}\n  - {endpoints: [n1, n2], bandwidth: 100mbit}\n" \
              "  - {endpoints: [n2, n0], bandwidth: 100mbit}\n"
static const char plain[] = HEAD NODE(0, 1) NODE(1, 2) NODE(2, 3) LINKS;
static const char spares[] = HEAD SPARE NODE(0, 1) NODE(1, 2) NODE(2, 3) LINKS;
static const char turned[] = HEAD NODE(2, 3) NODE(1, 2) NODE(0, 1) LINKS;
static const char without_n2[] = HEAD NODE(0, 1) NODE(1, 2) "links:\n  - {endpoints: [n0, n1], bandwidth: 100mbit}\n";
static const char agentless_n2[] = HEAD NODE(0, 1) NODE(1, 2) "  - {name: n2, cpu: 4, agent: false}\n" LINKS;

static int reload(struct world *w, const char *substrate)
{
	struct message m = { .type = MSG_RELOAD };
	write_text(w->dir, "substrate.yaml", substrate);
	return ask(w, &m);
}

static void reloads(struct world *w, const char *substrate)
{
	if (reload(w, substrate) != 0)
		fail_msg("%s", w->text);
}

static uint32_t place(struct world *w, const char *node)
{
	size_t at = hash_index(w->v.substrate.node_index, node);
	assert_true(at != SIZE_MAX);
	return (uint32_t)at;
}

static struct agent *agent(struct world *w, const char *node)
{
	return &w->v.agents[place(w, node)];
}

static void assert_nothing_taken(struct world *w)
{
	assert_int_equal(w->v.left.n_nodes, w->v.substrate.n_nodes);
	for (size_t i = 0; i < 3; i++) {
		const char *const names[] = { "n0", "n1", "n2" };
		assert_int_equal(w->v.left.node[place(w, names[i])][RES_CPU_MILLI], 4000);
	}
	for (size_t i = 0; i < w->v.left.n_links; i++)
		assert_int_equal(w->v.left.link_kbps[i], 100000);
}

static size_t expected_replies;
static bool all_replied(struct world *w) { return w->replies >= expected_replies; }

/* ---- places shift ------------------------------------------------------------------------------------ */

static void test_plan_under_way(void **state)
{
	struct world *w = *state;
	static const char text[] =
		"kind: network\nname: one\nnodes:\n  - {name: a, cpu: 3, place: {on: [n0]}}\n---\n"
		"kind: network\nname: two\nnodes:\n  - {name: a, cpu: 3, place: {on: [n0]}}\n---\n"
		"kind: network\nname: three\nnodes:\n  - {name: a, cpu: 1, place: {on: [n0]}}\n";
	const char *const files[] = { spares, plain };
	for (size_t i = 0; i < 20; i++) {
		struct message m = submission(text, MSG_PLAN), again = { .type = MSG_RELOAD };
		write_text(w->dir, "substrate.yaml", files[i % 2]);
		expected_replies = w->replies + 2;
		ask_no_wait(w, &m);
		ask_no_wait(w, &again);
		w->aside = again.sequence;
		assert_true(world_run(w, all_replied, 20000));
		assert_int_equal(w->code, 1); /* the plan's, whichever comes first */
		assert_non_null(strstr(w->text, "two: "));
		assert_int_equal(w->answer.u.networks.n, 3);
		assert_int_equal(w->answer.u.networks.v[0].state, NET_PLANNED);
		assert_int_equal(w->answer.u.networks.v[1].state, NET_REJECTED);
		assert_int_equal(w->answer.u.networks.v[2].state, NET_PLANNED);
	}
	w->aside = 0;
	assert_nothing_taken(w);
}

static bool is_preparing(struct world *w) { return w->fakes[1].held.net != 0; }
static bool is_committing(struct world *w)
{
	return w->v.n_networks && w->v.networks[0]->txn && w->v.networks[0]->txn->phase == TXN_COMMITTING;
}
static bool is_releasing(struct world *w) { return w->v.n_networks && w->v.networks[0]->state == NET_RELEASING; }
static bool is_unused(struct world *w) { return w->v.n_networks == 0; }

static const char wider[] =
	"kind: network\nname: pair\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n0]}}\n  - {name: r2, cpu: 2, place: {on: [n1]}}\n"
	"  - {name: r3, cpu: 1, place: {on: [n2]}}\n"
	"links:\n  - {endpoints: [r1, r2], bandwidth: 20mbit}\n  - {endpoints: [r2, r3], bandwidth: 5mbit}\n";

/* What a command was sent, in whatever state, and the substrate changes; then it goes on. */
static void change_under(struct world *w, struct message *m, enum fake_mode mode, bool (*there)(struct world *w), const char *file)
{
	memset(&w->fakes[1].held, 0, sizeof(w->fakes[1].held));
	w->fakes[1].mode = mode;
	expected_replies = w->replies + 2;
	ask_no_wait(w, m);
	assert_true(world_run(w, there, 5000));
	struct message again = { .type = MSG_RELOAD };
	write_text(w->dir, "substrate.yaml", file);
	w->replied = false;
	ask_no_wait(w, &again);
	assert_true(world_run(w, is_replied, 5000));
	assert_int_equal(w->code, 0);
	w->fakes[1].mode = FAKE_OBEYS;
	if (mode == FAKE_HOLDS_PREPARE)
		fake_done(&w->fakes[1], &w->fakes[1].held, 0, "");
	assert_true(world_run(w, all_replied, 20000));
}

static void test_every_state(void **state)
{
	struct world *w = *state;
	struct message first = submission(world_pair, MSG_SUBMIT), second = submission(wider, MSG_UPDATE);
	struct message gone = { .type = MSG_RELEASE, .u.name = { (char *)"pair" } };
	reloads(w, spares);
	change_under(w, &first, FAKE_HOLDS_PREPARE, is_preparing, plain);
	assert_int_equal(w->code, 0);
	assert_int_equal(w->v.left.node[place(w, "n0")][RES_CPU_MILLI], 3000);
	change_under(w, &second, FAKE_HOLDS_PREPARE, is_preparing, spares);
	assert_int_equal(w->code, 0);
	assert_int_equal(w->v.left.node[place(w, "n1")][RES_CPU_MILLI], 2000);
	first = submission(world_pair, MSG_UPDATE);
	change_under(w, &first, FAKE_HOLDS_COMMIT, is_committing, plain);
	assert_int_equal(w->v.left.node[place(w, "n1")][RES_CPU_MILLI], w->v.networks[0]->next ? 2000 : 3000);
	assert_int_equal(shown_state(w, "pair") == NET_STATES, false);
	change_under(w, &gone, FAKE_SILENT, is_releasing, spares);
	assert_true(world_run(w, is_unused, 20000));
	assert_nothing_taken(w);
}

static bool pair_settled(struct world *w)
{
	struct err ignored;
	return w->v.n_networks == 1 && flow_settled(&w->v, w->v.networks[0], &ignored) == 0 && !w->v.networks[0]->degraded;
}

static bool all_there(struct world *w)
{
	for (uint32_t i = 0; i < w->v.substrate.n_nodes; i++)
		if (agents_down(&w->v, i))
			return false;
	return true;
}

/* Another order after a restart: what a network is on is in that order, too, and an update finds each part once. */
static void test_other_order(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, wider), 0);
	world_close_vned(w);
	write_text(w->dir, "substrate.yaml", turned);
	world_open_vned(w);
	assert_true(world_run(w, is_client_up, 10000));
	assert_true(world_run(w, all_there, 10000));
	assert_true(world_run(w, pair_settled, 10000));
	const struct plan *plan = &w->v.networks[0]->plan;
	for (size_t i = 1; i < plan->n_nodes; i++)
		assert_true(plan->snode[i - 1] < plan->snode[i]);
	struct message m = submission(world_pair, MSG_UPDATE);
	if (ask(w, &m) != 0)
		fail_msg("%s", w->text);
	assert_int_equal(w->v.networks[0]->plan.n_nodes, 2);
	assert_int_equal(w->fakes[2].n_nets, 0);
	assert_int_equal(release(w, "pair"), 0);
	assert_nothing_taken(w);
}

/* ---- agents ---------------------------------------------------------------------------------------------- */

static size_t refusals;
static bool n2_refused(struct world *w) { return w->fakes[2].refusals >= refusals; }

static bool n1_n2_down(struct world *w)
{
	size_t at = hash_index(w->v.substrate.link_index, "n1-n2");
	return at != SIZE_MAX && failures_link(&w->v, (uint32_t)at, NULL);
}

/* Its agent stays connected: it is told, does not storm us, and is taken once its node is back. */
static void test_agent_without_node(void **state)
{
	struct world *w = *state;
	const char *const files[] = { without_n2, agentless_n2 };
	for (size_t i = 0; i < 2; i++) {
		struct link_heard link = { (char *)"n1-n2", HEARD_DOWN, (char *)"nothing comes" };
		struct message m = { .type = MSG_WATCH, .u.watch = { .links = &link, .n_links = 1 } };
		fake_send(&w->fakes[2], &m);
		assert_true(world_run(w, n1_n2_down, 5000));
		reloads(w, files[i]);
		assert_false(n1_n2_down(w)); /* nobody would take it back */
		refusals = w->fakes[2].refusals + 5;
		size_t hellos = w->fakes[2].hellos;
		assert_true(world_run(w, n2_refused, 10000));
		assert_int_equal(w->fakes[2].hellos, hellos);
		assert_int_equal(submit(w, "kind: network\nname: no\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n2]}}\n"), 1);
		reloads(w, plain);
		assert_true(world_run(w, all_there, 10000));
		assert_int_equal(submit(w, "kind: network\nname: yes\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n2]}}\n"), 0);
		assert_int_equal(release(w, "yes"), 0);
	}
	assert_nothing_taken(w);
}

/* The same file again: nothing that was asked or measured is thrown away. */
static void test_same_again(void **state)
{
	struct world *w = *state;
	uint64_t version = w->v.substrate_version, usable = w->v.usable_version;
	reloads(w, world_substrate);
	assert_true(w->v.substrate_version == version && w->v.usable_version == usable);
	reloads(w, plain); /* n0 loses its uplink */
	assert_true(w->v.substrate_version > version);
}

/* ---- repairs ----------------------------------------------------------------------------------------------- */

static const char *const heavy = "kind: network\nname: heavy\nnodes:\n  - {name: r1, cpu: 3, place: {on: [n0, n1]}}\n";
static bool is_held(struct world *w) { return w->fakes[0].held.net != 0; }
static bool heavy_on_n0(struct world *w)
{
	const struct network *net = networks_find(&w->v, 1);
	return net && !net->txn && net->embedding.host[0] == place(w, "n0");
}

/* What an update that came to nothing would have taken is there for others again. */
static void test_room_after_an_update(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, "kind: network\nname: heavy\nnodes:\n  - {name: r1, cpu: 3, place: {on: [n1]}}\n"), 0);
	struct message m = submission(heavy, MSG_UPDATE);
	assert_int_equal(ask(w, &m), 0);
	assert_int_equal(submit(w, "kind: network\nname: light\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n0]}}\n"), 0);
	w->fakes[0].mode = FAKE_HOLDS_PREPARE;
	m = submission("kind: network\nname: light\nnodes:\n  - {name: r1, cpu: 3, place: {on: [n0]}}\n", MSG_UPDATE);
	ask_no_wait(w, &m);
	assert_true(world_run(w, is_held, 5000));
	struct message drain = { .type = MSG_DRAIN, .u.drain = { (char *)"n1", false } };
	assert_int_equal(ask(w, &drain), 1);
	assert_non_null(strstr(w->text, "alice/heavy"));
	w->fakes[0].mode = FAKE_OBEYS;
	expected_replies = w->replies + 1;
	fake_done(&w->fakes[0], &w->fakes[0].held, -ENOSPC, "no room here");
	assert_true(world_run(w, all_replied, 5000));
	assert_int_equal(w->code, 70);
	assert_true(world_run(w, heavy_on_n0, 4000));
}

static bool n1_awaited(struct world *w) { return !agent(w, "n1")->connected; }
static bool n2_awaited(struct world *w) { return !agent(w, "n2")->connected; }
static bool pair_is_stuck(struct world *w) { return w->v.networks[0]->stuck != NULL; }

/* An agent that may only have been restarted does not make a repair move what is on its node, too. */
static void test_awaited_agent(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, "kind: network\nname: pair\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n0, n2]}}\n"
	                           "  - {name: r2, cpu: 1, place: {on: [n1]}}\nlinks:\n  - {endpoints: [r1, r2], bandwidth: 10mbit}\n"), 0);
	const char *from = w->v.substrate.nodes[w->v.networks[0]->embedding.host[0]].name;
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_awaited, 5000));
	struct message drain = { .type = MSG_DRAIN, .u.drain = { (char *)from, false } };
	ask_no_wait(w, &drain);
	assert_false(world_run(w, pair_is_stuck, 1000));
	fake_start(w, 1);
	assert_true(world_run(w, is_replied, 9000));
	if (w->code != 0)
		fail_msg("%s", w->text);
	assert_string_not_equal(w->v.substrate.nodes[w->v.networks[0]->embedding.host[0]].name, from);
}

#define ELSEWHERE \
	"kind: network\nname: pair\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n0]}}\n  - {name: r2, cpu: %d, place: {on: [n1, n2]}}\n" \
	"links:\n  - {endpoints: [r1, r2], bandwidth: 10mbit}\n"

/* Nor does an update. */
static void test_update_awaits_agent(void **state)
{
	struct world *w = *state;
	mem_auto char *before = mem_printf(ELSEWHERE, 1), *after = mem_printf(ELSEWHERE, 2);
	assert_int_equal(submit(w, before), 0);
	uint32_t host = w->v.networks[0]->embedding.host[1];
	fake_stop(&w->fakes[host]);
	struct message m = submission(after, MSG_UPDATE);
	assert_true(world_run(w, host == 1 ? n1_awaited : n2_awaited, 5000));
	ask_no_wait(w, &m);
	assert_false(world_run(w, is_replied, 1000));
	fake_start(w, host);
	assert_true(world_run(w, is_replied, 5000));
	if (w->code != 0)
		fail_msg("%s", w->text);
	assert_int_equal(w->v.networks[0]->embedding.host[1], host);
	assert_int_equal(w->v.left.node[host][RES_CPU_MILLI], 2000);
}

/* Two that wait go on in their order: the last one's is what is in the end. */
static void test_updates_in_order(void **state)
{
	struct world *w = *state;
	mem_auto char *one = mem_printf(ELSEWHERE, 1), *two = mem_printf(ELSEWHERE, 2), *three = mem_printf(ELSEWHERE, 3);
	assert_int_equal(submit(w, one), 0);
	uint32_t host = w->v.networks[0]->embedding.host[1];
	fake_stop(&w->fakes[host]);
	assert_true(world_run(w, host == 1 ? n1_awaited : n2_awaited, 5000));
	struct message first = submission(three, MSG_UPDATE), second = submission(two, MSG_UPDATE);
	expected_replies = w->replies + 2;
	ask_no_wait(w, &first);
	ask_no_wait(w, &second);
	assert_false(world_run(w, is_replied, 300));
	fake_start(w, host);
	assert_true(world_run(w, all_replied, 20000));
	assert_true(world_run(w, pair_settled, 5000));
	assert_int_equal(w->v.networks[0]->request.nodes[1].demand[RES_CPU_MILLI], 2000);
}

static bool nothing_asked(struct world *w) { return !w->v.submissions; }

/* Who has gone meanwhile does not want it any more. */
static void test_update_given_up(void **state)
{
	struct world *w = *state;
	mem_auto char *before = mem_printf(ELSEWHERE, 1), *after = mem_printf(ELSEWHERE, 2);
	assert_int_equal(submit(w, before), 0);
	uint32_t host = w->v.networks[0]->embedding.host[1];
	fake_stop(&w->fakes[host]);
	assert_true(world_run(w, host == 1 ? n1_awaited : n2_awaited, 5000));
	struct message m = submission(after, MSG_UPDATE);
	ask_no_wait(w, &m);
	assert_false(world_run(w, is_replied, 300));
	assert_non_null(w->v.submissions);
	client_start(w, &w->admin); /* a new connection */
	assert_true(world_run(w, nothing_asked, 5000));
	fake_start(w, host);
	assert_true(world_run(w, pair_settled, 5000));
	assert_int_equal(w->v.left.node[host][RES_CPU_MILLI], 3000);
}

/* It ends while a repair is asked for: nothing of that is left, and it is asked for anew. */
static void test_ends_while_repairing(void **state)
{
	struct world *w = *state;
	mem_auto char *text = mem_printf(ELSEWHERE, 1);
	assert_int_equal(submit(w, text), 0);
	uint32_t host = w->v.networks[0]->embedding.host[1];
	struct message drain = { .type = MSG_DRAIN, .u.drain = { (char *)(host == 1 ? "n1" : "n2"), false } };
	failures_drain(&w->v, host, true);
	repair_tick(&w->v);
	assert_true(w->v.networks[0]->solving);
	world_close_vned(w);
	world_open_vned(w);
	assert_true(world_run(w, is_client_up, 10000));
	assert_int_equal(ask(w, &drain), 0);
	assert_int_not_equal(w->v.networks[0]->embedding.host[1], host);
}

static bool n1_unconfirmed(struct world *w)
{
	size_t part = network_part(w->v.networks[0], 1);
	return w->v.agents[1].connected && !w->v.networks[0]->parts[part].synced;
}

/* What cannot be moved as its agent does not say what it has: whoever waits for the node to be empty is told so. */
static void test_drain_of_the_silent(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_awaited, 5000));
	w->fakes[1].mode = FAKE_SILENT;
	w->fakes[1].n_nets = 0;
	fake_start(w, 1);
	assert_true(world_run(w, n1_unconfirmed, 5000));
	struct message drain = { .type = MSG_DRAIN, .u.drain = { (char *)"n1", false } };
	assert_int_equal(ask(w, &drain), 1);
	assert_non_null(strstr(w->text, "alice/pair: node n1 has not confirmed what it has of it"));
}

static struct network *only(struct world *w) { return w->v.networks[0]; }
static bool is_refused(struct world *w)
{
	return only(w)->degraded && strstr(only(w)->reason, "no room here");
}
static bool is_fine(struct world *w) { return only(w)->state == NET_ACTIVE && !only(w)->txn && !only(w)->degraded; }
static bool is_moved(struct world *w) { return is_fine(w) && only(w)->embedding.host[1] != place(w, "n1"); }

static void submit_no_wait(struct world *w, const char *text)
{
	struct message m = submission(text, MSG_SUBMIT);
	m.u.submit.wait_active = false;
	assert_int_equal(ask(w, &m), 0);
	assert_true(world_run(w, is_refused, 5000));
}

/* What was acknowledged, and a node refuses, may leave it; what the node said is forgotten when it comes back with what it is to have. */
static void test_node_that_refuses(void **state)
{
	struct world *w = *state;
	mem_auto char *text = mem_printf(ELSEWHERE, 1);
	struct message drain = { .type = MSG_DRAIN, .u.drain = { (char *)"n2", false } };
	assert_int_equal(ask(w, &drain), 0);
	w->fakes[1].mode = FAKE_REFUSES;
	submit_no_wait(w, text);
	drain.u.drain.undrain = true;
	assert_int_equal(ask(w, &drain), 0);
	drain.u.drain.node = (char *)"n1";
	drain.u.drain.undrain = false;
	assert_int_equal(ask(w, &drain), 0);
	assert_true(is_moved(w));
	assert_int_equal(release(w, "pair"), 0);
	drain.u.drain.undrain = true;
	assert_int_equal(ask(w, &drain), 0);
	assert_nothing_taken(w);

	submit_no_wait(w, world_pair);
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_awaited, 5000));
	const struct network *net = only(w);
	*fake_get(&w->fakes[1], net->id) = (struct fake_net){ .net = net->id, .generation = net->generation, .committed = true,
		                                                  .digest = net->parts[network_part(net, 1)].digest };
	w->fakes[1].mode = FAKE_OBEYS;
	fake_start(w, 1);
	assert_true(world_run(w, is_fine, 5000));
}

static uint32_t destination;
static bool is_there(struct world *w) { return is_fine(w) && only(w)->embedding.host[1] == destination; }

/* A node that refuses what a repair would bring there: said once, tried again at rest. */
static void test_repair_refused(void **state)
{
	struct world *w = *state;
	mem_auto char *text = mem_printf(ELSEWHERE, 1);
	assert_int_equal(submit(w, text), 0);
	size_t other = only(w)->embedding.host[1] == 1 ? 2 : 1;
	destination = (uint32_t)other;
	w->fakes[other].mode = FAKE_REFUSES;
	struct message drain = { .type = MSG_DRAIN, .u.drain = { (char *)(other == 1 ? "n2" : "n1"), false } };
	assert_int_equal(ask(w, &drain), 1);
	assert_non_null(strstr(w->text, "no room here"));
	size_t steps = only(w)->n_history;
	assert_false(world_run(w, is_there, 2000));
	assert_true(only(w)->n_history <= steps + 1);
	w->fakes[other].mode = FAKE_OBEYS;
	fake_stop(&w->fakes[other]);
	fake_start(w, other);
	assert_true(world_run(w, is_there, 12000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plan_under_way), TEST(test_every_state), TEST(test_other_order), TEST(test_agent_without_node), TEST(test_same_again),
		TEST(test_room_after_an_update), TEST(test_awaited_agent), TEST(test_update_awaits_agent), TEST(test_updates_in_order), TEST(test_update_given_up), TEST(test_ends_while_repairing),
		TEST(test_drain_of_the_silent), TEST(test_node_that_refuses), TEST(test_repair_refused),
	};
	return cmocka_run_group_tests_name("vned_reload", tests, NULL, NULL);
}
