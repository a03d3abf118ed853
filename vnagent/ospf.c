/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See ospf.h. An entry goes round: dial → greeting → (another configuration: written, `configure`) → neighbours of each family →
 * loopbacks it knows of each family → pause → neighbours …; wherever the connection breaks, it begins anew after a pause.
 * What BIRD says is read by bird_reply.h. */
#include "vnagent/ospf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "vnagent/bird_config.h"
#include "vnagent/bird_reply.h"
#include "vnagent/bird_start.h"

enum { SOON_MS = 250, CALM_MS = 2000, AGAIN_MIN_MS = 100, AGAIN_MAX_MS = 10000, STEADY_MS = 30000, TALK_MS = 5000 };

enum asked { ASKED_NOTHING, ASKED_GREETING, ASKED_CONFIGURE, ASKED_NEIGHBOURS, ASKED_ROUTES };

struct peer { /* at the other end of a port */
	char ifname[IFNAME_MAX + 1], router[64];
	char state[24], heard[24]; /* as last told, "": not seen; in the answer that is coming */
	uint8_t family;
};

struct entry {
	struct ospf *all;
	const struct router_driver *ops;
	void *self;
	struct router_key key;
	char name[64];
	uint32_t n_reachable;
	uint8_t families[2]; /* that it speaks; 0: none */
	struct addr loopbacks[2];
	size_t n_loopbacks;
	struct peer *peers;
	size_t n_peers;
	char *config;
	bool stale;          /* BIRD may run with another configuration */

	int fd, control;     /* to BIRD; of the command that writes its configuration, and starts it */
	struct loop_source *source, *control_source, *timer;
	enum asked asked;
	int family;          /* index into families, of the question */
	struct bird_reply reply;
	bool was_up;
	int64_t up_ms, lost_ms; /* since when it answers; when it last stopped to, 0: never */
	int again_ms;

	uint32_t known;      /* routers, itself included */
	enum router_routing state;
	char reason[128];
};

struct ospf {
	struct ospf_options options;
	struct hash *entries; /* by router_key_u64 */
};

static void begin(struct entry *e);
static void due(void *arg);

/* ---- what it tells ------------------------------------------------------------------------------------- */
static void judge(struct entry *e, enum router_routing state, const char *reason)
{
	bool changed = state != e->state;
	e->state = state;
	err_copy(e->reason, sizeof(e->reason), reason);
	if (changed)
		e->all->options.changed(e->all->options.arg);
}

static void notice(struct entry *e, const char *what)
{
	char object[96];
	snprintf(object, sizeof(object), "router %s", e->name);
	e->all->options.notice(e->all->options.arg, e->key.net, object, what);
}

/* ---- connections --------------------------------------------------------------------------------------- */
static void hang_up(struct entry *e)
{
	loop_remove(e->source);
	e->source = NULL;
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	e->asked = ASKED_NOTHING;
	bird_reply_begin(&e->reply);
}

static void end_command(struct entry *e)
{
	loop_remove(e->control_source);
	e->control_source = NULL;
	if (e->control >= 0)
		close(e->control);
	e->control = -1;
}

/* The connection is not, or no more. */
static void lost(struct entry *e, const char *why)
{
	if (e->was_up) {
		notice(e, why);
		e->lost_ms = clock_ms();
		if (e->lost_ms - e->up_ms > STEADY_MS)
			e->again_ms = 0;
	}
	e->was_up = false;
	for (size_t i = 0; i < e->n_peers; i++)
		e->peers[i].state[0] = 0;
	hang_up(e);
	judge(e, ROUTER_ROUTING_STARTING, why);
	e->again_ms = e->again_ms ? e->again_ms * 2 : AGAIN_MIN_MS;
	if (e->again_ms > AGAIN_MAX_MS)
		e->again_ms = AGAIN_MAX_MS;
	loop_set_timer(e->timer, e->again_ms, 0);
}

