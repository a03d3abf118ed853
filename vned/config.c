/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the configuration by a table, then checks what no single key shows. */
#include "vned/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/endpoint.h"

enum { SOLVER_MAX = 255 }; /* what a job holds */

#define KEY(key, reader, required, expected) \
	{ #key, reader, offsetof(struct vned_config, key), required, NULL, expected }
#define DURATION(key, field) \
	{ #key, yaml_read_duration, offsetof(struct vned_config, field), false, NULL, "a duration such as 3s" }
static const struct yaml_key keys[] = {
	{ "kind", yaml_read_ignore, 0, true, NULL, "kind: vned" },
	KEY(substrate, yaml_read_string, true, "the file of the substrate that it coordinates"),
	KEY(listen, endpoint_read_listen, true, "a list of addresses such as tcp://127.0.0.1:7410, or tcp://fd:NUMBER"),
	KEY(tenants, yaml_read_string, false, "the file of what tenants may have"),
	KEY(local, yaml_read_string, false, "the path of a socket file for this machine, such as /run/vned/vned.sock"),
	KEY(metrics, endpoint_read_http, false, "ADDRESS:PORT such as 127.0.0.1:7411, or fd:NUMBER"),
	KEY(key, yaml_read_string, true, "the file of its key, role coordinator"),
	KEY(allow, yaml_read_string, true, "the directory of the keys that may connect"),
	KEY(state, yaml_read_string, true, "the directory for what must survive a restart"),
	KEY(solver, yaml_read_string, false, "the name of a solver of vnembed"),
	KEY(user, yaml_read_string, false, "the name of the user that vned becomes where root starts it"),
	DURATION(time_limit, time_limit_us),
	KEY(workers, yaml_read_count, false, "the number of solver processes, 1 to 64"),
	DURATION(heartbeat, heartbeat_us),
	DURATION(timeout, timeout_us),
	DURATION(prepare_timeout, prepare_timeout_us),
	DURATION(guest_timeout, guest_timeout_us),
	DURATION(routing_timeout, routing_timeout_us),
	DURATION(repair_after, repair_after_us),
	DURATION(flap_hold, flap_hold_us),
	{ 0 },
};

static void check(const struct yaml_node *root, const struct vned_config *c, struct yaml_errors *errors)
{
	static const struct {
		const char *key;
		size_t offset;
		int64_t min, max;
		const char *expected;
	} ranges[] = {
		{ "workers", offsetof(struct vned_config, workers), 1, 64, "1 to 64" },
		{ "time_limit", offsetof(struct vned_config, time_limit_us), 10000, INT64_C(86400000000), "10ms to 1d" },
		{ "heartbeat", offsetof(struct vned_config, heartbeat_us), 10000, INT64_C(60000000), "10ms to 60s" },
		{ "timeout", offsetof(struct vned_config, timeout_us), 50000, INT64_C(3600000000), "50ms to 1h" },
		{ "prepare_timeout", offsetof(struct vned_config, prepare_timeout_us), 100000, INT64_C(3600000000), "100ms to 1h" },
		{ "guest_timeout", offsetof(struct vned_config, guest_timeout_us), 100000, INT64_C(3600000000), "100ms to 1h" },
		{ "routing_timeout", offsetof(struct vned_config, routing_timeout_us), 100000, INT64_C(3600000000), "100ms to 1h" },
		{ "repair_after", offsetof(struct vned_config, repair_after_us), 0, INT64_C(86400000000), "0s to 1d" },
		{ "flap_hold", offsetof(struct vned_config, flap_hold_us), 0, INT64_C(300000000), "0s to 5m" },
	};
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		int64_t v = *(const int64_t *)((const char *)c + ranges[i].offset);
		const struct yaml_node *node = yaml_get(root, ranges[i].key);
		if (node && (v < ranges[i].min || v > ranges[i].max))
			yaml_error(errors, node->mark, "%s is out of range; expected %s", ranges[i].key, ranges[i].expected);
	}
	const struct yaml_node *solver = yaml_get(root, "solver");
	if (solver && c->solver && (strlen(c->solver) > SOLVER_MAX || strcmp(c->solver, "exec:") == 0 ||
	                            (strncmp(c->solver, "exec:", 5) == 0 && c->solver[5] != '/')))
		yaml_error(errors, solver->mark, "solver \"%.70s\"; expected the name of a solver of vnembed, or exec: and the absolute "
		           "path of a program", c->solver);
	const struct yaml_node *timeout = yaml_get(root, "timeout"), *heartbeat = yaml_get(root, "heartbeat");
	if (c->timeout_us < 2 * c->heartbeat_us && (timeout || heartbeat))
		yaml_error(errors, timeout ? timeout->mark : heartbeat->mark,
		           "timeout is less than two heartbeats; expected at least twice heartbeat");
}

static void beside(const char *file, char **path)
{
	const char *slash = strrchr(file, '/');
	if (!*path || (*path)[0] == '/' || !slash)
		return;
	char *full = mem_printf("%.*s/%s", (int)(slash - file), file, *path);
	free(*path);
	*path = full;
}

static void parse(const char *text, size_t len, struct yaml_errors *errors, struct vned_config *c)
{
	struct yaml_doc **docs;
	size_t n;
	yaml_parse(text, len, errors, &docs, &n);
	if (n != 1)
		yaml_error(errors, (struct yaml_mark){ 1, 1 }, "%zu documents; expected one, kind: vned", n);
	const char *kind = n == 1 && errors->n == 0 ? yaml_kind(docs[0], "vned", errors) : NULL;
	if (kind && strcmp(kind, "vned") != 0)
		yaml_error(errors, yaml_get(yaml_root(docs[0]), "kind")->mark, "kind %s; expected vned", kind);
	else if (kind) {
		yaml_read_mapping(yaml_root(docs[0]), keys, c, NULL, errors);
		check(yaml_root(docs[0]), c, errors);
	}
	yaml_free_docs(docs, n);
}

int vned_config_load(const char *path, struct yaml_errors *errors, struct vned_config *ret, struct err *err)
{
	char *text;
	size_t len;
	int r = yaml_load_file(path, &text, &len, err);
	if (r < 0)
		return r;
	errors->file = path;
	struct vned_config c = { .time_limit_us = 5000000, .heartbeat_us = 1000000, .timeout_us = 3000000,
		                     .prepare_timeout_us = 30000000, .guest_timeout_us = 60000000, .routing_timeout_us = 30000000, .repair_after_us = 10000000, .flap_hold_us = 5000000, .workers = 1 };
	parse(text, len, errors, &c);
	free(text);
	if (errors->n > 0) {
		vned_config_done(&c);
		return err_set(err, -EINVAL, "%s: %zu error%s", path, errors->n, errors->n > 1 ? "s" : "");
	}
	char **paths[] = { &c.substrate, &c.key, &c.allow, &c.state, &c.local, &c.tenants };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		beside(path, paths[i]);
	if (!c.solver)
		c.solver = mem_str("auto");
	*ret = c;
	return 0;
}

void vned_config_done(struct vned_config *c)
{
	free(c->substrate);
	free(c->key);
	free(c->allow);
	free(c->state);
	free(c->tenants);
	free(c->local);
	free(c->metrics);
	free(c->solver);
	free(c->user);
	yaml_names_done(&c->listen);
	*c = (struct vned_config){ 0 };
}
