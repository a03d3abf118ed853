/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One rung of an update's ladder. What stays is taken from what is left and out of the request: the rest, with the routers that stay
 * pinned, is a smaller request for the solvers there are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/reoptimise.h"
#include "embed/update_impl.h"

enum { SHARE = 4 }; /* of the time that is left, one try gets this part */

/* Bandwidth on the paths that there are, in the shares that they have; whole kbit/s. */
static void share(const struct vlink *l, const struct vlink_map *from, struct vlink_map *ret)
{
	int64_t sum = 0, given = 0;

	ret->n_paths = from->n_paths;
	ret->paths = mem_array(from->n_paths, sizeof(*ret->paths));
	for (size_t k = 0; k < from->n_paths; k++)
		sum += from->paths[k].bw_kbps;
	for (size_t k = 0; k < from->n_paths; k++) {
		struct path *p = &ret->paths[k];

		*p = (struct path){ mem_dup(from->paths[k].links, from->paths[k].n * sizeof(*p->links)), from->paths[k].n, 0 };
		p->bw_kbps = k + 1 == from->n_paths ? l->bw_kbps - given :
		             (int64_t)((__int128)l->bw_kbps * from->paths[k].bw_kbps / (sum ? sum : 1));
		given += p->bw_kbps;
	}
	if (from->backup.n)
		ret->backup = (struct path){ mem_dup(from->backup.links, from->backup.n * sizeof(*from->backup.links)), from->backup.n, l->bw_kbps };
}

static bool link_fixed(const struct update *u, size_t link)
{
	const struct vlink *l = &u->r->links[link];

	return u->stays[link] && !u->free_link[link] && !u->free_node[l->a] && !u->free_node[l->b];
}

/* The link has one way, and is to have a second beside it. */
static bool halved(const struct update *u, size_t link)
{
	const struct vlink *l = &u->r->links[link];

	return u->halved[link] && !u->free_link[link] && !u->free_node[l->a] && !u->free_node[l->b];
}

bool update_goes_on(const struct update *u)
{
	return u->work < u->work_limit && (u->deadline_us == INT64_MAX || clock_us() < u->deadline_us);
}

static void take_path(struct residual *left, const struct path *p)
{
	for (size_t i = 0; i < p->n; i++)
		left->link_kbps[p->links[i]] -= p->bw_kbps;
}

static bool fits(const struct residual *left)
{
	for (size_t i = 0; i < left->n_links; i++)
		if (left->link_kbps[i] < 0)
			return false;
	return true;
}

static int ask(struct update *u, const struct substrate *s, const struct residual *left, const struct request *part, struct solution *ret)
{
	struct embed_options options = *u->options;

	options.explain = false;
	options.proof = NULL;
	options.progress = NULL;
	if (u->deadline_us != INT64_MAX)
		options.time_limit_s = (double)(u->deadline_us - clock_us()) / 1e6 / SHARE + 0.001;
	if (!options.effort || options.effort > request_effort(u->s, u->r))
		options.effort = request_effort(u->s, u->r);
	*ret = (struct solution){ 0 };
	int rc = embed_once(s, left, part, &options, ret, NULL);

	u->work += ret->work + 1;
	return rc || !ret->has_embedding ? -ENOENT : 0;
}

static bool share_risk(const struct slink *a, const struct slink *b)
{
	for (size_t i = 0; i < a->risks.n; i++)
		for (size_t k = 0; k < b->risks.n; k++)
			if (!strcmp(a->risks.v[i], b->risks.v[k]))
				return true;
	return false;
}

/* Of a protected link one way was lost: another one beside the one that it has. */
static bool second_way(struct update *u, struct residual *left, size_t link, struct embedding *e)
{
	const struct vlink *l = &u->r->links[link];
	struct vlink_map *m = &e->links[link];
	struct substrate without = *u->s;
	struct residual apart;
	struct vlink alone = *l;
	struct request part = *u->r;
	mem_auto struct vnode *nodes = mem_array(2, sizeof(*nodes));
	char *names[2] = { u->s->nodes[e->host[l->a]].name, u->s->nodes[e->host[l->b]].name };
	struct solution got;

	residual_copy(left, &apart);
	without.links = mem_dup(u->s->links, u->s->n_links * sizeof(*without.links));
	for (size_t i = 0; i < u->s->n_links; i++)
		for (size_t h = 0; h < m->paths[0].n; h++)
			if (m->paths[0].links[h] == i || share_risk(&u->s->links[i], &u->s->links[m->paths[0].links[h]])) {
				without.links[i].closed = true;
				apart.link_kbps[i] = 0;
			}
	for (size_t k = 0; k < 2; k++) { /* two routers that take nothing */
		nodes[k] = (struct vnode){ .name = names[k], .kind = e->kind[k ? l->b : l->a], .place.on = { &names[k], 1 } };
		nodes[k].group = (uint32_t)k;
	}
	alone.a = 0;
	alone.b = 1;
	alone.protect = false;
	part.nodes = nodes;
	part.n_nodes = 2;
	part.links = &alone;
	part.n_links = 1;
	bool found = ask(u, &without, &apart, &part, &got) == 0 && got.embedding.links[0].n_paths == 1;

	if (found) {
		m->backup = got.embedding.links[0].paths[0];
		got.embedding.links[0].paths[0].links = NULL;
		got.embedding.links[0].paths[0].n = 0;
		take_path(left, &m->backup);
	}
	solution_done(&got);
	residual_done(&apart);
	free(without.links);
	return found;
}

