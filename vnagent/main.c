/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnagent: the agent of one substrate node. Here is everything it listens to. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "vnagent/agent.h"
#include "vnagent/cgroup.h"
#include "vnagent/confine.h"
#include "vnagent/join.h"
#include "vnagent/probe.h"
#include "vnagent/program.h"
#include "vnagent/router_xen.h"
#include "vnagent/underlay.h"

enum { EXIT_BAD = 2, EXIT_MACHINE = 70, HEARTBEAT_MS = 1000, REPORT_MS = 1000, KINDS_MAX = 8 };
enum { OPTION_CHECK = 256 };

const char *argp_program_version = "vnagent " VNE_VERSION;
error_t argp_err_exit_status = EXIT_BAD;

struct arguments {
	const char *config;
	bool check, json, verbose;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "the configuration (VNE_CONFIG; /etc/vne/vnagent.yaml without it)", 0 },
	{ "check", OPTION_CHECK, NULL, 0, "say what this machine can do, and which kernel feature is missing for what", 0 },
	{ "output", 'o', "text|json", 0, "how --check says it (VNE_OUTPUT)", 0 },
	{ "verbose", 'v', NULL, 0, "log more (VNE_VERBOSE)", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	switch (key) {
	case 'c':
		a->config = arg;
		return 0;
	case OPTION_CHECK:
		a->check = true;
		return 0;
	case 'o':
		if (strcmp(arg, "text") && strcmp(arg, "json"))
			argp_error(state, "output is %s; expected text or json", arg);
		a->json = !strcmp(arg, "json");
		return 0;
	case 'v':
		a->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "%s: no argument is expected", arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static void parse_arguments(int argc, char **argv, struct arguments *a)
{
	static const struct argp argp = { options, parse_option, "\njoin tcp://HOST:PORT TOKEN [--dir DIR]",
		                          "The agent of a substrate node: builds routers, tunnels and limits of virtual networks.", NULL,
		                          NULL, NULL };
	const char *output = getenv("VNE_OUTPUT"), *config = getenv("VNE_CONFIG"), *check = getenv("VNE_CHECK"),
	           *verbose = getenv("VNE_VERBOSE");
	*a = (struct arguments){ .config = config && *config ? config : "/etc/vne/vnagent.yaml",
		                 .check = check && !strcmp(check, "1"), .json = output && !strcmp(output, "json"),
		                 .verbose = verbose && !strcmp(verbose, "1") };
	argp_parse(&argp, argc, argv, 0, NULL, a);
}

/* Routers write their title over our arguments and environment; where those are too short for it we
 * start once more with a longer environment. */
static void ensure_title_room(char **argv)
{
	static const char pad[] = "................................................................................................"
				  "................................";
	size_t room = 0;
	for (char **at = argv; *at; at++)
		room += strlen(*at) + 1;
	for (char **at = environ; *at; at++)
		room += strlen(*at) + 1;
	if (room >= sizeof(pad) || getenv("VNE_TITLE_ROOM"))
		return;
	if (setenv("VNE_TITLE_ROOM", pad, 1) == 0)
		execv("/proc/self/exe", argv); /* where that fails the spawner says what is missing */
}

struct timers {
	struct loop_source *heartbeat, *report;
};

static void welcome(void *arg, uint32_t heartbeat_ms, uint32_t report_ms)
{
	struct timers *t = arg;
	loop_set_timer(t->heartbeat, heartbeat_ms, heartbeat_ms);
	loop_set_timer(t->report, report_ms, report_ms);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void underlay_failed(const char *device, const char *why)
{
	log_error("underlay %s is not shaped, best effort may disturb promises there: %s", device, why);
}

static int listen_to_all(struct loop *loop, struct agent *agent, struct timers *t, struct err *err)
{
	struct loop_source *source;
	int code = loop_add_signal(loop, SIGTERM, stop, loop, &source, err);
	if (!code)
		code = loop_add_signal(loop, SIGINT, stop, loop, &source, err);
	if (!code)
		code = loop_add_timer(loop, HEARTBEAT_MS, HEARTBEAT_MS, agent_heartbeat, agent, &t->heartbeat, err);
	if (!code)
		code = loop_add_timer(loop, REPORT_MS, REPORT_MS, agent_report, agent, &t->report, err);
	agent_on_welcome(agent, welcome, t);
	if (!code)
		code = agent_connect(agent, err); /* joins the loop itself; so do the builder and its drivers */
	return code;
}

/* What is offered: what the configuration lists, else all that works. */
static void choose_kinds(const struct agent_config *c, struct node_probe *probe, const char *kinds[KINDS_MAX + 1])
{
	size_t n = 0;
	for (size_t i = 0; i < probe->n_kinds && n < KINDS_MAX; i++) {
		if (probe->kinds[i].usable)
			kinds[n++] = probe->kinds[i].kind;
		else if (c->routers.n || strcmp(probe->kinds[i].kind, KIND_GUEST))
			log_warn("routers of kind %s cannot be hosted: %s", probe->kinds[i].kind, probe->kinds[i].why);
	}
	kinds[n] = NULL;
	if (!n)
		log_warn("no kind of router can be hosted here; see vnagent --check");
}

/* Those that the kernel takes; the others are told. */
static void probe_programs(const struct yaml_names *objects, struct node_probe *probe, bool check)
{
	probe->programs = mem_array(objects->n + 1, sizeof(*probe->programs));
	for (size_t i = 0; i < objects->n; i++) {
		struct err err = { 0 };
		char *name = mem_printf("%.*s", (int)strcspn(objects->v[i], "="), objects->v[i]);
		if (!program_probe(objects, name, &err)) {
			probe->programs[probe->n_programs++] = name;
			continue;
		}
		if (check)
			fprintf(stderr, "vnagent: %s\n", err.text);
		else
			log_warn("routers cannot have %s", err.text);
		free(name);
	}
}

static const char *open_cgroup(const struct agent_config *c, const char *const *kinds)
{
	struct err err = { 0 };
	bool real = false;
	for (; *kinds; kinds++)
		real |= router_driver_find(*kinds)->ports != ROUTER_PORTS_NONE;
	if (!real)
		return "";
	if (cgroup_open(c->cgroup, &err)) {
		log_warn("routers run without cpu and memory limits: %s", err.text);
		return "";
	}
	return c->cgroup;
}

static void tell_missing_caps(void)
{
	for (size_t i = 0; i < agent_caps_n; i++)
		if (!confine_has_cap(agent_caps[i].cap))
			log_info("CAP_%s is missing: %s", confine_cap_name(agent_caps[i].cap), agent_caps[i].why);
}

static int run(const struct agent_config *c, struct spawner *spawner, struct node_probe *probe, struct err *err)
{
	const char *kinds[KINDS_MAX + 1];
	struct identity self, server;
	struct loop *loop = NULL;
	struct state *state = NULL;
	struct agent *agent = NULL;
	struct timers timers = { 0 };
	int code = identity_load(c->key, &self, err);
	if (!code && self.role != ROLE_AGENT)
		code = err_set(err, -EINVAL, "%s: role %s; expected an agent's key", c->key, role_names[self.role]);
	if (!code)
		code = identity_load(c->server_key, &server, err);
	if (!code)
		code = state_open(c->state, &state, err);
	if (!code)
		fault_open(self.node);
	if (!code)
		code = loop_new(&loop, err);
	if (!code) {
		choose_kinds(c, probe, kinds);
		struct agent_options o = { .loop = loop, .config = c, .spawner = spawner, .state = state, .probe = probe, .kinds = kinds,
			                   .cgroup = open_cgroup(c, kinds), .self = &self, .server_public = server.public };
		code = agent_new(&o, &agent, err);
	}
	if (!code) {
		(void)underlay_shape(c, underlay_failed);
		code = listen_to_all(loop, agent, &timers, err);
	}
	if (!code) {
		log_info("node %s, server %s", self.node, c->server);
		notify_supervisor("READY=1");
		code = loop_run(loop, err);
		notify_supervisor("STOPPING=1");
		if (!code && agent_leave(agent))
			underlay_unshape(c);
	}
	agent_free(agent);
	state_close(state);
	if (loop)
		loop_free(loop);
	return code;
}

static bool has_toolstack(const struct agent_config *c)
{
	return c->xen.helper || c->xen.images.n || access("/dev/xen/privcmd", F_OK) == 0;
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct agent_config config = { 0 };
	struct yaml_errors errors = { 0 };
	struct node_probe probe = { 0 };
	struct spawner *spawner = NULL;
	struct err err = { 0 };
	if (argc > 1 && !strcmp(argv[1], "join"))
		return join_main(argc - 1, argv + 1);
	ensure_title_room(argv);
	parse_arguments(argc, argv, &a);
	log_open("vnagent", a.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	int code = a.check ? 0 : agent_config_load(a.config, &errors, &config, &err);
	if (code) {
		fprintf(stderr, "%s", buf_cstr(&errors.text));
		if (!errors.n)
			fprintf(stderr, "vnagent: %s\n", err.text);
		yaml_errors_done(&errors);
		return EXIT_BAD;
	}
	if (a.check && agent_config_load(a.config, &errors, &config, &err)) /* only what it says of Xen and of uplinks is of use here */
		config = (struct agent_config){ 0 };
	yaml_errors_done(&errors);
	if (!code)
		code = agent_confine_caps(has_toolstack(&config), &err);
	/* Whoever forks does so before the first thread. */
	const char **wanted = config.routers.n && !a.check ? mem_array(config.routers.n + 1, sizeof(*wanted)) : NULL;
	bool fake_only = wanted != NULL;
	for (size_t i = 0; wanted && i < config.routers.n; i++) {
		wanted[i] = config.routers.v[i];
		const struct router_driver *d = router_driver_find(wanted[i]);
		fake_only &= d && d->ports == ROUTER_PORTS_NONE;
		if (!d && !code)
			code = err_set(&err, -EINVAL, "%s: there is no router kind %s", a.config, wanted[i]);
	}
	if (!code)
	{
		router_xen_set(&(struct router_xen_options){ config.xen.helper, (const char *const *)config.xen.images.v, config.xen.images.n,
			                                     config.xen.balance });
		code = probe_run(wanted, &probe, &err);
	}
	if (!code)
		probe_programs(&config.programs, &probe, a.check);
	if (!code && a.check)
		uplinks_probe(&config.uplinks, &probe, &probe.uplinks, &probe.n_uplinks);
	if (!code && a.check) {
		int answer = probe_print(&probe, a.json);
		node_probe_done(&probe);
		agent_config_done(&config);
		return answer;
	}
	if (!code && !fake_only)
		tell_missing_caps();
	if (!code && !fake_only)
		code = spawner_start(argc, argv, &spawner, &err);
	if (!code)
		code = agent_confine_calls(&err);
	if (!code)
		code = run(&config, spawner, &probe, &err);
	if (code)
		log_error("%s", err.text);
	spawner_stop(spawner);
	free(wanted);
	node_probe_done(&probe);
	agent_config_done(&config);
	return code == 0 ? 0 : code == -EINVAL || code == -EACCES || code == -ENOENT ? EXIT_BAD : EXIT_MACHINE;
}
