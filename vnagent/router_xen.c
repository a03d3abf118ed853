/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that are Xen guests. The helper vnagent-xen makes them (xen_wire.h); here is what has been asked of it and not been
 * answered yet, and which guests there are. It may end at any moment: it is started again, ever more rarely while it keeps
 * ending, its guests are listed, and what was not answered is asked again, which is harmless, as all requests are idempotent.
 * What ends it twice is answered as failed. */
#include "vnagent/router_xen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/xen_helper.h"
#include "vnagent/xen_relay.h"

enum {
	TICK_MS = 1000, FIRST_MS = 100, PAUSE_MAX_MS = 30000, CALM_MS = 60000, SYNC_MS = 20000, ATTEMPTS = 3, ASKS_MAX = 8192, RELAYS_MAX = 64,
	PACKETS_A_TURN = 64,
	/* the helper's own limits and a margin; counted from the last answer, as the helper does a few at a time */
	CREATE_MS = 400000, OTHER_MS = 100000
};

/* Asked, not answered. */
struct ask {
	struct ask *next;
	struct xen_message m;
	char *text;
	int fd;        /* DIAL: the end of our pair that gets joined; else -1 */
	bool sent;
	int attempts;  /* how often it was sent */
	int64_t asked_ms;
};

enum guest_state { MAKING, RUNNING, ENDING };
struct guest {
	struct router_key key;
	enum guest_state state;
	uint32_t create, destroy; /* number of the last, while not answered; 0: none */
	bool listed;
	uint64_t cpu_us;
	int64_t mem_kib;
};

struct event {
	struct router_event e;
	char *text;
};

struct xen {
	struct router_options options;
	struct hash *guests;
	struct ask *first, **last;
	size_t n_asks;
	uint32_t number, listing; /* number of the LIST that is not answered; 0: none */
	int fd;                   /* -1: no helper */
	pid_t pid;
	struct loop_source *source, *child, *restart, *tick, *prepare;
	bool writing;             /* waits for room */
	int64_t pause_ms, started_ms, heard_ms;
	VEC(struct event) events;
	struct relays relays;
	char packet[XEN_PACKET_MAX];
};

/* Of the process: set before anything else, probed once. */
static struct router_xen_options options;
static struct xen_host host;

void router_xen_set(const struct router_xen_options *o)
{
	char **images = mem_array(o->n_images + 1, sizeof(*images));
	for (size_t i = 0; i < options.n_images; i++)
		free((char *)options.images[i]);
	free((void *)options.images);
	free((char *)options.helper);
	for (size_t i = 0; i < o->n_images; i++)
		images[i] = mem_str(o->images[i]);
	options = (struct router_xen_options){ mem_str(o->helper), (const char *const *)images, o->n_images, o->balance };
}

/* ---- events -------------------------------------------------------------------------------------------- */
static void tell(struct xen *x, enum router_event_type type, struct router_key key, int code, const char *text)
{
	char *copy = mem_str(text ? text : "");
	*vec_add(&x->events) = (struct event){ { type, key, code, copy }, copy };
}

static bool tell_all(void *arg)
{
	struct xen *x = arg;
	for (size_t i = 0; i < x->events.n; i++) { /* a callback may add some */
		struct event e = x->events.v[i];
		x->options.event(x->options.arg, &e.e);
		free(e.text);
	}
	x->events.n = 0;
	return false;
}

static struct guest *find(struct xen *x, struct router_key key)
{
	return hash_get_u64(x->guests, router_key_u64(key));
}

static struct guest *add(struct xen *x, struct router_key key, enum guest_state state)
{
	struct guest *g = mem_alloc(sizeof(*g));
	*g = (struct guest){ .key = key, .state = state, .mem_kib = -1 };
	hash_put_u64(x->guests, router_key_u64(key), g);
	return g;
}

static void drop(struct xen *x, struct guest *g)
{
	free(hash_del_u64(x->guests, router_key_u64(g->key)));
}

/* ---- asking ------------------------------------------------------------------------------------------ */
static void flush(struct xen *x);

