/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identities: making keys (local, asks no vned), and who may connect (asked of vned, which keeps the list). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "model/units.h"
#include "model/view_write.h"
#include "model/yaml.h"
#include "tools/vnctl/client.h"

#define EXPIRES_US (INT64_C(3600) * 1000000)

static enum role role_of(const char *word)
{
	for (int r = ROLE_ADMIN; r <= ROLE_COORDINATOR; r++)
		if (!strcmp(role_names[r], word))
			return (enum role)r;
	return ROLE_NONE;
}

static int fail(int code, const struct err *err)
{
	fprintf(stderr, "vnctl: %s\n", err->text);
	return code;
}

/* ---- made here --------------------------------------------------------------------------------- */

/* NAME.key and NAME.pub in the current directory. An existing key is never overwritten. */
static int make(const char *name, enum role role, const char *node)
{
	struct err err = { 0 };
	struct identity id;
	struct stat st;
	char print[FINGERPRINT_TEXT];
	mem_auto char *key = mem_printf("%s.key", name), *pub = mem_printf("%s.pub", name);
	const char *const paths[] = { key, pub };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (lstat(paths[i], &st) == 0) {
			fprintf(stderr, "vnctl: %s is there already; take another name or remove it first\n", paths[i]);
			return 2;
		}
	}
	if (identity_make(name, role, node, &id, &err))
		return fail(2, &err);
	if (identity_save(&id, key, true, &err) || identity_save(&id, pub, false, &err))
		return fail(70, &err);
	printf("%s: keep it secret, on the machine of %s\n%s: %s\nfingerprint %s\n", key, name, pub,
	       role == ROLE_COORDINATOR ? "for everybody who connects to it" : "for an admin to allow: vnctl keys allow", key_fingerprint(id.public, print));
	explicit_bzero(&id, sizeof(id));
	return 0;
}

static int new(int argc, char **argv)
{
	struct err err = { 0 };
	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: vnctl keys new NAME admin|tenant|viewer|agent|coordinator [NODE]\n");
		return 2;
	}
	enum role role = role_of(argv[3]);
	if (role == ROLE_NONE) {
		fprintf(stderr, "vnctl: %s is no role; expected admin, tenant, viewer, agent or coordinator\n", argv[3]);
		return 2;
	}
	if ((role == ROLE_AGENT) != (argc == 5)) {
		fprintf(stderr, role == ROLE_AGENT ? "vnctl: an agent speaks for one node; name it as the last word\n"
		                                   : "vnctl: only an agent has a node\n");
		return 2;
	}
	for (int i = 2; i < argc; i += 2)
		if (name_check(argv[i], strlen(argv[i]), &err))
			return fail(2, &err);
	return make(argv[2], role, argc == 5 ? argv[4] : "");
}

static int show(int argc, char **argv)
{
	int code = 0;
	for (int i = 2; i < argc; i++) {
		struct err err = { 0 };
		struct identity id;
		char print[FINGERPRINT_TEXT];
		if (identity_load(argv[i], &id, &err)) {
			code = fail(2, &err);
			continue;
		}
		printf("%s: %s, role %s%s%s, fingerprint %s%s\n", argv[i], id.name, role_names[id.role], id.node[0] ? " of node " : "", id.node,
		       key_fingerprint(id.public, print), id.has_secret ? "; with its secret" : "");
		explicit_bzero(&id, sizeof(id));
	}
	return code;
}

/* ---- asked of vned -------------------------------------------------------------------------------- */

static int ask(const struct settings *s, struct message *m, struct kept *ret)
{
	struct client c;
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, m, s->timeout_us, keep_message, ret);
	client_close(&c);
	return code;
}

static int list(const struct settings *s)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_KEYS, .u.keys = { .op = KEYS_LIST, .name = "", .text = "" } };
	int code = ask(s, &m, &answer);
	if (!code && answer.m.type == MSG_KEY_LIST) {
		struct writer *w = settings_writer(s);
		write_key_views(w, NULL, "", answer.m.u.keys_list.v, answer.m.u.keys_list.n);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	return code;
}

static int tell(const struct settings *s, struct message *m)
{
	struct kept answer = { 0 };
	int code = ask(s, m, &answer);
	if (!code && answer.m.type == MSG_REPLY)
		printf("%s\n", answer.m.u.reply.text);
	message_done(&answer.m);
	return code;
}

static int allow(const struct settings *s, const char *file)
{
	struct err err = { 0 };
	mem_auto char *text = NULL;
	size_t len;
	if (yaml_load_file(file, &text, &len, &err))
		return fail(2, &err);
	if (len > 4096) {
		fprintf(stderr, "vnctl: %s is no .pub file: it is too large\n", file);
		return 2;
	}
	struct message m = { .type = MSG_KEYS, .u.keys = { .op = KEYS_ALLOW, .name = (char *)(uintptr_t)file, .text = text } };
	return tell(s, &m);
}

int command_join(const struct settings *s, int argc, char **argv)
{
	struct kept answer = { 0 };
	if (argc != 2) {
		fprintf(stderr, "usage: vnctl join NODE [--expires 1h]\n");
		return 2;
	}
	struct message m = { .type = MSG_KEYS, .u.keys = { .op = KEYS_INVITE, .name = argv[1], .text = "", .expires_us = s->expires_us ? s->expires_us : EXPIRES_US } };
	int code = ask(s, &m, &answer);
	if (!code && answer.m.type == MSG_REPLY) {
		bool local = !strncmp(s->server, "ipc://", 6);
		fprintf(stderr, "# on %s, as root, once, within %lld min:%s\n", argv[1], (long long)(m.u.keys.expires_us / 60000000),
		        local ? " (with the address that vned listens at)" : "");
		printf("vnagent join %s %s\n", local ? "tcp://HOST:PORT" : s->server, answer.m.u.reply.text);
	}
	message_done(&answer.m);
	return code;
}

/* These need no vned. */
bool keys_local(int argc, char **argv)
{
	return argc > 1 && (!strcmp(argv[1], "new") || !strcmp(argv[1], "show"));
}

int command_keys(const struct settings *s, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (!strcmp(verb, "new"))
		return new(argc, argv);
	if (!strcmp(verb, "show") && argc > 2)
		return show(argc, argv);
	if (!strcmp(verb, "list") && argc == 2)
		return list(s);
	if (!strcmp(verb, "allow") && argc == 3)
		return allow(s, argv[2]);
	if (!strcmp(verb, "revoke") && argc == 3) {
		struct message m = { .type = MSG_KEYS, .u.keys = { .op = KEYS_REVOKE, .name = argv[2], .text = "" } };
		return tell(s, &m);
	}
	fprintf(stderr, "usage: vnctl keys new NAME ROLE [NODE] | show FILE ... | list | allow FILE.pub | revoke NAME\n");
	return 2;
}
