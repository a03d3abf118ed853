/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The request: every rule of its file has its own error at its own place; where a router may be. */
#include <errno.h>
#include <math.h>
#include <sys/socket.h>

#include "tests/help_model.h"

static const char whole[] =
	"kind: network\n"
	"name: demo\n"
	"lifetime: 2h\n"
	"priority: 0.5\n"
	"placement: pack\n"
	"routing: ospf\n"
	"pools: {loopbacks: 2001:db8::/64}\n"
	"defaults:\n"
	"  node: {cpu: 0.5, memory: 64MiB, router: netns}\n"
	"  link: {bandwidth: 10mbit, max_delay: 1s}\n"
	"nodes:\n"
	"  - name: r1\n"
	"    uplinks: [{port: campus, address: 203.0.113.2/24}, {port: other}]\n"
	"    place:\n"
	"      on: [atla, hstn]\n"
	"      not_on: [hstn]\n"
	"      near: {location: [33.7, -84.4], within: 500km}\n"
	"      labels: {site: south}\n"
	"  - {name: r2, cpu: 0, memory: 1GiB, router: xen, place: {near: {position: [0, 1], within: 2.5}}}\n"
	"  - {name: r3}\n"
	"links:\n"
	"  - {endpoints: [r1, r2], name: x, bandwidth: 0mbit, max_delay: 30ms, paths: split}\n"
	"  - {endpoints: [r2, r1], name: y, protection: link}\n"
	"  - {endpoints: [r2, r3], paths: single, protection: none}\n";

static void test_whole(void **state)
{
	struct request r = help_request(whole);
	char text[ADDR_TEXT];

	assert_int_equal(r.lifetime_us, INT64_C(7200000000));
	assert_int_equal(r.arrival_us, -1);
	assert_int_equal(r.priority_micro, 500000);
	assert_int_equal(r.placement, PLACEMENT_PACK);
	assert_int_equal(r.routing, ROUTING_OSPF);
	assert_string_equal(addr_text(&r.pool_loopbacks, text), "2001:db8::/64");
	assert_string_equal(addr_text(&r.pool_links, text), "10.64.0.0/12");
	assert_int_equal(r.nodes[0].demand[RES_CPU_MILLI], 500);
	assert_int_equal(r.nodes[0].demand[RES_MEM_KIB], 65536);
	assert_int_equal(r.nodes[0].demand[RES_ROUTERS], 1);
	assert_int_equal(r.nodes[0].demand[RES_PORTS], 2);
	assert_string_equal(r.nodes[0].kind, "netns");
	assert_int_equal(r.nodes[0].n_uplinks, 2);
	assert_string_equal(addr_text(&r.nodes[0].uplinks[0].address, text), "203.0.113.2/24");
	assert_int_equal(r.nodes[0].uplinks[1].address.family, 0);
	assert_int_equal(r.nodes[0].place.on.n, 2);
	assert_true(r.nodes[0].place.within == 500);
	assert_int_equal(r.nodes[1].demand[RES_CPU_MILLI], 0);
	assert_int_equal(r.nodes[1].demand[RES_MEM_KIB], 1 << 20);
	assert_int_equal(r.nodes[1].demand[RES_PORTS], 3);
	assert_string_equal(r.nodes[1].kind, "xen");
	assert_int_equal(r.nodes[1].place.near.kind, COORDS_POSITION);
	assert_true(r.links[0].split && !r.links[0].protect && r.links[0].bw_kbps == 0);
	assert_int_equal(r.links[0].max_delay_us, 30000);
	assert_true(r.links[1].protect && r.links[1].bw_kbps == 10000);
	assert_int_equal(r.links[1].max_delay_us, 1000000);
	assert_string_equal(r.links[2].name, "r2-r3");
	/* 0.5 + 0 + 0.5 cores, 0 + 10 + 10 Mbit/s */
	assert_int_equal(request_revenue_nano(&r), INT64_C(21000000000));
	request_done(&r);
	r = help_request("{kind: network, name: least, nodes: [{name: only, cpu: 1}]}");
	assert_int_equal(r.lifetime_us, -1);
	assert_int_equal(r.priority_micro, 1000000);
	assert_int_equal(r.placement, PLACEMENT_DISTINCT);
	assert_int_equal(r.routing, ROUTING_STATIC);
	assert_string_equal(addr_text(&r.pool_loopbacks, text), "10.255.0.0/16");
	assert_null(r.nodes[0].kind);
	request_done(&r);
}

