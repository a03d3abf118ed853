/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Repair and drain: networks that use what is lost, or a node that is to be empty, are embedded anew, only what they lose moving, and
 * go over to that as in any update. The most valuable (revenue × priority) first; one that fits nowhere stays as it is, with
 * the reason, and is tried again when there is more room. A node that comes back finds what is not wanted there any more, and
 * removes it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum { AT_ONCE = 4, AGAIN_MS = 5000, PATIENCE_MS = 60000, UNCONFIRMED_MS = 10000, LEFT_SHOWN = 8 };
#define HASTE_S 0.5
#define DRAIN_PREFIX "drain/"

struct drain { /* somebody waits for a node to be empty */
	struct drain *next;
	struct vned *v;
	struct peer peer;
	uint64_t reply_to;
	uint32_t snode;
	bool undrain, stored, gone;
	int64_t begun_ms;
};

struct repairs {
	struct repair *first; /* questions that are not answered */
	size_t solving;
	uint64_t room; /* grows whenever there is more */
	uint64_t lost; /* which nodes are, as last looked at */
	bool wake;
	struct drain *drains;
};

struct repair { /* a question to the solver */
	struct repair *next;
	struct vned *v;
	bool hasty;
	uint32_t net, generation;
	uint64_t room, substrate;
};

void repair_init(struct vned *v)
{
	v->repairs = mem_alloc(sizeof(*v->repairs));
}

void repair_done(struct vned *v)
{
	while (v->repairs && v->repairs->drains) {
		struct drain *next = v->repairs->drains->next;
		free(v->repairs->drains);
		v->repairs->drains = next;
	}
	while (v->repairs && v->repairs->first) {
		struct repair *next = v->repairs->first->next;
		free(v->repairs->first);
		v->repairs->first = next;
	}
	free(v->repairs);
	v->repairs = NULL;
}

void repair_wake(struct vned *v)
{
	v->repairs->wake = true;
	v->repairs->room++; /* what is lost may be another thing now */
}

void repair_capacity(struct vned *v)
{
	if (v->repairs)
		v->repairs->room++;
}

/* ---- one network ------------------------------------------------------------------------------------- */

static void offer_to(struct vned *v, const struct network *net, struct offer *ret)
{
	struct residual left;
	residual_copy(&v->left, &left);
	residual_give(&left, &net->request, &net->embedding);
	offer_make(v, &net->request, net->owner, &left, ret);
	residual_done(&left);
}

static void stuck(struct vned *v, struct network *net, uint64_t room, const char *why)
{
	bool same = net->stuck && !strcmp(net->stuck, why);
	net->repair_room = room;
	net->repair_ms = clock_ms() + PATIENCE_MS; /* a busy machine may be why nothing was found in time */
	if (same)
		return;
	free(net->stuck);
	net->stuck = mem_str(why);
	log_warn("network %s: cannot be moved: %s", net->full, why);
	events_publish(v->events, "network", net->full, "cannot be moved: %s", why);
	health_judge(v, net);
}

void repair_unmoved(struct vned *v, struct network *net, const char *why)
{
	repair_capacity(v); /* what it would have taken beside what it has */
	net->repair_rest_ms = clock_ms() + AGAIN_MS;
	if (!strcmp(net->asked_by, "vned") && update_is_due(v, net, NULL))
		stuck(v, net, v->repairs->room, why);
}

static void move(struct vned *v, struct network *net, struct solution *solution, uint64_t room)
{
	struct err err = { 0 };
	struct offer offer;
	buf_auto struct buf why = BUF_INIT;
	offer_to(v, net, &offer);
	embedding_choose_kinds(&solution->embedding, &offer.substrate, &net->request);
	int r = embedding_check(&offer.substrate, &offer.left, &net->request, &solution->embedding, &err);
	offer_done(&offer);
	if (r < 0)
		return; /* what was free when the solver began has been taken meanwhile: tried again soon */
	struct network *to = update_make(v, net->owner, &net->request, solution, net, &err);
	if (!to) {
		stuck(v, net, room, err.text);
		return;
	}
	to->expires_ms = net->expires_ms;
	(void)update_is_due(v, net, &why);
	free(net->stuck);
	net->stuck = NULL;
	mem_auto char *text = mem_printf("%s%s", why.len ? "repair: " : "it is drained", buf_cstr(&why));
	if (flow_update(v, net, to, "vned", text, &err) < 0)
		log_warn("network %s: %s", net->full, err.text); /* tried again */
}

static void ask(struct vned *v, struct network *net, bool hasty);

static void answered(void *arg, int failed, struct solution *solution)
{
	struct repair q = *(struct repair *)arg;
	struct vned *v = q.v;
	struct repair **link = &v->repairs->first;
	while (*link != arg)
		link = &(*link)->next;
	*link = q.next;
	free(arg);
	v->repairs->solving--;
	struct network *net = networks_find(v, q.net);
	v->counters.solves++;
	v->counters.solve_seconds += solution->seconds;
	if (!net)
		return;
	net->solving = false;
	struct err err;
	if (q.substrate != v->substrate_version || net->generation != q.generation || flow_settled(v, net, &err) < 0 || !update_is_due(v, net, NULL))
		return;
	if (q.hasty && !solution->has_embedding && (failed < 0 || solution->status == SOLVE_UNKNOWN))
		ask(v, net, false);
	else if (failed < 0 || !solution->has_embedding)
		stuck(v, net, q.room, solution->reason[0] ? solution->reason : "no embedding was found in time");
	else
		move(v, net, solution, q.room);
}

