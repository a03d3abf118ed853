/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Why a request was not embedded, so that its user can act: a proof where there is one that can be
 * said in a sentence, and the smallest change found that would make it fit. */
#pragma once

#include "embed/embed.h"

enum { EXPLAIN_EFFORT = 20000 }; /* units of effort for the whole: some 100 ms */

/* Betters answer->reason and fills answer->relax. A cut, or a candidate that is missing, found here makes
 * the answer INFEASIBLE: it is proven. Ends by deadline_us (INT64_MAX: none), give or take one try. */
void explain(const struct substrate *s, const struct residual *left, const struct request *r,
             const struct embed_options *options, int64_t deadline_us, struct solution *answer);
