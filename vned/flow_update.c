/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From one plan of a network to another while it runs: update, repair and drain alike.
 *
 *   begin    both plans are brought in step, node by node; of each node and link the larger of what both take is held
 *   decide   the network becomes what it is to be, `next` what it was (flow_update_switch), and that is made durable;
 *            where the store cannot, both change places again
 *   end      what only the one that goes had is given back: tunnels, capacity, parts on nodes
 *
 * What is on disk is whole at every moment: the old request and plan until the decision, from then on the new. After a crash
 * agents are brought to that, whichever it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/flow_impl.h"

uint32_t flow_next_generation(const struct network *net)
{
	return (net->tried > net->generation ? net->tried : net->generation) + 1;
}

/* ---- both in step ------------------------------------------------------------------------------- */

static void align(struct network *net, struct network *to)
{
	struct plan old = net->plan;
	struct part *parts = net->parts;
	uint32_t *snodes = mem_dup(old.snode, old.n_nodes * sizeof(*snodes));
	size_t n = old.n_nodes, at = 0;
	plan_align(&net->plan, &to->plan);
	net->parts = mem_array(net->plan.n_nodes + 1, sizeof(*net->parts));
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		if (at < n && snodes[at] == net->plan.snode[i])
			net->parts[i] = parts[at++];
		else
			net->parts[i].synced = true; /* nothing is wanted there, and nothing stands there */
	}
	free(snodes);
	free(parts);
	network_renumber(net);
}

void flow_strip(struct network *net)
{
	size_t n = 0;
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		struct node_plan *np = &net->plan.nodes[i];
		if (node_plan_empty(np)) {
			node_plan_done(np);
			free(net->parts[i].why);
			continue;
		}
		net->plan.nodes[n] = *np;
		net->plan.snode[n] = net->plan.snode[i];
		net->parts[n++] = net->parts[i];
	}
	net->plan.n_nodes = n;
}

/* ---- the switch ----------------------------------------------------------------------------------- */

/* Loads go along with what stays, by its number. */
static void carry_loads(struct network *from, struct network *to)
{
	for (size_t i = 0; i < to->numbers.n_routers; i++) {
		uint32_t at = network_router_at(from, to->numbers.router[i]);
		if (at != UINT32_MAX && from->embedding.host[at] == to->embedding.host[i])
			to->load.routers[i] = from->load.routers[at];
	}
	for (size_t i = 0; i < 2 * to->numbers.n_links; i++) {
		uint32_t at = network_port_at(from, network_port_number(to, (uint32_t)i));
		if (at != UINT32_MAX && at < from->load.n_ports)
			to->load.ports[i] = from->load.ports[at];
	}
	for (size_t i = 0; i < to->numbers.n_uplinks; i++) {
		uint32_t at = network_port_at(from, PLAN_UPLINK_ID + to->numbers.uplink[i]);
		if (at != UINT32_MAX && at - PLAN_UPLINK_ID < from->load.n_uplinks)
			to->load.uplinks[i] = from->load.uplinks[at - PLAN_UPLINK_ID];
	}
}

#define EXCHANGE(field)                                        \
	do {                                                       \
		__typeof__(net->field) kept = net->field;              \
		net->field = to->field;                                \
		to->field = kept;                                      \
	} while (0)

void flow_update_switch(struct network *net)
{
	struct network *to = net->next;
	char solver[sizeof(net->solver)], status[sizeof(net->status)];
	carry_loads(net, to);
	EXCHANGE(request);
	EXCHANGE(embedding);
	EXCHANGE(plan);
	EXCHANGE(numbers);
	EXCHANGE(places);
	EXCHANGE(generation);
	EXCHANGE(expires_ms);
	EXCHANGE(cost);
	EXCHANGE(bound);
	EXCHANGE(revenue);
	EXCHANGE(solve_seconds);
	EXCHANGE(load);
	memcpy(solver, net->solver, sizeof(solver));
	memcpy(net->solver, to->solver, sizeof(solver));
	memcpy(to->solver, solver, sizeof(solver));
	memcpy(status, net->status, sizeof(status));
	memcpy(net->status, to->status, sizeof(status));
	memcpy(to->status, status, sizeof(status));
	net->switched = !net->switched;
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		net->parts[i].digest = node_plan_digest(&net->plan.nodes[i]);
}

/* ---- begin, end ---------------------------------------------------------------------------------------- */

int flow_settled(const struct vned *v, const struct network *net, struct err *err)
{
	if (net->over || net->txn || net->gone || (net->state != NET_ACTIVE && net->state != NET_COMMITTING))
		return err_set(err, -EBUSY, "%s is %s; ask again once it is active", net->full, net_state_names[network_shown_state(net)]);
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		/* one that refuses what it is to have has said so: it may be left, or refuse the other, too */
		if (agents_reachable(v, net->plan.snode[i]) && !net->parts[i].synced && !net->parts[i].why)
			return err_set(err, -ESTALE, "%s: node %s has not confirmed what it has of it; ask again once it has", net->full,
			               v->substrate.nodes[net->plan.snode[i]].name);
	return 0;
}

int flow_update(struct vned *v, struct network *net, struct network *to, const char *who, const char *why, struct err *err)
{
	struct txn_event start = { .type = TXN_EV_START };
	int r = flow_settled(v, net, err);
	if (r < 0) {
		network_free(to);
		return r;
	}
	net->tried = to->generation;
	free(to->parts); /* they are net's */
	to->parts = NULL;
	align(net, to);
	residual_give(&v->left, &net->request, &net->embedding);
	networks_hold(v, net, to, -1);
	for (size_t i = 0; i < to->plan.n_vnis; i++)
		hash_put_u64(v->vnis, to->plan.vnis[i], net);
	net->next = to;
	net->switched = false;
	net->settle_ms = 0;
	free(net->asked_by);
	free(net->asked_why);
	net->asked_by = mem_str(who);
	net->asked_why = mem_str(why);
	struct txn *t = flow_txn_begin(v, net, TXN_UPDATE);
	for (size_t i = 0; i < to->plan.n_nodes; i++)
		t->agents[i].leaves = node_plan_empty(&to->plan.nodes[i]);
	flow_set_state(v, net, NET_UPDATING, NULL);
	flow_event(v, net, &start);
	return 0;
}

static bool has_vni(const struct plan *p, uint32_t vni)
{
	size_t low = 0, high = p->n_vnis;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (p->vnis[mid] < vni)
			low = mid + 1;
		else
			high = mid;
	}
	return low < p->n_vnis && p->vnis[low] == vni;
}

void flow_update_end(struct vned *v, struct network *net)
{
	struct network *other = net->next; /* what goes: the old one, or the one that was not to be */
	if (!other)
		return;
	networks_hold(v, net, other, 1);
	residual_take(&v->left, &net->request, &net->embedding);
	for (size_t i = 0; i < other->plan.n_vnis; i++)
		if (!has_vni(&net->plan, other->plan.vnis[i]))
			hash_del_u64(v->vnis, other->plan.vnis[i]);
	for (size_t i = 0; i < other->plan.n_nodes; i++)
		for (size_t k = 0; k < other->plan.nodes[i].n_segments; k++)
			if (!has_vni(&net->plan, other->plan.nodes[i].segments[k].vni))
				monitor_forget_segment(v->monitor, other->plan.snode[i], other->plan.nodes[i].segments[k].vni);
	net->next = NULL;
	net->switched = false;
	network_free(other);
}
