/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growing text (or byte) buffer. Always NUL-terminated once anything was written. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL while empty */
	size_t len; /* without the terminating NUL */
	size_t cap;
};

#define BUF_INIT { NULL, 0, 0 }
#define buf_auto __attribute__((cleanup(buf_done)))

void buf_done(struct buf *b);  /* frees; the buffer is empty and usable afterwards */
void buf_clear(struct buf *b); /* len = 0, keeps the memory */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list ap);
const char *buf_cstr(const struct buf *b); /* "" while empty; owned by the buffer */
char *buf_take(struct buf *b);             /* caller frees; never NULL; the buffer is empty */
