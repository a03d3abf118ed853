/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The coordinator from a client's and from an agent's side: accepted, refused, aborted, released,
 * lost and found again, killed and restarted. */
#include <time.h>

#include "tests/help_vned.h"

static void test_submit_and_release(void **state)
{
	struct world *w = *state;
	if (submit(w, world_pair) != 0)
		fail_msg("%d: %s", w->code, w->text);
	assert_int_equal(w->answer.type, MSG_NETWORKS);
	assert_int_equal(w->answer.u.networks.n, 1);
	const struct network_view *v = &w->answer.u.networks.v[0];
	assert_string_equal(v->owner, "alice");
	assert_int_equal(v->state, NET_ACTIVE);
	assert_string_equal(v->routers[0].node, "n0");
	assert_string_equal(v->routers[1].node, "n1");
	assert_string_equal(v->links[0].paths[0].via, "n0 n1");
	assert_true(v->links[0].mbit == 10);
	assert_int_equal(w->fakes[0].n_nets, 1);
	assert_true(w->fakes[0].nets[0].committed);
	assert_int_equal(w->fakes[2].n_nets, 0);
	assert_int_equal(w->v.left.node[0][RES_CPU_MILLI], 3000);

	assert_int_equal(submit(w, world_pair), 1); /* the name is taken */
	assert_non_null(strstr(w->text, "exists already"));
	assert_int_equal(w->answer.u.networks.v[0].state, NET_REJECTED);

	assert_int_equal(release(w, "pair"), 0);
	assert_int_equal(w->fakes[0].n_nets + w->fakes[1].n_nets, 0);
	assert_int_equal(w->v.left.node[0][RES_CPU_MILLI], 4000);
	assert_int_equal(w->v.left.link_kbps[0], 100000);
	assert_int_equal(release(w, "pair"), 1);
}

static void test_plan_changes_nothing(void **state)
{
	struct world *w = *state;
	struct message m = submission(world_pair, MSG_PLAN);
	assert_int_equal(ask(w, &m), 0);
	assert_int_equal(w->answer.u.networks.v[0].state, NET_PLANNED);
	assert_string_equal(w->answer.u.networks.v[0].routers[0].node, "n0");
	assert_int_equal(w->v.n_networks, 0);
	assert_int_equal(w->v.next_net, 1);
	assert_int_equal(w->fakes[0].n_nets, 0);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, "kind: network\nname: big\nnodes:\n  - {name: r1, cpu: 64}\n"), 1);
	assert_non_null(strstr(w->text, "64"));
	assert_int_equal(w->answer.u.networks.v[0].state, NET_REJECTED);
	assert_int_equal(submit(w, "kind: network\nname: bad\nnodes:\n  - {name: r1, cpus: 1}\n"), 2);
	assert_non_null(strstr(w->text, "r.yaml:4:"));
	assert_int_equal(w->v.n_networks, 0);
}

static bool n0_lost(struct world *w) { return !w->v.agents[0].connected; }
static bool n0_offers(struct world *w) { return w->v.agents[0].connected && w->v.agents[0].probe.n_features; }
static bool n1_offers(struct world *w) { return w->v.agents[1].connected && w->v.agents[1].probe.n_features; }

/* What no agent can build is refused, however well it could be embedded, until one says that it can. */
static bool first_active(struct world *w) { return network_shown_state(w->v.networks[0]) == NET_ACTIVE; }

static void test_features(void **state)
{
	struct world *w = *state;
	static const char ospf[] = "kind: network\nname: dynamic\nrouting: ospf\nnodes:\n  - {name: r1, cpu: 1}\n";
	assert_int_equal(submit(w, ospf), 1);
	assert_non_null(strstr(w->text, "dynamic: routing: ospf: no agent connected offers ospf"));
	assert_non_null(strstr(w->text, "use static or none"));
	assert_int_equal(w->answer.u.networks.v[0].state, NET_REJECTED);
	struct message m = submission(ospf, MSG_PLAN);
	assert_int_equal(ask(w, &m), 1);
	assert_int_equal(w->v.n_networks, 0);
	fake_stop(&w->fakes[0]);
	w->fakes[0].feature = "ospf";
	fake_start(w, 0);
	assert_true(world_run(w, n0_offers, 5000));
	w->v.config.routing_timeout_us = 300000;
	assert_int_equal(submit(w, ospf), 4); /* it stands, but its router has not said that it has converged */
	assert_non_null(strstr(w->text, "routing: r1: no word of it yet"));
	assert_int_equal(network_shown_state(w->v.networks[0]), NET_DEGRADED);
	assert_false(world_run(w, first_active, 500)); /* it stays so until it has */
	struct router_load router = { .net = w->v.networks[0]->id, .state = ROUTER_RUNNING, .routing = ROUTER_ROUTING_CONVERGED };
	struct message report = { .type = MSG_REPORT, .u.report = { .routers = &router, .n_routers = 1 } };
	fake_send(&w->fakes[w->v.networks[0]->embedding.host[0]], &report);
	assert_true(world_run(w, first_active, 5000));
	/* each router on a node of its own, but one node alone has the daemon */
	assert_int_equal(submit(w, "kind: network\nname: both\nrouting: ospf\nnodes:\n  - {name: r1, cpu: 1}\n"
	                           "  - {name: r2, cpu: 1, place: {on: [n1]}}\n"), 1);
	assert_non_null(strstr(w->text, "not usable for routing: ospf but by guests, because BIRD is not installed: n1, n2"));
	fake_stop(&w->fakes[0]); /* gone with what it offered */
	assert_true(world_run(w, n0_lost, 5000));
	assert_int_equal(submit(w, "kind: network\nname: more\nrouting: ospf\nnodes:\n  - {name: r1, cpu: 1}\n"), 1);
	assert_non_null(strstr(w->text, "no agent connected offers ospf"));
}

static bool n2_flows(struct world *w)
{
	const struct agent *a = w->v.agents;
	return a[1].connected && a[1].probe.n_kinds == 2 && a[2].connected && a[2].probe.n_kinds == 2;
}
static bool n0_uplink(struct world *w) { return w->v.agents[0].connected && w->v.agents[0].probe.n_uplinks; }

