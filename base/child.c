/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Child processes by posix_spawn. Every descriptor that we open is O_CLOEXEC, so a child
 * gets its three and nothing else. */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"

extern char **environ;

/* The pipes of a child: ends[i] belongs to its descriptor i; [0] is theirs, [1] ours. */
struct pipes {
	int ends[3][2];
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void pipes_close(struct pipes *p, int side)
{
	for (int i = 0; i < 3; i++)
		close_end(&p->ends[i][side]);
}

static int pipes_open(struct pipes *p, int flags, struct err *err)
{
	static const int wanted[3] = {CHILD_IN, CHILD_OUT, CHILD_ERR};

	for (int i = 0; i < 3; i++) {
		int fds[2];

		if (!(flags & wanted[i]))
			continue;
		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_sys(err, -errno, "pipe for a child process");
		p->ends[i][0] = fds[i == 0 ? 0 : 1];
		p->ends[i][1] = fds[i == 0 ? 1 : 0];
		if (fcntl(p->ends[i][1], F_SETFL, O_NONBLOCK) < 0)
			return err_sys(err, -errno, "pipe for a child process");
		/* theirs must not stand on 0, 1, 2: a dup2 onto itself keeps O_CLOEXEC, and one
		 * onto another's end closes that */
		if (p->ends[i][0] < 3) {
			int high = fcntl(p->ends[i][0], F_DUPFD_CLOEXEC, 3);

			if (high < 0)
				return err_sys(err, -errno, "pipe for a child process");
			close(p->ends[i][0]);
			p->ends[i][0] = high;
		}
	}
	return 0;
}

/* Returns a positive errno, like the functions it calls. */
static int spawn_actions(posix_spawn_file_actions_t *actions, const struct pipes *p)
{
	int r = 0;

	if (p->ends[0][0] < 0)
		r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	for (int i = 0; i < 3 && !r; i++)
		if (p->ends[i][0] >= 0)
			r = posix_spawn_file_actions_adddup2(actions, p->ends[i][0], i);
	return r;
}

static int spawn_attributes(posix_spawnattr_t *attr, int flags)
{
	sigset_t none, all;
	short bits = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;

	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	int r = posix_spawnattr_setsigmask(attr, &none);

	if (!r)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (!r && (flags & CHILD_GROUP)) {
		bits |= POSIX_SPAWN_SETPGROUP;
		r = posix_spawnattr_setpgroup(attr, 0);
	}
	return r ? r : posix_spawnattr_setflags(attr, bits);
}

int child_spawn(struct child *ret, const char *const *argv, char *const *env, int flags, struct err *err)
{
	struct pipes p = {{{-1, -1}, {-1, -1}, {-1, -1}}};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid = -1;
	int r = pipes_open(&p, flags, err);

	if (r < 0) {
		pipes_close(&p, 0);
		pipes_close(&p, 1);
		return r;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	r = spawn_actions(&actions, &p);
	if (!r)
		r = spawn_attributes(&attr, flags);
	if (!r) /* argv is not written to: the prototype is older than const */
		r = posix_spawnp(&pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, env ? env : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	pipes_close(&p, 0);
	if (r) {
		pipes_close(&p, 1);
		return err_sys(err, -r, "cannot run %s", argv[0]);
	}
	*ret = (struct child){.pid = pid, .in = p.ends[0][1], .out = p.ends[1][1], .err = p.ends[2][1]};
	return 0;
}

/* One turn of feeding and reading. Returns 1 once stdout has ended, 0 to go on, or -E2BIG. */
static int child_exchange(struct child *c, const char **input, size_t *left, size_t max, struct buf *out)
{
	char chunk[65536];

	if (c->in >= 0) {
		ssize_t n = *left ? write(c->in, *input, *left) : 0;

		if (n > 0) {
			*input += n;
			*left -= (size_t)n;
		}
		if (!*left || (n < 0 && errno != EAGAIN && errno != EINTR))
			close_end(&c->in); /* all written, or it does not want the rest */
	}
	ssize_t n = read(c->out, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : 1;
	if (n == 0)
		return 1;
	if ((size_t)n > max - out->len)
		return -E2BIG;
	buf_add(out, chunk, (size_t)n);
	return 0;
}

/* Waits for its end until the deadline, without reaping it; -ETIMEDOUT. A pidfd would do without the naps, but some
 * kernels that people build on do not have them. */
static int child_wait(pid_t pid, int64_t deadline_ms)
{
	for (int nap_ms = 1;; nap_ms = nap_ms < 20 ? nap_ms * 2 : 20) {
		siginfo_t info = {.si_pid = 0};

		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno != EINTR)
			return -errno;
		if (info.si_pid == pid)
			return 0;
		if (clock_ms() >= deadline_ms)
			return -ETIMEDOUT;
		poll(NULL, 0, nap_ms);
	}
}

static int child_collect(struct child *c, const char *input, int64_t deadline_ms, size_t max, struct buf *out)
{
	size_t left = input ? strlen(input) : 0;

	for (;;) {
		int r = child_exchange(c, &input, &left, max, out);

		if (r < 0)
			return r;
		if (r == 1)
			break;
		int64_t wait_ms = deadline_ms - clock_ms();

		if (wait_ms <= 0)
			return -ETIMEDOUT;
		struct pollfd fds[2] = {{.fd = c->out, .events = POLLIN}, {.fd = c->in, .events = POLLOUT}};

		poll(fds, 2, wait_ms < INT_MAX ? (int)wait_ms : INT_MAX);
	}
	return child_wait(c->pid, deadline_ms);
}

int child_filter(const char *const *argv, const char *input, int64_t deadline_ms, size_t max, struct buf *out,
                 int *status, struct err *err)
{
	sigset_t pipe_only, before;
	int64_t started_ms = clock_ms();
	struct child c;
	int ended = 0;
	int r = child_spawn(&c, argv, NULL, CHILD_OUT | CHILD_GROUP | (input ? CHILD_IN : 0), err);

	if (r < 0)
		return r;
	/* a child that does not read must not kill us */
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	r = child_collect(&c, input, deadline_ms, max, out);
	if (sigismember(&before, SIGPIPE) == 0) {
		static const struct timespec now = {0, 0};

		sigtimedwait(&pipe_only, NULL, &now);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	close_end(&c.in);
	close_end(&c.out);
	kill(-c.pid, SIGKILL); /* not reaped yet: the number is still its own */
	while (waitpid(c.pid, &ended, 0) < 0 && errno == EINTR)
		;
	if (r < 0) {
		if (r == -ETIMEDOUT)
			return err_set(err, r, "%s did not end within %lld ms", argv[0], (long long)(deadline_ms - started_ms));
		if (r == -E2BIG)
			return err_set(err, r, "%s wrote more than %zu bytes", argv[0], max);
		return err_sys(err, r, "%s", argv[0]);
	}
	if (status)
		*status = ended;
	return 0;
}

int child_run(const char *const *argv, const char *input, int timeout_ms, size_t max, char **out, int *status,
              struct err *err)
{
	buf_auto struct buf text = BUF_INIT;
	int r = child_filter(argv, input, clock_ms() + timeout_ms, max, &text, status, err);

	if (r == 0 && out)
		*out = buf_take(&text);
	return r;
}

char *child_sibling(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');

		if (slash) {
			char *path = mem_printf("%.*s/%s", (int)(slash - self), self, name);

			if (access(path, X_OK) == 0)
				return path;
			free(path);
		}
	}
	return mem_str(name);
}
