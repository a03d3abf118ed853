/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The options that every program that embeds has in common, for argp. */
#pragma once

#include <argp.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "embed/embed.h"
#include "model/units.h"
#include "tools/options.h"

struct solver_options {
	struct embed_options embed;
	bool time_limit_given, solver_given;
	bool json;
};

enum { OPTION_SOLVER = 0x1000, OPTION_OBJECTIVE, OPTION_TIME_LIMIT, OPTION_EFFORT, OPTION_SEED };

#define SOLVER_OPTIONS \
	{ "solver", OPTION_SOLVER, "NAME", 0, "Which solver; see below (default auto)", 1 }, \
	{ "objective", OPTION_OBJECTIVE, "NAME", 0, "cost (default), or balance: cost weighted by 1/(residual + 1)", 1 }, \
	{ "time-limit", OPTION_TIME_LIMIT, "DURATION", 0, "Per request (default 10s; none with --effort)", 1 }, \
	{ "effort", OPTION_EFFORT, "N", 0, "Bound the work by counting it, in units of some microseconds: same seed and " \
	  "effort, same answer, on any machine", 1 }, \
	{ "seed", OPTION_SEED, "N", 0, "Of the solver's random numbers (default 1)", 1 }, \
	{ "output", 'o', "FORMAT", 0, "text (default) or json", 2 }

static inline int solver_option_solver(struct solver_options *o, const char *value, struct err *err)
{
	const char *names[32] = { 0 };
	int choice = 0;

	if (strncmp(value, "exec:", strlen("exec:")) == 0) {
		if (!value[strlen("exec:")])
			return err_set(err, -EINVAL, "solver: 'exec:' names no program; expected exec:PROGRAM");
		o->embed.solver = value;
		return 0;
	}
	for (size_t i = 0; embed_solvers[i] && i < ARRAY_LEN(names) - 1; i++)
		names[i] = embed_solvers[i]->name;
	int ret = option_choice(value, names, "solver", &choice, err);
	if (ret == 0)
		o->embed.solver = names[choice];
	return ret;
}

/* 0; -ENOENT: not one of these; else the reason in err. */
static inline int solver_option_set(struct solver_options *o, int key, const char *value, struct err *err)
{
	static const char *const objectives[] = { "cost", "balance", NULL }, *const formats[] = { "text", "json", NULL };
	int choice = 0, ret;
	int64_t number = 0;

	switch (key) {
	case OPTION_SOLVER:
		o->solver_given = true;
		return solver_option_solver(o, value, err);
	case OPTION_OBJECTIVE:
		ret = option_choice(value, objectives, "objective", &choice, err);
		o->embed.objective = choice;
		return ret;
	case OPTION_TIME_LIMIT:
		ret = units_duration(value, &number, err);
		o->embed.time_limit_s = (double)number / 1e6;
		o->time_limit_given = true;
		return ret ? err_add(err, ret, "time-limit") : 0;
	case OPTION_EFFORT:
		ret = units_integer(value, 1, INT64_MAX, &number, err);
		o->embed.effort = number;
		return ret ? err_add(err, ret, "effort") : 0;
	case OPTION_SEED:
		ret = units_integer(value, 0, INT64_MAX, &number, err);
		o->embed.seed = (uint64_t)number;
		return ret ? err_add(err, ret, "seed") : 0;
	case 'o':
		ret = option_choice(value, formats, "output", &choice, err);
		o->json = choice == 1;
		return ret;
	}
	return -ENOENT;
}

static inline void solver_options_init(struct solver_options *o)
{
	*o = (struct solver_options){ .embed = { .solver = "auto", .seed = 1 } };
}

/* Once all are read: the limit of time where none was given. */
static inline void solver_options_settle(struct solver_options *o)
{
	if (!o->time_limit_given)
		o->embed.time_limit_s = o->embed.effort > 0 ? 0 : 10;
}

/* The solvers of this build, for --help. Caller frees. */
static inline char *solver_help(void)
{
	struct buf text = BUF_INIT;

	buf_str(&text, "Solvers:\n");
	for (size_t i = 0; embed_solvers[i]; i++)
		buf_printf(&text, "  %-13s %s%s\n", embed_solvers[i]->name, embed_solvers[i]->about,
		           embed_solvers[i]->proves ? "" : " (proves nothing)");
	return buf_take(&text);
}

static inline int exit_of_status(enum solve_status status)
{
	if (status == SOLVE_OPTIMAL || status == SOLVE_FEASIBLE)
		return EXIT_DONE;
	return status == SOLVE_UNKNOWN ? EXIT_LIMIT : EXIT_REFUSED;
}
