/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading /proc; see proc.h. */
#include "vnagent/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES_MAX = 4096 }; /* a router's that are counted */

void proc_node_usage(struct node_usage *ret)
{
	char line[256];
	*ret = (struct node_usage){ 0 };
	FILE *f = fopen("/proc/stat", "re");
	while (f && fgets(line, sizeof(line), f) && !strncmp(line, "cpu", 3)) {
		unsigned long long v[8] = { 0 };
		if (line[3] != ' ') {
			ret->cores++;
			continue;
		}
		if (sscanf(line + 4, "%llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		           &v[6], &v[7]) < 4)
			break;
		for (int i = 0; i < 8; i++)
			ret->total += v[i];
		ret->busy = ret->total - v[3] - v[4]; /* idle, iowait */
	}
	if (f)
		fclose(f);
	long long total = 0, available = 0;
	f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		(void)sscanf(line, "MemTotal: %lld", &total);
		if (sscanf(line, "MemAvailable: %lld", &available) == 1)
			break;
	}
	if (f)
		fclose(f);
	ret->mem_total_kib = total;
	ret->mem_used_kib = total - available;
}

/* pid (comm) state …: fields behind the last ')', utime and stime are the 12th and 13th there, rss the 22nd. */
static bool read_stat(int dir, const char *pid, uint64_t *ticks, int64_t *pages)
{
	char path[300], text[1024];
	snprintf(path, sizeof(path), "%s/stat", pid);
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	char *at = strrchr(text, ')');
	unsigned long long user, system;
	long long rss;
	if (!at || sscanf(at + 1,
	                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %lld",
	                  &user, &system, &rss) != 3)
		return false;
	*ticks += user + system;
	*pages += rss;
	return true;
}

void proc_router_load(pid_t holder, uint64_t *ret_cpu_us, int64_t *ret_mem_kib)
{
	char path[64];
	uint64_t ticks = 0;
	int64_t pages = 0;
	int n = 0;
	snprintf(path, sizeof(path), "/proc/%d/root/proc", (int)holder);
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *e; n < PROCESSES_MAX && (e = readdir(dir));)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			n += read_stat(dirfd(dir), e->d_name, &ticks, &pages);
	closedir(dir);
	*ret_cpu_us = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	*ret_mem_kib = pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int proc_try_namespaces(struct err *err)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC,
		.exit_signal = SIGCHLD,
	};
	/* The child does nothing but end, so threads of ours cannot hurt it. */
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	if (pid < 0)
		return err_sys(err, -errno, "user, network, mount, pid, UTS and IPC namespaces");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}
