/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between request.c, request_yaml.c and place_yaml.c. */
#pragma once

#include "model/parts.h"
#include "model/request.h"

#define PRIORITY_DEFAULT_MICRO INT64_C(1000000)

extern const char *const placement_names[]; /* by enum placement, NULL-ended */
extern const char *const routing_names[];   /* by enum routing, NULL-ended */

/* Fills the pools that are not given with the defaults of formats.md. */
void request_default_pools(struct request *r);

/* Builds the indices, fills demand[] of routers and ports, and reports what is wrong between the
 * parts; a name that is NULL and an end that is NO_NODE were reported already. */
void request_faults(struct request *r, struct faults *faults);

/* One pool: a network without bits behind its prefix. */
int pool_check(const char *key, const struct addr *pool, struct err *err) VNE_MUST;
void vnode_done(struct vnode *n);

/* What stands at one node about its kind, plane, controller and uplinks: each by itself, and that they go together. The kind
 * is set where only one can be meant. `r`: whose node_index is there. */
void vnode_kind_faults(const struct request *r, struct vnode *n, size_t i, struct faults *faults);
/* The kind that image, guarantee, controller or plane leave a router that names none; NULL: any. */
const char *vnode_kind_implied(const struct vnode *n);
/* One uplink: an address that a router can have, a gateway that it reaches there. */
int uplink_check(const struct vuplink *u, struct err *err) VNE_MUST;

yaml_read_fn read_place; /* struct place */
