/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the agent (router_xen.c) and its helper `vnagent-xen`, the one program that is linked to a Xen library and so tied
 * to one Xen version: the agent starts and serves its other kinds where the helper or Xen is missing.
 *
 * A SOCK_SEQPACKET pair, the helper's end is its descriptor 3. One message is one packet: struct xen_message, then `len` bytes of
 * text. Both are of one build and trust each other's layout, not the contents: what a guest said is cleaned by the helper.
 * Requests carry a number that the answer repeats; answers come in any order; answers about one router come in the order of its
 * requests, those of XEN_DIAL aside. The helper keeps no state that it cannot read back from Xen (domain names, xenstore): it may be killed and started
 * again at any moment, guests go on.
 *
 * A domain is `vne-<net>-<router>` (hex); under /local/domain/<domid>/vne in xenstore stand net, router, name, the network
 * namespace's cookie of the agent that made it, and `up` once its vnguest has answered. libxl writes them in the transaction that
 * makes the domain, the guest may read them only. A domain with such an entry and our cookie is ours, no other; the names of its vifs say
 * which port each is. */
#pragma once

#include <stdint.h>

enum { XEN_TEXT_MAX = 192 << 10, XEN_PORTS_MAX = 64, XEN_FD = 3 };

enum xen_type {
	/* agent → helper */
	XEN_PROBE = 1,  /* → XEN_PROBED */
	XEN_LIST,       /* → XEN_LISTED, one for each guest, then XEN_DONE */
	XEN_CREATE,     /* text: struct xen_spec, ports, setup; → XEN_DONE once its vnguest answers and its devices are there. Where it runs:
	                 * devices that are missing are added, the setup applied. Failed: nothing is left of it, unless it ran before */
	XEN_DESTROY,    /* → XEN_DONE once nothing of it is left; cancels a create */
	XEN_RESIZE,     /* text: struct xen_spec; weight, cap, vcpus, real-time; → XEN_DONE */
	XEN_CONFIGURE,  /* text: the setup; → XEN_DONE */
	XEN_DETACH,     /* port; → XEN_DONE */
	XEN_EXEC,       /* text: words ended by NUL; descriptors in, out, error, control (spawner.h) as SCM_RIGHTS; no answer */
	XEN_CONSOLE,    /* descriptors as XEN_EXEC; no answer */
	XEN_DIAL,       /* text: path; → XEN_DONE with a descriptor */
	/* helper → agent */
	XEN_DONE = 64,  /* code: 0 or negative errno; text: why */
	XEN_PROBED,     /* text: struct xen_host */
	XEN_LISTED,     /* net, router */
	XEN_DIED,       /* net, router; text: why, with the tail of its console */
	XEN_LOAD        /* each second, unasked: text: struct xen_load of each guest, as many as fit in a packet */
};

struct xen_message {
	uint32_t type, number;
	uint32_t net, router, port;
	int32_t code;
	uint32_t len; /* of the text behind it */
};

struct xen_spec {
	char name[64];     /* of the router, for people */
	char image[64];    /* "": the default one */
	int64_t cpu_milli, mem_kib, rt_period_us, rt_budget_us;
	uint32_t n_ports;  /* struct xen_port, so many, behind it; then the setup */
};
struct xen_port {
	uint32_t id, mtu;
	uint8_t mac[6];
};

struct xen_host {
	char version[32];   /* of Xen */
	char scheduler[16]; /* credit2, rtds, … */
	uint32_t cores;     /* of the machine that guests may use */
	int64_t mem_total_kib, mem_free_kib; /* for guests: what dom0 keeps is not in it; free: not in use by any domain */
	uint32_t guests_max, ports_max;      /* domains; vifs of a guest */
	uint32_t pvh;       /* 1: guests are PVH here */
	char images[1024];  /* names, one a line */
};

struct xen_load {
	uint32_t net, router;
	uint64_t cpu_us;
	int64_t mem_kib;
};
