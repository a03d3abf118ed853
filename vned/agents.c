/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agents: who is there, what was sent to whom, and what an agent holds against what it should.
 *
 * An agent speaks for one node, the one in its key. Its newest connection is in force; what
 * comes on an older one is ignored. After every HELLO desired state wins: what is missing or
 * different is sent, what is surplus is sent away, what is right is not touched. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum {
	TERM_LEAD_MAX = 1000000,      /* of an agent's term before ours: more than starts can explain */
	GENERATION_LEAD_MAX = 1000000, /* likewise, of a network's generation */
	SETTLED_MS = 2000, CLAIMS_LOG_MS = 5000
};

struct command { /* sent, not answered */
	uint32_t net, generation;
	enum command_kind kind;
	int64_t until_ms; /* then its answer is given up, and with it the connection */
};

int agents_init(struct vned *v, struct err *err)
{
	v->agents = mem_array(v->substrate.n_nodes, sizeof(*v->agents));
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		v->agents[i].snode = (uint32_t)i;
		v->agents[i].commands = hash_new();
	}
	int r = usable_make(v, err);
	for (size_t i = 0; r == 0 && i < v->usable.n_nodes; i++)
		networks_recount(v, (uint32_t)i);
	return r;
}

static void agent_done(struct agent *a)
{
	hash_free(a->commands, free);
	node_probe_done(&a->probe);
}

void agents_done(struct vned *v)
{
	for (size_t i = 0; v->agents && i < v->substrate.n_nodes; i++) {
		agent_done(&v->agents[i]);
	}
	free(v->agents);
	v->agents = NULL;
	substrate_done(&v->usable);
}

static const char *node_name(const struct vned *v, const struct agent *a)
{
	return v->substrate.nodes[a->snode].name;
}

bool agents_reachable(const struct vned *v, uint32_t snode)
{
	return v->agents[snode].connected && !v->agents[snode].doomed;
}

struct agent *agents_of_peer(struct vned *v, const struct peer *peer)
{
	size_t i = hash_index(v->substrate.node_index, peer->node);
	if (i == SIZE_MAX)
		return NULL;
	struct agent *a = &v->agents[i];
	return a->connected && peer_same(&a->peer, peer) ? a : NULL;
}

bool agent_offers(const struct agent *a, const char *feature)
{
	for (size_t i = 0; i < a->probe.n_features; i++)
		if (a->probe.features[i].present && strcmp(a->probe.features[i].name, feature) == 0)
			return true;
	return false;
}

void agents_names(const struct vned *v, bool (*which)(const struct vned *v, uint32_t snode), struct buf *out)
{
	size_t n = 0;
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		if (!which(v, (uint32_t)i))
			continue;
		if (n++ < 8)
			buf_printf(out, "%s%s", n > 1 ? ", " : "", v->substrate.nodes[i].name);
	}
	if (n > 8)
		buf_printf(out, " and %zu more", n - 8);
}

bool agents_down(const struct vned *v, uint32_t snode)
{
	return v->substrate.nodes[snode].agent && !agents_reachable(v, snode);
}

uint32_t agents_underlay_mtu(void *vned, uint32_t snode, uint32_t slink)
{
	const struct vned *v = vned;
	const struct slink *l = &v->substrate.links[slink];
	const struct addr *address = &l->underlay[l->b == snode];
	if (!address->family)
		address = &v->substrate.nodes[snode].address;
	char text[ADDR_TEXT];
	const struct node_probe *probe = &v->agents[snode].probe;
	addr_host_text(address, text);
	for (size_t i = 0; address->family && i < probe->n_mtus; i++) {
		if (strcmp(probe->mtus[i].address, text) == 0)
			return probe->mtus[i].mtu;
	}
	return 0;
}

/* ---- sending ------------------------------------------------------------------------------ */

static void doom_later(struct vned *v, struct agent *a)
{
	/* not here: whoever sends is in the middle of a network's life */
	a->doomed = true;
	loop_set_timer(v->doom, 0, 0);
}

static bool agent_send(struct vned *v, struct agent *a, struct message *m)
{
	struct err err = { 0 };
	if (!a->connected)
		return false;
	m->term = v->term;
	if (wire_send(v->wire, &a->peer, m, &err) == 0)
		return true;
	log_warn("agent of %s: %s: %s", node_name(v, a), message_type_name(m->type), err.text);
	doom_later(v, a);
	return false;
}

