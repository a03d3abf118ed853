/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a client may ask, and the answers. Every question ends with a REPLY that carries the exit
 * code; what it asked for comes before, in messages with `more`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum { FOLLOWERS_MAX = 256, KNOCK_MS = 5000 };

struct follower {
	struct follower *next;
	struct peer peer;
	uint64_t reply_to;
};

void api_send(struct vned *v, const struct peer *peer, struct message *m)
{
	struct err err = { 0 };
	m->term = v->term;
	if (wire_send(v->wire, peer, m, &err) < 0)
		log_debug("%s from %s: %s", peer->identity, peer->address, err.text);
	message_done(m);
}

void api_reply(struct vned *v, const struct peer *peer, uint64_t reply_to, int code, const char *text)
{
	struct message m = { .type = MSG_REPLY, .reply_to = reply_to, .u.reply = { .code = code, .text = mem_str(text) } };
	audit_end(v, peer, reply_to, code, text);
	api_send(v, peer, &m);
}

/* ---- lists -------------------------------------------------------------------------------- */

static void list(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct message m = { .type = MSG_NETWORKS, .reply_to = q->sequence, .more = true };
	m.u.networks.v = mem_array(v->n_networks ? v->n_networks : 1, sizeof(*m.u.networks.v));
	for (size_t i = 0; i < v->n_networks; i++) {
		if (network_visible(peer, v->networks[i]))
			view_network(v, v->networks[i], false, &m.u.networks.v[m.u.networks.n++]);
	}
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

static void show(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct network *net;
	if (networks_resolve(v, peer, q->u.name.name, &net, &err) < 0) {
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	struct message m = { .type = MSG_NETWORKS, .reply_to = q->sequence, .more = true };
	m.u.networks.v = mem_array(1, sizeof(*m.u.networks.v));
	m.u.networks.n = 1;
	view_network(v, net, true, &m.u.networks.v[0]);
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

static void history(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct message m = { .type = MSG_HISTORY_LIST, .reply_to = q->sequence, .more = true };
	if (history_find(v, peer, q->u.name.name, &m.u.history.v, &m.u.history.n, &err) < 0) {
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

static void nodes(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct message m = { .type = MSG_NODE_LIST, .reply_to = q->sequence, .more = true };
	m.u.nodes.n = v->substrate.n_nodes;
	m.u.nodes.v = mem_array(m.u.nodes.n, sizeof(*m.u.nodes.v));
	for (size_t i = 0; i < m.u.nodes.n; i++) {
		view_node(v, (uint32_t)i, &m.u.nodes.v[i]);
		rights_hide_node(v, peer, (uint32_t)i, &m.u.nodes.v[i]);
	}
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

static void links(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct message m = { .type = MSG_LINK_LIST, .reply_to = q->sequence, .more = true };
	m.u.links.n = v->substrate.n_links;
	m.u.links.v = mem_array(m.u.links.n ? m.u.links.n : 1, sizeof(*m.u.links.v));
	for (size_t i = 0; i < m.u.links.n; i++) {
		view_slink(v, (uint32_t)i, &m.u.links.v[i]);
		rights_hide_slink(peer, &m.u.links.v[i]);
	}
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

static void series(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct message m = { .type = MSG_SERIES_DATA, .reply_to = q->sequence, .more = true };
	if (samples_find(v, peer, q->u.series.of, q->u.series.span_us, &m.u.series_data, &err) < 0) {
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

/* ---- events ------------------------------------------------------------------------------- */

/* A tenant is told of its own networks and of nothing else. */
static bool event_visible(const struct peer *peer, const struct event_view *e)
{
	size_t len = strlen(peer->identity);
	return peer->role != ROLE_TENANT || (strncmp(e->object, peer->identity, len) == 0 && e->object[len] == '/');
}

static void events(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct event_view *all;
	size_t n;
	events_since(v->events, q->u.events.since, &all, &n);
	struct message m = { .type = MSG_EVENT_LIST, .reply_to = q->sequence, .more = true, .u.events_list = { all, 0 } };
	for (size_t i = 0; i < n; i++) {
		struct event_view e = all[i];
		if (event_visible(peer, &e))
			all[m.u.events_list.n++] = e;
		else
			event_view_done(&e);
	}
	api_send(v, peer, &m);
	if (!q->u.events.follow) {
		api_reply(v, peer, q->sequence, 0, "");
		return;
	}
	size_t followers = 0;
	for (struct follower *f = v->followers; f; f = f->next)
		followers++;
	if (followers >= FOLLOWERS_MAX) {
		api_reply(v, peer, q->sequence, 1, "too many are following events already");
		return;
	}
	struct follower *f = mem_alloc(sizeof(*f));
	*f = (struct follower){ v->followers, *peer, q->sequence };
	v->followers = f;
}

/* Whoever is gone or does not read is dropped: it can ask again, from the last it has seen. */
void api_event(void *vned, const struct event_view *event)
{
	struct vned *v = vned;
	struct err err;
	for (struct follower **link = &v->followers; *link;) {
		struct follower *f = *link;
		struct event_view copy = *event; /* borrowed: wire_send packs it */
		struct message m = { .type = MSG_EVENT_LIST, .reply_to = f->reply_to, .more = true, .term = v->term,
			                 .u.events_list = { &copy, 1 } };
		if (event_visible(&f->peer, event) && wire_send(v->wire, &f->peer, &m, &err) < 0) {
			*link = f->next;
			free(f);
		} else {
			link = &f->next;
		}
	}
}

/* Where nothing happens, nothing shows that a follower has gone: it is knocked at. */
void api_tick(struct vned *v)
{
	if (clock_ms() < v->knock_ms)
		return;
	v->knock_ms = clock_ms() + KNOCK_MS;
	for (struct follower **link = &v->followers; *link;) {
		struct follower *f = *link;
		struct err err;
		struct message m = { .type = MSG_HEARTBEAT, .reply_to = f->reply_to, .more = true, .term = v->term };
		if (wire_send(v->wire, &f->peer, &m, &err) == -EHOSTUNREACH) {
			*link = f->next;
			free(f);
		} else {
			link = &f->next;
		}
	}
}

void api_recheck(struct vned *v)
{
	for (struct follower **link = &v->followers; *link;) {
		struct follower *f = *link;
		if (wire_peer_allowed(v->wire, &f->peer)) {
			link = &f->next;
			continue;
		}
		wire_cut(v->wire, &f->peer);
		*link = f->next;
		free(f);
	}
}

void api_done(struct vned *v)
{
	while (v->followers) {
		struct follower *next = v->followers->next;
		free(v->followers);
		v->followers = next;
	}
}

/* ---- release ------------------------------------------------------------------------------- */

struct releasing {
	struct vned *v;
	struct peer peer;
	uint64_t reply_to;
};

static void released(void *arg, struct network *net, int code, const char *reason)
{
	(void)net;
	struct releasing *r = arg;
	api_reply(r->v, &r->peer, r->reply_to, code, reason);
	free(r);
}

static void release(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct network *net;
	if (networks_resolve(v, peer, q->u.name.name, &net, &err) < 0) {
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	struct releasing *r = mem_alloc(sizeof(*r));
	*r = (struct releasing){ v, *peer, q->sequence };
	waiter_add(&net->gone, released, r);
	mem_auto char *why = mem_printf("asked for by %s", peer->identity);
	flow_release(v, net, peer->identity, why);
}

static void reload(struct vned *v, const struct peer *peer, const struct message *q)
{
	buf_auto struct buf out = BUF_INIT;
	int r = vned_reload(v, &out);
	api_reply(v, peer, q->sequence, r < 0 ? 2 : 0, buf_cstr(&out));
}

void api_message(struct vned *v, const struct peer *peer, struct message *m)
{
	if (!rights_admit(v, peer, m))
		return;
	switch (m->type) {
	case MSG_SUBMIT:
	case MSG_PLAN:
	case MSG_UPDATE:
		submit_begin(v, peer, m);
		break;
	case MSG_RELOAD:
		reload(v, peer, m);
		break;
	case MSG_DRAIN:
		repair_drain(v, peer, m);
		break;
	case MSG_RELEASE:
		release(v, peer, m);
		break;
	case MSG_LIST:
		list(v, peer, m);
		break;
	case MSG_SHOW:
		show(v, peer, m);
		break;
	case MSG_HISTORY:
		history(v, peer, m);
		break;
	case MSG_LOG:
		audit_message(v, peer, m);
		break;
	case MSG_USAGE:
		usage_message(v, peer, m);
		break;
	case MSG_QUOTAS:
		quota_message(v, peer, m);
		break;
	case MSG_KEYS:
		keys_message(v, peer, m);
		break;
	case MSG_SERIES:
		series(v, peer, m);
		break;
	case MSG_ROUTES:
		routes_client_message(v, peer, m);
		break;
	case MSG_PLANE:
		planes_client_message(v, peer, m);
		break;
	case MSG_BACKUP:
		backup_message(v, peer, m);
		break;
	case MSG_NODES:
		nodes(v, peer, m);
		break;
	case MSG_LINKS:
		links(v, peer, m);
		break;
	case MSG_EVENTS:
		events(v, peer, m);
		break;
	case MSG_EXEC:
	case MSG_EXEC_INPUT:
	case MSG_EXEC_EXIT:
		exec_client_message(v, peer, m);
		break;
	case MSG_HEARTBEAT: {
		struct message answer = { .type = MSG_HEARTBEAT, .reply_to = m->sequence };
		api_send(v, peer, &answer);
		break;
	}
	default: {
		mem_auto char *why = mem_printf("a client does not send %s", message_type_name(m->type));
		api_reply(v, peer, m->sequence, 2, why);
	}
	}
}
