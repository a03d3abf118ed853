/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See reoptimise.h. One network at a time is taken out and put back with a few of its routers free and
 * the others pinned to where they are *now* (not where an earlier round put them: so a move can be taken back and
 * spent elsewhere); the change that saves most for its moves is made, until none saves anything. Then two or three
 * networks that are in each other's way are taken out together. */
#include "embed/reoptimise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/rng.h"

enum {
	EFFORT_MIN = 20, EFFORT_MAX = 4000,
	SUBSETS = 64,       /* choices of free routers that are tried one by one */
	RUINS = 200,        /* joint rounds, where effort and time are not bounded more tightly */
	TOGETHER = 3        /* networks taken out at once */
};

struct net {
	const struct request *r;
	const struct embedding *now;
	bool fixed, intact;
	bool *gone;              /* per router: its host cannot hold it any more */
	struct embedding e;      /* as it stands; e.host NULL: none */
	int64_t cost;
	size_t used;             /* moves */
};

struct reopt {
	const struct substrate *s;
	struct residual left;    /* with all that stands taken */
	struct net *net;
	size_t n, moves_max, moves;
	const struct embed_options *options;
	struct rng rng;
	int64_t deadline_us;
	uint64_t work, work_limit;
};

double request_value(const struct request *r)
{
	return nano_to_units(request_revenue_nano(r)) * ((double)r->priority_micro / 1e6);
}

int64_t request_effort(const struct substrate *s, const struct request *r)
{
	size_t effort = EFFORT_MIN + r->n_nodes * (s->n_links + s->n_nodes) / 20;
	return effort < EFFORT_MAX ? (int64_t)effort : EFFORT_MAX;
}

static bool go_on(const struct reopt *o)
{
	return o->work < o->work_limit && (o->deadline_us == INT64_MAX || clock_us() < o->deadline_us);
}

static size_t moves_of(const struct net *net, const struct embedding *e)
{
	size_t n = 0;

	for (size_t u = 0; net->now && u < net->r->n_nodes; u++)
		n += e->host[u] != net->now->host[u] && !net->gone[u];
	return n;
}

static void take(struct reopt *o, size_t i)
{
	struct net *net = &o->net[i];

	residual_take(&o->left, net->r, &net->e);
	net->cost = embedding_cost_nano(o->s, net->r, &net->e);
	net->used = moves_of(net, &net->e);
	o->moves += net->used;
}

static void give(struct reopt *o, size_t i)
{
	residual_give(&o->left, o->net[i].r, &o->net[i].e);
	o->moves -= o->net[i].used;
}

static void put(struct reopt *o, size_t i, const struct embedding *e)
{
	embedding_done(&o->net[i].e);
	embedding_copy(e, &o->net[i].e);
	take(o, i);
}

/* ---- one network, some routers free -------------------------------------------------------- */

/* The network, which is taken out, embedded with only the routers of free_to off their present hosts; paths are
 * free. False: not found. */
static bool embed_pinned(struct reopt *o, size_t i, const bool *free_to, struct solution *ret)
{
	const struct net *net = &o->net[i];
	struct request pinned = *net->r;
	mem_auto struct vnode *nodes = mem_array(pinned.n_nodes + 1, sizeof(*nodes));
	mem_auto char **names = mem_array(pinned.n_nodes + 1, sizeof(*names));
	struct embed_options options = { .solver = "exact", .seed = o->options->seed,
	                                 .effort = request_effort(o->s, net->r) };

	memcpy(nodes, net->r->nodes, pinned.n_nodes * sizeof(*nodes));
	for (size_t u = 0; net->now && u < pinned.n_nodes; u++) {
		if (free_to[u] || net->gone[u])
			continue;
		names[u] = o->s->nodes[net->now->host[u]].name;
		nodes[u].place.on = (struct yaml_names){ &names[u], 1 };
	}
	pinned.nodes = nodes;
	if (o->deadline_us != INT64_MAX)
		options.time_limit_s = (double)(o->deadline_us - clock_us()) / 1e6 + 0.001;
	*ret = (struct solution){ 0 };
	if (!go_on(o) || embed_once(o->s, &o->left, &pinned, &options, ret, NULL) != 0)
		return false;
	o->work += ret->work + 1;
	return ret->has_embedding;
}

/* ---- which routers to free ----------------------------------------------------------------- */

struct chooser {
	size_t n, most;      /* of n routers at most so many */
	bool unlimited;
	bool *free_to;
	size_t step;
	uint32_t mask;       /* of the last subset, where all are walked */
	bool all;
};

