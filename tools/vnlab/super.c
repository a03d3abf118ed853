/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The supervisor: init of a lab. It makes the nodes and the links, starts vned and the agents,
 * reaps, and answers `status`, `exec`, `kill` and `start` on a socket. A daemon that ends is
 * reported, not restarted: on real machines that is systemd's job, and a lab is for looking at
 * what happens without it. It holds vned's sockets, so that they outlive vned. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/ns.h"
#include "base/vec.h"
#include "tools/vnlab/process.h"

struct client {
	struct super *super;
	int fd;
	struct loop_source *source;
	struct process *waits; /* for this one to be ready or to end */
	struct client *next;
};

struct super {
	struct lab *lab;
	struct loop *loop;
	int report;
	int *node_pidfd, *netns;
	struct process *processes; /* vned, then an agent for each node that has one */
	size_t n_processes;
	size_t started;            /* 0: nothing; 1: vned; then all */
	size_t ready;
	struct client *clients;
	int notify;
};

static _Noreturn void give_up(struct super *s, const struct err *err)
{
	log_error("%s", err->text);
	report_send(s->report, 'E', "70 %s", err->text);
	_exit(70); /* and the kernel ends everything else in here */
}

/* ---- making -------------------------------------------------------------------------------- */

static int make_nodes(struct super *s, struct err *err)
{
	size_t n = s->lab->s.n_nodes;
	int *ready = mem_array(n, sizeof(int));
	pid_t *pid = mem_array(n, sizeof(pid_t));
	int rc = 0;
	s->node_pidfd = mem_array(n, sizeof(int));
	s->netns = mem_array(n, sizeof(int));
	for (size_t i = 0; i < n && !rc; i++) {
		rc = node_spawn(s->lab, i, &pid[i], &ready[i], err);
		if (!rc) {
			s->node_pidfd[i] = (int)syscall(SYS_pidfd_open, pid[i], 0);
			if (s->node_pidfd[i] < 0)
				rc = err_sys(err, -errno, "pidfd of node %s", s->lab->s.nodes[i].name);
			else
				rc = ns_open(pid[i], "net", &s->netns[i], err);
		}
	}
	for (size_t i = 0; i < n && !rc; i++) {
		char text[512];
		ssize_t len = read(ready[i], text, sizeof(text) - 1);
		if (len <= 0 || text[0] != '+') {
			text[len > 0 ? len : 0] = 0;
			rc = err_set(err, -EIO, "node %s: %s", s->lab->s.nodes[i].name, len > 0 ? text : "its init died");
		}
		close(ready[i]);
	}
	free(ready);
	free(pid);
	return rc;
}

static int bind_socket(const struct lab *lab, const char *name, int type, int *ret, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mem_auto char *path = lab_path(lab, "%s", name);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_SEQPACKET && listen(fd, 64))) {
		int rc = err_sys(err, -errno, "%s", path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*ret = fd;
	return 0;
}

static void list_processes(struct super *s)
{
	const struct substrate *sub = &s->lab->s;
	char *agent = child_sibling("vnagent");
	s->processes = mem_array(sub->n_nodes + 1, sizeof(*s->processes));
	s->processes[0] = (struct process){ .name = "vned", .pidfd = -1, .node_pidfd = -1, .sockets = true,
		                            .program = child_sibling("vned"), .config = lab_path(s->lab, "vned.yaml") };
	s->n_processes = 1;
	for (size_t i = 0; i < sub->n_nodes; i++) {
		if (!sub->nodes[i].agent)
			continue;
		struct process *p = &s->processes[s->n_processes++];
		*p = (struct process){ .pidfd = -1, .node_pidfd = s->node_pidfd[i], .program = agent,
			               .config = lab_path(s->lab, "nodes/%s/vnagent.yaml", sub->nodes[i].name) };
		snprintf(p->name, sizeof(p->name), "%s", sub->nodes[i].name);
	}
}

/* ---- daemons ------------------------------------------------------------------------------- */

static void release_waiting(struct super *s, struct process *p)
{
	char text[96], words[256], answer[CONTROL_MESSAGE_MAX];
	for (struct client *c = s->clients; c; c = c->next) {
		if (c->waits != p)
			continue;
		c->waits = NULL;
		if (p->state == PROCESS_READY) {
			fds_send(c->fd, "ok", NULL, 0);
			continue;
		}
		process_last_words(s->lab, p, words);
		snprintf(answer, sizeof(answer), "error 70 %s %s: %s", p->name, process_text(p, text), words);
		fds_send(c->fd, answer, NULL, 0);
	}
}

static void start_agents(struct super *s)
{
	struct err err = { 0 };
	s->started = s->n_processes;
	for (size_t i = 1; i < s->n_processes; i++)
		if (process_start(s->lab, &s->processes[i], &err))
			give_up(s, &err);
	if (s->n_processes == 1)
		report_send(s->report, 'R', " ");
}

static void process_is_ready(struct super *s, struct process *p)
{
	if (p->state != PROCESS_STARTING)
		return;
	p->state = PROCESS_READY;
	log_info("%s is ready", p->name);
	release_waiting(s, p);
	if (s->ready < s->n_processes && ++s->ready == s->n_processes)
		report_send(s->report, 'R', " ");
	if (s->started == 1 && p == &s->processes[0]) {
		report_send(s->report, 'S', "tcp://127.0.0.1:%u http://127.0.0.1:%u/metrics", s->lab->listen_port,
		            s->lab->metrics_port);
		start_agents(s);
	}
}

static void reap(struct super *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < s->n_processes; i++) {
			struct process *p = &s->processes[i];
			char text[96], words[256];
			if (p->pid != pid)
				continue;
			process_ended(p, status);
			process_last_words(s->lab, p, words);
			log_warn("%s %s", p->name, process_text(p, text));
			if (s->ready < s->n_processes) /* still on the way up */
				report_send(s->report, 'E', "70 %s %s: %s", p->name, text, words);
			release_waiting(s, p);
		}
	}
}

