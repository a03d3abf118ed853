/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What takes seconds, or listens to a guest: each job is a forked child of the helper, which may wait, and die. It ends with
 * its parent. */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "vnagent/xen/host.h"
#include "vnagent/xen/image.h"
#include "vnagent/xen_wire.h"

struct helper;

struct request {
	struct xen_message m;
	char *text;
	int fds[4];          /* -1: none */
	struct request *next;
	struct helper *owner;
	/* while it runs */
	pid_t pid;
	uint32_t domid;      /* of the guest, where it is known to be up: saves asking Xen; 0: not */
	uint32_t before;     /* a create: the domain that stood there when it began, which it removes */
	int result;          /* from the child; -1 */
	int64_t deadline_ms;
	bool waits;          /* for what a guest says */
	bool cancelled, ran; /* ran: the guest was up before: a create that fails leaves it */
	/* a create that has failed: what is left of it is being taken away, then this is the answer */
	bool cleaning;
	struct err why;
};

struct job_result {
	int32_t code;
	char text[ERR_TEXT_MAX];
};

/* fork + the job + exit. Results of XEN_CREATE, XEN_DESTROY, XEN_CONFIGURE, XEN_DETACH come as a struct job_result by
 * r->result; XEN_DIAL answers by XEN_FD itself; XEN_EXEC has no answer. */
int job_start(struct host *parent, const struct images *images, const char *script, struct request *r, struct err *err) VNE_MUST;

/* One message, one packet; fd -1: none. Blocks while the agent does not read. */
int message_send(const struct xen_message *m, const void *text, size_t len, int fd, int flags);
