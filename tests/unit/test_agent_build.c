/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The builder against the real kernel: what it makes carries traffic, what it removes leaves
 * nothing, what is not ours stays, and a second builder over the same objects (an agent that was killed
 * and started again) finds everything. Each test has a network namespace of its own; without the
 * privilege for that they are skipped, and say so. */
#include "tests/unit/agent_fixture.h"

#include "vnagent/cgroup.h"

/* ---- each test in a namespace of its own --------------------------------------------------------- */
static int home = -1;

static int enter(void **state)
{
	if (why_not)
		return 0;
	assert_return_code(unshare(CLONE_NEWNET), errno);
	*state = mem_alloc(sizeof(struct node));
	return 0;
}

static int leave(void **state)
{
	if (why_not)
		return 0;
	end_holders();
	free(*state);
	return setns(home, CLONE_NEWNET);
}

static void chain_carries_traffic(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain, nothing = { .net = 7, .generation = 2 };
	make_chain(&chain, 1, 3, 100000);
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &chain), 0);
	assert_int_equal(devices_of_ours(), 4);
	assert_int_not_equal(ping(0, 2), 0); /* prepared carries nothing */
	assert_int_equal(run(n, BUILD_COMMIT, 1, NULL), 0);
	assert_int_equal(reach(0, 2), 0);
	assert_int_equal(reach(2, 0), 0);
	assert_int_equal(run(n, BUILD_PREPARE, 2, &nothing), 0);
	assert_int_equal(reach(0, 2), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 2, NULL), 0);
	assert_int_equal(devices_of_ours(), 0);
	assert_int_equal(holders(NULL), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&chain);
}

static void abort_leaves_nothing(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	make_chain(&chain, 1, 3, 100000);
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &chain), 0);
	assert_int_equal(run(n, BUILD_ABORT, 1, NULL), 0);
	assert_int_equal(devices_of_ours(), 0);
	assert_int_equal(holders(NULL), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 1, NULL), -ENOENT);
	node_close(n);
	node_plan_done(&chain);
}

static void a_failed_prepare_leaves_nothing(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	make_chain(&chain, 1, 3, 100000);
	/* Its name is taken by somebody else's device: ours can not be made, theirs stays. */
	assert_int_equal(sh("ip link add vp000007.3 type veth peer name other"), 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &chain), -EEXIST);
	assert_int_equal(devices_of_ours(), 0);
	assert_int_equal(holders(NULL), 0);
	assert_int_equal(sh("ip link show vp000007.3 >/dev/null"), 0);
	node_close(n);
	node_plan_done(&chain);
}

static void old_generations_are_refused(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan two, one;
	make_chain(&two, 2, 2, 0);
	make_chain(&one, 1, 3, 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 2, &two), 0);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &one), -ESTALE);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &one), -ESTALE);
	assert_int_equal(run(n, BUILD_COMMIT, 2, NULL), 0); /* repeated */
	assert_int_equal(run(n, BUILD_ABORT, 1, NULL), 0);
	assert_int_equal(reach(0, 1), 0);
	struct node_plan nothing = { .net = 7, .generation = 3 };
	assert_int_equal(run(n, BUILD_ENSURE, 3, &nothing), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&one);
	node_plan_done(&two);
}

/* Grow by one router and shrink again, under a ping that runs all the while. */
static void an_update_loses_nothing(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan two, three, back;
	make_chain(&two, 1, 2, 100000);
	make_chain(&three, 2, 3, 50000);
	make_chain(&back, 3, 2, 100000);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &two), 0);
	assert_int_equal(reach(0, 1), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(in_router(0, "ping -q -c 100 -i 0.005 -W 1 10.255.0.1 | grep -q \" 0% packet loss\""));
	assert_int_equal(run(n, BUILD_PREPARE, 2, &three), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 2, NULL), 0);
	assert_int_equal(reach(0, 2), 0);
	assert_int_equal(run(n, BUILD_PREPARE, 3, &back), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 3, NULL), 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(devices_of_ours(), 4); /* far ends may still send to what was replaced */
	assert_int_equal(run(n, BUILD_ENSURE, 3, &back), 0);
	assert_int_equal(devices_of_ours(), 2);
	assert_int_equal(holders(NULL), 2);
	struct node_plan nothing = { .net = 7, .generation = 4 };
	assert_int_equal(run(n, BUILD_ENSURE, 4, &nothing), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&two);
	node_plan_done(&three);
	node_plan_done(&back);
}

