/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forwarding planes other than the router's own: which routers have one, and which devices stand where. Planes come last, when ports
 * carry traffic: without its plane a router forwards by itself, only slower, so nothing is lost in between. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"
#include "vnagent/plane_filter.h"
#include "vnagent/port.h"
#include "vnagent/program.h"
#include "vnagent/split.h"

/* ---- split ------------------------------------------------------------------------------------------- */
static void split_notice(void *arg, struct router_key key, const char *what)
{
	struct builder *b = arg;
	const struct build_net *net = build_net_find(b, key.net);
	const struct plan_router *r = net ? build_plan_router(net, key.router) : NULL;
	char object[96];
	snprintf(object, sizeof(object), "router %s", r ? r->name : "?");
	build_notice(b, key.net, object, what);
}

/* A command lives as long as our end of its control socket: until the next one takes its place. fd -1: none does. */
static void hold_command(struct builder *b, struct router_key key, int fd)
{
	void *held = (void *)(intptr_t)(fd + 1);
	void *before = fd < 0 ? hash_del_u64(b->plane_commands, router_key_u64(key)) : hash_put_u64(b->plane_commands, router_key_u64(key), held);
	if (before)
		close((int)(intptr_t)before - 1);
}

/* `vnguest --netlink` in a guest, as any command; it ends with the connection. */
static int connect_guest(void *arg, struct router_key key, int *ret_fd, struct err *err)
{
	static const char *const argv[] = { "/init", "--netlink", NULL };
	const struct router_driver *ops;
	void *self;
	int ends[2] = { -1, -1 }, control[2] = { -1, -1 }, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int code = builder_find_router(arg, key, &ops, &self, err);
	if (!code && (null < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0))
		code = err_sys(err, -errno, "a connection into the guest");
	if (!code) {
		struct router_command c = { .argv = argv, .argc = 2, .in = ends[1], .out = ends[1], .error = null, .control = control[1] };
		code = ops->exec(self, key, &c, err);
	}
	if (!code && fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		code = err_sys(err, -errno, "a connection into the guest");
	if (!code)
		hold_command(arg, key, control[0]);
	for (size_t i = 0; i < 5; i++) {
		int fd = (int[]){ null, ends[1], control[1], code ? ends[0] : -1, code ? control[0] : -1 }[i];
		if (fd >= 0)
			close(fd);
	}
	*ret_fd = ends[0];
	return code;
}

static int open_split(struct builder *b, struct err *err)
{
	struct split_options o = { .loop = b->options.loop, .notice = split_notice, .connect = connect_guest, .arg = b };
	return b->split ? 0 : split_new(&o, &b->split, err);
}

/* Where all that comes out of the router here leaves by one tunnel, the host may lay it straight into that. What the other side limits on
 * its way into the router is not taken past the limit. */
static void describe(struct builder *b, struct job *job, const struct plan_port *port, struct split_port_spec *spec)
{
	size_t n;
	const struct join *joins = plan_index_joins(&job->now, (struct endpoint){ ENDPOINT_PORT, port->id }, &n);
	const struct device *only = NULL;
	size_t ways = 0;
	spec->queued = port->uplink && port->bw_kbps > 0;
	for (size_t i = 0; i < n; i++) {
		spec->queued |= build_join_is_limited(&joins[i]);
		ways++; /* a backup counts: which of both is in use the port's own redirect knows */
		if (joins[i].cross->role != CROSS_PRIMARY)
			continue;
		only = joins[i].there.kind == ENDPOINT_SEGMENT ? inventory_segment(b->inv, joins[i].there.id) : NULL;
	}
	spec->direct = ways == 1 && only ? only->ifindex : 0;
}

static int set_split(struct builder *b, struct job *job, const struct open_driver *d, const struct plan_router *r, struct err *err)
{
	struct router_key key = { job->net->id, r->id };
	VEC(struct split_port_spec) ports = { 0 };
	int code = open_split(b, err);
	for (size_t i = 0; !code && i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		const struct device *dev = port->router == r->id ? inventory_port(b->inv, job->net->id, port->id) : NULL;
		if (!dev)
			continue;
		struct split_port_spec *spec = vec_add(&ports);
		*spec = (struct split_port_spec){ .ifindex = dev->ifindex, .mtu = port->mtu };
		if (d->ops->ports == ROUTER_PORTS_VETH)
			spec->inner = device_inner_ifindex(port->id);
		memcpy(spec->mac, port->mac, sizeof(spec->mac));
		describe(b, job, port, spec);
	}
	bool guest = d->ops->ports == ROUTER_PORTS_DRIVER, fresh = hash_get_u64(job->remade, (uint64_t)r->id + 1) != NULL;
	int netns = guest ? -1 : d->ops->netns(d->self, key);
	if (!code && !guest && netns < 0)
		code = err_set(err, -ENOENT, "it has ended");
	if (!code)
		code = split_set(b->split, key, netns, fresh, ports.v, ports.n, err);
	vec_done(&ports);
	return code;
}

/* ---- programs ------------------------------------------------------------------------------------------ */
static int fill_program(struct builder *b, struct job *job, const struct plan_router *r, struct program *p, struct err *err)
{
	VEC(struct program_port) ports = { 0 };
	VEC(struct addr) locals = { 0 };
	for (size_t i = 0; i < r->n_loopbacks; i++)
		*vec_add(&locals) = r->loopbacks[i];
	for (size_t i = 0; i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		const struct device *dev = port->router == r->id ? inventory_port(b->inv, job->net->id, port->id) : NULL;
		unsigned number;
		if (!dev)
			continue;
		if (port->address.family)
			*vec_add(&locals) = port->address;
		if (sscanf(port->ifname, "eth%u", &number) != 1)
			continue;
		struct program_port *to = vec_add(&ports);
		*to = (struct program_port){ .number = number, .ifindex = dev->ifindex, .mtu = port->mtu };
		memcpy(to->mac, port->mac, sizeof(to->mac));
		if (!port->uplink && !port->lan)
			port_peer_mac(port, to->peer);
	}
	int code = program_fill(p, ports.v, ports.n, locals.v, locals.n, err);
	vec_done(&ports);
	vec_done(&locals);
	return code;
}

static struct program *find_program(struct builder *b, struct router_key key)
{
	return hash_get_u64(b->programs, router_key_u64(key));
}

/* The instance that an earlier agent has left at some port of the router, with what the tenant has put there; NULL: none. */
static struct program *adopt_program(struct builder *b, struct job *job, const struct plan_router *r)
{
	struct program *found = NULL;
	for (size_t i = 0; i < job->want.n_ports && !found; i++) {
		const struct plan_port *port = &job->want.ports[i];
		const struct device *dev = port->router == r->id ? inventory_port(b->inv, job->net->id, port->id) : NULL;
		struct plane_standing standing = { 0 };
		if (dev)
			plane_standing(b->nl, b->batch, dev->ifindex, &standing);
		if (standing.program && !strcmp(standing.name, r->program))
			(void)program_adopt(standing.program, r->program, &found);
	}
	return found;
}

static void drop_program(struct builder *b, struct router_key key)
{
	program_close(hash_del_u64(b->programs, router_key_u64(key)));
}

static int set_program(struct builder *b, struct job *job, const struct plan_router *r, struct err *err)
{
	struct router_key key = { job->net->id, r->id };
	const struct plan_router *old = plan_index_router(&job->old, r->id);
	struct program *p = find_program(b, key);
	if (p && old && (old->plane != PLANE_PROGRAM || strcmp(old->program, r->program))) {
		drop_program(b, key);
		p = NULL;
	}
	if (!p) {
		p = adopt_program(b, job, r);
		int code = p ? 0 : program_open(b->options.programs, r->program, &p, err);
		if (code)
			return code;
		hash_put_u64(b->programs, router_key_u64(key), p);
	}
	int code = fill_program(b, job, r, p, err);
	if (code)
		return code;
	for (size_t i = 0; i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		const struct device *dev = port->router == r->id ? inventory_port(b->inv, job->net->id, port->id) : NULL;
		if (dev)
			plane_put(b->batch, dev->ifindex, program_fd(p), r->program, 0);
	}
	return nl_send(b->nl, b->batch, NULL, err);
}

void build_plane_answer(const struct builder *b, const struct message *question, struct message *ret)
{
	struct router_key key = { question->net, question->u.plane.router_id };
	struct program *p = hash_get_u64(b->programs, router_key_u64(key));
	if (p) {
		program_answer(p, question, ret);
		return;
	}
	*ret = (struct message){ .type = MSG_PLANE_DATA, .net = question->net, .reply_to = question->sequence };
	ret->u.plane_data.code = -ENOENT;
	ret->u.plane_data.why = mem_str("its forwarding program is not in place yet");
	ret->u.plane_data.program = mem_str("");
}

/* ---- both --------------------------------------------------------------------------------------------- */
void build_plane_drop(struct builder *b, struct router_key key)
{
	if (b->split)
		split_drop(b->split, key);
	hold_command(b, key, -1);
	drop_program(b, key);
}

/* Filters of a program that is no longer wanted; those of `split` split_drop has taken away. */
static int clear_program(struct builder *b, struct job *job, const struct plan_router *r, struct err *err)
{
	for (size_t i = 0; i < job->want.n_ports; i++) {
		const struct plan_port *port = &job->want.ports[i];
		const struct device *dev = port->router == r->id ? inventory_port(b->inv, job->net->id, port->id) : NULL;
		if (dev)
			plane_put_none(b->batch, dev->ifindex);
	}
	return nl_batch_count(b->batch) ? nl_send(b->nl, b->batch, NULL, err) : 0;
}

int build_step_planes(struct builder *b, struct job *job, struct err *err)
{
	int code = 0;
	for (size_t i = 0; b->real && !code && i < job->want.n_routers; i++) {
		const struct plan_router *r = &job->want.routers[i], *old = plan_index_router(&job->old, r->id);
		const struct open_driver *d = build_driver(b, r->kind);
		struct router_key key = { job->net->id, r->id };
		if (old && old->plane != r->plane && (old->plane == PLANE_SPLIT || old->plane == PLANE_PROGRAM)) {
			build_plane_drop(b, key);
			code = clear_program(b, job, r, err);
		}
		if (!code && r->plane == PLANE_SPLIT)
			code = set_split(b, job, d, r, err);
		else if (!code && r->plane == PLANE_PROGRAM)
			code = set_program(b, job, r, err);
		if (code)
			err_add(err, code, "router %s: its plane", r->name);
	}
	return code ? code : STEP_NEXT;
}

bool build_plane_counts(const struct builder *b, uint32_t ifindex, struct split_count *ret)
{
	return b->split && split_counts(b->split, ifindex, ret);
}

static void close_held(void *value)
{
	close((int)(intptr_t)value - 1);
}

static void close_program(void *value)
{
	program_close(value);
}

void build_planes_close(struct builder *b)
{
	split_free(b->split);
	hash_free(b->plane_commands, close_held);
	hash_free(b->programs, close_program);
}
