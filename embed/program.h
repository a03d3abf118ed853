/* SPDX-License-Identifier: GPL-3.0-or-later */
/* exec:PROGRAM: a researcher's own solver behind the same checker. It is run for each request, without
 * arguments, with one JSON object on its standard input (docs/schema/problem.json): `substrate` with what is left
 * of it, `request`, `options` (objective, seed, and where bounded time_limit in seconds and effort). It writes results as
 * vnembed does (docs/schema/vnembed.json), a JSON object, or one on each line as it finds better ones; the
 * cheapest that the checker accepts is the answer. At the deadline it is killed with its process group, and what it wrote
 * so far counts. Nothing else that it says is believed: no bound and no infeasibility but our own. */
#pragma once

#include "embed/search.h"

#define PROGRAM_PREFIX "exec:"
enum { PROGRAM_OUTPUT_MAX = 64 << 20 };

/* Runs the program that s->options->solver names. */
void program_run(struct search *s);
