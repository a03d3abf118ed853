/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identities: CURVE key pairs, one YAML file each.
 *
 *     kind: key
 *     name: alice          # the identity; unique in an allow-list
 *     role: admin          # admin, tenant, viewer, agent, coordinator
 *     node: atla           # role agent: the one node that it speaks for
 *     public: <64 hex digits>
 *     secret: <64 hex digits>   # NAME.key only, mode 0600; never in an allow-list
 *
 * The allow-list of a coordinator is a directory of NAME.pub files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum role { ROLE_NONE, ROLE_ADMIN, ROLE_TENANT, ROLE_VIEWER, ROLE_AGENT, ROLE_COORDINATOR };
extern const char *const role_names[];

struct identity {
	char name[64];
	enum role role;
	char node[64];       /* "" unless an agent */
	uint8_t public[32];
	uint8_t secret[32];  /* zero where has_secret is false */
	bool has_secret;
};

int identity_make(const char *name, enum role role, const char *node, struct identity *ret, struct err *err) VNE_MUST;
/* -EACCES where a file with a secret is readable by others (the reason says which chmod helps). */
int identity_load(const char *path, struct identity *ret, struct err *err) VNE_MUST;
/* with_secret: mode 0600. Written beside and renamed. */
int identity_save(const struct identity *id, const char *path, bool with_secret, struct err *err) VNE_MUST;

struct allow_list; /* public key → identity */
int allow_list_load(const char *dir, struct allow_list **ret, struct err *err) VNE_MUST; /* every *.pub; a bad file fails it */
void allow_list_free(struct allow_list *list);
const struct identity *allow_list_find(const struct allow_list *list, const uint8_t public[32]); /* NULL: refused */
