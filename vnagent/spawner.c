/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The spawner's processes and the agent's end of their socket; see spawner.h. One request is
 * one SOCK_SEQPACKET message, so whichever process reads it has the whole of it. */
#include "vnagent/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/ns.h"
#include "vnagent/cgroup.h"
#include "vnagent/confine.h"
#include "vnagent/holder.h"

enum { WORKERS_MIN = 2, WORKERS_MAX = 8, FDS_MAX = 5, TITLE_MIN = 48 + SPAWN_NAME_MAX, EXIT_MACHINE = 70 };

struct spawner {
	int fd;
};

enum request_kind { REQUEST_ROUTER, REQUEST_COMMAND };
struct request {
	enum request_kind kind;
	struct spawn_router router;
	size_t argc, args_len; /* REQUEST_COMMAND: NUL-terminated arguments follow */
};

/* ---- messages with descriptors ----------------------------------------------------------- */
static int send_fds(int sock, struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n_iov };
	if (n_fds) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	for (;;) {
		if (sendmsg(sock, &msg, flags | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* Bytes received (0: the other end is gone) or a negative errno. fds: -1 where none came. */
static ssize_t receive_fds(int sock, void *data, size_t len, int *fds, size_t max_fds, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control) };
	ssize_t n;
	do
		n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	for (size_t i = 0; i < max_fds; i++)
		fds[i] = -1;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), (got < max_fds ? got : max_fds) * sizeof(int));
	}
	return n;
}

/* ---- running a command in a router --------------------------------------------------------- */
static _Noreturn void end_command(int control, int code, const char *text)
{
	struct spawn_exit e = { .code = code };
	snprintf(e.text, sizeof(e.text), "%.*s", SPAWN_TEXT_MAX - 1, text);
	(void)!send(control, &e, sizeof(e), MSG_NOSIGNAL);
	_exit(0);
}

static const char PATH[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static bool is_in_path(const char *name)
{
	char path[512];
	for (const char *at = PATH; *at && !strchr(name, '/'); at += strcspn(at, ":"), at += *at == ':') {
		snprintf(path, sizeof(path), "%.*s/%.400s", (int)strcspn(at, ":"), at, name);
		if (access(path, F_OK) == 0)
			return true;
	}
	return strchr(name, '/');
}

static _Noreturn void execute(char **argv, const int *fds, int report)
{
	static char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp",
		                     "TERM=xterm", "USER=root", "LANG=C.UTF-8", NULL };
	setsid();
	for (int fd = 0; fd < 3; fd++)
		if (dup2(fds[fd], fd) < 0)
			_exit(126);
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	(void)syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	execvpe(argv[0], argv, env);
	int code = errno;
	if (code == EACCES && !is_in_path(argv[0]))
		code = ENOENT; /* a folder on the way could not be searched: that is not what was asked */
	(void)!write(report, &code, sizeof(code));
	_exit(code == ENOENT ? 127 : 126);
}

/* Waits for the command, or for our partner to hang up; then the command's session is killed. */
static _Noreturn void attend(pid_t pid, int control, int report, const char *name)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status = 0, exec_errno = 0;
	ssize_t n = read(report, &exec_errno, sizeof(exec_errno)); /* end of file: it runs */
	struct pollfd p[] = { { .fd = pidfd, .events = POLLIN }, { .fd = control, .events = POLLIN } };
	while (!(p[0].revents & POLLIN)) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			p[1].fd = -1;
		}
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL); /* what it left in the background holds pipes that the client waits for */
	char text[SPAWN_TEXT_MAX] = "";
	if (n == sizeof(exec_errno)) {
		char shown[100]; /* half a character would be no text on the wire, and the end of the command never be told */
		err_copy(shown, sizeof(shown), name);
		snprintf(text, sizeof(text), "%s: %s", shown, strerror(exec_errno));
	}
	end_command(control, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), text);
}

static _Noreturn void run_command(const struct request *q, char **argv, const int *fds)
{
	int control = fds[4], report[2];
	char text[SPAWN_TEXT_MAX];
	signal(SIGCHLD, SIG_DFL);
	if (q->router.cgroup[0])
		cgroup_enter(q->router.cgroup, q->router.net, q->router.router, 0);
	if (setns(fds[0], CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) < 0) {
		snprintf(text, sizeof(text), "entering the router: %s", strerror(errno));
		end_command(control, 126, text);
	}
	(void)!setgroups(0, NULL);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || chdir("/") < 0 || pipe2(report, O_CLOEXEC) < 0) {
		snprintf(text, sizeof(text), "becoming root of the router: %s", strerror(errno));
		end_command(control, 126, text);
	}
	router_confine_limits();
	pid_t pid = fork();
	if (pid < 0)
		end_command(control, 126, "no process left in the router");
	if (pid == 0)
		execute(argv, fds + 1, report[1]);
	close(report[1]);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	attend(pid, control, report[0], argv[0]);
}

static void start_command(int sock, const struct request *q, char *args, size_t len, const int *fds)
{
	char **argv = calloc(q->argc + 1, sizeof(*argv));
	bool whole = argv && q->argc && len == q->args_len && len && !args[len - 1] && fds[4] >= 0;
	char *at = args, *end = args + len;
	for (size_t i = 0; whole && i < q->argc; i++) {
		whole = at < end;
		argv[i] = at;
		if (whole)
			at += strlen(at) + 1;
	}
	pid_t pid = whole ? fork() : -1;
	if (pid == 0) {
		close(sock);
		run_command(q, argv, fds);
	}
	free(argv);
}

