/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See solve.h. A worker is idle, or has one job; its pipes are read and written as they allow. */
#include "vned/solve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"

enum { FRAME_MAX = 256 << 20, READ_BYTES = 65536, RESTART_MS = 200 };

struct standing { /* a packed substrate that jobs refer to */
	size_t users; /* jobs, and the pool while it is the newest */
	uint64_t version;
	uint8_t *frame;
	size_t len;
};

struct job {
	struct job *next;
	uint64_t id;
	struct standing *on; /* NULL: the frame has its substrate */
	uint8_t *frame;
	size_t len, sent, ahead; /* ahead: bytes of `on` that the worker has to be sent first */
	int64_t limit_ms;
	solve_answer_fn *answer;
	void *arg;
	bool has_best;
	struct solution best; /* incumbent */
};

struct worker {
	struct solve_pool *pool;
	struct child child;
	bool alive;
	uint64_t has; /* version of the substrate that it was sent; 0: none */
	struct loop_source *in, *out, *ended, *timer; /* timer: deadline of the job, or time to start again */
	struct buf read;
	struct job *job;
};

struct solve_pool {
	struct loop *loop;
	char *program, *solver;
	int64_t grace_ms;
	size_t queue_max, queued;
	struct job *first, **last;
	struct standing *newest;
	uint64_t next_id, killed;
	struct worker *workers;
	size_t n;
};

static void standing_drop(struct standing *s)
{
	if (!s || --s->users)
		return;
	free(s->frame);
	free(s);
}

static void job_free(struct job *job)
{
	if (!job)
		return;
	solution_done(&job->best);
	standing_drop(job->on);
	free(job->frame);
	free(job);
}

static void feed(struct solve_pool *pool);

/* The job's answer, whatever it is; frees the job. */
static void answer(struct worker *w, int failed, struct solution *solution)
{
	struct job *job = w->job;
	w->job = NULL;
	loop_set_timer(w->timer, -1, 0);
	job->answer(job->arg, failed, solution);
	solution_done(solution);
	job_free(job);
}

/* No answer will come: the best incumbent stands for it. */
static void give_up(struct worker *w, int failed, const char *why)
{
	struct solution s = { .status = SOLVE_UNKNOWN };
	if (w->job->has_best) {
		s = w->job->best;
		w->job->best = (struct solution){ 0 };
		w->job->has_best = false;
		failed = 0;
	} else {
		snprintf(s.reason, sizeof(s.reason), "%s", why);
	}
	answer(w, failed, &s);
}

static void close_worker(struct worker *w)
{
	loop_remove(w->in);
	loop_remove(w->out);
	w->in = w->out = NULL;
	if (w->child.in >= 0)
		close(w->child.in);
	if (w->child.out >= 0)
		close(w->child.out);
	w->child.in = w->child.out = -1;
	buf_done(&w->read);
}

