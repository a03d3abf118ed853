/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate: every rule of its file has its own error at its own place. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/help_model.h"

static const char whole[] =
	"kind: substrate\n"
	"name: two-cities\n"
	"links:\n" /* before the nodes that they join */
	"  - endpoints: [atla, hstn]\n"
	"    name: first\n"
	"    bandwidth: 10gbit\n"
	"    delay: 12ms\n"
	"    cost: 0.5\n"
	"    risks: [duct-7, duct-8]\n"
	"    underlay: {hstn: 198.51.100.2, atla: 198.51.100.1}\n"
	"  - {endpoints: [hstn, atla], name: second, bandwidth: 1mbit}\n"
	"  - {endpoints: [hstn, sw], bandwidth: 0mbit}\n"
	"nodes:\n"
	"  - name: atla\n"
	"    cpu: 16\n"
	"    memory: 64GiB\n"
	"    routers: [netns, xen]\n"
	"    location: [33.75, -84.38]\n"
	"    cost: 1.5\n"
	"    max_routers: 16\n"
	"    max_ports: 64\n"
	"    labels: {site: south, \"1\": \"null\"}\n"
	"    address: 2001:db8::1\n"
	"    uplinks: [campus]\n"
	"  - {name: hstn, cpu: 8, position: [1, -2.5], routers: []}\n"
	"  - {name: sw, cpu: 0, agent: false}\n";

static void test_whole(void **state)
{
	struct substrate s = help_substrate(whole);
	const struct snode *atla = &s.nodes[0], *hstn = &s.nodes[1], *sw = &s.nodes[2];
	char text[ADDR_TEXT];

	assert_string_equal(s.name, "two-cities");
	assert_int_equal(s.n_nodes, 3);
	assert_int_equal(s.n_links, 3);
	assert_int_equal(hash_index(s.node_index, "sw"), 2);
	assert_int_equal(hash_index(s.link_index, "hstn-sw"), 2);
	assert_int_equal(atla->cap[RES_CPU_MILLI], 16000);
	assert_int_equal(atla->cap[RES_MEM_KIB], 64 << 20);
	assert_int_equal(atla->cap[RES_ROUTERS], 16);
	assert_int_equal(atla->cap[RES_PORTS], 64);
	assert_int_equal(atla->cost_micro, 1500000);
	assert_int_equal(atla->coords.kind, COORDS_LOCATION);
	assert_string_equal(snode_label(atla, "site"), "south");
	assert_string_equal(snode_label(atla, "1"), "null");
	assert_null(snode_label(atla, "other"));
	assert_string_equal(addr_text(&atla->address, text), "2001:db8::1");
	assert_true(snode_hosts(atla, "xen") && snode_hosts(atla, NULL) && !snode_hosts(atla, "bird"));
	assert_true(hstn->cap[RES_MEM_KIB] == UNLIMITED && hstn->cap[RES_PORTS] == UNLIMITED);
	assert_int_equal(hstn->cost_micro, 1000000);
	assert_false(snode_hosts(hstn, NULL) || snode_hosts(hstn, "netns"));
	assert_true(sw->any_kind);
	assert_false(snode_hosts(sw, NULL));
	assert_int_equal(s.links[0].delay_us, 12000);
	assert_int_equal(s.links[0].a, 0);
	assert_string_equal(addr_text(&s.links[0].underlay[0], text), "198.51.100.1");
	assert_int_equal(s.links[1].a, 1);
	assert_string_equal(s.links[2].name, "hstn-sw");
	substrate_done(&s);
}

#define NODES "kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1}\n  - {name: b, cpu: 1}\n  - {name: c, cpu: 1}\n"