static bool few_subsets(size_t n, size_t most)
{
	size_t sum = 1, each = 1;

	for (size_t k = 1; k <= most && k <= n; k++) {
		each = each * (n - k + 1) / k;
		sum += each;
		if (sum > SUBSETS)
			return false;
	}
	return n < 32;
}

static void grow_region(struct reopt *o, const struct request *r, size_t from, size_t most, bool *free_to)
{
	size_t n = 1;

	free_to[from] = true;
	for (size_t tries = 0; n < most && tries < 8 * most + 8; tries++) {
		const struct vlink *k = r->n_links > 0 ? &r->links[rng_below(&o->rng, (uint32_t)r->n_links)] : NULL;
		size_t u = rng_below(&o->rng, (uint32_t)r->n_nodes);
		if (k && free_to[k->a] != free_to[k->b])
			u = free_to[k->a] ? k->b : k->a;
		else if (k && tries < 4 * most)
			continue;
		n += !free_to[u];
		free_to[u] = true;
	}
}

/* The next choice: none, then all if they may, then each subset where they are few, else each router by itself and
 * regions grown at random. False: no more. */
static bool choose(struct reopt *o, const struct request *r, struct chooser *c)
{
	size_t step = c->step++;

	memset(c->free_to, 0, c->n * sizeof(*c->free_to));
	if (step == 0) {
		c->all = few_subsets(c->n, c->most);
		return true;
	}
	if (c->most == 0 || (c->unlimited && step > 1))
		return false;
	if (step == 1 && c->most >= c->n) {
		for (size_t u = 0; u < c->n; u++)
			c->free_to[u] = true;
		return true;
	}
	if (c->all) {
		do
			c->mask++;
		while ((size_t)__builtin_popcount(c->mask) > c->most);
		for (size_t u = 0; u < c->n; u++)
			c->free_to[u] = c->mask >> u & 1;
		return c->mask < 1u << c->n;
	}
	if (step > SUBSETS)
		return false;
	if (step <= c->n)
		c->free_to[step - 1] = true;
	else {
		/* drawn one after the other: of arguments, each compiler draws another one first */
		uint32_t from = rng_below(&o->rng, (uint32_t)c->n);
		grow_region(o, r, from, 1 + rng_below(&o->rng, (uint32_t)(c->most < c->n ? c->most : c->n)), c->free_to);
	}
	return true;
}

/* The best way to put network i, which is taken out, back with at most `most` moves: the cheapest, or what saves
 * most per move. False: none. */
static bool best_of(struct reopt *o, size_t i, size_t most, bool per_move, struct embedding *ret)
{
	const struct net *net = &o->net[i];
	size_t n = net->r->n_nodes;
	mem_auto bool *free_to = mem_array(n + 1, sizeof(*free_to));
	struct chooser c = { .n = n, .most = net->now ? most : n, .unlimited = o->moves_max == SIZE_MAX, .free_to = free_to };
	bool found = false;
	double best = 0;
	size_t fewest = 0;

	while (go_on(o) && choose(o, net->r, &c)) {
		struct solution answer;
		if (embed_pinned(o, i, free_to, &answer)) {
			size_t moves = moves_of(net, &answer.embedding);
			int64_t cost = embedding_cost_nano(o->s, net->r, &answer.embedding);
			double score = per_move ? (double)(net->cost - cost) / (double)(moves > net->used ? moves - net->used + 1 : 1) : -(double)cost;
			if ((!net->now || moves <= most) && (!found || score > best || (score == best && moves < fewest))) {
				if (found)
					embedding_done(ret);
				embedding_copy(&answer.embedding, ret);
				found = true;
				best = score;
				fewest = moves;
			}
		}
		solution_done(&answer);
		if (!net->now)
			break;
	}
	return found;
}

/* ---- rounds -------------------------------------------------------------------------------- */

static size_t moves_for(const struct reopt *o)
{
	return o->moves_max > o->moves ? o->moves_max - o->moves : 0;
}

static bool improve_one(struct reopt *o, size_t i)
{
	struct net *net = &o->net[i];
	struct embedding better;
	bool improved = false;

	if (net->fixed || !net->e.host)
		return false;
	give(o, i);
	size_t most = moves_for(o);
	if (best_of(o, i, most, o->moves_max != SIZE_MAX, &better)) {
		int64_t cost = embedding_cost_nano(o->s, net->r, &better);
		if (cost < net->cost || (cost == net->cost && moves_of(net, &better) < net->used)) {
			put(o, i, &better);
			improved = true;
		}
		embedding_done(&better);
	}
	if (!improved)
		take(o, i);
	return improved;
}

