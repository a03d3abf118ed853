/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnembed: the solver as a filter. Reads a substrate and requests, embeds them in order, each onto
 * what the earlier ones left, and writes what came of it. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnembed/vnembed.h"

const char *argp_program_version = "vnembed " VNE_VERSION;

enum { OPTION_WORKER = 0x2000, OPTION_BATCH, OPTION_RUNNING, OPTION_MOVES, OPTION_REPORT, OPTION_PROOF };

static const struct argp_option options[] = {
	{ "substrate", 's', "FILE", 0, "The substrate (YAML; - for standard input)", 0 },
	{ "request", 'r', "FILE", 0, "Requests (YAML, several documents are several requests); may be given several "
	  "times; standard input without it", 0 },
	SOLVER_OPTIONS,
	{ "batch", OPTION_BATCH, NULL, 0, "All requests together: the most revenue × priority, then the least cost; the limits are "
	  "of the whole", 1 },
	{ "running", OPTION_RUNNING, "FILE", 0, "Where the requests run already, as -o json wrote it: finds cheaper embeddings for them", 1 },
	{ "moves", OPTION_MOVES, "N", 0, "With --running: at most so many routers change their node (default: no limit)", 1 },
	{ "report", OPTION_REPORT, NULL, 0, "Tell a person: who is where, what it costs, how full the substrate is", 2 },
	{ "proof", OPTION_PROOF, "FILE", 0, "Write down why nothing costs less, or fits, for others to check; one request", 2 },
	{ "worker", OPTION_WORKER, NULL, 0, "Serve as vned's solver process; not for people", 3 },
	{ 0 },
};

static int set(void *arg, int key, const char *value, struct err *err)
{
	struct settings *s = arg;
	int ret;

	switch (key) {
	case 's':
		s->substrate = value;
		return 0;
	case 'r':
		s->request_env = value;
		return 0;
	case OPTION_WORKER:
		return 0; /* a mode, not a setting */
	case OPTION_BATCH:
		s->batch = strcmp(value, "0") != 0;
		return 0;
	case OPTION_REPORT:
		s->report = strcmp(value, "0") != 0;
		return 0;
	case OPTION_RUNNING:
		s->running = value;
		return 0;
	case OPTION_PROOF:
		s->proof = value;
		return 0;
	case OPTION_MOVES:
		ret = units_integer(value, 0, INT32_MAX, &s->moves, err);
		return ret ? err_add(err, ret, "moves") : 0;
	}
	return solver_option_set(&s->solver, key, value, err);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static char yes[] = "1";
	struct settings *s = state->input;

	if (key == 'r') {
		*vec_add(&s->requests) = arg;
		return 0;
	}
	if (key == OPTION_WORKER) {
		s->worker = true;
		return 0;
	}
	if (key == OPTION_BATCH || key == OPTION_REPORT)
		arg = yes;
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is not an option; requests are given with -r", arg);
	return option_parse(key, arg, state, set);
}

static char *help_filter(int key, const char *text, void *input)
{
	return key == ARGP_KEY_HELP_POST_DOC ? solver_help() : (char *)text;
}

/* ---- input --------------------------------------------------------------------------------- */

/* Says what is wrong with a file: each error in it, or why it could not be had. */
static void tell_errors(struct work *w, const char *file, struct yaml_errors *errors, int ret, const struct err *err)
{
	if (errors->n > 0)
		fputs(buf_cstr(&errors->text), stderr);
	else if (ret != 0)
		fprintf(stderr, "vnembed: %s: %s\n", strcmp(file, "-") ? file : "<stdin>", err->text);
	if (errors->n > 0 || ret != 0)
		w->exit = worse_exit(w->exit, exit_of_error(errors->n > 0 ? -EINVAL : ret));
	yaml_errors_done(errors);
}

