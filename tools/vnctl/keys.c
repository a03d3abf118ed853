/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes identities: what two hosts need before they can speak. Local; asks no vned. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "model/units.h"
#include "tools/vnctl/client.h"

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

/* NAME.key and NAME.pub in the current directory. An existing key is never overwritten. */
static int make(const char *name, enum role role, const char *node)
{
	struct err err = { 0 };
	struct identity id;
	struct stat st;
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
	printf("%s: keep it secret, on the machine of %s\n%s: for vned's allow directory%s\n", key, name, pub,
	       role == ROLE_COORDINATOR ? "; of a coordinator: for everybody who connects to it" : "");
	return 0;
}

int command_keys(const struct settings *s, int argc, char **argv)
{
	struct err err = { 0 };
	if (argc < 4 || argc > 5 || strcmp(argv[1], "new")) {
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
