/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See xml.h. */
#include "origin/xml.h"

#include <ctype.h>
#include <errno.h>
#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { DEPTH_MAX = 64, ELEMENTS_MAX = 4 << 20 };

struct builder {
	XML_Parser parser;
	const char *file;
	struct err *err;
	struct xml *root, *here;
	struct buf *texts; /* of the open elements, by depth */
	int depth;
	size_t elements;
	int code;
};

static void stop(struct builder *b, const char *what)
{
	if (b->code == 0)
		b->code = err_set(b->err, -EINVAL, "%s:%lu:%lu: %s", b->file, XML_GetCurrentLineNumber(b->parser),
		                  XML_GetCurrentColumnNumber(b->parser) + 1, what);
	XML_StopParser(b->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon && colon[1] ? colon + 1 : name;
}

static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
	stop(arg, "a document type; expected none, as it could define entities");
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct builder *b = arg;
	struct xml *e;
	size_t n = 0;

	if (b->code != 0) /* expat may finish what it has begun */
		return;
	if (b->depth >= DEPTH_MAX || ++b->elements > ELEMENTS_MAX) {
		stop(b, "too many elements, or too deep inside of each other");
		return;
	}
	e = mem_alloc(sizeof(*e));
	e->name = mem_str(local_name(name));
	e->line = (uint32_t)XML_GetCurrentLineNumber(b->parser);
	e->column = (uint32_t)XML_GetCurrentColumnNumber(b->parser) + 1;
	while (attributes[2 * n])
		n++;
	e->attributes = mem_array(n, sizeof(*e->attributes));
	e->n_attributes = n;
	for (size_t i = 0; i < n; i++)
		e->attributes[i] = (struct xml_attribute){ mem_str(local_name(attributes[2 * i])), mem_str(attributes[2 * i + 1]) };
	e->parent = b->here;
	if (!b->here)
		b->root = e;
	else if (b->here->last)
		b->here->last->next = e;
	else
		b->here->first = e;
	if (b->here)
		b->here->last = e;
	b->here = e;
	buf_clear(&b->texts[b->depth++]);
}

static void on_text(void *arg, const char *text, int len)
{
	struct builder *b = arg;

	if (b->depth > 0)
		buf_add(&b->texts[b->depth - 1], text, (size_t)len);
}

static void on_end(void *arg, const char *name)
{
	struct builder *b = arg;
	const char *text;
	size_t len;

	if (b->code != 0)
		return;
	text = buf_cstr(&b->texts[--b->depth]);
	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	b->here->text = mem_strn(text, len);
	b->here = b->here->parent;
}

int xml_parse(const char *text, size_t len, const char *file, struct xml **ret, struct err *err)
{
	struct buf texts[DEPTH_MAX] = { 0 };
	struct builder b = { .parser = XML_ParserCreate(NULL), .file = file, .err = err, .texts = texts };

	if (!b.parser)
		return err_set(err, -ENOMEM, "no memory for the XML parser");
	XML_SetUserData(b.parser, &b);
	XML_SetElementHandler(b.parser, on_start, on_end);
	XML_SetCharacterDataHandler(b.parser, on_text);
	XML_SetStartDoctypeDeclHandler(b.parser, on_doctype);
	/* in pieces, as expat counts in int */
	for (size_t at = 0; b.code == 0 && at <= len; at += 1 << 20) {
		size_t piece = len - at < 1 << 20 ? len - at : 1 << 20;
		if (XML_Parse(b.parser, text + at, (int)piece, at + piece == len) == XML_STATUS_ERROR)
			stop(&b, XML_ErrorString(XML_GetErrorCode(b.parser)));
		if (at + piece == len)
			break;
	}
	XML_ParserFree(b.parser);
	for (size_t i = 0; i < DEPTH_MAX; i++)
		buf_done(&texts[i]);
	if (b.code == 0)
		*ret = b.root;
	else
		xml_free(b.root);
	return b.code;
}

/* The depth is bounded: recursion is safe. */
void xml_free(struct xml *e)
{
	while (e) {
		struct xml *next = e->next;
		xml_free(e->first);
		for (size_t i = 0; i < e->n_attributes; i++) {
			free(e->attributes[i].key);
			free(e->attributes[i].value);
		}
		free(e->attributes);
		free(e->name);
		free(e->text);
		free(e);
		e = next;
	}
}

const char *xml_attribute(const struct xml *e, const char *key)
{
	for (size_t i = 0; i < e->n_attributes; i++)
		if (strcmp(e->attributes[i].key, key) == 0)
			return e->attributes[i].value;
	return NULL;
}

static const struct xml *named(const struct xml *e, const char *name)
{
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

const struct xml *xml_child(const struct xml *e, const char *name)
{
	return e ? named(e->first, name) : NULL;
}

const struct xml *xml_next(const struct xml *e, const char *name)
{
	return named(e->next, name);
}

int xml_fault(const struct xml *e, const char *file, struct err *err, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return err_set(err, -EINVAL, "%s:%u:%u: %s", file, e->line, e->column, text);
}
