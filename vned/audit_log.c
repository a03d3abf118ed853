/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who changed what, from where, and how it ended: a record for each request that changes something, whatever its outcome, in a journal
 * beside the store. A request is noted when it comes, before anybody has judged it, and written when its REPLY is sent; so a new kind
 * of request is recorded because it is answered, not because somebody thought of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/journal.h"
#include "vned/vned.h"

enum {
	PENDING_MAX = 4096,
	SYNC_MS = 1000, COMPLAIN_MS = 60000, RESULT_MAX = 1000
};

struct pending {
	struct pending *next;
	struct peer peer;
	uint64_t reply_to;
	const char *what;
	char *object;
};

struct audit_log {
	struct journal *journal;
	uint64_t sequence;
	struct pending *pending;
	size_t n_pending;
	int64_t sync_ms, complain_ms;
};

enum { FIELD_SEQUENCE, FIELD_WHO, FIELD_ROLE, FIELD_FROM, FIELD_WHAT, FIELD_OBJECT, FIELD_CODE, FIELD_RESULT, FIELDS };

static void take_sequence(void *arg, uint64_t wall_ms, char *const fields[], size_t n)
{
	(void)wall_ms, (void)n;
	*(uint64_t *)arg = strtoull(fields[FIELD_SEQUENCE], NULL, 10);
}

int audit_open(struct vned *v, struct err *err)
{
	struct audit_log *a = v->audit = mem_alloc(sizeof(*a));
	mem_auto char *path = mem_printf("%s/audit.log", v->config.state);
	int r = journal_open(path, &a->journal, err);
	if (r < 0)
		return r;
	uint64_t at = journal_seek(a->journal, journal_last_ms(a->journal)), next = at;
	do
		r = journal_read(a->journal, at = next, take_sequence, &a->sequence, &next, err);
	while (r == 0 && next != at);
	return r;
}

static void complain(struct audit_log *a, const struct err *err)
{
	if (clock_ms() < a->complain_ms)
		return;
	a->complain_ms = clock_ms() + COMPLAIN_MS;
	log_error("the audit log has gaps: it cannot be written: %s", err->text);
}

static void write_record(struct audit_log *a, const struct peer *peer, const char *what, const char *object, int code, const char *result)
{
	struct err err = { 0 };
	char sequence[24], number[16];
	mem_auto char *cut = mem_strn(result, strnlen(result, RESULT_MAX));
	snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)++a->sequence);
	snprintf(number, sizeof(number), "%d", code);
	const char *const fields[FIELDS] = { sequence, peer ? peer->identity : "vned", peer ? role_names[peer->role] : "coordinator",
		                                 peer ? peer->address : "", what, object, number, cut };
	if (journal_add(a->journal, (uint64_t)clock_wall_ms(), fields, FIELDS, &err) < 0)
		complain(a, &err);
}

void audit_note(struct vned *v, const struct peer *peer, const char *what, const char *object, int code, const char *result)
{
	if (v->audit)
		write_record(v->audit, peer, what, object, code, result);
}

static struct pending **find(struct audit_log *a, const struct peer *peer, uint64_t reply_to)
{
	struct pending **link = &a->pending;
	while (*link && !((*link)->reply_to == reply_to && peer_same(&(*link)->peer, peer)))
		link = &(*link)->next;
	return link;
}

static void conclude(struct audit_log *a, struct pending **link, int code, const char *result)
{
	struct pending *p = *link;
	*link = p->next;
	a->n_pending--;
	write_record(a, &p->peer, p->what, p->object, code, result);
	free(p->object);
	free(p);
}

void audit_begin(struct vned *v, const struct peer *peer, uint64_t reply_to, const char *what, const char *object)
{
	struct audit_log *a = v->audit;
	if (!a)
		return;
	if (a->n_pending >= PENDING_MAX) { /* the oldest stands last: it is told as far as it is known */
		struct pending **link = &a->pending;
		while ((*link)->next)
			link = &(*link)->next;
		conclude(a, link, 3, "no outcome is known yet");
	}
	struct pending *p = mem_alloc(sizeof(*p));
	*p = (struct pending){ a->pending, *peer, reply_to, what, mem_str(object ? object : "") };
	a->pending = p;
	a->n_pending++;
}

void audit_about(struct vned *v, const struct peer *peer, uint64_t reply_to, const char *object)
{
	struct pending *p = v->audit ? *find(v->audit, peer, reply_to) : NULL;
	if (!p)
		return;
	free(p->object);
	p->object = mem_str(object);
}

void audit_end(struct vned *v, const struct peer *peer, uint64_t reply_to, int code, const char *result)
{
	struct pending **link = v->audit ? find(v->audit, peer, reply_to) : NULL;
	if (link && *link)
		conclude(v->audit, link, code, result);
}

void audit_tick(struct vned *v)
{
	struct audit_log *a = v->audit;
	struct err err = { 0 };
	if (!a || clock_ms() < a->sync_ms)
		return;
	a->sync_ms = clock_ms() + SYNC_MS;
	if (journal_sync(a->journal, &err) < 0)
		complain(a, &err);
}

void audit_done(struct vned *v)
{
	struct audit_log *a = v->audit;
	if (!a)
		return;
	while (a->pending)
		conclude(a, &a->pending, 3, "vned was stopped before it was answered");
	journal_close(a->journal);
	free(a);
	v->audit = NULL;
}

/* ---- asking ------------------------------------------------------------------------------------- */

struct gather {
	const struct peer *peer;
	const struct message *q;
	struct message *m;
};

static void gather(void *arg, uint64_t wall_ms, char *const fields[], size_t n)
{
	struct gather *g = arg;
	if (n < FIELDS || wall_ms < g->q->u.journal.since_ms || (g->q->u.journal.until_ms && wall_ms >= g->q->u.journal.until_ms))
		return;
	const char *who = g->q->u.journal.who;
	if ((g->peer->role == ROLE_TENANT && strcmp(fields[FIELD_WHO], g->peer->identity) != 0) || (*who && strcmp(fields[FIELD_WHO], who) != 0))
		return;
	struct message *m = g->m;
	m->u.log.v = mem_grow(m->u.log.v, m->u.log.n + 1, sizeof(*m->u.log.v));
	m->u.log.v[m->u.log.n++] = (struct log_view){
		.sequence = strtoull(fields[FIELD_SEQUENCE], NULL, 10), .wall_ms = wall_ms, .who = mem_str(fields[FIELD_WHO]),
		.role = mem_str(fields[FIELD_ROLE]), .from = mem_str(fields[FIELD_FROM]), .what = mem_str(fields[FIELD_WHAT]),
		.object = mem_str(fields[FIELD_OBJECT]), .code = atoi(fields[FIELD_CODE]), .result = mem_str(fields[FIELD_RESULT])
	};
}

/* A page at a time: whoever wants more asks for what stands at `next`. */
void audit_message(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct message m = { .type = MSG_LOG_LIST, .reply_to = q->sequence, .more = true };
	struct gather g = { peer, q, &m };
	uint64_t at = q->u.journal.offset ? q->u.journal.offset : journal_seek(v->audit->journal, q->u.journal.since_ms), next;
	if (journal_read(v->audit->journal, at, gather, &g, &next, &err) < 0) {
		message_done(&m);
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	m.u.log.next = next == at ? 0 : next;
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}
