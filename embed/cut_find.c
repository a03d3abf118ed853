/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See cut.h: where cuts worth weighing are guessed, and the words for one that holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "embed/cut.h"

enum { NAMED = 6 };

struct guess {
	const struct problem *p;
	uint64_t effort, *work, begun;
	struct err *why;
	bool proven;
	int64_t total;             /* all that is asked for: a wider cut is none */
	int64_t need_kbps;         /* > 0: links count 1 each, those with so much left */
	int64_t *flow;             /* per link: > 0 from ends[0] to ends[1] */
	uint32_t *queue, *via;     /* breadth-first; via: arc's link + 1, 0: not reached */
	uint8_t *from, *to, *inside;
};

static bool guess_over(const struct guess *g)
{
	return g->proven || *g->work - g->begun >= g->effort;
}

/* ---- words --------------------------------------------------------------------------------- */

static void name_nodes(const struct problem *p, const uint8_t *inside, struct buf *out)
{
	size_t n = 0, shown = 0;

	for (size_t a = 0; a < p->s->n_nodes; a++)
		n += inside[a] != 0;
	uint8_t few = n * 2 <= p->s->n_nodes; /* the smaller side */
	n = few ? n : p->s->n_nodes - n;
	buf_char(out, '{');
	for (size_t a = 0; a < p->s->n_nodes && shown < NAMED; a++)
		if ((inside[a] != 0) == few)
			buf_printf(out, "%s%s", shown++ ? ", " : "", p->s->nodes[a].name);
	if (n > shown)
		buf_printf(out, " and %zu more", n - shown);
	buf_char(out, '}');
}

static void name_links(const struct problem *p, const uint8_t *side, struct buf *out)
{
	size_t n = 0;

	for (size_t k = 0; k < p->r->n_links; k++) {
		const struct vlink *link = &p->r->links[k];
		if (side[link->a] == side[link->b] || link->bw_kbps == 0)
			continue;
		if (n++ < NAMED)
			buf_printf(out, "%s%s", n > 1 ? ", " : "", link->name);
	}
	if (n > NAMED)
		buf_printf(out, " and %zu more", n - NAMED);
}

/* No division at all is possible. */
static void tell_barrier(const struct guess *g, const struct cut *cut, const char *nodes)
{
	char left[UNITS_TEXT], widest[UNITS_TEXT], ask[UNITS_TEXT];
	const struct vlink *link = cut->stuck < g->p->r->n_links ? &g->p->r->links[cut->stuck] : NULL;

	units_bandwidth_text(cut->left_kbps, left);
	units_bandwidth_text(cut->widest_kbps, widest);
	if (link)
		units_bandwidth_text(link->bw_kbps, ask);
	if (link && link->protect)
		err_set(g->why, -ENOENT, "%s is protected and must cross the cut %s | rest, where no two links without a common risk "
		        "have %s left", link->name, nodes, ask);
	else if (link)
		err_set(g->why, -ENOENT, "%s asks for %s and must cross the cut %s | rest, where no link has more than %s left",
		        link->name, ask, nodes, widest);
	else
		err_set(g->why, -ENOENT, "the cut %s | rest has %s left on %zu link%s, the widest %s: however the routers are divided "
		        "between its sides, a virtual link must cross it that none of them can carry", nodes, left, cut->n_border,
		        cut->n_border == 1 ? "" : "s", widest);
}

static void tell(const struct guess *g, const struct cut *cut)
{
	buf_auto struct buf nodes = BUF_INIT, links = BUF_INIT;
	char left[UNITS_TEXT], need[UNITS_TEXT], widest[UNITS_TEXT];

	name_nodes(g->p, g->inside, &nodes);
	if (cut->need_kbps == INT64_MAX) {
		tell_barrier(g, cut, buf_cstr(&nodes));
		return;
	}
	name_links(g->p, cut->side, &links);
	units_bandwidth_text(cut->left_kbps, left);
	units_bandwidth_text(cut->need_kbps, need);
	if (cut->pieces)
		err_set(g->why, -ENOENT, "the cut %s | rest has %s left on %zu links, the widest %s: not in pieces that carry what must "
		        "cross%s: %s, %s in all", buf_cstr(&nodes), left, cut->n_border,
		        units_bandwidth_text(cut->widest_kbps, widest),
		        cut->forced ? "" : " however the routers are divided, at best", buf_cstr(&links), need);
	else
		err_set(g->why, -ENOENT, "the cut %s | rest has %s left, %s must cross%s: %s", buf_cstr(&nodes), left, need,
		        cut->forced ? "" : " however the routers are divided, at best", buf_cstr(&links));
}

