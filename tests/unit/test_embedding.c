/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every rule of "Embedding, exactly" broken once: the checker refuses it with that rule's words; and
 * what breaks none is accepted. Costs, residuals and gaps by hand. */
#include "tests/help_model.h"

#include <errno.h>
#include <math.h>

static const char substrate_text[] =
	"kind: substrate\n"
	"name: test\n"
	"nodes:\n"
	"  - {name: a, cpu: 4, memory: 1GiB, routers: [netns, xen], location: [0, 0], uplinks: [campus], cost: 2,\n"
	"     labels: {site: south}}\n"
	"  - {name: b, cpu: 4, memory: 1GiB, max_routers: 1, location: [0, 1]}\n"
	"  - {name: c, cpu: 4, memory: 1GiB, max_ports: 1, location: [0, 2]}\n"
	"  - {name: d, cpu: 4, memory: 1GiB, routers: []}\n"
	"  - {name: x, cpu: 4, agent: false}\n"
	"links:\n"
	"  - {endpoints: [a, b], name: a-b, bandwidth: 100mbit, delay: 1ms, cost: 3}\n"
	"  - {endpoints: [b, c], bandwidth: 100mbit, delay: 1ms, risks: [duct-1, duct-2]}\n"
	"  - {endpoints: [c, d], bandwidth: 100mbit, delay: 1ms}\n"
	"  - {endpoints: [a, d], bandwidth: 50mbit, delay: 5ms, risks: [duct-2]}\n"
	"  - {endpoints: [a, x], bandwidth: 100mbit, delay: 1ms}\n"
	"  - {endpoints: [x, c], bandwidth: 100mbit, delay: 1ms}\n"
	"  - {endpoints: [a, b], name: a-b-2, bandwidth: 20mbit, delay: 1ms}\n";

/* What a case starts from; a case may take another request, and then breaks one thing. */
struct fix {
	struct substrate s;
	struct request r;
	struct embedding e;
	struct residual left;
};

static void fix_open(struct fix *f, const char *request)
{
	f->s = help_substrate(substrate_text);
	f->r = help_request(request);
	embedding_init(&f->e, f->r.n_nodes, f->r.n_links);
	residual_init(&f->left, &f->s);
}

static void fix_close(struct fix *f)
{
	embedding_done(&f->e);
	residual_done(&f->left);
	request_done(&f->r);
	substrate_done(&f->s);
}

static void accepted(struct fix *f)
{
	struct err err = { 0 };

	embedding_choose_kinds(&f->e, &f->s, &f->r);
	if (embedding_check(&f->s, &f->left, &f->r, &f->e, &err) != 0)
		fail_msg("refused: %s", err.text);
}

static void refused(struct fix *f, const char *words)
{
	struct err err = { 0 };

	embedding_choose_kinds(&f->e, &f->s, &f->r);
	assert_int_equal(embedding_check(&f->s, &f->left, &f->r, &f->e, &err), -EINVAL);
	if (!strstr(err.text, words))
		fail_msg("expected \"%s\", got \"%s\"", words, err.text);
}

#define REQUEST(more, nodes, links) \
	"kind: network\nname: t\n" more "defaults: {node: {cpu: 1, memory: 64MiB}, link: {bandwidth: 10mbit}}\nnodes:\n" nodes "links:\n" links
#define PAIR(more, node, link) \
	REQUEST(more, "  - {name: r1" node "}\n  - {name: r2}\n", "  - {endpoints: [r1, r2]" link "}\n")

static void pair(struct fix *f, const char *request, const char *host1, const char *host2)
{
	fix_open(f, request);
	help_host(&f->e, &f->s, &f->r, "r1", host1);
	help_host(&f->e, &f->s, &f->r, "r2", host2);
}

static void path(struct fix *f, const char *links, int64_t bw_kbps)
{
	help_add_path(&f->e, &f->s, &f->r, "r1-r2", links, bw_kbps);
}

/* ---- nodes ------------------------------------------------------------------------------ */

