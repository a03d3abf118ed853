/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A submitted file: its requests one after the other through admission, solver, checker and
 * planner, each onto what the earlier ones left; then each by itself through store and
 * transaction. The client gets one answer when the last outcome is known. `plan` goes the same way
 * up to the store, on a copy of the capacities. */
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
	SUBMIT_BYTES_MAX = 8 << 20               /* reading one holds the loop */
};

struct outcome {
	struct submission *of;
	uint32_t net; /* 0: not embedded yet */
	bool known;
	int code;
	struct network_view view;
};

struct submission {
	struct submission *next;
	struct vned *v;
	struct peer peer;
	uint64_t reply_to;
	bool dry, wait_active, waits; /* waits: for agents, after our start */
	struct request *requests;
	struct outcome *outcomes;
	size_t n, at, known;
	unsigned int tries;
	struct residual dry_left; /* what `plan` has left */
	struct buf text;
};

/* ---- the end ------------------------------------------------------------------------------ */

static void submission_free(struct submission *s)
{
	for (size_t i = 0; i < s->n; i++) {
		request_done(&s->requests[i]);
		network_view_done(&s->outcomes[i].view);
	}
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

static void finish(struct submission *s)
{
	struct vned *v = s->v;
	int code = 0;
	struct message m = { .type = MSG_NETWORKS, .reply_to = s->reply_to, .more = true };
	m.u.networks.v = mem_array(s->n, sizeof(*m.u.networks.v));
	m.u.networks.n = s->n;
	for (size_t i = 0; i < s->n; i++) {
		code = worse(code, s->outcomes[i].code);
		m.u.networks.v[i] = s->outcomes[i].view;
		s->outcomes[i].view = (struct network_view){ 0 };
	}
	api_send(v, &s->peer, &m);
	api_reply(v, &s->peer, s->reply_to, code, buf_cstr(&s->text));
	struct submission **link = &v->submissions;
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	submission_free(s);
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
		events_publish(v->events, "network", full, "state rejected: %s", reason);
		log_info("network %s: rejected: %s", full, reason);
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

static struct network *make_network(struct submission *s, struct solution *solution, struct err *err)
{
	struct vned *v = s->v;
	const struct request *r = &s->requests[s->at];
	struct network *net = network_new(s->peer.identity, r, err);
	if (!net)
		return NULL;
	net->embedding = solution->embedding;
	solution->embedding = (struct embedding){ 0 };
	solution->has_embedding = false;
	net->id = networks_take_id(v);
	net->generation = 1;
	net->cost = solution->cost;
	net->bound = solution->has_bound ? solution->bound : -1;
	net->revenue = nano_to_units(request_revenue_nano(r));
	net->solve_seconds = solution->seconds;
	snprintf(net->solver, sizeof(net->solver), "%s", solution->solver);
	snprintf(net->status, sizeof(net->status), "%s", solve_status_names[solution->status]);
	struct plan_input in = { .s = &v->substrate, .r = &net->request, .e = &net->embedding, .net = net->id,
		                     .generation = net->generation, .owner = net->owner,
		                     .underlay_mtu = agents_underlay_mtu, .arg = v, .vnis = networks_vni_pool(v) };
	if (plan_make(&in, &net->plan, err) < 0) {
		network_free(net);
		return NULL;
	}
	network_make_parts(net);
	return net;
}

static void accept_dry(struct submission *s, struct network *net)
{
	struct outcome *o = &s->outcomes[s->at];
	residual_take(&s->dry_left, &net->request, &net->embedding);
	net->state = NET_PLANNED;
	view_network(s->v, net, true, &o->view);
	o->view.id = 0;
	network_free(net);
	s->at++;
	s->tries = 0;
	bool last = s->at == s->n;
	settle(s, o, 0, "");
	if (!last)
		next(s);
}

static void embedded(struct submission *s, struct solution *solution)
{
	struct vned *v = s->v;
	struct err err = { 0 };
	struct outcome *o = &s->outcomes[s->at];
	uint32_t first_net = v->next_net, first_vni = v->next_vni;
	struct network *net = make_network(s, solution, &err);
	if (!net) {
		reject(s, 1, solution, err.text);
		return;
	}
	if (s->dry) {
		v->next_net = first_net; /* nothing was taken */
		v->next_vni = first_vni;
		accept_dry(s, net);
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
	offer_make(v, &s->requests[s->at], s->peer.identity, s->dry ? &s->dry_left : &v->left, &offer);
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
	if (hash_get(s->v->by_name, full))
		return err_set(err, -EEXIST, "a network %s exists already; release it first, or choose another name", full);
	for (size_t i = 0; i < s->at; i++) {
		if (strcmp(s->requests[i].name, r->name) == 0 && s->outcomes[i].code == 0)
			return err_set(err, -EEXIST, "two requests of this file are named %s", r->name);
	}
	return admit_features(s->v, r, err);
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

void submit_tick(struct vned *v)
{
	for (struct submission *s = v->submissions, *after; s; s = after) {
		after = s->next;
		if (s->waits && !agents_on_their_way(v))
			next(s);
	}
}

/* Hands the request at hand to the solver. */
static void next(struct submission *s)
{
	struct vned *v = s->v;
	struct err err = { 0 };
	s->waits = agents_on_their_way(v);
	if (s->waits)
		return;
	if (admit(s, &err) < 0) {
		reject(s, 1, NULL, err.text);
		return;
	}
	struct offer offer;
	offer_make(v, &s->requests[s->at], s->peer.identity, s->dry ? &s->dry_left : &v->left, &offer);
	struct worker_job job = { .substrate = offer.substrate, .left = offer.left, .request = s->requests[s->at],
		                      .time_limit_s = (double)v->config.time_limit_us / 1e6, .seed = 1 };
	snprintf(job.solver, sizeof(job.solver), "%s", v->config.solver);
	int r = solve_submit(v->pool, &job, answered, s, &err);
	offer_done(&offer);
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

void submit_begin(struct vned *v, const struct peer *peer, struct message *m, bool dry)
{
	struct err err = { 0 };
	if (!within_limits(v, peer, m))
		return;
	struct yaml_errors errors = { .file = m->u.submit.file[0] ? m->u.submit.file : "request" };
	struct request *requests = NULL;
	size_t n = 0;
	int r = request_parse(m->u.submit.text, m->u.submit.len, false, &errors, &requests, &n, &err);
	if (r < 0 || n == 0 || n > REQUESTS_MAX) {
		const char *why = errors.n ? buf_cstr(&errors.text) : r < 0 ? err.text :
		                  n == 0   ? "there is no request in it" : "more than 1000 requests in one file";
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
	*s = (struct submission){ .next = v->submissions, .v = v, .peer = *peer, .reply_to = m->sequence, .dry = dry,
		                      .wait_active = m->u.submit.wait_active, .requests = requests, .n = n };
	s->outcomes = mem_array(n, sizeof(*s->outcomes));
	for (size_t i = 0; i < n; i++)
		s->outcomes[i].of = s;
	if (dry)
		residual_copy(&v->left, &s->dry_left);
	v->submissions = s;
	next(s);
}
