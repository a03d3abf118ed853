/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key files, and directories of them. Keys are Curve25519 as libzmq makes them; hexadecimal
 * rather than Z85 in files, because that survives YAML, shells and telephones. */
#include "proto/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/units.h"
#include "model/yaml.h"
#include "proto/wire_impl.h"

const char *const role_names[] = { "none", "admin", "tenant", "viewer", "agent", "coordinator", NULL };

int identity_make(const char *name, enum role role, const char *node, struct identity *ret, struct err *err)
{
	struct identity id = { .role = role, .has_secret = true };
	char public[41], secret[41];
	int r = name_check(name, strlen(name), err);
	if (r == 0 && role == ROLE_AGENT)
		r = name_check(node ? node : "", node ? strlen(node) : 0, err);
	if (r < 0)
		return err_add(err, r, "name of a key");
	if (zmq_curve_keypair(public, secret) < 0)
		return err_set(err, -ENOTSUP, "libzmq was built without CURVE");
	zmq_z85_decode(id.public, public);
	zmq_z85_decode(id.secret, secret);
	explicit_bzero(secret, sizeof(secret));
	strcpy(id.name, name);
	if (role == ROLE_AGENT)
		strcpy(id.node, node);
	*ret = id;
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

struct key_file {
	char *name, *node, *public, *secret;
	int role; /* index into role_names + 1 */
};

static void key_file_done(struct key_file *f)
{
	free(f->name);
	free(f->node);
	free(f->public);
	if (f->secret)
		explicit_bzero(f->secret, strlen(f->secret));
	free(f->secret);
}

static const struct yaml_key key_keys[] = {
	{ "kind", yaml_read_ignore, 0, true, NULL, "kind: key" },
	{ "name", yaml_read_name, offsetof(struct key_file, name), true, NULL, "the name of the identity" },
	{ "role", yaml_read_choice, offsetof(struct key_file, role), true, role_names + 1,
	  "admin, tenant, viewer, agent or coordinator" },
	{ "node", yaml_read_name, offsetof(struct key_file, node), false, NULL, "the node that the agent speaks for" },
	{ "public", yaml_read_string, offsetof(struct key_file, public), true, NULL, "64 hexadecimal digits" },
	{ "secret", yaml_read_string, offsetof(struct key_file, secret), false, NULL, "64 hexadecimal digits" },
	{ 0 }
};

static struct yaml_mark mark_of(const struct yaml_node *root, const char *key)
{
	const struct yaml_node *node = yaml_get(root, key);
	return node ? node->mark : root->mark;
}

/* What no single key shows. */
static void fill(const struct yaml_node *root, const struct key_file *f, struct identity *id, struct yaml_errors *errors)
{
	id->role = (enum role)(f->role + 1);
	if (f->name)
		strncpy(id->name, f->name, sizeof(id->name) - 1);
	if (id->role == ROLE_AGENT && !f->node)
		yaml_error(errors, root->mark, "an agent without a node; expected node: the one that it speaks for");
	if (id->role != ROLE_AGENT && f->node)
		yaml_error(errors, mark_of(root, "node"), "node is for agents only; expected none with role %s",
		           role_names[id->role]);
	if (f->node)
		strncpy(id->node, f->node, sizeof(id->node) - 1);
	if (f->public && !wire_unhex(f->public, id->public, 32))
		yaml_error(errors, mark_of(root, "public"), "not a key; expected 64 hexadecimal digits");
	if (f->secret && !wire_unhex(f->secret, id->secret, 32))
		yaml_error(errors, mark_of(root, "secret"), "not a key; expected 64 hexadecimal digits");
	id->has_secret = f->secret != NULL;
}

static void parse(const char *text, size_t len, struct identity *id, struct yaml_errors *errors)
{
	struct yaml_doc **docs;
	size_t n;
	yaml_parse(text, len, errors, &docs, &n);
	if (n != 1)
		yaml_error(errors, (struct yaml_mark){ 1, 1 }, "%zu documents; expected one key", n);
	if (errors->n == 0) {
		const char *kind = yaml_kind(docs[0], "key", errors);
		const struct yaml_node *root = yaml_root(docs[0]);
		if (kind && strcmp(kind, "key") != 0)
			yaml_error(errors, mark_of(root, "kind"), "kind %s; expected key", kind);
		struct key_file f = { 0 };
		if (errors->n == 0)
			yaml_read_mapping(root, key_keys, &f, NULL, errors);
		if (errors->n == 0)
			fill(root, &f, id, errors);
		key_file_done(&f);
	}
	yaml_free_docs(docs, n);
}

int identity_load(const char *path, struct identity *ret, struct err *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(err, -errno, "%s", path);
	char *text;
	size_t len;
	int r = yaml_load_file(path, &text, &len, err);
	if (r < 0)
		return r;
	struct yaml_errors errors = { .file = path };
	struct identity id = { 0 };
	parse(text, len, &id, &errors);
	explicit_bzero(text, len);
	free(text);
	if (errors.n > 0) {
		size_t line = strcspn(buf_cstr(&errors.text), "\n");
		r = err_set(err, -EINVAL, "%.*s", (int)line, buf_cstr(&errors.text));
	} else if (id.has_secret && (st.st_mode & 077)) {
		r = err_set(err, -EACCES, "%s: others can read this secret key: chmod 600 %s", path, path);
	} else {
		*ret = id;
	}
	yaml_errors_done(&errors);
	explicit_bzero(&id, sizeof(id));
	return r;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int write_file(const char *path, const struct buf *text, mode_t mode, struct err *err)
{
	mem_auto char *beside = mem_printf("%s.new", path);
	(void)unlink(beside); /* what an interrupted run left, with whatever mode it has */
	int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, -errno, "%s", beside);
	ssize_t n = write(fd, text->data, text->len);
	int r = n == (ssize_t)text->len ? 0 : err_sys(err, n < 0 ? -errno : -ENOSPC, "%s", beside);
	if (r == 0 && (fsync(fd) < 0 || rename(beside, path) < 0))
		r = err_sys(err, -errno, "%s", path);
	close(fd);
	if (r < 0)
		(void)unlink(beside);
	return r;
}

int identity_save(const struct identity *id, const char *path, bool with_secret, struct err *err)
{
	char hex[65];
	buf_auto struct buf text = BUF_INIT;
	buf_printf(&text, "kind: key\nname: %s\nrole: %s\n", id->name, role_names[id->role]);
	if (id->role == ROLE_AGENT)
		buf_printf(&text, "node: %s\n", id->node);
	wire_hex(id->public, 32, hex);
	buf_printf(&text, "public: \"%s\"\n", hex);
	if (with_secret) {
		if (!id->has_secret)
			return err_set(err, -EINVAL, "%s: this key has no secret part", path);
		wire_hex(id->secret, 32, hex);
		buf_printf(&text, "secret: \"%s\"\n", hex);
		explicit_bzero(hex, sizeof(hex));
	}
	int r = write_file(path, &text, with_secret ? 0600 : 0644, err);
	explicit_bzero(text.data, text.len);
	return r;
}

/* ---- the allow-list ------------------------------------------------------------------------ */

struct allow_list {
	struct hash *by_key;  /* hexadecimal → identity */
	struct hash *by_name; /* the same */
};

static int allow_add(struct allow_list *list, const char *path, struct err *err)
{
	struct identity id;
	int r = identity_load(path, &id, err);
	if (r < 0)
		return r;
	if (id.has_secret) {
		explicit_bzero(&id, sizeof(id));
		return err_set(err, -EINVAL, "%s: a secret key does not belong into an allow-list; use the .pub file", path);
	}
	char hex[65];
	wire_hex(id.public, 32, hex);
	const struct identity *same = hash_get(list->by_key, hex);
	if (same)
		return err_set(err, -EEXIST, "%s: the same key as that of %s", path, same->name);
	if (hash_get(list->by_name, id.name))
		return err_set(err, -EEXIST, "%s: another key is also named %s", path, id.name);
	struct identity *copy = mem_dup(&id, sizeof(id));
	hash_put(list->by_key, hex, copy);
	hash_put(list->by_name, id.name, copy);
	return 0;
}

int allow_list_load(const char *dir, struct allow_list **ret, struct err *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return err_sys(err, -errno, "%s", dir);
	struct allow_list *list = mem_alloc(sizeof(*list));
	list->by_key = hash_new();
	list->by_name = hash_new();
	int r = 0;
	for (struct dirent *e = readdir(d); e && r == 0; e = readdir(d)) {
		size_t len = strlen(e->d_name);
		if (e->d_name[0] == '.' || len < 5 || strcmp(e->d_name + len - 4, ".pub") != 0)
			continue;
		mem_auto char *path = mem_printf("%s/%s", dir, e->d_name);
		r = allow_add(list, path, err);
	}
	closedir(d);
	if (r < 0) {
		allow_list_free(list);
		return r;
	}
	*ret = list;
	return 0;
}

void allow_list_free(struct allow_list *list)
{
	if (!list)
		return;
	hash_free(list->by_name, NULL);
	hash_free(list->by_key, free);
	free(list);
}

const struct identity *allow_list_find(const struct allow_list *list, const uint8_t public[32])
{
	char hex[65];
	wire_hex(public, 32, hex);
	return hash_get(list->by_key, hex);
}
