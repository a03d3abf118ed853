/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans: what every kind of virtual link becomes on the nodes, how addresses and routes are numbered,
 * and that a plan with one fault does not pass an agent's check. */
#include "tests/help_plan.h"

#include <stdio.h>

/*   a --- b --- c --- d      (x: a switch without an agent)
 *   |           |     |
 *   +---- x ----+     |
 *   +-----------------+        */
static const char substrate_text[] =
	"kind: substrate\n"
	"name: test\n"
	"nodes:\n"
	"  - {name: a, cpu: 64, address: 192.0.2.1}\n"
	"  - {name: b, cpu: 64, address: 192.0.2.2}\n"
	"  - {name: c, cpu: 64, address: 192.0.2.3}\n"
	"  - {name: d, cpu: 64, address: 192.0.2.4}\n"
	"  - {name: x, cpu: 64, agent: false}\n"
	"links:\n"
	"  - {endpoints: [a, b], bandwidth: 1gbit, underlay: {a: 198.51.100.1, b: 198.51.100.2}}\n"
	"  - {endpoints: [c, b], bandwidth: 1gbit, underlay: {b: 198.51.100.3, c: 198.51.100.4}}\n"
	"  - {endpoints: [c, d], bandwidth: 1gbit, underlay: {c: '2001:db8::c', d: '2001:db8::d'}}\n"
	"  - {endpoints: [a, d], bandwidth: 1gbit}\n"
	"  - {endpoints: [a, x], bandwidth: 1gbit}\n"
	"  - {endpoints: [x, c], bandwidth: 1gbit}\n";

struct fix {
	struct substrate s;
	struct request r;
	struct embedding e;
	struct plan p;
	struct err err;
};

static void fix_open(struct fix *f, const char *request)
{
	*f = (struct fix){ .s = help_substrate(substrate_text) };
	f->r = help_request(request);
	embedding_init(&f->e, f->r.n_nodes, f->r.n_links);
}

static void fix_close(struct fix *f)
{
	plan_done(&f->p);
	embedding_done(&f->e);
	request_done(&f->r);
	substrate_done(&f->s);
}

static void host(struct fix *f, const char *vnode, const char *snode)
{
	help_host(&f->e, &f->s, &f->r, vnode, snode);
}

static void path(struct fix *f, const char *vlink, const char *links, int64_t bw_kbps)
{
	help_add_path(&f->e, &f->s, &f->r, vlink, links, bw_kbps);
}

/* Makes the plan of an embedding that the checker accepts, and walks it. */
static void make_with(struct fix *f, uint32_t (*mtu)(void *, uint32_t, uint32_t))
{
	struct residual left;

	residual_init(&left, &f->s);
	embedding_choose_kinds(&f->e, &f->s, &f->r);
	if (embedding_check(&f->s, &left, &f->r, &f->e, &f->err) < 0 ||
	    help_plan(&f->s, &f->r, &f->e, mtu, &f->p, &f->err) < 0)
		fail_msg("%s", f->err.text);
	residual_done(&left);
	help_check_walks(&f->p, &f->s, &f->r, &f->e);
}

static void make(struct fix *f)
{
	make_with(f, NULL);
}

static void make_fails(struct fix *f, int code, const char *words)
{
	embedding_choose_kinds(&f->e, &f->s, &f->r);
	assert_int_equal(help_plan(&f->s, &f->r, &f->e, NULL, &f->p, &f->err), code);
	assert_null(f->p.nodes); /* untouched */
	if (!strstr(f->err.text, words))
		fail_msg("expected \"%s\", got \"%s\"", words, f->err.text);
}

static const struct node_plan *node(const struct fix *f, const char *name)
{
	uint32_t snode = help_index(f->s.node_index, name);

	for (size_t i = 0; i < f->p.n_nodes; i++)
		if (f->p.snode[i] == snode)
			return &f->p.nodes[i];
	return NULL;
}

