/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A network's life: store, transaction, agents, and who waits for what.
 *
 *   accept   PLANNED and its capacity durable → who waited for "accepted" is told → prepare
 *   decide   COMMITTING durable → commit
 *   end      ACTIVE; or, aborted, taken out of the store
 *   release  RELEASING durable → agents remove it → taken out of the store
 *
 * What the store cannot make durable (a full disk) it undoes: then a request is refused, a decision not
 * taken, a network that is over kept until the store has forgotten it. Only where nobody can know
 * what is on disk (-EIO) does the process end, with exit code 70; networks run on meanwhile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/flow_impl.h"

/* ---- who waits ---------------------------------------------------------------------------- */

void waiter_add(struct waiter **list, void (*done)(void *, struct network *, int, const char *), void *arg)
{
	struct waiter *w = mem_alloc(sizeof(*w));
	w->done = done;
	w->arg = arg;
	w->next = *list;
	*list = w;
}

void waiters_drop(struct waiter **list, void *arg)
{
	for (struct waiter *w; (w = *list);) {
		if (w->arg != arg) {
			list = &w->next;
			continue;
		}
		*list = w->next;
		free(w);
	}
}

void waiters_tell(struct waiter **list, struct network *net, int code, const char *reason)
{
	struct waiter *w = *list;
	*list = NULL;
	while (w) {
		struct waiter *next = w->next;
		w->done(w->arg, net, code, reason);
		free(w);
		w = next;
	}
}

/* ---- the transaction ------------------------------------------------------------------------ */

void flow_set_state(struct vned *v, struct network *net, enum net_state state, const char *why)
{
	bool asked = net->asked_by && (state == NET_UPDATING || state == NET_RELEASING || state == NET_RELEASED || state == NET_FAILED);
	net->state = state;
	net->changed_ms = (uint64_t)clock_wall_ms();
	history_add(net, state, asked ? net->asked_by : "vned", why ? why : asked ? net->asked_why : "");
	events_publish(v->events, "network", net->full, why ? "state %s: %s" : "state %s", net_state_names[state], why);
	log_info("network %s: %s%s%s", net->full, net_state_names[state], why ? ": " : "", why ? why : "");
}

/* Guests boot one after the other on each node, so the node with most of them counts. */
static int64_t prepare_limit_ms(const struct vned *v, const struct plan *plan)
{
	size_t most = 0;
	for (size_t i = 0; i < plan->n_nodes; i++) {
		const struct node_plan *np = &plan->nodes[i];
		size_t guests = 0;
		for (size_t k = 0; k < np->n_routers; k++)
			guests += kind_is_guest(np->routers[k].kind);
		most = guests > most ? guests : most;
	}
	/* both are an hour at most, and a plan has 65536 routers at most: no overflow */
	return (v->config.prepare_timeout_us + (int64_t)most * v->config.guest_timeout_us) / 1000;
}

static void txn_drop(struct network *net)
{
	if (net->txn)
		txn_done(net->txn);
	free(net->txn);
	net->txn = NULL;
}

struct txn *flow_txn_begin(struct vned *v, struct network *net, enum txn_kind kind)
{
	txn_drop(net);
	net->txn = mem_alloc(sizeof(*net->txn));
	txn_init(net->txn, net->plan.n_nodes, kind, v->config.prepare_timeout_us / 1000);
	net->txn->prepare_ms = prepare_limit_ms(v, net->next ? &net->next->plan : &net->plan);
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		struct txn_agent *a = &net->txn->agents[i];
		snprintf(a->name, sizeof(a->name), "%s", v->substrate.nodes[net->plan.snode[i]].name);
		a->up = agents_reachable(v, net->plan.snode[i]);
		net->parts[i].ensuring = false;
		net->parts[i].ready = 0;
	}
	net->told = UINT32_MAX;
	net->told_ms = clock_ms();
	return net->txn;
}

static void flow_start(struct vned *v, struct network *net)
{
	struct txn_event start = { .type = TXN_EV_START };
	flow_txn_begin(v, net, TXN_SUBMIT);
	flow_set_state(v, net, NET_PREPARING, NULL);
	flow_event(v, net, &start);
}

