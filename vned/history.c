/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happened to a network: each step with who, when and why, in the store beside the network from its
 * first batch on, and for a while after it is gone.
 *
 * One key for each network that was, "history/OWNER/NAME/NUMBER"; its value is a packed
 * HISTORY_LIST, whose bounds are those of the wire. Of those that are gone only the keys are kept in mind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum {
	STEPS_MAX = 200, /* of one network: then the second is forgotten first; who asked for it stays */
	GONE_MAX = 4096, /* networks that are gone */
	REASON_MAX = 1000
};
#define PREFIX "history/"

/* As much of a reason as is kept, cut between characters. */
static char *reason_cut(const char *why)
{
	size_t len = strlen(why);
	if (len > REASON_MAX) {
		len = REASON_MAX;
		while (len && ((unsigned char)why[len] & 0xc0) == 0x80)
			len--;
	}
	return mem_strn(why, len);
}

void history_add(struct network *net, enum net_state state, const char *who, const char *why)
{
	if (net->n_history >= STEPS_MAX) {
		history_view_done(&net->history[1]);
		memmove(&net->history[1], &net->history[2], (net->n_history - 2) * sizeof(*net->history));
		net->n_history--;
	}
	net->history = mem_grow(net->history, net->n_history + 1, sizeof(*net->history));
	net->history[net->n_history++] = (struct history_view){
		.wall_ms = (uint64_t)clock_wall_ms(), .network = mem_str(""), .id = net->id, .generation = net->generation,
		.state = state, .who = mem_str(who), .why = reason_cut(why ? why : "")
	};
}

static void steps_free(struct history_view *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		history_view_done(&v[i]);
	free(v);
}

void history_free(struct network *net)
{
	steps_free(net->history, net->n_history);
}

void history_key(const struct network *net, char key[STORE_KEY_MAX + 1])
{
	snprintf(key, STORE_KEY_MAX + 1, PREFIX "%s/%u", net->full, net->id);
}

void history_pack(const struct network *net, uint8_t **ret, size_t *ret_len)
{
	struct message m = { .type = MSG_HISTORY_LIST, .u.history = { net->history, net->n_history } };
	message_pack(&m, ret, ret_len);
}

