/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operations of the builder: how one begins, goes on in slices, fails and is undone, ends, and what that makes
 * of its network. What the slices do is in build_steps.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"
#include "vnagent/neighbours.h"
#include "vnagent/wall.h"

/* ---- the second wall ----------------------------------------------------------------------- */
struct expected {
	VEC(const struct plan_segment *) segments;
};

static void expect_segments(struct expected *x, const struct node_plan *p)
{
	for (size_t i = 0; i < p->n_segments; i++)
		*vec_add(&x->segments) = &p->segments[i];
}

static void expect_net(void *value, void *arg)
{
	const struct build_net *net = value;
	if (net->has_committed)
		expect_segments(arg, &net->committed);
	if (net->has_prepared)
		expect_segments(arg, &net->prepared);
	if (net->has_replaced)
		expect_segments(arg, &net->replaced);
	if (net->first && net->first->begun)
		expect_segments(arg, &net->first->want);
}

int build_wall_update(struct builder *b, struct err *err)
{
	struct expected x = { 0 };
	if (!b->wall)
		return 0;
	hash_each(b->nets, expect_net, &x);
	int code = wall_set(b->wall, x.segments.v, x.segments.n, err);
	vec_done(&x.segments);
	return code ? err_add(err, code, "who may send into tunnels") : 0;
}

void builder_keep_neighbours(struct builder *b, const struct addr *server)
{
	struct expected x = { 0 };
	VEC(struct addr) to = { 0 };
	if (!b->nl)
		return;
	hash_each(b->nets, expect_net, &x);
	if (server)
		*vec_add(&to) = *server;
	for (size_t i = 0; i < x.segments.n; i++)
		*vec_add(&to) = x.segments.v[i]->remote;
	neighbours_keep(b->nl, to.v, to.n);
	vec_done(&to);
	vec_done(&x.segments);
}

/* ---- networks and jobs ------------------------------------------------------------------- */
struct build_net *build_net_get(struct builder *b, uint32_t id)
{
	struct build_net *net = build_net_find(b, id);
	if (net)
		return net;
	net = mem_alloc(sizeof(*net));
	*net = (struct build_net){ .b = b, .id = id };
	hash_put_u64(b->nets, id, net);
	return net;
}

static void job_free(struct job *job)
{
	if (job->begun) {
		plan_index_done(&job->now);
		plan_index_done(&job->old);
		hash_free(job->pending, NULL);
		hash_free(job->remade, NULL);
		hash_free(job->arrived, NULL);
		hash_free(job->unreal, NULL);
	}
	node_plan_done(&job->want);
	free(job);
}

static void drop_replaced(struct build_net *net)
{
	if (net->has_replaced)
		node_plan_done(&net->replaced);
	net->has_replaced = false;
}

void build_net_free(void *value)
{
	struct build_net *net = value;
	while (net->first) {
		struct job *job = net->first;
		net->first = job->next;
		job_free(job);
	}
	if (net->has_committed)
		node_plan_done(&net->committed);
	if (net->has_prepared)
		node_plan_done(&net->prepared);
	drop_replaced(net);
	vec_done(&net->failed);
	loop_remove(net->repair);
	free(net);
}

static void drop_prepared(struct build_net *net)
{
	if (!net->has_prepared)
		return;
	build_store(net->b, net->id, SLOT_PREPARED, NULL);
	node_plan_done(&net->prepared);
	net->has_prepared = false;
}

static void drop_committed(struct build_net *net)
{
	if (!net->has_committed)
		return;
	build_store(net->b, net->id, SLOT_COMMITTED, NULL);
	node_plan_done(&net->committed);
	net->has_committed = false;
}

struct job *build_queue(struct build_net *net, enum build_op op, uint32_t generation, const struct node_plan *plan,
                         uint64_t cookie, bool internal)
{
	struct job *job = mem_alloc(sizeof(*job));
	*job = (struct job){ .net = net, .op = op, .generation = generation, .cookie = cookie, .internal = internal };
	if (plan)
		node_plan_copy(plan, &job->want);
	if (net->last)
		net->last->next = job;
	else
		net->first = job;
	net->last = job;
	net->n_jobs++;
	net->b->n_jobs++;
	return job;
}