#define OUTSIDE(more) "kind: network\nname: outside\nnodes:\n  - {name: r1, cpu: 1" more "}\n"

static void refused(struct world *w, const char *request, const char *why)
{
	assert_int_equal(submit(w, request), 1);
	if (!strstr(w->text, why))
		fail_msg("%s", w->text);
}

static bool first_counted(struct world *w) { return w->v.networks[0]->load.uplinks[0].known; }

/* What the agent reports of it comes to show and to /metrics; what is beyond it, nowhere. */
static void uplink_is_counted(struct world *w)
{
	struct port_load ports[] = { { .net = w->v.networks[0]->id, .port = PLAN_UPLINK_ID + 1, .tx_bytes = 13 },
		                         { .net = w->v.networks[0]->id, .port = PLAN_UPLINK_ID, .tx_frames = 3, .tx_bytes = 300, .rx_bytes = 400 } };
	struct message report = { .type = MSG_REPORT, .u.report = { .ports = ports, .n_ports = 2 } };
	struct network_view view;
	buf_auto struct buf text = BUF_INIT;
	fake_send(&w->fakes[0], &report);
	assert_true(world_run(w, first_counted, 5000));
	view_network(&w->v, w->v.networks[0], true, &view);
	assert_int_equal(view.n_uplinks, 1);
	assert_string_equal(view.uplinks[0].router, "r1");
	assert_string_equal(view.uplinks[0].address, "192.0.2.2/24");
	assert_true(view.uplinks[0].frames[0] == 3 && view.uplinks[0].bytes[0] == 300 && view.uplinks[0].bytes[1] == 400);
	network_view_done(&view);
	metrics_text(&w->v, &text);
	assert_non_null(strstr(buf_cstr(&text), "vnagent_uplink_receive_bytes_total{network=\"alice/outside\",router=\"r1\",uplink=\"wan\"} 400\n"));
	assert_null(strstr(buf_cstr(&text), " 13\n"));
}

static void come_back(struct world *w, size_t i, bool (*until)(struct world *w))
{
	fake_stop(&w->fakes[i]);
	assert_true(world_run(w, n0_lost, 5000));
	fake_start(w, i);
	assert_true(world_run(w, until, 5000));
}

/* Uplinks, planes and programs: what its agent has bounds what is placed on a node; whose an uplink is not, gets none. */
static void test_outside(void **state)
{
	struct world *w = *state;
	static const char uplink[] = OUTSIDE(", uplinks: [{port: wan, address: 192.0.2.2/24}]");
	static const char *const bob = "bob", *const alice = "alice";
	struct probe_uplink wan = { .name = (char *)(uintptr_t)"wan", .users = (char **)(uintptr_t)&bob, .n_users = 1, .usable = true };
	static const struct probe_kind flows = { .kind = "openflow", .why = "install openvswitch-switch" };
	w->fakes[2].guests = w->fakes[1].guests = &flows;
	for (size_t i = 1; i < 3; i++) {
		fake_stop(&w->fakes[i]);
		fake_start(w, i);
	}
	assert_true(world_run(w, n2_flows, 5000));
	refused(w, OUTSIDE(", router: openflow"), "not usable for routers of kind openflow: n1 and 1 more, because: install openvswitch-switch");
	refused(w, uplink, "the agent of node \"n0\" has no uplink \"wan\", though the substrate declares it");
	refused(w, OUTSIDE(", plane: split"), "not usable for plane: split, because no BPF can be loaded there: n0, n1, n2");
	refused(w, OUTSIDE(", plane: {program: wall}"), "has no forwarding program \"wall\"");
	w->fakes[0].uplink = &wan;
	w->fakes[0].feature = "plane-split";
	w->fakes[0].program = "wall";
	come_back(w, 0, n0_uplink);
	refused(w, uplink, "uplink \"wan\" of node \"n0\" is not open to \"alice\"; ask its operator");
	wan.users = (char **)(uintptr_t)&alice;
	wan.usable = false;
	snprintf(wan.why, sizeof(wan.why), "no device eth7");
	come_back(w, 0, n0_uplink);
	refused(w, uplink, "uplink \"wan\" of node \"n0\" is not usable now: no device eth7");
	wan.usable = true;
	come_back(w, 0, n0_uplink);
	refused(w, OUTSIDE(", uplinks: [{port: wan}]"), "uplink \"wan\" of node \"n0\" needs an address: no DHCP client (udhcpc) is installed there");
	refused(w, OUTSIDE(", uplinks: [{port: wan, address: 192.0.2.2/24, nat: true}]"), "uplink \"wan\" of node \"n0\" cannot have nat");
	assert_int_equal(submit(w, uplink), 0);
	assert_int_equal(w->v.networks[0]->embedding.host[0], 0);
	const struct router_view *shown = w->answer.u.networks.v[0].routers;
	assert_string_equal(shown->uplinks, "wan");
	assert_string_equal(shown->plane, "kernel");
	uplink_is_counted(w);
	assert_int_equal(release(w, "outside"), 0);
	assert_int_equal(submit(w, OUTSIDE(", plane: split")), 0);
	assert_int_equal(w->v.networks[0]->embedding.host[0], 0);
	assert_string_equal(w->answer.u.networks.v[0].routers->plane, "split");
	assert_int_equal(release(w, "outside"), 0);
	assert_int_equal(submit(w, OUTSIDE(", plane: {program: wall}")), 0);
	assert_string_equal(w->answer.u.networks.v[0].routers->program, "wall");
	assert_int_equal(release(w, "outside"), 0);
	refused(w, OUTSIDE(", plane: {program: other}"), "has no forwarding program \"other\"");
	refused(w, "kind: network\nname: two\nnodes:\n  - {name: r1, cpu: 1, plane: split}\n  - {name: r2, cpu: 1, plane: split}\n",
	        "no BPF can be loaded there: n1, n2");
	/* open to everybody, but not declared for this node: nobody's */
	wan.n_users = 0;
	wan.name = (char *)(uintptr_t)"lan";
	come_back(w, 0, n0_uplink);
	refused(w, OUTSIDE(", uplinks: [{port: lan}]"), "but the substrate does not declare it");
}

