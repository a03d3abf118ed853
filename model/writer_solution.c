/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A solver's answer, as JSON fixed by formats.md (nothing may be dropped from it or renamed) and
 * as text. What is not known is left out. */
#include <stdio.h>

#include "base/mem.h"
#include "model/embedding.h"
#include "model/request.h"
#include "model/substrate.h"
#include "model/writer.h"

/* The nodes along a path, or NULL where it is none: the caller has checked, the writer is safe anyway. */
static uint32_t *via_of(const struct substrate *s, uint32_t from, const struct path *p)
{
	uint32_t *via = mem_array(p->n + 1, sizeof(*via));

	if (path_via(s, from, p, via, NULL) == 0)
		return via;
	mem_free_at(&via);
	return NULL;
}

static void write_path_fields(struct writer *w, const struct substrate *s, uint32_t from, const struct path *p)
{
	mem_auto uint32_t *via = via_of(s, from, p);

	write_list(w, "via", NULL);
	for (size_t h = 0; via && h <= p->n; h++)
		write_string(w, NULL, NULL, s->nodes[via[h]].name);
	write_end(w);
	write_list(w, "links", NULL);
	for (size_t h = 0; via && h < p->n; h++)
		write_string(w, NULL, NULL, s->links[p->links[h]].name);
	write_end(w);
	write_number(w, "mbit", NULL, (double)p->bw_kbps / 1000, 3);
}

static void write_links_json(struct writer *w, const struct substrate *s, const struct request *r, const struct embedding *e)
{
	write_list(w, "links", NULL);
	for (size_t i = 0; i < e->n_links; i++) {
		const struct vlink *l = &r->links[i];
		const struct vlink_map *map = &e->links[i];

		write_object(w, NULL, NULL);
		write_string(w, "name", NULL, l->name);
		write_list(w, "endpoints", NULL);
		write_string(w, NULL, NULL, r->nodes[l->a].name);
		write_string(w, NULL, NULL, r->nodes[l->b].name);
		write_end(w);
		write_list(w, "paths", NULL);
		for (size_t k = 0; k < map->n_paths; k++) {
			write_object(w, NULL, NULL);
			write_path_fields(w, s, e->host[l->a], &map->paths[k]);
			write_end(w);
		}
		write_end(w);
		if (map->backup.n) {
			write_object(w, "backup", NULL);
			write_path_fields(w, s, e->host[l->a], &map->backup);
			write_end(w);
		}
		write_end(w);
	}
	write_end(w);
}

static void write_nodes_json(struct writer *w, const struct substrate *s, const struct request *r, const struct embedding *e)
{
	write_object(w, "nodes", NULL);
	for (size_t i = 0; i < e->n_nodes; i++)
		write_string(w, r->nodes[i].name, NULL, s->nodes[e->host[i]].name);
	write_end(w);
	write_object(w, "kinds", NULL);
	for (size_t i = 0; i < e->n_nodes; i++)
		write_string(w, r->nodes[i].name, NULL, e->kind[i]);
	write_end(w);
}

/* ---- text ------------------------------------------------------------------------------- */

static void write_summary(struct writer *w, const struct request *r, const struct solution *sol)
{
	buf_auto struct buf text = BUF_INIT;
	double gap;

	buf_printf(&text, "%s: %s", r->name, solve_status_names[sol->status]);
	if (sol->scope != SCOPE_UNSAID)
		buf_printf(&text, " (%s)", sol->scope == SCOPE_NOW ? "now" : "never");
	if (sol->has_embedding)
		buf_printf(&text, ", cost %.10g", sol->cost);
	if (sol->has_embedding && sol->objective != sol->cost)
		buf_printf(&text, ", objective %.10g", sol->objective);
	if (sol->has_bound)
		buf_printf(&text, ", bound %.10g", sol->bound);
	if (solution_gap(sol, &gap))
		buf_printf(&text, ", gap %.2g %%", 100 * gap);
	if (sol->has_embedding)
		buf_printf(&text, ", revenue %.10g", nano_to_units(request_revenue_nano(r)));
	buf_printf(&text, "; %.3g s, %s", sol->seconds, sol->solver);
	write_line(w, "%s", buf_cstr(&text));
	if (!sol->has_embedding && sol->reason[0])
		write_line(w, "  %s", sol->reason);
	if (!sol->has_embedding && sol->relax[0])
		write_line(w, "  it would fit with %s", sol->relax);
}

