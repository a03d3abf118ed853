/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See generate.h. */
#include "origin/generate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { STREAM_NODES = 3, STREAM_LINKS, STREAM_REQUESTS, MICRO = 1000000, LOAD_PRICE_MILLI = 700, POINTS_PER_UNIT = 10000 };

static int range_check(const char *what, struct range r, int64_t low, int64_t high, struct err *err)
{
	if (r.low < low || r.high > high || r.high < r.low)
		return err_set(err, -EINVAL, "%s: %lld-%lld; expected a range within %lld-%lld", what, (long long)r.low,
		               (long long)r.high, (long long)low, (long long)high);
	return 0;
}

static int substrate_spec_check(const struct substrate_spec *s, struct err *err)
{
	int ret = range_check("cpu", s->cpu, 0, CPU_MAX_MILLI / 1000, err);

	if (ret == 0)
		ret = range_check("memory", s->memory, 0, MEM_MAX_KIB / 1024, err);
	if (ret == 0)
		ret = range_check("bandwidth", s->bandwidth, 1, BW_MAX_KBPS / 1000, err);
	if (ret == 0)
		ret = range_check("left", s->left_milli, 1, 1000, err);
	if (ret == 0)
		ret = range_check("delay", s->delay, 0, DELAY_MAX_US, err);
	return ret ? ret : range_check("cost", s->node_cost, 0, COST_MAX_MICRO / MICRO, err);
}

static struct coords point_coords(struct point p)
{
	return (struct coords){ COORDS_POSITION, (double)p.x / POINTS_PER_UNIT, (double)p.y / POINTS_PER_UNIT };
}

/* A capacity, and what is left of it. */
static int64_t capacity(struct random *r, struct range range, int64_t left_milli)
{
	return random_in(r, range) * left_milli / 1000;
}

static void make_node(const struct substrate_spec *spec, const struct random_graph *g, uint32_t i, struct random *r,
                      struct snode *ret)
{
	bool hosts = spec->graph.model != GRAPH_FAT_TREE || i >= g->n - fat_tree_hosts(spec->graph.arity);
	int64_t cpu = capacity(r, spec->cpu, random_in(r, spec->left_milli));
	int64_t memory = capacity(r, spec->memory, random_in(r, spec->left_milli));

	*ret = (struct snode){
		.name = mem_printf("%s%u", hosts ? "s" : "switch", i),
		.cap = { hosts ? cpu * 1000 : 0, spec->memory.high > 0 && hosts ? memory * 1024 : UNLIMITED, UNLIMITED, UNLIMITED,
		         UNLIMITED, UNLIMITED, 0 },
		.any_image = true, .max_guest_ports = UNLIMITED,
		.any_kind = hosts, .agent = true, .cost_micro = random_in(r, spec->node_cost) * MICRO,
	};
	if (spec->positions)
		ret->coords = point_coords(g->points[i]);
}

static void make_link(const struct substrate_spec *spec, const struct random_graph *g, size_t i, struct substrate *s,
                      struct random *r)
{
	struct edge e = g->edges[i];
	int64_t left = random_in(r, spec->left_milli), bw = capacity(r, spec->bandwidth, left), ms;
	int64_t delay = random_in(r, spec->delay);

	if (spec->delay_us_per_unit > 0) {
		ms = (int64_t)point_distance(g->points[e.a], g->points[e.b]) * spec->delay_us_per_unit / POINTS_PER_UNIT / 1000;
		delay = (ms > 0 ? ms : 1) * 1000;
	}
	s->links[i] = (struct slink){
		.name = mem_printf("%s-%s", s->nodes[e.a].name, s->nodes[e.b].name), .a = e.a, .b = e.b,
		.bw_kbps = (bw > 0 ? bw : 1) * 1000, .delay_us = delay,
		.cost_micro = spec->load_price && left < LOAD_PRICE_MILLI ? 2 * MICRO : MICRO,
	};
}

int generate_substrate(const struct substrate_spec *spec, const char *name, uint64_t seed, struct substrate *ret,
                       struct err *err)
{
	struct substrate s = { 0 };
	struct random_graph g = { 0 };
	struct random nodes, links;
	int code = substrate_spec_check(spec, err);

