/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Against trains of tiny frames. A router may hand over many frames as one packet
 * (UDP_SEGMENT, a small TCP_MAXSEG). TBF takes such a packet apart, and charges each frame its
 * encapsulation, only when it is longer than one frame may be; so a train of tiny frames that together are
 * shorter would be charged as one. */
#pragma once

/* The descriptor of a program for the classifier bpf that drops those and lets all else go on to
 * the next filter; loaded with the first call, it stays. -1 where this is not allowed (a rootless lab) or known
 * (before Linux 5.12). What is left uncharged then and with it: vnagent/README.md. */
int gso_guard_fd(void);
