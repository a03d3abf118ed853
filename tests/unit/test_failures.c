/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What agents say that they hear of links, and what vned makes of it: an agent's word counts for its own links and ports, a link that comes
 * and goes is not relied on, a network on a backup path says so. */
#include "tests/help_vned.h"

static const char protected_pair[] =
	"kind: network\nname: pair\nnodes:\n  - {name: r1, cpu: 1, place: {on: [n0]}}\n  - {name: r2, cpu: 1, place: {on: [n1]}}\n"
	"links:\n  - {endpoints: [r1, r2], bandwidth: 10mbit, protection: link}\n";

static size_t saying;

static bool is_heard(struct world *w)
{
	return w->v.agents[saying].has_report;
}

/* Returns once vned has it: a report behind it on the same connection is there. Other connections may be slower. */
static void say(struct world *w, size_t fake, struct message *m)
{
	struct message report = { .type = MSG_REPORT };
	w->v.agents[fake].has_report = false;
	saying = fake;
	fake_send(&w->fakes[fake], m);
	fake_send(&w->fakes[fake], &report);
	assert_true(world_run(w, is_heard, 5000));
}

static void say_link(struct world *w, size_t fake, const char *slink, enum heard state, bool all)
{
	struct link_heard link = { (char *)slink, state, (char *)"nothing comes from 192.0.2.9" };
	struct message m = { .type = MSG_WATCH, .u.watch = { .all = all, .links = &link, .n_links = 1 } };
	say(w, fake, &m);
}

static void say_guard(struct world *w, size_t fake, const struct guard_heard *g)
{
	struct message m = { .type = MSG_WATCH, .u.watch = { .guards = (struct guard_heard *)g, .n_guards = 1 } };
	say(w, fake, &m);
}

static void assert_link(struct world *w, uint32_t slink, const char *why)
{
	buf_auto struct buf text = BUF_INIT;
	assert_int_equal(failures_link(&w->v, slink, &text), why != NULL);
	if (why && !strstr(buf_cstr(&text), why))
		fail_msg("\"%s\"; expected \"%s\"", buf_cstr(&text), why);
}

static void test_links(void **state)
{
	struct world *w = *state;
	const uint32_t link = 0; /* n0-n1 */
	w->v.config.flap_hold_us = 60000000;
	say_link(w, 0, "n0-n1", HEARD_DOWN, false);
	say_link(w, 0, "no-such-link", HEARD_DOWN, false);
	say_link(w, 2, "n0-n1", HEARD_DOWN, false); /* none of its own */
	assert_link(w, link, "link n0-n1 is down at n0 (nothing comes from 192.0.2.9)");
	say_link(w, 1, "n0-n1", HEARD_DOWN, false);
	say_link(w, 0, "n0-n1", HEARD_UP, false);
	assert_link(w, link, "down at n1");
	say_link(w, 1, "n1-n2", HEARD_UP, true); /* all that it hears: the other it knows no more */
	assert_link(w, link, NULL); /* once may happen */
	say_link(w, 0, "n0-n1", HEARD_DOWN, false);
	say_link(w, 0, "n0-n1", HEARD_UP, false);
	assert_link(w, link, "gone down 2 times; it is not relied on before it has been up for 60 s");
	say_link(w, 0, "n0-n1", HEARD_DOWN, false);
	say_link(w, 0, "n0-n1", HEARD_UP, false);
	assert_link(w, link, "gone down 3 times; it is not relied on before it has been up for 120 s");
	w->v.config.flap_hold_us = 0;
	assert_link(w, link, NULL);
}

static void assert_reason(struct world *w, const char *expected)
{
	health_judge(&w->v, w->v.networks[0]);
	const char *reason = w->v.networks[0]->reason ? w->v.networks[0]->reason : "";
	if (expected ? !strstr(reason, expected) : *reason)
		fail_msg("\"%s\"; expected \"%s\"", reason, expected ? expected : "");
}

static void test_guards(void **state)
{
	struct world *w = *state;
	if (submit(w, protected_pair) != 0)
		fail_msg("%d: %s", w->code, w->text);
	uint32_t id = w->v.networks[0]->id;
	struct guard_heard good = { id, 0, false, HEARD_UP, HEARD_UP, 0, (char *)"" }, switched = good, lies = good;
	switched.on_backup = true;
	switched.primary = HEARD_DOWN;
	switched.why = (char *)"nothing is heard on the primary path";
	say_guard(w, 0, &good);
	assert_reason(w, NULL);
	lies = switched;
	say_guard(w, 1, &lies); /* another's port */
	lies.port = 77;
	say_guard(w, 0, &lies);
	lies.net = id + 1;
	say_guard(w, 0, &lies);
	assert_reason(w, NULL);
	say_guard(w, 0, &switched);
	assert_reason(w, "link r1-r2: on its backup path: nothing is heard on the primary path");
	struct message show = { .type = MSG_SHOW, .u.name = { (char *)"pair" } };
	assert_int_equal(ask(w, &show), 0);
	assert_int_equal(w->answer.u.networks.v[0].state, NET_DEGRADED);
	assert_string_equal(w->answer.u.networks.v[0].links[0].in_use, "backup");
	switched.backup = HEARD_DOWN;
	say_guard(w, 0, &switched);
	assert_reason(w, "link r1-r2: neither path carries anything");
	good.backup = HEARD_DOWN;
	say_guard(w, 0, &good);
	assert_reason(w, "link r1-r2: its backup path carries nothing");
	good.backup = HEARD_UP;
	say_guard(w, 0, &good);
	assert_reason(w, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_links), TEST(test_guards) };
	return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}
