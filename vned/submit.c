/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A submitted file: its requests one after the other through admission, solver, checker and
 * planner, each onto what the earlier ones left; then each by itself through store and
 * transaction. The client gets one answer when the last outcome is known. `plan` goes the same way
 * up to the store, on a copy of the capacities. A request for a network that stands, by `update` or in
 * a plan, is embedded with the least moving, what the network has counted as free. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum {
	TRIES_MAX = 3, REQUESTS_MAX = 1000,
	CONNECTION_MAX = 64, IDENTITY_MAX = 256, /* submissions under way */
	SUBMIT_BYTES_MAX = 8 << 20,              /* reading one holds the loop */
	KNOCK_MS = 1000, NAMES_MAX = 1000
};

static const double LIMIT_LEAST_S = 0.02;

struct outcome {
	struct submission *of;
	uint32_t net; /* 0: not embedded yet */
	uint32_t generation; /* of an update: that it is to have */
	bool known;
	int code;
	struct network_view view;
};

struct submission {
	struct submission *next;
	struct vned *v;
	struct peer peer;
	uint64_t reply_to;
	bool dry, update, wait_active, waits; /* waits: for agents, after our start, or to confirm what they have */
	int64_t patience_ms;                  /* until when for the latter; 0: not begun */
	int64_t knock_ms;
	uint64_t substrate;                   /* its version when the solver was asked */
	uint32_t stands, generation;          /* the network that the request at hand is to change, as it was when the solver was asked; 0: none */
	char *network; /* of update, as the user has named it; or NULL */
	struct request *requests;
	struct outcome *outcomes;
	size_t n, at, known;
	unsigned int tries;
	struct residual dry_left; /* what `plan` has left, of the substrate of this version */
	uint64_t dry_substrate;
	struct buf text;
};

/* ---- the end ------------------------------------------------------------------------------ */

static void submission_free(struct submission *s)
{
	for (size_t i = 0; i < s->n; i++) {
		request_done(&s->requests[i]);
		network_view_done(&s->outcomes[i].view);
	}
	free(s->network);
	free(s->requests);
	free(s->outcomes);
	residual_done(&s->dry_left);
	buf_done(&s->text);
	free(s);
}

void submit_done(struct vned *v)
{
	while (v->submissions) {
		struct submission *next = v->submissions->next;
		submission_free(v->submissions);
		v->submissions = next;
	}
}

/* The first of 70, 2, 3, 4, 1 that applies. */
static int worse(int a, int b)
{
	static const int order[] = { 70, 2, 3, 4, 1, 0 };
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (a == order[i] || b == order[i])
			return order[i];
	}
	return 70;
}

static void submission_drop(struct submission *s)
{
	struct submission **link = &s->v->submissions;
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	submission_free(s);
}

static void finish(struct submission *s)
{
	struct vned *v = s->v;
	int code = 0;
	buf_auto struct buf names = BUF_INIT;
	struct message m = { .type = MSG_NETWORKS, .reply_to = s->reply_to, .more = true };
	m.u.networks.v = mem_array(s->n, sizeof(*m.u.networks.v));
	m.u.networks.n = s->n;
	for (size_t i = 0; i < s->n; i++) {
		code = worse(code, s->outcomes[i].code);
		if (names.len < NAMES_MAX)
			buf_printf(&names, "%s%s/%s", i ? " " : "", s->outcomes[i].view.owner ? s->outcomes[i].view.owner : s->peer.identity, s->requests[i].name);
		m.u.networks.v[i] = s->outcomes[i].view;
		s->outcomes[i].view = (struct network_view){ 0 };
	}
	audit_about(v, &s->peer, s->reply_to, buf_cstr(&names));
	api_send(v, &s->peer, &m);
	api_reply(v, &s->peer, s->reply_to, code, buf_cstr(&s->text));
	submission_drop(s);
}

/* One request's outcome; the submission may be gone afterwards. */
static void settle(struct submission *s, struct outcome *o, int code, const char *reason)
{
	o->known = true;
	o->code = code;
	if (code != 0 && reason && reason[0])
		buf_printf(&s->text, "%s%s: %s", s->text.len ? "\n" : "", s->requests[o - s->outcomes].name, reason);
	if (++s->known == s->n)
		finish(s);
}

