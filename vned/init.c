/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vned init`: a working set-up in one step: keys, allow-list, configuration, a substrate to be edited, and for each node the one line
 * that makes a machine its agent. What is there already is never overwritten. */
#include "vned/init.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/endpoint.h"
#include "model/units.h"
#include "proto/keys.h"

enum { EXIT_BAD = 2, EXIT_MACHINE = 70, NODES_MAX = 1000 };
#define EXPIRES_US (INT64_C(86400) * 1000000)

struct init {
	const char *server, *dir;
	char **nodes; /* NAME=ADDRESS */
	size_t n;
	struct identity vned, admin;
};

static int fail(int code, const struct err *err)
{
	fprintf(stderr, "vned: %s\n", err->text);
	return code;
}

static int usage(void)
{
	fprintf(stderr, "usage: vned init tcp://HOST:PORT [--dir /etc/vne] NODE=UNDERLAY-ADDRESS ...\n"
	                "HOST:PORT is where agents and clients reach this machine, e.g. tcp://192.0.2.1:7410; the nodes are those of the\n"
	                "substrate, e.g. alpha=192.0.2.1 beta=192.0.2.2\n");
	return EXIT_BAD;
}

/* ---- what is written ------------------------------------------------------------------------------ */

static int write_text(const char *path, const struct buf *text, struct err *err)
{
	FILE *f = fopen(path, "wxe");
	if (!f)
		return err_sys(err, -errno, "%s", path);
	bool good = fwrite(text->data, 1, text->len, f) == text->len;
	return fclose(f) == 0 && good ? 0 : err_sys(err, -errno, "%s", path);
}

static void substrate_text(const struct init *in, struct buf *out)
{
	buf_str(out, "# Say here what each machine gives to virtual networks, and how they are joined: vne-substrate(5).\n"
	             "# After a change: vnctl reload\nkind: substrate\nname: mine\nnodes:\n");
	for (size_t i = 0; i < in->n; i++)
		buf_printf(out, "  - {name: %.*s, cpu: 4, memory: 8GiB, address: %s}\n", (int)strcspn(in->nodes[i], "="), in->nodes[i], strchr(in->nodes[i], '=') + 1);
	buf_str(out, in->n > 1 ? "links:\n" : "links: []\n");
	for (size_t i = 1; i < in->n; i++)
		buf_printf(out, "  - {endpoints: [%.*s, %.*s], bandwidth: 1gbit}\n", (int)strcspn(in->nodes[i - 1], "="), in->nodes[i - 1],
		           (int)strcspn(in->nodes[i], "="), in->nodes[i]);
}

static int write_texts(const struct init *in, struct err *err)
{
	static const char *const names[] = { "substrate.yaml", "vned.yaml", "vnctl.yaml" };
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(names) && r == 0; i++) {
		buf_auto struct buf text = BUF_INIT;
		mem_auto char *path = mem_printf("%s/%s", in->dir, names[i]);
		if (i == 0)
			substrate_text(in, &text);
		else if (i == 1)
			buf_printf(&text, "# What else can stand here: vne-config(5).\nkind: vned\nsubstrate: substrate.yaml\nlisten: [%s]\nlocal: /run/vned/vned.sock\n"
			                  "metrics: 127.0.0.1:7411\nkey: vned.key\nallow: allowed\nstate: /var/lib/vned\n%s", in->server,
			           getpwnam("vned") ? "user: vned\n" : "");
		else
			buf_printf(&text, "kind: vnctl\nserver: %s\nserver_key: vned.pub\nkey: admin.key\n", in->server);
		r = write_text(path, &text, err);
	}
	return r;
}

static int write_keys(struct init *in, const char *allowed, struct err *err)
{
	int r = identity_make("vned", ROLE_COORDINATOR, NULL, &in->vned, err);
	if (r == 0)
		r = identity_make("admin", ROLE_ADMIN, NULL, &in->admin, err);
	struct identity *ids[] = { &in->vned, &in->admin };
	for (size_t i = 0; i < ARRAY_LEN(ids) && r == 0; i++) {
		mem_auto char *key = mem_printf("%s/%s.key", in->dir, ids[i]->name), *pub = mem_printf("%s/%s.pub", in->dir, ids[i]->name);
		r = identity_save(ids[i], key, true, err);
		if (r == 0)
			r = identity_save(ids[i], pub, false, err);
	}
	return r == 0 ? allow_put(allowed, &in->admin, err) : r;
}

/* The daemon runs as its own user, who has to read its key and to change the list. */
static void give_to_daemon(const struct init *in, const char *allowed)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam("vned") : NULL;
	mem_auto char *key = mem_printf("%s/vned.key", in->dir), *admin = mem_printf("%s/admin.pub", allowed);
	const char *const paths[] = { allowed, key, admin };
	for (size_t i = 0; user && i < ARRAY_LEN(paths); i++)
		if (chown(paths[i], user->pw_uid, user->pw_gid) < 0)
			fprintf(stderr, "vned: %s cannot be given to the user vned: %s\n", paths[i], strerror(errno));
}

static int invite(const struct init *in, const char *allowed, struct err *err)
{
	printf("%s: keys, allow-list and configuration are made; edit substrate.yaml, then: systemctl enable --now vned\n"
	       "Then on each node, as root, within a day (later ones: vnctl join NODE):\n", in->dir);
	for (size_t i = 0; i < in->n; i++) {
		char text[TOKEN_TEXT];
		struct identity token;
		mem_auto char *node = mem_strn(in->nodes[i], strcspn(in->nodes[i], "="));
		int r = token_make(node, EXPIRES_US, &token, err);
		if (r == 0)
			r = allow_put(allowed, &token, err);
		if (r < 0)
			return r;
		mem_auto char *path = mem_printf("%s/%s.pub", allowed, token.name);
		const struct passwd *user = geteuid() == 0 ? getpwnam("vned") : NULL;
		if (user && chown(path, user->pw_uid, user->pw_gid) < 0)
			return err_sys(err, -errno, "%s", path);
		token_write(&token, in->vned.public, text);
		printf("# %s:\nvnagent join %s %s\n", node, in->server, text);
		explicit_bzero(&token, sizeof(token));
		explicit_bzero(text, sizeof(text));
	}
	return 0;
}

/* ---- what is asked ---------------------------------------------------------------------------------- */

static int check_node(const char *word, struct err *err)
{
	struct addr a;
	size_t n = strcspn(word, "=");
	if (!word[n])
		return err_set(err, -EINVAL, "%s: expected NODE=ADDRESS, such as alpha=192.0.2.1", word);
	int r = name_check(word, n, err);
	return r < 0 ? err_add(err, r, "%s", word) : addr_parse(word + n + 1, &a, err) < 0 ? err_add(err, -EINVAL, "%s", word) : 0;
}

static int parse(int argc, char **argv, struct init *in)
{
	struct err err = { 0 };
	in->dir = "/etc/vne";
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--dir") && i + 1 < argc) {
			in->dir = argv[++i];
			continue;
		}
		if (!in->server && endpoint_check_server(argv[i], &err) == 0) {
			in->server = argv[i];
			continue;
		}
		if (argv[i][0] == '-' || !in->server)
			return usage();
		if (check_node(argv[i], &err) < 0)
			return fail(EXIT_BAD, &err);
		in->nodes[in->n++] = argv[i];
	}
	return in->server && in->n ? 0 : usage();
}

static int nothing_there(const struct init *in)
{
	static const char *const names[] = { "vned.key", "vned.pub", "admin.key", "admin.pub", "vned.yaml", "vnctl.yaml", "substrate.yaml" };
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		mem_auto char *path = mem_printf("%s/%s", in->dir, names[i]);
		if (lstat(path, &st) == 0) {
			fprintf(stderr, "vned: %s is there already; nothing was changed: name another folder with --dir, or move that away\n", path);
			return EXIT_BAD;
		}
	}
	return 0;
}

int init_main(int argc, char **argv)
{
	struct err err = { 0 };
	mem_auto char **nodes = mem_array((size_t)argc, sizeof(*nodes));
	struct init in = { .nodes = nodes };
	int code = parse(argc, argv, &in);
	if (code == 0)
		code = nothing_there(&in);
	if (code)
		return code;
	mem_auto char *allowed = mem_printf("%s/allowed", in.dir);
	if ((mkdir(in.dir, 0755) < 0 && errno != EEXIST) || (mkdir(allowed, 0755) < 0 && errno != EEXIST)) {
		fprintf(stderr, "vned: %s: %s; run this as root, or name another folder with --dir\n", in.dir, strerror(errno));
		return EXIT_BAD;
	}
	int r = write_keys(&in, allowed, &err);
	if (r == 0)
		r = write_texts(&in, &err);
	if (r == 0)
		give_to_daemon(&in, allowed);
	if (r == 0)
		r = invite(&in, allowed, &err);
	explicit_bzero(&in.vned, sizeof(in.vned));
	explicit_bzero(&in.admin, sizeof(in.admin));
	return r == 0 ? 0 : fail(r == -EINVAL ? EXIT_BAD : EXIT_MACHINE, &err);
}