static void assert_addr(const struct addr *a, const char *want)
{
	char text[ADDR_TEXT];

	assert_string_equal(addr_text(a, text), want);
}

#define HEAD "kind: network\nname: t\ndefaults: {node: {cpu: 1}, link: {bandwidth: 10mbit}}\n"
#define RING \
	HEAD "nodes: [{name: r1}, {name: r2}, {name: r3}, {name: r4}]\n" \
	"links: [{endpoints: [r1, r2]}, {endpoints: [r2, r3]}, {endpoints: [r3, r4]}, {endpoints: [r4, r1]}]\n"
#define PAIR(more, link) \
	HEAD more "nodes: [{name: r1}, {name: r2}]\nlinks: [{endpoints: [r1, r2]" link "}]\n"

static void ring(struct fix *f)
{
	fix_open(f, RING);
	host(f, "r1", "a");
	host(f, "r2", "b");
	host(f, "r3", "c");
	host(f, "r4", "d");
	path(f, "r1-r2", "a-b", 10000);
	path(f, "r2-r3", "c-b", 10000);
	path(f, "r3-r4", "c-d", 10000);
	path(f, "r4-r1", "a-d", 10000);
}

/* ---- numbers, addresses, routes --------------------------------------------------------- */

static void test_ring(void **state)
{
	struct fix f;
	const struct node_plan *a;
	const struct plan_router *r1;

	ring(&f);
	make(&f);
	assert_int_equal(f.p.n_nodes, 4);
	assert_int_equal(f.p.n_vnis, 4);
	a = node(&f, "a");
	assert_string_equal(a->owner, "alice");
	assert_string_equal(a->name, "t");
	assert_int_equal(a->net, 7);
	assert_int_equal(a->n_routers, 1);
	assert_int_equal(a->n_ports, 2);
	assert_int_equal(a->n_segments, 2);
	assert_int_equal(a->n_crosses, 2);
	assert_string_equal(a->ports[0].ifname, "eth0");
	assert_int_equal(a->ports[0].id, 0);
	assert_addr(&a->ports[0].address, "10.64.0.0/31");
	assert_addr(&a->ports[0].peer, "10.64.0.1");
	assert_string_equal(a->ports[0].peer_router, "r2");
	assert_int_equal(a->ports[0].mtu, 1450);
	assert_string_equal(a->ports[1].ifname, "eth1"); /* second end of the fourth link */
	assert_int_equal(a->ports[1].id, 7);
	assert_addr(&a->ports[1].address, "10.64.0.7/31");
	assert_int_equal(a->crosses[0].overhead, VXLAN_OVERHEAD_V4);
	assert_addr(&a->segments[0].local, "198.51.100.1");
	assert_addr(&a->segments[0].remote, "198.51.100.2");
	assert_addr(&a->segments[1].local, "192.0.2.1"); /* a-d has none of its own: the nodes' */
	assert_addr(&a->segments[1].remote, "192.0.2.4");
	r1 = &a->routers[0];
	assert_string_equal(r1->kind, "netns");
	assert_addr(&r1->loopbacks[0], "10.255.0.0");
	assert_addr(&node(&f, "d")->routers[0].loopbacks[0], "10.255.0.3");
	/* three loopbacks, then the two links that r1 is not attached to */
	assert_int_equal(r1->n_routes, 5);
	assert_addr(&r1->routes[0].to, "10.255.0.1");
	assert_addr(&r1->routes[0].via, "10.64.0.1");
	assert_addr(&r1->routes[1].to, "10.255.0.2"); /* r3: two hops either way; the file's first link wins */
	assert_addr(&r1->routes[1].via, "10.64.0.1");
	assert_int_equal(r1->routes[1].port, 0);
	assert_addr(&r1->routes[2].to, "10.255.0.3");
	assert_addr(&r1->routes[2].via, "10.64.0.6");
	assert_int_equal(r1->routes[2].port, 7);
	assert_addr(&r1->routes[3].to, "10.64.0.2/31");
	assert_addr(&r1->routes[3].via, "10.64.0.1");
	assert_addr(&r1->routes[4].to, "10.64.0.4/31");
	assert_addr(&r1->routes[4].via, "10.64.0.6"); /* r4 is nearer than r3 */
	fix_close(&f);
}

