/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A map from names to values, and one from numbers to values. Keys are copied. Expected
 * O(1); the string hash is seeded per process (SipHash or the like), so that nobody outside
 * can choose names that collide. Iteration is in order of insertion while nothing was removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash;
struct hash *hash_new(void);
void hash_free(struct hash *h, void (*free_value)(void *)); /* h and free_value may be NULL */
size_t hash_count(const struct hash *h);

void *hash_get(const struct hash *h, const char *key);             /* NULL where absent */
void *hash_put(struct hash *h, const char *key, void *value);      /* the value it replaced, or NULL */
void *hash_del(struct hash *h, const char *key);                   /* the value removed, or NULL */
void *hash_get_u64(const struct hash *h, uint64_t key);
void *hash_put_u64(struct hash *h, uint64_t key, void *value);
void *hash_del_u64(struct hash *h, uint64_t key);

/* Index maps: the same with a size_t as value; SIZE_MAX where absent. */
size_t hash_index(const struct hash *h, const char *key);
bool hash_index_put(struct hash *h, const char *key, size_t index); /* false: was there, unchanged */

/* Visits all; `visit` may remove the entry that it is given, nothing else. */
void hash_each(struct hash *h, void (*visit)(void *value, void *arg), void *arg);
