/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The coordinator over a store that cannot always be written, and what it remembers. A limit of the size
 * of files stands for a full disk: every write fails, and nothing of it is in the file. */
#include <signal.h>
#include <sys/resource.h>

#include "tests/help_vned.h"

static void disk_full(bool full)
{
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool none_left(struct world *w) { return w->v.n_networks == 0; }
static bool nothing_held(struct world *w) { return w->fakes[0].n_nets == 0 && w->fakes[1].n_nets == 0; }
static bool all_there(struct world *w)
{
	for (size_t i = 0; i < FAKES; i++) {
		if (!w->v.agents[i].connected)
			return false;
	}
	return true;
}

static void restart(struct world *w)
{
	world_close_vned(w);
	world_open_vned(w);
	assert_true(world_run(w, all_there, 10000));
	client_start(w, &w->admin);
}

/* Refused with the reason, nothing built, all capacity there; then everything works again. */
static void test_submit_on_full_disk(void **state)
{
	struct world *w = *state;
	struct residual before;
	residual_copy(&w->v.left, &before);
	disk_full(true);
	assert_int_equal(submit(w, world_pair), 70);
	disk_full(false);
	assert_non_null(strstr(w->text, "the store cannot be written"));
	assert_non_null(strstr(w->text, "nothing was built"));
	assert_int_equal(w->v.exit_code, 0);
	assert_int_equal(w->v.n_networks, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(w->v.left.link_kbps[i], before.link_kbps[i]);
	residual_done(&before);
	assert_int_equal(w->fakes[0].n_nets + w->fakes[1].n_nets, 0);
	assert_int_equal(submit(w, world_pair), 0);
	restart(w);
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
}

/* A release that cannot be stored is not begun: the network goes on, and can be released later. */
static void test_release_on_full_disk(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	size_t ensures = w->fakes[0].ensures;
	disk_full(true);
	assert_int_equal(release(w, "pair"), 70);
	assert_non_null(strstr(w->text, "the network goes on"));
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
	assert_int_equal(w->fakes[0].ensures, ensures);
	disk_full(false);
	restart(w); /* what the agents hold is still what is wanted */
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
	assert_int_equal(w->fakes[0].ensures, ensures);
	assert_int_equal(release(w, "pair"), 0);
	assert_true(nothing_held(w));
}

/* The disk fills while a release is under way: who asked is told, and it is stored once it can be. */
static void test_end_on_full_disk(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	w->fakes[1].mode = FAKE_SILENT;
	size_t told = w->fakes[1].ensures;
	struct message m = { .type = MSG_RELEASE, .u.name = { (char *)"pair" } };
	ask_no_wait(w, &m);
	for (int i = 0; i < 1000 && w->fakes[1].ensures == told; i++)
		(void)world_run(w, none_left, 10);
	assert_int_equal(w->fakes[1].ensures, told + 1); /* decided, and on disk */
	disk_full(true);
	assert_true(world_run(w, is_replied, 20000));
	assert_int_equal(w->code, 70);
	assert_non_null(strstr(w->text, "tried again"));
	assert_int_equal(w->v.n_networks, 1);
	assert_int_equal(submit(w, world_pair), 1); /* the name is not free yet */
	disk_full(false);
	w->fakes[1].mode = FAKE_OBEYS;
	assert_true(world_run(w, none_left, 20000));
	restart(w);
	assert_int_equal(w->v.n_networks, 0);
	assert_int_equal(submit(w, world_pair), 0);
}

static bool n1_drained(struct world *w) { return failures_drained(&w->v, 1); }

/* A drain that cannot be stored leaves the node as it was, be it drained already. */
static void test_drain_on_full_disk(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_DRAIN, .u.drain = { (char *)"n1", false } };
	disk_full(true);
	assert_int_equal(ask(w, &m), 70);
	assert_false(n1_drained(w));
	disk_full(false);
	assert_int_equal(ask(w, &m), 0);
	disk_full(true);
	m.u.drain.undrain = true;
	assert_int_equal(ask(w, &m), 70);
	assert_true(n1_drained(w));
	m.u.drain.undrain = false;
	(void)ask(w, &m); /* nothing is to be written, or that cannot be */
	assert_true(n1_drained(w));
	disk_full(false);
	restart(w);
	assert_true(n1_drained(w));
}

static bool is_prepared(struct world *w) { return w->fakes[1].held.net != 0; }
static bool is_planned_again(struct world *w) { return !w->v.networks[0]->txn && w->v.networks[0]->state == NET_PLANNED; }
static bool is_active(struct world *w) { return !w->v.networks[0]->txn && w->v.networks[0]->state == NET_ACTIVE; }

/* What was acknowledged, and the decision about it could not be stored, begins anew once it can. */
static void test_decision_on_full_disk(void **state)
{
	struct world *w = *state;
	struct message m = submission(world_pair, MSG_SUBMIT);
	m.u.submit.wait_active = false;
	w->fakes[1].mode = FAKE_HOLDS_PREPARE;
	assert_int_equal(ask(w, &m), 0);
	assert_true(world_run(w, is_prepared, 5000));
	disk_full(true);
	w->fakes[1].mode = FAKE_OBEYS;
	fake_done(&w->fakes[1], &w->fakes[1].held, 0, "");
	assert_true(world_run(w, is_planned_again, 5000));
	assert_true(nothing_held(w));
	disk_full(false);
	assert_true(world_run(w, is_active, 10000));
	assert_int_equal(w->fakes[0].n_nets + w->fakes[1].n_nets, 2);
	restart(w);
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
	assert_int_equal(release(w, "pair"), 0);
}

static bool all_hold_six(struct world *w)
{
	return w->fakes[0].nets[0].generation == 6 && w->fakes[1].nets[0].generation == 6 &&
	       w->v.networks[0]->parts[0].synced && w->v.networks[0]->parts[1].synced;
}

/* After a restore an agent may hold a newer generation than the store knows of: it would refuse an older one. */
static void test_generation_goes_beyond(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	fake_stop(&w->fakes[0]);
	w->fakes[0].nets[0].generation = 5;
	fake_start(w, 0);
	assert_true(world_run(w, all_hold_six, 10000));
	restart(w);
	assert_int_equal(w->v.networks[0]->generation, 6);
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
	assert_int_equal(release(w, "pair"), 0);
	assert_true(nothing_held(w));
}

/* ---- history -------------------------------------------------------------------------------------- */

static int history(struct world *w, const char *name)
{
	struct message m = { .type = MSG_HISTORY, .u.name = { (char *)(uintptr_t)name } };
	return ask(w, &m);
}

static void test_history_is_ones_own(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	client_start(w, &w->tenant);
	assert_int_equal(history(w, "pair"), 1);
	assert_int_equal(history(w, "alice/pair"), 1);
	assert_non_null(strstr(w->text, "alice/pair"));
	assert_int_equal(submit(w, world_pair), 0);
	assert_int_equal(history(w, "pair"), 0); /* one is his: no doubt which */
	for (size_t i = 0; i < w->answer.u.history.n; i++)
		assert_string_equal(w->answer.u.history.v[i].network, "bob/pair");
	client_start(w, &w->admin);
	assert_int_equal(history(w, "pair"), 1);
	assert_non_null(strstr(w->text, "OWNER/pair"));
	assert_int_equal(release(w, "bob/pair"), 0);
	client_start(w, &w->tenant);
	assert_int_equal(history(w, "pair"), 0); /* also of what is gone, and who took it away */
	size_t n = w->answer.u.history.n;
	assert_true(n >= 6);
	assert_int_equal(w->answer.u.history.v[n - 1].state, NET_RELEASED);
	assert_string_equal(w->answer.u.history.v[n - 1].who, "alice");
	assert_string_equal(w->answer.u.history.v[0].who, "bob");
	struct message m = { .type = MSG_BACKUP };
	assert_int_equal(ask(w, &m), 1);
	assert_non_null(strstr(w->text, "role tenant may not"));
}

/* What one network and those that are gone leave behind is bounded, and stays so over a restart. */
static void test_history_is_bounded(void **state)
{
	enum { GONE = 4300 };
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	struct network *net = w->v.networks[0];
	for (int i = 0; i < 500; i++)
		history_add(net, NET_DEGRADED, "vned", "again");
	assert_int_equal(net->n_history, 200);
	assert_string_equal(net->history[0].why, "submitted");
	mem_auto uint8_t *value = NULL;
	size_t len;
	history_pack(net, &value, &len);
	for (int i = 0; i < GONE; i += 100) {
		char keys[100][STORE_KEY_MAX + 1];
		struct store_op ops[100];
		for (int k = 0; k < 100; k++) {
			snprintf(keys[k], sizeof(keys[k]), "history/alice/old/%d", 100000 + i + k);
			ops[k] = (struct store_op){ keys[k], value, len };
		}
		assert_int_equal(w->v.store->driver->batch(w->v.store, w->v.store->driver->revision(w->v.store), ops, 100, NULL, NULL,
		                                           NULL), 0);
	}
	restart(w);
	assert_int_equal(w->v.gone.n, GONE);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(release(w, "pair"), 0);
		assert_int_equal(submit(w, world_pair), 0);
	}
	assert_true(w->v.gone.n <= 4096 + 8);
	restart(w);
	assert_true(w->v.gone.n <= 4096 + 8);
	assert_int_equal(history(w, "alice/pair"), 0);
}

