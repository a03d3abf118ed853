/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See helper.h. What is known of guests comes from Xen, once a second: a death is noticed within that. */
#include "vnagent/xen/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/ns.h"
#include "vnagent/xen/balance.h"
#include "vnagent/xen/console.h"
#include "vnagent/xen/ctlnet.h"
#include "vnagent/xen/jobs.h"
#include "vnagent/xen/talk.h"

enum { TICK_MS = 1000, JOBS_MAX = 3, WAITS_MAX = 128, TALKS_MAX = 128, REQUESTS_MAX = 4096, VCPUS_MAX = 1024, BALANCE_TICKS = 5 };
enum { CREATE_MS = 300000, DESTROY_MS = 60000, TALK_MS = 30000 };

struct guest {
	struct domain d;
	struct console *console;
	bool seen, died; /* at this tick; told already */
};

struct helper {
	struct helper_options o;
	struct loop *loop;
	struct host *host; /* NULL: no Xen */
	struct err no_xen;
	struct hash *guests; /* by net and router */
	struct request *first, **last;
	size_t n_requests, n_jobs, n_waits, n_talks;
	struct hash *times; /* of vcpus: domid << 32 | id → struct vcpu */
	unsigned ticks;
	char packet[sizeof(struct xen_message) + XEN_TEXT_MAX];
};

static uint64_t key_of(uint32_t net, uint32_t router)
{
	return (uint64_t)net << 32 | router;
}

static void answer(const struct xen_message *to, int code, const char *text)
{
	struct xen_message m = { .type = XEN_DONE, .number = to->number, .net = to->net, .router = to->router, .port = to->port,
		                 .code = code };
	message_send(&m, text, strlen(text), -1, 0);
}

/* ---- guests -------------------------------------------------------------------------------------------- */
static struct request *running(struct helper *h, uint32_t net, uint32_t router)
{
	for (struct request *r = h->first; r; r = r->next)
		if (r->pid && r->m.type != XEN_EXEC && r->m.type != XEN_DIAL && r->m.net == net && r->m.router == router)
			return r;
	return NULL;
}

static struct guest *guest_of(struct helper *h, uint32_t net, uint32_t router)
{
	return hash_get_u64(h->guests, key_of(net, router));
}

static void saw(void *arg, const struct domain *d)
{
	struct helper *h = arg;
	struct err err = { 0 };
	struct guest *g = guest_of(h, d->net, d->router);
	if (g && g->d.domid != d->domid) { /* made anew */
		console_close(g->console);
		g->console = NULL;
		g->died = false;
	}
	if (!g) {
		g = mem_alloc(sizeof(*g));
		hash_put_u64(h->guests, key_of(d->net, d->router), g);
	}
	g->d = *d;
	g->seen = true;
	if (!g->console && !g->died) {
		mem_auto char *path = host_console(h->host, d->domid);
		if (path && *path && console_open(h->loop, path, &g->console, &err))
			log_warn("guest %x of network %x: %s", d->router, d->net, err.text);
	}
	console_tick(g->console);
}

static const char *why_ended(const struct guest *g)
{
	if (!g->seen || g->d.destroyed)
		return "its domain was destroyed by somebody else";
	switch (g->d.reason) {
	case LIBXL_SHUTDOWN_REASON_POWEROFF:
		return "it was shut down from inside";
	case LIBXL_SHUTDOWN_REASON_REBOOT:
		return "it was rebooted from inside";
	case LIBXL_SHUTDOWN_REASON_CRASH:
		return "its kernel crashed";
	case LIBXL_SHUTDOWN_REASON_WATCHDOG:
		return "its watchdog ended it";
	default:
		return "its domain ended";
	}
}

static struct request *enqueue(struct helper *h, const struct xen_message *m, const char *text, const int fds[4]);

/* Takes away what has no use and nobody asks about; without an answer. */
static void clean_up(struct helper *h, const struct domain *d)
{
	static const int none[4] = { -1, -1, -1, -1 };
	struct xen_message m = { .type = XEN_DESTROY, .net = d->net, .router = d->router };
	for (struct request *r = h->first; r; r = r->next)
		if (r->m.net == d->net && r->m.router == d->router && (r->m.type == XEN_DESTROY || r->m.type == XEN_CREATE))
			return;
	struct request *r = enqueue(h, &m, "", none);
	if (r)
		r->cancelled = true; /* no answer */
}