/* ---- from the embedding on ------------------------------------------------------------------ */

static void next(struct submission *s);
static void make_offer(const struct submission *s, const struct network *stands, struct offer *ret);

static void reject(struct submission *s, int code, struct solution *solution, const char *reason)
{
	struct vned *v = s->v;
	struct outcome *o = &s->outcomes[s->at];
	const struct request *r = &s->requests[s->at];
	view_request(v, s->peer.identity, r, NULL, solution, &o->view);
	o->view.state = NET_REJECTED;
	free(o->view.reason);
	o->view.reason = mem_str(reason);
	if (!s->dry) {
		v->counters.rejected++;
		mem_auto char *full = mem_printf("%s/%s", s->peer.identity, r->name);
		events_publish(v->events, "network", full, s->update ? "update refused: %s" : "state rejected: %s", reason);
		log_info("network %s: %s: %s", full, s->update ? "update refused" : "rejected", reason);
	}
	s->at++;
	s->tries = 0;
	bool last = s->at == s->n;
	settle(s, o, code, reason);
	if (!last)
		next(s);
}

static void outcome_known(void *arg, struct network *net, int code, const char *reason)
{
	struct outcome *o = arg;
	if (o->known)
		return;
	network_view_done(&o->view);
	view_network(o->of->v, net, true, &o->view);
	settle(o->of, o, code, reason);
}

void submit_progress(struct vned *v, const struct network *net, const char *stage, uint32_t ready, uint32_t all)
{
	struct err err;
	for (const struct submission *s = v->submissions; s; s = s->next) {
		for (size_t i = 0; s->wait_active && i < s->n; i++) {
			if (s->outcomes[i].net != net->id || s->outcomes[i].known)
				continue;
			struct message m = { .type = MSG_PROGRESS, .term = v->term, .net = net->id, .reply_to = s->reply_to, .more = true,
				                 .u.progress = { ready, all, (char *)(uintptr_t)stage, net->full } }; /* borrowed */
			if (wire_send(v->wire, &s->peer, &m, &err) < 0)
				log_debug("%s from %s: %s", s->peer.identity, s->peer.address, err.text);
		}
	}
}

static void accept_dry(struct submission *s, struct network *net, const struct network *stands)
{
	struct outcome *o = &s->outcomes[s->at];
	if (stands)
		residual_give(&s->dry_left, &stands->request, &stands->embedding);
	residual_take(&s->dry_left, &net->request, &net->embedding);
	net->state = NET_PLANNED;
	view_network(s->v, net, true, &o->view);
	if (stands)
		update_changes(s->v, stands, net, &o->view);
	else
		o->view.id = 0;
	network_free(net);
	s->at++;
	s->tries = 0;
	bool last = s->at == s->n;
	settle(s, o, 0, "");
	if (!last)
		next(s);
}

/* The network stands in any case: as it is to be, or as it was. */
static void changed(void *arg, struct network *net, int code, const char *reason)
{
	struct outcome *o = arg;
	struct network_view view = { 0 };
	if (o->known)
		return;
	if (net) {
		view_network(o->of->v, net, true, &view);
		if (net->generation == o->generation) {
			view.changes = o->view.changes;
			view.n_changes = o->view.n_changes;
			o->view.changes = NULL;
			o->view.n_changes = 0;
		}
		network_view_done(&o->view);
		o->view = view;
	}
	settle(o->of, o, code, reason);
}

static void change(struct submission *s, struct network *stands, struct network *to)
{
	struct vned *v = s->v;
	struct err err = { 0 };
	struct outcome *o = &s->outcomes[s->at];
	to->state = NET_UPDATING;
	view_network(v, to, true, &o->view);
	update_changes(v, stands, to, &o->view);
	o->net = stands->id;
	s->at++; /* the only one: an update has one request */
	o->generation = to->generation;
	struct waiter **list = s->wait_active ? &stands->active : &stands->accepted;
	waiter_add(list, changed, o);
	int r = flow_update(v, stands, to, s->peer.identity, "updated", &err);
	if (r < 0) {
		waiters_drop(list, o);
		o->view.state = NET_REJECTED;
		settle(s, o, 1, err.text);
	}
}

