/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast the store makes batches durable, one after the other and together, and how fast it opens and is
 * copied with the records of N networks (default 10000, of VALUE bytes each, default 6000, and a history of 1000).
 *
 *     build/tests/bench/bench_store [DIRECTORY [NETWORKS [VALUE]]]
 *
 * The directory decides the disk; beside it the same number of bare fdatasync of a file that grows there, for how
 * fast that disk is. One line of JSON. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "vned/store.h"

enum { ALONE = 200, TOGETHER = 20000, AT_ONCE = 1000, VALUE_MAX = 1 << 20 };

struct bench {
	struct loop *loop;
	struct store *store;
	int done, expected;
	bool copied;
	size_t copy_bytes;
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench_store: %s: %s\n", what, err->text);
	exit(70);
}

static void durable(void *arg, int code, const char *reason)
{
	struct bench *b = arg;
	if (code < 0) {
		fprintf(stderr, "bench_store: %s\n", reason);
		exit(70);
	}
	if (++b->done == b->expected)
		loop_stop(b->loop);
}

static void put(struct bench *b, const char *kind, int i, const void *value, size_t len)
{
	char key[32];
	struct err err = { 0 };
	const struct store_driver *d = b->store->driver;
	snprintf(key, sizeof(key), "%s/%d", kind, i);
	struct store_op op = { key, value, len };
	if (d->batch(b->store, d->revision(b->store), &op, 1, durable, b, &err) < 0)
		die("batch", &err);
}

static void wait_for(struct bench *b, int n)
{
	struct err err = { 0 };
	b->expected = n;
	if (b->done < n && loop_run(b->loop, &err) < 0)
		die("loop", &err);
}

static void copied(void *arg, int code, void *data, size_t len)
{
	struct bench *b = arg;
	b->copied = true;
	b->copy_bytes = code < 0 ? 0 : len;
	free(data);
	loop_stop(b->loop);
}

static double syncs_per_second(const char *dir, const void *value, size_t len)
{
	mem_auto char *path = mem_printf("%s/bench-sync", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int64_t start = clock_us();
	for (int i = 0; i < ALONE; i++) {
		if (write(fd, value, len) != (ssize_t)len || fdatasync(fd) < 0) {
			perror(path);
			exit(70);
		}
	}
	double seconds = (double)(clock_us() - start) / 1e6;
	close(fd);
	unlink(path);
	return ALONE / seconds;
}

int main(int argc, char **argv)
{
	mem_auto char *dir = mem_printf("%s/bench-store-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
	int networks = argc > 2 ? atoi(argv[2]) : 10000, value_len = argc > 3 ? atoi(argv[3]) : 6000;
	struct err err = { 0 };
	struct bench b = { 0 };
	if (networks < 1 || value_len < 1 || value_len > VALUE_MAX || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench_store [DIRECTORY [NETWORKS [VALUE]]]\n");
		return 2;
	}
	mem_auto char *value = mem_alloc((size_t)value_len), *path = mem_printf("%s/store.db", dir), *lock = mem_printf("%s/lock", dir);
	for (int i = 0; i < value_len; i++)
		value[i] = (char)(i * 7919 >> 3);
	double bare = syncs_per_second(dir, value, (size_t)value_len);
	if (loop_new(&b.loop, &err) < 0 || store_sqlite.open(b.loop, dir, &b.store, &err) < 0)
		die(dir, &err);
	int64_t start = clock_us();
	for (int i = 0; i < ALONE; i++) {
		put(&b, "net", i, value, (size_t)value_len);
		wait_for(&b, i + 1);
	}
	double alone = ALONE / ((double)(clock_us() - start) / 1e6);
	int n = ALONE;
	start = clock_us();
	for (int i = 0; i < TOGETHER; i++) {
		put(&b, "net", i % networks, value, (size_t)value_len);
		if (++n - b.done >= AT_ONCE)
			wait_for(&b, n - AT_ONCE / 2);
	}
	wait_for(&b, n);
	double together = TOGETHER / ((double)(clock_us() - start) / 1e6);
	for (int i = 0; i < networks; i++, n += 2) {
		put(&b, "net", i, value, (size_t)value_len);
		put(&b, "history", i, value, value_len < 1000 ? (size_t)value_len : 1000);
	}
	wait_for(&b, n);
	start = clock_us();
	if (b.store->driver->copy(b.store, copied, &b, &err) < 0)
		die("copy", &err);
	while (!b.copied)
		if (loop_run(b.loop, &err) < 0)
			die("loop", &err);
	double copy = (double)(clock_us() - start) / 1e6;
	store_sqlite.close(b.store);
	start = clock_us();
	if (store_sqlite.open(b.loop, dir, &b.store, &err) < 0)
		die(dir, &err);
	double opened = (double)(clock_us() - start) / 1e6;
	store_sqlite.close(b.store);
	loop_free(b.loop);
	printf("{\"syncs_per_s\": %.0f, \"alone_per_s\": %.0f, \"together_per_s\": %.0f, \"networks\": %d, \"bytes\": %zu, "
	       "\"open_s\": %.3f, \"copy_s\": %.3f}\n", bare, alone, together, networks, b.copy_bytes, opened, copy);
	unlink(path);
	unlink(lock);
	rmdir(dir);
	return 0;
}
