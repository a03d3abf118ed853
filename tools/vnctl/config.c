/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whom to talk to: flags, else the environment, else a file: the one named, the running lab's, the
 * user's own, the machine's; else the vned of this machine, by its socket file. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/yaml.h"
#include "tools/lab_dir.h"
#include "tools/vnctl/client.h"

#define LOCAL_SOCKET "/run/vned/vned.sock" /* of the vned of this machine, for those who may open it */

struct file {
	char *server, *server_key, *key;
};

static const struct yaml_key keys[] = {
	{ "kind", yaml_read_ignore, 0, true, NULL, "vnctl" },
	{ "server", yaml_read_string, offsetof(struct file, server), true, NULL, "tcp://HOST:PORT" },
	{ "server_key", yaml_read_string, offsetof(struct file, server_key), false, NULL, "the path of vned's .pub file" },
	{ "key", yaml_read_string, offsetof(struct file, key), false, NULL, "the path of your .key file" },
	{ 0 }
};

void settings_done(struct settings *s)
{
	free(s->server);
	free(s->server_key);
	free(s->key);
	free(s->config);
	free(s->since);
	free(s->until);
	free(s->by);
}

/* Relative paths are relative to the file. */
static char *beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	if (*path == '/' || !slash)
		return mem_str(path);
	return mem_printf("%.*s%s", (int)(slash - file + 1), file, path);
}

static void fill(char **setting, char *value)
{
	if (*setting)
		free(value);
	else
		*setting = value;
}

static int read_config(struct settings *s, const char *path)
{
	struct yaml_errors errors = { .file = path };
	struct file file = { 0 };
	struct yaml_doc **docs;
	struct err err = { 0 };
	mem_auto char *text = NULL;
	size_t len, n;
	if (yaml_load_file(path, &text, &len, &err)) {
		fprintf(stderr, "vnctl: %s\n", err.text);
		return 2;
	}
	yaml_parse(text, len, &errors, &docs, &n);
	if (n != 1 && !errors.n)
		yaml_error(&errors, (struct yaml_mark){ 1, 1 }, "%zu documents; expected one, of kind: vnctl", n);
	if (n == 1) {
		const char *kind = yaml_kind(docs[0], "vnctl", &errors);
		if (kind && strcmp(kind, "vnctl"))
			yaml_error(&errors, yaml_root(docs[0])->mark, "kind: %s; expected kind: vnctl", kind);
		else if (kind)
			yaml_read_mapping(yaml_root(docs[0]), keys, &file, NULL, &errors);
	}
	if (!errors.n && strncmp(file.server, "ipc://", 6) != 0 && (!file.server_key || !file.key))
		yaml_error(&errors, yaml_root(docs[0])->mark, "server_key and key are missing; only a socket file of this machine (ipc://PATH) needs none");
	yaml_free_docs(docs, n);
	int code = errors.n ? 2 : 0;
	fputs(buf_cstr(&errors.text), stderr);
	yaml_errors_done(&errors);
	if (!code) {
		fill(&s->server, mem_str(file.server));
		fill(&s->server_key, file.server_key ? beside(path, file.server_key) : NULL);
		fill(&s->key, file.key ? beside(path, file.key) : NULL);
	}
	free(file.server);
	free(file.server_key);
	free(file.key);
	return code;
}

/* Caller frees; NULL: there is none. */
static char *find_config(void)
{
	mem_auto char *lab = lab_dir_default();
	const char *home = getenv("HOME");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	char *places[] = {
		mem_printf("%s/client.yaml", lab),
		xdg && *xdg == '/' ? mem_printf("%s/vne/vnctl.yaml", xdg) :
		home               ? mem_printf("%s/.config/vne/vnctl.yaml", home) : NULL,
		mem_str("/etc/vne/vnctl.yaml"),
	};
	char *found = NULL;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (!found && places[i] && access(places[i], R_OK) == 0)
			found = places[i];
		else
			free(places[i]);
	}
	return found;
}

int settings_complete(struct settings *s)
{
	if (s->server && ((s->server_key && s->key) || !strncmp(s->server, "ipc://", 6)))
		return 0;
	mem_auto char *path = s->config ? mem_str(s->config) : find_config();
	if (!path && !s->server && access(LOCAL_SOCKET, W_OK) == 0) {
		s->server = mem_str("ipc://" LOCAL_SOCKET);
		return 0;
	}
	if (!path) {
		fprintf(stderr, "vnctl: no lab is running and there is no ~/.config/vne/vnctl.yaml or /etc/vne/vnctl.yaml; "
		                "`vnlab up` makes a lab, --config names a file, or give --server, --server-key and --key\n");
		return 2;
	}
	return read_config(s, path);
}

struct writer *settings_writer(const struct settings *s)
{
	const char *no = getenv("NO_COLOR");
	return s->json ? writer_json() : writer_text(isatty(STDOUT_FILENO) && !(no && *no));
}
