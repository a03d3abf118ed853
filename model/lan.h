/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LANs of a request: what switches that virtual links join make one, with the ends of the other routers on it. Their subnets
 * come from the end of the pool of links, downwards, so that links between two routers keep the numbers that they have
 * without any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "model/request.h"

#define LAN_NONE UINT32_MAX

struct lan {
	struct addr subnet;  /* family 0: no router is on it */
	uint32_t *ports;     /* ends of routers (link << 1 | end), in the order of the file's links */
	size_t n_ports;
	size_t n_inside;     /* switches whose controller is in the network: each has an address behind those of the ports */
};

struct lans {
	struct lan *v; /* in the order of their first switches in the file */
	size_t n;
	uint32_t *of_node;   /* the LAN of each switch, else LAN_NONE */
	uint32_t *inside;    /* which of the n_inside a switch is, else LAN_NONE */
	struct hash *first;  /* of (LAN, router): its first end there */
};

/* Finds them and gives them subnets: the smallest power of two with room for ports, `inside`, network and broadcast address.
 * -ERANGE where the pool has too little behind the links' own numbers. Ends that are no nodes are passed over. O(nodes + links). */
int lans_make(const struct request *r, struct lans *ret, struct err *err) VNE_MUST;
void lans_done(struct lans *l);

uint32_t lans_of_link(const struct lans *l, const struct vlink *link); /* LAN_NONE: between two routers */
/* Of the k-th port, or of the (n_ports + k)-th: the k-th switch inside. With the subnet's prefix length. */
struct addr lan_address(const struct lan *l, size_t k);
/* The block of addresses that ends where `used` of them from the pool's end begin, with that prefix length. */
struct addr lan_block(const struct addr *pool, uint64_t used, uint8_t prefix);
uint8_t lan_full_length(const struct addr *a); /* of a host's prefix */
/* The first end of a node on a LAN; UINT32_MAX: it is not there. */
uint32_t lans_port_of(const struct lans *l, uint32_t lan, size_t node);