static void embedded(struct submission *s, struct solution *solution)
{
	struct vned *v = s->v;
	struct err err = { 0 };
	struct outcome *o = &s->outcomes[s->at];
	uint32_t first_net = v->next_net, first_vni = v->next_vni;
	struct network *stands = s->stands ? networks_find(v, s->stands) : NULL;
	struct network *net = update_make(v, stands ? stands->owner : s->peer.identity, &s->requests[s->at], solution, stands, &err);
	if (net && quota_check(v, net->owner, &s->requests[s->at], stands, &err) < 0) { /* others have been taken while it was embedded */
		network_free(net);
		net = NULL;
	}
	if (!net) {
		reject(s, 1, solution, err.text);
		return;
	}
	if (s->dry) {
		v->next_net = first_net; /* nothing was taken */
		v->next_vni = first_vni;
		accept_dry(s, net, stands);
		return;
	}
	if (stands) {
		change(s, stands, net);
		return;
	}
	o->net = net->id;
	waiter_add(s->wait_active ? &net->active : &net->accepted, outcome_known, o);
	if (flow_accept(v, net, &err) < 0) { /* the network and its waiters are gone */
		reject(s, err.code == -EEXIST ? 1 : 70, solution, err.text);
		return;
	}
	s->tries = 0;
	if (++s->at < s->n)
		next(s);
}

static void answered(void *arg, int failed, struct solution *solution)
{
	struct submission *s = arg;
	struct vned *v = s->v;
	struct err err = { 0 };
	v->counters.solves++;
	v->counters.solve_seconds += solution->seconds;
	if (failed < 0) {
		reject(s, 70, solution, solution->reason);
		return;
	}
	struct network *stands = s->stands ? networks_find(v, s->stands) : NULL;
	if (s->substrate != v->substrate_version || (s->stands && (!stands || stands->generation != s->generation || stands->next))) {
		if (++s->tries < TRIES_MAX)
			next(s); /* it has become another meanwhile */
		else
			reject(s, 1, solution, "it, or the substrate, is changed by somebody else all the while; ask again");
		return;
	}
	if (!solution->has_embedding) {
		buf_auto struct buf why = BUF_INIT;
		buf_str(&why, solution->reason[0] ? solution->reason : "no embedding was found");
		if (solution->relax[0])
			buf_printf(&why, "; it would fit with %s", solution->relax);
		admit_explain(v, &s->requests[s->at], s->peer.identity, &why);
		reject(s, solution->status == SOLVE_UNKNOWN ? 4 : 1, solution, buf_cstr(&why));
		return;
	}
	struct offer offer;
	make_offer(s, stands, &offer);
	embedding_choose_kinds(&solution->embedding, &offer.substrate, &s->requests[s->at]);
	int r = embedding_check(&offer.substrate, &offer.left, &s->requests[s->at], &solution->embedding, &err);
	offer_done(&offer);
	if (r == 0) {
		embedded(s, solution);
	} else if (++s->tries < TRIES_MAX) {
		next(s); /* what was free when the solver began has been taken meanwhile */
	} else {
		log_error("request %s: the solver's answer is wrong: %s", s->requests[s->at].name, err.text);
		reject(s, 70, solution, err.text);
	}
}

/* ---- up to the solver ----------------------------------------------------------------------- */

static int admit(struct submission *s, struct err *err)
{
	const struct request *r = &s->requests[s->at];
	mem_auto char *full = mem_printf("%s/%s", s->peer.identity, r->name);
	struct network *stands = NULL;
	if (s->update && networks_resolve(s->v, &s->peer, s->network ? s->network : r->name, &stands, err) < 0)
		return err->code;
	if (s->dry)
		stands = hash_get(s->v->by_name, full);
	if (!s->update && !s->dry && hash_get(s->v->by_name, full))
		return err_set(err, -EEXIST, "a network %s exists already; `vnctl update` changes it; or release it first, or choose another name", full);
	if (stands && strcmp(stands->name, r->name) != 0)
		return err_set(err, -EINVAL, "the file is for a network %s, not %s: a network keeps its name", r->name, stands->name);
	if (stands && s->update && flow_settled(s->v, stands, err) < 0)
		return err->code;
	if (stands && stands->txn)
		return err_set(err, -EBUSY, "%s is %s; ask again once it is active", stands->full, net_state_names[network_shown_state(stands)]);
	s->stands = stands ? stands->id : 0;
	s->generation = stands ? stands->generation : 0;
	for (size_t i = 0; i < s->at; i++) {
		if (strcmp(s->requests[i].name, r->name) == 0 && s->outcomes[i].code == 0)
			return err_set(err, -EEXIST, "two requests of this file are named %s", r->name);
	}
	int q = quota_check(s->v, stands ? stands->owner : s->peer.identity, r, stands, err);
	return q < 0 ? q : admit_features(s->v, r, err);
}

