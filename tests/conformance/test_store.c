/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One suite over every store; then what only a store on disk has to show: that it remembers, and
 * what it does about damage. */
#include <dirent.h>
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
#include "vned/store.h"

struct world {
	const struct store_driver *driver;
	struct loop *loop;
	struct store *store;
	char dir[64];
	int durable, last, expected;
	bool inside; /* a batch is being made: no callback may come */
};

static const struct store_driver *const drivers[] = { &store_memory, &store_file };

static int setup(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));
	w->driver = *state;
	strcpy(w->dir, "/tmp/store-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(w->driver->open(w->loop, w->dir, &w->store, NULL), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	if (w->store)
		w->driver->close(w->store);
	loop_free(w->loop);
	static const char *const files[] = { "journal", "journal.new", "journal.torn", "lock" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		mem_auto char *path = mem_printf("%s/%s", w->dir, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(w->dir), 0);
	*state = (void *)(uintptr_t)w->driver;
	free(w);
	return 0;
}

static void durable(void *arg, int code, const char *reason)
{
	struct world *w = arg;
	assert_false(w->inside);
	assert_int_equal(code, 0);
	if (++w->durable == w->expected)
		loop_stop(w->loop);
}

static int batch(struct world *w, const struct store_op *ops, size_t n)
{
	w->inside = true;
	int r = w->driver->batch(w->store, w->driver->revision(w->store), ops, n, durable, w, NULL);
	w->inside = false;
	return r;
}

static void wait_durable(struct world *w, int expected)
{
	w->expected = expected;
	if (w->durable < expected)
		assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_int_equal(w->durable, expected);
}

static void assert_value(struct world *w, const char *key, const char *value)
{
	size_t len = 0;
	const char *got = w->driver->get(w->store, key, &len);
	if (!value) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_int_equal(len, strlen(value));
	assert_memory_equal(got, value, len);
}

static void put(struct world *w, const char *key, const char *value)
{
	struct store_op op = { key, value, value ? strlen(value) : 0 };
	assert_int_equal(batch(w, &op, 1), 0);
}

static void reopen(struct world *w)
{
	w->driver->close(w->store);
	w->store = NULL;
	struct err err = { 0 };
	if (w->driver->open(w->loop, w->dir, &w->store, &err) < 0)
		fail_msg("%s", err.text);
}

/* ---- every store --------------------------------------------------------------------------------- */

static void test_batches(void **state)
{
	struct world *w = *state;
	struct store_op ops[] = { { "net/1", "one", 3 }, { "net/2", "two", 3 }, { "term", "7", 1 } };
	uint64_t before = w->driver->revision(w->store);
	assert_value(w, "net/1", NULL);
	assert_int_equal(batch(w, ops, 3), 0);
	assert_value(w, "net/1", "one"); /* seen at once */
	assert_int_equal(w->driver->revision(w->store), before + 1);
	wait_durable(w, 1);
	put(w, "net/1", "uno");
	put(w, "net/2", NULL);
	put(w, "empty", "");
	assert_value(w, "net/1", "uno");
	assert_value(w, "net/2", NULL);
	assert_value(w, "empty", "");
	wait_durable(w, 4);
	put(w, "net/2", NULL); /* what is not there can be deleted */
	wait_durable(w, 5);
}

static void test_revision(void **state)
{
	struct world *w = *state;
	struct store_op op = { "a", "1", 1 };
	uint64_t old = w->driver->revision(w->store);
	put(w, "a", "0");
	assert_int_equal(w->driver->batch(w->store, old, &op, 1, durable, w, NULL), -EAGAIN);
	assert_int_equal(w->driver->batch(w->store, old + 9, &op, 1, durable, w, NULL), -EAGAIN);
	assert_value(w, "a", "0");
	wait_durable(w, 1);
}

static void test_bounds(void **state)
{
	struct world *w = *state;
	char key[STORE_KEY_MAX + 2];
	memset(key, 'k', sizeof(key));
	key[STORE_KEY_MAX + 1] = '\0';
	struct store_op ops[] = { { "good", "1", 1 }, { key, "1", 1 } };
	assert_int_equal(batch(w, ops, 2), -EINVAL);
	assert_value(w, "good", NULL); /* all or nothing */
	key[STORE_KEY_MAX] = '\0';
	assert_int_equal(batch(w, ops, 2), 0);
	assert_value(w, key, "1");
	ops[0].key = "";
	assert_int_equal(batch(w, ops, 1), -EINVAL);
	wait_durable(w, 1);
}

struct count {
	size_t n;
	size_t bytes;
};

static void count(void *arg, const char *key, const void *value, size_t len)
{
	struct count *c = arg;
	assert_int_equal(strncmp(key, "net/", 4), 0);
	c->n++;
	c->bytes += len;
}

static void test_each(void **state)
{
	struct world *w = *state;
	put(w, "net/1", "one");
	put(w, "net/20", "twenty");
	put(w, "network", "no");
	struct count c = { 0, 0 };
	w->driver->each(w->store, "net/", count, &c);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.bytes, 9);
	wait_durable(w, 3);
}

