/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The place of forwarding planes: one filter at the egress of the host-side device of a router's port, where packets leave for the
 * router. It holds its program, and so that program's maps; replacing it is from one packet to the next. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/nl.h"

enum { PLANE_NAME_MAX = 63 };
/* name: found again by plane_standing; classid: what the program reads as skb->tc_classid. */
void plane_put(struct nl_batch *b, uint32_t ifindex, int program, const char *name, uint32_t classid);
void plane_put_none(struct nl_batch *b, uint32_t ifindex); /* none, also where there was none */

struct plane_standing { /* zeroed: none */
	uint32_t program; /* its number */
	uint32_t classid;
	char name[PLANE_NAME_MAX + 1];
};
/* Asks the kernel; b is used for it and empty again. */
void plane_standing(struct nl *nl, struct nl_batch *b, uint32_t ifindex, struct plane_standing *ret);
