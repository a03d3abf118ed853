/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See watch.h. */
#include "vnagent/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"

enum { AGAIN_MS = 1000, AGAIN_MAX_MS = 60000, PACKETS_MAX = 64, OUT_MAX = 1 << 16 };
static const char socket_name[] = "watch.sock";

struct packet {
	struct packet *next;
	size_t len;
	uint8_t data[];
};

struct net_guards {
	uint32_t net;
	struct watch_guard *v;
	size_t n;
};

struct watch {
	struct watch_options options;
	int fd;
	bool greeted; /* it has said hello, and is told what changes */
	struct loop_source *source, *again, *child;
	int64_t again_ms; /* grows while it cannot be started */
	struct hash *nets;   /* number → net_guards */
	struct watch_link *links;
	size_t n_links;
	struct hash *link_states, *guard_states; /* slink → state; (net, port) → state */
	struct packet *first, *last;
	size_t n_out;
};

static void connect_to_it(struct watch *w);

static uint64_t guard_key(uint32_t net, uint32_t port)
{
	return (uint64_t)net << 32 | port;
}

/* ---- sending -------------------------------------------------------------------------------------------- */
static void hang_up(struct watch *w)
{
	loop_remove(w->source);
	w->source = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->greeted = false;
	while (w->first) {
		struct packet *p = w->first;
		w->first = p->next;
		free(p);
	}
	w->last = NULL;
	w->n_out = 0;
}

static void lost(struct watch *w, const char *why)
{
	log_warn("vnagent-watch: %s; it is looked for again", why);
	hang_up(w);
	loop_set_timer(w->again, AGAIN_MS, 0);
}

