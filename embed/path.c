/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See path.h. A round number stamps what belongs to the current search, so that starting one
 * costs nothing on a large substrate. */
#include "embed/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- heap ---------------------------------------------------------------------------------- */

static bool heap_before(const struct heap_item *a, const struct heap_item *b)
{
	if (a->key != b->key)
		return a->key < b->key;
	if (a->tie != b->tie)
		return a->tie < b->tie;
	return a->id < b->id;
}

void heap_push(struct heap *h, int64_t key, int64_t tie, uint32_t id)
{
	if (h->n == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 64;
		h->v = mem_grow(h->v, h->cap, sizeof(*h->v));
	}
	struct heap_item item = { key, tie, id };
	size_t i = h->n++;
	while (i > 0 && heap_before(&item, &h->v[(i - 1) / 2])) {
		h->v[i] = h->v[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->v[i] = item;
}

struct heap_item heap_pop(struct heap *h)
{
	struct heap_item top = h->v[0], last = h->v[--h->n];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->n)
			break;
		if (child + 1 < h->n && heap_before(&h->v[child + 1], &h->v[child]))
			child++;
		if (!heap_before(&h->v[child], &last))
			break;
		h->v[i] = h->v[child];
		i = child;
	}
	h->v[i] = last;
	return top;
}

/* ---- space --------------------------------------------------------------------------------- */

void path_space_init(struct path_space *ps, const struct graph *g)
{
	*ps = (struct path_space){ .graph = g };
	ps->dist = mem_array(g->n_nodes + 1, sizeof(*ps->dist));
	ps->tie = mem_array(g->n_nodes + 1, sizeof(*ps->tie));
	ps->delay = mem_array(g->n_nodes + 1, sizeof(*ps->delay));
	ps->via = mem_array(g->n_nodes + 1, sizeof(*ps->via));
	ps->stamp = mem_array(g->n_nodes + 1, sizeof(*ps->stamp));
	ps->settled = mem_array(g->n_nodes + 1, sizeof(*ps->settled));
	ps->queue = mem_array(g->n_nodes + 1, sizeof(*ps->queue));
}

void path_space_done(struct path_space *ps)
{
	free(ps->dist);
	free(ps->tie);
	free(ps->delay);
	free(ps->via);
	free(ps->stamp);
	free(ps->settled);
	free(ps->queue);
	for (int i = 0; i < 2; i++) {
		free(ps->half[i].stamp);
		free(ps->half[i].level);
		free(ps->half[i].via);
		free(ps->half[i].queue);
		free(ps->half[i].tie);
	}
	free(ps->heap.v);
	free(ps->labels);
	memset(ps, 0, sizeof(*ps));
}

static void path_begin(struct path_space *ps, bool labelled)
{
	if (++ps->round == 0) {
		memset(ps->stamp, 0, (ps->graph->n_nodes + 1) * sizeof(*ps->stamp));
		ps->round = 1;
	}
	ps->heap.n = 0;
	ps->n_labels = 0;
	ps->labelled = labelled;
}

static bool link_usable(const struct path_query *q, uint32_t l)
{
	return (!q->cap || q->cap[l] >= q->need) && (!q->banned || !q->banned[l]);
}

static bool link_shut(const struct path_query *q, const struct graph *g, uint32_t l, uint32_t to)
{
	return q->shut && q->shut[l] & ((g->ends[l][1] == to) != q->backwards ? 2 : 1);
}

static int64_t weight_of(const struct path_query *q, uint32_t l)
{
	return q->unit > 0 ? q->unit : q->weight ? q->weight[l] : 1;
}

/* ---- cheapest paths ------------------------------------------------------------------------ */

static int64_t unit_of(const struct path_query *q)
{
	return q->unit > 0 ? q->unit : q->weight ? 0 : 1;
}

/* All links weigh the same: level by level. What ties at a node is settled once all of the level before have been
 * looked at, which is before the node itself is. */
