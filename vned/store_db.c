/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite, with what a daemon wants of it: a log beside the file (WAL) that is synced at each commit, one
 * process at a time, no trust in the file. */
#include "vned/store_db.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { APPLICATION = 0x766e6564 /* "vned" */, COPY_PAGES = 512, HEAD_BYTES = 16,
       FILE_LEAST = 512 /* the smallest page of a database */ };

/* [n] leads from format n to n + 1. Never changed once released; appended to. */
static const char *const migrations[STORE_FORMAT] = {
	"CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = 1986946404;",
};
_Static_assert(APPLICATION == 1986946404, "as in the first migration");

struct store_db {
	sqlite3 *sql;
	char *path;
	sqlite3_stmt *put, *del;
	int64_t rows, rows_after; /* without the head; the second with the transaction under way */
};

struct store_copy {
	sqlite3 *into;
	sqlite3_backup *backup;
	bool done;
};

/* ---- errors --------------------------------------------------------------------------------- */

/* A write that fails before the end of a commit leaves no commit in the log; only a failed sync (or an
 * error we know nothing of) leaves it open whether there is one. */
static int code_of(sqlite3 *sql, int rc)
{
	int extended = sqlite3_extended_errcode(sql), system = sqlite3_system_errno(sql);
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* our statements are right: it is the file that does not fit them */
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CANTOPEN:
		return system ? -system : -EACCES;
	case SQLITE_IOERR:
		if (extended == SQLITE_IOERR_WRITE)
			return system == EFBIG || system == EDQUOT || system == EROFS || system == ENOSPC ? -system : -EROFS;
		if (extended == SQLITE_IOERR_CORRUPTFS)
			return -EBADMSG;
		return -EIO;
	default:
		return -EIO;
	}
}

static int damaged(const char *path, const char *how, struct err *err)
{
	return err_set(err, -EBADMSG, "%s: damaged (%s), and left as it is: restore a backup with `vned --restore FILE`, or move "
	               "it away to start with no networks", path, how);
}

static int failed(struct store_db *db, int rc, struct err *err)
{
	int code = code_of(db->sql, rc);
	if (code == -EBADMSG)
		return damaged(db->path, sqlite3_errmsg(db->sql), err);
	if (code == -EBUSY)
		return err_set(err, code, "%s: another program has it open; end that first", db->path);
	return err_set(err, code, "%s: %s", db->path, sqlite3_errmsg(db->sql));
}

/* ---- rows ----------------------------------------------------------------------------------- */

static uint32_t crc32_more(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256]; /* filled at the first call, before there are threads: store_db_open checks the head */
	if (!table[1]) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;
			for (int k = 0; k < 8; k++)
				c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
			table[i] = c;
		}
	}
	crc = ~crc;
	for (const uint8_t *p = data, *end = p + len; p < end; p++)
		crc = crc >> 8 ^ table[(crc ^ *p) & 255];
	return ~crc;
}

static uint32_t row_crc(const char *key, const void *value, size_t len)
{
	return crc32_more(crc32_more(0, key, strlen(key) + 1), value, len);
}

static int run(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s), again = sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return rc == SQLITE_DONE ? again : rc;
}

static int put(struct store_db *db, const char *key, const void *value, size_t len)
{
	sqlite3_bind_text(db->put, 1, key, -1, SQLITE_STATIC);
	if (len)
		sqlite3_bind_blob64(db->put, 2, value, len, SQLITE_STATIC);
	else
		sqlite3_bind_zeroblob(db->put, 2, 0);
	sqlite3_bind_int64(db->put, 3, row_crc(key, value, len));
	return run(db->put);
}

static int put_head(struct store_db *db, uint64_t revision)
{
	uint64_t head[2] = { htole64(revision), htole64((uint64_t)db->rows_after) };
	sqlite3_bind_text(db->del, 1, "", -1, SQLITE_STATIC);
	int rc = run(db->del);
	return rc == SQLITE_OK ? put(db, "", head, HEAD_BYTES) : rc;
}

static int sql(struct store_db *db, const char *text)
{
	return sqlite3_exec(db->sql, text, NULL, NULL, NULL);
}

