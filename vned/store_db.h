/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of the durable store: keys and values in one SQLite table, read whole, changed in transactions.
 *
 * Everything here blocks; store_sqlite.c calls it from its thread. Private to the store. A file is
 * made whole or not at all (beside, then renamed), so that one that is there and cannot be read is
 * damaged, never "new": nothing here makes a file anew where one was.
 *
 * SQLite finds damage to its structure, but not to what is in it: each row carries a checksum, and
 * the row "" (no key that anybody else can use) the revision and the number of rows. */
#pragma once

#include "vned/store.h"

enum { STORE_FORMAT = 1 }; /* user_version; each step to it is a migration in store_db.c */

struct store_db;

/* -EBADMSG: damaged; -ENOTSUP: made by a newer release, or not ours. Both leave the file as it was. Makes older
 * formats current. *ret_table (the caller's) is what is in it. */
int store_db_open(const char *path, struct store_db **ret, struct store_table **ret_table, uint64_t *ret_revision,
                  struct err *err) VNE_MUST;
int store_db_close(struct store_db *db); /* leaves one file, without a log beside it; negative errno where it could not */
/* A file with what is in `table`, durable when this returns; -EEXIST. */
int store_db_create(const char *path, const struct store_table *table, uint64_t revision, struct err *err) VNE_MUST;

/* A transaction: begin, any number of changes, commit. After a failure, roll back. -ENOSPC, -EROFS
 * and the like from any of them: nothing of it is in the file; -EIO from commit: nobody knows. */
int store_db_begin(struct store_db *db) VNE_MUST;
int store_db_change(struct store_db *db, const struct store_op *op) VNE_MUST;
int store_db_commit(struct store_db *db, uint64_t revision) VNE_MUST;
void store_db_rollback(struct store_db *db);
int store_db_load(struct store_db *db, struct store_table **ret, uint64_t *ret_revision, struct err *err) VNE_MUST;

/* A copy, some pages at a time, of what is true at its end: 1 more to do, 0 done, negative errno. The bytes are the caller's. */
struct store_copy;
int store_copy_new(struct store_db *db, struct store_copy **ret) VNE_MUST;
int store_copy_step(struct store_copy *copy) VNE_MUST;
void store_copy_end(struct store_copy *copy, void **ret, size_t *ret_len); /* *ret NULL: it had not come to its end */

/* The lock of a state directory, which is made if missing; it ends with the process. -EBUSY. */
int store_lock(const char *dir, int *ret_fd, struct err *err) VNE_MUST;
/* What root makes (vned --restore) belongs to whom the directory belongs to: vned may run as another user. */
void store_give(int fd, const char *dir);
int store_sync_dir(const char *dir) VNE_MUST;

/* store_import.c: what the journal of older releases in `dir` says. *ret_found false: there is none. */
int store_import(const char *dir, struct store_table *into, uint64_t *ret_revision, bool *ret_found, struct err *err) VNE_MUST;
void store_import_done(const char *dir); /* puts the journal aside, as journal.imported */
