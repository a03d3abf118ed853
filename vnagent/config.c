/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the agent's configuration by a table; see config.h. The keys that it names are looked into
 * here, because here is known which line names them. */
#include "vnagent/config.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/endpoint.h"
#include "model/units.h"
#include "proto/keys.h"

enum { UNDERLAY_MAX = 4096, IMAGES_MAX = 16, CGROUP_NAME_MAX = 63 };

static const struct yaml_key underlay_keys[] = {
	{ "device", yaml_read_string, offsetof(struct agent_underlay, device), true, NULL, "the name of a network device" },
	{ "bandwidth", yaml_read_bandwidth, offsetof(struct agent_underlay, bw_kbps), true, NULL, NULL },
	{ 0 },
};

static void read_underlay(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct agent_config *c = into;
	if (node->type != YAML_SEQUENCE || node->n > UNDERLAY_MAX) {
		yaml_error(errors, node->mark, "underlay is not as it should be; expected %s", key->expected);
		return;
	}
	c->underlay = mem_array(node->n + 1, sizeof(*c->underlay));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		struct agent_underlay *u = &c->underlay[c->n_underlay++];
		u->bw_kbps = -1; /* where it cannot be read, that has been said */
		yaml_read_mapping(item, underlay_keys, u, NULL, errors);
		if (u->device && (!*u->device || strlen(u->device) >= IFNAMSIZ))
			yaml_error(errors, item->mark, "no device can be called \"%s\"; expected 1 to 15 bytes", u->device);
		const struct yaml_node *bandwidth = item->type == YAML_MAPPING ? yaml_get(item, "bandwidth") : NULL;
		if (bandwidth && bandwidth->type == YAML_SCALAR && u->bw_kbps == 0)
			yaml_error(errors, bandwidth->mark, "a device without bandwidth carries nothing; expected more than 0");
	}
}

static const char *const balances[] = { "none", "load", NULL };

static void read_images(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct yaml_names *images = into;
	if (node->type != YAML_MAPPING || node->n > IMAGES_MAX) {
		yaml_error(errors, node->mark, "images is not as it should be; expected %s, at most %d", key->expected, IMAGES_MAX);
		return;
	}
	images->v = mem_array(node->n + 1, sizeof(*images->v));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		struct err err = { 0 };
		if (name_check(item->key, strlen(item->key), &err))
			yaml_error(errors, item->mark, "image: %s", err.text);
		else if (item->type != YAML_SCALAR || !*item->text)
			yaml_error(errors, item->mark, "image %s: expected the directory that vnimage has made", item->key);
		else
			images->v[images->n++] = mem_printf("%s=%s", item->key, item->text);
	}
}

static void read_programs(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct yaml_names *programs = &((struct agent_config *)into)->programs;
	if (node->type != YAML_MAPPING || node->n > IMAGES_MAX) {
		yaml_error(errors, node->mark, "programs is not as it should be; expected %s, at most %d", key->expected, IMAGES_MAX);
		return;
	}
	programs->v = mem_array(node->n + 1, sizeof(*programs->v));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		struct err err = { 0 };
		if (name_check(item->key, strlen(item->key), &err))
			yaml_error(errors, item->mark, "program: %s", err.text);
		else if (item->type != YAML_SCALAR || !*item->text)
			yaml_error(errors, item->mark, "program %s: expected an object file for tc-bpf", item->key);
		else
			programs->v[programs->n++] = mem_printf("%s=%s", item->key, item->text);
	}
}

static const struct yaml_key xen_keys[] = {
	{ "helper", yaml_read_string, offsetof(struct agent_xen, helper), false, NULL, "the path of vnagent-xen" },
	{ "images", read_images, offsetof(struct agent_xen, images), false, NULL, "a mapping of names to directories" },
	{ "balance", yaml_read_choice, offsetof(struct agent_xen, balance), false, balances, "none or load" },
	{ 0 },
};

static void read_xen(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	yaml_read_mapping(node, xen_keys, into, NULL, errors);
}

static const struct yaml_key uplink_keys[] = {
	{ "device", yaml_read_string, offsetof(struct uplink, device), true, NULL, "the name of a network device" },
	{ "vlan", yaml_read_count, offsetof(struct uplink, vlan), false, NULL, "a VLAN's number, 1 to 4094" },
	{ "users", yaml_read_names, offsetof(struct uplink, users), false, NULL, "a list of owners of networks" },
	{ 0 },
};

static const char device_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+";

