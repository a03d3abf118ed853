/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every message survives the wire unchanged; no cut, no flipped bit and no garbage does worse than
 * a refusal. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proto/message.h"
#include "proto/worker.h"

/* ---- samples: everything set to something that is not the default ------------------------------ */

static struct addr sample_addr(uint8_t last)
{
	return (struct addr){ .family = AF_INET, .prefix = 31, .bytes = { 10, 64, 0, last } };
}

static struct node_plan sample_plan(void)
{
	struct node_plan p = { .net = 7, .generation = 3, .owner = mem_str("alice"), .name = mem_str("demo"),
		                   .n_routers = 1, .n_ports = 1, .n_segments = 1, .n_crosses = 1 };
	p.routers = mem_alloc(sizeof(*p.routers));
	*p.routers = (struct plan_router){ .id = 1, .name = mem_str("r1"), .kind = "netns", .cpu_milli = 500, .mem_kib = 65536,
		                               .routing = ROUTING_OSPF, .n_loopbacks = 1, .n_routes = 1, .image = mem_str("small"),
		                               .rt_period_us = 10000, .rt_budget_us = 2000, .plane = PLANE_PROGRAM,
		                               .program = mem_str("wall"), .controller = mem_str("tcp:192.0.2.1:6653") };
	p.routers->loopbacks = mem_alloc(sizeof(struct addr));
	*p.routers->loopbacks = sample_addr(1);
	p.routers->routes = mem_alloc(sizeof(struct plan_route));
	*p.routers->routes = (struct plan_route){ sample_addr(2), sample_addr(3), 9 };
	p.ports = mem_alloc(sizeof(*p.ports));
	*p.ports = (struct plan_port){ .id = 9, .router = 1, .ifname = "eth0", .mac = { 2, 1, 2, 3, 4, 5 }, .mtu = 1500,
		                           .address = sample_addr(4), .peer = sample_addr(5), .link = mem_str("r1-r2"),
		                           .peer_router = mem_str("r2"), .bw_kbps = 20000, .uplink = mem_str("campus"), .gateway = sample_addr(8),
		                           .nat = true, .lan = true };
	p.segments = mem_alloc(sizeof(*p.segments));
	*p.segments = (struct plan_segment){ .vni = 77, .link = 4, .local = sample_addr(6), .remote = sample_addr(7),
		                                 .slink = mem_str("atla-hstn"), .mtu = 1550, .best_effort = true };
	p.crosses = mem_alloc(sizeof(*p.crosses));
	*p.crosses = (struct plan_cross){ .a = { ENDPOINT_PORT, 9 }, .b = { ENDPOINT_SEGMENT, 77 }, .bw_kbps = 20000,
		                              .overhead = 50, .role = CROSS_BACKUP, .path = 2 };
	return p;
}

static void sample_hello(struct message *m)
{
	struct node_probe *p = &m->u.hello.probe;
	*p = (struct node_probe){ .version = "1.2", .kernel = "6.1", .cores = 2, .mem_kib = 4096, .n_kinds = 1,
		                      .n_features = 1, .n_mtus = 1 };
	p->kinds = mem_alloc(sizeof(*p->kinds));
	*p->kinds = (struct probe_kind){ "xen", true, "because", 1 << 20, 8, 16, 2 };
	p->features = mem_alloc(sizeof(*p->features));
	*p->features = (struct probe_feature){ "netem", true, "delay" };
	p->mtus = mem_alloc(sizeof(*p->mtus));
	*p->mtus = (struct probe_mtu){ "192.0.2.1", 1600 };
	p->n_images = 1;
	p->images = mem_alloc(sizeof(*p->images));
	*p->images = mem_str("small");
	p->n_programs = 1;
	p->programs = mem_alloc(sizeof(*p->programs));
	*p->programs = mem_str("wall");
	p->n_uplinks = 1;
	p->uplinks = mem_alloc(sizeof(*p->uplinks));
	*p->uplinks = (struct probe_uplink){ .name = mem_str("campus"), .n_users = 1, .usable = true, .why = "because" };
	p->uplinks->users = mem_alloc(sizeof(char *));
	*p->uplinks->users = mem_str("alice");
	m->u.hello.term = 5;
	m->u.hello.held = mem_alloc(sizeof(struct held_net));
	*m->u.hello.held = (struct held_net){ 7, 3, true, 4, UINT64_MAX };
	m->u.hello.n_held = 1;
}