static struct ask *ask(struct xen *x, enum xen_type type, struct router_key key, uint32_t port, const void *text, size_t len)
{
	struct ask *a = mem_alloc(sizeof(*a));
	if (++x->number == 0)
		++x->number;
	*a = (struct ask){ .m = { .type = type, .number = x->number, .net = key.net, .router = key.router, .port = port, .len = (uint32_t)len },
		           .text = mem_alloc(len + 1), .fd = -1, .asked_ms = clock_ms() };
	if (len)
		memcpy(a->text, text, len);
	*x->last = a;
	x->last = &a->next;
	x->n_asks++;
	return a;
}

static void unask(struct xen *x, struct ask *a)
{
	struct ask **at = &x->first;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	if (x->last == &a->next)
		x->last = at;
	x->n_asks--;
	if (a->fd >= 0)
		close(a->fd);
	free(a->text);
	free(a);
}

static void created(struct xen *x, const struct ask *a, int code, const char *text)
{
	struct router_key key = { a->m.net, a->m.router };
	struct guest *g = find(x, key);
	x->heard_ms = clock_ms();
	if (!g || g->create != a->m.number)
		return; /* taken back since */
	g->create = 0;
	if (!code)
		g->state = RUNNING;
	else if (g->state != RUNNING)
		drop(x, g);
	tell(x, code ? ROUTER_EVENT_FAILED : ROUTER_EVENT_READY, key, code, text);
}

static void destroyed(struct xen *x, struct ask *a, int code, const char *text)
{
	struct router_key key = { a->m.net, a->m.router };
	struct guest *g = find(x, key);
	if (!g || g->destroy != a->m.number)
		return;
	g->destroy = 0;
	if (code)
		log_error("guest %x of network %x cannot be removed: %s", key.router, key.net, text);
	if (g->create)
		return; /* is wanted again: that will be told */
	drop(x, g);
	tell(x, ROUTER_EVENT_GONE, key, 0, NULL);
}

/* fd: -1 or a descriptor that came with it, ours. */
static void answered(struct xen *x, struct ask *a, int code, const char *text, int fd)
{
	struct err err = { 0 };
	if (a->m.type == XEN_DESTROY && code && a->attempts < ATTEMPTS) {
		a->sent = false; /* the next tick asks again */
		if (fd >= 0)
			close(fd);
		return;
	}
	switch (a->m.type) {
	case XEN_CREATE:
		created(x, a, code, text);
		break;
	case XEN_DESTROY:
		destroyed(x, a, code, text);
		break;
	case XEN_CONFIGURE:
		tell(x, ROUTER_EVENT_CONFIGURED, (struct router_key){ a->m.net, a->m.router }, code, text);
		break;
	case XEN_DIAL:
		if (!code && fd >= 0) {
			int ours = a->fd, theirs = fd;
			a->fd = fd = -1;
			if (relay_start(&x->relays, x->options.loop, ours, theirs, &err))
				log_warn("a connection into a guest: %s", err.text);
		}
		break;
	default:
		if (code)
			log_warn("guest %x of network %x: %s: %s", a->m.router, a->m.net, a->m.type == XEN_RESIZE ? "its size" : "a port that goes",
			         text);
	}
	if (fd >= 0)
		close(fd);
	unask(x, a);
}

/* ---- the helper's life ---------------------------------------------------------------------------------- */
static void hear(void *arg, uint32_t events);

static void not_listed(void *value, void *arg)
{
	((struct guest *)value)->listed = false;
}

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
		if (a->attempts >= ATTEMPTS || (a->attempts && a->m.type == XEN_DIAL))
			answered(x, a, -EIO, "the helper vnagent-xen ended over it", -1);
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

static int start(struct xen *x, struct err *err)
{
	struct xen_message m = { .type = XEN_LIST };
	int code = xen_helper_start(&options, &x->pid, &x->fd, err);
	if (code)
		return code;
	x->started_ms = clock_ms();
	code = loop_add_child(x->options.loop, x->pid, child_ended, x, &x->child, err);
	if (!code)
		code = loop_add_fd(x->options.loop, x->fd, EPOLLIN, hear, x, &x->source, err);
	x->writing = false;
	hash_each(x->guests, not_listed, NULL);
	if (++x->number == 0)
		++x->number;
	m.number = x->listing = x->number;
	if (!code && xen_helper_send(x->fd, &m, "", 0, 0))
		code = err_set(err, -EIO, "vnagent-xen takes no request");
	return code;
}