static bool n0_guests(struct world *w) { return w->v.agents[0].connected && w->v.agents[0].probe.n_kinds == 2; }

static int submit_guest(struct world *w, const char *name, const char *more)
{
	mem_auto char *text = mem_printf("kind: network\nname: %s\nnodes:\n  - {name: r3, cpu: 0.1, router: xen%s}\n", name, more);
	return submit(w, text);
}

/* What an agent has probed of guests bounds what is placed on its node, and comes back when they go. */
static void test_guests(void **state)
{
	struct world *w = *state;
	static const struct probe_kind xen = { .kind = "xen", .usable = true, .mem_kib = 200 << 10, .routers = 3, .ports = 2, .cores = 1 };
	static const char rt[] = ", realtime: {period: 10ms, budget: 6ms}, memory: 1MiB";
	assert_int_equal(submit_guest(w, "a", ""), 1); /* nobody hosts any */
	fake_stop(&w->fakes[0]);
	w->fakes[0].guests = &xen;
	w->fakes[0].image = "small";
	fake_start(w, 0);
	assert_true(world_run(w, n0_guests, 5000));
	assert_int_equal(submit_guest(w, "a", rt), 1);
	assert_non_null(strstr(w->text, "r3 needs realtime 0.6; n0 has no real-time scheduler"));
	assert_int_equal(submit_guest(w, "a", ", image: large"), 1);
	assert_int_equal(submit_guest(w, "a", ", image: small, memory: 128MiB"), 0);
	assert_int_equal(submit_guest(w, "b", ", memory: 128MiB"), 1); /* 200 MiB have room for one */
	assert_non_null(strstr(w->text, "guest memory"));
	assert_int_equal(submit_guest(w, "b", ""), 0); /* 64 MiB where nothing is said */
	/* routing: ospf has no daemon there, guests bring theirs: a router of any kind becomes one, and takes what guests take */
	static const char any[] = "kind: network\nname: any\nrouting: ospf\nnodes:\n  - {name: r3, cpu: 0.1}\n";
	struct message m = submission(any, MSG_PLAN);
	assert_int_equal(ask(w, &m), 1);
	assert_non_null(strstr(w->text, "BIRD is not installed: n0, n1, n2"));
	assert_int_equal(release(w, "b"), 0);
	m = submission(any, MSG_PLAN);
	assert_int_equal(ask(w, &m), 0);
	assert_string_equal(w->answer.u.networks.v[0].routers[0].kind, "xen");
	assert_int_equal(submit(w, "kind: network\nname: old\nrouting: ospf\nnodes:\n  - {name: r3, cpu: 0.1, router: netns}\n"), 1);
	assert_non_null(strstr(w->text, "no agent connected offers ospf"));
	assert_int_equal(submit_guest(w, "b", ""), 0);
	/* it comes back with a scheduler: promises stand, and utilisation sums up */
	fake_stop(&w->fakes[0]);
	w->fakes[0].feature = "realtime";
	fake_start(w, 0);
	assert_true(world_run(w, n0_offers, 5000));
	assert_int_equal(w->v.left.node[0][RES_GUEST_KIB], (200 - 128 - 64) << 10);
	assert_int_equal(w->v.left.node[0][RES_GUESTS], 1);
	assert_int_equal(submit_guest(w, "c", rt), 1); /* of memory nothing is left */
	assert_int_equal(release(w, "b"), 0);
	assert_int_equal(submit_guest(w, "c", rt), 0);
	assert_int_equal(w->v.left.node[0][RES_REALTIME_MILLI], 400);
	assert_int_equal(release(w, "a"), 0);
	assert_int_equal(submit_guest(w, "d", rt), 1);
	assert_non_null(strstr(w->text, "r3 needs realtime 0.6; its only candidate, n0, has 0.4"));
	/* a restart of the coordinator loses nothing of that */
	world_close_vned(w);
	world_open_vned(w);
	assert_true(world_run(w, is_client_up, 10000));
	assert_true(world_run(w, n0_guests, 10000));
	assert_int_equal(w->v.left.node[0][RES_REALTIME_MILLI], 400);
	assert_int_equal(w->v.left.node[0][RES_GUESTS], 2);
	assert_int_equal(release(w, "c"), 0);
	assert_int_equal(w->v.left.node[0][RES_REALTIME_MILLI], 1000);
}

static void test_several_documents(void **state)
{
	struct world *w = *state;
	static const char text[] =
		"kind: network\nname: one\nnodes:\n  - {name: a, cpu: 3, place: {on: [n0]}}\n---\n"
		"kind: network\nname: two\nnodes:\n  - {name: a, cpu: 3, place: {on: [n0]}}\n---\n"
		"kind: network\nname: three\nnodes:\n  - {name: a, cpu: 1, place: {on: [n0]}}\n";
	assert_int_equal(submit(w, text), 1);
	assert_int_equal(w->answer.u.networks.n, 3);
	assert_int_equal(w->answer.u.networks.v[0].state, NET_ACTIVE);
	assert_int_equal(w->answer.u.networks.v[1].state, NET_REJECTED);
	assert_int_equal(w->answer.u.networks.v[2].state, NET_ACTIVE);
	assert_int_equal(w->v.n_networks, 2);
}

static void test_prepare_refused(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_REFUSES_PREPARE;
	assert_int_equal(submit(w, world_pair), 70);
	assert_non_null(strstr(w->text, "node n1: no room here"));
	assert_int_equal(w->answer.u.networks.v[0].state, NET_FAILED);
	assert_int_equal(w->fakes[0].n_nets, 0);
	assert_int_equal(w->fakes[0].aborts, 1);
	assert_int_equal(w->fakes[0].commits, 0);
	assert_int_equal(w->v.n_networks, 0);
	assert_int_equal(w->v.left.node[0][RES_CPU_MILLI], 4000);
	w->fakes[1].mode = FAKE_OBEYS;
	assert_int_equal(submit(w, world_pair), 0);
}

static void test_prepare_silent(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_SILENT; /* it beats, but does not answer */
	assert_int_equal(submit(w, world_pair), 3);
	assert_non_null(strstr(w->text, "node n1 did not prepare within 2 s"));
	assert_int_equal(w->fakes[0].n_nets, 0);
	w->fakes[1].mode = FAKE_OBEYS;
}