static void undecided(struct vned *v, struct network *net, const char *reason)
{
	struct txn_event unstored = { .type = TXN_EV_UNSTORED, .reason = reason };
	if (net->next)
		flow_update_switch(net);
	flow_event(v, net, &unstored);
}

static void decide(struct vned *v, struct network *net)
{
	struct err err = { 0 };
	enum write_kind kind = net->state == NET_RELEASING ? WRITE_AGAIN : WRITE_DECIDED;
	if (net->next)
		flow_update_switch(net);
	flow_set_state(v, net, net->txn->kind == TXN_RELEASE ? NET_RELEASING : NET_COMMITTING, NULL);
	if (flow_store(v, net, kind, &err) == 0)
		return;
	if (net->txn->kind == TXN_RELEASE)
		flow_fatal(v, "the store cannot be written", err.text);
	else
		undecided(v, net, err.text);
}

/* ---- the end -------------------------------------------------------------------------------- */

/* It is gone, or never came to be; who waits for that is told once the store has forgotten it, too. */
static void forget(struct vned *v, struct network *net, int code, const char *reason)
{
	net->over_why = mem_str(reason);
	net->over_code = code;
	net->over = true;
	txn_drop(net);
	flow_store_over(v, net);
}

static void over_written(struct vned *v, struct network *net, int code, const char *reason)
{
	if (code < 0) {
		buf_auto struct buf why = BUF_INIT;
		buf_printf(&why, "network %s is gone, but that cannot be stored (%s): it is tried again until it can", net->full, reason);
		log_warn("%s", buf_cstr(&why));
		waiters_tell(&net->accepted, net, net->over_code, net->over_why);
		waiters_tell(&net->active, net, net->over_code, net->over_why);
		waiters_tell(&net->gone, net, 70, buf_cstr(&why));
		net->over_retry_ms = clock_ms() + RETRY_MS;
		return;
	}
	struct waiter *gone = net->gone;
	net->gone = NULL;
	waiters_tell(&net->accepted, net, net->over_code, net->over_why);
	waiters_tell(&net->active, net, net->over_code, net->over_why);
	history_gone(v, net);
	networks_remove(v, net);
	waiters_tell(&gone, NULL, 0, "");
}

/* What was never in the store. */
static void refuse(struct vned *v, struct network *net, const char *reason)
{
	buf_auto struct buf why = BUF_INIT;
	buf_printf(&why, "the store cannot be written: %s; nothing was built: make room in %s, then ask again", reason,
	           v->config.state);
	v->counters.failed++;
	events_publish(v->events, "network", net->full, "state %s: %s", net_state_names[NET_FAILED], buf_cstr(&why));
	net->state = NET_FAILED;
	struct waiter *gone = net->gone;
	net->gone = NULL;
	waiters_tell(&net->accepted, net, 70, buf_cstr(&why));
	waiters_tell(&net->active, net, 70, buf_cstr(&why));
	networks_remove(v, net);
	waiters_tell(&gone, NULL, 0, "");
}

/* A release that was not decided: no agent has heard of it, the network goes on. */
static void unrelease(struct vned *v, struct network *net, const char *reason)
{
	buf_auto struct buf why = BUF_INIT;
	buf_printf(&why, "the store cannot be written: %s; the network goes on: make room in %s, then ask again", reason,
	           v->config.state);
	if (net->plan.n_nodes) /* as agents have it */
		net->plan.generation = net->generation = net->plan.nodes[0].generation;
	txn_drop(net);
	flow_set_state(v, net, NET_ACTIVE, buf_cstr(&why));
	net->release_retry_ms = clock_ms() + RETRY_MS;
	waiters_tell(&net->gone, net, 70, buf_cstr(&why));
}

