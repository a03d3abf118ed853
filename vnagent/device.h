/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host-side network devices of an agent: how they are named and marked, and which there are.
 *
 * A port is `vp<net>.<port>`, that of an uplink `vu<net>.<number>`, what stands for it on its outside device
 * `vo<net>.<number>`, a segment `vt<vni>`, in hex. All carry the device group
 * 0x56<net>, so that one request removes a whole network in one of the kernel's grace periods.
 * A device is ours only if name and group agree; no other is ever touched. Their interface
 * numbers are chosen by us when they are made, from a range the kernel does not use, so that
 * a device, its filters and what points at it go to the kernel in one batch. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/nl.h"

enum { DEVICE_NAME = 16, PORT_ID_MAX = 0xffffff, PORT_ID_UPLINK = 1 << 30 /* PLAN_UPLINK_ID */ };
#define DEVICE_GROUP 0x56000000u /* | net */
#define DEVICE_DOOMED 0x57000000u /* about to be removed */

enum device_kind { DEVICE_PORT, DEVICE_SEGMENT, DEVICE_OUTSIDE /* see uplink.h; its id is its port's */ };
struct device {
	char name[DEVICE_NAME];
	enum device_kind kind;
	uint32_t net;
	uint32_t id; /* port id, or VNI */
	uint32_t ifindex;
	uint32_t link; /* DEVICE_OUTSIDE: the outside device that it stands on */
	uint32_t mtu;
	bool up;
	bool doomed;
	bool drivers; /* a router's driver made it, who takes it away: the kernel refuses that to others */
};

void device_port_name(uint32_t net, uint32_t port, char name[static DEVICE_NAME]);
void device_outside_name(uint32_t net, uint32_t port, char name[static DEVICE_NAME]);
bool device_port_read(const char *name, uint32_t *ret_net, uint32_t *ret_port); /* false: no port's name */
bool device_port_valid(uint32_t port); /* the numbers that a name has room for */
void device_segment_name(uint32_t vni, char name[static DEVICE_NAME]);
/* The far end's interface number inside the router: fixed by the port, so nobody has to ask. */
uint32_t device_inner_ifindex(uint32_t port);

/* What leaves by it is whole: checksums computed, offload packets taken apart. For far ends that read frames as they are. Blocks for microseconds. */
int device_make_whole(const char *name, struct err *err) VNE_MUST;

struct inventory;
struct inventory *inventory_new(void);
void inventory_free(struct inventory *inv);
/* Lists anew what the kernel has. */
int inventory_read(struct inventory *inv, struct nl *nl, struct err *err) VNE_MUST;
struct device *inventory_port(const struct inventory *inv, uint32_t net, uint32_t port); /* NULL: none */
struct device *inventory_outside(const struct inventory *inv, uint32_t net, uint32_t port);
struct device *inventory_segment(const struct inventory *inv, uint32_t vni);
struct device *inventory_find(const struct inventory *inv, uint32_t ifindex);
/* Enters a device that is being made, with an interface number of its own. */
struct device *inventory_add(struct inventory *inv, enum device_kind kind, uint32_t net, uint32_t id, uint32_t mtu);
void inventory_drop(struct inventory *inv, struct device *d); /* frees d */
void inventory_each(const struct inventory *inv, void (*visit)(struct device *d, void *arg), void *arg);
size_t inventory_count(const struct inventory *inv);

/* Removes the devices but those of drivers, in one grace period where possible, from kernel and inventory. Reads the
 * inventory anew first: whoever else stands in the group is spared. */
int inventory_remove(struct inventory *inv, struct nl *nl, uint32_t net,
                     bool (*doomed)(const struct device *d, void *arg), void *arg, size_t *ret_n,
                     struct err *err) VNE_MUST;

/* ---- messages about devices, into a batch ------------------------------------------------ */
/* flags to set or clear (IFF_UP …) */
void device_put_flags(struct nl_batch *b, uint32_t ifindex, unsigned flags, unsigned change, const char *label);
void device_put_mtu(struct nl_batch *b, uint32_t ifindex, uint32_t mtu, const char *label);
/* No IPv6 address of its own makes a device speak. */
void device_put_silent(struct nl_batch *b, uint32_t ifindex, const char *label);
