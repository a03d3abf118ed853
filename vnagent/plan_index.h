/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plan by number: who is there, and what is joined to what. */
#pragma once

#include "base/hash.h"
#include "model/plan.h"

/* One end of a cross as seen from an endpoint. */
struct join {
	struct endpoint here, there;
	const struct plan_cross *cross;
};

struct plan_index {
	const struct node_plan *plan;
	struct hash *routers, *ports, *segments; /* by number */
	struct join *joins; /* by here, then by path */
	size_t n_joins;
};

/* plan is borrowed and must stay as it is; NULL: an empty one. */
void plan_index_init(struct plan_index *index, const struct node_plan *plan);
void plan_index_done(struct plan_index *index);
const struct plan_router *plan_index_router(const struct plan_index *index, uint32_t id); /* NULL: none */
const struct plan_port *plan_index_port(const struct plan_index *index, uint32_t id);
const struct plan_segment *plan_index_segment(const struct plan_index *index, uint32_t vni);
const struct join *plan_index_joins(const struct plan_index *index, struct endpoint here, size_t *ret_n);
/* Whether frames that enter here go the same ways in both, by the same shares and limits. */
bool plan_index_same_joins(const struct plan_index *a, const struct plan_index *b, struct endpoint here);
