/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses and names. */
#include "model/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t addr_bits(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

/* The part before the prefix. */
static int addr_parse_host(const char *text, size_t len, struct addr *ret)
{
	char host[INET6_ADDRSTRLEN];
	struct addr a = {0};

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, host, a.bytes) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	a.prefix = addr_bits(a.family);
	*ret = a;
	return 0;
}

int addr_parse(const char *text, struct addr *ret, struct err *err)
{
	const char *slash = strchr(text, '/');
	struct addr a;

	if (slash && addr_parse_host(text, (size_t)(slash - text), &a) == 0)
		return err_set(err, -EINVAL, "address \"%.50s\" has a prefix length; write %.*s", text, (int)(slash - text),
		               text);
	if (addr_parse_host(text, strlen(text), ret) < 0)
		return err_set(err, -EINVAL, "\"%.50s\" is not an IP address; expected one such as 192.0.2.1 or 2001:db8::1",
		               text);
	return 0;
}

int addr_parse_prefix(const char *text, struct addr *ret, struct err *err)
{
	const char *slash = strchr(text, '/');
	struct addr a;
	int64_t prefix;

	if (addr_parse_host(text, slash ? (size_t)(slash - text) : strlen(text), &a) < 0)
		return err_set(err, -EINVAL,
		               "\"%.50s\" is not an address with a prefix length; expected one such as 10.0.0.0/16 or "
		               "2001:db8::/48",
		               text);
	if (!slash)
		return err_set(err, -EINVAL, "address \"%.50s\" has no prefix length; expected one such as %.50s/%d", text,
		               text, a.family == AF_INET ? 24 : 64);
	if (units_integer(slash + 1, 0, a.prefix, &prefix, NULL) < 0 || (slash[1] == '0' && slash[2]))
		return err_set(err, -EINVAL, "the prefix length of \"%.50s\" is wrong; expected a whole number from 0 to %d",
		               text, a.prefix);
	a.prefix = (uint8_t)prefix;
	*ret = a;
	return 0;
}

const char *addr_host_text(const struct addr *a, char text[static ADDR_TEXT])
{
	if (!a->family || !inet_ntop(a->family, a->bytes, text, ADDR_TEXT))
		snprintf(text, ADDR_TEXT, "none");
	return text;
}

const char *addr_text(const struct addr *a, char text[static ADDR_TEXT])
{
	addr_host_text(a, text);
	if (a->family && a->prefix != addr_bits(a->family)) {
		size_t len = strlen(text);

		snprintf(text + len, ADDR_TEXT - len, "/%d", a->prefix);
	}
	return text;
}

bool addr_same(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->prefix == b->prefix && memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16) == 0;
}

void addr_network(const struct addr *a, struct addr *ret)
{
	struct addr network = *a;

	for (int i = 0; i < 16; i++) {
		int kept = a->prefix - 8 * i;

		if (kept <= 0)
			network.bytes[i] = 0;
		else if (kept < 8)
			network.bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
	*ret = network;
}

int addr_offset(const struct addr *pool, uint64_t offset, struct addr *ret, struct err *err)
{
	char text[ADDR_TEXT];
	struct addr a;
	int host_bits = addr_bits(pool->family) - pool->prefix;

	if (pool->family != AF_INET && pool->family != AF_INET6)
		return err_set(err, -ERANGE, "a pool without addresses");
	if (host_bits < 64 && offset >> host_bits)
		return err_set(err, -ERANGE, "pool %s has only %llu addresses", addr_text(pool, text),
		               (unsigned long long)(UINT64_C(1) << host_bits));
	addr_network(pool, &a);
	a.prefix = addr_bits(a.family);
	for (int i = a.prefix / 8 - 1; i >= 0 && offset; i--, offset >>= 8)
		a.bytes[i] |= (uint8_t)offset;
	*ret = a;
	return 0;
}

int name_check(const char *name, size_t len, struct err *err)
{
	if (!len)
		return err_set(err, -EINVAL, "a name is empty; expected 1 to %d letters, digits, \"_\" or \"-\"", NAME_MAX_LEN);
	if (len > NAME_MAX_LEN)
		return err_set(err, -EINVAL, "name \"%.20s…\" is too long; at most %d characters", name, NAME_MAX_LEN);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x80 && (isalnum(c) || (i && (c == '_' || c == '-'))))
			continue;
		if (i == 0 && (c == '_' || c == '-'))
			return err_set(err, -EINVAL, "name \"%.*s\" begins with \"%c\"; expected a letter or digit first",
			               (int)len, name, c);
		if (c > 0x20 && c < 0x7f)
			return err_set(err, -EINVAL,
			               "name \"%.*s\" has a \"%c\"; expected only letters, digits, \"_\" and \"-\"",
			               (int)len, name, c);
		return err_set(err, -EINVAL, "name \"%.*s\" has a character at %zu that is not allowed; expected only "
		               "letters, digits, \"_\" and \"-\"", (int)i, name, i + 1);
	}
	return 0;
}

/* Levenshtein's distance without regard to case, > max where it is more than max. Only the band of
 * the table in which a distance of max can lie is filled, one row of it at a time. */
static size_t edit_distance(const char *a, const char *b, size_t max)
{
	size_t la = strlen(a), lb = strlen(b), row[NAME_MAX_LEN + 2];

	if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN || (la > lb ? la - lb : lb - la) > max)
		return max + 1;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j; /* right of the band, too: more than max there */
	for (size_t i = 1; i <= la; i++) {
		size_t from = i > max ? i - max : 1, to = i + max < lb ? i + max : lb;
		size_t diagonal = row[from - 1], best = max + 1;

		row[from - 1] = i <= max ? i : max + 1;
		for (size_t j = from; j <= to; j++) {
			size_t change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
			size_t insert = row[j - 1] + 1, remove = row[j] + 1;

			diagonal = row[j];
			row[j] = change < insert ? change : insert;
			row[j] = row[j] < remove ? row[j] : remove;
			best = row[j] < best ? row[j] : best;
		}
		if (best > max)
			return max + 1;
	}
	return row[lb];
}

enum { TYPING_ERRORS = 3 };

const char *name_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t len = strlen(word);
	size_t best = (len < 3 ? 1 : (len + 2) / 3) + 1; /* one wrong letter in three is a typing error */
	const char *nearest = NULL;

	if (best > TYPING_ERRORS + 1)
		best = TYPING_ERRORS + 1;
	for (size_t i = 0; i < n && len; i++) {
		size_t d = candidates[i] ? edit_distance(word, candidates[i], best - 1) : best;

		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}
