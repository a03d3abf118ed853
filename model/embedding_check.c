/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checker: the rules of "Embedding, exactly" in formats.md, one function per rule, in the order
 * of that page. It shares no code with any solver, and looks at an index only after it has
 * proved it in range, so that it may be handed whatever a solver's process has written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/embedding.h"

struct check {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	const struct embedding *e;
	bool standing;
	int64_t (*used)[RES_COUNT]; /* per substrate node */
	int64_t *carried;           /* per substrate link, kbit/s */
	uint32_t *taken;            /* per substrate node: virtual node + 1 that is on it */
	uint32_t *node_stamp;       /* per substrate node, link: number of the walk that came by last */
	uint32_t *link_stamp;
	uint32_t stamp;
	/* hops from `hops_from` by fewest hops; built on the first best-effort link */
	uint32_t *hops, *queue, *first, *around;
	uint32_t hops_from;
};

static int check_shape(const struct check *c, struct err *err)
{
	if (c->left->n_nodes != c->s->n_nodes || c->left->n_links != c->s->n_links)
		return err_set(err, -EINVAL, "what is left is of another substrate: %zu nodes and %zu links, not %zu and %zu",
		               c->left->n_nodes, c->left->n_links, c->s->n_nodes, c->s->n_links);
	if (c->e->n_nodes != c->r->n_nodes || c->e->n_links != c->r->n_links)
		return err_set(err, -EINVAL, "the embedding has %zu nodes and %zu links, the request %zu and %zu",
		               c->e->n_nodes, c->e->n_links, c->r->n_nodes, c->r->n_links);
	if ((c->e->n_nodes && (!c->e->host || !c->e->kind)) || (c->e->n_links && !c->e->links))
		return err_set(err, -EINVAL, "the embedding is empty");
	return 0;
}

/* ---- nodes ------------------------------------------------------------------------------ */

static int check_kind(const struct vnode *v, const struct snode *host, const char *kind, struct err *err)
{
	if (!kind || !*kind)
		return err_set(err, -EINVAL, "node '%s': no router kind was chosen", v->name);
	if (v->kind && strcmp(v->kind, kind) != 0)
		return err_set(err, -EINVAL, "node '%s' asks for a router of kind '%s', not '%s'", v->name, v->kind, kind);
	if (!v->kind && (kind_is_switch(kind) || !plane_fits(v->plane, kind)))
		return err_set(err, -EINVAL, "node '%s': a router of kind '%s' is not what it asks for", v->name, kind);
	if (!snode_hosts(host, kind))
		return err_set(err, -EINVAL, "node '%s': '%s' hosts no router of kind '%s'", v->name, host->name, kind);
	return 0;
}

static int check_resources(struct check *c, size_t i, struct err *err)
{
	const struct vnode *v = &c->r->nodes[i];
	uint32_t h = c->e->host[i];
	int64_t takes[RES_COUNT];

	embedding_takes(c->r, c->e, i, takes);
	for (size_t k = 0; k < RES_COUNT; k++) {
		int64_t left = c->left->node[h][k];

		if (left == UNLIMITED)
			continue;
		if (__builtin_add_overflow(c->used[h][k], takes[k], &c->used[h][k]) || c->used[h][k] > left)
			return err_set(err, -EINVAL, "node '%s': too little %s left on '%s': %lld, of which %lld would be taken",
			               v->name, resource_names[k], c->s->nodes[h].name, (long long)left,
			               (long long)c->used[h][k]);
	}
	return 0;
}

