/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See dhcp.h. What watches a client is a shell inside the router: it starts one where none runs, then waits for its end, and ends
 * with the agent, which the client does not. */
#include "vnagent/dhcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/inside_run.h"

enum { AGAIN_MIN_MS = 200, AGAIN_MAX_MS = 10000, STEADY_MS = 30000 };

#define DIRECTORY "/run/vne-dhcp"

/* Reads the client's script from its input. $0: the interface, $1: the router's name. */
static const char keep_it[] =
	"umask 022; d=" DIRECTORY "; mkdir -p $d || exit; pid=$(cat $d/$0.pid 2>/dev/null)\n"
	"if [ -z \"$pid\" ] || ! kill -0 \"$pid\" 2>/dev/null; then\n"
	"	c=udhcpc; command -v udhcpc >/dev/null || c='busybox udhcpc'\n"
	"	cat >$d/script.$0 && chmod 755 $d/script.$0 || exit\n"
	"	was=$(cat $d/$0.address 2>/dev/null); was=${was%/*}; : >$d/$0.first\n"
	"	setsid $c -f -S -i $0 -s $d/script.$0 -x hostname:$1 ${was:+-r $was} -t 5 -T 2 -A 5 </dev/null >/dev/null 2>&1 &\n"
	"	pid=$!; echo $pid >$d/$0.pid\n"
	"fi\n"
	"exec tail --pid=$pid -f /dev/null\n";

/* What the client runs. It begins with `deconfig`, also where it takes up an address that is there: that one is passed over. */
static const char script[] =
	"#!/bin/sh\n"
	"f=" DIRECTORY "/$interface; was=$(cat $f.address 2>/dev/null)\n"
	"case $1 in\n"
	"deconfig)\n"
	"	if [ -e $f.first ]; then rm -f $f.first; exit 0; fi\n"
	"	[ -z \"$was\" ] || ip -4 address del \"$was\" dev $interface\n"
	"	rm -f $f.address ;;\n"
	"bound|renew)\n"
	"	now=$ip/${mask:-32}; rm -f $f.first\n"
	"	ip -4 address replace \"$now\" dev $interface || exit\n"
	"	[ -z \"$was\" ] || [ \"$was\" = \"$now\" ] || ip -4 address del \"$was\" dev $interface\n"
	"	echo \"$now\" >$f.address\n"
	"	if [ -n \"$router\" ]; then\n"
	"		ip -4 route replace default via ${router%% *} dev $interface metric 100\n"
	"	else\n"
	"		ip -4 route del default dev $interface metric 100 2>/dev/null\n"
	"	fi ;;\n"
	"esac\n"
	"exit 0\n";

static const char end_it[] =
	"d=" DIRECTORY "; was=$(cat $d/$0.address 2>/dev/null); kill $(cat $d/$0.pid) 2>/dev/null\n"
	"[ -z \"$was\" ] || ip -4 address del \"$was\" dev $0 2>/dev/null; rm -f $d/$0.*; exit 0\n";

struct client {
	struct dhcp *all;
	const struct router_driver *ops;
	void *self;
	struct router_key key;
	char router[64], ifname[IFNAME_MAX + 1];
	bool wanted, seen, ending;
	struct inside_run *run;
	struct loop_source *timer;
	int64_t started_ms;
	int again_ms;
};

struct dhcp {
	struct dhcp_options options;
	struct hash *clients; /* by "net/router/interface" */
};

static void begin(void *arg);

