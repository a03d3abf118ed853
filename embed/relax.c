/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See relax.h. A quantity is first given up altogether; if that helps, the embedding found tells how
 * much of it fits there, and halving goes on from what fits to what was asked, each time no
 * further than what could still be the smallest change. */
#include "embed/relax.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "model/request.h"

enum { TRY_MIN = 300, TRY_MAX = 3000, HALVINGS = 12, PER_MILLE = 1000 };

struct relaxer {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	struct embed_options options; /* of one try */
	int64_t effort, spent, deadline_us;
	struct relaxation best;
	bool found;
};

static bool of_quantity(enum relax_what what)
{
	return what <= RELAX_DELAY || what == RELAX_ALL_BANDWIDTHS;
}

void request_relax(struct request *r, const struct relaxation *x)
{
	switch (x->what) {
	case RELAX_CPU:
		r->nodes[x->index].demand[RES_CPU_MILLI] = x->to;
		break;
	case RELAX_MEMORY:
		r->nodes[x->index].demand[RES_MEM_KIB] = x->to;
		break;
	case RELAX_BANDWIDTH:
		r->links[x->index].bw_kbps = x->to;
		break;
	case RELAX_DELAY:
		r->links[x->index].max_delay_us = x->to;
		break;
	case RELAX_SPLIT:
		r->links[x->index].split = true;
		break;
	case RELAX_PROTECTION:
		r->links[x->index].protect = false;
		break;
	case RELAX_PLACE: {
		struct place *place = &r->nodes[x->index].place;
		yaml_names_done(&place->on);
		yaml_names_done(&place->not_on);
		place->has_near = false;
		for (size_t i = 0; i < place->n_labels; i++) {
			free(place->labels[i].key);
			free(place->labels[i].value);
		}
		free(place->labels);
		place->labels = NULL;
		place->n_labels = 0;
		break;
	}
	case RELAX_KIND:
		free(r->nodes[x->index].kind);
		r->nodes[x->index].kind = NULL;
		r->nodes[x->index].demand[RES_GUEST_KIB] = r->nodes[x->index].demand[RES_GUESTS] = 0;
		break;
	case RELAX_PACK:
		r->placement = PLACEMENT_PACK;
		break;
	case RELAX_ALL_BANDWIDTHS:
		for (size_t k = 0; k < r->n_links; k++)
			if (r->links[k].bw_kbps > 0)
				r->links[k].bw_kbps = r->links[k].bw_kbps * x->to / PER_MILLE + (r->links[k].bw_kbps * x->to < PER_MILLE);
		break;
	}
}

void relax_text(const struct request *r, const struct relaxation *x, char *text, size_t size)
{
	const char *const words[] = { [RELAX_CPU] = "cpu", [RELAX_MEMORY] = "memory", [RELAX_BANDWIDTH] = "", [RELAX_DELAY] = "max_delay ",
		[RELAX_SPLIT] = "paths: split", [RELAX_PROTECTION] = "protection dropped", [RELAX_PLACE] = "place dropped",
		[RELAX_KIND] = "any kind of router" };
	char from[UNITS_TEXT], to[UNITS_TEXT];

	switch (x->what) {
	case RELAX_CPU:
		snprintf(text, size, "%s: cpu %s → %s", r->nodes[x->index].name, units_cpu_text(x->from, from), units_cpu_text(x->to, to));
		return;
	case RELAX_MEMORY:
		snprintf(text, size, "%s: memory %s → %s", r->nodes[x->index].name, units_memory_text(x->from, from),
		         units_memory_text(x->to, to));
		return;
	case RELAX_BANDWIDTH:
		snprintf(text, size, "%s: %s → %s", r->links[x->index].name, units_bandwidth_text(x->from, from),
		         units_bandwidth_text(x->to, to));
		return;
	case RELAX_DELAY:
		snprintf(text, size, "%s: max_delay %s → %s", r->links[x->index].name, units_delay_text(x->from, from),
		         units_delay_text(x->to, to));
		return;
	case RELAX_SPLIT:
	case RELAX_PROTECTION:
		snprintf(text, size, "%s: %s", r->links[x->index].name, words[x->what]);
		return;
	case RELAX_PLACE:
	case RELAX_KIND:
		snprintf(text, size, "%s: %s", r->nodes[x->index].name, words[x->what]);
		return;
	case RELAX_PACK:
		snprintf(text, size, "placement: distinct → pack");
		return;
	case RELAX_ALL_BANDWIDTHS:
		snprintf(text, size, "every bandwidth to %g %%", (double)x->to / (PER_MILLE / 100));
		return;
	}
}

