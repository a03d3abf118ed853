/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random numbers, graphs and presets against what they should be; importers against the small files of
 * tests/data/import, and against what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/generate.h"
#include "origin/import.h"
#include "origin/random.h"
#include "origin/random_graph.h"

/* ---- numbers ------------------------------------------------------------------------------- */

/* Known values: a change of these changes every instance ever made. */
static void test_sequence(void **state)
{
	struct random r, other;

	random_init(&r, 1, 1);
	random_init(&other, 1, 2);
	uint64_t a = random_next(&r), b = random_next(&other);
	assert_true(a != b);
	random_init(&r, 1, 1);
	assert_true(random_next(&r) == a);
	struct random plain = { 0 }; /* SplitMix64's published first value for seed 0 */
	assert_true(random_next(&plain) == UINT64_C(0xe220a8397b1dcdaf));
}

static void test_exp_and_root(void **state)
{
	for (uint64_t x = 0; x < 2000000; x += 997) {
		double want = exp(-(double)x / 65536), got = (double)exp_minus_q32(x) / 4294967296.0;
		if (fabs(want - got) > 1e-8)
			fail_msg("e^-%g: %.12g, expected %.12g", (double)x / 65536, got, want);
	}
	for (uint64_t x = 0; x < 3000; x++) {
		uint64_t root = root_floor(x);
		assert_true(root * root <= x && (root + 1) * (root + 1) > x);
	}
	assert_true(root_floor(UINT64_MAX) == UINT32_MAX);
}

static void test_distributions(void **state)
{
	enum { N = 200000 };
	struct random r;
	double sum = 0, squares = 0, poisson = 0, poisson_squares = 0;
	size_t counts[11] = { 0 }, hits = 0, above = 0;

	random_init(&r, 7, 0);
	for (int i = 0; i < N; i++) {
		double x = (double)random_exponential(&r, 1000000) / 1e6;
		double k = (double)random_poisson(&r, 6250000);
		sum += x;
		squares += x * x;
		above += x > 1;
		poisson += k;
		poisson_squares += k * k;
		counts[random_in(&r, (struct range){ 3, 13 }) - 3]++;
		hits += random_chance(&r, ONE_Q32 / 4);
	}
	/* five standard errors each */
	assert_true(fabs(sum / N - 1) < 5 / sqrt(N));
	assert_true(fabs(squares / N - 2) < 5 * sqrt(20.0 / N));
	assert_true(fabs((double)above / N - exp(-1)) < 5 * sqrt(0.25 / N));
	assert_true(fabs(poisson / N - 6.25) < 5 * sqrt(6.25 / N));
	assert_true(fabs(poisson_squares / N - poisson / N * poisson / N - 6.25) < 0.3);
	assert_true(fabs((double)hits / N - 0.25) < 5 * sqrt(0.25 / N));
	for (int i = 0; i < 11; i++)
		assert_true(fabs((double)counts[i] - N / 11.0) < 5 * sqrt(N / 11.0));
}

/* ---- graphs -------------------------------------------------------------------------------- */

static void check_graph(const struct random_graph *g)
{
	uint32_t *part = mem_array(g->n, sizeof(*part));
	bool grown = true;

	for (size_t i = 0; i < g->n_edges; i++) {
		assert_true(g->edges[i].a < g->edges[i].b && g->edges[i].b < g->n);
		if (i > 0) /* sorted, none twice */
			assert_true(g->edges[i - 1].a < g->edges[i].a ||
			            (g->edges[i - 1].a == g->edges[i].a && g->edges[i - 1].b < g->edges[i].b));
	}
	part[0] = 1;
	while (grown) {
		grown = false;
		for (size_t i = 0; i < g->n_edges; i++)
			if (part[g->edges[i].a] != part[g->edges[i].b]) {
				part[g->edges[i].a] = part[g->edges[i].b] = 1;
				grown = true;
			}
	}
	for (uint32_t a = 0; a < g->n; a++)
		assert_int_equal(part[a], 1);
	free(part);
}

static uint32_t degree(const struct random_graph *g, uint32_t a)
{
	uint32_t d = 0;

	for (size_t i = 0; i < g->n_edges; i++)
		d += g->edges[i].a == a || g->edges[i].b == a;
	return d;
}