static void read_requests(struct work *w, const char *file)
{
	struct yaml_errors errors = { .file = file };
	struct err err = { 0 };
	struct request *requests = NULL;
	size_t n = 0;

	int ret = request_load(file, false, &errors, &requests, &n, &err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		*vec_add(&w->requests) = requests[i];
	if (ret == 0)
		free(requests);
	tell_errors(w, file, &errors, ret, &err);
}

static void read_all(struct work *w, const struct settings *s)
{
	struct yaml_errors errors = { .file = s->substrate };
	struct err err = { 0 };
	int stdins = strcmp(s->substrate, "-") == 0;

	for (size_t i = 0; i < s->requests.n; i++)
		stdins += strcmp(s->requests.v[i], "-") == 0;
	if (stdins > 1) {
		fprintf(stderr, "vnembed: standard input can be read only once\n");
		w->exit = EXIT_INPUT;
		return;
	}
	int ret = substrate_load(s->substrate, &errors, &w->substrate, &err);
	tell_errors(w, s->substrate, &errors, ret, &err);
	for (size_t i = 0; i < s->requests.n; i++)
		read_requests(w, s->requests.v[i]);
}

/* What does not go together, said before anything is read. */
static int check_settings(const struct settings *s)
{
	const char *why = NULL;

	if (!s->substrate)
		why = "which substrate? -s FILE; --help tells more";
	else if (s->batch && s->running)
		why = "--batch and --running exclude each other";
	else if (s->moves >= 0 && !s->running)
		why = "--moves is of --running";
	else if (s->report && s->solver.json)
		why = "--report is for people; leave it out, or -o json";
	else if ((s->batch || s->running) && s->solver.solver_given)
		why = "--solver is of single requests; --batch and --running choose their own";
	else if (s->proof && (s->batch || s->running))
		why = "--proof is of one request";
	else if (s->proof && strcmp(s->solver.embed.solver, "auto") != 0 && strcmp(s->solver.embed.solver, "exact") != 0)
		why = "--proof is of --solver exact";
	if (why)
		fprintf(stderr, "vnembed: %s\n", why);
	return why ? EXIT_INPUT : EXIT_DONE;
}

static int open_proof(struct settings *s, size_t requests)
{
	if (requests != 1) {
		fprintf(stderr, "vnembed: --proof is of one request; %zu are given\n", requests);
		return EXIT_INPUT;
	}
	s->solver.embed.proof = fopen(s->proof, "we");
	if (!s->solver.embed.proof) {
		fprintf(stderr, "vnembed: %s: %s\n", s->proof, strerror(errno));
		return EXIT_INPUT;
	}
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .help_filter = help_filter,
		.doc = "Embeds virtual networks onto a substrate, in order, each onto what the earlier ones left.\v ",
	};
	struct settings s = { .moves = -1 };
	struct work w = { 0 };

	argp_err_exit_status = EXIT_INPUT;
	solver_options_init(&s.solver);
	options_from_environment(options, &s, set);
	s.solver.solver_given = false; /* one for all programs is no contradiction */
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	if (s.worker)
		return worker_run(s.solver.embed.solver);
	solver_options_settle(&s.solver);
	s.solver.embed.explain = true;
	if (s.requests.n == 0)
		*vec_add(&s.requests) = s.request_env ? s.request_env : "-";

	w.exit = check_settings(&s);
	if (w.exit == EXIT_DONE)
		read_all(&w, &s);
	if (w.exit == EXIT_DONE && s.proof)
		w.exit = open_proof(&s, w.requests.n);
	if (w.exit == EXIT_DONE)
		(s.batch ? run_batch : s.running ? run_again : run_in_order)(&w, &s);
	if (s.solver.embed.proof && fclose(s.solver.embed.proof) != 0) {
		fprintf(stderr, "vnembed: cannot write %s: %s\n", s.proof, strerror(errno));
		w.exit = EXIT_MACHINE;
	}
	for (size_t i = 0; i < w.requests.n; i++)
		request_done(&w.requests.v[i]);
	vec_done(&w.requests);
	vec_done(&s.requests);
	substrate_done(&w.substrate);
	return w.exit;
}
