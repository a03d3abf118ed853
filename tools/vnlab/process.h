/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The daemons of a lab, as the supervisor starts and sees them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "tools/vnlab/lab.h"

enum process_state { PROCESS_OFF, PROCESS_STARTING, PROCESS_READY, PROCESS_ENDED };

struct process {
	char name[64];         /* "vned", or the node's */
	enum process_state state;
	pid_t pid;             /* as the supervisor sees it */
	int pidfd;             /* -1 unless it runs */
	int status;            /* as from waitpid, with ENDED */
	int node_pidfd;        /* of the node whose namespaces it belongs into; -1: the lab's own */
	const char *program;   /* path */
	const char *config;    /* path */
	bool sockets;          /* gets the sockets on the machine's 127.0.0.1 as 3 and 4 */
};

int process_start(const struct lab *lab, struct process *p, struct err *err) VNE_MUST;
void process_ended(struct process *p, int status);
bool process_runs(const struct process *p);
/* "ready", "starting", "off", "ended: exit code 2", "ended: signal 9 (Killed)". */
const char *process_text(const struct process *p, char text[static 96]);
/* The last line that it wrote to its log, for an error message. */
void process_last_words(const struct lab *lab, const struct process *p, char text[static 256]);
