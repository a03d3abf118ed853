/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree as JSON; the only file that knows jansson.
 *
 * Reals are written with 15 digits: whatever was a decimal of up to 15 digits comes out as it was
 * (0.1, not 0.10000000000000001), and jansson keeps a real a real (21.0, not 21). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/writer_tree.h"

static json_t *must(json_t *json)
{
	if (!json)
		free(mem_alloc(SIZE_MAX)); /* jansson is out of memory, and so are we: ends here as mem.h says */
	return json;
}

/* Length of the valid UTF-8 sequence at s, 0 where there is none. */
static size_t utf8_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1 : u[0] >= 0xc2 && u[0] <= 0xdf ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 :
		u[0] >= 0xf0 && u[0] <= 0xf4 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf0 && u[1] < 0x90) ||
	    (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

/* Text that may have been cut in the middle of a character, or come from anywhere. */
static json_t *string_json(const char *text)
{
	json_t *json = json_string(text);
	buf_auto struct buf clean = BUF_INIT;

	if (json)
		return json;
	while (*text) {
		size_t n = utf8_length(text);

		if (n)
			buf_add(&clean, text, n);
		else
			buf_str(&clean, "\xef\xbf\xbd");
		text += n ? n : 1;
	}
	return must(json_string(buf_cstr(&clean)));
}

static json_t *item_json(const struct item *item)
{
	json_t *json;

	switch (item->type) {
	case ITEM_STRING:
		return string_json(item->text);
	case ITEM_INT:
		return must(json_integer(item->integer));
	case ITEM_NUMBER:
	case ITEM_QUANTITY:
		return must(json_real(item->number));
	case ITEM_BOOL:
		return json_boolean(item->integer);
	case ITEM_LIST:
		json = must(json_array());
		for (const struct item *i = item->first; i; i = i->next)
			if (i->type != ITEM_LINE)
				json_array_append_new(json, item_json(i));
		return json;
	case ITEM_OBJECT:
		json = must(json_object());
		for (const struct item *i = item->first; i; i = i->next)
			if (i->key)
				json_object_set_new(json, i->key, item_json(i));
		return json;
	case ITEM_LINE:
		break;
	}
	return json_null();
}

void writer_dump_json(const struct item *root, struct buf *out)
{
	for (const struct item *i = root->first; i; i = i->next) {
		json_t *json;
		char *text;

		if (i->type == ITEM_LINE)
			continue;
		json = item_json(i);
		text = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
		json_decref(json);
		buf_str(out, text ? text : "null");
		buf_char(out, '\n');
		free(text);
	}
}