static int check_node(struct check *c, size_t i, struct err *err)
{
	const struct vnode *v = &c->r->nodes[i];
	uint32_t h = c->e->host[i];
	struct err why = { 0 };
	int rc;

	if (h >= c->s->n_nodes)
		return err_set(err, -EINVAL, "node '%s' is on substrate node %u of %zu", v->name, h, c->s->n_nodes);
	if (!c->s->nodes[h].agent)
		return err_set(err, -EINVAL, "node '%s': '%s' has no agent and hosts nothing", v->name, c->s->nodes[h].name);
	rc = check_kind(v, &c->s->nodes[h], c->e->kind[i], err);
	if (rc < 0)
		return rc;
	if (!place_fits(v, c->s, h, &why))
		return err_set(err, -EINVAL, "node '%s' may not be on '%s': %s", v->name, c->s->nodes[h].name, why.text);
	if (c->r->placement == PLACEMENT_DISTINCT && c->taken[h])
		return err_set(err, -EINVAL, "nodes '%s' and '%s' are both on '%s', but placement is distinct",
		               c->r->nodes[c->taken[h] - 1].name, v->name, c->s->nodes[h].name);
	for (size_t u = 0; c->r->placement == PLACEMENT_GROUPS && c->taken[h] && u < i; u++)
		if (c->e->host[u] == h && c->r->nodes[u].group == v->group)
			return err_set(err, -EINVAL, "nodes '%s' and '%s' of one group are both on '%s'", c->r->nodes[u].name, v->name,
			               c->s->nodes[h].name);
	c->taken[h] = (uint32_t)i + 1;
	return check_resources(c, i, err);
}

/* ---- links ------------------------------------------------------------------------------ */

/* From the host of the first endpoint to that of the second, no node twice, within the delay. */
static int check_path(struct check *c, const struct vlink *l, const struct path *p, struct err *err)
{
	uint32_t at = c->e->host[l->a], to = c->e->host[l->b];
	int64_t delay = 0;

	if (!p->n || !p->links)
		return err_set(err, -EINVAL, "it has no links, but its ends are on '%s' and '%s'", c->s->nodes[at].name,
		               c->s->nodes[to].name);
	c->stamp++;
	c->node_stamp[at] = c->stamp;
	for (size_t h = 0; h < p->n; h++) {
		const struct slink *sl;

		if (p->links[h] >= c->s->n_links)
			return err_set(err, -EINVAL, "it uses substrate link %u of %zu", p->links[h], c->s->n_links);
		sl = &c->s->links[p->links[h]];
		if (sl->a != at && sl->b != at)
			return err_set(err, -EINVAL, "link '%s' does not touch '%s', which was reached before it", sl->name,
			               c->s->nodes[at].name);
		if (sl->closed)
			return err_set(err, -EINVAL, "link '%s' carries nothing now", sl->name);
		at = sl->a == at ? sl->b : sl->a;
		if (c->node_stamp[at] == c->stamp)
			return err_set(err, -EINVAL, "it is not simple: it comes by '%s' twice", c->s->nodes[at].name);
		c->node_stamp[at] = c->stamp;
		if (__builtin_add_overflow(delay, sl->delay_us, &delay))
			delay = INT64_MAX;
	}
	if (at != to)
		return err_set(err, -EINVAL, "it ends at '%s', not at '%s'", c->s->nodes[at].name, c->s->nodes[to].name);
	if (l->max_delay_us >= 0 && delay > l->max_delay_us)
		return err_set(err, -EINVAL, "its delay is %lld us, the link allows %lld us", (long long)delay,
		               (long long)l->max_delay_us);
	return 0;
}

/* What the path carries, beside all that went before. A share was checked to lie in 0..bw_kbps
 * of its virtual link, and what is carried never grows past what is left, so nothing overflows. */
static int check_capacity(struct check *c, const struct path *p, struct err *err)
{
	for (size_t h = 0; p->bw_kbps && h < p->n; h++) {
		uint32_t k = p->links[h];

		c->carried[k] += p->bw_kbps;
		if (c->carried[k] > c->left->link_kbps[k])
			return err_set(err, -EINVAL, "too little bandwidth left on '%s': %lld kbit/s, of which %lld would be taken",
			               c->s->links[k].name, (long long)c->left->link_kbps[k], (long long)c->carried[k]);
	}
	return 0;
}

/* Substrate links around each node: around[first[i]] … around[first[i + 1] - 1]. */
static void build_around(struct check *c)
{
	const struct substrate *s = c->s;
	mem_auto uint32_t *fill = mem_array(s->n_nodes + 1, sizeof(*fill));

	c->hops = mem_array(s->n_nodes, sizeof(*c->hops));
	c->queue = mem_array(s->n_nodes, sizeof(*c->queue));
	c->first = mem_array(s->n_nodes + 1, sizeof(*c->first));
	c->around = mem_array(2 * s->n_links, sizeof(*c->around));
	for (size_t k = 0; k < s->n_links; k++) {
		if (s->links[k].closed)
			continue;
		c->first[s->links[k].a + 1]++;
		c->first[s->links[k].b + 1]++;
	}
	for (size_t i = 0; i < s->n_nodes; i++) {
		c->first[i + 1] += c->first[i];
		fill[i] = c->first[i];
	}
	for (size_t k = 0; k < s->n_links; k++) {
		if (s->links[k].closed)
			continue;
		c->around[fill[s->links[k].a]++] = (uint32_t)k;
		c->around[fill[s->links[k].b]++] = (uint32_t)k;
	}
}

