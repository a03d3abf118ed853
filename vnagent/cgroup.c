/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control groups, v1 and v2; see cgroup.h. */
#include "vnagent/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "vnagent/confine.h"

enum { PERIOD_US = 100000, QUOTA_MIN_US = 1000, WEIGHT_V1 = 1024, MEMORY_DEFAULT_KIB = 256 << 10 };

enum controller { CPU, CPUACCT, MEMORY, PIDS, CONTROLLERS };
static const char *const controller_names[CONTROLLERS] = { "cpu", "cpuacct", "memory", "pids" };

/* Where each controller's hierarchy is mounted; "" where it is not. */
static struct {
	bool looked, v2;
	char root[CONTROLLERS][128];
} hierarchy;

static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t n = strlen(word);
	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || strchr(separators, at[-1])) && (!at[n] || strchr(separators, at[n])))
			return true;
	return false;
}

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

static int write_number(const char *dir, const char *file, const char *format, long long a, long long b)
{
	char path[320], text[64];
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	int n = snprintf(text, sizeof(text), format, a, b);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int code = write(fd, text, (size_t)n) < 0 ? -errno : 0;
	fault_point("cgroup");
	close(fd);
	return code;
}

/* mountinfo: id parent major:minor root MOUNT options … - TYPE source SUPER-OPTIONS */
static void look(void)
{
	char line[1024], mount[128], type[32], super[256], unified[128] = "", text[512], path[192];
	FILE *f = hierarchy.looked ? NULL : fopen("/proc/self/mountinfo", "re");
	hierarchy.looked = true;
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *rest = strstr(line, " - ");
		if (!rest || sscanf(line, "%*s %*s %*s %*s %127s", mount) != 1 ||
		    sscanf(rest, " - %31s %*s %255s", type, super) != 2)
			continue;
		if (!strcmp(type, "cgroup2"))
			snprintf(unified, sizeof(unified), "%s", mount);
		for (int c = 0; c < CONTROLLERS && !strcmp(type, "cgroup"); c++)
			if (has_word(super, controller_names[c], ","))
				snprintf(hierarchy.root[c], sizeof(hierarchy.root[c]), "%s", mount);
	}
	fclose(f);
	if (hierarchy.root[CPU][0] || !unified[0])
		return;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", unified);
	if (!read_file(path, text, sizeof(text)) || !has_word(text, "cpu", " \n"))
		return;
	hierarchy.v2 = true;
	snprintf(hierarchy.root[CPU], sizeof(hierarchy.root[CPU]), "%s", unified);
	if (has_word(text, "memory", " \n"))
		snprintf(hierarchy.root[MEMORY], sizeof(hierarchy.root[MEMORY]), "%s", unified);
	if (has_word(text, "pids", " \n"))
		snprintf(hierarchy.root[PIDS], sizeof(hierarchy.root[PIDS]), "%s", unified);
}

bool cgroup_has_cpu(void)
{
	look();
	return hierarchy.root[CPU][0];
}

bool cgroup_has_memory(void)
{
	look();
	return hierarchy.root[MEMORY][0];
}

bool cgroup_has_pids(void)
{
	look();
	return hierarchy.root[PIDS][0];
}

bool cgroup_usable(void)
{
	char path[256];
	if (!cgroup_has_cpu())
		return false;
	/* Not by our pid: agents in pid namespaces of their own (a lab's) have the same. */
	snprintf(path, sizeof(path), "%s/vne-probe-XXXXXX", hierarchy.root[CPU]);
	if (!mkdtemp(path))
		return false;
	(void)rmdir(path);
	return true;
}

/* Visits each mounted hierarchy once (two controllers may share one). */
static bool first_mount(int c)
{
	if (!hierarchy.root[c][0])
		return false;
	for (int i = 0; i < c; i++)
		if (!strcmp(hierarchy.root[i], hierarchy.root[c]))
			return false;
	return true;
}

static void group_path(char path[static 256], int c, const char *parent, uint32_t net, uint32_t router)
{
	snprintf(path, 256, "%.127s/%.63s/%x.%x", hierarchy.root[c], parent, net, router);
}

int cgroup_open(const char *parent, struct err *err)
{
	char path[256];
	look();
	if (!hierarchy.root[CPU][0])
		return err_set(err, -ENOSYS, "no cgroup hierarchy with the cpu controller is mounted");
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!first_mount(c))
			continue;
		if (hierarchy.v2) {
			/* The root hands its controllers down; then the parent does. */
			(void)write_number(hierarchy.root[c], "cgroup.subtree_control", "+cpu", 0, 0);
			(void)write_number(hierarchy.root[c], "cgroup.subtree_control", "+memory", 0, 0);
			(void)write_number(hierarchy.root[c], "cgroup.subtree_control", "+pids", 0, 0);
		}
		snprintf(path, sizeof(path), "%.127s/%.63s", hierarchy.root[c], parent);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "%s", path);
		if (hierarchy.v2) {
			int code = write_number(path, "cgroup.subtree_control", "+cpu", 0, 0);
			if (code)
				return err_sys(err, code, "%s/cgroup.subtree_control", path);
			(void)write_number(path, "cgroup.subtree_control", "+memory", 0, 0);
			(void)write_number(path, "cgroup.subtree_control", "+pids", 0, 0);
		}
	}
	return 0;
}

