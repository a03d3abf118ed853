/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast an agent builds, reads and removes: a chain of N routers (default 100) in the builder,
 * without the network around it, in a network namespace of its own. Needs root.
 *
 *     build/tests/bench/bench_agent [ROUTERS [ROUNDS]]
 *
 * Chains long enough to have 1000 virtual links show what reading the load costs. One line of JSON per round. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "vnagent/build.h"
#include "vnagent/cgroup.h"

struct bench {
	struct loop *loop;
	bool done;
	int code;
};

static void result(void *arg, const struct build_result *r)
{
	struct bench *bench = arg;
	bench->done = true;
	bench->code = r->code;
	if (r->code)
		fprintf(stderr, "operation %d failed: %s\n", r->op, r->text);
	loop_stop(bench->loop);
}

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "bench_agent: %s: %s\n", what, err->text);
	exit(70);
}

static struct addr v4(uint32_t host, uint8_t prefix)
{
	struct addr a = { .family = AF_INET, .prefix = prefix };
	for (int i = 0; i < 4; i++)
		a.bytes[i] = (uint8_t)(host >> (24 - 8 * i));
	return a;
}

static void add_end(struct node_plan *p, uint32_t link, uint32_t end, uint32_t router)
{
	struct plan_port *port = &p->ports[p->n_ports++];
	*port = (struct plan_port){ .id = link << 1 | end, .router = router, .mtu = 1500, .bw_kbps = 100000,
		                    .mac = { 2, 0, 0, (uint8_t)(link >> 8), (uint8_t)link, (uint8_t)end } };
	snprintf(port->ifname, sizeof(port->ifname), "eth%u", end ? 0 : 1);
	port->link = mem_printf("l%u", link);
	port->peer_router = mem_printf("r%u", end ? link : link + 1);
	port->address = v4(0x0a400000 + 2 * link + end, 31);
	port->peer = v4(0x0a400000 + 2 * link + !end, 32);
}

/* Router i reaches all loopbacks before it through its left neighbour, all behind it through its right. */
static void add_routes(struct plan_router *r, uint32_t i, uint32_t n)
{
	r->routes = mem_array(2, sizeof(*r->routes));
	if (i > 0)
		r->routes[r->n_routes++] = (struct plan_route){ v4(0x0aff0000, 17), v4(0x0a400000 + 2 * (i - 1), 32), (i - 1) << 1 | 1 };
	if (i + 1 < n)
		r->routes[r->n_routes++] = (struct plan_route){ v4(0x0aff8000, 17), v4(0x0a400000 + 2 * i + 1, 32), i << 1 };
}

static void make_chain(struct node_plan *p, uint32_t net, uint32_t n)
{
	*p = (struct node_plan){ .net = net, .generation = 1, .owner = mem_str("bench"), .name = mem_str("chain") };
	p->routers = mem_array(n, sizeof(*p->routers));
	p->ports = mem_array(2 * n, sizeof(*p->ports));
	p->crosses = mem_array(n, sizeof(*p->crosses));
	for (uint32_t i = 0; i < n; i++) {
		struct plan_router *r = &p->routers[p->n_routers++];
		*r = (struct plan_router){ .id = i, .name = mem_printf("r%u", i), .kind = "netns", .cpu_milli = 100 };
		r->loopbacks = mem_array(1, sizeof(*r->loopbacks));
		r->loopbacks[r->n_loopbacks++] = v4(0x0aff0000 + i, 32);
		add_routes(r, i, n);
	}
	for (uint32_t i = 0; i + 1 < n; i++) {
		add_end(p, i, 0, i);
		add_end(p, i, 1, i + 1);
		p->crosses[p->n_crosses++] = (struct plan_cross){ .a = { ENDPOINT_PORT, i << 1 }, .b = { ENDPOINT_PORT, i << 1 | 1 },
			                                          .bw_kbps = 100000 };
	}
}

static double run(struct bench *bench, struct builder *b, enum build_op op, uint32_t generation, const struct node_plan *plan)
{
	struct err err = { 0 };
	int64_t from = clock_us();
	bench->done = false;
	builder_start(b, op, 1, generation, plan, 1);
	while (!bench->done)
		if (loop_run(bench->loop, &err))
			die("loop", &err);
	if (bench->code)
		exit(70);
	return (double)(clock_us() - from) / 1000;
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 100;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	struct err err = { 0 };
	struct spawner *spawner;
	struct bench bench = { 0 };
	static const char *const kinds[] = { "netns", NULL };
	if (n < 2 || n > 4096 || unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "bench_agent: 2 to 4096 routers; needs root\n");
		return 2;
	}
	if (spawner_start(argc, argv, &spawner, &err) || loop_new(&bench.loop, &err))
		die("start", &err);
	const char *cgroup = cgroup_open("vne-bench", &err) ? "" : "vne-bench";
	struct build_options options = { .loop = bench.loop, .spawner = spawner, .cgroup = cgroup, .kinds = kinds, .result = result,
		                         .arg = &bench };
	struct builder *b;
	if (builder_new(&options, &b, &err))
		die("builder", &err);
	for (int i = 0; i < rounds; i++) {
		struct node_plan chain, nothing = { .net = 1, .generation = 2 };
		struct load_report report = { 0 };
		make_chain(&chain, 1, n);
		double prepare = run(&bench, b, BUILD_PREPARE, 1, &chain), commit = run(&bench, b, BUILD_COMMIT, 1, NULL);
		double load = 1e9;
		size_t ports = 0;
		for (int k = 0; k < 5; k++) { /* the quickest of five: the others had company on the machine */
			int64_t from = clock_us();
			if (builder_load(b, &report, &err))
				die("load", &err);
			double ms = (double)(clock_us() - from) / 1000;
			load = ms < load ? ms : load;
			ports = report.n_ports;
			load_report_done(&report);
			memset(&report, 0, sizeof(report));
		}
		double ensure = run(&bench, b, BUILD_ENSURE, 1, &chain);
		double removal = run(&bench, b, BUILD_ENSURE, 2, &nothing);
		printf("{\"routers\": %u, \"prepare_ms\": %.1f, \"commit_ms\": %.1f, \"ports\": %zu, \"load_ms\": %.2f, "
		       "\"ensure_ms\": %.1f, \"remove_ms\": %.1f}\n",
		       n, prepare, commit, ports, load, ensure, removal);
		fflush(stdout);
		node_plan_done(&chain);
	}
	builder_free(b);
	if (*cgroup)
		cgroup_sweep(cgroup, NULL, NULL);
	spawner_stop(spawner);
	loop_free(bench.loop);
	return 0;
}
