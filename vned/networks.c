/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of networks, and what is handed out to them: numbers, VNIs, capacity.
 *
 * Numbers of networks and VNIs go round rather than being given again at once: what an absent
 * agent still holds under an old number is then told from what is new. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

void networks_init(struct vned *v)
{
	v->by_id = hash_new();
	v->by_name = hash_new();
	v->vnis = hash_new();
	v->next_net = v->next_vni = 1;
	residual_init(&v->left, &v->substrate);
	failures_init(v);
	repair_init(v);
}

int64_t networks_reserved(const struct vned *v, uint32_t snode, enum resource res)
{
	int64_t all[RES_COUNT];
	residual_node(&v->usable.nodes[snode], all);
	return all[res] == UNLIMITED ? 0 : all[res] - v->left.node[snode][res];
}

void networks_done(struct vned *v)
{
	for (size_t i = 0; i < v->n_networks; i++)
		network_free(v->networks[i]);
	free(v->networks);
	v->networks = NULL;
	v->n_networks = 0;
	hash_free(v->by_id, NULL);
	hash_free(v->by_name, NULL);
	hash_free(v->vnis, NULL);
	residual_done(&v->left);
	repair_done(v);
	failures_done(v);
}

struct network *network_new(const char *owner, const struct request *r, struct err *err)
{
	struct network *net = mem_alloc(sizeof(*net));
	if (request_copy(r, &net->request, err) < 0) {
		free(net);
		return NULL;
	}
	net->owner = mem_str(owner);
	net->name = mem_str(r->name);
	net->full = mem_printf("%s/%s", owner, r->name);
	net->bound = -1;
	net_load_init(&net->load, r->n_nodes, r->n_links, request_uplinks(r));
	return net;
}

static void waiters_free(struct waiter *w)
{
	while (w) {
		struct waiter *next = w->next;
		free(w);
		w = next;
	}
}

static void parts_free(struct network *net)
{
	for (size_t i = 0; net->parts && i < net->plan.n_nodes; i++)
		free(net->parts[i].why);
	free(net->parts);
	net->parts = NULL;
	plan_numbers_done(&net->numbers);
	hash_free(net->places, NULL);
	net->places = NULL;
}

void network_free(struct network *net)
{
	if (!net)
		return;
	parts_free(net);
	if (net->txn)
		txn_done(net->txn);
	free(net->txn);
	network_free(net->next);
	waiters_free(net->accepted);
	waiters_free(net->active);
	waiters_free(net->gone);
	net_load_done(&net->load);
	plan_done(&net->plan);
	embedding_done(&net->embedding);
	request_done(&net->request);
	free(net->owner);
	free(net->name);
	free(net->full);
	free(net->reason);
	history_free(net);
	free(net->stuck);
	free(net->asked_by);
	free(net->asked_why);
	free(net->over_why);
	free(net);
}

enum { OF_ROUTERS = 1, OF_LINKS, OF_UPLINKS };

static void note_places(struct hash *h, uint64_t of, const uint32_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (numbers[i] != UINT32_MAX)
			hash_put_u64(h, of << 32 | numbers[i], (void *)(uintptr_t)(i + 1));
}

static uint32_t place(const struct network *net, uint64_t of, uint32_t number)
{
	return (uint32_t)(uintptr_t)hash_get_u64(net->places, of << 32 | number) - 1;
}

uint32_t network_router_at(const struct network *net, uint32_t router)
{
	return place(net, OF_ROUTERS, router);
}

uint32_t network_port_at(const struct network *net, uint32_t port)
{
	bool uplink = port >= PLAN_UPLINK_ID;
	uint32_t at = uplink ? place(net, OF_UPLINKS, port - PLAN_UPLINK_ID) : place(net, OF_LINKS, port >> 1);
	return at == UINT32_MAX ? at : uplink ? PLAN_UPLINK_ID + at : at << 1 | (port & 1);
}

