/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is inside a router, as text: how kinds whose inside is no namespace of this kernel are told their addresses, routes
 * and routing. Declarative: the reader adds what is missing, takes away what it set before and is not there any more, and
 * touches nothing that stays. Written by the agent, read by vnguest (vnagent/guest), which is pid 1 of a guest. One item a
 * line, words parted by one blank; names and addresses are checked by model/, so nothing needs quoting:
 *
 *     vne 1                                        version of this format, first
 *     router r1                                    host name
 *     port MAC IFNAME MTU [ADDRESS/PREFIX]         an interface, known by its MAC; renamed
 *     loopback ADDRESS/PREFIX
 *     route PREFIX via ADDRESS dev IFNAME [src ADDRESS]
 *     bird                                         all that follows, to the end, is BIRD's configuration; without it none runs
 *
 * The guest's control interface is the one with MAC 0a:56:4e:45:00:00 (GUEST_CONTROL_MAC in guest_wire.h) and is named `ctl`. */
#pragma once

#include "base/buf.h"
#include "model/plan.h"

/* ports: those of router r. bird: its configuration, NULL where none is to run. */
void setup_write(const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, const char *bird, struct buf *out);
