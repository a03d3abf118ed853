/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every order of events of a transaction over one, two and three agents, by exhaustive search: answers
 * and refusals, silence until the time limit, connections lost with or without the commands on them
 * being carried out, agents that come back, doubled answers, a cancel, a store that fails, and the
 * coordinator killed between any two steps with its last write on disk or not.
 *
 * In every state reached: nothing is committed before the decision is durable, nothing is undone
 * after; and when from there the world calms down, the transaction has ended and all agents hold
 * the new plan, or all hold what they held before, as the store says. An update has a node that leaves and
 * removes nothing that was replaced while somebody whose connection has lasted may still use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "vned/txn.h"

enum { AGENTS_MAX = 3, QUEUE = 6, STEP_MS = 100 };
enum held { HELD_NOTHING, HELD_PREPARED, HELD_NEW, HELD_OLD, HELD_BOTH }; /* PREPARED, BOTH: beside the old, where there is one */
enum command { CMD_PREPARE, CMD_COMMIT, CMD_ABORT, CMD_ENSURE, CMD_RESTORE };
enum disk { DISK_NOTHING, DISK_ASKED, DISK_DURABLE };

struct sim_agent {
	uint8_t held, up, n_in, n_out;
	uint8_t in[QUEUE];  /* commands on their way to it */
	uint8_t out[QUEUE]; /* its answers: step << 1 | refused */
};

struct budget {
	uint8_t refusals, losses, doubles, ticks, cancels, crashes, store_faults;
};

struct model { /* everything; compared as bytes, so padding is zeroed by memset */
	struct txn txn; /* agents points into the model at hand */
	struct txn_agent agents[AGENTS_MAX];
	struct sim_agent sim[AGENTS_MAX];
	struct budget left;
	uint8_t n, kind, disk, running, ended, down; /* down: bits, at the start */
};

static struct hash *seen;
static size_t states;
static const char *trace[64];
static size_t depth;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s, after:\n", what);
	for (size_t i = 0; i < depth; i++)
		fprintf(stderr, "  %s\n", trace[i]);
	fail();
}

static enum held before(const struct model *m)
{
	return m->kind == TXN_SUBMIT ? HELD_NOTHING : HELD_OLD;
}

static enum held after(const struct model *m, size_t i)
{
	return m->kind == TXN_RELEASE || m->agents[i].leaves ? HELD_NOTHING : HELD_NEW;
}

static void check_nobody_uses_it(const struct model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sim_agent *a = &m->sim[i];
		check(m->agents[i].leaves || m->agents[i].anew || !a->up || a->held == HELD_BOTH || a->held == HELD_NEW,
		      "removes what was replaced before all have switched");
	}
}

/* ---- the world ------------------------------------------------------------------------------------ */

static void to_agent(struct model *m, size_t i, enum command c)
{
	struct sim_agent *a = &m->sim[i];
	if (!a->up)
		return; /* the caller learns of that by TXN_EV_DOWN */
	check(a->n_in < QUEUE, "too many commands");
	a->in[a->n_in++] = (uint8_t)c;
}

static void step(struct model *m, struct txn_event e, int64_t now_ms)
{
	struct txn_out out = { 0 };
	if (!m->running)
		return;
	m->txn.agents = m->agents;
	txn_step(&m->txn, &e, now_ms, &out);
	for (size_t i = 0; i < out.n; i++) {
		switch (out.v[i].type) {
		case TXN_ACT_PREPARE:
			check(m->disk == DISK_NOTHING, "prepares after the decision");
			to_agent(m, out.v[i].agent, CMD_PREPARE);
			break;
		case TXN_ACT_COMMIT:
			check(m->disk == DISK_DURABLE, "commits before the decision is durable");
			to_agent(m, out.v[i].agent, CMD_COMMIT);
			break;
		case TXN_ACT_ENSURE:
			check(m->disk == DISK_DURABLE, "ensures before the decision is durable");
			if (m->kind == TXN_UPDATE && !m->agents[out.v[i].agent].anew)
				check_nobody_uses_it(m);
			to_agent(m, out.v[i].agent, CMD_ENSURE);
			break;
		case TXN_ACT_ABORT:
			check(m->disk != DISK_DURABLE && m->disk != DISK_ASKED, "aborts what may be decided");
			to_agent(m, out.v[i].agent, CMD_ABORT);
			break;
		case TXN_ACT_DECIDE:
			m->disk = DISK_ASKED;
			break;
		case TXN_ACT_END:
			check(!m->ended, "ends twice");
			m->ended = 1;
			check(txn_final(&m->txn), "ends in no final phase");
			break;
		}
	}
	free(out.v);
	if (m->txn.phase == TXN_COMMITTED)
		check(m->disk == DISK_DURABLE, "committed, but not on disk");
	if (m->txn.phase == TXN_ABORTED)
		check(m->disk == DISK_NOTHING, "aborted, but on disk");
	if (m->ended && m->txn.phase == TXN_COMMITTED && !m->txn.behind) {
		for (size_t i = 0; i < m->n; i++)
			check(m->sim[i].held == after(m, i) || (m->agents[i].leaves && (m->agents[i].anew || m->down >> i & 1)), "says all have committed, and one has not");
	}
}

