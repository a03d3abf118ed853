/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of every message of vne.proto. Private to proto/. */
#pragma once

#include "proto/convert.h"
#include "proto/message.h"
#include "proto/vne.pb-c.h"

struct message_body {
	const char *name;
	const struct shape *shape; /* of struct message with this body */
};
extern const struct message_body message_bodies[MSG_TYPES]; /* [0] is empty */
extern const struct shape *const node_plan_shape;
