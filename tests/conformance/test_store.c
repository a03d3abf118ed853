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
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "vned/store.h"

struct world {
	const struct store_driver *driver;
	struct loop *loop;
	struct store *store;
	char dir[64];
	int durable, expected;
	int ticks;
	int refused, code; /* batches that were undone, and why */
	bool inside; /* a batch is being made: no callback may come */
};

static const struct store_driver *const drivers[] = { &store_memory, &store_sqlite };

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

static void remove_all(const char *dir)
{
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		mem_auto char *path = mem_printf("%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			assert_int_equal(unlink(path), 0);
	}
	closedir(d);
	assert_int_equal(rmdir(dir), 0);
}

static int teardown(void **state)
{
	struct world *w = *state;
	if (w->store)
		w->driver->close(w->store);
	loop_free(w->loop);
	remove_all(w->dir);
	*state = (void *)(uintptr_t)w->driver;
	free(w);
	return 0;
}

static void durable(void *arg, int code, const char *reason)
{
	struct world *w = arg;
	assert_false(w->inside);
	if (code < 0) {
		w->code = code;
		w->refused++;
	} else {
		w->durable++;
	}
	if (w->durable + w->refused == w->expected)
		loop_stop(w->loop);
}

static int batch(struct world *w, const struct store_op *ops, size_t n)
{
	w->inside = true;
	int r = w->driver->batch(w->store, w->driver->revision(w->store), ops, n, durable, w, NULL);
	w->inside = false;
	return r;
}

static void wait_answers(struct world *w, int expected)
{
	w->expected = expected;
	if (w->durable + w->refused < expected)
		assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_int_equal(w->durable + w->refused, expected);
}

static void wait_durable(struct world *w, int expected)
{
	wait_answers(w, expected);
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

static void reopen_closed(struct world *w)
{
	struct err err = { 0 };
	if (w->driver->open(w->loop, w->dir, &w->store, &err) < 0)
		fail_msg("%s", err.text);
}

static void reopen(struct world *w)
{
	w->driver->close(w->store);
	w->store = NULL;
	reopen_closed(w);
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

static void count_any(void *arg, const char *key, const void *value, size_t len)
{
	((struct count *)arg)->n++;
}

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

/* ---- crashes -------------------------------------------------------------------------------------- */

/* In a process of its own, to be killed: batches of two keys that say the same, and a byte into the
 * pipe for each that is durable. */
struct writer {
	struct world *w;
	int pipe, at;
};

static void write_pair(struct writer *c);

static void pair_durable(void *arg, int code, const char *reason)
{
	struct writer *c = arg;
	if (code < 0 || write(c->pipe, "x", 1) != 1)
		_exit(1);
	write_pair(c);
}

static void write_pair(struct writer *c)
{
	char value[600];
	memset(value, '.', sizeof(value));
	int len = snprintf(value, sizeof(value), "%d", ++c->at);
	value[len] = ' ';
	struct store_op ops[] = { { "left", value, sizeof(value) }, { "right", value, sizeof(value) }, { "gone", NULL, 0 } };
	const struct store_driver *d = c->w->driver;
	if (d->batch(c->w->store, d->revision(c->w->store), ops, 3, pair_durable, c, NULL) < 0)
		_exit(1);
}

static pid_t crash_begin(struct world *w, int from, int *ret_pipe)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct loop *loop;
		struct world mine = *w;
		struct writer c = { &mine, ends[1], from };
		if (loop_new(&loop, NULL) < 0 || w->driver->open(loop, w->dir, &mine.store, NULL) < 0)
			_exit(1);
		for (int i = 0; i < 3; i++) /* more than one on its way at any time */
			write_pair(&c);
		(void)!loop_run(loop, NULL);
		_exit(1);
	}
	close(ends[1]);
	*ret_pipe = ends[0];
	return pid;
}

