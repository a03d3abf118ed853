/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent's configuration file; docs/configuration.md is its documentation. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "model/yaml.h"
#include "vnagent/uplink.h"

struct agent_underlay {
	char *device;
	int64_t bw_kbps;
};

struct agent_config {
	char *server, *server_key, *key, *state, *cgroup; /* paths absolute, or relative to where we are */
	struct agent_xen {
		char *helper;           /* NULL: the one beside vnagent */
		struct yaml_names images; /* NAME=DIRECTORY each */
		int balance;            /* 1: by load */
	} xen;
	struct yaml_names routers; /* n 0: not given */
	struct agent_underlay *underlay;
	size_t n_underlay;
	struct yaml_names programs; /* NAME=PATH each */
	struct addr *controllers; /* prefixes */
	size_t n_controllers;
	struct uplink_list uplinks;
};

/* -EINVAL: errors holds what is wrong, keys that cannot be read included; others: the file cannot be read. */
int agent_config_load(const char *path, struct yaml_errors *errors, struct agent_config *ret, struct err *err) VNE_MUST;
void agent_config_done(struct agent_config *c);
