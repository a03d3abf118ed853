/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What routers know of the ways to others, for somebody who asks: their tables, as `ip route` inside tells them, and
 * what their routing last heard of their neighbours. It is asked as any command is run inside a router (exec.h), so
 * every kind that runs commands answers; what it says is a tenant's word, bounded, and shown as that router's. */
#pragma once

#include "base/loop.h"
#include "proto/message.h"
#include "vnagent/build.h"

struct routes;
/* send: queues a message, of which it keeps nothing; where it fails, the answer is lost and vned tells so. */
struct routes *routes_new(struct loop *loop, int (*send)(void *arg, struct message *m), void *arg);
void routes_free(struct routes *r); /* NULL accepted */

/* ROUTES: answered by one ROUTE_LIST per router of the network here, as they come; those that answer not within ROUTES_MS
 * (ROUTES_GUEST_MS: guests) are told with the reason. */
enum { ROUTES_MS = 2500, ROUTES_GUEST_MS = 9500 };
void routes_ask(struct routes *r, const struct builder *b, const struct message *m);
void routes_end_all(struct routes *r); /* the wire went down */

/* Reads what `ip -4 -o route; echo; ip -6 -o route` printed, at most ROUTES_SHOWN_MAX of it. Lines that are none are passed over. */
void routes_read(const char *text, struct routes_view *ret);