static bool share_links(const struct reopt *o, size_t i, size_t j)
{
	bool shared = false;
	mem_auto uint8_t *used = mem_array(o->s->n_links + 1, 1);

	for (int pass = 0; pass < 2 && !shared; pass++) {
		const struct embedding *e = &o->net[pass ? j : i].e;
		for (size_t k = 0; k < e->n_links && !shared; k++)
			for (size_t p = 0; p < e->links[k].n_paths && !shared; p++)
				for (size_t h = 0; h < e->links[k].paths[p].n && !shared; h++) {
					uint8_t *mark = &used[e->links[k].paths[p].links[h]];
					shared = pass && *mark;
					*mark |= !pass;
				}
	}
	return shared;
}

static size_t choose_together(struct reopt *o, size_t *chosen)
{
	size_t n = 0, want = 2 + rng_below(&o->rng, TOGETHER - 1);

	for (size_t tries = 0; tries < 20 && n < want; tries++) {
		size_t i = rng_below(&o->rng, (uint32_t)o->n);
		bool fits = !o->net[i].fixed && o->net[i].e.host;
		for (size_t j = 0; j < n; j++)
			fits = fits && chosen[j] != i;
		if (fits && (n == 0 || tries > 12 || share_links(o, i, chosen[0])))
			chosen[n++] = i;
	}
	return n;
}

/* Takes some out, puts them back in a random order, and keeps what is cheaper together. */
static bool improve_together(struct reopt *o)
{
	struct embedding old[TOGETHER];
	size_t chosen[TOGETHER], n = choose_together(o, chosen), done = 0;
	int64_t before = 0, after = 0;
	bool good = n > 1;

	for (size_t j = 0; j < n; j++) {
		before += o->net[chosen[j]].cost;
		give(o, chosen[j]);
		embedding_copy(&o->net[chosen[j]].e, &old[j]);
	}
	for (; done < n && good; done++) {
		struct embedding e;
		size_t most = moves_for(o);
		if (done + 1 < n && most > 0 && rng_below(&o->rng, 2))
			most = rng_below(&o->rng, (uint32_t)(most < 1000 ? most : 1000) + 1);
		good = best_of(o, chosen[done], most, false, &e);
		if (!good)
			break;
		put(o, chosen[done], &e);
		embedding_done(&e);
		after += o->net[chosen[done]].cost;
	}
	good = good && after < before;
	for (size_t j = 0; j < n; j++) {
		if (!good && j < done)
			give(o, chosen[j]);
	}
	for (size_t j = 0; j < n; j++) {
		if (!good)
			put(o, chosen[j], &old[j]);
		embedding_done(&old[j]);
	}
	return good;
}

/* ---- what stands, and what must be repaired ------------------------------------------------- */

static void find_gone(const struct substrate *s, const struct residual *all, struct net *net)
{
	net->gone = mem_array(net->r->n_nodes + 1, sizeof(*net->gone));
	for (size_t u = 0; net->now && u < net->r->n_nodes; u++) {
		uint32_t a = net->now->host[u];
		net->gone[u] = a >= s->n_nodes || !place_fits(&net->r->nodes[u], s, a, NULL);
		for (int res = 0; !net->gone[u] && res < RES_COUNT; res++)
			net->gone[u] = all->node[a][res] < net->r->nodes[u].demand[res];
	}
}

