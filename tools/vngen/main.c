/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vngen: substrates and requests from a few numbers and a seed, for tests and comparisons. What is drawn,
 * and how, is in origin/. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/units.h"
#include "origin/generate.h"
#include "tools/options.h"

const char *argp_program_version = "vngen " VNE_VERSION;

enum {
	OPTION_SEED = 0x1000, OPTION_COUNT, OPTION_NAME, OPTION_NODES, OPTION_LINKS, OPTION_ALPHA, OPTION_BETA, OPTION_DEGREE,
	OPTION_ARITY, OPTION_SIDE, OPTION_CPU, OPTION_MEMORY, OPTION_BANDWIDTH, OPTION_DELAY, OPTION_COST, OPTION_LOAD,
	OPTION_REQUESTS, OPTION_REQUEST_NODES, OPTION_REQUEST_CPU, OPTION_REQUEST_BANDWIDTH,
	MICRO = 1000000, UNIT = 10000, REQUESTS_MAX = 1000000,
};

static const struct argp_option options[] = {
	{ "seed", OPTION_SEED, "N", 0, "Of all random numbers (default 1)", 0 },
	{ "count", OPTION_COUNT, "N", 0, "So many, of this seed and the following ones; needs --directory", 0 },
	{ "directory", 'd', "DIR", 0, "Where files go; a substrate alone goes to standard output without it, else .", 0 },
	{ "name", OPTION_NAME, "NAME", 0, "Of network and files (default: what is made, and the seed)", 0 },
	{ 0, 0, NULL, 0, "Substrates:", 1 },
	{ "nodes", OPTION_NODES, "N", 0, "Nodes", 1 },
	{ "links", OPTION_LINKS, "N", 0, "waxman: exactly so many links", 1 },
	{ "alpha", OPTION_ALPHA, "X", 0, "waxman: a link of length d has probability beta exp(-d / (alpha L))", 1 },
	{ "beta", OPTION_BETA, "X", 0, "waxman; gnp: the probability of a link", 1 },
	{ "degree", OPTION_DEGREE, "N", 0, "regular, near: links of a node; ba: links of a new node", 1 },
	{ "arity", OPTION_ARITY, "N", 0, "fat-tree: ports of a switch", 1 },
	{ "side", OPTION_SIDE, "X", 0, "Of the square in which nodes lie", 1 },
	{ "cpu", OPTION_CPU, "A-B", 0, "Cores of a node, evenly between", 1 },
	{ "memory", OPTION_MEMORY, "A-B", 0, "MiB of a node", 1 },
	{ "bandwidth", OPTION_BANDWIDTH, "A-B", 0, "Mbit/s of a link", 1 },
	{ "delay", OPTION_DELAY, "A-B", 0, "Microseconds of a link, not by its length", 1 },
	{ "cost", OPTION_COST, "A-B", 0, "Of a core", 1 },
	{ 0, 0, NULL, 0, "Requests:", 2 },
	{ "load", OPTION_LOAD, "X", 0, "Arrivals come X times as often", 2 },
	{ "requests", OPTION_REQUESTS, "N", 0, "Requests of a stream", 2 },
	{ "request-nodes", OPTION_REQUEST_NODES, "A-B", 0, "Nodes of a request", 2 },
	{ "request-cpu", OPTION_REQUEST_CPU, "A-B", 0, "Cores of a virtual node", 2 },
	{ "request-bandwidth", OPTION_REQUEST_BANDWIDTH, "A-B", 0, "Mbit/s of a virtual link", 2 },
	{ 0 },
};

struct settings {
	const char *what, *class, *directory, *name;
	int64_t seed, count;
	/* what is not given is -1, or a range that is upside down */
	int64_t nodes, links, alpha, beta, degree, arity, side, load_micro, requests;
	struct range cpu, memory, bandwidth, delay, cost, request_nodes, request_cpu, request_bandwidth;
	const char *given[ARRAY_LEN(options)]; /* as it was written, by option */
};

