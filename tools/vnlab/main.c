/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnlab: a substrate on one machine. Commands and options; lab.h tells how a lab is built. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/units.h"
#include "tools/lab_dir.h"
#include "tools/vnlab/lab.h"

struct settings {
	const char *dir;
	bool json;
	int64_t timeout_us;
	char **rest; /* command and its arguments, NULL-ended */
	int n_rest;
};

static const char about[] =
	"Builds a substrate on this machine: every node a network namespace with its own agent, every link a "
	"virtual cable of its bandwidth (and delay, where the kernel can), one vned.\v"
	"Commands:\n"
	"  up SUBSTRATE.yaml          build it and wait until every agent is connected\n"
	"  status                     nodes, processes, addresses\n"
	"  exec NODE -- COMMAND ...   run a command on a node; its exit code\n"
	"  down                       end the lab; nothing is left behind\n"
	"  kill [-SIGNAL] vned|NODE   send a signal to vned or to a node's agent (default TERM)\n"
	"  start vned|NODE            start it again and wait until it is ready\n"
	"  restart vned|NODE          kill and start\n\n"
	"While a lab is up, vnctl talks to it. Exit codes: 0 done, 1 refused, 2 bad usage or input, 3 no "
	"answer, 70 the machine failed.";

const char *argp_program_version = "vnlab " VNE_VERSION;

static const struct argp_option options[] = {
	{ "lab-dir", 'd', "DIR", 0, "where the lab lives (VNE_LAB_DIR; /run/vnlab, or a place of the user's own)", 0 },
	{ "output", 'o', "FORMAT", 0, "of status: text or json (VNE_OUTPUT)", 0 },
	{ "timeout", 't', "DURATION", 0, "for `up`: how long to wait for the agents (VNE_TIMEOUT; 60s, more for large ones)", 0 },
	{ 0 }
};

static error_t set(int key, const char *value, struct settings *s, const struct argp_state *state)
{
	struct err err = { 0 };
	switch (key) {
	case 'd':
		s->dir = value;
		return 0;
	case 'o':
		if (strcmp(value, "json") && strcmp(value, "text"))
			argp_failure(state, 2, 0, "--output: %s; expected text or json", value);
		s->json = !strcmp(value, "json");
		return 0;
	case 't':
		if (units_duration(value, &s->timeout_us, &err))
			argp_failure(state, 2, 0, "--timeout: %s", err.text);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;
	if (key == ARGP_KEY_ARG) {
		s->rest[s->n_rest++] = arg;
		/* These take words that look like options: everything from here on is theirs. */
		if (s->n_rest == 1 && (!strcmp(arg, "exec") || !strcmp(arg, "kill")))
			while (state->next < state->argc)
				s->rest[s->n_rest++] = state->argv[state->next++];
		return 0;
	}
	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "no command; expected up, status, exec, down, kill, start or restart");
	return set(key, arg, s, state);
}

static void from_environment(struct settings *s)
{
	static const struct { const char *name; int key; } names[] = { { "VNE_OUTPUT", 'o' }, { "VNE_TIMEOUT", 't' } };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i].name);
		if (value && *value)
			set(names[i].key, value, s, NULL);
	}
}

/* "9", "KILL", "SIGKILL"; 0: no such signal. */
static int signal_number(const char *name)
{
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);
		if ((known && !strcmp(known, name)) || (strspn(name, "0123456789") == strlen(name) && atoi(name) == i))
			return i;
	}
	return 0;
}

static int bad_usage(const char *usage)
{
	fprintf(stderr, "usage: vnlab %s\n", usage);
	return 2;
}

static int run_up(const struct settings *s)
{
	int64_t timeout_ms = s->timeout_us / 1000;
	return s->n_rest == 2 ? lab_up(s->dir, s->rest[1], timeout_ms) : bad_usage("up SUBSTRATE.yaml");
}

static int run_status(const struct settings *s)
{
	return s->n_rest == 1 ? control_status(s->dir, s->json) : bad_usage("status");
}

static int run_down(const struct settings *s)
{
	return s->n_rest == 1 ? control_down(s->dir) : bad_usage("down");
}

static int run_exec(const struct settings *s)
{
	int at = s->n_rest > 2 && !strcmp(s->rest[2], "--") ? 3 : 2;
	if (s->n_rest <= at)
		return bad_usage("exec NODE -- COMMAND ...");
	return control_exec(s->dir, s->rest[1], &s->rest[at]);
}

static int run_kill(const struct settings *s)
{
	bool given = s->n_rest == 3 && s->rest[1][0] == '-';
	int signo = given ? signal_number(s->rest[1] + 1) : SIGTERM;
	if (s->n_rest != (given ? 3 : 2))
		return bad_usage("kill [-SIGNAL] vned|NODE");
	if (!signo) {
		fprintf(stderr, "vnlab: %s: no such signal\n", s->rest[1] + 1);
		return 2;
	}
	return control_kill(s->dir, s->rest[given ? 2 : 1], signo);
}

static int run_start(const struct settings *s)
{
	return s->n_rest == 2 ? control_start(s->dir, s->rest[1]) : bad_usage("start vned|NODE");
}

static int run_restart(const struct settings *s)
{
	if (s->n_rest != 2)
		return bad_usage("restart vned|NODE");
	int code = control_kill(s->dir, s->rest[1], SIGTERM);
	return code ? code : control_start(s->dir, s->rest[1]);
}

static const struct command {
	const char *name;
	int (*run)(const struct settings *s);
} commands[] = {
	{ "up", run_up },     { "status", run_status }, { "exec", run_exec },       { "down", run_down },
	{ "kill", run_kill }, { "start", run_start },   { "restart", run_restart },
};

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "COMMAND [ARGUMENT ...]", about, NULL, NULL, NULL };
	mem_auto char *dir = lab_dir_default();
	mem_auto char **words = mem_array((size_t)argc + 1, sizeof(*words));
	struct settings s = { .dir = dir, .timeout_us = 60 * 1000000, .rest = words };
	const char *names[ARRAY_LEN(commands)];
	argp_err_exit_status = 2;
	from_environment(&s);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &s);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!strcmp(commands[i].name, s.rest[0]))
			return commands[i].run(&s);
		names[i] = commands[i].name;
	}
	const char *near = name_nearest(s.rest[0], names, ARRAY_LEN(names));
	fprintf(stderr, "vnlab: there is no command %s%s%s%s; --help lists them\n", s.rest[0],
	        near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	return 2;
}