/* ---- backups -------------------------------------------------------------------------------------- */

static int piece(struct world *w, uint64_t offset)
{
	struct message m = { .type = MSG_BACKUP, .u.backup = { offset } };
	return ask(w, &m);
}

static void test_backup_in_pieces(void **state)
{
	struct world *w = *state;
	char *large = mem_alloc(3 << 20);
	struct store_op op = { "large", large, 3 << 20 };
	assert_int_equal(w->v.store->driver->batch(w->v.store, w->v.store->driver->revision(w->v.store), &op, 1, NULL, NULL, NULL), 0);
	free(large);
	assert_int_equal(piece(w, 5), 1); /* none was begun */
	assert_non_null(strstr(w->text, "begin again"));
	uint64_t at = 0, size = 0, pieces = 0;
	do {
		assert_int_equal(piece(w, at), 0);
		assert_int_equal(w->answer.u.backup_data.offset, at);
		assert_true(w->answer.u.backup_data.len > 0);
		size = w->answer.u.backup_data.size;
		at += w->answer.u.backup_data.len;
		pieces++;
	} while (at < size);
	assert_int_equal(at, size);
	assert_true(pieces >= 4);
	assert_int_equal(piece(w, 1 << 20), 1); /* fetched: let go */
	assert_int_equal(piece(w, 0), 0);
	assert_int_equal(piece(w, UINT64_MAX), 1);
	restart(w); /* one that is not fetched holds up nothing */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_submit_on_full_disk), TEST(test_release_on_full_disk), TEST(test_end_on_full_disk),
		TEST(test_drain_on_full_disk), TEST(test_decision_on_full_disk),
		TEST(test_generation_goes_beyond), TEST(test_history_is_ones_own), TEST(test_history_is_bounded), TEST(test_backup_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