static void test_overheads(void **state)
{
	struct fix f;

	ring(&f);
	make(&f);
	/* c-d is IPv6 underlay: twenty bytes more */
	assert_int_equal(node(&f, "d")->ports[0].mtu, 1430);
	assert_int_equal(node(&f, "d")->crosses[0].overhead, VXLAN_OVERHEAD_V6);
	assert_int_equal(node(&f, "c")->segments[1].mtu, 1430);
	fix_close(&f);
	/* a path over both kinds is limited by what the larger adds */
	fix_open(&f, PAIR("", ""));
	host(&f, "r1", "b");
	host(&f, "r2", "d");
	path(&f, "r1-r2", "c-b c-d", 10000);
	make(&f);
	assert_int_equal(node(&f, "b")->crosses[0].overhead, VXLAN_OVERHEAD_V6);
	assert_int_equal(node(&f, "d")->crosses[0].overhead, VXLAN_OVERHEAD_V6);
	assert_int_equal(node(&f, "b")->ports[0].mtu, 1430);
	fix_close(&f);
}

static void test_macs(void **state)
{
	struct fix f;
	uint8_t seen[8][6];
	size_t n = 0;

	ring(&f);
	make(&f);
	for (size_t i = 0; i < f.p.n_nodes; i++)
		for (size_t k = 0; k < f.p.nodes[i].n_ports; k++) {
			memcpy(seen[n], f.p.nodes[i].ports[k].mac, 6);
			assert_int_equal(seen[n][0] & 3, 2);
			for (size_t j = 0; j < n; j++)
				assert_memory_not_equal(seen[j], seen[n], 6);
			n++;
		}
	assert_int_equal(n, 8);
	fix_close(&f);
}

static void test_routing_none(void **state)
{
	struct fix f;

	fix_open(&f, PAIR("routing: none\n", ""));
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	path(&f, "r1-r2", "a-b", 10000);
	make(&f);
	assert_int_equal(node(&f, "a")->routers[0].n_routes, 0);
	assert_int_equal(node(&f, "a")->routers[0].n_loopbacks, 1);
	assert_int_equal(node(&f, "a")->routers[0].routing, ROUTING_NONE);
	fix_close(&f);
}

static void test_ipv6(void **state)
{
	struct fix f;

	fix_open(&f, HEAD "pools: {loopbacks: 'fd00::/64', links: 'fd01::/64'}\n"
	         "nodes: [{name: r1}, {name: r2}, {name: r3}]\nlinks: [{endpoints: [r1, r2]}, {endpoints: [r2, r3]}]\n");
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	host(&f, "r3", "c");
	path(&f, "r1-r2", "a-b", 10000);
	path(&f, "r2-r3", "c-b", 10000);
	make(&f);
	assert_addr(&node(&f, "c")->ports[0].address, "fd01::3/127");
	assert_addr(&node(&f, "c")->routers[0].loopbacks[0], "fd00::2");
	assert_int_equal(node(&f, "c")->routers[0].n_routes, 3);
	assert_addr(&node(&f, "c")->routers[0].routes[2].to, "fd01::/127");
	assert_addr(&node(&f, "c")->routers[0].routes[2].via, "fd01::2");
	fix_close(&f);
}

