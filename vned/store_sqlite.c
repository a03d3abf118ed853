/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The durable store: all of it in memory for readers, a thread that brings batches into store.db.
 *
 * Writing and syncing happen in the thread, so that a slow disk never holds up the loop; batches
 * that arrive meanwhile share the next transaction, and with it one sync. Where a transaction
 * fails and is known not to be in the file, all that waits is undone with it: the thread reads
 * the file anew, and the loop takes what it read for the truth. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vned/store_db.h"

enum { BATCH_BYTES_MAX = 512 << 20, GROUP_BYTES_MAX = 64 << 20 };

struct batch {
	struct batch *next;
	struct store_op *ops; /* owned, keys and values in one piece behind it */
	size_t n, bytes;
	uint64_t revision;
	int code; /* once it is finished */
	store_durable_fn *durable;
	void *arg;
};

struct queue {
	struct batch *first, **last;
};

struct backup {
	struct store_copy *copy; /* the thread's */
	bool wanted, over;
	int code;
	void *data;
	size_t len;
	void (*done)(void *arg, int code, void *data, size_t len);
	void *arg;
};

struct sqlite {
	struct store store;
	struct store_table *table;
	uint64_t revision;
	char *path;
	struct store_db *db; /* the thread's, once it runs */
	int lock, wake;      /* lock file, eventfd to the loop */
	struct loop_source *source;
	pthread_t thread;
	bool started;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t work;
	struct queue queued, finished;
	int code;                  /* of the transaction that failed; until the loop has undone what waited. -EIO stays */
	struct store_table *fresh; /* what is true after that */
	struct backup backup;
	bool stop;
};

/* ---- batches -------------------------------------------------------------------------------- */

static void queue_add(struct queue *q, struct batch *b)
{
	b->next = NULL;
	if (!q->first)
		q->last = &q->first;
	*q->last = b;
	q->last = &b->next;
}

static void queue_free(struct queue *q)
{
	for (struct batch *b = q->first, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	q->first = NULL;
}

static size_t ops_bytes(const struct store_op *ops, size_t n)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += strlen(ops[i].key) + 1 + (ops[i].value ? ops[i].len : 0);
	return bytes;
}