static bool search_levels(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to)
{
	const struct graph *g = ps->graph;
	int64_t unit = unit_of(q);
	size_t head = 0, n = 0, wanted = q->n_wanted > 0 && q->wanted[from] ? 1 : 0;
	uint32_t *queue = ps->queue;

	ps->stamp[from] = ps->round;
	ps->dist[from] = ps->tie[from] = 0;
	ps->via[from] = NO_LINK;
	queue[n++] = from;
	while (head < n) {
		uint32_t v = queue[head++];
		int64_t dist = ps->dist[v] + unit;
		if (v == to)
			return true;
		if (q->n_wanted > 0 && wanted >= q->n_wanted && (!q->tie || ps->dist[v] == ps->dist[queue[n - 1]]))
			break;
		ps->work += g->first[v + 1] - g->first[v] + 1;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			bool seen = ps->stamp[w] == ps->round;
			if ((seen && (!q->tie || ps->dist[w] != dist)) || !link_usable(q, l) || link_shut(q, g, l, w))
				continue;
			int64_t tie = q->tie ? ps->tie[v] + q->tie[l] : 0;
			if (seen && tie >= ps->tie[w])
				continue;
			ps->tie[w] = tie;
			ps->via[w] = l;
			if (seen)
				continue;
			ps->stamp[w] = ps->round;
			ps->dist[w] = dist;
			queue[n++] = w;
			if (q->n_wanted > 0)
				wanted += q->wanted[w] != 0;
		}
	}
	return to == NO_NODE;
}

static bool search_plain(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to)
{
	const struct graph *g = ps->graph;
	size_t wanted = 0;

	ps->stamp[from] = ps->round;
	ps->dist[from] = ps->tie[from] = 0;
	ps->via[from] = NO_LINK;
	ps->settled[from] = 0;
	heap_push(&ps->heap, 0, 0, from);
	while (ps->heap.n > 0) {
		uint32_t v = heap_pop(&ps->heap).id;
		if (ps->settled[v])
			continue;
		ps->settled[v] = 1;
		if (v == to)
			return true;
		if (q->n_wanted > 0 && q->wanted[v] && ++wanted == q->n_wanted)
			break;
		ps->work += g->first[v + 1] - g->first[v] + 1;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			if (!link_usable(q, l) || link_shut(q, g, l, w))
				continue;
			int64_t dist = ps->dist[v] + q->weight[l];
			int64_t tie = ps->tie[v] + (q->tie ? q->tie[l] : 0);
			if (ps->stamp[w] == ps->round &&
			    (ps->settled[w] || dist > ps->dist[w] || (dist == ps->dist[w] && tie >= ps->tie[w])))
				continue;
			ps->stamp[w] = ps->round;
			ps->settled[w] = 0;
			ps->dist[w] = dist;
			ps->tie[w] = tie;
			ps->via[w] = l;
			if (!q->ahead)
				heap_push(&ps->heap, dist, tie, w);
			else if (q->ahead[w] != DIST_NONE)
				heap_push(&ps->heap, dist + q->ahead[w] * q->ahead_scale, tie, w);
		}
	}
	return to == NO_NODE;
}

static void label_make(struct path_space *ps, struct path_label label, bool queued)
{
	if (ps->n_labels == ps->cap_labels) {
		ps->cap_labels = ps->cap_labels ? 2 * ps->cap_labels : 256;
		ps->labels = mem_grow(ps->labels, ps->cap_labels, sizeof(*ps->labels));
	}
	ps->labels[ps->n_labels] = label;
	if (queued)
		heap_push(&ps->heap, label.dist, label.tie, (uint32_t)ps->n_labels);
	ps->n_labels++;
}

static void label_push(struct path_space *ps, struct path_label label)
{
	label_make(ps, label, true);
}

/* Labels leave the heap by (weight, tie): one is dominated exactly when an earlier one of its
 * node was no slower. */