#define HEAD "kind: network\nname: n\n"
#define NODES HEAD "nodes:\n  - {name: a, cpu: 1}\n  - {name: b, cpu: 1}\n  - {name: c, cpu: 1}\nlinks:\n"
#define ONE(node) HEAD "nodes:\n  - " node "\n"

static const struct {
	const char *text, *errors;
	bool trace;
} refused[] = {
	{"", "f:1:1: the file is empty; expected a network\n", false},
	{"---\n", "f:2:1: the document is nothing; expected a mapping with \"kind: network\"\n", false},
	{"kind: substrate\n", "f:1:7: kind \"substrate\"; expected a network\n", false},
	{HEAD, "f:1:1: \"nodes\" is missing; expected a list of nodes\n", false},
	{HEAD "nodes: []\n", "f:3:8: a network without nodes; expected at least one\n", false},
	{HEAD "arrival: 1s\nnodes: [{name: a, cpu: 1}]\n", "f:3:1: \"arrival\" outside of a trace; expected none\n", false},
	{HEAD "nodes: [{name: a, cpu: 1}]\n",
	 "f:1:1: \"arrival\" is missing; expected when it arrives, such as 12.5s, for this is a trace\n", true},
	{HEAD "arrival: 2s\nnodes: [{name: a, cpu: 1}]\n---\n" HEAD "arrival: 1.5s\nnodes: [{name: a, cpu: 1}]\n",
	 "f:8:10: arrival \"1.5s\" is before the one of the request above, 2s; expected them ascending\n", true},
	{HEAD "lifetime: 0s\npriority: 0\nnodes: [{name: a, cpu: 1}]\n",
	 "f:3:11: a lifetime of 0 is none; expected a longer one, or no \"lifetime\" for one without end\n"
	 "f:4:11: a priority of 0; expected more than 0\n", false},
	{HEAD "lifetime: 5\npriority: -1\nnodes: [{name: a, cpu: 1}]\n",
	 "f:3:11: lifetime: duration \"5\" has no unit; write 5s\n"
	 "f:4:11: priority: number \"-1\" is negative; expected a number such as 1 or 0.25\n", false},
	{HEAD "placement: packed\nrouting: rip\nnodes: [{name: a, cpu: 1}]\n",
	 "f:3:12: placement \"packed\" is unknown; did you mean \"pack\"? Expected distinct or pack\n"
	 "f:4:10: routing \"rip\" is unknown; expected static, ospf or none\n", false},
	{HEAD "pools: {loopbacks: 10.0.0.1/8, links: 10.0.0.0}\nnodes: [{name: a, cpu: 1}]\n",
	 "f:3:20: pool \"loopbacks\": 10.0.0.1/8 has bits behind its prefix; write 10.0.0.0/8\n"
	 "f:3:39: links: address \"10.0.0.0\" has no prefix length; expected one such as 10.0.0.0/24\n", false},
	{HEAD "pools: {loopbacks: 10.0.0.0/8}\nnodes: [{name: a, cpu: 1}]\n",
	 "f:3:8: pools \"loopbacks\" 10.0.0.0/8 and \"links\" 10.64.0.0/12 overlap; expected two that do not\n", false},
	{HEAD "pools: {loopbacks: 10.0.0.0/31, links: 10.1.0.0/31}\nnodes: [{name: a, cpu: 1}, {name: b, cpu: 1}, {name: c, cpu: 1}]\n"
	      "links: [{endpoints: [a, b], bandwidth: 1mbit}, {endpoints: [b, c], bandwidth: 1mbit}]\n",
	 "f:3:8: pool \"loopbacks\" 10.0.0.0/31 is too small; expected room for 3 nodes\n"
	 "f:3:8: pool \"links\" 10.1.0.0/31 is too small; expected room for 2 links of two addresses each\n", false},
	{ONE("{name: a}"),
	 "f:4:5: \"cpu\" is missing; expected a number of cores such as 0.5, here or in \"defaults\"\n", false},
	{ONE("{name: a, cpu: 1, picture: debian}"), "f:4:23: unknown key \"picture\"; expected one of name, cpu, memory, router, "
	 "image, realtime, plane, controller, uplinks, place\n", false},
	{ONE("{name: a, cpu: 1, image: ../debian}"), NULL, false},
	{ONE("{name: a, cpu: 1, router: netns, image: debian}"), "f:4:5: \"image\" for a router of kind netns, which is no guest; "
	 "expected \"router: xen\"\n", false},
	{ONE("{name: a, cpu: 1, router: netns, realtime: {period: 10ms, budget: 2ms}}"), "f:4:5: \"realtime\" for a router of kind "
	 "netns, which is no guest; expected \"router: xen\"\n", false},
	{ONE("{name: a, cpu: 1, realtime: {period: 10ms, budget: 11ms}}"), "f:4:33: realtime: a budget of 11000 us in a period of "
	 "10000 us; expected 10us at least, and no more than the period\n", false},
	{ONE("{name: a, cpu: 1, realtime: {period: 2s, budget: 11ms}}"), "f:4:33: realtime: a period of 2000000 us; expected "
	 "100us to 1s\n", false},
	{ONE("{name: a, cpu: 1, realtime: {period: 0ms, budget: 0ms}}"), "f:4:33: realtime: a period of 0; expected 100us to 1s\n", false},
	{ONE("{name: a, cpu: 1, realtime: {period: 10ms}}"), "f:4:33: \"budget\" is missing; expected how much of each period, "
	 "such as 2ms\n", false},
	{ONE("{name: a, cpu: 1, router: a-kind-beyond-all}"),
	 "f:4:31: router kind \"a-kind-beyond-all\" is too long; at most 15 characters\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x}, {port: x}, {address: 10.0.0.1}]}"),
	 "f:4:44: uplink \"x\" stands twice; expected each once\n"
	 "f:4:55: \"port\" is missing; expected the name of an outside port\n"
	 "f:4:65: address \"10.0.0.1\" has no prefix length; expected one such as 10.0.0.1/24\n", false},
	{ONE("{name: a, cpu: 1, place: {on: [], near: {location: [1, 2], within: 500}}}"),
	 "f:4:35: \"on\" is an empty list; expected names of substrate nodes, or no \"on\"\n"
	 "f:4:72: within \"500\" has no unit, but \"near\" is a location; write 500km\n", false},
	{ONE("{name: a, cpu: 1, place: {near: {position: [1, 2], within: 15km}}}"),
	 "f:4:64: within \"15km\" is in kilometres, but \"near\" is a position on a plane; write 15\n", false},
	{ONE("{name: a, cpu: 1, place: {near: {location: [1, 2], within: -5km}}}"),
	 "f:4:64: within \"-5km\" is negative; expected 0 or more\n", false},
	{ONE("{name: a, cpu: 1, place: {near: {location: [1, 2], within: 5mi}}}"),
	 "f:4:64: within \"5mi\" has an unknown unit; expected 5km\n", false},
	{ONE("{name: a, cpu: 1, place: {near: {location: [1, 2]}}}"),
	 "f:4:37: \"within\" is missing; expected a distance such as 500km, or a bare number where \"near\" is a position\n", false},
	{ONE("{name: a, cpu: 1, place: {near: {within: 5km}}}"),
	 "f:4:37: \"near\" what? Expected \"location\" or \"position\"\n", false},
	{ONE("{name: a, cpu: 1, place: {near: {location: [1, 2], position: [1, 2], within: 5km}}}"),
	 "f:4:37: \"location\" and \"position\" both; expected one of them\n", false},
	{ONE("{name: a, cpu: 1, plane: splitt}"), "f:4:30: plane \"splitt\" is unknown; did you mean \"split\"? Expected kernel, guest, "
	 "split or program\n", false},
	{ONE("{name: a, cpu: 1, plane: program}"), "f:4:30: plane: which program? Expected {program: NAME}\n", false},
	{ONE("{name: a, cpu: 1, plane: {name: wall}}"), NULL, false},
	{ONE("{name: a, cpu: 1, plane: [split]}"), NULL, false},
	{ONE("{name: a, cpu: 1, router: xen, plane: kernel}"), "f:4:5: \"plane: kernel\" for a router of kind xen; expected \"router: "
	 "netns\"\n", false},
	{ONE("{name: a, cpu: 1, image: small, plane: kernel}"), "f:4:5: \"plane: kernel\" for a router of kind xen; expected \"router: "
	 "netns\"\n", false},
	{ONE("{name: a, cpu: 1, router: netns, plane: guest}"), "f:4:5: \"plane: guest\" for a router of kind netns; expected \"router: "
	 "xen\"\n", false},
	{ONE("{name: a, cpu: 1, router: switch, plane: split}"), "f:4:5: \"plane\" for a router of kind switch, which forwards frames "
	 "between its virtual links and nothing else; expected another kind, or none of it\n", false},
	{ONE("{name: a, cpu: 1, router: openflow, uplinks: [{port: x}]}"), "f:4:5: \"uplinks\" for a router of kind openflow, which "
	 "forwards frames between its virtual links and nothing else; expected another kind, or none of it\n", false},
	{ONE("{name: a, cpu: 1, router: switch, image: small}"), "f:4:5: \"image\" for a router of kind switch, which is no guest; "
	 "expected \"router: xen\"\n", false},
	{ONE("{name: a, cpu: 1, router: switch, controller: 'tcp:192.0.2.1:1'}"), "f:4:5: \"controller\" for a router of kind switch; "
	 "expected \"router: openflow\"\n", false},
	{ONE("{name: a, cpu: 1, controller: 'tcp:192.0.2.1'}"), "f:4:5: controller \"tcp:192.0.2.1\"; expected tcp:ADDRESS:PORT, such as "
	 "tcp:192.0.2.1:6653\n", false},
	{ONE("{name: a, cpu: 1, controller: 'ssl:192.0.2.1:6653'}"), "f:4:5: controller \"ssl:192.0.2.1:6653\"; expected "
	 "tcp:ADDRESS:PORT, such as tcp:192.0.2.1:6653\n", false},
	{ONE("{name: a, cpu: 1, controller: 'tcp:2001:db8::1:6653'}"), "f:4:5: controller \"tcp:2001:db8::1:6653\"; an IPv6 address "
	 "stands in brackets, and no other: tcp:[2001:db8::1]:6653\n", false},
	{ONE("{name: a, cpu: 1, controller: 'tcp:192.0.2.1:65536'}"), NULL, false},
	{ONE("{name: a, cpu: 1, controller: b}"), "f:4:5: controller \"b\" is no node of this network; expected the name of one, or "
	 "tcp:ADDRESS:PORT\n", false},
	{ONE("{name: a, cpu: 1, controller: b}\n  - {name: b, cpu: 1, router: switch}"), "f:4:5: controller \"b\" is a router of kind "
	 "switch, which runs none; expected another kind\n", false},
	{ONE("{name: a, cpu: 1, controller: b}\n  - {name: b, cpu: 1}"), "f:4:5: controller \"b\" is not on the LAN of this switch; "
	 "expected a virtual link between them, or by other switches\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x, gateway: 192.0.2.1}]}"), "f:4:33: uplink \"x\": a \"gateway\" without an \"address\"; "
	 "expected both, or neither where DHCP or router advertisements tell them\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x, address: 192.0.2.2/24, gateway: 192.0.3.1}]}"), "f:4:33: uplink \"x\": gateway "
	 "192.0.3.1 is not in the subnet of 192.0.2.2/24\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x, address: 192.0.2.2/24, gateway: 'fe80::1'}]}"), "f:4:33: uplink \"x\": gateway fe80::1 "
	 "and address 192.0.2.2/24 are of different families\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x, address: 192.0.2.2/24, gateway: 192.0.2.2}]}"), "f:4:33: uplink \"x\": gateway "
	 "192.0.2.2 is not another host's address\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x, address: 192.0.2.255/24}]}"), "f:4:33: uplink \"x\": 192.0.2.255/24 is no address "
	 "that a router can have there\n", false},
	{ONE("{name: a, cpu: 1, uplinks: [{port: x, nat: maybe}]}"), NULL, false},
	{ONE("{name: a, cpu: 1, router: xen, uplinks: [{port: x}]}"), "f:4:5: uplink \"x\" without an \"address\" for a router of kind xen; "
	 "expected one, or \"router: netns\"\n", false},
	{ONE("{name: a, cpu: 1, plane: guest, uplinks: [{port: x, address: 192.0.2.2/24, nat: true}]}"), "f:4:5: uplink \"x\" with \"nat\" for "
	 "a router of kind xen; expected \"router: netns\", or none of it\n", false},
	{ONE("{name: a, cpu: 1, router: xen, uplinks: [{port: x, address: 192.0.2.2/24, nat: true}]}"), "f:4:5: uplink \"x\" with \"nat\" "
	 "for a router of kind xen; expected \"router: netns\", or none of it\n", false},
	{ONE("{name: a, cpu: 1, plane: split, uplinks: [{port: x, address: 192.0.2.2/24, nat: true}]}"), "f:4:5: uplink \"x\" with \"nat\", "
	 "which \"plane: split\" would go past; expected \"plane: kernel\"\n", false},
	{HEAD "nodes: [{name: s, router: switch, cpu: 1}, {name: t, router: switch, cpu: 1}, {name: u, router: switch, cpu: 1}]\n"
	      "links:\n  - {endpoints: [s, t], bandwidth: 1mbit}\n  - {endpoints: [t, u], bandwidth: 1mbit}\n  - {endpoints: [u, s], bandwidth: 1mbit}\n",
	 "f:7:17: link \"u-s\" closes a ring of switches, in which frames would go round for ever; expected none, or \"router: openflow\"\n", false},
	{HEAD "pools: {links: 10.0.0.0/29}\nnodes: [{name: s, router: switch, cpu: 1}, {name: a, cpu: 1}, {name: b, cpu: 1}]\n"
	      "links: [{endpoints: [a, s], bandwidth: 1mbit}, {endpoints: [b, s], bandwidth: 1mbit}, {endpoints: [b, a], bandwidth: 1mbit}]\n",
	 "f:3:8: pool \"links\" 10.0.0.0/29 is too small; expected room for 3 links of two addresses each, and behind them for 1 LAN, "
	 "one of them of 4 addresses\n", false},
	{NODES "  - {endpoints: [a, b]}\n",
	 "f:8:5: \"bandwidth\" is missing; expected a bandwidth such as 100mbit, here or in \"defaults\"\n", false},
	{NODES "  - {endpoints: [a, b], bandwidth: 100, max_delay: 3}\n",
	 "f:8:36: bandwidth \"100\" has no unit; write 100mbit\nf:8:52: max_delay: delay \"3\" has no unit; write 3ms\n", false},
	{NODES "  - {endpoints: [a, a], bandwidth: 1mbit}\n",
	 "f:8:17: link \"a-a\" joins \"a\" to itself; expected two different ends\n", false},
	{NODES "  - {endpoints: [a], bandwidth: 1mbit}\n", "f:8:17: a link has 1 endpoints here; expected exactly two\n", false},
	{NODES "  - {endpoints: [a, r2], bandwidth: 1mbit}\n",
	 "f:8:21: no node is called \"r2\"; expected the name of one listed under \"nodes\"\n", false},
	{NODES "  - {endpoints: [a, b], bandwidth: 1mbit, name: x}\n  - {endpoints: [a, b], bandwidth: 1mbit}\n",
	 "f:9:17: this link has no name, and is not the only one between \"a\" and \"b\"; links that join the same two nodes "
	 "need a name each\n", false},
	{NODES "  - {endpoints: [a, b], bandwidth: 1mbit, name: x}\n  - {endpoints: [b, c], bandwidth: 1mbit, name: x}\n",
	 "f:9:17: link \"x\" stands here again; it was link 1; expected each name once\n", false},
	{NODES "  - {endpoints: [a, b], bandwidth: 1mbit, protection: link, paths: split}\n",
	 "f:8:17: \"protection: link\" together with \"paths: split\"; expected one of them\n", false},
	{NODES "  - {endpoints: [a, b], bandwidth: 1mbit, protection: node}\n",
	 "f:8:55: protection \"node\" is unknown; did you mean \"none\"? Expected none or link\n", false},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct yaml_errors errors = {.file = "f"};
		struct request *all = NULL;
		struct err err = {0};
		size_t n = 42;

		assert_int_equal(request_parse(refused[i].text, strlen(refused[i].text), refused[i].trace, &errors, &all, &n, &err),
		                 -EINVAL);
		if (refused[i].errors) /* else the words are another test's */
			assert_string_equal(buf_cstr(&errors.text), refused[i].errors);
		assert_null(all);
		assert_int_equal(n, 42);
		yaml_errors_done(&errors);
	}
}

