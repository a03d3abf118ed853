/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Uplinks against the real kernel: end hosts, each in a namespace of its own behind a veth end, talk across a virtual network; what a
 * router may not send does not come out; a stranger is refused; a device that vanishes and returns is joined again; what belongs to the
 * operator stays as it is. */
#include "tests/unit/agent_fixture.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <poll.h>

#include "proto/keys.h"
#include "vnagent/config.h"
#include "vnagent/guest/setup_read.h"
#include "vnagent/setup.h"
#include "vnagent/uplink_announce.h"
#include "vnagent/uplink_tag.h"

/* ---- end hosts and outside ports --------------------------------------------------------------------- */
enum { HOSTS = 2 };
static int home = -1;
static pid_t host_pid[HOSTS]; /* each keeps a network namespace */

static pid_t make_host(void)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ready[0]);
		if (unshare(CLONE_NEWNET) || write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static int in_host(int host, const char *command)
{
	return sh("nsenter --net=/proc/%d/ns/net sh -c '%s'", (int)host_pid[host], command);
}

/* out<host>, in the agent's namespace, has its other end `h0` at the host. */
static void plug(int host)
{
	assert_int_equal(sh("ip link add out%d type veth peer name h0 netns %d && ip link set out%d up", host, (int)host_pid[host], host), 0);
	assert_int_equal(in_host(host, host ? "ip link set h0 up; ip addr add 198.51.100.9/24 dev h0; ip route add default via 198.51.100.1;"
	                                      "ip addr add 2001:db8:b::9/64 dev h0 nodad; ip route add default via 2001:db8:b::1" :
	                                      "ip link set h0 up; ip addr add 192.0.2.9/24 dev h0; ip route add default via 192.0.2.1;"
	                                      "ip addr add 2001:db8:a::9/64 dev h0 nodad; ip route add default via 2001:db8:a::1"), 0);
}

static int enter(void **state)
{
	static struct uplink uplinks[] = { { .name = "campus", .device = "out0" }, { .name = "lab", .device = "out1" },
		                           { .name = "tagged0", .device = "out0", .vlan = 30 }, { .name = "tagged1", .device = "out1", .vlan = 30 },
		                           { .name = "other1", .device = "out1", .vlan = 31 }, { .name = "private", .device = "out0" } };
	static char *users[] = { "alice", "bob" };
	struct node *n;
	if (why_not)
		return 0;
	uplinks[5].users = (struct yaml_names){ users, 2 };
	assert_return_code(unshare(CLONE_NEWNET), errno);
	for (int i = 0; i < HOSTS; i++) {
		host_pid[i] = make_host();
		plug(i);
	}
	*state = n = mem_alloc(sizeof(*n));
	n->uplinks = (struct uplink_list){ uplinks, ARRAY_LEN(uplinks) };
	return 0;
}

static int leave(void **state)
{
	if (why_not)
		return 0;
	end_holders();
	for (int i = 0; i < HOSTS; i++) {
		kill(host_pid[i], SIGKILL);
		waitpid(host_pid[i], NULL, 0);
	}
	free(*state);
	return setns(home, CLONE_NEWNET);
}

static int reach_from_host(int host, const char *address)
{
	char command[128];
	int status = 1;
	snprintf(command, sizeof(command), "ping -q -c 1 -W 0.4 %s >/dev/null 2>&1", address);
	for (int i = 0; i < 10 && status; i++)
		status = in_host(host, command);
	return status;
}

static struct addr v6(uint16_t net, uint16_t host, uint8_t prefix)
{
	struct addr a = { .family = AF_INET6, .prefix = prefix, .bytes = { 0x20, 1, 0x0d, 0xb8 } };
	a.bytes[5] = (uint8_t)net;
	a.bytes[15] = (uint8_t)host;
	return a;
}

static struct plan_port *add_uplink(struct node_plan *p, uint32_t number, uint32_t router, const char *uplink, struct addr address)
{
	struct plan_port *port = &p->ports[p->n_ports++];
	*port = (struct plan_port){ .id = PLAN_UPLINK_ID | number, .router = router, .mtu = 1500, .mac = { 2, 0, 0, 1, 0, (uint8_t)number } };
	snprintf(port->ifname, sizeof(port->ifname), "up%u", number);
	port->uplink = mem_str(uplink);
	port->address = address;
	return port;
}

static void route_to(struct plan_router *r, struct addr to, struct addr via, uint32_t port)
{
	r->routes[r->n_routes++] = (struct plan_route){ to, via, port };
}

/* Two routers, each with an uplink; both know what is behind the other. */
static void make_crossing(struct node_plan *p, uint32_t generation)
{
	make_chain(p, generation, 2, 0);
	add_uplink(p, 0, 0, "campus", v4(0xc0000201, 24));
	add_uplink(p, 1, 1, "lab", v4(0xc6336401, 24));
	route_to(&p->routers[0], v4(0xc6336400, 24), p->ports[0].peer, 0);
	route_to(&p->routers[1], v4(0xc0000200, 24), p->ports[1].peer, 1);
}

static void release(struct node *n, uint32_t generation)
{
	struct node_plan nothing = { .net = 7, .generation = generation };
	assert_int_equal(run(n, BUILD_ENSURE, generation, &nothing), 0);
	assert_int_equal(devices_of_ours(), 0);
	assert_int_equal(sh("ip -o link show type macvlan | grep -q ."), 1);
	node_close(n);
	forget_stored(n);
}

static bool loaded(struct node *n, uint32_t router, enum router_state state, const char *reason)
{
	struct load_report r = { 0 };
	struct err err = { 0 };
	bool is = false;
	assert_int_equal(builder_load(n->builder, &r, &err), 0);
	for (size_t i = 0; i < r.n_routers; i++)
		if (r.routers[i].router == router)
			is = r.routers[i].state == state && (!reason || strstr(r.routers[i].reason, reason));
	load_report_done(&r);
	return is;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* Turns the loop until the condition holds, at most 20 s. */
#define UNTIL(n, condition) \
	do { \
		struct err until_err = { 0 }; \
		struct loop_source *until_limit; \
		assert_int_equal(loop_add_timer((n)->loop, 50, 50, stop_loop, (n)->loop, &until_limit, &until_err), 0); \
		int64_t until_end = clock_ms() + 20000; \
		while (!(condition)) { \
			assert_true(clock_ms() < until_end); \
			assert_int_equal(loop_run((n)->loop, &until_err), 0); \
		} \
		loop_remove(until_limit); \
	} while (0)

/* ---- carrying ------------------------------------------------------------------------------------------ */
static void end_hosts_talk_across(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	make_crossing(&p, 1);
	/* The operator's own: an address, a filter, a queue. */
	assert_int_equal(sh("ip addr add 192.0.2.77/24 dev out0; tc qdisc add dev out0 clsact; tc filter add dev out0 ingress prio 9 bpf "
	                    "bytecode \"1,6 0 0 0,\" flowid 1:1; tc qdisc add dev out0 root pfifo limit 77; tc filter show dev out0 ingress >/tmp/vne-up.%d",
	                    (int)getpid()), 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), 0);
	assert_int_not_equal(in_host(0, "ping -q -c 1 -W 0.3 192.0.2.1 >/dev/null 2>&1"), 0); /* prepared carries nothing */
	assert_int_equal(run(n, BUILD_COMMIT, 1, NULL), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.1"), 0);
	assert_int_equal(reach_from_host(0, "198.51.100.9"), 0);
	assert_int_equal(reach_from_host(1, "192.0.2.9"), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.77"), 0); /* the host's own traffic on the device goes on */
	assert_true(loaded(n, 0, ROUTER_RUNNING, NULL));
	node_close(n); /* as if killed */
	assert_int_equal(reach_from_host(0, "198.51.100.9"), 0);
	assert_int_equal(sh("ip -o link show type macvlan >/tmp/vne-vo.%d", (int)getpid()), 0);
	node_open(n);
	builder_restore(n->builder, &n->stored[SLOT_COMMITTED], NULL);
	builder_sweep(n->builder);
	run_idle(n);
	assert_int_equal(sh("ip -o link show type macvlan | cmp - /tmp/vne-vo.%d; s=$?; rm -f /tmp/vne-vo.%d; exit $s", (int)getpid(), (int)getpid()), 0);
	assert_int_equal(reach_from_host(1, "192.0.2.9"), 0);
	release(n, 2);
	assert_int_equal(sh("tc filter show dev out0 ingress | cmp - /tmp/vne-up.%d; s=$?; rm -f /tmp/vne-up.%d; exit $s", (int)getpid(), (int)getpid()), 0);
	assert_int_equal(sh("tc qdisc show dev out0 | grep -q \"pfifo.*77p\" && ip -d link show out0 | grep -q \"promiscuity 0.*allmulti 0\""), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.77"), 0);
	node_plan_done(&p);
}

static void ipv6_crosses_too(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	make_chain(&p, 1, 2, 0);
	for (int i = 0; i < 2; i++) {
		p.ports[i].address = v6(0xff, (uint16_t)(2 * i + 4), 126);
		p.ports[i].peer = v6(0xff, (uint16_t)(2 * !i + 4), 128);
		p.routers[i].n_routes = 0;
	}
	add_uplink(&p, 0, 0, "campus", v6(0x0a, 1, 64));
	add_uplink(&p, 1, 1, "lab", v6(0x0b, 1, 64));
	route_to(&p.routers[0], v6(0x0b, 0, 64), p.ports[0].peer, 0);
	route_to(&p.routers[1], v6(0x0a, 0, 64), p.ports[1].peer, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(in_host(i, i ? "ip -6 addr flush dev h0 scope global; ip addr add 2001:db8:b::9/64 dev h0 nodad; ip -6 route replace default via 2001:db8:b::1" :
		                            "ip -6 addr flush dev h0 scope global; ip addr add 2001:db8:a::9/64 dev h0 nodad; ip -6 route replace default via 2001:db8:a::1"), 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	assert_int_equal(reach_from_host(0, "2001:db8:b::9"), 0);
	release(n, 2);
	node_plan_done(&p);
}

/* Routers of one node on one outside port: they hear the LAN's broadcasts and each other, as hosts there do. */
static void one_port_serves_several(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	plan_begin(&p, 1);
	add_router(&p, 0);
	add_router(&p, 1);
	add_uplink(&p, 0, 0, "campus", v4(0xc0000201, 24));
	add_uplink(&p, 1, 1, "campus", v4(0xc0000202, 24));
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.1"), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.2"), 0);
	assert_int_equal(in_router(0, "for i in 1 2 3 4 5; do ping -q -c 1 -W 0.4 192.0.2.2 && exit 0; done >/dev/null; exit 1"), 0);
	release(n, 2);
	node_plan_done(&p);
}

static void a_default_route_and_translation(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	make_chain(&p, 1, 2, 0);
	struct plan_port *up = add_uplink(&p, 0, 0, "campus", v4(0xc0000201, 24));
	up->gateway = v4(0xc0000209, 32);
	up->nat = true;
	route_to(&p.routers[1], v4(0, 0), p.ports[1].peer, 1);
	/* Behind the gateway; it knows no way back to the virtual network. */
	assert_int_equal(in_host(0, "ip route del default; ip link set lo up; ip addr add 203.0.113.5/32 dev lo"), 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 1, NULL), 0);
	assert_int_equal(in_router(1, "for i in 1 2 3 4 5; do ping -q -c 1 -W 0.4 203.0.113.5 && exit 0; done >/dev/null; exit 1"), 0);
	assert_int_equal(in_router(0, "nft list table inet vne | grep -q masquerade"), 0);
	/* What goes past the kernel is not translated: refused, by whoever asks. */
	p.routers[0].plane = PLANE_SPLIT;
	p.generation = 2;
	assert_int_equal(run(n, BUILD_PREPARE, 2, &p), -EOPNOTSUPP);
	p.routers[0].plane = PLANE_KERNEL;
	/* Without translation there is no way back. */
	up->nat = false;
	p.generation = 2;
	assert_int_equal(run(n, BUILD_PREPARE, 2, &p), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 2, NULL), 0);
	assert_int_equal(in_router(0, "nft list tables | grep -q vne"), 1);
	assert_int_not_equal(in_router(1, "ping -q -c 1 -W 0.5 203.0.113.5 >/dev/null"), 0);
	/* Without a gateway there is no way at all. */
	up->gateway = (struct addr){ 0 };
	p.generation = 3;
	assert_int_equal(run(n, BUILD_PREPARE, 3, &p), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 3, NULL), 0);
	assert_int_equal(in_router(0, "ip route show default | grep -q ."), 1);
	release(n, 4);
	node_plan_done(&p);
}

/* ---- what must not come out ------------------------------------------------------------------------------- */
struct packet_socket {
	const char *device;
	int fd;
};

static int open_packet(void *arg, struct err *err)
{
	struct packet_socket *s = arg;
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	at.sll_ifindex = (int)if_nametoindex(s->device);
	return s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, sizeof(at)) ? err_sys(err, -errno, "packet socket") : 0;
}

