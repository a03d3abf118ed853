/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bird_start.h. Debian's BIRD is linked with libssh, which brings a dozen libraries with it whose tables are relocated in each BIRD:
 * 200 kB of its own memory for what our configurations never use. So it gets the libssh with nothing in it (guest/libssh) in the
 * router's own /run: 8 kB there, and wherever the agent is installed, the router can see it. Without that file BIRD runs as it is. */
#include "vnagent/bird_start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vnagent/bird_config.h"

#define LIBSSH "/run/bird-libssh.so"

static const char write_it[] = "umask 077; head -c \"$1\" >" BIRD_CONFIG ".new && mv " BIRD_CONFIG ".new " BIRD_CONFIG;
/* The library's name is taken by a new file each time: a BIRD that still ends has the old one mapped. */
static const char start_it[] = "umask 077; head -c \"$1\" >" BIRD_CONFIG ".new && mv " BIRD_CONFIG ".new " BIRD_CONFIG
			       " && cat >" LIBSSH ".new && mv " LIBSSH ".new " LIBSSH " || exit; if [ -s " LIBSSH " ]; then export LD_PRELOAD=" LIBSSH "; fi; "
			       "MALLOC_ARENA_MAX=1 exec bird -c " BIRD_CONFIG " -s " BIRD_SOCKET " -P " BIRD_PIDFILE;

/* Beside the agent, as it was built or as it is installed; -1: nowhere. */
static int open_libssh(void)
{
	static const char *const places[] = { "vnguest-libssh.so", "../lib/vne/vnguest-libssh.so" };
	char path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = 0;
	char *slash = strrchr(path, '/');
	int fd = -1;
	for (size_t i = 0; slash && fd < 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		strcpy(slash + 1, places[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

/* What the command reads: the configuration, then the library. */
static int lay(const char *config, bool with_library, int *ret, struct err *err)
{
	size_t len = strlen(config);
	int in = memfd_create("bird.conf", MFD_CLOEXEC), library = with_library ? open_libssh() : -1, code = 0;
	struct stat st;
	if (in < 0 || write(in, config, len) != (ssize_t)len)
		code = err_set(err, -ENOMEM, "no room for BIRD's configuration");
	if (!code && library >= 0 && (fstat(library, &st) < 0 || sendfile(in, library, NULL, (size_t)st.st_size) != st.st_size))
		code = err_set(err, -EIO, "BIRD's libssh cannot be read");
	if (!code && lseek(in, 0, SEEK_SET) != 0)
		code = err_sys(err, -errno, "BIRD's configuration");
	if (library >= 0)
		close(library);
	if (code && in >= 0)
		close(in);
	*ret = in;
	return code;
}

int bird_start(const struct router_driver *ops, void *self, struct router_key key, const char *config, bool start,
               int *ret_control, struct err *err)
{
	char len[24];
	const char *const argv[] = { "sh", "-c", start ? start_it : write_it, "bird", len, NULL };
	int in, code = lay(config, start, &in, err);
	if (code)
		return code;
	int pair[2] = { -1, -1 }, out = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(len, sizeof(len), "%zu", strlen(config));
	if (out < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		code = err_sys(err, -errno, "starting BIRD");
	if (!code) {
		struct router_command c = { .argv = argv, .argc = 5, .in = in, .out = out, .error = out, .control = pair[1] };
		code = ops->exec(self, key, &c, err);
	}
	close(in);
	if (out >= 0)
		close(out);
	if (pair[1] >= 0)
		close(pair[1]);
	if (code && pair[0] >= 0)
		close(pair[0]);
	if (!code)
		*ret_control = pair[0];
	return code;
}
