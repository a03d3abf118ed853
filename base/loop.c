/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event loop. Descriptors, signals (signalfd) and children (pidfd) are all descriptors in
 * one epoll; timers stand in a heap that gives the wait its timeout; prepare hooks run before
 * every wait.
 *
 * A source that is removed while the loop is dispatching may still be named by an event that
 * was already fetched, so it is only marked then, and freed once the round is over. */
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"

enum source_type { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_CHILD, SOURCE_PREPARE };

struct loop_source {
	struct loop *loop;
	struct loop_source **list;       /* loop->live or loop->hooks */
	struct loop_source *prev, *next; /* in it; next stays readable once removed, for who walks */
	struct loop_source *next_dead;
	enum source_type type;
	bool removed;
	int fd;             /* -1: none in epoll; owned but for SOURCE_FD */
	pid_t pid;          /* SOURCE_CHILD */
	int64_t due_us;     /* SOURCE_TIMER */
	int64_t repeat_us;
	size_t place;       /* in the heap, or NO_PLACE */
	void *arg;
	union {
		void (*ready)(void *arg, uint32_t events);
		void (*due)(void *arg);
		void (*caught)(void *arg);
		void (*ended)(void *arg, int status);
		bool (*prepare)(void *arg);
	} call;
};

struct loop {
	int epoll;
	bool stopped;
	bool dispatching;
	struct loop_source *live, *hooks; /* all but hooks; hooks, which run in every round */
	struct loop_source *dead;         /* removed in this round */
	struct loop_source **heap; /* timers that are on, the soonest first */
	size_t n_heap, cap_heap;
};

#define NO_PLACE SIZE_MAX
enum { EVENTS_PER_ROUND = 64 };

int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

int64_t clock_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + fault_wall_ms();
}

/* ---- the heap of timers ---- */

static void heap_set(struct loop *loop, size_t place, struct loop_source *timer)
{
	loop->heap[place] = timer;
	timer->place = place;
}

static void heap_up(struct loop *loop, size_t place)
{
	struct loop_source *timer = loop->heap[place];

	for (; place && loop->heap[(place - 1) / 2]->due_us > timer->due_us; place = (place - 1) / 2)
		heap_set(loop, place, loop->heap[(place - 1) / 2]);
	heap_set(loop, place, timer);
}