static void test_graphs(void **state)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		for (int model = 0; graph_models[model]; model++) {
			struct graph_spec spec = {
				.model = (enum graph_model)model, .nodes = 41, .alpha_micro = 300000, .beta_micro = 400000, .degree = 3,
				.arity = 4, .side = 1000000, .step = 100,
			};
			struct random_graph g, again;
			struct err err = { 0 };
			if (random_graph_make(&spec, seed, &g, &err) != 0)
				fail_msg("%s: %s", graph_models[model], err.text);
			check_graph(&g);
			assert_int_equal(random_graph_make(&spec, seed, &again, &err), 0);
			assert_int_equal(g.n_edges, again.n_edges);
			assert_memory_equal(g.edges, again.edges, g.n_edges * sizeof(*g.edges));
			assert_memory_equal(g.points, again.points, g.n * sizeof(*g.points));
			if (model == GRAPH_FAT_TREE) {
				assert_int_equal(g.n, 4 + 16 + 16);
				assert_int_equal(g.n_edges, 16 + 16 + 16);
				for (uint32_t a = 0; a < g.n; a++)
					assert_int_equal(degree(&g, a), a < g.n - fat_tree_hosts(4) ? 4 : 1);
			}
			if (model == GRAPH_REGULAR)
				assert_int_equal(g.n_edges, 41 * 3 / 2);
			if (model == GRAPH_NEAR)
				assert_in_range(g.n_edges, 55, 61);
			if (model == GRAPH_BA)
				assert_int_equal(g.n_edges, 6 + (41 - 4) * 3);
			random_graph_done(&g);
			random_graph_done(&again);
		}
}

static void test_graph_exact_links(void **state)
{
	struct graph_spec spec = { .model = GRAPH_WAXMAN, .nodes = 60, .alpha_micro = 50000, .links = 105, .side = 1000000, .step = 10000 };
	struct random_graph g;

	for (uint64_t seed = 0; seed < 20; seed++) {
		assert_int_equal(random_graph_make(&spec, seed, &g, NULL), 0);
		assert_int_equal(g.n_edges, 105);
		check_graph(&g);
		random_graph_done(&g);
	}
}

static void test_graphs_refused(void **state)
{
	const struct graph_spec wrong[] = {
		{ .model = GRAPH_WAXMAN, .nodes = 1 },
		{ .model = GRAPH_WAXMAN, .nodes = 30, .links = 28, .alpha_micro = 1 },
		{ .model = GRAPH_WAXMAN, .nodes = 30, .links = 436, .alpha_micro = 1 },
		{ .model = GRAPH_GNP, .nodes = GRAPH_PAIRS_NODES_MAX + 1, .beta_micro = 500000 },
		{ .model = GRAPH_GNP, .nodes = 30, .beta_micro = 1000001 },
		{ .model = GRAPH_GNP, .nodes = 30, .beta_micro = 0 }, /* never connected */
		{ .model = GRAPH_REGULAR, .nodes = 5, .degree = 5 },
		{ .model = GRAPH_FAT_TREE, .arity = 5 },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct random_graph g;
		struct err err = { 0 };
		assert_int_equal(random_graph_make(&wrong[i], 1, &g, &err), -EINVAL);
		assert_true(err.text[0]);
	}
}

/* ---- presets ------------------------------------------------------------------------------- */

static void generate(const struct preset *p, uint64_t seed, struct substrate *s, struct request **requests, size_t *n)
{
	struct err err = { 0 };

	if (generate_substrate(&p->substrate, "s", preset_seed(p, seed), s, &err) != 0 ||
	    generate_requests(&p->request, s, "r", preset_seed(p, seed), requests, n, &err) != 0)
		fail_msg("%s: %s", p->name, err.text);
}

static void discard(struct substrate *s, struct request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		request_done(&requests[i]);
	free(requests);
	substrate_done(s);
}

