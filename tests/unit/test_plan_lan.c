/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans with more than links between two routers: LANs of switches, uplinks and the default routes towards them, planes, and
 * controllers. */
#include "tests/help_plan.h"

#include <sys/socket.h>

static const char substrate_text[] =
	"kind: substrate\nname: s\nnodes:\n"
	"  - {name: a, cpu: 64, address: 192.0.2.1, uplinks: [campus, lab]}\n"
	"  - {name: b, cpu: 64, address: 192.0.2.2, uplinks: [campus, lab]}\n"
	"links:\n  - {endpoints: [a, b], bandwidth: 1gbit}\n";

struct fix {
	struct substrate s;
	struct request r;
	struct embedding e;
	struct plan p;
};

/* All on node a, but the router called "far", which is on b. */
static void fix_open(struct fix *f, const char *request)
{
	struct err err = { 0 };

	*f = (struct fix){ .s = help_substrate(substrate_text), .r = help_request(request) };
	embedding_init(&f->e, f->r.n_nodes, f->r.n_links);
	for (size_t i = 0; i < f->r.n_nodes; i++)
		f->e.host[i] = strcmp(f->r.nodes[i].name, "far") == 0;
	for (size_t i = 0; i < f->r.n_links; i++)
		if (f->e.host[f->r.links[i].a] != f->e.host[f->r.links[i].b])
			help_add_path(&f->e, &f->s, &f->r, f->r.links[i].name, "a-b", f->r.links[i].bw_kbps);
	embedding_choose_kinds(&f->e, &f->s, &f->r);
	if (help_plan(&f->s, &f->r, &f->e, NULL, &f->p, &err) < 0)
		fail_msg("%s", err.text);
	help_check_walks(&f->p, &f->s, &f->r, &f->e);
}

static void fix_close(struct fix *f)
{
	plan_done(&f->p);
	embedding_done(&f->e);
	request_done(&f->r);
	substrate_done(&f->s);
}

static const struct plan_router *router(const struct fix *f, const char *name)
{
	for (size_t i = 0; i < f->p.n_nodes; i++)
		for (size_t k = 0; k < f->p.nodes[i].n_routers; k++)
			if (strcmp(f->p.nodes[i].routers[k].name, name) == 0)
				return &f->p.nodes[i].routers[k];
	fail_msg("no router %s", name);
	return NULL;
}

static const struct plan_port *port(const struct fix *f, uint32_t id)
{
	size_t at;

	return help_port(&f->p, id, &at);
}

static void assert_addr(const struct addr *a, const char *want)
{
	char text[ADDR_TEXT];

	assert_string_equal(a->family ? addr_text(a, text) : "", want);
}

/* "10.255.0.1 via 10.79.255.250 1; …" */
static void assert_routes(const struct fix *f, const char *name, const char *want)
{
	const struct plan_router *r = router(f, name);
	buf_auto struct buf text = BUF_INIT;
	char to[ADDR_TEXT], via[ADDR_TEXT];

	for (size_t i = 0; i < r->n_routes; i++)
		buf_printf(&text, "%s%s via %s %u", i ? "; " : "", addr_text(&r->routes[i].to, to), addr_text(&r->routes[i].via, via),
		           r->routes[i].port);
	assert_string_equal(buf_cstr(&text), want);
}

#define HEAD "kind: network\nname: t\nplacement: pack\ndefaults: {node: {cpu: 1}, link: {bandwidth: 10mbit}}\n"

/* r1, r2 and far on a LAN of two switches; r4 behind far. */
#define LAN(more) HEAD more \
	"nodes: [{name: r1}, {name: s1, router: switch}, {name: r2}, {name: s2, router: switch}, {name: far}, {name: r4}]\n" \
	"links: [{endpoints: [r1, s1]}, {endpoints: [s1, s2]}, {endpoints: [r2, s2]}, {endpoints: [s2, far]}, {endpoints: [far, r4]}]\n"

