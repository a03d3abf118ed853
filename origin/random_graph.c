/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See random_graph.h. */
#include "origin/random_graph.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"

enum { TRIES = 1000, STREAM_POINTS = 1, STREAM_EDGES = 2 };

const char *const graph_models[] = { "waxman", "gnp", "ba", "regular", "grid", "fat-tree", "near", NULL };

static uint64_t micro_to_q32(uint64_t micro)
{
	return (micro << 32) / 1000000;
}

uint64_t point_distance(struct point p, struct point q)
{
	int64_t x = p.x - q.x, y = p.y - q.y;

	return root_floor((uint64_t)(x * x) + (uint64_t)(y * y));
}

static void add_edge(struct random_graph *g, uint32_t a, uint32_t b)
{
	if ((g->n_edges & (g->n_edges - 1)) == 0)
		g->edges = mem_grow(g->edges, g->n_edges ? 2 * g->n_edges : 1, sizeof(*g->edges));
	g->edges[g->n_edges++] = (struct edge){ a < b ? a : b, a < b ? b : a };
}

static int by_ends(const void *x, const void *y)
{
	const struct edge *e = x, *f = y;

	if (e->a != f->a)
		return e->a < f->a ? -1 : 1;
	return (e->b > f->b) - (e->b < f->b);
}

/* ---- connected or not ---------------------------------------------------------------------- */

static uint32_t root_of(uint32_t *parent, uint32_t a)
{
	while (parent[a] != a)
		a = parent[a] = parent[parent[a]];
	return a;
}

/* Parts by union and find; caller frees *ret_parent. Returns how many. */
static uint32_t graph_parts(const struct random_graph *g, uint32_t **ret_parent)
{
	uint32_t *parent = mem_array(g->n, sizeof(*parent)), parts = g->n;

	for (uint32_t a = 0; a < g->n; a++)
		parent[a] = a;
	for (size_t i = 0; i < g->n_edges; i++) {
		uint32_t p = root_of(parent, g->edges[i].a), q = root_of(parent, g->edges[i].b);
		parts -= p != q;
		parent[p] = q;
	}
	*ret_parent = parent;
	return parts;
}

static bool graph_connected(const struct random_graph *g)
{
	uint32_t *parent, parts = graph_parts(g, &parent);

	free(parent);
	return parts <= 1;
}

static void graph_join(struct random_graph *g, struct random *r)
{
	uint32_t *parent, parts = graph_parts(g, &parent);

	while (parts > 1) {
		uint32_t a = (uint32_t)random_below(r, g->n), b = (uint32_t)random_below(r, g->n);
		uint32_t p = root_of(parent, a), q = root_of(parent, b);
		if (p == q)
			continue;
		parent[p] = q;
		parts--;
		add_edge(g, a, b);
	}
	free(parent);
}

static void gnp_edges(struct random *r, uint64_t probability_q32, struct random_graph *g)
{
	g->n_edges = 0;
	for (uint32_t a = 0; a < g->n; a++)
		for (uint32_t b = a + 1; b < g->n; b++)
			if (random_chance(r, probability_q32))
				add_edge(g, a, b);
}

void random_connected_gnp(struct random *r, uint32_t n, uint64_t probability_q32, struct random_graph *ret)
{
	struct random_graph g = { .n = n };
	int tries = 0;

	do {
		gnp_edges(r, probability_q32, &g);
	} while (!graph_connected(&g) && ++tries < TRIES);
	graph_join(&g, r);
	if (g.n_edges > 0)
		qsort(g.edges, g.n_edges, sizeof(*g.edges), by_ends);
	*ret = g;
}

/* ---- the models ---------------------------------------------------------------------------- */

static uint64_t largest_distance(const struct random_graph *g)
{
	uint64_t most = 1;

	for (uint32_t a = 0; a < g->n; a++)
		for (uint32_t b = a + 1; b < g->n; b++) {
			uint64_t d = point_distance(g->points[a], g->points[b]);
			if (d > most)
				most = d;
		}
	return most;
}

/* e^(-d / (alpha L)) */
static uint64_t waxman_q32(const struct random_graph *g, uint32_t a, uint32_t b, uint64_t scale)
{
	return exp_minus_q32((point_distance(g->points[a], g->points[b]) << 16) / scale);
}

/* Exactly so many links: a tree first, each node joined to one before it, then pairs; both at random,
 * taken with Waxman's probability. */
