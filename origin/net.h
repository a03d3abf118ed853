/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A network as somebody else's file has it: what the importers read into, and what becomes a substrate or a
 * request. Nodes are told apart by the file's own identifiers; names come later. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/vec.h"
#include "model/request.h"
#include "model/substrate.h"

enum { NET_PARTS_MAX = 200000 }; /* nodes, and links */
#define NET_UNKNOWN INT64_C(-1)

struct net_node {
	char *id, *label;      /* label NULL: the id names it */
	struct coords coords;
	int64_t cpu_milli, mem_kib; /* NET_UNKNOWN: the file does not say */
	bool forwards;         /* hosts nothing: a hub, a switch */
};

struct net_link {
	uint32_t a, b;
	char *label;           /* NULL: by its ends */
	int64_t bw_kbps, delay_us, cost_micro; /* NET_UNKNOWN each */
};

struct net {
	char *name;
	int64_t arrival_us, lifetime_us; /* NET_UNKNOWN */
	VEC(struct net_node) nodes;
	VEC(struct net_link) links;
	struct hash *ids;
	size_t loops, halves, dropped; /* links to themselves; directions joined to their opposite; others left out */
};

void net_init(struct net *net);
void net_done(struct net *net);
/* The new node's index; -EEXIST and the index of the one that has this id; -EFBIG. */
int net_node(struct net *net, const char *id, uint32_t *ret, struct err *err) VNE_MUST;
bool net_find(const struct net *net, const char *id, uint32_t *ret);
/* A link with nothing known of it, or NULL: too many (err), or from a node to itself (counted, err as it was). */
struct net_link *net_link(struct net *net, uint32_t a, uint32_t b, struct err *err);
/* Of a directed file: each link to and fro becomes one; what they differ in is the larger. */
void net_join_directions(struct net *net);
/* Whether each link has its opposite: a file that does not say that it is directed, but is. */
bool net_to_and_fro(const struct net *net);

/* What a file leaves out. */
struct net_defaults {
	int64_t cpu_milli, mem_kib, bw_kbps, delay_us; /* mem NET_UNKNOWN: not limited, or none asked for */
	bool coords_delay;  /* delay by distance where both ends have a location: fibre, 5 µs/km */
	int64_t scale_micro; /* bandwidths of the file are multiplied by this / 10^6 */
};

int net_substrate(const struct net *net, const struct net_defaults *defaults, struct substrate *ret, struct err *err) VNE_MUST;
/* A node that hosts nothing becomes a router like others. `trace`: with its arrival, 0 where there is none. */
int net_request(const struct net *net, const struct net_defaults *defaults, bool trace, struct request *ret,
                struct err *err) VNE_MUST;

/* kbit/s of "2.5 Gbps", "OC-48", "STM-16", "DS-3", "T1", or the largest in a text; NET_UNKNOWN where there is none. */
int64_t net_speed(const char *text);
int64_t net_bps_to_kbps(double bps); /* within what a link may have; NET_UNKNOWN unless above 0 */
