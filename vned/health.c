/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether a committed network is what it should be on every node, and what is sent to nodes where it is not. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

static bool part_healthy(struct vned *v, struct network *net, size_t i, struct buf *why)
{
	const char *node = v->substrate.nodes[net->plan.snode[i]].name;
	const struct agent *a = &v->agents[net->plan.snode[i]];
	if (!a->connected) {
		/* after our own start, agents are given time to come back */
		if (!a->seen && clock_ms() - v->started_ms < 2 * v->config.timeout_us / 1000 + 2000)
			return true;
		buf_printf(why, "no word from the agent of node %s", node);
	} else if (net->parts[i].why) {
		buf_printf(why, "node %s: %s", node, net->parts[i].why);
	} else if (!net->parts[i].synced && !net->parts[i].ensuring) {
		buf_printf(why, "node %s has not confirmed its part", node);
	}
	return why->len == 0;
}

void health_judge(struct vned *v, struct network *net)
{
	buf_auto struct buf why = BUF_INIT, lost = BUF_INIT;
	failures_guards(v, net, &why);
	if (update_is_due(v, net, &lost) && lost.len)
		buf_printf(&why, "%s%s%s%s", why.len ? "; " : "", buf_cstr(&lost), net->stuck ? "; it cannot be moved: " : "", net->stuck ? net->stuck : "");
	for (size_t i = 0; i < net->plan.n_nodes && why.len == 0 && part_healthy(v, net, i, &why); i++)
		;
	for (size_t i = 0; i < net->load.n_routers && why.len == 0; i++) {
		const struct router_mon *m = &net->load.routers[i];
		if (m->known && m->state == ROUTER_FAILED)
			buf_printf(&why, "router %s: %s", net->request.nodes[i].name, m->reason[0] ? m->reason : "failed");
	}
	if (!why.len && net->request.routing == ROUTING_OSPF)
		flow_judge_routing(v, net, &why);
	bool degraded = why.len > 0;
	bool same = degraded == net->degraded && strcmp(buf_cstr(&why), net->reason ? net->reason : "") == 0;
	if (same)
		return;
	free(net->reason);
	net->reason = degraded ? mem_str(buf_cstr(&why)) : NULL;
	net->degraded = degraded;
	net->changed_ms = (uint64_t)clock_wall_ms();
	history_add(net, degraded ? NET_DEGRADED : NET_ACTIVE, "vned", buf_cstr(&why));
	history_store(v, net);
	events_publish(v->events, "network", net->full, degraded ? "state degraded: %s" : "state active%s", buf_cstr(&why));
	log_info("network %s: %s%s", net->full, degraded ? "degraded: " : "active again", buf_cstr(&why));
}

void health_repair(struct vned *v, struct network *net)
{
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		struct part *p = &net->parts[i];
		if (p->synced || p->ensuring || clock_ms() < p->retry_ms || !agents_reachable(v, net->plan.snode[i]))
			continue;
		p->retry_ms = clock_ms() + RETRY_MS;
		p->ensuring = true;
		agents_command(v, net, i, COMMAND_ENSURE);
	}
}
