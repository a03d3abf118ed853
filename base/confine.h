/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a process gives up for good, before it listens to anybody: capabilities, system calls, files,
 * its user. Nothing of it can be taken back, and children have no more than we do.
 *
 * All of these must come before the first thread, or they hold for the calling thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A capability (CAP_…, linux/capability.h), and what it is needed for. */
struct confine_cap {
	int cap;
	const char *why;
};

/* Keeps just these, where we have them: the others leave all sets, the bounding set too. From here on no
 * program that is executed has more than we have (no_new_privs), whatever its file says. */
int confine_caps(const struct confine_cap *keep, size_t n, struct err *err) VNE_MUST;
bool confine_has_cap(int cap); /* in our effective set */
/* "NET_ADMIN"; NULL where it has no name here. */
const char *confine_cap_name(int cap);

/* A system call and whether it is let through. A call that this architecture or libseccomp does not know
 * is passed over. `mask`: only where none of these bits are in argument 0 (0: whatever it is). */
struct confine_call {
	const char *name;
	uint64_t mask;
};

/* Of system calls only these (a list ends with a NULL name); what is not listed is answered ENOSYS, as by a kernel that
 * is too old for it: every library has an answer to that, so that a newer one costs a feature and no outage. */
int confine_calls_only(const struct confine_call *const *lists, size_t n, struct err *err) VNE_MUST;
/* All but these, which are answered EPERM, and but sockets of families that are not in `families` (n_families 0: any). */
int confine_calls_never(const struct confine_call *list, const int *families, size_t n_families, struct err *err) VNE_MUST;

/* What any program calls: files, memory, signals, time, threads, children; no new socket, no namespace. And what it takes to
 * speak over a network, families UNIX, INET, INET6 and NETLINK. */
extern const struct confine_call confine_ordinary[], confine_network[];

/* Below which directories files may be read and programs run, and below which also written (Landlock). What is missing is passed
 * over. Signals reach only those who are as confined (Linux 6.12). Where the kernel has no Landlock: -EOPNOTSUPP, and nothing has changed. */
struct confine_path {
	const char *path;
	bool write;
};
int confine_files(const struct confine_path *paths, size_t n, struct err *err) VNE_MUST;

/* Becomes this user, with its groups and an empty bounding set, for good; no more root. -ENOENT: there is none of this name. */
int confine_user(const char *name, struct err *err) VNE_MUST;