/* The agent carries out its first command; answers unless nobody is there. */
static void obey(struct model *m, size_t i, bool refuse)
{
	struct sim_agent *a = &m->sim[i];
	enum command c = (enum command)a->in[0];
	memmove(a->in, a->in + 1, --a->n_in);
	a->in[a->n_in] = 0;
	static const uint8_t steps[] = { TXN_STEP_PREPARE, TXN_STEP_COMMIT, TXN_STEP_ABORT, TXN_STEP_ENSURE, 0xff };
	if (c == CMD_PREPARE && !refuse)
		a->held = HELD_PREPARED;
	if (c == CMD_COMMIT && a->held != HELD_PREPARED && a->held != HELD_NEW && a->held != HELD_BOTH)
		check(false, "commits what it has not prepared");
	if (c == CMD_COMMIT && a->held != HELD_NEW)
		a->held = m->kind == TXN_UPDATE ? HELD_BOTH : HELD_NEW;
	if (c == CMD_ENSURE && !refuse)
		a->held = (uint8_t)after(m, i);
	if (c == CMD_ABORT && a->held == HELD_PREPARED)
		a->held = (uint8_t)before(m);
	if (c == CMD_RESTORE)
		a->held = (uint8_t)before(m);
	if (a->up && steps[c] != 0xff) {
		check(a->n_out < QUEUE, "too many answers");
		a->out[a->n_out++] = (uint8_t)(steps[c] << 1 | refuse);
	}
}

static void lose(struct model *m, size_t i, bool carried_out)
{
	struct sim_agent *a = &m->sim[i];
	a->up = 0;
	while (carried_out && a->n_in)
		obey(m, i, false);
	memset(a->in, 0, sizeof(a->in));
	memset(a->out, 0, sizeof(a->out));
	a->n_in = a->n_out = 0;
	step(m, (struct txn_event){ .type = TXN_EV_DOWN, .agent = i }, 0);
}

/* Hello, and what vned/agents.c does about what it holds. */
static void come_back(struct model *m, size_t i)
{
	struct sim_agent *a = &m->sim[i];
	bool decided = m->disk == DISK_DURABLE, deciding = m->running && !m->ended && m->txn.phase == TXN_DECIDING;
	a->up = 1;
	if (!decided && !deciding && a->held != before(m))
		to_agent(m, i, CMD_RESTORE);
	bool by_txn = m->running && !m->ended;
	if (decided && !by_txn && a->held != after(m, i))
		to_agent(m, i, CMD_ENSURE);
	step(m, (struct txn_event){ .type = TXN_EV_UP, .agent = i }, 0);
}

static void answer(struct model *m, size_t i, bool twice)
{
	struct sim_agent *a = &m->sim[i];
	uint8_t r = a->out[0];
	memmove(a->out, a->out + 1, --a->n_out);
	a->out[a->n_out] = 0;
	struct txn_event e = { .type = TXN_EV_DONE, .agent = i, .step = (enum txn_step_kind)(r >> 1), .code = r & 1 ? -28 : 0,
		                   .reason = "no room" };
	step(m, e, 0);
	if (twice)
		step(m, e, 0);
}

static void crash(struct model *m, bool reached_disk, bool carried_out)
{
	if (m->disk == DISK_ASKED)
		m->disk = reached_disk ? DISK_DURABLE : DISK_NOTHING;
	m->running = 0; /* what was in memory is gone; the rest is reconciliation */
	for (size_t i = 0; i < m->n; i++) {
		if (m->sim[i].up)
			lose(m, i, carried_out);
	}
}

/* ---- calm ------------------------------------------------------------------------------------------ */

static void check_calm(const struct model *from)
{
	struct model m = *from;
	for (int round = 0; round < 40; round++) {
		if (m.disk == DISK_ASKED) {
			m.disk = DISK_DURABLE;
			step(&m, (struct txn_event){ .type = TXN_EV_STORED }, 0);
		}
		bool idle = true;
		for (size_t i = 0; i < m.n; i++) {
			if (!m.sim[i].up)
				come_back(&m, i);
			while (m.sim[i].n_in || m.sim[i].n_out) {
				idle = false;
				if (m.sim[i].n_in)
					obey(&m, i, false);
				else
					answer(&m, i, false);
			}
		}
		if (idle && m.running && !m.ended)
			step(&m, (struct txn_event){ .type = TXN_EV_TICK }, 2 * STEP_MS);
		else if (idle)
			break;
	}
	check(!m.running || m.ended, "does not end");
	/* an agent that has not confirmed is asked again until it has: vned/flow.c, repair() */
	for (size_t i = 0; i < m.n; i++) {
		enum held want = m.disk == DISK_DURABLE ? after(&m, i) : before(&m);
		bool asked_again = m.disk == DISK_DURABLE && m.running && m.txn.behind;
		check(m.sim[i].held == want || asked_again, "some have it and some have not");
	}
}

