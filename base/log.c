/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log of a daemon. A line is put together first and written at once, so that the lines
 * of several processes on one descriptor do not mix. A reader that went away or is slow
 * costs the line, never the daemon. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static const char *log_program = "vne";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_journal;

void log_open(const char *program, enum log_level level)
{
	log_program = program;
	log_max = level;
	log_journal = getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO);
}

static void log_prefix(struct buf *line, enum log_level level)
{
	static const int priority[] = {3, 4, 6, 7}; /* as of syslog(3) */
	static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
	struct timeval now;
	struct tm tm;
	char stamp[32];

	if (log_journal) {
		buf_printf(line, "<%d>", priority[level]);
		return;
	}
	gettimeofday(&now, NULL);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(line, "%s.%03dZ %s[%d]: %s", stamp, (int)(now.tv_usec / 1000), log_program,
	           (int)getpid(), word[level]);
}

/* Control characters would let an argument forge a line or drive a terminal. UTF-8 passes,
 * but for the C1 controls (U+0080 to U+009F, C2 80 to C2 9F). */
static void log_escape(struct buf *line, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			buf_printf(line, "\\x%02x", *p);
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			buf_printf(line, "\\u%04x", *++p);
		else
			buf_char(line, (char)*p);
	}
}

static void log_line(enum log_level level, const char *format, va_list ap)
{
	buf_auto struct buf line = BUF_INIT, text = BUF_INIT;

	if (level > log_max)
		return;
	log_prefix(&line, level);
	buf_vprintf(&text, format, ap);
	log_escape(&line, buf_cstr(&text));
	buf_char(&line, '\n');
	ssize_t n = write(STDERR_FILENO, line.data, line.len);
	(void)n;
}

#define LOG_FUNCTION(name, level) \
	void name(const char *format, ...) \
	{ \
		va_list ap; \
		va_start(ap, format); \
		log_line(level, format, ap); \
		va_end(ap); \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