/* A copy in one piece, for the thread. */
static struct batch *batch_new(const struct store_op *ops, size_t n, size_t bytes)
{
	struct batch *b = mem_alloc(sizeof(*b) + n * sizeof(*ops) + bytes);
	b->ops = (struct store_op *)(b + 1);
	b->n = n;
	b->bytes = bytes;
	char *at = (char *)(b->ops + n);
	for (size_t i = 0; i < n; i++) {
		size_t key = strlen(ops[i].key) + 1;
		memcpy(at, ops[i].key, key);
		b->ops[i] = (struct store_op){ at, ops[i].value ? at + key : NULL, ops[i].len };
		at += key;
		if (ops[i].value && ops[i].len)
			memcpy(at, ops[i].value, ops[i].len);
		at += ops[i].value ? ops[i].len : 0;
	}
	return b;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void wake(struct sqlite *f)
{
	uint64_t one = 1;
	ssize_t n = write(f->wake, &one, sizeof(one));
	(void)n; /* full only when it is already awake */
}

static int write_group(struct sqlite *f, struct batch *first)
{
	uint64_t revision = 0;
	fault_point("store, before");
	int r = fault_write();
	if (r == 0)
		r = store_db_begin(f->db);
	for (struct batch *b = first; b && r == 0; b = b->next) {
		for (size_t i = 0; i < b->n && r == 0; i++)
			r = store_db_change(f->db, &b->ops[i]);
		revision = b->revision;
	}
	fault_point("store, not committed");
	if (r == 0)
		r = store_db_commit(f->db, revision);
	fault_point("store, committed");
	if (r < 0)
		store_db_rollback(f->db);
	return r;
}

/* The mutex is held, and let go meanwhile. */
static void write_queued(struct sqlite *f)
{
	struct batch *first = f->queued.first, *last = first;
	for (size_t bytes = first->bytes; last->next && bytes < GROUP_BYTES_MAX; last = last->next)
		bytes += last->next->bytes;
	f->queued.first = last->next;
	last->next = NULL;
	pthread_mutex_unlock(&f->mutex);
	struct store_table *fresh = NULL;
	struct err err = { 0 };
	uint64_t revision;
	int r = write_group(f, first);
	if (r < 0 && r != -EIO && store_db_load(f->db, &fresh, &revision, &err) < 0) {
		log_error("%s", err.text);
		r = -EIO;
	}
	pthread_mutex_lock(&f->mutex);
	f->code = r;
	f->fresh = fresh;
	for (struct batch *b = first, *next; b; b = next) {
		next = b->next;
		b->code = r;
		queue_add(&f->finished, b);
	}
	wake(f);
}

/* The mutex is held, and let go meanwhile. */
static void copy_on(struct sqlite *f)
{
	pthread_mutex_unlock(&f->mutex);
	struct backup *b = &f->backup;
	int r = b->copy ? 1 : store_copy_new(f->db, &b->copy);
	if (r >= 0)
		r = store_copy_step(b->copy);
	void *data = NULL;
	size_t len = 0;
	if (r <= 0 && b->copy) {
		store_copy_end(b->copy, &data, &len);
		b->copy = NULL;
	}
	pthread_mutex_lock(&f->mutex);
	if (r > 0)
		return;
	b->wanted = false;
	b->over = true;
	b->code = data ? 0 : -EIO;
	b->data = data;
	b->len = len;
	wake(f);
}

static bool can_write(const struct sqlite *f)
{
	return f->queued.first && f->code == 0;
}

static void *write_thread(void *arg)
{
	struct sqlite *f = arg;
	pthread_mutex_lock(&f->mutex);
	for (;;) {
		while (!can_write(f) && !f->backup.wanted && !f->stop)
			pthread_cond_wait(&f->work, &f->mutex);
		if (can_write(f))
			write_queued(f);
		else if (f->stop)
			break;
		if (f->backup.wanted)
			copy_on(f);
	}
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

/* ---- back in the loop ----------------------------------------------------------------------- */

static void tell(struct queue *q)
{
	for (struct batch *b = q->first, *next; b; b = next) {
		next = b->next;
		if (b->durable)
			b->durable(b->arg, b->code, b->code ? strerror(-b->code) : "");
		free(b);
	}
}

/* The mutex is held. What waits was made upon what failed: it fails with it. */
static void undo(struct sqlite *f)
{
	for (struct batch *b = f->queued.first, *next; b; b = next) {
		next = b->next;
		b->code = f->code;
		queue_add(&f->finished, b);
	}
	f->queued.first = NULL;
	if (!f->fresh)
		return; /* nobody knows what is true: nothing is written any more */
	store_table_free(f->table);
	f->table = f->fresh;
	f->fresh = NULL;
	f->revision++; /* who has seen what is undone cannot take it for this */
	f->code = 0;
}

static void finished(void *arg, uint32_t events)
{
	(void)events;
	struct sqlite *f = arg;
	uint64_t count;
	if (read(f->wake, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&f->mutex);
	if (f->code < 0)
		undo(f);
	struct queue done = f->finished;
	struct backup backup = f->backup;
	f->finished.first = NULL;
	if (backup.over)
		f->backup = (struct backup){ 0 };
	pthread_mutex_unlock(&f->mutex);
	tell(&done);
	if (backup.over)
		backup.done(backup.arg, backup.code, backup.data, backup.len);
}

/* ---- the table's operations ----------------------------------------------------------------- */

static void sqlite_close(struct store *store)
{
	struct sqlite *f = (struct sqlite *)store;
	if (f->started) {
		pthread_mutex_lock(&f->mutex);
		f->stop = true;
		pthread_cond_signal(&f->work);
		pthread_mutex_unlock(&f->mutex);
		pthread_join(f->thread, NULL);
	}
	loop_remove(f->source);
	if (f->backup.copy) {
		void *data;
		size_t len;
		store_copy_end(f->backup.copy, &data, &len);
		free(data);
	}
	free(f->backup.data);
	(void)store_db_close(f->db);
	if (f->wake >= 0)
		close(f->wake);
	if (f->lock >= 0)
		close(f->lock);
	queue_free(&f->queued);
	queue_free(&f->finished);
	store_table_free(f->table);
	store_table_free(f->fresh);
	pthread_mutex_destroy(&f->mutex);
	pthread_cond_destroy(&f->work);
	free(f->path);
	free(f);
}

static int start(struct sqlite *f, struct loop *loop, struct err *err)
{
	f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->wake < 0)
		return err_sys(err, -errno, "eventfd");
	int r = loop_add_fd(loop, f->wake, EPOLLIN, finished, f, &f->source, err);
	if (r < 0)
		return r;
	r = pthread_create(&f->thread, NULL, write_thread, f);
	if (r != 0)
		return err_sys(err, -r, "the thread that writes");
	f->started = true;
	return 0;
}

/* A directory without a store gets one: empty, or what the journal of an older release holds. */
static int make(const char *dir, const char *path, struct err *err)
{
	mem_auto char *log = mem_printf("%s-wal", path);
	if (access(path, F_OK) == 0)
		return 0;
	if (access(log, F_OK) == 0)
		return err_set(err, -EBADMSG, "%s: is missing, but %s-wal, which belongs to it, is there: put it back, restore a backup "
		               "with `vned --restore FILE`, or move that away, too, to start with no networks", path, path);
	struct store_table *table = store_table_new();
	uint64_t revision = 0;
	bool found = false;
	int r = store_import(dir, table, &revision, &found, err);
	if (r == 0)
		r = store_db_create(path, table, revision, err);
	store_table_free(table);
	return r;
}

static int sqlite_open(struct loop *loop, const char *where, struct store **ret, struct err *err)
{
	struct sqlite *f = mem_alloc(sizeof(*f));
	f->store.driver = &store_sqlite;
	f->path = mem_printf("%s/store.db", where);
	f->lock = f->wake = -1;
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->work, NULL);
	int r = store_lock(where, &f->lock, err);
	if (r == 0)
		r = make(where, f->path, err);
	if (r == 0)
		r = store_db_open(f->path, &f->db, &f->table, &f->revision, err);
	if (r == 0) {
		store_import_done(where); /* also after a crash between the two */
		r = start(f, loop, err);
	}
	if (r < 0) {
		sqlite_close(&f->store);
		return r;
	}
	*ret = &f->store;
	return 0;
}

static uint64_t sqlite_revision(const struct store *store)
{
	return ((const struct sqlite *)store)->revision;
}

static const void *sqlite_get(const struct store *store, const char *key, size_t *ret_len)
{
	return store_table_get(((const struct sqlite *)store)->table, key, ret_len);
}

static void sqlite_each(const struct store *store, const char *prefix,
                        void (*visit)(void *arg, const char *key, const void *value, size_t len), void *arg)
{
	store_table_each(((const struct sqlite *)store)->table, prefix, visit, arg);
}

static int sqlite_batch(struct store *store, uint64_t revision, const struct store_op *ops, size_t n,
                        store_durable_fn *durable, void *arg, struct err *err)
{
	struct sqlite *f = (struct sqlite *)store;
	int r = store_ops_check(ops, n, err);
	if (r < 0)
		return r;
	size_t bytes = ops_bytes(ops, n);
	if (bytes > BATCH_BYTES_MAX)
		return err_set(err, -EMSGSIZE, "a batch of %zu bytes", bytes);
	if (revision != f->revision)
		return err_set(err, -EAGAIN, "the store is at revision %llu, not %llu", (unsigned long long)f->revision,
		               (unsigned long long)revision);
	pthread_mutex_lock(&f->mutex);
	bool gone = f->code == -EIO;
	if (!gone) {
		struct batch *b = batch_new(ops, n, bytes);
		b->revision = f->revision + 1;
		b->durable = durable;
		b->arg = arg;
		queue_add(&f->queued, b);
		pthread_cond_signal(&f->work);
	}
	pthread_mutex_unlock(&f->mutex);
	if (gone)
		return err_set(err, -EIO, "%s: cannot be written any more", f->path);
	store_table_apply(f->table, ops, n);
	f->revision++;
	return 0;
}

static int sqlite_copy(struct store *store, void (*done)(void *arg, int code, void *data, size_t len), void *arg, struct err *err)
{
	struct sqlite *f = (struct sqlite *)store;
	pthread_mutex_lock(&f->mutex);
	bool busy = f->backup.wanted || f->backup.over;
	if (!busy) {
		f->backup = (struct backup){ .wanted = true, .done = done, .arg = arg };
		pthread_cond_signal(&f->work);
	}
	pthread_mutex_unlock(&f->mutex);
	return busy ? err_set(err, -EBUSY, "a backup is being made already; ask again when it is done") : 0;
}

const struct store_driver store_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.revision = sqlite_revision,
	.get = sqlite_get,
	.each = sqlite_each,
	.batch = sqlite_batch,
	.copy = sqlite_copy,
};