/* Ends the process; the rest happens when its end is reported. */
static void kill_worker(struct worker *w)
{
	close_worker(w);
	if (w->alive)
		(void)kill(w->child.pid, SIGKILL);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void take_answer(struct worker *w, struct worker_answer *a)
{
	struct job *job = w->job;
	if (!job || a->id != job->id) {
		worker_answer_done(a);
		return;
	}
	if (!a->final) {
		if (a->solution.has_embedding) {
			solution_done(&job->best);
			job->best = a->solution;
			job->has_best = true;
			return;
		}
		worker_answer_done(a);
		return;
	}
	answer(w, a->failed, &a->solution);
	feed(w->pool);
}

/* One frame out of what was read; false where there is none yet, or the worker was given up. */
static bool take_frame(struct worker *w)
{
	const uint8_t *p = (const uint8_t *)w->read.data;
	if (w->read.len < 4)
		return false;
	size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (len > FRAME_MAX) {
		log_error("solver worker %d: an answer of %zu bytes", (int)w->child.pid, len);
		kill_worker(w);
		return false;
	}
	if (w->read.len - 4 < len)
		return false;
	struct err err = { 0 };
	struct worker_answer a;
	if (worker_answer_unpack(p + 4, len, &a, &err) < 0) {
		log_error("solver worker %d: %s", (int)w->child.pid, err.text);
		kill_worker(w);
		return false;
	}
	memmove(w->read.data, w->read.data + 4 + len, w->read.len - 4 - len);
	w->read.len -= 4 + len;
	take_answer(w, &a);
	return true;
}

static void readable(void *arg, uint32_t events)
{
	(void)events;
	struct worker *w = arg;
	char data[READ_BYTES];
	ssize_t n = read(w->child.out, data, sizeof(data));
	if (n > 0) {
		buf_add(&w->read, data, (size_t)n);
		while (w->child.out >= 0 && take_frame(w))
			;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		kill_worker(w);
	}
}

static void writable(void *arg, uint32_t events)
{
	struct worker *w = arg;
	if (events & (EPOLLERR | EPOLLHUP)) { /* it reads no more */
		kill_worker(w);
		return;
	}
	struct job *job = w->job;
	struct err err = { 0 };
	if (job && job->sent < job->ahead + job->len) {
		bool first = job->sent < job->ahead;
		ssize_t n = first ? write(w->child.in, job->on->frame + job->sent, job->ahead - job->sent) :
		                    write(w->child.in, job->frame + (job->sent - job->ahead), job->ahead + job->len - job->sent);
		if (n > 0)
			job->sent += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			kill_worker(w);
			return;
		}
	}
	uint32_t want = job && job->sent < job->ahead + job->len ? EPOLLOUT : 0;
	if (loop_set_events(w->in, want, &err) < 0)
		log_error("solver worker: %s", err.text);
}

/* ---- life --------------------------------------------------------------------------------- */

static void ended(void *arg, int status)
{
	struct worker *w = arg;
	loop_remove(w->ended);
	w->ended = NULL;
	w->alive = false;
	close_worker(w);
	char why[160];
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "the solver was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "the solver ended with code %d", WEXITSTATUS(status));
	w->pool->killed++;
	if (w->job) {
		log_warn("%s while it worked on a request", why);
		give_up(w, -EIO, why);
	} else {
		log_warn("%s", why);
	}
	/* again, but not in a tight circle when it cannot even start */
	loop_set_timer(w->timer, RESTART_MS, 0);
}

static int start(struct worker *w, struct err *err)
{
	const char *argv[] = { w->pool->program, "--worker", w->pool->solver ? "--solver" : NULL, w->pool->solver, NULL };
	int r = child_spawn(&w->child, argv, NULL, CHILD_IN | CHILD_OUT | CHILD_GROUP, err);
	if (r < 0) {
		w->child = (struct child){ .in = -1, .out = -1, .err = -1 };
		return r;
	}
	w->alive = true;
	w->has = 0;
	r = loop_add_child(w->pool->loop, w->child.pid, ended, w, &w->ended, err);
	if (r == 0)
		r = loop_add_fd(w->pool->loop, w->child.in, 0, writable, w, &w->in, err);
	if (r == 0)
		r = loop_add_fd(w->pool->loop, w->child.out, EPOLLIN, readable, w, &w->out, err);
	if (r < 0)
		kill_worker(w);
	return r;
}

static void overdue(void *arg)
{
	struct worker *w = arg;
	struct err err = { 0 };
	if (w->job) {
		log_warn("solver worker %d overran its limit: killed", (int)w->child.pid);
		kill_worker(w);
		give_up(w, 0, "the time limit came before an answer; the solver had to be killed");
		return;
	}
	if (!w->alive && start(w, &err) < 0) {
		log_error("%s: %s", w->pool->program, err.text);
		loop_set_timer(w->timer, 10 * RESTART_MS, 0);
	}
	feed(w->pool);
}

