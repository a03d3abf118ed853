/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event loop of a daemon: epoll over descriptors, timers, signals, ends of children.
 * One thread. Callbacks never block, and take a bounded amount of work at a time. A source
 * may be freed from any callback, its own included. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct loop;
struct loop_source;

int loop_new(struct loop **ret, struct err *err) VNE_MUST;
void loop_free(struct loop *loop); /* frees what is still registered */
int loop_run(struct loop *loop, struct err *err) VNE_MUST; /* until loop_stop */
void loop_stop(struct loop *loop); /* before loop_run: that returns at once */

/* events: EPOLLIN | EPOLLOUT; `ready` also hears EPOLLHUP and EPOLLERR. The loop does not own fd,
 * which must stay open until the source is removed. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events,
                void (*ready)(void *arg, uint32_t events), void *arg,
                struct loop_source **ret, struct err *err) VNE_MUST;
int loop_set_events(struct loop_source *source, uint32_t events, struct err *err) VNE_MUST;

/* `ret` may be NULL everywhere here: the source then lives as long as the loop.
 * First after delay_ms, then every repeat_ms (0: once; the source stays until freed or set again). */
int loop_add_timer(struct loop *loop, int64_t delay_ms, int64_t repeat_ms, void (*due)(void *arg),
                   void *arg, struct loop_source **ret, struct err *err) VNE_MUST;
void loop_set_timer(struct loop_source *source, int64_t delay_ms, int64_t repeat_ms); /* -1: off */

/* Blocks the signal for the process and delivers it here. */
int loop_add_signal(struct loop *loop, int signo, void (*caught)(void *arg), void *arg,
                    struct loop_source **ret, struct err *err) VNE_MUST;

/* Reports once, when the child pid has ended; reaps it. status as from waitpid. Removing the
 * source neither kills nor reaps. */
int loop_add_child(struct loop *loop, pid_t pid, void (*ended)(void *arg, int status), void *arg,
                   struct loop_source **ret, struct err *err) VNE_MUST;

/* Called before every wait. Returns true while it has more work (then the wait does not
 * block): what edge-triggered descriptors such as ZMQ_FD need. */
int loop_add_prepare(struct loop *loop, bool (*prepare)(void *arg), void *arg,
                     struct loop_source **ret, struct err *err) VNE_MUST;

void loop_remove(struct loop_source *source); /* NULL accepted */

int64_t clock_ms(void);      /* monotonic */
int64_t clock_us(void);      /* monotonic */
int64_t clock_wall_ms(void); /* since the epoch, UTC */