static void test_virne(void **state)
{
	const struct preset *p = preset_find("virne");
	struct substrate s;
	struct request *r;
	double nodes = 0, cpu = 0, links = 0, bw = 0, lifetime = 0, all_links = 0;
	size_t n;

	for (uint64_t seed = 1; seed <= 5; seed++) {
		generate(p, seed, &s, &r, &n);
		assert_int_equal(s.n_nodes, 100);
		assert_int_equal(n, 1000);
		all_links += (double)s.n_links / 5;
		for (size_t i = 0; i < s.n_nodes; i++)
			assert_in_range(s.nodes[i].cap[RES_CPU_MILLI], 50000, 100000);
		for (size_t i = 0; i < n; i++) {
			assert_in_range(r[i].n_nodes, 2, 10);
			assert_true(i == 0 || r[i].arrival_us >= r[i - 1].arrival_us);
			nodes += (double)r[i].n_nodes;
			links += (double)r[i].n_links;
			lifetime += (double)r[i].lifetime_us / 1e6 / 5000;
			for (size_t u = 0; u < r[i].n_nodes; u++)
				cpu += (double)r[i].nodes[u].demand[RES_CPU_MILLI] / 1000;
			for (size_t k = 0; k < r[i].n_links; k++)
				bw += (double)r[i].links[k].bw_kbps / 1000;
		}
		assert_true(fabs((double)r[n - 1].arrival_us / 1e6 / 1000 - 25) < 1);
		discard(&s, r, n);
	}
	assert_true(all_links > 450 && all_links < 560);
	assert_true(fabs(nodes / 5000 - 6) < 0.2);
	assert_true(fabs(cpu / nodes - 10) < 0.2);
	assert_true(fabs(bw / links - 25) < 0.5);
	assert_true(fabs(lifetime - 500) < 40);
}

static void test_vineyard(void **state)
{
	struct substrate s;
	struct request *r;
	size_t n;

	generate(preset_find("vineyard"), 1, &s, &r, &n);
	assert_int_equal(s.n_nodes, 50);
	assert_in_range(s.n_links, 530, 700);
	assert_int_equal(n, 2000);
	for (size_t i = 0; i < n; i++)
		for (size_t u = 0; u < r[i].n_nodes; u++)
			assert_true(r[i].nodes[u].place.has_near && r[i].nodes[u].place.within == 15);
	assert_true(fabs((double)r[n - 1].arrival_us / 1e6 / 2000 - 25) < 3);
	discard(&s, r, n);
}

static void test_load(void **state)
{
	struct preset p = *preset_find("virne");
	struct substrate s;
	struct request *r;
	size_t n;

	assert_int_equal(preset_adapt(&p, 8000000, 300, NULL), 0);
	generate(&p, 3, &s, &r, &n);
	assert_int_equal(n, 300);
	assert_true(fabs((double)r[n - 1].arrival_us / 1e6 / 300 - 3.125) < 0.6);
	discard(&s, r, n);
	assert_int_equal(preset_adapt(&p, 0, 0, NULL), -EINVAL);
}

static void test_classes(void **state)
{
	static const struct {
		const char *name;
		size_t nodes, links_low, links_high, v_low, v_high;
		bool on, split, delay;
	} classes[] = {
		{ "R50L", 50, 540, 690, 3, 9, true, false, false },    { "W100A", 100, 500, 500, 3, 9, false, false, false },
		{ "W100D", 100, 500, 500, 3, 9, true, false, true },   { "W100H", 100, 500, 500, 10, 16, true, false, false },
		{ "I60S", 60, 105, 105, 3, 9, true, true, false },     { "I100H", 100, 200, 200, 10, 16, true, false, false },
		{ "SI60T", 60, 105, 105, 9, 10, true, false, false },  { "SW100L20", 100, 500, 500, 16, 20, true, false, false },
		{ "SR50A15", 50, 540, 690, 12, 15, false, false, false },
	};

	for (size_t c = 0; c < ARRAY_LEN(classes); c++)
		for (uint64_t seed = 1; seed <= 8; seed++) {
			struct preset p;
			struct substrate s;
			struct request *r;
			size_t n, delays = 0;
			assert_int_equal(instance_class(classes[c].name, &p, NULL), 0);
			generate(&p, seed, &s, &r, &n);
			assert_int_equal(n, 1);
			assert_int_equal(s.n_nodes, classes[c].nodes);
			assert_in_range(s.n_links, classes[c].links_low, classes[c].links_high);
			assert_in_range(r->n_nodes, classes[c].v_low, classes[c].v_high);
			for (size_t u = 0; u < r->n_nodes; u++)
				if (classes[c].on)
					assert_in_range(r->nodes[u].place.on.n, 10, 20);
				else
					assert_int_equal(r->nodes[u].place.on.n, 0);
			for (size_t k = 0; k < r->n_links; k++) {
				assert_int_equal(r->links[k].split, classes[c].split);
				delays += r->links[k].max_delay_us >= 0;
			}
			assert_true(delays <= (classes[c].delay ? r->n_links : 0));
			discard(&s, r, n);
		}
}

