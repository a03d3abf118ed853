/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vnguest reads: setups and frames, well and ill made. tests/system/test_guest.py tries what it does with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vnagent/guest/frame.h"
#include "vnagent/guest/setup_read.h"
#include "vnagent/guest_wire.h"

#define A "02:00:00:00:00:0a"
#define B "02:00:00:00:00:0B"

static int read_text(const char *text, size_t len, struct guest_setup *s, struct err *err)
{
	mem_auto char *copy = mem_dup(text, len); /* its own block, so that reading past its end shows */
	return guest_setup_read(copy, len, s, err);
}

static void test_a_whole_setup(void **state)
{
	static const char text[] = "vne 1\nrouter r1\nport " A " eth0 1400 10.1.0.1/31\nport " B " eth1 9000\nloopback 10.0.0.1/32\n"
				   "loopback fd00::1/128\nroute 10.0.0.2/32 via 10.1.0.0 dev eth0 src 10.0.0.1\n"
				   "route fd00::2/128 via fd00:1::1 dev eth1\nbird\nrouter id 10.0.0.1;\n\nrouter nothing of ours\n";
	struct guest_setup s;
	struct err err = { 0 };
	char at[ADDR_TEXT];

	assert_int_equal(read_text(text, sizeof(text) - 1, &s, &err), 0);
	assert_string_equal(s.name, "r1");
	assert_int_equal(s.n_ports, 2);
	assert_memory_equal(s.ports[0].mac, "\x02\0\0\0\0\x0a", 6);
	assert_memory_equal(s.ports[1].mac, "\x02\0\0\0\0\x0b", 6);
	assert_string_equal(s.ports[0].ifname, "eth0");
	assert_int_equal(s.ports[0].mtu, 1400);
	assert_string_equal(addr_text(&s.ports[0].address, at), "10.1.0.1/31");
	assert_int_equal(s.ports[1].address.family, 0);
	assert_int_equal(s.n_loopbacks, 2);
	assert_int_equal(s.n_routes, 2);
	assert_string_equal(addr_host_text(&s.routes[0].source, at), "10.0.0.1");
	assert_int_equal(s.routes[1].source.family, 0);
	assert_string_equal(addr_host_text(&s.routes[1].via, at), "fd00:1::1");
	assert_string_equal(s.bird, "router id 10.0.0.1;\n\nrouter nothing of ours\n");
	guest_setup_done(&s);
	assert_null(s.bird);
}

static void test_the_least(void **state)
{
	struct guest_setup s;

	assert_int_equal(read_text("vne 1\n", 6, &s, NULL), 0);
	assert_int_equal(s.n_ports + s.n_routes + s.n_loopbacks, 0);
	assert_string_equal(s.name, "");
	assert_null(s.bird);
	guest_setup_done(&s);
	assert_int_equal(read_text("vne 1\nbird\n", 11, &s, NULL), 0);
	assert_string_equal(s.bird, "");
	guest_setup_done(&s);
}

static void refuses_bytes(const char *text, size_t len, const char *words)
{
	struct guest_setup s;
	struct err err = { 0 };
	int code = read_text(text, len, &s, &err);

	if (code != -EINVAL && code != -E2BIG && code != -ERANGE)
		fail_msg("\"%.60s\" was taken", text);
	if (!strstr(err.text, words))
		fail_msg("\"%.60s\": the reason is %s, expected %s in it", text, err.text, words);
	assert_int_equal(s.n_ports, 0);
	assert_null(s.ports);
	assert_null(s.routes);
	assert_null(s.bird);
}

/* One line behind the first. */
static void refuses(const char *line, const char *words)
{
	mem_auto char *text = mem_printf("vne 1\nport " A " eth0 1500\n%s\n", line);
	refuses_bytes(text, strlen(text), words);
	refuses_bytes(text, strlen(text), "setup: ");
}