static bool told_none_converged(struct world *w) { return strstr(buf_cstr(&w->events), "alice/dynamic routing: 0 of 2") != NULL; }
static bool told_one_converged(struct world *w) { return strstr(buf_cstr(&w->events), "alice/dynamic routing: 1 of 2") != NULL; }
static bool told_one_ready(struct world *w) { return strstr(buf_cstr(&w->events), "alice/dynamic building: 1 of 2") != NULL; }
static bool told_all_ready(struct world *w) { return strstr(buf_cstr(&w->events), "alice/dynamic building: 2 of 2") != NULL; }

static void routers_converge(struct world *w, size_t node)
{
	struct router_load router = { .net = w->v.networks[0]->id, .router = (uint32_t)node, .state = ROUTER_RUNNING,
		                          .routing = ROUTER_ROUTING_CONVERGED };
	struct message report = { .type = MSG_REPORT, .u.report = { .routers = &router, .n_routers = 1 } };
	fake_send(&w->fakes[node], &report);
}

/* Who waits hears how far it is: routers made, then routers that have converged. */
static void test_progress(void **state)
{
	struct world *w = *state;
	static const char ospf[] = "kind: network\nname: dynamic\nrouting: ospf\nnodes:\n"
	                           "  - {name: r1, cpu: 1, place: {on: [n0]}}\n  - {name: r2, cpu: 1, place: {on: [n1]}}\n";
	for (size_t i = 0; i < 2; i++) {
		fake_stop(&w->fakes[i]);
		w->fakes[i].feature = "ospf";
		fake_start(w, i);
	}
	assert_true(world_run(w, n0_offers, 5000));
	assert_true(world_run(w, n1_offers, 5000));
	w->v.config.prepare_timeout_us = 10000000;
	w->fakes[1].mode = FAKE_HOLDS_PREPARE;
	struct message m = submission(ospf, MSG_SUBMIT);
	ask_no_wait(w, &m);
	assert_true(world_run(w, told_one_ready, 5000)); /* that of n0 */
	struct message progress = { .type = MSG_PROGRESS, .net = w->v.networks[0]->id,
		                        .u.progress = { 9, 9, (char *)"routers", (char *)"" } }; /* more than it has counts as all */
	fake_send(&w->fakes[1], &progress);
	assert_true(world_run(w, told_all_ready, 5000));
	fake_done(&w->fakes[1], &w->fakes[1].held, 0, "");
	assert_true(world_run(w, told_none_converged, 5000));
	routers_converge(w, 1);
	assert_true(world_run(w, told_one_converged, 5000));
	assert_false(w->replied);
	routers_converge(w, 0);
	assert_true(world_run(w, is_replied, 5000));
	assert_int_equal(w->code, 0);
	assert_non_null(strstr(buf_cstr(&w->events), "alice/dynamic routing: 2 of 2"));
	assert_int_equal(w->answer.u.networks.v[0].state, NET_ACTIVE);
}

static bool n1_lost(struct world *w) { return !w->v.agents[1].connected; }
static bool n1_back(struct world *w) { return w->v.agents[1].connected; }
static bool all_synced(struct world *w)
{
	if (w->v.n_networks != 1 || w->v.networks[0]->degraded || w->v.networks[0]->txn)
		return false;
	for (size_t i = 0; i < w->v.networks[0]->plan.n_nodes; i++) {
		if (!w->v.networks[0]->parts[i].synced)
			return false;
	}
	return true;
}
static bool is_degraded(struct world *w) { return w->v.networks[0]->degraded; }

static void test_prepare_hangs(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_SILENT;
	w->fakes[1].mute = true; /* as SIGSTOP */
	struct message m = submission(world_pair, MSG_SUBMIT);
	assert_int_equal(ask(w, &m), 3);
	assert_non_null(strstr(w->text, "node n1"));
	assert_int_equal(w->fakes[0].n_nets, 0);
	/* without its agent the node is of no use, and the reason says so */
	assert_true(n1_lost(w));
	assert_int_equal(submit(w, world_pair), 1);
	assert_non_null(strstr(w->text, "no agent is connected: n1"));
	/* it wakes up on the same connection, with what it had begun */
	fake_get(&w->fakes[1], 1)->prepared = 1;
	w->fakes[1].mode = FAKE_OBEYS;
	w->fakes[1].mute = false;
	assert_true(world_run(w, n1_back, 5000));
	assert_int_equal(submit(w, world_pair), 0);
	assert_int_equal(w->fakes[1].n_nets, 1);
	assert_int_equal(w->fakes[1].nets[0].net, w->v.networks[0]->id);
}

static void test_agent_restarts(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	size_t ensures = w->fakes[1].ensures;
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, is_degraded, 5000));
	assert_int_equal(shown_state(w, "pair"), NET_DEGRADED);
	/* back with all it had: nothing is sent, nothing is touched */
	fake_start(w, 1);
	assert_true(world_run(w, all_synced, 5000));
	assert_int_equal(w->fakes[1].ensures, ensures);
	assert_int_equal(shown_state(w, "alice/pair"), NET_ACTIVE);
	/* back with nothing, and with something foreign: repaired, and cleaned */
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_lost, 5000));
	w->fakes[1].n_nets = 0;
	fake_get(&w->fakes[1], 999)->committed = true;
	fake_start(w, 1);
	assert_true(world_run(w, all_synced, 5000));
	assert_int_equal(w->fakes[1].n_nets, 1);
	assert_int_equal(w->fakes[1].nets[0].net, w->v.networks[0]->id);
}

static bool beaten(struct world *w) { return w->v.counters.messages > 60; }

/* Whoever was stopped has not heard what was said: it does not take the others for lost. */
static void test_vned_stalls(void **state)
{
	struct world *w = *state;
	struct timespec pause = { 1, 0 }; /* the whole process: twice the timeout */
	nanosleep(&pause, NULL);
	w->v.counters.messages = 0;
	assert_true(world_run(w, beaten, 5000));
	buf_auto struct buf down = BUF_INIT;
	agents_names(&w->v, agents_down, &down);
	assert_string_equal(buf_cstr(&down), "");
	struct event_view *all;
	size_t n;
	events_since(w->v.events, 0, &all, &n);
	for (size_t i = 0; i < n; i++) {
		assert_null(strstr(all[i].what, "down"));
		event_view_done(&all[i]);
	}
	free(all);
}

