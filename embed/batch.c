/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See batch.h. */
#include "embed/batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/bundle.h"
#include "embed/reoptimise.h"
#include "embed/rng.h"

enum { EFFORT = 200000, ALONE_MAX = 4000, MIP_EFFORT = 20000, ROUNDS = 100000, IDLE = 50, DROPPED = 3, OTHERS = 6 };

/* A choice: what is admitted, and where. */
struct choice {
	struct embedding *e; /* per request; host NULL: not admitted */
	double value;        /* summed in order of the requests, so that equal choices are equal */
	int64_t cost;        /* nano */
};

struct batch {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	size_t n;
	const struct embed_options *options;
	struct rng rng;
	int64_t deadline_us, effort, spent; /* units */
	struct solution *alone;             /* each by itself on `left` */
	double *value, *density;
	bool *dead;
	struct residual now;                /* with the choice at hand taken */
	struct choice at, best;
	double value_bound, cost_bound;
	bool cost_proven;
};

static bool go_on(const struct batch *b)
{
	return b->spent < b->effort && (b->deadline_us == INT64_MAX || clock_us() < b->deadline_us);
}

/* Time for one step: 1/n of what is left. */
static double seconds_for(const struct batch *b, int n)
{
	if (b->deadline_us == INT64_MAX)
		return 0;
	double left_s = (double)(b->deadline_us - clock_us()) / 1e6 / n;
	return left_s > 0.001 ? left_s : 0.001;
}

static void count(struct batch *b, const struct solution *answer)
{
	b->spent += (int64_t)(answer->work / 1000) + 1;
}

/* ---- choices ------------------------------------------------------------------------------- */

static void choice_sum(const struct batch *b, struct choice *c)
{
	c->value = 0;
	c->cost = 0;
	for (size_t i = 0; i < b->n; i++) {
		if (!c->e[i].host)
			continue;
		c->value += b->value[i];
		c->cost += embedding_cost_nano(b->s, &b->r[i], &c->e[i]);
	}
}

static bool same_value(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static bool choice_better(const struct choice *a, const struct choice *b)
{
	return same_value(a->value, b->value) ? a->cost < b->cost : a->value > b->value;
}

static void choice_copy(const struct batch *b, const struct choice *from, struct choice *to)
{
	for (size_t i = 0; i < b->n; i++) {
		embedding_done(&to->e[i]);
		if (from->e[i].host)
			embedding_copy(&from->e[i], &to->e[i]);
	}
	to->value = from->value;
	to->cost = from->cost;
}

/* Goes on from c. */
static void stand_on(struct batch *b, const struct choice *c)
{
	if (c != &b->at)
		choice_copy(b, c, &b->at);
	residual_done(&b->now);
	residual_copy(b->left, &b->now);
	for (size_t i = 0; i < b->n; i++)
		if (b->at.e[i].host)
			residual_take(&b->now, &b->r[i], &b->at.e[i]);
	choice_sum(b, &b->at);
}

static bool keep_if_better(struct batch *b)
{
	choice_sum(b, &b->at);
	bool better = choice_better(&b->at, &b->best);
	if (better)
		choice_copy(b, &b->at, &b->best);
	return better;
}

static void drop(struct batch *b, size_t i)
{
	residual_give(&b->now, &b->r[i], &b->at.e[i]);
	embedding_done(&b->at.e[i]);
}

/* thorough: as a single request would be embedded; else a few starts. */
static void insert(struct batch *b, size_t i, bool thorough)
{
	struct embed_options options = { .solver = "heuristic", .seed = b->options->seed,
	                                 .effort = thorough ? 0 : request_effort(b->s, &b->r[i]) };
	struct solution answer = { 0 };

	if (b->deadline_us != INT64_MAX)
		options.time_limit_s = seconds_for(b, 1);
	if (embed_once(b->s, &b->now, &b->r[i], &options, &answer, NULL) == 0 && answer.has_embedding) {
		residual_take(&b->now, &b->r[i], &answer.embedding);
		embedding_copy(&answer.embedding, &b->at.e[i]);
	}
	count(b, &answer);
	solution_done(&answer);
}

/* Those that are out, one after the other by falling score; NULL: as they come. */
static void insert_all(struct batch *b, const double *score)
{
	mem_auto bool *tried = mem_array(b->n + 1, sizeof(*tried));

	while (go_on(b)) {
		size_t next = b->n;
		for (size_t i = 0; i < b->n; i++)
			if (!tried[i] && !b->dead[i] && !b->at.e[i].host && (next == b->n || (score && score[i] > score[next])))
				next = i;
		if (next == b->n)
			return;
		tried[next] = true;
		insert(b, next, true);
	}
}

/* ---- each alone ---------------------------------------------------------------------------- */

static int embed_alone(struct batch *b, struct err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		struct embed_options options = *b->options;
		options.solver = b->n <= BATCH_EXACT_MAX ? "auto" : "heuristic";
		options.objective = OBJECTIVE_COST;
		options.progress = NULL;
		options.effort = b->effort / ((b->n <= BATCH_EXACT_MAX ? 4 : 16) * (int64_t)b->n);
		options.effort = options.effort > ALONE_MAX ? ALONE_MAX : options.effort < 1 ? 1 : options.effort;
		if (b->deadline_us != INT64_MAX)
			options.time_limit_s = seconds_for(b, (b->n <= BATCH_EXACT_MAX ? 2 : 8) * (int)(b->n - i) + 1);
		int ret = embed_solve(b->s, b->left, &b->r[i], &options, &b->alone[i], err);
		if (ret != 0)
			return ret;
		count(b, &b->alone[i]);
		b->dead[i] = b->alone[i].status == SOLVE_INFEASIBLE;
		b->value[i] = request_value(&b->r[i]);
		double takes = b->alone[i].has_embedding ? b->alone[i].cost : nano_to_units(request_revenue_nano(&b->r[i]));
		b->density[i] = b->value[i] / (takes > 0 ? takes : 1e-9);
	}
	return 0;
}

