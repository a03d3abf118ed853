/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See ovs.h. One entry per switch: a script inside brings everything to what it should be, however much of it is there; then a
 * connection to each daemon's control socket, over which nothing is said, tells when one ends, and the script runs again. */
#include "vnagent/ovs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/ns.h"
#include "base/vec.h"
#include "model/request.h"
#include "vnagent/inside_run.h"
#include "vnagent/xen_relay.h"

enum { AGAIN_MIN_MS = 100, AGAIN_MAX_MS = 10000, STEADY_MS = 30000, TAKES_MS = 20000, RELAYS_MAX = 8, INSIDE_PORT = 6653, FIXED_ARGS = 6 };

/* $1 the controller, "": none; $2 how it is spoken to; $3 the address of br0, "": none; then the ports. OVS' usual places, so that its
 * tools find it, in the router's own /run. Exit codes: see why_not. */
static const char script[] =
	"d=/run/openvswitch; mkdir -p $d && cd $d || exit 10\n"
	"controller=$1 mode=$2 address=$3; shift 3\n"
	"ulimit -c 0\n"
	"[ -s conf.db ] || ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema || exit 11\n"
	"ovs-appctl -t $d/ovsdb-server.ctl version >/dev/null 2>&1 ||\n"
	"	ovsdb-server $d/conf.db --remote=punix:$d/db.sock --pidfile=$d/ovsdb-server.pid --unixctl=$d/ovsdb-server.ctl \\\n"
	"		--detach --no-chdir --log-file=/dev/null -vconsole:off -vsyslog:off || exit 12\n"
	"vsctl() { ovs-vsctl --db=unix:$d/db.sock -vconsole:off -vsyslog:off \"$@\"; }\n"
	"if ! ovs-appctl -t $d/ovs-vswitchd.ctl version >/dev/null 2>&1; then\n"
	"	vsctl --no-wait init || exit 12\n"
	"	ovs-vswitchd unix:$d/db.sock --pidfile=$d/ovs-vswitchd.pid --unixctl=$d/ovs-vswitchd.ctl \\\n"
	"		--detach --no-chdir --log-file=/dev/null -vconsole:off -vsyslog:off || exit 13\n"
	"fi\n"
	"datapath=netdev; [ -d /sys/module/openvswitch ] && datapath=system\n"
	"set -- --may-exist add-br br0 -- set bridge br0 datapath_type=$datapath fail_mode=secure \\\n"
	"	protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15 other_config:disable-in-band=$([ \"$mode\" = in-band ] && echo false || echo true) \\\n"
	"	$(for p in \"$@\"; do echo -- --may-exist add-port br0 $p; done) \\\n"
	"	$(vsctl --no-wait list-ports br0 2>/dev/null | while read -r p; do case \" $* \" in *\" $p \"*) ;; *) echo -- --if-exists del-port br0 $p;; esac; done)\n"
	"if [ -n \"$controller\" ]; then\n"
	"	set -- \"$@\" -- set-controller br0 $controller -- set controller br0 connection_mode=$mode max_backoff=1000 inactivity_probe=5000\n"
	"else\n"
	"	set -- \"$@\" -- del-controller br0\n"
	"fi\n"
	"vsctl --timeout=15 -- \"$@\" || exit 14\n"
	"ip -4 address flush dev br0 2>/dev/null; ip -6 address flush dev br0 scope global 2>/dev/null\n"
	"[ -z \"$address\" ] || { ip address replace $address dev br0 && ip link set br0 up; } || exit 15\n";

static const char *why_not(int code)
{
	switch (code) {
	case 10:
		return "its /run cannot be written";
	case 11:
		return "ovsdb-tool cannot make its database";
	case 12:
		return "ovsdb-server does not start";
	case 13:
		return "ovs-vswitchd does not start";
	case 14:
		return "ovs-vswitchd does not take its ports within 15 s";
	case 15:
		return "br0 does not take its address";
	default:
		return "its script has ended by itself";
	}
}

struct entry;
struct watched { /* a daemon */
	struct entry *entry;
	const char *path, *name;
	int fd;
	struct loop_source *source;
};

