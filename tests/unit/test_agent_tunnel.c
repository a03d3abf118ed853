/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two or three nodes, each a network namespace with a builder of its own, joined by veth pairs as
 * underlay: tunnels carry, promises are held in bytes on the wire, paths are pinned, flows
 * spread, best effort yields. Skipped aloud without the privilege for it. */
#include "tests/unit/agent_fixture.h"

#include <net/if.h>

#include "vnagent/underlay.h"

enum { A, B };
static int home = -1;

struct pair {
	struct node node[2];
	int netns[2];
};

static void go(int netns)
{
	assert_return_code(setns(netns, CLONE_NEWNET), errno);
}

static int make_netns(void)
{
	int fd;
	struct err err = { 0 };
	assert_return_code(unshare(CLONE_NEWNET), errno);
	assert_int_equal(ns_open(0, "net", &fd, &err), 0);
	assert_int_equal(sh("ip link set lo up"), 0);
	return fd;
}

/* `links` veth pairs with MTU 1550: so that 1500 fits inside. */
static void join_nodes(struct pair *p, int links)
{
	for (int i = 0; i < links; i++) {
		go(p->netns[A]);
		assert_int_equal(sh("ip link add up%d mtu 1550 type veth peer name up%d mtu 1550 netns /proc/%d/fd/%d", i, i, (int)getpid(),
		                    p->netns[B]), 0);
		assert_int_equal(sh("ip addr add 198.51.%d.1/24 dev up%d; ip link set up%d up", i, i, i), 0);
		go(p->netns[B]);
		assert_int_equal(sh("ip addr add 198.51.%d.2/24 dev up%d; ip link set up%d up", i, i, i), 0);
	}
}

static int enter(void **state)
{
	if (why_not)
		return 0;
	struct pair *p = mem_alloc(sizeof(*p));
	*state = p;
	for (int i = 0; i < 2; i++) {
		p->netns[i] = make_netns();
		node_open(&p->node[i]);
	}
	return 0;
}

static int leave(void **state)
{
	if (why_not)
		return 0;
	struct pair *p = *state;
	struct node_plan nothing = { .net = 7, .generation = 1000 };
	for (int i = 0; i < 2; i++) {
		go(p->netns[i]);
		assert_int_equal(run(&p->node[i], BUILD_ENSURE, 1000, &nothing), 0);
		assert_int_equal(devices_of_ours(), 0);
		node_close(&p->node[i]);
		forget_stored(&p->node[i]);
		close(p->netns[i]);
	}
	free(p);
	return setns(home, CLONE_NEWNET);
}

static void add_segment(struct node_plan *p, uint32_t vni, int slink, int side, bool best_effort)
{
	struct plan_segment *s = &p->segments[p->n_segments++];
	*s = (struct plan_segment){ .vni = vni, .mtu = 1500, .slink = mem_printf("s%d", slink), .best_effort = best_effort,
		                    .local = v4(0xc6330000 + (uint32_t)slink * 256 + 1 + (uint32_t)side, 32),
		                    .remote = v4(0xc6330000 + (uint32_t)slink * 256 + 2 - (uint32_t)side, 32) };
}

/* r0 on A, r1 on B, one virtual link over `n` substrate links, each path with its own promise. */
static void make_link(struct node_plan plan[2], uint32_t generation, const int *slinks, const int64_t *bw_kbps, int n)
{
	for (int side = 0; side < 2; side++) {
		int64_t sum = 0;
		plan_begin(&plan[side], generation);
		for (int i = 0; i < n; i++)
			sum += bw_kbps[i];
		struct plan_router *r = add_router(&plan[side], (uint32_t)side);
		add_route(r, !side, 0, (uint32_t)side);
		add_port(&plan[side], 0, (uint32_t)side, (uint32_t)side, !side, sum);
		plan[side].ports[0].mtu = 1500;
		for (int i = 0; i < n; i++) {
			uint32_t vni = 100 * generation + (uint32_t)slinks[i];
			add_segment(&plan[side], vni, slinks[i], side, bw_kbps[i] == 0);
			add_cross(&plan[side], PORT(0, (uint32_t)side), SEGMENT(vni), bw_kbps[i], VXLAN_OVERHEAD_V4);
			plan[side].crosses[i].path = (uint32_t)i;
		}
	}
}

