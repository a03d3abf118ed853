/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the agent's builder share: a builder in the namespace that the test is in, small
 * plans, and looks from outside by the ordinary tools. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/ns.h"
#include "vnagent/build.h"
#include "vnagent/device.h"
#include "vnagent/port.h"
#include "vnagent/proc.h"

static struct spawner *spawner;
static const char *why_not; /* no privilege for these tests */

#define NEED_PRIVILEGE() \
	if (why_not) { \
		print_message("SKIPPED: %s\n", why_not); \
		skip(); \
	}

/* ---- one agent's builder, in the namespace that we are in ----------------------------------- */
struct node {
	struct loop *loop;
	struct builder *builder;
	bool done;
	int code;
	char text[256];
	int notices;
	int wait_notices; /* stop the loop when so many have come */
	struct node_plan stored[2];
	bool has[2];
	struct uplink_list uplinks;
};

static __attribute__((unused)) void on_result(void *arg, const struct build_result *r)
{
	struct node *n = arg;
	n->done = true;
	n->code = r->code;
	snprintf(n->text, sizeof(n->text), "%s", r->text);
	loop_stop(n->loop);
}

static __attribute__((unused)) void on_notice(void *arg, uint32_t net, const char *object, const char *what)
{
	struct node *n = arg;
	n->notices++;
	loop_stop(n->loop);
}

static __attribute__((unused)) void on_store(void *arg, uint32_t net, enum build_slot slot, const struct node_plan *plan)
{
	struct node *n = arg;
	if (n->has[slot])
		node_plan_done(&n->stored[slot]);
	n->has[slot] = plan != NULL;
	if (plan)
		node_plan_copy(plan, &n->stored[slot]);
}

static __attribute__((unused)) void node_open(struct node *n)
{
	static const char *const kinds[] = { "netns", NULL };
	struct err err = { 0 };
	n->builder = NULL;
	assert_int_equal(loop_new(&n->loop, &err), 0);
	struct build_options o = { .loop = n->loop, .spawner = spawner, .cgroup = "", .kinds = kinds, .uplinks = &n->uplinks, .result = on_result,
		                   .notice = on_notice, .store = on_store, .arg = n };
	int code = builder_new(&o, &n->builder, &err);
	if (code)
		print_error("%s\n", err.text);
	assert_int_equal(code, 0);
}

static __attribute__((unused)) void node_close(struct node *n)
{
	builder_free(n->builder);
	loop_free(n->loop);
}

static __attribute__((unused)) void forget_stored(struct node *n)
{
	for (int i = 0; i < 2; i++)
		if (n->has[i])
			node_plan_done(&n->stored[i]);
}

static __attribute__((unused)) void overdue(void *arg)
{
	fail_msg("nothing happened within 20 s");
}

static __attribute__((unused)) void turn(struct node *n)
{
	struct err err = { 0 };
	struct loop_source *limit;
	assert_int_equal(loop_add_timer(n->loop, 20000, 0, overdue, NULL, &limit, &err), 0);
	assert_int_equal(loop_run(n->loop, &err), 0);
	loop_remove(limit);
}

static __attribute__((unused)) int run(struct node *n, enum build_op op, uint32_t generation, const struct node_plan *plan)
{
	n->done = false;
	builder_start(n->builder, op, 7, generation, plan, 1);
	while (!n->done)
		turn(n);
	if (n->code && n->code != -ESTALE && n->code != -ENOENT)
		print_error("operation %d: %s\n", op, n->text);
	return n->code;
}

static __attribute__((unused)) bool tick_idle(void *arg)
{
	struct node *n = arg;
	if (builder_idle(n->builder))
		loop_stop(n->loop);
	return false;
}

/* Until nothing is being built any more (operations of the builder's own accord have no result). */
static __attribute__((unused)) void run_idle(struct node *n)
{
	struct err err = { 0 };
	struct loop_source *watch;
	while (!builder_idle(n->builder)) {
		assert_int_equal(loop_add_prepare(n->loop, tick_idle, n, &watch, &err), 0);
		turn(n);
		loop_remove(watch);
	}
}

/* ---- plans ------------------------------------------------------------------------------------- */
static __attribute__((unused)) struct addr v4(uint32_t host, uint8_t prefix)
{
	struct addr a = { .family = AF_INET, .prefix = prefix };
	for (int i = 0; i < 4; i++)
		a.bytes[i] = (uint8_t)(host >> (24 - 8 * i));
	return a;
}

static __attribute__((unused)) void plan_begin(struct node_plan *p, uint32_t generation)
{
	*p = (struct node_plan){ .net = 7, .generation = generation, .owner = mem_str("o"), .name = mem_str("n") };
	p->routers = mem_array(8, sizeof(*p->routers));
	p->ports = mem_array(16, sizeof(*p->ports));
	p->segments = mem_array(8, sizeof(*p->segments));
	p->crosses = mem_array(16, sizeof(*p->crosses));
}

static __attribute__((unused)) struct plan_router *add_router(struct node_plan *p, uint32_t id)
{
	struct plan_router *r = &p->routers[p->n_routers++];
	*r = (struct plan_router){ .id = id, .name = mem_printf("r%u", id), .kind = "netns", .cpu_milli = 100 };
	r->loopbacks = mem_array(1, sizeof(*r->loopbacks));
	r->loopbacks[r->n_loopbacks++] = v4(0x0aff0000 + id, 32);
	r->routes = mem_array(8, sizeof(*r->routes));
	return r;
}

