/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What surrounds YAML: the errors of a file, files, UTF-8, and strings on the way out. */
#include "model/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- errors ---- */

void yaml_errors_done(struct yaml_errors *errors)
{
	for (size_t i = 0; i < errors->n_kept; i++)
		free(errors->kept[i].text);
	free(errors->kept);
	buf_done(&errors->text);
	*errors = (struct yaml_errors){.file = errors->file};
}

static const char *errors_file(const struct yaml_errors *errors)
{
	if (!errors->file)
		return "<input>";
	return strcmp(errors->file, "-") == 0 ? "<stdin>" : errors->file;
}

/* The last line. */
static void errors_count(struct yaml_errors *errors)
{
	errors->text.len = errors->len_kept;
	if (errors->n > errors->n_kept)
		buf_printf(&errors->text, "%s: and %zu more errors\n", errors_file(errors), errors->n - errors->n_kept);
}

static void errors_rewrite(struct yaml_errors *errors)
{
	buf_clear(&errors->text);
	for (size_t i = 0; i < errors->n_kept; i++)
		buf_printf(&errors->text, "%s:%u:%u: %s\n", errors_file(errors), errors->kept[i].mark.line,
		           errors->kept[i].mark.column, errors->kept[i].text);
	errors->len_kept = errors->text.len;
	errors_count(errors);
}

static bool mark_before(struct yaml_mark a, struct yaml_mark b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

/* One line, whatever the file put into it. */
static void text_flatten(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

void yaml_error(struct yaml_errors *errors, struct yaml_mark mark, const char *format, ...)
{
	va_list ap;

	errors->n++;
	if (!errors->kept)
		errors->kept = mem_array(YAML_MAX_ERRORS, sizeof(*errors->kept));
	size_t at = errors->n_kept;

	while (at && mark_before(mark, errors->kept[at - 1].mark))
		at--;
	if (errors->n_kept == YAML_MAX_ERRORS) {
		if (at == YAML_MAX_ERRORS) {
			errors_count(errors);
			return;
		}
		free(errors->kept[--errors->n_kept].text);
	}
	struct buf text = BUF_INIT;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	memmove(&errors->kept[at + 1], &errors->kept[at], (errors->n_kept - at) * sizeof(*errors->kept));
	errors->kept[at] = (struct yaml_fault){.mark = mark, .text = buf_take(&text)};
	errors->n_kept++;
	text_flatten(errors->kept[at].text);
	errors_rewrite(errors);
}

/* ---- UTF-8 ---- */

/* The length of the character at p, of which `left` bytes are there; 0 where it is none. RFC 3629: no
 * surrogates, nothing beyond U+10FFFF, no overlong forms. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

size_t yaml_utf8_prefix(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0, n;

	while (i < len && (n = utf8_length(p + i, len - i)))
		i += n;
	return i;
}

/* ---- files ---- */

int yaml_load_file(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	bool input = strcmp(path, "-") == 0;
	const char *shown = input ? "<stdin>" : path;
	int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct buf text = BUF_INIT;
	int r = 0;

	if (fd < 0)
		return err_sys(err, -errno, "cannot open %s", shown);
	for (;;) {
		static const size_t step = 1 << 16;
		size_t len = text.len;

		if (len > YAML_MAX_BYTES) {
			r = err_set(err, -EFBIG, "%s is too large; at most %d MiB", shown, YAML_MAX_BYTES >> 20);
			break;
		}
		if (text.cap - len <= step) {
			text.cap = text.cap ? text.cap * 2 : 2 * step;
			text.data = mem_grow(text.data, text.cap, 1);
		}
		ssize_t n = read(fd, text.data + len, text.cap - len - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = err_sys(err, -errno, "cannot read %s", shown);
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	if (!input)
		close(fd);
	if (r < 0) {
		buf_done(&text);
		return r;
	}
	text.data[text.len] = '\0';
	*ret_len = text.len;
	*ret = buf_take(&text);
	return 0;
}

/* ---- out ---- */

/* Whether every reader of YAML takes the bare word for this string: no number, no truth value. */
static bool is_plain(const char *s)
{
	static const char *const taken[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

	if (!*s || !strchr(letters, *s) || s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-")])
		return false;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strcasecmp(s, taken[i]) == 0)
			return false;
	return true;
}

static void write_character(struct buf *out, const unsigned char *p, size_t n)
{
	uint32_t c = n == 1 ? p[0] : n == 2 ? p[0] & 0x1fU : n == 3 ? p[0] & 0xfU : p[0] & 7U;

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fU);
	if (c == '"' || c == '\\')
		buf_char(out, '\\');
	/* controls, line breaks of Unicode and what a YAML file may not hold */
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff)
		buf_printf(out, "\\u%04x", c);
	else
		buf_add(out, p, n);
}

void yaml_write_string(struct buf *out, const char *s)
{
	if (is_plain(s)) {
		buf_str(out, s);
		return;
	}
	size_t len = yaml_utf8_prefix(s, strlen(s));
	const unsigned char *p = (const unsigned char *)s, *end = p + len;

	buf_char(out, '"');
	while (p < end) {
		size_t n = utf8_length(p, (size_t)(end - p));

		write_character(out, p, n);
		p += n;
	}
	buf_char(out, '"');
}