/* ---- bounds -------------------------------------------------------------------------------- */

/* The most value that fits `room` where each may be admitted in part (Dantzig 1957). */
static double knapsack(const struct batch *b, const double *takes, double room)
{
	mem_auto bool *used = mem_array(b->n + 1, sizeof(*used));
	double sum = 0;

	for (size_t step = 0; step < b->n; step++) {
		size_t next = b->n;
		for (size_t i = 0; i < b->n; i++)
			if (!used[i] && !b->dead[i] && (next == b->n || b->value[i] * takes[next] > b->value[next] * takes[i]))
				next = i;
		if (next == b->n)
			break;
		used[next] = true;
		if (takes[next] > room)
			return sum + (takes[next] > 0 ? b->value[next] * room / takes[next] : 0);
		room -= takes[next];
		sum += b->value[next];
	}
	return sum;
}

static void bound_value(struct batch *b)
{
	mem_auto double *cpu = mem_array(b->n + 1, sizeof(*cpu)), *kbps = mem_array(b->n + 1, sizeof(*kbps));
	double room_cpu = 0, room_kbps = 0;

	for (size_t i = 0; i < b->n; i++) {
		for (size_t u = 0; u < b->r[i].n_nodes; u++)
			cpu[i] += (double)b->r[i].nodes[u].demand[RES_CPU_MILLI];
		for (size_t k = 0; k < b->r[i].n_links; k++) /* on distinct nodes each crosses one link at least */
			if (b->r[i].placement == PLACEMENT_DISTINCT)
				kbps[i] += (double)b->r[i].links[k].bw_kbps * (b->r[i].links[k].protect ? 2 : 1);
	}
	for (size_t a = 0; a < b->s->n_nodes; a++)
		room_cpu += (double)b->left->node[a][RES_CPU_MILLI];
	for (size_t l = 0; l < b->s->n_links; l++)
		room_kbps += (double)b->left->link_kbps[l];
	b->value_bound = fmin(knapsack(b, cpu, room_cpu), knapsack(b, kbps, room_kbps)) * (1 + 1e-12);
}

/* What alone each must cost is a bound for those admitted, if nothing else of that value could be. */
static void bound_cost_by_parts(struct batch *b)
{
	double sum = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (!b->best.e[i].host && !b->dead[i])
			return; /* another choice may have the same value */
		if (b->best.e[i].host)
			sum += b->alone[i].has_bound ? b->alone[i].bound : 0;
	}
	b->cost_bound = sum;
	b->cost_proven = nano_to_units(b->best.cost) <= sum * (1 + 1e-9) + 1e-9;
}

/* ---- search -------------------------------------------------------------------------------- */