static void test_classes_refused(void **state)
{
	static const char *const wrong[] = { "", "S", "W", "W100", "W100X", "X100L", "W100T", "W100L5", "SW100A", "SW100A1",
		                             "SW100H10", "W5L", "W100000L", "W100LL", "R-50L", "SW100L1000" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct preset p;
		struct err err = { 0 };
		if (instance_class(wrong[i], &p, &err) != -EINVAL)
			fail_msg("'%s' was taken", wrong[i]);
		assert_true(err.text[0]);
	}
}

static void test_scale(void **state)
{
	struct preset p;
	struct substrate s;
	struct request *r;
	size_t n;

	scale_class(2000, true, &p);
	generate(&p, 1, &s, &r, &n);
	assert_int_equal(s.n_links, 5000);
	for (size_t u = 0; u < 10; u++)
		assert_int_equal(r->nodes[u].place.on.n, 15);
	discard(&s, r, n);
	scale_class(2000, false, &p);
	generate(&p, 1, &s, &r, &n);
	assert_int_equal(s.n_nodes, 2000);
	assert_int_equal(s.n_links, 5000);
	assert_int_equal(r->n_nodes, 10);
	for (size_t u = 0; u < 10; u++)
		assert_int_equal(r->nodes[u].place.on.n, 15);
	discard(&s, r, n);
}

/* ---- importers ----------------------------------------------------------------------------- */

static void test_speeds(void **state)
{
	static const struct {
		const char *text;
		int64_t kbps;
	} labels[] = {
		{ "2.5 Gbps", 2500000 }, { "155 Mbps OC-3", 155520 }, { "1 Gbit/s", 1000000 }, { "10Gb/s", 10000000 },
		{ "OC192/STM64", 9953280 }, { "45 Mbps DS-3", 45000 }, { "T1", 1544 }, { "E3", 34368 }, { "1-20Gbps", 20000000 },
		{ "less than 100 Mbps", 100000 }, { "64k", 64 }, { "Dark Fibre", -1 }, { "", -1 }, { "Green Link", -1 },
		{ "100 meters", -1 }, { "OC-99999999999999999999", -1 }, { "VLAN 100", -1 }, { "1e999 Gbps", BW_MAX_KBPS },
	};

	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		if (net_speed(labels[i].text) != labels[i].kbps)
			fail_msg("\"%s\": %lld, expected %lld", labels[i].text, (long long)net_speed(labels[i].text),
			         (long long)labels[i].kbps);
}

static int read_text(const char *format, const char *text, struct net *net, struct err *err)
{
	return import_read(format ? import_format_find(format) : NULL, text, strlen(text), "f", net, err);
}