static void test_release_without_agent(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_lost, 5000));
	assert_int_equal(release(w, "pair"), 0);
	assert_int_equal(w->fakes[0].n_nets, 0);
	assert_int_equal(w->v.n_networks, 0);
	assert_int_equal(w->fakes[1].n_nets, 1);
	fake_start(w, 1);
	assert_true(world_run(w, n1_back, 5000));
	/* what it still holds goes, before anything new comes */
	assert_int_equal(submit(w, world_pair), 0);
	assert_int_equal(w->fakes[1].n_nets, 1);
	assert_int_equal(w->fakes[1].nets[0].net, w->v.networks[0]->id);
}

static void test_vned_restarts(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	uint64_t term = w->v.term;
	uint32_t id = w->v.networks[0]->id;
	size_t ensures = w->fakes[0].ensures + w->fakes[1].ensures;
	world_close_vned(w);
	world_open_vned(w);
	assert_true(w->v.term > term);
	assert_int_equal(w->v.n_networks, 1);
	assert_int_equal(w->v.networks[0]->id, id);
	assert_int_equal(w->v.left.node[0][RES_CPU_MILLI], 3000);
	assert_true(world_run(w, all_welcome, 10000));
	assert_true(world_run(w, all_synced, 5000));
	assert_int_equal(w->fakes[0].ensures + w->fakes[1].ensures, ensures); /* nothing was touched */
	assert_true(world_run(w, is_client_up, 5000));
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
	assert_int_equal(release(w, "pair"), 0);
	assert_int_equal(w->fakes[0].n_nets + w->fakes[1].n_nets, 0);
}

static bool has_submission(struct world *w) { return w->v.submissions != NULL; }

/* A request that comes before the agents are back waits for them. */
static void test_submit_right_after_start(void **state)
{
	struct world *w = *state;
	fake_stop(&w->fakes[1]);
	world_close_vned(w);
	world_config(w, "60s");
	world_open_vned(w);
	assert_true(world_run(w, is_client_up, 10000));
	struct message m = submission(world_pair, MSG_SUBMIT);
	ask_no_wait(w, &m);
	assert_true(world_run(w, has_submission, 5000));
	assert_false(w->replied);
	fake_start(w, 1);
	assert_true(world_run(w, is_replied, 10000));
	assert_int_equal(w->code, 0);
}

static bool n1_asked(struct world *w) { return w->v.n_networks == 1 && w->v.networks[0]->txn; }
static bool is_active(struct world *w)
{
	return w->v.n_networks == 1 && w->v.networks[0]->state == NET_ACTIVE && !w->v.networks[0]->txn;
}

static void test_vned_stopped_while_preparing(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_SILENT;
	struct message m = submission(world_pair, MSG_SUBMIT);
	ask_no_wait(w, &m);
	assert_true(world_run(w, n1_asked, 5000));
	world_close_vned(w);
	w->fakes[1].mode = FAKE_OBEYS;
	world_open_vned(w);
	/* it was stored as planned: it is built, whole, under a new generation */
	assert_true(world_run(w, is_active, 10000));
	assert_int_equal(w->v.networks[0]->generation, 2);
	assert_int_equal(w->fakes[0].n_nets, 1);
	assert_true(w->fakes[0].nets[0].committed && w->fakes[1].nets[0].committed);
	assert_int_equal(w->fakes[0].nets[0].prepared, 0);
}

static bool is_committing(struct world *w) { return n1_asked(w) && w->v.networks[0]->txn->phase == TXN_COMMITTING; }
static bool is_releasing(struct world *w) { return n1_asked(w) && w->v.networks[0]->state == NET_RELEASING; }

static void test_vned_stopped_while_committing(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_HOLDS_COMMIT;
	struct message m = submission(world_pair, MSG_SUBMIT);
	ask_no_wait(w, &m);
	assert_true(world_run(w, is_committing, 5000));
	world_close_vned(w);
	w->fakes[1].mode = FAKE_OBEYS;
	world_open_vned(w);
	/* the decision was on disk: it stands, and who is behind is brought there */
	assert_true(world_run(w, all_synced, 10000));
	assert_int_equal(w->v.networks[0]->generation, 1);
	assert_true(w->fakes[0].nets[0].committed && w->fakes[1].nets[0].committed);
	assert_true(world_run(w, is_client_up, 5000));
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
}

static void test_vned_stopped_while_releasing(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	w->fakes[1].mode = FAKE_SILENT;
	struct message m = { .type = MSG_RELEASE, .u.name = { (char *)"pair" } };
	ask_no_wait(w, &m);
	assert_true(world_run(w, is_releasing, 5000));
	world_close_vned(w);
	w->fakes[1].mode = FAKE_OBEYS;
	world_open_vned(w);
	assert_true(world_run(w, all_welcome, 10000));
	assert_true(world_run(w, is_client_up, 5000));
	assert_int_equal(shown_state(w, "pair"), NET_STATES); /* there is none */
	assert_int_equal(submit(w, world_pair), 0);
	assert_int_equal(w->fakes[0].n_nets, 1);
	assert_int_equal(w->fakes[1].n_nets, 1);
	assert_int_equal(w->v.left.node[0][RES_CPU_MILLI], 3000);
}

/* An abort leaves nothing for a restart to find. */
static void test_aborted_stays_aborted(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_REFUSES_PREPARE;
	assert_int_equal(submit(w, world_pair), 70);
	world_close_vned(w);
	w->fakes[1].mode = FAKE_OBEYS;
	world_open_vned(w);
	assert_int_equal(w->v.n_networks, 0);
	assert_int_equal(w->v.left.node[0][RES_CPU_MILLI], 4000);
	assert_true(w->v.next_net > 1); /* numbers are not used again */
}

