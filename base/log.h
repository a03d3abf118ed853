/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log of a daemon: one line per event on stderr, `<n>` priorities for journald when
 * stderr is not a terminal and JOURNAL_STREAM is set, a time stamp otherwise. Only daemons
 * and programs log; libraries return reasons. Control characters in arguments are escaped. */
#pragma once

enum log_level { LOG_LEVEL_NONE = -1, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_open(const char *program, enum log_level level);
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
