/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last things that happened, in a ring. Sequences grow by one; the first comes from the wall
 * clock, so that after a restart a client's "since" does not lie ahead. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/view.h"

struct events;
/* published: called for each new one, may be NULL. */
struct events *events_new(size_t keep, void (*published)(void *arg, const struct event_view *event), void *arg);
void events_free(struct events *e);
void events_publish(struct events *e, const char *kind, const char *object, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Copies of those after `since`, oldest first; the caller frees each and the array. */
void events_since(const struct events *e, uint64_t since, struct event_view **ret, size_t *ret_n);
uint64_t events_last(const struct events *e);
