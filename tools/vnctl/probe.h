/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sending over virtual links, to measure what was promised. */
#pragma once

#include "tools/vnctl/client.h"

enum probe_traffic { PROBE_TCP, PROBE_UDP, PROBE_KINDS };

struct probe_figure {
	bool measured;
	double wire_mbit;    /* counted by the agents, in bytes on the wire, while it was sending at full rate */
	double payload_mbit; /* what the other end received, without any headers */
	uint64_t drops;      /* by the limit, during the probe */
};

struct probe_link {
	const char *owner, *network;
	const struct vlink_view *link;
	struct probe_figure figure[PROBE_KINDS][2]; /* [1]: from the second endpoint to the first */
	char failed[256];                           /* "" or why it could not be measured */
};

/* Sends over all links at the same time, in both directions: TCP as fast as it goes, or UDP at
 * twice the limit, for `seconds`. Needs iperf3 inside the routers. Fills in the figures; returns
 * an exit code: not 0 only where vned was lost. */
int probe_run(struct client *c, enum probe_traffic kind, int seconds, struct probe_link *links, size_t n);