static void test_large_and_many(void **state)
{
	struct world *w = *state;
	char *large = mem_alloc(3 << 20);
	memset(large, 0, 3 << 20); /* bytes, not text */
	struct store_op op = { "large", large, 3 << 20 };
	assert_int_equal(batch(w, &op, 1), 0);
	for (int i = 0; i < 500; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		put(w, key, "v");
	}
	wait_durable(w, 501);
	size_t len;
	assert_memory_equal(w->driver->get(w->store, "large", &len), large, 3 << 20);
	assert_int_equal(len, 3 << 20);
	free(large);
}

/* ---- a store on disk ------------------------------------------------------------------------------ */

static void test_remembers(void **state)
{
	struct world *w = *state;
	put(w, "a", "1");
	put(w, "b", "2");
	put(w, "a", "3");
	put(w, "b", NULL);
	wait_durable(w, 4);
	uint64_t revision = w->driver->revision(w->store);
	for (int i = 0; i < 3; i++) {
		reopen(w);
		assert_value(w, "a", "3");
		assert_value(w, "b", NULL);
		assert_true(w->driver->revision(w->store) >= revision);
		revision = w->driver->revision(w->store);
	}
	w->durable = 0;
	put(w, "c", "4");
	wait_durable(w, 1);
	reopen(w);
	assert_value(w, "c", "4");
}

