/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One command inside a router, from the agent's loop: it reads a text, its output is lost, its end is reported. */
#pragma once

#include "base/loop.h"
#include "vnagent/router.h"

struct inside_run;
struct inside_run_options {
	struct loop *loop;
	const struct router_driver *ops; /* one that can exec */
	void *self;
	struct router_key key;
	const char *const *argv; /* as input: valid during the call */
	size_t argc;
	const char *input;
	/* Once, from the loop: 0, its exit code, or 128 + signal; text: "" unless it could not start. The run is freed already. */
	void (*ended)(void *arg, int code, const char *text);
	void *arg;
};
int inside_run_start(const struct inside_run_options *options, struct inside_run **ret, struct err *err) VNE_MUST;
void inside_run_end(struct inside_run *run); /* killed if it still runs; `ended` is not called. NULL accepted */
