/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs and answers of the solver worker, by the same tables as the messages between hosts. What
 * the tables cannot know is left to substrate_check, request_check and embedding_check. */
#include "proto/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/convert.h"
#include "proto/worker.pb-c.h"

enum { LABEL_BYTES = 255, REASON_BYTES = 4096, PARTS_MAX = 1 << 24 };

/* ---- substrate ----------------------------------------------------------------------------- */

#define PLAIN struct label
#define GENERATED VneWorker__Label
static const struct field label_fields[] = { TEXT(key, REASON_BYTES), TEXT(value, REASON_BYTES) };
SHAPE(label_shape, vne_worker__label__descriptor, label_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct coords
#define GENERATED VneWorker__Coords
static const struct field coords_fields[] = { INTEGER(kind, COORDS_NONE, COORDS_POSITION), REAL(a), REAL(b) };
SHAPE(coords_shape, vne_worker__coords__descriptor, coords_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct snode
#define GENERATED VneWorker__SNode
static const struct field snode_fields[] = {
	NAME(name), FIXED(cap, RES_COUNT), BOOLEAN(any_kind), TEXTS_(kinds.v, kinds.n, kinds, PARTS_MAX),
	BOOLEAN(any_image), TEXTS_(images.v, images.n, images, PARTS_MAX), INTEGER(max_guest_ports, 0, INT64_MAX),
	BOOLEAN(probed), BOOLEAN(split), BOOLEAN(nat), BOOLEAN(dhcp), TEXTS_(programs.v, programs.n, programs, PARTS_MAX),
	TEXTS_(uplinks.v, uplinks.n, uplinks, PARTS_MAX), MSG(coords, coords_shape),
	INTEGER(cost_micro, 0, COST_MAX_MICRO), LIST(labels, PARTS_MAX, label_shape), ADDR(address), BOOLEAN(agent)
};
SHAPE(snode_shape, vne_worker__snode__descriptor, snode_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct slink
#define GENERATED VneWorker__SLink
static const struct field slink_fields[] = {
	TEXT(name, LABEL_BYTES), U32(a), U32(b), INTEGER(bw_kbps, 0, BW_MAX_KBPS), INTEGER(delay_us, 0, DELAY_MAX_US),
	INTEGER(cost_micro, 0, COST_MAX_MICRO), TEXTS_(risks.v, risks.n, risks, PARTS_MAX),
	FIXED_(FIELD_FIXED_ADDR, underlay, underlay, 2), BOOLEAN(closed)
};
SHAPE(slink_shape, vne_worker__slink__descriptor, slink_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct substrate
#define GENERATED VneWorker__Substrate
static const struct field substrate_fields[] = {
	NAME(name), LIST(nodes, PARTS_MAX, snode_shape), LIST(links, PARTS_MAX, slink_shape)
};
SHAPE(substrate_shape, vne_worker__substrate__descriptor, substrate_fields, NULL);
#undef PLAIN
#undef GENERATED

/* ---- residual: the vectors of all nodes, one behind the other --------------------------------- */

struct residual_flat {
	int64_t *node, *link_kbps;
	size_t n_node, n_link_kbps;
};
#define PLAIN struct residual_flat
#define GENERATED VneWorker__Residual
static const struct field residual_fields[] = { NUMBERS_(node, n_node, node, PARTS_MAX),
	                                            NUMBERS_(link_kbps, n_link_kbps, link_kbps, PARTS_MAX) };
SHAPE(residual_shape, vne_worker__residual__descriptor, residual_fields, NULL);
#undef PLAIN
#undef GENERATED

/* ---- request ------------------------------------------------------------------------------- */

#define PLAIN struct vuplink
#define GENERATED VneWorker__Uplink
static const struct field vuplink_fields[] = { NAME(port), ADDR(address), ADDR(gateway), BOOLEAN(nat) };
SHAPE(vuplink_shape, vne_worker__uplink__descriptor, vuplink_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct place
#define GENERATED VneWorker__Place
static const struct field place_fields[] = {
	TEXTS_(on.v, on.n, on, PARTS_MAX), TEXTS_(not_on.v, not_on.n, not_on, PARTS_MAX), BOOLEAN(has_near),
	MSG(near, coords_shape), REAL(within), LIST(labels, PARTS_MAX, label_shape)
};
SHAPE(place_shape, vne_worker__place__descriptor, place_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct vnode
#define GENERATED VneWorker__VNode
static const struct field vnode_fields[] = {
	NAME(name), FIXED(demand, RES_COUNT), TEXT_OR_NULL(kind, 15), LIST(uplinks, PARTS_MAX, vuplink_shape),
	MSG(place, place_shape), TEXT_OR_NULL(image, 63), INTEGER(rt_period_us, 0, RT_PERIOD_MAX_US),
	INTEGER(rt_budget_us, 0, RT_PERIOD_MAX_US), INTEGER(plane, PLANE_DEFAULT, PLANE_PROGRAM), TEXT_OR_NULL(program, 63),
	TEXT_OR_NULL(controller, 80)
};
SHAPE(vnode_shape, vne_worker__vnode__descriptor, vnode_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct vlink
#define GENERATED VneWorker__VLink
static const struct field vlink_fields[] = {
	TEXT(name, LABEL_BYTES), U32(a), U32(b), INTEGER(bw_kbps, 0, BW_MAX_KBPS),
	INTEGER(max_delay_us, -1, DELAY_MAX_US), BOOLEAN(split), BOOLEAN(protect)
};
SHAPE(vlink_shape, vne_worker__vlink__descriptor, vlink_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct request
#define GENERATED VneWorker__Request
static const struct field request_fields[] = {
	NAME(name), INTEGER(arrival_us, -1, INT64_MAX), INTEGER(lifetime_us, -1, DURATION_MAX_US),
	INTEGER(priority_micro, 1, INT64_MAX), INTEGER(placement, PLACEMENT_DISTINCT, PLACEMENT_PACK),
	INTEGER(routing, ROUTING_STATIC, ROUTING_NONE), ADDR(pool_loopbacks), ADDR(pool_links),
	LIST(nodes, PARTS_MAX, vnode_shape), LIST(links, PARTS_MAX, vlink_shape)
};
SHAPE(request_shape, vne_worker__request__descriptor, request_fields, NULL);
#undef PLAIN
#undef GENERATED

/* ---- solution ------------------------------------------------------------------------------ */

#define PLAIN struct path
#define GENERATED VneWorker__Path
static const struct field path_fields[] = { NUMBERS_(links, n, links, PARTS_MAX), INTEGER(bw_kbps, 0, BW_MAX_KBPS) };
SHAPE(path_shape, vne_worker__path__descriptor, path_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct vlink_map
#define GENERATED VneWorker__VLinkMap
static const struct field vlink_map_fields[] = { LIST(paths, PATHS_MAX, path_shape), MSG(backup, path_shape) };
SHAPE(vlink_map_shape, vne_worker__vlink_map__descriptor, vlink_map_fields, NULL);
#undef PLAIN
#undef GENERATED

static int embedding_shape_check(const void *plain, struct err *err);

/* An embedding has one count for hosts and kinds, so it goes through a struct with both. */
struct embedding_flat {
	uint32_t *host;
	char **kind;
	struct vlink_map *links;
	size_t n_host, n_kind, n_links;
};
#define PLAIN struct embedding_flat
#define GENERATED VneWorker__Embedding
static const struct field embedding_fields[] = { NUMBERS_(host, n_host, host, PARTS_MAX),
	                                             TEXTS_(kind, n_kind, kind, PARTS_MAX),
	                                             LIST(links, PARTS_MAX, vlink_map_shape) };
SHAPE(embedding_shape, vne_worker__embedding__descriptor, embedding_fields, embedding_shape_check);
#undef PLAIN
#undef GENERATED

static int embedding_shape_check(const void *plain, struct err *err)
{
	const struct embedding_flat *e = plain;
	return e->n_host == e->n_kind ? 0 : err_set(err, -EINVAL, "%zu hosts, %zu kinds", e->n_host, e->n_kind);
}

/* All of struct solution but its embedding. */
#define PLAIN struct solution
#define GENERATED VneWorker__Solution
static const struct field solution_fields[] = {
	INTEGER(status, SOLVE_OPTIMAL, SOLVE_UNKNOWN), INTEGER(scope, SCOPE_UNSAID, SCOPE_NEVER), BOOLEAN(has_embedding),
	REAL(cost), REAL(objective), BOOLEAN(has_bound), REAL(bound), REAL(seconds), CHARS(solver), CHARS(reason),
	CHARS(relax)
};
SHAPE(solution_shape, vne_worker__solution__descriptor, solution_fields, NULL);
#undef PLAIN
#undef GENERATED

/* ---- jobs ---------------------------------------------------------------------------------- */

static void put_length(uint8_t *frame, size_t len)
{
	frame[0] = (uint8_t)(len >> 24);
	frame[1] = (uint8_t)(len >> 16);
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
}

static void pack_frame(const ProtobufCMessage *pb, uint8_t **ret, size_t *ret_len)
{
	convert_pack(pb, 4, ret, ret_len);
	put_length(*ret, *ret_len - 4);
}

static struct embedding_flat flatten(const struct embedding *e)
{
	return (struct embedding_flat){ e->host, e->kind, e->links, e->n_nodes, e->n_nodes, e->n_links };
}

static int embedding_in(const VneWorker__Embedding *pb, struct embedding *ret, struct err *err)
{
	struct embedding_flat flat = { 0 };
	int r = convert_in(&embedding_shape, &pb->base, &flat, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < flat.n_kind; i++) { /* "": not chosen */
		if (!flat.kind[i][0]) {
			free(flat.kind[i]);
			flat.kind[i] = NULL;
		}
	}
	*ret = (struct embedding){ flat.host, flat.kind, flat.links, flat.n_host, flat.n_links };
	return 0;
}

void worker_substrate_pack(const struct substrate *s, uint8_t **ret, size_t *ret_len)
{
	struct arena arena = { NULL };
	VneWorker__Job pb = VNE_WORKER__JOB__INIT;
	pb.substrate = (VneWorker__Substrate *)convert_out(&substrate_shape, s, &arena);
	pack_frame(&pb.base, ret, ret_len);
	arena_done(&arena);
}

void worker_job_pack(const struct worker_job *job, uint8_t **ret, size_t *ret_len)
{
	struct arena arena = { NULL };
	struct residual_flat left = { (int64_t *)job->left.node, job->left.link_kbps, job->left.n_nodes * RES_COUNT,
		                          job->left.n_links };
	VneWorker__Job pb = VNE_WORKER__JOB__INIT;
	pb.id = job->id;
	if (!job->apart)
		pb.substrate = (VneWorker__Substrate *)convert_out(&substrate_shape, &job->substrate, &arena);
	pb.left = (VneWorker__Residual *)convert_out(&residual_shape, &left, &arena);
	pb.request = (VneWorker__Request *)convert_out(&request_shape, &job->request, &arena);
	pb.solver = (char *)(uintptr_t)job->solver;
	pb.objective = (uint32_t)job->objective;
	pb.time_limit_s = job->time_limit_s;
	pb.effort = job->effort;
	pb.seed = job->seed;
	struct embedding_flat now = flatten(&job->now);
	if (job->now.n_nodes)
		pb.now = (VneWorker__Embedding *)convert_out(&embedding_shape, &now, &arena);
	pack_frame(&pb.base, ret, ret_len);
	arena_done(&arena);
}

static int left_in(const VneWorker__Job *pb, struct worker_job *job, struct err *err)
{
	struct residual_flat left = { 0 };
	int r = convert_in(&residual_shape, &pb->left->base, &left, err);
	if (r < 0)
		return r;
	if (left.n_node != job->substrate.n_nodes * RES_COUNT || left.n_link_kbps != job->substrate.n_links) {
		convert_free(&residual_shape, &left);
		return err_set(err, -EINVAL, "left: of another substrate");
	}
	job->left.node = (int64_t (*)[RES_COUNT])left.node;
	job->left.link_kbps = left.link_kbps;
	job->left.n_nodes = job->substrate.n_nodes;
	job->left.n_links = job->substrate.n_links;
	return 0;
}

static bool path_in_range(const struct worker_job *job, const struct path *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->links[i] >= job->substrate.n_links)
			return false;
	return p->n < job->substrate.n_nodes;
}

static int now_in(const VneWorker__Job *pb, struct worker_job *job, struct err *err)
{
	int r = pb->now ? embedding_in(pb->now, &job->now, err) : 0;
	bool good = !pb->now || r < 0 || (job->now.n_nodes == job->request.n_nodes && job->now.n_links == job->request.n_links);
	for (size_t i = 0; good && i < job->now.n_nodes; i++)
		good = job->now.host[i] == UINT32_MAX || (job->now.host[i] < job->substrate.n_nodes && job->now.kind[i]);
	for (size_t i = 0; good && i < job->now.n_links; i++) {
		for (size_t k = 0; good && k < job->now.links[i].n_paths; k++)
			good = path_in_range(job, &job->now.links[i].paths[k]);
		good = good && path_in_range(job, &job->now.links[i].backup);
	}
	return r < 0 || good ? r : err_set(err, -EINVAL, "now: of another request or substrate");
}

static int substrate_in(const VneWorker__Job *pb, const struct substrate *standing, struct worker_job *job, struct err *err)
{
	job->apart = !pb->substrate;
	if (job->apart) {
		job->substrate = *standing;
		return 0;
	}
	int r = convert_in(&substrate_shape, &pb->substrate->base, &job->substrate, err);
	return r == 0 ? substrate_check(&job->substrate, err) : r;
}

static int job_in(const VneWorker__Job *pb, const struct substrate *standing, struct worker_job *job, struct err *err)
{
	if (!pb->id)
		return pb->substrate && !pb->left && !pb->request ? substrate_in(pb, NULL, job, err) :
		                                                   err_set(err, -EINVAL, "no id, and more or less than a substrate");
	if ((!pb->substrate && !standing) || !pb->left || !pb->request)
		return err_set(err, -EINVAL, "a part is missing");
	if (strlen(pb->solver) >= sizeof(job->solver) || pb->objective > 1)
		return err_set(err, -EINVAL, "solver or objective out of range");
	job->id = pb->id;
	strcpy(job->solver, pb->solver);
	job->objective = (int)pb->objective;
	job->time_limit_s = pb->time_limit_s;
	job->effort = pb->effort;
	job->seed = pb->seed;
	int r = substrate_in(pb, standing, job, err);
	if (r == 0)
		r = convert_in(&request_shape, &pb->request->base, &job->request, err);
	if (r == 0)
		r = request_check(&job->request, err);
	if (r == 0)
		r = left_in(pb, job, err);
	return r == 0 ? now_in(pb, job, err) : r;
}

int worker_job_unpack(const uint8_t *data, size_t len, const struct substrate *standing, struct worker_job *ret, struct err *err)
{
	ProtobufCMessage *pb;
	int r = convert_unpack(&vne_worker__job__descriptor, data, len, &pb, err);
	if (r < 0)
		return r;
	struct worker_job job = { 0 };
	r = job_in((const VneWorker__Job *)pb, standing, &job, err);
	protobuf_c_message_free_unpacked(pb, NULL);
	if (r < 0) {
		worker_job_done(&job);
		return err_add(err, r, "job");
	}
	*ret = job;
	return 0;
}

void worker_job_done(struct worker_job *job)
{
	if (!job->apart)
		substrate_done(&job->substrate);
	residual_done(&job->left);
	request_done(&job->request);
	embedding_done(&job->now);
}

/* ---- answers ------------------------------------------------------------------------------- */

void worker_answer_pack(const struct worker_answer *a, uint8_t **ret, size_t *ret_len)
{
	struct arena arena = { NULL };
	struct embedding_flat flat = { 0 };
	if (a->solution.has_embedding)
		flat = flatten(&a->solution.embedding);
	VneWorker__Answer pb = VNE_WORKER__ANSWER__INIT;
	pb.id = a->id;
	pb.final = a->final;
	pb.failed = a->failed;
	pb.solution = (VneWorker__Solution *)convert_out(&solution_shape, &a->solution, &arena);
	pb.solution->embedding = (VneWorker__Embedding *)convert_out(&embedding_shape, &flat, &arena);
	pack_frame(&pb.base, ret, ret_len);
	arena_done(&arena);
}

static int answer_in(const VneWorker__Answer *pb, struct worker_answer *a, struct err *err)
{
	if (!pb->solution || !pb->solution->embedding)
		return err_set(err, -EINVAL, "a part is missing");
	if (pb->failed > 0 || pb->failed < -4095)
		return err_set(err, -EINVAL, "failed: %d is not a negative errno", pb->failed);
	a->id = pb->id;
	a->final = pb->final;
	a->failed = pb->failed;
	int r = convert_in(&solution_shape, &pb->solution->base, &a->solution, err);
	if (r < 0 || !a->solution.has_embedding)
		return r;
	a->solution.has_embedding = false;
	r = embedding_in(pb->solution->embedding, &a->solution.embedding, err);
	if (r < 0)
		return r;
	a->solution.has_embedding = true;
	return 0;
}

int worker_answer_unpack(const uint8_t *data, size_t len, struct worker_answer *ret, struct err *err)
{
	ProtobufCMessage *pb;
	int r = convert_unpack(&vne_worker__answer__descriptor, data, len, &pb, err);
	if (r < 0)
		return r;
	struct worker_answer a = { 0 };
	r = answer_in((const VneWorker__Answer *)pb, &a, err);
	protobuf_c_message_free_unpacked(pb, NULL);
	if (r < 0) {
		worker_answer_done(&a);
		return err_add(err, r, "answer");
	}
	*ret = a;
	return 0;
}

void worker_answer_done(struct worker_answer *a)
{
	solution_done(&a->solution);
}