static void sample_report(struct load_report *r)
{
	*r = (struct load_report){ .wall_ms = 9, .cpu_permille = 10, .cores = 2, .mem_total_kib = 11, .mem_used_kib = 12,
		                       .n_routers = 1, .n_ports = 1, .n_segments = 1, .n_uplinks = 1 };
	r->routers = mem_alloc(sizeof(*r->routers));
	*r->routers = (struct router_load){ 7, 1, ROUTER_FAILED, UINT64_MAX, -1, "it ended", ROUTER_ROUTING_STARTING, "knows 1 of 2" };
	r->ports = mem_alloc(sizeof(*r->ports));
	*r->ports = (struct port_load){ 7, 9, 1, 2, 3, 4, 5, UINT64_MAX };
	r->segments = mem_alloc(sizeof(*r->segments));
	*r->segments = (struct segment_load){ 7, 77, 1, 2, 3, 4, 5 };
	r->uplinks = mem_alloc(sizeof(*r->uplinks));
	*r->uplinks = (struct probe_uplink){ .name = mem_str("campus"), .users = mem_array(1, sizeof(char *)), .n_users = 1, .why = "it is down" };
	r->uplinks->users[0] = mem_str("alice");
}

static struct network_view sample_network(bool detailed)
{
	struct network_view v = { .owner = mem_str("alice"), .name = mem_str("demo"), .id = 7, .generation = 3,
		                      .state = NET_FAILED, .reason = mem_str("why"), .submitted_ms = 1, .changed_ms = 2,
		                      .lifetime_us = -1, .cost = 21, .bound = -1, .revenue = 20.5, .solve_seconds = 0.25,
		                      .solver = mem_str("exact"), .status = mem_str("optimal"), .detailed = detailed,
		                      .n_routers = 1, .n_links = 1 };
	if (!detailed)
		return v;
	v.routers = mem_alloc(sizeof(*v.routers));
	*v.routers = (struct router_view){ mem_str("r1"), mem_str("atla"), mem_str("netns"), mem_str("running"), NULL,
		                               mem_str("10.255.0.0"), 500, 65536, -1, -1, mem_str("small"), 10000, 2000,
		                               mem_str("program"), mem_str("wall"), mem_str("tcp:192.0.2.1:6653"), mem_str("campus lab") };
	v.links = mem_alloc(sizeof(*v.links));
	*v.links = (struct vlink_view){ .name = mem_str("l"), .a = mem_str("r1"), .b = mem_str("r2"),
		                            .address_a = mem_str("10.64.0.0"), .address_b = mem_str("10.64.0.1"), .mbit = 20,
		                            .max_delay_us = -1, .delay_us = 12000, .mtu = 1500, .n_paths = 1,
		                            .mbit_now = { 1.5, -1 }, .frames = { 1, 2 }, .bytes = { 3, 4 }, .drops = { 5, 6 } };
	v.n_uplinks = 1;
	v.uplinks = mem_alloc(sizeof(*v.uplinks));
	*v.uplinks = (struct uplink_view){ mem_str("r1"), mem_str("campus"), mem_str("192.0.2.2/24"), mem_str("192.0.2.1"), true,
		                               { 1.5, -1 }, { 1, 2 }, { 3, 4 }, { 5, 6 } };
	v.links->paths = mem_alloc(sizeof(*v.links->paths));
	*v.links->paths = (struct path_view){ mem_str("a b"), mem_str("a-b"), 20, true };
	return v;
}

