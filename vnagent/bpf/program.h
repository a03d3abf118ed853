/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For the authors of forwarding programs (`plane: {program: NAME}`): what a program is, and what it may do.
 *
 * One object file, compiled by `clang -O2 -g -target bpf`, with one program `SEC("tc") int plane(struct __sk_buff *skb)`. It sees every
 * frame that is about to enter the router, whole, by whatever port, and returns
 *
 *     TC_ACT_OK         the frame goes into the router as if there were no program
 *     TC_ACT_SHOT       the frame is dropped
 *     plane_forward()   the frame leaves by another port of the same router, as if the router had forwarded it
 *
 * Each router has an instance with maps of its own: `ports` and `locals`, filled by the agent, and, if the program has it, `tenant`,
 * a hash, LRU hash, array or LPM trie without per-cpu values that the router's tenant fills (`vnctl plane`). What the tenant
 * writes there is untrusted; the kernel's verifier makes sure that it cannot do harm, and `ports` that a frame stays within the
 * router. The node's operator names the objects that routers may ask for (`programs` in vnagent.yaml); so an object is the
 * operator's to trust. */
#pragma once

#include <linux/types.h>

enum { PLANE_PORTS = 64, PLANE_LOCALS = 256 };

/* Of the router's interface ethN, by N. */
struct plane_port {
	__u32 ifindex; /* of its host-side device; 0: there is none */
	__u32 mtu;
	__u8 mac[6];
	__u8 peer[6];  /* of the other end of a virtual link; zeroes: a LAN, or not known */
};

#ifdef __bpf__

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLANE_PORTS);
	__type(key, __u32);
	__type(value, struct plane_port);
} ports SEC(".maps");

/* The router's own addresses, IPv4 as ::ffff:a.b.c.d. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PLANE_LOCALS);
	__type(key, __u8[16]);
	__type(value, __u8);
} locals SEC(".maps");

/* A packet's five parts, addresses of IPv4 as ::ffff:a.b.c.d; ports 0 where it has none, as in later fragments. */
struct plane_flow {
	__u8 source[16], target[16];
	__be16 source_port, target_port;
	__u8 protocol;
	__u8 pad[3];
};

static __always_inline int plane_is_v4(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP);
}

/* 0, or -1: it is not IP, or not whole. */
static __always_inline int plane_read(struct __sk_buff *skb, struct plane_flow *f)
{
	__u32 at;
	__u16 fragment = 0;
	__builtin_memset(f, 0, sizeof(*f));
	if (plane_is_v4(skb)) {
		__u8 first;
		f->source[10] = f->source[11] = f->target[10] = f->target[11] = 0xff;
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &first, 1) || bpf_skb_load_bytes(skb, ETH_HLEN + 6, &fragment, 2) ||
		    bpf_skb_load_bytes(skb, ETH_HLEN + 9, &f->protocol, 1) || bpf_skb_load_bytes(skb, ETH_HLEN + 12, f->source + 12, 4) ||
		    bpf_skb_load_bytes(skb, ETH_HLEN + 16, f->target + 12, 4))
			return -1;
		at = ETH_HLEN + (first & 15) * 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN + 6, &f->protocol, 1) || bpf_skb_load_bytes(skb, ETH_HLEN + 8, f->source, 32))
			return -1;
		at = ETH_HLEN + 40;
	} else {
		return -1;
	}
	if ((f->protocol == IPPROTO_TCP || f->protocol == IPPROTO_UDP) && !(fragment & bpf_htons(0x1fff)))
		return bpf_skb_load_bytes(skb, at, &f->source_port, 4) ? -1 : 0;
	return 0;
}

static __always_inline int plane_is_local(const struct plane_flow *f)
{
	return bpf_map_lookup_elem(&locals, f->target) != 0;
}

/* Out by ethN: hop limit less one, addresses of the frame anew. Into the router where that is not plain: the hop limit ends, it is
 * no IP packet for this router, too long, or has options; where there is no such port, or no known neighbour behind it. */
static __always_inline int plane_forward(struct __sk_buff *skb, __u32 n)
{
	struct plane_port *out = bpf_map_lookup_elem(&ports, &n);
	__u8 head[ETH_HLEN], hops, first;
	__u32 at = plane_is_v4(skb) ? ETH_HLEN + 8 : ETH_HLEN + 7;
	if (!out || !out->ifindex || !(out->peer[0] | out->peer[1] | out->peer[2] | out->peer[3] | out->peer[4] | out->peer[5]))
		return TC_ACT_OK;
	if (bpf_skb_load_bytes(skb, 0, head, ETH_HLEN) || bpf_skb_load_bytes(skb, at, &hops, 1) || bpf_skb_load_bytes(skb, ETH_HLEN, &first, 1))
		return TC_ACT_OK;
	if ((head[0] & 1) || hops <= 1 || (plane_is_v4(skb) && first != 0x45) ||
	    (skb->gso_size ? (__u32)skb->gso_size + 80 : skb->len - ETH_HLEN) > out->mtu)
		return TC_ACT_OK;
	if (plane_is_v4(skb)) { /* the checksum of the header, by the two bytes that the hop limit is in */
		__u16 old, new;
		if (bpf_skb_load_bytes(skb, at, &old, 2))
			return TC_ACT_OK;
		new = (__u16)(old - bpf_htons(0x0100));
		if (bpf_l3_csum_replace(skb, ETH_HLEN + 10, old, new, 2))
			return TC_ACT_OK;
	}
	hops--;
	__builtin_memcpy(head, out->peer, 6);
	__builtin_memcpy(head + 6, out->mac, 6);
	if (bpf_skb_store_bytes(skb, at, &hops, 1, 0) || bpf_skb_store_bytes(skb, 0, head, 12, 0))
		return TC_ACT_SHOT; /* half changed */
	return bpf_redirect(out->ifindex, BPF_F_INGRESS);
}

#endif
