/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed growing arrays: the untyped half. */
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void *vec_add_raw(void **v, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 8;

		*v = mem_grow(*v, more, size);
		*cap = more;
	}
	void *element = (char *)*v + *n * size;

	memset(element, 0, size);
	++*n;
	return element;
}

void vec_done_raw(void **v, size_t *n, size_t *cap)
{
	free(*v);
	*v = NULL;
	*n = 0;
	*cap = 0;
}
