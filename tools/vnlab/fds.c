/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that carry descriptors, and the reports that `up` prints. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/vnlab/lab.h"

enum { FDS_MAX = 4 };

int fds_send(int sock, const char *text, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n_fds > FDS_MAX)
		return -EINVAL;
	if (n_fds) {
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t fds_receive(int sock, char text[static CONTROL_MESSAGE_MAX], int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = text, .iov_len = CONTROL_MESSAGE_MAX - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
	                    .msg_controllen = sizeof(control.space) };
	ssize_t n;
	for (size_t i = 0; i < n_fds; i++)
		fds[i] = -1;
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < got; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (i < n_fds)
				fds[i] = fd;
			else
				close(fd);
		}
	}
	return n;
}

void report_send(int report, char kind, const char *format, ...)
{
	char text[CONTROL_MESSAGE_MAX] = { kind };
	va_list ap;
	va_start(ap, format);
	vsnprintf(text + 1, sizeof(text) - 1, format, ap);
	va_end(ap);
	/* Nobody may be listening any more: `up` has left, and that is no fault. */
	ssize_t ignored = send(report, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)ignored;
}