/* np: what it is about on this node; NULL: nothing is wanted. Twice what a transaction gives it, so that that ends first; guests
 * boot one after the other. */
static void remember(struct vned *v, struct agent *a, const struct message *m, enum command_kind kind, const struct node_plan *np)
{
	int64_t limit_us = v->config.prepare_timeout_us;
	for (size_t i = 0; np && i < np->n_routers; i++)
		limit_us += kind_is_guest(np->routers[i].kind) ? v->config.guest_timeout_us : 0;
	struct command c = { m->net, m->generation, kind, clock_ms() + 2 * limit_us / 1000 };
	free(hash_put_u64(a->commands, m->sequence, mem_dup(&c, sizeof(c))));
}

/* Nothing of a network is wanted on this node. The names are for people. */
static void ensure_empty(struct vned *v, struct agent *a, uint32_t net, uint32_t generation, const char *owner,
                         const char *name)
{
	struct message m = { .type = MSG_ENSURE, .net = net, .generation = generation,
		                 .u.plan = { .net = net, .generation = generation, .owner = (char *)(uintptr_t)owner,
		                             .name = (char *)(uintptr_t)name } };
	if (agent_send(v, a, &m))
		remember(v, a, &m, COMMAND_ENSURE, NULL);
}

void agents_command(struct vned *v, struct network *net, size_t part, enum command_kind kind)
{
	static const enum message_type types[] = { MSG_PREPARE, MSG_COMMIT, MSG_ABORT, MSG_ENSURE };
	struct agent *a = &v->agents[net->plan.snode[part]];
	if (kind == COMMAND_ENSURE && net->txn && net->txn->kind == TXN_RELEASE) {
		ensure_empty(v, a, net->id, net->generation, net->owner, net->name);
		return;
	}
	/* of an update that is not decided, it is about what the network is to become */
	const struct network *of = net->next && !net->switched && (kind == COMMAND_PREPARE || kind == COMMAND_ABORT) ? net->next : net;
	struct message m = { .type = types[kind], .net = net->id, .generation = of->generation };
	if (kind == COMMAND_PREPARE || kind == COMMAND_ENSURE)
		m.u.plan = of->plan.nodes[part]; /* borrowed: wire_send packs it */
	if (agent_send(v, a, &m))
		remember(v, a, &m, kind, &of->plan.nodes[part]);
}

/* ---- coming and going ---------------------------------------------------------------------- */

static void agent_lost(struct vned *v, struct agent *a, const char *why)
{
	a->connected = a->doomed = false;
	hash_free(a->commands, free);
	a->commands = hash_new();
	log_warn("agent of %s: lost: %s", node_name(v, a), why);
	events_publish(v->events, "node", node_name(v, a), "down: %s", why);
	exec_agent_lost(v, a);
	flow_agent_changed(v, a);
}

void agents_recheck(struct vned *v)
{
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		struct agent *a = &v->agents[i];
		if (!a->connected || wire_peer_allowed(v->wire, &a->peer))
			continue;
		wire_cut(v->wire, &a->peer);
		agent_lost(v, a, "its key is not allowed any more");
	}
}

static void forgive(void *command, void *stall)
{
	((struct command *)command)->until_ms += *(const int64_t *)stall;
}

struct overdue {
	int64_t now;
	const struct command *found;
};

static void find_overdue(void *command, void *overdue)
{
	const struct command *c = command;
	struct overdue *o = overdue;
	if (o->now > c->until_ms)
		o->found = c;
}

/* It is heard, but has not answered: it never got the command, or its answer never came. With its next hello it says what it
 * holds, and desired state wins. False: it has answered all. */
static bool lost_overdue(struct vned *v, struct agent *a, int64_t now)
{
	static const char *const names[] = { "prepare", "commit", "abort", "ensure" };
	struct overdue o = { .now = now };
	char why[96];
	if (!hash_count(a->commands))
		return false;
	hash_each(a->commands, find_overdue, &o);
	if (!o.found)
		return false;
	snprintf(why, sizeof(why), "no answer to %s network %u: to say anew what it holds", names[o.found->kind], o.found->net);
	agent_lost(v, a, why);
	return true;
}

/* Silence is counted only while we listen: when this process itself was held up (a busy machine, a
 * stop, a suspended host), what the agents said meanwhile is still to be read. */