/* "2-10", or "5" for "5-5". */
static int read_range(const char *value, struct range *ret, struct err *err)
{
	mem_auto char *text = mem_str(value);
	char *dash = strchr(text, '-');
	struct range r;

	if (dash)
		*dash = '\0';
	int code = units_integer(text, 0, 1000000000, &r.low, err);
	if (code == 0)
		code = units_integer(dash ? dash + 1 : text, 0, 1000000000, &r.high, err);
	if (code == 0 && r.high < r.low)
		code = err_set(err, -EINVAL, "%s: the end is below the beginning", value);
	if (code == 0)
		*ret = r;
	return code;
}

struct setting {
	int key;
	enum { INTEGER, DECIMAL, RANGE } type;
	size_t offset;
	int64_t min, max;
};
#define AT(member) offsetof(struct settings, member)
static const struct setting table[] = {
	{ OPTION_SEED, INTEGER, AT(seed), 0, INT64_MAX },
	{ OPTION_COUNT, INTEGER, AT(count), 1, 100000 },
	{ OPTION_NODES, INTEGER, AT(nodes), 2, GRAPH_NODES_MAX },
	{ OPTION_LINKS, INTEGER, AT(links), 1, 10000000 },
	{ OPTION_ALPHA, DECIMAL, AT(alpha), 0, 0 },
	{ OPTION_BETA, DECIMAL, AT(beta), 0, 0 },
	{ OPTION_DEGREE, INTEGER, AT(degree), 1, 64 },
	{ OPTION_ARITY, INTEGER, AT(arity), 2, 64 },
	{ OPTION_SIDE, INTEGER, AT(side), 1, 100000 },
	{ OPTION_LOAD, DECIMAL, AT(load_micro), 0, 0 },
	{ OPTION_REQUESTS, INTEGER, AT(requests), 1, REQUESTS_MAX },
	{ OPTION_CPU, RANGE, AT(cpu), 0, 0 },
	{ OPTION_MEMORY, RANGE, AT(memory), 0, 0 },
	{ OPTION_BANDWIDTH, RANGE, AT(bandwidth), 0, 0 },
	{ OPTION_DELAY, RANGE, AT(delay), 0, 0 },
	{ OPTION_COST, RANGE, AT(cost), 0, 0 },
	{ OPTION_REQUEST_NODES, RANGE, AT(request_nodes), 0, 0 },
	{ OPTION_REQUEST_CPU, RANGE, AT(request_cpu), 0, 0 },
	{ OPTION_REQUEST_BANDWIDTH, RANGE, AT(request_bandwidth), 0, 0 },
};

static size_t option_index(int key)
{
	size_t i = 0;

	while (options[i].key != key)
		i++;
	return i;
}

static int set(void *arg, int key, const char *value, struct err *err)
{
	struct settings *s = arg;

	if (key == 'd')
		s->directory = value;
	if (key == OPTION_NAME)
		s->name = value;
	if (key == OPTION_NAME) {
		int ret = name_check(value, strlen(value), err);
		return ret ? err_add(err, ret, "name") : 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct setting *t = &table[i];
		void *into = (char *)s + t->offset;
		if (t->key != key)
			continue;
		int ret = t->type == INTEGER ? units_integer(value, t->min, t->max, into, err)
		          : t->type == DECIMAL ? units_cost(value, into, err) : read_range(value, into, err);
		s->given[option_index(key)] = value;
		return ret ? err_add(err, ret, "%s", options[option_index(key)].name) : 0;
	}
	return key == 'd' ? 0 : -ENOENT;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;

	if (key == ARGP_KEY_ARG && !s->what) {
		s->what = arg;
		return 0;
	}
	if (key == ARGP_KEY_ARG && strcmp(s->what, "instance") == 0 && !s->class) {
		s->class = arg;
		return 0;
	}
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is one word too many", arg);
	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "what is to be made? --help tells");
	return option_parse(key, arg, state, set);
}