static void restart(void *arg)
{
	struct xen *x = arg;
	struct err err = { 0 };
	if (x->child) { /* the one before has not ended yet */
		loop_set_timer(x->restart, FIRST_MS, 0);
		return;
	}
	if (!start(x, &err))
		return;
	log_error("Xen guests: %s", err.text);
	if (x->fd >= 0)
		helper_gone(x, "cannot be used");
	else
		loop_set_timer(x->restart, x->pause_ms = x->pause_ms * 2 < PAUSE_MAX_MS ? x->pause_ms * 2 : PAUSE_MAX_MS, 0);
}

struct missing {
	VEC(struct router_key) keys;
};

static void find_missing(void *value, void *arg)
{
	struct guest *g = value;
	if (g->state == RUNNING && !g->listed)
		*vec_add(&((struct missing *)arg)->keys) = g->key;
}

static void died(struct xen *x, struct router_key key, const char *why)
{
	struct guest *g = find(x, key);
	if (!g || g->state != RUNNING)
		return; /* what is being made or removed is answered by itself */
	if (g->create) /* as its ports had vanished before */
		g->state = MAKING;
	else
		drop(x, g);
	tell(x, ROUTER_EVENT_DIED, key, 0, why);
}

static void listed_all(struct xen *x, int code, const char *text)
{
	struct missing m = { 0 };
	x->listing = 0;
	if (code) {
		helper_gone(x, text);
		return;
	}
	hash_each(x->guests, find_missing, &m);
	for (size_t i = 0; i < m.keys.n; i++)
		died(x, m.keys.v[i], "it ended while nobody was looking");
	vec_done(&m.keys);
	flush(x);
}

static void listed(struct xen *x, struct router_key key)
{
	struct guest *g = find(x, key);
	if (!g)
		g = add(x, key, RUNNING);
	g->listed = true;
}

static void loads(struct xen *x, const char *text, size_t len)
{
	struct xen_load l;
	for (; len >= sizeof(l); text += sizeof(l), len -= sizeof(l)) {
		memcpy(&l, text, sizeof(l));
		struct guest *g = find(x, (struct router_key){ l.net, l.router });
		if (!g)
			continue;
		g->cpu_us = l.cpu_us;
		g->mem_kib = l.mem_kib;
	}
}

static void handle(struct xen *x, const struct xen_message *m, const char *text, int fd)
{
	struct router_key key = { m->net, m->router };
	if (m->type == XEN_DONE && x->listing && m->number == x->listing) {
		listed_all(x, m->code, text);
	} else if (m->type == XEN_DONE) {
		for (struct ask *a = x->first; a; a = a->next)
			if (a->sent && a->m.number == m->number) {
				answered(x, a, m->code > 0 ? -EPROTO : m->code, text, fd);
				return;
			}
	} else if (m->type == XEN_LISTED && x->listing) {
		listed(x, key);
	} else if (m->type == XEN_DIED) {
		died(x, key, *text ? text : "its domain ended");
	} else if (m->type == XEN_LOAD) {
		loads(x, text, m->len);
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
		flush(x);
	for (int i = 0; x->fd >= 0 && i < PACKETS_A_TURN; i++) {
		int code = xen_helper_receive(x->fd, x->packet, &m, &fd);
		if (code == -EAGAIN)
			return;
		if (code) {
			helper_gone(x, code == -EPIPE ? "has closed its connection" : "sent a packet that is no message");
			return;
		}
		handle(x, &m, x->packet + sizeof(m), fd);
	}
}

static void flush(struct xen *x)
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
static void tick(void *arg)
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
		a->attempts = ATTEMPTS;
		answered(x, a, -ETIMEDOUT, x->fd < 0 ? "the helper vnagent-xen does not run" : "the helper vnagent-xen did not answer in time", -1);
		if (create) /* nothing is left of it */
			ask(x, XEN_DESTROY, key, 0, "", 0);
	}
	flush(x);
}