static void child_ended(void *arg)
{
	reap(arg);
}

static void notified(void *arg, uint32_t events)
{
	struct super *s = arg;
	char text[512];
	for (int i = 0; i < 64; i++) {
		union {
			struct cmsghdr header;
			char space[CMSG_SPACE(sizeof(struct ucred))];
		} control;
		struct iovec iov = { text, sizeof(text) - 1 };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
			            .msg_controllen = sizeof(control.space) };
		ssize_t n = recvmsg(s->notify, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		text[n] = 0;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		struct ucred from;
		if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS || !strstr(text, "READY=1"))
			continue;
		memcpy(&from, CMSG_DATA(c), sizeof(from));
		for (size_t k = 0; k < s->n_processes; k++)
			if (s->processes[k].pid == from.pid)
				process_is_ready(s, &s->processes[k]);
	}
}

/* ---- questions ----------------------------------------------------------------------------- */

static struct process *find_process(struct super *s, const char *name)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (!strcmp(s->processes[i].name, name))
			return &s->processes[i];
	return NULL;
}

static void send_status(struct super *s, int fd)
{
	const struct substrate *sub = &s->lab->s;
	char text[96], line[CONTROL_MESSAGE_MAX];
	const struct process *vned = &s->processes[0];
	snprintf(line, sizeof(line), "lab tcp://127.0.0.1:%u http://127.0.0.1:%u/metrics %s", s->lab->listen_port,
	         s->lab->metrics_port, process_text(vned, text));
	int rc = fds_send(fd, line, &vned->pidfd, vned->pidfd >= 0);
	size_t k = 1;
	for (size_t i = 0; i < sub->n_nodes && !rc; i++) {
		const struct process *p = sub->nodes[i].agent ? &s->processes[k++] : NULL;
		int fds[2] = { s->node_pidfd[i], p ? p->pidfd : -1 };
		snprintf(line, sizeof(line), "node %s %s", sub->nodes[i].name, p ? process_text(p, text) : "none");
		rc = fds_send(fd, line, fds, fds[1] >= 0 ? 2 : 1);
	}
	if (!rc)
		fds_send(fd, "end", NULL, 0);
}

static void answer_exec(struct super *s, int fd, const char *name)
{
	const struct substrate *sub = &s->lab->s;
	size_t i = hash_index(sub->node_index, name);
	if (i == SIZE_MAX)
		fds_send(fd, "error 2 there is no such node", NULL, 0);
	else
		fds_send(fd, "ok", &s->node_pidfd[i], 1);
}

static void answer_start(struct super *s, struct client *c, const char *name)
{
	struct err err = { 0 };
	char answer[CONTROL_MESSAGE_MAX];
	reap(s);
	struct process *p = find_process(s, name);
	if (!p) {
		fds_send(c->fd, "error 2 there is no such daemon; `vned` or a node's name", NULL, 0);
	} else if (process_runs(p)) {
		fds_send(c->fd, "error 1 it is running already", NULL, 0);
	} else if (process_start(s->lab, p, &err)) {
		snprintf(answer, sizeof(answer), "error 70 %.400s", err.text);
		fds_send(c->fd, answer, NULL, 0);
	} else {
		c->waits = p;
	}
}

