/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Uplinks: outside ports (a NIC, a VLAN of it, a tap, a veth end) that the node's operator lets routers be joined to.
 *
 * On the outside device stands, for each router port that is joined to it, a macvlan device with the port's own MAC
 * (`vo<net>.<n>`, device.h); frames are redirected between that and the port, as between port and tunnel. So the kernel does what
 * an outside port needs: frames for our MACs, and no others, are taken from the device (the card is told to receive them), broadcast
 * and multicast go to all, routers on one device reach each other as hosts of that LAN do, the device's own traffic, filters and
 * queues stay as they are, and nothing of ours is left on it once our devices are gone. What a router must not send out is dropped at its
 * port (tc_put_uplink). Host and routers of one machine do not reach each other through the device itself: macvlan gives nothing
 * to the host's stack, which is what we want.
 *
 * What is configured does not change while the agent runs; whether the device is there does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nl.h"
#include "model/load.h"
#include "model/yaml.h"
#include "vnagent/device.h"

enum { UPLINKS_MAX = 256, VLAN_MAX = 4094 };

struct uplink {
	char *name, *device;
	int64_t vlan;            /* 0: the device's untagged frames */
	struct yaml_names users; /* owners of networks; n 0: everybody */
};
struct uplink_list {
	struct uplink *v;
	size_t n;
};
void uplink_list_done(struct uplink_list *list);
const struct uplink *uplink_find(const struct uplink_list *list, const char *name); /* NULL: there is none */

/* Whether a network of `owner` may use the uplink of that name: -ENOENT, -EACCES with the reason. */
int uplink_allows(const struct uplink_list *list, const char *name, const char *owner, struct err *err) VNE_MUST;

struct uplink_state {
	uint32_t ifindex; /* of its device; 0: cannot be joined */
	char why[96];     /* what is wrong with it, "its device eth1 …"; "": nothing */
};
void uplink_look(const struct uplink *u, struct nl *nl, struct uplink_state *ret);

/* All of them, as they are now, on a machine that was probed. Owned by the probe or report that the result is put into. */
void uplinks_probe(const struct uplink_list *list, const struct node_probe *machine, struct probe_uplink **ret, size_t *ret_n);

/* The device of DEVICE_OUTSIDE for a port with that MAC, down. */
void uplink_put_outside(struct nl_batch *b, const struct device *d, const uint8_t mac[6]);
/* Joins both: the redirects of tc_put_uplink, the tags of uplink_tag.h. */
void uplink_put_wires(struct nl_batch *b, const struct uplink *u, const struct device *port, const struct device *outside,
                      const uint8_t mac[6]);
