/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What update.c, the ladder, and update_rung.c, one try on it, share. Nobody else includes this. */
#pragma once

#include "embed/graph.h"
#include "embed/update.h"

struct update {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	const struct embedding *now;
	const struct embed_options *options;
	struct graph graph;   /* of links that are not closed */
	bool *keep;           /* per node: it has a host in `now` that still serves it */
	bool *stays;          /* per link: its ways in `now` serve as they are */
	bool *halved;         /* per link: it is to have two ways, and has one, which serves as its first */
	bool *free_node;      /* per node of `now`: may move on this rung */
	bool *free_link;      /* per link that stays: may change its paths */
	uint32_t *near;       /* nodes of `now`, those next to what is new or lost first */
	size_t n_near;
	int64_t deadline_us;  /* INT64_MAX: none */
	uint64_t work, work_limit;
};

/* update_rung.c */
bool update_goes_on(const struct update *u); /* there is time left, and work */
/* What is not free, with its hosts and paths, and the rest anew. keep_halves: a protected link that has lost one way keeps the other.
 * 0: *ret is a checked embedding of all of r. -ENOENT, -EINVAL: none was found; -ETIMEDOUT. */
int update_try(struct update *u, bool keep_halves, struct embedding *ret);
