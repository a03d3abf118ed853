/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far a network has come: routers made, then routers that have converged, where they compute their routes. Who waits for it
 * is told whenever that has changed; and that it is `active` only when all have converged. */

#include "base/log.h"
#include "vned/flow_impl.h"

enum { PATIENCE_US = 5000000, TOLD_MS = 500 };

static bool changed(struct network *net, size_t ready)
{
	bool is = net->told != ready;
	net->told = (uint32_t)ready;
	net->told_ms = clock_ms();
	return is;
}

void flow_tell_built(struct vned *v, struct network *net)
{
	size_t ready = 0;
	if (net->txn->kind == TXN_RELEASE || net->txn->phase != TXN_PREPARING || clock_ms() - net->told_ms < TOLD_MS)
		return;
	const struct plan *plan = net->next ? &net->next->plan : &net->plan;
	for (size_t i = 0; i < plan->n_nodes; i++) {
		size_t all = plan->nodes[i].n_routers;
		bool done = net->txn->agents[i].state == TXN_AGENT_READY || net->parts[i].ready > all;
		ready += done ? all : net->parts[i].ready;
	}
	if (changed(net, ready))
		submit_progress(v, net, "building", (uint32_t)ready, (uint32_t)(net->next ? net->next : net)->request.n_nodes);
}

/* ---- routes ----------------------------------------------------------------------------------- */

/* Guests boot their routing daemon, namespaces start theirs at once. */
static int64_t settle_limit_ms(const struct vned *v, const struct network *net)
{
	for (size_t i = 0; i < net->request.n_nodes; i++)
		if (net->embedding.kind[i] && kind_is_guest(net->embedding.kind[i]))
			return (v->config.routing_timeout_us + v->config.guest_timeout_us) / 1000;
	return v->config.routing_timeout_us / 1000;
}

void flow_await_routing(struct vned *v, struct network *net)
{
	net->settle_ms = clock_ms() + settle_limit_ms(v, net);
	net->told = UINT32_MAX;
}

static void end_patience(struct network *net, int64_t now)
{
	for (size_t i = 0; i < net->load.n_routers; i++)
		if (net->load.routers[i].routing != ROUTER_ROUTING_CONVERGED)
			net->load.routers[i].unrouted_us = now - PATIENCE_US;
}

static bool routes(const struct network *net, size_t router)
{
	return !kind_is_switch(net->embedding.kind[router]);
}

static void tell_converged(struct vned *v, struct network *net, size_t converged, size_t all)
{
	if (!changed(net, converged))
		return;
	events_publish(v->events, "progress", net->full, "routing: %zu of %zu routers converged", converged, all);
	submit_progress(v, net, "routing", (uint32_t)converged, (uint32_t)all);
}

static void settled(struct vned *v, struct network *net, int code, const char *why)
{
	net->settle_ms = 0;
	if (!code) {
		events_publish(v->events, "network", net->full, "state active");
		log_info("network %s: its routers have converged", net->full);
	}
	waiters_tell(&net->active, net, code, why);
}

/* Awaited after it was built: all routers are to converge within the limit. Later: none is without for long. */
void flow_judge_routing(struct vned *v, struct network *net, struct buf *why)
{
	size_t converged = 0, all = 0;
	buf_auto struct buf first = BUF_INIT;
	int64_t now = clock_us();
	for (size_t i = 0; i < net->load.n_routers; i++) {
		const struct router_mon *m = &net->load.routers[i];
		if (!routes(net, i))
			continue;
		all++;
		if (m->known && m->routing == ROUTER_ROUTING_CONVERGED) {
			converged++;
			continue;
		}
		bool patience = !net->settle_ms && (!m->unrouted_us || now - m->unrouted_us < PATIENCE_US);
		if (!first.len && !patience)
			buf_printf(&first, "routing: %s: %s", net->request.nodes[i].name,
			           m->known && m->routing_reason[0] ? m->routing_reason : "no word of it yet");
	}
	if (!net->settle_ms) {
		buf_str(why, buf_cstr(&first));
		return;
	}
	tell_converged(v, net, converged, all);
	if (converged == all) {
		settled(v, net, 0, "");
	} else if (clock_ms() >= net->settle_ms) {
		buf_str(why, buf_cstr(&first));
		end_patience(net, now);
		settled(v, net, 4, buf_cstr(&first)); /* it stays, and is told as degraded until it has converged */
	}
}
