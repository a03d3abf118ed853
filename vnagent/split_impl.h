/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The split plane's insides: shared by split.c (routers, ports, filters), split_feed.c (what a router's kernel tells) and
 * split_source.c (how that is heard). Nobody else includes this. */
#pragma once

#include "base/hash.h"
#include "base/nl.h"
#include "base/vec.h"
#include "vnagent/split.h"
#include "vnagent/split_bpf.h"
#include "vnagent/split_table.h"

struct split_port_state {
	struct split_port_spec spec;
	uint32_t slot;
	uint32_t inner;         /* the router's end, inside; 0: not known yet */
	bool filtered;          /* our program stands there */
	struct split_count before; /* of earlier agents' programs */
	/* as told from inside */
	bool told, up, enslaved, forwards4;
	uint8_t mac[6];
	uint32_t mtu;
	struct split_port written; /* as it is in the map */
};

struct split_neighbour {
	uint32_t inner;
	struct addr address;
	uint8_t mac[6];
	uint8_t epoch;
	bool stale;    /* its kernel would look whether it is still there before it trusts it again */
	uint32_t slot; /* where it stands in the map; 0: it does not */
};

struct split_source;
struct split_router {
	struct split *split;
	struct router_key key;
	uint32_t number;
	VEC(struct split_port_state) ports;
	struct split_table *table;
	struct hash *neighbours;
	struct split_source *source;
	/* What is known of it. It forwards where all of this is well. */
	bool synced;         /* told whole at least once */
	bool doubt;          /* something may have been missed: until everything was told again */
	bool doubt_again;    /* the same, while everything is being told */
	bool telling, anew;  /* everything is being told; and every route is to be laid down again */
	bool forwards6;
	uint8_t epoch;
	uint32_t odd_rules[2], plain_rules[2]; /* by family: IPv4, IPv6 */
	uint32_t odd_rules_now[2], plain_rules_now[2];
	const char *noticed; /* the reason that was told */
};

struct grave {
	uint32_t router;
	uint32_t slot;
	struct addr address; /* family 0: the slot itself; slot 0: a route */
};

struct split {
	struct split_options options;
	struct split_bpf *bpf;
	struct nl *nl;
	struct nl_batch *batch;
	struct hash *routers; /* by key */
	struct hash *ports;   /* ifindex → its router */
	uint32_t next_number;
	uint32_t *free_slots; /* a ring: what was freed last is used last */
	size_t first_free, n_free;
	VEC(struct grave) graves; /* what is left of the dead in the maps; removed in slices */
	size_t buried;
	struct loop_source *prepare, *timer;
};

/* split.c */
void split_router_update(struct split_router *r); /* whether it forwards, its ports, and what they are */
struct split_port_state *split_port_inside(struct split_router *r, uint32_t inner); /* NULL: none of ours */

/* split_feed.c: messages of NETLINK_ROUTE, as the kernel in the router writes them; heads and lengths were checked. */
void split_feed_begin(struct split_router *r); /* everything follows */
void split_feed(struct split_router *r, const struct nlmsghdr *m);
void split_feed_end(struct split_router *r);   /* everything was told */
void split_feed_lost(struct split_router *r);  /* something may have been missed */
void split_feed_forget_port(struct split_router *r, uint32_t slot); /* its neighbours leave the maps */
void split_feed_close(struct split_router *r); /* all of it is handed to the graves */

/* split_source.c: how that is heard. netns -1: by options.connect. */
int split_source_open(struct split_router *r, int netns, struct err *err) VNE_MUST;
void split_source_close(struct split_source *s); /* NULL accepted */
void split_source_ask(struct split_source *s);   /* for everything, soon; the more it costs the rarer */
void split_source_probe(struct split_source *s, const struct split_neighbour *n); /* its kernel shall look for a neighbour */
