/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One description of an object, written as text for people or as JSON for programs. The JSON
 * half is the only place that knows jansson (model/writer_json.c).
 *
 * A caller opens objects and lists and puts fields; the JSON writer keeps them all, the text
 * writer lays lists of flat objects out as tables with the given titles, nested ones
 * indented, and leaves out fields without a title. Keys and titles are string literals. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct writer;
struct writer *writer_json(void);
struct writer *writer_text(bool colour); /* colour: states and bars, only on a terminal */
/* Writes everything into out (JSON: one object or array and a newline) and frees the writer. */
void writer_finish(struct writer *w, struct buf *out);

/* key NULL inside a list; title NULL: not shown as text. */
void write_object(struct writer *w, const char *key, const char *title);
void write_list(struct writer *w, const char *key, const char *title);
void write_end(struct writer *w);
void write_string(struct writer *w, const char *key, const char *title, const char *value); /* NULL: left out */
void write_int(struct writer *w, const char *key, const char *title, int64_t value);
void write_number(struct writer *w, const char *key, const char *title, double value, int decimals); /* decimals: text only */
void write_bool(struct writer *w, const char *key, const char *title, bool value);
/* JSON gets the number, text the human form: 20 → "20.0 mbit". */
void write_quantity(struct writer *w, const char *key, const char *title, double value, const char *text);
/* A line of text that JSON does not get. */
void write_line(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* model/embedding and request as the fixed JSON of formats.md: an entry of `results`. */
struct substrate;
struct request;
struct solution;
void write_solution(struct writer *w, const struct substrate *s, const struct request *r, const struct solution *sol);