static int packets_of(pid_t pid, const char *device)
{
	struct packet_socket s = { device, -1 };
	struct err err = { 0 };
	int netns;
	assert_int_equal(ns_open(pid, "net", &netns, &err), 0);
	assert_int_equal(ns_visit_net(netns, open_packet, &s, &err), 0);
	close(netns);
	return s.fd;
}

static pid_t router_pid(uint32_t id)
{
	struct holder *h = NULL;
	size_t n = 0;
	pid_t pid = 0;
	struct err err = { 0 };
	assert_int_equal(holders_find(&h, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		if (h[i].router == id)
			pid = h[i].pid;
		close(h[i].pidfd);
		close(h[i].netns_fd);
	}
	free(h);
	return pid;
}

/* Sends frames that end with their number, the last one sane; which of them arrive? */
static void what_may_not_leave_does_not(void **state)
{
	NEED_PRIVILEGE();
	static const uint8_t frames[][64] = {
		{ 255, 255, 255, 255, 255, 255, 2, 0, 0, 1, 0, 9, 0x88, 0xb5 },                     /* another's MAC */
		{ 0x01, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0x88, 0xb5 },                        /* a BPDU's address */
		{ 255, 255, 255, 255, 255, 255, 2, 0, 0, 1, 0, 0, 0x81, 0x00, 0, 30, 0x88, 0xb5 },  /* into a VLAN */
		{ 255, 255, 255, 255, 255, 255, 2, 0, 0, 1, 0, 0, 0x88, 0xa8, 0, 30, 0x88, 0xb5 },
		{ 255, 255, 255, 255, 255, 255, 2, 0, 0, 1, 0, 0, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 1, 0, 9 }, /* ARP for another */
		{ 1, 0, 94, 0, 0, 1, 3, 0, 0, 1, 0, 0, 0x88, 0xb5 },                                /* a group as source */
		{ 255, 255, 255, 255, 255, 255, 2, 0, 0, 1, 0, 0, 0x88, 0xb5 },
	};
	enum { N = ARRAY_LEN(frames) };
	struct node *n = *state;
	struct node_plan p;
	uint8_t got[2048];
	plan_begin(&p, 1);
	add_router(&p, 0);
	add_uplink(&p, 0, 0, "campus", v4(0xc0000201, 24));
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	int from = packets_of(router_pid(0), "up0"), to = packets_of(host_pid[0], "h0");
	for (size_t i = 0; i < N; i++) {
		uint8_t frame[64];
		memcpy(frame, frames[i], sizeof(frame));
		memcpy(frame + 56, "uplink", 6);
		frame[63] = (uint8_t)i;
		assert_int_equal(send(from, frame, sizeof(frame), 0), sizeof(frame));
	}
	for (size_t last = 0; last != N - 1;) {
		struct pollfd ready = { .fd = to, .events = POLLIN };
		assert_int_equal(poll(&ready, 1, 5000), 1);
		ssize_t len = recv(to, got, sizeof(got), 0);
		if (len < 64 || memcmp(got + len - 8, "uplink", 6))
			continue; /* of the kernels' own accord */
		last = got[len - 1];
		assert_int_equal(last, N - 1);
	}
	close(from);
	close(to);
	release(n, 2);
	node_plan_done(&p);
}

static void strangers_are_refused(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	plan_begin(&p, 1);
	add_router(&p, 0);
	struct plan_port *up = add_uplink(&p, 0, 0, "private", v4(0xc0000201, 24));
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), -EACCES);
	assert_non_null(strstr(n->text, "uplink \"private\" is not open to \"o\""));
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), -EACCES);
	assert_int_equal(devices_of_ours(), 0);
	free(p.owner);
	p.owner = mem_str("bob");
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), 0);
	assert_int_equal(run(n, BUILD_ABORT, 1, NULL), 0);
	free(up->uplink);
	up->uplink = mem_str("nowhere");
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), -ENOENT);
	free(up->uplink);
	up->uplink = mem_str("private");
	assert_int_equal(sh("ip link del out0"), 0);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), -ENODEV);
	assert_non_null(strstr(n->text, "its device out0 is not there"));
	assert_int_equal(sh("ip link add out0 type veth peer name far; ip link set out0 mtu 1400"), 0);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), -ENODEV);
	assert_non_null(strstr(n->text, "MTU 1400"));
	assert_int_equal(sh("ip link set out0 mtu 1500; ip link add br0 type bridge; ip link set out0 master br0"), 0);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), -ENODEV);
	assert_non_null(strstr(n->text, "belongs to a bridge"));
	assert_int_equal(devices_of_ours(), 0);
	assert_int_equal(holders(NULL), 0);
	node_close(n);
	node_plan_done(&p);
}

