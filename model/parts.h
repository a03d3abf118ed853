/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What substrate and request have in common when they are read, checked, copied and written. */
#pragma once

#include "model/substrate.h"
#include "model/yaml.h"

/* The rules that tie the parts of a file together (names once, ends that exist …) are checked in
 * one place for files and for structs that came another way; this says where a fault goes. */
enum part { PART_WHOLE, PART_POOLS, PART_NODE, PART_LINK };
struct faults {
	void (*report)(struct faults *faults, enum part part, size_t index, const char *text);
};
void faults_add(struct faults *faults, enum part part, size_t index, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Keeps the first fault in an err. */
struct faults_err {
	struct faults faults;
	struct err *err;
	int code; /* 0, or -EINVAL */
};
struct faults_err faults_to_err(struct err *err);

/* Notes each fault at the place of its part in a file. The marks are of the parts, in order. */
struct faults_yaml {
	struct faults faults;
	struct yaml_errors *errors;
	struct yaml_mark whole, pools;
	const struct yaml_mark *nodes, *links;
};
struct faults_yaml faults_to_yaml(struct yaml_errors *errors, struct yaml_mark whole, const struct yaml_mark *nodes,
                                  const struct yaml_mark *links);

/* A link as far as both have it. */
struct link_ends {
	const char *name;
	uint32_t a, b;
};
enum { PARTS_MAX = 1000000 }; /* nodes or links of a file */
#define NO_NODE UINT32_MAX /* an end that names no node: an error was noted already */

/* Names and ends of links: each name once, a != b, both within n_nodes. `get` gives link i.
 * Fills the index with the names. */
void links_check(size_t n_links, struct link_ends (*get)(const void *owner, size_t i), const void *owner,
                 const char *(*node_name)(const void *owner, size_t i), size_t n_nodes, struct hash *index,
                 struct faults *faults);

/* "a-b". Caller frees. */
char *link_default_name(const char *a, const char *b);

/* `endpoints: [a, b]` into two indices, NO_NODE where an error was noted. names: those of the
 * nodes in order, for the nearest one; `what` they are: "node". */
void endpoints_resolve(const struct yaml_node *list, const struct hash *nodes, const char *const *names, size_t n_names,
                       const char *what, uint32_t *ret_a, uint32_t *ret_b, struct yaml_errors *errors);

/* Gives each link without a name its default; a link that is parallel to another and has none is
 * an error, and stays without. names: of nodes; links: ends, and where the name goes;
 * `what` they join: "nodes". */
struct link_naming {
	uint32_t a, b;
	char **name;
};
void links_name(const struct link_naming *links, size_t n, const char *const *names, const char *what,
                struct faults *faults);

/* For the writers: whether link i's name must be written. Caller frees. */
bool *links_named(const struct link_ends *links, size_t n, const char *const *names);

/* Readers. */
yaml_read_fn read_node;     /* const struct yaml_node *: the node itself, for later */
yaml_read_fn read_list;     /* the same, a list of at most PARTS_MAX */
yaml_read_fn read_location; /* struct coords */
yaml_read_fn read_position; /* struct coords */

struct labels {
	struct label *v;
	size_t n;
};
yaml_read_fn read_labels; /* struct labels */

/* Checks of what readers have checked in a file. 0 or -EINVAL. */
int coords_check(const struct coords *c, struct err *err) VNE_MUST;
int names_check(const struct yaml_names *names, struct err *err) VNE_MUST;
int labels_check(const struct label *labels, size_t n, struct err *err) VNE_MUST;
int string_check(const char *s, struct err *err) VNE_MUST; /* UTF-8 */
int amount_check(const char *what, int64_t value, int64_t max, struct err *err) VNE_MUST;

/* Copies. */
struct yaml_names names_copy(const struct yaml_names *from);
struct label *labels_copy(const struct label *from, size_t n);
void labels_done(struct label *labels, size_t n);

/* Writers of `, key: value`; they write nothing for what is not given. */
void put_names(struct buf *out, const char *key, const struct yaml_names *names);
void put_labels(struct buf *out, const struct label *labels, size_t n);
void put_coords(struct buf *out, const struct coords *c); /* location: [a, b] */