static bool search_bounded(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to)
{
	const struct graph *g = ps->graph;

	label_push(ps, (struct path_label){ .node = from, .link = NO_LINK, .parent = NO_LINK });
	while (ps->heap.n > 0) {
		uint32_t id = heap_pop(&ps->heap).id;
		struct path_label at = ps->labels[id];
		bool first = ps->stamp[at.node] != ps->round;
		if (!first && at.delay >= ps->delay[at.node])
			continue;
		ps->delay[at.node] = at.delay;
		if (first) {
			ps->stamp[at.node] = ps->round;
			ps->dist[at.node] = at.dist;
			ps->tie[at.node] = at.tie;
			ps->via[at.node] = id;
		}
		if (at.node == to)
			return true;
		ps->work += g->first[at.node + 1] - g->first[at.node] + 1;
		for (uint32_t i = g->first[at.node]; i < g->first[at.node + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			int64_t delay = at.delay + q->delay[l];
			if (!link_usable(q, l) || link_shut(q, g, l, w) || delay > q->max_delay)
				continue;
			if (ps->stamp[w] == ps->round && delay >= ps->delay[w])
				continue;
			label_push(ps, (struct path_label){ at.dist + weight_of(q, l),
			                                    at.tie + (q->tie ? q->tie[l] : 0), delay, w, l, id });
		}
	}
	return to == NO_NODE;
}

bool path_search(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to)
{
	path_begin(ps, q->max_delay >= 0);
	if (ps->labelled)
		return search_bounded(ps, q, from, to);
	return unit_of(q) > 0 ? search_levels(ps, q, from, to) : search_plain(ps, q, from, to);
}

int64_t path_dist(const struct path_space *ps, uint32_t node)
{
	return ps->stamp[node] == ps->round ? ps->dist[node] : DIST_NONE;
}

int64_t path_tie(const struct path_space *ps, uint32_t node)
{
	return ps->tie[node];
}

static void turn_round(uint32_t *links, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t swap = links[i];
		links[i] = links[n - 1 - i];
		links[n - 1 - i] = swap;
	}
}

size_t path_trace(const struct path_space *ps, uint32_t node, uint32_t *links)
{
	const struct graph *g = ps->graph;
	size_t n = 0;

	if (ps->labelled) {
		for (uint32_t id = ps->via[node]; ps->labels[id].link != NO_LINK; id = ps->labels[id].parent)
			links[n++] = ps->labels[id].link;
	} else {
		while (ps->via[node] != NO_LINK) {
			uint32_t l = ps->via[node];
			links[n++] = l;
			node = g->ends[l][0] == node ? g->ends[l][1] : g->ends[l][0];
		}
	}
	turn_round(links, n);
	return n;
}

/* ---- from both ends ------------------------------------------------------------------------ */

static void halves_begin(struct path_space *ps)
{
	size_t n = ps->graph->n_nodes + 1;

	for (int i = 0; i < 2 && !ps->half[i].stamp; i++) {
		struct path_half *half = &ps->half[i];
		*half = (struct path_half){ mem_array(n, sizeof(*half->stamp)), mem_array(n, sizeof(*half->level)),
		                            mem_array(n, sizeof(*half->via)), mem_array(n, sizeof(*half->queue)),
		                            mem_array(n, sizeof(*half->tie)) };
	}
	if (++ps->half_round == 0) {
		for (int i = 0; i < 2; i++)
			memset(ps->half[i].stamp, 0, n * sizeof(*ps->half[i].stamp));
		ps->half_round = 1;
	}
}

struct frontier {
	struct path_half *half;
	size_t head, n;   /* the level reached: queue[head] … queue[n - 1] */
	uint32_t level;
};

static void frontier_begin(struct path_space *ps, struct frontier *f, struct path_half *half, uint32_t node)
{
	*f = (struct frontier){ .half = half, .n = 1 };
	half->queue[0] = node;
	half->stamp[node] = ps->half_round;
	half->level[node] = 0;
	half->tie[node] = 0;
	half->via[node] = NO_LINK;
}