/* Just started, the agents are on their way back to us: a request that came sooner waits for them,
 * rather than be refused for want of nodes. */
static bool agents_on_their_way(const struct vned *v)
{
	if (clock_ms() - v->started_ms >= v->config.timeout_us / 1000)
		return false;
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++)
		if (agents_down(v, i))
			return true;
	return false;
}

/* Of a network that is to be changed, some node is about to say what it has, or its agent to come back: it is waited for, though not for ever. */
static bool unconfirmed(struct submission *s)
{
	struct network *stands = NULL;
	struct err ignored;
	if (!s->update || networks_resolve(s->v, &s->peer, s->network ? s->network : s->requests[s->at].name, &stands, &ignored) < 0 ||
	    (flow_settled(s->v, stands, &ignored) == 0 && !update_awaits_agent(s->v, stands)))
		return false;
	if (!s->patience_ms)
		s->patience_ms = clock_ms() + s->v->config.prepare_timeout_us / 1000;
	return clock_ms() < s->patience_ms;
}

/* Who asked for a change that has to wait, and has gone meanwhile, may have asked for another since. */
static bool given_up(struct submission *s)
{
	struct message m = { .type = MSG_HEARTBEAT, .reply_to = s->reply_to, .more = true, .term = s->v->term };
	struct err err;
	if (!s->update || clock_ms() < s->knock_ms)
		return false;
	s->knock_ms = clock_ms() + KNOCK_MS;
	return wire_send(s->v->wire, &s->peer, &m, &err) == -EHOSTUNREACH;
}

void submit_tick(struct vned *v)
{
	for (struct submission *s = v->submissions, *after; s; s = after) {
		after = s->next;
		if (!s->waits)
			continue;
		bool goes_on = !agents_on_their_way(v) && !unconfirmed(s);
		if (goes_on)
			s->knock_ms = 0;
		if (given_up(s))
			submission_drop(s);
		else if (goes_on)
			next(s);
	}
}

/* What a network has that stands counts as free to it. */
static void make_offer(const struct submission *s, const struct network *stands, struct offer *ret)
{
	struct vned *v = s->v;
	struct residual left;
	residual_copy(s->dry ? &s->dry_left : &v->left, &left);
	if (stands)
		residual_give(&left, &stands->request, &stands->embedding);
	offer_make(v, &s->requests[s->at], stands ? stands->owner : s->peer.identity, &left, ret);
	residual_done(&left);
}

/* The more wait for the solver, the less time each has to prove that nothing is better: a burst of requests costs them some of
 * their optimality, not their turn. */
static double time_limit_s(const struct vned *v)
{
	double waiting = (double)solve_waiting(v->pool) / (double)v->config.workers, limit = (double)v->config.time_limit_us / 1e6;
	double least = limit < LIMIT_LEAST_S ? limit : LIMIT_LEAST_S;
	return limit / (1 + waiting) > least ? limit / (1 + waiting) : least;
}

/* What was planned so far was on a substrate that is no more: all of it anew. */
static void plan_anew(struct submission *s)
{
	for (size_t i = 0; i < s->n; i++) {
		network_view_done(&s->outcomes[i].view);
		s->outcomes[i] = (struct outcome){ .of = s };
	}
	s->at = s->known = 0;
	buf_done(&s->text);
	residual_done(&s->dry_left);
	residual_copy(&s->v->left, &s->dry_left);
	s->dry_substrate = s->v->substrate_version;
}

