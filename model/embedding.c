/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Embeddings, what they leave of a substrate, and what they cost.
 *
 * Plain arithmetic on integers; whether an embedding is allowed is embedding_check.c's word
 * alone. Sums are built in 128 bits and saturate, so that no cost can wrap around. */
#include "model/embedding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *const solve_status_names[] = {
	[SOLVE_OPTIMAL] = "optimal",       [SOLVE_FEASIBLE] = "feasible", [SOLVE_INFEASIBLE] = "infeasible",
	[SOLVE_REFUSED] = "refused",       [SOLVE_UNKNOWN] = "unknown",
};

void embedding_init(struct embedding *e, size_t n_nodes, size_t n_links)
{
	*e = (struct embedding){
		.host = mem_array(n_nodes, sizeof(*e->host)),
		.kind = mem_array(n_nodes, sizeof(*e->kind)),
		.links = mem_array(n_links, sizeof(*e->links)),
		.n_nodes = n_nodes,
		.n_links = n_links,
	};
	for (size_t i = 0; i < n_nodes; i++)
		e->host[i] = UINT32_MAX;
}

void embedding_done(struct embedding *e)
{
	for (size_t i = 0; e->kind && i < e->n_nodes; i++)
		free(e->kind[i]);
	for (size_t i = 0; e->links && i < e->n_links; i++) {
		for (size_t k = 0; e->links[i].paths && k < e->links[i].n_paths; k++)
			free(e->links[i].paths[k].links);
		free(e->links[i].paths);
		free(e->links[i].backup.links);
	}
	free(e->host);
	free(e->kind);
	free(e->links);
	*e = (struct embedding){ 0 };
}

static struct path path_copy(const struct path *p)
{
	return (struct path){
		.links = p->n ? mem_dup(p->links, p->n * sizeof(*p->links)) : NULL,
		.n = p->n,
		.bw_kbps = p->bw_kbps,
	};
}

void embedding_copy(const struct embedding *from, struct embedding *ret)
{
	embedding_init(ret, from->n_nodes, from->n_links);
	for (size_t i = 0; i < from->n_nodes; i++) {
		ret->host[i] = from->host[i];
		ret->kind[i] = mem_str(from->kind[i]);
	}
	for (size_t i = 0; i < from->n_links; i++) {
		const struct vlink_map *map = &from->links[i];

		ret->links[i].n_paths = map->n_paths;
		ret->links[i].paths = map->n_paths ? mem_array(map->n_paths, sizeof(struct path)) : NULL;
		for (size_t k = 0; k < map->n_paths; k++)
			ret->links[i].paths[k] = path_copy(&map->paths[k]);
		ret->links[i].backup = path_copy(&map->backup);
	}
}

void embedding_choose_kinds(struct embedding *e, const struct substrate *s, const struct request *r)
{
	for (size_t i = 0; i < e->n_nodes && i < r->n_nodes; i++) {
		const struct snode *host = e->host[i] < s->n_nodes ? &s->nodes[e->host[i]] : NULL;

		if (e->kind[i])
			continue;
		if (r->nodes[i].kind)
			e->kind[i] = mem_str(r->nodes[i].kind);
		else if (host)
			e->kind[i] = mem_str(vnode_kind_on(&r->nodes[i], host));
	}
}

/* ---- what is left ----------------------------------------------------------------------- */

void embedding_takes(const struct request *r, const struct embedding *e, size_t i, int64_t ret[RES_COUNT])
{
	memcpy(ret, r->nodes[i].demand, sizeof(r->nodes[i].demand));
	if (!r->nodes[i].kind) /* else it is in the demand */
		vnode_guest_demand(&r->nodes[i], e->kind[i], ret);
}

void residual_node(const struct snode *n, int64_t left[RES_COUNT])
{
	memcpy(left, n->cap, sizeof(n->cap));
	if (!snode_only_guests(n))
		return;
	/* A router of any kind asks for no guest: here it becomes one, so what limits guests limits routers. */
	if (n->cap[RES_GUESTS] < left[RES_ROUTERS])
		left[RES_ROUTERS] = n->cap[RES_GUESTS];
	if (n->cap[RES_GUEST_KIB] != UNLIMITED && n->cap[RES_GUEST_KIB] / GUEST_KIB_MIN < left[RES_ROUTERS])
		left[RES_ROUTERS] = n->cap[RES_GUEST_KIB] / GUEST_KIB_MIN;
	if (n->cap[RES_GUEST_KIB] < left[RES_MEM_KIB])
		left[RES_MEM_KIB] = n->cap[RES_GUEST_KIB];
}

void residual_init(struct residual *left, const struct substrate *s)
{
	*left = (struct residual){
		.node = mem_array(s->n_nodes, sizeof(*left->node)),
		.link_kbps = mem_array(s->n_links, sizeof(*left->link_kbps)),
		.n_nodes = s->n_nodes,
		.n_links = s->n_links,
	};
	for (size_t i = 0; i < s->n_nodes; i++)
		residual_node(&s->nodes[i], left->node[i]);
	for (size_t i = 0; i < s->n_links; i++)
		left->link_kbps[i] = s->links[i].bw_kbps;
}

