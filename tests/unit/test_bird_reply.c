/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What BIRD 2.0.12 says, byte for byte, and what somebody says who is root in a router and means no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vnagent/bird_reply.h"

enum { LINES = 64 };
struct heard {
	struct { int code; bool last; char text[160]; } lines[LINES];
	size_t n;
	long code; /* 0, or the error */
	struct err err;
};

/* Fed in pieces of `piece` bytes, each its own block, so that reading past an end shows. */
static void hear(struct bird_reply *r, const char *data, size_t len, size_t piece, struct heard *h)
{
	memset(h, 0, sizeof(*h));
	for (size_t at = 0; at < len && h->code >= 0;) {
		size_t n = len - at < piece ? len - at : piece;
		mem_auto char *copy = mem_dup(data + at, n);
		for (size_t in = 0; in < n;) {
			struct bird_line line;
			h->code = bird_reply_take(r, copy + in, n - in, &line, &h->err);
			if (h->code < 0)
				break;
			assert_true(h->code > 0 && (size_t)h->code <= n - in);
			in += (size_t)h->code;
			if (!line.text)
				continue;
			assert_true(h->n < LINES);
			h->lines[h->n].code = line.code;
			h->lines[h->n].last = line.last;
			snprintf(h->lines[h->n++].text, sizeof(h->lines[0].text), "%s", line.text);
		}
		at += n;
	}
	h->code = h->code < 0 ? h->code : 0;
}

static void hear_text(const char *text, size_t piece, struct heard *h)
{
	struct bird_reply r;
	bird_reply_begin(&r);
	hear(&r, text, strlen(text), piece, h);
}

static const char conversation[] =
	"0001 BIRD 2.0.12 ready.\n"
	"0002-Reading configuration from a.conf\n0003 Reconfigured\n"
	"1013-ospf4:\n Router ID   \tPri\t     State     \tDTime\tInterface  Router IP\n"
	" 10.255.0.2  \t  1\tFull/PtP  \t 4.424\teth0       10.0.0.1\n+log of somebody else\n"
	" 10.255.0.3  \t  1\tInit/Other\t 4.479\teth1       10.0.0.5\n"
	" \n ospf6:\n Router ID   \tPri\t     State     \tDTime\tInterface  Router IP\n"
	" 10.255.0.3  \t  1\tFull/PtP  \t 4.482\teth1       fe80::7085:2fff:fe1c:3403\n0000 \n"
	"9001 syntax error, unexpected CF_SYM_UNDEFINED, expecting CF_SYM_KNOWN or ALL\n";

static void test_a_conversation_in_any_pieces(void **state)
{
	static struct heard whole, h;
	hear_text(conversation, sizeof(conversation), &whole);
	assert_int_equal(whole.code, 0);
	assert_int_equal(whole.n, 13);
	assert_true(whole.lines[0].code == 1 && whole.lines[0].last);
	assert_string_equal(whole.lines[0].text, "BIRD 2.0.12 ready.");
	assert_true(whole.lines[1].code == 2 && !whole.lines[1].last && whole.lines[2].code == 3 && whole.lines[2].last);
	assert_true(whole.lines[4].code == 1013 && !whole.lines[4].last);
	assert_true(whole.lines[11].code == 0 && whole.lines[11].last && !whole.lines[11].text[0]);
	assert_int_equal(whole.lines[12].code, 9001);
	for (size_t piece = 1; piece < 80; piece++) {
		hear_text(conversation, piece, &h);
		assert_memory_equal(&h, &whole, sizeof(h));
	}
}

static void test_neighbours(void **state)
{
	static struct heard h;
	struct bird_neighbour found[4];
	size_t n = 0;
	hear_text(conversation, 4096, &h);
	for (size_t i = 0; i < h.n; i++) {
		struct bird_line line = { h.lines[i].code, h.lines[i].last, h.lines[i].text };
		n += bird_read_neighbour(&line, &found[n]);
		assert_true(n < 4);
	}
	assert_int_equal(n, 3);
	assert_string_equal(found[0].router, "10.255.0.2");
	assert_string_equal(found[0].state, "Full/PtP");
	assert_string_equal(found[0].device, "eth0");
	assert_string_equal(found[1].state, "Init/Other");
	assert_string_equal(found[2].device, "eth1");

	static const char *const none[] = {
		"", " ", "\t", "down6: is not up", "10.255.0.2", "10.255.0.2 1 Full/PtP 4.4", "10.255.0.256 1 Full/PtP 4.4 eth0 10.0.0.1",
		"fd00::1 1 Full/PtP 4.4 eth0 10.0.0.1", "10.255.0.2 1 Full/PtPPPPPPPPPPPPPPPPPPPPPPPPPPP 4.4 eth0 10.0.0.1",
		"10.255.0.2 1 Full/PtP 4.4 a-device-name-of-sixteen 10.0.0.1", "10.255.0.2/32 1 Full/PtP 4.4 eth0 10.0.0.1",
	};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct bird_line line = { 1013, false, none[i] };
		struct bird_neighbour was = found[0];
		assert_false(bird_read_neighbour(&line, &found[0]));
		assert_memory_equal(&was, &found[0], sizeof(was));
	}
	struct bird_line other = { 1007, false, "10.255.0.2  \t  1\tFull/PtP  \t 4.424\teth0       10.0.0.1" };
	assert_false(bird_read_neighbour(&other, &found[0]));
}