static void test_good(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ""), "a", "c");
	path(&f, "a-x x-c", 10000); /* a switch without an agent is passed through */
	accepted(&f);
	assert_string_equal(f.e.kind[0], "netns");
	fix_close(&f);
	pair(&f, PAIR("", "", ""), "c", "a");
	path(&f, "c-d a-d", 10000); /* and so is a node that only forwards */
	accepted(&f);
	fix_close(&f);
}

static void test_nodes(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ""), "a", "x");
	path(&f, "a-x", 10000);
	refused(&f, "'x' has no agent and hosts nothing");
	f.e.host[1] = 77;
	refused(&f, "substrate node 77 of 5");
	f.e.host[1] = UINT32_MAX;
	refused(&f, "of 5");
	fix_close(&f);

	pair(&f, PAIR("", "", ""), "a", "d");
	path(&f, "a-d", 10000);
	refused(&f, "no router kind was chosen"); /* routers: [] */
	f.e.kind[1] = mem_str("netns");
	refused(&f, "'d' hosts no router of kind 'netns'");
	fix_close(&f);

	pair(&f, PAIR("", ", router: xen", ""), "a", "b");
	path(&f, "a-b", 10000);
	accepted(&f);
	free(f.e.kind[0]);
	f.e.kind[0] = mem_str("netns");
	refused(&f, "asks for a router of kind 'xen', not 'netns'");
	free(f.e.kind[0]);
	f.e.kind[0] = mem_str("fake");
	refused(&f, "asks for a router of kind 'xen'");
	fix_close(&f);
}

static void refused_place(const char *request)
{
	struct fix f;

	pair(&f, request, "b", "a");
	path(&f, "a-b", 10000);
	refused(&f, "node 'r1' may not be on 'b'");
	fix_close(&f);
}

static void test_place(void **state)
{
	struct fix f;

	refused_place(PAIR("", ", place: {on: [a, c]}", ""));
	refused_place(PAIR("", ", place: {not_on: [b]}", ""));
	refused_place(PAIR("", ", place: {near: {location: [0, 0], within: 100km}}", ""));
	refused_place(PAIR("", ", place: {labels: {site: south}}", ""));
	refused_place(PAIR("", ", uplinks: [{port: campus, address: 203.0.113.2/24}]", ""));
	pair(&f, PAIR("", ", uplinks: [{port: campus}], place: {on: [a], near: {location: [0, 0], within: 0km}, labels: {site: south}}", ""),
	     "a", "b");
	path(&f, "a-b", 10000);
	accepted(&f);
	fix_close(&f);
}

static void test_distinct(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ""), "a", "a");
	refused(&f, "placement is distinct");
	fix_close(&f);
	pair(&f, PAIR("placement: pack\n", "", ""), "a", "a");
	accepted(&f);
	path(&f, "a-b a-b-2", 10000);
	refused(&f, "it has a path, but both its ends are on 'a'");
	fix_close(&f);
}

static void test_resources(void **state)
{
	struct fix f;

	pair(&f, PAIR("", ", cpu: 4", ""), "b", "a");
	path(&f, "a-b", 10000);
	accepted(&f);
	f.left.node[1][RES_CPU_MILLI] = 3999;
	refused(&f, "too little cpu left on 'b': 3999, of which 4000 would be taken");
	fix_close(&f);

	pair(&f, PAIR("placement: pack\n", "", ""), "a", "a");
	f.left.node[0][RES_MEM_KIB] = 2 * 65536 - 1; /* both together */
	refused(&f, "too little memory left on 'a'");
	f.left.node[0][RES_MEM_KIB] = UNLIMITED;
	accepted(&f);
	fix_close(&f);

	pair(&f, PAIR("placement: pack\n", "", ""), "b", "b");
	refused(&f, "too little max_routers left on 'b': 1, of which 2");
	fix_close(&f);

	pair(&f, PAIR("placement: pack\n", "", ""), "c", "c");
	refused(&f, "too little max_ports left on 'c': 1, of which 2");
	fix_close(&f);
}

/* ---- paths ------------------------------------------------------------------------------ */