/* Line 4 is the node, or 8 the link, in question. */
static const struct {
	const char *text, *errors;
} refused[] = {
	{"", "f:1:1: the file is empty; expected a substrate\n"},
	{"kind: substrate\nname: s\n", "f:1:1: \"nodes\" is missing; expected a list of nodes\n"},
	{"kind: substrate\nname: s\nnodes: []\n", "f:3:8: a substrate without nodes; expected at least one\n"},
	{"kind: network\nname: s\n", "f:1:7: kind \"network\"; expected a substrate\n"},
	{NODES "---\n" NODES, "f:8:1: a second document; expected one substrate in a file\n"},
	{NODES "nodes: []\n", "f:7:1: key \"nodes\" stands here again; it was given in line 3\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {cpu: 1}\n", "f:4:5: \"name\" is missing; expected a name\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a}\n",
	 "f:4:5: \"cpu\" is missing; expected a number of cores such as 0.5\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1}\n  - {name: a, cpu: 1}\n",
	 "f:5:5: node \"a\" stands here again; it was node 1; expected each name once\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1, location: [1, 2], position: [1, 2]}\n",
	 "f:4:41: \"location\" and \"position\" both; expected one of them\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1, location: [-84.38, 133]}\n  - {name: b, cpu: 1, location: [91, 181]}\n"
	 "  - {name: c, cpu: 1, location: [133, 33]}\n",
	 "f:5:33: location [91, 181] is nowhere on earth; expected a latitude from -90 to 90 and a longitude from -180 to 180\n"
	 "f:6:33: location [133, 33] has a latitude beyond 90 degrees; is it [longitude, latitude]? Write [33, 133]\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1, position: [1], memory: 4}\n",
	 "f:4:33: \"position\" has 1 entries; expected [x, y]\nf:4:46: memory \"4\" has no unit; write 4MiB\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1, agent: false, routers: [netns]}\n",
	 "f:4:5: a node without an agent hosts no routers; expected no \"routers\", or an agent\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1, address: 10.0.0.1/8, labels: {-x: y, z: [1]}}\n",
	 "f:4:32: address \"10.0.0.1/8\" has a prefix length; write 10.0.0.1\n"
	 "f:4:53: label: name \"-x\" begins with \"-\"; expected a letter or digit first\n"
	 "f:4:63: label \"z\" is a list; expected text\n"},
	{"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1, plane: xdp}\n",
	 "f:4:23: unknown key \"plane\"; expected one of name, cpu, memory, routers, location, position, images, realtime, guest_memory, max_guests, max_guest_ports, cost, "
	 "max_routers, max_ports, labels, address, uplinks, agent\n"},
	{NODES "links: {a: b}\n", "f:7:8: \"links\" is a mapping; expected a list of links\n"},
	{NODES "links:\n  - {endpoints: [a, bb], bandwidth: 1mbit}\n",
	 "f:8:21: no node is called \"bb\"; did you mean \"b\"?\n"},
	{NODES "links:\n  - {endpoints: [a, unknown], bandwidth: 1mbit}\n",
	 "f:8:21: no node is called \"unknown\"; expected the name of one listed under \"nodes\"\n"},
	{NODES "links:\n  - {endpoints: [a, a], bandwidth: 1mbit}\n",
	 "f:8:17: link \"a-a\" joins \"a\" to itself; expected two different ends\n"},
	{NODES "links:\n  - {endpoints: [a, b, c], bandwidth: 1mbit}\n",
	 "f:8:17: a link has 3 endpoints here; expected exactly two\n"},
	{NODES "links:\n  - {bandwidth: 1mbit}\n", "f:8:5: \"endpoints\" is missing; expected [NODE, NODE]\n"},
	{NODES "links:\n  - {endpoints: [a, b]}\n", "f:8:5: \"bandwidth\" is missing; expected a bandwidth such as 100mbit\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 100mbps, delay: 10}\n",
	 "f:8:36: bandwidth \"100mbps\" counts bytes in tc; write 100mbit\nf:8:52: delay \"10\" has no unit; write 10ms\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 1mbit}\n  - {endpoints: [b, a], bandwidth: 1mbit, name: x}\n"
	       "  - {endpoints: [b, a], bandwidth: 1mbit}\n",
	 "f:8:17: this link has no name, and is not the only one between \"a\" and \"b\"; links that join the same two nodes "
	 "need a name each\n"
	 "f:10:17: this link has no name, and is not the only one between \"b\" and \"a\"; links that join the same two nodes "
	 "need a name each\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 1mbit}\n  - {endpoints: [b, c], bandwidth: 1mbit, name: a-b}\n",
	 "f:9:17: link \"a-b\" stands here again; it was link 1; expected each name once\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 1mbit, risks: [x, x]}\n",
	 "f:8:54: \"x\" stands twice in \"risks\"; expected each once\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 1mbit, underlay: {a: 10.0.0.1, c: 10.0.0.2}}\n",
	 "f:8:17: \"underlay\" has an address at one end only; expected one at \"b\" too\n"
	 "f:8:67: \"c\" is no endpoint of this link; expected \"a\" and \"b\"\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 1mbit, underlay: {a: 10.0.0.1, b: \"::1\"}}\n",
	 "f:8:17: \"underlay\" mixes IPv4 and IPv6; expected both of one kind\n"},
	{NODES "links:\n  - {endpoints: [a, b], bandwidth: 1mbit, underlay: {a: 10.0.0.1, b: 10.0.0.1}}\n",
	 "f:8:17: \"underlay\" has the same address at both ends\n"},
};

