/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory. Sizes that come from outside are bounded before anything is allocated for them,
 * so an allocation that fails means that the machine is out of memory: these print one line
 * and end the process with exit code 70. What a daemon must not lose is on disk by then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t size);                 /* zeroed; never NULL */
void *mem_array(size_t n, size_t size);       /* zeroed, overflow checked; never NULL */
void *mem_grow(void *old, size_t n, size_t size); /* realloc to n elements, new ones undefined */
void *mem_dup(const void *data, size_t size);
char *mem_str(const char *s);                 /* NULL gives NULL */
char *mem_strn(const char *s, size_t n);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For locals: `mem_auto char *s = …;` frees at the end of the block. */
void mem_free_at(void *pointer_to_pointer);
#define mem_auto __attribute__((cleanup(mem_free_at)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
