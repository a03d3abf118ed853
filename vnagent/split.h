/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The split plane: a router computes its routes, the host forwards by them.
 *
 * Inside the router its own kernel keeps routes and neighbours, whoever writes them; the agent listens (split_source.c), keeps
 * what each prefix comes to (split_table.h) and lays it into the maps of a BPF program (bpf/split.bpf.c) at the
 * host-side devices of the router's ports, where packets leave for it. What is only to be forwarded never enters. Everything that
 * is not plain does, and the router's kernel decides: so the rule for all of this is that no doubt ever forwards. Where
 * the agent may have missed something (events lost, an interface gone down, whose routes the kernel removes in silence), it
 * takes the router's ports out of the plane at once, asks for everything, and puts them back.
 *
 * The agent's end changes nothing: the program goes on by what it knew last, until the next agent has learnt all, and
 * replaces it. Meanwhile a route that was withdrawn inside goes on being used; neighbours, too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/nl.h"
#include "vnagent/router.h"
#include "vnagent/split_map.h"

enum { SPLIT_ROUTER_ROUTES = 1 << 17, SPLIT_ROUTER_NEIGHBOURS = 1 << 13 }; /* what has more forwards by itself */

struct split_options {
	struct loop *loop;
	/* What the operator should know of a router: why it forwards by itself, and that it is over. */
	void (*notice)(void *arg, struct router_key key, const char *what);
	/* A stream to the kernel of a router that is no namespace of ours: `vnguest --netlink` inside (guest/netlink_relay.h). Descriptor
	 * the caller's, not blocking. NULL: there are no such routers. */
	int (*connect)(void *arg, struct router_key key, int *ret_fd, struct err *err);
	void *arg;
};

/* Whether this machine can have the plane: tried. -EPERM: not allowed here; else why not. */
int split_probe(struct err *err) VNE_MUST;

struct split;
int split_new(const struct split_options *options, struct split **ret, struct err *err) VNE_MUST;
void split_free(struct split *s); /* what forwards goes on. NULL accepted */

struct split_port_spec {
	uint32_t ifindex; /* the host-side device; it has its gate (wire_tc.h), and so a place for filters */
	uint32_t inner;   /* the router's end, inside; 0: the interface with that MAC address */
	uint8_t mac[6];
	uint32_t mtu;
	uint32_t direct;  /* not 0: all that comes out of the router here leaves by this device and no other */
	bool queued;      /* the device limits what enters the router: that is not taken past it */
};

/* Makes a router's plane split, or tells its ports anew; while it is being learnt, it forwards by itself. netns: a descriptor of
 * its network namespace, needed during the call; -1: it is reached by options.connect. fresh: it is another one under the same key. What fails here is tried again,
 * but the error tells. */
int split_set(struct split *s, struct router_key key, int netns, bool fresh, const struct split_port_spec *ports, size_t n_ports,
              struct err *err) VNE_MUST;
/* It forwards by itself again, or is about to end: it must not be held by what listens in it. */
void split_drop(struct split *s, struct router_key key);
bool split_forwards(const struct split *s, struct router_key key); /* all has been learnt, and nothing is in doubt */

/* Of a host-side device: what never reached its own counters. False: it has no plane. */
bool split_counts(struct split *s, uint32_t ifindex, struct split_count *ret);