static char *help_filter(int key, const char *text, void *input)
{
	struct buf b = BUF_INIT;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	buf_str(&b, "WHAT is one of\n"
	            "  waxman, gnp, ba, regular, grid, fat-tree, near   a substrate\n");
	for (const struct preset *p = presets; p->name; p++)
		buf_printf(&b, "  %-14s %s\n", p->name, p->about);
	buf_str(&b, "  instance CLASS substrate and request: R, W or I, nodes, and A, D, H, L or S (W100H); stress: SI60T, SW100L20 …\n"
	            "  scale          regular of degree 5 with --nodes, and a request of 10 nodes with 15 candidates each\n"
	            "  scale-near     the same, links and candidates joining what is near\n");
	return buf_take(&b);
}

/* ---- what is asked for --------------------------------------------------------------------- */

static void override_range(struct range given, struct range *into)
{
	if (given.high >= given.low)
		*into = given;
}

static void override(const struct settings *s, struct preset *p)
{
	struct graph_spec *g = &p->substrate.graph;

	if (s->nodes >= 0)
		g->nodes = (uint32_t)s->nodes;
	if (s->links >= 0)
		g->links = (uint32_t)s->links;
	if (s->alpha >= 0)
		g->alpha_micro = (uint64_t)s->alpha;
	if (s->beta >= 0)
		g->beta_micro = (uint64_t)s->beta;
	if (s->degree >= 0)
		g->degree = (uint32_t)s->degree;
	if (s->arity >= 0)
		g->arity = (uint32_t)s->arity;
	if (s->side >= 0)
		g->side = s->side * UNIT;
	override_range(s->cpu, &p->substrate.cpu);
	override_range(s->memory, &p->substrate.memory);
	override_range(s->bandwidth, &p->substrate.bandwidth);
	override_range(s->cost, &p->substrate.node_cost);
	override_range(s->delay, &p->substrate.delay);
	if (s->delay.high >= s->delay.low)
		p->substrate.delay_us_per_unit = 0;
	override_range(s->request_nodes, &p->request.nodes);
	override_range(s->request_cpu, &p->request.cpu);
	override_range(s->request_bandwidth, &p->request.bandwidth);
}

static int settle(const struct settings *s, struct preset *ret, struct err *err)
{
	const struct preset *found = preset_find(s->what);

	if (found)
		*ret = *found;
	else if (strcmp(s->what, "scale") == 0 || strcmp(s->what, "scale-near") == 0)
		scale_class(s->nodes >= 0 ? (uint32_t)s->nodes : 1000, strcmp(s->what, "scale-near") == 0, ret);
	else if (strcmp(s->what, "instance") == 0) {
		int code = s->class ? instance_class(s->class, ret, err)
		                    : err_set(err, -EINVAL, "instance: which class? --help tells them");
		if (code != 0)
			return code;
	} else {
		int model = 0;
		if (option_choice(s->what, graph_models, "", &model, NULL) != 0)
			return err_set(err, -EINVAL, "'%s' is unknown; --help tells what can be made", s->what);
		*ret = *preset_find("virne");
		ret->name = graph_models[model];
		ret->substrate.graph.model = (enum graph_model)model;
		ret->substrate.graph.degree = model == GRAPH_BA ? 2 : 4;
		ret->substrate.graph.arity = 4;
		ret->request.count = 0;
		ret->request.nodes = (struct range){ 0, 0 };
	}
	override(s, ret);
	return preset_adapt(ret, s->load_micro < 0 ? MICRO : s->load_micro, s->requests < 0 ? 0 : (uint32_t)s->requests, err);
}

static char *default_name(const struct settings *s, const struct preset *p, int64_t seed)
{
	if (s->class)
		return mem_printf("%s_%02lld", s->class, (long long)seed);
	if (strncmp(s->what, "scale", 5) == 0)
		return mem_printf("%s%u_%lld", p->name, p->substrate.graph.nodes, (long long)seed);
	if (s->load_micro > 0 && s->load_micro % MICRO == 0)
		return mem_printf("%s-x%lld-s%lld", p->name, (long long)(s->load_micro / MICRO), (long long)seed);
	return mem_printf("%s-s%lld", p->name, (long long)seed);
}

