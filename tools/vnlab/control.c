/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking a running lab: status, exec, kill, start, down. Processes are handed over as pidfds and
 * so named right in whatever pid namespace the asker lives; `exec` enters a node by its pidfd
 * and runs the command on the caller's own terminal. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "model/writer.h"
#include "tools/vnlab/lab.h"

enum { ANSWER_MS = 20000, DOWN_MS = 20000 };

static int complain(const char *what, int code)
{
	fprintf(stderr, "vnlab: %s\n", what);
	return code;
}

int control_connect(const char *dir, int *ret, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = ANSWER_MS / 1000 };
	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", dir) >= sizeof(a.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long for a lab's directory", dir);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		int code = errno;
		close(fd);
		if (code == ENOENT || code == ECONNREFUSED)
			return err_set(err, -ENOENT, "no lab is running in %s; `vnlab up SUBSTRATE.yaml` makes one", dir);
		return err_sys(err, -code, "%s", a.sun_path);
	}
	*ret = fd;
	return 0;
}

/* Asks one question and waits for one answer: 0 for "ok", else the exit code, its reason printed. */
static int ask(const char *dir, const char *question, int *ret_fd)
{
	struct err err = { 0 };
	char text[CONTROL_MESSAGE_MAX];
	int sock, given = -1, code = 0;
	if (control_connect(dir, &sock, &err))
		return complain(err.text, 3);
	int rc = fds_send(sock, question, NULL, 0);
	ssize_t n = rc ? rc : fds_receive(sock, text, &given, 1);
	close(sock);
	if (n <= 0) {
		code = complain("the lab's supervisor does not answer", 3);
	} else if (strcmp(text, "ok")) {
		char *rest = text;
		if (!strncmp(text, "error ", 6))
			code = (int)strtol(text + 6, &rest, 10);
		code = complain(*rest == ' ' ? rest + 1 : rest, code ? code : 70);
	}
	if (given >= 0 && (code || !ret_fd))
		close(given);
	if (ret_fd)
		*ret_fd = code ? -1 : given;
	return code;
}

/* The pid behind a pidfd, in our own pid namespace; 0: it has ended. */
static int64_t pid_of(int pidfd)
{
	mem_auto char *path = mem_printf("/proc/self/fdinfo/%d", pidfd);
	char line[256];
	long pid = 0;
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid: %ld", &pid) == 1)
			break;
	if (f)
		fclose(f);
	return pid > 0 ? pid : 0;
}

static void write_pid(struct writer *w, const char *key, const char *title, int pidfd)
{
	if (pidfd >= 0)
		write_int(w, key, title, pid_of(pidfd));
}

/* "node NAME STATE…" or "lab SERVER METRICS STATE…" into w; false at the end. */
static bool write_status(struct writer *w, const char *text, const int *fds)
{
	char a[128], b[128];
	int rest = 0;
	if (sscanf(text, "node %127s %n", a, &rest) == 1 && rest) {
		write_object(w, NULL, NULL);
		write_string(w, "name", "node", a);
		write_pid(w, "pid", "pid", fds[0]);
		write_string(w, "agent", "agent", text + rest);
		write_pid(w, "agent_pid", "agent pid", fds[1]);
		write_end(w);
	} else if (sscanf(text, "lab %127s %127s %n", a, b, &rest) == 2 && rest) {
		write_string(w, "server", "server", a);
		write_string(w, "metrics", "metrics", b);
		write_string(w, "vned", "vned", text + rest);
		write_pid(w, "vned_pid", "vned pid", fds[0]);
		write_list(w, "nodes", "nodes");
	} else {
		return false;
	}
	return true;
}