static void flush(struct watch *w)
{
	struct err err = { 0 };
	while (w->first) {
		struct packet *p = w->first;
		if (send(w->fd, p->data, p->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				lost(w, strerror(errno));
			else if (loop_set_events(w->source, EPOLLIN | EPOLLOUT, &err))
				lost(w, err.text);
			return;
		}
		w->first = p->next;
		w->n_out--;
		free(p);
	}
	w->last = NULL;
	(void)!loop_set_events(w->source, EPOLLIN, NULL);
}

static void put(struct watch *w, const struct watch_message *m, const void *items, size_t len)
{
	struct packet *p = mem_alloc(sizeof(*p) + sizeof(*m) + len);
	p->len = sizeof(*m) + len;
	memcpy(p->data, m, sizeof(*m));
	if (len)
		memcpy(p->data + sizeof(*m), items, len);
	*(w->last ? &w->last->next : &w->first) = p;
	w->last = p;
	w->n_out++;
}

static void put_list(struct watch *w, uint32_t type, uint32_t net, const void *items, size_t n, size_t size)
{
	size_t at = 0;
	if (!w->greeted)
		return; /* it is told all when it says hello */
	if (w->n_out > OUT_MAX) {
		lost(w, "it does not listen");
		return;
	}
	do {
		size_t some = n - at < WATCH_ITEMS_MAX ? n - at : WATCH_ITEMS_MAX;
		struct watch_message m = { .type = type, .net = net, .n = (uint32_t)some, .more = at + some < n };
		put(w, &m, some ? (const uint8_t *)items + at * size : NULL, some * size);
		at += some;
	} while (at < n);
	flush(w);
}

static void put_net(void *value, void *arg)
{
	const struct net_guards *g = value;
	put_list(arg, WATCH_NET, g->net, g->v, g->n, sizeof(*g->v));
}

/* ---- hearing --------------------------------------------------------------------------------------------- */
static void take_link(struct watch *w, struct watch_link_state *s)
{
	s->slink[sizeof(s->slink) - 1] = s->why[sizeof(s->why) - 1] = 0;
	if (s->gone)
		free(hash_del(w->link_states, s->slink));
	else
		free(hash_put(w->link_states, s->slink, mem_dup(s, sizeof(*s))));
	w->options.link(w->options.arg, s);
}

static bool wanted(const struct watch *w, uint32_t net, uint32_t port)
{
	const struct net_guards *g = hash_get_u64(w->nets, net);
	for (size_t i = 0; g && i < g->n; i++)
		if (g->v[i].port == port)
			return true;
	return false;
}

/* One of before may tell of networks that the builder has not come to yet: those are kept, and settled by watch_settle. */
static void take_guard(struct watch *w, struct watch_guard_state *s)
{
	if (hash_get_u64(w->nets, s->net) && !wanted(w, s->net, s->port))
		return; /* of before the last list */
	s->why[sizeof(s->why) - 1] = 0;
	free(hash_put_u64(w->guard_states, guard_key(s->net, s->port), mem_dup(s, sizeof(*s))));
	w->options.guard(w->options.arg, s);
}

static void greet(struct watch *w, uint32_t version)
{
	struct watch_message quit = { .type = WATCH_QUIT };
	if (version != WATCH_VERSION) {
		put(w, &quit, NULL, 0);
		flush(w);
		lost(w, "it is of another version and ends");
		return;
	}
	w->greeted = true;
	w->again_ms = 0;
	hash_each(w->nets, put_net, w);
	put_list(w, WATCH_LINKS, 0, w->links, w->n_links, sizeof(*w->links));
}

static bool take(struct watch *w)
{
	struct {
		struct watch_message m;
		union {
			struct watch_link_state link;
			struct watch_guard_state guard;
		} u;
	} p;
	ssize_t n = recv(w->fd, &p, sizeof(p), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < (ssize_t)sizeof(p.m)) {
		lost(w, "it has ended");
		return false;
	}
	size_t len = (size_t)n - sizeof(p.m);
	if (p.m.type == WATCH_HELLO)
		greet(w, p.m.n);
	else if (p.m.type == WATCH_LINK_STATE && len == sizeof(p.u.link))
		take_link(w, &p.u.link);
	else if (p.m.type == WATCH_GUARD_STATE && len == sizeof(p.u.guard))
		take_guard(w, &p.u.guard);
	return w->fd >= 0;
}

static void ready(void *arg, uint32_t events)
{
	struct watch *w = arg;
	if (events & EPOLLOUT)
		flush(w);
	for (int i = 0; w->fd >= 0 && i < PACKETS_MAX && take(w); i++)
		;
}

/* ---- finding and starting it -------------------------------------------------------------------------------- */
/* Long directories do not fit into a socket's name: it is reached through a descriptor of the directory. */
static int name_it(struct watch *w, struct sockaddr_un *ret, int *ret_dir)
{
	*ret_dir = open(w->options.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", *ret_dir, socket_name);
	return *ret_dir < 0 ? -errno : 0;
}

static void ended(void *arg, int status)
{
	struct watch *w = arg;
	loop_remove(w->child);
	w->child = NULL;
	if (WIFSIGNALED(status))
		log_warn("vnagent-watch was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (w->fd < 0)
		loop_set_timer(w->again, 0, 0);
}

static int start(struct watch *w, int listener, struct err *err)
{
	mem_auto char *path = child_sibling("vnagent-watch");
	char *argv[] = { path, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, listener, WATCH_FD);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	int code = posix_spawnp(&pid, path, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (code)
		return err_sys(err, -code, "starting %s", path);
	return loop_add_child(w->options.loop, pid, ended, w, &w->child, err);
}

/* Where nobody is behind the name: a socket of that name, and a process behind it. */
static int found(struct watch *w, const struct sockaddr_un *name, int dir, struct err *err)
{
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0)
		return err_sys(err, -errno, "a socket");
	(void)unlinkat(dir, socket_name, 0);
	int code = bind(listener, (const struct sockaddr *)name, sizeof(*name)) < 0 || listen(listener, 4) < 0 ?
	           err_sys(err, -errno, "%s/%s", w->options.dir, socket_name) : start(w, listener, err);
	close(listener);
	return code;
}

static int dial(struct watch *w, struct err *err)
{
	struct sockaddr_un name;
	int dir, code = name_it(w, &name, &dir);
	if (code)
		return err_sys(err, code, "%s", w->options.dir);
	w->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		code = err_sys(err, -errno, "a socket");
	bool wanted = w->n_links || hash_count(w->nets);
	for (int tries = 0; !code && connect(w->fd, (const struct sockaddr *)&name, sizeof(name)) < 0; tries++) {
		code = err_sys(err, -errno, "%s/%s", w->options.dir, socket_name);
		if (wanted && tries == 0 && !w->child && (err->code == -ENOENT || err->code == -ECONNREFUSED))
			code = found(w, &name, dir, err);
	}
	if (!code)
		code = loop_add_fd(w->options.loop, w->fd, EPOLLIN, ready, w, &w->source, err);
	close(dir);
	return code;
}

static void connect_to_it(struct watch *w)
{
	struct err err = { 0 };
	if (w->fd >= 0 || !dial(w, &err))
		return;
	hang_up(w);
	if (!w->n_links && !hash_count(w->nets))
		return; /* nobody is there, and nobody is needed */
	w->again_ms = w->again_ms ? 2 * w->again_ms : AGAIN_MS;
	if (w->again_ms > AGAIN_MAX_MS)
		w->again_ms = AGAIN_MAX_MS;
	log_error("links are not watched, protected ones not switched: %s", err.text);
	loop_set_timer(w->again, w->again_ms, 0);
}

static void again(void *arg)
{
	connect_to_it(arg);
}

/* ---- the interface --------------------------------------------------------------------------------------------- */
static void free_net(void *value)
{
	struct net_guards *g = value;
	free(g->v);
	free(g);
}

struct watch *watch_new(const struct watch_options *options)
{
	struct watch *w = mem_alloc(sizeof(*w));
	struct err err;
	w->options = *options;
	w->fd = -1;
	w->nets = hash_new();
	w->link_states = hash_new();
	w->guard_states = hash_new();
	(void)!loop_add_timer(options->loop, 0, 0, again, w, &w->again, &err); /* one of before may be there */
	return w;
}

void watch_leave(struct watch *w)
{
	struct watch_message quit = { .type = WATCH_QUIT };
	connect_to_it(w);
	if (w->fd < 0)
		return;
	put(w, &quit, NULL, 0);
	flush(w);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	hang_up(w);
	loop_remove(w->again);
	loop_remove(w->child);
	hash_free(w->nets, free_net);
	hash_free(w->link_states, free);
	hash_free(w->guard_states, free);
	free(w->links);
	free(w);
}

static void forget(struct watch *w, uint32_t net, uint32_t port)
{
	struct watch_guard_state none = { .net = net, .port = port };
	free(hash_del_u64(w->guard_states, guard_key(net, port)));
	w->options.guard(w->options.arg, &none);
}

void watch_set_net(struct watch *w, uint32_t net, const struct watch_guard *v, size_t n)
{
	struct net_guards *were = hash_get_u64(w->nets, net);
	if (!n && !were)
		return;
	if (n) {
		struct net_guards *g = mem_alloc(sizeof(*g));
		*g = (struct net_guards){ net, mem_dup(v, n * sizeof(*v)), n };
		hash_put_u64(w->nets, net, g);
	} else {
		hash_del_u64(w->nets, net);
	}
	for (size_t i = 0; were && i < were->n; i++)
		if (!wanted(w, net, were->v[i].port))
			forget(w, net, were->v[i].port);
	if (were)
		free_net(were);
	connect_to_it(w);
	put_list(w, WATCH_NET, net, v, n, sizeof(*v));
}

struct settling {
	struct watch *w;
	VEC(struct watch_guard_state) stale;
};

static void find_stale(void *value, void *arg)
{
	const struct watch_guard_state *s = value;
	struct settling *t = arg;
	if (!wanted(t->w, s->net, s->port))
		*vec_add(&t->stale) = *s;
}

void watch_settle(struct watch *w)
{
	struct settling t = { .w = w };
	hash_each(w->guard_states, find_stale, &t);
	for (size_t i = 0; i < t.stale.n; i++) {
		forget(w, t.stale.v[i].net, t.stale.v[i].port);
		if (!hash_get_u64(w->nets, t.stale.v[i].net))
			put_list(w, WATCH_NET, t.stale.v[i].net, NULL, 0, sizeof(struct watch_guard));
	}
	vec_done(&t.stale);
}

void watch_set_links(struct watch *w, const struct watch_link *v, size_t n)
{
	if (n == w->n_links && (!n || !memcmp(v, w->links, n * sizeof(*v))))
		return;
	free(w->links);
	w->links = n ? mem_dup(v, n * sizeof(*v)) : NULL;
	w->n_links = n;
	connect_to_it(w);
	put_list(w, WATCH_LINKS, 0, w->links, n, sizeof(*v));
}

struct visiting {
	void (*link)(void *arg, const struct watch_link_state *state);
	void (*guard)(void *arg, const struct watch_guard_state *state);
	void *arg;
};

static void visit_link(void *value, void *arg)
{
	struct visiting *v = arg;
	v->link(v->arg, value);
}

static void visit_guard(void *value, void *arg)
{
	struct visiting *v = arg;
	v->guard(v->arg, value);
}

void watch_each_link(struct watch *w, void (*each)(void *arg, const struct watch_link_state *state), void *arg)
{
	struct visiting v = { .link = each, .arg = arg };
	hash_each(w->link_states, visit_link, &v);
}

void watch_each_guard(struct watch *w, void (*each)(void *arg, const struct watch_guard_state *state), void *arg)
{
	struct visiting v = { .guard = each, .arg = arg };
	hash_each(w->guard_states, visit_guard, &v);
}