static void waxman_exact(const struct graph_spec *spec, uint64_t scale, struct random *r, struct random_graph *g)
{
	bool *linked = mem_array((size_t)g->n * g->n, sizeof(*linked));

	for (uint64_t tries = 0; g->n_edges < spec->links; tries++) {
		uint32_t b = g->n_edges + 1 < g->n ? (uint32_t)g->n_edges + 1 : (uint32_t)random_below(r, g->n);
		uint32_t a = (uint32_t)random_below(r, g->n_edges + 1 < g->n ? b : g->n);
		/* who is far from all others would never be joined: after many tries anyone will do */
		uint64_t chance = tries < 1000 ? waxman_q32(g, a, b, scale) : ONE_Q32;
		if (a == b || linked[(size_t)a * g->n + b] || !random_chance(r, chance))
			continue;
		linked[(size_t)a * g->n + b] = linked[(size_t)b * g->n + a] = true;
		add_edge(g, a, b);
		tries = 0;
	}
	free(linked);
}

static void waxman_edges(const struct graph_spec *spec, struct random *r, struct random_graph *g)
{
	uint64_t scale = (uint64_t)((unsigned __int128)spec->alpha_micro * largest_distance(g) / 1000000);
	uint64_t beta = micro_to_q32(spec->beta_micro);

	if (scale == 0)
		scale = 1;
	g->n_edges = 0;
	if (spec->links > 0) {
		waxman_exact(spec, scale, r, g);
		return;
	}
	for (uint32_t a = 0; a < g->n; a++)
		for (uint32_t b = a + 1; b < g->n; b++)
			if (random_chance(r, (waxman_q32(g, a, b, scale) >> 1) * beta >> 31))
				add_edge(g, a, b);
}

/* Barabási and Albert 1999: a clique of degree + 1, then each new node joins `degree` others, which it meets at
 * the ends of links that exist. */
static void ba_edges(const struct graph_spec *spec, struct random *r, struct random_graph *g)
{
	uint32_t m = spec->degree;

	g->n_edges = 0;
	for (uint32_t a = 0; a <= m; a++)
		for (uint32_t b = a + 1; b <= m; b++)
			add_edge(g, a, b);
	for (uint32_t a = m + 1; a < g->n; a++) {
		size_t first = g->n_edges;
		while (g->n_edges - first < m) {
			uint64_t end = random_below(r, 2 * first);
			uint32_t b = end & 1 ? g->edges[end / 2].b : g->edges[end / 2].a;
			bool again = false;
			for (size_t i = first; i < g->n_edges; i++)
				again |= g->edges[i].a == b;
			if (!again)
				add_edge(g, b, a);
		}
	}
}

/* Steger and Wormald 1999: free ends are paired at random, a pair that is no new link is drawn again;
 * false: only such are left. */
static bool regular_try(const struct graph_spec *spec, struct random *r, struct random_graph *g)
{
	size_t d = spec->degree, free_ends = (size_t)g->n * d;
	uint32_t *ends = mem_array(free_ends, sizeof(*ends)), *peers = mem_array(free_ends, sizeof(*peers));
	uint32_t *degree = mem_array(g->n, sizeof(*degree));
	int misses = 0;

	g->n_edges = 0;
	for (size_t i = 0; i < free_ends; i++)
		ends[i] = (uint32_t)(i / d);
	while (free_ends > 1 && misses < TRIES) {
		size_t i = random_below(r, free_ends), j = random_below(r, free_ends);
		uint32_t a = ends[i], b = ends[j];
		bool linked = a == b;
		for (uint32_t k = 0; k < degree[a]; k++)
			linked |= peers[a * d + k] == b;
		if (linked) {
			misses++;
			continue;
		}
		misses = 0;
		peers[a * d + degree[a]++] = b;
		peers[b * d + degree[b]++] = a;
		add_edge(g, a, b);
		ends[i > j ? i : j] = ends[--free_ends];
		ends[i > j ? j : i] = ends[--free_ends];
	}
	free(ends);
	free(peers);
	free(degree);
	return free_ends <= 1;
}

/* Rows of the length of the square root; the last one may be shorter. */
static void grid_edges(struct random_graph *g)
{
	uint32_t width = (uint32_t)root_floor(g->n);

	g->n_edges = 0;
	for (uint32_t a = 0; a < g->n; a++) {
		g->points[a] = (struct point){ (int64_t)(a % width) * 10000, (int64_t)(a / width) * 10000 };
		if ((a + 1) % width != 0 && a + 1 < g->n)
			add_edge(g, a, a + 1);
		if (a + width < g->n)
			add_edge(g, a, a + width);
	}
}

