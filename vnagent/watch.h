/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent's side of `vnagent-watch` (watch_wire.h): finds it or starts it, tells it what to watch, again where it has ended, and hands on
 * what it says. Nothing is started before there is something to watch. */
#pragma once

#include "base/loop.h"
#include "vnagent/watch_wire.h"

struct watch_options {
	struct loop *loop;
	const char *dir; /* where its socket is: the state directory, which exists */
	/* gone or state differs; each once for all that is known when it is found. */
	void (*link)(void *arg, const struct watch_link_state *state);
	void (*guard)(void *arg, const struct watch_guard_state *state);
	void *arg;
};

struct watch;
struct watch *watch_new(const struct watch_options *options);
void watch_leave(struct watch *w); /* the process ends: nothing is left that it could watch */
void watch_free(struct watch *w); /* the process goes on. NULL accepted */

/* From now on a network's guards, or all links, are these (copied). */
void watch_set_net(struct watch *w, uint32_t net, const struct watch_guard *v, size_t n);
void watch_set_links(struct watch *w, const struct watch_link *v, size_t n);
/* Every network that stands has been set: what else an earlier agent had watched is watched no more. */
void watch_settle(struct watch *w);
/* What is known, as it was told last. */
void watch_each_link(struct watch *w, void (*each)(void *arg, const struct watch_link_state *state), void *arg);
void watch_each_guard(struct watch *w, void (*each)(void *arg, const struct watch_guard_state *state), void *arg);
