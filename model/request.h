/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A virtual network request: what a service provider asks for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/substrate.h"
#include "model/units.h"
#include "model/yaml.h"

/* GROUPS is never in a file: several networks taken for one (embed/bundle.h), where routers of one group are on distinct
 * nodes. */
enum placement { PLACEMENT_DISTINCT, PLACEMENT_PACK, PLACEMENT_GROUPS };
enum routing { ROUTING_STATIC, ROUTING_OSPF, ROUTING_NONE };

struct place {
	struct yaml_names on, not_on; /* on.n == 0: anywhere. Names the substrate lacks match nothing. */
	bool has_near;
	struct coords near;
	double within; /* km, or in the plane's unit; inclusive */
	struct label *labels;
	size_t n_labels;
};

/* A real-time guarantee, as the scheduler can keep one: `budget` of processor in every `period`. */
#define RT_PERIOD_MIN_US INT64_C(100)
#define RT_PERIOD_MAX_US INT64_C(1000000)
#define RT_BUDGET_MIN_US INT64_C(10)
int rt_check(int64_t period_us, int64_t budget_us, struct err *err) VNE_MUST; /* 0, 0: none, and right */

/* Guests of a hypervisor are of this kind; only they have `image` and `realtime`. What a guest takes of its node beside
 * the rest: GUEST_KIB_MIN of memory where the request names less (it is what the image of vnimage needs). */
#define KIND_GUEST "xen"
enum { GUEST_KIB_MIN = 64 << 10 };
bool kind_is_guest(const char *kind); /* NULL: false */

/* An end outside: a port that the node's operator has named. */
struct vuplink {
	char *port;
	struct addr address; /* with prefix length; family 0: by DHCP and router advertisements */
	struct addr gateway; /* host: the default route goes there; family 0: none, or what DHCP says */
	bool nat;            /* what leaves by it bears the router's own address */
};

/* How a router forwards. KERNEL: its own kernel; what a guest does is called GUEST. SPLIT: routes are computed inside, the
 * host forwards. PROGRAM: a program that the node's operator has allowed decides first. */
enum plane { PLANE_DEFAULT, PLANE_KERNEL, PLANE_GUEST, PLANE_SPLIT, PLANE_PROGRAM };
extern const char *const plane_names[]; /* by enum plane, NULL-ended */
bool plane_fits(enum plane plane, const char *kind); /* whether routers of a kind can forward so */
enum plane plane_default(const char *kind);          /* what DEFAULT is */

/* Kinds that forward frames and know no addresses: what is joined by them is one LAN. */
#define KIND_SWITCH "switch"
#define KIND_OPENFLOW "openflow"
bool kind_is_switch(const char *kind); /* of either; NULL: false */

/* "tcp:ADDRESS:PORT", an IPv6 address in brackets. A controller that is a virtual node listens at CONTROLLER_PORT. */
enum { CONTROLLER_PORT = 6653, CONTROLLER_TEXT = ADDR_TEXT + 16 };
int controller_parse(const char *text, struct addr *ret, uint16_t *ret_port, struct err *err) VNE_MUST;
const char *controller_text(const struct addr *a, uint16_t port, char text[static CONTROLLER_TEXT]);

struct vnode {
	char *name;
	int64_t demand[RES_COUNT]; /* cpu, memory; 1 router; ports = its virtual links; a guest's where kind is given */
	char *kind;                /* NULL: any kind that the node has; with image or realtime KIND_GUEST */
	struct vuplink *uplinks;
	size_t n_uplinks;
	struct place place;
	char *image;               /* of a guest, by the name that the node's operator gave it; NULL: the node's default */
	int64_t rt_period_us, rt_budget_us; /* `realtime`; 0: not asked for */
	enum plane plane;
	char *program;             /* PLANE_PROGRAM: by the name that the node's operator gave it; else NULL */
	char *controller;          /* of KIND_OPENFLOW: "tcp:ADDRESS:PORT", or the name of a virtual node of this network; NULL: none */
	uint32_t group; /* with PLACEMENT_GROUPS */
};

struct vlink {
	char *name; /* always set: "a-b" where the file has none */
	uint32_t a, b; /* indices of nodes, a != b */
	int64_t bw_kbps; /* 0: best effort */
	int64_t max_delay_us; /* -1: none */
	bool split;
	bool protect; /* protection: link */
};

struct request {
	char *name;
	int64_t arrival_us;  /* -1: none given */
	int64_t lifetime_us; /* -1: for ever */
	int64_t priority_micro; /* 1000000 by default; > 0 */
	enum placement placement;
	enum routing routing;
	struct addr pool_loopbacks, pool_links; /* with the defaults of formats.md filled in */
	struct vnode *nodes;
	size_t n_nodes;
	struct vlink *links;
	size_t n_links;
	struct hash *node_index, *link_index;
};

/* Sets what the router takes of the resources of guests, if it is to be of this kind. */
void vnode_guest_demand(const struct vnode *n, const char *kind, int64_t demand[RES_COUNT]);

void request_done(struct request *r);
int request_copy(const struct request *from, struct request *ret, struct err *err) VNE_MUST;
int request_check(struct request *r, struct err *err) VNE_MUST; /* builds the indices, fills demand[] of all but cpu and memory, and kind */
int request_read(const struct yaml_doc *doc, struct yaml_errors *errors, struct request *ret) VNE_MUST;
/* All documents of a file, in order; caller frees each and the array. With `trace`, `arrival` is
 * required and ascending; without it is refused. */
int request_load(const char *path, bool trace, struct yaml_errors *errors, struct request **ret, size_t *ret_n,
                 struct err *err) VNE_MUST;
/* The same from memory: what vned does with a submitted text. */
int request_parse(const char *text, size_t len, bool trace, struct yaml_errors *errors, struct request **ret,
                  size_t *ret_n, struct err *err) VNE_MUST;
void request_write(const struct request *r, struct buf *out); /* reads back the same */

/* Whether two routers may not be on one node. */
static inline bool request_apart(const struct request *r, size_t u, size_t v)
{
	return r->placement == PLACEMENT_DISTINCT || (r->placement == PLACEMENT_GROUPS && r->nodes[u].group == r->nodes[v].group);
}

/* The kind that `vnode` is of on `node`: the one asked for; else netns rather than another, of those that the node has and the
 * router's plane allows, never a switch. NULL: none. */
const char *vnode_kind_on(const struct vnode *vnode, const struct snode *node);

/* Why `node` cannot host `vnode` at all (kind, uplinks, place; not what is left of it), as a
 * short clause in *why; true where it can. Cost O(length of the place conditions). */
bool place_fits(const struct vnode *vnode, const struct substrate *s, size_t node, struct err *why);

size_t request_uplinks(const struct request *r); /* of all its routers; numbered in the order of the file */

/* Revenue in nano-units: milli-cores × 10^6 + kbit/s × 10^6, see embedding_cost. */
int64_t request_revenue_nano(const struct request *r);