static void test_commit_held_back(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_HOLDS_COMMIT;
	assert_int_equal(submit(w, world_pair), 3); /* it is decided, but one node has not confirmed */
	assert_non_null(strstr(w->text, "node n1 did not commit"));
	assert_int_equal(w->answer.u.networks.v[0].state, NET_DEGRADED);
	w->fakes[1].mode = FAKE_OBEYS;
	assert_true(world_run(w, all_synced, 10000)); /* it is asked again until it has */
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
}

static void test_accepted(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_SILENT;
	struct message m = submission(world_pair, MSG_SUBMIT);
	m.u.submit.wait_active = false;
	assert_int_equal(ask(w, &m), 0);
	assert_int_equal(w->answer.u.networks.v[0].state, NET_PLANNED);
	/* released before it stands: undone everywhere */
	w->fakes[1].mode = FAKE_OBEYS;
	assert_int_equal(release(w, "pair"), 0);
	assert_int_equal(w->v.n_networks, 0);
	assert_int_equal(w->fakes[0].n_nets, 0);
}

static bool pair_is_active(struct world *w) { return shown_state(w, "pair") == NET_ACTIVE; }
static bool pair_is_degraded(struct world *w) { return shown_state(w, "pair") == NET_DEGRADED; }

/* What was acknowledged stays: one node refuses it, the other's agent is lost; it comes to be once they can. */
static void test_acknowledged(void **state)
{
	struct world *w = *state;
	w->fakes[1].mode = FAKE_REFUSES_PREPARE;
	struct message m = submission(world_pair, MSG_SUBMIT);
	m.u.submit.wait_active = false;
	assert_int_equal(ask(w, &m), 0);
	assert_true(world_run(w, pair_is_degraded, 5000));
	w->fakes[1].mode = FAKE_OBEYS;
	assert_true(world_run(w, pair_is_active, 10000));
	assert_int_equal(release(w, "pair"), 0);

	w->fakes[1].mode = FAKE_SILENT;
	m = submission(world_pair, MSG_SUBMIT);
	m.u.submit.wait_active = false;
	assert_int_equal(ask(w, &m), 0);
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, pair_is_degraded, 5000));
	world_close_vned(w); /* and vned is lost, too */
	world_open_vned(w);
	assert_true(world_run(w, is_client_up, 10000));
	assert_int_equal(w->v.n_networks, 1);
	w->fakes[1].mode = FAKE_OBEYS;
	fake_start(w, 1);
	assert_true(world_run(w, pair_is_active, 20000));
	assert_int_equal(release(w, "pair"), 0);
}

static void test_higher_term(void **state)
{
	struct world *w = *state;
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_lost, 5000));
	w->fakes[1].term = 1000;
	fake_start(w, 1);
	assert_true(world_run(w, n1_back, 5000));
	assert_true(w->v.term > 1000);
	assert_int_equal(submit(w, world_pair), 0);
}

static bool is_gone(struct world *w) { return w->v.n_networks == 0; }

static void test_lifetime(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, "kind: network\nname: short\nlifetime: 1s\nnodes:\n  - {name: a, cpu: 1}\n"), 0);
	assert_int_equal(w->v.n_networks, 1);
	assert_true(world_run(w, is_gone, 5000));
	assert_int_equal(w->fakes[0].n_nets + w->fakes[1].n_nets + w->fakes[2].n_nets, 0);
}

static void test_rights(void **state)
{
	struct world *w = *state;
	client_start(w, &w->viewer);
	assert_int_equal(submit(w, world_pair), 1);
	assert_non_null(strstr(w->text, "viewer"));
	struct message m = { .type = MSG_NODES };
	assert_int_equal(ask(w, &m), 0);
	assert_int_equal(w->answer.u.nodes.n, 3);
	assert_string_equal(w->answer.u.nodes.v[0].state, "up");
	m = (struct message){ .type = MSG_HELLO };
	assert_int_equal(ask(w, &m), 2); /* not an agent */
	assert_true(w->v.agents[0].connected);
}

static void test_tenants(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	client_start(w, &w->tenant);
	assert_int_equal(shown_state(w, "alice/pair"), NET_STATES);
	assert_int_equal(release(w, "pair"), 1);
	struct message m = { .type = MSG_LIST };
	assert_int_equal(ask(w, &m), 0);
	assert_int_equal(w->answer.u.networks.n, 0);
	assert_int_equal(submit(w, world_pair), 0); /* a name of its own */
	assert_string_equal(w->answer.u.networks.v[0].owner, "bob");
	client_start(w, &w->admin);
	assert_int_equal(shown_state(w, "pair"), NET_STATES); /* which of the two? */
	assert_non_null(strstr(w->text, "several networks"));
	assert_int_equal(shown_state(w, "bob/pair"), NET_ACTIVE);
	assert_int_equal(release(w, "bob/pair"), 0);
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
}

static bool exec_begun(struct world *w) { return w->fakes[1].exec_id != 0; }
static bool exec_input(struct world *w) { return w->fakes[1].exec_heard == MSG_EXEC_INPUT; }
static bool exec_hung_up(struct world *w) { return w->fakes[1].exec_heard == MSG_EXEC_EXIT; }
static bool has_output(struct world *w) { return w->answer.type == MSG_EXEC_OUTPUT; }
static bool has_exit(struct world *w) { return w->answer.type == MSG_EXEC_EXIT; }

