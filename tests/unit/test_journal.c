/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file that only grows: what comes back, by time, over pages, and what damage costs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "vned/journal.h"

static char dir[64], path[96];

static int setup(void **state)
{
	strcpy(dir, "/tmp/journal-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(dir);
}

struct seen {
	size_t n;
	uint64_t first_ms, last_ms;
	char text[3][64]; /* of the last */
};

static void look(void *arg, uint64_t wall_ms, char *const fields[], size_t n)
{
	struct seen *s = arg;
	s->first_ms = s->n++ ? s->first_ms : wall_ms;
	assert_true(wall_ms >= s->last_ms);
	s->last_ms = wall_ms;
	for (size_t i = 0; i < 3; i++)
		snprintf(s->text[i], sizeof(s->text[i]), "%s", i < n ? fields[i] : "");
}

static struct seen read_from(const struct journal *j, uint64_t since_ms)
{
	struct seen s = { 0 };
	struct err err = { 0 };
	uint64_t at = journal_seek(j, since_ms), next;
	for (;; at = next) {
		assert_int_equal(journal_read(j, at, look, &s, &next, &err), 0);
		if (next == at)
			return s;
	}
}

static void add(struct journal *j, uint64_t ms, const char *a, const char *b)
{
	struct err err = { 0 };
	assert_int_equal(journal_add(j, ms, (const char *[]){ a, b }, 2, &err), 0);
}

static void test_what_was_said_comes_back(void **state)
{
	struct journal *j;
	struct err err = { 0 };
	struct stat st;
	const char odd[] = "line\nbreak\ttab \033[31m \\x41 \\ end";
	assert_int_equal(journal_open(path, &j, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(journal_last_ms(j), 0);
	assert_int_equal(read_from(j, 0).n, 0);
	add(j, 1000, "alice", odd);
	struct seen s = read_from(j, 0);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.text[0], "alice");
	assert_string_equal(s.text[1], odd);
	add(j, 500, "", "the clock was set back"); /* time never falls */
	assert_int_equal(journal_last_ms(j), 1000);
	journal_close(j);
	assert_int_equal(journal_open(path, &j, &err), 0);
	assert_int_equal(journal_last_ms(j), 1000);
	assert_int_equal(read_from(j, 0).n, 2);
	journal_close(j);
}

static void test_by_time_over_pages(void **state)
{
	struct journal *j;
	struct err err = { 0 };
	enum { N = 20000 };
	char text[64];
	assert_int_equal(journal_open(path, &j, &err), 0);
	for (uint64_t i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%0*llu", (int)(1 + i % 40), (unsigned long long)i);
		add(j, 10 * (i / 3), text, "x");
	}
	assert_int_equal(read_from(j, 0).n, N);
	for (uint64_t at = 0; at <= N / 3 + 2; at += 97) {
		struct seen s = read_from(j, 10 * at);
		size_t expected = 3 * at < N ? N - 3 * (size_t)at : 0;
		assert_int_equal(s.n, expected);
		if (expected)
			assert_true(s.first_ms == 10 * at);
		assert_int_equal(read_from(j, 10 * at + 1).n, expected > 3 ? expected - 3 : 0);
	}
	uint64_t next;
	struct seen none = { 0 };
	assert_int_equal(journal_read(j, UINT64_MAX, look, &none, &next, &err), -EINVAL);
	journal_close(j);
}

/* Half a line from a crash, lines that are none, one that never ends: the others come back. */
static void test_damage(void **state)
{
	struct journal *j;
	struct err err = { 0 };
	assert_int_equal(journal_open(path, &j, &err), 0);
	add(j, 1000, "first", "");
	journal_close(j);
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "no number\n\n\t\t\n12", 17), 17);
	mem_auto char *endless = mem_alloc(3 * JOURNAL_PAGE);
	memset(endless, 'x', 3 * JOURNAL_PAGE);
	assert_int_equal(write(fd, endless, 3 * JOURNAL_PAGE), 3 * JOURNAL_PAGE);
	close(fd);
	assert_int_equal(journal_open(path, &j, &err), 0);
	add(j, 2000, "last", "");
	struct seen s = read_from(j, 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.text[0], "last");
	journal_close(j);
	assert_int_equal(journal_open("/nonexistent/log", &j, &err), -ENOENT);
}

static void test_archived_while_open(void **state)
{
	struct journal *j;
	struct err err = { 0 };
	mem_auto char *aside = mem_printf("%s.1", path);
	assert_int_equal(journal_open(path, &j, &err), 0);
	add(j, 1000, "before", "");
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(journal_sync(j, &err), 0);
	add(j, 2000, "after", "");
	assert_string_equal(read_from(j, 0).text[0], "after");
	assert_int_equal(read_from(j, 0).n, 1);
	journal_close(j);
	unlink(aside);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_what_was_said_comes_back), TEST(test_by_time_over_pages), TEST(test_damage),
		                                TEST(test_archived_while_open) };
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
