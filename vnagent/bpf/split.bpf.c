/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The split forwarding plane, in the kernel of the host.
 *
 * It stands where packets leave the host for a router: at the egress of the host-side device of its port. What the router would
 * only forward is forwarded here, by the router's own table, as its kernel would: TTL less one, addresses of the frame
 * anew. Whatever is anything else returns TC_ACT_UNSPEC and goes into the router, who has the last word on all that is unclear:
 * for it, an error is never made here. See vnagent/split.h for how the tables are kept true. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "vnagent/split_map.h"

enum { IP4_HEADER = 20, IP6_HEADER = 40, UDP_HEADER = 8, SEGMENT_MIN = 512, GSO_BY_FRAGMENTS = 0xffff };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SPLIT_SLOTS);
	__type(key, __u32);
	__type(value, struct split_port);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SPLIT_SLOTS);
	__type(key, __u32);
	__type(value, struct split_count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, SPLIT_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct split_key4);
	__type(value, struct split_route4);
} routes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, SPLIT_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct split_key6);
	__type(value, struct split_route6);
} routes6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SPLIT_NEIGHBOURS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct split_neighbour4);
	__type(value, struct split_mac);
} neighbours4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SPLIT_NEIGHBOURS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct split_neighbour6);
	__type(value, struct split_mac);
} neighbours6 SEC(".maps");

/* Heads of frame and packet. The packet's stands at a multiple of four; what lies before FRAME is not of the frame. */
struct head4 {
	__u8 pad[2];
	__u8 to[6], from[6];
	__be16 type;
	__u8 version, tos;
	__be16 len, id, fragment;
	__u8 ttl, protocol;
	__u16 check;
	__u8 source[4], target[4];
} __attribute__((packed, aligned(4)));

struct head6 {
	__u8 pad[2];
	__u8 to[6], from[6];
	__be16 type;
	__be32 version;
	__be16 len;
	__u8 next, hops;
	__u8 source[16], target[16];
} __attribute__((packed, aligned(8)));

#define FRAME(head) ((head)->to)
#define FRAME_BYTES(head) ((__u32)sizeof(head) - 2)
#define CHANGED_BYTES(head) ((__u32)__builtin_offsetof(__typeof__(head), source) - 2)

static __always_inline void copy6(__u8 *to, const __u8 *from)
{
	__builtin_memcpy(to, from, ETH_ALEN);
}

