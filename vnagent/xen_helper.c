/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See xen_helper.h. posix_spawn, not fork: the agent has threads. */
#include "vnagent/xen_helper.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static char *default_helper(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	char *slash = strrchr(self, '/');
	return mem_printf("%.*s/vnagent-xen", slash ? (int)(slash - self) : 0, self);
}

int xen_helper_start(const struct router_xen_options *options, pid_t *ret_pid, int *ret_fd, struct err *err)
{
	mem_auto char *own = options->helper ? NULL : default_helper();
	const char *path = options->helper ? options->helper : own;
	int pair[2], code;
	size_t argc = 0;
	posix_spawn_file_actions_t actions;
	if (access(path, X_OK) < 0)
		return err_sys(err, -errno, "the helper %s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "a connection to the helper");
	char **argv = mem_array(2 * options->n_images + 5, sizeof(*argv));
	argv[argc++] = (char *)path;
	for (size_t i = 0; i < options->n_images; i++) {
		argv[argc++] = "--image";
		argv[argc++] = (char *)options->images[i];
	}
	argv[argc++] = "--balance";
	argv[argc++] = options->balance ? "load" : "none";
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], XEN_FD);
	code = posix_spawn(ret_pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	free(argv);
	close(pair[1]);
	if (code) {
		close(pair[0]);
		return err_sys(err, -code, "starting %s", path);
	}
	*ret_fd = pair[0];
	return 0;
}

int xen_helper_send(int fd, const struct xen_message *m, const void *text, const int *fds, size_t n)
{
	struct iovec iov[] = { { (void *)m, sizeof(*m) }, { (void *)text, m->len } };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	if (n) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? (errno == EINTR ? -EAGAIN : -errno) : 0;
}

int xen_helper_receive(int fd, void *packet, struct xen_message *ret, int *ret_fd)
{
	struct iovec iov = { packet, XEN_PACKET_MAX - 1 };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	*ret_fd = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;
			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (*ret_fd < 0)
				*ret_fd = got;
			else
				close(got);
		}
	}
	if (n == 0)
		return -EPIPE;
	if ((size_t)n >= sizeof(*ret))
		memcpy(ret, packet, sizeof(*ret));
	if ((size_t)n >= sizeof(*ret) && !(msg.msg_flags & MSG_TRUNC) && ret->len == (size_t)n - sizeof(*ret)) {
		((char *)packet)[n] = 0;
		return 0;
	}
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	return -EPROTO;
}

int xen_helper_receive_now(int fd, void *packet, struct xen_message *ret, int64_t until_ms, struct err *err)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until_ms - clock_ms();
		int extra, code = xen_helper_receive(fd, packet, ret, &extra);
		if (!code && extra >= 0)
			close(extra);
		if (code != -EAGAIN)
			return code ? err_set(err, code, "the helper vnagent-xen ended at once") : 0;
		if (left <= 0)
			return err_set(err, -ETIMEDOUT, "the helper vnagent-xen does not answer within %d s", XEN_SYNC_MS / 1000);
		(void)poll(&p, 1, (int)left);
	}
}
