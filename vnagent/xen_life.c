/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The helper's life, and the packets to and from it. It may end at any moment: it is started again, ever more rarely while it keeps
 * ending, its guests are listed, and what was not answered is asked again, which is harmless, as all requests are idempotent.
 * What ends it twice is answered as failed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "vnagent/xen_impl.h"

enum {
	FIRST_MS = 100, PAUSE_MAX_MS = 30000, CALM_MS = 60000, PACKETS_A_TURN = 64,
	/* the helper's own limits and a margin; counted from the last answer, as the helper does a few at a time */
	CREATE_MS = 400000, OTHER_MS = 100000
};

static void hear(void *arg, uint32_t events);

static void helper_gone(struct xen *x, const char *why)
{
	struct ask *next;
	if (x->fd < 0)
		return;
	loop_remove(x->source);
	x->source = NULL;
	close(x->fd);
	x->fd = -1;
	x->listing = 0;
	if (x->child)
		kill(x->pid, SIGKILL); /* not ended yet: it speaks nonsense; it is waited for still */
	x->pause_ms = !x->pause_ms || clock_ms() - x->started_ms > CALM_MS ? FIRST_MS : x->pause_ms * 2 < PAUSE_MAX_MS ? x->pause_ms * 2 : PAUSE_MAX_MS;
	log_warn("vnagent-xen %s; it is started again in %lld ms, guests go on", why, (long long)x->pause_ms);
	loop_set_timer(x->restart, x->pause_ms, 0);
	for (struct ask *a = x->first; a; a = next) {
		next = a->next;
		a->sent = false;
		if (a->attempts >= XEN_ATTEMPTS || (a->attempts && a->m.type == XEN_DIAL))
			xen_answered(x, a, -EIO, "the helper vnagent-xen ended over it", -1);
	}
}

static void child_ended(void *arg, int status)
{
	struct xen *x = arg;
	char why[64];
	loop_remove(x->child);
	x->child = NULL;
	x->pid = 0;
	snprintf(why, sizeof(why), WIFSIGNALED(status) ? "was ended by signal %d" : "ended with code %d",
	         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	helper_gone(x, why);
}

int xen_start(struct xen *x, struct err *err)
{
	struct xen_message m = { .type = XEN_LIST };
	int code = xen_helper_start(xen_options(), &x->pid, &x->fd, err);
	if (code)
		return code;
	x->started_ms = clock_ms();
	code = loop_add_child(x->options.loop, x->pid, child_ended, x, &x->child, err);
	if (!code)
		code = loop_add_fd(x->options.loop, x->fd, EPOLLIN, hear, x, &x->source, err);
	x->writing = false;
	xen_unlist_all(x);
	if (++x->number == 0)
		++x->number;
	m.number = x->listing = x->number;
	if (!code && xen_helper_send(x->fd, &m, "", 0, 0))
		code = err_set(err, -EIO, "vnagent-xen takes no request");
	return code;
}

void xen_restart(void *arg)
{
	struct xen *x = arg;
	struct err err = { 0 };
	if (x->child) { /* the one before has not ended yet */
		loop_set_timer(x->restart, FIRST_MS, 0);
		return;
	}
	if (!xen_start(x, &err))
		return;
	log_error("Xen guests: %s", err.text);
	if (x->fd >= 0)
		helper_gone(x, "cannot be used");
	else
		loop_set_timer(x->restart, x->pause_ms = x->pause_ms * 2 < PAUSE_MAX_MS ? x->pause_ms * 2 : PAUSE_MAX_MS, 0);
}

static void listed_all(struct xen *x, int code, const char *text)
{
	x->listing = 0;
	if (code) {
		helper_gone(x, text);
		return;
	}
	xen_end_unlisted(x);
	xen_flush(x);
}

void xen_handle(struct xen *x, const struct xen_message *m, const char *text, int fd)
{
	struct router_key key = { m->net, m->router };
	if (m->type == XEN_DONE && x->listing && m->number == x->listing) {
		listed_all(x, m->code, text);
	} else if (m->type == XEN_DONE) {
		for (struct ask *a = x->first; a; a = a->next)
			if (a->sent && a->m.number == m->number) {
				xen_answered(x, a, m->code > 0 ? -EPROTO : m->code, text, fd);
				return;
			}
	} else if (m->type == XEN_LISTED && x->listing) {
		xen_found(x, key);
	} else if (m->type == XEN_DIED) {
		xen_died(x, key, *text ? text : "its domain ended");
	} else if (m->type == XEN_LOAD) {
		xen_loads(x, text, m->len);
	}
	if (fd >= 0)
		close(fd);
}

static void hear(void *arg, uint32_t events)
{
	struct xen *x = arg;
	struct xen_message m;
	int fd;
	if (events & EPOLLOUT)
		xen_flush(x);
	for (int i = 0; x->fd >= 0 && i < PACKETS_A_TURN; i++) {
		int code = xen_helper_receive(x->fd, x->packet, &m, &fd);
		if (code == -EAGAIN)
			return;
		if (code) {
			helper_gone(x, code == -EPIPE ? "has closed its connection" : "sent a packet that is no message");
			return;
		}
		xen_handle(x, &m, x->packet + sizeof(m), fd);
	}
}

void xen_flush(struct xen *x)
{
	struct err err = { 0 };
	bool full = false;
	if (x->fd < 0 || x->listing)
		return;
	for (struct ask *a = x->first; a && !full; a = a->next) {
		if (a->sent)
			continue;
		int code = xen_helper_send(x->fd, &a->m, a->text, NULL, 0);
		full = code == -EAGAIN;
		if (code && !full)
			return; /* it is gone: that is heard */
		if (full)
			break;
		a->sent = true;
		a->attempts++;
	}
	if (full != x->writing && !loop_set_events(x->source, EPOLLIN | (full ? EPOLLOUT : 0), &err))
		x->writing = full;
}

/* What is overdue: the helper bounds its jobs itself, so it hangs. */
void xen_tick(void *arg)
{
	struct xen *x = arg;
	struct ask *next;
	int64_t now = clock_ms();
	for (struct ask *a = x->first; a; a = next) {
		next = a->next;
		int64_t since = a->m.type == XEN_CREATE && x->heard_ms > a->asked_ms ? x->heard_ms : a->asked_ms;
		if (now - since < (a->m.type == XEN_CREATE ? CREATE_MS : OTHER_MS))
			continue;
		struct router_key key = { a->m.net, a->m.router };
		bool create = a->m.type == XEN_CREATE && a->sent;
		a->attempts = XEN_ATTEMPTS;
		xen_answered(x, a, -ETIMEDOUT, x->fd < 0 ? "the helper vnagent-xen does not run" : "the helper vnagent-xen did not answer in time", -1);
		if (create) /* nothing is left of it */
			xen_ask(x, XEN_DESTROY, key, 0, "", 0);
	}
	xen_flush(x);
}
