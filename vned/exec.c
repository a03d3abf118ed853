/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands inside routers: relayed between the client that asked and the agent of the router's
 * node. Nothing is kept here but who talks to whom. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum { EXECS_MAX = 1024, KNOCK_MS = 1000 };

struct exec { /* under way */
	struct exec *next;
	uint64_t relay;  /* its id towards the agent */
	uint64_t id;     /* towards the client */
	struct peer client;
	uint32_t snode;
};

struct execs {
	struct exec *first;
	size_t n;
	uint64_t last;
	int64_t knock_ms;
};

static struct execs *table(struct vned *v)
{
	if (!v->execs)
		v->execs = mem_alloc(sizeof(*v->execs));
	return v->execs;
}

static void end(struct vned *v, struct exec *x)
{
	struct exec **link = &v->execs->first;
	while (*link != x)
		link = &(*link)->next;
	*link = x->next;
	v->execs->n--;
	free(x);
}

void exec_done(struct vned *v)
{
	while (v->execs && v->execs->first)
		end(v, v->execs->first);
	free(v->execs);
	v->execs = NULL;
}

static int to_client(struct vned *v, const struct exec *x, struct message *m)
{
	struct err err;
	return wire_send(v->wire, &x->client, m, &err);
}

static int to_agent(struct vned *v, const struct exec *x, struct message *m)
{
	struct err err;
	m->term = v->term;
	return v->agents[x->snode].connected ? wire_send(v->wire, &v->agents[x->snode].peer, m, &err) : -EHOSTUNREACH;
}

/* The client gets an exit of our making: 1 where what it asks for is not there, 3 where the agent is not. */
static void fail(struct vned *v, const struct peer *peer, uint64_t id, uint64_t reply_to, int code, const char *why)
{
	struct message m = { .type = MSG_EXEC_EXIT, .reply_to = reply_to,
		                 .u.exec_exit = { .id = id, .code = code, .reason = mem_str(why) } };
	api_send(v, peer, &m);
}

void exec_move(struct vned *v, const uint32_t *nodes)
{
	for (struct exec *x = v->execs ? v->execs->first : NULL, *next; x; x = next) {
		next = x->next;
		if (nodes[x->snode] != UINT32_MAX) {
			x->snode = nodes[x->snode];
			continue;
		}
		fail(v, &x->client, x->id, 0, 3, "the router's node has left the substrate");
		end(v, x);
	}
}

/* For the audit log: a command runs, or was not started. */
static void note(struct vned *v, const struct peer *peer, const struct message *m, int code, const char *why)
{
	buf_auto struct buf what = BUF_INIT;
	buf_printf(&what, "%s/%s", m->u.exec.network, m->u.exec.router);
	for (size_t i = 0; i < m->u.exec.argc && what.len < 1000; i++)
		buf_printf(&what, "%s%.200s", i ? " " : ": ", m->u.exec.argv[i]);
	audit_note(v, peer, m->u.exec.console ? "console" : "exec", buf_cstr(&what), code, why);
}

/* The agent is to end the command: nobody listens any more. */
static void hang_up(struct vned *v, struct exec *x)
{
	struct message m = { .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = x->relay, .code = -1 } };
	if (to_agent(v, x, &m) < 0)
		log_debug("exec %llu: the agent is gone too", (unsigned long long)x->relay);
	end(v, x);
}

