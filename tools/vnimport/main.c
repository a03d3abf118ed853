/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnimport: other people's networks as substrates and requests. What is read, and how, is in origin/. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/units.h"
#include "origin/import.h"
#include "tools/options.h"

const char *argp_program_version = "vnimport " VNE_VERSION;

enum {
	OPTION_AS = 0x1000, OPTION_FROM, OPTION_NAME, OPTION_CPU, OPTION_MEMORY, OPTION_BANDWIDTH, OPTION_DELAY, OPTION_SCALE,
	OPTION_NO_DISTANCE,
};
enum kind { AS_SUBSTRATE, AS_REQUEST, AS_TRACE };

static const struct argp_option options[] = {
	{ "as", OPTION_AS, "KIND", 0, "substrate (default), request, or trace: requests with arrival", 0 },
	{ "from", OPTION_FROM, "FORMAT", 0, "What the files are (default: told by their content)", 0 },
	{ "name", OPTION_NAME, "NAME", 0, "Of the network (default: the file's own, or of the file)", 0 },
	{ 0, 0, NULL, 0, "What a file leaves out:", 1 },
	{ "cpu", OPTION_CPU, "CORES", 0, "Of a node (default 16; 1 of a request's)", 1 },
	{ "memory", OPTION_MEMORY, "MEMORY", 0, "Of a node (default: not limited; none of a request's)", 1 },
	{ "bandwidth", OPTION_BANDWIDTH, "BANDWIDTH", 0, "Of a link (default 1gbit; 10mbit of a request's)", 1 },
	{ "delay", OPTION_DELAY, "DELAY", 0, "Of a link (default 0us, or by the distance of its ends: 5 us/km)", 1 },
	{ "no-distance", OPTION_NO_DISTANCE, NULL, 0, "No delay by distance", 1 },
	{ "scale", OPTION_SCALE, "X", 0, "Multiply the file's bandwidths, say by 0.01", 1 },
	{ 0 },
};

struct settings {
	VEC(const char *) files;
	enum kind as;
	const struct import_format *from;
	const char *name;
	struct net_defaults defaults; /* NET_UNKNOWN: not given */
};

static int set(void *arg, int key, const char *value, struct err *err)
{
	static const char *const kinds[] = { "substrate", "request", "trace", NULL };
	struct settings *s = arg;
	int choice = 0, ret = 0;

	switch (key) {
	case OPTION_AS:
		ret = option_choice(value, kinds, "as", &choice, err);
		s->as = (enum kind)choice;
		break;
	case OPTION_FROM:
		s->from = import_format_find(value);
		return s->from ? 0 : err_set(err, -EINVAL, "from: '%s' is unknown; --help tells the formats", value);
	case OPTION_NAME:
		s->name = value;
		ret = name_check(value, strlen(value), err);
		break;
	case OPTION_CPU:
		ret = units_cpu(value, &s->defaults.cpu_milli, err);
		break;
	case OPTION_MEMORY:
		ret = units_memory(value, &s->defaults.mem_kib, err);
		break;
	case OPTION_BANDWIDTH:
		ret = units_bandwidth(value, &s->defaults.bw_kbps, err);
		break;
	case OPTION_DELAY:
		ret = units_delay(value, &s->defaults.delay_us, err);
		break;
	case OPTION_SCALE:
		ret = units_cost(value, &s->defaults.scale_micro, err);
		if (ret == 0 && s->defaults.scale_micro == 0)
			ret = err_set(err, -EINVAL, "expected more than 0");
		break;
	case OPTION_NO_DISTANCE:
		s->defaults.coords_delay = false;
		break;
	default:
		return -ENOENT;
	}
	return ret ? err_add(err, ret, "--%s", option_name(options, key)) : 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct settings *s = state->input;
	struct err err = { 0 };

	if (key == ARGP_KEY_ARG) {
		*vec_add(&s->files) = arg;
		return 0;
	}
	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "which file is to be imported? - for standard input");
	if (key < OPTION_AS || key == ARGP_KEY_ARGS || key > OPTION_NO_DISTANCE)
		return ARGP_ERR_UNKNOWN;
	if (set(s, key, arg, &err) != 0)
		argp_error(state, "%s", err.text);
	return 0;
}