/* The operator takes a user off the list, and starts the agent again: the port is cut, the network goes on. */
static void who_is_no_longer_welcome_is_cut(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	make_crossing(&p, 1);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	assert_int_equal(reach_from_host(0, "198.51.100.9"), 0);
	node_close(n);
	struct uplink_list was = n->uplinks;
	struct uplink changed[] = { was.v[5], was.v[1] };
	changed[0].name = was.v[0].name;
	n->uplinks = (struct uplink_list){ changed, 2 };
	node_open(n);
	builder_restore(n->builder, &n->stored[SLOT_COMMITTED], NULL);
	run_idle(n);
	assert_int_not_equal(in_host(0, "ping -q -c 1 -W 0.4 192.0.2.1 >/dev/null"), 0);
	assert_true(loaded(n, 0, ROUTER_FAILED, "is not open to"));
	assert_int_equal(in_router(0, "ip -o link show up0 | grep -q NO-CARRIER"), 0);
	assert_int_equal(reach(0, 1), 0);
	release(n, 2);
	node_plan_done(&p);
}

/* ---- coming and going ----------------------------------------------------------------------------------------- */
static void what_vanishes_is_joined_again(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	make_crossing(&p, 1);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	assert_int_equal(reach_from_host(0, "198.51.100.9"), 0);
	for (int i = 0; i < 3; i++) {
		n->notices = 0;
		assert_int_equal(sh("ip link del out0"), 0);
		UNTIL(n, loaded(n, 0, ROUTER_FAILED, "uplink campus: its device out0 is not there"));
		UNTIL(n, in_router(0, "ip -o link show up0 | grep -q NO-CARRIER") == 0);
		assert_true(n->notices > 0);
		assert_int_equal(reach(0, 1), 0); /* the rest goes on */
		plug(0);
		UNTIL(n, loaded(n, 0, ROUTER_RUNNING, NULL) && in_host(0, "ping -q -c 1 -W 0.1 198.51.100.9 >/dev/null 2>&1") == 0);
	}
	assert_int_equal(sh("ip link set out0 down"), 0);
	UNTIL(n, loaded(n, 0, ROUTER_FAILED, "its device out0 is down"));
	assert_int_equal(sh("ip link set out0 up"), 0);
	UNTIL(n, loaded(n, 0, ROUTER_RUNNING, NULL));
	assert_int_equal(reach_from_host(0, "198.51.100.9"), 0);
	/* Another name is another device. */
	assert_int_equal(sh("ip link set out0 down; ip link set out0 name mine; ip link set mine up"), 0);
	UNTIL(n, sh("ip link show vo000007.0 >/dev/null 2>&1") != 0);
	assert_true(loaded(n, 0, ROUTER_FAILED, "its device out0 is not there"));
	assert_int_equal(sh("ip link set mine down; ip link set mine name out0; ip link set out0 up"), 0);
	UNTIL(n, loaded(n, 0, ROUTER_RUNNING, NULL) && in_host(0, "ping -q -c 1 -W 0.1 198.51.100.9 >/dev/null 2>&1") == 0);
	/* What somebody's hand takes away of ours is made again. */
	assert_int_equal(sh("ip link del vo000007.1"), 0);
	UNTIL(n, in_host(1, "ping -q -c 1 -W 0.1 192.0.2.9 >/dev/null 2>&1") == 0);
	release(n, 2);
	node_plan_done(&p);
}

