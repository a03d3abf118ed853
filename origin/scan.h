/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words, "strings" and brackets of a text, with their place: the foot of the GML and the SNDlib reader. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum scan_token { SCAN_END, SCAN_WORD, SCAN_STRING, SCAN_OPEN, SCAN_CLOSE };

struct scan {
	const char *file, *text;
	size_t len, at;
	uint32_t line, column; /* of `at`, from 1 */
	char open, close;      /* the brackets of this language */
	/* the token read last */
	enum scan_token token;
	uint32_t token_line, token_column;
	struct buf word;       /* of a word or string */
};

void scan_init(struct scan *s, const char *file, const char *text, size_t len, const char brackets[2]);
void scan_done(struct scan *s);
/* The next token into s->token; # begins a comment. -EINVAL: a string that does not end, or a NUL. */
int scan_next(struct scan *s, struct err *err) VNE_MUST;
/* Sets err to file:line:column of the token, and what is said; -EINVAL. */
int scan_fault(const struct scan *s, struct err *err, const char *format, ...) VNE_PRINTF(3, 4);
/* The word as a number, finite. */
int scan_number(const struct scan *s, double *ret, struct err *err) VNE_MUST;
