/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See reaper.h. Few are watched at once: a list will do. */
#include "vnagent/guest/reaper.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/vec.h"

struct watched {
	pid_t pid;
	void (*ended)(void *arg, int status);
	void *arg;
};

struct reaper {
	struct loop_source *source;
	VEC(struct watched) watched;
};

static void reap(void *arg)
{
	struct reaper *r = arg;
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		for (size_t i = 0; i < r->watched.n; i++)
			if (r->watched.v[i].pid == pid) {
				struct watched w = r->watched.v[i];
				r->watched.v[i] = r->watched.v[--r->watched.n];
				w.ended(w.arg, status);
				break;
			}
}

int reaper_open(struct loop *loop, struct reaper **ret, struct err *err)
{
	struct reaper *r = mem_alloc(sizeof(*r));
	int code = loop_add_signal(loop, SIGCHLD, reap, r, &r->source, err);
	if (code)
		free(r);
	else
		*ret = r;
	return code;
}

void reaper_close(struct reaper *r)
{
	if (!r)
		return;
	loop_remove(r->source);
	free(r->watched.v);
	free(r);
}

void reaper_watch(struct reaper *r, pid_t pid, void (*ended)(void *arg, int status), void *arg)
{
	*vec_add(&r->watched) = (struct watched){ pid, ended, arg };
}

void reaper_forget(struct reaper *r, pid_t pid)
{
	for (size_t i = 0; i < r->watched.n; i++)
		if (r->watched.v[i].pid == pid) {
			r->watched.v[i] = r->watched.v[--r->watched.n];
			return;
		}
}

int reaper_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
