/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnagent-watch: listens to underlay and protected links for the agent, which starts it; see watch_wire.h. It takes a processor before
 * others do (SCHED_FIFO, memory locked) where that is permitted: it needs little, and what it is late is lost by tenants. */
#include <argp.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "vnagent/watch/impl.h"

enum { EXIT_BAD = 2, EXIT_MACHINE = 70, PRIORITY = 20 };

const char *argp_program_version = "vnagent-watch " VNE_VERSION;
error_t argp_err_exit_status = EXIT_BAD;

static void stop(void *arg)
{
	loop_stop(arg);
}

static void hurry(void)
{
	struct sched_param p = { .sched_priority = PRIORITY };
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_debug("memory is not locked: %s", strerror(errno));
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) < 0 && setpriority(PRIO_PROCESS, 0, -20) < 0)
		log_debug("no real-time priority here: a busy machine may switch later");
}

/* Its sockets are open: what may come is more of those that any program may have. */
static int confine(struct err *err)
{
	static const struct confine_cap keep[] = {
		{ CAP_NET_ADMIN, "switching protected links" },
		{ CAP_NET_RAW, "sockets that are tied to a device" },
		{ CAP_IPC_LOCK, "memory that comes later is locked, too" },
	};
	static const struct confine_call *const calls[] = { confine_ordinary, confine_network };
	int code = confine_caps(keep, sizeof(keep) / sizeof(keep[0]), err);
	return code ? code : confine_calls_only(calls, sizeof(calls) / sizeof(calls[0]), err);
}

static int run(struct watcher *w, struct err *err)
{
	struct loop_source *source;
	int code = loop_new(&w->loop, err);
	if (!code)
		code = loop_add_signal(w->loop, SIGTERM, stop, w->loop, &source, err);
	if (!code)
		code = loop_add_signal(w->loop, SIGINT, stop, w->loop, &source, err);
	if (!code)
		code = guards_open(w, err);
	if (!code)
		code = links_open(w, err);
	if (!code)
		code = control_open(w, WATCH_FD, err);
	if (!code)
		code = confine(err);
	if (!code)
		code = loop_run(w->loop, err);
	control_close(w);
	links_close(w);
	guards_close(w);
	if (w->loop)
		loop_free(w->loop);
	return code;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { NULL, NULL, NULL,
		                          "Watches links for vnagent, which starts it and hands it a socket as descriptor 3.", NULL, NULL, NULL };
	struct watcher w = { 0 };
	struct err err = { 0 };
	int type;
	socklen_t len = sizeof(type);
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	log_open("vnagent-watch", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	if (getsockopt(WATCH_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		fprintf(stderr, "vnagent-watch: descriptor %d is no socket of vnagent, which starts this program\n", WATCH_FD);
		return EXIT_BAD;
	}
	hurry();
	int code = run(&w, &err);
	if (code)
		log_error("%s", err.text);
	return code ? EXIT_MACHINE : 0;
}