static void test_hostile_setups(void **state)
{
	refuses_bytes("", 0, "line 1 has no end");
	refuses_bytes("vne 1", 5, "line 1 has no end");
	refuses_bytes("vne 2\n", 6, "expected 'vne 1', got 'vne 2'");
	refuses_bytes("vne 1\nrouter r1", 15, "line 2 has no end");
	refuses_bytes("vne 1\nbird", 10, "line 2 has no end");
	refuses_bytes("vne 1\nrouter a\0b\n", 17, "NUL");
	refuses("", "expected up to 8 words");
	refuses("router r1 ", "parted by one blank");
	refuses(" router r1", "parted by one blank");
	refuses("router  r1", "parted by one blank");
	refuses("router r1\nrouter r2", "line 4: a second router");
	refuses("router ../../etc", "line 3");
	refuses("router", "expected: router NAME");
	refuses("reboot now", "'reboot' is no item of a setup");
	refuses("loopback 10.0.0.1", "line 3");
	refuses("loopback 10.0.0.1/33", "line 3");
	refuses("port " B " eth1", "expected: port MAC");
	refuses("port " B " eth1 1500 10.0.0.1/31 x", "expected: port MAC");
	refuses("port " A " eth1 1500", "a second port");
	refuses("port " B " eth0 1500", "a second port");
	refuses("port 02-00-00-00-00-0b eth1 1500", "is no MAC address");
	refuses("port 02:00:00:00:00:0g eth1 1500", "is no MAC address");
	refuses("port 02:00:00:00:00:0b0 eth1 1500", "is no MAC address");
	refuses("port 03:00:00:00:00:0b eth1 1500", "is no MAC address for a port");
	refuses("port 0a:56:4e:45:00:00 eth1 1500", "is no MAC address for a port");
	refuses("port " B " ctl 1500", "'ctl' is no name");
	refuses("port " B " lo 1500", "'lo' is no name");
	refuses("port " B " all 1500", "'all' is no name");
	refuses("port " B " eth/1 1500", "'eth/1' is no name");
	refuses("port " B " .. 1500", "'..' is no name");
	refuses("port " B " sixteen-letters0 1500", "is no name");
	refuses("port " B " eth1 0", "line 3");
	refuses("port " B " eth1 65536", "line 3");
	refuses("port " B " eth1 -1", "line 3");
	refuses("route 10.0.0.2/32 via 10.1.0.1 dev eth1", "route 1 goes by eth1, which is no port");
	refuses("route 10.0.0.2/32 via fd00::1 dev eth0", "two families");
	refuses("route 10.0.0.2/32 via 10.1.0.1 dev eth0 src fd00::1", "two families");
	refuses("route 10.0.0.2/32 by 10.1.0.1 dev eth0", "expected: route PREFIX via");
	refuses("route 10.0.0.2/32 via 10.1.0.1 dev eth0 src", "expected: route PREFIX via");
	refuses("route default via 10.1.0.1 dev eth0", "line 3");
	refuses("route 10.0.0.2/32 via 10.1.0.1 dev eth0 src 10.0.0.1 metric 5", "expected up to 8 words");
}

static void test_bounds(void **state)
{
	buf_auto struct buf text = BUF_INIT;

	buf_str(&text, "vne 1\n");
	for (int i = 0; i <= GUEST_PORTS_MAX; i++)
		buf_printf(&text, "port 02:00:00:00:%02x:%02x e%d 1500\n", i >> 8, i & 255, i);
	refuses_bytes(text.data, text.len, "more than 256 ports");
	buf_clear(&text);
	buf_str(&text, "vne 1\n");
	for (int i = 0; i <= GUEST_LOOPBACKS_MAX; i++)
		buf_printf(&text, "loopback 10.0.0.%d/32\n", i);
	refuses_bytes(text.data, text.len, "more than 16 loopback addresses");
	buf_clear(&text);
	buf_str(&text, "vne 1\nport " A " eth0 1500\n");
	for (int i = 0; i <= GUEST_ROUTES_MAX; i++)
		buf_printf(&text, "route 10.%d.%d.%d/32 via 1.1.1.1 dev eth0\n", i >> 16, i >> 8 & 255, i & 255);
	refuses_bytes(text.data, text.len, "more than 65536 routes");
	buf_clear(&text);
	buf_str(&text, "vne 1\nbird\n");
	while (text.len <= GUEST_SETUP_MAX)
		buf_str(&text, "# as long as it likes\n");
	refuses_bytes(text.data, text.len, "more than 4 MiB");
}

static void test_frames(void **state)
{
	uint8_t data[GUEST_HEAD + 5] = { 'e', 0, 0, 5, 't', 'r', 'u', 'e', 0 };
	uint8_t long_one[GUEST_HEAD] = { 'i', 1, 0, 0 }, too_long[GUEST_HEAD] = { 'i', 1, 0, 1 };
	struct frame f = { 0 };

	for (size_t len = 0; len < sizeof(data); len++) {
		mem_auto void *part = mem_dup(data, len);
		assert_int_equal(frame_take(part, len, &f), 0);
	}
	assert_int_equal(frame_take(data, sizeof(data), &f), sizeof(data));
	assert_int_equal(f.type, 'e');
	assert_int_equal(f.len, 5);
	assert_ptr_equal(f.data, data + GUEST_HEAD);
	assert_int_equal(frame_take(long_one, sizeof(long_one), &f), 0); /* 64 KiB: as long as they may be */
	assert_int_equal(frame_take(too_long, sizeof(too_long), &f), -EPROTO);
}

static void test_words(void **state)
{
	static char many[2 * (FRAME_WORDS_MAX + 1)], large[FRAME_WORDS_BYTES + 1];
	const char *argv[FRAME_WORDS_MAX + 1];

	assert_int_equal(frame_words("a\0\0b c", 7, argv), 3);
	assert_string_equal(argv[1], "");
	assert_string_equal(argv[2], "b c");
	assert_null(argv[3]);
	assert_int_equal(frame_words("", 0, argv), -EINVAL);
	assert_int_equal(frame_words("", 1, argv), -EINVAL);
	assert_int_equal(frame_words("true", 4, argv), -EINVAL);
	for (size_t i = 0; i < sizeof(many); i += 2)
		many[i] = 'a';
	assert_int_equal(frame_words(many, sizeof(many) - 2, argv), FRAME_WORDS_MAX);
	assert_int_equal(frame_words(many, sizeof(many), argv), -EINVAL);
	memset(large, 'a', sizeof(large) - 1);
	assert_int_equal(frame_words(large, sizeof(large), argv), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_setup), cmocka_unit_test(test_the_least), cmocka_unit_test(test_hostile_setups),
		cmocka_unit_test(test_bounds),        cmocka_unit_test(test_frames),    cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
