/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a writer has been told, as a tree; between writer.c, which grows it, and the two that
 * write it out. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum item_type { ITEM_OBJECT, ITEM_LIST, ITEM_STRING, ITEM_INT, ITEM_NUMBER, ITEM_BOOL, ITEM_QUANTITY, ITEM_LINE };

struct item {
	enum item_type type;
	char *key, *title; /* NULL as in writer.h */
	char *text;        /* STRING, LINE; QUANTITY: the form for people */
	int64_t integer;   /* INT; BOOL: 0, 1 */
	double number;     /* NUMBER, QUANTITY; finite */
	int decimals;
	struct item *first, *last, *parent; /* of containers, in order */
	struct item *next;
};

/* root is a list that holds what stands at the top. */
void writer_dump_text(const struct item *root, bool colour, struct buf *out);
void writer_dump_json(const struct item *root, struct buf *out);