static void tell(struct builder *b, const struct job *job, int code, const char *text)
{
	struct build_result result = { job->op, job->net->id, job->generation, job->cookie, code, code ? text : "" };
	if (!job->internal)
		b->options.result(b->options.arg, &result);
	else if (code)
		build_notice(b, job->net->id, "network", text);
}

static bool net_is_nothing(const struct build_net *net)
{
	return !net->first && !net->has_committed && !net->has_prepared;
}

/* ---- beginning and ending a job ------------------------------------------------------------- */
/* What needs no work: 1, with the answer in *ret_code and err. */
static int answer_at_once(struct build_net *net, struct job *job, int *ret_code, struct err *err)
{
	uint32_t committed = net->has_committed ? net->committed.generation : 0;
	uint32_t prepared = net->has_prepared ? net->prepared.generation : 0;
	uint64_t released = (uintptr_t)hash_get_u64(net->b->released, net->id); /* generation + 1 */
	*ret_code = 0;
	switch (job->op) {
	case BUILD_PREPARE:
		if (job->internal)
			return 0;
		if (prepared == job->generation && node_plan_digest(&net->prepared) == node_plan_digest(&job->want))
			return 1;
		if (committed == job->generation && net->digest == node_plan_digest(&job->want))
			return 1;
		if (committed < job->generation)
			return 0;
		*ret_code = err_set(err, -ESTALE, "generation %u is not newer than %u, which is built", job->generation, committed);
		return 1;
	case BUILD_COMMIT:
		if (prepared == job->generation)
			return 0;
		if (committed != job->generation && released != (uint64_t)job->generation + 1)
			*ret_code = err_set(err, -ENOENT, "generation %u is not prepared here", job->generation);
		return 1;
	case BUILD_ABORT:
		return !net->has_prepared || (job->generation && prepared != job->generation);
	case BUILD_ENSURE:
		if (committed <= job->generation)
			return 0;
		*ret_code = err_set(err, -ESTALE, "generation %u is older than %u, which is built", job->generation, committed);
		return 1;
	case BUILD_REPAIR:
		return 0;
	}
	return 0;
}

static void job_begin(struct builder *b, struct job *job)
{
	struct build_net *net = job->net;
	if (job->op == BUILD_COMMIT)
		node_plan_copy(&net->prepared, &job->want);
	if (job->op == BUILD_REPAIR && net->has_committed) {
		node_plan_copy(&net->committed, &job->want);
		job->generation = job->want.generation;
	}
	if (job->op == BUILD_REPAIR)
		net->repaired_at_ms = clock_ms();
	plan_index_init(&job->now, &job->want);
	plan_index_init(&job->old, net->has_committed ? &net->committed : NULL);
	job->pending = hash_new();
	job->remade = hash_new();
	job->arrived = hash_new();
	job->unreal = hash_new();
	job->steps = build_steps(job);
	job->told_ms = clock_ms();
	job->begun = true;
}

static void keep_committed(struct build_net *net, struct job *job)
{
	bool replaces = job->op == BUILD_COMMIT && net->has_committed;
	drop_replaced(net);
	if (replaces)
		net->replaced = net->committed;
	else if (net->has_committed)
		node_plan_done(&net->committed);
	net->has_replaced = replaces;
	node_plan_copy(&job->want, &net->committed);
	net->has_committed = true;
	net->digest = node_plan_digest(&job->want);
}

