/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtual network embedding as a library: one entry, a table of solvers. Batches are in embed/batch.h, networks that
 * run already in embed/reoptimise.h.
 *
 * No global state; safe from several threads as long as each call has its own arguments.
 * Every answer with an embedding has passed embedding_check(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "model/embedding.h"
#include "model/request.h"
#include "model/substrate.h"

enum embed_objective { OBJECTIVE_COST, OBJECTIVE_BALANCE };

struct embed_options {
	const char *solver;     /* a name of the table, or exec:PROGRAM (embed/program.h); NULL: auto */
	enum embed_objective objective;
	double time_limit_s;    /* wall clock, for this request; <= 0: none */
	int64_t effort;         /* bound of work, counted; <= 0: none. Same seed and effort, same answer. */
	uint64_t seed;
	/* Without an embedding: look for a cut that proves why, say "now" or "never" whatever the status, and find the
	 * smallest single change of the request that makes it fit. Takes a twentieth of the time limit, at most 100 ms,
	 * or as much counted work; not worth it in streams. */
	bool explain;
	/* Where to write a proof of the bound (embed/proof.h); NULL: none. The exact search alone is run then, and slower; placement
	 * `distinct` and objective cost only. Borrowed. */
	FILE *proof;
	/* An incumbent or a bound got better; may be NULL. Called from the solving thread; returning
	 * false asks the solver to stop with what it has. */
	bool (*progress)(void *arg, const struct solution *best);
	void *arg;
};

/* Embeds r onto what is left of s. Where it proves that nothing fits, it tries the empty substrate, too, to tell "now" from
 * "never". Memory: O(substrate + request) and, per virtual node, a byte and a word per substrate node; exact and mip have
 * tables of candidates × candidates per virtual link. Time: laying out is O(virtual nodes × nodes + links); a start of the
 * heuristic one shortest-path search per virtual link and end, O(links log nodes); exact and mip are exponential at worst (the
 * problem is NP-hard) and end by the limits. Deterministic for the same seed and effort where no time limit ends it.
 * Returns 0 whenever there is an answer, whatever its status; a negative errno when the machine
 * or the input failed (-ENOENT: no solver of that name; -EINVAL: nothing a checked request
 * and substrate can cause). The time limit is kept to within what the solver promises in
 * its table entry; a hard limit takes a process of its own (vnembed --worker). */
int embed_solve(const struct substrate *s, const struct residual *left, const struct request *r,
                const struct embed_options *options, struct solution *ret, struct err *err) VNE_MUST;

/* One solver's answer as it is: no scope, no explanation. What the library's own loops call. */
int embed_once(const struct substrate *s, const struct residual *left, const struct request *r,
               const struct embed_options *options, struct solution *ret, struct err *err) VNE_MUST;

struct embed_solver {
	const char *name;
	const char *about;   /* one line for --help */
	bool proves;         /* can answer optimal and infeasible */
	int (*solve)(const struct substrate *s, const struct residual *left, const struct request *r,
	             const struct embed_options *options, struct solution *ret, struct err *err);
};
extern const struct embed_solver *const embed_solvers[]; /* NULL-ended */
