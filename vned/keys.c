/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may connect: the allow-list, a directory that is watched, so that what an operator puts there or takes away counts within a
 * moment, on connections that stand as well; `vnctl keys` and `vnctl join`, which change it; and nodes that join by a token. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/units.h"
#include "vned/vned.h"

enum { SETTLE_MS = 50, EXPIRES_MAX_S = 30 * 86400 };

struct key_watch {
	int fd;
	struct loop_source *source, *settle;
};

/* ---- the list -------------------------------------------------------------------------------- */

int keys_reload(struct vned *v, struct buf *out)
{
	struct err err = { 0 };
	struct allow_list *fresh;
	buf_auto struct buf faults = BUF_INIT;
	if (allow_list_load(v->config.allow, &faults, &fresh, &err) < 0) {
		buf_printf(out, "the allow-list stays as it was: %s", err.text);
		return -EINVAL;
	}
	wire_set_allow(v->wire, fresh);
	allow_list_free(v->allow);
	v->allow = fresh;
	agents_recheck(v);
	exec_recheck(v);
	api_recheck(v);
	if (faults.len) {
		buf_printf(out, "the allow-list was read again, but for what is wrong there and does not count: %s", buf_cstr(&faults));
		return -EINVAL;
	}
	return 0;
}

static void settled(void *arg)
{
	struct vned *v = arg;
	buf_auto struct buf out = BUF_INIT;
	if (keys_reload(v, &out) < 0)
		log_error("%s", buf_cstr(&out));
	else
		log_debug("the allow-list was read again");
}

static void changed(void *arg, uint32_t events)
{
	struct vned *v = arg;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	(void)events;
	while (read(v->key_watch->fd, buf, sizeof(buf)) > 0)
		;
	loop_set_timer(v->key_watch->settle, SETTLE_MS, 0);
}

/* Where it cannot be watched, HUP and vnctl reload still work, and the log says so. */
int keys_watch(struct vned *v, struct err *err)
{
	struct key_watch *w = v->key_watch = mem_alloc(sizeof(*w));
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0 || inotify_add_watch(w->fd, v->config.allow, IN_CLOSE_WRITE | IN_MOVE | IN_DELETE | IN_ATTRIB) < 0) {
		log_warn("%s: changes are not seen (%s): after one, send HUP", v->config.allow, strerror(errno));
		return 0;
	}
	int r = loop_add_timer(v->loop, -1, 0, settled, v, &w->settle, err);
	return r < 0 ? r : loop_add_fd(v->loop, w->fd, EPOLLIN, changed, v, &w->source, err);
}

void keys_done(struct vned *v)
{
	if (!v->key_watch)
		return;
	loop_remove(v->key_watch->source);
	loop_remove(v->key_watch->settle);
	if (v->key_watch->fd >= 0)
		close(v->key_watch->fd);
	free(v->key_watch);
	v->key_watch = NULL;
}

/* ---- what an admin asks ----------------------------------------------------------------------- */

static void answer(struct vned *v, const struct peer *peer, const struct message *q, int r, const char *good, const struct err *err)
{
	api_reply(v, peer, q->sequence, r == 0 ? 0 : r == -EINVAL ? 2 : r == -ENOENT || r == -EEXIST || r == -EPERM ? 1 : 70, r == 0 ? good : err->text);
}

static void list(struct vned *v, const struct peer *peer, const struct message *q)
{
	const struct identity *const *all;
	size_t n = allow_list_all(v->allow, &all);
	struct message m = { .type = MSG_KEY_LIST, .reply_to = q->sequence, .more = true };
	m.u.keys_list.v = mem_array(n ? n : 1, sizeof(*m.u.keys_list.v));
	for (size_t i = 0; i < n; i++) {
		char print[FINGERPRINT_TEXT];
		if (all[i]->expires_ms && all[i]->expires_ms <= (uint64_t)clock_wall_ms())
			continue;
		m.u.keys_list.v[m.u.keys_list.n++] = (struct key_view){ mem_str(all[i]->name), mem_str(role_names[all[i]->role]), mem_str(all[i]->node),
			                                                    mem_str(key_fingerprint(all[i]->public, print)), all[i]->expires_ms };
	}
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}

/* Changes the directory and takes the change at once; another change that fell in between is taken as well. */
static int put(struct vned *v, const struct identity *id, struct err *err)
{
	buf_auto struct buf out = BUF_INIT;
	int r = allow_put(v->config.allow, id, err);
	if (r == 0 && keys_reload(v, &out) < 0)
		log_error("%s", buf_cstr(&out));
	return r;
}

static int take_away(struct vned *v, const char *name, struct err *err)
{
	buf_auto struct buf out = BUF_INIT;
	int r = allow_remove(v->config.allow, name, err);
	if (r == 0 && keys_reload(v, &out) < 0)
		log_error("%s", buf_cstr(&out));
	return r;
}

/* A name belongs to whom it was given first: another role under it would inherit networks. */
static int name_free(const struct vned *v, const struct identity *id, struct err *err)
{
	const struct identity *same = allow_list_named(v->allow, id->name), *key = allow_list_find(v->allow, id->public);
	if (key && strcmp(key->name, id->name) != 0)
		return err_set(err, -EEXIST, "this key is allowed already, as %s", key->name);
	if (same && (same->role != id->role || strcmp(same->node, id->node) != 0))
		return err_set(err, -EEXIST, "the name %s is that of a key of role %s: take another, or revoke that first", id->name, role_names[same->role]);
	if (same && memcmp(same->public, id->public, 32) != 0 && id->role != ROLE_AGENT)
		return err_set(err, -EEXIST, "another key is named %s: revoke that first", id->name);
	return 0;
}