/* Another outside port in an update: the old one is left, the new one joined. */
static void an_update_moves_to_another(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	plan_begin(&p, 1);
	add_router(&p, 0);
	struct plan_port *up = add_uplink(&p, 0, 0, "campus", v4(0xc0000201, 24));
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.1"), 0);
	free(up->uplink);
	up->uplink = mem_str("lab");
	up->address = v4(0xc6336401, 24);
	up->bw_kbps = 100000;
	p.generation = 2;
	assert_int_equal(run(n, BUILD_PREPARE, 2, &p), 0);
	assert_int_equal(reach_from_host(0, "192.0.2.1"), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 2, NULL), 0);
	assert_int_equal(reach_from_host(1, "198.51.100.1"), 0);
	assert_int_not_equal(in_host(0, "ping -q -c 1 -W 0.4 192.0.2.1 >/dev/null"), 0);
	assert_int_equal(sh("for d in vu000007.0 vo000007.0; do tc qdisc show dev $d | grep -q \"tbf.*rate 100Mbit\" || exit 1; done"), 0);
	if (!uplink_tag_unusable()) { /* to a VLAN of the same device, and back */
		static const char *const names[] = { "tagged1", "lab" };
		for (uint32_t i = 0; i < 2; i++) {
			free(up->uplink);
			up->uplink = mem_str(names[i]);
			up->bw_kbps = 0;
			p.generation = 3 + i;
			assert_int_equal(run(n, BUILD_PREPARE, 3 + i, &p), 0);
			assert_int_equal(run(n, BUILD_COMMIT, 3 + i, NULL), 0);
			assert_int_equal(sh("ip link show vo000007.0 | grep -q PROMISC"), i ? 1 : 0);
			assert_int_equal(sh("tc filter show dev vo000007.0 egress | grep -q bpf"), i ? 1 : 0);
		}
		assert_int_equal(reach_from_host(1, "198.51.100.1"), 0);
	}
	release(n, 5);
	node_plan_done(&p);
}