static void test_exec(void **state)
{
	struct world *w = *state;
	char *argv[] = { (char *)"ping", (char *)"10.255.0.0" };
	assert_int_equal(submit(w, world_pair), 0);
	struct message m = { .type = MSG_EXEC, .u.exec = { .id = 5, .network = (char *)"pair", .router = (char *)"r2",
		                 .argv = argv, .argc = 2 } };
	ask_no_wait(w, &m);
	assert_true(world_run(w, exec_begun, 5000));
	assert_int_equal(w->fakes[1].exec_router, 1);
	m = (struct message){ .type = MSG_EXEC_INPUT, .u.exec_data = { .id = 5, .data = (uint8_t *)"x", .len = 1 } };
	ask_no_wait(w, &m);
	assert_true(world_run(w, exec_input, 5000));
	m = (struct message){ .type = MSG_EXEC_OUTPUT, .u.exec_data = { .id = w->fakes[1].exec_id, .stream = 1,
		                  .data = (uint8_t *)"hello", .len = 5 } };
	fake_send(&w->fakes[0], &m); /* another agent does not speak into it */
	fake_send(&w->fakes[1], &m);
	assert_true(world_run(w, has_output, 5000));
	assert_int_equal(w->answer.u.exec_data.id, 5);
	assert_memory_equal(w->answer.u.exec_data.data, "hello", 5);
	m = (struct message){ .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = w->fakes[1].exec_id, .code = 7 } };
	fake_send(&w->fakes[1], &m);
	assert_true(world_run(w, has_exit, 5000));
	assert_int_equal(w->answer.u.exec_exit.code, 7);
	/* a console goes the same way, without words */
	w->fakes[1].exec_id = 0;
	m = (struct message){ .type = MSG_EXEC, .u.exec = { .id = 8, .network = (char *)"pair", .router = (char *)"r2",
		                  .console = true } };
	ask_no_wait(w, &m);
	assert_true(world_run(w, exec_begun, 5000));
	assert_true(w->fakes[1].exec_console);
	m = (struct message){ .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = w->fakes[1].exec_id, .code = 3 } };
	fake_send(&w->fakes[1], &m);
	assert_true(world_run(w, has_exit, 5000));
	assert_int_equal(w->answer.u.exec_exit.id, 8);
	/* nobody of that name */
	m = (struct message){ .type = MSG_EXEC, .u.exec = { .id = 6, .network = (char *)"pair", .router = (char *)"r9",
		                  .argv = argv, .argc = 2 } };
	ask_no_wait(w, &m);
	assert_true(world_run(w, has_exit, 5000));
	assert_non_null(strstr(w->answer.u.exec_exit.reason, "no router r9"));
	assert_int_equal(w->answer.u.exec_exit.code, 1); /* as of any other thing that is not there */
	m.u.exec.network = (char *)"nope";
	ask_no_wait(w, &m);
	assert_true(world_run(w, has_exit, 5000));
	assert_int_equal(w->answer.u.exec_exit.code, 1);
	m.u.exec.network = (char *)"pair";
	/* a client that goes away takes its command along */
	w->fakes[1].exec_id = 0;
	m.u.exec.router = (char *)"r2";
	ask_no_wait(w, &m);
	assert_true(world_run(w, exec_begun, 5000));
	wire_close(w->client);
	w->client = NULL;
	assert_true(world_run(w, exec_hung_up, 5000));
	/* only an agent that is away makes it 3 */
	client_start(w, &w->admin);
	fake_stop(&w->fakes[1]);
	assert_true(world_run(w, n1_lost, 5000));
	ask_no_wait(w, &m);
	assert_true(world_run(w, has_exit, 5000));
	assert_int_equal(w->answer.u.exec_exit.code, 3);
	assert_non_null(strstr(w->answer.u.exec_exit.reason, "agent of node n1 is not connected"));
}

static bool got_event(struct world *w)
{
	/* and the answer: it would be taken for the next one's */
	return strstr(buf_cstr(&w->events), "alice/big state rejected") && w->replied && w->code == 1;
}

static bool has_report(struct world *w) { return w->v.agents[1].has_report; }

/* Every sample belongs to a family that was announced just before, with help and a known type. */
static void assert_metrics_format(const char *text)
{
	char family[128] = "", type[32] = "";
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		char name[128] = "", help[8];
		if (sscanf(line, "# HELP %127s %7s", family, help) == 2)
			continue;
		if (sscanf(line, "# TYPE %127s %31[a-z]", name, type) == 2) {
			assert_string_equal(name, family);
			assert_true(strcmp(type, "gauge") == 0 || strcmp(type, "counter") == 0);
			continue;
		}
		assert_int_equal(sscanf(line, "%127[a-z_]", name), 1);
		assert_string_equal(name, family);
		size_t len = strlen(name);
		assert_int_equal(strcmp(type, "counter") == 0, len > 6 && strcmp(name + len - 6, "_total") == 0);
		const char *blank = strchr(line, ' ');
		char *end;
		assert_non_null(blank);
		(void)strtod(blank, &end);
		assert_int_equal(*end, '\n');
	}
}

static void test_events_and_metrics(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_EVENTS, .u.events = { .follow = true } };
	ask_no_wait(w, &m);
	m = submission("kind: network\nname: big\nnodes:\n  - {name: r1, cpu: 64}\n", MSG_SUBMIT);
	assert_int_equal(wire_send(w->client, NULL, &m, NULL), 0);
	assert_true(world_run(w, got_event, 10000));
	assert_int_equal(submit(w, world_pair), 0);
	struct port_load port = { .net = w->v.networks[0]->id, .port = 1, .tx_frames = 10, .tx_bytes = 1000, .tx_drops = 3 };
	struct router_load router = { .net = w->v.networks[0]->id, .router = 1, .state = ROUTER_RUNNING };
	m = (struct message){ .type = MSG_REPORT, .u.report = { .cpu_permille = 250, .ports = &port, .n_ports = 1,
		                  .routers = &router, .n_routers = 1 } };
	fake_send(&w->fakes[1], &m);
	assert_true(world_run(w, has_report, 5000));
	buf_auto struct buf text = BUF_INIT;
	metrics_text(&w->v, &text);
	static const char *const lines[] = { "vned_networks_rejected_total 1", "vned_networks{state=\"active\"} 1",
		"vned_node_up{node=\"n0\"} 1", "vned_node_cpu_reserved_cores{node=\"n1\"} 1", "vnagent_cpu_used_ratio{node=\"n1\"} 0.25",
		"vnagent_router_up{network=\"alice/pair\",router=\"r2\",node=\"n1\"} 1",
		"vnagent_link_transmit_bytes_total{network=\"alice/pair\",link=\"r1-r2\",from=\"r2\"} 1000",
		"vned_link_reserved_bytes_per_second{link=\"n0-n1\"} 1250000" };
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		mem_auto char *line = mem_printf("\n%s\n", lines[i]);
		if (!strstr(buf_cstr(&text), line))
			fail_msg("%s: not in\n%s", lines[i], buf_cstr(&text));
	}
	assert_metrics_format(buf_cstr(&text));
}

