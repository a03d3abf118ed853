/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes both ways between two sockets: who dials into a guest has one end at once, the guest's comes later. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

struct relay;
struct relays { /* zeroed: none */
	struct relay *first;
	size_t n;
};
/* Takes both descriptors, also where it fails. It ends by itself when either side does. */
int relay_start(struct relays *all, struct loop *loop, int a, int b, struct err *err) VNE_MUST;
void relays_done(struct relays *all);