static __attribute__((unused)) void add_port(struct node_plan *p, uint32_t link, uint32_t end, uint32_t router, uint32_t peer, int64_t bw_kbps)
{
	struct plan_port *port = &p->ports[p->n_ports++];
	*port = (struct plan_port){ .id = link << 1 | end, .router = router, .mtu = 1450, .bw_kbps = bw_kbps,
		                    .mac = { 2, 0, 0, 0, (uint8_t)link, (uint8_t)end } };
	snprintf(port->ifname, sizeof(port->ifname), "eth%u", link);
	port->link = mem_printf("l%u", link);
	port->peer_router = mem_printf("r%u", peer);
	port->address = v4(0x0a400000 + 2 * link + end, 31);
	port->peer = v4(0x0a400000 + 2 * link + !end, 32);
}

static __attribute__((unused)) void add_route(struct plan_router *r, uint32_t to_router, uint32_t link, uint32_t end)
{
	r->routes[r->n_routes++] = (struct plan_route){ v4(0x0aff0000 + to_router, 32), v4(0x0a400000 + 2 * link + !end, 32), link << 1 | end };
}

static __attribute__((unused)) void add_cross(struct node_plan *p, struct endpoint a, struct endpoint b, int64_t bw_kbps, uint32_t overhead)
{
	p->crosses[p->n_crosses++] = (struct plan_cross){ .a = a, .b = b, .bw_kbps = bw_kbps, .overhead = overhead };
}

#define PORT(link, end) ((struct endpoint){ ENDPOINT_PORT, (link) << 1 | (end) })
#define SEGMENT(vni) ((struct endpoint){ ENDPOINT_SEGMENT, vni })

/* r0 - r1 - … in one node */
static __attribute__((unused)) void make_chain(struct node_plan *p, uint32_t generation, uint32_t n, int64_t bw_kbps)
{
	plan_begin(p, generation);
	for (uint32_t i = 0; i < n; i++) {
		struct plan_router *r = add_router(p, i);
		for (uint32_t j = 0; j < n; j++)
			if (j < i)
				add_route(r, j, i - 1, 1);
			else if (j > i)
				add_route(r, j, i, 0);
	}
	for (uint32_t i = 0; i + 1 < n; i++) {
		add_port(p, i, 0, i, i + 1, bw_kbps);
		add_port(p, i, 1, i + 1, i, bw_kbps);
		add_cross(p, PORT(i, 0), PORT(i, 1), bw_kbps, 0);
	}
}

/* ---- looking from outside ---------------------------------------------------------------------- */
static __attribute__((unused)) int sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
static __attribute__((unused)) int sh(const char *format, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static __attribute__((unused)) int devices_of_ours(void)
{
	struct inventory *inv = inventory_new();
	struct nl *nl;
	struct err err = { 0 };
	assert_int_equal(nl_open(NETLINK_ROUTE, -1, &nl, &err), 0);
	assert_int_equal(inventory_read(inv, nl, &err), 0);
	int n = (int)inventory_count(inv);
	nl_close(nl);
	inventory_free(inv);
	return n;
}

static __attribute__((unused)) size_t holders(pid_t *ret_first)
{
	struct holder *h = NULL;
	size_t n = 0;
	struct err err = { 0 };
	assert_int_equal(holders_find(&h, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		if (ret_first && h[i].router == 0)
			*ret_first = h[i].pid;
		close(h[i].pidfd);
		close(h[i].netns_fd);
	}
	free(h);
	return n;
}

/* After a test that failed: nothing of it goes on. */
static __attribute__((unused)) void end_holders(void)
{
	struct holder *h = NULL;
	size_t n = 0;
	struct err err = { 0 };
	if (holders_find(&h, &n, &err))
		return;
	for (size_t i = 0; i < n; i++) {
		kill(h[i].pid, SIGKILL);
		close(h[i].pidfd);
		close(h[i].netns_fd);
	}
	free(h);
}

/* Runs a shell command inside router `id`. */
static __attribute__((unused)) int in_router(uint32_t id, const char *command)
{
	struct holder *h = NULL;
	size_t n = 0;
	struct err err = { 0 };
	int status = 255;
	assert_int_equal(holders_find(&h, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		if (h[i].router == id)
			status = sh("nsenter --net=/proc/%d/ns/net sh -c '%s'", h[i].pid, command);
		close(h[i].pidfd);
		close(h[i].netns_fd);
	}
	free(h);
	return status;
}

static __attribute__((unused)) int ping(uint32_t from, uint32_t to)
{
	char command[128];
	snprintf(command, sizeof(command), "ping -q -c 1 -W 0.4 10.255.0.%u >/dev/null 2>&1", to);
	return in_router(from, command);
}

/* The same with patience: a neighbour that was asked for in vain is asked for again only after a second. */
static __attribute__((unused)) int reach(uint32_t from, uint32_t to)
{
	int status = 1;
	for (int i = 0; i < 10 && status; i++)
		status = ping(from, to);
	return status;
}
