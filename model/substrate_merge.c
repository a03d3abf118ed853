/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One substrate becomes another: what both have keeps its order, and so its place among what stays; what is new comes behind. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/substrate.h"

static bool joins(const struct substrate *s, const struct slink *l, const char *a, const char *b)
{
	return !strcmp(s->nodes[l->a].name, a) && !strcmp(s->nodes[l->b].name, b);
}

/* Where the file names the ends the other way round, they keep the order that they had: what is known of each goes by it. */
static struct slink turned(const struct slink *l, bool turn)
{
	struct slink ret = *l;
	if (!turn)
		return ret;
	ret.a = l->b;
	ret.b = l->a;
	ret.underlay[0] = l->underlay[1];
	ret.underlay[1] = l->underlay[0];
	return ret;
}

/* The list borrows what it names. */
static void take_nodes(const struct substrate *old, const struct substrate *to, const bool *keep, struct substrate *ret, uint32_t *moved)
{
	for (size_t i = 0; i < old->n_nodes; i++) {
		size_t at = hash_index(to->node_index, old->nodes[i].name);

		moved[i] = at != SIZE_MAX || keep[i] ? (uint32_t)ret->n_nodes : UINT32_MAX;
		if (moved[i] != UINT32_MAX)
			ret->nodes[ret->n_nodes++] = at != SIZE_MAX ? to->nodes[at] : old->nodes[i];
	}
	for (size_t i = 0; i < to->n_nodes; i++)
		if (hash_index(old->node_index, to->nodes[i].name) == SIZE_MAX)
			ret->nodes[ret->n_nodes++] = to->nodes[i];
}

/* Where the nodes of `of` are in `in`; UINT32_MAX: nowhere. */
static uint32_t *places(const struct substrate *of, const struct substrate *in)
{
	uint32_t *ret = mem_array(of->n_nodes + 1, sizeof(*ret));
	struct hash *index = hash_new();

	for (size_t i = 0; i < in->n_nodes; i++)
		hash_index_put(index, in->nodes[i].name, i);
	for (size_t i = 0; i < of->n_nodes; i++)
		ret[i] = (uint32_t)hash_index(index, of->nodes[i].name); /* SIZE_MAX becomes UINT32_MAX */
	hash_free(index, NULL);
	return ret;
}

static int take_links(const struct substrate *old, const struct substrate *to, const bool *keep, struct substrate *ret, uint32_t *moved, struct err *err)
{
	mem_auto bool *taken = mem_array(to->n_links + 1, sizeof(*taken));
	mem_auto uint32_t *ends = places(to, ret), *old_ends = places(old, ret);

	for (size_t i = 0; i < old->n_links; i++) {
		size_t at = hash_index(to->link_index, old->links[i].name);
		const char *a = old->nodes[old->links[i].a].name, *b = old->nodes[old->links[i].b].name;
		bool turn = at != SIZE_MAX && joins(to, &to->links[at], b, a);
		bool same = turn || (at != SIZE_MAX && joins(to, &to->links[at], a, b));

		if (keep[i] && at != SIZE_MAX && !same)
			return err_set(err, -EBUSY, "link %s joined %s and %s, and networks are on it; give the new one another name", old->links[i].name,
			               a, b);
		moved[i] = same || keep[i] ? (uint32_t)ret->n_links : UINT32_MAX;
		if (moved[i] == UINT32_MAX)
			continue;
		struct slink *l = &ret->links[ret->n_links++];

		*l = same ? turned(&to->links[at], turn) : old->links[i];
		l->a = same ? ends[l->a] : old_ends[l->a];
		l->b = same ? ends[l->b] : old_ends[l->b];
		if (l->a == UINT32_MAX || l->b == UINT32_MAX)
			return err_set(err, -EBUSY, "link %s has networks on it, and an end that goes", l->name);
		if (same)
			taken[at] = true;
	}
	for (size_t i = 0; i < to->n_links; i++) {
		if (taken[i])
			continue;
		struct slink *l = &ret->links[ret->n_links++];

		*l = to->links[i];
		l->a = ends[l->a];
		l->b = ends[l->b];
	}
	return 0;
}

int substrate_merge(const struct substrate *from, const struct substrate *to, const bool *keep_nodes, const bool *keep_links,
                    struct substrate *ret, uint32_t *ret_nodes, uint32_t *ret_links, struct err *err)
{
	struct substrate merged = { .name = to->name };
	int r;

	merged.nodes = mem_array(from->n_nodes + to->n_nodes + 1, sizeof(*merged.nodes));
	merged.links = mem_array(from->n_links + to->n_links + 1, sizeof(*merged.links));
	take_nodes(from, to, keep_nodes, &merged, ret_nodes);
	r = take_links(from, to, keep_links, &merged, ret_links, err);
	if (r == 0)
		r = substrate_copy(&merged, ret, err);
	free(merged.nodes);
	free(merged.links);
	return r;
}