/* ---- the search ---------------------------------------------------------------------------------------- */

static void explore(const struct model *m);

static bool known(const struct model *m)
{
	struct model key = *m;
	key.txn.agents = NULL;
	key.txn.code = 0;
	memset(key.txn.reason, 0, sizeof(key.txn.reason));
	key.txn.reason[0] = m->txn.reason[0] != 0;
	uint64_t h[2] = { UINT64_C(0xcbf29ce484222325), UINT64_C(0x9e3779b97f4a7c15) };
	for (size_t i = 0; i < sizeof(key); i++) {
		h[0] = (h[0] ^ ((const uint8_t *)&key)[i]) * UINT64_C(0x100000001b3);
		h[1] = (h[1] + ((const uint8_t *)&key)[i]) * UINT64_C(6364136223846793005) + 1;
	}
	uint64_t both = h[0] ^ (h[1] >> 7 | h[1] << 57);
	if (hash_get_u64(seen, both))
		return true;
	hash_put_u64(seen, both, &states);
	states++;
	return false;
}

#define TRY(what, ...)                \
	do {                              \
		struct model next = *m;       \
		trace[depth++] = what;        \
		__VA_ARGS__;                  \
		explore(&next);               \
		depth--;                      \
	} while (0)

static void explore_agent(const struct model *m, size_t i)
{
	const struct sim_agent *a = &m->sim[i];
	if (a->up && a->n_in) {
		TRY("a command is carried out", obey(&next, i, false));
		if (m->left.refusals && (a->in[0] == CMD_PREPARE || a->in[0] == CMD_COMMIT || (a->in[0] == CMD_ENSURE && m->kind == TXN_UPDATE && m->running && !m->ended)))
			TRY("a command is refused", next.left.refusals--; if (a->in[0] == CMD_COMMIT) next.sim[i].held = HELD_PREPARED;
			    struct sim_agent keep = next.sim[i]; obey(&next, i, true);
			    if (keep.in[0] == CMD_COMMIT) next.sim[i].held = keep.held);
	}
	if (a->up && a->n_out) {
		TRY("an answer arrives", answer(&next, i, false));
		if (m->left.doubles)
			TRY("an answer arrives twice", next.left.doubles--; answer(&next, i, true));
	}
	if (a->up && m->left.losses) {
		TRY("a connection is lost with what was on it", next.left.losses--; lose(&next, i, false));
		if (a->n_in)
			TRY("a connection is lost, what was on it carried out", next.left.losses--; lose(&next, i, true));
	}
	if (!a->up)
		TRY("an agent comes back", come_back(&next, i));
}

static void explore(const struct model *m)
{
	assert_true(depth < 60);
	if (known(m))
		return;
	check_calm(m);
	for (size_t i = 0; i < m->n; i++)
		explore_agent(m, i);
	if (m->disk == DISK_ASKED) {
		TRY("the decision is durable", next.disk = DISK_DURABLE; step(&next, (struct txn_event){ .type = TXN_EV_STORED }, 0));
		if (m->left.store_faults && m->kind != TXN_RELEASE)
			TRY("the store refuses the decision", next.left.store_faults--; next.disk = DISK_NOTHING;
			    step(&next, (struct txn_event){ .type = TXN_EV_UNSTORED }, 0));
	}
	if (m->running && !m->ended && m->left.ticks)
		TRY("the time limit passes", next.left.ticks--; step(&next, (struct txn_event){ .type = TXN_EV_TICK }, 2 * STEP_MS));
	if (m->running && !m->ended && m->left.cancels && m->kind != TXN_RELEASE)
		TRY("it is cancelled", next.left.cancels--; step(&next, (struct txn_event){ .type = TXN_EV_CANCEL }, 0));
	if (m->running && m->left.crashes) {
		TRY("the coordinator is killed", next.left.crashes--; crash(&next, false, false));
		TRY("the coordinator is killed, commands carried out", next.left.crashes--; crash(&next, false, true));
		if (m->disk == DISK_ASKED)
			TRY("the coordinator is killed, its decision on disk", next.left.crashes--; crash(&next, true, false));
	}
}