static void written_well(struct vned *v, struct network *net, enum write_kind kind)
{
	struct txn_event stored = { .type = TXN_EV_STORED };
	if (kind == WRITE_ACCEPTED && !net->over) {
		net->acknowledged = net->accepted != NULL;
		waiters_tell(&net->accepted, net, 0, "");
		flow_start(v, net);
	} else if (kind == WRITE_DECIDED || kind == WRITE_AGAIN) {
		waiters_tell(&net->accepted, net, 0, ""); /* of an update: it will be */
		flow_event(v, net, &stored);
	}
}

static void not_written(struct vned *v, struct network *net, enum write_kind kind, const char *reason)
{
	struct txn_event stored = { .type = TXN_EV_STORED };
	log_warn("network %s: the store cannot be written: %s", net->full, reason);
	if (kind == WRITE_ACCEPTED && !net->over)
		refuse(v, net, reason);
	else if (kind == WRITE_DECIDED && net->txn && net->txn->kind == TXN_RELEASE)
		unrelease(v, net, reason);
	else if (kind == WRITE_DECIDED)
		undecided(v, net, reason);
	else if (kind == WRITE_AGAIN)
		flow_event(v, net, &stored);
}

void flow_written(struct vned *v, struct network *net, enum write_kind kind, int code, const char *reason)
{
	if (kind == WRITE_OVER)
		over_written(v, net, code, reason);
	else if (code == 0)
		written_well(v, net, kind);
	else
		not_written(v, net, kind, reason);
}

