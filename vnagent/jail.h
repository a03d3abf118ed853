/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mount namespace that routers' mount namespaces are copies of. Internal to the spawner.
 *
 * What a router shall not undo must be laid before its user namespace exists: the kernel locks
 * what is copied into a less privileged user namespace (mounts, what they cover, read-only,
 * nosuid, nodev), and nothing of what is mounted in there. So this is made once per process of the
 * spawner, and a holder is cloned while that process is inside. */
#pragma once

#include "base/err.h"

/* Goes inside; the first call makes it. Needs a process of a single thread with CAP_SYS_ADMIN. */
int jail_enter(struct err *err) VNE_MUST;
void jail_leave(void); /* back; not being able to ends the process */
