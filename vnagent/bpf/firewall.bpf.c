/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A firewall in front of the router: what enters it is looked up by its five parts, first exactly, then with parts left out.
 *
 *     vnctl plane NET ROUTER set SOURCE,TARGET,PORT/be16,PORT/be16,PROTOCOL/u8,0x000000 ACTION,0
 *
 * ACTION 1 passes, 0 drops; the 0 behind it counts what met the rule. Addresses of IPv4 are written ::ffff:10.1.0.1. Rules, in the order in which they are
 * tried, where `::`, 0/be16 and 0/u8 stand for what is left out: all five; without the source's port; a service (target, its
 * port and protocol); a source; a target; everything (all left out). What meets none passes. Web to 10.1.0.1 only:
 *
 *     set ::,::ffff:10.1.0.1,0/be16,80/be16,6/u8,0x000000 1,0      set ::,::ffff:10.1.0.1,0/be16,0/be16,0/u8,0x000000 0,0 */
#include "vnagent/bpf/program.h"

struct rule {
	__u32 passes;
	__u32 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct plane_flow);
	__type(value, struct rule);
} tenant SEC(".maps");

static __always_inline void nobody(__u8 *address)
{
	__builtin_memset(address, 0, 16);
}

static __always_inline int decide(struct rule *r)
{
	__sync_fetch_and_add(&r->packets, 1);
	return r->passes ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc")
int plane(struct __sk_buff *skb)
{
	struct plane_flow f, key;
	struct rule *r;
	if (plane_read(skb, &f))
		return TC_ACT_OK; /* ARP and whatever else is no IP */
	key = f;
	if ((r = bpf_map_lookup_elem(&tenant, &key)))
		return decide(r);
	key.source_port = 0;
	if ((r = bpf_map_lookup_elem(&tenant, &key)))
		return decide(r);
	nobody(key.source);
	if ((r = bpf_map_lookup_elem(&tenant, &key)))
		return decide(r);
	__builtin_memset(&key, 0, sizeof(key));
	__builtin_memcpy(key.source, f.source, sizeof(key.source));
	if ((r = bpf_map_lookup_elem(&tenant, &key)))
		return decide(r);
	nobody(key.source);
	__builtin_memcpy(key.target, f.target, sizeof(key.target));
	if ((r = bpf_map_lookup_elem(&tenant, &key)))
		return decide(r);
	nobody(key.target);
	r = bpf_map_lookup_elem(&tenant, &key);
	return r ? decide(r) : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
