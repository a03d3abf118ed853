/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnguest: pid 1 of a guest. With --no-init the same in a network namespace of whoever starts it, which is how it is tested. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "vnagent/guest/bird.h"
#include "vnagent/guest/init.h"
#include "vnagent/guest/inside.h"
#include "vnagent/guest/netlink_relay.h"
#include "vnagent/guest/reaper.h"
#include "vnagent/guest/serve.h"
#include "vnagent/guest_wire.h"

const char *argp_program_version = "vnguest " VNE_VERSION;

struct guest {
	bool no_init, netlink;
	const char *setup;
	struct loop *loop;
	struct reaper *reaper;
	struct inside *inside;
	struct bird *bird;
	struct serve *serve;
};

static const struct argp_option options[] = {
	{ "no-init", 'n', NULL, 0, "Not as pid 1: only this network namespace", 0 },
	{ "netlink", 'N', NULL, 0, "Only hand netlink messages from standard input to the kernel, and its answers and news back", 0 },
	{ "setup", 's', "FILE", 0, "What the router is, instead of " GUEST_SETUP_FILE, 0 },
	{ 0 }
};

static error_t option(int key, char *arg, struct argp_state *state)
{
	struct guest *g = state->input;
	if (key == 'n')
		g->no_init = true;
	else if (key == 'N')
		g->netlink = true;
	else if (key == 's')
		g->setup = arg;
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

/* ---- the setup that it was born with ------------------------------------------------------ */
static int read_setup(const char *path, struct buf *out, struct err *err)
{
	char data[16 << 10];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 0;
	while (fd >= 0 && out->len <= GUEST_SETUP_MAX && (n = read(fd, data, sizeof(data))) > 0)
		buf_add(out, data, (size_t)n);
	int code = n < 0 ? err_sys(err, -errno, "%s", path) : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

static void applied(void *arg, int code, const char *text)
{
	struct guest *g = arg;
	if (code)
		log_error("%s: %s", g->setup, text);
	else
		log_info("router %s is set up", inside_name(g->inside));
}

static void apply_setup(struct guest *g)
{
	buf_auto struct buf text = BUF_INIT;
	struct err err = { 0 };
	if (read_setup(g->setup, &text, &err))
		log_warn("%s", err.text); /* the host may say it later */
	else
		serve_apply(g->serve, buf_cstr(&text), text.len, applied, g);
}

/* ---- running -------------------------------------------------------------------------------- */
static void control_is_there(void *arg, uint32_t ifindex)
{
	struct guest *g = arg;
	struct err err = { 0 };
	if (serve_listen(g->serve, ifindex, &err))
		log_error("%s", err.text);
	else
		log_info("listening on the control interface");
}

static void stop(void *arg)
{
	loop_stop(((struct guest *)arg)->loop);
}

static int signals(struct guest *g, struct err *err)
{
	if (!g->no_init)
		return init_signals(g->loop, err);
	int code = loop_add_signal(g->loop, SIGTERM, stop, g, NULL, err);
	return code ? code : loop_add_signal(g->loop, SIGINT, stop, g, NULL, err);
}

static int run(struct guest *g, struct err *err)
{
	int code = loop_new(&g->loop, err);
	if (!code)
		code = reaper_open(g->loop, &g->reaper, err);
	if (!code)
		code = signals(g, err);
	if (!code)
		code = bird_open(g->loop, g->reaper, &g->bird, err);
	if (!code)
		code = inside_open(g->loop, control_is_there, g, &g->inside, err);
	if (!code)
		g->serve = serve_new(g->loop, g->reaper, g->inside, g->bird);
	if (!code && !g->no_init)
		code = init_console(g->loop, g->reaper, err);
	if (code)
		return code;
	apply_setup(g);
	notify_supervisor("READY=1");
	return loop_run(g->loop, err);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, option, NULL, "Pid 1 of a guest that is a router: applies its setup, keeps BIRD running, and "
		                                               "serves the host's control connections. See vnimage(1).", NULL, NULL, NULL };
	struct guest g = { .setup = GUEST_SETUP_FILE };
	struct err err = { 0 };
	argp_err_exit_status = 2;
	/* The kernel hands over what it does not know of its command line: nothing of ours. */
	if (getpid() != 1)
		argp_parse(&argp, argc, argv, 0, NULL, &g);
	log_open("vnguest", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	if (g.netlink) {
		int code = netlink_relay(STDIN_FILENO, STDOUT_FILENO, &err);
		if (code)
			fprintf(stderr, "vnguest: %s\n", err.text);
		return code ? 70 : 0;
	}
	if (getpid() != 1 && !g.no_init) {
		fprintf(stderr, "vnguest: it is pid 1 of a guest; --no-init runs it in this network namespace\n");
		return 2;
	}
	if (!g.no_init)
		init_machine();
	int code = run(&g, &err);
	if (code)
		log_error("%s", err.text);
	serve_free(g.serve);
	bird_close(g.bird);
	inside_close(g.inside);
	reaper_close(g.reaper);
	loop_free(g.loop);
	return code ? 70 : 0;
}
