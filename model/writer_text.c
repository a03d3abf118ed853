/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree as text for people: writer.h says how. Widths are counted in columns of a terminal,
 * not in bytes, so that "Zürich" and "東京" stand straight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "model/writer_tree.h"

enum { BAR_CELLS = 10, INDENT = 2, GAP = 2 };

struct layout {
	bool colour;
	struct buf *out;
};

/* ---- width ------------------------------------------------------------------------------ */

static uint32_t utf8_next(const char **at)
{
	const unsigned char *s = (const unsigned char *)*at;
	uint32_t c = *s++;
	int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	c = more == 3 ? c & 7 : more == 2 ? c & 15 : more == 1 ? c & 31 : c;
	while (more-- && (*s & 0xc0) == 0x80)
		c = c << 6 | (*s++ & 63);
	*at = (const char *)s;
	return c;
}

static size_t columns_of(uint32_t c)
{
	static const struct { uint32_t first, last; size_t columns; } ranges[] = {
		{ 0x0300, 0x036f, 0 }, { 0x1100, 0x115f, 2 }, { 0x200b, 0x200f, 0 }, { 0x20d0, 0x20ff, 0 },
		{ 0x2e80, 0xa4cf, 2 }, { 0xac00, 0xd7a3, 2 }, { 0xf900, 0xfaff, 2 }, { 0xfe00, 0xfe0f, 0 },
		{ 0xfe30, 0xfe6f, 2 }, { 0xff00, 0xff60, 2 }, { 0xffe0, 0xffe6, 2 }, { 0x1f300, 0x1faff, 2 },
		{ 0x20000, 0x3fffd, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(ranges) && c >= ranges[i].first; i++)
		if (c <= ranges[i].last)
			return ranges[i].columns;
	return 1;
}

static size_t width_of(const char *text)
{
	size_t width = 0;

	while (*text)
		width += columns_of(utf8_next(&text));
	return width;
}

static void put_blanks(struct buf *out, size_t n)
{
	while (n--)
		buf_char(out, ' ');
}

/* ---- values ----------------------------------------------------------------------------- */

/* Without anything that a terminal would obey; C1 controls (0xc2 0x80 … 0x9f) included. */
static void put_clean(struct buf *out, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f)
			buf_printf(out, "\\x%02x", *++s);
		else if (*s < 0x20 || *s == 0x7f)
			buf_printf(out, "\\x%02x", *s);
		else
			buf_char(out, (char)*s);
	}
}

static bool is_ratio(const struct item *item)
{
	size_t n = item->key ? strlen(item->key) : 0;

	return n > 6 && strcmp(item->key + n - 6, "_ratio") == 0;
}

static void put_ratio(struct buf *out, double ratio, bool bar)
{
	double filled = (ratio < 0 ? 0 : ratio > 1 ? 1 : ratio) * BAR_CELLS;

	for (int i = 0; bar && i < BAR_CELLS; i++)
		buf_str(out, filled >= i + 0.75 ? "█" : filled >= i + 0.25 ? "▌" : "░");
	buf_printf(out, bar ? " %3.0f %%" : "%.0f %%", 100 * ratio);
}

static bool is_scalar(const struct item *item)
{
	return item->type != ITEM_OBJECT && item->type != ITEM_LIST && item->type != ITEM_LINE;
}

static bool is_numeric(const struct item *item)
{
	return item->type == ITEM_INT || item->type == ITEM_NUMBER || item->type == ITEM_QUANTITY;
}

/* The value of a scalar, or of a list of scalars with blanks between. */
static void put_value(const struct layout *l, struct buf *out, const struct item *item)
{
	switch (item->type) {
	case ITEM_STRING:
	case ITEM_QUANTITY:
	case ITEM_LINE:
		put_clean(out, item->text ? item->text : "");
		break;
	case ITEM_INT:
		buf_printf(out, "%lld", (long long)item->integer);
		break;
	case ITEM_NUMBER:
		if (is_ratio(item))
			put_ratio(out, item->number, l->colour);
		else
			buf_printf(out, "%.*f", item->decimals, item->number);
		break;
	case ITEM_BOOL:
		buf_str(out, item->integer ? "yes" : "no");
		break;
	case ITEM_LIST:
		for (const struct item *i = item->first; i; i = i->next) {
			put_value(l, out, i);
			if (i->next)
				buf_char(out, ' ');
		}
		break;
	case ITEM_OBJECT:
		break;
	}
}

