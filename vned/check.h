/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vned --check: what the configuration names, looked into without starting anything. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "vned/config.h"

/* Every fault as a line with the path and what to do about it, to `faults`; how many. Without any,
 * `summary` says what the substrate is. Of the directory `state` nothing stays that was not there. */
size_t vned_check(const struct vned_config *c, struct buf *faults, struct buf *summary);
