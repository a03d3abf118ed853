/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vned gives up before it listens to anybody. */
#pragma once

#include "vned/config.h"

/* Where root has started it, it becomes `user`; then in any case: no capability, no new privileges, writes below its state
 * directory, its allow-list and its socket file's folder only (where the kernel has Landlock), no system call that it has no use for. Makes the state directory where
 * there is none, for the user to own. To be called before the first thread. */
int vned_confine(const struct vned_config *c, struct err *err) VNE_MUST;