struct entry {
	struct ovs *all;
	const struct router_driver *ops;
	void *self;
	struct router_key key;
	char name[64], controller[ADDR_TEXT + 16], address[ADDR_TEXT];
	struct sockaddr_storage target; /* of a controller elsewhere */
	socklen_t target_len;           /* 0: none */
	VEC(char *) ports;
	bool asked;                     /* `configured` is owed */
	struct inside_run *run;
	struct watched daemons[2];
	struct loop_source *timer;
	int64_t up_ms;
	int again_ms;
	int listen_fd;                  /* inside, for the controller elsewhere */
	struct loop_source *listening;
	struct relays relays;
};

struct ovs {
	struct ovs_options options;
	struct hash *entries; /* by router_key_u64 */
};

int ovs_probe(struct err *err)
{
	static const char *const programs[] = { "/usr/sbin/ovs-vswitchd", "/usr/sbin/ovsdb-server", "/usr/bin/ovs-vsctl", "/usr/share/openvswitch/vswitch.ovsschema" };
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (access(programs[i], R_OK))
			return err_set(err, -ENOENT, "there is no %s: install openvswitch-switch", programs[i]);
	return 0;
}

/* ---- controllers ------------------------------------------------------------------------------------------ */
static bool within(const struct addr *a, const struct addr *prefix)
{
	if (a->family != prefix->family)
		return false;
	for (unsigned bit = 0; bit < prefix->prefix; bit++)
		if ((a->bytes[bit / 8] ^ prefix->bytes[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

/* The switch's own address on its LAN, if its controller is there; NULL: it is elsewhere. */
static const struct addr *in_band(const struct addr *controller, const struct plan_port *const *ports, size_t n_ports)
{
	for (size_t i = 0; i < n_ports; i++)
		if (ports[i]->address.family && within(controller, &ports[i]->address))
			return &ports[i]->address;
	return NULL;
}

int ovs_controller_check(const struct ovs *o, const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports, struct err *err)
{
	struct addr at;
	uint16_t port;
	if (!r->controller)
		return 0;
	int code = controller_parse(r->controller, &at, &port, err);
	if (code || in_band(&at, ports, n_ports))
		return code;
	for (size_t i = 0; i < o->options.n_controllers; i++)
		if (within(&at, &o->options.controllers[i]))
			return 0;
	return err_set(err, -EACCES, "controller %s: this node's operator allows none there (`controllers` in vnagent.yaml)", r->controller);
}

static void set_target(struct entry *e, const struct addr *at, uint16_t port)
{
	struct sockaddr_in *v4 = (void *)&e->target;
	struct sockaddr_in6 *v6 = (void *)&e->target;
	memset(&e->target, 0, sizeof(e->target));
	e->target.ss_family = at->family;
	if (at->family == AF_INET6) {
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, at->bytes, 16);
		e->target_len = sizeof(*v6);
	} else {
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, at->bytes, 4);
		e->target_len = sizeof(*v4);
	}
}

/* The switch has dialled: so do we. What cannot be reached is the switch's to try again. */
static void accepted(void *arg, uint32_t events)
{
	struct entry *e = arg;
	struct err err = { 0 };
	int inside = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (inside < 0)
		return;
	int outside = e->relays.n < RELAYS_MAX ? socket(e->target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (outside < 0 || (connect(outside, (void *)&e->target, e->target_len) < 0 && errno != EINPROGRESS)) {
		if (outside >= 0)
			close(outside);
		close(inside);
		return;
	}
	(void)!relay_start(&e->relays, e->all->options.loop, inside, outside, &err);
}

static void hush(struct entry *e)
{
	loop_remove(e->listening);
	e->listening = NULL;
	if (e->listen_fd >= 0)
		close(e->listen_fd);
	e->listen_fd = -1;
	relays_done(&e->relays);
}

static int listen_there(void *arg, struct err *err)
{
	struct entry *e = arg;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(INSIDE_PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 || bind(fd, (void *)&at, sizeof(at)) < 0 || listen(fd, RELAYS_MAX) < 0) {
		int code = -errno;
		if (fd >= 0)
			close(fd);
		return err_sys(err, code, "a socket for its controller");
	}
	e->listen_fd = fd;
	return 0;
}

static int serve(struct entry *e, struct err *err)
{
	if (!e->target_len || e->listen_fd >= 0)
		return 0;
	int netns = e->ops->netns(e->self, e->key);
	int code = netns < 0 ? err_set(err, -ENOENT, "it has ended") : ns_visit_net(netns, listen_there, e, err);
	return code ? code : loop_add_fd(e->all->options.loop, e->listen_fd, EPOLLIN, accepted, e, &e->listening, err);
}

/* ---- its life --------------------------------------------------------------------------------------------- */
static void unwatch(struct entry *e)
{
	for (size_t i = 0; i < ARRAY_LEN(e->daemons); i++) {
		struct watched *w = &e->daemons[i];
		loop_remove(w->source);
		w->source = NULL;
		if (w->fd >= 0)
			close(w->fd);
		w->fd = -1;
	}
}

static void again(struct entry *e)
{
	unwatch(e);
	if (e->up_ms && clock_ms() - e->up_ms > STEADY_MS)
		e->again_ms = 0;
	e->up_ms = 0;
	e->again_ms = e->again_ms ? e->again_ms * 2 : AGAIN_MIN_MS;
	if (e->again_ms > AGAIN_MAX_MS)
		e->again_ms = AGAIN_MAX_MS;
	loop_set_timer(e->timer, e->again_ms, 0);
}

static void notice(struct entry *e, const char *what)
{
	char object[96];
	snprintf(object, sizeof(object), "router %s", e->name);
	e->all->options.notice(e->all->options.arg, e->key.net, object, what);
}

/* Nothing is ever said over the connection: that it is readable means that it has ended. */
static void daemon_ended(void *arg, uint32_t events)
{
	struct watched *w = arg;
	struct entry *e = w->entry;
	char text[80];
	snprintf(text, sizeof(text), "%s has ended; it is started again", w->name);
	notice(e, text);
	again(e);
}

static int watch(struct entry *e, struct err *err)
{
	unwatch(e);
	for (size_t i = 0; i < ARRAY_LEN(e->daemons); i++) {
		struct watched *w = &e->daemons[i];
		int code = e->ops->dial(e->self, e->key, w->path, &w->fd, err);
		if (code) {
			w->fd = -1;
			return code;
		}
		code = loop_add_fd(e->all->options.loop, w->fd, EPOLLIN | EPOLLRDHUP, daemon_ended, w, &w->source, err);
		if (code)
			return code;
	}
	return 0;
}

static void tell(struct entry *e, int code, const char *text)
{
	bool asked = e->asked;
	e->asked = false;
	if (asked)
		e->all->options.configured(e->all->options.arg, e->key, code, text);
}

static void failed(struct entry *e, int code, const char *text)
{
	char why[192];
	snprintf(why, sizeof(why), "Open vSwitch: %.150s", text);
	if (!e->asked && !e->again_ms)
		notice(e, why);
	again(e);
	tell(e, code, why);
}

static void ended(void *arg, int code, const char *text)
{
	struct entry *e = arg;
	struct err err = { 0 };
	e->run = NULL;
	if (code) {
		failed(e, -EIO, text[0] ? text : why_not(code));
		return;
	}
	code = watch(e, &err);
	if (code) {
		failed(e, code, err.text);
		return;
	}
	e->up_ms = clock_ms();
	loop_set_timer(e->timer, -1, 0);
	tell(e, 0, "");
}

static void begin(void *arg)
{
	struct entry *e = arg;
	struct err err = { 0 };
	if (e->run) { /* it takes too long */
		inside_run_end(e->run);
		e->run = NULL;
		failed(e, -ETIMEDOUT, "it does not come up within 20 s");
		return;
	}
	const char **argv = mem_array(FIXED_ARGS + e->ports.n + 1, sizeof(*argv));
	const char *fixed[FIXED_ARGS] = { "sh", "-s", "--", e->target_len ? "tcp:127.0.0.1:6653" : e->controller, e->target_len ? "out-of-band" : "in-band", e->address };
	size_t n = 0;
	for (size_t i = 0; i < FIXED_ARGS; i++)
		argv[n++] = fixed[i];
	for (size_t i = 0; i < e->ports.n; i++)
		argv[n++] = e->ports.v[i];
	struct inside_run_options o = { .loop = e->all->options.loop, .ops = e->ops, .self = e->self, .key = e->key, .argv = argv, .argc = n,
		                        .input = script, .ended = ended, .arg = e };
	int code = serve(e, &err);
	if (!code)
		code = inside_run_start(&o, &e->run, &err);
	free(argv);
	if (code)
		failed(e, code, err.text);
	else
		loop_set_timer(e->timer, TAKES_MS, 0);
}

/* ---- the table ---------------------------------------------------------------------------------------------- */
struct ovs *ovs_new(const struct ovs_options *options)
{
	struct ovs *o = mem_alloc(sizeof(*o));
	*o = (struct ovs){ .options = *options, .entries = hash_new() };
	return o;
}

static void clear_ports(struct entry *e)
{
	for (size_t i = 0; i < e->ports.n; i++)
		free(e->ports.v[i]);
	vec_done(&e->ports);
}

static void free_entry(void *value)
{
	struct entry *e = value;
	inside_run_end(e->run);
	unwatch(e);
	hush(e);
	loop_remove(e->timer);
	clear_ports(e);
	free(e);
}

void ovs_free(struct ovs *o)
{
	if (!o)
		return;
	hash_free(o->entries, free_entry);
	free(o);
}

static void take_plan(struct entry *e, const struct plan_router *r, const struct plan_port *const *ports, size_t n_ports)
{
	struct addr at;
	uint16_t port;
	struct err err = { 0 };
	struct sockaddr_storage before = e->target;
	bool has = r->controller && controller_parse(r->controller, &at, &port, &err) == 0;
	const struct addr *own = has ? in_band(&at, ports, n_ports) : NULL;
	snprintf(e->name, sizeof(e->name), "%s", r->name);
	snprintf(e->controller, sizeof(e->controller), "%s", has ? r->controller : "");
	e->address[0] = 0;
	e->target_len = 0;
	if (own)
		(void)addr_text(own, e->address);
	else if (has)
		set_target(e, &at, port);
	if (!e->target_len || memcmp(&before, &e->target, sizeof(before)))
		hush(e);
	clear_ports(e);
	for (size_t i = 0; i < n_ports; i++)
		*vec_add(&e->ports) = mem_str(ports[i]->ifname);
}

void ovs_set(struct ovs *o, const struct router_driver *ops, void *self, struct router_key key, const struct plan_router *r,
             const struct plan_port *const *ports, size_t n_ports)
{
	static const struct watched daemons[2] = { { .path = "/run/openvswitch/ovsdb-server.ctl", .name = "ovsdb-server", .fd = -1 },
		                                   { .path = "/run/openvswitch/ovs-vswitchd.ctl", .name = "ovs-vswitchd", .fd = -1 } };
	struct entry *e = hash_get_u64(o->entries, router_key_u64(key));
	struct err err = { 0 };
	if (!e) {
		e = mem_alloc(sizeof(*e));
		*e = (struct entry){ .all = o, .key = key, .listen_fd = -1, .daemons = { daemons[0], daemons[1] } };
		e->daemons[0].entry = e->daemons[1].entry = e;
		if (loop_add_timer(o->options.loop, -1, 0, begin, e, &e->timer, &err)) {
			o->options.configured(o->options.arg, key, err.code, err.text);
			free(e);
			return;
		}
		hash_put_u64(o->entries, router_key_u64(key), e);
	}
	e->ops = ops;
	e->self = self;
	e->asked = true;
	take_plan(e, r, ports, n_ports);
	inside_run_end(e->run); /* with what it was told before */
	e->run = NULL;
	unwatch(e);
	loop_set_timer(e->timer, 0, 0);
}

void ovs_drop(struct ovs *o, struct router_key key)
{
	struct entry *e = hash_del_u64(o->entries, router_key_u64(key));
	if (e)
		free_entry(e);
}