/* ---- the table --------------------------------------------------------------------------------------------- */
/* Waits for one packet, before there is a loop. */
static int receive_now(int fd, char *packet, struct xen_message *ret, int64_t until_ms, struct err *err)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until_ms - clock_ms();
		int extra, code = xen_helper_receive(fd, packet, ret, &extra);
		if (!code && extra >= 0)
			close(extra);
		if (code != -EAGAIN)
			return code ? err_set(err, code, "the helper vnagent-xen ended at once") : 0;
		if (left <= 0)
			return err_set(err, -ETIMEDOUT, "the helper vnagent-xen does not answer within %d s", SYNC_MS / 1000);
		(void)poll(&p, 1, (int)left);
	}
}

static int ask_host(int fd, struct err *err)
{
	mem_auto char *packet = mem_alloc(XEN_PACKET_MAX);
	struct xen_message m = { .type = XEN_PROBE, .number = 1 };
	int64_t until_ms = clock_ms() + SYNC_MS;
	int code = xen_helper_send(fd, &m, "", NULL, 0);
	if (code)
		return err_set(err, code, "the helper vnagent-xen takes no request");
	while (!(code = receive_now(fd, packet, &m, until_ms, err))) {
		if (m.type == XEN_PROBED && m.len == sizeof(host)) {
			memcpy(&host, packet + sizeof(m), sizeof(host));
			host.version[sizeof(host.version) - 1] = host.scheduler[sizeof(host.scheduler) - 1] = host.images[sizeof(host.images) - 1] = 0;
			return 0;
		}
		if (m.type == XEN_DONE && m.number == 1)
			return err_set(err, m.code < 0 ? m.code : -EPROTO, "%s", packet + sizeof(m));
	}
	return code;
}

static int xen_probe(struct err *err)
{
	pid_t pid;
	int fd;
	host = (struct xen_host){ 0 };
	if (!options.helper && access("/sys/hypervisor/type", F_OK) < 0)
		return err_set(err, -ENODEV, "no Xen here: this kernel runs on no hypervisor of the kind");
	int code = xen_helper_start(&options, &pid, &fd, err);
	if (!code) {
		code = ask_host(fd, err);
		close(fd);
		kill(pid, SIGKILL); /* it was asked, it has nothing to leave in order */
		(void)waitpid(pid, NULL, 0);
	}
	return code ? err_add(err, code, "no Xen here") : 0;
}

static void xen_describe(struct node_probe *p, struct probe_kind *k)
{
	k->mem_kib = host.mem_total_kib;
	k->cores = host.cores;
	k->routers = host.guests_max;
	k->ports = host.ports_max < XEN_PORTS_MAX ? host.ports_max : XEN_PORTS_MAX;
	snprintf(k->why, sizeof(k->why), "Xen %s, %s, %s, %lld of %lld MiB free", host.version, host.scheduler, host.pvh ? "PVH" : "PV",
	         (long long)host.mem_free_kib / 1024, (long long)host.mem_total_kib / 1024);
	for (char *at = host.images, *end; (end = strchr(at, '\n')); at = end + 1) {
		p->images = mem_grow(p->images, p->n_images + 1, sizeof(*p->images));
		p->images[p->n_images++] = mem_strn(at, (size_t)(end - at));
	}
}

static bool xen_realtime(void)
{
	return !strcmp(host.scheduler, "rtds");
}

static void xen_close(void *self)
{
	struct xen *x = self;
	while (x->first)
		unask(x, x->first);
	relays_done(&x->relays);
	for (size_t i = 0; i < x->events.n; i++)
		free(x->events.v[i].text);
	vec_done(&x->events);
	struct loop_source *sources[] = { x->source, x->child, x->restart, x->tick, x->prepare };
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		loop_remove(sources[i]);
	if (x->fd >= 0)
		close(x->fd); /* it ends by that */
	if (x->child)
		(void)waitpid(x->pid, NULL, WNOHANG);
	hash_free(x->guests, free);
	free(x);
}

