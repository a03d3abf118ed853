/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of a sweep. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/parts.h"
#include "origin/generate.h"
#include "tools/vnsim/sweep.h"

enum { SEEDS_MAX = 10000, REQUESTS_MAX = 1000000 };

struct sweep_file {
	struct sweep sweep;
	const struct solver_options *base;
	const struct yaml_node *workloads, *loads, *seeds, *solvers;
};

static void read_workload(struct sweep_file *f, const struct yaml_node *node, struct yaml_errors *errors)
{
	static const struct yaml_key keys[] = {
		{ "name", yaml_read_name, offsetof(struct sweep_workload, name), true, NULL, "a name for tables" },
		{ "substrate", yaml_read_string, offsetof(struct sweep_workload, substrate), true, NULL, "a file" },
		{ "trace", yaml_read_string, offsetof(struct sweep_workload, trace), true, NULL, "a file" },
		{ 0 },
	};
	struct sweep_workload *w = vec_add(&f->sweep.workloads);

	if (node->type == YAML_MAPPING)
		yaml_read_mapping(node, keys, w, NULL, errors);
	else if (node->type == YAML_SCALAR && preset_find(node->text))
		w->name = mem_str(node->text);
	else
		yaml_error(errors, node->mark, "'%.60s' is no preset; expected one that vngen --help tells, or a mapping with "
		           "name, substrate and trace", node->type == YAML_SCALAR ? node->text : yaml_type_text(node));
}

static void read_load(struct sweep_file *f, const struct yaml_node *node, struct yaml_errors *errors)
{
	struct preset probe = { 0 };
	struct err err = { 0 };
	int64_t load = 0;

	if (node->type != YAML_SCALAR || units_cost(node->text, &load, NULL) != 0 || preset_adapt(&probe, load, 0, &err) != 0)
		yaml_error(errors, node->mark, "loads: expected numbers of 0.001 to 1000");
	else
		*vec_add(&f->sweep.loads_micro) = load;
}

/* 7, or 1-20. */
static void read_seed(struct sweep_file *f, const struct yaml_node *node, struct yaml_errors *errors)
{
	mem_auto char *text = mem_str(node->type == YAML_SCALAR ? node->text : "");
	char *dash = strchr(text, '-');
	int64_t first = 0, last = 0;

	if (dash)
		*dash = '\0';
	if (units_integer(text, 0, INT64_MAX - 1, &first, NULL) != 0 ||
	    units_integer(dash ? dash + 1 : text, 0, INT64_MAX - 1, &last, NULL) != 0 || last < first || last - first >= SEEDS_MAX)
		yaml_error(errors, node->mark, "seeds: expected a number, or two as in 1-20, at most %d apart", SEEDS_MAX);
	else
		for (int64_t seed = first; seed <= last; seed++)
			*vec_add(&f->sweep.seeds) = (uint64_t)seed;
}

static void read_solver(struct sweep_file *f, const struct yaml_node *node, struct yaml_errors *errors)
{
	static const struct {
		const char *key;
		int option;
	} keys[] = {
		{ "solver", OPTION_SOLVER }, { "objective", OPTION_OBJECTIVE }, { "time_limit", OPTION_TIME_LIMIT },
		{ "effort", OPTION_EFFORT }, { "seed", OPTION_SEED },
	};
	struct sweep_solver *s = vec_add(&f->sweep.solvers);
	buf_auto struct buf settings = BUF_INIT;
	const struct yaml_node *only = node->type == YAML_SCALAR ? node : NULL;

	s->options = *f->base;
	if (node->type == YAML_SEQUENCE) {
		yaml_error(errors, node->mark, "a list; expected a solver's name, or a mapping with solver, effort …");
		return;
	}
	for (const struct yaml_node *c = only ? only : node->first; c; c = only ? NULL : c->next) {
		const char *key = only ? "solver" : c->key;
		struct err err = { 0 };
		size_t i = 0;
		while (i < ARRAY_LEN(keys) && strcmp(keys[i].key, key) != 0)
			i++;
		if (c->type != YAML_SCALAR)
			yaml_error(errors, c->mark, "%s: %s; expected text", key, yaml_type_text(c));
		else if (strcmp(key, "name") == 0 && name_check(c->text, strlen(c->text), &err) == 0)
			s->name = s->name ? s->name : mem_str(c->text);
		else if (i == ARRAY_LEN(keys))
			yaml_error(errors, c->mark, "'%.40s': expected name, solver, objective, time_limit, effort or seed", key);
		else {
			if (keys[i].option == OPTION_SOLVER && !s->program)
				s->program = mem_str(c->text);
			if (solver_option_set(&s->options, keys[i].option, keys[i].option == OPTION_SOLVER ? s->program : c->text, &err) != 0)
				yaml_error(errors, c->mark, "%s", err.text);
		}
	}
	solver_options_settle(&s->options);
	const struct embed_options *e = &s->options.embed;
	buf_printf(&settings, "%s objective=%s seed=%llu", e->solver, e->objective == OBJECTIVE_COST ? "cost" : "balance",
	           (unsigned long long)e->seed);
	if (e->effort > 0)
		buf_printf(&settings, " effort=%lld", (long long)e->effort);
	if (e->time_limit_s > 0)
		buf_printf(&settings, " time_limit=%.6gs", e->time_limit_s);
	s->settings = buf_take(&settings);
	for (char *c = s->settings; *c; c++) /* a cell of a CSV */
		if (*c == ',' || *c == '"' || (unsigned char)*c < ' ')
			*c = '_';
	if (!s->name)
		s->name = mem_str(e->solver);
}