bool dhcp_available(void)
{
	static const char *const paths[] = { "/usr/sbin/udhcpc", "/sbin/udhcpc", "/usr/bin/udhcpc", "/usr/bin/busybox", "/bin/busybox" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (!access(paths[i], X_OK))
			return true;
	return false;
}

static void client_free(void *value)
{
	struct client *c = value;
	inside_run_end(c->run);
	loop_remove(c->timer);
	free(c);
}

static void name_of(struct router_key key, const char *ifname, char name[static 64])
{
	snprintf(name, 64, "%u/%u/%s", key.net, key.router, ifname);
}

static void client_drop(struct client *c)
{
	char name[64];
	name_of(c->key, c->ifname, name);
	hash_del(c->all->clients, name);
	client_free(c);
}

static void again(struct client *c, const char *what)
{
	char object[96], text[192];
	if (clock_ms() - c->started_ms > STEADY_MS)
		c->again_ms = 0;
	if (c->again_ms == 0 && what) {
		snprintf(object, sizeof(object), "router %s", c->router);
		snprintf(text, sizeof(text), "DHCP client of %s: %s; it is started again", c->ifname, what);
		c->all->options.notice(c->all->options.arg, c->key.net, object, text);
	}
	c->again_ms = c->again_ms ? c->again_ms * 2 : AGAIN_MIN_MS;
	if (c->again_ms > AGAIN_MAX_MS)
		c->again_ms = AGAIN_MAX_MS;
	loop_set_timer(c->timer, c->again_ms, 0);
}

static void ended(void *arg, int code, const char *text)
{
	struct client *c = arg;
	c->run = NULL;
	if (!c->wanted)
		client_drop(c);
	else
		again(c, c->ending ? NULL : text[0] ? text : "it has ended");
}

static void begin(void *arg)
{
	struct client *c = arg;
	struct err err = { 0 };
	const char *const argv[] = { "sh", "-c", c->wanted ? keep_it : end_it, c->ifname, c->router, NULL };
	struct inside_run_options o = { .loop = c->all->options.loop, .ops = c->ops, .self = c->self, .key = c->key, .argv = argv,
		                        .argc = 5, .input = script, .ended = ended, .arg = c };
	if (c->run)
		return;
	c->started_ms = clock_ms();
	c->ending = !c->wanted;
	if (!inside_run_start(&o, &c->run, &err))
		return;
	if (c->wanted)
		again(c, err.text);
	else
		client_drop(c); /* no router, no client */
}

/* ---- the table ------------------------------------------------------------------------------------------ */
struct dhcp *dhcp_new(const struct dhcp_options *options)
{
	struct dhcp *d = mem_alloc(sizeof(*d));
	*d = (struct dhcp){ .options = *options, .clients = hash_new() };
	return d;
}

void dhcp_free(struct dhcp *d)
{
	if (!d)
		return;
	hash_free(d->clients, client_free);
	free(d);
}

struct of_router {
	struct router_key key;
	VEC(struct client *) clients;
	bool any;
};

static void collect(void *value, void *arg)
{
	struct client *c = value;
	struct of_router *r = arg;
	if (router_key_u64(c->key) == router_key_u64(r->key))
		*vec_add(&r->clients) = c;
}

static void want(struct dhcp *d, const struct router_driver *ops, void *self, struct router_key key, const char *router,
                 const char *ifname)
{
	char name[64];
	struct err err = { 0 };
	name_of(key, ifname, name);
	struct client *c = hash_get(d->clients, name);
	if (!c) {
		c = mem_alloc(sizeof(*c));
		*c = (struct client){ .all = d, .ops = ops, .self = self, .key = key };
		snprintf(c->router, sizeof(c->router), "%s", router);
		snprintf(c->ifname, sizeof(c->ifname), "%s", ifname);
		if (loop_add_timer(d->options.loop, 0, 0, begin, c, &c->timer, &err)) {
			d->options.notice(d->options.arg, key.net, router, "no timer left for a DHCP client");
			free(c);
			return;
		}
		hash_put(d->clients, name, c);
	}
	c->wanted = c->seen = true; /* where it is just being ended, it begins anew once that is done */
}

void dhcp_set(struct dhcp *d, const struct router_driver *ops, void *self, struct router_key key, const char *router,
              const char *const *ifnames, size_t n)
{
	struct of_router r = { .key = key };
	for (size_t i = 0; i < n; i++)
		want(d, ops, self, key, router, ifnames[i]);
	hash_each(d->clients, collect, &r);
	for (size_t i = 0; i < r.clients.n; i++) {
		struct client *c = r.clients.v[i];
		if (!c->seen && c->wanted) {
			c->wanted = false;
			inside_run_end(c->run); /* the watching shell */
			c->run = NULL;
			loop_set_timer(c->timer, 0, 0);
		}
		c->seen = false;
	}
	vec_done(&r.clients);
}

static void count_net(void *value, void *arg)
{
	const struct client *c = value;
	struct of_router *r = arg;
	r->any |= c->key.net == r->key.net;
}

bool dhcp_any(const struct dhcp *d, uint32_t net)
{
	struct of_router r = { .key.net = net };
	hash_each(d->clients, count_net, &r);
	return r.any;
}

void dhcp_forget(struct dhcp *d, struct router_key key)
{
	struct of_router r = { .key = key };
	hash_each(d->clients, collect, &r);
	for (size_t i = 0; i < r.clients.n; i++)
		client_drop(r.clients.v[i]);
	vec_done(&r.clients);
}
