/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pools of addresses that no router could have, or that no route joins: refused where they stand. */
#include <errno.h>
#include <sys/socket.h>

#include "tests/help_model.h"

#define HEAD "kind: network\nname: n\n"
#define TAIL "nodes: [{name: a, cpu: 1}, {name: b, cpu: 1}]\nlinks: [{endpoints: [a, b], bandwidth: 1mbit}]\n"

static void parse(const char *text, struct buf *ret, int *ret_code)
{
	struct yaml_errors errors = { .file = "f" };
	struct request *requests = NULL;
	struct err err = { 0 };
	size_t n = 0;

	*ret_code = request_parse(text, strlen(text), false, &errors, &requests, &n, &err);
	buf_printf(ret, "%s", buf_cstr(&errors.text));
	for (size_t i = 0; *ret_code == 0 && i < n; i++)
		request_done(&requests[i]);
	free(requests);
	yaml_errors_done(&errors);
}

static void expect(const char *pools, const char *routing, const char *wanted)
{
	struct buf text = { 0 }, errors = { 0 };
	int code;

	buf_printf(&text, HEAD "pools: {%s}\nrouting: %s\n" TAIL, pools, routing);
	parse(buf_cstr(&text), &errors, &code);
	assert_string_equal(buf_cstr(&errors), wanted);
	assert_int_equal(code, wanted[0] ? -EINVAL : 0);
	buf_done(&text);
	buf_done(&errors);
}

#define V4 "; expected a range that routers can have, such as 10.64.0.0/12\n"
#define V6 "; expected a range that routers can have, such as fd00:64::/48\n"

static void test_refused_v4(void **state)
{
	expect("links: 127.0.0.0/8", "static",
	       "f:3:16: pool \"links\": 127.0.0.0/8 holds loopback addresses of the host (127.0.0.0/8)" V4);
	expect("links: 224.0.0.0/4", "static", "f:3:16: pool \"links\": 224.0.0.0/4 holds multicast addresses (224.0.0.0/4)" V4);
	expect("loopbacks: 0.0.0.0/31", "static",
	       "f:3:20: pool \"loopbacks\": 0.0.0.0/31 holds unspecified addresses (0.0.0.0/8)" V4);
	expect("loopbacks: 255.255.255.254/31", "static",
	       "f:3:20: pool \"loopbacks\": 255.255.255.254/31 holds reserved and broadcast addresses (240.0.0.0/4)" V4);
	expect("links: 169.254.0.0/24", "static",
	       "f:3:16: pool \"links\": 169.254.0.0/24 holds link-local addresses (169.254.0.0/16)" V4);
	/* A range that holds a refused one among others. */
	expect("links: 126.0.0.0/7", "static",
	       "f:3:16: pool \"links\": 126.0.0.0/7 holds loopback addresses of the host (127.0.0.0/8)" V4);
}

static void test_refused_v6(void **state)
{
	expect("loopbacks: \"fd00::/64\", links: \"ff02::/64\"", "ospf",
	       "f:3:40: pool \"links\": ff02::/64 holds multicast addresses (ff00::/8)" V6);
	expect("links: \"ffff::/127\"", "ospf", "f:3:16: pool \"links\": ffff::/127 holds multicast addresses (ff00::/8)" V6);
	expect("links: \"::/64\"", "ospf", "f:3:16: pool \"links\": ::/64 holds the unspecified address (::/128)" V6);
	expect("links: \"::1/128\"", "ospf", "f:3:16: pool \"links\": ::1/128 holds the loopback address of the host (::1/128)" V6);
	expect("links: \"fe80::/64\"", "ospf", "f:3:16: pool \"links\": fe80::/64 holds link-local addresses (fe80::/10)" V6);
	expect("links: \"::ffff:0:0/96\"", "ospf",
	       "f:3:16: pool \"links\": ::ffff:0.0.0.0/96 holds IPv4 addresses written as IPv6 (::ffff:0.0.0.0/96)" V6);
}

static void test_allowed(void **state)
{
	expect("links: 126.0.0.0/8", "static", "");
	expect("links: 128.0.0.0/8, loopbacks: 223.255.255.0/24", "static", "");
	expect("links: 169.253.0.0/16, loopbacks: 169.255.0.0/16", "static", "");
	expect("links: \"fd00::/64\", loopbacks: \"2001:db8::/64\"", "static", "");
	expect("links: \"fec0::/64\"", "none", "");
}

static void test_families(void **state)
{
	expect("loopbacks: \"fd00::/64\"", "static",
	       "f:3:8: pools \"loopbacks\" fd00::/64 and \"links\" 10.64.0.0/12 are of different families, which no static route joins; "
	       "expected one family for both, or another \"routing\"\n");
	expect("loopbacks: \"fd00::/64\"", "ospf", "");
	expect("loopbacks: \"fd00::/64\"", "none", "");
}

static void test_text_of_one_address(void **state)
{
	expect("loopbacks: 10.0.0.0/32", "static", "f:3:8: pool \"loopbacks\" 10.0.0.0/32 is too small; expected room for 2 nodes\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_v4), cmocka_unit_test(test_refused_v6), cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_families), cmocka_unit_test(test_text_of_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
