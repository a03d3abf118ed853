/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was done, what was used, what may be: `vnctl log`, `usage`, `quota`. The first two come page by page, so that neither end ever
 * holds a year of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/vec.h"
#include "model/units.h"
#include "model/view_write.h"
#include "tools/vnctl/client.h"

static int usage_error(const char *text)
{
	fprintf(stderr, "usage: vnctl %s\n", text);
	return 2;
}

/* "2026-11-23", "2026-11-23T14:00", both UTC; or "2h": so long ago. */
static int read_time(const char *flag, const char *text, uint64_t *ret_ms)
{
	struct err err = { 0 };
	struct tm tm = { 0 };
	int64_t ago_us;
	const char *end = text ? strptime(text, "%Y-%m-%d", &tm) : NULL;
	if (!text)
		return 0;
	if (end && *end == 'T')
		end = strptime(end + 1, "%H:%M", &tm);
	if (end && !strcmp(end, ":00"))
		end += 3;
	if (end && (!*end || !strcmp(end, "Z"))) {
		*ret_ms = (uint64_t)timegm(&tm) * 1000;
		return 0;
	}
	if (units_duration(text, &ago_us, &err) == 0) {
		*ret_ms = (uint64_t)(clock_wall_ms() - ago_us / 1000);
		return 0;
	}
	fprintf(stderr, "vnctl: --%s: %s; expected a date such as 2026-11-23 or 2026-11-23T14:00 (UTC), or how long ago, such as 2h\n", flag, text);
	return 2;
}

/* Asks for page after page; `take` sees each answer and gives the next offset, 0 at the end. */
static int pages(const struct settings *s, enum message_type type, const char *who, uint64_t (*take)(void *arg, struct message *m), void *arg)
{
	struct client c;
	struct message q = { .type = type, .u.journal = { .who = (char *)(uintptr_t)(who ? who : "") } };
	int code = read_time("since", s->since, &q.u.journal.since_ms);
	if (!code)
		code = read_time("until", s->until, &q.u.journal.until_ms);
	if (!code)
		code = client_open(&c, s);
	if (code)
		return code;
	do {
		struct kept answer = { 0 };
		code = client_ask(&c, &q, s->timeout_us, keep_message, &answer);
		q.u.journal.offset = code ? 0 : take(arg, &answer.m);
		message_done(&answer.m);
	} while (!code && q.u.journal.offset);
	client_close(&c);
	return code;
}

/* ---- log ------------------------------------------------------------------------------------------ */

struct printing {
	const struct settings *settings;
	struct writer *w; /* JSON: one list */
};

static uint64_t print_entries(void *arg, struct message *m)
{
	struct printing *p = arg;
	if (m->type != MSG_LOG_LIST)
		return 0;
	for (size_t i = 0; i < m->u.log.n; i++) {
		if (p->w) {
			write_log_view(p->w, &m->u.log.v[i]);
			continue;
		}
		buf_auto struct buf line = BUF_INIT;
		struct writer *w = settings_writer(p->settings);
		write_log_view(w, &m->u.log.v[i]);
		writer_finish(w, &line);
		fputs(buf_cstr(&line), stdout);
	}
	return m->u.log.next;
}

int command_log(const struct settings *s, int argc, char **argv)
{
	struct printing p = { s, NULL };
	if (argc > 2)
		return usage_error("log [WHO] [--since TIME] [--until TIME]");
	if (s->json) {
		p.w = settings_writer(s);
		write_list(p.w, NULL, "");
	}
	int code = pages(s, MSG_LOG, argc == 2 ? argv[1] : NULL, print_entries, &p);
	if (!p.w)
		return code;
	write_end(p.w);
	if (!code)
		return print_result(s, p.w);
	buf_auto struct buf dropped = BUF_INIT;
	writer_finish(p.w, &dropped);
	return code;
}

/* ---- usage ---------------------------------------------------------------------------------------- */

struct adding {
	VEC(struct usage_view) rows;
	uint64_t step_ms; /* 0: all in one */
};

/* Records are of minutes: they belong to the hour or day in which they begin. */
static uint64_t add_rows(void *arg, struct message *m)
{
	struct adding *a = arg;
	if (m->type != MSG_USAGE_LIST)
		return 0;
	for (size_t i = 0; i < m->u.usage.n; i++) {
		struct usage_view *v = &m->u.usage.v[i], *row = NULL;
		uint64_t bucket = a->step_ms ? v->from_ms / a->step_ms : 0;
		for (size_t k = a->rows.n; k > 0 && !row; k--)
			if (!strcmp(a->rows.v[k - 1].owner, v->owner) && (!a->step_ms || a->rows.v[k - 1].from_ms / a->step_ms == bucket))
				row = &a->rows.v[k - 1];
		if (!row) {
			row = vec_add(&a->rows);
			*row = (struct usage_view){ .owner = mem_str(v->owner), .from_ms = a->step_ms ? bucket * a->step_ms : v->from_ms };
		}
		row->to_ms = v->to_ms;
		row->core_hours += v->core_hours;
		row->memory_gib_hours += v->memory_gib_hours;
		row->mbit_hours += v->mbit_hours;
		row->bytes += v->bytes;
	}
	return m->u.usage.next;
}

static int print_csv(const struct usage_view *rows, size_t n)
{
	printf("owner,from_ms,to_ms,core_hours,memory_gib_hours,mbit_hours,bytes\n");
	for (size_t i = 0; i < n; i++) {
		const struct usage_view *v = &rows[i];
		printf("%s,%llu,%llu,%.6f,%.6f,%.6f,%llu\n", v->owner, (unsigned long long)v->from_ms, (unsigned long long)v->to_ms, v->core_hours,
		       v->memory_gib_hours, v->mbit_hours, (unsigned long long)v->bytes);
	}
	return fflush(stdout) ? 70 : 0;
}

int command_usage(const struct settings *s, int argc, char **argv)
{
	struct adding a = { .step_ms = !s->by ? 0 : !strcmp(s->by, "hour") ? 3600000 : 86400000 };
	if (argc > 2 || (s->by && strcmp(s->by, "hour") && strcmp(s->by, "day")))
		return usage_error("usage [TENANT] [--since TIME] [--until TIME] [--by hour|day] [-o text|json|csv]");
	int code = pages(s, MSG_USAGE, argc == 2 ? argv[1] : NULL, add_rows, &a);
	if (!code && s->csv) {
		code = print_csv(a.rows.v, a.rows.n);
	} else if (!code) {
		struct writer *w = settings_writer(s);
		write_usage_views(w, NULL, "", a.rows.v, a.rows.n);
		code = print_result(s, w);
	}
	for (size_t i = 0; i < a.rows.n; i++)
		usage_view_done(&a.rows.v[i]);
	vec_done(&a.rows);
	return code;
}

/* ---- quota ---------------------------------------------------------------------------------------- */

int command_quota(const struct settings *s, int argc, char **argv)
{
	struct client c;
	struct kept answer = { 0 };
	struct message m = { .type = MSG_QUOTAS };
	(void)argv;
	if (argc != 1)
		return usage_error("quota");
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, s->timeout_us, keep_message, &answer);
	if (!code && answer.m.type == MSG_QUOTA_LIST) {
		struct writer *w = settings_writer(s);
		write_quota_views(w, NULL, "", answer.m.u.quotas.v, answer.m.u.quotas.n);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	client_close(&c);
	return code;
}
