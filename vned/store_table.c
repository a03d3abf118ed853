/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys and values in memory, for the backends that keep all of it there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "vned/store.h"

struct entry {
	char *key;
	size_t len;
	char value[];
};

struct store_table {
	struct hash *entries;
};

static void entry_free(void *value)
{
	struct entry *e = value;
	if (e)
		free(e->key);
	free(e);
}

struct store_table *store_table_new(void)
{
	struct store_table *t = mem_alloc(sizeof(*t));
	t->entries = hash_new();
	return t;
}

void store_table_free(struct store_table *t)
{
	if (!t)
		return;
	hash_free(t->entries, entry_free);
	free(t);
}

int store_ops_check(const struct store_op *ops, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(ops[i].key);
		if (len == 0 || len > STORE_KEY_MAX)
			return err_set(err, -EINVAL, "a key of %zu bytes", len);
		if (ops[i].len > STORE_VALUE_MAX)
			return err_set(err, -EMSGSIZE, "%s: a value of %zu bytes", ops[i].key, ops[i].len);
	}
	return 0;
}

void store_table_apply(struct store_table *t, const struct store_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!ops[i].value) {
			entry_free(hash_del(t->entries, ops[i].key));
			continue;
		}
		struct entry *e = mem_alloc(sizeof(*e) + ops[i].len + 1);
		e->key = mem_str(ops[i].key);
		e->len = ops[i].len;
		memcpy(e->value, ops[i].value, ops[i].len);
		entry_free(hash_put(t->entries, ops[i].key, e));
	}
}

const void *store_table_get(const struct store_table *t, const char *key, size_t *ret_len)
{
	const struct entry *e = hash_get(t->entries, key);
	if (!e)
		return NULL;
	*ret_len = e->len;
	return e->value;
}

struct each {
	const char *prefix;
	void (*visit)(void *arg, const char *key, const void *value, size_t len);
	void *arg;
};

static void each_entry(void *value, void *arg)
{
	const struct entry *e = value;
	const struct each *each = arg;
	if (strncmp(e->key, each->prefix, strlen(each->prefix)) == 0)
		each->visit(each->arg, e->key, e->value, e->len);
}

void store_table_each(const struct store_table *t, const char *prefix,
                      void (*visit)(void *arg, const char *key, const void *value, size_t len), void *arg)
{
	struct each each = { prefix, visit, arg };
	hash_each(t->entries, each_entry, &each);
}
