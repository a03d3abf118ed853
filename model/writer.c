/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: keeps what it is told as a tree, for text needs to know a whole table before it can
 * lay out its first line, and one tree serves both forms. */
#include "model/writer.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/writer_tree.h"

struct writer {
	bool json, colour;
	struct item root, *open;
};

static struct writer *writer_new(bool json, bool colour)
{
	struct writer *w = mem_alloc(sizeof(*w));

	w->json = json;
	w->colour = colour;
	w->root.type = ITEM_LIST;
	w->open = &w->root;
	return w;
}

struct writer *writer_json(void)
{
	return writer_new(true, false);
}

struct writer *writer_text(bool colour)
{
	return writer_new(false, colour);
}

/* Frees what is inside an item, without recursion: an item's children are put before its siblings. */
static void free_items(struct item *first)
{
	while (first) {
		struct item *item = first;

		first = item->next;
		if (item->first) {
			item->last->next = first;
			first = item->first;
		}
		free(item->key);
		free(item->title);
		free(item->text);
		free(item);
	}
}

void writer_finish(struct writer *w, struct buf *out)
{
	assert(w->open == &w->root); /* every object and list was ended */
	if (w->json)
		writer_dump_json(&w->root, out);
	else
		writer_dump_text(&w->root, w->colour, out);
	free_items(w->root.first);
	free(w);
}

static struct item *add(struct writer *w, enum item_type type, const char *key, const char *title)
{
	struct item *item = mem_alloc(sizeof(*item));

	item->type = type;
	item->key = mem_str(key);
	item->title = mem_str(title);
	item->parent = w->open;
	if (w->open->last)
		w->open->last->next = item;
	else
		w->open->first = item;
	w->open->last = item;
	return item;
}

void write_object(struct writer *w, const char *key, const char *title)
{
	w->open = add(w, ITEM_OBJECT, key, title);
}

void write_list(struct writer *w, const char *key, const char *title)
{
	w->open = add(w, ITEM_LIST, key, title);
}

void write_end(struct writer *w)
{
	assert(w->open != &w->root);
	w->open = w->open->parent;
}

void write_string(struct writer *w, const char *key, const char *title, const char *value)
{
	if (value)
		add(w, ITEM_STRING, key, title)->text = mem_str(value);
}

void write_int(struct writer *w, const char *key, const char *title, int64_t value)
{
	add(w, ITEM_INT, key, title)->integer = value;
}

void write_number(struct writer *w, const char *key, const char *title, double value, int decimals)
{
	struct item *item;

	if (!isfinite(value))
		return;
	item = add(w, ITEM_NUMBER, key, title);
	item->number = value;
	item->decimals = decimals;
}

void write_bool(struct writer *w, const char *key, const char *title, bool value)
{
	add(w, ITEM_BOOL, key, title)->integer = value;
}

void write_quantity(struct writer *w, const char *key, const char *title, double value, const char *text)
{
	struct item *item;

	if (!isfinite(value))
		return;
	item = add(w, ITEM_QUANTITY, key, title);
	item->number = value;
	item->text = mem_str(text);
}

void write_line(struct writer *w, const char *format, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	add(w, ITEM_LINE, NULL, "")->text = buf_take(&text);
}
