/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See inside_run.h. The command lives as long as our end of its control socket (spawner.h). */
#include "vnagent/inside_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

struct inside_run {
	int control;
	struct loop_source *source;
	void (*ended)(void *arg, int code, const char *text);
	void *arg;
};

void inside_run_end(struct inside_run *run)
{
	if (!run)
		return;
	loop_remove(run->source);
	close(run->control);
	free(run);
}

static void control_ready(void *arg, uint32_t events)
{
	struct inside_run *run = arg, was = *run;
	struct spawn_exit exit = { .code = -1 };
	ssize_t n = recv(run->control, &exit, sizeof(exit), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	inside_run_end(run);
	exit.text[SPAWN_TEXT_MAX - 1] = 0;
	if (n != sizeof(exit))
		exit = (struct spawn_exit){ .code = 255 }; /* whoever attended to it was killed */
	was.ended(was.arg, exit.code, exit.text);
}

static int input_of(const char *text, int *ret_fd, struct err *err)
{
	size_t len = strlen(text);
	int fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "its input");
	if (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return err_set(err, -ENOMEM, "no room for its input");
	}
	*ret_fd = fd;
	return 0;
}

int inside_run_start(const struct inside_run_options *o, struct inside_run **ret, struct err *err)
{
	int pair[2] = { -1, -1 }, in = -1, out = open("/dev/null", O_RDWR | O_CLOEXEC);
	int code = out < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? err_sys(err, -errno, "%s", o->argv[0]) : 0;
	struct inside_run *run = mem_alloc(sizeof(*run));
	*run = (struct inside_run){ .control = pair[0], .ended = o->ended, .arg = o->arg };
	if (!code)
		code = input_of(o->input, &in, err);
	if (!code) {
		struct router_command c = { .argv = o->argv, .argc = o->argc, .in = in, .out = out, .error = out, .control = pair[1] };
		code = o->ops->exec(o->self, o->key, &c, err);
	}
	if (!code)
		code = loop_add_fd(o->loop, pair[0], EPOLLIN, control_ready, run, &run->source, err);
	for (size_t i = 0; i < 3; i++) {
		int fd = (int[]){ in, out, pair[1] }[i];
		if (fd >= 0)
			close(fd);
	}
	if (code) {
		if (pair[0] >= 0)
			close(pair[0]);
		free(run);
		return code;
	}
	*ret = run;
	return 0;
}