/* The agent is killed and started again: traffic never stops, and what was torn meanwhile is mended. */
static void a_new_agent_adopts(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	make_chain(&chain, 1, 3, 100000);
	node_open(n);
	assert_int_equal(run(n, BUILD_PREPARE, 1, &chain), 0);
	assert_int_equal(run(n, BUILD_COMMIT, 1, NULL), 0);
	node_close(n);
	assert_int_equal(reach(0, 2), 0);
	pid_t before = 0, after = 0;
	assert_int_equal(holders(&before), 3);
	assert_int_equal(sh("ip link del vp000007.2"), 0);
	assert_int_equal(sh("ip link add foreign group 1442840583 type veth peer name foreign2"), 0); /* our group, not our name */
	node_open(n);
	assert_true(n->has[SLOT_COMMITTED]);
	builder_restore(n->builder, &n->stored[SLOT_COMMITTED], NULL);
	builder_sweep(n->builder);
	run_idle(n);
	assert_int_equal(holders(&after), 3);
	assert_int_equal(before, after);
	assert_int_equal(reach(0, 2), 0);
	struct held_net *held;
	size_t n_held;
	builder_held(n->builder, &held, &n_held);
	assert_int_equal(n_held, 1);
	assert_int_equal(held[0].net, 7);
	assert_true(held[0].committed && held[0].digest == node_plan_digest(&chain));
	free(held);
	node_close(n);
	/* Without its plans everything is half-built: it goes, what is foreign stays. */
	node_open(n);
	builder_sweep(n->builder);
	run_idle(n);
	assert_int_equal(devices_of_ours(), 0);
	assert_int_equal(holders(NULL), 0);
	assert_int_equal(sh("ip link show foreign >/dev/null"), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&chain);
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* Turns the loop until all three routers live and a ping gets through. */
static void until_whole(struct node *n, uint32_t from, uint32_t to)
{
	struct err err = { 0 };
	struct loop_source *limit;
	assert_int_equal(loop_add_timer(n->loop, 100, 0, stop_loop, n->loop, &limit, &err), 0);
	for (int i = 0; i < 100 && (holders(NULL) < 3 || ping(from, to)); i++) {
		loop_set_timer(limit, 50, 0);
		assert_int_equal(loop_run(n->loop, &err), 0);
	}
	loop_remove(limit);
}

static void what_breaks_is_repaired(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	make_chain(&chain, 1, 3, 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &chain), 0);
	n->notices = 0;
	assert_int_equal(sh("ip link del vp000007.1"), 0);
	while (!n->notices)
		turn(n);
	until_whole(n, 0, 2);
	assert_int_equal(reach(0, 2), 0);
	pid_t victim = 0;
	assert_int_equal(holders(&victim), 3);
	n->notices = 0;
	assert_int_equal(kill(victim, SIGKILL), 0);
	while (!n->notices)
		turn(n);
	until_whole(n, 2, 0);
	assert_int_equal(reach(2, 0), 0);
	struct node_plan nothing = { .net = 7, .generation = 2 };
	assert_int_equal(run(n, BUILD_ENSURE, 2, &nothing), 0);
	assert_int_equal(devices_of_ours(), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&chain);
}

/* Nothing gets from a port into the host: neither when its redirect is missing nor when it is up alone. */
static void a_port_without_redirect_is_closed(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	make_chain(&chain, 1, 2, 0);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &chain), 0);
	assert_int_equal(sh("ip link set lo up; ip addr add 10.255.0.99/32 dev lo; sysctl -qw net.ipv4.ip_forward=1"), 0);
	assert_int_equal(sh("tc filter del dev vp000007.0 ingress prio 2"), 0);
	assert_int_equal(in_router(0, "ip route add 10.255.0.99 via 10.64.0.1"), 0);
	assert_int_not_equal(ping(0, 99), 0);
	assert_int_not_equal(ping(0, 1), 0);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &chain), 0); /* looks at what is really there */
	assert_int_equal(reach(0, 1), 0);
	struct node_plan nothing = { .net = 7, .generation = 2 };
	assert_int_equal(run(n, BUILD_ENSURE, 2, &nothing), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&chain);
}

static void load_counts(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	struct load_report before = { 0 }, after = { 0 };
	struct err err = { 0 };
	make_chain(&chain, 1, 2, 100000);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &chain), 0);
	for (uint32_t r = 0; r < 2; r++) /* it would speak of its own accord */
		assert_int_equal(in_router(r, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"), 0);
	assert_int_equal(reach(0, 1), 0); /* neighbours are known from here on */
	assert_int_equal(builder_load(n->builder, &before, &err), 0);
	assert_int_equal(in_router(0, "ping -q -c 10 -i 0.002 -s 100 10.255.0.1 >/dev/null"), 0);
	assert_int_equal(builder_load(n->builder, &after, &err), 0);
	assert_int_equal(after.n_ports, 2);
	assert_int_equal(after.n_routers, 2);
	assert_int_equal(after.routers[0].state, ROUTER_RUNNING);
	for (int i = 0; i < 2; i++) {
		uint64_t frames = after.ports[i].tx_frames - before.ports[i].tx_frames;
		/* a neighbour may be asked for again meanwhile */
		assert_in_range(frames, 10, 12);
		assert_in_range(after.ports[i].tx_bytes - before.ports[i].tx_bytes, 10 * 142, 10 * 142 + 2 * 42);
		assert_in_range(after.ports[i].rx_bytes - before.ports[i].rx_bytes, 10 * 142, 10 * 142 + 2 * 42);
		assert_int_equal(after.ports[i].tx_drops, 0);
	}
	load_report_done(&before);
	load_report_done(&after);
	struct node_plan nothing = { .net = 7, .generation = 2 };
	assert_int_equal(run(n, BUILD_ENSURE, 2, &nothing), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&chain);
}

/* Two routers on one node: no wire between, the promise holds all the same, both ways at once. */
/* What the kernel says is the memory limit of router 1 of network 9; -1: no such controller. */
static long long memory_limit(const char *parent)
{
	static const char *const at[] = { "/sys/fs/cgroup/memory/%s/9.1/memory.limit_in_bytes", "/sys/fs/cgroup/%s/9.1/memory.max" };
	char path[160];
	long long limit = -1;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), at[i], parent);
		FILE *f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%lld", &limit) != 1)
			limit = 0; /* "max" */
		fclose(f);
	}
	return limit;
}