/* Two outside ports on one wire: tags separate them. */
static void vlans_are_kept_apart(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	if (uplink_tag_unusable()) {
		print_message("SKIPPED: no eBPF for VLAN tags\n");
		skip();
	}
	assert_int_equal(sh("ip link del out0; ip link del out1; ip link add out0 type veth peer name out1; ip link set out0 up; ip link set out1 up"), 0);
	plan_begin(&p, 1);
	for (uint32_t i = 0; i < 3; i++)
		add_router(&p, i);
	add_uplink(&p, 0, 0, "tagged0", v4(0xc0000201, 24));
	add_uplink(&p, 1, 1, "tagged1", v4(0xc0000202, 24));
	add_uplink(&p, 2, 2, "other1", v4(0xc0000203, 24));
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &p), 0);
	assert_int_equal(in_router(0, "for i in 1 2 3 4 5; do ping -q -c 1 -W 0.4 192.0.2.2 && exit 0; done >/dev/null; exit 1"), 0);
	assert_int_not_equal(in_router(0, "ping -q -c 1 -W 0.5 192.0.2.3 >/dev/null"), 0);
	assert_int_not_equal(in_router(1, "ping -q -c 1 -W 0.5 192.0.2.3 >/dev/null"), 0); /* nor on one device */
	release(n, 2);
	node_plan_done(&p);
}