/* Hands the request at hand to the solver. */
static void next(struct submission *s)
{
	struct vned *v = s->v;
	struct err err = { 0 };
	if (s->dry && s->dry_substrate != v->substrate_version)
		plan_anew(s);
	s->waits = agents_on_their_way(v) || unconfirmed(s);
	if (s->waits)
		return;
	if (admit(s, &err) < 0) {
		reject(s, 1, NULL, err.text);
		return;
	}
	const struct network *stands = s->stands ? networks_find(v, s->stands) : NULL;
	s->substrate = v->substrate_version;
	struct offer offer;
	make_offer(s, stands, &offer);
	struct worker_job job = { .substrate = offer.substrate, .left = offer.left, .request = s->requests[s->at],
		                      .time_limit_s = time_limit_s(v), .seed = 1 };
	snprintf(job.solver, sizeof(job.solver), "%s", v->config.solver);
	if (stands)
		update_now(v, stands, &s->requests[s->at], &job.now);
	/* again, because others took what was free when it began to wait: not to wait anew, while still others do the same */
	int r = solve_submit(v->pool, &job, offer.version, s->tries > 0, answered, s, &err);
	offer_done(&offer);
	embedding_done(&job.now);
	if (r < 0)
		reject(s, 3, NULL, err.text);
}

/* What is asked for beyond any honest use is answered before it is read; false: answered. */
static bool within_limits(struct vned *v, const struct peer *peer, const struct message *m)
{
	size_t connection = 0, identity = 0;
	for (const struct submission *s = v->submissions; s; s = s->next) {
		connection += peer_same(&s->peer, peer);
		identity += strcmp(s->peer.identity, peer->identity) == 0;
	}
	if (connection >= CONNECTION_MAX || identity >= IDENTITY_MAX) {
		mem_auto char *why = mem_printf("too many requests at once: %zu of %s are under way; wait for their answers, then ask "
		                                "again", connection >= CONNECTION_MAX ? connection : identity, peer->identity);
		api_reply(v, peer, m->sequence, 3, why);
		return false;
	}
	if (m->u.submit.len > SUBMIT_BYTES_MAX) {
		mem_auto char *why = mem_printf("%s: %zu bytes are more than the 8 MiB that are taken at once; split it into several "
		                                "files", m->u.submit.file[0] ? m->u.submit.file : "request", m->u.submit.len);
		api_reply(v, peer, m->sequence, 2, why);
		return false;
	}
	return true;
}

void submit_begin(struct vned *v, const struct peer *peer, struct message *m)
{
	bool dry = m->type == MSG_PLAN, update = m->type == MSG_UPDATE;
	struct err err = { 0 };
	if (!within_limits(v, peer, m))
		return;
	struct yaml_errors errors = { .file = m->u.submit.file[0] ? m->u.submit.file : "request" };
	struct request *requests = NULL;
	size_t n = 0;
	int r = request_parse(m->u.submit.text, m->u.submit.len, false, &errors, &requests, &n, &err);
	if (r < 0 || n == 0 || n > REQUESTS_MAX || (update && n > 1)) {
		const char *why = errors.n ? buf_cstr(&errors.text) : r < 0 ? err.text :
		                  n == 0   ? "there is no request in it" :
		                  update ? "an update is of one network; the file has several requests" : "more than 1000 requests in one file";
		api_reply(v, peer, m->sequence, 2, why);
		for (size_t i = 0; r == 0 && i < n; i++)
			request_done(&requests[i]);
		if (r == 0)
			free(requests);
		yaml_errors_done(&errors);
		return;
	}
	yaml_errors_done(&errors);
	struct submission *s = mem_alloc(sizeof(*s));
	*s = (struct submission){ .v = v, .peer = *peer, .reply_to = m->sequence, .dry = dry, .update = update,
		                      .network = update && m->u.submit.network && m->u.submit.network[0] ? mem_str(m->u.submit.network) : NULL,
		                      .wait_active = m->u.submit.wait_active, .requests = requests, .n = n };
	s->outcomes = mem_array(n, sizeof(*s->outcomes));
	for (size_t i = 0; i < n; i++)
		s->outcomes[i].of = s;
	if (dry)
		residual_copy(&v->left, &s->dry_left);
	s->dry_substrate = v->substrate_version;
	struct submission **last = &v->submissions; /* those that wait go on in the order in which they came */
	while (*last)
		last = &(*last)->next;
	*last = s;
	next(s);
}
