/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a tenant's controller may be: where the node's operator says, or in the network itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/loop.h"
#include "vnagent/ovs.h"

static struct addr prefix(const char *text)
{
	struct addr a;
	assert_int_equal(addr_parse_prefix(text, &a, NULL), 0);
	return a;
}

static int check(const struct addr *allowed, size_t n, const char *controller, const struct plan_port *port, struct err *err)
{
	struct loop *loop;
	struct plan_router r = { .controller = (char *)(uintptr_t)controller };
	assert_int_equal(loop_new(&loop, NULL), 0);
	struct ovs *o = ovs_new(&(struct ovs_options){ .loop = loop, .controllers = allowed, .n_controllers = n });
	int code = ovs_controller_check(o, &r, &port, port ? 1 : 0, err);
	ovs_free(o);
	loop_free(loop);
	return code;
}

static void where_controllers_may_be(void **state)
{
	struct addr allowed[] = { prefix("192.0.2.0/25"), prefix("2001:db8::/32"), prefix("198.51.100.7/32") };
	static const struct {
		const char *controller;
		int code;
	} cases[] = {
		{ NULL, 0 }, { "tcp:192.0.2.1:6653", 0 }, { "tcp:192.0.2.127:1", 0 }, { "tcp:192.0.2.128:6653", -EACCES },
		{ "tcp:[2001:db8:ffff::1]:6653", 0 }, { "tcp:[2001:db9::1]:6653", -EACCES }, { "tcp:198.51.100.7:6653", 0 },
		{ "tcp:198.51.100.6:6653", -EACCES }, { "tcp:127.0.0.1:6653", -EACCES }, { "tcp:[::1]:6653", -EACCES },
		{ "tcp:[::ffff:192.0.2.1]:6653", -EACCES }, /* another family is another place */
		{ "tcp:0.0.0.0:6653", -EACCES }, { "unix:/run/x", -EINVAL }, { "tcp:192.0.2.1", -EINVAL }, { "", -EINVAL },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = { 0 };
		int code = check(allowed, 3, cases[i].controller, NULL, &err);
		if (code != cases[i].code)
			fail_msg("%s: %d, not %d: %s", cases[i].controller ? cases[i].controller : "none", code, cases[i].code, err.text);
		if (code == -EACCES)
			assert_non_null(strstr(err.text, "`controllers` in vnagent.yaml"));
	}
	assert_int_equal(check(NULL, 0, "tcp:192.0.2.1:6653", NULL, NULL), -EACCES); /* where nothing is said, nowhere */
}

static void one_in_the_network(void **state)
{
	struct plan_port port = { .lan = true, .address = prefix("10.79.255.251/29") };
	struct err err = { 0 };
	assert_int_equal(check(NULL, 0, "tcp:10.79.255.249:6653", &port, &err), 0);
	assert_int_equal(check(NULL, 0, "tcp:10.79.255.241:6653", &port, &err), -EACCES); /* beside the LAN */
	port.address.family = 0; /* a port that only switches has none */
	assert_int_equal(check(NULL, 0, "tcp:10.79.255.249:6653", &port, &err), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(where_controllers_may_be), cmocka_unit_test(one_in_the_network) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
