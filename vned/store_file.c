/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store in one file: a journal of batches, each with its length and a CRC, replayed at start.
 *
 * Writing and syncing happen in a thread of its own, so that a slow disk never holds up the
 * loop; batches that arrive meanwhile share the next sync. At start, and whenever it has outgrown
 * what is true by far, the journal is rewritten without the rest, beside, and renamed. A batch cut short at the very end is what
 * a crash leaves and was never acknowledged; damage anywhere else is refused and left alone.
 *
 * File: "vnestore1\n", then records: u32 length of the body, u32 CRC-32 of the body, u32 CRC-32 of
 * these two (so that a damaged length is not taken for a batch cut short); body: u64 revision, u32 count, then per operation u32 length of the key, u32 length of the value (~0:
 * delete), key, value. Little endian. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vned/store.h"

static const char magic[] = "vnestore1\n";
enum { HEAD = sizeof(magic) - 1, RECORD_HEAD = 12, BODY_HEAD = 12, BODY_MAX = 1 << 30,
       GROWTH = 4, GROWTH_BASE = 1 << 20 }; /* rewritten when larger than so many times what is live, and this */
#define DELETED UINT32_MAX

struct waiting {
	store_durable_fn *durable;
	void *arg;
};

struct file {
	struct store store;
	struct store_table *table;
	uint64_t revision;
	char *dir;
	int fd, lock, wake; /* journal, lock file, eventfd to the loop */
	struct loop_source *source;
	pthread_t thread;
	bool started;
	size_t size, size_max; /* of the journal with what waits to be written, and when it is rewritten */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t work;
	struct buf pending;
	struct buf snapshot;   /* a whole journal to take the place of the file, before pending is appended; or empty */
	VEC(struct waiting) queued, finished;
	int code;              /* of the failure that ended writing; 0 */
	bool stop;
};

