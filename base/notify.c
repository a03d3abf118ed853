/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See notify.h. */
#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

void notify_supervisor(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	if (len == 0)
		return;
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path)) {
		log_warn("NOTIFY_SOCKET: %s: not usable", path);
		return;
	}
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
		log_warn("NOTIFY_SOCKET: %s: nobody listens", path);
	if (fd >= 0)
		close(fd);
}
