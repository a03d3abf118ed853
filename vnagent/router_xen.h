/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers of kind `xen`: guests, made by the helper vnagent-xen. What the driver has beside the table of router.h. */
#pragma once

#include "vnagent/router.h"

struct router_xen_options {
	const char *helper;         /* path; NULL: vnagent-xen beside the agent's own program */
	const char *const *images;  /* NAME=DIRECTORY each */
	size_t n_images;
	bool balance;               /* spread vcpus over cores by load */
};
/* Before probe and open; copied. Without it: the default helper, no images. */
void router_xen_set(const struct router_xen_options *options);
