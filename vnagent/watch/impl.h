/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnagent-watch from inside: control.c speaks to the agent, guards.c watches protected links and switches them, links.c watches the
 * underlay. One loop; each keeps its own sockets in it. */
#pragma once

#include "base/loop.h"
#include "vnagent/watch_wire.h"

struct control;
struct guards;
struct links;

struct watcher {
	struct loop *loop;
	struct control *control;
	struct guards *guards;
	struct links *links;
};

/* listener: of watch.sock, ours from now on. */
int control_open(struct watcher *w, int listener, struct err *err) VNE_MUST;
void control_close(struct watcher *w);
/* To the agent, where there is one. */
void control_tell_link(struct watcher *w, const struct watch_link_state *state);
void control_tell_guard(struct watcher *w, const struct watch_guard_state *state);

int guards_open(struct watcher *w, struct err *err) VNE_MUST;
void guards_close(struct watcher *w);
/* The guards of a network are these from now on; what stays keeps its state. */
void guards_set(struct watcher *w, uint32_t net, const struct watch_guard *v, size_t n);
void guards_tell_all(struct watcher *w);
size_t guards_count(const struct watcher *w);

int links_open(struct watcher *w, struct err *err) VNE_MUST;
void links_close(struct watcher *w); /* tells the far ends that it is on purpose */
/* Links that are down and not listed any more are listened to until they are up. */
void links_set(struct watcher *w, const struct watch_link *v, size_t n);
void links_tell_all(struct watcher *w);
size_t links_count(const struct watcher *w); /* without those */
