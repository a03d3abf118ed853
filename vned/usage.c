/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each tenant had, for whom it is charged: promised cores, memory and bandwidth over time, and the bytes that its routers sent,
 * added up and written to a journal every few minutes and at the end of each hour.
 *
 * A network counts while its plan is what should be, by the clock that never steps. Whatever ends vned, networks go on; so what stands at a start is
 * charged from the journal's last record (or its submission) on, which is also what a crash has not written. A record is written within a second of
 * a release, too. Times are right to a second; bytes are the agents' word. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/journal.h"
#include "vned/vned.h"

enum { CHARGE_MS = 1000, WRITE_MS = 300 * 1000, HOUR_MS = 3600 * 1000, RETRY_WRITE_MS = 10000 };

struct account {
	char *owner;
	double core_hours, memory_gib_hours, mbit_hours;
	uint64_t bytes;
};

struct usage {
	struct journal *journal;
	struct hash *accounts; /* by owner, since from_ms */
	uint64_t from_ms;      /* wall clock: of the last record */
	int64_t charge_ms, write_ms;
	bool loaded;
};

int usage_open(struct vned *v, struct err *err)
{
	struct usage *u = v->usage = mem_alloc(sizeof(*u));
	mem_auto char *path = mem_printf("%s/usage.log", v->config.state);
	u->accounts = hash_new();
	u->write_ms = clock_ms() + WRITE_MS;
	int r = journal_open(path, &u->journal, err);
	u->from_ms = r < 0 ? 0 : journal_last_ms(u->journal);
	return r;
}

static struct account *account(struct usage *u, const char *owner)
{
	struct account *a = hash_get(u->accounts, owner);
	if (!a) {
		a = mem_alloc(sizeof(*a));
		a->owner = mem_str(owner);
		hash_put(u->accounts, owner, a);
	}
	return a;
}

static void add(struct usage *u, struct network *net, int64_t ms)
{
	struct account *a = account(u, net->owner);
	int64_t asked[QUOTA_COUNT];
	quota_asked(&net->request, asked);
	double hours = (double)ms / HOUR_MS;
	a->core_hours += (double)asked[QUOTA_CORES] / 1000 * hours;
	a->memory_gib_hours += (double)asked[QUOTA_MEMORY] / (1 << 20) * hours;
	a->mbit_hours += (double)asked[QUOTA_BANDWIDTH] / 1000 * hours;
	a->bytes += net->load.sent_bytes;
	net->load.sent_bytes = 0;
}

void usage_charge(struct vned *v, struct network *net)
{
	int64_t now = clock_ms();
	if (!v->usage || !v->usage->loaded)
		return;
	if (network_committed(net) && net->charged_ms)
		add(v->usage, net, now - net->charged_ms);
	else if (!network_committed(net) && net->charged_ms) /* it goes: what it had is not to be lost in a crash */
		v->usage->write_ms = now < v->usage->write_ms ? now : v->usage->write_ms;
	net->charged_ms = network_committed(net) ? now : 0;
}

/* Of what stands when vned starts: since the last record, or since it was asked for. */
void usage_load(struct vned *v)
{
	uint64_t now = (uint64_t)clock_wall_ms();
	for (size_t i = 0; i < v->n_networks; i++) {
		struct network *net = v->networks[i];
		uint64_t since = net->submitted_ms > v->usage->from_ms ? net->submitted_ms : v->usage->from_ms;
		if (network_committed(net) && since && since < now)
			add(v->usage, net, (int64_t)(now - since));
		net->charged_ms = network_committed(net) ? clock_ms() : 0;
	}
	if (!v->usage->from_ms)
		v->usage->from_ms = now;
	v->usage->loaded = true;
}

/* ---- writing ---------------------------------------------------------------------------------- */

struct writing {
	struct usage *u;
	uint64_t to_ms;
	struct err *err;
	int r;
};

enum { FIELD_FROM, FIELD_OWNER, FIELD_CORES, FIELD_MEMORY, FIELD_MBIT, FIELD_BYTES, FIELDS };

static void write_account(void *value, void *arg)
{
	struct account *a = value;
	struct writing *w = arg;
	char from[24], cores[32], memory[32], mbit[32], bytes[24];
	if (w->r < 0 || (a->core_hours == 0 && a->memory_gib_hours == 0 && a->mbit_hours == 0 && a->bytes == 0))
		return;
	snprintf(from, sizeof(from), "%llu", (unsigned long long)w->u->from_ms);
	snprintf(cores, sizeof(cores), "%.9g", a->core_hours);
	snprintf(memory, sizeof(memory), "%.9g", a->memory_gib_hours);
	snprintf(mbit, sizeof(mbit), "%.9g", a->mbit_hours);
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)a->bytes);
	const char *const fields[FIELDS] = { from, a->owner, cores, memory, mbit, bytes };
	w->r = journal_add(w->u->journal, w->to_ms, fields, FIELDS, w->err);
	if (w->r == 0)
		*a = (struct account){ .owner = a->owner };
}