	if (code == 0)
		code = random_graph_make(&spec->graph, seed, &g, err);
	if (code != 0)
		return code;
	random_init(&nodes, seed, STREAM_NODES);
	random_init(&links, seed, STREAM_LINKS);
	s.name = mem_str(name);
	s.n_nodes = g.n;
	s.nodes = mem_array(g.n, sizeof(*s.nodes));
	for (uint32_t i = 0; i < g.n; i++)
		make_node(spec, &g, i, &nodes, &s.nodes[i]);
	s.n_links = g.n_edges;
	s.links = mem_array(g.n_edges, sizeof(*s.links));
	for (size_t i = 0; i < g.n_edges; i++)
		make_link(spec, &g, i, &s, &links);
	random_graph_done(&g);
	code = substrate_check(&s, err);
	if (code != 0)
		substrate_done(&s);
	else
		*ret = s;
	return code;
}

/* ---- requests ------------------------------------------------------------------------------ */

static int request_spec_check(const struct request_spec *r, const struct substrate *s, struct err *err)
{
	int ret = range_check("nodes of a request", r->nodes, 1, 1000, err);

	if (ret == 0)
		ret = range_check("cpu of a request", r->cpu, 0, CPU_MAX_MILLI / 1000, err);
	if (ret == 0)
		ret = range_check("memory of a request", r->memory, 0, MEM_MAX_KIB / 1024, err);
	if (ret == 0)
		ret = range_check("bandwidth of a request", r->bandwidth, 0, BW_MAX_KBPS / 1000, err);
	if (ret == 0)
		ret = range_check("candidates", r->candidates, 0, (int64_t)s->n_nodes, err);
	if (ret == 0)
		ret = range_check("delay of a request", r->max_delay_ms, 0, DELAY_MAX_US / 1000, err);
	if (ret == 0 && r->count > 0 && (r->gap_us < 1 || r->lifetime_us < 1000 || (r->gap_us | r->lifetime_us) >> 40))
		ret = err_set(err, -EINVAL, "the mean gap and lifetime are from a millisecond to %lld days",
		              (1LL << 40) / MICRO / 86400);
	return ret;
}

/* Where requests look for candidates and ask to be near: in the square that holds the substrate. */
struct places {
	const struct substrate *s;
	struct point *points;
	struct range x, y;
	uint64_t *keys; /* scratch, n */
};

static void places_init(const struct substrate *s, struct places *ret)
{
	*ret = (struct places){ .s = s, .points = mem_array(s->n_nodes, sizeof(*ret->points)),
		                .keys = mem_array(s->n_nodes, sizeof(*ret->keys)) };
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct coords *c = &s->nodes[i].coords;
		struct point p = { (int64_t)(c->a * POINTS_PER_UNIT + 0.5), (int64_t)(c->b * POINTS_PER_UNIT + 0.5) };
		ret->points[i] = p;
		if (i == 0 || p.x < ret->x.low)
			ret->x.low = p.x;
		if (i == 0 || p.x > ret->x.high)
			ret->x.high = p.x;
		if (i == 0 || p.y < ret->y.low)
			ret->y.low = p.y;
		if (i == 0 || p.y > ret->y.high)
			ret->y.high = p.y;
	}
}

static int by_key(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return (a > b) - (a < b);
}

/* The k nodes next to a point at random, or any k; named in the order of the file. */
static void make_candidates(const struct request_spec *spec, struct places *p, struct random *r, struct place *ret)
{
	size_t n = p->s->n_nodes, k = (size_t)random_in(r, spec->candidates);
	int64_t x = random_in(r, p->x), y = random_in(r, p->y); /* in this order, with any compiler */
	struct point centre = { x, y };

	for (size_t i = 0; i < n; i++)
		p->keys[i] = spec->scattered ? (random_next(r) & ~(uint64_t)0xfffff) | i
		                             : point_distance(centre, p->points[i]) << 20 | i;
	qsort(p->keys, n, sizeof(*p->keys), by_key);
	for (size_t i = 0; i < k; i++)
		p->keys[i] &= 0xfffff;
	qsort(p->keys, k, sizeof(*p->keys), by_key);
	ret->on = (struct yaml_names){ mem_array(k, sizeof(char *)), k };
	for (size_t i = 0; i < k; i++)
		ret->on.v[i] = mem_str(p->s->nodes[p->keys[i]].name);
}