/* ---- addresses that are learnt ---------------------------------------------------------------------------------- */
static int send_advertisement(void *arg, struct err *err)
{
	struct {
		struct nd_router_advert ra;
		struct nd_opt_prefix_info prefix;
	} m = { .ra = { .nd_ra_hdr.icmp6_type = ND_ROUTER_ADVERT, .nd_ra_router_lifetime = htons(600) },
		.prefix = { ND_OPT_PREFIX_INFORMATION, 4, 64, ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO, htonl(3600), htonl(3600), 0, { { { 0 } } } } };
	struct sockaddr_in6 all = { .sin6_family = AF_INET6, .sin6_scope_id = if_nametoindex("h0") };
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6), hops = 255;
	inet_pton(AF_INET6, "2001:db8:a::", &m.prefix.nd_opt_pi_prefix);
	inet_pton(AF_INET6, "ff02::1", &all.sin6_addr);
	int code = fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) ||
	           sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&all, sizeof(all)) < 0 ? err_sys(err, -errno, "advertisement") : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

static bool advertised(void)
{
	struct err err = { 0 };
	int netns;
	assert_int_equal(ns_open(host_pid[0], "net", &netns, &err), 0);
	assert_int_equal(ns_visit_net(netns, send_advertisement, NULL, &err), 0);
	close(netns);
	return in_router(0, "ip -6 addr show dev up0 | grep -q 2001:db8:a: && ip -6 route show default | grep -q \"proto ra\"") == 0;
}

static void an_address_is_learnt(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	char path[64], pidfile[80];
	if (sh("busybox udhcpd --help >/dev/null 2>&1")) {
		print_message("SKIPPED: busybox has no DHCP server\n");
		skip();
	}
	snprintf(path, sizeof(path), "/tmp/vne-dhcpd.%d", (int)getpid());
	snprintf(pidfile, sizeof(pidfile), "%s.pid", path);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "start 192.0.2.100\nend 192.0.2.100\ninterface h0\nlease_file /dev/null\npidfile %s\nopt router 192.0.2.9\nopt subnet "
	           "255.255.255.0\nopt lease 600\n", pidfile);
	assert_int_equal(fclose(f), 0);
	plan_begin(&p, 1);
	add_router(&p, 0);
	struct plan_port *up = add_uplink(&p, 0, 0, "campus", (struct addr){ 0 });
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &p), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 1, NULL), 0);
	/* There is no server yet; the client goes on asking. */
	pid_t server = fork();
	if (server == 0) {
		char ns[64];
		snprintf(ns, sizeof(ns), "--net=/proc/%d/ns/net", (int)host_pid[0]);
		execlp("nsenter", "nsenter", ns, "busybox", "udhcpd", "-f", path, NULL);
		_exit(127);
	}
	UNTIL(n, in_router(0, "ip -4 addr show dev up0 | grep -q 192.0.2.100/24 && ip route show default | grep -q \"via 192.0.2.9\"") == 0);
	assert_int_equal(reach_from_host(0, "192.0.2.100"), 0);
	UNTIL(n, advertised());
	/* The client outlives the agent, and is found again. */
	node_close(n);
	assert_int_equal(reach_from_host(0, "192.0.2.100"), 0);
	node_open(n);
	builder_restore(n->builder, &n->stored[SLOT_COMMITTED], NULL);
	run_idle(n);
	assert_int_equal(reach_from_host(0, "192.0.2.100"), 0);
	/* Killed, it is started again. */
	n->notices = 0;
	assert_int_equal(sh("kill -9 $(cat /proc/%d/root/run/vne-dhcp/up0.pid | xargs -I@ grep -l \"^NSpid:.*[[:space:]]@$\" /proc/[0-9]*/status | "
	                    "cut -d/ -f3 | while read q; do [ $(readlink /proc/$q/ns/net) = $(readlink /proc/%d/ns/net) ] && echo $q; done)",
	                    (int)router_pid(0), (int)router_pid(0)), 0);
	UNTIL(n, n->notices > 0);
	UNTIL(n, sh("for q in /proc/[0-9]*; do [ \"$(readlink $q/ns/net)\" = \"$(readlink /proc/%d/ns/net)\" ] && grep -qa udhcpc $q/cmdline && exit 0; "
	            "done; exit 1", (int)router_pid(0)) == 0);
	assert_int_equal(reach_from_host(0, "192.0.2.100"), 0);
	/* An address of its own takes the place of what was learnt. */
	up->address = v4(0xc0000201, 24);
	p.generation = 2;
	assert_int_equal(run(n, BUILD_PREPARE, 2, &p), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 2, NULL), 0);
	UNTIL(n, in_router(0, "ip -4 addr show dev up0 | grep -q 192.0.2.100") == 1);
	assert_int_equal(reach_from_host(0, "192.0.2.1"), 0);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
	unlink(pidfile);
	release(n, 3);
	node_plan_done(&p);
}