static int allow(struct vned *v, const struct message *q, char **ret_text, struct err *err)
{
	char print[FINGERPRINT_TEXT];
	struct identity id;
	int r = identity_parse(q->u.keys.name, q->u.keys.text, strlen(q->u.keys.text), &id, err);
	if (r == 0 && id.has_secret)
		r = err_set(err, -EINVAL, "%s: this is the secret key: allow the .pub file, and make a new key, as this one has been shown", q->u.keys.name);
	if (r == 0 && (id.role == ROLE_COORDINATOR || id.role == ROLE_JOIN))
		r = err_set(err, -EINVAL, "%s: a key of role %s is not one to connect with", q->u.keys.name, role_names[id.role]);
	if (r == 0)
		r = name_free(v, &id, err);
	if (r == 0)
		r = put(v, &id, err);
	explicit_bzero(id.secret, sizeof(id.secret));
	if (r == 0)
		*ret_text = mem_printf("%s is allowed: role %s%s%s, fingerprint %s", id.name, role_names[id.role], id.node[0] ? " of node " : "", id.node,
		                       key_fingerprint(id.public, print));
	return r;
}

static int disallow(struct vned *v, const struct peer *peer, const struct message *q, char **ret_text, struct err *err)
{
	if (!peer->local && !strcmp(peer->identity, q->u.keys.name))
		return err_set(err, -EPERM, "%s is the key that you use: let another admin revoke it, or do it on vned's machine", q->u.keys.name);
	int r = take_away(v, q->u.keys.name, err);
	if (r == 0)
		*ret_text = mem_printf("%s is revoked, and cut off", q->u.keys.name);
	return r;
}

static int invite(struct vned *v, const struct message *q, char **ret_text, struct err *err)
{
	char text[TOKEN_TEXT];
	struct identity token, *agent = &(struct identity){ .role = ROLE_AGENT };
	int r = name_check(q->u.keys.name, strlen(q->u.keys.name), err);
	if (r < 0)
		return err_add(err, r, "node");
	strcpy(agent->name, q->u.keys.name);
	strcpy(agent->node, q->u.keys.name);
	if (hash_index(v->substrate.node_index, q->u.keys.name) == SIZE_MAX)
		return err_set(err, -ENOENT, "the substrate has no node %s: add it to the file and `vnctl reload` first", q->u.keys.name);
	r = name_free(v, agent, err);
	if (r == 0)
		r = token_make(q->u.keys.name, q->u.keys.expires_us, &token, err);
	if (r == 0)
		r = put(v, &token, err);
	if (r < 0)
		return r;
	token_write(&token, v->self.public, text);
	explicit_bzero(&token, sizeof(token));
	*ret_text = mem_str(text);
	return 0;
}

void keys_message(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	mem_auto char *text = NULL;
	int r;
	switch (q->u.keys.op) {
	case KEYS_LIST:
		list(v, peer, q);
		return;
	case KEYS_ALLOW:
		r = allow(v, q, &text, &err);
		break;
	case KEYS_REVOKE:
		r = disallow(v, peer, q, &text, &err);
		break;
	default:
		r = q->u.keys.expires_us < 1000000 || q->u.keys.expires_us > EXPIRES_MAX_S * INT64_C(1000000) ?
		            err_set(&err, -EINVAL, "a token expires after 1s to 30d") : invite(v, q, &text, &err);
	}
	if (r == 0)
		log_info("keys: %s from %s: %s", peer->identity, peer->address, q->u.keys.op == KEYS_INVITE ? q->u.keys.name : text);
	if (r == 0 && q->u.keys.op == KEYS_INVITE)
		audit_end(v, peer, q->sequence, 0, "a token was made"); /* which is for whoever asked, and for no log */
	answer(v, peer, q, r, text, &err);
}

/* ---- nodes that join --------------------------------------------------------------------------- */

/* The token goes first: whatever happens then, it is used up. Of two that come at once the second finds it gone, as every message is
 * looked up in the list when it is read. */
void keys_join(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct identity id = { .role = ROLE_AGENT };
	char print[FINGERPRINT_TEXT];
	if (q->type != MSG_JOIN) {
		api_reply(v, peer, q->sequence, 1, "a token is for joining, and for nothing else");
		return;
	}
	memcpy(id.public, q->u.join.key, sizeof(id.public));
	strcpy(id.name, peer->node);
	strcpy(id.node, peer->node);
	int r = allow_remove(v->config.allow, peer->identity, &err);
	if (r == 0)
		r = name_free(v, &id, &err);
	if (r == 0)
		r = allow_put(v->config.allow, &id, &err);
	log_info("node %s from %s: %s%s", peer->node, peer->address, r < 0 ? "cannot join: " : "has joined, fingerprint ",
	         r < 0 ? err.text : key_fingerprint(id.public, print));
	audit_note(v, peer, "join", peer->node, r < 0 ? 1 : 0, r < 0 ? err.text : key_fingerprint(id.public, print));
	answer(v, peer, q, r, peer->node, &err);
	buf_auto struct buf out = BUF_INIT;
	if (keys_reload(v, &out) < 0) /* after the answer: the token counts no more */
		log_error("%s", buf_cstr(&out));
	if (r == 0)
		events_publish(v->events, "node", peer->node, "has joined");
}
