/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Router drivers: one table of operations per kind of router.
 *
 * A driver keeps the *life* of routers; addresses, routes and ports are joined to it elsewhere.
 * An instance (`self`) is made once per agent. Operations that take time are jobs: create and
 * destroy return at once, and their end comes as one event from the loop, never from within
 * the call; the driver bounds them in time. All are idempotent: creating what runs reports
 * READY again, destroying what is not there reports GONE. To create what is being destroyed is
 * fine: it is made anew once it is gone.
 *
 * tests/conformance/test_router.c runs one suite over every driver in `router_drivers`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "model/load.h"
#include "model/plan.h"
#include "vnagent/spawner.h"

struct router_key {
	uint32_t net, router;
};

enum router_event_type {
	ROUTER_EVENT_READY, /* create has ended well: it can get ports */
	ROUTER_EVENT_FAILED, /* create has ended badly: nothing is left of it */
	ROUTER_EVENT_GONE,  /* destroy has ended */
	ROUTER_EVENT_DIED,  /* it ended by itself; a create that is under way has its own end still */
	ROUTER_EVENT_CONFIGURED /* configure has ended: code 0, or why it could not be done */
};
struct router_event {
	enum router_event_type type;
	struct router_key key;
	int code;         /* FAILED, CONFIGURED: negative errno */
	const char *text; /* FAILED, DIED, CONFIGURED: why */
};

struct router_options {
	struct loop *loop;
	struct spawner *spawner; /* NULL for drivers that need none */
	const char *cgroup;      /* parent group; "": none */
	void (*event)(void *arg, const struct router_event *event);
	void *arg;
};

struct router_spec {
	struct router_key key;
	const char *name; /* valid during the call */
	int64_t cpu_milli, mem_kib;
	/* For kinds that use them; all valid during the call. */
	const char *image;                 /* a name of the operator's; NULL: the default one */
	int64_t rt_period_us, rt_budget_us; /* 0: not real-time */
	const struct plan_port *const *ports; /* ROUTER_PORTS_DRIVER: those that it has, ascending by id */
	size_t n_ports;
	const char *setup;                 /* ROUTER_PORTS_DRIVER: what is inside, see setup.h */
};

/* Who makes a router's ports. */
enum router_ports {
	ROUTER_PORTS_VETH, /* the agent: a veth pair whose far end is made in the router's network namespace */
	ROUTER_PORTS_DRIVER, /* the driver: host-side devices named and grouped as device.h says, down; READY: all are there */
	ROUTER_PORTS_NONE  /* nobody: the router has no data plane, and its virtual links none at this end */
};

/* Somebody's command in a router: stdin, stdout, stderr and the control end of spawner.h. */
struct router_command {
	const char *const *argv;
	size_t argc;
	int in, out, error, control;
};

struct router_driver {
	const char *kind;
	enum router_ports ports;
	/* Not NULL: its routers are made by that driver, with whose instance it shares them; what makes them another kind is
	 * what is put inside (port.h). Then of all that follows it has `probe` only. */
	const struct router_driver *base;
	const char *needs; /* a feature (probe.c) beside the usual, without which the kind cannot be hosted; NULL: none */

	/* Whether this machine can host the kind, tried for real; blocks shortly, changes nothing. */
	int (*probe)(struct err *err) VNE_MUST;
	/* After a probe that went well: the kind's limits and images, and in `why` a line about it. NULL: nothing to say. */
	void (*describe)(struct node_probe *p, struct probe_kind *k);
	bool (*realtime)(void); /* likewise: whether routers may ask for it; NULL: no */
	/* Finds what lives already (after a restart of the agent). */
	int (*open)(const struct router_options *options, void **ret_self, struct err *err) VNE_MUST;
	void (*close)(void *self); /* routers go on */

	void (*list)(void *self, struct router_key **ret, size_t *ret_n); /* alive or being made; caller frees */
	bool (*running)(void *self, struct router_key key);
	void (*create)(void *self, const struct router_spec *spec);
	void (*destroy)(void *self, struct router_key key); /* also cancels a create */
	/* New numbers for one that runs. */
	int (*resize)(void *self, const struct router_spec *spec, struct err *err) VNE_MUST;

	/* ROUTER_PORTS_DRIVER (else NULL): makes the inside what the text says (setup.h); what stays is not touched. A job, its end is
	 * CONFIGURED. detach: a port is no longer wanted; its host-side device goes when it can. */
	void (*configure)(void *self, struct router_key key, const char *setup);
	void (*detach)(void *self, struct router_key key, uint32_t port);

	/* A stream to a socket file inside the router, such as a routing daemon's. *ret_fd: the caller's, non-blocking, perhaps
	 * still connecting; what comes from it is a tenant's word. -ENOENT: no such router or socket. */
	int (*dial)(void *self, struct router_key key, const char *path, int *ret_fd, struct err *err) VNE_MUST;
	/* The router's console, as exec; NULL: kinds without one. */
	int (*console)(void *self, struct router_key key, const struct router_command *command, struct err *err) VNE_MUST;

	/* ROUTER_PORTS_VETH: its network namespace, the driver's descriptor; -1 where it does not run. */
	int (*netns)(void *self, struct router_key key);
	/* -ENOENT: no such router; else what keeps the command from being started. */
	int (*exec)(void *self, struct router_key key, const struct router_command *command, struct err *err) VNE_MUST;
	void (*load)(void *self, struct router_key key, uint64_t *ret_cpu_us, int64_t *ret_mem_kib); /* mem -1: not known */
};

extern const struct router_driver router_netns, router_xen, router_fake, router_switch, router_openflow;
extern const struct router_driver *const router_drivers[]; /* NULL-ended */
const struct router_driver *router_driver_find(const char *kind); /* NULL: no such kind */

static inline uint64_t router_key_u64(struct router_key key)
{
	return (uint64_t)key.net << 32 | key.router;
}
