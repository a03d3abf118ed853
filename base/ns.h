/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Namespaces of the kernel: open, compare, visit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A descriptor (O_CLOEXEC) of a process' namespace; type "net", "user", "pid" …; pid 0: ours. */
int ns_open(pid_t pid, const char *type, int *ret_fd, struct err *err) VNE_MUST;
/* The number that names the namespace in /proc (`net:[4026531840]`), unique while it lives. */
int ns_number(int fd, uint64_t *ret, struct err *err) VNE_MUST;

/* A number for the network namespace that we are in, never used again while the machine runs (the one
 * above is); on kernels before 5.14 it is the one above. */
int ns_net_cookie(uint64_t *ret, struct err *err) VNE_MUST;

/* Runs `what` with the calling thread inside the network namespace, then comes back. Needs
 * CAP_SYS_ADMIN there and here. Not being able to come back would be building in the wrong place: it ends
 * the process. Cost: two setns, about 10 µs each. */
int ns_visit_net(int netns_fd, int (*what)(void *arg, struct err *err), void *arg, struct err *err) VNE_MUST;
