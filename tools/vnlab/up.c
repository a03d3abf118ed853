/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnlab up`: reads the substrate, starts the watcher, shows progress, and leaves once every
 * agent is connected as vned itself sees it. Interrupted or failed, it lets go of the watcher's
 * socket and waits until everything is gone again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "proto/keys.h"
#include "proto/wire.h"
#include "tools/vnlab/lab.h"

enum { POLL_MS = 50 };

struct up {
	struct lab lab;
	struct loop *loop;
	struct wire *wire;
	struct identity self, server;
	int report, tie;
	int exit_code; /* -1: under way */
	int64_t began_ms;
	size_t agents, connected;
	bool asked;
	char server_url[64], metrics_url[64];
	char lacks[1024];
};

static double seconds(const struct up *up)
{
	return (double)(clock_ms() - up->began_ms) / 1000;
}

static void finish(struct up *up, int code)
{
	if (up->exit_code < 0)
		up->exit_code = code;
	loop_stop(up->loop);
}

static void count_connected(struct up *up, const struct message *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->u.nodes.n; i++) {
		const struct node_view *v = &m->u.nodes.v[i];
		size_t node = hash_index(up->lab.s.node_index, v->name);
		if (node == SIZE_MAX || !up->lab.s.nodes[node].agent || !v->state || strcmp(v->state, "up"))
			continue;
		n++;
		if (v->lacks && *v->lacks && !*up->lacks)
			snprintf(up->lacks, sizeof(up->lacks), "%s", v->lacks);
	}
	if (n != up->connected && isatty(STDOUT_FILENO)) {
		printf("\r  agents connected: %zu of %zu", n, up->agents);
		fflush(stdout);
	}
	up->connected = n;
	if (n >= up->agents) {
		printf("%s  agents connected: %zu of %zu, after %.2f s\n", isatty(STDOUT_FILENO) ? "\r" : "", n, up->agents,
		       seconds(up));
		finish(up, 0);
	}
}

static void answered(void *arg, struct message *m)
{
	struct up *up = arg;
	if (m->type == MSG_NODE_LIST) {
		up->asked = false;
		count_connected(up, m);
	} else if (m->type == MSG_REPLY && m->u.reply.code) {
		fprintf(stderr, "vnlab: vned: %s\n", m->u.reply.text ? m->u.reply.text : "refused");
		finish(up, m->u.reply.code);
	}
}

static void wire_changed(void *arg, enum wire_state state, const char *why)
{
	struct up *up = arg;
	if (state != WIRE_UP)
		up->asked = false;
	if (state == WIRE_REFUSED) {
		fprintf(stderr, "vnlab: vned refuses the key that was made for it: %s\n", why);
		finish(up, 3);
	}
}

static void ask(void *arg)
{
	struct up *up = arg;
	struct err err = { 0 };
	struct message m = { .type = MSG_NODES };
	if (up->wire && !up->asked)
		up->asked = wire_send(up->wire, NULL, &m, &err) == 0;
}

static int connect_vned(struct up *up, struct err *err)
{
	mem_auto char *key = lab_path(&up->lab, "admin.key");
	mem_auto char *pub = lab_path(&up->lab, "vned.pub");
	struct loop_source *timer;
	int rc = identity_load(key, &up->self, err);
	if (!rc)
		rc = identity_load(pub, &up->server, err);
	struct wire_client_options options = { .server = up->server_url, .self = &up->self,
		                               .server_public = up->server.public, .message = answered,
		                               .state = wire_changed, .arg = up };
	if (!rc)
		rc = wire_connect(up->loop, &options, &up->wire, err);
	return rc ? rc : loop_add_timer(up->loop, 0, POLL_MS, ask, up, &timer, err);
}

static void report_failed(struct up *up, const char *text)
{
	char *rest;
	int code = (int)strtol(text, &rest, 10);
	fprintf(stderr, "vnlab: %s\n", *rest == ' ' ? rest + 1 : rest);
	finish(up, code);
}

static void show_progress(struct up *up, const char *text)
{
	if (!strcmp(text, "nodes"))
		printf("  namespaces of %zu nodes, after %.2f s\n", up->lab.s.n_nodes, seconds(up));
	else
		printf("  %zu links, after %.2f s\n", up->lab.s.n_links, seconds(up));
	bool delays = false;
	for (size_t i = 0; i < up->lab.s.n_links; i++)
		delays = delays || up->lab.s.links[i].delay_us > 0;
	if (!strcmp(text, "links undelayed") && delays)
		printf("  this kernel cannot delay packets (no netem): delays of links are not emulated\n");
}

static void reported(void *arg, uint32_t events)
{
	struct up *up = arg;
	struct err err = { 0 };
	char text[CONTROL_MESSAGE_MAX];
	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(up->report, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			if (up->exit_code < 0)
				fprintf(stderr, "vnlab: the lab ended while it was being made\n");
			finish(up, 70);
			break;
		}
		text[n] = 0;
		if (text[0] == 'P') {
			show_progress(up, text + 1);
		} else if (text[0] == 'E') {
			report_failed(up, text + 1);
			break;
		} else if (text[0] == 'S' && sscanf(text + 1, "%63s %63s", up->server_url, up->metrics_url) == 2) {
			printf("  vned answers at %s, after %.2f s\n", up->server_url, seconds(up));
			if (connect_vned(up, &err)) {
				fprintf(stderr, "vnlab: %s\n", err.text);
				finish(up, 70);
			}
		}
	}
	fflush(stdout);
}

static void interrupted(void *arg)
{
	struct up *up = arg;
	fprintf(stderr, "\nvnlab: interrupted; removing what was made\n");
	finish(up, 130);
}

static void too_late(void *arg)
{
	struct up *up = arg;
	fprintf(stderr, "vnlab: in time only %zu of %zu agents have connected\n", up->connected, up->agents);
	finish(up, 3);
}

static int wait_until_up(struct up *up, int64_t timeout_ms, struct err *err)
{
	struct loop_source *source;
	int rc = loop_new(&up->loop, err);
	if (!rc)
		rc = loop_add_fd(up->loop, up->report, EPOLLIN, reported, up, &source, err);
	if (!rc)
		rc = loop_add_signal(up->loop, SIGINT, interrupted, up, &source, err);
	if (!rc)
		rc = loop_add_signal(up->loop, SIGTERM, interrupted, up, &source, err);
	if (!rc)
		rc = loop_add_signal(up->loop, SIGHUP, interrupted, up, &source, err);
	if (!rc)
		rc = loop_add_timer(up->loop, timeout_ms, 0, too_late, up, &source, err);
	if (!rc)
		rc = loop_run(up->loop, err);
	wire_close(up->wire);
	loop_free(up->loop);
	return rc;
}

/* The directory's path, absolute and short enough for the sockets in it. */
static int set_dir(struct lab *lab, const char *dir, struct err *err)
{
	mem_auto char *here = NULL;
	if (*dir != '/')
		here = getcwd(NULL, 0);
	lab->dir = *dir == '/' ? mem_str(dir) : mem_printf("%s/%s", here ? here : ".", dir);
	for (size_t n = strlen(lab->dir); n > 1 && lab->dir[n - 1] == '/'; n--)
		lab->dir[n - 1] = 0;
	if (strlen(lab->dir) > LAB_DIR_MAX)
		return err_set(err, -ENAMETOOLONG, "%s: the lab's directory may have at most %d bytes", lab->dir, LAB_DIR_MAX);
	return 0;
}

static int load(struct lab *lab, const char *dir, const char *file)
{
	struct yaml_errors errors = { .file = file };
	struct err err = { 0 };
	int code = 0;
	lab->rootless = geteuid() != 0;
	lab->uid = geteuid();
	lab->gid = getegid();
	if (substrate_load(file, &errors, &lab->s, &err)) {
		fputs(buf_cstr(&errors.text), stderr);
		if (!errors.n)
			fprintf(stderr, "vnlab: %s\n", err.text);
		code = 2;
	} else if (set_dir(lab, dir, &err) || lab_layout(lab, &err)) {
		fprintf(stderr, "vnlab: %s\n", err.text);
		code = err.code == -E2BIG ? 1 : err.code == -ENAMETOOLONG ? 2 : 70;
	}
	yaml_errors_done(&errors);
	return code;
}

static _Noreturn void become_watcher(struct up *up, int tie, int report)
{
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	close(up->tie);
	close(up->report);
	watcher_run(&up->lab, tie, report);
}

static void show_result(const struct up *up)
{
	printf("  server %s   metrics %s\n", up->server_url, up->metrics_url);
	if (*up->lacks)
		printf("  %s lacks: %s\n", up->lab.rootless ? "without root, this machine" : "this machine", up->lacks);
	if (strstr(up->lacks, "cgroup-cpu"))
		printf("  so routers are not held to the cpu that was promised to them\n");
	if (strstr(up->lacks, "cgroup-memory"))
		printf("  so routers are not held to their memory\n");
	printf("lab %s is up in %.2f s; `vnlab down` ends it\n", up->lab.s.name, seconds(up));
}

/* From here on there is a watcher to get rid of. */
static int start_and_wait(struct up *up, int64_t timeout_ms)
{
	struct err err = { 0 };
	int tie[2], report[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, tie) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report)) {
		fprintf(stderr, "vnlab: %s\n", strerror(errno));
		return 70;
	}
	up->tie = tie[0];
	up->report = report[0];
	printf("lab %s: %zu nodes, %zu links\n", up->lab.s.name, up->lab.s.n_nodes, up->lab.s.n_links);
	fflush(stdout);
	pid_t watcher = fork();
	if (watcher == 0)
		become_watcher(up, tie[1], report[1]);
	if (watcher < 0) {
		fprintf(stderr, "vnlab: fork: %s\n", strerror(errno));
		return 70;
	}
	close(tie[1]);
	close(report[1]);
	if (wait_until_up(up, timeout_ms, &err)) {
		fprintf(stderr, "vnlab: %s\n", err.text);
		up->exit_code = 70;
	}
	if (up->exit_code == 0 && send(up->tie, "k", 1, MSG_NOSIGNAL) == 1) {
		show_result(up);
		return 0;
	}
	close(up->tie); /* and the watcher ends it all */
	while (waitpid(watcher, NULL, 0) < 0 && errno == EINTR)
		;
	return up->exit_code ? up->exit_code : 70;
}

int lab_up(const char *dir, const char *file, int64_t timeout_ms)
{
	struct up up = { .exit_code = -1, .began_ms = clock_ms() };
	int code = load(&up.lab, dir, file);
	for (size_t i = 0; !code && i < up.lab.s.n_nodes; i++)
		up.agents += up.lab.s.nodes[i].agent;
	if (!code)
		code = start_and_wait(&up, timeout_ms);
	lab_done(&up.lab);
	return code;
}
