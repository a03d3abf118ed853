/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: JSON to the letter, text as laid out. With VNE_SAMPLES=DIR the JSON of every kind of
 * object is left there, for tests/system/test_schema.py to hold against docs/schema. */
#include "tests/help_model.h"

#include <math.h>
#include <stdio.h>

#include "model/view_write.h"
#include "model/writer.h"

static void assert_written(struct writer *w, const char *want)
{
	buf_auto struct buf out = BUF_INIT;

	writer_finish(w, &out);
	assert_string_equal(buf_cstr(&out), want);
}

static void leave_sample(const char *name, const char *json)
{
	const char *dir = getenv("VNE_SAMPLES");
	mem_auto char *path = NULL;
	FILE *file;

	if (!dir)
		return;
	path = mem_printf("%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(json, file);
	assert_int_equal(fclose(file), 0);
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void test_json(void **state)
{
	struct writer *w = writer_json();

	write_object(w, NULL, NULL);
	write_string(w, "s", "S", "a \"quoted\"\n\x1b");
	write_string(w, "left_out", "S", NULL);
	write_int(w, "i", NULL, INT64_MIN);
	write_number(w, "whole", NULL, 21, 1);
	write_number(w, "tenth", NULL, 0.1, 0);
	write_number(w, "sum", NULL, 0.1 + 0.2, 0);
	write_number(w, "large", NULL, 1e21, 0);
	write_number(w, "nan", NULL, NAN, 0);
	write_quantity(w, "inf", NULL, INFINITY, "much");
	write_quantity(w, "mbit", "promised", 20, "20mbit");
	write_bool(w, "yes", NULL, true);
	write_line(w, "not for programs");
	write_list(w, "l", NULL);
	write_string(w, NULL, NULL, "x");
	write_line(w, "nor this");
	write_list(w, NULL, NULL);
	write_end(w);
	write_object(w, NULL, NULL);
	write_end(w);
	write_end(w);
	write_list(w, NULL, "only text");
	write_end(w);
	write_end(w);
	assert_written(w, "{\"s\": \"a \\\"quoted\\\"\\n\\u001B\", \"i\": -9223372036854775808, \"whole\": 21.0, "
	               "\"tenth\": 0.1, \"sum\": 0.3, \"large\": 1e21, \"mbit\": 20.0, \"yes\": true, "
	               "\"l\": [\"x\", [], {}]}\n");
}

static void test_json_utf8(void **state)
{
	struct writer *w = writer_json();

	write_list(w, NULL, NULL);
	write_string(w, NULL, NULL, "東京");
	write_string(w, NULL, NULL, "cut \xe6\x9d");              /* in the middle of a character */
	write_string(w, NULL, NULL, "\xc0\xaf\xed\xa0\x80\xff.");  /* overlong, surrogate, never a byte */
	write_end(w);
	assert_written(w, "[\"東京\", \"cut \xef\xbf\xbd\xef\xbf\xbd\", "
	               "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\"]\n");
}

/* ---- text ------------------------------------------------------------------------------- */

static void row(struct writer *w, const char *name, const char *state, int64_t n, const char *quantity)
{
	write_object(w, NULL, NULL);
	write_string(w, "name", "name", name);
	write_string(w, "state", "state", state);
	write_int(w, "n", "count", n);
	if (quantity)
		write_quantity(w, "q", "rate", 1, quantity);
	write_string(w, "hidden", NULL, "hidden");
	write_end(w);
}

static void test_table(void **state)
{
	struct writer *w = writer_text(false);

	write_list(w, NULL, "");
	row(w, "Zürich", "active", 5, "20mbit");
	row(w, "東京", "", 12345, NULL);
	row(w, "a\x1b[31mb", "failed", -1, "1.5gbit");
	write_end(w);
	assert_written(w,
	               "name        state   count     rate\n"
	               "Zürich      active      5   20mbit\n"
	               "東京        -       12345        -\n"
	               "a\\x1b[31mb  failed     -1  1.5gbit\n");
}

static void test_page(void **state)
{
	struct writer *w = writer_text(false);

	write_object(w, NULL, NULL);
	write_string(w, "name", "name", "demo");
	write_string(w, "long", "a longer title", "x");
	write_number(w, "load_ratio", "load", 0.256, 0);
	write_number(w, "pi", "pi", 3.14159, 2);
	write_bool(w, "ok", "ok", false);
	write_list(w, "words", "words");
	write_string(w, NULL, NULL, "one");
	write_string(w, NULL, NULL, "two");
	write_end(w);
	write_list(w, "rows", "rows");
	row(w, "r1", "up", 1, NULL);
	write_end(w);
	write_list(w, "none", "others");
	write_end(w);
	write_object(w, "inner", "inner");
	write_int(w, "x", "x", 7);
	write_line(w, "%d lines", 2);
	write_end(w);
	write_object(w, "hidden", NULL);
	write_string(w, "x", "x", "not shown");
	write_end(w);
	write_end(w);
	assert_written(w,
	               "name            demo\n"
	               "a longer title  x\n"
	               "load            26 %\n"
	               "pi              3.14\n"
	               "ok              no\n"
	               "words           one two\n"
	               "rows:\n"
	               "  name  state  count\n"
	               "  r1    up         1\n"
	               "others: none\n"
	               "inner:\n"
	               "  x  7\n"
	               "  2 lines\n");
}

static void test_colour(void **state)
{
	struct writer *w = writer_text(true);

	write_list(w, NULL, "");
	write_object(w, NULL, NULL);
	write_string(w, "state", "state", "down");
	write_number(w, "cpu_ratio", "cpu", 0.55, 0);
	write_end(w);
	write_end(w);
	/* colours do not count as width; bold header */
	assert_written(w,
	               "\033[1mstate\033[0m               \033[1mcpu\033[0m\n"
	               "\033[31mdown\033[0m   █████▌░░░░  55 %\n");
}

/* ---- a solver's answer ------------------------------------------------------------------ */

struct answer {
	struct substrate s;
	struct request r;
	struct solution sol;
};

static void answer_open(struct answer *a, const char *links)
{
	mem_auto char *text = mem_printf("kind: network\nname: demo\nplacement: pack\n"
	                                 "nodes: [{name: r1, cpu: 0.5}, {name: r2, cpu: 0.5}, {name: r3, cpu: 0}]\nlinks:\n%s",
	                                 links);

	*a = (struct answer){ .s = help_substrate(
		"kind: substrate\nname: two-cities\nnodes: [{name: atla, cpu: 16}, {name: hstn, cpu: 8}]\n"
		"links: [{endpoints: [atla, hstn], bandwidth: 10gbit, delay: 12ms, name: atla-hstn},\n"
		"  {endpoints: [atla, hstn], bandwidth: 10gbit, name: second}]\n") };
	a->r = help_request(text);
	embedding_init(&a->sol.embedding, a->r.n_nodes, a->r.n_links);
	help_host(&a->sol.embedding, &a->s, &a->r, "r1", "atla");
	help_host(&a->sol.embedding, &a->s, &a->r, "r2", "hstn");
	help_host(&a->sol.embedding, &a->s, &a->r, "r3", "hstn");
	embedding_choose_kinds(&a->sol.embedding, &a->s, &a->r);
	a->sol.status = SOLVE_OPTIMAL;
	a->sol.has_embedding = a->sol.has_bound = true;
	a->sol.cost = a->sol.objective = a->sol.bound = 21;
	a->sol.seconds = 0.0042;
	strcpy(a->sol.solver, "exact");
}

static void answer_close(struct answer *a)
{
	solution_done(&a->sol);
	request_done(&a->r);
	substrate_done(&a->s);
}

static void solution_written(const struct answer *a, bool json, const char *want)
{
	struct writer *w = json ? writer_json() : writer_text(false);

	write_solution(w, &a->s, &a->r, &a->sol);
	assert_written(w, want);
}

static void test_solution(void **state)
{
	struct answer a;

	answer_open(&a, "  - {endpoints: [r1, r2], bandwidth: 20mbit}\n  - {endpoints: [r3, r2], bandwidth: 5mbit}\n");
	help_add_path(&a.sol.embedding, &a.s, &a.r, "r1-r2", "atla-hstn", 20000);
	solution_written(&a, true,
		"{\"request\": \"demo\", \"status\": \"optimal\", \"cost\": 21.0, \"bound\": 21.0, \"gap\": 0.0, "
		"\"revenue\": 26.0, \"seconds\": 0.0042, \"solver\": \"exact\", "
		"\"nodes\": {\"r1\": \"atla\", \"r2\": \"hstn\", \"r3\": \"hstn\"}, "
		"\"kinds\": {\"r1\": \"netns\", \"r2\": \"netns\", \"r3\": \"netns\"}, "
		"\"links\": [{\"name\": \"r1-r2\", \"endpoints\": [\"r1\", \"r2\"], "
		"\"paths\": [{\"via\": [\"atla\", \"hstn\"], \"links\": [\"atla-hstn\"], \"mbit\": 20.0}]}, "
		"{\"name\": \"r3-r2\", \"endpoints\": [\"r3\", \"r2\"], \"paths\": []}]}\n");
	solution_written(&a, false,
		"demo: optimal, cost 21, bound 21, gap 0 %, revenue 26; 0.0042 s, exact\n"
		"routers:\n"
		"  router  node  kind\n"
		"  r1      atla  netns\n"
		"  r2      hstn  netns\n"
		"  r3      hstn  netns\n"
		"links:\n"
		"  link   bandwidth  delay  path    via\n"
		"  r1-r2     20mbit   12ms  single  atla hstn\n"
		"  r3-r2      5mbit     0s  inside  hstn\n");
	answer_close(&a);
}

static void test_solution_protected(void **state)
{
	struct answer a;

	answer_open(&a, "  - {endpoints: [r2, r1], bandwidth: 20mbit, protection: link}\n");
	help_add_path(&a.sol.embedding, &a.s, &a.r, "r2-r1", "atla-hstn", 20000);
	help_backup(&a.sol.embedding, &a.s, &a.r, "r2-r1", "second", 20000);
	a.sol.status = SOLVE_FEASIBLE;
	a.sol.objective = 40; /* balance */
	a.sol.bound = 30;
	solution_written(&a, true,
		"{\"request\": \"demo\", \"status\": \"feasible\", \"cost\": 21.0, \"objective\": 40.0, \"bound\": 30.0, "
		"\"gap\": 0.25, \"revenue\": 21.0, \"seconds\": 0.0042, \"solver\": \"exact\", "
		"\"nodes\": {\"r1\": \"atla\", \"r2\": \"hstn\", \"r3\": \"hstn\"}, "
		"\"kinds\": {\"r1\": \"netns\", \"r2\": \"netns\", \"r3\": \"netns\"}, "
		"\"links\": [{\"name\": \"r2-r1\", \"endpoints\": [\"r2\", \"r1\"], "
		"\"paths\": [{\"via\": [\"hstn\", \"atla\"], \"links\": [\"atla-hstn\"], \"mbit\": 20.0}], "
		"\"backup\": {\"via\": [\"hstn\", \"atla\"], \"links\": [\"second\"], \"mbit\": 20.0}}]}\n");
	answer_close(&a);
}

static void test_solution_refused(void **state)
{
	struct answer a;

	answer_open(&a, "  - {endpoints: [r1, r2], bandwidth: 20mbit}\n");
	solution_done(&a.sol);
	a.sol = (struct solution){ .status = SOLVE_INFEASIBLE, .scope = SCOPE_NEVER, .seconds = 0.0003, .solver = "exact",
		.reason = "r3 needs cpu 64; the largest of its 2 candidates has 16" };
	solution_written(&a, true,
		"{\"request\": \"demo\", \"status\": \"infeasible\", \"scope\": \"never\", \"seconds\": 0.0003, "
		"\"solver\": \"exact\", \"reason\": \"r3 needs cpu 64; the largest of its 2 candidates has 16\"}\n");
	solution_written(&a, false,
		"demo: infeasible (never); 0.0003 s, exact\n"
		"  r3 needs cpu 64; the largest of its 2 candidates has 16\n");
	answer_close(&a);
}

static void test_vnembed_sample(void **state)
{
	struct writer *w = writer_json();
	struct answer a, b;
	buf_auto struct buf out = BUF_INIT;

	answer_open(&a, "  - {endpoints: [r1, r2], bandwidth: 20mbit, protection: link}\n  - {endpoints: [r3, r2], bandwidth: 5mbit}\n");
	help_add_path(&a.sol.embedding, &a.s, &a.r, "r1-r2", "atla-hstn", 20000);
	help_backup(&a.sol.embedding, &a.s, &a.r, "r1-r2", "second", 20000);
	answer_open(&b, "  - {endpoints: [r1, r2], bandwidth: 20mbit}\n");
	solution_done(&b.sol);
	b.sol = (struct solution){ .status = SOLVE_UNKNOWN, .seconds = 10, .solver = "mip", .reason = "the limit came first" };
	write_object(w, NULL, NULL);
	write_string(w, "substrate", NULL, a.s.name);
	write_list(w, "results", "");
	write_solution(w, &a.s, &a.r, &a.sol);
	write_solution(w, &b.s, &b.r, &b.sol);
	write_end(w);
	write_number(w, "seconds", NULL, 10.1, 4);
	write_end(w);
	writer_finish(w, &out);
	assert_non_null(strstr(buf_cstr(&out), "\"status\": \"unknown\", \"seconds\": 10.0"));
	leave_sample("vnembed.json", buf_cstr(&out));
	answer_close(&a);
	answer_close(&b);
}

/* ---- views ------------------------------------------------------------------------------ */

static struct network_view network(void)
{
	struct network_view v = {
		.owner = mem_str("alice"), .name = mem_str("demo"), .id = 3, .generation = 1, .state = NET_ACTIVE,
		.submitted_ms = 1795000000123, .changed_ms = 1795000001000, .lifetime_us = 7200000000,
		.cost = 42, .bound = 40, .revenue = 21, .solve_seconds = 0.012,
		.solver = mem_str("heuristic"), .status = mem_str("feasible"), .detailed = true, .n_routers = 2, .n_links = 2,
	};

	v.routers = mem_array(2, sizeof(*v.routers));
	v.routers[0] = (struct router_view){
		.name = mem_str("r1"), .node = mem_str("atla"), .kind = mem_str("netns"), .state = mem_str("running"),
		.loopback = mem_str("10.255.0.0"), .cpu_milli = 500, .mem_kib = 65536, .cpu_used = 0.031, .mem_used_kib = 3000,
		.plane = mem_str("program"), .program = mem_str("wall"), .uplinks = mem_str(""),
	};
	v.routers[1] = (struct router_view){
		.name = mem_str("r2"), .node = mem_str("hstn"), .kind = mem_str("xen"), .state = mem_str("failed"),
		.reason = mem_str("its holder ended"), .loopback = mem_str("10.255.0.1"), .cpu_milli = 500, .mem_kib = 0,
		.cpu_used = -1, .mem_used_kib = -1, .image = mem_str("small"), .rt_period_us = 10000, .rt_budget_us = 2500,
		.plane = mem_str("split"), .uplinks = mem_str("campus lab"),
	};
	v.n_uplinks = 2;
	v.uplinks = mem_array(2, sizeof(*v.uplinks));
	v.uplinks[0] = (struct uplink_view){ .router = mem_str("r2"), .port = mem_str("campus"), .address = mem_str("203.0.113.2/24"),
		.gateway = mem_str("203.0.113.1"), .nat = true, .mbit_now = { 1.5, 20 }, .frames = { 3, 4 }, .bytes = { 300, 400 } };
	v.uplinks[1] = (struct uplink_view){ .router = mem_str("r2"), .port = mem_str("lab"), .address = mem_str(""),
		.gateway = mem_str(""), .mbit_now = { -1, -1 }, .drops = { 1, 0 } };
	v.links = mem_array(2, sizeof(*v.links));
	v.links[0] = (struct vlink_view){
		.name = mem_str("r1-r2"), .a = mem_str("r1"), .b = mem_str("r2"), .address_a = mem_str("10.64.0.0/31"),
		.address_b = mem_str("10.64.0.1/31"), .mbit = 20, .max_delay_us = 30000, .delay_us = 12000, .mtu = 1450,
		.n_paths = 2, .mbit_now = { 19.87, 0 }, .frames = { 10, 2 }, .bytes = { 15000, 200 }, .drops = { 7, 0 },
	};
	v.links[0].paths = mem_array(2, sizeof(*v.links[0].paths));
	v.links[0].paths[0] = (struct path_view){ .via = mem_str("atla hstn"), .links = mem_str("atla-hstn"), .mbit = 20 };
	v.links[0].paths[1] = (struct path_view){ .via = mem_str("atla kans hstn"), .links = mem_str("atla-kans kans-hstn"),
		.mbit = 20, .backup = true };
	v.links[1] = (struct vlink_view){
		.name = mem_str("inner"), .a = mem_str("r2"), .b = mem_str("r1"), .address_a = mem_str("10.64.0.2/31"),
		.address_b = mem_str("10.64.0.3/31"), .max_delay_us = -1, .mtu = 1500, .mbit_now = { -1, -1 },
	};
	return v;
}

static void sample_network(bool json, bool detailed, char **ret)
{
	struct network_view v = network();
	struct writer *w = json ? writer_json() : writer_text(false);
	struct buf out = BUF_INIT;

	v.detailed = detailed;
	if (detailed)
		write_network_view(w, &v);
	else
		write_network_views(w, NULL, "", &v, 1);
	writer_finish(w, &out);
	*ret = buf_take(&out);
	v.detailed = true;
	network_view_done(&v);
}

static void test_network_text(void **state)
{
	mem_auto char *page = NULL, *list = NULL;

	sample_network(false, true, &page);
	assert_string_equal(page,
		"network        alice/demo\n"
		"id             3\n"
		"generation     1\n"
		"state          active\n"
		"submitted      2026-11-18 11:06:40Z\n"
		"changed        2026-11-18 11:06:41Z\n"
		"lifetime       2h\n"
		"cost           42.00\n"
		"bound          40.00\n"
		"gap            4.8 %\n"
		"revenue        21.00\n"
		"solved in (s)  0.0120\n"
		"solver         heuristic\n"
		"status         feasible\n"
		"routers:\n"
		"  router  node  kind   state    loopback    cpu   used  memory  in use  plane         image  realtime       uplinks     reason\n"
		"  r1      atla  netns  running  10.255.0.0  0.5  0.031   64MiB  2.9MiB  program wall  -      -              -           -\n"
		"  r2      hstn  xen    failed   10.255.0.1  0.5      -    0MiB       -  split         small  2.5ms of 10ms  campus lab  its holder ended\n"
		"links:\n"
		"  link   from  to     promised      now →     now ←  drops → ←  delay  at most   mtu  via\n"
		"  r1-r2  r1    r2       20mbit  19.87mbit  0.00mbit  7 0         12ms     30ms  1450  "
		"atla hstn; backup: atla kans hstn\n"
		"  inner  r2    r1  best effort          -         -  0 0           0s        -  1500  (inside one node)\n"
		"uplinks:\n"
		"  router  uplink  address         gateway      nat     now →      now ←  drops → ←\n"
		"  r2      campus  203.0.113.2/24  203.0.113.1  yes  1.50mbit  20.00mbit  0 0\n"
		"  r2      lab     -               -            no          -          -  1 0\n");
	sample_network(false, false, &list);
	assert_string_equal(list,
		"network     id  generation  state   routers  links   cost  answer\n"
		"alice/demo   3           1  active        2      2  42.00  feasible\n");
}

static void test_network_json(void **state)
{
	mem_auto char *page = NULL, *list = NULL;

	sample_network(true, true, &page);
	leave_sample("network.json", page);
	assert_non_null(strstr(page, "\"paths\": [{\"via\": [\"atla\", \"hstn\"], \"links\": [\"atla-hstn\"], \"mbit\": 20.0}], "
	                             "\"backup\": {\"via\": [\"atla\", \"kans\", \"hstn\"]"));
	assert_non_null(strstr(page, "\"mbit_now\": [19.87, 0.0], \"frames\": [10, 2]"));
	assert_non_null(strstr(page, "\"state\": \"failed\", \"loopbacks\": [\"10.255.0.1\"], \"cpu\": 0.5, \"memory_kib\": 0, "
	                             "\"image\": \"small\", \"realtime\": {\"period_us\": 10000, \"budget_us\": 2500}, \"plane\": \"split\", "
	                             "\"uplinks\": [\"campus\", \"lab\"], \"reason\": \"its holder ended\"}"));
	sample_network(true, false, &list);
	leave_sample("networks.json", list);
	assert_null(strstr(list, "\"routers\":"));
}

/* What vnctl plan shows has no number and no times yet: 0 is not shown as one. */
static void test_network_only_planned(void **state)
{
	struct network_view v[2] = { network(), network() };
	buf_auto struct buf out = BUF_INIT;
	struct writer *w = writer_json();

	v[0].id = 0;
	v[0].submitted_ms = v[0].changed_ms = 0;
	v[0].state = NET_PLANNED;
	write_network_view(w, &v[0]);
	writer_finish(w, &out);
	leave_sample("planned.json", buf_cstr(&out));
	assert_null(strstr(buf_cstr(&out), "\"id\""));
	assert_null(strstr(buf_cstr(&out), "_ms\""));
	buf_clear(&out);
	w = writer_text(false);
	write_network_view(w, &v[0]);
	writer_finish(w, &out);
	assert_true(strncmp(buf_cstr(&out), "network        alice/demo\ngeneration     1\nstate          planned\nlifetime", 74) == 0);
	assert_null(strstr(buf_cstr(&out), "1970"));
	w = writer_text(false);
	v[0].detailed = v[1].detailed = false;
	write_network_views(w, NULL, "", v, 2);
	assert_written(w,
		"network     id  generation  state    routers  links   cost  answer\n"
		"alice/demo   -           1  planned        2      2  42.00  feasible\n"
		"alice/demo   3           1  active         2      2  42.00  feasible\n");
	for (size_t i = 0; i < 2; i++) {
		v[i].detailed = true;
		network_view_done(&v[i]);
	}
}

static void test_node(void **state)
{
	struct node_view v[2] = {
		{ .name = mem_str("atla"), .state = mem_str("up"), .kinds = mem_str("netns fake"), .address = mem_str("192.0.2.1"),
		  .cpu_milli = 16000, .cpu_reserved_milli = 1500, .mem_kib = UNLIMITED, .mem_reserved_kib = 65536,
		  .cpu_used_ratio = 0.42, .mem_total_kib = 1000, .mem_used_kib = 250, .routers = 3, .segments = 5,
		  .seen_ms_ago = 400, .has_location = true, .latitude = 33.75, .longitude = -84.38, .lacks = mem_str("netem, ifb"),
		  .uplinks = mem_str("campus lab"), .programs = mem_str("ecmp") },
		{ .name = mem_str("hstn"), .state = mem_str("never seen"), .kinds = mem_str(""), .address = mem_str(""),
		  .cpu_milli = 8000, .mem_kib = 1048576, .cpu_used_ratio = -1, .mem_total_kib = -1, .mem_used_kib = -1,
		  .seen_ms_ago = -1, .lacks = mem_str(""), .hosts_guests = true, .guests = 2, .guests_max = 8, .guest_kib = 1 << 21,
		  .guest_reserved_kib = 1 << 17, .realtime_milli = 1000, .realtime_reserved_milli = 600, .images = mem_str("large small") },
	};
	buf_auto struct buf out = BUF_INIT;
	struct writer *w = writer_json();

	write_node_views(w, NULL, "", v, 2);
	writer_finish(w, &out);
	leave_sample("nodes.json", buf_cstr(&out));
	assert_non_null(strstr(buf_cstr(&out), "\"lacks\": [\"netem\", \"ifb\"]"));
	assert_null(strstr(buf_cstr(&out), "9223372036854775807"));
	w = writer_text(false);
	write_node_views(w, NULL, "", v, 2);
	assert_written(w,
		"node  state       kinds       routers  segments  cpu promised  load  memory promised  in use       seen  lacks       uplinks     programs  guests\n"
		"atla  up          netns fake        3         5  1.5 of 16     42 %  64MiB              25 %  0.4 s ago  netem, ifb  campus lab  ecmp      -\n"
		"hstn  never seen  -                 0         0  0 of 8           -  0MiB of 1GiB          -          -  -           -           -         "
		"2 of 8, 128MiB of 2GiB, realtime 0.6 of 1\n");
	node_view_done(&v[0]);
	node_view_done(&v[1]);
}

static void test_slink(void **state)
{
	struct slink_view v = { .name = mem_str("atla-hstn"), .a = mem_str("atla"), .b = mem_str("hstn"), .mbit = 100,
		.reserved_mbit = 40.5, .delay_us = 12000, .segments = 2, .mbit_now = { 1.25, 0.5 } };
	buf_auto struct buf out = BUF_INIT;
	struct writer *w = writer_json();

	write_slink_views(w, NULL, "", &v, 1);
	writer_finish(w, &out);
	leave_sample("slinks.json", buf_cstr(&out));
	w = writer_text(false);
	write_slink_views(w, NULL, "", &v, 1);
	assert_written(w,
		"link       from  to    bandwidth  promised  of it     now →     now ←  delay  segments\n"
		"atla-hstn  atla  hstn    100mbit  40.5mbit   40 %  1.25mbit  0.50mbit   12ms         2\n");
	slink_view_done(&v);
}

static void test_event(void **state)
{
	struct event_view v = { .sequence = 9, .wall_ms = 1795000000123, .kind = mem_str("network"),
		.object = mem_str("alice/demo"), .what = mem_str("state active") };
	buf_auto struct buf out = BUF_INIT;
	struct writer *w = writer_json();

	write_event_views(w, NULL, "", &v, 1);
	writer_finish(w, &out);
	leave_sample("events.json", buf_cstr(&out));
	w = writer_text(false);
	write_event_view(w, &v);
	assert_written(w, "2026-11-18 11:06:40Z  network alice/demo: state active\n");
	w = writer_text(false);
	write_event_views(w, NULL, "", &v, 1);
	assert_written(w,
		"time                  kind     object      what\n"
		"2026-11-18 11:06:40Z  network  alice/demo  state active\n");
	w = writer_text(false);
	write_event_views(w, NULL, "", NULL, 0);
	assert_written(w, "");
	event_view_done(&v);
}

/* What operators ask of people, and history: lists, as the commands print them. */
static void finish_sample(struct writer *w, const char *name, const char *expected)
{
	buf_auto struct buf out = BUF_INIT;
	writer_finish(w, &out);
	if (expected)
		assert_non_null(strstr(buf_cstr(&out), expected));
	else
		leave_sample(name, buf_cstr(&out));
}

static void test_rights_samples(void **state)
{
	char *text = (char *)(uintptr_t)"alice", *column = (char *)(uintptr_t)"cpu", *columns[] = { column }, *of = (char *)(uintptr_t)"router:alice/demo/r1";
	struct key_view keys[] = { { text, (char *)(uintptr_t)"tenant", (char *)(uintptr_t)"", (char *)(uintptr_t)"0000-1111-2222-3333-4444-5555-6666-7777", 0 },
		                       { (char *)(uintptr_t)"join-a", (char *)(uintptr_t)"join", (char *)(uintptr_t)"a",
		                         (char *)(uintptr_t)"0000-1111-2222-3333-4444-5555-6666-8888", 1767225600000 } };
	struct log_view entry = { 7, 1767225600000, text, (char *)(uintptr_t)"tenant", (char *)(uintptr_t)"192.0.2.1", (char *)(uintptr_t)"submit",
		                      (char *)(uintptr_t)"alice/demo", 1, (char *)(uintptr_t)"no room" };
	struct usage_view usage = { text, 1767225600000, 1767229200000, 1.5, 2.25, 40, 123456 };
	struct quota_view quota = { text, { 1, 3, 1500, 1 << 20, 20000 }, { 2, -1, 4000, 1 << 22, 1000000 } };
	struct series_point points[] = { { 1767225600000, { 0.5, -1, -1, -1 }, { 0.75, -1, -1, -1 } }, { 1767225610000, { -1, -1, -1, -1 }, { -1, -1, -1, -1 } } };
	struct series_view series = { of, 10000, columns, 1, points, 2 };
	for (int json = 0; json < 2; json++) {
		struct writer *w = json ? writer_json() : writer_text(false);
		write_key_views(w, NULL, "", keys, 2);
		finish_sample(w, "keys.json", json ? NULL : "2026-01-01 00:00:00Z");
		w = json ? writer_json() : writer_text(false);
		if (json)
			write_list(w, NULL, NULL);
		write_log_view(w, &entry);
		if (json)
			write_end(w);
		finish_sample(w, "log.json", json ? NULL : "alice (tenant from 192.0.2.1) submit alice/demo: refused: no room");
		w = json ? writer_json() : writer_text(false);
		write_usage_views(w, NULL, "", &usage, 1);
		finish_sample(w, "usage.json", json ? NULL : "2.250");
		w = json ? writer_json() : writer_text(false);
		write_quota_views(w, NULL, "", &quota, 1);
		finish_sample(w, "quotas.json", json ? NULL : "1.5 of 4");
		w = json ? writer_json() : writer_text(false);
		write_series_view(w, &series);
		finish_sample(w, "series.json", json ? NULL : "0.750");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),         cmocka_unit_test(test_json_utf8), cmocka_unit_test(test_table),
		cmocka_unit_test(test_page),         cmocka_unit_test(test_colour),    cmocka_unit_test(test_solution),
		cmocka_unit_test(test_solution_protected), cmocka_unit_test(test_solution_refused),
		cmocka_unit_test(test_vnembed_sample), cmocka_unit_test(test_rights_samples), cmocka_unit_test(test_network_text),
		cmocka_unit_test(test_network_json), cmocka_unit_test(test_network_only_planned), cmocka_unit_test(test_node),      cmocka_unit_test(test_slink),
		cmocka_unit_test(test_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
