/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identities: CURVE key pairs, one YAML file each.
 *
 *     kind: key
 *     name: alice          # the identity; unique in an allow-list
 *     role: admin          # admin, tenant, viewer, agent, coordinator, join
 *     node: atla           # roles agent, join: the one node that it speaks for
 *     expires: 1767225600  # role join: seconds since the epoch, after which it counts for nothing
 *     public: <64 hex digits>
 *     secret: <64 hex digits>   # NAME.key only, mode 0600; never in an allow-list
 *
 * The allow-list of a coordinator is a directory of NAME.pub files.
 *
 * A token to join with is a key of role join: its secret part goes to the new node in one line, its public part into
 * the allow-list. Whoever connects with it may do one thing, once: have a key of its own allowed as that node's agent.
 * So nobody is let in who has not been named, and what lies on the coordinator's disk opens nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum role { ROLE_NONE, ROLE_ADMIN, ROLE_TENANT, ROLE_VIEWER, ROLE_AGENT, ROLE_COORDINATOR, ROLE_JOIN };
extern const char *const role_names[];

struct identity {
	char name[64];
	enum role role;
	char node[64];       /* "" unless an agent, or to become one */
	uint64_t expires_ms; /* wall clock; 0: never */
	uint8_t public[32];
	uint8_t secret[32];  /* zero where has_secret is false */
	bool has_secret;
};

int identity_make(const char *name, enum role role, const char *node, struct identity *ret, struct err *err) VNE_MUST;
/* -EACCES where a file with a secret is readable by others (the reason says which chmod helps). */
int identity_load(const char *path, struct identity *ret, struct err *err) VNE_MUST;
/* What an agent's key is for is told to it by the coordinator: name and node. -EINVAL: not a name. */
int identity_rename(struct identity *agent, const char *node) VNE_MUST;
/* A key file as text that came from elsewhere; `file` is its name for errors (-EINVAL). */
int identity_parse(const char *file, const char *text, size_t len, struct identity *ret, struct err *err) VNE_MUST;
/* with_secret: mode 0600. Written beside and renamed. */
int identity_save(const struct identity *id, const char *path, bool with_secret, struct err *err) VNE_MUST;

/* For people to compare, by eye or on the telephone: the key's first 128 bits (finding another key that begins so takes 2^127
 * tries) as "3f2a-91bc-…", eight groups. */
enum { FINGERPRINT_TEXT = 40 };
const char *key_fingerprint(const uint8_t public[32], char text[FINGERPRINT_TEXT]);

/* What a token's line says: "<the coordinator's public key>.<the token's secret>", in hexadecimal. */
enum { TOKEN_TEXT = 130 };
void token_write(const struct identity *token, const uint8_t server_public[32], char text[TOKEN_TEXT]);
int token_read(const char *text, struct identity *ret, uint8_t ret_server[32], struct err *err) VNE_MUST; /* -EINVAL */
/* A token for the agent of `node`, good for so long. */
int token_make(const char *node, int64_t expires_us, struct identity *ret, struct err *err) VNE_MUST;

struct allow_list; /* public key → identity */
/* Every *.pub. faults: what is wrong with those that are left out; NULL: a bad file fails it. */
int allow_list_load(const char *dir, struct buf *faults, struct allow_list **ret, struct err *err) VNE_MUST;
void allow_list_free(struct allow_list *list);
const struct identity *allow_list_find(const struct allow_list *list, const uint8_t public[32]); /* NULL: refused, or expired */
const struct identity *allow_list_named(const struct allow_list *list, const char *name);        /* likewise */
/* In order of name. *ret: borrowed, ends with the list. */
size_t allow_list_all(const struct allow_list *list, const struct identity *const **ret);
/* Changes of the directory; whoever serves by it has to read it again. */
int allow_put(const char *dir, const struct identity *id, struct err *err) VNE_MUST;     /* its public part; what had its name is replaced */
int allow_remove(const char *dir, const char *name, struct err *err) VNE_MUST;           /* -ENOENT; its .pub file is removed */
