/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See confine.h. Capabilities by the bare system calls: libcap would be one more library for forty lines. */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- capabilities ------------------------------------------------------------------------------ */
static const char *const cap_names[] = {
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
	"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
};

const char *confine_cap_name(int cap)
{
	return cap >= 0 && (size_t)cap < ARRAY_LEN(cap_names) ? cap_names[cap] : NULL;
}

static int get_caps(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	return syscall(SYS_capget, &head, data) < 0 ? -errno : 0;
}

bool confine_has_cap(int cap)
{
	struct __user_cap_data_struct data[2];
	return get_caps(data) == 0 && data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

/* Without CAP_SETPCAP they stay: then no_new_privs alone is the bound. */
static void drop_bounds(const uint32_t kept[2])
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(kept[CAP_TO_INDEX(cap)] & CAP_TO_MASK(cap)))
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int confine_caps(const struct confine_cap *keep, size_t n, struct err *err)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	uint32_t kept[2] = { 0 };
	for (size_t i = 0; i < n; i++)
		kept[CAP_TO_INDEX(keep[i].cap)] |= CAP_TO_MASK(keep[i].cap);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	drop_bounds(kept);
	int code = get_caps(data);
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= kept[i];
		data[i].effective &= kept[i];
		data[i].inheritable = 0;
	}
	if (!code && syscall(SYS_capset, &head, data) < 0)
		code = -errno;
	if (!code && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		code = -errno;
	return code ? err_sys(err, code, "giving up capabilities") : 0;
}

