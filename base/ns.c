/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Namespaces; see ns.h. */
#include "base/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int ns_open(pid_t pid, const char *type, int *ret_fd, struct err *err)
{
	char path[64];
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, type);
	else
		snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", type);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

int ns_number(int fd, uint64_t *ret, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "namespace descriptor");
	*ret = st.st_ino;
	return 0;
}

int ns_net_cookie(uint64_t *ret, struct err *err)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool known = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0;
	if (fd >= 0)
		close(fd);
	if (known) {
		*ret = cookie;
		return 0;
	}
	int code = ns_open(0, "net", &fd, err);
	if (code)
		return code;
	code = ns_number(fd, ret, err);
	close(fd);
	return code;
}

int ns_visit_net(int netns_fd, int (*what)(void *arg, struct err *err), void *arg, struct err *err)
{
	int home, result;
	result = ns_open(0, "net", &home, err);
	if (result)
		return result;
	if (setns(netns_fd, CLONE_NEWNET) < 0) {
		result = err_sys(err, -errno, "entering a network namespace");
		close(home);
		return result;
	}
	result = what(arg, err);
	if (setns(home, CLONE_NEWNET) < 0) {
		perror("cannot return to our own network namespace");
		abort();
	}
	close(home);
	return result;
}