static void make_vnode(const struct request_spec *spec, struct places *p, uint32_t i, struct random *r, struct vnode *ret)
{
	*ret = (struct vnode){ .name = mem_printf("v%u", i) };
	ret->demand[RES_CPU_MILLI] = random_in(r, spec->cpu) * 1000;
	ret->demand[RES_MEM_KIB] = random_in(r, spec->memory) * 1024;
	if (spec->candidates.high > 0)
		make_candidates(spec, p, r, &ret->place);
	if (spec->within > 0) {
		int64_t x = random_in(r, p->x), y = random_in(r, p->y);
		struct point near = { x, y };
		ret->place.has_near = true;
		ret->place.near = point_coords(near);
		ret->place.within = (double)spec->within / POINTS_PER_UNIT;
	}
}

static void make_request(const struct request_spec *spec, struct places *p, struct random *r, struct request *ret)
{
	struct random_graph g;

	ret->n_nodes = (size_t)random_in(r, spec->nodes);
	ret->nodes = mem_array(ret->n_nodes, sizeof(*ret->nodes));
	for (uint32_t i = 0; i < ret->n_nodes; i++)
		make_vnode(spec, p, i, r, &ret->nodes[i]);
	random_connected_gnp(r, (uint32_t)ret->n_nodes, (spec->probability_micro << 32) / MICRO, &g);
	ret->n_links = g.n_edges;
	ret->links = mem_array(g.n_edges, sizeof(*ret->links));
	for (size_t i = 0; i < g.n_edges; i++) {
		struct edge e = g.edges[i];
		int64_t bw = random_in(r, spec->bandwidth), delay = random_in(r, spec->max_delay_ms);
		bool bounded = spec->max_delay_ms.high > 0 && random_chance(r, (spec->max_delay_micro << 32) / MICRO);
		ret->links[i] = (struct vlink){
			.name = mem_printf("%s-%s", ret->nodes[e.a].name, ret->nodes[e.b].name), .a = e.a, .b = e.b,
			.bw_kbps = bw * 1000, .max_delay_us = bounded ? delay * 1000 : -1, .split = spec->split,
		};
	}
	random_graph_done(&g);
}

static int64_t next_gap(const struct request_spec *spec, struct random *r)
{
	if (spec->gap_poisson)
		return (int64_t)random_poisson(r, (uint64_t)spec->gap_us) * MICRO;
	return (int64_t)random_exponential(r, (uint64_t)spec->gap_us) / 1000 * 1000;
}

int generate_requests(const struct request_spec *spec, const struct substrate *s, const char *name, uint64_t seed,
                      struct request **ret, size_t *ret_n, struct err *err)
{
	size_t n = spec->count ? spec->count : 1;
	struct request *v;
	struct places places;
	struct random r;
	int64_t now = 0;
	int code = request_spec_check(spec, s, err);

	if (code != 0)
		return code;
	random_init(&r, seed, STREAM_REQUESTS);
	places_init(s, &places);
	v = mem_array(n, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct request){ .arrival_us = -1, .lifetime_us = -1, .priority_micro = MICRO };
		v[i].name = spec->count ? mem_printf("n%zu", i) : mem_str(name);
		if (spec->count) {
			int64_t lifetime = (int64_t)random_exponential(&r, (uint64_t)spec->lifetime_us) / 1000 * 1000;
			v[i].arrival_us = now += next_gap(spec, &r);
			v[i].lifetime_us = lifetime > 0 ? lifetime : 1000;
		}
		make_request(spec, &places, &r, &v[i]);
		if (code == 0)
			code = request_check(&v[i], err);
	}
	free(places.points);
	free(places.keys);
	if (code == 0) {
		*ret = v;
		*ret_n = n;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		request_done(&v[i]);
	free(v);
	return code;
}