static void test_pools(void **state)
{
	struct fix f;

	/* the reader refuses such requests; one that was made otherwise comes no further */
	fix_open(&f, PAIR("pools: {loopbacks: 10.0.0.0/31, links: 10.1.0.0/16}\n", ""));
	f.r.pool_loopbacks.prefix = 32;
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	path(&f, "r1-r2", "a-b", 10000);
	make_fails(&f, -ERANGE, "pool of loopbacks 10.0.0.0 is too small for 2 nodes");
	fix_close(&f);
	fix_open(&f, HEAD "pools: {loopbacks: 10.0.0.0/31, links: 10.1.0.0/30}\nnodes: [{name: r1}, {name: r2}]\n"
	         "links: [{endpoints: [r1, r2], name: first}, {endpoints: [r1, r2], name: second}]\n");
	f.r.pool_links.prefix = 31;
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	path(&f, "first", "a-b", 10000);
	path(&f, "second", "a-b", 10000);
	make_fails(&f, -ERANGE, "pool of links 10.1.0.0/31 is too small for 2 links");
	fix_close(&f);
	fix_open(&f, PAIR("pools: {loopbacks: 10.0.0.0/31, links: 10.1.0.0/31}\n", ""));
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	path(&f, "r1-r2", "a-b", 10000);
	make(&f); /* just so */
	fix_close(&f);
}

/* ---- links ------------------------------------------------------------------------------ */

static void test_chain(void **state)
{
	struct fix f;
	const struct node_plan *b;

	fix_open(&f, PAIR("", ""));
	host(&f, "r1", "a");
	host(&f, "r2", "c");
	path(&f, "r1-r2", "a-b c-b", 10000);
	make(&f);
	b = node(&f, "b"); /* nothing but a cross between two segments */
	assert_int_equal(b->n_routers + b->n_ports, 0);
	assert_int_equal(b->n_segments, 2);
	assert_int_equal(b->n_crosses, 1);
	assert_int_equal(b->crosses[0].bw_kbps, 0);
	assert_int_equal(b->crosses[0].a.kind, ENDPOINT_SEGMENT);
	assert_addr(&b->segments[1].local, "198.51.100.3");
	assert_addr(&b->segments[1].remote, "198.51.100.4");
	fix_close(&f);
}

static void test_switch(void **state)
{
	struct fix f;

	fix_open(&f, PAIR("", ""));
	host(&f, "r1", "a");
	host(&f, "r2", "c");
	path(&f, "r1-r2", "a-x x-c", 10000);
	make(&f);
	assert_int_equal(f.p.n_nodes, 2);
	assert_int_equal(f.p.n_vnis, 1); /* one tunnel for both links */
	assert_addr(&node(&f, "a")->segments[0].remote, "192.0.2.3");
	assert_string_equal(node(&f, "c")->segments[0].slink, "a-x");
	fix_close(&f);
}

static void test_split(void **state)
{
	struct fix f;
	const struct node_plan *a;

	fix_open(&f, PAIR("", ", paths: split"));
	host(&f, "r1", "a");
	host(&f, "r2", "c");
	path(&f, "r1-r2", "a-b c-b", 7000);
	path(&f, "r1-r2", "a-d c-d", 3000);
	make(&f);
	a = node(&f, "a");
	assert_int_equal(a->n_crosses, 2);
	assert_int_equal(a->crosses[1].bw_kbps, 3000);
	assert_int_equal(a->crosses[1].path, 1);
	assert_int_equal(a->crosses[1].role, CROSS_PRIMARY);
	assert_int_equal(a->ports[0].mtu, 1430); /* what every path has room for */
	assert_int_equal(a->segments[0].mtu, 1430);
	fix_close(&f);
}

static void test_backup(void **state)
{
	struct fix f;
	const struct node_plan *a;

	fix_open(&f, PAIR("", ", protection: link"));
	host(&f, "r1", "a");
	host(&f, "r2", "c");
	path(&f, "r1-r2", "a-b c-b", 10000);
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-d c-d", 10000);
	make(&f);
	a = node(&f, "a");
	assert_int_equal(a->n_crosses, 2);
	assert_int_equal(a->crosses[1].role, CROSS_BACKUP);
	assert_int_equal(a->crosses[1].bw_kbps, 10000);
	assert_int_equal(a->crosses[1].path, 1);
	fix_close(&f);
}