static void end_committed(struct vned *v, struct network *net, bool behind, const char *reason)
{
	struct err err = { 0 };
	bool update = net->next != NULL;
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		net->parts[i].synced = net->txn->agents[i].state == TXN_AGENT_READY;
		net->parts[i].retry_ms = clock_ms() + RETRY_MS;
	}
	txn_drop(net);
	flow_update_end(v, net);
	flow_strip(net);
	net->degraded = behind;
	free(net->reason);
	net->reason = behind ? mem_str(reason) : NULL;
	flow_set_state(v, net, NET_ACTIVE, behind ? reason : NULL);
	/* nothing waits for this to be durable: after a restart, COMMITTING leads to the same */
	if (flow_store(v, net, WRITE_OTHER, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
	v->counters.accepted += !update;
	if (update)
		repair_capacity(v);
	if (net->request.routing == ROUTING_OSPF && !behind)
		flow_await_routing(v, net);
	else
		waiters_tell(&net->active, net, behind ? 3 : 0, reason); /* behind: it stands, but not all of it is confirmed */
}

/* An update that did not come to be: the network has gone on all the while. */
static void end_unchanged(struct vned *v, struct network *net, int code, const char *reason)
{
	buf_auto struct buf why = BUF_INIT;
	buf_printf(&why, "%s; it goes on as before", reason);
	txn_drop(net);
	flow_update_end(v, net);
	flow_strip(net);
	flow_set_state(v, net, NET_ACTIVE, buf_cstr(&why));
	history_store(v, net);
	repair_unmoved(v, net, reason);
	waiters_tell(&net->accepted, net, code, buf_cstr(&why));
	waiters_tell(&net->active, net, code, buf_cstr(&why));
}

/* It did not come to be at the first try, but was acknowledged: it is what its nodes are to have all the same, and told to each
 * until it has; what is lost is repaired as ever. Where the decision could not be stored, the try begins anew. */
static void end_acknowledged(struct vned *v, struct network *net, bool unstored, const char *reason)
{
	struct err err = { 0 };
	txn_drop(net);
	net->plan.generation = net->generation = flow_next_generation(net);
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		net->plan.nodes[i].generation = net->generation;
		net->parts[i].synced = net->parts[i].ensuring = false;
		net->parts[i].retry_ms = 0;
	}
	if (unstored) {
		flow_set_state(v, net, NET_PLANNED, reason);
		net->resume_ms = clock_ms() + RETRY_MS;
		net->give_up_ms = net->resume_ms + v->config.prepare_timeout_us / 1000;
		return;
	}
	flow_set_state(v, net, NET_ACTIVE, reason);
	if (flow_store(v, net, WRITE_OTHER, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
	v->counters.accepted++;
	health_judge(v, net);
	waiters_tell(&net->active, net, 3, reason);
}

static void end(struct vned *v, struct network *net)
{
	struct txn *t = net->txn;
	mem_auto char *reason = mem_str(t->reason);
	int code = t->code == -ECANCELED ? 1 : t->code == -ETIMEDOUT ? 3 : 70;
	if (t->phase == TXN_ABORTED && t->kind == TXN_UPDATE) {
		end_unchanged(v, net, code, reason);
	} else if (t->phase == TXN_ABORTED && net->acknowledged && !net->gone && t->code != -ECANCELED) {
		end_acknowledged(v, net, t->unstored, reason);
	} else if (t->phase == TXN_ABORTED) {
		v->counters.failed++;
		flow_set_state(v, net, NET_FAILED, reason);
		forget(v, net, code, reason);
	} else if (t->kind == TXN_RELEASE) {
		v->counters.released++;
		flow_set_state(v, net, NET_RELEASED, t->behind ? "what is left on nodes that are away goes when they return" : NULL);
		forget(v, net, 1, "released");
	} else {
		end_committed(v, net, t->behind, reason);
	}
}

void flow_event(struct vned *v, struct network *net, const struct txn_event *event)
{
	if (!net->txn)
		return;
	struct txn_out out = { 0 };
	bool over = false, wants_decision = false;
	txn_step(net->txn, event, clock_ms(), &out);
	for (size_t i = 0; i < out.n; i++) {
		switch (out.v[i].type) {
		case TXN_ACT_PREPARE:
			agents_command(v, net, out.v[i].agent, COMMAND_PREPARE);
			break;
		case TXN_ACT_COMMIT:
			agents_command(v, net, out.v[i].agent, COMMAND_COMMIT);
			break;
		case TXN_ACT_ABORT:
			agents_command(v, net, out.v[i].agent, COMMAND_ABORT);
			break;
		case TXN_ACT_ENSURE:
			agents_command(v, net, out.v[i].agent, COMMAND_ENSURE);
			break;
		case TXN_ACT_DECIDE:
			wants_decision = true;
			break;
		case TXN_ACT_END:
			over = true;
			break;
		}
	}
	free(out.v);
	/* last, because either may lead back here or free the network */
	if (over)
		end(v, net);
	else if (wants_decision)
		decide(v, net);
}

/* ---- from outside --------------------------------------------------------------------------- */

int flow_accept(struct vned *v, struct network *net, struct err *err)
{
	net->state = NET_PLANNED;
	net->submitted_ms = net->changed_ms = (uint64_t)clock_wall_ms();
	if (net->request.lifetime_us >= 0)
		net->expires_ms = net->submitted_ms + (uint64_t)(net->request.lifetime_us / 1000);
	int r = networks_add(v, net, err);
	if (r < 0) {
		network_free(net);
		return r;
	}
	history_add(net, NET_PLANNED, net->owner, "submitted");
	r = flow_store(v, net, WRITE_ACCEPTED, err);
	if (r < 0) {
		networks_remove(v, net);
		return r;
	}
	events_publish(v->events, "network", net->full, "state %s", net_state_names[NET_PLANNED]);
	return 0;
}

static void release_begin(struct vned *v, struct network *net)
{
	struct txn_event start = { .type = TXN_EV_START };
	txn_drop(net);
	flow_update_end(v, net); /* one whose nodes have not all removed what was replaced; parts of all of them are there still */
	net->plan.generation = net->generation = flow_next_generation(net);
	flow_txn_begin(v, net, TXN_RELEASE);
	flow_event(v, net, &start);
}

void flow_release(struct vned *v, struct network *net, const char *who, const char *why)
{
	if (net->over || (net->txn && net->txn->kind == TXN_RELEASE))
		return;
	log_info("network %s: release: %s", net->full, why);
	free(net->asked_by);
	free(net->asked_why);
	net->asked_by = mem_str(who);
	net->asked_why = mem_str(why);
	if (net->state == NET_PLANNED && !net->txn) {
		/* not begun: nothing stands anywhere */
		flow_set_state(v, net, NET_RELEASED, why);
		forget(v, net, 1, why);
		return;
	}
	if (net->txn && !txn_decided(net->txn) && net->txn->phase != TXN_DECIDING) {
		struct txn_event cancel = { .type = TXN_EV_CANCEL };
		flow_event(v, net, &cancel);
		return;
	}
	if (net->txn && net->txn->phase == TXN_DECIDING)
		return; /* flow_tick takes it up again: somebody waits for it to be gone */
	waiters_tell(&net->active, net, 1, why);
	release_begin(v, net);
}

/* ---- time, and agents that come and go ---------------------------------------------------------- */

void flow_overtake(struct vned *v, struct network *net, uint32_t seen)
{
	struct err err = { 0 };
	log_warn("network %s: an agent holds generation %u, ours was %u: going beyond; was the store restored?", net->full, seen,
	         net->generation);
	net->plan.generation = net->generation = seen + 1;
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		net->plan.nodes[i].generation = net->generation;
		net->parts[i].synced = false;
		net->parts[i].retry_ms = 0;
	}
	/* not waited for: after a crash the next start finds the lower one and learns the same way */
	if (flow_store(v, net, WRITE_OTHER, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
}

/* PLANNED before a restart: on, as soon as its agents are back. */
static void resume(struct vned *v, struct network *net)
{
	bool all = true;
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		all = all && agents_reachable(v, net->plan.snode[i]);
	if (clock_ms() < (all ? net->resume_ms : net->give_up_ms))
		return;
	net->give_up_ms = 0;
	flow_start(v, net);
}

static void tick_network(struct vned *v, struct network *net)
{
	if (net->over) {
		if (net->over_retry_ms && clock_ms() >= net->over_retry_ms)
			flow_store_over(v, net);
	} else if (net->give_up_ms) {
		resume(v, net);
	} else if (net->txn) {
		struct txn_event tick = { .type = TXN_EV_TICK };
		flow_tell_built(v, net);
		flow_event(v, net, &tick);
	} else if (net->gone) {
		release_begin(v, net); /* asked for while the decision was on its way to disk */
	} else if (network_committed(net)) {
		health_repair(v, net);
		health_judge(v, net);
	}
}

void flow_tick(struct vned *v)
{
	uint64_t wall = (uint64_t)clock_wall_ms();
	size_t n = v->n_networks;
	uint32_t *ids = mem_array(n ? n : 1, sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		ids[i] = v->networks[i]->id;
	for (size_t i = 0; i < n; i++) {
		struct network *net = networks_find(v, ids[i]);
		if (net)
			tick_network(v, net);
		net = networks_find(v, ids[i]);
		if (net && net->expires_ms && wall >= net->expires_ms && clock_ms() >= net->release_retry_ms)
			flow_release(v, net, "vned", "its lifetime is over");
	}
	free(ids);
}

void flow_agent_changed(struct vned *v, struct agent *agent)
{
	struct txn_event event = { .type = agent->connected ? TXN_EV_UP : TXN_EV_DOWN };
	size_t n = v->n_networks;
	uint32_t *ids = mem_array(n ? n : 1, sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		ids[i] = v->networks[i]->id;
	for (size_t i = 0; i < n; i++) {
		struct network *net = networks_find(v, ids[i]);
		size_t part = net ? network_part(net, agent->snode) : SIZE_MAX;
		if (part == SIZE_MAX || net->over)
			continue;
		event.agent = part;
		if (!agent->connected)
			net->parts[part].ensuring = false;
		if (net->txn)
			flow_event(v, net, &event);
		else if (net->give_up_ms)
			resume(v, net);
		else
			health_judge(v, net);
	}
	free(ids);
}

/* Whoever waits is told that no answer will come from this run. */
void flow_stop(struct vned *v)
{
	static const char why[] = "vned is stopping; ask again once it is back";
	for (size_t i = 0; i < v->n_networks; i++) {
		struct network *net = v->networks[i];
		waiters_tell(&net->accepted, net, 3, why);
		waiters_tell(&net->active, net, 3, why);
		waiters_tell(&net->gone, net, 3, why);
	}
}
