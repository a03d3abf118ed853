/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See journal.h. */
#include "vned/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

struct journal {
	char *path;
	int fd;
	uint64_t last_ms;
	bool dirty;
};

/* ---- reading --------------------------------------------------------------------------------- */

static uint64_t size_of(const struct journal *j)
{
	struct stat st;
	return fstat(j->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* A page; *ret_len what of it is there. The caller frees. */
static char *page(const struct journal *j, uint64_t offset, size_t max, size_t *ret_len)
{
	char *data = mem_alloc(max + 1);
	ssize_t n = pread(j->fd, data, max, (off_t)offset);
	*ret_len = n > 0 ? (size_t)n : 0;
	return data;
}

static uint64_t time_of(const char *line)
{
	return strtoull(line, NULL, 10);
}

/* The first line that begins at `at` or after it: its place and time; false: there is none. */
static bool line_after(const struct journal *j, uint64_t at, uint64_t *ret_at, uint64_t *ret_ms)
{
	size_t n;
	mem_auto char *data = page(j, at ? at - 1 : 0, 2 * JOURNAL_LINE, &n);
	char *start = data;
	if (at) {
		start = memchr(data, '\n', n);
		if (!start)
			return false;
		start++;
	}
	if (!memchr(start, '\n', n - (size_t)(start - data)))
		return false;
	*ret_at = (at ? at - 1 : 0) + (uint64_t)(start - data);
	*ret_ms = time_of(start);
	return true;
}

uint64_t journal_seek(const struct journal *j, uint64_t since_ms)
{
	uint64_t low = 0, high = size_of(j), at, ms;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (!line_after(j, middle, &at, &ms) || ms >= since_ms)
			high = middle;
		else
			low = at + 1;
	}
	return line_after(j, low, &at, &ms) ? at : size_of(j);
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: \xNN becomes what it was, but for NUL. */
static void unescape(char *field)
{
	char *to = field;
	for (const char *at = field; *at; at++) {
		if (at[0] == '\\' && at[1] == 'x' && hex(at[2]) >= 0 && hex(at[3]) >= 0 && (hex(at[2]) || hex(at[3]))) {
			*to++ = (char)(hex(at[2]) << 4 | hex(at[3]));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

static void visit_line(char *line, void (*visit)(void *arg, uint64_t wall_ms, char *const fields[], size_t n), void *arg)
{
	char *fields[JOURNAL_FIELDS], *end;
	size_t n = 0;
	uint64_t ms = strtoull(line, &end, 10);
	if (end == line || *end != '\t')
		return;
	for (char *at = end; at && n < JOURNAL_FIELDS;) {
		*at++ = '\0';
		fields[n++] = at;
		at = strchr(at, '\t');
	}
	for (size_t i = 0; i < n; i++)
		unescape(fields[i]);
	visit(arg, ms, fields, n);
}

int journal_read(const struct journal *j, uint64_t offset, void (*visit)(void *arg, uint64_t wall_ms, char *const fields[], size_t n), void *arg,
                 uint64_t *ret_next, struct err *err)
{
	size_t n, done = 0;
	if (offset > size_of(j))
		return err_set(err, -EINVAL, "%s ends before %llu", j->path, (unsigned long long)offset);
	mem_auto char *data = page(j, offset, JOURNAL_PAGE, &n);
	for (char *end; (end = memchr(data + done, '\n', n - done)); done = (size_t)(end - data) + 1) {
		*end = '\0';
		visit_line(data + done, visit, arg);
	}
	/* a line that fills a page is no line of ours: passed over, rather than read again for ever */
	*ret_next = offset + (done || n < JOURNAL_PAGE ? done : n);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int open_file(struct journal *j, struct err *err)
{
	int fd = open(j->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "%s", j->path);
	if (j->fd >= 0)
		close(j->fd);
	j->fd = fd;
	return 0;
}

static void take_last(void *arg, uint64_t wall_ms, char *const fields[], size_t n)
{
	(void)fields, (void)n;
	struct journal *j = arg;
	j->last_ms = wall_ms > j->last_ms ? wall_ms : j->last_ms;
}

/* The last record's time, and a last line that a crash has left half is ended, so that it spoils no other. */
static int find_end(struct journal *j, struct err *err)
{
	uint64_t size = size_of(j), from = size > JOURNAL_PAGE / 2 ? size - JOURNAL_PAGE / 2 : 0, at, ms, next;
	char last = '\n';
	if (size && pread(j->fd, &last, 1, (off_t)size - 1) < 0)
		return err_sys(err, -errno, "%s", j->path);
	if (last != '\n' && write(j->fd, "\n", 1) != 1)
		return err_sys(err, -errno, "%s", j->path);
	return line_after(j, from, &at, &ms) ? journal_read(j, at, take_last, j, &next, err) : 0;
}

int journal_open(const char *path, struct journal **ret, struct err *err)
{
	struct journal *j = mem_alloc(sizeof(*j));
	*j = (struct journal){ .path = mem_str(path), .fd = -1 };
	int r = open_file(j, err);
	if (r == 0)
		r = find_end(j, err);
	if (r < 0) {
		journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

void journal_close(struct journal *j)
{
	struct err ignored;
	if (!j)
		return;
	if (j->fd >= 0 && journal_sync(j, &ignored) == 0)
		close(j->fd);
	free(j->path);
	free(j);
}

uint64_t journal_last_ms(const struct journal *j)
{
	return j->last_ms;
}

static void escape(struct buf *out, const char *field)
{
	for (const char *at = field; *at && out->len < JOURNAL_LINE - 8; at++) {
		unsigned char c = (unsigned char)*at;
		if (c < 0x20 || c == 0x7f || (c == '\\' && at[1] == 'x'))
			buf_printf(out, "\\x%02x", c);
		else
			buf_char(out, *at);
	}
}

int journal_add(struct journal *j, uint64_t wall_ms, const char *const fields[], size_t n, struct err *err)
{
	buf_auto struct buf line = BUF_INIT;
	j->last_ms = wall_ms > j->last_ms ? wall_ms : j->last_ms;
	buf_printf(&line, "%llu", (unsigned long long)j->last_ms);
	for (size_t i = 0; i < n; i++) {
		buf_char(&line, '\t');
		escape(&line, fields[i] ? fields[i] : "");
	}
	buf_char(&line, '\n');
	ssize_t written = write(j->fd, line.data, line.len);
	j->dirty = true;
	if (written == (ssize_t)line.len)
		return 0;
	int code = written < 0 ? -errno : -ENOSPC;
	if (written > 0 && write(j->fd, "\n", 1) < 0) /* what was half written is no record */
		code = -errno;
	return err_sys(err, code, "%s", j->path);
}

int journal_sync(struct journal *j, struct err *err)
{
	struct stat there, ours;
	if (j->dirty && fdatasync(j->fd) < 0)
		return err_sys(err, -errno, "%s", j->path);
	j->dirty = false;
	bool moved = fstat(j->fd, &ours) == 0 && (stat(j->path, &there) < 0 || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev);
	return moved ? open_file(j, err) : 0;
}