static void check_uplink(const struct yaml_node *item, const struct uplink *u, const struct agent_config *c, struct yaml_errors *errors)
{
	const struct yaml_node *vlan = item->type == YAML_MAPPING ? yaml_get(item, "vlan") : NULL;
	if (u->device && (!*u->device || strlen(u->device) >= IFNAMSIZ || strspn(u->device, device_letters) != strlen(u->device)))
		yaml_error(errors, item->mark, "\"%s\": expected a device's name of 1 to 15 letters, digits, or any of . _ - @ +", u->device);
	if (vlan && vlan->type == YAML_SCALAR && (u->vlan < 1 || u->vlan > VLAN_MAX))
		yaml_error(errors, vlan->mark, "vlan: expected 1 to %d", VLAN_MAX);
	const struct yaml_node *users = item->type == YAML_MAPPING ? yaml_get(item, "users") : NULL;
	if (users && users->type == YAML_SEQUENCE && !users->n)
		yaml_error(errors, users->mark, "users: nobody; expected at least one, or no such line: everybody");
	for (size_t i = 0; u->device && i < c->n_underlay; i++)
		if (c->underlay[i].device && !strcmp(c->underlay[i].device, u->device) && !u->vlan)
			yaml_error(errors, item->mark, "%s carries the tunnels of all networks: routers joined to it could forge them", u->device);
	for (const struct uplink *other = c->uplinks.v; other < u; other++)
		if (u->device && other->device && !strcmp(u->device, other->device) && u->vlan == other->vlan)
			yaml_error(errors, item->mark, "uplinks %s and %s are the same port", other->name, u->name);
}

static void read_uplinks(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct agent_config *c = into;
	if (node->type != YAML_MAPPING || node->n > UPLINKS_MAX) {
		yaml_error(errors, node->mark, "uplinks is not as it should be; expected %s, at most %d", key->expected, UPLINKS_MAX);
		return;
	}
	c->uplinks.v = mem_array(node->n + 1, sizeof(*c->uplinks.v));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		struct err err = { 0 };
		struct uplink *u = &c->uplinks.v[c->uplinks.n];
		if (name_check(item->key, strlen(item->key), &err)) {
			yaml_error(errors, item->mark, "uplink: %s", err.text);
			continue;
		}
		u->name = mem_str(item->key);
		c->uplinks.n++;
		yaml_read_mapping(item, uplink_keys, u, NULL, errors);
		check_uplink(item, u, c, errors);
	}
}

static void read_controllers(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct agent_config *c = into;
	if (node->type != YAML_SEQUENCE) {
		yaml_error(errors, node->mark, "controllers is not as it should be; expected %s", key->expected);
		return;
	}
	c->controllers = mem_array(node->n + 1, sizeof(*c->controllers));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		struct err err = { 0 };
		struct addr *a = &c->controllers[c->n_controllers];
		if (item->type != YAML_SCALAR || (strchr(item->text, '/') ? addr_parse_prefix(item->text, a, &err) : addr_parse(item->text, a, &err)))
			yaml_error(errors, item->mark, "controllers: %s; expected an address or a prefix, such as 192.0.2.0/24", err.text);
		else
			c->n_controllers++;
	}
}

