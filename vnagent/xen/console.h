/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A guest's console: its terminal (xenconsoled's) is kept open, what it says last is kept, people may join. Without them it
 * is read at each tick only, a bounded amount; what more a guest says, xenconsoled throws away. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

enum { CONSOLE_RING = 4 << 10, CONSOLE_SESSIONS_MAX = 8, CONSOLE_TAIL = 600, CONSOLE_TAIL_LINES = 5 };

struct console;
int console_open(struct loop *loop, const char *path, struct console **ret, struct err *err) VNE_MUST;
void console_close(struct console *c); /* sessions end; NULL accepted */
void console_tick(struct console *c);  /* NULL accepted */
/* fds: in, out, error, control, as spawner.h; taken over in any case. */
void console_join(struct console *c, const int fds[4]);
/* The last lines, cleaned, for a reason: "; its console: …", or nothing. NULL accepted. */
void console_tail(struct console *c, struct buf *out);
/* Pure: the last lines of so many bytes. */
void console_tail_of(const char *data, size_t len, struct buf *out);