static void each(struct sweep_file *f, const struct yaml_node *list, const char *key,
                 void (*read)(struct sweep_file *f, const struct yaml_node *node, struct yaml_errors *errors),
                 struct yaml_errors *errors)
{
	if (list && list->type == YAML_SCALAR && !list->is_null)
		read(f, list, errors);
	else if (list && list->type != YAML_SEQUENCE)
		yaml_error(errors, list->mark, "%s: %s; expected a list", key, yaml_type_text(list));
	else if (list && list->n == 0)
		yaml_error(errors, list->mark, "%s: an empty list", key);
	else
		for (const struct yaml_node *n = list ? list->first : NULL; n; n = n->next)
			read(f, n, errors);
}

static void check_whole(const struct sweep *s, struct yaml_mark whole, struct yaml_errors *errors)
{
	size_t n = s->workloads.n * s->loads_micro.n * s->seeds.n * s->solvers.n;

	for (size_t i = 0; i < s->solvers.n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->solvers.v[i].name, s->solvers.v[k].name) == 0)
				yaml_error(errors, whole, "two solvers are called '%s'; name: tells them apart", s->solvers.v[i].name);
	if (n > SWEEP_RUNS_MAX)
		yaml_error(errors, whole, "%zu runs; expected at most %d", n, SWEEP_RUNS_MAX);
	if (s->requests > REQUESTS_MAX)
		yaml_error(errors, whole, "requests: expected at most %d", REQUESTS_MAX);
}

static void read_whole(const struct yaml_node *root, struct sweep_file *f, struct yaml_errors *errors)
{
	static const struct yaml_key keys[] = {
		{ "kind", yaml_read_ignore, 0, true, NULL, "sweep" },
		{ "name", yaml_read_name, offsetof(struct sweep_file, sweep.name), false, NULL, "a name" },
		{ "workloads", read_node, offsetof(struct sweep_file, workloads), true, NULL, "a list of presets" },
		{ "loads", read_node, offsetof(struct sweep_file, loads), false, NULL, "a list of numbers" },
		{ "seeds", read_node, offsetof(struct sweep_file, seeds), false, NULL, "a list of numbers" },
		{ "requests", yaml_read_count, offsetof(struct sweep_file, sweep.requests), false, NULL, "a number" },
		{ "solvers", read_node, offsetof(struct sweep_file, solvers), true, NULL, "a list of solvers" },
		{ 0 },
	};

	yaml_read_mapping(root, keys, f, NULL, errors);
	each(f, f->workloads, "workloads", read_workload, errors);
	each(f, f->loads, "loads", read_load, errors);
	each(f, f->seeds, "seeds", read_seed, errors);
	each(f, f->solvers, "solvers", read_solver, errors);
	if (!f->loads)
		*vec_add(&f->sweep.loads_micro) = 1000000;
	if (!f->seeds)
		*vec_add(&f->sweep.seeds) = 1;
	if (!f->sweep.name)
		f->sweep.name = mem_str("sweep");
	check_whole(&f->sweep, root->mark, errors);
}

int sweep_read(const char *path, const struct solver_options *base, struct yaml_errors *errors, struct sweep *ret,
               struct err *err)
{
	struct sweep_file f = { .base = base };
	struct yaml_doc **docs = NULL;
	size_t n = 0, len = 0;
	int code = yaml_load_file(path, &f.sweep.text, &len, err);

	if (code != 0)
		return code;
	yaml_parse(f.sweep.text, len, errors, &docs, &n);
	if (n != 1 || yaml_root(docs[0])->type != YAML_MAPPING)
		yaml_error(errors, (struct yaml_mark){ 1, 1 }, "expected one mapping, with kind: sweep");
	else {
		const char *kind = yaml_kind(docs[0], "sweep", errors);
		if (kind && strcmp(kind, "sweep") != 0)
			yaml_error(errors, yaml_root(docs[0])->mark, "kind: %s; expected sweep", kind);
		else if (kind)
			read_whole(yaml_root(docs[0]), &f, errors);
	}
	yaml_free_docs(docs, n);
	if (errors->n == 0) {
		*ret = f.sweep;
		return 0;
	}
	sweep_done(&f.sweep);
	return err_set(err, -EINVAL, "%zu errors", errors->n);
}

void sweep_done(struct sweep *s)
{
	for (size_t i = 0; i < s->workloads.n; i++) {
		free(s->workloads.v[i].name);
		free(s->workloads.v[i].substrate);
		free(s->workloads.v[i].trace);
	}
	for (size_t i = 0; i < s->solvers.n; i++) {
		free(s->solvers.v[i].name);
		free(s->solvers.v[i].settings);
		free(s->solvers.v[i].program);
	}
	vec_done(&s->workloads);
	vec_done(&s->loads_micro);
	vec_done(&s->seeds);
	vec_done(&s->solvers);
	free(s->name);
	free(s->text);
	memset(s, 0, sizeof(*s));
}
