/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an agent reports of its node every second. Counters only grow while the object lives. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum router_state { ROUTER_ABSENT, ROUTER_STARTING, ROUTER_RUNNING, ROUTER_FAILED };
extern const char *const router_state_names[];

/* Of routers that compute their routes (routing: ospf); NONE: those that do not. */
enum router_routing { ROUTER_ROUTING_NONE, ROUTER_ROUTING_STARTING, ROUTER_ROUTING_CONVERGED };

enum { ROUTER_REASON_MAX = 512 };
struct router_load {
	uint32_t net, router;
	enum router_state state;
	uint64_t cpu_us;  /* used since it was built */
	int64_t mem_kib;  /* -1: not known here */
	char reason[ROUTER_REASON_MAX]; /* with FAILED; a guest's has the end of its console */
	enum router_routing routing;
	char routing_reason[128]; /* with STARTING: what it waits for */
};

/* One per port: a virtual link has two, one at each end. "tx": from the router into the link. */
struct port_load {
	uint32_t net, port; /* port id */
	uint64_t tx_frames, tx_bytes, tx_drops; /* bytes as on an underlay wire, encapsulation included */
	uint64_t rx_frames, rx_bytes, rx_drops; /* bytes of inner frames */
};

/* One per tunnel segment end: what shows that traffic takes the pinned path and no other. */
struct segment_load {
	uint32_t net, vni;
	uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes, drops; /* inner frames */
};

struct probe_uplink { /* an outside port that the node's operator has named */
	char *name;
	char **users; /* owners of networks that may use it; n 0: everybody */
	size_t n_users;
	bool usable;
	char why[128]; /* where not */
};

/* What an agent hears, told at once: of a substrate link that tunnels go over, and of a protected virtual link's end. */
enum heard { HEARD_UNKNOWN, HEARD_UP, HEARD_DOWN };
struct link_heard {
	char *slink; /* its name, as in the plan's segments */
	enum heard state;
	char *why;
};
struct guard_heard {
	uint32_t net, port;
	bool on_backup; /* frames from the port take the backup path */
	enum heard primary, backup; /* whether the path carries frames both ways */
	uint32_t switches; /* since it is watched */
	char *why;
};

struct load_report {
	uint64_t wall_ms;
	uint32_t cpu_permille; /* of all cores of the node */
	uint32_t cores;
	int64_t mem_total_kib, mem_used_kib;
	struct router_load *routers;
	size_t n_routers;
	struct port_load *ports;
	size_t n_ports;
	struct segment_load *segments;
	size_t n_segments;
	struct probe_uplink *uplinks; /* as they are now; n 0: not told */
	size_t n_uplinks;
	char **down; /* addresses that the hello had and that nothing goes out by now: no carrier, or gone */
	size_t n_down;
};
void load_report_done(struct load_report *r);

/* What a node can do, as its agent has probed it. */
struct node_probe {
	char version[32];
	char kernel[64];
	uint32_t cores;
	int64_t mem_kib;
	struct probe_kind {
		char kind[16];
		bool usable;
		char why[128]; /* where not */
		/* of all its routers together, ports of one; 0: no limit of its own */
		int64_t mem_kib;
		uint32_t routers, ports, cores;
	} *kinds;
	size_t n_kinds;
	struct probe_feature {
		char name[32];  /* "netns", "vxlan", "tbf", "netem", "cgroup-cpu" …; requests wait for "ospf", "uplinks" */
		bool present;
		char used_for[128]; /* what needs it */
	} *features;
	size_t n_features;
	struct probe_mtu { /* of the device that an underlay address stands on */
		char address[56];
		uint32_t mtu;
	} *mtus;
	size_t n_mtus;
	char **images; /* names of guest images that routers may ask for */
	size_t n_images;
	char **programs; /* names of forwarding programs that routers may ask for */
	size_t n_programs;
	struct probe_uplink *uplinks; /* when it was asked; reports tell how they are since */
	size_t n_uplinks;
};
void node_probe_done(struct node_probe *p);