static void forgive_stall(struct vned *v, int64_t now)
{
	int64_t stall = now - v->ticked_ms - TICK_MS;
	v->ticked_ms = now;
	if (stall < TICK_MS)
		return;
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		v->agents[i].heard_ms += stall;
		hash_each(v->agents[i].commands, forgive, &stall);
	}
}

void agents_tick(struct vned *v)
{
	int64_t now = clock_ms(), limit = v->config.timeout_us / 1000;
	forgive_stall(v, now);
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		struct agent *a = &v->agents[i];
		if (!a->connected)
			continue;
		if (a->doomed) {
			agent_lost(v, a, "the connection is gone");
		} else if (lost_overdue(v, a, now)) {
			continue;
		} else if (now - a->heard_ms > limit) {
			char why[64];
			snprintf(why, sizeof(why), "silent for %.1f s", (double)(now - a->heard_ms) / 1000);
			agent_lost(v, a, why);
		}
	}
}

static void reconcile_held(struct vned *v, struct agent *a, const struct held_net *h)
{
	struct network *net = networks_find(v, h->net);
	size_t part = net ? network_part(net, a->snode) : SIZE_MAX;
	bool wanted = part != SIZE_MAX && network_committed(net);
	if (part != SIZE_MAX && net->txn && net->txn->phase == TXN_DECIDING)
		return; /* brought to desired state once that is known */
	if (!wanted) {
		log_info("node %s: network %u is not wanted there: removed", node_name(v, a), h->net);
		ensure_empty(v, a, h->net, h->generation > h->prepared ? h->generation : h->prepared,
		             net ? net->owner : "unknown", net ? net->name : "unknown");
		return;
	}
	struct part *p = &net->parts[part];
	if (!net->txn && h->generation > net->generation && h->generation - net->generation <= GENERATION_LEAD_MAX)
		flow_overtake(v, net, h->generation);
	if (h->prepared > net->generation && h->prepared - net->generation <= GENERATION_LEAD_MAX && h->prepared > net->tried)
		net->tried = h->prepared; /* of an update that was not decided before we ended */
	p->synced = h->committed && h->generation == net->generation && h->digest == p->digest && h->prepared == 0;
}

/* Everything that should be on this node and was not confirmed by what it holds. */
static void reconcile_missing(struct vned *v, struct agent *a)
{
	for (size_t i = 0; i < v->n_networks; i++) {
		struct network *net = v->networks[i];
		size_t part = network_part(net, a->snode);
		if (part == SIZE_MAX || net->txn || !network_committed(net) || net->parts[part].synced)
			continue;
		log_info("node %s: network %s is missing or different there: sent", node_name(v, a), net->full);
		net->parts[part].ensuring = true;
		agents_command(v, net, part, COMMAND_ENSURE);
	}
}

static void welcome(struct vned *v, struct agent *a, const struct message *hello)
{
	struct message m = { .type = MSG_WELCOME, .reply_to = hello->sequence,
		                 .u.welcome = { .node = v->substrate.nodes[a->snode].name,
		                                .heartbeat_ms = (uint32_t)(v->config.heartbeat_us / 1000),
		                                .report_ms = REPORT_MS } };
	for (size_t i = 0; i < v->n_networks; i++) {
		size_t part = network_part(v->networks[i], a->snode);
		if (part == SIZE_MAX)
			continue;
		struct part *p = &v->networks[i]->parts[part];
		p->synced = false;
		free(p->why); /* it says anew what it has */
		p->why = NULL;
	}
	if (!agent_send(v, a, &m))
		return;
	for (size_t i = 0; i < hello->u.hello.n_held; i++)
		reconcile_held(v, a, &hello->u.hello.held[i]);
	reconcile_missing(v, a);
	flow_agent_changed(v, a);
}

/* An agent that obeys a higher term than ours has served another coordinator, or our state is
 * older than it was: go beyond, or it would refuse everything. */
