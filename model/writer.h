/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One description of an object, written as text for people or as JSON for programs. The JSON
 * half is the only place that knows jansson (model/writer_json.c).
 *
 * A caller opens objects and lists and puts fields; the JSON writer keeps all that have a key
 * (or stand in a list), the text writer all that have a title (or stand in a shown list):
 *
 * - fields of an object: one line each, "title  value", aligned;
 * - a list of flat objects: a table, its columns the titles in order of first appearance,
 *   numbers to the right, "-" where a row lacks a field; a list of scalars: one line or cell;
 * - objects and lists inside: under a heading, indented; title "": shown without either;
 * - a list of objects that hold more than scalars: one block each, a blank line between.
 *
 * Fields whose key is "state" or "status" are coloured by what they say; numbers whose key ends in
 * "_ratio" are shown as per cent, with a bar in colour. Control characters never reach the text,
 * bytes that are no UTF-8 never reach the JSON. A number that is not finite is left out.
 * Keys and titles are copied. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct writer;
struct writer *writer_json(void);
struct writer *writer_text(bool colour); /* colour: states and bars, only on a terminal */
/* Writes everything into out (JSON: one object or array on one line, and a newline) and frees the writer. */
void writer_finish(struct writer *w, struct buf *out);

/* The first opened is the root; all else is inside it (text alone may have several). key NULL
 * inside a list, or where JSON does not get it; title NULL: not shown as text. */
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

/* A solver's answer as the fixed JSON of formats.md, an entry of `results`: call it where an
 * element of a list, or the root, may stand. Its embedding has passed embedding_check. Text: a line of
 * summary, and tables of routers and links. */
struct substrate;
struct request;
struct solution;
struct residual;
void write_solution(struct writer *w, const struct substrate *s, const struct request *r, const struct solution *sol);
/* `substrate` (with what is left of it) and `request` as fields of the object that is open: what exec: hands to a program. */
void write_problem(struct writer *w, const struct substrate *s, const struct residual *left, const struct request *r);
