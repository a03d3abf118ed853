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
#include "base/loop.h"
#include "base/mem.h"
#include "model/units.h"
#include "model/yaml.h"
#include "proto/wire_impl.h"

enum { KEY_FILE_MAX = 4096 };

const char *const role_names[] = { "none", "admin", "tenant", "viewer", "agent", "coordinator", "join", NULL };

int identity_make(const char *name, enum role role, const char *node, struct identity *ret, struct err *err)
{
	struct identity id = { .role = role, .has_secret = true };
	char public[41], secret[41];
	int r = name_check(name, strlen(name), err);
	bool of_node = role == ROLE_AGENT || role == ROLE_JOIN;
	if (r == 0 && of_node)
		r = name_check(node ? node : "", node ? strlen(node) : 0, err);
	if (r < 0)
		return err_add(err, r, "name of a key");
	if (zmq_curve_keypair(public, secret) < 0)
		return err_set(err, -ENOTSUP, "libzmq was built without CURVE");
	zmq_z85_decode(id.public, public);
	zmq_z85_decode(id.secret, secret);
	explicit_bzero(secret, sizeof(secret));
	strcpy(id.name, name);
	if (of_node)
		strcpy(id.node, node);
	*ret = id;
	return 0;
}

int identity_rename(struct identity *agent, const char *node)
{
	struct err ignored;
	if (name_check(node, strlen(node), &ignored) < 0)
		return -EINVAL;
	strcpy(agent->name, node);
	strcpy(agent->node, node);
	return 0;
}

const char *key_fingerprint(const uint8_t public[32], char text[FINGERPRINT_TEXT])
{
	char hex[33];
	wire_hex(public, 16, hex);
	for (size_t i = 0; i < 8; i++)
		snprintf(text + 5 * i, FINGERPRINT_TEXT - 5 * i, "%.4s%s", hex + 4 * i, i < 7 ? "-" : "");
	return text;
}

/* ---- tokens -------------------------------------------------------------------------------- */

int token_make(const char *node, int64_t expires_us, struct identity *ret, struct err *err)
{
	struct identity id;
	mem_auto char *name = mem_printf("join-%s", node);
	int r = name_check(node, strlen(node), err);
	if (r == 0)
		r = identity_make(name, ROLE_JOIN, node, &id, err);
	if (r < 0)
		return r;
	id.expires_ms = (uint64_t)(clock_wall_ms() + expires_us / 1000);
	*ret = id;
	return 0;
}

void token_write(const struct identity *token, const uint8_t server_public[32], char text[TOKEN_TEXT])
{
	wire_hex(server_public, 32, text);
	text[64] = '.';
	wire_hex(token->secret, 32, text + 65);
}

int token_read(const char *text, struct identity *ret, uint8_t ret_server[32], struct err *err)
{
	struct identity id = { .name = "join", .role = ROLE_JOIN, .has_secret = true };
	char server[65], secret[41], public[41];
	if (strlen(text) != TOKEN_TEXT - 1 || text[64] != '.')
		return err_set(err, -EINVAL, "not a token; expected the whole line that vnctl join or vned init printed");
	memcpy(server, text, 64);
	server[64] = '\0';
	if (!wire_unhex(server, ret_server, 32) || !wire_unhex(text + 65, id.secret, 32))
		return err_set(err, -EINVAL, "not a token: it has other than hexadecimal digits");
	zmq_z85_encode(secret, id.secret, 32);
	if (zmq_curve_public(public, secret) < 0)
		return err_set(err, -ENOTSUP, "libzmq was built without CURVE");
	zmq_z85_decode(id.public, public);
	explicit_bzero(secret, sizeof(secret));
	*ret = id;
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

struct key_file {
	char *name, *node, *public, *secret;
	int role; /* index into role_names + 1 */
	int64_t expires; /* s */
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
	  "admin, tenant, viewer, agent, coordinator or join" },
	{ "node", yaml_read_name, offsetof(struct key_file, node), false, NULL, "the node that the agent speaks for" },
	{ "expires", yaml_read_count, offsetof(struct key_file, expires), false, NULL, "seconds since the epoch" },
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
	bool of_node = id->role == ROLE_AGENT || id->role == ROLE_JOIN;
	if (of_node && !f->node)
		yaml_error(errors, root->mark, "an agent without a node; expected node: the one that it speaks for");
	if (id->role == ROLE_JOIN && f->expires <= 0)
		yaml_error(errors, root->mark, "a token that never expires; expected expires: seconds since the epoch");
	id->expires_ms = f->expires > 0 && f->expires < INT64_MAX / 1000 ? (uint64_t)f->expires * 1000 : 0;
	if (!of_node && f->node)
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

int identity_parse(const char *file, const char *text, size_t len, struct identity *ret, struct err *err)
{
	struct yaml_errors errors = { .file = file };
	struct identity id = { 0 };
	int r = 0;
	parse(text, len, &id, &errors);
	if (errors.n > 0) {
		size_t line = strcspn(buf_cstr(&errors.text), "\n");
		r = err_set(err, -EINVAL, "%.*s", (int)line, buf_cstr(&errors.text));
	} else {
		*ret = id;
	}
	yaml_errors_done(&errors);
	explicit_bzero(&id, sizeof(id));
	return r;
}

int identity_load(const char *path, struct identity *ret, struct err *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
		return err_set(err, -EINVAL, "%s: not a key; expected a file of at most %d bytes", path, KEY_FILE_MAX);
	char *text;
	size_t len;
	int r = yaml_load_file(path, &text, &len, err);
	if (r < 0)
		return r;
	struct identity id;
	r = identity_parse(path, text, len, &id, err);
	explicit_bzero(text, len);
	free(text);
	if (r == 0 && id.has_secret && (st.st_mode & 077))
		r = err_set(err, -EACCES, "%s: others can read this secret key: chmod 600 %s", path, path);
	if (r == 0)
		*ret = id;
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
	if (id->node[0])
		buf_printf(&text, "node: %s\n", id->node);
	if (id->expires_ms)
		buf_printf(&text, "expires: %llu\n", (unsigned long long)(id->expires_ms / 1000));
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
	struct identity **all; /* in order of name */
	size_t n;
};

/* A file of the directory. Links are not followed: what may connect is what lies there. */
static int load_public(const char *path, struct identity *ret, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_sys(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: not a file", path);
	int r = identity_load(path, ret, err);
	if (r < 0 || !ret->has_secret)
		return r;
	explicit_bzero(ret, sizeof(*ret));
	return err_set(err, -EINVAL, "%s: a secret key does not belong into an allow-list; use the .pub file", path);
}

static int allow_add(struct allow_list *list, const char *path, struct err *err)
{
	struct identity id;
	int r = load_public(path, &id, err);
	if (r < 0)
		return r;
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
	list->all = mem_grow(list->all, list->n + 1, sizeof(struct identity *));
	list->all[list->n++] = copy;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Paths of all *.pub in order of name: of two that collide it is always the same one that counts. */
static int public_files(const char *dir, char ***ret, size_t *ret_n, struct err *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return err_sys(err, -errno, "%s", dir);
	char **paths = NULL;
	size_t n = 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		size_t len = strlen(e->d_name);
		if (e->d_name[0] == '.' || len < 5 || strcmp(e->d_name + len - 4, ".pub") != 0)
			continue;
		paths = mem_grow(paths, n + 1, sizeof(*paths));
		paths[n++] = mem_printf("%s/%s", dir, e->d_name);
	}
	closedir(d);
	if (n)
		qsort(paths, n, sizeof(*paths), by_text);
	*ret = paths;
	*ret_n = n;
	return 0;
}

static void paths_free(char **paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct identity *const *)a)->name, (*(struct identity *const *)b)->name);
}

