/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers with a split plane, their ports and filters; see split.h. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/plane_filter.h"
#include "vnagent/split_impl.h"

enum { BURY_SLICE = 512, LOOK_MS = 5000, LOOK_MOST = 4096 };

/* ---- filters -------------------------------------------------------------------------------------- */
static void put_filter(struct split *s, const struct split_port_state *p)
{
	plane_put(s->batch, p->spec.ifindex, split_bpf_program(s->bpf), "vne_split", p->slot); /* by its slot the program knows where it is */
}

/* Our program in the place of an earlier agent's, whose counts go on: read once nothing counts there any more. */
static int put_filters(struct split_router *r, struct err *err)
{
	struct split *s = r->split;
	struct plane_standing *old = mem_array(r->ports.n + 1, sizeof(*old));
	for (size_t i = 0; i < r->ports.n; i++) {
		struct split_port_state *p = &r->ports.v[i];
		if (p->filtered)
			continue;
		plane_standing(s->nl, s->batch, p->spec.ifindex, &old[i]);
	}
	for (size_t i = 0; i < r->ports.n; i++)
		if (!r->ports.v[i].filtered)
			put_filter(s, &r->ports.v[i]);
	int code = nl_batch_count(s->batch) ? nl_send(s->nl, s->batch, NULL, err) : 0;
	for (size_t i = 0; !code && i < r->ports.n; i++) {
		struct split_port_state *p = &r->ports.v[i];
		if (!p->filtered && old[i].program && old[i].program != split_bpf_program_id(s->bpf))
			(void)split_bpf_old_count(old[i].program, old[i].classid, &p->before);
		p->filtered = true;
	}
	free(old);
	return code;
}

/* ---- whether a router forwards here --------------------------------------------------------------- */
/* NULL: nothing is in the way but what passes by itself. */
static const char *why_not(const struct split_router *r)
{
	if (split_table_full(r->table))
		return "it has more routes than the host can forward by; all its packets go through it until it has fewer";
	if (split_table_odd(r->table))
		return "it has local addresses by prefixes; all its packets go through it";
	for (int i = 0; i < 2; i++)
		if (r->odd_rules[i] || (r->plain_rules[i] && r->plain_rules[i] != 2))
			return "it has routing rules of its own; all its packets go through it";
	return NULL;
}

static void write_port(struct split_router *r, struct split_port_state *p, bool well)
{
	struct split_port now = { .router = r->number, .ifindex = p->spec.ifindex, .mtu = p->mtu < p->spec.mtu ? p->mtu : p->spec.mtu };
	now.out = p->spec.direct ? p->spec.direct : p->spec.ifindex;
	now.out_flags = p->spec.direct ? 0 : BPF_F_INGRESS;
	memcpy(now.mac, p->mac, sizeof(now.mac));
	if (well && p->told && p->up && !p->enslaved) {
		now.flags |= p->forwards4 ? SPLIT_FORWARDS_4 : 0;
		now.flags |= r->forwards6 ? SPLIT_FORWARDS_6 : 0;
		if (!p->spec.queued) {
			now.flags |= p->forwards4 ? SPLIT_ENTERS_4 : 0;
			now.flags |= r->forwards6 ? SPLIT_ENTERS_6 : 0;
		}
	}
	if (memcmp(&now, &p->written, sizeof(now)) && !split_bpf_port(r->split->bpf, p->slot, &now))
		p->written = now;
}

void split_router_update(struct split_router *r)
{
	const char *why = r->synced && !r->doubt ? why_not(r) : NULL;
	bool well = r->synced && !r->doubt && !why;
	struct err err = { 0 };
	for (size_t i = 0; i < r->ports.n; i++)
		write_port(r, &r->ports.v[i], well);
	if (well && put_filters(r, &err))
		why = "its ports could not be given the plane; it forwards by itself";
	if (!r->synced || r->doubt || why == r->noticed)
		return;
	r->noticed = why;
	if (r->split->options.notice)
		r->split->options.notice(r->split->options.arg, r->key, why ? why : "the host forwards for it");
}

struct split_port_state *split_port_inside(struct split_router *r, uint32_t inner)
{
	for (size_t i = 0; i < r->ports.n; i++)
		if (r->ports.v[i].inner == inner && inner)
			return &r->ports.v[i];
	return NULL;
}

static int decide(void *arg, const struct addr *to, const struct split_hop *hop)
{
	struct split_router *r = arg;
	if (!hop) {
		split_bpf_unroute(r->split->bpf, r->number, to);
		return 0;
	}
	const struct split_port_state *p = hop->device ? split_port_inside(r, hop->device) : NULL;
	return split_bpf_route(r->split->bpf, r->number, to, p ? p->slot : 0, hop->via);
}