/* One level further. Whether it met the other half. */
static bool frontier_grow(struct path_space *ps, const struct path_query *q, struct frontier *f, const struct path_half *other)
{
	const struct graph *g = ps->graph;
	struct path_half *half = f->half;
	size_t end = f->n;
	bool met = false;

	f->level++;
	for (; f->head < end; f->head++) {
		uint32_t v = half->queue[f->head];
		ps->work += g->first[v + 1] - g->first[v] + 1;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			bool seen = half->stamp[w] == ps->half_round;
			if ((seen && half->level[w] != f->level) || !link_usable(q, l) ||
			    link_shut(q, g, l, half == ps->half ? w : v))
				continue;
			int64_t tie = half->tie[v] + (q->tie ? q->tie[l] : 0);
			if (seen && tie >= half->tie[w])
				continue;
			half->tie[w] = tie;
			half->via[w] = l;
			if (seen)
				continue;
			half->stamp[w] = ps->half_round;
			half->level[w] = f->level;
			half->queue[f->n++] = w;
			met = met || other->stamp[w] == ps->half_round;
		}
	}
	return met;
}

static size_t half_trace(const struct graph *g, const struct path_half *half, uint32_t node, uint32_t *links)
{
	size_t n = 0;

	while (half->via[node] != NO_LINK) {
		uint32_t l = half->via[node];
		links[n++] = l;
		node = g->ends[l][0] == node ? g->ends[l][1] : g->ends[l][0];
	}
	return n;
}

/* The best link that joins both directly, as most pairs that are asked for are; NO_LINK: none. */
static uint32_t direct_link(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to)
{
	const struct graph *g = ps->graph;
	bool turned = g->first[to + 1] - g->first[to] < g->first[from + 1] - g->first[from];
	uint32_t at = turned ? to : from, other = turned ? from : to, best = NO_LINK;

	ps->work += (g->first[at + 1] - g->first[at]) / 2 + 1;
	for (uint32_t i = g->first[at]; i < g->first[at + 1]; i++) {
		uint32_t l = g->arcs[i].link;
		if (g->arcs[i].to == other && link_usable(q, l) && !link_shut(q, g, l, to) &&
		    (best == NO_LINK || (q->tie && q->tie[l] < q->tie[best])))
			best = l;
	}
	return best;
}

/* The halves meet first in whole levels: every path of fewest links has a node in the level just reached that is
 * in the last level of the other half, and the ties of both are final. */
static bool between_levels(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to,
                           uint32_t *links, size_t *ret_n)
{
	const struct graph *g = ps->graph;
	struct frontier f[2];
	uint32_t middle = NO_NODE;
	int64_t least = 0;
	int side;

	links[0] = direct_link(ps, q, from, to);
	*ret_n = 1;
	if (links[0] != NO_LINK)
		return true;
	halves_begin(ps);
	frontier_begin(ps, &f[0], &ps->half[0], from);
	frontier_begin(ps, &f[1], &ps->half[1], to);
	do {
		side = f[1].n - f[1].head < f[0].n - f[0].head ? 1 : 0;
		if (f[side].head == f[side].n)
			return false;
	} while (!frontier_grow(ps, q, &f[side], f[1 - side].half));
	for (size_t i = f[side].head; i < f[side].n; i++) {
		uint32_t v = f[side].half->queue[i];
		if (f[1 - side].half->stamp[v] != ps->half_round)
			continue;
		int64_t tie = ps->half[0].tie[v] + ps->half[1].tie[v];
		if (middle == NO_NODE || tie < least || (tie == least && v < middle)) {
			middle = v;
			least = tie;
		}
	}
	size_t n = half_trace(g, &ps->half[0], middle, links);
	turn_round(links, n);
	*ret_n = n + half_trace(g, &ps->half[1], middle, links + n);
	return true;
}

