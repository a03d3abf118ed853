/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The builder's insides: shared by build.c (the interface), build_jobs.c (operations), build_steps.c (what they
 * do to the kernel), build_events.c and load.c. Nobody else includes this. */
#pragma once

#include "base/hash.h"
#include "base/vec.h"
#include "vnagent/build.h"
#include "vnagent/device.h"
#include "vnagent/dhcp.h"
#include "vnagent/plan_index.h"
#include "vnagent/ospf.h"
#include "vnagent/ovs.h"
#include "vnagent/split.h"

enum { DRIVERS_MAX = 8, JOBS_MAX = 16 };

struct open_driver {
	const char *kind;
	const struct router_driver *ops;
	void *self;
	bool shared; /* ops and self are another entry's: a kind that is made by another's driver */
};

struct job;

enum step_result { STEP_AGAIN, STEP_NEXT, STEP_WAIT }; /* or a negative errno */
typedef int step_fn(struct builder *b, struct job *job, struct err *err);

/* One operation on one network. */
struct job {
	struct job *next;
	struct build_net *net;
	enum build_op op;
	uint32_t generation;
	uint64_t cookie;
	bool internal;          /* nobody waits for its result */
	struct node_plan want;  /* what shall be */
	struct plan_index now, old; /* of want; of what was committed when it began */
	bool begun;
	step_fn *const *steps;  /* NULL-ended */
	size_t step, cursor;    /* where it is: step, and object within */
	bool uplinks;           /* some port is one, in what is wanted or was committed */
	bool full;              /* apply everything, not only what differs */
	struct hash *pending;   /* routers that are being made or ended: number → itself */
	struct hash *remade;    /* routers that this operation made: number → itself */
	struct hash *arrived;   /* ports that a driver has made since: number + 1 → itself */
	struct hash *unreal;    /* VNIs of segments whose other end has no data plane here */
	uint32_t n_pending_at_first;
	int64_t told_ms;        /* last progress */
	int code;               /* of a failure that is being cleaned up */
	struct err err;
};

struct failed_router {
	uint32_t id;
	char reason[ROUTER_REASON_MAX];
};

struct build_net {
	struct builder *b;
	uint32_t id;
	bool has_committed, has_prepared, has_replaced;
	struct node_plan committed, prepared;
	struct node_plan replaced; /* by the commit; what it had more stands until ENSURE */
	uint64_t digest;        /* of the committed plan */
	struct job *first, *last;
	size_t n_jobs;
	VEC(struct failed_router) failed;
	struct loop_source *repair;
	bool repair_waits;      /* its time has not come: it will see whatever happens until then */
	int64_t repair_ms;      /* pause before the next repair; grows while repairs repeat */
	int64_t repaired_at_ms;
};

struct builder {
	struct build_options options;
	struct open_driver drivers[DRIVERS_MAX];
	size_t n_drivers;
	bool real;              /* some kind has a data plane: we speak to the kernel */
	struct nl *nl, *events;
	struct nl *wall;        /* NULL: no nftables here */
	struct nl_batch *batch;
	struct inventory *inv;
	struct hash *nets;      /* by number */
	struct hash *released;  /* number → generation + 1 of the release */
	struct hash *counters;  /* load.c */
	struct ospf *ospf;
	struct ovs *ovs;
	struct split *split;    /* NULL until some router wants it */
	struct hash *plane_commands; /* what listens in guests: router_key_u64 → descriptor + 1 */
	struct hash *programs;  /* of routers: router_key_u64 → struct program */
	struct dhcp *dhcp;
	struct uplink_state *uplinks; /* of each of options.uplinks, as last looked at */
	bool uplinks_stale;     /* one of their devices has been heard of */
	struct loop_source *prepare, *event_source, *watch_links;
	unsigned watch_deferred;
	size_t n_jobs;
};

const struct open_driver *build_driver(const struct builder *b, const char *kind); /* NULL: not offered */
struct build_net *build_net_find(const struct builder *b, uint32_t net);
void build_fail_router(struct build_net *net, uint32_t router, const char *reason); /* NULL: it is well again */

const struct plan_router *build_plan_router(const struct build_net *net, uint32_t id); /* committed, else prepared */
void build_notice(struct builder *b, uint32_t net, const char *object, const char *what);
void build_store(struct builder *b, uint32_t net, enum build_slot slot, const struct node_plan *plan);