int allow_list_load(const char *dir, struct buf *faults, struct allow_list **ret, struct err *err)
{
	char **paths;
	size_t n;
	int r = public_files(dir, &paths, &n, err);
	if (r < 0)
		return r;
	struct allow_list *list = mem_alloc(sizeof(*list));
	list->by_key = hash_new();
	list->by_name = hash_new();
	for (size_t i = 0; i < n && r == 0; i++) {
		struct err fault = { 0 };
		int bad = allow_add(list, paths[i], &fault);
		if (bad < 0 && faults && bad != -ENOENT) /* one that is just being removed is no fault */
			buf_printf(faults, "%s%s", faults->len ? "; " : "", fault.text);
		else if (bad < 0 && !faults)
			r = err_set(err, bad, "%s", fault.text);
	}
	paths_free(paths, n);
	if (r < 0) {
		allow_list_free(list);
		return r;
	}
	if (list->n)
		qsort(list->all, list->n, sizeof(struct identity *), by_name);
	*ret = list;
	return 0;
}

void allow_list_free(struct allow_list *list)
{
	if (!list)
		return;
	hash_free(list->by_name, NULL);
	hash_free(list->by_key, free);
	free(list->all);
	free(list);
}

static const struct identity *unexpired(const struct identity *id)
{
	return id && (!id->expires_ms || (uint64_t)clock_wall_ms() < id->expires_ms) ? id : NULL;
}

const struct identity *allow_list_find(const struct allow_list *list, const uint8_t public[32])
{
	char hex[65];
	wire_hex(public, 32, hex);
	return unexpired(hash_get(list->by_key, hex));
}

const struct identity *allow_list_named(const struct allow_list *list, const char *name)
{
	return unexpired(hash_get(list->by_name, name));
}

size_t allow_list_all(const struct allow_list *list, const struct identity *const **ret)
{
	*ret = (const struct identity *const *)list->all;
	return list->n;
}

/* Removes the files, but `keep`, whose identity has this name; how many. */
static int remove_named(const char *dir, const char *name, const char *keep, struct err *err)
{
	char **paths;
	size_t n;
	int removed = 0, r = public_files(dir, &paths, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct identity id;
		struct err ignored = { 0 };
		if ((keep && !strcmp(paths[i], keep)) || load_public(paths[i], &id, &ignored) < 0 || strcmp(id.name, name) != 0)
			continue;
		if (unlink(paths[i]) < 0 && errno != ENOENT)
			r = err_sys(err, -errno, "%s", paths[i]);
		removed++;
	}
	paths_free(paths, n);
	return r < 0 ? r : removed;
}

int allow_put(const char *dir, const struct identity *id, struct err *err)
{
	mem_auto char *path = mem_printf("%s/%s.pub", dir, id->name);
	struct identity there;
	struct err ignored = { 0 };
	if (load_public(path, &there, &ignored) == 0 && strcmp(there.name, id->name) != 0)
		return err_set(err, -EEXIST, "%s is the key of %s: rename that file first", path, there.name);
	int r = identity_save(id, path, false, err);
	if (r == 0)
		r = remove_named(dir, id->name, path, err);
	return r < 0 ? r : 0;
}

int allow_remove(const char *dir, const char *name, struct err *err)
{
	int r = remove_named(dir, name, NULL, err);
	return r < 0 ? r : r == 0 ? err_set(err, -ENOENT, "no key is named %s", name) : 0;
}