static void refused_path(const char *links, const char *words)
{
	struct fix f;

	pair(&f, PAIR("", "", ""), "a", "c");
	path(&f, links, 10000);
	refused(&f, words);
	fix_close(&f);
}

static void test_path_shape(void **state)
{
	struct fix f;

	refused_path("", "it has no links");
	refused_path("a-b", "it ends at 'b', not at 'c'");
	refused_path("b-c a-b", "link 'b-c' does not touch 'a'");
	refused_path("a-b c-d", "link 'c-d' does not touch 'b'");
	refused_path("a-b a-b-2 a-x x-c", "it is not simple: it comes by 'a' twice");
	refused_path("a-b b-c c-d a-d a-x x-c", "it is not simple");

	pair(&f, PAIR("", "", ""), "a", "c");
	refused(&f, "it has no path");
	path(&f, "a-x x-c", 10000);
	f.e.links[0].paths[0].links[1] = 7;
	refused(&f, "it uses substrate link 7 of 7");
	fix_close(&f);
}

static void test_single(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ""), "a", "c");
	path(&f, "a-x x-c", 5000);
	refused(&f, "its paths carry 5000 kbit/s together, not 10000");
	path(&f, "a-b b-c", 5000);
	refused(&f, "it has 2 paths; it asks for a single one");
	f.e.links[0].paths[0].bw_kbps = 10001;
	f.e.links[0].paths[1].bw_kbps = -1;
	refused(&f, "single one");
	fix_close(&f);

	pair(&f, PAIR("", "", ""), "a", "c");
	path(&f, "a-x x-c", 20000);
	refused(&f, "it carries 20000 kbit/s of 10000");
	fix_close(&f);
}

static void test_split(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ", paths: split, bandwidth: 120mbit"), "a", "c");
	path(&f, "a-x x-c", 80000);
	path(&f, "a-b b-c", 40000);
	accepted(&f);
	f.e.links[0].paths[1].bw_kbps = 39999;
	refused(&f, "carry 119999 kbit/s together, not 120000");
	f.e.links[0].paths[0].bw_kbps = 120000;
	f.e.links[0].paths[1].bw_kbps = 0;
	refused(&f, "path 2: it carries 0 kbit/s of 120000");
	f.e.links[0].paths[0].bw_kbps = 120001;
	f.e.links[0].paths[1].bw_kbps = -1;
	refused(&f, "path 1: it carries 120001 kbit/s of 120000");
	f.e.links[0].paths[0].bw_kbps = INT64_MAX;
	refused(&f, "path 1: it carries");
	fix_close(&f);

	pair(&f, PAIR("", "", ", paths: split, bandwidth: 9mbit"), "a", "c");
	for (int i = 0; i < 9; i++)
		path(&f, "a-x x-c", 1000);
	refused(&f, "it has 9 paths; a split link has at most 8");
	fix_close(&f);
}

static void test_delay(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ", max_delay: 2ms"), "a", "c");
	path(&f, "a-x x-c", 10000);
	accepted(&f); /* just so */
	fix_close(&f);
	pair(&f, PAIR("", "", ", max_delay: 1999us"), "a", "c");
	path(&f, "a-x x-c", 10000);
	refused(&f, "its delay is 2000 us, the link allows 1999 us");
	fix_close(&f);
	pair(&f, PAIR("", "", ", paths: split, max_delay: 2ms"), "a", "c");
	path(&f, "a-x x-c", 5000);
	path(&f, "a-d c-d", 5000);
	refused(&f, "path 2: its delay is 6000 us");
	fix_close(&f);
}

static void test_capacity(void **state)
{
	struct fix f;

	/* together, not each alone */
	fix_open(&f, REQUEST("placement: pack\n", "  - {name: r1}\n  - {name: r2}\n  - {name: r3}\n",
	                     "  - {endpoints: [r1, r2], bandwidth: 60mbit}\n  - {endpoints: [r3, r2], bandwidth: 40mbit}\n"));
	help_host(&f.e, &f.s, &f.r, "r1", "a");
	help_host(&f.e, &f.s, &f.r, "r2", "b");
	help_host(&f.e, &f.s, &f.r, "r3", "a");
	path(&f, "a-b", 60000);
	help_add_path(&f.e, &f.s, &f.r, "r3-r2", "a-b", 40000);
	accepted(&f);
	f.left.link_kbps[0] = 99999;
	refused(&f, "link 'r3-r2': path 1: too little bandwidth left on 'a-b': 99999 kbit/s, of which 100000");
	fix_close(&f);
}

