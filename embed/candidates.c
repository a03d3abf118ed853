/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which substrate nodes a virtual node may go to, and, where there are none or too few, for
 * want of what, in words that a user can act on. Everything said here is proven. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "embed/problem.h"

/* What the virtual links around a node ask of the links around its host. */
struct around {
	int64_t total_kbps;  /* all that must leave the host */
	int64_t widest_kbps; /* the most that one link must carry */
	int64_t second_kbps; /* and another one beside it */
};

static struct around around_vnode(const struct problem *p, uint32_t u)
{
	struct around need = { 0 };

	for (uint32_t i = p->vfirst[u]; i < p->vfirst[u + 1]; i++) {
		const struct vlink *k = &p->r->links[p->varcs[i].link];
		if (!request_apart(p->r, u, p->varcs[i].to)) /* sharing a node, they need no link between them */
			continue;
		need.total_kbps += k->bw_kbps * (k->protect ? 2 : 1);
		if (!k->split && k->bw_kbps > need.widest_kbps)
			need.widest_kbps = k->bw_kbps;
		if (k->protect && k->bw_kbps > need.second_kbps)
			need.second_kbps = k->bw_kbps;
	}
	return need;
}

static void around_snodes(const struct problem *p, struct around *ret)
{
	for (size_t l = 0; l < p->s->n_links; l++)
		for (int end = 0; end < 2; end++) {
			struct around *a = &ret[p->graph.ends[l][end]];
			int64_t kbps = p->left->link_kbps[l];
			a->total_kbps += kbps;
			if (kbps >= a->widest_kbps) {
				a->second_kbps = a->widest_kbps;
				a->widest_kbps = kbps;
			} else if (kbps > a->second_kbps) {
				a->second_kbps = kbps;
			}
		}
}

static const char *resource_text(enum resource res, int64_t amount, char text[static UNITS_TEXT])
{
	if (res == RES_CPU_MILLI || res == RES_REALTIME_MILLI)
		return units_cpu_text(amount, text);
	if (res == RES_MEM_KIB || res == RES_GUEST_KIB)
		return units_memory_text(amount, text);
	snprintf(text, UNITS_TEXT, "%lld", (long long)amount);
	return text;
}

static const char *const resource_words[RES_COUNT] = {
	"cpu", "memory", "router slots", "ports", "guest memory", "slots for guests", "realtime",
};

/* What was seen while one virtual node's candidates were filtered. */
struct filter {
	size_t fit;                /* nodes that its kind, uplinks and place allow */
	uint32_t only;             /* the last of them */
	int64_t most[RES_COUNT];   /* left on any of them */
	size_t roomy;              /* of them, with all resources left */
	struct around around;      /* most of each on any of those */
};

