/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Traffic control: where frames of a device go, and how many. All of it are messages into a
 * batch; nothing here talks to the kernel.
 *
 * Redirects are classic BPF programs at a device's ingress with the action mirred: they see
 * frames of every size (u32 misses short ones), need neither verifier nor compiler, and exist
 * wherever tc does. Replacing one (same handle) loses no frame. Behind them stands a program
 * that drops: a device without a redirect is closed, never open into the host.
 *
 * Rates are TBF with the encapsulation as overhead, so that they count bytes on the wire. A
 * segmentation-offload packet would be charged that overhead once for many frames; TBF
 * takes such a packet apart when it exceeds the burst of its *peak* rate. So there is a peak
 * rate, far above anything, whose burst is one frame. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nl.h"

enum { TARGETS_MAX = 8 };
struct redirect_target {
	uint32_t ifindex;
	uint64_t weight; /* share of the flows, among several targets */
};

/* Ingress hook and closed door. Put it before the device goes up. */
void tc_put_gate(struct nl_batch *b, uint32_t ifindex, const char *label);
/* The guard of gso_guard.h, where it can be loaded; for ports (what comes by a tunnel was charged frame by
 * frame where it entered, and may have been put together on the way). */
void tc_put_guard(struct nl_batch *b, uint32_t ifindex, const char *label);
/* Everything that enters `ifindex` leaves by the target; among several each flow (addresses,
 * protocol, ports; IPv4 and IPv6) sticks to one, spread by weight. n <= TARGETS_MAX. */
void tc_put_redirect(struct nl_batch *b, uint32_t ifindex, const struct redirect_target *targets, size_t n,
                     const char *label);
/* Takes targets n .. from-1 away, which an earlier redirect may have had. */
void tc_put_redirect_trim(struct nl_batch *b, uint32_t ifindex, size_t n, size_t from, const char *label);

/* Ports of protected links: what enters leaves by `to`, but for frames of the type that the watch's probes have (ETH_P_WATCH), which stay at the
 * gate. Replacing it by another loses no frame. */
enum { ETH_P_WATCH = 0x88b6 }; /* IEEE 802 local experimental 2 */
void tc_put_protected(struct nl_batch *b, uint32_t ifindex, uint32_t to, const char *label);
/* Where frames that enter the port go now; 0: nowhere. */
uint32_t tc_redirected_to(struct nl *nl, uint32_t ifindex);
/* The far end's tunnel: probes go up to whoever listens for them, all else goes on as before. */
void tc_put_probe_exit(struct nl_batch *b, uint32_t ifindex, const char *label);

/* An uplink (uplink.h): what enters `port` from its router leaves by `outside` where it has the port's own MAC as source (that of ARP
 * too), no VLAN tag, and is not for a bridge's ears (BPDUs, pause frames; 01:80:c2:00:00:0x); what arrives at `outside`
 * without a tag goes to the router. All else stays at the gate. */
void tc_put_uplink(struct nl_batch *b, uint32_t port, uint32_t outside, const uint8_t mac[6], const char *label);
/* Frames leave `outside` with the tag, and arrive by it only with that one, which is taken off. */
void tc_put_tags(struct nl_batch *b, uint32_t outside, uint16_t vlan, const char *label);
void tc_put_untagged(struct nl_batch *b, uint32_t outside, const char *label); /* takes those away */

/* What leaves `ifindex` is limited; mtu: of the device. */
void tc_put_limit(struct nl_batch *b, uint32_t ifindex, int64_t bw_kbps, uint32_t overhead, uint32_t mtu,
                  const char *label);
void tc_put_unlimited(struct nl_batch *b, uint32_t ifindex, const char *label);

/* Marks in the outer header of tunnels (DSCP in the upper six bits). */
/* Best effort is shared out by tenant: each has a class of its own under what promises leave, all with the same weight, so they take turns byte by byte. A
 * tunnel's frames say whose they are by their UDP source port, SHARE_PORT_FIRST + 4 * share …, which the tunnel's device draws from.
 * Two tenants whose names have the same share (one pair in 4096) have one together. */
enum { SHARES = 4096, SHARE_PORT_FIRST = 49152 };
uint16_t tc_share_of(const char *owner);
/* On an underlay device; where it is there already nothing changes. */
void tc_put_share(struct nl_batch *b, uint32_t ifindex, uint16_t share, int64_t bw_kbps, const char *label);
enum { TOS_PROMISED = 0x48 /* AF21 */, TOS_BEST_EFFORT = 0x20 /* CS1 */ };
/* An underlay device carries at most bw_kbps; what is marked best effort gets what others leave. */
void tc_put_underlay(struct nl_batch *b, uint32_t ifindex, int64_t bw_kbps, const char *label);