/* Idle workers take what waits. */
static void feed(struct solve_pool *pool)
{
	for (size_t i = 0; i < pool->n && pool->first; i++) {
		struct worker *w = &pool->workers[i];
		if (!w->alive || w->job || w->child.in < 0)
			continue;
		struct job *job = pool->first;
		pool->first = job->next;
		if (!pool->first)
			pool->last = &pool->first;
		pool->queued--;
		w->job = job;
		job->ahead = job->on && w->has != job->on->version ? job->on->len : 0;
		w->has = job->on ? job->on->version : w->has;
		loop_set_timer(w->timer, job->limit_ms, 0);
		writable(w, EPOLLOUT);
	}
}

/* ---- for the coordinator -------------------------------------------------------------------- */

int solve_pool_new(struct loop *loop, const struct solve_options *options, struct solve_pool **ret, struct err *err)
{
	struct solve_pool *pool = mem_alloc(sizeof(*pool));
	pool->loop = loop;
	pool->program = mem_str(options->program);
	pool->solver = options->solver ? mem_str(options->solver) : NULL;
	pool->grace_ms = options->grace_ms;
	pool->queue_max = options->queue_max;
	pool->last = &pool->first;
	pool->n = options->workers;
	pool->workers = mem_array(pool->n, sizeof(*pool->workers));
	for (size_t i = 0; i < pool->n; i++) {
		pool->workers[i].pool = pool;
		pool->workers[i].child = (struct child){ .in = -1, .out = -1, .err = -1 };
	}
	int r = 0;
	for (size_t i = 0; i < pool->n && r == 0; i++) {
		r = loop_add_timer(loop, -1, 0, overdue, &pool->workers[i], &pool->workers[i].timer, err);
		if (r == 0)
			r = start(&pool->workers[i], err);
	}
	if (r < 0) {
		solve_pool_free(pool);
		return err_add(err, r, "solver");
	}
	*ret = pool;
	return 0;
}

void solve_pool_free(struct solve_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->n; i++) {
		struct worker *w = &pool->workers[i];
		loop_remove(w->ended);
		loop_remove(w->timer);
		kill_worker(w);
		if (w->alive)
			(void)waitpid(w->child.pid, NULL, 0); /* after SIGKILL: at once */
		job_free(w->job);
	}
	while (pool->first) {
		struct job *next = pool->first->next;
		job_free(pool->first);
		pool->first = next;
	}
	standing_drop(pool->newest);
	free(pool->workers);
	free(pool->program);
	free(pool->solver);
	free(pool);
}

static struct standing *standing_of(struct solve_pool *pool, const struct substrate *s, uint64_t version)
{
	if (!pool->newest || pool->newest->version != version) {
		standing_drop(pool->newest);
		pool->newest = mem_alloc(sizeof(*pool->newest));
		*pool->newest = (struct standing){ .users = 1, .version = version };
		worker_substrate_pack(s, &pool->newest->frame, &pool->newest->len);
	}
	pool->newest->users++;
	return pool->newest;
}

int solve_submit(struct solve_pool *pool, struct worker_job *job, uint64_t version, bool first, solve_answer_fn *fn, void *arg, struct err *err)
{
	if (pool->queued >= pool->queue_max)
		return err_set(err, -EBUSY, "%zu requests are waiting to be embedded already; try again later", pool->queued);
	struct job *j = mem_alloc(sizeof(*j));
	j->id = job->id = ++pool->next_id;
	j->on = version ? standing_of(pool, &job->substrate, version) : NULL;
	job->apart = version != 0;
	worker_job_pack(job, &j->frame, &j->len);
	job->apart = false; /* its content is the caller's as before */
	j->limit_ms = (int64_t)(job->time_limit_s * 1000) + pool->grace_ms;
	j->answer = fn;
	j->arg = arg;
	struct job **place = first ? &pool->first : pool->last;
	j->next = *place;
	*place = j;
	if (!j->next)
		pool->last = &j->next;
	pool->queued++;
	feed(pool);
	return 0;
}

size_t solve_waiting(const struct solve_pool *pool)
{
	size_t n = pool->queued;
	for (size_t i = 0; i < pool->n; i++)
		n += pool->workers[i].job != NULL;
	return n;
}

uint64_t solve_killed(const struct solve_pool *pool)
{
	return pool->killed;
}
