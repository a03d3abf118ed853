/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GML (Himsolt 1997), as the Internet Topology Zoo and networkx write it; so also Virne's substrates and requests.
 *
 * Understood: of the graph `Network`, `label`, `directed`, `arrival_time`, `lifetime`; of a node `id`, `label`, `Latitude`,
 * `Longitude`, `pos` (twice), `hyperedge`, `cpu`, `ram` or `memory` (MiB); of an edge `source`, `target`, `LinkSpeedRaw`
 * (bit/s), `LinkSpeed` with `LinkSpeedUnits`, `LinkLabel`, `bw` or `bandwidth` (Mbit/s), `delay` or `latency` (ms). What is
 * not understood is skipped. Edges may come before their nodes. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/import.h"
#include "origin/scan.h"

enum { GML_DEPTH_MAX = 32 };

struct gml_edge {
	char *source, *target;
	uint32_t line, column;
	struct net_link link;
};

struct gml {
	struct scan scan;
	struct net *net;
	bool directed, bare; /* bare: its name is only a label */
	VEC(struct gml_edge) edges;
};

/* What is read of one node or edge. */
struct gml_item {
	char *id, *label, *source, *target;
	double latitude, longitude, pos[2], speed, speed_unit, raw, bw, delay, cpu, memory;
	int n_pos;
	bool hyperedge;
	int64_t label_kbps;
};

static void item_init(struct gml_item *i)
{
	*i = (struct gml_item){ .latitude = NAN, .longitude = NAN, .speed = NAN, .speed_unit = 1, .raw = NAN, .bw = NAN,
		                .delay = NAN, .cpu = NAN, .memory = NAN, .label_kbps = NET_UNKNOWN };
}

static void item_done(struct gml_item *i)
{
	free(i->id);
	free(i->label);
	free(i->source);
	free(i->target);
}

/* A list that means nothing to us; its [ is read already. */
static int skip_list(struct scan *s, struct err *err)
{
	int depth = 1, ret = 0;

	while (depth > 0 && (ret = scan_next(s, err)) == 0) {
		if (s->token == SCAN_END)
			return scan_fault(s, err, "the file ends inside of a list; expected ]");
		depth += s->token == SCAN_OPEN ? 1 : s->token == SCAN_CLOSE ? -1 : 0;
		if (depth > GML_DEPTH_MAX)
			return scan_fault(s, err, "lists inside of each other, deeper than %d", GML_DEPTH_MAX);
	}
	return ret;
}

static int take_text(const struct scan *s, char **ret)
{
	free(*ret);
	*ret = mem_str(buf_cstr(&s->word));
	return 0;
}

static void read_unit(const struct scan *s, struct gml_item *item)
{
	static const char units[] = "KMGT";
	const char *found = s->word.len ? strchr(units, buf_cstr(&s->word)[0]) : NULL;

	for (item->speed_unit = 1; found && found >= units; found--)
		item->speed_unit *= 1000;
}

/* One value of a node or edge; the key was read. */
static int item_value(struct scan *s, const char *key, struct gml_item *item, struct err *err)
{
	static const struct {
		const char *key;
		size_t offset;
	} numbers[] = {
		{ "Latitude", offsetof(struct gml_item, latitude) }, { "Longitude", offsetof(struct gml_item, longitude) },
		{ "LinkSpeedRaw", offsetof(struct gml_item, raw) }, { "LinkSpeed", offsetof(struct gml_item, speed) },
		{ "bw", offsetof(struct gml_item, bw) }, { "bandwidth", offsetof(struct gml_item, bw) },
		{ "delay", offsetof(struct gml_item, delay) }, { "latency", offsetof(struct gml_item, delay) },
		{ "cpu", offsetof(struct gml_item, cpu) }, { "ram", offsetof(struct gml_item, memory) },
		{ "memory", offsetof(struct gml_item, memory) },
	};

	if (s->token == SCAN_OPEN)
		return skip_list(s, err);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (strcmp(key, numbers[i].key) == 0) {
			double *into = (double *)((char *)item + numbers[i].offset);
			return scan_number(s, into, NULL) == 0 ? 0 : scan_fault(s, err, "%s: '%.40s' is no number", key, buf_cstr(&s->word));
		}
	if (strcmp(key, "id") == 0)
		return take_text(s, &item->id);
	if (strcmp(key, "label") == 0)
		return take_text(s, &item->label);
	if (strcmp(key, "source") == 0)
		return take_text(s, &item->source);
	if (strcmp(key, "target") == 0)
		return take_text(s, &item->target);
	if (strcmp(key, "hyperedge") == 0)
		item->hyperedge = strcmp(buf_cstr(&s->word), "1") == 0;
	if (strcmp(key, "pos") == 0 && item->n_pos < 2)
		return scan_number(s, &item->pos[item->n_pos++], err);
	if (strcmp(key, "LinkSpeedUnits") == 0)
		read_unit(s, item);
	if (strcmp(key, "LinkLabel") == 0)
		item->label_kbps = net_speed(buf_cstr(&s->word));
	return 0;
}

