/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory that is there or the process is not: see mem.h for why. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void mem_none(void)
{
	static const char text[] = "out of memory\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n; /* nobody is left to tell */
	_exit(70);
}

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		mem_none();
	return p;
}

void *mem_array(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		mem_none();
	return p;
}

void *mem_grow(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n ? n : 1, size ? size : 1);

	if (!p)
		mem_none();
	return p;
}

void *mem_dup(const void *data, size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		mem_none();
	if (size)
		memcpy(p, data, size);
	return p;
}

char *mem_strn(const char *s, size_t n)
{
	if (n == SIZE_MAX)
		mem_none();
	size_t len = strnlen(s, n);
	char *p = malloc(len + 1);

	if (!p)
		mem_none();
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *mem_str(const char *s)
{
	return s ? mem_strn(s, strlen(s)) : NULL;
}

char *mem_printf(const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	int n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		mem_none();
	return text;
}

void mem_free_at(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}