static void test_wrong_files(void **state)
{
	static const struct {
		const char *format, *text, *why;
	} wrong[] = {
		{ NULL, "", "f:1:1: not recognised" },
		{ NULL, "what is this", "not recognised" },
		{ "gml", "", "no graph" },
		{ "gml", "graph [\n node [ id 1 ]\n node [ id 1 ]\n]", "f:3:14: the node that ends here has id '1'" },
		{ "gml", "graph [\n edge [ source 1 target 2 ]\n]", "f:2:27: the edge that ends here joins" },
		{ "gml", "graph [ node [ label \"x ] ]", "f:1:22: a string begins" },
		{ "gml", "graph [ node [ id 1 Latitude north ] ]", "'north' is no number" },
		{ "gml", "graph [ a [ b [ c", "ends inside of a list" },
		{ "gml", "graph [ node ]", "'node' has no value" },
		{ "gml", "graph [ ]", "without nodes" },
		{ "sndlib", "?SNDlib\nNODES ( A ( 1 ) )", "f:2:15: expected a number" },
		{ "sndlib", "?SNDlib\nNODES ( A ( 1 2 ) ) LINKS ( L ( A B ) )", "no node is called 'B'" },
		{ "sndlib-xml", "<network>", "f:1:10: no element found" },
		{ "sndlib-xml", "<network><networkStructure/></network>", "no <nodes>" },
		{ "rspec", "<!DOCTYPE r [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]><rspec>&c;</rspec>", "a document type" },
		{ "rspec", "<network/>", "<network>; expected an <rspec>" },
		{ "rspec", "<rspec><node/></rspec>", "f:1:8: <node>: neither client_id" },
		{ "latencies", "a b", "f:1:4: expected: from to number" },
		{ "latencies", "a b c", "'c' is no number" },
		{ "weights", "a b -1", "expected 0 to 1000000" },
		{ "containerlab", "topology: {nodes: {a: {}}, links: [{endpoints: [\"a:1\", \"b:1\"]}]}", "no node is called 'b'" },
		{ "containerlab", "topology: {nodes: {a: {}}, links: [{endpoints: [\"a:1\"]}]}", "expected two endpoints" },
		{ "containerlab", "topology: [", "f:" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct net net;
		struct err err = { 0 };
		int ret = read_text(wrong[i].format, wrong[i].text, &net, &err);
		net_done(&net);
		if (ret != -EINVAL || !strstr(err.text, wrong[i].why))
			fail_msg("%s: %d, \"%s\"; expected \"%s\"", wrong[i].text, ret, err.text, wrong[i].why);
	}
}

static void test_deep_xml(void **state)
{
	buf_auto struct buf text = BUF_INIT;
	struct net net;
	struct err err = { 0 };

	buf_str(&text, "<rspec>");
	for (int i = 0; i < 100000; i++)
		buf_str(&text, "<a>");
	assert_int_equal(read_text("rspec", buf_cstr(&text), &net, &err), -EINVAL);
	assert_non_null(strstr(err.text, "too deep"));
	net_done(&net);
}

static void test_names(void **state)
{
	static const char text[] = "graph [ node [ id 0 label \"Z&#252;rich\" ] node [ id 1 label \"Zürich\" ] node [ id 2 label \"--\" ]"
	                           " node [ id 3 label \"Zurich-2\" ]"
	                           " node [ id 4 label \"A very long name of a very small place\" ]"
	                           " edge [ source 0 target 1 ] edge [ source 0 target 1 ] edge [ source 1 target 0 ] ]";
	static const char *const names[] = { "Zurich", "Zurich-2", "node", "Zurich-2-2", "A-very-long-name-of-a-very-s" };
	const struct net_defaults defaults = { 1000, NET_UNKNOWN, 1000, 0, true, 1000000 };
	struct net net;
	struct substrate s;
	struct err err = { 0 };

	assert_int_equal(read_text(NULL, text, &net, &err), 0);
	assert_int_equal(net_substrate(&net, &defaults, &s, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(s.nodes[i].name, names[i]);
	assert_int_equal(s.n_links, 3);
	assert_string_equal(s.links[0].name, "Zurich-Zurich-2");
	assert_string_equal(s.links[1].name, "Zurich-Zurich-2-2");
	substrate_done(&s);
	net_done(&net);
}

static void test_directions(void **state)
{
	struct net net;
	struct err err = { 0 };

	assert_int_equal(read_text("latencies", "a b 3\nb a 5\nb c 1\na b 2\n", &net, &err), 0);
	assert_int_equal(net.links.n, 3); /* a b twice, once with its opposite; b c alone */
	assert_int_equal(net.halves, 1);
	assert_int_equal(net.links.v[0].delay_us, 5000);
	assert_false(net_to_and_fro(&net));
	net_done(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence),        cmocka_unit_test(test_exp_and_root), cmocka_unit_test(test_distributions),
		cmocka_unit_test(test_graphs),          cmocka_unit_test(test_graph_exact_links),
		cmocka_unit_test(test_graphs_refused),  cmocka_unit_test(test_virne),        cmocka_unit_test(test_vineyard),
		cmocka_unit_test(test_load),            cmocka_unit_test(test_classes),      cmocka_unit_test(test_classes_refused),
		cmocka_unit_test(test_scale),           cmocka_unit_test(test_speeds),       cmocka_unit_test(test_wrong_files),
		cmocka_unit_test(test_deep_xml),        cmocka_unit_test(test_names),        cmocka_unit_test(test_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