static __always_inline int same6(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

/* Each of its frames fits. A packet of several (segmentation offload) has the length of one in gso_size, without heads.
 * Trains of tiny frames are not for here: gso_guard.h drops them where they come out of the router. */
static __always_inline int fits(struct __sk_buff *skb, __u32 mtu, __u32 head, __u8 protocol)
{
	__u32 len = skb->len - ETH_HLEN, segment = skb->gso_size;
	if (!segment)
		return len <= mtu;
	if (segment == GSO_BY_FRAGMENTS || (segment < SEGMENT_MIN && len <= mtu))
		return 0;
	if (protocol == IPPROTO_TCP) {
		__u8 offset;
		if (bpf_skb_load_bytes(skb, ETH_HLEN + head + 12, &offset, 1))
			return 0;
		return head + (offset >> 4) * 4 + segment <= mtu;
	}
	return protocol == IPPROTO_UDP && head + UDP_HEADER + segment <= mtu;
}

static __always_inline void count(__u32 slot, __u32 len, int out)
{
	struct split_count *c = bpf_map_lookup_elem(&counts, &slot);
	if (!c)
		return;
	if (out) {
		c->out_packets++;
		c->out_bytes += len;
	} else {
		c->in_packets++;
		c->in_bytes += len;
	}
}

/* The port that a route goes out by: another one of the same router, and ready. */
static __always_inline struct split_port *way_out(const struct split_port *in, __u32 in_slot, __u32 slot, __u8 flag)
{
	if (!slot || slot == in_slot)
		return 0; /* back where it came from: the router tells the sender a better way */
	struct split_port *out = bpf_map_lookup_elem(&ports, &slot);
	return out && out->router == in->router && (out->flags & flag) ? out : 0;
}

static __always_inline int leave(struct __sk_buff *skb, const struct split_port *out, __u32 in_slot, __u32 out_slot)
{
	count(in_slot, skb->len, 0);
	count(out_slot, skb->len, 1);
	return bpf_redirect(out->out, out->out_flags);
}

static __always_inline void use(struct split_mac *n)
{
	if (!n->used)
		n->used = 1;
}

static __always_inline int is_sound4(const struct head4 *h, __u32 len)
{
	const __u16 *word = (const __u16 *)&h->version;
	__u32 sum = 0;
#pragma unroll
	for (int i = 0; i < IP4_HEADER / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	if (sum != 0xffff || h->version != 0x45 || bpf_ntohs(h->len) > len - ETH_HLEN || bpf_ntohs(h->len) < IP4_HEADER)
		return 0; /* broken, or with options */
	/* From and to 0/8, 127/8, 224/4 and above, and between link-local addresses, nothing is forwarded without a look. */
	return h->source[0] && h->source[0] != 127 && h->source[0] < 224 && h->target[0] && h->target[0] != 127 &&
	       h->target[0] < 224 && !(h->source[0] == 169 && h->source[1] == 254) && !(h->target[0] == 169 && h->target[1] == 254);
}

static __always_inline int forward4(struct __sk_buff *skb, const struct split_port *in, __u32 in_slot)
{
	struct head4 h;
	if (bpf_skb_load_bytes(skb, 0, FRAME(&h), FRAME_BYTES(h)))
		return TC_ACT_UNSPEC;
	if (h.type != bpf_htons(ETH_P_IP) || !same6(h.to, in->mac) || h.ttl <= 1 || !is_sound4(&h, skb->len))
		return TC_ACT_UNSPEC;
	struct split_key4 key = { .prefix = SPLIT_KEY_BITS + 32, .router = in->router };
	__builtin_memcpy(key.to, h.target, sizeof(key.to));
	struct split_route4 *route = bpf_map_lookup_elem(&routes4, &key);
	if (!route)
		return TC_ACT_UNSPEC;
	__u32 out_slot = route->slot;
	struct split_port *out = way_out(in, in_slot, out_slot, SPLIT_FORWARDS_4);
	if (!out || !fits(skb, out->mtu, IP4_HEADER, h.protocol))
		return TC_ACT_UNSPEC;
	struct split_neighbour4 next = { .slot = out_slot };
	__builtin_memcpy(next.address, route->via, sizeof(next.address));
	if (!*(__u32 *)next.address)
		__builtin_memcpy(next.address, h.target, sizeof(next.address));
	struct split_mac *mac = bpf_map_lookup_elem(&neighbours4, &next);
	if (!mac)
		return TC_ACT_UNSPEC;
	copy6(h.to, mac->mac);
	copy6(h.from, out->mac);
	h.ttl--;
	__u32 sum = (__u32)h.check + bpf_htons(0x0100);
	h.check = (__u16)(sum + (sum >= 0xffff)); /* RFC 1141 */
	if (bpf_skb_store_bytes(skb, 0, FRAME(&h), CHANGED_BYTES(h), BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_UNSPEC;
	use(mac);
	return leave(skb, out, in_slot, out_slot);
}

static __always_inline int is_zero_but_last(const __u8 *a)
{
	const __u32 *w = (const __u32 *)a;
	return !w[0] && !w[1] && !w[2] && (w[3] == 0 || w[3] == bpf_htonl(1));
}

/* Multicast, link-local, ::, ::1 */
static __always_inline int is_special6(const __u8 *a)
{
	return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || is_zero_but_last(a);
}

static __always_inline int forward6(struct __sk_buff *skb, const struct split_port *in, __u32 in_slot)
{
	struct head6 h;
	if (bpf_skb_load_bytes(skb, 0, FRAME(&h), FRAME_BYTES(h)))
		return TC_ACT_UNSPEC;
	if (h.type != bpf_htons(ETH_P_IPV6) || !same6(h.to, in->mac) || (*(__u8 *)&h.version >> 4) != 6 || h.hops <= 1 ||
	    h.next == IPPROTO_HOPOPTS || (__u32)bpf_ntohs(h.len) + IP6_HEADER > skb->len - ETH_HLEN || is_special6(h.source) ||
	    is_special6(h.target))
		return TC_ACT_UNSPEC;
	struct split_key6 key = { .prefix = SPLIT_KEY_BITS + 128, .router = in->router };
	__builtin_memcpy(key.to, h.target, sizeof(key.to));
	struct split_route6 *route = bpf_map_lookup_elem(&routes6, &key);
	if (!route)
		return TC_ACT_UNSPEC;
	__u32 out_slot = route->slot;
	struct split_port *out = way_out(in, in_slot, out_slot, SPLIT_FORWARDS_6);
	if (!out || !fits(skb, out->mtu, IP6_HEADER, h.next))
		return TC_ACT_UNSPEC;
	struct split_neighbour6 next = { .slot = out_slot };
	__builtin_memcpy(next.address, route->via, sizeof(next.address));
	const __u32 *via = (const __u32 *)next.address;
	if (!(via[0] | via[1] | via[2] | via[3]))
		__builtin_memcpy(next.address, h.target, sizeof(next.address));
	struct split_mac *mac = bpf_map_lookup_elem(&neighbours6, &next);
	if (!mac)
		return TC_ACT_UNSPEC;
	copy6(h.to, mac->mac);
	copy6(h.from, out->mac);
	h.hops--;
	if (bpf_skb_store_bytes(skb, 0, FRAME(&h), CHANGED_BYTES(h), BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_UNSPEC;
	use(mac);
	return leave(skb, out, in_slot, out_slot);
}

SEC("tc")
int vne_split(struct __sk_buff *skb)
{
	__u32 slot = skb->tc_classid;
	struct split_port *in = bpf_map_lookup_elem(&ports, &slot);
	if (!in || in->ifindex != skb->ifindex || skb->vlan_present)
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP) && (in->flags & SPLIT_ENTERS_4))
		return forward4(skb, in, slot);
	if (skb->protocol == bpf_htons(ETH_P_IPV6) && (in->flags & SPLIT_ENTERS_6))
		return forward6(skb, in, slot);
	return TC_ACT_UNSPEC;
}

char terms[] SEC("license") = "GPL";