static void test_best_effort(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ", bandwidth: 0mbit"), "a", "c");
	f.left.link_kbps[4] = 0; /* it reserves nothing */
	path(&f, "a-x x-c", 0);
	accepted(&f);
	fix_close(&f);
	pair(&f, PAIR("", "", ", bandwidth: 0mbit"), "a", "b");
	path(&f, "a-x x-c b-c", 0);
	refused(&f, "its path takes 3 hops; best effort takes the fewest, 1");
	fix_close(&f);
	pair(&f, PAIR("", "", ", bandwidth: 0mbit, paths: split"), "a", "c");
	path(&f, "a-x x-c", 0);
	path(&f, "a-b b-c", 0);
	refused(&f, "it has 2 paths; best effort takes a single one");
	fix_close(&f);
	pair(&f, PAIR("", "", ", bandwidth: 0mbit"), "a", "c");
	path(&f, "a-x x-c", 1);
	refused(&f, "it carries 1 kbit/s of 0");
	fix_close(&f);
}

static void test_protection(void **state)
{
	struct fix f;

	pair(&f, PAIR("", "", ", protection: link"), "a", "c");
	path(&f, "a-x x-c", 10000);
	refused(&f, "it asks for protection and has no backup path");
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-b b-c", 10000);
	accepted(&f);
	f.left.link_kbps[1] = 9999;
	refused(&f, "backup: too little bandwidth left on 'b-c'");
	f.left.link_kbps[1] = 100000;
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-b b-c", 9999);
	refused(&f, "backup: it carries 9999 kbit/s, not the full 10000");
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-x x-c", 10000);
	refused(&f, "backup: it shares link 'a-x' with the primary path");
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-b", 10000);
	refused(&f, "backup: it ends at 'b'");
	fix_close(&f);

	pair(&f, PAIR("", "", ", protection: link"), "a", "c");
	path(&f, "a-b b-c", 10000);
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-d c-d", 10000);
	refused(&f, "its link 'a-d' shares the risk 'duct-2' with link 'b-c' of the primary path");
	fix_close(&f);

	pair(&f, PAIR("", "", ", protection: link, max_delay: 2ms"), "a", "c");
	path(&f, "a-b b-c", 10000);
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-d c-d", 10000);
	refused(&f, "backup: its delay is 6000 us");
	fix_close(&f);

	pair(&f, PAIR("", "", ""), "a", "c");
	path(&f, "a-b b-c", 10000);
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-x x-c", 10000);
	refused(&f, "it has a backup path, but asks for no protection");
	fix_close(&f);

	pair(&f, PAIR("placement: pack\n", "", ", protection: link"), "a", "a");
	accepted(&f); /* inside one node there is nothing to protect */
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-b a-b-2", 10000);
	refused(&f, "both its ends are on 'a'");
	fix_close(&f);
}

static void test_shape(void **state)
{
	struct fix f;
	struct embedding other;

	pair(&f, PAIR("", "", ""), "a", "c");
	path(&f, "a-x x-c", 10000);
	f.left.n_links--;
	refused(&f, "what is left is of another substrate");
	f.left.n_links++;
	embedding_init(&other, 3, 1);
	assert_int_equal(embedding_check(&f.s, &f.left, &f.r, &other, NULL), -EINVAL);
	embedding_done(&other);
	other = (struct embedding){ .n_nodes = 2, .n_links = 1 }; /* claims what it does not have */
	assert_int_equal(embedding_check(&f.s, &f.left, &f.r, &other, NULL), -EINVAL);
	fix_close(&f);
}

/* ---- arithmetic ------------------------------------------------------------------------- */

