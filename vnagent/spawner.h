/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The spawner: a few tiny processes, forked before anything else exists in the agent, that
 * make router holders and run commands inside routers.
 *
 * Why not the agent itself: a fork of a process with ZeroMQ's threads is not safe, user
 * namespaces may only be joined by a process with a single thread, and a holder that is a copy of a small
 * process stays small (no keys, no plans, no sockets in it). Several of them share one
 * socket and take requests from it as they are free, which uses all cores. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { SPAWN_NAME_MAX = 64, SPAWN_CGROUP_MAX = 64, SPAWN_ARGS_MAX = 16 << 10, SPAWN_TEXT_MAX = 160 };

struct spawner; /* the agent's end */

/* Forks. Call it first in main: one thread, no other descriptors. argv is main's own: holders
 * write what they are over it, for ps and for a restarted agent to read. -EINVAL where argv and
 * environment together are too short for that. */
int spawner_start(int argc, char **argv, struct spawner **ret, struct err *err) VNE_MUST;
void spawner_stop(struct spawner *s); /* the spawner ends; routers and commands go on. NULL accepted */
int spawner_fd(const struct spawner *s); /* readable when an answer waits, or the spawner is gone */

struct spawn_router {
	uint32_t net, router;
	char name[SPAWN_NAME_MAX];     /* becomes the host name */
	char cgroup[SPAWN_CGROUP_MAX]; /* parent of its group, see cgroup.h; "": none */
	uint64_t home_net;             /* filled in: ns_net_cookie of where its host-side ports live */
};
/* Asks for a holder; the answer comes over spawner_fd. -EAGAIN: too many asked for, wait for an answer. */
int spawner_create(struct spawner *s, const struct spawn_router *r, struct err *err) VNE_MUST;

struct spawn_answer {
	uint32_t net, router;
	int code; /* 0, or why there is none */
	char text[SPAWN_TEXT_MAX];
	pid_t pid;
	int pidfd, netns_fd; /* the caller's to close; -1 where code is set */
};
/* Never blocks. -EAGAIN: none yet; -EPIPE: the spawner is gone. */
int spawner_receive(struct spawner *s, struct spawn_answer *ret, struct err *err) VNE_MUST;

struct spawn_command {
	uint32_t net, router;
	char cgroup[SPAWN_CGROUP_MAX];
	int pidfd;             /* of the holder */
	int in, out, error;    /* the command's stdin, stdout, stderr */
	int control;           /* our partner's end: when it closes, the command is killed; the exit
	                        * code of a shell (int, 4 bytes) is written to it when it ends, before that
	                        * possibly a text (the reason why it could not start) */
	const char *const *argv;
	size_t argc;
};
/* Runs a command as root of the router. The descriptors stay the caller's (it may close them
 * at once). -E2BIG: arguments beyond SPAWN_ARGS_MAX. */
int spawner_run(struct spawner *s, const struct spawn_command *c, struct err *err) VNE_MUST;

/* What a command's control socket says at its end. */
struct spawn_exit {
	int32_t code;
	char text[SPAWN_TEXT_MAX]; /* "" unless it could not start */
};

/* Holders that live, found in /proc: ours are the children of our user namespace whose first
 * process of a pid namespace carries the title, written where no tenant can write, with the
 * number of our network namespace. pidfd and netns_fd of each are the caller's. */
struct holder {
	uint32_t net, router;
	pid_t pid;
	int pidfd, netns_fd;
};
int holders_find(struct holder **ret, size_t *ret_n, struct err *err) VNE_MUST;
