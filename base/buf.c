/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growing text buffer: doubles, and keeps one byte for the NUL behind its end. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

/* Makes room for `more` bytes and the NUL. */
static void buf_room(struct buf *b, size_t more)
{
	if (b->data && more < b->cap - b->len)
		return;
	/* a size that overflows is one that no machine has: let the allocator refuse it */
	size_t need = more > SIZE_MAX - b->len - 1 ? SIZE_MAX : b->len + more + 1;
	size_t cap = b->cap ? b->cap : 64;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	b->data = mem_grow(b->data, cap, 1);
	b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	buf_room(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *format, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	buf_room(b, 80);
	int n = vsnprintf(b->data + b->len, b->cap - b->len, format, ap);
	if (n < 0) {
		b->data[b->len] = '\0';
	} else {
		if ((size_t)n >= b->cap - b->len) {
			buf_room(b, (size_t)n);
			vsnprintf(b->data + b->len, b->cap - b->len, format, again);
		}
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(b, format, ap);
	va_end(ap);
}

const char *buf_cstr(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? b->data : mem_strn("", 0);

	*b = (struct buf)BUF_INIT;
	return data;
}