static void test_routes(void **state)
{
	static const struct { int code; const char *text, *to; } lines[] = {
		{ 1007, "Table master4:", NULL },
		{ 1007, "10.255.0.2/32        unicast [ospf4 03:01:32.998] * I (150/20) [10.255.0.2]", "10.255.0.2" },
		{ 1007, "\tvia 10.0.0.1 on eth0", NULL },
		{ 1007, "10.0.0.2/31          unicast [ospf4 03:01:32.998] * I (150/20) [10.255.0.3]", "10.0.0.2/31" },
		{ 1007, "\tvia 10.0.0.5 on eth1 weight 1", NULL },
		{ 1007, "\tdev eth1", NULL },
		{ 1008, "\tType: OSPF univ", NULL },
		{ 1012, "10.255.0.9/32 in another kind of line", NULL },
		{ 1007, "fdff::3/128          unicast [ospf6 03:01:32.998] * I (150/20) [10.255.0.3]", "fdff::3" },
		{ 1007, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128 unicast [s6 03:05:19.420] * (200)", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ 1007, "0.0.0.0/0            unicast [ospf4 03:01:32.998] * E2 (150/10/10000) [10.255.0.2]", "0.0.0.0/0" },
		{ 1007, "                     unicast [other 03:05:19.520] I (150/10) [9.9.9.9]", NULL },
		{ 1007, "10.255.0.2/33 unicast", NULL }, { 1007, "10.255.0/24 unicast", NULL }, { 1007, "10.255.0.2 unicast", NULL },
		{ 1007, "10.255.0.2/ unicast", NULL }, { 1007, "/32", NULL }, { 1007, "", NULL },
		{ 1007, "10.255.0.2/00000000000000000000000000000000000000000000000000000000000000000032", NULL },
	};
	char text[ADDR_TEXT];
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct bird_line line = { lines[i].code, false, lines[i].text };
		struct addr to;
		assert_int_equal(bird_read_route(&line, &to), lines[i].to != NULL);
		if (lines[i].to)
			assert_string_equal(addr_text(&to, text), lines[i].to);
	}
}

static void test_what_is_not_bird(void **state)
{
	static const char *const not_bird[] = { "\n", "BIRD\n", "12 x\n", "123\n", "1234\n", "12345 \n", "1234_x\n", " goes on from nothing\n",
		                                "0001 ready\n goes on behind the end\n", "-001 x\n", "+001x\nabc\n" };
	static struct heard h;
	for (size_t i = 0; i < sizeof(not_bird) / sizeof(not_bird[0]); i++) {
		hear_text(not_bird[i], 3, &h);
		assert_int_equal(h.code, -EPROTO);
		assert_non_null(strstr(h.err.text, "is not BIRD"));
	}
	hear_text("9999-a \x1b[2J\r\x7f\xff z\n", 100, &h); /* nothing that moves a terminal's cursor */
	assert_int_equal(h.code, 0);
	assert_string_equal(h.lines[0].text, "a ?[2J??? z");
}

static void test_bounds(void **state)
{
	static struct heard h;
	struct bird_reply r;
	buf_auto struct buf text = BUF_INIT;
	struct bird_line line;

	bird_reply_begin(&r); /* a line as long as may be, then one byte more */
	for (size_t i = 0; i < BIRD_LINE_MAX - 5; i++)
		buf_char(&text, 'x');
	mem_auto char *longest = mem_printf("0001-%s\n", buf_cstr(&text)), *longer = mem_printf("0001-x%s\n", buf_cstr(&text));
	hear(&r, longest, strlen(longest), 7, &h);
	assert_true(h.code == 0 && h.n == 1);
	hear(&r, longer, strlen(longer), 7, &h);
	assert_int_equal(h.code, -EPROTO);

	bird_reply_begin(&r);
	assert_int_equal(bird_reply_take(&r, "", 0, &line, NULL), 0);
	assert_null(line.text);
	hear(&r, "0001 a\0b\n", 9, 100, &h);
	assert_int_equal(h.code, -EPROTO);

	mem_auto char *garbage = mem_alloc(1 << 20); /* without a newline, without an end */
	memset(garbage, '1', 1 << 20);
	bird_reply_begin(&r);
	hear(&r, garbage, 1 << 20, 1 << 14, &h);
	assert_int_equal(h.code, -EPROTO);

	long taken = 0, n; /* an answer that does not end */
	bird_reply_begin(&r);
	n = bird_reply_take(&r, "1007-\n", 6, &line, NULL);
	while (n > 0) {
		taken += n;
		n = bird_reply_take(&r, " \n", 2, &line, NULL);
	}
	assert_int_equal(n, -EMSGSIZE);
	assert_true(taken == BIRD_REPLY_MAX);
}

static void test_each_reply_has_its_own_bound(void **state)
{
	struct bird_reply r;
	struct bird_line line;
	bird_reply_begin(&r);
	for (int i = 0; i < BIRD_REPLY_MAX / 4; i++) {
		assert_int_equal(bird_reply_take(&r, "0000 \n", 6, &line, NULL), 6);
		assert_true(line.last);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_conversation_in_any_pieces), cmocka_unit_test(test_neighbours), cmocka_unit_test(test_routes),
		cmocka_unit_test(test_what_is_not_bird), cmocka_unit_test(test_bounds), cmocka_unit_test(test_each_reply_has_its_own_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