static const char *colour_of(const struct layout *l, const struct item *item)
{
	static const struct { const char *word, *colour; } words[] = {
		{ "active", "\033[32m" }, { "up", "\033[32m" }, { "running", "\033[32m" }, { "optimal", "\033[32m" },
		{ "feasible", "\033[32m" }, { "degraded", "\033[33m" }, { "updating", "\033[33m" },
		{ "planned", "\033[33m" }, { "preparing", "\033[33m" }, { "committing", "\033[33m" },
		{ "releasing", "\033[33m" }, { "starting", "\033[33m" }, { "unknown", "\033[33m" },
		{ "never seen", "\033[33m" }, { "rejected", "\033[31m" }, { "failed", "\033[31m" },
		{ "down", "\033[31m" }, { "absent", "\033[31m" }, { "infeasible", "\033[31m" }, { "refused", "\033[31m" },
	};

	if (!l->colour || item->type != ITEM_STRING || !item->key ||
	    (strcmp(item->key, "state") != 0 && strcmp(item->key, "status") != 0))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, item->text) == 0)
			return words[i].colour;
	return NULL;
}

static void put_cell(const struct layout *l, const char *text, const char *colour)
{
	if (colour)
		buf_str(l->out, colour);
	buf_str(l->out, text);
	if (colour)
		buf_str(l->out, "\033[0m");
}

/* ---- tables ----------------------------------------------------------------------------- */

struct column {
	const char *title;
	size_t width;
	bool numeric; /* every cell that there is */
};

struct table {
	VEC(struct column) columns;
	size_t n_rows;
	const struct item **cells; /* row after row; NULL where the row lacks it */
	char **texts;
};

static bool list_of_scalars(const struct item *list)
{
	for (const struct item *i = list->first; i; i = i->next)
		if (!is_scalar(i))
			return false;
	return true;
}

static bool fits_cell(const struct item *item)
{
	return is_scalar(item) || (item->type == ITEM_LIST && list_of_scalars(item));
}

/* Whether all that is shown of a list is objects that fit a row each. */
static bool is_table(const struct item *list)
{
	for (const struct item *row = list->first; row; row = row->next) {
		if (row->type == ITEM_LINE)
			continue;
		if (row->type != ITEM_OBJECT)
			return false;
		for (const struct item *i = row->first; i; i = i->next)
			if (i->title && !fits_cell(i))
				return false;
	}
	return true;
}

/* The column of that title; rows are alike, so it is nearly always the one behind the last found. */
static size_t column_of(struct table *t, const char *title, size_t expected)
{
	if (expected < t->columns.n && strcmp(t->columns.v[expected].title, title) == 0)
		return expected;
	for (size_t i = 0; i < t->columns.n; i++)
		if (strcmp(t->columns.v[i].title, title) == 0)
			return i;
	*vec_add(&t->columns) = (struct column){ .title = title, .width = width_of(title), .numeric = true };
	return t->columns.n - 1;
}

static void collect_columns(struct table *t, const struct item *list)
{
	for (const struct item *row = list->first; row; row = row->next) {
		size_t next = 0;

		if (row->type == ITEM_LINE)
			continue;
		t->n_rows++;
		for (const struct item *i = row->first; i; i = i->next)
			if (i->title)
				next = column_of(t, i->title, next) + 1;
	}
}

static void collect_cells(const struct layout *l, struct table *t, const struct item *list)
{
	size_t n = 0;

	t->cells = mem_array(t->n_rows * t->columns.n, sizeof(*t->cells));
	t->texts = mem_array(t->n_rows * t->columns.n, sizeof(*t->texts));
	for (const struct item *row = list->first; row; row = row->next) {
		size_t next = 0;

		if (row->type == ITEM_LINE)
			continue;
		for (const struct item *i = row->first; i; i = i->next) {
			struct buf text = BUF_INIT;
			struct column *column;
			size_t k, width;

			if (!i->title)
				continue;
			k = column_of(t, i->title, next);
			next = k + 1;
			if (t->cells[n + k])
				continue;
			put_value(l, &text, i);
			t->cells[n + k] = i;
			t->texts[n + k] = buf_take(&text);
			column = &t->columns.v[k];
			width = width_of(t->texts[n + k]);
			column->width = width > column->width ? width : column->width;
			column->numeric &= is_numeric(i);
		}
		n += t->columns.n;
	}
}