static void a_lan(void **state)
{
	struct fix f;

	fix_open(&f, LAN(""));
	/* three routers, network, broadcast: the last eight addresses of 10.64.0.0/12 */
	assert_addr(&port(&f, 0)->address, "10.79.255.249/29");
	assert_addr(&port(&f, 4)->address, "10.79.255.250/29");
	assert_addr(&port(&f, 7)->address, "10.79.255.251/29");
	for (uint32_t id = 0; id < 8; id++) { /* all but 0, 4, 7 are switches' */
		const struct plan_port *p = port(&f, id);

		assert_int_equal(p->lan, id == 0 || id == 4 || id == 7);
		assert_int_equal(p->address.family, p->lan ? AF_INET : 0);
		assert_int_equal(p->peer.family, 0);
		assert_true(p->lan == !p->peer_router);
		assert_int_equal(p->mtu, 1450); /* of the one link that leaves the node, for all */
	}
	assert_addr(&port(&f, 8)->address, "10.64.0.8/31"); /* the fifth link keeps its number */
	assert_int_equal(router(&f, "s1")->n_loopbacks, 0);
	assert_int_equal(router(&f, "s1")->routing, ROUTING_NONE);
	assert_routes(&f, "s1", "");
	assert_routes(&f, "r1", "10.255.0.2 via 10.79.255.250 0; 10.255.0.4 via 10.79.255.251 0; 10.255.0.5 via 10.79.255.251 0; "
	              "10.64.0.8/31 via 10.79.255.251 0");
	assert_routes(&f, "r4", "10.255.0.0 via 10.64.0.8 9; 10.255.0.2 via 10.64.0.8 9; 10.255.0.4 via 10.64.0.8 9; "
	              "10.79.255.248/29 via 10.64.0.8 9");
	fix_close(&f);
	fix_open(&f, LAN("routing: ospf\n"));
	assert_int_equal(router(&f, "r4")->n_reachable, 4); /* no switch is one */
	assert_int_equal(router(&f, "s2")->routing, ROUTING_NONE);
	fix_close(&f);
	fix_open(&f, LAN("pools: {loopbacks: 'fd00:1::/64', links: 'fd00:2::/64'}\n"));
	assert_addr(&port(&f, 7)->address, "fd00:2::ffff:ffff:ffff:fffb/125");
	fix_close(&f);
}

/* Two LANs, the larger one behind: aligned, downwards; what is left between them stays unused. */
static void several_lans(void **state)
{
	struct fix f;

	fix_open(&f, HEAD "pools: {links: 10.0.0.0/26}\n"
	         "nodes: [{name: s, router: switch}, {name: w, router: switch}, {name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: g}]\n"
	         "links: [{endpoints: [s, a]}, {endpoints: [w, a]}, {endpoints: [w, b]}, {endpoints: [w, c]}, {endpoints: [w, d]}, "
	         "{endpoints: [w, e]}, {endpoints: [w, g]}, {endpoints: [s, b]}]\n");
	assert_addr(&port(&f, 1)->address, "10.0.0.61/30");
	assert_addr(&port(&f, 15)->address, "10.0.0.62/30");
	assert_addr(&port(&f, 3)->address, "10.0.0.49/29");
	assert_addr(&port(&f, 13)->address, "10.0.0.54/29");
	fix_close(&f);
}

