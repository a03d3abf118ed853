/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors with a reason.
 *
 * Every fallible function returns 0 or a negative errno and writes the reason, meant for
 * the person who reads it at night, into the caller's struct err. Callers add context in
 * front, so that the user reads "node n3: tunnel 12: no VNI left". A NULL err is accepted
 * everywhere. On success a struct err is left as it was. */
#pragma once

#include <stddef.h>

#define VNE_MUST __attribute__((warn_unused_result))
#define VNE_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum { ERR_TEXT_MAX = 1024 };

struct err {
	int code;                /* 0, or the negative errno that was returned */
	char text[ERR_TEXT_MAX]; /* one line, no trailing newline; cut with "…" when longer */
};

/* Sets the reason; returns code (negative), so that `return err_set(err, -EINVAL, …)` reads well. */
int err_set(struct err *err, int code, const char *format, ...) VNE_PRINTF(3, 4);

/* Like err_set, with ": " and the text of errno -code behind it. */
int err_sys(struct err *err, int code, const char *format, ...) VNE_PRINTF(3, 4);

/* Puts "context: " in front of the reason; returns err->code, or `code` where err is NULL. */
int err_add(struct err *err, int code, const char *format, ...) VNE_PRINTF(3, 4);

/* A reason into a field of fixed size: cut with "…" where it is longer, never inside a UTF-8 character. size > 3 */
void err_copy(char *to, size_t size, const char *from);