static void test_cost(void **state)
{
	struct fix f;
	uint32_t via[5];

	pair(&f, PAIR("", "", ", protection: link"), "a", "c");
	path(&f, "a-b b-c", 10000);
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-x x-c", 10000);
	/* 1 core × 2 + 1 core × 1 + 10 Mbit/s × (3 + 1) + the backup's 10 × (1 + 1) */
	assert_int_equal(embedding_cost_nano(&f.s, &f.r, &f.e), INT64_C(63000000000));
	assert_true(nano_to_units(INT64_C(63000000000)) == 63.0);
	assert_int_equal(path_delay_us(&f.s, &f.e.links[0].paths[0]), 2000);
	assert_int_equal(path_via(&f.s, 0, &f.e.links[0].paths[0], via, NULL), 0);
	assert_int_equal(via[1], 1);
	assert_int_equal(via[2], 2);
	assert_int_equal(path_via(&f.s, 2, &f.e.links[0].paths[0], via, NULL), -EINVAL);
	assert_int_equal(path_via(&f.s, 99, &f.e.links[0].paths[0], via, NULL), -EINVAL);
	for (size_t i = 0; i < f.s.n_links; i++)
		f.s.links[i].cost_micro = COST_MAX_MICRO;
	f.e.links[0].paths[0].bw_kbps = BW_MAX_KBPS;
	assert_int_equal(embedding_cost_nano(&f.s, &f.r, &f.e), INT64_MAX);
	fix_close(&f);
}

static void test_residual(void **state)
{
	struct fix f;
	struct residual before;
	struct embedding copy;

	pair(&f, PAIR("", "", ", protection: link"), "a", "c");
	path(&f, "a-b b-c", 10000);
	help_backup(&f.e, &f.s, &f.r, "r1-r2", "a-x x-c", 10000);
	embedding_choose_kinds(&f.e, &f.s, &f.r);
	embedding_copy(&f.e, &copy);
	residual_copy(&f.left, &before);
	residual_take(&f.left, &f.r, &f.e);
	assert_int_equal(f.left.node[0][RES_CPU_MILLI], 3000);
	assert_int_equal(f.left.node[0][RES_MEM_KIB], 1048576 - 65536);
	assert_true(f.left.node[0][RES_PORTS] == UNLIMITED);
	assert_int_equal(f.left.node[2][RES_PORTS], 0);
	assert_int_equal(f.left.link_kbps[0], 90000);
	assert_int_equal(f.left.link_kbps[5], 90000);
	assert_int_equal(f.left.link_kbps[6], 20000);
	residual_give(&f.left, &f.r, &copy);
	assert_memory_equal(f.left.node, before.node, f.left.n_nodes * sizeof(*f.left.node));
	assert_memory_equal(f.left.link_kbps, before.link_kbps, f.left.n_links * sizeof(*f.left.link_kbps));
	residual_done(&before);
	embedding_done(&copy);
	fix_close(&f);
}

static void test_gap(void **state)
{
	struct solution sol = { .has_embedding = true, .has_bound = true, .objective = 20, .bound = 15 };
	double gap = -1;

	assert_true(solution_gap(&sol, &gap));
	assert_true(fabs(gap - 0.25) < 1e-12);
	sol.bound = 20.000000000001;
	assert_true(solution_gap(&sol, &gap) && gap == 0);
	sol.objective = sol.bound = 0;
	assert_true(solution_gap(&sol, &gap) && gap == 0);
	sol.has_bound = false;
	assert_false(solution_gap(&sol, &gap));
	solution_done(&sol);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),        cmocka_unit_test(test_nodes),      cmocka_unit_test(test_place),
		cmocka_unit_test(test_distinct),    cmocka_unit_test(test_resources),  cmocka_unit_test(test_path_shape),
		cmocka_unit_test(test_single),      cmocka_unit_test(test_split),      cmocka_unit_test(test_delay),
		cmocka_unit_test(test_capacity),    cmocka_unit_test(test_best_effort), cmocka_unit_test(test_protection),
		cmocka_unit_test(test_shape),       cmocka_unit_test(test_cost),       cmocka_unit_test(test_residual),
		cmocka_unit_test(test_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
