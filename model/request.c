/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The request as plain data: its rules, whichever way it came, and its copies. */
#include "model/request.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/lan.h"
#include "model/parts.h"
#include "model/plan.h"
#include "model/request_rules.h"

const char *const placement_names[] = {"distinct", "pack", NULL};
const char *const routing_names[] = {"static", "ospf", "none", NULL};

void vnode_done(struct vnode *n)
{
	free(n->name);
	free(n->kind);
	free(n->image);
	free(n->program);
	free(n->controller);
	for (size_t i = 0; i < n->n_uplinks; i++)
		free(n->uplinks[i].port);
	free(n->uplinks);
	yaml_names_done(&n->place.on);
	yaml_names_done(&n->place.not_on);
	labels_done(n->place.labels, n->place.n_labels);
}

void request_done(struct request *r)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		vnode_done(&r->nodes[i]);
	for (size_t i = 0; i < r->n_links; i++)
		free(r->links[i].name);
	free(r->nodes);
	free(r->links);
	free(r->name);
	hash_free(r->node_index, NULL);
	hash_free(r->link_index, NULL);
	*r = (struct request){0};
}

static struct vnode vnode_copy(const struct vnode *from)
{
	struct vnode to = *from;

	to.name = mem_str(from->name);
	to.kind = mem_str(from->kind);
	to.image = mem_str(from->image);
	to.program = mem_str(from->program);
	to.controller = mem_str(from->controller);
	to.uplinks = from->n_uplinks ? mem_dup(from->uplinks, from->n_uplinks * sizeof(*from->uplinks)) : NULL;
	for (size_t i = 0; i < to.n_uplinks; i++)
		to.uplinks[i].port = mem_str(from->uplinks[i].port);
	to.place.on = names_copy(&from->place.on);
	to.place.not_on = names_copy(&from->place.not_on);
	to.place.labels = labels_copy(from->place.labels, from->place.n_labels);
	return to;
}

int request_copy(const struct request *from, struct request *ret, struct err *err)
{
	struct request to = *from;

	to.name = mem_str(from->name);
	to.nodes = mem_array(from->n_nodes, sizeof(*to.nodes));
	to.links = mem_array(from->n_links, sizeof(*to.links));
	to.node_index = to.link_index = NULL;
	for (size_t i = 0; i < to.n_nodes; i++)
		to.nodes[i] = vnode_copy(&from->nodes[i]);
	for (size_t i = 0; i < to.n_links; i++) {
		to.links[i] = from->links[i];
		to.links[i].name = mem_str(from->links[i].name);
	}
	int r = request_check(&to, err);

	if (r < 0) {
		request_done(&to);
		return r;
	}
	*ret = to;
	return 0;
}

size_t request_uplinks(const struct request *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_nodes; i++)
		n += r->nodes[i].n_uplinks;
	return n;
}

