/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the coordinator shows: the objects behind `vnctl list|show|nodes|links|events|audit`,
 * the same in JSON, in text and later in the web API. Owned strings, freed with x_done. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/load.h"

enum net_state {
	NET_PLANNED, NET_PREPARING, NET_COMMITTING, NET_ACTIVE, NET_DEGRADED, NET_UPDATING,
	NET_RELEASING, NET_RELEASED, NET_REJECTED, NET_FAILED, NET_STATES
};
extern const char *const net_state_names[NET_STATES];

struct router_view {
	char *name, *node, *kind, *state, *reason; /* reason: NULL unless something is wrong */
	char *loopback;  /* addresses separated by a blank */
	int64_t cpu_milli, mem_kib; /* promised */
	double cpu_used;            /* cores, over the last seconds; < 0: not known */
	int64_t mem_used_kib;       /* -1: not known */
	char *image;                /* that it asked for, or NULL */
	int64_t rt_period_us, rt_budget_us; /* 0: none */
	char *plane;                /* "kernel", "guest", "split", "program"; NULL: it has none, or none is known yet */
	char *program, *controller; /* or NULL */
	char *uplinks;              /* names separated by a blank */
};

struct path_view {
	char *via, *links; /* names separated by a blank */
	double mbit;
	bool backup;
};

/* Figures per direction: [0] from the first endpoint to the second. Bytes on the wire. */
struct vlink_view {
	char *name, *a, *b; /* routers */
	char *address_a, *address_b;
	double mbit;        /* promised, each direction; 0: best effort */
	int64_t max_delay_us, delay_us; /* asked (-1: nothing) and along the path */
	uint32_t mtu;
	struct path_view *paths;
	size_t n_paths;
	char *in_use;       /* of a protected link that stands: "primary" or "backup"; NULL */
	double mbit_now[2];     /* over the last seconds; < 0: not known */
	uint64_t frames[2], bytes[2], drops[2];
};

/* What a router is joined to outside; [0]: out of the network. */
struct uplink_view {
	char *router, *port;
	char *address, *gateway; /* as asked for; "": told by DHCP, or router advertisements */
	bool nat;
	double mbit_now[2];     /* over the last seconds; < 0: not known */
	uint64_t frames[2], bytes[2], drops[2];
};

/* What an update does to one router or virtual link. */
struct change_view {
	bool of_link;
	char *name, *what;
	bool interrupted; /* it carries nothing for a while */
};

struct network_view {
	char *owner, *name;
	uint32_t id, generation;
	enum net_state state;
	char *reason;         /* NULL, or why it is rejected, failed, degraded */
	uint64_t submitted_ms, changed_ms; /* wall clock */
	int64_t lifetime_us;  /* -1: for ever */
	double cost, bound, revenue, solve_seconds; /* bound < 0: not known */
	char *solver, *status; /* "exact", "optimal" … */
	bool detailed;         /* false: what follows is left out (list) */
	size_t n_routers, n_links; /* counts also where not detailed */
	struct router_view *routers;
	struct vlink_view *links;
	struct uplink_view *uplinks; /* where detailed */
	size_t n_uplinks;
	struct change_view *changes; /* of a plan for a network that stands: what is not as it is now */
	size_t n_changes;
};

struct node_view {
	char *name, *state; /* "up", "down", "never seen" */
	char *kinds;        /* names separated by a blank */
	char *address;      /* of its peer, or "" */
	int64_t cpu_milli, cpu_reserved_milli, mem_kib, mem_reserved_kib; /* mem UNLIMITED: not limited */
	double cpu_used_ratio; /* of the node; < 0: not known */
	int64_t mem_total_kib, mem_used_kib; /* as the agent measured; -1: not known */
	size_t routers, segments;
	int64_t seen_ms_ago; /* -1: never */
	bool has_location;
	double latitude, longitude;
	char *lacks;         /* features that the agent lacks, separated by ", " */
	bool hosts_guests;   /* and then: */
	size_t guests;
	int64_t guests_max, guest_kib, guest_reserved_kib; /* UNLIMITED: not limited */
	int64_t realtime_milli, realtime_reserved_milli;
	char *images;        /* names separated by a blank */
	char *uplinks, *programs; /* that routers there may ask for; likewise */
	bool drained;             /* its operator wants nothing on it */
	bool leaves;              /* nor has it in the file any more */
};