static int set_cpu(const char *path, int64_t cpu_milli)
{
	long long quota = cpu_milli > 0 ? cpu_milli * (PERIOD_US / 1000) : -1;
	if (quota >= 0 && quota < QUOTA_MIN_US)
		quota = QUOTA_MIN_US;
	if (hierarchy.v2) {
		long long weight = cpu_milli / 10;
		int code = write_number(path, "cpu.weight", "%lld", weight < 1 ? 1 : weight > 10000 ? 10000 : weight, 0);
		if (code)
			return code;
		return quota < 0 ? write_number(path, "cpu.max", "max", 0, 0) :
		                   write_number(path, "cpu.max", "%lld %lld", quota, PERIOD_US);
	}
	long long shares = cpu_milli * WEIGHT_V1 / 1000;
	int code = write_number(path, "cpu.shares", "%lld", shares < 2 ? 2 : shares > 262144 ? 262144 : shares, 0);
	if (code)
		return code;
	/* A kernel without CFS bandwidth has no such file: then the weight alone. */
	(void)write_number(path, "cpu.cfs_period_us", "%lld", PERIOD_US, 0);
	code = write_number(path, "cpu.cfs_quota_us", "%lld", quota, 0);
	return code == -ENOENT ? 0 : code;
}

int cgroup_set(const char *parent, uint32_t net, uint32_t router, int64_t cpu_milli, int64_t mem_kib, struct err *err)
{
	char path[256];
	look();
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!hierarchy.root[c][0])
			continue;
		group_path(path, c, parent, net, router);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "%s", path);
		int code = c == CPU ? set_cpu(path, cpu_milli) : 0;
		if (c == MEMORY) /* no tenant takes the node's memory, also where none was asked for */
			code = write_number(path, hierarchy.v2 ? "memory.max" : "memory.limit_in_bytes", "%lld",
			                    (mem_kib > 0 ? mem_kib : MEMORY_DEFAULT_KIB) * 1024, 0);
		if (c == PIDS) /* no tenant takes the node's process numbers from all others */
			code = write_number(path, "pids.max", "%lld", ROUTER_PROCESSES_MAX, 0);
		if (code)
			return err_sys(err, code, "%s", path);
	}
	return 0;
}

void cgroup_enter(const char *parent, uint32_t net, uint32_t router, pid_t pid)
{
	char path[256];
	look();
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!first_mount(c))
			continue;
		group_path(path, c, parent, net, router);
		(void)write_number(path, "cgroup.procs", "%lld", pid, 0);
	}
}

int cgroup_remove(const char *parent, uint32_t net, uint32_t router)
{
	char path[256];
	int code = 0;
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!first_mount(c))
			continue;
		group_path(path, c, parent, net, router);
		if (rmdir(path) < 0 && errno != ENOENT)
			code = -errno;
	}
	return code;
}

void cgroup_sweep(const char *parent, bool (*wanted)(void *arg, uint32_t net, uint32_t router), void *arg)
{
	char path[256], child[256];
	look();
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!first_mount(c))
			continue;
		snprintf(path, sizeof(path), "%.127s/%.63s", hierarchy.root[c], parent);
		DIR *dir = opendir(path);
		for (struct dirent *e; dir && (e = readdir(dir));) {
			unsigned net, router;
			char extra;
			if (sscanf(e->d_name, "%x.%x%c", &net, &router, &extra) != 2 || (wanted && wanted(arg, net, router)))
				continue;
			group_path(child, c, parent, net, router);
			(void)rmdir(child); /* busy ones go at the next sweep */
		}
		if (dir)
			closedir(dir);
		if (!wanted)
			(void)rmdir(path);
	}
}

/* ---- accounting -------------------------------------------------------------------------- */
static int open_counter(int c, const char *parent, uint32_t net, uint32_t router, const char *file)
{
	char path[256], full[320];
	if (!hierarchy.root[c][0])
		return -1;
	group_path(path, c, parent, net, router);
	snprintf(full, sizeof(full), "%s/%s", path, file);
	return open(full, O_RDONLY | O_CLOEXEC);
}

void cgroup_meter_open(const char *parent, uint32_t net, uint32_t router, struct cgroup_meter *ret)
{
	look();
	ret->cpu_fd = hierarchy.v2 ? open_counter(CPU, parent, net, router, "cpu.stat") :
	                             open_counter(CPUACCT, parent, net, router, "cpuacct.usage");
	ret->mem_fd = open_counter(MEMORY, parent, net, router, hierarchy.v2 ? "memory.current" : "memory.usage_in_bytes");
}

void cgroup_meter_close(struct cgroup_meter *m)
{
	if (m->cpu_fd >= 0)
		close(m->cpu_fd);
	if (m->mem_fd >= 0)
		close(m->mem_fd);
	m->cpu_fd = m->mem_fd = -1;
}

static bool read_number(int fd, const char *key, unsigned long long *ret)
{
	char text[512];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return false;
	text[n] = 0;
	char *at = strstr(text, key);
	return at && sscanf(at + strlen(key), "%llu", ret) == 1;
}

bool cgroup_meter_cpu(const struct cgroup_meter *m, uint64_t *ret_us)
{
	unsigned long long v;
	if (!read_number(m->cpu_fd, hierarchy.v2 ? "usage_usec " : "", &v))
		return false;
	*ret_us = hierarchy.v2 ? v : v / 1000;
	return true;
}

bool cgroup_meter_mem(const struct cgroup_meter *m, int64_t *ret_kib)
{
	unsigned long long v;
	if (!read_number(m->mem_fd, "", &v))
		return false;
	*ret_kib = (int64_t)(v / 1024);
	return true;
}