/* hasty: what is found soon is better than what is best, since its users wait; only where nothing is, it is looked for as long as ever. */
static void ask(struct vned *v, struct network *net, bool hasty)
{
	struct err err = { 0 };
	struct offer offer;
	struct repair *q = mem_alloc(sizeof(*q));
	*q = (struct repair){ v->repairs->first, v, hasty, net->id, net->generation, v->repairs->room, v->substrate_version };
	net->repair_ms = clock_ms() + AGAIN_MS;
	net->repair_room = v->repairs->room;
	offer_to(v, net, &offer);
	struct worker_job job = { .substrate = offer.substrate, .left = offer.left, .request = net->request,
		                      .time_limit_s = (double)v->config.time_limit_us / 1e6, .seed = 1 };
	if (hasty && job.time_limit_s > HASTE_S)
		job.time_limit_s = HASTE_S;
	snprintf(job.solver, sizeof(job.solver), "%s", v->config.solver);
	update_now(v, net, &net->request, &job.now);
	int r = solve_submit(v->pool, &job, offer.version, false, answered, q, &err);
	offer_done(&offer);
	embedding_done(&job.now);
	if (r < 0) {
		free(q);
		return;
	}
	v->repairs->first = q;
	net->solving = true;
	v->repairs->solving++;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static double value(const struct network *net)
{
	return net->revenue * ((double)net->request.priority_micro / 1e6);
}

static int by_value(const void *a, const void *b)
{
	const struct network *x = *(struct network *const *)a, *y = *(struct network *const *)b;
	return value(x) != value(y) ? (value(x) > value(y) ? -1 : 1) : x->id < y->id ? -1 : x->id > y->id;
}

static bool eligible(struct vned *v, struct network *net)
{
	struct err ignored;
	bool again = clock_ms() >= net->repair_rest_ms && (net->repair_room != v->repairs->room || clock_ms() >= net->repair_ms);
	return !net->solving && again && flow_settled(v, net, &ignored) == 0 && update_is_due(v, net, NULL) && !update_awaits_agent(v, net);
}

static void recovered(struct vned *v, struct network *net)
{
	if (!net->stuck || net->solving || update_is_due(v, net, NULL))
		return;
	free(net->stuck);
	net->stuck = NULL;
}

static void judge_all(struct vned *v)
{
	for (size_t i = 0; i < v->n_networks; i++) {
		struct network *net = v->networks[i];
		if (!net->txn && !net->over && !net->give_up_ms && network_committed(net))
			health_judge(v, net);
	}
}

static void tell_drains(struct vned *v);

/* A node is lost by the clock alone, when its agent has been silent for long enough. */
static void look_at_nodes(struct vned *v)
{
	uint64_t lost = 0;
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++)
		if (failures_node(v, i, NULL))
			lost = (lost ^ (i + 1)) * UINT64_C(0x100000001b3);
	if (lost != v->repairs->lost)
		repair_wake(v);
	v->repairs->lost = lost;
}

void repair_tick(struct vned *v)
{
	size_t n = 0;
	look_at_nodes(v);
	if (v->repairs->wake)
		judge_all(v); /* who is concerned is told before anything is done about it */
	v->repairs->wake = false;
	struct network **due = mem_array(v->n_networks + 1, sizeof(struct network *));
	for (size_t i = 0; i < v->n_networks; i++) {
		recovered(v, v->networks[i]);
		if (eligible(v, v->networks[i]))
			due[n++] = v->networks[i];
	}
	if (n)
		qsort(due, n, sizeof(struct network *), by_value);
	for (size_t i = 0; i < n && v->repairs->solving < AT_ONCE; i++)
		ask(v, due[i], true);
	free(due);
	substrate_tick(v);
	tell_drains(v);
}

/* ---- drain -------------------------------------------------------------------------------------------- */

/* Why it stays on a node that is to be empty; NULL: something is under way that may yet move it. */
static const char *why_left(const struct vned *v, const struct drain *d, const struct network *net, struct err *err)
{
	if (net->solving || net->txn || net->over)
		return NULL;
	if (net->stuck && net->repair_room == v->repairs->room)
		return net->stuck;
	if (clock_ms() - d->begun_ms > UNCONFIRMED_MS && flow_settled(v, net, err) == -ESTALE)
		return err->text;
	return NULL;
}

