/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The watcher: the only part of a lab that lives outside of it. It makes the directory, opens
 * the sockets that the machine reaches the lab by, starts the supervisor in new namespaces,
 * waits for its end whatever the cause, and removes what the kernel does not. Until `up` has
 * said that all is well, the end of `up` is the end of the lab. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnlab/lab.h"

static int listen_local(int *ret_fd, uint16_t *ret_port, struct err *err)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&a, &len)) {
		int rc = err_sys(err, -errno, "a listening socket on 127.0.0.1");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*ret_fd = fd;
	*ret_port = ntohs(a.sin_port);
	return 0;
}

static int write_map(pid_t pid, const char *file, const char *text, struct err *err)
{
	mem_auto char *path = mem_printf("/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		int rc = err_sys(err, -errno, "%s", path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	close(fd);
	return 0;
}

static int map_ids(const struct lab *lab, pid_t pid, struct err *err)
{
	mem_auto char *uid = mem_printf("0 %u 1", (unsigned)lab->uid);
	mem_auto char *gid = mem_printf("0 %u 1", (unsigned)lab->gid);
	int rc = write_map(pid, "setgroups", "deny", err);
	if (!rc)
		rc = write_map(pid, "uid_map", uid, err);
	return rc ? rc : write_map(pid, "gid_map", gid, err);
}

static int start_supervisor(struct lab *lab, int report, pid_t *ret, struct err *err)
{
	int go[2];
	unsigned long flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
	if (lab->rootless)
		flags |= CLONE_NEWUSER;
	if (pipe2(go, O_CLOEXEC))
		return err_sys(err, -errno, "pipe");
	long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		close(go[1]);
		super_run(lab, go[0], report);
	}
	int code = errno;
	close(go[0]);
	if (pid < 0) {
		close(go[1]);
		if (lab->rootless)
			return err_sys(err, -code, "this machine does not let users make user namespaces "
			               "(see kernel.unprivileged_userns_clone, user.max_user_namespaces, AppArmor); run vnlab as root");
		return err_sys(err, -code, "namespaces of the lab");
	}
	int rc = lab->rootless ? map_ids(lab, (pid_t)pid, err) : 0;
	if (!rc && write(go[1], "+", 1) != 1)
		rc = err_sys(err, -errno, "starting the supervisor");
	close(go[1]);
	if (rc) {
		kill((pid_t)pid, SIGKILL);
		waitpid((pid_t)pid, NULL, 0);
		return rc;
	}
	*ret = (pid_t)pid;
	return 0;
}

/* A descriptor that becomes readable once the lock file is removed; -1 where there is no inotify. */
static int watch_lock(const struct lab *lab)
{
	mem_auto char *path = lab_path(lab, "lock");
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* The lock stays open here, so the file itself never goes: its count of links does. */
	if (fd >= 0 && inotify_add_watch(fd, path, IN_ATTRIB) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool lock_removed(const struct lab *lab, int inotify)
{
	char events[4096];
	mem_auto char *path = lab_path(lab, "lock");
	while (read(inotify, events, sizeof(events)) > 0)
		;
	return access(path, F_OK) != 0;
}

/* Until the supervisor has ended. A lab whose directory is removed can be reached by nobody any
 * more, and so ends. */
static void watch(const struct lab *lab, pid_t supervisor, int tie, int signals)
{
	bool tied = true, killed = false;
	int removal = watch_lock(lab);
	for (;;) {
		struct pollfd p[] = { { signals, POLLIN, 0 }, { tied ? tie : -1, POLLIN, 0 }, { removal, POLLIN, 0 } };
		struct signalfd_siginfo info;
		if (waitpid(supervisor, NULL, WNOHANG) == supervisor)
			return;
		if (poll(p, 3, killed ? 100 : -1) < 0)
			continue;
		bool stop = p[2].revents && lock_removed(lab, removal);
		while (read(signals, &info, sizeof(info)) == sizeof(info))
			if (info.ssi_signo != SIGCHLD)
				stop = true;
		if (p[1].revents) {
			char word;
			ssize_t n = recv(tie, &word, 1, MSG_DONTWAIT);
			if (n == 1)
				tied = false; /* `up` is content and leaves */
			else if (n == 0 || errno != EAGAIN)
				stop = true;
			if (stop)
				tied = false;
		}
		if (stop && !killed)
			killed = kill(supervisor, SIGKILL) == 0;
	}
}

static int prepare(struct lab *lab, struct err *err)
{
	int lock, rc = lock_take(lab->dir, &lock, err); /* kept open to the end */
	if (rc)
		return rc;
	clean_stale(lab->dir);
	rc = listen_local(&lab->listen_fd, &lab->listen_port, err);
	if (!rc)
		rc = listen_local(&lab->metrics_fd, &lab->metrics_port, err);
	return rc ? rc : lab_write_files(lab, err);
}

_Noreturn void watcher_run(struct lab *lab, int tie, int report)
{
	struct err err = { 0 };
	sigset_t set;
	pid_t supervisor = 0;

	setsid();
	prctl(PR_SET_NAME, "vnlab-watcher");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	int rc = prepare(lab, &err);
	if (rc == -EBUSY) { /* somebody else's: hands off */
		report_send(report, 'E', "1 %s", err.text);
		_exit(1);
	}
	if (!rc)
		rc = start_supervisor(lab, report, &supervisor, &err);
	if (rc) {
		report_send(report, 'E', "70 %s", err.text);
	} else {
		close(report);
		close(lab->listen_fd);
		close(lab->metrics_fd);
		watch(lab, supervisor, tie, signals);
	}
	clean_cgroups(lab->id);
	clean_files(lab->dir);
	_exit(0);
}
