/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backups while networks come and go: the store makes a copy in its thread, the client fetches it
 * piece by piece. Each piece is asked for, so nothing piles up for one who reads slowly, and a copy
 * whose client has gone is let go after a minute. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum { PIECE = 1 << 20, KEPT_MAX = 2, KEEP_MS = 60000 };

struct backups {
	struct backup {
		struct backup *next;
		struct vned *v;
		struct peer peer;
		uint64_t reply_to;
		uint8_t *data; /* NULL: being made */
		size_t len;
		int64_t until_ms;
	} *first;
};

static struct backup **find(struct backups *all, const struct peer *peer)
{
	struct backup **link = &all->first;
	while (*link && !peer_same(&(*link)->peer, peer))
		link = &(*link)->next;
	return link;
}

static void drop(struct backup **link)
{
	struct backup *b = *link;
	*link = b->next;
	free(b->data);
	free(b);
}

static void piece(struct vned *v, struct backup **link, uint64_t offset, uint64_t reply_to)
{
	struct backup *b = *link;
	size_t len = b->len - offset < PIECE ? b->len - (size_t)offset : PIECE;
	struct message m = { .type = MSG_BACKUP_DATA, .reply_to = reply_to, .more = true,
		                 .u.backup_data = { .size = b->len, .offset = offset, .data = mem_dup(b->data + offset, len ? len : 1),
		                                    .len = len } };
	api_send(v, &b->peer, &m);
	api_reply(v, &b->peer, reply_to, 0, "");
	b->until_ms = clock_ms() + KEEP_MS;
	if (offset + len == b->len) {
		log_info("%s has fetched a backup of %zu bytes", b->peer.identity, b->len);
		drop(link);
	}
}

static void copied(void *arg, int code, void *data, size_t len)
{
	struct backup *b = arg;
	struct backup **link = &b->v->backups->first;
	while (*link != b)
		link = &(*link)->next;
	b->data = data;
	b->len = len;
	if (code < 0) {
		api_reply(b->v, &b->peer, b->reply_to, 70, "the store could not be copied");
		drop(link);
	} else {
		piece(b->v, link, 0, b->reply_to);
	}
}

static void begin(struct vned *v, const struct peer *peer, uint64_t reply_to)
{
	struct err err = { 0 };
	struct backup **link = find(v->backups, peer);
	size_t n = 0;
	if (*link && !(*link)->data) {
		api_reply(v, peer, reply_to, 1, "a backup is being made for you already");
		return;
	}
	if (*link)
		drop(link);
	for (struct backup *b = v->backups->first; b; b = b->next)
		n++;
	if (n >= KEPT_MAX) {
		api_reply(v, peer, reply_to, 3, "others are fetching backups; ask again in a minute");
		return;
	}
	struct backup *b = mem_alloc(sizeof(*b));
	*b = (struct backup){ .v = v, .peer = *peer, .reply_to = reply_to };
	if (v->store->driver->copy(v->store, copied, b, &err) < 0) {
		free(b);
		api_reply(v, peer, reply_to, err.code == -EBUSY ? 3 : 70, err.text);
		return;
	}
	b->next = v->backups->first;
	v->backups->first = b;
}

void backup_message(struct vned *v, const struct peer *peer, const struct message *m)
{
	uint64_t offset = m->u.backup.offset;
	if (peer->role != ROLE_ADMIN) { /* it holds what belongs to everybody */
		mem_auto char *why = mem_printf("role %s may not ask for a backup", role_names[peer->role]);
		api_reply(v, peer, m->sequence, 1, why);
		return;
	}
	if (!v->backups)
		v->backups = mem_alloc(sizeof(*v->backups));
	if (offset == 0) {
		begin(v, peer, m->sequence);
		return;
	}
	struct backup **link = find(v->backups, peer);
	if (!*link || !(*link)->data || offset >= (*link)->len)
		api_reply(v, peer, m->sequence, 1, "there is no such piece of a backup (it is kept for a minute); begin again");
	else
		piece(v, link, offset, m->sequence);
}

void backup_tick(struct vned *v)
{
	for (struct backup **link = v->backups ? &v->backups->first : NULL; link && *link;) {
		if ((*link)->data && clock_ms() >= (*link)->until_ms)
			drop(link);
		else
			link = &(*link)->next;
	}
}

void backup_done(struct vned *v)
{
	while (v->backups && v->backups->first)
		drop(&v->backups->first);
	free(v->backups);
	v->backups = NULL;
}