static void sample_lists(struct message *m)
{
	switch (m->type) {
	case MSG_NETWORKS:
		m->u.networks.n = 2;
		m->u.networks.v = mem_array(2, sizeof(struct network_view));
		m->u.networks.v[0] = sample_network(true);
		m->u.networks.v[1] = sample_network(false);
		break;
	case MSG_NODE_LIST:
		m->u.nodes.n = 1;
		m->u.nodes.v = mem_alloc(sizeof(struct node_view));
		*m->u.nodes.v = (struct node_view){ mem_str("atla"), mem_str("up"), mem_str("netns xen"), mem_str("192.0.2.1"), 1, 2,
			                                INT64_MAX, 3, -1, -1, 4, 5, 6, 7, true, 33.5, -84.25, mem_str("netem"), true,
			                                3, 8, 1 << 20, 1 << 19, 1000, 600, mem_str("large small"), mem_str("campus lab"), mem_str("wall"), true, true };
		break;
	case MSG_LINK_LIST:
		m->u.links.n = 1;
		m->u.links.v = mem_alloc(sizeof(struct slink_view));
		*m->u.links.v = (struct slink_view){ mem_str("l"), mem_str("a"), mem_str("b"), 100, 20, 12000, 3, { -1, 2 }, mem_str("down") };
		break;
	case MSG_EVENT_LIST:
		m->u.events_list.n = 1;
		m->u.events_list.v = mem_alloc(sizeof(struct event_view));
		*m->u.events_list.v = (struct event_view){ 9, 10, mem_str("network"), mem_str("a/b"), mem_str("state active") };
		break;
	case MSG_HISTORY_LIST:
		m->u.history.n = 1;
		m->u.history.v = mem_alloc(sizeof(struct history_view));
		*m->u.history.v = (struct history_view){ 9, mem_str("a/b"), 7, 2, NET_RELEASED, mem_str("a"), mem_str("asked for") };
		break;
	case MSG_KEYS:
		m->u.keys.op = KEYS_ALLOW;
		m->u.keys.name = mem_str("alice.pub");
		m->u.keys.text = mem_str("kind: key\n");
		m->u.keys.expires_us = 3600000000;
		break;
	case MSG_KEY_LIST:
		m->u.keys_list.n = 1;
		m->u.keys_list.v = mem_alloc(sizeof(struct key_view));
		*m->u.keys_list.v = (struct key_view){ mem_str("join-a"), mem_str("join"), mem_str("a"), mem_str("0000-1111"), 1700000000000 };
		break;
	case MSG_JOIN:
		memset(m->u.join.key, 7, sizeof(m->u.join.key));
		break;
	case MSG_LOG:
	case MSG_USAGE:
		m->u.journal.since_ms = 1;
		m->u.journal.until_ms = UINT64_MAX;
		m->u.journal.offset = 7;
		m->u.journal.who = mem_str("alice");
		break;
	case MSG_LOG_LIST:
		m->u.log.n = 1;
		m->u.log.next = 9;
		m->u.log.v = mem_alloc(sizeof(struct log_view));
		*m->u.log.v = (struct log_view){ 3, 1700000000000, mem_str("alice"), mem_str("tenant"), mem_str("192.0.2.1"), mem_str("submit"),
			                             mem_str("alice/demo"), 1, mem_str("no room") };
		break;
	case MSG_USAGE_LIST:
		m->u.usage.n = 1;
		m->u.usage.next = 9;
		m->u.usage.v = mem_alloc(sizeof(struct usage_view));
		*m->u.usage.v = (struct usage_view){ mem_str("alice"), 1, 2, 0.5, 1.5, 20, 1000 };
		break;
	case MSG_QUOTA_LIST:
		m->u.quotas.n = 1;
		m->u.quotas.v = mem_alloc(sizeof(struct quota_view));
		*m->u.quotas.v = (struct quota_view){ mem_str("alice"), { 1, 2, 3, 4, 5 }, { 6, -1, 8, 9, 10 } };
		break;
	case MSG_SERIES:
		m->u.series.of = mem_str("vlink:alice/demo/r1-r2");
		m->u.series.span_us = 3600000000;
		break;
	case MSG_SERIES_DATA:
		m->u.series_data = (struct series_view){ mem_str("node:a"), 10000, mem_array(2, sizeof(char *)), 2,
			                                     mem_alloc(sizeof(struct series_point)), 1 };
		m->u.series_data.columns[0] = mem_str("cpu_ratio");
		m->u.series_data.columns[1] = mem_str("memory_mib");
		*m->u.series_data.points = (struct series_point){ 1700000000000, { 0.5, 12, -1, -1 }, { 0.75, 13, -1, -1 } };
		break;
	case MSG_PLANE:
		m->u.plane.network = mem_str("demo");
		m->u.plane.router = mem_str("r1");
		m->u.plane.router_id = 3;
		m->u.plane.op = PLANE_SET;
		m->u.plane.key = mem_dup("k\0y", 3);
		m->u.plane.key_len = 3;
		m->u.plane.value = mem_dup("v", 1);
		m->u.plane.value_len = 1;
		break;
	case MSG_PLANE_DATA:
		m->u.plane_data.code = -2;
		m->u.plane_data.why = mem_str("why");
		m->u.plane_data.program = mem_str("ecmp");
		m->u.plane_data.key_len = 20;
		m->u.plane_data.value_len = 4;
		m->u.plane_data.left_out = 9;
		m->u.plane_data.n = 1;
		m->u.plane_data.v = mem_alloc(sizeof(struct plane_entry));
		*m->u.plane_data.v = (struct plane_entry){ mem_dup("ab", 2), mem_dup("c", 1), 2, 1 };
		break;
	case MSG_ROUTE_LIST:
		m->u.routes.n = 1;
		m->u.routes.v = mem_alloc(sizeof(struct routes_view));
		*m->u.routes.v = (struct routes_view){ 3, mem_str("r4"), mem_str("a"), mem_str(""), mem_alloc(sizeof(struct neighbour_view)), 1,
			                               mem_alloc(sizeof(struct route_view)), 1, 5 };
		*m->u.routes.v->neighbours = (struct neighbour_view){ mem_str("r5"), mem_str("eth0"), mem_str("Full/PtP"), 4 };
		*m->u.routes.v->routes = (struct route_view){ mem_str("10.0.0.0/8"), mem_str("10.1.0.1"), mem_str("eth0"), mem_str("bird"), 32 };
		break;
	default:
		break;
	}
}

