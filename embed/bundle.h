/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several requests taken for one: the disjoint union of their routers and links, those of each network that is
 * `distinct` in a group of their own (PLACEMENT_GROUPS). What embeds the union embeds them all together, and what
 * excludes it, or bounds its cost, excludes and bounds them all. Only solvers that know groups may have it:
 * heuristic and mip. */
#pragma once

#include "embed/embed.h"

/* *ret borrows names and places from the requests; bundle_done frees the rest. */
void bundle_make(const struct request *const *requests, size_t n, struct request *ret);
void bundle_done(struct request *bundle);
/* Request i's part of the union's embedding; caller frees. */
void bundle_part(const struct request *const *requests, size_t i, const struct embedding *whole, struct embedding *ret);
