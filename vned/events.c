/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See events.h. Slot of an event: its sequence modulo the size. */
#include "vned/events.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"

struct events {
	struct event_view *ring;
	size_t keep, n; /* n: how many are in it */
	uint64_t last;
	void (*published)(void *arg, const struct event_view *event);
	void *arg;
};

struct events *events_new(size_t keep, void (*published)(void *arg, const struct event_view *event), void *arg)
{
	struct events *e = mem_alloc(sizeof(*e));
	e->ring = mem_array(keep, sizeof(*e->ring));
	e->keep = keep;
	e->last = (uint64_t)clock_wall_ms() * 1000;
	e->published = published;
	e->arg = arg;
	return e;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->keep; i++)
		event_view_done(&e->ring[i]);
	free(e->ring);
	free(e);
}

void events_publish(struct events *e, const char *kind, const char *object, const char *format, ...)
{
	buf_auto struct buf what = BUF_INIT;
	va_list ap;
	va_start(ap, format);
	buf_vprintf(&what, format, ap);
	va_end(ap);
	struct event_view *slot = &e->ring[++e->last % e->keep];
	event_view_done(slot);
	*slot = (struct event_view){ .sequence = e->last, .wall_ms = (uint64_t)clock_wall_ms(), .kind = mem_str(kind),
		                         .object = mem_str(object), .what = mem_strn(buf_cstr(&what), what.len < 4000 ? what.len : 4000) };
	if (e->n < e->keep)
		e->n++;
	if (e->published)
		e->published(e->arg, slot);
}

void events_since(const struct events *e, uint64_t since, struct event_view **ret, size_t *ret_n)
{
	uint64_t first = e->last - e->n + 1;
	if (since >= first && since < e->last)
		first = since + 1;
	size_t n = since < e->last && e->n > 0 ? (size_t)(e->last - first + 1) : 0; /* an empty ring, or all seen */
	struct event_view *v = mem_array(n ? n : 1, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		const struct event_view *from = &e->ring[(first + i) % e->keep];
		v[i] = (struct event_view){ .sequence = from->sequence, .wall_ms = from->wall_ms, .kind = mem_str(from->kind),
			                        .object = mem_str(from->object), .what = mem_str(from->what) };
	}
	*ret = v;
	*ret_n = n;
}

uint64_t events_last(const struct events *e)
{
	return e->last;
}