int64_t request_revenue_nano(const struct request *r)
{
	int64_t sum = 0, part;

	for (size_t i = 0; i < r->n_nodes; i++)
		if (__builtin_mul_overflow(r->nodes[i].demand[RES_CPU_MILLI], INT64_C(1000000), &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return INT64_MAX;
	for (size_t i = 0; i < r->n_links; i++)
		if (__builtin_mul_overflow(r->links[i].bw_kbps, INT64_C(1000000), &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return INT64_MAX;
	return sum;
}

/* ---- rules ---- */

static const char *vnode_name_at(const void *owner, size_t i)
{
	return ((const struct request *)owner)->nodes[i].name;
}

static struct link_ends vlink_at(const void *owner, size_t i)
{
	const struct vlink *l = &((const struct request *)owner)->links[i];

	return (struct link_ends){l->name, l->a, l->b};
}

/* Two ranges of one family, either of which may hold the other. */
static bool ranges_meet(const struct addr *p, const struct addr *q)
{
	struct addr a = *p, b = *q;

	if (a.family != b.family)
		return false;
	a.prefix = b.prefix = a.prefix < b.prefix ? a.prefix : b.prefix;
	addr_network(&a, &a);
	addr_network(&b, &b);
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

/* Ranges no host has addresses of for others to reach: the kernel, or its routing, refuses them. */
static const struct {
	struct addr range;
	const char *what;
} pools_refused[] = {
	{{AF_INET, 8, {0}}, "unspecified addresses"},
	{{AF_INET, 8, {127}}, "loopback addresses of the host"},
	{{AF_INET, 16, {169, 254}}, "link-local addresses"},
	{{AF_INET, 4, {224}}, "multicast addresses"},
	{{AF_INET, 4, {240}}, "reserved and broadcast addresses"},
	{{AF_INET6, 128, {0}}, "the unspecified address"},
	{{AF_INET6, 128, {[15] = 1}}, "the loopback address of the host"},
	{{AF_INET6, 96, {[10] = 0xff, [11] = 0xff}}, "IPv4 addresses written as IPv6"},
	{{AF_INET6, 10, {0xfe, 0x80}}, "link-local addresses"},
	{{AF_INET6, 8, {0xff}}, "multicast addresses"},
};

/* With its prefix even where that is the whole address. */
static const char *pool_text(const struct addr *pool, char text[static ADDR_TEXT])
{
	char host[ADDR_TEXT];

	snprintf(text, ADDR_TEXT, "%.46s/%d", addr_host_text(pool, host), pool->prefix);
	return text;
}

int pool_check(const char *key, const struct addr *pool, struct err *err)
{
	char text[ADDR_TEXT], right[ADDR_TEXT];
	struct addr network;
	uint8_t full = pool->family == AF_INET ? 32 : 128;

	if ((pool->family != AF_INET && pool->family != AF_INET6) || pool->prefix > full)
		return err_set(err, -EINVAL, "pool \"%s\" is no range of addresses", key);
	addr_network(pool, &network);
	if (memcmp(network.bytes, pool->bytes, sizeof(network.bytes)) != 0)
		return err_set(err, -EINVAL, "pool \"%s\": %s has bits behind its prefix; write %s/%d", key,
		               pool_text(pool, text), addr_host_text(&network, right), pool->prefix);
	for (size_t i = 0; i < sizeof(pools_refused) / sizeof(*pools_refused); i++)
		if (ranges_meet(pool, &pools_refused[i].range))
			return err_set(err, -EINVAL, "pool \"%s\": %s holds %s (%s); expected a range that routers can have, such as %s", key,
			               pool_text(pool, text), pools_refused[i].what, pool_text(&pools_refused[i].range, right),
			               pool->family == AF_INET ? "10.64.0.0/12" : "fd00:64::/48");
	return 0;
}

void request_default_pools(struct request *r)
{
	if (!r->pool_loopbacks.family)
		r->pool_loopbacks = (struct addr){AF_INET, 16, {10, 255}};
	if (!r->pool_links.family)
		r->pool_links = (struct addr){AF_INET, 12, {10, 64}};
}

static void pool_faults(const struct request *r, struct faults *faults)
{
	char loopbacks[ADDR_TEXT], links[ADDR_TEXT];
	struct addr last;

	pool_text(&r->pool_loopbacks, loopbacks);
	pool_text(&r->pool_links, links);
	if (r->n_nodes && addr_offset(&r->pool_loopbacks, r->n_nodes - 1, &last, NULL) < 0)
		faults_add(faults, PART_POOLS, 0, "pool \"loopbacks\" %s is too small; expected room for %zu nodes", loopbacks,
		           r->n_nodes);
	if (r->n_links && addr_offset(&r->pool_links, 2 * (uint64_t)r->n_links - 1, &last, NULL) < 0)
		faults_add(faults, PART_POOLS, 0, "pool \"links\" %s is too small; expected room for %zu links of two addresses each",
		           links, r->n_links);
	if (ranges_meet(&r->pool_loopbacks, &r->pool_links))
		faults_add(faults, PART_POOLS, 0, "pools \"loopbacks\" %s and \"links\" %s overlap; expected two that do not",
		           loopbacks, links);
	if (r->routing == ROUTING_STATIC && r->pool_loopbacks.family != r->pool_links.family)
		faults_add(faults, PART_POOLS, 0,
		           "pools \"loopbacks\" %s and \"links\" %s are of different families, which no static route joins; "
		           "expected one family for both, or another \"routing\"", loopbacks, links);
}

/* Room for LANs, and controllers that are on them. */
static void lan_faults(const struct request *r, struct faults *faults)
{
	struct err err = {0};
	struct lans lans;

	if (lans_make(r, &lans, &err) < 0) {
		faults_add(faults, PART_POOLS, 0, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < r->n_nodes; i++) {
		if (lans.inside[i] == LAN_NONE)
			continue;
		size_t at = hash_index(r->node_index, r->nodes[i].controller);

		if (at < r->n_nodes && !kind_is_switch(r->nodes[at].kind) && lans_port_of(&lans, lans.of_node[i], at) == UINT32_MAX)
			faults_add(faults, PART_NODE, i, "controller \"%s\" is not on the LAN of this switch; expected a virtual link between "
			           "them, or by other switches", r->nodes[i].controller);
	}
	lans_done(&lans);
}

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i)
		i = parent[i] = parent[parent[i]];
	return i;
}

static bool bridge(const struct vnode *n)
{
	return n->kind && strcmp(n->kind, KIND_SWITCH) == 0;
}

/* A ring of bridges without a spanning tree floods for ever. What a controller programs may have rings. */
static void ring_faults(const struct request *r, struct faults *faults)
{
	uint32_t *parent = mem_array(r->n_nodes + 1, sizeof(*parent));

	for (size_t i = 0; i < r->n_nodes; i++)
		parent[i] = (uint32_t)i;
	for (size_t i = 0; i < r->n_links; i++) {
		const struct vlink *l = &r->links[i];

		if (l->a >= r->n_nodes || l->b >= r->n_nodes || !bridge(&r->nodes[l->a]) || !bridge(&r->nodes[l->b]))
			continue;
		uint32_t a = root_of(parent, l->a), b = root_of(parent, l->b);

		if (a == b)
			faults_add(faults, PART_LINK, i, "link \"%s\" closes a ring of switches, in which frames would go round for ever; "
			           "expected none, or \"router: openflow\"", l->name);
		parent[a] = b;
	}
	free(parent);
}

int rt_check(int64_t period_us, int64_t budget_us, struct err *err)
{
	if (!period_us && !budget_us)
		return 0;
	if (period_us < RT_PERIOD_MIN_US || period_us > RT_PERIOD_MAX_US)
		return err_set(err, -EINVAL, "realtime: a period of %lld us; expected 100us to 1s", (long long)period_us);
	if (budget_us < RT_BUDGET_MIN_US || budget_us > period_us)
		return err_set(err, -EINVAL, "realtime: a budget of %lld us in a period of %lld us; expected 10us at least, and no more "
		               "than the period", (long long)budget_us, (long long)period_us);
	return 0;
}

bool kind_is_guest(const char *kind)
{
	return kind && strcmp(kind, KIND_GUEST) == 0;
}

void vnode_guest_demand(const struct vnode *n, const char *kind, int64_t demand[RES_COUNT])
{
	if (!kind_is_guest(kind))
		return;
	demand[RES_GUEST_KIB] = n->demand[RES_MEM_KIB] > GUEST_KIB_MIN ? n->demand[RES_MEM_KIB] : GUEST_KIB_MIN;
	demand[RES_GUESTS] = 1;
	if (n->rt_period_us > 0)
		demand[RES_REALTIME_MILLI] = (n->rt_budget_us * 1000 + n->rt_period_us - 1) / n->rt_period_us;
}

void request_faults(struct request *r, struct faults *faults)
{
	hash_free(r->node_index, NULL);
	hash_free(r->link_index, NULL);
	r->node_index = hash_new();
	r->link_index = hash_new();
	if (!r->n_nodes)
		faults_add(faults, PART_WHOLE, 0, "a network without nodes; expected at least one");
	for (size_t i = 0; i < r->n_nodes; i++) {
		struct vnode *n = &r->nodes[i];

		n->demand[RES_ROUTERS] = 1;
		n->demand[RES_PORTS] = 0;
		memset(&n->demand[RES_GUEST_KIB], 0, (RES_COUNT - RES_GUEST_KIB) * sizeof(n->demand[0]));
		if (n->name && !hash_index_put(r->node_index, n->name, i))
			faults_add(faults, PART_NODE, i, "node \"%s\" stands here again; it was node %zu; expected each name once",
			           n->name, hash_index(r->node_index, n->name) + 1);
	}
	for (size_t i = 0; i < r->n_nodes; i++) {
		struct vnode *n = &r->nodes[i];

		vnode_kind_faults(r, n, i, faults);
		vnode_guest_demand(n, n->kind, n->demand);
	}
	links_check(r->n_links, vlink_at, r, vnode_name_at, r->n_nodes, r->link_index, faults);
	for (size_t i = 0; i < r->n_links; i++) {
		const struct vlink *l = &r->links[i];

		if (l->a < r->n_nodes && l->b < r->n_nodes) {
			r->nodes[l->a].demand[RES_PORTS]++;
			r->nodes[l->b].demand[RES_PORTS]++;
		}
		if (l->split && l->protect)
			faults_add(faults, PART_LINK, i, "\"protection: link\" together with \"paths: split\"; expected one of them");
	}
	pool_faults(r, faults);
	lan_faults(r, faults);
	ring_faults(r, faults);
}

/* What the readers of a file have seen to. */

static int uplinks_check(const struct vnode *n, struct err *err)
{
	struct yaml_names ports = {.v = mem_array(n->n_uplinks, sizeof(*ports.v)), .n = n->n_uplinks};
	int r;

	for (size_t i = 0; i < n->n_uplinks; i++)
		ports.v[i] = n->uplinks[i].port;
	r = names_check(&ports, err);
	free(ports.v);
	for (size_t i = 0; i < n->n_uplinks && r == 0; i++)
		r = uplink_check(&n->uplinks[i], err);
	return r < 0 ? err_add(err, r, "uplinks") : 0;
}

static int place_check(const struct place *p, struct err *err)
{
	int r = names_check(&p->on, err);

	if (r == 0)
		r = names_check(&p->not_on, err);
	if (r == 0 && p->has_near) {
		if (p->near.kind == COORDS_NONE)
			r = err_set(err, -EINVAL, "near nothing");
		else if (!isfinite(p->within) || p->within < 0)
			r = err_set(err, -EINVAL, "a distance that is none");
		else
			r = coords_check(&p->near, err);
	}
	if (r == 0)
		r = labels_check(p->labels, p->n_labels, err);
	return r < 0 ? err_add(err, r, "place") : 0;
}

static int vnode_check(const struct vnode *n, struct err *err)
{
	if (!n->name)
		return err_set(err, -EINVAL, "a node without a name");
	int r = name_check(n->name, strlen(n->name), err);

	if (r == 0)
		r = amount_check("cpu", n->demand[RES_CPU_MILLI], CPU_MAX_MILLI, err);
	if (r == 0)
		r = amount_check("memory", n->demand[RES_MEM_KIB], MEM_MAX_KIB, err);
	if (r == 0 && n->kind)
		r = name_check(n->kind, strlen(n->kind), err);
	if (r == 0 && n->kind && strlen(n->kind) > KIND_MAX)
		r = err_set(err, -EINVAL, "router kind \"%s\" is too long; at most %d characters", n->kind, KIND_MAX);
	if (r == 0 && n->image && (r = name_check(n->image, strlen(n->image), err)) < 0)
		r = err_add(err, r, "image");
	if (r == 0)
		r = rt_check(n->rt_period_us, n->rt_budget_us, err);
	if (r == 0 && (n->plane > PLANE_PROGRAM || (n->plane == PLANE_PROGRAM) != (n->program != NULL)))
		r = err_set(err, -EINVAL, "an unknown plane, or a program without its name");
	if (r == 0 && n->program && (r = name_check(n->program, strlen(n->program), err)) < 0)
		r = err_add(err, r, "program");
	if (r == 0)
		r = uplinks_check(n, err);
	return r ? r : place_check(&n->place, err);
}

static int vlink_check(const struct vlink *l, struct err *err)
{
	if (!l->name)
		return err_set(err, -EINVAL, "a link without a name");
	int r = amount_check("bandwidth", l->bw_kbps, BW_MAX_KBPS, err);

	return r || l->max_delay_us == -1 ? r : amount_check("max_delay", l->max_delay_us, DELAY_MAX_US, err);
}

static int request_check_whole(const struct request *r, struct err *err)
{
	if (!r->name)
		return err_set(err, -EINVAL, "a network without a name");
	int code = name_check(r->name, strlen(r->name), err);

	if (code == 0 && r->arrival_us != -1)
		code = amount_check("arrival", r->arrival_us, DURATION_MAX_US, err);
	if (code == 0 && r->lifetime_us != -1)
		code = amount_check("lifetime", r->lifetime_us, DURATION_MAX_US, err);
	if (code == 0 && r->lifetime_us == 0)
		code = err_set(err, -EINVAL, "a lifetime of 0");
	if (code == 0)
		code = amount_check("priority", r->priority_micro, COST_MAX_MICRO, err);
	if (code == 0 && r->priority_micro == 0)
		code = err_set(err, -EINVAL, "a priority of 0");
	if (code == 0 && (r->placement > PLACEMENT_PACK || r->routing > ROUTING_NONE))
		code = err_set(err, -EINVAL, "an unknown placement or routing");
	if (code == 0)
		code = pool_check("loopbacks", &r->pool_loopbacks, err);
	if (code == 0)
		code = pool_check("links", &r->pool_links, err);
	if (code == 0 && (r->n_nodes > PARTS_MAX || r->n_links > PARTS_MAX))
		code = err_set(err, -EINVAL, "a network of more than %d nodes or links", PARTS_MAX);
	return code;
}

int request_check(struct request *r, struct err *err)
{
	struct faults_err faults = faults_to_err(err);

	request_default_pools(r);
	int code = request_check_whole(r, err);

	if (code < 0)
		return code;
	for (size_t i = 0; i < r->n_nodes; i++)
		if ((code = vnode_check(&r->nodes[i], err)) < 0)
			return err_add(err, code, "node %zu", i + 1);
	for (size_t i = 0; i < r->n_links; i++) {
		if (r->links[i].a >= r->n_nodes || r->links[i].b >= r->n_nodes)
			return err_set(err, -EINVAL, "link %zu: an end that is no node", i + 1);
		if ((code = vlink_check(&r->links[i], err)) < 0)
			return err_add(err, code, "link %zu", i + 1);
	}
	request_faults(r, &faults.faults);
	return faults.code;
}