/* ---- one try ------------------------------------------------------------------------------- */

static bool first_will_do(void *arg, const struct solution *best)
{
	return false;
}

static bool go_on(const struct relaxer *x)
{
	return x->spent < x->effort && (x->deadline_us == INT64_MAX || clock_us() < x->deadline_us);
}

/* A quantity that reads well and is no harder to fit. */
static int64_t rounded(const struct relaxation *x, int64_t value)
{
	int64_t step = 1;

	while (value / step >= 1000)
		step *= 10;
	if (x->what == RELAX_DELAY)
		return (value + step - 1) / step * step;
	if (x->what == RELAX_MEMORY)
		for (step = 1; value / step >= 2048;)
			step *= 2;
	return value / step * step;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t fits_node(const struct relaxer *x, const struct request *r, const struct embedding *e, size_t u, enum resource res,
                         int64_t from)
{
	int64_t room = x->left->node[e->host[u]][res];

	if (room == UNLIMITED)
		return from;
	for (size_t v = 0; v < r->n_nodes; v++)
		if (v != u && e->host[v] == e->host[u])
			room -= r->nodes[v].demand[res];
	return least(room, from);
}

static int64_t carried(const struct embedding *e, size_t k, uint32_t l)
{
	int64_t sum = 0;

	for (size_t i = 0; i <= e->links[k].n_paths; i++) {
		const struct path *path = i < e->links[k].n_paths ? &e->links[k].paths[i] : &e->links[k].backup;
		for (size_t h = 0; h < path->n; h++)
			sum += path->links[h] == l ? path->bw_kbps : 0;
	}
	return sum;
}

static int64_t fits_path(const struct relaxer *x, const struct request *r, const struct embedding *e, size_t k,
                         const struct path *path, int64_t most)
{
	for (size_t h = 0; h < path->n; h++) {
		int64_t room = x->left->link_kbps[path->links[h]];
		for (size_t j = 0; j < r->n_links; j++)
			room -= j == k ? 0 : carried(e, j, path->links[h]);
		most = least(room, most);
	}
	return most;
}

/* How much of what was asked the embedding of the relaxed request leaves room for: at least what was tried. */
static int64_t fits(const struct relaxer *x, const struct request *r, const struct embedding *e, const struct relaxation *tried)
{
	size_t i = tried->index;

	if (tried->what == RELAX_CPU || tried->what == RELAX_MEMORY)
		return fits_node(x, r, e, i, tried->what == RELAX_CPU ? RES_CPU_MILLI : RES_MEM_KIB, tried->from);
	if (tried->what == RELAX_BANDWIDTH && !r->links[i].split) {
		int64_t most = tried->from;
		for (size_t p = 0; p < e->links[i].n_paths; p++)
			most = fits_path(x, r, e, i, &e->links[i].paths[p], most);
		return fits_path(x, r, e, i, &e->links[i].backup, most);
	}
	if (tried->what == RELAX_DELAY) {
		int64_t most = 0;
		for (size_t p = 0; p <= e->links[i].n_paths; p++) {
			int64_t delay = path_delay_us(x->s, p < e->links[i].n_paths ? &e->links[i].paths[p] : &e->links[i].backup);
			most = delay > most ? delay : most;
		}
		return most;
	}
	return tried->to;
}

static double change_of(const struct relaxation *t)
{
	double from = (double)t->from, to = (double)t->to;
	return fabs(from - to) / (from > to ? from : to > 0 ? to : 1);
}

/* True: what is tried fits, and t->to is as near to t->from as the embedding found allows. */
static bool try_one(struct relaxer *x, struct relaxation *t)
{
	struct request relaxed;
	struct solution answer = { 0 };

	if (!go_on(x) || request_copy(x->r, &relaxed, NULL) != 0)
		return false;
	request_relax(&relaxed, t);
	bool found = embed_once(x->s, x->left, &relaxed, &x->options, &answer, NULL) == 0 && answer.has_embedding;
	x->spent += (int64_t)(answer.work / 1000) + 1;
	if (found && of_quantity(t->what)) {
		int64_t to = fits(x, &relaxed, &answer.embedding, t), nice = rounded(t, to);
		bool better = t->what == RELAX_DELAY ? nice <= t->to : nice >= t->to;
		t->to = better ? nice : to;
		t->change = change_of(t);
	}
	solution_done(&answer);
	request_done(&relaxed);
	return found;
}

static void note(struct relaxer *x, const struct relaxation *t)
{
	if (x->found && t->change >= x->best.change)
		return;
	x->best = *t;
	x->found = true;
}

/* The most of a quantity that any one node or link has left, where that is less than asked: no smaller change can help.
 * t->from: nothing is known. */
static int64_t ceiling(const struct relaxer *x, const struct relaxation *t)
{
	int64_t most = 0;

	if (t->what == RELAX_BANDWIDTH && !x->r->links[t->index].split) {
		for (size_t l = 0; l < x->s->n_links; l++)
			most = x->left->link_kbps[l] > most ? x->left->link_kbps[l] : most;
	} else if (t->what == RELAX_CPU || t->what == RELAX_MEMORY) {
		enum resource res = t->what == RELAX_CPU ? RES_CPU_MILLI : RES_MEM_KIB;
		for (size_t a = 0; a < x->s->n_nodes; a++)
			if (x->left->node[a][res] > most && place_fits(&x->r->nodes[t->index], x->s, a, NULL))
				most = x->left->node[a][res];
	} else {
		return t->from;
	}
	return most < t->from ? most : t->from;
}

/* ---- the smallest -------------------------------------------------------------------------- */

/* The value of t's quantity that changes it by `change`. */
static int64_t value_at(const struct relaxation *t, double change)
{
	double from = (double)t->from;
	return t->what == RELAX_DELAY ? (int64_t)fmin(ceil(from / (1 - change)), (double)DELAY_MAX_US) : (int64_t)(from * (1 - change));
}

/* Between a change that helps and one that is too small. */
static void halve(struct relaxer *x, struct relaxation t)
{
	double low = 0, high = t.change;

	note(x, &t);
	/* Only what beats the best is worth another look. */
	if (high > x->best.change)
		high = x->best.change;
	for (int i = 0; i < HALVINGS && high - low > 0.01 && go_on(x); i++) {
		struct relaxation middle = t;
		double change = i == 0 && high < t.change ? high * 0.95 : (low + high) / 2;
		middle.to = value_at(&t, change);
		if (try_one(x, &middle)) {
			note(x, &middle);
			high = middle.change < change ? middle.change : change;
		} else if (i == 0 && high < t.change) {
			return;
		} else {
			low = change;
		}
	}
}

struct tries {
	struct relaxation *v;
	size_t n;
};

static void add(struct tries *all, enum relax_what what, size_t index, int64_t from, int64_t to, double change)
{
	if (of_quantity(what) ? from == to : false)
		return;
	all->v[all->n++] = (struct relaxation){ what, index, from, to, change };
}

static void list_tries(const struct request *r, struct tries *all)
{
	all->v = mem_array(4 * r->n_nodes + 4 * r->n_links + 2, sizeof(*all->v));
	for (size_t u = 0; u < r->n_nodes; u++) {
		const struct vnode *node = &r->nodes[u];
		const struct place *place = &node->place;
		add(all, RELAX_CPU, u, node->demand[RES_CPU_MILLI], 0, 1);
		add(all, RELAX_MEMORY, u, node->demand[RES_MEM_KIB], 0, 1);
		if (place->on.n || place->not_on.n || place->has_near || place->n_labels)
			add(all, RELAX_PLACE, u, 0, 0, 1);
		if (node->kind && !node->image && !node->rt_period_us) /* those make it a guest again */
			add(all, RELAX_KIND, u, 0, 0, 0.9);
	}
	for (size_t k = 0; k < r->n_links; k++) {
		const struct vlink *link = &r->links[k];
		add(all, RELAX_BANDWIDTH, k, link->bw_kbps, link->bw_kbps > 0, 1);
		if (link->max_delay_us >= 0)
			add(all, RELAX_DELAY, k, link->max_delay_us, DELAY_MAX_US, 1);
		if (link->protect)
			add(all, RELAX_PROTECTION, k, 0, 0, 0.7);
		else if (!link->split && link->bw_kbps > 1)
			add(all, RELAX_SPLIT, k, 0, 0, 0.4);
	}
	if (r->placement == PLACEMENT_DISTINCT && r->n_nodes > 1)
		add(all, RELAX_PACK, 0, 0, 0, 0.8);
}

/* Whether the text has the name as a word. */
static bool names(const char *text, const char *name)
{
	static const char inside[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t len = strlen(name);

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
		if ((at == text || !strchr(inside, at[-1])) && (!at[len] || !strchr(inside, at[len])))
			return true;
	return false;
}

/* 0: named; 1: joined to what is named; 2: neither. */
static int distance(const struct request *r, const char *about, const struct relaxation *t)
{
	bool of_node = t->what == RELAX_CPU || t->what == RELAX_MEMORY || t->what == RELAX_PLACE || t->what == RELAX_KIND;

	if (t->what >= RELAX_PACK)
		return 2;
	if (of_node)
		return names(about, r->nodes[t->index].name) ? 0 : 2;
	const struct vlink *link = &r->links[t->index];
	if (names(about, link->name))
		return 0;
	return names(about, r->nodes[link->a].name) || names(about, r->nodes[link->b].name) ? 1 : 2;
}

static void order_tries(const struct request *r, const char *about, struct tries *all)
{
	mem_auto struct relaxation *ordered = mem_array(all->n + 1, sizeof(*ordered));
	size_t n = 0;

	for (int far = 0; far <= 2; far++)
		for (size_t i = 0; i < all->n; i++)
			if (distance(r, about, &all->v[i]) == far)
				ordered[n++] = all->v[i];
	memcpy(all->v, ordered, n * sizeof(*ordered));
}

static int by_change(const void *a, const void *b)
{
	const struct relaxation *x = a, *y = b;
	if (x->change != y->change)
		return x->change < y->change ? -1 : 1;
	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static void try_all(struct relaxer *x, struct tries *all)
{
	size_t helped = 0;

	for (size_t i = 0; i < all->n && go_on(x); i++) {
		struct relaxation highest = all->v[i];
		highest.to = ceiling(x, &highest);
		if (highest.to < highest.from && highest.to > all->v[i].to && try_one(x, &highest))
			note(x, &highest); /* no less would do */
		else if (try_one(x, &all->v[i]))
			all->v[helped++] = all->v[i];
	}
	qsort(all->v, helped, sizeof(*all->v), by_change);
	for (size_t i = 0; i < helped; i++) {
		if (of_quantity(all->v[i].what))
			halve(x, all->v[i]);
		else
			note(x, &all->v[i]);
	}
	if (!x->found) {
		struct relaxation t = { RELAX_ALL_BANDWIDTHS, 0, PER_MILLE, 1, 1 };
		if (try_one(x, &t))
			halve(x, t);
	}
}

bool relax_find(const struct substrate *s, const struct residual *left, const struct request *r,
                const struct embed_options *options, const char *about, int64_t effort, int64_t deadline_us,
                struct relaxation *ret)
{
	struct relaxer x = { .s = s, .left = left, .r = r, .effort = effort, .deadline_us = deadline_us };
	struct tries all = { NULL, 0 };

	list_tries(r, &all);
	order_tries(r, about, &all);
	int64_t each = effort / (10 * ((int64_t)all.n + 1));
	x.options = (struct embed_options){ .solver = "heuristic", .seed = options->seed, .progress = first_will_do,
	                                    .effort = each < TRY_MIN ? TRY_MIN : each > TRY_MAX ? TRY_MAX : each };
	if (deadline_us != INT64_MAX)
		x.options.time_limit_s = 0.05;
	try_all(&x, &all);
	free(all.v);
	*ret = x.best;
	return x.found;
}
