/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See pairs.h. Where all weights are small multiples of their greatest common divisor, as costs mostly are, the
 * queue is an array of buckets (Dial 1969). */
#include "embed/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/flow.h"

enum { BUCKETS = 256 }; /* a power of two, above the largest weight in units */

/* ---- classes ------------------------------------------------------------------------------- */

static int by_amount(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The least capacity that is enough; INT64_MAX: no link has it. */
static int64_t threshold(const int64_t *sorted, size_t n, int64_t need)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (sorted[mid] < need)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n ? sorted[low] : INT64_MAX;
}

static uint32_t class_of(struct pairs *pairs, struct pair_class like)
{
	for (uint32_t c = 0; c < pairs->n_classes; c++)
		if (pairs->classes[c].need == like.need && pairs->classes[c].max_delay == like.max_delay &&
		    pairs->classes[c].best_effort == like.best_effort && pairs->classes[c].weight == like.weight)
			return c;
	like.row = mem_array(pairs->n_hosts + 1, sizeof(*like.row));
	pairs->classes[pairs->n_classes] = like;
	return (uint32_t)pairs->n_classes++;
}

static void make_classes(struct pairs *pairs, const struct routing_prices *prices)
{
	const struct problem *p = pairs->p;
	size_t n = p->s->n_links;
	mem_auto int64_t *sorted = mem_dup(p->left->link_kbps, n * sizeof(*sorted));

	qsort(sorted, n, sizeof(*sorted), by_amount);
	for (uint32_t k = 0; k < p->r->n_links; k++) {
		const struct vlink *link = &p->r->links[k];
		struct pair_class like = { .max_delay = link->max_delay_us, .best_effort = vlink_best_effort(link) };
		like.weight = prices && prices->weight[k] ? prices->weight[k] : p->link_weight;
		if (!like.best_effort)
			like.need = threshold(sorted, n, link->split ? 1 : link->bw_kbps);
		pairs->link_class[k] = class_of(pairs, like);
	}
}

static void number_hosts(struct pairs *pairs)
{
	const struct problem *p = pairs->p;

	memset(pairs->number, 0xff, p->s->n_nodes * sizeof(*pairs->number));
	for (size_t u = 0; u < p->r->n_nodes; u++)
		for (size_t i = 0; i < p->cand[u].n; i++) {
			uint32_t a = p->cand[u].v[i];
			if (pairs->number[a] != NO_NODE)
				continue;
			pairs->number[a] = pairs->n_hosts;
			pairs->host[pairs->n_hosts++] = a;
		}
}

/* ---- searches ------------------------------------------------------------------------------ */

/* The links of one class, and the queue that walks them. */
struct sub_arc {
	uint32_t to, units; /* units: weight over their common divisor */
};
struct entry {
	uint32_t node, next;
};
struct reach {
	uint32_t *first;
	struct sub_arc *arcs;
	struct entry *entries;
	uint32_t bucket[BUCKETS];
	uint32_t *wanted, round; /* wanted[a] == round: a is still to be settled */
	int64_t unit;
	bool small;              /* all weights fit the buckets */
};