/* Between what else is stored of the network; nothing waits for it. */
void history_store(struct vned *v, const struct network *net)
{
	char key[STORE_KEY_MAX + 1];
	mem_auto uint8_t *value = NULL;
	size_t len;
	struct err err = { 0 };
	history_key(net, key);
	history_pack(net, &value, &len);
	struct store_op op = { key, value, len };
	if (v->store->driver->batch(v->store, v->store->driver->revision(v->store), &op, 1, NULL, NULL, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
}

static int unpack(const char *key, const void *value, size_t len, struct history_view **ret, size_t *ret_n)
{
	struct message m;
	struct err err = { 0 };
	int r = message_unpack(value, len, &m, &err);
	if (r == 0 && m.type != MSG_HISTORY_LIST) {
		message_done(&m);
		r = err_set(&err, -EBADMSG, "something else");
	}
	if (r < 0) {
		log_warn("the store: %s: %s", key, err.text);
		return r;
	}
	*ret = m.u.history.v;
	*ret_n = m.u.history.n;
	return 0;
}

/* ---- networks that are gone ------------------------------------------------------------------ */

void history_gone(struct vned *v, const struct network *net)
{
	char key[STORE_KEY_MAX + 1];
	history_key(net, key);
	*vec_add(&v->gone) = mem_str(key);
}

size_t history_trim(struct vned *v, char *keys[], size_t max)
{
	size_t n = 0;
	while (n < max && v->gone.n - n > GONE_MAX) {
		keys[n] = v->gone.v[n];
		n++;
	}
	if (n) /* there may be no list at all */
		memmove(v->gone.v, v->gone.v + n, (v->gone.n - n) * sizeof(*v->gone.v));
	v->gone.n -= n;
	return n;
}

/* ---- at start -------------------------------------------------------------------------------- */

struct past {
	char *key;
	uint64_t end_ms;
};

struct load {
	struct vned *v;
	VEC(struct past) past;
};

static int by_end(const void *a, const void *b)
{
	const struct past *x = a, *y = b;
	return x->end_ms < y->end_ms ? -1 : x->end_ms > y->end_ms;
}

static void load_one(void *arg, const char *key, const void *value, size_t len)
{
	struct load *l = arg;
	struct history_view *steps;
	size_t n;
	if (unpack(key, value, len, &steps, &n) < 0)
		return;
	struct network *net = n ? networks_find(l->v, steps[0].id) : NULL;
	char own[STORE_KEY_MAX + 1] = "";
	if (net)
		history_key(net, own);
	if (net && !net->history && strcmp(own, key) == 0) {
		net->history = steps;
		net->n_history = n;
		return;
	}
	*vec_add(&l->past) = (struct past){ mem_str(key), n ? steps[n - 1].wall_ms : 0 };
	steps_free(steps, n);
}

void history_load(struct vned *v)
{
	struct load l = { .v = v };
	v->store->driver->each(v->store, PREFIX, load_one, &l);
	if (l.past.n)
		qsort(l.past.v, l.past.n, sizeof(*l.past.v), by_end);
	for (size_t i = 0; i < l.past.n; i++)
		*vec_add(&v->gone) = l.past.v[i].key;
	vec_done(&l.past);
}

void history_done(struct vned *v)
{
	for (size_t i = 0; i < v->gone.n; i++)
		free(v->gone.v[i]);
	vec_done(&v->gone);
}

/* ---- asked for -------------------------------------------------------------------------------- */

struct query {
	const struct peer *peer;
	const char *owner, *name; /* owner NULL: anybody's */
	size_t owner_len;
	char found[256]; /* owner/name of what was found */
	bool several;
	VEC(struct history_view) steps;
};

/* Whether a key, without its prefix, is of the network that is asked for, and may be seen. */
static bool wanted(struct query *q, const char *full)
{
	const char *slash = strchr(full, '/'), *end = slash ? strchr(slash + 1, '/') : NULL;
	if (!end)
		return false;
	size_t owner = (size_t)(slash - full), name = (size_t)(end - slash - 1);
	if (q->peer->role == ROLE_TENANT && (strlen(q->peer->identity) != owner || strncmp(q->peer->identity, full, owner) != 0))
		return false;
	if (q->owner && (owner != q->owner_len || strncmp(q->owner, full, owner) != 0))
		return false;
	if (strlen(q->name) != name || strncmp(q->name, slash + 1, name) != 0)
		return false;
	size_t len = (size_t)(end - full);
	if (len >= sizeof(q->found))
		return false;
	if (q->found[0] && (strlen(q->found) != len || strncmp(q->found, full, len) != 0))
		q->several = true;
	memcpy(q->found, full, len);
	q->found[len] = '\0';
	return true;
}

/* One network's steps stay together, in their order (a clock may jump); networks go by their first. */
static void query_one(void *arg, const char *key, const void *value, size_t len)
{
	struct query *q = arg;
	struct history_view *steps, *v;
	size_t n, at = 0;
	if (!wanted(q, key + sizeof(PREFIX) - 1) || unpack(key, value, len, &steps, &n) < 0)
		return;
	v = q->steps.v;
	while (n && at < q->steps.n && !((at == 0 || v[at].id != v[at - 1].id) && v[at].wall_ms > steps[0].wall_ms))
		at++;
	for (size_t i = 0; i < n; i++)
		(void)vec_add(&q->steps);
	v = n ? q->steps.v + at : NULL;
	if (n)
		memmove(v + n, v, (q->steps.n - n - at) * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[i] = steps[i];
		free(v[i].network);
		v[i].network = mem_str(q->found);
	}
	free(steps);
}

int history_find(const struct vned *v, const struct peer *peer, const char *name, struct history_view **ret, size_t *ret_n,
                 struct err *err)
{
	const char *slash = strchr(name, '/');
	struct query q = { .peer = peer, .owner = slash ? name : NULL, .owner_len = slash ? (size_t)(slash - name) : 0,
		               .name = slash ? slash + 1 : name };
	v->store->driver->each(v->store, PREFIX, query_one, &q);
	if (q.several || q.steps.n == 0) {
		steps_free(q.steps.v, q.steps.n);
		return q.several ? err_set(err, -ENOTUNIQ, "several networks are or were named %s: write OWNER/%s", name, name) :
		                   err_set(err, -ENOENT, "no network is named %s, and none of those that are remembered was", name);
	}
	*ret = q.steps.v;
	*ret_n = q.steps.n;
	return 0;
}
