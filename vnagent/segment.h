/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segment drivers: how frames travel over one substrate link. One table per kind. */
#pragma once

#include <stdint.h>

#include "base/nl.h"
#include "model/plan.h"
#include "vnagent/device.h"

struct segment_driver {
	const char *kind;
	/* Messages that make the device, down, marked as ours: it is dev's name, number and group. */
	/* share: of its owner, tc_share_of. */
	void (*put_create)(struct nl_batch *b, const struct device *dev, const struct plan_segment *segment, uint16_t share);
};

extern const struct segment_driver segment_vxlan;