/* ---- system calls ------------------------------------------------------------------------------- */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* clone3 is not in it: its flags are behind a pointer, and libraries fall back to clone. openat2 and io_uring neither. */
const struct confine_call confine_ordinary[] = {
	/* files */
	{ "access", 0 }, { "faccessat", 0 }, { "faccessat2", 0 }, { "open", 0 }, { "openat", 0 }, { "creat", 0 }, { "close", 0 },
	{ "close_range", 0 }, { "read", 0 }, { "readv", 0 }, { "pread64", 0 }, { "preadv", 0 }, { "preadv2", 0 }, { "write", 0 },
	{ "writev", 0 }, { "pwrite64", 0 }, { "pwritev", 0 }, { "pwritev2", 0 }, { "lseek", 0 }, { "stat", 0 }, { "fstat", 0 },
	{ "lstat", 0 }, { "newfstatat", 0 }, { "statx", 0 }, { "statfs", 0 }, { "fstatfs", 0 }, { "getdents", 0 },
	{ "getdents64", 0 }, { "getcwd", 0 }, { "chdir", 0 }, { "fchdir", 0 }, { "rename", 0 }, { "renameat", 0 },
	{ "renameat2", 0 }, { "mkdir", 0 }, { "mkdirat", 0 }, { "rmdir", 0 }, { "link", 0 }, { "linkat", 0 }, { "unlink", 0 },
	{ "unlinkat", 0 }, { "symlink", 0 }, { "symlinkat", 0 }, { "readlink", 0 }, { "readlinkat", 0 }, { "chmod", 0 },
	{ "fchmod", 0 }, { "fchmodat", 0 }, { "chown", 0 }, { "fchown", 0 }, { "lchown", 0 }, { "fchownat", 0 }, { "umask", 0 },
	{ "utimensat", 0 }, { "utime", 0 }, { "utimes", 0 }, { "futimesat", 0 }, { "fsync", 0 }, { "fdatasync", 0 },
	{ "sync_file_range", 0 }, { "fallocate", 0 }, { "ftruncate", 0 }, { "truncate", 0 }, { "flock", 0 }, { "fcntl", 0 },
	{ "fadvise64", 0 }, { "readahead", 0 }, { "ioctl", 0 }, { "dup", 0 }, { "dup2", 0 }, { "dup3", 0 }, { "pipe", 0 },
	{ "pipe2", 0 }, { "sendfile", 0 }, { "splice", 0 }, { "tee", 0 }, { "copy_file_range", 0 }, { "memfd_create", 0 },
	{ "getxattr", 0 }, { "lgetxattr", 0 }, { "fgetxattr", 0 }, { "listxattr", 0 }, { "inotify_init1", 0 },
	{ "inotify_add_watch", 0 }, { "inotify_rm_watch", 0 },
	/* waiting */
	{ "poll", 0 }, { "ppoll", 0 }, { "select", 0 }, { "pselect6", 0 }, { "epoll_create", 0 }, { "epoll_create1", 0 },
	{ "epoll_ctl", 0 }, { "epoll_wait", 0 }, { "epoll_pwait", 0 }, { "epoll_pwait2", 0 }, { "eventfd", 0 }, { "eventfd2", 0 },
	{ "timerfd_create", 0 }, { "timerfd_settime", 0 }, { "timerfd_gettime", 0 }, { "signalfd", 0 }, { "signalfd4", 0 },
	/* memory */
	{ "brk", 0 }, { "mmap", 0 }, { "munmap", 0 }, { "mprotect", 0 }, { "mremap", 0 }, { "madvise", 0 }, { "msync", 0 },
	{ "mincore", 0 }, { "mlock", 0 }, { "mlock2", 0 }, { "munlock", 0 }, { "membarrier", 0 }, { "get_mempolicy", 0 },
	{ "set_mempolicy", 0 }, { "mbind", 0 },
	/* signals, time */
	{ "rt_sigaction", 0 }, { "rt_sigprocmask", 0 }, { "rt_sigreturn", 0 }, { "rt_sigsuspend", 0 }, { "rt_sigpending", 0 },
	{ "rt_sigtimedwait", 0 }, { "rt_sigqueueinfo", 0 }, { "rt_tgsigqueueinfo", 0 }, { "sigaltstack", 0 }, { "kill", 0 },
	{ "tkill", 0 }, { "tgkill", 0 }, { "pause", 0 }, { "alarm", 0 }, { "getitimer", 0 }, { "setitimer", 0 },
	{ "timer_create", 0 }, { "timer_settime", 0 }, { "timer_gettime", 0 }, { "timer_getoverrun", 0 }, { "timer_delete", 0 },
	{ "nanosleep", 0 }, { "clock_nanosleep", 0 }, { "clock_gettime", 0 }, { "clock_getres", 0 }, { "gettimeofday", 0 },
	{ "time", 0 }, { "times", 0 }, { "restart_syscall", 0 },
	/* threads, children, ourselves */
	{ "clone", NAMESPACES }, { "fork", 0 }, { "vfork", 0 }, { "execve", 0 }, { "execveat", 0 }, { "exit", 0 },
	{ "exit_group", 0 }, { "wait4", 0 }, { "waitid", 0 }, { "pidfd_open", 0 }, { "pidfd_send_signal", 0 }, { "futex", 0 },
	{ "futex_waitv", 0 }, { "set_robust_list", 0 }, { "get_robust_list", 0 }, { "set_tid_address", 0 }, { "rseq", 0 },
	{ "sched_yield", 0 }, { "sched_getaffinity", 0 }, { "sched_setaffinity", 0 }, { "sched_getparam", 0 },
	{ "sched_setparam", 0 }, { "sched_getscheduler", 0 }, { "sched_setscheduler", 0 }, { "sched_get_priority_max", 0 },
	{ "sched_get_priority_min", 0 }, { "getcpu", 0 }, { "getpriority", 0 }, { "setpriority", 0 }, { "getpid", 0 },
	{ "getppid", 0 }, { "gettid", 0 }, { "getuid", 0 }, { "geteuid", 0 }, { "getgid", 0 }, { "getegid", 0 },
	{ "getresuid", 0 }, { "getresgid", 0 }, { "getgroups", 0 }, { "getpgid", 0 }, { "getpgrp", 0 }, { "getsid", 0 },
	{ "setpgid", 0 }, { "setsid", 0 }, { "getrusage", 0 }, { "getrlimit", 0 }, { "setrlimit", 0 }, { "prlimit64", 0 },
	{ "prctl", 0 }, { "arch_prctl", 0 }, { "uname", 0 }, { "sysinfo", 0 }, { "getrandom", 0 }, { "capget", 0 },
	{ "capset", 0 }, { "seccomp", 0 }, { "landlock_create_ruleset", 0 }, { "landlock_add_rule", 0 },
	{ "landlock_restrict_self", 0 },
	/* what is open already, and pairs */
	{ "socketpair", 0 }, { "shutdown", 0 }, { "getsockname", 0 }, { "getpeername", 0 }, { "getsockopt", 0 },
	{ "setsockopt", 0 }, { "sendto", 0 }, { "recvfrom", 0 }, { "sendmsg", 0 }, { "recvmsg", 0 }, { "sendmmsg", 0 },
	{ "recvmmsg", 0 },
#ifdef __SANITIZE_ADDRESS__
	{ "ptrace", 0 }, { "personality", 0 }, /* LeakSanitizer stops its own threads */
#endif
	{ 0 }
};

const struct confine_call confine_network[] = { { "socket", 0 }, { "bind", 0 },    { "connect", 0 },
	                                        { "listen", 0 }, { "accept", 0 }, { "accept4", 0 }, { 0 } };