int control_status(const char *dir, bool json)
{
	struct err err = { 0 };
	char text[CONTROL_MESSAGE_MAX] = "";
	int sock, fds[2];
	if (control_connect(dir, &sock, &err))
		return complain(err.text, 3);
	struct writer *w = json ? writer_json() : writer_text(isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
	write_object(w, NULL, NULL);
	write_string(w, "directory", "directory", dir);
	ssize_t n = fds_send(sock, "status", NULL, 0);
	bool open_list = false;
	while (n >= 0 && (n = fds_receive(sock, text, fds, 2)) > 0) {
		bool more = write_status(w, text, fds);
		open_list = open_list || more;
		for (int i = 0; i < 2; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (!more)
			break;
	}
	close(sock);
	if (open_list)
		write_end(w);
	write_end(w);
	buf_auto struct buf out = BUF_INIT;
	writer_finish(w, &out);
	if (strcmp(text, "end"))
		return complain("the lab's supervisor does not answer", 3);
	fputs(buf_cstr(&out), stdout);
	return 0;
}

/* The exit code as a shell shows it. */
static int wait_code(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 70;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* In a process of its own: enters the node; the command is its child (only a child is in the new
 * pid namespace). Ends when we end. */
static _Noreturn void enter_and_run(int pidfd, const char *node, char **argv)
{
	int flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
	if (geteuid() != 0)
		flags |= CLONE_NEWUSER;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (setns(pidfd, flags)) {
		fprintf(stderr, "vnlab: entering node %s: %s\n", node, strerror(errno));
		_exit(70);
	}
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		execvp(argv[0], argv);
		int code = errno == ENOENT ? 127 : 126;
		fprintf(stderr, "vnlab: %s: %s\n", argv[0], strerror(errno));
		_exit(code);
	}
	if (pid < 0) {
		fprintf(stderr, "vnlab: fork: %s\n", strerror(errno));
		_exit(70);
	}
	_exit(wait_code(pid));
}

int control_exec(const char *dir, const char *node, char **argv)
{
	mem_auto char *question = mem_printf("exec %s", node);
	int pidfd, code = ask(dir, question, &pidfd);
	if (code)
		return code;
	/* The terminal's signals are for the command; we wait for it and pass its code on. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	pid_t pid = fork();
	if (pid == 0)
		enter_and_run(pidfd, node, argv);
	close(pidfd);
	return pid < 0 ? complain(strerror(errno), 70) : wait_code(pid);
}

static bool wait_end(int pidfd, int timeout_ms)
{
	struct pollfd p = { pidfd, POLLIN, 0 };
	int64_t deadline = clock_ms() + timeout_ms;
	for (;;) {
		int64_t left = deadline - clock_ms();
		int rc = poll(&p, 1, left > 0 ? (int)left : 0);
		if (rc > 0)
			return true;
		if (rc == 0 || errno != EINTR)
			return false;
	}
}

/* After a signal that ends it, waits for the end, so that what follows in a script is true. */
int control_kill(const char *dir, const char *name, int signo)
{
	mem_auto char *question = mem_printf("kill %d %s", signo, name);
	int pidfd, code = ask(dir, question, &pidfd);
	if (code || pidfd < 0)
		return code;
	if ((signo == SIGKILL || signo == SIGTERM) && !wait_end(pidfd, ANSWER_MS))
		code = complain("it was told to end, but has not", 3);
	close(pidfd);
	return code;
}

int control_start(const char *dir, const char *name)
{
	mem_auto char *question = mem_printf("start %s", name);
	return ask(dir, question, NULL);
}

int control_down(const char *dir)
{
	pid_t holder = lock_holder(dir);
	if (holder) {
		int pidfd = (int)syscall(SYS_pidfd_open, holder, 0);
		if (pidfd >= 0 && lock_holder(dir) == holder) { /* still the same process */
			if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0))
				return complain("this lab belongs to somebody else", 1);
			if (!wait_end(pidfd, DOWN_MS)) {
				/* Its end is the supervisor's, and so the lab's. What it leaves is cleared below. */
				syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
				wait_end(pidfd, DOWN_MS);
			}
		}
		if (pidfd >= 0)
			close(pidfd);
	}
	mem_auto char *id = mem_printf("%s/id", dir);
	bool stale = access(id, F_OK) == 0;
	if (stale) {
		struct err err = { 0 };
		int lock;
		if (lock_take(dir, &lock, &err))
			return complain(err.text, 1);
		clean_stale(dir);
		clean_files(dir);
		close(lock);
	}
	printf(holder ? "the lab is gone\n" : stale ? "removed what a lab had left behind\n" : "no lab was running\n");
	return 0;
}
