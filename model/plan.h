/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plan: what one generation of one virtual network needs on one substrate node. vned
 * makes it from request and embedding; the agent builds exactly this. A router's attachment
 * is a host-side port; ports and tunnel segments are joined by crosses. A router's life, its
 * control and its forwarding plane are kept apart so that each can be exchanged.
 *
 * Identities: a network has a number of 24 bits (never 0, unique within a vned while in use),
 * a router a number within its network, a port (link << 1 | end), a segment its VNI. They stand in
 * the kernel objects; numbers of what stays do not change from one generation to the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/embedding.h"
#include "model/request.h"
#include "model/substrate.h"
#include "model/units.h"

enum { KIND_MAX = 15, IFNAME_MAX = 15, NET_ID_MAX = 0xffffff, VNI_MAX = 0xffffff };
enum { VXLAN_OVERHEAD_V4 = 50, VXLAN_OVERHEAD_V6 = 70 }; /* bytes on the wire behind the inner frame's */
/* Of one node's plan; what is beyond them plan_make does not make and no agent builds. */
enum {
	PLAN_ROUTERS_MAX = 1 << 16, PLAN_PORTS_MAX = 1 << 18, PLAN_SEGMENTS_MAX = 1 << 18,
	PLAN_CROSSES_MAX = 1 << 19, PLAN_ROUTES_MAX = 1 << 21,
	PLAN_NETWORK_ROUTES_MAX = 1 << 22, /* of all nodes together */
	PLAN_MTU_MAX = 1500, PLAN_MTU_MIN_V4 = 576, PLAN_MTU_MIN_V6 = 1280
};

struct plan_route {
	struct addr to;  /* prefix */
	struct addr via; /* next hop: the other end of a virtual link */
	uint32_t port;   /* through this one */
};

struct plan_router {
	uint32_t id;
	char *name;
	char kind[KIND_MAX + 1];
	int64_t cpu_milli, mem_kib;
	enum routing routing;
	struct addr *loopbacks; /* host addresses, at most one per family */
	size_t n_loopbacks;
	struct plan_route *routes; /* of `static` */
	size_t n_routes;
	uint32_t n_reachable; /* `ospf`: routers that it will come to know by its links, itself included */
	char *image;          /* guest image by the operator's name; NULL: the node's default */
	int64_t rt_period_us, rt_budget_us; /* 0: not real-time */
	enum plane plane;     /* never DEFAULT */
	char *program;        /* PLANE_PROGRAM */
	char *controller;     /* OpenFlow: "tcp:ADDRESS:PORT", address resolved; NULL: none */
};

/* The router's end of a virtual link, or of an uplink: then `uplink` is its name, `link` and `peer_router` are NULL, no cross
 * has it (the agent joins it to the outside device that its operator gave that name), and its id is PLAN_UPLINK_ID + a number.
 * A switch's port has no address, but that an openflow switch whose controller is in the network has an address of its own on
 * the LAN (that of its bridge): its first port bears it, with `lan`. */
enum { PLAN_UPLINK_ID = 1 << 30 };
struct plan_port {
	uint32_t id; /* link << 1 | end */
	uint32_t router;
	char ifname[IFNAME_MAX + 1]; /* inside the router: eth0, eth1 … in order of the file's links */
	uint8_t mac[6];              /* locally administered, made from net and port id */
	uint32_t mtu;
	struct addr address;         /* with prefix length; family 0: none, of an uplink by DHCP and router advertisements */
	struct addr peer;            /* the other end's address, host */
	char *link;                  /* name of the virtual link */
	char *peer_router;
	int64_t bw_kbps;             /* promised, each direction; 0: best effort */
	char *uplink;                /* NULL: a virtual link's end */
	struct addr gateway;         /* of an uplink; family 0: none */
	bool nat;                    /* of an uplink */
	bool lan;                    /* `address` is of a LAN of several routers: no peer */
};

/* One tunnel over one substrate link (or a run of links through nodes without an agent). */
struct plan_segment {
	uint32_t vni;
	uint32_t link;     /* number of the virtual link that it serves */
	struct addr local, remote; /* underlay addresses */
	char *slink;       /* name of the (first) substrate link */
	uint32_t mtu;      /* of the inner packet: that of the link's ports */
	bool best_effort;  /* runs below all promises at every hop */
};

enum endpoint_kind { ENDPOINT_PORT, ENDPOINT_SEGMENT };
struct endpoint {
	enum endpoint_kind kind;
	uint32_t id; /* port id, or VNI */
};