struct review {
	struct helper *h;
	struct xen_load *loads;
	size_t n;
};

static void tell_death(struct helper *h, struct guest *g)
{
	struct buf text = BUF_INIT;
	struct xen_message m = { .type = XEN_DIED, .net = g->d.net, .router = g->d.router };
	g->died = true;
	buf_str(&text, why_ended(g));
	console_tail(g->console, &text);
	log_info("guest %x of network %x: %s", m.router, m.net, buf_cstr(&text));
	message_send(&m, buf_cstr(&text), text.len, -1, 0);
	buf_done(&text);
	if (g->seen)
		clean_up(h, &g->d);
}

/* Whoever talks to a guest that is gone would wait for ever: nothing says so on its connection. */
static void end_talks(struct helper *h, const struct guest *g)
{
	for (struct request *r = h->first; r; r = r->next)
		if (r->pid && (r->m.type == XEN_EXEC || r->m.type == XEN_DIAL) && r->m.net == g->d.net && r->m.router == g->d.router)
			kill(r->pid, SIGKILL);
}

static void review(void *value, void *arg)
{
	struct guest *g = value;
	struct review *v = arg;
	struct request *r = running(v->h, g->d.net, g->d.router);
	bool alive = g->seen && !g->d.shutdown;
	if (!alive)
		end_talks(v->h, g);
	if (alive && g->d.up && v->n < XEN_TEXT_MAX / sizeof(*v->loads))
		v->loads[v->n++] = (struct xen_load){ g->d.net, g->d.router, g->d.cpu_us, g->d.mem_kib };
	if (!alive && r && !r->cleaning && !r->cancelled && r->domid == g->d.domid && (r->m.type == XEN_CREATE || r->m.type == XEN_CONFIGURE)) {
		if (!r->why.code)
			err_set(&r->why, -EIO, r->m.type == XEN_CREATE && !r->ran ? "it did not come up: %s" : "it has ended: %s", why_ended(g));
		kill(r->pid, SIGKILL); /* nothing more will come of it */
	} else if (!alive && !r && !g->died && g->d.up) {
		tell_death(v->h, g);
	}
	if (alive && r && r->m.type == XEN_CREATE && g->d.domid != r->before)
		r->domid = g->d.domid; /* the one that it makes */
	if (!g->seen && !r) {
		hash_del_u64(v->h->guests, key_of(g->d.net, g->d.router));
		console_close(g->console);
		free(g);
	}
}

static void unsee(void *value, void *arg)
{
	((struct guest *)value)->seen = false;
}

static void scan(struct helper *h, bool loads)
{
	struct err err = { 0 };
	struct review v = { .h = h };
	struct xen_message m = { .type = XEN_LOAD };
	hash_each(h->guests, unsee, NULL);
	if (host_domains(h->host, saw, h, &err)) {
		log_warn("%s", err.text);
		return;
	}
	v.loads = mem_alloc(XEN_TEXT_MAX);
	hash_each(h->guests, review, &v);
	if (loads)
		message_send(&m, v.loads, v.n * sizeof(*v.loads), -1, MSG_DONTWAIT);
	free(v.loads);
}

/* ---- balance --------------------------------------------------------------------------------------------- */
struct spread {
	struct helper *h;
	struct vcpu v[VCPUS_MAX];
	struct balance_vcpu b[VCPUS_MAX];
	size_t n;
};

static void gather(void *value, void *arg)
{
	struct guest *g = value;
	struct spread *s = arg;
	if (g->d.up && g->seen && !g->d.shutdown)
		s->n += host_vcpus(s->h->host, g->d.domid, s->v + s->n, VCPUS_MAX - s->n);
}