static char *help_filter(int key, const char *text, void *input)
{
	struct buf b = BUF_INIT;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	buf_str(&b, "Formats:\n");
	for (const struct import_format *f = import_formats; f->name; f++)
		buf_printf(&b, "  %-14s %s\n", f->name, f->about);
	return buf_take(&b);
}

/* Defaults of a substrate are large, of a request small. */
static void settle(struct settings *s)
{
	bool substrate = s->as == AS_SUBSTRATE;

	if (s->defaults.cpu_milli == NET_UNKNOWN)
		s->defaults.cpu_milli = substrate ? 16000 : 1000;
	if (s->defaults.bw_kbps == NET_UNKNOWN)
		s->defaults.bw_kbps = substrate ? 1000000 : 10000;
	if (s->defaults.delay_us == NET_UNKNOWN)
		s->defaults.delay_us = 0;
}

static void tell(const char *file, size_t n, const char *what)
{
	if (n > 0)
		fprintf(stderr, "vnimport: %s: %zu %s\n", file, n, what);
}

static int write_net(const struct settings *s, const struct net *net, struct buf *out, struct err *err)
{
	struct substrate substrate = { 0 };
	struct request request = { 0 };
	int ret;

	if (s->as == AS_SUBSTRATE) {
		ret = net_substrate(net, &s->defaults, &substrate, err);
		if (ret == 0)
			substrate_write(&substrate, out);
		substrate_done(&substrate);
	} else {
		ret = net_request(net, &s->defaults, s->as == AS_TRACE, &request, err);
		if (ret == 0)
			request_write(&request, out);
		request_done(&request);
	}
	return ret;
}

static int import(const struct settings *s, const char *path, struct buf *out, struct err *err)
{
	const char *file = strcmp(path, "-") == 0 ? "<stdin>" : path;
	mem_auto char *text = NULL;
	struct net net = { 0 };
	size_t len = 0;
	int ret = yaml_load_file(path, &text, &len, err);

	if (ret != 0)
		return err_add(err, ret, "%s", file);
	ret = import_read(s->from, text, len, file, &net, err);
	if (ret == 0 && s->name) {
		free(net.name);
		net.name = mem_str(s->name);
	}
	if (ret == 0 && (ret = write_net(s, &net, out, err)) != 0)
		err_add(err, ret, "%s", file);
	if (ret == 0) {
		size_t hubs = 0;
		for (size_t i = 0; i < net.nodes.n; i++)
			hubs += net.nodes.v[i].forwards;
		tell(file, net.loops, "links from a node to itself left out");
		tell(file, net.dropped, "links to what is outside of the network left out");
		tell(file, s->as == AS_SUBSTRATE ? 0 : hubs, "hubs have become routers");
	}
	net_done(&net);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .help_filter = help_filter, .args_doc = "FILE…",
		.doc = "Turns other people's networks into substrates and requests, on standard output.\v ",
	};
	struct settings s = { .defaults = { NET_UNKNOWN, NET_UNKNOWN, NET_UNKNOWN, NET_UNKNOWN, true, 1000000 } };
	buf_auto struct buf out = BUF_INIT;
	struct err err = { 0 };
	int ret = 0;

	argp_err_exit_status = EXIT_INPUT;
	options_from_environment(options, &s, set);
	argp_parse(&argp, argc, argv, 0, NULL, &s);
	settle(&s);
	if (s.as == AS_SUBSTRATE && s.files.n > 1)
		ret = err_set(&err, -EINVAL, "%zu files; a substrate is made of one", s.files.n);
	for (size_t i = 0; ret == 0 && i < s.files.n; i++) {
		if (i > 0)
			buf_str(&out, "---\n");
		ret = import(&s, s.files.v[i], &out, &err);
	}
	vec_done(&s.files);
	if (ret == 0 && (fwrite(buf_cstr(&out), 1, out.len, stdout) != out.len || fflush(stdout) != 0))
		ret = err_sys(&err, -EIO, "standard output");
	if (ret != 0)
		fprintf(stderr, "vnimport: %s\n", err.text);
	return ret == 0 ? EXIT_DONE : exit_of_error(ret);
}
