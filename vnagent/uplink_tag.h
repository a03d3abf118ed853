/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VLAN tags of an uplink, by eBPF on the device that stands on the outside one: what leaves gets the tag, what arrives without
 * it is dropped, with it loses it. Why not a VLAN device: it would be one more kind of object, shared by networks, that has to be counted
 * and removed; and not every kernel has it. Where the host has a VLAN device of that number on the same device, the kernel gives the frames
 * to that one: then that one is what the operator names. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool uplink_tag_unusable(void); /* programs of this kind cannot be loaded here (a rootless lab) */
/* Descriptors of programs for the classifier bpf, loaded with the first call for that VLAN (1 to 4094), they stay; -1 where they cannot be. */
int uplink_tag_push(uint16_t vlan);
int uplink_tag_pop(uint16_t vlan);