static int64_t gcd(int64_t a, int64_t b)
{
	while (b != 0) {
		int64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static void reach_init(struct reach *r, const struct graph *g)
{
	*r = (struct reach){ 0 };
	r->wanted = mem_array(g->n_nodes + 1, sizeof(*r->wanted));
	r->first = mem_array(g->n_nodes + 2, sizeof(*r->first));
	r->arcs = mem_array(2 * g->n_links + 1, sizeof(*r->arcs));
	r->entries = mem_array(2 * g->n_links + 2, sizeof(*r->entries));
}

static void reach_done(struct reach *r)
{
	free(r->first);
	free(r->arcs);
	free(r->entries);
	free(r->wanted);
}

/* Lays out what a class may use. */
static void reach_class(struct reach *r, const struct pairs *pairs, const struct pair_class *c)
{
	const struct graph *g = &pairs->p->graph;
	int64_t most = 0;
	uint32_t n = 0;

	r->unit = 0;
	for (size_t l = 0; l < g->n_links; l++) {
		r->unit = gcd(c->weight[l], r->unit);
		most = c->weight[l] > most ? c->weight[l] : most;
	}
	r->unit = r->unit > 0 ? r->unit : 1;
	r->small = most / r->unit < BUCKETS && !c->best_effort && c->max_delay < 0;
	for (size_t v = 0; r->small && v < g->n_nodes; v++) {
		r->first[v] = n;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link;
			if (pairs->p->left->link_kbps[l] >= c->need)
				r->arcs[n++] = (struct sub_arc){ g->arcs[i].to, (uint32_t)(c->weight[l] / r->unit) };
		}
	}
	r->first[g->n_nodes] = n;
}

/* Distances in units from `from`, until n_wanted of those wanted are settled. What is not settled then is said to be
 * as far as the last that is: it is no nearer. */
static void search_buckets(struct reach *r, size_t n_nodes, uint32_t from, size_t n_wanted, int64_t *dist, uint64_t *work)
{
	uint32_t n_entries = 1, waiting = 1; /* entry 0: none */
	int64_t far = 0;

	for (size_t v = 0; v < n_nodes; v++)
		dist[v] = DIST_NONE;
	memset(r->bucket, 0, sizeof(r->bucket));
	dist[from] = 0;
	r->entries[n_entries] = (struct entry){ from, 0 };
	r->bucket[0] = n_entries++;
	while (waiting > 0 && n_wanted > 0) {
		uint32_t *bucket = &r->bucket[far & (BUCKETS - 1)];
		if (*bucket == 0) {
			far++;
			continue;
		}
		uint32_t v = r->entries[*bucket].node;
		*bucket = r->entries[*bucket].next;
		waiting--;
		if (dist[v] != far) /* it got there sooner */
			continue;
		if (r->wanted[v] == r->round) {
			r->wanted[v] = 0;
			n_wanted--;
		}
		*work += r->first[v + 1] - r->first[v] + 1;
		for (uint32_t i = r->first[v]; i < r->first[v + 1]; i++) {
			uint32_t w = r->arcs[i].to;
			int64_t next = far + r->arcs[i].units;
			if (next >= dist[w])
				continue;
			dist[w] = next;
			r->entries[n_entries] = (struct entry){ w, r->bucket[next & (BUCKETS - 1)] };
			r->bucket[next & (BUCKETS - 1)] = n_entries++;
			waiting++;
		}
	}
	for (size_t v = 0; v < n_nodes; v++) {
		if (waiting > 0 && dist[v] > far)
			dist[v] = far;
		dist[v] *= dist[v] != DIST_NONE ? r->unit : 1;
	}
}

static void search_paths(struct pairs *pairs, const struct pair_class *c, uint32_t from, int64_t *dist)
{
	const struct problem *p = pairs->p;
	struct path_query q = { .weight = c->weight, .cap = p->left->link_kbps, .need = c->need, .delay = p->link_delay,
	                        .max_delay = c->max_delay };
	uint64_t before = pairs->space.work;

	if (c->best_effort)
		q = (struct path_query){ .tie = p->link_delay, .max_delay = -1 };
	path_search(&pairs->space, &q, from, NO_NODE);
	pairs->work += pairs->space.work - before;
	for (uint32_t v = 0; v < p->s->n_nodes; v++) {
		dist[v] = path_dist(&pairs->space, v);
		if (c->best_effort && dist[v] != DIST_NONE)
			dist[v] = c->max_delay >= 0 && path_tie(&pairs->space, v) > c->max_delay ? DIST_NONE : 0;
	}
}

/* Marks the hosts that a router on `host` has links of the class to; returns how many. */
static size_t want(struct pairs *pairs, struct reach *r, uint32_t class, uint32_t host)
{
	const struct problem *p = pairs->p;
	size_t n = 0;

	r->round++;
	for (size_t k = 0; k < p->r->n_links; k++)
		for (int end = 0; end < 2 && pairs->link_class[k] == class; end++) {
			uint32_t u = end ? p->r->links[k].b : p->r->links[k].a, v = end ? p->r->links[k].a : p->r->links[k].b;
			for (size_t i = 0; p->is_cand[u][host] && i < p->cand[v].n; i++) {
				n += r->wanted[p->cand[v].v[i]] != r->round;
				r->wanted[p->cand[v].v[i]] = r->round;
			}
		}
	return n;
}

static size_t missing(const struct pairs *pairs, const struct pair_class *c, uint32_t u)
{
	size_t n = 0;

	for (size_t i = 0; i < pairs->p->cand[u].n; i++)
		n += c->row[pairs->number[pairs->p->cand[u].v[i]]] == NULL;
	return n;
}

/* Paths go either way: searches from the end of k that lacks fewer. */
static bool search_link(struct pairs *pairs, struct reach *r, uint32_t k, bool (*go_on)(void *arg, uint64_t arcs), void *arg)
{
	const struct problem *p = pairs->p;
	struct pair_class *c = &pairs->classes[pairs->link_class[k]];
	const struct vlink *link = &p->r->links[k];
	uint32_t u = missing(pairs, c, link->a) <= missing(pairs, c, link->b) ? link->a : link->b;

	for (size_t i = 0; i < p->cand[u].n; i++) {
		uint32_t a = p->cand[u].v[i];
		int64_t **row = &c->row[pairs->number[a]];
		uint64_t before = pairs->work;
		if (*row)
			continue;
		*row = mem_array(p->s->n_nodes + 1, sizeof(**row));
		if (r->small)
			search_buckets(r, p->s->n_nodes, a, want(pairs, r, pairs->link_class[k], a), *row, &pairs->work);
		else
			search_paths(pairs, c, a, *row);
		if (!go_on(arg, pairs->work - before))
			return false;
	}
	return true;
}

bool pairs_init(struct pairs *pairs, const struct problem *p, const struct routing_prices *prices,
                bool (*go_on)(void *arg, uint64_t arcs), void *arg)
{
	struct reach r;
	bool going = true;

	*pairs = (struct pairs){ .p = p, .scale = prices ? prices->scale : 1 };
	pairs->number = mem_array(p->s->n_nodes + 1, sizeof(*pairs->number));
	pairs->host = mem_array(p->s->n_nodes + 1, sizeof(*pairs->host));
	pairs->stamp = mem_array(p->s->n_nodes + 1, sizeof(*pairs->stamp));
	pairs->classes = mem_array(p->r->n_links + 1, sizeof(*pairs->classes));
	pairs->link_class = mem_array(p->r->n_links + 1, sizeof(*pairs->link_class));
	pairs->sharp = mem_array(p->r->n_links + 1, sizeof(*pairs->sharp));
	pairs->room = mem_array(p->s->n_links + 1, sizeof(*pairs->room));
	pairs->flow = mem_array(p->s->n_links + 1, sizeof(*pairs->flow));
	pairs->links = mem_array(p->s->n_nodes + 1, sizeof(*pairs->links));
	path_space_init(&pairs->space, &p->graph);
	number_hosts(pairs);
	make_classes(pairs, prices);
	reach_init(&r, &p->graph);
	for (uint32_t c = 0; c < pairs->n_classes && going; c++) {
		reach_class(&r, pairs, &pairs->classes[c]);
		for (uint32_t k = 0; k < p->r->n_links && going; k++)
			if (pairs->link_class[k] == c)
				going = search_link(pairs, &r, k, go_on, arg);
	}
	reach_done(&r);
	return going;
}

void pairs_done(struct pairs *pairs)
{
	for (size_t c = 0; c < pairs->n_classes; c++) {
		for (uint32_t h = 0; h < pairs->n_hosts; h++)
			free(pairs->classes[c].row[h]);
		free(pairs->classes[c].row);
	}
	for (size_t k = 0; pairs->sharp && k < pairs->p->r->n_links; k++)
		free(pairs->sharp[k]);
	free(pairs->sharp);
	free(pairs->room);
	free(pairs->flow);
	free(pairs->links);
	free(pairs->classes);
	free(pairs->link_class);
	free(pairs->number);
	free(pairs->host);
	free(pairs->stamp);
	path_space_done(&pairs->space);
	memset(pairs, 0, sizeof(*pairs));
}

/* ---- what is asked of them ----------------------------------------------------------------- */

/* Where the pair's sharper cost is kept. */
static double *sharp_at(const struct pairs *pairs, uint32_t k, uint32_t a, uint32_t b)
{
	const struct vlink *link = &pairs->p->r->links[k];
	uint32_t node[2] = { a, b };
	size_t at[2];

	for (int end = 0; end < 2; end++) {
		const struct node_list *cand = &pairs->p->cand[end ? link->b : link->a];
		size_t low = 0, high = cand->n;
		while (low + 1 < high) {
			size_t mid = (low + high) / 2;
			if (cand->v[mid] <= node[end])
				low = mid;
			else
				high = mid;
		}
		at[end] = low;
	}
	return &pairs->sharp[k][at[0] * pairs->p->cand[link->b].n + at[1]];
}

double pairs_cost(const struct pairs *pairs, uint32_t k, uint32_t a, uint32_t b)
{
	const struct pair_class *c = &pairs->classes[pairs->link_class[k]];
	const struct vlink *link = &pairs->p->r->links[k];
	const int64_t *row = c->row[pairs->number[a]];

	if (a == b)
		return 0;
	int64_t dist = row ? row[b] : c->row[pairs->number[b]][a];
	if (dist == DIST_NONE)
		return INFINITY;
	double cost = (double)dist * (double)link->bw_kbps * (link->protect ? 2 : 1) / pairs->scale;
	return pairs->sharp[k] ? fmax(cost, *sharp_at(pairs, k, a, b)) : cost; /* of a number and NaN: the number */
}

bool pairs_blunt(const struct pairs *pairs, uint32_t k)
{
	const struct vlink *link = &pairs->p->r->links[k];

	return link->bw_kbps > 0 && (link->split || link->protect);
}

double pairs_dearest(const struct pairs *pairs, uint32_t k)
{
	const struct problem *p = pairs->p;
	const struct vlink *link = &p->r->links[k];
	double most = 0;

	for (size_t i = 0; i < p->cand[link->a].n; i++)
		for (size_t j = 0; j < p->cand[link->b].n; j++) {
			double cost = pairs_cost(pairs, k, p->cand[link->a].v[i], p->cand[link->b].v[j]);
			most = isfinite(cost) && cost > most ? cost : most;
		}
	return most;
}

/* A step of the walk back from `at` to where the row begins: over a link with enough left, to a node just so much
 * nearer, not seen yet; the roomiest. NO_LINK: none. */
static uint32_t step_back(const struct pairs *pairs, const struct pair_class *c, const int64_t *cap, const int64_t *row, int64_t need,
                          uint32_t at, uint32_t *ret_to)
{
	const struct graph *g = &pairs->p->graph;
	uint32_t best = NO_LINK;

	for (uint32_t i = g->first[at]; i < g->first[at + 1]; i++) {
		uint32_t l = g->arcs[i].link, to = g->arcs[i].to;
		if (cap[l] < need || row[to] == DIST_NONE || row[to] + c->weight[l] != row[at] || pairs->stamp[to] == pairs->round)
			continue;
		if (best == NO_LINK || cap[l] > cap[best]) {
			best = l;
			*ret_to = to;
		}
	}
	return best;
}

static void set_path(struct layout *at, uint32_t k, const uint32_t *links, size_t n, bool backwards)
{
	struct vroute *r = &at->route[k];

	if (n > r->cap) {
		r->cap = 2 * (uint32_t)n;
		r->links = mem_grow(r->links, r->cap, sizeof(*r->links));
	}
	for (size_t i = 0; i < n; i++)
		r->links[i] = links[backwards ? n - 1 - i : i];
	r->n_paths = 1;
	r->first[0] = 0;
	r->first[1] = (uint32_t)n;
	r->bw_kbps[0] = at->p->r->links[k].bw_kbps;
	r->backup = false;
	layout_set_route(at, k);
}

bool pairs_walks(const struct pairs *pairs, uint32_t k)
{
	const struct pair_class *c = &pairs->classes[pairs->link_class[k]];

	return !c->best_effort && c->max_delay < 0 && !pairs->p->r->links[k].protect;
}

/* A cheapest path for k between a and b over links with all its bandwidth left in cap, into pairs->links; SIZE_MAX: none.
 * *ret_backwards: from b to a. */
static size_t walk(struct pairs *pairs, uint32_t k, const int64_t *cap, uint32_t a, uint32_t b, bool *ret_backwards)
{
	const struct pair_class *c = &pairs->classes[pairs->link_class[k]];
	const uint32_t (*ends)[2] = (const uint32_t (*)[2])pairs->p->graph.ends;
	const int64_t *row = c->row[pairs->number[a]];
	uint32_t home = row ? a : b, v = row ? b : a; /* from the far end of the row to where it begins */
	size_t n = 0;

	*ret_backwards = row != NULL;
	row = row ? row : c->row[pairs->number[b]];
	if (row[v] == DIST_NONE)
		return SIZE_MAX;
	if (++pairs->round == 0) {
		memset(pairs->stamp, 0, (pairs->p->s->n_nodes + 1) * sizeof(*pairs->stamp));
		pairs->round = 1;
	}
	pairs->stamp[v] = pairs->round;
	while (v != home) {
		uint32_t next = NO_NODE, l = step_back(pairs, c, cap, row, pairs->p->r->links[k].bw_kbps, v, &next);
		pairs->work += pairs->p->graph.first[v + 1] - pairs->p->graph.first[v];
		if (l != NO_LINK) {
			pairs->links[n++] = l;
			v = next;
			pairs->stamp[v] = pairs->round;
		} else if (n > 0) { /* a dead end: its stamp stays */
			l = pairs->links[--n];
			v = ends[l][0] == v ? ends[l][1] : ends[l][0];
		} else {
			return SIZE_MAX;
		}
	}
	return n;
}

bool pairs_walk(struct pairs *pairs, struct layout *at, uint32_t k)
{
	const struct vlink *link = &pairs->p->r->links[k];
	bool backwards;
	size_t n = walk(pairs, k, at->cap, at->host[link->a], at->host[link->b], &backwards);

	if (n != SIZE_MAX)
		set_path(at, k, pairs->links, n, backwards);
	return n != SIZE_MAX;
}

bool pairs_detour(struct pairs *pairs, struct layout *at, uint32_t k)
{
	const struct vlink *link = &pairs->p->r->links[k];
	const struct pair_class *c = &pairs->classes[pairs->link_class[k]];
	uint32_t a = at->host[link->a], b = at->host[link->b];
	bool backwards = c->row[pairs->number[b]] == NULL;
	struct path_query q = { .weight = c->weight, .tie = pairs->p->link_tie, .cap = at->cap, .need = link->bw_kbps, .max_delay = -1,
	                        .ahead = c->row[pairs->number[backwards ? a : b]], .ahead_scale = 1 };
	uint64_t before = pairs->space.work;
	bool found = path_search(&pairs->space, &q, backwards ? b : a, backwards ? a : b);

	pairs->work += pairs->space.work - before;
	if (found)
		set_path(at, k, pairs->links, path_trace(&pairs->space, backwards ? a : b, pairs->links), backwards);
	return found;
}

const int64_t *pairs_row(const struct pairs *pairs, uint32_t k, uint32_t host)
{
	const struct pair_class *c = &pairs->classes[pairs->link_class[k]];

	return c->best_effort || c->max_delay >= 0 || pairs->number[host] == NO_NODE ? NULL : c->row[pairs->number[host]];
}

void pairs_sharpen(struct pairs *pairs, uint32_t k, uint32_t a, uint32_t b)
{
	const struct problem *p = pairs->p;
	const struct pair_class *c = &pairs->classes[pairs->link_class[k]];
	const struct vlink *link = &p->r->links[k];
	size_t n = p->cand[link->a].n * p->cand[link->b].n;
	uint64_t before = pairs->space.work;
	double cost = 0;
	bool backwards;

	if (pairs_walks(pairs, k) && walk(pairs, k, p->left->link_kbps, a, b, &backwards) != SIZE_MAX)
		return; /* one path carries it as cheaply as can be */
	if (!pairs->sharp[k]) {
		pairs->sharp[k] = mem_array(n + 1, sizeof(**pairs->sharp));
		for (size_t i = 0; i < n; i++)
			pairs->sharp[k][i] = NAN;
	}
	for (size_t l = 0; l < p->s->n_links; l++)
		pairs->room[l] = link->protect ? p->left->link_kbps[l] >= link->bw_kbps : p->left->link_kbps[l];
	if (flow_send(&pairs->space, c->weight, pairs->room, a, b, link->protect ? 2 : link->bw_kbps, pairs->flow))
		for (size_t l = 0; l < p->s->n_links; l++)
			cost += (double)llabs(pairs->flow[l]) * (double)c->weight[l];
	else
		cost = INFINITY;
	*sharp_at(pairs, k, a, b) = cost * (link->protect ? (double)link->bw_kbps : 1) / pairs->scale;
	pairs->work += pairs->space.work - before + p->s->n_links / 4;
}