static int xen_open(const struct router_options *o, void **ret_self, struct err *err)
{
	struct xen *x = mem_alloc(sizeof(*x));
	struct xen_message m;
	int64_t until_ms = clock_ms() + SYNC_MS;
	x->options = *o;
	x->fd = -1;
	x->last = &x->first;
	x->guests = hash_new();
	int code = loop_add_prepare(o->loop, tell_all, x, &x->prepare, err);
	if (!code)
		code = loop_add_timer(o->loop, -1, 0, restart, x, &x->restart, err);
	if (!code)
		code = loop_add_timer(o->loop, TICK_MS, TICK_MS, tick, x, &x->tick, err);
	if (!code)
		code = start(x, err);
	while (!code && x->listing && !(code = receive_now(x->fd, x->packet, &m, until_ms, err)))
		handle(x, &m, x->packet + sizeof(m), -1);
	if (!code && x->fd < 0)
		code = err_set(err, -EIO, "the helper vnagent-xen cannot list its guests");
	if (code) {
		xen_close(x);
		return err_add(err, code, "Xen guests");
	}
	*ret_self = x;
	return 0;
}

struct listing {
	VEC(struct router_key) keys;
};

static void list_one(void *value, void *arg)
{
	*vec_add(&((struct listing *)arg)->keys) = ((struct guest *)value)->key;
}

static void xen_list(void *self, struct router_key **ret, size_t *ret_n)
{
	struct listing l = { 0 };
	hash_each(((struct xen *)self)->guests, list_one, &l);
	*ret = l.keys.v;
	*ret_n = l.keys.n;
}

static bool xen_running(void *self, struct router_key key)
{
	const struct guest *g = find(self, key);
	return g && g->state == RUNNING;
}

static void put_spec(const struct router_spec *s, struct buf *out)
{
	struct xen_spec spec = { .cpu_milli = s->cpu_milli, .mem_kib = s->mem_kib > GUEST_KIB_MIN ? s->mem_kib : GUEST_KIB_MIN,
		                 .rt_period_us = s->rt_period_us, .rt_budget_us = s->rt_budget_us, .n_ports = (uint32_t)s->n_ports };
	snprintf(spec.name, sizeof(spec.name), "%.63s", s->name);
	snprintf(spec.image, sizeof(spec.image), "%.63s", s->image ? s->image : "");
	buf_add(out, &spec, sizeof(spec));
	for (size_t i = 0; i < s->n_ports; i++) {
		struct xen_port p = { .id = s->ports[i]->id, .mtu = s->ports[i]->mtu };
		memcpy(p.mac, s->ports[i]->mac, sizeof(p.mac));
		buf_add(out, &p, sizeof(p));
	}
	buf_str(out, s->setup ? s->setup : "");
}

/* A router's asks of a type are of no use any more; a late answer finds nobody. */
static void unask_all(struct xen *x, struct router_key key)
{
	struct ask *next;
	for (struct ask *a = x->first; a; a = next) {
		next = a->next;
		if (a->m.net == key.net && a->m.router == key.router && a->m.type != XEN_DIAL)
			unask(x, a);
	}
}

static void xen_create(void *self, const struct router_spec *s)
{
	struct xen *x = self;
	struct guest *g = find(x, s->key);
	buf_auto struct buf text = BUF_INIT;
	put_spec(s, &text);
	if (s->n_ports > XEN_PORTS_MAX) {
		char why[80];
		snprintf(why, sizeof(why), "%zu ports; a guest has at most %d", s->n_ports, XEN_PORTS_MAX);
		tell(x, ROUTER_EVENT_FAILED, s->key, -E2BIG, why);
		return;
	}
	if (text.len > XEN_TEXT_MAX || x->n_asks >= ASKS_MAX) {
		tell(x, ROUTER_EVENT_FAILED, s->key, -E2BIG, text.len > XEN_TEXT_MAX ? "too many routes for a guest" : "too many requests at once");
		return;
	}
	if (!g)
		g = add(x, s->key, MAKING);
	if (g->create)
		return; /* its end will be told */
	if (g->state == ENDING)
		g->state = MAKING;
	g->create = ask(x, XEN_CREATE, s->key, 0, text.data, text.len)->m.number;
	flush(x);
}

static void xen_destroy(void *self, struct router_key key)
{
	struct xen *x = self;
	struct guest *g = find(x, key);
	if (!g) {
		tell(x, ROUTER_EVENT_GONE, key, 0, NULL);
		return;
	}
	unask_all(x, key);
	g->state = ENDING;
	g->create = 0;
	g->destroy = ask(x, XEN_DESTROY, key, 0, "", 0)->m.number;
	flush(x);
}

