/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands inside routers, for somebody at the far end of the wire: standard input, output and
 * error as messages. Bounded: so many at once, so much input waiting for a command that does not
 * read, and no output is read that the wire does not take. */
#pragma once

#include "base/loop.h"
#include "proto/message.h"
#include "vnagent/build.h"

struct exec_table;
/* send: queues a message; -EAGAIN: not now, it is asked again. */
struct exec_table *exec_table_new(struct loop *loop, int (*send)(void *arg, struct message *m), void *arg);
void exec_table_free(struct exec_table *t); /* ends all. NULL accepted */

/* EXEC: starts; what fails comes as EXEC_EXIT with the reason. */
void exec_start(struct exec_table *t, const struct builder *b, const struct message *m);
void exec_input(struct exec_table *t, const struct message *m); /* EXEC_INPUT */
void exec_end(struct exec_table *t, uint64_t id);               /* the client went away */
void exec_end_all(struct exec_table *t);                        /* the wire went down */