static void test_refused(void **state)
{
	char folder[] = "/tmp/test_substrate.XXXXXX";

	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0); /* so that the file is called just f */
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct yaml_errors errors = {0};
		struct substrate s = {.n_nodes = 42};
		struct err err = {0};
		FILE *f = fopen("f", "w");

		assert_non_null(f);
		fputs(refused[i].text, f);
		fclose(f);
		assert_int_equal(substrate_load("f", &errors, &s, &err), -EINVAL);
		assert_string_equal(buf_cstr(&errors.text), refused[i].errors);
		assert_int_equal(s.n_nodes, 42);
		assert_memory_equal(err.text, "f: ", 3);
		yaml_errors_done(&errors);
	}
	unlink("f");
	assert_int_equal(chdir("/"), 0);
	rmdir(folder);
}

static void test_long_default_name(void **state)
{
	char text[512], a[NAME_MAX_LEN + 1], b[NAME_MAX_LEN + 1];

	memset(a, 'a', NAME_MAX_LEN);
	memset(b, 'b', NAME_MAX_LEN);
	a[NAME_MAX_LEN] = b[NAME_MAX_LEN] = '\0';
	snprintf(text, sizeof(text),
	         "{kind: substrate, name: s, nodes: [{name: %s, cpu: 1}, {name: %s, cpu: 1}],\n"
	         "links: [{endpoints: [%s, %s], bandwidth: 1mbit}]}\n", a, b, a, b);
	struct substrate s = help_substrate(text), copy;
	struct err err = {0};

	assert_int_equal(strlen(s.links[0].name), 2 * NAME_MAX_LEN + 1);
	assert_int_equal(substrate_copy(&s, &copy, &err), 0);
	substrate_done(&copy);
	/* what no rule gave that name may not have it */
	s.links[0].a = 1;
	s.links[0].b = 0;
	assert_int_equal(substrate_check(&s, &err), -EINVAL);
	substrate_done(&s);
}

