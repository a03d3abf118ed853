/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Maps by name and by number. Entries stand in one array in order of insertion, and an
 * open-addressed table of positions finds them: iteration is a walk, growth moves no entry
 * but to a larger array. A removed entry leaves a hole, which the next growth closes; an empty
 * slot ends a search, a slot of a removed entry does not.
 *
 * Names are hashed with SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF",
 * 2012) under a key drawn at the first use, numbers with the same function over their bytes. */
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

struct entry {
	char *name; /* NULL: the key is `number` */
	uint64_t number;
	uint64_t hash;
	union {
		void *value;
		size_t index;
	} u;
	bool used;
};

enum { SLOT_EMPTY = 0, SLOT_REMOVED = 1, SLOT_FIRST = 2 }; /* a slot holds SLOT_FIRST + position */

struct hash {
	struct entry *entries;
	size_t n, cap; /* entries, holes included */
	size_t count;  /* without holes */
	size_t *slots;
	size_t n_slots; /* a power of two, or 0 */
};

static uint64_t hash_key[2];
static bool hash_keyed;

static void hash_seed(void)
{
	if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) != (ssize_t)sizeof(hash_key)) {
		/* early at boot: less to guess from, but still not the same twice */
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		hash_key[0] ^= (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
		hash_key[1] ^= (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&now;
	}
	hash_keyed = true;
}

static inline uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1]; v[1] = rotate(v[1], 13); v[1] ^= v[0]; v[0] = rotate(v[0], 32);
	v[2] += v[3]; v[3] = rotate(v[3], 16); v[3] ^= v[2];
	v[0] += v[3]; v[3] = rotate(v[3], 21); v[3] ^= v[0];
	v[2] += v[1]; v[1] = rotate(v[1], 17); v[1] ^= v[2]; v[2] = rotate(v[2], 32);
}

static uint64_t hash_bytes(const void *data, size_t len)
{
	if (!hash_keyed)
		hash_seed();
	const unsigned char *p = data;
	uint64_t v[4] = {
		hash_key[0] ^ UINT64_C(0x736f6d6570736575), hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
		hash_key[0] ^ UINT64_C(0x6c7967656e657261), hash_key[1] ^ UINT64_C(0x7465646279746573),
	};
	uint64_t last = (uint64_t)len << 56;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t m;

		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct hash *hash_new(void)
{
	return mem_alloc(sizeof(struct hash));
}

void hash_free(struct hash *h, void (*free_value)(void *))
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++) {
		if (!h->entries[i].used)
			continue;
		if (free_value)
			free_value(h->entries[i].u.value);
		free(h->entries[i].name);
	}
	free(h->entries);
	free(h->slots);
	free(h);
}

size_t hash_count(const struct hash *h)
{
	return h->count;
}

static bool entry_is(const struct entry *e, uint64_t hash, const char *name, uint64_t number)
{
	if (e->hash != hash)
		return false;
	return name ? e->name && strcmp(e->name, name) == 0 : !e->name && e->number == number;
}

/* The slot that holds the key, or SIZE_MAX. */
static size_t hash_slot(const struct hash *h, uint64_t hash, const char *name, uint64_t number)
{
	if (!h->n_slots)
		return SIZE_MAX;
	for (size_t i = hash & (h->n_slots - 1);; i = (i + 1) & (h->n_slots - 1)) {
		if (h->slots[i] == SLOT_EMPTY)
			return SIZE_MAX;
		if (h->slots[i] >= SLOT_FIRST &&
		    entry_is(&h->entries[h->slots[i] - SLOT_FIRST], hash, name, number))
			return i;
	}
}

/* Makes room for one more entry: closes the holes, at least doubles the slots where that is
 * not enough, and enters everything anew. */