static void answer_kill(struct super *s, int fd, const char *words)
{
	int signo;
	char name[64], answer[CONTROL_MESSAGE_MAX], text[96];
	reap(s);
	if (sscanf(words, "%d %63s", &signo, name) != 2)
		return;
	struct process *p = find_process(s, name);
	if (!p) {
		fds_send(fd, "error 2 there is no such daemon; `vned` or a node's name", NULL, 0);
	} else if (!process_runs(p) || p->pidfd < 0) {
		snprintf(answer, sizeof(answer), "error 1 it is not running (%s)", process_text(p, text));
		fds_send(fd, answer, NULL, 0);
	} else {
		int pidfd = fcntl(p->pidfd, F_DUPFD_CLOEXEC, 5); /* outlives the process' entry */
		if (syscall(SYS_pidfd_send_signal, p->pidfd, signo, NULL, 0))
			fds_send(fd, "error 70 the signal could not be sent", NULL, 0);
		else
			fds_send(fd, "ok", &pidfd, pidfd >= 0);
		close(pidfd);
	}
}

static void client_close(struct client *c)
{
	struct client **at = &c->super->clients;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	loop_remove(c->source);
	close(c->fd);
	free(c);
}

static void client_asks(void *arg, uint32_t events)
{
	struct client *c = arg;
	char text[CONTROL_MESSAGE_MAX];
	ssize_t n = fds_receive(c->fd, text, NULL, 0);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	if (!strcmp(text, "status"))
		send_status(c->super, c->fd);
	else if (!strncmp(text, "exec ", 5))
		answer_exec(c->super, c->fd, text + 5);
	else if (!strncmp(text, "start ", 6))
		answer_start(c->super, c, text + 6);
	else if (!strncmp(text, "kill ", 5))
		answer_kill(c->super, c->fd, text + 5);
	else
		fds_send(c->fd, "error 2 not understood", NULL, 0);
}

struct door {
	struct super *super;
	int fd;
};

static void client_knocks(void *arg, uint32_t events)
{
	struct door *door = arg;
	struct err err = { 0 };
	struct timeval patience = { .tv_sec = 2 }; /* with one who asks and does not read */
	int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	struct client *c = mem_alloc(sizeof(*c));
	c->super = door->super;
	c->fd = fd;
	if (loop_add_fd(door->super->loop, fd, EPOLLIN, client_asks, c, &c->source, &err)) {
		log_error("control: %s", err.text);
		close(fd);
		free(c);
		return;
	}
	c->next = door->super->clients;
	door->super->clients = c;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int prepare(struct super *s, struct err *err)
{
	mem_auto char *log = lab_path(s->lab, "log/vnlab.log");
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		close(fd);
	}
	log_open("vnlab", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return err_sys(err, -errno, "making mounts private");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return err_sys(err, -errno, "/proc of the lab");
	int rc = make_nodes(s, err);
	if (rc)
		return rc;
	report_send(s->report, 'P', "nodes");
	rc = net_build(s->lab, s->netns, err);
	if (rc)
		return rc;
	report_send(s->report, 'P', "links%s", net_can_delay() ? "" : " undelayed");
	list_processes(s);
	return 0;
}

static int serve(struct super *s, struct err *err)
{
	static struct door door; /* as long as the process */
	struct loop_source *source;
	int on = 1, rc = loop_new(&s->loop, err);
	door.super = s;
	if (!rc)
		rc = bind_socket(s->lab, "control", SOCK_SEQPACKET, &door.fd, err);
	if (!rc)
		rc = bind_socket(s->lab, "notify", SOCK_DGRAM, &s->notify, err);
	if (!rc && setsockopt(s->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		rc = err_sys(err, -errno, "credentials");
	if (!rc)
		rc = loop_add_signal(s->loop, SIGCHLD, child_ended, s, &source, err);
	if (!rc)
		rc = loop_add_fd(s->loop, door.fd, EPOLLIN, client_knocks, &door, &source, err);
	if (!rc)
		rc = loop_add_fd(s->loop, s->notify, EPOLLIN, notified, s, &source, err);
	if (!rc)
		rc = process_start(s->lab, &s->processes[0], err);
	s->started = 1;
	return rc ? rc : loop_run(s->loop, err);
}

_Noreturn void super_run(struct lab *lab, int go, int report)
{
	struct super s = { .lab = lab, .report = report };
	struct err err = { 0 };
	char word;
	prctl(PR_SET_NAME, "vnlab-super");
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the watcher's end is ours */
	if (read(go, &word, 1) != 1)
		_exit(70);
	close(go);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prepare(&s, &err) || serve(&s, &err))
		give_up(&s, &err);
	_exit(0);
}
