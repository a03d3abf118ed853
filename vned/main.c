/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vned: the coordinator. Arguments and signals; everything else is registered in coordinator.c. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "vned/check.h"
#include "vned/confine.h"
#include "vned/init.h"
#include "vned/vned.h"

const char *argp_program_version = "vned " VNE_VERSION;

struct arguments {
	const char *config, *restore, *user;
	bool check, verbose;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "the configuration (VNE_CONFIG; default /etc/vne/vned.yaml)", 0 },
	{ "check", 'n', NULL, 0, "read configuration, substrate and keys, say what is wrong, and end (VNE_CHECK)", 0 },
	{ "restore", 'r', "FILE", 0, "put a backup of `vnctl backup` in the place of the store, and end; no vned may be running "
	  "(VNE_RESTORE)", 0 },
	{ "user", 'u', "USER", 0, "become this user where root starts vned (VNE_USER; `user` in the configuration)", 0 },
	{ "verbose", 'v', NULL, 0, "log more (VNE_VERBOSE)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	switch (key) {
	case 'c':
		a->config = arg;
		return 0;
	case 'n':
		a->check = true;
		return 0;
	case 'r':
		a->restore = arg;
		return 0;
	case 'u':
		a->user = arg;
		return 0;
	case 'v':
		a->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "%s: not expected", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "\ninit tcp://HOST:PORT [--dir DIR] NODE=ADDRESS ...",
	.doc = "Coordinates virtual networks over a substrate: admits requests, embeds them, and has the agents build them."
};

static bool environment(const char *name)
{
	const char *value = getenv(name);
	return value && *value && strcmp(value, "0") != 0;
}

/* Prints every error; 0 or the exit code. */
static int read_config(const char *path, struct vned_config *ret)
{
	struct err err = { 0 };
	struct yaml_errors errors = { 0 };
	int r = vned_config_load(path, &errors, ret, &err);
	if (r < 0)
		fprintf(stderr, "%s%s%s", errors.n ? buf_cstr(&errors.text) : "vned: ", errors.n ? "" : err.text, errors.n ? "" : "\n");
	yaml_errors_done(&errors);
	return r < 0 ? 2 : 0;
}

static int check(const struct vned_config *c)
{
	buf_auto struct buf faults = BUF_INIT, summary = BUF_INIT;
	size_t n = vned_check(c, &faults, &summary);
	if (n)
		fprintf(stderr, "%s", buf_cstr(&faults));
	else
		printf("%s", buf_cstr(&summary));
	return n ? 2 : 0;
}

static int restore(const struct vned_config *c, const char *file)
{
	struct err err = { 0 };
	mem_auto char *aside = NULL;
	if (store_restore(c->state, file, &aside, &err) < 0) {
		fprintf(stderr, "vned: %s\n", err.text);
		return err.code == -EBUSY ? 1 : err.code == -EBADMSG || err.code == -ENOTSUP || err.code == -ENOENT || err.code == -EINVAL ? 2 : 70;
	}
	printf("%s is restored into %s\n", file, c->state);
	if (aside)
		printf("what was there before is kept as %s\n", aside);
	return 0;
}

static void stop(void *arg)
{
	struct vned *v = arg;
	log_info("stopping; virtual networks run on");
	notify_supervisor("STOPPING=1");
	loop_stop(v->loop);
}

static void reload(void *arg)
{
	struct vned *v = arg;
	buf_auto struct buf out = BUF_INIT;
	if (vned_reload(v, &out) < 0)
		log_error("%s", buf_cstr(&out));
}

static void ready(struct vned *v)
{
	(void)v;
	notify_supervisor("READY=1");
}

/* A connection each: the thousand descriptors of the usual soft limit are as many agents. */
static void raise_limit(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int serve(struct vned_config *config)
{
	struct err err = { 0 };
	struct loop *loop = NULL;
	struct loop_source *signals[3];
	struct vned v = { 0 };
	raise_limit();
	int r = vned_confine(config, &err);
	if (r == 0)
		r = loop_new(&loop, &err);
	if (r == 0)
		r = loop_add_signal(loop, SIGTERM, stop, &v, &signals[0], &err);
	if (r == 0)
		r = loop_add_signal(loop, SIGINT, stop, &v, &signals[1], &err);
	if (r == 0)
		r = loop_add_signal(loop, SIGHUP, reload, &v, &signals[2], &err);
	if (r == 0)
		r = vned_open(&v, loop, config, ready, &err);
	if (r == 0)
		r = loop_run(loop, &err);
	if (r < 0) {
		log_error("%s", err.text);
		v.exit_code = r == -EINVAL || r == -ENOENT || r == -EACCES ? 2 : 70;
	}
	vned_close(&v);
	if (loop)
		loop_free(loop);
	return v.exit_code;
}

int main(int argc, char **argv)
{
	struct arguments a = { .config = getenv("VNE_CONFIG"), .check = environment("VNE_CHECK"),
		                   .verbose = environment("VNE_VERBOSE"), .restore = getenv("VNE_RESTORE"),
		                   .user = getenv("VNE_USER") };
	struct vned_config config = { 0 };
	if (argc > 1 && !strcmp(argv[1], "init"))
		return init_main(argc - 1, argv + 1);
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	log_open("vned", a.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	fault_open("vned");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of the size of files is a write that fails */
	int code = read_config(a.config && *a.config ? a.config : "/etc/vne/vned.yaml", &config);
	if (code == 0 && a.user && *a.user) {
		free(config.user);
		config.user = mem_str(a.user);
	}
	if (code == 0)
		code = a.check ? check(&config) : a.restore && *a.restore ? restore(&config, a.restore) : serve(&config);
	vned_config_done(&config);
	return code;
}