struct slink_view {
	char *name, *a, *b;
	double mbit, reserved_mbit;
	int64_t delay_us;
	size_t segments;     /* tunnels over it */
	double mbit_now[2];  /* what ours carries, over the last seconds; < 0: not known */
	char *lost;          /* why it is not used; NULL: it is */
};

struct event_view {
	uint64_t sequence, wall_ms;
	char *kind;   /* network, node, solver, … */
	char *object; /* "owner/name", node name */
	char *what;   /* "state active", "refused: …" */
};

/* A step in the life of a network, kept with it and for a while after it. */
struct history_view {
	uint64_t wall_ms;
	char *network;     /* owner/name */
	uint32_t id, generation; /* several networks may have had a name, one after the other */
	enum net_state state; /* that it came to */
	char *who, *why;   /* an identity, or "vned" */
};

/* What a router knows of the ways to others, as it says itself. */
struct neighbour_view { /* by a routing protocol */
	char *router, *device, *state; /* its name; our interface; "Full/PtP"; "" where nothing was heard */
	uint32_t family;               /* 4, 6 */
};
struct route_view {
	char *to, *via, *device, *protocol; /* via "": directly joined; protocol "" where it does not tell */
	uint32_t metric;
};
enum { ROUTES_SHOWN_MAX = 4096 }; /* of one router */
struct routes_view {
	uint32_t id;
	char *router, *node;
	char *why;         /* not "": nothing is known, and why */
	struct neighbour_view *neighbours;
	size_t n_neighbours;
	struct route_view *routes;
	size_t n_routes;
	uint64_t left_out; /* routes beyond ROUTES_SHOWN_MAX */
};

/* What was measured of one thing over a while. */
enum { SERIES_COLUMNS = 4 };
struct series_point {
	uint64_t at_ms; /* wall clock: the start of step_ms */
	double mean[SERIES_COLUMNS], max[SERIES_COLUMNS]; /* < 0: not known */
};
struct series_view {
	char *of; /* "node:NAME", "link:NAME", "network:OWNER/NAME", "router:OWNER/NAME/ROUTER", "vlink:OWNER/NAME/LINK" */
	uint32_t step_ms;
	char **columns; /* names, e.g. "cpu", "mbit_ab" */
	size_t n_columns;
	struct series_point *points; /* oldest first */
	size_t n_points;
};

/* An entry of the map that a router's forwarding program leaves to the router's tenant; bytes as the program knows them. */
struct plane_entry {
	uint8_t *key, *value;
	size_t key_len, value_len;
};

/* A key that may connect. */
struct key_view {
	char *name, *role, *node; /* node "" unless an agent, or a token */
	char *fingerprint;
	uint64_t expires_ms; /* wall clock; 0: never */
};

/* Who changed what, from where, and how it ended. */
struct log_view {
	uint64_t sequence, wall_ms;
	char *who, *role, *from; /* an identity, or "vned"; an address */
	char *what, *object;     /* "submit", "alice/demo" */
	int code;                /* exit code of formats.md */
	char *result;
};

/* What an owner had over a while. */
struct usage_view {
	char *owner;
	uint64_t from_ms, to_ms; /* wall clock */
	double core_hours, memory_gib_hours, mbit_hours; /* promised */
	uint64_t bytes;          /* that its routers sent */
};

/* What a tenant holds, and may. Cores in milli-cores, memory in KiB, bandwidth in kbit/s, backup paths counted. */
enum quota_resource { QUOTA_NETWORKS, QUOTA_ROUTERS, QUOTA_CORES, QUOTA_MEMORY, QUOTA_BANDWIDTH, QUOTA_COUNT };
struct quota_view {
	char *tenant;
	int64_t used[QUOTA_COUNT], limit[QUOTA_COUNT]; /* limit < 0: none */
};

void log_view_done(struct log_view *v);
void usage_view_done(struct usage_view *v);
void quota_view_done(struct quota_view *v);
void key_view_done(struct key_view *v);
void network_view_done(struct network_view *v);
void node_view_done(struct node_view *v);
void slink_view_done(struct slink_view *v);
void event_view_done(struct event_view *v);
void history_view_done(struct history_view *v);
void routes_view_done(struct routes_view *v);
void series_view_done(struct series_view *v);
