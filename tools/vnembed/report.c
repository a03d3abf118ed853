/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnembed --report. Nothing here is meant to be parsed: that is what -o json is for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tools/vnembed/vnembed.h"

enum { SHOWN = 10, BAR = 20 };

static void bar(struct buf *out, double ratio)
{
	int full = (int)(ratio * BAR + 0.5);

	for (int i = 0; i < BAR; i++)
		buf_str(out, i < full ? "█" : "·");
}

/* ---- one answer ---------------------------------------------------------------------------- */

static void report_routers(const struct substrate *s, const struct request *r, const struct embedding *e, struct buf *out)
{
	size_t widest = 0;

	for (size_t u = 0; u < r->n_nodes; u++)
		widest = strlen(r->nodes[u].name) > widest ? strlen(r->nodes[u].name) : widest;
	for (size_t u = 0; u < r->n_nodes; u++) {
		char cpu[UNITS_TEXT], memory[UNITS_TEXT];
		const int64_t *demand = r->nodes[u].demand;
		buf_printf(out, "  %-*s  on %s, %s, cpu %s", (int)widest, r->nodes[u].name, s->nodes[e->host[u]].name, e->kind[u],
		           units_cpu_text(demand[RES_CPU_MILLI], cpu));
		if (demand[RES_MEM_KIB])
			buf_printf(out, ", memory %s", units_memory_text(demand[RES_MEM_KIB], memory));
		buf_char(out, '\n');
	}
}

static void report_path(const struct substrate *s, uint32_t from, const struct path *p, const struct vlink *k, const char *role, struct buf *out)
{
	mem_auto uint32_t *via = mem_array(p->n + 1, sizeof(*via));
	char text[UNITS_TEXT], most[UNITS_TEXT];

	if (path_via(s, from, p, via, NULL) != 0)
		return;
	buf_printf(out, "    %s ", role);
	for (size_t h = 0; h <= p->n; h++)
		buf_printf(out, "%s%s", h ? " → " : "", s->nodes[via[h]].name);
	buf_printf(out, ", %s", p->bw_kbps ? units_bandwidth_text(p->bw_kbps, text) : "best effort");
	buf_printf(out, ", %s", units_delay_text(path_delay_us(s, p), text));
	if (k->max_delay_us >= 0)
		buf_printf(out, " of %s", units_delay_text(k->max_delay_us, most));
	buf_char(out, '\n');
}

static void report_links(const struct substrate *s, const struct request *r, const struct embedding *e, struct buf *out)
{
	for (size_t i = 0; i < r->n_links; i++) {
		const struct vlink *k = &r->links[i];
		buf_printf(out, "  %s: %s – %s\n", k->name, r->nodes[k->a].name, r->nodes[k->b].name);
		if (e->links[i].n_paths == 0)
			buf_printf(out, "    inside %s\n", s->nodes[e->host[k->a]].name);
		for (size_t p = 0; p < e->links[i].n_paths; p++)
			report_path(s, e->host[k->a], &e->links[i].paths[p], k, e->links[i].n_paths > 1 ? "share" : "by", out);
		if (e->links[i].backup.n)
			report_path(s, e->host[k->a], &e->links[i].backup, k, "backup", out);
	}
}

void report_solution(const struct substrate *s, const struct request *r, const struct solution *answer, struct buf *out)
{
	double gap;

	buf_printf(out, "%s: %s", r->name, solve_status_names[answer->status]);
	if (answer->scope != SCOPE_UNSAID)
		buf_str(out, answer->scope == SCOPE_NOW ? ", not now" : ", never");
	buf_printf(out, " (%s, %.3g s)\n", answer->solver, answer->seconds);
	if (!answer->has_embedding) {
		buf_printf(out, "  why: %s\n", answer->reason);
		if (answer->relax[0])
			buf_printf(out, "  it would fit with %s\n", answer->relax);
		return;
	}
	int64_t nodes = 0;
	for (size_t u = 0; u < r->n_nodes; u++)
		nodes += r->nodes[u].demand[RES_CPU_MILLI] * s->nodes[answer->embedding.host[u]].cost_micro;
	double routers = nano_to_units(nodes), revenue = nano_to_units(request_revenue_nano(r));
	buf_printf(out, "  cost %.10g: routers %.10g, links %.10g", answer->cost, routers, answer->cost - routers);
	if (answer->has_bound)
		buf_printf(out, "; at least %.10g is needed", answer->bound);
	if (solution_gap(answer, &gap))
		buf_printf(out, ", gap %.2g %%", 100 * gap);
	buf_printf(out, "; revenue %.10g", revenue);
	if (answer->cost > 0)
		buf_printf(out, ", %.3g of the cost", revenue / answer->cost);
	buf_char(out, '\n');
	report_routers(s, r, &answer->embedding, out);
	report_links(s, r, &answer->embedding, out);
}

/* ---- the substrate ------------------------------------------------------------------------- */

struct load {
	const char *name;
	int64_t has, used;
};

static int by_load(const void *x, const void *y)
{
	const struct load *a = x, *b = y;
	__int128 left = (__int128)a->used * b->has, right = (__int128)b->used * a->has;

	if (left != right)
		return left < right ? 1 : -1;
	return a < b ? -1 : 1; /* in order */
}

static void report_loads(const char *what, struct load *load, size_t n, const char *(*text)(int64_t, char[static UNITS_TEXT]), struct buf *out)
{
	char used[UNITS_TEXT], has[UNITS_TEXT];
	double sum_used = 0, sum_has = 0;
	size_t busy = 0;
	int widest = 0;

	for (size_t i = 0; i < n; i++) {
		sum_used += (double)load[i].used;
		sum_has += (double)load[i].has;
		busy += load[i].used > 0;
	}
	qsort(load, n, sizeof(*load), by_load);
	buf_printf(out, "%s: %.3g %% used, %zu of %zu at all\n", what, sum_has > 0 ? 100 * sum_used / sum_has : 0, busy, n);
	for (size_t i = 0; i < busy && i < SHOWN; i++)
		widest = (int)strlen(load[i].name) > widest ? (int)strlen(load[i].name) : widest;
	for (size_t i = 0; i < busy && i < SHOWN; i++) {
		double ratio = load[i].has > 0 ? (double)load[i].used / (double)load[i].has : 1;
		buf_printf(out, "  %-*s  ", widest, load[i].name);
		bar(out, ratio);
		buf_printf(out, " %5.1f %%  %s of %s\n", 100 * ratio, text(load[i].used, used), text(load[i].has, has));
	}
	if (busy > SHOWN)
		buf_printf(out, "  and %zu more, less used\n", busy - SHOWN);
}

void report_substrate(const struct substrate *s, const struct residual *left, struct buf *out)
{
	mem_auto struct load *nodes = mem_array(s->n_nodes + 1, sizeof(*nodes)), *links = mem_array(s->n_links + 1, sizeof(*links));

	for (size_t a = 0; a < s->n_nodes; a++) {
		int64_t has = s->nodes[a].cap[RES_CPU_MILLI];
		nodes[a] = (struct load){ s->nodes[a].name, has, has - left->node[a][RES_CPU_MILLI] };
	}
	for (size_t l = 0; l < s->n_links; l++)
		links[l] = (struct load){ s->links[l].name, s->links[l].bw_kbps, s->links[l].bw_kbps - left->link_kbps[l] };
	report_loads("cpu of nodes", nodes, s->n_nodes, units_cpu_text, out);
	report_loads("bandwidth of links", links, s->n_links, units_bandwidth_text, out);
}
