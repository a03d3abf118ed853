/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors with a reason: text is formatted aside first, so that a caller may pass err->text
 * itself as an argument. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Puts what was formatted (and cut, when `len` says so) into err, never splitting a UTF-8 character. */
static void err_store(struct err *err, const char *text, size_t len)
{
	static const char cut[] = "…";
	size_t n = len;

	if (len >= ERR_TEXT_MAX) {
		n = ERR_TEXT_MAX - sizeof(cut);
		while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		memcpy(err->text, text, n);
		memcpy(err->text + n, cut, sizeof(cut));
		n += sizeof(cut) - 1;
	} else {
		memcpy(err->text, text, n);
		err->text[n] = '\0';
	}
	for (size_t i = 0; i < n; i++)
		if (err->text[i] == '\n' || err->text[i] == '\r')
			err->text[i] = ' ';
}

enum { ERR_SCRATCH = 2 * ERR_TEXT_MAX };

static size_t err_format(char text[static ERR_SCRATCH], const char *format, va_list ap)
{
	int n = vsnprintf(text, ERR_SCRATCH, format, ap);

	if (n < 0) {
		text[0] = '\0';
		return 0;
	}
	return n < ERR_SCRATCH ? (size_t)n : ERR_SCRATCH - 1;
}

static size_t err_append(char text[static ERR_SCRATCH], size_t len, const char *more)
{
	int n = snprintf(text + len, ERR_SCRATCH - len, ": %s", more);

	if (n < 0)
		return len;
	return len + (size_t)n < ERR_SCRATCH ? len + (size_t)n : ERR_SCRATCH - 1;
}

int err_set(struct err *err, int code, const char *format, ...)
{
	char text[ERR_SCRATCH];
	va_list ap;

	if (!err)
		return code;
	va_start(ap, format);
	size_t len = err_format(text, format, ap);
	va_end(ap);
	err->code = code;
	err_store(err, text, len);
	return code;
}

int err_sys(struct err *err, int code, const char *format, ...)
{
	char text[ERR_SCRATCH], reason[128];
	va_list ap;

	if (!err)
		return code;
	va_start(ap, format);
	size_t len = err_format(text, format, ap);
	va_end(ap);
	len = err_append(text, len, strerror_r(-code, reason, sizeof(reason)));
	err->code = code;
	err_store(err, text, len);
	return code;
}

int err_add(struct err *err, int code, const char *format, ...)
{
	char text[ERR_SCRATCH];
	va_list ap;

	if (!err)
		return code;
	va_start(ap, format);
	size_t len = err_format(text, format, ap);
	va_end(ap);
	if (err->text[0])
		len = err_append(text, len, err->text);
	if (!err->code)
		err->code = code;
	err_store(err, text, len);
	return err->code;
}

void err_copy(char *to, size_t size, const char *from)
{
	static const char cut[] = "…";
	size_t n = strlen(from);

	if (n >= size) {
		n = size - sizeof(cut);
		while (n && ((unsigned char)from[n] & 0xc0) == 0x80)
			n--;
		memcpy(to + n, cut, sizeof(cut));
	} else {
		to[n] = '\0';
	}
	memcpy(to, from, n);
}
