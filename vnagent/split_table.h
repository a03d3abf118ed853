/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One router's routes as its kernel has told them, and what each prefix comes to: the one way that all packets to it take, or
 * "into the router" wherever that is not plain (several routes of the same preference, types that are no ways …).
 * A kernel tells changes in order, but a dump is a look at it that may be older than the change told just before; so what is
 * deleted during a dump stays deleted, whatever the dump says, until it is told anew. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/units.h"

struct split_hop {
	uint32_t device; /* inner interface number; 0: into the router */
	uint8_t via[16]; /* zeroes: what it is sent to is a neighbour itself */
};

struct split_told {
	struct addr to;
	bool local;      /* of the kernel's table `local`, which comes before `main` */
	uint8_t tos;
	uint32_t metric;
	struct split_hop hop;
	bool replaces;   /* what was told before of the same table, tos and metric is no more */
	bool dumped;     /* an answer to our question, not news */
};

struct split_table_options {
	/* The way of a prefix; NULL: there is none any more. A negative errno is counted as a failure, and tried again when
	 * the prefix is told again. */
	int (*decide)(void *arg, const struct addr *to, const struct split_hop *hop);
	void *arg;
	size_t most; /* routes */
};

struct split_table;
struct split_table *split_table_new(const struct split_table_options *options);
/* Calls nothing; see split_table_take. */
void split_table_free(struct split_table *t); /* NULL accepted */

void split_table_put(struct split_table *t, const struct split_told *told);
/* Returns false where it is not clear what is left: ask for everything. */
bool split_table_del(struct split_table *t, const struct split_told *told);

/* Everything is about to be told (again); it has been: what was not told is no more. anew: every prefix is decided as if it
 * had not been before (the owner has forgotten, or takes devices for others now). */
void split_table_begin(struct split_table *t, bool anew);
void split_table_end(struct split_table *t);

size_t split_table_count(const struct split_table *t);
bool split_table_full(const struct split_table *t); /* some did not fit, or could not be decided, since the last begin */
bool split_table_odd(const struct split_table *t);  /* `local` has prefixes that make longer ones of `main` void */
void split_table_each(const struct split_table *t, void (*visit)(void *arg, const struct addr *to), void *arg); /* what is decided */
