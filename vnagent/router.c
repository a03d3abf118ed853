/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of router drivers: a new kind is one file and one line here. */
#include "vnagent/router.h"

#include <string.h>

const struct router_driver *const router_drivers[] = { &router_netns, &router_switch, &router_openflow, &router_xen, &router_fake, NULL };

const struct router_driver *router_driver_find(const char *kind)
{
	for (const struct router_driver *const *d = router_drivers; *d; d++)
		if (!strcmp((*d)->kind, kind))
			return *d;
	return NULL;
}
