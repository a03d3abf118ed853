/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A substrate node: namespaces of its own for processes, devices, mounts and the host's name, held
 * by an init that does nothing but reap. To what runs inside it looks like a machine: its
 * /proc shows its own processes only, /run is empty, /sys shows its own devices. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnlab/lab.h"

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* a kernel without it */
	ssize_t ignored = write(fd, value, strlen(value));
	(void)ignored;
	close(fd);
}

/* mkdir -p below a fresh tmpfs. */
static int make_dirs(const char *path)
{
	mem_auto char *copy = mem_str(path);
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(copy, 0700) && errno != EEXIST ? -errno : 0;
}

/* A /run of its own, in which only the lab's own directory shines through. */
static int mount_run(const struct lab *lab, struct err *err)
{
	char through[64];
	mem_auto char *real = realpath(lab->dir, NULL);
	bool inside = real && !strncmp(real, "/run/", 5);
	int fd = open(lab->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "%s", lab->dir);
	int rc = 0;
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m"))
		rc = err_sys(err, -errno, "tmpfs on /run");
	if (!rc && inside) {
		snprintf(through, sizeof(through), "/proc/self/fd/%d", fd);
		rc = make_dirs(real);
		if (rc)
			rc = err_sys(err, rc, "%s in the node's /run", lab->dir);
		else if (mount(through, real, NULL, MS_BIND, NULL))
			rc = err_sys(err, -errno, "%s in the node's /run", lab->dir);
	}
	close(fd);
	return rc;
}

/* sysfs shows the devices of the namespace that it was mounted in. A kernel may refuse it inside a
 * user namespace; then /sys stays the old one, which only somebody who looks there notices. */
static void mount_sys(void)
{
	char through[64];
	int fd = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) && fd >= 0) {
		snprintf(through, sizeof(through), "/proc/self/fd/%d", fd);
		if (mount(through, "/sys/fs/cgroup", NULL, MS_BIND | MS_REC, NULL))
			umount2("/sys", MNT_DETACH); /* cgroups matter more */
	}
	if (fd >= 0)
		close(fd);
}

static int node_setup(const struct lab *lab, size_t node, struct err *err)
{
	const struct snode *n = &lab->s.nodes[node];
	if (sethostname(n->name, strlen(n->name)))
		return err_sys(err, -errno, "host name");
	int rc = mount_run(lab, err);
	if (rc)
		return rc;
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return err_sys(err, -errno, "/proc");
	mount_sys();
	/* The underlay is IPv4; no neighbour discovery shall mix into what is counted. */
	write_sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	write_sysctl("/proc/sys/net/ipv4/ip_forward", n->agent ? "0" : "1");
	return 0;
}

static _Noreturn void node_init(const struct lab *lab, size_t node, int ready)
{
	struct err err = { 0 };
	char name[16];
	sigset_t all;
	snprintf(name, sizeof(name), "node:%s", lab->s.nodes[node].name);
	prctl(PR_SET_NAME, name);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (node_setup(lab, node, &err)) {
		ssize_t ignored = write(ready, err.text, strlen(err.text));
		(void)ignored;
		_exit(70);
	}
	if (write(ready, "+", 1) != 1)
		_exit(70);
	close_range(0, ~0u, 0);
	for (;;) {
		siginfo_t info;
		if (sigwaitinfo(&all, &info) == SIGCHLD)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
	}
}

int node_spawn(const struct lab *lab, size_t node, pid_t *ret, int *ret_ready, struct err *err)
{
	int ready[2];
	if (pipe2(ready, O_CLOEXEC))
		return err_sys(err, -errno, "pipe");
	long pid = syscall(SYS_clone, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD,
	                   NULL, NULL, NULL, NULL);
	if (pid == 0)
		node_init(lab, node, ready[1]);
	int code = errno;
	close(ready[1]);
	if (pid < 0) {
		close(ready[0]);
		return err_sys(err, -code, "namespaces of node %s", lab->s.nodes[node].name);
	}
	*ret = (pid_t)pid;
	*ret_ready = ready[0];
	return 0;
}