static void heap_down(struct loop *loop, size_t place)
{
	struct loop_source *timer = loop->heap[place];

	for (size_t child; (child = 2 * place + 1) < loop->n_heap; place = child) {
		if (child + 1 < loop->n_heap && loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
			child++;
		if (loop->heap[child]->due_us >= timer->due_us)
			break;
		heap_set(loop, place, loop->heap[child]);
	}
	heap_set(loop, place, timer);
}

static void heap_remove(struct loop_source *timer)
{
	struct loop *loop = timer->loop;
	size_t place = timer->place;

	if (place == NO_PLACE)
		return;
	timer->place = NO_PLACE;
	struct loop_source *last = loop->heap[--loop->n_heap];

	if (last == timer)
		return;
	heap_set(loop, place, last);
	heap_up(loop, place);
	heap_down(loop, last->place);
}

static void heap_add(struct loop_source *timer)
{
	struct loop *loop = timer->loop;

	if (loop->n_heap == loop->cap_heap) {
		loop->cap_heap = loop->cap_heap ? loop->cap_heap * 2 : 16;
		loop->heap = mem_grow(loop->heap, loop->cap_heap, sizeof(*loop->heap));
	}
	heap_set(loop, loop->n_heap++, timer);
	heap_up(loop, timer->place);
}

/* ---- sources ---- */

static struct loop_source *source_new(struct loop *loop, enum source_type type, void *arg)
{
	struct loop_source *source = mem_alloc(sizeof(*source));

	source->loop = loop;
	source->type = type;
	source->fd = -1;
	source->place = NO_PLACE;
	source->arg = arg;
	source->list = type == SOURCE_PREPARE ? &loop->hooks : &loop->live;
	source->next = *source->list;
	if (source->next)
		source->next->prev = source;
	*source->list = source;
	return source;
}

static void source_close(struct loop_source *source)
{
	if (source->fd < 0)
		return;
	/* fails where the caller has closed its descriptor already, which is as good */
	(void)epoll_ctl(source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	if (source->type != SOURCE_FD)
		close(source->fd);
	source->fd = -1;
}

void loop_remove(struct loop_source *source)
{
	if (!source || source->removed)
		return;
	struct loop *loop = source->loop;

	source->removed = true;
	source_close(source);
	heap_remove(source);
	if (source->prev)
		source->prev->next = source->next;
	else
		*source->list = source->next;
	if (source->next)
		source->next->prev = source->prev;
	if (!loop->dispatching) {
		free(source);
		return;
	}
	source->next_dead = loop->dead;
	loop->dead = source;
}

static void loop_bury(struct loop *loop)
{
	while (loop->dead) {
		struct loop_source *source = loop->dead;

		loop->dead = source->next_dead;
		free(source);
	}
}

int loop_new(struct loop **ret, struct err *err)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return err_sys(err, -errno, "event loop: epoll_create1");
	struct loop *loop = mem_alloc(sizeof(*loop));

	loop->epoll = fd;
	*ret = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->live)
		loop_remove(loop->live);
	while (loop->hooks)
		loop_remove(loop->hooks);
	loop_bury(loop);
	close(loop->epoll);
	free(loop->heap);
	free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

static int source_watch(struct loop_source *source, int fd, uint32_t events, struct err *err)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(source->loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return err_sys(err, -errno, "event loop: cannot watch descriptor %d", fd);
	source->fd = fd;
	return 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events,
                void (*ready)(void *arg, uint32_t events), void *arg,
                struct loop_source **ret, struct err *err)
{
	struct loop_source *source = source_new(loop, SOURCE_FD, arg);
	int r = source_watch(source, fd, events, err);

	if (r < 0) {
		loop_remove(source);
		return r;
	}
	source->call.ready = ready;
	if (ret)
		*ret = source;
	return 0;
}

int loop_set_events(struct loop_source *source, uint32_t events, struct err *err)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return err_sys(err, -errno, "event loop: cannot watch descriptor %d", source->fd);
	return 0;
}

int loop_add_timer(struct loop *loop, int64_t delay_ms, int64_t repeat_ms, void (*due)(void *arg),
                   void *arg, struct loop_source **ret, struct err *err)
{
	struct loop_source *source = source_new(loop, SOURCE_TIMER, arg);

	(void)err;
	source->call.due = due;
	loop_set_timer(source, delay_ms, repeat_ms);
	if (ret)
		*ret = source;
	return 0;
}

void loop_set_timer(struct loop_source *source, int64_t delay_ms, int64_t repeat_ms)
{
	static const int64_t max_ms = INT64_C(1000) * 86400 * 36500; /* a hundred years: never */

	if (source->removed)
		return;
	heap_remove(source);
	if (delay_ms < 0)
		return;
	source->due_us = clock_us() + (delay_ms < max_ms ? delay_ms : max_ms) * 1000;
	source->repeat_us = repeat_ms > 0 ? (repeat_ms < max_ms ? repeat_ms : max_ms) * 1000 : 0;
	heap_add(source);
}

int loop_add_signal(struct loop *loop, int signo, void (*caught)(void *arg), void *arg,
                    struct loop_source **ret, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	if (sigaddset(&set, signo) < 0)
		return err_sys(err, -errno, "event loop: signal %d", signo);
	int r = pthread_sigmask(SIG_BLOCK, &set, NULL);

	if (r)
		return err_sys(err, -r, "event loop: cannot block signal %d", signo);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		return err_sys(err, -errno, "event loop: signalfd");
	struct loop_source *source = source_new(loop, SOURCE_SIGNAL, arg);

	source->call.caught = caught;
	r = source_watch(source, fd, EPOLLIN, err);
	if (r < 0) {
		close(fd);
		loop_remove(source);
		return r;
	}
	if (ret)
		*ret = source;
	return 0;
}