static int read_item(struct scan *s, struct gml_item *item, struct err *err)
{
	int ret = 0;

	item_init(item);
	while (ret == 0 && (ret = scan_next(s, err)) == 0 && s->token != SCAN_CLOSE) {
		if (s->token != SCAN_WORD)
			return scan_fault(s, err, "expected a key or ]");
		mem_auto char *key = mem_str(buf_cstr(&s->word));
		ret = scan_next(s, err);
		if (ret == 0 && (s->token == SCAN_END || s->token == SCAN_CLOSE))
			return scan_fault(s, err, "'%.40s' has no value", key);
		if (ret == 0)
			ret = item_value(s, key, item, err);
	}
	return ret;
}

static int64_t within(double x, double most)
{
	return !(x >= 0) ? NET_UNKNOWN : x > most ? (int64_t)most : (int64_t)floor(x + 0.5);
}

static int add_node(struct gml *g, const struct gml_item *item, struct err *err)
{
	uint32_t at;

	if (!item->id)
		return scan_fault(&g->scan, err, "the node that ends here has no id");
	int ret = net_node(g->net, item->id, &at, err);
	if (ret == -EEXIST)
		return scan_fault(&g->scan, err, "the node that ends here has id '%.40s', which another has", item->id);
	if (ret != 0)
		return ret;
	struct net_node *n = &g->net->nodes.v[at];
	n->label = mem_str(item->label);
	n->forwards = item->hyperedge;
	n->cpu_milli = within(item->cpu * 1000, (double)CPU_MAX_MILLI);
	n->mem_kib = within(item->memory * 1024, (double)MEM_MAX_KIB);
	if (fabs(item->latitude) <= 90 && fabs(item->longitude) <= 180)
		n->coords = (struct coords){ COORDS_LOCATION, item->latitude, item->longitude };
	else if (item->n_pos == 2)
		n->coords = (struct coords){ COORDS_POSITION, item->pos[0], item->pos[1] };
	return 0;
}

static int add_edge(struct gml *g, struct gml_item *item, struct err *err)
{
	if (!item->source || !item->target)
		return scan_fault(&g->scan, err, "the edge that ends here has no source or no target");
	if (g->edges.n >= 2 * NET_PARTS_MAX)
		return scan_fault(&g->scan, err, "more than %d edges", 2 * NET_PARTS_MAX);
	struct gml_edge *e = vec_add(&g->edges);
	*e = (struct gml_edge){ .source = item->source, .target = item->target, .line = g->scan.token_line,
		                .column = g->scan.token_column };
	item->source = item->target = NULL;
	e->link.bw_kbps = !isnan(item->raw) ? net_bps_to_kbps(item->raw)
	                  : !isnan(item->speed) ? net_bps_to_kbps(item->speed * item->speed_unit)
	                  : !isnan(item->bw) ? within(item->bw * 1000, (double)BW_MAX_KBPS) : item->label_kbps;
	e->link.delay_us = within(item->delay * 1000, (double)DELAY_MAX_US);
	e->link.cost_micro = NET_UNKNOWN;
	return 0;
}

