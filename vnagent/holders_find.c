/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a restarted agent finds its routers: one walk over /proc. What makes a process a holder
 * of ours is told by the kernel, not by the process: it is pid 1 of a pid namespace directly
 * below ours and of a user namespace whose parent is ours. Its title then says which router; nobody
 * inside can write that (holder.c). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ns.h"
#include "base/vec.h"
#include "vnagent/spawner.h"

static bool read_text(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* How many pid namespaces deep, and its number in the innermost. */
static bool read_depth(int dir, int *depth, int *innermost)
{
	char text[8192];
	if (!read_text(dir, "status", text, sizeof(text)))
		return false;
	char *at = strstr(text, "\nNSpid:");
	if (!at)
		return false;
	*depth = 0;
	*innermost = 0;
	char *end = strchr(at + 1, '\n');
	if (end)
		*end = 0;
	for (at = strtok(at + 7, "\t "); at; at = strtok(NULL, "\t ")) {
		++*depth;
		*innermost = atoi(at);
	}
	return true;
}

static uint64_t number_of(int fd)
{
	uint64_t n = 0;
	if (fd >= 0 && ns_number(fd, &n, NULL))
		n = 0;
	return n;
}

struct home {
	uint64_t net, user;
	int depth;
};

static bool is_child_of(int dir, uint64_t user)
{
	int fd = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC), parent = fd < 0 ? -1 : ioctl(fd, NS_GET_PARENT);
	bool child = parent >= 0 && number_of(parent) == user;
	if (parent >= 0)
		close(parent);
	if (fd >= 0)
		close(fd);
	return child;
}

static bool is_holder(int dir, const struct home *home, struct holder *ret)
{
	char comm[32], title[256];
	int depth, innermost;
	unsigned net, router;
	unsigned long long where;
	if (!read_text(dir, "comm", comm, sizeof(comm)) || sscanf(comm, "vr%x.%x", &net, &router) != 2)
		return false;
	if (!read_depth(dir, &depth, &innermost) || depth != home->depth + 1 || innermost != 1)
		return false;
	if (!read_text(dir, "cmdline", title, sizeof(title)) ||
	    sscanf(title, "vne-router %u %u %*s in %llu", &ret->net, &ret->router, &where) != 3)
		return false;
	return where == home->net && ret->net == net && ret->router == router && is_child_of(dir, home->user);
}

static int look_at_home(struct home *home, struct err *err)
{
	int user = -1, innermost;
	int code = ns_net_cookie(&home->net, err);
	if (!code)
		code = ns_open(0, "user", &user, err);
	home->user = number_of(user);
	if (user >= 0)
		close(user);
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!code && (self < 0 || !read_depth(self, &home->depth, &innermost)))
		code = err_set(err, -ENOENT, "/proc/self/status is missing; is /proc mounted?");
	if (self >= 0)
		close(self);
	return code;
}

int holders_find(struct holder **ret, size_t *ret_n, struct err *err)
{
	VEC(struct holder) found = { 0 };
	struct home home = { 0 };
	int code = look_at_home(&home, err);
	if (code)
		return code;
	DIR *proc = opendir("/proc");
	if (!proc)
		return err_sys(err, -errno, "/proc");
	for (struct dirent *e; (e = readdir(proc));) {
		struct holder h = { .pidfd = -1, .netns_fd = -1 };
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		int dir = openat(dirfd(proc), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			continue;
		h.pid = atoi(e->d_name);
		/* The descriptor first, then the looks: so that they are of the same process. */
		h.pidfd = (int)syscall(SYS_pidfd_open, h.pid, 0);
		if (h.pidfd >= 0 && is_holder(dir, &home, &h) && !ns_open(h.pid, "net", &h.netns_fd, NULL))
			*vec_add(&found) = h;
		else if (h.pidfd >= 0)
			close(h.pidfd);
		close(dir);
	}
	closedir(proc);
	*ret = found.v;
	*ret_n = found.n;
	return 0;
}
