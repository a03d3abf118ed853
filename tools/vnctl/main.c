/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnctl: what a service provider and an operator say to vned. Options and the table of commands. */
#include <argp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/units.h"
#include "tools/vnctl/client.h"

struct arguments {
	struct settings settings;
	char **rest; /* command and its words */
	int n_rest;
	unsigned given; /* options that only some commands take, given as flags */
};

enum { TAKES_WAIT = 1, TAKES_PROBE = 2, TAKES_FOLLOW = 4, TAKES_HISTORY = 8, TAKES_ROUTES = 16, TAKES_EXPIRES = 32, TAKES_TIMES = 64, TAKES_BY = 128 };

static const struct command {
	const char *name, *words, *about;
	int (*run)(const struct settings *s, int argc, char **argv);
	unsigned takes;
	bool (*local)(int argc, char **argv); /* whether it needs no vned; NULL: it does */
} commands[] = {
	{ "submit", "FILE [--wait accepted|active] [--timeout 30s]", "build what the file asks for", command_submit, TAKES_WAIT, NULL },
	{ "plan", "FILE", "what would happen; changes nothing", command_plan, 0, NULL },
	{ "update", "[NAME] FILE [--wait accepted|active]", "make a network what the file asks for, while it runs", command_update, TAKES_WAIT, NULL },
	{ "release", "NAME", "take a network away", command_release, 0, NULL },
	{ "list", "", "all networks", command_list, 0, NULL },
	{ "show", "NAME [--history|--routes]", "one network: routers, links, loads, a map", command_show, TAKES_HISTORY | TAKES_ROUTES, NULL },
	{ "nodes", "", "the substrate's nodes and their load", command_nodes, 0, NULL },
	{ "links", "", "the substrate's links and what they carry", command_links, 0, NULL },
	{ "drain", "NODE [--timeout 30s]", "move everything off a node; nothing new is placed there", command_drain, 0, NULL },
	{ "undrain", "NODE", "let a node take routers again", command_undrain, 0, NULL },
	{ "reload", "", "have vned read its substrate file and its keys again", command_reload, 0, NULL },
	{ "events", "[--follow]", "what happened", command_events, TAKES_FOLLOW, NULL },
	{ "audit", "[NAME] [--probe]|OBJECT --history", "what was promised beside what is delivered; what was", command_audit,
	  TAKES_PROBE | TAKES_HISTORY | TAKES_TIMES, NULL },
	{ "graph", "[NAME] [-o dot|svg|png]", "the substrate, or a network on it, for Graphviz", command_graph, 0, NULL },
	{ "exec", "NAME ROUTER -- COMMAND ...", "run a command inside a router; its exit code", command_exec, 0, NULL },
	{ "console", "NAME ROUTER", "the console of a router that is a guest; Ctrl-] ends", command_console, 0, NULL },
	{ "plane", "NAME ROUTER get|set|delete ...", "the map of a router's forwarding program", command_plane, 0, NULL },
	{ "backup", "FILE", "a copy of what vned has stored, to restore it from", command_backup, 0, NULL },
	{ "keys", "new NAME ROLE [NODE]|show FILE|list|allow FILE.pub|revoke NAME", "make keys; who may connect", command_keys, 0, keys_local },
	{ "log", "[WHO] [--since TIME] [--until TIME]", "who changed what, and how it ended", command_log, TAKES_TIMES, NULL },
	{ "usage", "[TENANT] [--since TIME] [--until TIME] [--by hour|day]", "what tenants had: -o csv for billing", command_usage, TAKES_TIMES | TAKES_BY, NULL },
	{ "quota", "", "what tenants hold, and may", command_quota, 0, NULL },
	{ "join", "NODE [--expires 1h]", "the line that makes a machine the agent of a node", command_join, TAKES_EXPIRES, NULL },
};