static void hash_room(struct hash *h)
{
	if (h->n_slots && h->n + 1 <= h->n_slots / 2)
		return;
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		if (h->entries[i].used)
			h->entries[n++] = h->entries[i];
	h->n = n;
	size_t n_slots = 16;

	while (n_slots < 4 * (n + 1))
		n_slots *= 2;
	free(h->slots);
	h->slots = mem_array(n_slots, sizeof(*h->slots));
	h->n_slots = n_slots;
	h->cap = n_slots / 2;
	h->entries = mem_grow(h->entries, h->cap, sizeof(*h->entries));
	for (size_t e = 0; e < n; e++) {
		size_t i = h->entries[e].hash & (n_slots - 1);

		while (h->slots[i] != SLOT_EMPTY)
			i = (i + 1) & (n_slots - 1);
		h->slots[i] = SLOT_FIRST + e;
	}
}

static struct entry *hash_find(const struct hash *h, const char *name, uint64_t number)
{
	uint64_t hash = name ? hash_bytes(name, strlen(name)) : hash_bytes(&number, sizeof(number));
	size_t slot = hash_slot(h, hash, name, number);

	return slot == SIZE_MAX ? NULL : &h->entries[h->slots[slot] - SLOT_FIRST];
}

/* For a key that is not there. */
static struct entry *hash_insert(struct hash *h, const char *name, uint64_t number)
{
	hash_room(h);
	uint64_t hash = name ? hash_bytes(name, strlen(name)) : hash_bytes(&number, sizeof(number));
	size_t i = hash & (h->n_slots - 1);

	while (h->slots[i] != SLOT_EMPTY)
		i = (i + 1) & (h->n_slots - 1);
	struct entry *e = &h->entries[h->n];

	*e = (struct entry){.name = mem_str(name), .number = number, .hash = hash, .used = true};
	h->slots[i] = SLOT_FIRST + h->n++;
	h->count++;
	return e;
}

static void *hash_set(struct hash *h, const char *name, uint64_t number, void *value)
{
	struct entry *e = hash_find(h, name, number);
	void *old = e ? e->u.value : NULL;

	if (!e)
		e = hash_insert(h, name, number);
	e->u.value = value;
	return old;
}

static void *hash_remove(struct hash *h, const char *name, uint64_t number)
{
	uint64_t hash = name ? hash_bytes(name, strlen(name)) : hash_bytes(&number, sizeof(number));
	size_t slot = hash_slot(h, hash, name, number);

	if (slot == SIZE_MAX)
		return NULL;
	struct entry *e = &h->entries[h->slots[slot] - SLOT_FIRST];

	h->slots[slot] = SLOT_REMOVED;
	h->count--;
	e->used = false;
	free(e->name);
	e->name = NULL;
	return e->u.value;
}

void *hash_get(const struct hash *h, const char *key)
{
	struct entry *e = hash_find(h, key, 0);

	return e ? e->u.value : NULL;
}

void *hash_put(struct hash *h, const char *key, void *value)
{
	return hash_set(h, key, 0, value);
}

void *hash_del(struct hash *h, const char *key)
{
	return hash_remove(h, key, 0);
}

void *hash_get_u64(const struct hash *h, uint64_t key)
{
	struct entry *e = hash_find(h, NULL, key);

	return e ? e->u.value : NULL;
}

void *hash_put_u64(struct hash *h, uint64_t key, void *value)
{
	return hash_set(h, NULL, key, value);
}

void *hash_del_u64(struct hash *h, uint64_t key)
{
	return hash_remove(h, NULL, key);
}

size_t hash_index(const struct hash *h, const char *key)
{
	struct entry *e = hash_find(h, key, 0);

	return e ? e->u.index : SIZE_MAX;
}

bool hash_index_put(struct hash *h, const char *key, size_t index)
{
	if (hash_find(h, key, 0))
		return false;
	hash_insert(h, key, 0)->u.index = index;
	return true;
}

void hash_each(struct hash *h, void (*visit)(void *value, void *arg), void *arg)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->entries[i].used)
			visit(h->entries[i].u.value, arg);
}
