/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers read back: an entry of vnembed's `results`, from a file or from somebody's own program. JSON
 * is read as the YAML that it is, so that faults come with their place and unknown keys with the nearest one. */
#pragma once

#include "model/embedding.h"
#include "model/yaml.h"

/* One entry. Status, reason and embedding are taken, with kinds chosen where none are given; what it says of cost
 * and bound is not: that is for who believes it. A path may leave out `links` where `via` joins each pair by one
 * link, and `mbit` where it carries all. Everything named exists in s and r; whether the embedding is
 * allowed is embedding_check's word. -EINVAL and errors grown; *ret untouched. */
int solution_read(const struct yaml_node *entry, const struct substrate *s, const struct request *r, struct yaml_errors *errors,
                  struct solution *ret) VNE_MUST;
/* The same from the text of one JSON object. */
int solution_parse(const char *text, size_t len, const struct substrate *s, const struct request *r, struct solution *ret,
                   struct err *err) VNE_MUST;
/* What vnembed -o json wrote into a file ("-": standard input): ret[i] is the answer to requests[i]; each result
 * names a request, none twice, and requests without a result stay SOLVE_UNKNOWN without an embedding. */
int solutions_load(const char *path, const struct substrate *s, const struct request *requests, size_t n,
                   struct yaml_errors *errors, struct solution *ret, struct err *err) VNE_MUST;