/* Those admitted, embedded anew together, any router moving. */
static void polish(struct batch *b)
{
	mem_auto struct embed_network *nets = mem_array(b->n + 1, sizeof(*nets));
	mem_auto size_t *which = mem_array(b->n + 1, sizeof(*which));
	struct embed_options options = { .seed = b->options->seed, .effort = (b->effort - b->spent) / 8 };
	struct reoptimised better;
	size_t n = 0;

	if (b->deadline_us != INT64_MAX)
		options.time_limit_s = seconds_for(b, 4);
	for (size_t i = 0; i < b->n; i++)
		if (b->best.e[i].host) {
			which[n] = i;
			nets[n++] = (struct embed_network){ .request = &b->r[i], .now = &b->best.e[i] };
		}
	if (options.effort <= 0 || n == 0 || embed_reoptimise(b->s, b->left, nets, n, SIZE_MAX, &options, &better, NULL) != 0)
		return;
	b->spent += options.effort;
	stand_on(b, &b->best);
	for (size_t j = 0; j < n; j++) {
		embedding_done(&b->at.e[which[j]]);
		embedding_copy(&better.answer[j].embedding, &b->at.e[which[j]]);
	}
	reoptimised_done(&better);
	stand_on(b, &b->at);
	keep_if_better(b);
}

static bool all_in(const struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (!b->dead[i] && !b->best.e[i].host)
			return false;
	return true;
}

/* One that is out, drawn at random; b->n: none is. */
static size_t draw_missing(struct batch *b)
{
	size_t first = rng_below(&b->rng, (uint32_t)b->n);

	for (size_t j = 0; j < b->n; j++) {
		size_t i = (first + j) % b->n;
		if (!b->dead[i] && !b->at.e[i].host)
			return i;
	}
	return b->n;
}

/* Some go, one that is out comes, then who went and a few others try. */
static void exchange(struct batch *b)
{
	size_t gone[DROPPED], n = 0, want = 1 + rng_below(&b->rng, DROPPED), missing = draw_missing(b);

	for (int tries = 0; tries < 20 && n < want; tries++) {
		size_t i = rng_below(&b->rng, (uint32_t)b->n);
		if (!b->at.e[i].host)
			continue;
		drop(b, i);
		gone[n++] = i;
	}
	if (missing < b->n)
		insert(b, missing, false);
	for (size_t j = 0; j < n && go_on(b); j++)
		insert(b, gone[j], false);
	for (int j = 0; j < OTHERS && go_on(b); j++) {
		size_t i = draw_missing(b);
		if (i < b->n && i != missing)
			insert(b, i, false);
	}
}

/* From nothing, in the order that is given. */
static void pass(struct batch *b, const double *score)
{
	struct choice none = { .e = mem_array(b->n + 1, sizeof(*none.e)) };

	stand_on(b, &none);
	free(none.e);
	insert_all(b, score);
	keep_if_better(b);
}

/* What is a little worse is gone on from, too, and now and then all goes back to the best. */
static void exchange_all(struct batch *b, int idle_max)
{
	struct choice before = { .e = mem_array(b->n + 1, sizeof(*before.e)) };

	stand_on(b, &b->best);
	choice_copy(b, &b->at, &before);
	for (int i = 0, idle = 0; i < ROUNDS && idle < idle_max && go_on(b) && !all_in(b); i++) {
		double heat = 0.005 * ((double)(rng_next(&b->rng) >> 11) * 0x1p-53);
		exchange(b);
		idle = keep_if_better(b) ? 0 : idle + 1;
		if (idle % IDLE == IDLE - 1)
			stand_on(b, &b->best);
		else if (!choice_better(&b->at, &before) && b->at.value < before.value * (1 - heat))
			stand_on(b, &before);
		choice_copy(b, &b->at, &before);
	}
	for (size_t i = 0; i < b->n; i++)
		embedding_done(&before.e[i]);
	free(before.e);
}

static void search(struct batch *b)
{
	int64_t effort = b->effort, deadline = b->deadline_us;
	bool few = b->n <= BATCH_EXACT_MAX;

	/* Where few, most of the limit is for proving. */
	b->effort = b->spent + (b->effort - b->spent) / 4 * (few ? 1 : 3);
	if (deadline != INT64_MAX)
		b->deadline_us = clock_us() + (deadline - clock_us()) / 4 * (few ? 1 : 3);
	pass(b, NULL);
	if (!all_in(b))
		pass(b, b->density);
	if (!all_in(b))
		pass(b, b->value);
	exchange_all(b, few ? IDLE : ROUNDS);
	b->effort = effort;
	b->deadline_us = deadline;
	polish(b);
	stand_on(b, &b->best);
	insert_all(b, b->density); /* what polishing has made room for */
	keep_if_better(b);
}

/* ---- exact, for few ------------------------------------------------------------------------ */

struct subset {
	uint32_t mask;
	double value;
	enum { SUBSET_OPEN, SUBSET_EXCLUDED } verdict;
};

static int by_value(const void *x, const void *y)
{
	const struct subset *a = x, *b = y;
	if (a->value != b->value)
		return a->value < b->value ? 1 : -1;
	return a->mask < b->mask ? -1 : a->mask > b->mask;
}