bool path_between(struct path_space *ps, const struct path_query *q, uint32_t from, uint32_t to, uint32_t *links,
                  size_t *ret_n)
{
	if (q->max_delay < 0 && unit_of(q) > 0)
		return between_levels(ps, q, from, to, links, ret_n);
	if (!path_search(ps, q, from, to))
		return false;
	*ret_n = path_trace(ps, to, links);
	return true;
}

/* ---- several sources ----------------------------------------------------------------------- */

void path_nearest(struct path_space *ps, const struct path_query *q, const uint32_t *sources, size_t n,
                  struct path_near *ret)
{
	const struct graph *g = ps->graph;

	for (size_t v = 0; v < g->n_nodes; v++)
		ret[v] = (struct path_near){ { DIST_NONE, DIST_NONE }, { NO_NODE, NO_NODE } };
	/* Where all links weigh the same, labels come in the order in which they were made. */
	bool levels = unit_of(q) > 0;
	size_t lacking = g->n_nodes;
	path_begin(ps, true);
	for (size_t i = 0; i < n; i++)
		label_make(ps, (struct path_label){ .node = sources[i], .link = NO_LINK, .parent = sources[i] }, !levels);
	for (size_t next = 0; levels ? next < ps->n_labels : ps->heap.n > 0; next++) {
		struct path_label at = ps->labels[levels ? next : heap_pop(&ps->heap).id]; /* parent: the source */
		struct path_near *near = &ret[at.node];
		if (near->source[0] == at.parent || near->source[1] != NO_NODE)
			continue;
		int place = near->source[0] == NO_NODE ? 0 : 1;
		near->source[place] = at.parent;
		near->dist[place] = at.dist;
		if (place == 1 && --lacking == 0)
			break;
		ps->work += g->first[at.node + 1] - g->first[at.node] + 1;
		for (uint32_t i = g->first[at.node]; i < g->first[at.node + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			if (!link_usable(q, l) || ret[w].source[1] != NO_NODE || ret[w].source[0] == at.parent)
				continue;
			label_make(ps, (struct path_label){ .dist = at.dist + weight_of(q, l),
			                                    .node = w, .link = l, .parent = at.parent }, !levels);
		}
	}
	ps->n_labels = 0;
}

int64_t path_widest(struct path_space *ps, const int64_t *cap, const uint32_t *sources, size_t n_sources,
                    const uint32_t *targets, size_t n_targets)
{
	const struct graph *g = ps->graph;
	int64_t widest = 0;

	path_begin(ps, false);
	for (size_t i = 0; i < n_sources; i++) {
		ps->stamp[sources[i]] = ps->round;
		ps->settled[sources[i]] = 0;
		ps->dist[sources[i]] = INT64_MIN;
		heap_push(&ps->heap, INT64_MIN, 0, sources[i]);
	}
	/* dist: minus the width of the best path that arrives at a node. A source counts as a
	 * target through the paths that leave it, not by being one. */
	mem_auto int64_t *width = mem_array(g->n_nodes + 1, sizeof(*width));
	while (ps->heap.n > 0) {
		uint32_t v = heap_pop(&ps->heap).id;
		if (ps->settled[v])
			continue;
		ps->settled[v] = 1;
		ps->work += g->first[v + 1] - g->first[v] + 1;
		for (uint32_t i = g->first[v]; i < g->first[v + 1]; i++) {
			uint32_t l = g->arcs[i].link, w = g->arcs[i].to;
			int64_t wide = -cap[l] > ps->dist[v] ? -cap[l] : ps->dist[v];
			if (-wide > width[w])
				width[w] = -wide;
			if (ps->stamp[w] == ps->round && wide >= ps->dist[w])
				continue;
			ps->stamp[w] = ps->round;
			ps->settled[w] = 0;
			ps->dist[w] = wide;
			heap_push(&ps->heap, wide, 0, w);
		}
	}
	for (size_t i = 0; i < n_targets; i++)
		if (width[targets[i]] > widest)
			widest = width[targets[i]];
	return widest;
}