static int graph_value(struct gml *g, const char *key, struct err *err)
{
	double x;

	if (strcmp(key, "directed") == 0)
		g->directed = strcmp(buf_cstr(&g->scan.word), "1") == 0;
	else if (strcmp(key, "Network") == 0 || (strcmp(key, "label") == 0 && !g->net->name))
		take_text(&g->scan, &g->net->name);
	else if (strcmp(key, "arrival_time") == 0 || strcmp(key, "lifetime") == 0) {
		int ret = scan_number(&g->scan, &x, err);
		if (ret != 0)
			return ret;
		*(key[0] == 'a' ? &g->net->arrival_us : &g->net->lifetime_us) = within(x * 1e6, (double)DURATION_MAX_US);
	}
	return 0;
}

static int read_part(struct gml *g, bool node, struct err *err)
{
	struct gml_item item;
	int ret = read_item(&g->scan, &item, err);

	if (ret == 0)
		ret = node ? add_node(g, &item, err) : add_edge(g, &item, err);
	item_done(&item);
	return ret;
}

static int read_graph(struct gml *g, struct err *err)
{
	struct scan *s = &g->scan;
	int ret = 0;

	while (ret == 0 && (ret = scan_next(s, err)) == 0 && s->token != SCAN_CLOSE) {
		if (s->token != SCAN_WORD)
			return scan_fault(s, err, "expected a key or ] inside of graph [");
		mem_auto char *key = mem_str(buf_cstr(&s->word));
		ret = scan_next(s, err);
		if (ret != 0)
			return ret;
		if (s->token == SCAN_END || s->token == SCAN_CLOSE)
			return scan_fault(s, err, "'%.40s' has no value", key);
		bool node = strcmp(key, "node") == 0;
		if (s->token != SCAN_OPEN)
			ret = graph_value(g, key, err);
		else if (node || strcmp(key, "edge") == 0)
			ret = read_part(g, node, err);
		else
			ret = skip_list(s, err);
	}
	return ret;
}

static int join_edges(struct gml *g, struct err *err)
{
	for (size_t i = 0; i < g->edges.n; i++) {
		struct gml_edge *e = &g->edges.v[i];
		uint32_t a, b;
		struct err full = { 0 };

		g->scan.token_line = e->line;
		g->scan.token_column = e->column;
		if (!net_find(g->net, e->source, &a) || !net_find(g->net, e->target, &b))
			return scan_fault(&g->scan, err, "the edge that ends here joins '%.40s' and '%.40s', which are not both nodes",
			                  e->source, e->target);
		struct net_link *l = net_link(g->net, a, b, &full);
		if (!l && full.code)
			return scan_fault(&g->scan, err, "%s", full.text);
		if (l) {
			e->link.a = a;
			e->link.b = b;
			*l = e->link;
		}
	}
	if (g->directed)
		net_join_directions(g->net);
	return 0;
}

int import_gml(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	struct gml g = { .net = net };
	bool graph = false;
	int ret = 0;

	scan_init(&g.scan, file, text, len, "[]");
	while (ret == 0 && (ret = scan_next(&g.scan, err)) == 0 && g.scan.token != SCAN_END) {
		bool here = g.scan.token == SCAN_WORD && strcmp(buf_cstr(&g.scan.word), "graph") == 0;
		if (g.scan.token != SCAN_WORD || (here && graph))
			ret = scan_fault(&g.scan, err, "expected one graph [ … ]");
		if (ret == 0)
			ret = scan_next(&g.scan, err);
		if (ret == 0 && here && g.scan.token != SCAN_OPEN)
			ret = scan_fault(&g.scan, err, "expected [ behind graph");
		if (ret == 0 && here)
			ret = read_graph(&g, err);
		else if (ret == 0 && g.scan.token == SCAN_OPEN)
			ret = skip_list(&g.scan, err);
		graph |= here;
	}
	if (ret == 0 && !graph)
		ret = scan_fault(&g.scan, err, "no graph [ … ] in this file");
	if (ret == 0)
		ret = join_edges(&g, err);
	for (size_t i = 0; i < g.edges.n; i++) {
		free(g.edges.v[i].source);
		free(g.edges.v[i].target);
	}
	vec_done(&g.edges);
	scan_done(&g.scan);
	return ret;
}