static void test_pack(void **state)
{
	struct fix f;
	const struct node_plan *a;

	fix_open(&f, PAIR("placement: pack\n", ""));
	host(&f, "r1", "a");
	host(&f, "r2", "a");
	make(&f);
	assert_int_equal(f.p.n_nodes, 1);
	assert_int_equal(f.p.n_vnis, 0);
	a = node(&f, "a");
	assert_int_equal(a->n_crosses, 1);
	assert_int_equal(a->crosses[0].bw_kbps, 10000); /* still limited */
	assert_int_equal(a->crosses[0].overhead, 0);
	assert_int_equal(a->ports[1].mtu, 1500);
	fix_close(&f);
}

static void test_best_effort(void **state)
{
	struct fix f;

	fix_open(&f, PAIR("", ", bandwidth: 0mbit"));
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	path(&f, "r1-r2", "a-b", 0);
	make(&f);
	assert_true(node(&f, "a")->segments[0].best_effort);
	assert_int_equal(node(&f, "a")->crosses[0].bw_kbps, 0);
	fix_close(&f);
	ring(&f);
	make(&f);
	assert_false(node(&f, "a")->segments[0].best_effort);
	fix_close(&f);
}

static uint32_t mtu_jumbo(void *arg, uint32_t snode, uint32_t slink)
{
	return slink == 0 ? 1540 : 9000;
}

static uint32_t mtu_one_side(void *arg, uint32_t snode, uint32_t slink)
{
	return snode == 2 ? 1300 : 0;
}

static uint32_t mtu_tiny(void *arg, uint32_t snode, uint32_t slink)
{
	return 600;
}

static void test_mtu(void **state)
{
	struct fix f;

	ring(&f);
	make_with(&f, mtu_jumbo);
	assert_int_equal(node(&f, "a")->ports[0].mtu, 1490);
	assert_int_equal(node(&f, "a")->ports[1].mtu, 1500); /* never more */
	fix_close(&f);
	ring(&f);
	make_with(&f, mtu_one_side);
	assert_int_equal(node(&f, "b")->ports[1].mtu, 1250); /* both ends the same */
	assert_int_equal(node(&f, "c")->ports[0].mtu, 1250);
	fix_close(&f);
	ring(&f);
	embedding_choose_kinds(&f.e, &f.s, &f.r);
	assert_int_equal(help_plan(&f.s, &f.r, &f.e, mtu_tiny, &f.p, &f.err), -EINVAL);
	assert_non_null(strstr(f.err.text, "leaves room for packets of 550 bytes"));
	fix_close(&f);
}

static void test_failures(void **state)
{
	struct help_vnis two = { VNI_MAX - 1, VNI_MAX };
	struct fix f;
	struct plan_input in;

	fix_open(&f, PAIR("", ""));
	host(&f, "r1", "a");
	host(&f, "r2", "b");
	path(&f, "r1-r2", "a-b", 10000);
	memset(&f.s.links[0].underlay, 0, sizeof(f.s.links[0].underlay));
	f.s.nodes[1].address.family = 0;
	make_fails(&f, -EINVAL, "link 'r1-r2': substrate link 'a-b' has no underlay address at 'b'");
	fix_close(&f);

	ring(&f);
	embedding_choose_kinds(&f.e, &f.s, &f.r);
	in = (struct plan_input){
		.s = &f.s, .r = &f.r, .e = &f.e, .net = 1, .generation = 1, .owner = "o", .vnis = { help_take_vni, &two },
	};
	assert_int_equal(plan_make(&in, &f.p, &f.err), -ENOSPC);
	assert_string_equal(f.err.text, "link 'r3-r4': no VNI left");
	assert_null(f.p.nodes);
	f.e.host[0] = 99;
	assert_int_equal(plan_make(&in, &f.p, &f.err), -EINVAL);
	fix_close(&f);
}

