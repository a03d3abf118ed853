/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a lab lives: vnlab makes it there, vnctl looks there for its client.yaml. The one thing
 * that two tools have to agree on, so it stands in a header of its own. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

/* $VNE_LAB_DIR; else /run/vnlab for root, $XDG_RUNTIME_DIR/vnlab or /tmp/vnlab-UID for others.
 * Caller frees. */
static inline char *lab_dir_default(void)
{
	const char *dir = getenv("VNE_LAB_DIR");
	if (dir && *dir)
		return mem_str(dir);
	if (geteuid() == 0)
		return mem_str("/run/vnlab");
	dir = getenv("XDG_RUNTIME_DIR");
	if (dir && *dir == '/')
		return mem_printf("%s/vnlab", dir);
	return mem_printf("/tmp/vnlab-%ld", (long)geteuid());
}