static void balance(struct helper *h)
{
	struct spread *s = mem_alloc(sizeof(*s));
	struct hash *times = hash_new();
	struct err err = { 0 };
	size_t which;
	uint32_t to;
	s->h = h;
	hash_each(h->guests, gather, s);
	for (size_t i = 0; i < s->n; i++) {
		uint64_t key = (uint64_t)s->v[i].domid << 32 | s->v[i].id;
		const struct vcpu *before = hash_get_u64(h->times, key);
		s->b[i].core = s->v[i].core;
		/* One that goes where it likes would be somewhere else by the time another has made room for it: it stays where it is. */
		if (!s->v[i].placed && host_place(h->host, s->v[i].domid, s->v[i].id, s->v[i].core, &err))
			log_warn("%s", err.text);
		if (before && s->v[i].time_ns > before->time_ns) /* thousandths of a core */
			s->b[i].load_milli = (int64_t)((s->v[i].time_ns - before->time_ns) / (1000000ull * BALANCE_TICKS * TICK_MS / 1000));
		free(hash_put_u64(times, key, mem_dup(&s->v[i], sizeof(s->v[i]))));
	}
	if (balance_move(s->b, s->n, host_cores(h->host), &which, &to)) {
		if (host_place(h->host, s->v[which].domid, s->v[which].id, to, &err))
			log_warn("%s", err.text);
		else
			log_info("domain %u: vcpu %u goes from core %u to %u", s->v[which].domid, s->v[which].id, s->v[which].core, to);
	}
	hash_free(h->times, free);
	h->times = times;
	free(s);
}

/* ---- requests ---------------------------------------------------------------------------------------------- */
static void pump(struct helper *h);

static struct request *enqueue(struct helper *h, const struct xen_message *m, const char *text, const int fds[4])
{
	if (h->n_requests >= REQUESTS_MAX)
		return NULL;
	struct request *r = mem_alloc(sizeof(*r));
	r->m = *m;
	r->text = mem_alloc(m->len + 1u);
	memcpy(r->text, text, m->len);
	memcpy(r->fds, fds, sizeof(r->fds));
	r->result = -1;
	r->owner = h;
	*h->last = r;
	h->last = &r->next;
	h->n_requests++;
	return r;
}