static void weigh(struct guess *g)
{
	struct cut cut;

	if (guess_over(g))
		return;
	g->proven = cut_weigh(g->p, g->inside, g->work, &cut);
	if (g->proven)
		tell(g, &cut);
	free(cut.side);
}

/* ---- guesses ------------------------------------------------------------------------------- */

static int64_t room_along(const struct guess *g, uint32_t l, uint32_t out)
{
	int64_t left = g->p->left->link_kbps[l];

	if (g->need_kbps > 0)
		left = left >= g->need_kbps;
	return left + (g->p->graph.ends[l][0] == out ? -g->flow[l] : g->flow[l]);
}

/* One augmenting path from `from` to `to` with fewest hops; 0: none, and `via` marks what was reached. */
static int64_t push(struct guess *g)
{
	const struct graph *graph = &g->p->graph;
	size_t head = 0, queued = 0;
	uint32_t end = NO_NODE;

	memset(g->via, 0, (graph->n_nodes + 1) * sizeof(*g->via));
	for (uint32_t a = 0; a < graph->n_nodes; a++)
		if (g->from[a]) {
			g->via[a] = UINT32_MAX;
			g->queue[queued++] = a;
		}
	while (head < queued && end == NO_NODE) {
		uint32_t v = g->queue[head++];
		*g->work += graph->first[v + 1] - graph->first[v];
		for (uint32_t i = graph->first[v]; i < graph->first[v + 1] && end == NO_NODE; i++) {
			const struct arc *arc = &graph->arcs[i];
			if (g->via[arc->to] != 0 || room_along(g, arc->link, v) <= 0)
				continue;
			g->via[arc->to] = arc->link + 1;
			g->queue[queued++] = arc->to;
			if (g->to[arc->to])
				end = arc->to;
		}
	}
	if (end == NO_NODE)
		return 0;
	int64_t room = INT64_MAX;
	for (int set = 0; set < 2; set++)
		for (uint32_t v = end; g->via[v] != UINT32_MAX;) {
			uint32_t l = g->via[v] - 1, before = graph->ends[l][0] == v ? graph->ends[l][1] : graph->ends[l][0];
			if (set)
				g->flow[l] += graph->ends[l][0] == before ? room : -room;
			else if (room_along(g, l, before) < room)
				room = room_along(g, l, before);
			v = before;
		}
	return room;
}

/* A minimum cut between `from` and `to`, unless it carries all that is asked for anyway. */
static void guess_flow(struct guess *g)
{
	int64_t sent = 0, more;

	for (size_t a = 0; a < g->p->s->n_nodes; a++)
		if (g->from[a] && g->to[a])
			return;
	memset(g->flow, 0, (g->p->s->n_links + 1) * sizeof(*g->flow));
	while (!guess_over(g) && sent < g->total && (more = push(g)) > 0)
		sent += more;
	if (guess_over(g) || sent >= g->total)
		return;
	for (size_t a = 0; a < g->p->s->n_nodes; a++)
		g->inside[a] = g->via[a] != 0;
	weigh(g);
}

/* What hangs together by links with `need` left, each for itself. */
static void guess_components(struct guess *g, int64_t need)
{
	const struct graph *graph = &g->p->graph;
	mem_auto uint8_t *seen = mem_array(graph->n_nodes + 1, 1);

	for (uint32_t root = 0; root < graph->n_nodes && !guess_over(g); root++) {
		size_t head = 0, n = 0;
		if (seen[root])
			continue;
		memset(g->inside, 0, graph->n_nodes + 1);
		seen[root] = g->inside[root] = 1;
		g->queue[n++] = root;
		while (head < n) {
			uint32_t v = g->queue[head++];
			*g->work += graph->first[v + 1] - graph->first[v];
			for (uint32_t i = graph->first[v]; i < graph->first[v + 1]; i++) {
				uint32_t to = graph->arcs[i].to;
				if (seen[to] || g->p->left->link_kbps[graph->arcs[i].link] < need)
					continue;
				seen[to] = g->inside[to] = 1;
				g->queue[n++] = to;
			}
		}
		if (n < graph->n_nodes)
			weigh(g);
	}
}

static void mark_candidates(const struct problem *p, uint32_t u, uint8_t *mark)
{
	for (size_t i = 0; i < p->cand[u].n; i++)
		mark[p->cand[u].v[i]] = 1;
}