uint32_t network_port_number(const struct network *net, uint32_t at)
{
	return at >= PLAN_UPLINK_ID ? PLAN_UPLINK_ID + net->numbers.uplink[at - PLAN_UPLINK_ID] : net->numbers.link[at >> 1] << 1 | (at & 1);
}

void network_renumber(struct network *net)
{
	plan_numbers_done(&net->numbers);
	hash_free(net->places, NULL);
	plan_numbers_of(&net->plan, &net->request, &net->numbers);
	net->places = hash_new();
	note_places(net->places, OF_ROUTERS, net->numbers.router, net->numbers.n_routers);
	note_places(net->places, OF_LINKS, net->numbers.link, net->numbers.n_links);
	note_places(net->places, OF_UPLINKS, net->numbers.uplink, net->numbers.n_uplinks);
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		net->parts[i].digest = node_plan_digest(&net->plan.nodes[i]);
}

void network_make_parts(struct network *net)
{
	parts_free(net);
	net->parts = mem_array(net->plan.n_nodes ? net->plan.n_nodes : 1, sizeof(*net->parts));
	network_renumber(net);
}

static void nothing_taken(struct residual *r, const struct residual *like)
{
	*r = (struct residual){ mem_array(like->n_nodes, sizeof(*r->node)), mem_array(like->n_links, sizeof(*r->link_kbps)),
		                    like->n_nodes, like->n_links };
}

void networks_hold(struct vned *v, const struct network *a, const struct network *b, int sign)
{
	struct residual x, y; /* at most 0 */
	nothing_taken(&x, &v->left);
	nothing_taken(&y, &v->left);
	residual_take(&x, &a->request, &a->embedding);
	residual_take(&y, &b->request, &b->embedding);
	for (size_t i = 0; i < v->left.n_nodes; i++)
		for (size_t k = 0; k < RES_COUNT; k++)
			if (v->left.node[i][k] != UNLIMITED)
				v->left.node[i][k] -= sign * (x.node[i][k] < y.node[i][k] ? x.node[i][k] : y.node[i][k]);
	for (size_t i = 0; i < v->left.n_links; i++)
		v->left.link_kbps[i] -= sign * (x.link_kbps[i] < y.link_kbps[i] ? x.link_kbps[i] : y.link_kbps[i]);
	residual_done(&x);
	residual_done(&y);
}

/* What a network takes of a node; one that is being updated, the larger of what it was and will be. */
static void taken_of(const struct network *net, uint32_t snode, int64_t ret[RES_COUNT])
{
	memset(ret, 0, RES_COUNT * sizeof(*ret));
	for (size_t u = 0; u < net->embedding.n_nodes; u++) {
		int64_t takes[RES_COUNT];
		if (net->embedding.host[u] != snode)
			continue;
		embedding_takes(&net->request, &net->embedding, u, takes);
		for (size_t k = 0; k < RES_COUNT; k++)
			ret[k] += takes[k];
	}
	int64_t other[RES_COUNT];
	if (!net->next)
		return;
	taken_of(net->next, snode, other);
	for (size_t k = 0; k < RES_COUNT; k++)
		ret[k] = other[k] > ret[k] ? other[k] : ret[k];
}

void networks_recount(struct vned *v, uint32_t snode)
{
	int64_t *left = v->left.node[snode];
	residual_node(&v->usable.nodes[snode], left);
	for (size_t i = 0; i < v->n_networks; i++) {
		int64_t takes[RES_COUNT];
		taken_of(v->networks[i], snode, takes);
		for (size_t k = 0; k < RES_COUNT; k++)
			left[k] -= left[k] == UNLIMITED ? 0 : takes[k];
	}
}

int networks_add(struct vned *v, struct network *net, struct err *err)
{
	if (v->n_networks >= NETWORKS_MAX)
		return err_set(err, -ENOSPC, "there are %zu networks already", v->n_networks);
	if (hash_get(v->by_name, net->full))
		return err_set(err, -EEXIST, "a network %s exists already", net->full);
	if (networks_find(v, net->id))
		return err_set(err, -EEXIST, "two networks with number %u", net->id);
	v->networks = mem_grow(v->networks, v->n_networks + 1, sizeof(*v->networks));
	v->networks[v->n_networks++] = net;
	hash_put(v->by_name, net->full, net);
	hash_put_u64(v->by_id, net->id, net);
	for (size_t i = 0; i < net->plan.n_vnis; i++)
		hash_put_u64(v->vnis, net->plan.vnis[i], net);
	residual_take(&v->left, &net->request, &net->embedding);
	return 0;
}

