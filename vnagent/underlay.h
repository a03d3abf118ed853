/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The devices that tunnels go out by. */
#pragma once

#include "base/err.h"
#include "base/nl.h"
#include "model/load.h"
#include "vnagent/config.h"

/* Shapes the listed devices (wire_tc.h). Repeatable: a restart changes nothing. Each failure is told
 * by `failed`; the others are done. Returns how many failed. */
size_t underlay_shape(const struct agent_config *c, void (*failed)(const char *device, const char *why));
/* A tenant's share of best effort (wire_tc.h) on each of them, before its first tunnel. */
void underlay_put_share(struct nl_batch *b, const struct agent_underlay *devices, size_t n, uint16_t share);
/* Takes the shaping away again. */
void underlay_unshape(const struct agent_config *c);
/* Of `known`, the addresses of an earlier probe, those that nothing goes out by now: their device has no carrier, is down, or is
 * gone. The caller frees each and the array. */
void underlay_down(const struct node_probe *known, char ***ret, size_t *ret_n);
/* Adds the MTU behind each address of this node to the probe. */
void underlay_mtus(struct node_probe *probe);