static int number(struct store_db *db, const char *text, int64_t *ret)
{
	sqlite3_stmt *s;
	int rc = sqlite3_prepare_v2(db->sql, text, -1, &s, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(s);
		if (rc == SQLITE_ROW)
			*ret = sqlite3_column_int64(s, 0);
		int end = sqlite3_finalize(s);
		rc = rc == SQLITE_ROW ? end : rc;
	}
	return rc == SQLITE_DONE ? SQLITE_ERROR : rc;
}

static bool row_whole(sqlite3_stmt *s)
{
	const char *key = (const char *)sqlite3_column_text(s, 0);
	const void *value = sqlite3_column_blob(s, 1);
	size_t key_len = (size_t)sqlite3_column_bytes(s, 0), len = (size_t)sqlite3_column_bytes(s, 1);
	return key && key_len <= STORE_KEY_MAX && strlen(key) == key_len && len <= STORE_VALUE_MAX &&
	       sqlite3_column_int64(s, 2) == row_crc(key, value, len);
}

int store_db_load(struct store_db *db, struct store_table **ret, uint64_t *ret_revision, struct err *err)
{
	sqlite3_stmt *s;
	int rc = sqlite3_prepare_v2(db->sql, "SELECT key, value, crc FROM entry ORDER BY key", -1, &s, NULL);
	if (rc != SQLITE_OK)
		return failed(db, rc, err);
	struct store_table *table = store_table_new();
	uint64_t head[2] = { 0, 0 };
	int64_t rows = 0;
	bool whole = true, has_head = false;
	while (whole && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		whole = row_whole(s);
		const char *key = (const char *)sqlite3_column_text(s, 0);
		const void *value = sqlite3_column_blob(s, 1);
		size_t len = (size_t)sqlite3_column_bytes(s, 1);
		if (whole && !*key) {
			has_head = len == HEAD_BYTES;
			if (has_head)
				memcpy(head, value, HEAD_BYTES);
		} else if (whole) {
			struct store_op op = { key, len ? value : "", len };
			store_table_apply(table, &op, 1);
			rows++;
		}
	}
	int r = whole && rc != SQLITE_DONE ? failed(db, rc, err) : 0;
	sqlite3_finalize(s);
	if (r == 0 && !(whole && has_head && (int64_t)le64toh(head[1]) == rows))
		r = damaged(db->path, whole ? "rows are missing" : "a checksum is wrong", err);
	if (r < 0) {
		store_table_free(table);
		return r;
	}
	db->rows = rows;
	*ret = table;
	*ret_revision = le64toh(head[0]);
	return 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

int store_db_close(struct store_db *db)
{
	if (!db)
		return 0;
	sqlite3_finalize(db->put);
	sqlite3_finalize(db->del);
	int rc = sqlite3_close(db->sql);
	int r = rc == SQLITE_OK ? 0 : -EIO;
	free(db->path);
	free(db);
	return r;
}

static int prepare(struct store_db *db, struct err *err)
{
	int rc = sqlite3_prepare_v3(db->sql, "INSERT INTO entry VALUES (?1, ?2, ?3)", -1, SQLITE_PREPARE_PERSISTENT, &db->put, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(db->sql, "DELETE FROM entry WHERE key = ?1", -1, SQLITE_PREPARE_PERSISTENT, &db->del, NULL);
	return rc == SQLITE_OK ? 0 : failed(db, rc, err);
}

static int migrate(struct store_db *db, int64_t from, struct err *err)
{
	for (int64_t i = from; i < STORE_FORMAT; i++) {
		char version[64];
		snprintf(version, sizeof(version), "PRAGMA user_version = %d", (int)i + 1);
		int rc = sql(db, "BEGIN IMMEDIATE");
		if (rc == SQLITE_OK)
			rc = sql(db, migrations[i]);
		if (rc == SQLITE_OK)
			rc = sql(db, version);
		if (rc == SQLITE_OK)
			rc = sql(db, "COMMIT");
		if (rc != SQLITE_OK) {
			int r = failed(db, rc, err);
			(void)sql(db, "ROLLBACK");
			return r;
		}
	}
	return 0;
}

static int connect(const char *path, int flags, struct store_db **ret, struct err *err)
{
	struct store_db *db = mem_alloc(sizeof(*db));
	db->path = mem_str(path);
	int rc = sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_extended_result_codes(db->sql, 1);
	if (rc == SQLITE_OK)
		rc = sql(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
		             "PRAGMA synchronous = FULL");
	if (rc != SQLITE_OK) {
		int r = failed(db, rc, err);
		store_db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

/* Whose file it is, of which format, and whether it is whole: before anything is written. */
static int judge(struct store_db *db, int64_t *ret_version, struct err *err)
{
	int64_t application = 0;
	int rc = number(db, "PRAGMA application_id", &application);
	if (rc == SQLITE_OK)
		rc = number(db, "PRAGMA user_version", ret_version);
	if (rc != SQLITE_OK)
		return failed(db, rc, err);
	if (application != APPLICATION)
		return err_set(err, -ENOTSUP, "%s: not a store of vned, or damaged, and left as it is: restore a backup with `vned "
		               "--restore FILE`, or move it away to start with no networks", db->path);
	if (*ret_version > STORE_FORMAT)
		return err_set(err, -ENOTSUP, "%s: written by a newer release (its format is %lld, this release knows %d): install that "
		               "release", db->path, (long long)*ret_version, STORE_FORMAT);
	if (*ret_version < 1)
		return damaged(db->path, "its format is no number", err);
	sqlite3_stmt *s;
	rc = sqlite3_prepare_v2(db->sql, "PRAGMA integrity_check(1)", -1, &s, NULL);
	if (rc != SQLITE_OK)
		return failed(db, rc, err);
	int r = 0;
	rc = sqlite3_step(s);
	const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
	if (rc != SQLITE_ROW)
		r = failed(db, rc, err);
	else if (!text || strcmp(text, "ok") != 0)
		r = damaged(db->path, text ? text : "no answer", err);
	sqlite3_finalize(s);
	return r;
}

int store_db_open(const char *path, struct store_db **ret, struct store_table **ret_table, uint64_t *ret_revision,
                  struct err *err)
{
	struct store_db *db = NULL;
	struct stat st;
	int64_t version = 0;
	if (stat(path, &st) < 0)
		return err_sys(err, -errno, "%s", path);
	if (st.st_size < FILE_LEAST)
		return damaged(path, st.st_size ? "it is cut short" : "it is empty", err);
	int r = connect(path, SQLITE_OPEN_READWRITE, &db, err);
	if (r == 0)
		r = judge(db, &version, err);
	if (r == 0 && sqlite3_db_readonly(db->sql, "main"))
		r = access(path, W_OK) < 0 ? err_sys(err, -errno, "%s: cannot be written", path) :
		                             damaged(path, "its head says that it can only be read", err);
	if (r == 0)
		r = migrate(db, version, err);
	int rc = r == 0 ? sql(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 16777216") :
	                  SQLITE_OK;
	if (r == 0 && rc != SQLITE_OK)
		r = failed(db, rc, err);
	if (r == 0)
		r = prepare(db, err);
	if (r == 0)
		r = store_db_load(db, ret_table, ret_revision, err);
	if (r < 0) {
		store_db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

static void put_one(void *arg, const char *key, const void *value, size_t len)
{
	struct store_db *db = arg;
	struct store_op op = { key, value, len };
	if (db->rows >= 0 && store_db_change(db, &op) < 0)
		db->rows = -1; /* the commit will not be tried */
}

static int fill(struct store_db *db, const struct store_table *table, uint64_t revision, struct err *err)
{
	int r = store_db_begin(db);
	if (r == 0 && table)
		store_table_each(table, "", put_one, db);
	if (r == 0)
		r = db->rows < 0 ? -EIO : store_db_commit(db, revision);
	if (r == 0)
		return 0;
	int code = code_of(db->sql, sqlite3_errcode(db->sql));
	return err_set(err, code ? code : r, "%s: %s", db->path, sqlite3_errmsg(db->sql));
}

int store_db_create(const char *path, const struct store_table *table, uint64_t revision, struct err *err)
{
	mem_auto char *beside = mem_printf("%s.new", path), *log = mem_printf("%s-journal", beside);
	struct store_db *db = NULL;
	if (access(path, F_OK) == 0)
		return err_set(err, -EEXIST, "%s: is there already", path);
	unlink(beside); /* what a crash has left */
	unlink(log);
	int r = connect(beside, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, err);
	if (r < 0)
		return r;
	r = migrate(db, 0, err);
	if (r == 0)
		r = prepare(db, err);
	if (r == 0)
		r = fill(db, table, revision, err);
	int closed = store_db_close(db);
	if (r == 0 && closed < 0)
		r = err_sys(err, closed, "%s", beside);
	if (r == 0 && chmod(beside, 0600) < 0)
		r = err_sys(err, -errno, "%s", beside);
	if (r == 0 && rename(beside, path) < 0)
		r = err_sys(err, -errno, "%s", path);
	mem_auto char *dir = mem_strn(path, (size_t)(strrchr(path, '/') - path));
	int synced = r == 0 ? store_sync_dir(dir) : 0;
	if (r < 0)
		unlink(beside);
	return synced < 0 ? err_sys(err, synced, "%s", dir) : r;
}

/* ---- transactions --------------------------------------------------------------------------- */

int store_db_begin(struct store_db *db)
{
	db->rows_after = db->rows;
	return code_of(db->sql, sql(db, "BEGIN IMMEDIATE"));
}

/* A put is a delete and an insert: so it is known whether there is one row more. */
int store_db_change(struct store_db *db, const struct store_op *op)
{
	int before = sqlite3_total_changes(db->sql);
	sqlite3_bind_text(db->del, 1, op->key, -1, SQLITE_STATIC);
	int rc = run(db->del);
	db->rows_after -= sqlite3_total_changes(db->sql) - before;
	if (rc == SQLITE_OK && op->value) {
		rc = put(db, op->key, op->value, op->len);
		db->rows_after++;
	}
	return code_of(db->sql, rc);
}

int store_db_commit(struct store_db *db, uint64_t revision)
{
	int rc = put_head(db, revision);
	if (rc == SQLITE_OK)
		rc = sql(db, "COMMIT");
	if (rc == SQLITE_OK)
		db->rows = db->rows_after;
	return code_of(db->sql, rc);
}

void store_db_rollback(struct store_db *db)
{
	if (!sqlite3_get_autocommit(db->sql))
		(void)sql(db, "ROLLBACK");
}

/* ---- copies --------------------------------------------------------------------------------- */

int store_copy_new(struct store_db *db, struct store_copy **ret)
{
	struct store_copy *c = mem_alloc(sizeof(*c));
	int rc = sqlite3_open_v2(":memory:", &c->into, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		c->backup = sqlite3_backup_init(c->into, "main", db->sql, "main");
	if (!c->backup) {
		sqlite3_close(c->into);
		free(c);
		return -EIO;
	}
	*ret = c;
	return 0;
}

int store_copy_step(struct store_copy *c)
{
	int rc = sqlite3_backup_step(c->backup, COPY_PAGES);
	c->done = rc == SQLITE_DONE;
	return rc == SQLITE_OK ? 1 : c->done ? 0 : -EIO;
}

void store_copy_end(struct store_copy *c, void **ret, size_t *ret_len)
{
	sqlite3_int64 len = 0;
	*ret = NULL;
	sqlite3_backup_finish(c->backup);
	unsigned char *data = c->done ? sqlite3_serialize(c->into, "main", &len, 0) : NULL;
	sqlite3_close(c->into); /* before there is a third copy */
	free(c);
	if (data) {
		*ret = mem_dup(data, (size_t)len);
		*ret_len = (size_t)len;
		sqlite3_free(data);
	}
}

/* ---- the directory -------------------------------------------------------------------------- */

/* Where it fails it is as if nobody had asked: whoever needs the file says so. */
void store_give(int fd, const char *dir)
{
	struct stat st;
	if (geteuid() == 0 && stat(dir, &st) == 0)
		(void)!fchown(fd, st.st_uid, st.st_gid);
}

int store_lock(const char *dir, int *ret_fd, struct err *err)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "state: %s cannot be made; its parent has to exist, and vned to be allowed to write there",
		               dir);
	mem_auto char *path = mem_printf("%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "state: %s cannot be written", path);
	store_give(fd, dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int code = errno;
		close(fd);
		return code == EWOULDBLOCK ? err_set(err, -EBUSY, "%s: another vned is using it", dir) : err_sys(err, -code, "%s", path);
	}
	*ret_fd = fd;
	return 0;
}

int store_sync_dir(const char *dir)
{
	int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}