/* The network's state follows what the operation has reached. */
static void settle(struct builder *b, struct job *job, int code)
{
	struct build_net *net = job->net;
	switch (job->op) {
	case BUILD_PREPARE:
		drop_prepared(net);
		if (code)
			break;
		node_plan_copy(&job->want, &net->prepared);
		net->has_prepared = true;
		build_store(b, net->id, SLOT_PREPARED, &net->prepared);
		break;
	case BUILD_ABORT:
		drop_prepared(net);
		break;
	case BUILD_COMMIT:
	case BUILD_ENSURE:
		if (code)
			break; /* a prepared plan stays, so that the commit can be repeated */
		drop_prepared(net);
		if (!node_plan_empty(&job->want)) {
			keep_committed(net, job);
			hash_del_u64(b->released, net->id);
			break;
		}
		drop_committed(net);
		drop_replaced(net);
		hash_put_u64(b->released, net->id, (void *)(uintptr_t)((uint64_t)job->generation + 1));
		break;
	case BUILD_REPAIR:
		if (!code)
			drop_replaced(net);
		break;
	}
}

static void job_end(struct builder *b, struct job *job, int code, const char *text)
{
	struct build_net *net = job->net;
	struct err err = { 0 };
	bool tunnels = job->begun && (job->now.plan->n_segments || job->old.plan->n_segments ||
	                              (net->has_prepared && net->prepared.n_segments));
	if (job->begun)
		settle(b, job, code);
	if (code && job->op == BUILD_REPAIR)
		build_schedule_repair(net); /* what others asked for, they ask for again */
	net->first = job->next;
	if (!net->first)
		net->last = NULL;
	net->n_jobs--;
	b->n_jobs--;
	if (tunnels && build_wall_update(b, &err)) /* too many may send for a while: no reason to undo anything */
		build_notice(b, net->id, "nftables", err.text);
	build_watch_net(b, net->id);
	tell(b, job, code, text);
	job_free(job);
}

/* One slice of the network's first job. True: there is more to do at once. */
static bool job_run(struct builder *b, struct build_net *net)
{
	struct job *job = net->first;
	struct err err = { 0 };
	int code = 0;
	if (!job->begun) {
		if (answer_at_once(net, job, &code, &err)) {
			job_end(b, job, code, err.text);
			return net->first;
		}
		job_begin(b, job);
	}
	if (job->code && job->steps != build_undo_steps()) {
		/* It has failed. A preparation leaves nothing behind; everything else can be repeated. */
		if (job->op != BUILD_PREPARE) {
			job_end(b, job, job->code, job->err.text);
			return net->first;
		}
		job->steps = build_undo_steps();
		job->step = job->cursor = 0;
		hash_free(job->pending, NULL);
		job->pending = hash_new();
	}
	if (!job->steps[job->step]) {
		char text[ERR_TEXT_MAX];
		err_copy(text, sizeof(text), job->err.text);
		job_end(b, job, job->code, text);
		return net->first;
	}
	code = job->steps[job->step](b, job, &err);
	if (code == STEP_NEXT) {
		job->step++;
		job->cursor = 0;
	} else if (code < 0 && job->code) {
		job->step++; /* undoing failed too: the first reason counts, the rest is undone as far as it goes */
	} else if (code < 0) {
		job->code = code;
		job->err = err;
	}
	return code != STEP_WAIT;
}

struct running {
	struct builder *b;
	bool more;
	VEC(uint64_t) nothing; /* networks of which nothing is left */
};

static void run_net(void *value, void *arg)
{
	struct build_net *net = value;
	struct running *r = arg;
	if (net->first)
		r->more |= job_run(r->b, net);
	if (net_is_nothing(net))
		*vec_add(&r->nothing) = net->id;
}

bool build_work(void *arg)
{
	struct builder *b = arg;
	struct running r = { .b = b };
	if (!b->n_jobs)
		return false;
	hash_each(b->nets, run_net, &r);
	for (size_t i = 0; i < r.nothing.n; i++)
		if (net_is_nothing(build_net_find(b, (uint32_t)r.nothing.v[i])))
			build_net_free(hash_del_u64(b->nets, r.nothing.v[i]));
	vec_done(&r.nothing);
	return r.more;
}

