/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the helper says to vnguest (guest_wire.h). Each conversation is in a process of its own that does nothing else, so it may
 * wait, and a guest that stalls, floods or lies harms that process only. All is bounded in bytes and time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Sends a request of one frame and waits for its 'x'; 0, the guest's errno as negative, or what went wrong. */
int talk_ask(int fd, char type, const void *data, size_t len, int64_t deadline_ms, struct err *err) VNE_MUST;
int talk_apply(int fd, const char *setup, size_t len, int64_t deadline_ms, struct err *err) VNE_MUST;
/* Carries a command to its end: fds are in, out, error, control of spawner.h. Its end is written to control. */
void talk_exec(int fd, const char *words, size_t len, const int fds[4]);
/* Ends a command's control end. */
void talk_end(int control, int code, const char *text);
/* Makes what a guest said fit for people: no control characters but line ends, valid for a terminal; in place. */
void talk_clean(char *text);
