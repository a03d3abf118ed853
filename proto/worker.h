/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The solver worker: `vnembed --worker` reads jobs from its stdin and writes incumbents and
 * answers to its stdout, each a length-prefixed protobuf message of worker.proto. One job at a
 * time; the worker stays warm between jobs. The caller keeps the hard deadline: a worker that
 * overruns is killed and replaced. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/embedding.h"

struct worker_job {
	uint64_t id;
	struct substrate substrate;
	struct residual left;
	struct request request;
	char solver[256];
	int objective; /* enum embed_objective */
	double time_limit_s;
	int64_t effort;
	uint64_t seed;
	bool apart; /* the substrate is that of the last worker_substrate_pack: it is packed without; unpacked, it is borrowed */
	struct embedding now; /* n_nodes 0: nothing stands; else as of embed_update, in range of substrate and request */
};
void worker_job_done(struct worker_job *job);

struct worker_answer {
	uint64_t id;
	bool final;   /* false: an incumbent on the way */
	int failed;   /* negative errno: no answer; solution.reason says why */
	struct solution solution;
};
void worker_answer_done(struct worker_answer *a);

/* Frames: 4 bytes of length, big endian, then the message; caller frees *ret. The substrate is most of a job and seldom
 * another: it can go before, by itself, for any number of jobs. */
void worker_substrate_pack(const struct substrate *s, uint8_t **ret, size_t *ret_len);
void worker_job_pack(const struct worker_job *job, uint8_t **ret, size_t *ret_len);
void worker_answer_pack(const struct worker_answer *a, uint8_t **ret, size_t *ret_len);
/* `data` is what is behind the length. Everything is validated; the embedding's indices may
 * still be out of range for the substrate: embedding_check finds that. */
/* standing: for jobs without a substrate; NULL: they are refused. A substrate alone is a job with id 0 and nothing else. */
int worker_job_unpack(const uint8_t *data, size_t len, const struct substrate *standing, struct worker_job *ret, struct err *err) VNE_MUST;
int worker_answer_unpack(const uint8_t *data, size_t len, struct worker_answer *ret, struct err *err) VNE_MUST;
