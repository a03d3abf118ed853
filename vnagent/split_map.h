/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the agent (split_bpf.c) and the program in the kernel (bpf/split.bpf.c) say to each other: the keys and values of
 * their maps. Numbers of addresses and MTUs are as in packets (big-endian) where they are bytes, the host's else. */
#pragma once

#include <linux/types.h>

/* A port has a slot, from 1; its filter tells the program which. Routers have numbers that are never used again, so what is
 * left of one cannot be taken for another's. */
enum { SPLIT_SLOTS = 16384, SPLIT_ROUTES = 1 << 20, SPLIT_NEIGHBOURS = 1 << 16 };
/* Of a port. FORWARDS: port and router are up, the tables true, and packets of that family that come out of it are a router's;
 * ENTERS: and those that come in by it may be taken past the router. */
enum { SPLIT_FORWARDS_4 = 1, SPLIT_FORWARDS_6 = 2, SPLIT_ENTERS_4 = 4, SPLIT_ENTERS_6 = 8 };

struct split_port {
	__u32 router;    /* 0: no port */
	__u32 ifindex;   /* its host-side device */
	__u32 out;       /* what leaves by it goes to this device … */
	__u32 out_flags; /* … into it (BPF_F_INGRESS), as if it had come out of the router, or out by it (0) */
	__u32 mtu;
	__u8 flags;
	__u8 pad;
	__u8 mac[6];     /* of the router's end */
};

struct split_key4 {
	__u32 prefix; /* length in bits, of what follows */
	__u32 router;
	__u8 to[4];
};
struct split_key6 {
	__u32 prefix;
	__u32 router;
	__u8 to[16];
};
enum { SPLIT_KEY_BITS = 32 }; /* of the router's number, before those of the address */

/* slot 0: into the router, who knows what to do. via 0: the destination itself is a neighbour. */
struct split_route4 {
	__u32 slot;
	__u8 via[4];
};
struct split_route6 {
	__u32 slot;
	__u8 via[16];
};

struct split_neighbour4 {
	__u32 slot;
	__u8 address[4];
};
struct split_neighbour6 {
	__u32 slot;
	__u8 address[16];
};
struct split_mac {
	__u8 mac[6];
	__u8 used; /* set by the program with every packet to it, cleared by the agent */
	__u8 pad;
};

/* Of packets that never reached the device's own counters. */
struct split_count {
	__u64 in_packets, in_bytes;   /* would have entered the router by this port */
	__u64 out_packets, out_bytes; /* would have come out of it */
};
