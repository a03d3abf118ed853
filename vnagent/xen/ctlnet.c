/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control interfaces' namespace; see ctlnet.h. */
#include "vnagent/xen/ctlnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/ns.h"
#include "vnagent/guest_wire.h"

enum { ATTEMPT_MS = 3000, PAUSE_MS = 200 };

static int open_held(int *ret_fd)
{
	struct statfs fs;
	int fd = open(CTLNET_PATH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC) { /* the file alone, from before a reboot or a crash half-way */
		close(fd);
		return -ENOENT;
	}
	*ret_fd = fd;
	return 0;
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* a kernel without it */
	(void)!write(fd, value, strlen(value));
	close(fd);
}

/* What a guest says to its neighbour changes nothing here. */
static void harden(void)
{
	set("/proc/sys/net/ipv4/ip_forward", "0");
	set("/proc/sys/net/ipv6/conf/all/forwarding", "0");
	set("/proc/sys/net/ipv6/conf/default/forwarding", "0");
	set("/proc/sys/net/ipv6/conf/all/accept_ra", "0");
	set("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
	set("/proc/sys/net/ipv6/conf/default/accept_redirects", "0");
	set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
}

static int make(struct err *err)
{
	int home, fd, code = ns_open(0, "net", &home, err);
	if (code)
		return code;
	if ((mkdir("/run/vne", 0755) < 0 && errno != EEXIST) || (fd = open(CTLNET_PATH, O_RDONLY | O_CREAT | O_CLOEXEC, 0600)) < 0) {
		code = err_sys(err, -errno, CTLNET_PATH);
		close(home);
		return code;
	}
	close(fd);
	if (unshare(CLONE_NEWNET) < 0) {
		code = err_sys(err, -errno, "a network namespace for the control connections of guests");
	} else {
		harden();
		if (mount("/proc/thread-self/ns/net", CTLNET_PATH, NULL, MS_BIND, NULL) < 0)
			code = err_sys(err, -errno, "holding the control network namespace at " CTLNET_PATH);
		if (setns(home, CLONE_NEWNET) < 0) {
			perror("cannot return to our own network namespace");
			_exit(70);
		}
	}
	close(home);
	return code;
}

int ctlnet_open(int *ret_fd, struct err *err)
{
	int code;
	if (!open_held(ret_fd))
		return 0;
	if ((code = make(err)))
		return code;
	code = open_held(ret_fd);
	return code ? err_sys(err, code, CTLNET_PATH) : 0;
}

void ctlnet_ifname(uint32_t domid, char name[static 16])
{
	snprintf(name, 16, "vc%u", domid);
}

/* One try. */
static int attempt(uint32_t domid, int64_t deadline_ms, int *ret_fd)
{
	char name[16];
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(GUEST_PORT) };
	int fd, error = 0, one = 1;
	socklen_t len = sizeof(error);
	ctlnet_ifname(domid, name);
	inet_pton(AF_INET6, CTLNET_GUEST, &to.sin6_addr);
	to.sin6_scope_id = if_nametoindex(name);
	if (!to.sin6_scope_id)
		return -ENODEV;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int64_t left = deadline_ms - clock_ms();
		error = errno;
		if (error == EINPROGRESS && poll(&p, 1, left < ATTEMPT_MS ? (int)(left < 0 ? 0 : left) : ATTEMPT_MS) > 0) {
			if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
				error = errno;
		} else if (error == EINPROGRESS) {
			error = ETIMEDOUT;
		}
	}
	if (error) {
		close(fd);
		return -error;
	}
	*ret_fd = fd;
	return 0;
}

int ctlnet_connect(uint32_t domid, int64_t deadline_ms, int *ret_fd, struct err *err)
{
	int ns, code = ctlnet_open(&ns, err);
	if (code)
		return code;
	if (setns(ns, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "entering the control network namespace");
	close(ns);
	/* A guest that boots refuses or says nothing: nobody tells us when that changes. One without a vif has ended. */
	while ((code = attempt(domid, deadline_ms, ret_fd)) && code != -ENODEV && clock_ms() + PAUSE_MS < deadline_ms)
		poll(NULL, 0, PAUSE_MS);
	if (code == -ETIMEDOUT || code == -ECONNREFUSED || code == -EHOSTUNREACH)
		return err_set(err, -ETIMEDOUT, "the guest does not answer on its control connection");
	return code ? err_sys(err, code, "the guest's control connection") : 0;
}
