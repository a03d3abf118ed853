/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate: what the infrastructure provider owns. Plain data; indices instead of
 * pointers between its parts, so that solvers can lay arrays of their own beside it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "model/units.h"
#include "model/yaml.h"

#define UNLIMITED INT64_MAX /* of a resource; never added to or subtracted from */

/* What a node has and a router takes: one vector, so that a new resource is one more entry. */
enum resource {
	RES_CPU_MILLI, RES_MEM_KIB, RES_ROUTERS, RES_PORTS,
	/* beside these, of guests of a hypervisor: its memory, domains, and processor with guarantees in real time */
	RES_GUEST_KIB, RES_GUESTS, RES_REALTIME_MILLI,
	RES_COUNT
};
extern const char *const resource_names[RES_COUNT]; /* cpu, memory, max_routers, max_ports, guest_memory … */

enum coords_kind { COORDS_NONE, COORDS_LOCATION, COORDS_POSITION };
struct coords {
	enum coords_kind kind;
	double a, b; /* latitude, longitude in degrees; or x, y */
};
/* km by the haversine formula with R = 6371 km, or the plane's distance; infinite where the kinds differ. */
double coords_distance(const struct coords *p, const struct coords *q);

struct label {
	char *key, *value;
};

struct snode {
	char *name;
	int64_t cap[RES_COUNT]; /* UNLIMITED where not given; cpu is always given; realtime is 0 where not */
	bool realtime_given;     /* `realtime:` stands in the file */
	bool any_kind;           /* no `routers:` key: hosts every kind */
	struct yaml_names kinds; /* otherwise these; none: only forwards */
	bool any_image;          /* no `images:` key: has every image */
	struct yaml_names images;
	int64_t max_guest_ports; /* of one guest; UNLIMITED where not given */
	bool probed;             /* by its agent: what follows to `programs` counts; else it has everything */
	bool split;              /* forwards for routers (plane: split) */
	bool nat, dhcp;          /* has what uplinks with nat, or without an address, need */
	struct yaml_names programs;
	struct yaml_names uplinks;
	struct coords coords;
	int64_t cost_micro; /* per core used */
	struct label *labels;
	size_t n_labels;
	struct addr address; /* family 0: not given */
	bool agent;          /* false: a switch without an agent; hosts nothing */
};

struct slink {
	char *name; /* always set: "a-b" where the file has none */
	uint32_t a, b; /* indices of nodes, a != b */
	int64_t bw_kbps; /* each direction */
	int64_t delay_us;
	int64_t cost_micro; /* per Mbit/s carried */
	struct yaml_names risks;
	struct addr underlay[2]; /* at a, at b; family 0: not given */
	bool closed;             /* carries nothing now, not even best effort. In no file: who offers the substrate to a solver says so */
};

struct substrate {
	char *name;
	struct snode *nodes;
	size_t n_nodes;
	struct slink *links;
	size_t n_links;
	struct hash *node_index, *link_index; /* name to index */
};

void substrate_done(struct substrate *s); /* frees the content */
int substrate_copy(const struct substrate *from, struct substrate *ret, struct err *err) VNE_MUST;
/* What `from` becomes if it is to be `to`: nodes and links (by name and ends) of both, with to's properties and in from's order, those of
 * `from` only where they are to be kept (per node and link of it), those of `to` only behind. ret_nodes, ret_links: for each of
 * `from`'s where it is now, UINT32_MAX: gone. -EBUSY: a kept link is in the way of one of the same name, or would lose an end. */
int substrate_merge(const struct substrate *from, const struct substrate *to, const bool *keep_nodes, const bool *keep_links,
                    struct substrate *ret, uint32_t *ret_nodes, uint32_t *ret_links, struct err *err) VNE_MUST;
/* Builds the indices; for a substrate that was filled by hand or unpacked from a message. Checks
 * everything that formats.md demands; -EINVAL with the first fault. */
int substrate_check(struct substrate *s, struct err *err) VNE_MUST;
bool snode_hosts(const struct snode *node, const char *kind);
bool snode_only_guests(const struct snode *node); /* whatever is placed here becomes a guest */
const char *snode_label(const struct snode *node, const char *key); /* NULL where absent */

/* Reads one document. Returns 0, or -EINVAL with errors grown. *ret untouched on failure. What
 * yaml_parse found wrong (a key given twice) is in errors->n only. */
int substrate_read(const struct yaml_doc *doc, struct yaml_errors *errors, struct substrate *ret) VNE_MUST;
/* A file that holds one substrate; errors->file is set. err says how many errors there were, or why
 * the file could not be read. */
int substrate_load(const char *path, struct yaml_errors *errors, struct substrate *ret, struct err *err) VNE_MUST;
void substrate_write(const struct substrate *s, struct buf *out); /* reads back the same */
