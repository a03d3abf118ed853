/* SPDX-License-Identifier: GPL-3.0-or-later */
/* YAML in, by a table of keys. The only files that know libyaml are model/yaml*.c.
 *
 * A table describes a mapping; the reader walks the events once, fills the caller's struct,
 * and gathers every error of the file, each as `file:line:column: what is wrong; what was
 * expected`, unknown keys with the nearest known one. Bounded before believed: 64 MiB, depth
 * 32, UTF-8, no aliases, no duplicate keys; at most 100 errors are kept. Time linear in the
 * size of the file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { YAML_MAX_BYTES = 64 << 20, YAML_MAX_DEPTH = 32, YAML_MAX_ERRORS = 100, YAML_MAX_NODES = 8 << 20 };

struct yaml_mark {
	uint32_t line, column; /* from 1 */
};

/* Errors gathered so far. `text` holds one line each, in order of place in the file, and a last
 * one that counts those beyond YAML_MAX_ERRORS. */
struct yaml_errors {
	const char *file; /* as the user named it; "-" is shown as <stdin>, NULL as <input> */
	struct buf text;
	size_t n; /* all, those not kept included */
	struct yaml_fault { /* what text is made of */
		struct yaml_mark mark;
		char *text;
	} *kept;
	size_t n_kept;
	size_t len_kept; /* of text, without the count */
};
void yaml_errors_done(struct yaml_errors *errors);
void yaml_error(struct yaml_errors *errors, struct yaml_mark mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A document as a tree of events: what the tables below are applied to, and what a caller
 * walks itself where no table fits. Marks are kept for errors found later (a name that
 * nothing defines). */
enum yaml_type { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };
struct yaml_node {
	enum yaml_type type;
	struct yaml_mark mark;
	const char *text;        /* scalar: valid UTF-8, no NUL inside; plain `~`, `null`, empty: "" with is_null */
	bool is_null, quoted;
	bool refused;            /* an error was noted: readers take nothing from it, and say no more */
	bool cut;                /* the file broke off inside of it: what it lacks is no error */
	struct yaml_node *first; /* sequence: items; mapping: values */
	struct yaml_node *next;  /* sibling */
	const char *key;         /* in a mapping */
	struct yaml_mark key_mark;
	size_t n;                /* children */
};
struct yaml_doc; /* owns an arena with its nodes */

/* Parses the documents of `text`. On a broken file what could be read is still returned, and
 * errors has grown. An empty file gives no documents. *ret_docs: array of n, caller frees with
 * yaml_free_docs. */
void yaml_parse(const char *text, size_t len, struct yaml_errors *errors, struct yaml_doc ***ret_docs,
                size_t *ret_n);
void yaml_free_docs(struct yaml_doc **docs, size_t n);
const struct yaml_node *yaml_root(const struct yaml_doc *doc);
const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key); /* NULL where absent */

/* One key of a mapping. `read` puts the value into `into` (base + offset) and reports through
 * errors; it never fails otherwise. `count`/`size` are not needed by scalars. */
struct yaml_key;
typedef void yaml_read_fn(const struct yaml_node *node, void *into, const struct yaml_key *key,
                          struct yaml_errors *errors);
struct yaml_key {
	const char *name;
	yaml_read_fn *read;
	size_t offset;
	bool required;
	const void *detail; /* for `read`: choices of an enumeration, table of a mapping … */
	const char *expected; /* "a list of node names": told when the type is wrong or the key is missing */
};
/* Applies the table (ended by a NULL name) to a mapping: unknown, missing and wrong keys are
 * errors. `given`, may be NULL: bit i set where key i stood in the file. */
void yaml_read_mapping(const struct yaml_node *node, const struct yaml_key *keys, void *base,
                       uint64_t *ret_given, struct yaml_errors *errors);

/* Readers for scalars: the target's type is in the name. */
yaml_read_fn yaml_read_name;      /* char *, checked by name_check; freed by the owner */
yaml_read_fn yaml_read_string;    /* char * */
yaml_read_fn yaml_read_names;     /* struct yaml_names: a list of names without duplicates */
yaml_read_fn yaml_read_strings;   /* struct yaml_names: a list of strings */
yaml_read_fn yaml_read_bandwidth; /* int64_t kbit/s */
yaml_read_fn yaml_read_delay;     /* int64_t µs */
yaml_read_fn yaml_read_duration;  /* int64_t µs */
yaml_read_fn yaml_read_memory;    /* int64_t KiB */
yaml_read_fn yaml_read_cpu;       /* int64_t milli-cores */
yaml_read_fn yaml_read_cost;      /* int64_t micro */
yaml_read_fn yaml_read_bool;      /* bool: true, false */
yaml_read_fn yaml_read_count;     /* int64_t >= 0 */
yaml_read_fn yaml_read_choice;    /* int: index into detail, a NULL-ended const char *[] */
yaml_read_fn yaml_read_addr;      /* struct addr, a host */
yaml_read_fn yaml_read_prefix;    /* struct addr with a prefix length */
yaml_read_fn yaml_read_ignore;    /* accepts anything: `kind`, read before */

struct yaml_names {
	char **v;
	size_t n;
};
void yaml_names_done(struct yaml_names *names);

/* What `kind:` says, or NULL (and an error) where it is missing; `expected` is for the error. */
const char *yaml_kind(const struct yaml_doc *doc, const char *expected, struct yaml_errors *errors);

/* Reads a whole file, "-": standard input; -EFBIG above YAML_MAX_BYTES. Caller frees *ret. */
int yaml_load_file(const char *path, char **ret, size_t *ret_len, struct err *err) VNE_MUST;

/* Writes a scalar so that it reads back as the same string; in flow style, too. */
void yaml_write_string(struct buf *out, const char *s);

/* The length of the longest prefix of `text` that is valid UTF-8: `len` where all of it is. */
size_t yaml_utf8_prefix(const char *text, size_t len);

/* "a list", "a mapping", "nothing", "text": what stands there, for a reason. */
const char *yaml_type_text(const struct yaml_node *node);