/* ---- near: as large providers are ---------------------------------------------------------- */

enum { NEAR_PER_CELL = 2, NEAR_CELLS = 2 }; /* cells to each side: some 25 neighbours in reach */

struct near_pair {
	uint64_t key; /* distance, or a random number */
	struct edge edge;
};

static int by_near(const void *x, const void *y)
{
	const struct near_pair *p = x, *q = y;

	return p->key != q->key ? (p->key < q->key ? -1 : 1) : by_ends(&p->edge, &q->edge);
}

struct cells {
	uint32_t width;
	uint32_t *first, *next; /* node + 1 */
};

static void near_cell(const struct graph_spec *spec, const struct cells *c, struct point p, uint32_t *x, uint32_t *y)
{
	uint64_t side = (uint64_t)spec->side + 1;

	*x = (uint32_t)((uint64_t)p.x * c->width / side);
	*y = (uint32_t)((uint64_t)p.y * c->width / side);
}

/* All pairs of nodes that are at most NEAR_CELLS cells apart, a < b. Caller frees. */
static struct near_pair *near_pairs(const struct graph_spec *spec, const struct random_graph *g, size_t *ret_n)
{
	struct cells c = { .width = (uint32_t)root_floor(g->n / NEAR_PER_CELL) };
	VEC(struct near_pair) pairs = { 0 };
	uint32_t x, y;

	c.width = c.width ? c.width : 1;
	c.first = mem_array((size_t)c.width * c.width, sizeof(*c.first));
	c.next = mem_array(g->n, sizeof(*c.next));
	for (uint32_t a = 0; a < g->n; a++) {
		near_cell(spec, &c, g->points[a], &x, &y);
		for (uint32_t v = y > NEAR_CELLS ? y - NEAR_CELLS : 0; v <= y + NEAR_CELLS && v < c.width; v++)
			for (uint32_t u = x > NEAR_CELLS ? x - NEAR_CELLS : 0; u <= x + NEAR_CELLS && u < c.width; u++)
				for (uint32_t b = c.first[v * c.width + u]; b; b = c.next[b - 1])
					*vec_add(&pairs) = (struct near_pair){ point_distance(g->points[a], g->points[b - 1]), { b - 1, a } };
		c.next[a] = c.first[y * c.width + x];
		c.first[y * c.width + x] = a + 1;
	}
	free(c.first);
	free(c.next);
	*ret_n = pairs.n;
	return pairs.v;
}

/* The shortest tree of near pairs (Kruskal 1956), then near pairs at random. */
static void near_edges(const struct graph_spec *spec, struct random *r, struct random_graph *g)
{
	size_t n, wanted = (size_t)g->n * spec->degree / 2;
	struct near_pair *pairs = near_pairs(spec, g, &n);
	uint32_t *parent = mem_array(g->n, sizeof(*parent));

	for (uint32_t a = 0; a < g->n; a++)
		parent[a] = a;
	qsort(pairs, n, sizeof(*pairs), by_near);
	g->n_edges = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t p = root_of(parent, pairs[i].edge.a), q = root_of(parent, pairs[i].edge.b);
		pairs[i].key = random_next(r);
		if (p == q)
			continue;
		parent[p] = q;
		add_edge(g, pairs[i].edge.a, pairs[i].edge.b);
		pairs[i].key = UINT64_MAX; /* taken: behind all others */
	}
	qsort(pairs, n, sizeof(*pairs), by_near);
	for (size_t i = 0; i < n && g->n_edges < wanted && pairs[i].key != UINT64_MAX; i++)
		add_edge(g, pairs[i].edge.a, pairs[i].edge.b);
	free(parent);
	free(pairs);
}

uint32_t fat_tree_hosts(uint32_t k)
{
	return k * k * k / 4;
}

uint32_t fat_tree_nodes(uint32_t k)
{
	return k * k / 4 + k * k + fat_tree_hosts(k);
}

/* Al-Fares, Loukissas and Vahdat 2008: (k/2)² core switches, k pods of k/2 aggregation and k/2 edge
 * switches, k/2 hosts at each of the latter; in this order. */