#define KEY(key, reader, required, expected) \
	{ #key, reader, offsetof(struct agent_config, key), required, NULL, expected }
static const struct yaml_key keys[] = {
	{ "kind", yaml_read_ignore, 0, true, NULL, "kind: vnagent" },
	KEY(server, endpoint_read_server, true, "tcp://HOST:PORT, where vned listens, such as tcp://192.0.2.10:7410"),
	KEY(server_key, yaml_read_string, true, "the file with vned's public key"),
	KEY(key, yaml_read_string, true, "the file of the agent's key"),
	KEY(state, yaml_read_string, false, "a directory for plans, kept until reboot"),
	KEY(cgroup, yaml_read_name, false, "the name of the control group that routers live under"),
	KEY(routers, yaml_read_names, false, "a list of router kinds"),
	{ "xen", read_xen, offsetof(struct agent_config, xen), false, NULL, "a mapping: helper, images, balance" },
	{ "programs", read_programs, 0, false, NULL, "a mapping of names to object files" },
	{ "controllers", read_controllers, 0, false, NULL, "a list of prefixes" },
	{ "underlay", read_underlay, 0, false, NULL, "a list of {device, bandwidth}" },
	{ "uplinks", read_uplinks, 0, false, NULL, "a mapping of names to {device, vlan, users}" }, /* behind underlay, which it looks at */
	{ 0 },
};

static void beside(const char *file, char **path)
{
	const char *slash = strrchr(file, '/');
	if (!*path || (*path)[0] == '/' || !slash)
		return;
	char *full = mem_printf("%.*s/%s", (int)(slash - file), file, *path);
	free(*path);
	*path = full;
}

/* A file with a key, wrong or missing: at the line that names it. */
static void check_key(const struct yaml_node *root, const char *key, const char *path, bool own, struct yaml_errors *errors)
{
	struct identity id = { 0 };
	struct err err = { 0 };
	const struct yaml_node *node = yaml_get(root, key);
	if (!node || !path)
		return;
	if (identity_load(path, &id, &err) < 0)
		yaml_error(errors, node->mark, "%s: %s; expected %s", key, err.text,
		           own ? "the agent's own .key file, made with: vnctl keys new NAME agent NODE" : "the .pub file of vned's key");
	else if (own && (id.role != ROLE_AGENT || !id.has_secret))
		yaml_error(errors, node->mark, "%s: %s: %s, role %s; expected an agent's key with its secret part", key, path,
		           id.has_secret ? "a secret key" : "a public key", role_names[id.role]);
	explicit_bzero(&id, sizeof(id));
}

/* NAME=PATH each */
static void names_beside(const char *file, struct yaml_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		char *name = names->v[i], *at = strchr(name, '=') + 1, *path = mem_str(at);
		beside(file, &path);
		names->v[i] = mem_printf("%.*s%s", (int)(at - name), name, path);
		free(path);
		free(name);
	}
}

static void check_paths(const char *file, const struct yaml_node *root, struct agent_config *c, struct yaml_errors *errors)
{
	char **paths[] = { &c->server_key, &c->key, &c->state, &c->xen.helper };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		beside(file, paths[i]);
	names_beside(file, &c->xen.images);
	names_beside(file, &c->programs);
	check_key(root, "server_key", c->server_key, false, errors);
	check_key(root, "key", c->key, true, errors);
}

static void parse(const char *file, const char *text, size_t len, struct yaml_errors *errors, struct agent_config *c)
{
	struct yaml_doc **docs;
	size_t n;
	yaml_parse(text, len, errors, &docs, &n);
	if (n != 1 && errors->n == 0)
		yaml_error(errors, (struct yaml_mark){ 1, 1 }, "%zu documents; expected one, kind: vnagent", n);
	const char *kind = n == 1 && errors->n == 0 ? yaml_kind(docs[0], "vnagent", errors) : NULL;
	if (kind && strcmp(kind, "vnagent"))
		yaml_error(errors, yaml_get(yaml_root(docs[0]), "kind")->mark, "kind %s; expected vnagent", kind);
	else if (kind) {
		yaml_read_mapping(yaml_root(docs[0]), keys, c, NULL, errors);
		check_paths(file, yaml_root(docs[0]), c, errors);
	}
	yaml_free_docs(docs, n);
}

int agent_config_load(const char *path, struct yaml_errors *errors, struct agent_config *ret, struct err *err)
{
	char *text;
	size_t len;
	int code = yaml_load_file(path, &text, &len, err);
	if (code)
		return code;
	struct agent_config c = { 0 };
	errors->file = path;
	parse(path, text, len, errors, &c);
	free(text);
	if (errors->n) {
		agent_config_done(&c);
		return err_set(err, -EINVAL, "%s: %zu error%s", path, errors->n, errors->n > 1 ? "s" : "");
	}
	if (!c.state)
		c.state = mem_str("/run/vnagent");
	if (!c.cgroup)
		c.cgroup = mem_str("vne");
	if (strlen(c.cgroup) > CGROUP_NAME_MAX)
		c.cgroup[CGROUP_NAME_MAX] = 0;
	*ret = c;
	return 0;
}

void agent_config_done(struct agent_config *c)
{
	free(c->server);
	free(c->server_key);
	free(c->key);
	free(c->state);
	free(c->cgroup);
	free(c->xen.helper);
	yaml_names_done(&c->xen.images);
	yaml_names_done(&c->routers);
	for (size_t i = 0; i < c->n_underlay; i++)
		free(c->underlay[i].device);
	free(c->underlay);
	free(c->controllers);
	yaml_names_done(&c->programs);
	uplink_list_done(&c->uplinks);
	*c = (struct agent_config){ 0 };
}