/* Killed at any moment: what was durable is there, and of a batch there is all or nothing. */
static void test_killed(void **state)
{
	enum { KILLS = 40 };
	struct world *w = *state;
	int at = 0;
	w->driver->close(w->store);
	w->store = NULL;
	srandom(7);
	for (int i = 0; i < KILLS; i++) {
		int end, status, said = 0;
		char bytes[256];
		pid_t pid = crash_begin(w, at, &end);
		long enough = 1 + random() % 40;
		ssize_t n = 1;
		while (said < enough && (n = read(end, bytes, 1)) > 0)
			said += (int)n;
		assert_int_equal(kill(pid, SIGKILL), 0);
		while ((n = read(end, bytes, sizeof(bytes))) > 0)
			said += (int)n; /* what it still could say */
		close(end);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		struct err err = { 0 };
		if (w->driver->open(w->loop, w->dir, &w->store, &err) < 0)
			fail_msg("%s", err.text);
		size_t len, other;
		const char *left = w->driver->get(w->store, "left", &len), *right = w->driver->get(w->store, "right", &other);
		assert_non_null(left);
		assert_non_null(right);
		assert_int_equal(len, other);
		assert_memory_equal(left, right, len);
		int found = atoi(left);
		assert_true(found >= at + said);
		assert_true(found <= at + said + 3);
		at = found;
		w->driver->close(w->store);
		w->store = NULL;
	}
}

/* ---- the file ------------------------------------------------------------------------------------- */

static char *db_path(struct world *w)
{
	return mem_printf("%s/store.db", w->dir);
}

static size_t read_file(const char *path, uint8_t **ret)
{
	struct stat st;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	*ret = mem_alloc((size_t)st.st_size + 1);
	size_t n = fread(*ret, 1, (size_t)st.st_size, f);
	assert_int_equal(n, st.st_size);
	fclose(f);
	return n;
}

static void write_file(const char *path, const uint8_t *data, size_t len)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void close_store(struct world *w)
{
	w->driver->close(w->store);
	w->store = NULL;
}

enum { DAMAGE_KEYS = 40 };

static void damage_value(int i, char ret[128])
{
	memset(ret, 'a' + i % 26, 127);
	ret[127] = '\0';
}

/* One byte changed: refused, and the file left as it is; or it says what it said. Never anything else. */
static void damage_at(struct world *w, const char *path, uint8_t *data, size_t n, size_t i, size_t *refused)
{
	struct err err = { 0 };
	uint8_t *kept;
	data[i] ^= 0x11;
	write_file(path, data, n);
	int r = w->driver->open(w->loop, w->dir, &w->store, &err);
	if (r == 0) {
		for (int k = 0; k < DAMAGE_KEYS; k++) {
			char key[16], value[128];
			snprintf(key, sizeof(key), "key/%d", k);
			damage_value(k, value);
			assert_value(w, key, value);
		}
		struct count c = { 0, 0 };
		w->driver->each(w->store, "", count_any, &c);
		assert_int_equal(c.n, DAMAGE_KEYS);
		close_store(w);
	} else {
		if (r != -EBADMSG && r != -ENOTSUP)
			fail_msg("byte %zu: %d: %s", i, r, err.text);
		assert_non_null(strstr(err.text, path));
		assert_true(strstr(err.text, "vned --restore FILE") || strstr(err.text, "newer release"));
		assert_int_equal(read_file(path, &kept), n);
		assert_memory_equal(kept, data, n);
		free(kept);
		++*refused;
	}
	data[i] ^= 0x11;
}

static void test_damage(void **state)
{
	struct world *w = *state;
	mem_auto char *path = db_path(w);
	uint8_t *data;
	for (int i = 0; i < DAMAGE_KEYS; i++) {
		char key[16], value[128];
		snprintf(key, sizeof(key), "key/%d", i);
		damage_value(i, value);
		put(w, key, value);
	}
	wait_durable(w, DAMAGE_KEYS);
	close_store(w);
	size_t n = read_file(path, &data), refused = 0, tried = 0;
	for (size_t i = 0; i < n; i += i < 256 ? 1 : 7, tried++)
		damage_at(w, path, data, n, i, &refused);
	assert_true(refused > tried / 4); /* of the rest most is room that holds nothing */
	assert_true(tried > 1000);
	free(data);
}

/* A file that is cut short or empty is damaged: nothing is made anew in its place. */
static void test_cut(void **state)
{
	struct world *w = *state;
	mem_auto char *path = db_path(w);
	uint8_t *data, *kept;
	put(w, "a", "1");
	wait_durable(w, 1);
	close_store(w);
	size_t n = read_file(path, &data);
	for (size_t cut = 0; cut < n; cut += cut < 16 ? 1 : 511) {
		struct err err = { 0 };
		write_file(path, data, cut);
		assert_int_equal(w->driver->open(w->loop, w->dir, &w->store, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "vned --restore FILE"));
		assert_int_equal(read_file(path, &kept), cut);
		free(kept);
	}
	write_file(path, data, n);
	reopen_closed(w);
	assert_value(w, "a", "1");
	free(data);
}