const char *argp_program_version = "vnctl " VNE_VERSION;

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "settings (VNE_CONFIG; the running lab's client.yaml, ~/.config/vne/vnctl.yaml, "
	  "/etc/vne/vnctl.yaml)", 0 },
	{ "server", 's', "tcp://HOST:PORT", 0, "vned's address (VNE_SERVER)", 0 },
	{ "server-key", 'S', "FILE", 0, "vned's .pub file (VNE_SERVER_KEY)", 0 },
	{ "key", 'k', "FILE", 0, "your .key file (VNE_KEY)", 0 },
	{ "output", 'o', "FORMAT", 0, "text or json; of usage csv, too; of graph dot, svg or png (VNE_OUTPUT)", 0 },
	{ "timeout", 't', "DURATION", 0, "how long to wait for an answer (VNE_TIMEOUT; 30s)", 0 },
	{ "wait", 'w', "accepted|active", 0, "of submit: wait until it is stored, or until it carries traffic (VNE_WAIT; "
	  "active)", 0 },
	{ "probe", 'p', NULL, 0, "of audit: measure by sending (VNE_PROBE=1)", 0 },
	{ "follow", 'f', NULL, 0, "of events: go on with those to come (VNE_FOLLOW=1)", 0 },
	{ "history", 'H', NULL, 0, "of show: what happened to it, also when it is gone; of audit: what was measured (VNE_HISTORY=1)", 0 },
	{ "since", 'F', "TIME", 0, "of log, usage and history: from then on; a date, or how long ago (VNE_SINCE)", 0 },
	{ "until", 'T', "TIME", 0, "of log and usage: up to then (VNE_UNTIL)", 0 },
	{ "by", 'b', "hour|day", 0, "of usage: a row for each (VNE_BY)", 0 },
	{ "expires", 'e', "DURATION", 0, "of join: how long the line is good for (VNE_EXPIRES; 1h)", 0 },
	{ "routes", 'R', NULL, 0, "of show: its routers' tables and neighbours (VNE_ROUTES=1)", 0 },
	{ 0 }
};

static void put(char **setting, const char *value)
{
	free(*setting);
	*setting = mem_str(value);
}

static error_t set(int key, const char *value, struct settings *s, const struct argp_state *state)
{
	struct err err = { 0 };
	switch (key) {
	case 'c':
		put(&s->config, value);
		return 0;
	case 's':
		put(&s->server, value);
		return 0;
	case 'S':
		put(&s->server_key, value);
		return 0;
	case 'k':
		put(&s->key, value);
		return 0;
	case 'o':
		if (strcmp(value, "json") && strcmp(value, "text") && strcmp(value, "csv") && strcmp(value, "dot") && strcmp(value, "svg") && strcmp(value, "png"))
			argp_failure(state, 2, 0, "--output: %s; expected text or json (usage: csv, too; graph: dot, svg or png)", value);
		s->drawn = !strcmp(value, "svg") ? "svg" : !strcmp(value, "png") ? "png" : NULL;
		s->dot = !strcmp(value, "dot") || s->drawn;
		s->json = !strcmp(value, "json");
		s->csv = !strcmp(value, "csv");
		return 0;
	case 't':
		if (units_duration(value, &s->timeout_us, &err))
			argp_failure(state, 2, 0, "--timeout: %s", err.text);
		return 0;
	case 'F':
		put(&s->since, value);
		return 0;
	case 'T':
		put(&s->until, value);
		return 0;
	case 'b':
		put(&s->by, value);
		return 0;
	case 'e':
		if (units_duration(value, &s->expires_us, &err))
			argp_failure(state, 2, 0, "--expires: %s", err.text);
		return 0;
	case 'w':
		if (strcmp(value, "accepted") && strcmp(value, "active"))
			argp_failure(state, 2, 0, "--wait: %s; expected accepted or active", value);
		s->wait_accepted = !strcmp(value, "accepted");
		return 0;
	case 'p':
		s->probe = !value || !strcmp(value, "1");
		return 0;
	case 'H':
		s->history = !value || !strcmp(value, "1");
		return 0;
	case 'R':
		s->routes = !value || !strcmp(value, "1");
		return 0;
	case 'f':
		s->follow = !value || !strcmp(value, "1");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	if (key == ARGP_KEY_ARG) {
		a->rest[a->n_rest++] = arg;
		/* Its words may look like options: everything from here on belongs to it. */
		if (a->n_rest == 1 && !strcmp(arg, "exec"))
			while (state->next < state->argc)
				a->rest[a->n_rest++] = state->argv[state->next++];
		return 0;
	}
	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "no command");
	a->given |= key == 'w' ? TAKES_WAIT : key == 'p' ? TAKES_PROBE : key == 'f' ? TAKES_FOLLOW : key == 'H' ? TAKES_HISTORY : key == 'R' ? TAKES_ROUTES : key == 'e' ? TAKES_EXPIRES : key == 'F' || key == 'T' ? TAKES_TIMES : key == 'b' ? TAKES_BY : 0;
	return set(key, arg, &a->settings, state);
}