static size_t *by_value(const struct reopt *o)
{
	size_t *order = mem_array(o->n + 1, sizeof(*order));

	for (size_t i = 0; i < o->n; i++) {
		size_t at = i;
		for (; at > 0 && request_value(o->net[order[at - 1]].r) < request_value(o->net[i].r); at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	return order;
}

static int take_what_stands(struct reopt *o, const size_t *order, struct err *err)
{
	for (int fixed = 1; fixed >= 0; fixed--)
		for (size_t j = 0; j < o->n; j++) {
			struct net *net = &o->net[order[j]];
			if (net->fixed != (fixed == 1))
				continue;
			struct err why = { 0 };
			if (net->now && embedding_check(o->s, &o->left, net->r, net->now, &why) == 0) {
				net->intact = true;
				put(o, order[j], net->now);
			} else if (fixed) {
				return err_set(err, -EINVAL, "%s is to stay as it is, but does not fit: %s", net->r->name,
				               net->now ? why.text : "it has no embedding");
			}
		}
	return 0;
}

/* One more network of those out; where there is no room, one that stands may be put elsewhere. */
static bool bring_in(struct reopt *o, size_t i)
{
	struct embedding e;

	if (best_of(o, i, moves_for(o), false, &e)) {
		put(o, i, &e);
		embedding_done(&e);
		return true;
	}
	for (size_t j = 0; j < o->n && go_on(o); j++) {
		struct net *other = &o->net[j];
		struct embedding old, moved;
		if (j == i || other->fixed || !other->e.host)
			continue;
		embedding_copy(&other->e, &old);
		give(o, j);
		bool in = best_of(o, i, moves_for(o), false, &e);
		if (in) {
			put(o, i, &e);
			embedding_done(&e);
			in = best_of(o, j, moves_for(o), false, &moved);
			if (in) {
				put(o, j, &moved);
				embedding_done(&moved);
			} else {
				give(o, i);
				embedding_done(&o->net[i].e);
			}
		}
		if (!in)
			put(o, j, &old);
		embedding_done(&old);
		if (in)
			return true;
	}
	return false;
}

static void improve_all(struct reopt *o)
{
	for (bool better = true; better && go_on(o);) {
		better = false;
		for (size_t j = 0; j < o->n && go_on(o); j++)
			better = improve_one(o, j) || better;
	}
	for (int i = 0, idle = 0; o->n > 1 && i < RUINS && idle < 4 * (int)o->n + 20 && go_on(o); i++) {
		bool good = improve_together(o);
		idle = good ? 0 : idle + 1;
		for (size_t j = 0; good && j < o->n && go_on(o); j++)
			improve_one(o, j);
	}
}

/* ---- in and out ---------------------------------------------------------------------------- */

static void answer_for(const struct reopt *o, size_t i, struct reoptimised *ret)
{
	struct net *net = &o->net[i];
	struct solution *answer = &ret->answer[i];

	*answer = (struct solution){ .status = SOLVE_UNKNOWN };
	snprintf(answer->solver, sizeof(answer->solver), "reoptimise");
	if (net->intact)
		ret->cost_before += nano_to_units(embedding_cost_nano(o->s, net->r, net->now));
	if (!net->e.host) {
		answer->status = SOLVE_REFUSED;
		snprintf(answer->reason, sizeof(answer->reason), "%s", net->now
		         ? "it does not fit any more, and no embedding was found within the moves allowed"
		         : "no embedding was found beside the others within the moves allowed");
		ret->lost += net->now != NULL;
		return;
	}
	answer->status = SOLVE_FEASIBLE;
	answer->has_embedding = true;
	answer->embedding = net->e;
	net->e = (struct embedding){ 0 };
	answer->cost = answer->objective = nano_to_units(net->cost);
	if (net->intact)
		ret->cost_after += answer->cost;
	ret->moved[i] = net->used;
	ret->moves += net->used;
}

int embed_reoptimise(const struct substrate *s, const struct residual *all, const struct embed_network *networks, size_t n,
                     size_t moves_max, const struct embed_options *options, struct reoptimised *ret, struct err *err)
{
	struct reopt o = { .s = s, .n = n, .moves_max = moves_max, .options = options, .deadline_us = INT64_MAX,
	                   .work_limit = UINT64_MAX };

	rng_init(&o.rng, options->seed);
	if (options->time_limit_s > 0 && options->time_limit_s < 1e9)
		o.deadline_us = clock_us() + (int64_t)(options->time_limit_s * 1e6);
	if (options->effort > 0)
		o.work_limit = (uint64_t)options->effort < UINT64_MAX / 1000 ? (uint64_t)options->effort * 1000 : UINT64_MAX;
	residual_copy(all, &o.left);
	o.net = mem_array(n + 1, sizeof(*o.net));
	for (size_t i = 0; i < n; i++) {
		o.net[i] = (struct net){ .r = networks[i].request, .now = networks[i].now, .fixed = networks[i].fixed };
		find_gone(s, all, &o.net[i]);
	}
	mem_auto size_t *order = by_value(&o);
	int code = take_what_stands(&o, order, err);
	for (size_t j = 0; code == 0 && j < n; j++)
		if (!o.net[order[j]].e.host)
			(void)bring_in(&o, order[j]);
	if (code == 0)
		improve_all(&o);
	if (code == 0) {
		*ret = (struct reoptimised){ .answer = mem_array(n + 1, sizeof(*ret->answer)),
			                         .moved = mem_array(n + 1, sizeof(*ret->moved)), .n = n };
		for (size_t i = 0; i < n; i++)
			answer_for(&o, i, ret);
	}
	for (size_t i = 0; i < n; i++) {
		embedding_done(&o.net[i].e);
		free(o.net[i].gone);
	}
	free(o.net);
	residual_done(&o.left);
	return code;
}

void reoptimised_done(struct reoptimised *r)
{
	for (size_t i = 0; i < r->n; i++)
		solution_done(&r->answer[i]);
	free(r->answer);
	free(r->moved);
	*r = (struct reoptimised){ 0 };
}