/* Where `on` names nothing that the substrate has: the first such name, and the nearest that it has. */
static int nowhere(const struct problem *p, const struct vnode *vnode, struct err *why)
{
	const struct yaml_names *on = &vnode->place.on;
	for (size_t i = 0; i < on->n; i++)
		if (hash_index(p->s->node_index, on->v[i]) != SIZE_MAX)
			return 0;
	if (!on->n)
		return 0;
	const char **names = mem_array(p->s->n_nodes, sizeof(*names));
	for (size_t a = 0; a < p->s->n_nodes; a++)
		names[a] = p->s->nodes[a].name;
	const char *near = name_nearest(on->v[0], names, p->s->n_nodes);
	free(names);
	return err_set(why, -ENOENT, "%s has no candidate: \"on\" names no node of the substrate: %s%s%s%s", vnode->name,
	               on->v[0], near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* What place_fits says of one node begins with its name in quotes; what follows is the rule that it
 * breaks. Distances differ from node to node: they are one rule, told by the nearest. */
static const char *broken_rule(const char *clause)
{
	const char *end = clause[0] == '"' ? strchr(clause + 1, '"') : NULL;
	return end && end[1] == ' ' ? end + 2 : clause;
}

static int no_place(const struct problem *p, uint32_t u, struct err *why)
{
	const struct vnode *vnode = &p->r->nodes[u];
	struct hash *seen = hash_new();
	size_t most = 0;
	double nearest = INFINITY;
	struct err common = { 0 };
	uint32_t example = 0;
	int code = nowhere(p, vnode, why);

	/* The rule that most nodes break. */
	for (uint32_t a = 0; !code && a < p->s->n_nodes; a++) {
		struct err clause = { 0 };
		if (place_fits(vnode, p->s, a, &clause))
			continue;
		bool far = strstr(clause.text, " away, beyond ") != NULL;
		double distance = far ? coords_distance(&p->s->nodes[a].coords, &vnode->place.near) : INFINITY;
		const char *rule = far ? "near" : broken_rule(clause.text);
		size_t count = (size_t)(uintptr_t)hash_get(seen, rule) + 1;
		hash_put(seen, rule, (void *)(uintptr_t)count);
		if (count > most && (!far || distance <= nearest || count == 1)) {
			common = clause;
			example = a;
		}
		most = count > most ? count : most;
		nearest = distance < nearest ? distance : nearest;
	}
	hash_free(seen, NULL);
	if (code)
		return code;
	const char *rule = broken_rule(common.text);
	if (isfinite(nearest) && most == p->s->n_nodes)
		return err_set(why, -ENOENT, "%s has no candidate: the nearest, %s, %s", vnode->name,
		               p->s->nodes[example].name, rule);
	if (most == p->s->n_nodes)
		return err_set(why, -ENOENT, "%s has no candidate: every node %s", vnode->name, rule);
	return err_set(why, -ENOENT, "%s has no candidate among %zu nodes; %zu of them like %s, which %s", vnode->name,
	               p->s->n_nodes, most, p->s->nodes[example].name, rule);
}

static bool none_has_realtime(const struct problem *p, uint32_t u)
{
	for (uint32_t a = 0; a < p->s->n_nodes; a++)
		if (p->s->nodes[a].cap[RES_REALTIME_MILLI] > 0 && place_fits(&p->r->nodes[u], p->s, a, NULL))
			return false;
	return true;
}

static int no_candidate(const struct problem *p, uint32_t u, const struct filter *f, struct err *why)
{
	const struct vnode *vnode = &p->r->nodes[u];
	const char *of = p->s->nodes[f->only].name;
	char need[UNITS_TEXT], have[UNITS_TEXT];

	if (f->fit == 0)
		return no_place(p, u, why);
	for (int res = 0; res < RES_COUNT; res++) {
		if (f->most[res] >= vnode->demand[res])
			continue;
		resource_text(res, vnode->demand[res], need);
		resource_text(res, f->most[res], have);
		if (res == RES_REALTIME_MILLI && f->most[res] == 0 && none_has_realtime(p, u))
			return err_set(why, -ENOENT, "%s needs realtime %s; %s has %s real-time scheduler", vnode->name, need,
			               f->fit == 1 ? of : "none of its candidates", f->fit == 1 ? "no" : "a");
		if (f->fit == 1)
			return err_set(why, -ENOENT, "%s needs %s %s; its only candidate, %s, has %s", vnode->name,
			               resource_words[res], need, of, have);
		return err_set(why, -ENOENT, "%s needs %s %s; the largest of its %zu candidates has %s", vnode->name,
		               resource_words[res], need, f->fit, have);
	}
	if (f->roomy == 0)
		return err_set(why, -ENOENT, "%s needs cpu %s and memory %s on one node; none of its %zu candidates has all that left",
		               vnode->name, units_cpu_text(vnode->demand[RES_CPU_MILLI], need),
		               units_memory_text(vnode->demand[RES_MEM_KIB], have), f->fit);

	struct around ask = around_vnode(p, u);
	if (f->around.total_kbps < ask.total_kbps)
		return err_set(why, -ENOENT, "%s asks for %s around it; the best of its %zu candidates has %s left on its links",
		               vnode->name, units_bandwidth_text(ask.total_kbps, need), f->roomy,
		               units_bandwidth_text(f->around.total_kbps, have));
	if (f->around.widest_kbps < ask.widest_kbps)
		return err_set(why, -ENOENT, "%s asks for a link of %s; the widest at its %zu candidates has %s left",
		               vnode->name, units_bandwidth_text(ask.widest_kbps, need), f->roomy,
		               units_bandwidth_text(f->around.widest_kbps, have));
	return err_set(why, -ENOENT, "%s: none of its %zu candidates with room has the links that its virtual links ask for",
	               vnode->name, f->roomy);
}

static void consider(struct problem *p, uint32_t u, uint32_t a, const struct around *ask,
                     const struct around *offer, struct filter *f)
{
	const struct vnode *vnode = &p->r->nodes[u];
	bool roomy = true;

	if (p->is_cand[u][a] || !place_fits(vnode, p->s, a, NULL))
		return;
	f->fit++;
	f->only = a;
	for (int res = 0; res < RES_COUNT; res++) {
		int64_t left = p->left->node[a][res];
		if (left > f->most[res] || f->fit == 1)
			f->most[res] = left;
		roomy = roomy && left >= vnode->demand[res];
	}
	if (!roomy)
		return;
	f->roomy++;
	if (offer->total_kbps > f->around.total_kbps)
		f->around.total_kbps = offer->total_kbps;
	if (offer->widest_kbps > f->around.widest_kbps)
		f->around.widest_kbps = offer->widest_kbps;
	if (offer->total_kbps >= ask->total_kbps && offer->widest_kbps >= ask->widest_kbps &&
	    offer->second_kbps >= ask->second_kbps) {
		p->is_cand[u][a] = 1;
		p->cand[u].n++;
	}
}

int problem_candidates(struct problem *p, struct err *why)
{
	mem_auto struct around *offer = mem_array(p->s->n_nodes + 1, sizeof(*offer));

	around_snodes(p, offer);
	for (uint32_t u = 0; u < p->r->n_nodes; u++) {
		const struct yaml_names *on = &p->r->nodes[u].place.on;
		struct around ask = around_vnode(p, u);
		struct filter f = { 0 };

		p->is_cand[u] = mem_array(p->s->n_nodes + 1, 1);
		for (size_t i = 0; i < on->n; i++) {
			size_t a = hash_index(p->s->node_index, on->v[i]);
			if (a != SIZE_MAX)
				consider(p, u, (uint32_t)a, &ask, &offer[a], &f);
		}
		for (uint32_t a = 0; on->n == 0 && a < p->s->n_nodes; a++)
			consider(p, u, a, &ask, &offer[a], &f);
		if (p->cand[u].n == 0)
			return no_candidate(p, u, &f, why);

		p->cand[u].v = mem_array(p->cand[u].n, sizeof(*p->cand[u].v));
		size_t n = 0;
		for (uint32_t a = 0; a < p->s->n_nodes; a++)
			if (p->is_cand[u][a])
				p->cand[u].v[n++] = a;
	}
	return 0;
}

void problem_drop_candidate(struct problem *p, uint32_t u, uint32_t a)
{
	struct node_list *list = &p->cand[u];
	size_t n = 0;

	p->is_cand[u][a] = 0;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i] != a)
			list->v[n++] = list->v[i];
	list->n = n;
}