void residual_done(struct residual *left)
{
	free(left->node);
	free(left->link_kbps);
	*left = (struct residual){ 0 };
}

void residual_copy(const struct residual *from, struct residual *ret)
{
	*ret = (struct residual){
		.node = mem_array(from->n_nodes, sizeof(*ret->node)),
		.link_kbps = mem_array(from->n_links, sizeof(*ret->link_kbps)),
		.n_nodes = from->n_nodes,
		.n_links = from->n_links,
	};
	if (from->n_nodes)
		memcpy(ret->node, from->node, from->n_nodes * sizeof(*from->node));
	if (from->n_links)
		memcpy(ret->link_kbps, from->link_kbps, from->n_links * sizeof(*from->link_kbps));
}

static void residual_path(struct residual *left, const struct path *p, int sign)
{
	for (size_t h = 0; h < p->n; h++)
		left->link_kbps[p->links[h]] += sign * p->bw_kbps;
}

static void residual_change(struct residual *left, const struct request *r, const struct embedding *e, int sign)
{
	for (size_t i = 0; i < e->n_nodes; i++) {
		int64_t takes[RES_COUNT];

		embedding_takes(r, e, i, takes);
		for (size_t k = 0; k < RES_COUNT; k++)
			if (left->node[e->host[i]][k] != UNLIMITED)
				left->node[e->host[i]][k] += sign * takes[k];
	}
	for (size_t i = 0; i < e->n_links; i++) {
		if (!r->links[i].bw_kbps)
			continue;
		for (size_t k = 0; k < e->links[i].n_paths; k++)
			residual_path(left, &e->links[i].paths[k], sign);
		residual_path(left, &e->links[i].backup, sign);
	}
}

void residual_take(struct residual *left, const struct request *r, const struct embedding *e)
{
	residual_change(left, r, e, -1);
}

void residual_give(struct residual *left, const struct request *r, const struct embedding *e)
{
	residual_change(left, r, e, 1);
}

/* ---- cost and paths --------------------------------------------------------------------- */

static __int128 path_cost_nano(const struct substrate *s, const struct path *p)
{
	__int128 sum = 0;

	for (size_t h = 0; h < p->n; h++)
		sum += (__int128)p->bw_kbps * s->links[p->links[h]].cost_micro;
	return sum;
}

int64_t embedding_cost_nano(const struct substrate *s, const struct request *r, const struct embedding *e)
{
	__int128 sum = 0;

	for (size_t i = 0; i < e->n_nodes; i++)
		sum += (__int128)r->nodes[i].demand[RES_CPU_MILLI] * s->nodes[e->host[i]].cost_micro;
	for (size_t i = 0; i < e->n_links; i++) {
		for (size_t k = 0; k < e->links[i].n_paths; k++)
			sum += path_cost_nano(s, &e->links[i].paths[k]);
		sum += path_cost_nano(s, &e->links[i].backup);
	}
	return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

double nano_to_units(int64_t nano)
{
	return (double)nano / 1e9;
}

int64_t path_delay_us(const struct substrate *s, const struct path *p)
{
	int64_t sum = 0;

	for (size_t h = 0; h < p->n; h++)
		if (__builtin_add_overflow(sum, s->links[p->links[h]].delay_us, &sum))
			return INT64_MAX;
	return sum;
}

int path_via(const struct substrate *s, uint32_t from, const struct path *p, uint32_t *via, struct err *err)
{
	uint32_t at = from;

	if (from >= s->n_nodes)
		return err_set(err, -EINVAL, "it begins at node %u of a substrate with %zu", from, s->n_nodes);
	via[0] = at;
	for (size_t h = 0; h < p->n; h++) {
		const struct slink *l;

		if (p->links[h] >= s->n_links)
			return err_set(err, -EINVAL, "it uses link %u of a substrate with %zu", p->links[h], s->n_links);
		l = &s->links[p->links[h]];
		if (l->a != at && l->b != at)
			return err_set(err, -EINVAL, "link '%s' does not begin at node '%s', where the one before it ends",
			               l->name, s->nodes[at].name);
		at = l->a == at ? l->b : l->a;
		via[h + 1] = at;
	}
	return 0;
}

/* ---- a solver's answer ------------------------------------------------------------------ */

void solution_done(struct solution *s)
{
	embedding_done(&s->embedding);
	*s = (struct solution){ 0 };
}

bool solution_gap(const struct solution *s, double *ret)
{
	if (!s->has_embedding || !s->has_bound)
		return false;
	if (s->objective - s->bound <= 1e-9 * s->objective) /* equal, but for rounding */
		*ret = 0;
	else if (s->objective > 0)
		*ret = (s->objective - s->bound) / s->objective;
	else
		return false;
	return true;
}