static void write_path_row(struct writer *w, const struct substrate *s, const struct request *r,
                           const struct embedding *e, size_t link, const struct path *p, const char *role)
{
	const struct vlink *l = &r->links[link];
	mem_auto uint32_t *via = via_of(s, e->host[l->a], p);
	buf_auto struct buf names = BUF_INIT;
	char text[UNITS_TEXT];

	for (size_t h = 0; via && h <= p->n; h++)
		buf_printf(&names, "%s%s", h ? " " : "", s->nodes[via[h]].name);
	write_object(w, NULL, NULL);
	write_string(w, NULL, "link", l->name);
	write_quantity(w, NULL, "bandwidth", 0, p->bw_kbps ? units_bandwidth_text(p->bw_kbps, text) : "best effort");
	write_quantity(w, NULL, "delay", 0, via ? units_delay_text(path_delay_us(s, p), text) : "");
	write_string(w, NULL, "path", role);
	write_string(w, NULL, "via", buf_cstr(&names));
	write_end(w);
}

static void write_tables(struct writer *w, const struct substrate *s, const struct request *r, const struct embedding *e)
{
	write_list(w, NULL, "routers");
	for (size_t i = 0; i < e->n_nodes; i++) {
		write_object(w, NULL, NULL);
		write_string(w, NULL, "router", r->nodes[i].name);
		write_string(w, NULL, "node", s->nodes[e->host[i]].name);
		write_string(w, NULL, "kind", e->kind[i]);
		write_end(w);
	}
	write_end(w);
	if (!e->n_links)
		return;
	write_list(w, NULL, "links");
	for (size_t i = 0; i < e->n_links; i++) {
		const struct vlink_map *map = &e->links[i];
		const struct path inside = { .bw_kbps = r->links[i].bw_kbps };

		for (size_t k = 0; k < map->n_paths; k++)
			write_path_row(w, s, r, e, i, &map->paths[k], map->n_paths > 1 ? "share" : "single");
		if (!map->n_paths)
			write_path_row(w, s, r, e, i, &inside, "inside");
		if (map->backup.n)
			write_path_row(w, s, r, e, i, &map->backup, "backup");
	}
	write_end(w);
}

void write_solution(struct writer *w, const struct substrate *s, const struct request *r, const struct solution *sol)
{
	static const char *const scopes[] = { [SCOPE_NOW] = "now", [SCOPE_NEVER] = "never" };
	double gap;

	write_object(w, NULL, "");
	write_summary(w, r, sol);
	write_string(w, "request", NULL, r->name);
	write_string(w, "status", NULL, solve_status_names[sol->status]);
	write_string(w, "scope", NULL, scopes[sol->scope]);
	if (sol->has_embedding)
		write_number(w, "cost", NULL, sol->cost, 3);
	if (sol->has_embedding && sol->objective != sol->cost)
		write_number(w, "objective", NULL, sol->objective, 3);
	if (sol->has_bound)
		write_number(w, "bound", NULL, sol->bound, 3);
	if (solution_gap(sol, &gap))
		write_number(w, "gap", NULL, gap, 4);
	if (sol->has_embedding)
		write_number(w, "revenue", NULL, nano_to_units(request_revenue_nano(r)), 3);
	write_number(w, "seconds", NULL, sol->seconds, 4);
	write_string(w, "solver", NULL, sol->solver);
	if (sol->has_embedding) {
		write_nodes_json(w, s, r, &sol->embedding);
		write_links_json(w, s, r, &sol->embedding);
		write_tables(w, s, r, &sol->embedding);
	} else {
		write_string(w, "reason", NULL, sol->reason[0] ? sol->reason : NULL);
		write_string(w, "relax", NULL, sol->relax[0] ? sol->relax : NULL);
	}
	write_end(w);
}