static void test_guests(void **state)
{
	struct request r = help_request(HEAD
		"defaults: {node: {cpu: 0.1, image: small, realtime: {period: 10ms, budget: 1ms}}}\n"
		"nodes:\n"
		"  - {name: a, router: xen, memory: 128MiB, realtime: {period: 3ms, budget: 1ms}}\n"
		"  - {name: b, router: netns}\n"
		"  - {name: c, image: large}\n"
		"  - {name: d}\n");
	struct request again;
	buf_auto struct buf text = BUF_INIT;

	assert_string_equal(r.nodes[0].image, "small");
	assert_int_equal(r.nodes[0].demand[RES_GUEST_KIB], 128 << 10);
	assert_int_equal(r.nodes[0].demand[RES_GUESTS], 1);
	assert_int_equal(r.nodes[0].demand[RES_REALTIME_MILLI], 334); /* a third, rounded up */
	assert_null(r.nodes[1].image); /* what defaults say of guests is for guests */
	assert_int_equal(r.nodes[1].rt_period_us, 0);
	assert_int_equal(r.nodes[1].demand[RES_GUESTS], 0);
	assert_string_equal(r.nodes[2].kind, "xen"); /* nothing else has an image */
	assert_string_equal(r.nodes[2].image, "large");
	assert_int_equal(r.nodes[2].demand[RES_GUEST_KIB], 64 << 10);
	assert_int_equal(r.nodes[2].demand[RES_MEM_KIB], 0);
	assert_string_equal(r.nodes[3].image, "small");
	assert_int_equal(r.nodes[3].demand[RES_REALTIME_MILLI], 100);
	request_write(&r, &text);
	again = help_request(buf_cstr(&text));
	assert_string_equal(again.nodes[2].image, "large");
	assert_int_equal(again.nodes[0].rt_budget_us, 1000);
	assert_memory_equal(again.nodes[0].demand, r.nodes[0].demand, sizeof(r.nodes[0].demand));
	request_done(&again);
	request_done(&r);
}

