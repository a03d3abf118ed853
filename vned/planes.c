/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The map of a router's forwarding program, read and filled by its tenant: a question handed to the agent of the router's node,
 * its answer handed back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

enum { ASKINGS_MAX = 256, PATIENCE_MS = 3000 };

struct plane_asking { /* under way */
	struct plane_asking *next;
	struct peer client;
	uint64_t reply_to, sequence; /* of the client's question, of ours to the agent */
	uint32_t snode;
	int64_t until_ms;
};

static void end(struct vned *v, struct plane_asking *x, int code, const char *why)
{
	struct plane_asking **link = &v->plane_askings;
	while (*link != x)
		link = &(*link)->next;
	*link = x->next;
	api_reply(v, &x->client, x->reply_to, code, why);
	free(x);
}

void planes_done(struct vned *v)
{
	while (v->plane_askings) {
		struct plane_asking *x = v->plane_askings;
		v->plane_askings = x->next;
		free(x);
	}
}

void planes_client_message(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct network *net;
	size_t router = SIZE_MAX, n = 0;
	for (const struct plane_asking *x = v->plane_askings; x; x = x->next)
		n++;
	int r = networks_resolve(v, peer, q->u.plane.network, &net, &err);
	if (r == 0 && (router = hash_index(net->request.node_index, q->u.plane.router)) == SIZE_MAX)
		r = err_set(&err, -ENOENT, "%s has no router %s", net->full, q->u.plane.router);
	if (r == 0 && net->request.nodes[router].plane != PLANE_PROGRAM)
		r = err_set(&err, -EINVAL, "%s of %s has no forwarding program: `plane: {program: NAME}` in its request gives it one", q->u.plane.router, net->full);
	if (r == 0 && !network_committed(net))
		r = err_set(&err, -EINVAL, "%s is %s: its routers are not built", net->full, net_state_names[network_shown_state(net)]);
	if (r == 0 && n >= ASKINGS_MAX)
		r = err_set(&err, -EBUSY, "%d questions of this kind are under way; ask again", ASKINGS_MAX);
	if (r < 0) {
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	uint32_t snode = net->embedding.host[router];
	struct message m = *q; /* borrowed but for what is set */
	m.term = v->term;
	m.net = net->id;
	m.generation = net->generation;
	m.reply_to = 0;
	m.u.plane.network = m.u.plane.router = NULL;
	m.u.plane.router_id = net->numbers.router[router];
	if (!v->agents[snode].connected || wire_send(v->wire, &v->agents[snode].peer, &m, &err) < 0) {
		mem_auto char *why = mem_printf("the agent of node %s is not connected", v->substrate.nodes[snode].name);
		api_reply(v, peer, q->sequence, 3, why);
		return;
	}
	struct plane_asking *x = mem_alloc(sizeof(*x));
	*x = (struct plane_asking){ v->plane_askings, *peer, q->sequence, m.sequence, snode, clock_ms() + PATIENCE_MS };
	v->plane_askings = x;
}

void planes_agent_message(struct vned *v, struct agent *agent, struct message *m)
{
	struct plane_asking *x = v->plane_askings;
	while (x && !(x->snode == agent->snode && x->sequence == m->reply_to))
		x = x->next;
	if (!x)
		return; /* too late */
	if (m->u.plane_data.code) {
		end(v, x, 1, m->u.plane_data.why);
		return;
	}
	struct message out = *m;
	memset(&m->u, 0, sizeof(m->u)); /* it goes on */
	out.reply_to = x->reply_to;
	out.more = true;
	api_send(v, &x->client, &out);
	end(v, x, 0, "");
}

void planes_tick(struct vned *v)
{
	struct plane_asking *next;
	for (struct plane_asking *x = v->plane_askings; x; x = next) {
		next = x->next;
		if (clock_ms() < x->until_ms)
			continue;
		mem_auto char *why = mem_printf("the agent of node %s has not answered within %d s", v->substrate.nodes[x->snode].name, PATIENCE_MS / 1000);
		end(v, x, 3, why);
	}
}

void planes_move(struct vned *v, const uint32_t *nodes)
{
	for (struct plane_asking *x = v->plane_askings, *next; x; x = next) {
		next = x->next;
		if (nodes[x->snode] == UINT32_MAX)
			end(v, x, 3, "the router's node has left the substrate");
		else
			x->snode = nodes[x->snode];
	}
}