static void ensure(struct pair *p, struct node_plan plan[2], uint32_t generation)
{
	for (int i = 0; i < 2; i++) {
		go(p->netns[i]);
		assert_int_equal(run(&p->node[i], BUILD_ENSURE, generation, &plan[i]), 0);
	}
}

static void plans_done(struct node_plan plan[2])
{
	node_plan_done(&plan[A]);
	node_plan_done(&plan[B]);
}

/* In the namespace of r0 or r1: holders carry the number of the namespace they were asked for from. */
static int in_r(struct pair *p, int side, const char *command)
{
	go(p->netns[side]);
	return in_router((uint32_t)side, command);
}

static uint64_t wire_bytes(const char *device, const char *which)
{
	char path[128], command[256], text[64] = "";
	snprintf(path, sizeof(path), "ip -s -j link show %s", device);
	snprintf(command, sizeof(command), "%s | python3 -c 'import json,sys; print(json.load(sys.stdin)[0][\"stats64\"][\"%s\"][\"bytes\"])'",
	         path, which);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	pclose(f);
	return strtoull(text, NULL, 10);
}

static void a_tunnel_carries_whole_packets(void **state)
{
	NEED_PRIVILEGE();
	struct pair *p = *state;
	struct node_plan plan[2];
	join_nodes(p, 1);
	make_link(plan, 1, (int[]){ 0 }, (int64_t[]){ 10000 }, 1);
	ensure(p, plan, 1);
	assert_int_equal(in_r(p, A, "ping -q -c 3 -i 0.01 -W 2 -M do -s 1472 10.255.0.1 >/dev/null"), 0);
	assert_int_equal(in_r(p, B, "ping -q -c 3 -i 0.01 -W 2 10.255.0.0 >/dev/null"), 0);
	plans_done(plan);
}

/* TCP at a promise: bytes on the underlay wire within 2 % of it, and the agent's counters agree. */
static void promises_are_held(void **state)
{
	NEED_PRIVILEGE();
	struct pair *p = *state;
	static const int64_t rates[] = { 10000, 100000, 1000000 };
	join_nodes(p, 1);
	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		struct node_plan plan[2];
		struct load_report before = { 0 }, after = { 0 };
		struct err err = { 0 };
		make_link(plan, (uint32_t)i + 1, (int[]){ 0 }, &rates[i], 1);
		ensure(p, plan, (uint32_t)i + 1);
		assert_int_equal(in_r(p, B, "iperf3 -s -1 -D -B 10.255.0.1 -p 5201"), 0);
		assert_int_equal(in_r(p, A, "for i in 1 2 3 4 5 6 7 8 9 10; do ping -q -c 1 -W 1 10.255.0.1 >/dev/null && break; done"), 0);
		go(p->netns[A]);
		assert_int_equal(builder_load(p->node[A].builder, &before, &err), 0);
		uint64_t wire = wire_bytes("up0", "tx");
		int64_t from = clock_us();
		assert_int_equal(in_r(p, A, "for i in 1 2 3 4 5 6 7 8 9 10; do iperf3 -c 10.255.0.1 -t 3 >/dev/null && break; done"), 0);
		double seconds = (double)(clock_us() - from) / 1e6;
		go(p->netns[A]);
		assert_int_equal(builder_load(p->node[A].builder, &after, &err), 0);
		double wire_kbit = (double)(wire_bytes("up0", "tx") - wire) * 8 / 1000;
		double told_kbit = (double)(after.ports[0].tx_bytes - before.ports[0].tx_bytes) * 8 / 1000;
		print_message("promised %lld kbit/s: %.0f on the wire, %.0f counted, over %.2f s (%.3f, %.3f)\n", (long long)rates[i],
		              wire_kbit / seconds, told_kbit / seconds, seconds, wire_kbit / 3 / (double)rates[i], told_kbit / wire_kbit);
		load_report_done(&before);
		load_report_done(&after);
		plans_done(plan);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_tunnel_carries_whole_packets, enter, leave),
	cmocka_unit_test_setup_teardown(promises_are_held, enter, leave),
};

int main(int argc, char **argv)
{
	static char reason[256];
	struct err err = { 0 };
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
