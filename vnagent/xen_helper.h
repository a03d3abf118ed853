/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The process vnagent-xen: starting it, and packets to and from it (xen_wire.h). Nothing in here knows guests. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "vnagent/router_xen.h"
#include "vnagent/xen_wire.h"

/* Starts it. *ret_fd: our end, non-blocking. The child is the caller's to wait for. */
int xen_helper_start(const struct router_xen_options *options, pid_t *ret_pid, int *ret_fd, struct err *err) VNE_MUST;
/* One packet; -EAGAIN: not now. fds: n of them, duplicated. */
int xen_helper_send(int fd, const struct xen_message *m, const void *text, const int *fds, size_t n) VNE_MUST;
/* One packet into `packet` (XEN_PACKET_MAX bytes); the text behind the head is ended by NUL. *ret_fd: -1 or a descriptor, the
 * caller's. -EAGAIN: none; -EPIPE: it is gone; -EPROTO: no packet of ours. */
enum { XEN_PACKET_MAX = sizeof(struct xen_message) + XEN_TEXT_MAX + 1 };
int xen_helper_receive(int fd, void *packet, struct xen_message *ret, int *ret_fd) VNE_MUST;
enum { XEN_SYNC_MS = 20000 };
/* Waits for one packet, where there is no loop yet; descriptors that come with it are dropped. -ETIMEDOUT: none until until_ms, which is
 * XEN_SYNC_MS after the question. */
int xen_helper_receive_now(int fd, void *packet, struct xen_message *ret, int64_t until_ms, struct err *err) VNE_MUST;