/* A log without its file: somebody took the store away, and half of it stayed. */
static void test_half_taken_away(void **state)
{
	struct world *w = *state;
	mem_auto char *path = db_path(w), *log = mem_printf("%s-wal", path), *kept = mem_printf("%s.kept", path);
	struct err err = { 0 };
	put(w, "a", "1");
	wait_durable(w, 1);
	close_store(w);
	assert_int_equal(rename(path, kept), 0);
	write_file(log, (const uint8_t *)"log", 3);
	assert_int_equal(w->driver->open(w->loop, w->dir, &w->store, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "put it back"));
	assert_int_not_equal(access(path, F_OK), 0);
	unlink(log);
	assert_int_equal(rename(kept, path), 0);
	reopen_closed(w);
	assert_value(w, "a", "1");
}

static void change_file(struct world *w, const char *sql)
{
	mem_auto char *path = db_path(w);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void refused_with(struct world *w, int code, const char *what)
{
	struct err err = { 0 };
	assert_int_equal(w->driver->open(w->loop, w->dir, &w->store, &err), code);
	if (!strstr(err.text, what))
		fail_msg("%s", err.text);
}

/* Not ours, newer, or with rows that somebody has changed, added or taken: refused each, with the reason. */
static void test_refused(void **state)
{
	struct world *w = *state;
	put(w, "a", "1");
	put(w, "b", "2");
	wait_durable(w, 2);
	close_store(w);
	change_file(w, "PRAGMA user_version = 2");
	refused_with(w, -ENOTSUP, "newer release");
	change_file(w, "PRAGMA user_version = 1; PRAGMA application_id = 1");
	refused_with(w, -ENOTSUP, "not a store of vned");
	change_file(w, "PRAGMA application_id = 1986946404; UPDATE entry SET value = x'39' WHERE key = 'a'");
	refused_with(w, -EBADMSG, "checksum");
	change_file(w, "UPDATE entry SET value = x'31' WHERE key = 'a'; CREATE TABLE aside AS SELECT * FROM entry WHERE key = 'b';"
	               "DELETE FROM entry WHERE key = 'b'");
	refused_with(w, -EBADMSG, "rows are missing");
	change_file(w, "INSERT INTO entry SELECT * FROM aside; DROP TABLE aside");
	reopen_closed(w);
	assert_value(w, "a", "1");
	assert_value(w, "b", "2");
	mem_auto char *path = db_path(w); /* while it is open nobody else gets in, whoever asks */
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT count(*) FROM entry", NULL, NULL, NULL), SQLITE_BUSY);
	sqlite3_close(db);
}

/* ---- the journal of older releases ------------------------------------------------------------------ */

/* As an older release wrote it: a=1 b=2; then a=3, b deleted, and a batch cut short by a crash. */
static const uint8_t old_journal[] = {
	0x76, 0x6e, 0x65, 0x73, 0x74, 0x6f, 0x72, 0x65, 0x31, 0x0a, 0x20, 0x00, 0x00, 0x00, 0x4f, 0x6f,
	0xb0, 0x23, 0x83, 0xa6, 0x0a, 0x5a, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x61, 0x31, 0x01, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x62, 0x32, 0x16, 0x00, 0x00, 0x00, 0xbd, 0xed, 0x57, 0xb7, 0xcd, 0xdf,
	0x2b, 0x31, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x61, 0x33, 0x15, 0x00, 0x00, 0x00, 0xad, 0x09, 0x7a, 0x34,
	0xb8, 0x7f, 0xcd, 0x15, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x62, 0x16, 0x00, 0x00, 0x00, 0xa1, 0x1a, 0x06,
	0xae, 0x6a, 0x96, 0xa4, 0x5c, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
};

static void test_import(void **state)
{
	struct world *w = *state;
	mem_auto char *path = db_path(w), *journal = mem_printf("%s/journal", w->dir), *aside = mem_printf("%s.imported", journal);
	close_store(w);
	assert_int_equal(unlink(path), 0);
	write_file(journal, old_journal, sizeof(old_journal));
	reopen_closed(w);
	assert_value(w, "a", "3");
	assert_value(w, "b", NULL);
	assert_value(w, "c", NULL);
	assert_int_equal(w->driver->revision(w->store), 8);
	assert_int_not_equal(access(journal, F_OK), 0);
	assert_int_equal(access(aside, F_OK), 0);
	put(w, "a", "4");
	wait_durable(w, 1);
	/* once: a journal that a crash left behind does not come back over what is newer */
	close_store(w);
	assert_int_equal(rename(aside, journal), 0);
	reopen_closed(w);
	assert_value(w, "a", "4");
	assert_int_equal(access(aside, F_OK), 0);
	/* damage inside is refused, and nothing is made */
	uint8_t damaged[sizeof(old_journal)];
	memcpy(damaged, old_journal, sizeof(damaged));
	damaged[40] ^= 1;
	close_store(w);
	assert_int_equal(unlink(path), 0);
	write_file(journal, damaged, sizeof(damaged));
	refused_with(w, -EBADMSG, "damaged at byte");
	assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- copies and restoring ---------------------------------------------------------------------------- */

struct copied {
	struct world *w;
	bool over;
	int code;
	void *data;
	size_t len;
};

static void copied(void *arg, int code, void *data, size_t len)
{
	struct copied *c = arg;
	*c = (struct copied){ c->w, true, code, data, len };
	loop_stop(c->w->loop);
}

/* Batches go on while the copy is made; it holds a state between its beginning and its end, whole. */
static void test_copy_and_restore(void **state)
{
	enum { MANY = 2000, DURING = 200 };
	struct world *w = *state;
	struct copied c = { .w = w };
	char *value = mem_alloc(4001);
	memset(value, 'v', 4000);
	for (int i = 0; i < MANY; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		put(w, key, value);
	}
	put(w, "term", "5");
	put(w, "only/old", "1");
	wait_durable(w, MANY + 2);
	struct err err = { 0 };
	assert_int_equal(w->driver->copy(w->store, copied, &c, NULL), 0);
	assert_int_equal(w->driver->copy(w->store, copied, &c, &err), -EBUSY);
	for (int i = 0; i < DURING; i++)
		put(w, "during", i % 2 ? "1" : "0");
	w->expected = -1;
	while (!c.over)
		assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_int_equal(c.code, 0);
	assert_non_null(c.data);
	wait_durable(w, MANY + 2 + DURING);
	put(w, "term", "9");
	put(w, "only/old", NULL);
	put(w, "only/new", "1");
	wait_durable(w, MANY + 2 + DURING + 3);

	mem_auto char *backup = mem_printf("%s.backup", w->dir);
	char *aside = NULL;
	write_file(backup, c.data, c.len);
	assert_int_equal(store_restore(w->dir, backup, &aside, &err), -EBUSY);
	assert_non_null(strstr(err.text, "stop that first"));
	close_store(w);
	if (store_restore(w->dir, backup, &aside, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(aside);
	assert_int_equal(access(aside, F_OK), 0);
	reopen_closed(w);
	assert_value(w, "only/old", "1");
	assert_value(w, "only/new", NULL);
	assert_value(w, "k1999", value);
	assert_value(w, "term", "9"); /* never back */
	close_store(w);

	/* what was put aside is a store itself: the way back */
	char *again = NULL;
	if (store_restore(w->dir, aside, &again, &err) < 0)
		fail_msg("%s", err.text);
	reopen_closed(w);
	assert_value(w, "only/new", "1");
	close_store(w);
	free(again);
	free(aside);

	/* damaged or newer: refused, and nothing moved */
	uint8_t *before, *after;
	mem_auto char *path = db_path(w);
	size_t n = read_file(path, &before);
	memset((uint8_t *)c.data + c.len / 2, 0x55, 4096);
	write_file(backup, c.data, c.len);
	assert_int_equal(store_restore(w->dir, backup, &aside, &err), -EBADMSG);
	assert_null(aside);
	write_file(backup, c.data, 100);
	assert_true(store_restore(w->dir, backup, &aside, &err) < 0);
	unlink(backup);
	assert_int_equal(store_restore(w->dir, backup, &aside, &err), -ENOENT);
	assert_int_equal(read_file(path, &after), n);
	assert_memory_equal(before, after, n);
	reopen_closed(w);
	assert_value(w, "only/new", "1");
	free(before);
	free(after);
	free(c.data);
	free(value);
}

/* ---- many, full, read-only ----------------------------------------------------------------------------- */

static int syncs;
static bool syncs_fail;
static int sync_gate = -1; /* a pipe that a sync waits for, or -1 */

/* SQLite's own call comes here, too: the program stands before the libraries. */
int fdatasync(int fd)
{
	__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&syncs_fail, __ATOMIC_RELAXED)) {
		errno = EIO;
		return -1;
	}
	char byte;
	int gate = __atomic_load_n(&sync_gate, __ATOMIC_RELAXED);
	if (gate >= 0 && read(gate, &byte, 1) < 0)
		return -1;
	return (int)syscall(SYS_fdatasync, fd);
}

/* Batches that wait share a sync; one that is alone has its own. */
static void test_group_commit(void **state)
{
	enum { MANY = 1000, ALONE = 20 };
	struct world *w = *state;
	int before = syncs;
	for (int i = 0; i < MANY; i++)
		put(w, "together", "value");
	wait_durable(w, MANY);
	int together = syncs - before;
	assert_true(together >= 1);
	assert_true(together < MANY / 10);
	before = syncs;
	for (int i = 0; i < ALONE; i++) {
		put(w, "alone", "value");
		wait_durable(w, MANY + i + 1);
	}
	assert_true(syncs - before >= ALONE);
	print_message("%d batches at once: %d syncs; %d one after the other: %d\n", MANY, together, ALONE, syncs - before);
}

static void count_ticks(void *arg)
{
	struct world *w = arg;
	if (++w->ticks == 20)
		loop_stop(w->loop);
}

/* A disk that does not answer holds up neither the loop nor who has something to store; only the answers wait. */
static void test_slow_disk(void **state)
{
	struct world *w = *state;
	struct loop_source *timer;
	int gate[2];
	assert_int_equal(pipe(gate), 0);
	__atomic_store_n(&sync_gate, gate[0], __ATOMIC_RELAXED);
	for (int i = 0; i < 100; i++)
		put(w, "a", i % 2 ? "1" : "0");
	assert_int_equal(loop_add_timer(w->loop, 1, 1, count_ticks, w, &timer, NULL), 0);
	assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_int_equal(w->ticks, 20);
	assert_int_equal(w->durable, 0); /* nothing is said before it is so */
	assert_value(w, "a", "1");
	loop_remove(timer);
	__atomic_store_n(&sync_gate, -1, __ATOMIC_RELAXED);
	close(gate[1]); /* the sync that waits goes on */
	wait_durable(w, 100);
	close(gate[0]);
}

/* A sync that fails: nobody knows what is on disk. It is said, nothing more is taken; a new start finds out. */
static void test_sync_fails(void **state)
{
	struct world *w = *state;
	put(w, "a", "1");
	wait_durable(w, 1);
	__atomic_store_n(&syncs_fail, true, __ATOMIC_RELAXED);
	put(w, "a", "2");
	struct store_op later = { "b", "2", 1 }, op = { "c", "3", 1 };
	int taken = batch(w, &later, 1); /* as long as nothing is known yet */
	assert_true(taken == 0 || taken == -EIO);
	wait_answers(w, taken == 0 ? 3 : 2);
	assert_int_equal(w->refused, taken == 0 ? 2 : 1);
	assert_int_equal(w->code, -EIO);
	assert_int_equal(batch(w, &op, 1), -EIO);
	__atomic_store_n(&syncs_fail, false, __ATOMIC_RELAXED);
	assert_int_equal(batch(w, &op, 1), -EIO);
	reopen(w);
	size_t len;
	const char *a = w->driver->get(w->store, "a", &len);
	assert_true(a && len == 1 && (*a == '1' || *a == '2'));
	if (*a == '1') /* never what came later without what came before */
		assert_value(w, "b", NULL);
	assert_value(w, "c", NULL);
}

static void test_hundred_thousand(void **state)
{
	enum { MANY = 100000, EACH = 100 };
	struct world *w = *state;
	char keys[EACH][24];
	struct store_op ops[EACH];
	for (int i = 0; i < MANY; i += EACH) {
		for (int k = 0; k < EACH; k++) {
			snprintf(keys[k], sizeof(keys[k]), "net/%d", i + k);
			ops[k] = (struct store_op){ keys[k], keys[k], strlen(keys[k]) };
		}
		assert_int_equal(batch(w, ops, EACH), 0);
	}
	wait_durable(w, MANY / EACH);
	reopen(w);
	struct count c = { 0, 0 };
	w->driver->each(w->store, "net/", count, &c);
	assert_int_equal(c.n, MANY);
	assert_value(w, "net/99999", "net/99999");
}

/* A file system of a megabyte, in a mount namespace of this process. */
static void small_disk(struct world *w, const char *dir)
{
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("small", dir, "tmpfs", 0, "size=1m"), 0);
}

/* Full: what does not fit is refused and undone, alone; the store goes on, and has room again when there is. */
static void test_full(void **state)
{
	struct world *w = *state;
	if (geteuid() != 0)
		skip();
	mem_auto char *dir = mem_printf("%s.small", w->dir), *ballast = mem_printf("%s/ballast", dir);
	struct store *own = w->store;
	const struct store_driver *d = w->driver;
	small_disk(w, dir);
	assert_int_equal(d->open(w->loop, dir, &w->store, NULL), 0);
	put(w, "kept", "from before");
	wait_durable(w, 1);
	char *large = mem_alloc((2 << 20) + 1);
	memset(large, 'x', 2 << 20);
	uint64_t revision = d->revision(w->store);
	put(w, "large", large);
	put(w, "after", "made upon it");
	wait_answers(w, 3);
	assert_int_equal(w->refused, 2);
	assert_int_equal(w->code, -ENOSPC);
	assert_value(w, "large", NULL);
	assert_value(w, "after", NULL);
	assert_value(w, "kept", "from before");
	assert_true(d->revision(w->store) > revision + 2); /* nobody takes it for one that is undone */
	put(w, "small", "fits");
	wait_answers(w, 4);
	assert_int_equal(w->durable, 2);

	d->close(w->store); /* the log has taken room; without it, somebody else fills the disk */
	assert_int_equal(d->open(w->loop, dir, &w->store, NULL), 0);
	FILE *f = fopen(ballast, "w");
	assert_non_null(f);
	for (int i = 0; i < 300 && fwrite(large, 4096, 1, f) == 1; i++)
		;
	fclose(f);
	large[64 << 10] = '\0';
	put(w, "middle", large);
	wait_answers(w, 5);
	assert_int_equal(w->refused, 3);
	assert_int_equal(unlink(ballast), 0);
	put(w, "middle", large);
	wait_answers(w, 6);
	assert_int_equal(w->durable, 3);
	d->close(w->store);
	assert_int_equal(d->open(w->loop, dir, &w->store, NULL), 0);
	assert_value(w, "kept", "from before");
	assert_value(w, "small", "fits");
	assert_value(w, "middle", large);
	assert_value(w, "large", NULL);
	d->close(w->store);

	struct err err = { 0 };
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(d->open(w->loop, dir, &w->store, &err), -EROFS);
	assert_non_null(strstr(err.text, "cannot be written"));
	w->store = own;
	assert_int_equal(umount(dir), 0);
	assert_int_equal(rmdir(dir), 0);
	free(large);
}

/* A write that fails, though there is room: the batch is undone, the store goes on. */
static void test_write_fails(void **state)
{
	struct world *w = *state;
	struct rlimit old, small;
	char *large = mem_alloc((2 << 20) + 1);
	memset(large, 'x', 2 << 20);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	put(w, "large", large);
	wait_answers(w, 1);
	assert_int_equal(w->refused, 1);
	assert_value(w, "large", NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	put(w, "large", large);
	wait_answers(w, 2);
	assert_int_equal(w->durable, 1);
	reopen(w);
	assert_value(w, "large", large);
	free(large);
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
	const struct CMUnitTest disk[] = {
		TEST(test_remembers, &store_sqlite),
		TEST(test_one_user, &store_sqlite),
		TEST(test_killed, &store_sqlite),
		TEST(test_damage, &store_sqlite),
		TEST(test_cut, &store_sqlite),
		TEST(test_half_taken_away, &store_sqlite),
		TEST(test_refused, &store_sqlite),
		TEST(test_import, &store_sqlite),
		TEST(test_copy_and_restore, &store_sqlite),
		TEST(test_group_commit, &store_sqlite),
		TEST(test_slow_disk, &store_sqlite),
		TEST(test_sync_fails, &store_sqlite),
		TEST(test_hundred_thousand, &store_sqlite),
		TEST(test_write_fails, &store_sqlite),
		TEST(test_full, &store_sqlite),
		TEST(test_cannot_write, &store_sqlite),
	};
	failed += cmocka_run_group_tests_name("on disk", disk, NULL, NULL);
	return failed;
}