static void sample(enum message_type type, struct message *m)
{
	*m = (struct message){ .type = type, .term = 4, .net = 7, .generation = 3, .sequence = 9, .reply_to = 8, .more = true };
	switch (type) {
	case MSG_REPLY:
	case MSG_DONE:
		m->u.reply.code = -EIO;
		m->u.reply.text = mem_str("grün");
		break;
	case MSG_HELLO:
		sample_hello(m);
		break;
	case MSG_PROGRESS:
		m->u.progress.ready = 1;
		m->u.progress.all = 2;
		m->u.progress.stage = mem_str("routers");
		m->u.progress.network = mem_str("alice/demo");
		break;
	case MSG_REPORT:
		sample_report(&m->u.report);
		break;
	case MSG_WATCH:
		m->u.watch.all = true;
		m->u.watch.n_links = m->u.watch.n_guards = 1;
		m->u.watch.links = mem_alloc(sizeof(*m->u.watch.links));
		m->u.watch.guards = mem_alloc(sizeof(*m->u.watch.guards));
		*m->u.watch.links = (struct link_heard){ mem_str("a-b"), HEARD_DOWN, mem_str("nothing comes from 10.0.0.1") };
		*m->u.watch.guards = (struct guard_heard){ 3, 9, true, HEARD_DOWN, HEARD_UP, 5, mem_str("nothing is heard") };
		break;
	case MSG_NOTICE:
		m->u.notice.object = mem_str("router demo/r1");
		m->u.notice.what = mem_str("ended");
		break;
	case MSG_WELCOME:
		m->u.welcome.node = mem_str("atla");
		m->u.welcome.heartbeat_ms = m->u.welcome.report_ms = 1000;
		break;
	case MSG_PREPARE:
	case MSG_ENSURE:
		m->u.plan = sample_plan();
		break;
	case MSG_SUBMIT:
	case MSG_PLAN:
		m->u.submit.text = mem_str("kind: network\n");
		m->u.submit.len = 14;
		m->u.submit.wait_active = true;
		m->u.submit.file = mem_str("request.yaml");
		break;
	case MSG_RELEASE:
	case MSG_SHOW:
	case MSG_HISTORY:
		m->u.name.name = mem_str("alice/demo");
		break;
	case MSG_BACKUP:
		m->u.backup.offset = 1 << 20;
		break;
	case MSG_BACKUP_DATA:
		m->u.backup_data.size = 10;
		m->u.backup_data.offset = 6;
		m->u.backup_data.data = mem_dup("data", 4);
		m->u.backup_data.len = 4;
		break;
	case MSG_EVENTS:
		m->u.events.since = UINT64_MAX;
		m->u.events.follow = true;
		break;
	case MSG_EXEC:
		m->u.exec.id = 1;
		m->u.exec.network = mem_str("demo");
		m->u.exec.router = mem_str("r1");
		m->u.exec.router_id = 2;
		m->u.exec.argc = 2;
		m->u.exec.argv = mem_array(2, sizeof(char *));
		m->u.exec.argv[0] = mem_str("ping");
		m->u.exec.argv[1] = mem_str("");
		break;
	case MSG_EXEC_INPUT:
	case MSG_EXEC_OUTPUT:
		m->u.exec_data.id = 1;
		m->u.exec_data.stream = 2;
		m->u.exec_data.data = mem_dup("a\0b", 3);
		m->u.exec_data.len = 3;
		break;
	case MSG_EXEC_EXIT:
		m->u.exec_exit.id = 1;
		m->u.exec_exit.code = 127;
		m->u.exec_exit.reason = mem_str("no such file");
		break;
	default:
		sample_lists(m);
	}
}

/* ---- tests ------------------------------------------------------------------------------------ */