static bool first_will_do(void *arg, const struct solution *best)
{
	return false;
}

/* Decides whether the requests of the mask fit together, and if asked for how little. What is found becomes the best if
 * it is. */
static void decide(struct batch *b, uint32_t mask, bool cheapest, struct solution *ret)
{
	const struct request *chosen[BATCH_EXACT_MAX];
	size_t which[BATCH_EXACT_MAX], n = 0;
	struct request whole;
	struct embed_options options = { .solver = "mip", .seed = b->options->seed, .effort = b->effort - b->spent,
	                                 .progress = cheapest ? NULL : first_will_do };

	*ret = (struct solution){ .status = SOLVE_UNKNOWN };
	options.effort = options.effort > MIP_EFFORT ? MIP_EFFORT : options.effort;
	if (b->deadline_us != INT64_MAX)
		options.time_limit_s = seconds_for(b, 2);
	for (size_t i = 0; i < b->n; i++)
		if (mask >> i & 1) {
			which[n] = i;
			chosen[n++] = &b->r[i];
		}
	bundle_make(chosen, n, &whole);
	if (embed_once(b->s, b->left, &whole, &options, ret, NULL) == 0 && ret->has_embedding) {
		struct choice none = { .e = mem_array(b->n + 1, sizeof(*none.e)) };
		stand_on(b, &none);
		free(none.e);
		for (size_t j = 0; j < n; j++)
			bundle_part(chosen, j, &ret->embedding, &b->at.e[which[j]]);
		stand_on(b, &b->at);
		keep_if_better(b);
	}
	count(b, ret);
	bundle_done(&whole);
}

/* Marks the mask and all that contain it. */
static void exclude(struct subset *all, size_t n, uint32_t mask)
{
	for (size_t i = 0; i < n; i++)
		if ((all[i].mask & mask) == mask)
			all[i].verdict = SUBSET_EXCLUDED;
}

static void decide_value(struct batch *b, struct subset *all, size_t n)
{
	double open = 0;

	/* Pairs that exclude each other exclude much else. */
	for (size_t i = 0; i < n && go_on(b); i++) {
		struct solution answer;
		if (all[i].verdict == SUBSET_EXCLUDED || __builtin_popcount(all[i].mask) != 2 || all_in(b))
			continue;
		decide(b, all[i].mask, false, &answer);
		if (answer.status == SOLVE_INFEASIBLE)
			exclude(all, n, all[i].mask);
		solution_done(&answer);
	}
	for (size_t i = 0; i < n; i++) {
		struct solution answer;
		if (all[i].verdict == SUBSET_EXCLUDED)
			continue;
		if (all[i].value <= b->best.value || same_value(all[i].value, b->best.value))
			break;
		if (!go_on(b)) {
			open = fmax(open, all[i].value);
			break;
		}
		decide(b, all[i].mask, false, &answer);
		if (answer.status == SOLVE_INFEASIBLE)
			exclude(all, n, all[i].mask);
		else if (!answer.has_embedding)
			open = fmax(open, all[i].value);
		solution_done(&answer);
	}
	b->value_bound = fmin(b->value_bound, fmax(open, b->best.value));
}

/* Every choice of the best value, for its least cost. */
static void decide_cost(struct batch *b, struct subset *all, size_t n)
{
	double least = INFINITY;

	for (size_t i = 0; i < n; i++) {
		struct solution answer = { 0 };
		if (all[i].verdict == SUBSET_EXCLUDED || !same_value(all[i].value, b->best.value))
			continue;
		double bound = 0;
		for (size_t j = 0; j < b->n; j++)
			bound += all[i].mask >> j & 1 && b->alone[j].has_bound ? b->alone[j].bound : 0;
		if (go_on(b) && bound < nano_to_units(b->best.cost) * (1 - 1e-9)) {
			decide(b, all[i].mask, true, &answer);
			if (answer.status == SOLVE_INFEASIBLE)
				bound = INFINITY;
			else if (answer.has_bound)
				bound = fmax(bound, answer.bound);
			solution_done(&answer);
		}
		least = fmin(least, bound);
	}
	if (!isfinite(least))
		return;
	b->cost_bound = fmin(least, nano_to_units(b->best.cost));
	b->cost_proven = nano_to_units(b->best.cost) <= b->cost_bound * (1 + 1e-9) + 1e-9;
}