static void put_row(const struct layout *l, const struct table *t, size_t row, bool header, size_t indent)
{
	size_t pending = indent; /* blanks are put only before something: no line ends in one */

	for (size_t k = 0; k < t->columns.n; k++) {
		const struct column *column = &t->columns.v[k];
		const struct item *item = header ? NULL : t->cells[row * t->columns.n + k];
		const char *text = header ? column->title : item ? t->texts[row * t->columns.n + k] : "-";
		size_t width;

		if (!*text && !header)
			text = "-";
		width = width_of(text);
		if (column->numeric)
			pending += column->width - width;
		if (*text) {
			put_blanks(l->out, pending);
			put_cell(l, text, header && l->colour ? "\033[1m" : item ? colour_of(l, item) : NULL);
			pending = 0;
		} else {
			pending += width;
		}
		if (!column->numeric)
			pending += column->width - width;
		pending += GAP;
	}
	buf_char(l->out, '\n');
}

static void put_table(const struct layout *l, const struct item *list, size_t indent)
{
	struct table t = { .n_rows = 0 };

	collect_columns(&t, list);
	collect_cells(l, &t, list);
	if (t.columns.n)
		put_row(l, &t, 0, true, indent);
	for (size_t row = 0; t.columns.n && row < t.n_rows; row++)
		put_row(l, &t, row, false, indent);
	for (size_t i = 0; i < t.n_rows * t.columns.n; i++)
		free(t.texts[i]);
	free(t.cells);
	free(t.texts);
	vec_done(&t.columns);
}

/* ---- blocks ----------------------------------------------------------------------------- */

static void put_container(const struct layout *l, const struct item *item, size_t indent);

static void put_text_line(const struct layout *l, const struct item *item, size_t indent)
{
	put_blanks(l->out, *item->text ? indent : 0);
	put_value(l, l->out, item);
	buf_char(l->out, '\n');
}

static void put_field(const struct layout *l, const struct item *item, size_t indent, size_t width)
{
	buf_auto struct buf text = BUF_INIT;

	put_value(l, &text, item);
	put_blanks(l->out, indent);
	put_cell(l, item->title, l->colour ? "\033[1m" : NULL);
	if (text.len)
		put_blanks(l->out, width - width_of(item->title) + GAP);
	put_cell(l, buf_cstr(&text), colour_of(l, item));
	buf_char(l->out, '\n');
}

static void put_object(const struct layout *l, const struct item *object, size_t indent)
{
	size_t width = 0;

	for (const struct item *i = object->first; i; i = i->next)
		if (i->title && i->type != ITEM_LINE && fits_cell(i) && width_of(i->title) > width)
			width = width_of(i->title);
	for (const struct item *i = object->first; i; i = i->next) {
		if (!i->title)
			continue;
		if (i->type == ITEM_LINE)
			put_text_line(l, i, indent);
		else if (is_scalar(i) || (i->type == ITEM_LIST && i->first && list_of_scalars(i)))
			put_field(l, i, indent, width);
		else
			put_container(l, i, indent);
	}
}

static void put_list(const struct layout *l, const struct item *list, size_t indent)
{
	bool first = true;

	if (list_of_scalars(list) && list->first) {
		for (const struct item *i = list->first; i; i = i->next)
			put_text_line(l, i, indent);
		return;
	}
	if (is_table(list)) {
		put_table(l, list, indent);
		for (const struct item *i = list->first; i; i = i->next)
			if (i->type == ITEM_LINE)
				put_text_line(l, i, indent);
		return;
	}
	for (const struct item *i = list->first; i; i = i->next) {
		if (!first)
			buf_char(l->out, '\n');
		first = false;
		if (i->type == ITEM_OBJECT)
			put_object(l, i, indent);
		else if (i->type == ITEM_LIST)
			put_list(l, i, indent);
		else
			put_text_line(l, i, indent);
	}
}

/* An object or list with its heading. */
static void put_container(const struct layout *l, const struct item *item, size_t indent)
{
	if (item->title && *item->title) {
		put_blanks(l->out, indent);
		put_cell(l, item->title, l->colour ? "\033[1m" : NULL);
		buf_str(l->out, item->first ? ":\n" : ": none\n");
		indent += INDENT;
	}
	if (item->type == ITEM_OBJECT)
		put_object(l, item, indent);
	else
		put_list(l, item, indent);
}

void writer_dump_text(const struct item *root, bool colour, struct buf *out)
{
	struct layout l = { .colour = colour, .out = out };

	for (const struct item *i = root->first; i; i = i->next) {
		if (i->type == ITEM_OBJECT || i->type == ITEM_LIST)
			put_container(&l, i, 0);
		else
			put_text_line(&l, i, 0);
	}
}
