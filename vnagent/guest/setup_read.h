/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the text of vnagent/setup.h. What is wrong anywhere refuses the whole: nothing is applied by halves. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/units.h"

enum { GUEST_IFNAME_MAX = 15, GUEST_PORTS_MAX = 256, GUEST_LOOPBACKS_MAX = 16, GUEST_ROUTES_MAX = 1 << 16 };
enum { GUEST_MTU_MIN = 68, GUEST_MTU_MAX = 65535 };

struct guest_port {
	uint8_t mac[6];
	char ifname[GUEST_IFNAME_MAX + 1];
	uint32_t mtu;
	struct addr address; /* family 0: none */
};
struct guest_route {
	struct addr to, via, source; /* source: family 0: none */
	char ifname[GUEST_IFNAME_MAX + 1];
};
struct guest_setup {
	char name[NAME_MAX_LEN + 1]; /* "": keep the host name */
	struct guest_port *ports;
	struct addr *loopbacks;
	struct guest_route *routes;
	size_t n_ports, n_loopbacks, n_routes;
	char *bird; /* NULL: none runs */
};

/* -EINVAL with the line, -E2BIG; *ret is then empty. MACs and names of ports are unique, routes go by ports that there are. */
int guest_setup_read(const char *text, size_t len, struct guest_setup *ret, struct err *err) VNE_MUST;
void guest_setup_done(struct guest_setup *s); /* frees; empty afterwards */