/* ---- what is written ----------------------------------------------------------------------- */

/* How to make it again. */
static void write_head(const struct settings *s, int64_t seed, struct buf *out)
{
	buf_printf(out, "# vngen %s%s%s --seed %lld", s->what, s->class ? " " : "", s->class ? s->class : "", (long long)seed);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (s->given[i] && options[i].key != OPTION_SEED && options[i].key != OPTION_COUNT)
			buf_printf(out, " --%s %s", options[i].name, s->given[i]);
	buf_str(out, " (" VNE_VERSION ")\n");
}

static int write_file(const char *directory, const char *name, const char *kind, const struct buf *text, struct err *err)
{
	mem_auto char *path = directory ? mem_printf("%s/%s.%s.yaml", directory, name, kind) : NULL;
	FILE *file = path ? fopen(path, "we") : stdout;

	if (!file)
		return err_sys(err, -errno, "%s", path);
	bool bad = fwrite(buf_cstr(text), 1, text->len, file) != text->len;
	bad |= (path ? fclose(file) : fflush(file)) != 0;
	return bad ? err_sys(err, -EIO, "%s", path ? path : "standard output") : 0;
}

static int make(const struct settings *s, const struct preset *p, int64_t seed, struct err *err)
{
	bool alone = p->request.nodes.high == 0;
	mem_auto char *name = s->name && s->count == 1 ? mem_str(s->name)
	                      : s->name ? mem_printf("%s_%02lld", s->name, (long long)seed) : default_name(s, p, seed);
	const char *directory = s->directory ? s->directory : alone && s->count == 1 ? NULL : ".";
	buf_auto struct buf text = BUF_INIT;
	struct substrate substrate = { 0 };
	struct request *requests = NULL;
	size_t n = 0;

	int ret = generate_substrate(&p->substrate, name, preset_seed(p, (uint64_t)seed), &substrate, err);
	if (ret == 0 && !alone)
		ret = generate_requests(&p->request, &substrate, name, preset_seed(p, (uint64_t)seed), &requests, &n, err);
	if (ret == 0) {
		write_head(s, seed, &text);
		substrate_write(&substrate, &text);
		ret = write_file(directory, name, "substrate", &text, err);
	}
	if (ret == 0 && !alone) {
		buf_clear(&text);
		write_head(s, seed, &text);
		for (size_t i = 0; i < n; i++) {
			if (i > 0)
				buf_str(&text, "---\n");
			request_write(&requests[i], &text);
		}
		ret = write_file(directory, name, p->request.count ? "trace" : "request", &text, err);
	}
	for (size_t i = 0; i < n; i++)
		request_done(&requests[i]);
	free(requests);
	substrate_done(&substrate);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .help_filter = help_filter, .args_doc = "WHAT",
		.doc = "Makes substrates and requests from a few numbers and a seed: the same for the same, everywhere.\v ",
	};
	const struct range none = { 0, -1 };
	struct settings s = {
		.seed = 1, .count = 1, .nodes = -1, .links = -1, .alpha = -1, .beta = -1, .degree = -1, .arity = -1, .side = -1,
		.load_micro = -1, .requests = -1, .cpu = none, .memory = none, .bandwidth = none, .delay = none, .cost = none,
		.request_nodes = none, .request_cpu = none, .request_bandwidth = none,
	};
	struct preset preset;
	struct err err = { 0 };

	argp_err_exit_status = EXIT_INPUT;
	options_from_environment(options, &s, set);
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	int ret = settle(&s, &preset, &err);
	for (int64_t i = 0; ret == 0 && i < s.count; i++)
		ret = make(&s, &preset, s.seed + i, &err);
	if (ret != 0)
		fprintf(stderr, "vngen: %s\n", err.text);
	return ret == 0 ? EXIT_DONE : exit_of_error(ret);
}
