/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a daemon tells whoever supervises it (systemd, vnlab): the datagram of sd_notify(3),
 * without its library. */
#pragma once

/* state: "READY=1", "STOPPING=1". Nothing where NOTIFY_SOCKET is not set; a warning in the log where
 * it is set and nobody can be told. Never blocks. */
void notify_supervisor(const char *state);