/* ---- ports --------------------------------------------------------------------------------------- */
static int take_slot(struct split *s, uint32_t *ret, struct err *err)
{
	if (!s->n_free)
		return err_set(err, -ENOSPC, "no more than %d ports of this node can have the split plane", SPLIT_SLOTS - 1);
	*ret = s->free_slots[s->first_free];
	s->first_free = (s->first_free + 1) % SPLIT_SLOTS;
	s->n_free--;
	split_bpf_clear_count(s->bpf, *ret);
	return 0;
}

static void free_slot(struct split *s, uint32_t slot)
{
	s->free_slots[(s->first_free + s->n_free++) % SPLIT_SLOTS] = slot;
}

/* Closed first; the slot is free once nothing that names it is left. */
static void drop_port(struct split_router *r, struct split_port_state *p)
{
	struct split *s = r->split;
	static const struct split_port none;
	(void)!split_bpf_port(s->bpf, p->slot, &none);
	(void)hash_del_u64(s->ports, p->spec.ifindex);
	plane_put_none(s->batch, p->spec.ifindex);
	(void)!nl_send(s->nl, s->batch, NULL, NULL);
	*vec_add(&s->graves) = (struct grave){ .router = r->number, .slot = p->slot };
}

static const struct split_port_spec *find_spec(const struct split_port_spec *ports, size_t n, const struct split_port_spec *like)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i].ifindex == like->ifindex && ports[i].inner == like->inner)
			return &ports[i];
	return NULL;
}

static bool has_port(const struct split_router *r, const struct split_port_spec *spec)
{
	for (size_t i = 0; i < r->ports.n; i++)
		if (r->ports.v[i].spec.ifindex == spec->ifindex && r->ports.v[i].spec.inner == spec->inner)
			return true;
	return false;
}

/* Returns whether ports came or went; then everything is to be told anew. */
static int set_ports(struct split_router *r, const struct split_port_spec *ports, size_t n, bool *ret_changed, struct err *err)
{
	*ret_changed = false;
	for (size_t i = r->ports.n; i-- > 0;) {
		const struct split_port_spec *now = find_spec(ports, n, &r->ports.v[i].spec);
		if (now) {
			r->ports.v[i].spec = *now;
			continue;
		}
		split_feed_forget_port(r, r->ports.v[i].slot);
		drop_port(r, &r->ports.v[i]);
		r->ports.v[i] = r->ports.v[--r->ports.n];
		*ret_changed = true;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t slot = 0;
		if (has_port(r, &ports[i]))
			continue;
		int code = take_slot(r->split, &slot, err);
		if (code)
			return code;
		struct split_port_state *p = vec_add(&r->ports);
		*p = (struct split_port_state){ .spec = ports[i], .slot = slot, .inner = ports[i].inner, .forwards4 = true };
		(void)hash_put_u64(r->split->ports, ports[i].ifindex, r);
		*ret_changed = true;
	}
	return 0;
}

/* ---- routers ------------------------------------------------------------------------------------- */
static void drop_router(struct split_router *r)
{
	struct split *s = r->split;
	(void)hash_del_u64(s->routers, router_key_u64(r->key));
	split_source_close(r->source);
	split_feed_close(r);
	for (size_t i = 0; i < r->ports.n; i++)
		drop_port(r, &r->ports.v[i]);
	vec_done(&r->ports);
	free(r);
}

static struct split_router *add_router(struct split *s, struct router_key key)
{
	struct split_router *r = mem_alloc(sizeof(*r));
	*r = (struct split_router){ .split = s, .key = key, .number = s->next_number++, .forwards6 = true };
	r->neighbours = hash_new();
	r->table = split_table_new(&(struct split_table_options){ decide, r, SPLIT_ROUTER_ROUTES });
	(void)hash_put_u64(s->routers, router_key_u64(key), r);
	return r;
}

int split_set(struct split *s, struct router_key key, int netns, bool fresh, const struct split_port_spec *ports, size_t n_ports,
              struct err *err)
{
	struct split_router *r = hash_get_u64(s->routers, router_key_u64(key));
	bool changed;
	if (r && (fresh || !r->source)) {
		drop_router(r);
		r = NULL;
	}
	bool known = r;
	if (!known)
		r = add_router(s, key);
	int code = set_ports(r, ports, n_ports, &changed, err);
	if (!code && !known)
		code = split_source_open(r, netns, err);
	if (code) {
		drop_router(r);
		return code;
	}
	if (known && changed) {
		r->anew = true;
		split_source_ask(r->source);
	}
	split_router_update(r);
	return 0;
}