static void fat_tree_edges(uint32_t k, struct random_graph *g)
{
	uint32_t half = k / 2, core = half * half, aggregation = core, edge = core + k * half, host = edge + k * half;

	g->n_edges = 0;
	for (uint32_t pod = 0; pod < k; pod++)
		for (uint32_t i = 0; i < half; i++)
			for (uint32_t j = 0; j < half; j++) {
				add_edge(g, i * half + j, aggregation + pod * half + i);
				add_edge(g, aggregation + pod * half + i, edge + pod * half + j);
				add_edge(g, edge + pod * half + i, host + (pod * half + i) * half + j);
			}
}

/* ---- one graph ----------------------------------------------------------------------------- */

static int spec_check(const struct graph_spec *s, struct err *err)
{
	bool pairs = s->model == GRAPH_WAXMAN || s->model == GRAPH_GNP;
	uint64_t all = (uint64_t)s->nodes * (s->nodes - 1) / 2;
	uint32_t most = pairs ? GRAPH_PAIRS_NODES_MAX : GRAPH_NODES_MAX;

	if (s->model == GRAPH_FAT_TREE)
		return s->arity >= 2 && s->arity % 2 == 0 && s->arity <= 64 ? 0
		       : err_set(err, -EINVAL, "a fat tree is made of switches of 2, 4, … 64 ports, not of %u", s->arity);
	if (s->nodes < 2 || s->nodes > most)
		return err_set(err, -EINVAL, "%u nodes; %s has 2 to %u", s->nodes, graph_models[s->model], most);
	if (s->alpha_micro > 1000000000 || s->beta_micro > 1000000)
		return err_set(err, -EINVAL, "alpha is at most 1000, beta and a probability at most 1");
	if (s->model == GRAPH_WAXMAN && s->links && (s->links + 1 < s->nodes || s->links > all / 2))
		return err_set(err, -EINVAL, "%u links; a connected graph of %u nodes, of which no more than half is linked, "
		               "has %u to %llu", s->links, s->nodes, s->nodes - 1, (unsigned long long)(all / 2));
	bool degree = s->model == GRAPH_BA || s->model == GRAPH_REGULAR || s->model == GRAPH_NEAR;
	if (degree && (s->degree < 1 || s->degree > 64 || s->degree >= s->nodes))
		return err_set(err, -EINVAL, "degree %u; expected 1 to 64, and below the number of nodes", s->degree);
	return 0;
}

static void graph_draw(const struct graph_spec *spec, struct random *points, struct random *edges, struct random_graph *g)
{
	struct range steps = { 0, spec->step > 0 ? spec->side / spec->step : 0 };

	for (uint32_t a = 0; a < g->n; a++) {
		g->points[a].x = random_in(points, steps) * spec->step;
		g->points[a].y = random_in(points, steps) * spec->step;
	}
	switch (spec->model) {
	case GRAPH_WAXMAN:
		waxman_edges(spec, edges, g);
		break;
	case GRAPH_GNP:
		gnp_edges(edges, micro_to_q32(spec->beta_micro), g);
		break;
	case GRAPH_BA:
		ba_edges(spec, edges, g);
		break;
	case GRAPH_REGULAR:
		while (!regular_try(spec, edges, g))
			;
		break;
	case GRAPH_GRID:
		grid_edges(g);
		break;
	case GRAPH_NEAR:
		near_edges(spec, edges, g);
		break;
	case GRAPH_FAT_TREE:
		fat_tree_edges(spec->arity, g);
		break;
	}
}

int random_graph_make(const struct graph_spec *spec, uint64_t seed, struct random_graph *ret, struct err *err)
{
	struct random_graph g = { .n = spec->model == GRAPH_FAT_TREE ? fat_tree_nodes(spec->arity) : spec->nodes };
	struct random points, edges;
	int tries = spec->nodes > 1000 ? TRIES / 50 : TRIES, code = spec_check(spec, err);
	bool good = false;

	if (code != 0)
		return code;
	random_init(&points, seed, STREAM_POINTS);
	random_init(&edges, seed, STREAM_EDGES);
	g.points = mem_array(g.n, sizeof(*g.points));
	while (!good && tries-- > 0) {
		graph_draw(spec, &points, &edges, &g);
		good = graph_connected(&g);
	}
	if (!good) {
		random_graph_done(&g);
		return err_set(err, -EINVAL, "no connected graph came of many tries; more links are needed");
	}
	qsort(g.edges, g.n_edges, sizeof(*g.edges), by_ends);
	*ret = g;
	return 0;
}

void random_graph_done(struct random_graph *g)
{
	free(g->points);
	free(g->edges);
	memset(g, 0, sizeof(*g));
}