/* Between the candidates of u and growing company, and those of all that is joined to them. */
static void guess_around(struct guess *g, uint32_t u)
{
	const struct problem *p = g->p;
	size_t n = p->s->n_nodes, members = 0;
	mem_auto uint8_t *member = mem_array(p->r->n_nodes + 1, 1);
	mem_auto uint32_t *list = mem_array(p->r->n_nodes + 1, sizeof(*list));

	memset(g->from, 0, n + 1);
	list[members++] = u;
	member[u] = 1;
	for (size_t i = 0; i < members && !guess_over(g); i++) {
		mark_candidates(p, list[i], g->from);
		memset(g->to, 0, n + 1);
		bool any = false;
		for (size_t j = 0; j <= i; j++)
			for (uint32_t x = p->vfirst[list[j]]; x < p->vfirst[list[j] + 1]; x++) {
				uint32_t v = p->varcs[x].to;
				bool grown = false;
				for (size_t y = 0; y <= i && !grown; y++)
					grown = list[y] == v;
				if (grown)
					continue;
				mark_candidates(p, v, g->to);
				any = true;
				if (!member[v]) {
					member[v] = 1;
					list[members++] = v;
				}
			}
		if (!any)
			continue;
		memcpy(g->inside, g->from, n);
		weigh(g);
		guess_flow(g);
	}
}

/* Between the node with most bandwidth around it and each other. */
static void guess_between(struct guess *g)
{
	const struct graph *graph = &g->p->graph;
	int64_t most = -1;
	uint32_t hub = 0;

	for (uint32_t a = 0; a < graph->n_nodes; a++) {
		int64_t sum = 0;
		for (uint32_t i = graph->first[a]; i < graph->first[a + 1]; i++)
			sum += g->p->left->link_kbps[graph->arcs[i].link];
		if (sum > most) {
			most = sum;
			hub = a;
		}
	}
	memset(g->from, 0, graph->n_nodes + 1);
	memset(g->to, 0, graph->n_nodes + 1);
	g->to[hub] = 1;
	for (uint32_t a = 0; a < graph->n_nodes && !guess_over(g); a++) {
		g->from[a] = 1;
		memcpy(g->inside, g->from, graph->n_nodes);
		weigh(g);
		guess_flow(g); /* not where a is the hub */
		g->from[a] = 0;
	}
}

/* A protected link needs two ways that share nothing. */
static void guess_protected(struct guess *g, uint32_t k)
{
	const struct problem *p = g->p;
	const struct vlink *link = &p->r->links[k];
	int64_t total = g->total;

	memset(g->from, 0, p->s->n_nodes + 1);
	memset(g->to, 0, p->s->n_nodes + 1);
	mark_candidates(p, link->a, g->from);
	mark_candidates(p, link->b, g->to);
	g->need_kbps = link->bw_kbps > 0 ? link->bw_kbps : 1;
	g->total = 2;
	guess_flow(g);
	g->need_kbps = 0;
	g->total = total;
}

static void guess_all(struct guess *g)
{
	const struct request *r = g->p->r;

	for (uint32_t k = 0; k < r->n_links; k++) {
		bool before = false;
		for (uint32_t j = 0; j < k && !before; j++)
			before = r->links[j].bw_kbps == r->links[k].bw_kbps;
		if (!before && !guess_over(g))
			guess_components(g, r->links[k].bw_kbps > 0 ? r->links[k].bw_kbps : 1);
	}
	for (uint32_t k = 0; k < r->n_links && !guess_over(g); k++)
		if (r->links[k].protect)
			guess_protected(g, k);
	for (uint32_t u = 0; u < r->n_nodes && !guess_over(g); u++)
		guess_around(g, u);
	guess_between(g);
}

bool cut_find(const struct problem *p, uint64_t effort, uint64_t *work, struct err *why)
{
	size_t n = p->s->n_nodes + 1;
	struct guess g = { .p = p, .effort = effort, .work = work, .begun = *work, .why = why };

	for (size_t k = 0; k < p->r->n_links; k++)
		g.total += p->r->links[k].bw_kbps * (p->r->links[k].protect ? 2 : 1);
	g.flow = mem_array(p->s->n_links + 1, sizeof(*g.flow));
	g.queue = mem_array(n, sizeof(*g.queue));
	g.via = mem_array(n, sizeof(*g.via));
	g.from = mem_array(n, 1);
	g.to = mem_array(n, 1);
	g.inside = mem_array(n, 1);
	guess_all(&g);
	free(g.flow);
	free(g.queue);
	free(g.via);
	free(g.from);
	free(g.to);
	free(g.inside);
	return g.proven;
}
