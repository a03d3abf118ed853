/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See scan.h. */
#include "origin/scan.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void scan_init(struct scan *s, const char *file, const char *text, size_t len, const char brackets[2])
{
	*s = (struct scan){ .file = file, .text = text, .len = len, .line = 1, .column = 1, .open = brackets[0], .close = brackets[1] };
}

void scan_done(struct scan *s)
{
	buf_done(&s->word);
}

int scan_fault(const struct scan *s, struct err *err, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return err_set(err, -EINVAL, "%s:%u:%u: %s", s->file, s->token_line, s->token_column, text);
}

static char take(struct scan *s)
{
	char c = s->text[s->at++];

	if (c == '\n') {
		s->line++;
		s->column = 1;
	} else
		s->column++;
	return c;
}

static void skip_blanks(struct scan *s)
{
	while (s->at < s->len) {
		char c = s->text[s->at];
		if (c == '#')
			while (s->at < s->len && s->text[s->at] != '\n')
				take(s);
		else if (isspace((unsigned char)c))
			take(s);
		else
			return;
	}
}

int scan_next(struct scan *s, struct err *err)
{
	skip_blanks(s);
	s->token_line = s->line;
	s->token_column = s->column;
	s->token = SCAN_END;
	buf_clear(&s->word);
	if (s->at >= s->len)
		return 0;
	char c = take(s);
	if (c == s->open || c == s->close) {
		s->token = c == s->open ? SCAN_OPEN : SCAN_CLOSE;
		return 0;
	}
	if (c == '"') {
		s->token = SCAN_STRING;
		while (s->at < s->len && s->text[s->at] != '"' && s->text[s->at] != '\0')
			buf_char(&s->word, take(s));
		if (s->at >= s->len || take(s) != '"')
			return scan_fault(s, err, "a string begins here and does not end; expected another \"");
		return 0;
	}
	s->token = SCAN_WORD;
	while (c != '\0') {
		buf_char(&s->word, c);
		if (s->at >= s->len || isspace((unsigned char)s->text[s->at]) || s->text[s->at] == s->open ||
		    s->text[s->at] == s->close)
			return 0;
		c = take(s);
	}
	return scan_fault(s, err, "a NUL byte; expected text");
}

int scan_number(const struct scan *s, double *ret, struct err *err)
{
	char *end = NULL;
	double x = s->token == SCAN_WORD || s->token == SCAN_STRING ? strtod(buf_cstr(&s->word), &end) : NAN;

	if (!end || end == buf_cstr(&s->word) || *end || !isfinite(x))
		return scan_fault(s, err, "'%.40s' is no number", s->token == SCAN_OPEN ? "a bracket" : buf_cstr(&s->word));
	*ret = x;
	return 0;
}
