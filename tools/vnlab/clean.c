/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel does not remove when a lab ends: its directory and its cgroups. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnlab/lab.h"

enum { DEPTH_MAX = 16 };

/* A cgroup is busy until the last of its dead processes has been reaped. */
static void remove_group(int parent, const char *name)
{
	for (int tries = 0; unlinkat(parent, name, AT_REMOVEDIR) && errno == EBUSY && tries < 200; tries++)
		poll(NULL, 0, 5);
}

/* Removes what a directory holds; `only_dirs`: cgroup trees, whose files remove themselves. The
 * walk stays on one file system and follows no link. */
static void empty_dir(int parent, const char *name, dev_t dev, bool only_dirs, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(dir));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || st.st_dev != dev)
			continue;
		if (S_ISDIR(st.st_mode)) {
			empty_dir(fd, e->d_name, dev, only_dirs, depth + 1);
			remove_group(fd, e->d_name);
		} else if (!only_dirs) {
			unlinkat(fd, e->d_name, 0);
		}
	}
	closedir(dir);
}

void clean_content(const char *dir)
{
	static const char *const trees[] = { "allowed", "nodes", "log", "state" };
	static const char *const files[] = { "client.yaml", "control", "notify", "vned.yaml", "vned.key", "vned.pub",
		                             "admin.key", "admin.pub", "substrate.yaml", "tenants.yaml", "id" };
	struct stat st;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!fstat(fd, &st)) {
		for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
			empty_dir(fd, trees[i], st.st_dev, false, 0);
			unlinkat(fd, trees[i], AT_REMOVEDIR);
		}
		for (size_t i = 0; i < ARRAY_LEN(files); i++)
			unlinkat(fd, files[i], 0);
	}
	close(fd);
}

/* The lock goes last but one: whoever wants to make a lab here waits for it. */
void clean_files(const char *dir)
{
	mem_auto char *lock = mem_printf("%s/lock", dir);
	clean_content(dir);
	unlink(lock);
	rmdir(dir); /* stays if somebody has put something of his own there */
}

/* Every group in `root` that belongs to the lab. */
static void clean_cgroup(const char *root, const char *id)
{
	struct stat st;
	size_t len = strlen(id);
	DIR *dir = opendir(root);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		if (strncmp(e->d_name, id, len) || e->d_name[len] != '-' ||
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
			continue;
		empty_dir(dirfd(dir), e->d_name, st.st_dev, true, 0);
		remove_group(dirfd(dir), e->d_name);
	}
	closedir(dir);
}

/* Every hierarchy that is mounted, version 1 or 2. */
void clean_cgroups(const char *id)
{
	char line[4096], root[2048], type[64];
	FILE *f = fopen("/proc/self/mounts", "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %2047s %63s", root, type) == 2 &&
		    (!strcmp(type, "cgroup") || !strcmp(type, "cgroup2")))
			clean_cgroup(root, id);
	fclose(f);
}

void clean_stale(const char *dir)
{
	mem_auto char *path = mem_printf("%s/id", dir);
	char id[24] = "";
	unsigned random;
	char end;
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(id, sizeof(id), f))
		id[0] = 0;
	fclose(f);
	id[strcspn(id, "\n")] = 0;
	if (sscanf(id, "vnlab-%8x%c", &random, &end) == 1)
		clean_cgroups(id);
	clean_content(dir);
}
