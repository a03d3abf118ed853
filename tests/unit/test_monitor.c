/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rates from counters, with a clock of the test's own; and the ring of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/plan.h"
#include "vned/events.h"
#include "vned/monitor.h"

enum { SECOND = 1000000 };

static void test_rate(void **state)
{
	struct rate r = { .n = 0 };
	assert_true(rate_per_second(&r, 0) < 0);
	rate_add(&r, 0, 100);
	assert_true(rate_per_second(&r, 0) < 0); /* one value is no rate */
	rate_add(&r, SECOND, 300);
	assert_true(rate_per_second(&r, SECOND) == 200);
	for (int i = 2; i < 10; i++)
		rate_add(&r, i * SECOND, 300 + 1000 * (uint64_t)(i - 1));
	assert_true(rate_per_second(&r, 9 * SECOND) == 1000); /* the first second is forgotten */
	assert_true(rate_per_second(&r, 30 * SECOND) < 0);    /* nobody has reported for long */
}

static void test_counter_begins_anew(void **state)
{
	struct rate r = { .n = 0 };
	for (int i = 0; i < 5; i++)
		rate_add(&r, i * SECOND, 1000 * (uint64_t)i);
	rate_add(&r, 5 * SECOND, 10); /* the object was made again */
	assert_true(rate_per_second(&r, 5 * SECOND) < 0);
	rate_add(&r, 6 * SECOND, 30);
	assert_true(rate_per_second(&r, 6 * SECOND) == 20);
	rate_add(&r, 6 * SECOND, 30); /* two reports in one instant */
	assert_true(rate_per_second(&r, 6 * SECOND) == 20);
}

static void test_out_of_range(void **state)
{
	struct net_load l;
	net_load_init(&l, 2, 1, 1);
	net_load_port(&l, PLAN_UPLINK_ID + 1, &(struct port_load){ .rx_bytes = 7 }, 0);
	net_load_port(&l, PLAN_UPLINK_ID - 1, &(struct port_load){ .rx_bytes = 7 }, 0);
	assert_false(l.uplinks[0].known);
	net_load_port(&l, PLAN_UPLINK_ID, &(struct port_load){ .rx_bytes = 7 }, 0);
	assert_true(l.uplinks[0].known && l.uplinks[0].last.rx_bytes == 7);
	net_load_router(&l, 2, &(struct router_load){ .state = ROUTER_RUNNING }, 0);
	net_load_router(&l, UINT32_MAX, &(struct router_load){ .state = ROUTER_RUNNING }, 0);
	net_load_port(&l, 2, &(struct port_load){ .rx_bytes = 7 }, 0);
	assert_false(l.routers[0].known || l.routers[1].known || l.ports[0].known || l.ports[1].known);
	net_load_router(&l, 1, &(struct router_load){ .state = ROUTER_FAILED, .reason = "why" }, 0);
	net_load_port(&l, 1, &(struct port_load){ .tx_bytes = 9 }, 0);
	assert_true(l.routers[1].known && l.ports[1].known);
	assert_string_equal(l.routers[1].reason, "why");
	net_load_done(&l);
}

static void test_segments(void **state)
{
	struct monitor *m = monitor_new();
	struct segment_load l = { .net = 1, .vni = 7, .tx_frames = 0, .tx_bytes = 0 };
	monitor_set_segment(m, 3, &l, 50, 0);
	l.tx_frames = 10;
	l.tx_bytes = 1000;
	monitor_set_segment(m, 3, &l, 50, SECOND);
	assert_null(monitor_segment(m, 4, 7)); /* the other end is another's to report */
	assert_true(rate_per_second(&monitor_segment(m, 3, 7)->tx_bytes, SECOND) == 1500);
	monitor_forget_segment(m, 3, 7);
	assert_null(monitor_segment(m, 3, 7));
	monitor_forget_segment(m, 3, 7);
	monitor_free(m);
}

static size_t published;

static void count(void *arg, const struct event_view *e)
{
	published++;
	assert_string_equal(e->kind, "node");
}

static void done(struct event_view *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		event_view_done(&v[i]);
	free(v);
}

static void test_events(void **state)
{
	struct events *e = events_new(4, count, NULL);
	struct event_view *v;
	size_t n;
	events_since(e, 0, &v, &n);
	assert_int_equal(n, 0);
	done(v, n);
	uint64_t before = events_last(e);
	for (int i = 0; i < 6; i++)
		events_publish(e, "node", "n1", "event %d", i);
	assert_int_equal(published, 6);
	assert_int_equal(events_last(e), before + 6);
	events_since(e, 0, &v, &n);
	assert_int_equal(n, 4); /* what is kept */
	assert_string_equal(v[0].what, "event 2");
	assert_int_equal(v[0].sequence, before + 3); /* the gap shows */
	assert_string_equal(v[3].what, "event 5");
	done(v, n);
	events_since(e, before + 5, &v, &n);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].what, "event 5");
	done(v, n);
	events_since(e, UINT64_MAX, &v, &n);
	assert_int_equal(n, 0);
	done(v, n);
	events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rate), cmocka_unit_test(test_counter_begins_anew),
		                                cmocka_unit_test(test_out_of_range), cmocka_unit_test(test_segments),
		                                cmocka_unit_test(test_events) };
	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