/* ---- without a kernel ---------------------------------------------------------------------------------------------- */
static void a_guest_is_told_its_gateway(void **state)
{
	struct node_plan p;
	struct guest_setup setup;
	struct err err = { 0 };
	buf_auto struct buf text = BUF_INIT;
	plan_begin(&p, 1);
	struct plan_router *r = add_router(&p, 0);
	struct plan_port *up = add_uplink(&p, 0, 0, "campus", v4(0xc0000201, 24));
	up->gateway = v4(0xc0000209, 32);
	const struct plan_port *ports[] = { up };
	for (int planned = 0; planned < 2; planned++) { /* `static` plans it itself */
		if (planned)
			route_to(r, v4(0, 0), up->gateway, up->id);
		buf_clear(&text);
		setup_write(r, ports, 1, NULL, &text);
		assert_int_equal(guest_setup_read(buf_cstr(&text), text.len, &setup, &err), 0);
		assert_int_equal(setup.n_routes, 1);
		assert_int_equal(setup.routes[0].to.prefix, 0);
		assert_true(addr_same(&setup.routes[0].via, &up->gateway));
		assert_string_equal(setup.routes[0].ifname, "up0");
		assert_int_equal(setup.routes[0].source.family, 0); /* the outside knows no way to the loopback */
		guest_setup_done(&setup);
	}
	node_plan_done(&p);
}

static void announcements_are_well_made(void **state)
{
	static const uint8_t arp[] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 1, 0, 7, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 1, 0, 7,
		                       192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1 };
	struct plan_port port = { .mac = { 2, 0, 0, 1, 0, 7 }, .address = v4(0xc0000201, 24) };
	uint8_t frame[ANNOUNCEMENT_MAX];
	assert_int_equal(uplink_announcement(&port, frame), sizeof(arp));
	assert_memory_equal(frame, arp, sizeof(arp));
	port.address = v6(0x0a, 1, 64);
	assert_int_equal(uplink_announcement(&port, frame), 86);
	/* The checksum of ICMPv6, over addresses, length, protocol and message, comes out as nothing. */
	uint32_t sum = 32 + IPPROTO_ICMPV6;
	for (size_t i = 14 + 8; i < 86; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
	assert_memory_equal(frame + 14 + 40 + 26, port.mac, 6);
	port.address = (struct addr){ 0 };
	assert_int_equal(uplink_announcement(&port, frame), 0);
}

