/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A holder: one process, pid 1 of a router's pid namespace, that keeps the router's user,
 * network, mount, pid, UTS and IPC namespaces alive and reaps what is orphaned in it.
 *
 * It is a copy of the spawner that executes nothing, which is what makes it fast to make and
 * hard to forge: its memory belongs to the user namespace outside, and it is not dumpable, so
 * no tenant can trace it and write another title into it; and it is pid 1, so nothing inside
 * can kill it. What it sees of the file system is the host's, read-only (jail.c), as somebody who
 * owns nothing there, with /proc, /sys, /run, /tmp and /dev/shm of its own. */
#include "vnagent/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ns.h"
#include "vnagent/cgroup.h"
#include "vnagent/confine.h"
#include "vnagent/jail.h"

/* The ids of a router's users outside: a range that systemd-nspawn and containers leave alone,
 * above 2^31 minus what they use, the same for all routers: what separates those is the pid,
 * mount, IPC and network namespace, and they share no writable file. */
enum { OUTSIDE_IDS = 1879048192, IDS = 65536, READY_TIMEOUT_MS = 10000 };

/* Who owns a router's user namespace outside: users whom nobody is, one for each router as far as numbers go. What a router uses of what the
 * kernel counts for each user (namespaces, inotify instances, processes …) is charged to them; to root it would be everybody's. */
enum { OWNERS = OUTSIDE_IDS + IDS, OWNERS_N = 0x0ff00000 };

extern char **environ;

void title_find(int argc, char **argv, struct title *ret)
{
	char *end = argv[0];
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	for (char **e = environ; *e && *e == end; e++)
		end += strlen(*e) + 1;
	*ret = (struct title){ argv[0], (size_t)(end - argv[0]) };
}

/* ---- inside --------------------------------------------------------------------------- */
static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, strlen(text));
	int code = n < 0 ? -errno : 0;
	close(fd);
	return code;
}

/* What is the router's own, on top of what jail.c has laid and the kernel has locked; if its root takes
 * it away again, it finds what is empty. What a container around us forbids (a new /proc where the old one
 * is masked) is left as it was. */
static int lay_mounts(struct err *err)
{
	static const char *const scratch[] = { "/run", "/tmp", "/dev/shm" };
	for (size_t i = 0; i < sizeof(scratch) / sizeof(scratch[0]); i++)
		if (mount("tmpfs", scratch[i], "tmpfs", MS_NOSUID | MS_NODEV, i ? "mode=1777,size=16m" : "mode=755,size=16m") < 0 &&
		    errno != ENOENT)
			return err_sys(err, -errno, "%s of its own", scratch[i]);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EPERM)
		return err_sys(err, -errno, "/proc of its own");
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) < 0 && errno != EPERM)
		return err_sys(err, -errno, "/sys of its own");
	/* Terminals: a convenience. */
	(void)!mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
	return 0;
}

/* A router forwards, answers from any of its addresses, and needs no duplicate detection:
 * the plan has unique addresses. Families that the kernel lacks are passed over. */
static int set_router_sysctls(struct err *err)
{
	static const struct {
		const char *path, *value;
		int required;
	} sysctls[] = {
		{ "/proc/sys/net/ipv4/ip_forward", "1", 1 },
		{ "/proc/sys/net/ipv4/conf/all/rp_filter", "0", 0 },
		{ "/proc/sys/net/ipv4/conf/default/rp_filter", "0", 0 },
		{ "/proc/sys/net/ipv4/conf/all/send_redirects", "0", 0 },
		{ "/proc/sys/net/ipv4/conf/default/send_redirects", "0", 0 },
		{ "/proc/sys/net/ipv4/ping_group_range", "0 65535", 0 },
		{ "/proc/sys/net/ipv6/conf/default/accept_dad", "0", 0 },
		{ "/proc/sys/net/ipv6/conf/default/router_solicitations", "0", 0 },
		{ "/proc/sys/net/ipv6/conf/all/forwarding", "1", 0 },
	};
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		int code = write_file(sysctls[i].path, sysctls[i].value);
		if (code && sysctls[i].required)
			return err_sys(err, code, "%s", sysctls[i].path);
	}
	return 0;
}

static int become_root_inside(struct err *err)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, -errno, "becoming root of the router");
	(void)!setgroups(0, NULL); /* forbidden where groups may not be dropped (rootless) */
	return 0;
}

struct ready {
	int32_t code;
	char text[SPAWN_TEXT_MAX];
};

static void hold(const struct spawn_router *r, const struct title *title, int sock)
{
	struct err err = { 0 };
	struct ready ready = { 0 };
	char go;
	if (sock != 3 && dup2(sock, 3) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, 4, ~0U, 0);
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	if (null > 3)
		close(null);
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, signo == SIGCHLD ? SIG_IGN : SIG_DFL); /* ignored: children are reaped by the kernel */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (read(3, &go, 1) != 1) /* the maps are written */
		_exit(1);
	char comm[16];
	snprintf(comm, sizeof(comm), "vr%x.%x", r->net, r->router);
	prctl(PR_SET_NAME, comm);
	memset(title->at, 0, title->room);
	snprintf(title->at, title->room, "vne-router %u %u %s in %llu", r->net, r->router, r->name,
	         (unsigned long long)r->home_net);
	int code = become_root_inside(&err);
	if (!code && sethostname(r->name, strlen(r->name)) < 0)
		code = err_sys(&err, -errno, "host name");
	if (!code)
		code = lay_mounts(&err);
	if (!code)
		code = set_router_sysctls(&err);
	if (!code && (chdir("/") < 0 || prctl(PR_SET_DUMPABLE, 0) < 0))
		code = err_sys(&err, -errno, "settling");
	router_confine_limits();
	ready.code = code;
	snprintf(ready.text, sizeof(ready.text), "%.*s", SPAWN_TEXT_MAX - 1, code ? err.text : "");
	if (write(3, &ready, sizeof(ready)) != sizeof(ready) || code)
		_exit(1);
	close(3);
	for (;;)
		pause();
}

