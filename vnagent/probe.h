/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this machine can do, found out by doing it: in a child process, in a network namespace of
 * its own that ends with it. */
#pragma once

#include "base/err.h"
#include "model/load.h"

/* Kinds: those of the drivers (`wanted`, NULL-ended; NULL: all that need no asking for) and whether each works here.
 * Features: only where a kind with a data plane is among them. Forks: call it before there are threads.
 * Takes about 10 ms. */
int probe_run(const char *const *wanted, struct node_probe *ret, struct err *err) VNE_MUST;

/* `vnagent --check`. Returns the exit code: 0 where routers of some kind can be hosted, else 1. */
int probe_print(const struct node_probe *probe, bool json);