static void uplinks_and_defaults(void **state)
{
	struct fix f;

	fix_open(&f, HEAD "nodes:\n"
	         "  - {name: r1, uplinks: [{port: lab}, {port: campus, address: 203.0.113.2/24, gateway: 203.0.113.1, nat: true}]}\n"
	         "  - {name: r2, plane: split}\n"
	         "  - {name: r3, plane: {program: wall}}\n"
	         "  - {name: far, uplinks: [{port: lab, address: '2001:db8::2/64', gateway: 'fe80::1'}, {port: campus, address: 203.0.113.3/24}]}\n"
	         "  - {name: r5, uplinks: [{port: campus, address: 203.0.113.4/24, gateway: 203.0.113.1}]}\n"
	         "links: [{endpoints: [r1, r2]}, {endpoints: [r2, r3]}, {endpoints: [r3, far]}, {endpoints: [r3, r5]}]\n");
	const struct plan_port *lab = port(&f, PLAN_UPLINK_ID), *campus = port(&f, PLAN_UPLINK_ID + 1);

	assert_string_equal(lab->uplink, "lab");
	assert_string_equal(lab->ifname, "up0");
	assert_int_equal(lab->address.family, 0);
	assert_null(lab->link);
	assert_null(lab->peer_router);
	assert_string_equal(campus->ifname, "up1");
	assert_addr(&campus->address, "203.0.113.2/24");
	assert_addr(&campus->gateway, "203.0.113.1");
	assert_true(campus->nat && !lab->nat);
	assert_int_equal(campus->mtu, 1500);
	assert_memory_not_equal(lab->mac, campus->mac, 6);
	assert_memory_not_equal(lab->mac, port(&f, 0)->mac, 6); /* numbers 0 of both sorts */
	assert_string_equal(port(&f, PLAN_UPLINK_ID + 2)->ifname, "up0");
	assert_int_equal(router(&f, "r1")->plane, PLANE_KERNEL);
	assert_int_equal(router(&f, "r2")->plane, PLANE_SPLIT);
	assert_int_equal(router(&f, "r3")->plane, PLANE_PROGRAM);
	assert_string_equal(router(&f, "r3")->program, "wall");
	/* r1 by its own; r2 by r1, r3 by r5, which are next to them; far's own is of the other family */
	assert_routes(&f, "r1", "10.255.0.1 via 10.64.0.1 0; 10.255.0.2 via 10.64.0.1 0; 10.255.0.3 via 10.64.0.1 0; 10.255.0.4 via 10.64.0.1 0; "
	              "10.64.0.2/31 via 10.64.0.1 0; 10.64.0.4/31 via 10.64.0.1 0; 10.64.0.6/31 via 10.64.0.1 0; 0.0.0.0/0 via 203.0.113.1 1073741825");
	/* The subnet behind uplinks, by the nearest router on it; none of its own makes a router on it. */
	assert_routes(&f, "r2", "10.255.0.0 via 10.64.0.0 1; 10.255.0.2 via 10.64.0.3 2; 10.255.0.3 via 10.64.0.3 2; 10.255.0.4 via 10.64.0.3 2; "
	              "10.64.0.4/31 via 10.64.0.3 2; 10.64.0.6/31 via 10.64.0.3 2; 203.0.113.0/24 via 10.64.0.0 1; 0.0.0.0/0 via 10.64.0.0 1");
	assert_addr(&router(&f, "r3")->routes[router(&f, "r3")->n_routes - 2].to, "203.0.113.0/24");
	assert_addr(&router(&f, "r3")->routes[router(&f, "r3")->n_routes - 2].via, "10.64.0.5");
	const struct plan_route *last = &router(&f, "r2")->routes[router(&f, "r2")->n_routes - 1];

	assert_addr(&last->to, "0.0.0.0/0");
	assert_addr(&last->via, "10.64.0.0");
	last = &router(&f, "r3")->routes[router(&f, "r3")->n_routes - 1];
	assert_addr(&last->via, "10.64.0.7");
	last = &router(&f, "far")->routes[router(&f, "far")->n_routes - 2];
	assert_addr(&last[0].to, "::/0");
	assert_addr(&last[0].via, "fe80::1");
	assert_addr(&last[1].to, "0.0.0.0/0");
	assert_addr(&last[1].via, "10.64.0.4");
	fix_close(&f);
}

static void controllers(void **state)
{
	struct fix f;

	fix_open(&f, HEAD "nodes: [{name: c}, {name: s1, controller: c}, {name: s2, router: openflow, controller: c}, {name: s3, controller: 'tcp:[2001:db8::1]:6633'}, {name: h}]\n"
	         "links: [{endpoints: [h, s2]}, {endpoints: [c, s1]}, {endpoints: [s1, s2]}, {endpoints: [s2, s3]}]\n");
	assert_string_equal(router(&f, "s1")->kind, "openflow");
	assert_addr(&port(&f, 0)->address, "10.79.255.249/29");
	assert_addr(&port(&f, 2)->address, "10.79.255.250/29");
	assert_string_equal(router(&f, "s1")->controller, "tcp:10.79.255.250:6653");
	assert_string_equal(router(&f, "s2")->controller, "tcp:10.79.255.250:6653");
	assert_string_equal(router(&f, "s3")->controller, "tcp:[2001:db8::1]:6633");
	assert_addr(&port(&f, 3)->address, "10.79.255.251/29"); /* s1's own, at its first port */
	assert_true(port(&f, 3)->lan);
	assert_addr(&port(&f, 4)->address, "");
	assert_addr(&port(&f, 1)->address, "10.79.255.252/29"); /* s2's */
	assert_addr(&port(&f, 5)->address, "");
	assert_addr(&port(&f, 7)->address, "");
	fix_close(&f);
}

