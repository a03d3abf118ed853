/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Child processes, by posix_spawn (never fork: ZeroMQ has threads). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct child {
	pid_t pid;
	int in;  /* our end of its stdin, or -1; O_CLOEXEC | O_NONBLOCK; caller closes */
	int out; /* our end of its stdout, or -1 */
	int err; /* our end of its stderr, or -1 */
};

enum child_flags {
	CHILD_IN = 1,   /* pipe to its stdin; /dev/null without */
	CHILD_OUT = 2,  /* pipe from its stdout; ours without */
	CHILD_ERR = 4,  /* pipe from its stderr; ours without */
	CHILD_GROUP = 8 /* a process group of its own */
};

/* argv[0] is looked up in PATH unless it has a slash. env NULL: ours. Signal mask and
 * dispositions are reset. Errors: -ENOENT and what posix_spawn says. */
int child_spawn(struct child *ret, const char *const *argv, char *const *env, int flags,
                struct err *err) VNE_MUST;

/* Runs to the end, collects stdout (at most max bytes, then -E2BIG), kills at the deadline
 * (-ETIMEDOUT). *status as from waitpid. Blocks: not for daemons. Caller frees *out. */
int child_run(const char *const *argv, const char *input, int timeout_ms, size_t max, char **out,
              int *status, struct err *err) VNE_MUST;

/* The same with the deadline as a moment of clock_ms, and all that it wrote before it ended, was killed or
 * wrote too much in *out. Nothing of its process group outlives the call. */
int child_filter(const char *const *argv, const char *input, int64_t deadline_ms, size_t max, struct buf *out,
                 int *status, struct err *err) VNE_MUST;

/* Path of a sibling program: beside our own executable if it is there, else its bare name. Caller frees. */
char *child_sibling(const char *name);