void split_drop(struct split *s, struct router_key key)
{
	struct split_router *r = hash_get_u64(s->routers, router_key_u64(key));
	if (r)
		drop_router(r);
}

bool split_forwards(const struct split *s, struct router_key key)
{
	const struct split_router *r = hash_get_u64(s->routers, router_key_u64(key));
	return r && r->synced && !r->doubt && !why_not(r);
}

bool split_counts(struct split *s, uint32_t ifindex, struct split_count *ret)
{
	const struct split_router *r = hash_get_u64(s->ports, ifindex);
	for (size_t i = 0; r && i < r->ports.n; i++) {
		const struct split_port_state *p = &r->ports.v[i];
		if (p->spec.ifindex != ifindex)
			continue;
		split_bpf_count(s->bpf, p->slot, ret);
		ret->in_packets += p->before.in_packets;
		ret->in_bytes += p->before.in_bytes;
		ret->out_packets += p->before.out_packets;
		ret->out_bytes += p->before.out_bytes;
		return true;
	}
	return false;
}

/* ---- what goes on by itself -------------------------------------------------------------------------- */
static bool bury(void *arg)
{
	struct split *s = arg;
	for (size_t i = 0; i < BURY_SLICE && s->buried < s->graves.n; i++, s->buried++) {
		const struct grave *g = &s->graves.v[s->buried];
		if (!g->address.family)
			free_slot(s, g->slot);
		else if (g->slot)
			split_bpf_forget_neighbour(s->bpf, g->slot, &g->address);
		else
			split_bpf_unroute(s->bpf, g->router, &g->address);
	}
	if (s->buried < s->graves.n)
		return true;
	vec_done(&s->graves);
	s->buried = 0;
	return false;
}

struct looking {
	struct split_router *r;
	size_t left;
};

static void look_neighbour(void *value, void *arg)
{
	struct split_neighbour *n = value;
	struct looking *l = arg;
	if (!n->slot || !n->stale || !l->left)
		return;
	l->left--;
	if (!split_bpf_neighbour_used(l->r->split->bpf, n->slot, &n->address))
		return;
	n->stale = false; /* until it is told again what became of it */
	split_source_probe(l->r->source, n);
}

static void look_router(void *value, void *arg)
{
	struct looking *l = arg;
	l->r = value;
	if (l->r->source)
		hash_each(l->r->neighbours, look_neighbour, l);
}

/* A neighbour that only the host sends to would never be looked for by the router's kernel, who sees no packet to it. */
static void look(void *arg)
{
	struct split *s = arg;
	struct looking l = { .left = LOOK_MOST };
	hash_each(s->routers, look_router, &l);
}

/* ---- the whole -------------------------------------------------------------------------------------- */
int split_probe(struct err *err)
{
	struct split_bpf *b;
	int code = split_bpf_open(&b, err);
	if (!code)
		split_bpf_close(b);
	return code;
}

int split_new(const struct split_options *options, struct split **ret, struct err *err)
{
	struct split *s = mem_alloc(sizeof(*s));
	s->options = *options;
	s->routers = hash_new();
	s->ports = hash_new();
	s->batch = nl_batch_new();
	s->next_number = 1;
	s->free_slots = mem_array(SPLIT_SLOTS, sizeof(*s->free_slots));
	for (uint32_t slot = 1; slot < SPLIT_SLOTS; slot++)
		s->free_slots[s->n_free++] = slot;
	int code = split_bpf_open(&s->bpf, err);
	if (!code)
		code = nl_open(NETLINK_ROUTE, -1, &s->nl, err);
	if (!code)
		code = loop_add_prepare(options->loop, bury, s, &s->prepare, err);
	if (!code)
		code = loop_add_timer(options->loop, LOOK_MS, LOOK_MS, look, s, &s->timer, err);
	if (code) {
		split_free(s);
		return code;
	}
	*ret = s;
	return 0;
}

static void forget_router(void *value, void *arg)
{
	struct split_router *r = value;
	split_source_close(r->source);
	split_table_free(r->table);
	hash_free(r->neighbours, free);
	vec_done(&r->ports);
	free(r);
}

void split_free(struct split *s)
{
	if (!s)
		return;
	hash_each(s->routers, forget_router, NULL);
	hash_free(s->routers, NULL);
	hash_free(s->ports, NULL);
	loop_remove(s->prepare);
	loop_remove(s->timer);
	vec_done(&s->graves);
	nl_batch_free(s->batch);
	nl_close(s->nl);
	split_bpf_close(s->bpf);
	free(s->free_slots);
	free(s);
}