static void all_orders(size_t n, enum txn_kind kind, struct budget budget, uint8_t down)
{
	struct model m;
	memset(&m, 0, sizeof(m));
	m.n = (uint8_t)n;
	m.kind = (uint8_t)kind;
	m.down = down;
	m.running = 1;
	m.left = budget;
	struct txn t;
	txn_init(&t, n, kind, STEP_MS);
	t.agents[n - 1].leaves = kind == TXN_UPDATE && n > 1;
	memcpy(m.agents, t.agents, n * sizeof(*t.agents));
	txn_done(&t);
	m.txn = t;
	for (size_t i = 0; i < n; i++) {
		m.sim[i].held = (uint8_t)before(&m);
		m.sim[i].up = m.agents[i].up = !(down >> i & 1);
	}
	seen = hash_new();
	states = depth = 0;
	step(&m, (struct txn_event){ .type = TXN_EV_START }, 0);
	explore(&m);
	hash_free(seen, NULL);
	print_message("%zu agents, %s: %zu states\n", n, ((const char *const[]){ "submit", "release", "update" })[kind], states);
	assert_true(states > 5);
}

static void test_one(void **state)
{
	struct budget all = { 2, 3, 2, 2, 1, 1, 1 };
	all_orders(1, TXN_SUBMIT, all, 0);
	all_orders(1, TXN_RELEASE, all, 0);
	all_orders(1, TXN_SUBMIT, all, 1);
	all_orders(1, TXN_RELEASE, all, 1);
	all_orders(1, TXN_UPDATE, all, 0);
}

static void test_two(void **state)
{
	struct budget all = { 1, 2, 1, 1, 1, 1, 1 };
	all_orders(2, TXN_SUBMIT, all, 0);
	all_orders(2, TXN_RELEASE, all, 0);
	all_orders(2, TXN_SUBMIT, all, 2);
	all_orders(2, TXN_RELEASE, all, 2);
	all_orders(2, TXN_UPDATE, all, 0);
	all_orders(2, TXN_UPDATE, all, 2);
}

static void test_three(void **state)
{
	all_orders(3, TXN_SUBMIT, (struct budget){ 1, 1, 0, 1, 0, 1, 0 }, 0);
	all_orders(3, TXN_RELEASE, (struct budget){ 1, 1, 0, 1, 0, 1, 0 }, 0);
	all_orders(3, TXN_SUBMIT, (struct budget){ 0, 1, 1, 0, 1, 0, 1 }, 0);
	all_orders(3, TXN_UPDATE, (struct budget){ 1, 1, 0, 1, 0, 0, 0 }, 0);
	all_orders(3, TXN_UPDATE, (struct budget){ 0, 1, 1, 0, 1, 1, 0 }, 4);
}

static void test_nobody(void **state)
{
	/* a network without a part anywhere is decided at once */
	struct txn t;
	struct txn_out out = { 0 };
	txn_init(&t, 0, TXN_SUBMIT, STEP_MS);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_START }, 0, &out);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_STORED }, 0, &out);
	assert_int_equal(t.phase, TXN_COMMITTED);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.v[0].type, TXN_ACT_DECIDE);
	assert_int_equal(out.v[1].type, TXN_ACT_END);
	free(out.v);
	txn_done(&t);
}

static void test_reasons(void **state)
{
	struct txn t;
	struct txn_out out = { 0 };
	txn_init(&t, 2, TXN_SUBMIT, 1500);
	strcpy(t.agents[0].name, "atla");
	strcpy(t.agents[1].name, "hstn");
	t.agents[0].up = t.agents[1].up = true;
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_START }, 1000, &out);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_TICK }, 2499, &out);
	assert_int_equal(t.phase, TXN_PREPARING);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_DONE, .agent = 0 }, 2499, &out);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_TICK }, 2500, &out);
	assert_int_equal(t.phase, TXN_ABORTING);
	assert_string_equal(t.reason, "node hstn did not prepare within 1.5 s");
	/* silence may go on while undoing: that ends, too */
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_TICK }, 4000, &out);
	assert_int_equal(t.phase, TXN_ABORTED);
	txn_done(&t);

	/* more time to prepare is time to prepare only */
	out.n = 0;
	txn_init(&t, 1, TXN_SUBMIT, 1500);
	t.prepare_ms = 60000;
	strcpy(t.agents[0].name, "atla");
	t.agents[0].up = true;
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_START }, 1000, &out);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_TICK }, 60999, &out);
	assert_int_equal(t.phase, TXN_PREPARING);
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_TICK }, 61000, &out);
	assert_int_equal(t.phase, TXN_ABORTING);
	assert_string_equal(t.reason, "node atla did not prepare within 60 s");
	txn_step(&t, &(struct txn_event){ .type = TXN_EV_TICK }, 62500, &out);
	assert_int_equal(t.phase, TXN_ABORTED);
	free(out.v);
	txn_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_one), cmocka_unit_test(test_two),
		                                cmocka_unit_test(test_three), cmocka_unit_test(test_nobody),
		                                cmocka_unit_test(test_reasons) };
	return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