static void from_environment(struct settings *s)
{
	static const struct {
		const char *name;
		int key;
	} names[] = { { "VNE_CONFIG", 'c' }, { "VNE_SERVER", 's' }, { "VNE_SERVER_KEY", 'S' }, { "VNE_KEY", 'k' },
		      { "VNE_OUTPUT", 'o' }, { "VNE_TIMEOUT", 't' }, { "VNE_WAIT", 'w' }, { "VNE_PROBE", 'p' },
		      { "VNE_FOLLOW", 'f' }, { "VNE_HISTORY", 'H' }, { "VNE_ROUTES", 'R' }, { "VNE_EXPIRES", 'e' }, { "VNE_SINCE", 'F' }, { "VNE_UNTIL", 'T' },
		      { "VNE_BY", 'b' } };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i].name);
		if (value && *value)
			set(names[i].key, value, s, NULL);
	}
}

/* The list of commands behind --help comes from the table. */
static char *help_filter(int key, const char *text, void *input)
{
	struct buf b = BUF_INIT;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	buf_str(&b, "Commands:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		mem_auto char *line = mem_printf("%s %s", commands[i].name, commands[i].words);
		buf_printf(&b, "  %-52s %s\n", line, commands[i].about);
	}
	buf_str(&b, "\nFILE may be `-`: standard input. Exit codes: 0 done, 1 refused (the reason on stderr), 2 bad usage "
	            "or input, 3 no answer, 4 the time limit came first, 70 the machine failed.");
	return buf_take(&b);
}

static int unknown(const char *word)
{
	const char *names[ARRAY_LEN(commands)];
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	const char *near = name_nearest(word, names, ARRAY_LEN(names));
	fprintf(stderr, "vnctl: there is no command %s%s%s%s; --help lists them\n", word, near ? "; did you mean " : "",
	        near ? near : "", near ? "?" : "");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "COMMAND [WORD ...]",
		                          "Asks a vned to build, show and remove virtual networks.\v ", NULL, help_filter,
		                          NULL };
	mem_auto char **words = mem_array((size_t)argc + 1, sizeof(*words));
	struct arguments a = { .settings = { .timeout_us = 30 * 1000000 }, .rest = words };
	setlocale(LC_CTYPE, "");
	argp_err_exit_status = 2;
	from_environment(&a.settings);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	int code = -1;
	for (size_t i = 0; i < ARRAY_LEN(commands) && code < 0; i++) {
		if (strcmp(commands[i].name, a.rest[0]))
			continue;
		if (a.given & ~commands[i].takes) {
			fprintf(stderr, "usage: vnctl %s %s\n", commands[i].name, commands[i].words);
			code = 2;
			break;
		}
		if ((a.settings.csv && commands[i].run != command_usage) || (a.settings.dot && commands[i].run != command_graph)) {
			fprintf(stderr, "vnctl: only usage is written as csv, only a graph as dot, svg or png; expected --output text or json\n");
			code = 2;
			break;
		}
		code = commands[i].local && commands[i].local(a.n_rest, a.rest) ? 0 : settings_complete(&a.settings);
		code = code ? code : commands[i].run(&a.settings, a.n_rest, a.rest);
	}
	if (code < 0)
		code = unknown(a.rest[0]);
	settings_done(&a.settings);
	return code;
}