static void account_free(void *value)
{
	free(((struct account *)value)->owner);
	free(value);
}

static int flush(struct usage *u, struct err *err)
{
	struct writing w = { u, (uint64_t)clock_wall_ms(), err, 0 };
	if (w.to_ms < u->from_ms)
		w.to_ms = u->from_ms; /* the clock was set back */
	hash_each(u->accounts, write_account, &w);
	if (w.r == 0)
		w.r = journal_sync(u->journal, err);
	if (w.r < 0)
		return w.r;
	hash_free(u->accounts, account_free);
	u->accounts = hash_new();
	u->from_ms = w.to_ms;
	return 0;
}

void usage_tick(struct vned *v)
{
	struct usage *u = v->usage;
	struct err err = { 0 };
	int64_t now = clock_ms();
	if (!u || !u->loaded || now < u->charge_ms)
		return;
	u->charge_ms = now + CHARGE_MS;
	for (size_t i = 0; i < v->n_networks; i++)
		usage_charge(v, v->networks[i]);
	bool hour_ends = (uint64_t)clock_wall_ms() / HOUR_MS != u->from_ms / HOUR_MS;
	if (now < u->write_ms && !(hour_ends && now > u->write_ms - WRITE_MS + RETRY_WRITE_MS))
		return;
	int r = flush(u, &err);
	if (r < 0)
		log_error("what tenants use is not written, and kept in memory: %s", err.text);
	u->write_ms = now + (r < 0 ? RETRY_WRITE_MS : WRITE_MS);
}

void usage_done(struct vned *v)
{
	struct usage *u = v->usage;
	struct err err = { 0 };
	if (!u)
		return;
	for (size_t i = 0; u->loaded && v->networks && i < v->n_networks; i++)
		usage_charge(v, v->networks[i]);
	if (u->loaded && flush(u, &err) < 0)
		log_error("what tenants used last is lost: %s", err.text);
	hash_free(u->accounts, account_free);
	journal_close(u->journal);
	free(u);
	v->usage = NULL;
}

/* ---- asking ------------------------------------------------------------------------------------- */

struct gather {
	const struct peer *peer;
	const struct message *q;
	struct message *m;
};

static void put(struct gather *g, uint64_t from_ms, uint64_t to_ms, const struct account *a)
{
	const char *who = g->q->u.journal.who;
	if ((g->q->u.journal.until_ms && to_ms > g->q->u.journal.until_ms) || to_ms <= g->q->u.journal.since_ms ||
	    (g->peer->role == ROLE_TENANT && strcmp(a->owner, g->peer->identity) != 0) || (*who && strcmp(a->owner, who) != 0))
		return;
	struct message *m = g->m;
	m->u.usage.v = mem_grow(m->u.usage.v, m->u.usage.n + 1, sizeof(*m->u.usage.v));
	m->u.usage.v[m->u.usage.n++] = (struct usage_view){ mem_str(a->owner), from_ms, to_ms, a->core_hours, a->memory_gib_hours, a->mbit_hours, a->bytes };
}

static void gather(void *arg, uint64_t wall_ms, char *const fields[], size_t n)
{
	if (n < FIELDS)
		return;
	struct account a = { fields[FIELD_OWNER], strtod(fields[FIELD_CORES], NULL), strtod(fields[FIELD_MEMORY], NULL),
		                 strtod(fields[FIELD_MBIT], NULL), strtoull(fields[FIELD_BYTES], NULL, 10) };
	put(arg, strtoull(fields[FIELD_FROM], NULL, 10), wall_ms, &a);
}

struct unwritten {
	struct gather *g;
	const struct usage *u;
};

static void gather_unwritten(void *value, void *arg)
{
	struct unwritten *x = arg;
	const struct account *a = value;
	if (a->core_hours > 0 || a->memory_gib_hours > 0 || a->mbit_hours > 0 || a->bytes)
		put(x->g, x->u->from_ms, (uint64_t)clock_wall_ms(), a);
}

void usage_message(struct vned *v, const struct peer *peer, const struct message *q)
{
	struct err err = { 0 };
	struct usage *u = v->usage;
	struct message m = { .type = MSG_USAGE_LIST, .reply_to = q->sequence, .more = true };
	struct gather g = { peer, q, &m };
	for (size_t i = 0; i < v->n_networks; i++)
		usage_charge(v, v->networks[i]);
	uint64_t at = q->u.journal.offset ? q->u.journal.offset : journal_seek(u->journal, q->u.journal.since_ms), next;
	if (journal_read(u->journal, at, gather, &g, &next, &err) < 0) {
		message_done(&m);
		api_reply(v, peer, q->sequence, 1, err.text);
		return;
	}
	if (next == at) /* the end: what is not written yet */
		hash_each(u->accounts, gather_unwritten, &(struct unwritten){ &g, u });
	m.u.usage.next = next == at ? 0 : next;
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}