static void test_same_twice(void **state)
{
	struct fix f, g;

	ring(&f);
	make(&f);
	ring(&g);
	make(&g);
	assert_int_equal(f.p.n_nodes, g.p.n_nodes);
	for (size_t i = 0; i < f.p.n_nodes; i++) {
		const struct node_plan *p = &f.p.nodes[i], *q = &g.p.nodes[i];

		assert_int_equal(p->n_crosses, q->n_crosses);
		assert_memory_equal(p->crosses, q->crosses, p->n_crosses * sizeof(*p->crosses));
		assert_int_equal(p->n_ports, q->n_ports);
		for (size_t k = 0; k < p->n_ports; k++) {
			assert_string_equal(p->ports[k].ifname, q->ports[k].ifname);
			assert_memory_equal(&p->ports[k].address, &q->ports[k].address, sizeof(p->ports[k].address));
		}
	}
	fix_close(&f);
	fix_close(&g);
}

/* ---- what an agent refuses -------------------------------------------------------------- */

/* Each breaks a good plan of `b` in the split ring of test_faults once. */
static void break_net(struct node_plan *p) { p->net = 0; }
static void break_net_large(struct node_plan *p) { p->net = NET_ID_MAX + 1; }
static void break_generation(struct node_plan *p) { p->generation = 0; }
static void break_owner(struct node_plan *p) { p->owner[0] = '/'; }
static void break_router_twice(struct node_plan *p) { p->ports[0].router = p->routers[0].id + 1; }
static void break_router_name(struct node_plan *p) { p->routers[0].name[0] = '.'; }
static void break_kind(struct node_plan *p) { memset(p->routers[0].kind, 'k', sizeof(p->routers[0].kind)); }
static void break_cpu(struct node_plan *p) { p->routers[0].cpu_milli = -1; }
static void break_routing(struct node_plan *p) { p->routers[0].routing = 17; }
static void break_loopback(struct node_plan *p) { p->routers[0].loopbacks[0].prefix = 24; }
static void break_route_port(struct node_plan *p) { p->routers[0].routes[0].port = 999; }
static void break_route_family(struct node_plan *p) { p->routers[0].routes[0].to.family = 10; }
static void break_ifname(struct node_plan *p) { strcpy(p->ports[0].ifname, "../x"); }
static void break_ifname_lo(struct node_plan *p) { strcpy(p->ports[0].ifname, "lo"); }
static void break_ifname_twice(struct node_plan *p) { strcpy(p->ports[0].ifname, p->ports[1].ifname); }
static void break_ifname_end(struct node_plan *p) { memset(p->ports[0].ifname, 'e', sizeof(p->ports[0].ifname)); }
static void break_port_twice(struct node_plan *p) { p->ports[1].id = p->ports[0].id; }
static void break_mac(struct node_plan *p) { p->ports[0].mac[0] |= 1; }
static void break_mtu(struct node_plan *p) { p->ports[0].mtu = 65536; }
static void break_address(struct node_plan *p) { p->ports[0].address.prefix = 33; }
static void break_bw(struct node_plan *p) { p->ports[0].bw_kbps = -5; }
static void break_vni(struct node_plan *p) { p->segments[0].vni = 0; }
static void break_vni_large(struct node_plan *p) { p->segments[0].vni = VNI_MAX + 1; }
static void break_vni_twice(struct node_plan *p) { p->segments[1].vni = p->segments[0].vni; }
static void break_remote(struct node_plan *p) { p->segments[0].remote = p->segments[0].local; }
static void break_remote_family(struct node_plan *p) { p->segments[0].remote.family = 0; }
static void break_slink(struct node_plan *p) { p->segments[0].slink[0] = ' '; }
static void break_cross(struct node_plan *p) { p->crosses[0].b.id = 4242; }
static void break_cross_kind(struct node_plan *p) { p->crosses[0].a.kind = 9; }
static void break_cross_links(struct node_plan *p) { p->crosses[0].b = p->crosses[1].b; }
static void break_cross_self(struct node_plan *p) { p->crosses[0].b = p->crosses[0].a; }
static void break_cross_twice(struct node_plan *p) { p->crosses[1] = p->crosses[0]; }
static void break_cross_role(struct node_plan *p) { p->crosses[0].role = 2; }
static void break_limit_lost(struct node_plan *p) { p->crosses[0].bw_kbps = 0; }
static void break_limit_more(struct node_plan *p) { p->crosses[0].bw_kbps++; }
static void break_overhead(struct node_plan *p) { p->crosses[0].overhead = 71; }

