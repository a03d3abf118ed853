/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting a daemon where it belongs. One that lives in a node's namespaces is made by a helper
 * which enters them first (a process cannot change its own pid namespace), with the supervisor
 * as its parent (CLONE_PARENT), so that its end is reported like any other. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnlab/process.h"

extern char **environ;

/* Settings of the user's own vnctl and vned are not meant for the lab's daemons. */
static void clean_environment(const struct lab *lab)
{
	for (size_t i = 0; environ[i];) {
		if (!strncmp(environ[i], "VNE_", 4) && strncmp(environ[i], "VNE_FAKE_", 9)) {
			mem_auto char *name = mem_strn(environ[i], strcspn(environ[i], "="));
			unsetenv(name);
		} else {
			i++;
		}
	}
	mem_auto char *notify = lab_path(lab, "notify");
	setenv("NOTIFY_SOCKET", notify, 1);
}

static _Noreturn void run(const struct lab *lab, const struct process *p)
{
	mem_auto char *path = lab_path(lab, "log/%s.log", p->name);
	sigset_t none;
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* Out of the way of 3 and 4 first. */
	int listening = fcntl(lab->listen_fd, F_DUPFD, 10), metrics = fcntl(lab->metrics_fd, F_DUPFD, 10);
	int log_high = fcntl(log, F_DUPFD, 10), null_high = fcntl(null, F_DUPFD, 10);
	if (log_high < 0 || null_high < 0 || dup2(null_high, 0) < 0 || dup2(log_high, 1) < 0 || dup2(log_high, 2) < 0)
		_exit(70);
	if (p->sockets && (dup2(listening, 3) < 0 || dup2(metrics, 4) < 0))
		_exit(70);
	close_range(p->sockets ? 5 : 3, ~0u, 0);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	clean_environment(lab);
	execl(p->program, p->program, "--config", p->config, (char *)NULL);
	fprintf(stderr, "%s: %s\n", p->program, strerror(errno));
	_exit(70);
}

/* The helper's part: enter, make the daemon a child of our parent, tell its pid. */
static _Noreturn void enter_and_run(const struct lab *lab, const struct process *p, int tell)
{
	struct { long pid; int code; } answer = { 0 };
	if (setns(p->node_pidfd, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)) {
		answer.code = errno;
	} else {
		answer.pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
		if (answer.pid == 0)
			run(lab, p);
		if (answer.pid < 0)
			answer.code = errno;
	}
	_exit(write(tell, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 70);
}

static int spawn_in_node(const struct lab *lab, const struct process *p, pid_t *ret, struct err *err)
{
	struct { long pid; int code; } answer = { 0, EPIPE };
	int tell[2];
	if (pipe2(tell, O_CLOEXEC))
		return err_sys(err, -errno, "pipe");
	pid_t helper = fork();
	if (helper == 0)
		enter_and_run(lab, p, tell[1]);
	int code = errno;
	close(tell[1]);
	if (helper < 0) {
		close(tell[0]);
		return err_sys(err, -code, "fork");
	}
	if (read(tell[0], &answer, sizeof(answer)) != sizeof(answer))
		answer.code = answer.code ? answer.code : EPIPE;
	close(tell[0]);
	waitpid(helper, NULL, 0);
	if (answer.code)
		return err_sys(err, -answer.code, "entering node %s", p->name);
	*ret = (pid_t)answer.pid;
	return 0;
}

int process_start(const struct lab *lab, struct process *p, struct err *err)
{
	pid_t pid = 0;
	if (p->node_pidfd >= 0) {
		int rc = spawn_in_node(lab, p, &pid, err);
		if (rc)
			return rc;
	} else {
		pid = fork();
		if (pid == 0)
			run(lab, p);
		if (pid < 0)
			return err_sys(err, -errno, "fork");
	}
	p->pid = pid;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd >= 0)
		fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
	p->state = PROCESS_STARTING;
	return 0;
}

void process_ended(struct process *p, int status)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
	p->pid = 0;
	p->status = status;
	p->state = PROCESS_ENDED;
}

bool process_runs(const struct process *p)
{
	return p->state == PROCESS_STARTING || p->state == PROCESS_READY;
}

const char *process_text(const struct process *p, char text[static 96])
{
	static const char *const names[] = { "off", "starting", "ready" };
	if (p->state != PROCESS_ENDED)
		snprintf(text, 96, "%s", names[p->state]);
	else if (WIFSIGNALED(p->status))
		snprintf(text, 96, "ended: signal %d (%s)", WTERMSIG(p->status), strsignal(WTERMSIG(p->status)));
	else
		snprintf(text, 96, "ended: exit code %d", WEXITSTATUS(p->status));
	return text;
}

void process_last_words(const struct lab *lab, const struct process *p, char text[static 256])
{
	mem_auto char *path = lab_path(lab, "log/%s.log", p->name);
	char tail[2048];
	text[0] = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, tail, sizeof(tail) - 1, size > (off_t)sizeof(tail) - 1 ? size - (off_t)sizeof(tail) + 1 : 0);
	close(fd);
	while (n > 0 && tail[n - 1] == '\n')
		n--;
	if (n <= 0)
		return;
	tail[n] = 0;
	const char *line = strrchr(tail, '\n');
	snprintf(text, 256, "%.255s", line ? line + 1 : tail);
}
