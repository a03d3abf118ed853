/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Networks that run already, embedded anew: cheaper, or out of the way of what was lost, with few routers
 * moved. What repair (hosts or links gone) and defragmentation call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "embed/embed.h"

struct embed_network {
	const struct request *request;
	const struct embedding *now; /* NULL: it has none yet, any place is as good as another */
	bool fixed;                  /* stays as it is */
};

struct reoptimised {
	struct solution *answer;     /* per network: its embedding from now on, or none and why; reoptimised_done frees */
	size_t *moved;               /* per network: routers on another host than now, those that had to go left out */
	size_t n, moves, lost;       /* moves: sum of moved; lost: networks that had an embedding and have none any more */
	double cost_before;          /* of those with an embedding before and after */
	double cost_after;
};
void reoptimised_done(struct reoptimised *r);

/* `all`: what the networks may use together, none of them taken from it (the empty substrate less what others
 * hold; nothing where a host or link is lost). At most moves_max routers change their host, besides those
 * whose host cannot hold them any more; paths change freely. A network whose embedding still fits keeps one; without
 * repairs the sum of costs never rises (of `cost`, whatever the objective). One that no longer fits is repaired, the one
 * with most revenue × priority first, within the same moves, others making room where they must; if that fails it is
 * lost. All embeddings together fit `all`. Of the options effort and time_limit_s bound the whole, seed counts; the
 * solvers are the library's choice, progress is not called. -EINVAL: fixed networks do not fit together. Thread safe
 * as embed_solve. Each round re-embeds every network up to 64 times, with all but a few routers pinned. */
int embed_reoptimise(const struct substrate *s, const struct residual *all, const struct embed_network *networks, size_t n,
                     size_t moves_max, const struct embed_options *options, struct reoptimised *ret, struct err *err) VNE_MUST;

/* Revenue × priority: what admission and repair weigh networks by. */
double request_value(const struct request *r);
/* Units of effort that one network among others is put back with: a few starts of the heuristic. */
int64_t request_effort(const struct substrate *s, const struct request *r);
