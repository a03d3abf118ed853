/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See import.h. */
#include "origin/import.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { HEAD_MAX = 4096 };

static bool has(const char *text, size_t len, const char *word)
{
	return memmem(text, len < HEAD_MAX ? len : HEAD_MAX, word, strlen(word)) != NULL;
}

/* The first thing that is no blank and no comment. */
static bool begins(const char *text, size_t len, const char *word)
{
	size_t at = 0;

	while (at < len && (isspace((unsigned char)text[at]) || text[at] == '#')) {
		const char *end = text[at] == '#' ? memchr(text + at, '\n', len - at) : text + at;
		at = end ? (size_t)(end - text) + 1 : len;
	}
	return len - at >= strlen(word) && memcmp(text + at, word, strlen(word)) == 0;
}

static bool is_gml(const char *text, size_t len)
{
	return begins(text, len, "graph") || begins(text, len, "Creator") || begins(text, len, "Version");
}

static bool is_sndlib(const char *text, size_t len)
{
	return begins(text, len, "?SNDlib");
}

static bool is_sndlib_xml(const char *text, size_t len)
{
	return begins(text, len, "<") && has(text, len, "<network");
}

static bool is_rspec(const char *text, size_t len)
{
	return begins(text, len, "<") && has(text, len, "rspec");
}

static bool is_containerlab(const char *text, size_t len)
{
	return memmem(text, len, "topology:", 9) != NULL && !begins(text, len, "<");
}

/* Three words in the first line, the last of them a number. */
static bool is_rocketfuel(const char *text, size_t len)
{
	const char *end = memchr(text, '\n', len);
	size_t n = end ? (size_t)(end - text) : len, words = 0;
	bool number = true, blank = true;

	for (size_t i = 0; i < n && i < HEAD_MAX; i++) {
		bool space = isspace((unsigned char)text[i]);
		if (!space && blank) {
			words++;
			number = true;
		}
		number &= space || isdigit((unsigned char)text[i]) || text[i] == '.';
		blank = space;
	}
	return words == 3 && number;
}

const struct import_format import_formats[] = {
	{ "gml", "GML: Internet Topology Zoo, networkx, Virne", is_gml, import_gml },
	{ "sndlib", "SNDlib, native format", is_sndlib, import_sndlib },
	{ "sndlib-xml", "SNDlib, XML", is_sndlib_xml, import_sndlib_xml },
	{ "rspec", "GENI RSpec 3, advertisement or request", is_rspec, import_rspec },
	{ "latencies", "Rocketfuel, latencies in ms", is_rocketfuel, import_latencies },
	{ "weights", "Rocketfuel, weights: taken for latencies unless the file's name has weights in it", NULL,
	   import_weights },
	{ "containerlab", "containerlab topology", is_containerlab, import_containerlab },
	{ 0 },
};

const struct import_format *import_format_find(const char *name)
{
	for (const struct import_format *f = import_formats; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static const struct import_format *detect(const char *text, size_t len, const char *file)
{
	for (const struct import_format *f = import_formats; f->name; f++)
		if (f->is && f->is(text, len))
			return f->read == import_latencies && strstr(file, "weights") ? import_format_find("weights") : f;
	return NULL;
}

/* "zoo/Abilene.gml": Abilene. */
static char *name_of_file(const char *file)
{
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;

	return mem_strn(base, strcspn(base, "."));
}

int import_read(const struct import_format *format, const char *text, size_t len, const char *file, struct net *ret,
                struct err *err)
{
	net_init(ret);
	if (!format)
		format = detect(text, len, file);
	if (!format)
		return err_set(err, -EINVAL, "%s:1:1: not recognised; --from says what it is", file);
	int code = format->read(text, len, file, ret, err);
	if (code == 0 && ret->nodes.n == 0)
		code = err_set(err, -EINVAL, "%s:1:1: a network without nodes", file);
	if (code == 0 && (!ret->name || !*ret->name)) {
		free(ret->name);
		ret->name = name_of_file(file);
	}
	return code;
}