static void test_planes(void **state)
{
	struct request r = help_request(HEAD
		"defaults: {node: {cpu: 0.1, plane: {program: wall}}}\n"
		"nodes:\n"
		"  - {name: a, plane: kernel}\n"
		"  - {name: b, plane: guest}\n"
		"  - {name: c, plane: split}\n"
		"  - {name: d, router: netns}\n"
		"  - {name: e, router: switch}\n"
		"  - {name: f, controller: 'tcp:192.0.2.1:6653'}\n"
		"  - {name: g, plane: {program: wall}, uplinks: [{port: x, address: 192.0.2.2/24, gateway: 192.0.2.1}]}\n"
		"  - {name: h, plane: kernel, uplinks: [{port: x, nat: true}]}\n");
	static const struct {
		const char *kind; /* that the router is left with */
		enum plane plane;
	} want[] = {{"netns", PLANE_KERNEL}, {"xen", PLANE_GUEST}, {NULL, PLANE_SPLIT}, {"netns", PLANE_PROGRAM},
	            {"switch", PLANE_DEFAULT}, {"openflow", PLANE_DEFAULT}, {NULL, PLANE_PROGRAM}, {"netns", PLANE_KERNEL}};
	buf_auto struct buf text = BUF_INIT;

	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < ARRAY_LEN(want); i++) {
			const struct vnode *n = &r.nodes[i];

			assert_int_equal(n->plane, want[i].plane);
			assert_true(!n->program == (n->plane != PLANE_PROGRAM));
			if (want[i].kind)
				assert_string_equal(n->kind, want[i].kind);
			else
				assert_null(n->kind);
		}
		assert_string_equal(r.nodes[5].controller, "tcp:192.0.2.1:6653");
		assert_int_equal(r.nodes[6].uplinks[0].gateway.bytes[3], 1);
		assert_true(r.nodes[7].uplinks[0].nat && !r.nodes[6].uplinks[0].nat);
		if (again)
			break;
		request_write(&r, &text);
		request_done(&r);
		r = help_request(buf_cstr(&text));
	}
	request_done(&r);
}

