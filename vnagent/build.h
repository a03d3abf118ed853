/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The builder: makes the node what its plans say. It knows no messages and no sockets of the
 * control plane; the agent, a test and a benchmark drive it alike.
 *
 * Per network there is at most one plan that carries traffic (committed) and one that was built
 * beside it (prepared). Operations of one network run one after the other, those of several
 * networks side by side, in slices between which the loop serves others. All are idempotent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "model/load.h"
#include "model/plan.h"
#include "proto/message.h"
#include "vnagent/config.h"
#include "vnagent/router.h"
#include "vnagent/uplink.h"
#include "vnagent/watch.h"

enum build_op {
	BUILD_PREPARE, /* build what the new plan has more; nothing that exists changes what it carries */
	BUILD_COMMIT,  /* carry traffic by the prepared plan; what the plan before had more stays, as far ends may still use it */
	BUILD_ABORT,   /* remove what was prepared */
	BUILD_ENSURE,  /* make it so, looking at what is really there, and remove all else of the network */
	BUILD_REPAIR   /* ENSURE of the committed plan, of the builder's own accord */
};

struct build_result {
	enum build_op op;
	uint32_t net, generation;
	uint64_t cookie;
	int code;         /* 0; -ESTALE: an older generation; -ENOENT: not prepared; -EOPNOTSUPP: not offered
	                   * here; -EBUSY: too many operations wait; else what failed */
	const char *text; /* "" or the reason */
};

enum build_slot { SLOT_COMMITTED, SLOT_PREPARED };

struct build_options {
	struct loop *loop;
	struct spawner *spawner;      /* may be NULL where no kind needs it */
	const char *cgroup;           /* parent group; "": none */
	const char *const *kinds;     /* router kinds to offer, NULL-ended */
	const struct uplink_list *uplinks; /* NULL: none; must outlive the builder */
	const struct addr *controllers; /* prefixes where controllers outside of a network may be; must outlive the builder */
	size_t n_controllers;
	const struct yaml_names *programs; /* forwarding programs, NAME=PATH each; NULL: none; must outlive the builder */
	const struct agent_underlay *underlay; /* devices that are shaped; must outlive the builder */
	size_t n_underlay;
	struct watch *watch;          /* NULL: links are not watched, protected ones not switched */
	void (*result)(void *arg, const struct build_result *result);
	void (*progress)(void *arg, uint32_t net, uint64_t cookie, uint32_t ready, uint32_t all);
	void (*links)(void *arg);  /* a device that is not ours has changed; may be NULL */
	void (*routed)(void *arg); /* a router has converged, or does no more; may be NULL */
	void (*notice)(void *arg, uint32_t net, const char *object, const char *what);
	/* Keeps a plan where a restart finds it; NULL: forget it. */
	void (*store)(void *arg, uint32_t net, enum build_slot slot, const struct node_plan *plan);
	void *arg;                    /* callbacks but result may be NULL */
};

struct builder;
/* Finds the devices and routers that exist. -ENOENT: a kind that there is no driver for. */
int builder_new(const struct build_options *options, struct builder **ret, struct err *err) VNE_MUST;
void builder_free(struct builder *b); /* what is built stays. NULL accepted */

/* After a restart, before anything else: each network's plans as they were kept (either may be NULL;
 * copied), then builder_sweep, which removes whatever belongs to no network. */
void builder_restore(struct builder *b, const struct node_plan *committed, const struct node_plan *prepared);
void builder_sweep(struct builder *b);

/* The way to neighbours and to `server` (NULL: not known) stays known whatever routers do to the machine's table (vnagent/neighbours.h).
 * To be called every few seconds. */
void builder_keep_neighbours(struct builder *b, const struct addr *server);

/* The result comes later, from the loop. plan (PREPARE, ENSURE): checked by node_plan_check; copied. */
void builder_start(struct builder *b, enum build_op op, uint32_t net, uint32_t generation,
                   const struct node_plan *plan, uint64_t cookie);

/* Nothing of any network stands on the node or is being built: the wall is taken down, and true. For the
 * end of an agent that leaves nothing to protect. */
bool builder_leave(struct builder *b);
bool builder_idle(const struct builder *b); /* nothing is being built or waits to be */
void builder_held(const struct builder *b, struct held_net **ret, size_t *ret_n); /* caller frees */
/* The routers of a network's committed plan, and what their routing last heard of their neighbours. Caller frees both. */
void builder_routers(const struct builder *b, uint32_t net, uint32_t **ret, size_t *ret_n);
/* What is asked of the map of a router's forwarding program (PLANE), into ret (PLANE_DATA, the caller's to free). */
void build_plane_answer(const struct builder *b, const struct message *question, struct message *ret);
void builder_neighbours(const struct builder *b, struct router_key key, struct neighbour_view **ret, size_t *ret_n);
/* The driver and the instance that a router of the committed (else the prepared) plan lives in. */
int builder_find_router(const struct builder *b, struct router_key key, const struct router_driver **ret_driver,
                        void **ret_self, struct err *err) VNE_MUST;
/* Routers, ports and segments of `r`; the node itself is filled in elsewhere. Few requests to the kernel,
 * whatever the number of links. */
int builder_load(struct builder *b, struct load_report *r, struct err *err) VNE_MUST;
