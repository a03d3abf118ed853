/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables as routers print them, and as no honest router would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vnagent/routes.h"

static void is(const struct route_view *r, const char *to, const char *via, const char *device, const char *protocol, uint32_t metric)
{
	assert_string_equal(r->to, to);
	assert_string_equal(r->via, via);
	assert_string_equal(r->device, device);
	assert_string_equal(r->protocol, protocol);
	assert_int_equal(r->metric, metric);
}

static void test_what_ip_prints(void **state)
{
	struct routes_view v = { 0 };
	routes_read("default via 203.0.113.1 dev up0 proto static metric 5 \n"
	            "10.64.0.0/31 dev eth0 proto kernel scope link src 10.64.0.0 \n"
	            "10.255.0.2 via 10.64.0.1 dev eth0 proto bird src 10.255.0.0 metric 32 \n"
	            "unreachable 10.9.0.0/16 proto static \n"
	            "10.8.0.0/16 proto bird metric 32 \\\tnexthop via 10.64.0.1 dev eth0 weight 1 \\\tnexthop via 10.64.0.3 dev eth1 weight 1 \n"
	            "10.7.0.0/16 via inet6 fe80::1 dev eth0 \n"
	            "\n"
	            "default via fe80::1 dev up0 proto ra metric 1024 expires 1797sec pref medium\n"
	            "fd00::/127 dev eth0 proto kernel metric 256 pref medium\n"
	            "multicast ff00::/8 dev eth0  metric 256 \nanycast fe80:: dev eth0  metric 0 \n", &v);
	assert_int_equal(v.n_routes, 9);
	is(&v.routes[0], "0.0.0.0/0", "203.0.113.1", "up0", "static", 5);
	is(&v.routes[1], "10.64.0.0/31", "", "eth0", "kernel", 0);
	is(&v.routes[2], "10.255.0.2", "10.64.0.1", "eth0", "bird", 32);
	is(&v.routes[3], "10.9.0.0/16", "unreachable", "", "static", 0);
	is(&v.routes[4], "10.8.0.0/16", "10.64.0.1", "eth0", "bird", 32);
	is(&v.routes[5], "10.8.0.0/16", "10.64.0.3", "eth1", "bird", 32);
	is(&v.routes[6], "10.7.0.0/16", "fe80::1", "eth0", "", 0);
	is(&v.routes[7], "::/0", "fe80::1", "up0", "ra", 1024);
	is(&v.routes[8], "fd00::/127", "", "eth0", "kernel", 256);
	routes_view_done(&v);
}

static void test_what_nobody_prints(void **state)
{
	static const char *const odd[] = { "", "\n\n\n", "via", "unreachable", "nexthop nexthop nexthop", "10.0.0.0/8 via", "10.0.0.0/8 dev",
		"10.0.0.0/8 metric 99999999999999999999999", "10.0.0.0/8 via inet6", "Command line is not complete. Try option \"help\"",
		"\x01\x02\xff\xfe", "\\\\\\" };
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		struct routes_view v = { 0 };
		routes_read(odd[i], &v);
		assert_true(v.n_routes <= 3);
		routes_view_done(&v);
	}
	/* Words without end, lines without end, routes without end. */
	buf_auto struct buf b = BUF_INIT;
	for (int i = 0; i < 5000; i++)
		buf_str(&b, "10.0.0.0/8 ");
	buf_char(&b, '\n');
	for (int i = 0; i < 100000; i++)
		buf_char(&b, 'a');
	buf_char(&b, '\n');
	for (int i = 0; i < ROUTES_SHOWN_MAX + 10; i++)
		buf_printf(&b, "10.%d.%d.0/24 dev eth0\n", i / 256, i % 256);
	struct routes_view v = { 0 };
	routes_read(buf_cstr(&b), &v);
	assert_int_equal(v.n_routes, ROUTES_SHOWN_MAX);
	assert_int_equal(v.left_out, 11);
	routes_view_done(&v);
}

/* An interface may be called so, and a tenant's `ip` may print anything: it has to remain text that vned takes. */
static void test_no_text_is_no_harm(void **state)
{
	struct routes_view v = { 0 };
	routes_read("10.0.0.1 via \377\376.1 dev \033[2Jeth\302 proto \x7f\n10.0.0.2 dev eth0\n", &v);
	assert_int_equal(v.n_routes, 2);
	is(&v.routes[0], "10.0.0.1", "??.1", "?[2Jeth?", "?", 0);
	is(&v.routes[1], "10.0.0.2", "", "eth0", "", 0);
	routes_view_done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_ip_prints), cmocka_unit_test(test_what_nobody_prints),
		                            cmocka_unit_test(test_no_text_is_no_harm) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