/* ---- outside -------------------------------------------------------------------------- */
static uid_t owner_of(const struct spawn_router *r)
{
	uint64_t key = (r->home_net << 40) ^ ((uint64_t)r->net << 16) ^ r->router;
	return OWNERS + (uid_t)((key * 0x9e3779b97f4a7c15u >> 32) % OWNERS_N);
}

/* clone3 as that user, with all capabilities. The limit of processes that we have at this moment is the one of all users in the new
 * namespace together (the kernel takes none over from root). */
static pid_t clone_owned(const struct spawn_router *r, struct clone_args *args)
{
	struct rlimit was, limit;
	uid_t owner = owner_of(r);
	bool limited = getrlimit(RLIMIT_NPROC, &was) == 0;
	bool keeps = prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0;
	bool owned = keeps && setresuid(owner, owner, 0) == 0;
	limit = (struct rlimit){ ROUTER_PROCESSES_MAX, was.rlim_max };
	if (owned && limited && (was.rlim_max == RLIM_INFINITY || was.rlim_max >= ROUTER_PROCESSES_MAX))
		(void)setrlimit(RLIMIT_NPROC, &limit);
	pid_t pid = (pid_t)syscall(SYS_clone3, args, sizeof(*args));
	int code = errno;
	if (pid == 0)
		return 0;
	/* Not in a user namespace that has no such user (a lab without root): then it is ours. */
	if ((owned && setresuid(0, 0, 0) < 0) || (keeps && prctl(PR_SET_SECUREBITS, 0) < 0)) {
		perror("cannot become root again");
		abort();
	}
	if (limited)
		(void)setrlimit(RLIMIT_NPROC, &was);
	(void)prctl(PR_SET_DUMPABLE, 1);
	errno = code;
	return pid;
}

static int write_maps(pid_t pid, struct err *err)
{
	char path[64], map[64];
	bool root = geteuid() == 0;
	unsigned outside = OUTSIDE_IDS, n = IDS;
	for (int attempt = 0;; attempt++) {
		int code;
		snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
		snprintf(map, sizeof(map), "0 %u %u\n", outside, n);
		code = write_file(path, map);
		if (code && root && attempt == 0) {
			/* Root of a user namespace that was not given these ids: only itself to give. */
			outside = 0;
			n = 1;
			continue;
		}
		if (code)
			return err_sys(err, code, "%s", path);
		snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
		if (n == 1)
			(void)write_file(path, "deny");
		snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
		code = write_file(path, map);
		return code ? err_sys(err, code, "%s", path) : 0;
	}
}

static int await_ready(int sock, struct err *err)
{
	struct ready ready = { 0 };
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int n = poll(&p, 1, READY_TIMEOUT_MS);
	if (n == 0)
		return err_set(err, -ETIMEDOUT, "the router's holder was not ready within %d s", READY_TIMEOUT_MS / 1000);
	if (n < 0 || read(sock, &ready, sizeof(ready)) != sizeof(ready))
		return err_set(err, -ECHILD, "the router's holder ended before it was ready");
	ready.text[SPAWN_TEXT_MAX - 1] = 0;
	return ready.code ? err_set(err, ready.code, "%s", ready.text) : 0;
}

int holder_make(const struct spawn_router *r, const struct title *title, struct spawn_answer *ret)
{
	struct err err = { 0 };
	int pair[2], pidfd = -1, code;
	*ret = (struct spawn_answer){ .net = r->net, .router = r->router, .pidfd = -1, .netns_fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ret->code = -errno;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	code = jail_enter(&err);
	pid_t pid = code ? -1 : clone_owned(r, &args);
	if (pid == 0)
		hold(r, title, pair[1]);
	if (!code) {
		code = pid < 0 ? err_sys(&err, -errno, "namespaces for a router") : 0;
		jail_leave();
	}
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		goto out;
	}
	close(pair[1]);
	code = write_maps(pid, &err);
	if (!code && r->cgroup[0])
		cgroup_enter(r->cgroup, r->net, r->router, pid); /* without it, it runs unlimited and the report says so */
	/* Before it makes itself opaque: a rootless spawner could not open it afterwards. */
	if (!code)
		code = ns_open(pid, "net", &ret->netns_fd, &err);
	if (!code && write(pair[0], "g", 1) != 1)
		code = err_sys(&err, -errno, "the router's holder");
	if (!code)
		code = await_ready(pair[0], &err);
	close(pair[0]);
	if (code) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		close(pidfd);
		if (ret->netns_fd >= 0)
			close(ret->netns_fd);
		ret->netns_fd = -1;
		goto out;
	}
	ret->pid = pid;
	ret->pidfd = pidfd;
out:
	ret->code = code;
	snprintf(ret->text, sizeof(ret->text), "%.*s", SPAWN_TEXT_MAX - 1, code ? err.text : "");
	return code;
}
