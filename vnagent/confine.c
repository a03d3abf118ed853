/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See confine.h. The tables are the documentation: vnagent --check prints the first, vnagent(8) has both.
 *
 * The agent's system calls are a list of what is refused, not of what is allowed, other than vned's: what it starts is Xen's
 * toolstack with its scripts, and whatever tenants run in routers. A list of what all of that may call would be the whole kernel. */
#include "vnagent/confine.h"

#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

const struct confine_cap agent_caps[] = {
	{ CAP_NET_ADMIN, "devices, addresses, limits, redirects, the table inet vne" },
	{ CAP_NET_RAW, "frames that find out whether links are alive, announcements at uplinks" },
	{ CAP_SYS_ADMIN, "routers' namespaces: making, entering, their mounts; control groups" },
	{ CAP_SYS_CHROOT, "entering the mount namespace of a router" },
	{ CAP_SETUID, "the map of users of a router, becoming root inside of it" },
	{ CAP_SETGID, "the same for groups" },
	{ CAP_SETPCAP, "giving up the rest, here and in what it starts" },
	{ CAP_SYS_PTRACE, "finding routers again after a restart: their namespaces are nobody else's to see" },
	{ CAP_KILL, "ending routers, whose processes belong to other users" },
	{ CAP_DAC_OVERRIDE, "files of control groups and of processes in /proc that belong to others" },
	{ CAP_MKNOD, "the one device node of routers that is not the host's: /dev/net/tun" },
	{ CAP_BPF, "planes, the guard against trains of tiny frames, tags at uplinks" },
	{ CAP_PERFMON, "the same: programs with pointers into packets" },
	{ CAP_SYS_RESOURCE, "memory of BPF maps on kernels before 5.11; limits of routers" },
	{ CAP_IPC_LOCK, "vnagent-watch is not paged out" },
	{ CAP_SYS_NICE, "vnagent-watch gets a processor before others" },
};
const size_t agent_caps_n = ARRAY_LEN(agent_caps);

/* Only where Xen is: what its library, its hotplug scripts and QEMU use as root. */
static const struct confine_cap toolstack_caps[] = {
	{ CAP_CHOWN, "" }, { CAP_FOWNER, "" }, { CAP_FSETID, "" }, { CAP_DAC_READ_SEARCH, "" }, { CAP_SYS_RAWIO, "" },
	{ CAP_IPC_OWNER, "" }, { CAP_NET_BROADCAST, "" }, { CAP_SYS_TTY_CONFIG, "" }, { CAP_SYS_MODULE, "" },
};

/* In a user namespace that has not all users (a lab without root) routers' root is its own root, and to map that takes one more. */
static bool has_all_users(void)
{
	unsigned inside, outside, n;
	FILE *f = fopen("/proc/self/uid_map", "re");
	bool all = f && fscanf(f, "%u %u %u", &inside, &outside, &n) == 3 && n == UINT32_MAX;
	if (f)
		(void)fclose(f);
	return all;
}

int agent_confine_caps(bool toolstack, struct err *err)
{
	struct confine_cap keep[ARRAY_LEN(agent_caps) + ARRAY_LEN(toolstack_caps) + 1];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(agent_caps); i++)
		keep[n++] = agent_caps[i];
	for (size_t i = 0; toolstack && i < ARRAY_LEN(toolstack_caps); i++)
		keep[n++] = toolstack_caps[i];
	if (!has_all_users())
		keep[n++] = (struct confine_cap){ CAP_SETFCAP, "" };
	return confine_caps(keep, n, err);
}

/* What neither the agent nor a router ever has a reason for. */
#define NEVER \
	/* code for the kernel, another kernel, the machine's end */ \
	{ "init_module", 0 }, { "finit_module", 0 }, { "delete_module", 0 }, { "kexec_load", 0 }, { "kexec_file_load", 0 }, { "reboot", 0 }, \
	/* the machine's clock, swap, accounting, quotas, ports, log */ \
	{ "settimeofday", 0 }, { "clock_settime", 0 }, { "clock_adjtime", 0 }, { "stime", 0 }, { "swapon", 0 }, { "swapoff", 0 }, \
	{ "acct", 0 }, { "quotactl", 0 }, { "quotactl_fd", 0 }, { "ioperm", 0 }, { "iopl", 0 }, { "syslog", 0 }, \
	{ "vhangup", 0 }, { "lookup_dcookie", 0 }, { "nfsservctl", 0 }, \
	/* keys, which no namespace of a router's separates */ \
	{ "add_key", 0 }, { "request_key", 0 }, { "keyctl", 0 }, \
	/* large and seldom needed: much of what has broken out of containers went through these */ \
	{ "io_uring_setup", 0 }, { "io_uring_enter", 0 }, { "io_uring_register", 0 }, { "userfaultfd", 0 }, { "perf_event_open", 0 }, \
	{ "fanotify_init", 0 }, { "open_by_handle_at", 0 }, { "kcmp", 0 }

int agent_confine_calls(struct err *err)
{
	static const struct confine_call never[] = {
		NEVER,
		{ "process_vm_readv", 0 },
		{ "process_vm_writev", 0 },
		{ "process_madvise", 0 },
		{ "pivot_root", 0 },
		{ "chroot", 0 },
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer stops its own threads */
		{ "ptrace", 0 },
#endif
		{ 0 }
	};
	return confine_calls_never(never, NULL, 0, err);
}

int router_confine_calls(struct err *err)
{
	/* VSOCK reaches the hypervisor past all network namespaces; ALG, XDP and the many others are kernel code that no router needs. */
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET };
	static const struct confine_call never[] = { NEVER, { "bpf", 0 }, { "name_to_handle_at", 0 }, { 0 } };
	return confine_calls_never(never, families, ARRAY_LEN(families), err);
}

void router_confine_limits(void)
{
	enum { FILES = 1024, FILES_MOST = 16384, LOCKED = 8 << 20, QUEUES = 1 << 20, SIGNALS = 4096 };
	static const struct { int what; rlim_t now, most; } limits[] = {
		{ RLIMIT_NPROC, ROUTER_PROCESSES_MAX, ROUTER_PROCESSES_MAX }, /* of a user; of all, holder.c */
		{ RLIMIT_NOFILE, FILES, FILES_MOST },
		{ RLIMIT_MEMLOCK, LOCKED, LOCKED },
		{ RLIMIT_MSGQUEUE, QUEUES, QUEUES },
		{ RLIMIT_SIGPENDING, SIGNALS, SIGNALS },
		{ RLIMIT_CORE, 1, 1 }, /* 1: not even to a program of the host that collects them (core(5)) */
		{ RLIMIT_NICE, 0, 0 },
		{ RLIMIT_RTPRIO, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit was, l = { limits[i].now, limits[i].most };
		if (getrlimit(limits[i].what, &was) < 0)
			continue;
		if (was.rlim_max < l.rlim_max)
			l.rlim_max = was.rlim_max;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
		(void)setrlimit(limits[i].what, &l);
	}
}