/* What arrives filled by hand or from a message is not believed either. */
static void test_check(void **state)
{
	struct substrate s = help_substrate(whole), copy = {0};
	struct err err = {0};

#define BREAKS(change, words) \
	do { \
		assert_int_equal(substrate_copy(&s, &copy, &err), 0); \
		change; \
		assert_int_equal(substrate_check(&copy, &err), -EINVAL); \
		if (!strstr(err.text, words)) \
			fail_msg("%s: %s", #change, err.text); \
		substrate_done(&copy); \
	} while (0)
	BREAKS(copy.links[1].b = 7, "link 2: an end that is no node");
	BREAKS(copy.links[1].b = copy.links[1].a, "to itself");
	BREAKS(copy.links[1].bw_kbps = -1, "link 2: bandwidth is negative");
	BREAKS(copy.links[1].bw_kbps = INT64_MAX, "too large");
	BREAKS(copy.links[1].delay_us = DELAY_MAX_US + 1, "delay is too large");
	BREAKS(copy.links[1].cost_micro = -1, "cost is negative");
	BREAKS(copy.links[0].underlay[1].family = 0, "one end only");
	BREAKS(copy.links[0].underlay[1].prefix = 24, "not one of a host");
	BREAKS((free(copy.links[1].name), copy.links[1].name = mem_str("first")), "stands here again");
	BREAKS((free(copy.links[1].name), copy.links[1].name = NULL), "without a name");
	BREAKS(copy.nodes[1].name[0] = '/', "node 2: name");
	BREAKS(strcpy(copy.nodes[1].name, "atla"), "stands here again");
	BREAKS(copy.nodes[0].cap[RES_CPU_MILLI] = UNLIMITED, "cpu is too large");
	BREAKS(copy.nodes[0].cap[RES_PORTS] = -5, "max_ports is negative");
	BREAKS(copy.nodes[0].cap[RES_REALTIME_MILLI] = -1, "realtime is negative");
	BREAKS(copy.nodes[0].max_guest_ports = -1, "max_guest_ports is negative");
	BREAKS(copy.nodes[0].coords.a = NAN, "not finite");
	BREAKS(copy.nodes[0].coords.a = 91, "latitude");
	BREAKS(copy.nodes[0].coords.kind = (enum coords_kind)9, "unknown kind");
	BREAKS(copy.nodes[0].address.family = 99, "not one of a host");
	BREAKS(copy.nodes[0].kinds.v[1][0] = ' ', "name");
	BREAKS(strcpy(copy.nodes[0].kinds.v[0], "xen"), "stands twice");
	BREAKS(copy.nodes[0].any_kind = true, "lists kinds");
	BREAKS(copy.nodes[0].agent = false, "without an agent");
	BREAKS(copy.nodes[0].labels[0].value[0] = '\xff', "not UTF-8");
	BREAKS(strcpy(copy.name, "-"), "substrate: name");
	substrate_done(&s);
	assert_int_equal(substrate_check(&s, &err), -EINVAL);
}

static void test_distance(void **state)
{
	struct coords newy = {COORDS_LOCATION, 40.71427, -74.00597}, losa = {COORDS_LOCATION, 34.05223, -118.24368};
	struct coords p = {COORDS_POSITION, 0, 0}, q = {COORDS_POSITION, 3, 4}, none = {0};

	/* Two places whose distance is known: 3936 km; half round the earth; a quarter */
	assert_true(fabs(coords_distance(&newy, &losa) - 3936) < 1);
	assert_true(fabs(coords_distance(&(struct coords){COORDS_LOCATION, 90, 0}, &(struct coords){COORDS_LOCATION, -90, 0}) -
	                 M_PI * 6371) < 1e-6);
	assert_true(fabs(coords_distance(&(struct coords){COORDS_LOCATION, 0, 179}, &(struct coords){COORDS_LOCATION, 0, -91}) -
	                 M_PI / 2 * 6371) < 1e-6);
	assert_true(coords_distance(&newy, &newy) == 0);
	assert_true(coords_distance(&p, &q) == 5);
	assert_true(isinf(coords_distance(&p, &newy)));
	assert_true(isinf(coords_distance(&none, &none)));
}

static const char before[] =
	"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1}\n  - {name: b, cpu: 2}\n  - {name: c, cpu: 3}\n"
	"links:\n  - {endpoints: [a, b], bandwidth: 1mbit}\n  - {endpoints: [b, c], bandwidth: 2mbit}\n  - {endpoints: [a, c], bandwidth: 3mbit}\n";
static const char after[] =
	"kind: substrate\nname: s\nnodes:\n  - {name: d, cpu: 9}\n  - {name: a, cpu: 8}\n  - {name: b, cpu: 2}\n"
	"links:\n  - {endpoints: [d, a], bandwidth: 5mbit}\n  - {endpoints: [b, a], name: a-b, bandwidth: 7mbit}\n";

/* Places of what stays keep their order; what goes is gone, or kept; what is new comes behind. */
static void test_merge(void **state)
{
	struct substrate from = help_substrate(before), to = help_substrate(after), now;
	bool none[3] = { false }, keep_nodes[3] = { true, true, true }, keep_links[3] = { false, true, false };
	uint32_t nodes[3], links[3];
	struct err err = { 0 };

	assert_int_equal(substrate_merge(&from, &to, none, none, &now, nodes, links, &err), 0);
	assert_int_equal(now.n_nodes, 3);
	assert_int_equal(now.n_links, 2);
	assert_true(nodes[0] == 0 && nodes[1] == 1 && nodes[2] == UINT32_MAX);
	assert_true(links[0] == 0 && links[1] == UINT32_MAX && links[2] == UINT32_MAX);
	assert_int_equal(now.nodes[0].cap[RES_CPU_MILLI], 8000);
	assert_string_equal(now.nodes[2].name, "d");
	assert_int_equal(now.links[0].bw_kbps, 7000);
	assert_true(now.links[0].a == 0 && now.links[0].b == 1); /* as they were */
	assert_true(now.links[1].a == 2 && now.links[1].b == 0);
	assert_int_equal(substrate_check(&now, &err), 0);
	substrate_done(&now);

	assert_int_equal(substrate_merge(&from, &to, keep_nodes, keep_links, &now, nodes, links, &err), 0);
	assert_int_equal(now.n_nodes, 4);
	assert_int_equal(now.n_links, 3);
	assert_true(nodes[2] == 2 && links[1] == 1 && links[2] == UINT32_MAX);
	assert_true(now.links[1].a == 1 && now.links[1].b == 2 && now.links[1].bw_kbps == 2000);
	assert_int_equal(hash_index(now.node_index, "d"), 3);
	assert_int_equal(hash_index(now.link_index, "b-c"), 1);
	substrate_done(&now);

	/* kept, but its end is not; kept, and in the way of another of its name */
	keep_nodes[2] = false;
	assert_int_equal(substrate_merge(&from, &to, keep_nodes, keep_links, &now, nodes, links, &err), -EBUSY);
	assert_non_null(strstr(err.text, "an end that goes"));
	keep_nodes[2] = true;
	substrate_done(&to);
	to = help_substrate("kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 1}\n  - {name: d, cpu: 1}\n"
	                    "links:\n  - {endpoints: [a, d], name: b-c, bandwidth: 1mbit}\n");
	assert_int_equal(substrate_merge(&from, &to, keep_nodes, keep_links, &now, nodes, links, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another name"));
	substrate_done(&to);
	substrate_done(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_refused), cmocka_unit_test(test_long_default_name),
		cmocka_unit_test(test_check), cmocka_unit_test(test_distance), cmocka_unit_test(test_merge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
