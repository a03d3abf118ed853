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

#include "base/loop.h"
#include "base/mem.h"
#include "base/vec.h"
#include "embed/embed.h"
#include "model/writer.h"
#include "tools/solver_options.h"
#include "tools/vnembed/vnembed.h"

const char *argp_program_version = "vnembed " VNE_VERSION;

enum { OPTION_WORKER = 0x2000 };

static const struct argp_option options[] = {
	{ "substrate", 's', "FILE", 0, "The substrate (YAML; - for standard input)", 0 },
	{ "request", 'r', "FILE", 0, "Requests (YAML, several documents are several requests); may be given several "
	  "times; standard input without it", 0 },
	SOLVER_OPTIONS,
	{ "worker", OPTION_WORKER, NULL, 0, "Serve as vned's solver process; not for people", 3 },
	{ 0 },
};

struct settings {
	struct solver_options solver;
	const char *substrate;
	VEC(const char *) requests;
	const char *request_env;
	bool worker;
};

static int set(void *arg, int key, const char *value, struct err *err)
{
	struct settings *s = arg;

	switch (key) {
	case 's':
		s->substrate = value;
		return 0;
	case 'r':
		s->request_env = value;
		return 0;
	case OPTION_WORKER:
		return 0; /* a mode, not a setting */
	}
	return solver_option_set(&s->solver, key, value, err);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;
	struct err err = { 0 };

	if (key == 'r') {
		*vec_add(&s->requests) = arg;
		return 0;
	}
	if (key == OPTION_WORKER) {
		s->worker = true;
		return 0;
	}
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is not an option; requests are given with -r", arg);
	if (!arg || key < 0 || key == ARGP_KEY_ARGS)
		return ARGP_ERR_UNKNOWN;
	int ret = set(s, key, arg, &err);
	if (ret == -ENOENT)
		return ARGP_ERR_UNKNOWN;
	if (ret != 0)
		argp_error(state, "%s", err.text);
	return 0;
}

static char *help_filter(int key, const char *text, void *input)
{
	return key == ARGP_KEY_HELP_POST_DOC ? solver_help() : (char *)text;
}

/* ---- input --------------------------------------------------------------------------------- */

struct work {
	struct substrate substrate;
	VEC(struct request) requests;
	int exit;
};

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

/* ---- output -------------------------------------------------------------------------------- */

static void tell_refusal(const struct request *r, const struct solution *answer)
{
	fprintf(stderr, "vnembed: %s: %s: %s%s%s\n", r->name, solve_status_names[answer->status], answer->reason,
	        answer->relax[0] ? "; it would fit with " : "", answer->relax);
}

static void solve_all(struct work *w, const struct settings *s)
{
	bool colour = !s->solver.json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	struct writer *out = s->solver.json ? writer_json() : writer_text(colour);
	buf_auto struct buf text = BUF_INIT;
	struct residual left;
	int64_t started = clock_us();

	residual_init(&left, &w->substrate);
	write_object(out, NULL, "");
	write_string(out, "substrate", NULL, w->substrate.name);
	write_list(out, "results", "");
	for (size_t i = 0; i < w->requests.n; i++) {
		const struct request *r = &w->requests.v[i];
		struct solution answer = { 0 };
		struct err err = { 0 };
		int ret = embed_solve(&w->substrate, &left, r, &s->solver.embed, &answer, &err);
		if (ret != 0) {
			fprintf(stderr, "vnembed: %s: %s\n", r->name, err.text);
			w->exit = worse_exit(w->exit, EXIT_MACHINE);
			continue;
		}
		write_solution(out, &w->substrate, r, &answer);
		if (answer.has_embedding)
			residual_take(&left, r, &answer.embedding);
		else
			tell_refusal(r, &answer);
		w->exit = worse_exit(w->exit, exit_of_status(answer.status));
		solution_done(&answer);
	}
	write_end(out);
	write_number(out, "seconds", NULL, (double)(clock_us() - started) / 1e6, 4);
	write_end(out);
	writer_finish(out, &text);
	if (fwrite(buf_cstr(&text), 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
		fprintf(stderr, "vnembed: cannot write: %s\n", strerror(errno));
		w->exit = EXIT_MACHINE;
	}
	residual_done(&left);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .help_filter = help_filter,
		.doc = "Embeds virtual networks onto a substrate, in order, each onto what the earlier ones left.\v ",
	};
	struct settings s = { 0 };
	struct work w = { 0 };

	argp_err_exit_status = EXIT_INPUT;
	solver_options_init(&s.solver);
	options_from_environment(options, &s, set);
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	if (s.worker)
		return worker_run();
	solver_options_settle(&s.solver);
	s.solver.embed.explain = true;
	if (!s.substrate) {
		fprintf(stderr, "vnembed: which substrate? -s FILE; --help tells more\n");
		return EXIT_INPUT;
	}
	if (s.requests.n == 0)
		*vec_add(&s.requests) = s.request_env ? s.request_env : "-";

	read_all(&w, &s);
	if (w.exit == EXIT_DONE)
		solve_all(&w, &s);
	for (size_t i = 0; i < w.requests.n; i++)
		request_done(&w.requests.v[i]);
	vec_done(&w.requests);
	vec_done(&s.requests);
	substrate_done(&w.substrate);
	return w.exit;
}
