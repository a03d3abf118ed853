/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The template of routers' mounts; see jail.h. The host's file system, read-only; /tmp, /run
 * and /var/tmp covered by what is empty; a /dev with the harmless devices only; /proc of a pid
 * namespace that has ended and /sys of a network namespace with nothing in it. Those two are not
 * for reading: a user namespace may mount a /proc and a /sys of its own only where it sees
 * one already, and what a router finds when it takes its own away must tell nothing. */
#include "vnagent/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ns.h"

static int home = -1, inside = -1; /* mount namespaces; they live as long as the process */

static int set_attr(const char *path, uint64_t flags, struct err *err)
{
	struct mount_attr attr = { .attr_set = flags };
	if (mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(err, -errno, "making %s read-only (needs Linux 5.12)", path);
	return 0;
}

/* ---- /dev ------------------------------------------------------------------------------- */
static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
	                               "/dev/urandom", "/dev/tty", "/dev/net/tun" };
static const char *const folders[] = { "/dev/shm", "/dev/pts", "/dev/mqueue", "/dev/net" };
static const char *const links[][2] = { { "/proc/self/fd", "/dev/fd" }, { "fd/0", "/dev/stdin" }, { "fd/1", "/dev/stdout" },
	                                { "fd/2", "/dev/stderr" }, { "pts/ptmx", "/dev/ptmx" } };

static void take_devices(int fds[ARRAY_LEN(devices)])
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		fds[i] = open_tree(AT_FDCWD, devices[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

/* A node of our own: the host's may be for its root alone, and a router needs it for no more than its own network namespace. False:
 * it cannot be made (a lab without privileges), then routers see the host's. */
static bool lay_tun(void)
{
	enum { MISC = 10, TUN = 200, MODE = 0666 };
	if (mount("tmpfs", "/dev/net", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=4k") < 0)
		return false;
	if (mknod("/dev/net/tun", S_IFCHR | MODE, makedev(MISC, TUN)) == 0 && chmod("/dev/net/tun", MODE) == 0)
		return true;
	(void)umount2("/dev/net", MNT_DETACH);
	return false;
}

static int lay_devices(const int fds[ARRAY_LEN(devices)], struct err *err)
{
	if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k") < 0)
		return err_sys(err, -errno, "/dev for routers");
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (mkdir(folders[i], 0755) < 0)
			return err_sys(err, -errno, "%s", folders[i]);
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			return err_sys(err, -errno, "%s", links[i][1]);
	bool tun = lay_tun();
	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		if (tun && !strcmp(devices[i], "/dev/net/tun"))
			continue;
		int file = fds[i] < 0 ? -1 : open(devices[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (file >= 0)
			close(file);
		if (file >= 0 && move_mount(fds[i], "", AT_FDCWD, devices[i], MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return err_sys(err, -errno, "%s", devices[i]);
	}
	return set_attr("/dev", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}

/* ---- /proc and /sys ----------------------------------------------------------------------- */
/* In a pid and a network namespace that end with this process. */
static void mount_empty(int answer)
{
	int code = 0;
	/* Where a container around us masks its own, nobody may mount one: then that stays. */
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EPERM)
		code = -errno;
	/* Not read-only, or `ip netns exec` in a router could mount none: what is in it belongs to users that a router has not. */
	if (!code && mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EPERM)
		code = -errno;
	syscall(SYS_exit_group, write(answer, &code, sizeof(code)) == sizeof(code) ? 0 : 1);
}

static int lay_empty(struct err *err)
{
	int answer[2], code = -ECHILD;
	struct clone_args args = { .flags = CLONE_NEWPID | CLONE_NEWNET, .exit_signal = SIGCHLD };
	if (pipe2(answer, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "/proc and /sys for routers");
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		mount_empty(answer[1]);
	if (pid < 0)
		code = -errno;
	close(answer[1]);
	ssize_t n = pid < 0 ? 0 : read(answer[0], &code, sizeof(code)); /* the spawner ignores SIGCHLD: nothing to reap */
	close(answer[0]);
	if (n != sizeof(code) && pid >= 0)
		code = -ECHILD;
	return code ? err_sys(err, code, "/proc and /sys for routers") : 0;
}

/* ---- the whole -------------------------------------------------------------------------------- */
static int cover(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) /* absent, or a link to what is covered */
		return 0;
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "mode=755,size=4k") < 0)
		return err_sys(err, -errno, "covering %s", path);
	return 0;
}

static int lay_all(struct err *err)
{
	static const char *const covered[] = { "/tmp", "/run", "/var/tmp", "/var/run", "/var/lock" };
	int fds[ARRAY_LEN(devices)];
	/* Private: what the host mounts later would come without the flags. */
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "mounts for routers");
	take_devices(fds);
	int code = set_attr("/", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
	if (!code)
		code = lay_devices(fds, err);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < ARRAY_LEN(covered) && !code; i++)
		code = cover(covered[i], err);
	return code ? code : lay_empty(err);
}

static int make(struct err *err)
{
	/* A home of our own first: the one we are in may belong to somebody who would not let us back. */
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "a mount namespace");
	int at_home, laid;
	int code = ns_open(0, "mnt", &at_home, err);
	if (code)
		return code;
	if (unshare(CLONE_NEWNS) < 0) {
		code = err_sys(err, -errno, "a mount namespace");
		close(at_home);
		return code;
	}
	home = at_home;
	mode_t mask = umask(0);
	code = ns_open(0, "mnt", &laid, err); /* while /proc is there */
	if (!code) {
		code = lay_all(err);
		if (code)
			close(laid);
		else
			inside = laid;
	}
	(void)umask(mask);
	if (code) {
		jail_leave();
		close(home);
		home = -1;
	}
	return code;
}

int jail_enter(struct err *err)
{
	if (inside < 0)
		return make(err);
	if (setns(inside, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "entering the mounts for routers");
	return 0;
}

void jail_leave(void)
{
	if (setns(home, CLONE_NEWNS) < 0) {
		perror("cannot return to our own mount namespace");
		abort();
	}
}
