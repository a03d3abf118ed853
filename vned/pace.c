/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How often an identity may ask: a bucket that fills at a rate, and is emptied by one with each request. Whoever asks faster is told how long to
 * wait, which costs little, and takes nobody else's turn. Answers of a command that runs are not counted. */
#include <stdlib.h>

#include "base/mem.h"
#include "vned/vned.h"

/* Requests a second, and how many may come at once. */
static const struct { int64_t rate, burst; } paces[] = {
	[ROLE_ADMIN] = { 1000, 2000 }, [ROLE_TENANT] = { 200, 400 }, [ROLE_VIEWER] = { 200, 400 }, [ROLE_JOIN] = { 1, 5 },
};

struct bucket {
	int64_t left_milli, at_ms;
};

bool pace_admit(struct vned *v, const struct peer *peer, const struct message *m)
{
	if ((size_t)peer->role >= ARRAY_LEN(paces) || !paces[peer->role].rate || m->type == MSG_EXEC_INPUT || m->type == MSG_EXEC_EXIT || m->type == MSG_HEARTBEAT)
		return true;
	int64_t now = clock_ms(), rate = paces[peer->role].rate, most = paces[peer->role].burst * 1000;
	struct bucket *b = hash_get(v->paces, peer->identity); /* as many as there are identities */
	if (!b) {
		b = mem_alloc(sizeof(*b));
		*b = (struct bucket){ most, now };
		hash_put(v->paces, peer->identity, b);
	}
	int64_t filled = b->left_milli + (now - b->at_ms) * rate;
	b->left_milli = filled < most ? filled : most;
	b->at_ms = now;
	if (b->left_milli >= 1000) {
		b->left_milli -= 1000;
		return true;
	}
	v->counters.paced++;
	mem_auto char *why = mem_printf("too many requests: of %s at most %lld a second are taken; ask again in %lld ms", peer->identity, (long long)rate,
	                                (long long)((1000 - b->left_milli + rate - 1) / rate));
	api_reply(v, peer, m->sequence, 3, why);
	return false;
}

void pace_done(struct vned *v)
{
	hash_free(v->paces, free);
	v->paces = NULL;
}
