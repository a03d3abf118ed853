/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Children of a process that may be pid 1: it reaps everybody's, and tells who asked. One place does it, since whoever
 * waits for any child takes those of others. */
#pragma once

#include <sys/types.h>

#include "base/loop.h"

struct reaper;
int reaper_open(struct loop *loop, struct reaper **ret, struct err *err) VNE_MUST;
void reaper_close(struct reaper *r); /* NULL accepted */

/* For a child just made, before the loop goes on: ended() is called once. forget: never. */
void reaper_watch(struct reaper *r, pid_t pid, void (*ended)(void *arg, int status), void *arg);
void reaper_forget(struct reaper *r, pid_t pid);

/* As a shell shows it: 128 + the signal, or the code. */
int reaper_exit_code(int status);