/* A term to which one can be added, in the envelope and in a hello; nothing else is one. */
static void test_terms(void **state)
{
	static const struct {
		uint64_t envelope, hello;
		int result;
	} cases[] = {
		{ TERM_MAX, TERM_MAX, 0 }, { TERM_MAX + 1, 0, -EINVAL }, { 0, TERM_MAX + 1, -EINVAL }, { 0, UINT64_MAX - 1, -EINVAL },
		{ UINT64_MAX, UINT64_MAX, -EINVAL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct message m, back;
		struct err err = { 0 };
		uint8_t *data;
		size_t len;
		sample(MSG_HELLO, &m);
		m.term = cases[i].envelope;
		m.u.hello.term = cases[i].hello;
		message_pack(&m, &data, &len);
		assert_int_equal(message_unpack(data, len, &back, &err), cases[i].result);
		if (cases[i].result == 0)
			message_done(&back);
		else
			assert_non_null(strstr(err.text, "term"));
		message_done(&m);
		free(data);
	}
}

static void test_round_trip(void **state)
{
	for (enum message_type type = 1; type < MSG_TYPES; type++) {
		if (strcmp(message_type_name(type), "nothing") == 0)
			continue; /* a number that no message has */
		struct message m, back;
		struct err err = { 0 };
		uint8_t *data, *again;
		size_t len, again_len;
		sample(type, &m);
		message_pack(&m, &data, &len);
		if (message_unpack(data, len, &back, &err) < 0)
			fail_msg("%s: %s", message_type_name(type), err.text);
		assert_int_equal(back.type, type);
		assert_int_equal(back.term, 4);
		assert_int_equal(back.net, 7);
		assert_int_equal(back.generation, 3);
		assert_int_equal(back.sequence, 9);
		assert_int_equal(back.reply_to, 8);
		assert_true(back.more);
		message_pack(&back, &again, &again_len);
		assert_int_equal(len, again_len);
		assert_memory_equal(data, again, len);
		message_done(&m);
		assert_int_equal(m.type, 0);
		message_done(&back);
		free(data);
		free(again);
	}
}

/* The round trip above compares bytes; this one, that fields land where they belong. */
static void test_fields(void **state)
{
	struct message m, back;
	uint8_t *data;
	size_t len;
	sample(MSG_PREPARE, &m);
	message_pack(&m, &data, &len);
	assert_int_equal(message_unpack(data, len, &back, NULL), 0);
	const struct node_plan *p = &back.u.plan;
	assert_string_equal(p->owner, "alice");
	assert_string_equal(p->routers[0].kind, "netns");
	assert_int_equal(p->routers[0].plane, PLANE_PROGRAM);
	assert_string_equal(p->routers[0].program, "wall");
	assert_string_equal(p->routers[0].controller, "tcp:192.0.2.1:6653");
	assert_string_equal(p->ports[0].uplink, "campus");
	assert_int_equal(p->ports[0].gateway.bytes[3], 8);
	assert_true(p->ports[0].nat && p->ports[0].lan);
	assert_int_equal(p->routers[0].routing, ROUTING_OSPF);
	assert_int_equal(p->routers[0].routes[0].via.bytes[3], 3);
	assert_int_equal(p->routers[0].loopbacks[0].prefix, 31);
	assert_memory_equal(p->ports[0].mac, m.u.plan.ports[0].mac, 6);
	assert_int_equal(p->segments[0].remote.bytes[3], 7);
	assert_true(p->segments[0].best_effort);
	assert_int_equal(p->crosses[0].b.kind, ENDPOINT_SEGMENT);
	assert_int_equal(p->crosses[0].overhead, 50);
	message_done(&m);
	message_done(&back);
	free(data);

	sample(MSG_NETWORKS, &m);
	message_pack(&m, &data, &len);
	assert_int_equal(message_unpack(data, len, &back, NULL), 0);
	assert_null(back.u.networks.v[0].routers[0].reason);
	assert_true(back.u.networks.v[0].links[0].mbit_now[1] == -1);
	assert_int_equal(back.u.networks.v[0].links[0].drops[1], 6);
	assert_int_equal(back.u.networks.v[1].n_routers, 1);
	assert_null(back.u.networks.v[1].routers);
	message_done(&m);
	message_done(&back);
	free(data);
}

static void test_cut(void **state)
{
	for (enum message_type type = 1; type < MSG_TYPES; type++) {
		if (strcmp(message_type_name(type), "nothing") == 0)
			continue; /* a number that no message has */
		struct message m, back;
		uint8_t *data;
		size_t len;
		sample(type, &m);
		message_pack(&m, &data, &len);
		for (size_t n = 0; n < len; n++) {
			uint8_t *copy = mem_dup(data, n ? n : 1); /* so that a read beyond is seen */
			struct err err = { 0 };
			int r = message_unpack(copy, n, &back, &err);
			if (r == 0)
				message_done(&back);
			else
				assert_true(err.text[0]);
			free(copy);
		}
		message_done(&m);
		free(data);
	}
}

static void test_flipped_bits(void **state)
{
	for (enum message_type type = 1; type < MSG_TYPES; type++) {
		if (strcmp(message_type_name(type), "nothing") == 0)
			continue; /* a number that no message has */
		struct message m, back;
		uint8_t *data, *again;
		size_t len, again_len;
		sample(type, &m);
		message_pack(&m, &data, &len);
		for (size_t bit = 0; bit < len * 8; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (message_unpack(data, len, &back, NULL) == 0) {
				/* what is believed can be sent on */
				message_pack(&back, &again, &again_len);
				free(again);
				message_done(&back);
			}
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		message_done(&m);
		free(data);
	}
}

static void test_garbage(void **state)
{
	uint64_t seed = 42;
	for (int i = 0; i < 20000; i++) {
		uint8_t data[64];
		for (size_t k = 0; k < sizeof(data); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			data[k] = (uint8_t)(seed >> 56);
		}
		struct message m;
		struct err err = { 0 };
		if (message_unpack(data, (size_t)i % sizeof(data), &m, &err) == 0)
			message_done(&m);
	}
}

static int refusal(struct message *m, struct err *err)
{
	uint8_t *data;
	size_t len;
	struct message back;
	message_pack(m, &data, &len);
	int r = message_unpack(data, len, &back, err);
	if (r == 0)
		message_done(&back);
	free(data);
	return r;
}

static void test_refused(void **state)
{
	struct err err = { 0 };
	struct message m = { .type = MSG_WELCOME, .u.welcome = { (char *)"no/name", 1000, 1000 } };
	assert_int_equal(refusal(&m, &err), -EINVAL);
	assert_non_null(strstr(err.text, "welcome: node"));
	m.u.welcome.node = (char *)"n";
	assert_int_equal(refusal(&m, &err), 0);
	m.u.welcome.heartbeat_ms = 0;
	assert_int_equal(refusal(&m, &err), -EINVAL);
	m = (struct message){ .type = MSG_REPLY, .u.reply = { 0, (char *)"bad \xff utf-8" } };
	assert_int_equal(refusal(&m, &err), -EPROTO);
	m.u.reply.text = (char *)"surrogate \xed\xa0\x80";
	assert_int_equal(refusal(&m, &err), -EPROTO);
	m = (struct message){ .type = MSG_HEARTBEAT, .net = NET_ID_MAX + 1 };
	assert_int_equal(refusal(&m, &err), -EINVAL);
	m = (struct message){ .type = MSG_EXEC, .u.exec = { .id = 1 } };
	assert_int_equal(refusal(&m, &err), -EINVAL);
	struct slink_view v = { (char *)"l", (char *)"a", (char *)"b", NAN, 0, 0, 0, { 0, 0 }, NULL };
	m = (struct message){ .type = MSG_LINK_LIST, .u.links = { &v, 1 } };
	assert_int_equal(refusal(&m, &err), -EINVAL);
	assert_non_null(strstr(err.text, "v[0]: mbit"));
}

static void test_texts_are_tamed(void **state)
{
	struct message m = { .type = MSG_NOTICE, .u.notice = { (char *)"a\x1b[2Jb", (char *)"line\n\ttab \x7f \xc2\x9b gr\xc3\xbcn" } }, back;
	uint8_t *data;
	size_t len;
	message_pack(&m, &data, &len);
	assert_int_equal(message_unpack(data, len, &back, NULL), 0);
	assert_string_equal(back.u.notice.object, "a?[2Jb");
	assert_string_equal(back.u.notice.what, "line\n\ttab ? ?? gr\xc3\xbcn");
	message_done(&back);
	free(data);
}

static void test_nul_and_version(void **state)
{
	struct err err = { 0 };
	struct message m;
	/* version 1, body reply (field 16) with text "a\0b" (field 2) */
	static const uint8_t nul[] = { 0x08, 1, 0x82, 0x01, 5, 0x12, 3, 'a', 0, 'b' };
	assert_int_equal(message_unpack(nul, sizeof(nul), &m, &err), -EPROTO);
	assert_non_null(strstr(err.text, "NUL"));
	static const uint8_t other[] = { 0x08, 2, 0x8a, 0x01, 0 };
	assert_int_equal(message_unpack(other, sizeof(other), &m, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "version 2"));
	static const uint8_t none[] = { 0x08, 1 };
	assert_int_equal(message_unpack(none, sizeof(none), &m, &err), -EPROTO);
}

/* Two bytes on the wire that would be a hundred in memory, many times over. */
static void test_memory_cap(void **state)
{
	enum { COUNT = 400000 };
	uint8_t *data = mem_alloc(16 + 2 * COUNT);
	size_t len = 0;
	static const uint8_t head[] = { 0x08, 1, 0xa2, 0x02 }; /* version, networks (field 36) */
	memcpy(data, head, sizeof(head));
	len = sizeof(head);
	size_t body = 2 * COUNT;
	for (size_t v = body; v; v >>= 7)
		data[len++] = (uint8_t)((v & 0x7f) | (v >> 7 ? 0x80 : 0));
	for (size_t i = 0; i < COUNT; i++) {
		data[len++] = 0x0a;
		data[len++] = 0;
	}
	struct err err = { 0 };
	struct message m;
	assert_int_equal(message_unpack(data, len, &m, &err), -EMSGSIZE);
	free(data);
}

static void test_plan_digest(void **state)
{
	struct node_plan p = sample_plan(), back;
	uint64_t digest = node_plan_digest(&p);
	p.generation++;
	assert_int_equal(node_plan_digest(&p), digest);
	p.ports[0].mtu--;
	assert_int_not_equal(node_plan_digest(&p), digest);
	p.ports[0].mtu++;
	uint8_t *data;
	size_t len;
	node_plan_pack(&p, &data, &len);
	assert_int_equal(node_plan_unpack(data, len, &back, NULL), 0);
	assert_int_equal(back.generation, p.generation);
	assert_int_equal(node_plan_digest(&back), digest);
	free(data);
	node_plan_done(&p);
	node_plan_done(&back);
}

static void test_worker_answer(void **state)
{
	struct worker_answer a = { .id = 3, .final = true }, back;
	a.solution = (struct solution){ .status = SOLVE_FEASIBLE, .has_embedding = true, .cost = 21, .objective = 21,
		                            .has_bound = true, .bound = 20.5, .seconds = 0.5, .solver = "exact", .reason = "why" };
	embedding_init(&a.solution.embedding, 2, 1);
	a.solution.embedding.host[0] = 4;
	a.solution.embedding.kind[1] = mem_str("xen");
	struct vlink_map *map = &a.solution.embedding.links[0];
	map->paths = mem_alloc(sizeof(*map->paths));
	map->n_paths = 1;
	map->paths[0] = (struct path){ mem_alloc(sizeof(uint32_t)), 1, 20000 };
	map->paths[0].links[0] = 8;
	uint8_t *data;
	size_t len;
	struct err err = { 0 };
	worker_answer_pack(&a, &data, &len);
	assert_int_equal((size_t)data[2] << 8 | data[3], len - 4);
	assert_int_equal(worker_answer_unpack(data + 4, len - 4, &back, &err), 0);
	assert_int_equal(back.id, 3);
	assert_true(back.final);
	assert_int_equal(back.solution.embedding.host[0], 4);
	assert_null(back.solution.embedding.kind[0]);
	assert_string_equal(back.solution.embedding.kind[1], "xen");
	assert_int_equal(back.solution.embedding.links[0].paths[0].links[0], 8);
	assert_int_equal(back.solution.embedding.links[0].backup.n, 0);
	assert_true(back.solution.bound == 20.5);
	worker_answer_done(&back);
	for (size_t bit = 32; bit < len * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (worker_answer_unpack(data + 4, len - 4, &back, NULL) == 0)
			worker_answer_done(&back);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	worker_answer_done(&a);
	free(data);
}

static const char substrate_text[] =
	"kind: substrate\nname: s\nnodes:\n"
	"  - {name: a, cpu: 4, memory: 1GiB, routers: [netns], location: [33.5, -84.5], labels: {site: south}, uplinks: [campus], address: 192.0.2.1}\n"
	"  - {name: b, cpu: 2, cost: 2, max_routers: 3, max_ports: 4, agent: false}\n"
	"links:\n  - {endpoints: [a, b], bandwidth: 10mbit, delay: 2ms, cost: 3, risks: [d], underlay: {a: 198.51.100.1, b: 198.51.100.2}}\n";
static const char request_text[] =
	"kind: network\nname: demo\nlifetime: 2h\nplacement: pack\nrouting: none\nnodes:\n"
	"  - {name: r1, cpu: 0.5, memory: 64MiB, router: netns, plane: split, uplinks: [{port: campus, address: 203.0.113.2/24, gateway: 203.0.113.1}], place: {on: [a], not_on: [b], near: {location: [33.7, -84.4], within: 500km}, labels: {site: south}}}\n"
	"  - {name: r2, cpu: 0.25, plane: {program: wall}}\n  - {name: s, cpu: 0.25, router: openflow, controller: 'tcp:192.0.2.1:6653'}\n"
	"links:\n  - {endpoints: [r1, r2], bandwidth: 2mbit, max_delay: 30ms, protection: link}\n";

static void test_worker_job(void **state)
{
	struct worker_job job = { .id = 5, .solver = "auto", .objective = 1, .time_limit_s = 2.5, .effort = 100, .seed = 7 }, back;
	struct yaml_errors errors = { .file = "t" };
	struct yaml_doc **docs;
	size_t n;
	struct request *requests;
	struct err err = { 0 };
	yaml_parse(substrate_text, strlen(substrate_text), &errors, &docs, &n);
	assert_int_equal(substrate_read(docs[0], &errors, &job.substrate), 0);
	yaml_free_docs(docs, n);
	assert_int_equal(request_parse(request_text, strlen(request_text), false, &errors, &requests, &n, &err), 0);
	job.request = requests[0];
	free(requests);
	residual_init(&job.left, &job.substrate);
	job.left.node[1][RES_CPU_MILLI] = 17;
	job.substrate.nodes[0].probed = job.substrate.nodes[0].split = true;
	job.substrate.nodes[0].programs.v = mem_alloc(sizeof(char *));
	job.substrate.nodes[0].programs.v[job.substrate.nodes[0].programs.n++] = mem_str("wall");
	uint8_t *data;
	size_t len;
	worker_job_pack(&job, &data, &len);
	if (worker_job_unpack(data + 4, len - 4, NULL, &back, &err) < 0)
		fail_msg("%s", err.text);
	buf_auto struct buf before = BUF_INIT, after = BUF_INIT;
	substrate_write(&job.substrate, &before);
	request_write(&job.request, &before);
	substrate_write(&back.substrate, &after);
	request_write(&back.request, &after);
	assert_string_equal(buf_cstr(&before), buf_cstr(&after));
	assert_int_equal(back.left.node[1][RES_CPU_MILLI], 17);
	assert_true(back.substrate.nodes[0].probed && back.substrate.nodes[0].split && !back.substrate.nodes[1].probed);
	assert_string_equal(back.substrate.nodes[0].programs.v[0], "wall");
	assert_int_equal(back.left.n_links, 1);
	assert_string_equal(back.solver, "auto");
	assert_int_equal(back.objective, 1);
	assert_int_equal(back.effort, 100);
	worker_job_done(&back);
	/* the substrate by itself, then a job without */
	struct worker_job standing;
	uint8_t *alone, *bare;
	size_t alone_len, bare_len;
	worker_substrate_pack(&job.substrate, &alone, &alone_len);
	assert_int_equal(worker_job_unpack(alone + 4, alone_len - 4, NULL, &standing, &err), 0);
	assert_int_equal(standing.id, 0);
	job.apart = true;
	worker_job_pack(&job, &bare, &bare_len);
	job.apart = false;
	assert_true(bare_len < len);
	assert_int_equal(worker_job_unpack(bare + 4, bare_len - 4, NULL, &back, &err), -EINVAL);
	assert_int_equal(worker_job_unpack(bare + 4, bare_len - 4, &standing.substrate, &back, &err), 0);
	assert_true(back.apart && back.substrate.nodes == standing.substrate.nodes);
	worker_job_done(&back);
	standing.substrate.n_links--; /* of another substrate */
	assert_int_equal(worker_job_unpack(bare + 4, bare_len - 4, &standing.substrate, &back, &err), -EINVAL);
	standing.substrate.n_links++;
	worker_job_done(&standing);
	free(alone);
	free(bare);
	for (size_t bit = 32; bit < len * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (worker_job_unpack(data + 4, len - 4, NULL, &back, NULL) == 0)
			worker_job_done(&back);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(data);
	worker_job_done(&job);
	yaml_errors_done(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_terms), cmocka_unit_test(test_fields), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flipped_bits), cmocka_unit_test(test_garbage), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_texts_are_tamed), cmocka_unit_test(test_nul_and_version), cmocka_unit_test(test_memory_cap), cmocka_unit_test(test_plan_digest),
		cmocka_unit_test(test_worker_answer), cmocka_unit_test(test_worker_job),
	};
	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