/* True: answered. */
static bool tell_drain(struct vned *v, struct drain *d)
{
	buf_auto struct buf left = BUF_INIT;
	size_t n = 0;
	if (!d->stored)
		return false;
	if (d->gone) {
		api_reply(v, &d->peer, d->reply_to, 0, "");
		return true;
	}
	const char *node = v->substrate.nodes[d->snode].name;
	if (!failures_drained(v, d->snode)) {
		api_reply(v, &d->peer, d->reply_to, 1, "undrained meanwhile");
		return true;
	}
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct network *net = v->networks[i];
		if (network_part(net, d->snode) == SIZE_MAX)
			continue;
		struct err err = { 0 };
		const char *reason = why_left(v, d, net, &err);
		if (!reason)
			return false;
		if (n++ < LEFT_SHOWN)
			buf_printf(&left, "\n  %s: %s", net->full, reason);
	}
	if (n == 0) {
		events_publish(v->events, "node", node, "drained");
		api_reply(v, &d->peer, d->reply_to, 0, "");
		return true;
	}
	mem_auto char *why = mem_printf("node %s: %zu network%s could not move; nothing new is placed there, and they are tried again when there is room:%s%s",
	                                node, n, n == 1 ? "" : "s", buf_cstr(&left), n > LEFT_SHOWN ? "\n  …" : "");
	api_reply(v, &d->peer, d->reply_to, 1, why);
	return true;
}

static void tell_drains(struct vned *v)
{
	for (struct drain **link = &v->repairs->drains, *d; (d = *link);) {
		if (!tell_drain(v, d)) {
			link = &d->next;
			continue;
		}
		*link = d->next;
		free(d);
	}
}

static void drain_forget(struct vned *v, struct drain *d)
{
	struct drain **link = &v->repairs->drains;
	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
	free(d);
}

static bool is_stored(const struct vned *v, uint32_t snode)
{
	char key[STORE_KEY_MAX + 1];
	size_t len;
	snprintf(key, sizeof(key), DRAIN_PREFIX "%s", v->substrate.nodes[snode].name);
	return v->store->driver->get(v->store, key, &len) != NULL;
}

static void drain_stored(void *arg, int code, const char *reason)
{
	struct drain *d = arg;
	struct vned *v = d->v;
	if (code < 0) {
		if (!d->gone)
			failures_drain(v, d->snode, is_stored(v, d->snode)); /* as it was */
		mem_auto char *why = mem_printf("the store cannot be written: %s; nothing is changed: make room in %s, then ask again", reason, v->config.state);
		api_reply(v, &d->peer, d->reply_to, 70, why);
		drain_forget(v, d);
		return;
	}
	if (!d->gone)
		events_publish(v->events, "node", v->substrate.nodes[d->snode].name, d->undrain ? "undrained" : "is being drained");
	d->stored = true;
	repair_wake(v);
	if (!d->undrain)
		return;
	api_reply(v, &d->peer, d->reply_to, 0, "");
	drain_forget(v, d);
}

void repair_drain(struct vned *v, const struct peer *peer, const struct message *m)
{
	struct err err = { 0 };
	char key[STORE_KEY_MAX + 1];
	size_t snode = hash_index(v->substrate.node_index, m->u.drain.node);
	if (peer->role != ROLE_ADMIN) {
		api_reply(v, peer, m->sequence, 1, "nodes are drained by their operator: role admin");
		return;
	}
	if (snode == SIZE_MAX) {
		mem_auto char *why = mem_printf("the substrate has no node %s", m->u.drain.node);
		api_reply(v, peer, m->sequence, 1, why);
		return;
	}
	if (m->u.drain.undrain && failures_node_leaves(v, (uint32_t)snode)) {
		mem_auto char *why = mem_printf("the substrate's file has no node %s any more: put it back and reload first", m->u.drain.node);
		api_reply(v, peer, m->sequence, 1, why);
		return;
	}
	struct drain *d = mem_alloc(sizeof(*d));
	*d = (struct drain){ v->repairs->drains, v, *peer, m->sequence, (uint32_t)snode, m->u.drain.undrain, false, false, clock_ms() };
	v->repairs->drains = d;
	failures_drain(v, d->snode, !d->undrain);
	snprintf(key, sizeof(key), DRAIN_PREFIX "%s", m->u.drain.node);
	struct store_op op = { key, d->undrain ? NULL : peer->identity, d->undrain ? 0 : strlen(peer->identity) };
	if (v->store->driver->batch(v->store, v->store->driver->revision(v->store), &op, 1, drain_stored, d, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
}

static void load_one(void *arg, const char *key, const void *value, size_t len)
{
	struct vned *v = arg;
	size_t snode = hash_index(v->substrate.node_index, key + strlen(DRAIN_PREFIX));
	(void)value;
	(void)len;
	if (snode != SIZE_MAX)
		failures_drain(v, (uint32_t)snode, true);
}

void repair_load(struct vned *v)
{
	v->store->driver->each(v->store, DRAIN_PREFIX, load_one, v);
}

void repair_move(struct vned *v, const uint32_t *nodes)
{
	for (struct drain *d = v->repairs->drains; d; d = d->next) {
		d->gone |= !d->gone && nodes[d->snode] == UINT32_MAX; /* it is empty, and no more */
		d->snode = d->gone ? UINT32_MAX : nodes[d->snode];
	}
}