/* A rung of the ladder: `part` is what is not fixed, as a request of its own onto what the fixed leaves. */
struct rung {
	struct request part; /* borrows its names */
	size_t *of;          /* per link of part: which of the whole */
	char **names;        /* per node: of the one host that it may have */
	bool *half;          /* per link: a second way is to be found beside the one that stays */
	struct residual left;
	struct embedding e;  /* of the whole, as far as it is known */
};

static void pin_nodes(const struct update *u, struct rung *g)
{
	memcpy(g->part.nodes, u->r->nodes, u->r->n_nodes * sizeof(*g->part.nodes));
	for (size_t i = 0; i < u->r->n_nodes; i++) {
		if (!u->keep[i] || u->free_node[i])
			continue;
		g->names[i] = u->s->nodes[u->now->host[i]].name;
		g->part.nodes[i].place.on = (struct yaml_names){ &g->names[i], 1 };
		g->part.nodes[i].kind = u->now->kind[i];
	}
}

static void fix_links(const struct update *u, bool keep_halves, struct rung *g)
{
	g->part.n_links = 0;
	for (size_t k = 0; k < u->r->n_links; k++) {
		struct vlink_map *m = &g->e.links[k];

		g->half[k] = keep_halves && halved(u, k);
		if (!g->half[k] && !link_fixed(u, k)) {
			g->of[g->part.n_links] = k;
			g->part.links[g->part.n_links++] = u->r->links[k];
			continue;
		}
		share(&u->r->links[k], &u->now->links[k], m);
		for (size_t p = 0; p < m->n_paths; p++)
			take_path(&g->left, &m->paths[p]);
		take_path(&g->left, &m->backup);
	}
}

static void rung_init(const struct update *u, bool keep_halves, struct rung *g)
{
	const struct request *r = u->r;

	*g = (struct rung){ .part = *r, .of = mem_array(r->n_links + 1, sizeof(*g->of)), .names = mem_array(r->n_nodes + 1, sizeof(*g->names)),
		                .half = mem_array(r->n_links + 1, sizeof(*g->half)) };
	g->part.nodes = mem_array(r->n_nodes + 1, sizeof(*g->part.nodes));
	g->part.links = mem_array(r->n_links + 1, sizeof(*g->part.links));
	embedding_init(&g->e, r->n_nodes, r->n_links);
	residual_copy(u->left, &g->left);
	pin_nodes(u, g);
	fix_links(u, keep_halves, g);
}

static void rung_done(struct rung *g)
{
	free(g->part.nodes);
	free(g->part.links);
	free(g->of);
	free(g->names);
	free(g->half);
	residual_done(&g->left);
	embedding_done(&g->e);
}

/* The answer to part, beside what is fixed. */
static void rung_answered(const struct update *u, struct rung *g, struct embedding *got)
{
	const struct request *r = u->r;
	struct embedding *e = &g->e;

	memcpy(e->host, got->host, r->n_nodes * sizeof(*e->host));
	for (size_t i = 0; i < r->n_nodes; i++)
		e->kind[i] = mem_str(u->keep[i] && e->host[i] == u->now->host[i] ? u->now->kind[i] : got->kind[i]);
	for (size_t k = 0; k < g->part.n_links; k++) {
		struct vlink_map *m = &e->links[g->of[k]];

		*m = got->links[k];
		got->links[k] = (struct vlink_map){ 0 };
		for (size_t p = 0; p < m->n_paths; p++)
			take_path(&g->left, &m->paths[p]);
		take_path(&g->left, &m->backup);
	}
	embedding_choose_kinds(e, u->s, r);
}

int update_try(struct update *u, bool keep_halves, struct embedding *ret)
{
	struct solution got = { 0 };
	struct rung g;

	if (!update_goes_on(u))
		return -ETIMEDOUT;
	rung_init(u, keep_halves, &g);
	int rc = fits(&g.left) ? ask(u, u->s, &g.left, &g.part, &got) : -ENOENT;

	if (!rc)
		rung_answered(u, &g, &got.embedding);
	for (size_t k = 0; !rc && k < u->r->n_links; k++)
		if (g.half[k] && !second_way(u, &g.left, k, &g.e))
			rc = -ENOENT;
	if (!rc)
		rc = embedding_check(u->s, u->left, u->r, &g.e, NULL);
	solution_done(&got);
	if (!rc) {
		*ret = g.e;
		g.e = (struct embedding){ 0 };
	}
	rung_done(&g);
	return rc;
}
