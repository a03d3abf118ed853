/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Equal-cost multipath by flow: packets to a prefix leave by one of several links, all packets of a flow by the same.
 *
 *     vnctl plane NET ROUTER set BITS,ADDRESS PORTS
 *
 * BITS of the prefix (IPv4: 96 more, its addresses as ::ffff:10.1.0.0), PORTS a number whose bit N stands for ethN. To 10.1.0.0/16 by
 * eth1 and eth2: `set 112,::ffff:10.1.0.0 6`. What no prefix has, and what is for the router itself, goes into the router. */
#include "vnagent/bpf/program.h"

struct prefix {
	__u32 bits;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} tenant SEC(".maps");

/* Bob Jenkins' one-at-a-time, by words. */
static __always_inline __u32 hash(const struct plane_flow *f)
{
	const __u32 *word = (const __u32 *)f;
	__u32 h = 0;
#pragma unroll
	for (int i = 0; i < (int)(sizeof(*f) / 4); i++) {
		h += word[i];
		h += h << 10;
		h ^= h >> 6;
	}
	h += h << 3;
	h ^= h >> 11;
	return h + (h << 15);
}

SEC("tc")
int plane(struct __sk_buff *skb)
{
	struct plane_flow f;
	if (plane_read(skb, &f) || plane_is_local(&f))
		return TC_ACT_OK;
	struct prefix key = { .bits = 128 };
	__builtin_memcpy(key.address, f.target, sizeof(key.address));
	__u32 *set = bpf_map_lookup_elem(&tenant, &key);
	__u32 bits = set ? *set & 0xffff : 0, n = 0, chosen;
	if (!bits)
		return TC_ACT_OK;
#pragma unroll
	for (__u32 i = 0; i < 16; i++)
		n += bits >> i & 1;
	chosen = (hash(&f) >> 8) % n;
#pragma unroll
	for (__u32 i = 0; i < 16; i++)
		if (bits >> i & 1) {
			if (!chosen)
				return plane_forward(skb, i);
			chosen--;
		}
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
