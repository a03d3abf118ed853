/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The helper's own part: messages in and out, the order of jobs, guests that live and die, their consoles and loads. Its loop
 * does nothing that waits: jobs.h. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "vnagent/xen/image.h"

struct helper_options {
	const struct images *images;
	const char *script; /* path of this program */
	bool balance;
};
int helper_run(const struct helper_options *options, struct err *err) VNE_MUST; /* until the agent is gone */
