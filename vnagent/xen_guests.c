/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which Xen guests there are, and what has been asked of the helper about them and not been answered: each answer ends one ask and
 * becomes an event. What the helper sees on its own, deaths and loads, comes in here too. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "vnagent/xen_impl.h"

/* ---- events -------------------------------------------------------------------------------------------- */
void xen_tell(struct xen *x, enum router_event_type type, struct router_key key, int code, const char *text)
{
	char *copy = mem_str(text ? text : "");
	*vec_add(&x->events) = (struct event){ { type, key, code, copy }, copy };
}

bool xen_tell_all(void *arg)
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

struct guest *xen_find(struct xen *x, struct router_key key)
{
	return hash_get_u64(x->guests, router_key_u64(key));
}

struct guest *xen_add(struct xen *x, struct router_key key, enum guest_state state)
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
struct ask *xen_ask(struct xen *x, enum xen_type type, struct router_key key, uint32_t port, const void *text, size_t len)
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

void xen_unask(struct xen *x, struct ask *a)
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
	struct guest *g = xen_find(x, key);
	x->heard_ms = clock_ms();
	if (!g || g->create != a->m.number)
		return; /* taken back since */
	g->create = 0;
	if (!code)
		g->state = RUNNING;
	else if (g->state != RUNNING)
		drop(x, g);
	xen_tell(x, code ? ROUTER_EVENT_FAILED : ROUTER_EVENT_READY, key, code, text);
}

static void destroyed(struct xen *x, struct ask *a, int code, const char *text)
{
	struct router_key key = { a->m.net, a->m.router };
	struct guest *g = xen_find(x, key);
	if (!g || g->destroy != a->m.number)
		return;
	g->destroy = 0;
	if (code)
		log_error("guest %x of network %x cannot be removed: %s", key.router, key.net, text);
	if (g->create)
		return; /* is wanted again: that will be told */
	drop(x, g);
	xen_tell(x, ROUTER_EVENT_GONE, key, 0, NULL);
}

void xen_answered(struct xen *x, struct ask *a, int code, const char *text, int fd)
{
	struct err err = { 0 };
	if (a->m.type == XEN_DESTROY && code && a->attempts < XEN_ATTEMPTS) {
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
		xen_tell(x, ROUTER_EVENT_CONFIGURED, (struct router_key){ a->m.net, a->m.router }, code, text);
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
	xen_unask(x, a);
}

/* ---- what the helper finds ------------------------------------------------------------------------------ */
void xen_died(struct xen *x, struct router_key key, const char *why)
{
	struct guest *g = xen_find(x, key);
	if (!g || g->state != RUNNING)
		return; /* what is being made or removed is answered by itself */
	if (g->create) /* as its ports had vanished before */
		g->state = MAKING;
	else
		drop(x, g);
	xen_tell(x, ROUTER_EVENT_DIED, key, 0, why);
}

static void not_listed(void *value, void *arg)
{
	((struct guest *)value)->listed = false;
}

void xen_unlist_all(struct xen *x)
{
	hash_each(x->guests, not_listed, NULL);
}

void xen_found(struct xen *x, struct router_key key)
{
	struct guest *g = xen_find(x, key);
	if (!g)
		g = xen_add(x, key, RUNNING);
	g->listed = true;
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

void xen_end_unlisted(struct xen *x)
{
	struct missing m = { 0 };
	hash_each(x->guests, find_missing, &m);
	for (size_t i = 0; i < m.keys.n; i++)
		xen_died(x, m.keys.v[i], "it ended while nobody was looking");
	vec_done(&m.keys);
}

void xen_loads(struct xen *x, const char *text, size_t len)
{
	struct xen_load l;
	for (; len >= sizeof(l); text += sizeof(l), len -= sizeof(l)) {
		memcpy(&l, text, sizeof(l));
		struct guest *g = xen_find(x, (struct router_key){ l.net, l.router });
		if (!g)
			continue;
		g->cpu_us = l.cpu_us;
		g->mem_kib = l.mem_kib;
	}
}