static void memory_is_always_limited(void **state)
{
	struct err err = { 0 };
	char parent[32];
	NEED_PRIVILEGE();
	if (!cgroup_has_memory() || !cgroup_usable()) {
		print_message("SKIPPED: no control groups for memory\n");
		skip();
	}
	snprintf(parent, sizeof(parent), "vne-test-%d", (int)getpid());
	assert_int_equal(cgroup_open(parent, &err), 0);
	assert_int_equal(cgroup_set(parent, 9, 1, 100, 0, &err), 0);
	long long without = memory_limit(parent);
	assert_int_equal(cgroup_set(parent, 9, 1, 100, 512 << 10, &err), 0);
	long long more = memory_limit(parent);
	assert_int_equal(cgroup_set(parent, 9, 1, 100, 0, &err), 0);
	long long again = memory_limit(parent);
	cgroup_sweep(parent, NULL, NULL);
	assert_int_equal(without, 256 << 20);
	assert_int_equal(more, 512 << 20);
	assert_int_equal(again, 256 << 20);
}

static void a_limit_holds_within_a_node(void **state)
{
	NEED_PRIVILEGE();
	struct node *n = *state;
	struct node_plan chain;
	struct load_report r[2] = { { 0 }, { 0 } };
	struct err err = { 0 };
	make_chain(&chain, 1, 2, 20000);
	node_open(n);
	assert_int_equal(run(n, BUILD_ENSURE, 1, &chain), 0);
	assert_int_equal(reach(0, 1), 0);
	pid_t server = fork();
	if (server == 0)
		_exit(in_router(1, "iperf3 -s -1 >/dev/null 2>&1"));
	pid_t client = fork();
	if (client == 0)
		_exit(in_router(0, "for i in $(seq 200); do iperf3 -c 10.255.0.1 --bidir -t 5 >/dev/null 2>&1 && exit 0; done; exit 1"));
	int64_t at[2];
	for (int i = 0; i < 2; i++) {
		struct loop_source *end;
		do {
			assert_int_equal(loop_add_timer(n->loop, i ? 1500 : 10, 0, stop_loop, n->loop, &end, &err), 0);
			assert_int_equal(loop_run(n->loop, &err), 0);
			loop_remove(end);
			load_report_done(&r[i]);
			memset(&r[i], 0, sizeof(r[i]));
			at[i] = clock_us();
			assert_int_equal(builder_load(n->builder, &r[i], &err), 0);
		} while (r[i].ports[0].tx_bytes < 2500000 || r[i].ports[1].tx_bytes < 2500000); /* TCP has found its pace */
	}
	for (int port = 0; port < 2; port++) {
		double kbps = (double)(r[1].ports[port].tx_bytes - r[0].ports[port].tx_bytes) * 8000 / (double)(at[1] - at[0]);
		print_message("promised 20000 kbit/s within a node: %.0f\n", kbps);
		assert_true(kbps < 1.02 * 20000 && kbps > 0.50 * 20000); /* the lower bound is for machines with other work */
	}
	int status;
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(server, &status, 0), server);
	load_report_done(&r[0]);
	load_report_done(&r[1]);
	struct node_plan nothing = { .net = 7, .generation = 2 };
	assert_int_equal(run(n, BUILD_ENSURE, 2, &nothing), 0);
	node_close(n);
	forget_stored(n);
	node_plan_done(&chain);
}

int main(int argc, char **argv)
{
	static char reason[256];
	struct err err = { 0 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(chain_carries_traffic, enter, leave),
		cmocka_unit_test_setup_teardown(abort_leaves_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(a_failed_prepare_leaves_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(old_generations_are_refused, enter, leave),
		cmocka_unit_test_setup_teardown(an_update_loses_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(a_new_agent_adopts, enter, leave),
		cmocka_unit_test_setup_teardown(what_breaks_is_repaired, enter, leave),
		cmocka_unit_test_setup_teardown(a_port_without_redirect_is_closed, enter, leave),
		cmocka_unit_test_setup_teardown(load_counts, enter, leave),
		cmocka_unit_test_setup_teardown(a_limit_holds_within_a_node, enter, leave),
		cmocka_unit_test_setup_teardown(memory_is_always_limited, enter, leave),
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
