/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnsim: a stream of requests on a simulated clock, or many of them. Options and output; sim.h tells the rules,
 * sweep.h what many are. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/writer.h"
#include "tools/solver_options.h"
#include "tools/vnsim/bar.h"
#include "tools/vnsim/sim.h"
#include "tools/vnsim/sweep.h"

const char *argp_program_version = "vnsim " VNE_VERSION;

enum { OPTION_CSV = 0x2000, OPTION_EMBEDDINGS, OPTION_SWEEP };

static const struct argp_option options[] = {
	{ "substrate", 's', "FILE", 0, "The substrate (YAML)", 0 },
	{ "trace", 't', "FILE", 0, "The requests (YAML), each with arrival, ascending; - for standard input", 0 },
	SOLVER_OPTIONS,
	{ "csv", OPTION_CSV, "FILE", 0, "Write a row per arrival and departure", 2 },
	{ "embeddings", OPTION_EMBEDDINGS, "FILE", 0, "Write a line of JSON per request, as in vnembed's results", 2 },
	{ "sweep", OPTION_SWEEP, "FILE", 0, "Many streams, as the file (YAML) says, in place of -s and -t", 3 },
	{ "directory", 'd', "DIR", 0, "Where a sweep's files go (default sweep-NAME); what is done there is not done again", 3 },
	{ "jobs", 'j', "N", 0, "Runs of a sweep at a time (default: as many as there are cores)", 3 },
	{ 0 },
};

struct settings {
	struct solver_options solver;
	const char *substrate, *trace, *csv, *embeddings, *sweep, *directory;
	int64_t jobs;
};

static int set(void *arg, int key, const char *value, struct err *err)
{
	struct settings *s = arg;
	int ret;

	switch (key) {
	case 's':
		s->substrate = value;
		return 0;
	case 't':
		s->trace = value;
		return 0;
	case OPTION_CSV:
		s->csv = value;
		return 0;
	case OPTION_EMBEDDINGS:
		s->embeddings = value;
		return 0;
	case OPTION_SWEEP:
		s->sweep = value;
		return 0;
	case 'd':
		s->directory = value;
		return 0;
	case 'j':
		ret = units_integer(value, 1, SWEEP_JOBS_MAX, &s->jobs, err);
		return ret ? err_add(err, ret, "jobs") : 0;
	}
	return solver_option_set(&s->solver, key, value, err);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is not an option; a trace is given with -t", arg);
	return option_parse(key, arg, state, set);
}

static char *help_filter(int key, const char *text, void *input)
{
	return key == ARGP_KEY_HELP_POST_DOC ? solver_help() : (char *)text;
}

/* ---- what is written on the way ------------------------------------------------------------ */

struct outputs {
	const struct substrate *s;
	const struct request *requests;
	size_t n, arrived;
	FILE *csv, *embeddings;
	struct bar bar;
};

static int open_output(const char *path, FILE **ret, struct err *err)
{
	if (!path)
		return 0;
	*ret = fopen(path, "we");
	return *ret ? 0 : err_sys(err, -errno, "%s", path);
}

static int close_output(FILE *file, const char *path, struct err *err)
{
	bool failed = file && ferror(file);

	if (file && (fclose(file) != 0 || failed))
		return err_sys(err, errno ? -errno : -EIO, "%s", path);
	return 0;
}

static int write_event(void *arg, const struct sim_event *event, struct err *err)
{
	struct outputs *o = arg;
	const struct request *r = &o->requests[event->request];

	if (event->arrival)
		o->arrived++;
	bar_show(&o->bar, o->arrived, o->n, "requests");
	if (o->csv && event->arrival)
		fprintf(o->csv, "%.6f,arrival,%s,%s,%.9g,%.9g,%.6f,%.9f,%.9f\n", (double)event->time_us / 1e6, r->name,
		        solve_status_names[event->answer->status], event->revenue, event->cost, event->answer->seconds,
		        event->cpu_utilisation, event->bandwidth_utilisation);
	else if (o->csv)
		fprintf(o->csv, "%.6f,departure,%s,,%.9g,%.9g,,%.9f,%.9f\n", (double)event->time_us / 1e6, r->name,
		        event->revenue, event->cost, event->cpu_utilisation, event->bandwidth_utilisation);
	if (o->embeddings && event->arrival) {
		buf_auto struct buf line = BUF_INIT;
		struct writer *w = writer_json();
		write_solution(w, o->s, r, event->answer);
		writer_finish(w, &line);
		fwrite(buf_cstr(&line), 1, line.len, o->embeddings);
	}
	if ((o->csv && ferror(o->csv)) || (o->embeddings && ferror(o->embeddings)))
		return err_set(err, -EIO, "cannot write: the disk is full, or the file is gone");
	return 0;
}

/* ---- the summary --------------------------------------------------------------------------- */

static void write_ratio(struct writer *w, const char *key, const char *title, double part, double all)
{
	if (all > 0)
		write_number(w, key, title, part / all, 4);
}