/* ---- the worker ------------------------------------------------------------------------------ */
static void answer(int sock, const struct spawn_answer *a)
{
	int fds[] = { a->pidfd, a->netns_fd };
	struct iovec iov = { (void *)a, sizeof(*a) };
	(void)!send_fds(sock, &iov, 1, fds, a->code ? 0 : 2, 0);
	if (a->pidfd >= 0)
		close(a->pidfd);
	if (a->netns_fd >= 0)
		close(a->netns_fd);
}

static _Noreturn void serve(int sock, const struct title *title)
{
	static char buffer[sizeof(struct request) + SPAWN_ARGS_MAX];
	int fds[FDS_MAX];
	prctl(PR_SET_NAME, "vne-spawner");
	signal(SIGCHLD, SIG_IGN);
	signal(SIGTERM, SIG_IGN); /* it ends with the agent, by the socket */
	signal(SIGINT, SIG_IGN);
	setsid(); /* a terminal's ^C or a service manager's group kill is not for routers */
	struct err err = { 0 };
	if (router_confine_calls(&err)) {
		fprintf(stderr, "vnagent: routers: %s\n", err.text);
		_exit(EXIT_MACHINE); /* the agent sees that nobody makes routers */
	}
	for (;;) {
		ssize_t n = receive_fds(sock, buffer, sizeof(buffer), fds, FDS_MAX, 0);
		if (n < (ssize_t)sizeof(struct request))
			_exit(0);
		struct request q;
		memcpy(&q, buffer, sizeof(q));
		if (q.kind == REQUEST_ROUTER) {
			struct spawn_answer a;
			(void)!holder_make(&q.router, title, &a);
			answer(sock, &a);
		} else {
			start_command(sock, &q, buffer + sizeof(q), (size_t)n - sizeof(q), fds);
		}
		for (int i = 0; i < FDS_MAX; i++)
			if (fds[i] >= 0)
				close(fds[i]);
	}
}

/* ---- the agent's end ----------------------------------------------------------------------- */
int spawner_start(int argc, char **argv, struct spawner **ret, struct err *err)
{
	int pair[2];
	struct title title;
	title_find(argc, argv, &title);
	if (title.room < TITLE_MIN)
		return err_set(err, -EINVAL, "arguments and environment have %zu bytes; a router's title needs %d: set some variable",
		               title.room, TITLE_MIN);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "spawner");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int workers = cores < WORKERS_MIN ? WORKERS_MIN : cores > WORKERS_MAX ? WORKERS_MAX : (int)cores;
	for (int i = 0; i < workers; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			close(pair[0]);
			serve(pair[1], &title);
		}
		if (pid < 0 && i == 0) {
			int code = err_sys(err, -errno, "spawner");
			close(pair[0]);
			close(pair[1]);
			return code;
		}
	}
	close(pair[1]);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*ret = mem_alloc(sizeof(**ret));
	(*ret)->fd = pair[0];
	return 0;
}

void spawner_stop(struct spawner *s)
{
	if (!s)
		return;
	close(s->fd);
	free(s);
}

int spawner_fd(const struct spawner *s)
{
	return s->fd;
}

int spawner_create(struct spawner *s, const struct spawn_router *r, struct err *err)
{
	struct request q = { .kind = REQUEST_ROUTER, .router = *r };
	struct iovec iov = { &q, sizeof(q) };
	int code = ns_net_cookie(&q.router.home_net, err);
	if (code)
		return code;
	fault_point("router, before");
	code = send_fds(s->fd, &iov, 1, NULL, 0, MSG_DONTWAIT);
	fault_point("router, after");
	return code ? err_sys(err, code == -ENOBUFS ? -EAGAIN : code, "asking the spawner for a router") : 0;
}

int spawner_receive(struct spawner *s, struct spawn_answer *ret, struct err *err)
{
	int fds[2];
	struct spawn_answer a;
	ssize_t n = receive_fds(s->fd, &a, sizeof(a), fds, 2, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return err_sys(err, (int)n, "spawner");
	if (n != sizeof(a))
		return err_set(err, -EPIPE, "the spawner is gone");
	a.pidfd = fds[0];
	a.netns_fd = fds[1];
	a.text[SPAWN_TEXT_MAX - 1] = 0;
	*ret = a;
	return 0;
}

int spawner_run(struct spawner *s, const struct spawn_command *c, struct err *err)
{
	char args[SPAWN_ARGS_MAX];
	struct request q = { .kind = REQUEST_COMMAND, .router = { .net = c->net, .router = c->router }, .argc = c->argc };
	snprintf(q.router.cgroup, sizeof(q.router.cgroup), "%s", c->cgroup);
	for (size_t i = 0; i < c->argc; i++) {
		size_t len = strlen(c->argv[i]) + 1;
		if (q.args_len + len > sizeof(args))
			return err_set(err, -E2BIG, "more than %d bytes of arguments", SPAWN_ARGS_MAX);
		memcpy(args + q.args_len, c->argv[i], len);
		q.args_len += len;
	}
	if (!c->argc)
		return err_set(err, -EINVAL, "no command");
	int fds[FDS_MAX] = { c->pidfd, c->in, c->out, c->error, c->control };
	struct iovec iov[] = { { &q, sizeof(q) }, { args, q.args_len } };
	int code = send_fds(s->fd, iov, 2, fds, FDS_MAX, MSG_DONTWAIT);
	return code ? err_sys(err, code, "asking the spawner to run a command") : 0;
}