static void test_load(void **state)
{
	struct world *w = *state;
	assert_int_equal(submit(w, world_pair), 0);
	uint32_t net = w->v.networks[0]->id;
	struct router_load routers[] = { { .net = net, .state = ROUTER_RUNNING, .cpu_us = 1000, .mem_kib = 2048 },
		                         { .net = net, .router = 1, .state = ROUTER_FAILED, .reason = "a lie" } };
	struct port_load port = { .net = net, .port = 0, .tx_frames = 10, .tx_bytes = 1000 };
	struct message m = { .type = MSG_REPORT, .u.report = { .cores = 4, .cpu_permille = 250, .mem_total_kib = 100,
		                 .mem_used_kib = 50, .routers = routers, .n_routers = 2, .ports = &port, .n_ports = 1 } };
	fake_send(&w->fakes[0], &m);
	struct message show = { .type = MSG_SHOW, .u.name = { (char *)"pair" } };
	do
		assert_int_equal(ask(w, &show), 0);
	while (w->answer.u.networks.v[0].links[0].frames[0] != 10);
	const struct network_view *v = &w->answer.u.networks.v[0];
	assert_string_equal(v->routers[0].state, "running");
	assert_int_equal(v->routers[0].mem_used_kib, 2048);
	assert_string_equal(v->routers[1].state, ""); /* n0 does not speak for n1 */
	assert_int_equal(v->state, NET_ACTIVE);
	assert_int_equal(v->links[0].bytes[0], 1000);
}

enum { PLANS = 400 };
static bool all_answered(struct world *w) { return w->replies == PLANS; }
static bool one_unavailable(struct world *w) { return w->unavailable > 0; }

/* One client does not take everything: what is too much or too large is answered, and all goes on. */
static void test_limits(void **state)
{
	struct world *w = *state;
	struct message m = submission(world_pair, MSG_PLAN);
	struct err err = { 0 };
	assert_int_equal(w->replies, 0);
	for (int i = 0; i < PLANS; i++) {
		if (wire_send(w->client, NULL, &m, &err) < 0)
			fail_msg("%s", err.text);
	}
	assert_true(world_run(w, one_unavailable, 20000));
	assert_true(world_run(w, all_answered, 60000));
	assert_true(w->unavailable <= PLANS - 64);
	assert_int_equal(ask(w, &m), 0);

	size_t len = (8 << 20) + 1;
	char *text = mem_alloc(len + 1);
	memset(text, '#', len);
	assert_int_equal(submit(w, text), 2);
	assert_non_null(strstr(w->text, "8 MiB"));
	free(text);
	text = mem_alloc((64 << 20) + 1); /* the most that a message holds is answered just so */
	memset(text, '#', 64 << 20);
	assert_int_equal(submit(w, text), 2);
	assert_non_null(strstr(w->text, "8 MiB"));
	free(text);
	assert_int_equal(submit(w, world_pair), 0);
}

static bool term_refused(struct world *w) { return w->v.counters.refused_peers > 0; }
static bool n0_up(struct world *w) { return w->v.agents[0].connected; }
static size_t messages_before;
static bool hello_seen(struct world *w) { return w->v.counters.messages >= messages_before + 5; }

/* An agent with a term from nowhere is refused by itself: nobody else hears of that term. */
static void test_term_from_nowhere(void **state)
{
	struct world *w = *state;
	uint64_t term = w->v.term;
	static const uint64_t lies[] = { UINT64_MAX - 1, TERM_MAX + 1, TERM_MAX, TERM_MAX - 1, 2000000 };
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		fake_stop(&w->fakes[0]);
		assert_true(world_run(w, n0_lost, 5000));
		w->v.counters.refused_peers = 0;
		messages_before = w->v.counters.messages;
		w->fakes[0].term = lies[i];
		fake_start(w, 0);
		assert_true(world_run(w, lies[i] > TERM_MAX ? term_refused : hello_seen, 5000));
		assert_false(w->v.agents[0].connected);
		assert_int_equal(w->v.term, term);
		assert_true(w->v.agents[1].connected);
	}
	fake_stop(&w->fakes[0]);
	w->fakes[0].term = term + 1000000; /* just credible */
	fake_start(w, 0);
	assert_true(world_run(w, n0_up, 5000));
	assert_int_equal(w->v.term, term + 1000001);
	assert_int_equal(submit(w, world_pair), 0);
}

static bool followed(struct world *w) { return w->v.followers; }
static bool not_followed(struct world *w) { return !w->v.followers; }

/* Nothing happens, and still a follower that is gone is noticed. */
static void test_follower_goes(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_EVENTS, .u.events = { .since = events_last(w->v.events), .follow = true } };
	ask_no_wait(w, &m);
	assert_true(world_run(w, followed, 5000));
	wire_close(w->client);
	w->client = NULL;
	assert_true(world_run(w, not_followed, 20000));
	client_start(w, &w->admin);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_submit_and_release), TEST(test_plan_changes_nothing), TEST(test_refused), TEST(test_features), TEST(test_guests), TEST(test_outside), TEST(test_several_documents),
		TEST(test_prepare_refused), TEST(test_prepare_silent), TEST(test_progress), TEST(test_prepare_hangs), TEST(test_agent_restarts), TEST(test_vned_stalls),
		TEST(test_release_without_agent), TEST(test_vned_restarts), TEST(test_submit_right_after_start), TEST(test_vned_stopped_while_preparing),
		TEST(test_vned_stopped_while_committing), TEST(test_vned_stopped_while_releasing), TEST(test_aborted_stays_aborted),
		TEST(test_commit_held_back), TEST(test_accepted), TEST(test_acknowledged), TEST(test_tenants), TEST(test_exec),
		TEST(test_higher_term), TEST(test_lifetime), TEST(test_rights), TEST(test_events_and_metrics), TEST(test_load),
		TEST(test_limits), TEST(test_term_from_nowhere), TEST(test_follower_goes),
	};
	return cmocka_run_group_tests_name("vned", tests, NULL, NULL);
}