static const struct fault {
	void (*apply)(struct node_plan *p);
	const char *words;
} faults[] = {
	{ break_net, "network number 0" }, { break_net_large, "network number 16777216" },
	{ break_generation, "generation 0" }, { break_owner, "owner" },
	{ break_router_twice, "there is no router" }, { break_router_name, "router 1: name" },
	{ break_kind, "its kind" }, { break_cpu, "cpu -1" }, { break_routing, "routing 17" },
	{ break_loopback, "no host address" }, { break_route_port, "port 999 is not one of the router's" },
	{ break_route_family, "route 0: no valid address" }, { break_ifname, "interface name" },
	{ break_ifname_lo, "interface name" }, { break_ifname_twice, "its router has another 'eth1'" },
	{ break_ifname_end, "interface name" }, { break_port_twice, "its number is another's" },
	{ break_mac, "MAC" }, { break_mtu, "MTU 65536" }, { break_address, "its address" }, { break_bw, "-5 kbit/s" },
	{ break_vni, "VNI is not in" }, { break_vni_large, "VNI is not in" }, { break_vni_twice, "VNI is another's" },
	{ break_remote, "one underlay address" }, { break_remote_family, "not two hosts of one family" },
	{ break_slink, "substrate link" }, { break_cross, "an endpoint is not there" },
	{ break_cross_kind, "an endpoint is not there" }, { break_cross_links, "would join two virtual links" },
	{ break_cross_self, "joins an endpoint to itself" }, { break_cross_twice, "would carry more" },
	{ break_cross_role, "role 2" }, { break_limit_lost, "the cross limits it to 0" },
	{ break_limit_more, "would carry more than its 10000" }, { break_overhead, "71 bytes of overhead" },
};

static void test_faults(void **state)
{
	struct fix f;

	ring(&f);
	make(&f);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct err err = { 0 };
		struct node_plan copy;

		node_plan_copy(node(&f, "b"), &copy);
		assert_int_equal(node_plan_check(&copy, NULL), 0);
		faults[i].apply(&copy);
		assert_int_equal(node_plan_check(&copy, &err), -EINVAL);
		if (!strstr(err.text, faults[i].words))
			fail_msg("expected \"%s\", got \"%s\"", faults[i].words, err.text);
		node_plan_done(&copy);
	}
	fix_close(&f);
}

static void test_empty(void **state)
{
	struct node_plan p = { .net = 1, .generation = 2, .owner = mem_str("o"), .name = mem_str("n") };
	struct node_plan copy;
	struct fix f;

	assert_true(node_plan_empty(&p));
	assert_int_equal(node_plan_check(&p, NULL), 0);
	node_plan_copy(&p, &copy);
	assert_true(node_plan_empty(&copy));
	node_plan_done(&copy);
	node_plan_done(&p);
	ring(&f);
	make(&f);
	assert_false(node_plan_empty(&f.p.nodes[0]));
	fix_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),     cmocka_unit_test(test_overheads),    cmocka_unit_test(test_macs),
		cmocka_unit_test(test_routing_none), cmocka_unit_test(test_ipv6),     cmocka_unit_test(test_pools),
		cmocka_unit_test(test_chain),    cmocka_unit_test(test_switch),       cmocka_unit_test(test_split),
		cmocka_unit_test(test_backup),   cmocka_unit_test(test_pack),         cmocka_unit_test(test_best_effort),
		cmocka_unit_test(test_mtu),      cmocka_unit_test(test_failures),     cmocka_unit_test(test_same_twice),
		cmocka_unit_test(test_faults),   cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