static void ask(struct entry *e, enum asked asked)
{
	char line[160];
	char ip = e->families[e->family] == AF_INET6 ? '6' : '4';
	switch (asked) {
	case ASKED_CONFIGURE:
		snprintf(line, sizeof(line), "configure\n");
		break;
	case ASKED_NEIGHBOURS:
		snprintf(line, sizeof(line), "show ospf neighbors ospf%c\n", ip);
		break;
	default:
		snprintf(line, sizeof(line), "show route primary table master%c where source = RTS_OSPF && net.len = %d\n", ip, ip == '6' ? 128 : 32);
		break;
	}
	e->asked = asked;
	bird_reply_begin(&e->reply);
	loop_set_timer(e->timer, TALK_MS, 0);
	if (send(e->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(line))
		lost(e, "BIRD does not read");
}

/* ---- answers --------------------------------------------------------------------------------------------- */
static void read_neighbour(struct entry *e, const struct bird_line *line)
{
	struct bird_neighbour n;
	if (!bird_read_neighbour(line, &n))
		return;
	for (size_t i = 0; i < e->n_peers; i++)
		if (e->peers[i].family == e->families[e->family] && !strcmp(e->peers[i].ifname, n.device))
			memcpy(e->peers[i].heard, n.state, sizeof(n.state));
}

/* All of a family's neighbours are told. */
static void keep_neighbours(struct entry *e)
{
	for (size_t i = 0; i < e->n_peers; i++) {
		struct peer *p = &e->peers[i];
		if (p->family != e->families[e->family])
			continue;
		memcpy(p->state, p->heard, sizeof(p->state));
		p->heard[0] = 0;
	}
}

static void read_route(struct entry *e, const struct bird_line *line)
{
	struct addr to;
	if (e->family || !bird_read_route(line, &to)) /* one loopback of each is enough */
		return;
	for (size_t i = 0; i < e->n_loopbacks; i++)
		if (e->loopbacks[i].family == to.family && !memcmp(e->loopbacks[i].bytes, to.bytes, sizeof(to.bytes)))
			return;
	e->known++;
}

static void conclude(struct entry *e)
{
	char why[128];
	for (size_t i = 0; i < e->n_peers; i++) {
		const struct peer *p = &e->peers[i];
		if (!strncmp(p->state, "Full", 4))
			continue;
		if (p->state[0])
			snprintf(why, sizeof(why), "neighbour %s is %s", p->router, p->state);
		else
			snprintf(why, sizeof(why), "nothing heard of neighbour %s", p->router);
		judge(e, ROUTER_ROUTING_STARTING, why);
		return;
	}
	if (e->known < e->n_reachable) {
		snprintf(why, sizeof(why), "knows %u of %u routers", e->known, e->n_reachable);
		judge(e, ROUTER_ROUTING_STARTING, why);
		return;
	}
	if (!e->lost_ms || clock_ms() - e->lost_ms > STEADY_MS) /* one that ends again and again is asked, and told of, ever more rarely */
		e->again_ms = 0;
	judge(e, ROUTER_ROUTING_CONVERGED, "");
}

static void poll_begin(struct entry *e)
{
	for (size_t i = 0; i < e->n_peers; i++)
		e->peers[i].heard[0] = 0;
	e->known = 1;
	e->family = 0;
	ask(e, ASKED_NEIGHBOURS);
}

static void answered(struct entry *e, int code)
{
	if (e->asked == ASKED_GREETING) {
		e->was_up = true;
		e->up_ms = clock_ms();
	}
	if (e->asked == ASKED_CONFIGURE && code >= BIRD_CODE_REFUSED) {
		lost(e, "BIRD refuses its configuration; it is asked again");
		return;
	}
	if (e->asked == ASKED_NEIGHBOURS)
		keep_neighbours(e);
	if (e->asked == ASKED_GREETING && e->stale) {
		e->asked = ASKED_NOTHING; /* the file first, then `configure` */
		begin(e);
		return;
	}
	if (e->asked == ASKED_GREETING || e->asked == ASKED_CONFIGURE) {
		poll_begin(e);
	} else if (e->families[e->family + 1 < 2 ? e->family + 1 : 0] && e->family == 0) {
		e->family = 1;
		ask(e, e->asked);
	} else if (e->asked == ASKED_NEIGHBOURS) {
		e->family = 0;
		ask(e, ASKED_ROUTES);
	} else {
		e->asked = ASKED_NOTHING;
		conclude(e);
		loop_set_timer(e->timer, e->state == ROUTER_ROUTING_CONVERGED ? CALM_MS : SOON_MS, 0);
	}
}

static void readable(void *arg, uint32_t events)
{
	struct entry *e = arg;
	struct bird_line line = { 0 };
	struct err err = { 0 };
	char data[16 << 10];
	ssize_t got = recv(e->fd, data, sizeof(data), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		lost(e, e->ops->ports == ROUTER_PORTS_VETH ? "BIRD has ended; it is started again" : "BIRD has ended");
		return;
	}
	for (size_t at = 0; at < (size_t)got && e->asked != ASKED_NOTHING && !line.last;) {
		long n = bird_reply_take(&e->reply, data + at, (size_t)got - at, &line, &err);
		if (n < 0) {
			lost(e, err.text);
			return;
		}
		at += (size_t)n;
		if (line.text && e->asked == ASKED_NEIGHBOURS)
			read_neighbour(e, &line);
		else if (line.text && e->asked == ASKED_ROUTES)
			read_route(e, &line);
	}
	if (line.last) /* what came behind it was not asked for */
		answered(e, line.code);
}

/* ---- starting ---------------------------------------------------------------------------------------------- */
static void command_ended(void *arg, uint32_t events)
{
	struct entry *e = arg;
	struct spawn_exit exit = { .code = -1 };
	char why[128];
	ssize_t n = recv(e->control, &exit, sizeof(exit), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	exit.text[SPAWN_TEXT_MAX - 1] = 0;
	end_command(e);
	if (n == sizeof(exit) && exit.code == 0) {
		e->stale = false;
		if (e->fd >= 0)
			ask(e, ASKED_CONFIGURE);
		else
			loop_set_timer(e->timer, AGAIN_MIN_MS, 0);
		return;
	}
	snprintf(why, sizeof(why), "BIRD could not be started: %.80s (code %d)", exit.text[0] ? exit.text : "see bird -p", exit.code);
	lost(e, why);
}

/* Writes the configuration inside the router, and starts BIRD where none answers. */
static void begin(struct entry *e)
{
	struct err err = { 0 };
	int code = bird_start(e->ops, e->self, e->key, e->config, e->fd < 0, &e->control, &err);
	if (!code)
		code = loop_add_fd(e->all->options.loop, e->control, EPOLLIN, command_ended, e, &e->control_source, &err);
	if (code) {
		end_command(e);
		lost(e, err.text);
		return;
	}
	loop_set_timer(e->timer, TALK_MS, 0);
}

static void dial(struct entry *e)
{
	struct err err = { 0 };
	int code = e->ops->dial ? e->ops->dial(e->self, e->key, BIRD_SOCKET, &e->fd, &err) : -ENOTSUP;
	if (!code) {
		e->asked = ASKED_GREETING;
		loop_set_timer(e->timer, TALK_MS, 0);
		if (loop_add_fd(e->all->options.loop, e->fd, EPOLLIN, readable, e, &e->source, &err))
			lost(e, err.text);
		return;
	}
	e->fd = -1;
	if (e->ops->ports == ROUTER_PORTS_VETH && e->ops->running(e->self, e->key))
		begin(e);
	else
		lost(e, "BIRD does not answer yet");
}

/* The pause is over, or an answer overdue. */
static void due(void *arg)
{
	struct entry *e = arg;
	if (e->control >= 0) {
		end_command(e);
		lost(e, "BIRD could not be started within 5 s");
	} else if (e->fd < 0) {
		dial(e);
	} else if (e->asked != ASKED_NOTHING) {
		lost(e, "BIRD does not answer");
	} else {
		poll_begin(e);
	}
}

/* ---- the table --------------------------------------------------------------------------------------------- */
struct ospf *ospf_new(const struct ospf_options *options)
{
	struct ospf *r = mem_alloc(sizeof(*r));
	*r = (struct ospf){ .options = *options, .entries = hash_new() };
	return r;
}

static void free_entry(void *value)
{
	struct entry *e = value;
	end_command(e);
	hang_up(e);
	loop_remove(e->timer);
	free(e->peers);
	free(e->config);
	free(e);
}

void ospf_free(struct ospf *r)
{
	if (!r)
		return;
	hash_free(r->entries, free_entry);
	free(r);
}

static void take_plan(struct entry *e, const struct plan_router *plan, const struct plan_port *const *ports, size_t n_ports)
{
	size_t n_families = 0;
	snprintf(e->name, sizeof(e->name), "%s", plan->name);
	e->n_reachable = plan->n_reachable;
	e->n_loopbacks = plan->n_loopbacks < 2 ? plan->n_loopbacks : 2;
	memcpy(e->loopbacks, plan->loopbacks, e->n_loopbacks * sizeof(*e->loopbacks));
	memset(e->families, 0, sizeof(e->families));
	free(e->peers);
	e->peers = mem_array(n_ports + 1, sizeof(*e->peers));
	e->n_peers = 0;
	for (size_t f = 0; f < 2; f++) {
		uint8_t family = f ? AF_INET6 : AF_INET;
		bool speaks = false;
		for (size_t i = 0; i < e->n_loopbacks; i++)
			speaks |= e->loopbacks[i].family == family;
		for (size_t i = 0; i < n_ports; i++) {
			if (ports[i]->address.family != family || ports[i]->uplink)
				continue;
			if (!ports[i]->peer_router) { /* a LAN: who of it has come is seen by the routers known */
				speaks = true;
				continue;
			}
			struct peer *p = &e->peers[e->n_peers++];
			speaks = true;
			p->family = family;
			snprintf(p->ifname, sizeof(p->ifname), "%s", ports[i]->ifname);
			snprintf(p->router, sizeof(p->router), "%s", ports[i]->peer_router);
		}
		if (speaks)
			e->families[n_families++] = family;
	}
}

void ospf_set(struct ospf *r, const struct router_driver *ops, void *self, struct router_key key,
                 const struct plan_router *plan, const struct plan_port *const *ports, size_t n_ports)
{
	struct entry *e = hash_get_u64(r->entries, router_key_u64(key));
	struct buf config = BUF_INIT;
	struct err err = { 0 };
	bird_config_write(plan, ports, n_ports, &config);
	bool fresh = !e, same = e && !strcmp(e->config, buf_cstr(&config));
	if (fresh) {
		e = mem_alloc(sizeof(*e));
		*e = (struct entry){ .all = r, .ops = ops, .self = self, .key = key, .fd = -1, .control = -1,
			             .state = ROUTER_ROUTING_STARTING, .reason = "BIRD is being started" };
		if (loop_add_timer(r->options.loop, 1, 0, due, e, &e->timer, &err)) {
			r->options.notice(r->options.arg, key.net, plan->name, err.text);
			free(e);
			buf_done(&config);
			return;
		}
		hash_put_u64(r->entries, router_key_u64(key), e);
	}
	take_plan(e, plan, ports, n_ports);
	free(e->config);
	e->config = mem_str(buf_cstr(&config));
	buf_done(&config);
	if (ops->ports == ROUTER_PORTS_VETH)
		e->stale |= !same;
	if (!fresh && !same && e->fd >= 0 && e->asked == ASKED_NOTHING && e->stale && e->control < 0)
		begin(e); /* else when its turn comes: at the next greeting */
	else if (!fresh && !same && e->fd >= 0 && e->control < 0) {
		hang_up(e);
		loop_set_timer(e->timer, 1, 0);
	}
}

void ospf_drop(struct ospf *r, struct router_key key)
{
	struct entry *e = hash_del_u64(r->entries, router_key_u64(key));
	if (!e)
		return;
	if (e->fd >= 0 && e->ops->ports == ROUTER_PORTS_VETH)
		(void)!send(e->fd, "down\n", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
	free_entry(e);
}

void ospf_load(const struct ospf *r, struct router_load *load)
{
	const struct entry *e = hash_get_u64(r->entries, router_key_u64((struct router_key){ load->net, load->router }));
	if (!e)
		return;
	load->routing = e->state;
	err_copy(load->routing_reason, sizeof(load->routing_reason), e->reason);
}

void ospf_neighbours(const struct ospf *r, struct router_key key, struct neighbour_view **ret, size_t *ret_n)
{
	const struct entry *e = hash_get_u64(r->entries, router_key_u64(key));
	*ret_n = e ? e->n_peers : 0;
	*ret = mem_array(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++) {
		const struct peer *p = &e->peers[i];
		(*ret)[i] = (struct neighbour_view){ mem_str(p->router), mem_str(p->ifname), mem_str(p->state), p->family == AF_INET6 ? 6 : 4 };
	}
}