int loop_add_child(struct loop *loop, pid_t pid, void (*ended)(void *arg, int status), void *arg,
                   struct loop_source **ret, struct err *err)
{
	int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return err_sys(err, -errno, "event loop: cannot watch process %d", (int)pid);
	struct loop_source *source = source_new(loop, SOURCE_CHILD, arg);

	source->pid = pid;
	source->call.ended = ended;
	int r = source_watch(source, fd, EPOLLIN, err);

	if (r < 0) {
		close(fd);
		loop_remove(source);
		return r;
	}
	if (ret)
		*ret = source;
	return 0;
}

int loop_add_prepare(struct loop *loop, bool (*prepare)(void *arg), void *arg,
                     struct loop_source **ret, struct err *err)
{
	struct loop_source *source = source_new(loop, SOURCE_PREPARE, arg);

	(void)err;
	source->call.prepare = prepare;
	if (ret)
		*ret = source;
	return 0;
}

/* ---- a round ---- */

static bool loop_prepare(struct loop *loop)
{
	bool more = false;

	for (struct loop_source *s = loop->hooks; s; s = s->next)
		if (!s->removed && s->call.prepare(s->arg))
			more = true;
	return more;
}

/* How long to wait: to the millisecond after the next timer is due, so that none fires early. */
static int loop_timeout_ms(const struct loop *loop)
{
	if (!loop->n_heap)
		return -1;
	int64_t wait_us = loop->heap[0]->due_us - clock_us();

	if (wait_us <= 0)
		return 0;
	int64_t wait_ms = (wait_us + 999) / 1000;

	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

static void source_caught(struct loop_source *source)
{
	struct signalfd_siginfo info;

	/* one report however often it came: signals of one number are merged anyway */
	if (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		source->call.caught(source->arg);
}

static void source_ended(struct loop_source *source)
{
	int status = 0;
	pid_t pid = waitpid(source->pid, &status, WNOHANG);

	if (pid == 0 || (pid < 0 && errno == EINTR))
		return;
	if (pid < 0)
		status = 0; /* somebody else has reaped it: that it ended is all that is known */
	source_close(source);
	source->call.ended(source->arg, status);
}

static void loop_dispatch_event(const struct epoll_event *event)
{
	struct loop_source *source = event->data.ptr;

	if (source->removed)
		return;
	if (source->type == SOURCE_FD)
		source->call.ready(source->arg, event->events);
	else if (source->type == SOURCE_SIGNAL)
		source_caught(source);
	else if (source->type == SOURCE_CHILD)
		source_ended(source);
}

/* Fires what was due when it was called. A callback that sets timers of delay 0 gets them in
 * the next round, behind the descriptors. */
static void loop_dispatch_timers(struct loop *loop)
{
	int64_t now_us = clock_us();

	for (size_t n = loop->n_heap; n && loop->n_heap && !loop->stopped; n--) {
		struct loop_source *timer = loop->heap[0];

		if (timer->due_us > now_us)
			break;
		heap_remove(timer);
		if (timer->repeat_us) {
			/* beats that were missed are skipped, not made up for */
			timer->due_us += timer->repeat_us;
			if (timer->due_us <= now_us)
				timer->due_us = now_us + timer->repeat_us;
			heap_add(timer);
		}
		timer->call.due(timer->arg);
	}
}

static int loop_round(struct loop *loop, struct err *err)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	bool more = loop_prepare(loop);

	if (loop->stopped)
		return 0;
	int n = epoll_wait(loop->epoll, events, EVENTS_PER_ROUND, more ? 0 : loop_timeout_ms(loop));

	if (n < 0 && errno != EINTR)
		return err_sys(err, -errno, "event loop: epoll_wait");
	for (int i = 0; i < n && !loop->stopped; i++)
		loop_dispatch_event(&events[i]);
	if (!loop->stopped)
		loop_dispatch_timers(loop);
	return 0;
}

int loop_run(struct loop *loop, struct err *err)
{
	int r = 0;

	while (!loop->stopped && r == 0) {
		loop->dispatching = true;
		r = loop_round(loop, err);
		loop->dispatching = false;
		loop_bury(loop);
	}
	loop->stopped = false;
	return r;
}
