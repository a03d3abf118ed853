/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as what a tenant's kernel, or whoever answers in its guest's place, tells of routes, neighbours and links. Nothing may crash
 * or grow without bound, and nothing that is laid into the maps may name a port that is not the router's own. The maps and the
 * source are this file's. The input: messages of one byte of type, one of length, and a body. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/split_impl.h"

enum { SLOT = 7, INNER = 4097, ROUTES_MOST = 64 };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t asked;

static void must(bool holds)
{
	if (!holds)
		abort();
}

void split_bpf_forget_neighbour(struct split_bpf *b, uint32_t slot, const struct addr *address)
{
	must(slot == SLOT && (address->family == AF_INET || address->family == AF_INET6));
}

int split_bpf_neighbour(struct split_bpf *b, uint32_t slot, const struct addr *address, const uint8_t *mac)
{
	must(slot == SLOT && (address->family == AF_INET || address->family == AF_INET6));
	return mac[5] == 0xee ? -ENOSPC : 0;
}

void split_router_update(struct split_router *r)
{
	must(r->key.net == 1);
}

struct split_port_state *split_port_inside(struct split_router *r, uint32_t inner)
{
	for (size_t i = 0; inner && i < r->ports.n; i++)
		if (r->ports.v[i].inner == inner)
			return &r->ports.v[i];
	return NULL;
}

void split_source_ask(struct split_source *s)
{
	asked++;
}

static int decide(void *arg, const struct addr *to, const struct split_hop *hop)
{
	must(to->prefix <= (to->family == AF_INET6 ? 128 : 32));
	return to->bytes[0] == 0xee ? -ENOSPC : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNEIGH, RTM_DELNEIGH, RTM_NEWLINK, RTM_DELLINK, RTM_DELADDR,
		                              RTM_NEWNETCONF, RTM_NEWRULE, RTM_DELRULE, RTM_NEWADDR, NLMSG_NOOP };
	struct split split = { 0 };
	struct split_router r = { .split = &split, .key = { 1, 2 }, .number = 3, .neighbours = hash_new(),
		                      .table = split_table_new(&(struct split_table_options){ decide, NULL, ROUTES_MOST }) };
	struct split_port_state *p = vec_add(&r.ports);
	*p = (struct split_port_state){ .spec = { .ifindex = 9, .inner = INNER, .mac = { 2, 0, 0, 1, 0, 0 } }, .slot = SLOT, .inner = INNER };
	for (size_t at = 0; at + 2 <= size;) {
		uint8_t type = data[at], length = data[at + 1];
		size_t body = length < size - at - 2 ? length : size - at - 2;
		if (type == 0xff)
			split_feed_begin(&r);
		else if (type == 0xfe && r.telling)
			split_feed_end(&r);
		else if (type == 0xfd)
			split_feed_lost(&r);
		else {
			struct nlmsghdr *m = mem_array(1, NLMSG_LENGTH(body)); /* its own block, so that reading past its end shows */
			*m = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(body), .nlmsg_type = types[type % ARRAY_LEN(types)],
				                    .nlmsg_flags = type & 0x40 ? NLM_F_REPLACE : 0 };
			if (body)
				memcpy(NLMSG_DATA(m), data + at + 2, body);
			split_feed(&r, m);
			free(m);
		}
		must(split_table_count(r.table) <= ROUTES_MOST && hash_count(r.neighbours) <= SPLIT_ROUTER_NEIGHBOURS);
		at += 2 + body;
	}
	split_feed_forget_port(&r, SLOT);
	split_feed_close(&r);
	vec_done(&r.ports);
	vec_done(&split.graves);
	return 0;
}