static const int network_families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static int put_rule(scmp_filter_ctx filter, uint32_t action, const struct confine_call *c)
{
	int number = seccomp_syscall_resolve_name(c->name);
	if (number < 0) /* not of this architecture, or libseccomp is older than it */
		return 0;
	if (!c->mask)
		return seccomp_rule_add(filter, action, number, 0);
	return seccomp_rule_add(filter, action, number, 1, SCMP_A0_64(SCMP_CMP_MASKED_EQ, c->mask, 0));
}

/* A condition on the first argument; libseccomp's own macro leaves a field out that clang misses. */
static struct scmp_arg_cmp family_is(enum scmp_compare how, uint32_t family)
{
	return (struct scmp_arg_cmp){ .arg = 0, .op = how, .datum_a = family, .datum_b = 0 };
}

static int load(scmp_filter_ctx filter, int code, struct err *err)
{
	/* Where audit runs, it says who was refused what. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)); /* 32-bit programs */
	if (!code)
		code = seccomp_load(filter);
	seccomp_release(filter);
	return code ? err_sys(err, code, "the filter of system calls (does this kernel have seccomp?)") : 0;
}

int confine_calls_only(const struct confine_call *const *lists, size_t n, struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int code = filter ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && !code; i++)
		for (const struct confine_call *c = lists[i]; c->name && !code; c++) {
			bool socket = !strcmp(c->name, "socket");
			for (size_t k = 0; socket && k < ARRAY_LEN(network_families) && !code; k++)
				code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				                        family_is(SCMP_CMP_EQ, (uint32_t)network_families[k]));
			if (!socket && !code)
				code = put_rule(filter, SCMP_ACT_ALLOW, c);
		}
	return load(filter, code, err);
}

int confine_calls_never(const struct confine_call *list, const int *families, size_t n_families, struct err *err)
{
	enum { FAMILIES = 64 }; /* beyond all that exist */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int code = filter ? 0 : -ENOMEM;
	for (const struct confine_call *c = list; c->name && !code; c++)
		code = put_rule(filter, SCMP_ACT_ERRNO(EPERM), c);
	for (int family = 0; n_families && family < FAMILIES && !code; family++) {
		bool allowed = false;
		for (size_t k = 0; k < n_families; k++)
			allowed |= families[k] == family;
		if (!allowed)
			code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
			                        family_is(SCMP_CMP_EQ, (uint32_t)family));
	}
	if (n_families && !code)
		code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, family_is(SCMP_CMP_GE, FAMILIES));
	return load(filter, code, err);
}

/* ---- files -------------------------------------------------------------------------------------- */
#define READ_RIGHTS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE)
/* In order of the ABI that brought them; headers may be older than the kernel. */
#define RIGHTS_1 ((1ULL << 13) - 1)
#define RIGHT_REFER (1ULL << 13)
#define RIGHT_TRUNCATE (1ULL << 14)
#define SCOPE_SIGNAL (1ULL << 1)

static int allow_path(int ruleset, const struct confine_path *p, uint64_t all)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = p->write ? all : READ_RIGHTS };
	struct stat st;
	rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILE_RIGHTS;
	int code = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
	close(rule.parent_fd);
	return code;
}

int confine_files(const struct confine_path *paths, size_t n, struct err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return err_set(err, -EOPNOTSUPP, "this kernel has no Landlock (5.13 and later do, where it is among their LSMs)");
	/* As linux/landlock.h has it, where that is new enough: `scoped` came with the sixth ABI. */
	struct { uint64_t fs, net, scoped; } attr = {
		.fs = RIGHTS_1 | (abi >= 2 ? RIGHT_REFER : 0) | (abi >= 3 ? RIGHT_TRUNCATE : 0), .scoped = abi >= 6 ? SCOPE_SIGNAL : 0
	};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, abi >= 6 ? sizeof(attr) : sizeof(attr.fs), 0);
	int code = ruleset < 0 ? -errno : 0;
	for (size_t i = 0; i < n && !code; i++)
		code = allow_path(ruleset, &paths[i], attr.fs);
	if (!code && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0))
		code = -errno;
	if (ruleset >= 0)
		close(ruleset);
	return code ? err_sys(err, code, "giving up files") : 0;
}

/* ---- user ---------------------------------------------------------------------------------------- */
int confine_user(const char *name, struct err *err)
{
	errno = 0;
	const struct passwd *user = getpwnam(name);
	if (!user)
		return err_set(err, -ENOENT, "there is no user %s; make it (systemd-sysusers, or adduser --system --group %s)", name, name);
	if (geteuid() == user->pw_uid)
		return 0;
	drop_bounds((uint32_t[2]){ 0 }); /* while we may */
	if (initgroups(name, user->pw_gid) < 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return err_sys(err, -errno, "becoming user %s", name);
#ifdef __SANITIZE_ADDRESS__
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* LeakSanitizer looks into us */
#endif
	return 0;
}