static void test_one_user(void **state)
{
	struct world *w = *state;
	struct store *second;
	struct err err = { 0 };
	assert_int_equal(w->driver->open(w->loop, w->dir, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another vned"));
}

static char *journal(struct world *w)
{
	return mem_printf("%s/journal", w->dir);
}

static size_t read_journal(struct world *w, uint8_t **ret)
{
	mem_auto char *path = journal(w);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	*ret = mem_alloc(1 << 16);
	size_t n = fread(*ret, 1, 1 << 16, f);
	fclose(f);
	return n;
}

static void write_journal(struct world *w, const uint8_t *data, size_t len)
{
	mem_auto char *path = journal(w);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* A crash leaves any beginning of what was being appended: each opens, and is some state that was. */
static void test_cut_anywhere(void **state)
{
	struct world *w = *state;
	uint8_t *before, *after;
	put(w, "a", "1");
	wait_durable(w, 1);
	size_t n_before = read_journal(w, &before);
	struct store_op ops[] = { { "a", "2", 1 }, { "b", "2", 1 } };
	assert_int_equal(batch(w, ops, 2), 0);
	wait_durable(w, 2);
	size_t n_after = read_journal(w, &after);
	assert_true(n_after > n_before);
	w->driver->close(w->store);
	w->store = NULL;
	for (size_t n = n_before; n <= n_after; n++) {
		write_journal(w, after, n);
		assert_int_equal(w->driver->open(w->loop, w->dir, &w->store, NULL), 0);
		assert_value(w, "a", n == n_after ? "2" : "1");
		assert_value(w, "b", n == n_after ? "2" : NULL);
		w->driver->close(w->store);
		w->store = NULL;
	}
	/* a power cut: the file grew, the bytes never came */
	memset(after + n_before, 0, n_after - n_before);
	write_journal(w, after, n_after);
	assert_int_equal(w->driver->open(w->loop, w->dir, &w->store, NULL), 0);
	assert_value(w, "a", "1");
	free(before);
	free(after);
}

/* Damage inside is refused, and the file left as it is; at the very end it counts as cut. */
static void test_damage(void **state)
{
	struct world *w = *state;
	uint8_t *data, *kept;
	for (int i = 0; i < 3; i++)
		put(w, "a", "some value");
	wait_durable(w, 3);
	size_t n = read_journal(w, &data);
	w->driver->close(w->store);
	w->store = NULL;
	mem_auto char *torn = mem_printf("%s/journal.torn", w->dir);
	size_t last = n - (12 + 8 + 1 + 10); /* where the last body begins */
	size_t refused = 0;
	for (size_t i = 0; i < n; i++) {
		data[i] ^= 0x40;
		write_journal(w, data, n);
		struct err err = { 0 };
		int r = w->driver->open(w->loop, w->dir, &w->store, &err);
		if (r == 0) {
			assert_true(i >= last); /* what could be the tail of a crash */
			assert_value(w, "a", "some value");
			w->driver->close(w->store);
			struct stat st; /* what was left out is kept: the last record, whole */
			assert_int_equal(stat(torn, &st), 0);
			assert_int_equal(st.st_size, 12 + 8 + 1 + 10 + 12);
			unlink(torn);
		} else {
			assert_int_equal(r, -EBADMSG);
			assert_non_null(strstr(err.text, "damaged"));
			assert_int_equal(read_journal(w, &kept), n);
			assert_memory_equal(kept, data, n);
			free(kept);
			refused++;
		}
		w->store = NULL;
		data[i] ^= 0x40;
	}
	assert_int_equal(refused, last);
	free(data);
}

/* What is put and deleted again and again does not pile up on disk, and nothing is lost by that. */
static void test_bounded(void **state)
{
	enum { ROUNDS = 400, VALUE = 32 << 10, MOST = (1 << 20) + 6 * (VALUE + 1024) }; /* of 13 MB that are written */
	struct world *w = *state;
	char *value = mem_alloc(VALUE + 1);
	mem_auto char *path = mem_printf("%s/journal", w->dir);
	struct stat st, first;
	assert_int_equal(stat(path, &first), 0);
	put(w, "kept", "from the beginning");
	int puts_made = 1;
	for (int i = 0; i < ROUNDS; i++) {
		memset(value, 'a' + i % 26, VALUE);
		put(w, "changes", value);
		puts_made++;
		if (i % 3 == 0) {
			put(w, "changes", NULL);
			puts_made++;
		}
		if (i % 50 == 0) {
			wait_durable(w, puts_made);
			assert_int_equal(stat(path, &st), 0);
			assert_true(st.st_size < MOST);
		}
	}
	uint64_t revision = w->driver->revision(w->store);
	put(w, "last", "one");
	assert_int_equal(w->driver->revision(w->store), revision + 1);
	wait_durable(w, puts_made + 1);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < MOST);
	assert_true(st.st_ino != first.st_ino);
	for (int again = 0; again < 2; again++) {
		reopen(w);
		assert_true(w->driver->revision(w->store) > revision);
		assert_value(w, "kept", "from the beginning");
		assert_value(w, "last", "one");
		assert_value(w, "changes", (ROUNDS - 1) % 3 ? value : NULL);
	}
	free(value);
}

static void test_cannot_write(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	struct store *other;
	assert_int_equal(w->driver->open(w->loop, "/proc/no-such-place/state", &other, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/proc/no-such-place/state"));
}

#define TEST(f, d) { #f, f, setup, teardown, (void *)(uintptr_t)(d) }

int main(void)
{
	int failed = 0;
	for (size_t i = 0; i < 2; i++) {
		const struct store_driver *d = drivers[i];
		const struct CMUnitTest tests[] = { TEST(test_batches, d), TEST(test_revision, d), TEST(test_bounds, d),
			                                TEST(test_each, d), TEST(test_large_and_many, d) };
		failed += cmocka_run_group_tests_name(d->name, tests, NULL, NULL);
	}
	const struct CMUnitTest disk[] = { TEST(test_remembers, &store_file), TEST(test_one_user, &store_file),
		                               TEST(test_cut_anywhere, &store_file), TEST(test_damage, &store_file),
		                               TEST(test_bounded, &store_file), TEST(test_cannot_write, &store_file) };
	failed += cmocka_run_group_tests_name("on disk", disk, NULL, NULL);
	return failed;
}
