/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed growing arrays: `VEC(struct slink) links = {0}; *vec_add(&links) = link;`.
 * No control flow hides in these macros. */
#pragma once

#include <stddef.h>

#define VEC(type) struct { type *v; size_t n, cap; }

/* Appends one zeroed element and gives its address (valid until the next vec_add). */
#define vec_add(vec) \
	((__typeof__((vec)->v))vec_add_raw((void **)&(vec)->v, &(vec)->n, &(vec)->cap, sizeof(*(vec)->v)))
#define vec_done(vec) vec_done_raw((void **)&(vec)->v, &(vec)->n, &(vec)->cap)

void *vec_add_raw(void **v, size_t *n, size_t *cap, size_t size);
void vec_done_raw(void **v, size_t *n, size_t *cap);
