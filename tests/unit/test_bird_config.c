/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What BIRD is told in a router: BIRD itself takes it, and nothing else goes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "vnagent/bird_config.h"

static struct addr loopback4 = { AF_INET, 32, { 10, 255, 0, 7 } };
static struct addr loopback6 = { AF_INET6, 128, { 0xfd, [15] = 7 } };

static void config(struct addr *loopbacks, size_t n_loopbacks, size_t n_ports, uint8_t family, struct buf *out)
{
	struct plan_router r = { .id = 66000, .name = (char *)"r7", .routing = ROUTING_OSPF, .loopbacks = loopbacks, .n_loopbacks = n_loopbacks };
	struct plan_port ports[3] = { 0 };
	const struct plan_port *list[3];
	for (size_t i = 0; i < n_ports; i++) {
		ports[i].address = (struct addr){ family, family == AF_INET6 ? 127 : 31, { family == AF_INET6 ? 0xfd : 10, 64, 0, (uint8_t)(2 * i) } };
		snprintf(ports[i].ifname, sizeof(ports[i].ifname), "eth%d", (int)i % 10);
		list[i] = &ports[i];
	}
	bird_config_write(&r, list, n_ports, out);
}

static void takes(const struct buf *text)
{
	char path[] = "/tmp/vned-test-bird-XXXXXX", command[128];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text->data, text->len), text->len);
	close(fd);
	snprintf(command, sizeof(command), "/usr/sbin/bird -p -c %s", path);
	int code = system(command);
	unlink(path);
	if (code)
		print_error("%s\n", text->data);
	assert_int_equal(code, 0);
}

static void test_bird_takes_it(void **state)
{
	if (access("/usr/sbin/bird", X_OK)) {
		print_message("bird2 is not installed\n");
		skip();
	}
	struct { struct addr *loopbacks; size_t n_loopbacks, n_ports; uint8_t family; } cases[] = {
		{ &loopback4, 1, 3, AF_INET }, { &loopback6, 1, 2, AF_INET6 }, { &loopback4, 1, 0, AF_INET }, { NULL, 0, 1, AF_INET },
		{ NULL, 0, 0, AF_INET }, { &loopback4, 1, 2, AF_INET6 }, /* loopbacks of one family, links of the other */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_auto struct buf text = BUF_INIT;
		config(cases[i].loopbacks, cases[i].n_loopbacks, cases[i].n_ports, cases[i].family, &text);
		takes(&text);
	}
}

static void test_what_is_in_it(void **state)
{
	buf_auto struct buf a = BUF_INIT, b = BUF_INIT, six = BUF_INIT;
	config(&loopback4, 1, 2, AF_INET, &a);
	config(&loopback4, 1, 2, AF_INET, &b);
	assert_string_equal(buf_cstr(&a), buf_cstr(&b));
	assert_non_null(strstr(buf_cstr(&a), "router id 10.255.0.7;"));
	assert_non_null(strstr(buf_cstr(&a), "stubnet 10.255.0.7/32;"));
	assert_non_null(strstr(buf_cstr(&a), "krt_prefsrc = 10.255.0.7;"));
	assert_non_null(strstr(buf_cstr(&a), "interface \"eth1\" { type ptp;"));
	assert_null(strstr(buf_cstr(&a), "ospf v3"));
	assert_non_null(strstr(buf_cstr(&a), "gw = ::")); /* own links are the kernel's own routes */
	config(&loopback6, 1, 1, AF_INET6, &six);
	assert_non_null(strstr(buf_cstr(&six), "router id 0.1.1.209;")); /* 66001: its number and one */
	assert_non_null(strstr(buf_cstr(&six), "ospf v3 ospf6"));
	assert_null(strstr(buf_cstr(&six), "ospf v2"));
}

/* A LAN, a link, an uplink with a gateway, one behind NAT that asks for its address. */
static void with_uplinks(size_t n_ports, struct buf *out)
{
	struct plan_router r = { .id = 1, .name = (char *)"r1", .routing = ROUTING_OSPF, .loopbacks = &loopback4, .n_loopbacks = 1 };
	struct plan_port ports[] = {
		{ .ifname = "eth0", .address = { AF_INET, 29, { 10, 1, 0, 1 } }, .lan = true },
		{ .ifname = "eth1", .address = { AF_INET, 31, { 10, 64, 0, 1 } }, .peer_router = (char *)"r2" },
		{ .ifname = "up1", .nat = true, .uplink = (char *)"campus" },
		{ .ifname = "up2", .address = { AF_INET6, 64, { 0xfd } }, .uplink = (char *)"lab" },
		{ .ifname = "up0", .address = { AF_INET, 24, { 192, 0, 2, 2 } }, .gateway = { AF_INET, 32, { 192, 0, 2, 1 } }, .uplink = (char *)"campus" },
	};
	const struct plan_port *list[] = { &ports[0], &ports[1], &ports[2], &ports[3], &ports[4] };
	bird_config_write(&r, list, n_ports, out);
}

static void test_lans_and_uplinks(void **state)
{
	buf_auto struct buf inside = BUF_INIT, asks = BUF_INIT, all = BUF_INIT;
	with_uplinks(2, &inside);
	assert_non_null(strstr(buf_cstr(&inside), "interface \"eth0\" { type broadcast;"));
	assert_non_null(strstr(buf_cstr(&inside), "interface \"eth1\" { type ptp;"));
	assert_non_null(strstr(buf_cstr(&inside), "export none;"));
	assert_null(strstr(buf_cstr(&inside), "learn;"));
	with_uplinks(3, &asks); /* what a DHCP server says is told to the others, not what is behind NAT */
	assert_non_null(strstr(buf_cstr(&asks), "learn;"));
	assert_non_null(strstr(buf_cstr(&asks), "ospf_metric1"));
	assert_null(strstr(buf_cstr(&asks), "\"up1\""));
	with_uplinks(5, &all);
	assert_non_null(strstr(buf_cstr(&all), "interface \"up0\" { stub yes;"));
	assert_null(strstr(buf_cstr(&all), "up2")); /* of a family that the network does not speak */
	assert_null(strstr(buf_cstr(&all), "ospf v3"));
	if (!access("/usr/sbin/bird", X_OK)) {
		takes(&inside);
		takes(&asks);
		takes(&all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bird_takes_it), cmocka_unit_test(test_what_is_in_it),
		                            cmocka_unit_test(test_lans_and_uplinks) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