/* build_jobs.c */
struct build_net *build_net_get(struct builder *b, uint32_t id); /* made where there is none */
void build_net_free(void *net);
struct job *build_queue(struct build_net *net, enum build_op op, uint32_t generation, const struct node_plan *plan,
                        uint64_t cookie, bool internal);
bool build_work(void *builder); /* a slice of each network's first operation; true: there is more to do at once */

/* build_events.c */
void build_schedule_repair(struct build_net *net);
void build_router_event(void *builder, const struct router_event *event);
void build_events_ready(void *builder, uint32_t events);

/* Tells the second wall which tunnels there are, now and in what is being built. */
int build_wall_update(struct builder *b, struct err *err) VNE_MUST;

/* build_steps.c: the steps of each operation, and those that undo a failed PREPARE. */
step_fn *const *build_steps(const struct job *job);
step_fn *const *build_undo_steps(void);
bool build_port_is_real(const struct builder *b, const struct plan_index *index, const struct plan_port *port);

bool build_port_is_protected(const struct plan_index *index, uint32_t port); /* it has a backup path */

bool build_looks_at_all(const struct job *job);
bool build_port_changed(const struct plan_port *old, const struct plan_port *now);

void build_put_gate(struct builder *b, const struct device *d); /* closed until it is told otherwise */

/* build_uplinks.c: ports of uplinks. */
void build_uplinks_open(struct builder *b);
uint32_t build_uplink_lower(const struct builder *b, const char *owner, const struct plan_port *port); /* 0: not to be joined now */
/* What is wrong with a port's uplink; false: nothing. */
bool build_uplink_fault(const struct builder *b, const char *owner, const struct plan_port *port, char *why, size_t len);
bool build_outside_misplaced(const struct builder *b, const struct plan_index *plan, const struct device *d);
int build_uplinks_survey(struct builder *b, struct job *job, struct err *err) VNE_MUST;
void build_outside_put(struct builder *b, struct job *job, const struct plan_port *port);
void build_uplink_wires(struct builder *b, struct job *job, const struct plan_port *port);
int build_step_outside(struct builder *b, struct job *job, struct err *err);
/* ports: indices into the wanted plan's, those of router r. */
int build_uplinks_inside(struct builder *b, struct job *job, const struct plan_router *r, const size_t *ports, size_t n_ports, int netns,
                         struct err *err) VNE_MUST;
void build_uplinks_dhcp(struct builder *b, struct job *job); /* clients where an uplink has no address, none elsewhere */
void build_uplinks_event(struct builder *b, uint32_t ifindex, const char *name); /* a device of the host has changed */
void build_uplinks_refresh(struct builder *b);

/* build_driver_ports.c: routers whose driver makes their ports (ROUTER_PORTS_DRIVER). */
void build_await(struct job *job, uint32_t router); /* the operation waits for an event of it */
/* Creates what does not run, and what runs but lacks ports. */
void build_create_with_ports(struct builder *b, struct job *job, const struct open_driver *d, struct router_spec *spec,
                             const struct plan_router *r, bool runs);
/* Tells a router's inside where that differs; at once in COMMIT and its like, never in PREPARE. */
/* build_planes.c: forwarding planes other than the routers' own. */
int build_step_planes(struct builder *b, struct job *job, struct err *err);
void build_plane_drop(struct builder *b, struct router_key key); /* before the router ends */
bool build_plane_counts(const struct builder *b, uint32_t ifindex, struct split_count *ret); /* of a port's device: what never reached it */
void build_planes_close(struct builder *b);
bool build_join_is_limited(const struct join *j); /* the device of this end limits what goes on to the router behind it */

/* build_openflow.c: routers that are OpenFlow switches. */
int build_openflow_check(struct builder *b, struct job *job, struct err *err) VNE_MUST;
void build_openflow_set(struct builder *b, struct job *job, const struct open_driver *d, const struct plan_router *r);
void build_openflow_told(void *arg, struct router_key key, int code, const char *text);

void build_configure(struct builder *b, struct job *job, const struct open_driver *d, const struct plan_router *r);
void build_detach_changed(struct builder *b, struct job *job);
void build_detach_surplus(struct builder *b, struct job *job, bool (*surplus)(const struct device *d, void *arg), void *arg);

/* build_watch.c: what vnagent-watch is to listen to. */
int build_watch_open(struct builder *b, struct err *err) VNE_MUST;
void build_watch_net(struct builder *b, uint32_t net); /* an operation on it has ended */

/* load.c */
void build_counters_free(struct hash *counters);