static void prove(struct batch *b)
{
	size_t alive[BATCH_EXACT_MAX], n_alive = 0, n = 0;

	if (all_in(b)) {
		b->value_bound = b->best.value;
		bound_cost_by_parts(b);
		if (b->cost_proven)
			return;
	}
	for (size_t i = 0; i < b->n; i++) {
		if (b->dead[i])
			continue;
		if (n_alive == BATCH_EXACT_MAX)
			return;
		alive[n_alive++] = i;
	}
	if (b->n > 32)
		return;
	mem_auto struct subset *all = mem_array((size_t)1 << n_alive, sizeof(*all));
	for (uint32_t m = 1; m < 1u << n_alive; m++) {
		struct subset *subset = &all[n++];
		for (size_t j = 0; j < n_alive; j++)
			if (m >> j & 1) {
				subset->mask |= 1u << alive[j];
				subset->value += b->value[alive[j]];
			}
	}
	qsort(all, n, sizeof(*all), by_value);
	decide_value(b, all, n);
	if (same_value(b->value_bound, b->best.value))
		decide_cost(b, all, n);
}

/* ---- in and out ---------------------------------------------------------------------------- */

static void answer_for(struct batch *b, size_t i, struct solution *ret)
{
	struct solution *alone = &b->alone[i];

	if (!b->best.e[i].host && !alone->has_embedding) {
		*ret = *alone;
		*alone = (struct solution){ 0 };
		return;
	}
	*ret = (struct solution){ .status = SOLVE_REFUSED, .has_bound = alone->has_bound, .bound = alone->bound, .seconds = alone->seconds };
	snprintf(ret->solver, sizeof(ret->solver), "batch");
	if (!b->best.e[i].host) {
		ret->scope = SCOPE_NOW;
		snprintf(ret->reason, sizeof(ret->reason), "it fits by itself, but not beside those of the batch that were chosen");
		return;
	}
	ret->has_embedding = true;
	ret->embedding = b->best.e[i];
	b->best.e[i] = (struct embedding){ 0 };
	ret->cost = ret->objective = nano_to_units(embedding_cost_nano(b->s, &b->r[i], &ret->embedding));
	ret->status = ret->has_bound && ret->cost <= ret->bound * (1 + 1e-12) ? SOLVE_OPTIMAL : SOLVE_FEASIBLE;
}

static void batch_answer(struct batch *b, struct batched *ret)
{
	*ret = (struct batched){ .n = b->n, .answer = mem_array(b->n + 1, sizeof(*ret->answer)), .value = b->best.value,
	                         .bound = fmax(b->value_bound, b->best.value), .cost = nano_to_units(b->best.cost),
	                         .cost_bound = b->cost_bound };
	ret->status = same_value(ret->value, ret->bound) && b->cost_proven ? SOLVE_OPTIMAL : SOLVE_FEASIBLE;
	for (size_t i = 0; i < b->n; i++)
		answer_for(b, i, &ret->answer[i]);
}

static void batch_begin(struct batch *b)
{
	b->alone = mem_array(b->n + 1, sizeof(*b->alone));
	b->value = mem_array(b->n + 1, sizeof(*b->value));
	b->density = mem_array(b->n + 1, sizeof(*b->density));
	b->dead = mem_array(b->n + 1, sizeof(*b->dead));
	b->at.e = mem_array(b->n + 1, sizeof(*b->at.e));
	b->best.e = mem_array(b->n + 1, sizeof(*b->best.e));
	rng_init(&b->rng, b->options->seed);
	b->deadline_us = INT64_MAX;
	if (b->options->time_limit_s > 0 && b->options->time_limit_s < 1e9)
		b->deadline_us = clock_us() + (int64_t)(b->options->time_limit_s * 1e6);
	b->effort = b->options->effort > 0 ? b->options->effort : b->deadline_us == INT64_MAX ? EFFORT : INT64_MAX / 2;
}

static void batch_end(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		solution_done(&b->alone[i]);
		embedding_done(&b->at.e[i]);
		embedding_done(&b->best.e[i]);
	}
	free(b->alone);
	free(b->value);
	free(b->density);
	free(b->dead);
	free(b->at.e);
	free(b->best.e);
	residual_done(&b->now);
}

int embed_batch(const struct substrate *s, const struct residual *left, const struct request *requests, size_t n,
                const struct embed_options *options, struct batched *ret, struct err *err)
{
	struct batch b = { .s = s, .left = left, .r = requests, .n = n, .options = options };

	batch_begin(&b);
	int code = embed_alone(&b, err);
	if (code == 0) {
		bound_value(&b);
		search(&b);
		prove(&b);
		batch_answer(&b, ret);
	}
	batch_end(&b);
	return code;
}

void batched_done(struct batched *b)
{
	for (size_t i = 0; i < b->n; i++)
		solution_done(&b->answer[i]);
	free(b->answer);
	*b = (struct batched){ 0 };
}