/* Hops from `from` to `to` at the fewest; UINT32_MAX where there is no way. */
static uint32_t fewest_hops(struct check *c, uint32_t from, uint32_t to)
{
	size_t head = 0, tail = 0;

	if (!c->hops)
		build_around(c);
	else if (c->hops_from == from)
		return c->hops[to];
	memset(c->hops, 0xff, c->s->n_nodes * sizeof(*c->hops));
	c->hops_from = from;
	c->hops[from] = 0;
	c->queue[tail++] = from;
	while (head < tail) {
		uint32_t at = c->queue[head++];

		for (uint32_t k = c->first[at]; k < c->first[at + 1]; k++) {
			const struct slink *l = &c->s->links[c->around[k]];
			uint32_t next = l->a == at ? l->b : l->a;

			if (c->hops[next] != UINT32_MAX)
				continue;
			c->hops[next] = c->hops[at] + 1;
			c->queue[tail++] = next;
		}
	}
	return c->hops[to];
}

/* How many paths, and how much each carries. */
static int check_shares(struct check *c, const struct vlink *l, const struct vlink_map *m, struct err *err)
{
	int64_t sum = 0;

	if (!m->n_paths || !m->paths)
		return err_set(err, -EINVAL, "it has no path, but its ends are on '%s' and '%s'",
		               c->s->nodes[c->e->host[l->a]].name, c->s->nodes[c->e->host[l->b]].name);
	if ((!l->split || !l->bw_kbps) && m->n_paths != 1)
		return err_set(err, -EINVAL, "it has %zu paths; %s", m->n_paths,
		               l->split ? "best effort takes a single one" : "it asks for a single one");
	if (m->n_paths > PATHS_MAX)
		return err_set(err, -EINVAL, "it has %zu paths; a split link has at most %d", m->n_paths, PATHS_MAX);
	for (size_t k = 0; k < m->n_paths; k++) {
		int64_t share = m->paths[k].bw_kbps;

		if (share < 0 || share > l->bw_kbps || (!share && l->bw_kbps))
			return err_set(err, -EINVAL, "path %zu: it carries %lld kbit/s of %lld", k + 1, (long long)share,
			               (long long)l->bw_kbps);
		sum += share;
	}
	if (sum != l->bw_kbps)
		return err_set(err, -EINVAL, "its paths carry %lld kbit/s together, not %lld", (long long)sum,
		               (long long)l->bw_kbps);
	return 0;
}

static int check_best_effort(struct check *c, const struct vlink *l, const struct path *p, struct err *err)
{
	uint32_t fewest;

	if (l->bw_kbps)
		return 0;
	fewest = fewest_hops(c, c->e->host[l->a], c->e->host[l->b]);
	if (p->n != fewest)
		return err_set(err, -EINVAL, "its path takes %zu hops; best effort takes the fewest, %u", p->n, fewest);
	return 0;
}

/* The backup shares no link and no risk with the primary. */
static int check_disjoint(struct check *c, const struct path *primary, const struct path *backup, struct err *err)
{
	struct hash *risks = hash_new();
	int rc = 0;

	c->stamp++;
	for (size_t h = 0; h < primary->n; h++) {
		const struct slink *l = &c->s->links[primary->links[h]];

		c->link_stamp[primary->links[h]] = c->stamp;
		for (size_t k = 0; k < l->risks.n; k++)
			hash_index_put(risks, l->risks.v[k], primary->links[h]);
	}
	for (size_t h = 0; !rc && h < backup->n; h++) {
		const struct slink *l = &c->s->links[backup->links[h]];

		if (c->link_stamp[backup->links[h]] == c->stamp)
			rc = err_set(err, -EINVAL, "it shares link '%s' with the primary path", l->name);
		for (size_t k = 0; !rc && k < l->risks.n; k++) {
			size_t other = hash_index(risks, l->risks.v[k]);

			if (other != SIZE_MAX)
				rc = err_set(err, -EINVAL, "its link '%s' shares the risk '%s' with link '%s' of the primary path",
				             l->name, l->risks.v[k], c->s->links[other].name);
		}
	}
	hash_free(risks, NULL);
	return rc;
}

