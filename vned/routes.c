/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What routers know of the ways to others: asked of the agents that they live on, and handed on as it comes. Each agent
 * tells of its own routers only, and of each once; who has told nothing in time is named. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

enum { ASKINGS_MAX = 256, PATIENCE_MS = 3000, PATIENCE_GUEST_MS = 10000, NAMES_BYTES = 1024 };

struct asking { /* a client's question under way */
	struct asking *next;
	struct peer client;
	uint64_t reply_to;
	uint32_t net, generation;
	int64_t patience_ms, until_ms;
	size_t n_left;
	bool *told;          /* per router */
	uint64_t *sequences; /* of what its agent was asked, per router; 0: it could not be */
	struct buf missing;  /* names of those of which nothing is known */
};

static void forget(struct vned *v, struct asking *x)
{
	struct asking **link = &v->askings;
	while (*link != x)
		link = &(*link)->next;
	*link = x->next;
	buf_done(&x->missing);
	free(x->told);
	free(x->sequences);
	free(x);
}

void routes_done(struct vned *v)
{
	while (v->askings)
		forget(v, v->askings);
}

/* Not another network, nor the same by another request. */
static bool still(const struct asking *x, const struct network *net)
{
	return x->net == net->id && x->generation == net->generation;
}

static void hand_on(struct vned *v, struct asking *x, const struct network *net, size_t router, struct routes_view *from)
{
	if (from->why && from->why[0] && x->missing.len < NAMES_BYTES)
		buf_printf(&x->missing, "%s%s", x->missing.len ? ", " : "", net->request.nodes[router].name);
	struct message m = { .type = MSG_ROUTE_LIST, .reply_to = x->reply_to, .more = true, .u.routes = { mem_alloc(sizeof(*from)), 1 } };
	*m.u.routes.v = *from;
	*from = (struct routes_view){ 0 };
	free(m.u.routes.v->router);
	free(m.u.routes.v->node);
	m.u.routes.v->router = mem_str(net->request.nodes[router].name);
	m.u.routes.v->node = mem_str(v->substrate.nodes[net->embedding.host[router]].name);
	api_send(v, &x->client, &m);
	x->told[router] = true;
	x->n_left--;
}

/* It ends: who has not told is named, with the reason. */
static void conclude(struct vned *v, struct asking *x)
{
	const struct network *net = networks_find(v, x->net);
	if (net && !still(x, net))
		net = NULL;
	for (size_t i = 0; net && x->n_left && i < net->request.n_nodes; i++) {
		if (x->told[i])
			continue;
		const char *node = v->substrate.nodes[net->embedding.host[i]].name;
		struct routes_view view = { .id = net->numbers.router[i],
			.why = x->sequences[i] ? mem_printf("the agent of node %s has not answered within %lld s", node, (long long)x->patience_ms / 1000) :
			                         mem_printf("the agent of node %s is not connected", node) };
		hand_on(v, x, net, i, &view);
	}
	mem_auto char *why = !net ? mem_str("the network was released or changed meanwhile") :
	                     x->missing.len ? mem_printf("not known of: %s", buf_cstr(&x->missing)) : mem_str("");
	api_reply(v, &x->client, x->reply_to, !net ? 1 : x->missing.len ? 3 : 0, why);
	forget(v, x);
}

/* One message to each agent that has routers of it. */
static void ask_agents(struct vned *v, struct asking *x, const struct network *net)
{
	for (size_t i = 0; i < net->request.n_nodes; i++) {
		uint32_t snode = net->embedding.host[i];
		struct err err = { 0 };
		size_t first = 0;
		while (net->embedding.host[first] != snode)
			first++;
		if (first < i) {
			x->sequences[i] = x->sequences[first];
			continue;
		}
		struct message m = { .type = MSG_ROUTES, .term = v->term, .net = net->id, .generation = net->generation,
			             .u.name = { .name = net->full } };
		if (v->agents[snode].connected && wire_send(v->wire, &v->agents[snode].peer, &m, &err) == 0)
			x->sequences[i] = m.sequence;
	}
}

void routes_client_message(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct network *net;
	size_t n = 0;
	for (const struct asking *x = v->askings; x; x = x->next)
		n++;
	int r = networks_resolve(v, peer, q->u.name.name, &net, &err);
	if (r == 0 && !network_committed(net))
		r = err_set(&err, -EINVAL, "%s is %s: its routers are not built", net->full, net_state_names[network_shown_state(net)]);
	if (r == 0 && n >= ASKINGS_MAX)
		r = err_set(&err, -EBUSY, "%d questions of this kind are under way; ask again", ASKINGS_MAX);
	if (r < 0) {
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	struct asking *x = mem_alloc(sizeof(*x));
	*x = (struct asking){ .next = v->askings, .client = *peer, .reply_to = q->sequence, .net = net->id, .generation = net->generation, .patience_ms = PATIENCE_MS,
		              .n_left = net->request.n_nodes, .told = mem_array(net->request.n_nodes + 1, sizeof(*x->told)),
		              .sequences = mem_array(net->request.n_nodes + 1, sizeof(*x->sequences)) };
	for (size_t i = 0; i < net->request.n_nodes; i++)
		if (kind_is_guest(net->embedding.kind[i]))
			x->patience_ms = PATIENCE_GUEST_MS;
	x->until_ms = clock_ms() + x->patience_ms;
	v->askings = x;
	ask_agents(v, x, net);
	bool any = false;
	for (size_t i = 0; i < net->request.n_nodes; i++) {
		any |= x->sequences[i] != 0;
		x->told[i] = kind_is_switch(net->embedding.kind[i]); /* which knows of no ways */
		x->n_left -= x->told[i];
	}
	if (!any || !x->n_left)
		conclude(v, x);
}

void routes_agent_message(struct vned *v, struct agent *agent, struct message *m)
{
	const struct network *net = networks_find(v, m->net);
	struct asking *x = v->askings;
	struct routes_view *view = m->u.routes.n == 1 ? &m->u.routes.v[0] : NULL;
	uint32_t at = net && view ? network_router_at(net, view->id) : UINT32_MAX;
	while (x && at != UINT32_MAX && !(still(x, net) && x->sequences[at] == m->reply_to))
		x = x->next;
	if (!x || at == UINT32_MAX || !m->reply_to || x->told[at] || net->embedding.host[at] != agent->snode)
		return; /* too late, twice, or not its to tell */
	hand_on(v, x, net, at, view);
	if (!x->n_left)
		conclude(v, x);
}

void routes_tick(struct vned *v)
{
	struct asking *next;
	for (struct asking *x = v->askings; x; x = next) {
		next = x->next;
		if (clock_ms() >= x->until_ms || !networks_find(v, x->net))
			conclude(v, x);
	}
}