static void test_trace(void **state)
{
	static const char text[] = HEAD "arrival: 1s\nlifetime: 441.154000s\nnodes: [{name: a, cpu: 1}]\n---\n" HEAD
				   "arrival: 1s\nnodes: [{name: a, cpu: 1}]\n";
	struct yaml_errors errors = {.file = "f"};
	struct request *all;
	struct err err = {0};
	size_t n;

	assert_int_equal(request_parse(text, strlen(text), true, &errors, &all, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(all[0].arrival_us, 1000000);
	assert_int_equal(all[0].lifetime_us, 441154000);
	request_done(&all[0]);
	request_done(&all[1]);
	free(all);
	yaml_errors_done(&errors);
}

static void test_check(void **state)
{
	struct request r = help_request(whole), copy = {0};
	struct err err = {0};

#define BREAKS(change, words) \
	do { \
		assert_int_equal(request_copy(&r, &copy, &err), 0); \
		change; \
		assert_int_equal(request_check(&copy, &err), -EINVAL); \
		if (!strstr(err.text, words)) \
			fail_msg("%s: %s", #change, err.text); \
		request_done(&copy); \
	} while (0)
	BREAKS(copy.links[2].a = 9, "link 3: an end that is no node");
	BREAKS(copy.links[2].a = copy.links[2].b, "to itself");
	BREAKS(copy.links[2].bw_kbps = BW_MAX_KBPS + 1, "link 3: bandwidth is too large");
	BREAKS(copy.links[2].max_delay_us = -2, "max_delay is negative");
	BREAKS(copy.links[0].protect = true, "paths: split");
	BREAKS(copy.nodes[1].demand[RES_CPU_MILLI] = -1, "node 2: cpu is negative");
	BREAKS(copy.nodes[1].demand[RES_MEM_KIB] = INT64_MAX, "memory is too large");
	BREAKS(copy.nodes[1].kind[0] = '\n', "node 2: name");
	BREAKS(strcpy(copy.nodes[1].name, "r1"), "stands here again");
	BREAKS(copy.nodes[1].place.within = NAN, "node 2: place: a distance");
	BREAKS(copy.nodes[1].place.near.kind = COORDS_NONE, "near nothing");
	BREAKS(copy.nodes[0].uplinks[0].address.prefix = 33, "uplinks: an address");
	BREAKS((free(copy.nodes[0].uplinks[1].port), copy.nodes[0].uplinks[1].port = NULL), "uplinks: a name is missing");
	BREAKS(copy.nodes[1].image = mem_str("../x"), "node 2: image: name");
	BREAKS(copy.nodes[0].image = mem_str("x"), "is no guest");
	BREAKS((copy.nodes[1].rt_period_us = 1000, copy.nodes[1].rt_budget_us = 1001), "realtime: a budget");
	BREAKS(copy.nodes[1].rt_budget_us = INT64_MIN, "realtime: a period");
	BREAKS(copy.nodes[0].plane = (enum plane)5, "an unknown plane");
	BREAKS(copy.nodes[0].plane = PLANE_PROGRAM, "without its name");
	BREAKS(copy.nodes[0].program = mem_str("x"), "without its name");
	BREAKS((copy.nodes[0].plane = PLANE_PROGRAM, copy.nodes[0].program = mem_str("../x")), "program: name");
	BREAKS((copy.nodes[0].plane = PLANE_GUEST), "expected \"router: xen\"");
	BREAKS(copy.nodes[0].uplinks[0].gateway = ((struct addr){AF_INET, 24, {203, 0, 113, 1}}), "a gateway that is no host");
	BREAKS(copy.lifetime_us = 0, "lifetime");
	BREAKS(copy.priority_micro = 0, "priority");
	BREAKS(copy.routing = (enum routing)17, "unknown placement or routing");
	BREAKS(copy.pool_links.prefix = 31, "too small");
	BREAKS(copy.pool_links.bytes[3] = 1, "bits behind its prefix");
	BREAKS(copy.pool_links.prefix = 200, "no range");
	/* what is derived is not believed, but made anew */
	assert_int_equal(request_copy(&r, &copy, &err), 0);
	copy.nodes[0].demand[RES_PORTS] = 99;
	assert_int_equal(request_check(&copy, &err), 0);
	assert_int_equal(copy.nodes[0].demand[RES_PORTS], 2);
	for (size_t i = 0; i < copy.n_links; i++)
		copy.links[i].bw_kbps = BW_MAX_KBPS;
	assert_int_equal(request_revenue_nano(&copy), INT64_C(300000001000000000));
	request_done(&copy);
	request_done(&r);
	assert_int_equal(request_check(&r, &err), -EINVAL);
}

/* ---- where a router may be ---- */

static const char places[] =
	"kind: substrate\nname: s\nnodes:\n"
	"  - {name: atla, cpu: 1, routers: [netns], location: [33.75, -84.38], labels: {site: south, power: a}, uplinks: [campus]}\n"
	"  - {name: hstn, cpu: 1, routers: [xen], location: [29.77, -95.52], labels: {site: south}}\n"
	"  - {name: any, cpu: 1}\n"
	"  - {name: grid, cpu: 1, position: [3, 4]}\n"
	"  - {name: sw, cpu: 1, agent: false}\n"
	"  - {name: mute, cpu: 1, routers: []}\n";

static const struct {
	const char *node; /* of the request, behind name and cpu */
	const char *fits; /* which of the six nodes it fits, in order */
	const char *why;  /* of the first that it does not */
} conditions[] = {
	{"", "yyyynn", "\"sw\" has no agent, so it hosts no routers"},
	{"router: netns", "ynyynn", "\"hstn\" hosts no routers of kind netns"},
	{"uplinks: [{port: campus, address: 192.0.2.2/24}]", "ynnnnn", "\"hstn\" has no uplink \"campus\""},
	{"uplinks: [{port: campus}]", "ynnnnn", "\"hstn\" hosts no routers of kind netns"}, /* nothing else asks for an address */
	{"uplinks: [{port: lan, address: 192.0.2.2/24}]", "nnynnn", "\"atla\" has no uplink \"lan\""},
	{"place: {on: [any]}, uplinks: [{port: lan}]", "nnnnnn", "\"atla\" has no uplink \"lan\""},
	{"place: {on: [any]}, uplinks: [{port: lan, address: 192.0.2.2/24, nat: true}]", "nnynnn", "\"atla\" has no uplink \"lan\""},
	{"plane: guest", "nyyynn", "\"atla\" hosts no routers of kind xen"},
	{"plane: split", "yynynn", "\"any\" forwards for no router (plane: split)"},
	{"plane: {program: wall}", "yyyynn", "\"sw\" has no agent, so it hosts no routers"},
	{"plane: {program: other}", "yynynn", "\"any\" has no forwarding program \"other\""},
	{"plane: kernel", "ynyynn", "\"hstn\" hosts no routers of kind netns"},
	{"place: {on: [hstn, any, nowhere]}", "nyynnn", "\"atla\" is excluded by \"on\""},
	{"place: {not_on: [atla]}", "nyyynn", "\"atla\" is excluded by \"not_on\""},
	{"place: {on: [atla, any], not_on: [atla]}", "nnynnn", "\"atla\" is excluded by \"not_on\""},
	{"place: {labels: {site: south}}", "yynnnn", "\"any\" lacks the label site: south"},
	{"place: {labels: {site: south, power: a}}", "ynnnnn", "\"hstn\" lacks the label power: a"},
	{"place: {near: {location: [33.7, -84.4], within: 500km}}", "ynnnnn", "\"hstn\" is 1137.97 km away, beyond 500 km"},
	{"place: {near: {location: [33.75, -84.38], within: 0km}}", "ynnnnn", "\"hstn\" is 1141.58 km away, beyond 0 km"},
	{"place: {near: {position: [0, 0], within: 5}}", "nnnynn", "\"atla\" has no position to be near by"},
	{"place: {near: {position: [0, 0], within: 4.999}}", "nnnnnn", "\"atla\" has no position to be near by"},
};

static void test_place(void **state)
{
	struct substrate s = help_substrate(places);

	s.nodes[2].probed = true; /* as its agent says; no other has said anything */
	s.nodes[2].nat = true;
	s.nodes[2].uplinks.v = mem_alloc(sizeof(char *));
	s.nodes[2].uplinks.v[s.nodes[2].uplinks.n++] = mem_str("lan");
	s.nodes[2].programs.v = mem_alloc(sizeof(char *));
	s.nodes[2].programs.v[s.nodes[2].programs.n++] = mem_str("wall");
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		mem_auto char *text = mem_printf("{kind: network, name: n, nodes: [{name: r, cpu: 1, %s}]}", conditions[i].node);
		struct request r = help_request(text);
		char fits[7] = "";
		struct err why = {0};

		for (size_t k = 0; k < s.n_nodes; k++) {
			fits[k] = place_fits(&r.nodes[0], &s, k, why.text[0] ? NULL : &why) ? 'y' : 'n';
			if (fits[k] == 'n')
				assert_true(why.text[0]);
		}
		assert_string_equal(fits, conditions[i].fits);
		assert_string_equal(why.text, conditions[i].why);
		request_done(&r);
	}
	substrate_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_refused), cmocka_unit_test(test_guests), cmocka_unit_test(test_planes), cmocka_unit_test(test_trace),
		cmocka_unit_test(test_check), cmocka_unit_test(test_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
