/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the journal in which older releases kept their store, once, to put it into the present one.
 *
 * File: "vnestore1\n", then records: u32 length of the body, u32 CRC-32 of the body, u32 CRC-32 of
 * these two; body: u64 revision, u32 count, then per operation u32 length of the key, u32 length of
 * the value (~0: delete), key, value. Little endian. A record cut short at the very end is what a
 * crash left and was never acknowledged; damage anywhere else is refused, the file left alone. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/store_db.h"

static const char magic[] = "vnestore1\n";
enum { HEAD = sizeof(magic) - 1, RECORD_HEAD = 12, BODY_HEAD = 12 };
#define DELETED UINT32_MAX

/* The CRC-32 of Ethernet and zip, four bits at a time. */
static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = ~0u;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
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

/* Applies one body, whose CRC was right; false where it makes no sense all the same. */
static bool replay_body(struct store_table *table, uint64_t *revision, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	if (len < BODY_HEAD || get_u64(p) <= *revision)
		return false;
	*revision = get_u64(p);
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
		store_table_apply(table, &op, 1);
		p += key_len + value_bytes;
	}
	return p == end;
}

static int damaged(const char *path, size_t offset, struct err *err)
{
	return err_set(err, -EBADMSG, "%s: damaged at byte %zu, and left as it is: restore a backup, or move it away to start "
	               "with no networks", path, offset);
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

static int replay(struct store_table *table, uint64_t *revision, const char *path, const uint8_t *data, size_t len,
                  struct err *err)
{
	size_t at = HEAD;
	if (len < HEAD || memcmp(data, magic, HEAD) != 0)
		return damaged(path, 0, err);
	while (len - at >= RECORD_HEAD) {
		size_t body = get_u32(data + at), left = len - at - RECORD_HEAD;
		const uint8_t *p = data + at + RECORD_HEAD;
		if (all_zero(data + at, len - at))
			return 0;
		if (crc32_of(data + at, 8) != get_u32(data + at + 8))
			return damaged(path, at, err);
		if (body > left)
			return 0; /* cut short by a crash */
		if (crc32_of(p, body) != get_u32(data + at + 4))
			return body == left || all_zero(p + body, left - body) ? 0 : damaged(path, at, err);
		if (!replay_body(table, revision, p, body))
			return damaged(path, at, err);
		at += RECORD_HEAD + body;
	}
	return 0;
}

int store_import(const char *dir, struct store_table *into, uint64_t *ret_revision, bool *ret_found, struct err *err)
{
	mem_auto char *path = mem_printf("%s/journal", dir);
	struct stat st;
	*ret_found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", path);
	int r = fstat(fd, &st) < 0 ? err_sys(err, -errno, "%s", path) : 0;
	size_t len = r == 0 ? (size_t)st.st_size : 0, got = 0;
	mem_auto uint8_t *data = mem_alloc(len + 1);
	while (r == 0 && got < len) {
		ssize_t n = read(fd, data + got, len - got);
		if (n <= 0)
			r = n < 0 ? err_sys(err, -errno, "%s", path) : err_set(err, -EIO, "%s: shrank while it was read", path);
		else
			got += (size_t)n;
	}
	close(fd);
	if (r == 0)
		r = replay(into, ret_revision, path, data, len, err);
	*ret_found = r == 0;
	return r;
}

void store_import_done(const char *dir)
{
	mem_auto char *path = mem_printf("%s/journal", dir), *aside = mem_printf("%s.imported", path);
	if (rename(path, aside) == 0)
		log_info("%s: taken over into store.db, and kept as %s", path, aside);
	else if (errno != ENOENT)
		log_warn("%s: taken over into store.db; it cannot be renamed: %s", path, strerror(errno));
}
