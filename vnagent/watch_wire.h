/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the agent (watch.c) and `vnagent-watch`, the process that listens to underlay and protected links and switches the latter.
 *
 * It is a process of its own so that nothing the agent does, nor its end, keeps it from hearing and switching: it goes on alone, and
 * the next agent finds it by its socket, `watch.sock` in the state directory. What is built is the agent's word; which path of a protected link is in
 * use is said by the kernel's own filter alone, so nobody's end forgets it.
 *
 * SOCK_SEQPACKET; one packet is a struct watch_message and `n` items behind it. Both are of one build where the version is the same;
 * where it is not, the agent sends WATCH_QUIT and starts another. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/units.h"
#include "vnagent/device.h"

enum { WATCH_VERSION = 1, WATCH_FD = 3, WATCH_ITEMS_MAX = 128, WATCH_NAME = 64, WATCH_WHY = 160 };

enum watch_type {
	/* agent → helper */
	WATCH_NET = 1,  /* guards, all of network `net` but for `more` */
	WATCH_LINKS,    /* links, all there are but for `more` */
	WATCH_QUIT,     /* end; networks go on */
	/* helper → agent: a hello, all that is known, then what changes */
	WATCH_HELLO = 64, /* n: the version */
	WATCH_LINK_STATE,
	WATCH_GUARD_STATE
};

struct watch_message {
	uint32_t type, net, n;
	uint32_t more; /* 1: further packets of the same list follow */
};

/* A protected virtual link's end on this node: a port, and the first tunnels of its two paths. */
struct watch_guard {
	uint32_t net, port;
	uint32_t ifindex;    /* of the port */
	uint32_t path[2];    /* interface numbers: of the primary's tunnel, of the backup's */
	char name[DEVICE_NAME], path_name[2][DEVICE_NAME];
};

struct watch_link {
	struct addr local, remote;
	char slink[WATCH_NAME];
};

enum watch_state { WATCH_UNKNOWN, WATCH_UP, WATCH_DOWN };

struct watch_link_state {
	char slink[WATCH_NAME];
	uint32_t state;
	uint32_t gone;   /* 1: it is watched no more */
	char why[WATCH_WHY];
};

struct watch_guard_state {
	uint32_t net, port;
	uint32_t active;   /* path: 0 primary, 1 backup */
	uint32_t good[2];  /* enum watch_state of each path, both directions */
	uint32_t switches; /* since it is watched */
	char why[WATCH_WHY]; /* of the last switch, or what is wrong now; "" where all is well */
};