static int check_backup(struct check *c, const struct vlink *l, const struct vlink_map *m, struct err *err)
{
	int rc;

	if (!l->protect)
		return m->backup.n ? err_set(err, -EINVAL, "it has a backup path, but asks for no protection") : 0;
	if (!m->backup.n)
		return err_set(err, -EINVAL, "it asks for protection and has no backup path");
	rc = check_path(c, l, &m->backup, err);
	if (!rc && m->backup.bw_kbps != l->bw_kbps)
		rc = err_set(err, -EINVAL, "it carries %lld kbit/s, not the full %lld", (long long)m->backup.bw_kbps,
		             (long long)l->bw_kbps);
	if (!rc)
		rc = check_disjoint(c, &m->paths[0], &m->backup, err);
	if (!rc)
		rc = check_capacity(c, &m->backup, err);
	return rc < 0 ? err_add(err, rc, "backup") : 0;
}

static int check_link(struct check *c, const struct vlink *l, const struct vlink_map *m, struct err *err)
{
	int rc;

	if (l->a >= c->r->n_nodes || l->b >= c->r->n_nodes)
		return err_set(err, -EINVAL, "its ends are nodes %u and %u of %zu", l->a, l->b, c->r->n_nodes);
	if (c->e->host[l->a] == c->e->host[l->b]) {
		if (m->n_paths || m->backup.n)
			return err_set(err, -EINVAL, "it has a path, but both its ends are on '%s'",
			               c->s->nodes[c->e->host[l->a]].name);
		return 0;
	}
	rc = check_shares(c, l, m, err);
	for (size_t k = 0; !rc && k < m->n_paths; k++) {
		rc = check_path(c, l, &m->paths[k], err);
		if (!rc)
			rc = check_capacity(c, &m->paths[k], err);
		if (rc < 0)
			return err_add(err, rc, "path %zu", k + 1);
	}
	if (!rc && !c->standing)
		rc = check_best_effort(c, l, &m->paths[0], err);
	if (!rc)
		rc = check_backup(c, l, m, err);
	return rc;
}

static int check_all(struct check *c, struct err *err)
{
	int rc = check_shape(c, err);

	for (size_t i = 0; !rc && i < c->r->n_nodes; i++)
		rc = check_node(c, i, err);
	for (size_t i = 0; !rc && i < c->r->n_links; i++) {
		rc = check_link(c, &c->r->links[i], &c->e->links[i], err);
		if (rc < 0)
			return err_add(err, rc, "link '%s'", c->r->links[i].name);
	}
	return rc;
}

static int check_embedding(const struct substrate *s, const struct residual *left, const struct request *r,
                           const struct embedding *e, bool standing, struct err *err)
{
	struct check c = {
		.s = s, .left = left, .r = r, .e = e, .standing = standing,
		.used = mem_array(s->n_nodes, sizeof(*c.used)),
		.carried = mem_array(s->n_links, sizeof(*c.carried)),
		.taken = mem_array(s->n_nodes, sizeof(*c.taken)),
		.node_stamp = mem_array(s->n_nodes, sizeof(*c.node_stamp)),
		.link_stamp = mem_array(s->n_links, sizeof(*c.link_stamp)),
	};
	int rc = check_all(&c, err);

	free(c.used);
	free(c.carried);
	free(c.taken);
	free(c.node_stamp);
	free(c.link_stamp);
	free(c.hops);
	free(c.queue);
	free(c.first);
	free(c.around);
	return rc;
}

int embedding_check(const struct substrate *s, const struct residual *left, const struct request *r,
                    const struct embedding *e, struct err *err)
{
	return check_embedding(s, left, r, e, false, err);
}

int embedding_check_standing(const struct substrate *s, const struct residual *left, const struct request *r,
                             const struct embedding *e, struct err *err)
{
	return check_embedding(s, left, r, e, true, err);
}
