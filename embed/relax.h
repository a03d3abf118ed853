/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user could give up: single changes of a request that does not fit, each tried on what is
 * left, so that what is named is known to fit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/embed.h"

enum relax_what {
	RELAX_CPU, RELAX_MEMORY,          /* of node `index`: `from` → `to` milli-cores, KiB */
	RELAX_BANDWIDTH, RELAX_DELAY,     /* of link `index`: kbit/s, µs */
	RELAX_SPLIT, RELAX_PROTECTION,    /* link: paths: split; protection: none */
	RELAX_PLACE, RELAX_KIND,          /* node: without place; any kind of router */
	RELAX_PACK,                       /* the whole: placement: pack */
	RELAX_ALL_BANDWIDTHS,             /* the whole, where nothing single helps: every bandwidth to `to` per mille */
};

struct relaxation {
	enum relax_what what;
	size_t index;
	int64_t from, to;
	double change; /* of quantities |from - to| / max(from, to); of the rest a fixed rank, 0.4 to 1 */
};

/* `about`: what is known of why it does not fit, or ""; routers and links that it names are tried first, as time may be short.
 * The smallest found within `effort` units of work (a tenth of them for one try) and until deadline_us
 * of clock_us() (INT64_MAX: none). False: none found. Every try is an embedding of the heuristic, checked:
 * request_relax() applied, r fits `left`. */
bool relax_find(const struct substrate *s, const struct residual *left, const struct request *r,
                const struct embed_options *options, const char *about, int64_t effort, int64_t deadline_us,
                struct relaxation *ret);
/* Changes the request in place. */
void request_relax(struct request *r, const struct relaxation *x);
/* "r3: cpu 64 → 16", "r1-r2: max_delay 5ms → 9ms", "r4: place dropped" … */
void relax_text(const struct request *r, const struct relaxation *x, char *text, size_t size);