static void raise_term(struct vned *v, const struct agent *a, uint64_t seen)
{
	char text[32];
	struct err err = { 0 };
	log_warn("agent of %s has seen term %llu, ours was %llu: going beyond; is another vned at work, or was state lost?",
	         node_name(v, a), (unsigned long long)seen, (unsigned long long)v->term);
	v->term = seen + 1;
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)v->term);
	struct store_op op = { "term", text, (size_t)len };
	/* not waited for: after a crash the next start finds the lower one and learns the same way */
	if (v->store->driver->batch(v->store, v->store->driver->revision(v->store), &op, 1, NULL, NULL, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
}

/* No coordinator has started that often: the agent's state is broken, or it lies. */
static bool term_credible(const struct vned *v, uint64_t seen)
{
	return seen <= v->term || (seen < TERM_MAX && seen - v->term <= TERM_LEAD_MAX);
}

/* True: it has been told so. It may beat on: that it is taken it will hear when the substrate has its node again. */
static bool turned_away(struct vned *v, const struct peer *peer, const struct message *m)
{
	size_t i = hash_index(v->substrate.node_index, peer->node);
	char text[160];
	if (i != SIZE_MAX && v->substrate.nodes[i].agent)
		return false;
	snprintf(text, sizeof(text), i == SIZE_MAX ? "the substrate has no node %s" : "node %s is declared to have no agent", peer->node);
	if (m->type == MSG_HELLO)
		log_warn("agent %s from %s: %s", peer->identity, peer->address, text);
	if (m->type == MSG_HELLO || m->type == MSG_HEARTBEAT)
		api_reply(v, peer, m->sequence, 1, text);
	return true;
}

static void hello(struct vned *v, const struct peer *peer, struct message *m)
{
	struct agent *a = &v->agents[hash_index(v->substrate.node_index, peer->node)];
	if (!term_credible(v, m->u.hello.term)) {
		char text[160];
		snprintf(text, sizeof(text), "term %llu is too far beyond ours, %llu, to be believed: is the state of this agent whole?",
		         (unsigned long long)m->u.hello.term, (unsigned long long)v->term);
		log_warn("agent of %s from %s: refused: %s", node_name(v, a), peer->address, text);
		api_reply(v, peer, m->sequence, 1, text);
		return;
	}
	if (a->connected && !peer_same(&a->peer, peer))
		agent_lost(v, a, "it has connected anew");
	a->peer = *peer;
	a->connected = a->seen = true;
	a->doomed = false;
	a->heard_ms = clock_ms();
	node_probe_done(&a->probe);
	a->probe = m->u.hello.probe;
	m->u.hello.probe = (struct node_probe){ 0 };
	usable_kinds(v, a);
	usable_guests(v, a);
	v->usable_version++;
	if (m->u.hello.term > v->term)
		raise_term(v, a, m->u.hello.term);
	log_info("agent of %s: connected from %s, version %s, holds %zu networks", node_name(v, a), peer->address,
	         a->probe.version, m->u.hello.n_held);
	events_publish(v->events, "node", node_name(v, a), "up");
	repair_capacity(v);
	welcome(v, a, m);
}

/* ---- answers and reports --------------------------------------------------------------------- */

static void ensured(struct vned *v, struct network *net, size_t part, const struct message *m)
{
	struct part *p = &net->parts[part];
	p->ensuring = false;
	p->synced = m->u.reply.code == 0;
	p->retry_ms = clock_ms() + RETRY_MS;
	free(p->why);
	p->why = p->synced ? NULL : mem_str(m->u.reply.text[0] ? m->u.reply.text : strerror(-m->u.reply.code));
}

/* It has obeyed a command of a connection that was given up meanwhile (it slept, and found the
 * command in its socket when it woke): what stands there now is none of what it said on arrival. */
static void answered_late(struct vned *v, struct agent *a, const struct message *m)
{
	struct held_net held = { .net = m->net, .generation = m->generation };
	struct network *net = networks_find(v, m->net);
	if (!m->net || !a->connected || (net && net->txn))
		return;
	reconcile_held(v, a, &held);
	reconcile_missing(v, a);
}

static void done(struct vned *v, struct agent *a, const struct message *m)
{
	static const enum txn_step_kind steps[] = { TXN_STEP_PREPARE, TXN_STEP_COMMIT, TXN_STEP_ABORT, TXN_STEP_ENSURE };
	struct command *c = hash_del_u64(a->commands, m->reply_to);
	if (!c) {
		log_warn("agent of %s: answers what was not asked (%llu)", node_name(v, a), (unsigned long long)m->reply_to);
		answered_late(v, a, m);
		return;
	}
	struct command command = *c;
	free(c);
	struct network *net = networks_find(v, command.net);
	size_t part = net ? network_part(net, a->snode) : SIZE_MAX;
	bool again = part != SIZE_MAX && net->parts[part].why && !strcmp(net->parts[part].why, m->u.reply.text); /* it is asked every few seconds */
	if (m->u.reply.code != 0 && !again)
		log_warn("node %s: network %u: %s", node_name(v, a), command.net, m->u.reply.text);
	bool next = net && net->next && !net->switched && command.generation == net->next->generation;
	if (part == SIZE_MAX || (command.generation != net->generation && !next))
		return; /* of a network that is no more, or was before */
	if (command.kind == COMMAND_ENSURE || command.kind == COMMAND_COMMIT)
		ensured(v, net, part, m);
	struct txn_event event = { .type = TXN_EV_DONE, .agent = part, .step = steps[command.kind],
		                       .code = m->u.reply.code, .reason = m->u.reply.text };
	if (net->txn)
		flow_event(v, net, &event);
}

/* Outside ports come and go: a report that tells of them takes the place of what the hello told. */
static void take_uplinks(struct vned *v, struct agent *a, struct load_report *r)
{
	bool same = r->n_uplinks == a->probe.n_uplinks;
	if (!r->n_uplinks)
		return;
	for (size_t i = 0; same && i < r->n_uplinks; i++)
		same = r->uplinks[i].usable == a->probe.uplinks[i].usable && !strcmp(r->uplinks[i].name, a->probe.uplinks[i].name);
	struct load_report were = { .uplinks = a->probe.uplinks, .n_uplinks = a->probe.n_uplinks };
	a->probe.uplinks = r->uplinks;
	a->probe.n_uplinks = r->n_uplinks;
	r->uplinks = NULL;
	r->n_uplinks = 0;
	load_report_done(&were);
	if (same)
		return;
	usable_ways(a, &v->substrate.nodes[a->snode], &v->usable.nodes[a->snode]);
	v->usable_version++;
}

/* The node that a port's router is on. at: as network_port_at. */
static uint32_t port_host(const struct network *net, uint32_t at)
{
	if (at < PLAN_UPLINK_ID) {
		const struct vlink *l = &net->request.links[at >> 1];
		return net->embedding.host[at & 1 ? l->b : l->a];
	}
	size_t before = 0, i = 0;
	while ((before += net->request.nodes[i].n_uplinks) <= at - PLAN_UPLINK_ID)
		i++;
	return net->embedding.host[i];
}

void agent_claims(struct vned *v, const struct agent *a, const char *what, const char *of)
{
	v->counters.claims++;
	if (clock_ms() < v->claims_ms)
		return;
	v->claims_ms = clock_ms() + CLAIMS_LOG_MS;
	log_warn("agent of %s speaks of %s %s, which is none of its node's: it does not count. Is that machine in other hands?", node_name(v, a), what, of);
}

/* A network that has just changed, or is changing, may still be spoken of where it was. */
static void judge_claim(struct vned *v, const struct agent *a, const struct network *net, const char *what)
{
	bool settled = !net->txn && !net->next && (uint64_t)clock_wall_ms() > net->changed_ms + SETTLED_MS;
	for (size_t i = 0; settled && i < net->plan.n_nodes; i++)
		settled = net->parts[i].synced;
	if (settled)
		agent_claims(v, a, what, net->full);
}

/* An agent's word counts for what is placed on its node, nothing else. */
static void report(struct vned *v, struct agent *a, struct load_report *r)
{
	int64_t now = clock_us();
	take_uplinks(v, a, r);
	failures_report(v, a, r->down, r->n_down);
	a->report = *r;
	a->report.routers = NULL;
	a->report.ports = NULL;
	a->report.segments = NULL;
	a->report.n_routers = a->report.n_ports = a->report.n_segments = 0;
	a->has_report = true;
	for (size_t i = 0; i < r->n_routers; i++) {
		struct network *net = networks_find(v, r->routers[i].net);
		uint32_t at = net ? network_router_at(net, r->routers[i].router) : UINT32_MAX;
		bool own = at != UINT32_MAX && net->embedding.host[at] == a->snode;
		if (own)
			net_load_router(&net->load, at, &r->routers[i], now);
		else if (net)
			judge_claim(v, a, net, "a router of");
	}
	for (size_t i = 0; i < r->n_ports; i++) {
		struct network *net = networks_find(v, r->ports[i].net);
		uint32_t at = net ? network_port_at(net, r->ports[i].port) : UINT32_MAX;
		bool own = at != UINT32_MAX && port_host(net, at) == a->snode;
		if (own)
			net_load_port(&net->load, at, &r->ports[i], now);
		else if (net)
			judge_claim(v, a, net, "a port of");
	}
	for (size_t i = 0; i < r->n_segments; i++) {
		struct network *net = networks_find(v, r->segments[i].net);
		size_t part = net ? network_part(net, a->snode) : SIZE_MAX;
		if (part == SIZE_MAX || hash_get_u64(v->vnis, r->segments[i].vni) != net) {
			if (net)
				judge_claim(v, a, net, "a tunnel of");
			continue;
		}
		const struct node_plan *np = &net->plan.nodes[part];
		uint32_t overhead = np->n_segments && np->segments[0].local.family == AF_INET6 ? VXLAN_OVERHEAD_V6 : VXLAN_OVERHEAD_V4;
		monitor_set_segment(v->monitor, a->snode, &r->segments[i], overhead, now);
	}
}

static void progress(struct vned *v, struct agent *a, const struct message *m)
{
	struct network *net = networks_find(v, m->net);
	size_t part = net ? network_part(net, a->snode) : SIZE_MAX;
	if (part == SIZE_MAX)
		return;
	net->parts[part].ready = m->u.progress.ready;
	events_publish(v->events, "progress", net->full, "node %s: %s %u of %u", node_name(v, a), m->u.progress.stage,
	               m->u.progress.ready, m->u.progress.all);
}

static void heartbeat(struct vned *v, struct agent *a)
{
	struct message m = { .type = MSG_HEARTBEAT };
	(void)agent_send(v, a, &m); /* a failure has marked it */
}

void agents_message(struct vned *v, const struct peer *peer, struct message *m)
{
	if (turned_away(v, peer, m))
		return;
	if (m->type == MSG_HELLO) {
		hello(v, peer, m);
		return;
	}
	struct agent *a = agents_of_peer(v, peer);
	if (!a) {
		/* before its hello, after it was given up, or replaced: it has to begin again */
		if (m->type == MSG_HEARTBEAT)
			api_reply(v, peer, m->sequence, 3, "say hello first: this connection was given up");
		return;
	}
	a->heard_ms = clock_ms();
	switch (m->type) {
	case MSG_HEARTBEAT:
		heartbeat(v, a);
		break;
	case MSG_DONE:
		done(v, a, m);
		break;
	case MSG_REPORT:
		report(v, a, &m->u.report);
		break;
	case MSG_WATCH:
		failures_watch(v, a, m);
		break;
	case MSG_NOTICE:
		events_publish(v->events, "node", node_name(v, a), "%s: %s", m->u.notice.object, m->u.notice.what);
		break;
	case MSG_PROGRESS:
		progress(v, a, m);
		break;
	case MSG_EXEC_OUTPUT:
	case MSG_EXEC_EXIT:
		exec_agent_message(v, a, m);
		break;
	case MSG_ROUTE_LIST:
		routes_agent_message(v, a, m);
		break;
	case MSG_PLANE_DATA:
		planes_agent_message(v, a, m);
		break;
	default:
		log_warn("agent of %s: %s is not an agent's to send", node_name(v, a), message_type_name(m->type));
	}
}

void agents_move(struct vned *v, const struct substrate *old, const uint32_t *nodes)
{
	struct agent *were = v->agents;
	struct err err = { 0 };
	v->agents = mem_array(v->substrate.n_nodes + 1, sizeof(*v->agents));
	for (size_t i = 0; i < old->n_nodes; i++) {
		if (nodes[i] == UINT32_MAX || !v->substrate.nodes[nodes[i]].agent) {
			if (were[i].connected)
				log_warn("agent of %s: the substrate has no such node any more, or it is to have none", old->nodes[i].name);
			agent_done(&were[i]); /* what it says from now on is nobody's */
			continue;
		}
		v->agents[nodes[i]] = were[i];
	}
	free(were);
	substrate_done(&v->usable);
	if (usable_make(v, &err) < 0)
		log_error("the substrate: %s", err.text); /* it was checked when it was read */
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		struct agent *a = &v->agents[i];
		a->snode = (uint32_t)i;
		if (!a->commands)
			a->commands = hash_new();
		if (!a->seen)
			continue;
		usable_kinds(v, a);
		usable_guests(v, a);
	}
}