/* The CRC-32 of Ethernet and zip, four bits at a time. */
static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = ~0u;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static void add_u32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	buf_add(b, &v, sizeof(v));
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static void add_record(struct buf *out, uint64_t revision, const struct store_op *ops, size_t n)
{
	buf_auto struct buf body = BUF_INIT;
	add_u32(&body, (uint32_t)revision);
	add_u32(&body, (uint32_t)(revision >> 32));
	add_u32(&body, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		size_t key_len = strlen(ops[i].key);
		add_u32(&body, (uint32_t)key_len);
		add_u32(&body, ops[i].value ? (uint32_t)ops[i].len : DELETED);
		buf_add(&body, ops[i].key, key_len);
		if (ops[i].value)
			buf_add(&body, ops[i].value, ops[i].len);
	}
	size_t at = out->len;
	add_u32(out, (uint32_t)body.len);
	add_u32(out, crc32_of((const uint8_t *)body.data, body.len));
	add_u32(out, crc32_of((const uint8_t *)out->data + at, 8));
	buf_add(out, body.data, body.len);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- reading the journal -------------------------------------------------------------------- */

/* Applies one body, whose CRC was right; false where it makes no sense all the same. */
static bool replay_body(struct file *f, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	if (len < BODY_HEAD || get_u64(p) <= f->revision)
		return false;
	uint64_t revision = get_u64(p);
	uint32_t n = get_u32(p + 8);
	p += BODY_HEAD;
	for (uint32_t i = 0; i < n; i++) {
		if (end - p < 8)
			return false;
		uint32_t key_len = get_u32(p), value_len = get_u32(p + 4);
		size_t value_bytes = value_len == DELETED ? 0 : value_len;
		p += 8;
		if (key_len == 0 || key_len > STORE_KEY_MAX || (size_t)(end - p) < key_len + value_bytes)
			return false;
		char key[STORE_KEY_MAX + 1];
		memcpy(key, p, key_len);
		key[key_len] = '\0';
		struct store_op op = { key, value_len == DELETED ? NULL : p + key_len, value_bytes };
		store_table_apply(f->table, &op, 1);
		p += key_len + value_bytes;
	}
	f->revision = revision;
	return p == end;
}

static int damaged(const char *path, size_t offset, struct err *err)
{
	return err_set(err, -EBADMSG, "%s: damaged at byte %zu: restore it from a backup, or move it away to start with no "
	               "networks", path, offset);
}

/* What a power cut may leave of an append: the length grew, the bytes never came. */
static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* *whole: the bytes before what was cut short. */
static int replay(struct file *f, const char *path, const uint8_t *data, size_t len, size_t *whole, struct err *err)
{
	size_t at = HEAD;
	if (len < HEAD || memcmp(data, magic, HEAD) != 0)
		return damaged(path, 0, err);
	while (len - at >= RECORD_HEAD) {
		size_t body = get_u32(data + at), left = len - at - RECORD_HEAD;
		const uint8_t *p = data + at + RECORD_HEAD;
		*whole = at;
		if (all_zero(data + at, len - at))
			return 0;
		if (crc32_of(data + at, 8) != get_u32(data + at + 8))
			return damaged(path, at, err);
		if (body > left)
			return 0; /* cut short by a crash */
		if (crc32_of(p, body) != get_u32(data + at + 4))
			return body == left || all_zero(p + body, left - body) ? 0 : damaged(path, at, err);
		if (!replay_body(f, p, body))
			return damaged(path, at, err);
		at += RECORD_HEAD + body;
	}
	*whole = at;
	return 0;
}

/* Nobody was told that these bytes are safe; but who looks for something can see what they were. */
static void keep_torn(const char *path, const uint8_t *data, size_t len, size_t at)
{
	mem_auto char *torn = mem_printf("%s.torn", path);
	int fd = open(torn, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_all(fd, (const char *)data, len);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		log_warn("%s: %s", torn, strerror(-r));
	log_warn("%s: its last batch, %zu bytes from byte %zu on, was cut short, as by a crash, or damaged: left out%s%s", path, len,
	         at, r < 0 ? "" : ", and kept in ", r < 0 ? "" : torn);
}

static int read_journal(struct file *f, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", path);
	struct stat st;
	int r = fstat(fd, &st) < 0 ? err_sys(err, -errno, "%s", path) : 0;
	size_t len = r == 0 ? (size_t)st.st_size : 0, got = 0, whole = 0;
	uint8_t *data = mem_alloc(len + 1);
	while (r == 0 && got < len) {
		ssize_t n = read(fd, data + got, len - got);
		if (n <= 0)
			r = n < 0 ? err_sys(err, -errno, "%s", path) : err_set(err, -EIO, "%s: shrank while it was read", path);
		else
			got += (size_t)n;
	}
	close(fd);
	if (r == 0)
		r = replay(f, path, data, len, &whole, err);
	if (r == 0 && whole < len)
		keep_torn(path, data + whole, len - whole, whole);
	free(data);
	return r;
}

/* ---- writing it anew ------------------------------------------------------------------------ */

struct snapshot {
	VEC(struct store_op) ops;
};

static void snapshot_add(void *arg, const char *key, const void *value, size_t len)
{
	struct snapshot *s = arg;
	*vec_add(&s->ops) = (struct store_op){ key, value, len };
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* One record per key, so that no record outgrows what replay accepts. At start revisions count on
 * from here, so that a second rewrite cannot go back; later the last record has the store's own,
 * and false means that there are not enough before it (more keys than there were batches). */
static bool snapshot_text(struct file *f, bool at_start, struct buf *out)
{
	struct snapshot s = { 0 };
	store_table_each(f->table, "", snapshot_add, &s);
	size_t n = s.ops.n ? s.ops.n : 1;
	bool fits = at_start || n <= f->revision;
	if (at_start)
		f->revision += n;
	buf_add(out, magic, HEAD);
	for (size_t i = 0; fits && i < s.ops.n; i++)
		add_record(out, f->revision - n + 1 + i, &s.ops.v[i], 1);
	if (s.ops.n == 0)
		add_record(out, f->revision, NULL, 0);
	vec_done(&s.ops);
	return fits;
}

/* Puts a whole journal in the place of the file, or leaves that as it is. */
static int replace(struct file *f, const struct buf *text)
{
	mem_auto char *path = mem_printf("%s/journal", f->dir), *beside = mem_printf("%s.new", path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text->data, text->len);
	if (r == 0 && (fsync(fd) < 0 || rename(beside, path) < 0))
		r = -errno;
	if (r == 0)
		r = sync_dir(f->dir);
	if (r < 0) {
		close(fd);
		return r;
	}
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	return 0;
}

static void size_set(struct file *f, size_t size)
{
	f->size = size;
	f->size_max = GROWTH * size + GROWTH_BASE;
}

static int rewrite(struct file *f, const char *path, struct err *err)
{
	buf_auto struct buf text = BUF_INIT;
	(void)snapshot_text(f, true, &text);
	int r = replace(f, &text);
	size_set(f, text.len);
	return r < 0 ? err_sys(err, r, "%s", path) : 0;
}

/* Hands the thread a journal of what is true now; it holds all that is waiting to be appended, too. */
static void compact(struct file *f)
{
	struct buf text = BUF_INIT;
	if (!snapshot_text(f, false, &text)) {
		f->size_max = f->size + GROWTH_BASE; /* later */
		buf_done(&text);
		return;
	}
	size_set(f, text.len);
	pthread_mutex_lock(&f->mutex);
	buf_done(&f->snapshot);
	buf_done(&f->pending);
	f->snapshot = text;
	f->pending = (struct buf)BUF_INIT;
	pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->mutex);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void wake(struct file *f)
{
	uint64_t one = 1;
	ssize_t n = write(f->wake, &one, sizeof(one));
	(void)n; /* full only when it is already awake */
}

static void *write_thread(void *arg)
{
	struct file *f = arg;
	pthread_mutex_lock(&f->mutex);
	for (;;) {
		while (f->queued.n == 0 && f->snapshot.len == 0 && !f->stop)
			pthread_cond_wait(&f->work, &f->mutex);
		if (f->queued.n == 0 && f->snapshot.len == 0)
			break;
		struct buf data = f->pending, whole = f->snapshot;
		f->pending = f->snapshot = (struct buf)BUF_INIT;
		size_t n = f->queued.n;
		int code = f->code;
		pthread_mutex_unlock(&f->mutex);
		if (code == 0 && whole.len)
			code = replace(f, &whole);
		if (code == 0)
			code = write_all(f->fd, data.data, data.len);
		if (code == 0 && data.len && fdatasync(f->fd) < 0)
			code = -errno;
		buf_done(&data);
		buf_done(&whole);
		pthread_mutex_lock(&f->mutex);
		f->code = code;
		for (size_t i = 0; i < n; i++)
			*vec_add(&f->finished) = f->queued.v[i];
		memmove(f->queued.v, f->queued.v + n, (f->queued.n - n) * sizeof(*f->queued.v));
		f->queued.n -= n;
		wake(f);
	}
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

static void finished(void *arg, uint32_t events)
{
	(void)events;
	struct file *f = arg;
	uint64_t count;
	if (read(f->wake, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&f->mutex);
	struct waiting *v = f->finished.v;
	size_t n = f->finished.n;
	int code = f->code;
	f->finished.v = NULL;
	f->finished.n = f->finished.cap = 0;
	pthread_mutex_unlock(&f->mutex);
	for (size_t i = 0; i < n; i++) {
		if (v[i].durable)
			v[i].durable(v[i].arg, code, code ? strerror(-code) : "");
	}
	free(v);
}

/* ---- the table's operations ------------------------------------------------------------------ */

static void file_close(struct store *store)
{
	struct file *f = (struct file *)store;
	if (f->started) {
		pthread_mutex_lock(&f->mutex);
		f->stop = true;
		pthread_cond_signal(&f->work);
		pthread_mutex_unlock(&f->mutex);
		pthread_join(f->thread, NULL);
	}
	loop_remove(f->source);
	if (f->fd >= 0)
		close(f->fd);
	if (f->wake >= 0)
		close(f->wake);
	if (f->lock >= 0)
		close(f->lock);
	vec_done(&f->queued);
	vec_done(&f->finished);
	buf_done(&f->pending);
	buf_done(&f->snapshot);
	store_table_free(f->table);
	pthread_mutex_destroy(&f->mutex);
	pthread_cond_destroy(&f->work);
	free(f->dir);
	free(f);
}

static int take_lock(struct file *f, struct err *err)
{
	if (mkdir(f->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "state: %s cannot be made; its parent has to exist, and vned to be allowed to write there",
		               f->dir);
	mem_auto char *path = mem_printf("%s/lock", f->dir);
	f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->lock < 0)
		return err_sys(err, -errno, "state: %s cannot be written", path);
	if (flock(f->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_set(err, -EBUSY, "%s: another vned is using it", f->dir) :
		                              err_sys(err, -errno, "%s", path);
	return 0;
}

static int start(struct file *f, struct loop *loop, struct err *err)
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

static int file_open(struct loop *loop, const char *where, struct store **ret, struct err *err)
{
	struct file *f = mem_alloc(sizeof(*f));
	f->store.driver = &store_file;
	f->table = store_table_new();
	f->dir = mem_str(where);
	f->fd = f->lock = f->wake = -1;
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->work, NULL);
	mem_auto char *path = mem_printf("%s/journal", where);
	int r = take_lock(f, err);
	if (r == 0)
		r = read_journal(f, path, err);
	if (r == 0)
		r = rewrite(f, path, err);
	if (r == 0)
		r = start(f, loop, err);
	if (r < 0) {
		file_close(&f->store);
		return r;
	}
	*ret = &f->store;
	return 0;
}

static uint64_t file_revision(const struct store *store)
{
	return ((const struct file *)store)->revision;
}

static const void *file_get(const struct store *store, const char *key, size_t *ret_len)
{
	return store_table_get(((const struct file *)store)->table, key, ret_len);
}

static void file_each(const struct store *store, const char *prefix,
                      void (*visit)(void *arg, const char *key, const void *value, size_t len), void *arg)
{
	store_table_each(((const struct file *)store)->table, prefix, visit, arg);
}

static int file_batch(struct store *store, uint64_t revision, const struct store_op *ops, size_t n,
                      store_durable_fn *durable, void *arg, struct err *err)
{
	struct file *f = (struct file *)store;
	int r = store_ops_check(ops, n, err);
	if (r < 0)
		return r;
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += ops[i].len + STORE_KEY_MAX + 8;
	if (bytes > BODY_MAX / 2)
		return err_set(err, -EMSGSIZE, "a batch of %zu bytes", bytes);
	if (revision != f->revision)
		return err_set(err, -EAGAIN, "the store is at revision %llu, not %llu", (unsigned long long)f->revision,
		               (unsigned long long)revision);
	pthread_mutex_lock(&f->mutex);
	int code = f->code;
	if (code == 0) {
		size_t before = f->pending.len;
		add_record(&f->pending, f->revision + 1, ops, n);
		f->size += f->pending.len - before;
		*vec_add(&f->queued) = (struct waiting){ durable, arg };
		pthread_cond_signal(&f->work);
	}
	pthread_mutex_unlock(&f->mutex);
	if (code < 0)
		return err_sys(err, code, "%s: cannot be written any more", f->dir);
	store_table_apply(f->table, ops, n);
	f->revision++;
	if (f->size > f->size_max)
		compact(f);
	return 0;
}

const struct store_driver store_file = {
	.name = "file",
	.open = file_open,
	.close = file_close,
	.revision = file_revision,
	.get = file_get,
	.each = file_each,
	.batch = file_batch,
};