static void write_result(struct writer *w, const struct sim_result *r)
{
	write_object(w, NULL, "");
	write_int(w, "requests", "requests", (int64_t)r->requests);
	write_int(w, "accepted", "accepted", (int64_t)r->accepted);
	write_ratio(w, "acceptance_ratio", "acceptance", (double)r->accepted, (double)r->requests);
	write_ratio(w, "revenue_to_cost", "revenue / cost", r->revenue, r->cost);
	write_ratio(w, "revenue_to_cost_time", "revenue / cost, by lifetime", r->revenue_time, r->cost_time);
	if (r->last_arrival_s > 0)
		write_number(w, "long_term_revenue", "long-term revenue", r->revenue_time / r->last_arrival_s, 1);
	write_object(w, "seconds", "seconds per request");
	write_number(w, "mean", "mean", r->requests ? r->seconds_total / (double)r->requests : 0, 6);
	write_number(w, "p50", "p50", sim_quantile(r->seconds, r->requests, 0.5), 6);
	write_number(w, "p90", "p90", sim_quantile(r->seconds, r->requests, 0.9), 6);
	write_number(w, "p99", "p99", sim_quantile(r->seconds, r->requests, 0.99), 6);
	write_number(w, "max", "max", sim_quantile(r->seconds, r->requests, 1), 6);
	write_number(w, "total", "total", r->seconds_total, 3);
	write_end(w);
	write_object(w, "peak_utilisation", "peak utilisation");
	write_number(w, "cpu", "cpu", r->peak_cpu, 4);
	write_number(w, "bandwidth", "bandwidth", r->peak_bandwidth, 4);
	write_end(w);
	write_end(w);
}

static int print_result(const struct settings *s, const struct sim_result *result)
{
	struct writer *w = s->solver.json ? writer_json() : writer_text(isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
	buf_auto struct buf text = BUF_INIT;

	write_result(w, result);
	writer_finish(w, &text);
	if (fwrite(buf_cstr(&text), 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
		fprintf(stderr, "vnsim: cannot write: %s\n", strerror(errno));
		return EXIT_MACHINE;
	}
	return EXIT_DONE;
}

/* ---- the run ------------------------------------------------------------------------------- */

static int simulate(const struct settings *s, const struct substrate *substrate, const struct request *requests, size_t n)
{
	struct outputs o = { .s = substrate, .requests = requests, .n = n, .bar = { .on = isatty(STDERR_FILENO) } };
	struct sim_options how = { .embed = s->solver.embed, .event = write_event, .arg = &o };
	struct sim_result result = { 0 };
	struct err err = { 0 };

	int ret = open_output(s->csv, &o.csv, &err);
	if (ret == 0)
		ret = open_output(s->embeddings, &o.embeddings, &err);
	if (ret != 0) {
		if (o.csv)
			fclose(o.csv);
		fprintf(stderr, "vnsim: %s\n", err.text);
		return EXIT_INPUT;
	}
	if (o.csv)
		fputs("time,event,request,status,revenue,cost,seconds,cpu_utilisation,bandwidth_utilisation\n", o.csv);
	ret = sim_run(substrate, requests, n, &how, &result, &err);
	bar_end(&o.bar);
	int closed = close_output(o.csv, s->csv, &err), closed_too = close_output(o.embeddings, s->embeddings, &err);
	if (ret == 0)
		ret = closed ? closed : closed_too;
	if (ret != 0) {
		fprintf(stderr, "vnsim: %s\n", err.text);
		sim_result_done(&result);
		return EXIT_MACHINE;
	}
	int code = print_result(s, &result);
	sim_result_done(&result);
	return code;
}

static int tell_errors(const char *file, struct yaml_errors *errors, int ret, const struct err *err)
{
	int code = EXIT_DONE;

	if (errors->n > 0) {
		fputs(buf_cstr(&errors->text), stderr);
		code = EXIT_INPUT;
	} else if (ret != 0) {
		fprintf(stderr, "vnsim: %s: %s\n", file, err->text);
		code = exit_of_error(ret);
	}
	yaml_errors_done(errors);
	return code;
}

/* Without settling: a solver of the sweep may bring an effort, and with it no limit of time. */
static int sweep(const struct settings *s)
{
	struct yaml_errors errors = { .file = s->sweep };
	struct sweep sweep = { 0 };
	struct err err = { 0 };
	int code = tell_errors(s->sweep, &errors, sweep_read(s->sweep, &s->solver, &errors, &sweep, &err), &err);

	if (code == EXIT_DONE)
		code = sweep_run(&sweep, s->directory, s->jobs, s->solver.json);
	sweep_done(&sweep);
	return code;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .help_filter = help_filter,
		.doc = "Embeds a stream of requests that arrive and leave on a simulated clock, and measures.\v ",
	};
	struct settings s = { 0 };
	struct substrate substrate = { 0 };
	struct request *requests = NULL;
	size_t n = 0;
	struct err err = { 0 };

	argp_err_exit_status = EXIT_INPUT;
	solver_options_init(&s.solver);
	options_from_environment(options, &s, set);
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	if (s.sweep && (s.substrate || s.trace || s.csv || s.embeddings)) {
		fprintf(stderr, "vnsim: --sweep has its own streams and files; not together with -s, -t, --csv or --embeddings\n");
		return EXIT_INPUT;
	}
	if (s.sweep)
		return sweep(&s);
	solver_options_settle(&s.solver);
	if (!s.substrate || !s.trace) {
		fprintf(stderr, "vnsim: a substrate (-s FILE) and a trace (-t FILE) are needed; --help tells more\n");
		return EXIT_INPUT;
	}
	struct yaml_errors errors = { .file = s.substrate };
	int code = tell_errors(s.substrate, &errors, substrate_load(s.substrate, &errors, &substrate, &err), &err);
	errors = (struct yaml_errors){ .file = s.trace };
	code = worse_exit(code, tell_errors(s.trace, &errors, request_load(s.trace, true, &errors, &requests, &n, &err), &err));
	if (code == EXIT_DONE)
		code = simulate(&s, &substrate, requests, n);
	for (size_t i = 0; i < n; i++)
		request_done(&requests[i]);
	free(requests);
	substrate_done(&substrate);
	return code;
}