static int xen_resize(void *self, const struct router_spec *s, struct err *err)
{
	struct xen *x = self;
	struct router_spec bare = *s;
	buf_auto struct buf text = BUF_INIT;
	if (!xen_running(self, s->key))
		return err_set(err, -ENOENT, "the guest does not run");
	bare.n_ports = 0;
	bare.setup = NULL;
	put_spec(&bare, &text);
	ask(x, XEN_RESIZE, s->key, 0, text.data, text.len);
	flush(x);
	return 0;
}

static void xen_configure(void *self, struct router_key key, const char *setup)
{
	struct xen *x = self;
	size_t len = strlen(setup);
	if (len > XEN_TEXT_MAX || !xen_running(self, key)) {
		tell(x, ROUTER_EVENT_CONFIGURED, key, len > XEN_TEXT_MAX ? -E2BIG : -ENOENT,
		     len > XEN_TEXT_MAX ? "too many routes for a guest" : "the guest does not run");
		return;
	}
	ask(x, XEN_CONFIGURE, key, 0, setup, len);
	flush(x);
}

static void xen_detach(void *self, struct router_key key, uint32_t port)
{
	if (!xen_running(self, key))
		return;
	ask(self, XEN_DETACH, key, port, "", 0);
	flush(self);
}

static int xen_dial(void *self, struct router_key key, const char *path, int *ret_fd, struct err *err)
{
	struct xen *x = self;
	int pair[2];
	if (!xen_running(self, key))
		return err_set(err, -ENOENT, "the guest does not run");
	if (x->relays.n >= RELAYS_MAX)
		return err_set(err, -EAGAIN, "too many connections into guests at once");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(err, -errno, "a connection into a guest");
	ask(x, XEN_DIAL, key, 0, path, strlen(path))->fd = pair[1];
	*ret_fd = pair[0];
	flush(x);
	return 0;
}

static int hand_over(struct xen *x, enum xen_type type, struct router_key key, const struct router_command *c, const struct buf *words,
                     struct err *err)
{
	struct xen_message m = { .type = type, .net = key.net, .router = key.router, .len = (uint32_t)words->len };
	int fds[] = { c->in, c->out, c->error, c->control };
	if (!xen_running(x, key))
		return err_set(err, -ENOENT, "the router does not run");
	int code = x->fd < 0 ? -EAGAIN : xen_helper_send(x->fd, &m, words->data, fds, ARRAY_LEN(fds));
	return code ? err_set(err, code, "the helper vnagent-xen takes no command now; try again") : 0;
}

static int xen_exec(void *self, struct router_key key, const struct router_command *c, struct err *err)
{
	buf_auto struct buf words = BUF_INIT;
	for (size_t i = 0; i < c->argc; i++)
		buf_add(&words, c->argv[i], strlen(c->argv[i]) + 1);
	if (words.len > SPAWN_ARGS_MAX)
		return err_set(err, -E2BIG, "arguments of %zu bytes; expected at most %d", words.len, SPAWN_ARGS_MAX);
	return hand_over(self, XEN_EXEC, key, c, &words, err);
}

static int xen_console(void *self, struct router_key key, const struct router_command *c, struct err *err)
{
	struct buf nothing = BUF_INIT;
	return hand_over(self, XEN_CONSOLE, key, c, &nothing, err);
}

static int xen_netns(void *self, struct router_key key)
{
	return -1;
}

static void xen_load_of(void *self, struct router_key key, uint64_t *ret_cpu_us, int64_t *ret_mem_kib)
{
	const struct guest *g = find(self, key);
	*ret_cpu_us = g ? g->cpu_us : 0;
	*ret_mem_kib = g ? g->mem_kib : -1;
}

const struct router_driver router_xen = {
	.kind = KIND_GUEST,
	.ports = ROUTER_PORTS_DRIVER,
	.probe = xen_probe,
	.describe = xen_describe,
	.realtime = xen_realtime,
	.open = xen_open,
	.close = xen_close,
	.list = xen_list,
	.running = xen_running,
	.create = xen_create,
	.destroy = xen_destroy,
	.resize = xen_resize,
	.configure = xen_configure,
	.detach = xen_detach,
	.dial = xen_dial,
	.console = xen_console,
	.netns = xen_netns,
	.exec = xen_exec,
	.load = xen_load_of,
};