/* One change each to a plan that passes, and the agent's reason. */
static void refused_by_agents(void **state)
{
	struct fix f;
	struct node_plan copy;
	struct plan_port *p;
	struct plan_router *r;
	struct err err;

	fix_open(&f, HEAD "nodes: [{name: r, uplinks: [{port: lab, address: 10.9.0.2/24, gateway: 10.9.0.1}]}, {name: s, router: openflow, controller: r}, {name: q}]\n"
	         "links: [{endpoints: [r, s]}, {endpoints: [q, s]}, {endpoints: [r, q], name: x}]\n");
#define BREAKS(change, words) \
	do { \
		node_plan_copy(&f.p.nodes[0], &copy); \
		p = copy.ports; \
		r = copy.routers; \
		change; \
		err = (struct err){ 0 }; \
		assert_int_equal(node_plan_check(&copy, &err), -EINVAL); \
		if (!strstr(err.text, words)) \
			fail_msg("%s: %s", #change, err.text); \
		node_plan_done(&copy); \
	} while (0)
	assert_int_equal(f.p.nodes[0].n_ports, 7);
	assert_int_equal(f.p.nodes[0].ports[6].id, PLAN_UPLINK_ID);
	BREAKS(p[6].id = 9, "an uplink and a virtual link's end");
	BREAKS(p[6].link = mem_str("x"), "an uplink and a virtual link's end");
	BREAKS(p[6].lan = true, "an uplink and a virtual link's end");
	BREAKS(p[6].uplink[0] = '/', "uplink");
	BREAKS(p[6].gateway.prefix = 24, "gateway is no host");
	BREAKS(p[6].gateway = ((struct addr){ AF_INET6, 128, { 0xfe, 0x80, [15] = 1 } }), "gateway is no host");
	BREAKS(p[6].address.prefix = 33, "address is not valid");
	BREAKS(p[6].mac[0] |= 1, "MAC");
	BREAKS(copy.crosses[0].a.id = PLAN_UPLINK_ID, "cross 0");
	BREAKS(p[0].nat = true, "a virtual link's end and an uplink");
	BREAKS(p[0].peer = p[0].address, "on a LAN");
	BREAKS(p[0].lan = false, "peer's is not valid");
	BREAKS(p[1].peer = p[0].address, "LAN"); /* the switch's own */
	BREAKS(p[3].address = p[0].address, "a switch's, and has an address");
	BREAKS(copy.n_crosses--, "nothing joins it");
	BREAKS(r[0].plane = PLANE_GUEST, "cannot forward by plane");
	BREAKS(r[0].plane = PLANE_PROGRAM, "program");
	BREAKS(r[0].program = mem_str("x"), "program");
	BREAKS(r[0].plane = (enum plane)9, "cannot forward by plane");
	BREAKS(r[1].plane = PLANE_SPLIT, "cannot forward by plane");
	BREAKS(r[1].controller[0] = 'u', "expected tcp:");
	BREAKS(r[0].controller = mem_str("tcp:192.0.2.1:6653"), "has no controller");
	node_plan_copy(&f.p.nodes[0], &copy);
	assert_int_equal(node_plan_check(&copy, NULL), 0);
	node_plan_done(&copy);
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lan), cmocka_unit_test(several_lans), cmocka_unit_test(uplinks_and_defaults), cmocka_unit_test(controllers),
		cmocka_unit_test(refused_by_agents),
	};
	return cmocka_run_group_tests_name("plan_lan", tests, NULL, NULL);
}
