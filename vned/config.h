/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The coordinator's configuration, docs/configuration.md. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "model/yaml.h"

struct vned_config {
	char *substrate, *key, *allow, *state; /* paths; relative ones made relative to the file */
	struct yaml_names listen;
	char *tenants; /* the file of quotas; NULL: none */
	char *local;   /* the socket file for this machine; NULL: none */
	char *metrics; /* NULL: no HTTP */
	char *solver;
	char *user;    /* whom vned becomes where root starts it; NULL: nobody else */
	int64_t time_limit_us, heartbeat_us, timeout_us, prepare_timeout_us, guest_timeout_us, routing_timeout_us, repair_after_us, flap_hold_us;
	int64_t workers;
	const struct store_driver *store; /* not in the file; NULL: SQLite */
};

/* Errors go to `errors` with their places; -EINVAL where there were some. */
int vned_config_load(const char *path, struct yaml_errors *errors, struct vned_config *ret, struct err *err) VNE_MUST;
void vned_config_done(struct vned_config *c);
