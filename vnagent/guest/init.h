/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What pid 1 of a guest does beside serving: mounts, modules, the shell on the console, the end. */
#pragma once

#include "vnagent/guest/reaper.h"

#define INIT_MODULES "/etc/vne/modules" /* files of modules, one a line, in the order of loading */

/* Before anything else. What fails is said on the console and gone on without: a guest that comes up half can be looked into. */
void init_machine(void);

/* A shell of root on the console, again and again. */
int init_console(struct loop *loop, struct reaper *reaper, struct err *err) VNE_MUST;

/* Ends the machine: on signals as busybox' poweroff, halt and reboot, and the kernel's ctrl-alt-del, send them. */
int init_signals(struct loop *loop, struct err *err) VNE_MUST;
