/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that are Xen guests: the table of the driver. The helper vnagent-xen makes them (xen_wire.h); here its requests are
 * written. */
#include "vnagent/router_xen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vnagent/xen_impl.h"

enum { TICK_MS = 1000, ASKS_MAX = 8192, RELAYS_MAX = 64 };

static void xen_close(void *self)
{
	struct xen *x = self;
	while (x->first)
		xen_unask(x, x->first);
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
	int64_t until_ms = clock_ms() + XEN_SYNC_MS;
	x->options = *o;
	x->fd = -1;
	x->last = &x->first;
	x->guests = hash_new();
	int code = loop_add_prepare(o->loop, xen_tell_all, x, &x->prepare, err);
	if (!code)
		code = loop_add_timer(o->loop, -1, 0, xen_restart, x, &x->restart, err);
	if (!code)
		code = loop_add_timer(o->loop, TICK_MS, TICK_MS, xen_tick, x, &x->tick, err);
	if (!code)
		code = xen_start(x, err);
	while (!code && x->listing && !(code = xen_helper_receive_now(x->fd, x->packet, &m, until_ms, err)))
		xen_handle(x, &m, x->packet + sizeof(m), -1);
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
	const struct guest *g = xen_find(self, key);
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
			xen_unask(x, a);
	}
}

static void xen_create(void *self, const struct router_spec *s)
{
	struct xen *x = self;
	struct guest *g = xen_find(x, s->key);
	buf_auto struct buf text = BUF_INIT;
	put_spec(s, &text);
	if (s->n_ports > XEN_PORTS_MAX) {
		char why[80];
		snprintf(why, sizeof(why), "%zu ports; a guest has at most %d", s->n_ports, XEN_PORTS_MAX);
		xen_tell(x, ROUTER_EVENT_FAILED, s->key, -E2BIG, why);
		return;
	}
	if (text.len > XEN_TEXT_MAX || x->n_asks >= ASKS_MAX) {
		xen_tell(x, ROUTER_EVENT_FAILED, s->key, -E2BIG, text.len > XEN_TEXT_MAX ? "too many routes for a guest" : "too many requests at once");
		return;
	}
	if (!g)
		g = xen_add(x, s->key, MAKING);
	if (g->create)
		return; /* its end will be told */
	if (g->state == ENDING)
		g->state = MAKING;
	g->create = xen_ask(x, XEN_CREATE, s->key, 0, text.data, text.len)->m.number;
	xen_flush(x);
}

static void xen_destroy(void *self, struct router_key key)
{
	struct xen *x = self;
	struct guest *g = xen_find(x, key);
	if (!g) {
		xen_tell(x, ROUTER_EVENT_GONE, key, 0, NULL);
		return;
	}
	unask_all(x, key);
	g->state = ENDING;
	g->create = 0;
	g->destroy = xen_ask(x, XEN_DESTROY, key, 0, "", 0)->m.number;
	xen_flush(x);
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
	xen_ask(x, XEN_RESIZE, s->key, 0, text.data, text.len);
	xen_flush(x);
	return 0;
}

static void xen_configure(void *self, struct router_key key, const char *setup)
{
	struct xen *x = self;
	size_t len = strlen(setup);
	if (len > XEN_TEXT_MAX || !xen_running(self, key)) {
		xen_tell(x, ROUTER_EVENT_CONFIGURED, key, len > XEN_TEXT_MAX ? -E2BIG : -ENOENT,
		     len > XEN_TEXT_MAX ? "too many routes for a guest" : "the guest does not run");
		return;
	}
	xen_ask(x, XEN_CONFIGURE, key, 0, setup, len);
	xen_flush(x);
}

static void xen_detach(void *self, struct router_key key, uint32_t port)
{
	if (!xen_running(self, key))
		return;
	xen_ask(self, XEN_DETACH, key, port, "", 0);
	xen_flush(self);
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
	xen_ask(x, XEN_DIAL, key, 0, path, strlen(path))->fd = pair[1];
	*ret_fd = pair[0];
	xen_flush(x);
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
	const struct guest *g = xen_find(self, key);
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