void networks_remove(struct vned *v, struct network *net)
{
	size_t i = 0;
	while (v->networks[i] != net)
		i++;
	memmove(&v->networks[i], &v->networks[i + 1], (v->n_networks - i - 1) * sizeof(*v->networks));
	v->n_networks--;
	hash_del(v->by_name, net->full);
	hash_del_u64(v->by_id, net->id);
	for (size_t k = 0; k < net->plan.n_vnis; k++)
		hash_del_u64(v->vnis, net->plan.vnis[k]);
	for (size_t k = 0; k < net->plan.n_nodes; k++) {
		for (size_t s = 0; s < net->plan.nodes[k].n_segments; s++)
			monitor_forget_segment(v->monitor, net->plan.snode[k], net->plan.nodes[k].segments[s].vni);
	}
	residual_give(&v->left, &net->request, &net->embedding);
	network_free(net);
	repair_capacity(v);
}

struct network *networks_find(const struct vned *v, uint32_t id)
{
	return hash_get_u64(v->by_id, id);
}

bool network_visible(const struct peer *peer, const struct network *net)
{
	return peer->role != ROLE_TENANT || strcmp(peer->identity, net->owner) == 0;
}

int networks_resolve(const struct vned *v, const struct peer *peer, const char *name, struct network **ret,
                     struct err *err)
{
	struct network *found = strchr(name, '/') ? hash_get(v->by_name, name) : NULL;
	if (found && !network_visible(peer, found))
		found = NULL;
	for (size_t i = 0; !strchr(name, '/') && i < v->n_networks; i++) {
		struct network *net = v->networks[i];
		if (strcmp(net->name, name) != 0 || !network_visible(peer, net))
			continue;
		if (found)
			return err_set(err, -ENOTUNIQ, "several networks are named %s: write %s or %s", name, found->full, net->full);
		found = net;
	}
	if (!found)
		return err_set(err, -ENOENT, "no network is named %s", name);
	*ret = found;
	return 0;
}

uint32_t networks_take_id(struct vned *v)
{
	/* NETWORKS_MAX is far below the number of numbers: this ends */
	while (networks_find(v, v->next_net))
		v->next_net = v->next_net == NET_ID_MAX ? 1 : v->next_net + 1;
	uint32_t id = v->next_net;
	v->next_net = v->next_net == NET_ID_MAX ? 1 : v->next_net + 1;
	return id;
}

/* A plan takes each of its VNIs once, and they are marked in use when its network is added: within
 * one plan the counter alone keeps them apart. */
static int take_vni(void *arg, uint32_t *ret, struct err *err)
{
	struct vned *v = arg;
	for (uint32_t tried = 0; tried < VNI_MAX; tried++) {
		uint32_t vni = v->next_vni;
		v->next_vni = v->next_vni == VNI_MAX ? 1 : v->next_vni + 1;
		if (!hash_get_u64(v->vnis, vni)) {
			*ret = vni;
			return 0;
		}
	}
	return err_set(err, -ENOSPC, "no VNI is left");
}

struct vni_pool networks_vni_pool(struct vned *v)
{
	return (struct vni_pool){ take_vni, v };
}

size_t network_part(const struct network *net, uint32_t snode)
{
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		if (net->plan.snode[i] == snode)
			return i;
	}
	return SIZE_MAX;
}

bool network_committed(const struct network *net)
{
	if (net->txn && net->txn->kind == TXN_UPDATE)
		return true;
	return net->txn ? net->txn->kind != TXN_RELEASE && txn_decided(net->txn) : net->state == NET_ACTIVE || net->state == NET_COMMITTING;
}
