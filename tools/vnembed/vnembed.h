/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of vnembed. */
#pragma once

/* Serves jobs of proto/worker.h from stdin until it ends. Returns the exit code. */
int worker_run(void);
