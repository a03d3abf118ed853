/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must not be forgotten: a map from keys to values, changed in batches.
 *
 * A batch is applied whole or not at all, seen by readers at once, and durable when its callback
 * comes. Nothing that depends on it (an answer to a client, a command to an agent) is sent
 * before. A batch that cannot be made durable (a full disk) is undone, and with it those after
 * it that were not durable yet, for they were made upon it; then the store goes on.
 * Backends differ behind one table of operations; tests/conformance/test_store.c runs over each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

enum { STORE_KEY_MAX = 255, STORE_VALUE_MAX = 256 << 20 };

struct store_op {
	const char *key;
	const void *value; /* NULL: delete */
	size_t len;
};

struct store {
	const struct store_driver *driver;
};

/* code: 0 durable; -EIO: it may or may not be found after a restart, and the store takes no more
 * batches; another negative errno (-ENOSPC, -EROFS …): undone, readers see what was before. Called
 * from the loop, never from inside store_batch, in order of the batches. */
typedef void store_durable_fn(void *arg, int code, const char *reason);

struct store_driver {
	const char *name;
	/* where: a directory, made if missing. -EBUSY: another process has it. -EBADMSG: damaged, -ENOTSUP: of a
	 * newer release; both left as they were. */
	int (*open)(struct loop *loop, const char *where, struct store **ret, struct err *err);
	void (*close)(struct store *store); /* waits for what is on its way; callbacks do not come any more */
	uint64_t (*revision)(const struct store *store); /* grows by one with each batch, and when one is undone; survives restarts */
	/* NULL where absent; valid until the next batch. */
	const void *(*get)(const struct store *store, const char *key, size_t *ret_len);
	/* In no particular order; the visitor changes nothing. */
	void (*each)(const struct store *store, const char *prefix,
	             void (*visit)(void *arg, const char *key, const void *value, size_t len), void *arg);
	/* -EAGAIN: revision is not the store's any more (somebody else wrote), nothing was done. */
	int (*batch)(struct store *store, uint64_t revision, const struct store_op *ops, size_t n,
	             store_durable_fn *durable, void *arg, struct err *err);
	/* A copy of the whole, for a file that store_restore takes, made while batches go on; data is the callee's
	 * (free), NULL where it failed. -EBUSY: one is being made; -ENOTSUP: not of this store. */
	int (*copy)(struct store *store, void (*done)(void *arg, int code, void *data, size_t len), void *arg, struct err *err);
};
extern const struct store_driver store_memory, store_sqlite;

/* Puts a copy in the place of the store of a vned that does not run, and the store that was there
 * beside it (*ret_aside, the caller's; NULL where there was none). What is damaged or of a newer release is refused. */
int store_restore(const char *dir, const char *file, char **ret_aside, struct err *err) VNE_MUST;

/* The table that each backend keeps in memory; private to them. */
struct store_table;
struct store_table *store_table_new(void);
void store_table_free(struct store_table *t);
void store_table_apply(struct store_table *t, const struct store_op *ops, size_t n);
const void *store_table_get(const struct store_table *t, const char *key, size_t *ret_len);
void store_table_each(const struct store_table *t, const char *prefix,
                      void (*visit)(void *arg, const char *key, const void *value, size_t len), void *arg);
int store_ops_check(const struct store_op *ops, size_t n, struct err *err) VNE_MUST;
