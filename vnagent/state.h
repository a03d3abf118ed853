/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an agent remembers across its restarts: the highest term it has obeyed, and the plans
 * that it has built. Files in one directory, each written beside and renamed, so a reader finds
 * the old or the new one, whole. It lives as long as the kernel objects it describes: on /run. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "model/plan.h"
#include "vnagent/build.h"

struct state;
/* Makes the directory (mode 0700) where it is missing and locks it: -EBUSY where another agent uses it. */
int state_open(const char *dir, struct state **ret, struct err *err) VNE_MUST;
void state_close(struct state *s); /* NULL accepted */

uint64_t state_term(const struct state *s);
int state_set_term(struct state *s, uint64_t term, struct err *err) VNE_MUST;

/* plan NULL: forget it. */
int state_set_plan(struct state *s, uint32_t net, enum build_slot slot, const struct node_plan *plan, struct err *err) VNE_MUST;
/* Hands out each network's plans, either may be NULL. Files that cannot be believed are left out
 * and told through `bad`. */
int state_each(struct state *s, void (*each)(void *arg, const struct node_plan *committed, const struct node_plan *prepared),
               void (*bad)(void *arg, const char *file, const char *why), void *arg, struct err *err) VNE_MUST;
