/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A network that runs and is to become another, or has lost a part of what it runs on: embedded with the least moving. */
#pragma once

#include "embed/embed.h"

/* Embeds r, of which `now` stands: host UINT32_MAX (and kind NULL) for routers that are new or have to go from where they are (one whose place or kind no longer
 * serves is found here); a
 * link's paths from first to second endpoint, or none where it is new or has lost its way. A protected link that has lost one of
 * its two ways has the other as its only path. `left`: what is free to it, what it has now counted as free.
 *
 * In this order: as few routers of `now` as it finds move (and none changes its kind), then as few links whose ends stay change
 * their paths, then cost (whatever the objective). It goes from rung to rung: all of `now` kept and the rest embedded; paths freed, one, then all; routers
 * freed, one, two, those next to what is new or lost first; at last everything. The choice of what to free is tried within the
 * limits, not proven to be the least. Status FEASIBLE without a bound, except from the last rung, which is embed_solve's answer.
 * Errors and the rest as embed_solve. */
int embed_update(const struct substrate *s, const struct residual *left, const struct request *r, const struct embedding *now,
                 const struct embed_options *options, struct solution *ret, struct err *err) VNE_MUST;