static void forget(struct helper *h, struct request *r)
{
	struct request **at = &h->first;
	while (*at && *at != r)
		at = &(*at)->next;
	if (*at)
		*at = r->next;
	if (h->last == &r->next)
		h->last = at;
	for (int i = 0; i < 4; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	if (r->result >= 0)
		close(r->result);
	h->n_requests--;
	free(r->text);
	free(r);
}

static void finish(struct helper *h, struct request *r, int code, const char *text)
{
	if (r->m.number || !r->cancelled)
		answer(&r->m, code, text);
	forget(h, r);
}

static bool is_talk(const struct request *r)
{
	return r->m.type == XEN_EXEC || r->m.type == XEN_DIAL;
}

/* A create that failed: the reason gets the console's tail, then what is left of it goes, then it is answered. */
static void begin_cleaning(struct helper *h, struct request *r, const struct err *why)
{
	struct buf text = BUF_INIT;
	struct guest *g;
	scan(h, false);
	g = guest_of(h, r->m.net, r->m.router);
	buf_str(&text, why->text);
	if (g)
		console_tail(g->console, &text);
	err_set(&r->why, why->code, "%s", buf_cstr(&text));
	buf_done(&text);
	if (g)
		g->died = true;
	r->cleaning = true;
}

static void job_ended(void *arg, int status)
{
	struct request *r = arg;
	struct helper *h = r->owner;
	struct job_result result = { .code = -EIO };
	struct guest *g = guest_of(h, r->m.net, r->m.router);
	r->pid = 0;
	if (is_talk(r)) {
		h->n_talks--;
		if (r->m.type == XEN_DIAL && (!WIFEXITED(status) || WEXITSTATUS(status)))
			answer(&r->m, -EIO, "the job ended by itself");
		forget(h, r);
		return;
	}
	if (r->waits)
		h->n_waits--;
	else
		h->n_jobs--;
	if (read(r->result, &result, sizeof(result)) != sizeof(result)) {
		result = (struct job_result){ .code = r->why.code ? r->why.code : r->cancelled ? -ECANCELED : -EIO };
		snprintf(result.text, sizeof(result.text), "%s", r->why.code ? r->why.text : r->cancelled ? "cancelled" : "the job ended by itself");
	}
	close(r->result);
	r->result = -1;
	result.text[sizeof(result.text) - 1] = 0;
	struct err why = { .code = result.code };
	memcpy(why.text, result.text, sizeof(why.text));
	if (r->cleaning) {
		if (result.code)
			log_warn("guest %x of network %x: what is left of it cannot be taken away: %s", r->m.router, r->m.net, result.text);
		finish(h, r, r->why.code, r->why.text);
	} else if (r->m.type == XEN_CREATE && result.code && !r->ran && !r->cancelled) {
		begin_cleaning(h, r, &why);
	} else {
		if (r->m.type == XEN_DESTROY && g && !result.code)
			g->died = true;
		if (r->m.type == XEN_CREATE && (!result.code || r->ran)) /* failed though it ran: then its end is told first */
			scan(h, false);
		finish(h, r, result.code, result.text);
	}
	pump(h);
}

static bool is_up(const struct guest *g)
{
	return g && g->d.up && !g->died && !g->d.shutdown;
}

/* What the root of a guest may keep us waiting for. */
static bool waits_for_guest(struct helper *h, const struct request *r)
{
	return !r->cleaning && (r->m.type == XEN_CONFIGURE || (r->m.type == XEN_CREATE && is_up(guest_of(h, r->m.net, r->m.router))));
}

static size_t waits_of(const struct helper *h, uint32_t net)
{
	size_t n = 0;
	for (const struct request *r = h->first; r; r = r->next)
		n += r->pid && r->waits && r->m.net == net;
	return n;
}

/* Making and removing guests is the node's work, a few at a time; guests that do not answer hold up nobody but their own network. */
static bool has_turn(struct helper *h, const struct request *r)
{
	if (r->m.type == XEN_RESIZE)
		return true;
	if (!waits_for_guest(h, r))
		return h->n_jobs < JOBS_MAX;
	return h->n_waits < WAITS_MAX && waits_of(h, r->m.net) < JOBS_MAX;
}

static int start(struct helper *h, struct request *r, struct err *err)
{
	struct guest *g = guest_of(h, r->m.net, r->m.router);
	if (r->m.type == XEN_CREATE && is_up(g)) { /* asked for again, as its ports may have gone with it: then that is told */
		scan(h, false);
		g = guest_of(h, r->m.net, r->m.router);
	}
	bool up = is_up(g);
	int64_t limit_ms = r->m.type == XEN_CREATE && !r->cleaning ? CREATE_MS : r->m.type == XEN_DESTROY || r->cleaning ? DESTROY_MS : TALK_MS;
	if (r->m.type != XEN_CREATE || up)
		r->domid = up ? g->d.domid : 0;
	r->ran = r->m.type == XEN_CREATE && up;
	r->before = g && !up ? g->d.domid : 0;
	r->deadline_ms = clock_ms() + limit_ms;
	int code = job_start(h->host, h->o.images, h->o.script, r, err);
	if (code)
		return code;
	if ((code = loop_add_child(h->loop, r->pid, job_ended, r, NULL, err))) {
		kill(r->pid, SIGKILL);
		r->pid = 0;
		return code;
	}
	r->waits = waits_for_guest(h, r);
	if (is_talk(r))
		h->n_talks++;
	else if (r->waits)
		h->n_waits++;
	else
		h->n_jobs++;
	return 0;
}

static int resize(struct helper *h, const struct request *r, struct err *err)
{
	struct domain_request *q = mem_alloc(sizeof(*q));
	struct guest *g = guest_of(h, r->m.net, r->m.router);
	int code = domain_request_read(r->text, r->m.len, q, err);
	if (!code && (!g || !g->d.up || g->d.shutdown || g->died))
		code = err_set(err, -ENOENT, "no such guest runs");
	if (!code)
		code = domain_check(&q->spec, NULL, host_cores(h->host), host_rtds(h->host), err);
	if (!code)
		code = host_schedule(h->host, g->d.domid, &q->spec, err);
	free(q);
	return code;
}

/* Starts what may start: one job of a router at a time, in their order. */
static void pump(struct helper *h)
{
	struct request *next;
	struct hash *busy = hash_new();
	for (struct request *r = h->first; r; r = next) {
		struct err err = { 0 };
		uint64_t key = key_of(r->m.net, r->m.router);
		next = r->next;
		if (is_talk(r))
			continue;
		bool wait = r->pid || hash_get_u64(busy, key) || !has_turn(h, r);
		if (!wait && r->m.type == XEN_RESIZE) {
			int code = resize(h, r, &err);
			finish(h, r, code, err.text);
			continue;
		}
		hash_put_u64(busy, key, h);
		if (!wait && start(h, r, &err))
			finish(h, r, err.code, err.text);
	}
	hash_free(busy, NULL);
}

/* A destroy ends a create that runs, and all that waits for the router. */
static void cancel(struct helper *h, uint32_t net, uint32_t router)
{
	struct request *next;
	for (struct request *r = h->first; r; r = next) {
		next = r->next;
		if (r->m.net != net || r->m.router != router || is_talk(r) || r->m.type == XEN_DESTROY)
			continue;
		if (r->pid && r->m.type == XEN_CREATE && !r->cleaning) {
			r->cancelled = true;
			kill(r->pid, SIGKILL);
		} else if (!r->pid) {
			finish(h, r, r->cleaning ? r->why.code : -ECANCELED, r->cleaning ? r->why.text : "cancelled");
		}
	}
}

struct listing {
	struct helper *h;
	uint32_t number;
};

static void list_one(void *value, void *arg)
{
	struct guest *g = value;
	const struct listing *l = arg;
	struct helper *h = l->h;
	struct xen_message m = { .type = XEN_LISTED, .number = l->number, .net = g->d.net, .router = g->d.router };
	if (!g->seen || g->died)
		return;
	if (g->d.up && !g->d.shutdown)
		message_send(&m, "", 0, -1, 0);
	else if (!running(h, g->d.net, g->d.router)) /* of a helper that was ended while it made it */
		clean_up(h, &g->d);
}

static void probe(struct helper *h, const struct xen_message *m)
{
	struct xen_host about;
	struct err err = { 0 };
	struct xen_message a = { .type = XEN_PROBED, .number = m->number };
	if (host_describe(h->host, &about, &err)) {
		answer(m, err.code, err.text);
		return;
	}
	for (size_t i = 0, at = 0; i < h->o.images->n; i++)
		if (at + strlen(h->o.images->v[i].name) + 2 < sizeof(about.images))
			at += (size_t)snprintf(about.images + at, sizeof(about.images) - at, "%s\n", h->o.images->v[i].name);
	message_send(&a, &about, sizeof(about), -1, 0);
}

static void join_console(struct helper *h, const struct xen_message *m, int fds[4])
{
	struct guest *g = guest_of(h, m->net, m->router);
	if (g && g->console) {
		console_join(g->console, fds);
	} else {
		talk_end(fds[3], 126, "this guest has no console now");
		for (int i = 0; i < 4; i++)
			close(fds[i]);
	}
	for (int i = 0; i < 4; i++)
		fds[i] = -1;
}

static void refuse(const struct xen_message *m, const int fds[4], int code, const char *text)
{
	if (m->type == XEN_EXEC || m->type == XEN_CONSOLE)
		talk_end(fds[3], 126, text);
	else
		answer(m, code, text);
}

static void handle(struct helper *h, const struct xen_message *m, const char *text, int fds[4])
{
	struct err err = { 0 };
	bool command = m->type == XEN_EXEC || m->type == XEN_CONSOLE, talk = m->type == XEN_EXEC || m->type == XEN_DIAL;
	if (command && fds[3] < 0)
		return;
	if (!h->host || m->type < XEN_PROBE || m->type > XEN_DIAL) {
		refuse(m, fds, h->host ? -EPROTO : -ENODEV, h->host ? "no such request" : h->no_xen.text);
	} else if (m->type == XEN_PROBE) {
		probe(h, m);
	} else if (m->type == XEN_LIST) {
		scan(h, false);
		hash_each(h->guests, list_one, &(struct listing){ h, m->number });
		answer(m, 0, "");
		pump(h);
	} else if (m->type == XEN_CONSOLE) {
		join_console(h, m, fds);
	} else if (talk && h->n_talks >= TALKS_MAX) {
		refuse(m, fds, -EAGAIN, "too many connections into guests at once");
	} else {
		if (m->type == XEN_DESTROY)
			cancel(h, m->net, m->router);
		struct request *r = enqueue(h, m, text, fds);
		if (!r) {
			refuse(m, fds, -EAGAIN, "too many requests at once");
			return;
		}
		for (int i = 0; i < 4; i++)
			fds[i] = -1;
		if (!talk) {
			pump(h);
		} else if (start(h, r, &err)) {
			refuse(m, r->fds, err.code, err.text);
			forget(h, r);
		}
		for (int i = 0; talk && !err.code && i < 4; i++) /* the child's now: their ends must be its ends */
			if (r->fds[i] >= 0) {
				close(r->fds[i]);
				r->fds[i] = -1;
			}
	}
}

static ssize_t receive(struct helper *h, int fds[4])
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { h->packet, sizeof(h->packet) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(XEN_FD, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	for (struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL; c; c = CMSG_NXTHDR(&msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fds, CMSG_DATA(c), len < 4 * sizeof(int) ? len : 4 * sizeof(int));
	}
	return n;
}

static void ready(void *arg, uint32_t events)
{
	struct helper *h = arg;
	struct xen_message m;
	int fds[4] = { -1, -1, -1, -1 };
	ssize_t n = receive(h, fds);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* the agent is gone; guests go on */
		loop_stop(h->loop);
		return;
	}
	memcpy(&m, h->packet, (size_t)n < sizeof(m) ? (size_t)n : sizeof(m));
	if ((size_t)n < sizeof(m) || m.len != (size_t)n - sizeof(m))
		log_warn("a packet of %zd bytes that is no message", n);
	else
		handle(h, &m, h->packet + sizeof(m), fds);
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void tick(void *arg)
{
	struct helper *h = arg;
	int64_t now_ms = clock_ms();
	if (!h->host)
		return;
	for (struct request *r = h->first; r; r = r->next)
		if (r->pid && r->m.type != XEN_EXEC && now_ms > r->deadline_ms) {
			if (!r->why.code)
				err_set(&r->why, -ETIMEDOUT, "it took too long");
			kill(r->pid, SIGKILL);
		}
	scan(h, true);
	if (h->o.balance && ++h->ticks % BALANCE_TICKS == 0)
		balance(h);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void release(void *value, void *arg)
{
	struct guest *g = value;
	console_close(g->console);
	free(g);
}

/* Jobs end with us, by PR_SET_PDEATHSIG; all else is Xen's to keep. */
static void helper_free(struct helper *h)
{
	while (h->first)
		forget(h, h->first);
	if (h->guests)
		hash_each(h->guests, release, NULL);
	hash_free(h->guests, NULL);
	hash_free(h->times, free);
	host_close(h->host);
	if (h->loop)
		loop_free(h->loop);
	free(h);
}

int helper_run(const struct helper_options *options, struct err *err)
{
	struct helper *h = mem_alloc(sizeof(*h));
	uint64_t cookie;
	int ns = -1, code = loop_new(&h->loop, err);
	if (code)
		goto out;
	h->o = *options;
	h->last = &h->first;
	h->guests = hash_new();
	h->times = hash_new();
	signal(SIGPIPE, SIG_IGN);
	code = ns_net_cookie(&cookie, err);
	if (!code && host_open(cookie, &h->host, &h->no_xen))
		log_debug("%s", h->no_xen.text);
	if (!code && h->host && !(code = ctlnet_open(&ns, err)))
		close(ns);
	if (!code)
		code = loop_add_fd(h->loop, XEN_FD, EPOLLIN, ready, h, NULL, err);
	if (!code)
		code = loop_add_timer(h->loop, TICK_MS, TICK_MS, tick, h, NULL, err);
	if (!code)
		code = loop_add_signal(h->loop, SIGTERM, stop, h->loop, NULL, err);
	if (!code)
		code = loop_run(h->loop, err);
out:
	helper_free(h);
	return code;
}