/* The uplinks of a file; NULL: errors has what is wrong. */
static bool configured(const char *uplinks, struct agent_config *ret, struct yaml_errors *errors)
{
	char directory[] = "/tmp/vne-uplink-XXXXXX", path[4][64];
	struct identity vned, agent;
	struct err err = { 0 };
	assert_non_null(mkdtemp(directory));
	static const char *const names[] = { "vned.pub", "a.key", "vnagent.yaml" };
	for (size_t i = 0; i < 3; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", directory, names[i]);
	assert_int_equal(identity_make("vned", ROLE_COORDINATOR, "", &vned, &err), 0);
	assert_int_equal(identity_make("a", ROLE_AGENT, "a", &agent, &err), 0);
	assert_int_equal(identity_save(&vned, path[0], false, &err), 0);
	assert_int_equal(identity_save(&agent, path[1], true, &err), 0);
	FILE *f = fopen(path[2], "we");
	fprintf(f, "kind: vnagent\nserver: tcp://192.0.2.1:7410\nserver_key: vned.pub\nkey: a.key\nunderlay: [{device: eth0, bandwidth: 1gbit}]\n"
	           "uplinks:\n%s", uplinks);
	assert_int_equal(fclose(f), 0);
	int code = agent_config_load(path[2], errors, ret, &err);
	for (size_t i = 0; i < 3; i++)
		unlink(path[i]);
	rmdir(directory);
	return code == 0;
}

static void what_an_operator_writes(void **state)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{ "  campus: {vlan: 3}\n", "device" },
		{ "  campus: {device: eth1, vlan: 0}\n", "expected 1 to 4094" },
		{ "  campus: {device: eth1, vlan: 4095}\n", "expected 1 to 4094" },
		{ "  campus: {device: eth1, users: []}\n", "expected at least one" },
		{ "  campus: {device: 'eth 1'}\n", "expected a device's name" },
		{ "  campus: {device: a-name-of-16-char}\n", "expected a device's name" },
		{ "  campus: {device: eth0}\n", "carries the tunnels" },
		{ "  campus: {device: eth1}\n  lab: {device: eth1}\n", "are the same port" },
		{ "  'a b': {device: eth1}\n", "uplink: " },
		{ "  campus: {device: eth1, port: 3}\n", "unknown key" },
		{ "  - campus\n", "uplinks is not as it should be" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct agent_config c;
		struct yaml_errors errors = { 0 };
		assert_false(configured(wrong[i].text, &c, &errors));
		if (!strstr(buf_cstr(&errors.text), wrong[i].why))
			fail_msg("%s: %s", wrong[i].text, buf_cstr(&errors.text));
		yaml_errors_done(&errors);
	}
	struct agent_config c;
	struct yaml_errors errors = { 0 };
	assert_true(configured("  campus: {device: eth1}\n  lab: {device: eth1, vlan: 30, users: [alice, bob]}\n  trunk: {device: eth0, vlan: 5}\n", &c, &errors));
	assert_int_equal(c.uplinks.n, 3);
	assert_string_equal(uplink_find(&c.uplinks, "campus")->device, "eth1");
	assert_int_equal(uplink_find(&c.uplinks, "lab")->vlan, 30);
	assert_int_equal(uplink_allows(&c.uplinks, "campus", "anybody", NULL), 0);
	assert_int_equal(uplink_allows(&c.uplinks, "lab", "bob", NULL), 0);
	assert_int_equal(uplink_allows(&c.uplinks, "lab", "bo", NULL), -EACCES);
	assert_int_equal(uplink_allows(&c.uplinks, "nowhere", "bob", NULL), -ENOENT);
	agent_config_done(&c);
	yaml_errors_done(&errors);
}

/* A network takes the place of another, addresses and all: hosts that remember the old router's MAC hear at once. */
static void a_successor_is_heard_at_once(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan p;
	for (uint32_t i = 1; i <= 2; i++) {
		plan_begin(&p, i);
		add_router(&p, 0);
		add_uplink(&p, 0, 0, "campus", v4(0xc0000201, 24))->mac[3] = (uint8_t)i;
		if (i == 1)
			node_open(n);
		assert_int_equal(run(n, BUILD_PREPARE, i, &p), 0);
		assert_int_equal(run(n, BUILD_COMMIT, i, NULL), 0);
		assert_int_equal(i == 1 ? reach_from_host(0, "192.0.2.1") : in_host(0, "ping -q -c 1 -W 0.5 192.0.2.1 >/dev/null"), 0);
		node_plan_done(&p);
	}
	release(n, 3);
}

int main(int argc, char **argv)
{
	static char reason[256];
	struct err err = { 0 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(end_hosts_talk_across, enter, leave),
		cmocka_unit_test_setup_teardown(ipv6_crosses_too, enter, leave),
		cmocka_unit_test_setup_teardown(one_port_serves_several, enter, leave),
		cmocka_unit_test_setup_teardown(a_default_route_and_translation, enter, leave),
		cmocka_unit_test_setup_teardown(what_may_not_leave_does_not, enter, leave),
		cmocka_unit_test_setup_teardown(strangers_are_refused, enter, leave),
		cmocka_unit_test_setup_teardown(who_is_no_longer_welcome_is_cut, enter, leave),
		cmocka_unit_test_setup_teardown(what_vanishes_is_joined_again, enter, leave),
		cmocka_unit_test_setup_teardown(an_update_moves_to_another, enter, leave),
		cmocka_unit_test_setup_teardown(vlans_are_kept_apart, enter, leave),
		cmocka_unit_test_setup_teardown(a_successor_is_heard_at_once, enter, leave),
		cmocka_unit_test(a_guest_is_told_its_gateway),
		cmocka_unit_test(what_an_operator_writes),
		cmocka_unit_test(announcements_are_well_made),
		cmocka_unit_test_setup_teardown(an_address_is_learnt, enter, leave),
	};
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		why_not = "building for real needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN)";
	else if (router_netns.probe(&err)) {
		snprintf(reason, sizeof(reason), "%.255s", err.text);
		why_not = reason;
	} else if (ns_open(0, "net", &home, &err) || spawner_start(argc, argv, &spawner, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 70;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	spawner_stop(spawner);
	return failed;
}