/* ---- all routers together ------------------------------------------------------------------ */

/* "r1, r2 and 3 more" */
static void list_names(struct buf *out, size_t n, const char *(*name)(const void *arg, size_t i), const void *arg)
{
	enum { SHOWN = 6 };
	for (size_t i = 0; i < n && i < SHOWN; i++)
		buf_printf(out, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", name(arg, i));
	if (n > SHOWN)
		buf_printf(out, " and %zu more", n - SHOWN);
}

struct chosen {
	const struct problem *p;
	const uint32_t *v;
};

static const char *vnode_name(const void *arg, size_t i)
{
	const struct chosen *c = arg;
	return c->p->r->nodes[c->v[i]].name;
}

static const char *snode_name(const void *arg, size_t i)
{
	const struct chosen *c = arg;
	return c->p->s->nodes[c->v[i]].name;
}

static int by_number(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	return (a > b) - (a < b);
}

static int too_few(const struct problem *p, uint32_t *vnodes, size_t n_vnodes, uint32_t *snodes, size_t n_snodes,
                   struct err *why)
{
	buf_auto struct buf who = BUF_INIT, where = BUF_INIT;
	struct chosen v = { p, vnodes }, s = { p, snodes };

	qsort(vnodes, n_vnodes, sizeof(*vnodes), by_number);
	qsort(snodes, n_snodes, sizeof(*snodes), by_number);
	list_names(&who, n_vnodes, vnode_name, &v);
	list_names(&where, n_snodes, snode_name, &s);
	return err_set(why, -ENOENT, "%s need %zu distinct nodes; only %zu can host them: %s", buf_cstr(&who), n_vnodes,
	               n_snodes, buf_cstr(&where));
}

/* Breadth-first augmenting path from u; what it visited where there is none is a set of virtual nodes with
 * one host too few. `guest`: who a substrate node is matched to; `from`: who asked for it first. */
static bool augment(const struct problem *p, uint32_t u, uint32_t *guest, uint32_t *host, uint32_t *from,
                    uint32_t *queue, size_t *ret_queued, uint32_t *seen, size_t *ret_seen)
{
	size_t head = 0, queued = 0, n_seen = 0;
	bool found = false;

	queue[queued++] = u;
	while (head < queued && !found) {
		uint32_t v = queue[head++];
		for (size_t i = 0; i < p->cand[v].n && !found; i++) {
			uint32_t a = p->cand[v].v[i];
			if (from[a] != NO_NODE)
				continue;
			from[a] = v;
			seen[n_seen++] = a;
			if (guest[a] != NO_NODE) {
				queue[queued++] = guest[a];
				continue;
			}
			found = true;
			while (a != NO_NODE) {
				uint32_t w = from[a], before = host[w];
				guest[a] = w;
				host[w] = a;
				a = before;
			}
		}
	}
	*ret_queued = queued;
	*ret_seen = n_seen;
	for (size_t i = 0; i < n_seen; i++)
		from[seen[i]] = NO_NODE;
	return found;
}

static int distinct_suffices(const struct problem *p, struct err *why)
{
	size_t n = p->s->n_nodes, m = p->r->n_nodes, queued, n_seen;

	if (m > n)
		return err_set(why, -ENOENT, "%zu routers need as many distinct nodes; the substrate has %zu", m, n);
	mem_auto uint32_t *guest = mem_array(n + 1, sizeof(*guest)), *from = mem_array(n + 1, sizeof(*from));
	mem_auto uint32_t *host = mem_array(m + 1, sizeof(*host)), *queue = mem_array(m + 1, sizeof(*queue));
	mem_auto uint32_t *seen = mem_array(n + 1, sizeof(*seen));
	memset(guest, 0xff, (n + 1) * sizeof(*guest));
	memset(from, 0xff, (n + 1) * sizeof(*from));
	memset(host, 0xff, (m + 1) * sizeof(*host));
	for (uint32_t u = 0; u < m; u++)
		if (!augment(p, u, guest, host, from, queue, &queued, seen, &n_seen))
			return too_few(p, queue, queued, seen, n_seen, why);
	return 0;
}

static int pack_suffices(const struct problem *p, struct err *why)
{
	char need[UNITS_TEXT], have[UNITS_TEXT];

	for (int res = 0; res < RES_COUNT; res++) {
		__int128 asked = 0, offered = 0;
		size_t nodes = 0;
		bool unlimited = false;
		for (size_t u = 0; u < p->r->n_nodes; u++)
			asked += p->r->nodes[u].demand[res];
		for (size_t a = 0; a < p->s->n_nodes; a++) {
			bool used = false;
			for (size_t u = 0; u < p->r->n_nodes && !used; u++)
				used = p->is_cand[u][a];
			if (!used)
				continue;
			nodes++;
			if (p->left->node[a][res] == UNLIMITED)
				unlimited = true;
			else
				offered += p->left->node[a][res];
		}
		if (!unlimited && asked > offered && asked < INT64_MAX)
			return err_set(why, -ENOENT, "all routers together need %s %s; their %zu candidates have %s left",
			               resource_words[res], resource_text(res, (int64_t)asked, need), nodes,
			               resource_text(res, (int64_t)offered, have));
	}
	return 0;
}

int problem_suffices(const struct problem *p, struct err *why)
{
	return p->r->placement == PLACEMENT_DISTINCT ? distinct_suffices(p, why) : pack_suffices(p, why);
}
