/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's end of vnagent/guest_wire.h: who connects on the control interface, and what is done for them. */
#pragma once

#include "vnagent/guest/bird.h"
#include "vnagent/guest/inside.h"
#include "vnagent/guest/reaper.h"

struct serve;
struct serve *serve_new(struct loop *loop, struct reaper *reaper, struct inside *inside, struct bird *bird);
void serve_free(struct serve *s); /* ends commands and connections. NULL accepted */

/* Listens on GUEST_PORT of fe80::2 on this interface, and there only; instead of the one before. */
int serve_listen(struct serve *s, uint32_t ifindex, struct err *err) VNE_MUST;

/* Applies a setup: routes and addresses, and BIRD; done as bird_set's. */
void serve_apply(struct serve *s, const char *text, size_t len, void (*done)(void *arg, int code, const char *text), void *arg);

/* Connections of a test's own: fd is taken over, non-blocking. */
int serve_take(struct serve *s, int fd, struct err *err) VNE_MUST;
