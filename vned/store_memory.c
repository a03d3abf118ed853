/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store that forgets: for tests, and for a coordinator whose networks may end with it. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "vned/store.h"

struct waiting {
	store_durable_fn *durable;
	void *arg;
};

struct memory {
	struct store store;
	struct store_table *table;
	struct loop_source *timer;
	uint64_t revision;
	VEC(struct waiting) waiting;
};

static void deliver(void *arg)
{
	struct memory *m = arg;
	struct waiting *v = m->waiting.v;
	size_t n = m->waiting.n;
	m->waiting.v = NULL;
	m->waiting.n = m->waiting.cap = 0;
	for (size_t i = 0; i < n; i++)
		v[i].durable(v[i].arg, 0, "");
	free(v);
}

static int memory_open(struct loop *loop, const char *where, struct store **ret, struct err *err)
{
	(void)where;
	struct memory *m = mem_alloc(sizeof(*m));
	int r = loop_add_timer(loop, -1, 0, deliver, m, &m->timer, err);
	if (r < 0) {
		free(m);
		return r;
	}
	m->store.driver = &store_memory;
	m->table = store_table_new();
	*ret = &m->store;
	return 0;
}

static void memory_close(struct store *store)
{
	struct memory *m = (struct memory *)store;
	loop_remove(m->timer);
	store_table_free(m->table);
	vec_done(&m->waiting);
	free(m);
}

static uint64_t memory_revision(const struct store *store)
{
	return ((const struct memory *)store)->revision;
}

static const void *memory_get(const struct store *store, const char *key, size_t *ret_len)
{
	return store_table_get(((const struct memory *)store)->table, key, ret_len);
}

static void memory_each(const struct store *store, const char *prefix,
                        void (*visit)(void *arg, const char *key, const void *value, size_t len), void *arg)
{
	store_table_each(((const struct memory *)store)->table, prefix, visit, arg);
}

static int memory_batch(struct store *store, uint64_t revision, const struct store_op *ops, size_t n,
                        store_durable_fn *durable, void *arg, struct err *err)
{
	struct memory *m = (struct memory *)store;
	int r = store_ops_check(ops, n, err);
	if (r < 0)
		return r;
	if (revision != m->revision)
		return err_set(err, -EAGAIN, "the store is at revision %llu, not %llu", (unsigned long long)m->revision,
		               (unsigned long long)revision);
	store_table_apply(m->table, ops, n);
	m->revision++;
	if (durable) {
		*vec_add(&m->waiting) = (struct waiting){ durable, arg };
		loop_set_timer(m->timer, 0, 0);
	}
	return 0;
}

static int memory_copy(struct store *store, void (*done)(void *arg, int code, void *data, size_t len), void *arg, struct err *err)
{
	return err_set(err, -ENOTSUP, "a store in memory has no copies");
}

const struct store_driver store_memory = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.revision = memory_revision,
	.get = memory_get,
	.each = memory_each,
	.batch = memory_batch,
	.copy = memory_copy,
};