static void begin(struct vned *v, const struct peer *peer, struct message *m)
{
	struct err err = { 0 };
	struct network *net;
	struct execs *t = table(v);
	if (networks_resolve(v, peer, m->u.exec.network, &net, &err) < 0) {
		note(v, peer, m, 1, err.text);
		fail(v, peer, m->u.exec.id, m->sequence, 1, err.text);
		return;
	}
	size_t router = hash_index(net->request.node_index, m->u.exec.router);
	if (router == SIZE_MAX || t->n >= EXECS_MAX || !network_committed(net)) {
		mem_auto char *why = router == SIZE_MAX ? mem_printf("%s has no router %s", net->full, m->u.exec.router) :
		                     t->n >= EXECS_MAX  ? mem_str("too many commands are running in routers") :
		                     mem_printf("%s is %s", net->full, net_state_names[network_shown_state(net)]);
		note(v, peer, m, 1, why);
		fail(v, peer, m->u.exec.id, m->sequence, 1, why);
		return;
	}
	struct exec *x = mem_alloc(sizeof(*x));
	*x = (struct exec){ t->first, ++t->last, m->u.exec.id, *peer, net->embedding.host[router] };
	t->first = x;
	t->n++;
	struct message out = *m; /* borrowed but for what is set */
	out.net = net->id;
	out.generation = net->generation;
	out.reply_to = 0;
	out.u.exec.id = x->relay;
	out.u.exec.network = out.u.exec.router = NULL;
	out.u.exec.router_id = net->numbers.router[router];
	if (to_agent(v, x, &out) == 0) {
		note(v, peer, m, 0, "");
		return;
	}
	mem_auto char *why = mem_printf("the agent of node %s is not connected", v->substrate.nodes[x->snode].name);
	note(v, peer, m, 3, why);
	fail(v, peer, x->id, m->sequence, 3, why);
	end(v, x);
}

/* A command that says nothing does not show that its client has gone: the client is knocked at. */
void exec_tick(struct vned *v)
{
	struct exec *next;
	if (!v->execs || clock_ms() < v->execs->knock_ms)
		return;
	v->execs->knock_ms = clock_ms() + KNOCK_MS;
	for (struct exec *x = v->execs->first; x; x = next) {
		next = x->next;
		struct message m = { .type = MSG_HEARTBEAT };
		if (to_client(v, x, &m) == -EHOSTUNREACH)
			hang_up(v, x);
	}
}

void exec_recheck(struct vned *v)
{
	for (struct exec *x = v->execs ? v->execs->first : NULL, *next; x; x = next) {
		next = x->next;
		if (wire_peer_allowed(v->wire, &x->client))
			continue;
		wire_cut(v->wire, &x->client);
		hang_up(v, x);
	}
}

void exec_client_message(struct vned *v, const struct peer *peer, struct message *m)
{
	if (m->type == MSG_EXEC) {
		begin(v, peer, m);
		return;
	}
	uint64_t id = m->type == MSG_EXEC_INPUT ? m->u.exec_data.id : m->u.exec_exit.id;
	struct exec *x = table(v)->first;
	while (x && !(x->id == id && peer_same(&x->client, peer)))
		x = x->next;
	if (!x)
		return; /* it has ended meanwhile */
	if (m->type == MSG_EXEC_EXIT) {
		hang_up(v, x);
		return;
	}
	m->u.exec_data.id = x->relay;
	if (to_agent(v, x, m) < 0) {
		fail(v, peer, x->id, 0, 3, "the agent of the router's node does not take input: given up");
		hang_up(v, x);
	}
}

void exec_agent_message(struct vned *v, struct agent *agent, struct message *m)
{
	uint64_t relay = m->type == MSG_EXEC_OUTPUT ? m->u.exec_data.id : m->u.exec_exit.id;
	struct exec *x = table(v)->first;
	while (x && !(x->relay == relay && x->snode == agent->snode))
		x = x->next;
	if (!x)
		return;
	m->reply_to = 0;
	if (m->type == MSG_EXEC_OUTPUT) {
		m->u.exec_data.id = x->id;
		if (to_client(v, x, m) < 0)
			hang_up(v, x); /* gone, or it does not read */
		return;
	}
	m->u.exec_exit.id = x->id;
	if (to_client(v, x, m) < 0)
		log_debug("exec %llu: its client is gone", (unsigned long long)relay);
	end(v, x);
}

void exec_agent_lost(struct vned *v, struct agent *agent)
{
	struct exec *next;
	for (struct exec *x = v->execs ? v->execs->first : NULL; x; x = next) {
		next = x->next;
		if (x->snode != agent->snode)
			continue;
		fail(v, &x->client, x->id, 0, 3, "the agent of the router's node was lost");
		end(v, x);
	}
}