enum cross_role { CROSS_PRIMARY, CROSS_BACKUP };
/* Frames that enter at one end leave at the other. Where a frame comes from a port it is
 * limited to bw_kbps of wire bytes (encapsulation counted); 0: not limited (best effort).
 * Several primary crosses of one port: a split link, flows are spread by weight bw_kbps. A
 * backup is built whole but gets frames from its port only after a switch. */
struct plan_cross {
	struct endpoint a, b;
	int64_t bw_kbps;
	uint32_t overhead; /* bytes per frame that encapsulation adds on the wire, at most along the path; 0 between two ports */
	enum cross_role role;
	uint32_t path;     /* number of the path within its virtual link */
};

struct node_plan {
	uint32_t net;
	uint32_t generation;
	char *owner, *name; /* of the network, for people */
	struct plan_router *routers;
	size_t n_routers;
	struct plan_port *ports;
	size_t n_ports;
	struct plan_segment *segments;
	size_t n_segments;
	struct plan_cross *crosses;
	size_t n_crosses;
};

void node_plan_done(struct node_plan *p);
void node_plan_copy(const struct node_plan *from, struct node_plan *ret);
bool node_plan_empty(const struct node_plan *p); /* nothing to build: the release of a network */
/* What an agent checks before it builds: numbers in range and unique, every reference resolves,
 * each cross joins what is there, names valid, counts bounded. -EINVAL with the first fault. */
int node_plan_check(const struct node_plan *p, struct err *err) VNE_MUST;

/* Hands out VNIs; the coordinator's. Where plan_make fails, those it took before are the coordinator's
 * to take back: it has seen each of them go. */
struct vni_pool {
	int (*take)(void *arg, uint32_t *ret_vni, struct err *err);
	void *arg;
};

/* A whole network's plan: one node_plan per substrate node that has any part in it. */
struct plan {
	uint32_t net, generation;
	struct node_plan *nodes;
	uint32_t *snode; /* substrate node of each, ascending */
	size_t n_nodes;
	uint32_t *vnis;  /* all that it uses; ascending */
	size_t n_vnis;
};
void plan_done(struct plan *p);

/* What stands already. What stays of it (routers, links and their ends, by name) keeps its numbers, interface names and
 * addresses where the pools and LANs permit; a path of the same substrate links keeps its tunnels. */
struct plan_before {
	const struct request *r;
	const struct embedding *e; /* of r on the same substrate */
	const struct plan *plan;   /* of both */
};

struct plan_input {
	const struct substrate *s;
	const struct request *r;
	const struct embedding *e;
	uint32_t net, generation;
	const char *owner;
	const struct plan_before *before; /* NULL: nothing */
	/* MTU of the underlay at a node towards a substrate link's far end; 0 where not known (1500). */
	uint32_t (*underlay_mtu)(void *arg, uint32_t snode, uint32_t slink);
	void *arg;
	struct vni_pool vnis;
};
/* The plan of an embedding that was checked. From nothing, numbers are places in the request; beside what stands, what
 * is new has the lowest free ones, and a router of another kind or image than before is a new one. Addresses, k counted from 0: the k-th
 * node has the k-th address of the pool as loopback, the k-th link the k-th /31 (/127), its first
 * endpoint the lower half; on a LAN (model/lan.h) routers have addresses of its subnet, in the order of
 * the file's links. The k-th uplink of the network is port PLAN_UPLINK_ID + k. Routes by fewest hops, ties in the order of the file. A link's MTU is
 * what all its paths leave room for, at most PLAN_MTU_MAX, the same at both ends. The same request and
 * embedding give the same plan, but for what the pool of VNIs hands out: one per path and
 * substrate link, taken in order of links, paths, hops. -ERANGE: a pool is too small, or the network
 * too large for `static`; -EINVAL: a substrate link on a path has no underlay addresses and its nodes
 * have none either, or its underlay's MTU is too small. O(size of the plan). */
int plan_make(const struct plan_input *in, struct plan *ret, struct err *err) VNE_MUST;

/* Gives each of two plans of one network an empty part on the nodes where only the other has one: then both are in step. */
void plan_align(struct plan *a, struct plan *b);

/* The numbers that the parts of a request have in its plan. */
struct plan_numbers {
	uint32_t *router;  /* per node of the request */
	uint32_t *link;    /* per link: a port is link << 1 | end */
	uint32_t *uplink;  /* per uplink, in the order of the file: a port is PLAN_UPLINK_ID + this */
	size_t n_routers, n_links, n_uplinks;
};
/* Reads them from a plan of r; what the plan does not have gets UINT32_MAX. O(plan + request). */
void plan_numbers_of(const struct plan *p, const struct request *r, struct plan_numbers *ret);
void plan_numbers_done(struct plan_numbers *n);
